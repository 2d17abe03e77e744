// A SIP user watches an XMPP user: several devices, expiry, slow and broken peers, changes of mind,
// lost streams and restarts. RFC 8048 §5.3, §6.2, §7.2; RFC 6665 §4.2.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define CONDITION(name)                                                                            \
    "<error type='cancel'><" name " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// A SUBSCRIBE of one of his devices; n names it.
static void says_subscribe(struct stage *s, int n, const char *more)
{
    char message[2048];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKdevice%d;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=device%d\nTo: <sip:juliet@example.com>\n"
             "Call-ID: device%d\nCSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:%d>\n"
             "Event: presence\n%s\n",
             n, n, n, 5100 + n, more);
    sip_says(s, message);
}

// One more device while she is known to be away: it sees that at once.
static void device_joins(struct stage *s, struct stage_dialog *d, int n, unsigned expires_s)
{
    char expires[64];
    snprintf(expires, sizeof expires, "Expires: %u\n", expires_s);
    says_subscribe(s, n, expires);
    sip_sees(s, "SIP/2.0 200", "Expires: ", NULL);
    sip_dialog_of_answer(s, d);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "away", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

static enum core_state state_of(const struct stage *s)
{
    for (int state = STATE_PENDING; state <= STATE_DORMANT; state++)
        if (core_stats(s->core)->by_state[SIP_TO_XMPP][state])
            return (enum core_state)state;
    fail_msg("no authorization");
    return STATE_PENDING;
}

// What may have been overtaken is asked for, with a fence that tells when the answer is complete.
static void the_fence_of_the_check_is_answered(struct stage *s)
{
    xmpp_says(s,
              "<iq type='error' from='juliet@example.com' to='romeo@example.net' "
              "id='serve-check'>" CONDITION("service-unavailable") "</iq>");
}

static void is_checked(struct stage *s)
{
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s,
              "<iq type='get' from='romeo@example.net' to='juliet@example.com' "
              "id='serve-check'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    quiet(s);
}

// ---- Devices and their expiry

// phone 600 s, tablet 1200 s, desk 3600 s: each ends on its own, and only with the last one is
// juliet told that romeo has gone.
static void devices_expire_one_by_one(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog desk, phone, tablet;
    serve_established(s, &desk);
    device_joins(s, &phone, 1, 600);
    device_joins(s, &tablet, 2, 1200);
    xmpp_says(s, JULIET_DND);
    for (int i = 0; i < 3; i++) {
        sip_sees(s, "NOTIFY", "dnd", NULL);
        sip_answers(s, 200, "");
    }
    quiet(s);
    static const unsigned left_s[] = {600, 600, 2400};
    for (int i = 0; i < 3; i++) {
        stage_pass_s(s, left_s[i] - 1);
        quiet(s);
        stage_pass_until_said(s, 2);
        sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout",
                 "<basic>closed</basic>", NULL);
        sip_answers(s, 200, "");
        if (i == 2)
            xmpp_sees(s, ROMEO_UNAVAILABLE);
        quiet(s);
        if (i < 2)
            assert_int_equal(state_of(s), STATE_ACTIVE);
    }
    assert_int_equal(state_of(s), STATE_DORMANT);
    assert_int_equal(s->n_records, 1); // the authorization stays
    stage_pass_s(s, 100);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

// He comes back: no new question, and what is known at once.
static void back_after_all_have_left(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, again;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_says(s, JULIET_DND); // her server goes on telling us
    quiet(s);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &again);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "dnd", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    assert_int_equal(state_of(s), STATE_ACTIVE);
    stage_close(s);
}

static void unsubscribe_on_expiry(struct core_config *cfg)
{
    cfg->settings.unsubscribe_on_expiry = true;
}

