// The watch machine's translation: PIDF documents to presence stanzas (RFC 8048 §6.3).
//
// PIDF is full state: what changed since the last document is said, and a tuple that is not there
// any more becomes `unavailable`. Clients take `unavailable` of the bare JID for all of his
// devices: it is said before those that are there, or not at all.
#include <assert.h>

#include "core/known.h"
#include "core/pep.h"
#include "core/stanza_out.h"
#include "core/sub.h"
#include "core/watch_dialog.h"

static bool pidf_names(const struct pidf *doc, size_t n, struct text resource)
{
    for (size_t i = 0; i < n; i++)
        if (text_eq(doc->tuple[i].resource, resource))
            return true;
    return false;
}

// What has gone stays known as gone for a while, so that it can be said again after a lost stream.
// False: not even that is remembered any longer.
static bool show_gone(struct core *c, struct sub *s, size_t i)
{
    char resource[JID_PART_MAX];
    struct presence p;
    known_at(s->known, i, &p);
    if (!p.available && sub_stream_up(c, s) && c->now_ms - s->known->v[i].since_ms > CORE_GONE_MS) {
        known_remove(&c->shelf, &s->known, i);
        return false;
    }
    if (!p.available)
        return true;
    assert(p.resource.n <= sizeof resource);
    memcpy(resource, p.resource.p, p.resource.n);
    struct presence gone = {.resource = {resource, p.resource.n}};
    stanza_out_notification(c, s, &gone, (struct text){0});
    known_put(&c->shelf, &s->known, &gone, &c->line, c->now_ms);
    return true;
}

// `doc` NULL: everybody.
static void show_all_gone(struct core *c, struct sub *s, const struct pidf *doc)
{
    for (size_t i = 0; i < known_count(s->known);) {
        struct presence p;
        known_at(s->known, i, &p);
        bool stays = doc && pidf_names(doc, doc->n, p.resource);
        i += stays || show_gone(c, s, i);
    }
}

// After a restart nobody knows which of his devices she sees: all of them are gone, and then what
// is known is shown.
static void show_nobody_first(struct core *c, struct sub *s)
{
    if (!(s->flags & SUB_UNSURE) || !sub_stream_up(c, s))
        return;
    struct presence nobody = {0};
    s->flags = (uint16_t)((s->flags & ~SUB_UNSURE) | SUB_SAID_NOBODY);
    stanza_out_notification(c, s, &nobody, (struct text){0});
}

// A tuple that names no device stands for the bare JID.
static bool show_bare_is_there(const struct sub *s)
{
    struct presence p;
    size_t i = known_find(s->known, (struct text){0});
    if (i == known_count(s->known))
        return false;
    known_at(s->known, i, &p);
    return p.available;
}

static bool show_hides_others(const struct sub *s, const struct presence *p)
{
    return !p->available && !p->resource.n && known_any_available(s->known);
}

void watch_show(struct core *c, uint32_t sub, const struct pidf *doc, bool all)
{
    struct sub *s = core_sub(c, sub);
    bool bare_was_there = show_bare_is_there(s);
    struct pep_seen before = pep_seen(c, s);
    show_nobody_first(c, s);
    if (known_count(s->known) + doc->n > KNOWN_MAX) // else nobody is away while he changes devices
        show_all_gone(c, s, doc);
    for (size_t i = 0; i < doc->n; i++) {
        if (pidf_names(doc, i, doc->tuple[i].resource))
            continue; // a second tuple for the same device: the first one counts
        bool changed =
            known_put(&c->shelf, &s->known, &doc->tuple[i], &c->line, c->now_ms) == KNOWN_CHANGED;
        if (changed && !all && !show_hides_others(s, &doc->tuple[i]))
            stanza_out_notification(c, s, &doc->tuple[i], (struct text){0});
    }
    show_all_gone(c, s, doc);
    bool hidden = bare_was_there && !show_bare_is_there(s) && known_any_available(s->known);
    if (hidden || all)
        watch_show_known(c, sub, (struct text){0});
    else
        pep_show_changes(c, s, before, doc);
}

void watch_show_known(struct core *c, uint32_t sub, struct text to)
{
    struct sub *s = core_sub(c, sub);
    if (!to.n)
        show_nobody_first(c, s);
    struct presence p = {0};
    size_t bare = known_find(s->known, p.resource);
    if (bare < known_count(s->known))
        known_at(s->known, bare, &p);
    if (!known_count(s->known) || (bare < known_count(s->known) && !p.available))
        stanza_out_notification(c, s, &p, to);
    for (size_t i = 0; i < known_count(s->known); i++) {
        known_at(s->known, i, &p);
        if (p.available || p.resource.n)
            stanza_out_notification(c, s, &p, to);
    }
    pep_show(c, s, to);
}

void watch_hide_known(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    struct pep_seen before = pep_seen(c, s);
    show_nobody_first(c, s);
    show_all_gone(c, s, NULL);
    pep_show_changes(c, s, before, NULL);
}
