// Over which transport: what Via and Contact say, what is sent again, big requests, certificates,
// and the way back of answers.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/peer.h"
#include "core/trial.h"

#define UDP "udp:127.0.0.1:5070"
#define TCP "tcp:127.0.0.1:5070"
#define TLS "tls:127.0.0.1:5071"

static void listening(struct core_config *cfg)
{
    cfg->tcp_port = 5060;
    cfg->tls_port = 5061;
}

static void by_tcp(struct core_config *cfg)
{
    listening(cfg);
    cfg->proxy.transport = HOP_TCP;
}

static void by_tls(struct core_config *cfg)
{
    listening(cfg);
    cfg->proxy.transport = HOP_TLS;
    cfg->proxy.port = 5071;
}

static void by_tls_with_name(struct core_config *cfg)
{
    by_tls(cfg);
    cfg->proxy_name = TEXT("proxy.example.net");
}

static void by_tcp_not_listening(struct core_config *cfg)
{
    cfg->proxy.transport = HOP_TCP;
}

static void by_tls_not_listening(struct core_config *cfg)
{
    cfg->proxy.transport = HOP_TLS;
    cfg->proxy.port = 5071;
}

// ---- Via and Contact

static void via_and_contact_say_the_transport(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct core_config *);
        const char *place, *via, *contact;
    } table[] = {
        {listening, UDP, "Via: SIP/2.0/UDP 127.0.0.1:5080;",
         "<sip:juliet@127.0.0.1:5080;gr=example.com>"},
        {by_tcp, TCP, "Via: SIP/2.0/TCP 127.0.0.1:5060;",
         "<sip:juliet@127.0.0.1:5060;transport=tcp;gr=example.com>"},
        {by_tls, TLS, "Via: SIP/2.0/TLS 127.0.0.1:5061;",
         "<sip:juliet@127.0.0.1:5061;transport=tls;gr=example.com>"},
        {by_tcp_not_listening, TCP, "Via: SIP/2.0/TCP 127.0.0.1:5080;",
         "<sip:juliet@127.0.0.1:5080;gr=example.com>"},
        {by_tls_not_listening, TLS, "Via: SIP/2.0/TLS 127.0.0.1:5080;",
         "<sip:juliet@127.0.0.1:5080;gr=example.com>"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct stage *s = stage_open_with(table[i].change);
        xmpp_says(s, JULIET_SUBSCRIBES);
        sip_sees(s, "SUBSCRIBE", table[i].via, table[i].contact, NULL);
        sip_went_to(s, table[i].place);
        stage_close(s);
    }
}

// The same by a name whose answer tells the transport only later.
static void by_name(struct core_config *cfg)
{
    listening(cfg);
    cfg->proxy = (struct hop){0};
    cfg->proxy_uri = TEXT("sip:proxy.example.net");
}

static void each_place_has_its_own(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_name);
    xmpp_says(s, JULIET_SUBSCRIBES);
    net_is_asked(s, "sip:proxy.example.net");
    net_answers(s, "sip:proxy.example.net", 60, TLS, TCP, UDP, NULL);
    sip_sees(s, "SUBSCRIBE", "Via: SIP/2.0/TLS 127.0.0.1:5061;",
             "Contact: <sip:juliet@127.0.0.1:5061;transport=tls;gr=example.com>\r\n", NULL);
    sip_went_to(s, TLS);
    sip_demands_name(s, "proxy.example.net");
    net_refuses(s, TLS);
    sip_sees(s, "SUBSCRIBE", "Via: SIP/2.0/TCP 127.0.0.1:5060;",
             "Contact: <sip:juliet@127.0.0.1:5060;transport=tcp;gr=example.com>\r\n", NULL);
    sip_went_to(s, TCP);
    sip_demands_name(s, NULL);
    net_refuses(s, TCP);
    sip_sees(s, "SUBSCRIBE", "Via: SIP/2.0/UDP 127.0.0.1:5080;",
             "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>\r\n", NULL);
    sip_went_to(s, UDP);
    assert_int_equal(core_stats(s->core)->failovers, 2);
    stage_close(s);
}

// An answer's Contact is for the transport that the request came over.
static void answers_have_a_contact_too(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"udp:127.0.0.1:5070", "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>"},
        {"tcp:127.0.0.1:43210",
         "Contact: <sip:juliet@127.0.0.1:5060;transport=tcp;gr=example.com>"},
        {"tls:127.0.0.1:43210",
         "Contact: <sip:juliet@127.0.0.1:5061;transport=tls;gr=example.com>"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct stage *s = stage_open_with(listening);
        sip_says_over(s, table[i][0], ROMEO_SUBSCRIBES);
        sip_sees(s, "SIP/2.0 200", table[i][1], NULL);
        sip_went_to(s, table[i][0]); // by the connection that it came by
        stage_close(s);
    }
}

