// What is read of WWW-Authenticate and Proxy-Authenticate, and of the entity-tags of RFC 5839.
#include "core/wire/digest.h"
#include "core/wire/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct sip_parser *parser;
static const struct sip_message *m;

// A 401 with these lines.
static void parse(const char *lines)
{
    static char text[1 << 15];
    int n = snprintf(text, sizeof text,
                     "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx\r\n"
                     "From: <sip:juliet@example.com>;tag=1\r\nTo: <sip:romeo@example.net>;tag=2\r\n"
                     "Call-ID: c\r\nCSeq: 3 SUBSCRIBE\r\n%sContent-Length: 0\r\n\r\n",
                     lines);
    char *exact = malloc((size_t)n);
    memcpy(exact, text, (size_t)n);
    assert_int_equal(sip_parse(parser, exact, (size_t)n, &m), 0);
    free(exact);
    assert_int_equal(m->defect, 0);
}

static void assert_text(struct span at, const char *wanted)
{
    struct text t = sip_text(m, at);
    if (!text_eq(t, text_of(wanted)))
        fail_msg("\"%.*s\", not \"%s\"", TEXT_ARG(t), wanted);
}

struct wanted {
    const char *realm, *nonce, *opaque;
    enum digest_algorithm algorithm;
    bool proxy, stale, qop;
};

static void assert_challenge(unsigned i, struct wanted w)
{
    assert_true(i < m->n_challenges);
    const struct sip_challenge *c = &m->challenge[i];
    assert_text(c->realm, w.realm);
    assert_text(c->nonce, w.nonce);
    assert_text(c->opaque, w.opaque ? w.opaque : "");
    assert_int_equal(c->algorithm, w.algorithm);
    assert_int_equal(c->proxy, w.proxy);
    assert_int_equal(c->stale, w.stale);
    assert_int_equal(c->qop, w.qop);
}

// RFC 3261 §22.2's and §22.3's challenges, both in one message.
static void one_of_each(void **state)
{
    (void)state;
    parse(
        "WWW-Authenticate: Digest realm=\"biloxi.com\", qop=\"auth,auth-int\",\r\n"
        " nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\r\n"
        " opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n"
        "Proxy-Authenticate: Digest realm=\"atlanta.com\", domain=\"sip:ss1.carrier.com\",\r\n"
        " qop=\"auth\", nonce=\"f84f1cec41e6cbe5aea9c8e88d359\",\r\n"
        " opaque=\"\", stale=FALSE, algorithm=MD5\r\n");
    assert_int_equal(m->n_challenges, 2);
    assert_challenge(0, (struct wanted){.realm = "biloxi.com",
                                        .nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
                                        .opaque = "5ccc069c403ebaf9f0171e9517f40e41",
                                        .algorithm = DIGEST_MD5,
                                        .qop = true});
    assert_challenge(1, (struct wanted){.realm = "atlanta.com",
                                        .nonce = "f84f1cec41e6cbe5aea9c8e88d359",
                                        .algorithm = DIGEST_MD5,
                                        .proxy = true,
                                        .qop = true});
}

// RFC 8760 §2.4: the algorithms come in lines of their own, or behind commas in one.
static void several(void **state)
{
    (void)state;
    parse(
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=SHA-256, qop=auth\r\n"
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"2\", algorithm=md5, qop=auth\r\n");
    assert_int_equal(m->n_challenges, 2);
    assert_challenge(0, (struct wanted){"r", "1", NULL, DIGEST_SHA256, false, false, true});
    assert_challenge(1, (struct wanted){"r", "2", NULL, DIGEST_MD5, false, false, true});
    parse(
        "Proxy-Authenticate: Basic realm=\"b\" , Digest realm=\"a, Digest b\",nonce = \"1\",\r\n"
        "  Negotiate, ,DIGEST algorithm=\"SHA-256-sess\" , nonce=\"2=,\" ,realm=\"\"\r\n");
    assert_int_equal(m->n_challenges, 2);
    assert_challenge(0, (struct wanted){"a, Digest b", "1", NULL, DIGEST_MD5, true, false, false});
    assert_challenge(1, (struct wanted){"", "2=,", NULL, DIGEST_SHA256_SESS, true, false, false});
}

static void values(void **state)
{
    (void)state;
    parse(
        "WWW-Authenticate: Digest REALM=\"a \\\"b\\\" \\\\c\", Nonce=n1, STALE=True,"
        " opaque=\"o\\\"\", x=y, qop=\"auth-int, auth\"\r\n");
    assert_int_equal(m->n_challenges, 1);
    assert_challenge(0, (struct wanted){"a \"b\" \\c", "n1", "o\"", DIGEST_MD5, false, true, true});
}

