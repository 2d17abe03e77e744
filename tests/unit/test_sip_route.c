// Route sets as text: the first, the rest, and what a strict router is sent. RFC 3261 §12.2.1.1.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/wire/sip_route.h"

static void expect(struct text got, const char *want)
{
    if (!text_eq(got, text_of(want)))
        fail_msg("expected %s, got %.*s", want, TEXT_ARG(got));
}

static void the_first_and_the_rest(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        {"<sip:a;lr>", "sip:a;lr", ""},
        {"<sip:a;lr>,<sip:b>", "sip:a;lr", "<sip:b>"},
        {" \"x, <y>\" <sip:a,b@c;lr>;p=q , <sip:b>, <sip:c>", "sip:a,b@c;lr", "<sip:b>, <sip:c>"},
        {"sip:a;lr, sip:b", "sip:a", "sip:b"}, // without brackets it is the header's parameter
    };
    struct text uri, rest;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(sip_route_first(text_of(table[i][0]), &uri, &rest));
        expect(uri, table[i][1]);
        expect(rest, table[i][2]);
    }
    assert_false(sip_route_first(TEXT(""), &uri, &rest));
    assert_false(sip_route_first(TEXT("<sip:a"), &uri, &rest));
    assert_false(sip_route_first(TEXT(", <sip:a>"), &uri, &rest));
}

static void a_request_uri_made_of_a_route(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"sip:a", "sip:a"},
        {"sip:a:5060;x=y;z", "sip:a:5060;x=y;z"},
        {"sip:a;method=INVITE;x=y", "sip:a;x=y"},
        {"sip:a;x=y;Method=INVITE", "sip:a;x=y"},
        {"sip:a;x=y?Subject=hi&X=;method=z", "sip:a;x=y"},
        {"sip:u;a?b@c?d=e", "sip:u;a?b@c"},
        {"sips:[2001:db8::1]:5061;maddr=[::1]", "sips:[2001:db8::1]:5061;maddr=[::1]"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct buffer b;
        buffer_init(&b, 0);
        sip_route_write_ruri(text_of(table[i][0]), &b);
        expect((struct text){b.p, b.n}, table[i][1]);
        buffer_free(&b);
    }
}

static void the_target_is_the_last(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    sip_route_write_rest(TEXT("<sip:b>, <sip:c;lr>"), TEXT("sip:t@d;x=y"), &b);
    expect((struct text){b.p, b.n}, "<sip:b>, <sip:c;lr>, <sip:t@d;x=y>");
    buffer_reset(&b);
    sip_route_write_rest(TEXT(""), TEXT("sip:t@d"), &b);
    expect((struct text){b.p, b.n}, "<sip:t@d>");
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_and_the_rest),
        cmocka_unit_test(a_request_uri_made_of_a_route),
        cmocka_unit_test(the_target_is_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
