// Writes personal events, and knows what XMPP calls RPID's activities.
#include "core/wire/stanza_pep.h"

#include <assert.h>

#define NAME(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct {
    struct text node, element;
} EVENTS[] = {
    [PEP_MOOD] = {NAME("http://jabber.org/protocol/mood"), NAME("mood")},
    [PEP_ACTIVITY] = {NAME("http://jabber.org/protocol/activity"), NAME("activity")},
};

enum stanza_pep stanza_pep_of(struct text node)
{
    if (text_eq(node, EVENTS[PEP_MOOD].node))
        return PEP_MOOD;
    return text_eq(node, EVENTS[PEP_ACTIVITY].node) ? PEP_ACTIVITY : PEP_OTHER;
}

struct text stanza_pep_node(enum stanza_pep pep)
{
    assert(pep == PEP_MOOD || pep == PEP_ACTIVITY);
    return EVENTS[pep].node;
}

static void write_empty(struct buffer *b, struct text name)
{
    buffer_char(b, '<');
    buffer_text(b, name);
    buffer_lit(b, "/>");
}

static void write_reason(struct buffer *b, struct text text)
{
    if (!text.n)
        return;
    buffer_lit(b, "<text>");
    buffer_xml(b, text);
    buffer_lit(b, "</text>");
}

static struct text first_of(struct text a, struct text b)
{
    return a.n ? a : b;
}

// All moods of RFC 4480 are moods of XEP-0107, by the same names.
static void write_mood(struct buffer *b, const struct presence *p)
{
    unsigned i = 0;
    while (i < PRESENCE_MOODS && !(p->facts.moods & UINT64_C(1) << i))
        i++;
    write_empty(b, i < PRESENCE_MOODS ? presence_mood(i) : TEXT("undefined"));
    write_reason(b, first_of(p->text[PRESENCE_MOOD_NOTE], p->text[PRESENCE_MOOD_OTHER]));
}

static void write_activity(struct buffer *b, const struct presence *p, unsigned word)
{
    struct text specific = {0}, reason = presence_activity(word);
    struct text general = presence_activity_to_xmpp(word, &specific);
    if (general.n)
        reason = (struct text){0};
    else
        general = TEXT("undefined"),
        specific = word < PRESENCE_ACTIVITIES ? TEXT("other") : specific;
    buffer_char(b, '<');
    buffer_text(b, general);
    if (specific.n) {
        buffer_char(b, '>');
        write_empty(b, specific);
        buffer_lit(b, "</");
        buffer_text(b, general);
        buffer_char(b, '>');
    } else {
        buffer_lit(b, "/>");
    }
    struct text said = first_of(p->text[PRESENCE_ACTIVITY_NOTE], p->text[PRESENCE_ACTIVITY_OTHER]);
    write_reason(b, first_of(said, reason));
}

// One that XMPP has a word for, else one that only RPID has; PRESENCE_ACTIVITIES: none.
static unsigned foremost_activity(uint32_t activities)
{
    unsigned other = PRESENCE_ACTIVITIES;
    for (unsigned i = 0; i < PRESENCE_ACTIVITIES; i++) {
        struct text specific;
        if (!(activities & UINT32_C(1) << i) || presence_activity_is_presence(i))
            continue;
        if (presence_activity_to_xmpp(i, &specific).n)
            return i;
        other = other < PRESENCE_ACTIVITIES ? other : i;
    }
    return other;
}

static void write_end(struct buffer *b, enum stanza_pep pep)
{
    buffer_lit(b, "</");
    buffer_text(b, EVENTS[pep].element);
    buffer_char(b, '>');
}

static void write_begin(struct buffer *b, enum stanza_pep pep, bool empty)
{
    buffer_char(b, '<');
    buffer_text(b, EVENTS[pep].element);
    buffer_lit(b, " xmlns='");
    buffer_text(b, EVENTS[pep].node);
    buffer_text(b, empty ? TEXT("'/>") : TEXT("'>"));
}

void stanza_pep_payload(struct buffer *b, enum stanza_pep pep, const struct presence *p)
{
    if (pep == PEP_MOOD) {
        if (!presence_says(p, PRESENCE_OF_MOOD))
            return;
        write_begin(b, pep, false);
        write_mood(b, p);
    } else {
        unsigned word = foremost_activity(p->facts.activities);
        if (word == PRESENCE_ACTIVITIES && !p->text[PRESENCE_ACTIVITY_NOTE].n &&
            !p->text[PRESENCE_ACTIVITY_OTHER].n)
            return;
        write_begin(b, pep, false);
        write_activity(b, p, word);
    }
    write_end(b, pep);
}

void stanza_write_pep(struct buffer *b, struct text from_bare, struct text to, enum stanza_pep pep,
                      struct text payload)
{
    buffer_lit(b, "<message from='");
    buffer_xml(b, from_bare);
    buffer_lit(b, "' to='");
    buffer_xml(b, to);
    buffer_lit(b,
               "' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>"
               "<items node='");
    buffer_text(b, stanza_pep_node(pep));
    buffer_lit(b, "'><item id='current'>");
    if (payload.n)
        buffer_text(b, payload);
    else
        write_begin(b, pep, true);
    buffer_lit(b, "</item></items></event></message>");
}
