// What counts as a plain value, and what is left to sofia.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/wire/sip_plain.h"

static void is(struct text got, const char *want)
{
    if (!text_eq(got, text_of(want)))
        fail_msg("expected %s, got %.*s", want, TEXT_ARG(got));
}

static void address(const char *value, const char *uri, const char *tag)
{
    struct text u, t;
    assert_true(plain_address(text_of(value), &u, &t));
    is(u, uri);
    is(t, tag);
}

static void addresses(void **state)
{
    (void)state;
    address("<sip:juliet@example.com>", "sip:juliet@example.com", "");
    address("<sip:juliet@example.com>;tag=x-1.2", "sip:juliet@example.com", "x-1.2");
    address("<sip:a@[2001:db8::1];transport=udp?x=y>", "sip:a@[2001:db8::1];transport=udp?x=y", "");
}

static void usual_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *value, *user, *host, *tag; // user NULL: it is not usual
        uint16_t port;
    } rows[] = {
        {"<sip:juliet@example.com>", "juliet", "example.com", "", 0},
        {"<sip:a_b+c-d.e@h:5060>;tag=x-1.2", "a_b+c-d.e", "h", "x-1.2", 5060},
        {"<sip:a@h:65535>", "a", "h", "", 65535},
        {"<sip:a@h:65536>", NULL, "", "", 0},
        {"<sip:a@h:0>", NULL, "", "", 0},
        {"<sip:a@h:>", NULL, "", "", 0},
        {"<sip:a@h:000080>", NULL, "", "", 0},
        {"<sip:a@h:80x>", NULL, "", "", 0},
        {"<sip:a@h;lr>", NULL, "", "", 0},
        {"<sip:a@[::1]>", NULL, "", "", 0},
        {"<sip:a:b@h>", NULL, "", "", 0},
        {"<sip:a%41@h>", NULL, "", "", 0},
        {"<sip:@h>", NULL, "", "", 0},
        {"<sip:a@>", NULL, "", "", 0},
        {"<sip:h>", NULL, "", "", 0},
        {"<sip:a@h", NULL, "", "", 0},
        {"<sip:a@h>;tag=", NULL, "", "", 0},
        {"<sip:a@h>;x", NULL, "", "", 0},
        {"sip:a@h", NULL, "", "", 0},
        {"", NULL, "", "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sip_uri u, parsed;
        struct text uri, tag;
        if (usual_address(text_of(rows[i].value), &u, &uri, &tag) != (rows[i].user != NULL))
            fail_msg("%s", rows[i].value);
        if (!rows[i].user)
            continue;
        is(u.user, rows[i].user);
        is(u.host, rows[i].host);
        is(tag, rows[i].tag);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(sip_uri_parse(&parsed, uri), 0);
        assert_true(text_eq(parsed.user, u.user) && text_eq(parsed.host, u.host));
        assert_true(parsed.port == u.port && parsed.scheme == u.scheme);
    }
}

static void other_addresses(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        "<",
        "<sip:",
        "<sip:juliet@example.com",
        "sip:juliet@example.com",
        "Juliet <sip:juliet@example.com>",
        "\"Juliet\" <sip:juliet@example.com>;tag=x",
        "<sips:juliet@example.com>",
        "<SIP:juliet@example.com>",
        "<sip:juli%65t@example.com>",
        "<sip:juliet@example.com> ;tag=x",
        "<sip:juliet@example.com>;tag=",
        "<sip:juliet@example.com>;tag=x;y",
        "<sip:juliet@example.com>;tag=\"x\"",
        "<sip:juliet@example.com>;Tag=x",
        "<sip:juliet@example.com>, <sip:romeo@example.net>",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct text uri, tag;
        if (plain_address(text_of(values[i]), &uri, &tag))
            fail_msg("%s counts as plain", values[i]);
    }
}

static void via(const char *value, const char *host, const char *port, const char *branch,
                bool rport)
{
    struct plain_via v;
    assert_true(plain_via(text_of(value), &v));
    is(v.host, host);
    is(v.port, port);
    is(v.branch, branch);
    assert_int_equal(v.rport, rport);
}

static void vias(void **state)
{
    (void)state;
    via("SIP/2.0/UDP 192.0.2.1", "192.0.2.1", "", "", false);
    via("SIP/2.0/TCP p.example.net:65535;branch=z9hG4bK-1", "p.example.net", "65535", "z9hG4bK-1",
        false);
    via("SIP/2.0/TLS h:5061;rport;branch=z9hG4bKx", "h", "5061", "z9hG4bKx", true);
    via("SIP/2.0/TCP h;i=1;branch=z9hG4bKx;alias", "h", "", "z9hG4bKx", false);
    via("SIP/2.0/UDP h;received=192.0.2.1;branch=z9hG4bKx", "h", "", "z9hG4bKx", false);
}

static void other_vias(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0/ h",
        "SIP/3.0/UDP h",
        "SIP / 2.0 / UDP h",
        "SIP/2.0/UDP  h",
        "SIP/2.0/UDP h;branch",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h;branch=;rport",
        "SIP/2.0/UDP h ;branch=a",
        "SIP/2.0/UDP h; branch=a",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;rport;",
        "SIP/2.0/UDP h;branch=a;branch=b",
        "SIP/2.0/UDP h;branch=\"a\"",
        "SIP/2.0/UDP h;rport=",
        "SIP/2.0/UDP h;rport=5060",
        "SIP/2.0/UDP h;BRANCH=a",
        "SIP/2.0/UDP h;Rport",
        "SIP/2.0/UDP h;x=\"y\"",
        "SIP/2.0/UDP h;x=;branch=a",
        "SIP/2.0/UDP h;=x",
        "SIP/2.0/UDP h;x y",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h:5060x",
        "SIP/2.0/UDP h : 5060",
        "SIP/2.0/UDP [2001:db8::1]",
        "SIP/2.0/UDP a_b",
        "SIP/2.0/UDP h (a comment)",
        "SIP/2.0/UDP h, SIP/2.0/UDP i",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct plain_via v;
        if (plain_via(text_of(values[i]), &v))
            fail_msg("%s counts as plain", values[i]);
    }
}

static void substate(const char *value, const char *state, const char *expires, const char *reason,
                     const char *retry_after)
{
    struct plain_substate s;
    assert_true(plain_substate(text_of(value), &s));
    is(s.state, state);
    is(s.expires, expires);
    is(s.reason, reason);
    is(s.retry_after, retry_after);
}

static void substates(void **state)
{
    (void)state;
    substate("active", "active", "", "", "");
    substate("active;expires=3600", "active", "3600", "", "");
    substate("terminated;reason=probation;retry-after=5", "terminated", "", "probation", "5");
    substate("x;retry-after=1;expires=2;reason=y", "x", "2", "y", "1");
}

static void other_substates(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        ";expires=1",
        "active;",
        "active ",
        "active ;expires=1",
        "active; expires=1",
        "active;expires",
        "active;expires=",
        "active;expires=;reason=x",
        "active;expires =1",
        "active;expires=1;expires=2",
        "active;Expires=1",
        "active;expires=\"1\"",
        "active;expires=1, active",
        "active;reason=x=y",
        "active;max-rate=1",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct plain_substate s;
        if (plain_substate(text_of(values[i]), &s))
            fail_msg("%s counts as plain", values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),       cmocka_unit_test(usual_addresses),
        cmocka_unit_test(other_addresses), cmocka_unit_test(vias),
        cmocka_unit_test(other_vias),      cmocka_unit_test(substates),
        cmocka_unit_test(other_substates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