// ---- Sent once, or again and again

// RFC 3261 §17.1.2.2: timer E is for UDP; timer F for all.
static void what_is_reliable_is_sent_once(void **state)
{
    (void)state;
    static void (*const changes[])(struct core_config *) = {by_tcp, by_tls};
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open_with(changes[i]);
        xmpp_says(s, JULIET_SUBSCRIBES);
        sip_sees(s, "SUBSCRIBE", NULL);
        sip_answers(s, 100, "");
        stage_pass_ms(s, 31900);
        quiet(s);
        assert_int_equal(core_stats(s->core)->client_transactions, 1);
        stage_pass_ms(s, 200);
        quiet(s);
        assert_int_equal(core_stats(s->core)->client_transactions, 0);
        assert_int_equal(core_stats(s->core)->timeouts, 1);
        assert_int_equal(core_stats(s->core)->retransmits, 0);
        stage_close(s);
    }
}

// gateway         transport           proxy (TCP)
//   |  SUBSCRIBE      |                  | starting anew
//   |---------------->x                  |
//   |  unreachable    |                  |
//   |<----------------|                  |
//   |   (T2)          |                  |
//   |  SUBSCRIBE, the same               |
//   |----------------------------------->|
static void a_proxy_that_restarts(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_tcp);
    struct stage_dialog d;
    char branch[64];
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    snprintf(branch, sizeof branch, "%.*s", TEXT_ARG(stage_sip(s, s->sip->branch)));
    net_refuses(s, TCP);
    net_refuses(s, TCP);
    quiet(s);
    stage_pass_ms(s, 3900);
    quiet(s);
    stage_pass_ms(s, 200);
    sip_sees(s, "SUBSCRIBE", branch, NULL);
    sip_went_to(s, TCP);
    quiet(s);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    stage_close(s);
}

// It stays away: no more than one attempt each T2, and the end is not a timeout.
static void a_proxy_that_stays_away(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_tcp);
    unsigned attempts = 0;
    xmpp_says(s, JULIET_SUBSCRIBES);
    while (core_stats(s->core)->client_transactions) {
        if (sip_next(s))
            attempts++;
        net_refuses(s, TCP);
        stage_pass_ms(s, 100);
    }
    quiet(s);
    assert_int_equal(attempts, 8);
    assert_int_equal(core_stats(s->core)->timeouts, 0);
    stage_close(s);
}

// Datagrams go on as ever: an ICMP message may be stale, or forged.
static void an_unreachable_datagram(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    net_refuses(s, UDP);
    quiet(s);
    stage_pass_ms(s, 600);
    sip_sees(s, "SUBSCRIBE", NULL);
    stage_pass_ms(s, 1000);
    sip_sees(s, "SUBSCRIBE", NULL);
    quiet(s);
    stage_close(s);
}

// ---- Certificates (RFC 5922)

static void whom_the_certificate_must_name(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(by_tls);
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_demands_name(s, NULL);
    stage_close(s);
    s = stage_open_with(by_tls_with_name);
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_demands_name(s, "proxy.example.net");
    net_refuses(s, TLS);
    stage_pass_s(s, 5);
    sip_sees(s, "SUBSCRIBE", NULL); // and when it is sent again
    sip_demands_name(s, "proxy.example.net");
    stage_close(s);
}

// ---- Big requests (RFC 3261 §18.1.1)

// She is away, for a reason of n letters.
static void is_away_at_length(struct stage *s, size_t n)
{
    static char stanza[20000];
    size_t at = (size_t)snprintf(stanza, sizeof stanza,
                                 "<presence from='juliet@example.com/balcony' "
                                 "to='romeo@example.net'><show>away</show><status>");
    memset(stanza + at, 'a' + (int)(n % 26), n);
    strcpy(stanza + at + n, "</status></presence>");
    xmpp_says(s, stanza);
}

static size_t sip_length(const struct stage *s)
{
    return s->sips[s->sip_head - 1].n;
}

