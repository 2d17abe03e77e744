// Requests in notification dialogs: what stands in them, and where they go.
#include "core/dialog.h"

#include <assert.h>
#include <errno.h>

#include "core/contact.h"
#include "core/credentials.h"
#include "core/domain.h"
#include "core/next_hop.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/wire/sip_route.h"

static void dialog_next_cseq(struct core *c, struct dialog *d)
{
    d->cseq++;
    if (d->cseq <= d->cseq_lease)
        return;
    d->cseq_lease = d->cseq + CORE_CSEQ_LEASE;
    if (d->sub)
        sub_touch(c, d->sub);
}

// Our user's part and domain, escaped for a URI: as the peer spelled them, else in c->uri.
static void dialog_user(struct core *c, const struct dialog *d, struct text *user,
                        struct text *domain)
{
    struct text own = dialog_get(d, FIELD_LOCAL_URI);
    struct sip_uri uri = {0};
    if (own.n && sip_uri_parse(&uri, own) == 0) {
        contact_dereference(c, &uri);
    } else if (d->sub) {
        const struct user *u = core_user(c, core_sub(c, d->sub)->user);
        buffer_reset(&c->uri);
        address_user_to_sip(&c->uri, (struct text){u->local, u->local_n});
        size_t n = c->uri.n;
        domain_write_sip(c, u->domain, &c->uri);
        uri.user = (struct text){c->uri.p, n};
        uri.host = (struct text){c->uri.p + n, c->uri.n - n};
    }
    *user = uri.user;
    *domain = uri.host;
}

void dialog_write_contact(struct core *c, const struct dialog *d, enum hop_transport transport,
                          struct buffer *b)
{
    struct text user, domain;
    dialog_user(c, d, &user, &domain);
    contact_write_scheme(c, d->route & ROUTE_SIPS, b);
    buffer_text(b, user);
    if (user.n)
        buffer_char(b, '@');
    contact_write_place(c, transport, d->route & ROUTE_SIPS, domain, b);
}

// The texts of a request that have to be made, one behind the other in c->addr: the buffer may move
// while it grows, so places are noted first and turned into text at the end.
struct dialog_made {
    struct span own, other, ruri, routes, contact, authorization;
};

static struct span dialog_made_since(const struct buffer *b, size_t from)
{
    return (struct span){(uint32_t)from, (uint32_t)(b->n - from)};
}

static struct text dialog_made_text(const struct buffer *b, struct span at)
{
    return (struct text){b->p + at.off, at.n};
}

static void dialog_make_addresses(struct core *c, const struct dialog *d, struct dialog_made *o)
{
    struct buffer *b = &c->addr;
    buffer_reset(b);
    if (!dialog_get(d, FIELD_LOCAL_URI).n)
        sub_write_user_sip_uri(c, core_sub(c, d->sub), b);
    o->own = dialog_made_since(b, 0);
    if (!dialog_get(d, FIELD_REMOTE_URI).n)
        sub_write_sip_uri(c, core_sub(c, d->sub), b);
    o->other = dialog_made_since(b, o->own.n);
}

// RFC 3261 §12.2.1.1: a strict router wants to be asked itself, and is told the target by Route.
static void dialog_make_strict(struct core *c, const struct dialog *d, struct dialog_made *o)
{
    struct buffer *b = &c->addr;
    struct text first = {0}, rest = {0};
    if (!(d->route & ROUTE_STRICT) || !sip_route_first(dialog_get(d, FIELD_ROUTES), &first, &rest))
        return;
    size_t from = b->n;
    sip_route_write_ruri(first, b);
    o->ruri = dialog_made_since(b, from);
    from = b->n;
    sip_route_write_rest(rest, dialog_get(d, FIELD_TARGET), b);
    o->routes = dialog_made_since(b, from);
}

static struct text dialog_ruri(const struct core *c, const struct dialog *d,
                               const struct dialog_made *o)
{
    struct text target = dialog_get(d, FIELD_TARGET), other = dialog_get(d, FIELD_REMOTE_URI);
    if (o->ruri.n)
        return dialog_made_text(&c->addr, o->ruri);
    if (target.n)
        return target;
    return other.n ? other : dialog_made_text(&c->addr, o->other);
}

