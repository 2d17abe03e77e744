// What both worlds can say of one device of a user: the common ground that stanza and pidf map to.
//
// RFC 8048 §6 tables 1 and 2. A plain value; all text is borrowed from whoever filled it in.
#ifndef CORE_WIRE_PRESENCE_H
#define CORE_WIRE_PRESENCE_H

#include "core/wire/text.h"

enum { PRESENCE_STATUS_MAX = 8 }; // notes or <status/> elements kept; more are left out

enum presence_show { SHOW_NONE, SHOW_CHAT, SHOW_AWAY, SHOW_XA, SHOW_DND };

struct presence_status {
    struct text lang; // empty: none given
    struct text text;
};

struct presence {
    struct text resource; // XMPP resourcepart; empty: the bare JID
    bool available;
    bool has_priority;
    int8_t priority;
    enum presence_show show;
    size_t n_status;
    struct presence_status status[PRESENCE_STATUS_MAX];
};

// "chat", "away", "xa", "dnd"; empty for SHOW_NONE.
struct text presence_show_text(enum presence_show show);
// Unknown values are SHOW_NONE and false (RFC 6121 §4.7.2.1: a server may drop them, we ignore).
bool presence_show_parse(struct text t, enum presence_show *out);

// The packed form: what the core keeps per resource and compares byte by byte to see a change.
// Appends to `out`; false when it ran out of room.
bool presence_pack(struct buffer *out, const struct presence *p);
// The reverse; `out` borrows from `packed`. Packed bytes are ours, so a damaged one is an assert.
void presence_unpack(struct text packed, struct presence *out);

#endif
