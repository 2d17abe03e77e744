// Loops: requests that come back, and two gateways each of which takes the other's side for the far
// one. RFC 7247 §8, RFC 5393, RFC 7332, RFC 3261 §16.3.
//
//   example.net's users:  for A behind SIP, for B behind XMPP
//   example.com's users:  for A behind XMPP, for B behind SIP
//
//        ┌──── A ◀── SIP ──▶ B ────┐        What one of them translates comes to it again,
//        └───────── XMPP ──────────┘        translated back by the other.
//
// No header field crosses XMPP that could tell (RFC 7247 §8), so what stops a loop is that each
// side passes on only what is news to it.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/serve_pace.h"

// What two changes that chase each other can cause at most, for each dialog that they pass.
enum { CHASE_SIP = 2 * SERVE_HURRY_MAX + 20, CHASE_XMPP = SERVE_HURRY_MAX + 20 };

struct ring {
    struct stage *a, *b;
    unsigned sip, xmpp; // messages that have gone round since ring_counts_anew()
};

static const struct text NET[] = {{"example.net", 11}}, COM[] = {{"example.com", 11}};

static void mirrored(struct core_config *cfg)
{
    cfg->seed = 99;
    cfg->gateway_domain = TEXT("gw.example.com");
    cfg->advertise = TEXT("127.0.0.2");
    cfg->trust.sip_domains = COM;
    cfg->trust.xmpp_domains = NET;
    memcpy(cfg->key, "fedcba9876543210", 16);
}

static void ring_open(struct ring *r)
{
    *r = (struct ring){.a = stage_open(), .b = stage_open_with(mirrored)};
}

static void ring_close(struct ring *r)
{
    stage_close(r->a);
    stage_close(r->b);
}

static void ring_counts_anew(struct ring *r)
{
    r->sip = r->xmpp = 0;
}

