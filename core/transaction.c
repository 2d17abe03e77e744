// Non-INVITE server transactions (RFC 3261 §17.2.2), and answers.
#include "core/transaction.h"

#include <stdlib.h>

#include "core/hex.h"
#include "core/wire/memory.h"

// RFC 3261 §17.2.3: the top Via's branch and sent-by, and the method.
static uint64_t server_key(const struct core *c, const struct sip_message *m, uint8_t method)
{
    uint8_t key[16];
    memcpy(key, c->cfg.key, sizeof key);
    uint64_t parts[3];
    struct text branch = sip_text(m, m->branch), host = sip_text(m, m->sent_by);
    parts[0] = hash_sip(key, branch.p, branch.n);
    parts[1] = hash_sip(key, host.p, host.n);
    parts[2] = (uint64_t)m->sent_by_port << 8 | method;
    // Peers older than RFC 3261 send no branch of theirs: what names the request stands in for it.
    struct text more[2] = {sip_text(m, m->call_id), sip_text(m, m->from_tag)};
    for (int i = 0; i < 2; i++)
        parts[2] ^= hash_sip(key, more[i].p, more[i].n) << i;
    parts[2] ^= (uint64_t)m->cseq << 32;
    return hash_sip(key, parts, sizeof parts);
}

uint64_t server_hash(const struct core *c, const struct event *ev)
{
    return server_key(c, ev->sip, ev->sip->method);
}

static struct server *server_at(const struct core *c, uint32_t handle)
{
    return pool_at(&c->servers, handle);
}

static uint32_t server_find(const struct core *c, uint64_t key)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->server_index, (uint32_t)key, &handle); handle;
         at = table_next(&c->server_index, (uint32_t)key, at, &handle))
        if (server_at(c, handle)->key == key)
            return handle;
    return 0;
}

bool server_replay(struct core *c, uint64_t hash)
{
    uint32_t handle = server_find(c, hash);
    if (!handle)
        return false;
    struct server *s = server_at(c, handle);
    struct effect *e = effects_begin(c->fx, EFFECT_SIP);
    if (!e)
        return true;
    e->to = s->to;
    e->port = s->port;
    e->reopen_port = s->reopen_port;
    buffer_add(&c->fx->bytes, s->bytes, s->n);
    effects_end(c->fx, e);
    c->stats.sip_out++;
    return true;
}

bool server_cancelled(const struct core *c, const struct event *ev)
{
    return server_find(c, server_key(c, ev->sip, SIP_SUBSCRIBE)) != 0;
}

// RFC 3261 §18.2.2 and RFC 3581 §4: back to the source; to its port when it asked for that, else to
// the one that its Via names.
static struct hop server_reply_to(const struct event *ev)
{
    struct hop to = ev->source;
    if (to.transport == HOP_UDP && !ev->sip->rport)
        to.port = ev->sip->sent_by_port ? ev->sip->sent_by_port : 5060;
    return to;
}

// RFC 3261 §18.2.2: where to open a connection when that of the request is gone.
static uint16_t server_reopen_port(const struct event *ev)
{
    if (ev->source.transport == HOP_UDP)
        return 0;
    if (ev->sip->sent_by_port)
        return ev->sip->sent_by_port;
    return ev->source.transport == HOP_TLS ? 5061 : 5060;
}

// All are kept for the same time, so the oldest is over first, and one timer does for all of them:
// a burst has none of its own among those that stay.
static void server_arm(struct core *c)
{
    if (!c->first_server || c->server_timer)
        return;
    uint64_t over_ms = server_at(c, c->first_server)->over_ms;
    c->server_timer = wheel_add(&c->wheel, over_ms, TIMER_SERVER, 0);
    if (!c->server_timer)
        c->fx->failed = true;
}

void server_keep(struct core *c, const struct event *ev, struct text response)
{
    uint32_t handle = response.n ? pool_take(&c->servers) : 0;
    if (!handle)
        return; // a retransmission will be taken for a new request: safe, but noisy
    struct server *s = server_at(c, handle);
    s->key = server_key(c, ev->sip, ev->sip->method);
    s->to = server_reply_to(ev);
    s->port = ev->port;
    s->reopen_port = server_reopen_port(ev);
    s->bytes = memory_take(response.n);
    s->n = (uint32_t)response.n;
    s->over_ms = c->now_ms + 64 * (uint64_t)c->cfg.t1_ms;
    if (!s->bytes || !table_add(&c->server_index, (uint32_t)s->key, handle)) {
        free(s->bytes);
        pool_give(&c->servers, handle);
        return;
    }
    memcpy(s->bytes, response.p, response.n);
    c->stats.server_transactions++;
    if (c->last_server)
        server_at(c, c->last_server)->next = handle;
    else
        c->first_server = handle;
    c->last_server = handle;
    server_arm(c);
}

static void server_forget(struct core *c)
{
    uint32_t handle = c->first_server;
    struct server *s = server_at(c, handle);
    c->first_server = s->next;
    if (!s->next)
        c->last_server = 0;
    table_remove(&c->server_index, (uint32_t)s->key, handle);
    free(s->bytes);
    pool_give(&c->servers, handle);
    c->stats.server_transactions--;
}

void server_due(struct core *c)
{
    c->server_timer = 0;
    while (c->first_server && server_at(c, c->first_server)->over_ms <= c->now_ms)
        server_forget(c);
    server_arm(c);
}

struct text server_answer(struct core *c, const struct event *ev, unsigned status,
                          struct text to_tag, struct text headers)
{
    struct effect *e = effects_begin(c->fx, EFFECT_SIP);
    if (!e)
        return (struct text){0};
    char host[64];
    buffer_reset(&c->addr);
    hop_write_host(&c->addr, &ev->source);
    size_t n = c->addr.n < sizeof host ? c->addr.n : sizeof host;
    if (n)
        memcpy(host, c->addr.p, n);
    struct sip_seen seen = {{host, n}, ev->source.port};
    e->to = server_reply_to(ev);
    e->port = ev->port;
    e->reopen_port = server_reopen_port(ev);
    sip_write_response(&c->fx->bytes, ev->sip, &seen, status, sip_phrase(status), to_tag, headers);
    effects_end(c->fx, e);
    if (c->fx->failed)
        return (struct text){0};
    c->stats.sip_out++;
    return effect_text(c->fx, e);
}

void server_refuse_as(struct core *c, const struct event *ev, uint64_t hash, unsigned status,
                      struct text headers)
{
    char tag[16];
    hex_write(tag, hash, 16);
    server_answer(c, ev, status, (struct text){tag, sizeof tag}, headers);
}

void server_refuse(struct core *c, const struct event *ev, unsigned status, struct text headers)
{
    server_refuse_as(c, ev, server_hash(c, ev), status, headers);
}

void transaction_free_all(struct core *c)
{
    client_free_all(c);
    for (uint32_t h = 0; (h = pool_after(&c->servers, h));)
        free(server_at(c, h)->bytes);
}
