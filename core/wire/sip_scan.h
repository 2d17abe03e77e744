// Finding the parts of a SIP header field value without taking it apart: internal to core/wire.
//
// Pure functions over borrowed text. What is structured goes to sofia's parser; these find spans of
// the original bytes, for what must be echoed or sent back in the peer's own spelling.
#ifndef CORE_WIRE_SIP_SCAN_H
#define CORE_WIRE_SIP_SCAN_H

#include "core/wire/text.h"

// SP or HTAB
static inline bool scan_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// Length of the first bytes that a token of RFC 3261 §25.1 may hold.
size_t scan_token(struct text t);
// token; false when empty.
static inline bool scan_is_token(struct text t)
{
    return t.n > 0 && scan_token(t) == t.n;
}

// Inline: of each line twice, and nearly never with more than one blank to take away.
static inline struct text scan_trim(struct text t)
{
    while (t.n && scan_is_blank(t.p[0]))
        t.p++, t.n--;
    while (t.n && scan_is_blank(t.p[t.n - 1]))
        t.n--;
    return t;
}
// The byte that "%hh" at t.p[i] stands for; -1: it is no such triplet.
int scan_percent(struct text t, size_t i);
// An IPv6 address as it may stand in brackets, without them.
bool scan_is_ipv6(struct text t);
// The same host: names without regard to case, IPv6 addresses (without brackets) whatever way they
// are written (RFC 5118 §4.6 has two spellings of one).
bool scan_host_eq(struct text a, struct text b);

// Bytes up to the first `stop` that is neither in a quoted string nor in angle brackets, or all.
size_t scan_until(struct text t, char stop);
// A value without its parameters, trimmed.
static inline struct text scan_before_params(struct text value)
{
    return scan_trim((struct text){value.p, scan_until(value, ';')});
}
// The first of a comma-separated list, trimmed; *rest is what follows its comma.
struct text scan_value(struct text list, struct text *rest);

// name-addr or addr-spec: what should be the URI, without brackets, and the header parameters
// behind it (beginning with ';' or empty). false: it is neither.
bool scan_address(struct text value, struct text *uri, struct text *params);

// Takes one ";name[=value]" from the front of `params`; all parts trimmed. false: none is left.
bool scan_param(struct text *params, struct text *name, struct text *value);

#endif
