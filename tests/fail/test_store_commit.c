// A shard's turns when one call fails: each of LMDB's, the 1st, the 2nd, the 3rd …, with each error
// that it may give; once, and from then on.
//
//     ids 1 … 130 ─▶ turn, with a fault ─┬─▶ error: says why; all of the turn is there or nothing;
//                                        │   the same turn succeeds now, and so does a next one
//                                        └─▶ no error: all of it is there
//     ─▶ closed, opened: the same
//
// No turn takes longer than ACT_MS.
#include "store_point.h"

enum { BEFORE = 130, TURN_MAX = 400 };

struct turn {
    const char *name;
    size_t n;
    struct store_change change[TURN_MAX];
    size_t map_bytes;
};

static struct turn turn;
static char bytes[TURN_MAX][RECORD_BYTES_MAX];

static void add(uint64_t id, unsigned round, bool fresh)
{
    struct store_change *c = &turn.change[turn.n];
    *c = (struct store_change){id, record_of(id, round, bytes[turn.n]), fresh};
    turn.n++;
}

static void drop(uint64_t id)
{
    turn.change[turn.n++] = (struct store_change){.id = id};
}

// ---- What is there -----------------------------------------------------------------------------

// One number for all that a scan gives, order included.
static int add_to_picture(void *arg, uint64_t id, struct text record)
{
    uint64_t *h = arg;
    *h = (*h ^ id) * 0x100000001b3u;
    for (size_t i = 0; i < record.n; i++)
        *h = (*h ^ (uint8_t)record.p[i]) * 0x100000001b3u;
    return 0;
}

static uint64_t picture_of(struct store_shard *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    int rc = store_shard_scan(s, add_to_picture, &h);
    if (rc != 0)
        blame("it can't be read afterwards: %s", env_text(rc));
    return h;
}

static uint64_t before, after; // the turn

static uint64_t picture_opened(void)
{
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t h = picture_of(shard);
    store_shard_close(shard);
    store_close(s);
    return h;
}

// ---- One point ---------------------------------------------------------------------------------

static int commit(struct store_shard *s, struct store_error *why)
{
    return store_shard_commit(s, turn.change, turn.n, why);
}

// With a last one that no scan is to find any more.
static void expect_next_turn(struct store_shard *s)
{
    struct store_error why = {""};
    struct store_change v[] = {{100000, TEXT("next"), true}, {100000, {0}, false}};
    if (store_shard_commit(s, v, 2, &why) != 0)
        blame("the next turn: %s", why.text);
}

static void expect_turn(struct store_shard *s, int rc)
{
    struct store_error why = {""};
    uint64_t now = picture_of(s);
    if (rc == 0 && now != after)
        blame("no error, and it is not there");
    if (now != before && now != after)
        blame("half of it is there");
    if (now == after && rc != 0 && point.error != FAULTY_LATE)
        blame("it is there, and was said to have failed");
    if (rc != 0 && commit(s, &why) != 0)
        blame("the second time: %s", why.text);
    if (picture_of(s) != after)
        blame("it is not there the second time");
}

static bool fail_turn(void *arg)
{
    (void)arg;
    struct store_error why = {""};
    copy_tree(in_dir("base"), STORE);
    store_tuning.map_start_bytes = turn.map_bytes;
    unsigned descriptors = faulty_open_descriptors();
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    point_begin();
    int rc = commit(shard, &why);
    bool struck = point_end(rc, &why);
    if (struck) {
        expect_turn(shard, rc);
        expect_next_turn(shard);
    }
    store_shard_close(shard);
    store_close(s);
    point.descriptors = descriptors;
    expect_nothing_left_open();
    if (struck && picture_opened() != after)
        blame("it is not there when opened again");
    return struck;
}

static void fail_turns(const char *name, size_t map_bytes)
{
    turn.name = name;
    turn.map_bytes = map_bytes;
    struct store *s = open_store(1);
    fill(s, 1, 1, BEFORE);
    store_close(s);
    copy_tree(STORE, in_dir("base"));
    before = picture_opened();
    s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    assert_int_equal(commit(shard, NULL), 0);
    after = picture_of(shard);
    store_shard_close(shard);
    store_close(s);
    assert_true(before != after);
    fail_each(name, fail_turn, NULL);
}

