// The presence known of one presentity.
#include "core/known.h"

#include <string.h>

static const struct known nothing;

static size_t known_room(const struct known *k)
{
    return (size_t)k->steps * SHELF_STEP;
}

// Items, that of the person included.
static size_t known_items(const struct known *k)
{
    return k ? k->n + k->person : 0u;
}

// The packed values, of which that of item `i` begins at known_offset(k, i).
static char *known_values(struct known *k)
{
    return (char *)&k->v[known_items(k)];
}

static size_t known_offset(const struct known *k, size_t i)
{
    size_t offset = 0;
    for (size_t before = 0; before < i; before++)
        offset += k->v[before].n;
    return offset;
}

static struct text known_packed(const struct known *k, size_t i)
{
    return (struct text){(const char *)&k->v[known_items(k)] + known_offset(k, i), k->v[i].n};
}

void known_free(struct shelf *s, struct known **k)
{
    if (*k)
        shelf_give(s, *k, known_room(*k));
    *k = NULL;
}

void known_at(const struct known *k, size_t i, struct presence *out)
{
    presence_unpack(known_packed(k, i), out);
}

size_t known_find(const struct known *k, struct text resource)
{
    size_t i = 0;
    while (i < known_count(k) && !text_eq(presence_packed_resource(known_packed(k, i)), resource))
        i++;
    return i;
}

bool known_is_available(const struct known *k, size_t i)
{
    return presence_packed_available(known_packed(k, i));
}

bool known_any_available(const struct known *k)
{
    for (size_t i = 0; i < known_count(k); i++)
        if (known_is_available(k, i))
            return true;
    return false;
}

// ── the block ──

static size_t known_size(size_t items, size_t bytes)
{
    size_t size = sizeof(struct known) + items * sizeof(struct known_item) + bytes;
    return (size + SHELF_STEP - 1) / SHELF_STEP * SHELF_STEP;
}

// A block in which `old` items from `at` on have given way to `new` ones (0 or 1) with `packed`.
// The counts are the caller's to set.
static bool known_splice(struct shelf *s, struct known **k, size_t at, size_t old, size_t new,
                         struct text packed)
{
    const struct known *from = *k ? *k : &nothing;
    size_t items = known_items(*k), begin = known_offset(from, at);
    size_t end = known_offset(from, at + old), all = known_offset(from, items);
    size_t size = known_size(items - old + new, all - (end - begin) + packed.n);
    struct known *to = size <= KNOWN_BYTES_MAX ? shelf_take(s, size) : NULL;
    if (!to)
        return false;
    *to = (struct known){from->n, from->person, (uint32_t)(size / SHELF_STEP)};
    memcpy(to->v, from->v, at * sizeof to->v[0]);
    if (new)
        to->v[at] = (struct known_item){.n = (uint32_t)packed.n};
    memcpy(to->v + at + new, from->v + at + old, (items - at - old) * sizeof to->v[0]);
    char *values = (char *)&to->v[items - old + new];
    const char *values_from = (const char *)&from->v[items];
    memcpy(values, values_from, begin);
    memcpy(values + begin, packed.p, packed.n);
    memcpy(values + begin + packed.n, values_from + end, all - end);
    known_free(s, k);
    *k = to;
    return true;
}

// Item `i` goes, in place. The counts are the caller's to set, and known_fit() to be called.
static void known_cut(struct known *k, size_t i)
{
    size_t items = known_items(k), begin = known_offset(k, i);
    size_t end = begin + k->v[i].n, all = known_offset(k, items);
    char *values = known_values(k), *values_to = values - sizeof k->v[0];
    memmove(&k->v[i], &k->v[i + 1], (items - i - 1) * sizeof k->v[0] + begin);
    memmove(values_to + begin, values + end, all - end);
}

