// The gateway's process: turns as in shards/shard_turn.c, deaths between any two of their points.
#include "gateway.h"

#include <stdlib.h>

#include "fail/memory/seam.h"
#include "gateway_live.h"
#include "gateway_rings.h"
#include "inspector.h"
#include "net.h"
#include "xmpp_model.h"

enum death_at {
    DEATH_BEFORE_COMMIT,
    DEATH_WITHIN_COMMIT,
    DEATH_AFTER_COMMIT,
    DEATH_WHILE_RELEASING,
    DEATH_POINTS
};

static const struct core_realm realm = {{"verona", 6}, {"gateway", 7}, {"sycamore", 8}};

static void gateway_settings(struct world *w)
{
    const struct options *o = &w->opt;
    w->gateway->settings = (struct core_settings){
        .expires_s = o->expires_s,
        .min_expires_s = o->min_expires_s,
        .max_expires_s = o->max_expires_s,
        .unsubscribe_on_expiry = o->unsubscribe_on_expiry,
        .notify_interval_ms = o->notify_interval_ms,
        .probe_timeout_s = o->probe_timeout_s,
        .probe_window_s = o->window_s,
        .subscriptions_per_user = 1000,
        .subscriptions_per_shard = 100000,
        .new_subscriptions_per_user_per_min = 600,
        .requests_in_flight_per_peer = 5000,
        .notify_failures = 3,
        .lag_ms = GATEWAY_LAG_MS,
    };
}

static void gateway_core(struct world *w, unsigned shard, uint64_t first_id)
{
    struct gateway *g = w->gateway;
    struct core_config cfg = {
        .seed = world_draw(w),
        .shard = shard,
        .shards = g->shards,
        .gateway_domain = w->opt.gateway_domain ? TEXT("gw.example.net") : (struct text){0},
        .advertise = TEXT("127.0.0.1"),
        .shard_port = (uint16_t)(GATEWAY_PORT + shard),
        .t1_ms = w->opt.t1_ms,
        .first_id = first_id,
        .settings = g->settings,
        .realms = &realm,
        .n_realms = 1,
        .trust = gateway_trust(w),
    };
    memcpy(cfg.key, "a key of the sim", 16);
    if (hop_parse(&cfg.proxy, TEXT("127.0.0.1"), GATEWAY_PROXY, HOP_UDP) ||
        core_create(&g->shard[shard].core, &cfg))
        abort();
}

// ---- Its clock

uint64_t gateway_now_ms(const struct world *w)
{
    return w->now_ms + (uint64_t)w->gateway->skew_ms;
}

// When the world's clock says so, the gateway's says `at_ms`.
static uint64_t gateway_world_ms(const struct world *w, uint64_t at_ms)
{
    return at_ms == UINT64_MAX ? UINT64_MAX : at_ms - (uint64_t)w->gateway->skew_ms;
}

static uint64_t shard_due_ms(const struct world *w, const struct gateway_shard *s)
{
    return gateway_world_ms(w, core_next_due(s->core));
}

static void gateway_turn(struct world *w, const struct happening *h);

// A turn of `shard` at `at_ms`, unless an earlier one is arranged for.
static void gateway_wake(struct world *w, unsigned shard, uint64_t at_ms)
{
    struct gateway_shard *s = &w->gateway->shard[shard];
    if (at_ms < w->now_ms)
        at_ms = w->now_ms;
    if (at_ms < w->gateway->stopped_until_ms)
        at_ms = w->gateway->stopped_until_ms;
    if (s->wake_ms <= at_ms)
        return;
    s->wake_ms = at_ms;
    world_in(w, at_ms - w->now_ms, gateway_turn, s, w->gateway->life << 8 | shard);
}

static void gateway_post(struct world *w, unsigned shard, struct inbox_item item)
{
    struct gateway_shard *s = &w->gateway->shard[shard];
    if (s->inbox_n == s->inbox_cap) {
        s->inbox_cap = s->inbox_cap ? 2 * s->inbox_cap : 16;
        s->inbox = realloc(s->inbox, s->inbox_cap * sizeof *s->inbox);
        if (!s->inbox)
            abort();
    }
    s->inbox[s->inbox_n++] = item;
    gateway_wake(w, shard, w->now_ms + world_below(w, 3));
}

static void *block_copy(const void *p, size_t n)
{
    void *copy = malloc(n);
    if (!copy)
        abort();
    return memcpy(copy, p, n);
}

