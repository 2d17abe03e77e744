// The XMPP server: what it does with stanzas of the component.
#include "xmpp_model.h"

#include <stdarg.h>
#include <stdlib.h>

#include "inspector.h"
#include "net.h"
#include "sip_model.h"

const char *const xmpp_resource[WORLD_RESOURCES_MAX] = {"balcony", "or chard&1",
                                                        "gr\xc3\xbc\xc3\x9f"};

static struct xmpp_user *user_at(struct world *w, unsigned x)
{
    return &w->xmpp->user[x];
}

bool xmpp_user_of(const struct world *w, struct text jid, unsigned *x)
{
    if (!world_number_of(jid, TEXT("juliet"), w->opt.xmpp_users, x))
        return false;
    struct text own = text_of(w->xmpp->user[*x].jid);
    return text_starts(jid, own) && (jid.n == own.n || jid.p[own.n] == '/');
}

bool xmpp_online(const struct world *w, unsigned x)
{
    return w->xmpp->user[x].own.n > 0;
}

// ---- Saying

void xmpp_say(struct world *w, unsigned stream, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    net_stream_to_gateway(w, stream, (struct text){line, (size_t)n});
}

static void link_brings(struct world *w, const struct happening *h)
{
    net_stream_to_gateway(w, (unsigned)h->what, h->bytes);
}

// From user `x`. What comes over a link keeps its order, and waits while the link is down.
static void user_say(struct world *w, unsigned x, unsigned stream, struct text bytes)
{
    struct xmpp *m = w->xmpp;
    if (!m->user[x].remote) {
        net_stream_to_gateway(w, stream, bytes);
        return;
    }
    uint64_t at_ms = w->now_ms + (w->calm ? 5 : world_between(w, 1, 100));
    at_ms = at_ms > m->link_down_ms ? at_ms : m->link_down_ms + 1;
    m->last_link_ms = at_ms > m->last_link_ms ? at_ms : m->last_link_ms;
    world_bring(w, m->last_link_ms - w->now_ms,
                &(struct happening){.act = link_brings, .what = stream, .bytes = bytes});
}

// To the SIP user `s`; an empty type is available presence.
static void user_presence(struct world *w, unsigned x, const char *resource, const char *to,
                          unsigned stream, const char *type)
{
    struct buffer b;
    struct xmpp_user *u = user_at(w, x);
    struct presence p[VIEW_MAX];
    size_t n = view_presences(&u->own, p);
    buffer_init(&b, 0);
    if (*type == 0) {
        for (size_t i = 0; i < n; i++)
            if (text_eq(p[i].resource, text_of(resource)))
                stanza_write_notification(&b, text_of(u->jid), text_of(to), &p[i], (struct text){0},
                                          w->now_ms);
    } else {
        buffer_lit(&b, "<presence from='");
        buffer_text(&b, text_of(u->jid));
        buffer_text(&b, text_of(*resource ? "/" : ""));
        buffer_xml(&b, text_of(resource));
        buffer_lit(&b, "' to='");
        buffer_text(&b, text_of(to));
        buffer_lit(&b, "' type='");
        buffer_text(&b, text_of(type));
        buffer_lit(&b, "'/>");
    }
    if (b.n)
        user_say(w, x, stream, (struct text){b.p, b.n});
    buffer_free(&b);
}

static void user_to_contact(struct world *w, unsigned x, unsigned s, const char *type)
{
    user_presence(w, x, "", sip_jid(w, s), 0, type);
}

static void user_shows_all(struct world *w, unsigned x, const char *to, unsigned stream)
{
    for (size_t i = 0; i < user_at(w, x)->own.n; i++)
        user_presence(w, x, user_at(w, x)->own.v[i].resource, to, stream, "");
}

// ---- What users do

static struct text attribute(struct text bytes, const char *name)
{
    const char *at = memmem(bytes.p, bytes.n, name, strlen(name)), *end;
    if (!at)
        return (struct text){0};
    at += strlen(name);
    end = memchr(at, '\'', (size_t)(bytes.p + bytes.n - at));
    return (struct text){at, end ? (size_t)(end - at) : 0};
}

void xmpp_lost(struct world *w, struct text bytes)
{
    unsigned x, s;
    if (text_eq(attribute(bytes, " type='"), TEXT("unsubscribed")) &&
        xmpp_user_of(w, attribute(bytes, " to='"), &x) &&
        sip_user_of(w, attribute(bytes, " from='"), &s))
        pair_of(w, x, s)->roster.untold = true;
}

static void deliver_pending(struct world *w, unsigned x)
{
    for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
        p->roster.delivered |= p->roster.pending;
}

