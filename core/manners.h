// Answers to the questions that any XMPP entity may be asked: what it is, whether it is there.
#ifndef CORE_MANNERS_H
#define CORE_MANNERS_H

#include "core/state.h"

// Answers an iq get to the gateway, or to one of its users; `domain` is that of `to`. False: it is
// no question that `to` has an answer to.
bool manners(struct core *c, uint16_t domain, const struct jid *to, const struct stanza *s);

#endif
