// The serve machine's NOTIFY requests: what they carry, when they leave, what their answers mean.
#ifndef CORE_SERVE_NOTIFY_H
#define CORE_SERVE_NOTIFY_H

#include "core/state.h"

// Bytes of a NOTIFY's document, whatever carries it. A UDP datagram has room for 65,507, and long
// addresses, routes and Call-IDs in the header can take 24,000. Big requests leave over TCP where
// they can (core/transaction.h), but the very same bytes have to fit into a datagram should that be
// refused (RFC 3261 §18.1.1; what is above the path's MTU then goes in fragments, which most
// networks let through), and over a stream, too, most peers read no message above 64 KiB: so there
// is no second, larger limit. Who reaches this one has some thirty devices that all say a lot; then
// their notes go first.
enum { SERVE_BODY_MAX = 40000, SERVE_TAG_HEX = 16 };

// He is told if there is news: something else than he has (RFC 5839), or than the NOTIFY in flight
// carries. One is in flight per dialog (RFC 6665 §4.2.2), and rates hold (core/serve_pace.h).
void serve_notify(struct core *c, uint32_t dialog);
// The same, whether or not there is news: a SUBSCRIBE or a change of the subscription demands it.
void serve_must_notify(struct core *c, uint32_t dialog);
// All that are told of her presence.
void serve_notify_all(struct core *c, uint32_t sub);
void serve_must_notify_all(struct core *c, uint32_t sub);
// The condition of a SUBSCRIBE in this dialog, or of none: true if he has what he would be told.
// Holds until he is told something else (RFC 5839 §6.2, §6.3).
bool serve_condition(struct core *c, uint32_t dialog, const struct sip_message *m);
// No NOTIFY follows the SUBSCRIBE: 204.
void serve_unnotified(struct core *c, uint32_t dialog);
// Ends a dialog with a last NOTIFY; `closed`: its document says so (RFC 8048 §5.3.3).
void serve_end(struct core *c, uint32_t dialog, enum sip_reason reason, bool closed);
// Ends a dialog without one: he has all that it would say (RFC 5839 §5.7).
void serve_leave(struct core *c, uint32_t dialog);
// Dialogs have ended: if none is live, the pair goes dormant (or, by on_expiry, away).
void serve_settle(struct core *c, uint32_t sub);
// Those that are told of her presence.
size_t serve_live_dialogs(const struct core *c, const struct sub *s);

#endif
