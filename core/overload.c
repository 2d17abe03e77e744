// Which new work is refused while more comes than can be done: see overload.h.
#include "core/overload.h"

#include <stddef.h>

enum { THOUSAND = 1000 };

static uint64_t budget_least(void)
{
    return (uint64_t)OVERLOAD_BUDGET_LEAST * THOUSAND;
}

// What the peer brought in the interval that has just ended, `at` being the one under way.
static uint32_t peer_last(const struct overload_peer *p, uint32_t at)
{
    if (p->at == at)
        return p->last;
    return p->at + 1 == at ? p->now : 0;
}

static struct overload_peer *peer_at(struct overload *o, uint64_t peer)
{
    struct overload_peer *p = &o->peer[peer % OVERLOAD_PEERS];
    uint32_t at = (uint32_t)o->interval;
    if (p->at != at)
        *p = (struct overload_peer){.at = at, .last = peer_last(p, at)};
    return p;
}

// One round of pouring: who brought no more than `level` is full. Returns the level that what is
// left of the budget reaches with the others.
static uint64_t pour(const struct overload *o, uint64_t level)
{
    uint64_t left = o->budget, thirsty = 0;
    for (size_t i = 0; i < OVERLOAD_PEERS; i++) {
        uint64_t brought = (uint64_t)peer_last(&o->peer[i], (uint32_t)o->interval) * THOUSAND;
        if (brought > level)
            thirsty++;
        else
            left -= brought < left ? brought : left;
    }
    return thirsty ? left / thirsty : UINT64_MAX;
}

// Each round finds some more of them full, and leaves more to the others; so few rounds are enough,
// and one too few is on the safe side.
static uint64_t fair_level(const struct overload *o)
{
    enum { ROUNDS = 8 };
    uint64_t level = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t next = pour(o, level);
        if (next == level)
            break;
        if (next == UINT64_MAX)
            return o->budget;
        level = next;
    }
    return level;
}

// By which part (in thousandths) the budget is to change: to less by a quarter at most, to more by
// a quarter below what is usual, and by little above.
static int64_t change_by(const struct overload *o, uint32_t lag_ms, uint32_t target_ms)
{
    int64_t distance = (int64_t)target_ms - lag_ms, trend = (int64_t)o->before_ms - lag_ms;
    int64_t most = THOUSAND / (o->budget < o->usual ? 4 : 32), least = -THOUSAND / 4;
    int64_t change = most * distance / target_ms + THOUSAND * trend / (4 * (int64_t)target_ms);
    if (distance < 0 && change > 0)
        return 0; // it falls, but is not there yet
    return change > most ? most : change < least ? least : change;
}

// The least that a budget falls to. A lag of a few targets may be a commit's; more is taken at its
// word.
static uint64_t budget_floor(const struct overload *o, uint32_t lag_ms, uint32_t target_ms)
{
    uint64_t least = lag_ms <= 4 * target_ms ? o->usual / 2 : o->usual / 4;
    return least > budget_least() ? least : budget_least();
}

// A mean of the last intervals, and of all since it began while these are few. What is not asked
// for tells nothing of what can be done.
static void learn_usual(struct overload *o, uint64_t used)
{
    enum { WEIGHT = 8 };
    if (!o->refused && used <= o->usual)
        return;
    o->learned += o->learned < WEIGHT;
    o->usual += used / o->learned - o->usual / o->learned;
}

// What is not used is no help when it is to be less, and no reason for more. (But what was used in
// one interval may be little because the thread had to wait for something else.)
static void follow(struct overload *o, uint32_t lag_ms, uint32_t target_ms)
{
    int64_t change = change_by(o, lag_ms, target_ms);
    uint64_t used = (uint64_t)o->taken * THOUSAND, least;
    if (o->taken + o->refused == 0)
        return;
    learn_usual(o, used);
    if (change > 0 && 2 * used < o->budget)
        return;
    if (change < 0 && 2 * used < o->budget)
        o->budget /= 2;
    else
        o->budget = o->budget * (uint64_t)(THOUSAND + change) / THOUSAND;
    if (o->budget < (least = budget_floor(o, lag_ms, target_ms)))
        o->budget = least;
}

static void begin(struct overload *o)
{
    uint32_t taken = o->taken > o->taken_before ? o->taken : o->taken_before;
    o->shedding = true;
    o->calm = 0;
    o->budget = (uint64_t)taken * THOUSAND;
    if (o->budget < budget_least())
        o->budget = budget_least();
    o->usual = o->budget;
    o->learned = 1;
}

// One interval has ended.
static void judge(struct overload *o, uint32_t target_ms)
{
    uint32_t lag_ms = o->least_ms == UINT32_MAX ? o->lag_ms : o->least_ms;
    bool over = target_ms && lag_ms > target_ms;
    if (over && !o->shedding)
        begin(o);
    if (o->shedding && target_ms)
        follow(o, lag_ms, target_ms);
    o->calm = over || o->refused ? 0 : o->calm + 1;
    if (o->calm >= OVERLOAD_CALM || !target_ms)
        o->shedding = false;
    o->before_ms = lag_ms;
    o->least_ms = UINT32_MAX;
    o->taken_before = o->taken;
    o->refused_before = o->refused;
    o->taken = o->refused = 0;
}

// Up to `now_ms`. After a long silence all that is left of the past is what the last word said.
static void roll(struct overload *o, uint32_t target_ms, uint64_t now_ms)
{
    uint64_t interval = now_ms / OVERLOAD_INTERVAL_MS;
    if (interval == o->interval)
        return;
    if (interval - o->interval > OVERLOAD_CALM + 1)
        o->interval = interval - OVERLOAD_CALM - 1;
    for (; o->interval < interval; o->interval++)
        judge(o, target_ms);
    if (o->shedding)
        o->level = fair_level(o);
}

void overload_lag(struct overload *o, uint32_t lag_ms, uint32_t target_ms, uint64_t now_ms)
{
    roll(o, target_ms, now_ms);
    o->lag_ms = lag_ms;
    if (lag_ms < o->least_ms)
        o->least_ms = lag_ms;
}

// Of `brought` pieces of one peer as many as the level are taken, by their hashes.
static bool is_within(const struct overload *o, uint64_t brought, uint64_t piece)
{
    return brought * THOUSAND <= o->level ||
           (((piece >> 32) * brought * THOUSAND) >> 32) < o->level;
}

// Whoever is let in now is served right away.
static bool has_time(const struct overload *o, uint32_t target_ms)
{
    return 4 * (uint64_t)o->lag_ms < target_ms;
}

bool overload_admits(struct overload *o, uint64_t peer, uint64_t piece, uint32_t target_ms,
                     uint64_t now_ms)
{
    roll(o, target_ms, now_ms);
    struct overload_peer *p = peer_at(o, peer);
    p->now++;
    if (!o->shedding || has_time(o, target_ms) ||
        is_within(o, p->now > p->last ? p->now : p->last, piece)) {
        o->taken++;
        return true;
    }
    o->refused++;
    return false;
}

uint32_t overload_retry_after_s(uint64_t piece)
{
    return OVERLOAD_RETRY_LEAST_S +
           (uint32_t)(piece % (OVERLOAD_RETRY_MOST_S - OVERLOAD_RETRY_LEAST_S + 1));
}

uint32_t overload_share(const struct overload *o)
{
    uint64_t all = (uint64_t)o->taken_before + o->refused_before;
    return all ? (uint32_t)(o->refused_before * (uint64_t)THOUSAND / all) : 0;
}
