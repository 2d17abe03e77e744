// The SIP proxy: datagrams in batches, answers, and who gets what.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/load_inner.h"

enum {
    SIP_BUFFER_BYTES = 16 << 20,
    SIP_RUN_MOST = 64, // UDP_MAX_SEGMENTS
    SIP_RUN_BYTES = 65000,
};

// Datagrams of one length to one port leave as one piece that the kernel cuts again (UDP_SEGMENT):
// what the daemon gets is the same, and what it costs us is half.
union load_cut {
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
    struct cmsghdr head;
};

struct load_queue {
    unsigned n, run_most; // at once; 1: the kernel can't
    union load_cut cut[LOAD_BATCH];
    struct sockaddr_in to[LOAD_BATCH], from[LOAD_BATCH];
    struct iovec out_piece[LOAD_BATCH], in_piece[LOAD_BATCH];
    struct mmsghdr in_head[LOAD_BATCH];
    char out[LOAD_BATCH][LOAD_DATAGRAM], in[LOAD_BATCH][LOAD_DATAGRAM];
};

static struct msghdr sip_head(struct sockaddr_in *a, struct iovec *piece)
{
    return (struct msghdr){
        .msg_name = a, .msg_namelen = sizeof *a, .msg_iov = piece, .msg_iovlen = 1};
}

