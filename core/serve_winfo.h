// Watcher information (RFC 3857, 3858): a SIP user is told how his own subscriptions to an XMPP
// user's presence stand: pending, active, ended and why, on which device since when.
//
//   SIP user            gateway                    XMPP presentity
//    SUBSCRIBE presence ──▶ ... NOTIFY pending       subscribe ──▶
//    SUBSCRIBE presence.winfo
//    ─────────────────────▶ 200, NOTIFY: one watcher, pending
//                                                ◀── subscribed
//    ◀── NOTIFY presence, active; NOTIFY winfo: the watcher is active, approved
//
// He may see no watcher but himself (RFC 3857 §4.6), each of his dialogs being one (RFC 3858 §3.2:
// one element per subscription). That leave rests on his subscription: without one there is a list
// of nobody, once, and the request to come back later; and with it the winfo dialogs end. So they
// hang on the pair's authorization, are stored in its record and counted among its dialogs, and the
// XMPP side never hears of them.
//
// Documents are full state. The version is the NOTIFY's CSeq less one: it starts at 0, survives a
// crash, and leaves out numbers only where a NOTIFY had no document or had to be sent once more;
// who sees that asks anew, and is told all (RFC 3858 §4).
//
// Who watches a SIP user is not to be asked here: his own presence agent knows, to which the
// gateway is one more subscriber for each XMPP user who watches him.
#ifndef CORE_SERVE_WINFO_H
#define CORE_SERVE_WINFO_H

#include "core/state.h"

// What we can be asked for. Templates are not listed: who wants watcher information tries it (RFC
// 6665 §4.4.4).
#define SERVE_ALLOW_EVENTS "Allow-Events: presence\r\n"

enum { SERVE_WINFO_RETRY_S = 60 }; // who asks before he watches may ask again then

// The document into c->body, with this version. *state: a hash of what it says, its clocks aside.
struct text serve_winfo_document(struct core *c, const struct dialog *d, uint32_t version,
                                 uint64_t *state);
// A subscription of this pair has begun, ended, or was approved.
void serve_winfo_changed(struct core *c, uint32_t sub);
// There are none any more: the last document, with the reason.
void serve_winfo_end(struct core *c, uint32_t sub, enum sip_reason reason);

#endif