// ---- The turns ---------------------------------------------------------------------------------

enum { MAP_BYTES = 1 << 20 };

static void fresh_records(void **state)
{
    (void)state;
    for (uint64_t id = BEFORE + 1; id <= BEFORE + 12; id++)
        add(id, 0, true);
    fail_turns("fresh", MAP_BYTES);
}

static void changed_records(void **state)
{
    (void)state;
    for (uint64_t id = 5; id <= BEFORE; id += 20)
        add(id, 1, false);
    fail_turns("changed", MAP_BYTES);
}

static void deleted_records(void **state)
{
    (void)state;
    for (uint64_t id = 3; id <= BEFORE; id += 20)
        drop(id);
    drop(BEFORE + 50); // was never there
    fail_turns("deleted", MAP_BYTES);
}

static void mixed_records(void **state)
{
    (void)state;
    add(BEFORE + 1, 0, true);
    add(7, 2, false);
    drop(63); // larger than a page
    drop(BEFORE + 1);
    add(BEFORE + 2, 0, true);
    add(127, 3, false); // likewise
    fail_turns("mixed", MAP_BYTES);
}

// Into a map that it does not fit into, so that growing fails too: once, and twice on the way.
static void turn_that_grows_the_map(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        add(64 * (BEFORE + i) + 63, 0, true);
    fail_turns("growing", 1 << 17);
}

// ---- Environments that are of no use any more --------------------------------------------------

// MDB_PANIC lasts until the environment is opened anew, which is what the next turn does.
static void panic_ends_by_opening_anew(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    struct store_error why = {""};
    assert_int_equal(commit_one(shard, 1, 0, true), 0);
    char two[RECORD_BYTES_MAX];
    struct store_change c = {2, record_of(2, 0, two), true};
    faulty_arm(FAULTY_mdb_txn_commit, 1, FAULTY_LATE, false);
    assert_int_equal(store_shard_commit(shard, &c, 1, &why), EIO);
    assert_non_null(strstr(why.text, "can't be written"));
    assert_int_equal(store_shard_commit(shard, &c, 1, &why), 0);
    assert_int_equal(faulty_count(FAULTY_mdb_env_open), 1);
    faulty_disarm();
    struct expect e = {.shards = 1};
    assert_int_equal(store_shard_scan(shard, expect_record, &e), 0);
    assert_int_equal(e.count, 2);
    store_shard_close(shard);
    store_close(s);
}

// While it can't be opened either, each turn says so, and none after is harmed.
static void panic_without_a_way_back(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    struct store_error why = {""};
    assert_int_equal(commit_one(shard, 1, 0, true), 0);
    char two[RECORD_BYTES_MAX];
    struct store_change c = {2, record_of(2, 0, two), true};
    faulty_arm(FAULTY_mdb_txn_begin, 1, MDB_PANIC, false);
    assert_int_equal(store_shard_commit(shard, &c, 1, &why), 0); // by opening anew
    faulty_disarm();
    for (int i = 0; i < 3; i++) {
        faulty_arm(FAULTY_mdb_txn_begin, 1, MDB_PANIC, true);
        c.id = 3 + (unsigned)i;
        assert_int_equal(store_shard_commit(shard, &c, 1, &why), EIO);
        faulty_disarm();
        assert_non_null(strstr(why.text, "can't be written"));
        faulty_arm(FAULTY_open, 1, EMFILE, true); // of the lock file, as it is opened anew
        store_shard_commit(shard, &c, 1, &why);
        faulty_disarm();
        assert_int_equal(store_shard_commit(shard, &c, 1, &why), 0);
    }
    store_shard_close(shard);
    store_close(s);
}

static int setup(void **state)
{
    turn.n = 0;
    return point_setup(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(fresh_records),
        TEST(changed_records),
        TEST(deleted_records),
        TEST(mixed_records),
        TEST(turn_that_grows_the_map),
        TEST(panic_ends_by_opening_anew),
        TEST(panic_without_a_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, point_print_table);
}
