// The rich payload inside a presence stanza: which elements are known and what is kept of them.
// Used by the stanza reader only.
#ifndef CORE_WIRE_STANZA_RICH_H
#define CORE_WIRE_STANZA_RICH_H

#include "core/wire/stanza.h"

enum stanza_rich {
    RICH_NONE,
    RICH_NICK,     // XEP-0172
    RICH_CAPS,     // XEP-0115
    RICH_PHOTO,    // XEP-0153
    RICH_IDLE,     // XEP-0319
    RICH_LAST,     // XEP-0256
    RICH_DELAY,    // XEP-0203
    RICH_MOOD,     // XEP-0107
    RICH_ACTIVITY, // XEP-0108
};

// The child of a presence with that name.
enum stanza_rich stanza_rich_of(struct text name, struct text ns);
struct text stanza_rich_ns(enum stanza_rich child); // empty for RICH_NONE
// An attribute of that child, one without a namespace. `block` holds the struct stanza that is
// built and, behind it, its text.
void stanza_rich_attribute(struct buffer *block, enum stanza_rich child, struct text name,
                           struct text value);
// An element: the child itself (level 0) or one in it, of the same namespace. True: its text is
// wanted, for *text.
bool stanza_rich_element(struct buffer *block, enum stanza_rich child, unsigned level,
                         struct text name, enum presence_text *text);
// The text that was wanted stands at the end of the block, from `at` on.
void stanza_rich_text(struct buffer *block, enum presence_text text, uint32_t at);

#endif
