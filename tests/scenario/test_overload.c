// Overload: new work is refused by plan, and what was promised goes on.
//
//   romeo               gateway               juliet's server
//     |                    | (input waits for 200 ms, again and again)
//     | SUBSCRIBE          |                     |
//     |───────────────────▶|                     |
//     | 503, Retry-After   |                     |
//     |◀───────────────────|                     |
#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/overload.h"

enum { FLOOD = 500 }; // pieces of new work in an interval

static void obey_lag(struct core_config *cfg)
{
    cfg->settings.lag_ms = 50;
    cfg->settings.new_subscriptions_per_user_per_min = 1000000;
}

// A new SUBSCRIBE of one of many, from that address; not answered yet.
static void sip_asks(struct stage *s, const char *host, unsigned i)
{
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP %s:5070;branch=z9hG4bKoverload%u;rport\n"
             "From: <sip:romeo%u@example.net>;tag=xfg9\nTo: <sip:juliet%u@example.com>\n"
             "Call-ID: overload%u\nEvent: presence\nMax-Forwards: 70\nCSeq: 1 SUBSCRIBE\n"
             "Contact: <sip:romeo%u@%s:5070>\nAccept: application/pidf+xml\n\n",
             i, host, i, i, i, i, i, host);
    sip_says_from(s, host, text);
}

// How the gateway answers first; all else that it says about it is passed over.
static unsigned answer(struct stage *s)
{
    const struct sip_message *m = sip_next(s);
    assert_non_null(m);
    unsigned status = m->status;
    while (sip_next(s))
        ;
    while (xmpp_next(s))
        ;
    return status;
}

static unsigned number; // of the next one who asks

// Many ask while input waits for long: the gateway begins to shed. Nothing is left unread.
static void overload_begins(struct stage *s)
{
    for (unsigned i = 0; i < 4; i++) {
        stage_pass_ms(s, 100 - s->now_ms % 100);
        core_set_lag_ms(s->core, 200, s->now_ms);
        for (unsigned k = 0; k < FLOOD; k++) {
            sip_asks(s, "127.0.0.1", number++);
            answer(s);
            stage_forget(s);
        }
    }
    assert_int_equal(core_stats(s->core)->overload_shedding, 1);
    assert_true(core_stats(s->core)->overload_refused[SIP_TO_XMPP] > 0);
}

static struct stage *overloaded(void)
{
    struct stage *s = stage_open_with(obey_lag);
    number = 0;
    overload_begins(s);
    return s;
}

// Of a hundred more how many are refused.
static unsigned refused(struct stage *s, const char *host)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        sip_asks(s, host, number++);
        n += answer(s) == 503;
        stage_forget(s);
    }
    return n;
}

static void a_part_of_what_is_new_is_refused(void **state)
{
    (void)state;
    struct stage *s = overloaded();
    unsigned n = refused(s, "127.0.0.1");
    assert_in_range(n, 10, 99);
    stage_close(s);
}

// The answer says when to come back, is the same for the same request, and leaves nothing behind.
static void a_refusal_costs_little(void **state)
{
    (void)state;
    struct stage *s = overloaded();
    const struct core_stats *stats = core_stats(s->core);
    char first[64] = "";
    unsigned status = 0;
    while (status != 503) {
        sip_asks(s, "127.0.0.1", ++number);
        status = answer(s);
        stage_forget(s);
    }
    struct core_stats before = *stats;
    for (int again = 0; again < 3; again++) {
        sip_asks(s, "127.0.0.1", number);
        sip_sees(s, "SIP/2.0 503", "Retry-After: ", NULL);
        char text[64];
        snprintf(text, sizeof text, "%u", s->sip->retry_after);
        assert_in_range(s->sip->retry_after, OVERLOAD_RETRY_LEAST_S, OVERLOAD_RETRY_MOST_S);
        if (again)
            assert_string_equal(text, first);
        memcpy(first, text, sizeof text);
        quiet(s);
    }
    assert_int_equal(stats->server_transactions, before.server_transactions);
    assert_int_equal(stats->users, before.users);
    assert_int_equal(stats->subscriptions, before.subscriptions);
    assert_int_equal(stats->records_put, before.records_put);
    stage_close(s);
}

