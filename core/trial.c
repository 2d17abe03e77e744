// The places that one request may go to, in their order.
#include "core/trial.h"

#include <stdlib.h>

#include "core/peer.h"
#include "core/wire/memory.h"

struct trial *trial_create(struct core *c, const struct next_hop *to)
{
    struct trial *t = memory_take_zeroed(1, sizeof *t);
    if (!t)
        return NULL;
    t->name = to->name;
    if (to->name) {
        ((struct name *)pool_at(&c->names, to->name))->users++;
    } else {
        t->loaded = true;
        t->n = to->hop.family != 0;
        t->hops[0] = to->hop;
    }
    return t;
}

void trial_free(struct core *c, struct trial *t)
{
    if (!t)
        return;
    if (t->name)
        next_hop_leave(c, t->name);
    free(t->last);
    free(t);
}

void trial_load(struct core *c, struct trial *t)
{
    t->n = (uint8_t)next_hop_targets(c, t->name, t->hops);
    t->tried = 0;
    t->loaded = true;
}

static int trial_pick(const struct core *c, const struct trial *t)
{
    int dead = -1;
    for (int i = 0; i < t->n; i++) {
        if (t->tried & 1u << i)
            continue;
        if (!peer_is_dead(c, &t->hops[i]))
            return i;
        if (dead < 0)
            dead = i;
    }
    return dead;
}

static bool trial_wants_tcp(const struct core *c, const struct hop *hop, size_t n)
{
    return hop->transport == HOP_UDP && n > TRIAL_DATAGRAM_MAX && !peer_is_udp_only(c, hop);
}

bool trial_next(struct core *c, struct trial *t, size_t n, struct hop *out)
{
    if (t->over_tcp) { // the same place as it asked for in the first place
        t->over_tcp = false;
        *out = t->hops[t->at];
        return true;
    }
    int at = trial_pick(c, t);
    if (at < 0)
        return false;
    if (t->tried)
        c->stats.failovers++;
    t->at = (uint8_t)at;
    t->tried |= (uint16_t)(1u << at);
    *out = t->hops[at];
    t->over_tcp = trial_wants_tcp(c, out, n);
    if (t->over_tcp) {
        out->transport = HOP_TCP;
        c->stats.tcp_switches++;
    }
    return true;
}

unsigned trial_left(const struct trial *t)
{
    unsigned left = t->over_tcp;
    for (unsigned i = 0; i < t->n; i++)
        left += !(t->tried & 1u << i);
    return left;
}

void trial_failed(struct core *c, struct trial *t, uint64_t for_ms)
{
    if (t->over_tcp)
        peer_refused_tcp(c, &t->hops[t->at]);
    else if (t->name)
        peer_died(c, &t->hops[t->at], for_ms);
}

void trial_rewind(struct trial *t)
{
    t->tried = 0;
    t->loaded = !t->name;
}
