// What an XMPP stream's parser has seen becomes a stanza: libxml2's callbacks, which fill one flat
// block.
#include <errno.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "core/wire/stanza_pep.h"
#include "core/wire/stanza_reader_inner.h"
#include "core/wire/xml_sax.h"

enum {
    // The parser keeps every name that it ever saw. After so many bytes a new parser takes over
    // between two stanzas, so that names made up by peers do not stay for the life of the stream.
    RENEW_BYTES = 1024 * 1024,
    ATTRIBUTE_MAX = 4096, // a longer from, to, id or xml:lang is as good as none
};

#define NS_STREAM       "http://etherx.jabber.org/streams"
#define NS_STREAM_ERROR "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_EVENT        "http://jabber.org/protocol/pubsub#event"
#define NS_STANZA_ERROR "urn:ietf:params:xml:ns:xmpp-stanzas"

static void stop(struct stanza_reader *r, int error)
{
    r->error = error;
    xmlStopParser(r->parser);
}

static uint64_t position(const struct stanza_reader *r)
{
    return (uint64_t)xmlByteConsumed(r->parser);
}

static bool ns_is(const xmlChar *uri, const char *ns)
{
    return uri && strcmp((const char *)uri, ns) == 0;
}

// Content belongs to the stream's namespace; servers that pass on what clients and other servers
// sent have been seen to leave theirs in.
static bool ns_is_content(const xmlChar *uri)
{
    return ns_is(uri, "jabber:component:accept") || ns_is(uri, "jabber:client") ||
           ns_is(uri, "jabber:server");
}

// ── the block ──

static struct stanza *draft(struct stanza_reader *r)
{
    return (struct stanza *)r->block.p;
}

static uint32_t text_end(const struct stanza_reader *r)
{
    return (uint32_t)(r->block.n - offsetof(struct stanza, text));
}

static struct span keep(struct stanza_reader *r, const void *p, size_t n)
{
    struct span at = {text_end(r), (uint32_t)n};
    buffer_add(&r->block, p, n);
    return r->block.failed ? (struct span){0} : at;
}

static bool block_begin(struct stanza_reader *r, enum stanza_kind kind)
{
    buffer_reset(&r->block);
    if (!buffer_reserve(&r->block, sizeof(struct stanza)))
        return false;
    memset(r->block.p, 0, sizeof(struct stanza));
    r->block.n = offsetof(struct stanza, text);
    draft(r)->kind = (uint8_t)kind;
    return true;
}

// All but what an answer needs: how much of the rest was read depends on how the stream was cut.
static void forget_contents(struct stanza *s)
{
    struct stanza whole = *s;
    memset(s, 0, offsetof(struct stanza, text)); // not more: text begins in the padding
    s->size = whole.size;
    s->kind = whole.kind;
    s->type = whole.type;
    s->too_big = true;
    s->from = whole.from;
    s->to = whole.to;
    s->id = whole.id;
    s->lang = whole.lang;
}

static void block_hand_out(struct stanza_reader *r)
{
    if (r->block.n < sizeof(struct stanza)) // so that a copy of `size` bytes is a whole struct
        r->block.n = sizeof(struct stanza);
    draft(r)->size = (uint32_t)r->block.n;
    if (r->too_big)
        forget_contents(draft(r));
    r->cb(r->arg, draft(r));
}

static void take_stanza_attribute(struct stanza_reader *r, const struct xml_attribute *a)
{
    struct stanza *s = draft(r);
    if (!a->ns && text_eq(a->name, TEXT("type"))) {
        s->type = (uint8_t)stanza_type_parse((enum stanza_kind)s->kind, a->value);
        return;
    }
    size_t field = xml_is_lang(a)                   ? offsetof(struct stanza, lang)
                   : a->ns                          ? 0
                   : text_eq(a->name, TEXT("from")) ? offsetof(struct stanza, from)
                   : text_eq(a->name, TEXT("to"))   ? offsetof(struct stanza, to)
                   : text_eq(a->name, TEXT("id"))   ? offsetof(struct stanza, id)
                                                    : 0;
    if (field == 0 || a->value.n > ATTRIBUTE_MAX)
        return;
    struct span at = keep(r, a->value.p, a->value.n);
    memcpy(r->block.p + field, &at, sizeof at); // keep() may have moved the block
}

