// The XMPP server as the component sees it (XEP-0114), and the XMPP users behind it.
//
// All users are logged in with one client. She who is asked approves; she who is probed shows
// herself; a stranger's probe gets no answer, and questions to her bare JID get an error, as real
// servers do.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/load_inner.h"

enum { STANZA_MAX = 2048 };

int load_xmpp_create(struct load *l)
{
    struct load_stream *st = &l->stream;
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    st->in = malloc(LOAD_IN_BYTES + 1);
    st->out = malloc(LOAD_OUT_BYTES);
    st->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!st->in || !st->out)
        return ENOMEM;
    if (st->listener < 0 || bind(st->listener, (struct sockaddr *)&a, sizeof a) ||
        getsockname(st->listener, (struct sockaddr *)&a, &n) || listen(st->listener, 16))
        return errno;
    l->xmpp_port = ntohs(a.sin_port);
    return 0;
}

static void xmpp_hang_up(struct load_stream *st)
{
    if (st->fd >= 0)
        close(st->fd);
    st->fd = -1;
    st->step = 0;
    st->in_n = st->out_n = 0;
}

void load_xmpp_destroy(struct load *l)
{
    xmpp_hang_up(&l->stream);
    if (l->stream.listener >= 0)
        close(l->stream.listener);
    free(l->stream.in);
    free(l->stream.out);
}

void load_xmpp_drop(struct load *l)
{
    xmpp_hang_up(&l->stream);
}

// ---- Writing

// Waits while the daemon does not read: what a server behind it would do.
void load_xmpp_flush(struct load *l)
{
    struct load_stream *st = &l->stream;
    for (size_t at = 0; st->fd >= 0 && at < st->out_n;) {
        ssize_t n = send(st->fd, st->out + at, st->out_n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            memmove(st->out, st->out + at, st->out_n - at);
            st->out_n -= at;
            return;
        } else {
            xmpp_hang_up(st);
        }
    }
    st->out_n = 0;
}

// While the stream is down, or so full that nothing can be said, nothing is: events are said again
// when it is up anew, and what they have come to by then is what they say.
static void xmpp_say(struct load *l, const char *format, ...)
{
    struct load_stream *st = &l->stream;
    va_list args;
    if (st->out_n > LOAD_OUT_BYTES - STANZA_MAX)
        load_xmpp_flush(l);
    if (st->fd < 0)
        return;
    if (st->out_n > LOAD_OUT_BYTES - STANZA_MAX) {
        l->unsaid++;
        return;
    }
    va_start(args, format);
    st->out_n += load_format(st->out + st->out_n, STANZA_MAX, format, args);
    va_end(args);
}

bool load_is_full(const struct load *l)
{
    return l->stream.out_n > LOAD_OUT_BYTES / 2;
}

static void xmpp_say_presence(struct load *l, unsigned i)
{
    static const char *const shows[] = {"away", "dnd"};
    unsigned round = l->serve[i].round;
    if (l->serve[i].away)
        xmpp_say(l,
                 "<presence from='%s%u@example.com/load' to='r%u@example.net' type='unavailable'/>",
                 load_watched(l), load_user(l, i), i);
    else
        xmpp_say(l,
                 "<presence from='%s%u@example.com/load' to='r%u@example.net'><show>%s</show>"
                 "<status>load %u%s</status></presence>",
                 load_watched(l), load_user(l, i), i, shows[round % 2], round, load_filler(l, i));
}

static void xmpp_say_to_contact(struct load *l, unsigned i, const char *resource, const char *type)
{
    xmpp_say(l, "<presence from='x%u@example.com%s' to='s%u%s@example.net' type='%s'/>",
             load_user(l, i), resource, i, load_name_filler(&l->watch[i]), type);
}

