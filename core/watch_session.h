// Her presence session: a watch dialog costs the SIP side, so there is one only while she is there.
//
// RFC 8048 §5.2.2: a SUBSCRIBE whenever she begins a presence session, refreshes during it. The
// authorization outlives her sessions (§1). What the gateway sees of them: her probes and her
// presence to SIP users that may watch her, which her server broadcasts, or to whom she shows
// herself (RFC 6121 §4.4, §4.6). Of a user whom no SIP user may watch it sees no end at all; then
// dialogs end only if a probe before a refresh says so (core/probe.h).
//
//   unavailable ─▶ does anybody else see her? ─ no ─▶ LEAVING ─ grace ─▶ OVER: Expires 0, one
//                                                       │                by one, nothing said
//                  probe, presence ─────────────────────┴─▶ BACK: SUBSCRIBE, one by one
#ifndef CORE_WATCH_SESSION_H
#define CORE_WATCH_SESSION_H

#include "core/state.h"

// A probe, presence or request of hers: she is there. `user` is who `from` names; 0: nobody yet.
void watch_session_seen(struct core *c, uint32_t user, const struct jid *from);
// Available presence to `to`, whom she watches, behind what core/serve.h made of it.
void watch_session_shown(struct core *c, uint32_t watch, const struct jid *from,
                         const struct jid *to);
// Her `unavailable` to `to`, likewise.
void watch_session_left(struct core *c, const struct jid *from, const struct jid *to);
// He may not watch her any more: what she says of her going is that, and no end of her session.
void watch_session_revoked(struct core *c, const struct jid *from, const struct jid *to);
// TIMER_SUB: true if she has left him, and her session with it.
bool watch_session_left_due(struct core *c, uint32_t watch);
// He has approved her: his dialog is closed as well if her session is over.
void watch_session_gained(struct core *c, uint32_t user);
// Her server says that she has no session: the next word of hers, to whomever, brings all back that
// waits for her. (Those whom she has only asked to see get none of their own, RFC 6121 §4.2.2.)
void watch_session_none(struct core *c, uint32_t user);
// A stream has come up: her coming or going may have been missed.
void watch_session_forget(struct core *c, uint32_t user);
// TIMER_SESSION.
void watch_session_due(struct core *c, uint32_t user);

#endif
