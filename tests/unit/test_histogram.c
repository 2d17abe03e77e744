// The load driver's histogram: what it says of values that are known.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/load/histogram.h"

static void test_small_values_are_exact(void **state)
{
    struct histogram h = {0};
    (void)state;
    for (uint64_t v = 1; v <= 20; v++)
        histogram_add(&h, v);
    assert_int_equal(histogram_at(&h, 500000), 10);
    assert_int_equal(histogram_at(&h, 950000), 19);
    assert_int_equal(histogram_at(&h, 1000000), 20);
    assert_int_equal(h.max, 20);
}

// Never below the true value, and at most a 32nd above it.
static void test_large_values_are_near(void **state)
{
    (void)state;
    for (uint64_t v = 32; v < 1ull << 38; v = v * 5 / 4 + 1) {
        struct histogram h = {0};
        histogram_add(&h, v);
        histogram_add(&h, 1ull << 39); // else the maximum bounds it
        uint64_t seen = histogram_at(&h, 500000);
        assert_true(seen >= v && seen <= v + v / 32 + 1);
    }
}

static void test_empty_and_beyond(void **state)
{
    struct histogram h = {0}, sum = {0};
    (void)state;
    assert_int_equal(histogram_at(&h, 990000), 0);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(histogram_at(&h, 500000) > 1ull << 40, 1);
    histogram_add(&sum, 7);
    histogram_merge(&sum, &h);
    assert_int_equal(sum.n, 2);
    assert_int_equal(sum.max, UINT64_MAX);
    assert_int_equal(histogram_at(&sum, 500000), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_large_values_are_near),
        cmocka_unit_test(test_empty_and_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