// [subscription] on_expiry = "unsubscribe": the authorization goes with the last dialog.
static void on_expiry_unsubscribe(void **state)
{
    (void)state;
    for (int by_time = 0; by_time < 2; by_time++) {
        struct stage *s = stage_open_with(unsubscribe_on_expiry);
        struct stage_dialog desk, phone;
        serve_established(s, &desk);
        device_joins(s, &phone, 1, 600);
        sip_resubscribes(s, &phone, 0);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", "terminated", NULL);
        sip_answers(s, 200, "");
        quiet(s); // there is another one
        if (by_time) {
            stage_pass_until_said(s, 4000);
        } else {
            sip_resubscribes(s, &desk, 0);
            sip_sees(s, "SIP/2.0 200", NULL);
        }
        sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
        sip_answers(s, 200, "");
        xmpp_sees(s,
                  "<presence from='romeo@example.net' to='juliet@example.com' "
                  "type='unsubscribe'/>");
        all_is_over(s, 200);
        stage_close(s);
    }
}

// Nobody waits any more, and she has not decided: nothing was promised, nothing is kept.
static void pending_until_nobody_waits(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_pass_until_said(s, 4000);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_answers(s, 200, "");
    all_is_over(s, 200);
    stage_close(s);
}

// RFC 6665 §4.2.1.2: a refresh is answered, and a NOTIFY follows, whether or not there is news.
static void refresh_in_the_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (int i = 0; i < 5; i++) {
        stage_pass_s(s, 3000);
        quiet(s);
        sip_resubscribes(s, &d, 3600);
        sip_sees(s, "SIP/2.0 200", "Expires: 3600", "Contact: <sip:juliet@127.0.0.1:5080>", NULL);
        sip_lacks(s, "Record-Route");
        sip_sees(s, "NOTIFY", "Subscription-State: active;expires=3600", "away", NULL);
        sip_answers(s, 200, "");
        quiet(s);
    }
    sip_resubscribes(s, &d, 100000); // more than we grant
    sip_sees(s, "SIP/2.0 200", "Expires: 7200", NULL);
    sip_sees(s, "NOTIFY", "active;expires=7200", NULL);
    stage_close(s);
}

// The device has moved: the remote target follows its Contact (RFC 3261 §12.2).
static void refresh_from_a_new_address(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    d.cseq++;
    sip_resubscribes_with(s, &d,
                          "Event: presence\nExpires: 600\nContact: <sip:romeo@127.0.0.9:6000>\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.9:6000", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.9:6000", NULL);
    stage_close(s);
}

// The route set is that of the SUBSCRIBE, given back in the 200 (RFC 3261 §12.1.1), and followed.
static void the_route_set_is_followed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "Record-Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>\n");
    sip_sees(s, "SIP/2.0 200", "Record-Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>",
             NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5101",
             "Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>", NULL);
    struct hop want;
    assert_int_equal(hop_parse(&want, TEXT("127.0.0.3"), 5066, HOP_UDP), 0);
    assert_true(hop_eq(&s->sips[s->sip_head - 1].to, &want));
    stage_close(s);
}

// A request that comes by two ways has two branches but makes one dialog (RFC 3261 §8.2.2.2).
static void one_request_by_two_ways(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, again;
    serve_begun(s, &d);
    char message[1024] = ROMEO_SUBSCRIBES;
    memcpy(strstr(message, "z9hG4bKna998sk"), "z9hG4bKotherwa", 14);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &again);
    assert_string_equal(again.our_tag, d.our_tag);
    sip_sees(s, "NOTIFY", "CSeq: 2 NOTIFY", NULL);
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

// One past CORE_DIALOGS_PER_SUB devices of one user.
static void too_many_devices(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (int i = 0; i < 64; i++) {
        says_subscribe(s, i, "");
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", NULL);
        sip_answers(s, 200, "");
        while (xmpp_next(s))
            ;
    }
    says_subscribe(s, 64, "");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    says_subscribe(s, 65, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 64);
    stage_close(s);
}

// ---- Fetches: RFC 8048 §7.2

//   romeo           gateway               juliet's server
//     | SUBSCRIBE, Expires 0 |                  |
//     |--------------------->|                  |
//     | 200, NOTIFY          |  probe           |
//     |  terminated;timeout  |----------------->|
//     |<---------------------|                  |
static void a_fetch_of_somebody_unknown(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout", NULL);
    sip_lacks(s, "pidf");
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    quiet(s);
    says_subscribe(s, 1, "Expires: 0\n"); // sent again
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    quiet(s);
    xmpp_says(s, JULIET_AWAY); // comes to nothing: who asked has been answered
    quiet(s);
    assert_int_equal(s->puts, 0);
    all_is_over(s, 200);
    stage_close(s);
}

