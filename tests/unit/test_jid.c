// RFC 6122: JIDs taken apart and prepared.
#include "core/wire/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static char scratch[JID_MAX + 1];

static int parse(struct jid *jid, const char *z)
{
    return jid_parse(jid, text_of(z), scratch, sizeof scratch);
}

// The prepared form as text, "" when it is no JID.
static const char *prepared(const char *z)
{
    static char text[JID_MAX + 1];
    struct buffer b = {.p = text, .cap = sizeof text, .limit = sizeof text};
    struct jid jid;
    if (parse(&jid, z) == 0)
        jid_write(&b, &jid);
    buffer_char(&b, '\0');
    assert_false(b.failed);
    return text;
}

static void test_parts(void **state)
{
    struct jid jid;
    (void)state;
    assert_int_equal(parse(&jid, "juliet@example.com/balcony"), 0);
    assert_true(text_eq(jid.local, TEXT("juliet")));
    assert_true(text_eq(jid.domain, TEXT("example.com")));
    assert_true(text_eq(jid.resource, TEXT("balcony")));
    assert_int_equal(parse(&jid, "example.com"), 0);
    assert_int_equal(jid.local.n, 0);
    assert_int_equal(jid.resource.n, 0);
    // RFC 6122 §2.4: a resourcepart may hold '@' and '/'.
    assert_int_equal(parse(&jid, "example.com/a@b/c"), 0);
    assert_int_equal(jid.local.n, 0);
    assert_true(text_eq(jid.resource, TEXT("a@b/c")));
}

static void test_plain_is_borrowed(void **state)
{
    static const char text[] = "juliet@example.com/Balcony 2";
    struct jid jid;
    (void)state;
    assert_int_equal(jid_parse(&jid, TEXT("juliet@example.com/Balcony 2"), NULL, 0), 0);
    assert_int_equal(jid_parse(&jid, (struct text){text, sizeof text - 1}, NULL, 0), 0);
    assert_ptr_equal(jid.local.p, text);
    assert_ptr_equal(jid.domain.p, text + 7);
    assert_ptr_equal(jid.resource.p, text + 19);
}

static void test_prepared(void **state)
{
    static const struct {
        const char *raw, *prepared;
    } rows[] = {
        {"Juliet@Example.COM/Balcony", "juliet@example.com/Balcony"},
        {"example.com.", "example.com"},
        {"a@example.com./r", "a@example.com/r"},
        {"\xc3\x9c"
         "ber@example.com",
         "\xc3\xbc"
         "ber@example.com"},
        {"fu\xc3\x9f@example.com", "fuss@example.com"},   // RFC 3454 table B.2
        {"\xce\xa3@example.com", "\xcf\x83@example.com"}, // RFC 7622 §3.5 example 9
        {"\xef\xbc\xa1@example.com", "a@example.com"},    // U+FF21, NFKC
        {"a\xc2\xad"
         "b@example.com",
         "ab@example.com"}, // soft hyphen, table B.1
        {"king@example.com/\xe2\x99\x9a",
         "king@example.com/\xe2\x99\x9a"}, // RFC 7622 §3.5 example 12
        {"a@B\xc3\x9c"
         "CHER.example",
         "a@b\xc3\xbc"
         "cher.example"},
        // What it stands for ends in a hyphen, and so is no name: it stays as it is.
        {"a@xn--mnchen-3yn--mnca.example", "a@xn--mnchen-3yn--mnca.example"},
        {"a@xn--bcher-kva.example",
         "a@b\xc3\xbc"
         "cher.example"},
        {"a@b\xc3\xbc"
         "cher\xe3\x80\x82"
         "example",
         "a@b\xc3\xbc"
         "cher.example"}, // U+3002
        {"a@\xc3\xbc\xe3\x80\x82", "a@\xc3\xbc"},
        {"a@[2001:DB8::1]", "a@[2001:db8::1]"},
        {"a@[::1]/r", "a@[::1]/r"},
        {"a@192.0.2.1", "a@192.0.2.1"},
        {"a\\20b@example.com", "a\\20b@example.com"},
        {"A\\2Fb@example.com", "a\\2fb@example.com"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(prepared(rows[i].raw), rows[i].prepared);
}

static void test_no_jids(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "/",
        "@example.com",
        "a@",
        "a@/r",
        "a@example.com/",
        "/r",
        "a@b@c",
        "a b@example.com",
        "a\"@example.com",
        "a&@example.com",
        "a'@example.com",
        "a:@example.com",
        "a<@example.com",
        "a>@example.com",
        "a\x7f@example.com",
        "a@exa mple.com",
        "a@example..com",
        "a@.example.com",
        "a@-example.com",
        "a@example-.com",
        "a@exam_ple.com",
        "a@example.com/\x01",
        "a@example.com/\x7f",
        "a@[::1",
        "a@[]",
        "a@[::g]",
        "a@[::1]x",
        "a@example.com\n",
        "\xc3@example.com",
        "\xff@example.com",
        "\xed\xa0\x80@example.com",
        "\xc0\xaf@example.com",
        "a@\xff.example",
        "a@example.com/\xc3",
        "a\xe2\x80\xa8@example.com", // U+2028, table C.2.2
        "a\xef\xbf\xbe@example.com", // U+FFFE, table C.4
        "\xd7\x90"
        "1a@example.com",       // RFC 3454 §6: left-to-right within right-to-left
        "\xc2\xad@example.com", // nothing is left of it
        "a@xn--\xc3\xbc.example",
    };
    struct jid jid;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(&jid, bad[i]) != EBADMSG)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(
        jid_parse(&jid, (struct text){"a\0b@example.com", 15}, scratch, sizeof scratch), EBADMSG);
    assert_int_equal(jid_parse(&jid, (struct text){"a@exa\0mple.com", 14}, scratch, sizeof scratch),
                     EBADMSG);
    assert_int_equal(jid_parse(&jid, (struct text){"a@b.example/\0", 13}, scratch, sizeof scratch),
                     EBADMSG);
    assert_int_equal(jid_parse(&jid, (struct text){NULL, 0}, scratch, sizeof scratch), EBADMSG);
}

