// Addresses on the wire: IPv6 in what the gateway says of itself, numbers as users, and that all
// spellings of a SIP address are one user. RFC 5118 §4.3; RFC 3966 §5.1.5; RFC 3261 §19.1.4.
#include "flows.h"

static void on_ipv6(struct core_config *cfg)
{
    cfg->advertise = TEXT("2001:db8::1");
}

// juliet            gateway             romeo
//   |  subscribe        |                  |
//   |------------------>|  SUBSCRIBE       |
//   |                   |----------------->|  Via and Contact: [2001:db8::1]:port
static void brackets_and_the_port_outside(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(on_ipv6);
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "\r\nVia: SIP/2.0/UDP [2001:db8::1]:5080;branch=z9hG4bK",
             "\r\nContact: <sip:juliet@[2001:db8::1]:5080;gr=example.com>\r\n", NULL);
    sip_lacks(s, "[[");
    stage_close(s);
}

#define SUBSCRIBE_FOR(ruri, from)                                                                  \
    "SUBSCRIBE " ruri                                                                              \
    " SIP/2.0\n"                                                                                   \
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKna998sk;rport\n"                                \
    "From: <" from ">;tag=xfg9\nTo: <" ruri                                                        \
    ">\n"                                                                                          \
    "Call-ID: AA5A8BE5-CBB7-42B9-8181-6230012B1E11\nEvent: presence\nMax-Forwards: 70\n"           \
    "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\n\n"

// romeo             gateway             7042@example.com
//   |  SUBSCRIBE tel:70-42;phone-context=example.com
//   |------------------>|  probe           |
//   |                   |----------------->|
static void a_number_is_somebody_at_a_domain(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    sip_says(s, SUBSCRIBE_FOR("tel:70-42;phone-context=example.com", "sip:romeo@example.net"));
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='7042@example.com' type='probe' "
              "id='serve-probe'/>");
    stage_close(s);
}

// What no domain is said of is nobody's: no packet crosses.
static void a_global_number_is_nobody(void **state)
{
    (void)state;
    static const char *const requests[] = {
        SUBSCRIBE_FOR("tel:+1-201-555-0123", "sip:romeo@example.net"),
        SUBSCRIBE_FOR("tel:863-1234;phone-context=+1-914-555", "sip:romeo@example.net"),
        SUBSCRIBE_FOR("sip:juliet@example.com", "tel:+1-201-555-0123"),
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        sip_says(s, requests[i]);
        sip_sees(s, "SIP/2.0 416", NULL);
        quiet(s);
    }
    stage_close(s);
}

// He is who he is, however his address is written.
static void one_user_of_many_spellings(void **state)
{
    (void)state;
    static const char *const requests[] = {
        SUBSCRIBE_FOR("sip:juliet@example.com", "sip:romeo@example.net"),
        SUBSCRIBE_FOR("sip:%6Auliet@EXAMPLE.com:5060;transport=tcp", "sip:r%6fmeo@Example.Net"),
        SUBSCRIBE_FOR("pres:Juliet@example.com", "sip:romeo:secret@example.net;user=phone"),
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct stage *s = stage_open();
        sip_says(s, requests[i]);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, ROMEO_PROBES);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brackets_and_the_port_outside),
        cmocka_unit_test(a_number_is_somebody_at_a_domain),
        cmocka_unit_test(a_global_number_is_nobody),
        cmocka_unit_test(one_user_of_many_spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
