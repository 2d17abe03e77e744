// Probe before refresh (RFC 7248 §7, RFC 8048 §8.1) in all its outcomes.
//
//   juliet's server        gateway              romeo's server
//     |  probe, fence         |  (a refresh is due)  |
//     |<----------------------|                      |
//     |  answers, or none     |  refresh, or none    |
//     |---------------------->|--------------------->|
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define JULIET "juliet@example.com"
#define CONDITION(name)                                                                            \
    "<error type='cancel'><" name " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// The watch is established and its refresh due: the probe is out. Returns the fence's id.
static const char *refresh_is_due(struct stage *s, struct stage_dialog *d)
{
    watch_established(s, d);
    stage_pass_until_said(s, 3600);
    const char *id = xmpp_sees_probe(s, JULIET);
    quiet(s);
    return id;
}

static void is_refreshed(struct stage *s, struct stage_dialog *d)
{
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "Expires: 3600", NULL);
    quiet(s);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
}

// Not a word to SIP until the dialog's end, and then she sees him go.
static void lapses(struct stage *s, uint64_t expires_ms)
{
    stage_pass_until_said(s, 1000);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_in_range(s->now_ms, expires_ms - 200, expires_ms + 200);
    assert_int_equal(core_stats(s->core)->by_state[XMPP_TO_SIP][STATE_DORMANT], 1);
    assert_int_equal(s->n_records, 1);
}

static void her_presence_says_alive(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    const char *id = refresh_is_due(s, &d);
    xmpp_says(s, "<presence from='juliet@example.com/balcony' to='gw.example.net'/>");
    is_refreshed(s, &d);
    xmpp_answers_fence(s, JULIET, id); // and this comes after it
    quiet(s);
    stage_close(s);
}

// A server that tells the gateway that it has no right to know is there all the same.
static void unsubscribed_says_alive(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    refresh_is_due(s, &d);
    xmpp_says(s, "<presence from='juliet@example.com' to='gw.example.net' type='unsubscribed'/>");
    is_refreshed(s, &d);
    stage_close(s);
}

// Servers are silent about strangers (seen: Prosody, ejabberd); the fence alone has to do.
static void any_answer_to_the_fence_says_alive(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "<iq type='result' from='juliet@example.com' to='gw.example.net' id='%s'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        "<iq type='error' from='juliet@example.com' to='gw.example.net' id='%s'>" CONDITION(
            "service-unavailable") "</iq>",
        "<iq type='error' from='juliet@example.com' to='gw.example.net' id='%s'>" CONDITION(
            "subscription-required") "</iq>",
        "<iq type='error' from='juliet@example.com' to='gw.example.net' id='%s'>" CONDITION(
            "forbidden") "</iq>",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        char stanza[512];
        snprintf(stanza, sizeof stanza, answers[i], refresh_is_due(s, &d));
        xmpp_says(s, stanza);
        is_refreshed(s, &d);
        stage_close(s);
    }
}

// `unavailable` ends nothing by itself: an `available` of another device may follow.
static void unavailable_waits_for_the_fence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    refresh_is_due(s, &d);
    xmpp_says(s, "<presence from='juliet@example.com/a' to='gw.example.net' type='unavailable'/>");
    quiet(s);
    xmpp_says(s, "<presence from='juliet@example.com/b' to='gw.example.net'/>");
    is_refreshed(s, &d);
    stage_close(s);
}

static void says_unavailable(struct stage *s, const char *id)
{
    xmpp_says(s, "<presence from='juliet@example.com' to='gw.example.net' type='unavailable'/>");
    if (id)
        xmpp_answers_fence(s, JULIET, id);
    quiet(s);
}

