// Writes the few stanzas that the gateway sends, straight into the stream's buffer.
#include "core/wire/stanza.h"

#include <assert.h>

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

// RFC 6121 §4.7.2: show and priority say something of an available resource only.
static void write_children(struct buffer *b, const struct presence *p)
{
    if (p->available && p->show != SHOW_NONE) {
        buffer_lit(b, "<show>");
        buffer_text(b, presence_show_text(p->show));
        buffer_lit(b, "</show>");
    }
    for (size_t i = 0; i < p->n_status; i++)
        write_status(b, &p->status[i]);
    if (p->available && p->has_priority)
        write_priority(b, p->priority);
}

void stanza_write_notification(struct buffer *b, struct text from_bare, struct text to,
                               const struct presence *p)
{
    assert(p->n_status <= PRESENCE_STATUS_MAX);
    buffer_lit(b, "<presence");
    write_full_from(b, from_bare, p->resource);
    write_attribute(b, TEXT(" to='"), to);
    if (!p->available)
        buffer_lit(b, " type='unavailable'");
    if (p->n_status || (p->available && (p->show != SHOW_NONE || p->has_priority))) {
        buffer_char(b, '>');
        write_children(b, p);
        buffer_lit(b, "</presence>");
    } else {
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

void stanza_write_disco_info_get(struct buffer *b, struct text from, struct text to, struct text id)
{
    buffer_lit(b, "<iq type='get'");
    write_attribute(b, TEXT(" from='"), from);
    write_attribute(b, TEXT(" to='"), to);
    write_attribute(b, TEXT(" id='"), id);
    buffer_lit(b, "><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
}
