// Stanzas that must not be served: the answer that RFC 6120 asks for, or none, and nothing crosses
// to SIP.
//
//   juliet          gateway              SIP
//     |  bad stanza    |                  |
//     |--------------->|                  |
//     |  error         |     (nothing)    |
//     |<---------------|                  |
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define ERROR(type, condition)                                                                     \
    "<error type='" type "'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// What is said, and the one stanza that comes back; NULL: nothing does.
static const struct exchange {
    const char *why, *said, *seen;
} exchanges[] = {
    {"a foreigner subscribes",
     "<presence from='tybalt@capulet.example' to='romeo@example.net' type='subscribe' id='s1'/>",
     "<presence from='romeo@example.net' "
     "to='tybalt@capulet.example' id='s1' type='error'>" ERROR("auth", "forbidden") "</presence>"},
    {"a foreigner probes",
     "<presence from='tybalt@capulet.example/x' to='romeo@example.net' type='probe'/>",
     "<presence from='romeo@example.net' "
     "to='tybalt@capulet.example/x' type='error'>" ERROR("auth", "forbidden") "</presence>"},
    {"a foreigner unsubscribes",
     "<presence from='tybalt@capulet.example' to='romeo@example.net' type='unsubscribe'/>",
     "<presence from='romeo@example.net' "
     "to='tybalt@capulet.example' type='error'>" ERROR("auth", "forbidden") "</presence>"},
    {"a foreigner shows himself",
     "<presence from='tybalt@capulet.example/x' to='romeo@example.net'/>", NULL},
    {"a foreigner leaves",
     "<presence from='tybalt@capulet.example/x' to='romeo@example.net' type='unavailable'/>", NULL},
    {"a foreigner approves",
     "<presence from='tybalt@capulet.example' to='romeo@example.net' type='subscribed'/>", NULL},
    {"a foreigner's message",
     "<message from='tybalt@capulet.example/x' to='romeo@example.net'><body>x</body></message>",
     "<message from='romeo@example.net' "
     "to='tybalt@capulet.example/x' type='error'>" ERROR("auth", "forbidden") "</message>"},
    {"a subdomain is a foreigner, too",
     "<presence from='juliet@sub.example.com' to='romeo@example.net' type='subscribe'/>",
     "<presence from='romeo@example.net' "
     "to='juliet@sub.example.com' type='error'>" ERROR("auth", "forbidden") "</presence>"},
    {"a message",
     "<message from='juliet@example.com/b' to='romeo@example.net' type='chat' id='m'>"
     "<body>Art thou not Romeo?</body></message>",
     "<message from='romeo@example.net' "
     "to='juliet@example.com/b' id='m' type='error'>" ERROR("cancel",
                                                            "service-unavailable") "</message>"},
    {"an error about a message",
     "<message from='juliet@example.com/b' to='romeo@example.net' type='error'>" ERROR(
         "cancel", "gone") "</message>",
     NULL},
    {"a question",
     "<iq type='get' id='v1' from='juliet@example.com/b' to='romeo@example.net/x'>"
     "<query xmlns='jabber:iq:version'/></iq>",
     "<iq from='romeo@example.net/x' "
     "to='juliet@example.com/b' id='v1' type='error'>" ERROR("cancel",
                                                             "service-unavailable") "</iq>"},
    {"an order",
     "<iq type='set' id='v2' from='juliet@example.com/b' to='example.net'>"
     "<query xmlns='jabber:iq:register'/></iq>",
     "<iq from='example.net' "
     "to='juliet@example.com/b' id='v2' type='error'>" ERROR("cancel",
                                                             "service-unavailable") "</iq>"},
    {"a result that nobody asked for",
     "<iq type='result' id='r' from='juliet@example.com/b' to='romeo@example.net'/>", NULL},
    {"an error that nobody asked for",
     "<iq type='error' id='r' from='juliet@example.com/b' to='gw.example.net'>" ERROR(
         "cancel", "service-unavailable") "</iq>",
     NULL},
    {"a presence error",
     "<presence from='juliet@example.com' to='romeo@example.net' type='error'>" ERROR(
         "cancel", "gone") "</presence>",
     NULL},
    {"presence of a type that is unknown",
     "<presence from='juliet@example.com' to='romeo@example.net' type='invisible' id='i'/>",
     "<presence from='romeo@example.net' "
     "to='juliet@example.com' id='i' type='error'>" ERROR("modify", "bad-request") "</presence>"},
    {"a subscription to the gateway itself",
     "<presence from='juliet@example.com' to='gw.example.net' type='subscribe'/>",
     "<presence from='gw.example.net' "
     "to='juliet@example.com' type='error'>" ERROR("cancel", "service-unavailable") "</presence>"},
    {"a subscription to the domain",
     "<presence from='juliet@example.com' to='example.net' type='subscribe'/>",
     "<presence from='example.net' "
     "to='juliet@example.com' type='error'>" ERROR("cancel", "service-unavailable") "</presence>"},
    {"presence to the domain", "<presence from='juliet@example.com/b' to='example.net'/>", NULL},
    // The gateway's own domain is there to probe from; it is no SIP domain.
    {"a subscription to somebody at the gateway's own domain",
     "<presence from='juliet@example.com' to='romeo@gw.example.net' type='subscribe'/>",
     "<presence from='romeo@gw.example.net' "
     "to='juliet@example.com' type='error'>" ERROR("cancel", "item-not-found") "</presence>"},
    {"a probe of somebody at the gateway's own domain",
     "<presence from='juliet@example.com' to='romeo@gw.example.net' type='probe'/>",
     "<presence from='romeo@gw.example.net' "
     "to='juliet@example.com' type='error'>" ERROR("cancel", "item-not-found") "</presence>"},
    {"a `to` that is no JID",
     "<presence from='juliet@example.com' to='ro meo@example.net' type='subscribe'/>",
     "<presence from='ro meo@example.net' "
     "to='juliet@example.com' type='error'>" ERROR("modify", "jid-malformed") "</presence>"},
    {"a `to` that is no JID, in a notification",
     "<presence from='juliet@example.com' to='ro meo@example.net'/>", NULL},
    {"no `from`", "<presence to='romeo@example.net' type='subscribe'/>", NULL},
    {"a `from` that is no JID",
     "<presence from='@example.com' to='romeo@example.net' type='subscribe'/>", NULL},
    {"no `to`", "<presence from='juliet@example.com' type='subscribe'/>", NULL},
    {"a domain that is not ours",
     "<presence from='juliet@example.com' to='romeo@elsewhere.example' type='subscribe'/>", NULL},
    {"a server subscribes",
     "<presence from='example.com' to='romeo@example.net' type='subscribe'/>", NULL},
};

