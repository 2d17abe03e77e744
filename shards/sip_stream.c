// SIP over TCP and TLS: the port that holds a shard's connections, its epoll set and its times.
#include "shards/sip_stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shards/clock.h"
#include "shards/log.h"
#include "shards/sip_stream_inner.h"

struct sip_stream_tuning sip_stream_tuning = {
    .connections_max = SIP_STREAM_CONNECTIONS_MAX,
    .reserved = SIP_STREAM_RESERVED,
    .per_address_max = SIP_STREAM_PER_ADDRESS_MAX,
    .strangers_max = SIP_STREAM_STRANGERS_MAX,
    .handshakes_max = SIP_STREAM_HANDSHAKES_MAX,
    .queue_bytes_max = SIP_STREAM_QUEUE_BYTES_MAX,
    .stranger_queue_bytes_max = SIP_STREAM_STRANGER_QUEUE_BYTES_MAX,
    .queues_bytes_max = SIP_STREAM_QUEUES_BYTES_MAX,
    .connect_ms = SIP_STREAM_CONNECT_MS,
    .handshake_ms = SIP_STREAM_HANDSHAKE_MS,
    .message_ms = SIP_STREAM_MESSAGE_MS,
    .first_ms = SIP_STREAM_FIRST_MS,
    .idle_ms = SIP_STREAM_IDLE_MS,
    .stall_ms = SIP_STREAM_STALL_MS,
    .ping_ms = SIP_STREAM_PING_MS,
    .pong_ms = SIP_STREAM_PONG_MS,
    .linger_ms = SIP_STREAM_LINGER_MS,
    .tick_ms = SIP_STREAM_TICK_MS,
    .yield_ms = SIP_STREAM_YIELD_MS,
    .yield_first_ms = SIP_STREAM_YIELD_FIRST_MS,
};

// An epoll event's data is a connection's address, or one of these, which are none.
enum { TAG_TIMER = 1, TAG_LISTENER = 2, TAG_END = TAG_LISTENER + SIP_STREAM_LISTEN_MAX };

// ---- The log -----------------------------------------------------------------------------------

static void write_hop(char out[96], const struct hop *h)
{
    struct buffer b;
    buffer_init(&b, 0);
    hop_write_host(&b, h);
    snprintf(out, 96, h->family == 4 ? "%s:%.*s:%u" : "%s:[%.*s]:%u",
             h->transport == HOP_TLS ? "tls" : "tcp", (int)b.n, b.p, h->port);
    buffer_free(&b);
}

void sip_stream_say(struct sip_stream *s, const char *event, const struct hop *hop, const char *why)
{
    char peer[96];
    if (s->now_ms - s->lines_ms >= SIP_STREAM_LINES_MS) {
        if (s->unsaid)
            log_warn("sip_connections_unsaid", "lines", LOG_U64(s->unsaid), NULL);
        s->lines = s->unsaid = 0;
        s->lines_ms = s->now_ms;
    }
    if (s->lines == SIP_STREAM_LINES_MAX) {
        s->unsaid++;
        return;
    }
    s->lines++;
    write_hop(peer, hop);
    log_warn(event, "peer", peer, "why", why, NULL);
}

// ---- Times -------------------------------------------------------------------------------------

static void set_timer(struct sip_stream *s, uint32_t first_ns, uint32_t every_ms)
{
    struct timespec every = {.tv_sec = every_ms / 1000, .tv_nsec = every_ms % 1000 * 1000000L};
    struct itimerspec t = {.it_interval = every, .it_value = every};
    if (first_ns)
        t.it_value = (struct timespec){.tv_nsec = first_ns};
    timerfd_settime(s->timer, 0, &t, NULL);
}

void sip_stream_tick_on(struct sip_stream *s)
{
    if (s->ticking)
        return;
    s->ticking = true;
    set_timer(s, 0, sip_stream_tuning.tick_ms);
}

void sip_stream_wake(struct sip_stream *s)
{
    s->ticking = true;
    set_timer(s, 1, sip_stream_tuning.tick_ms);
}

static int watch_listener(struct sip_stream *s, size_t i)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = TAG_LISTENER + i};
    int error = epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener[i].fd, &ev) ? errno : 0;
    error = error == EEXIST ? 0 : error; // it was never let go of
    s->listener[i].watched = !error;
    return error;
}

static void tick(struct sip_stream *s)
{
    uint64_t times;
    bool rests = false;
    if (read(s->timer, &times, sizeof times) < 0)
        return; // it was stopped since
    for (struct sip_stream_peer *c = s->all, *after; c; c = after) {
        after = c->after;
        sip_stream_look_after(s, c);
    }
    for (size_t i = 0; i < s->n_listeners; i++)
        rests = (!s->listener[i].watched && watch_listener(s, i)) || rests;
    if (s->all || rests)
        return;
    s->ticking = false; // a gateway that talks over UDP only is not to wake for this
    set_timer(s, 0, 0);
}

// ---- The port ----------------------------------------------------------------------------------

static void sip_stream_flush(struct port *p)
{
    struct sip_stream *s = sip_stream_of(p);
    s->now_ms = clock_monotonic_us() / 1000;
    for (struct sip_stream_peer *c; (c = s->dirty) != NULL;) {
        s->dirty = c->next;
        if (!s->dirty)
            s->dirty_end = &s->dirty;
        c->dirty = false;
        if (c->state == SIP_STREAM_GONE) {
            c->next = s->gone;
            s->gone = c;
        } else {
            sip_stream_write(s, c);
        }
    }
    sip_stream_bury(s);
}

