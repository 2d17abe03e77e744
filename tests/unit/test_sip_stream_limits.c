// The limits of SIP over TCP, each with one past it, and its times, shortened.
#include "stream_stage.h"

// It is closed, and counted as that; `n` of it by now.
#define assert_ended(s, fd, counter, times)                                                        \
    do {                                                                                           \
        assert_string_equal(stage_expect((s), (fd)), "closed");                                    \
        assert_int_equal((s)->count.stream.counter, (times));                                      \
    } while (0)

static void test_connections(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop at;
    int fd[4], listener = stage_listen("127.0.0.1", 8, &at);
    sip_stream_tuning.connections_max = 4;
    sip_stream_tuning.reserved = 1;
    for (int i = 0; i < 3; i++)
        fd[i] = stage_connect(&s->at);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 3);
    fd[3] = stage_connect(&s->at);
    assert_ended(s, fd[3], refused_full, 1);
    // There is room for one of ours still, and not for another; but that is no fault of its peer.
    stage_send(s, &at, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
    struct hop other = stage_nobody("127.0.0.1", HOP_TCP);
    stage_send(s, &other, STAGE_REQUEST);
    stage_turn(s, 20);
    assert_int_equal(s->count.stream.refused_full, 2);
    assert_int_equal(s->count.send_failures, 1);
    assert_int_equal(s->n_lost, 0);
    close(fd[3]);
    close(fd[0]);
    close(fd[1]);
    stage_until(s, STAGE_NONE, s->count.stream.connections == 2);
    fd[3] = stage_connect(&s->at);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 4);
    for (int i = 2; i < 4; i++)
        close(fd[i]);
    close(listener);
    stage_close(s);
}

static int connect_from(const char *host, const struct hop *to)
{
    struct sockaddr_storage a;
    struct hop from = stage_hop(host, 0, HOP_TCP);
    socklen_t n = sip_stream_to_sockaddr(&a, &from, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    n = sip_stream_to_sockaddr(&a, to, to->port);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
    return fd;
}

static void test_of_one_address(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    int fd[5];
    sip_stream_tuning.per_address_max = 2;
    fd[0] = connect_from("127.0.0.2", &s->at);
    fd[1] = connect_from("127.0.0.2", &s->at);
    fd[2] = connect_from("127.0.0.2", &s->at);
    assert_ended(s, fd[2], refused_address, 1);
    fd[3] = connect_from("127.0.0.3", &s->at); // others have room
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 3);
    close(fd[0]);
    stage_until(s, STAGE_NONE, s->count.stream.connections == 2);
    fd[4] = connect_from("127.0.0.2", &s->at);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 4);
    for (int i = 1; i < 5; i++)
        close(fd[i]);
    stage_close(s);
}

