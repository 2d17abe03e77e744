// Shedding: how much new work is taken above capacity, and whose.
//
//   peers ─ so many pieces a second ─▶ admits? ─ yes ─▶ queue ─ so many a second ─▶ done
//                                        ▲                │
//                                        └── its wait ◀───┘
//
// A server of known capacity is played in steps of 10 ms; a refusal costs it a part of a piece.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/hash.h"
#include "core/overload.h"

enum { TARGET_MS = 50, PEERS_MAX = 40, STEP_MS = 10 };

struct world {
    struct overload o;
    uint64_t now_ms, n_pieces;
    double capacity, queue, refusal_cost; // pieces per second; pieces; of a piece
    struct peer {
        double per_s, owes;
        uint64_t offered, taken;
    } peer[PEERS_MAX];
    double done;
};

static uint64_t hash_of(uint64_t x)
{
    static const uint8_t key[16] = "0123456789abcdef";
    return hash_sip(key, &x, sizeof x);
}

static void world_begin(struct world *w, double capacity)
{
    memset(w, 0, sizeof *w);
    w->now_ms = 1700000000000;
    w->capacity = capacity;
    w->refusal_cost = 0.08;
}

static void one_piece(struct world *w, unsigned i)
{
    bool taken =
        overload_admits(&w->o, hash_of(i), hash_of(++w->n_pieces << 8), TARGET_MS, w->now_ms);
    w->peer[i].offered++;
    w->peer[i].taken += taken;
    w->queue += taken ? 1 : w->refusal_cost;
}

static void step(struct world *w)
{
    w->now_ms += STEP_MS;
    overload_lag(&w->o, (uint32_t)(w->queue / w->capacity * 1000), TARGET_MS, w->now_ms);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (w->peer[i].owes += w->peer[i].per_s * STEP_MS / 1000; w->peer[i].owes >= 1;
             w->peer[i].owes--)
            one_piece(w, i);
    double done = w->capacity * STEP_MS / 1000;
    done = done < w->queue ? done : w->queue;
    w->queue -= done;
    w->done += done;
}

// The figures are those of these seconds.
static void run_s(struct world *w, unsigned seconds)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        w->peer[i].offered = w->peer[i].taken = 0;
    for (unsigned i = 0; i < seconds * 1000 / STEP_MS; i++)
        step(w);
}

static uint64_t taken(const struct world *w)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        n += w->peer[i].taken;
    return n;
}

static uint64_t offered(const struct world *w)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        n += w->peer[i].offered;
    return n;
}

// Up to the capacity nothing is refused, however long.
static void nothing_is_refused_below_capacity(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 4900;
    run_s(&w, 30);
    assert_int_equal(taken(&w), offered(&w));
    assert_false(w.o.shedding);
}

// Above it, the capacity goes on being used, and the wait stays about the target: of what is
// offered, times the capacity.
static void capacity_is_used_at_any_load(void **state)
{
    (void)state;
    static const struct {
        double capacity, times, least; // at least so much of the capacity is spent on what is taken
    } row[] = {
        {5000, 1.2, 0.88}, {5000, 1.5, 0.85}, {5000, 2, 0.80},  {5000, 3, 0.72},  {5000, 5, 0.55},
        {300, 2, 0.80},    {1000, 2, 0.80},   {30000, 2, 0.80}, {30000, 3, 0.72},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world w;
        world_begin(&w, row[i].capacity);
        w.peer[0].per_s = row[i].capacity * row[i].times;
        run_s(&w, 5); // it finds its level
        run_s(&w, 20);
        double used = (double)taken(&w) / 20 / row[i].capacity;
        double wait_ms = w.queue / w.capacity * 1000;
        if (used < row[i].least || used > 1.01 || wait_ms > 3 * TARGET_MS)
            fail_msg("capacity %.0f, load %.1f: %.2f of it used, wait %.0f ms", row[i].capacity,
                     row[i].times, used, wait_ms);
    }
}

// A burst that comes and goes is taken whole: a queue of less than an interval is no overload.
static void a_burst_is_no_overload(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    for (int i = 0; i < 400; i++) // 80 ms of work
        one_piece(&w, 0);
    run_s(&w, 2);
    assert_false(w.o.shedding);
    assert_int_equal(w.o.refused_before, 0);
}

// It ends a while after there was a reason for it.
static void shedding_ends(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 10000;
    run_s(&w, 5);
    assert_true(w.o.shedding);
    assert_true(overload_share(&w.o) > 300);
    w.peer[0].per_s = 2000;
    run_s(&w, 1);
    assert_true(w.o.shedding);
    run_s(&w, 6);
    assert_int_equal(taken(&w), offered(&w));
    assert_false(w.o.shedding);
    assert_int_equal(overload_share(&w.o), 0);
}

// However small the budget has become: while nothing waits, nothing is refused.
static void what_need_not_wait_is_taken(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 20000;
    run_s(&w, 5);
    assert_true(w.o.shedding);
    w.o.budget = w.o.level = 1000; // one in an interval
    overload_lag(&w.o, (TARGET_MS + 3) / 4, TARGET_MS, w.now_ms);
    w.peer[0] = (struct peer){0};
    for (unsigned i = 0; i < 100; i++)
        one_piece(&w, 0);
    assert_true(w.peer[0].taken < 10);
    overload_lag(&w.o, (TARGET_MS - 1) / 4, TARGET_MS, w.now_ms);
    w.peer[0] = (struct peer){0};
    for (unsigned i = 0; i < 100; i++)
        one_piece(&w, 0);
    assert_int_equal(w.peer[0].taken, 100);
}

