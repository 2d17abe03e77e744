// What has to hold between the keys of gateway.toml, and the files and names that it points at.
#include "shards/config_load.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include "shards/config_form.h"

static size_t row_index(const char *path)
{
    const struct config_row *row = config_row_find(path);
    assert(row);
    return (size_t)(row - config_rows);
}

// Where item i of a list stands; a list that the file doesn't have stands where it would.
static struct config_toml_place item_place(const struct config_load *l, const char *path, size_t i)
{
    size_t row = row_index(path);
    return l->at[row].line ? l->item_at[row][i] : config_load_place(l, path);
}

// Of two keys that don't agree, the one that the file has, and rather the first.
static struct config_toml_place either_place(const struct config_load *l, const char *first,
                                             const char *second)
{
    return config_load_place(
        l, l->at[row_index(first)].line || !l->at[row_index(second)].line ? first : second);
}

static void check_required(struct config_load *l)
{
    for (size_t i = 0; i < config_n_rows; i++) {
        const struct config_row *row = &config_rows[i];
        char path[128];
        snprintf(path, sizeof path, "%s.%s", row->section, row->key);
        if (!row->required || row->of_realm ||
            (strcmp(path, "xmpp.secret") == 0 && *l->cfg->xmpp.secret_file))
            continue;
        bool missing = config_row_is_list(row)
                           ? l->at[i].line == 0
                           : **(char *const *)config_row_value(row, l->cfg) == '\0';
        if (missing)
            config_load_fault(l, config_load_place(l, path), "%s: %s", path, row->required);
    }
}

// The first line of a file, without blanks at its end.
static struct text first_line(const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    struct text line = {p, end ? (size_t)(end - p) : n};
    while (line.n && memchr(" \t\r", line.p[line.n - 1], 3))
        line.n--;
    return line;
}

static bool has_control(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if ((unsigned char)t.p[i] < 0x20 || t.p[i] == 0x7f)
            return true;
    return false;
}

// Reads the secret that `path`'s value, which stands at `at`, names the file of into *slot.
static void read_secret(struct config_load *l, struct config_toml_place at, const char *path,
                        const char *file, char **slot)
{
    char *p;
    size_t n;
    int err = config_load_file(&p, &n, file, CONFIG_SECRET_MAX);
    if (err == EFBIG)
        config_load_fault(l, at, "%s: \"%.100s\" is bigger than %d bytes", path, file,
                          CONFIG_SECRET_MAX);
    else if (err)
        config_load_fault(l, at, "%s: can't read \"%.100s\": %s", path, file, strerror(err));
    if (err)
        return;
    struct text line = first_line(p, n);
    if (line.n == 0 || has_control(line))
        config_load_fault(l, at, "%s: the first line of \"%.100s\" %s", path, file,
                          line.n ? "holds control characters" : "is empty");
    else
        config_load_string(l, slot, line);
    explicit_bzero(p, n);
    free(p);
}

static void check_secrets(struct config_load *l)
{
    struct config *c = l->cfg;
    if (*c->xmpp.secret && *c->xmpp.secret_file)
        config_load_fault(l, config_load_place(l, "xmpp.secret_file"),
                          "xmpp.secret_file: xmpp.secret is there too; only one of them can be");
    else if (*c->xmpp.secret_file)
        read_secret(l, config_load_place(l, "xmpp.secret_file"), "xmpp.secret_file",
                    c->xmpp.secret_file, &c->xmpp.secret);
    if (*c->api.token_file)
        read_secret(l, config_load_place(l, "api.token_file"), "api.token_file", c->api.token_file,
                    &c->api.token);
}

static void check_realm(struct config_load *l, size_t i)
{
    struct config_realm *r = &l->cfg->sip.realm[i];
    struct config_toml_place at = l->realm_at[i], file_at = l->realm_file_at[i];
    char path[CONFIG_REALM_MAX + 64];
    int n = snprintf(path, sizeof path, CONFIG_REALMS ".\"%s\"", r->name);
    if (!*r->user)
        config_load_fault(l, at, "%s.user: required", path);
    if (*r->password && *r->password_file)
        config_load_fault(l, file_at,
                          "%s.password_file: password is there too; only one of them "
                          "can be",
                          path);
    else if (!*r->password && !*r->password_file)
        config_load_fault(l, at, "%s.password: required, or else password_file", path);
    snprintf(path + n, sizeof path - (size_t)n, ".password_file");
    if (!*r->password && *r->password_file)
        read_secret(l, file_at, path, r->password_file, &r->password);
}

