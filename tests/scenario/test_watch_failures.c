// Watching somebody, and what may go wrong at the beginning: final responses to SUBSCRIBE and
// NOTIFY requests out of the ordinary. RFC 6665 §4.1, RFC 8048 §5.2.2.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// ---- Final responses to the first SUBSCRIBE

// juliet          gateway              romeo's server
//   |  subscribe    |  SUBSCRIBE           |
//   |-------------->|--------------------->|
//   |  unsubscribed |  403, 489, 603       |
//   |<--------------|<---------------------|
static void refused_for_good(void **state)
{
    (void)state;
    static const unsigned statuses[] = {403, 489, 603};
    for (size_t i = 0; i < 3; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, statuses[i], "");
        xmpp_sees(s, UNSUBSCRIBED);
        all_is_over(s, 8000);
        stage_close(s);
    }
}

// Each of these may be otherwise tomorrow: nothing is said to her, the authorization stays, and the
// gateway tries again after about 30 s, having asked whether she is there.
static void failed_for_now(void **state)
{
    (void)state;
    static const unsigned statuses[] = {302, 400, 401, 404, 405, 407, 410, 416, 420, 480, 481, 482,
                                        483, 484, 485, 500, 501, 502, 503, 504, 513, 600, 604, 606};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, statuses[i], "");
        quiet(s);
        assert_int_equal(s->n_records, 1);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        assert_false(strstr(d.call_id, "tag") != NULL);
        struct stage_dialog again;
        sip_dialog_of_subscribe(s, &again, "ffd3");
        assert_string_not_equal(again.call_id, d.call_id); // a new dialog
        approves(s, &again);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        stage_close(s);
    }
}

// 30 s, doubling to an hour; once it has worked it begins anew.
static void retries_back_off(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    unsigned least = 30;
    for (int i = 0; i < 12; i++) {
        sip_answers(s, 500, "");
        assert_in_range(seconds_until_tried_again(s, 5000), least - 1, least + least / 4 + 1);
        least = least * 2 > 3600 ? 3600 : least * 2;
    }
    sip_dialog_of_subscribe(s, &d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    sip_notifies(s, &d, "terminated;reason=timeout", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    assert_in_range(seconds_until_tried_again(s, 5000), 29, 39);
    stage_close(s);
}

static void retry_after_is_obeyed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 503, "Retry-After: 600\n");
    assert_in_range(seconds_until_tried_again(s, 1000), 599, 601);
    sip_answers(s, 480, "Retry-After: 1\n"); // ours is longer
    assert_in_range(seconds_until_tried_again(s, 1000), 59, 76);
    stage_close(s);
}

//   |               |  SUBSCRIBE 3600      |
//   |               |--------------------->|
//   |               |  423, Min-Expires    |
//   |               |<---------------------|
//   |               |  SUBSCRIBE 5400      |
//   |               |--------------------->|
static void too_brief_asks_for_more(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 423, "Min-Expires: 5400\n");
    sip_sees(s, "SUBSCRIBE", "Expires: 5400", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    quiet(s);
    sip_answers(s, 200, "Expires: 5400\n");
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_close(s);
}

// What makes no sense is no reason to ask at once: more than [subscription] max_expires_s, less
// than we asked for, nothing at all, and the same again.
static void too_brief_without_sense(void **state)
{
    (void)state;
    static const char *const headers[] = {"Min-Expires: 7201\n", "Min-Expires: 3600\n",
                                          "Min-Expires: 60\n", ""};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 423, headers[i]);
        quiet(s);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        stage_close(s);
    }
}

// RFC 3261 §17.1.2.2: at T1, doubling to T2; 11 in 64*T1; then it is as if 408 had come.
static void silence_is_a_timeout(void **state)
{
    (void)state;
    static const unsigned at_ms[] = {500,   1500,  3500,  7500,  11500,
                                     15500, 19500, 23500, 27500, 31500};
    struct stage *s = stage_open();
    struct stage_dialog d;
    uint64_t begin_ms = s->now_ms;
    said_subscribe(s, &d);
    char first[64];
    snprintf(first, sizeof first, "branch=%.*s", TEXT_ARG(stage_sip(s, s->sip->branch)));
    for (size_t i = 0; i < sizeof at_ms / sizeof *at_ms; i++) {
        stage_pass_ms(s, begin_ms + at_ms[i] - 20 - s->now_ms);
        quiet(s);
        stage_pass_ms(s, 40);
        sip_sees(s, "SUBSCRIBE", first, "CSeq: 1 SUBSCRIBE", NULL); // the very same
        quiet(s);
    }
    stage_pass_ms(s, begin_ms + 32000 - 20 - s->now_ms);
    assert_int_equal(core_stats(s->core)->client_transactions, 1);
    stage_pass_ms(s, 40);
    quiet(s);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    assert_int_equal(core_stats(s->core)->timeouts, 1);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

// §17.1.2.2: once somebody says Trying, it is repeated at T2 only.
static void a_provisional_answer_slows_it_down(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    const struct sip_message *request = sip_keeps(s);
    sip_answers(s, 100, "");
    quiet(s);
    stage_pass_ms(s, 520);
    sip_sees(s, "SUBSCRIBE", NULL); // timer E had been set before
    stage_pass_ms(s, 3900);
    quiet(s);
    stage_pass_ms(s, 200);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_answers_to(s, request, 200, "Expires: 3600\n");
    stage_pass_s(s, 5);
    quiet(s);
    sip_answers_to(s, request, 403, ""); // it has been answered: this is nobody's
    quiet(s);
    stage_close(s);
}

// RFC 6665 §4.1.2.4, Timer N: a 200 without a NOTIFY is no subscription.
static void timer_n(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    stage_pass_ms(s, 31900);
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_pass_ms(s, 200);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY); // too late
    sip_sees(s, "SIP/2.0 481", NULL);
    quiet(s);
    assert_int_equal(s->n_records, 1);
    stage_close(s);
}