//   |  unavailable, fence   |                      |
//   |---------------------->|  (no refresh)        |
//   |  unavailable (romeo)  |  (the dialog lapses) |
//   |<----------------------|                      |
//   |  probe, or presence   |  SUBSCRIBE, new      |
//   |---------------------->|--------------------->|
static void offline_lapses_until_she_is_back(void **state)
{
    (void)state;
    static const char *const back[] = {
        "<presence from='juliet@example.com/b' to='romeo@example.net'/>",
        "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>",
    };
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        uint64_t expires_ms = s->now_ms + 3600 * 1000;
        says_unavailable(s, refresh_is_due(s, &d));
        lapses(s, expires_ms);
        stage_pass_s(s, 86400); // whatever time passes
        quiet(s);
        xmpp_says(s,
                  "<presence from='juliet@example.com/b' to='romeo@example.net' "
                  "type='unavailable'/>");
        quiet(s);
        xmpp_says(s, back[k]);
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
        sip_lacks(s, "ffd2");
        quiet(s);
        sip_dialog_of_subscribe(s, &d, "ffd3");
        sip_answers(s, 200, "Expires: 3600\n");
        sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        stage_close(s);
    }
}

static void offline_by_timeout_without_a_fence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    uint64_t expires_ms = s->now_ms + 3600 * 1000;
    refresh_is_due(s, &d);
    says_unavailable(s, NULL);
    lapses(s, expires_ms);
    stage_pass_s(s, 86400);
    quiet(s);
    stage_close(s);
}

// She is back before the dialog has lapsed: it is asked again, and goes on.
static void offline_but_back_in_time(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        says_unavailable(s, refresh_is_due(s, &d));
        stage_pass_s(s, 5);
        xmpp_says(s, k ? "<presence from='juliet@example.com/b' to='romeo@example.net'/>"
                       : "<presence from='juliet@example.com/b' to='romeo@example.net' "
                         "type='probe'/>");
        if (!k)
            xmpp_sees(s,
                      "<presence from='romeo@example.net/dr4hcr0st3lup4c' "
                      "to='juliet@example.com/b'><show>away</show></presence>");
        const char *id = xmpp_sees_probe(s, JULIET);
        quiet(s);
        xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net'/>");
        quiet(s); // she is being asked: not again
        xmpp_answers_fence(s, JULIET, id);
        is_refreshed(s, &d);
        stage_close(s);
    }
}

// And if she comes while she is being asked, the older `unavailable` counts for nothing.
static void back_while_being_asked(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    const char *id = refresh_is_due(s, &d);
    says_unavailable(s, NULL);
    xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net'/>");
    quiet(s);
    xmpp_answers_fence(s, JULIET, id);
    is_refreshed(s, &d);
    stage_close(s);
}

//   |  gone, item-not-found |                      |
//   |---------------------->|  SUBSCRIBE Expires 0 |
//   |                       |--------------------->|
static void gone_ends_the_authorization(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "<presence type='error' from='juliet@example.com' to='gw.example.net'>" CONDITION(
            "gone") "</presence>",
        "<presence type='error' from='juliet@example.com' to='gw.example.net'>" CONDITION(
            "item-not-found") "</presence>",
        "<iq type='error' from='juliet@example.com' to='gw.example.net' id='%s'>" CONDITION(
            "item-not-found") "</iq>",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        char stanza[512];
        const char *id = refresh_is_due(s, &d);
        if (strstr(answers[i], "%s"))
            snprintf(stanza, sizeof stanza, answers[i], id);
        else
            snprintf(stanza, sizeof stanza, "%s", answers[i]);
        xmpp_says(s, stanza);
        sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "Expires: 0", NULL);
        xmpp_sees(s, ROMEO_GONE);
        sip_answers(s, 200, "Expires: 0\n");
        xmpp_sees(s, UNSUBSCRIBED);
        sip_notifies(s, &d, "terminated;reason=timeout", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        all_is_over(s, 200);
        stage_close(s);
    }
}

