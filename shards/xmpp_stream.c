// One authenticated component stream on its shard: reads stanzas, writes them in batches.
#include "shards/xmpp_stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct xmpp_stream {
    int fd;
    struct stanza_reader *reader;
    struct buffer out;
    size_t done; // bytes of `out` that were sent
    // One place in what comes in is marked: the last byte that waited at a certain time. When it is
    // read, that long it has waited. So the wait is known for one system call now and then.
    uint64_t read, mark;
    uint64_t mark_ms;    // 0: none
    uint32_t lag_ms;     // of the last mark that was read
    uint64_t spoke_ms;   // when the kernel last took something
    uint64_t stalled_ms; // since when it takes nothing, though there is something; 0: it does
};

// Batches are made here, so none is to wait for the kernel's; and a peer that is gone without a
// word is to be noticed, whether we speak (user timeout) or not (keep-alive).
static void stream_set_options(int fd)
{
    int on = 1, idle_s = 30, interval_s = 10, timeout_ms = XMPP_STREAM_STALL_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

int xmpp_stream_create(struct xmpp_stream **out, int fd, const struct stanza_reader_limits *limits,
                       stanza_reader_cb cb, void *arg, uint64_t now_ms)
{
    struct xmpp_stream *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s) {
        close(fd);
        return ENOMEM;
    }
    s->fd = fd;
    s->spoke_ms = now_ms;
    // Twice, because what is sent is cut off only when it is half of what is there.
    buffer_init(&s->out, 2 * (size_t)XMPP_STREAM_BACKLOG_BYTES);
    stream_set_options(fd);
    int error = stanza_reader_create(&s->reader, limits, cb, arg);
    if (error)
        xmpp_stream_destroy(s);
    else
        *out = s;
    return error;
}

void xmpp_stream_destroy(struct xmpp_stream *s)
{
    if (!s)
        return;
    stanza_reader_destroy(s->reader);
    buffer_free(&s->out);
    close(s->fd);
    free(s);
}

static void stream_note_read(struct xmpp_stream *s, size_t n, uint64_t now_ms)
{
    int waiting;
    s->read += n;
    if (n < XMPP_STREAM_READ_BYTES) { // there is no more
        s->mark_ms = s->lag_ms = 0;
        return;
    }
    if (s->mark_ms && s->read >= s->mark) {
        s->lag_ms = (uint32_t)(now_ms - s->mark_ms);
        s->mark_ms = 0;
    }
    if (!s->mark_ms && ioctl(s->fd, FIONREAD, &waiting) == 0) {
        s->mark = s->read + (uint64_t)waiting;
        s->mark_ms = now_ms;
    }
}

uint32_t xmpp_stream_lag_ms(const struct xmpp_stream *s, uint64_t now_ms)
{
    uint64_t since_ms = s->mark_ms ? now_ms - s->mark_ms : 0;
    return since_ms > s->lag_ms ? (uint32_t)since_ms : s->lag_ms;
}

int xmpp_stream_read(struct xmpp_stream *s, char scratch[XMPP_STREAM_READ_BYTES], uint64_t now_ms,
                     bool *more)
{
    ssize_t n = recv(s->fd, scratch, XMPP_STREAM_READ_BYTES, MSG_DONTWAIT);
    *more = n == XMPP_STREAM_READ_BYTES;
    if (n > 0)
        stream_note_read(s, (size_t)n, now_ms);
    if (n > 0)
        return stanza_reader_feed(s->reader, scratch, (size_t)n);
    if (n == 0 || errno == ECONNRESET)
        return EPIPE; // ECONNRESET is the reader's word for a stream that was closed by its rules
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : errno;
}

size_t xmpp_stream_backlog(const struct xmpp_stream *s)
{
    return s->out.n - s->done;
}

bool xmpp_stream_send(struct xmpp_stream *s, struct text stanza)
{
    if (xmpp_stream_backlog(s) + stanza.n > XMPP_STREAM_BACKLOG_BYTES)
        return false;
    if (s->done > 0 && s->done >= s->out.n / 2) {
        s->out.n -= s->done;
        memmove(s->out.p, s->out.p + s->done, s->out.n);
        s->done = 0;
    }
    if (!buffer_reserve(&s->out, stanza.n)) {
        s->out.failed = false; // what is queued is whole; only this stanza is lost
        return false;
    }
    buffer_text(&s->out, stanza);
    return true;
}

// ECONNRESET and ENOBUFS are words of ours for other ends of a stream.
static int send_error(int error)
{
    switch (error) {
    case EAGAIN:
    case EINTR: return 0;
    case ECONNRESET: return EPIPE;
    case ENOBUFS: return ENOMEM;
    default: return error;
    }
}

int xmpp_stream_flush(struct xmpp_stream *s, uint64_t now_ms)
{
    if (!xmpp_stream_backlog(s))
        return 0;
    ssize_t n =
        send(s->fd, s->out.p + s->done, xmpp_stream_backlog(s), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        s->stalled_ms = s->stalled_ms ? s->stalled_ms : now_ms;
        return send_error(errno);
    }
    s->spoke_ms = now_ms;
    s->stalled_ms = 0;
    s->done += (size_t)n;
    if (s->done == s->out.n) {
        s->done = 0;
        buffer_reset(&s->out);
    }
    return 0;
}

int xmpp_stream_look_after(struct xmpp_stream *s, uint64_t now_ms)
{
    if (s->stalled_ms && now_ms - s->stalled_ms >= XMPP_STREAM_STALL_MS)
        return ETIMEDOUT;
    if (xmpp_stream_backlog(s) || now_ms - s->spoke_ms < XMPP_STREAM_KEEPALIVE_MS)
        return 0;
    xmpp_stream_send(s, TEXT(" "));
    return xmpp_stream_flush(s, now_ms);
}

void xmpp_stream_end(struct xmpp_stream *s, struct text condition)
{
    if (condition.n) {
        xmpp_stream_send(s, TEXT("<stream:error><"));
        xmpp_stream_send(s, condition);
        xmpp_stream_send(s, TEXT(" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"));
    }
    xmpp_stream_send(s, TEXT("</stream:stream>"));
}

static const char *stream_error_text(int error)
{
    switch (error) {
    case EBADMSG: return "the server's XML is not well-formed";
    case EPERM: return "the server's XML has what XMPP forbids";
    case EMSGSIZE: return "a stanza was far above the limit of size or depth";
    case EPIPE: return "the server closed the connection";
    case ECONNRESET: return "the server closed the stream";
    case ETIMEDOUT: return "the server reads nothing any more";
    case ENOBUFS: return "the server reads too slowly";
    default: return strerror(error);
    }
}

void xmpp_stream_why(const struct xmpp_stream *s, int error, char why[XMPP_STREAM_WHY_MAX])
{
    struct text condition = stanza_reader_stream_error(s->reader);
    if (error == ECONNRESET && condition.n)
        snprintf(why, XMPP_STREAM_WHY_MAX, "the server says %.*s", TEXT_ARG(condition));
    else
        snprintf(why, XMPP_STREAM_WHY_MAX, "%s", stream_error_text(error));
}

// RFC 6120 §4.9.3.13, §4.9.3.14, §4.9.3.17, §4.9.3.18.
struct text xmpp_stream_condition(int error)
{
    switch (error) {
    case EBADMSG: return TEXT("not-well-formed");
    case EPERM: return TEXT("restricted-xml");
    case EMSGSIZE: return TEXT("policy-violation");
    case ENOMEM: return TEXT("resource-constraint");
    default: return (struct text){0};
    }
}
