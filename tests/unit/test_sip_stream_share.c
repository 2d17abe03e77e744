// SIP over TCP: peers who want more of a port than their share: those nobody trusts, those who
// leave before their answers, those who take none.
#include "stream_stage.h"

#define assert_ended(s, fd, counter, times)                                                        \
    do {                                                                                           \
        assert_string_equal(stage_expect((s), (fd)), "closed");                                    \
        assert_int_equal((s)->count.stream.counter, (times));                                      \
    } while (0)

static bool trusts_one(const void *arg, const struct hop *peer)
{
    struct hop trusted = stage_hop(arg, peer->port, HOP_TCP);
    return hop_eq(&trusted, peer);
}

// A port that trusts 127.0.0.1 only, with `descriptors` to spend.
static struct stage *open_careful(size_t descriptors)
{
    struct stage *s = calloc(1, sizeof *s);
    s->at = stage_nobody("127.0.0.1", HOP_TCP);
    struct sip_stream_setup setup = {.port = {.local = s->at,
                                              .id = SIP_PORT_SHARD(3),
                                              .message_max = STAGE_MESSAGE_MAX,
                                              .count = &s->count},
                                     .listen = &s->at,
                                     .n_listen = 1,
                                     .descriptors = descriptors,
                                     .trusts = trusts_one,
                                     .trusts_arg = "127.0.0.1"};
    assert_int_equal(sip_stream_open(&s->port, &setup), 0);
    return s;
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

static void test_strangers(void **state)
{
    (void)state;
    struct stage *s = open_careful(0);
    static const char *const host[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4"};
    int fd[4];
    sip_stream_tuning.strangers_max = 2;
    for (int i = 0; i < 3; i++)
        fd[i] = connect_from(host[i], &s->at);
    assert_string_equal(stage_expect(s, fd[2]), "closed");
    assert_int_equal(s->count.stream.refused_strangers, 1);
    assert_int_equal(s->count.stream.accepted, 2);
    fd[3] = connect_from("127.0.0.1", &s->at); // there is room for whom we trust,
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 3);
    close(fd[0]);
    stage_until(s, STAGE_NONE, s->count.stream.connections == 2);
    fd[0] = connect_from("127.0.0.2", &s->at); // and for one stranger when one has left
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 4);
    for (int i = 0; i < 4; i++)
        close(fd[i]);
    stage_close(s);
}

static size_t fill_queue(struct stage *s, const char *host)
{
    static const char piece[1000] = "x";
    struct port_way way = {.reopen_port = 1};
    int fd = connect_from(host, &s->at);
    uint64_t full = s->count.stream.queue_full;
    unsigned heard = s->n;
    size_t n = 0;
    stage_write(fd, TEXT(STAGE_REQUEST));
    stage_until(s, STAGE_NONE, s->n == heard + 1);
    for (way.to = s->from; s->count.stream.queue_full == full; n++)
        s->port->ops->send(s->port, &way, (struct text){piece, sizeof piece});
    close(fd);
    return n - 1;
}

static void test_what_waits_for_strangers(void **state)
{
    (void)state;
    struct stage *s = open_careful(0);
    sip_stream_tuning.queue_bytes_max = 9000;
    sip_stream_tuning.stranger_queue_bytes_max = 3000;
    assert_int_equal(fill_queue(s, "127.0.0.2"), 3);
    assert_int_equal(fill_queue(s, "127.0.0.1"), 9);
    stage_close(s);
}

