// What a connection says: bytes become messages and keep-alives.
//
// A byte is copied at most twice before the parser has it: a piece that begins a message and does
// not end it is kept, and what comes later is put behind it.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "shards/sip_stream_inner.h"

static bool is_response(struct text message)
{
    return message.n > 8 && memcmp(message.p, "SIP/", 4) == 0;
}

// How many answers wait on both sides, from the first bytes of what passes.
static void count_in(struct sip_stream_peer *c, struct text message)
{
    if (!is_response(message))
        c->owed += !text_starts(message, TEXT("ACK "));
    else if (message.p[8] >= '2' && c->asked)
        c->asked--;
}

static void deliver(struct sip_stream *s, struct sip_stream_peer *c, struct text message)
{
    c->message_ms = s->now_ms;
    sip_stream_heard_of(s, c);
    c->spoke = true;
    count_in(c, message);
    s->cb(s->arg, &s->port, &c->hop, message);
}

// What is too long is delivered as what it is: with one byte more than is taken. The parser sees
// its head, or the beginning of it, and answers 513 (RFC 3261 §21.5.7); the rest never comes here.
static void deliver_too_large(struct sip_stream *s, struct sip_stream_peer *c, struct text data)
{
    size_t n = s->message_max + 1;
    char *p = malloc(n);
    if (!p)
        return;
    size_t here = data.n < n ? data.n : n;
    memcpy(p, data.p, here);
    memset(p + here, ' ', n - here);
    deliver(s, c, (struct text){p, n});
    free(p);
}

static void give_up(struct sip_stream *s, struct sip_stream_peer *c,
                    enum sip_stream_frame_verdict verdict, struct text data)
{
    const char *why = "";
    switch (verdict) {
    case SIP_STREAM_FRAME_UNFRAMED:
        why = "Content-Length is missing or no number";
        s->count->unframed++;
        deliver(s, c, (struct text){data.p, c->frame.n});
        break;
    case SIP_STREAM_FRAME_HEAD_TOO_LONG:
        why = "header fields without an end";
        s->count->heads_too_long++;
        deliver_too_large(s, c, data);
        break;
    case SIP_STREAM_FRAME_TOO_LARGE:
        why = "a message too large";
        s->port.count->oversized++;
        deliver_too_large(s, c, data);
        break;
    default:
        sip_stream_say(s, "sip_not_spoken", &c->hop, "what comes is not SIP");
        s->count->garbage++;
        sip_stream_drop(s, c);
        return;
    }
    sip_stream_say(s, "sip_connection_ended", &c->hop, why);
    sip_stream_end(s, c);
}

// RFC 5626 §4.4.1, §5.4: CRLF CRLF between messages is a ping, and gets CRLF; CRLF is a pong. RFC
// 3261 §7.5: any other line ends before a message mean nothing. Returns how many bytes they are.
static size_t take_line_ends(struct sip_stream *s, struct sip_stream_peer *c, struct text data)
{
    static const char ping[] = "\r\n\r\n";
    size_t n = 0;
    for (; n < data.n && (data.p[n] == '\r' || data.p[n] == '\n'); n++) {
        c->line_ends = data.p[n] == ping[c->line_ends] ? c->line_ends + 1 : data.p[n] == '\r';
        if (c->line_ends == 2 && c->pong_due_ms) {
            c->pong_due_ms = 0;
            c->line_ends = 0;
        } else if (c->line_ends == 4) {
            c->line_ends = 0;
            if (sip_stream_waiting(c) == 0) // else it hears of us anyway
                sip_stream_queue(s, c, TEXT("\r\n"));
        }
    }
    if (n < data.n)
        c->line_ends = 0;
    return n;
}

