// How often a SIP user is told, as he wishes within our bounds: RFC 6446.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/serve_pace.h"

// He watches her with these parameters of Event; she has approved and is away.
static void watches(struct stage *s, struct stage_dialog *d, const char *rates, unsigned expires_s)
{
    char message[1024];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKrates;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=r\nTo: <sip:juliet@example.com>\nCall-ID: r\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nExpires: %u\n"
             "Event: presence%s\n\n",
             expires_s, rates);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, d);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    xmpp_says(s, JULIET_AWAY); // §5.2: from pending to active it is said at once
    sip_sees(s, "NOTIFY", "active", "away", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    the_fence_of_the_check_is_answered(s);
    stage_pass_s(s, 3);
    xmpp_says(s, JULIET_AWAY);
    quiet(s);
}

static void refreshes(struct stage *s, struct stage_dialog *d, const char *more)
{
    char headers[512];
    d->cseq++;
    snprintf(headers, sizeof headers, "Expires: 3600\n%s\n", more);
    sip_resubscribes_with(s, d, headers);
    sip_sees(s, "SIP/2.0 20", NULL);
}

static uint64_t ms_until_notified(struct stage *s, unsigned most_s)
{
    uint64_t before_ms = s->now_ms;
    stage_pass_until_said(s, most_s);
    return s->now_ms - before_ms;
}

static void notified(struct stage *s, const char *a, const char *b)
{
    sip_sees(s, "NOTIFY", a, b, NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

// §5.2: one in ten seconds, and it is the newest.
static void no_more_than_max_rate(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, ";max-rate=0.1", 3600);
    stage_pass_s(s, 20);
    xmpp_says(s, JULIET_DND);
    notified(s, "Subscription-State: active;expires=3577;max-rate=0.1\r\n", "dnd");
    for (int i = 0; i < 9; i++) {
        stage_pass_s(s, 1);
        xmpp_says(s, i % 2 ? JULIET_AWAY : JULIET_DND);
        quiet(s);
    }
    xmpp_says(s, JULIET_AWAY);
    assert_in_range(ms_until_notified(s, 5), 900, 1100);
    notified(s, ";max-rate=0.1\r\n", "away");
    stage_pass_s(s, 1);
    xmpp_says(s, JULIET_DND);
    refreshes(s, &d, "Event: presence;max-rate=0.1"); // a SUBSCRIBE is answered at once
    notified(s, ";max-rate=0.1\r\n", "dnd");
    stage_pass_s(s, 1);
    xmpp_says(s, JULIET_AWAY);
    quiet(s);
    xmpp_says(s, JULIET_REJECTS); // and the end is told at once
    notified(s, "Subscription-State: terminated;reason=rejected\r\n", "Content-Length: 0");
    all_is_over(s, 200);
    stage_close(s);
}

static void twenty_seconds_apart(struct core_config *cfg)
{
    cfg->settings.notify_interval_ms = 20000;
}

// The stricter one holds, and he is told which that is.
static void our_own_interval_and_his(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *said;
        unsigned interval_s;
    } cases[] = {{";max-rate=0.1", ";max-rate=0.05\r\n", 20},
                 {";max-rate=0.02", ";max-rate=0.02\r\n", 50}};
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watches(s, &d, cases[i].asked, 3600);
        twenty_seconds_apart(&s->cfg);
        core_set_settings(s->core, &s->cfg.settings); // as [subscription] may at any time
        stage_pass_s(s, 100);
        xmpp_says(s, JULIET_DND);
        notified(s, cases[i].said, "dnd");
        xmpp_says(s, JULIET_AWAY);
        quiet(s);
        assert_in_range(ms_until_notified(s, 100), cases[i].interval_s * 1000 - 100,
                        cases[i].interval_s * 1000 + 100);
        notified(s, cases[i].said, "away");
        stage_close(s);
    }
}

// §5.3: so slow that nothing would come before the end: as slow as that, and not slower. So he is
// not told of her before the end, and that is what he wants who stops looking for a while.
static void slower_than_the_subscription(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, ";max-rate=0.0001", 500);
    refreshes(s, &d, "Event: presence;max-rate=0.0001");
    notified(s, ";max-rate=0.0002777778\r\n", "away"); // once in an hour
    xmpp_says(s, JULIET_DND);
    quiet(s);
    assert_in_range(ms_until_notified(s, 4000), 3599000, 3600000);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout\r\n", NULL);
    stage_close(s);
}