// Who asks and leaves, naming ports at which he listens, has his answers brought to him there; by
// as many connections as he could have opened himself, and none of the reserve.
static void test_answers_that_are_brought(void **state)
{
    (void)state;
    struct stage *s = open_careful(8); // two of them in reserve
    struct hop at[4];
    int listener[4];
    for (int i = 0; i < 4; i++)
        listener[i] = stage_listen("127.0.0.1", 8, &at[i]);
    s->from = stage_hop("127.0.0.1", 1, HOP_TCP); // that connection is gone
    sip_stream_tuning.per_address_max = 2;
    for (int i = 0; i < 3; i++)
        stage_answer(s, at[i].port, STAGE_ANSWER);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 2);
    assert_int_equal(s->count.stream.refused_address, 1);
    assert_int_equal(s->count.send_failures, 1);
    stage_send(s, &at[2], STAGE_REQUEST); // what we want ourselves is not counted
    stage_until(s, STAGE_NONE, s->count.stream.connected == 3);
    sip_stream_tuning.per_address_max = 100;
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = stage_connect(&s->at);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 3);
    stage_answer(s, at[3].port, STAGE_ANSWER);
    assert_int_equal(s->count.stream.refused_full, 1);
    stage_send(s, &at[3], STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 4);
    assert_int_equal(s->n_lost, 0);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    for (int i = 0; i < 4; i++)
        close(listener[i]);
    stage_close(s);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct stage *s = open_careful(4); // one of them in reserve
    struct hop at;
    int fd[4], listener = stage_listen("127.0.0.1", 8, &at);
    for (int i = 0; i < 3; i++)
        fd[i] = stage_connect(&s->at);
    stage_until(s, STAGE_NONE, s->count.stream.accepted == 3);
    fd[3] = stage_connect(&s->at);
    assert_string_equal(stage_expect(s, fd[3]), "closed");
    assert_int_equal(s->count.stream.refused_full, 1);
    stage_send(s, &at, STAGE_REQUEST);
    stage_until(s, STAGE_NONE, s->count.stream.connected == 1);
    for (int i = 0; i < 4; i++)
        close(fd[i]);
    close(listener);
    stage_close(s);
}

// Addresses of IPv6 are counted by their networks of 64 bits.
static void test_ipv6_networks(void **state)
{
    (void)state;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    struct sip_stream *port = sip_stream_of(s->port);
    struct sip_stream_peer one = {.hop = stage_hop("2001:db8::1", 1, HOP_TCP)},
                           same = {.hop = stage_hop("2001:db8::f:2", 1, HOP_TCP)},
                           other = {.hop = stage_hop("2001:db8:0:1::1", 1, HOP_TCP)};
    sip_stream_tuning.per_address_max = 1;
    assert_null(sip_stream_count_peer(port, &one));
    assert_non_null(sip_stream_count_peer(port, &same));
    assert_null(sip_stream_count_peer(port, &other));
    sip_stream_forget_peer(port, &same); // which was not counted
    assert_non_null(sip_stream_count_peer(port, &same));
    sip_stream_forget_peer(port, &one);
    assert_null(sip_stream_count_peer(port, &same));
    sip_stream_forget_peer(port, &same);
    sip_stream_forget_peer(port, &other);
    stage_close(s);
}

// All places are taken, by who says nothing. Another address gets one, and the address that has the
// most loses it; who has more than others gets none by this. Who was heard keeps his for longer.
static void test_places_are_made(void **state)
{
    (void)state;
    enum { ALL = 6 };
    struct stage *s = open_careful(8); // two of them in reserve
    const struct port_stream_counters *count = &s->count.stream;
    int fd[ALL], refused, other, third;
    fd[0] = connect_from("127.0.0.3", &s->at);
    for (int i = 1; i < ALL; i++)
        fd[i] = connect_from("127.0.0.2", &s->at);
    stage_until(s, STAGE_NONE, count->accepted == ALL);
    refused = connect_from("127.0.0.1", &s->at); // nobody has been silent for long enough
    assert_ended(s, refused, refused_full, 1);
    sip_stream_tuning.yield_first_ms = 0;
    other = connect_from("127.0.0.1", &s->at);
    assert_ended(s, fd[1], made_place, 1);
    refused = connect_from("127.0.0.2", &s->at);
    assert_ended(s, refused, refused_full, 2);
    for (int i = 2; i < ALL; i++)
        stage_write(fd[i], TEXT(STAGE_REQUEST));
    stage_until(s, STAGE_NONE, s->n == ALL - 2);
    third = connect_from("127.0.0.4", &s->at); // of those that are silent still, the elder
    assert_ended(s, fd[0], made_place, 2);
    close(other);
    close(third);
    stage_until(s, STAGE_NONE, count->connections == ALL - 2);
    fd[0] = connect_from("127.0.0.2", &s->at);
    fd[1] = connect_from("127.0.0.2", &s->at);
    stage_until(s, STAGE_NONE, count->connections == ALL);
    stage_write(fd[0], TEXT(STAGE_REQUEST));
    stage_write(fd[1], TEXT(STAGE_REQUEST));
    stage_until(s, STAGE_NONE, s->n == ALL);
    for (int i = 0; i < ALL; i++) { // an answer that is owed is waited for
        refused = connect_from("127.0.0.1", &s->at);
        assert_ended(s, refused, refused_full, 3 + i);
    }
    for (int i = 0; i < ALL; i++)
        close(fd[i]);
    stage_close(s);
}

