// SIP over TLS: whom a certificate names, who is believed, and what becomes of a bad handshake.
#include "stream_stage.h"

#include <ftw.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "../certificates.h"

static char dir[] = "/tmp/isthmus-tls-XXXXXX";

static int make_certificates(void **state)
{
    (void)state;
    certificate_must(mkdtemp(dir) != NULL);
    struct certificate ca = certificate_make(NULL, NULL, 10);
    certificate_write(certificate_make(&ca, "DNS:example.net,DNS:sip.example.org", 10), dir, "dns");
    certificate_write(certificate_make(&ca, "URI:sip:example.net", 10), dir, "uri");
    certificate_write(certificate_make(&ca, "URI:sip:romeo@example.net", 10), dir, "user");
    certificate_write(certificate_make(&ca, "IP:127.0.0.1", 10), dir, "ip");
    certificate_write(certificate_make(&ca, "DNS:*.example.net", 10), dir, "wild");
    certificate_write(certificate_make(&ca, "DNS:example.net", -1), dir, "expired");
    certificate_write(certificate_make(NULL, "DNS:example.net", 10), dir, "own");
    certificate_write(certificate_make(&ca, "DNS:gw.example.net", 10), dir, "client");
    certificate_write(ca, dir, "ca");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int remove_certificates(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(char out[128], const char *name, const char *kind)
{
    snprintf(out, 128, "%s/%s.%s", dir, name, kind);
    return *name ? out : "";
}

static int tls_create(struct sip_tls **out, const char *name, const char *ca, bool verify_client,
                      struct sip_tls_error *why)
{
    char certificate[128], key[128], authority[128];
    struct sip_tls_files files = {.certificate = path_of(certificate, name, "pem"),
                                  .private_key = path_of(key, name, "key"),
                                  .ca = path_of(authority, ca, "pem"),
                                  .verify_client = verify_client};
    return sip_tls_create(out, &files, why);
}

static struct sip_tls *tls(const char *name, const char *ca, bool verify_client)
{
    struct sip_tls *t;
    struct sip_tls_error why;
    if (tls_create(&t, name, ca, verify_client, &why))
        fail_msg("%s: %s", sip_tls_key_text(why.key), why.text);
    return t;
}

static void send_to(struct stage *s, const struct hop *to, const char *name, const char *text)
{
    struct port_way way = {.to = *to, .server_name = text_of(name)};
    s->port->ops->send(s->port, &way, text_of(text));
}

// A client that shows `client` asks a server that shows `server` for `name`. True: it is heard, and
// gets its answer; false: the server is unreachable.
struct meeting {
    const char *server, *client, *name;
    bool verify_client, heard;
};

static void meet(const struct meeting *m)
{
    struct sip_tls *at = tls(m->client, "ca", false), *bt = tls(m->server, "ca", m->verify_client);
    struct stage *a = stage_open("127.0.0.1", HOP_TCP, at),
                 *b = stage_open("127.0.0.1", HOP_TLS, bt);
    send_to(a, &b->at, m->name, STAGE_REQUEST);
    stage_until(a, b, b->n || a->n_lost);
    if ((b->n == 1) != m->heard)
        fail_msg("%s, %s, %s", m->server, m->client, m->name);
    if (m->heard) {
        stage_answer(b, 5061, STAGE_ANSWER);
        stage_until(a, b, a->n == 1);
        send_to(a, &b->at, m->name, STAGE_REQUEST); // on the same connection
        stage_until(a, b, b->n == 2);
        assert_int_equal(b->count.stream.accepted, 1);
        assert_int_equal(a->count.stream.tls_failures + b->count.stream.tls_failures, 0);
    } else {
        assert_true(hop_eq(&a->lost, &b->at));
        assert_int_equal(a->count.send_failures, m->verify_client ? 0 : 1);
        assert_int_equal(b->n, 0);
        stage_until(a, b, b->count.stream.connections == 0);
    }
    stage_close(a);
    stage_close(b);
    sip_tls_destroy(at);
    sip_tls_destroy(bt);
}

static void test_names(void **state)
{
    (void)state;
    static const struct meeting all[] = {
        {"dns", "", "example.net", false, true},
        {"dns", "", "EXAMPLE.net", false, true},
        {"dns", "", "sip.example.org", false, true},
        {"dns", "", "example.com", false, false},
        {"dns", "", "sub.example.net", false, false},
        {"dns", "", "", false, false},           // it names no address
        {"uri", "", "example.net", false, true}, // RFC 5922 §7.1
        {"uri", "", "example.com", false, false},
        {"user", "", "example.net", false, false}, // a user is no domain
        {"ip", "", "", false, true},
        {"ip", "", "127.0.0.1", false, false},         // as a name, it is none
        {"wild", "", "sip.example.net", false, false}, // RFC 5922 §7.2
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        meet(&all[i]);
}

static void test_beliefs(void **state)
{
    (void)state;
    static const struct meeting all[] = {
        {"expired", "", "example.net", false, false},
        {"own", "", "example.net", false, false},
        {"dns", "client", "example.net", true, true},
        {"dns", "client", "example.net", false, true}, // not asked for
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        meet(&all[i]);
}

// In TLS 1.3 a client is done before its certificate is looked at: it may say its request, which is
// not heard, and then it is told.
static void test_client_is_refused(void **state)
{
    (void)state;
    static const struct meeting all[] = {
        {"dns", "", "example.net", true, false},
        {"dns", "own", "example.net", true, false},
        {"dns", "expired", "example.net", true, false},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        meet(&all[i]);
}

// A connection of one server name is none of another's, though both are at one address.
static void test_one_connection_for_each_name(void **state)
{
    (void)state;
    struct sip_tls *t = tls("dns", "ca", false);
    struct stage *a = stage_open("127.0.0.1", HOP_TCP, t), *b = stage_open("127.0.0.1", HOP_TLS, t);
    for (unsigned i = 0; i < 4; i++)
        send_to(a, &b->at, i % 2 ? "example.net" : "sip.example.org", STAGE_REQUEST);
    stage_until(a, b, b->n == 4);
    assert_int_equal(b->count.stream.accepted, 2);
    stage_close(a);
    stage_close(b);
    sip_tls_destroy(t);
}

// Requests go to whoever connected only if he has shown that he is meant.
static void test_requests_to_a_client(void **state)
{
    (void)state;
    for (int shown = 0; shown <= 1; shown++) {
        struct sip_tls *at = tls("client", "ca", false), *bt = tls("dns", "ca", shown);
        struct stage *a = stage_open("127.0.0.1", HOP_TCP, at);
        struct stage *b = stage_open("127.0.0.1", HOP_TLS, bt);
        send_to(a, &b->at, "example.net", STAGE_REQUEST);
        stage_until(a, b, b->n == 1);
        send_to(b, &b->from, "gw.example.net", STAGE_REQUEST);
        stage_until(a, b, a->n == 1 || b->n_lost == 1);
        assert_int_equal(a->n, shown);
        stage_close(a);
        stage_close(b);
        sip_tls_destroy(at);
        sip_tls_destroy(bt);
    }
}

// Several records in each direction, and answers behind a connection that is gone.
static void test_much(void **state)
{
    (void)state;
    enum { N = 500 };
    struct sip_tls *t = tls("dns", "ca", false);
    struct stage *a = stage_open("127.0.0.1", HOP_TCP, t), *b = stage_open("127.0.0.1", HOP_TLS, t);
    static char message[STAGE_MESSAGE_MAX];
    int head = snprintf(message, sizeof message, "OPTIONS sip:a SIP/2.0\r\nl: 3000\r\n\r\n");
    memset(message + head, 'x', 3000);
    for (unsigned i = 0; i < N; i++) {
        send_to(a, &b->at, "example.net", message);
        if (i % 100 == 99)
            stage_until(a, b, b->n == i + 1);
    }
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(b->size[i], head + 3000);
    for (unsigned i = 0; i < N; i++) {
        stage_answer(b, 5061, STAGE_ANSWER);
        if (i % 100 == 99)
            stage_until(a, b, a->n == i + 1);
    }
    assert_int_equal(a->count.in_bytes, N * strlen(STAGE_ANSWER));
    stage_close(a);
    stage_close(b);
    sip_tls_destroy(t);
}

// Says nothing, or stops in the middle: a listener and a server that we want something from.
static void test_handshakes_that_do_not_end(void **state)
{
    (void)state;
    sip_stream_tuning.tick_ms = 10;
    sip_stream_tuning.handshake_ms = 150;
    struct sip_tls *t = tls("dns", "ca", false);
    struct stage *s = stage_open("127.0.0.1", HOP_TLS, t);
    struct hop at;
    int mute = stage_connect(&s->at), half = stage_connect(&s->at);
    int listener = stage_listen("127.0.0.1", 1, &at);
    at.transport = HOP_TLS;
    stage_write(half, TEXT("\x16\x03\x01\x02"));
    send_to(s, &at, "example.net", STAGE_REQUEST);
    uint64_t begin_ms = stage_ms();
    stage_until(s, STAGE_NONE, s->count.stream.handshake_timeouts == 3);
    assert_in_range(stage_ms() - begin_ms, 140, 2000);
    assert_string_equal(stage_expect(s, mute), "closed");
    stage_until(s, STAGE_NONE, s->n_lost == 1);
    assert_true(hop_eq(&s->lost, &at));
    close(mute);
    close(half);
    close(listener);
    stage_close(s);
    sip_tls_destroy(t);
}

// One more than there may be is refused, as the others have just begun; a while later the oldest
// makes place.
static void test_too_many_handshakes(void **state)
{
    (void)state;
    sip_stream_tuning.handshakes_max = 2;
    sip_stream_tuning.yield_first_ms = 100;
    struct sip_tls *t = tls("dns", "ca", false);
    struct stage *s = stage_open("127.0.0.1", HOP_TLS, t);
    int mute[4];
    for (int i = 0; i < 2; i++) {
        mute[i] = stage_connect(&s->at);
        stage_until(s, STAGE_NONE, s->count.stream.handshakes == (uint64_t)i + 1);
    }
    assert_int_equal(s->count.stream.handshakes_full, 0);
    mute[2] = stage_connect(&s->at);
    assert_string_equal(stage_expect(s, mute[2]), "closed");
    assert_int_equal(s->count.stream.handshakes_full, 1);
    usleep(100000);
    mute[3] = stage_connect(&s->at);
    assert_string_equal(stage_expect(s, mute[0]), "closed");
    assert_int_equal(s->count.stream.handshakes_full, 2);
    assert_int_equal(s->count.stream.handshakes, 2);
    assert_int_equal(s->count.stream.connections, 2);
    close(mute[1]);
    stage_until(s, STAGE_NONE, s->count.stream.handshakes == 1);
    sip_stream_tuning.handshakes_max = SIP_STREAM_HANDSHAKES_MAX;
    sip_stream_tuning.yield_first_ms = SIP_STREAM_YIELD_FIRST_MS;
    for (int i = 0; i < 4; i++)
        if (i != 1)
            close(mute[i]);
    stage_close(s);
    sip_tls_destroy(t);
}

static void test_no_tls_at_all(void **state)
{
    (void)state;
    struct sip_tls *t = tls("dns", "ca", false);
    struct stage *s = stage_open("127.0.0.1", HOP_TLS, t);
    int fd = stage_connect(&s->at);
    stage_write(fd, TEXT(STAGE_REQUEST));
    stage_until(s, STAGE_NONE, s->count.stream.tls_failures == 1);
    close(fd);
    stage_close(s);
    sip_tls_destroy(t);
}

// A client of another hand, that speaks `version` at most.
static bool old_client_is_taken(struct stage *s, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
    SSL *ssl = SSL_new(ctx);
    int fd = stage_connect(&s->at), done = 0;
    struct timeval soon = {.tv_usec = 2000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    SSL_set_fd(ssl, fd);
    uint64_t failed = s->count.stream.tls_failures;
    while (done != 1 && s->count.stream.tls_failures == failed) {
        done = SSL_connect(ssl);
        stage_turn(s, 2);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    return done == 1;
}

static void test_versions(void **state)
{
    (void)state;
    struct sip_tls *t = tls("dns", "ca", false);
    struct stage *s = stage_open("127.0.0.1", HOP_TLS, t);
    assert_true(old_client_is_taken(s, TLS1_3_VERSION));
    assert_true(old_client_is_taken(s, TLS1_2_VERSION));
    assert_false(old_client_is_taken(s, TLS1_1_VERSION));
    stage_until(s, STAGE_NONE, s->count.stream.connections == 0);
    stage_close(s);
    sip_tls_destroy(t);
}

// ---- Files -------------------------------------------------------------------------------------

static void refused(const char *certificate, const char *key, const char *ca, const char *wanted)
{
    struct sip_tls *t;
    struct sip_tls_error why;
    char a[128], b[128], c[128], said[512];
    struct sip_tls_files files = {.certificate = path_of(a, certificate, "pem"),
                                  .private_key = path_of(b, key, "key"),
                                  .ca = path_of(c, ca, "pem")};
    assert_int_equal(sip_tls_create(&t, &files, &why), EINVAL);
    assert_null(t);
    snprintf(said, sizeof said, "%s: %s", sip_tls_key_text(why.key), why.text);
    if (!strstr(said, wanted))
        fail_msg("not \"%s\" but \"%s\"", wanted, said);
}

static void test_files(void **state)
{
    (void)state;
    char path[128];
    FILE *f = fopen(path_of(path, "empty", "pem"), "w");
    fclose(f);
    refused("none", "dns", "", "certificate: can't use \"/tmp/isthmus-tls-");
    refused("none", "dns", "", "No such file or directory");
    refused("empty", "dns", "", "certificate: can't use");
    refused("dns", "none", "", "private_key: can't use");
    refused("dns", "ip", "", "private_key: can't use");
    refused("dns", "ip", "", "key values mismatch");
    refused("dns", "dns", "none", "ca: can't use");
    refused("dns", "dns", "empty", "ca: can't use");
    refused("dns", "", "", "private_key: is missing");
    refused("", "dns", "", "certificate: is missing");
    struct sip_tls *t = tls("", "", false); // for connections that we open, by the system's ca
    assert_false(sip_tls_can_accept(t));
    struct port *p;
    struct port_counters count = {0};
    struct hop at = stage_nobody("127.0.0.1", HOP_TLS);
    struct sip_stream_setup setup = {.port = {.local = at, .message_max = 1000, .count = &count},
                                     .listen = &at,
                                     .n_listen = 1,
                                     .tls = t};
    assert_int_equal(sip_stream_open(&p, &setup), EPROTONOSUPPORT);
    sip_tls_destroy(t);
}

// One read takes no more than one key update, though many wait: others want to be read too.
static void test_key_updates(void **state)
{
    (void)state;
    int pair[2], before, after;
    char byte;
    struct sip_tls *t = tls("ip", "ca", false);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct sip_tls_session *s = sip_tls_accept(t, pair[0]);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, pair[1]);
    for (bool done = false; !done;) {
        bool connected = SSL_connect(ssl) == 1;
        done = sip_tls_handshake(s) == 0 && connected;
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(ssl), 1);
    }
    ioctl(pair[0], FIONREAD, &before);
    assert_int_equal(sip_tls_read(s, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    ioctl(pair[0], FIONREAD, &after);
    assert_in_range(after, before - 100, before - 1);
    assert_int_equal(SSL_write(ssl, "x", 1), 1); // what comes behind them comes
    for (int i = 0; i < 200 && sip_tls_read(s, &byte, 1) != 1; i++)
        assert_int_equal(errno, EAGAIN);
    assert_int_equal(byte, 'x');
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    sip_tls_end(s);
    sip_tls_destroy(t);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_before, stage_after)
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_beliefs),
        TEST(test_client_is_refused),
        TEST(test_one_connection_for_each_name),
        TEST(test_requests_to_a_client),
        TEST(test_much),
        TEST(test_handshakes_that_do_not_end),
        TEST(test_too_many_handshakes),
        TEST(test_no_tls_at_all),
        TEST(test_versions),
        TEST(test_files),
        TEST(test_key_updates),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
