// Digest authentication as a SIP client does it (RFC 7616, RFC 8760, RFC 3261 §22).
//
// Pure. MD5 and SHA-256, each also as -sess; qop=auth, or none as in RFC 2069. auth-int is not
// done: no SIP server asks for it alone.
#ifndef CORE_WIRE_DIGEST_H
#define CORE_WIRE_DIGEST_H

#include "core/wire/sip.h"

enum digest_algorithm {
    DIGEST_NONE, // not one of ours
    DIGEST_MD5,  // also when the challenge names none
    DIGEST_MD5_SESS,
    DIGEST_SHA256,
    DIGEST_SHA256_SESS,
};

enum { DIGEST_NONCE_MAX = 512, DIGEST_CNONCE = 16 };

// A challenge with what answers it. `nc` counts the requests that used this nonce, from 1. Whoever
// keeps one cnonce for as long as a nonce is understood by both kinds of servers where -sess is
// concerned: those that take the session's first cnonce (RFC 7616 §3.4.2), and those that take the
// request's.
struct digest {
    enum digest_algorithm algorithm;
    bool proxy, qop;
    struct text realm, nonce, opaque;
    struct text user, password;
    struct text cnonce; // DIGEST_CNONCE hex digits
    uint32_t nc;
};

struct text digest_algorithm_text(enum digest_algorithm a);
enum digest_algorithm digest_algorithm_parse(struct text t);
// One whole header line, CRLF included: Authorization or Proxy-Authorization. Line ends and NUL in
// any of the texts make `b` fail.
void digest_write(struct buffer *b, const struct digest *d, struct text method, struct text uri);

#endif
