// A SIP user watches an XMPP user: RFC 8048 §5.3, message by message, in fake time.
#include "stage.h"

static const char subscribe[] =
    "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKna998sk;rport\n"
    "From: <sip:romeo@example.net>;tag=xfg9\nTo: <sip:juliet@example.com>\n"
    "Call-ID: AA5A8BE5-CBB7-42B9-8181-6230012B1E11\nEvent: presence\nMax-Forwards: 70\n"
    "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nAccept: application/pidf+xml\n\n";

// romeo           gateway               juliet's server
//   |  SUBSCRIBE     |                        |
//   |--------------->|                        |
//   |  200           |                        |
//   |<---------------|                        |
//   |  NOTIFY pending|  subscribe, probe      |
//   |<---------------|----------------------->|
static void serve_begun(struct stage *s, struct stage_dialog *d)
{
    sip_says(s, subscribe);
    sip_sees(s, "SIP/2.0 200 OK", "Expires: 3600", "Contact: <sip:juliet@127.0.0.1:5080>",
             "rport=5070", NULL);
    sip_dialog_of_answer(s, d);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099 SIP/2.0",
             "Subscription-State: pending;expires=3600",
             "From: <sip:juliet@example.com>;tag=", "To: <sip:romeo@example.net>;tag=xfg9",
             "Event: presence", NULL);
    sip_lacks(s, "pidf");
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' type='probe' "
              "id='serve-probe'/>");
    xmpp_sees(s,
              "<iq type='get' from='romeo@example.net' to='juliet@example.com' "
              "id='serve-fence'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>");
    xmpp_says(s,
              "<iq type='error' from='juliet@example.com' to='romeo@example.net' "
              "id='serve-fence'><error type='cancel'><service-unavailable "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    sip_answers(s, 200, "");
    quiet(s);
}

//   |                |  subscribed, presence  |
//   |  NOTIFY active |<-----------------------|
//   |<---------------|                        |
static void serve_established(struct stage *s, struct stage_dialog *d)
{
    serve_begun(s, d);
    xmpp_says(s, "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed'/>");
    sip_sees(s, "NOTIFY", "Subscription-State: active;expires=3", "CSeq: 2 NOTIFY", NULL);
    sip_lacks(s, "pidf");
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' type='probe' "
              "id='serve-probe'/>");
    sip_answers(s, 200, "");
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
              "<show>away</show></presence>");
    sip_sees(s, "NOTIFY", "Subscription-State: active", "<basic>open</basic>",
             "<show xmlns='jabber:client'>away</show>", "entity='pres:juliet@example.com'",
             "id='ID-balcony'", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

static void subscribe_is_approved(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_close(s);
}

static void presence_changes_touch_no_record(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    unsigned puts = s->puts;
    for (int i = 0; i < 100; i++) {
        xmpp_says(s, i % 2 ? "<presence from='juliet@example.com/balcony' to='romeo@example.net'/>"
                           : "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
                             "<show>dnd</show></presence>");
        sip_sees(s, "NOTIFY", NULL);
        sip_answers(s, 200, "");
    }
    assert_int_equal(s->puts, puts);
    stage_close(s);
}

static void rejection_terminates(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>");
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=rejected", NULL);
    sip_lacks(s, "pidf");
    sip_answers(s, 200, "");
    assert_int_equal(s->n_records, 0);
    stage_pass_s(s, 200);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    assert_int_equal(core_stats(s->core)->users, 0);
    assert_int_equal(core_stats(s->core)->timers, 0);
    stage_close(s);
}

//   |  SUBSCRIBE, Expires 0   |                  |
//   |------------------------>|                  |
//   |  200, NOTIFY closed,    |  unavailable     |
//   |  terminated;timeout     |----------------->|
//   |<------------------------|                  |
static void unsubscribe_keeps_the_authorization(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout", "<basic>closed</basic>",
             NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='unavailable'/>");
    quiet(s);
    assert_int_equal(s->n_records, 1);
    assert_int_equal(core_stats(s->core)->by_state[SIP_TO_XMPP][STATE_DORMANT], 1);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribe_is_approved),
        cmocka_unit_test(presence_changes_touch_no_record),
        cmocka_unit_test(rejection_terminates),
        cmocka_unit_test(unsubscribe_keeps_the_authorization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