void xmpp_log_in(struct world *w, unsigned x, unsigned session)
{
    struct xmpp_user *u = user_at(w, x);
    if (u->open[session] || u->deleted)
        return;
    u->open[session] = true;
    view_draw(w, &u->own, xmpp_resource[session]);
    deliver_pending(w, x);
    for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x) {
        p->seen[session].n = 0;
        if (p->roster.from)
            user_presence(w, x, xmpp_resource[session], sip_jid(w, p->s), 0, "");
        if (p->roster.to)
            user_presence(w, x, xmpp_resource[session], sip_jid(w, p->s), 0, "probe");
        else if (p->roster.ask && !w->opt.ejabberd)
            user_to_contact(w, x, p->s, "subscribe");
    }
}

void xmpp_log_out(struct world *w, unsigned x, unsigned session)
{
    struct xmpp_user *u = user_at(w, x);
    if (!u->open[session])
        return;
    u->open[session] = false;
    view_remove(&u->own, xmpp_resource[session]);
    for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
        if (p->roster.from)
            user_presence(w, x, xmpp_resource[session], sip_jid(w, p->s), 0, "unavailable");
}

void xmpp_change(struct world *w, unsigned x, unsigned session)
{
    struct xmpp_user *u = user_at(w, x);
    if (!u->open[session])
        return;
    view_draw(w, &u->own, xmpp_resource[session]);
    for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
        if (p->roster.from)
            user_presence(w, x, xmpp_resource[session], sip_jid(w, p->s), 0, "");
}

void xmpp_subscribe(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    if (!xmpp_online(w, x))
        return;
    r->ask = !r->to;
    user_to_contact(w, x, s, "subscribe");
}

// She does not see him any more.
static void user_forgets(struct world *w, unsigned x, unsigned s)
{
    struct pair *p = pair_of(w, x, s);
    p->roster.to = p->roster.ask = p->roster.untold = false;
    for (unsigned i = 0; i < WORLD_RESOURCES_MAX; i++)
        p->seen[i].n = 0;
}

void xmpp_unsubscribe(struct world *w, unsigned x, unsigned s)
{
    if (!xmpp_online(w, x))
        return;
    user_forgets(w, x, s);
    user_to_contact(w, x, s, "unsubscribe");
}

void xmpp_approve(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    if (!xmpp_online(w, x) || !r->pending || !r->delivered)
        return;
    r->pending = false;
    r->from = true;
    user_to_contact(w, x, s, "subscribed");
    user_shows_all(w, x, sip_jid(w, s), 0);
}

void xmpp_reject(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    bool was = r->from;
    if (!xmpp_online(w, x) || (!r->pending && !r->from))
        return;
    r->pending = r->from = false;
    for (size_t i = 0; was && i < user_at(w, x)->own.n; i++)
        user_presence(w, x, user_at(w, x)->own.v[i].resource, sip_jid(w, s), 0, "unavailable");
    user_to_contact(w, x, s, "unsubscribed");
}

void xmpp_approve_unasked(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    if (user_at(w, x)->deleted)
        return;
    r->pending = false;
    r->from = true;
    user_to_contact(w, x, s, "subscribed");
    user_shows_all(w, x, sip_jid(w, s), 0);
}

static void user_hides_all(struct world *w, unsigned x, unsigned s)
{
    for (size_t i = 0; i < user_at(w, x)->own.n; i++)
        user_presence(w, x, user_at(w, x)->own.v[i].resource, sip_jid(w, s), 0, "unavailable");
}

void xmpp_remove(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    if (user_at(w, x)->deleted)
        return;
    user_forgets(w, x, s);
    if (r->from)
        user_hides_all(w, x, s);
    r->from = r->pending = r->delivered = false;
    user_to_contact(w, x, s, "unsubscribe");
    user_to_contact(w, x, s, "unsubscribed");
}

void xmpp_delete(struct world *w, unsigned x, bool silently)
{
    for (unsigned i = 0; i < WORLD_RESOURCES_MAX; i++)
        xmpp_log_out(w, x, i);
    for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
        if (silently) {
            user_forgets(w, x, p->s);
            p->roster = (struct xmpp_roster){0};
        } else {
            xmpp_remove(w, x, p->s);
        }
    user_at(w, x)->deleted = true;
}

void xmpp_link_down(struct world *w, uint32_t ms)
{
    if (w->now_ms < w->xmpp->link_down_ms)
        return; // what waits for the link to come up keeps its order
    world_note(w, "---- example.org can't be reached for %u ms", ms);
    w->xmpp->link_down_ms = w->now_ms + ms;
    w->xmpp->link_mode = (enum link_mode)world_below(w, 3);
}

// ---- What the component says

static void answer_probe(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    if (r->from) {
        if (xmpp_online(w, x))
            user_shows_all(w, x, sip_jid(w, s), 0);
        else if (!w->opt.ejabberd)
            user_to_contact(w, x, s, "unavailable");
    } else if (r->pending && !w->opt.ejabberd) {
        r->pending = r->delivered = false;
        user_to_contact(w, x, s, "unsubscribed");
    }
}

