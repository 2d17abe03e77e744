// The connector: one thread that opens the wanted component streams and hands each to its shard.
#include "shards/xmpp_connect.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shards/log.h"
#include "shards/xmpp_open.h"

enum { ADDRESSES_MAX = 8 };

enum connect_phase {
    CONNECT_UNWANTED,
    CONNECT_WAITING, // until retry_ms
    CONNECT_OPENING,
    CONNECT_HANDED, // its shard has it
};

struct connect_stream {
    enum connect_phase phase;
    uint32_t delay_ms; // before the attempt after the next failure
    uint64_t retry_ms, handed_ms;
    unsigned attempts; // counts through the server's addresses
    struct xmpp_open *open;
};

struct xmpp_connect {
    struct fabric_end end;
    struct stream_table *table;
    const struct clock *clock;
    unsigned connections;
    char *host, *secret;
    uint16_t port;
    pthread_t thread;
    bool running;
    _Atomic bool stopping;
    uint64_t random;
    // What the server's name resolves to, numeric.
    uint64_t resolved_ms;
    size_t n_addresses;
    char address[ADDRESSES_MAX][64];
    int spare_fd; // what a kept low number stands for while nobody needs it
    int low_fd[XMPP_CONNECT_AT_ONCE];
    unsigned n_opening;
    size_t n_streams;
    struct connect_stream *stream; // by number; grows with the table
};

// One below XMPP_OPEN_LOW_FD, or -1: the process holds too many.
static int low_fd_keep(int spare_fd)
{
    int fd = fcntl(spare_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < XMPP_OPEN_LOW_FD)
        return fd;
    close(fd);
    return -1;
}

// -1: all are in use, or lost to others for now.
static int low_fd_take(struct xmpp_connect *c)
{
    for (size_t i = 0; i < XMPP_CONNECT_AT_ONCE; i++) {
        int fd = c->low_fd[i];
        c->low_fd[i] = -1;
        if (fd >= 0)
            return fd;
    }
    return low_fd_keep(c->spare_fd);
}

static void low_fd_put_back(struct xmpp_connect *c)
{
    for (size_t i = 0; i < XMPP_CONNECT_AT_ONCE; i++) {
        if (c->low_fd[i] < 0) {
            c->low_fd[i] = low_fd_keep(c->spare_fd);
            return;
        }
    }
}

int xmpp_connect_create(struct xmpp_connect **out, const struct xmpp_connect_setup *setup)
{
    struct xmpp_connect *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return ENOMEM;
    fabric_end_init(&c->end, setup->fabric, fabric_connector(setup->fabric));
    c->table = setup->table;
    c->clock = setup->clock;
    c->connections = setup->connections;
    c->host = strdup(setup->host);
    c->secret = strdup(setup->secret);
    c->port = setup->port;
    c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int unspared = c->spare_fd < 0 ? errno : EMFILE;
    for (size_t i = 0; i < XMPP_CONNECT_AT_ONCE; i++)
        c->low_fd[i] = c->spare_fd < 0 ? -1 : low_fd_keep(c->spare_fd);
    if (getrandom(&c->random, sizeof c->random, 0) < 0 || c->random == 0)
        c->random = 1;
    int error = !c->host || !c->secret ? ENOMEM : c->low_fd[0] < 0 ? unspared : 0;
    if (error)
        xmpp_connect_destroy(c);
    else
        *out = c;
    return error;
}

void xmpp_connect_destroy(struct xmpp_connect *c)
{
    if (!c)
        return;
    assert(!c->running);
    for (size_t i = 0; i < XMPP_CONNECT_AT_ONCE; i++)
        if (c->low_fd[i] >= 0)
            close(c->low_fd[i]);
    if (c->spare_fd >= 0)
        close(c->spare_fd);
    fabric_end_free(&c->end);
    free(c->stream);
    free(c->host);
    free(c->secret);
    free(c);
}

