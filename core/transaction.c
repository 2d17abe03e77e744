// Non-INVITE transactions, client (RFC 3261 §17.1.2) and server (§17.2.2), over UDP.
//
// Our branch is the magic cookie, two hex digits of the shard, eight of the transaction's handle
// and sixteen random ones, so a response needs no index to find its transaction, and a guessed one
// finds nothing. The state Completed (timer K) is left out on the client side: a late response copy
// names a handle that is free or has another nonce, and is dropped just the same.
#include "core/transaction.h"

#include <assert.h>
#include <stdlib.h>

#include "core/dialog.h"
#include "core/hex.h"

enum { BRANCH_COOKIE = 7, BRANCH_N = BRANCH_COOKIE + 2 + 8 + 16 };

static const char branch_cookie[] = "z9hG4bK";

static uint32_t peer_find(const struct core *c, const struct hop *hop, uint32_t hash)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->peer_index, hash, &handle); handle;
         at = table_next(&c->peer_index, hash, at, &handle))
        if (hop_eq(&((struct peer *)pool_at(&c->peers, handle))->hop, hop))
            return handle;
    return 0;
}

static uint32_t peer_hash(const struct core *c, const struct hop *hop)
{
    return (uint32_t)hash_sip(c->cfg.key, hop, sizeof *hop);
}

// The next hop with one more request in flight. 0: no memory.
static uint32_t peer_enter(struct core *c, const struct hop *hop)
{
    uint32_t hash = peer_hash(c, hop), handle = peer_find(c, hop, hash);
    if (!handle) {
        handle = pool_take(&c->peers);
        if (!handle)
            return 0;
        struct peer *p = pool_at(&c->peers, handle);
        p->hash = hash;
        p->hop = *hop;
        if (!table_add(&c->peer_index, hash, handle)) {
            pool_give(&c->peers, handle);
            return 0;
        }
    }
    ((struct peer *)pool_at(&c->peers, handle))->in_flight++;
    return handle;
}

static void peer_leave(struct core *c, uint32_t handle)
{
    struct peer *p = pool_at(&c->peers, handle);
    assert(p->in_flight);
    if (--p->in_flight)
        return;
    table_remove(&c->peer_index, p->hash, handle);
    pool_give(&c->peers, handle);
}

bool client_room(const struct core *c, const struct hop *to)
{
    uint32_t handle = peer_find(c, to, peer_hash(c, to));
    return !handle || ((struct peer *)pool_at(&c->peers, handle))->in_flight <
                          c->cfg.settings.requests_in_flight_per_peer;
}

static bool branch_read(struct text branch, uint64_t *shard, uint64_t *handle, uint64_t *nonce)
{
    return branch.n == BRANCH_N && memcmp(branch.p, branch_cookie, BRANCH_COOKIE) == 0 &&
           hex_read(branch.p + BRANCH_COOKIE, 2, shard) &&
           hex_read(branch.p + BRANCH_COOKIE + 2, 8, handle) &&
           hex_read(branch.p + BRANCH_COOKIE + 10, 16, nonce);
}

bool client_branch_shard(struct text branch, unsigned *shard)
{
    uint64_t s, handle, nonce;
    if (!branch_read(branch, &s, &handle, &nonce))
        return false;
    *shard = (unsigned)s;
    return true;
}

// An effect that sends `t`; the stored copy of a transaction as well as a fresh answer.
static bool sip_emit(struct core *c, struct text t, const struct hop *to, sip_port port)
{
    struct effect *e = effects_begin(c->fx, EFFECT_SIP);
    if (!e)
        return false;
    e->to = *to;
    e->port = port;
    buffer_text(&c->fx->bytes, t);
    effects_end(c->fx, e);
    c->stats.sip_out++;
    return !c->fx->failed;
}

static void client_forget(struct core *c, uint32_t handle)
{
    struct client *t = pool_at(&c->clients, handle);
    wheel_cancel(&c->wheel, &t->timer);
    peer_leave(c, t->hop);
    free(t->bytes);
    pool_give(&c->clients, handle);
    c->stats.client_transactions--;
}