static void each_gets_its_answer_and_costs_sip_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
        print_message("    %s\n", exchanges[i].why);
        xmpp_says(s, exchanges[i].said);
        if (exchanges[i].seen)
            xmpp_sees(s, exchanges[i].seen);
        quiet(s);
    }
    assert_int_equal(s->puts, 0);
    all_is_over(s, 100);
    stage_close(s);
}

static void two_per_user(struct core_config *cfg)
{
    cfg->settings.subscriptions_per_user = 2;
}

static void three_per_shard(struct core_config *cfg)
{
    cfg->settings.subscriptions_per_shard = 3;
}

static void four_per_minute(struct core_config *cfg)
{
    cfg->settings.new_subscriptions_per_user_per_min = 4;
}

static void says_to(struct stage *s, const char *from, const char *type, const char *to)
{
    char stanza[256];
    snprintf(stanza, sizeof stanza, "<presence from='%s' to='%s@example.net' type='%s'/>", from, to,
             type);
    xmpp_says(s, stanza);
}

static void is_refused(struct stage *s, const char *from, const char *to)
{
    char stanza[512];
    snprintf(stanza, sizeof stanza,
             "<presence from='%s@example.net' "
             "to='%s' type='error'>" ERROR("wait", "resource-constraint") "</presence>",
             to, from);
    xmpp_sees(s, stanza);
    quiet(s);
}

// One past [limits] subscriptions_per_user; what she has stays.
static void too_many_of_one_user(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_per_user);
    says_to(s, "juliet@example.com", "subscribe", "romeo");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    says_to(s, "juliet@example.com", "subscribe", "mercutio");
    sip_sees(s, "SUBSCRIBE sip:mercutio@example.net", NULL);
    says_to(s, "juliet@example.com", "subscribe", "benvolio");
    is_refused(s, "juliet@example.com", "benvolio");
    says_to(s, "nurse@example.com", "subscribe", "benvolio"); // another user may
    sip_sees(s, "SUBSCRIBE sip:benvolio@example.net", NULL);
    says_to(s, "juliet@example.com", "subscribe", "romeo"); // and hers are no news
    quiet(s);
    assert_int_equal(core_stats(s->core)->refused_limit, 1);
    assert_int_equal(s->n_records, 3);
    stage_close(s);
}

static void too_many_of_the_shard(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(three_per_shard);
    says_to(s, "a@example.com", "subscribe", "romeo");
    sip_sees(s, "SUBSCRIBE", NULL);
    says_to(s, "b@example.com", "subscribe", "romeo");
    sip_sees(s, "SUBSCRIBE", NULL);
    says_to(s, "c@example.com", "subscribe", "romeo");
    sip_sees(s, "SUBSCRIBE", NULL);
    says_to(s, "d@example.com", "subscribe", "romeo");
    is_refused(s, "d@example.com", "romeo");
    says_to(s, "a@example.com", "unsubscribe", "romeo"); // makes room
    quiet(s);
    says_to(s, "d@example.com", "subscribe", "romeo");
    sip_sees(s, "SUBSCRIBE", NULL);
    stage_close(s);
}

