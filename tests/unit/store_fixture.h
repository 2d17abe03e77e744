// What the tests of the store share: a directory of their own, records, and pictures of what is
// there.
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/record.h"
#include "store/inner.h"

#define HELPER __attribute__((unused)) static

// A record as the store sees one: version, direction, owner's hash, and bytes that are its own. Its
// size depends on the id; every 64th one is larger than a page.
enum { RECORD_BYTES_MAX = 9000 };

HELPER uint32_t hash_of(uint64_t id)
{
    uint64_t x = (id + 1) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(x >> 29);
}

// `round` makes another record of the same id.
HELPER struct text record_of(uint64_t id, unsigned round, char *into)
{
    size_t n = id % 64 == 63 ? 4000 + (id * 31 + round) % 5000 : 100 + (id * 7 + round) % 300;
    uint32_t hash = hash_of(id);
    into[0] = RECORD_VERSION;
    into[1] = (char)(id & 1);
    for (int i = 0; i < 4; i++)
        into[2 + i] = (char)(hash >> (8 * i));
    for (size_t i = 6; i < n; i++)
        into[i] = (char)(id * 17 + i * 3 + round);
    return (struct text){into, n};
}

HELPER int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

HELPER void remove_tree(const char *path)
{
    if (access(path, F_OK) == 0)
        assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

// One directory for each test, with places in it for a store and its copies.
HELPER char fixture_dir[64];
HELPER const char *in_dir(const char *name)
{
    static char path[8][256];
    static unsigned at;
    char *p = path[at++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", fixture_dir, name);
    return p;
}

HELPER int fixture_setup(void **state)
{
    (void)state;
    snprintf(fixture_dir, sizeof fixture_dir, "/tmp/isthmus-store-XXXXXX");
    store_tuning.map_start_bytes = (size_t)1 << 20;
    store_tuning.map_max_bytes = (size_t)1 << 40;
    store_tuning.now_ms = 0;
    return mkdtemp(fixture_dir) ? 0 : -1;
}

HELPER int fixture_teardown(void **state)
{
    (void)state;
    remove_tree(fixture_dir);
    return 0;
}

#define STORE (in_dir("store"))

HELPER struct store *open_store(unsigned shards)
{
    struct store *s;
    struct store_error why = {""};
    int rc = store_open(&s, STORE, shards, &why);
    if (rc != 0)
        fail_msg("store_open: %d, %s", rc, why.text);
    return s;
}

// Opens a store that must be refused so.
HELPER void refuse_store(unsigned shards, int rc, const char *words)
{
    struct store *s;
    struct store_error why = {""};
    assert_int_equal(store_open(&s, STORE, shards, &why), rc);
    assert_null(s);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

HELPER struct store_shard *open_shard(struct store *s, unsigned shard)
{
    struct store_shard *out;
    struct store_error why = {""};
    int rc = store_shard_open(&out, s, shard, &why);
    if (rc != 0)
        fail_msg("store_shard_open: %d, %s", rc, why.text);
    return out;
}

HELPER int commit_one(struct store_shard *s, uint64_t id, unsigned round, bool fresh)
{
    static char bytes[RECORD_BYTES_MAX];
    struct store_change c = {.id = id, .record = record_of(id, round, bytes), .fresh = fresh};
    return store_shard_commit(s, &c, 1, NULL);
}

HELPER int commit_delete(struct store_shard *s, uint64_t id)
{
    struct store_change c = {.id = id};
    return store_shard_commit(s, &c, 1, NULL);
}

// Ids first … last, each in the shard that it belongs to, a hundred in a turn.
HELPER void fill(struct store *s, unsigned shards, uint64_t first, uint64_t last)
{
    enum { TURN = 100 };
    static char bytes[TURN][RECORD_BYTES_MAX];
    struct store_change v[TURN];
    for (unsigned i = 0; i < shards; i++) {
        struct store_shard *shard = open_shard(s, i);
        size_t n = 0;
        for (uint64_t id = first; id <= last; id++) {
            if (core_shard_of_hash(hash_of(id), shards) == i) {
                v[n] = (struct store_change){id, record_of(id, 0, bytes[n]), true};
                n++;
            }
            if (n == TURN || id == last) {
                assert_int_equal(store_shard_commit(shard, v, n, NULL), 0);
                n = 0;
            }
        }
        store_shard_close(shard);
    }
}

// What a scan must find: records of round 0, ids ascending, each in its shard.
struct expect {
    unsigned shard, shards;
    uint64_t last, count, sum;
};

HELPER int expect_record(void *arg, uint64_t id, struct text record)
{
    struct expect *e = arg;
    static char bytes[RECORD_BYTES_MAX];
    assert_true(id > e->last);
    assert_true(text_eq(record, record_of(id, 0, bytes)));
    assert_int_equal(core_shard_of_hash(hash_of(id), e->shards), e->shard);
    e->last = id;
    e->count++;
    e->sum += id;
    return 0;
}

// That the open store holds `count` records of round 0, whose ids have that sum.
HELPER void expect_all(struct store *s, unsigned shards, uint64_t count, uint64_t sum)
{
    uint64_t n = 0, ids = 0;
    for (unsigned i = 0; i < shards; i++) {
        struct store_shard *shard = open_shard(s, i);
        struct expect e = {.shard = i, .shards = shards};
        assert_int_equal(store_shard_scan(shard, expect_record, &e), 0);
        store_shard_close(shard);
        n += e.count;
        ids += e.sum;
    }
    assert_int_equal(n, count);
    assert_int_equal(ids, sum);
}

// Names, sizes, and times of last change of all that is below the store, as one number.
HELPER uint64_t picture_hash;
HELPER int picture_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)kind, (void)at;
    char line[512];
    snprintf(line, sizeof line, "%s %lld %lld.%09ld", path, (long long)st->st_size,
             (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = line; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    picture_hash += h; // whatever order the directory has
    return 0;
}

HELPER uint64_t picture(void)
{
    picture_hash = 0;
    assert_int_equal(nftw(STORE, picture_one, 16, FTW_PHYS), 0);
    return picture_hash;
}

// cp -a, files of a store only.
HELPER void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    ssize_t n;
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    assert_int_equal(n, 0);
    close(in);
    close(out);
}

HELPER const char *copy_from, *copy_to;
HELPER int copy_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)at;
    char to[512];
    snprintf(to, sizeof to, "%s%s", copy_to, path + strlen(copy_from));
    if (kind == FTW_D)
        return mkdir(to, 0700);
    copy_file(path, to);
    return 0;
}

HELPER void copy_tree(const char *from, const char *to)
{
    remove_tree(to);
    copy_from = from;
    copy_to = to;
    assert_int_equal(nftw(from, copy_one, 16, FTW_PHYS), 0);
}

#endif
