// The presence known of one presentity.
#include "core/known.h"

#include <stdlib.h>

void known_free(struct known **k)
{
    for (size_t i = 0; i < known_count(*k); i++)
        free((*k)->v[i].packed);
    free(*k);
    *k = NULL;
}

void known_at(const struct known *k, size_t i, struct presence *out)
{
    presence_unpack((struct text){k->v[i].packed, k->v[i].n}, out);
}

size_t known_find(const struct known *k, struct text resource)
{
    size_t i = 0;
    for (; i < known_count(k); i++) {
        struct presence p;
        known_at(k, i, &p);
        if (text_eq(p.resource, resource))
            break;
    }
    return i;
}

bool known_any_available(const struct known *k)
{
    for (size_t i = 0; i < known_count(k); i++) {
        struct presence p;
        known_at(k, i, &p);
        if (p.available)
            return true;
    }
    return false;
}

void known_remove(struct known **k, size_t i)
{
    struct known *o = *k;
    free(o->v[i].packed);
    memmove(&o->v[i], &o->v[i + 1], (o->n - i - 1) * sizeof o->v[0]);
    if (--o->n == 0)
        known_free(k);
}

void known_doubt(struct known *k)
{
    for (size_t i = 0; i < known_count(k); i++)
        k->v[i].doubted = true;
}

bool known_remove_doubted(struct known **k)
{
    bool any = false;
    for (size_t i = known_count(*k); i-- > 0;)
        if ((*k)->v[i].doubted) {
            known_remove(k, i);
            any = true;
        }
    return any;
}

// Who has left makes room first.
static void known_make_room(struct known **k)
{
    size_t i = 0;
    struct presence p;
    for (; i < KNOWN_MAX; i++) {
        known_at(*k, i, &p);
        if (!p.available)
            break;
    }
    known_remove(k, i < KNOWN_MAX ? i : 0);
}

static struct known_item *known_grow(struct known **k)
{
    size_t n = known_count(*k);
    if (n == KNOWN_MAX) {
        known_make_room(k);
        n--;
    }
    struct known *o = realloc(*k, sizeof *o + (n + 1) * sizeof o->v[0]);
    if (!o)
        return NULL;
    o->v[n] = (struct known_item){0};
    o->n = (uint32_t)n + 1;
    *k = o;
    return &o->v[n];
}

static bool known_store(struct known_item *item, const struct buffer *packed)
{
    if (item->n != packed->n) {
        char *p = realloc(item->packed, packed->n);
        if (!p)
            return false;
        item->packed = p;
        item->n = (uint32_t)packed->n;
    }
    memcpy(item->packed, packed->p, packed->n);
    return true;
}

enum known_change known_put(struct known **k, const struct presence *p, struct buffer *scratch,
                            uint64_t now_ms)
{
    buffer_reset(scratch);
    if (!presence_pack(scratch, p))
        return KNOWN_NO_MEMORY;
    size_t i = known_find(*k, p->resource);
    struct known_item *item = i < known_count(*k) ? &(*k)->v[i] : known_grow(k);
    if (!item)
        return KNOWN_NO_MEMORY;
    item->doubted = false;
    if (item->packed && presence_packed_same((struct text){item->packed, item->n},
                                             (struct text){scratch->p, scratch->n}))
        return KNOWN_SAME;
    if (!known_store(item, scratch)) {
        if (!item->packed)
            known_remove(k, (size_t)(item - (*k)->v));
        return KNOWN_NO_MEMORY;
    }
    item->since_ms = now_ms;
    return KNOWN_CHANGED;
}