static void a_fetch_of_what_is_known(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    says_subscribe(s, 1, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout", "away",
             "id='ID-balcony'", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    assert_int_equal(state_of(s), STATE_ACTIVE); // the dialog that stands is not touched
    stage_close(s);
}

// Who has not been approved learns nothing, and an undecided request is not probed.
static void a_fetch_while_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    says_subscribe(s, 1, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_lacks(s, "pidf");
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

static void three_per_minute(struct core_config *cfg)
{
    cfg->settings.new_subscriptions_per_user_per_min = 3;
}

static void too_many_fetches(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(three_per_minute);
    for (int i = 0; i < 3; i++) {
        says_subscribe(s, i, "Expires: 0\n");
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", NULL);
        sip_answers(s, 200, "");
        xmpp_sees(s, ROMEO_PROBES);
    }
    says_subscribe(s, 3, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    quiet(s);
    stage_pass_s(s, 60);
    says_subscribe(s, 4, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_close(s);
}

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
        assert_int_equal(state_of(s), STATE_DORMANT);
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
        assert_int_equal(state_of(s), STATE_DORMANT);
        stage_close(s);
    }
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

// ---- What she decides

// RFC 8048 §5.3.1: presence from somebody who shows herself is an approval, too. Unless it answers
// the probe it need not be all that there is, so the rest is asked for.
static void presence_approves(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "away", NULL);
    sip_answers(s, 200, "");
    is_checked(s);
    the_fence_of_the_check_is_answered(s);
    assert_int_equal(state_of(s), STATE_ACTIVE);
    xmpp_says(s, JULIET_APPROVES); // says nothing new
    quiet(s);
    stage_close(s);
}

// She had approved him long ago: her server answers the first probe.
static void presence_answers_the_first_probe(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_FENCE);
    xmpp_sees(s, ROMEO_ASKS);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "away", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// Seen with Prosody: `unavailable` from the bare JID is a receipt for `subscribe`.
static void a_bare_unavailable_is_no_approval(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' "
              "type='unavailable'/>");
    xmpp_says(s, LEAVES("balcony"));
    quiet(s);
    assert_int_equal(state_of(s), STATE_PENDING);
    stage_close(s);
}

// RFC 6121 §3.1.6: from the bare JID; some send it from the full one.
static void subscribed_from_a_full_jid(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net' "
              "type='subscribed'/>");
    sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    quiet(s);
    stage_close(s);
}

// RFC 6121 §4.3.2: a server says `unsubscribed` to the probe of a stranger. That is not her word
// while the fence behind the probe is not answered, or when it bears the probe's id.
static void unsubscribed_to_the_probe_is_no_rejection(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_FENCE);
    xmpp_sees(s, ROMEO_ASKS);
    xmpp_says(s, JULIET_REJECTS); // before the fence
    quiet(s);
    xmpp_says(s,
              "<iq type='result' from='juliet@example.com' to='romeo@example.net' "
              "id='serve-fence'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' "
              "type='unsubscribed' id='serve-probe'/>"); // late, but it says what it answers
    quiet(s);
    assert_int_equal(state_of(s), STATE_PENDING);
    xmpp_says(s, JULIET_REJECTS); // behind it: this is she
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    all_is_over(s, 200);
    stage_close(s);
}

// A fence that is never answered does not make her silent for ever.
static void unsubscribed_after_a_lost_fence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_pass_s(s, 12);
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    stage_close(s);
}

// She changes her mind: all of his devices are told.
static void revocation(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog desk, phone;
    serve_established(s, &desk);
    device_joins(s, &phone, 1, 600);
    xmpp_says(s, JULIET_REJECTS);
    for (int i = 0; i < 2; i++) {
        sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=rejected", NULL);
        sip_lacks(s, "pidf");
        sip_answers(s, 200, "");
    }
    quiet(s);
    assert_int_equal(s->n_records, 0);
    sip_resubscribes(s, &desk, 600);
    sip_sees(s, "SIP/2.0 481", NULL);
    all_is_over(s, 200);
    stage_close(s);
}

// After that he may ask once more, and she is asked once more.
static void asking_again_after_a_rejection(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_FENCE);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    stage_close(s);
}

