// SIP over UDP: batches of datagrams, one system call each way for many of them.
//
// Most of what a datagram costs is its way through the kernel. Under load there are many for the
// same peer at a time, and many of one size: of such a run the kernel is given one piece to cut at
// the end of that way (UDP_SEGMENT), for a third of the price. What can't go like that (an old
// kernel, an interface without checksums, a path too narrow) goes one by one. What runs there
// are in quiet times is left alone, too: a capture taken on this host shows the piece uncut.
#include "shards/sip_udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Datagrams are read into one block, a stride apart. A stride of 64 KiB alone would put the
// beginnings of all of them into one set of the cache; the skew spreads them.
enum { SIP_UDP_SKEW = 25 * 64 };

union sip_udp_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

// What the kernel says of a datagram: when it came, and how many had no room before it.
union sip_udp_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
};

// Where the kernel is to cut.
union sip_udp_cut {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct sip_udp_queued {
    struct hop to;
    uint32_t off, n; // in `bytes`
};

struct sip_udp {
    struct port port;
    int fd;
    uint8_t family;                  // 4 or 6
    size_t n_queue, queue_cap, done; // entries [done, n_queue) wait
    struct sip_udp_queued *queue;
    struct buffer bytes;
    size_t message_max;
    char *in;
    union sip_udp_control in_control; // of the first of a batch
    uint32_t in_dropped;              // as the kernel counts, round and round
    size_t one_by_one;                // so many of those that wait do not go in runs
    uint16_t out_run[SIP_UDP_BATCH];  // datagrams in each piece
    union sip_udp_cut out_cut[SIP_UDP_BATCH];
    struct mmsghdr in_head[SIP_UDP_BATCH], out_head[SIP_UDP_BATCH];
    struct iovec in_piece[SIP_UDP_BATCH], out_piece[SIP_UDP_BATCH];
    union sip_udp_address in_from[SIP_UDP_BATCH], out_to[SIP_UDP_BATCH];
};

static struct sip_udp *sip_udp_of(const struct port *p)
{
    return (struct sip_udp *)p; // the port is its first member
}

static socklen_t sip_udp_to_address(union sip_udp_address *a, const struct hop *h)
{
    memset(a, 0, sizeof *a);
    if (h->family == 4) {
        a->in.sin_family = AF_INET;
        a->in.sin_port = htons(h->port);
        memcpy(&a->in.sin_addr, h->ip, 4);
        return sizeof a->in;
    }
    a->in6.sin6_family = AF_INET6;
    a->in6.sin6_port = htons(h->port);
    memcpy(&a->in6.sin6_addr, h->ip, 16);
    return sizeof a->in6;
}

static void sip_udp_from_address(struct hop *h, const union sip_udp_address *a)
{
    memset(h, 0, sizeof *h);
    h->transport = HOP_UDP;
    if (a->any.sa_family == AF_INET) {
        h->family = 4;
        h->port = ntohs(a->in.sin_port);
        memcpy(h->ip, &a->in.sin_addr, 4);
    } else {
        h->family = 6;
        h->port = ntohs(a->in6.sin6_port);
        memcpy(h->ip, &a->in6.sin6_addr, 16);
    }
}

// Root gets what it asks for; others what net.core.[rw]mem_max allows. Either way it is only a
// wish.
static void sip_udp_enlarge(int fd, bool shared)
{
    int in = shared ? SIP_UDP_SOCKET_BYTES : SIP_UDP_OWN_IN_BYTES, out = SIP_UDP_SOCKET_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &in, sizeof in))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &in, sizeof in);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &out, sizeof out))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &out, sizeof out);
}

// Without them nothing is known of what waits; the port works all the same.
static void sip_udp_ask_about_waiting(int fd)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
}

