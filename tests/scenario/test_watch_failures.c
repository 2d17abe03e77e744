// Watching somebody, and what may go wrong on the SIP side: RFC 6665 §4.1, RFC 8048 §5.2.2.
#include "flows.h"

#include <stdio.h>
#include <string.h>

static void said_subscribe(struct stage *s, struct stage_dialog *d)
{
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    sip_dialog_of_subscribe(s, d, "ffd2");
}

static enum core_state state_of(const struct stage *s)
{
    for (int state = STATE_PENDING; state <= STATE_DORMANT; state++)
        if (core_stats(s->core)->by_state[XMPP_TO_SIP][state])
            return (enum core_state)state;
    fail_msg("no authorization");
    return STATE_PENDING;
}

// The gateway asks whether she is there, and her server answers.
static void probe_is_answered(struct stage *s)
{
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    quiet(s);
    xmpp_answers_fence(s, "juliet@example.com", id);
}

// What she would see next, or nothing.
static bool is_next(const struct stage *s, const char *what)
{
    return s->stanza_head != s->stanza_tail && strstr(s->stanzas[s->stanza_head].bytes, what);
}

// Time passes until the gateway tries again, after a probe or within the window of an earlier one;
// how many seconds that took.
static unsigned seconds_until_tried_again(struct stage *s, unsigned most_s)
{
    uint64_t before_ms = s->now_ms;
    stage_pass_until_said(s, most_s);
    if (is_next(s, "type='probe'"))
        probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", NULL);
    return (unsigned)((s->now_ms - before_ms) / 1000);
}

static void approves(struct stage *s, struct stage_dialog *d)
{
    sip_notifies(s, d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

// A refresh is due, she is there, and it has left.
static void refresh_leaves(struct stage *s)
{
    stage_pass_until_said(s, 3600);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "Expires: 3600", NULL);
}

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
        assert_int_equal(state_of(s), STATE_DORMANT);
        assert_in_range(seconds_until_tried_again(s, 1000), reasons[i].least, reasons[i].most);
        sip_lacks(s, "ffd2");
        sip_dialog_of_subscribe(s, &d, "ffd3");
        approves(s, &d);
        xmpp_sees(s, ROMEO_AWAY); // and not `subscribed` once more
        quiet(s);
        assert_int_equal(state_of(s), STATE_ACTIVE);
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
        assert_int_equal(state_of(s), STATE_ACTIVE);
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

// ---- Refreshes that fail

static void refresh_481_begins_anew(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 481, "");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    sip_lacks(s, "ffd2");
    quiet(s);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &d);
    quiet(s); // the same presence: she need not know
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

// RFC 6665 §4.1.2.2: the dialog stands until it expires, so it is tried again while there is time.
static void refresh_5xx_is_tried_again_until_expiry(void **state)
{
    (void)state;
    static const unsigned statuses[] = {500, 503, 408, 504, 513};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        uint64_t expires_ms = s->now_ms + 3600 * 1000;
        refresh_leaves(s);
        unsigned tries = 0;
        while (s->now_ms + 31000 < expires_ms) {
            tries++;
            sip_answers(s, statuses[i], "");
            quiet(s);
            stage_pass_until_said(s, 40);
            if (is_next(s, "type='probe'")) // the window is a minute
                probe_is_answered(s);
            sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
        }
        assert_true(tries >= 1);
        sip_answers(s, statuses[i], "");
        stage_pass_until_said(s, 40);
        assert_in_range(s->now_ms, expires_ms - 100, expires_ms + 200);
        xmpp_sees(s, ROMEO_GONE);
        quiet(s);
        assert_int_equal(state_of(s), STATE_DORMANT);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        sip_lacks(s, "ffd2");
        stage_close(s);
    }
}

static void refresh_403_ends_it(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 403, "");
    xmpp_sees(s, ROMEO_GONE);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

static void refresh_404_ends_the_dialog_only(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 404, "");
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_int_equal(state_of(s), STATE_DORMANT);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

static void refresh_without_a_notify_ends_the_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 200, "Expires: 3600\n");
    stage_pass_ms(s, 31900);
    quiet(s);
    stage_pass_ms(s, 200);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

// A refresh that finds nobody is repeated until Timer N says that the subscription is no more.
static void refresh_into_silence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    uint64_t begin_ms = s->now_ms;
    for (int i = 0; i < 10; i++) {
        stage_pass_until_said(s, 5);
        sip_sees(s, "SUBSCRIBE", "CSeq: 2 SUBSCRIBE", NULL);
    }
    stage_pass_until_said(s, 5);
    assert_in_range(s->now_ms - begin_ms, 32000, 32200);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_int_equal(state_of(s), STATE_DORMANT);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    sip_lacks(s, "ffd2");
    stage_close(s);
}