static void error_to_subscribe(struct stage *s, const char *condition)
{
    char stanza[512];
    snprintf(stanza, sizeof stanza,
             "<presence type='error' from='juliet@example.com' to='romeo@example.net'>"
             "<error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
             "</presence>",
             condition);
    xmpp_says(s, stanza);
}

static void errors_to_our_subscribe(void **state)
{
    (void)state;
    static const struct {
        const char *condition, *substate;
    } final[] = {
        {"gone", "Subscription-State: terminated;reason=noresource"},
        {"item-not-found", "Subscription-State: terminated;reason=noresource"},
        {"forbidden", "Subscription-State: terminated;reason=rejected"},
        {"not-authorized", "Subscription-State: terminated;reason=rejected"},
        {"not-allowed", "Subscription-State: terminated;reason=rejected"},
    };
    for (size_t i = 0; i < sizeof final / sizeof *final; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_begun(s, &d);
        error_to_subscribe(s, final[i].condition);
        sip_sees(s, "NOTIFY", final[i].substate, NULL);
        sip_answers(s, 200, "");
        all_is_over(s, 200);
        stage_close(s);
    }
}

// Anything else: still pending, and tried again after 30 s, 60 s, …
static void errors_for_now_to_our_subscribe(void **state)
{
    (void)state;
    static const char *const conditions[] = {"remote-server-not-found", "remote-server-timeout",
                                             "service-unavailable",     "internal-server-error",
                                             "recipient-unavailable",   "resource-constraint",
                                             "undefined-condition",     "policy-violation"};
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_begun(s, &d);
        for (unsigned least_s = 30; least_s <= 240; least_s *= 2) {
            error_to_subscribe(s, conditions[i]);
            error_to_subscribe(s, conditions[i]); // of the probe: it is one failure
            quiet(s);
            uint64_t before_ms = s->now_ms;
            stage_pass_until_said(s, 500);
            assert_in_range((s->now_ms - before_ms) / 1000, least_s - 1, least_s + least_s / 4 + 1);
            xmpp_sees(s, ROMEO_ASKS);
            quiet(s);
        }
        assert_int_equal(state_of(s), STATE_PENDING);
        xmpp_says(s, JULIET_APPROVES);
        sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
        sip_answers(s, 200, "");
        xmpp_sees(s, ROMEO_PROBES);
        stage_pass_s(s, 1000);
        quiet(s); // no more
        stage_close(s);
    }
}

// ---- Lost streams and restarts

//   romeo's device      gateway                  juliet's server
//     |                    |   ~~ stream lost ~~    |
//     |                    |   ~~ and back ~~       |
//     |                    |  probe, fence          |
//     |                    |----------------------->|
//     |  NOTIFY            |  what there is now     |
//     |<-------------------|<-----------------------|
static void stream_lost_and_nothing_has_changed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_streams_down(s);
    stage_pass_s(s, 60);
    quiet(s);
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_AWAY);
    the_fence_of_the_check_is_answered(s);
    stage_pass_s(s, 10);
    quiet(s); // what he sees is true
    stage_close(s);
}

static void stream_lost_and_she_has_left(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_streams_down(s);
    stage_pass_s(s, 60);
    stage_streams_up(s);
    is_checked(s);
    the_fence_of_the_check_is_answered(s); // and no presence
    stage_pass_s(s, 10);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "<basic>closed</basic>", NULL);
    sip_lacks(s, "<basic>open</basic>");
    stage_close(s);
}

// Her server can't be reached just then: asked again, and he goes on seeing the last that is known.
static void stream_lost_and_her_server_is_away(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_streams_down(s);
    stage_streams_up(s);
    for (unsigned least_s = 30; least_s <= 120; least_s *= 2) {
        is_checked(s);
        xmpp_says(s,
                  "<iq type='error' from='juliet@example.com' to='romeo@example.net' "
                  "id='serve-check'>" CONDITION("remote-server-timeout") "</iq>");
        quiet(s);
        uint64_t before_ms = s->now_ms;
        stage_pass_until_said(s, 500);
        assert_in_range((s->now_ms - before_ms) / 1000, least_s - 1, least_s + least_s / 4 + 1);
    }
    is_checked(s);
    xmpp_says(s, JULIET_DND);
    the_fence_of_the_check_is_answered(s);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 200);
    quiet(s);
    stage_close(s);
}