static void sip_stream_close(struct port *p)
{
    struct sip_stream *s = sip_stream_of(p);
    while (s->all)
        sip_stream_drop(s, s->all);
    sip_stream_flush(p); // which buries those that had something to say
    for (size_t i = 0; i < s->n_listeners; i++)
        close(s->listener[i].fd);
    if (s->timer >= 0)
        close(s->timer);
    if (s->epoll >= 0)
        close(s->epoll);
    sip_stream_free_tables(s);
    free(s->lost);
    free(s->scratch);
    free(s);
}

static int listen_socket(const struct hop *at, bool shared)
{
    struct sockaddr_storage a;
    int on = 1;
    socklen_t n = sip_stream_to_sockaddr(&a, at, at->port);
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    // Connections of a former life may still be fading away on the port.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) ||
        (at->family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)) ||
        bind(fd, (struct sockaddr *)&a, n) || listen(fd, SIP_STREAM_BACKLOG)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int open_listener(struct sip_stream *s, const struct sip_stream_setup *setup,
                         const struct hop *at)
{
    assert(s->n_listeners < SIP_STREAM_LISTEN_MAX);
    if (at->transport == HOP_TLS && (!s->tls || !sip_tls_can_accept(s->tls)))
        return EPROTONOSUPPORT;
    int fd = listen_socket(at, setup->port.shared);
    if (fd < 0)
        return errno;
    s->listener[s->n_listeners] =
        (struct sip_stream_listener){.fd = fd, .transport = at->transport};
    return watch_listener(s, s->n_listeners++);
}

static int open_listeners(struct sip_stream *s, const struct sip_stream_setup *setup)
{
    for (size_t i = 0; i < setup->n_listen; i++) {
        if (setup->listen[i].transport == HOP_UDP)
            continue;
        int error = open_listener(s, setup, &setup->listen[i]);
        if (error && setup->failed)
            *setup->failed = &setup->listen[i];
        if (error)
            return error;
    }
    return 0;
}

static int open_descriptors(struct sip_stream *s)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = TAG_TIMER};
    uint64_t seed;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    s->scratch = malloc(SIP_STREAM_READ_BYTES);
    if (s->epoll < 0 || s->timer < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->timer, &ev))
        return errno;
    if (!s->scratch)
        return ENOMEM;
    if (getrandom(s->key, sizeof s->key, 0) != sizeof s->key ||
        getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return errno;
    hash_random_init(&s->random, seed, 0);
    return 0;
}

int sip_stream_open(struct port **out, const struct sip_stream_setup *setup)
{
    struct sip_stream *s = calloc(1, sizeof *s);
    *out = NULL;
    if (setup->failed)
        *setup->failed = NULL;
    if (!s)
        return ENOMEM;
    s->port = (struct port){.ops = &sip_stream_ops,
                            .id = setup->port.id,
                            .waited_ms = UINT32_MAX,
                            .count = setup->port.count};
    s->count = &setup->port.count->stream;
    s->message_max = setup->port.message_max;
    s->local = setup->port.local;
    s->tls = setup->tls;
    s->descriptors = setup->descriptors ? setup->descriptors : SIP_STREAM_CONNECTIONS_MAX;
    s->trusts = setup->trusts;
    s->trusts_arg = setup->trusts_arg;
    s->dirty_end = &s->dirty;
    s->epoll = s->timer = -1;
    s->now_ms = clock_monotonic_us() / 1000;
    int error = open_descriptors(s);
    if (!error)
        error = open_listeners(s, setup);
    if (error)
        sip_stream_close(&s->port);
    else
        *out = &s->port;
    return error;
}

static int sip_stream_fd(const struct port *p)
{
    return ((const struct sip_stream *)p)->epoll;
}

static void handle(struct sip_stream *s, const struct epoll_event *ev, bool *ticked)
{
    if (ev->data.u64 == TAG_TIMER)
        *ticked = true;
    else if (ev->data.u64 < TAG_END)
        sip_stream_accept(s, &s->listener[ev->data.u64 - TAG_LISTENER]);
    else
        sip_stream_step(s, ev->data.ptr, ev->events);
}

// Begins where the last call ended: who says much can't keep the others from being heard.
static bool sip_stream_receive(struct port *p, port_receive_cb cb, void *arg)
{
    struct sip_stream *s = sip_stream_of(p);
    struct epoll_event ev[SIP_STREAM_EVENTS];
    bool ticked = false;
    s->now_ms = clock_monotonic_us() / 1000;
    s->cb = cb;
    s->arg = arg;
    s->turn_bytes = 0;
    int n = epoll_wait(s->epoll, ev, SIP_STREAM_EVENTS, 0);
    for (int i = 0; i < n && s->turn_bytes < SIP_STREAM_TURN_BYTES; i++)
        handle(s, &ev[s->first++ % (unsigned)n], &ticked);
    if (ticked) // last: it may end any connection
        tick(s);
    sip_stream_bury(s);
    return n == SIP_STREAM_EVENTS || s->turn_bytes >= SIP_STREAM_TURN_BYTES;
}

// What a connection's peer does not take now is the inner epoll set's concern.
static bool sip_stream_is_waiting(const struct port *p)
{
    return ((const struct sip_stream *)p)->dirty != NULL;
}

static bool sip_stream_unreachable(struct port *p, struct hop *out)
{
    struct sip_stream *s = sip_stream_of(p);
    if (s->n_lost == 0)
        return false;
    *out = s->lost[--s->n_lost];
    return true;
}

const struct port_ops sip_stream_ops = {
    .close = sip_stream_close,
    .fd = sip_stream_fd,
    .receive = sip_stream_receive,
    .send = sip_stream_send,
    .flush = sip_stream_flush,
    .is_waiting = sip_stream_is_waiting,
    .unreachable = sip_stream_unreachable,
};
