// Writes PIDF: compact, in the order of elements that RFC 3863 §4.4 lays down.
#include "core/wire/pidf.h"

#include <assert.h>
#include <limits.h>

#include "core/wire/moment.h"
#include "core/wire/pidf_name.h"

// xs:language; anything else would make the document invalid, so it is left out.
static bool is_language(struct text t)
{
    size_t run = 0;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i], lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'z';
        bool digit = c >= '0' && c <= '9' && memchr(t.p, '-', i); // not in the first subtag
        if (c == '-' ? run == 0 : ++run > 8 || !(letter || digit))
            return false;
        if (c == '-')
            run = 0;
    }
    return run > 0;
}

// What Blink shows; it does not know jabber:client.
static const struct text EXTENDED[] = {
    [SHOW_CHAT] = {"available", 9},
    [SHOW_AWAY] = {"away", 4},
    [SHOW_XA] = {"extended-away", 13},
    [SHOW_DND] = {"busy", 4},
};

static void write_status(struct buffer *b, const struct presence *p)
{
    if (!p->available) {
        buffer_lit(b, "<status><basic>closed</basic></status>");
        return;
    }
    buffer_lit(b, "<status><basic>open</basic>");
    if (p->show != SHOW_NONE) {
        buffer_lit(b, "<show xmlns='jabber:client'>");
        buffer_text(b, presence_show_text(p->show));
        buffer_lit(b, "</show><extended xmlns='urn:ag-projects:xml:ns:pidf'>");
        buffer_text(b, EXTENDED[p->show]);
        buffer_lit(b, "</extended>");
    }
    buffer_lit(b, "</status>");
}

// RFC 8048 §6.2 note 6: a negative priority is not mapped.
static void write_contact(struct buffer *b, struct text entity, const struct presence *p)
{
    if (!p->available || !p->has_priority || p->priority < 0)
        return;
    unsigned milli = pidf_priority_to_milli(p->priority);
    buffer_lit(b, "<contact priority='");
    buffer_u64(b, milli / 1000);
    if (milli % 1000) {
        const char decimals[] = {'.', (char)('0' + milli / 100), (char)('0' + milli / 10 % 10),
                                 (char)('0' + milli % 10)};
        buffer_add(b, decimals, sizeof decimals);
    }
    buffer_lit(b, "'>");
    pidf_contact_write(b, entity, p->resource);
    buffer_lit(b, "</contact>");
}

static void write_note(struct buffer *b, const struct presence_status *status)
{
    if (status->text.n == 0)
        return;
    buffer_lit(b, "<note");
    if (is_language(status->lang)) {
        buffer_lit(b, " xml:lang='");
        buffer_text(b, status->lang);
        buffer_char(b, '\'');
    }
    buffer_char(b, '>');
    buffer_xml(b, status->text);
    buffer_lit(b, "</note>");
}

static void write_attribute_moment(struct buffer *b, struct text begin, int64_t ms)
{
    buffer_text(b, begin);
    moment_write(b, ms);
    buffer_char(b, '\'');
}

static void write_input(struct buffer *b, const struct presence_facts *f)
{
    if (f->input == INPUT_UNKNOWN)
        return;
    buffer_lit(b, "<user-input xmlns='urn:ietf:params:xml:ns:pidf:rpid'");
    if (f->idle_threshold_s) {
        buffer_lit(b, " idle-threshold='");
        buffer_u64(b, f->idle_threshold_s);
        buffer_char(b, '\'');
    }
    if (f->has_input)
        write_attribute_moment(b, TEXT(" last-input='"), f->input_ms);
    buffer_text(b, f->input == INPUT_IDLE ? TEXT(">idle") : TEXT(">active"));
    buffer_lit(b, "</user-input>");
}

// Name and idleness stand in the tuple, as RFC 4482 §3.2 and RFC 4480 table 1 allow and Blink does
// it: two of her devices may differ in them.
static void write_tuple_rich(struct buffer *b, const struct presence *p)
{
    if (!p->available)
        return;
    if (p->text[PRESENCE_NICK].n) {
        buffer_lit(b, "<display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'>");
        buffer_xml(b, p->text[PRESENCE_NICK]);
        buffer_lit(b, "</display-name>");
    }
    write_input(b, &p->facts);
}

static void write_timestamp(struct buffer *b, const struct presence_facts *f)
{
    if (!f->has_said)
        return;
    buffer_lit(b, "<timestamp>");
    moment_write(b, f->said_ms);
    buffer_lit(b, "</timestamp>");
}

static void write_tuple(struct buffer *b, struct text entity, const struct presence *p)
{
    assert(p->n_status <= PRESENCE_STATUS_MAX);
    buffer_lit(b, "<tuple id='");
    pidf_id_write(b, p->resource);
    buffer_lit(b, "'>");
    write_status(b, p);
    write_tuple_rich(b, p);
    write_contact(b, entity, p);
    for (size_t i = 0; i < p->n_status; i++)
        write_note(b, &p->status[i]);
    write_timestamp(b, &p->facts);
    buffer_lit(b, "</tuple>");
}

