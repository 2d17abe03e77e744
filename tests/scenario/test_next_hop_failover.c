// Where requests go, RFC 3263 §4.3: from place to place.
#include "next_hop_words.h"

static void branch_of(struct stage *s, char out[64])
{
    snprintf(out, 64, "%.*s", TEXT_ARG(stage_sip(s, s->sip->branch)));
}

// gateway              A            B
//   |  SUBSCRIBE       |            |
//   |----------------->x            |
//   |   (silence, half of timer F)  |
//   |  SUBSCRIBE, another branch    |
//   |------------------------------>|
static void from_silence_to_the_next(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    struct stage_dialog d, e;
    char first[64], second[64];
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_answers(s, PROXY, 3600, A, B, NULL);
    net_is_asked(s, PROXY);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    branch_of(s, first);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    const struct sip_message *to_a = sip_keeps(s);
    stage_pass_ms(s, 15900);
    while (s->sip_head != s->sip_tail) {
        sip_sees(s, "SUBSCRIBE", first, NULL);
        sip_went_to(s, A);
    }
    stage_pass_ms(s, 200);
    sip_sees(s, "SUBSCRIBE", "CSeq: 1 SUBSCRIBE", NULL);
    sip_went_to(s, B);
    branch_of(s, second);
    assert_string_not_equal(first, second);
    sip_dialog_of_subscribe(s, &e, "ffd2");
    assert_string_equal(d.call_id, e.call_id);
    assert_string_equal(d.our_tag, e.our_tag);
    assert_int_equal(core_stats(s->core)->failovers, 1);
    const struct sip_message *to_b = sip_keeps(s);
    sip_answers_to(s, to_a, 403, ""); // A was slow; it is not its answer any more
    quiet(s);
    // B has its own time, and so has the NOTIFY behind its answer (RFC 6665's Timer N).
    stage_pass_ms(s, 15500);
    while (sip_next(s))
        sip_went_to(s, B);
    sip_answers_to(s, to_b, 200, "Expires: 3600\n");
    stage_pass_s(s, 5);
    approves(s, &e);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    // A is passed over while it is taken for dead.
    asks_for(s, 1);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, B);
    sip_answers(s, 403, "");
    xmpp_next(s);
    stage_pass_ms(s, PEER_DEAD_MS);
    asks_for(s, 2);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    stage_close(s);
}

// Each has an equal share of timer F, whose end is that of all.
static void silence_everywhere(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    uint64_t begin_ms = s->now_ms;
    static const unsigned turns_ms[] = {0, 8000, 16000, 24000};
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 3600, A, B, C, "udp:127.0.0.4:5060", NULL);
    static const char *const places[] = {A, B, C, "udp:127.0.0.4:5060"};
    for (int i = 0; i < 4; i++) {
        assert_in_range(s->now_ms - begin_ms, turns_ms[i], turns_ms[i] + 100);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, places[i]);
        stage_pass_ms(s, 7800);
        while (s->sip_head != s->sip_tail && i != 2) { // C is reached over TCP: only once
            sip_sees(s, "SUBSCRIBE", NULL);
            sip_went_to(s, places[i]);
        }
        if (i < 3)
            quiet(s);
        while (i < 3 && s->sip_head == s->sip_tail)
            stage_pass_ms(s, 10);
    }
    assert_int_equal(core_stats(s->core)->timeouts, 0);
    stage_pass_ms(s, 300);
    quiet(s);
    assert_int_equal(core_stats(s->core)->timeouts, 1);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    asks_for(s, 2); // all are dead: they are tried all the same, in their order
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    stage_close(s);
}

// RFC 3263 §4.3: 503 is no answer as long as there is another place.
static void from_503_to_the_next(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 3600, A, B, NULL);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    sip_answers(s, 503, "");
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, B);
    sip_answers(s, 503, "Retry-After: 500\n"); // that of the last one is told
    quiet(s);
    // A has not said for how long, B has.
    asks_for(s, 2);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    sip_answers(s, 503, "Retry-After: 20\n");
    sip_sees(s, "SUBSCRIBE", NULL); // B stays last, and is tried at last
    sip_went_to(s, B);
    sip_answers(s, 403, "");
    xmpp_next(s);
    asks_for(s, 3); // B has answered, so it lives
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, B);
    sip_answers(s, 403, "");
    xmpp_next(s);
    stage_pass_s(s, 21);
    asks_for(s, 4);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    sip_answers(s, 403, "");
    xmpp_next(s);
    stage_pass_s(s, 400);
    quiet(s); // the first is held back as long as it was asked to
    assert_in_range(seconds_until_tried(s), 70, 160);
    stage_close(s);
}