// romeo's server      gateway
//   |  SUBSCRIBE         |
//   |    x---------------|  ✝
//   |                    |  up again: nobody is left who would repeat it
//   |  SUBSCRIBE         |
//   |<-------------------|  after T2, by which the NOTIFY of a server that had it would have come
static void what_a_crash_left_unasked_is_asked_anew(void **state)
{
    (void)state;
    for (int heard = 0; heard < 2; heard++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        stage_crash(s);
        stage_streams_up(s);
        quiet(s);
        stage_pass_ms(s, 2500);
        quiet(s);
        if (heard) { // he had it, and the same dialog goes on
            approves(s, &d);
        } else {
            stage_pass_ms(s, 1100);
            probe_is_answered(s);
            sip_sees(s, "SUBSCRIBE", "CSeq: 1 SUBSCRIBE", "Expires: 3600", NULL);
            sip_dialog_of_subscribe(s, &d, "ffd4");
            sip_answers(s, 200, "Expires: 3600\n");
            approves(s, &d);
        }
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_UNAVAILABLE); // whom the former life may have shown
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        stage_pass_ms(s, 40000);
        quiet(s);
        assert_int_equal(core_stats(s->core)->dialogs, 1);
        stage_close(s);
    }
}

// ---- NOTIFY requests out of the ordinary

// romeo's server      gateway
//   |  SUBSCRIBE         |
//   |<-------------------|
//   |  NOTIFY active     |     the dialog is made by the NOTIFY (RFC 6665 §4.4.1)
//   |------------------->|
//   |  200 to SUBSCRIBE  |
//   |------------------->|
static void notify_before_the_200(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    const struct sip_message *request = sip_keeps(s);
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_pass_ms(s, 520);
    sip_sees(s, "SUBSCRIBE", NULL); // not answered yet
    sip_answers_to(s, request, 200, "Expires: 3600\n");
    quiet(s);
    uint64_t before_ms = s->now_ms;
    refresh_leaves(s);
    assert_in_range((s->now_ms - before_ms) / 1000, 3600 - 42 - 361, 3600 - 41);
    stage_close(s);
}

static void notify_without_expires_restarts_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    uint64_t due_ms = core_next_due(s->core);
    stage_pass_s(s, 1800);
    for (int i = 0; i < 5; i++) {
        sip_notifies(s, &d, "active", i % 2 ? PIDF_AWAY : PIDF_CLOSED);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, i % 2 ? ROMEO_AWAY : ROMEO_GONE);
        quiet(s);
    }
    assert_true(core_next_due(s->core) >= due_ms);
    stage_pass_until_said(s, 1800 - 41);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", NULL);
    stage_close(s);
}

