// The words of SIP and their numbers: what sip_parse.c reads and sip_write.c writes. Internal to
// core/wire; the halves that the core needs too are in sip.h.
#ifndef CORE_WIRE_SIP_NAMES_H
#define CORE_WIRE_SIP_NAMES_H

#include "core/wire/sip.h"

// Case is significant (RFC 3261 §7.1).
enum sip_method sip_method_of(struct text name);
// Unknown ones are REASON_NONE and SUBSTATE_NONE (RFC 6665 §4.1.3).
enum sip_reason sip_reason_of(struct text name);
enum sip_substate sip_substate_of(struct text name);
struct text sip_substate_text(enum sip_substate s);

#endif