// Who was answered 200 hears that again, whatever the load is now.
static void what_was_taken_is_not_refused_when_sent_again(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    struct stage_dialog d;
    serve_begun(s, &d);
    number = 0;
    overload_begins(s);
    sip_says(s, ROMEO_SUBSCRIBES);
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_close(s);
}

// A refresh, her presence, her answer, the end: none is new work.
static void what_was_promised_goes_on(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    struct stage_dialog d;
    serve_established(s, &d);
    number = 0;
    overload_begins(s);
    for (unsigned i = 0; i < 50; i++) {
        sip_resubscribes(s, &d, 3600);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", "active", NULL);
        sip_answers(s, 200, "");
        xmpp_says(s, i % 2 ? JULIET_AWAY : JULIET_DND);
        sip_sees(s, "NOTIFY", i % 2 ? "away" : "dnd", NULL);
        sip_answers(s, 200, "");
    }
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    stage_close(s);
}

// One address floods; what comes from another is taken.
static void who_is_quiet_is_taken(void **state)
{
    (void)state;
    struct stage *s = overloaded();
    for (unsigned i = 0; i < 20; i++) {
        sip_asks(s, "127.0.0.2", number++);
        assert_int_equal(answer(s), 200);
        stage_forget(s);
    }
    assert_true(refused(s, "127.0.0.1") > 0);
    stage_close(s);
}

// XMPP users' `subscribe` and probes: an error of type wait, and nothing of it crosses.
static void xmpp_users_are_asked_to_wait(void **state)
{
    (void)state;
    static const char *const type[] = {"subscribe", "probe"};
    struct stage *s = stage_open_with(obey_lag);
    unsigned refused = 0;
    for (unsigned i = 0; i < 5 * FLOOD; i++) {
        char text[256];
        if (i % FLOOD == 0) {
            stage_pass_ms(s, 100 - s->now_ms % 100);
            core_set_lag_ms(s->core, 200, s->now_ms);
        }
        snprintf(text, sizeof text,
                 "<presence from='juliet%u@example.com' to='romeo@example.net' type='%s'/>", i,
                 type[i % 2]);
        xmpp_says(s, text);
        const char *error = xmpp_next(s);
        if (error) {
            assert_non_null(strstr(error, "type='error'"));
            assert_non_null(strstr(error, "type='wait'"));
            assert_non_null(strstr(error, "<resource-constraint"));
            assert_null(sip_next(s));
            refused++;
        } else {
            assert_non_null(sip_next(s));
        }
        stage_forget(s);
    }
    assert_true(refused > FLOOD / 2);
    assert_int_equal(core_stats(s->core)->overload_refused[XMPP_TO_SIP], refused);
    stage_close(s);
}

// She unsubscribes, and asks once more for what she has: neither is new work.
static void xmpp_users_are_heard_on_what_they_have(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    struct stage_dialog d;
    watch_established(s, &d);
    number = 0;
    overload_begins(s);
    for (unsigned i = 0; i < 20; i++) {
        xmpp_says(s, JULIET_SUBSCRIBES);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, ROMEO_GONE);
        sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, ROMEO_AWAY);
    }
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    xmpp_sees(s, ROMEO_GONE);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    stage_close(s);
}

// The reason is gone: after a while all is taken again.
static void it_ends(void **state)
{
    (void)state;
    struct stage *s = overloaded();
    core_set_lag_ms(s->core, 0, s->now_ms);
    for (unsigned i = 0; i <= OVERLOAD_CALM; i++) {
        stage_pass_ms(s, OVERLOAD_INTERVAL_MS);
        stage_forget(s);
        core_set_lag_ms(s->core, 0, s->now_ms);
    }
    assert_int_equal(core_stats(s->core)->overload_shedding, 0);
    assert_int_equal(refused(s, "127.0.0.1"), 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_of_what_is_new_is_refused),
        cmocka_unit_test(a_refusal_costs_little),
        cmocka_unit_test(what_was_taken_is_not_refused_when_sent_again),
        cmocka_unit_test(what_was_promised_goes_on),
        cmocka_unit_test(who_is_quiet_is_taken),
        cmocka_unit_test(xmpp_users_are_asked_to_wait),
        cmocka_unit_test(xmpp_users_are_heard_on_what_they_have),
        cmocka_unit_test(it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
