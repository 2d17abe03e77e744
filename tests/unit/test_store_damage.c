// Stores that can't be used: damaged in every way that we could think of, or of a newer version.
// Each is refused with a sentence, and stays as it is.

#include "tests/unit/store_fixture.h"

enum { PAGE = 4096, RECORDS = 2500 };

static void make_base(unsigned shards)
{
    struct store *s = open_store(shards);
    fill(s, shards, 1, RECORDS);
    for (unsigned i = 0; i < shards; i++) { // some free pages, too
        struct store_shard *shard = open_shard(s, i);
        for (uint64_t id = 400; id < 900; id++)
            assert_int_equal(commit_delete(shard, id), 0);
        store_shard_close(shard);
    }
    store_close(s);
    copy_tree(STORE, in_dir("base"));
}

static off_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void overwrite(const char *path, off_t at, const void *p, size_t n)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, at), n);
    close(fd);
}

static void flip(const char *path, off_t at, uint8_t bits)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

// Refused with this word, with the same number of shards and with another, and nothing changed.
static void expect_damaged(const char *word)
{
    uint64_t before = picture();
    refuse_store(2, EBADMSG, word);
    refuse_store(3, EBADMSG, word);
    assert_true(picture() == before);
    copy_tree(in_dir("base"), STORE);
    store_close(open_store(2));
}

#define SHARD1 (in_dir("store/gen-1/shard-1/data.mdb"))
#define META   (in_dir("store/meta/data.mdb"))

static void missing_parts_are_damage(void **state)
{
    (void)state;
    make_base(2);
    remove_tree(in_dir("store/gen-1/shard-1"));
    expect_damaged("shard-1/data.mdb is missing");
    assert_int_equal(unlink(SHARD1), 0);
    expect_damaged("shard-1/data.mdb is missing");
    remove_tree(in_dir("store/gen-1"));
    expect_damaged("shard-0/data.mdb is missing");
    remove_tree(in_dir("store/meta"));
    expect_damaged("no meta");
    assert_int_equal(unlink(META), 0);
    expect_damaged("meta/data.mdb is missing");
}

static void cut_files_are_damage(void **state)
{
    (void)state;
    make_base(2);
    static const off_t left[] = {0, 1, 100, PAGE, PAGE + 100, 2 * PAGE, 3 * PAGE, 20 * PAGE};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        assert_int_equal(truncate(SHARD1, left[i]), 0);
        expect_damaged("damaged");
    }
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(truncate(META, left[i]), 0);
        expect_damaged("damaged");
    }
}

static void wrong_heads_are_damage(void **state)
{
    (void)state;
    make_base(2);
    for (int page = 0; page < 2; page++) {
        flip(SHARD1, page * PAGE + 16, 1);
        expect_damaged("not one of LMDB");
        flip(META, page * PAGE + 16, 1);
        expect_damaged("not one of LMDB");
        flip(SHARD1, page * PAGE + 10, 8);
        expect_damaged("not one of LMDB");
        flip(SHARD1, page * PAGE + 20, 2);
        expect_damaged("another version of LMDB");
        flip(SHARD1, page * PAGE + 40, 1);
        expect_damaged("pages are of");
    }
}

static void overwrite_head(size_t at, uint64_t value, size_t n)
{
    overwrite(SHARD1, 16 + (off_t)at, &value, n);
    overwrite(SHARD1, PAGE + 16 + (off_t)at, &value, n);
}

// The heads are set back to the first transactions, and the free pages are of later ones.
static void free_pages_of_the_future_are_damage(void **state)
{
    (void)state;
    make_base(2);
    uint64_t number[] = {2, 1};
    for (int page = 0; page < 2; page++)
        overwrite(SHARD1, page * PAGE + 16 + 128, &number[page], sizeof number[page]);
    expect_damaged("a transaction to come");
}

static void wrong_trees_are_damage(void **state)
{
    (void)state;
    make_base(2);
    overwrite_head(72 + 4, 0, 2); // offsets of LMDB's struct MDB_meta: flags of the main tree
    expect_damaged("another kind");
    overwrite_head(24 + 4, MDB_INTEGERKEY | MDB_DUPSORT, 2); // the same of the free tree
    expect_damaged("another kind");
    overwrite_head(128, 1001, 8); // number of the last transaction
    expect_damaged("changed places");
    overwrite_head(72 + 6, 33, 2); // depth
    expect_damaged("impossible depth");
    overwrite_head(72 + 6, 1, 2);
    expect_damaged("not what it should be");
    overwrite_head(72 + 32, 5, 8); // entries
    expect_damaged("number of entries");
    overwrite_head(72 + 40, 1u << 30, 8); // root
    expect_damaged("beyond its end");
    overwrite_head(72 + 40, UINT64_MAX, 8);
    expect_damaged("lost its root");
    overwrite_head(72 + 40, 1, 8);
    expect_damaged("beyond its end");
    overwrite_head(120, 5, 8); // last page
    expect_damaged("beyond its end");
    overwrite_head(120, UINT64_MAX, 8);
    expect_damaged("file is cut");
}

