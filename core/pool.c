// Slabs of equal objects named by 32-bit handles.
#include "core/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/memory.h"

void pool_init(struct pool *p, size_t object_size)
{
    assert(object_size >= sizeof(uint32_t));
    *p = (struct pool){.size = (uint32_t)((object_size + 7) & ~(size_t)7)};
}

void pool_free(struct pool *p)
{
    for (uint32_t i = 0; i < p->n_chunks; i++)
        free(p->chunks[i]);
    free(p->chunks);
    pool_init(p, p->size);
}

static bool pool_grow(struct pool *p)
{
    if (p->n_chunks == UINT32_MAX / POOL_CHUNK)
        return false;
    char **chunks = memory_grow(p->chunks, (p->n_chunks + 1) * sizeof *chunks);
    if (!chunks)
        return false;
    p->chunks = chunks;
    chunks[p->n_chunks] = memory_take((size_t)p->size * POOL_CHUNK);
    if (!chunks[p->n_chunks])
        return false;
    p->n_chunks++;
    return true;
}

uint32_t pool_take(struct pool *p)
{
    uint32_t handle = p->free_head;
    if (handle) {
        memcpy(&p->free_head, pool_at(p, handle), sizeof p->free_head);
    } else {
        if (p->used == p->n_chunks * POOL_CHUNK && !pool_grow(p))
            return 0;
        handle = ++p->used;
    }
    p->live++;
    memset(pool_at(p, handle), 0, p->size);
    return handle;
}

void pool_give(struct pool *p, uint32_t handle)
{
    assert(handle && handle <= p->used && p->live);
    void *o = pool_at(p, handle);
    memset(o, 0, p->size);
    memcpy(o, &p->free_head, sizeof p->free_head);
    p->free_head = handle;
    p->live--;
}

size_t pool_bytes(const struct pool *p)
{
    return (size_t)p->n_chunks * (POOL_CHUNK * (size_t)p->size + sizeof *p->chunks);
}
