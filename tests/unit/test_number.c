// Numbers on the command line: what is none is not taken for 0.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/number.h"

static void test_numbers(void **state)
{
    (void)state;
    unsigned n = 0;
    uint64_t seed = 0;
    assert_true(number_of("1", 1, 9, &n));
    assert_int_equal(n, 1);
    assert_true(number_of("9", 1, 9, &n));
    assert_int_equal(n, 9);
    assert_true(number_u64("18446744073709551615", 0, UINT64_MAX, &seed));
    assert_true(seed == UINT64_MAX);
}

static void test_others(void **state)
{
    (void)state;
    static const char *const others[] = {"",    "0",  "10",  "-1",         "+1",
                                         " 1",  "1 ", "1x",  "x",          "0x1",
                                         "1.5", "--", "1e1", "4294967297", "18446744073709551617"};
    unsigned n = 7;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(number_of(others[i], 1, 9, &n));
    assert_int_equal(n, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
