// Digest authentication of our SUBSCRIBE requests: RFC 3261 §22.1 to §22.3, RFC 7616, RFC 8760.
//
// Digests are computed here a second time, from RFC 7616 §3.4 with libcrypto alone.
#include "flows.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHALLENGE(parameters) "WWW-Authenticate: Digest " parameters "\n"
#define PROXY(parameters)     "Proxy-Authenticate: Digest " parameters "\n"

static const struct core_realm realms[] = {
    {{"verona", 6}, {"gateway", 7}, {"sycamore", 8}},
    {{"mantua", 6}, {"gateway", 7}, {"apothecary", 10}},
};

static void known_realms(struct core_config *cfg)
{
    cfg->realms = realms;
    cfg->n_realms = 2;
}

static void known_realms_few_in_flight(struct core_config *cfg)
{
    known_realms(cfg);
    cfg->settings.requests_in_flight_per_peer = 1;
}

// ---- The answer, checked

static void hash(const char *algorithm, const char *text, char hex[65])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const EVP_MD *md = strcmp(algorithm, "MD5") ? EVP_sha256() : EVP_md5();
    assert_int_equal(EVP_Digest(text, strlen(text), bytes, &n, md, NULL), 1);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static const char *last_sip(const struct stage *s)
{
    return s->sips[s->sip_head - 1].bytes;
}

// The n-th line of this name in the request taken last.
static const char *credential(const struct stage *s, const char *name, int n)
{
    const char *at = last_sip(s);
    for (int i = 0; i <= n && at; i++)
        at = strstr(at + 1, name);
    if (!at)
        fail_msg("no %s in\n%s", name, last_sip(s));
    return at;
}

static void value(const char *line, const char *name, char out[512])
{
    char want[64];
    snprintf(want, sizeof want, "%s=", name);
    const char *end = strstr(line, "\r\n"), *at = strstr(line, want);
    *out = 0;
    if (!at || at > end)
        return;
    at += strlen(want);
    bool quoted = *at == '"';
    at += quoted;
    size_t n = quoted ? (size_t)(strchr(at, '"') - at) : strcspn(at, ", \r");
    assert_true(n < 512);
    snprintf(out, 512, "%.*s", (int)n, at);
}

// RFC 7616 §3.4.1 to §3.4.3, of what the line itself says and the password that we know.
static void is_right(const char *line, const char *ruri, const char *password)
{
    char user[512], realm[512], nonce[512], uri[512], qop[512], nc[512], cnonce[512], got[512];
    char algorithm[512], text[4096], a1[65], a2[65], want[65];
    value(line, "username", user);
    value(line, "realm", realm);
    value(line, " nonce", nonce);
    value(line, "uri", uri);
    value(line, "qop", qop);
    value(line, "nc", nc);
    value(line, "cnonce", cnonce);
    value(line, "response", got);
    value(line, "algorithm", algorithm);
    assert_string_equal(uri, ruri);
    snprintf(text, sizeof text, "%s:%s:%s", user, realm, password);
    hash(algorithm, text, a1);
    snprintf(text, sizeof text, "SUBSCRIBE:%s", uri);
    hash(algorithm, text, a2);
    if (*qop)
        snprintf(text, sizeof text, "%s:%s:%s:%s:%s:%s", a1, nonce, nc, cnonce, qop, a2);
    else
        snprintf(text, sizeof text, "%s:%s:%s", a1, nonce, a2);
    hash(algorithm, text, want);
    assert_string_equal(got, want);
}

// ---- The first SUBSCRIBE

