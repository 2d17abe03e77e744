// A set of 64-bit hashes.
#include "once.h"

#include <stdlib.h>

#include "core/hash.h"

static bool once_put(struct once *o, uint64_t hash)
{
    size_t at = hash & o->mask;
    for (; o->v[at]; at = (at + 1) & o->mask)
        if (o->v[at] == hash)
            return false;
    o->v[at] = hash;
    o->n++;
    return true;
}

static void once_grow(struct once *o)
{
    struct once bigger = {.mask = o->v ? 2 * o->mask + 1 : 255};
    bigger.v = calloc(bigger.mask + 1, sizeof *bigger.v);
    if (!bigger.v)
        abort();
    for (size_t i = 0; o->v && i <= o->mask; i++)
        if (o->v[i])
            once_put(&bigger, o->v[i]);
    free(o->v);
    *o = bigger;
}

bool once_add(struct once *o, struct text t)
{
    if (!o->v || o->n > o->mask / 2)
        once_grow(o);
    return once_put(o, hash_plain(t.p, t.n) | 1);
}

void once_free(struct once *o)
{
    free(o->v);
}
