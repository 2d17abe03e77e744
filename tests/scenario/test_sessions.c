// Her presence session: while she is not there the SIP side keeps no dialog for her, and nothing of
// her authorizations is lost. RFC 8048 §1, §5.2.2; RFC 6121 §4.4 to §4.6.
#include "session_words.h"

// ---- What her server says of it

// juliet's server  gateway              romeo's server
//   |  probe, fence  |  (a refresh is due)  |   (he has not decided)
//   |<---------------|                      |
//   |  unavailable   |                      |
//   |--------------->|  (no refresh)        |
//   |  a word of hers to anybody            |   (none goes to him: RFC 6121 §4.2.2)
//   |--------------->|  SUBSCRIBE           |
//   |                |--------------------->|
static void an_undecided_request_comes_back_with_her(void **state)
{
    (void)state;
    for (int lapsed = 0; lapsed < 2; lapsed++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 200, "Expires: 3600\n");
        sip_notifies(s, &d, "pending;expires=3600", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        stage_pass_until_said(s, 3600);
        const char *id = xmpp_sees_probe(s, "juliet@example.com");
        xmpp_says(s,
                  "<presence from='juliet@example.com' to='gw.example.net' "
                  "type='unavailable'/>");
        xmpp_answers_fence(s, "juliet@example.com", id);
        stage_pass_s(s, lapsed ? 86400 : 10);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_PENDING);
        assert_int_equal(live_dialogs(s), !lapsed);
        says(s, "balcony", "mercutio", "");
        stage_pass_ms(s, 200);
        probe_is_answered(s);
        if (lapsed)
            sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 ", NULL);
        else
            sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "CSeq: 2 ", NULL);
        quiet(s);
        stage_close(s);
    }
}

// ---- The end of a session, and the next

// juliet          gateway                romeo's server
//   |  unavailable  |                         |   (romeo may watch her)
//   |-------------->|     … 5 s …             |
//   |               |  SUBSCRIBE Expires 0    |
//   |               |------------------------>|
//   |  (nothing)    |  200, NOTIFY terminated |
//   |               |<------------------------|
//   |  probe        |                         |
//   |-------------->|  SUBSCRIBE, new         |
//   |               |------------------------>|
//   |  presence     |  200, NOTIFY active     |
//   |<--------------|<------------------------|
static void the_dialog_follows_her(void **state)
{
    (void)state;
    static const char *const back[] = {"probe", ""};
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        stage_pass_ms(s, GRACE_S * 1000 - 100);
        quiet(s);
        stage_pass_ms(s, 200);
        is_closed(s, &d);
        assert_int_equal(watch_state(s), STATE_DORMANT);
        assert_int_equal(s->n_records, 2);
        stage_pass_s(s, 7000); // his device's dialog is there, and no other
        quiet(s);
        assert_int_equal(live_dialogs(s), 1);
        says(s, "chamber", "romeo", back[k]);
        if (k) {
            sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
            sip_answers(s, 200, "");
        }
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", "CSeq: 1 ", NULL);
        sip_lacks(s, d.call_id);
        sip_dialog_of_subscribe(s, &d, "ffd3");
        sip_answers(s, 200, "Expires: 3600\n");
        quiet(s);
        approves(s, &d);
        xmpp_sees(s, ROMEO_UNAVAILABLE); // whatever she still sees
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_ACTIVE);
        stage_pass_s(s, 60);
        quiet(s);
        stage_close(s);
    }
}

// A client that comes back at once, as they do when the network changes, costs nothing.
static void back_within_the_grace(void **state)
{
    (void)state;
    static const char *const back[] = {"probe", ""};
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        stage_pass_s(s, GRACE_S - 1);
        says(s, "chamber", "romeo", back[k]);
        if (k) {
            sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
            sip_answers(s, 200, "");
        } else {
            assert_true(is_next(s, "to='juliet@example.com/chamber'><show>away"));
            xmpp_next(s);
        }
        stage_pass_s(s, 60);
        quiet(s);
        assert_int_equal(live_dialogs(s), 2);
        stage_close(s);
    }
}

// She is back while the old dialog's end is on its way: a new one at once, and what the old one
// still says is not shown.
static void back_while_it_is_closed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device, next;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    stage_pass_s(s, 30);
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", d.call_id, NULL);
    const struct sip_message *end = sip_keeps(s);
    says(s, "chamber", "romeo", "probe");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
    sip_dialog_of_subscribe(s, &next, "ffd3");
    sip_answers_to(s, end, 200, "Expires: 0\n");
    sip_notifies(s, &d, "terminated;reason=timeout", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    approves(s, &next);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

// In and out again within CORE_ATTEMPT_GAP_S: the dialog comes a little later, but it comes.
static void in_and_out_and_in(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    is_closed(s, &d);
    says(s, "chamber", "romeo", "probe"); // 5 s after the dialog was opened
    quiet(s);
    says(s, "chamber", "romeo", "probe");
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 20), 3, 5);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    approves(s, &d);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s, ROMEO_AWAY);
    stage_close(s);
}

// Presence to the one tells that she is there for all whom she watches.
static void one_word_opens_all(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, nurse, device;
    watch_established(s, &d);
    watches(s, "nurse", &nurse); // who may not watch her
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    are_closed(s, &nurse, &d);
    stage_pass_s(s, 600);
    quiet(s);
    says(s, "chamber", "romeo", "");
    sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
    sip_answers(s, 200, "");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    quiet(s);
    stage_pass_s(s, 1);
    probe_is_answered(s); // nobody but her has asked for it
    sip_sees(s, "SUBSCRIBE sip:nurse@example.net", "Expires: 3600", NULL);
    stage_close(s);
}

// ---- What else there is of a watch when she leaves

// The request that he has not decided yet stands: RFC 6121 §3.1.3.
static void an_undecided_request_stands(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_s(s, 60);
    quiet(s);
    approves(s, &d); // he decides while she is away: she is told, and his dialog ends, too
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_pass_ms(s, 200);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", ";tag=ffd2", NULL);
    sip_answers(s, 481, "");
    assert_int_equal(watch_state(s), STATE_DORMANT);
    says(s, "chamber", "romeo", "probe");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
    stage_close(s);
}

// Nor is what has failed tried again before she is back.
static void no_retries_while_she_is_away(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    sip_notifies(s, &d, "terminated;reason=probation;retry-after=600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    leaves(s, "romeo");
    stage_pass_s(s, 7000);
    quiet(s);
    says(s, "chamber", "romeo", "probe");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    stage_close(s);
}

// Before the first NOTIFY there is nothing to end yet: that is done when it has come.
static void she_leaves_before_the_first_notify(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    stage_pass_s(s, 20);
    sip_notifies(s, &d, "terminated;reason=deactivated", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "SUBSCRIBE", "CSeq: 1 ", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    is_closed(s, &d);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undecided_request_comes_back_with_her),
        cmocka_unit_test(the_dialog_follows_her),
        cmocka_unit_test(back_within_the_grace),
        cmocka_unit_test(back_while_it_is_closed),
        cmocka_unit_test(in_and_out_and_in),
        cmocka_unit_test(one_word_opens_all),
        cmocka_unit_test(an_undecided_request_stands),
        cmocka_unit_test(no_retries_while_she_is_away),
        cmocka_unit_test(she_leaves_before_the_first_notify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