static struct cause step_cause(struct world *w, const struct event *ev)
{
    struct cause c = {.kind = ev->kind,
                      .trusted = true,
                      .at_ms = gateway_now_ms(w),
                      .step = inspector_step(w),
                      .away = w->gateway->away};
    if (ev->kind == EVENT_SIP)
        c.trusted = inspector_sip_in(w, ev);
    if (ev->kind == EVENT_STANZA)
        c.trusted = inspector_stanza_in(w, ev->stanza);
    return c;
}

// What is turned away is answered as in shards/shard_route.c: at once, whatever the turn comes to.
static enum core_door gateway_door(struct world *w, struct gateway_shard *s, struct text bytes,
                                   const struct event *ev)
{
    struct core_refusal no;
    if (s->held || s->fx.failed || w->now_ms < w->gateway->stopped_until_ms)
        return CORE_DOOR_ASK;
    enum core_door door = core_turn_away(s->core, bytes, &ev->source, gateway_now_ms(w), &no);
    if (door != CORE_DOOR_SHUT)
        return door;
    w->faults[FAULT_TURNED_AWAY]++;
    struct cause cause = step_cause(w, ev);
    inspector_sip_out(w, &cause, no.bytes);
    net_from_gateway(w, no.bytes, ev->port, &no.to);
    return door;
}

void gateway_sip(struct world *w, struct text bytes, const struct hop *source, uint16_t port)
{
    struct gateway *g = w->gateway;
    struct event ev = {.kind = EVENT_SIP, .source = *source, .port = SIP_PORT_LISTEN(0)};
    if (!g->alive || sip_parse(g->parser, bytes.p, bytes.n, &ev.sip) != 0)
        return;
    unsigned index = port - GATEWAY_PORT;
    if (port != GATEWAY_LISTEN) // a port of a former, larger shard count is kept
        ev.port = index < g->shards ? SIP_PORT_SHARD(index) : SIP_PORT_LISTEN(1);
    // Any shard may have got it.
    unsigned reader = world_below(w, g->shards);
    enum core_door door = gateway_door(w, &g->shard[reader], bytes, &ev);
    unsigned owner = core_owner_of_sip(g->shard[reader].core, ev.sip);
    if (door == CORE_DOOR_SHUT)
        return;
    if (owner != reader)
        core_hands_on(g->shard[reader].core, ev.sip);
    if (gateway_ring_drops(w, reader, owner, DEBT_NONE, 0))
        return;
    gateway_post(w, owner,
                 (struct inbox_item){.kind = EVENT_SIP,
                                     .source = ev.source,
                                     .port = ev.port,
                                     .admitted = owner == reader && door == CORE_DOOR_OPEN,
                                     .block = block_copy(ev.sip, ev.sip->size)});
}

void gateway_stanza(struct world *w, unsigned stream, const struct stanza *s)
{
    struct gateway *g = w->gateway;
    if (!g->alive)
        return;
    unsigned owner = core_owner_of_stanza(g->shard[world_below(w, g->shards)].core, s);
    if (gateway_ring_drops(w, gateway_stream_home(w, stream), owner, DEBT_CORE, stream))
        return;
    gateway_post(w, owner,
                 (struct inbox_item){.kind = EVENT_STANZA, .block = block_copy(s, s->size)});
}

void gateway_tell_stream(struct world *w, unsigned shard, unsigned stream)
{
    bool up = w->gateway->stream_up[stream];
    gateway_post(
        w, shard,
        (struct inbox_item){.kind = up ? EVENT_STREAM_UP : EVENT_STREAM_DOWN, .stream = stream});
}

void gateway_stream(struct world *w, unsigned stream, bool up)
{
    struct gateway *g = w->gateway;
    g->stream_up[stream] = up;
    for (unsigned i = 0; g->alive && i < g->shards; i++)
        if (!gateway_ring_drops(w, gateway_stream_home(w, stream), i, DEBT_STREAM, stream))
            gateway_tell_stream(w, i, stream);
}

void gateway_owes_resync(struct world *w, unsigned shard, unsigned stream)
{
    gateway_post(w, shard, (struct inbox_item){.resync = true, .stream = stream});
}

// ---- Deaths and births

static void shard_end(struct gateway_shard *s)
{
    for (size_t i = s->inbox_first; i < s->inbox_n; i++)
        free(s->inbox[i].block);
    free(s->inbox);
    free(s->cause);
    effects_free(&s->fx);
    core_destroy(s->core);
    *s = (struct gateway_shard){.wake_ms = UINT64_MAX};
}

