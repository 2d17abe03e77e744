// Entity capabilities (XEP-0115) of SIP users' devices: what their presence says they can do is
// what they say when they are asked.
//
//   juliet            gateway              romeo
//     |  presence, <c/>  |  NOTIFY           |
//     |<-----------------|<------------------|
//     |  disco#info node='NODE#VER'          |
//     |----------------->|                   |
//     |  result          |     (nothing)     |
//     |<-----------------|                   |
#include "flows.h"

#include <stdlib.h>
#include <string.h>

#include "core/wire/stanza_caps.h"

#define DEVICE "romeo@example.net/dr4hcr0st3lup4c"
#define ASKS(to, node)                                                                             \
    "<iq type='get' id='disco1' from='juliet@example.com/balcony' to='" to                         \
    "'>"                                                                                           \
    "<query xmlns='http://jabber.org/protocol/disco#info'" node "/></iq>"
#define NODE(node) " node='" node "'"
#define REFUSED(from)                                                                              \
    "<iq from='" from                                                                              \
    "' to='juliet@example.com/balcony' id='disco1' type='error'>"                                  \
    "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"   \
    "</iq>"

// Whatever follows each `before` in the answer, up to the next quote.
static size_t texts_behind(const char *answer, const char *before, struct text out[CAPS_PARTS_MAX])
{
    size_t n = 0;
    for (const char *at = answer; (at = strstr(at, before)) != NULL; n++) {
        at += strlen(before);
        assert_true(n < CAPS_PARTS_MAX);
        out[n] = (struct text){at, strcspn(at, "'")};
    }
    return n;
}

// The verification string of an answer as somebody else would compute it.
static char *ver_of(const char *answer)
{
    struct text category[CAPS_PARTS_MAX], type[CAPS_PARTS_MAX], features[CAPS_PARTS_MAX];
    struct stanza_identity identity = {{0}, {0}, {0}, {0}};
    struct stanza_caps caps = {.identities = &identity, .n_identities = 1, .features = features};
    struct buffer b;
    assert_int_equal(texts_behind(answer, "<identity category='", category), 1);
    assert_int_equal(texts_behind(answer, "' type='", type), 1);
    assert_null(strstr(answer, "name='"));
    identity.category = category[0];
    identity.type = type[0];
    caps.n_features = texts_behind(answer, "<feature var='", features);
    assert_true(caps.n_features > 3);
    buffer_init(&b, 0);
    stanza_caps_ver(&b, &caps);
    buffer_char(&b, '\0');
    assert_false(b.failed);
    return b.p;
}

static void the_answer_has_the_hash_of_presence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    static const char *const QUESTIONS[] = {ASKS(DEVICE, NODE(CAPS_NODE "#" CAPS_VER)),
                                            ASKS(DEVICE, ""), ASKS(DEVICE, NODE(""))};
    for (size_t i = 0; i < 3; i++) {
        xmpp_says(s, QUESTIONS[i]);
        const char *answer = xmpp_next(s);
        assert_non_null(answer);
        assert_non_null(strstr(answer, "<iq type='result' from='" DEVICE "'"));
        // With the node that was asked of (XEP-0115 §6.2).
        assert_int_equal(strstr(answer, NODE(CAPS_NODE "#" CAPS_VER)) != NULL, i == 0);
        char *ver = ver_of(strstr(answer, "<query"));
        assert_string_equal(ver, CAPS_VER);
        free(ver);
        quiet(s);
    }
    stage_close(s);
}

static void it_wants_the_events_of_those_it_watches(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    xmpp_says(s, ASKS(DEVICE, ""));
    const char *answer = xmpp_next(s);
    assert_non_null(strstr(answer, "'http://jabber.org/protocol/mood+notify'"));
    assert_non_null(strstr(answer, "'http://jabber.org/protocol/activity+notify'"));
    assert_non_null(strstr(answer, "'http://jabber.org/protocol/caps'"));
    stage_close(s);
}

static void other_nodes_are_none(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    xmpp_says(s, ASKS(DEVICE, NODE(CAPS_NODE)));
    xmpp_sees(s, REFUSED(DEVICE));
    xmpp_says(s, ASKS(DEVICE, NODE(CAPS_NODE "#" CAPS_VER "x")));
    xmpp_sees(s, REFUSED(DEVICE));
    xmpp_says(s, ASKS(DEVICE, NODE("#" CAPS_VER)));
    xmpp_sees(s, REFUSED(DEVICE));
    xmpp_says(s, ASKS("romeo@example.net", NODE(CAPS_NODE "#" CAPS_VER))); // no device
    xmpp_sees(s, REFUSED("romeo@example.net"));
    xmpp_says(s, ASKS("example.net", NODE(CAPS_NODE "#" CAPS_VER)));
    xmpp_sees(s, REFUSED("example.net"));
    xmpp_says(s, "<iq type='get' id='disco1' from='juliet@example.com/balcony' to='" DEVICE
                 "'>"
                 "<query xmlns='http://jabber.org/protocol/disco#items'" NODE(
                     CAPS_NODE "#" CAPS_VER) "/></iq>");
    xmpp_sees(s, REFUSED(DEVICE));
    quiet(s);
    stage_close(s);
}

// The name of a node may be as long as a stanza lets it.
static void a_node_beyond_measure_is_none(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (size_t n = 4095; n <= 4097; n++) {
        struct buffer b;
        buffer_init(&b, 0);
        buffer_lit(&b, "<iq type='get' id='disco1' from='juliet@example.com/balcony' to='" DEVICE
                       "'><query xmlns='http://jabber.org/protocol/disco#info' node='");
        for (size_t i = 0; i < n; i++)
            buffer_char(&b, 'x');
        buffer_lit(&b, "'/></iq>");
        buffer_char(&b, '\0');
        xmpp_says(s, b.p);
        xmpp_sees(s, REFUSED(DEVICE));
        buffer_free(&b);
    }
    quiet(s);
    stage_close(s);
}

static void devices_that_are_there_have_it(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF(TUPLE("ID-a", "<basic>open</basic>")));
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_null(strstr(xmpp_next(s), "<c "));
    assert_string_equal(xmpp_next(s),
                        "<presence from='romeo@example.net/a' to='juliet@example.com'>" CAPS
                        "</presence>");
    sip_notifies(s, &d, "active;expires=3600", PIDF(TUPLE("ID-a", "<basic>closed</basic>")));
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_null(strstr(xmpp_next(s), "<c "));
    sip_notifies(s, &d, "active;expires=3600", PIDF(TUPLE("", "<basic>open</basic>")));
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_string_equal(xmpp_next(s), // no device that could be asked
                        "<presence from='romeo@example.net' to='juliet@example.com'/>");
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_has_the_hash_of_presence),
        cmocka_unit_test(it_wants_the_events_of_those_it_watches),
        cmocka_unit_test(other_nodes_are_none),
        cmocka_unit_test(a_node_beyond_measure_is_none),
        cmocka_unit_test(devices_that_are_there_have_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
