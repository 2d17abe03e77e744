// Rates of notifications (RFC 6446 §9.2), decimal numbers per second, as times between two.
// Internal to core/wire.
#ifndef CORE_WIRE_SIP_RATE_H
#define CORE_WIRE_SIP_RATE_H

#include "core/wire/sip.h"

// max-rate: no less than this between two. min-rate: no more. SIP_ABSENT: it is no rate; zero is
// none, and neither is what the grammar has no room for.
uint32_t rate_least_ms(struct text rate);
uint32_t rate_most_ms(struct text rate);

// The reverse: the shortest decimal that reads back as this time, so that a peer gets back what it
// wrote. Without digits for it (more than 99.9999999999 a second) nothing is written: false.
bool rate_write_least(struct buffer *b, struct text name, uint32_t ms);
bool rate_write_most(struct buffer *b, struct text name, uint32_t ms);

#endif
