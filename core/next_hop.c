// Where SIP URIs lead, and the names that had to be resolved for it.
#include "core/next_hop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/domain.h"
#include "core/peer.h"
#include "core/transaction.h"
#include "core/trial.h"
#include "core/wire/memory.h"

static struct name *name_at(const struct core *c, uint32_t handle)
{
    return pool_at(&c->names, handle);
}

static struct trial *trial_of(const struct core *c, uint32_t client)
{
    return ((struct client *)pool_at(&c->clients, client))->trial;
}

// ---- URIs

// The value of ";maddr=", which stands for the host (RFC 3263 §4).
static void take_maddr(struct text uri, struct text *host)
{
    static const struct text maddr = {";maddr=", 7};
    for (size_t i = (size_t)(host->p - uri.p) + host->n; i + maddr.n <= uri.n; i++) {
        if (uri.p[i] == '?')
            return;
        if (!text_eq_nocase((struct text){uri.p + i, maddr.n}, maddr))
            continue;
        struct text value = {uri.p + i + maddr.n, 0};
        while (value.p + value.n < uri.p + uri.n && !memchr(";?", value.p[value.n], 2))
            value.n++;
        if (value.n > 2 && value.p[0] == '[' && value.p[value.n - 1] == ']')
            value = (struct text){value.p + 1, value.n - 2};
        *host = value;
        return;
    }
}

static bool uri_parse(struct sip_uri *out, struct text uri)
{
    if (sip_uri_parse(out, uri) != 0 || out->host.n == 0 || out->host.n > NEXT_HOP_HOST_MAX)
        return false;
    take_maddr(uri, &out->host);
    return out->host.n != 0 && out->host.n <= NEXT_HOP_HOST_MAX;
}

// The transport that a URI asks for, UDP when it leaves it open; false: none that we have. What
// sips asks for is always TLS (RFC 3261 §26.2.2).
static bool uri_transport(const struct sip_uri *uri, enum hop_transport *out)
{
    bool tls = uri->scheme == SCHEME_SIPS, any = uri->transport.n == 0;
    *out = tls ? HOP_TLS : HOP_UDP;
    if (any || text_eq_nocase(uri->transport, TEXT("udp")))
        return any || !tls;
    if (text_eq_nocase(uri->transport, TEXT("tls")))
        *out = HOP_TLS;
    else if (text_eq_nocase(uri->transport, TEXT("tcp")))
        *out = tls ? HOP_TLS : HOP_TCP;
    else
        return false;
    return true;
}

static bool uri_numeric(const struct sip_uri *uri, enum hop_transport transport, struct hop *out)
{
    uint16_t port = uri->port ? uri->port : transport == HOP_TLS ? 5061 : 5060;
    return hop_parse(out, uri->host, port, transport) == 0;
}

bool next_hop_numeric(struct text uri, struct hop *out)
{
    struct sip_uri parts;
    enum hop_transport transport;
    return uri_parse(&parts, uri) && uri_transport(&parts, &transport) &&
           uri_numeric(&parts, transport, out);
}

// What resolving depends on, always written the same way.
static void uri_reduce(struct buffer *b, const struct sip_uri *uri)
{
    bool tls = uri->scheme == SCHEME_SIPS;
    buffer_text(b, tls ? TEXT("sips:") : TEXT("sip:"));
    for (size_t i = 0; i < uri->host.n; i++) {
        char ch = uri->host.p[i];
        buffer_char(b, ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch);
    }
    if (uri->port) {
        buffer_char(b, ':');
        buffer_u64(b, uri->port);
    }
    if (!tls && uri->transport.n) {
        buffer_lit(b, ";transport=");
        for (size_t i = 0; i < uri->transport.n; i++)
            buffer_char(b, (char)(uri->transport.p[i] | 0x20)); // "udp", "tcp" or "tls"
    }
}

// ---- Names

static uint32_t name_hash(const struct core *c, struct text uri)
{
    return (uint32_t)hash_sip(c->cfg.key, uri.p, uri.n);
}

static uint32_t name_find(const struct core *c, struct text uri, uint32_t hash)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->name_index, hash, &handle); handle;
         at = table_next(&c->name_index, hash, at, &handle)) {
        const struct name *o = name_at(c, handle);
        if (text_eq((struct text){o->uri, o->uri_n}, uri))
            return handle;
    }
    return 0;
}

static void name_drop(struct core *c, uint32_t handle)
{
    struct name *o = name_at(c, handle);
    wheel_cancel(&c->wheel, &o->timer);
    table_remove(&c->name_index, o->hash, handle);
    free(o->uri);
    free(o->hops);
    pool_give(&c->names, handle);
}