// 423 to a refresh: the subscription goes on, asking for what the peer wants, without a gap.
static void refresh_423_asks_for_more(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 423, "Min-Expires: 7200\n");
    sip_sees(s, "SUBSCRIBE", "Expires: 7200", NULL);
    quiet(s);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 7200\n");
    sip_notifies(s, &d, "active;expires=7200", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_pass_until_said(s, 7200);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd3", "Expires: 7200", NULL); // it has learnt that
    stage_close(s);
}

// ---- Documents

static void document(struct stage *s, struct stage_dialog *d, const char *pidf)
{
    sip_notifies(s, d, "active;expires=3600", pidf);
    sip_sees(s, "SIP/2.0 200", NULL);
}

#define FROM_DEVICE(device) "<presence from='romeo@example.net/" device "' to='juliet@example.com'"

// PIDF is full state: one presence for each tuple; a tuple that is gone is `unavailable`.
static void several_tuples_then_one_is_gone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    document(s, &d,
             PIDF(TUPLE("ID-desk", OPEN("dnd")) TUPLE("ID-phone", "<basic>open</basic>")
                      TUPLE("ID-car", "<basic>closed</basic>")));
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, FROM_DEVICE("desk") "><show>dnd</show></presence>");
    xmpp_sees(s, FROM_DEVICE("phone") "/>");
    xmpp_sees(s, FROM_DEVICE("car") " type='unavailable'/>");
    quiet(s);
    document(s, &d, PIDF(TUPLE("ID-phone", "<basic>open</basic>")));
    xmpp_sees(s, FROM_DEVICE("desk") " type='unavailable'/>"); // and nothing about the car
    quiet(s);
    document(s, &d,
             PIDF(TUPLE("ID-phone", "<basic>open</basic>") //
                  TUPLE("ID-desk", OPEN("dnd"))));
    xmpp_sees(s, FROM_DEVICE("desk") "><show>dnd</show></presence>");
    quiet(s);
    document(s, &d, PIDF(TUPLE("ID-phone", "<basic>open</basic>")));
    xmpp_sees(s, FROM_DEVICE("desk") " type='unavailable'/>");
    quiet(s);
    document(s, &d, PIDF(""));
    xmpp_sees(s, FROM_DEVICE("phone") " type='unavailable'/>");
    quiet(s);
    stage_close(s);
}

static void duplicate_tuples_count_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    document(s, &d,
             PIDF(TUPLE("ID-desk", OPEN("dnd")) TUPLE("ID-desk", OPEN("away"))
                      TUPLE("ID-desk", "<basic>closed</basic>")));
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, FROM_DEVICE("desk") "><show>dnd</show></presence>");
    quiet(s);
    stage_close(s);
}

static void the_same_again_is_not_said(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    document(s, &d, PIDF_AWAY);
    sip_notifies(s, &d, "active;expires=3600", NULL); // no document: no news
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_close(s);
}

// Thirty-two devices, then thirty-two others: none of the first stays behind as a ghost.
static void all_devices_change_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    bool there[2][32] = {0};
    for (int round = 0; round < 2; round++) {
        char pidf[8192] =
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>";
        size_t n = strlen(pidf);
        for (int i = 0; i < 32; i++)
            n += (size_t)sprintf(pidf + n,
                                 "<tuple id='ID-%c%d'><status><basic>open</basic></status></tuple>",
                                 'a' + round, i);
        strcpy(pidf + n, "</presence>");
        document(s, &d, pidf);
        for (const char *stanza; (stanza = xmpp_next(s));) {
            char set;
            int i;
            if (sscanf(stanza, "<presence from='romeo@example.net/%c%d'", &set, &i) == 2)
                there[set - 'a'][i] = !strstr(stanza, "unavailable");
        }
    }
    for (int i = 0; i < 32; i++) {
        assert_false(there[0][i]);
        assert_true(there[1][i]);
    }
    stage_close(s);
}

// ---- Where requests go

// RFC 3261 §12.2: the remote target follows the peer's Contact.
static void the_target_is_refreshed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    d.cseq++;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:moved@127.0.0.7:5099;x=y>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    refresh_leaves(s);
    assert_true(text_eq(stage_sip(s, s->sip->ruri), TEXT("sip:moved@127.0.0.7:5099;x=y")));
    sip_lacks(s, "Route:");
    assert_int_equal(s->sips[s->sip_head - 1].to.port, 5070); // all by way of the proxy
    stage_close(s);
}