static int sip_udp_bind(struct sip_udp *u, const struct port_setup *setup)
{
    int on = 1;
    union sip_udp_address local;
    socklen_t n = sip_udp_to_address(&local, &setup->local);
    u->family = setup->local.family;
    u->fd = socket(local.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0)
        return errno;
    if (u->family == 6 && setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        return errno;
    if (setup->shared && setsockopt(u->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
        return errno;
    sip_udp_enlarge(u->fd, setup->shared);
    sip_udp_ask_about_waiting(u->fd);
    return bind(u->fd, &local.any, n) ? errno : 0;
}

static int sip_udp_allocate(struct sip_udp *u, size_t message_max)
{
    size_t most = message_max + 1; // by the one too many the parser sees what is too large
    size_t stride = ((most + 63) & ~(size_t)63) + SIP_UDP_SKEW;
    u->message_max = message_max;
    u->in = malloc(stride * SIP_UDP_BATCH);
    u->queue_cap = SIP_UDP_BATCH;
    u->queue = malloc(u->queue_cap * sizeof *u->queue);
    buffer_init(&u->bytes, SIP_UDP_QUEUE_BYTES_MAX);
    if (!u->in || !u->queue)
        return ENOMEM;
    for (size_t i = 0; i < SIP_UDP_BATCH; i++) {
        u->in_piece[i] = (struct iovec){u->in + i * stride, most};
        u->in_head[i].msg_hdr = (struct msghdr){
            .msg_name = &u->in_from[i], .msg_iov = &u->in_piece[i], .msg_iovlen = 1};
        u->out_head[i].msg_hdr = (struct msghdr){
            .msg_name = &u->out_to[i], .msg_iov = &u->out_piece[i], .msg_iovlen = 1};
    }
    return 0;
}

static void sip_udp_close(struct port *p)
{
    struct sip_udp *u = sip_udp_of(p);
    if (u->fd >= 0)
        close(u->fd);
    buffer_free(&u->bytes);
    free(u->queue);
    free(u->in);
    free(u);
}

int sip_udp_open(struct port **out, const struct port_setup *setup)
{
    struct sip_udp *u = calloc(1, sizeof *u);
    *out = NULL;
    if (!u)
        return ENOMEM;
    u->port = (struct port){.ops = &sip_udp_ops, .id = setup->id, .count = setup->count};
    u->fd = -1;
    int error = sip_udp_allocate(u, setup->message_max);
    if (!error)
        error = sip_udp_bind(u, setup);
    if (error)
        sip_udp_close(&u->port);
    else
        *out = &u->port;
    return error;
}

static int sip_udp_fd(const struct port *p)
{
    return sip_udp_of(p)->fd;
}

static void sip_udp_deliver(struct sip_udp *u, size_t i, port_receive_cb cb, void *arg)
{
    const struct mmsghdr *head = &u->in_head[i];
    u->port.count->in_bytes += head->msg_len;
    // Cut or not, its head is there, and a request that can be answered gets a 513 by it (RFC 3261
    // §21.5.7).
    u->port.count->oversized += head->msg_len > u->message_max;
    struct hop from;
    sip_udp_from_address(&from, &u->in_from[i]);
    cb(arg, &u->port, &from, (struct text){u->in_piece[i].iov_base, head->msg_len});
}

static uint32_t sip_udp_waited_ms(const struct timespec *came)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); // the stamps are of this clock, which may be set
    int64_t ms =
        (int64_t)(now.tv_sec - came->tv_sec) * 1000 + (now.tv_nsec - came->tv_nsec) / 1000000;
    return ms < 0 ? 0 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

// The first of a batch has waited longest; so one look at the clock is enough, and only the first
// has a place for what the kernel says.
static void sip_udp_look_at_waiting(struct sip_udp *u)
{
    struct msghdr *head = &u->in_head[0].msg_hdr;
    u->port.waited_ms = UINT32_MAX;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
        struct timespec came;
        uint32_t dropped;
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&came, CMSG_DATA(c), sizeof came);
            u->port.waited_ms = sip_udp_waited_ms(&came);
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&dropped, CMSG_DATA(c), sizeof dropped);
            u->port.count->in_dropped += dropped - u->in_dropped;
            u->in_dropped = dropped;
        }
    }
}

static bool sip_udp_receive(struct port *p, port_receive_cb cb, void *arg)
{
    struct sip_udp *u = sip_udp_of(p);
    u->in_head[0].msg_hdr.msg_control = &u->in_control;
    u->in_head[0].msg_hdr.msg_controllen = sizeof u->in_control;
    for (size_t i = 0; i < SIP_UDP_BATCH; i++)
        u->in_head[i].msg_hdr.msg_namelen = sizeof u->in_from[i];
    int n = recvmmsg(u->fd, u->in_head, SIP_UDP_BATCH, MSG_DONTWAIT, NULL);
    if (n > 0)
        sip_udp_look_at_waiting(u);
    for (int i = 0; i < n; i++)
        sip_udp_deliver(u, (size_t)i, cb, arg);
    return n == SIP_UDP_BATCH; // an error is of no datagram of ours: ICMP, interrupt, nothing there
}

static bool sip_udp_make_room(struct sip_udp *u)
{
    if (u->n_queue < u->queue_cap)
        return true;
    if (u->queue_cap >= SIP_UDP_QUEUE_MAX)
        return false;
    struct sip_udp_queued *queue = realloc(u->queue, 2 * u->queue_cap * sizeof *queue);
    if (!queue)
        return false;
    u->queue = queue;
    u->queue_cap *= 2;
    return true;
}

// Moves what waits to the front, once what is done takes up more.
static void sip_udp_compact(struct sip_udp *u)
{
    if (u->done == 0 || u->done < u->n_queue / 2)
        return;
    uint32_t off = u->queue[u->done].off;
    u->bytes.n -= off;
    memmove(u->bytes.p, u->bytes.p + off, u->bytes.n);
    u->n_queue -= u->done;
    memmove(u->queue, u->queue + u->done, u->n_queue * sizeof *u->queue);
    for (size_t i = 0; i < u->n_queue; i++)
        u->queue[i].off -= off;
    u->done = 0;
}

