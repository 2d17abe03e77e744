// A dialog's route set: the value of Record-Route in the peer's own spelling, as Route takes it.
#ifndef CORE_WIRE_SIP_ROUTE_H
#define CORE_WIRE_SIP_ROUTE_H

#include "core/wire/text.h"

// The URI of the first route, and the routes behind it; false: there is none that can be read.
bool sip_route_first(struct text routes, struct text *uri, struct text *rest);
// RFC 3261 §12.2.1.1, when the first route is a strict one: the Request-URI, which is that route
// without what a Request-URI may not have.
void sip_route_write_ruri(struct text first, struct buffer *b);
// The value of Route then: the rest, and the remote target as the last.
void sip_route_write_rest(struct text rest, struct text target, struct buffer *b);

#endif