// 0.75 to 1.25 of it: streams that were lost together don't come back together.
static uint32_t with_jitter(struct xmpp_connect *c, uint32_t delay_ms)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return delay_ms - delay_ms / 4 + (uint32_t)(c->random % (delay_ms / 2 + 1));
}

static void connect_later(struct xmpp_connect *c, struct connect_stream *s, uint64_t now_ms)
{
    s->phase = CONNECT_WAITING;
    s->retry_ms = now_ms + with_jitter(c, s->delay_ms);
    s->delay_ms = s->delay_ms * 2 < XMPP_CONNECT_MOST_MS ? s->delay_ms * 2 : XMPP_CONNECT_MOST_MS;
}

// All of the server's addresses are tried, one after the other, before there is a delay.
static void connect_failed(struct xmpp_connect *c, uint32_t i, const char *why, uint64_t now_ms)
{
    struct connect_stream *s = &c->stream[i];
    char domain[STREAM_DOMAIN_BYTES];
    stream_table_wanted(c->table, i, domain);
    stream_table_set(c->table, i, false, why, now_ms);
    if (c->n_addresses && s->attempts % c->n_addresses) {
        s->phase = CONNECT_WAITING;
        s->retry_ms = now_ms;
        return;
    }
    connect_later(c, s, now_ms);
    log_warn("stream_failed", "domain", domain, "why", why, "retry_ms",
             LOG_U64(s->retry_ms - now_ms), NULL);
}

static void connect_keep_addresses(struct xmpp_connect *c, const struct addrinfo *list)
{
    c->n_addresses = 0;
    for (; list && c->n_addresses < ADDRESSES_MAX; list = list->ai_next) {
        char *to = c->address[c->n_addresses];
        if (!getnameinfo(list->ai_addr, list->ai_addrlen, to, sizeof c->address[0], NULL, 0,
                         NI_NUMERICHOST))
            c->n_addresses++;
    }
}

// The server's name is looked up here, so that libstrophe is given numbers, the reason of a failure
// is known, and many streams to one server ask once.
static const char *connect_resolve(struct xmpp_connect *c, uint64_t now_ms)
{
    if (c->n_addresses && now_ms - c->resolved_ms < XMPP_CONNECT_RESOLVE_MS)
        return NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(c->host, NULL, &hints, &list);
    if (error)
        return error == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(error);
    connect_keep_addresses(c, list);
    freeaddrinfo(list);
    c->resolved_ms = now_ms;
    return c->n_addresses ? NULL : "the server's name has no address";
}

// False: as many as may are being opened.
static bool connect_open(struct xmpp_connect *c, uint32_t i, uint64_t now_ms)
{
    if (c->n_opening == XMPP_CONNECT_AT_ONCE)
        return false;
    struct connect_stream *s = &c->stream[i];
    char domain[STREAM_DOMAIN_BYTES], why[XMPP_OPEN_WHY_MAX];
    stream_table_wanted(c->table, i, domain);
    const char *unresolved = connect_resolve(c, now_ms);
    int low_fd = unresolved ? -1 : low_fd_take(c);
    if (low_fd < 0) {
        snprintf(why, sizeof why, "%s: %s", c->host,
                 unresolved ? unresolved : "no descriptor below 1024 is free");
        connect_failed(c, i, why, now_ms);
        return true;
    }
    struct xmpp_open_target target = {.domain = domain,
                                      .secret = c->secret,
                                      .host = c->address[s->attempts++ % c->n_addresses],
                                      .port = c->port};
    s->open = xmpp_open_start(&target, low_fd, now_ms, why);
    if (s->open) {
        s->phase = CONNECT_OPENING;
        c->n_opening++;
        return true;
    }
    low_fd_put_back(c);
    connect_failed(c, i, why, now_ms);
    return true;
}

