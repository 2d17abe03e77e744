// Gathers RPID, CIPID, data model, service capabilities and Blink's own while PIDF is read.
#include "core/wire/pidf_rich.h"

#include "core/wire/moment.h"
#include "core/wire/pidf_name.h"

enum {
    UTC_OFFSET_MAX = 24 * 60, // minutes; nobody is a day ahead
};

static struct text text_at(const struct buffer *b, struct span at)
{
    return at.n ? (struct text){b->p + at.off, at.n} : (struct text){"", 0};
}

static void keep(struct span *to, struct buffer *b, struct text t)
{
    struct span at = {(uint32_t)b->n, (uint32_t)t.n};
    if (to->n || t.n > PRESENCE_TEXT_MAX)
        return;
    buffer_text(b, t);
    if (!b->failed)
        *to = at;
}

void pidf_rich_device_info(struct pidf_rich *r, struct buffer *b, struct text id)
{
    keep(&r->device_info_id, b, text_trim(id));
}

void pidf_rich_user_input(struct pidf_rich *r, struct text idle_threshold, struct text last_input)
{
    r->input.has_last = moment_parse(last_input, &r->input.last_ms);
    if (!text_to_u32(text_trim(idle_threshold), UINT32_MAX, &r->input.idle_threshold_s))
        r->input.idle_threshold_s = 0;
}

// RFC 4480 §6: enumerations are extended by elements of other namespaces, which stay words.
static void take_activity(struct pidf_rich *r, struct buffer *b, enum pidf_ns ns, struct text name)
{
    unsigned i;
    if (r->has_activities)
        return;
    if (ns != NS_RPID)
        keep(&r->text[PRESENCE_ACTIVITY_OTHER], b, name);
    else if (presence_activity_parse(name, &i))
        r->facts.activities |= UINT32_C(1) << i;
}

static void take_mood(struct pidf_rich *r, struct buffer *b, enum pidf_ns ns, struct text name)
{
    unsigned i;
    if (r->has_mood)
        return;
    if (ns != NS_RPID)
        keep(&r->text[PRESENCE_MOOD_OTHER], b, name);
    else if (presence_mood_parse(name, &i))
        r->facts.moods |= UINT64_C(1) << i;
}

void pidf_rich_word(struct pidf_rich *r, struct buffer *b, enum pidf_place within, enum pidf_ns ns,
                    struct text name)
{
    if (within == AT_ACTIVITIES)
        take_activity(r, b, ns, name);
    else if (within == AT_MOOD)
        take_mood(r, b, ns, name);
    else if (!text_eq(name, TEXT("note")) && !text_eq(name, TEXT("unknown")))
        keep(&r->text[PRESENCE_PLACE], b, name); // RFC 4589, or a draft's own words
}

// Several activities elements may stand for several times (RFC 4480 §3.1). No clock is here: the
// first is believed.
void pidf_rich_over(struct pidf_rich *r, enum pidf_place place)
{
    r->has_activities |= place == AT_ACTIVITIES;
    r->has_mood |= place == AT_MOOD;
}

static struct span trimmed(const struct buffer *b, struct span at)
{
    struct text whole = text_at(b, at), t = text_trim(whole);
    return (struct span){at.off + (uint32_t)(t.p - whole.p), (uint32_t)t.n};
}

static bool is_over(const struct pidf_rich *r, unsigned text)
{
    bool of_activities = text == PRESENCE_ACTIVITY_NOTE || text == PRESENCE_ACTIVITY_OTHER;
    bool of_mood = text == PRESENCE_MOOD_NOTE || text == PRESENCE_MOOD_OTHER;
    return (of_activities && r->has_activities) || (of_mood && r->has_mood);
}

static void take_text(struct pidf_rich *r, unsigned text, struct span at)
{
    if (!r->text[text].n && !is_over(r, text) && at.n <= PRESENCE_TEXT_MAX)
        r->text[text] = at;
}

static void take_offset(struct presence_facts *f, struct text t)
{
    uint32_t v;
    bool minus = t.n && t.p[0] == '-';
    if (minus || (t.n && t.p[0] == '+'))
        t.p++, t.n--;
    if (f->has_utc_offset || !text_to_u32(t, UTC_OFFSET_MAX, &v))
        return;
    f->utc_offset_min = (int16_t)(minus ? -(int)v : (int)v);
    f->has_utc_offset = true;
}

