// The value of <show/>, and the packed form of a presence that the core compares and keeps.
#include "core/wire/presence.h"

#include <assert.h>

static const struct text SHOW_NAMES[] = {
    [SHOW_NONE] = {"", 0}, [SHOW_CHAT] = {"chat", 4}, [SHOW_AWAY] = {"away", 4},
    [SHOW_XA] = {"xa", 2}, [SHOW_DND] = {"dnd", 3},
};
enum { SHOW_COUNT = sizeof SHOW_NAMES / sizeof *SHOW_NAMES };

struct text presence_show_text(enum presence_show show)
{
    assert((unsigned)show < SHOW_COUNT);
    return SHOW_NAMES[show];
}

bool presence_show_parse(struct text t, enum presence_show *out)
{
    *out = SHOW_NONE;
    for (unsigned i = SHOW_CHAT; i < SHOW_COUNT; i++)
        if (text_eq(t, SHOW_NAMES[i])) {
            *out = (enum presence_show)i;
            return true;
        }
    return false;
}

bool presence_says(const struct presence *p, enum presence_person what)
{
    return what == PRESENCE_OF_MOOD
               ? p->facts.moods || p->text[PRESENCE_MOOD_NOTE].n || p->text[PRESENCE_MOOD_OTHER].n
               : p->facts.activities || p->text[PRESENCE_ACTIVITY_NOTE].n ||
                     p->text[PRESENCE_ACTIVITY_OTHER].n;
}

void presence_replace(struct presence *p, enum presence_person what, const struct presence *from)
{
    if (what == PRESENCE_OF_MOOD) {
        p->facts.moods = from->facts.moods;
        p->text[PRESENCE_MOOD_NOTE] = from->text[PRESENCE_MOOD_NOTE];
        p->text[PRESENCE_MOOD_OTHER] = from->text[PRESENCE_MOOD_OTHER];
    } else {
        p->facts.activities = from->facts.activities;
        p->text[PRESENCE_ACTIVITY_NOTE] = from->text[PRESENCE_ACTIVITY_NOTE];
        p->text[PRESENCE_ACTIVITY_OTHER] = from->text[PRESENCE_ACTIVITY_OTHER];
    }
}

void presence_take_person(struct presence *p, const struct presence *person)
{
    for (unsigned what = PRESENCE_OF_MOOD; what <= PRESENCE_OF_ACTIVITY; what++)
        if (!presence_says(p, what))
            presence_replace(p, what, person);
}

void presence_leave(struct presence *p)
{
    static const bool STAYS[PRESENCE_TEXTS] = {
        [PRESENCE_NICK] = true, [PRESENCE_PHOTO] = true, [PRESENCE_HOMEPAGE] = true,
        [PRESENCE_MAP] = true,  [PRESENCE_ICON] = true,
    };
    p->facts = (struct presence_facts){.has_said = p->facts.has_said, .said_ms = p->facts.said_ms};
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        if (!STAYS[i])
            p->text[i] = (struct text){"", 0};
}

// Packed: what times follow at the end, this head, the resource, language and text of each status,
// the bitmap of rich fields and those that are there, the times. A text is its length (seven bits a
// byte, the lowest first) and its bytes.
enum {
    HEAD_BYTES = 4,
    TIME_SAID = 1, // in the first byte
    TIME_INPUT = 2,
    IS_AVAILABLE = 1, // in the second
    HAS_PRIORITY = 2,
    HAS_RICH = 4,
    FIELD_ACTIVITIES = 1 << PRESENCE_TEXTS, // in the bitmap, above a bit for each text
    FIELD_MOODS = FIELD_ACTIVITIES << 1,
    FIELD_INPUT = FIELD_MOODS << 1,
    FIELD_IDLE_THRESHOLD = FIELD_INPUT << 1,
    FIELD_IDLE_SINCE = FIELD_IDLE_THRESHOLD << 1,
    FIELD_SERVICES = FIELD_IDLE_SINCE << 1,
    FIELD_UTC_OFFSET = FIELD_SERVICES << 1,
    FIELD_END = FIELD_UTC_OFFSET << 1,
};