static void connect_close(struct xmpp_connect *c, struct connect_stream *s)
{
    xmpp_open_destroy(s->open);
    s->open = NULL;
    c->n_opening--;
    low_fd_put_back(c);
}

static void connect_hand_over(struct xmpp_connect *c, uint32_t i, int fd, uint64_t now_ms)
{
    struct connect_stream *s = &c->stream[i];
    struct message_stream m = {.kind = MESSAGE_STREAM_OPEN, .stream = i, .fd = fd};
    unsigned home = stream_home(i, c->connections, c->end.fabric->shards);
    if (fabric_send(&c->end, home, &m, sizeof m, (struct text){0})) {
        close(fd);
        connect_failed(c, i, "its shard takes no messages", now_ms);
        return;
    }
    s->phase = CONNECT_HANDED;
    s->handed_ms = now_ms;
}

static void connect_run(struct xmpp_connect *c, uint32_t i, uint64_t now_ms)
{
    struct connect_stream *s = &c->stream[i];
    char why[XMPP_OPEN_WHY_MAX];
    switch (xmpp_open_run(s->open, now_ms)) {
    case XMPP_OPEN_PENDING: return;
    case XMPP_OPEN_DONE: {
        int fd = xmpp_open_take(s->open);
        connect_close(c, s);
        connect_hand_over(c, i, fd, now_ms);
        return;
    }
    case XMPP_OPEN_FAILED:
        snprintf(why, sizeof why, "%s", xmpp_open_why(s->open));
        connect_close(c, s);
        connect_failed(c, i, why, now_ms);
        return;
    }
}

static bool connect_make_room(struct xmpp_connect *c, uint32_t end)
{
    if (end <= c->n_streams)
        return true;
    struct connect_stream *stream = realloc(c->stream, end * sizeof *stream);
    if (!stream)
        return false;
    memset(stream + c->n_streams, 0, (end - c->n_streams) * sizeof *stream);
    c->stream = stream;
    c->n_streams = end;
    return true;
}

// The table has changed: takes up what is newly wanted, lets go of what is not.
static void connect_look_at_table(struct xmpp_connect *c, uint64_t now_ms)
{
    uint32_t end = stream_table_end(c->table);
    if (!connect_make_room(c, end))
        log_error("out_of_memory", "part", "connector", NULL); // what there is goes on
    for (uint32_t i = 0; i < c->n_streams; i++) {
        struct connect_stream *s = &c->stream[i];
        char domain[STREAM_DOMAIN_BYTES];
        bool wanted = stream_table_wanted(c->table, i, domain);
        if (wanted && s->phase == CONNECT_UNWANTED) {
            s->delay_ms = XMPP_CONNECT_FIRST_MS;
            s->retry_ms = now_ms;
            s->phase = CONNECT_WAITING;
        } else if (!wanted && s->phase == CONNECT_OPENING) {
            connect_close(c, s);
            s->phase = CONNECT_UNWANTED;
        } else if (!wanted && s->phase == CONNECT_WAITING) {
            s->phase = CONNECT_UNWANTED;
        } // one that was handed over is closed by its shard, and comes back as lost
    }
}

static void connect_lost(struct xmpp_connect *c, uint32_t i, uint64_t now_ms)
{
    assert(i < c->n_streams);
    struct connect_stream *s = &c->stream[i];
    char domain[STREAM_DOMAIN_BYTES];
    if (!stream_table_wanted(c->table, i, domain)) {
        s->phase = CONNECT_UNWANTED;
        return;
    }
    s->attempts = 0;
    if (now_ms - s->handed_ms >= XMPP_CONNECT_GOOD_MS)
        s->delay_ms = XMPP_CONNECT_FIRST_MS;
    connect_later(c, s, now_ms);
}

