// The honest users: what they do in each second, and how it goes for them.
#include "honest.h"

#include <string.h>

#include "bench/load/patience.h"

enum { SETTLE_AT_ONCE = 50 };

static bool begin_all(struct load *l, enum load_kind kind)
{
    for (unsigned i = 0; i < HONEST_PAIRS; i++) {
        if (!patience_wait(l, PATIENCE_OF(kind), SETTLE_AT_ONCE - 1))
            return false;
        load_begin(l, kind, i, 0);
    }
    return patience_wait(l, PATIENCE_OF(kind), 0) && load_figure(l, kind)->done == HONEST_PAIRS;
}

bool honest_settle(struct honest *h, struct load *l)
{
    *h = (struct honest){.load = l};
    bool all = begin_all(l, LOAD_WATCH) && begin_all(l, LOAD_SERVE);
    load_figures_reset(l);
    return all;
}

void honest_pause(struct honest *h)
{
    h->began_us = 0;
}

// The pairs that come and go follow those that stay. Who comes is gone again half a round later.
static unsigned next_pair(struct honest *h, enum load_kind kind)
{
    unsigned i = h->next[kind]++;
    switch (kind) {
    case LOAD_WATCH:
    case LOAD_SERVE: return HONEST_PAIRS + i % HONEST_CHURN;
    case LOAD_UNWATCH:
    case LOAD_UNSERVE: return HONEST_PAIRS + (i + HONEST_CHURN / 2) % HONEST_CHURN;
    default: return i % HONEST_PAIRS;
    }
}

static bool makes_sense(const struct honest *h, enum load_kind kind, unsigned i)
{
    if (kind == LOAD_UNWATCH || kind == LOAD_UNSERVE)
        return load_pair(h->load, kind == LOAD_UNWATCH ? LOAD_WATCH : LOAD_SERVE, i)->told;
    return true;
}

static void begin_due(struct honest *h, enum load_kind kind, unsigned per_s, uint64_t now_us)
{
    while (h->said[kind] * 1000000u / per_s <= now_us - h->began_us) {
        unsigned i = next_pair(h, kind);
        if (makes_sense(h, kind, i))
            load_begin(h->load, kind, i, h->began_us + h->said[kind] * 1000000u / per_s);
        h->said[kind]++;
    }
}

void honest_play(struct honest *h, uint64_t wait_us)
{
    uint64_t now_us = load_now_us();
    if (!h->began_us) {
        h->began_us = now_us;
        memset(h->said, 0, sizeof h->said);
    }
    begin_due(h, LOAD_PRESENCE, HONEST_PRESENCE, now_us);
    begin_due(h, LOAD_NOTIFY, HONEST_PRESENCE, now_us);
    begin_due(h, LOAD_REFRESH, HONEST_REFRESHES, now_us);
    begin_due(h, LOAD_UNWATCH, HONEST_SETUPS, now_us);
    begin_due(h, LOAD_UNSERVE, HONEST_SETUPS, now_us);
    begin_due(h, LOAD_WATCH, HONEST_SETUPS, now_us);
    begin_due(h, LOAD_SERVE, HONEST_SETUPS, now_us);
    load_play(h->load, wait_us);
}

static bool is_under_way(const struct honest *h)
{
    for (int k = 0; k < LOAD_KINDS; k++)
        if (load_under_way(h->load, (enum load_kind)k))
            return true;
    return false;
}

void honest_finish(struct honest *h, unsigned patience_ms)
{
    uint64_t end_us = load_now_us() + patience_ms * 1000ull;
    while (is_under_way(h) && load_now_us() < end_us)
        load_play(h->load, 1000);
    honest_pause(h);
}

void honest_take(struct honest *h, struct honest_figure *out)
{
    memset(out, 0, sizeof *out);
    for (int k = 0; k < LOAD_KINDS; k++) {
        const struct load_figure *f = load_figure(h->load, (enum load_kind)k);
        out->begun += f->begun;
        out->done += f->done;
        if (k == LOAD_WATCH || k == LOAD_SERVE) {
            out->setups_begun += f->begun;
            out->setups_done += f->done;
        }
        histogram_merge(&out->latency_us, &f->latency_us);
    }
    load_figures_reset(h->load);
}