// ── the person ──

static bool says_activity(const struct presence *p)
{
    return presence_says(p, PRESENCE_OF_ACTIVITY);
}

static bool says_mood(const struct presence *p)
{
    return presence_says(p, PRESENCE_OF_MOOD);
}

static bool is_reserved(const struct presence *p)
{
    return p->show == SHOW_AWAY || p->show == SHOW_XA || p->show == SHOW_DND;
}

// Of those available that `says` holds for the one of the highest priority, of equal ones the
// first; NULL: nobody.
static const struct presence *foremost(const struct presence *p, size_t n,
                                       bool (*says)(const struct presence *p))
{
    const struct presence *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (p[i].available && says(&p[i]) &&
            (!best ||
             (p[i].has_priority ? p[i].priority : 0) > (best->has_priority ? best->priority : 0)))
            best = &p[i];
    return best;
}

// What her devices together say that she does: away or busy only if no device says that she is
// free, for it is said of her, and so of all of them. UINT_MAX: nothing.
static unsigned common_activity(const struct presence *p, size_t n)
{
    unsigned activity = UINT_MAX;
    for (size_t i = 0; i < n; i++)
        if (p[i].available && !is_reserved(&p[i]))
            return UINT_MAX;
    const struct presence *best = foremost(p, n, is_reserved);
    if (best)
        presence_activity_parse(best->show == SHOW_DND ? TEXT("busy") : TEXT("away"), &activity);
    return activity;
}

static void write_element(struct buffer *b, struct text name, struct text value)
{
    buffer_char(b, '<');
    buffer_text(b, name);
    if (value.n) {
        buffer_char(b, '>');
        buffer_xml(b, value);
        buffer_lit(b, "</");
        buffer_text(b, name);
        buffer_char(b, '>');
    } else {
        buffer_lit(b, "/>");
    }
}

static void write_optional(struct buffer *b, struct text name, struct text value)
{
    if (value.n)
        write_element(b, name, value);
}

// RFC 4480 §3.2 has a word "lunch" that its schema (§5.1) lacks; a meal is in both.
static struct text activity_word(unsigned i)
{
    struct text word = presence_activity(i);
    return text_eq(word, TEXT("lunch")) ? TEXT("meal") : word;
}

static void write_activities(struct buffer *b, const struct presence *p, unsigned common)
{
    static const struct presence NOTHING = {0};
    p = p ? p : &NOTHING;
    uint32_t set = p->facts.activities | (common < PRESENCE_ACTIVITIES ? UINT32_C(1) << common : 0);
    if (!set && !says_activity(p))
        return;
    buffer_lit(b, "<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'>");
    write_optional(b, TEXT("note"), p->text[PRESENCE_ACTIVITY_NOTE]);
    for (; set; set &= set - 1) // from the lowest bit up
        write_element(b, activity_word((unsigned)__builtin_ctz(set)), TEXT(""));
    write_optional(b, TEXT("other"), p->text[PRESENCE_ACTIVITY_OTHER]);
    buffer_lit(b, "</activities>");
}

static void write_mood(struct buffer *b, const struct presence *p)
{
    if (!p)
        return;
    buffer_lit(b, "<mood xmlns='urn:ietf:params:xml:ns:pidf:rpid'>");
    write_optional(b, TEXT("note"), p->text[PRESENCE_MOOD_NOTE]);
    for (uint64_t left = p->facts.moods; left; left &= left - 1)
        write_element(b, presence_mood((unsigned)__builtin_ctzll(left)), TEXT(""));
    write_optional(b, TEXT("other"), p->text[PRESENCE_MOOD_OTHER]);
    if (!p->facts.moods && !p->text[PRESENCE_MOOD_OTHER].n)
        buffer_lit(b, "<unknown/>"); // the schema wants one
    buffer_lit(b, "</mood>");
}

// RFC 4479 §5.1.2; the id begins unlike those of tuples.
static void write_person(struct buffer *b, const struct presence *p, size_t n)
{
    const struct presence *active = foremost(p, n, says_activity);
    const struct presence *feeling = foremost(p, n, says_mood);
    unsigned common = active ? UINT_MAX : common_activity(p, n); // the plainer word adds nothing
    if (!active && !feeling && common == UINT_MAX)
        return;
    buffer_lit(b, "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='PERSON'>");
    write_activities(b, active, common);
    write_mood(b, feeling);
    buffer_lit(b, "</person>");
}

void pidf_write(struct buffer *b, struct text entity, const struct presence *p, size_t n)
{
    static const struct presence NOBODY = {.available = false};
    buffer_lit(b,
               "<?xml version='1.0' encoding='UTF-8'?>"
               "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='");
    buffer_xml(b, entity);
    buffer_lit(b, "'>");
    for (size_t i = 0; i < n; i++)
        write_tuple(b, entity, &p[i]);
    if (n == 0)
        write_tuple(b, entity, &NOBODY);
    write_person(b, p, n);
    buffer_lit(b, "</presence>");
}
