// Small blocks against a plain list of them: apart, aligned, unharmed, and gone when they are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/hash.h"
#include "core/shelf.h"

enum { BLOCKS = 3000 };

struct block {
    unsigned char *p;
    size_t n;
    unsigned char fill;
};

static void assert_whole(const struct block *b)
{
    for (size_t i = 0; i < b->n; i++)
        assert_int_equal(b->p[i], b->fill);
}

static struct block take(struct shelf *s, size_t n, unsigned char fill)
{
    struct block b = {shelf_take(s, n), n, fill};
    assert_non_null(b.p);
    assert_int_equal((uintptr_t)b.p % SHELF_STEP, 0);
    memset(b.p, fill, n);
    return b;
}

static void give(struct shelf *s, struct block *b)
{
    assert_whole(b);
    shelf_give(s, b->p, b->n);
    *b = (struct block){0};
}

static void resize(struct shelf *s, struct block *b, size_t n)
{
    b->p = shelf_resize(s, b->p, b->n, n);
    assert_non_null(b->p);
    b->n = b->n < n ? b->n : n;
    assert_whole(b);
    b->n = n;
    memset(b->p, b->fill, n);
}

static void random_steps(void **state)
{
    (void)state;
    static struct block all[BLOCKS];
    struct shelf s = {0};
    struct hash_random r;
    hash_random_init(&r, 1, 0);
    for (unsigned step = 0; step < 50000; step++) {
        struct block *b = &all[hash_random_below(&r, BLOCKS)];
        size_t n = hash_random_below(&r, step % 100 ? 100 : 3 * SHELF_BLOCK_MAX);
        if (!b->p)
            *b = take(&s, n, (unsigned char)step);
        else if (hash_random_below(&r, 3))
            resize(&s, b, n);
        else
            give(&s, b);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        if (all[i].p)
            give(&s, &all[i]);
    assert_int_equal(s.blocks, 0);
    shelf_free(&s);
    assert_int_equal(s.bytes, 0);
}

// 50 bytes take 52, and a slab but little.
static void next_to_nothing_is_lost(void **state)
{
    (void)state;
    static struct block all[100000];
    struct shelf s = {0};
    for (unsigned i = 0; i < 100000; i++)
        all[i] = take(&s, 50, (unsigned char)i);
    assert_in_range(s.bytes, 52 * 100000, 52 * 100000 + 2 * SHELF_SLAB);
    for (unsigned i = 1; i < 100000; i++)
        give(&s, &all[i]);
    assert_true(s.bytes <= 2 * SHELF_SLAB);
    give(&s, &all[0]);
    shelf_free(&s);
}

static void all_sizes_around_the_limits(void **state)
{
    (void)state;
    struct shelf s = {0};
    for (size_t n = 0; n <= SHELF_BLOCK_MAX + 2 * SHELF_STEP; n++) {
        struct block a = take(&s, n, 1), b = take(&s, n, 2), c;
        give(&s, &a);
        c = take(&s, n, 3);
        give(&s, &b);
        give(&s, &c);
    }
    shelf_give(&s, NULL, 7); // welcome
    struct block large = {0};
    resize(&s, &large, SHELF_BLOCK_MAX);
    large.fill = 9;
    memset(large.p, 9, large.n);
    resize(&s, &large, SHELF_BLOCK_MAX + 1);
    resize(&s, &large, 10 * SHELF_BLOCK_MAX);
    resize(&s, &large, 1);
    give(&s, &large);
    shelf_free(&s);
    assert_int_equal(s.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps),
        cmocka_unit_test(next_to_nothing_is_lost),
        cmocka_unit_test(all_sizes_around_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
