// The header field values that nearly all messages have, read in one pass.
#include "core/wire/sip_plain.h"

#include "core/wire/sip.h"
#include "core/wire/sip_scan.h"

// Nothing, or ";tag=" and a token.
static bool read_tag(struct text params, struct text *tag)
{
    *tag = (struct text){0};
    if (params.n == 0)
        return true;
    if (!text_starts(params, TEXT(";tag=")))
        return false;
    *tag = text_skip(params, 5);
    return scan_is_token(*tag);
}

bool usual_address(struct text value, struct sip_uri *parts, struct text *uri, struct text *tag)
{
    if (value.n == 0 || value.n > SIP_VALUE_MAX || value.p[0] != '<')
        return false;
    struct text rest = text_skip(value, 1);
    *uri = (struct text){rest.p, sip_uri_usual(parts, rest)};
    rest = text_skip(rest, uri->n);
    return uri->n && rest.n && rest.p[0] == '>' && read_tag(text_skip(rest, 1), tag);
}

bool plain_address(struct text value, struct text *uri, struct text *tag)
{
    const char *end = text_starts(value, TEXT("<sip:")) ? memchr(value.p, '>', value.n) : NULL;
    if (!end || value.n > SIP_VALUE_MAX ||
        memchr(value.p, '%', (size_t)(end - value.p))) // an escape may be a broken one
        return false;
    *uri = (struct text){value.p + 1, (size_t)(end - value.p) - 1};
    return read_tag((struct text){end + 1, value.n - uri->n - 2}, tag);
}

static const bool host_char[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,
};

static size_t host_length(struct text t)
{
    size_t n = 0;
    while (n < t.n && host_char[(unsigned char)t.p[n]])
        n++;
    return n;
}

// host and maybe a port, from the front; a parameter or nothing follows.
static bool take_sent_by(struct text *rest, struct plain_via *out)
{
    size_t n = host_length(*rest);
    uint32_t port;
    out->host = (struct text){rest->p, n};
    *rest = text_skip(*rest, n);
    if (n && rest->n && rest->p[0] == ':') {
        n = host_length(text_skip(*rest, 1));
        out->port = (struct text){rest->p + 1, n};
        *rest = text_skip(*rest, 1 + n);
        if (!text_to_u32(out->port, UINT16_MAX, &port))
            return false;
    }
    return n && (rest->n == 0 || rest->p[0] == ';');
}

// Takes `name`, which is ";…=", and the token behind it from the front; *value, which was absent,
// is the token. false: something else is there, and nothing is taken.
static bool take_token(struct text *params, struct text name, struct text *value)
{
    if (!text_starts(*params, name) || value->p)
        return false;
    struct text rest = text_skip(*params, name.n);
    size_t n = scan_token(rest);
    if (n == 0 || (n < rest.n && rest.p[n] != ';'))
        return false;
    *value = (struct text){rest.p, n};
    *params = text_skip(rest, n);
    return true;
}

static bool take_rport(struct text *params, bool *rport)
{
    if (!text_starts(*params, TEXT(";rport")) || (params->n > 6 && params->p[6] != ';'))
        return false;
    *params = text_skip(*params, 6);
    return *rport = true;
}

// What proxies add for themselves, as Kamailio's ";i=1": a parameter that nobody here looks at.
// Those looked at are not taken for one, however they are written.
static bool take_other(struct text *params)
{
    struct text rest = text_skip(*params, 1), name = {rest.p, scan_token(rest)};
    rest = text_skip(rest, name.n);
    if (rest.n && rest.p[0] == '=') {
        size_t n = scan_token(text_skip(rest, 1));
        rest = text_skip(rest, 1 + n);
        if (n == 0)
            return false;
    }
    if (name.n == 0 || (rest.n && rest.p[0] != ';') || text_eq_nocase(name, TEXT("branch")) ||
        text_eq_nocase(name, TEXT("rport")))
        return false;
    *params = rest;
    return true;
}

bool plain_via(struct text value, struct plain_via *out)
{
    *out = (struct plain_via){0};
    if (value.n > SIP_VALUE_MAX || !text_starts(value, TEXT("SIP/2.0/")))
        return false;
    struct text rest = text_skip(value, 8);
    size_t n = scan_token(rest);
    if (n == 0 || n == rest.n || rest.p[n] != ' ')
        return false;
    rest = text_skip(rest, n + 1);
    if (!take_sent_by(&rest, out))
        return false;
    while (rest.n)
        if (!take_token(&rest, TEXT(";branch="), &out->branch) && !take_rport(&rest, &out->rport) &&
            !take_other(&rest))
            return false;
    return true;
}

bool plain_substate(struct text value, struct plain_substate *out)
{
    *out = (struct plain_substate){.state = {value.p, scan_token(value)}};
    struct text rest = text_skip(value, out->state.n);
    if (out->state.n == 0 || value.n > SIP_VALUE_MAX || (rest.n && rest.p[0] != ';'))
        return false;
    while (rest.n)
        if (!take_token(&rest, TEXT(";expires="), &out->expires) &&
            !take_token(&rest, TEXT(";reason="), &out->reason) &&
            !take_token(&rest, TEXT(";retry-after="), &out->retry_after))
            return false;
    return true;
}
