// The watch machine's translation: PIDF documents to presence stanzas (RFC 8048 §6.3).
//
// PIDF is full state: what changed since the last document is said, and a tuple that is not there
// any more becomes `unavailable`.
#include "core/known.h"
#include "core/stanza_out.h"
#include "core/watch_dialog.h"

static bool pidf_names(const struct pidf *doc, size_t n, struct text resource)
{
    for (size_t i = 0; i < n; i++)
        if (text_eq(doc->tuple[i].resource, resource))
            return true;
    return false;
}

static void show_gone(struct core *c, struct sub *s, size_t i)
{
    struct presence p;
    known_at(s->known, i, &p);
    if (p.available) {
        struct presence gone = {.resource = p.resource};
        stanza_out_notification(c, s, &gone, (struct text){0});
    }
    known_remove(&s->known, i);
}

void watch_show(struct core *c, uint32_t sub, const struct pidf *doc)
{
    struct sub *s = core_sub(c, sub);
    for (size_t i = 0; i < doc->n; i++) {
        if (pidf_names(doc, i, doc->tuple[i].resource))
            continue; // a second tuple for the same device: the first one counts
        if (known_put(&s->known, &doc->tuple[i], &c->line, c->now_ms) == KNOWN_CHANGED)
            stanza_out_notification(c, s, &doc->tuple[i], (struct text){0});
    }
    for (size_t i = known_count(s->known); i-- > 0;) {
        struct presence p;
        known_at(s->known, i, &p);
        if (!pidf_names(doc, doc->n, p.resource))
            show_gone(c, s, i);
    }
}

void watch_show_known(struct core *c, uint32_t sub, struct text to)
{
    struct sub *s = core_sub(c, sub);
    for (size_t i = 0; i < known_count(s->known); i++) {
        struct presence p;
        known_at(s->known, i, &p);
        stanza_out_notification(c, s, &p, to);
    }
    if (!known_count(s->known)) {
        struct presence nobody = {0};
        stanza_out_notification(c, s, &nobody, to);
    }
}

void watch_hide_known(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    while (known_count(s->known))
        show_gone(c, s, known_count(s->known) - 1);
}
