// Hash index from a 32-bit hash to object handles.
#include "core/table.h"

#include <assert.h>
#include <stdlib.h>

#include "core/wire/memory.h"

enum { PART_FIRST = 8 };

// Four fifths, whatever the number.
static uint32_t part_most(uint32_t slots)
{
    return slots / 5 * 4 + slots % 5 * 4 / 5;
}

// A quarter of a power of two more: the sizes that the allocator has, too.
static uint32_t part_more(uint32_t slots)
{
    return slots ? slots + ((1u << (31 - __builtin_clz(slots))) >> 2) : PART_FIRST;
}

static void part_put(struct table_part *p, struct table_slot s)
{
    uint32_t at = table_home(p, s.hash);
    while (p->v[at].handle)
        at = table_behind(p, at);
    p->v[at] = s;
}

// Into `v`, which has `slots`, all zero.
static void part_move(struct table *t, struct table_part *p, struct table_slot *v, uint32_t slots)
{
    struct table_part moved = {v, slots, p->n};
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->v[i].handle)
            part_put(&moved, p->v[i]);
    t->bytes += slots * sizeof *v;
    t->bytes -= p->slots * sizeof *v;
    free(p->v);
    *p = moved;
}

static bool part_grow(struct table *t, struct table_part *p)
{
    uint32_t slots = part_more(p->slots);
    struct table_slot *v = memory_take_zeroed(slots, sizeof *v);
    if (v)
        part_move(t, p, v, slots);
    return v != NULL;
}

// From less than a third to half full. Without memory for that it stays as it is.
static void part_shrink(struct table *t, struct table_part *p)
{
    uint32_t slots = PART_FIRST;
    while (slots < p->n * 2)
        slots = part_more(slots);
    struct table_slot *v = calloc(slots, sizeof *v);
    if (v)
        part_move(t, p, v, slots);
}

void table_free(struct table *t)
{
    for (unsigned i = 0; t->parts && i < TABLE_PARTS; i++)
        free(t->parts[i].v);
    free(t->parts);
    *t = (struct table){0};
}

static bool table_begin(struct table *t)
{
    t->parts = memory_take_zeroed(TABLE_PARTS, sizeof *t->parts);
    if (t->parts)
        t->bytes = TABLE_PARTS * sizeof *t->parts;
    return t->parts != NULL;
}

bool table_add(struct table *t, uint32_t hash, uint32_t handle)
{
    assert(handle);
    if (!t->parts && !table_begin(t))
        return false;
    struct table_part *p = &t->parts[hash % TABLE_PARTS];
    if (p->n >= part_most(p->slots) && !part_grow(t, p))
        return false;
    part_put(p, (struct table_slot){hash, handle});
    p->n++;
    t->n++;
    return true;
}

// How far `to` is behind `from`, round the end.
static uint32_t part_distance(const struct table_part *p, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + p->slots - from;
}

// Backward shift: each entry behind the hole that may live in it moves up, so that no probe run is
// ever cut and no tombstones slow later probes down.
static void part_close(struct table_part *p, uint32_t hole)
{
    uint32_t at = table_behind(p, hole);
    for (; p->v[at].handle; at = table_behind(p, at)) {
        uint32_t home = table_home(p, p->v[at].hash);
        if (part_distance(p, home, at) >= part_distance(p, hole, at)) {
            p->v[hole] = p->v[at];
            hole = at;
        }
    }
    p->v[hole] = (struct table_slot){0};
}

void table_remove(struct table *t, uint32_t hash, uint32_t handle)
{
    struct table_part *p = &t->parts[hash % TABLE_PARTS];
    uint32_t at = table_home(p, hash);
    while (p->v[at].handle != handle || p->v[at].hash != hash) {
        assert(p->v[at].handle);
        at = table_behind(p, at);
    }
    part_close(p, at);
    p->n--;
    t->n--;
    if (p->slots > PART_FIRST && p->n < p->slots / 3)
        part_shrink(t, p);
}
