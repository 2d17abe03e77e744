// SIP over UDP: batches both ways, what is too large, what does not fit the queue, IPv4 and IPv6.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shards/sip_udp.h"

static struct port_counters count;

// So many pieces more, cut or not, and the socket is full. Loopback itself never is: a datagram is
// not the sender's any more as soon as it is sent.
static unsigned socket_room = UINT_MAX;

int __real_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);

int __wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
    if (!socket_room) {
        errno = EAGAIN;
        return -1;
    }
    int sent = __real_sendmmsg(fd, v, n < socket_room ? n : socket_room, flags);
    if (sent > 0 && socket_room != UINT_MAX)
        socket_room -= (unsigned)sent;
    return sent;
}

static int open_port(struct port **out, const char *host, uint16_t number, bool shared)
{
    struct port_setup setup = {
        .id = SIP_PORT_SHARD(3), .shared = shared, .message_max = 1000, .count = &count};
    assert_int_equal(hop_parse(&setup.local, text_of(host), number, HOP_UDP), 0);
    return sip_udp_open(out, &setup);
}

static struct port *opened(const char *host)
{
    struct port *p;
    count = (struct port_counters){0};
    assert_int_equal(open_port(&p, host, 0, false), 0);
    return p;
}

static struct hop address_of(const struct port *p, const char *host)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    struct hop h;
    assert_int_equal(getsockname(sip_udp_ops.fd(p), (struct sockaddr *)&a, &n), 0);
    uint16_t number = a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                             : ((struct sockaddr_in6 *)&a)->sin6_port;
    assert_int_equal(hop_parse(&h, text_of(host), ntohs(number), HOP_UDP), 0);
    return h;
}

struct heard {
    unsigned n;
    struct hop from;
};

static void hear(void *arg, const struct port *p, const struct hop *from, struct text message)
{
    struct heard *h = arg;
    char wanted[32];
    assert_int_equal(p->id, SIP_PORT_SHARD(3));
    snprintf(wanted, sizeof wanted, "message %u", h->n++);
    assert_true(text_eq(message, text_of(wanted)));
    h->from = *from;
}

static void say(struct port *p, const struct hop *to, unsigned i)
{
    char text[32];
    snprintf(text, sizeof text, "message %u", i);
    sip_udp_ops.send(p, &(struct port_way){.to = *to}, text_of(text));
}

static void there_and_back(const char *host)
{
    enum { N = 3 * SIP_UDP_BATCH + 7 };
    struct port *a = opened(host), *b = opened(host);
    struct hop to_a = address_of(a, host), to_b = address_of(b, host);
    struct heard heard = {0};
    unsigned reads = 0;
    for (unsigned i = 0; i < N; i++)
        say(a, &to_b, i);
    assert_true(sip_udp_ops.is_waiting(a));
    sip_udp_ops.flush(a);
    assert_false(sip_udp_ops.is_waiting(a));
    do {
        reads++;
    } while (sip_udp_ops.receive(b, hear, &heard));
    assert_int_equal(heard.n, N);
    assert_int_equal(reads, 4);
    assert_true(hop_eq(&heard.from, &to_a));
    assert_int_equal(count.in_bytes, count.out_bytes);
    assert_int_equal(count.send_failures, 0);
    sip_udp_ops.close(a);
    sip_udp_ops.close(b);
}

static void test_batches(void **state)
{
    (void)state;
    there_and_back("127.0.0.1");
}

static void test_ipv6(void **state)
{
    (void)state;
    struct port *p;
    if (open_port(&p, "::1", 0, false) == EADDRNOTAVAIL)
        skip();
    sip_udp_ops.close(p);
    there_and_back("::1");
    // A port of one family can't send to the other.
    p = opened("127.0.0.1");
    struct hop other;
    assert_int_equal(hop_parse(&other, TEXT("::1"), 5060, HOP_UDP), 0);
    say(p, &other, 0);
    assert_int_equal(count.send_failures, 1);
    assert_false(sip_udp_ops.is_waiting(p));
    sip_udp_ops.close(p);
}

static void hear_size(void *arg, const struct port *p, const struct hop *from, struct text message)
{
    (void)p, (void)from;
    size_t **next = arg;
    *(*next)++ = message.n;
    for (size_t i = 0; i < message.n; i++)
        assert_int_equal(message.p[i], 'x');
}

