// The watch machine: an XMPP user watches a SIP presentity; the gateway is the SIP subscriber.
//
// RFC 8048 §5.2, §6.3, §7.1; RFC 6665 §4.1. The authorization (a sub) is long-lived and stored;
// under it lives at most one notification dialog, refreshed by us for as long as a probe says that
// she is there.
//
//   XMPP user           gateway                         SIP presentity
//    subscribe ─────────▶ authorization pending
//                         SUBSCRIBE ────────────────────▶
//                         ◀──────────────── 200, NOTIFY pending    (nothing to the user)
//                         ◀──────────────── NOTIFY active
//    ◀──────── subscribed, presence
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include "core/probe.h"
#include "core/state.h"
#include "core/wire/stanza.h"

// Stanzas of the XMPP user `from` to the SIP user `to`, both prepared and trusted.
void watch_subscribe(struct core *c, const struct stanza *s, const struct jid *from,
                     const struct jid *to);
void watch_unsubscribe(struct core *c, const struct jid *from, const struct jid *to);
void watch_probe(struct core *c, const struct stanza *s, const struct jid *from,
                 const struct jid *to);
// She, `user`, is there and speaks with him: what failed or lapsed is tried again at once.
void watch_user_seen(struct core *c, uint32_t user, const struct jid *from, const struct jid *to);

// A NOTIFY in a dialog of ours; answers it.
void watch_notify(struct core *c, const struct event *ev, uint32_t dialog);
// Our SUBSCRIBE was answered; 408 without message: it was not. From core/dialog.c.
void watch_answered(struct core *c, uint32_t dialog, unsigned status, const struct sip_message *m);
// Our SUBSCRIBE was challenged, and there are credentials that it did not carry: the same once more
// (RFC 3261 §22.2). False: it can't be sent, and 401 or 407 is its answer.
bool watch_challenged(struct core *c, uint32_t dialog);
void watch_dialog_due(struct core *c, uint32_t dialog);
// TIMER_SUB.
void watch_retry_due(struct core *c, uint32_t sub);
// From core/probe.c.
void watch_probed(struct core *c, uint32_t user, enum probe_verdict verdict);

// An error came back to what we said to her.
void watch_bounced(struct core *c, const struct jid *from, const struct jid *to,
                   enum stanza_condition condition);

// The stream has come (back) up: say again what may have been lost, fetch what is not known.
void watch_resync(struct core *c, uint32_t sub);
// A restored dialog: arm its timer.
void watch_restored(struct core *c, uint32_t dialog);

#endif
