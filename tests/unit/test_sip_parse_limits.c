// Reading SIP messages: how many, how long and how large, and one past that.
#include "tests/unit/sip_request.h"

static void test_many_lines(void **state)
{
    static char many[SIP_LINES_MAX * 8];
    (void)state;
    for (int n = SIP_LINES_MAX; n <= SIP_LINES_MAX + 1; n++) {
        char *to = many;
        for (int i = 5; i < n; i++) // besides the five of each request
            to = stpcpy(to, "m:*\r\n");
        expect_defect((struct fields){.more = many}, n > SIP_LINES_MAX ? 400 : 0,
                      "Too Many Header Fields");
    }
}

static void test_many_vias(void **state)
{
    static char many[SIP_VIAS_MAX * 32];
    (void)state;
    for (int n = SIP_VIAS_MAX; n <= SIP_VIAS_MAX + 1; n++) {
        char *to = many;
        for (int i = 0; i < n; i++)
            to = stpcpy(to, i % 2 ? ", SIP/2.0/UDP h" : "\r\nVia: SIP/2.0/UDP h");
        stpcpy(to, "\r\n");
        expect_defect((struct fields){.via = many + 2}, n > SIP_VIAS_MAX ? 400 : 0,
                      "Too Many Via Values");
        assert_int_equal(m->n_vias, SIP_VIAS_MAX);
        assert_true(m->answerable);
    }
}

static void test_long_value(void **state)
{
    static char line[SIP_VALUE_MAX + 64];
    (void)state;
    for (int n = SIP_VALUE_MAX; n <= SIP_VALUE_MAX + 1; n++) {
        snprintf(line, sizeof line, "To: <sip:%0*d@y>;a;b;c\r\n", n - 14, 0);
        expect_defect((struct fields){.to = line}, n > SIP_VALUE_MAX ? 400 : 0, "Bad To");
    }
}

// Nor is a plain one any longer: what it says is kept, and has to fit where it is kept.
static void test_long_plain_value(void **state)
{
    static char line[SIP_VALUE_MAX + 64];
    (void)state;
    for (int n = SIP_VALUE_MAX; n <= SIP_VALUE_MAX + 1; n++) {
        unsigned status = n > SIP_VALUE_MAX ? 400 : 0;
        snprintf(line, sizeof line, "From: <sip:%0*d@y>;tag=1\r\n", n - 14, 0);
        expect_defect((struct fields){.from = line}, status, "Bad From");
        snprintf(line, sizeof line, "From: <sip:x@y;a=%0*d>;tag=1\r\n", n - 18, 0);
        expect_defect((struct fields){.from = line}, status, "Bad From");
        snprintf(line, sizeof line, "Contact: <sip:%0*d@y>\r\n", n - 8, 0);
        expect_defect((struct fields){.more = line}, status, "Bad Contact");
        snprintf(line, sizeof line, "Subscription-State: active;reason=%0*d\r\n", n - 14, 0);
        expect_defect((struct fields){.more = line}, status, "Bad Subscription-State");
        snprintf(line, sizeof line, "Via: SIP/2.0/UDP h;branch=%0*d\r\n", n - 21, 0);
        expect_defect((struct fields){.via = line}, status, "Bad Via");
    }
}

// More parameters than the parser's own memory holds.
static void test_many_parameters(void **state)
{
    static char line[SIP_VALUE_MAX];
    (void)state;
    char *to = stpcpy(line, "To: <sip:x@y>");
    for (int i = 0; i < SIP_VALUE_MAX / 2 - 32; i++)
        to = stpcpy(to, ";a");
    stpcpy(to, ";tag=1\r\n");
    expect_sound((struct fields){.to = line});
    assert_field(to_tag, "1");
}

static void test_too_large(void **state)
{
    static char text[MESSAGE_MAX + 2];
    (void)state;
    size_t n = (size_t)snprintf(text, sizeof text, "%s", request((struct fields){0}));
    memset(text + n, 'x', MESSAGE_MAX + 1 - n);
    assert_int_equal(parse_bytes(text, MESSAGE_MAX), 0);
    assert_int_equal(m->defect, 0);
    assert_int_equal(parse_bytes(text, MESSAGE_MAX + 1), 0);
    assert_int_equal(m->defect, 513);
    assert_true(m->answerable);
}

// Every length of a message: never a crash, and only the whole one is sound.
static void test_cut_short(void **state)
{
    (void)state;
    const char *text = request((struct fields){.more = "Event: presence\r\n"});
    size_t whole = strlen(text);
    for (size_t n = 0; n < whole; n++)
        if (parse_bytes(text, n) == 0)
            assert_int_equal(m->defect, 400);
    assert_int_equal(parse_bytes(text, whole), 0);
    assert_int_equal(m->defect, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_lines),      cmocka_unit_test(test_many_vias),
        cmocka_unit_test(test_long_value),      cmocka_unit_test(test_long_plain_value),
        cmocka_unit_test(test_many_parameters), cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
