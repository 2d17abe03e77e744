// One shard's environment: group commit, and the scan at start.
//
// LMDB's lock file is kept, though the store's own lock lets one process in only: with it an
// operator can copy a running shard (mdb_copy), as its reader is seen here.

#include "store/inner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct store_shard {
    MDB_env *env; // NULL: closed after a failure, opened again by the next commit
    MDB_dbi table;
    unsigned flags;
    uint64_t bytes;
    // The last commit failed, so this may be its turn once more. A meta page whose writing failed
    // half-way may have left it stored after all: then `fresh` ids are there.
    bool redo;
    struct place place;
    struct store *store; // NULL: not open by number
    unsigned number;
    char path[];
};

static void detach(struct store_shard *s)
{
    mdb_env_close(s->env);
    s->env = NULL;
}

// The table's handle is made, and its flags stored, when the shard is opened for the first time.
static int open_table(struct store_shard *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, s->flags & MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    rc = env_table(txn, &s->table);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int attach(struct store_shard *s, struct store_error *why)
{
    if (s->env)
        return 0;
    int rc = place_check(&s->place, s->path, why); // LMDB would begin a new file, without a word
    if (rc == 0)
        rc = env_open(&s->env, s->path, s->flags, why);
    if (rc != 0)
        return rc;
    place_note(&s->place, s->env);
    rc = open_table(s);
    if (rc != 0) {
        detach(s);
        return store_fail(why, env_write_errno(s->path, rc), "store: %s: %s", s->path,
                          env_text(rc));
    }
    s->bytes = env_bytes(s->env);
    return 0;
}

// LMDB goes on after a meta page whose writing failed only when it is opened anew (MDB_PANIC).
static int begin(struct store_shard *s, unsigned flags, MDB_txn **txn)
{
    int rc = attach(s, NULL);
    if (rc == 0)
        rc = mdb_txn_begin(s->env, NULL, flags, txn);
    if (rc != MDB_PANIC)
        return rc;
    detach(s);
    rc = attach(s, NULL);
    return rc ? rc : mdb_txn_begin(s->env, NULL, flags, txn);
}

int shard_open_path(struct store_shard **out, const char *path, unsigned flags,
                    struct store_error *why)
{
    *out = NULL;
    size_t n = strlen(path) + 1;
    struct store_shard *s = calloc(1, sizeof *s + n);
    if (!s)
        return store_fail(why, ENOMEM, "store: %s: out of memory", path);
    memcpy(s->path, path, n);
    s->flags = flags;
    int rc = attach(s, why);
    if (rc != 0) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int store_shard_open(struct store_shard **out, struct store *s, unsigned shard,
                     struct store_error *why)
{
    assert(shard < s->shards);
    uint64_t bit = (uint64_t)1 << shard;
    uint64_t before = atomic_fetch_or(&s->open, bit);
    assert(!(before & bit));
    struct store_path path;
    store_shard_path(&path, s->dir, s->generation, shard);
    // NOMETASYNC: one fdatasync for each commit instead of two. A crash of the process loses
    // nothing; a power failure may undo the last commit of each shard, whole.
    int rc = shard_open_path(out, path.z, MDB_NOMETASYNC, why);
    if (rc != 0) {
        atomic_fetch_and(&s->open, ~bit);
        return rc;
    }
    (*out)->store = s;
    (*out)->number = shard;
    return 0;
}

void store_shard_close(struct store_shard *s)
{
    if (!s)
        return;
    if (s->env && !(s->flags & MDB_RDONLY))
        mdb_env_sync(s->env, 1); // the last meta page too
    detach(s);
    if (s->store)
        atomic_fetch_and(&s->store->open, ~((uint64_t)1 << s->number));
    free(s);
}

int shard_sync(struct store_shard *s, struct store_error *why)
{
    int rc = mdb_env_sync(s->env, 1);
    if (rc != 0)
        return store_fail(why, env_write_errno(s->path, rc), "store: %s can't be synced: %s",
                          s->path, env_text(rc));
    return 0;
}

// Part of a shard's map.
struct extent {
    uintptr_t begin, end;
};

static void extent_add(struct extent *e, const MDB_val *value)
{
    uintptr_t begin = (uintptr_t)value->mv_data, end = begin + value->mv_size;
    e->begin = !e->end || begin < e->begin ? begin : e->begin;
    e->end = end > e->end ? end : e->end;
}

// Its pages need not be resident any longer: what is read again costs no more than a page fault.
static void extent_release(const struct extent *e)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = e->begin & ~(page - 1);
    if (e->end)
        madvise((void *)begin, e->end - begin, MADV_DONTNEED);
}

static int scan_with(MDB_cursor *cursor, int (*each)(void *, uint64_t, struct text), void *arg,
                     int *stopped, struct extent *read)
{
    MDB_val key, value;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t id;
        memcpy(&id, key.mv_data, sizeof id);
        extent_add(read, &value);
        *stopped = each(arg, id, (struct text){value.mv_data, value.mv_size});
        if (*stopped != 0)
            return 0;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_shard_scan(struct store_shard *s, int (*each)(void *, uint64_t id, struct text record),
                     void *arg)
{
    MDB_txn *txn;
    int rc = begin(s, MDB_RDONLY, &txn);
    if (rc != 0)
        return env_errno(rc);
    MDB_cursor *cursor = NULL;
    struct extent read = {0};
    int stopped = 0;
    rc = mdb_cursor_open(txn, s->table, &cursor);
    if (rc == 0)
        rc = scan_with(cursor, each, arg, &stopped, &read);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    extent_release(&read); // of all that was read little is needed again
    return rc != 0 ? env_errno(rc) : stopped;
}

static int put(struct store_shard *s, MDB_cursor *cursor, const struct store_change *c)
{
    size_t id = c->id;
    MDB_val key = {sizeof id, &id}, value = {c->record.n, (void *)(uintptr_t)c->record.p};
    int rc = mdb_cursor_put(cursor, &key, &value, c->fresh ? MDB_APPEND : 0);
    if (rc != MDB_KEYEXIST)
        return rc;
    assert(s->redo); // else the caller broke the promise of `fresh`
    return mdb_cursor_put(cursor, &key, &value, 0);
}

static int drop(MDB_txn *txn, MDB_dbi table, uint64_t id)
{
    size_t key_id = id;
    MDB_val key = {sizeof key_id, &key_id};
    int rc = mdb_del(txn, table, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc; // never stored: put and deleted within one turn
}

static int apply(struct store_shard *s, MDB_txn *txn, const struct store_change *v, size_t n)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, s->table, &cursor);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = v[i].record.n != 0 ? put(s, cursor, &v[i]) : drop(txn, s->table, v[i].id);
    return rc; // the end of the transaction closes the cursor
}

static int try_turn(struct store_shard *s, const struct store_change *v, size_t n)
{
    MDB_txn *txn;
    int rc = begin(s, 0, &txn);
    if (rc != 0)
        return rc;
    rc = apply(s, txn, v, n);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int failed(struct store_shard *s, int rc, struct store_error *why)
{
    s->redo = true;
    int e = env_write_errno(s->path, rc);
    if (e == ENOSPC)
        return store_fail(why, e, "store: %s: no space left on its disk", s->path);
    return store_fail(why, e == ENOMEM ? e : EIO, "store: %s can't be written: %s", s->path,
                      env_text(rc));
}

static int grow(struct store_shard *s, struct store_error *why)
{
    int rc = env_grow(s->env);
    if (rc == 0)
        return 0;
    s->redo = true;
    detach(s); // its map may be gone
    return store_fail(why, ENOSPC, "store: %s: its map can't grow: %s", s->path, env_text(rc));
}

int store_shard_commit(struct store_shard *s, const struct store_change *v, size_t n,
                       struct store_error *why)
{
    if (n == 0)
        return 0;
    int rc;
    while ((rc = try_turn(s, v, n)) == MDB_MAP_FULL) {
        rc = grow(s, why);
        if (rc != 0)
            return rc;
    }
    if (rc != 0)
        return failed(s, rc, why);
    s->redo = false;
    s->bytes = env_bytes(s->env);
    return 0;
}

uint64_t store_shard_bytes(const struct store_shard *s)
{
    return s->bytes;
}

bool store_shard_is_cramped(const struct store_shard *s, bool before)
{
    struct statvfs fs;
    if (statvfs(s->path, &fs) != 0)
        return false;
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t kept = (uint64_t)fs.f_blocks * fs.f_frsize / STORE_ROOM_PART;
    if (kept > STORE_ROOM_BYTES)
        kept = STORE_ROOM_BYTES;
    return left < (before ? kept + kept / 4 : kept);
}

bool store_shard_is_lost(const struct store_shard *s, struct store_error *why)
{
    return place_check(&s->place, s->path, why) != 0;
}
