// Pairs set up, round by round, each for those that the one before has left over.
#include "bench/load/settle.h"

enum {
    SETTLE_AT_ONCE = 256,
    SETTLE_SAY_EVERY = 16,
    SETTLE_ROUNDS = 12,
    SETTLE_REST_US = 1000000,
    SETTLE_PATIENCE_US = 40000000,
};

static bool settle_is_there(const struct load *l, enum load_kind direction, unsigned i)
{
    const struct load_pair *pair = load_pair(l, direction, i);
    return pair->told && pair->live;
}

// False: nothing moves any more.
static bool settle_wait(struct load *l, enum load_kind direction, uint64_t most)
{
    uint64_t end_us = load_now_us() + SETTLE_PATIENCE_US;
    while (load_under_way(l, direction) > most) {
        if (load_now_us() > end_us)
            return false;
        load_play(l, 1000);
    }
    return true;
}

// Those that are not there are asked for once.
static void settle_round(struct load *l, enum load_kind direction, unsigned n, unsigned at_once)
{
    unsigned asked = 0;
    for (unsigned i = 0; i < n && settle_wait(l, direction, at_once - 1); i++) {
        if (settle_is_there(l, direction, i))
            continue;
        load_begin(l, direction, i, 0);
        if (++asked % SETTLE_SAY_EVERY == 0)
            load_play(l, 0);
    }
    settle_wait(l, direction, 0);
}

bool settle(struct load *l, enum load_kind direction, unsigned n)
{
    unsigned at_once = SETTLE_AT_ONCE, left = n;
    for (unsigned round = 0; round < SETTLE_ROUNDS && left; round++) {
        if (round)
            load_play_until(l, load_now_us() + SETTLE_REST_US);
        settle_round(l, direction, n, at_once);
        at_once = at_once > 16 ? at_once / 2 : at_once;
        left = 0;
        for (unsigned i = 0; i < n; i++)
            left += !settle_is_there(l, direction, i);
    }
    load_figures_reset(l);
    return !left;
}
