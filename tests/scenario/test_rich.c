// Rich presence through the whole gateway: what one side says beyond a show, the other side sees,
// and what says nothing new is not said again.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pidf_examples.h"

// `document` with each `old` replaced; the caller frees it.
static char *with(const char *document, const char *old, const char *new)
{
    struct buffer b;
    buffer_init(&b, 0);
    assert_non_null(strstr(document, old));
    for (const char *at; (at = strstr(document, old)) != NULL; document = at + strlen(old)) {
        buffer_add(&b, document, (size_t)(at - document));
        buffer_text(&b, text_of(new));
    }
    buffer_text(&b, text_of(document));
    buffer_char(&b, '\0');
    assert_false(b.failed);
    return b.p;
}

#define BLINK_TIME     "2012-09-21T12:53:57.802353+02:00"
#define BLINK_RESOURCE "SID-f4649f87-1aa3-44ec-ab49-d0464528d706"

// He shows Blink's document, said at `time`.
static void blink_notifies(struct stage *s, struct stage_dialog *d, const char *time)
{
    char *document = with(BLINK, BLINK_TIME, time);
    sip_notifies(s, d, "active;expires=3600", document);
    sip_sees(s, "SIP/2.0 200", NULL);
    free(document);
}

static void blink_begins(struct stage *s, struct stage_dialog *d, const char *time)
{
    said_subscribe(s, d);
    sip_answers(s, 200, "Expires: 3600\n");
    blink_notifies(s, d, time);
    xmpp_sees(s, SUBSCRIBED);
}

//   juliet          gateway              Blink
//     |                |  NOTIFY (rich)   |
//     |  one presence  |<-----------------|
//     |<---------------|                  |
static void blink_is_one_presence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    blink_begins(s, &d, BLINK_TIME); // eleven years ago, as the stage counts
    xmpp_sees(s, "<presence from='romeo@example.net/" BLINK_RESOURCE
                 "' to='juliet@example.com'>"
                 "<show>away</show>"
                 "<nick xmlns='http://jabber.org/protocol/nick'>Adrian Georgescu</nick>"
                 "<delay xmlns='urn:xmpp:delay' stamp='2012-09-21T10:53:57.802Z'/></presence>");
    quiet(s);
    stage_close(s);
}

// The next stanza, word for word and shown.
static void juliet_sees(struct stage *s, const char *want)
{
    const char *got = xmpp_next(s);
    assert_non_null(got);
    print_message("    %s\n", got);
    assert_string_equal(got, want);
}

static void juliet_asks(struct stage *s, const char *of, const char *question, const char *payload)
{
    char said[512], want[1024];
    snprintf(said, sizeof said,
             "<iq type='get' id='1' from='juliet@example.com/balcony' to='%s'>%s</iq>", of,
             question);
    snprintf(want, sizeof want,
             "<iq type='result' from='%s' to='juliet@example.com/balcony' id='1'>%s</iq>", of,
             payload);
    print_message("    %s\n", said);
    xmpp_says(s, said);
    juliet_sees(s, want);
}

//   juliet          gateway              Blink
//     |                |  NOTIFY: the document of its description, as it stands there
//     |  subscribed    |<-----------------|
//     |  presence      |                  |
//     |<---------------|                  |
//     |  what else she may ask for        |
//     |<-------------->|                  |
// All that she can come to see of it. The rest has no place in XMPP: tests/PAYLOAD.md.
static void blink_sample_end_to_end(void **state)
{
    (void)state;
#define HIS_DEVICE "romeo@example.net/" BLINK_RESOURCE
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", BLINK);
    sip_sees(s, "SIP/2.0 200", NULL);
    juliet_sees(s, SUBSCRIBED);
    juliet_sees(s, "<presence from='" HIS_DEVICE
                   "' to='juliet@example.com'>"
                   "<show>away</show>"
                   "<nick xmlns='http://jabber.org/protocol/nick'>Adrian Georgescu</nick>" CAPS
                   "<delay xmlns='urn:xmpp:delay' stamp='2012-09-21T10:53:57.802Z'/></presence>");
    quiet(s);
    juliet_asks(s, "romeo@example.net", "<vCard xmlns='vcard-temp'/>",
                "<vCard xmlns='vcard-temp'><FN>Adrian Georgescu</FN><N/>"
                "<NICKNAME>Adrian Georgescu</NICKNAME><PHOTO><EXTVAL>"
                "https://xcap.test.sipthor.net/xcap-root/org.openmobilealliance.pres-content/users/"
                "sip:ag@test.sip2sip.info/oma_status-icon/index</EXTVAL></PHOTO>"
                "<URL>http://georgescu.info</URL></vCard>");
    juliet_asks(s, HIS_DEVICE, "<query xmlns='jabber:iq:version'/>",
                "<query xmlns='jabber:iq:version'><name>Blink Pro</name>"
                "<version>2.0.0 (MacOSX)</version></query>");
    juliet_asks(s, HIS_DEVICE, "<time xmlns='urn:xmpp:time'/>",
                "<time xmlns='urn:xmpp:time'><tzo>+02:00</tzo>"
                "<utc>2023-11-14T22:13:21Z</utc></time>");
    juliet_asks(s, HIS_DEVICE, "<query xmlns='jabber:iq:last'/>",
                "<query xmlns='jabber:iq:last' seconds='0'/>");
    juliet_asks(s, "romeo@example.net", "<query xmlns='jabber:iq:last'/>",
                "<query xmlns='jabber:iq:last' seconds='0'/>");
    quiet(s);
    stage_close(s);
}

