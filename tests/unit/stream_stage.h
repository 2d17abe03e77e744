// A stream port on loopback and bare sockets around it, for tests: turns of a loop as a shard takes
// them.
#ifndef TESTS_UNIT_STREAM_STAGE_H
#define TESTS_UNIT_STREAM_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shards/sip_stream_inner.h"

enum { STAGE_MESSAGE_MAX = 4096, STAGE_HEARD_MAX = 2000, STAGE_PATIENCE_MS = 5000 };

// One port, and what it has delivered.
struct stage {
    struct port *port;
    struct port_counters count;
    struct hop at; // its listener
    unsigned n;    // messages heard
    struct hop from;
    struct buffer last;           // the last of them
    size_t size[STAGE_HEARD_MAX]; // of each
    unsigned n_lost;
    struct hop lost; // the last hop that was unreachable
    // Answers at once, while the port still reads, as a request is that is refused at the door:
    // with this port to come back to. 0: somebody will.
    uint16_t answers_to;
};

static struct sip_stream_tuning stage_tuning; // the real one

__attribute__((unused)) static int stage_before(void **state)
{
    (void)state;
    stage_tuning = sip_stream_tuning;
    signal(SIGPIPE, SIG_IGN); // as the daemon does
    return 0;
}

__attribute__((unused)) static int stage_after(void **state)
{
    (void)state;
    sip_stream_tuning = stage_tuning;
    return 0;
}

static inline uint64_t stage_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline struct hop stage_hop(const char *host, uint16_t port, enum hop_transport transport)
{
    struct hop h;
    assert_int_equal(hop_parse(&h, text_of(host), port, transport), 0);
    return h;
}

// A bound socket that listens, and where; backlog < 0: it does not.
static inline int stage_listen(const char *host, int backlog, struct hop *at)
{
    struct sockaddr_storage a;
    socklen_t n;
    *at = stage_hop(host, 0, HOP_TCP);
    n = sip_stream_to_sockaddr(&a, at, 0);
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&a, n))
        fail_msg("%s: %s", host, strerror(errno));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    at->port = ntohs(at->family == 4 ? ((struct sockaddr_in *)&a)->sin_port
                                     : ((struct sockaddr_in6 *)&a)->sin6_port);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

// A port nobody listens on, for a moment at least.
static inline struct hop stage_nobody(const char *host, enum hop_transport transport)
{
    struct hop at;
    close(stage_listen(host, -1, &at));
    at.transport = transport;
    return at;
}

static inline struct stage *stage_open(const char *host, enum hop_transport transport,
                                       struct sip_tls *tls)
{
    struct stage *s = calloc(1, sizeof *s);
    s->at = stage_nobody(host, transport);
    struct sip_stream_setup setup = {.port = {.local = s->at,
                                              .id = SIP_PORT_SHARD(3),
                                              .shared = true,
                                              .message_max = STAGE_MESSAGE_MAX,
                                              .count = &s->count},
                                     .listen = &s->at,
                                     .n_listen = 1,
                                     .tls = tls};
    assert_int_equal(sip_stream_open(&s->port, &setup), 0);
    return s;
}

static inline void stage_close(struct stage *s)
{
    s->port->ops->close(s->port);
    assert_int_equal(s->count.stream.connections, 0);
    assert_int_equal(s->count.stream.handshakes, 0);
    assert_int_equal(s->count.stream.queued_bytes, 0);
    buffer_free(&s->last);
    free(s);
}

#define STAGE_REQUEST                                                                              \
    "OPTIONS sip:gw.example.net SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n"         \
    "Content-Length: 0\r\n\r\n"
#define STAGE_ANSWER "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"

// To where the last message came from.
static inline void stage_answer(struct stage *s, uint16_t reopen_port, const char *text)
{
    struct port_way way = {.to = s->from, .reopen_port = reopen_port};
    s->port->ops->send(s->port, &way, text_of(text));
}

static void stage_hear(void *arg, const struct port *p, const struct hop *from, struct text message)
{
    struct stage *s = arg;
    assert_int_equal(p->id, SIP_PORT_SHARD(3));
    assert_true(s->n < STAGE_HEARD_MAX);
    s->size[s->n++] = message.n;
    s->from = *from;
    buffer_reset(&s->last);
    buffer_text(&s->last, message);
    if (s->answers_to)
        stage_answer(s, s->answers_to, STAGE_ANSWER);
}

// One turn; waits for up to `ms`.
static inline void stage_turn(struct stage *s, int ms)
{
    const struct port_ops *ops = s->port->ops;
    struct pollfd p = {.fd = ops->fd(s->port), .events = POLLIN};
    if (ops->is_waiting(s->port))
        ops->flush(s->port);
    if (poll(&p, 1, ms) == 1)
        ops->receive(s->port, stage_hear, s);
    while (ops->unreachable(s->port, &s->lost))
        s->n_lost++;
    if (ops->is_waiting(s->port))
        ops->flush(s->port);
}

// Turns of `a` (and `b`, which may be NULL) until the condition holds.
#define stage_until(a, b, condition)                                                               \
    do {                                                                                           \
        uint64_t until_ms = stage_ms() + STAGE_PATIENCE_MS;                                        \
        while (!(condition)) {                                                                     \
            if (stage_ms() > until_ms)                                                             \
                fail_msg("not in time: %s", #condition);                                           \
            stage_turn((a), 2);                                                                    \
            if ((b))                                                                               \
                stage_turn((b), 2);                                                                \
        }                                                                                          \
    } while (0)

#define STAGE_NONE ((struct stage *)NULL)

static inline void stage_send(struct stage *s, const struct hop *to, const char *text)
{
    struct port_way way = {.to = *to};
    s->port->ops->send(s->port, &way, text_of(text));
}

static inline int stage_connect(const struct hop *to)
{
    struct sockaddr_storage a;
    socklen_t n = sip_stream_to_sockaddr(&a, to, to->port);
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, n))
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

static inline void stage_write(int fd, struct text t)
{
    assert_int_equal(send(fd, t.p, t.n, MSG_NOSIGNAL), t.n);
}

// What is there to be read now, as text; "closed" at the end of the stream, "" if nothing is.
static inline const char *stage_read(int fd)
{
    static char text[65536];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? "" : "closed";
    text[n] = '\0';
    return n ? text : "closed";
}

// Turns until the socket says something.
static inline const char *stage_expect(struct stage *s, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t until_ms = stage_ms() + STAGE_PATIENCE_MS;
    while (poll(&p, 1, 0) != 1) {
        if (stage_ms() > until_ms)
            fail_msg("nothing came");
        stage_turn(s, 2);
    }
    return stage_read(fd);
}

#endif