// Of what is too large comes one byte more than is taken, however large it was.
static void test_size_limit(void **state)
{
    (void)state;
    struct port *a = opened("127.0.0.1"), *b = opened("127.0.0.1");
    struct hop to_b = address_of(b, "127.0.0.1");
    static const size_t sent[] = {1000, 1001, 1002, 60000, 999};
    static const size_t wanted[] = {1000, 1001, 1001, 1001, 999};
    static char large[60000];
    size_t heard[8] = {0}, *next = heard;
    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        sip_udp_ops.send(a, &(struct port_way){.to = to_b}, (struct text){large, sent[i]});
    sip_udp_ops.flush(a);
    sip_udp_ops.receive(b, hear_size, &next);
    assert_int_equal(next - heard, 5);
    assert_memory_equal(heard, wanted, sizeof wanted);
    assert_int_equal(count.oversized, 3);
    sip_udp_ops.close(a);
    sip_udp_ops.close(b);
}

static void test_queue_limit(void **state)
{
    (void)state;
    struct port *a = opened("127.0.0.1");
    struct hop nobody;
    assert_int_equal(hop_parse(&nobody, TEXT("127.0.0.1"), 9, HOP_UDP), 0);
    for (unsigned i = 0; i < SIP_UDP_QUEUE_MAX; i++)
        say(a, &nobody, i);
    assert_int_equal(count.send_failures, 0);
    say(a, &nobody, SIP_UDP_QUEUE_MAX);
    assert_int_equal(count.send_failures, 1);
    sip_udp_ops.flush(a); // nobody listens: ICMP says so, and is not listened to
    assert_false(sip_udp_ops.is_waiting(a));
    assert_int_equal(count.send_failures, 1);
    // By bytes: one below the limit fits, one above does not.
    static char large[60000];
    unsigned n = SIP_UDP_QUEUE_BYTES_MAX / sizeof large;
    for (unsigned i = 0; i < n; i++)
        sip_udp_ops.send(a, &(struct port_way){.to = nobody}, (struct text){large, sizeof large});
    assert_int_equal(count.send_failures, 1);
    sip_udp_ops.send(a, &(struct port_way){.to = nobody}, (struct text){large, sizeof large});
    assert_int_equal(count.send_failures, 2);
    sip_udp_ops.close(a);
}

// Does for whoever asks for it what an interface would do: takes a piece as it was sent.
static int opened_uncut(struct hop *here)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(hop_parse(here, TEXT("127.0.0.1"), ntohs(a.sin_port), HOP_UDP), 0);
    assert_int_equal(setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on), 0);
    return fd;
}

static void assert_pieces(int fd, const size_t *wanted, size_t n)
{
    static char bytes[65536];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(recv(fd, bytes, sizeof bytes, 0), wanted[i]);
    assert_int_equal(recv(fd, bytes, sizeof bytes, 0), -1);
}

static void say_size(struct port *p, const struct hop *to, size_t n, unsigned times)
{
    static const char bytes[SIP_UDP_SEGMENT_MAX + 1];
    while (times--)
        sip_udp_ops.send(p, &(struct port_way){.to = *to}, (struct text){bytes, n});
}

// What makes a run: enough of them, one behind the other, of one size and to one place; no more
// than go into a piece, and none that is too large.
static void test_runs(void **state)
{
    (void)state;
    enum { MIN = SIP_UDP_RUN_MIN, MAX = SIP_UDP_RUN_MAX, SIZE = SIP_UDP_SEGMENT_MAX };
    struct port *a = opened("127.0.0.1");
    struct hop to_b, to_c;
    int b = opened_uncut(&to_b), c = opened_uncut(&to_c);
    say_size(a, &to_b, 10, MIN - 1); // 7 alone
    say_size(a, &to_b, 11, MIN);     // a run
    for (unsigned i = 0; i < 2 * MIN; i++)
        say_size(a, i % 2 ? &to_c : &to_b, 12, 1); // 8 alone each
    say_size(a, &to_b, SIZE, MAX + 1);             // a run, and one alone
    say_size(a, &to_b, SIZE + 1, MIN);             // 8 alone
    sip_udp_ops.flush(a);
    assert_false(sip_udp_ops.is_waiting(a));
    static const size_t at_b[] = {
        10,       10,       10,       10,       10,       10,       10,       11 * MIN,   12,
        12,       12,       12,       12,       12,       12,       12,       SIZE * MAX, SIZE,
        SIZE + 1, SIZE + 1, SIZE + 1, SIZE + 1, SIZE + 1, SIZE + 1, SIZE + 1, SIZE + 1};
    static const size_t at_c[] = {12, 12, 12, 12, 12, 12, 12, 12};
    assert_pieces(b, at_b, sizeof at_b / sizeof *at_b);
    assert_pieces(c, at_c, sizeof at_c / sizeof *at_c);
    assert_int_equal(count.send_failures, 0);
    close(b);
    close(c);
    sip_udp_ops.close(a);
}

