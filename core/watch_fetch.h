// One-time fetches: a probe without an authorization (RFC 8048 §7.1).
//
// SUBSCRIBE Expires 0 in a new dialog, whose one NOTIFY answers the probe. A fetch that fails is
// answered with an error (RFC 7247 §7.2) that mirrors the probe's id (RFC 6121 §4.3.2.1), and with
// `unsubscribed` if she may not see him (§4.3.2 rule 1). 404 is no reason for that, though the rule
// speaks of accounts that do not exist: it ends what her server knows of him, and only 403, 489 and
// 603 are final (RFC 8048 §5.2.2).
#ifndef CORE_WATCH_FETCH_H
#define CORE_WATCH_FETCH_H

#include "core/state.h"
#include "core/wire/pidf.h"
#include "core/wire/stanza.h"

enum { WATCH_FETCH_ID_MAX = 256 }; // of the probe; a longer id is not mirrored

// The probe `s` of `from`.
void watch_fetch(struct core *c, const struct stanza *s, const struct jid *from,
                 const struct jid *to, uint32_t owner_hash);
// Its final response is no success. `for_good`: she may not see him. Frees the dialog.
void watch_fetch_declined(struct core *c, uint32_t dialog, unsigned status, bool for_good);
// Its NOTIFY.
void watch_fetch_shown(struct core *c, const struct dialog *d, const struct sip_message *m,
                       const struct pidf *doc);

#endif
