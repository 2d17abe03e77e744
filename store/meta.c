// The meta environment: version, hash key, which generation of how many shards is in force, and how
// many there were before.
//
// Its version is what every version of the store can read: it stays at META_VERSION, a u32, little
// endian, in the unnamed table of integer keys. The rest may change with it.

#include "store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

// A store that was never re-partitioned since there is a META_FORMER does not have it.
enum meta_field { META_VERSION = 1, META_KEY = 2, META_PARTITION = 3, META_FORMER = 4 };
enum {
    VERSION_BYTES = 4,
    PARTITION_BYTES = 12, // u64 generation, u32 shards
    FORMER_BYTES = 12,    // u64 time of the last lowering in ms, u32 shards
};

static void write_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t read_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int put(MDB_txn *txn, MDB_dbi table, enum meta_field field, const void *p, size_t n)
{
    size_t id = field;
    MDB_val key = {sizeof id, &id}, value = {n, (void *)(uintptr_t)p};
    return mdb_put(txn, table, &key, &value, 0);
}

static int put_partition(MDB_txn *txn, MDB_dbi table, uint64_t generation, unsigned shards)
{
    uint8_t bytes[PARTITION_BYTES];
    write_le(bytes, generation, 8);
    write_le(bytes + 8, shards, 4);
    return put(txn, table, META_PARTITION, bytes, sizeof bytes);
}

static int put_former(MDB_txn *txn, MDB_dbi table, const struct meta_former *f)
{
    uint8_t bytes[FORMER_BYTES];
    write_le(bytes, f->lowered_ms, 8);
    write_le(bytes + 8, f->shards, 4);
    return put(txn, table, META_FORMER, bytes, sizeof bytes);
}

static int put_all(MDB_txn *txn, MDB_dbi table, const void *arg)
{
    uint8_t version[VERSION_BYTES];
    write_le(version, STORE_VERSION, sizeof version);
    int rc = put(txn, table, META_VERSION, version, sizeof version);
    if (rc == 0)
        rc = put(txn, table, META_KEY, arg, STORE_KEY_BYTES);
    return rc ? rc : put_partition(txn, table, 0, 0);
}

static int put_switch(MDB_txn *txn, MDB_dbi table, const void *arg)
{
    const struct meta *m = arg;
    int rc = put_partition(txn, table, m->generation, m->shards);
    return rc ? rc : put_former(txn, table, &m->former);
}

// One transaction, synced whole: no MDB_NOMETASYNC here.
static int write_env(const char *path, int (*each)(MDB_txn *, MDB_dbi, const void *),
                     const void *arg, struct store_error *why)
{
    MDB_env *env;
    int rc = env_open(&env, path, MDB_NOLOCK, why);
    if (rc != 0)
        return rc;
    MDB_txn *txn = NULL;
    MDB_dbi table;
    rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc == 0)
        rc = env_table(txn, &table);
    if (rc == 0)
        rc = each(txn, table, arg);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    mdb_env_close(env);
    if (rc != 0)
        return store_fail(why, env_write_errno(path, rc), "store: %s can't be written: %s", path,
                          env_text(rc));
    return 0;
}

static int move_into_place(int dir_fd, const char *dir, struct store_error *why)
{
    if (renameat(dir_fd, "meta.new", dir_fd, "meta") != 0)
        return store_fail(why, errno, "store %s: meta can't be moved into place: %s", dir,
                          strerror(errno));
    return directory_sync(dir, why);
}

int meta_create(int dir_fd, const char *dir, struct store_error *why)
{
    uint8_t key[STORE_KEY_BYTES];
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return store_fail(why, EIO, "store %s: no random bytes for its key", dir);
    struct store_path path;
    store_path(&path, "%s/meta.new", dir);
    int rc = directory_remove(dir_fd, "meta.new");
    if (rc != 0)
        return store_fail(why, rc, "store: %s can't be removed: %s", path.z, strerror(rc));
    rc = directory_make(path.z, why);
    if (rc == 0)
        rc = write_env(path.z, put_all, key, why);
    if (rc == 0)
        rc = directory_sync(path.z, why);
    if (rc == 0)
        rc = move_into_place(dir_fd, dir, why);
    return rc;
}