// While no process runs the wall clock may be set, to any time.
static void gateway_set_clock(struct world *w)
{
    enum { BACK_S = 3 * 3600, AHEAD_S = 3600, OF_LIVES = 40 };
    if (!world_fault(w, FAULT_CLOCK_SET, OF_LIVES * w->opt.clock))
        return;
    w->gateway->skew_ms = (int64_t)world_below(w, 1000 * (BACK_S + AHEAD_S)) - 1000 * BACK_S;
    inspector_clock_set(w);
}

static void shard_restore(struct world *w, unsigned shard)
{
    struct gateway *g = w->gateway;
    for (size_t i = 0; i < g->store.n; i++) {
        const struct store_model_record *r = &g->store.v[i];
        if (r->shard != shard)
            continue;
        int err = core_restore(g->shard[shard].core, r->id, (struct text){r->bytes, r->n},
                               gateway_now_ms(w));
        world_expect(w, err == 0, "record %llu can't be restored: %d", (unsigned long long)r->id,
                     err);
    }
}

static void gateway_start(struct world *w)
{
    struct gateway *g = w->gateway;
    if (g->life && world_fault(w, FAULT_SHARDS, 400))
        g->shards = (const unsigned[]){1, 2, 3, 5}[world_below(w, 4)];
    gateway_set_clock(w);
    store_model_partition(w, &g->store, g->shards);
    world_note(w, "---- the gateway starts with %u shards, %zu records", g->shards, g->store.n);
    for (unsigned i = 0; i < g->shards; i++) {
        g->shard[i] = (struct gateway_shard){.wake_ms = UINT64_MAX};
        effects_init(&g->shard[i].fx);
        gateway_core(w, i, store_model_next_id(&g->store));
    }
    for (unsigned i = 0; i < g->shards; i++)
        shard_restore(w, i);
    g->alive = true;
    g->life++;
    memset(g->stream_up, 0, sizeof g->stream_up);
    inspector_birth(w);
    for (unsigned i = 0; i < g->shards; i++)
        gateway_wake(w, i, shard_due_ms(w, &g->shard[i]));
    net_streams_connect(w);
}

static void gateway_start_act(struct world *w, const struct happening *h)
{
    (void)h;
    gateway_start(w);
}

static void gateway_die(struct world *w)
{
    struct gateway *g = w->gateway;
    uint32_t down_ms = world_between(w, 50, world_chance(w, 200) ? 300000 : 10000);
    world_note(w, "---- the gateway dies, for %u ms", down_ms);
    for (unsigned i = 0; i < g->shards; i++)
        shard_end(&g->shard[i]);
    g->alive = false;
    g->death_in = 0;
    g->stopped_until_ms = 0;
    net_streams_cut(w);
    inspector_death(w);
    if (world_fault(w, FAULT_POWER_FAILURE, w->opt.power_failure)) {
        world_note(w, "---- and the power fails");
        store_model_power_failure(w, &g->store);
    }
    world_in(w, down_ms, gateway_start_act, NULL, 0);
}

void gateway_ring(struct world *w)
{
    for (unsigned i = 0; w->gateway->alive && i < w->gateway->shards; i++)
        gateway_wake(w, i, w->now_ms);
}

void gateway_clock_leap(struct world *w, uint32_t ms)
{
    struct gateway *g = w->gateway;
    if (w->now_ms < g->stopped_until_ms)
        return;
    world_note(w, "---- the gateway's clock leaps %u ms ahead", ms);
    g->skew_ms += ms;
    inspector_clock_leapt(w);
    gateway_ring(w);
}

// What is due meanwhile is late by as much: see gateway_wake().
void gateway_suspend(struct world *w, uint32_t ms)
{
    struct gateway *g = w->gateway;
    if (!g->alive || w->now_ms < g->stopped_until_ms)
        return;
    world_note(w, "---- the gateway is suspended for %u ms", ms);
    g->stopped_until_ms = w->now_ms + ms;
    g->skew_ms -= ms;
    for (unsigned i = 0; i < g->shards; i++) {
        g->shard[i].wake_ms = UINT64_MAX;
        gateway_wake(w, i, g->stopped_until_ms);
    }
}

void gateway_plan_death(struct world *w)
{
    struct gateway *g = w->gateway;
    if (!g->alive || g->death_in)
        return;
    g->death_in = world_between(w, 1, 30);
    g->death_at = world_below(w, DEATH_POINTS);
}