// The one that nobody goes by and that was not asked for longest makes place.
static bool name_room(struct core *c)
{
    uint32_t oldest = 0;
    if (c->names.live < NEXT_HOP_NAMES_MAX)
        return true;
    for (uint32_t h = 0; (h = pool_after(&c->names, h));) {
        const struct name *o = name_at(c, h);
        if (!o->users && (!oldest || o->used_ms < name_at(c, oldest)->used_ms))
            oldest = h;
    }
    if (oldest)
        name_drop(c, oldest);
    return oldest != 0;
}

static uint32_t name_add(struct core *c, struct text uri, uint32_t hash)
{
    uint32_t handle = name_room(c) ? pool_take(&c->names) : 0;
    if (!handle)
        return 0;
    struct name *o = name_at(c, handle);
    o->hash = hash;
    o->uri = memory_take(uri.n);
    if (!o->uri || !table_add(&c->name_index, hash, handle)) {
        free(o->uri);
        pool_give(&c->names, handle);
        return 0;
    }
    memcpy(o->uri, uri.p, uri.n);
    o->uri_n = (uint16_t)uri.n;
    return handle;
}

// Finds or adds, with one more user. 0: no memory, or no room.
static uint32_t name_get(struct core *c, const struct sip_uri *uri)
{
    struct buffer *b = &c->uri;
    buffer_reset(b);
    uri_reduce(b, uri);
    if (b->failed)
        return 0;
    struct text key = {b->p, b->n};
    uint32_t hash = name_hash(c, key), handle = name_find(c, key, hash);
    if (!handle)
        handle = name_add(c, key, hash);
    if (!handle)
        return 0;
    struct name *o = name_at(c, handle);
    o->sips = uri->scheme == SCHEME_SIPS;
    o->host = o->sips ? 5 : 4;
    o->host_n = (uint16_t)uri->host.n;
    o->used_ms = c->now_ms;
    o->users++;
    return handle;
}

void next_hop_leave(struct core *c, uint32_t name)
{
    if (!name)
        return;
    struct name *o = name_at(c, name);
    assert(o->users);
    if (--o->users == 0 && o->state == NAME_UNKNOWN)
        name_drop(c, name);
}

void next_hop_end(struct core *c, struct next_hop *o)
{
    next_hop_leave(c, o->name);
    if (o->peer)
        peer_leave(c, o->peer);
}

static bool next_hop_trusted(struct core *c, const struct hop *hop)
{
    if (domain_source_trusted(c, hop))
        return true;
    c->stats.refused_trust++;
    return false;
}

// The best place that was heard of, though that may have been long ago.
static void next_hop_by_name(struct core *c, uint32_t name, struct next_hop *out)
{
    out->name = name;
    if (name && name_at(c, name)->n_hops)
        out->hop = name_at(c, name)->hops[0];
}

void next_hop_of_uri(struct core *c, struct text uri, struct next_hop *out)
{
    struct sip_uri parts;
    enum hop_transport transport;
    *out = (struct next_hop){0};
    if (!uri_parse(&parts, uri) || !uri_transport(&parts, &transport))
        return;
    if (uri_numeric(&parts, transport, &out->hop)) {
        if (!next_hop_trusted(c, &out->hop))
            out->hop = (struct hop){0};
    } else if (!memchr(parts.host.p, ':', parts.host.n)) { // no form of IPv6 that we don't read
        next_hop_by_name(c, name_get(c, &parts), out);
    }
}

void next_hop_of_proxy(struct core *c, struct next_hop *out)
{
    *out = (struct next_hop){.hop = c->cfg.proxy};
    if (c->proxy) {
        name_at(c, c->proxy)->users++;
        next_hop_by_name(c, c->proxy, out);
    }
}

int next_hop_set_proxy(struct core *c, struct text uri)
{
    struct sip_uri parts;
    enum hop_transport transport;
    if (c->cfg.proxy.family || !uri.n)
        return 0;
    if (!uri_parse(&parts, uri) || !uri_transport(&parts, &transport))
        return EINVAL;
    if (uri_numeric(&parts, transport, &c->cfg.proxy))
        return 0;
    c->proxy = name_get(c, &parts);
    return c->proxy ? 0 : ENOMEM;
}

struct text next_hop_domain(const struct core *c, uint32_t name)
{
    const struct name *o = name_at(c, name);
    if (name == c->proxy && c->cfg.proxy_name.n)
        return c->cfg.proxy_name;
    return (struct text){o->uri + o->host, o->host_n};
}

// ---- Questions and answers

