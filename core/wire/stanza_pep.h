// Personal events (XEP-0163): how somebody feels (XEP-0107), what he does (XEP-0108).
#ifndef CORE_WIRE_STANZA_PEP_H
#define CORE_WIRE_STANZA_PEP_H

#include "core/wire/stanza.h"

// The node's name is also that of the payload's namespace; PEP_OTHER for one that is not known
// here.
enum stanza_pep stanza_pep_of(struct text node);
struct text stanza_pep_node(enum stanza_pep pep);

// What XMPP has words for, as the payload of an event. Nothing is written when `p` says nothing of
// it; "away" and "busy" are nothing, for XMPP says them by `show` (XEP-0108 §4). Of several words
// the first one counts.
void stanza_pep_payload(struct buffer *b, enum stanza_pep pep, const struct presence *p);
// The event with that payload; an empty payload says that it is over (XEP-0107 §2.2, XEP-0108
// §2.2).
void stanza_write_pep(struct buffer *b, struct text from_bare, struct text to, enum stanza_pep pep,
                      struct text payload);

#endif
