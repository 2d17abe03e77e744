// Via values: who sent a request, and who has had it in his hands before.
#include "core/wire/sip.h"

#include "core/wire/sip_scan.h"

enum { PORT = 5060, PORT_TLS = 5061 }; // RFC 3261 §18.1.1

// The text up to `stop`, trimmed; *rest is what follows it. false: it is not there.
static bool take_until(struct text *rest, char stop, struct text *before)
{
    size_t n = scan_until(*rest, stop);
    if (n == rest->n)
        return false;
    *before = scan_trim((struct text){rest->p, n});
    *rest = scan_trim((struct text){rest->p + n + 1, rest->n - n - 1});
    return true;
}

static struct text take_token(struct text *rest)
{
    size_t n = 0;
    while (n < rest->n && !scan_is_blank(rest->p[n]))
        n++;
    struct text token = {rest->p, n};
    *rest = scan_trim((struct text){rest->p + n, rest->n - n});
    return token;
}

static struct text without_brackets(struct text host)
{
    bool any = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    return any ? (struct text){host.p + 1, host.n - 2} : host;
}

// host [":" port], the host of IPv6 in brackets.
static bool split_host_port(struct text t, struct text *host, uint32_t *port)
{
    size_t n = t.n && t.p[0] == '[' ? scan_until(t, ']') : 0;
    n += scan_until((struct text){t.p + n, t.n - n}, ':');
    *host = without_brackets(scan_trim((struct text){t.p, n}));
    if (n == t.n)
        return true;
    return text_to_u32(scan_trim((struct text){t.p + n + 1, t.n - n - 1}), UINT16_MAX, port);
}

// "SIP/2.0/UDP host:port;params", with blanks wherever RFC 3261 §25.1 allows them.
static bool names(struct text via, struct text host, uint16_t first, uint16_t last)
{
    struct text part, rest = scan_trim((struct text){via.p, scan_until(via, ';')}), name;
    if (!take_until(&rest, '/', &part) || !take_until(&rest, '/', &part))
        return false;
    bool tls = text_eq_nocase(take_token(&rest), TEXT("TLS"));
    uint32_t port = tls ? PORT_TLS : PORT;
    return split_host_port(rest, &name, &port) && port >= first && port <= last &&
           scan_host_eq(name, without_brackets(host));
}

bool sip_passed(const struct sip_echo *req, struct text host, uint16_t first, uint16_t last)
{
    if (req->alone && req->sent_by_port) // nearly always, and it has been taken apart already
        return req->sent_by_port >= first && req->sent_by_port <= last &&
               scan_host_eq(req->sent_by, without_brackets(host));
    for (unsigned i = 0; i < req->n_vias; i++)
        for (struct text rest = req->via[i]; rest.n;)
            if (names(scan_value(rest, &rest), host, first, last))
                return true;
    return false;
}
