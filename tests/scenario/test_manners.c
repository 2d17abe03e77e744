// Questions that any XMPP entity may be asked: the gateway answers for itself and for SIP users,
// and nothing crosses to SIP.
//
//   juliet          gateway              SIP
//     |  iq get        |                  |
//     |--------------->|                  |
//     |  iq result     |     (nothing)    |
//     |<---------------|                  |
#include "flows.h"

#include <stdio.h>

#define ASKS(type, to, payload)                                                                    \
    "<iq type='" type "' id='q1' from='juliet@example.com/balcony' to='" to "'>" payload "</iq>"
#define RESULT(from, payload)                                                                      \
    "<iq type='result' from='" from "' to='juliet@example.com/balcony' id='q1'>" payload "</iq>"
#define PONG(from) "<iq type='result' from='" from "' to='juliet@example.com/balcony' id='q1'/>"
#define ERROR(from, type, condition)                                                               \
    "<iq from='" from "' to='juliet@example.com/balcony' id='q1' type='error'><error type='" type  \
    "'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
#define REFUSAL(from) ERROR(from, "cancel", "service-unavailable")
#define NO_NODE(from) ERROR(from, "cancel", "item-not-found")

#define INFO         "<query xmlns='http://jabber.org/protocol/disco#info'/>"
#define ITEMS        "<query xmlns='http://jabber.org/protocol/disco#items'/>"
#define INFO_OF(n)   "<query xmlns='http://jabber.org/protocol/disco#info' node='" n "'/>"
#define ITEMS_OF(n)  "<query node='" n "' xmlns='http://jabber.org/protocol/disco#items'/>"
#define PING         "<ping xmlns='urn:xmpp:ping'/>"
#define VERSION      "<query xmlns='jabber:iq:version'/>"
#define LAST         "<query xmlns='jabber:iq:last'/>"
#define FEATURE(var) "<feature var='" var "'/>"
#define HAS(identity, features)                                                                    \
    "<query xmlns='http://jabber.org/protocol/disco#info'>" identity                               \
    "<feature var='http://jabber.org/protocol/disco#info'/>"                                       \
    "<feature var='http://jabber.org/protocol/disco#items'/>"                                      \
    "<feature var='urn:xmpp:ping'/>" features "</query>"
#define GATEWAY                                                                                    \
    HAS("<identity category='gateway' type='sip' name='Isthmus'/>",                                \
        FEATURE("jabber:iq:version") FEATURE("jabber:iq:last"))
#define ACCOUNT                                                                                    \
    HAS("<identity category='account' type='registered'/>",                                        \
        FEATURE("jabber:iq:last") FEATURE("vcard-temp"))
#define DEVICE                                                                                     \
    HAS("<identity category='client' type='phone'/>",                                              \
        FEATURE("jabber:iq:version") FEATURE("jabber:iq:last") FEATURE("urn:xmpp:time")            \
            FEATURE("http://jabber.org/protocol/caps")                                             \
                FEATURE("http://jabber.org/protocol/activity+notify")                              \
                    FEATURE("http://jabber.org/protocol/mood+notify"))

