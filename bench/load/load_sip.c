// The SIP proxy: datagrams in batches, header fields by name, answers.
//
// It reads only what the daemon writes: one header field a line, no folding, no compact forms.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/load_inner.h"

enum { SIP_BUFFER_BYTES = 16 << 20 };

struct load_queue {
    unsigned n;
    struct sockaddr_in to[LOAD_BATCH];
    char bytes[LOAD_BATCH][LOAD_DATAGRAM];
    size_t size[LOAD_BATCH];
    char in[LOAD_BATCH][LOAD_DATAGRAM];
};

int load_sip_create(struct load *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int big = SIP_BUFFER_BYTES;
    if (inet_pton(AF_INET, l->setup.address, &a.sin_addr) != 1)
        return EINVAL;
    l->sip_out = calloc(1, sizeof *l->sip_out);
    if (!l->sip_out)
        return ENOMEM;
    l->sip = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (setsockopt(l->sip, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big))
        setsockopt(l->sip, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    if (l->sip < 0 || bind(l->sip, (struct sockaddr *)&a, sizeof a) ||
        getsockname(l->sip, (struct sockaddr *)&a, &n))
        return errno;
    l->proxy_port = ntohs(a.sin_port);
    return 0;
}

void load_sip_destroy(struct load *l)
{
    if (l->sip >= 0)
        close(l->sip);
    free(l->sip_out);
}

// ---- Datagrams

void load_sip_flush(struct load *l)
{
    struct load_queue *q = l->sip_out;
    struct iovec v[LOAD_BATCH];
    struct mmsghdr h[LOAD_BATCH] = {0};
    for (unsigned i = 0; i < q->n; i++) {
        v[i] = (struct iovec){q->bytes[i], q->size[i]};
        h[i].msg_hdr = (struct msghdr){.msg_name = &q->to[i],
                                       .msg_namelen = sizeof q->to[i],
                                       .msg_iov = &v[i],
                                       .msg_iovlen = 1};
    }
    for (unsigned at = 0; at < q->n;) {
        int n = sendmmsg(l->sip, h + at, q->n - at, 0);
        at += n > 0 ? (unsigned)n : 1; // refused: nobody is there, and it counts as lost
    }
    q->n = 0;
}

void load_sip_send(struct load *l, const char *bytes, size_t n, uint16_t port)
{
    struct load_queue *q = l->sip_out;
    if (q->n == LOAD_BATCH)
        load_sip_flush(l);
    q->to[q->n] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    q->to[q->n].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(q->bytes[q->n], bytes, n);
    q->size[q->n++] = n;
}

// ---- Header fields

bool load_sip_header(const char *m, const char *name, char *out, size_t size)
{
    char key[40];
    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strstr(m, key);
    *out = 0;
    if (!at)
        return false;
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\r"), at);
    return true;
}

uint32_t load_sip_cseq(const char *m)
{
    char value[64];
    load_sip_header(m, "CSeq", value, sizeof value);
    return (uint32_t)strtoul(value, NULL, 10);
}

void load_sip_tag(const char *m, const char *name, char *out, size_t size)
{
    char value[512];
    load_sip_header(m, name, value, sizeof value);
    const char *at = strstr(value, ";tag=");
    snprintf(out, size, "%.*s", at ? (int)strcspn(at + 5, ";") : 0, at ? at + 5 : "");
}

void load_sip_learn_target(struct load_dialog *d, const char *m)
{
    char value[256];
    if (!load_sip_header(m, "Contact", value, sizeof value))
        return;
    const char *open = strchr(value, '<'), *at = open ? strchr(open, '@') : NULL;
    const char *port = at ? strchr(at, ':') : NULL;
    if (!port)
        return;
    snprintf(d->target, sizeof d->target, "%.*s", (int)strcspn(open + 1, ">"), open + 1);
    d->port = (uint16_t)strtoul(port + 1, NULL, 10);
}

// ---- Writing

uint64_t load_sip_branch(struct load *l)
{
    return ++l->branches;
}

void load_sip_write(struct load_writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->bytes + w->n, sizeof w->bytes - w->n, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof w->bytes - w->n)
        abort(); // all that is written here has a known length
    w->n += (size_t)n;
}

void load_sip_write_body(struct load_writer *w, const char *type, const char *body)
{
    if (*body)
        load_sip_write(w, "Content-Type: %s\r\n", type);
    load_sip_write(w, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

void load_sip_answer(struct load *l, const char *m, const char *status, const char *tag,
                     const char *more, uint16_t port)
{
    char via[512], from[256], to[256], call_id[128], cseq[64];
    struct load_writer w = {.n = 0};
    if (!load_sip_header(m, "Via", via, sizeof via) ||
        !load_sip_header(m, "From", from, sizeof from) ||
        !load_sip_header(m, "To", to, sizeof to) ||
        !load_sip_header(m, "Call-ID", call_id, sizeof call_id) ||
        !load_sip_header(m, "CSeq", cseq, sizeof cseq)) {
        load_fault(l, "a request without its header fields: %.150s", m);
        return;
    }
    bool tagged = strstr(to, ";tag=") != NULL;
    load_sip_write(&w,
                   "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
                   "%sContent-Length: 0\r\n\r\n",
                   status, via, from, to, tagged ? "" : ";tag=", tagged ? "" : tag, call_id, cseq,
                   more);
    load_sip_send(l, w.bytes, w.n, port);
}

// ---- Reading

// Call-IDs of ours name their pair: n<pair>.<number>@load and s<pair>.<number>@load; the former
// are made by the daemon, so NOTIFYs of ours are known by their branch.
static void sip_take_answer(struct load *l, const char *m)
{
    unsigned status = (unsigned)strtoul(m + 8, NULL, 10), i;
    char via[256];
    load_sip_header(m, "Via", via, sizeof via);
    const char *branch = strstr(via, ";branch=z9hG4bK");
    if (status < 200 || !branch)
        return;
    if (sscanf(branch, ";branch=z9hG4bKn%u.", &i) == 1 && i < l->setup.pairs)
        load_notifier_answered(l, i, status, load_sip_cseq(m));
    else if (sscanf(branch, ";branch=z9hG4bKs%u.", &i) == 1 && i < l->setup.pairs)
        load_subscriber_answered(l, i, status, m);
}

static void sip_take(struct load *l, const char *m, uint16_t port)
{
    if (strncmp(m, "SIP/2.0 ", 8) == 0)
        sip_take_answer(l, m);
    else if (strncmp(m, "NOTIFY ", 7) == 0)
        load_subscriber_told(l, m, port);
    else if (strncmp(m, "SUBSCRIBE ", 10) == 0)
        load_notifier_asked(l, m, port);
    else
        load_fault(l, "neither SUBSCRIBE nor NOTIFY: %.100s", m);
}

void load_sip_read(struct load *l)
{
    struct load_queue *q = l->sip_out;
    struct sockaddr_in from[LOAD_BATCH];
    struct iovec v[LOAD_BATCH];
    struct mmsghdr h[LOAD_BATCH] = {0};
    for (unsigned i = 0; i < LOAD_BATCH; i++) {
        v[i] = (struct iovec){q->in[i], LOAD_DATAGRAM - 1};
        h[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &v[i], .msg_iovlen = 1};
    }
    int n = recvmmsg(l->sip, h, LOAD_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        q->in[i][h[i].msg_len] = 0;
        sip_take(l, q->in[i], ntohs(from[i].sin_port));
    }
}
