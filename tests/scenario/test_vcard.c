// What a SIP user's watchers may ask beyond his presence, and nobody else: vCard (XEP-0054), last
// activity (XEP-0012), version (XEP-0092), time (XEP-0202). All of it was in the documents that
// they were shown; nothing crosses to SIP.
//
//   juliet            gateway              romeo
//     |  iq get          |                   |
//     |----------------->|                   |
//     |  iq result       |     (nothing)     |
//     |<-----------------|                   |
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pidf_examples.h"

#define DEVICE "romeo@example.net/SID-f4649f87-1aa3-44ec-ab49-d0464528d706"
#define ASKED(from, to, payload)                                                                   \
    "<iq type='get' id='q1' from='" from "' to='" to "'>" payload "</iq>"
#define ASKS(to, payload) ASKED("juliet@example.com/balcony", to, payload)
#define RESULT(from, payload)                                                                      \
    "<iq type='result' from='" from "' to='juliet@example.com/balcony' id='q1'>" payload "</iq>"
#define REFUSED(from, to)                                                                          \
    "<iq from='" from "' to='" to                                                                  \
    "' id='q1' type='error'><error type='cancel'>"                                                 \
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
#define REFUSES(from) REFUSED(from, "juliet@example.com/balcony")

#define CARD    "<vCard xmlns='vcard-temp'/>"
#define LAST    "<query xmlns='jabber:iq:last'/>"
#define VERSION "<query xmlns='jabber:iq:version'/>"
#define CLOCK   "<time xmlns='urn:xmpp:time'/>"
#define SECONDS "<query xmlns='jabber:iq:last' seconds='%u'/>"

static void he_says(struct stage *s, struct stage_dialog *d, const char *document)
{
    sip_notifies(s, d, "active;expires=3600", document);
    sip_sees(s, "SIP/2.0 200", NULL);
    while (xmpp_next(s))
        ;
}

static void he_has_shown(struct stage *s, struct stage_dialog *d, const char *document)
{
    said_subscribe(s, d);
    sip_answers(s, 200, "Expires: 3600\n");
    he_says(s, d, document);
}

static void gets(struct stage *s, const char *question, const char *answer)
{
    xmpp_says(s, question);
    xmpp_sees(s, answer);
    quiet(s);
}

static void seconds_are(struct stage *s, const char *of, unsigned seconds)
{
    char question[256], answer[256];
    snprintf(question, sizeof question, ASKS("%s", LAST), of);
    snprintf(answer, sizeof answer, RESULT("%s", SECONDS), of, seconds);
    gets(s, question, answer);
}

static void blink_is_asked(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d, BLINK);
    gets(s, ASKS("romeo@example.net", CARD),
         RESULT("romeo@example.net",
                "<vCard xmlns='vcard-temp'><FN>Adrian Georgescu</FN><N/>"
                "<NICKNAME>Adrian Georgescu</NICKNAME><PHOTO><EXTVAL>"
                "https://xcap.test.sipthor.net/xcap-root/org.openmobilealliance.pres-content/users/"
                "sip:ag@test.sip2sip.info/oma_status-icon/index</EXTVAL></PHOTO>"
                "<URL>http://georgescu.info</URL></vCard>"));
    gets(s, ASKS(DEVICE, VERSION),
         RESULT(DEVICE,
                "<query xmlns='jabber:iq:version'><name>Blink Pro</name>"
                "<version>2.0.0 (MacOSX)</version></query>"));
    gets(s, ASKS(DEVICE, CLOCK),
         RESULT(DEVICE,
                "<time xmlns='urn:xmpp:time'><tzo>+02:00</tzo>"
                "<utc>2023-11-14T22:13:21Z</utc></time>"));
    seconds_are(s, "romeo@example.net", 0);
    seconds_are(s, DEVICE, 0); // active
    stage_close(s);
}

