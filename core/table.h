// Hash index from a 32-bit hash to object handles: eight bytes an entry, linear probing, no
// tombstones.
//
// The table knows nothing of the objects: the caller walks the handles of a hash and compares.
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint32_t hash, handle; // handle 0: empty
};

struct table {
    struct table_slot *v;
    uint32_t mask, n; // mask + 1 slots; v NULL: none yet
};

void table_free(struct table *t);
// False: no memory. Duplicates of a hash are welcome.
bool table_add(struct table *t, uint32_t hash, uint32_t handle);
void table_remove(struct table *t, uint32_t hash, uint32_t handle);

// for (uint32_t at = table_first(t, h, &x); x; at = table_next(t, h, at, &x)) …
static inline uint32_t table_seek(const struct table *t, uint32_t hash, uint32_t at,
                                  uint32_t *handle)
{
    *handle = 0;
    if (!t->v)
        return 0;
    for (;; at = (at + 1) & t->mask) {
        if (!t->v[at].handle)
            return at;
        if (t->v[at].hash == hash) {
            *handle = t->v[at].handle;
            return at;
        }
    }
}

static inline uint32_t table_first(const struct table *t, uint32_t hash, uint32_t *handle)
{
    return table_seek(t, hash, hash & t->mask, handle);
}

static inline uint32_t table_next(const struct table *t, uint32_t hash, uint32_t at,
                                  uint32_t *handle)
{
    return table_seek(t, hash, (at + 1) & t->mask, handle);
}

size_t table_bytes(const struct table *t);

#endif
