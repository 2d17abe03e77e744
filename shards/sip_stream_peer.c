// The life of one connection: opened or accepted, shaking hands, open, ending, gone.
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shards/sip_stream_inner.h"

// ---- What it is watched for --------------------------------------------------------------------

// Who connected to us, and does not take his answers, is not asked for more requests: they would be
// parsed for answers that have no room. One that we opened is always read, for it has the answers
// that a peer of our kind may be waiting to get rid of before he listens again.
static bool is_heard(const struct sip_stream_peer *c)
{
    return c->outgoing || sip_stream_waiting(c) <= sip_stream_queue_max(c) / 2;
}

static uint32_t wanted_mask(const struct sip_stream_peer *c)
{
    bool tls_writes = c->tls && sip_tls_wants_write(c->tls);
    switch ((enum sip_stream_state)c->state) {
    case SIP_STREAM_CONNECTING: return EPOLLOUT;
    case SIP_STREAM_HANDSHAKE: return tls_writes ? EPOLLOUT : EPOLLIN;
    case SIP_STREAM_OPEN:
        return (is_heard(c) ? EPOLLIN | EPOLLRDHUP : 0u) |
               (c->blocked || tls_writes ? EPOLLOUT : 0u);
    case SIP_STREAM_ENDING: return (c->eof ? 0u : EPOLLIN) | (c->blocked ? EPOLLOUT : 0u);
    case SIP_STREAM_GONE: break;
    }
    return 0;
}

void sip_stream_watch(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct epoll_event ev = {.events = wanted_mask(c), .data.ptr = c};
    if (c->state == SIP_STREAM_GONE || c->mask == ev.events)
        return;
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev) == 0)
        c->mask = ev.events; // else the next tick tries again
}

static void enter_state(struct sip_stream *s, struct sip_stream_peer *c,
                        enum sip_stream_state state)
{
    c->state = (uint8_t)state;
    c->since_ms = s->now_ms;
    sip_stream_watch(s, c);
}

// ---- The end -----------------------------------------------------------------------------------

void sip_stream_lose(struct sip_stream *s, const struct hop *hop)
{
    sip_stream_wake(s);
    for (size_t i = 0; i < s->n_lost; i++)
        if (hop_eq(&s->lost[i], hop))
            return;
    if (s->n_lost == s->lost_cap) {
        size_t cap = s->lost_cap ? 2 * s->lost_cap : 8;
        struct hop *lost = cap <= SIP_STREAM_LOST_MAX ? realloc(s->lost, cap * sizeof *lost) : NULL;
        if (!lost)
            return; // timers will tell
        s->lost = lost;
        s->lost_cap = cap;
    }
    s->lost[s->n_lost++] = *hop;
}

void sip_stream_drop(struct sip_stream *s, struct sip_stream_peer *c)
{
    assert(c->state != SIP_STREAM_GONE);
    if (c->asked)
        sip_stream_lose(s, &c->hop);
    if (sip_stream_waiting(c))
        s->port.count->send_failures += c->n_out;
    s->count->queued_bytes -= sip_stream_waiting(c);
    sip_stream_leave(s, c);
    sip_stream_forget_peer(s, c);
    sip_tls_end(c->tls);
    c->tls = NULL;
    close(c->fd);
    c->state = SIP_STREAM_GONE;
    if (c->dirty)
        return; // flush() has it in its list, and buries it
    c->next = s->gone;
    s->gone = c;
}

void sip_stream_bury(struct sip_stream *s)
{
    for (struct sip_stream_peer *c; (c = s->gone) != NULL; free(c)) {
        s->gone = c->next;
        buffer_free(&c->in);
        buffer_free(&c->out);
        free(c->server_name);
    }
}

void sip_stream_break(struct sip_stream *s, struct sip_stream_peer *c, const char *why)
{
    s->count->broken++;
    sip_stream_say(s, "sip_connection_lost", &c->hop, why);
    if (c->state == SIP_STREAM_ENDING)
        sip_stream_say_again(s, c);
    sip_stream_drop(s, c);
}

static void fail(struct sip_stream *s, struct sip_stream_peer *c, uint64_t *counter,
                 const char *why)
{
    ++*counter;
    sip_stream_say(s, c->outgoing ? "sip_connect_failed" : "sip_handshake_failed", &c->hop, why);
    sip_stream_drop(s, c);
}

void sip_stream_end(struct sip_stream *s, struct sip_stream_peer *c)
{
    buffer_free(&c->in);
    enter_state(s, c, SIP_STREAM_ENDING);
    sip_stream_make_dirty(s, c);
}