// ── elements ──

static bool kind_of(struct text name, enum stanza_kind *out)
{
    if (text_eq(name, TEXT("presence")))
        *out = STANZA_PRESENCE;
    else if (text_eq(name, TEXT("iq")))
        *out = STANZA_IQ;
    else if (text_eq(name, TEXT("message")))
        *out = STANZA_MESSAGE;
    else
        return false;
    return true;
}

static void begin_top(struct stanza_reader *r, struct text name, const xmlChar *uri,
                      int n_attributes, const xmlChar **attributes)
{
    enum stanza_kind kind;
    r->field = FIELD_NONE;
    r->inside = INSIDE_OTHER;
    if (ns_is(uri, NS_STREAM) && text_eq(name, TEXT("error")))
        r->inside = INSIDE_STREAM_ERROR;
    if (!ns_is_content(uri) || !kind_of(name, &kind))
        return;
    if (!block_begin(r, kind)) {
        stop(r, ENOMEM);
        return;
    }
    r->inside = INSIDE_STANZA;
    for (int i = 0; i < n_attributes; i++) {
        struct xml_attribute a = xml_attribute_at(attributes, i);
        take_stanza_attribute(r, &a);
    }
}

static void begin_status(struct stanza_reader *r, int n_attributes, const xmlChar **attributes)
{
    if (draft(r)->n_status == PRESENCE_STATUS_MAX)
        return;
    struct span lang = {0};
    for (int i = 0; i < n_attributes; i++) {
        struct xml_attribute a = xml_attribute_at(attributes, i);
        if (xml_is_lang(&a))
            lang = keep(r, a.value.p, a.value.n);
    }
    struct stanza *s = draft(r);
    s->status[s->n_status].lang = lang;
    r->field = FIELD_STATUS;
}

// An element of the rich payload, `level` below the child of the presence.
static void begin_rich(struct stanza_reader *r, unsigned level, struct text name)
{
    if (!stanza_rich_element(&r->block, r->rich, level, name, &r->field_text))
        return;
    r->field = FIELD_RICH;
    r->field_depth = r->depth;
    r->field_from = text_end(r);
}

static void begin_rich_child(struct stanza_reader *r, struct text name, const xmlChar *uri,
                             int n_attributes, const xmlChar **attributes)
{
    r->rich = stanza_rich_of(name, xml_text(uri));
    r->rich_depth = r->depth;
    for (int i = 0; r->rich != RICH_NONE && i < n_attributes; i++) {
        struct xml_attribute a = xml_attribute_at(attributes, i);
        if (!a.ns)
            stanza_rich_attribute(&r->block, r->rich, a.name, a.value);
    }
    begin_rich(r, 0, name);
}

static void begin_rich_below(struct stanza_reader *r, struct text name, const xmlChar *uri)
{
    // The child's own namespace: the namespace and the name of a child go together.
    if (r->field == FIELD_NONE && text_eq(xml_text(uri), stanza_rich_ns(r->rich)))
        begin_rich(r, r->depth - r->rich_depth, name);
}

