// Rings that take nothing for a while, with all of the backlog before them: what is sent meanwhile
// is dropped. Its sender pays what it owes once there is room in all of them, with its heartbeat,
// and less and less often while it goes on owing.
#include "gateway_rings.h"

enum { FULL_MOST_MS = 3000, HEARTBEAT_MS = 1000, PAY_MS = 1000, PAY_MOST_MS = 8000 };

unsigned gateway_stream_home(const struct world *w, unsigned stream)
{
    return stream % w->gateway->shards;
}

static bool is_congested(const struct world *w, const struct gateway_rings *r)
{
    for (unsigned to = 0; to < GATEWAY_SHARDS_MAX; to++)
        if (w->now_ms < r->full_until_ms[to])
            return true;
    return false;
}

// As shards/shard_owed.c has it.
static uint32_t pause_after(const struct gateway_rings *r, uint64_t now_ms)
{
    uint32_t twice_ms = 2 * r->pause_ms;
    if (now_ms >= r->pay_ms + r->pause_ms)
        return PAY_MS;
    return twice_ms < PAY_MOST_MS ? twice_ms : PAY_MOST_MS;
}

static void pay(struct world *w, unsigned from)
{
    struct gateway *g = w->gateway;
    struct gateway_rings *r = &g->shard[from].rings;
    for (unsigned i = 0; i < GATEWAY_STREAMS; i++) {
        if (r->stanzas[i])
            gateway_owes_resync(w, from, i);
        for (unsigned to = 0; to < g->shards; to++)
            if (r->told[i][to])
                gateway_tell_stream(w, to, i);
    }
    for (unsigned to = 0; to < g->shards; to++)
        if (r->missed[to])
            gateway_owes_resync(w, to, GATEWAY_STREAMS);
    uint32_t pause_ms = pause_after(r, w->now_ms);
    *r = (struct gateway_rings){.pay_ms = w->now_ms + pause_ms, .pause_ms = pause_ms};
}

// Until it does, or its process has died: what that owed, the next one's resync pays.
static void heartbeat(struct world *w, const struct happening *h)
{
    struct gateway *g = w->gateway;
    unsigned from = h->what & 255;
    if (!g->alive || h->what >> 8 != g->life)
        return;
    const struct gateway_rings *r = &g->shard[from].rings;
    if (g->shard[from].held || w->now_ms < r->pay_ms || is_congested(w, r))
        world_in(w, HEARTBEAT_MS, heartbeat, NULL, h->what);
    else
        pay(w, from);
}

static bool is_full(struct world *w, uint64_t *until_ms)
{
    if (w->now_ms < *until_ms)
        return true;
    if (!world_fault(w, FAULT_RING_FULL, w->opt.rings))
        return false;
    *until_ms = w->now_ms + world_between(w, 1, FULL_MOST_MS);
    return true;
}

bool gateway_ring_drops(struct world *w, unsigned from, unsigned to, enum gateway_debt debt,
                        unsigned stream)
{
    struct gateway_rings *r = &w->gateway->shard[from].rings;
    if (from == to || !w->opt.rings || !is_full(w, &r->full_until_ms[to]))
        return false;
    w->faults[FAULT_RING_DROPPED]++;
    world_note(w, "     (dropped between shards %u and %u)", from, to);
    r->missed[to] |= debt == DEBT_CORE;
    r->stanzas[stream] |= debt == DEBT_STANZAS;
    r->told[stream][to] |= debt == DEBT_STREAM;
    if (debt != DEBT_NONE && !r->owing)
        world_in(w, world_below(w, HEARTBEAT_MS), heartbeat, NULL, w->gateway->life << 8 | from);
    r->owing |= debt != DEBT_NONE;
    return true;
}
