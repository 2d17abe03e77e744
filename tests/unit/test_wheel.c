// The timing wheel against a plain list of timers: never early, hardly late, none lost.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/hash.h"
#include "core/wheel.h"

enum { TIMERS_MAX = 400 };
#define DAY_MS (24 * 3600 * UINT64_C(1000))
#define START  UINT64_C(1700000000003)

struct model {
    struct {
        uint64_t due_ms;
        uint32_t handle; // 0: not set
    } v[TIMERS_MAX];
    uint32_t n;
};

static uint64_t model_soonest(const struct model *m)
{
    uint64_t soonest = UINT64_MAX;
    for (uint32_t i = 0; i < TIMERS_MAX; i++)
        if (m->v[i].handle && m->v[i].due_ms < soonest)
            soonest = m->v[i].due_ms;
    return soonest;
}

// All that fires at `now_ms` is due, and what is due by a whole tick has fired.
static void pop_all(struct wheel *w, struct model *m, uint64_t now_ms)
{
    uint8_t kind;
    uint32_t owner;
    while (wheel_pop(w, now_ms, &kind, &owner)) {
        assert_true(owner < TIMERS_MAX && m->v[owner].handle);
        assert_int_equal(kind, owner % 200);
        assert_true(m->v[owner].due_ms <= now_ms);
        m->v[owner].handle = 0;
        m->n--;
    }
    uint64_t soonest = model_soonest(m);
    assert_true(soonest == UINT64_MAX || soonest + WHEEL_TICK_MS > now_ms);
    assert_int_equal(w->timers.live, m->n);
}

static void add(struct wheel *w, struct model *m, uint64_t due_ms)
{
    for (uint32_t i = 0; i < TIMERS_MAX; i++)
        if (!m->v[i].handle) {
            m->v[i].handle = wheel_add(w, due_ms, (uint8_t)(i % 200), i);
            m->v[i].due_ms = due_ms;
            assert_true(m->v[i].handle);
            m->n++;
            return;
        }
}

static uint64_t far(struct hash_random *r, uint64_t most_ms)
{
    return hash_random_u64(r) % most_ms;
}

// Spans of each of the wheel's levels, and beyond.
static const uint64_t spans_ms[] = {1, 30, 2560, 70000, 700000, 168000000};

static void random_steps(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 6; seed++) {
        struct wheel w;
        static struct model m;
        struct hash_random r;
        uint64_t now_ms = START;
        memset(&m, 0, sizeof m);
        hash_random_init(&r, seed, 0);
        wheel_init(&w, now_ms);
        for (int step = 0; step < 3000; step++) {
            for (uint32_t i = hash_random_below(&r, 4); i; i--)
                add(&w, &m, now_ms + far(&r, spans_ms[hash_random_below(&r, 5)]));
            uint32_t victim = hash_random_below(&r, TIMERS_MAX);
            if (hash_random_below(&r, 3) == 0 && m.v[victim].handle) {
                assert_true(wheel_due_ms(&w, m.v[victim].handle) >= m.v[victim].due_ms);
                wheel_cancel(&w, &m.v[victim].handle);
                assert_int_equal(m.v[victim].handle, 0);
                m.n--;
            }
            assert_true(wheel_next_ms(&w) <= model_soonest(&m) + WHEEL_TICK_MS - 1 ||
                        model_soonest(&m) == UINT64_MAX);
            now_ms += far(&r, spans_ms[hash_random_below(&r, 4)]);
            pop_all(&w, &m, now_ms);
        }
        wheel_free(&w);
    }
}