// Each part at its limit and one past it, plain and prepared.
static void test_limits(void **state)
{
    static const struct {
        const char *before, *fill, *after;
        int most; // of `fill`
    } rows[] = {
        {"", "a", "@example.com", JID_PART_MAX},
        {"", "A", "@example.com", JID_PART_MAX},
        {"", "\xc3\xbc", "@example.com", JID_PART_MAX / 2},
        {"", "\xef\xbc\xa1", "@example.com", JID_PART_MAX}, // shrinks to a third
        {"a@example.com/", "r", "", JID_PART_MAX},
        {"a@example.com/", "\xc3\xbc", "", JID_PART_MAX / 2},
        {"a@", "d", ".example", 63},
        {"a@", "D", ".example", 63},
        {"a@xx.", "d.", "d", 124}, // 253 bytes are the most
        {"a@XX.", "d.", "d", 124},
    };
    char text[4 * JID_PART_MAX + 64];
    struct jid jid;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int past = 0; past <= 1; past++) {
            char *to = stpcpy(text, rows[i].before);
            for (int k = 0; k < rows[i].most + past; k++)
                to = stpcpy(to, rows[i].fill);
            stpcpy(to, rows[i].after);
            if (parse(&jid, text) != (past ? EBADMSG : 0))
                fail_msg("row %zu, %d past", i, past);
        }
}

// All three parts at their most fit the scratch that the header asks for, and no less.
static void test_scratch(void **state)
{
    char text[3 * JID_PART_MAX + 3];
    struct jid jid;
    (void)state;
    snprintf(text, sizeof text, "%0*d@EXAMPLE.com/%0*d", JID_PART_MAX, 0, JID_PART_MAX, 0);
    text[0] = 'A';
    assert_int_equal(parse(&jid, text), 0);
    assert_int_equal(jid_parse(&jid, text_of(text), scratch, JID_PART_MAX - 1), EBADMSG);
    assert_int_equal(jid_parse(&jid, text_of(text), scratch, JID_PART_MAX + 10), EBADMSG);
    assert_int_equal(jid_parse(&jid, text_of(text), scratch, JID_PART_MAX + 11), 0);
}

static void test_bare_eq(void **state)
{
    char scratch2[JID_MAX + 1];
    struct jid a, b;
    (void)state;
    assert_int_equal(parse(&a, "Juliet@example.com/balcony"), 0);
    assert_int_equal(jid_parse(&b, TEXT("juliet@EXAMPLE.com"), scratch2, sizeof scratch2), 0);
    assert_true(jid_bare_eq(&a, &b));
    assert_int_equal(jid_parse(&b, TEXT("romeo@example.com"), scratch2, sizeof scratch2), 0);
    assert_false(jid_bare_eq(&a, &b));
    assert_int_equal(jid_parse(&b, TEXT("juliet@example.net"), scratch2, sizeof scratch2), 0);
    assert_false(jid_bare_eq(&a, &b));
    assert_int_equal(jid_parse(&b, TEXT("example.com"), scratch2, sizeof scratch2), 0);
    assert_false(jid_bare_eq(&a, &b));
}

static void test_write(void **state)
{
    struct buffer b;
    struct jid jid;
    (void)state;
    buffer_init(&b, 0);
    assert_int_equal(parse(&jid, "juliet@example.com/balcony"), 0);
    jid_write_bare(&b, &jid);
    assert_true(text_eq((struct text){b.p, b.n}, TEXT("juliet@example.com")));
    buffer_reset(&b);
    assert_int_equal(parse(&jid, "example.com/x"), 0);
    jid_write(&b, &jid);
    assert_true(text_eq((struct text){b.p, b.n}, TEXT("example.com/x")));
    buffer_free(&b);
}

// What is prepared stays as it is when prepared again.
static void test_idempotent(void **state)
{
    static const char *const atoms[] = {"a",        "A",
                                        "0",        "-",
                                        ".",        "@",
                                        "/",        "\xc3\x9c",
                                        "\xc3\x9f", "\xef\xbc\xa1",
                                        "\xcc\x88", "\xd7\x90",
                                        "xn--",     "[",
                                        "]",        ":",
                                        "\xc2\xad", "\xe3\x80\x82",
                                        "\xff",     " "};
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < 50000; i++) {
        char text[128], once[JID_MAX + 1], *to = text;
        unsigned n = 1 + (unsigned)(seed >> 60);
        for (unsigned k = 0; k < n; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            to = stpcpy(to, atoms[(seed >> 33) % (sizeof atoms / sizeof *atoms)]);
        }
        strcpy(once, prepared(text));
        if (*once)
            assert_string_equal(prepared(once), once);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),      cmocka_unit_test(test_plain_is_borrowed),
        cmocka_unit_test(test_prepared),   cmocka_unit_test(test_no_jids),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_bare_eq),    cmocka_unit_test(test_write),
        cmocka_unit_test(test_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
