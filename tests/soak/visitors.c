// Eight places for connections; who sits in one asks OPTIONS and goes after up to 10 s: politely,
// by a reset, or in the middle of the next message.
#include "tests/soak/visitors.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/hash.h"

enum {
    PLACES = 8,
    GAP_US = 1000000,
    STAY_MOST_US = 10000000,
    WAIT_LEAST_US = 7000000, // who has waited for so long should have an answer
};

enum manner { POLITE, RESET, HALF_SAID, MANNERS };

struct visitor {
    int fd; // -1: the place is free
    uint64_t came_us, leave_us;
    bool answered;
    enum manner manner;
};

struct visitors {
    uint16_t port;
    struct hash_random random;
    uint64_t next_us, came, answered, ignored;
    struct visitor place[PLACES];
};

struct visitors *visitors_create(uint16_t port, uint64_t seed)
{
    struct visitors *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->port = port;
    hash_random_init(&v->random, seed, 1);
    for (int i = 0; i < PLACES; i++)
        v->place[i].fd = -1;
    return v;
}

static void say(int fd, unsigned long long number, size_t least)
{
    char m[512];
    int n = snprintf(m, sizeof m,
                     "OPTIONS sip:example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKv%llu\r\nMax-Forwards: 70\r\n"
                     "From: <sip:visitor@example.net>;tag=v%llu\r\nTo: <sip:example.com>\r\n"
                     "Call-ID: v%llu@visitor\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
                     number, number, number);
    size_t size = least ? least : (size_t)n;
    if (send(fd, m, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; // it has been closed: seen when we read
}

static void come(struct visitors *v, struct visitor *p, uint64_t now_us)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(v->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return;
    v->came++;
    if (connect(p->fd, (struct sockaddr *)&a, sizeof a)) {
        close(p->fd);
        p->fd = -1;
        v->ignored++;
        return;
    }
    p->manner = (enum manner)hash_random_below(&v->random, MANNERS);
    p->answered = false;
    p->came_us = now_us;
    p->leave_us = now_us + hash_random_below(&v->random, STAY_MOST_US);
    say(p->fd, v->came, 0);
}

static void leave(struct visitors *v, struct visitor *p, bool sent_away)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    v->ignored += !p->answered && (sent_away || p->leave_us - p->came_us >= WAIT_LEAST_US);
    if (p->manner == RESET)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (p->manner == HALF_SAID)
        say(p->fd, v->came, 60);
    close(p->fd);
    p->fd = -1;
}

static void hear(struct visitors *v, struct visitor *p)
{
    char in[4096];
    ssize_t n = recv(p->fd, in, sizeof in - 1, MSG_DONTWAIT);
    if (n == 0) {
        leave(v, p, true);
    } else if (n > 0) {
        in[n] = 0;
        p->answered = p->answered || strncmp(in, "SIP/2.0 ", 8) == 0;
        v->answered += strncmp(in, "SIP/2.0 ", 8) == 0;
    }
}

void visitors_play(struct visitors *v, uint64_t now_us)
{
    bool due = now_us >= v->next_us;
    for (int i = 0; i < PLACES; i++) {
        struct visitor *p = &v->place[i];
        if (p->fd >= 0)
            hear(v, p);
        if (p->fd >= 0 && now_us >= p->leave_us)
            leave(v, p, false);
        if (p->fd < 0 && due) {
            come(v, p, now_us);
            due = false;
            v->next_us = now_us + GAP_US;
        }
    }
}

void visitors_leave(struct visitors *v, uint64_t now_us)
{
    for (int i = 0; i < PLACES; i++) {
        struct visitor *p = &v->place[i];
        if (p->fd < 0)
            continue;
        p->leave_us = now_us < p->leave_us ? now_us : p->leave_us;
        hear(v, p);
        if (p->fd >= 0)
            leave(v, p, false);
    }
}

void visitors_destroy(struct visitors *v)
{
    if (!v)
        return;
    for (int i = 0; i < PLACES; i++)
        if (v->place[i].fd >= 0)
            close(v->place[i].fd);
    free(v);
}

uint64_t visitors_came(const struct visitors *v)
{
    return v->came;
}

uint64_t visitors_answered(const struct visitors *v)
{
    return v->answered;
}

uint64_t visitors_ignored(const struct visitors *v)
{
    return v->ignored;
}