// A peer that reads nothing: what does not fit its queue is dropped and counted, and what fits is
// whole when it reads after all.
static void test_queue(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop at;
    struct port_way way;
    static char message[1000];
    size_t sent = 0, got = 0;
    int small = 4096, listener = stage_listen("127.0.0.1", 1, &at);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    way = (struct port_way){.to = at};
    memset(message, 'x', sizeof message);
    sip_stream_tuning.queue_bytes_max = 10 * sizeof message;
    for (unsigned i = 0; i < 10; i++, sent++)
        s->port->ops->send(s->port, &way, (struct text){message, sizeof message});
    assert_int_equal(s->count.stream.queue_full, 0);
    s->port->ops->send(s->port, &way, (struct text){message, 1});
    assert_int_equal(s->count.stream.queue_full, 1);
    assert_int_equal(s->count.send_failures, 1);
    for (uint64_t full = 1; s->count.stream.queue_full < 100;
         sent += s->count.stream.queue_full == full, full = s->count.stream.queue_full) {
        s->port->ops->send(s->port, &way, (struct text){message, sizeof message});
        stage_turn(s, 0);
    }
    int fd = accept(listener, NULL, NULL);
    while (got < sent * sizeof message) {
        static char in[65536];
        ssize_t n = recv(fd, in, sizeof in, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        stage_turn(s, 1);
    }
    assert_int_equal(s->count.stream.queued_bytes, 0);
    assert_int_equal(s->count.out_bytes, sent * sizeof message);
    close(fd);
    close(listener);
    stage_close(s);
}

static void test_queues_together(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct hop a, b;
    int listen_a = stage_listen("127.0.0.1", 1, &a), listen_b = stage_listen("127.0.0.1", 1, &b);
    sip_stream_tuning.queues_bytes_max = strlen(STAGE_REQUEST) * 2;
    stage_send(s, &a, STAGE_REQUEST);
    stage_send(s, &b, STAGE_REQUEST);
    assert_int_equal(s->count.stream.queues_full, 0);
    stage_send(s, &a, "x");
    assert_int_equal(s->count.stream.queues_full, 1);
    assert_int_equal(s->count.stream.queue_full, 0);
    stage_until(s, STAGE_NONE, s->count.stream.queued_bytes == 0);
    stage_send(s, &a, STAGE_REQUEST);
    assert_int_equal(s->count.stream.queues_full, 1);
    close(listen_a);
    close(listen_b);
    stage_close(s);
}

static void test_head_without_end(void **state)
{
    (void)state;
    static char line[100];
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    sip_stream_of(s->port)->message_max = 2 * SIP_STREAM_HEAD_MAX; // else that comes first
    int fd = stage_connect(&s->at);
    memset(line, 'x', sizeof line);
    memcpy(line, "\r\nX:", 4);
    stage_write(fd, TEXT("OPTIONS sip:a SIP/2.0"));
    for (size_t n = 21; n <= SIP_STREAM_HEAD_MAX; n += sizeof line) {
        assert_int_equal(s->n, 0);
        stage_write(fd, (struct text){line, sizeof line});
        stage_turn(s, 1);
    }
    stage_until(s, STAGE_NONE, s->n == 1);
    assert_int_equal(s->size[0], 2 * SIP_STREAM_HEAD_MAX + 1); // which is answered with 513
    assert_int_equal(s->count.stream.heads_too_long, 1);
    assert_int_equal(s->count.oversized, 0);
    close(fd);
    stage_close(s);
}

// ---- Times -------------------------------------------------------------------------------------

static struct stage *open_quick(void)
{
    sip_stream_tuning.tick_ms = 10;
    return stage_open("127.0.0.1", HOP_TCP, NULL);
}

static void test_message_that_does_not_end(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    sip_stream_tuning.message_ms = 100;
    int fd = stage_connect(&s->at);
    uint64_t begin_ms = stage_ms();
    // Not even drop by drop.
    for (size_t i = 0; s->count.stream.message_timeouts == 0; i++) {
        send(fd, "OPTIONS sip:a SIP/2.0\r\nSubject: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" + i,
             1, MSG_NOSIGNAL);
        stage_turn(s, 5);
        assert_true(i < 60);
        usleep(5000);
    }
    assert_in_range(stage_ms() - begin_ms, 95, 2000);
    assert_ended(s, fd, message_timeouts, 1);
    close(fd);
    stage_close(s);
}

static void test_silence(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    sip_stream_tuning.first_ms = 100;
    sip_stream_tuning.idle_ms = 300;
    int mute = stage_connect(&s->at), fd = stage_connect(&s->at), alive = stage_connect(&s->at);
    stage_write(fd, TEXT(STAGE_REQUEST));
    stage_write(alive, TEXT(STAGE_REQUEST));
    uint64_t begin_ms = stage_ms();
    assert_ended(s, mute, idle_closed, 1);
    assert_in_range(stage_ms() - begin_ms, 95, 290);
    while (s->count.stream.idle_closed == 1) {
        stage_write(alive, TEXT("\r\n\r\n")); // RFC 5626: so that it stays
        stage_turn(s, 20);
    }
    assert_in_range(stage_ms() - begin_ms, 295, 2000);
    assert_ended(s, fd, idle_closed, 2);
    assert_int_equal(s->count.stream.connections, 1);
    close(mute);
    close(fd);
    close(alive);
    stage_close(s);
}

// Keep-alives alone keep nothing that has not been used yet.
static void test_pings_only(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    sip_stream_tuning.first_ms = 100;
    int fd = stage_connect(&s->at);
    uint64_t begin_ms = stage_ms();
    while (s->count.stream.idle_closed == 0) {
        send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL);
        stage_turn(s, 5);
        assert_true(stage_ms() - begin_ms < 2000);
    }
    close(fd);
    stage_close(s);
}

