// Her presence session, with many watches at once, across restarts and across lost streams.
#include "session_words.h"

// ---- Many at once

enum { MANY = 50 };

static void many_watches(struct stage *s, struct stage_dialog *d)
{
    for (int i = 0; i < MANY; i++) {
        char who[32];
        snprintf(who, sizeof who, "capulet%d", i);
        watches(s, who, d);
    }
}

// CORE_SESSION_STEP of them every CORE_SESSION_MS, the first ones when the grace is over.
static void many_are_paced(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    many_watches(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_ms(s, GRACE_S * 1000 + 10);
    unsigned n[3] = {0};
    for (int step = 0; step < 3; step++) {
        while (sip_next(s)) {
            assert_int_equal(s->sip->expires, 0);
            sip_answers(s, 481, "");
            n[step]++;
        }
        stage_pass_ms(s, 110);
    }
    assert_int_equal(n[0], 20);
    assert_int_equal(n[1], 20);
    assert_int_equal(n[2], 10);
    quiet(s);
    assert_int_equal(live_dialogs(s), 1);
    stage_pass_s(s, 60);
    says(s, "chamber", "romeo", "");
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    stage_pass_ms(s, 110);
    probe_is_answered(s);
    unsigned opened = 0;
    for (int step = 0; step < 3; step++) {
        unsigned now = 0;
        for (; sip_next(s); now++)
            sip_answers(s, 200, "Expires: 3600\n");
        assert_in_range(now, 10, 20);
        opened += now;
        stage_pass_ms(s, 110);
    }
    assert_int_equal(opened, MANY);
    stage_close(s);
}

static void two_in_flight(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 2;
}

// [limits] requests_in_flight_per_peer: what finds no room is closed a little later.
static void a_busy_next_hop(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_in_flight);
    struct stage_dialog d, device;
    many_watches(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_ms(s, GRACE_S * 1000 + 10);
    for (int i = 0; i < MANY; i += 2) {
        for (int k = 0; k < 2; k++) {
            sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
            if (k)
                quiet(s);
            sip_keeps(s);
        }
        sip_answers_to(s, s->kept[0], 481, "");
        sip_answers_to(s, s->kept[1], 481, "");
        free(s->kept[0]);
        free(s->kept[1]);
        s->n_kept = 0;
        stage_pass_ms(s, 110);
    }
    quiet(s);
    assert_int_equal(live_dialogs(s), 1);
    stage_close(s);
}

// ---- Restart, and lost streams

// She may have come while nobody could tell us: her server is asked, and the dialog opened.
static void closed_and_then_a_restart(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        stage_pass_s(s, GRACE_S);
        is_closed(s, &d);
        stage_pass_s(s, 100);
        if (crash)
            stage_crash(s);
        else
            stage_streams_down(s);
        stage_streams_up(s);
        // What he knows of her may be out of date, too.
        unsigned checks = 0;
        const char *stanza, *fence = NULL;
        static char id[64];
        while ((stanza = xmpp_next(s))) {
            checks += strstr(stanza, "serve-check") != NULL;
            const char *at =
                strstr(stanza, "from='gw.example.net'") ? strstr(stanza, "id='") : NULL;
            if (at && sscanf(at, "id='%63[^']", id) == 1)
                fence = id;
        }
        assert_int_equal(checks, 1);
        assert_non_null(fence);
        xmpp_answers_fence(s, "juliet@example.com", fence);
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
        sip_dialog_of_subscribe(s, &d, "ffd3");
        sip_answers(s, 200, "Expires: 3600\n");
        approves(s, &d);
        if (crash)
            xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        xmpp_sees(s, ROMEO_AWAY);
        // She is not there, as her server says to him.
        says(s, "", "romeo", "unavailable");
        the_fence_of_the_check_is_answered(s);
        stage_pass_s(s, 3);
        while (sip_next(s)) // what his device sees of it
            sip_answers(s, 200, "");
        stage_pass_ms(s, (GRACE_S - 3) * 1000 + 10);
        is_closed(s, &d);
        quiet(s);
        stage_close(s);
    }
}

// Whom nobody has asked about since the stream was lost may be there on another device: first her
// server is asked.
static void stale_sight_is_asked_first(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    sip_resubscribes(s, &device, 0); // his device ends: nobody looks, but he may
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_streams_down(s);
    stage_streams_up(s);
    while (xmpp_next(s))
        ;
    quiet(s);
    says(s, "balcony", "romeo", "unavailable");
    is_checked(s);
    says(s, "chamber", "romeo", ""); // which came while the stream was down
    the_fence_of_the_check_is_answered(s);
    stage_pass_s(s, 60);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    says(s, "chamber", "romeo", "unavailable");
    stage_pass_s(s, GRACE_S);
    is_closed(s, &d);
    stage_close(s);
}

// The process dies when the end was said, or just before: nothing is lost but a dialog that lapses.
static void death_on_the_way(void **state)
{
    (void)state;
    for (int committed = 0; committed < 2; committed++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        s->die_in = 1;
        s->die_committed = committed;
        stage_pass_s(s, GRACE_S);
        assert_true(s->died);
        quiet(s);
        assert_int_equal(s->n_records, 2);
        sip_notifies(s, &d, "active;expires=3000", PIDF_AWAY);
        sip_sees(s, committed ? "SIP/2.0 481" : "SIP/2.0 200", NULL);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_are_paced),
        cmocka_unit_test(a_busy_next_hop),
        cmocka_unit_test(closed_and_then_a_restart),
        cmocka_unit_test(stale_sight_is_asked_first),
        cmocka_unit_test(death_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
