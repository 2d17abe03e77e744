// Slabs of equal objects named by 32-bit handles.
#include "core/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hide.h"
#include "core/wire/memory.h"

enum { SLAB_WORDS = POOL_CHUNK / 64 };

void pool_init(struct pool *p, size_t object_size)
{
    *p = (struct pool){.size = (uint32_t)object_size};
}

void pool_free(struct pool *p)
{
    for (uint32_t i = 0; i < p->n_slabs; i++)
        free(p->chunks[i]);
    free(p->chunks);
    free(p->slabs);
    free(p->room);
    pool_init(p, p->size);
}

// Sixty-four slabs at a time: as many as a word of `room` has bits.
static bool pool_grow_lists(struct pool *p)
{
    size_t slabs = p->n_slabs + 64;
    char **chunks = memory_grow(p->chunks, slabs * sizeof *chunks);
    if (!chunks)
        return false;
    p->chunks = chunks;
    struct pool_slab *all = memory_grow(p->slabs, slabs * sizeof *all);
    if (!all)
        return false;
    p->slabs = all;
    uint64_t *room = memory_grow(p->room, slabs / 64 * sizeof *room);
    if (!room)
        return false;
    p->room = room;
    room[p->n_slabs / 64] = 0;
    return true;
}

static bool pool_grow(struct pool *p)
{
    if (p->n_slabs == UINT32_MAX / POOL_CHUNK)
        return false;
    if (p->n_slabs % 64 == 0 && !pool_grow_lists(p))
        return false;
    p->chunks[p->n_slabs] = NULL;
    p->slabs[p->n_slabs] = (struct pool_slab){0};
    p->bytes += sizeof *p->chunks + sizeof *p->slabs;
    p->room[p->n_slabs / 64] |= (uint64_t)1 << p->n_slabs % 64;
    p->low = p->n_slabs / 64;
    p->n_slabs++;
    return true;
}

// The first slab that is not full; n_slabs: none.
static uint32_t pool_roomy(struct pool *p)
{
    for (; p->low * 64 < p->n_slabs; p->low++)
        if (p->room[p->low])
            return p->low * 64 + (uint32_t)__builtin_ctzll(p->room[p->low]);
    return p->n_slabs;
}

static bool pool_hold(struct pool *p, uint32_t slab)
{
    size_t bytes = (size_t)p->size * POOL_CHUNK;
    p->chunks[slab] = memory_take(bytes);
    if (!p->chunks[slab])
        return false;
    hide(p->chunks[slab], bytes);
    p->bytes += bytes;
    return true;
}

// The lowest free place of a slab that is not full.
static uint32_t pool_place(struct pool *p, uint32_t slab)
{
    struct pool_slab *s = &p->slabs[slab];
    while (s->taken[s->low] == UINT64_MAX)
        s->low++;
    uint64_t *word = &s->taken[s->low];
    unsigned bit = (unsigned)__builtin_ctzll(~*word);
    *word |= (uint64_t)1 << bit;
    if (++s->n == POOL_CHUNK)
        p->room[slab / 64] &= ~((uint64_t)1 << slab % 64);
    return s->low * 64u + bit;
}

uint32_t pool_take(struct pool *p)
{
    uint32_t slab = pool_roomy(p);
    if (slab == p->n_slabs && !pool_grow(p))
        return 0;
    if (!p->chunks[slab] && !pool_hold(p, slab))
        return 0;
    if (p->spare == slab + 1)
        p->spare = 0;
    uint32_t handle = slab * POOL_CHUNK + pool_place(p, slab) + 1;
    p->live++;
    show(pool_at(p, handle), p->size);
    memset(pool_at(p, handle), 0, p->size);
    return handle;
}

// Of two empty slabs the lower one stays: it is the next to be needed.
static void pool_emptied(struct pool *p, uint32_t slab)
{
    uint32_t first = p->spare ? p->spare - 1 : slab;
    uint32_t last = first > slab ? first : slab;
    p->spare = (first < slab ? first : slab) + 1;
    if (last == p->spare - 1)
        return;
    free(p->chunks[last]);
    p->chunks[last] = NULL;
    p->bytes -= (size_t)p->size * POOL_CHUNK;
}

void pool_give(struct pool *p, uint32_t handle)
{
    uint32_t slab = (handle - 1) / POOL_CHUNK, place = (handle - 1) % POOL_CHUNK;
    struct pool_slab *s = &p->slabs[slab];
    assert(pool_has(p, handle));
    hide(pool_at(p, handle), p->size);
    s->taken[place / 64] &= ~((uint64_t)1 << place % 64);
    if (place / 64 < s->low)
        s->low = (uint16_t)(place / 64);
    p->room[slab / 64] |= (uint64_t)1 << slab % 64;
    if (slab / 64 < p->low)
        p->low = slab / 64;
    p->live--;
    if (--s->n == 0)
        pool_emptied(p, slab);
}

bool pool_has(const struct pool *p, uint64_t handle)
{
    if (handle == 0 || handle > (uint64_t)p->n_slabs * POOL_CHUNK)
        return false;
    uint32_t place = (uint32_t)(handle - 1) % POOL_CHUNK;
    return p->slabs[(handle - 1) / POOL_CHUNK].taken[place / 64] >> place % 64 & 1;
}

uint32_t pool_after(const struct pool *p, uint32_t handle)
{
    uint32_t words = p->n_slabs * SLAB_WORDS, at = handle / 64;
    for (uint64_t skip = handle % 64; at < words; at++, skip = 0) {
        uint64_t taken = p->slabs[at / SLAB_WORDS].taken[at % SLAB_WORDS] >> skip << skip;
        if (taken)
            return at * 64 + (uint32_t)__builtin_ctzll(taken) + 1;
    }
    return 0;
}
