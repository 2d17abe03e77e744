// The ring between two threads: order, wrap, full, large messages, and no lost wake-up.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shards/ring.h"

enum { MESSAGE_MAX = 300000 };

// xorshift64*: repeatable sizes.
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

static struct ring *new_ring(void)
{
    struct ring *r;
    assert_int_equal(ring_create(&r, MESSAGE_MAX), 0);
    return r;
}

// Message number `i`: n bytes that all depend on i and their place.
static char message_byte(uint64_t i, size_t at)
{
    return (char)(i * 31 + at);
}

static void message_fill(char *p, uint64_t i, size_t n)
{
    for (size_t at = 0; at < n; at++)
        p[at] = message_byte(i, at);
}

static void message_check(const char *p, uint64_t i, size_t n)
{
    assert_int_equal((uintptr_t)p % 8, 0);
    for (size_t at = 0; at < n; at++)
        if (p[at] != message_byte(i, at))
            fail_msg("message %lu differs at %zu", (unsigned long)i, at);
}

static int push_one(struct ring *r, const void *p, size_t n)
{
    return ring_push(r, &(struct ring_part){p, n}, 1);
}

static void test_empty(void **state)
{
    (void)state;
    struct ring *r = new_ring();
    size_t n;
    assert_true(ring_is_empty(r));
    assert_null(ring_front(r, &n));
    ring_destroy(r);
}

static void test_parts_become_one_message(void **state)
{
    (void)state;
    struct ring *r = new_ring();
    struct ring_part parts[] = {{"juliet", 6}, {NULL, 0}, {"@", 1}, {"example.com", 11}};
    assert_int_equal(ring_push(r, parts, 4), 0);
    assert_int_equal(push_one(r, "", 0), 0);
    size_t n;
    const char *p = ring_front(r, &n);
    assert_int_equal(n, 18);
    assert_memory_equal(p, "juliet@example.com", 18);
    ring_pop(r);
    assert_non_null(ring_front(r, &n));
    assert_int_equal(n, 0);
    ring_pop(r);
    assert_true(ring_is_empty(r));
    ring_destroy(r);
}

static void test_size_limit(void **state)
{
    (void)state;
    struct ring *r = new_ring();
    char *p = calloc(1, MESSAGE_MAX + 1);
    assert_int_equal(push_one(r, p, MESSAGE_MAX + 1), EMSGSIZE);
    assert_true(ring_is_empty(r));
    for (int i = 0; i < RING_FAR_MESSAGES_MIN; i++)
        assert_int_equal(push_one(r, p, MESSAGE_MAX), 0);
    assert_int_equal(push_one(r, p, MESSAGE_MAX), ENOBUFS);
    assert_int_equal(push_one(r, p, RING_NEAR_MAX), 0); // small ones still go
    size_t n;
    assert_non_null(ring_front(r, &n));
    ring_pop(r);
    assert_int_equal(push_one(r, p, MESSAGE_MAX), 0);
    ring_destroy(r); // with messages in it: ASan sees whether they are freed
    free(p);
}

static void test_full_and_again(void **state)
{
    (void)state;
    struct ring *r = new_ring();
    char p[1000];
    uint64_t pushed = 0, popped = 0;
    for (int lap = 0; lap < 5; lap++) {
        for (;; pushed++) {
            message_fill(p, pushed, sizeof p);
            int error = push_one(r, p, sizeof p);
            if (error) {
                assert_int_equal(error, ENOBUFS);
                break;
            }
        }
        // A record is 1,008 bytes; only what is left before the wrap may be lost.
        assert_true((pushed - popped) * 1008 > RING_BYTES - 2 * 1008);
        size_t n;
        for (int i = 0; i < 100; i++, popped++) {
            const char *front = ring_front(r, &n);
            assert_int_equal(n, sizeof p);
            message_check(front, popped, n);
            ring_pop(r);
        }
    }
    ring_destroy(r);
}

