// Keeps the rich payload of a presence stanza: nick, caps, photo, idle, delay, mood, activity.
#include "core/wire/stanza_rich.h"

#include "core/wire/moment.h"

enum { IDLE_MAX_S = 20 * 366 * 86400 };

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    struct text name, ns;
} CHILDREN[] = {
    [RICH_CAPS] = {{"c", 1}, {"http://jabber.org/protocol/caps", 31}},
    [RICH_PHOTO] = {{"x", 1}, {"vcard-temp:x:update", 19}},
    [RICH_IDLE] = {{"idle", 4}, {"urn:xmpp:idle:1", 15}},
    [RICH_LAST] = {{"query", 5}, {"jabber:iq:last", 14}},
    [RICH_DELAY] = {{"delay", 5}, {"urn:xmpp:delay", 14}},
    [RICH_NICK] = {{"nick", 4}, {"http://jabber.org/protocol/nick", 31}},
    [RICH_MOOD] = {{"mood", 4}, {"http://jabber.org/protocol/mood", 31}},
    [RICH_ACTIVITY] = {{"activity", 8}, {"http://jabber.org/protocol/activity", 35}},
};

enum stanza_rich stanza_rich_of(struct text name, struct text ns)
{
    for (unsigned i = RICH_NONE + 1; i < COUNT(CHILDREN); i++)
        if (text_eq(name, CHILDREN[i].name) && text_eq(ns, CHILDREN[i].ns))
            return (enum stanza_rich)i;
    return RICH_NONE;
}

struct text stanza_rich_ns(enum stanza_rich child)
{
    return CHILDREN[child].ns;
}

static struct stanza *draft(struct buffer *block)
{
    return (struct stanza *)(void *)block->p;
}

static uint32_t text_end(const struct buffer *block)
{
    return (uint32_t)(block->n - offsetof(struct stanza, text));
}

// What is too long is left out; of two the later one stays.
static void keep(struct buffer *block, enum presence_text which, struct text t)
{
    struct span at = {text_end(block), (uint32_t)t.n};
    if (t.n > PRESENCE_TEXT_MAX)
        return;
    buffer_text(block, t);
    if (!block->failed)
        draft(block)->rich[which] = at;
}

static void keep_moment(struct text value, int64_t *ms, bool *has)
{
    int64_t v;
    if (!moment_parse(value, &v))
        return;
    *ms = v;
    *has = true;
}

static void caps_attribute(struct buffer *block, struct text name, struct text value)
{
    if (text_eq(name, TEXT("node")))
        keep(block, PRESENCE_CAPS_NODE, value);
    else if (text_eq(name, TEXT("ver")))
        keep(block, PRESENCE_CAPS_VER, value);
    else if (text_eq(name, TEXT("hash")))
        keep(block, PRESENCE_CAPS_HASH, value);
}

static void idle_attribute(struct presence_facts *f, struct text since)
{
    keep_moment(since, &f->input_ms, &f->has_input);
    if (f->has_input)
        f->input = INPUT_IDLE;
}

// Nobody has been idle for longer than there have been such clients.
static void last_attribute(struct stanza *s, struct text seconds)
{
    if (!text_to_u32(seconds, IDLE_MAX_S, &s->idle_s))
        s->idle_s = 0;
}

void stanza_rich_attribute(struct buffer *block, enum stanza_rich child, struct text name,
                           struct text value)
{
    struct presence_facts *f = &draft(block)->facts; // until the block grows
    if (child == RICH_CAPS)
        caps_attribute(block, name, value);
    else if (child == RICH_DELAY && text_eq(name, TEXT("stamp")))
        keep_moment(value, &f->said_ms, &f->has_said);
    else if (child == RICH_LAST && text_eq(name, TEXT("seconds")))
        last_attribute(draft(block), value);
    else if (child == RICH_IDLE && text_eq(name, TEXT("since")))
        idle_attribute(f, value);
}

// XEP-0107 has more moods than RFC 4480 took over: those stay words.
static void take_mood(struct buffer *block, struct text name)
{
    unsigned i;
    if (presence_mood_parse(name, &i))
        draft(block)->facts.moods |= UINT64_C(1) << i;
    else if (!text_eq(name, TEXT("undefined")))
        keep(block, PRESENCE_MOOD_OTHER, name);
}

// The specific activity says it better than the general one around it (XEP-0108 §2): it takes its
// place if RPID has a word for it, else it is added as a word.
static void take_activity(struct buffer *block, struct text name, bool specific)
{
    unsigned i;
    if (presence_activity_of_xmpp(name, &i)) {
        draft(block)->facts.activities = UINT32_C(1) << i;
        draft(block)->rich[PRESENCE_ACTIVITY_OTHER].n = 0;
    } else if (!text_eq(name, specific ? TEXT("other") : TEXT("undefined"))) {
        keep(block, PRESENCE_ACTIVITY_OTHER, name);
    }
}

bool stanza_rich_element(struct buffer *block, enum stanza_rich child, unsigned level,
                         struct text name, enum presence_text *text)
{
    bool says_why = level == 1 && text_eq(name, TEXT("text"));
    switch (child) {
    case RICH_NICK: *text = PRESENCE_NICK; return level == 0;
    case RICH_PHOTO: *text = PRESENCE_PHOTO; return level == 1 && text_eq(name, TEXT("photo"));
    case RICH_MOOD:
        *text = PRESENCE_MOOD_NOTE;
        if (level == 1 && !says_why)
            take_mood(block, name);
        return says_why;
    case RICH_ACTIVITY:
        *text = PRESENCE_ACTIVITY_NOTE;
        if (!says_why && (level == 1 || level == 2))
            take_activity(block, name, level == 2);
        return says_why;
    default: return false;
    }
}

static bool is_hex(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!memchr("0123456789abcdefABCDEF", t.p[i], 22))
            return false;
    return true;
}

void stanza_rich_text(struct buffer *block, enum presence_text text, uint32_t at)
{
    struct stanza *s = draft(block);
    struct text whole = {s->text + at, text_end(block) - at}, t = text_trim(whole);
    bool fits = t.n && t.n <= PRESENCE_TEXT_MAX && (text != PRESENCE_PHOTO || is_hex(t));
    if (fits)
        s->rich[text] = (struct span){at + (uint32_t)(t.p - whole.p), (uint32_t)t.n};
    else
        block->n -= whole.n;
}
