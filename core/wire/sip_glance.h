// A first look at a SIP message: whether it is a SUBSCRIBE outside of any dialog, and all that a
// refusal of it repeats.
//
// For the time when more of them come than can be served (core/turn_away.h): what is refused then
// should cost as little as can be, and the rest of it is not looked at. Only what is plain is
// recognized; for everything else there is sip_parse(), which finds just the same of what was
// recognized, unless it finds a defect.
#ifndef CORE_WIRE_SIP_GLANCE_H
#define CORE_WIRE_SIP_GLANCE_H

#include "core/wire/sip.h"

struct sip_glance {
    struct sip_echo echo;
    struct text branch, from_tag;
    uint32_t cseq;
};

// Borrows from `message`, of which no more than the header is read. False: it is something else, or
// not plain; this holds also for what is refused for other reasons than that there is too much:
// hops used up (RFC 3261 §8.1.1.6), an extension required (§8.2.2.3).
bool sip_glance(struct sip_glance *out, struct text message);

#endif