static void take_input(struct pidf_rich *r, struct text t)
{
    struct presence_facts *f = &r->facts;
    bool idle = text_eq(t, TEXT("idle"));
    if (f->input || !(idle || text_eq(t, TEXT("active"))))
        return;
    f->input = idle ? INPUT_IDLE : INPUT_ACTIVE;
    f->idle_threshold_s = r->input.idle_threshold_s;
    f->has_input = r->input.has_last;
    f->input_ms = f->has_input ? r->input.last_ms : 0;
}

// xs:boolean
static void take_service(struct presence_facts *f, unsigned service, struct text t)
{
    uint16_t bit = (uint16_t)(1u << service);
    if ((f->services | f->no_services) & bit)
        return;
    if (text_eq(t, TEXT("true")) || text_eq(t, TEXT("1")))
        f->services |= bit;
    else if (text_eq(t, TEXT("false")) || text_eq(t, TEXT("0")))
        f->no_services |= bit;
}

void pidf_rich_text(struct pidf_rich *r, struct buffer *b, struct pidf_element e, struct span at)
{
    struct presence_facts *f = &r->facts;
    at = trimmed(b, at);
    struct text t = text_at(b, at);
    switch (e.place) {
    case AT_RICH_TEXT: take_text(r, e.field, at); break;
    case AT_RICH_URI: take_text(r, e.field, pidf_uri(b, at)); break;
    case AT_STATUS_ICON:
        if (!r->status_icon.n && at.n <= PRESENCE_TEXT_MAX)
            r->status_icon = pidf_uri(b, at);
        break;
    case AT_TIMESTAMP: f->has_said = f->has_said || moment_parse(t, &f->said_ms); break;
    case AT_UTC_OFFSET: take_offset(f, t); break;
    case AT_USER_INPUT: take_input(r, t); break;
    case AT_SERVICE: take_service(f, e.field, t); break;
    default: break;
    }
}

// ── from one part of the document to another ──

static bool says_activity(const struct pidf_rich *r)
{
    return r->facts.activities || r->text[PRESENCE_ACTIVITY_NOTE].n ||
           r->text[PRESENCE_ACTIVITY_OTHER].n;
}

static bool says_mood(const struct pidf_rich *r)
{
    return r->facts.moods || r->text[PRESENCE_MOOD_NOTE].n || r->text[PRESENCE_MOOD_OTHER].n;
}

static void fill_words(struct pidf_rich *to, const struct pidf_rich *from)
{
    bool activity = says_activity(to), mood = says_mood(to); // each is taken as a whole
    if (!activity)
        to->facts.activities = from->facts.activities;
    if (!mood)
        to->facts.moods = from->facts.moods;
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++) {
        bool whole = i == PRESENCE_ACTIVITY_NOTE || i == PRESENCE_ACTIVITY_OTHER ? activity
                     : i == PRESENCE_MOOD_NOTE || i == PRESENCE_MOOD_OTHER       ? mood
                                                                           : to->text[i].n > 0;
        if (!whole)
            to->text[i] = from->text[i];
    }
}

static void fill_input(struct presence_facts *to, const struct presence_facts *from)
{
    to->input = from->input;
    to->idle_threshold_s = from->idle_threshold_s;
    to->has_input = from->has_input;
    to->input_ms = from->input_ms;
}

void pidf_rich_fill(struct pidf_rich *to, const struct pidf_rich *from)
{
    struct presence_facts *t = &to->facts;
    const struct presence_facts *f = &from->facts;
    fill_words(to, from);
    to->status_icon = to->status_icon.n ? to->status_icon : from->status_icon;
    if (!t->input)
        fill_input(t, f);
    if (!(t->services | t->no_services))
        t->services = f->services, t->no_services = f->no_services;
    if (!t->has_utc_offset)
        t->utc_offset_min = f->utc_offset_min, t->has_utc_offset = f->has_utc_offset;
    if (!t->has_said)
        t->said_ms = f->said_ms, t->has_said = f->has_said;
}

void pidf_rich_give(const struct pidf_rich *r, const struct buffer *b, struct presence *out)
{
    out->facts = r->facts;
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        out->text[i] = text_at(b, r->text[i]);
    if (!out->text[PRESENCE_ICON].n)
        out->text[PRESENCE_ICON] = text_at(b, r->status_icon);
    if (!out->text[PRESENCE_DEVICE_ID].n)
        out->text[PRESENCE_DEVICE_ID] = text_at(b, r->device_info_id);
}
