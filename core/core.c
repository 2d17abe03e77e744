// One shard's core: its making, its step, and what of it concerns all machines.
#include "core/core.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/credentials.h"
#include "core/dialog.h"
#include "core/domain.h"
#include "core/manners.h"
#include "core/next_hop.h"
#include "core/peer.h"
#include "core/record_write.h"
#include "core/resync.h"
#include "core/serve.h"
#include "core/sip_in.h"
#include "core/stanza_in.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/user.h"
#include "core/watch.h"
#include "core/watch_session.h"
#include "core/wire/memory.h"
#include "core/wire/pidf.h"

static char *copy_text(struct text t)
{
    char *p = memory_take(t.n + 1);
    if (!p)
        return NULL;
    if (t.n)
        memcpy(p, t.p, t.n);
    p[t.n] = 0;
    return p;
}

// An IPv6 host goes into brackets wherever we write it.
static char *copy_host(struct text host)
{
    bool bare_v6 = host.n && host.p[0] != '[' && memchr(host.p, ':', host.n);
    struct buffer b;
    buffer_init(&b, 0);
    if (bare_v6)
        buffer_char(&b, '[');
    buffer_text(&b, host);
    if (bare_v6)
        buffer_char(&b, ']');
    char *p = b.failed ? NULL : copy_text((struct text){b.p, b.n});
    buffer_free(&b);
    return p;
}

// Ids are unique over all shards, which begin at the same one: each takes those of its own residue.
static uint64_t core_id_from(const struct core *c, uint64_t least)
{
    uint64_t ahead = (c->cfg.shard + CORE_SHARDS_MAX - least % CORE_SHARDS_MAX) % CORE_SHARDS_MAX;
    return least + ahead;
}

static void core_init(struct core *c, const struct core_config *cfg)
{
    c->cfg = *cfg;
    c->cfg.trust = (struct core_trust){0};
    c->cfg.realms = NULL; // copied by credentials_create()
    c->gateway = DOMAIN_NONE;
    c->next_id = core_id_from(c, cfg->first_id ? cfg->first_id : 1);
    hash_random_init(&c->random, cfg->seed, cfg->shard);
    c->check_nonce = (uint32_t)hash_random_u64(&c->random);
    pool_init(&c->users, sizeof(struct user));
    pool_init(&c->subs, sizeof(struct sub));
    pool_init(&c->dialogs, sizeof(struct dialog));
    pool_init(&c->clients, sizeof(struct client));
    pool_init(&c->servers, sizeof(struct server));
    pool_init(&c->peers, sizeof(struct peer));
    pool_init(&c->names, sizeof(struct name));
    wheel_init(&c->wheel, 0);
    buffer_init(&c->body, 0);
    buffer_init(&c->line, 0);
    buffer_init(&c->addr, 0);
    buffer_init(&c->uri, 0);
}

// A block for each from the start, so that what could not be written is empty text, but text.
static bool core_take_scratch(struct core *c)
{
    struct buffer *all[] = {&c->body, &c->line, &c->addr, &c->uri};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!buffer_reserve(all[i], 1))
            return false;
    return true;
}

int core_create(struct core **out, const struct core_config *cfg)
{
    assert(cfg->shards && cfg->shard < cfg->shards && cfg->shards <= CORE_SHARDS_MAX);
    memory_begin();
    struct core *c = memory_take_zeroed(1, sizeof *c);
    if (!c)
        return ENOMEM;
    core_init(c, cfg);
    c->advertise = copy_host(cfg->advertise);
    c->gateway_name = copy_text(cfg->gateway_domain);
    c->proxy_name = copy_text(cfg->proxy_name);
    c->cfg.gateway_domain = (struct text){c->gateway_name, cfg->gateway_domain.n};
    c->cfg.proxy_name = (struct text){c->proxy_name, cfg->proxy_name.n};
    c->cfg.proxy_uri = (struct text){0}; // from here on in `names`
    bool regained,
        copied = c->advertise && c->gateway_name && c->proxy_name && core_take_scratch(c);
    int err = copied ? pidf_reader_create(&c->pidf) : ENOMEM;
    if (!err)
        err = next_hop_set_proxy(c, cfg->proxy_uri);
    if (!err)
        err = manners_begin(c);
    if (!err)
        err = credentials_create(&c->credentials, cfg->realms, cfg->n_realms);
    if (!err)
        err = domain_set_trust(c, &cfg->trust, &regained);
    if (!err && cfg->shards > 1 &&
        !(c->handed_on = memory_take_zeroed(CORE_HANDED_ON, sizeof *c->handed_on)))
        err = ENOMEM;
    if (!err && memory_ran_out())
        err = ENOMEM;
    if (err) {
        core_destroy(c);
        return err;
    }
    *out = c;
    return 0;
}

void core_destroy(struct core *c)
{
    if (!c)
        return;
    transaction_free_all(c);
    next_hop_free_all(c);
    dialog_free_all(c);
    sub_free_all(c);
    user_free_all(c);
    shelf_free(&c->shelf);
    domain_free_all(c);
    struct pool *pools[] = {&c->users,   &c->subs,  &c->dialogs, &c->clients,
                            &c->servers, &c->peers, &c->names};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        pool_free(pools[i]);
    struct table *tables[] = {&c->user_index, &c->sub_index,  &c->dialog_index,  &c->server_index,
                              &c->peer_index, &c->name_index, &c->sip_user_index};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        table_free(tables[i]);
    wheel_free(&c->wheel);
    pidf_reader_destroy(c->pidf);
    credentials_destroy(c->credentials);
    buffer_free(&c->body);
    buffer_free(&c->line);
    buffer_free(&c->addr);
    buffer_free(&c->caps);
    buffer_free(&c->caps_node);
    buffer_free(&c->uri);
    free(c->handed_on);
    free(c->advertise);
    free(c->gateway_name);
    free(c->proxy_name);
    free(c);
}

