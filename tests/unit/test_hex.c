// Hex numbers as they stand in our tags and branches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/hex.h"

static const char all[] = "0123456789abcdef";

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 0x9a, 0x0123456789abcdefu, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[16];
        uint64_t v = 1;
        hex_write(text, numbers[i], 16);
        assert_true(hex_read(text, 16, &v));
        assert_true(v == numbers[i]);
    }
}

static void digits_are_padded_and_cut(void **state)
{
    (void)state;
    char text[] = "xxxxxxx";
    uint64_t v;
    hex_write(text, 0xabcde, 6);
    assert_string_equal(text, "0abcdex");
    assert_true(hex_read(text, 4, &v) && v == 0xabc);
    hex_write(text, 0xabcde, 2);
    assert_memory_equal(text, "de", 2);
    assert_true(hex_read(text, 0, &v) && v == 0);
}

// Every byte there is, at every place of a number.
static void only_lower_case_digits_are_read(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *digit = byte ? strchr(all, byte) : NULL;
        for (int at = 0; at < 3; at++) {
            char text[] = "000";
            uint64_t v;
            text[at] = (char)byte;
            assert_int_equal(hex_read(text, 3, &v), digit != NULL);
            if (digit)
                assert_true(v == (uint64_t)(digit - all) << 4 * (2 - at));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(digits_are_padded_and_cut),
        cmocka_unit_test(only_lower_case_digits_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