static unsigned times_of(const struct presence_facts *f)
{
    bool active = f->has_input && f->input == INPUT_ACTIVE;
    return (f->has_said ? TIME_SAID : 0u) | (active ? TIME_INPUT : 0u);
}

static size_t times_bytes(unsigned times)
{
    return ((times & TIME_SAID) ? sizeof(int64_t) : 0) +
           ((times & TIME_INPUT) ? sizeof(int64_t) : 0);
}

static uint32_t fields_of(const struct presence *p)
{
    const struct presence_facts *f = &p->facts;
    uint32_t fields = 0;
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        fields |= (uint32_t)(p->text[i].n > 0) << i;
    fields |= f->activities ? FIELD_ACTIVITIES : 0u;
    fields |= f->moods ? FIELD_MOODS : 0u;
    fields |= f->input ? FIELD_INPUT : 0u;
    fields |= f->idle_threshold_s ? FIELD_IDLE_THRESHOLD : 0u;
    fields |= f->has_input && f->input != INPUT_ACTIVE ? FIELD_IDLE_SINCE : 0u;
    fields |= f->services || f->no_services ? FIELD_SERVICES : 0u;
    fields |= f->has_utc_offset ? FIELD_UTC_OFFSET : 0u;
    return fields;
}

static void pack_text(struct buffer *out, struct text t)
{
    size_t n = t.n;
    for (; n > 0x7f; n >>= 7)
        buffer_char(out, (char)(0x80 | (n & 0x7f)));
    buffer_char(out, (char)n);
    buffer_text(out, t);
}

static void pack_rich(struct buffer *out, const struct presence *p, uint32_t fields)
{
    const struct presence_facts *f = &p->facts;
    buffer_add(out, &fields, sizeof fields);
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        if (p->text[i].n)
            pack_text(out, p->text[i]);
#define PACK(field, value)                                                                         \
    if (fields & (field))                                                                          \
    buffer_add(out, &(value), sizeof(value))
    PACK(FIELD_ACTIVITIES, f->activities);
    PACK(FIELD_MOODS, f->moods);
    PACK(FIELD_INPUT, f->input);
    PACK(FIELD_IDLE_THRESHOLD, f->idle_threshold_s);
    PACK(FIELD_IDLE_SINCE, f->input_ms);
    PACK(FIELD_SERVICES, f->services);
    PACK(FIELD_SERVICES, f->no_services);
    PACK(FIELD_UTC_OFFSET, f->utc_offset_min);
#undef PACK
}

bool presence_pack(struct buffer *out, const struct presence *p)
{
    assert(p->n_status <= PRESENCE_STATUS_MAX && (unsigned)p->show < SHOW_COUNT);
    uint32_t fields = fields_of(p);
    unsigned times = times_of(&p->facts);
    unsigned flags = (p->available ? IS_AVAILABLE : 0u) | (p->has_priority ? HAS_PRIORITY : 0u) |
                     (fields ? HAS_RICH : 0u);
    // An unset priority must not look like a change.
    const char head[HEAD_BYTES] = {(char)times, (char)flags,
                                   (char)((unsigned)p->show << 4 | p->n_status),
                                   (char)(p->has_priority ? p->priority : 0)};
    buffer_add(out, head, sizeof head);
    pack_text(out, p->resource);
    for (size_t i = 0; i < p->n_status; i++) {
        pack_text(out, p->status[i].lang);
        pack_text(out, p->status[i].text);
    }
    if (fields)
        pack_rich(out, p, fields);
    if (times & TIME_SAID)
        buffer_add(out, &p->facts.said_ms, sizeof p->facts.said_ms);
    if (times & TIME_INPUT)
        buffer_add(out, &p->facts.input_ms, sizeof p->facts.input_ms);
    return !out->failed;
}

static void unpack(struct text *rest, void *to, size_t n)
{
    assert(rest->n >= n);
    memcpy(to, rest->p, n);
    rest->p += n;
    rest->n -= n;
}

