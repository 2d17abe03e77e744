// The floor: a child that moves bytes as the gateway does, and a peer that keeps it busy.
#include "bench/load/floor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/aside.h"
#include "bench/load/load.h"
#include "bench/load/scratch.h"

// As in the gateway's ports: shards/sip_udp.h, shards/xmpp_stream.h, shards/shard_inner.h.
enum {
    BATCH = 64,               // datagrams by one system call
    BATCHES = 16,             // in one turn
    READ_BYTES = 64 << 10,    // from TCP by one system call
    READS = 4,                // in one turn
    MESSAGE_BYTES = 65536,    // [limits] sip_message_bytes
    SKEW = 25 * 64,           // between the places of two datagrams
    IN_BYTES = 16 << 20,      // of kernel buffer
    OUT_BYTES = 8 << 20,      // of kernel buffer
    PATIENCE_US = 5000000,    // without any event: something was lost
    WAIT_MS = 100,            // of one poll
    STREAM_BACKLOG = 1 << 20, // bytes of stanzas that were not said yet
};

// The bytes of the real flows, as the load driver and the gateway write them.
struct floor_bytes {
    const char *stanza, *request, *answer;
};

static const struct floor_bytes bytes_of[] = {
    [FLOOR_PRESENCE_IN] =
        {
            .stanza = "<presence from='j4776@example.com/load' to='r4776@example.net'>"
                      "<show>away</show><status>load 38</status></presence>",
            .request =
                "NOTIFY sip:r4776@127.0.0.1:58883 SIP/2.0\r\n"
                "Via: SIP/2.0/UDP 127.0.0.1:14577;branch=z9hG4bK0000000075ad715885c81450ec;rport"
                "\r\nMax-Forwards: 70\r\n"
                "From: <sip:j4776@example.com>;tag=670736d852862463e7f7d576\r\n"
                "To: <sip:r4776@example.net>;tag=r4776.1\r\nCall-ID: s4776.1@load\r\n"
                "CSeq: 41 NOTIFY\r\nContact: <sip:j4776@127.0.0.1:14577;gr=example.com>\r\n"
                "Event: presence\r\nSubscription-State: active;expires=3597\r\n"
                "SIP-ETag: 87bf0b51998f3004\r\nContent-Type: application/pidf+xml\r\n"
                "Content-Length: 459\r\n\r\n"
                "<?xml version='1.0' encoding='UTF-8'?>"
                "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:j4776@example.com'>"
                "<tuple id='ID-load'><status><basic>open</basic>"
                "<show xmlns='jabber:client'>dnd</show>"
                "<extended xmlns='urn:ag-projects:xml:ns:pidf'>busy</extended></status>"
                "<note>load 39</note></tuple>"
                "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='PERSON'>"
                "<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><busy/></activities>"
                "</person></presence>",
            .answer =
                "SIP/2.0 200 OK\r\n"
                "Via: SIP/2.0/UDP 127.0.0.1:14577;branch=z9hG4bK0000000075ad715885c81450ec;rport"
                "\r\nFrom: <sip:j4776@example.com>;tag=670736d852862463e7f7d576\r\n"
                "To: <sip:r4776@example.net>;tag=r4776.1\r\nCall-ID: s4776.1@load\r\n"
                "CSeq: 41 NOTIFY\r\nContent-Length: 0\r\n\r\n",
        },
    [FLOOR_NOTIFY_IN] =
        {
            .stanza = "<presence from='s3056@example.net/phone' to='x3056@example.com'>"
                      "<show>dnd</show><status>load 89</status>"
                      "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                      "node='urn:uuid:f5b6400b-ff63-44bd-8de2-417de52bbdb8' "
                      "ver='ijDubysOMnxr8YRUI4hg8CQ8kHg='/></presence>",
            .request = "NOTIFY sip:x3056@127.0.0.1:14577;gr=example.com SIP/2.0\r\n"
                       "Via: SIP/2.0/UDP 127.0.0.1:58883;branch=z9hG4bKn3056.453057\r\n"
                       "Max-Forwards: 70\r\nFrom: <sip:s3056@example.net>;tag=n3056.1\r\n"
                       "To: <sip:x3056@example.com>;tag=4e812ee0193b52fb406d078a\r\n"
                       "Call-ID: c2dec8c83c1ba5cc831c77d1554a4fdd\r\nCSeq: 90 NOTIFY\r\n"
                       "Contact: <sip:s3056@127.0.0.1:58883>\r\nEvent: presence\r\n"
                       "Subscription-State: active;expires=3600\r\n"
                       "Content-Type: application/pidf+xml\r\nContent-Length: 252\r\n\r\n"
                       "<?xml version='1.0' encoding='UTF-8'?>\r\n"
                       "<presence xmlns='urn:ietf:params:xml:ns:pidf' "
                       "entity='pres:s3056@example.net'><tuple id='ID-phone'><status>"
                       "<basic>open</basic><show xmlns='jabber:client'>dnd</show></status>"
                       "<note>load 89</note></tuple></presence>",
            .answer = "SIP/2.0 200 OK\r\n"
                      "Via: SIP/2.0/UDP 127.0.0.1:58883;branch=z9hG4bKn3056.453057\r\n"
                      "From: <sip:s3056@example.net>;tag=n3056.1\r\n"
                      "To: <sip:x3056@example.com>;tag=4e812ee0193b52fb406d078a\r\n"
                      "Call-ID: c2dec8c83c1ba5cc831c77d1554a4fdd\r\nCSeq: 90 NOTIFY\r\n"
                      "Content-Length: 0\r\n\r\n",
        },
};

