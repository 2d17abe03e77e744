// Digest credentials: which realms we have a password for, and the nonces that they gave us last.
//
// A nonce serves until the realm says that it is stale, so a request costs one round trip and not
// two (RFC 7616 §3.3 nextnonce is not waited for). It is remembered for each next hop, realm and
// kind of challenge, the least recently used going first. Lives in the core; its thread's.
//
//   credentials_write() ─▶ request ─▶ 401, 407 ─▶ credentials_challenged() ─ true ─▶ once more
#ifndef CORE_CREDENTIALS_H
#define CORE_CREDENTIALS_H

#include "core/state.h"
#include "core/wire/digest.h"

enum {
    CREDENTIALS_NONCES_MAX = 256, // remembered challenges
    CREDENTIALS_TRIES_MAX = 4,    // requests in a row that answer a challenge
};

// The texts of `realms` are copied. ENOMEM, EMSGSIZE (CORE_REALMS_MAX).
int credentials_create(struct credentials **out, const struct core_realm *realms, size_t n);
void credentials_destroy(struct credentials *k);

// `tried` is what the request in flight has tried (core/state.h): all zero before the first, and
// again once one was answered with anything but a challenge.
//
// A 401 or 407 came to the request to `from`. True: there are
// credentials that it did not carry yet, so it is worth sending again. False: they are wrong, there
// are none, or the nonce was called stale a second time. What the challenges say is remembered in
// either case.
bool credentials_challenged(struct credentials *k, const struct hop *from,
                            const struct sip_message *m, struct credentials_tried *tried);
// Lines for a request to `to`, for the realms that have challenged from there. Appends; nothing
// when there is none.
void credentials_write(struct credentials *k, struct hash_random *random, const struct hop *to,
                       struct text method, struct text uri, struct credentials_tried *tried,
                       struct buffer *b);
// Realms with a password; shown in status.
size_t credentials_count(const struct credentials *k);

#endif