// The payload element of an iq or message: the first one counts.
static void begin_payload(struct stanza_reader *r, struct text name, const xmlChar *uri,
                          int n_attributes, const xmlChar **attributes)
{
    if (draft(r)->child_name.n)
        return;
    struct span at = keep(r, name.p, name.n);
    struct span ns = keep(r, uri, xml_text(uri).n);
    draft(r)->child_name = at;
    draft(r)->child_ns = ns;
    for (int i = 0; draft(r)->kind == STANZA_IQ && i < n_attributes; i++) {
        struct xml_attribute a = xml_attribute_at(attributes, i);
        if (a.ns || !a.value.n || !text_eq(a.name, TEXT("node")))
            continue;
        struct span node = a.value.n <= ATTRIBUTE_MAX ? keep(r, a.value.p, a.value.n) : at;
        draft(r)->child_has_node = true;
        draft(r)->child_node = a.value.n <= ATTRIBUTE_MAX ? node : (struct span){0};
    }
}

// ── events: <event><items node=''><item><mood/></item></items></event>, XEP-0060 §7.1.2.1 ──

enum { EVENT_DEPTH = 3, ITEMS_DEPTH = 4, ITEM_DEPTH = 5, TOLD_DEPTH = 6 };

static void begin_event(struct stanza_reader *r, struct text name, const xmlChar *uri)
{
    if (!text_eq(name, TEXT("event")) || !ns_is(uri, NS_EVENT))
        return;
    r->event_depth = EVENT_DEPTH;
    if (draft(r)->pep == PEP_NONE)
        draft(r)->pep = PEP_OTHER;
}

// The last two end all that was published there (XEP-0060 §8.4, §8.5).
static bool speaks_of_node(struct text name)
{
    return text_eq(name, TEXT("items")) || text_eq(name, TEXT("purge")) ||
           text_eq(name, TEXT("delete"));
}

static bool take_node(struct stanza_reader *r, int n_attributes, const xmlChar **attributes)
{
    for (int i = 0; i < n_attributes; i++) {
        struct xml_attribute a = xml_attribute_at(attributes, i);
        if (!a.ns && text_eq(a.name, TEXT("node")))
            draft(r)->pep = (uint8_t)stanza_pep_of(a.value);
    }
    return draft(r)->pep != PEP_OTHER;
}

// What the last item tells holds.
static bool take_told(struct stanza_reader *r, struct text name, const xmlChar *uri)
{
    enum stanza_rich told = stanza_rich_of(name, xml_text(uri));
    if (told != (draft(r)->pep == PEP_MOOD ? RICH_MOOD : RICH_ACTIVITY))
        return false;
    memset(draft(r)->rich, 0, sizeof draft(r)->rich);
    draft(r)->facts = (struct presence_facts){0};
    r->rich = told;
    r->rich_depth = r->depth;
    return true;
}

// An element somewhere in an event. `event_depth` is that of the innermost one that is open and has
// its place there.
static void begin_in_event(struct stanza_reader *r, struct text name, const xmlChar *uri,
                           int n_attributes, const xmlChar **attributes)
{
    bool fits = false, of_event = ns_is(uri, NS_EVENT);
    if (r->depth > TOLD_DEPTH && r->event_depth == TOLD_DEPTH) {
        begin_rich_below(r, name, uri);
        return;
    }
    if (r->event_depth >= r->depth)
        r->event_depth = r->depth - 1; // what stood there is over
    if (r->event_depth != r->depth - 1)
        return;
    r->rich = RICH_NONE;
    if (r->depth == ITEMS_DEPTH) // an event is about one node
        fits = of_event && draft(r)->pep == PEP_OTHER && speaks_of_node(name) &&
               take_node(r, n_attributes, attributes) && text_eq(name, TEXT("items"));
    else if (r->depth == ITEM_DEPTH)
        fits = of_event && text_eq(name, TEXT("item"));
    else if (r->depth == TOLD_DEPTH)
        fits = take_told(r, name, uri);
    r->event_depth += fits;
}