// One byte after the other across the border.
static void expect_border(struct stage *s)
{
    bool at_border = false, behind_border = false;
    for (size_t n = 1; !behind_border; n++) {
        is_away_at_length(s, n);
        sip_sees(s, "NOTIFY", NULL);
        bool small = sip_length(s) <= TRIAL_DATAGRAM_MAX;
        at_border |= sip_length(s) == TRIAL_DATAGRAM_MAX;
        behind_border |= sip_length(s) == TRIAL_DATAGRAM_MAX + 1;
        sip_went_to(s, small ? UDP : TCP);
        assert_non_null(
            strstr(s->sips[s->sip_head - 1].bytes, small ? "Via: SIP/2.0/UDP 127.0.0.1:5080;"
                                                         : "Via: SIP/2.0/TCP 127.0.0.1:5060;"));
        // The way back is the one for small ones.
        assert_non_null(strstr(s->sips[s->sip_head - 1].bytes,
                               "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>"));
        assert_true(n < 2000);
        sip_answers(s, 200, "");
        stage_pass_s(s, 5); // who is always in a hurry is slowed down
        quiet(s);
    }
    assert_true(at_border);
    assert_int_equal(core_stats(s->core)->tcp_switches, 1);
}

// A stage where the name has been answered for.
static struct stage *stage_by_name(void)
{
    struct stage *s = stage_open_with(by_name);
    says_subscribe(s, 77, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    net_is_asked(s, "sip:proxy.example.net");
    net_answers(s, "sip:proxy.example.net", 3600, UDP, NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    return s;
}

static void the_border_is_at_1300(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        struct stage *s = named ? stage_by_name() : stage_open_with(listening);
        struct stage_dialog d;
        serve_established(s, &d);
        expect_border(s);
        stage_close(s);
    }
}

// gateway               proxy
//   |  NOTIFY (TCP)       |
//   |--------------------x|  refuses
//   |  NOTIFY (UDP)       |
//   |-------------------->|  and so do all big ones for a while
static void expect_refusal(struct stage *s)
{
    char cseq[64], tcp_branch[64];
    is_away_at_length(s, 1500);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, TCP);
    snprintf(cseq, sizeof cseq, "CSeq: %u NOTIFY", s->sip->cseq);
    snprintf(tcp_branch, sizeof tcp_branch, "%.*s", TEXT_ARG(stage_sip(s, s->sip->branch)));
    net_refuses(s, TCP);
    sip_sees(s, "NOTIFY", cseq, "Via: SIP/2.0/UDP 127.0.0.1:5080;", NULL);
    sip_went_to(s, UDP);
    sip_lacks(s, tcp_branch);
    stage_pass_ms(s, 600);
    sip_sees(s, "NOTIFY", cseq, NULL); // as datagrams are
    sip_answers(s, 200, "");
    is_away_at_length(s, 1501);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, UDP);
    sip_answers(s, 200, "");
    assert_int_equal(core_stats(s->core)->tcp_switches, 1);
    assert_int_equal(core_stats(s->core)->failovers, 0);
    quiet(s);
    stage_pass_ms(s, PEER_UDP_ONLY_MS);
    quiet(s);
    is_away_at_length(s, 1502);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, TCP); // it may have learnt
    sip_answers(s, 200, "");
    assert_int_equal(core_stats(s->core)->tcp_switches, 2);
}

static void tcp_is_refused(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        struct stage *s = named ? stage_by_name() : stage_open_with(listening);
        struct stage_dialog d;
        serve_established(s, &d);
        expect_refusal(s);
        stage_close(s);
    }
}

// A firewall that swallows TCP: half of timer F, and then as a datagram.
static void tcp_is_silent(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(listening);
    struct stage_dialog d;
    serve_established(s, &d);
    is_away_at_length(s, 1500);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, TCP);
    stage_pass_ms(s, 15900);
    quiet(s);
    stage_pass_ms(s, 200);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, UDP);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// 503 over TCP is its answer, whatever the transport: not once more over UDP.
static void a_503_over_tcp(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(listening);
    struct stage_dialog d;
    serve_established(s, &d);
    is_away_at_length(s, 1500);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, TCP);
    sip_answers(s, 503, "");
    quiet(s);
    is_away_at_length(s, 1501);
    stage_pass_s(s, 6);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, TCP);
    stage_close(s);
}

// ---- The way back (RFC 3261 §18.2.2)

static void asks_options(struct stage *s, const char *place, const char *sent_by)
{
    char message[512];
    snprintf(message, sizeof message,
             "OPTIONS sip:example.com SIP/2.0\nVia: SIP/2.0/TCP %s;branch=z9hG4bKo1\n"
             "Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=o\nTo: <sip:example.com>\n"
             "Call-ID: o\nCSeq: 1 OPTIONS\n\n",
             sent_by);
    sip_says_over(s, place, message);
}

