// Mood and activity (XEP-0107, XEP-0108, RFC 4480) through the whole gateway: events to those who
// watch a SIP user, events from those whom he watches.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOOD_NS     "http://jabber.org/protocol/mood"
#define ACTIVITY_NS "http://jabber.org/protocol/activity"
#define EVENT(from, to, node, payload)                                                             \
    "<message from='" from "' to='" to                                                             \
    "' type='headline'>"                                                                           \
    "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='" node                    \
    "'>"                                                                                           \
    "<item id='current'>" payload "</item></items></event></message>"
#define MOOD(inside)     "<mood xmlns='" MOOD_NS "'>" inside "</mood>"
#define ACTIVITY(inside) "<activity xmlns='" ACTIVITY_NS "'>" inside "</activity>"

// ---- SIP to XMPP

#define HE_FEELS(to, inside) EVENT("romeo@example.net", to, MOOD_NS, MOOD(inside))
#define HE_DOES(to, inside)  EVENT("romeo@example.net", to, ACTIVITY_NS, ACTIVITY(inside))
#define HE_FEELS_NO_MORE                                                                           \
    EVENT("romeo@example.net", "juliet@example.com", MOOD_NS, "<mood xmlns='" MOOD_NS "'/>")
#define HE_DOES_NO_MORE                                                                            \
    EVENT("romeo@example.net", "juliet@example.com", ACTIVITY_NS,                                  \
          "<activity xmlns='" ACTIVITY_NS "'/>")

#define PERSON(rpid)                                                                               \
    "<dm:person xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' "                                \
    "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' id='p'>" rpid "</dm:person>"
#define THERE   TUPLE("ID-dr4hcr0st3lup4c", OPEN("away"))
#define IN_LOVE "<r:mood><r:note>the moon</r:note><r:in_love/></r:mood>"
#define MEETS   "<r:activities><r:meeting/></r:activities>"

static void he_says(struct stage *s, struct stage_dialog *d, const char *document)
{
    sip_notifies(s, d, "active;expires=3600", document);
    sip_sees(s, "SIP/2.0 200", NULL);
}

#define AS_TEXT(shown)                                                                             \
    "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"                  \
    "<show>away</show><status>" shown "</status></presence>"

//   juliet            gateway              romeo
//     |                  |  NOTIFY (RPID)    |
//     |  presence        |<------------------|
//     |  headline: mood  |                   |
//     |  headline: activity                  |
//     |<-----------------|                   |
static void what_changes_is_an_event(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    he_says(s, &d, PIDF(THERE PERSON(IN_LOVE MEETS)));
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, AS_TEXT("the moon")); // where there is no status
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<in_love/><text>the moon</text>"));
    xmpp_sees(s, HE_DOES("juliet@example.com", "<working><in_a_meeting/></working>"));
    quiet(s);
    he_says(s, &d, PIDF(THERE PERSON(IN_LOVE MEETS))); // the same
    quiet(s);
    he_says(s, &d, PIDF(THERE PERSON(IN_LOVE "<r:activities><r:tv/></r:activities>")));
    xmpp_sees(s, AS_TEXT("the moon"));
    xmpp_sees(s, HE_DOES("juliet@example.com", "<relaxing><watching_tv/></relaxing>"));
    quiet(s);
    he_says(s, &d,
            PIDF(TUPLE("ID-dr4hcr0st3lup4c", OPEN("dnd"))
                     PERSON("<r:mood><r:in_love/></r:mood>"
                            "<r:activities><r:tv/></r:activities>")));
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"
              "<show>dnd</show></presence>");
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<in_love/>"));
    quiet(s);
    stage_close(s);
}