// A child of a stanza. At most one show and one priority are allowed (RFC 6121 §4.7.2); should
// there be more, the last that has a meaning counts.
static void begin_child(struct stanza_reader *r, struct text name, const xmlChar *uri,
                        int n_attributes, const xmlChar **attributes)
{
    bool content = ns_is_content(uri);
    r->field = FIELD_NONE;
    r->field_depth = r->depth;
    r->rich = RICH_NONE;
    r->event_depth = 0;
    r->field_from = text_end(r);
    if (content && text_eq(name, TEXT("error"))) {
        r->field = FIELD_ERROR;
    } else if (draft(r)->kind != STANZA_PRESENCE) {
        begin_payload(r, name, uri, n_attributes, attributes);
        if (draft(r)->kind == STANZA_MESSAGE)
            begin_event(r, name, uri);
    } else if (content && text_eq(name, TEXT("show"))) {
        r->field = FIELD_SHOW;
    } else if (content && text_eq(name, TEXT("priority"))) {
        r->field = FIELD_PRIORITY;
    } else if (content && text_eq(name, TEXT("status"))) {
        begin_status(r, n_attributes, attributes);
        r->field_from = text_end(r);
    } else if (!content) {
        begin_rich_child(r, name, uri, n_attributes, attributes);
    }
}

static void take_stanza_condition(struct stanza_reader *r, struct text name, const xmlChar *uri)
{
    if (draft(r)->condition == CONDITION_NONE && ns_is(uri, NS_STANZA_ERROR))
        draft(r)->condition = (uint8_t)stanza_condition_parse(name);
}

static void take_stream_condition(struct stanza_reader *r, struct text name, const xmlChar *uri)
{
    if (r->stream_error.n || !ns_is(uri, NS_STREAM_ERROR) || text_eq(name, TEXT("text")))
        return;
    r->stream_error.n = name.n < STREAM_CONDITION_MAX ? name.n : STREAM_CONDITION_MAX;
    memcpy(r->stream_error.name, name.p, r->stream_error.n);
}

static void begin_below(struct stanza_reader *r, struct text name, const xmlChar *uri,
                        int n_attributes, const xmlChar **attributes)
{
    if (r->inside == INSIDE_STREAM_ERROR) {
        if (r->depth == 3)
            take_stream_condition(r, name, uri);
    } else if (r->inside == INSIDE_STANZA) {
        if (r->depth == 3)
            begin_child(r, name, uri, n_attributes, attributes);
        else if (r->depth == 4 && r->field == FIELD_ERROR)
            take_stanza_condition(r, name, uri);
        else if (r->event_depth)
            begin_in_event(r, name, uri, n_attributes, attributes);
        else if (r->rich != RICH_NONE)
            begin_rich_below(r, name, uri);
    }
}

// From the end of the start tag that the parser is in: what is left of it is ">" or "/>".
static void skip_from_tag(struct stanza_reader *r)
{
    r->skips = r->too_big = true;
    r->skip_from = position(r);
    r->skip = (struct stanza_skip){.at = SKIP_TAG, .open = r->depth - 2};
    if (r->skip_from < r->piece) { // the parser had kept some of the pieces before
        size_t used;
        int error = stanza_skip_feed(&r->skip, (const char *)r->parser->input->cur,
                                     (size_t)(r->piece - r->skip_from), &used);
        r->skip_from = r->piece;
        if (error != EAGAIN) // an end, where the parser saw none
            r->error = error ? error : EBADMSG;
    }
    xmlStopParser(r->parser);
}

static void on_start(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri,
                     int n_ns, const xmlChar **ns, int n_attributes, int n_defaulted,
                     const xmlChar **attributes)
{
    struct stanza_reader *r = arg;
    (void)prefix, (void)n_ns, (void)ns, (void)n_defaulted;
    r->depth++;
    if (r->depth == 2)
        begin_top(r, xml_text(local), uri, n_attributes, attributes);
    else if (r->depth > r->limits.stanza_depth + 1)
        skip_from_tag(r);
    else if (r->depth > 2 && !r->too_big)
        begin_below(r, xml_text(local), uri, n_attributes, attributes);
}

