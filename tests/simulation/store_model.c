// The store's model; it holds the core to what store/store.h asks of a commit.
#include "store_model.h"

#include <stdlib.h>

#include "core/record.h"
#include "inspector.h"

static size_t store_place(const struct store_model *s, uint64_t id)
{
    size_t from = 0, to = s->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (s->v[middle].id < id)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void store_insert(struct store_model *s, size_t at, uint64_t id, unsigned shard)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->v = realloc(s->v, s->cap * sizeof *s->v);
        if (!s->v)
            abort();
    }
    memmove(&s->v[at + 1], &s->v[at], (s->n++ - at) * sizeof *s->v);
    s->v[at] = (struct store_model_record){.id = id, .shard = shard};
}

// ---- The last transaction

static void tail_add(struct store_model_tail *t, uint64_t id, struct text before)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->v = realloc(t->v, t->cap * sizeof *t->v);
        if (!t->v)
            abort();
    }
    t->v[t->n++] = (struct store_model_undo){id, before.p ? world_copy(before) : NULL, before.n};
}

static void tail_forget(struct store_model_tail *t)
{
    while (t->n)
        free(t->v[--t->n].bytes);
}

static void store_remove(struct store_model *s, size_t at)
{
    free(s->v[at].bytes);
    memmove(&s->v[at], &s->v[at + 1], (--s->n - at) * sizeof *s->v);
}

// As if it had never been. `lost`: peers may have been told of it.
static void store_undo(struct world *w, struct store_model *s, unsigned shard, bool lost)
{
    struct store_model_tail *t = &s->tail[shard];
    while (t->n) {
        const struct store_model_undo *u = &t->v[--t->n];
        size_t i = store_place(s, u->id);
        bool there = i < s->n && s->v[i].id == u->id;
        struct text now = there ? (struct text){s->v[i].bytes, s->v[i].n} : (struct text){0};
        if (lost)
            inspector_lost(w, (struct text){u->bytes, u->n}, now);
        if (there)
            store_remove(s, i);
        if (u->bytes) {
            store_insert(s, i, u->id, shard);
            s->v[i].bytes = u->bytes;
            s->v[i].n = u->n;
        }
    }
}

// ---- Writes

static void store_put(struct world *w, struct store_model *s, unsigned shard,
                      const struct effect *e, struct text bytes)
{
    size_t i = store_place(s, e->id);
    bool there = i < s->n && s->v[i].id == e->id;
    world_expect(w, there != e->fresh, "id %llu is %s", (unsigned long long)e->id,
                 there ? "given out twice" : "changed but not stored");
    world_expect(w, !there || s->v[i].shard == shard, "id %llu is of shard %u, not %u",
                 (unsigned long long)e->id, there ? s->v[i].shard : 0, shard);
    for (size_t k = i; e->fresh && k < s->n; k++)
        world_expect(w, s->v[k].shard != shard, "fresh id %llu is below %llu in its shard",
                     (unsigned long long)e->id, (unsigned long long)s->v[k].id);
    tail_add(&s->tail[shard], e->id,
             there ? (struct text){s->v[i].bytes, s->v[i].n} : (struct text){0});
    if (!there)
        store_insert(s, i, e->id, shard);
    free(s->v[i].bytes);
    s->v[i].bytes = world_copy(bytes);
    s->v[i].n = bytes.n;
}

static void store_delete(struct world *w, struct store_model *s, unsigned shard, uint64_t id)
{
    size_t i = store_place(s, id);
    if (i == s->n || s->v[i].id != id) {
        world_broken(w, "id %llu is deleted but not stored", (unsigned long long)id);
        return;
    }
    world_expect(w, s->v[i].shard == shard, "shard %u deletes id %llu of shard %u", shard,
                 (unsigned long long)id, s->v[i].shard);
    inspector_deleted(w, (struct text){s->v[i].bytes, s->v[i].n});
    tail_add(&s->tail[shard], id, (struct text){s->v[i].bytes, s->v[i].n});
    store_remove(s, i);
}

static bool is_write(const struct effect *e)
{
    return e->kind == EFFECT_PUT || e->kind == EFFECT_DELETE;
}

static void store_write(struct world *w, struct store_model *s, unsigned shard,
                        const struct effects *fx, size_t writes)
{
    tail_forget(&s->tail[shard]);
    for (size_t i = 0; i < fx->n && writes && !w->failed; i++) {
        const struct effect *e = &fx->v[i];
        writes -= is_write(e);
        if (e->kind == EFFECT_PUT)
            store_put(w, s, shard, e, effect_text(fx, e));
        else if (e->kind == EFFECT_DELETE)
            store_delete(w, s, shard, e->id);
    }
}

void store_model_commit(struct world *w, struct store_model *s, unsigned shard,
                        const struct effects *fx)
{
    store_write(w, s, shard, fx, SIZE_MAX);
    inspector_committed(w, true);
}

void store_model_die_within(struct world *w, struct store_model *s, unsigned shard,
                            const struct effects *fx)
{
    uint32_t writes = 0;
    for (size_t i = 0; i < fx->n; i++)
        writes += is_write(&fx->v[i]);
    store_write(w, s, shard, fx, world_below(w, writes + 1));
    store_undo(w, s, shard, false);
    inspector_committed(w, false);
}

void store_model_power_failure(struct world *w, struct store_model *s)
{
    for (unsigned i = 0; i < STORE_MODEL_SHARDS_MAX; i++)
        if (world_chance(w, 700))
            store_undo(w, s, i, true);
}

void store_model_partition(struct world *w, struct store_model *s, unsigned shards)
{
    for (unsigned i = 0; i < STORE_MODEL_SHARDS_MAX; i++)
        tail_forget(&s->tail[i]);
    for (size_t i = 0; i < s->n; i++) {
        uint32_t hash = 0;
        struct text record = {s->v[i].bytes, s->v[i].n};
        world_expect(w, record_owner_hash(record, &hash) == 0, "a record can't be read");
        s->v[i].shard = core_shard_of_hash(hash, shards);
    }
}

uint64_t store_model_next_id(const struct store_model *s)
{
    return s->n ? s->v[s->n - 1].id + 1 : 1;
}

void store_model_free(struct store_model *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i].bytes);
    free(s->v);
    for (unsigned i = 0; i < STORE_MODEL_SHARDS_MAX; i++) {
        tail_forget(&s->tail[i]);
        free(s->tail[i].v);
    }
}
