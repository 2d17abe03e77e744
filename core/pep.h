// Mood and activity (XEP-0107, XEP-0108): of a SIP user as events to those who watch him, of an
// XMPP user from the events that her server sends to those who watch her.
//
// The gateway is the server of the SIP user's domain, and so his pubsub service: it sends the event
// itself, from his bare JID (XEP-0163 §4.3.1). Of her sessions it knows neither names nor wishes,
// so the event goes to her bare JID, and her server gives a headline to each of them (XEP-0163
// §4.3.1 and §4.3.2, RFC 6121 §8.5.2.1.1).
#ifndef CORE_PEP_H
#define CORE_PEP_H

#include "core/state.h"
#include "core/wire/pidf.h"

// What she sees of him: a hash of the payload for each kind of event; 0: nothing.
struct pep_seen {
    uint64_t mood, activity;
};
// To be asked before what is known of him changes, and given back behind it.
struct pep_seen pep_seen(struct core *c, const struct sub *s);
// Says what has changed. `doc` is what he said last: when neither it nor what she sees holds a word
// of these, nothing else is looked at. NULL: nothing is there any more.
void pep_show_changes(struct core *c, struct sub *s, struct pep_seen before,
                      const struct pidf *doc);
// Says it all again, to one of her sessions or, if `to` is empty, to her bare JID; what was said
// and is not so any more is taken back then.
void pep_show(struct core *c, struct sub *s, struct text to);

// A message with an event, from her (a bare JID, else it is not her server's) to the SIP user.
void pep_in(struct core *c, const struct jid *from, const struct jid *to, const struct stanza *m);
// The presence of one of her devices, with what she says of herself in it.
void pep_known_at(const struct sub *s, size_t i, struct presence *out);

#endif