static void check_api(struct config_load *l)
{
    struct hop h;
    int err = hop_parse(&h, text_of(l->cfg->api.listen_host), l->cfg->api.listen_port, HOP_TCP);
    assert(err == 0);
    if (!config_form_is_loopback(&h) && !*l->cfg->api.token_file)
        config_load_fault(l, config_load_place(l, "api.listen"),
                          "api.listen: beyond loopback it needs api.token_file");
}

static bool list_has(const struct config_list *list, const char *item)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], item) == 0)
            return true;
    return false;
}

static void check_domains(struct config_load *l)
{
    const struct config *c = l->cfg;
    const struct config_list *sip = &c->trust.sip_domains, *xmpp = &c->trust.xmpp_domains;
    for (size_t i = 0; i < xmpp->n; i++)
        if (list_has(sip, xmpp->v[i]))
            config_load_fault(l, item_place(l, "trust.xmpp_domains", i),
                              "trust.xmpp_domains: \"%s\" is in trust.sip_domains too", xmpp->v[i]);
    if (*c->gateway.domain == '\0')
        return;
    if (list_has(xmpp, c->gateway.domain))
        config_load_fault(l, config_load_place(l, "gateway.domain"),
                          "gateway.domain: \"%s\" is in trust.xmpp_domains too", c->gateway.domain);
    if (sip->n == CORE_DOMAINS_MAX && !list_has(sip, c->gateway.domain))
        config_load_fault(
            l, config_load_place(l, "trust.sip_domains"),
            "trust.sip_domains: %zu items and gateway.domain are more than the most, %d", sip->n,
            CORE_DOMAINS_MAX);
}

static void check_expires(struct config_load *l)
{
    const struct core_settings *s = &l->cfg->core;
    const char *least = "subscription.min_expires_s";
    if (s->min_expires_s > s->expires_s)
        config_load_fault(l, either_place(l, least, "subscription.expires_s"),
                          "%s: %u is above subscription.expires_s, %u", least, s->min_expires_s,
                          s->expires_s);
    if (s->min_expires_s > s->max_expires_s)
        config_load_fault(l, either_place(l, least, "subscription.max_expires_s"),
                          "%s: %u is above subscription.max_expires_s, %u", least, s->min_expires_s,
                          s->max_expires_s);
}

// As many shards as there are cores that this process may run on.
static unsigned cores_available(void)
{
    cpu_set_t set;
    unsigned n = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = (unsigned)CPU_COUNT(&set);
    return n > CORE_SHARDS_MAX ? CORE_SHARDS_MAX : n;
}

static void check_shard_ports(struct config_load *l)
{
    const struct config *c = l->cfg;
    unsigned first = c->sip.shard_port, last = first + c->gateway.shards - 1;
    if (last > UINT16_MAX)
        config_load_fault(l, either_place(l, "sip.shard_port", "gateway.shards"),
                          "sip.shard_port: %u leaves no room for %u shards below port 65536", first,
                          c->gateway.shards);
    for (size_t i = 0; i < c->sip.n_listen_hop; i++) {
        const struct hop *h = &c->sip.listen_hop[i];
        if (h->transport == HOP_UDP && h->port >= first && h->port <= last)
            config_load_fault(l, either_place(l, "sip.shard_port", "sip.listen"),
                              "sip.shard_port: %u to %u overlaps \"%s\" of sip.listen", first, last,
                              c->sip.listen.v[i]);
    }
}

static const struct hop *first_udp(const struct config *c)
{
    for (size_t i = 0; i < c->sip.n_listen_hop; i++)
        if (c->sip.listen_hop[i].transport == HOP_UDP)
            return &c->sip.listen_hop[i];
    return NULL;
}

