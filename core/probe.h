// Probe before refresh (RFC 7248 §7, RFC 8048 §8.1): is the user's server there, and is she?
//
// The gateway's own JID probes the bare JID, with a disco#info request as a fence behind it:
// stanzas keep their order and every server must answer the request, so its answer ends the waiting
// for the probe's.
//
//   watch wants to refresh ─▶ probe_fresh? ─ yes ─▶ refresh
//                                 │ no
//                             probe_ask ─▶ answers, fence, or timeout ─▶ watch_probed(verdict)
#ifndef CORE_PROBE_H
#define CORE_PROBE_H

#include "core/state.h"

enum probe_verdict {
    PROBE_ALIVE,   // refresh
    PROBE_OFFLINE, // no session: let the dialog end
    PROBE_SILENT,  // server not reachable: no refresh
    PROBE_GONE     // the account is no more: the authorization ends
};

// A probe was answered well within [probe] window_s, or the domain is exempt.
bool probe_fresh(const struct core *c, const struct user *u);
// Asks, unless she is being asked already; watch_probed() follows.
void probe_ask(struct core *c, uint32_t user, uint16_t sip_domain);
// A stanza of the user to a domain's own JID: maybe an answer. True: it was one, or none is due for
// it.
bool probe_answer(struct core *c, uint32_t user, const struct stanza *s);
// TIMER_PROBE.
void probe_due(struct core *c, uint32_t user);

#endif