// juliet          gateway              romeo's server
//   |  subscribe    |  SUBSCRIBE           |
//   |-------------->|--------------------->|
//   |               |  401, a nonce        |
//   |               |<---------------------|
//   |               |  SUBSCRIBE, CSeq 2   |   the same otherwise (RFC 3261 §22.2)
//   |               |--------------------->|
static void a_challenge_is_answered(void **state)
{
    (void)state;
    static const struct {
        const char *challenge, *name, *algorithm;
        unsigned status;
        bool qop;
    } cases[] = {
        {CHALLENGE("realm=\"verona\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\""),
         "\nAuthorization: ", "SHA-256", 401, true},
        {CHALLENGE("realm=\"verona\", nonce=\"n1\", algorithm=MD5, qop=\"auth,auth-int\""),
         "\nAuthorization: ", "MD5", 401, true},
        {CHALLENGE("realm=\"verona\", nonce=\"n1\""), "\nAuthorization: ", "MD5", 401, false},
        {PROXY("realm=\"verona\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\""),
         "\nProxy-Authorization: ", "SHA-256", 407, true},
        // The stronger of two, whichever comes first: local policy (RFC 8760 §2.4).
        {CHALLENGE("realm=\"verona\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"")
             CHALLENGE("realm=\"verona\", nonce=\"n2\", algorithm=SHA-256, qop=\"auth\""),
         "\nAuthorization: ", "SHA-256", 401, true},
        {CHALLENGE("realm=\"verona\", nonce=\"n2\", algorithm=SHA-512-256, qop=\"auth\"")
             CHALLENGE("realm=\"verona\", nonce=\"n1\", algorithm=MD5, qop=\"auth\""),
         "\nAuthorization: ", "MD5", 401, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage *s = stage_open_with(known_realms);
        struct stage_dialog d;
        char algorithm[512], qop[512];
        said_subscribe(s, &d);
        sip_lacks(s, "Authorization");
        sip_answers(s, cases[i].status, cases[i].challenge);
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net SIP/2.0", "CSeq: 2 SUBSCRIBE", d.call_id,
                 d.our_tag, "Expires: 3600", "To: <sip:romeo@example.net>\r\n", NULL);
        const char *line = credential(s, cases[i].name, 0);
        is_right(line, "sip:romeo@example.net", "sycamore");
        value(line, "algorithm", algorithm);
        assert_string_equal(algorithm, cases[i].algorithm);
        value(line, "qop", qop);
        assert_string_equal(qop, cases[i].qop ? "auth" : "");
        sip_answers(s, 200, "Expires: 3600\n");
        approves(s, &d);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        stage_close(s);
    }
}

#define VERONA "realm=\"verona\", algorithm=SHA-256, qop=\"auth\", nonce="

static void nonce_is(const struct stage *s, const char *nonce, const char *nc)
{
    char got[512];
    const char *line = credential(s, "\nAuthorization: ", 0);
    value(line, " nonce", got);
    assert_string_equal(got, nonce);
    value(line, "nc", got);
    assert_string_equal(got, nc);
}

static void established(struct stage *s, struct stage_dialog *d)
{
    said_subscribe(s, d);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\""));
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 ", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
}

// The nonce serves on, counted (RFC 7616 §3.3 nc), until it is stale; then the new one does.
static void a_refresh_needs_no_challenge(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    established(s, &d);
    refresh_leaves(s);
    nonce_is(s, "n1", "00000002");
    is_right(credential(s, "\nAuthorization: ", 0), "sip:presence@127.0.0.1:5070", "sycamore");
    sip_answers(s, 401, CHALLENGE(VERONA "\"n2\", stale=TRUE"));
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "CSeq: 4 ", "Expires: 3600", NULL);
    nonce_is(s, "n2", "00000001");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s); // she has seen nothing of it
    refresh_leaves(s);
    nonce_is(s, "n2", "00000002");
    // Timer N begins with the request that was sent last.
    sip_answers(s, 401, CHALLENGE(VERONA "\"n3\", stale=true"));
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    stage_pass_ms(s, 31900);
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_close(s);
}

// One nonce of a next hop serves all pairs.
static void another_pair_needs_no_challenge(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    established(s, &d);
    xmpp_says(s, "<presence from='nurse@example.com' to='romeo@example.net' type='subscribe'/>");
    sip_sees(s, "SUBSCRIBE", "From: <sip:nurse@example.com>", "CSeq: 1 ", NULL);
    nonce_is(s, "n1", "00000002");
    stage_close(s);
}

// Wrong credentials end after one try (RFC 3261 §22.2: not again with what was rejected), and are
// tried again like all that fails for now.
static void wrong_credentials(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\""));
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 ", NULL);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n2\""));
    quiet(s);
    assert_int_equal(s->n_records, 1);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    sip_lacks(s, d.call_id);
    nonce_is(s, "n2", "00000001");
    sip_answers(s, 401, CHALLENGE(VERONA "\"n3\""));
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 100), 59, 76);
    stage_close(s);
}

static void always_stale(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\", stale=true")); // there was none to be stale
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 ", NULL);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n2\", stale=true"));
    sip_sees(s, "SUBSCRIBE", "CSeq: 3 ", NULL);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n3\", stale=true"));
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