// ---- The beginning -----------------------------------------------------------------------------

// Batches are made here, so none is to wait for the kernel's; and a peer that is gone without a
// word is to be noticed.
static void set_options(int fd)
{
    int on = 1, timeout_ms = (int)sip_stream_tuning.stall_ms;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

// A random time below the bound, by 20 % at most (RFC 5626 §4.4.1).
static uint64_t next_ping_ms(struct sip_stream *s)
{
    uint32_t most = sip_stream_tuning.ping_ms;
    return s->now_ms + most - hash_random_below(&s->random, most / 5 + 1);
}

// The descriptor is taken over, also when there is no memory, or epoll's is at its end: NULL, which
// is counted.
static struct sip_stream_peer *adopt(struct sip_stream *s, int fd, const struct hop *hop,
                                     bool outgoing)
{
    struct sip_stream_peer *c = calloc(1, sizeof *c);
    struct epoll_event ev = {.data.ptr = c};
    if (!c || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev)) {
        s->count->refused_full++;
        sip_stream_say(s, outgoing ? "sip_connect_failed" : "sip_accept_failed", hop,
                       strerror(errno));
        free(c);
        close(fd);
        return NULL;
    }
    c->hop = *hop;
    c->fd = fd;
    c->outgoing = outgoing;
    c->heard_ms = c->message_ms = s->now_ms;
    c->ping_due_ms = next_ping_ms(s);
    buffer_init(&c->in, s->message_max + SIP_STREAM_READ_BYTES + 1);
    // Twice, because what is sent is cut off only when it is half of what is there.
    buffer_init(&c->out, 2 * sip_stream_tuning.queue_bytes_max);
    set_options(fd);
    sip_stream_enter(s, c);
    sip_stream_tick_on(s);
    return c;
}

static void become_open(struct sip_stream *s, struct sip_stream_peer *c)
{
    ++*(c->outgoing ? &s->count->connected : &s->count->accepted);
    sip_stream_greeted(s, c);
    enter_state(s, c, SIP_STREAM_OPEN);
    if (sip_stream_waiting(c))
        sip_stream_make_dirty(s, c);
}

static void shake_hands(struct sip_stream *s, struct sip_stream_peer *c)
{
    s->turn_bytes += SIP_STREAM_HANDSHAKE_BYTES;
    int error = sip_tls_handshake(c->tls);
    if (error == 0)
        become_open(s, c);
    else if (error == EAGAIN)
        sip_stream_watch(s, c);
    else
        fail(s, c, &s->count->tls_failures, sip_tls_why(c->tls));
}

static void connected(struct sip_stream *s, struct sip_stream_peer *c)
{
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error) {
        fail(s, c, &s->count->connect_failures, strerror(error));
    } else if (c->hop.transport == HOP_TCP) {
        become_open(s, c);
    } else if ((c->tls = sip_tls_connect(s->tls, c->fd, text_of(c->server_name), &c->hop))) {
        enter_state(s, c, SIP_STREAM_HANDSHAKE);
        shake_hands(s, c);
    } else {
        fail(s, c, &s->count->tls_failures, "no memory");
    }
}

socklen_t sip_stream_to_sockaddr(struct sockaddr_storage *a, const struct hop *h, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)a;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;
    memset(a, 0, sizeof *a);
    if (h->family == 4) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, h->ip, 4);
        return sizeof *in;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, h->ip, 16);
    return sizeof *in6;
}

static void from_sockaddr(struct hop *h, const struct sockaddr_storage *a, uint8_t transport)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
    memset(h, 0, sizeof *h);
    h->transport = transport;
    if (a->ss_family == AF_INET) {
        h->family = 4;
        h->port = ntohs(in->sin_port);
        memcpy(h->ip, &in->sin_addr, 4);
    } else {
        h->family = 6;
        h->port = ntohs(in6->sin6_port);
        memcpy(h->ip, &in6->sin6_addr, 16);
    }
}

// From the address that UDP leaves from, if it can be: peers know us by it.
static void bind_local(const struct sip_stream *s, int fd, const struct hop *to)
{
    struct sockaddr_storage a;
    int on = 1;
    if (s->local.family != to->family)
        return;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on); // of IPv6 too
    socklen_t n = sip_stream_to_sockaddr(&a, &s->local, 0);
    if (bind(fd, (struct sockaddr *)&a, n))
        return; // the kernel chooses then
}

