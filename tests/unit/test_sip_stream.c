// SIP over TCP, one port on loopback: what comes in whatever pieces, what goes out on which
// connection, and what is unreachable. test_sip_stream_limits.c has the limits and times.
#include "stream_stage.h"

static void there_and_back(const char *host)
{
    struct stage *a = stage_open(host, HOP_TCP, NULL), *b = stage_open(host, HOP_TCP, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        stage_send(a, &b->at, STAGE_REQUEST);
        stage_until(a, b, b->n == i);
        assert_true(text_eq((struct text){b->last.p, b->last.n}, TEXT(STAGE_REQUEST)));
        stage_answer(b, 5060, STAGE_ANSWER);
        stage_until(a, b, a->n == i);
        assert_true(hop_eq(&a->from, &b->at));
    }
    // All on the one connection.
    assert_int_equal(a->count.stream.connected, 1);
    assert_int_equal(b->count.stream.accepted, 1);
    // Requests go the other way on it too: to the very address that it came from.
    struct hop back = b->from;
    stage_send(b, &back, STAGE_REQUEST);
    stage_until(a, b, a->n == 4);
    assert_int_equal(b->count.stream.connected, 0);
    assert_int_equal(a->count.in_bytes, b->count.out_bytes);
    assert_int_equal(b->count.in_bytes, a->count.out_bytes);
    assert_int_equal(a->count.send_failures + b->count.send_failures, 0);
    stage_close(a);
    stage_close(b);
}

static void test_there_and_back(void **state)
{
    (void)state;
    there_and_back("127.0.0.1");
}

static void test_ipv6(void **state)
{
    (void)state;
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd);
    if (!has)
        skip();
    there_and_back("::1");
    // A listener of all IPv6 addresses leaves IPv4's alone.
    struct stage *s = stage_open("::", HOP_TCP, NULL);
    struct hop four = stage_hop("127.0.0.1", s->at.port, HOP_TCP);
    stage_send(s, &four, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->n_lost == 1);
    assert_int_equal(s->count.stream.connect_failures, 1);
    stage_close(s);
}

// Several ports of one address, each of its own shard.
static void test_shared_address(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct port *second;
    struct port_counters count = {0};
    struct sip_stream_setup setup = {.port = {.local = s->at,
                                              .id = SIP_PORT_SHARD(3),
                                              .shared = true,
                                              .message_max = STAGE_MESSAGE_MAX,
                                              .count = &count},
                                     .listen = &s->at,
                                     .n_listen = 1};
    const struct hop *failed;
    assert_int_equal(sip_stream_open(&second, &setup), 0);
    second->ops->close(second);
    setup.port.shared = false;
    setup.failed = &failed;
    assert_int_equal(sip_stream_open(&second, &setup), EADDRINUSE);
    assert_ptr_equal(failed, &s->at);
    stage_close(s);
}

// ---- In ----------------------------------------------------------------------------------------

static void test_pipelined(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct buffer b;
    buffer_init(&b, 0);
    for (unsigned i = 0; i < N; i++) {
        char text[256];
        snprintf(
            text, sizeof text, "NOTIFY sip:a@b SIP/2.0\r\nContent-Length: %u\r\n\r\n%.*s", i % 100,
            (int)(i % 100),
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
            "23456789012345678901234567");
        buffer_text(&b, text_of(text));
    }
    int fd = stage_connect(&s->at);
    for (size_t done = 0; done < b.n;) {
        ssize_t n = send(fd, b.p + done, b.n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        done += n > 0 ? (size_t)n : 0;
        stage_turn(s, 0);
    }
    stage_until(s, STAGE_NONE, s->n == N);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(s->size[i], strlen("NOTIFY sip:a@b SIP/2.0\r\nContent-Length: \r\n\r\n") +
                                         (i % 100 < 10 ? 1 : 2) + i % 100);
    assert_int_equal(s->count.in_bytes, b.n);
    close(fd);
    buffer_free(&b);
    stage_close(s);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    int fd = stage_connect(&s->at);
    static const char text[] = "\r\n\n" STAGE_REQUEST "\r\n" STAGE_REQUEST;
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        stage_write(fd, (struct text){text + i, 1});
        stage_turn(s, 100);
    }
    assert_int_equal(s->n, 2);
    assert_int_equal(s->size[0], strlen(STAGE_REQUEST));
    assert_int_equal(s->size[1], strlen(STAGE_REQUEST));
    close(fd);
    stage_close(s);
}

