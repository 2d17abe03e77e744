// Opening the store when one call fails: each of LMDB's and of the file system's, the 1st, the 2nd,
// the 3rd …, with each error that it may give; once, and from then on.
//
//     a store ─▶ act, with a fault ─┬─▶ error: says why; nothing stays open or locked; the store is
//                                   │   as it was or as it was to be, and the act succeeds now
//                                   └─▶ no error: it is as it was to be
//
// No act takes longer than ACT_MS.
#include "store_point.h"

enum { RECORDS = 70, RECORDS_SUM = RECORDS * (RECORDS + 1) / 2 };

struct act {
    const char *name;
    unsigned base_shards; // of the store before it; 0: there is none
    int (*run)(struct store_error *why);
    // Opens it where nothing fails, and finds all that is to be there. False: but not the act's own
    // doing.
    bool (*is_done)(void);
};

// ---- What is there -----------------------------------------------------------------------------

static unsigned shards_in_force(void)
{
    struct meta meta;
    struct store_error why;
    if (meta_read(&meta, STORE, &why) != 0)
        blame("%s", why.text);
    return meta.shards;
}

static unsigned generations(void)
{
    unsigned n = 0;
    char name[32];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "store/gen-%u", i);
        n += access(in_dir(name), F_OK) == 0;
    }
    return n;
}

static struct store *open_well(unsigned shards)
{
    struct store *s;
    struct store_error why = {""};
    if (store_open(&s, STORE, shards, &why) != 0)
        blame("afterwards: %s", why.text);
    if (generations() != 1 || directory_has(s->fd, "meta.new"))
        blame("leftovers are there");
    return s;
}

static void expect_whole(unsigned shards)
{
    struct store *s = open_well(shards);
    assert_int_equal(store_next_id(s), RECORDS + 1);
    expect_all(s, shards, RECORDS, RECORDS_SUM);
    store_close(s);
}

static bool is_made(void)
{
    struct store *s = open_well(3);
    expect_all(s, 3, 0, 0);
    store_close(s);
    return true;
}

static bool is_as_before(void)
{
    expect_whole(3);
    return true;
}

// One generation is in force, the former or the next, and is whole.
static bool is_partitioned(unsigned from, unsigned to)
{
    unsigned shards = shards_in_force();
    if (shards != from && shards != to)
        blame("%u shards", shards);
    expect_whole(shards);
    struct store *s = open_well(shards);
    unsigned former = store_former_shards(s, store_now_ms());
    store_close(s);
    if (former != (shards == to && to < from ? from : 0))
        blame("%u former shards", former);
    return shards == to;
}

static bool is_split(void)
{
    return is_partitioned(1, 3);
}

static bool is_joined(void)
{
    return is_partitioned(3, 2);
}

// ---- The acts ----------------------------------------------------------------------------------

static int open_and_close(unsigned shards, struct store_error *why)
{
    struct store *s;
    int rc = store_open(&s, STORE, shards, why);
    assert_true((rc == 0) == (s != NULL));
    store_close(s);
    return rc;
}

static int open_three(struct store_error *why)
{
    return open_and_close(3, why);
}

static int open_two(struct store_error *why)
{
    return open_and_close(2, why);
}

static int count_one(void *arg, uint64_t id, struct text record)
{
    (void)id, (void)record;
    ++*(unsigned *)arg;
    return 0;
}

// One shard is opened, read through and closed.
static int restore_in(struct store *s, struct store_error *why)
{
    struct store_shard *shard;
    unsigned n = 0;
    int rc = store_shard_open(&shard, s, 1, why);
    if (rc == 0 && (rc = store_shard_scan(shard, count_one, &n)) != 0)
        snprintf(why->text, sizeof why->text, "store: reading shard 1: %s", env_text(rc));
    if (rc == 0)
        assert_in_range(n, RECORDS / 6, RECORDS / 2);
    store_shard_close(shard);
    return rc;
}

static int restore(struct store_error *why)
{
    struct store *s;
    int rc = store_open(&s, STORE, 3, why);
    if (rc == 0)
        rc = restore_in(s, why);
    store_close(s);
    return rc;
}

// ---- One point ---------------------------------------------------------------------------------

static void make_base(const struct act *act)
{
    remove_tree(STORE);
    if (!act->base_shards)
        return;
    struct store *s = open_store(act->base_shards);
    fill(s, act->base_shards, 1, RECORDS);
    store_close(s);
    copy_tree(STORE, in_dir("base"));
}

static void back_to_base(const struct act *act)
{
    if (act->base_shards)
        copy_tree(in_dir("base"), STORE);
    else
        remove_tree(STORE);
}

static bool fail_point(void *arg)
{
    const struct act *act = arg;
    struct store_error why = {""};
    back_to_base(act);
    point_begin();
    int rc = act->run(&why);
    if (!point_end(rc, &why))
        return false;
    expect_nothing_left_open();
    bool begun = access(STORE, F_OK) == 0 && access(in_dir("store/meta"), F_OK) == 0;
    bool done = begun || rc == 0 ? act->is_done() : false;
    if (rc == 0 && !done)
        blame("no error, and it is not done");
    if (act->run(&why) != 0)
        blame("the second time: %s", why.text);
    if (!act->is_done())
        blame("not done the second time");
    expect_nothing_left_open();
    return true;
}

static void fail_act(const struct act *act)
{
    make_base(act);
    fail_each(act->name, fail_point, (void *)(uintptr_t)act);
}

static void creating(void **state)
{
    (void)state;
    fail_act(&(struct act){"creating", 0, open_three, is_made});
}

static void opening(void **state)
{
    (void)state;
    fail_act(&(struct act){"opening", 3, restore, is_as_before});
}

static void one_shard_to_three(void **state)
{
    (void)state;
    fail_act(&(struct act){"one shard to three", 1, open_three, is_split});
}

static void three_shards_to_two(void **state)
{
    (void)state;
    fail_act(&(struct act){"three shards to two", 3, open_two, is_joined});
}

// A directory whose meta is lost is no new one, even if it can't be listed to its end.
static void lost_meta_is_not_made_anew(void **state)
{
    (void)state;
    store_close(open_store(1));
    remove_tree(in_dir("store/meta"));
    point.act = "lost meta";
    for (unsigned n = 1; n <= 4; n++) { // ".", "..", gen-1, the end, in whatever order
        struct store *s;
        struct store_error why = {""};
        faulty_arm(FAULTY_readdir, n, EIO, false);
        int rc = store_open(&s, STORE, 1, &why);
        faulty_disarm();
        assert_null(s);
        assert_true(rc == EIO || rc == EBADMSG);
        assert_int_not_equal(access(in_dir("store/meta"), F_OK), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, point_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(creating),
        TEST(opening),
        TEST(one_shard_to_three),
        TEST(three_shards_to_two),
        TEST(lost_meta_is_not_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, point_print_table);
}
