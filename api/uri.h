// A request's target, taken apart: path and query parameters.
//
// Our own instead of the library's, because `+` is itself here (SIP numbers: sip:+44…@example.net)
// and an escaped slash in a path is no separator.
#ifndef API_URI_H
#define API_URI_H

#include "core/wire/text.h"

enum { URI_MAX = 8192, URI_PARAMS_MAX = 16 };

struct uri_param {
    struct text name, value; // decoded
};
struct uri {
    struct text path; // as sent, still percent-encoded
    size_t n;
    struct uri_param v[URI_PARAMS_MAX];
};

// Decodes inside `raw`, from which `out` borrows. EBADMSG: a bad or NUL escape, or no path; E2BIG:
// too many parameters.
int uri_split(struct uri *out, char *raw);
// The value of a parameter; NULL: not given.
const struct text *uri_get(const struct uri *u, const char *name);

#endif