static void name_wait(struct core *c, uint32_t handle, uint64_t due_ms)
{
    struct name *o = name_at(c, handle);
    wheel_cancel(&c->wheel, &o->timer);
    o->timer = wheel_add(&c->wheel, due_ms, TIMER_NAME, handle);
    if (!o->timer)
        o->state = NAME_UNKNOWN; // without memory nothing is kept
}

bool next_hop_ready(struct core *c, uint32_t name)
{
    struct name *o = name_at(c, name);
    o->used_ms = c->now_ms;
    if (o->state != NAME_UNKNOWN)
        return o->state == NAME_KNOWN;
    struct effect *e = effects_begin(c->fx, EFFECT_RESOLVE);
    if (!e)
        return false;
    buffer_add(&c->fx->bytes, o->uri, o->uri_n);
    effects_end(c->fx, e);
    c->stats.resolves++;
    o->state = NAME_ASKED;
    name_wait(c, name, c->now_ms + NEXT_HOP_ASK_MS);
    return false;
}

unsigned next_hop_targets(struct core *c, uint32_t name, struct hop *out)
{
    const struct name *o = name_at(c, name);
    unsigned n = 0;
    for (unsigned i = 0; i < o->n_hops; i++) {
        if (o->sips && o->hops[i].transport != HOP_TLS)
            continue;
        if (next_hop_trusted(c, &o->hops[i]))
            out[n++] = o->hops[i];
    }
    return n;
}

void next_hop_wait(struct core *c, uint32_t name, uint32_t client)
{
    struct name *o = name_at(c, name);
    struct trial *t = trial_of(c, client);
    t->waiting = true;
    t->next_waiting = 0;
    if (o->last_waiting)
        trial_of(c, o->last_waiting)->next_waiting = client;
    else
        o->first_waiting = client;
    o->last_waiting = client;
    o->n_waiting++;
}

void next_hop_unwait(struct core *c, uint32_t name, uint32_t client)
{
    struct name *o = name_at(c, name);
    uint32_t before = 0, at = o->first_waiting;
    for (; at != client; at = trial_of(c, at)->next_waiting)
        before = at;
    uint32_t behind = trial_of(c, client)->next_waiting;
    if (before)
        trial_of(c, before)->next_waiting = behind;
    else
        o->first_waiting = behind;
    if (o->last_waiting == client)
        o->last_waiting = before;
    o->n_waiting--;
    trial_of(c, client)->waiting = false;
}

uint32_t next_hop_waiting(const struct core *c, uint32_t name)
{
    return name_at(c, name)->n_waiting;
}

static bool name_learn(struct name *o, const struct event *ev)
{
    unsigned n = ev->n_hops < EVENT_HOPS_MAX ? ev->n_hops : EVENT_HOPS_MAX;
    struct hop *hops = n ? memory_take(n * sizeof *hops) : NULL;
    if (n && !hops)
        return false;
    if (n)
        memcpy(hops, ev->hops, n * sizeof *hops);
    free(o->hops);
    o->hops = hops;
    o->n_hops = (uint8_t)n;
    return true;
}

static uint64_t bounded_ttl_ms(uint32_t ttl_s)
{
    if (ttl_s < NEXT_HOP_TTL_LEAST_S)
        ttl_s = NEXT_HOP_TTL_LEAST_S;
    return (ttl_s < NEXT_HOP_TTL_MOST_S ? ttl_s : NEXT_HOP_TTL_MOST_S) * (uint64_t)1000;
}

void next_hop_resolved(struct core *c, const struct event *ev)
{
    uint32_t name = name_find(c, ev->uri, name_hash(c, ev->uri));
    struct name *o = name ? name_at(c, name) : NULL;
    if (!o || o->state != NAME_ASKED || !name_learn(o, ev))
        return;
    o->state = NAME_KNOWN;
    name_wait(c, name, c->now_ms + bounded_ttl_ms(ev->ttl_s));
    // Only those of now: who comes back with another request finds the answer.
    for (uint32_t n = o->n_waiting; n && o->first_waiting; n--) {
        uint32_t client = o->first_waiting;
        next_hop_unwait(c, name, client);
        client_resolved(c, client);
    }
}

void next_hop_due(struct core *c, uint32_t name)
{
    struct name *o = name_at(c, name);
    o->timer = 0;
    o->state = NAME_UNKNOWN;
    if (!o->users)
        name_drop(c, name);
}

void next_hop_free_all(struct core *c)
{
    for (uint32_t h = 0; (h = pool_after(&c->names, h));) {
        free(name_at(c, h)->uri);
        free(name_at(c, h)->hops);
    }
}