static void what_ends_is_an_empty_item(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    he_says(s, &d, PIDF(THERE PERSON("<r:mood><r:calm/></r:mood>" MEETS)));
    xmpp_sees(s, ROMEO_AWAY);
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<calm/>"));
    xmpp_sees(s, HE_DOES("juliet@example.com", "<working><in_a_meeting/></working>"));
    he_says(s, &d, PIDF(THERE PERSON(MEETS)));
    xmpp_sees(s, ROMEO_AWAY);
    xmpp_sees(s, HE_FEELS_NO_MORE);
    quiet(s);
    he_says(s, &d, PIDF_CLOSED); // nobody is there, nobody does anything
    xmpp_sees(s, ROMEO_GONE);
    xmpp_sees(s, HE_DOES_NO_MORE);
    quiet(s);
    he_says(s, &d, PIDF_AWAY);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

// Away and busy are presence, not activities (XEP-0108 §4).
static void what_presence_says_is_no_event(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    he_says(s, &d, PIDF(THERE PERSON("<r:activities><r:away/></r:activities>")));
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

// Whoever has just come is told as well, and nobody else (XEP-0163 §4.3.4).
static void a_session_that_comes_is_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    he_says(s, &d, PIDF(THERE PERSON("<r:mood><r:calm/></r:mood>")));
    xmpp_sees(s, ROMEO_AWAY);
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<calm/>"));
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net' "
              "type='probe'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' "
              "to='juliet@example.com/balcony'><show>away</show></presence>");
    xmpp_sees(s, HE_FEELS("juliet@example.com/balcony", "<calm/>"));
    quiet(s);
    stage_close(s);
}

static void a_refusal_takes_it_back(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    he_says(s, &d, PIDF(THERE PERSON("<r:mood><r:calm/></r:mood>")));
    xmpp_sees(s, ROMEO_AWAY);
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<calm/>"));
    sip_notifies(s, &d, "terminated;reason=rejected", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    unsigned taken_back = 0;
    for (const char *m; (m = xmpp_next(s)) != NULL;)
        taken_back += strcmp(m, HE_FEELS_NO_MORE) == 0;
    assert_int_equal(taken_back, 1);
    all_is_over(s, 200);
    stage_close(s);
}

// A document of somebody who has not approved her, or that she asked for once, is no event.
static void only_who_is_approved_is_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", PIDF(THERE PERSON(IN_LOVE MEETS)));
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    xmpp_says(s, "<presence from='tybalt@example.com/x' to='romeo@example.net' type='probe'/>");
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    sip_dialog_of_subscribe(s, &d, "once");
    sip_answers(s, 200, "Expires: 0\n");
    sip_notifies(s, &d, "terminated;reason=timeout",
                 PIDF(THERE PERSON("<r:mood><r:calm/></r:mood>")));
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='tybalt@example.com/x'>"
              "<show>away</show></presence>");
    quiet(s);
    stage_close(s);
}

// What ended while the stream was down is taken back when it is up again.
static void a_lost_stream_is_made_up_for(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    he_says(s, &d, PIDF(THERE PERSON("<r:mood><r:calm/></r:mood>" MEETS)));
    xmpp_sees(s, ROMEO_AWAY);
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<calm/>"));
    xmpp_sees(s, HE_DOES("juliet@example.com", "<working><in_a_meeting/></working>"));
    stage_streams_down(s);
    he_says(s, &d, PIDF(THERE PERSON(MEETS)));
    quiet(s);
    stage_streams_up(s);
    bool taken_back = false, told = false, mood = false;
    for (const char *m; (m = xmpp_next(s)) != NULL;) {
        taken_back |= strcmp(m, HE_FEELS_NO_MORE) == 0;
        told |= strcmp(m, HE_DOES("juliet@example.com", "<working><in_a_meeting/></working>")) == 0;
        mood |= strstr(m, "calm") != NULL;
    }
    assert_true(taken_back && told && !mood);
    stage_close(s);
}

