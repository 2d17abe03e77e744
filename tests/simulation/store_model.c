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
    free(s->v[i].bytes);
    memmove(&s->v[i], &s->v[i + 1], (--s->n - i) * sizeof *s->v);
}

void store_model_commit(struct world *w, struct store_model *s, unsigned shard,
                        const struct effects *fx)
{
    for (size_t i = 0; i < fx->n && !w->failed; i++) {
        const struct effect *e = &fx->v[i];
        if (e->kind == EFFECT_PUT)
            store_put(w, s, shard, e, effect_text(fx, e));
        if (e->kind == EFFECT_DELETE)
            store_delete(w, s, shard, e->id);
    }
    inspector_committed(w);
}

void store_model_partition(struct world *w, struct store_model *s, unsigned shards)
{
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
}