static uint32_t client_take(struct core *c, const struct hop *to)
{
    uint32_t handle = pool_take(&c->clients);
    if (!handle)
        return 0;
    struct client *t = pool_at(&c->clients, handle);
    t->hop = peer_enter(c, to);
    if (!t->hop) {
        pool_give(&c->clients, handle);
        return 0;
    }
    t->nonce = hash_random_u64(&c->random);
    c->stats.client_transactions++;
    return handle;
}

// Writes the request as an effect and keeps a copy for retransmission.
static bool client_write(struct core *c, struct client *t, struct sip_request *r,
                         const struct hop *to)
{
    struct effect *e = effects_begin(c->fx, EFFECT_SIP);
    if (!e)
        return false;
    e->to = *to;
    e->port = SIP_PORT_SHARD(c->cfg.shard);
    sip_write_request(&c->fx->bytes, r);
    effects_end(c->fx, e);
    if (c->fx->failed)
        return false;
    struct text bytes = effect_text(c->fx, e);
    t->bytes = malloc(bytes.n);
    if (!t->bytes) {
        c->fx->n--;
        return false;
    }
    memcpy(t->bytes, bytes.p, bytes.n);
    t->n = (uint32_t)bytes.n;
    c->stats.sip_out++;
    return true;
}

uint32_t client_start(struct core *c, struct sip_request *r, const struct hop *to, uint32_t dialog)
{
    uint32_t handle = client_take(c, to);
    if (!handle)
        return 0;
    struct client *t = pool_at(&c->clients, handle);
    char branch[BRANCH_N];
    memcpy(branch, branch_cookie, BRANCH_COOKIE);
    hex_write(branch + BRANCH_COOKIE, c->cfg.shard, 2);
    hex_write(branch + BRANCH_COOKIE + 2, handle, 8);
    hex_write(branch + BRANCH_COOKIE + 10, t->nonce, 16);
    r->branch = (struct text){branch, BRANCH_N};
    t->dialog = dialog;
    t->method = (uint8_t)r->method;
    t->interval_ms = c->cfg.t1_ms;
    t->give_up_ms = c->now_ms + 64 * (uint64_t)c->cfg.t1_ms; // timer F
    t->timer = wheel_add(&c->wheel, c->now_ms + t->interval_ms, TIMER_CLIENT, handle);
    if (!t->timer || !client_write(c, t, r, to)) {
        client_forget(c, handle);
        return 0;
    }
    return handle;
}

void client_disown(struct core *c, uint32_t *handle)
{
    if (*handle)
        ((struct client *)pool_at(&c->clients, *handle))->dialog = 0;
    *handle = 0;
}

// The transaction is over: `status` is that of `m`, or 408 without a message.
static void client_end(struct core *c, uint32_t handle, unsigned status,
                       const struct sip_message *m)
{
    struct client *t = pool_at(&c->clients, handle);
    uint32_t dialog = t->dialog;
    enum sip_method method = t->method;
    client_forget(c, handle);
    if (!dialog)
        return;
    core_dialog(c, dialog)->client = 0;
    dialog_answered(c, dialog, method, status, m);
}

static struct client *client_match(struct core *c, const struct sip_message *m, uint32_t *handle)
{
    uint64_t shard, h, nonce;
    if (!branch_read(sip_text(m, m->branch), &shard, &h, &nonce) || shard != c->cfg.shard)
        return NULL;
    if (h == 0 || h > c->clients.used)
        return NULL;
    struct client *t = pool_at(&c->clients, (uint32_t)h);
    if (!t->n || t->nonce != nonce || t->method != m->method) // n == 0: free
        return NULL;
    *handle = (uint32_t)h;
    return t;
}

void client_response(struct core *c, const struct sip_message *m)
{
    uint32_t handle;
    struct client *t = client_match(c, m, &handle);
    if (!t) {
        c->stats.unmatched++;
        return;
    }
    if (m->status < 200) { // Proceeding: go on at T2 (§17.1.2.2)
        t->proceeding = true;
        t->interval_ms = CORE_T2_MS;
        return;
    }
    client_end(c, handle, m->status, m);
}

