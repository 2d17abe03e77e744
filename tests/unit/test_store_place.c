// A store whose file is removed, moved away, or replaced while it is open: that is seen, and
// nothing is begun in its place.
#include "tests/unit/store_fixture.h"

#define FILE_OF_SHARD (in_dir("store/gen-1/shard-0/data.mdb"))

static bool is_lost(const struct store_shard *shard, const char *words)
{
    struct store_error why = {""};
    bool lost = store_shard_is_lost(shard, &why);
    if (lost && !strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
    return lost;
}

static void expect_found(struct store_shard *shard)
{
    struct store_error why = {""};
    if (store_shard_is_lost(shard, &why))
        fail_msg("%s", why.text);
}

// What is written while it is away is in it when it is back.
static void moved_away_and_back(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    expect_found(shard);
    assert_int_equal(commit_one(shard, 1, 0, true), 0);
    expect_found(shard);
    assert_int_equal(rename(STORE, in_dir("elsewhere")), 0);
    assert_true(is_lost(shard, "shard-0/data.mdb was removed, or moved away"));
    assert_int_equal(commit_one(shard, 2, 0, true), 0);
    assert_int_equal(rename(in_dir("elsewhere"), STORE), 0);
    expect_found(shard);
    store_shard_close(shard);
    store_close(s);
    s = open_store(1);
    expect_all(s, 1, 2, 3);
    store_close(s);
}

static void removed(void **state)
{
    (void)state;
    struct store *s = open_store(2);
    struct store_shard *shard = open_shard(s, 0), *other = open_shard(s, 1);
    assert_int_equal(unlink(FILE_OF_SHARD), 0);
    assert_true(is_lost(shard, "was removed, or moved away"));
    expect_found(other);
    remove_tree(STORE);
    assert_true(is_lost(shard, "was removed, or moved away"));
    assert_true(is_lost(other, "shard-1/data.mdb was removed, or moved away"));
    copy_file("/proc/self/cmdline", STORE); // no directory: no file below it
    assert_true(is_lost(shard, "was removed, or moved away"));
    assert_int_equal(unlink(STORE), 0);
    store_shard_close(shard);
    store_shard_close(other);
    store_close(s);
}

// The very same bytes, and yet nothing that is written from now on will be among them.
static void replaced(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    assert_int_equal(commit_one(shard, 1, 0, true), 0);
    copy_file(FILE_OF_SHARD, in_dir("copy"));
    assert_int_equal(rename(in_dir("copy"), FILE_OF_SHARD), 0);
    assert_true(is_lost(shard, "shard-0/data.mdb is another file than the one in use"));
    store_shard_close(shard);
    store_close(s);
}

// Not to be able to look (EACCES, for who dropped his rights) is no loss.
static void what_cannot_be_looked_at_is_there(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    assert_int_equal(chmod(fixture_dir, 0700), 0);
    assert_int_equal(seteuid(65534), 0);
    struct stat st;
    bool hidden = stat(FILE_OF_SHARD, &st) != 0 && errno == EACCES;
    bool lost = store_shard_is_lost(shard, NULL);
    assert_int_equal(seteuid(0), 0);
    assert_true(hidden);
    assert_false(lost);
    store_shard_close(shard);
    store_close(s);
}

// A shard that was closed after a failure opens its file anew: not another one, and LMDB would make
// an empty one where there is none.
static void nothing_is_begun_in_its_place(void **state)
{
    (void)state;
    store_tuning.map_start_bytes = 1 << 16;
    store_tuning.map_max_bytes = 1 << 18;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t next = 1;
    while (commit_one(shard, next, 0, true) == 0) // until its map can't grow, which closes it
        assert_true(++next < 100000);
    store_tuning.map_max_bytes = 1 << 19;
    assert_int_equal(rename(FILE_OF_SHARD, in_dir("away")), 0);
    assert_true(is_lost(shard, "was removed, or moved away"));
    assert_int_equal(commit_one(shard, next, 0, true), EIO);
    assert_int_not_equal(access(FILE_OF_SHARD, F_OK), 0);
    copy_file(in_dir("away"), FILE_OF_SHARD);
    assert_int_equal(commit_one(shard, next, 0, true), EIO);
    assert_int_equal(rename(in_dir("away"), FILE_OF_SHARD), 0);
    assert_int_equal(commit_one(shard, next, 0, true), 0);
    expect_found(shard);
    store_shard_close(shard);
    expect_all(s, 1, next, next * (next + 1) / 2);
    store_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(moved_away_and_back),
        TEST(removed),
        TEST(replaced),
        TEST(what_cannot_be_looked_at_is_there),
        TEST(nothing_is_begun_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
