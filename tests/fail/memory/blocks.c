// The blocks of memory that are alive, in a table by address.
#include "blocks.h"

#include <stdio.h>
#include <stdlib.h>

#include "seam.h"

enum { SLOTS = 1 << 22, FRAMES = 32 };

static struct {
    uintptr_t at; // 0: free; 1: was in use
    bool of_core;
} slot[SLOTS];
static size_t used[SLOTS], n_used; // slots that ever were in use
static bool in_core;

static size_t slot_first(uintptr_t at)
{
    return (at >> 4) * 0x9e3779b97f4a7c15u >> 20 & (SLOTS - 1);
}

static void given(void *p)
{
    size_t i = slot_first((uintptr_t)p);
    while (slot[i].at > 1)
        i = (i + 1) & (SLOTS - 1);
    if (!slot[i].at) {
        if (n_used == SLOTS / 2)
            abort();
        used[n_used++] = i;
    }
    slot[i].at = (uintptr_t)p;
    slot[i].of_core = in_core;
}

static void taken(void *p)
{
    for (size_t i = slot_first((uintptr_t)p); slot[i].at; i = (i + 1) & (SLOTS - 1)) {
        if (slot[i].at != (uintptr_t)p)
            continue;
        slot[i].at = 1;
        return;
    }
}

void blocks_begin(void (*asked)(void))
{
    static struct seam_watch watch = {.given = given, .taken = taken};
    watch.asked = asked;
    in_core = false;
    seam_watch = &watch;
}

void blocks_in_core(bool inside)
{
    in_core = inside;
}

void blocks_forget(void)
{
    seam_watch = NULL;
    while (n_used)
        slot[used[--n_used]].at = 0;
}

size_t blocks_end(void)
{
    size_t leaked = 0;
    if (seam_is_whole) { // nobody can tell whose they are
        blocks_forget();
        return 0;
    }
    seam_watch = NULL;
    for (size_t i = 0; i < n_used; i++) {
        uintptr_t at = slot[used[i]].at;
        leaked += at > 1 && slot[used[i]].of_core;
        if (at > 1)
            seam_real_free((void *)at);
        slot[used[i]].at = 0;
    }
    n_used = 0;
    return leaked;
}

static uintptr_t floor_frame;

void blocks_set_floor(const void *frame)
{
    floor_frame = (uintptr_t)frame;
}

// By the chain of frame pointers. A library without them may break the chain, and with that off:
// what it leads to is looked at only within the stack below the floor.
__attribute__((no_sanitize("address", "undefined"))) uint64_t blocks_place(void)
{
    uint64_t hash = 0xcbf29ce484222325;
    uintptr_t at = (uintptr_t)__builtin_frame_address(0);
    for (int i = 0; i < FRAMES; i++) {
        uintptr_t next = *(uintptr_t *)at;
        hash = (hash ^ *(uintptr_t *)(at + sizeof at)) * 0x100000001b3;
        if (next <= at || next >= floor_frame || next % sizeof next)
            break;
        at = next;
    }
    return hash;
}