// Uses a store as the daemon does: opens it, reads all of it, writes to it. What matters is that
// nothing aborts or crashes; the bytes of records may well be wrong.
static int read_any(void *arg, uint64_t id, struct text record)
{
    unsigned *sum = arg;
    for (size_t i = 0; i < record.n; i++)
        *sum += (uint8_t)record.p[i];
    *sum += (unsigned)id;
    return 0;
}

// New records, changed ones and deleted ones, in one turn each.
static int write_any(struct store_shard *shard, uint64_t next)
{
    enum { MANY = 40 };
    static char bytes[MANY][RECORD_BYTES_MAX];
    struct store_change v[MANY];
    for (uint64_t i = 0; i < MANY; i++)
        v[i] = (struct store_change){next + i, record_of(next + i, 0, bytes[i]), true};
    int rc = store_shard_commit(shard, v, MANY, NULL);
    for (uint64_t i = 0; rc == 0 && i < MANY; i++)
        v[i] = (struct store_change){next - 40 * i - 1, record_of(i, 1, bytes[i]), false};
    if (rc == 0)
        rc = store_shard_commit(shard, v, MANY, NULL);
    for (uint64_t i = 0; rc == 0 && i < MANY; i++)
        v[i] = (struct store_change){.id = next - 41 * i - 2};
    return rc == 0 ? store_shard_commit(shard, v, MANY, NULL) : rc;
}

static int use(void)
{
    struct store *s;
    struct store_error why = {""};
    int rc = store_open(&s, STORE, 1, &why);
    if (rc != 0)
        return rc == EBADMSG && strstr(why.text, "damaged") ? rc : -1;
    struct store_shard *shard = open_shard(s, 0);
    unsigned sum = 0;
    if (store_shard_scan(shard, read_any, &sum) != 0)
        return -2;
    if (write_any(shard, store_next_id(s)) != 0)
        return -3;
    store_shard_close(shard);
    store_close(s);
    return 0;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void damage_page(const char *path, unsigned kind, off_t page, unsigned *seed)
{
    uint8_t bytes[PAGE];
    size_t n = kind < 3 ? PAGE : 32;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 0xff : next_random(seed));
    if (kind == 4) { // another page's bytes
        int fd = open(path, O_RDONLY);
        assert_int_equal(pread(fd, bytes, PAGE, (page > 2 ? page - 1 : page + 1) * PAGE), PAGE);
        close(fd);
        n = PAGE;
    }
    overwrite(path, page * PAGE, bytes, n);
}