// Nothing can be cut where no checksums are made: so it is sent one by one, and nothing is lost.
static void test_no_runs(void **state)
{
    (void)state;
    struct port *a = opened("127.0.0.1"), *b = opened("127.0.0.1");
    struct hop to_b = address_of(b, "127.0.0.1");
    struct heard heard = {0};
    int on = 1;
    assert_int_equal(setsockopt(sip_udp_ops.fd(a), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    for (unsigned i = 0; i < SIP_UDP_BATCH; i++)
        say(a, &to_b, i);
    sip_udp_ops.flush(a);
    assert_false(sip_udp_ops.is_waiting(a));
    sip_udp_ops.receive(b, hear, &heard);
    assert_int_equal(heard.n, SIP_UDP_BATCH);
    assert_int_equal(count.send_failures, 0);
    assert_int_equal(count.in_bytes, count.out_bytes);
    sip_udp_ops.close(a);
    sip_udp_ops.close(b);
}

// What could not go to one peer in runs says nothing of others, nor of later.
//
//     a ──▶ nobody, whose host says so, again and again
//     a ══▶ b, in a run
//     a ─┈▶ b, while nothing can be cut
//     a ══▶ b, in a run
static void test_runs_again(void **state)
{
    (void)state;
    enum { MIN = SIP_UDP_RUN_MIN };
    static const size_t run[] = {10 * MIN};
    static const size_t alone[] = {10, 10, 10, 10, 10, 10, 10, 10};
    struct port *a = opened("127.0.0.1");
    struct hop to_b, nobody;
    int b = opened_uncut(&to_b), off = 0, on = 1, a_fd = sip_udp_ops.fd(a);
    assert_int_equal(hop_parse(&nobody, TEXT("127.0.0.1"), 9, HOP_UDP), 0);
    say_size(a, &nobody, 10, 200 * SIP_UDP_RUN_MAX);
    say_size(a, &to_b, 10, MIN);
    sip_udp_ops.flush(a);
    assert_false(sip_udp_ops.is_waiting(a));
    assert_pieces(b, run, 1);
    assert_int_equal(setsockopt(a_fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    say_size(a, &to_b, 10, MIN);
    sip_udp_ops.flush(a);
    assert_pieces(b, alone, sizeof alone / sizeof *alone);
    assert_int_equal(setsockopt(a_fd, SOL_SOCKET, SO_NO_CHECK, &off, sizeof off), 0);
    say_size(a, &to_b, 10, MIN);
    sip_udp_ops.flush(a);
    assert_pieces(b, run, 1);
    close(b);
    sip_udp_ops.close(a);
}

struct numbered {
    struct port *a;
    struct hop to[2];
    uint32_t said[2], heard[2]; // by peer
};

// Number so-and-so for that peer: its size and its bytes follow from the number.
static size_t number_size(uint32_t number)
{
    return sizeof number + 10 * (number / 30 % 3);
}

static void say_numbers(struct numbered *w, unsigned peer, unsigned times)
{
    char bytes[64];
    for (; times--; w->said[peer]++) {
        memset(bytes, (int)(w->said[peer] & 127), sizeof bytes);
        memcpy(bytes, &w->said[peer], sizeof w->said[peer]);
        sip_udp_ops.send(w->a, &(struct port_way){.to = w->to[peer]},
                         (struct text){bytes, number_size(w->said[peer])});
    }
}

static void hear_numbers(struct numbered *w, unsigned peer, int fd)
{
    char bytes[128];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
        uint32_t number;
        memcpy(&number, bytes, sizeof number);
        assert_int_equal(number, w->heard[peer]);
        assert_int_equal(n, number_size(number));
        for (ssize_t i = sizeof number; i < n; i++)
            assert_int_equal(bytes[i], number & 127);
        w->heard[peer]++;
    }
}

// Runs of three sizes, broken by single ones to another peer.
static void say_some(struct numbered *w)
{
    say_numbers(w, 0, 7 * SIP_UDP_RUN_MIN);
    say_numbers(w, 1, 1);
    say_numbers(w, 0, 3 * SIP_UDP_RUN_MIN);
    say_numbers(w, 1, 2 * SIP_UDP_RUN_MIN);
}

// The socket takes a few pieces, runs or not, and is full; each time, more comes to lie behind what
// waits. All of it arrives in the end, once, and in order.
static void full_in_between(unsigned pieces, bool can_cut)
{
    enum { TIMES = 60 };
    struct port *b[2] = {opened("127.0.0.1"), opened("127.0.0.1")};
    struct numbered w = {.a = opened("127.0.0.1")};
    unsigned full = 0;
    int no_check = !can_cut;
    assert_int_equal(
        setsockopt(sip_udp_ops.fd(w.a), SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof no_check), 0);
    for (unsigned peer = 0; peer < 2; peer++)
        w.to[peer] = address_of(b[peer], "127.0.0.1");
    for (unsigned i = 0; sip_udp_ops.is_waiting(w.a) || i < TIMES; i++) {
        assert_true(i < 20000);
        if (i < TIMES)
            say_some(&w);
        socket_room = pieces;
        sip_udp_ops.flush(w.a);
        for (unsigned peer = 0; peer < 2; peer++)
            hear_numbers(&w, peer, sip_udp_ops.fd(b[peer]));
        full += sip_udp_ops.is_waiting(w.a);
    }
    socket_room = UINT_MAX;
    assert_true(full > TIMES);
    for (unsigned peer = 0; peer < 2; peer++) {
        assert_int_equal(w.heard[peer], w.said[peer]);
        sip_udp_ops.close(b[peer]);
    }
    assert_int_equal(count.send_failures, 0);
    sip_udp_ops.close(w.a);
}

static void test_full_in_between(void **state)
{
    (void)state;
    static const unsigned pieces[] = {1, 2, 3, 7};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        full_in_between(pieces[i], true);
        full_in_between(pieces[i], false);
    }
}

// A datagram that the kernel refuses does not hold up those behind it.
static void test_send_failure(void **state)
{
    (void)state;
    struct port *a = opened("127.0.0.1"), *b = opened("127.0.0.1");
    struct hop to_b = address_of(b, "127.0.0.1");
    static char large[70000]; // above what UDP carries
    struct heard heard = {0};
    say(a, &to_b, 0);
    sip_udp_ops.send(a, &(struct port_way){.to = to_b}, (struct text){large, sizeof large});
    say(a, &to_b, 1);
    sip_udp_ops.flush(a);
    assert_false(sip_udp_ops.is_waiting(a));
    assert_int_equal(count.send_failures, 1);
    sip_udp_ops.receive(b, hear, &heard);
    assert_int_equal(heard.n, 2);
    sip_udp_ops.close(a);
    sip_udp_ops.close(b);
}

static void test_sharing(void **state)
{
    (void)state;
    struct port *own = opened("127.0.0.1"), *first, *second;
    uint16_t number = address_of(own, "127.0.0.1").port;
    assert_int_equal(open_port(&first, "127.0.0.1", number, false), EADDRINUSE);
    assert_int_equal(open_port(&first, "127.0.0.1", number, true), EADDRINUSE);
    sip_udp_ops.close(own);
    assert_int_equal(open_port(&first, "127.0.0.1", number, true), 0);
    assert_int_equal(open_port(&second, "127.0.0.1", number, true), 0);
    sip_udp_ops.close(first);
    sip_udp_ops.close(second);
    assert_int_equal(open_port(&first, "192.0.2.1", 0, false), EADDRNOTAVAIL);
    assert_null(first);
}

// A full batch tells how long its first datagram has waited.
static void test_waiting(void **state)
{
    (void)state;
    struct port *a = opened("127.0.0.1"), *b = opened("127.0.0.1");
    struct hop to_b = address_of(b, "127.0.0.1");
    struct heard heard = {0};
    for (unsigned i = 0; i < 2 * SIP_UDP_BATCH; i++) {
        say(a, &to_b, i);
        sip_udp_ops.flush(a);
        if (i == SIP_UDP_BATCH - 1)
            poll(NULL, 0, 60);
    }
    assert_true(sip_udp_ops.receive(b, hear, &heard));
    assert_in_range(b->waited_ms, 60, 5000);
    assert_true(sip_udp_ops.receive(b, hear, &heard));
    assert_in_range(b->waited_ms, 0, 50);
    assert_int_equal(heard.n, 2 * SIP_UDP_BATCH);
    sip_udp_ops.close(a);
    sip_udp_ops.close(b);
}

// One past what the kernel has room for: counted, as soon as another datagram has come through.
static void test_no_room(void **state)
{
    (void)state;
    struct port *a = opened("127.0.0.1"), *b = opened("127.0.0.1");
    struct hop to_b = address_of(b, "127.0.0.1");
    struct heard heard = {0};
    int least = 1; // the kernel makes it what it thinks the least
    assert_int_equal(setsockopt(sip_udp_ops.fd(b), SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    for (unsigned i = 0; i < SIP_UDP_BATCH; i++)
        say(a, &to_b, i);
    sip_udp_ops.flush(a);
    sip_udp_ops.receive(b, hear, &heard);
    assert_in_range(heard.n, 1, SIP_UDP_BATCH - 1);
    unsigned lost = SIP_UDP_BATCH - heard.n;
    say(a, &to_b, heard.n);
    sip_udp_ops.flush(a);
    sip_udp_ops.receive(b, hear, &heard);
    assert_int_equal(count.in_dropped, lost);
    sip_udp_ops.close(a);
    sip_udp_ops.close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),      cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_size_limit),   cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_send_failure), cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_waiting),      cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_runs),         cmocka_unit_test(test_no_runs),
        cmocka_unit_test(test_runs_again),   cmocka_unit_test(test_full_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
