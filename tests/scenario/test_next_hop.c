// Where requests go, RFC 3263: a proxy by name, or none at all; and what is kept of the answers.
#include "next_hop_words.h"

// ---- Names and their answers

// juliet         gateway             resolver          proxy
//   |  subscribe   |                    |                |
//   |------------->|  where?            |                |
//   |              |------------------->|                |
//   |              |       A, 60 s      |                |
//   |              |<-------------------|                |
//   |              |  SUBSCRIBE                          |
//   |              |------------------------------------>|
static void a_proxy_by_name(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    struct stage_dialog d;
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, PROXY);
    quiet(s);
    stage_pass_s(s, 2);
    asks_for(s, 1); // which waits as well
    quiet(s);
    net_answers(s, PROXY, 60, A, NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net SIP/2.0", "Via: SIP/2.0/UDP 127.0.0.1:5080;",
             "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>", "CSeq: 1 SUBSCRIBE", NULL);
    sip_went_to(s, A);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_sees(s, "SUBSCRIBE sip:romeo1@example.net", NULL);
    sip_went_to(s, A);
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    asks_for(s, 2); // the answer is still good
    sip_sees(s, "SUBSCRIBE sip:romeo2@example.net", NULL);
    sip_went_to(s, A);
    assert_int_equal(core_stats(s->core)->resolves, 1);
    stage_close(s);
}

// The answer stays for its TTL, and is asked for anew only when somebody wants it.
static void an_answer_has_its_time(void **state)
{
    (void)state;
    static const struct {
        uint32_t ttl_s, least_s, most_s;
    } table[] = {{60, 58, 61}, {0, 4, 6}, {UINT32_MAX, 3598, 3601}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct stage *s = stage_open_with(by_name);
        asks_for(s, 1);
        net_is_asked(s, PROXY);
        net_answers(s, PROXY, table[i].ttl_s, A, NULL);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_answers(s, 403, "");
        assert_non_null(strstr(xmpp_next(s), "unsubscribed"));
        stage_pass_s(s, table[i].least_s);
        asks_for(s, 2);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_answers(s, 403, "");
        assert_non_null(strstr(xmpp_next(s), "unsubscribed"));
        stage_pass_s(s, table[i].most_s - table[i].least_s);
        quiet(s); // nobody asks for nothing
        asks_for(s, 3);
        net_is_asked(s, PROXY);
        net_answers(s, PROXY, 60, B, NULL);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, B);
        stage_close(s);
    }
}

// Nowhere: no request leaves, she hears nothing, and it is tried again; the answer has its TTL,
// too.
static void a_name_that_leads_nowhere(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 40, NULL);
    quiet(s);
    asks_for(s, 1);
    stage_pass_ms(s, 20);
    quiet(s);
    assert_int_equal(core_stats(s->core)->resolves, 1);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    assert_int_equal(core_stats(s->core)->timeouts, 0);
    assert_in_range(seconds_until_tried(s), 29, 61);
    while (s->question_head == s->question_tail)
        seconds_until_tried(s); // within the 40 s it is not asked again
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 40, A, NULL);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    stage_close(s);
}

// Timer F counts from the beginning: a resolver that is silent is a proxy that is silent.
static void a_silent_resolver(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, PROXY);
    stage_pass_s(s, 31);
    assert_int_equal(core_stats(s->core)->client_transactions, 1);
    stage_pass_s(s, 1);
    quiet(s);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    stage_pass_s(s, 26); // before the question is 60 s old nobody asks again
    quiet(s);
    net_answers(s, PROXY, 60, A, NULL); // a late answer is as good as any
    quiet(s);
    seconds_until_tried(s);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    stage_close(s);
}

static void a_question_is_repeated(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, PROXY);
    stage_pass_s(s, NEXT_HOP_ASK_MS / 1000 + 1);
    if (is_next(s, "type='probe'"))
        probe_is_answered(s);
    if (s->question_head == s->question_tail)
        asks_for(s, 1);
    net_is_asked(s, PROXY);
    stage_close(s);
}

static void answers_that_nobody_asked_for(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    net_answers(s, PROXY, 60, A, NULL);
    net_answers(s, "sip:elsewhere.example.net", 60, A, NULL);
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 60, A, NULL);
    net_answers(s, PROXY, 60, B, NULL); // twice
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    asks_for(s, 2);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    stage_close(s);
}

