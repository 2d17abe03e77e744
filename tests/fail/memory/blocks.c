// The blocks of memory that are alive, in a table by address.
#include "blocks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "seam.h"

enum { SLOTS = 1 << 20, FRAMES = 10 };

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

void blocks_begin(void)
{
    static const struct seam_watch watch = {.given = given, .taken = taken};
    in_core = false;
    seam_watch = &watch;
}

void blocks_in_core(bool inside)
{
    in_core = inside;
}

size_t blocks_end(void)
{
    size_t leaked = 0;
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

static uintptr_t stack_end(void)
{
    static uintptr_t end;
    if (!end) {
        pthread_attr_t attr;
        void *low;
        size_t size;
        pthread_getattr_np(pthread_self(), &attr);
        pthread_attr_getstack(&attr, &low, &size);
        pthread_attr_destroy(&attr);
        end = (uintptr_t)low + size;
    }
    return end;
}

// By the chain of frame pointers. A library without them may break the chain, and with that off:
// what it leads to is looked at only within the stack.
__attribute__((no_sanitize("address", "undefined"))) uint64_t blocks_place(void)
{
    uintptr_t end = stack_end();
    uint64_t hash = 0xcbf29ce484222325;
    uintptr_t at = (uintptr_t)__builtin_frame_address(0);
    for (int i = 0; i < FRAMES; i++) {
        uintptr_t next = *(uintptr_t *)at;
        hash = (hash ^ *(uintptr_t *)(at + sizeof at)) * 0x100000001b3;
        if (next <= at || next >= end - 2 * sizeof next || next % sizeof next)
            break;
        at = next;
    }
    return hash;
}