// The block gets as small as what is in it, if there is memory for that.
static void known_fit(struct shelf *s, struct known **k)
{
    size_t items = known_items(*k);
    if (items == 0) {
        known_free(s, k);
        return;
    }
    size_t size = known_size(items, known_offset(*k, items));
    struct known *fit = shelf_resize(s, *k, known_room(*k), size);
    if (!fit)
        return;
    fit->steps = (uint32_t)(size / SHELF_STEP);
    *k = fit;
}

void known_remove(struct shelf *s, struct known **k, size_t i)
{
    known_cut(*k, i);
    (*k)->n--;
    known_fit(s, k);
}

void known_forget_resources(struct shelf *s, struct known **k)
{
    while (known_count(*k))
        known_remove(s, k, known_count(*k) - 1);
}

void known_doubt(struct known *k)
{
    for (size_t i = 0; i < known_count(k); i++)
        k->v[i].doubted = true;
}

bool known_remove_doubted(struct shelf *s, struct known **k)
{
    bool any = false;
    for (size_t i = known_count(*k); i-- > 0;)
        if ((*k)->v[i].doubted) {
            known_remove(s, k, i);
            any = true;
        }
    return any;
}

// Who has left makes room first.
static void known_make_room(struct shelf *s, struct known **k)
{
    size_t i = 0;
    while (i < KNOWN_MAX && known_is_available(*k, i))
        i++;
    known_remove(s, k, i < KNOWN_MAX ? i : 0);
}

static bool known_add(struct shelf *s, struct known **k, struct text packed)
{
    if (known_count(*k) == KNOWN_MAX)
        known_make_room(s, k);
    if (!known_splice(s, k, known_count(*k), 0, 1, packed))
        return false;
    (*k)->n++;
    return true;
}

// Item `i` that is there. False: no memory.
static bool known_replace(struct shelf *s, struct known **k, size_t i, struct text packed)
{
    if ((*k)->v[i].n != packed.n)
        return known_splice(s, k, i, 1, 1, packed);
    memcpy(known_values(*k) + known_offset(*k, i), packed.p, packed.n);
    return true;
}

enum known_change known_put(struct shelf *s, struct known **k, const struct presence *p,
                            struct buffer *scratch, uint64_t now_ms)
{
    buffer_reset(scratch);
    if (!presence_pack(scratch, p))
        return KNOWN_NO_MEMORY;
    struct text packed = {scratch->p, scratch->n};
    size_t i = known_find(*k, p->resource);
    bool there = i < known_count(*k);
    if (there)
        (*k)->v[i].doubted = false;
    if (there && presence_packed_same(known_packed(*k, i), packed))
        return KNOWN_SAME;
    if (!(there ? known_replace(s, k, i, packed) : known_add(s, k, packed)))
        return KNOWN_NO_MEMORY;
    (*k)->v[there ? i : known_count(*k) - 1].since_ms = now_ms;
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

static enum known_change known_remove_person(struct shelf *s, struct known **k)
{
    if (!*k || !(*k)->person)
        return KNOWN_SAME;
    known_cut(*k, (*k)->n);
    (*k)->person = 0;
    known_fit(s, k);
    return KNOWN_CHANGED;
}

enum known_change known_put_person(struct shelf *s, struct known **k, const struct presence *p,
                                   struct buffer *scratch, uint64_t now_ms)
{
    struct presence person = {0};
    presence_take_person(&person, p);
    if (!presence_says(&person, PRESENCE_OF_MOOD) && !presence_says(&person, PRESENCE_OF_ACTIVITY))
        return known_remove_person(s, k);
    buffer_reset(scratch);
    if (!presence_pack(scratch, &person))
        return KNOWN_NO_MEMORY;
    struct text packed = {scratch->p, scratch->n};
    size_t at = known_count(*k);
    bool there = known_items(*k) > at;
    if (there && presence_packed_same(known_packed(*k, at), packed))
        return KNOWN_SAME;
    if (!(there ? known_replace(s, k, at, packed) : known_splice(s, k, at, 0, 1, packed)))
        return KNOWN_NO_MEMORY;
    (*k)->person = 1;
    (*k)->v[at].since_ms = now_ms;
    return KNOWN_CHANGED;
}
