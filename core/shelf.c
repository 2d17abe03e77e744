// Small blocks of bytes by size, in slabs.
//
// A slab lies at a multiple of its size, so that it is found from each of its blocks. Free blocks
// hang together by their first two bytes; behind `fresh` nothing has been given out yet, and no
// memory touched.
#include "core/shelf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hide.h"
#include "core/wire/memory.h"

struct shelf_slab {
    struct shelf_slab *next, *prev; // in `roomy`
    uint32_t fresh;                 // offset
    uint16_t size, used;
    uint16_t free; // offset of a block, in steps; 0: none
};

enum { SLAB_HEAD = (sizeof(struct shelf_slab) + SHELF_STEP - 1) / SHELF_STEP * SHELF_STEP };

static size_t shelf_size(size_t n)
{
    return n ? (n + SHELF_STEP - 1) / SHELF_STEP * SHELF_STEP : SHELF_STEP;
}

static struct shelf_slab **shelf_roomy(struct shelf *s, size_t size)
{
    return &s->roomy[size / SHELF_STEP];
}

static struct shelf_slab *slab_of(void *block)
{
    return (struct shelf_slab *)((uintptr_t)block & ~(uintptr_t)(SHELF_SLAB - 1));
}

static void slab_link(struct shelf *s, struct shelf_slab *slab)
{
    struct shelf_slab **first = shelf_roomy(s, slab->size);
    slab->prev = NULL;
    slab->next = *first;
    if (slab->next)
        slab->next->prev = slab;
    *first = slab;
}

static void slab_unlink(struct shelf *s, struct shelf_slab *slab)
{
    if (slab->next)
        slab->next->prev = slab->prev;
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        *shelf_roomy(s, slab->size) = slab->next;
}

static struct shelf_slab *slab_create(struct shelf *s, size_t size)
{
    struct shelf_slab *slab = memory_take_aligned(SHELF_SLAB, SHELF_SLAB);
    if (!slab)
        return NULL;
    *slab = (struct shelf_slab){.fresh = SLAB_HEAD, .size = (uint16_t)size};
    hide((char *)slab + SLAB_HEAD, SHELF_SLAB - SLAB_HEAD);
    slab_link(s, slab);
    s->bytes += SHELF_SLAB;
    return slab;
}

static void slab_destroy(struct shelf *s, struct shelf_slab *slab)
{
    slab_unlink(s, slab);
    s->bytes -= SHELF_SLAB;
    free(slab);
}

static bool slab_full(const struct shelf_slab *slab)
{
    return !slab->free && slab->fresh + slab->size > SHELF_SLAB;
}

static void *slab_take(struct shelf *s, struct shelf_slab *slab)
{
    char *block = (char *)slab + slab->fresh;
    if (slab->free) {
        block = (char *)slab + slab->free * SHELF_STEP;
        show(block, slab->size);
        memcpy(&slab->free, block, sizeof slab->free);
    } else {
        show(block, slab->size);
        slab->fresh += slab->size;
    }
    slab->used++;
    if (slab_full(slab))
        slab_unlink(s, slab);
    return block;
}

// One empty slab of each size stays.
static void slab_give(struct shelf *s, struct shelf_slab *slab, char *block)
{
    if (slab_full(slab))
        slab_link(s, slab);
    memcpy(block, &slab->free, sizeof slab->free);
    hide(block, slab->size);
    slab->free = (uint16_t)((size_t)(block - (char *)slab) / SHELF_STEP);
    slab->used--;
    if (slab->used == 0 && (slab->next || slab->prev))
        slab_destroy(s, slab);
}

void shelf_free(struct shelf *s)
{
    assert(s->blocks == 0);
    for (size_t i = 0; i < sizeof s->roomy / sizeof s->roomy[0]; i++)
        if (s->roomy[i])
            slab_destroy(s, s->roomy[i]);
}

void *shelf_take(struct shelf *s, size_t n)
{
    size_t size = shelf_size(n);
    void *block = NULL;
    if (size > SHELF_BLOCK_MAX) {
        block = memory_take(size);
        s->bytes += block ? size : 0;
    } else {
        struct shelf_slab *slab = *shelf_roomy(s, size);
        if (!slab)
            slab = slab_create(s, size);
        if (slab)
            block = slab_take(s, slab);
    }
    s->blocks += block != NULL;
    return block;
}

void shelf_give(struct shelf *s, void *block, size_t n)
{
    size_t size = shelf_size(n);
    if (!block)
        return;
    s->blocks--;
    if (size > SHELF_BLOCK_MAX) {
        s->bytes -= size;
        free(block);
        return;
    }
    struct shelf_slab *slab = slab_of(block);
    assert(slab->size == size);
    slab_give(s, slab, block);
}

void *shelf_resize(struct shelf *s, void *block, size_t n, size_t to)
{
    if (block && shelf_size(n) == shelf_size(to))
        return block;
    void *moved = shelf_take(s, to);
    if (moved && block) {
        memcpy(moved, block, n < to ? n : to);
        shelf_give(s, block, n);
    }
    return moved;
}