// Runs `cases` damages in a child, which a crash would end. Each case starts from the same store.
static void survive(unsigned cases, void (*damage)(const char *path, unsigned i),
                    unsigned refused_min)
{
    char path[512], base[512];
    snprintf(path, sizeof path, "%s", in_dir("store/gen-1/shard-0/data.mdb"));
    snprintf(base, sizeof base, "%s", in_dir("base/gen-1/shard-0/data.mdb"));
    pid_t child = fork();
    if (child == 0) {
        unsigned refused = 0;
        for (unsigned i = 0; i < cases; i++) {
            copy_file(base, path);
            damage(path, i);
            int rc = use();
            if (rc < 0) {
                print_message("case %u: %d\n", i, rc);
                _exit(1);
            }
            refused += rc != 0;
        }
        if (refused < refused_min)
            print_message("only %u of %u were refused\n", refused, cases);
        _exit(refused < refused_min ? 2 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static off_t base_pages;

static void damage_each_page(const char *path, unsigned i)
{
    unsigned seed = i;
    damage_page(path, i % 5, i / 5, &seed);
}

static void lost_pages_never_crash_us(void **state)
{
    (void)state;
    make_base(1);
    base_pages = size_of(in_dir("base/gen-1/shard-0/data.mdb")) / PAGE;
    assert_true(base_pages > 100);
    survive((unsigned)base_pages * 5, damage_each_page, (unsigned)base_pages);
}

// A few bits near the start of pages and everywhere: heads, offsets, nodes, free lists.
static void damage_bits(const char *path, unsigned i)
{
    unsigned seed = i * 7919;
    for (unsigned n = i % 3 + 1; n > 0; n--) {
        off_t page = (off_t)(next_random(&seed) % (unsigned)base_pages);
        if (i % 4 == 0)
            page = next_random(&seed) % 2;
        unsigned within = next_random(&seed) % (i % 2 ? PAGE : 160);
        flip(path, page * PAGE + within, (uint8_t)(1u << (next_random(&seed) % 8)));
    }
}

static void flipped_bits_never_crash_us(void **state)
{
    (void)state;
    make_base(1);
    base_pages = size_of(in_dir("base/gen-1/shard-0/data.mdb")) / PAGE;
    survive(1200, damage_bits, 200);
}

// Puts a value under an integer key of an environment.
static void put_raw(const char *path, uint64_t id, const void *p, size_t n)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val key = {sizeof id, &id}, value = {n, (void *)(uintptr_t)p};
    assert_int_equal(env_open(&env, path, MDB_NOLOCK, NULL), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(env_table(txn, &table), 0);
    assert_int_equal(mdb_put(txn, table, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void newer_version_is_left_alone(void **state)
{
    (void)state;
    make_base(2);
    uint8_t version[4] = {STORE_VERSION + 1};
    put_raw(in_dir("store/meta"), 1, version, sizeof version);
    copy_tree(in_dir("store/gen-1"), in_dir("store/gen-2")); // not even a leftover goes
    uint64_t before = picture();
    refuse_store(2, ENOTSUP, "of version 2, this program knows up to 1; nothing changed");
    refuse_store(5, ENOTSUP, "of version 2");
    assert_true(picture() == before);
    version[3] = 0x80;
    put_raw(in_dir("store/meta"), 1, version, sizeof version);
    refuse_store(2, ENOTSUP, "of version 2147483650");
}

static void meta_must_make_sense(void **state)
{
    (void)state;
    make_base(2);
    static const struct {
        uint64_t field;
        size_t n;
        uint8_t bytes[16];
    } cases[] = {
        {1, 4, {0}},                           // version 0
        {1, 3, {1}},                           // not of 4 bytes
        {2, 15, {1}},                          // key
        {3, 11, {1}},                          // partition
        {3, 12, {1, 0, 0, 0, 0, 0, 0, 0, 0}},  // a generation of no shards
        {3, 12, {1, 0, 0, 0, 0, 0, 0, 0, 65}}, // of more than can be
        {3, 12, {0, 0, 0, 0, 0, 0, 0, 0, 2}},  // shards of no generation
        {3, 12, {9, 0, 0, 0, 0, 0, 0, 0, 2}},  // that is not there
        {3, 12, {1, 0, 0, 0, 0, 0, 0, 0, 3}},  // a shard more than there is
        {4, 11, {1}},                          // former shards
        {4, 12, {1, 0, 0, 0, 0, 0, 0, 0, 65}}, // of which there were more than can be
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_raw(in_dir("store/meta"), cases[i].field, cases[i].bytes, cases[i].n);
        expect_damaged("damaged");
    }
}

// A record that can't be told its shard stops a re-partition, and only that.
static void refuse_to_move(uint64_t id, const void *p, size_t n, int rc, const char *words)
{
    put_raw(in_dir("store/gen-1/shard-1"), id, p, n);
    refuse_store(5, rc, words);
    assert_int_not_equal(access(in_dir("store/gen-2"), F_OK), 0);
    struct store *s = open_store(2);
    unsigned sum = 0;
    struct store_shard *shard = open_shard(s, 1);
    assert_int_equal(store_shard_scan(shard, read_any, &sum), 0);
    store_shard_close(shard);
    store_close(s);
    copy_tree(in_dir("base"), STORE);
}

static void bad_records_stop_a_re_partition(void **state)
{
    (void)state;
    make_base(2);
    char bytes[RECORD_BYTES_MAX];
    struct text record = record_of(RECORDS + 7, 0, bytes);
    bytes[0] = RECORD_VERSION + 1;
    refuse_to_move(RECORDS + 7, record.p, record.n, ENOTSUP, "id 2507 is of a newer version");
    bytes[0] = RECORD_VERSION;
    refuse_to_move(RECORDS + 7, record.p, 3, EBADMSG, "id 2507 is damaged");
    for (uint64_t id = 1; id < 20; id++) // an id that shard 0 has, too
        if (core_shard_of_hash(hash_of(id), 2) == 0) {
            record = record_of(id, 0, bytes);
            refuse_to_move(id, record.p, record.n, EBADMSG, "two shards have id");
        }
}

static void largest_id_is_damage(void **state)
{
    (void)state;
    make_base(2);
    put_raw(in_dir("store/gen-1/shard-1"), UINT64_MAX - 1, "x", 1);
    struct store *s = open_store(2);
    assert_true(store_next_id(s) == UINT64_MAX);
    store_close(s);
    put_raw(in_dir("store/gen-1/shard-1"), UINT64_MAX, "x", 1);
    expect_damaged("ids are out of order");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(missing_parts_are_damage),
        TEST(cut_files_are_damage),
        TEST(wrong_heads_are_damage),
        TEST(wrong_trees_are_damage),
        TEST(free_pages_of_the_future_are_damage),
        TEST(lost_pages_never_crash_us),
        TEST(flipped_bits_never_crash_us),
        TEST(newer_version_is_left_alone),
        TEST(meta_must_make_sense),
        TEST(bad_records_stop_a_re_partition),
        TEST(largest_id_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