// §5.1: a refresh that does not say it takes it back; a 2xx to a NOTIFY may say it anew, if it is
// of this event; one without Event says nothing.
static void rates_are_changed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, ";max-rate=0.01", 3600);
    refreshes(s, &d, "Event: presence");
    sip_sees(s, "NOTIFY", NULL);
    sip_lacks(s, "max-rate");
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "Event: presence;max-rate=0.02\n");
    xmpp_says(s, JULIET_AWAY);
    quiet(s);
    assert_in_range(ms_until_notified(s, 100), 49800, 50200);
    sip_sees(s, "NOTIFY", ";max-rate=0.02\r\n", "away", NULL);
    sip_answers(s, 200, "Event: dialog;max-rate=0.5\n");
    xmpp_says(s, JULIET_DND);
    assert_in_range(ms_until_notified(s, 100), 49800, 50200);
    sip_sees(s, "NOTIFY", ";max-rate=0.02\r\n", "dnd", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_AWAY);
    assert_in_range(ms_until_notified(s, 100), 49800, 50200);
    sip_sees(s, "NOTIFY", ";max-rate=0.02\r\n", "away", NULL);
    sip_answers(s, 200, "Event: presence\n"); // takes it back
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_lacks(s, "max-rate");
    stage_close(s);
}

// §6.2: the same once more when nothing was said for so long.
static void no_less_than_min_rate(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, ";min-rate=0.01", 3600);
    assert_in_range(ms_until_notified(s, 200), 96000, 97200); // 3 s have passed
    for (int i = 0; i < 5; i++) {
        notified(s, ";min-rate=0.01\r\n", "away"); // the current full state
        assert_in_range(ms_until_notified(s, 200), 99800, 100200);
    }
    notified(s, ";min-rate=0.01\r\n", "away");
    stage_pass_s(s, 50);
    xmpp_says(s, JULIET_DND); // it counts from the last NOTIFY, whatever its cause
    notified(s, ";min-rate=0.01\r\n", "dnd");
    assert_in_range(ms_until_notified(s, 200), 99800, 100200);
    notified(s, ";min-rate=0.01\r\n", "dnd");
    refreshes(s, &d, "Event: presence");
    sip_sees(s, "NOTIFY", NULL);
    sip_lacks(s, "min-rate");
    sip_answers(s, 200, "");
    stage_pass_s(s, 1000);
    quiet(s);
    stage_close(s);
}

// §6.3, §8: not more often than we do it, nor than his own max-rate allows.
static void min_rate_has_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        unsigned interval_ms;
    } cases[] = {{";min-rate=50", SERVE_REPEAT_LEAST_MS}, {";min-rate=1;max-rate=0.02", 50000}};
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watches(s, &d, cases[i].asked, 3600);
        ms_until_notified(s, 200);
        for (int k = 0; k < 3; k++) {
            notified(s, ";min-rate=0.0", "away");
            assert_in_range(ms_until_notified(s, 200), cases[i].interval_ms - 100,
                            cases[i].interval_ms + 200);
        }
        stage_close(s);
    }
}

// RFC 5839 §6.3: who has said that he has it is not told the same again.
static void min_rate_and_suppression(void **state)
{
    (void)state;
    static const char *const tags[] = {NULL, "*"};
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        char more[256], tag[64];
        watches(s, &d, ";min-rate=0.01", 3600);
        stage_pass_until_said(s, 200);
        sip_sees(s, "NOTIFY", "away", NULL);
        snprintf(tag, sizeof tag, "%.*s", TEXT_ARG(stage_sip(s, s->sip->etag)));
        sip_answers(s, 200, "");
        snprintf(more, sizeof more, "Event: presence;min-rate=0.01\nSuppress-If-Match: %s",
                 tags[i] ? tags[i] : tag);
        refreshes(s, &d, more);
        stage_pass_s(s, 2000);
        quiet(s);
        if (!tags[i]) {
            xmpp_says(s, JULIET_DND); // something else: and that is said again
            notified(s, ";min-rate=0.01\r\n", "dnd");
            assert_in_range(ms_until_notified(s, 200), 99800, 100200);
        }
        stage_close(s);
    }
}

// One in flight: a device that answers late is not given another one meanwhile.
static void min_rate_and_a_slow_device(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, ";min-rate=1", 3600);
    stage_pass_until_said(s, 100);
    sip_sees(s, "NOTIFY", "away", NULL);
    const struct sip_message *slow = sip_keeps(s);
    uint32_t cseq = slow->cseq;
    for (int i = 0; i < 250; i++) {
        stage_pass_ms(s, 100);
        while (sip_next(s))
            assert_int_equal(s->sip->cseq, cseq); // the same once more
    }
    sip_answers_to(s, slow, 200, "");
    assert_in_range(ms_until_notified(s, 100), 4000, 6000);
    sip_sees(s, "NOTIFY", "away", NULL);
    stage_close(s);
}