// xs:byte (RFC 6121 §4.7.2.3); anything else leaves the priority unset.
static void take_priority(struct stanza *s, struct text t)
{
    uint32_t v;
    bool minus = t.n && t.p[0] == '-';
    if (minus || (t.n && t.p[0] == '+'))
        t.p++, t.n--;
    if (!text_to_u32(t, minus ? 128 : 127, &v))
        return;
    s->priority = (int8_t)(minus ? -(int)v : (int)v);
    s->has_priority = true;
}

static void end_field(struct stanza_reader *r)
{
    if (r->too_big || r->field == FIELD_NONE || r->block.failed)
        return; // its text is not whole
    struct stanza *s = draft(r);
    struct span at = {r->field_from, text_end(r) - r->field_from};
    struct text t = stanza_text(s, at);
    enum presence_show show;
    if (r->field == FIELD_STATUS && at.n)
        s->status[s->n_status++].text = at;
    if (r->field == FIELD_SHOW && presence_show_parse(text_trim(t), &show))
        s->show = (uint8_t)show;
    if (r->field == FIELD_PRIORITY)
        take_priority(s, text_trim(t));
    if (r->field == FIELD_RICH)
        stanza_rich_text(&r->block, r->field_text, r->field_from);
    if (r->field == FIELD_SHOW || r->field == FIELD_PRIORITY)
        r->block.n -= at.n; // its text was only needed until now
    r->field = FIELD_NONE;
}

void stanza_sax_end_top(struct stanza_reader *r, uint64_t here)
{
    if (r->inside == INSIDE_STREAM_ERROR) {
        stop(r, ECONNRESET);
        return;
    }
    if (here - r->begin > r->limits.stanza_bytes)
        r->too_big = true;
    if (r->inside == INSIDE_STANZA && r->block.failed) {
        stop(r, ENOMEM);
        return;
    }
    if (r->inside == INSIDE_STANZA)
        block_hand_out(r);
    r->inside = INSIDE_OTHER;
    r->too_big = false;
    r->begin = here;
}

static void end_stanza(struct stanza_reader *r)
{
    uint64_t here = position(r);
    stanza_sax_end_top(r, here);
    if (!r->error && here > RENEW_BYTES && here >= r->piece) {
        r->renew_at = here;
        xmlStopParser(r->parser);
    }
}

static void on_end(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
    struct stanza_reader *r = arg;
    (void)local, (void)prefix, (void)uri;
    if (r->depth > 2 && r->depth == r->field_depth && r->inside == INSIDE_STANZA)
        end_field(r);
    else if (r->depth == 2)
        end_stanza(r);
    else if (r->depth == 1)
        stop(r, ECONNRESET); // </stream:stream>
    r->depth--;
}

// Between stanzas only white space may stand (RFC 6120 §4.6.1, §11.7).
static void on_text_between(struct stanza_reader *r, const xmlChar *p, int n)
{
    if (text_trim((struct text){(const char *)p, (size_t)n}).n)
        stop(r, EBADMSG);
    else
        r->begin = position(r);
}

static void on_text(void *arg, const xmlChar *p, int n)
{
    struct stanza_reader *r = arg;
    if (r->depth == 1)
        on_text_between(r, p, n);
    else if (r->depth > 2 && r->depth == r->field_depth && r->inside == INSIDE_STANZA &&
             r->field != FIELD_NONE && r->field != FIELD_ERROR && !r->too_big)
        buffer_add(&r->block, p, (size_t)n);
}

// RFC 6120 §11.1: none of these may appear in a stream.
static void on_comment(void *arg, const xmlChar *text)
{
    (void)text;
    stop(arg, EPERM);
}

static void on_instruction(void *arg, const xmlChar *target, const xmlChar *data)
{
    (void)target, (void)data;
    stop(arg, EPERM);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    (void)name, (void)external, (void)system;
    stop(arg, EPERM);
}

struct _xmlSAXHandler stanza_sax_handler = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .comment = on_comment,
    .processingInstruction = on_instruction,
    .internalSubset = on_doctype,
};
