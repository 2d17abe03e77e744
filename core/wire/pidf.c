// Reads PIDF: a SAX2 handler that knows the few places of a document that say something to XMPP.
#include "core/wire/pidf.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "core/wire/address.h"
#include "core/wire/memory.h"
#include "core/wire/pidf_encoding.h"
#include "core/wire/pidf_inner.h"
#include "core/wire/pidf_name.h"
#include "core/wire/pidf_rich.h"
#include "core/wire/xml_sax.h"
#include "core/wire/xml_start.h"

// Names stay in a parser for its life; one that has gathered so many bytes is replaced.
enum { PARSER_NAMES_MAX = 64 * 1024 };

// A word of some vocabulary and the show that it stands for.
struct word {
    struct text word;
    enum presence_show show;
};
static const struct word EXTENDED[] = {
    {{"available", 9}, SHOW_NONE},
    {{"busy", 4}, SHOW_DND},
    {{"away", 4}, SHOW_AWAY},
    {{"extended-away", 13}, SHOW_XA},
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

// ── small pieces ──

static struct pidf_said look_up(const struct word *words, size_t n, struct text t)
{
    for (size_t i = 0; i < n; i++)
        if (text_eq(t, words[i].word))
            return (struct pidf_said){true, words[i].show};
    return (struct pidf_said){false, SHOW_NONE};
}

static struct span keep(struct pidf_reader *r, struct text t)
{
    struct span at = {(uint32_t)r->scratch->n, (uint32_t)t.n};
    buffer_text(r->scratch, t);
    return r->scratch->failed ? (struct span){0} : at;
}

static struct pidf_tuple *last_tuple(struct pidf_reader *r)
{
    return &r->tuple[r->n - 1];
}

static enum pidf_place place_now(const struct pidf_reader *r)
{
    return r->deep ? r->at[r->deep - 1].place : AT_NOWHERE;
}

static bool in_tuple(const struct pidf_reader *r)
{
    return r->deep >= 2 && r->at[1].place == AT_TUPLE;
}

// Of whom the rich payload here speaks.
static struct pidf_rich *rich_here(struct pidf_reader *r)
{
    assert(r->deep >= 2);
    return in_tuple(r)                   ? &last_tuple(r)->rich
           : r->at[1].place == AT_DEVICE ? &r->device[r->n_devices - 1]
                                         : &r->person;
}

static bool attribute(const xmlChar **v, int n, struct text name, struct text *out)
{
    for (int i = 0; i < n; i++) {
        struct xml_attribute a = xml_attribute_at(v, i);
        if (!a.ns && text_eq(a.name, name)) {
            *out = a.value;
            return true;
        }
    }
    return false;
}

static struct span lang_here(struct pidf_reader *r, const xmlChar **v, int n, struct span outer)
{
    for (int i = 0; i < n; i++) {
        struct xml_attribute a = xml_attribute_at(v, i);
        if (xml_is_lang(&a))
            return keep(r, a.value);
    }
    return outer;
}

// ── extensions that don't count: RFC 3863 §4.3.3 ──

static bool must_be_understood(const xmlChar **v, int n)
{
    for (int i = 0; i < n; i++) {
        struct xml_attribute a = xml_attribute_at(v, i);
        if (a.ns && text_eq(a.name, TEXT("mustUnderstand")) && pidf_ns_of(text_of(a.ns)) == NS_PIDF)
            return text_eq(a.value, TEXT("1")) || text_eq(a.value, TEXT("true"));
    }
    return false;
}

// All but what RFC 3863 itself lays down, which always counts.
static bool is_extension(enum pidf_place place)
{
    return (place >= AT_PERSON && place < AT_BASIC) || place == AT_SHOW || place == AT_EXTENDED ||
           place >= AT_RICH_TEXT;
}

static struct pidf_said *activity_here(struct pidf_reader *r)
{
    return in_tuple(r) ? &last_tuple(r)->activity : &r->person_activity;
}

static void remember(struct pidf_reader *r, enum pidf_place place)
{
    if (place == AT_PERSON)
        r->before_person = (struct pidf_before){r->person, r->person_activity, r->person_notes};
    else if (place >= AT_ACTIVITIES && place < AT_BASIC)
        r->before_words =
            (struct pidf_before){.rich = *rich_here(r), .activity = *activity_here(r)};
}

static void undo(struct pidf_reader *r, enum pidf_place place)
{
    if (place == AT_PERSON) {
        r->person = r->before_person.rich;
        r->person_activity = r->before_person.activity;
        r->person_notes = r->before_person.notes;
    } else if (place == AT_DEVICE) {
        r->n_devices--;
    } else if (place >= AT_ACTIVITIES && place < AT_BASIC) {
        *rich_here(r) = r->before_words.rich;
        *activity_here(r) = r->before_words.activity;
    }
}

// ── where an element begins ──

static bool begin_tuple(struct pidf_reader *r, const xmlChar **v, int n)
{
    struct text id;
    if (r->n == PIDF_TUPLES_MAX) {
        r->dropped++;
        return false;
    }
    struct pidf_tuple *t = &r->tuple[r->n++];
    *t = (struct pidf_tuple){0};
    t->lang = lang_here(r, v, n, r->lang);
    if (attribute(v, n, TEXT("id"), &id))
        t->id = keep(r, id);
    return true;
}

static void begin_presence(struct pidf_reader *r, const xmlChar **v, int n)
{
    struct text entity;
    r->is_pidf = true;
    if (attribute(v, n, TEXT("entity"), &entity))
        r->entity = keep(r, entity);
    r->lang = lang_here(r, v, n, r->default_lang);
}

static void begin_contact(struct pidf_reader *r, const xmlChar **v, int n)
{
    struct text priority;
    struct pidf_tuple *t = last_tuple(r);
    if (attribute(v, n, TEXT("priority"), &priority))
        t->has_priority = pidf_milli_parse(text_trim(priority), &t->priority_milli);
}

static bool begin_device(struct pidf_reader *r)
{
    if (r->n_devices == PIDF_DEVICES_MAX)
        return false;
    r->device[r->n_devices++] = (struct pidf_rich){0};
    return true;
}

static void begin_device_info(struct pidf_reader *r, const xmlChar **v, int n)
{
    struct text id;
    if (attribute(v, n, TEXT("id"), &id))
        pidf_rich_device_info(rich_here(r), r->scratch, id);
}

static void begin_user_input(struct pidf_reader *r, const xmlChar **v, int n)
{
    struct text threshold = {"", 0}, last = {"", 0};
    attribute(v, n, TEXT("idle-threshold"), &threshold);
    attribute(v, n, TEXT("last-input"), &last);
    pidf_rich_user_input(rich_here(r), threshold, last);
}

// Of activities the first that has a meaning for show counts.
static void take_word(struct pidf_reader *r, enum pidf_ns ns, struct text name)
{
    unsigned i;
    struct pidf_said *to = activity_here(r);
    pidf_rich_word(rich_here(r), r->scratch, place_now(r), ns, name);
    if (place_now(r) != AT_ACTIVITIES || ns != NS_RPID || to->is || r->at[1].place == AT_DEVICE ||
        !presence_activity_parse(name, &i))
        return;
    to->show = presence_activity_show(i);
    to->is = to->show != SHOW_NONE;
}

static bool holds_words(enum pidf_place place)
{
    return place == AT_ACTIVITIES || place == AT_MOOD || place == AT_PLACE_TYPE;
}

// False: pass over the element.
static bool enter(struct pidf_reader *r, struct pidf_element e, const xmlChar **v, int n)
{
    remember(r, e.place);
    switch (e.place) {
    case AT_NOWHERE: return false;
    case AT_PRESENCE: begin_presence(r, v, n); break;
    case AT_TUPLE:
        if (!begin_tuple(r, v, n))
            return false;
        break;
    case AT_DEVICE:
        if (!begin_device(r))
            return false;
        break;
    case AT_PERSON: r->has_person = true; break;
    case AT_DEVICE_INFO: begin_device_info(r, v, n); break;
    case AT_USER_INPUT: begin_user_input(r, v, n); break;
    case AT_CONTACT: begin_contact(r, v, n); break;
    case AT_NOTE:
        r->note_lang = lang_here(r, v, n, in_tuple(r) ? last_tuple(r)->lang : r->lang);
        break;
    default: break;
    }
    assert(r->deep < PIDF_PLACES_DEEP);
    r->at[r->deep++] = e;
    r->duties &= ~(1u << r->deep);
    r->text_from = (uint32_t)r->scratch->n;
    return true;
}

// What the element is here. A document has few kinds, and most documents have the same.
static const struct pidf_met *meet(struct pidf_reader *r, const xmlChar *uri, const xmlChar *local)
{
    enum pidf_place below = place_now(r);
    struct pidf_met *m = &r->met[((uintptr_t)local / 8 + (uintptr_t)below) % PIDF_MET];
    if (m->local != local || m->uri != uri || m->below != below) {
        enum pidf_ns ns = pidf_ns_of(xml_text(uri));
        *m = (struct pidf_met){uri, local, below, ns, pidf_element_of(below, ns, xml_text(local))};
    }
    return m;
}

static void on_start(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri,
                     int n_ns, const xmlChar **ns, int n_attributes, int n_defaulted,
                     const xmlChar **attributes)
{
    struct pidf_reader *r = arg;
    (void)prefix, (void)n_ns, (void)ns, (void)n_defaulted;
    if (r->skip) {
        r->skip++;
        return;
    }
    const struct pidf_met *m = meet(r, uri, local);
    struct pidf_element e = m->is;
    if (e.place == AT_NOWHERE && is_extension(place_now(r)) &&
        must_be_understood(attributes, n_attributes))
        r->duties |= 1u << r->deep;
    if (e.place == AT_NOWHERE && holds_words(place_now(r)))
        take_word(r, m->ns, xml_text(local));
    if (!enter(r, e, attributes, n_attributes))
        r->skip = 1;
}

// ── where it ends ──

static struct span trimmed(const struct pidf_reader *r, struct span at)
{
    struct text whole = pidf_text_at(r, at), t = text_trim(whole);
    return (struct span){at.off + (uint32_t)(t.p - whole.p), (uint32_t)t.n};
}

static void take_note(struct pidf_reader *r, struct span at)
{
    struct pidf_notes *to = in_tuple(r)                   ? &last_tuple(r)->notes
                            : r->at[1].place == AT_PERSON ? &r->person_notes
                                                          : &r->notes;
    if (to->n == PRESENCE_STATUS_MAX || text_trim(pidf_text_at(r, at)).n == 0)
        return;
    to->v[to->n].lang = r->note_lang;
    to->v[to->n++].text = at;
}

static void take_basic(struct pidf_tuple *t, struct text word)
{
    bool open = text_eq_nocase(word, TEXT("open"));
    if (!open && !text_eq_nocase(word, TEXT("closed")))
        return;
    t->has_basic = true;
    t->basic.is = open;
}

static void take_text(struct pidf_reader *r, struct pidf_element e, struct span at)
{
    if (e.place >= AT_RICH_TEXT) {
        pidf_rich_text(rich_here(r), r->scratch, e, at);
        return;
    }
    struct text word = text_trim(pidf_text_at(r, at));
    struct pidf_said said;
    switch (e.place) {
    case AT_BASIC: take_basic(last_tuple(r), word); break;
    case AT_SHOW:
        said.is = presence_show_parse(word, &said.show);
        if (said.is)
            last_tuple(r)->client = said;
        break;
    case AT_EXTENDED: last_tuple(r)->extended = look_up(EXTENDED, COUNT(EXTENDED), word); break;
    case AT_CONTACT: last_tuple(r)->contact = trimmed(r, at); break;
    case AT_NOTE: take_note(r, at); break;
    default: break;
    }
}

// A name from a peer that can be a resource.
static bool is_resource(const struct pidf_reader *r, struct span at)
{
    return at.n && at.n <= JID_PART_MAX && text_is_xml(pidf_text_at(r, at));
}

static void name_tuple(struct pidf_reader *r, struct pidf_tuple *t)
{
    struct span gr = pidf_contact_gr(r->scratch, t->contact);
    if (is_resource(r, gr)) {
        t->resource = gr;
        return;
    }
    struct span id = pidf_id_resource(r->scratch, t->id);
    if (is_resource(r, id))
        t->resource = id;
}

static void on_end(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
    struct pidf_reader *r = arg;
    (void)local, (void)prefix, (void)uri;
    if (r->skip) {
        r->skip--;
        return;
    }
    enum pidf_place place = place_now(r);
    if (r->duties & 1u << r->deep) {
        undo(r, place);
        r->deep--;
        return;
    }
    if (place >= AT_BASIC && !r->scratch->failed)
        take_text(r, r->at[r->deep - 1],
                  (struct span){r->text_from, (uint32_t)r->scratch->n - r->text_from});
    if (holds_words(place))
        pidf_rich_over(rich_here(r), place);
    if (place == AT_TUPLE && !r->scratch->failed)
        name_tuple(r, last_tuple(r));
    r->deep--;
}

static void on_text(void *arg, const xmlChar *p, int n)
{
    struct pidf_reader *r = arg;
    if (!r->skip && place_now(r) >= AT_BASIC)
        buffer_add(r->scratch, p, (size_t)n);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    struct pidf_reader *r = arg;
    (void)name, (void)external, (void)system;
    r->refused = true;
    xmlStopParser(r->xml);
}

static const xmlSAXHandler HANDLER = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .internalSubset = on_doctype,
};

