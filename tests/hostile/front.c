// Stands between the daemon and its two servers.
#include "front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *const front_domains[] = {
    "udp.hostile",    "dialog.hostile",   "pidf.hostile",   "huge.hostile",
    "nested.hostile", "bomb.hostile",     "mute.hostile",   "silent.hostile",
    "deaf.hostile",   "presence.hostile", "stanza.hostile", "tcp.hostile",
};
const unsigned n_front_domains = sizeof front_domains / sizeof *front_domains;

enum {
    STREAMS_MAX = 64,
    RELAY_BYTES = 1 << 16,
    KEPT_MAX = 4096, // requests to hostile domains
    TICK_MS = 20,
    BATCH = 64,
};

// A stream of the daemon: honest ones have an `other` end, hostile ones a domain.
struct front_stream {
    int fd, other;
    enum { STREAM_GREETING, STREAM_SHAKING, STREAM_UP, STREAM_RELAYED, STREAM_MUTE } phase;
    unsigned domain;
    size_t n;
    char said[2048]; // until it is up
};

struct front_request {
    struct front_request *next;
    unsigned domain;
    size_t n;
    char bytes[];
};

struct front {
    struct front_setup setup;
    int listener, sip;
    uint16_t xmpp_port, sip_port;
    pthread_t thread;
    _Atomic bool stopping;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t n_streams;
    struct front_stream stream[STREAMS_MAX];
    bool mute[32];
    unsigned attempts, n_kept;
    struct front_request *first, *last;
};

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int domain_of(const char *text, size_t n)
{
    for (unsigned i = 0; i < n_front_domains; i++)
        if (memmem(text, n, front_domains[i], strlen(front_domains[i])))
            return (int)i;
    return -1;
}

// ---- Streams

static void say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void hang_up(struct front *f, size_t i)
{
    struct front_stream *s = &f->stream[i];
    close(s->fd);
    if (s->other >= 0)
        close(s->other);
    *s = f->stream[--f->n_streams];
}

static bool pass_on(struct front_stream *s)
{
    s->phase = STREAM_RELAYED;
    return send(s->other, s->said, s->n, MSG_NOSIGNAL) == (ssize_t)s->n;
}

