// Borrowed text and the growable buffer: comparisons, limits, the sticky failure, XML escaping.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/wire/text.h"

static void assert_text(struct text have, const char *want)
{
    assert_int_equal(have.n, strlen(want));
    if (have.n)
        assert_memory_equal(have.p, want, have.n);
}

static void assert_buffer(const struct buffer *b, const char *want)
{
    assert_false(b->failed);
    assert_text((struct text){b->p, b->n}, want);
}

// Of every length, and with a difference at every place.
static void compares_without_case(void **state)
{
    (void)state;
    static const char upper[] = "SUBSCRIPTION-STATE: ACTIVE",
                      lower[] = "subscription-state: active";
    for (size_t n = 0; n < sizeof upper; n++) {
        struct text t = {upper, n};
        assert_true(text_eq_nocase(t, (struct text){lower, n}));
        for (size_t i = 0; i < n; i++) {
            char other[sizeof lower];
            memcpy(other, lower, sizeof lower);
            other[i] ^= 1;
            assert_false(text_eq_nocase(t, (struct text){other, n}));
        }
    }
}

static void compares(void **state)
{
    (void)state;
    assert_true(text_eq(TEXT("ab"), TEXT("ab")));
    assert_false(text_eq(TEXT("ab"), TEXT("aB")));
    assert_false(text_eq(TEXT("ab"), TEXT("a")));
    assert_true(text_eq((struct text){NULL, 0}, TEXT("")));
    assert_int_equal(text_of(NULL).n, 0);
    assert_true(text_eq_nocase(TEXT("Event@[`{z"), TEXT("eVENT@[`{Z")));
    assert_false(text_eq_nocase(TEXT("@"), TEXT("`"))); // 0x40 and 0x60 are no letters
    assert_false(text_eq_nocase(TEXT("\xc3\x84"), TEXT("\xc3\xa4")));
    assert_false(text_eq_nocase(TEXT("ab"), TEXT("abc")));
    assert_true(text_starts(TEXT("ID-x"), TEXT("ID-")));
    assert_true(text_starts(TEXT("ID-"), TEXT("ID-")));
    assert_false(text_starts(TEXT("ID"), TEXT("ID-")));
    assert_true(text_starts(TEXT("x"), TEXT("")));
}

static void reads_numbers(void **state)
{
    (void)state;
    uint32_t v = 7;
    assert_true(text_to_u32(TEXT("0"), 10, &v));
    assert_int_equal(v, 0);
    assert_true(text_to_u32(TEXT("0000000000000000000000010"), 10, &v));
    assert_int_equal(v, 10);
    assert_false(text_to_u32(TEXT("11"), 10, &v));
    assert_true(text_to_u32(TEXT("4294967295"), UINT32_MAX, &v));
    assert_int_equal(v, UINT32_MAX);
    v = 7;
    const char *const bad[] = {
        "", "4294967296", "99999999999999999999999", "+1", "-1", " 1", "1 ", "1a", "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_to_u32(text_of(bad[i]), UINT32_MAX, &v));
    assert_int_equal(v, 7);
}

static void grows(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    for (int i = 0; i < 100000; i++)
        buffer_char(&b, (char)('a' + i % 26));
    assert_false(b.failed);
    assert_int_equal(b.n, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.p[i], 'a' + i % 26);
    char *before = b.p;
    buffer_reset(&b);
    buffer_lit(&b, "again");
    assert_ptr_equal(b.p, before);
    assert_buffer(&b, "again");
    buffer_free(&b);
    assert_null(b.p);
    buffer_free(&b);
}

static void appends_nothing(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1);
    buffer_text(&b, (struct text){NULL, 0});
    buffer_add(&b, NULL, 0);
    buffer_xml(&b, (struct text){NULL, 0});
    assert_buffer(&b, "");
    assert_non_null(buffer_reserve(&b, 0));
    buffer_free(&b);
}

