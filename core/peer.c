// The addresses that requests go to: counted while in use, remembered for a while when they failed.
#include "core/peer.h"

#include <assert.h>

static uint32_t peer_hash(const struct core *c, const struct hop *hop)
{
    return (uint32_t)hash_sip(c->cfg.key, hop, sizeof *hop);
}

static uint32_t peer_seek(const struct core *c, const struct hop *hop, uint32_t hash)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->peer_index, hash, &handle); handle;
         at = table_next(&c->peer_index, hash, at, &handle))
        if (hop_eq(&core_peer(c, handle)->hop, hop))
            return handle;
    return 0;
}

uint32_t peer_find(const struct core *c, const struct hop *hop)
{
    return peer_seek(c, hop, peer_hash(c, hop));
}

// Finds or adds. 0: no memory. With a proxy it is the same one as last time, nearly always.
static uint32_t peer_get(struct core *c, const struct hop *hop)
{
    if (c->last_peer && hop_eq(&core_peer(c, c->last_peer)->hop, hop))
        return c->last_peer;
    uint32_t hash = peer_hash(c, hop), handle = peer_seek(c, hop, hash);
    if (handle)
        return c->last_peer = handle;
    handle = pool_take(&c->peers);
    if (!handle)
        return 0;
    struct peer *p = core_peer(c, handle);
    p->hash = hash;
    p->hop = *hop;
    if (!table_add(&c->peer_index, hash, handle)) {
        pool_give(&c->peers, handle);
        return 0;
    }
    return c->last_peer = handle;
}

static void peer_forget_unused(struct core *c, uint32_t handle)
{
    struct peer *p = core_peer(c, handle);
    if (p->in_flight || p->timer)
        return;
    if (c->last_peer == handle)
        c->last_peer = 0;
    table_remove(&c->peer_index, p->hash, handle);
    pool_give(&c->peers, handle);
}

uint32_t peer_enter(struct core *c, const struct hop *hop)
{
    uint32_t handle = peer_get(c, hop);
    if (handle)
        core_peer(c, handle)->in_flight++;
    return handle;
}

void peer_leave(struct core *c, uint32_t handle)
{
    struct peer *p = core_peer(c, handle);
    assert(p->in_flight);
    p->in_flight--;
    peer_forget_unused(c, handle);
}

static uint64_t peer_memory_ends_ms(const struct peer *p)
{
    return p->dead_until_ms > p->udp_only_until_ms ? p->dead_until_ms : p->udp_only_until_ms;
}

// Keeps what was just noted of it until then; without a timer it is forgotten at once.
static void peer_remember(struct core *c, uint32_t handle)
{
    struct peer *p = core_peer(c, handle);
    if (p->timer || c->n_remembered == PEER_REMEMBERED_MAX)
        return;
    p->timer = wheel_add(&c->wheel, peer_memory_ends_ms(p), TIMER_PEER, handle);
    c->n_remembered += p->timer != 0;
}

void peer_due(struct core *c, uint32_t handle)
{
    struct peer *p = core_peer(c, handle);
    p->timer = 0;
    c->n_remembered--;
    if (peer_memory_ends_ms(p) > c->now_ms)
        peer_remember(c, handle);
    peer_forget_unused(c, handle);
}

void peer_died(struct core *c, const struct hop *hop, uint64_t for_ms)
{
    uint32_t handle = peer_get(c, hop);
    if (!handle)
        return;
    core_peer(c, handle)->dead_until_ms = c->now_ms + for_ms;
    peer_remember(c, handle);
    peer_forget_unused(c, handle);
}

bool peer_is_dead(const struct core *c, const struct hop *hop)
{
    uint32_t handle = peer_find(c, hop);
    return handle && core_peer(c, handle)->dead_until_ms > c->now_ms;
}

void peer_refused_tcp(struct core *c, const struct hop *hop)
{
    uint32_t handle = peer_get(c, hop);
    if (!handle)
        return;
    core_peer(c, handle)->udp_only_until_ms = c->now_ms + PEER_UDP_ONLY_MS;
    peer_remember(c, handle);
    peer_forget_unused(c, handle);
}

bool peer_is_udp_only(const struct core *c, const struct hop *hop)
{
    uint32_t handle = peer_find(c, hop);
    return handle && core_peer(c, handle)->udp_only_until_ms > c->now_ms;
}