// Of two devices that say it for themselves the one of the higher priority counts, as in RPID's
// person.
static void the_foremost_device_counts(void **state)
{
    (void)state;
#define DEVICE(id, priority, mood)                                                                 \
    "<tuple id='ID-" id                                                                            \
    "'><status><basic>open</basic></status>"                                                       \
    "<mood xmlns='urn:ietf:params:xml:ns:pidf:rpid'><" mood                                        \
    "/></mood>"                                                                                    \
    "<contact priority='" priority "'>sip:romeo@example.net</contact></tuple>"
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    he_says(s, &d, PIDF(DEVICE("a", "0.1", "sad") DEVICE("b", "0.2", "happy")));
    xmpp_sees(s, SUBSCRIBED);
    assert_non_null(strstr(xmpp_next(s), "/a'"));
    assert_non_null(strstr(xmpp_next(s), "/b'"));
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<happy/>"));
    quiet(s);
    he_says(s, &d, PIDF(DEVICE("a", "0.1", "sad")));
    assert_non_null(strstr(xmpp_next(s), "/b' to='juliet@example.com' type='unavailable'"));
    xmpp_sees(s, HE_FEELS("juliet@example.com", "<sad/>"));
    quiet(s);
    stage_close(s);
}

// ---- XMPP to SIP

#define SHE_FEELS(inside)                                                                          \
    EVENT("juliet@example.com", "romeo@example.net/dr4hcr0st3lup4c", MOOD_NS, MOOD(inside))
#define SHE_DOES(inside)                                                                           \
    EVENT("juliet@example.com", "romeo@example.net/dr4hcr0st3lup4c", ACTIVITY_NS, ACTIVITY(inside))
#define RPID_MOOD(inside)                                                                          \
    "<mood xmlns='urn:ietf:params:xml:ns:pidf:rpid'>" inside "</mood></person>"
#define RPID_ACTIVITIES(inside)                                                                    \
    "<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'>" inside "</activities>"

static void he_sees(struct stage *s, const char *person)
{
    sip_sees(s, "NOTIFY", "Subscription-State: active", "<basic>open</basic>", person, NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

//   juliet's server    gateway              romeo
//     |  headline: mood  |                   |
//     |----------------->|  NOTIFY (RPID)    |
//     |                  |------------------>|
static void an_event_is_said_of_the_person(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SHE_FEELS("<in_love/><text>Romeo &amp; me</text>"));
    he_sees(s, RPID_ACTIVITIES("<away/>") RPID_MOOD("<note>Romeo &amp; me</note><in_love/>"));
    xmpp_says(s, SHE_DOES("<relaxing><watching_tv/></relaxing>"));
    he_sees(s, RPID_ACTIVITIES("<tv/>") RPID_MOOD("<note>Romeo &amp; me</note><in_love/>"));
    xmpp_says(s, SHE_DOES("<relaxing><watching_tv/></relaxing>")); // the same
    quiet(s);
    xmpp_says(s, SHE_FEELS(""));
    sip_sees(s, "NOTIFY", RPID_ACTIVITIES("<tv/>") "</person>", NULL);
    sip_lacks(s, "<mood");
    sip_answers(s, 200, "");
    xmpp_says(s, EVENT("juliet@example.com", "romeo@example.net", ACTIVITY_NS, ""));
    sip_sees(s, "NOTIFY", RPID_ACTIVITIES("<away/>"), NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// No disk is touched, and no more NOTIFYs are in flight than one.
static void events_are_not_stored_and_the_newest_wins(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    unsigned puts = s->puts;
    xmpp_says(s, SHE_FEELS("<sad/>"));
    xmpp_says(s, SHE_FEELS("<angry/>"));
    xmpp_says(s, SHE_FEELS("<happy/>"));
    sip_sees(s, "NOTIFY", "<sad/>", NULL);
    quiet(s);
    sip_answers(s, 200, "");
    he_sees(s, "<happy/>");
    assert_int_equal(s->puts, puts);
    stage_close(s);
}

// What she says with a device holds for the device; of herself it stays, whatever her devices do.
static void it_outlives_her_devices(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SHE_FEELS("<happy/>"));
    he_sees(s, "<happy/>");
    xmpp_says(s, JULIET_DND);
    he_sees(s, RPID_MOOD("<happy/>"));
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
              "<mood xmlns='" MOOD_NS "'><sad/></mood></presence>");
    he_sees(s, RPID_MOOD("<sad/>"));
    xmpp_says(s, JULIET_LEAVES);
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    sip_lacks(s, "mood");
    sip_answers(s, 200, "");
    xmpp_says(s, SHE_FEELS("<calm/>")); // nobody sees her now
    quiet(s);
    xmpp_says(s, JULIET_AWAY);
    he_sees(s, RPID_MOOD("<calm/>"));
    xmpp_says(s, "<presence from='juliet@example.com' to='romeo@example.net' type='unavailable'/>");
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_AWAY);
    he_sees(s, RPID_MOOD("<calm/>"));
    stage_close(s);
}