// -1 with errno: it failed at once.
static int begin_connect(const struct sip_stream *s, const struct hop *to)
{
    struct sockaddr_storage a;
    socklen_t n = sip_stream_to_sockaddr(&a, to, to->port);
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bind_local(s, fd, to);
    if (connect(fd, (struct sockaddr *)&a, n) == 0 || errno == EINPROGRESS || errno == EINTR)
        return fd; // interrupted, it goes on by itself
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool is_own_fault(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static int failed_at_once(struct sip_stream *s, const struct hop *to, bool is_request, int error)
{
    sip_stream_say(s, "sip_connect_failed", to, strerror(error));
    if (is_own_fault(error)) {
        s->count->refused_full++;
        return -1;
    }
    s->count->connect_failures++;
    if (is_request)
        sip_stream_lose(s, to);
    return -1;
}

static int try_connect(struct sip_stream *s, const struct hop *to, bool is_request)
{
    if (!sip_stream_has_place(s, is_request)) {
        s->count->refused_full++;
        return -1;
    }
    if (to->transport == HOP_TLS && !s->tls)
        return failed_at_once(s, to, is_request, EPROTONOSUPPORT);
    int fd = begin_connect(s, to);
    return fd >= 0 ? fd : failed_at_once(s, to, is_request, errno);
}

static void refuse(struct sip_stream *s, struct sip_stream_peer *c, const char *why)
{
    sip_stream_say(s, "sip_connection_refused", &c->hop, why);
    sip_stream_drop(s, c);
}

struct sip_stream_peer *sip_stream_connect(struct sip_stream *s, const struct hop *to,
                                           struct text server_name, bool is_request)
{
    int fd = try_connect(s, to, is_request);
    struct sip_stream_peer *c = fd >= 0 ? adopt(s, fd, to, true) : NULL;
    const char *why = c && !is_request ? sip_stream_count_peer(s, c) : NULL;
    if (why)
        refuse(s, c, why);
    if (!c || why)
        return NULL;
    c->server_name = server_name.n ? strndup(server_name.p, server_name.n) : NULL;
    enter_state(s, c, SIP_STREAM_CONNECTING);
    return c;
}

// NULL, or why there is no place for it.
static const char *make_place(struct sip_stream *s, const struct hop *from)
{
    if (from->transport == HOP_TLS && !sip_stream_may_greet(s))
        return "there are too many TLS handshakes";
    if (sip_stream_has_place(s, false) || sip_stream_make_place(s, from))
        return NULL;
    s->count->refused_full++;
    return "there are too many connections";
}

static void accept_one(struct sip_stream *s, int fd, const struct hop *from)
{
    const char *no_place = make_place(s, from);
    if (no_place) {
        sip_stream_say(s, "sip_connection_refused", from, no_place);
        close(fd);
        return;
    }
    struct sip_stream_peer *c = adopt(s, fd, from, false);
    if (!c)
        return;
    const char *why = sip_stream_count_peer(s, c);
    sip_stream_heard_of(s, c);
    if (why) {
        refuse(s, c, why);
    } else if (from->transport == HOP_TCP) {
        become_open(s, c);
    } else if ((c->tls = sip_tls_accept(s->tls, fd))) {
        enter_state(s, c, SIP_STREAM_HANDSHAKE);
        sip_stream_greets(s, c);
    } else {
        fail(s, c, &s->count->tls_failures, "no memory");
    }
}

// What waits in the kernel is taken in when there are descriptors again.
static void rest_listener(struct sip_stream *s, struct sip_stream_listener *l, int error)
{
    struct hop nobody = {.family = 4, .transport = l->transport};
    s->count->refused_full++;
    sip_stream_say(s, "sip_accept_failed", &nobody, strerror(error));
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, l->fd, NULL);
    l->watched = false;
    sip_stream_tick_on(s);
}

void sip_stream_accept(struct sip_stream *s, struct sip_stream_listener *l)
{
    for (int i = 0, gone = 0; i < SIP_STREAM_ACCEPTS; i++) {
        struct sockaddr_storage a;
        socklen_t n = sizeof a;
        struct hop from;
        int fd = accept4(l->fd, (struct sockaddr *)&a, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (fd < 0 && is_own_fault(errno)) {
            rest_listener(s, l, errno);
            return;
        }
        if (fd < 0) {                         // it was gone before it was taken
            if (++gone == SIP_STREAM_ACCEPTS) // or the listener is ill, and is not to keep us busy
                rest_listener(s, l, errno);
            continue;
        }
        from_sockaddr(&from, &a, l->transport);
        accept_one(s, fd, &from);
    }
}

// ---- In between --------------------------------------------------------------------------------

static void step_open(struct sip_stream *s, struct sip_stream_peer *c, uint32_t events)
{
    if (events & EPOLLOUT) {
        c->blocked = false;
        if (sip_stream_waiting(c))
            sip_stream_make_dirty(s, c);
    }
    if (events & ~(uint32_t)EPOLLOUT || (c->tls && sip_tls_wants_write(c->tls)))
        sip_stream_read(s, c, events & EPOLLRDHUP);
    if (c->state != SIP_STREAM_GONE)
        sip_stream_watch(s, c);
}

void sip_stream_step(struct sip_stream *s, struct sip_stream_peer *c, uint32_t events)
{
    switch ((enum sip_stream_state)c->state) {
    case SIP_STREAM_CONNECTING: connected(s, c); return;
    case SIP_STREAM_HANDSHAKE: shake_hands(s, c); return;
    case SIP_STREAM_ENDING:
        if (c->eof && events & (EPOLLERR | EPOLLHUP)) {
            sip_stream_break(s, c, "gone before it had its answer");
            return;
        }
        break;
    case SIP_STREAM_OPEN: break;
    case SIP_STREAM_GONE: return;
    }
    step_open(s, c, events);
}

static bool is_over(const struct sip_stream *s, uint64_t since_ms, uint32_t most_ms)
{
    return s->now_ms - since_ms >= most_ms;
}

static void time_out(struct sip_stream *s, struct sip_stream_peer *c, uint64_t *counter,
                     const char *why)
{
    ++*counter;
    sip_stream_break(s, c, why);
}

// RFC 5626 §3.5.1. A late pong is none, but whatever else was heard is a sign of life as well.
static void keep_alive(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (c->pong_due_ms) {
        if (s->now_ms < c->pong_due_ms)
            return;
        bool heard = c->heard_ms + sip_stream_tuning.pong_ms >= c->pong_due_ms;
        c->pong_due_ms = 0;
        if (!heard)
            time_out(s, c, &s->count->pongs_missed, "no answer to a keep-alive");
        return;
    }
    if (!c->outgoing || s->now_ms < c->ping_due_ms)
        return;
    bool silent = is_over(s, c->heard_ms, sip_stream_tuning.ping_ms / 5 * 4);
    c->ping_due_ms = next_ping_ms(s);
    if (silent && sip_stream_waiting(c) == 0 && sip_stream_queue(s, c, TEXT("\r\n\r\n")))
        c->pong_due_ms = s->now_ms + sip_stream_tuning.pong_ms;
}

static void look_after_open(struct sip_stream *s, struct sip_stream_peer *c)
{
    const struct sip_stream_tuning *t = &sip_stream_tuning;
    // What somebody keeps alive who connected to us is wanted, once he has used it; what we keep
    // alive is to be of use.
    uint64_t last_ms = c->outgoing ? c->message_ms : c->spoke ? c->heard_ms : c->since_ms;
    if (c->partial_ms && !is_heard(c))
        c->partial_ms = s->now_ms; // it is we who keep its rest waiting
    if (c->partial_ms && is_over(s, c->partial_ms, t->message_ms)) {
        time_out(s, c, &s->count->message_timeouts, "a message that does not end");
    } else if (c->stalled_ms && is_over(s, c->stalled_ms, t->stall_ms)) {
        time_out(s, c, &s->count->stalls, "the peer reads nothing");
    } else if (is_over(s, last_ms, c->outgoing || c->spoke ? t->idle_ms : t->first_ms)) {
        s->count->idle_closed++;
        sip_stream_drop(s, c);
    } else {
        keep_alive(s, c);
    }
}

static void free_empty(struct sip_stream_peer *c)
{
    if (c->in.n == 0)
        buffer_free(&c->in);
    if (c->out.n == 0)
        buffer_free(&c->out);
}

void sip_stream_look_after(struct sip_stream *s, struct sip_stream_peer *c)
{
    const struct sip_stream_tuning *t = &sip_stream_tuning;
    free_empty(c);
    sip_stream_watch(s, c);
    switch ((enum sip_stream_state)c->state) {
    case SIP_STREAM_CONNECTING:
        if (is_over(s, c->since_ms, t->connect_ms))
            fail(s, c, &s->count->connect_timeouts, "no connection within its time");
        return;
    case SIP_STREAM_HANDSHAKE:
        if (is_over(s, c->since_ms, t->handshake_ms))
            fail(s, c, &s->count->handshake_timeouts, "no end of the TLS handshake");
        return;
    case SIP_STREAM_ENDING:
        if (is_over(s, c->since_ms, t->linger_ms))
            sip_stream_drop(s, c);
        return;
    case SIP_STREAM_OPEN: look_after_open(s, c); return;
    case SIP_STREAM_GONE: return;
    }
}