// Subscriptions and fetches count alike; the next minute is a new one.
static void too_fast(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(four_per_minute);
    char to[16];
    for (int i = 0; i < 4; i++) {
        snprintf(to, sizeof to, "r%d", i);
        says_to(s, "juliet@example.com", i % 2 ? "probe" : "subscribe", to);
        sip_sees(s, "SUBSCRIBE", i % 2 ? "Expires: 0" : "Expires: 3600", NULL);
    }
    says_to(s, "juliet@example.com", "probe", "r9");
    is_refused(s, "juliet@example.com", "r9");
    says_to(s, "juliet@example.com", "subscribe", "r9");
    is_refused(s, "juliet@example.com", "r9");
    s->sip_head = s->sip_tail;
    stage_pass_s(s, 60);
    s->sip_head = s->sip_tail; // retransmissions
    s->stanza_head = s->stanza_tail;
    says_to(s, "juliet@example.com", "subscribe", "r9");
    sip_sees(s, "SUBSCRIBE sip:r9@example.net", NULL);
    stage_close(s);
}

static void drain(struct stage *s, bool on)
{
    struct core_settings settings = s->cfg.settings;
    settings.draining = on;
    core_set_settings(s->core, &settings);
}

// Draining: nothing new, and what is goes on.
static void draining_refuses_what_is_new(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog watch, serve;
    watch_established(s, &watch);
    serve_established(s, &serve);
    drain(s, true);
    says_to(s, "juliet@example.com", "subscribe", "mercutio");
    is_refused(s, "juliet@example.com", "mercutio");
    says_to(s, "juliet@example.com", "probe", "mercutio");
    is_refused(s, "juliet@example.com", "mercutio");
    sip_says(s,
             "SUBSCRIBE sip:nurse@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKd1\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=d\nTo: <sip:nurse@example.com>\nCall-ID: d\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1>\nEvent: presence\n\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    sip_says(s,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n" // another device of his
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKd2\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=d\nTo: <sip:juliet@example.com>\nCall-ID: d2\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1>\nEvent: presence\n\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    sip_says(s,
             "SUBSCRIBE sip:nurse@example.com SIP/2.0\n" // a fetch is new work, too
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKd3\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=d\nTo: <sip:nurse@example.com>\nCall-ID: d3\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1>\nEvent: presence\n"
             "Expires: 0\n\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    quiet(s);
    sip_notifies(s, &watch, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    sip_resubscribes(s, &serve, 3600);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    drain(s, false);
    says_to(s, "juliet@example.com", "subscribe", "mercutio");
    sip_sees(s, "SUBSCRIBE sip:mercutio@example.net", NULL);
    stage_close(s);
}

// Trust that is taken away while the stream is still there: forbidden, until it is given back.
static void a_domain_is_no_longer_trusted(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct core_trust less = s->cfg.trust;
    less.n_sip_domains = 0;
    assert_int_equal(core_set_trust(s->core, &less), 0);
    xmpp_says(s, JULIET_SUBSCRIBES);
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' "
              "type='error'>" ERROR("auth", "forbidden") "</presence>");
    sip_says(s, ROMEO_SUBSCRIBES);
    sip_sees(s, "SIP/2.0 403", NULL);
    quiet(s);
    less = s->cfg.trust;
    less.n_xmpp_domains = 0;
    assert_int_equal(core_set_trust(s->core, &less), 0);
    xmpp_says(s, JULIET_SUBSCRIBES);
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' "
              "type='error'>" ERROR("auth", "forbidden") "</presence>");
    sip_says(s, ROMEO_SUBSCRIBES);
    sip_sees(s, "SIP/2.0 404", NULL);
    quiet(s);
    assert_int_equal(core_set_trust(s->core, &s->cfg.trust), 0);
    struct stage_dialog d;
    watch_established(s, &d);
    stage_close(s);
}

// The same while the answer to her probe is on its way: what comes is answered, and costs her
// nothing.
static void a_fetch_outlives_trust(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct stage *s = stage_open();
        struct core_trust less = s->cfg.trust;
        struct stage_dialog d;
        says_to(s, "juliet@example.com/balcony", "probe", "romeo");
        sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
        sip_dialog_of_subscribe(s, &d, "ffd2");
        if (k % 2)
            less.n_xmpp_domains = 0;
        else
            less.n_sip_domains = 0;
        assert_int_equal(core_set_trust(s->core, &less), 0);
        if (k < 2) {
            sip_notifies(s, &d, "terminated;reason=timeout", PIDF_AWAY);
            sip_sees(s, "SIP/2.0 200", NULL);
        } else {
            sip_answers(s, 404, "");
        }
        quiet(s);
        stage_close(s);
    }
}

// The bare JID counts: however a client writes it, it is one pair.
static void spellings_are_one_pair(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    xmpp_says(s,
              "<presence from='Juliet@Example.COM/b' to='ROMEO@EXAMPLE.net/x' "
              "type='subscribe'/>");
    quiet(s);
    assert_int_equal(core_stats(s->core)->subscriptions, 1);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_answer_and_costs_sip_nothing),
        cmocka_unit_test(too_many_of_one_user),
        cmocka_unit_test(too_many_of_the_shard),
        cmocka_unit_test(too_fast),
        cmocka_unit_test(draining_refuses_what_is_new),
        cmocka_unit_test(a_domain_is_no_longer_trusted),
        cmocka_unit_test(a_fetch_outlives_trust),
        cmocka_unit_test(spellings_are_one_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