static void sip_udp_send(struct port *p, const struct port_way *way, struct text message)
{
    struct sip_udp *u = sip_udp_of(p);
    const struct hop *to = &way->to;
    sip_udp_compact(u);
    if (to->family != u->family || !sip_udp_make_room(u) || !buffer_reserve(&u->bytes, message.n)) {
        u->bytes.failed = false; // what is queued is whole; only this message is lost
        p->count->send_failures++;
        return;
    }
    u->queue[u->n_queue++] =
        (struct sip_udp_queued){*to, (uint32_t)u->bytes.n, (uint32_t)message.n};
    buffer_text(&u->bytes, message);
}

// How many of those that wait go in one piece, from number i on: their bytes lie one behind the
// other.
static size_t sip_udp_run(const struct sip_udp *u, size_t i)
{
    const struct sip_udp_queued *q = &u->queue[i];
    size_t n = 1, left = u->n_queue - i;
    if (i < u->done + u->one_by_one || q->n > SIP_UDP_SEGMENT_MAX)
        return 1;
    while (n < SIP_UDP_RUN_MAX && n < left && q[n].n == q->n && hop_eq(&q[n].to, &q->to))
        n++;
    return n < SIP_UDP_RUN_MIN ? 1 : n;
}

static void sip_udp_load_cut(struct sip_udp *u, unsigned at, uint16_t segment)
{
    struct msghdr *head = &u->out_head[at].msg_hdr;
    *head = (struct msghdr){.msg_name = head->msg_name,
                            .msg_namelen = head->msg_namelen,
                            .msg_iov = head->msg_iov,
                            .msg_iovlen = 1};
    if (u->out_run[at] == 1)
        return;
    head->msg_control = &u->out_cut[at];
    head->msg_controllen = sizeof u->out_cut[at];
    struct cmsghdr *c = CMSG_FIRSTHDR(head);
    *c = (struct cmsghdr){CMSG_LEN(sizeof segment), SOL_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
}

// Fills the heads for the next batch; returns how many.
static unsigned sip_udp_load(struct sip_udp *u)
{
    unsigned n = 0;
    for (size_t i = u->done; n < SIP_UDP_BATCH && i < u->n_queue; n++) {
        const struct sip_udp_queued *q = &u->queue[i];
        u->out_run[n] = (uint16_t)sip_udp_run(u, i);
        i += u->out_run[n];
        u->out_head[n].msg_hdr.msg_namelen = sip_udp_to_address(&u->out_to[n], &q->to);
        u->out_piece[n] = (struct iovec){u->bytes.p + q->off, (size_t)q->n * u->out_run[n]};
        sip_udp_load_cut(u, n, (uint16_t)q->n);
    }
    return n;
}

static void sip_udp_did(struct sip_udp *u, size_t n)
{
    u->done += n;
    u->one_by_one -= n < u->one_by_one ? n : u->one_by_one;
}

// False: the socket is full.
static bool sip_udp_send_batch(struct sip_udp *u, unsigned *refused)
{
    int sent = sendmmsg(u->fd, u->out_head, sip_udp_load(u), MSG_DONTWAIT);
    for (int i = 0; i < sent; i++) {
        u->port.count->out_bytes += u->out_piece[i].iov_len;
        sip_udp_did(u, u->out_run[i]);
    }
    if (sent > 0)
        return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return false;
    // ECONNREFUSED speaks of an earlier datagram: send this one again.
    if (errno == EINTR || (errno == ECONNREFUSED && (*refused)++ < SIP_UDP_BATCH))
        return true;
    if (u->out_run[0] > 1) {
        u->one_by_one = u->out_run[0]; // it may be the cutting, there and for now
        return true;
    }
    // Anything else is its own fault.
    u->port.count->send_failures++;
    sip_udp_did(u, 1);
    return true;
}

static void sip_udp_flush(struct port *p)
{
    struct sip_udp *u = sip_udp_of(p);
    unsigned refused = 0;
    while (u->done < u->n_queue)
        if (!sip_udp_send_batch(u, &refused))
            return;
    u->n_queue = u->done = 0;
    buffer_reset(&u->bytes);
}

static bool sip_udp_is_waiting(const struct port *p)
{
    return sip_udp_of(p)->n_queue > 0;
}

const struct port_ops sip_udp_ops = {
    .close = sip_udp_close,
    .fd = sip_udp_fd,
    .receive = sip_udp_receive,
    .send = sip_udp_send,
    .flush = sip_udp_flush,
    .is_waiting = sip_udp_is_waiting,
};