// RFC 6665 §4.2.1.4: a notifier may shorten it at any time.
static void notify_with_less_expires_is_heeded(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    sip_notifies(s, &d, "active;expires=120", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    uint64_t before_ms = s->now_ms;
    refresh_leaves(s);
    assert_in_range((s->now_ms - before_ms) / 1000, 60, 79);
    stage_close(s);
}

// RFC 6665 §4.1.4: one dialog per subscription; the other branch of the fork is told to go.
static void a_forked_notify_is_refused(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    struct stage_dialog fork = d;
    snprintf(fork.peer_tag, sizeof fork.peer_tag, "other");
    sip_notifies(s, &fork, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 481", NULL);
    quiet(s);
    stage_close(s);
}

static void terminated_with(struct stage *s, struct stage_dialog *d, const char *parameters)
{
    char substate[128];
    snprintf(substate, sizeof substate, "terminated%s", parameters);
    sip_notifies(s, d, substate, NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
}

static void rejected_or_noresource_is_for_good(void **state)
{
    (void)state;
    static const char *const reasons[] = {";reason=rejected", ";reason=noresource",
                                          ";reason=rejected;retry-after=10"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d); // taken back after it was given
        terminated_with(s, &d, reasons[i]);
        xmpp_sees(s, ROMEO_GONE);
        xmpp_sees(s, UNSUBSCRIBED);
        all_is_over(s, 8000);
        stage_close(s);
        s = stage_open();
        said_subscribe(s, &d); // never given
        sip_answers(s, 200, "Expires: 3600\n");
        terminated_with(s, &d, reasons[i]);
        xmpp_sees(s, UNSUBSCRIBED);
        all_is_over(s, 8000);
        stage_close(s);
    }
}

// romeo's server      gateway                      juliet
//   |  terminated        |                            |
//   |------------------->|  unavailable               |
//   |  200               |--------------------------->|
//   |<-------------------|     … later …              |
//   |  SUBSCRIBE, new    |     (she stays subscribed) |
//   |<-------------------|                            |
static void other_reasons_are_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *parameters;
        unsigned least, most;
    } reasons[] = {
        {";reason=probation", 29, 39},  {";reason=probation;retry-after=300", 299, 301},
        {";reason=giveup", 29, 39},     {";reason=giveup;retry-after=120", 119, 121},
        {";reason=timeout", 29, 39},    {"", 29, 39},
        {";retry-after=200", 199, 201}, {";reason=fatigue", 29, 39}, // unknown: as none
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        stage_pass_s(s, 100); // the opening's own probe window is over
        terminated_with(s, &d, reasons[i].parameters);
        xmpp_sees(s, ROMEO_GONE);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_DORMANT);
        assert_in_range(seconds_until_tried_again(s, 1000), reasons[i].least, reasons[i].most);
        sip_lacks(s, "ffd2");
        sip_dialog_of_subscribe(s, &d, "ffd3");
        approves(s, &d);
        xmpp_sees(s, ROMEO_AWAY); // and not `subscribed` once more
        quiet(s);
        assert_int_equal(watch_state(s), STATE_ACTIVE);
        stage_close(s);
    }
}

// §4.1.3: at once, in a new dialog. If that happens again and again, not at once.
static void deactivated_begins_anew(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_s(s, 100);
    terminated_with(s, &d, ";reason=deactivated;retry-after=1000");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    sip_lacks(s, "ffd2");
    quiet(s); // she sees no gap
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &d);
    quiet(s);
    terminated_with(s, &d, ";reason=deactivated");
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

// §4.1.3: the state will not change, so there is nothing to subscribe to. What was shown stays true
// and answers her probes; only a restart, which forgets it, asks again.
static void invariant_stays_as_it_is(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        if (first) { // with the very first NOTIFY, which is its usual place
            said_subscribe(s, &d);
            sip_answers(s, 200, "Expires: 3600\n");
            sip_notifies(s, &d, "terminated;reason=invariant", PIDF_AWAY);
            sip_sees(s, "SIP/2.0 200", NULL);
            xmpp_sees(s, SUBSCRIBED);
            xmpp_sees(s, ROMEO_AWAY);
        } else {
            watch_established(s, &d);
            terminated_with(s, &d, ";reason=invariant");
        }
        stage_pass_s(s, 10000);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_ACTIVE);
        xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net'/>");
        quiet(s);
        xmpp_says(s, JULIET_SUBSCRIBES);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>");
        xmpp_sees(s,
                  "<presence from='romeo@example.net/dr4hcr0st3lup4c' "
                  "to='juliet@example.com/b'><show>away</show></presence>");
        quiet(s);
        stage_streams_down(s);
        stage_streams_up(s);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        stage_crash(s);
        stage_streams_up(s);
        probe_is_answered(s);
        sip_sees(s, "SUBSCRIBE", NULL);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_for_good),
        cmocka_unit_test(failed_for_now),
        cmocka_unit_test(retries_back_off),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(too_brief_asks_for_more),
        cmocka_unit_test(too_brief_without_sense),
        cmocka_unit_test(silence_is_a_timeout),
        cmocka_unit_test(a_provisional_answer_slows_it_down),
        cmocka_unit_test(timer_n),
        cmocka_unit_test(what_a_crash_left_unasked_is_asked_anew),
        cmocka_unit_test(notify_before_the_200),
        cmocka_unit_test(notify_without_expires_restarts_nothing),
        cmocka_unit_test(notify_with_less_expires_is_heeded),
        cmocka_unit_test(a_forked_notify_is_refused),
        cmocka_unit_test(rejected_or_noresource_is_for_good),
        cmocka_unit_test(other_reasons_are_tried_again),
        cmocka_unit_test(deactivated_begins_anew),
        cmocka_unit_test(invariant_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