// Each of them is passed over, and nobody is told that somebody is not there or does not care.
static void what_is_no_event_of_hers_is_nothing(void **state)
{
    (void)state;
    static const char *const NOTHING[] = {
        EVENT("juliet@example.com/balcony", "romeo@example.net", MOOD_NS, MOOD("<sad/>")),
        EVENT("example.com", "romeo@example.net", MOOD_NS, MOOD("<sad/>")),
        EVENT("tybalt@example.com", "romeo@example.net", MOOD_NS, MOOD("<sad/>")),
        EVENT("juliet@example.com", "benvolio@example.net", MOOD_NS, MOOD("<sad/>")),
        EVENT("juliet@example.com", "romeo@example.net", "urn:x", MOOD("<sad/>")),
        EVENT("juliet@example.com", "romeo@example.net", "urn:xmpp:avatar:metadata",
              "<metadata xmlns='urn:xmpp:avatar:metadata'/>"),
        EVENT("juliet@example.com", "romeo@example.net", MOOD_NS, ""),
        EVENT("juliet@example.com", "romeo@example.net", MOOD_NS, MOOD("<undefined/>")),
        EVENT("juliet@example.com", "example.net", MOOD_NS, MOOD("<sad/>")),
        EVENT("juliet@example.com", "romeo@gw.example.net", MOOD_NS, MOOD("<sad/>")),
        EVENT("tybalt@capulet.example", "romeo@example.net", MOOD_NS, MOOD("<sad/>")),
        // One of ours that came back.
        "<message from='juliet@example.com' to='romeo@example.net' type='error'>"
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='" MOOD_NS "'>"
        "<item id='current'>" MOOD("<sad/>") "</item></items></event><error type='cancel'>"
        "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    };
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (size_t i = 0; i < sizeof NOTHING / sizeof *NOTHING; i++) {
        print_message("    %s\n", NOTHING[i]);
        xmpp_says(s, NOTHING[i]);
        quiet(s);
    }
    stage_close(s);
}

static void who_has_not_approved_is_not_believed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s, SHE_FEELS("<sad/>"));
    quiet(s);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_lacks(s, "mood");
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// Nothing of it is left behind.
static void it_goes_with_the_authorization(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SHE_FEELS("<happy/>"));
    he_sees(s, "<happy/>");
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    xmpp_says(s, SHE_FEELS("<sad/>"));
    all_is_over(s, 200);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_is_an_event),
        cmocka_unit_test(what_ends_is_an_empty_item),
        cmocka_unit_test(what_presence_says_is_no_event),
        cmocka_unit_test(a_session_that_comes_is_told),
        cmocka_unit_test(a_refusal_takes_it_back),
        cmocka_unit_test(only_who_is_approved_is_told),
        cmocka_unit_test(a_lost_stream_is_made_up_for),
        cmocka_unit_test(the_foremost_device_counts),
        cmocka_unit_test(an_event_is_said_of_the_person),
        cmocka_unit_test(events_are_not_stored_and_the_newest_wins),
        cmocka_unit_test(it_outlives_her_devices),
        cmocka_unit_test(what_is_no_event_of_hers_is_nothing),
        cmocka_unit_test(who_has_not_approved_is_not_believed),
        cmocka_unit_test(it_goes_with_the_authorization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