void client_due(struct core *c, uint32_t handle)
{
    struct client *t = pool_at(&c->clients, handle);
    t->timer = 0;
    if (c->now_ms >= t->give_up_ms) {
        c->stats.timeouts++;
        client_end(c, handle, 408, NULL);
        return;
    }
    struct peer *p = pool_at(&c->peers, t->hop);
    sip_emit(c, (struct text){t->bytes, t->n}, &p->hop, SIP_PORT_SHARD(c->cfg.shard));
    c->stats.retransmits++;
    t->interval_ms =
        t->proceeding || t->interval_ms * 2 > CORE_T2_MS ? CORE_T2_MS : t->interval_ms * 2;
    uint64_t due = c->now_ms + t->interval_ms;
    t->timer =
        wheel_add(&c->wheel, due < t->give_up_ms ? due : t->give_up_ms, TIMER_CLIENT, handle);
    if (!t->timer)
        client_end(c, handle, 408, NULL); // no memory for the timer: as if nobody had answered
}

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

static uint32_t server_find(const struct core *c, uint64_t key)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->server_index, (uint32_t)key, &handle); handle;
         at = table_next(&c->server_index, (uint32_t)key, at, &handle))
        if (((struct server *)pool_at(&c->servers, handle))->key == key)
            return handle;
    return 0;
}

bool server_replay(struct core *c, const struct event *ev)
{
    uint32_t handle = server_find(c, server_key(c, ev->sip, ev->sip->method));
    if (!handle)
        return false;
    struct server *s = pool_at(&c->servers, handle);
    sip_emit(c, (struct text){s->bytes, s->n}, &s->to, s->port);
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

void server_keep(struct core *c, const struct event *ev, struct text response)
{
    uint32_t handle = pool_take(&c->servers);
    if (!handle)
        return; // a retransmission will be taken for a new request: safe, but noisy
    struct server *s = pool_at(&c->servers, handle);
    s->key = server_key(c, ev->sip, ev->sip->method);
    s->to = server_reply_to(ev);
    s->port = ev->port;
    s->bytes = malloc(response.n);
    s->n = (uint32_t)response.n;
    s->timer = wheel_add(&c->wheel, c->now_ms + 64 * (uint64_t)c->cfg.t1_ms, TIMER_SERVER, handle);
    if (!s->bytes || !s->timer || !table_add(&c->server_index, (uint32_t)s->key, handle)) {
        wheel_cancel(&c->wheel, &s->timer);
        free(s->bytes);
        pool_give(&c->servers, handle);
        return;
    }
    memcpy(s->bytes, response.p, response.n);
    c->stats.server_transactions++;
}

void server_due(struct core *c, uint32_t handle)
{
    struct server *s = pool_at(&c->servers, handle);
    table_remove(&c->server_index, (uint32_t)s->key, handle);
    free(s->bytes);
    pool_give(&c->servers, handle);
    c->stats.server_transactions--;
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
    memcpy(host, c->addr.p, n);
    struct sip_seen seen = {{host, n}, ev->source.port};
    e->to = server_reply_to(ev);
    e->port = ev->port;
    sip_write_response(&c->fx->bytes, ev->sip, &seen, status, sip_phrase(status), to_tag, headers);
    effects_end(c->fx, e);
    if (c->fx->failed)
        return (struct text){0};
    c->stats.sip_out++;
    return effect_text(c->fx, e);
}

void server_refuse(struct core *c, const struct event *ev, unsigned status, struct text headers)
{
    char tag[16];
    hex_write(tag, server_key(c, ev->sip, ev->sip->method), 16);
    server_answer(c, ev, status, (struct text){tag, sizeof tag}, headers);
}

void transaction_free_all(struct core *c)
{
    for (uint32_t h = 1; h <= c->clients.used; h++)
        free(((struct client *)pool_at(&c->clients, h))->bytes);
    for (uint32_t h = 1; h <= c->servers.used; h++)
        free(((struct server *)pool_at(&c->servers, h))->bytes);
}