// A queue of sizes beside the ring says what must come out.
static void test_random_sizes(void **state)
{
    (void)state;
    struct ring *r = new_ring();
    enum { MODEL = 1 << 16, STEPS = 300000 };
    static uint32_t model[MODEL];
    uint64_t pushed = 0, popped = 0, seed = 42, full = 0;
    char *p = malloc(MESSAGE_MAX);
    for (int i = 0; i < STEPS; i++) {
        bool push = random_next(&seed) % 100 < (i / 5000 % 2 ? 65 : 35);
        if (push && pushed - popped < MODEL) {
            size_t n = random_next(&seed) % (random_next(&seed) % 200 ? 600 : RING_NEAR_MAX + 5000);
            message_fill(p, pushed, n);
            bool has_room = n > RING_NEAR_MAX || ring_has_room(r, n);
            int error = push_one(r, p, n);
            assert_true(error == 0 || error == ENOBUFS);
            assert_true(n > RING_NEAR_MAX || has_room == !error);
            full += error == ENOBUFS;
            if (!error)
                model[pushed++ % MODEL] = (uint32_t)n;
        } else if (!push) {
            size_t n;
            const char *front = ring_front(r, &n);
            assert_int_equal(front == NULL, pushed == popped);
            if (!front)
                continue;
            assert_int_equal(n, model[popped % MODEL]);
            message_check(front, popped++, n);
            ring_pop(r);
        }
    }
    assert_true(full > 0);
    assert_true(popped > 50000);
    free(p);
    ring_destroy(r);
}

struct pair {
    struct ring *ring;
    struct wake wake;
    uint64_t messages;
};

static size_t pair_size(uint64_t i)
{
    return i % 1000 == 0 ? RING_NEAR_MAX + i % 777 : 8 + i % 93;
}

static void *pair_produce(void *arg)
{
    struct pair *pair = arg;
    char *p = malloc(2 * RING_NEAR_MAX);
    for (uint64_t i = 0; i < pair->messages;) {
        size_t n = pair_size(i);
        message_fill(p, i, n);
        int error = push_one(pair->ring, p, n);
        if (error && error != ENOBUFS)
            break;
        if (error || i % 7 == 0 || i + 1 == pair->messages)
            wake_ring(&pair->wake);
        if (error)
            sched_yield();
        else
            i++;
    }
    free(p);
    return NULL;
}

static void consume_waiting(struct pair *pair, uint64_t *popped)
{
    size_t n;
    for (const char *p; (p = ring_front(pair->ring, &n)) != NULL; ring_pop(pair->ring)) {
        assert_int_equal(n, pair_size(*popped));
        message_check(p, *popped, n);
        (*popped)++;
    }
}

// The consumer sleeps without a timeout that could hide a lost wake-up: 20 s of silence is a
// failure.
static void test_two_threads(void **state)
{
    (void)state;
    struct pair pair = {.ring = new_ring(), .messages = 1000000};
    assert_int_equal(wake_open(&pair.wake), 0);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, pair_produce, &pair), 0);
    uint64_t popped = 0, slept = 0;
    while (popped < pair.messages) {
        consume_waiting(&pair, &popped);
        wake_fall_asleep(&pair.wake);
        if (ring_is_empty(pair.ring) && popped < pair.messages) {
            struct pollfd fd = {.fd = pair.wake.fd, .events = POLLIN};
            assert_int_equal(poll(&fd, 1, 20000), 1);
            wake_clear(&pair.wake);
            slept++;
        }
        wake_get_up(&pair.wake);
    }
    pthread_join(producer, NULL);
    assert_true(ring_is_empty(pair.ring));
    assert_true(slept > 0);
    wake_close(&pair.wake);
    ring_destroy(pair.ring);
}

static void *pong(void *arg)
{
    struct pair *pairs = arg;
    for (uint64_t i = 0; i < pairs[0].messages; i++) {
        while (ring_is_empty(pairs[0].ring)) {
            wake_fall_asleep(&pairs[0].wake);
            if (ring_is_empty(pairs[0].ring)) {
                struct pollfd fd = {.fd = pairs[0].wake.fd, .events = POLLIN};
                if (poll(&fd, 1, 20000) != 1)
                    return "the bell did not ring";
                wake_clear(&pairs[0].wake);
            }
            wake_get_up(&pairs[0].wake);
        }
        ring_pop(pairs[0].ring);
        push_one(pairs[1].ring, &i, sizeof i);
        wake_ring(&pairs[1].wake);
    }
    return NULL;
}

