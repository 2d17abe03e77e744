// Finding the parts of a SIP header field value without taking it apart.
#include "core/wire/sip_scan.h"

#include <arpa/inet.h>

// RFC 3261 §25.1: alphanum and - . ! % * _ + ` ' ~
static const bool token_char[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,
    ['!'] = true,         ['%'] = true,         ['*'] = true,         ['_'] = true, ['+'] = true,
    ['`'] = true,         ['\''] = true,        ['~'] = true,
};

size_t scan_token(struct text t)
{
    size_t n = 0;
    while (n < t.n && token_char[(unsigned char)t.p[n]])
        n++;
    return n;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int scan_percent(struct text t, size_t i)
{
    if (t.n - i < 3 || t.p[i] != '%')
        return -1;
    int high = hex_digit(t.p[i + 1]), low = hex_digit(t.p[i + 2]);
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

// RFC 5118 §4.10: the grammar of RFC 3261 lets a third colon stand before an IPv4 address, and it
// has to be tolerated.
static bool ipv6_of(struct text t, struct in6_addr *out)
{
    char z[INET6_ADDRSTRLEN + 1];
    if (t.n == 0 || t.n >= sizeof z)
        return false;
    memcpy(z, t.p, t.n);
    z[t.n] = '\0';
    char *colons = strstr(z, ":::");
    if (colons && strchr(colons, '.'))
        memmove(colons, colons + 1, strlen(colons));
    return memchr(t.p, '\0', t.n) == NULL && inet_pton(AF_INET6, z, out) == 1;
}

bool scan_is_ipv6(struct text t)
{
    struct in6_addr ip;
    return ipv6_of(t, &ip);
}

bool scan_host_eq(struct text a, struct text b)
{
    struct in6_addr x, y;
    if (text_eq_nocase(a, b))
        return true;
    return a.n && b.n && memchr(a.p, ':', a.n) && memchr(b.p, ':', b.n) && ipv6_of(a, &x) &&
           ipv6_of(b, &y) && memcmp(&x, &y, sizeof x) == 0;
}

// The index behind the quoted string that begins at `i`; t.n when it has no end.
static size_t skip_quoted(struct text t, size_t i)
{
    for (i++; i < t.n && t.p[i] != '"'; i++)
        if (t.p[i] == '\\')
            i++;
    return i < t.n ? i + 1 : t.n;
}

size_t scan_until(struct text t, char stop)
{
    const char *first = t.n ? memchr(t.p, stop, t.n) : NULL;
    if (!first)
        return t.n;
    size_t n = (size_t)(first - t.p);
    if (!memchr(t.p, '"', n) && !memchr(t.p, '<', n)) // nearly always
        return n;
    for (size_t i = 0; i < t.n;) {
        if (t.p[i] == stop)
            return i;
        if (t.p[i] == '"') {
            i = skip_quoted(t, i);
        } else if (t.p[i] == '<' && (first = memchr(t.p + i, '>', t.n - i))) {
            i = (size_t)(first - t.p);
        } else if (t.p[i] == '<') {
            return t.n;
        } else {
            i++;
        }
    }
    return t.n;
}

struct text scan_value(struct text list, struct text *rest)
{
    size_t n = scan_until(list, ',');
    size_t skip = n < list.n ? n + 1 : n;
    *rest = (struct text){list.p + skip, list.n - skip};
    return scan_trim((struct text){list.p, n});
}

bool scan_address(struct text value, struct text *uri, struct text *params)
{
    size_t open = scan_until(value, '<');
    if (open < value.n) {
        const char *from = value.p + open + 1;
        const char *end = memchr(from, '>', value.n - open - 1);
        if (!end)
            return false;
        *uri = (struct text){from, (size_t)(end - from)};
        *params = scan_trim((struct text){end + 1, value.n - (size_t)(end + 1 - value.p)});
        return params->n == 0 || params->p[0] == ';';
    }
    // RFC 3261 §20: without brackets all parameters are the header field's, and a URI with a comma
    // or question mark has to be in brackets.
    size_t n = scan_until(value, ';');
    *uri = scan_trim((struct text){value.p, n});
    *params = (struct text){value.p + n, value.n - n};
    return uri->n && !memchr(uri->p, ',', uri->n) && !memchr(uri->p, '?', uri->n);
}

bool scan_param(struct text *params, struct text *name, struct text *value)
{
    if (params->n == 0 || params->p[0] != ';')
        return false;
    struct text rest = {params->p + 1, params->n - 1};
    size_t n = scan_until(rest, ';');
    struct text one = {rest.p, n};
    size_t eq = scan_until(one, '=');
    *name = scan_trim((struct text){one.p, eq});
    *value = scan_trim((struct text){one.p + eq, one.n - eq});
    if (value->n)
        *value = scan_trim((struct text){value->p + 1, value->n - 1});
    *params = (struct text){rest.p + n, rest.n - n};
    return true;
}
