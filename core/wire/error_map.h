// RFC 7247 §7: XMPP error conditions and SIP response codes, each as the other side's.
#ifndef CORE_WIRE_ERROR_MAP_H
#define CORE_WIRE_ERROR_MAP_H

#include "core/wire/stanza.h"

// RFC 7247 §7.1. `full_jid`: the error came from a full JID, and so concerns one device rather than
// all that the user has; `has_new_address`: <gone/> tells one. No condition at all is answered like
// an undefined one.
unsigned error_map_to_sip(enum stanza_condition condition, bool full_jid, bool has_new_address);
// RFC 7247 §7.2. A code that it does not list is as good as its class; CONDITION_NONE for what is
// no failure, or no SIP status.
enum stanza_condition error_map_to_xmpp(unsigned sip_status);

#endif