// The same refusal, whether he exists, is there, has told, or not.
static void nobody_else_learns_anything(void **state)
{
    (void)state;
    static const char *const QUESTIONS[] = {CARD, LAST, VERSION, CLOCK};
    static const char *const OF[] = {"romeo@example.net", DEVICE, "nobody@example.net",
                                     "nobody@example.net/x"};
    static const char *const BY[] = {"tybalt@example.com/x", "example.com"};
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d, BLINK);
    for (unsigned i = 0; i < 4 * 4 * 2; i++) {
        char question[512], answer[512];
        const char *of = OF[i / 4 % 4], *by = BY[i / 16];
        snprintf(question, sizeof question, ASKED("%s", "%s", "%s"), by, of, QUESTIONS[i % 4]);
        snprintf(answer, sizeof answer, REFUSED("%s", "%s"), of, by);
        gets(s, question, answer);
    }
    assert_int_equal(core_stats(s->core)->users, 1); // and no memory is held for it
    stage_close(s);
}

static void who_is_not_approved_yet_is_nobody(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", BLINK);
    sip_sees(s, "SIP/2.0 200", NULL);
    gets(s, ASKS("romeo@example.net", CARD), REFUSES("romeo@example.net"));
    gets(s, ASKS("romeo@example.net", LAST), REFUSES("romeo@example.net"));
    gets(s, ASKS(DEVICE, VERSION), REFUSES(DEVICE));
    stage_close(s);
}

// That he watches her gives her no right to anything.
static void whom_he_watches_is_nobody(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    gets(s, ASKS("romeo@example.net", CARD), REFUSES("romeo@example.net"));
    gets(s, ASKS("romeo@example.net", LAST), REFUSES("romeo@example.net"));
    stage_close(s);
}

static void what_is_not_known_is_refused(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d, PIDF_AWAY);
    gets(s, ASKS("romeo@example.net", CARD), REFUSES("romeo@example.net"));
    gets(s, ASKS("romeo@example.net/dr4hcr0st3lup4c", VERSION),
         REFUSES("romeo@example.net/dr4hcr0st3lup4c"));
    gets(s, ASKS("romeo@example.net/dr4hcr0st3lup4c", CLOCK),
         REFUSES("romeo@example.net/dr4hcr0st3lup4c"));
    gets(s, ASKS("romeo@example.net/other", LAST), REFUSES("romeo@example.net/other"));
    gets(s, ASKS("romeo@example.net/other", VERSION), REFUSES("romeo@example.net/other"));
    // Not the entity that is to be asked, or no question.
    gets(s, ASKS("romeo@example.net/dr4hcr0st3lup4c", CARD),
         REFUSES("romeo@example.net/dr4hcr0st3lup4c"));
    gets(s, ASKS("romeo@example.net", VERSION), REFUSES("romeo@example.net"));
    gets(s, ASKS("example.net", CARD), REFUSES("example.net"));
    gets(s,
         "<iq type='set' id='q1' from='juliet@example.com/balcony' to='romeo@example.net'>"
         "<vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>",
         REFUSES("romeo@example.net"));
    stage_close(s);
}

// XEP-0012 §4: since he left; his own word for when that was is taken if it can be true.
static void last_activity_of_a_user(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d,
                 PIDF(TUPLE("ID-a", "<basic>open</basic>") TUPLE("ID-b", "<basic>open</basic>")));
    stage_pass_s(s, 100);
    seconds_are(s, "romeo@example.net", 0);
    he_says(s, &d, PIDF(TUPLE("ID-a", "<basic>open</basic>")));
    stage_pass_s(s, 10);
    seconds_are(s, "romeo@example.net", 0); // one is still there
    he_says(s, &d, PIDF(TUPLE("ID-a", "<basic>closed</basic>")));
    seconds_are(s, "romeo@example.net", 0);
    stage_pass_ms(s, 59999);
    seconds_are(s, "romeo@example.net", 59);
    stage_pass_ms(s, 1);
    seconds_are(s, "romeo@example.net", 60);
    gets(s, ASKS("romeo@example.net/a", LAST), REFUSES("romeo@example.net/a"));
    // The stage began at 22:13:20, and took a second; but the other device left 100 s later.
    he_says(s, &d,
            PIDF("<tuple id='ID-a'><status><basic>closed</basic></status>"
                 "<note>gone</note><timestamp>2023-11-14T22:13:21Z</timestamp></tuple>"));
    seconds_are(s, "romeo@example.net", 70);
    he_says(s, &d,
            PIDF("<tuple id='ID-a'><status><basic>closed</basic></status>"
                 "<note>late</note><timestamp>2033-11-14T22:13:21Z</timestamp></tuple>"));
    seconds_are(s, "romeo@example.net", 0); // he can't have left in ten years
    stage_close(s);
}