// What can't be answered is not listed, and harms nothing that can.
static void unanswerable(void **state)
{
    static const char *const bad[] = {
        "Basic realm=\"a\"",
        "Negotiate",
        "",
        ",",
        "Digest",
        "Digest nonce=\"1\"",
        "Digest realm=\"a\"",
        "Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256",
        "Digest realm=\"a\", nonce=\"1\", algorithm=AKAv1-MD5",
        "Digest realm=\"a\", nonce=\"1\", qop=\"auth-int\"",
        "Digest realm=\"a\", nonce=\"1\", qop=\"token\"",
        "Digest realm=\"a\x01\", nonce=\"1\"",
        "Digest realm=\"a\", nonce=\"1\x7f\"",
        "Digest realm=\"a\", nonce=\"1\", opaque=\"\t\"",
    };
    char lines[512];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(lines, sizeof lines, "WWW-Authenticate: %s\r\n", bad[i]);
        parse(lines);
        if (m->n_challenges)
            fail_msg("%s: listed", bad[i]);
        snprintf(lines, sizeof lines,
                 "WWW-Authenticate: %s\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"2\"\r\n",
                 bad[i]);
        parse(lines);
        assert_int_equal(m->n_challenges, 1);
        assert_challenge(0, (struct wanted){"r", "2", NULL, DIGEST_MD5, false, false, false});
    }
}

// SIP_CHALLENGES_MAX, and one past it.
static void too_many(void **state)
{
    char lines[1024] = "", line[128];
    (void)state;
    for (int i = 0; i < SIP_CHALLENGES_MAX + 1; i++) {
        snprintf(line, sizeof line, "WWW-Authenticate: Digest realm=\"r%d\", nonce=\"n\"\r\n", i);
        strcat(lines, line);
    }
    strcat(lines, "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\"\r\n");
    parse(lines);
    assert_int_equal(m->n_challenges, SIP_CHALLENGES_MAX);
    assert_text(m->challenge[0].realm, "r0");
    assert_text(m->challenge[SIP_CHALLENGES_MAX - 1].realm, "r3");
}

static void expect_nonce(size_t n, bool listed)
{
    static char lines[8192];
    int at = snprintf(lines, sizeof lines, "WWW-Authenticate: Digest realm=\"r\", nonce=\"");
    memset(lines + at, 'n', n);
    snprintf(lines + at + n, sizeof lines - (size_t)at - n, "\"\r\n");
    parse(lines);
    assert_int_equal(m->n_challenges, listed);
    if (listed)
        assert_int_equal(m->challenge[0].nonce.n, n);
}

// DIGEST_NONCE_MAX and SIP_VALUE_MAX.
static void too_long(void **state)
{
    (void)state;
    expect_nonce(DIGEST_NONCE_MAX, true);
    expect_nonce(DIGEST_NONCE_MAX + 1, false);
    expect_nonce(SIP_VALUE_MAX, false);
}

// The challenge is read from a message that has moved, as it does between threads.
static void moves(void **state)
{
    (void)state;
    parse("WWW-Authenticate: Digest realm=\"a \\\"b\\\"\", nonce=\"1\"\r\n");
    struct sip_message *copy = malloc(m->size);
    memcpy(copy, m, m->size);
    parse("");
    assert_int_equal(m->n_challenges, 0);
    m = copy;
    assert_challenge(0, (struct wanted){"a \"b\"", "1", NULL, DIGEST_MD5, false, false, false});
    free(copy);
}

static void entity_tags(void **state)
{
    (void)state;
    parse("");
    assert_int_equal(m->etag.n + m->suppress_if_match.n, 0);
    parse("SIP-ETag: ffee2\r\nSuppress-If-Match : b4cf7\r\n");
    assert_text(m->etag, "ffee2");
    assert_text(m->suppress_if_match, "b4cf7");
    parse("sip-etag:\r\n a\r\nSUPPRESS-IF-MATCH: *\r\n");
    assert_text(m->etag, "a");
    assert_text(m->suppress_if_match, "*");
    parse("SIP-ETag: \"a\"\r\nSuppress-If-Match: a, b\r\n"); // no tokens: as if absent
    assert_int_equal(m->etag.n + m->suppress_if_match.n, 0);
}

static int start(void **state)
{
    (void)state;
    return sip_parser_create(&parser, 65536);
}

static int stop(void **state)
{
    (void)state;
    sip_parser_destroy(parser);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_each),  cmocka_unit_test(several),     cmocka_unit_test(values),
        cmocka_unit_test(unanswerable), cmocka_unit_test(too_many),    cmocka_unit_test(too_long),
        cmocka_unit_test(moves),        cmocka_unit_test(entity_tags),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
