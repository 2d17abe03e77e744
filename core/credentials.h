// Digest credentials: which realms we have a password for, and the nonces that they gave us last.
//
// A nonce serves until the realm says that it is stale, so a request costs one round trip and not
// two (RFC 7616 §3.3 nextnonce is not waited for). Lives in the core; its thread's.
#ifndef CORE_CREDENTIALS_H
#define CORE_CREDENTIALS_H

#include "core/core.h"
#include "core/wire/digest.h"

struct credentials;
struct hash_random;

int credentials_create(struct credentials **out, const struct core_realm *realms, size_t n);
void credentials_destroy(struct credentials *k);

// A 401 or 407 to a request that carried `sent_nonce` (empty: none). True: there are credentials
// that were not tried with it yet, so the request is worth sending again. False: they are wrong, or
// there are none.
bool credentials_challenged(struct credentials *k, const struct hop *from,
                            const struct sip_message *m, struct text sent_nonce);
// Lines for a request to `to`, for the realms that have challenged from there. Appends; nothing
// when there is none.
void credentials_write(struct credentials *k, struct hash_random *random, const struct hop *to,
                       struct text method, struct text uri, struct buffer *b);
// Realms with a password; shown in status.
size_t credentials_count(const struct credentials *k);

#endif
