// Where requests must not go, whatever a name or a contact says: whom we don't trust.
#include "next_hop_words.h"

// gateway          resolver (whoever that is)       192.0.2.1
//   |  where?         |                                |
//   |---------------->|                                |
//   |  192.0.2.1      |                                |
//   |<----------------|           nothing              |
static void a_name_must_not_aim_us(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(without_proxy);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, "sip:example.net");
    net_answers(s, "sip:example.net", 600, "udp:192.0.2.1:5060", "tcp:192.0.2.2:80", NULL);
    stage_pass_s(s, 10);
    quiet(s);
    assert_int_equal(core_stats(s->core)->refused_trust, 2);
    assert_int_equal(core_stats(s->core)->client_transactions, 0);
    assert_int_equal(s->n_records, 1); // it is tried again
    stage_close(s);
    s = stage_open_with(by_name); // a proxy's name is no better
    asks_for(s, 1);
    net_is_asked(s, PROXY);
    net_answers(s, PROXY, 600, "udp:192.0.2.1:5060", A, NULL);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_went_to(s, A);
    assert_int_equal(core_stats(s->core)->refused_trust, 1);
    sip_answers(s, 503, "");
    quiet(s);
    stage_close(s);
}

static void a_contact_must_not_aim_us(void **state)
{
    (void)state;
    static const char *const contacts[] = {"sip:romeo@192.0.2.1",
                                           "sip:romeo@192.0.2.1;transport=tcp",
                                           "sip:romeo@[2001:db8::1]",
                                           "sip:romeo@127.0.0.1;maddr=192.0.2.1",
                                           "sip:romeo@127.0.0.1;transport=sctp",
                                           "sips:romeo@127.0.0.1;transport=udp"};
    for (size_t i = 0; i < sizeof contacts / sizeof *contacts; i++) {
        struct stage *s = stage_open_with(without_proxy);
        says_contact(s, contacts[i]);
        while (xmpp_next(s))
            ;
        stage_pass_s(s, 100);
        assert_int_equal(s->sip_head, s->sip_tail);
        assert_int_equal(s->question_head, s->question_tail);
        assert_int_equal(core_stats(s->core)->refused_trust > 0, i < 4);
        stage_close(s);
    }
}

// Trust that is taken away counts at once.
static void trust_is_asked_each_time(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(without_proxy);
    says_contact(s, "sip:romeo@127.0.0.9");
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    struct core_net elsewhere = {.base = {.ip = {127, 0, 0, 1}, .family = 4}, .prefix = 32};
    struct core_trust trust = s->cfg.trust;
    trust.sip_sources = &elsewhere;
    assert_int_equal(core_set_trust(s->core, &trust), 0);
    xmpp_says(s, JULIET_APPROVES);
    assert_null(sip_next(s));
    assert_int_equal(core_stats(s->core)->refused_trust, 1);
    stage_close(s);
}

// sips means TLS all the way: a plain place in the answer is none.
static void sips_takes_only_tls(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(without_proxy);
    says_contact(s, "sips:romeo@phone.example.net");
    net_is_asked(s, "sips:phone.example.net");
    net_answers(s, "sips:phone.example.net", 60, "tcp:127.0.0.1:5060", "udp:127.0.0.1:5060",
                "tls:127.0.0.2:5061", NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, "tls:127.0.0.2:5061");
    sip_answers(s, 503, "");
    while (xmpp_next(s))
        ;
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_must_not_aim_us),
        cmocka_unit_test(a_contact_must_not_aim_us),
        cmocka_unit_test(trust_is_asked_each_time),
        cmocka_unit_test(sips_takes_only_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
