// The store in good days: first use, turns, scans, growth, and re-partitioning; and who may not
// enter.

#include "tests/unit/store_fixture.h"

#include <sys/mount.h>
#include <sys/resource.h>

static void first_use_makes_all(void **state)
{
    (void)state;
    struct store *s = open_store(3);
    uint8_t key[STORE_KEY_BYTES], zero[STORE_KEY_BYTES] = {0};
    memcpy(key, store_key(s), sizeof key);
    assert_memory_not_equal(key, zero, sizeof key);
    assert_int_equal(store_next_id(s), 1);
    struct stat st;
    assert_int_equal(stat(STORE, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in_dir("store/gen-1/shard-2/data.mdb"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    expect_all(s, 3, 0, 0);
    store_close(s);
    s = open_store(3);
    assert_memory_equal(key, store_key(s), sizeof key);
    store_close(s);
    remove_tree(STORE);
    s = open_store(3);
    assert_memory_not_equal(key, store_key(s), sizeof key);
    store_close(s);
}

static void number_of_shards_has_limits(void **state)
{
    (void)state;
    refuse_store(0, EINVAL, "0 shards");
    refuse_store(STORE_SHARDS_MAX + 1, EINVAL, "65 shards");
    assert_int_not_equal(access(STORE, F_OK), 0);
    struct store *s = open_store(STORE_SHARDS_MAX);
    fill(s, STORE_SHARDS_MAX, 1, 200);
    expect_all(s, STORE_SHARDS_MAX, 200, 200 * 201 / 2);
    store_close(s);
}

static void place_must_be_a_directory(void **state)
{
    (void)state;
    struct store *s;
    struct store_error why;
    assert_int_equal(store_open(&s, in_dir("no/store"), 1, &why), ENOENT);
    assert_non_null(strstr(why.text, "can't be made"));
    copy_file("/proc/self/cmdline", in_dir("file"));
    assert_int_equal(store_open(&s, in_dir("file"), 1, &why), ENOTDIR);
    char *path = malloc(STORE_DIR_MAX + 2);
    memset(path, '/', STORE_DIR_MAX + 1);
    path[STORE_DIR_MAX + 1] = '\0';
    assert_int_equal(store_open(&s, path, 1, &why), ENAMETOOLONG);
    path[STORE_DIR_MAX] = '\0'; // the root directory, spelt as long as can be; in its place a file
    memcpy(path + STORE_DIR_MAX - 9, "/dev/null", 9);
    assert_int_equal(store_open(&s, path, 1, &why), ENOTDIR);
    free(path);
}

static void second_daemon_is_kept_out(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    uint64_t before = picture();
    refuse_store(1, EBUSY, "in use by another process");
    refuse_store(2, EBUSY, "in use by another process");
    assert_true(picture() == before);
    store_close(s);
    store_close(open_store(1));
}

static void read_only_is_said(void **state)
{
    (void)state;
    store_close(open_store(1));
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) { // a user who may read but not write
        if (chmod(fixture_dir, 0755) != 0 || chmod(STORE, 0755) != 0 || seteuid(65534) != 0)
            _exit(9);
        struct store *s;
        struct store_error why;
        int rc = store_open(&s, STORE, 1, &why);
        _exit(rc == EACCES && strstr(why.text, "can't be written to") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    if (mount(fixture_dir, fixture_dir, NULL, MS_BIND, NULL) != 0)
        skip();
    assert_int_equal(mount(NULL, fixture_dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    struct store *s;
    struct store_error why;
    int rc = store_open(&s, STORE, 1, &why);
    assert_int_equal(umount2(fixture_dir, MNT_DETACH), 0);
    assert_int_equal(rc, EROFS);
    assert_non_null(strstr(why.text, "can't be written to"));
}

static int note_ids(void *arg, uint64_t id, struct text record)
{
    char **p = arg;
    *p += sprintf(*p, "%llu:%.*s ", (unsigned long long)id, TEXT_ARG(record));
    return 0;
}

static void expect_text(struct store_shard *s, const char *want)
{
    char text[512] = "", *p = text;
    assert_int_equal(store_shard_scan(s, note_ids, &p), 0);
    assert_string_equal(text, want);
}

static void turn_is_applied_in_order(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    struct store_change turn[] = {
        {3, TEXT("three"), true}, {70000, TEXT("far"), true}, {3, TEXT("drei"), false},
        {5, TEXT("five"), false}, {70000, {0}, false},        {256, TEXT("low"), true},
        {256, {0}, false},        {256, TEXT("again"), true}, {99, {0}, false},
    };
    assert_int_equal(store_shard_commit(shard, turn, sizeof turn / sizeof *turn, NULL), 0);
    expect_text(shard, "3:drei 5:five 256:again ");
    struct store_change next[] = {{5, {0}, false}, {3, TEXT("3"), false}, {257, TEXT("x"), true}};
    assert_int_equal(store_shard_commit(shard, next, 3, NULL), 0);
    expect_text(shard, "3:3 256:again 257:x ");
    store_shard_close(shard);
    store_close(s);
    s = open_store(1);
    assert_int_equal(store_next_id(s), 258);
    shard = open_shard(s, 0);
    expect_text(shard, "3:3 256:again 257:x ");
    store_shard_close(shard);
    store_close(s);
}

static int stop_at_two(void *arg, uint64_t id, struct text record)
{
    (void)record;
    ++*(int *)arg;
    return id == 2 ? -7 : 0;
}

static void scan_stops_when_told(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(commit_one(shard, id, 0, true), 0);
    int seen = 0;
    assert_int_equal(store_shard_scan(shard, stop_at_two, &seen), -7);
    assert_int_equal(seen, 2);
    assert_int_equal(commit_one(shard, 4, 0, true), 0); // the scan left nothing open
    store_shard_close(shard);
    store_close(s);
}

static void next_id_is_above_all_shards(void **state)
{
    (void)state;
    struct store *s = open_store(3);
    struct store_shard *shard[3];
    for (unsigned i = 0; i < 3; i++)
        shard[i] = open_shard(s, i);
    assert_int_equal(commit_one(shard[0], 7, 0, true), 0);
    assert_int_equal(commit_one(shard[1], 1 << 20, 0, true), 0);
    assert_int_equal(commit_one(shard[1], 1 << 21, 0, true), 0);
    assert_int_equal(commit_delete(shard[1], 1 << 21), 0);
    for (unsigned i = 0; i < 3; i++)
        store_shard_close(shard[i]);
    store_close(s);
    s = open_store(3);
    assert_int_equal(store_next_id(s), (1 << 20) + 1);
    store_close(s);
}

static void bytes_count_used_pages(void **state)
{
    (void)state;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t empty = store_shard_bytes(shard);
    store_shard_close(shard);
    fill(s, 1, 1, 1000);
    shard = open_shard(s, 0);
    uint64_t full = store_shard_bytes(shard);
    assert_true(empty <= 3 * 4096);
    assert_in_range(full, 200 * 1000, 600 * 1000);
    for (uint64_t id = 1; id <= 1000; id++)
        assert_int_equal(commit_delete(shard, id), 0);
    assert_int_equal(store_shard_bytes(shard), empty);
    store_shard_close(shard);
    store_close(s);
}

// One turn of 1,500 records, 250 KB of small ones and 150 KB of large ones, into a map of 64 KB.
static void map_grows_and_turn_is_redone(void **state)
{
    (void)state;
    enum { TURN = 1500 };
    store_tuning.map_start_bytes = 1 << 16;
    static char bytes[TURN][RECORD_BYTES_MAX];
    static struct store_change v[TURN];
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    for (size_t i = 0; i < TURN; i++)
        v[i] = (struct store_change){i + 1, record_of(i + 1, 0, bytes[i]), true};
    assert_int_equal(store_shard_commit(shard, v, TURN, NULL), 0);
    store_shard_close(shard);
    expect_all(s, 1, TURN, TURN * (TURN + 1) / 2);
    store_close(s);
    s = open_store(1); // larger than a starting map
    fill(s, 1, TURN + 1, 3000);
    expect_all(s, 1, 3000, 3000 * 3001 / 2);
    store_close(s);
}

static void fill_until(struct store_shard *shard, int rc, uint64_t *next)
{
    int got;
    while ((got = commit_one(shard, *next, 0, true)) == 0)
        assert_true(++*next < 100000);
    assert_int_equal(got, rc);
}

static void map_that_cannot_grow_is_no_space(void **state)
{
    (void)state;
    store_tuning.map_start_bytes = 1 << 16;
    store_tuning.map_max_bytes = 1 << 18;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t next = 1;
    fill_until(shard, ENOSPC, &next);
    assert_true(next > 200);
    struct store_error why = {""};
    struct store_change c[] = {{1, {0}, false}, {next, TEXT("x"), true}};
    char big[RECORD_BYTES_MAX] = {1};
    c[1].record = (struct text){big, sizeof big};
    assert_int_equal(store_shard_commit(shard, c, 2, &why), ENOSPC);
    assert_non_null(strstr(why.text, "can't grow"));
    struct expect e = {.shards = 1};
    assert_int_equal(store_shard_scan(shard, expect_record, &e), 0); // id 1 is there, too
    assert_int_equal(e.count, next - 1);
    store_tuning.map_max_bytes = 1 << 19;
    assert_int_equal(commit_one(shard, next, 0, true), 0);
    store_shard_close(shard);
    expect_all(s, 1, next, next * (next + 1) / 2);
    store_close(s);
}

static uint64_t address_space_bytes(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%llu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4096;
}

// mmap fails in the middle of LMDB's growing, which leaves it without any map.
static int live_without_address_space(void)
{
    store_tuning.map_start_bytes = (size_t)64 << 20;
    struct store *s = open_store(1);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t next = 1;
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}, now = all;
    static char big[8 << 20];
    big[0] = 1;
    struct store_change c = {.record = {big, sizeof big}, .fresh = true};
    for (int rc = 0; rc == 0; next++) {
        now.rlim_cur = address_space_bytes() + (16 << 20);
        c.id = next;
        if (setrlimit(RLIMIT_AS, &now) != 0)
            return 2;
        rc = store_shard_commit(shard, &c, 1, NULL);
        if (setrlimit(RLIMIT_AS, &all) != 0)
            return 3;
        if (rc != 0 && rc != ENOSPC)
            return 4;
        if (next > 100)
            return 5;
    }
    struct store_change again = {.id = next - 1, .record = TEXT("x"), .fresh = true};
    if (store_shard_commit(shard, &again, 1, NULL) != 0)
        return 6;
    c.id = next; // with address space it grows
    return store_shard_commit(shard, &c, 1, NULL) == 0 && next > 5 ? 0 : 7;
}

static void address_space_that_runs_out_is_no_space(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(live_without_address_space());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void broken_promise_of_fresh_aborts(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct store *s = open_store(1);
        struct store_shard *shard = open_shard(s, 0);
        assert_int_equal(commit_one(shard, 5, 0, true), 0);
        dup2(open("/dev/null", O_WRONLY), 2);
        signal(SIGABRT, SIG_DFL);
        commit_one(shard, 4, 0, true);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void records_move_with_the_shards(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct store *s = open_store(1);
    fill(s, 1, 1, N);
    struct store_shard *shard = open_shard(s, 0);
    uint64_t count = N, sum = (uint64_t)N * (N + 1) / 2;
    for (uint64_t id = 10; id < N; id += 10, count--, sum -= id - 10)
        assert_int_equal(commit_delete(shard, id), 0);
    store_shard_close(shard);
    store_close(s);
    static const unsigned shards[] = {5, 2, 3, 3, 64, 1};
    static const unsigned generation[] = {2, 3, 4, 4, 5, 6};
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        s = open_store(shards[i]);
        assert_int_equal(store_next_id(s), N + 1);
        expect_all(s, shards[i], count, sum);
        store_close(s);
        char name[32];
        for (unsigned g = 1; g <= 6; g++) {
            snprintf(name, sizeof name, "store/gen-%u", g);
            assert_int_equal(access(in_dir(name), F_OK) == 0, g == generation[i]);
        }
    }
}

enum { HOUR_MS = 3600 * 1000 };
static const uint64_t noon_ms = 1700000000000;

// Opens it with so many shards, so many hours after noon; returns the former count then.
static unsigned former_count(unsigned shards, unsigned hours)
{
    store_tuning.now_ms = noon_ms + (uint64_t)hours * HOUR_MS;
    struct store *s = open_store(shards);
    unsigned former = store_former_shards(s, store_tuning.now_ms);
    store_close(s);
    return former;
}

static void former_count_is_the_largest(void **state)
{
    (void)state;
    assert_int_equal(former_count(5, 0), 0);
    assert_int_equal(former_count(5, 1), 0);
    assert_int_equal(former_count(2, 2), 5);
    assert_int_equal(former_count(2, 3), 5);
    assert_int_equal(former_count(1, 4), 5);
    assert_int_equal(former_count(3, 5), 5);
    assert_int_equal(former_count(5, 6), 0); // all its ports are shards' own again
    assert_int_equal(former_count(64, 7), 0);
    assert_int_equal(former_count(5, 8), 64);
    assert_int_equal(former_count(6, 9), 64);
}

static void former_count_ends_with_its_time(void **state)
{
    (void)state;
    store_close(open_store(5));
    assert_int_equal(former_count(2, 0), 5);
    struct store *s = open_store(2);
    assert_int_equal(store_former_shards(s, noon_ms + STORE_FORMER_MS - 1), 5);
    assert_int_equal(store_former_shards(s, noon_ms + STORE_FORMER_MS), 0);
    assert_int_equal(store_former_shards(s, noon_ms - 1), 5); // a clock that was set back
    store_close(s);
    assert_int_equal(former_count(3, 20), 5); // more shards are no reason to wait longer
    assert_int_equal(former_count(3, 24), 0);
    assert_int_equal(former_count(1, 24), 3); // of five no more is known
    assert_int_equal(former_count(4, 47), 0);
    assert_int_equal(former_count(2, 48), 4);
    assert_int_equal(former_count(1, 60), 4); // and from here on for a day
    assert_int_equal(former_count(1, 83), 4);
    assert_int_equal(former_count(1, 84), 0);
}

// As it was made before there were former counts.
static void forget_former_count(void)
{
    enum { META_FORMER = 4 };
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    size_t id = META_FORMER;
    MDB_val key = {sizeof id, &id};
    assert_int_equal(env_open(&env, in_dir("store/meta"), MDB_NOLOCK, NULL), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(env_table(txn, &table), 0);
    assert_int_equal(mdb_del(txn, table, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void store_without_former_count_opens(void **state)
{
    (void)state;
    struct store *s = open_store(3);
    fill(s, 3, 1, 100);
    store_close(s);
    forget_former_count();
    assert_int_equal(former_count(3, 0), 0);
    assert_int_equal(former_count(2, 1), 3);
    forget_former_count();
    s = open_store(2);
    assert_int_equal(store_former_shards(s, store_tuning.now_ms), 0);
    expect_all(s, 2, 100, 100 * 101 / 2);
    store_close(s);
}

static void leftovers_go_and_strangers_stay(void **state)
{
    (void)state;
    store_close(open_store(2));
    copy_tree(in_dir("store/gen-1"), in_dir("store/gen-2"));
    copy_tree(in_dir("store/gen-1"), in_dir("store/gen-007"));
    copy_tree(in_dir("store/meta"), in_dir("store/meta.new"));
    copy_file("/proc/self/cmdline", in_dir("store/notes"));
    copy_file("/proc/self/cmdline", in_dir("precious"));
    assert_int_equal(symlink(fixture_dir, in_dir("store/gen-9")), 0);
    store_close(open_store(2));
    assert_int_not_equal(access(in_dir("store/gen-2"), F_OK), 0);
    assert_int_not_equal(access(in_dir("store/gen-9"), F_OK), 0);
    assert_int_not_equal(access(in_dir("store/meta.new"), F_OK), 0);
    assert_int_equal(access(in_dir("store/gen-007"), F_OK), 0); // not a name of ours
    assert_int_equal(access(in_dir("store/notes"), F_OK), 0);
    assert_int_equal(access(in_dir("precious"), F_OK), 0);
}

// A shard's map and files are bound to the directory, not to its name at the time.
static void link_to_the_store_will_do(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_dir("disk"), 0700), 0);
    assert_int_equal(symlink("disk", STORE), 0);
    struct store *s = open_store(1);
    fill(s, 1, 1, 10);
    expect_all(s, 1, 10, 55);
    store_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(first_use_makes_all),
        TEST(number_of_shards_has_limits),
        TEST(place_must_be_a_directory),
        TEST(second_daemon_is_kept_out),
        TEST(read_only_is_said),
        TEST(turn_is_applied_in_order),
        TEST(scan_stops_when_told),
        TEST(next_id_is_above_all_shards),
        TEST(bytes_count_used_pages),
        TEST(map_grows_and_turn_is_redone),
        TEST(map_that_cannot_grow_is_no_space),
        TEST(address_space_that_runs_out_is_no_space),
        TEST(broken_promise_of_fresh_aborts),
        TEST(records_move_with_the_shards),
        TEST(former_count_is_the_largest),
        TEST(former_count_ends_with_its_time),
        TEST(store_without_former_count_opens),
        TEST(leftovers_go_and_strangers_stay),
        TEST(link_to_the_store_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
