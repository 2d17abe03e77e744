// Hash index from a 32-bit hash to object handles.
#include "core/table.h"

#include <assert.h>
#include <stdlib.h>

#include "core/wire/memory.h"

enum { TABLE_FIRST = 64 };

static void table_put(struct table *t, struct table_slot s)
{
    uint32_t at = s.hash & t->mask;
    while (t->v[at].handle)
        at = (at + 1) & t->mask;
    t->v[at] = s;
}

static bool table_grow(struct table *t)
{
    uint32_t slots = t->v ? (t->mask + 1) * 2 : TABLE_FIRST;
    struct table bigger = {memory_take_zeroed(slots, sizeof *t->v), slots - 1, t->n};
    if (!bigger.v)
        return false;
    for (uint32_t i = 0; t->v && i <= t->mask; i++)
        if (t->v[i].handle)
            table_put(&bigger, t->v[i]);
    free(t->v);
    *t = bigger;
    return true;
}

void table_free(struct table *t)
{
    free(t->v);
    *t = (struct table){0};
}

bool table_add(struct table *t, uint32_t hash, uint32_t handle)
{
    assert(handle);
    if (!t->v || t->n >= (t->mask + 1) / 4 * 3) // at most three quarters full
        if (!table_grow(t))
            return false;
    table_put(t, (struct table_slot){hash, handle});
    t->n++;
    return true;
}

// Backward shift: each entry behind the hole that may live in it moves up, so that no probe run is
// ever cut and no tombstones slow later probes down.
void table_remove(struct table *t, uint32_t hash, uint32_t handle)
{
    uint32_t at = hash & t->mask;
    while (t->v[at].handle != handle || t->v[at].hash != hash) {
        assert(t->v[at].handle);
        at = (at + 1) & t->mask;
    }
    uint32_t hole = at;
    for (at = (at + 1) & t->mask; t->v[at].handle; at = (at + 1) & t->mask) {
        uint32_t home = t->v[at].hash & t->mask;
        if (((at - home) & t->mask) >= ((at - hole) & t->mask)) {
            t->v[hole] = t->v[at];
            hole = at;
        }
    }
    t->v[hole].handle = 0;
    t->n--;
}

size_t table_bytes(const struct table *t)
{
    return t->v ? ((size_t)t->mask + 1) * sizeof *t->v : 0;
}
