// The memory of challenges: which of them are worth answering, and with what (RFC 3261 §22.2,
// RFC 7616 §3.3, RFC 8760 §2.4).
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/credentials.h"

static const struct core_realm realms[] = {
    {{"verona", 6}, {"gateway", 7}, {"sycamore", 8}},
    {{"mantua", 6}, {"gateway", 7}, {"apothecary", 10}},
};

struct desk {
    struct credentials *k;
    struct hash_random random;
    struct hop hop;
    struct credentials_tried tried;
    struct buffer b;
    struct sip_message *m; // the challenges
};

static void desk_open(struct desk *d)
{
    *d = (struct desk){0};
    assert_int_equal(credentials_create(&d->k, realms, 2), 0);
    assert_int_equal(credentials_count(d->k), 2);
    hash_random_init(&d->random, 1, 0);
    assert_int_equal(hop_parse(&d->hop, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    buffer_init(&d->b, 0);
    d->m = calloc(1, sizeof *d->m + 4096);
    assert_non_null(d->m);
    d->m->size = sizeof *d->m;
}

static void desk_close(struct desk *d)
{
    credentials_destroy(d->k);
    buffer_free(&d->b);
    free(d->m);
}

static struct span put(struct sip_message *m, const char *z)
{
    struct span at = {m->size - (uint32_t)sizeof *m, (uint32_t)strlen(z)};
    assert_true(at.off + at.n < 4096);
    memcpy(m->text + at.off, z, at.n);
    m->size += at.n;
    return at;
}

// The next message of challenges begins.
static void fresh(struct desk *d)
{
    d->m->n_challenges = 0;
    d->m->size = sizeof *d->m;
}

static struct sip_challenge *says(struct desk *d, const char *realm, const char *nonce)
{
    struct sip_challenge *ch = &d->m->challenge[d->m->n_challenges++];
    assert_true(d->m->n_challenges <= SIP_CHALLENGES_MAX);
    *ch = (struct sip_challenge){
        .realm = put(d->m, realm), .nonce = put(d->m, nonce), .algorithm = DIGEST_MD5, .qop = true};
    return ch;
}

static struct sip_challenge *alone(struct desk *d, const char *realm, const char *nonce)
{
    fresh(d);
    return says(d, realm, nonce);
}

static bool challenged(struct desk *d)
{
    return credentials_challenged(d->k, &d->hop, d->m, &d->tried);
}

// What goes along with the next request, as one string.
static const char *lines(struct desk *d)
{
    buffer_reset(&d->b);
    credentials_write(d->k, &d->random, &d->hop, TEXT("SUBSCRIBE"), TEXT("sip:romeo@example.net"),
                      &d->tried, &d->b);
    buffer_char(&d->b, 0);
    assert_false(d->b.failed);
    return d->b.p;
}

static void next_request(struct desk *d)
{
    d->tried = (struct credentials_tried){0};
}

static unsigned count(const char *all, const char *what)
{
    unsigned n = 0;
    for (; (all = strstr(all, what)); all++)
        n++;
    return n;
}

static void answers_and_remembers(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    assert_string_equal(lines(&d), ""); // nobody has asked
    alone(&d, "verona", "n1")->opaque = put(d.m, "op");
    assert_true(challenged(&d));
    const char *line = lines(&d);
    assert_int_equal(count(line, "\r\n"), 1);
    assert_ptr_equal(strstr(line, "Authorization: Digest "), line);
    assert_non_null(strstr(line, "username=\"gateway\""));
    assert_non_null(strstr(line, "nonce=\"n1\""));
    assert_non_null(strstr(line, "opaque=\"op\""));
    assert_non_null(strstr(line, "nc=00000001"));
    next_request(&d); // the next one need not be challenged
    assert_non_null(strstr(lines(&d), "nc=00000002"));
    struct hop other = d.hop;
    other.port++;
    d.hop = other;
    assert_string_equal(lines(&d), ""); // it is nobody else's business
    desk_close(&d);
}

// RFC 3261 §22.2: not again with what has just been rejected.
static void wrong_ends_after_one_try(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    alone(&d, "verona", "n1");
    assert_true(challenged(&d));
    lines(&d);
    alone(&d, "verona", "n2");
    assert_false(challenged(&d));
    next_request(&d); // at another time, with the newer nonce: some never say that one is stale
    assert_non_null(strstr(lines(&d), "nonce=\"n2\""));
    assert_false(challenged(&d));
    desk_close(&d);
}

static void stale_is_tried_once_more(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    alone(&d, "verona", "n1");
    assert_true(challenged(&d));
    lines(&d);
    next_request(&d);
    lines(&d); // later, with the old nonce
    alone(&d, "verona", "n2")->stale = true;
    assert_true(challenged(&d));
    assert_non_null(strstr(lines(&d), "nonce=\"n2\""));
    assert_non_null(strstr(lines(&d), "nc=00000002"));
    alone(&d, "verona", "n3")->stale = true;
    assert_false(challenged(&d)); // whoever calls each nonce stale is not served for ever
    desk_close(&d);
}

static void foreign_realms_are_left_alone(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    alone(&d, "Verona", "n1"); // as it is, RFC 7616 §3.3
    assert_false(challenged(&d));
    fresh(&d);
    assert_false(challenged(&d)); // Basic, or nothing that we can do
    assert_string_equal(lines(&d), "");
    alone(&d, "padua", "n1");
    says(&d, "verona", "n1");
    assert_true(challenged(&d)); // one of the two
    assert_int_equal(count(lines(&d), "\r\n"), 1);
    desk_close(&d);
}

// A proxy first, and the server behind it then: RFC 3261 §22.3.
static void proxy_and_server(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    alone(&d, "verona", "p1")->proxy = true;
    assert_true(challenged(&d));
    assert_int_equal(count(lines(&d), "Proxy-Authorization: Digest"), 1);
    alone(&d, "mantua", "s1");
    assert_true(challenged(&d));
    const char *both = lines(&d);
    assert_int_equal(count(both, "Authorization: Digest"), 2);
    assert_int_equal(count(both, "Proxy-Authorization: Digest"), 1);
    assert_int_equal(count(both, "realm=\"mantua\""), 1);
    alone(&d, "verona", "s2"); // the same realm, as a server: another challenge
    assert_true(challenged(&d));
    assert_int_equal(count(lines(&d), "Authorization: Digest"), 3);
    alone(&d, "mantua", "s3");
    assert_false(challenged(&d)); // that one has gone along
    desk_close(&d);
}

static void the_strongest_counts(void **state)
{
    (void)state;
    static const uint8_t algorithms[][3] = {
        {DIGEST_MD5, DIGEST_SHA256, DIGEST_MD5_SESS},
        {DIGEST_SHA256, DIGEST_SHA256_SESS, DIGEST_MD5},
        {DIGEST_MD5, DIGEST_MD5_SESS, DIGEST_SHA256},
    };
    for (int i = 0; i < 3; i++) {
        struct desk d;
        desk_open(&d);
        for (int k = 0; k < 3; k++) {
            char nonce[16];
            snprintf(nonce, sizeof nonce, "n%d", k);
            says(&d, "verona", nonce)->algorithm = algorithms[i][k];
        }
        assert_true(challenged(&d));
        const char *line = lines(&d);
        assert_int_equal(count(line, "Authorization"), 1);
        assert_non_null(strstr(line, "algorithm=SHA-256,"));
        desk_close(&d);
    }
}

// Another request has learnt a newer nonce while this one was on its way.
static void two_at_once(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    alone(&d, "verona", "n1");
    assert_true(challenged(&d));
    lines(&d);
    struct credentials_tried first = d.tried;
    alone(&d, "verona", "n2")->stale = true;
    assert_true(challenged(&d));
    d.tried = first;
    alone(&d, "verona", "n3"); // no word of stale, but n2 has not been tried with it
    assert_true(challenged(&d));
    assert_non_null(strstr(lines(&d), "nonce=\"n3\""));
    desk_close(&d);
}

// One past each limit.
static void limits(void **state)
{
    (void)state;
    struct desk d;
    struct core_realm many[CORE_REALMS_MAX + 1] = {{{0}, {0}, {0}}};
    struct credentials *k;
    assert_int_equal(credentials_create(&k, many, CORE_REALMS_MAX + 1), EMSGSIZE);
    assert_int_equal(credentials_create(&k, many, CORE_REALMS_MAX), 0);
    credentials_destroy(k);
    desk_open(&d);
    for (unsigned i = 0; i <= CREDENTIALS_NONCES_MAX; i++) { // the first one makes room
        d.hop.port = (uint16_t)(1000 + i);
        alone(&d, "verona", "n1");
        next_request(&d);
        assert_true(challenged(&d));
    }
    d.hop.port = 1000;
    assert_string_equal(lines(&d), "");
    d.hop.port = 1001;
    assert_int_equal(count(lines(&d), "\r\n"), 1);
    for (unsigned i = 0; i < CREDENTIALS_NONCES_MAX; i++) { // whoever forgets what we have sent
        d.hop.port = (uint16_t)(3000 + i);
        alone(&d, "verona", "n1");
        next_request(&d);
        assert_true(challenged(&d));
    }
    char nonce[DIGEST_NONCE_MAX + 2];
    memset(nonce, 'n', sizeof nonce);
    nonce[DIGEST_NONCE_MAX + 1] = 0;
    next_request(&d);
    alone(&d, "verona", nonce);
    assert_false(challenged(&d));
    nonce[DIGEST_NONCE_MAX] = 0;
    alone(&d, "verona", nonce);
    d.hop.port = 999;
    assert_true(challenged(&d));
    for (unsigned i = 1; i < CREDENTIALS_TRIES_MAX; i++) { // always news, and never enough
        d.hop.port = (uint16_t)(900 + i);
        assert_true(challenged(&d));
    }
    d.hop.port = 800;
    assert_false(challenged(&d));
    desk_close(&d);
}

// The count of challenges wraps, and what is known goes on to be of use.
static void the_count_wraps(void **state)
{
    (void)state;
    struct desk d;
    desk_open(&d);
    for (unsigned i = 0; i < 70000; i++) {
        alone(&d, "verona", "n1")->stale = true;
        next_request(&d);
        lines(&d);
        assert_true(challenged(&d));
        lines(&d);
        alone(&d, "verona", "n2");
        if (i % 1000 == 0)
            assert_false(challenged(&d));
    }
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_remembers),
        cmocka_unit_test(wrong_ends_after_one_try),
        cmocka_unit_test(stale_is_tried_once_more),
        cmocka_unit_test(foreign_realms_are_left_alone),
        cmocka_unit_test(proxy_and_server),
        cmocka_unit_test(the_strongest_counts),
        cmocka_unit_test(two_at_once),
        cmocka_unit_test(limits),
        cmocka_unit_test(the_count_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
