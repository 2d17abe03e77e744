// Loops: whether a request is one of ours that has come back.
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include "core/state.h"

// RFC 3261 §16.3 item 4 and RFC 7332, as far as they concern a user agent.
bool loop_seen(const struct core *c, const struct sip_echo *req);

#endif
