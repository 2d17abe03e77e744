// Hash index from a 32-bit hash to object handles: eight bytes an entry and little more, linear
// probing, no tombstones.
//
// The table knows nothing of the objects: the caller walks the handles of a hash and compares. The
// low bits of a hash choose one of many parts, and have to be good. Parts grow and shrink by
// themselves and by small steps: there is no moment at which a large table is copied as a whole,
// and none at which it is half empty.
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TABLE_PARTS = 64 };

struct table_slot {
    uint32_t hash, handle; // handle 0: empty
};

struct table_part {
    struct table_slot *v; // NULL: none yet
    uint32_t slots, n;    // of them in use: at most four fifths
};

struct table {
    uint32_t n;
    size_t bytes;
    struct table_part *parts; // NULL: none yet
};

void table_free(struct table *t);
// False: no memory. Duplicates of a hash are welcome.
bool table_add(struct table *t, uint32_t hash, uint32_t handle);
// There is room then to add another of the same hash.
void table_remove(struct table *t, uint32_t hash, uint32_t handle);

// By Fibonacci hashing (Knuth, vol. 3, 6.4), as the high bits are no good by themselves: those of
// its users are all but the same on a shard, which they choose (core/route.c).
static inline uint32_t table_home(const struct table_part *p, uint32_t hash)
{
    return (uint32_t)((uint64_t)(hash * 0x9e3779b1u) * p->slots >> 32);
}

static inline uint32_t table_behind(const struct table_part *p, uint32_t at)
{
    return at + 1 == p->slots ? 0 : at + 1;
}

static inline uint32_t table_seek(const struct table_part *p, uint32_t hash, uint32_t at,
                                  uint32_t *handle)
{
    while (p->v[at].handle && p->v[at].hash != hash)
        at = table_behind(p, at);
    *handle = p->v[at].handle;
    return at;
}

// for (uint32_t at = table_first(t, h, &x); x; at = table_next(t, h, at, &x)) …
static inline uint32_t table_first(const struct table *t, uint32_t hash, uint32_t *handle)
{
    const struct table_part *p = t->parts ? &t->parts[hash % TABLE_PARTS] : NULL;
    *handle = 0;
    return p && p->v ? table_seek(p, hash, table_home(p, hash), handle) : 0;
}

static inline uint32_t table_next(const struct table *t, uint32_t hash, uint32_t at,
                                  uint32_t *handle)
{
    const struct table_part *p = &t->parts[hash % TABLE_PARTS];
    return table_seek(p, hash, table_behind(p, at), handle);
}

static inline size_t table_bytes(const struct table *t)
{
    return t->bytes;
}

#endif
