// What both worlds can say of one device of a user: the common ground that stanza and pidf map to.
//
// RFC 8048 §6 tables 1 and 2, and the rich payload of RPID (RFC 4480), CIPID (RFC 4482), the data
// model (RFC 4479), service capabilities (RFC 5196) and the XEPs beside them; tests/PAYLOAD.md
// tells what becomes of each element. A plain value; all text is borrowed from whoever filled it
// in.
#ifndef CORE_WIRE_PRESENCE_H
#define CORE_WIRE_PRESENCE_H

#include "core/wire/text.h"

enum {
    PRESENCE_STATUS_MAX = 8,  // notes or <status/> elements kept; more are left out
    PRESENCE_TEXT_MAX = 1024, // bytes of a rich text; a longer one is left out, for half a URI or
                              // half a name says something else
    PRESENCE_FRESH_MS = 60 * 1000, // a statement younger than this is news, not delayed delivery
};

enum presence_show { SHOW_NONE, SHOW_CHAT, SHOW_AWAY, SHOW_XA, SHOW_DND };

struct presence_status {
    struct text lang; // empty: none given
    struct text text;
};

// The rich texts; an empty one is absent. Those that an XMPP stanza can bring come first.
enum presence_text {
    PRESENCE_NICK,           // XEP-0172 <nick/>, CIPID <display-name>
    PRESENCE_ACTIVITY_NOTE,  // XEP-0108 <text/>, <note> in RPID <activities>
    PRESENCE_ACTIVITY_OTHER, // an activity that RFC 4480 has no word for
    PRESENCE_MOOD_NOTE,
    PRESENCE_MOOD_OTHER,
    PRESENCE_CAPS_NODE, // XEP-0115
    PRESENCE_CAPS_VER,
    PRESENCE_CAPS_HASH,
    PRESENCE_PHOTO, // XEP-0153, hexadecimal
    PRESENCE_XMPP_TEXTS,
    PRESENCE_PLACE = PRESENCE_XMPP_TEXTS, // RPID <place-type>: a word of RFC 4589, or free text
    PRESENCE_HOMEPAGE,
    PRESENCE_MAP,
    PRESENCE_ICON,
    PRESENCE_DEVICE_ID,
    PRESENCE_DEVICE, // how its owner calls it
    PRESENCE_USER_AGENT,
    PRESENCE_TEXTS
};

enum presence_input { INPUT_UNKNOWN, INPUT_ACTIVE, INPUT_IDLE };

// Bits of `services`: RFC 5196 §3.2, then Blink's.
enum presence_service {
    SERVICE_AUDIO,
    SERVICE_APPLICATION,
    SERVICE_DATA,
    SERVICE_CONTROL,
    SERVICE_VIDEO,
    SERVICE_TEXT,
    SERVICE_MESSAGE,
    SERVICE_AUTOMATA,
    SERVICE_ISFOCUS,
    SERVICE_FILE_TRANSFER,
    SERVICE_SCREEN_SHARING,
    SERVICE_COUNT
};

// The rich facts that are no text. Zero is absent; a value whose `has` is false has to be zero.
struct presence_facts {
    uint64_t moods;            // bits, see presence_mood()
    int64_t said_ms;           // when this was said, since 1970: PIDF <timestamp>, XEP-0203 stamp
    int64_t input_ms;          // of the last input: RPID last-input, XEP-0319 since
    uint32_t activities;       // bits, see presence_activity()
    uint32_t idle_threshold_s; // 0: not given
    uint16_t services, no_services; // said to be there, said not to be there
    int16_t utc_offset_min;
    uint8_t input; // enum presence_input
    bool has_said, has_input, has_utc_offset;
};

struct presence {
    struct text resource; // XMPP resourcepart; empty: the bare JID
    bool available;
    bool has_priority;
    int8_t priority;
    enum presence_show show;
    size_t n_status;
    struct presence_status status[PRESENCE_STATUS_MAX];
    struct presence_facts facts;
    struct text text[PRESENCE_TEXTS];
};

// "chat", "away", "xa", "dnd"; empty for SHOW_NONE.
struct text presence_show_text(enum presence_show show);
// Unknown values are SHOW_NONE and false (RFC 6121 §4.7.2.1: a server may drop them, we ignore).
bool presence_show_parse(struct text t, enum presence_show *out);

// What a person says of herself, whichever device she uses: how she feels, what she does.
enum presence_person { PRESENCE_OF_MOOD, PRESENCE_OF_ACTIVITY };
// Whether anything at all of that is said: a word, a note.
bool presence_says(const struct presence *p, enum presence_person what);
// `what` of `p` is that of `from`, be it nothing.
void presence_replace(struct presence *p, enum presence_person what, const struct presence *from);
// What `p` does not say itself it takes from the person, mood and activity each as a whole.
void presence_take_person(struct presence *p, const struct presence *person);

// Of somebody who is not there only this remains of the rich payload: who he is (name, pictures,
// pages) and when that was said.
void presence_leave(struct presence *p);

// The packed form: what the core keeps per resource and compares to see a change. Appends to `out`;
// false when it ran out of room. What is absent takes no room.
bool presence_pack(struct buffer *out, const struct presence *p);
// The reverse; `out` borrows from `packed`. Packed bytes are ours, so a damaged one is an assert.
void presence_unpack(struct text packed, struct presence *out);
// Only that.
struct text presence_packed_resource(struct text packed);
bool presence_packed_available(struct text packed);
// Whether two packed presences say the same. The time of saying it, and that of the last input of
// somebody who is active, do not count: clients renew both each time they publish, and a watcher
// learns nothing new from them. They stand at the end of the packed form, outside of what is
// compared byte by byte.
bool presence_packed_same(struct text a, struct text b);

// The words of RFC 4480 §3.2 and §3.5. Index of a word, and the word of an index below the count;
// false, empty: there is none. "unknown" and "other" are no words: the first is as good as nothing,
// the second is a text.
enum { PRESENCE_ACTIVITIES = 25, PRESENCE_MOODS = 59 };
bool presence_activity_parse(struct text t, unsigned *out);
struct text presence_activity(unsigned i);
bool presence_mood_parse(struct text t, unsigned *out);
struct text presence_mood(unsigned i);
// The activity that a word of XEP-0108, general or specific, stands for.
bool presence_activity_of_xmpp(struct text t, unsigned *out);
// The reverse, general and specific word; the latter may be empty, both are when XEP-0108 has no
// word for it.
struct text presence_activity_to_xmpp(unsigned i, struct text *specific);
// Whether XMPP says this by presence: away, busy, and who will not come back (XEP-0108 §4).
bool presence_activity_is_presence(unsigned i);

// What one says first of all: whether an activity means away, do not disturb, or neither
// (SHOW_NONE).
enum presence_show presence_activity_show(unsigned i);

#endif