// Delivers all that is whole; returns how many bytes are done with. Afterwards the connection may
// be ending, or gone.
static size_t take_messages(struct sip_stream *s, struct sip_stream_peer *c, struct text data)
{
    size_t done = 0;
    while (c->state == SIP_STREAM_OPEN) {
        struct text rest = {data.p + done, data.n - done};
        if (c->frame.seen == 0) { // between messages
            size_t n = take_line_ends(s, c, rest);
            done += n;
            rest = (struct text){rest.p + n, rest.n - n};
        }
        if (rest.n == 0)
            break;
        enum sip_stream_frame_verdict verdict =
            sip_stream_frame_look(&c->frame, rest.p, rest.n, s->message_max);
        if (verdict == SIP_STREAM_FRAME_MORE)
            break;
        if (verdict != SIP_STREAM_FRAME_WHOLE) {
            give_up(s, c, verdict, rest);
            break;
        }
        size_t n = c->frame.n;
        c->frame = (struct sip_stream_frame){0};
        c->partial_ms = 0;
        deliver(s, c, (struct text){rest.p, n});
        done += n;
    }
    return done;
}

// Keeps the beginning of a message that is not whole.
static void keep(struct sip_stream *s, struct sip_stream_peer *c, struct text rest)
{
    if (rest.n && !c->partial_ms)
        c->partial_ms = s->now_ms;
    if (c->in.n) { // it is there already, behind what is done with
        if (rest.p != c->in.p)
            memmove(c->in.p, rest.p, rest.n);
        c->in.n = rest.n;
        return;
    }
    buffer_text(&c->in, rest);
    if (c->in.failed)
        sip_stream_break(s, c, "no memory");
}

static void take(struct sip_stream *s, struct sip_stream_peer *c, struct text piece)
{
    struct text data = piece;
    s->port.count->in_bytes += piece.n;
    c->heard_ms = s->now_ms;
    if (c->in.n) {
        buffer_text(&c->in, piece);
        if (c->in.failed) {
            sip_stream_break(s, c, "no memory");
            return;
        }
        data = (struct text){c->in.p, c->in.n};
    }
    size_t done = take_messages(s, c, data);
    if (c->state == SIP_STREAM_OPEN)
        keep(s, c, (struct text){data.p + done, data.n - done});
}

static ssize_t read_once(struct sip_stream *s, struct sip_stream_peer *c)
{
    // What is thrown away needs no deciphering.
    if (c->tls && c->state == SIP_STREAM_OPEN)
        return sip_tls_read(c->tls, s->scratch, SIP_STREAM_READ_BYTES);
    return recv(c->fd, s->scratch, SIP_STREAM_READ_BYTES, MSG_DONTWAIT);
}

// The end of the stream. Answers may still be wanted, those too that wait already: the peer may
// have closed one half only, or be gone and reachable by its port in Via.
static void take_end(struct sip_stream *s, struct sip_stream_peer *c)
{
    c->eof = true;
    if (c->state == SIP_STREAM_OPEN && (c->owed || c->answering)) {
        c->kept = !c->begun; // what waits is whole, and can be said again
        sip_stream_end(s, c);
    } else {
        sip_stream_drop(s, c);
    }
}

// False: there is no more.
static bool read_piece(struct sip_stream *s, struct sip_stream_peer *c)
{
    ssize_t n = read_once(s, c);
    if (n > 0) {
        s->turn_bytes += (size_t)n;
        if (c->state == SIP_STREAM_OPEN)
            take(s, c, (struct text){s->scratch, (size_t)n});
        return true;
    }
    if (n == 0)
        take_end(s, c);
    else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        sip_stream_watch(s, c);
    else
        sip_stream_break(s, c, c->tls && errno == EPROTO ? sip_tls_why(c->tls) : strerror(errno));
    return false;
}

// Once is enough as a rule: what is left keeps the descriptor readable. TLS comes in records; and
// who has left has to be known as such before he is answered.
void sip_stream_read(struct sip_stream *s, struct sip_stream_peer *c, bool end_is_near)
{
    enum { RECORDS = SIP_STREAM_READ_BYTES / SIP_TLS_RECORD_BYTES };
    int most = c->tls || end_is_near ? RECORDS : 1;
    for (int i = 0; i < most && c->state != SIP_STREAM_GONE && !c->eof; i++)
        if (!read_piece(s, c))
            return;
}
