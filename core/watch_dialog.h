// The watch machine's SIP side: open, refresh, unsubscribe, and what to do when it fails.
#ifndef CORE_WATCH_DIALOG_H
#define CORE_WATCH_DIALOG_H

#include "core/state.h"
#include "core/wire/pidf.h"

enum { WATCH_REDIRECTS_MAX = 3 }; // followed one after the other

// The dialog of `sub` that is early or live; 0: none.
uint32_t watch_dialog(const struct core *c, const struct sub *s);
// A new dialog at once, asking for `expires_s`; on failure a retry is arranged.
void watch_open(struct core *c, uint32_t sub, uint32_t expires_s);
// The last dialog was not opened just now.
bool watch_may_try(const struct core *c, const struct sub *s);
// Another attempt at her wish within CORE_ATTEMPT_GAP_S: then one is arranged for its end.
bool watch_too_soon(struct core *c, uint32_t sub);
// Open or refresh, by way of the probe.
void watch_want(struct core *c, uint32_t sub);
// The same once the probe's answer is here.
void watch_go(struct core *c, uint32_t sub);
// A new dialog of `sub` (0: a fetch) with these texts and a fresh Call-ID. 0: no memory.
uint32_t watch_dialog_create(struct core *c, uint32_t sub, uint32_t owner_hash,
                             struct text fields[FIELD_COUNT]);
// Its SUBSCRIBE, and Timer N. EBUSY, ENOMEM: nothing has happened.
int watch_begin(struct core *c, uint32_t dialog, uint32_t expires_s);
// The first SUBSCRIBE was answered with the URI to ask instead (RFC 3261 §8.1.3.4): true if it was
// asked.
bool watch_redirect(struct core *c, uint32_t dialog, struct text contact);
// Ends the SIP side; `unsubscribed` follows when it has been answered, if SUB_ANSWER_LATE.
void watch_close(struct core *c, uint32_t dialog);
// Begins that end. False: the next hop is busy, and nothing has happened.
bool watch_hang_up(struct core *c, uint32_t dialog);
// The SIP side failed for now: dormant, try again after the peer's wish or our backoff.
void watch_failed(struct core *c, uint32_t sub, uint32_t retry_after_s);
// A new dialog then, if there is none.
void watch_retry_at(struct core *c, uint32_t sub, uint64_t due_ms);
// The SIP side said no for good (403, 489, 603, rejected, noresource): tell her and forget.
void watch_refused(struct core *c, uint32_t sub);
// `unsubscribed`, if it is still owed and she has not subscribed anew.
void watch_say_unsubscribed(struct core *c, uint32_t sub);
// A live dialog is gone: what was shown is no longer true.
void watch_lapsed(struct core *c, uint32_t sub);
// A dialog that is over but still answers retransmissions.
void watch_linger(struct core *c, uint32_t dialog);
// Arms the refresh timer of a live dialog.
void watch_schedule(struct core *c, uint32_t dialog);

// Shows her what a document changes, or `all` that is known by then; its text may be in c->body.
void watch_show(struct core *c, uint32_t sub, const struct pidf *doc, bool all);
// Everything known, to `to` or her bare JID; one unavailable if nothing is.
void watch_show_known(struct core *c, uint32_t sub, struct text to);
void watch_hide_known(struct core *c, uint32_t sub);

#endif