void load_xmpp_begin(struct load *l, enum load_kind kind, unsigned i)
{
    if (l->stream.step != LOAD_STREAM_UP)
        return;
    if (kind == LOAD_PRESENCE || kind == LOAD_LOGOUT) {
        l->serve[i].away = kind == LOAD_LOGOUT;
        xmpp_say_presence(l, i);
    } else if (kind == LOAD_LOGIN) {
        xmpp_say_to_contact(l, i, "/load", "probe");
    } else {
        xmpp_say_to_contact(l, i, "", kind == LOAD_WATCH ? "subscribe" : "unsubscribe");
    }
}

void load_xmpp_ask_ready(struct load *l)
{
    l->asked_ready = true;
    xmpp_say(l,
             "<iq type='get' id='load-ready' from='x0@example.com/load' to='example.net'>"
             "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
}

// The stream is up anew: what was said to the old one may be lost.
static void xmpp_say_all_again(struct load *l)
{
    static const enum load_kind kinds[] = {LOAD_WATCH, LOAD_UNWATCH, LOAD_LOGOUT, LOAD_LOGIN,
                                           LOAD_PRESENCE};
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (unsigned i = 0; l->under_way[kinds[k]] && i < l->setup.pairs; i++)
            if (load_is_under_way(l, kinds[k], i))
                load_xmpp_begin(l, kinds[k], i);
}

// ---- What the component says

// A stanza's name and the attributes that say whose it is; NULL: it has no such.
struct stanza {
    const char *start, *inside; // both NUL-terminated; `inside` is "" if it is empty
    struct load_piece type, from, to, id;
};

static const char *stanza_attribute(struct stanza *s, const char *name, size_t n)
{
    const char *value = name + n + 2, *end = strchr(value, value[-1]);
    struct load_piece *to = n == 4 && memcmp(name, "type", 4) == 0   ? &s->type
                            : n == 4 && memcmp(name, "from", 4) == 0 ? &s->from
                            : n == 2 && memcmp(name, "to", 2) == 0   ? &s->to
                            : n == 2 && memcmp(name, "id", 2) == 0   ? &s->id
                                                                     : NULL;
    if (end && to)
        *to = (struct load_piece){value, (size_t)(end - value)};
    return end;
}

// As daemons write it: one space before each name, values in quotes of either kind.
static void stanza_read(struct stanza *s, const char *start)
{
    *s = (struct stanza){.start = start, .inside = ""};
    const char *at = start + strcspn(start, " >");
    while (at && *at == ' ') {
        const char *name = at + 1, *equals = strchr(name, '=');
        at = equals ? stanza_attribute(s, name, (size_t)(equals - name)) : NULL;
        at = at ? at + 1 : NULL;
    }
    if (at && *at == '>')
        s->inside = at + 1;
}

static void take_iq(struct load *l, const struct stanza *s)
{
    if (load_piece_eq(s->id, "load-ready"))
        l->ready = true;
    else if (load_piece_eq(s->type, "get") || load_piece_eq(s->type, "set"))
        xmpp_say(l,
                 "<iq type='error' from='%.*s' to='%.*s' id='%.*s'><error type='cancel'>"
                 "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                 (int)s->to.n, s->to.p, (int)s->from.n, s->from.p, (int)s->id.n, s->id.p);
}

// Of a SIP user who watches one of hers.
static void take_of_watcher(struct load *l, const struct stanza *s, unsigned i)
{
    bool asked = load_piece_eq(s->type, "subscribe");
    if (asked)
        xmpp_say(l, "<presence from='%s%u@example.com' to='r%u@example.net' type='subscribed'/>",
                 load_watched(l), load_user(l, i), i);
    if (asked || load_piece_eq(s->type, "probe"))
        xmpp_say_presence(l, i);
}

static void take_shown(struct load *l, const struct stanza *s, unsigned i)
{
    uint32_t round;
    const char *status = strstr(s->inside, "<status>load ");
    if (!load_digits(load_after(status, "<status>load "), &round))
        return;
    load_end(l, LOAD_LOGIN, i, LOAD_DONE);
    if (round >= l->event[LOAD_NOTIFY][i].round)
        load_end(l, LOAD_NOTIFY, i, LOAD_DONE);
}

static void take_of_contact(struct load *l, const struct stanza *s, unsigned i)
{
    struct load_side *w = &l->watch[i];
    if (!s->type.p) {
        take_shown(l, s, i);
    } else if (load_piece_eq(s->type, "subscribed")) {
        w->pair.told = w->pair.wanted;
        load_end(l, LOAD_WATCH, i, LOAD_DONE);
    } else if (load_piece_eq(s->type, "unsubscribed")) {
        if (w->pair.told)
            load_fault(l, "watch %u is ended, and nobody asked for it", i);
        w->pair.told = false;
        load_end(l, LOAD_UNWATCH, i, LOAD_DONE);
    } else if (load_piece_eq(s->type, "error")) {
        load_end(l, LOAD_WATCH, i, LOAD_REFUSED);
        load_end(l, LOAD_LOGIN, i, LOAD_REFUSED);
    }
}

static void xmpp_take(struct load *l, const char *start)
{
    struct stanza s;
    uint32_t i = 0;
    stanza_read(&s, start);
    const char *host = s.from.p ? load_past_filler(load_digits(s.from.p + 1, &i)) : NULL;
    if (load_after(start, "<iq"))
        take_iq(l, &s);
    else if (!load_after(start, "<presence"))
        load_fault(l, "neither iq nor presence: %.100s", start);
    else if (!load_after(host, "@example.net") || i >= l->setup.pairs)
        return; // from the gateway itself
    else if (*s.from.p == 'r')
        take_of_watcher(l, &s, i);
    else if (*s.from.p == 's')
        take_of_contact(l, &s, i);
}

// ---- Reading

static char *past_space(char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
        p++; // between stanzas (RFC 6120 §4.6.1)
    return p;
}

// The end of the first stanza, NULL: it is not all there.
static char *stanza_end(char *p)
{
    char *head_end = strchr(p, '>');
    if (!head_end || head_end[-1] == '/')
        return head_end;
    char *end = strstr(head_end, p[1] == 'i' ? "</iq>" : "</presence>");
    return end ? strchr(end, '>') : NULL;
}

static void xmpp_take_all(struct load *l)
{
    struct load_stream *st = &l->stream;
    char *at = past_space(st->in);
    for (char *end; st->fd >= 0 && (end = stanza_end(at)); at = past_space(end + 1)) {
        if (load_after(at, "</stream")) {
            xmpp_hang_up(st);
            return;
        }
        char kept = end[1];
        end[1] = 0;
        xmpp_take(l, at);
        end[1] = kept;
    }
    st->in_n -= (size_t)(at - st->in);
    memmove(st->in, at, st->in_n + 1);
    if (st->in_n == LOAD_IN_BYTES)
        load_fault(l, "a stanza without end: %.100s", st->in);
}

static void xmpp_shake_hands(struct load *l)
{
    struct load_stream *st = &l->stream;
    if (st->step == 0 && strstr(st->in, "<stream:stream") && strrchr(st->in, '>')) {
        xmpp_say(l,
                 "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
                 "xmlns:stream='http://etherx.jabber.org/streams' from='example.net' id='l'>");
        st->step = 1;
        st->in_n = 0;
    } else if (st->step == 1 && strstr(st->in, "</handshake>")) {
        xmpp_say(l, "<handshake/>");
        st->step = LOAD_STREAM_UP;
        st->in_n = 0;
        xmpp_say_all_again(l);
    }
}

void load_xmpp_read(struct load *l)
{
    struct load_stream *st = &l->stream;
    ssize_t n = recv(st->fd, st->in + st->in_n, LOAD_IN_BYTES - st->in_n, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            xmpp_hang_up(st);
        return;
    }
    l->now_us = load_now_us();
    st->in_n += (size_t)n;
    st->in[st->in_n] = 0;
    if (st->step == LOAD_STREAM_UP)
        xmpp_take_all(l);
    else
        xmpp_shake_hands(l);
}

void load_xmpp_accept(struct load *l)
{
    int on = 1, fd = accept4(l->stream.listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    xmpp_hang_up(&l->stream);
    l->asked_ready = false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    l->stream.fd = fd;
}
