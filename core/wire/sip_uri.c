// Taking a SIP, pres, im or tel URI apart.
#include "core/wire/address.h"

#include "core/wire/sip_scan.h"

#include <errno.h>

// Classes of characters, as bits. The rest is what only a user part or a parameter may hold.
enum {
    NEVER = 1,  // blanks, controls and the delimiters of RFC 3986 appendix C
    ALPHA = 2,  // also the first of a scheme
    SCHEME = 4, // RFC 3986 §3.1
    HOST = 8,   // RFC 3261 §25.1 hostname; underscores are seen and taken
    // What nearly all user parts are made of: neither a delimiter nor an escape.
    USUAL = 16,
};

static const uint8_t classes[256] = {
    [0 ... ' '] = NEVER,
    [0x7f] = NEVER,
    ['<'] = NEVER,
    ['>'] = NEVER,
    ['"'] = NEVER,
    ['a' ... 'z'] = ALPHA | SCHEME | HOST | USUAL,
    ['A' ... 'Z'] = ALPHA | SCHEME | HOST | USUAL,
    ['0' ... '9'] = SCHEME | HOST | USUAL,
    ['-'] = SCHEME | HOST | USUAL,
    ['.'] = SCHEME | HOST | USUAL,
    ['+'] = SCHEME | USUAL,
    ['_'] = HOST | USUAL,
};

static bool plain(struct text t)
{
    uint8_t all = 0;
    for (size_t i = 0; i < t.n; i++)
        all |= classes[(unsigned char)t.p[i]];
    return !(all & NEVER);
}

// Length of the first bytes up to a `stop`, or of all.
static size_t until(struct text t, char stop)
{
    const char *at = t.n ? memchr(t.p, stop, t.n) : NULL;
    return at ? (size_t)(at - t.p) : t.n;
}

static const struct {
    struct text name;
    enum address_scheme scheme;
} schemes[] = {
    {{"sip", 3}, SCHEME_SIP}, {{"sips", 4}, SCHEME_SIPS}, {{"pres", 4}, SCHEME_PRES},
    {{"im", 2}, SCHEME_IM},   {{"tel", 3}, SCHEME_TEL},
};

// The rest begins behind the colon. false: there is no scheme.
static bool take_scheme(struct text *uri, enum address_scheme *out)
{
    size_t n = text_span(*uri, classes, SCHEME);
    if (n == uri->n || uri->p[n] != ':' || text_span(*uri, classes, ALPHA) == 0)
        return false;
    *out = SCHEME_OTHER;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (text_eq_nocase((struct text){uri->p, n}, schemes[i].name))
            *out = schemes[i].scheme;
    *uri = text_skip(*uri, n + 1);
    return true;
}

// userinfo "@", when there is one: RFC 7247 §6.4 splits at the first.
static bool take_user(struct text *rest, struct text *user)
{
    const char *at = memchr(rest->p, '@', rest->n);
    if (!at)
        return true;
    struct text info = {rest->p, (size_t)(at - rest->p)};
    *user = (struct text){info.p, until(info, ':')};
    *rest = text_skip(*rest, info.n + 1);
    return user->n > 0;
}

static bool take_host(struct text *rest, struct text *host)
{
    if (rest->n && rest->p[0] == '[') {
        size_t end = until(*rest, ']');
        *host = (struct text){rest->p + 1, end - 1};
        if (end == rest->n || !scan_is_ipv6(*host))
            return false;
        *rest = text_skip(*rest, end + 1);
    } else {
        *host = (struct text){rest->p, text_span(*rest, classes, HOST)};
        *rest = text_skip(*rest, host->n);
    }
    return host->n && (rest->n == 0 || rest->p[0] == ':' || rest->p[0] == ';' || rest->p[0] == '?');
}

static bool take_port(struct text *rest, uint16_t *port)
{
    uint32_t v;
    if (rest->n == 0 || rest->p[0] != ':')
        return true;
    *rest = text_skip(*rest, 1);
    size_t n = text_span(*rest, classes, HOST);
    if (!text_to_u32((struct text){rest->p, n}, UINT16_MAX, &v) || v == 0)
        return false;
    *port = (uint16_t)v;
    *rest = text_skip(*rest, n);
    return rest->n == 0 || rest->p[0] == ';' || rest->p[0] == '?';
}

// RFC 3261 §19.1.4: an escaped letter is that letter, in parameters' names as well (RFC 4475
// §3.1.1.3 has "%6C%72" for "lr").
static bool name_is(struct text name, struct text wanted)
{
    size_t k = 0;
    for (size_t i = 0; i < name.n; i++, k++) {
        int byte = scan_percent(name, i);
        char c = byte >= 0 ? (char)byte : name.p[i];
        if (k == wanted.n || (c >= 'A' && c <= 'Z' ? c | 0x20 : c) != wanted.p[k])
            return false;
        i += byte >= 0 ? 2 : 0;
    }
    return k == wanted.n;
}

