// The hash index against a plain list, with hashes that collide on purpose.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/core.h"
#include "core/hash.h"
#include "core/table.h"

enum { MODEL_MAX = 2000 };

struct model {
    uint32_t n;
    struct table_slot v[MODEL_MAX];
};

// How often the handle is found under the hash: never more than once.
static unsigned found(const struct table *t, uint32_t hash, uint32_t handle)
{
    unsigned n = 0;
    uint32_t x;
    for (uint32_t at = table_first(t, hash, &x); x; at = table_next(t, hash, at, &x))
        n += x == handle;
    return n;
}

static unsigned count(const struct table *t, uint32_t hash)
{
    unsigned n = 0;
    uint32_t x;
    for (uint32_t at = table_first(t, hash, &x); x; at = table_next(t, hash, at, &x))
        n++;
    return n;
}

static void assert_same(const struct table *t, const struct model *m)
{
    assert_int_equal(t->n, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        assert_int_equal(found(t, m->v[i].hash, m->v[i].handle), 1);
        unsigned same = 0;
        for (uint32_t k = 0; k < m->n; k++)
            same += m->v[k].hash == m->v[i].hash;
        assert_int_equal(count(t, m->v[i].hash), same);
    }
}

// Hashes from a narrow range crowd the table and run over its end; wide ones are as in life.
static void against_model(uint32_t range, uint32_t base, unsigned seed)
{
    static struct model m;
    struct table t = {0};
    struct hash_random r;
    uint32_t next = 1;
    m.n = 0;
    hash_random_init(&r, seed, 0);
    for (int step = 0; step < 6000; step++) {
        bool grow = m.n == 0 || (m.n < 300 && hash_random_below(&r, 100) < 52);
        if (grow) {
            struct table_slot s = {base + hash_random_below(&r, range), next++};
            assert_true(table_add(&t, s.hash, s.handle));
            m.v[m.n++] = s;
        } else {
            uint32_t i = hash_random_below(&r, m.n);
            table_remove(&t, m.v[i].hash, m.v[i].handle);
            assert_int_equal(found(&t, m.v[i].hash, m.v[i].handle), 0);
            m.v[i] = m.v[--m.n];
        }
        if (step % 50 == 0)
            assert_same(&t, &m);
    }
    assert_same(&t, &m);
    table_free(&t);
}

static void random_steps(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 10; seed++) {
        against_model(UINT32_MAX, 0, seed);
        against_model(40, 0, seed);
        against_model(40, UINT32_MAX - 20, seed); // around the table's end
        against_model(1, 63, seed);
    }
}

static void empty_table_finds_nothing(void **state)
{
    (void)state;
    struct table t = {0};
    assert_int_equal(count(&t, 0), 0);
    assert_int_equal(table_bytes(&t), 0);
    assert_true(table_add(&t, 5, 1));
    table_remove(&t, 5, 1);
    assert_int_equal(count(&t, 5), 0);
    assert_int_equal(t.n, 0);
    table_free(&t);
}

// At most four fifths full, so that a search for what is not there ends soon; and not much less,
// whether it has grown to that or shrunk.
static void stays_dense_and_not_too_much(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct table t = {0};
    for (uint32_t i = 1; i <= N; i++) {
        assert_true(table_add(&t, i * 2654435761u, i));
        const struct table_part *p = &t.parts[i * 2654435761u % TABLE_PARTS];
        assert_true(p->n <= p->slots * 4 / 5);
    }
    for (uint32_t i = 1; i <= N; i++)
        assert_int_equal(found(&t, i * 2654435761u, i), 1);
    assert_in_range(table_bytes(&t), 10 * N, 13 * N);
    for (uint32_t i = 1; i <= N - 10000; i++)
        table_remove(&t, i * 2654435761u, i);
    assert_int_equal(t.n, 10000);
    assert_in_range(table_bytes(&t), 10 * 10000, 30 * 10000);
    for (uint32_t i = 1; i <= N; i++)
        assert_int_equal(found(&t, i * 2654435761u, i), i > N - 10000);
    table_free(&t);
}

static double steps_to_find(const struct table *t, uint32_t hash, uint32_t handle)
{
    const struct table_part *p = &t->parts[hash % TABLE_PARTS];
    uint32_t at = table_home(p, hash), steps = 1;
    for (; p->v[at].handle != handle; at = table_behind(p, at))
        steps++;
    return steps;
}

// A shard has the users of its own range of hashes, and no others.
//
//     hashes   0 ────┬────────────────┬──── 2³²
//     of shard   0   │       1        │   2     …
static void one_shards_users_are_found_at_once(void **state)
{
    (void)state;
    enum { N = 50000 };
    static uint32_t hash[N];
    for (unsigned shards = 1; shards <= CORE_SHARDS_MAX; shards *= 2) {
        struct table t = {0};
        struct hash_random r;
        double steps = 0;
        hash_random_init(&r, shards, 0);
        for (uint32_t i = 0; i < N; i++) {
            uint64_t in_range = (hash_random_u64(&r) >> 32) / shards;
            hash[i] = (uint32_t)(((uint64_t)(shards - 1) << 32) / shards + in_range);
            assert_int_equal(core_shard_of_hash(hash[i], shards), shards - 1);
            assert_true(table_add(&t, hash[i], i + 1));
        }
        for (uint32_t i = 0; i < N; i++)
            steps += steps_to_find(&t, hash[i], i + 1);
        assert_true(steps / N < 4); // at four fifths full it would be three (Knuth, vol. 3, 6.4)
        table_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shards_users_are_found_at_once),
        cmocka_unit_test(random_steps),
        cmocka_unit_test(empty_table_finds_nothing),
        cmocka_unit_test(stays_dense_and_not_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