// What one said counts when the other says nothing: the 503 is the end, with its Retry-After.
static void a_503_and_silence(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 3600, A, C, NULL);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_answers(s, 503, "Retry-After: 300\n");
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, C);
    stage_pass_s(s, 33);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    assert_int_equal(core_stats(s->core)->timeouts, 0);
    stage_pass_s(s, 250);
    quiet(s);
    assert_in_range(seconds_until_tried(s), 0, 100);
    stage_close(s);
}

// A single numeric proxy: its 503 is the answer at once.
static void a_503_without_alternative(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 503, "");
    quiet(s);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    assert_int_equal(core_stats(s->core)->failovers, 0);
    stage_close(s);
}

// An answer of a provisional kind: it lives, and no other is asked.
static void a_provisional_answer_holds_it(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 3600, C, B, NULL);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, C);
    sip_answers(s, 100, "");
    stage_pass_s(s, 31);
    quiet(s);
    sip_answers(s, 403, "");
    assert_non_null(strstr(xmpp_next(s), "unsubscribed"));
    stage_close(s);
}

// gateway         transport        A (TCP)      B
//   |  SUBSCRIBE      |             |           |
//   |---------------->|------------>x           |
//   |  unreachable    |                         |
//   |<----------------|                         |
//   |  SUBSCRIBE                                |
//   |------------------------------------------>|
static void refused_and_on_to_the_next(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    for (int i = 0; i < 3; i++)
        asks_for(s, i);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 3600, C, B, NULL);
    for (int i = 0; i < 3; i++) {
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, C);
    }
    net_refuses(s, "tcp:127.0.0.9:5072"); // not ours
    net_refuses(s, "udp:127.0.0.3:5072"); // nor is this
    quiet(s);
    net_refuses(s, C);
    for (int i = 0; i < 3; i++) {
        char start[64];
        snprintf(start, sizeof start, "SUBSCRIBE sip:romeo%d@", i);
        sip_sees(s, start, NULL);
        sip_went_to(s, B);
        sip_answers(s, 403, "");
        xmpp_next(s);
    }
    net_refuses(s, C); // said twice
    quiet(s);
    asks_for(s, 3);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, B);
    stage_close(s);
}

// All refuse: nobody has said a word, so after a while all are asked once more. A proxy that
// restarts must not cost a dialog.
static void refused_everywhere(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 3600, C, "tcp:127.0.0.4:5060", NULL);
    unsigned rounds = 0;
    uint64_t begin_ms = s->now_ms;
    while (core_stats(s->core)->client_transactions) {
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, C);
        net_refuses(s, C);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, "tcp:127.0.0.4:5060");
        net_refuses(s, "tcp:127.0.0.4:5060");
        quiet(s);
        stage_pass_ms(s, 4000);
        rounds++;
    }
    assert_int_equal(rounds, 8); // timer F is 32 s
    assert_in_range(s->now_ms - begin_ms, 28000, 33000);
    assert_int_equal(core_stats(s->core)->timeouts, 0);
    seconds_until_tried(s);
    sip_sees(s, "SUBSCRIBE", NULL);
    net_refuses(s, C);
    sip_sees(s, "SUBSCRIBE", NULL);
    net_refuses(s, "tcp:127.0.0.4:5060");
    stage_pass_s(s, 4);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_answers(s, 403, "");
    assert_non_null(strstr(xmpp_next(s), "unsubscribed"));
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_silence_to_the_next),
        cmocka_unit_test(silence_everywhere),
        cmocka_unit_test(from_503_to_the_next),
        cmocka_unit_test(a_503_and_silence),
        cmocka_unit_test(a_503_without_alternative),
        cmocka_unit_test(a_provisional_answer_holds_it),
        cmocka_unit_test(refused_and_on_to_the_next),
        cmocka_unit_test(refused_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
