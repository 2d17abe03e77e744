// Taking a SIP, pres or im URI apart.
#include "core/wire/address.h"

#include <arpa/inet.h>
#include <errno.h>

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const struct {
    struct text name;
    enum address_scheme scheme;
} schemes[] = {
    {{"sip", 3}, SCHEME_SIP}, {{"sips", 4}, SCHEME_SIPS}, {{"pres", 4}, SCHEME_PRES},
    {{"im", 2}, SCHEME_IM},   {{"tel", 3}, SCHEME_TEL},
};

// RFC 3986 §3.1. The rest begins behind the colon. false: there is no scheme.
static bool take_scheme(struct text *uri, enum address_scheme *out)
{
    size_t n = 0;
    while (n < uri->n && (is_alpha(uri->p[n]) || is_digit(uri->p[n]) || uri->p[n] == '+' ||
                          uri->p[n] == '-' || uri->p[n] == '.'))
        n++;
    if (n == 0 || n == uri->n || uri->p[n] != ':' || !is_alpha(uri->p[0]))
        return false;
    *out = SCHEME_OTHER;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (text_eq_nocase((struct text){uri->p, n}, schemes[i].name))
            *out = schemes[i].scheme;
    *uri = (struct text){uri->p + n + 1, uri->n - n - 1};
    return true;
}

// Blanks, controls and the delimiters that no URI has in it (RFC 3986 appendix C).
static bool plain(struct text t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.p[i];
        if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"')
            return false;
    }
    return true;
}

static size_t until(struct text t, const char *stops)
{
    size_t n = 0;
    while (n < t.n && !strchr(stops, t.p[n]))
        n++;
    return n;
}

static struct text skip(struct text t, size_t n)
{
    return (struct text){t.p + n, t.n - n};
}

// userinfo "@", when there is one: RFC 7247 §6.4 splits at the first.
static bool take_user(struct text *rest, struct text *user)
{
    const char *at = memchr(rest->p, '@', rest->n);
    if (!at)
        return true;
    struct text info = {rest->p, (size_t)(at - rest->p)};
    *user = (struct text){info.p, until(info, ":")};
    *rest = skip(*rest, info.n + 1);
    return user->n > 0;
}

// RFC 3261 §25.1 hostname, as far as its characters go; underscores are seen and taken.
static bool host_plain(struct text host)
{
    for (size_t i = 0; i < host.n; i++)
        if (!is_alpha(host.p[i]) && !is_digit(host.p[i]) && !strchr("-._", host.p[i]))
            return false;
    return host.n > 0;
}

static bool is_ipv6(struct text t)
{
    char z[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    if (t.n == 0 || t.n >= sizeof z)
        return false;
    memcpy(z, t.p, t.n);
    z[t.n] = '\0';
    return strlen(z) == t.n && inet_pton(AF_INET6, z, &ip) == 1;
}

static bool take_host(struct text *rest, struct text *host)
{
    if (rest->n && rest->p[0] == '[') {
        size_t end = until(*rest, "]");
        *host = (struct text){rest->p + 1, end - 1};
        if (end == rest->n || !is_ipv6(*host))
            return false;
        *rest = skip(*rest, end + 1);
        return rest->n == 0 || strchr(":;?", rest->p[0]);
    }
    *host = (struct text){rest->p, until(*rest, ":;?")};
    *rest = skip(*rest, host->n);
    return host_plain(*host);
}

static bool take_port(struct text *rest, uint16_t *port)
{
    uint32_t v;
    if (rest->n == 0 || rest->p[0] != ':')
        return true;
    *rest = skip(*rest, 1);
    size_t n = until(*rest, ";?");
    if (!text_to_u32((struct text){rest->p, n}, UINT16_MAX, &v) || v == 0)
        return false;
    *port = (uint16_t)v;
    *rest = skip(*rest, n);
    return true;
}

static void take_param(struct sip_uri *out, struct text param)
{
    struct text name = {param.p, until(param, "=")};
    struct text value = skip(param, name.n < param.n ? name.n + 1 : name.n);
    if (text_eq_nocase(name, TEXT("transport")))
        out->transport = value;
    else if (text_eq_nocase(name, TEXT("gr")))
        out->gr = value; // empty: a temporary GRUU (RFC 5627 §4.2), which is not mapped
    else if (text_eq_nocase(name, TEXT("lr")))
        out->lr = true;
}

static void take_params(struct sip_uri *out, struct text rest)
{
    while (rest.n && rest.p[0] == ';') {
        rest = skip(rest, 1);
        size_t n = until(rest, ";?");
        take_param(out, (struct text){rest.p, n});
        rest = skip(rest, n);
    }
    if (rest.n)
        out->headers = skip(rest, 1);
}

int sip_uri_parse(struct sip_uri *out, struct text uri)
{
    struct text rest = uri;
    *out = (struct sip_uri){0};
    if (!plain(uri) || !take_scheme(&rest, &out->scheme) || rest.n == 0)
        return EBADMSG;
    if (out->scheme == SCHEME_OTHER)
        return 0;
    if (out->scheme == SCHEME_TEL) {
        out->user = (struct text){rest.p, until(rest, ";")};
        return out->user.n ? 0 : EBADMSG;
    }
    if (!take_user(&rest, &out->user) || !take_host(&rest, &out->host) ||
        !take_port(&rest, &out->port))
        return EBADMSG;
    take_params(out, rest);
    return 0;
}