void gateway_store_full(struct world *w, uint32_t ms)
{
    world_note(w, "---- the store is full for %u ms", ms);
    w->gateway->full_until_ms = w->now_ms + ms;
}

static bool death_comes(struct world *w, enum death_at at)
{
    struct gateway *g = w->gateway;
    if (g->death_in != 1 || g->death_at != at)
        return false;
    w->faults[FAULT_CRASH_BEFORE_COMMIT + at]++;
    gateway_die(w);
    return true;
}

// ---- A turn

static void shard_step(struct world *w, struct gateway_shard *s, const struct event *ev)
{
    if (s->fx.failed) // the rest of the turn is lost with it
        return;
    size_t before = s->fx.n;
    struct cause cause = step_cause(w, ev);
    seam_begin(s->refuse);
    core_step(s->core, ev, gateway_now_ms(w), &s->fx);
    unsigned long asked = seam_end();
    s->refuse = s->refuse > asked ? s->refuse - asked : 0;
    inspector_stepped(w, ev, s->fx.n - before);
    // What a library can do without it may do without.
    world_expect(w, !s->fx.failed || seam.refused, "the core says that memory ran out");
    if (s->fx.n > s->cause_cap) {
        s->cause_cap = 2 * s->fx.n;
        s->cause = realloc(s->cause, s->cause_cap * sizeof *s->cause);
        if (!s->cause)
            abort();
    }
    for (size_t i = before; i < s->fx.n; i++)
        s->cause[i] = cause;
}

static struct text stream_domain(unsigned stream)
{
    return stream ? TEXT("gw.example.net") : TEXT("example.net");
}

// Of the stream, or of all, if up.
static void shard_tell_streams(struct world *w, struct gateway_shard *s, unsigned stream)
{
    for (unsigned i = 0; i < GATEWAY_STREAMS; i++)
        if (s->up[i] && (stream == i || stream == GATEWAY_STREAMS))
            shard_step(w, s, &(struct event){.kind = EVENT_STREAM_UP, .domain = stream_domain(i)});
}

static void shard_take(struct world *w, struct gateway_shard *s, const struct inbox_item *item)
{
    struct event ev = {
        .kind = item->kind, .source = item->source, .port = item->port, .admitted = item->admitted};
    if (item->kind == EVENT_SIP)
        ev.sip = item->block;
    else if (item->kind == EVENT_STANZA)
        ev.stanza = item->block;
    else
        s->up[item->stream] = item->kind == EVENT_STREAM_UP;
    if (item->kind == EVENT_STREAM_UP || item->kind == EVENT_STREAM_DOWN)
        ev.domain = stream_domain(item->stream);
    shard_step(w, s, &ev);
}

// As shards/shard_birth.c: the turn and the core are thrown away, and a new core takes its place.
static void shard_rebirth(struct world *w, unsigned shard)
{
    struct gateway *g = w->gateway;
    struct gateway_shard *s = &g->shard[shard];
    world_note(w, "---- shard %u ran out of memory", shard);
    w->faults[FAULT_MEMORY]++;
    inspector_death(w);
    core_destroy(s->core);
    effects_free(&s->fx);
    effects_init(&s->fx);
    gateway_core(w, shard, store_model_next_id(&g->store));
    s->shed = s->most = 0;
    shard_restore(w, shard);
    inspector_rebirth(w);
    shard_tell_streams(w, s, GATEWAY_STREAMS);
}

static void shard_take_in(struct world *w, struct gateway_shard *s)
{
    size_t n = 1 + world_below(w, w->opt.batch);
    size_t waiting = s->inbox_n - s->inbox_first;
    n = n < waiting ? n : waiting;
    for (size_t i = s->inbox_first; i < s->inbox_first + n; i++) {
        if (s->inbox[i].resync)
            shard_tell_streams(w, s, s->inbox[i].stream);
        else
            shard_take(w, s, &s->inbox[i]);
        free(s->inbox[i].block);
    }
    s->inbox_first += n;
    if (s->inbox_first == s->inbox_n)
        s->inbox_first = s->inbox_n = 0;
    if (core_next_due(s->core) <= gateway_now_ms(w))
        shard_step(w, s, &(struct event){.kind = EVENT_TICK});
}

static void release_sip(struct world *w, struct gateway_shard *s, size_t i)
{
    const struct effect *e = &s->fx.v[i];
    struct text bytes = effect_text(&s->fx, e);
    unsigned self = (unsigned)(s - w->gateway->shard);
    unsigned owner = SIP_PORT_IS_LISTEN(e->port) ? self : SIP_PORT_INDEX(e->port);
    inspector_sip_out(w, &s->cause[i], bytes);
    if (!gateway_ring_drops(w, self, owner, DEBT_NONE, 0))
        net_from_gateway(w, bytes, e->port, &e->to);
}

