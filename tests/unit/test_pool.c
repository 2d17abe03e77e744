// Slabs: objects are zeroed, stay where they are, handles are used again, and empty slabs go.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/pool.h"

struct object {
    uint32_t first;
    uint32_t value;
    char more[13];
};

static void objects_stay_and_are_apart(void **state)
{
    (void)state;
    enum { N = 70 * POOL_CHUNK + 1 };
    static struct object *where[N + 1];
    struct pool p;
    pool_init(&p, sizeof(struct object));
    for (uint32_t i = 1; i <= N; i++) {
        assert_int_equal(pool_take(&p), i); // 0 names nothing
        where[i] = pool_at(&p, i);
        assert_int_equal((uintptr_t)where[i] % 4, 0);
        where[i]->first = ~i;
        where[i]->value = i;
    }
    for (uint32_t i = 1; i <= N; i++) {
        assert_ptr_equal(pool_at(&p, i), where[i]);
        assert_int_equal(where[i]->first, ~i);
        assert_int_equal(where[i]->value, i);
    }
    assert_int_equal(p.live, N);
    assert_true(pool_bytes(&p) >= 71u * POOL_CHUNK * sizeof(struct object));
    pool_free(&p);
    assert_int_equal(pool_bytes(&p), 0);
}

static void lowest_is_taken_first_and_zeroed(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, sizeof(struct object));
    uint32_t a = pool_take(&p), b = pool_take(&p), c = pool_take(&p);
    *(struct object *)pool_at(&p, b) = (struct object){9, 9, "full of it"};
    pool_give(&p, b);
    pool_give(&p, a);
    assert_int_equal(p.live, 1);
    assert_int_equal(pool_take(&p), a);
    assert_int_equal(pool_take(&p), b);
    static const struct object zero;
    assert_memory_equal(pool_at(&p, a), &zero, sizeof zero);
    assert_memory_equal(pool_at(&p, b), &zero, sizeof zero);
    assert_int_equal(pool_take(&p), c + 1);
    pool_free(&p);
}

static void at_rest_it_does_not_grow(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, sizeof(struct object));
    uint32_t held[100];
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 100; i++) {
            held[i] = pool_take(&p);
            assert_in_range(held[i], 1, 100);
        }
        for (int i = 0; i < 100; i++)
            pool_give(&p, held[(i * 37) % 100]);
    }
    assert_int_equal(p.live, 0);
    pool_free(&p);
}

// 100 slabs of which the 2nd and the last of all objects stay: two slabs, and one to be had at
// once.
static void slabs_of_a_burst_go(void **state)
{
    (void)state;
    enum { N = 100 * POOL_CHUNK };
    struct pool p;
    pool_init(&p, sizeof(struct object));
    for (uint32_t i = 1; i <= N; i++)
        pool_take(&p);
    size_t most = pool_bytes(&p), slab = POOL_CHUNK * sizeof(struct object);
    for (uint32_t i = 1; i < N; i++)
        if (i != 2)
            pool_give(&p, i);
    assert_int_equal(p.live, 2);
    assert_int_equal(pool_bytes(&p), most - 97 * slab);
    ((struct object *)pool_at(&p, N))->value = 7;
    for (uint32_t i = 1; i < N; i++)
        if (i != 2)
            assert_int_equal(pool_take(&p), i);
    assert_int_equal(pool_take(&p), N + 1);
    assert_int_equal(((struct object *)pool_at(&p, N))->value, 7);
    pool_free(&p);
}

// To and fro across a slab's end: the slab that comes and goes is not given back each time.
static void one_empty_slab_stays(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, sizeof(struct object));
    for (uint32_t i = 1; i <= POOL_CHUNK; i++)
        pool_take(&p);
    assert_int_equal(pool_take(&p), POOL_CHUNK + 1);
    size_t two = pool_bytes(&p);
    for (int round = 0; round < 10; round++) {
        pool_give(&p, POOL_CHUNK + 1);
        assert_int_equal(pool_bytes(&p), two);
        assert_int_equal(pool_take(&p), POOL_CHUNK + 1);
    }
    pool_free(&p);
}

static void it_knows_what_is_there(void **state)
{
    (void)state;
    enum { N = 3 * POOL_CHUNK };
    struct pool p;
    pool_init(&p, sizeof(struct object));
    assert_int_equal(pool_after(&p, 0), 0);
    assert_false(pool_has(&p, 1));
    for (uint32_t i = 1; i <= N; i++)
        pool_take(&p);
    for (uint32_t i = 1; i <= N; i++)
        if (i != 64 && i != 65 && i != 2 * POOL_CHUNK + 1 && i != N)
            pool_give(&p, i);
    assert_int_equal(pool_after(&p, 0), 64);
    assert_int_equal(pool_after(&p, 64), 65);
    assert_int_equal(pool_after(&p, 65), 2 * POOL_CHUNK + 1);
    assert_int_equal(pool_after(&p, 2 * POOL_CHUNK + 1), N);
    assert_int_equal(pool_after(&p, N), 0);
    assert_int_equal(pool_after(&p, N + 1000), 0);
    assert_true(pool_has(&p, N));
    assert_false(pool_has(&p, 0));
    assert_false(pool_has(&p, 1));
    assert_false(pool_has(&p, N + 1));
    assert_false(pool_has(&p, ((uint64_t)1 << 32) + 64));
    pool_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_stay_and_are_apart),
        cmocka_unit_test(lowest_is_taken_first_and_zeroed),
        cmocka_unit_test(at_rest_it_does_not_grow),
        cmocka_unit_test(slabs_of_a_burst_go),
        cmocka_unit_test(one_empty_slab_stays),
        cmocka_unit_test(it_knows_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
