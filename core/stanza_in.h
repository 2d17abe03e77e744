// Stanzas as they come in: addresses and trust first, then to the machine that they are for.
#ifndef CORE_STANZA_IN_H
#define CORE_STANZA_IN_H

#include "core/state.h"

void stanza_in(struct core *c, const struct stanza *s);

#endif