static struct load_queue *sip_queue(void)
{
    struct load_queue *q = calloc(1, sizeof *q);
    if (q)
        q->run_most = 1;
    for (unsigned i = 0; q && i < LOAD_BATCH; i++) {
        q->to[i].sin_family = AF_INET;
        q->to[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        q->out_piece[i].iov_base = q->out[i];
        q->in_piece[i] = (struct iovec){q->in[i], LOAD_DATAGRAM - 1};
        q->in_head[i].msg_hdr = sip_head(&q->from[i], &q->in_piece[i]);
    }
    return q;
}

int load_sip_create(struct load *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int big = SIP_BUFFER_BYTES, cut;
    if (inet_pton(AF_INET, l->setup.address, &a.sin_addr) != 1)
        return EINVAL;
    l->sip_queue = sip_queue();
    if (!l->sip_queue)
        return ENOMEM;
    l->sip = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (setsockopt(l->sip, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big))
        setsockopt(l->sip, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    if (l->sip < 0 || bind(l->sip, (struct sockaddr *)&a, sizeof a) ||
        getsockname(l->sip, (struct sockaddr *)&a, &n))
        return errno;
    l->proxy_port = ntohs(a.sin_port);
    n = sizeof cut;
    if (getsockopt(l->sip, SOL_UDP, UDP_SEGMENT, &cut, &n) == 0)
        l->sip_queue->run_most = SIP_RUN_MOST;
    return 0;
}

void load_sip_destroy(struct load *l)
{
    if (l->sip >= 0)
        close(l->sip);
    free(l->sip_queue);
}

// ---- Datagrams

// How many from `first` on leave together.
static unsigned sip_run(const struct load_queue *q, unsigned first)
{
    size_t size = q->out_piece[first].iov_len;
    unsigned n = 1, most = q->n - first < q->run_most ? q->n - first : q->run_most;
    while (n < most && q->out_piece[first + n].iov_len == size &&
           q->to[first + n].sin_port == q->to[first].sin_port && (n + 1) * size <= SIP_RUN_BYTES)
        n++;
    return n;
}

static struct msghdr sip_run_head(struct load_queue *q, unsigned first, unsigned n)
{
    union load_cut *cut = &q->cut[first];
    struct msghdr h = sip_head(&q->to[first], &q->out_piece[first]);
    uint16_t size = (uint16_t)q->out_piece[first].iov_len;
    if (n == 1)
        return h;
    cut->head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof size), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
    memcpy(CMSG_DATA(&cut->head), &size, sizeof size);
    h.msg_iovlen = n;
    h.msg_control = cut;
    h.msg_controllen = sizeof *cut;
    return h;
}

void load_sip_flush(struct load *l)
{
    struct load_queue *q = l->sip_queue;
    struct mmsghdr h[LOAD_BATCH];
    unsigned runs = 0;
    for (unsigned i = 0, n; i < q->n; i += n) {
        n = sip_run(q, i);
        h[runs++].msg_hdr = sip_run_head(q, i, n);
    }
    for (unsigned at = 0; at < runs;) {
        int n = sendmmsg(l->sip, h + at, runs - at, 0);
        at += n > 0 ? (unsigned)n : 1; // refused: nobody is there, and it counts as lost
    }
    q->n = 0;
}

void load_sip_send(struct load *l, const char *bytes, size_t n, uint16_t port)
{
    struct load_queue *q = l->sip_queue;
    if (q->n == LOAD_BATCH)
        load_sip_flush(l);
    q->to[q->n].sin_port = htons(port);
    memcpy(q->out[q->n], bytes, n);
    q->out_piece[q->n++].iov_len = n;
}

// ---- Writing

unsigned load_sip_branch(struct load *l)
{
    return ++l->branches;
}

void load_sip_write(struct load_writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    w->n += load_format(w->bytes + w->n, sizeof w->bytes - w->n, format, args);
    va_end(args);
}

void load_sip_write_body(struct load_writer *w, const char *type, const char *body)
{
    if (*body)
        load_sip_write(w, "Content-Type: %s\r\n", type);
    load_sip_write(w, "Content-Length: %u\r\n\r\n%s", (unsigned)strlen(body), body);
}

#define PIECE(t) (int)(t).n, (t).p

void load_sip_answer(struct load *l, const struct load_message *m, const char *status,
                     const char *tag, const char *more)
{
    struct load_writer w;
    if (!m->via.p || !m->from.p || !m->to.p || !m->call_id.p || !m->cseq.p) {
        load_fault(l, "a request without its header fields: %.150s", m->start);
        return;
    }
    bool tagged = load_message_tag(m->to).p != NULL;
    w.n = 0;
    load_sip_write(&w,
                   "SIP/2.0 %s\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: %.*s%s%s\r\nCall-ID: %.*s\r\n"
                   "CSeq: %.*s\r\n%sContent-Length: 0\r\n\r\n",
                   status, PIECE(m->via), PIECE(m->from), PIECE(m->to),
                   tagged ? "" : ";tag=", tagged ? "" : tag, PIECE(m->call_id), PIECE(m->cseq),
                   more);
    load_sip_send(l, w.bytes, w.n, m->port);
}

// ---- Reading

// A contact that names no port is behind who sent the message.
void load_sip_learn_target(struct load_dialog *d, const struct load_message *m)
{
    const char *open = m->contact.p ? memchr(m->contact.p, '<', m->contact.n) : NULL;
    const char *host = load_after(open, "<sip:"), *end = host ? strchr(host, '>') : NULL;
    if (!end)
        return;
    const char *at = memchr(host, '@', (size_t)(end - host));
    host = at ? at + 1 : host;
    const char *colon = memchr(host, ':', (size_t)(end - host));
    uint32_t number;
    load_piece_copy((struct load_piece){open + 1, (size_t)(end - open - 1)}, d->target,
                    sizeof d->target);
    d->port = colon && load_digits(colon + 1, &number) ? (uint16_t)number : m->port;
}

// Call-IDs of ours name their pair: s<pair>.<number>@load. Those of watch pairs are made by the
// daemon, so answers to us are known by their branch: n<pair>.… and s<pair>.…
static void sip_take_answer(struct load *l, const struct load_message *m)
{
    static const char cookie[] = ";branch=z9hG4bK";
    uint32_t status, i;
    const char *branch = m->via.p ? memmem(m->via.p, m->via.n, cookie, sizeof cookie - 1) : NULL;
    if (!load_digits(m->start + 8, &status) || status < 200 || !branch)
        return;
    branch += sizeof cookie - 1;
    if (!load_digits(branch + 1, &i) || i >= l->setup.pairs)
        return;
    if (*branch == 'n')
        load_notifier_answered(l, i, status, m->number);
    else if (*branch == 's')
        load_subscriber_answered(l, i, status, m);
}

static void sip_take(struct load *l, const char *bytes, size_t n, uint16_t port)
{
    struct load_message m;
    load_message_read(&m, bytes, n, port);
    if (load_after(bytes, "SIP/2.0 "))
        sip_take_answer(l, &m);
    else if (load_after(bytes, "NOTIFY "))
        load_subscriber_told(l, &m);
    else if (load_after(bytes, "SUBSCRIBE "))
        load_notifier_asked(l, &m);
    else
        load_fault(l, "neither SUBSCRIBE nor NOTIFY: %.100s", bytes);
}

// What came in one batch came by now; a few at once, so that the stream has its turn.
void load_sip_read(struct load *l)
{
    struct load_queue *q = l->sip_queue;
    for (int batch = 0, n = LOAD_BATCH; batch < LOAD_BATCHES && n == LOAD_BATCH; batch++) {
        n = recvmmsg(l->sip, q->in_head, LOAD_BATCH, MSG_DONTWAIT, NULL);
        l->now_us = load_now_us();
        for (int i = 0; i < n; i++) {
            q->in[i][q->in_head[i].msg_len] = 0;
            sip_take(l, q->in[i], q->in_head[i].msg_len, ntohs(q->from[i].sin_port));
        }
    }
}