int meta_switch(const char *dir, const struct meta *m, struct store_error *why)
{
    struct store_path path;
    store_path(&path, "%s/meta", dir);
    return write_env(path.z, put_switch, m, why);
}

// A clock that was set back makes it needed for longer; that costs no more than a few sockets.
bool meta_former_is_needed(const struct meta_former *f, uint64_t now_ms)
{
    return f->shards && (now_ms < f->lowered_ms || now_ms - f->lowered_ms < STORE_FORMER_MS);
}

// A count that grows lets go of nothing: 5, 2, 3 still leaves two ports that were shards' own.
struct meta_former meta_former_after(const struct meta_former *f, unsigned from, unsigned to,
                                     uint64_t now_ms)
{
    struct meta_former after = meta_former_is_needed(f, now_ms) ? *f : (struct meta_former){0};
    if (to >= from)
        return after;
    after.lowered_ms = now_ms;
    if (after.shards < from)
        after.shards = from;
    return after;
}

// NULL: absent, or not of n bytes.
static const uint8_t *get(MDB_txn *txn, MDB_dbi table, enum meta_field field, size_t n)
{
    size_t id = field;
    MDB_val key = {sizeof id, &id}, value;
    int rc = mdb_get(txn, table, &key, &value);
    return rc == 0 && value.mv_size == n ? value.mv_data : NULL;
}

static bool is_partition(const struct meta *m)
{
    return m->generation == 0 ? m->shards == 0 : m->shards >= 1 && m->shards <= STORE_SHARDS_MAX;
}

// Absent from a store that an earlier program made: then nothing is known, and nothing needed.
static bool read_former(struct meta_former *out, MDB_txn *txn, MDB_dbi table)
{
    size_t id = META_FORMER;
    MDB_val key = {sizeof id, &id}, value;
    *out = (struct meta_former){0};
    int rc = mdb_get(txn, table, &key, &value);
    if (rc != 0)
        return rc == MDB_NOTFOUND;
    if (value.mv_size != FORMER_BYTES)
        return false;
    out->lowered_ms = read_le(value.mv_data, 8);
    out->shards = (unsigned)read_le((const uint8_t *)value.mv_data + 8, 4);
    return out->shards <= STORE_SHARDS_MAX;
}

static int read_fields(struct meta *out, MDB_txn *txn, MDB_dbi table, const char *dir,
                       struct store_error *why)
{
    const uint8_t *version = get(txn, table, META_VERSION, VERSION_BYTES);
    if (version && read_le(version, VERSION_BYTES) > STORE_VERSION)
        return store_fail(why, ENOTSUP,
                          "store %s: of version %llu, this program knows up to %d; nothing changed",
                          dir, (unsigned long long)read_le(version, VERSION_BYTES), STORE_VERSION);
    const uint8_t *key = get(txn, table, META_KEY, STORE_KEY_BYTES);
    const uint8_t *partition = get(txn, table, META_PARTITION, PARTITION_BYTES);
    if (!version || read_le(version, VERSION_BYTES) == 0 || !key || !partition)
        return store_fail(why, EBADMSG, "store %s: damaged: meta lacks a field", dir);
    memcpy(out->key, key, STORE_KEY_BYTES);
    out->generation = read_le(partition, 8);
    out->shards = (unsigned)read_le(partition + 8, 4);
    if (!is_partition(out))
        return store_fail(why, EBADMSG, "store %s: damaged: meta has %u shards in generation %llu",
                          dir, out->shards, (unsigned long long)out->generation);
    if (!read_former(&out->former, txn, table))
        return store_fail(why, EBADMSG, "store %s: damaged: meta's former shards", dir);
    return 0;
}

int meta_read(struct meta *out, const char *dir, struct store_error *why)
{
    struct store_path path;
    store_path(&path, "%s/meta", dir);
    uint64_t id;
    MDB_env *env;
    int rc = verify_env(path.z, &id, why);
    if (rc == 0)
        rc = env_open(&env, path.z, MDB_RDONLY | MDB_NOLOCK, why);
    if (rc != 0)
        return rc;
    MDB_txn *txn = NULL;
    MDB_dbi table;
    rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = env_table(txn, &table);
    if (rc != 0)
        rc = store_fail(why, env_errno(rc), "store: %s can't be read: %s", path.z, env_text(rc));
    else
        rc = read_fields(out, txn, table, dir, why);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return rc;
}
