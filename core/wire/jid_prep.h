// Bringing the parts of an address into the form in which they are compared: internal to core/wire.
//
// libidn's stringprep and IDNA behind a fast path: what is plain lower-case ASCII is left where it
// is, without a library call. Pure; any thread.
#ifndef CORE_WIRE_JID_PREP_H
#define CORE_WIRE_JID_PREP_H

#include "core/wire/address.h"

enum {
    PREP_RAW_MAX = 3 * JID_PART_MAX, // before preparation: full-width letters shrink to a third
    HOSTNAME_MAX = 253,              // RFC 1035 §2.3.4 without the final dot, A-labels
};

// Where prepared parts go, one behind the other.
struct room {
    char *p;
    size_t n;
};

// EBADMSG when `t` does not fit.
int room_add(struct room *room, struct text t, struct text *out);

// *out borrows from `t` when that is already in its form, else from the room. EBADMSG.
int prep_local(struct text t, struct room *room, struct text *out);
int prep_domain(struct text t, struct room *room, struct text *out);
int prep_resource(struct text t, struct room *room, struct text *out);

// Only the folding that nodeprep shares with nameprep (RFC 3454 tables B.1, B.2, NFKC), in place,
// for text that may still hold characters that a localpart forbids. z[*n] is a NUL. EBADMSG.
int prep_fold(char *z, size_t size, size_t *n);

// The A-label form of a prepared domain, in `scratch` if it is another; IPv6 literals as they are.
int prep_domain_ascii(struct text domain, char scratch[HOSTNAME_MAX + 1], struct text *out);

#endif