// The stream's header is here. False: it is over.
static bool greet(struct front *f, struct front_stream *s)
{
    char header[512];
    int domain = domain_of(s->said, s->n), on = 1;
    if (domain < 0) {
        struct sockaddr_in to = loopback(f->setup.xmpp_port);
        s->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(s->other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return connect(s->other, (struct sockaddr *)&to, sizeof to) == 0 && pass_on(s);
    }
    s->domain = (unsigned)domain;
    if (f->mute[domain]) {
        s->phase = STREAM_MUTE;
        f->attempts++;
        return true;
    }
    snprintf(header, sizeof header,
             "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
             "xmlns='jabber:component:accept' id='front' from='%s'>",
             front_domains[domain]);
    say(s->fd, header);
    s->phase = STREAM_SHAKING;
    s->n = 0;
    return true;
}

// What is said on a stream that nobody has taken is thrown away.
static bool listen_to(struct front *f, struct front_stream *s)
{
    if (s->phase == STREAM_UP || s->phase == STREAM_MUTE)
        s->n = 0;
    ssize_t got = recv(s->fd, s->said + s->n, sizeof s->said - 1 - s->n, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    s->n += (size_t)got;
    s->said[s->n] = '\0';
    const char *header = strstr(s->said, "<stream:stream");
    if (s->phase == STREAM_GREETING && header && strchr(header, '>'))
        return greet(f, s);
    if (s->phase == STREAM_SHAKING && strstr(s->said, "</handshake>")) {
        say(s->fd, "<handshake/>");
        s->phase = STREAM_UP;
        pthread_cond_broadcast(&f->changed);
    }
    return s->n < sizeof s->said - 1;
}

// From one end to the other, in order; waits for a reader that is behind, as TCP would.
static bool relay(int from, int to)
{
    static char bytes[RELAY_BYTES]; // one thread
    ssize_t got = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    for (ssize_t at = 0; at < got;) {
        ssize_t sent = send(to, bytes + at, (size_t)(got - at), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
    }
    return true;
}

static void accept_stream(struct front *f)
{
    int on = 1, fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (f->n_streams == STREAMS_MAX) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    f->stream[f->n_streams++] = (struct front_stream){.fd = fd, .other = -1};
}

// ---- SIP

static void keep(struct front *f, unsigned domain, const char *bytes, size_t n)
{
    if (f->n_kept == KEPT_MAX)
        return; // it is UDP
    struct front_request *r = malloc(sizeof *r + n + 1);
    *r = (struct front_request){.domain = domain, .n = n};
    memcpy(r->bytes, bytes, n);
    r->bytes[n] = '\0';
    if (f->last)
        f->last->next = r;
    else
        f->first = r;
    f->last = r;
    f->n_kept++;
    pthread_cond_broadcast(&f->changed);
}

static void take_datagram(struct front *f, const struct sockaddr_in *from, const char *p, size_t n)
{
    bool honest = ntohs(from->sin_port) == f->setup.proxy_port;
    struct sockaddr_in to = loopback(honest ? f->setup.shard_port : f->setup.proxy_port);
    const char *line_end = memchr(p, '\r', n);
    int domain = !honest && line_end ? domain_of(p, (size_t)(line_end - p)) : -1;
    if (domain >= 0)
        keep(f, (unsigned)domain, p, n);
    else
        sendto(f->sip, p, n, 0, (struct sockaddr *)&to, sizeof to);
}

static void relay_sip(struct front *f)
{
    static char bytes[65536]; // one thread
    struct sockaddr_in from;
    for (int i = 0; i < BATCH; i++) {
        socklen_t m = sizeof from;
        ssize_t n =
            recvfrom(f->sip, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &m);
        if (n <= 0)
            return;
        take_datagram(f, &from, bytes, (size_t)n);
    }
}

// ---- The thread

static bool serve_stream(struct front *f, struct front_stream *s, bool here, bool there)
{
    if (s->phase != STREAM_RELAYED)
        return !here || listen_to(f, s);
    return (!here || relay(s->fd, s->other)) && (!there || relay(s->other, s->fd));
}

static void *front_main(void *arg)
{
    struct front *f = arg;
    struct pollfd p[2 + 2 * STREAMS_MAX];
    while (!f->stopping) {
        nfds_t n = 2;
        p[0] = (struct pollfd){.fd = f->listener, .events = POLLIN};
        p[1] = (struct pollfd){.fd = f->sip, .events = POLLIN};
        pthread_mutex_lock(&f->mutex);
        size_t streams = f->n_streams;
        for (size_t i = 0; i < streams; i++) {
            p[n++] = (struct pollfd){.fd = f->stream[i].fd, .events = POLLIN};
            p[n++] = (struct pollfd){.fd = f->stream[i].other, .events = POLLIN};
        }
        pthread_mutex_unlock(&f->mutex);
        if (poll(p, n, TICK_MS) <= 0)
            continue;
        pthread_mutex_lock(&f->mutex);
        // Whatever was taken meanwhile has changed places: it is looked at by descriptor.
        for (size_t i = f->n_streams; i-- > 0;)
            for (nfds_t k = 2; k < n; k += 2)
                if (p[k].fd == f->stream[i].fd && (p[k].revents || p[k + 1].revents)) {
                    if (!serve_stream(f, &f->stream[i], p[k].revents, p[k + 1].revents))
                        hang_up(f, i);
                    break;
                }
        if (p[1].revents)
            relay_sip(f);
        if (p[0].revents)
            accept_stream(f);
        pthread_mutex_unlock(&f->mutex);
    }
    return NULL;
}

static int bound(int type, uint16_t *port)
{
    struct sockaddr_in a = loopback(0);
    socklen_t n = sizeof a;
    int bytes = 16 << 20, fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) ||
        getsockname(fd, (struct sockaddr *)&a, &n) || (type == SOCK_STREAM && listen(fd, 64)))
        abort();
    *port = ntohs(a.sin_port);
    return fd;
}

struct front *front_start(const struct front_setup *setup)
{
    struct front *f = calloc(1, sizeof *f);
    pthread_condattr_t monotonic;
    f->setup = *setup;
    f->listener = bound(SOCK_STREAM, &f->xmpp_port);
    f->sip = bound(SOCK_DGRAM, &f->sip_port);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&f->thread, NULL, front_main, f))
        abort();
    return f;
}