// Takes one ";name[=value]" from the front.
static struct text take_param(struct text *rest, struct text *value)
{
    *rest = text_skip(*rest, 1);
    struct text param = {rest->p, until(*rest, ';')}, name = {param.p, until(param, '=')};
    *value = text_skip(param, name.n < param.n ? name.n + 1 : name.n);
    *rest = text_skip(*rest, param.n);
    return name;
}

static void take_params(struct sip_uri *out, struct text rest)
{
    struct text value;
    size_t n = until(rest, '?');
    if (n < rest.n)
        out->headers = text_skip(rest, n + 1);
    rest.n = n;
    while (rest.n) { // at a ';'
        struct text name = take_param(&rest, &value);
        if (name_is(name, TEXT("transport")))
            out->transport = value;
        else if (name_is(name, TEXT("gr")))
            out->gr = value; // empty: a temporary GRUU (RFC 5627 §3.1.2), which is not mapped
        else if (name_is(name, TEXT("lr")))
            out->lr = true;
    }
}

// domainname of RFC 3966 §3, as far as its characters go; its last label begins with a letter.
static bool is_domain_name(struct text t)
{
    if (t.n && t.p[t.n - 1] == '.')
        t.n--;
    const char *dot = t.n ? memrchr(t.p, '.', t.n) : NULL;
    const char *top = dot ? dot + 1 : t.p;
    return t.n && text_span(t, classes, HOST) == t.n && top < t.p + t.n &&
           (classes[(unsigned char)*top] & ALPHA);
}

static void take_phone_params(struct sip_uri *out, struct text rest)
{
    struct text value, context = {0};
    bool more = out->user.p[0] == '+'; // a global number: a context would be none of its own
    while (rest.n) {
        struct text name = take_param(&rest, &value);
        if (name_is(name, TEXT("phone-context")))
            context = value;
        else
            more |= name_is(name, TEXT("ext")) || name_is(name, TEXT("isub")) ||
                    name_is((struct text){name.p, name.n < 2 ? name.n : 2}, TEXT("m-"));
    }
    if (!more && is_domain_name(context))
        out->host = context;
}

static int take_phone(struct sip_uri *out, struct text rest)
{
    out->user = (struct text){rest.p, until(rest, ';')};
    if (out->user.n == 0)
        return EBADMSG;
    take_phone_params(out, text_skip(rest, out->user.n));
    return 0;
}

// A port of up to five digits, from the front. 0: none is there.
static size_t usual_port(struct text t, uint16_t *port)
{
    uint32_t v = 0;
    size_t n = 0;
    for (; n < t.n && n < 5 && t.p[n] >= '0' && t.p[n] <= '9'; n++)
        v = v * 10 + (uint32_t)(t.p[n] - '0');
    *port = (uint16_t)v;
    return v && v <= UINT16_MAX ? n : 0;
}

size_t sip_uri_usual(struct sip_uri *out, struct text t)
{
    if (!text_starts(t, TEXT("sip:")))
        return 0;
    struct text rest = text_skip(t, 4), user = {rest.p, text_span(rest, classes, USUAL)};
    rest = text_skip(rest, user.n);
    if (user.n == 0 || rest.n == 0 || rest.p[0] != '@')
        return 0;
    rest = text_skip(rest, 1);
    struct text host = {rest.p, text_span(rest, classes, HOST)};
    size_t n = 4 + user.n + 1 + host.n, port_n = 0;
    uint16_t port = 0;
    if (host.n < rest.n && rest.p[host.n] == ':') {
        port_n = usual_port(text_skip(rest, host.n + 1), &port);
        n += 1 + port_n;
    }
    *out = (struct sip_uri){.scheme = SCHEME_SIP, .user = user, .host = host, .port = port};
    return host.n && (port_n || n == 4 + user.n + 1 + host.n) ? n : 0;
}

int sip_uri_parse(struct sip_uri *out, struct text uri)
{
    struct text rest = uri;
    if (uri.n && sip_uri_usual(out, uri) == uri.n)
        return 0;
    *out = (struct sip_uri){0};
    if (!plain(uri) || !take_scheme(&rest, &out->scheme) || rest.n == 0)
        return EBADMSG;
    if (out->scheme == SCHEME_OTHER)
        return 0;
    if (out->scheme == SCHEME_TEL)
        return take_phone(out, rest);
    if (!take_user(&rest, &out->user) || !take_host(&rest, &out->host) ||
        !take_port(&rest, &out->port))
        return EBADMSG;
    take_params(out, rest);
    return 0;
}