// They were agreed on (said back), so they outlive the process.
static void rates_outlive_a_crash(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, ";max-rate=0.05;min-rate=0.01", 3600);
    stage_crash(s);
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_DND);
    notified(s, ";max-rate=0.05;min-rate=0.01\r\n", "dnd");
    the_fence_of_the_check_is_answered(s);
    xmpp_says(s, JULIET_AWAY);
    quiet(s);
    assert_in_range(ms_until_notified(s, 100), 19800, 20200);
    notified(s, ";max-rate=0.05;min-rate=0.01\r\n", "away");
    assert_in_range(ms_until_notified(s, 200), 99800, 100200);
    stage_close(s);
}

// His wish to be told the same again holds before there is anything to be told, too.
static void min_rate_outlives_a_crash_undecided(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    sip_says(s,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKrates;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=r\nTo: <sip:juliet@example.com>\nCall-ID: r\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nExpires: 3600\n"
             "Event: presence;min-rate=0.01\n\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    for (int crashed = 0; crashed < 2; crashed++) {
        if (crashed) {
            stage_crash(s);
            stage_streams_up(s);
        }
        while (xmpp_next(s))
            ;
        stage_pass_s(s, 1);
        while (xmpp_next(s))
            ;
        assert_in_range(ms_until_notified(s, 200), 97500, 99500);
        notified(s, "pending", ";min-rate=0.01\r\n");
    }
    stage_close(s);
}

// RFC 3856 §6.10: not more often than every five seconds in the long run. What goes on and on is
// slowed down to that, and is prompt again after a while.
static void who_never_stops_is_slowed_down(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watches(s, &d, "", 3600);
    for (unsigned i = 0; i < 2 * SERVE_HURRY_MAX; i++) {
        xmpp_says(s, i % 2 ? JULIET_AWAY : JULIET_DND);
        while (sip_next(s))
            sip_answers(s, 200, "");
    }
    assert_int_equal(core_stats(s->core)->notifies_out, SERVE_HURRY_MAX);
    for (unsigned i = 0; i < 100; i++) { // for a minute
        xmpp_says(s, i % 2 ? JULIET_AWAY : JULIET_DND);
        stage_pass_ms(s, 600);
        while (sip_next(s))
            sip_answers(s, 200, "");
    }
    assert_in_range(core_stats(s->core)->notifies_out, SERVE_HURRY_MAX + 9, SERVE_HURRY_MAX + 12);
    stage_pass_s(s, 20);
    while (sip_next(s))
        sip_answers(s, 200, "");
    stage_pass_s(s, 60);
    for (int i = 0; i < 10; i++) {
        xmpp_says(s, i % 2 ? JULIET_AWAY : JULIET_DND);
        sip_sees(s, "NOTIFY", i % 2 ? "away" : "dnd", NULL);
        sip_answers(s, 200, "");
    }
    stage_close(s);
}

// What we don't do is not said back, and so nobody counts on it (§7.2); what is no rate is none.
static void what_is_not_taken(void **state)
{
    (void)state;
    static const char *const asked[] = {";adaptive-min-rate=0.05", ";max-rate=0", ";min-rate=fast",
                                        ";max-rate=-1", ";min-rate=100"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watches(s, &d, asked[i], 3600);
        xmpp_says(s, JULIET_DND);
        sip_sees(s, "NOTIFY", "dnd", NULL);
        sip_lacks(s, "rate");
        sip_answers(s, 200, "");
        stage_pass_s(s, 1000);
        quiet(s);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_than_max_rate),
        cmocka_unit_test(our_own_interval_and_his),
        cmocka_unit_test(slower_than_the_subscription),
        cmocka_unit_test(rates_are_changed),
        cmocka_unit_test(no_less_than_min_rate),
        cmocka_unit_test(min_rate_has_bounds),
        cmocka_unit_test(min_rate_and_suppression),
        cmocka_unit_test(min_rate_and_a_slow_device),
        cmocka_unit_test(rates_outlive_a_crash),
        cmocka_unit_test(min_rate_outlives_a_crash_undecided),
        cmocka_unit_test(who_never_stops_is_slowed_down),
        cmocka_unit_test(what_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
