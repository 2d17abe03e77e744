// SIP users, by how many XMPP users each of them watches: so that none takes all others' place.
//
// [limits] subscriptions_per_user holds for either side; RFC 3857 §4.7.1 wants such a bound on what
// was never approved.
//
// Subscriptions belong to the shards of the XMPP users, so the bound is each shard's own.
#ifndef CORE_SIP_USER_H
#define CORE_SIP_USER_H

#include "core/state.h"

uint32_t sip_user_watches(const struct core *c, const struct jid *bare);
// One more, one less. False: no memory.
bool sip_user_watches_more(struct core *c, const struct jid *bare);
void sip_user_watches_less(struct core *c, const struct jid *bare);

#endif