#define IDLE(attributes, value)                                                                    \
    PIDF(                                                                                          \
        "<tuple id='ID-a'><status><basic>open</basic></status>"                                    \
        "<user-input xmlns='urn:ietf:params:xml:ns:pidf:rpid'" attributes ">" value                \
        "</user-input></tuple>")

static void last_activity_of_a_device(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d, IDLE(" last-input='2023-11-14T22:13:11Z'", "idle"));
    seconds_are(s, "romeo@example.net/a", 10);
    stage_pass_s(s, 5);
    seconds_are(s, "romeo@example.net/a", 15);
    seconds_are(s, "romeo@example.net", 0);
    he_says(s, &d, IDLE("", "active"));
    stage_pass_s(s, 5);
    seconds_are(s, "romeo@example.net/a", 0);
    he_says(s, &d, IDLE("", "idle")); // he keeps it to himself since when: since now at least
    stage_pass_s(s, 5);
    seconds_are(s, "romeo@example.net/a", 5);
    he_says(s, &d, PIDF(TUPLE("ID-a", "<basic>open</basic>")));
    stage_pass_s(s, 5);
    seconds_are(s, "romeo@example.net/a", 0);
    he_says(s, &d, PIDF(TUPLE("ID-a", OPEN("xa"))));
    stage_pass_s(s, 7);
    seconds_are(s, "romeo@example.net/a", 7);
    he_says(s, &d, IDLE(" last-input='2033-11-14T22:13:11Z'", "idle")); // somebody's wrong clock
    seconds_are(s, "romeo@example.net/a", 0);
    stage_close(s);
}

// Who he is outlives his devices; what they are does not.
static void a_card_stays_when_he_leaves(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d,
                 PIDF("<tuple id='ID-a'><status><basic>closed</basic></status>"
                      "<display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'>Romeo</display-name>"
                      "</tuple>"));
    gets(s, ASKS("romeo@example.net", CARD),
         RESULT("romeo@example.net",
                "<vCard xmlns='vcard-temp'><FN>Romeo</FN><N/>"
                "<NICKNAME>Romeo</NICKNAME></vCard>"));
    gets(s, ASKS("romeo@example.net/a", VERSION), REFUSES("romeo@example.net/a"));
    stage_close(s);
}

static void with_the_authorization_the_right_goes(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    he_has_shown(s, &d, BLINK);
    sip_notifies(s, &d, "terminated;reason=rejected", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    while (xmpp_next(s))
        ;
    gets(s, ASKS("romeo@example.net", CARD), REFUSES("romeo@example.net"));
    gets(s, ASKS("romeo@example.net", LAST), REFUSES("romeo@example.net"));
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blink_is_asked),
        cmocka_unit_test(nobody_else_learns_anything),
        cmocka_unit_test(who_is_not_approved_yet_is_nobody),
        cmocka_unit_test(whom_he_watches_is_nobody),
        cmocka_unit_test(what_is_not_known_is_refused),
        cmocka_unit_test(last_activity_of_a_user),
        cmocka_unit_test(last_activity_of_a_device),
        cmocka_unit_test(a_card_stays_when_he_leaves),
        cmocka_unit_test(with_the_authorization_the_right_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
