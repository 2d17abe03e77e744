// Checks and takes apart the addresses and names that the configuration holds.
#include "shards/config_form.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include "core/wire/address.h"

enum { DNS_LABEL_MAX = 63, DNS_PORT = 53, SIP_DEFAULT_PORT = 5060, SIPS_DEFAULT_PORT = 5061 };

static int refuse(const char **why, const char *what)
{
    *why = what;
    return EINVAL;
}

static bool is_label_char(char c)
{
    unsigned char u = (unsigned char)c;
    return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '-' ||
           u == '_' ||
           u >= 0x80; // what is not ASCII has been judged by nameprep, or will be by DNS
}

// Labels of 1 to 63 characters with a dot between each two.
static bool is_host_name(struct text t)
{
    size_t label = 0;
    for (size_t i = 0; i < t.n; i++) {
        bool dot = t.p[i] == '.', continues = ((unsigned char)t.p[i] & 0xc0) == 0x80;
        if (dot ? label == 0 : !is_label_char(t.p[i]) || (label >= DNS_LABEL_MAX && !continues))
            return false;
        label = dot ? 0 : label + !continues;
    }
    return label > 0;
}

static void copy(char *out, struct text t)
{
    memcpy(out, t.p, t.n);
    out[t.n] = '\0';
}

int config_form_domain(char out[CONFIG_DOMAIN_MAX + 1], struct text t, const char **why)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    if (t.n == 0)
        return refuse(why, "a domain must not be empty");
    if (jid_parse(&jid, t, scratch, sizeof scratch) || jid.local.n || jid.resource.n ||
        memchr(t.p, '@', t.n) || memchr(t.p, '/', t.n) || !is_host_name(jid.domain))
        return refuse(why, "not a domain");
    if (jid.domain.n > CONFIG_DOMAIN_MAX)
        return refuse(why, "a domain has 255 bytes at most");
    copy(out, jid.domain);
    return 0;
}

static void clear_host_bits(struct hop *h, unsigned prefix)
{
    for (unsigned i = 0; i < sizeof h->ip; i++) {
        unsigned keep = prefix > i * 8 ? prefix - i * 8 : 0;
        if (keep < 8)
            h->ip[i] &= (uint8_t)(0xff00u >> keep);
    }
}

int config_form_net(struct core_net *out, struct text t, const char **why)
{
    const char *slash = t.n ? memchr(t.p, '/', t.n) : NULL;
    struct text host = {t.p, slash ? (size_t)(slash - t.p) : t.n};
    uint32_t prefix, most;

    *out = (struct core_net){0};
    if (hop_parse(&out->base, host, 0, HOP_UDP))
        return refuse(why, "not an IP network such as 10.0.0.0/8 or 2001:db8::/32");
    prefix = most = out->base.family == 4 ? 32 : 128;
    if (slash && !text_to_u32((struct text){slash + 1, t.n - host.n - 1}, most, &prefix))
        return refuse(why, most == 32 ? "the prefix length of an IPv4 network is 0 to 32"
                                      : "the prefix length of an IPv6 network is 0 to 128");
    clear_host_bits(&out->base, prefix);
    out->prefix = (uint8_t)prefix;
    return 0;
}

static int port_parse(uint16_t *out, struct text t, const char **why)
{
    uint32_t port;
    if (!text_to_u32(t, UINT16_MAX, &port) || port == 0)
        return refuse(why, "a port is 1 to 65535");
    *out = (uint16_t)port;
    return 0;
}

static bool is_ipv6(struct text t)
{
    struct hop h;
    return hop_parse(&h, t, 0, HOP_UDP) == 0 && h.family == 6;
}

// A name that is all digits and dots can only be meant as an address.
static bool is_host(struct text t)
{
    struct hop h;
    bool digits = true;
    for (size_t i = 0; i < t.n; i++)
        digits = digits && (t.p[i] == '.' || (t.p[i] >= '0' && t.p[i] <= '9'));
    return digits ? hop_parse(&h, t, 0, HOP_UDP) == 0 : is_host_name(t);
}

// Splits "host:port" at its last colon; "[v6]:port" loses its brackets.
static int split_port(struct text *host, struct text *port, struct text t, const char **why)
{
    const char *colon = t.n ? memrchr(t.p, ':', t.n) : NULL;
    if (!colon || t.p[t.n - 1] == ']')
        return refuse(why, "the port is missing");
    *host = (struct text){t.p, (size_t)(colon - t.p)};
    *port = (struct text){colon + 1, t.n - host->n - 1};
    if (host->n > 2 && host->p[0] == '[' && host->p[host->n - 1] == ']') {
        *host = (struct text){host->p + 1, host->n - 2};
        return is_ipv6(*host) ? 0 : refuse(why, "not an IPv6 address in the brackets");
    }
    if (memchr(host->p, ':', host->n))
        return refuse(why, "an IPv6 address goes in brackets, as in [::1]:5060");
    return 0;
}