// One that we opened is of use while messages pass, whatever the keep-alives do.
static void test_idle_outgoing(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    struct hop at;
    int listener = stage_listen("127.0.0.1", 1, &at);
    sip_stream_tuning.idle_ms = 200;
    sip_stream_tuning.ping_ms = 50;
    stage_send(s, &at, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
    int fd = accept(listener, NULL, NULL);
    assert_string_equal(stage_expect(s, fd), STAGE_REQUEST);
    stage_write(fd, TEXT(STAGE_ANSWER));
    unsigned pings = 0;
    for (const char *p; strcmp(p = stage_expect(s, fd), "closed") != 0; pings++) {
        assert_string_equal(p, "\r\n\r\n");
        stage_write(fd, TEXT("\r\n"));
    }
    assert_in_range(pings, 1, 4);
    assert_int_equal(s->count.stream.idle_closed, 1);
    assert_int_equal(s->count.stream.pongs_missed, 0);
    assert_int_equal(s->n_lost, 0);
    close(fd);
    close(listener);
    stage_close(s);
}

static void test_pong(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    struct hop at;
    int listener = stage_listen("127.0.0.1", 1, &at);
    sip_stream_tuning.ping_ms = 50;
    sip_stream_tuning.pong_ms = 100;
    stage_send(s, &at, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
    int fd = accept(listener, NULL, NULL);
    assert_string_equal(stage_expect(s, fd), STAGE_REQUEST);
    assert_string_equal(stage_expect(s, fd), "\r\n\r\n");
    stage_write(fd, TEXT(STAGE_ANSWER)); // a sign of life as good
    assert_string_equal(stage_expect(s, fd), "\r\n\r\n");
    stage_write(fd, TEXT("\r\n"));
    assert_string_equal(stage_expect(s, fd), "\r\n\r\n");
    assert_ended(s, fd, pongs_missed, 1);
    assert_int_equal(s->n_lost, 0); // nobody waits for anything
    close(fd);
    close(listener);
    stage_close(s);
}

static void test_stall(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    struct hop at;
    static char message[60000];
    int small = 4096, listener = stage_listen("127.0.0.1", 1, &at);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    sip_stream_tuning.stall_ms = 200;
    memset(message, 'x', sizeof message);
    struct port_way way = {.to = at};
    while (s->count.stream.queue_full == 0) {
        s->port->ops->send(s->port, &way, (struct text){message, sizeof message});
        stage_turn(s, 0);
    }
    stage_until(s, STAGE_NONE, s->count.stream.stalls == 1);
    assert_int_equal(s->n_lost, 1);
    assert_int_equal(s->count.stream.queued_bytes, 0);
    close(listener);
    stage_close(s);
}

// Nobody answers to the first SYN: the listener's queue is full.
static void test_connect_timeout(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    struct hop at;
    struct sockaddr_storage a;
    int fill[8], listener = stage_listen("127.0.0.1", 0, &at);
    socklen_t n = sip_stream_to_sockaddr(&a, &at, at.port);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fill[i], (struct sockaddr *)&a, n);
    }
    sip_stream_tuning.connect_ms = 150;
    stage_send(s, &at, STAGE_REQUEST);
    uint64_t begin_ms = stage_ms();
    stage_until(s, STAGE_NONE, s->n_lost == 1);
    assert_in_range(stage_ms() - begin_ms, 140, 2000);
    assert_true(hop_eq(&s->lost, &at));
    assert_int_equal(s->count.stream.connect_timeouts, 1);
    assert_int_equal(s->count.send_failures, 1);
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(listener);
    stage_close(s);
}

// What was not understood has its answer's time to come, and no more.
static void test_linger(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    sip_stream_tuning.linger_ms = 100;
    int fd = stage_connect(&s->at);
    stage_write(fd, TEXT("OPTIONS sip:a SIP/2.0\r\n\r\n"));
    uint64_t begin_ms = stage_ms();
    assert_ended(s, fd, unframed, 1);
    assert_in_range(stage_ms() - begin_ms, 95, 2000);
    close(fd);
    stage_close(s);
}

// Without a descriptor to spare it says so, rests, and takes in who has waited.
static void test_no_descriptors(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    static int fd[65536];
    size_t n = 0;
    int client = stage_connect(&s->at);
    while (n < 65536 && (fd[n] = dup(client)) >= 0)
        n++;
    if (n == 65536) {
        while (n)
            close(fd[--n]);
        close(client);
        stage_close(s);
        skip();
    }
    stage_until(s, STAGE_NONE, s->count.stream.refused_full > 0);
    uint64_t refused = s->count.stream.refused_full;
    stage_turn(s, 0);
    assert_true(s->count.stream.refused_full <= refused + 1); // it does not spin
    while (n)
        close(fd[--n]);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 1);
    close(client);
    stage_close(s);
}

// With nothing to look after, nothing wakes the shard.
static void test_rest(void **state)
{
    (void)state;
    struct stage *s = open_quick();
    struct pollfd p = {.fd = s->port->ops->fd(s->port), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 50), 0);
    int fd = stage_connect(&s->at);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 1);
    assert_int_equal(poll(&p, 1, 200), 1);
    close(fd);
    stage_until(s, STAGE_NONE, s->count.stream.connections == 0);
    stage_turn(s, 50);
    stage_turn(s, 50);
    assert_int_equal(poll(&p, 1, 50), 0);
    stage_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_before, stage_after)
    const struct CMUnitTest tests[] = {
        TEST(test_connections),
        TEST(test_of_one_address),
        TEST(test_queue),
        TEST(test_queues_together),
        TEST(test_head_without_end),
        TEST(test_message_that_does_not_end),
        TEST(test_silence),
        TEST(test_pings_only),
        TEST(test_idle_outgoing),
        TEST(test_pong),
        TEST(test_stall),
        TEST(test_connect_timeout),
        TEST(test_linger),
        TEST(test_no_descriptors),
        TEST(test_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