void front_stop(struct front *f)
{
    f->stopping = true;
    pthread_join(f->thread, NULL);
    while (f->n_streams)
        hang_up(f, 0);
    front_forget_requests(f);
    close(f->listener);
    close(f->sip);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

uint16_t front_xmpp_port(const struct front *f)
{
    return f->xmpp_port;
}

uint16_t front_sip_port(const struct front *f)
{
    return f->sip_port;
}

// ---- For attacks

static struct timespec after_ms(unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

static int take_now(struct front *f, int domain)
{
    for (size_t i = 0; i < f->n_streams; i++) {
        struct front_stream *s = &f->stream[i];
        if (s->phase != STREAM_UP || s->domain != (unsigned)domain)
            continue;
        int fd = s->fd;
        *s = f->stream[--f->n_streams];
        return fd;
    }
    return -1;
}

int front_take(struct front *f, const char *domain, unsigned timeout_ms)
{
    struct timespec end = after_ms(timeout_ms);
    int d = domain_of(domain, strlen(domain)), fd;
    pthread_mutex_lock(&f->mutex);
    while ((fd = take_now(f, d)) < 0)
        if (pthread_cond_timedwait(&f->changed, &f->mutex, &end))
            break;
    pthread_mutex_unlock(&f->mutex);
    return fd;
}

void front_set_mute(struct front *f, const char *domain, bool mute)
{
    int d = domain_of(domain, strlen(domain));
    pthread_mutex_lock(&f->mutex);
    f->mute[d] = mute;
    for (size_t i = f->n_streams; i-- > 0;)
        if (f->stream[i].domain == (unsigned)d && f->stream[i].phase != STREAM_RELAYED &&
            f->stream[i].phase != STREAM_GREETING)
            hang_up(f, i);
    pthread_mutex_unlock(&f->mutex);
}

unsigned front_attempts(struct front *f)
{
    pthread_mutex_lock(&f->mutex);
    unsigned n = f->attempts;
    pthread_mutex_unlock(&f->mutex);
    return n;
}

static struct front_request *next_now(struct front *f, int domain)
{
    for (struct front_request **at = &f->first, *before = NULL, *r; (r = *at) != NULL;
         before = r, at = &r->next) {
        if (r->domain != (unsigned)domain)
            continue;
        *at = r->next;
        if (f->last == r)
            f->last = before;
        f->n_kept--;
        return r;
    }
    return NULL;
}

size_t front_next_request(struct front *f, const char *domain, char *out, size_t size,
                          unsigned timeout_ms)
{
    struct timespec end = after_ms(timeout_ms);
    struct front_request *r;
    int d = domain_of(domain, strlen(domain));
    pthread_mutex_lock(&f->mutex);
    while (!(r = next_now(f, d)))
        if (pthread_cond_timedwait(&f->changed, &f->mutex, &end))
            break;
    pthread_mutex_unlock(&f->mutex);
    if (!r)
        return 0;
    size_t n = r->n < size ? r->n : size - 1;
    memcpy(out, r->bytes, n);
    out[n] = '\0';
    free(r);
    return n;
}

void front_forget_requests(struct front *f)
{
    pthread_mutex_lock(&f->mutex);
    for (struct front_request *r; (r = f->first) != NULL; free(r))
        f->first = r->next;
    f->last = NULL;
    f->n_kept = 0;
    pthread_mutex_unlock(&f->mutex);
}
