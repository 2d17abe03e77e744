// The header field values that nearly all messages have, read in one pass.
#include "core/wire/sip_plain.h"

#include "core/wire/sip_scan.h"

bool plain_address(struct text value, struct text *uri, struct text *tag)
{
    const char *end = text_starts(value, TEXT("<sip:")) ? memchr(value.p, '>', value.n) : NULL;
    if (!end || memchr(value.p, '%', (size_t)(end - value.p))) // an escape may be a broken one
        return false;
    *uri = (struct text){value.p + 1, (size_t)(end - value.p) - 1};
    struct text params = {end + 1, value.n - uri->n - 2};
    *tag = (struct text){0};
    if (params.n == 0)
        return true;
    if (!text_starts(params, TEXT(";tag=")))
        return false;
    *tag = (struct text){params.p + 5, params.n - 5};
    return scan_is_token(*tag);
}

// Letters, digits, dots and hyphens.
static bool is_host(struct text t)
{
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i], letter = (char)(c | 0x20);
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-')
            return false;
    }
    return t.n > 0;
}

static bool plain_sent_by(struct text t, struct plain_via *out)
{
    const char *colon = t.n ? memchr(t.p, ':', t.n) : NULL;
    size_t n = colon ? (size_t)(colon - t.p) : t.n;
    uint32_t port;
    out->host = (struct text){t.p, n};
    out->port = colon ? (struct text){colon + 1, t.n - n - 1} : (struct text){0};
    return is_host(out->host) && (!colon || text_to_u32(out->port, UINT16_MAX, &port));
}

static bool plain_via_params(struct text params, struct plain_via *out)
{
    struct text name, is;
    while (scan_param(&params, &name, &is)) {
        if (text_eq(name, TEXT("branch")) && !out->branch.n && scan_is_token(is))
            out->branch = is;
        else if (text_eq(name, TEXT("rport")) && is.p == name.p + name.n) // not even '='
            out->rport = true;
        else
            return false;
    }
    return true;
}

bool plain_via(struct text value, struct plain_via *out)
{
    size_t blank = scan_until(value, ' '), n = scan_until(value, ';');
    *out = (struct plain_via){0};
    return text_starts(value, TEXT("SIP/2.0/")) && blank < n &&
           scan_is_token((struct text){value.p + 8, blank - 8}) &&
           plain_sent_by((struct text){value.p + blank + 1, n - blank - 1}, out) &&
           plain_via_params((struct text){value.p + n, value.n - n}, out);
}