static void sip_carried(const struct stage_message *m, struct stage *to)
{
    struct event ev = {.kind = EVENT_SIP, .port = SIP_PORT_LISTEN(0)};
    assert_int_equal(hop_parse(&ev.source, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    assert_int_equal(sip_parse(to->parser, m->bytes, m->n, &ev.sip), 0);
    core_step(to->core, &ev, to->now_ms, &to->fx);
    stage_pass_ms(to, 0);
}

// To whom a stanza goes follows from its domain, as on any XMPP server with two components.
static struct stage *xmpp_owner(struct ring *r, const char *stanza)
{
    const char *to = strstr(stanza, " to='");
    assert_non_null(to);
    const char *end = strchr(to + 5, '\'');
    return memmem(to, (size_t)(end - to), "example.net", 11) ? r->a : r->b;
}

static bool ring_carry(struct ring *r, struct stage *from, struct stage *other)
{
    bool any = false;
    while (from->sip_head < from->sip_tail) {
        sip_carried(&from->sips[from->sip_head++], other);
        r->sip++;
        any = true;
    }
    while (from->stanza_head < from->stanza_tail) {
        const char *stanza = from->stanzas[from->stanza_head++].bytes;
        xmpp_says(xmpp_owner(r, stanza), stanza);
        r->xmpp++;
        any = true;
    }
    return any;
}

static void ring_forget(struct stage *s)
{
    for (size_t i = 0; i < s->sip_tail; i++)
        free(s->sips[i].bytes);
    for (size_t i = 0; i < s->stanza_tail; i++)
        free(s->stanzas[i].bytes);
    s->sip_head = s->sip_tail = s->stanza_head = s->stanza_tail = 0;
}

// Until nobody says anything any more; `most` messages are too many.
static void ring_settles(struct ring *r, unsigned most)
{
    while (ring_carry(r, r->a, r->b) | ring_carry(r, r->b, r->a))
        if (r->sip + r->xmpp > most)
            fail_msg("%u SIP messages and %u stanzas, and no end", r->sip, r->xmpp);
    ring_forget(r->a);
    ring_forget(r->b);
}

static void ring_passes_s(struct ring *r, unsigned seconds, unsigned most)
{
    for (unsigned i = 0; i < seconds; i++) {
        stage_pass_s(r->a, 1);
        stage_pass_s(r->b, 1);
        ring_settles(r, most);
    }
}

// A subscription goes round once and is known when it comes back: A's `subscribe` has become a
// SUBSCRIBE, and B's SUBSCRIBE a `subscribe`, which A has been asked before.
static void a_subscription_goes_round_once(void **state)
{
    (void)state;
    struct ring r;
    ring_open(&r);
    xmpp_says(r.a, JULIET_SUBSCRIBES);
    ring_settles(&r, 40);
    print_message("a subscription: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    assert_in_range(r.sip, 4, 6);   // SUBSCRIBE, NOTIFY, their answers
    assert_in_range(r.xmpp, 3, 10); // probe, fence, subscribe, and what A says to those
    assert_int_equal(core_stats(r.a->core)->subscriptions, 1);
    assert_int_equal(core_stats(r.b->core)->subscriptions, 1);
    ring_counts_anew(&r);
    ring_passes_s(&r, 86400, 2000);
    print_message("a day of it: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    assert_true(r.sip < 300 &&
                r.xmpp < 600); // refreshes, each with its probe: no more than for any
    assert_int_equal(core_stats(r.a->core)->subscriptions, 1);
    ring_close(&r);
}

// And when somebody breaks the ring by an approval, a change goes round once as well.
static void a_change_goes_round_once(void **state)
{
    (void)state;
    struct ring r;
    ring_open(&r);
    xmpp_says(r.a, JULIET_SUBSCRIBES);
    ring_settles(&r, 40);
    ring_counts_anew(&r);
    xmpp_says(r.b,
              "<presence from='romeo@example.net' to='juliet@example.com' "
              "type='subscribed'/>");
    ring_settles(&r, 40);
    print_message("an approval: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    assert_int_equal(core_stats(r.a->core)->by_state[XMPP_TO_SIP][STATE_ACTIVE], 1);
    assert_int_equal(core_stats(r.b->core)->by_state[SIP_TO_XMPP][STATE_ACTIVE], 1);
    static const char *const changes[] = {
        "<presence from='romeo@example.net/orchard' to='juliet@example.com'>"
        "<show>away</show><status>in the orchard</status><priority>3</priority></presence>",
        "<presence from='romeo@example.net/orchard' to='juliet@example.com'><show>dnd</show>"
        "<status xml:lang='en'>x</status><status xml:lang='it'>y</status></presence>",
        "<presence from='romeo@example.net/odd name &amp; more' to='juliet@example.com'/>",
        "<presence from='romeo@example.net/orchard' to='juliet@example.com' type='unavailable'/>",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ring_counts_anew(&r);
        xmpp_says(r.b, changes[i]);
        ring_settles(&r, 20);
        print_message("change %zu: %u SIP messages, %u stanzas\n", i, r.sip, r.xmpp);
        assert_in_range(r.sip, 2, 4);  // NOTIFY and its answer, or twice that
        assert_in_range(r.xmpp, 1, 6); // one presence for each device
    }
    ring_close(&r);
}

// Two changes at once are news to each other wherever they come by, and would go round for ever:
// they are slowed down until one overtakes the other (SERVE_HURRY_MAX).
static void two_changes_do_not_chase_each_other_for_ever(void **state)
{
    (void)state;
    struct ring r;
    ring_open(&r);
    xmpp_says(r.a, JULIET_SUBSCRIBES);
    ring_settles(&r, 40);
    xmpp_says(r.b,
              "<presence from='romeo@example.net' to='juliet@example.com' "
              "type='subscribed'/>");
    ring_settles(&r, 40);
    ring_counts_anew(&r);
    xmpp_says(r.b, "<presence from='romeo@example.net/orchard' to='juliet@example.com'/>");
    xmpp_says(r.b,
              "<presence from='romeo@example.net/orchard' to='juliet@example.com'>"
              "<show>dnd</show></presence>");
    ring_settles(&r, CHASE_SIP + CHASE_XMPP);
    ring_passes_s(&r, 60, CHASE_SIP + CHASE_XMPP);
    print_message("a chase: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    assert_in_range(r.sip, 2 * SERVE_HURRY_MAX - 10, CHASE_SIP);
    assert_in_range(r.xmpp, SERVE_HURRY_MAX - 10, CHASE_XMPP);
    ring_counts_anew(&r);
    ring_passes_s(&r, 1000, 10);
    assert_int_equal(r.sip + r.xmpp, 0); // and that is the end of it
    ring_close(&r);
}

// Both watch each other, and both ways run in the ring.
static void both_ways_at_once(void **state)
{
    (void)state;
    struct ring r;
    ring_open(&r);
    xmpp_says(r.a, JULIET_SUBSCRIBES);
    xmpp_says(r.b, "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>");
    ring_settles(&r, 80);
    print_message("both ways: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    xmpp_says(r.b,
              "<presence from='romeo@example.net' to='juliet@example.com' "
              "type='subscribed'/>");
    xmpp_says(r.a, JULIET_APPROVES);
    ring_settles(&r, 160);
    ring_counts_anew(&r);
    xmpp_says(r.b, "<presence from='romeo@example.net/orchard' to='juliet@example.com'/>");
    ring_settles(&r, 40);
    xmpp_says(r.a, JULIET_AWAY);
    ring_settles(&r, 40);
    print_message("two changes: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    ring_counts_anew(&r);
    xmpp_says(r.a, JULIET_UNSUBSCRIBES);
    ring_settles(&r, 2 * (CHASE_SIP + CHASE_XMPP)); // `unavailable`, and who is there still
    ring_passes_s(&r, 60, 2 * (CHASE_SIP + CHASE_XMPP));
    print_message("an end: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    assert_int_equal(core_stats(r.a->core)->by_state[XMPP_TO_SIP][STATE_ACTIVE], 0);
    ring_counts_anew(&r);
    ring_passes_s(&r, 7200, 200);
    print_message("two hours of it: %u SIP messages, %u stanzas\n", r.sip, r.xmpp);
    ring_close(&r);
}

//   juliet        A            proxy
//     | subscribe   |  SUBSCRIBE   |
//     |------------>|------------->|   which takes A for the far end,
//     |             |<-------------|   and gives it back: its own Via is in it
//     |             |  482         |
//     |             |------------->|
static void a_request_that_comes_back(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_carried(&s->sips[s->sip_head - 1], s);
    sip_sees(s, "SIP/2.0 482", NULL);
    assert_int_equal(core_stats(s->core)->subscriptions, 1); // hers, and no other
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    sip_carried(&s->sips[s->sip_head - 1], s); // and so does the 482: tried again later
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_goes_round_once),
        cmocka_unit_test(a_change_goes_round_once),
        cmocka_unit_test(two_changes_do_not_chase_each_other_for_ever),
        cmocka_unit_test(both_ways_at_once),
        cmocka_unit_test(a_request_that_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