// Nothing at all comes for a minute: the past does not count then.
static void silence_ends_it(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 10000;
    run_s(&w, 5);
    overload_lag(&w.o, 0, TARGET_MS, w.now_ms += 10);
    overload_lag(&w.o, 0, TARGET_MS, w.now_ms += 60000);
    assert_false(w.o.shedding);
}

// One floods, others bring little: theirs is taken, all of it.
static void who_is_quiet_is_taken(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 15000;
    for (unsigned i = 1; i < 10; i++)
        w.peer[i].per_s = 5 * i;
    run_s(&w, 5);
    run_s(&w, 20);
    for (unsigned i = 1; i < 10; i++)
        assert_int_equal(w.peer[i].taken, w.peer[i].offered);
    assert_true(w.peer[0].taken > 20 * 5000 * 0.65);
}

// Who comes in the midst of it has his share at once.
static void who_comes_late_is_taken(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 15000;
    run_s(&w, 5);
    w.peer[1].per_s = 50;
    run_s(&w, 3);
    assert_int_equal(w.peer[1].taken, w.peer[1].offered);
}

// Two who bring different loads, both too much: the same is taken of both.
static void the_greedy_share_alike(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 15000;
    w.peer[1].per_s = 5000;
    run_s(&w, 5);
    run_s(&w, 20);
    double a = (double)w.peer[0].taken, b = (double)w.peer[1].taken;
    assert_true(a / b > 0.9 && a / b < 1.1);
}

// All together are too many, each for himself being quiet: then each has a part.
static void extreme_overload_takes_a_part_of_all(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 1000);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        w.peer[i].per_s = 75;
    run_s(&w, 5);
    run_s(&w, 20);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        assert_true(w.peer[i].taken > 200 && w.peer[i].taken < 900);
}

// The lag is of another kind: no refusal helps, and none locks everybody out.
static void some_are_taken_whatever_the_lag(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 1000;
    for (int i = 0; i < 1000; i++) {
        w.queue = 5000; // a second's wait, always
        step(&w);
    }
    double per_s = (double)w.peer[0].taken / 10;
    assert_true(per_s > 0.8 * 1000 * OVERLOAD_BUDGET_LEAST / OVERLOAD_INTERVAL_MS);
    assert_true(per_s < 300);
}

// What is sent again is refused again, and told the same time; it needs no memory.
static void the_same_piece_has_the_same_answer(void **state)
{
    (void)state;
    struct world w;
    unsigned refused = 0, times = 0;
    uint64_t seen = 0;
    world_begin(&w, 5000);
    w.peer[0].per_s = 20000;
    run_s(&w, 5);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t piece = hash_of(i << 40);
        bool first = overload_admits(&w.o, hash_of(0), piece, TARGET_MS, w.now_ms);
        bool second = overload_admits(&w.o, hash_of(0), piece, TARGET_MS, w.now_ms + 1);
        assert_int_equal(first, second);
        refused += !first;
        uint32_t after_s = overload_retry_after_s(piece);
        assert_in_range(after_s, OVERLOAD_RETRY_LEAST_S, OVERLOAD_RETRY_MOST_S);
        times += !(seen >> after_s & 1);
        seen |= 1ull << after_s;
    }
    assert_true(refused > 100);
    assert_true(times > 20); // and not all come back at once
}

// lag_ms = 0
static void it_can_be_left_out(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    for (int i = 0; i < 300; i++) {
        overload_lag(&w.o, 10000, 0, w.now_ms += 10);
        assert_true(overload_admits(&w.o, 1, 0xffffffffffffffff, 0, w.now_ms));
    }
}

// The thread stood still (a slow disk) while much came: the budget survives it.
static void standing_still_is_survived(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 5000);
    w.peer[0].per_s = 10000;
    run_s(&w, 5);
    uint64_t before = w.o.budget;
    w.now_ms += 500;
    overload_lag(&w.o, 200, TARGET_MS, w.now_ms);
    assert_true(w.o.budget > before / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_refused_below_capacity),
        cmocka_unit_test(capacity_is_used_at_any_load),
        cmocka_unit_test(a_burst_is_no_overload),
        cmocka_unit_test(shedding_ends),
        cmocka_unit_test(what_need_not_wait_is_taken),
        cmocka_unit_test(silence_ends_it),
        cmocka_unit_test(who_is_quiet_is_taken),
        cmocka_unit_test(who_comes_late_is_taken),
        cmocka_unit_test(the_greedy_share_alike),
        cmocka_unit_test(extreme_overload_takes_a_part_of_all),
        cmocka_unit_test(some_are_taken_whatever_the_lag),
        cmocka_unit_test(the_same_piece_has_the_same_answer),
        cmocka_unit_test(it_can_be_left_out),
        cmocka_unit_test(standing_still_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
