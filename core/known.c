// The presence known of one presentity.
#include "core/known.h"

#include <stdlib.h>

#include "core/wire/memory.h"

// Items, that of the person included.
static size_t known_items(const struct known *k)
{
    return k ? k->n + k->person : 0;
}

void known_free(struct known **k)
{
    for (size_t i = 0; i < known_items(*k); i++)
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
    memmove(&o->v[i], &o->v[i + 1], (known_items(o) - i - 1) * sizeof o->v[0]);
    o->n--;
    if (known_items(o) == 0)
        known_free(k);
}

void known_forget_resources(struct known **k)
{
    while (known_count(*k))
        known_remove(k, known_count(*k) - 1);
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
    size_t person = known_items(*k) - n;
    struct known *o = memory_grow(*k, sizeof *o + (n + person + 1) * sizeof o->v[0]);
    if (!o)
        return NULL;
    if (person)
        o->v[n + 1] = o->v[n];
    o->v[n] = (struct known_item){0};
    o->n = (uint32_t)n + 1;
    o->person = (uint32_t)person;
    *k = o;
    return &o->v[n];
}

static bool known_store(struct known_item *item, const struct buffer *packed)
{
    if (item->n != packed->n) {
        char *p = memory_grow(item->packed, packed->n);
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

// ── the person ──

bool known_person(const struct known *k, struct presence *out)
{
    if (!k || !k->person)
        return false;
    known_at(k, k->n, out);
    return true;
}

static enum known_change known_remove_person(struct known **k)
{
    struct known *o = *k;
    if (!o || !o->person)
        return KNOWN_SAME;
    free(o->v[o->n].packed);
    o->person = 0;
    if (o->n == 0)
        known_free(k);
    return KNOWN_CHANGED;
}

static struct known_item *known_grow_person(struct known **k)
{
    size_t n = known_count(*k);
    if (known_items(*k) > n)
        return &(*k)->v[n];
    struct known *o = memory_grow(*k, sizeof *o + (n + 1) * sizeof o->v[0]);
    if (!o)
        return NULL;
    o->n = (uint32_t)n;
    o->v[n] = (struct known_item){0};
    o->person = 1;
    *k = o;
    return &o->v[n];
}

enum known_change known_put_person(struct known **k, const struct presence *p,
                                   struct buffer *scratch, uint64_t now_ms)
{
    struct presence person = {0};
    presence_take_person(&person, p);
    if (!presence_says(&person, PRESENCE_OF_MOOD) && !presence_says(&person, PRESENCE_OF_ACTIVITY))
        return known_remove_person(k);
    buffer_reset(scratch);
    if (!presence_pack(scratch, &person))
        return KNOWN_NO_MEMORY;
    struct known_item *item = known_grow_person(k);
    if (!item)
        return KNOWN_NO_MEMORY;
    if (item->packed && presence_packed_same((struct text){item->packed, item->n},
                                             (struct text){scratch->p, scratch->n}))
        return KNOWN_SAME;
    if (!known_store(item, scratch)) {
        if (!item->packed)
            known_remove_person(k);
        return KNOWN_NO_MEMORY;
    }
    item->since_ms = now_ms;
    return KNOWN_CHANGED;
}
