// SIP messages as they come in: trust and form first, then to the machine that they are for.
#ifndef CORE_SIP_IN_H
#define CORE_SIP_IN_H

#include "core/state.h"

void sip_in(struct core *c, const struct event *ev);

#endif
