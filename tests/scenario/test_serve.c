// A SIP user watches an XMPP user: RFC 8048 §5.3, message by message, in fake time.
#include "flows.h"

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

// A SUBSCRIBE can't be cancelled: the CANCEL is answered and does nothing (RFC 6665 §4.6).
static void cancel_is_answered_and_ignored(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_says(s,
             "CANCEL sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKna998sk;rport\n"
             "Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=xfg9\n"
             "To: <sip:juliet@example.com>\n"
             "Call-ID: AA5A8BE5-CBB7-42B9-8181-6230012B1E11\nCSeq: 1 CANCEL\n\n");
    sip_sees(s, "SIP/2.0 200", "CSeq: 1 CANCEL", NULL);
    quiet(s);
    assert_int_equal(core_stats(s->core)->by_state[SIP_TO_XMPP][STATE_ACTIVE], 1);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribe_is_approved),
        cmocka_unit_test(presence_changes_touch_no_record),
        cmocka_unit_test(rejection_terminates),
        cmocka_unit_test(unsubscribe_keeps_the_authorization),
        cmocka_unit_test(cancel_is_answered_and_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
