// The table of pairs, by both ends and by hash.
#include "pair.h"

#include <stdlib.h>

#include "core/table.h"

struct ends {
    struct pair *first, *last;
};

struct pairs {
    struct pair **v;
    size_t n, cap;
    struct table index; // handles are place + 1
    struct ends *of_x, *of_s;
};

static uint64_t pair_hash(uint64_t salt, unsigned x, unsigned s)
{
    uint64_t h = (salt ^ ((uint64_t)x << 32 | s)) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

void pair_create_all(struct world *w)
{
    struct pairs *p = w->pairs = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->of_x = calloc(w->opt.xmpp_users, sizeof *p->of_x);
    p->of_s = calloc(w->opt.sip_users, sizeof *p->of_s);
    if (!p->of_x || !p->of_s)
        abort();
}

void pair_destroy_all(struct world *w)
{
    struct pairs *p = w->pairs;
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i]);
    free(p->v);
    table_free(&p->index);
    free(p->of_x);
    free(p->of_s);
    free(p);
}

struct pair *pair_find(const struct world *w, unsigned x, unsigned s)
{
    const struct pairs *p = w->pairs;
    uint32_t hash = (uint32_t)pair_hash(0, x, s), h;
    for (uint32_t at = table_first(&p->index, hash, &h); h;
         at = table_next(&p->index, hash, at, &h))
        if (p->v[h - 1]->x == x && p->v[h - 1]->s == s)
            return p->v[h - 1];
    return NULL;
}

static void pair_append(struct pairs *p, struct pair *new)
{
    struct ends *x = &p->of_x[new->x], *s = &p->of_s[new->s];
    *(x->last ? &x->last->next_of_x : &x->first) = new;
    *(s->last ? &s->last->next_of_s : &s->first) = new;
    x->last = s->last = new;
}

struct pair *pair_of(struct world *w, unsigned x, unsigned s)
{
    struct pairs *p = w->pairs;
    struct pair *there = pair_find(w, x, s);
    if (there)
        return there;
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->v = realloc(p->v, p->cap * sizeof(void *));
        if (!p->v)
            abort();
    }
    struct pair *new = p->v[p->n++] = calloc(1, sizeof *new);
    if (!new || !table_add(&p->index, (uint32_t)pair_hash(0, x, s), (uint32_t)p->n))
        abort();
    new->x = x;
    new->s = s;
    // Not drawn: it must not depend on what came before.
    new->auth = pair_hash(w->seed, x, s) & 1 ? AUTH_ACTIVE : AUTH_PENDING;
    for (unsigned d = 0; d < SIP_DEVICES_MAX; d++)
        new->device[d] = (struct device){.s = s, .d = d, .x = x};
    pair_append(p, new);
    return new;
}

struct pair *pair_first_of_x(const struct world *w, unsigned x)
{
    return w->pairs->of_x[x].first;
}

struct pair *pair_first_of_s(const struct world *w, unsigned s)
{
    return w->pairs->of_s[s].first;
}

size_t pair_count(const struct world *w)
{
    return w->pairs->n;
}

struct pair *pair_at(const struct world *w, size_t i)
{
    return w->pairs->v[i];
}

unsigned pair_contact(struct world *w, unsigned x)
{
    enum { STRIDE = 37 };
    const struct options *o = &w->opt;
    if (!o->contacts)
        return world_below(w, o->sip_users);
    return (x + STRIDE * world_below(w, o->contacts)) % o->sip_users;
}