// `to` is to be given back by next_hop_end().
static void dialog_next_hop(struct core *c, const struct dialog *d, struct text ruri,
                            struct next_hop *to)
{
    struct text first, rest;
    struct hop hop;
    dialog_hop(c, d, &hop);
    if (hop.family && (hop_eq(&hop, &c->cfg.proxy) || domain_source_trusted(c, &hop)))
        *to = (struct next_hop){.hop = hop};
    else if (next_hop_has_proxy(c))
        next_hop_of_proxy(c, to);
    else if (sip_route_first(dialog_get(d, FIELD_ROUTES), &first, &rest))
        next_hop_of_uri(c, first, to);
    else
        next_hop_of_uri(c, ruri, to);
}

// What depends on the next hop.
static void dialog_make_rest(struct core *c, struct dialog *d, const struct sip_request *r,
                             const struct next_hop *to, struct dialog_made *o)
{
    struct buffer *b = &c->addr;
    size_t from = b->n;
    dialog_write_contact(c, d, to->hop.transport, b);
    o->contact = dialog_made_since(b, from);
    if (!credentials_count(c->credentials))
        return;
    from = b->n;
    buffer_reset(&c->uri);
    buffer_text(&c->uri, dialog_ruri(c, d, o)); // it may lie in what grows
    credentials_write(c->credentials, &c->random, &to->hop, sip_method_text(r->method),
                      (struct text){c->uri.p, c->uri.n}, &d->tried, b);
    o->authorization = dialog_made_since(b, from);
}

static void dialog_fill(struct core *c, struct dialog *d, struct sip_request *r,
                        const struct dialog_made *o)
{
    const struct buffer *b = &c->addr;
    struct text own = dialog_get(d, FIELD_LOCAL_URI), other = dialog_get(d, FIELD_REMOTE_URI);
    r->ruri = dialog_ruri(c, d, o);
    r->routes = o->routes.n ? dialog_made_text(b, o->routes) : dialog_get(d, FIELD_ROUTES);
    r->from_uri = own.n ? own : dialog_made_text(b, o->own);
    r->to_uri = other.n ? other : dialog_made_text(b, o->other);
    r->contact = dialog_made_text(b, o->contact);
    r->authorization = dialog_made_text(b, o->authorization);
    r->via_host = text_of(c->advertise);
    r->to_tag = dialog_get(d, FIELD_REMOTE_TAG);
    r->call_id = dialog_get(d, FIELD_CALL_ID);
    r->event_id = dialog_get(d, FIELD_EVENT_ID);
}

// Of the SIP user whom it would be with. A fetch has no subscription that knows.
static uint16_t dialog_remote_domain(const struct core *c, const struct dialog *d)
{
    struct sip_uri uri;
    struct jid jid;
    char scratch[JID_MAX + 1];
    if (d->sub)
        return core_sub(c, d->sub)->peer_domain;
    if (sip_uri_parse(&uri, dialog_get(d, FIELD_REMOTE_URI)) ||
        address_to_jid(&jid, &uri, scratch, sizeof scratch))
        return DOMAIN_NONE;
    return domain_find(c, jid.domain);
}

static int dialog_send_to(struct core *c, uint32_t handle, struct sip_request *r,
                          struct next_hop *to, struct dialog_made *o)
{
    struct dialog *d = core_dialog(c, handle);
    char tag[CORE_TAG_HEX];
    uint32_t client = 0;
    bool opens = !dialog_get(d, FIELD_REMOTE_TAG).n;
    if (!client_room(c, to, opens, opens ? dialog_remote_domain(c, d) : DOMAIN_NONE)) {
        c->stats.put_off++;
        return EBUSY;
    }
    dialog_make_rest(c, d, r, to, o);
    if (c->addr.failed || c->uri.failed)
        return ENOMEM;
    dialog_fill(c, d, r, o);
    dialog_next_cseq(c, d);
    r->from_tag = dialog_tag(c, d, tag);
    r->cseq = d->cseq;
    int err = client_start(c, r, to, handle, &client);
    d->client = client;
    return err;
}

int dialog_send(struct core *c, uint32_t handle, struct sip_request *r)
{
    const struct dialog *d = core_dialog(c, handle);
    struct dialog_made made = {0};
    struct next_hop to;
    assert(!d->client);
    dialog_make_addresses(c, d, &made);
    dialog_make_strict(c, d, &made);
    if (c->addr.failed)
        return ENOMEM;
    dialog_next_hop(c, d, dialog_ruri(c, d, &made), &to);
    int err = dialog_send_to(c, handle, r, &to, &made);
    next_hop_end(c, &to);
    return err;
}
