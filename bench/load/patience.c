// Waiting for what is under way, and giving up in time.
#include "bench/load/patience.h"

enum {
    PATIENCE_US = 40000000,
    PATIENCE_TURN_US = 100000,
    PATIENCE_ASK_US = 2000000, // when nothing has moved for so long, and again
};

static uint64_t patience_over(const struct load *l, unsigned kinds)
{
    uint64_t over = 0;
    for (unsigned k = 0; k < LOAD_KINDS; k++) {
        const struct load_figure *f = load_figure(l, (enum load_kind)k);
        if (kinds & PATIENCE_OF(k))
            over += f->done + f->refused + f->given_up + f->overtaken;
    }
    return over;
}

struct patience patience_begin(const struct load *l, unsigned kinds)
{
    uint64_t now_us = load_now_us();
    return (struct patience){kinds, patience_over(l, kinds), now_us, now_us};
}

bool patience_lasts(struct patience *p, struct load *l)
{
    uint64_t over = patience_over(l, p->kinds), now_us = load_now_us();
    if (over != p->over)
        *p = (struct patience){p->kinds, over, now_us, now_us};
    if (now_us - p->moved_us < PATIENCE_TURN_US)
        return true;
    if (now_us - p->moved_us >= PATIENCE_US || !load_alive(l, NULL))
        return false;
    if (now_us - p->asked_us < PATIENCE_ASK_US)
        return true;
    p->asked_us = now_us;
    return !load_store_fails(l, NULL);
}

uint64_t patience_under_way(const struct load *l, unsigned kinds)
{
    uint64_t n = 0;
    for (unsigned k = 0; k < LOAD_KINDS; k++)
        if (kinds & PATIENCE_OF(k))
            n += load_under_way(l, (enum load_kind)k);
    return n;
}

bool patience_wait(struct load *l, unsigned kinds, uint64_t most)
{
    if (patience_under_way(l, kinds) <= most)
        return true;
    struct patience p = patience_begin(l, kinds);
    while (patience_under_way(l, kinds) > most) {
        load_play(l, PATIENCE_TURN_US);
        if (!patience_lasts(&p, l))
            return false;
    }
    return true;
}