void core_set_settings(struct core *c, const struct core_settings *s)
{
    c->cfg.settings = *s;
}

int core_set_trust(struct core *c, const struct core_trust *t)
{
    bool regained;
    memory_begin();
    int err = domain_set_trust(c, t, &regained);
    if (!err && regained && c->now_ms)
        err = resync_all(c);
    return !err && memory_ran_out() ? ENOMEM : err;
}

void core_set_lag_ms(struct core *c, uint32_t lag_ms, uint64_t now_ms)
{
    overload_lag(&c->overload, lag_ms, c->cfg.settings.lag_ms, now_ms);
    c->stats.overload_lag_ms = lag_ms;
    c->stats.overload_shedding = c->overload.shedding;
    c->stats.overload_share_thousandths = overload_share(&c->overload);
}

bool core_trusts_source(const struct core *c, const struct hop *source)
{
    return domain_source_trusted(c, source);
}

void core_at(struct core *c, uint64_t now_ms)
{
    if (!c->now_ms) { // the first time that time is told
        wheel_init(&c->wheel, now_ms);
        c->started_ms = now_ms;
    }
    assert(now_ms >= c->now_ms);
    c->now_ms = now_ms;
}

int core_restore(struct core *c, uint64_t id, struct text record, uint64_t now_ms)
{
    core_at(c, now_ms);
    if (id >= c->next_id)
        c->next_id = core_id_from(c, id + 1);
    memory_begin();
    int err = record_restore(c, id, record);
    return !err && memory_ran_out() ? ENOMEM : err;
}

static void core_sub_due(struct core *c, uint32_t sub)
{
    if (core_sub(c, sub)->direction == XMPP_TO_SIP)
        watch_retry_due(c, sub);
    else
        serve_retry_due(c, sub);
}

static void core_timer(struct core *c, enum timer_kind kind, uint32_t owner)
{
    switch (kind) {
    case TIMER_CLIENT: client_due(c, owner); break;
    case TIMER_SERVER: server_due(c); break;
    case TIMER_DIALOG: dialog_due(c, owner); break;
    case TIMER_NOTIFY: serve_notify_due(c, owner); break;
    case TIMER_SUB: core_sub_due(c, owner); break;
    case TIMER_PROBE: probe_due(c, owner); break;
    case TIMER_USER: user_forget_due(c, owner); break;
    case TIMER_SESSION: watch_session_due(c, owner); break;
    case TIMER_RESYNC: resync_due(c); break;
    case TIMER_PEER: peer_due(c, owner); break;
    case TIMER_NAME: next_hop_due(c, owner); break;
    }
}

static void core_tick(struct core *c)
{
    uint8_t kind;
    uint32_t owner;
    while (c->fx->bytes.n < EFFECTS_TURN_BYTES && !c->fx->failed &&
           wheel_pop(&c->wheel, c->now_ms, &kind, &owner)) {
        core_timer(c, kind, owner);
        sub_flush(c);
    }
}

static void core_stream(struct core *c, struct text name, bool up)
{
    uint16_t domain = domain_find(c, name);
    if (!domain_is(c, domain, DOMAIN_STREAM))
        return;
    if (up) {
        c->domains[domain].flags |= DOMAIN_UP;
        c->streams_up++;
        resync_start(c, domain);
    } else {
        c->domains[domain].flags &= (uint8_t)~DOMAIN_UP;
    }
}

static uint64_t core_memory_bytes(const struct core *c)
{
    return pool_bytes(&c->users) + pool_bytes(&c->subs) + pool_bytes(&c->dialogs) +
           pool_bytes(&c->clients) + pool_bytes(&c->servers) + pool_bytes(&c->peers) +
           pool_bytes(&c->names) + pool_bytes(&c->wheel.timers) + table_bytes(&c->user_index) +
           table_bytes(&c->sub_index) + table_bytes(&c->dialog_index) +
           table_bytes(&c->server_index) + table_bytes(&c->peer_index) +
           table_bytes(&c->name_index) + table_bytes(&c->domain_index) +
           table_bytes(&c->sip_user_index) + c->shelf.bytes;
}

void core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx)
{
    core_at(c, now_ms);
    memory_begin();
    c->fx = fx;
    c->stats.events++;
    switch (ev->kind) {
    case EVENT_TICK: core_tick(c); break;
    case EVENT_SIP: sip_in(c, ev); break;
    case EVENT_STANZA: stanza_in(c, ev->stanza); break;
    case EVENT_STREAM_UP: core_stream(c, ev->domain, true); break;
    case EVENT_STREAM_DOWN: core_stream(c, ev->domain, false); break;
    case EVENT_RESOLVED: next_hop_resolved(c, ev); break;
    case EVENT_UNREACHABLE: client_unreachable(c, &ev->source); break;
    }
    sub_flush(c);
    fx->failed = fx->failed || memory_ran_out();
    c->fx = NULL;
}

uint64_t core_next_due(const struct core *c)
{
    return wheel_next_ms(&c->wheel);
}

struct text core_domain_name(const struct core *c, unsigned index)
{
    if (index >= c->n_streams)
        return (struct text){0};
    return domain_name(c, c->streams[index]);
}

const struct core_stats *core_stats(struct core *c)
{
    c->stats.memory_bytes = core_memory_bytes(c);
    c->stats.timers = c->wheel.timers.live; // also of those set between two steps
    return &c->stats;
}