static void connect_read_rings(struct xmpp_connect *c, uint64_t now_ms)
{
    for (unsigned from = 0; from < c->end.fabric->peers; from++) {
        struct ring *r = fabric_from(&c->end, from);
        size_t n;
        for (const void *p; r && (p = ring_front(r, &n)) != NULL; ring_pop(r)) {
            const struct message_stream *m = p;
            if (m->kind == MESSAGE_WANTED)
                connect_look_at_table(c, now_ms);
            else if (m->kind == MESSAGE_STREAM_LOST)
                connect_lost(c, m->stream, now_ms);
        }
    }
}

static void connect_start_due(struct xmpp_connect *c, uint64_t now_ms)
{
    for (uint32_t i = 0; i < c->n_streams; i++) {
        const struct connect_stream *s = &c->stream[i];
        if (s->phase == CONNECT_WAITING && s->retry_ms <= now_ms && !connect_open(c, i, now_ms))
            return; // all places are taken; one that ends wakes us
    }
}

// Sleeps until something is to be done.
static void connect_sleep(struct xmpp_connect *c, uint64_t now_ms)
{
    struct pollfd fd[1 + XMPP_CONNECT_AT_ONCE];
    nfds_t n = 0;
    uint64_t until_ms = now_ms + (fabric_is_pending(&c->end) ? FABRIC_RETRY_MS : 60000);
    fd[n++] = (struct pollfd){.fd = c->end.fabric->wake[c->end.self].fd, .events = POLLIN};
    for (uint32_t i = 0; i < c->n_streams; i++) {
        const struct connect_stream *s = &c->stream[i];
        uint64_t due_ms = UINT64_MAX;
        if (s->phase == CONNECT_OPENING) {
            assert(n < sizeof fd / sizeof *fd);
            fd[n++] = (struct pollfd){.fd = xmpp_open_fd(s->open),
                                      .events = xmpp_open_poll_events(s->open)};
            due_ms = xmpp_open_deadline_ms(s->open);
        } else if (s->phase == CONNECT_WAITING) {
            // Past its time: it waits for a place, and so for one of those that are opening.
            due_ms = s->retry_ms > now_ms ? s->retry_ms : now_ms + XMPP_CONNECT_FIRST_MS;
        }
        until_ms = due_ms < until_ms ? due_ms : until_ms;
    }
    if (!fabric_fall_asleep(&c->end, 0, c->end.fabric->peers))
        return;
    if (!atomic_load(&c->stopping))
        poll(fd, n, until_ms > now_ms ? (int)(until_ms - now_ms) : 0);
    wake_clear(&c->end.fabric->wake[c->end.self]);
    fabric_get_up(&c->end);
}

static void *connect_main(void *arg)
{
    struct xmpp_connect *c = arg;
    xmpp_open_initialize();
    connect_look_at_table(c, clock_now_ms(c->clock));
    while (!atomic_load(&c->stopping)) {
        uint64_t now_ms = clock_now_ms(c->clock);
        connect_read_rings(c, now_ms);
        for (uint32_t i = 0; i < c->n_streams; i++)
            if (c->stream[i].phase == CONNECT_OPENING)
                connect_run(c, i, now_ms);
        connect_start_due(c, now_ms);
        fabric_retry(&c->end);
        fabric_ring_bells(&c->end);
        connect_sleep(c, now_ms);
    }
    for (uint32_t i = 0; i < c->n_streams; i++)
        if (c->stream[i].phase == CONNECT_OPENING)
            connect_close(c, &c->stream[i]);
    xmpp_open_shutdown();
    return NULL;
}

int xmpp_connect_start(struct xmpp_connect *c)
{
    int error = pthread_create(&c->thread, NULL, connect_main, c);
    c->running = !error;
    if (c->running)
        pthread_setname_np(c->thread, "connector");
    return error;
}

void xmpp_connect_stop(struct xmpp_connect *c)
{
    if (!c->running)
        return;
    atomic_store(&c->stopping, true);
    wake_ring_surely(&c->end.fabric->wake[c->end.self]);
    pthread_join(c->thread, NULL);
    c->running = false;
}