static void release_stanza(struct world *w, struct gateway_shard *s, size_t i)
{
    const struct effect *e = &s->fx.v[i];
    struct text bytes = effect_text(&s->fx, e), domain = core_domain_name(s->core, e->domain);
    unsigned self = (unsigned)(s - w->gateway->shard), stream = net_stream_of(domain);
    inspector_stanza_out(w, &s->cause[i], bytes);
    if (gateway_ring_drops(w, self, gateway_stream_home(w, stream), DEBT_STANZAS, stream))
        xmpp_lost(w, bytes);
    else
        net_stream_from_gateway(w, stream, bytes);
}

// False: it died on the way.
static bool shard_release(struct world *w, struct gateway_shard *s)
{
    struct gateway *g = w->gateway;
    size_t last = s->fx.n;
    if (g->death_in == 1 && g->death_at == DEATH_WHILE_RELEASING)
        last = world_below(w, (uint32_t)last + 1);
    for (size_t i = 0; i < last && !w->failed; i++) {
        if (s->fx.v[i].kind == EFFECT_SIP)
            release_sip(w, s, i);
        else if (s->fx.v[i].kind == EFFECT_STANZA)
            release_stanza(w, s, i);
    }
    effects_reset(&s->fx);
    return !death_comes(w, DEATH_WHILE_RELEASING);
}

// False: it died on the way.
static bool shard_commit(struct world *w, struct gateway_shard *s)
{
    struct gateway *g = w->gateway;
    bool changes = false;
    for (size_t i = 0; i < s->fx.n; i++)
        changes |= s->fx.v[i].kind == EFFECT_PUT || s->fx.v[i].kind == EFFECT_DELETE;
    if (death_comes(w, DEATH_BEFORE_COMMIT))
        return false;
    s->held = changes && (w->now_ms < g->full_until_ms ||
                          world_fault(w, FAULT_COMMIT_FAILS, w->opt.commit_fails));
    if (s->held) {
        inspector_held(w);
        return true;
    }
    unsigned index = (unsigned)(s - g->shard);
    if (g->death_in == 1 && g->death_at == DEATH_WITHIN_COMMIT)
        store_model_die_within(w, &g->store, index, &s->fx);
    if (death_comes(w, DEATH_WITHIN_COMMIT))
        return false;
    if (changes)
        store_model_commit(w, &g->store, index, &s->fx);
    return !death_comes(w, DEATH_AFTER_COMMIT);
}

static void gateway_turn(struct world *w, const struct happening *h)
{
    struct gateway *g = w->gateway;
    struct gateway_shard *s = h->who;
    unsigned shard = h->what & 255;
    if (h->what >> 8 != g->life || !g->alive || s->wake_ms != w->now_ms)
        return;
    s->wake_ms = UINT64_MAX;
    s->refuse = 0;
    if (!w->calm && w->opt.memory && world_chance(w, w->opt.memory))
        s->refuse = world_between(w, 1, GATEWAY_REFUSE_MOST);
    gateway_tell_lag(w, s);
    if (!s->held)
        shard_take_in(w, s);
    gateway_count(w, s);
    s->refuse = 0;
    if (s->fx.failed && !w->failed)
        shard_rebirth(w, shard);
    if (w->failed || !shard_commit(w, s))
        return;
    if (!s->held && !shard_release(w, s))
        return;
    if (g->death_in)
        g->death_in--;
    gateway_wake(w, shard, s->held ? w->now_ms + world_between(w, 1, 2000) : shard_due_ms(w, s));
    if (s->inbox_n && !s->held)
        gateway_wake(w, shard, w->now_ms + 1);
}

// ---- The whole

void gateway_create(struct world *w)
{
    w->gateway = calloc(1, sizeof *w->gateway);
    if (!w->gateway || sip_parser_create(&w->gateway->parser, 65536))
        abort();
    w->gateway->shards = w->opt.shards;
    gateway_settings(w);
    gateway_start(w);
}

void gateway_destroy(struct world *w)
{
    struct gateway *g = w->gateway;
    for (unsigned i = 0; i < GATEWAY_SHARDS_MAX; i++)
        shard_end(&g->shard[i]);
    store_model_free(&g->store);
    sip_parser_destroy(g->parser);
    free(g);
}
