// What a connection is told: the right one is found or opened, and its queue sent as far as the
// kernel takes it.
#include <errno.h>
#include <sys/socket.h>

#include "shards/clock.h"
#include "shards/sip_stream_inner.h"

void sip_stream_make_dirty(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (c->dirty || c->state == SIP_STREAM_GONE)
        return;
    c->dirty = true;
    c->next = NULL;
    *s->dirty_end = c; // in the order of first words: see shard_release.c
    s->dirty_end = &c->next;
}

static bool has_room(struct sip_stream *s, const struct sip_stream_peer *c, size_t n)
{
    if (sip_stream_waiting(c) + n > sip_stream_queue_max(c)) {
        s->count->queue_full++;
        return false;
    }
    if (s->count->queued_bytes + n > sip_stream_tuning.queues_bytes_max) {
        s->count->queues_full++;
        return false;
    }
    return true;
}

// Moves what waits to the front, once what is done takes up more.
static void compact(struct sip_stream_peer *c)
{
    if (c->kept || c->done == 0 || c->done < c->out.n / 2)
        return;
    memmove(c->out.p, c->out.p + c->done, c->out.n - c->done);
    c->out.n -= c->done;
    c->done = 0;
}

bool sip_stream_queue(struct sip_stream *s, struct sip_stream_peer *c, struct text bytes)
{
    compact(c);
    bool fits = has_room(s, c, bytes.n) && buffer_reserve(&c->out, bytes.n);
    if (!fits) {
        c->out.failed = false; // what is queued is whole; only this message is lost
        s->port.count->send_failures++;
        return false;
    }
    buffer_text(&c->out, bytes);
    s->count->queued_bytes += bytes.n;
    c->n_out++;
    sip_stream_make_dirty(s, c);
    return true;
}

// ---- Which connection --------------------------------------------------------------------------

static bool has_name(const struct sip_stream_peer *c, struct text name)
{
    return text_eq_nocase(text_of(c->server_name), name);
}

// One that the peer opened is as good as ours, if it comes from where the request is to go, and by
// TLS, if it has shown who it is.
static bool takes_request(const struct sip_stream_peer *c, const struct port_way *way)
{
    if (c->state > SIP_STREAM_OPEN || !hop_eq(&c->hop, &way->to))
        return false;
    if (c->outgoing)
        return way->to.transport == HOP_TCP || has_name(c, way->server_name);
    return c->state == SIP_STREAM_OPEN &&
           (!c->tls || sip_tls_names(c->tls, way->server_name, &way->to));
}

static struct sip_stream_peer *find_for_request(const struct sip_stream *s,
                                                const struct port_way *way)
{
    for (struct sip_stream_peer *c = sip_stream_bucket(s, &way->to); c; c = c->same)
        if (takes_request(c, way))
            return c;
    return NULL;
}

// That which the request came on. There may be several to one address, by other server names: the
// one that spoke last.
static struct sip_stream_peer *find_for_answer(const struct sip_stream *s, const struct hop *to)
{
    struct sip_stream_peer *best = NULL;
    for (struct sip_stream_peer *c = sip_stream_bucket(s, to); c; c = c->same)
        if ((c->state == SIP_STREAM_OPEN || c->state == SIP_STREAM_ENDING) && hop_eq(&c->hop, to) &&
            (!best || c->owed > best->owed ||
             (c->owed == best->owed && c->heard_ms > best->heard_ms)))
            best = c;
    return best;
}

static struct sip_stream_peer *find_or_connect(struct sip_stream *s, const struct port_way *way,
                                               bool is_request)
{
    struct sip_stream_peer *c = find_for_request(s, way);
    return c ? c : sip_stream_connect(s, &way->to, way->server_name, is_request);
}

// False: it is lost, and counted.
static bool take(struct sip_stream *s, struct sip_stream_peer *c, struct text message)
{
    if (!c)
        s->port.count->send_failures++;
    else
        c->message_ms = s->now_ms;
    return c && sip_stream_queue(s, c, message);
}

static void send_answer(struct sip_stream *s, const struct port_way *way, struct text message)
{
    struct sip_stream_peer *c = find_for_answer(s, &way->to);
    if (!c) {
        struct port_way again = *way;
        again.to.port = way->reopen_port;
        c = find_or_connect(s, &again, false);
    }
    if (!take(s, c, message))
        return;
    c->owed -= c->owed > 0;
    c->answering = true;
    c->reopen_port = way->reopen_port;
}

static void send_request(struct sip_stream *s, const struct port_way *way, struct text message)
{
    struct sip_stream_peer *c = find_or_connect(s, way, true);
    if (!take(s, c, message))
        return;
    c->asked++;
}

void sip_stream_send(struct port *p, const struct port_way *way, struct text message)
{
    struct sip_stream *s = sip_stream_of(p);
    s->now_ms = clock_monotonic_us() / 1000;
    if (way->reopen_port)
        send_answer(s, way, message);
    else
        send_request(s, way, message);
}

void sip_stream_say_again(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (!c->kept || !c->out.n || !c->reopen_port)
        return;
    struct port_way way = {.to = c->hop, .reopen_port = c->reopen_port};
    way.to.port = c->reopen_port;
    struct sip_stream_peer *other = find_or_connect(s, &way, false);
    if (other && other != c)
        sip_stream_queue(s, other, (struct text){c->out.p, c->out.n});
}

// ---- The wire ----------------------------------------------------------------------------------

static ssize_t write_once(struct sip_stream_peer *c)
{
    const char *p = c->out.p + c->done;
    size_t n = sip_stream_waiting(c);
    return c->tls ? sip_tls_write(c->tls, p, n) : send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void wrote(struct sip_stream *s, struct sip_stream_peer *c, size_t n)
{
    c->done += n;
    c->begun = true;
    s->count->queued_bytes -= n;
    s->port.count->out_bytes += n;
    c->stalled_ms = 0;
}

// All is out.
static void rest(struct sip_stream *s, struct sip_stream_peer *c)
{
    c->blocked = c->answering = c->begun = false;
    c->n_out = 0;
    if (!c->kept) {
        buffer_reset(&c->out);
        c->done = 0;
    }
    if (c->state == SIP_STREAM_ENDING && !c->eof && !c->owed) {
        if (c->tls)
            sip_tls_say_goodbye(c->tls);
        shutdown(c->fd, SHUT_WR); // and the peer's end will end it
    }
    sip_stream_watch(s, c);
}

static bool failed(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (errno == EINTR)
        return false;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        sip_stream_break(s, c, c->tls && errno == EPROTO ? sip_tls_why(c->tls) : strerror(errno));
        return true;
    }
    c->blocked = true;
    if (!c->stalled_ms)
        c->stalled_ms = s->now_ms;
    sip_stream_watch(s, c);
    return true;
}

void sip_stream_write(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (c->state != SIP_STREAM_OPEN && c->state != SIP_STREAM_ENDING)
        return;
    while (sip_stream_waiting(c)) {
        ssize_t n = write_once(c);
        if (n > 0)
            wrote(s, c, (size_t)n);
        else if (failed(s, c))
            return;
    }
    rest(s, c);
}