static const struct exchange {
    const char *why, *said, *seen;
} exchanges[] = {
    {"what the domain is", ASKS("get", "example.net", INFO), RESULT("example.net", GATEWAY)},
    {"what the gateway's own domain is", ASKS("get", "gw.example.net", INFO),
     RESULT("gw.example.net", GATEWAY)},
    {"what a user is", ASKS("get", "romeo@example.net", INFO),
     RESULT("romeo@example.net", ACCOUNT)},
    {"what a device is", ASKS("get", "romeo@example.net/orchard", INFO),
     RESULT("romeo@example.net/orchard", DEVICE)},
    {"an address is answered in the spelling that was asked",
     ASKS("get", "Romeo@Example.NET/o&apos;x", INFO), RESULT("Romeo@Example.NET/o&apos;x", DEVICE)},
    {"an empty node is none", ASKS("get", "example.net", INFO_OF("")),
     RESULT("example.net", GATEWAY)},
    {"a node of the domain", ASKS("get", "example.net", INFO_OF("x")), NO_NODE("example.net")},
    {"a node of a user", ASKS("get", "romeo@example.net", INFO_OF("http://psi-im.org#x")),
     NO_NODE("romeo@example.net")},
    {"a node of a device", ASKS("get", "romeo@example.net/o", INFO_OF("x")),
     NO_NODE("romeo@example.net/o")},
    {"what the domain has", ASKS("get", "example.net", ITEMS), RESULT("example.net", ITEMS)},
    {"what the gateway's own domain has", ASKS("get", "gw.example.net", ITEMS),
     RESULT("gw.example.net", ITEMS)},
    {"what a user has", ASKS("get", "romeo@example.net", ITEMS),
     RESULT("romeo@example.net", ITEMS)},
    {"what a device has", ASKS("get", "romeo@example.net/o", ITEMS),
     RESULT("romeo@example.net/o", ITEMS)},
    {"what a node has", ASKS("get", "example.net", ITEMS_OF("x")), NO_NODE("example.net")},
    {"a ping of the domain", ASKS("get", "example.net", PING), PONG("example.net")},
    {"a ping of the gateway", ASKS("get", "gw.example.net", PING), PONG("gw.example.net")},
    {"a ping of a user", ASKS("get", "romeo@example.net", PING), PONG("romeo@example.net")},
    {"a ping of a device", ASKS("get", "romeo@example.net/o", PING), PONG("romeo@example.net/o")},
    {"which version it is", ASKS("get", "example.net", VERSION),
     RESULT("example.net",
            "<query xmlns='jabber:iq:version'><name>Isthmus</name>"
            "<version>" ISTHMUS_VERSION "</version></query>")},
    // That of the gateway is not his.
    {"which version a user has", ASKS("get", "romeo@example.net", VERSION),
     REFUSAL("romeo@example.net")},
    {"which version a device is", ASKS("get", "romeo@example.net/o", VERSION),
     REFUSAL("romeo@example.net/o")},
    // Nobody's business.
    {"when a user was last seen", ASKS("get", "romeo@example.net", LAST),
     REFUSAL("romeo@example.net")},
    {"since when a device is idle", ASKS("get", "romeo@example.net/o", LAST),
     REFUSAL("romeo@example.net/o")},
    {"a question that is unknown",
     ASKS("get", "example.net", "<query xmlns='jabber:iq:register'/>"), REFUSAL("example.net")},
    {"an element that is unknown", ASKS("get", "example.net", "<x xmlns='jabber:iq:version'/>"),
     REFUSAL("example.net")},
    {"a ping by another name", ASKS("get", "romeo@example.net", "<query xmlns='urn:xmpp:ping'/>"),
     REFUSAL("romeo@example.net")},
    {"no question at all", ASKS("get", "romeo@example.net", ""), REFUSAL("romeo@example.net")},
    {"an order", ASKS("set", "example.net", INFO), REFUSAL("example.net")},
    {"an order to a user", ASKS("set", "romeo@example.net", PING), REFUSAL("romeo@example.net")},
    {"an iq of no type there is", ASKS("nonsense", "example.net", PING),
     ERROR("example.net", "modify", "bad-request")},
    {"an iq of no type at all",
     "<iq id='q1' from='juliet@example.com/balcony' to='romeo@example.net'>" PING "</iq>",
     ERROR("romeo@example.net", "modify", "bad-request")},
    {"a resource of the domain", ASKS("get", "example.net/x", INFO), REFUSAL("example.net/x")},
    {"somebody at the gateway's own domain", ASKS("get", "romeo@gw.example.net", INFO),
     NO_NODE("romeo@gw.example.net")},
    {"servers ask, too",
     "<iq type='get' id='disco' from='example.com' to='example.net'>" INFO "</iq>",
     "<iq type='result' from='example.net' to='example.com' id='disco'>" GATEWAY "</iq>"},
    {"a server asks of a user",
     "<iq type='get' id='disco' from='example.com' to='romeo@example.net'>" PING "</iq>",
     "<iq type='result' from='romeo@example.net' to='example.com' id='disco'/>"},
    {"a foreigner asks",
     "<iq type='get' id='q1' from='tybalt@capulet.example/x' to='example.net'>" INFO "</iq>",
     "<iq from='example.net' to='tybalt@capulet.example/x' id='q1' type='error'>"
     "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
    {"a foreigner pings a user",
     "<iq type='get' id='q1' from='tybalt@capulet.example/x' to='romeo@example.net'>" PING "</iq>",
     "<iq from='romeo@example.net' to='tybalt@capulet.example/x' id='q1' type='error'>"
     "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
    {"a result that nobody asked for",
     "<iq type='result' id='q1' from='juliet@example.com/b' to='example.net'>" INFO "</iq>", NULL},
};

static void each_gets_its_answer(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
        print_message("    %s\n", exchanges[i].why);
        xmpp_says(s, exchanges[i].said);
        if (exchanges[i].seen)
            xmpp_sees(s, exchanges[i].seen);
        quiet(s);
    }
    assert_int_equal(s->puts, 0);
    all_is_over(s, 100);
    stage_close(s);
}

static void sees_uptime(struct stage *s, unsigned seconds)
{
    char want[256];
    snprintf(want, sizeof want,
             RESULT("example.net", "<query xmlns='jabber:iq:last' seconds='%u'/>"), seconds);
    xmpp_says(s, ASKS("get", "example.net", LAST));
    xmpp_sees(s, want);
}

// XEP-0012 §5: of a service, the time since it was started.
static void says_how_long_it_is_up(void **state)
{
    (void)state;
    struct stage *s = stage_open(); // takes a second
    sees_uptime(s, 1);
    stage_pass_ms(s, 999);
    sees_uptime(s, 1);
    stage_pass_ms(s, 1);
    sees_uptime(s, 2);
    stage_pass_s(s, 86400);
    sees_uptime(s, 86402);
    stage_crash(s);
    stage_streams_up(s);
    sees_uptime(s, 1);
    stage_close(s);
}

// A question to the gateway while it is asking her is a question, and answers nothing.
static void a_question_is_no_answer_to_a_probe(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_until_said(s, 3600);
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    xmpp_says(s, ASKS("get", "gw.example.net", PING));
    xmpp_sees(s, PONG("gw.example.net"));
    quiet(s);
    xmpp_answers_fence(s, "juliet@example.com", id);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
    quiet(s);
    stage_close(s);
}

static void no_answer_without_a_stream(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    stage_streams_down(s);
    xmpp_says(s, ASKS("get", "example.net", INFO));
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_answer),
        cmocka_unit_test(says_how_long_it_is_up),
        cmocka_unit_test(a_question_is_no_answer_to_a_probe),
        cmocka_unit_test(no_answer_without_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
