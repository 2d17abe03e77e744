// Settings, trust and lag of the running gateway.
#include "gateway_live.h"

#include <stdlib.h>

#include "core/shelf.h"
#include "net.h"
#include "xmpp_model.h"

static const struct text sip_domains[] = {{"example.net", 11}};
static const struct text xmpp_domains[] = {{"example.com", 11}, {"example.org", 11}};
static const struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};

struct core_trust gateway_trust(const struct world *w)
{
    enum gateway_away away = w->gateway->away;
    return (struct core_trust){
        .sip_domains = sip_domains,
        .n_sip_domains = away != AWAY_SIP,
        .xmpp_domains = away == AWAY_COM ? xmpp_domains + 1 : xmpp_domains,
        .n_xmpp_domains = away == AWAY_COM || away == AWAY_ORG ? 1 : 2,
        .probe_exempt_domains = xmpp_domains,
        .n_probe_exempt_domains = w->opt.exempt,
        .sip_sources = &loopback,
        .n_sip_sources = 1,
    };
}

bool gateway_away_is(enum gateway_away away, const struct world *w, unsigned x)
{
    return away == AWAY_SIP || away == (w->xmpp->user[x].remote ? AWAY_ORG : AWAY_COM);
}

// All shards hear of it between two turns, and take one: what the core arranges for by the new list
// is due at once.
static void gateway_apply(struct world *w)
{
    struct gateway *g = w->gateway;
    struct core_trust trust = gateway_trust(w);
    for (unsigned i = 0; g->alive && i < g->shards; i++) {
        core_set_settings(g->shard[i].core, &g->settings);
        if (core_set_trust(g->shard[i].core, &trust))
            abort();
    }
    gateway_ring(w);
}

// ---- Trust

static void distrust_ends(struct world *w, const struct happening *h)
{
    if (h->what != w->gateway->away_number || w->gateway->away == AWAY_NOBODY)
        return;
    world_note(w, "---- all are trusted again");
    w->gateway->away = AWAY_NOBODY;
    gateway_apply(w);
}

void gateway_distrust(struct world *w, enum gateway_away away, uint32_t for_ms)
{
    static const char *const name[] = {"nobody", "example.net", "example.com", "example.org"};
    world_note(w, "---- %s is not trusted for %u ms", name[away], for_ms);
    w->gateway->away = away;
    gateway_apply(w);
    if (away == AWAY_SIP)
        net_stream_break(w, 0);
    world_in(w, for_ms, distrust_ends, NULL, ++w->gateway->away_number);
}

// ---- Settings

static void drain_ends(struct world *w, const struct happening *h)
{
    if (h->what != w->gateway->drain_number)
        return;
    world_note(w, "---- new work is taken again");
    w->gateway->settings.draining = false;
    gateway_apply(w);
}

void gateway_drain(struct world *w, uint32_t for_ms)
{
    world_note(w, "---- no new work is taken for %u ms", for_ms);
    w->gateway->settings.draining = true;
    gateway_apply(w);
    world_in(w, for_ms, drain_ends, NULL, ++w->gateway->drain_number);
}

// None is beyond what the bounds of rest.c know.
void gateway_reconfigure(struct world *w)
{
    const struct options *o = &w->opt;
    struct core_settings *s = &w->gateway->settings;
    s->expires_s = world_between(w, o->min_expires_s, o->expires_s);
    s->notify_interval_ms = world_below(w, o->notify_interval_ms + 1);
    s->probe_timeout_s = world_between(w, 2, o->probe_timeout_s);
    world_note(w, "---- other settings: expires %u s, probe timeout %u s", s->expires_s,
               s->probe_timeout_s);
    gateway_apply(w);
}

// ---- Lag

// Shards that have nothing else to do look at how long their input waits all the same.
static void lag_look(struct world *w, const struct happening *h)
{
    struct gateway *g = w->gateway;
    if (!g->alive || w->now_ms < g->stopped_until_ms || w->now_ms >= g->lag_until_ms)
        return;
    for (unsigned i = 0; i < g->shards; i++)
        gateway_tell_lag(w, &g->shard[i]);
    if (h->what)
        world_in(w, 100, lag_look, NULL, h->what - 1);
}

void gateway_lag(struct world *w, uint32_t lag_ms, uint32_t for_ms)
{
    world_note(w, "---- input waits %u ms, for %u ms", lag_ms, for_ms);
    w->gateway->lag_ms = lag_ms;
    w->gateway->lag_until_ms = w->now_ms + for_ms;
    world_in(w, 0, lag_look, NULL, 4);
}

void gateway_tell_lag(struct world *w, struct gateway_shard *s)
{
    const struct gateway *g = w->gateway;
    core_set_lag_ms(s->core, w->now_ms < g->lag_until_ms ? g->lag_ms : 0, gateway_now_ms(w));
}

void gateway_count(struct world *w, struct gateway_shard *s)
{
    const struct core_stats *stats = core_stats(s->core);
    uint64_t shed = stats->overload_refused[0] + stats->overload_refused[1];
    w->faults[FAULT_SHED] += shed - s->shed;
    s->shed = shed;
    uint64_t holds = stats->users + stats->subscriptions + stats->dialogs + stats->timers +
                     stats->client_transactions + stats->server_transactions;
    s->most = holds > s->most ? holds : s->most;
}

// Memory that is given back to a pool stays there, for the next: so it follows the most that was
// ever held, and what is not given back shows once the first chunks are used up. Of blocks of each
// size there may be a slab that is all but empty.
void gateway_check_memory(struct world *w)
{
    enum { CHUNKS_BYTES = 460000, EACH_BYTES = 600 };
    enum { SLABS_BYTES = SHELF_BLOCK_MAX / SHELF_STEP * SHELF_SLAB };
    const struct gateway *g = w->gateway;
    for (unsigned i = 0; g->alive && i < g->shards; i++) {
        const struct gateway_shard *s = &g->shard[i];
        uint64_t bytes = core_stats(s->core)->memory_bytes;
        world_expect(w, bytes <= CHUNKS_BYTES + SLABS_BYTES + s->most * EACH_BYTES,
                     "shard %u has %llu bytes, and never held more than %llu objects", i,
                     (unsigned long long)bytes, (unsigned long long)s->most);
    }
}

void gateway_live_calm(struct world *w)
{
    struct gateway *g = w->gateway;
    g->lag_until_ms = 0;
    g->drain_number++;
    g->away_number++;
    g->settings.draining = false;
    g->away = AWAY_NOBODY;
    gateway_apply(w);
}
