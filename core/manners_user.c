// Answers about a SIP user, out of what his watcher knows of him.
#include "core/manners_user.h"

#include "core/known.h"
#include "core/sub.h"
#include "core/wire/stanza_iq.h"

// ---- Last activity

static uint64_t seconds_since(const struct core *c, uint64_t ms)
{
    return ms < c->now_ms ? (c->now_ms - ms) / 1000 : 0;
}

// When this began to hold: his own word for it, if it is one that can be true, else since when it
// is known here.
static uint64_t since_ms(const struct known_item *item, const struct presence *p)
{
    const struct presence_facts *f = &p->facts;
    bool believed = f->has_said && f->said_ms > 0 && (uint64_t)f->said_ms < item->since_ms;
    return believed ? (uint64_t)f->said_ms : item->since_ms;
}

// XEP-0012 §4: how long all of his devices have been gone, 0 while one is there.
static void last_of_account(const struct core *c, const struct known *k, struct buffer *b)
{
    uint64_t latest_ms = 0;
    for (size_t i = 0; i < known_count(k); i++) {
        struct presence p;
        known_at(k, i, &p);
        uint64_t at_ms = p.available ? c->now_ms : since_ms(&k->v[i], &p);
        latest_ms = at_ms > latest_ms ? at_ms : latest_ms;
    }
    stanza_iq_last(b, seconds_since(c, latest_ms));
}

// §5: since when nobody has touched it. A device that is away without a word on that is so at least
// since it said so.
static void last_of_device(const struct core *c, const struct known_item *item,
                           const struct presence *p, struct buffer *b)
{
    const struct presence_facts *f = &p->facts;
    bool away = p->show == SHOW_AWAY || p->show == SHOW_XA || f->input == INPUT_IDLE;
    if (f->has_input && f->input_ms > 0)
        stanza_iq_last(b, seconds_since(c, (uint64_t)f->input_ms));
    else
        stanza_iq_last(b, away && f->input != INPUT_ACTIVE ? seconds_since(c, item->since_ms) : 0);
}

// ---- vCard

// Of all devices, those that have left included, the first that says it.
static void card_text(const struct known *k, enum presence_text which, struct text *out)
{
    for (size_t i = 0; i < known_count(k) && !out->n; i++) {
        struct presence p;
        known_at(k, i, &p);
        *out = p.text[which];
    }
}

static bool card(const struct known *k, struct buffer *b)
{
    struct text name = {0}, page = {0}, picture = {0};
    card_text(k, PRESENCE_NICK, &name);
    card_text(k, PRESENCE_HOMEPAGE, &page);
    card_text(k, PRESENCE_ICON, &picture);
    if (!name.n && !page.n && !picture.n)
        return false;
    stanza_iq_vcard(b, name, page, picture);
    return true;
}

// ---- All questions

static bool of_device(const struct core *c, const struct known *k, struct text resource,
                      enum user_question q, struct buffer *b)
{
    size_t i = known_find(k, resource);
    struct presence p;
    if (i == known_count(k))
        return false;
    known_at(k, i, &p);
    if (!p.available)
        return false;
    if (q == ASKS_LAST_OF)
        last_of_device(c, &k->v[i], &p, b);
    else if (q == ASKS_VERSION_OF && p.text[PRESENCE_USER_AGENT].n)
        stanza_iq_version_of(b, p.text[PRESENCE_USER_AGENT]);
    else if (q == ASKS_TIME_OF && p.facts.has_utc_offset)
        stanza_iq_time(b, p.facts.utc_offset_min, (int64_t)c->now_ms);
    else
        return false;
    return true;
}

bool manners_user(const struct core *c, const struct jid *from, const struct jid *to,
                  enum user_question q, struct buffer *b)
{
    uint32_t sub = from->local.n ? sub_find(c, from, to, XMPP_TO_SIP) : 0;
    const struct sub *s = sub ? core_sub(c, sub) : NULL;
    if (!s || s->state == STATE_PENDING || !known_count(s->known))
        return false;
    if (q == ASKS_CARD_OF)
        return card(s->known, b);
    if (to->resource.n)
        return of_device(c, s->known, to->resource, q, b);
    last_of_account(c, s->known, b);
    return true;
}