// More than EVENT_HOPS_MAX places: what is beyond is not looked at.
static void an_answer_that_is_too_long(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 60, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, B, NULL);
    for (int i = 0; i < EVENT_HOPS_MAX; i++) {
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, A);
        sip_answers(s, 503, "");
    }
    quiet(s);
    stage_close(s);
}

// What waits for a name counts against the limit as well ([limits] requests_in_flight_per_peer).
static void two_in_flight(struct core_config *cfg)
{
    by_name(cfg);
    cfg->settings.requests_in_flight_per_peer = 2;
}

static void waiting_has_a_limit(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_in_flight);
    for (int i = 0; i < 3; i++)
        asks_for(s, i);
    net_is_asked(s, PROXY);
    assert_int_equal(core_stats(s->core)->client_transactions, 2);
    net_answers(s, PROXY, 600, A, NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo0@", NULL);
    const struct sip_message *first = sip_keeps(s);
    sip_sees(s, "SUBSCRIBE sip:romeo1@", NULL);
    asks_for(s, 3); // nor is there room in flight
    quiet(s);
    sip_answers_to(s, first, 403, "");
    assert_non_null(strstr(xmpp_next(s), "unsubscribed"));
    asks_for(s, 4);
    sip_sees(s, "SUBSCRIBE sip:romeo4@", NULL);
    stage_close(s);
}

// ---- Without a proxy

// To his domain first, then to where the NOTIFY's Contact points.
static void by_the_address_and_by_the_target(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(without_proxy);
    struct stage_dialog d;
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, "sip:example.net");
    net_answers(s, "sip:example.net", 100, A, NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_went_to(s, A);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &d); // its Contact is numeric
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE sip:presence@127.0.0.1:5070", "Expires: 0", NULL);
    sip_went_to(s, "udp:127.0.0.1:5070");
    stage_close(s);
}

// What of a URI matters to RFC 3263, always written the same way.
static void names_in_contacts(void **state)
{
    (void)state;
    static const char *const contacts[][2] = {
        {"sip:romeo@Phone.Example.NET", "sip:phone.example.net"},
        {"sip:romeo@phone.example.net:5099;ob", "sip:phone.example.net:5099"},
        {"sip:romeo@phone.example.net;transport=TCP", "sip:phone.example.net;transport=tcp"},
        {"sip:romeo@phone.example.net;transport=udp;x=y", "sip:phone.example.net;transport=udp"},
        {"sip:romeo@phone.example.net;transport=tls", "sip:phone.example.net;transport=tls"},
        {"sips:romeo@phone.example.net", "sips:phone.example.net"},
        {"sips:romeo@phone.example.net:5099;transport=tcp", "sips:phone.example.net:5099"},
        {"sip:romeo@10.0.0.1;maddr=phone.example.net", "sip:phone.example.net"},
    };
    for (size_t i = 0; i < sizeof contacts / sizeof *contacts; i++) {
        struct stage *s = stage_open_with(without_proxy);
        says_contact(s, contacts[i][0]);
        net_is_asked(s, contacts[i][1]);
        net_answers(s, contacts[i][1], 60, "tls:127.0.0.1:5061", NULL);
        sip_sees(s, "NOTIFY", contacts[i][0], NULL);
        sip_went_to(s, "tls:127.0.0.1:5061");
        sip_demands_name(s, "phone.example.net");
        stage_close(s);
    }
}

static void numbers_in_contacts(void **state)
{
    (void)state;
    static const char *const contacts[][2] = {
        {"sip:romeo@127.0.0.9", "udp:127.0.0.9:5060"},
        {"sip:romeo@127.0.0.9:5099", "udp:127.0.0.9:5099"},
        {"sip:romeo@127.0.0.9;transport=tcp", "tcp:127.0.0.9:5060"},
        {"sip:romeo@127.0.0.9;transport=tls", "tls:127.0.0.9:5061"},
        {"sips:romeo@127.0.0.9", "tls:127.0.0.9:5061"},
        {"sip:romeo@phone.example.net;maddr=127.0.0.9", "udp:127.0.0.9:5060"},
    };
    for (size_t i = 0; i < sizeof contacts / sizeof *contacts; i++) {
        struct stage *s = stage_open_with(without_proxy);
        says_contact(s, contacts[i][0]);
        sip_sees(s, "NOTIFY", NULL);
        sip_went_to(s, contacts[i][1]);
        sip_demands_name(s, NULL);
        assert_int_equal(core_stats(s->core)->resolves, 0);
        stage_close(s);
    }
}