// ── the parser's life ──

int pidf_reader_create(struct pidf_reader **out)
{
    *out = memory_take_zeroed(1, sizeof **out);
    if (!*out)
        return ENOMEM;
    xml_start();
    return 0;
}

void pidf_reader_destroy(struct pidf_reader *r)
{
    if (!r)
        return;
    if (r->xml)
        xmlFreeParserCtxt(r->xml);
    buffer_free(&r->copy);
    free(r);
}

// A bad document takes its parser along (see parse()).
static bool reader_has_parser(struct pidf_reader *r)
{
    memory_lend();
    if (!r->xml && (r->xml = xmlNewParserCtxt()) != NULL) {
        *r->xml->sax = HANDLER;
        r->xml->userData = r;
        memset(r->met, 0, sizeof r->met);
    }
    return memory_lent(r->xml ? 0 : ENOMEM) == 0;
}

static void reader_reset(struct pidf_reader *r, struct text default_lang, struct buffer *scratch)
{
    buffer_reset(scratch);
    r->scratch = scratch;
    r->refused = r->is_pidf = r->has_person = false;
    r->skip = r->deep = r->dropped = 0;
    r->n = r->n_devices = r->notes.n = r->person_notes.n = 0;
    r->person = (struct pidf_rich){0};
    r->person_activity.is = false;
    r->entity = (struct span){0};
    r->lang = r->default_lang = keep(r, default_lang);
}

