// Sending over rings that are full: kept in order, bounded, counted, and pushed on when there is
// room.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shards/fabric.h"

enum { MESSAGE_MAX = 100000, BODY = 1000 };

struct world {
    struct fabric *fabric;
    struct fabric_end end; // of shard 0
};

static bool no_memory;

int __real_ring_push(struct ring *r, const struct ring_part *parts, size_t n_parts);
int __wrap_ring_push(struct ring *r, const struct ring_part *parts, size_t n_parts);

int __wrap_ring_push(struct ring *r, const struct ring_part *parts, size_t n_parts)
{
    return no_memory ? ENOMEM : __real_ring_push(r, parts, n_parts);
}

static struct world *open_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(fabric_create(&w->fabric, 3, MESSAGE_MAX), 0);
    fabric_end_init(&w->end, w->fabric, 0);
    return w;
}

static void close_world(struct world *w)
{
    fabric_end_free(&w->end);
    fabric_destroy(w->fabric);
    free(w);
}

static int send_number(struct world *w, unsigned to, uint64_t number)
{
    static char body[BODY];
    return fabric_send(&w->end, to, &number, sizeof number, (struct text){body, BODY});
}

static void take_number(struct world *w, unsigned at, uint64_t number)
{
    struct ring *r = w->fabric->ring[0][at];
    size_t n;
    const void *p = ring_front(r, &n);
    assert_non_null(p);
    assert_int_equal(n, sizeof number + BODY);
    assert_memory_equal(p, &number, sizeof number);
    ring_pop(r);
}

static void test_who_talks_to_whom(void **state)
{
    (void)state;
    struct world *w = open_world();
    const struct fabric *f = w->fabric;
    for (unsigned i = 0; i < 3; i++) {
        assert_null(f->ring[i][i]);
        assert_non_null(f->ring[i][(i + 1) % 3]);
        assert_non_null(f->ring[i][fabric_admin(f)]);
        assert_non_null(f->ring[fabric_admin(f)][i]);
        assert_non_null(f->ring[fabric_main(f)][i]);
        assert_non_null(f->ring[i][fabric_connector(f)]);
        assert_non_null(f->ring[fabric_connector(f)][i]);
        assert_non_null(f->ring[i][fabric_resolver(f)]);
        assert_non_null(f->ring[fabric_resolver(f)][i]);
    }
    assert_null(f->ring[fabric_connector(f)][fabric_resolver(f)]);
    assert_non_null(f->ring[fabric_main(f)][fabric_connector(f)]);
    assert_null(f->ring[fabric_admin(f)][fabric_main(f)]);
    close_world(w);
}

// Far more than a ring holds, taken out slowly, with new ones coming all the time.
static void test_backlog_keeps_order(void **state)
{
    (void)state;
    struct world *w = open_world();
    uint64_t sent = 0, taken = 0;
    for (; sent < 2000; sent++)
        assert_int_equal(send_number(w, 1, sent), 0);
    assert_true(fabric_is_congested(&w->end));
    assert_true(w->end.full_total > 1000);
    assert_int_equal(send_number(w, 2, 7), 0); // another ring is not held up
    take_number(w, 2, 7);
    while (taken < sent) {
        for (int i = 0; i < 100 && taken < sent; i++) {
            if (ring_is_empty(w->fabric->ring[0][1]))
                break;
            take_number(w, 1, taken++);
        }
        if (sent < 20000)
            for (int i = 0; i < 99; i++)
                assert_int_equal(send_number(w, 1, sent++), 0);
        fabric_retry(&w->end);
    }
    assert_false(fabric_is_congested(&w->end));
    assert_int_equal(w->end.dropped_total, 0);
    // What was done with was not kept: the backlog never needed room for all that went through it.
    assert_true(w->end.backlog[1].cap <= 4 << 20);
    close_world(w);
}

static void test_backlog_limit(void **state)
{
    (void)state;
    struct world *w = open_world();
    uint64_t sent = 0;
    int error = 0;
    while (!(error = send_number(w, 1, sent)))
        sent++;
    assert_int_equal(error, ENOBUFS);
    assert_int_equal(w->end.dropped_total, 1);
    assert_true(w->end.backlog_bytes <= FABRIC_BACKLOG_BYTES);
    assert_true(w->end.backlog_bytes + BODY + 8 + 4 > FABRIC_BACKLOG_BYTES);
    for (uint64_t i = 0; i < sent; i++) {
        if (ring_is_empty(w->fabric->ring[0][1]))
            fabric_retry(&w->end);
        take_number(w, 1, i);
    }
    assert_false(fabric_is_congested(&w->end));
    assert_int_equal(send_number(w, 1, sent), 0);
    close_world(w);
}