// As the loop does it: sleep until wheel_next_ms() and no longer. Nothing is late by a tick, and
// the wheel is not woken without end.
static void sleeping_until_next_is_never_late(void **state)
{
    (void)state;
    struct wheel w;
    static struct model m;
    struct hash_random r;
    uint64_t now_ms = START;
    memset(&m, 0, sizeof m);
    hash_random_init(&r, 99, 0);
    wheel_init(&w, now_ms);
    for (int i = 0; i < 300; i++)
        add(&w, &m, now_ms + far(&r, spans_ms[i % 6]));
    unsigned wakings = 0;
    while (m.n) {
        uint64_t next_ms = wheel_next_ms(&w);
        assert_true(next_ms != UINT64_MAX);
        now_ms = next_ms > now_ms ? next_ms : now_ms;
        pop_all(&w, &m, now_ms);
        assert_true(++wakings < 300 * (WHEEL_LEVELS + 1));
    }
    assert_true(wheel_next_ms(&w) == UINT64_MAX);
    wheel_free(&w);
}

// 497 days and more: they wait in the last slot and are put again. Ticks are walked one by one, so
// the distance is crossed by an empty wheel first, and the rest by hand.
static void beyond_the_last_level(void **state)
{
    (void)state;
    const uint64_t turn_ms = (uint64_t)WHEEL_TICK_MS << (WHEEL_BITS * WHEEL_LEVELS);
    assert_in_range(turn_ms / DAY_MS, 497, 497);
    static const uint64_t extra_ms[] = {0, 10, 167772160, 3 * 167772160 + 5};
    for (size_t i = 0; i < sizeof extra_ms / sizeof *extra_ms; i++) {
        struct wheel w;
        uint8_t kind;
        uint32_t owner;
        uint64_t now_ms = START + i * 83886080, due_ms = now_ms + turn_ms + extra_ms[i];
        wheel_init(&w, now_ms);
        assert_true(wheel_add(&w, due_ms, 3, 77));
        for (bool popped = false; !popped;) {
            uint64_t next_ms = wheel_next_ms(&w);
            assert_true(next_ms <= due_ms + WHEEL_TICK_MS - 1);
            assert_true(next_ms > now_ms);
            w.now = next_ms / WHEEL_TICK_MS - 1; // nothing is in between
            now_ms = next_ms;
            popped = wheel_pop(&w, now_ms, &kind, &owner);
        }
        assert_true(now_ms >= due_ms && now_ms < due_ms + WHEEL_TICK_MS);
        assert_int_equal(kind, 3);
        assert_int_equal(owner, 77);
        assert_int_equal(w.timers.live, 0);
        wheel_free(&w);
    }
}

// A record from disk may say anything.
static void absurd_times(void **state)
{
    (void)state;
    static const uint64_t due_ms[] = {0, 1, START - DAY_MS, UINT64_MAX - 20, UINT64_MAX};
    for (size_t i = 0; i < sizeof due_ms / sizeof *due_ms; i++) {
        struct wheel w;
        uint8_t kind;
        uint32_t owner;
        wheel_init(&w, START);
        uint32_t handle = wheel_add(&w, due_ms[i], 1, 1);
        assert_true(handle);
        bool popped = wheel_pop(&w, START + DAY_MS / 24, &kind, &owner);
        assert_int_equal(popped, due_ms[i] < START); // the past at once, the far future never
        if (!popped)
            wheel_cancel(&w, &handle);
        assert_int_equal(w.timers.live, 0);
        wheel_free(&w);
    }
}

static void same_tick_fires_in_order(void **state)
{
    (void)state;
    struct wheel w;
    uint8_t kind;
    uint32_t owner;
    wheel_init(&w, START);
    for (uint32_t i = 1; i <= 50; i++)
        assert_true(wheel_add(&w, START + 70000, 0, i)); // comes down from a higher level
    for (uint32_t i = 1; i <= 50; i++) {
        assert_true(wheel_pop(&w, START + 70010, &kind, &owner));
        assert_int_equal(owner, i);
    }
    assert_false(wheel_pop(&w, START + 70010, &kind, &owner));
    wheel_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps),
        cmocka_unit_test(sleeping_until_next_is_never_late),
        cmocka_unit_test(beyond_the_last_level),
        cmocka_unit_test(absurd_times),
        cmocka_unit_test(same_tick_fires_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