static void stream_lost_while_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_streams_down(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS); // repeated, never probed
    quiet(s);
    stage_close(s);
}

// He subscribes while the stream is down: pending, and she is asked once it is up.
static void subscribe_while_the_stream_is_down(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    stage_streams_down(s);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    stage_close(s);
}

static void restart_while_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_crash(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "Subscription-State: active", NULL);
    assert_true(s->sip->cseq > 1);
    stage_close(s);
}

// The dialog goes on in the next life: same tags, higher CSeq, and the truth asked anew.
static void restart_while_active(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_pass_s(s, 100);
    stage_crash(s);
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "Subscription-State: active;expires=349", "dnd",
             d.our_tag, d.call_id, NULL);
    assert_true(s->sip->cseq > 3);
    sip_answers(s, 200, "");
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    d.cseq--; // the peer's CSeq is remembered as well
    d.cseq--;
    sip_resubscribes_with(s, &d, "Event: presence\nExpires: 0\n");
    sip_sees(s, "SIP/2.0 500", NULL);
    stage_close(s);
}

static void restart_while_dormant(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    stage_crash(s);
    stage_streams_up(s);
    quiet(s);
    assert_int_equal(state_of(s), STATE_DORMANT);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
    sip_answers(s, 200, "");
    is_checked(s);
    stage_close(s);
}

// It expired while the process was away: told at once.
static void expired_during_downtime(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    s->now_ms += 7200 * 1000;
    stage_crash(s);
    stage_streams_up(s);
    stage_pass_until_said(s, 2);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_pass_s(s, 200);
    quiet(s);
    assert_int_equal(state_of(s), STATE_DORMANT);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_expire_one_by_one),
        cmocka_unit_test(back_after_all_have_left),
        cmocka_unit_test(on_expiry_unsubscribe),
        cmocka_unit_test(pending_until_nobody_waits),
        cmocka_unit_test(refresh_in_the_dialog),
        cmocka_unit_test(refresh_from_a_new_address),
        cmocka_unit_test(the_route_set_is_followed),
        cmocka_unit_test(one_request_by_two_ways),
        cmocka_unit_test(too_many_devices),
        cmocka_unit_test(a_fetch_of_somebody_unknown),
        cmocka_unit_test(a_fetch_of_what_is_known),
        cmocka_unit_test(a_fetch_while_pending),
        cmocka_unit_test(too_many_fetches),
        cmocka_unit_test(only_the_newest_waits),
        cmocka_unit_test(notify_interval),
        cmocka_unit_test(a_device_that_is_gone),
        cmocka_unit_test(a_device_that_fails_again_and_again),
        cmocka_unit_test(a_retry_carries_the_newest),
        cmocka_unit_test(a_device_that_is_silent),
        cmocka_unit_test(the_last_notify_waits_for_the_one_before),
        cmocka_unit_test(resources_are_tuples),
        cmocka_unit_test(presence_approves),
        cmocka_unit_test(presence_answers_the_first_probe),
        cmocka_unit_test(a_bare_unavailable_is_no_approval),
        cmocka_unit_test(subscribed_from_a_full_jid),
        cmocka_unit_test(unsubscribed_to_the_probe_is_no_rejection),
        cmocka_unit_test(unsubscribed_after_a_lost_fence),
        cmocka_unit_test(revocation),
        cmocka_unit_test(asking_again_after_a_rejection),
        cmocka_unit_test(errors_to_our_subscribe),
        cmocka_unit_test(errors_for_now_to_our_subscribe),
        cmocka_unit_test(stream_lost_and_nothing_has_changed),
        cmocka_unit_test(stream_lost_and_she_has_left),
        cmocka_unit_test(stream_lost_and_her_server_is_away),
        cmocka_unit_test(stream_lost_while_pending),
        cmocka_unit_test(subscribe_while_the_stream_is_down),
        cmocka_unit_test(restart_while_pending),
        cmocka_unit_test(restart_while_active),
        cmocka_unit_test(restart_while_dormant),
        cmocka_unit_test(expired_during_downtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