// The declaration that most documents begin with says what is known by now, and to read it takes as
// long as two elements do.
static struct text behind_declaration(struct text body)
{
    static const struct text usual[] = {
        {"<?xml version='1.0' encoding='UTF-8'?>", 38},
        {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>", 38},
    };
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (text_starts(body, usual[i]))
            return (struct text){body.p + usual[i].n, body.n - usual[i].n};
    return body;
}

// Ready for another document; the stream of the one before serves again, which spares its memory
// being given back and taken. It does if it owns nothing, and that is asked of whatever
// xmlFreeInputStream() would free; else it goes, and a new one is made. What a document may have
// left on the stack below it xmlCtxtReset() frees. NULL: no memory.
//
// tests/unit/test_pidf_again.c guards this: what is read never depends on what was read before.
static xmlParserInputPtr reader_input(struct pidf_reader *r)
{
    xmlParserInputPtr in = inputPop(r->xml);
    xmlCtxtReset(r->xml);
    if (!in || in->buf || in->encoding || in->version || in->directory || in->filename ||
        in->free) {
        xmlFreeInputStream(in);
        return xmlNewInputStream(r->xml);
    }
    *in = (xmlParserInput){.line = 1, .col = 1, .standalone = -1, .id = in->id};
    return in;
}

// The parser reads straight from our copy, which ends in a NUL as it wants. That takes half the
// time of xmlCtxtReadMemory() for a small document, whose buffer it tries to refill before every
// token.
static bool parse_utf8(struct pidf_reader *r, struct text body, int options)
{
    buffer_reset(&r->copy);
    buffer_text(&r->copy, body);
    buffer_char(&r->copy, '\0');
    xmlParserInputPtr in = r->copy.failed ? NULL : reader_input(r);
    if (!in)
        return false;
    in->base = in->cur = (const xmlChar *)r->copy.p;
    in->end = in->base + body.n;
    in->length = (int)body.n;
    if (inputPush(r->xml, in) < 0) {
        xmlFreeInputStream(in);
        return false;
    }
    // RFC 3863 §4.1 obliges us to UTF-8 only: iconv's hundreds of encodings stay out of reach.
    xmlCtxtUseOptions(r->xml, options | XML_PARSE_IGNORE_ENC);
    // All is there: it need not look for more before every token. To libxml2 2.9 this flag says so
    // (GROW and SHRINK of its parser.c); the document ends at the NUL either way. A library that
    // means something else by it fails tests/unit/test_pidf_again.c.
    r->xml->progressive = 1;
    xmlParseDocument(r->xml);
    r->xml->progressive = 0;
    return true;
}

// UTF-16 and Latin-1, which libxml2 decodes itself; anything else is read as if it were UTF-8.
static void parse_other(struct pidf_reader *r, struct text body, int options)
{
    if (!pidf_is_latin1(body))
        options |= XML_PARSE_IGNORE_ENC;
    r->xml->options = 0; // where XML_PARSE_IGNORE_ENC stays from the document before
    xmlDocPtr doc = xmlCtxtReadMemory(r->xml, body.p, (int)body.n, NULL, NULL, options);
    if (doc) // our handlers build none
        xmlFreeDoc(doc);
}

static int parse(struct pidf_reader *r, struct text body)
{
    // NOENT: else an ampersand in an attribute reads "&#38;"; there are no entities but XML's own.
    enum { OPTIONS = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOENT };
    if (body.n == 0 || body.n > INT_MAX)
        return EBADMSG;
    memory_lend();
    struct text rest = behind_declaration(body);
    if (rest.p == body.p && !pidf_is_utf8(body))
        parse_other(r, body, OPTIONS);
    else if (!parse_utf8(r, rest, OPTIONS))
        return memory_lent(ENOMEM);
    bool bad = r->refused || !r->is_pidf || !r->xml->wellFormed || r->xml->disableSAX;
    int error = r->scratch->failed ? ENOMEM : memory_lent(bad ? EBADMSG : 0);
    // xmlCtxtReset() leaves namespaces behind that were open when a document broke off.
    if (error || xmlDictGetUsage(r->xml->dict) > PARSER_NAMES_MAX) {
        xmlFreeParserCtxt(r->xml);
        r->xml = NULL;
    }
    return error;
}

int pidf_read(struct pidf_reader *r, struct pidf *out, struct text body, struct text default_lang,
              struct buffer *scratch)
{
    out->n = 0;
    out->dropped = 0;
    out->entity = (struct text){"", 0};
    if (!reader_has_parser(r))
        return ENOMEM;
    reader_reset(r, default_lang, scratch);
    int error = parse(r, body);
    if (error)
        return error;
    out->entity = pidf_text_at(r, r->entity);
    out->dropped = r->dropped;
    pidf_give(r, out);
    return 0;
}