static void keeps_its_limit(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    for (int i = 0; i < 1000; i++)
        buffer_char(&b, 'x');
    assert_false(b.failed);
    assert_true(b.cap <= 1000);
    buffer_char(&b, 'y'); // one past
    assert_true(b.failed);
    assert_int_equal(b.n, 1000);
    buffer_reset(&b);
    buffer_lit(&b, "ab");
    assert_null(buffer_reserve(&b, 999));
    assert_true(b.failed);
    buffer_lit(&b, "c"); // would fit, but an earlier piece is missing
    assert_int_equal(b.n, 2);
    buffer_reset(&b);
    assert_false(b.failed);
    assert_null(buffer_reserve(&b, SIZE_MAX));
    buffer_reset(&b);
    assert_non_null(buffer_reserve(&b, 1000));
    buffer_free(&b);
    buffer_lit(&b, "ab");
    assert_null(buffer_reserve(&b, SIZE_MAX));
    buffer_free(&b);

    buffer_init(&b, 0);
    buffer_lit(&b, "ab");
    assert_null(buffer_reserve(&b, SIZE_MAX - 1)); // the sum would wrap
    buffer_free(&b);
}

static void writes_numbers(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    buffer_u64(&b, 0);
    buffer_char(&b, ' ');
    buffer_u64(&b, UINT64_MAX);
    assert_buffer(&b, "0 18446744073709551615");
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10)
        for (uint64_t v = power - 1; v <= power + 1; v++) {
            char want[32];
            snprintf(want, sizeof want, "%" PRIu64, v);
            buffer_reset(&b);
            buffer_u64(&b, v);
            assert_buffer(&b, want);
        }
    buffer_free(&b);
}

static void expect_xml(const char *in, const char *want)
{
    struct buffer b;
    buffer_init(&b, 0);
    buffer_xml(&b, text_of(in));
    assert_buffer(&b, want);
    buffer_free(&b);
}

static void escapes_xml(void **state)
{
    (void)state;
    expect_xml("plain", "plain");
    expect_xml("<a b='c' d=\"e\">&", "&lt;a b=&apos;c&apos; d=&quot;e&quot;&gt;&amp;");
    expect_xml("\t\n\r", "&#9;&#10;&#13;");
    expect_xml(
        "a\x01\x02\x1f\x7f"
        "b",
        "a\x7f"
        "b"); // DEL is allowed, the C0 controls are not
    struct buffer b;
    buffer_init(&b, 0);
    buffer_xml(&b, TEXT("a\0b"));
    assert_buffer(&b, "ab");
    buffer_free(&b);
}

static void drops_what_is_not_utf8(void **state)
{
    (void)state;
    expect_xml("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_xml("\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf",
               "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf");
    expect_xml(
        "a\xc0\x80"
        "b",
        "ab"); // over-long
    expect_xml(
        "a\xe0\x9f\xbf"
        "b",
        "ab"); // over-long
    expect_xml(
        "a\xf0\x8f\xbf\xbf"
        "b",
        "ab"); // over-long
    expect_xml(
        "a\xed\xa0\x80"
        "b",
        "ab"); // surrogate
    expect_xml(
        "a\xf4\x90\x80\x80"
        "b",
        "ab"); // above U+10FFFF
    expect_xml(
        "a\xef\xbf\xbe\xef\xbf\xbf"
        "b",
        "ab");
    expect_xml(
        "a\xff\xfe\x80"
        "b",
        "ab");
    expect_xml("a\xc3", "a"); // cut short
    expect_xml("a\xe2\x82", "a");
    expect_xml("a\xe2\x82<", "a&lt;");
}

static void trims(void **state)
{
    (void)state;
    assert_text(text_trim(TEXT(" \t\r\n a b \n")), "a b");
    assert_text(text_trim(TEXT(" \n")), "");
    assert_text(text_trim(TEXT("")), "");
    assert_text(text_trim(TEXT("\v")), "\v"); // white space for C, not for XML
}

static void knows_xml_characters(void **state)
{
    (void)state;
    assert_true(text_is_xml(TEXT("")));
    assert_true(text_is_xml(TEXT("a\t\r\n<&\xc3\xbc\xf0\x9f\x98\x80")));
    assert_false(text_is_xml(TEXT("a\0")));
    assert_false(text_is_xml(TEXT("\x1f")));
    assert_false(text_is_xml(TEXT("\xef\xbf\xbf")));
    assert_false(text_is_xml(TEXT("\xc3")));
    assert_false(text_is_xml(TEXT("\xab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(compares_without_case),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(grows),
        cmocka_unit_test(appends_nothing),
        cmocka_unit_test(keeps_its_limit),
        cmocka_unit_test(writes_numbers),
        cmocka_unit_test(escapes_xml),
        cmocka_unit_test(drops_what_is_not_utf8),
        cmocka_unit_test(trims),
        cmocka_unit_test(knows_xml_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
