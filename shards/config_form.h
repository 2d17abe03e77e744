// The forms that text in the configuration has to have: domains, networks, addresses with ports.
//
// Pure. On EINVAL, `why` is set to a literal that says what is wrong.
#ifndef SHARDS_CONFIG_FORM_H
#define SHARDS_CONFIG_FORM_H

#include "core/event.h"
#include "core/core.h"

enum {
    CONFIG_DOMAIN_MAX = 255, // bytes of a prepared domain, RFC 1035 §2.3.4
    CONFIG_HOST_MAX = 255,
};

// A bare domain; `out` is its prepared form, NUL-terminated.
int config_form_domain(char out[CONFIG_DOMAIN_MAX + 1], struct text t, const char **why);
// "10.0.0.0/8", "2001:db8::/32", or one address. Bits beyond the prefix are cleared.
int config_form_net(struct core_net *out, struct text t, const char **why);
// "host:port", the host a name or numeric, IPv6 in brackets (which are left out in `host`).
int config_form_host_port(char host[CONFIG_HOST_MAX + 1], uint16_t *port, struct text t,
                          const char **why);
// "udp:127.0.0.1:5060", "tcp:…", "tls:…".
int config_form_listen(struct hop *out, struct text t, const char **why);
// A host for Via and Contact; `out` has IPv6 in brackets. Wildcards are refused.
int config_form_advertise(char out[CONFIG_HOST_MAX + 1], struct text t, const char **why);
// A DNS server: "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]", "[2001:db8::53]:5353".
int config_form_server(struct hop *out, struct text t, const char **why);
// "sip:host[:port][;transport=udp|tcp|tls]", or sips:. `out` is where it leads if the host is
// numeric, else its family is 0.
int config_form_proxy(struct hop *out, char host[CONFIG_HOST_MAX + 1], struct text t,
                      const char **why);

bool config_form_is_loopback(const struct hop *h);
bool config_form_is_wildcard(const struct hop *h);

#endif