// The route set is the NOTIFY's Record-Route in its order (RFC 3261 §12.1.1, RFC 6665 §4.4.1), and
// its first element is the next hop; it does not change afterwards.
static void the_route_set_is_followed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\nRecord-Route: <sip:10.9.9.9;lr>\n");
    d.cseq = 1;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:presence@127.0.0.1:5070>\n"
                      "Record-Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>\n"
                      "Record-Route: <sip:127.0.0.4;lr>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    d.cseq++;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:presence@127.0.0.1:5070>\nRecord-Route: <sip:10.1.1.1;lr>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    refresh_leaves(s);
    const struct stage_message *m = &s->sips[s->sip_head - 1];
    assert_non_null(strstr(m->bytes, "\r\nRoute: <sip:127.0.0.3:5066;lr>"));
    const char *a = strstr(m->bytes, "127.0.0.3"), *b = strstr(m->bytes, "edge.example.net"),
               *c = strstr(m->bytes, "127.0.0.4");
    assert_true(a && b && c && a < b && b < c);
    sip_lacks(s, "10.1.1.1");
    struct hop want;
    assert_int_equal(hop_parse(&want, TEXT("127.0.0.3"), 5066, HOP_UDP), 0);
    assert_true(hop_eq(&m->to, &want));
    stage_crash(s); // and it outlives the process
    stage_streams_up(s);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", "Route: <sip:127.0.0.3:5066;lr>", "edge.example.net", NULL);
    assert_true(hop_eq(&s->sips[s->sip_head - 1].to, &want));
    stage_close(s);
}

// ---- Unsubscribing at odd moments

//   |  unsubscribe  |  (there is no dialog yet)|
//   |-------------->|  200, NOTIFY             |
//   |  unsubscribed |<-------------------------|
//   |<--------------|  SUBSCRIBE Expires 0     |
//   |               |------------------------->|
static void unsubscribe_before_the_first_notify(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        const struct sip_message *request = sip_keeps(s);
        if (answered)
            sip_answers(s, 200, "Expires: 3600\n");
        xmpp_says(s, JULIET_UNSUBSCRIBES);
        quiet(s); // an Expires 0 without a dialog would be a fetch
        assert_int_equal(s->n_records, 0);
        if (!answered) {
            sip_answers_to(s, request, 200, "Expires: 3600\n");
            xmpp_sees(s, UNSUBSCRIBED);
        }
        sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "Expires: 0", NULL);
        sip_answers(s, 200, "Expires: 0\n");
        if (answered)
            xmpp_sees(s, UNSUBSCRIBED);
        quiet(s); // and no presence
        sip_notifies(s, &d, "terminated;reason=timeout", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        all_is_over(s, 200);
        stage_close(s);
    }
}

static void unsubscribe_and_no_notify_ever(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    quiet(s);
    stage_pass_until_said(s, 40);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

static void unsubscribe_is_answered_whatever_sip_says(void **state)
{
    (void)state;
    static const unsigned statuses[] = {200, 202, 403, 404, 481, 500, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        xmpp_says(s, JULIET_UNSUBSCRIBES);
        sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
        xmpp_sees(s, ROMEO_GONE);
        sip_answers(s, statuses[i], "");
        xmpp_sees(s, UNSUBSCRIBED);
        all_is_over(s, 200);
        stage_close(s);
    }
}

static void unsubscribe_into_silence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    for (int i = 0; i < 11; i++) {
        sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 2 SUBSCRIBE", NULL);
        stage_pass_until_said(s, 5);
        if (i == 0)
            xmpp_sees(s, ROMEO_GONE), stage_pass_until_said(s, 5);
    }
    stage_pass_until_said(s, 5);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

// The peer's NOTIFY of the end may overtake its 200.
static void unsubscribe_notify_before_the_200(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    const struct sip_message *request = sip_keeps(s);
    xmpp_sees(s, ROMEO_GONE);
    sip_notifies(s, &d, "terminated;reason=timeout", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, UNSUBSCRIBED);
    sip_answers_to(s, request, 200, "Expires: 0\n");
    all_is_over(s, 200);
    stage_close(s);
}

static void unsubscribe_while_a_refresh_is_in_flight(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    const struct sip_message *refresh = sip_keeps(s);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 3 SUBSCRIBE", NULL);
    const struct sip_message *end = sip_keeps(s);
    xmpp_sees(s, ROMEO_GONE);
    sip_answers_to(s, refresh, 200, "Expires: 3600\n"); // belongs to nobody any more
    quiet(s);
    sip_answers_to(s, end, 200, "Expires: 0\n");
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

static void unsubscribe_without_a_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    xmpp_says(s, JULIET_UNSUBSCRIBES); // without anything
    xmpp_sees(s, UNSUBSCRIBED);
    quiet(s);
    said_subscribe(s, &d);
    sip_answers(s, 500, "");
    xmpp_says(s, JULIET_UNSUBSCRIBES); // while it waits for the next try
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 8000);
    stage_close(s);
}