// What is of no use later is not kept, and holds up nobody.
static void test_now_or_never(void **state)
{
    (void)state;
    static char body[BODY];
    struct world *w = open_world();
    uint64_t sent = 0;
    while (!fabric_send_now(&w->end, 1, &sent, sizeof sent, (struct text){body, BODY}))
        sent++;
    assert_true(sent > 0);
    assert_int_equal(w->end.dropped_total, 1);
    assert_false(fabric_is_congested(&w->end));
    for (uint64_t i = 0; i < sent; i++)
        take_number(w, 1, i);
    assert_int_equal(fabric_send_now(&w->end, 1, &sent, sizeof sent, (struct text){body, BODY}), 0);
    take_number(w, 1, sent);
    close_world(w);
}

// Until there is something in the backlog. How many were sent.
static uint64_t fill_ring(struct world *w, unsigned to)
{
    uint64_t sent = 0;
    while (!fabric_is_congested(&w->end))
        assert_int_equal(send_number(w, to, sent++), 0);
    return sent;
}

static void test_too_large(void **state)
{
    (void)state;
    struct world *w = open_world();
    char *body = calloc(1, MESSAGE_MAX);
    uint64_t head = 0;
    assert_int_equal(
        fabric_send(&w->end, 1, &head, sizeof head, (struct text){body, MESSAGE_MAX - 8}), 0);
    assert_int_equal(
        fabric_send(&w->end, 1, &head, sizeof head, (struct text){body, MESSAGE_MAX - 7}),
        EMSGSIZE);
    assert_int_equal(w->end.dropped_total, 1);
    assert_false(fabric_is_congested(&w->end));
    // And what never fits does not wait for it either.
    fill_ring(w, 1);
    assert_int_equal(
        fabric_send(&w->end, 1, &head, sizeof head, (struct text){body, MESSAGE_MAX - 7}),
        EMSGSIZE);
    assert_int_equal(w->end.dropped_total, 2);
    free(body);
    close_world(w);
}

// What was said to be kept gets there, though there is no memory for a while.
static void test_no_memory(void **state)
{
    (void)state;
    struct world *w = open_world();
    uint64_t sent = fill_ring(w, 1);
    assert_int_equal(send_number(w, 1, sent++), 0);
    for (uint64_t i = 0; i < sent - 2; i++)
        take_number(w, 1, i);
    no_memory = true;
    fabric_retry(&w->end);
    assert_true(fabric_is_congested(&w->end));
    assert_int_equal(send_number(w, 2, 0), ENOMEM); // nobody was told that this one is kept
    assert_int_equal(w->end.dropped_total, 1);
    no_memory = false;
    fabric_retry(&w->end);
    assert_false(fabric_is_congested(&w->end));
    for (uint64_t i = sent - 2; i < sent; i++)
        take_number(w, 1, i);
    close_world(w);
}

// It is told early enough that there is room for what one more read gives rise to.
static void test_crowded(void **state)
{
    (void)state;
    struct world *w = open_world();
    uint64_t sent = fill_ring(w, 1);
    while (!fabric_is_crowded(&w->end))
        assert_int_equal(send_number(w, 1, sent++), 0);
    assert_in_range(w->end.backlog_bytes, FABRIC_CROWDED_BYTES + 1,
                    FABRIC_CROWDED_BYTES + 4 + 8 + BODY);
    uint64_t i = 0;
    for (; fabric_is_crowded(&w->end); i++) {
        take_number(w, 1, i);
        fabric_retry(&w->end);
    }
    assert_true(fabric_is_congested(&w->end));
    for (; i < sent; i++) {
        take_number(w, 1, i);
        fabric_retry(&w->end);
    }
    assert_false(fabric_is_congested(&w->end));
    close_world(w);
}

static void test_bells(void **state)
{
    (void)state;
    struct world *w = open_world();
    struct fabric_end other;
    fabric_end_init(&other, w->fabric, 1);
    assert_true(fabric_fall_asleep(&other, 0, w->fabric->peers));
    send_number(w, 1, 0);
    fabric_ring_bells(&w->end);
    uint64_t count = 0;
    assert_int_equal(read(w->fabric->wake[1].fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    fabric_get_up(&other);
    // Awake: no bell. And with something to read: no sleep, unless it is not looked at.
    send_number(w, 1, 1);
    fabric_ring_bells(&w->end);
    assert_int_equal(read(w->fabric->wake[1].fd, &count, sizeof count), -1);
    assert_false(fabric_fall_asleep(&other, 0, w->fabric->peers));
    assert_true(fabric_fall_asleep(&other, fabric_admin(w->fabric), w->fabric->peers));
    fabric_end_free(&other);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_talks_to_whom), cmocka_unit_test(test_backlog_keeps_order),
        cmocka_unit_test(test_backlog_limit),     cmocka_unit_test(test_now_or_never),
        cmocka_unit_test(test_too_large),         cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_crowded),           cmocka_unit_test(test_bells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
