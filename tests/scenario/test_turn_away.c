// At the door while too much comes: what is answered before it is parsed, and what never is.
//
//   romeo               the door              the core
//     | SUBSCRIBE          |                     | (sheds)
//     |───────────────────▶|                     |
//     | 503, Retry-After   | no step, no commit  |
//     |◀───────────────────|                     |
#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/overload.h"

enum { FLOOD = 500, ASKERS = 200 };

static void obey_lag(struct core_config *cfg)
{
    cfg->settings.lag_ms = 50;
    cfg->settings.new_subscriptions_per_user_per_min = 1000000;
}

static void obey_lag_with_others(struct core_config *cfg)
{
    obey_lag(cfg);
    cfg->shards = 2;
}

#define ASKER_VIA "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKdoor"

// A new SUBSCRIBE of number `i`; `more` are header fields, the Via is `via` with the number behind
// it.
static void asks_by(struct stage *s, unsigned i, const char *via, const char *more)
{
    char text[2048];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\nVia: %s%u\n"
             "From: <sip:romeo%u@example.net>;tag=xfg9\nTo: <sip:juliet%u@example.com>\n"
             "Call-ID: door%u\nEvent: presence\nCSeq: 1 SUBSCRIBE\n"
             "Contact: <sip:romeo%u@127.0.0.1:5070>\nAccept: application/pidf+xml\n%s\n",
             i, via, i, i, i, i, i, more);
    sip_says(s, text);
}

static void asks(struct stage *s, unsigned i, const char *more)
{
    asks_by(s, i, ASKER_VIA, more);
}

static void hears_all(struct stage *s)
{
    while (sip_next(s) || xmpp_next(s))
        ;
    stage_forget(s);
}

// Input waits, and many ask. Those below ASKERS have not asked yet.
static void door_narrows(struct stage *s)
{
    for (unsigned i = 0; i < 4 * FLOOD; i++) {
        if (i % FLOOD == 0) {
            stage_pass_ms(s, 100 - s->now_ms % 100);
            core_set_lag_ms(s->core, 200, s->now_ms);
        }
        asks(s, ASKERS + i, "Max-Forwards: 70\n");
        hears_all(s);
    }
    assert_int_equal(core_stats(s->core)->overload_shedding, 1);
}

// One who is refused, and was turned away for it; his answer has been seen.
static unsigned refused_one(struct stage *s)
{
    for (unsigned i = 0; i < ASKERS; i++) {
        unsigned before = s->turned_away;
        asks(s, i, "Max-Forwards: 70\n");
        if (s->turned_away > before) {
            sip_sees(s, "SIP/2.0 503", "Retry-After: ", ";tag=", NULL);
            return i;
        }
        hears_all(s);
    }
    fail_msg("nobody is turned away");
    return 0;
}

// Nothing but counters changes, the answer goes where RFC 3261 §18.2.2 says, and it waits for
// nothing.
static void who_is_turned_away_leaves_no_trace(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    door_narrows(s);
    unsigned i = refused_one(s), put = s->puts;
    struct core_stats before = *core_stats(s->core);
    for (unsigned again = 1; again <= 3; again++) {
        asks(s, i, "Max-Forwards: 70\n");
        sip_sees(s, "SIP/2.0 503", "CSeq: 1 SUBSCRIBE", NULL);
        assert_null(sip_next(s));
        struct core_stats now = *core_stats(s->core);
        assert_int_equal(now.sip_in, before.sip_in + again);
        assert_int_equal(now.sip_out, before.sip_out + again);
        assert_int_equal(now.overload_refused[SIP_TO_XMPP],
                         before.overload_refused[SIP_TO_XMPP] + again);
        assert_int_equal(now.users, before.users);
        assert_int_equal(now.server_transactions, before.server_transactions);
    }
    assert_int_equal(s->puts, put);
    stage_close(s);
}

// Whether it is plain enough for the door or not, one request has one answer: to the letter.
static void both_ways_say_the_same(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    door_narrows(s);
    unsigned i = refused_one(s), away = s->turned_away;
    char first[1024];
    snprintf(first, sizeof first, "%s", s->sips[s->sip_head - 1].bytes);
    asks(s, i, "Max-Forwards: 70\nSubject: a\n b\n"); // a folded line is for the parser
    assert_int_equal(s->turned_away, away);
    sip_sees(s, "SIP/2.0 503", NULL);
    assert_string_equal(s->sips[s->sip_head - 1].bytes, first);
    stage_close(s);
}

