// A SIP user agent that asks for little: see quiet.h.
#include "bench/load/quiet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/load.h"

enum {
    FIRST_US = 500000,
    T1_US = 500000, // RFC 3261 §17.1.2.2
    T2_US = 4000000,
    MESSAGE_MAX = 4096,
};

struct quiet_request {
    uint64_t intended_us, again_us, interval_us, done_us;
    unsigned status; // 0: no answer yet
};

struct quiet {
    int fd;
    struct sockaddr_in gateway, own;
    uint64_t begun_us;
    unsigned n;
    struct quiet_request request[QUIET_MAX];
};

static struct sockaddr_in loopback(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + host)};
}

static int quiet_open(struct quiet *q)
{
    socklen_t n = sizeof q->own;
    q->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (q->fd < 0 || bind(q->fd, (struct sockaddr *)&q->own, n) ||
        getsockname(q->fd, (struct sockaddr *)&q->own, &n))
        return errno;
    return 0;
}

int quiet_create(struct quiet **out, uint16_t gateway_port)
{
    struct quiet *q = calloc(1, sizeof *q);
    if (!q)
        return ENOMEM;
    q->gateway = loopback(0, gateway_port);
    q->own = loopback(1, 0);
    q->begun_us = load_now_us() + FIRST_US;
    int e = quiet_open(q);
    if (e)
        quiet_destroy(q);
    else
        *out = q;
    return e;
}

void quiet_destroy(struct quiet *q)
{
    if (q && q->fd >= 0)
        close(q->fd);
    free(q);
}

static void quiet_say(const struct quiet *q, const char *m, size_t n, const struct sockaddr_in *to)
{
    sendto(q->fd, m, n, 0, (const struct sockaddr *)to, sizeof *to);
}

static void quiet_ask(const struct quiet *q, unsigned i)
{
    char m[1024];
    unsigned port = ntohs(q->own.sin_port);
    int n = snprintf(m, sizeof m,
                     "SUBSCRIBE sip:j%u@example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 127.0.0.2:%u;branch=z9hG4bKquiet%u\r\nMax-Forwards: 70\r\n"
                     "Record-Route: <sip:127.0.0.2:%u;lr>\r\n"
                     "From: <sip:q%u@example.net>;tag=q\r\nTo: <sip:j%u@example.com>\r\n"
                     "Call-ID: quiet%u\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:q%u@127.0.0.2:%u>\r\n"
                     "Event: presence\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
                     i, port, i, port, i, i, i, i, port);
    quiet_say(q, m, (size_t)n, &q->gateway);
}

// The head of a request, turned into an answer to it.
static void quiet_answer(const struct quiet *q, const char *m, const struct sockaddr_in *to)
{
    static const char *const kept[] = {"Via:", "From:", "To:", "Call-ID:", "CSeq:"};
    char out[2048];
    size_t n = (size_t)snprintf(out, sizeof out, "SIP/2.0 200 OK\r\n");
    for (const char *line = strstr(m, "\r\n"), *next; line && (next = strstr(line + 2, "\r\n"));
         line = next)
        for (unsigned k = 0; k < sizeof kept / sizeof *kept; k++)
            if (strncmp(line + 2, kept[k], strlen(kept[k])) == 0 && n < sizeof out - 600)
                n += (size_t)snprintf(out + n, 500, "%.*s", (int)(next - line), line + 2);
    n += (size_t)snprintf(out + n, sizeof out - n, "Content-Length: 0\r\n\r\n");
    quiet_say(q, out, n, to);
}

static void quiet_take(struct quiet *q, const char *m, const struct sockaddr_in *from)
{
    const char *id = strstr(m, "Call-ID: quiet");
    unsigned i, status;
    if (!id || sscanf(id, "Call-ID: quiet%u", &i) != 1 || i >= q->n)
        return;
    if (sscanf(m, "SIP/2.0 %u", &status) != 1) {
        quiet_answer(q, m, from);
    } else if (!q->request[i].status) {
        q->request[i].status = status;
        q->request[i].done_us = load_now_us();
    }
}

static uint64_t due_us(const struct quiet *q)
{
    return q->begun_us + q->n * (1000000ull / QUIET_PER_S);
}

static void ask_due(struct quiet *q, uint64_t now_us)
{
    for (; q->n < QUIET_MAX && due_us(q) <= now_us; q->n++) {
        q->request[q->n] = (struct quiet_request){due_us(q), now_us + T1_US, T1_US, 0, 0};
        quiet_ask(q, q->n);
    }
}

static void ask_again(struct quiet *q, uint64_t now_us)
{
    for (unsigned i = 0; i < q->n; i++) {
        struct quiet_request *r = &q->request[i];
        if (r->status || r->again_us > now_us)
            continue;
        quiet_ask(q, i);
        r->interval_us = 2 * r->interval_us < T2_US ? 2 * r->interval_us : T2_US;
        r->again_us = now_us + r->interval_us;
    }
}

void quiet_play(struct quiet *q, bool asks)
{
    char m[MESSAGE_MAX];
    struct sockaddr_in from;
    socklen_t from_n = sizeof from;
    if (asks)
        ask_due(q, load_now_us());
    ask_again(q, load_now_us());
    for (ssize_t n;
         (n = recvfrom(q->fd, m, sizeof m - 1, 0, (struct sockaddr *)&from, &from_n)) > 0;) {
        m[n] = 0;
        quiet_take(q, m, &from);
    }
}

void quiet_result(const struct quiet *q, struct quiet_result *out)
{
    *out = (struct quiet_result){.asked = q->n};
    for (unsigned i = 0; i < q->n; i++) {
        const struct quiet_request *r = &q->request[i];
        if (r->status / 100 == 2)
            histogram_add(&out->taken_us, r->done_us - r->intended_us);
        out->unanswered += !r->status;
    }
}
