// Memory for the core and its codecs, and whether all that was asked for was given.
//
// Whoever gets NULL does without, in the way that is safe at that place. But what was left undone
// then nobody can tell afterwards; so each refusal is noted, for the thread, and a step of the core
// in which there was one counts for nothing (core/event.h: effects.failed).
#ifndef CORE_WIRE_MEMORY_H
#define CORE_WIRE_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

extern _Thread_local bool memory_refused;

static inline void *memory_note(void *p)
{
    if (__builtin_expect(!p, 0))
        memory_refused = true;
    return p;
}

// To be freed by free(). NULL: refused.
static inline void *memory_take(size_t n)
{
    return memory_note(malloc(n));
}
static inline void *memory_take_zeroed(size_t n, size_t size)
{
    return memory_note(calloc(n, size));
}
// At a multiple of `align`, a power of two of which `n` is a multiple.
static inline void *memory_take_aligned(size_t align, size_t n)
{
    return memory_note(aligned_alloc(align, n));
}
// On NULL `p` stays as it was.
static inline void *memory_grow(void *p, size_t n)
{
    return memory_note(realloc(p, n));
}

// A library's calls between these, if they failed: what they say of it often is no more than that,
// or what they would say of bad input. malloc() leaves ENOMEM behind, and nothing else of theirs
// does. Returns ENOMEM, or `error`.
static inline void memory_lend(void)
{
    errno = 0;
}
static inline int memory_lent(int error)
{
    if (!error || errno != ENOMEM)
        return error;
    memory_refused = true;
    return ENOMEM;
}

// From here on; and whether there was a refusal since.
static inline void memory_begin(void)
{
    memory_refused = false;
}
static inline bool memory_ran_out(void)
{
    return memory_refused;
}

#endif
