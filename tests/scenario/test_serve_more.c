// NOTIFY requests: what they carry, when they leave, and what their answers mean. RFC 8048 §6.2;
// RFC 6665 §4.2.2.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// ---- NOTIFY requests and their answers

//   romeo's device      gateway           juliet
//     |  NOTIFY away       |     away       |
//     |<-------------------|<---------------|
//     |                    |  dnd, xa, chat |
//     |  200               |<---------------|
//     |------------------->|                |
//     |  NOTIFY chat       |                |
//     |<-------------------|                |
static void only_the_newest_waits(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    static const char *const shows[] = {"xa", "away", "chat"};
    for (int i = 0; i < 3; i++) {
        char stanza[256];
        snprintf(stanza, sizeof stanza,
                 "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
                 "<show>%s</show></presence>",
                 shows[i]);
        xmpp_says(s, stanza);
        quiet(s);
    }
    sip_answers(s, 200, "");
    sip_sees(s, "NOTIFY", "chat", NULL);
    sip_lacks(s, ">xa<");
    sip_answers(s, 200, "");
    quiet(s);
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
              "<show>chat</show></presence>"); // no news
    quiet(s);
    stage_close(s);
}

static void two_seconds_apart(struct core_config *cfg)
{
    cfg->settings.notify_interval_ms = 2000;
}

static void notify_interval(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_seconds_apart);
    says_subscribe(s, 1, "");
    struct stage_dialog d;
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &d);
    sip_sees(s, "NOTIFY", "pending", NULL); // the first one is due at once
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_pass_ms(s, 100);
    xmpp_says(s, JULIET_AWAY);
    xmpp_says(s, JULIET_DND);
    quiet(s);
    stage_pass_ms(s, 1850);
    quiet(s);
    stage_pass_ms(s, 100);
    sip_sees(s, "NOTIFY", "active", "dnd", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_AWAY);
    quiet(s);
    d.cseq++;
    sip_resubscribes_with(s, &d, "Event: presence\nExpires: 600\n"); // overrides the interval
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 5);
    quiet(s); // and what had waited has been said
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    sip_resubscribes(s, &d, 0); // as does the end
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    stage_close(s);
}

// RFC 6665 §4.2.2: these answers say that the dialog is no more. The authorization stays.
static void a_device_that_is_gone(void **state)
{
    (void)state;
    static const unsigned statuses[] = {404, 405, 410, 416, 480, 481, 482,
                                        483, 484, 485, 489, 501, 604};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_established(s, &d);
        xmpp_says(s, JULIET_DND);
        sip_sees(s, "NOTIFY", "dnd", NULL);
        sip_answers(s, statuses[i], "");
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        quiet(s);
        assert_int_equal(serve_state(s), STATE_DORMANT);
        xmpp_says(s, JULIET_AWAY);
        quiet(s);
        sip_resubscribes(s, &d, 600);
        sip_sees(s, "SIP/2.0 481", NULL);
        stage_pass_s(s, 100);
        assert_int_equal(core_stats(s->core)->dialogs, 0);
        stage_close(s);
    }
}

// [limits] notify_failures: one 408 or 500 ends nothing; three in a row do.
static void a_device_that_fails_again_and_again(void **state)
{
    (void)state;
    static const unsigned statuses[] = {408, 500, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_established(s, &d);
        xmpp_says(s, JULIET_DND);
        for (int k = 0; k < 2; k++) {
            sip_sees(s, "NOTIFY", "dnd", NULL);
            sip_answers(s, statuses[i], "");
            quiet(s);
            stage_pass_until_said(s, 6);
        }
        sip_sees(s, "NOTIFY", "dnd", NULL);
        sip_answers(s, 200, ""); // it counts anew
        xmpp_says(s, JULIET_AWAY);
        for (int k = 0; k < 3; k++) {
            sip_sees(s, "NOTIFY", "away", NULL);
            sip_answers(s, statuses[i], "");
            if (k < 2)
                stage_pass_until_said(s, 6);
        }
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        stage_pass_s(s, 100);
        quiet(s);
        assert_int_equal(serve_state(s), STATE_DORMANT);
        stage_close(s);
    }
}

