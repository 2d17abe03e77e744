// Honest users of the API and of SIP over TCP: each asks something again and again, and waits.
#include "witness.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacker.h"

struct witness {
    enum witness_kind kind;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex;
    struct witness_figure figure;
    uint64_t questions;
    _Atomic bool stopping;
};

// Each question is a connection of its own, as of a load balancer's check.
static size_t write_question(struct witness *w, char *out, size_t size)
{
    if (w->kind == WITNESS_REST)
        return (size_t)snprintf(
            out, size, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    char branch[32];
    snprintf(branch, sizeof branch, "w%llu", (unsigned long long)++w->questions);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = "OPTIONS",
                                                             .ruri = "sip:example.com",
                                                             .from = "sip:witness@example.net",
                                                             .from_tag = "w",
                                                             .call_id = branch,
                                                             .branch = branch,
                                                             .cseq = 1,
                                                             .ip = "127.0.0.1",
                                                             .port = 5060,
                                                             .transport = "TCP"});
}

static bool wait_for(int fd, short events, uint64_t end_us)
{
    uint64_t now_us = load_now_us();
    struct pollfd p = {.fd = fd, .events = events};
    return now_us < end_us && poll(&p, 1, (int)((end_us - now_us + 999) / 1000)) == 1;
}

static bool ask(struct witness *w, uint64_t end_us)
{
    char bytes[2048];
    const char *good = w->kind == WITNESS_REST ? "HTTP/1.1 200" : "SIP/2.0 200";
    size_t n = write_question(w, bytes, sizeof bytes);
    int fd = attacker_connect("127.0.0.1", w->port, 0);
    bool answered = fd >= 0 && wait_for(fd, POLLOUT, end_us) && attacker_say(fd, bytes, n) &&
                    wait_for(fd, POLLIN, end_us) &&
                    recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > (ssize_t)strlen(good) &&
                    strncmp(bytes, good, strlen(good)) == 0;
    if (fd >= 0)
        close(fd);
    return answered;
}

static void *witness_main(void *arg)
{
    struct witness *w = arg;
    while (!w->stopping) {
        uint64_t began_us = load_now_us();
        bool answered = ask(w, began_us + WITNESS_PATIENCE_MS * 1000);
        uint64_t took_us = load_now_us() - began_us;
        pthread_mutex_lock(&w->mutex);
        w->figure.asked++;
        w->figure.answered += answered;
        if (took_us > w->figure.worst_us)
            w->figure.worst_us = took_us;
        pthread_mutex_unlock(&w->mutex);
        poll(NULL, 0, WITNESS_EVERY_MS);
    }
    return NULL;
}

struct witness *witness_start(enum witness_kind kind, uint16_t port)
{
    struct witness *w = calloc(1, sizeof *w);
    w->kind = kind;
    w->port = port;
    pthread_mutex_init(&w->mutex, NULL);
    if (pthread_create(&w->thread, NULL, witness_main, w))
        abort();
    return w;
}

void witness_stop(struct witness *w)
{
    w->stopping = true;
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

struct witness_figure witness_take(struct witness *w)
{
    pthread_mutex_lock(&w->mutex);
    struct witness_figure f = w->figure;
    w->figure = (struct witness_figure){0};
    pthread_mutex_unlock(&w->mutex);
    return f;
}
