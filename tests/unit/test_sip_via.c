// Has a request been here before? What its Via values say of that.
#include "core/wire/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct sip_parser *parser;

static bool passed_by(const struct sip_message *m, struct text host, uint16_t first, uint16_t last)
{
    struct sip_echo echo;
    sip_echo_of(&echo, m);
    return sip_passed(&echo, host, first, last);
}

static bool passed(const char *vias, const char *host)
{
    char text[2048];
    const struct sip_message *m;
    int n = snprintf(text, sizeof text,
                     "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\n%sFrom: <sip:a@b>;tag=1\r\n"
                     "To: <sip:c@d>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\n\r\n",
                     vias);
    assert_int_equal(sip_parse(parser, text, (size_t)n, &m), 0);
    return passed_by(m, text_of(host), 5060, 5083);
}

static void expect(const char *via, bool wanted)
{
    char vias[1024];
    snprintf(vias, sizeof vias, "Via: %s\r\n", via);
    if (passed(vias, "gw.example.net") != wanted)
        fail_msg("%s: %s", via, wanted ? "has been here" : "has not been here");
}

static void names_and_ports(void **state)
{
    (void)state;
    expect("SIP/2.0/UDP gw.example.net:5080;branch=z9hG4bKa", true);
    expect("SIP/2.0/UDP GW.Example.NET:5083;branch=z9hG4bKa", true);
    expect("SIP / 2.0 / UDP  gw.example.net : 5080 ;branch=z9hG4bKa", true);
    expect("SIP/2.0/UDP gw.example.net:5059;branch=z9hG4bKa", false);
    expect("SIP/2.0/UDP gw.example.net:5084;branch=z9hG4bKa", false);
    expect("SIP/2.0/UDP w.example.net:5080;branch=z9hG4bKa", false);
    expect("SIP/2.0/UDP gw.example.net.:5080;branch=z9hG4bKa", false);
    // What is behind the sent-by says nothing of who wrote it.
    expect("SIP/2.0/UDP h;received=192.0.2.1;branch=z9hG4bKa;x=\"gw.example.net:5080\"", false);
}

// RFC 3261 §18.1.1: 5060, for TLS 5061.
static void standard_ports(void **state)
{
    const struct sip_message *m;
    static const char text[] =
        "SUBSCRIBE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS gw.example.net;branch=z9hG4bKa\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\n\r\n";
    (void)state;
    expect("SIP/2.0/UDP gw.example.net;branch=z9hG4bKa", true);
    expect("SIP/2.0/TLS gw.example.net;branch=z9hG4bKa", true);
    assert_int_equal(sip_parse(parser, text, sizeof text - 1, &m), 0);
    assert_true(passed_by(m, TEXT("gw.example.net"), 5061, 5061));
    assert_false(passed_by(m, TEXT("gw.example.net"), 5060, 5060));
}

static void any_of_them(void **state)
{
    (void)state;
    assert_true(
        passed("Via: SIP/2.0/UDP a;branch=z9hG4bKa, SIP/2.0/TCP b;x=\"q,\", "
               "SIP/2.0/UDP gw.example.net:5081;branch=z9hG4bKb\r\n",
               "gw.example.net"));
    assert_true(
        passed("Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\nv: SIP/2.0/UDP b\r\n"
               "Via: SIP/2.0/UDP gw.example.net:5081\r\n",
               "gw.example.net"));
    assert_false(
        passed("Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP b\r\n", "gw.example.net"));
    assert_false(passed("", "gw.example.net"));
}

static void ipv6(void **state)
{
    static const char vias[] = "Via: SIP/2.0/UDP [2001:DB8:0::1]:5080;branch=z9hG4bKa\r\n";
    (void)state;
    assert_true(passed(vias, "2001:db8::1"));
    assert_true(passed(vias, "[2001:db8::1]"));
    assert_false(passed(vias, "2001:db8::2"));
    assert_true(passed("Via: SIP/2.0/UDP [2001:db8::1];branch=z9hG4bKa\r\n", "2001:db8::1"));
    // The port inside the brackets is none (RFC 5118 §4.3).
    assert_false(passed("Via: SIP/2.0/UDP [2001:db8::1:5080];branch=z9hG4bKa\r\n", "2001:db8::1"));
}

// Values below the top are not looked at by the parser: nonsense there is nobody's.
static void nonsense(void **state)
{
    static const char *const below[] = {
        "SIP",
        "SIP/",
        "SIP/2.0",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ;x",
        "SIP/2.0/UDP :5080",
        "SIP//",
        "SIP/2.0/UDP []:5080",
        "SIP/2.0/UDP [gw.example.net:5080",
        "SIP/2.0/UDP gw.example.net:",
        "SIP/2.0/UDP gw.example.net:5080x",
        "SIP/2.0/UDP gw.example.net:99999",
        "SIP/2.0/UDP \"gw.example.net:5080",
        "SIP/2.0/UDPgw.example.net:5080",
    };
    char vias[512];
    (void)state;
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        snprintf(vias, sizeof vias, "Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\nVia: %s\r\n", below[i]);
        if (passed(vias, "gw.example.net"))
            fail_msg("%s", below[i]);
    }
}

static int start(void **state)
{
    (void)state;
    return sip_parser_create(&parser, 65536);
}

static int stop(void **state)
{
    (void)state;
    sip_parser_destroy(parser);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_ports), cmocka_unit_test(standard_ports),
        cmocka_unit_test(any_of_them),     cmocka_unit_test(ipv6),
        cmocka_unit_test(nonsense),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
