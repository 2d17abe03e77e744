// Views: small sets of devices, compared and printed.
#include "view.h"

#include <stdlib.h>

static size_t view_find(const struct view *v, struct text resource)
{
    size_t i = 0;
    while (i < v->n && !text_eq(text_of(v->v[i].resource), resource))
        i++;
    return i;
}

bool view_has(const struct view *v, const char *resource)
{
    return view_find(v, text_of(resource)) < v->n;
}

void view_remove(struct view *v, const char *resource)
{
    size_t i = view_find(v, text_of(resource));
    if (i < v->n)
        v->v[i] = v->v[--v->n];
}

static void shown_fill(struct shown *s, const struct presence *p)
{
    *s = (struct shown){.show = p->show, .has_priority = p->has_priority, .priority = p->priority};
    snprintf(s->resource, sizeof s->resource, "%.*s", TEXT_ARG(p->resource));
    if (p->n_status)
        snprintf(s->status, sizeof s->status, "%.*s", TEXT_ARG(p->status[0].text));
}

void view_take(struct world *w, struct view *v, const struct presence *p)
{
    size_t i = view_find(v, p->resource);
    if (!p->available) {
        if (i < v->n)
            v->v[i] = v->v[--v->n];
        else if (!p->resource.n)
            v->n = 0;
        return;
    }
    if (i == v->n && v->n == VIEW_MAX) {
        world_broken(w, "more than %d devices seen of one user", VIEW_MAX);
        return;
    }
    v->n += i == v->n;
    shown_fill(&v->v[i], p);
}

static bool shown_eq(const struct shown *a, const struct shown *b)
{
    return !strcmp(a->resource, b->resource) && !strcmp(a->status, b->status) &&
           a->show == b->show && a->has_priority == b->has_priority &&
           (!a->has_priority || a->priority == b->priority);
}

bool view_eq(const struct view *a, const struct view *b)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t k = view_find(b, text_of(a->v[i].resource));
        if (k == b->n || !shown_eq(&a->v[i], &b->v[k]))
            return false;
    }
    return a->n == b->n;
}

size_t view_presences(const struct view *v, struct presence out[VIEW_MAX])
{
    for (size_t i = 0; i < v->n; i++) {
        const struct shown *s = &v->v[i];
        out[i] = (struct presence){.resource = text_of(s->resource),
                                   .available = true,
                                   .show = s->show,
                                   .has_priority = s->has_priority,
                                   .priority = s->priority,
                                   .n_status = s->status[0] != 0,
                                   .status = {{.text = text_of(s->status)}}};
    }
    return v->n;
}

const char *view_print(const struct view *v)
{
    static char line[2][VIEW_MAX * 96];
    static unsigned turn;
    char *to = line[turn++ % 2], *end = to + sizeof line[0], *at = to;
    at += snprintf(at, (size_t)(end - at), "{");
    for (size_t i = 0; i < v->n; i++)
        at += snprintf(at, (size_t)(end - at), " %s[%.*s '%s' %d]", v->v[i].resource,
                       TEXT_ARG(presence_show_text(v->v[i].show)), v->v[i].status,
                       v->v[i].has_priority ? v->v[i].priority : -1);
    snprintf(at, (size_t)(end - at), " }");
    return to;
}

void view_draw(struct world *w, struct view *v, const char *resource)
{
    struct shown *s;
    size_t i = view_find(v, text_of(resource));
    if (i == v->n && v->n == VIEW_MAX)
        abort();
    v->n += i == v->n;
    s = &v->v[i];
    *s = (struct shown){.show = (enum presence_show)world_below(w, SHOW_DND + 1)};
    snprintf(s->resource, sizeof s->resource, "%s", resource);
    if (world_chance(w, 500))
        snprintf(s->status, sizeof s->status, "I <am> %u", world_below(w, 1000));
    s->has_priority = world_chance(w, 500);
    if (s->has_priority)
        s->priority = (int8_t)world_below(w, 128);
}
