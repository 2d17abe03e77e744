// An XMPP server's component port (XEP-0114) for tests: a thread that accepts, checks the digest,
// and keeps what it is told.
#include "component_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// SHA-1 of "stream-4221" and the secret, XEP-0114 §3.
#define STREAM_ID "stream-4221"
#define DIGEST    "05500fa46858584a0cca444f28d616f11eeb13a3"

enum { CLIENTS_MAX = 1200, ATTEMPTS_MAX = 4096, SAID_MAX = 4 << 20, DOMAINS_MAX = 1200 };

struct domain {
    char name[64];
    unsigned connects;
    size_t n, cap;
    char *said; // ends in '\0'
};

struct client {
    int fd;
    enum { GREETING, SHAKING_HANDS, UP } phase;
    struct domain *domain;
    size_t n;
    char heard[4096]; // before it is up
};

struct component_server {
    int listener, bell[2];
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    enum component_mood mood;
    char greeting[8192];
    unsigned n_attempts;
    uint64_t attempt_ms[ATTEMPTS_MAX];
    size_t n_domains, n_clients;
    struct domain domain[DOMAINS_MAX];
    struct client *client[CLIENTS_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct domain *find_domain(struct component_server *c, const char *name)
{
    for (size_t i = 0; i < c->n_domains; i++)
        if (strcmp(c->domain[i].name, name) == 0)
            return &c->domain[i];
    assert(c->n_domains < DOMAINS_MAX);
    struct domain *d = &c->domain[c->n_domains++];
    snprintf(d->name, sizeof d->name, "%s", name);
    d->said = calloc(1, d->cap = 4096);
    return d;
}

static struct client *find_client(struct component_server *c, const char *domain)
{
    for (size_t i = 0; i < c->n_clients; i++)
        if (c->client[i]->phase == UP && strcmp(c->client[i]->domain->name, domain) == 0)
            return c->client[i];
    return NULL;
}

static void say(const struct client *cl, const char *bytes, size_t piece)
{
    for (size_t n = strlen(bytes), at = 0; at < n; at += piece) {
        size_t now = n - at < piece ? n - at : piece;
        ssize_t done = send(cl->fd, bytes + at, now, MSG_NOSIGNAL);
        if (done != (ssize_t)now)
            return; // its reader will find out
        if (piece == 1)
            usleep(200);
    }
}

static void forget_client(struct component_server *c, size_t i)
{
    close(c->client[i]->fd);
    free(c->client[i]);
    c->client[i] = c->client[--c->n_clients];
    pthread_cond_broadcast(&c->changed);
}

static void keep(struct domain *d, const char *bytes, size_t n)
{
    assert(d->n + n < SAID_MAX);
    while (d->n + n + 1 > d->cap)
        d->said = realloc(d->said, d->cap *= 2);
    memcpy(d->said + d->n, bytes, n);
    d->n += n;
    d->said[d->n] = '\0';
}

static bool has_ended(const struct client *cl, const char *tag)
{
    return strstr(cl->heard, tag) != NULL;
}

static bool open_stream(struct component_server *c, struct client *cl)
{
    const char *stream = strstr(cl->heard, "<stream:stream");
    const char *to = stream && strchr(stream, '>') ? strstr(stream, "to=\"") : NULL;
    if (!to)
        return true; // not all of it is here
    char name[64] = "", header[512];
    sscanf(to + 4, "%63[^\"]", name);
    cl->domain = find_domain(c, name);
    cl->phase = SHAKING_HANDS;
    if (c->mood == COMPONENT_MUTE)
        return true;
    snprintf(header, sizeof header,
             "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
             "xmlns='jabber:component:accept' id='" STREAM_ID "' from='%s'>",
             name);
    say(cl, header, c->mood == COMPONENT_BYTE_BY_BYTE ? 1 : sizeof header);
    return true;
}

static bool refuse(const struct client *cl, const char *condition)
{
    char bytes[512];
    snprintf(bytes, sizeof bytes,
             "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
             "</stream:stream>",
             condition);
    say(cl, bytes, sizeof bytes);
    return false;
}

static bool shake_hands(struct component_server *c, struct client *cl)
{
    if (!has_ended(cl, "</handshake>") || c->mood == COMPONENT_MUTE)
        return true;
    if (!has_ended(cl, ">" DIGEST "</handshake>"))
        return refuse(cl, "not-authorized");
    if (c->mood == COMPONENT_CONFLICT)
        return refuse(cl, "conflict");
    char bytes[sizeof c->greeting + 64];
    snprintf(bytes, sizeof bytes, "<handshake/>%s", c->greeting);
    cl->phase = UP;
    cl->domain->connects++;
    say(cl, bytes, c->mood == COMPONENT_BYTE_BY_BYTE ? 1 : sizeof bytes);
    pthread_cond_broadcast(&c->changed);
    return true;
}

// False: the client is to be forgotten.
static bool hear(struct component_server *c, struct client *cl)
{
    char bytes[65536];
    ssize_t n = recv(cl->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (cl->phase == UP) {
        keep(cl->domain, bytes, (size_t)n);
        pthread_cond_broadcast(&c->changed);
        return true;
    }
    if (cl->n + (size_t)n >= sizeof cl->heard)
        return false;
    memcpy(cl->heard + cl->n, bytes, (size_t)n);
    cl->n += (size_t)n;
    if (cl->phase == GREETING && !open_stream(c, cl))
        return false;
    return cl->phase != SHAKING_HANDS || shake_hands(c, cl);
}

static void take_client(struct component_server *c)
{
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (c->n_attempts < ATTEMPTS_MAX)
        c->attempt_ms[c->n_attempts++] = now_ms();
    if (c->mood == COMPONENT_CLOSES || c->n_clients == CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct client *cl = calloc(1, sizeof *cl);
    cl->fd = fd;
    c->client[c->n_clients++] = cl;
}

static void *server_main(void *arg)
{
    struct component_server *c = arg;
    struct pollfd fd[2 + CLIENTS_MAX];
    pthread_mutex_lock(&c->mutex);
    while (!c->stopping) {
        size_t n = c->n_clients;
        fd[0] = (struct pollfd){.fd = c->listener, .events = POLLIN};
        fd[1] = (struct pollfd){.fd = c->bell[0], .events = POLLIN};
        for (size_t i = 0; i < n; i++) {
            bool deaf = c->mood == COMPONENT_DEAF && c->client[i]->phase == UP;
            fd[2 + i] = (struct pollfd){.fd = deaf ? -1 : c->client[i]->fd, .events = POLLIN};
        }
        pthread_mutex_unlock(&c->mutex);
        poll(fd, 2 + n, 100);
        pthread_mutex_lock(&c->mutex);
        for (size_t i = c->n_clients; i-- > 0;)
            for (size_t j = 0; j < n; j++)
                if (fd[2 + j].fd == c->client[i]->fd && fd[2 + j].revents) {
                    fd[2 + j].fd = -1;
                    if (!hear(c, c->client[i]))
                        forget_client(c, i);
                    break;
                }
        if (fd[0].revents)
            take_client(c);
    }
    while (c->n_clients)
        forget_client(c, 0);
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

struct component_server *component_server_start(void)
{
    struct component_server *c = calloc(1, sizeof *c);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->listener < 0 || bind(c->listener, (struct sockaddr *)&a, sizeof a) ||
        listen(c->listener, 4096) || getsockname(c->listener, (struct sockaddr *)&a, &n) ||
        pipe(c->bell))
        abort();
    c->port = ntohs(a.sin_port);
    pthread_mutex_init(&c->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_create(&c->thread, NULL, server_main, c);
    return c;
}

void component_server_stop(struct component_server *c)
{
    pthread_mutex_lock(&c->mutex);
    c->stopping = true;
    pthread_mutex_unlock(&c->mutex);
    close(c->bell[1]);
    pthread_join(c->thread, NULL);
    close(c->bell[0]);
    close(c->listener);
    for (size_t i = 0; i < c->n_domains; i++)
        free(c->domain[i].said);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->changed);
    free(c);
}

uint16_t component_server_port(const struct component_server *c)
{
    return c->port;
}

void component_server_set_mood(struct component_server *c, enum component_mood mood)
{
    pthread_mutex_lock(&c->mutex);
    c->mood = mood;
    pthread_mutex_unlock(&c->mutex);
}

void component_server_set_greeting(struct component_server *c, const char *stanzas)
{
    pthread_mutex_lock(&c->mutex);
    snprintf(c->greeting, sizeof c->greeting, "%s", stanzas);
    pthread_mutex_unlock(&c->mutex);
}

unsigned component_server_connects(struct component_server *c, const char *domain)
{
    pthread_mutex_lock(&c->mutex);
    unsigned n = find_domain(c, domain)->connects;
    pthread_mutex_unlock(&c->mutex);
    return n;
}

static struct timespec in_ms(int ms)
{
    uint64_t at = now_ms() + (uint64_t)ms;
    return (struct timespec){(time_t)(at / 1000), (long)(at % 1000) * 1000000};
}

bool component_server_wait_up(struct component_server *c, const char *domain, int timeout_ms)
{
    struct timespec until = in_ms(timeout_ms);
    int error = 0;
    pthread_mutex_lock(&c->mutex);
    while (!find_client(c, domain) && !error)
        error = pthread_cond_timedwait(&c->changed, &c->mutex, &until);
    bool up = find_client(c, domain) != NULL;
    pthread_mutex_unlock(&c->mutex);
    return up;
}

uint64_t component_server_attempt_ms(struct component_server *c, unsigned n)
{
    pthread_mutex_lock(&c->mutex);
    uint64_t ms = n < c->n_attempts ? c->attempt_ms[n] : 0;
    pthread_mutex_unlock(&c->mutex);
    return ms;
}

bool component_server_send(struct component_server *c, const char *domain, const char *bytes)
{
    pthread_mutex_lock(&c->mutex);
    const struct client *cl = find_client(c, domain);
    if (cl)
        say(cl, bytes, strlen(bytes) + 1);
    pthread_mutex_unlock(&c->mutex);
    return cl != NULL;
}

void component_server_drop(struct component_server *c, const char *domain)
{
    pthread_mutex_lock(&c->mutex);
    for (size_t i = c->n_clients; i-- > 0;)
        if (c->client[i]->phase == UP && strcmp(c->client[i]->domain->name, domain) == 0)
            forget_client(c, i);
    pthread_mutex_unlock(&c->mutex);
}

char *component_server_expect(struct component_server *c, const char *domain, const char *text,
                              int timeout_ms)
{
    struct timespec until = in_ms(timeout_ms);
    char *found = NULL, *copy = NULL;
    int error = 0;
    pthread_mutex_lock(&c->mutex);
    struct domain *d = find_domain(c, domain);
    while (!(found = strstr(d->said, text)) && !error)
        error = pthread_cond_timedwait(&c->changed, &c->mutex, &until);
    if (found) {
        copy = strdup(d->said);
        size_t past = (size_t)(found - d->said) + strlen(text);
        memmove(d->said, d->said + past, d->n - past + 1);
        d->n -= past;
    }
    pthread_mutex_unlock(&c->mutex);
    return copy;
}
