// Slabs of equal objects named by 32-bit handles: half a pointer, never moving, reused last-in
// first-out.
//
// Handle 0 names nothing. Each object begins with a uint32_t that the pool uses while it is free.
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_CHUNK = 1024 }; // objects per slab

struct pool {
    char **chunks;
    uint32_t n_chunks, used, live, free_head; // used: handles ever given out
    uint32_t size;                            // bytes per object
};

void pool_init(struct pool *p, size_t object_size);
void pool_free(struct pool *p);
// A zeroed object; 0: no memory.
uint32_t pool_take(struct pool *p);
void pool_give(struct pool *p, uint32_t handle);
size_t pool_bytes(const struct pool *p);

static inline void *pool_at(const struct pool *p, uint32_t handle)
{
    uint32_t i = handle - 1;
    return p->chunks[i / POOL_CHUNK] + (size_t)(i % POOL_CHUNK) * p->size;
}

#endif
