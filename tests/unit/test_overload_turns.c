// Shedding by a shard that works in turns: what its lag says comes late, and a commit may stall.
//
//   new work ─▶ socket ─▶ turn: what was taken before ─ new ones, for a while ─ commit ─▶ done
//                           ▲                │                                             │
//                           └── the first part is done, the second comes back later ◀──────┘
//
// Times are of microseconds, and near to what a shard of one core takes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/hash.h"
#include "core/overload.h"

enum {
    TARGET_MS = 50,
    BATCH = 64,
    BATCHES = 64,
    OLD_MOST = 1024, // of what was taken before, in a turn
    NEW_US = 30000,  // for new work in a turn
    TAKE_US = 40,    // of what is taken, at once
    LATER_US = 45,   // and when its peers have answered
    RETURN_US = 15000,
    REFUSE_US = 6,
    COMMIT_US = 1500,
    RING = 1 << 16,
};

struct plant {
    struct overload o;
    uint64_t now_us, came, read, stalls_us, next_stall_us, stall_us; // stalls_us: between two
    uint64_t pieces, taken;
    double per_s;
    uint64_t later_first, later_end, later_us[RING]; // when what was taken comes back
    uint32_t lag_ms;
};

static uint64_t came_us(const struct plant *p, uint64_t piece)
{
    return (uint64_t)((double)piece * 1e6 / p->per_s);
}

static void work_on_old(struct plant *p, uint64_t began_us)
{
    for (unsigned i = 0; i < OLD_MOST && p->later_first < p->later_end &&
                         p->later_us[p->later_first % RING] <= began_us;
         i++, p->later_first++)
        p->now_us += LATER_US;
}

static void one_piece(struct plant *p, uint64_t now_ms)
{
    static const uint8_t key[16] = "0123456789abcdef";
    uint64_t id = ++p->pieces;
    if (!overload_admits(&p->o, 1, hash_sip(key, &id, sizeof id), TARGET_MS, now_ms)) {
        p->now_us += REFUSE_US;
        return;
    }
    p->now_us += TAKE_US;
    p->taken++;
    assert_true(p->later_end - p->later_first < RING);
    p->later_us[p->later_end++ % RING] = UINT64_MAX;
}

// True: there is more.
static bool one_batch(struct plant *p, uint64_t now_ms)
{
    uint64_t waited_us = p->now_us - came_us(p, p->read);
    for (unsigned i = 0; i < BATCH; i++, p->read++) {
        if (came_us(p, p->read) > p->now_us)
            return false;
        one_piece(p, now_ms);
    }
    p->lag_ms = (uint32_t)(waited_us / 1000);
    return true;
}

static void commit(struct plant *p, uint64_t taken_from)
{
    p->now_us += COMMIT_US;
    if (p->stalls_us && p->now_us >= p->next_stall_us) {
        p->now_us += p->stall_us;
        p->next_stall_us = p->now_us + p->stalls_us;
    }
    for (uint64_t i = taken_from; i < p->later_end; i++)
        p->later_us[i % RING] = p->now_us + RETURN_US;
}

static void turn(struct plant *p)
{
    uint64_t began_us = p->now_us, now_ms = 1700000000000 + began_us / 1000, from = p->later_end;
    bool more = true;
    overload_lag(&p->o, p->lag_ms, TARGET_MS, now_ms);
    work_on_old(p, began_us);
    for (unsigned i = 0; more && i < BATCHES && p->now_us - began_us <= NEW_US; i++)
        more = one_batch(p, now_ms);
    if (!more)
        p->lag_ms = 0;
    commit(p, from);
}

// What is taken in a second, of what could be if no more came.
static double used(double times, unsigned stall_ms, unsigned stalls_ms)
{
    double capacity = 1e6 / (TAKE_US + LATER_US);
    struct plant *p = calloc(1, sizeof *p);
    p->per_s = capacity * times;
    p->stall_us = stall_ms * 1000;
    p->next_stall_us = p->stalls_us = stalls_ms * 1000;
    while (p->now_us < 5000000) // it finds its level
        turn(p);
    p->taken = 0;
    while (p->now_us < 25000000)
        turn(p);
    double taken = (double)p->taken / 20 / capacity;
    free(p);
    return taken;
}

// The budget is steady enough, though the lag is none until it is too late.
static void capacity_is_used_though_lag_comes_late(void **state)
{
    (void)state;
    static const struct {
        double times, least;
    } row[] = {{1.5, 0.83}, {2, 0.80}, {3, 0.72}, {5, 0.60}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double part = used(row[i].times, 0, 0);
        if (part < row[i].least || part > 1.01)
            fail_msg("load %.1f: %.2f of the capacity used", row[i].times, part);
    }
}

// A disk that stands still for 200 ms now and then takes these from the capacity, and little more:
// a stall is no lack of it.
static void a_stall_is_soon_forgotten(void **state)
{
    (void)state;
    static const struct {
        double times;
        unsigned stalls_ms;
        double least;
    } row[] = {{0.8, 3000, 0.77}, {1.2, 3000, 0.80}, {2, 3000, 0.70}, {2, 1000, 0.50}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double part = used(row[i].times, 200, row[i].stalls_ms);
        if (part < row[i].least)
            fail_msg("load %.1f, 200 ms lost every %u: %.2f of the capacity used", row[i].times,
                     row[i].stalls_ms, part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity_is_used_though_lag_comes_late),
        cmocka_unit_test(a_stall_is_soon_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