// No refresh while her server cannot be reached; it lapses, and comes back by itself once the
// domain answers again.
static void unreachable_lapses_and_comes_back(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "<presence type='error' from='juliet@example.com' to='gw.example.net'>" CONDITION(
            "remote-server-not-found") "</presence>",
        "<presence type='error' from='juliet@example.com' to='gw.example.net'>" CONDITION(
            "remote-server-timeout") "</presence>",
        "<iq type='error' from='juliet@example.com' to='gw.example.net' id='%s'>" CONDITION(
            "remote-server-not-found") "</iq>",
        "<iq type='error' from='juliet@example.com' to='gw.example.net' id='%s'>" CONDITION(
            "remote-server-timeout") "</iq>",
        NULL, // silence
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        char stanza[512];
        uint64_t expires_ms = s->now_ms + 3600 * 1000;
        const char *id = refresh_is_due(s, &d);
        if (answers[i] && strstr(answers[i], "%s"))
            snprintf(stanza, sizeof stanza, answers[i], id);
        else
            snprintf(stanza, sizeof stanza, "%s", answers[i] ? answers[i] : "");
        if (answers[i])
            xmpp_says(s, stanza);
        quiet(s);
        lapses(s, expires_ms);
        for (unsigned least = 30; least <= 120; least *= 2) { // asked again, and still nothing
            uint64_t before_ms = s->now_ms;
            stage_pass_until_said(s, 1000);
            xmpp_sees_probe(s, JULIET);
            quiet(s);
            assert_in_range((s->now_ms - before_ms) / 1000, least - 1, least + least / 4 + 11);
        }
        stage_pass_until_said(s, 1000);
        id = xmpp_sees_probe(s, JULIET);
        xmpp_answers_fence(s, JULIET, id);
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
        quiet(s);
        stage_close(s);
    }
}

static void answers_too_late_count_for_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    uint64_t expires_ms = s->now_ms + 3600 * 1000;
    char late[64];
    snprintf(late, sizeof late, "%s", refresh_is_due(s, &d));
    stage_pass_s(s, 11); // [probe] timeout_s
    xmpp_says(s, "<presence from='juliet@example.com/b' to='gw.example.net'/>");
    xmpp_answers_fence(s, JULIET, late);
    quiet(s);
    lapses(s, expires_ms);
    stage_pass_until_said(s, 1000);
    const char *id = xmpp_sees_probe(s, JULIET);
    assert_string_not_equal(id, late);
    char now[64];
    snprintf(now, sizeof now, "%s", id);
    xmpp_answers_fence(s, JULIET, late); // the answer to an older question
    xmpp_answers_fence(s, JULIET, "f00000000");
    xmpp_answers_fence(s, "nurse@example.com", now); // and somebody else's
    quiet(s);
    xmpp_answers_fence(s, JULIET, now);
    sip_sees(s, "SUBSCRIBE", NULL);
    stage_close(s);
}

static void the_stream_is_lost_while_asking(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char before[64];
    snprintf(before, sizeof before, "%s", refresh_is_due(s, &d));
    stage_streams_down(s);
    stage_pass_s(s, 2);
    stage_streams_up(s);
    xmpp_sees(s, SUBSCRIBED); // what may have been lost is said again
    xmpp_sees(s, ROMEO_AWAY);
    const char *id = xmpp_sees_probe(s, JULIET); // the old probe was lost
    assert_string_not_equal(id, before);
    quiet(s);
    xmpp_answers_fence(s, JULIET, id);
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 SUBSCRIBE", NULL);
    stage_close(s);
}

//   |  refresh is due while the stream is down: silence, the dialog lapses
//   |  the stream is back
//   |  probe, fence  |                         |   (at once, whatever the backoff says)
//   |<---------------|                         |
static void a_stream_that_is_back_makes_good_for_its_silence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_streams_down(s);
    stage_pass_s(s, 6000);
    assert_int_equal(core_stats(s->core)->by_state[XMPP_TO_SIP][STATE_DORMANT], 1);
    stage_streams_up(s);
    bool probed = false;
    while (!probed && s->stanza_head < s->stanza_tail) // what he was is said gone before
        probed = strstr(s->stanzas[s->stanza_head++].bytes, "type='probe'") != NULL;
    assert_true(probed);
    stage_close(s);
}