// A proxy on the way, and the server behind it: both sets go along (RFC 3261 §22.3).
static void proxy_and_then_server(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 407, PROXY("realm=\"mantua\", nonce=\"p1\", qop=\"auth\""));
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 ", NULL);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\""));
    sip_sees(s, "SUBSCRIBE", "CSeq: 3 ", NULL);
    is_right(credential(s, "\nAuthorization: ", 0), "sip:romeo@example.net", "sycamore");
    is_right(credential(s, "\nProxy-Authorization: ", 0), "sip:romeo@example.net", "apothecary");
    sip_answers(s, 407, PROXY("realm=\"mantua\", nonce=\"p2\", qop=\"auth\"")); // wrong
    quiet(s);
    stage_close(s);
}

static void not_ours_to_answer(void **state)
{
    (void)state;
    static const char *const challenges[] = {
        "",
        "WWW-Authenticate: Basic realm=\"verona\"\n",
        CHALLENGE("realm=\"padua\", nonce=\"n1\""),
        CHALLENGE("realm=\"verona\", nonce=\"n1\", algorithm=SHA-512-256"),
        CHALLENGE("realm=\"verona\", nonce=\"n1\", qop=\"auth-int\""),
        CHALLENGE("realm=\"verona\""),
    };
    for (size_t i = 0; i < sizeof challenges / sizeof *challenges; i++) {
        struct stage *s = stage_open_with(known_realms);
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 401, challenges[i]);
        quiet(s);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        sip_lacks(s, "Authorization");
        stage_close(s);
    }
}

// ---- Other requests

static void the_end_and_a_fetch(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    established(s, &d);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 3 ", NULL);
    xmpp_sees(s, ROMEO_GONE);
    sip_answers(s, 407, PROXY("realm=\"mantua\", nonce=\"p1\""));
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 4 ", ";tag=ffd2", NULL);
    quiet(s);
    sip_answers(s, 200, "Expires: 0\n");
    xmpp_sees(s, UNSUBSCRIBED);
    xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>");
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 1 ", NULL);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n2\", stale=true"));
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 2 ", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 0\n");
    sip_notifies(s, &d, "terminated;reason=timeout", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_true(is_next(s, "to='juliet@example.com/b'><show>away"));
    stage_close(s);
}

// What she has taken back before it began is not begun again.
static void given_up_before_the_challenge(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    said_subscribe(s, &d);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    quiet(s);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\""));
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

// Closed before the first NOTIFY, whose SUBSCRIBE had been challenged: the end is still asked for.
static void closed_before_the_first_notify(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\""));
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 ", NULL);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_answers(s, 200, "Expires: 3600\n");
    xmpp_sees(s, UNSUBSCRIBED);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 3 ", NULL);
    nonce_is(s, "n1", "00000002");
    stage_close(s);
}

// Another request has taken the only place meanwhile: the challenge is as good as a failure.
static void no_room_for_the_answer(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms_few_in_flight);
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 401, CHALLENGE(VERONA "\"n1\"")); // its own place is free by then
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 ", NULL);
    nonce_is(s, "n1", "00000001");
    stage_close(s);
}

// After a restart nonces are forgotten, and one challenge brings them back.
static void a_restart_forgets(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(known_realms);
    struct stage_dialog d;
    established(s, &d);
    stage_crash(s);
    stage_streams_up(s);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
    sip_lacks(s, "Authorization");
    uint32_t cseq = s->sip->cseq;
    sip_answers(s, 401, CHALLENGE(VERONA "\"n5\""));
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
    assert_int_equal(s->sip->cseq, cseq + 1);
    nonce_is(s, "n5", "00000001");
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_challenge_is_answered),
        cmocka_unit_test(a_refresh_needs_no_challenge),
        cmocka_unit_test(another_pair_needs_no_challenge),
        cmocka_unit_test(wrong_credentials),
        cmocka_unit_test(always_stale),
        cmocka_unit_test(proxy_and_then_server),
        cmocka_unit_test(not_ours_to_answer),
        cmocka_unit_test(the_end_and_a_fetch),
        cmocka_unit_test(given_up_before_the_challenge),
        cmocka_unit_test(closed_before_the_first_notify),
        cmocka_unit_test(no_room_for_the_answer),
        cmocka_unit_test(a_restart_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
