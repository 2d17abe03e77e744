// The header field values that nearly all messages have, read in one pass: internal to core/wire.
//
// What is more than plain, or not sound at all, is left to sofia, which takes ten times as long; of
// what is plain it finds just the same. Pure functions over borrowed text.
#ifndef CORE_WIRE_SIP_PLAIN_H
#define CORE_WIRE_SIP_PLAIN_H

#include "core/wire/address.h"

// A URI as sip_uri_usual() knows it in angle brackets, which is sound then; and behind it at most
// ";tag=…".
bool usual_address(struct text value, struct sip_uri *parts, struct text *uri, struct text *tag);
// "<sip:…>" and behind it at most ";tag=…". That the URI is sound is for the caller to see.
bool plain_address(struct text value, struct text *uri, struct text *tag);

struct plain_via {
    struct text host, port, branch; // the last two may be empty
    bool rport;
};
// "SIP/2.0/UDP host:port;branch=…;rport", in any order, and other parameters whose values, if they
// have any, are tokens; no IPv6, no blanks.
bool plain_via(struct text value, struct plain_via *out);

struct plain_substate {
    struct text state, expires, reason, retry_after; // the last three may be absent: p is NULL
};
// "active;expires=…;reason=…;retry-after=…", each at most once, in any order and nothing else.
bool plain_substate(struct text value, struct plain_substate *out);

#endif
