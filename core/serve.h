// The serve machine: a SIP user watches an XMPP presentity; the gateway is the SIP notifier.
//
// RFC 8048 §5.3, §6.2, §7.2; RFC 6665 §4.2. One virtual XMPP subscription per pair, stored; under
// it any number of notification dialogs, one for each SIP device, each with its own expiry.
//
//   SIP user            gateway                           XMPP presentity
//    SUBSCRIBE ─────────▶ authorization pending
//    ◀── 200, NOTIFY pending
//                         probe, fence, subscribe ───────▶
//                         ◀─────────────────── subscribed, presence
//    ◀── NOTIFY active
#ifndef CORE_SERVE_H
#define CORE_SERVE_H

#include "core/state.h"

enum {
    SERVE_NOTES_MAX = 4096, // bytes of all <status/> elements of one device; the rest is cut off
    SERVE_LANG_MAX = 64,    // of a language tag; a longer one is as good as none
};

// A SUBSCRIBE without To tag, from a trusted source and free of defects; answers it.
void serve_subscribe(struct core *c, const struct event *ev);
// One inside a dialog: refresh, or the end.
void serve_resubscribe(struct core *c, const struct event *ev, uint32_t dialog);

// Stanzas of the XMPP user to the SIP user; `user` is who `from` names.
void serve_presence(struct core *c, uint32_t user, const struct jid *from, const struct jid *to,
                    const struct stanza *s);
void serve_approved(struct core *c, const struct jid *from, const struct jid *to);
void serve_rejected(struct core *c, const struct jid *from, const struct jid *to,
                    const struct stanza *s);
// An iq answer to the SIP user: one of the fences in core/serve_ask.c.
void serve_fence(struct core *c, const struct jid *from, const struct jid *to,
                 const struct stanza *s);
void serve_error(struct core *c, const struct jid *from, const struct jid *to,
                 enum stanza_condition condition);

// Our NOTIFY was answered; 408 and no message: it was not. From core/dialog.c.
void serve_answered(struct core *c, uint32_t dialog, unsigned status, const struct sip_message *m);
// It was answered with a challenge that there are credentials for: it is sent once more.
void serve_challenged(struct core *c, uint32_t dialog);
void serve_dialog_due(struct core *c, uint32_t dialog);
// TIMER_NOTIFY.
void serve_notify_due(struct core *c, uint32_t dialog);

// The stream has come (back) up: what is known may be out of date.
void serve_resync(struct core *c, uint32_t sub);
// TIMER_SUB.
void serve_retry_due(struct core *c, uint32_t sub);
// A restored dialog: arm its timer.
void serve_restored(struct core *c, uint32_t dialog);
// Ends the authorization for good: she said no, or is no more.
void serve_cancel(struct core *c, uint32_t sub, enum sip_reason reason);

#endif
