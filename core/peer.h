// The addresses that requests go to: how many are under way there, and what went wrong of late.
//
// An address is known while a request is in flight to it, or something about it is remembered. What
// is remembered has an end, and a limit.
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include "core/state.h"

enum {
    PEER_DEAD_MS = 60000,       // who did not answer is passed over for so long, while others live
    PEER_UDP_ONLY_MS = 600000,  // who refused TCP gets big requests over UDP for so long
    PEER_REMEMBERED_MAX = 4096, // addresses of a shard; of more nothing is remembered
};

// One more request in flight. 0: no memory.
uint32_t peer_enter(struct core *c, const struct hop *hop);
void peer_leave(struct core *c, uint32_t handle);
// 0: nothing is in flight there, and nothing remembered.
uint32_t peer_find(const struct core *c, const struct hop *hop);
static inline struct peer *core_peer(const struct core *c, uint32_t handle)
{
    return pool_at(&c->peers, handle);
}

// It did not answer, or said that it can't serve for `for_ms`.
void peer_died(struct core *c, const struct hop *hop, uint64_t for_ms);
bool peer_is_dead(const struct core *c, const struct hop *hop);
// It has answered.
static inline void peer_lives(struct core *c, uint32_t handle)
{
    core_peer(c, handle)->dead_until_ms = 0;
}
// A UDP hop of which TCP was tried in vain (RFC 3261 §18.1.1).
void peer_refused_tcp(struct core *c, const struct hop *hop);
bool peer_is_udp_only(const struct core *c, const struct hop *hop);
// TIMER_PEER.
void peer_due(struct core *c, uint32_t handle);

#endif
