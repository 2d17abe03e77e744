// Slabs of equal objects named by 32-bit handles: half a pointer, never moving.
//
// Handle 0 names nothing. The lowest free one is given out first: so what is left of a burst crowds
// together, and slabs that come to be empty go back to the allocator, all but one. Free objects
// are poisoned for AddressSanitizer, which sees no allocation of its own in each of them.
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_CHUNK = 1024 }; // objects per slab

struct pool_slab {
    uint64_t taken[POOL_CHUNK / 64]; // a bit for each object
    uint16_t n;
    uint16_t low; // no word of `taken` before this one has room
};

struct pool {
    char **chunks; // of each slab the bytes; NULL: given back
    struct pool_slab *slabs;
    uint64_t *room;   // a bit for each slab that is not full
    uint32_t low;     // no word of `room` before this one has any
    uint32_t spare;   // the slab that is held although it is empty, counted from 1; 0: none
    uint32_t n_slabs; // held or given back
    uint32_t live;    // objects
    uint32_t size;    // bytes per object
    size_t bytes;     // held
};

void pool_init(struct pool *p, size_t object_size);
void pool_free(struct pool *p);
// A zeroed object; 0: no memory.
uint32_t pool_take(struct pool *p);
void pool_give(struct pool *p, uint32_t handle);
// Any number at all may be asked about.
bool pool_has(const struct pool *p, uint64_t handle);
// The next object behind `handle` (0: the first of all); 0: none. Whatever was given and taken
// meanwhile, a walk by it meets all objects that are there all the time.
uint32_t pool_after(const struct pool *p, uint32_t handle);

static inline size_t pool_bytes(const struct pool *p)
{
    return p->bytes;
}

static inline void *pool_at(const struct pool *p, uint32_t handle)
{
    uint32_t i = handle - 1;
    return p->chunks[i / POOL_CHUNK] + (size_t)(i % POOL_CHUNK) * p->size;
}

#endif