// What has a reason of its own to be refused hears that one, however much there is to do.
static void other_reasons_come_first(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    door_narrows(s);
    unsigned i = refused_one(s), away = s->turned_away;
    asks(s, i, "Max-Forwards: 0\n");
    sip_sees(s, "SIP/2.0 483", NULL);
    asks(s, i, "Max-Forwards: 70\nRequire: eventlist\n");
    sip_sees(s, "SIP/2.0 420", "Unsupported: eventlist", NULL);
    for (unsigned k = 0; k < ASKERS; k++) { // our own, come back: whichever would be refused
        asks_by(s, k, "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKours", "");
        sip_sees(s, "SIP/2.0 482", NULL);
    }
    sip_says_from(s, "192.0.2.66",
                  "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
                  "Via: SIP/2.0/UDP 192.0.2.66:5070;branch=z9hG4bKstranger\n"
                  "From: <sip:romeo@example.net>;tag=1\nTo: <sip:juliet@example.com>\n"
                  "Call-ID: stranger\nCSeq: 1 SUBSCRIBE\nEvent: presence\n\n");
    sip_sees(s, "SIP/2.0 403", NULL);
    assert_int_equal(s->turned_away, away);
    stage_close(s);
}

// Input has waited for long before the first word is heard at all.
static void the_first_word_may_come_to_the_door(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    stage_crash(s); // a core that has not yet been told the time
    core_set_lag_ms(s->core, 200, s->now_ms - 100);
    core_set_lag_ms(s->core, 200, s->now_ms);
    assert_int_equal(core_stats(s->core)->overload_shedding, 1);
    asks(s, 0, "Max-Forwards: 70\n");
    hears_all(s);
    stage_pass_s(s, 60);
    assert_int_equal(core_stats(s->core)->server_transactions, 0);
    stage_close(s);
}

// His request has come a long way, so more is repeated of it than was ever said before. (Without
// memory for it nothing is said at all: tests/fail/memory.)
static void a_long_way_back_is_told_whole(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    char more[1200];
    int n =
        snprintf(more, sizeof more, "Via: SIP/2.0/UDP far.example.net;branch=z9hG4bK%01000d\n", 7);
    stage_pass_ms(s, 200 - s->now_ms % 100);
    core_set_lag_ms(s->core, 200, s->now_ms - 100);
    core_set_lag_ms(s->core, 200, s->now_ms);
    for (unsigned i = 0; i < ASKERS && !s->turned_away; i++) {
        hears_all(s);
        asks(s, i, more);
    }
    more[n - 1] = '\0';
    sip_sees(s, "SIP/2.0 503", more, "Content-Length: 0", NULL);
    stage_close(s);
}

// Who was admitted at the door is not asked again behind it: his piece counts once.
static void who_is_admitted_counts_once(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag);
    door_narrows(s);
    stage_pass_ms(s, 100 - s->now_ms % 100);
    stage_forget(s);
    core_set_lag_ms(s->core, 40, s->now_ms);
    unsigned taken = 0, asked = 100;
    for (unsigned i = 0; i < asked; i++) {
        asks(s, i, "Max-Forwards: 70\n");
        taken += sip_next(s)->status == 200;
        hears_all(s);
    }
    assert_in_range(taken, 1, asked - 1);
    stage_pass_ms(s, 100 - s->now_ms % 100);
    core_set_lag_ms(s->core, 40, s->now_ms); // the interval is over, and its share is known
    uint64_t share = core_stats(s->core)->overload_share_thousandths;
    assert_in_range(share, 1000 * (asked - taken) / asked - 1, 1000 * (asked - taken) / asked + 1);
    stage_close(s);
}

// A reader of what another shard owns: a copy of what it has handed on goes the same way, and what
// it has never seen may be turned away.
static void what_was_handed_on_is_handed_on_again(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(obey_lag_with_others);
    door_narrows(s);
    unsigned i = refused_one(s), away = s->turned_away;
    const struct sip_message *m;
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\nVia: " ASKER_VIA
                     "%u\r\n"
                     "From: <sip:romeo%u@example.net>;tag=xfg9\r\nTo: <sip:j@example.com>\r\n"
                     "Call-ID: door%u\r\nCSeq: 1 SUBSCRIBE\r\n\r\n",
                     i, i, i, i);
    assert_int_equal(sip_parse(s->parser, text, (size_t)n, &m), 0);
    core_hands_on(s->core, m);
    asks(s, i, "Max-Forwards: 70\n");
    assert_int_equal(s->turned_away, away);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_turned_away_leaves_no_trace),
        cmocka_unit_test(both_ways_say_the_same),
        cmocka_unit_test(other_reasons_come_first),
        cmocka_unit_test(the_first_word_may_come_to_the_door),
        cmocka_unit_test(a_long_way_back_is_told_whole),
        cmocka_unit_test(who_is_admitted_counts_once),
        cmocka_unit_test(what_was_handed_on_is_handed_on_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
