// Stanzas that the core says: to a user, from a SIP user or from the gateway itself.
//
// Nothing leaves while the stream that it belongs to is down; core/resync.c makes up for that when
// the stream comes back.
#ifndef CORE_STANZA_OUT_H
#define CORE_STANZA_OUT_H

#include "core/state.h"

// From the SIP user of `s` to the XMPP user of `s`.
void stanza_out_pair(struct core *c, const struct sub *s, enum stanza_type type, struct text id);
// A disco#info request to her bare JID: a fence behind what was said before.
void stanza_out_pair_fence(struct core *c, const struct sub *s, struct text id);
// A notification from one resource of the SIP user of `s`, to `to` or, if that is empty, to her
// bare JID.
void stanza_out_notification(struct core *c, const struct sub *s, const struct presence *p,
                             struct text to);
// The same between any two addresses; `domain` is that of `from`.
void stanza_out_plain(struct core *c, uint16_t domain, struct text from, struct text to,
                      enum stanza_type type, struct text id);
void stanza_out_presence(struct core *c, uint16_t domain, struct text from, struct text to,
                         const struct presence *p);
// An event from the SIP user of `s`, to `to` or, if that is empty, to her bare JID. An empty
// payload says that it is over.
void stanza_out_pep(struct core *c, const struct sub *s, enum stanza_pep pep, struct text payload,
                    struct text to);
// The error answer to a stanza that came in for `domain`.
void stanza_out_error(struct core *c, uint16_t domain, const struct stanza *in,
                      enum stanza_condition condition);
// The result of an iq that came in for `domain`.
void stanza_out_result(struct core *c, uint16_t domain, const struct stanza *in,
                       struct text payload);
// A probe of `user` by the gateway's own JID with a fence behind it; `sip_domain` is the one
// concerned.
void stanza_out_fenced_probe(struct core *c, const struct user *user, uint16_t sip_domain,
                             uint32_t nonce);
// The fence's id for a nonce: 'f' and eight hex digits.
enum { STANZA_FENCE_ID = 9 };
void stanza_out_fence_id(uint32_t nonce, char out[STANZA_FENCE_ID]);

#endif
