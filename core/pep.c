// Mood and activity, both ways.
#include "core/pep.h"

#include "core/hash.h"
#include "core/known.h"
#include "core/serve_notify.h"
#include "core/stanza_out.h"
#include "core/sub.h"
#include "core/wire/stanza_pep.h"

// ---- SIP to XMPP

static const uint16_t SAID[] = {[PEP_MOOD] = SUB_SAID_MOOD, [PEP_ACTIVITY] = SUB_SAID_ACTIVITY};

// The payload into c->line: of all his devices that say something the foremost one, as in
// pidf_write().
static struct text pep_payload(struct core *c, const struct sub *s, enum stanza_pep pep)
{
    int best = INT8_MIN - 1;
    buffer_reset(&c->line);
    for (size_t i = 0; i < known_count(s->known); i++) {
        struct presence p;
        known_at(s->known, i, &p);
        int priority = p.has_priority ? p.priority : 0;
        if (!p.available || priority <= best)
            continue;
        size_t n = c->line.n;
        stanza_pep_payload(&c->line, pep, &p);
        if (c->line.n == n)
            continue;
        memmove(c->line.p, c->line.p + n, c->line.n - n);
        c->line.n -= n;
        best = priority;
    }
    if (c->line.failed)
        c->fx->failed = true;
    return (struct text){c->line.p, c->line.failed ? 0 : c->line.n};
}

static uint64_t pep_hash(const struct core *c, struct text payload)
{
    return payload.n ? hash_sip(c->cfg.key, payload.p, payload.n) | 1 : 0;
}

struct pep_seen pep_seen(struct core *c, const struct sub *s)
{
    struct pep_seen seen = {0};
    if (s->flags & SUB_SAID_MOOD)
        seen.mood = pep_hash(c, pep_payload(c, s, PEP_MOOD));
    if (s->flags & SUB_SAID_ACTIVITY)
        seen.activity = pep_hash(c, pep_payload(c, s, PEP_ACTIVITY));
    return seen;
}

static void pep_say(struct core *c, struct sub *s, enum stanza_pep pep, struct text payload,
                    struct text to)
{
    stanza_out_pep(c, s, pep, payload, to);
    if (payload.n)
        s->flags |= SAID[pep];
    else if (sub_stream_up(c, s))
        s->flags &= (uint16_t)~SAID[pep];
}

static void pep_show_change(struct core *c, struct sub *s, enum stanza_pep pep, uint64_t before)
{
    struct text payload = pep_payload(c, s, pep);
    bool takes_back = !payload.n && (s->flags & SAID[pep]);
    if (takes_back || pep_hash(c, payload) != before)
        pep_say(c, s, pep, payload, (struct text){0});
}

static bool pep_says(const struct presence *p)
{
    return presence_says(p, PRESENCE_OF_MOOD) || presence_says(p, PRESENCE_OF_ACTIVITY);
}

void pep_show_changes(struct core *c, struct sub *s, struct pep_seen before, const struct pidf *doc)
{
    bool matters = s->flags & (SUB_SAID_MOOD | SUB_SAID_ACTIVITY);
    for (size_t i = 0; doc && i < doc->n && !matters; i++)
        matters = pep_says(&doc->tuple[i]);
    if (!matters)
        return;
    pep_show_change(c, s, PEP_MOOD, before.mood);
    pep_show_change(c, s, PEP_ACTIVITY, before.activity);
}

void pep_show(struct core *c, struct sub *s, struct text to)
{
    for (enum stanza_pep pep = PEP_MOOD; pep <= PEP_ACTIVITY; pep++) {
        struct text payload = pep_payload(c, s, pep);
        if (payload.n || (!to.n && (s->flags & SAID[pep])))
            pep_say(c, s, pep, payload, to);
    }
}

// ---- XMPP to SIP

// Whoever publishes nothing costs nothing: the person is kept only while something is said of her.
void pep_in(struct core *c, const struct jid *from, const struct jid *to, const struct stanza *m)
{
    struct presence person = {0}, said = {.facts = m->facts};
    bool is_hers = from->local.n && !from->resource.n;
    uint32_t sub = is_hers ? sub_find(c, from, to, SIP_TO_XMPP) : 0;
    if (!sub || core_sub(c, sub)->state == STATE_PENDING ||
        (m->pep != PEP_MOOD && m->pep != PEP_ACTIVITY))
        return;
    struct sub *s = core_sub(c, sub);
    for (unsigned i = 0; i < PRESENCE_XMPP_TEXTS; i++)
        said.text[i] = stanza_text(m, m->rich[i]);
    known_person(s->known, &person);
    presence_replace(&person, m->pep == PEP_MOOD ? PRESENCE_OF_MOOD : PRESENCE_OF_ACTIVITY, &said);
    enum known_change change = known_put_person(&c->shelf, &s->known, &person, &c->line, c->now_ms);
    if (change == KNOWN_CHANGED && known_any_available(s->known))
        serve_notify_all(c, sub);
}

void pep_known_at(const struct sub *s, size_t i, struct presence *out)
{
    struct presence person;
    known_at(s->known, i, out);
    if (out->available && known_person(s->known, &person))
        presence_take_person(out, &person);
}
