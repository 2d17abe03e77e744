// Writes the few stanzas that the gateway sends, straight into the stream's buffer.
#include "core/wire/stanza.h"

#include <assert.h>

#include "core/wire/moment.h"

static const struct text KINDS[] = {
    [STANZA_PRESENCE] = {"presence", 8},
    [STANZA_MESSAGE] = {"message", 7},
    [STANZA_IQ] = {"iq", 2},
};

// ` name='value'`; nothing when the value is empty. `prefix` is a literal such as " from='".
static void write_attribute(struct buffer *b, struct text prefix, struct text value)
{
    if (value.n == 0)
        return;
    buffer_text(b, prefix);
    buffer_xml(b, value);
    buffer_char(b, '\'');
}

void stanza_write_presence(struct buffer *b, struct text from, struct text to,
                           enum stanza_type type, struct text id)
{
    buffer_lit(b, "<presence");
    write_attribute(b, TEXT(" from='"), from);
    write_attribute(b, TEXT(" to='"), to);
    write_attribute(b, TEXT(" type='"), stanza_type_text(type));
    write_attribute(b, TEXT(" id='"), id);
    buffer_lit(b, "/>");
}

static void write_full_from(struct buffer *b, struct text from_bare, struct text resource)
{
    buffer_lit(b, " from='");
    buffer_xml(b, from_bare);
    if (resource.n) {
        buffer_char(b, '/');
        buffer_xml(b, resource);
    }
    buffer_char(b, '\'');
}

static void write_status(struct buffer *b, const struct presence_status *status)
{
    buffer_lit(b, "<status");
    write_attribute(b, TEXT(" xml:lang='"), status->lang);
    buffer_char(b, '>');
    buffer_xml(b, status->text);
    buffer_lit(b, "</status>");
}

static void write_priority(struct buffer *b, int8_t priority)
{
    buffer_lit(b, "<priority>");
    if (priority < 0)
        buffer_char(b, '-');
    buffer_u64(b, (uint64_t)(priority < 0 ? -priority : priority));
    buffer_lit(b, "</priority>");
}

// The texts of activity and mood that may stand in for a status: a note before a mere word.
static const enum presence_text STAND_INS[] = {PRESENCE_ACTIVITY_NOTE, PRESENCE_ACTIVITY_OTHER,
                                               PRESENCE_MOOD_NOTE, PRESENCE_MOOD_OTHER};

static void write_statuses(struct buffer *b, const struct presence *p)
{
    struct presence_status instead = {0};
    for (size_t i = 0; i < p->n_status; i++)
        write_status(b, &p->status[i]);
    for (size_t i = 0; i < sizeof STAND_INS / sizeof *STAND_INS && !instead.text.n; i++)
        instead.text = p->text[STAND_INS[i]];
    if (!p->n_status && p->available && instead.text.n)
        write_status(b, &instead);
}

static void write_moment(struct buffer *b, struct text begin, int64_t ms)
{
    buffer_text(b, begin);
    moment_write(b, ms);
    buffer_lit(b, "'/>");
}

static void write_nick(struct buffer *b, struct text nick)
{
    if (!nick.n)
        return;
    buffer_lit(b, "<nick xmlns='http://jabber.org/protocol/nick'>");
    buffer_xml(b, nick);
    buffer_lit(b, "</nick>");
}

// RFC 6121 §4.7.2: show and priority say something of an available resource only.
static void write_children(struct buffer *b, const struct presence *p, struct text caps,
                           uint64_t now_ms)
{
    const struct presence_facts *f = &p->facts;
    if (p->available && p->show != SHOW_NONE) {
        buffer_lit(b, "<show>");
        buffer_text(b, presence_show_text(p->show));
        buffer_lit(b, "</show>");
    }
    write_statuses(b, p);
    if (p->available && p->has_priority)
        write_priority(b, p->priority);
    if (p->available)
        write_nick(b, p->text[PRESENCE_NICK]);
    if (p->available && p->resource.n)
        buffer_text(b, caps);
    if (p->available && f->input == INPUT_IDLE && f->has_input)
        write_moment(b, TEXT("<idle xmlns='urn:xmpp:idle:1' since='"), f->input_ms);
    if (f->has_said && f->said_ms + PRESENCE_FRESH_MS <= (int64_t)now_ms)
        write_moment(b, TEXT("<delay xmlns='urn:xmpp:delay' stamp='"), f->said_ms);
}

void stanza_write_notification(struct buffer *b, struct text from_bare, struct text to,
                               const struct presence *p, struct text caps, uint64_t now_ms)
{
    assert(p->n_status <= PRESENCE_STATUS_MAX);
    buffer_lit(b, "<presence");
    write_full_from(b, from_bare, p->resource);
    write_attribute(b, TEXT(" to='"), to);
    if (!p->available)
        buffer_lit(b, " type='unavailable'");
    buffer_char(b, '>');
    size_t empty = b->n;
    write_children(b, p, caps, now_ms);
    if (b->n > empty) {
        buffer_lit(b, "</presence>");
    } else if (!b->failed) {
        b->n--;
        buffer_lit(b, "/>");
    }
}

void stanza_write_error(struct buffer *b, const struct stanza *s, enum stanza_condition c)
{
    if (s->type == STANZA_ERROR || s->type == STANZA_RESULT)
        return;
    if (c == CONDITION_NONE)
        c = CONDITION_UNDEFINED_CONDITION;
    buffer_char(b, '<');
    buffer_text(b, KINDS[s->kind]);
    write_attribute(b, TEXT(" from='"), stanza_text(s, s->to));
    write_attribute(b, TEXT(" to='"), stanza_text(s, s->from));
    write_attribute(b, TEXT(" id='"), stanza_text(s, s->id));
    buffer_lit(b, " type='error'><error type='");
    buffer_text(b, stanza_condition_type(c));
    buffer_lit(b, "'><");
    buffer_text(b, stanza_condition_text(c));
    buffer_lit(b, " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></");
    buffer_text(b, KINDS[s->kind]);
    buffer_char(b, '>');
}

void stanza_write_result(struct buffer *b, const struct stanza *s, struct text payload)
{
    assert(s->kind == STANZA_IQ && (s->type == STANZA_GET || s->type == STANZA_SET));
    buffer_lit(b, "<iq type='result'");
    write_attribute(b, TEXT(" from='"), stanza_text(s, s->to));
    write_attribute(b, TEXT(" to='"), stanza_text(s, s->from));
    write_attribute(b, TEXT(" id='"), stanza_text(s, s->id));
    buffer_text(b, payload.n ? TEXT(">") : TEXT("/>"));
    buffer_text(b, payload);
    if (payload.n)
        buffer_lit(b, "</iq>");
}

void stanza_write_disco_info_get(struct buffer *b, struct text from, struct text to, struct text id)
{
    buffer_lit(b, "<iq type='get'");
    write_attribute(b, TEXT(" from='"), from);
    write_attribute(b, TEXT(" to='"), to);
    write_attribute(b, TEXT(" id='"), id);
    buffer_lit(b, "><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
}