static void patience(struct core_config *cfg)
{
    cfg->settings.notify_failures = 100000;
}

// Whatever the setting: no device fails for ever.
static void patience_has_an_end(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(patience);
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    for (int k = 0; k < 255; k++) {
        if (k)
            stage_pass_until_said(s, 6);
        sip_sees(s, "NOTIFY", "dnd", NULL);
        sip_answers(s, 500, "");
    }
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    stage_pass_s(s, 100);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

// Newer presence does not wait for the retry, and the retry carries the newest.
static void a_retry_carries_the_newest(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 500, "");
    stage_pass_s(s, 1);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 10);
    quiet(s);
    stage_close(s);
}

// A dead device: 11 sends for each of three NOTIFYs, then it is over.
static void a_device_that_is_silent(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    unsigned sent = 0;
    for (int i = 0; i < 2000 && s->stanza_head == s->stanza_tail; i++) {
        while (sip_next(s))
            sent++;
        stage_pass_ms(s, 100);
    }
    assert_int_equal(sent, 33);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    stage_pass_s(s, 100);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

// He is told of the end even if the NOTIFY before it was not answered well.
static void the_last_notify_waits_for_the_one_before(void **state)
{
    (void)state;
    static const unsigned statuses[] = {200, 500, 408};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_established(s, &d);
        xmpp_says(s, JULIET_DND);
        sip_sees(s, "NOTIFY", "dnd", NULL);
        xmpp_says(s, JULIET_REJECTS);
        quiet(s);
        sip_answers(s, statuses[i], "");
        sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=rejected", NULL);
        sip_answers(s, 200, "");
        all_is_over(s, 200);
        stage_close(s);
    }
    struct stage *s = stage_open(); // but not if he has told us that there is no dialog
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    xmpp_says(s, JULIET_REJECTS);
    sip_answers(s, 481, "");
    all_is_over(s, 200);
    stage_close(s);
}

// ---- What she shows

#define SAYS(resource, inside)                                                                     \
    "<presence from='juliet@example.com/" resource "' to='romeo@example.net'>" inside "</presence>"
#define LEAVES(resource)                                                                           \
    "<presence from='juliet@example.com/" resource "' to='romeo@example.net' type='unavailable'/>"

static void notified(struct stage *s, const char *a, const char *b)
{
    sip_sees(s, "NOTIFY", "Subscription-State: active", a, b, NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

// RFC 8048 §6.2: one tuple for each resource, in every NOTIFY.
static void resources_are_tuples(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SAYS("chamber", "<show>dnd</show>"));
    notified(s, "id='ID-balcony'", "id='ID-chamber'");
    xmpp_says(s, LEAVES("balcony"));
    sip_sees(s, "NOTIFY", "id='ID-chamber'", "dnd", NULL);
    sip_lacks(s, "balcony");
    sip_answers(s, 200, "");
    xmpp_says(s, LEAVES("chamber")); // the last: closed, and the dialog goes on (§5.3.3 note)
    notified(s, "id='ID-chamber'", "<basic>closed</basic>");
    xmpp_says(s, LEAVES("chamber"));
    xmpp_says(s, LEAVES("balcony"));
    quiet(s); // no news
    xmpp_says(s, SAYS("orchard", ""));
    sip_sees(s, "NOTIFY", "id='ID-orchard'", "<basic>open</basic>", NULL);
    sip_lacks(s, "chamber");
    sip_answers(s, 200, "");
    xmpp_says(s, SAYS("tomb", ""));
    notified(s, "orchard", "tomb");
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' "
              "type='unavailable'/>"); // of the bare JID: all of them
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    sip_lacks(s, "<basic>open</basic>");
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_newest_waits),
        cmocka_unit_test(notify_interval),
        cmocka_unit_test(a_device_that_is_gone),
        cmocka_unit_test(a_device_that_fails_again_and_again),
        cmocka_unit_test(patience_has_an_end),
        cmocka_unit_test(a_retry_carries_the_newest),
        cmocka_unit_test(a_device_that_is_silent),
        cmocka_unit_test(the_last_notify_waits_for_the_one_before),
        cmocka_unit_test(resources_are_tuples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
