// Non-INVITE server transactions (RFC 3261 §17.2.2), and answers.
#include "core/transaction.h"

#include <stdlib.h>

#include "core/hex.h"
#include "core/wire/memory.h"

// RFC 3261 §17.2.3: the top Via's branch and sent-by, and the method. Peers older than RFC 3261
// send no branch of theirs: what names the request stands in for it.
struct server_name {
    struct text text[4]; // branch, sent-by, Call-ID, tag of From
    uint32_t cseq;
    uint16_t sent_by_port;
    uint8_t method;
};

// One hash for all of it: the short texts as they are, their lengths in front; of a long one its
// own hash, which says how long it is as well.
static uint64_t server_key(const struct core *c, const struct server_name *name)
{
    enum { TEXTS = 4, SHORT_MAX = 64 };
    uint8_t block[2 * sizeof(uint64_t) + TEXTS * SHORT_MAX], *at = block;
    uint64_t numbers[2] = {(uint64_t)name->cseq << 32 | (uint64_t)name->sent_by_port << 8 |
                           name->method};
    for (int i = 0; i < TEXTS; i++)
        numbers[1] = numbers[1] << 16 | (uint16_t)name->text[i].n;
    memcpy(at, numbers, sizeof numbers);
    at += sizeof numbers;
    for (int i = 0; i < TEXTS; i++) {
        struct text t = name->text[i];
        uint64_t hash = t.n > SHORT_MAX ? hash_sip(c->cfg.key, t.p, t.n) : 0;
        if (t.n > SHORT_MAX)
            t = (struct text){(const char *)&hash, sizeof hash};
        if (t.n)
            memcpy(at, t.p, t.n);
        at += t.n;
    }
    return hash_sip(c->cfg.key, block, (size_t)(at - block));
}

static uint64_t server_key_of(const struct core *c, const struct sip_message *m, uint8_t method)
{
    return server_key(
        c, &(struct server_name){.text = {sip_text(m, m->branch), sip_text(m, m->sent_by),
                                          sip_text(m, m->call_id), sip_text(m, m->from_tag)},
                                 .cseq = m->cseq,
                                 .sent_by_port = m->sent_by_port,
                                 .method = method});
}

uint64_t server_hash(const struct core *c, const struct sip_message *m)
{
    return server_key_of(c, m, m->method);
}

uint64_t server_hash_of_glance(const struct core *c, const struct sip_glance *g)
{
    return server_key(
        c, &(struct server_name){.text = {g->branch, g->echo.sent_by, g->echo.call_id, g->from_tag},
                                 .cseq = g->cseq,
                                 .sent_by_port = g->echo.sent_by_port,
                                 .method = SIP_SUBSCRIBE});
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

bool server_knows(const struct core *c, uint64_t hash)
{
    return server_find(c, hash) != 0;
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
    return server_knows(c, server_key_of(c, ev->sip, SIP_SUBSCRIBE));
}

// RFC 3261 §18.2.2 and RFC 3581 §4: back to the source; to its port when it asked for that, else to
// the one that its Via names; and where to open a connection when that of the request is gone.
struct server_way server_way_back(const struct hop *source, const struct sip_echo *req)
{
    struct server_way way = {.to = *source};
    uint16_t standard = source->transport == HOP_TLS ? 5061 : 5060;
    uint16_t port = req->sent_by_port ? req->sent_by_port : standard;
    if (source->transport != HOP_UDP)
        way.reopen_port = port;
    else if (!req->rport)
        way.to.port = port;
    return way;
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
    struct sip_echo echo;
    sip_echo_of(&echo, ev->sip);
    struct server_way way = server_way_back(&ev->source, &echo);
    s->key = server_hash(c, ev->sip);
    s->to = way.to;
    s->port = ev->port;
    s->reopen_port = way.reopen_port;
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

void server_write(struct core *c, struct buffer *b, const struct server_reply *r)
{
    buffer_reset(&c->addr);
    hop_write_host(&c->addr, r->source);
    struct sip_seen seen = {{c->addr.p, c->addr.n}, r->source->port};
    sip_write_answer(b, r->request, &seen, r->status, TEXT(""), r->to_tag, r->headers);
    c->stats.sip_out++;
}

struct text server_answer(struct core *c, const struct event *ev, unsigned status,
                          struct text to_tag, struct text headers)
{
    struct effect *e = effects_begin(c->fx, EFFECT_SIP);
    if (!e)
        return (struct text){0};
    struct sip_echo echo;
    sip_echo_of(&echo, ev->sip);
    struct server_way way = server_way_back(&ev->source, &echo);
    e->to = way.to;
    e->port = ev->port;
    e->reopen_port = way.reopen_port;
    server_write(c, &c->fx->bytes,
                 &(struct server_reply){&echo, &ev->source, status, to_tag, headers});
    effects_end(c->fx, e);
    if (c->fx->failed)
        return (struct text){0};
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
    server_refuse_as(c, ev, server_hash(c, ev->sip), status, headers);
}

void transaction_free_all(struct core *c)
{
    client_free_all(c);
    for (uint32_t h = 0; (h = pool_after(&c->servers, h));)
        free(server_at(c, h)->bytes);
}