int config_form_host_port(char host[CONFIG_HOST_MAX + 1], uint16_t *port, struct text t,
                          const char **why)
{
    struct text h, p;
    int err = split_port(&h, &p, t, why);
    if (err)
        return err;
    if (h.n > CONFIG_HOST_MAX || !(is_ipv6(h) || is_host(h)))
        return refuse(why, "not a host name or IP address before the port");
    copy(host, h);
    return port_parse(port, p, why);
}

int config_form_listen(struct hop *out, struct text t, const char **why)
{
    static const struct {
        struct text prefix;
        enum hop_transport transport;
    } known[] = {{{"udp:", 4}, HOP_UDP}, {{"tcp:", 4}, HOP_TCP}, {{"tls:", 4}, HOP_TLS}};
    struct text host, port_text;
    uint16_t port;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!text_starts(t, known[i].prefix))
            continue;
        t = (struct text){t.p + known[i].prefix.n, t.n - known[i].prefix.n};
        int err = split_port(&host, &port_text, t, why);
        if (!err)
            err = port_parse(&port, port_text, why);
        if (err)
            return err;
        if (hop_parse(out, host, port, known[i].transport))
            return refuse(why, "not an IP address before the port");
        return 0;
    }
    return refuse(why, "a listen entry begins with udp:, tcp: or tls:");
}

int config_form_advertise(char out[CONFIG_HOST_MAX + 1], struct text t, const char **why)
{
    struct hop h;
    struct text inner = t;
    if (t.n > 2 && t.p[0] == '[' && t.p[t.n - 1] == ']')
        inner = (struct text){t.p + 1, t.n - 2};
    bool v6 = is_ipv6(inner);
    if (t.n > CONFIG_HOST_MAX - 2 || !(v6 || (inner.n == t.n && is_host(t))))
        return refuse(why, "not a host name or IP address");
    if (hop_parse(&h, inner, 0, HOP_UDP) == 0 && config_form_is_wildcard(&h))
        return refuse(why, "a wildcard address can't be advertised");
    if (v6)
        snprintf(out, CONFIG_HOST_MAX + 1, "[%.*s]", TEXT_ARG(inner));
    else
        copy(out, t);
    return 0;
}

int config_form_server(struct hop *out, struct text t, const char **why)
{
    uint16_t port = DNS_PORT;
    struct text host = t, port_text;
    bool bracketed = t.n > 2 && t.p[0] == '[' && t.p[t.n - 1] == ']';
    int err = 0;
    if (bracketed)
        host = (struct text){t.p + 1, t.n - 2};
    else if (t.n && memchr(t.p, ':', t.n))
        err = split_port(&host, &port_text, t, why) || port_parse(&port, port_text, why);
    if (err)
        return EINVAL;
    if (hop_parse(out, host, port, HOP_UDP) || (bracketed && out->family != 6))
        return refuse(why, "not an IP address, as in 192.0.2.53 or [2001:db8::53]:53");
    return config_form_is_wildcard(out) ? refuse(why, "a wildcard address is no server's") : 0;
}

// RFC 3263 §4.1: TLS runs over TCP, so both words mean it in a sips: URI.
static int proxy_transport(enum hop_transport *out, const struct sip_uri *uri, const char **why)
{
    bool sips = uri->scheme == SCHEME_SIPS, none = uri->transport.n == 0;
    if (text_eq_nocase(uri->transport, TEXT("tls")) ||
        (sips && (none || text_eq_nocase(uri->transport, TEXT("tcp")))))
        *out = HOP_TLS;
    else if (text_eq_nocase(uri->transport, TEXT("tcp")))
        *out = HOP_TCP;
    else if (!sips && (none || text_eq_nocase(uri->transport, TEXT("udp"))))
        *out = HOP_UDP;
    else
        return refuse(why, sips ? "sips: is not for this transport"
                                : "the transport is one of udp, tcp and tls");
    return 0;
}

int config_form_proxy(struct hop *out, char host[CONFIG_HOST_MAX + 1], struct text t,
                      const char **why)
{
    struct sip_uri uri;
    enum hop_transport transport;
    if (sip_uri_parse(&uri, t) || (uri.scheme != SCHEME_SIP && uri.scheme != SCHEME_SIPS))
        return refuse(why, "not a SIP URI such as sip:192.0.2.1:5060;transport=udp");
    if (uri.user.n)
        return refuse(why, "a next hop has no user part");
    if (uri.host.n > CONFIG_HOST_MAX || !(is_ipv6(uri.host) || is_host(uri.host)))
        return refuse(why, "not a host name or IP address in the URI");
    int err = proxy_transport(&transport, &uri, why);
    if (err)
        return err;
    copy(host, uri.host);
    uint16_t port = uri.port               ? uri.port
                    : transport == HOP_TLS ? SIPS_DEFAULT_PORT
                                           : SIP_DEFAULT_PORT;
    if (hop_parse(out, uri.host, port, transport))
        *out = (struct hop){0};
    return 0;
}

bool config_form_is_loopback(const struct hop *h)
{
    static const uint8_t one[16] = {[15] = 1};
    return h->family == 4 ? h->ip[0] == 127 : memcmp(h->ip, one, sizeof one) == 0;
}

bool config_form_is_wildcard(const struct hop *h)
{
    static const uint8_t zero[16];
    return memcmp(h->ip, zero, sizeof zero) == 0;
}