enum { ANSWER_BYTES = 2000, DEAF_REQUESTS = 20000 };

// Turns until nothing more is heard for a while; each request is answered.
static void serve(struct stage *s, struct text *requests, int fd)
{
    static char answer[ANSWER_BYTES + 1];
    memset(answer, 'y', ANSWER_BYTES);
    for (unsigned quiet = 0; quiet < 20;) {
        ssize_t n = requests->n ? send(fd, requests->p, requests->n, MSG_DONTWAIT) : 0;
        requests->p += n > 0 ? n : 0;
        requests->n -= n > 0 ? (size_t)n : 0;
        stage_turn(s, 2);
        for (unsigned i = 0; i < s->n; i++)
            stage_answer(s, 5060, answer);
        quiet = s->n || n > 0 ? 0 : quiet + 1;
        s->n = 0;
    }
}

// Who takes no answers is not heard any more before they are lost, however long that lasts (a part
// of a message is waiting meanwhile); and all come when he takes them.
static void test_deaf(void **state)
{
    (void)state;
    sip_stream_tuning.tick_ms = 10;
    sip_stream_tuning.message_ms = 100;
    sip_stream_tuning.queue_bytes_max = 4 << 20;
    struct stage *s = stage_open("127.0.0.1", HOP_TCP, NULL);
    size_t size = strlen(STAGE_REQUEST), got = 0, all = (size_t)DEAF_REQUESTS * ANSWER_BYTES;
    char *bytes = malloc(size * DEAF_REQUESTS), *in = malloc(1 << 20);
    struct text requests = {bytes, size * DEAF_REQUESTS};
    for (size_t i = 0; i < DEAF_REQUESTS; i++)
        memcpy(bytes + i * size, STAGE_REQUEST, size);
    int fd = stage_connect(&s->at);
    serve(s, &requests, fd);
    assert_true(s->count.stream.queued_bytes > 0); // else the kernel has taken it all
    usleep(200000);
    serve(s, &requests, fd);
    while (got < all) {
        assert_int_equal(s->count.stream.queue_full, 0);
        ssize_t n = recv(fd, in, 1 << 20, MSG_DONTWAIT);
        if (n == 0)
            fail_msg("closed after %zu of %zu bytes", got, all);
        got += n > 0 ? (size_t)n : 0;
        if (n < 0)
            serve(s, &requests, fd);
    }
    assert_int_equal(s->count.stream.message_timeouts, 0);
    free(bytes);
    free(in);
    close(fd);
    stage_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_before, stage_after)
    const struct CMUnitTest tests[] = {
        TEST(test_strangers),
        TEST(test_what_waits_for_strangers),
        TEST(test_answers_that_are_brought),
        TEST(test_descriptors),
        TEST(test_ipv6_networks),
        TEST(test_places_are_made),
        TEST(test_deaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