static void session_answers(struct world *w, const struct happening *h)
{
    answer_probe(w, (unsigned)(h->what >> 32), (uint32_t)h->what);
}

static void take_probe(struct world *w, unsigned x, unsigned s)
{
    if (w->opt.ejabberd) // the router is faster than a session
        world_in(w, world_below(w, 20), session_answers, NULL, (uint64_t)x << 32 | s);
    else
        answer_probe(w, x, s);
}

static void take_subscribe(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    bool prosody = !w->opt.ejabberd;
    if (r->from) {
        user_to_contact(w, x, s, "subscribed");
        for (int twice = 0; prosody && twice < 2; twice++)
            user_shows_all(w, x, sip_jid(w, s), 0);
        if (prosody && !xmpp_online(w, x))
            user_to_contact(w, x, s, "unavailable");
        return;
    }
    r->pending = true;
    if (xmpp_online(w, x))
        r->delivered = true;
    if (prosody)
        user_to_contact(w, x, s, "unavailable");
}

static void take_unsubscribe(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    bool was = r->from;
    r->from = r->pending = r->delivered = false;
    if (!was || !w->opt.ejabberd)
        return;
    user_to_contact(w, x, s, "unsubscribed");
    for (size_t i = 0; i < user_at(w, x)->own.n; i++)
        user_presence(w, x, user_at(w, x)->own.v[i].resource, sip_jid(w, s), 0, "unavailable");
}

static void take_subscribed(struct world *w, unsigned x, unsigned s)
{
    struct xmpp_roster *r = &pair_of(w, x, s)->roster;
    if (!r->ask && !r->to)
        return;
    r->to = true;
    r->ask = r->untold = false;
    inspector_told(w, x, s, XMPP_TO_SIP);
}

static void take_notification(struct world *w, unsigned x, unsigned s, const struct stanza *st)
{
    struct xmpp_user *u = user_at(w, x);
    struct presence p;
    struct text from = stanza_text(st, st->from), to = stanza_text(st, st->to);
    const char *slash = memchr(from.p, '/', from.n), *to_slash = memchr(to.p, '/', to.n);
    struct text resource = {0};
    if (slash)
        resource = (struct text){slash + 1, (size_t)(from.p + from.n - slash) - 1};
    stanza_presence(st, resource, w->now_ms, &p);
    for (unsigned i = 0; i < WORLD_RESOURCES_MAX; i++) {
        struct text own = text_of(xmpp_resource[i]);
        bool hers = !to_slash ||
                    text_eq(own, (struct text){to_slash + 1, (size_t)(to.p + to.n - to_slash) - 1});
        if (u->open[i] && hers)
            view_take(w, &pair_of(w, x, s)->seen[i], &p);
    }
}

static void asks_again(struct world *w, const struct happening *h)
{
    unsigned x = (unsigned)(h->what >> 32), s = (uint32_t)h->what;
    if (pair_of(w, x, s)->roster.ask)
        xmpp_subscribe(w, x, s);
}

// What her server does with an error to her `subscribe` is to forget it; she tries again.
static void take_error(struct world *w, unsigned x, unsigned s, const struct stanza *st)
{
    enum { LEAST_S = 20, MOST_S = 60 };
    if (st->condition == CONDITION_RESOURCE_CONSTRAINT && pair_of(w, x, s)->roster.ask)
        world_in(w, world_between(w, LEAST_S, MOST_S) * 1000, asks_again, NULL,
                 (uint64_t)x << 32 | s);
}

static void take_presence(struct world *w, unsigned x, unsigned s, const struct stanza *st)
{
    switch ((enum stanza_type)st->type) {
    case STANZA_PROBE: take_probe(w, x, s); break;
    case STANZA_SUBSCRIBE: take_subscribe(w, x, s); break;
    case STANZA_UNSUBSCRIBE: take_unsubscribe(w, x, s); break;
    case STANZA_SUBSCRIBED: take_subscribed(w, x, s); break;
    case STANZA_UNSUBSCRIBED: user_forgets(w, x, s); break;
    case STANZA_NONE:
    case STANZA_UNAVAILABLE: take_notification(w, x, s, st); break;
    case STANZA_ERROR: take_error(w, x, s, st); break;
    default: break;
    }
}

static void take_iq(struct world *w, unsigned x, unsigned stream, const struct stanza *s,
                    bool approved)
{
    char line[1024];
    struct text id = stanza_text(s, s->id), from = stanza_text(s, s->from);
    bool result = approved && !w->opt.ejabberd;
    const char *condition = !w->opt.ejabberd ? "service-unavailable"
                            : approved       ? "not-allowed"
                                             : "subscription-required";
    int n = snprintf(line, sizeof line, "<iq type='%s' from='%s' to='%.*s' id='%.*s'>",
                     result ? "result" : "error", user_at(w, x)->jid, TEXT_ARG(from), TEXT_ARG(id));
    if (!result)
        n += snprintf(line + n, sizeof line - (size_t)n,
                      "<error type='cancel'><%s "
                      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
                      condition);
    n += snprintf(line + n, sizeof line - (size_t)n, "</iq>");
    user_say(w, x, stream, (struct text){line, (size_t)n});
}

