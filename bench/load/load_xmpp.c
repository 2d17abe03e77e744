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

#define KEEP_ALIVE " \t\r\n" // between stanzas (RFC 6120 §4.6.1)

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
    st->out_n += (size_t)vsnprintf(st->out + st->out_n, STANZA_MAX, format, args);
    va_end(args);
}

static void xmpp_say_presence(struct load *l, unsigned i)
{
    static const char *const shows[] = {"away", "dnd"};
    unsigned round = l->serve[i].round;
    xmpp_say(l,
             "<presence from='j%u@example.com/load' to='r%u@example.net'><show>%s</show>"
             "<status>load %u</status></presence>",
             i, i, shows[round % 2], round);
}

void load_xmpp_begin(struct load *l, enum load_kind kind, unsigned i)
{
    if (l->stream.step != LOAD_STREAM_UP)
        return;
    if (kind == LOAD_PRESENCE)
        xmpp_say_presence(l, i);
    else
        xmpp_say(l, "<presence from='x%u@example.com' to='s%u@example.net' type='%s'/>", i, i,
                 kind == LOAD_WATCH ? "subscribe" : "unsubscribe");
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
    static const enum load_kind kinds[] = {LOAD_WATCH, LOAD_UNWATCH, LOAD_PRESENCE};
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (unsigned i = 0; l->under_way[kinds[k]] && i < l->setup.pairs; i++)
            if (load_is_under_way(l, kinds[k], i))
                load_xmpp_begin(l, kinds[k], i);
}

// ---- What the component says

static bool attribute(const char *stanza, const char *name, char *out, size_t size)
{
    char key[32];
    const char *head_end = strchr(stanza, '>');
    snprintf(key, sizeof key, " %s='", name);
    const char *at = strstr(stanza, key);
    *out = 0;
    if (!at || at > head_end)
        return false;
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)strcspn(at, "'"), at);
    return true;
}

static bool pair_of(const struct load *l, const char *jid, const char *format, unsigned *i)
{
    return sscanf(jid, format, i) == 1 && *i < l->setup.pairs;
}

static void take_iq(struct load *l, const char *stanza, const char *type, const char *from)
{
    char to[128], id[128];
    attribute(stanza, "to", to, sizeof to);
    attribute(stanza, "id", id, sizeof id);
    if (strcmp(id, "load-ready") == 0)
        l->ready = true;
    else if (strcmp(type, "get") == 0 || strcmp(type, "set") == 0)
        xmpp_say(l,
                 "<iq type='error' from='%s' to='%s' id='%s'><error type='cancel'>"
                 "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                 to, from, id);
}

// Of a SIP user whom j<i> is watched by.
static void take_of_watcher(struct load *l, const char *type, unsigned i)
{
    if (strcmp(type, "subscribe") == 0)
        xmpp_say(l, "<presence from='j%u@example.com' to='r%u@example.net' type='subscribed'/>", i,
                 i);
    if (strcmp(type, "subscribe") == 0 || strcmp(type, "probe") == 0)
        xmpp_say_presence(l, i);
}

static void take_of_contact(struct load *l, const char *stanza, const char *type, unsigned i)
{
    struct load_side *w = &l->watch[i];
    const char *status = strstr(stanza, "<status>load ");
    unsigned round;
    if (strcmp(type, "subscribed") == 0) {
        w->pair.told = w->pair.wanted;
        load_end(l, LOAD_WATCH, i, LOAD_DONE);
    } else if (strcmp(type, "unsubscribed") == 0) {
        if (w->pair.told)
            load_fault(l, "watch %u is ended, and nobody asked for it", i);
        w->pair.told = false;
        load_end(l, LOAD_UNWATCH, i, LOAD_DONE);
    } else if (strcmp(type, "error") == 0) {
        load_end(l, LOAD_WATCH, i, LOAD_REFUSED);
    } else if (!*type && status && sscanf(status, "<status>load %u", &round) == 1 &&
               round >= l->event[LOAD_NOTIFY][i].round) {
        load_end(l, LOAD_NOTIFY, i, LOAD_DONE);
    }
}

static void xmpp_take(struct load *l, const char *stanza)
{
    char type[32], from[128];
    unsigned i;
    attribute(stanza, "type", type, sizeof type);
    attribute(stanza, "from", from, sizeof from);
    if (strncmp(stanza, "<iq", 3) == 0)
        take_iq(l, stanza, type, from);
    else if (strncmp(stanza, "<presence", 9) != 0)
        load_fault(l, "neither iq nor presence: %.100s", stanza);
    else if (pair_of(l, from, "r%u@example.net", &i))
        take_of_watcher(l, type, i);
    else if (pair_of(l, from, "s%u@example.net", &i))
        take_of_contact(l, stanza, type, i);
}

// ---- Reading

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
    char *at = st->in + strspn(st->in, KEEP_ALIVE);
    for (char *end; st->fd >= 0 && (end = stanza_end(at));
         at = end + 1 + strspn(end + 1, KEEP_ALIVE)) {
        if (strncmp(at, "</stream", 8) == 0) {
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
