// Shedding by a shard that works in turns: what its lag says comes late, and a commit may stall.
//
//   new work ─▶ socket ─▶ turn: what was taken before ─ new ones, for a while ─ commit ─▶ done
//                           ▲                │                                             │
//                           └── the first part is done, the second comes back later ◀──────┘
//
// Times are of microseconds, and near to what a shard of one core takes. Others may use the
// machine, too: then all takes longer or less long for a while.
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
    OLD_MOST = 8192, // of what was taken before, in a turn
    NEW_US = 30000,  // for new work in a turn
    TAKE_US = 9,     // of what is taken, at once
    LATER_US = 10,   // and when its peers have answered
    RETURN_US = 15000,
    REFUSE_US = 2,
    COMMIT_US = 1500,
    RING = 1 << 16,
    SPEED_HOLDS_US = 300000,
};

struct plant {
    struct overload o;
    uint64_t now_us, came, read, stalls_us, next_stall_us, stall_us; // stalls_us: between two
    uint64_t pieces, taken;
    double per_s;
    double swing, slow, part_us; // slow: 1 ± swing; part_us: less than one, not yet spent
    uint64_t speed_until_us, random;
    uint64_t later_first, later_end, later_us[RING]; // when what was taken comes back
    uint32_t lag_ms;
};

static uint64_t came_us(const struct plant *p, uint64_t piece)
{
    return (uint64_t)((double)piece * 1e6 / p->per_s);
}

// Another speed now and then, from 1 - swing to 1 + swing (Knuth's MMIX generator).
static void change_speed(struct plant *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    p->slow = 1 + p->swing * ((double)(p->random >> 32) / (1u << 31) - 1);
    p->speed_until_us = p->now_us + SPEED_HOLDS_US;
}

static void spend(struct plant *p, double us)
{
    if (p->now_us >= p->speed_until_us)
        change_speed(p);
    p->part_us += us * p->slow;
    p->now_us += (uint64_t)p->part_us;
    p->part_us -= (double)(uint64_t)p->part_us;
}

static void work_on_old(struct plant *p, uint64_t began_us)
{
    for (unsigned i = 0; i < OLD_MOST && p->later_first < p->later_end &&
                         p->later_us[p->later_first % RING] <= began_us;
         i++, p->later_first++)
        spend(p, LATER_US);
}

static void one_piece(struct plant *p, uint64_t now_ms)
{
    static const uint8_t key[16] = "0123456789abcdef";
    uint64_t id = ++p->pieces;
    if (!overload_admits(&p->o, 1, hash_sip(key, &id, sizeof id), TARGET_MS, now_ms)) {
        spend(p, REFUSE_US);
        return;
    }
    spend(p, TAKE_US);
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

// The plant that a row of a table asks for: so many times its capacity, with a stall of 200 ms
// every so many milliseconds (0: none), and a speed that changes by `swing`. At least `least` of
// the capacity is to be used.
struct row {
    double times, swing;
    unsigned stalls_ms;
    double least;
};

// What is taken in a second, of what could be if no more came.
static double used(const struct row *row)
{
    double capacity = 1e6 / (TAKE_US + LATER_US);
    struct plant *p = calloc(1, sizeof *p);
    p->per_s = capacity * row->times;
    p->swing = row->swing;
    p->stall_us = 200000;
    p->next_stall_us = p->stalls_us = row->stalls_ms * 1000;
    while (p->now_us < 5000000) // it finds its level
        turn(p);
    p->taken = 0;
    while (p->now_us < 45000000)
        turn(p);
    double taken = (double)p->taken / 40 / capacity;
    free(p);
    return taken;
}

static void hold(const struct row *row, size_t n)
{
    for (; n > 0; n--, row++) {
        double part = used(row);
        if (part < row->least || part > 1.01 + row->swing / 2)
            fail_msg("load %.1f, swing %.1f, 200 ms lost every %u: %.3f of the capacity used",
                     row->times, row->swing, row->stalls_ms, part);
    }
}

// The budget is steady enough, though the lag is none until it is too late.
static void capacity_is_used_though_lag_comes_late(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {1.2, 0, 0, 0.91}, {1.5, 0, 0, 0.87}, {2, 0, 0, 0.81}, {3, 0, 0, 0.68}, {5, 0, 0, 0.40}};
    hold(rows, sizeof rows / sizeof *rows);
}

// A disk that stands still for 200 ms now and then takes these from the capacity, and little more:
// a stall is no lack of it.
static void a_stall_is_soon_forgotten(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {0.8, 0, 3000, 0.77}, {1.2, 0, 3000, 0.84}, {2, 0, 3000, 0.74}, {2, 0, 1000, 0.60}};
    hold(rows, sizeof rows / sizeof *rows);
}

// A machine that is now slow, now quick: a budget learned while it was slow does not outlast that.
static void what_a_quick_machine_can_do_is_used(void **state)
{
    (void)state;
    static const struct row rows[] = {{1.2, 0.2, 0, 0.91},
                                      {2, 0.2, 0, 0.81},
                                      {1.2, 0.4, 0, 0.91},
                                      {2, 0.4, 0, 0.83},
                                      {2, 0.2, 3000, 0.73}};
    hold(rows, sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity_is_used_though_lag_comes_late),
        cmocka_unit_test(a_stall_is_soon_forgotten),
        cmocka_unit_test(what_a_quick_machine_can_do_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