// Ten friends, one question: [probe] window_s.
static void one_answer_serves_all_within_the_window(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d[10];
    for (int i = 0; i < 10; i++) {
        char stanza[256];
        snprintf(stanza, sizeof stanza,
                 "<presence from='juliet@example.com' to='r%d@example.net' type='subscribe'/>", i);
        xmpp_says(s, stanza);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_dialog_of_subscribe(s, &d[i], "ffd2");
        sip_answers(s, 200, "Expires: 70\n");
        sip_notifies(s, &d[i], "active;expires=70", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_next(s); // subscribed
    }
    quiet(s);
    unsigned probes = 0, refreshes = 0;
    uint64_t asked_ms = 0;
    while (refreshes < 10) {
        stage_pass_until_said(s, 60);
        if (s->stanza_head != s->stanza_tail) {
            char id[64];
            snprintf(id, sizeof id, "%s", xmpp_sees_probe(s, JULIET));
            assert_true(s->sip_head == s->sip_tail);
            xmpp_answers_fence(s, JULIET, id);
            asked_ms = s->now_ms;
            probes++;
        }
        while (sip_next(s)) {
            assert_true(asked_ms && s->now_ms - asked_ms <= 60000); // none without an answer
            sip_answers(s, 200, "Expires: 3600\n");
            refreshes++;
        }
    }
    assert_int_equal(probes, 1);
    assert_int_equal(refreshes, 10);
    stage_close(s);
}

static void exempt(struct core_config *cfg)
{
    static const struct text domains[] = {{"example.com", 11}};
    cfg->trust.probe_exempt_domains = domains;
    cfg->trust.n_probe_exempt_domains = 1;
}

static void an_exempt_domain_is_not_asked(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(exempt);
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_until_said(s, 3600);
    is_refreshed(s, &d);
    assert_int_equal(core_stats(s->core)->probes, 0);
    stage_close(s);
}

static void no_gateway_domain(struct core_config *cfg)
{
    cfg->gateway_domain = (struct text){0};
}

// Without a name of its own the gateway asks as the SIP domain concerned.
static void asked_by_the_sip_domain(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(no_gateway_domain);
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_until_said(s, 3600);
    xmpp_sees(s, "<presence from='example.net' to='juliet@example.com' type='probe'/>");
    xmpp_sees(s,
              "<iq type='get' from='example.net' to='juliet@example.com' id='*'>"
              "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    xmpp_says(s, "<presence from='juliet@example.com/b' to='example.net'/>");
    is_refreshed(s, &d);
    stage_close(s);
}

// Presence to the gateway that it did not ask for: not kept, and no answer.
static void unasked_presence_means_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, "<presence from='juliet@example.com/b' to='gw.example.net'/>");
    quiet(s);
    stage_pass_until_said(s, 3600);
    xmpp_sees_probe(s, JULIET); // she is asked all the same
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(her_presence_says_alive),
        cmocka_unit_test(unsubscribed_says_alive),
        cmocka_unit_test(any_answer_to_the_fence_says_alive),
        cmocka_unit_test(unavailable_waits_for_the_fence),
        cmocka_unit_test(offline_lapses_until_she_is_back),
        cmocka_unit_test(offline_by_timeout_without_a_fence),
        cmocka_unit_test(offline_but_back_in_time),
        cmocka_unit_test(back_while_being_asked),
        cmocka_unit_test(gone_ends_the_authorization),
        cmocka_unit_test(unreachable_lapses_and_comes_back),
        cmocka_unit_test(answers_too_late_count_for_nothing),
        cmocka_unit_test(the_stream_is_lost_while_asking),
        cmocka_unit_test(a_stream_that_is_back_makes_good_for_its_silence),
        cmocka_unit_test(one_answer_serves_all_within_the_window),
        cmocka_unit_test(an_exempt_domain_is_not_asked),
        cmocka_unit_test(asked_by_the_sip_domain),
        cmocka_unit_test(unasked_presence_means_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
