// The API: one thread, few connections, and questions that cost the shards something.
//
// What answers them is in api/http.h: connections of one address and of all, the time that a
// request may take to be complete, bytes of a head and a body; and a page of subscriptions that is
// given out after two seconds as it is.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacker.h"

enum { SLOW = 256, DEAF = 16, FLOODS = 8, TINY = 1, DRIP_MS = 100, HUGE = 1 << 20 };

// 256 connections of four addresses, a header byte now and then.
void attack_rest_slowloris(struct field *f)
{
    static const char drip[] =
        "GET /healthz HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    int fd[SLOW];
    unsigned at[SLOW] = {0};
    for (int i = 0; i < SLOW; i++)
        fd[i] = -1;
    for (bool first = true; !f->stop; first = false) {
        for (int i = 0; i < SLOW; i++) {
            char ip[24];
            snprintf(ip, sizeof ip, "127.0.0.%d", 60 + i % 4);
            if (fd[i] >= 0 && attacker_is_closed(fd[i])) {
                close(fd[i]);
                fd[i] = -1;
            }
            if (fd[i] < 0) {
                fd[i] = attacker_connect(ip, f->api_port, 0);
                at[i] = 0;
                f->said++;
            } else if (send(fd[i], drip + at[i] % (sizeof drip - 1), 1,
                            MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
                at[i] += at[i] < sizeof drip - 2;
            }
        }
        f->begun = !first;
        attacker_sleep_ms(f, DRIP_MS);
    }
    for (int i = 0; i < SLOW; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

void attack_rest_connections(struct field *f)
{
    struct linger now = {.l_onoff = 1};
    while (!f->stop) {
        int fd = attacker_connect_wait("127.0.0.61", f->api_port, 0);
        f->said++;
        f->begun = true;
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
}

// Asks for much, and reads none of it.
void attack_rest_deaf(struct field *f)
{
    static const char ask[] = "GET /v1/subscriptions?limit=1000 HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd[DEAF];
    for (int i = 0; i < DEAF; i++)
        fd[i] = -1;
    while (!f->stop) {
        for (int i = 0; i < DEAF; i++) {
            if (fd[i] < 0)
                fd[i] = attacker_connect("127.0.0.62", f->api_port, TINY);
            if (send(fd[i], ask, sizeof ask - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
                f->said++;
            } else if (errno == EPIPE || errno == ECONNRESET) {
                close(fd[i]);
                fd[i] = -1;
            }
        }
        f->begun = true;
        attacker_sleep_ms(f, 20);
    }
    for (int i = 0; i < DEAF; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

// Asks on several connections at once, reads the answers, asks again.
static void flood(struct field *f, const char *ask)
{
    int fd[FLOODS];
    struct pollfd p[FLOODS];
    for (int i = 0; i < FLOODS; i++)
        fd[i] = -1;
    while (!f->stop) {
        for (int i = 0; i < FLOODS; i++) {
            if (fd[i] < 0) {
                fd[i] = attacker_connect("127.0.0.63", f->api_port, 0);
                poll(&(struct pollfd){.fd = fd[i], .events = POLLOUT}, 1, 100);
                send(fd[i], ask, strlen(ask), MSG_NOSIGNAL | MSG_DONTWAIT);
            }
            p[i] = (struct pollfd){.fd = fd[i], .events = POLLIN};
        }
        poll(p, FLOODS, 20);
        for (int i = 0; i < FLOODS; i++) {
            if (!p[i].revents)
                continue;
            if (attacker_is_closed(fd[i]) ||
                send(fd[i], ask, strlen(ask), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
                close(fd[i]);
                fd[i] = -1;
            }
            f->said++;
        }
        f->begun = true;
    }
    for (int i = 0; i < FLOODS; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

void attack_rest_flood(struct field *f)
{
    flood(f, "GET /v1/subscriptions?limit=1000 HTTP/1.1\r\nHost: a\r\n\r\n");
}

// A filter that finds nothing looks at everything.
void attack_rest_paging(struct field *f)
{
    flood(f, "GET /v1/subscriptions?jid=nobody@example.com&limit=1 HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void say_huge(struct field *f, const char *head, char filler)
{
    int fd = attacker_connect_wait("127.0.0.64", f->api_port, 0);
    char *bytes = malloc(HUGE);
    memset(bytes, filler, HUGE);
    if (fd >= 0 && attacker_say(fd, head, strlen(head)))
        for (int i = 0; i < 16 && !f->stop && attacker_say(fd, bytes, HUGE); i++)
            f->said++;
    free(bytes);
    close(fd);
}

// Paths, header fields and bodies of 16 MB, in megabytes.
void attack_rest_huge(struct field *f)
{
    while (!f->stop) {
        say_huge(f, "GET /", 'a');
        say_huge(f, "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Huge: ", 'b');
        say_huge(f, "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n", 'c');
        say_huge(f, "POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 'd');
        say_huge(f, "", '\n');
        f->begun = true;
    }
}