// The gateway's own JID: a stranger, whom most servers do not answer (`stranger_answers`: some do).
static void take_own_probe(struct world *w, unsigned x, unsigned stream, const struct stanza *s)
{
    char from[64];
    snprintf(from, sizeof from, "%.*s", TEXT_ARG(stanza_text(s, s->from)));
    if (s->type != STANZA_PROBE || !w->opt.stranger_answers)
        return;
    if (xmpp_online(w, x))
        user_shows_all(w, x, from, stream);
    else
        user_presence(w, x, "", from, stream, "unavailable");
}

static void link_takes(struct world *w, const struct happening *h)
{
    xmpp_receive(w, (unsigned)h->what, (const struct stanza *)(const void *)h->bytes.p);
}

// The link is down: the nearer server waits until it is up.
static void wait(struct world *w, unsigned stream, const struct stanza *s)
{
    world_bring(w, w->xmpp->link_down_ms - w->now_ms,
                &(struct happening){
                    .act = link_takes, .what = stream, .bytes = {(const char *)s, stanza_size(s)}});
}

// Or it says that it can't be reached.
static void bounce(struct world *w, unsigned stream, const struct stanza *s)
{
    struct buffer b;
    unsigned x, c;
    if (s->kind == STANZA_PRESENCE && s->type == STANZA_UNSUBSCRIBED &&
        xmpp_user_of(w, stanza_text(s, s->to), &x) && sip_user_of(w, stanza_text(s, s->from), &c))
        pair_of(w, x, c)->roster.untold = true;
    if (s->type == STANZA_ERROR)
        return;
    buffer_init(&b, 0);
    stanza_write_error(&b, s,
                       w->xmpp->link_mode == LINK_NOT_FOUND ? CONDITION_REMOTE_SERVER_NOT_FOUND
                                                            : CONDITION_REMOTE_SERVER_TIMEOUT);
    if (b.n)
        net_stream_to_gateway(w, stream, (struct text){b.p, b.n});
    buffer_free(&b);
}

// To somebody who is no more. (Others say nothing to presence, as to anybody who is not there.)
static void nobody_answers(struct world *w, unsigned x, unsigned stream, const struct stanza *s)
{
    struct buffer b;
    bool asks = s->kind == STANZA_IQ ? s->type == STANZA_GET
                                     : s->type == STANZA_SUBSCRIBE || s->type == STANZA_PROBE;
    if (!asks)
        return;
    buffer_init(&b, 0);
    stanza_write_error(&b, s, x % 2 ? CONDITION_GONE : CONDITION_ITEM_NOT_FOUND);
    user_say(w, x, stream, (struct text){b.p, b.n});
    buffer_free(&b);
}

void xmpp_receive(struct world *w, unsigned stream, const struct stanza *s)
{
    unsigned x, c;
    if (!xmpp_user_of(w, stanza_text(s, s->to), &x))
        return; // a stranger, or a mistake that the inspector has seen
    bool contact = sip_user_of(w, stanza_text(s, s->from), &c);
    if (user_at(w, x)->remote && w->now_ms < w->xmpp->link_down_ms)
        (w->xmpp->link_mode == LINK_WAITS ? wait : bounce)(w, stream, s);
    else if (user_at(w, x)->deleted)
        nobody_answers(w, x, stream, s);
    else if (s->kind == STANZA_IQ && s->type == STANZA_GET)
        take_iq(w, x, stream, s, contact && pair_of(w, x, c)->roster.from);
    else if (s->kind == STANZA_PRESENCE && contact)
        take_presence(w, x, c, s);
    else if (s->kind == STANZA_PRESENCE)
        take_own_probe(w, x, stream, s);
}

void xmpp_create(struct world *w)
{
    w->xmpp = calloc(1, sizeof *w->xmpp);
    if (!w->xmpp || !(w->xmpp->user = calloc(w->opt.xmpp_users, sizeof *w->xmpp->user)))
        abort();
    for (unsigned x = 0; x < w->opt.xmpp_users; x++) {
        struct xmpp_user *u = user_at(w, x);
        u->remote = x % 3 == 2;
        snprintf(u->jid, sizeof u->jid, "juliet%u@example.%s", x, u->remote ? "org" : "com");
    }
}

void xmpp_destroy(struct world *w)
{
    free(w->xmpp->user);
    free(w->xmpp);
}
