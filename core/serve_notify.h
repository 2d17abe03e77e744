// The serve machine's NOTIFY requests: what they carry, when they leave, what their answers mean.
#ifndef CORE_SERVE_NOTIFY_H
#define CORE_SERVE_NOTIFY_H

#include "core/state.h"

// Bytes of a NOTIFY's document. A UDP datagram has room for 65,507, and long addresses, routes and
// Call-IDs in the header can take 24,000.
enum { SERVE_BODY_MAX = 40000 };

// Sends the present state, or notes that there is something to send (one in flight per dialog, RFC
// 6665 §4.2.2; [subscription] notify_interval_ms).
void serve_notify(struct core *c, uint32_t dialog);
void serve_notify_all(struct core *c, uint32_t sub);
// Ends a dialog with a last NOTIFY; `closed`: its document says so (RFC 8048 §5.3.3).
void serve_end(struct core *c, uint32_t dialog, enum sip_reason reason, bool closed);
// Dialogs have ended: if none is live, the pair goes dormant (or, by on_expiry, away).
void serve_settle(struct core *c, uint32_t sub);
size_t serve_live_dialogs(const struct core *c, const struct sub *s);

#endif