// Each side sleeps until the other has spoken: the window of the lost wake-up is open all the time.
static void test_ping_pong(void **state)
{
    (void)state;
    enum { ROUNDS = 20000 };
    struct pair pairs[2];
    for (int i = 0; i < 2; i++) {
        pairs[i] = (struct pair){.ring = new_ring(), .messages = ROUNDS};
        assert_int_equal(wake_open(&pairs[i].wake), 0);
    }
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, pong, pairs), 0);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        push_one(pairs[0].ring, &i, sizeof i);
        wake_ring(&pairs[0].wake);
        wake_fall_asleep(&pairs[1].wake);
        if (ring_is_empty(pairs[1].ring)) {
            struct pollfd fd = {.fd = pairs[1].wake.fd, .events = POLLIN};
            assert_int_equal(poll(&fd, 1, 20000), 1);
            wake_clear(&pairs[1].wake);
        }
        wake_get_up(&pairs[1].wake);
        // The bell may be an earlier one's; the message then comes at once.
        for (int spin = 0; ring_is_empty(pairs[1].ring); spin++) {
            assert_true(spin < 100000000);
            sched_yield();
        }
        ring_pop(pairs[1].ring);
    }
    void *why;
    pthread_join(other, &why);
    assert_null(why);
    for (int i = 0; i < 2; i++) {
        wake_close(&pairs[i].wake);
        ring_destroy(pairs[i].ring);
    }
}

// Both sides meet, and go through the critical moment at once: a push and the bell here, falling
// asleep and the last look there. Whoever finds the ring empty must find that the bell was rung.
struct moment {
    struct ring *ring;
    struct wake wake;
    _Atomic uint64_t begun, done;
};

enum { MOMENTS = 100000 };

static void wait_for_round(_Atomic uint64_t *count, uint64_t round)
{
    for (unsigned spin = 1; atomic_load(count) < round; spin++)
        if (spin % 4096 == 0)
            sched_yield(); // one processor for both
}

// So that the two do meet; one processor for both would make the test pass, and prove little.
static void stay_on_processor(int wanted)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (pthread_getaffinity_np(pthread_self(), sizeof all, &all))
        return;
    wanted %= CPU_COUNT(&all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && wanted-- == 0)
            CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

static void *moment_produce(void *arg)
{
    struct moment *m = arg;
    stay_on_processor(1);
    for (uint64_t round = 1; round <= MOMENTS; round++) {
        wait_for_round(&m->begun, round);
        push_one(m->ring, &round, sizeof round);
        wake_ring(&m->wake);
        atomic_store(&m->done, round);
    }
    return NULL;
}

static void test_no_wake_up_is_lost(void **state)
{
    (void)state;
    struct moment m = {.ring = new_ring()};
    unsigned empty = 0, lost = 0, skew = 0;
    assert_int_equal(wake_open(&m.wake), 0);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, moment_produce, &m), 0);
    stay_on_processor(0);
    for (uint64_t round = 1; round <= MOMENTS; round++) {
        atomic_store(&m.begun, round);
        for (volatile unsigned i = 0; i < skew; i++)
            ;
        wake_fall_asleep(&m.wake);
        bool sleeps = ring_is_empty(m.ring);
        wait_for_round(&m.done, round);
        uint64_t count = 0;
        bool rung = read(m.wake.fd, &count, sizeof count) == sizeof count;
        empty += sleeps;
        skew = sleeps ? skew + 1 : skew - skew / 8; // seeks the moment where it can go either way
        lost += sleeps && !rung;
        wake_get_up(&m.wake);
        ring_pop(m.ring);
    }
    pthread_join(producer, NULL);
    assert_int_equal(lost, 0);
    assert_true(empty > 0);
    wake_close(&m.wake);
    ring_destroy(m.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),        cmocka_unit_test(test_parts_become_one_message),
        cmocka_unit_test(test_size_limit),   cmocka_unit_test(test_full_and_again),
        cmocka_unit_test(test_random_sizes), cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_ping_pong),    cmocka_unit_test(test_no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