// One end: the gateway's in the child, the generator's in the caller.
struct floor_end {
    int tcp, udp;
    struct sockaddr_in peer;
    char *in;          // BATCH places for datagrams
    char *stream_in;   // READ_BYTES
    char *stream_out;  // stanzas, one after the other, as many as fit
    size_t stanza_n;   // bytes of one
    size_t read, wait; // bytes of stanzas: read of one that is not whole, not said yet
    uint64_t unsent;   // datagrams
    struct sockaddr_in from[BATCH];
    struct mmsghdr in_head[BATCH], out_head[BATCH], run_head[BATCH];
    struct iovec in_piece[BATCH], out_piece, run_piece;
    unsigned run; // datagrams in each piece of run_head
    char *run_bytes;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } cut; // where the kernel is to cut a run
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
    } control; // of the first of a batch: when it came
};

// Seen by both: anonymous memory that fork() shares.
struct floor_shared {
    uint64_t turns;
};

struct floor_run {
    const struct floor_setup *setup;
    struct floor_end end[2]; // the caller's, the child's
    struct floor_shared *shared;
    pid_t child;
    uint64_t begun, over;
};

// ---- Sockets

static int floor_bind_udp(struct floor_end *e, struct sockaddr_in *at)
{
    int in = IN_BYTES, out = OUT_BYTES, on = 1;
    socklen_t n = sizeof *at;
    *at = (struct sockaddr_in){.sin_family = AF_INET};
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    e->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (e->udp < 0)
        return errno;
    if (setsockopt(e->udp, SOL_SOCKET, SO_RCVBUFFORCE, &in, sizeof in))
        setsockopt(e->udp, SOL_SOCKET, SO_RCVBUF, &in, sizeof in);
    if (setsockopt(e->udp, SOL_SOCKET, SO_SNDBUFFORCE, &out, sizeof out))
        setsockopt(e->udp, SOL_SOCKET, SO_SNDBUF, &out, sizeof out);
    setsockopt(e->udp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(e->udp, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (bind(e->udp, (struct sockaddr *)at, n) || getsockname(e->udp, (struct sockaddr *)at, &n))
        return errno;
    return 0;
}

static int floor_connect(struct floor_end *server, struct floor_end *gateway)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int on = 1, error = 0;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gateway->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&a, n) ||
        getsockname(listener, (struct sockaddr *)&a, &n) || listen(listener, 1) ||
        connect(gateway->tcp, (struct sockaddr *)&a, n))
        error = errno;
    if (!error && (server->tcp = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        error = errno;
    close(listener);
    setsockopt(server->tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(gateway->tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(gateway->tcp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return error;
}

// All datagrams that leave have the same bytes.
static int floor_prepare_out(struct floor_end *e, const char *datagram, unsigned run)
{
    size_t n = strlen(datagram);
    uint16_t segment = (uint16_t)n;
    e->run = run > 1 ? run : 1;
    e->run_bytes = malloc(n * e->run);
    if (!e->run_bytes)
        return ENOMEM;
    for (size_t i = 0; i < e->run; i++)
        memcpy(e->run_bytes + i * n, datagram, n);
    e->out_piece = (struct iovec){e->run_bytes, n};
    e->run_piece = (struct iovec){e->run_bytes, n * e->run};
    for (size_t i = 0; i < BATCH; i++) {
        struct msghdr one = {.msg_name = &e->peer,
                             .msg_namelen = sizeof e->peer,
                             .msg_iov = &e->out_piece,
                             .msg_iovlen = 1};
        e->out_head[i].msg_hdr = e->run_head[i].msg_hdr = one;
        if (e->run == 1)
            continue;
        struct msghdr *head = &e->run_head[i].msg_hdr;
        head->msg_iov = &e->run_piece;
        head->msg_control = &e->cut;
        head->msg_controllen = sizeof e->cut;
        struct cmsghdr *c = CMSG_FIRSTHDR(head);
        *c = (struct cmsghdr){CMSG_LEN(sizeof segment), SOL_UDP, UDP_SEGMENT};
        memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    return 0;
}

static int floor_prepare_in(struct floor_end *e, const char *stanza)
{
    const size_t stride = MESSAGE_BYTES + 64 + SKEW, n = strlen(stanza);
    e->stanza_n = n;
    e->in = malloc(stride * BATCH);
    e->stream_in = malloc(READ_BYTES);
    e->stream_out = malloc(STREAM_BACKLOG);
    if (!e->in || !e->stream_in || !e->stream_out)
        return ENOMEM;
    for (size_t at = 0; at + n <= STREAM_BACKLOG; at += n)
        memcpy(e->stream_out + at, stanza, n);
    for (size_t i = 0; i < BATCH; i++) {
        e->in_piece[i] = (struct iovec){e->in + i * stride, MESSAGE_BYTES + 1};
        e->in_head[i].msg_hdr =
            (struct msghdr){.msg_name = &e->from[i], .msg_iov = &e->in_piece[i], .msg_iovlen = 1};
    }
    return 0;
}

static void floor_end_close(struct floor_end *e)
{
    if (e->tcp >= 0)
        close(e->tcp);
    if (e->udp >= 0)
        close(e->udp);
    free(e->run_bytes);
    free(e->in);
    free(e->stream_in);
    free(e->stream_out);
}

// ---- Moving bytes

// Returns how many came, of at most one batch.
static unsigned floor_receive(struct floor_end *e)
{
    e->in_head[0].msg_hdr.msg_control = &e->control;
    e->in_head[0].msg_hdr.msg_controllen = sizeof e->control;
    for (size_t i = 0; i < BATCH; i++)
        e->in_head[i].msg_hdr.msg_namelen = sizeof e->from[i];
    int n = recvmmsg(e->udp, e->in_head, BATCH, MSG_DONTWAIT, NULL);
    return n > 0 ? (unsigned)n : 0;
}

// What the kernel does not take, waits. Whole runs first, what is left one by one.
static void floor_send(struct floor_end *e)
{
    while (e->unsent) {
        bool runs = e->unsent >= e->run;
        uint64_t size = runs ? e->run : 1, pieces = e->unsent / size;
        int n = sendmmsg(e->udp, runs ? e->run_head : e->out_head,
                         pieces < BATCH ? (unsigned)pieces : BATCH, MSG_DONTWAIT);
        if (n <= 0)
            return;
        e->unsent -= (uint64_t)n * size;
    }
}

// Returns how many stanzas came to their end. *more: there may be more; *closed: the stream is.
static uint64_t floor_read(struct floor_end *e, bool *more, bool *closed)
{
    ssize_t n = recv(e->tcp, e->stream_in, READ_BYTES, MSG_DONTWAIT);
    *more = n == READ_BYTES;
    *closed = n == 0;
    if (n <= 0)
        return 0;
    e->read += (size_t)n;
    uint64_t whole = e->read / e->stanza_n;
    e->read %= e->stanza_n;
    return whole;
}

static void floor_say(struct floor_end *e, uint64_t stanzas)
{
    e->wait += stanzas * e->stanza_n;
}

// One system call for all that waits. The first byte that does is one of a stanza's middle, if the
// kernel took less than was there.
static void floor_flush(struct floor_end *e)
{
    if (!e->wait)
        return;
    size_t skip = (e->stanza_n - e->wait % e->stanza_n) % e->stanza_n;
    size_t most = STREAM_BACKLOG - e->stanza_n - skip;
    ssize_t n = send(e->tcp, e->stream_out + skip, e->wait < most ? e->wait : most,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    e->wait -= n > 0 ? (size_t)n : 0;
}

// ---- The gateway that does not think

static void child_take_datagrams(struct floor_end *e, enum floor_way way)
{
    unsigned n = BATCH;
    for (unsigned i = 0; n == BATCH && i < BATCHES; i++) {
        n = floor_receive(e);
        if (way == FLOOR_NOTIFY_IN) {
            e->unsent += n;
            floor_say(e, n);
        }
    }
}

static bool child_take_stanzas(struct floor_end *e)
{
    bool more = true, closed = false;
    for (unsigned i = 0; more && i < READS; i++)
        e->unsent += floor_read(e, &more, &closed);
    return !closed;
}

// What brings the events wakes it, once a whole group of them is there; the rest is read on the
// way. For a gateway that thinks, all of it has come meanwhile.
static int child_watch(const struct floor_end *e, const struct floor_setup *setup)
{
    bool in = setup->way == FLOOR_PRESENCE_IN;
    struct epoll_event ev = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC), least = (int)(setup->say_every * e->stanza_n);
    if (in && setsockopt(e->tcp, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least))
        return -1;
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, in ? e->tcp : e->udp, &ev))
        return -1;
    return epoll;
}

static void child_run(struct floor_end *e, const struct floor_setup *setup,
                      struct floor_shared *shared)
{
    struct epoll_event ev[BATCH];
    int epoll = child_watch(e, setup);
    for (;;) {
        if (epoll_wait(epoll, ev, BATCH, WAIT_MS) < 0)
            _exit(1);
        child_take_datagrams(e, setup->way);
        if (setup->way == FLOOR_PRESENCE_IN && !child_take_stanzas(e))
            _exit(0);
        floor_send(e);
        floor_flush(e);
        shared->turns++;
    }
}

// ---- The generator

static void peer_read(struct floor_run *r)
{
    struct floor_end *e = &r->end[0];
    bool more, closed;
    unsigned n = floor_receive(e);
    if (r->setup->way == FLOOR_PRESENCE_IN) {
        r->over += n;
        e->unsent += n;
    } else {
        r->over += floor_read(e, &more, &closed);
    }
}

static void peer_begin(struct floor_run *r, uint64_t n)
{
    r->begun += n;
    if (r->setup->way == FLOOR_PRESENCE_IN)
        floor_say(&r->end[0], n);
    else
        r->end[0].unsent += n;
}

static void peer_play(struct floor_run *r, int wait_ms)
{
    struct floor_end *e = &r->end[0];
    struct pollfd p[2] = {{e->tcp, POLLIN, 0}, {e->udp, POLLIN, 0}};
    floor_flush(e);
    floor_send(e);
    if (poll(p, 2, wait_ms) > 0)
        peer_read(r);
    floor_flush(e);
    floor_send(e);
}

// A number of events is said together as soon as the window has room for all of them: so the child
// finds as many at once, whether it is faster than the caller or slower.
static bool peer_drive(struct floor_run *r, uint64_t events)
{
    const struct floor_setup *s = r->setup;
    uint64_t all = r->begun + events, before = r->over, end_us = load_now_us() + PATIENCE_US;
    while (r->over < all) {
        uint64_t left = all - r->begun, n = left < s->say_every ? left : s->say_every;
        bool room = n && r->begun - r->over + n <= s->window;
        if (room)
            peer_begin(r, n);
        peer_play(r, room ? 0 : WAIT_MS);
        if (r->over != before)
            end_us = load_now_us() + PATIENCE_US;
        else if (load_now_us() > end_us)
            return false;
        before = r->over;
    }
    return true;
}

// ---- Both

static int floor_prepare(struct floor_run *r)
{
    const struct floor_bytes *b = &bytes_of[r->setup->way];
    bool in = r->setup->way == FLOOR_PRESENCE_IN; // the gateway asks, its peer answers
    int error = floor_bind_udp(&r->end[0], &r->end[1].peer);
    error = error ? error : floor_bind_udp(&r->end[1], &r->end[0].peer);
    error = error ? error : floor_connect(&r->end[0], &r->end[1]);
    for (unsigned i = 0; i < 2 && !error; i++)
        error = floor_prepare_in(&r->end[i], b->stanza);
    error = error ? error : floor_prepare_out(&r->end[0], in ? b->answer : b->request, 1);
    error =
        error ? error : floor_prepare_out(&r->end[1], in ? b->request : b->answer, r->setup->run);
    r->shared =
        mmap(NULL, sizeof *r->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return error ? error : r->shared == MAP_FAILED ? ENOMEM : 0;
}

// To the first core that it may use, as the gateway's first shard. (If it can't be, it runs
// anywhere.) Two processes on one core hand bytes over within its caches, which would be cheaper.
static void child_pin(void)
{
    cpu_set_t all, one;
    int cpu = 0;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all))
        return;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static int floor_fork(struct floor_run *r)
{
    pid_t own = getpid();
    r->child = fork();
    if (r->child)
        return r->child < 0 ? errno : 0;
    scratch_die_with_parent(own);
    child_pin();
    close(r->end[0].tcp);
    close(r->end[0].udp);
    child_run(&r->end[1], r->setup, r->shared);
    _exit(1);
}

static uint64_t child_cpu_ns(const struct floor_run *r)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(r->child, &clock) || clock_gettime(clock, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// In whole groups: for less the child is not woken.
static uint64_t whole_groups(const struct floor_setup *s, uint64_t events)
{
    return (events + s->say_every - 1) / s->say_every * s->say_every;
}

// A twentieth beforehand, in which the child's memory is touched for the first time.
static int floor_take(struct floor_run *r, struct floor_figure *out)
{
    uint64_t events = whole_groups(r->setup, r->setup->events);
    if (!peer_drive(r, whole_groups(r->setup, events / 20 + 1)))
        return EIO;
    uint64_t cpu_ns = child_cpu_ns(r), turns = r->shared->turns, begin_us = load_now_us();
    if (!peer_drive(r, events))
        return EIO;
    double us = (double)(load_now_us() - begin_us);
    out->cpu_us = (double)(child_cpu_ns(r) - cpu_ns) / 1000 / (double)events;
    out->per_s = (double)events * 1e6 / us;
    out->per_turn = (double)events / (double)(r->shared->turns - turns);
    return 0;
}

int floor_measure(struct floor_figure *out, const struct floor_setup *setup)
{
    struct floor_run r = {.setup = setup, .end = {{.tcp = -1, .udp = -1}, {.tcp = -1, .udp = -1}}};
    int error = floor_prepare(&r);
    struct aside aside;
    error = error ? error : floor_fork(&r);
    aside_begin(&aside, 1);
    error = error ? error : floor_take(&r, out);
    aside_end(&aside);
    if (r.child > 0) {
        kill(r.child, SIGKILL);
        waitpid(r.child, NULL, 0);
    }
    floor_end_close(&r.end[0]);
    floor_end_close(&r.end[1]);
    if (r.shared && r.shared != MAP_FAILED)
        munmap(r.shared, sizeof *r.shared);
    return error;
}