// Each note is a status of its own, in its own language, and back again.
static void several_notes_and_languages_survive(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600",
                 PIDF("<tuple id='ID-a'><status><basic>open</basic></status>"
                      "<note xml:lang='en'>Don't disturb</note>"
                      "<note xml:lang='fr'>Ne d\xc3\xa9rangez pas</note>"
                      "<note>...</note></tuple>"));
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s,
              "<presence from='romeo@example.net/a' to='juliet@example.com'>"
              "<status xml:lang='en'>Don&apos;t disturb</status>"
              "<status xml:lang='fr'>Ne d\xc3\xa9rangez pas</status>"
              "<status>...</status></presence>");
    quiet(s);
    stage_close(s);
    s = stage_open();
    serve_established(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
              "<status xml:lang='en'>Don't disturb</status>"
              "<status xml:lang='fr'>Ne d\xc3\xa9rangez pas</status>"
              "<status>...</status></presence>");
    sip_sees(s, "NOTIFY",
             "<note xml:lang='en'>Don&apos;t disturb</note>"
             "<note xml:lang='fr'>Ne d\xc3\xa9rangez pas</note><note>...</note>",
             NULL);
    stage_close(s);
}

#define BLINK_NOW                                                                                  \
    "<presence from='romeo@example.net/" BLINK_RESOURCE                                            \
    "' to='juliet@example.com'>"                                                                   \
    "<show>away</show><nick xmlns='http://jabber.org/protocol/nick'>Adrian Georgescu</nick>"       \
    "</presence>"

// The stage's clock begins at 2023-11-14T22:13:20Z.
static void a_newer_time_alone_is_no_stanza(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    blink_begins(s, &d, "2023-11-14T23:13:20+01:00");
    xmpp_sees(s, BLINK_NOW); // what has just been said is no old news
    quiet(s);
    stage_pass_s(s, 30);
    blink_notifies(s, &d, "2023-11-14T23:13:51.5+01:00");
    quiet(s);
    stage_pass_s(s, 30);
    char *document = with(BLINK, BLINK_TIME, "2023-11-14T23:14:21+01:00");
    char *other = with(document, "Adrian Georgescu", "Romeo");
    sip_notifies(s, &d, "active;expires=3600", other); // that is one
    sip_sees(s, "SIP/2.0 200", NULL);
    char *renamed = with(BLINK_NOW, "Adrian Georgescu", "Romeo");
    xmpp_sees(s, renamed);
    quiet(s);
    free(renamed);
    free(other);
    free(document);
    stage_close(s);
}

#define JULIET_RICH(nick, stamp)                                                                   \
    "<presence from='juliet@example.com/balcony' to='romeo@example.net'><show>away</show>"         \
    "<status>dinner</status><priority>1</priority>"                                                \
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/"      \
    "exodus' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"                                                 \
    "<idle xmlns='urn:xmpp:idle:1' since='2023-11-14T22:00:00Z'/>"                                 \
    "<nick xmlns='http://jabber.org/protocol/nick'>" nick                                          \
    "</nick>"                                                                                      \
    "<delay xmlns='urn:xmpp:delay' stamp='" stamp "'/></presence>"

// What he sees of that, as the body of the NOTIFY that comes next.
static void sees_rich(struct stage *s, const char *nick, const char *stamp)
{
    char want[2048];
    sip_sees(s, "NOTIFY", "Subscription-State: active", "Content-Type: application/pidf+xml", NULL);
    snprintf(
        want, sizeof want,
        "<?xml version='1.0' encoding='UTF-8'?><presence xmlns='urn:ietf:params:xml:ns:pidf' "
        "entity='pres:juliet@example.com'><tuple id='ID-balcony'><status><basic>open</basic>"
        "<show xmlns='jabber:client'>away</show>"
        "<extended xmlns='urn:ag-projects:xml:ns:pidf'>away</extended></status>"
        "<display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'>%s</display-name>"
        "<user-input xmlns='urn:ietf:params:xml:ns:pidf:rpid' last-input='2023-11-14T22:00:00Z'>"
        "idle</user-input><contact priority='0.007'>sip:juliet@example.com;gr=balcony</contact>"
        "<note>dinner</note><timestamp>%s</timestamp></tuple>"
        "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='PERSON'>"
        "<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><away/></activities></person>"
        "</presence>",
        nick, stamp);
    char *got = strndup(stage_sip(s, s->sip->body).p, s->sip->body.n);
    assert_string_equal(got, want);
    free(got);
    sip_answers(s, 200, "");
}

//   juliet          gateway              romeo
//     |  rich presence |                  |
//     |--------------->|  NOTIFY (RPID)   |
//     |                |----------------->|
static void an_xmpp_user_is_tuple_and_person(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_RICH("Juliet &amp; co", "2023-11-14T22:13:20Z"));
    sees_rich(s, "Juliet &amp; co", "2023-11-14T22:13:20Z");
    quiet(s);
    stage_close(s);
}

static void a_newer_time_alone_is_no_notify(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_RICH("Juliet", "2023-11-14T22:13:20Z"));
    sees_rich(s, "Juliet", "2023-11-14T22:13:20Z");
    stage_pass_s(s, 30);
    xmpp_says(s, JULIET_RICH("Juliet", "2023-11-14T22:13:50Z"));
    quiet(s);
    stage_pass_s(s, 30);
    quiet(s);
    xmpp_says(s, JULIET_RICH("J.", "2023-11-14T22:14:20Z")); // that is one
    sees_rich(s, "J.", "2023-11-14T22:14:20Z");
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blink_is_one_presence),
        cmocka_unit_test(blink_sample_end_to_end),
        cmocka_unit_test(several_notes_and_languages_survive),
        cmocka_unit_test(a_newer_time_alone_is_no_stanza),
        cmocka_unit_test(an_xmpp_user_is_tuple_and_person),
        cmocka_unit_test(a_newer_time_alone_is_no_notify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
