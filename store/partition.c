// Re-partitioning: all records of one generation, merged by id, into a next one of other shards.
//
// Nothing of the old generation is touched before the new one is whole and on disk, and in force.
// The first start comes through here too: from generation 0, which has no shards.

#include "store/inner.h"

#include "core/record.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { PARTITION_BATCH = 1024 }; // records of one commit to one shard

struct source {
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    bool more; // id and record are its next
    uint64_t id;
    struct text record; // in the map, until the transaction ends
};

struct target {
    struct store_shard *shard;
    size_t n;
    struct store_change change[PARTITION_BATCH];
};

struct partition {
    struct store *store;
    uint64_t generation; // the new one
    unsigned n_sources, n_targets;
    struct source source[STORE_SHARDS_MAX];
    struct target *target;
    struct store_error *why;
};

static int source_fail(struct partition *p, unsigned i, int rc)
{
    return store_fail(p->why, env_errno(rc), "store %s: shard %u can't be read: %s", p->store->dir,
                      i, env_text(rc));
}

static int source_next(struct partition *p, unsigned i)
{
    struct source *s = &p->source[i];
    MDB_val key, value;
    int rc = mdb_cursor_get(s->cursor, &key, &value, MDB_NEXT);
    s->more = rc == 0;
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : source_fail(p, i, rc);
    memcpy(&s->id, key.mv_data, sizeof s->id);
    s->record = (struct text){value.mv_data, value.mv_size};
    return 0;
}

static int source_open(struct partition *p, unsigned i)
{
    struct source *s = &p->source[i];
    struct store_path path;
    store_shard_path(&path, p->store->dir, p->store->generation, i);
    int rc = env_open(&s->env, path.z, MDB_RDONLY | MDB_NOLOCK, p->why);
    if (rc != 0)
        return rc;
    MDB_dbi table;
    rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
    if (rc == 0)
        rc = env_table(s->txn, &table);
    if (rc == 0)
        rc = mdb_cursor_open(s->txn, table, &s->cursor);
    return rc == 0 ? source_next(p, i) : source_fail(p, i, rc);
}

static void source_close(struct source *s)
{
    mdb_cursor_close(s->cursor);
    mdb_txn_abort(s->txn);
    mdb_env_close(s->env);
    *s = (struct source){0};
}

static int target_open(struct partition *p, unsigned i)
{
    struct store_path path;
    store_shard_path(&path, p->store->dir, p->generation, i);
    int rc = directory_make(path.z, p->why);
    // NOSYNC: a new generation is of no use before it is whole, and is synced once then.
    if (rc == 0)
        rc = shard_open_path(&p->target[i].shard, path.z, MDB_NOSYNC, p->why);
    return rc;
}

static int target_flush(struct partition *p, struct target *t)
{
    int rc = store_shard_commit(t->shard, t->change, t->n, p->why);
    t->n = 0;
    return rc;
}

static int target_add(struct partition *p, uint64_t id, struct text record)
{
    uint32_t hash;
    int rc = record_owner_hash(record, &hash);
    if (rc != 0)
        return store_fail(p->why, rc, "store %s: the record of id %llu is %s; nothing changed",
                          p->store->dir, (unsigned long long)id,
                          rc == ENOTSUP ? "of a newer version" : "damaged");
    unsigned i = core_shard_of_hash(hash, p->n_targets);
    assert(i < p->n_targets);
    struct target *t = &p->target[i];
    t->change[t->n++] = (struct store_change){.id = id, .record = record, .fresh = true};
    return t->n == PARTITION_BATCH ? target_flush(p, t) : 0;
}

// The source whose next id is the least; NULL: all are read.
static struct source *least(struct partition *p)
{
    struct source *found = NULL;
    for (unsigned i = 0; i < p->n_sources; i++) {
        struct source *s = &p->source[i];
        if (s->more && (!found || s->id < found->id))
            found = s;
    }
    return found;
}

static int merge(struct partition *p)
{
    uint64_t last = 0;
    bool any = false;
    int rc = 0;
    for (struct source *s; rc == 0 && (s = least(p)); any = true) {
        if (any && s->id == last)
            return store_fail(p->why, EBADMSG,
                              "store %s: damaged: two shards have id %llu; nothing changed",
                              p->store->dir, (unsigned long long)s->id);
        last = s->id;
        rc = target_add(p, s->id, s->record);
        if (rc == 0)
            rc = source_next(p, (unsigned)(s - p->source));
    }
    for (unsigned i = 0; rc == 0 && i < p->n_targets; i++)
        rc = target_flush(p, &p->target[i]);
    return rc;
}

static int sync_target(struct partition *p, unsigned i)
{
    struct store_path path;
    store_shard_path(&path, p->store->dir, p->generation, i);
    int rc = shard_sync(p->target[i].shard, p->why);
    if (rc == 0)
        rc = directory_sync(path.z, p->why);
    return rc;
}

static int write_generation(struct partition *p)
{
    struct store_path path;
    store_path(&path, "%s/gen-%llu", p->store->dir, (unsigned long long)p->generation);
    int rc = directory_make(path.z, p->why);
    for (unsigned i = 0; rc == 0 && i < p->n_targets; i++)
        rc = target_open(p, i);
    for (unsigned i = 0; rc == 0 && i < p->n_sources; i++)
        rc = source_open(p, i);
    if (rc == 0)
        rc = merge(p);
    for (unsigned i = 0; rc == 0 && i < p->n_targets; i++)
        rc = sync_target(p, i);
    return rc;
}

static void close_all(struct partition *p)
{
    for (unsigned i = 0; i < p->n_sources; i++)
        source_close(&p->source[i]);
    for (unsigned i = 0; i < p->n_targets; i++)
        store_shard_close(p->target[i].shard);
}

static int switch_to(struct partition *p)
{
    struct store *s = p->store;
    struct meta m = {
        .generation = p->generation,
        .shards = p->n_targets,
        .former = meta_former_after(&s->former, s->shards, p->n_targets, store_now_ms()),
    };
    int rc = meta_switch(s->dir, &m, p->why);
    if (rc != 0)
        return rc;
    s->generation = m.generation;
    s->shards = m.shards;
    s->former = m.former;
    return directory_sweep(s->fd, s->generation, p->why);
}

int partition_run(struct store *s, unsigned shards, struct store_error *why)
{
    struct partition p = {.store = s,
                          .generation = s->generation + 1,
                          .n_sources = s->shards,
                          .n_targets = shards,
                          .why = why};
    p.target = calloc(shards, sizeof *p.target);
    if (!p.target)
        return store_fail(why, ENOMEM, "store %s: out of memory", s->dir);
    int rc = write_generation(&p);
    close_all(&p);
    if (rc == 0)
        rc = switch_to(&p);
    else
        directory_sweep(s->fd, s->generation,
                        NULL); // gives its space back; else the next start does
    free(p.target);
    return rc;
}