static void check_listen(struct config_load *l)
{
    const struct config *c = l->cfg;
    if (!*c->sip.certificate != !*c->sip.private_key)
        config_load_fault(l, either_place(l, "sip.tls.certificate", "sip.tls.private_key"),
                          "sip.tls: certificate and private_key go together");
    for (size_t i = 0; i < c->sip.n_listen_hop; i++)
        if (c->sip.listen_hop[i].transport == HOP_TLS &&
            !(*c->sip.certificate && *c->sip.private_key))
            config_load_fault(
                l, item_place(l, "sip.listen", i),
                "sip.listen: \"%s\" needs sip.tls.certificate and sip.tls.private_key",
                c->sip.listen.v[i]);
    if (!first_udp(c))
        config_load_fault(l, config_load_place(l, "sip.listen"),
                          "sip.listen: needs a udp: entry, on whose address the shards' own ports "
                          "are");
}

// What Contact and Via say: as it is set, or else the address of the first UDP port.
static void check_advertise(struct config_load *l)
{
    struct config *c = l->cfg;
    const struct hop *h = first_udp(c);
    char host[CONFIG_HOST_MAX + 1], address[INET6_ADDRSTRLEN];
    const char *why;
    if (*c->sip.advertise) {
        if (config_form_advertise(host, text_of(c->sip.advertise), &why))
            config_load_fault(l, config_load_place(l, "sip.advertise"),
                              "sip.advertise: \"%.64s\": %s", c->sip.advertise, why);
        else
            config_load_string(l, &c->sip.advertise, text_of(host));
    } else if (h && config_form_is_wildcard(h)) {
        config_load_fault(l, item_place(l, "sip.listen", (size_t)(h - c->sip.listen_hop)),
                          "sip.listen: a wildcard address needs sip.advertise");
    } else if (h) {
        inet_ntop(h->family == 4 ? AF_INET : AF_INET6, h->ip, address, sizeof address);
        config_form_advertise(host, text_of(address), &why);
        config_load_string(l, &c->sip.advertise, text_of(host));
    }
}

static bool has_udp_of(const struct config *c, uint8_t family)
{
    for (size_t i = 0; i < c->sip.n_listen_hop; i++)
        if (c->sip.listen_hop[i].transport == HOP_UDP && c->sip.listen_hop[i].family == family)
            return true;
    return false;
}

// An advertised address of a family that we don't listen on is that of somebody before us.
uint8_t config_udp_family(const struct config *c)
{
    struct text host = text_of(c->sip.advertise);
    struct hop h;
    if (host.n > 2 && host.p[0] == '[')
        host = (struct text){host.p + 1, host.n - 2};
    bool numeric = hop_parse(&h, host, 0, HOP_UDP) == 0;
    return numeric && has_udp_of(c, h.family) ? h.family : c->sip.listen_hop[0].family;
}

// A numeric one is the next hop; any other is resolved when it is needed.
static void check_proxy(struct config_load *l)
{
    struct config *c = l->cfg;
    char host[CONFIG_HOST_MAX + 1];
    struct hop *h = &c->sip.proxy_hop;
    const char *why = NULL;
    if (*c->sip.proxy == '\0')
        return;
    if (config_form_proxy(h, host, text_of(c->sip.proxy), &why) == 0) {
        if (h->family == 0)
            config_load_string(l, &c->sip.proxy_name, text_of(host));
        else if (h->transport == HOP_UDP && first_udp(c) && !has_udp_of(c, h->family))
            why = "sip.listen has no udp entry of the proxy's address family";
        else if (h->transport == HOP_UDP && first_udp(c) && config_udp_family(c) != h->family)
            why = "the shards' own ports are of the other address family; see sip.shard_port";
    }
    if (why)
        config_load_fault(l, config_load_place(l, "sip.proxy"), "sip.proxy: \"%.100s\": %s",
                          c->sip.proxy, why);
}

static void note_tls_places(struct config_load *l)
{
    static const char *const path[] = {"sip.tls.certificate", "sip.tls.private_key", "sip.tls.ca"};
    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        struct config_toml_place at = config_load_place(l, path[i]);
        l->cfg->sip.tls_at[i] = (struct config_tls_place){at.line, at.column};
    }
}

void config_check(struct config_load *l)
{
    note_tls_places(l);
    if (l->cfg->gateway.shards == 0)
        l->cfg->gateway.shards = cores_available();
    check_required(l);
    check_secrets(l);
    for (size_t i = 0; i < l->cfg->sip.n_realms; i++)
        check_realm(l, i);
    check_api(l);
    check_domains(l);
    check_expires(l);
    check_shard_ports(l);
    check_listen(l);
    check_advertise(l);
    check_proxy(l);
}