static void a_lost_connection_is_opened_anew(void **state)
{
    (void)state;
    static const struct {
        const char *place, *sent_by;
        uint16_t port;
    } table[] = {
        {"tcp:127.0.0.1:43210", "127.0.0.1:5077", 5077},
        {"tcp:127.0.0.1:43210", "phone.example.net", 5060},
        {"tls:127.0.0.1:43210", "phone.example.net", 5061},
        {"udp:127.0.0.1:5070", "127.0.0.1:5070", 0},
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        asks_options(s, table[i].place, table[i].sent_by);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_went_to(s, table[i].place);
        assert_int_equal(s->sips[s->sip_head - 1].reopen_port, table[i].port);
    }
    sip_says_over(s, "tcp:127.0.0.1:43210", ROMEO_SUBSCRIBES);
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_int_equal(s->sips[s->sip_head - 1].reopen_port, 5070);
    sip_sees(s, "NOTIFY", NULL);
    assert_int_equal(s->sips[s->sip_head - 1].reopen_port, 0); // a request opens one anyway
    sip_says_over(s, "tcp:127.0.0.1:43210", ROMEO_SUBSCRIBES); // sent again
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_int_equal(s->sips[s->sip_head - 1].reopen_port, 5070);
    stage_close(s);
}

// A connection gives nobody more trust than a datagram does.
static void trust_is_the_same(void **state)
{
    (void)state;
    static const char *const places[] = {"udp:192.0.2.1:5060", "tcp:192.0.2.1:5060",
                                         "tls:192.0.2.1:5061"};
    for (size_t i = 0; i < 3; i++) {
        struct stage *s = stage_open();
        sip_says_over(s, places[i], ROMEO_SUBSCRIBES);
        sip_sees(s, "SIP/2.0 403", NULL);
        quiet(s);
        assert_int_equal(core_stats(s->core)->refused_trust, 1);
        stage_close(s);
    }
}

// ---- Credentials over whichever transport

static const struct core_realm realm = {
    .realm = {"example.net", 11}, .user = {"gateway", 7}, .password = {"secret", 6}};

static void with_password(struct core_config *cfg)
{
    listening(cfg);
    cfg->realms = &realm;
    cfg->n_realms = 1;
}

#define CHALLENGE "Proxy-Authenticate: Digest realm=\"example.net\", nonce=\"%s\", qop=\"auth\"\n"

// A challenge of a big NOTIFY that went over TCP: the answer goes there as well, and the next
// request, big or small, has it along.
static void a_challenge_over_tcp(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(with_password);
    struct stage_dialog d;
    char challenge[256];
    snprintf(challenge, sizeof challenge, CHALLENGE, "abc");
    serve_established(s, &d);
    is_away_at_length(s, 1500);
    sip_sees(s, "NOTIFY", NULL);
    sip_went_to(s, TCP);
    sip_lacks(s, "Proxy-Authorization");
    uint32_t cseq = s->sip->cseq;
    sip_answers(s, 407, challenge);
    sip_sees(s, "NOTIFY", "Proxy-Authorization: Digest ", "nonce=\"abc\"", NULL);
    sip_went_to(s, TCP);
    assert_int_equal(s->sip->cseq, cseq + 1);
    sip_answers(s, 407, challenge); // the password is wrong
    quiet(s);
    stage_pass_s(s, 6); // it is tried again later, as after any failure
    sip_sees(s, "NOTIFY", "Proxy-Authorization: Digest ", NULL);
    sip_answers(s, 200, "");
    is_away_at_length(s, 5);
    sip_sees(s, "NOTIFY", "Proxy-Authorization: Digest ", NULL);
    sip_went_to(s, UDP);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

static void a_challenge_of_a_subscribe(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(with_password);
    struct stage_dialog d, e;
    char challenge[256];
    snprintf(challenge, sizeof challenge, CHALLENGE, "abc");
    said_subscribe(s, &d);
    sip_answers(s, 407, challenge);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 2 SUBSCRIBE",
             "uri=\"sip:romeo@example.net\"", "username=\"gateway\"", NULL);
    sip_dialog_of_subscribe(s, &e, "ffd2");
    assert_string_equal(d.call_id, e.call_id);
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &e);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(via_and_contact_say_the_transport),
        cmocka_unit_test(each_place_has_its_own),
        cmocka_unit_test(answers_have_a_contact_too),
        cmocka_unit_test(what_is_reliable_is_sent_once),
        cmocka_unit_test(a_proxy_that_restarts),
        cmocka_unit_test(a_proxy_that_stays_away),
        cmocka_unit_test(an_unreachable_datagram),
        cmocka_unit_test(whom_the_certificate_must_name),
        cmocka_unit_test(the_border_is_at_1300),
        cmocka_unit_test(tcp_is_refused),
        cmocka_unit_test(tcp_is_silent),
        cmocka_unit_test(a_503_over_tcp),
        cmocka_unit_test(a_lost_connection_is_opened_anew),
        cmocka_unit_test(trust_is_the_same),
        cmocka_unit_test(a_challenge_over_tcp),
        cmocka_unit_test(a_challenge_of_a_subscribe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