// ---- What is kept

static void plenty(struct core_config *cfg)
{
    without_proxy(cfg);
    cfg->settings.subscriptions_per_user = 5000;
    cfg->settings.new_subscriptions_per_user_per_min = 5000;
}

static void one_more_name(struct stage *s, int n)
{
    char message[2048];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKname%d;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo%d@example.net>;tag=c\nTo: <sip:juliet@example.com>\n"
             "Call-ID: name%d\nCSeq: 1 SUBSCRIBE\nContact: <sip:romeo@phone%d.example.net>\n"
             "Event: presence\nExpires: 600\n\n",
             n, n, n, n);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
}

// A table full of names that are waited for: the next leads nowhere. Where one is free, that one
// makes place.
static void names_have_a_limit(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(plenty);
    for (int i = 0; i < NEXT_HOP_NAMES_MAX; i++)
        one_more_name(s, i);
    assert_int_equal(core_stats(s->core)->resolves, NEXT_HOP_NAMES_MAX);
    one_more_name(s, NEXT_HOP_NAMES_MAX);
    assert_int_equal(core_stats(s->core)->resolves, NEXT_HOP_NAMES_MAX);
    assert_null(sip_next(s));
    net_answers(s, "sip:phone7.example.net", 3600, A, NULL);
    sip_sees(s, "NOTIFY", "phone7", NULL);
    sip_answers(s, 200, "");
    one_more_name(s, NEXT_HOP_NAMES_MAX + 1);
    assert_int_equal(core_stats(s->core)->resolves, NEXT_HOP_NAMES_MAX + 1);
    // And at rest nothing of it is left: neither names nor their timers.
    size_t before = core_stats(s->core)->memory_bytes;
    stage_pass_s(s, 8000);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    assert_true(core_stats(s->core)->memory_bytes <= before);
    stage_close(s);
}

// The end of it all: a name and a dead place are forgotten, too.
static void at_rest_nothing_is_kept(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(without_proxy);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, "sip:example.net");
    net_answers(s, "sip:example.net", 3600, C, A, NULL);
    sip_sees(s, "SUBSCRIBE", NULL);
    net_refuses(s, C);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_answers(s, 403, "");
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 3700);
    stage_close(s);
}

// A core that begins anew with a dialog that had not formed: its request died with the process, no
// matter where it was on its way; the gateway asks again.
static void a_restart_while_it_waits(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        struct stage *s = stage_open_with(by_name);
        struct stage_dialog d;
        xmpp_says(s, JULIET_SUBSCRIBES);
        net_is_asked(s, PROXY);
        if (answered) {
            net_answers(s, PROXY, 60, C, B, NULL);
            sip_sees(s, "SUBSCRIBE", NULL);
        }
        stage_crash(s);
        stage_streams_up(s);
        net_answers(s, PROXY, 60, A, NULL); // to the former life
        net_refuses(s, C);
        quiet(s);
        seconds_until_tried(s);
        while (s->question_head == s->question_tail)
            seconds_until_tried(s);
        net_is_asked(s, PROXY);
        net_answers(s, PROXY, 60, A, NULL);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_went_to(s, A);
        sip_dialog_of_subscribe(s, &d, "ffd2");
        approves(s, &d);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_UNAVAILABLE); // whom the former life may have shown
        xmpp_sees(s, ROMEO_AWAY);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_by_name),
        cmocka_unit_test(an_answer_has_its_time),
        cmocka_unit_test(a_name_that_leads_nowhere),
        cmocka_unit_test(a_silent_resolver),
        cmocka_unit_test(a_question_is_repeated),
        cmocka_unit_test(answers_that_nobody_asked_for),
        cmocka_unit_test(an_answer_that_is_too_long),
        cmocka_unit_test(waiting_has_a_limit),
        cmocka_unit_test(by_the_address_and_by_the_target),
        cmocka_unit_test(names_in_contacts),
        cmocka_unit_test(numbers_in_contacts),
        cmocka_unit_test(names_have_a_limit),
        cmocka_unit_test(at_rest_nothing_is_kept),
        cmocka_unit_test(a_restart_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
