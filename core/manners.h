// Answers to the questions that any XMPP entity may be asked: what it is, whether it is there.
#ifndef CORE_MANNERS_H
#define CORE_MANNERS_H

#include "core/state.h"

// Once: what SIP users' devices can do, as it is said in their presence (XEP-0115). ENOMEM.
int manners_begin(struct core *c);
// Answers an iq get to the gateway, or to one of its users; `domain` is that of `to`. False: it is
// no question that `to` has an answer to.
bool manners(struct core *c, uint16_t domain, const struct jid *from, const struct jid *to,
             const struct stanza *s);

#endif
