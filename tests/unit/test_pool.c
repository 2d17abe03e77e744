// Slabs: objects are zeroed, stay where they are, and handles are used again.
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
    enum { N = 3 * POOL_CHUNK + 1 };
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
    assert_true(pool_bytes(&p) >= 4u * POOL_CHUNK * sizeof(struct object));
    pool_free(&p);
    assert_int_equal(pool_bytes(&p), 0);
}

static void last_given_is_first_taken_and_zeroed(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, sizeof(struct object));
    uint32_t a = pool_take(&p), b = pool_take(&p), c = pool_take(&p);
    struct object *o = pool_at(&p, b);
    *o = (struct object){9, 9, "full of it"};
    pool_give(&p, b);
    assert_int_equal(o->value, 0); // only the link to the next free one may be left
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
        for (int i = 0; i < 100; i++)
            held[i] = pool_take(&p);
        for (int i = 0; i < 100; i++)
            pool_give(&p, held[(i * 37) % 100]);
    }
    assert_int_equal(p.used, 100);
    assert_int_equal(p.live, 0);
    pool_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_stay_and_are_apart),
        cmocka_unit_test(last_given_is_first_taken_and_zeroed),
        cmocka_unit_test(at_rest_it_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