static size_t unpack_length(struct text *rest)
{
    size_t n = 0;
    uint8_t byte;
    for (unsigned shift = 0;; shift += 7) {
        unpack(rest, &byte, 1);
        assert(shift < 8 * sizeof n);
        n |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return n;
    }
}

static inline struct text unpack_text(struct text *rest)
{
    bool is_short = rest->n && (unsigned char)rest->p[0] < 0x80; // nearly always
    size_t n = is_short ? (unsigned char)rest->p[0] : unpack_length(rest);
    if (is_short)
        rest->p++, rest->n--;
    assert(rest->n >= n);
    struct text t = {rest->p, n};
    rest->p += n;
    rest->n -= n;
    return t;
}

static void unpack_rich(struct text *rest, struct presence *out)
{
    struct presence_facts *f = &out->facts;
    uint32_t fields;
    unpack(rest, &fields, sizeof fields);
    assert(fields && fields < FIELD_END);
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        if (fields & 1u << i)
            out->text[i] = unpack_text(rest);
#define UNPACK(field, value)                                                                       \
    if (fields & (field))                                                                          \
    unpack(rest, &(value), sizeof(value))
    UNPACK(FIELD_ACTIVITIES, f->activities);
    UNPACK(FIELD_MOODS, f->moods);
    UNPACK(FIELD_INPUT, f->input);
    UNPACK(FIELD_IDLE_THRESHOLD, f->idle_threshold_s);
    UNPACK(FIELD_IDLE_SINCE, f->input_ms);
    UNPACK(FIELD_SERVICES, f->services);
    UNPACK(FIELD_SERVICES, f->no_services);
    UNPACK(FIELD_UTC_OFFSET, f->utc_offset_min);
#undef UNPACK
    f->has_input = fields & FIELD_IDLE_SINCE;
    f->has_utc_offset = fields & FIELD_UTC_OFFSET;
}

static void unpack_times(struct text *rest, unsigned times, struct presence_facts *f)
{
    if (times & TIME_SAID) {
        unpack(rest, &f->said_ms, sizeof f->said_ms);
        f->has_said = true;
    }
    if (times & TIME_INPUT) {
        unpack(rest, &f->input_ms, sizeof f->input_ms);
        f->has_input = true;
    }
}

void presence_unpack(struct text packed, struct presence *out)
{
    uint8_t head[HEAD_BYTES];
    struct text rest = packed;
    unpack(&rest, head, sizeof head);
    out->available = head[1] & IS_AVAILABLE;
    out->has_priority = head[1] & HAS_PRIORITY;
    out->priority = (int8_t)head[3];
    out->show = (enum presence_show)(head[2] >> 4);
    out->n_status = head[2] & 15;
    assert(out->n_status <= PRESENCE_STATUS_MAX && (unsigned)out->show < SHOW_COUNT);
    out->resource = unpack_text(&rest);
    for (size_t i = 0; i < out->n_status; i++) {
        out->status[i].lang = unpack_text(&rest);
        out->status[i].text = unpack_text(&rest);
    }
    out->facts = (struct presence_facts){0};
    memset(out->text, 0, sizeof out->text);
    if (head[1] & HAS_RICH)
        unpack_rich(&rest, out);
    unpack_times(&rest, head[0], &out->facts);
    assert(rest.n == 0);
}

struct text presence_packed_resource(struct text packed)
{
    assert(packed.n > HEAD_BYTES);
    struct text rest = {packed.p + HEAD_BYTES, packed.n - HEAD_BYTES};
    return unpack_text(&rest);
}

bool presence_packed_available(struct text packed)
{
    assert(packed.n > HEAD_BYTES);
    return packed.p[1] & IS_AVAILABLE;
}

// What is compared: without the times and the byte that tells which there are.
static struct text lasting(struct text packed)
{
    assert(packed.n >= HEAD_BYTES);
    size_t times = times_bytes((unsigned char)packed.p[0]);
    assert(packed.n >= HEAD_BYTES + times);
    return (struct text){packed.p + 1, packed.n - 1 - times};
}

bool presence_packed_same(struct text a, struct text b)
{
    return text_eq(lasting(a), lasting(b));
}