// RFC 6121 §3.1.3: who is subscribed is told so again.
static void subscribe_again_when_active(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, JULIET_SUBSCRIBES);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

static void subscribe_again_when_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    xmpp_says(s, JULIET_SUBSCRIBES);
    quiet(s);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_says(s, JULIET_SUBSCRIBES);
    quiet(s);
    stage_close(s);
}

// A client that asks without end costs the SIP side one attempt in ten seconds.
static void subscribe_again_and_again(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 503, "Retry-After: 3600\n");
    for (int i = 0; i < 9; i++) {
        stage_pass_s(s, 1);
        xmpp_says(s, JULIET_SUBSCRIBES);
        quiet(s);
    }
    stage_pass_s(s, 2);
    said_subscribe(s, &d);
    stage_close(s);
}

// She changes her mind before the old dialog has ended: a new one, and no `unsubscribed`.
static void subscribe_while_unsubscribing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog old, d;
    watch_established(s, &old);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    const struct sip_message *end = sip_keeps(s);
    xmpp_sees(s, ROMEO_GONE);
    said_subscribe(s, &d);
    assert_string_not_equal(d.call_id, old.call_id);
    const struct sip_message *begin = sip_keeps(s);
    sip_answers_to(s, end, 200, "Expires: 0\n");
    sip_notifies(s, &old, "terminated;reason=timeout", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    sip_answers_to(s, begin, 200, "Expires: 3600\n");
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    assert_int_equal(s->n_records, 1);
    stage_pass_s(s, 100);
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

// [limits] requests_in_flight_per_peer: what finds no room is tried again later, none is lost.
static void two_in_flight(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 2;
}

static void no_room_for_more_requests(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_in_flight);
    const struct sip_message *first = NULL;
    for (int i = 0; i < 3; i++) {
        char stanza[256];
        snprintf(stanza, sizeof stanza,
                 "<presence from='juliet@example.com' to='r%d@example.net' type='subscribe'/>", i);
        xmpp_says(s, stanza);
        if (i < 2)
            sip_sees(s, "SUBSCRIBE", NULL);
        if (i == 0)
            first = sip_keeps(s);
    }
    quiet(s);
    assert_int_equal(s->n_records, 3);
    sip_answers_to(s, first, 200, "Expires: 3600\n");
    s->sip_head = s->sip_tail;
    for (int i = 0; i < 400 && s->stanza_head == s->stanza_tail; i++) {
        stage_pass_ms(s, 100);
        s->sip_head = s->sip_tail; // retransmissions of the second
    }
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE sip:r2@example.net", NULL);
    stage_close(s);
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
        cmocka_unit_test(notify_before_the_200),
        cmocka_unit_test(notify_without_expires_restarts_nothing),
        cmocka_unit_test(notify_with_less_expires_is_heeded),
        cmocka_unit_test(a_forked_notify_is_refused),
        cmocka_unit_test(rejected_or_noresource_is_for_good),
        cmocka_unit_test(other_reasons_are_tried_again),
        cmocka_unit_test(deactivated_begins_anew),
        cmocka_unit_test(invariant_stays_as_it_is),
        cmocka_unit_test(refresh_481_begins_anew),
        cmocka_unit_test(refresh_5xx_is_tried_again_until_expiry),
        cmocka_unit_test(refresh_403_ends_it),
        cmocka_unit_test(refresh_404_ends_the_dialog_only),
        cmocka_unit_test(refresh_without_a_notify_ends_the_dialog),
        cmocka_unit_test(refresh_into_silence),
        cmocka_unit_test(refresh_423_asks_for_more),
        cmocka_unit_test(several_tuples_then_one_is_gone),
        cmocka_unit_test(duplicate_tuples_count_once),
        cmocka_unit_test(the_same_again_is_not_said),
        cmocka_unit_test(all_devices_change_at_once),
        cmocka_unit_test(the_target_is_refreshed),
        cmocka_unit_test(the_route_set_is_followed),
        cmocka_unit_test(unsubscribe_before_the_first_notify),
        cmocka_unit_test(unsubscribe_and_no_notify_ever),
        cmocka_unit_test(unsubscribe_is_answered_whatever_sip_says),
        cmocka_unit_test(unsubscribe_into_silence),
        cmocka_unit_test(unsubscribe_notify_before_the_200),
        cmocka_unit_test(unsubscribe_while_a_refresh_is_in_flight),
        cmocka_unit_test(unsubscribe_without_a_dialog),
        cmocka_unit_test(subscribe_again_when_active),
        cmocka_unit_test(subscribe_again_when_pending),
        cmocka_unit_test(subscribe_again_and_again),
        cmocka_unit_test(subscribe_while_unsubscribing),
        cmocka_unit_test(no_room_for_more_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