// The answer that the parser wants said, and then the end; what comes behind is not heard.
static void ends_after(const char *bytes, size_t n, size_t delivered)
{
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    int fd = stage_connect(&s->at);
    stage_write(fd, (struct text){bytes, n});
    stage_write(fd, TEXT("\r\n\r\n" STAGE_REQUEST));
    stage_until(s, STAGE_NONE, s->n == 1);
    assert_int_equal(s->size[0], delivered);
    stage_answer(s, 5060, "SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(stage_expect(s, fd),
                        "SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(stage_expect(s, fd), "closed");
    close(fd);
    stage_until(s, STAGE_NONE, s->count.stream.connections == 0);
    assert_int_equal(s->n, 1);
    stage_close(s);
}

static void test_unframed(void **state)
{
    (void)state;
    static const char missing[] = "OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n";
    static const char bad[] = "OPTIONS sip:a SIP/2.0\r\nl: five\r\n\r\n";
    ends_after(missing, sizeof missing - 1, sizeof missing - 3);
    ends_after(bad, sizeof bad - 1, sizeof bad - 1);
}

static void test_too_large(void **state)
{
    (void)state;
    static char p[3 * STAGE_MESSAGE_MAX];
    int head = snprintf(p, sizeof p, "OPTIONS sip:a SIP/2.0\r\nVia: x\r\nl: %d\r\n\r\n",
                        STAGE_MESSAGE_MAX);
    ends_after(p, (size_t)head, STAGE_MESSAGE_MAX + 1);
    memset(p + head, 'x', sizeof p - (size_t)head);
    ends_after(p, sizeof p, STAGE_MESSAGE_MAX + 1);
    // One that is not too large yet.
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    int fd = stage_connect(&s->at);
    head = snprintf(p, sizeof p, "OPTIONS sip:a SIP/2.0\r\nVia: x\r\nl: %04d\r\n\r\n", 0);
    snprintf(p, sizeof p, "OPTIONS sip:a SIP/2.0\r\nVia: x\r\nl: %d\r\n\r\n",
             STAGE_MESSAGE_MAX - head);
    memset(p + head, 'x', sizeof p - (size_t)head);
    stage_write(fd, (struct text){p, STAGE_MESSAGE_MAX});
    stage_write(fd, TEXT(STAGE_REQUEST));
    stage_until(s, STAGE_NONE, s->n == 2);
    assert_int_equal(s->size[0], STAGE_MESSAGE_MAX);
    assert_int_equal(s->count.oversized, 0);
    close(fd);
    stage_close(s);
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const words[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x01", "<x>"};
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    for (size_t i = 0; i < 3; i++) {
        int fd = stage_connect(&s->at);
        stage_write(fd, text_of(words[i]));
        assert_string_equal(stage_expect(s, fd), "closed");
        close(fd);
        assert_int_equal(s->count.stream.garbage, i + 1);
    }
    assert_int_equal(s->n, 0);
    stage_close(s);
}

// RFC 5626 §4.4.1: a ping, in pieces, among messages, gets its pong; single line ends get nothing.
static void test_ping(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    int fd = stage_connect(&s->at);
    stage_write(fd, TEXT("\r\n\r\n"));
    assert_string_equal(stage_expect(s, fd), "\r\n");
    stage_write(fd, TEXT("\r\n\r"));
    stage_turn(s, 100);
    stage_turn(s, 10);
    assert_string_equal(stage_read(fd), "");
    stage_write(fd, TEXT("\n"));
    assert_string_equal(stage_expect(s, fd), "\r\n");
    stage_write(fd, TEXT("\r\n" STAGE_REQUEST "\r\n" STAGE_REQUEST "\n\n\r\r"));
    stage_until(s, STAGE_NONE, s->n == 2);
    stage_turn(s, 10);
    assert_string_equal(stage_read(fd), "");
    close(fd);
    stage_close(s);
}

// ---- Out ---------------------------------------------------------------------------------------

// A peer that has said its last word and listens on (RFC 3261 does not forbid it) gets its answer.
static void test_half_closed(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    int fd = stage_connect(&s->at);
    stage_write(fd, TEXT(STAGE_REQUEST));
    shutdown(fd, SHUT_WR);
    stage_until(s, STAGE_NONE, s->n == 1);
    stage_turn(s, 20);
    stage_answer(s, stage_nobody("127.0.0.1", HOP_TCP).port, STAGE_ANSWER);
    assert_string_equal(stage_expect(s, fd), STAGE_ANSWER);
    assert_string_equal(stage_expect(s, fd), "closed");
    assert_int_equal(s->count.stream.connect_failures, 0);
    close(fd);
    stage_close(s);
}

// RFC 3261 §18.2.2: the connection is gone, before the answer is there or while it is under way.
static void answer_reaches(bool at_once)
{
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop at;
    int listener = stage_listen("127.0.0.1", 1, &at), fd = stage_connect(&s->at);
    stage_write(fd, TEXT(STAGE_REQUEST));
    if (at_once)
        close(fd);
    stage_until(s, STAGE_NONE, s->n == 1);
    if (!at_once) {
        close(fd);
        stage_turn(s, 20);
        stage_until(s, STAGE_NONE, s->count.stream.connections == 0);
    }
    stage_answer(s, at.port, STAGE_ANSWER);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_string_equal(stage_expect(s, fd), STAGE_ANSWER);
    assert_int_equal(s->n_lost, 0);
    close(fd);
    close(listener);
    stage_close(s);
}

static void test_answer_to_who_is_gone(void **state)
{
    (void)state;
    answer_reaches(true);
    answer_reaches(false);
}

// An answer that is there before the port has read on, and sees that the peer has said its last
// word: whether the peer still listens, or is gone.
static void answer_comes_at_once(bool listens)
{
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop at;
    int listener = stage_listen("127.0.0.1", 1, &at), fd = stage_connect(&s->at);
    s->answers_to = at.port;
    stage_write(fd, TEXT(STAGE_REQUEST STAGE_REQUEST));
    shutdown(fd, SHUT_WR);
    if (!listens)
        close(fd);
    stage_until(s, STAGE_NONE, s->n == 2);
    if (!listens) {
        stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
        fd = accept(listener, NULL, NULL);
    }
    assert_string_equal(stage_expect(s, fd), STAGE_ANSWER STAGE_ANSWER);
    assert_int_equal(s->count.send_failures, 0);
    close(fd);
    close(listener);
    stage_close(s);
}

static void test_answer_at_once(void **state)
{
    (void)state;
    answer_comes_at_once(true);
    answer_comes_at_once(false);
}

static void test_refused(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop nobody = stage_nobody("127.0.0.1", HOP_TCP);
    stage_send(s, &nobody, STAGE_REQUEST);
    stage_send(s, &nobody, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->n_lost == 1);
    assert_true(hop_eq(&s->lost, &nobody));
    assert_int_equal(s->count.stream.connect_failures, 1);
    assert_int_equal(s->count.send_failures, 2);
    // An answer that can't be given is nobody's loss.
    s->from = stage_hop("127.0.0.1", 1, HOP_TCP);
    stage_answer(s, nobody.port, STAGE_ANSWER);
    stage_until(s, STAGE_NONE, s->count.stream.connect_failures == 2);
    stage_turn(s, 20);
    assert_int_equal(s->n_lost, 1);
    // A hop that can't be tried at all.
    struct hop nowhere = stage_hop("255.255.255.255", 5060, HOP_TCP);
    stage_send(s, &nowhere, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->n_lost == 2);
    assert_true(hop_eq(&s->lost, &nowhere));
    nowhere = stage_hop("127.0.0.1", 5061, HOP_TLS); // without TLS
    stage_send(s, &nowhere, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->n_lost == 3);
    stage_close(s);
}

// Closed by the peer: with nothing asked nobody cares, and the next request opens a new one; with a
// question open, the hop is unreachable.
static void test_closed_by_peer(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop at;
    int listener = stage_listen("127.0.0.1", 8, &at);
    for (unsigned i = 1; i <= 3; i++) {
        stage_send(s, &at, STAGE_REQUEST);
        stage_until(s, STAGE_NONE, s->count.stream.connected == i);
        int fd = accept(listener, NULL, NULL);
        assert_string_equal(stage_expect(s, fd), STAGE_REQUEST);
        stage_write(fd, TEXT("SIP/2.0 100 Trying\r\nl: 0\r\n\r\n"));
        if (i < 3)
            stage_write(fd, TEXT(STAGE_ANSWER));
        close(fd);
        stage_until(s, STAGE_NONE, s->count.stream.connections == 0);
        stage_turn(s, 0);
        assert_int_equal(s->n_lost, i == 3);
    }
    assert_int_equal(s->n, 5);
    assert_true(hop_eq(&s->lost, &at));
    close(listener);
    stage_close(s);
}

static void test_reset(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop at;
    struct linger now = {.l_onoff = 1};
    int listener = stage_listen("127.0.0.1", 8, &at);
    stage_send(s, &at, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
    int fd = accept(listener, NULL, NULL);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    stage_until(s, STAGE_NONE, s->n_lost == 1);
    assert_int_equal(s->count.stream.broken, 1);
    close(listener);
    stage_close(s);
}

// More than select() can count, and no buffer is kept by who says nothing.
static void test_many(void **state)
{
    (void)state;
    enum { MANY = 1100 };
    static int fd[MANY];
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    sip_stream_tuning.per_address_max = MANY;
    sip_stream_tuning.tick_ms = 10;
    for (unsigned i = 0; i < MANY; i++) {
        fd[i] = stage_connect(&s->at);
        stage_write(fd[i], TEXT(STAGE_REQUEST));
        stage_turn(s, 0);
    }
    stage_until(s, STAGE_NONE, s->n == MANY);
    stage_answer(s, 5060, STAGE_ANSWER);
    assert_int_equal(s->count.stream.accepted, MANY);
    struct sip_stream *stream = sip_stream_of(s->port);
    unsigned buffers;
    do {
        stage_turn(s, 20);
        buffers = 0;
        for (struct sip_stream_peer *c = stream->all; c; c = c->after)
            buffers += c->in.p || c->out.p;
    } while (buffers);
    for (unsigned i = 0; i < MANY; i++)
        close(fd[i]);
    stage_until(s, STAGE_NONE, s->count.stream.connections == 0);
    stage_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_before, stage_after)
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back), TEST(test_ipv6),         TEST(test_shared_address),
        TEST(test_pipelined),      TEST(test_byte_by_byte), TEST(test_unframed),
        TEST(test_too_large),      TEST(test_garbage),      TEST(test_ping),
        TEST(test_half_closed),    TEST(test_refused),      TEST(test_answer_to_who_is_gone),
        TEST(test_closed_by_peer), TEST(test_reset),        TEST(test_many),
        TEST(test_answer_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
