// XMPP stanzas: the plain form of one stanza, and the writers.
//
// A `struct stanza` is one relocatable block: its spans are offsets into `text`, which follows it,
// so it can be copied to another thread with one memcpy of stanza_size(). Only what the gateway
// maps is kept; elements that it does not know are passed over. The reader is in stanza_reader.h.
#ifndef CORE_WIRE_STANZA_H
#define CORE_WIRE_STANZA_H

#include "core/wire/presence.h"

enum stanza_kind { STANZA_PRESENCE, STANZA_MESSAGE, STANZA_IQ };

enum stanza_type {
    STANZA_NONE, // no type attribute: available presence, normal message
    STANZA_UNAVAILABLE,
    STANZA_SUBSCRIBE,
    STANZA_SUBSCRIBED,
    STANZA_UNSUBSCRIBE,
    STANZA_UNSUBSCRIBED,
    STANZA_PROBE,
    STANZA_ERROR,
    STANZA_GET,
    STANZA_SET,
    STANZA_RESULT,
    STANZA_OTHER // chat, headline, … and unknown values
};

// RFC 6120 §8.3.3. Order is not significant; CONDITION_NONE: no defined condition was found.
enum stanza_condition {
    CONDITION_NONE,
    CONDITION_BAD_REQUEST,
    CONDITION_CONFLICT,
    CONDITION_FEATURE_NOT_IMPLEMENTED,
    CONDITION_FORBIDDEN,
    CONDITION_GONE,
    CONDITION_INTERNAL_SERVER_ERROR,
    CONDITION_ITEM_NOT_FOUND,
    CONDITION_JID_MALFORMED,
    CONDITION_NOT_ACCEPTABLE,
    CONDITION_NOT_ALLOWED,
    CONDITION_NOT_AUTHORIZED,
    CONDITION_POLICY_VIOLATION,
    CONDITION_RECIPIENT_UNAVAILABLE,
    CONDITION_REDIRECT,
    CONDITION_REGISTRATION_REQUIRED,
    CONDITION_REMOTE_SERVER_NOT_FOUND,
    CONDITION_REMOTE_SERVER_TIMEOUT,
    CONDITION_RESOURCE_CONSTRAINT,
    CONDITION_SERVICE_UNAVAILABLE,
    CONDITION_SUBSCRIPTION_REQUIRED,
    CONDITION_UNDEFINED_CONDITION,
    CONDITION_UNEXPECTED_REQUEST,
    CONDITION_COUNT
};

// What a personal event tells (XEP-0163): mood and activity are in `rich` and `facts`, and if they
// are not, she says nothing of it any more. Of all else it is only known that it is an event.
enum stanza_pep { PEP_NONE, PEP_MOOD, PEP_ACTIVITY, PEP_OTHER };

struct stanza {
    uint32_t size;                       // of the block: this struct and the text behind it
    uint8_t kind, type, condition, show; // the enums above
    int8_t priority;
    bool has_priority;
    bool too_big; // past the reader's limits: kind, type and addresses are here, and no contents
    uint8_t n_status;
    bool child_has_node;              // of an iq's payload element: a `node` that is not empty
    uint8_t pep;                      // enum stanza_pep: what an event in a message is about
    struct span from, to, id, lang;   // as on the wire, not yet prepared; n == 0: absent
    struct span child_name, child_ns; // the payload element of an iq or message; n == 0: none
    struct span child_node;           // its `node`; n == 0 also if that is too long
    struct {
        struct span lang, text;
    } status[PRESENCE_STATUS_MAX];
    struct span rich[PRESENCE_XMPP_TEXTS]; // by enum presence_text; n == 0: absent
    uint32_t idle_s; // XEP-0256: so long nobody had touched the device then; 0: not said
    struct presence_facts facts;
    char text[];
};

static inline size_t stanza_size(const struct stanza *s)
{
    return s->size;
}

static inline struct text stanza_text(const struct stanza *s, struct span at)
{
    return (struct text){s->text + at.off, at.n};
}

// The presence that the stanza carries; `resource` is given by the caller, who parsed `from`.
// A <status/> without xml:lang takes the stanza's (RFC 6120 §8.1.5). Borrows from the stanza. Who
// is away and says for how long (XEP-0256) is idle since then: before it was said, else before
// now_ms.
void stanza_presence(const struct stanza *s, struct text resource, uint64_t now_ms,
                     struct presence *out);

struct text stanza_condition_text(enum stanza_condition c);
// The error type that goes with a condition ("cancel", "auth", "modify", "wait"), RFC 6120 §8.3.3.
struct text stanza_condition_type(enum stanza_condition c);
// CONDITION_NONE for a name that RFC 6120 does not define.
enum stanza_condition stanza_condition_parse(struct text t);
// The type attribute's text; empty for STANZA_NONE and STANZA_OTHER.
struct text stanza_type_text(enum stanza_type t);
// STANZA_OTHER for a value that stanzas of this kind do not have.
enum stanza_type stanza_type_parse(enum stanza_kind kind, struct text t);

// <presence from to [type] [id]/>. Addresses are JIDs as text; `id` may be empty.
void stanza_write_presence(struct buffer *b, struct text from, struct text to,
                           enum stanza_type type, struct text id);
// A notification (available or unavailable by p->available): show, status with languages, priority,
// and of the rich payload what XMPP has in presence: nick, idle, delay. `from` is a bare JID;
// p->resource is appended to it. `caps` is XML (see stanza_caps.h) and may be empty; it is said of
// available devices only, for it is a device that is asked what it can do.
//
// Without any status, what is being done or felt stands in for it, if it was given as text: clients
// expect activity and mood by PEP, never in presence. Idleness is said only with the moment since
// when (XEP-0319 demands it, and RFC 4480 §3.14 lets a user keep it to himself). A delay
// is said when the presence was stated PRESENCE_FRESH_MS or more before now_ms (of the clock that
// counts from 1970): clients take a delayed presence for an old one, and one that has just been
// published is not; a moment to come is somebody's wrong clock.
void stanza_write_notification(struct buffer *b, struct text from_bare, struct text to,
                               const struct presence *p, struct text caps, uint64_t now_ms);
// The error answer to `s`, with from and to exchanged. Writes nothing when `s` is itself an error
// or an iq result (RFC 6120 §8.3.1: never an error to an error).
void stanza_write_error(struct buffer *b, const struct stanza *s, enum stanza_condition c);
// The result of the iq `s`, with from and to exchanged. `payload` is XML, and may be empty.
void stanza_write_result(struct buffer *b, const struct stanza *s, struct text payload);
// <iq type='get'> with an empty disco#info query (XEP-0030 §3.1): the fence behind a probe.
void stanza_write_disco_info_get(struct buffer *b, struct text from, struct text to,
                                 struct text id);

#endif
