// The table of all keys, and what is made of it alone: the reference and the comparison.
#include "shards/config_table.h"

#include <assert.h>
#include <stddef.h>
#include "shards/log.h"

#define AT_REALM(field)                                                                            \
    .of_realm = true, .at = offsetof(struct config_realm, field),                                  \
    .size = sizeof(((struct config_realm *)0)->field)
#define AT(field) .at = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)

enum {
    DAY_S = 86400,
    YEAR_S = 365 * DAY_S,
    HOUR_S = 3600,
    STANZA_LEAST = 10000, // RFC 6120 §13.12: a limit must not be smaller
    UDP_MOST = 65536,     // RFC 3261 §18.1.1: messages of up to 65,535 bytes
};

const struct config_row config_rows[] = {
    {"gateway", "domain", CONFIG_DOMAIN, AT(gateway.domain), .text = "",
     .doc = "The gateway's own JID, from which it probes; \"\": the SIP domain concerned."},
    {"gateway", "shards", CONFIG_NUMBER, AT(gateway.shards), .number = 0, .most = CORE_SHARDS_MAX,
     .doc = "Threads that share the users among them; 0: one per core available."},
    {"gateway", "store", CONFIG_STRING, AT(gateway.store), .text = "/var/lib/isthmus", .least = 1,
     .doc = "Directory of the LMDB store; made when it is missing."},
    {"gateway", "user", CONFIG_STRING, AT(gateway.user), .text = "",
     .doc =
         "User to become once all ports are bound, when started as root; \"\": stay. For a reload "
         "it has to be able to read this file and the secrets."},

    {"xmpp", "server", CONFIG_ADDRESS, AT(xmpp.server_host),
     .port_at = offsetof(struct config, xmpp.server_port), .text = "127.0.0.1:5347",
     .doc = "Component port of the XMPP server (XEP-0114)."},
    {"xmpp", "secret", CONFIG_STRING, AT(xmpp.secret), .text = "change-me",
     .required = "required, or else xmpp.secret_file",
     .doc = "Shared with the XMPP server, the same for all components."},
    {"xmpp", "secret_file", CONFIG_STRING, AT(xmpp.secret_file), .text = "",
     .doc = "A file whose first line is the secret, instead of secret."},
    {"xmpp", "connections", CONFIG_NUMBER, AT(xmpp.connections), .number = 1, .least = 1,
     .most = CONFIG_CONNECTIONS_MAX,
     .doc = "Streams per component; more than one needs a server that balances them."},

    {"sip", "listen", CONFIG_LISTEN, AT(sip.listen), .text = "udp:127.0.0.1:5060", .least = 1,
     .most = CONFIG_LISTEN_MAX,
     .doc = "Ports that take SIP: udp:ADDRESS:PORT, tcp: or tls:, IPv6 in brackets."},
    {"sip", "shard_port", CONFIG_NUMBER, AT(sip.shard_port), .number = 5080, .least = 1,
     .most = UINT16_MAX,
     .doc =
         "Shard i sends from, and takes its dialogs on, UDP port shard_port + i, on the address of "
         "advertise if this host has it, else on the first of listen. UDP reaches addresses of "
         "that family alone; TCP and TLS try them first when a name has others too."},
    {"sip", "advertise", CONFIG_STRING, AT(sip.advertise), .text = "",
     .doc = "Host in Contact and Via; \"\": that of the first udp entry of listen."},
    {"sip", "proxy", CONFIG_STRING, AT(sip.proxy), .text = "",
     .doc =
         "Next hop of all requests but those that follow a dialog's route set, such as "
         "sip:192.0.2.1:5070;transport=tcp (udp, tcp or tls) or sips:proxy.example.net. A name is "
         "resolved by RFC 3263 as it is needed; \"\": so is the host of each request's target."},
    {"sip", "dns_servers", CONFIG_SERVERS, AT(sip.dns_servers), .text = "",
     .most = CONFIG_DNS_SERVERS_MAX,
     .doc =
         "Servers that names are looked up with: ADDRESS or ADDRESS:PORT, IPv6 in brackets; []: "
         "those of /etc/resolv.conf, which is read again when it has changed. Addresses of names "
         "in /etc/hosts are taken from there."},
    {"sip", "t1_ms", CONFIG_NUMBER, AT(sip.t1_ms), .number = 500, .least = 10, .most = 10000,
     .doc = "Estimate of the round-trip time (RFC 3261 T1); a request is given up after 64 of it."},

    {"sip.tls", "certificate", CONFIG_STRING, AT(sip.certificate), .text = "",
     .doc =
         "PEM file with the certificate chain, shown to whoever connects by TLS and to servers that "
         "ask for one; needed by a tls: entry of listen. This and the other files of [sip.tls] are "
         "read at start only: what has been renewed takes a restart."},
    {"sip.tls", "private_key", CONFIG_STRING, AT(sip.private_key), .text = "",
     .doc = "PEM file with the certificate's key."},
    {"sip.tls", "ca", CONFIG_STRING, AT(sip.ca), .text = "",
     .doc =
         "PEM file with the authorities that peers are verified against; \"\": the system's. A server "
         "that the gateway connects to is always verified, by its domain (RFC 5922)."},
    {"sip.tls", "verify_client", CONFIG_BOOLEAN, AT(sip.verify_client), .number = false,
     .doc = "Whether a peer that connects has to show a certificate."},

    {CONFIG_REALMS, "user", CONFIG_STRING, AT_REALM(user), .text = "isthmus", .least = 1,
     .required = "required", .doc = "Name of the gateway's account in this realm."},
    {CONFIG_REALMS, "password", CONFIG_STRING, AT_REALM(password), .text = "change-me",
     .required = "required, or else password_file", .doc = "Its password."},
    {CONFIG_REALMS, "password_file", CONFIG_STRING, AT_REALM(password_file), .text = "",
     .doc = "A file whose first line is the password, instead of password."},

    {"trust", "sip_domains", CONFIG_DOMAINS, AT(trust.sip_domains), .text = "example.net",
     .least = 1, .most = CORE_DOMAINS_MAX, .required = "required", .live = true,
     .doc = "SIP domains shown to XMPP; one component stream each."},
    {"trust", "xmpp_domains", CONFIG_DOMAINS, AT(trust.xmpp_domains), .text = "example.com",
     .least = 1, .most = CONFIG_LIST_MAX, .required = "required", .live = true,
     .doc = "XMPP domains whose users may pass."},
    {"trust", "sip_sources", CONFIG_NETS, AT(trust.sip_sources), .text = "127.0.0.0/8",
     .most = CONFIG_LIST_MAX, .live = true,
     .doc =
         "Addresses and networks that may send SIP, and that SIP is sent to; a numeric proxy is sent "
         "to without being listed."},

    {"subscription", "expires_s", CONFIG_NUMBER, AT(core.expires_s), .number = HOUR_S, .least = 1,
     .most = YEAR_S, .live = true, .doc = "Asked for when an XMPP user watches a SIP user."},
    // RFC 6665 §4.2.1.1: only what is below an hour may be refused as too brief.
    {"subscription", "min_expires_s", CONFIG_NUMBER, AT(core.min_expires_s), .number = 60,
     .least = 1, .most = HOUR_S, .live = true, .doc = "A SIP subscriber asking for less gets 423."},
    {"subscription", "max_expires_s", CONFIG_NUMBER, AT(core.max_expires_s), .number = 2 * HOUR_S,
     .least = 1, .most = YEAR_S, .live = true,
     .doc = "A SIP subscriber asking for more gets this."},
    {"subscription", "on_expiry", CONFIG_WORD, AT(core.unsubscribe_on_expiry), .number = 0,
     .words = {"keep", "unsubscribe"}, .live = true,
     .doc = "When a SIP user's last dialog ends: keep the authorization, or unsubscribe it."},
    {"subscription", "notify_interval_ms", CONFIG_NUMBER, AT(core.notify_interval_ms), .number = 0,
     .most = HOUR_S * 1000, .live = true, .doc = "Least time between two NOTIFYs of one dialog."},

    {"probe", "timeout_s", CONFIG_NUMBER, AT(core.probe_timeout_s), .number = 10, .least = 1,
     .most = HOUR_S, .live = true,
     .doc = "How long the XMPP side has to answer the probe before a refresh."},
    {"probe", "window_s", CONFIG_NUMBER, AT(core.probe_window_s), .number = 60, .most = DAY_S,
     .live = true, .doc = "One answer serves all of a user's refreshes that are due within it."},
    {"probe", "exempt_domains", CONFIG_DOMAINS, AT(probe_exempt_domains), .text = "",
     .most = CONFIG_LIST_MAX, .live = true,
     .doc = "XMPP domains that are not probed before a refresh (RFC 8048 §8.1)."},

    {"limits", "subscriptions_per_user", CONFIG_NUMBER, AT(core.subscriptions_per_user),
     .number = 1000, .least = 1, .most = 1000000, .live = true,
     .doc = "Of one XMPP user, both directions together; and of one SIP user who watches, in each "
            "shard."},
    {"limits", "subscriptions_per_shard", CONFIG_NUMBER, AT(core.subscriptions_per_shard),
     .number = 2000000, .least = 1, .most = 100000000, .live = true, .doc = "Of one shard."},
    {"limits", "new_subscriptions_per_user_per_min", CONFIG_NUMBER,
     AT(core.new_subscriptions_per_user_per_min), .number = 60, .least = 1, .most = 1000000,
     .live = true, .doc = "Of one XMPP user, both directions together."},
    {"limits", "requests_in_flight_per_peer", CONFIG_NUMBER, AT(core.requests_in_flight_per_peer),
     .number = 5000, .least = 1, .most = 1000000, .live = true,
     .doc =
         "SIP requests of one shard to one next hop that wait for their answer; a quarter of it is only for dialogs that are there, and where there are several SIP domains, new ones with one of them take no more than they leave to the others."},
    {"limits", "notify_failures", CONFIG_NUMBER, AT(core.notify_failures), .number = 3, .least = 1,
     .most = UINT8_MAX, .live = true,
     .doc = "NOTIFYs in a row that fail (408, timeout, 5xx) before their dialog ends."},
    {"limits", "lag_ms", CONFIG_NUMBER, AT(core.lag_ms), .number = 50, .most = 10000, .live = true,
     .doc = "Input that waits longer than this, and goes on doing so, is overload: of new "
            "subscriptions and fetches only as many are taken as can be done, fairly by peer, and "
            "the others get 503 with Retry-After or `resource-constraint`; 0: never."},
    {"limits", "sip_message_bytes", CONFIG_NUMBER, AT(limits.sip_message_bytes), .number = UDP_MOST,
     .least = 512, .most = UDP_MOST, .doc = "Of one SIP message."},
    {"limits", "stanza_bytes", CONFIG_NUMBER, AT(limits.stanza_bytes), .number = 262144,
     .least = STANZA_LEAST, .most = 16 << 20, .doc = "Of one stanza from the XMPP server."},
    {"limits", "stanza_depth", CONFIG_NUMBER, AT(limits.stanza_depth), .number = 32, .least = 4,
     .most = 190,
     .doc =
         "Of the elements within one stanza. A deeper one, or a longer, gets `policy-violation`."},

    {"api", "listen", CONFIG_NUMERIC, AT(api.listen_host),
     .port_at = offsetof(struct config, api.listen_port), .text = "127.0.0.1:8090",
     .doc = "Address of the REST interface and the metrics."},
    {"api", "token_file", CONFIG_STRING, AT(api.token_file), .text = "",
     .doc =
         "A file whose first line is the bearer token; required when listening beyond loopback."},

    {"log", "level", CONFIG_WORD, AT(log.level), .number = LOG_INFO,
     .words = {"error", "warn", "info", "debug"}, .live = true, .doc = "What is worth a line."},
    {"log", "format", CONFIG_WORD, AT(log.json), .number = 0, .words = {"logfmt", "json"},
     .live = true, .doc = "How a line is written."},
};
const size_t config_n_rows = sizeof config_rows / sizeof config_rows[0];
static_assert(sizeof config_rows / sizeof config_rows[0] <= CONFIG_ROWS_MAX, "places for all rows");

const struct config_row *config_row_find(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (!dot)
        return NULL;
    for (size_t i = 0; i < config_n_rows; i++) {
        const struct config_row *row = &config_rows[i];
        if (!row->of_realm && strlen(row->section) == (size_t)(dot - path) &&
            strcmp(row->key, dot + 1) == 0 &&
            strncmp(row->section, path, (size_t)(dot - path)) == 0)
            return row;
    }
    return NULL;
}

const struct config_row *config_row_find_of_realm(struct text key)
{
    for (size_t i = 0; i < config_n_rows; i++)
        if (config_rows[i].of_realm && text_eq(key, text_of(config_rows[i].key)))
            return &config_rows[i];
    return NULL;
}

bool config_row_is_section(const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < config_n_rows; i++) {
        const char *section = config_rows[i].section;
        if (strncmp(section, path, n) == 0 && (section[n] == '\0' || section[n] == '.'))
            return true;
    }
    return false;
}

bool config_row_is_list(const struct config_row *row)
{
    return row->kind == CONFIG_LISTEN || row->kind == CONFIG_DOMAINS || row->kind == CONFIG_NETS ||
           row->kind == CONFIG_SERVERS;
}

static bool list_eq(const struct config_list *a, const struct config_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]))
            return false;
    return true;
}

static bool row_eq(const struct config_row *row, const struct config *a, const struct config *b)
{
    const void *x = config_row_value(row, a), *y = config_row_value(row, b);
    switch (row->kind) {
    case CONFIG_NUMBER:
    case CONFIG_BOOLEAN:
    case CONFIG_WORD: return memcmp(x, y, row->size) == 0;
    case CONFIG_LISTEN:
    case CONFIG_DOMAINS:
    case CONFIG_NETS:
    case CONFIG_SERVERS: return list_eq(x, y);
    case CONFIG_ADDRESS:
    case CONFIG_NUMERIC:
        if (memcmp((const char *)a + row->port_at, (const char *)b + row->port_at,
                   sizeof(uint16_t)))
            return false;
        break;
    case CONFIG_STRING:
    case CONFIG_DOMAIN: break;
    }
    return strcmp(*(char *const *)x, *(char *const *)y) == 0;
}

static bool has_realm(const struct config *c, const struct config_realm *r)
{
    for (size_t i = 0; i < c->sip.n_realms; i++) {
        const struct config_realm *x = &c->sip.realm[i];
        if (strcmp(x->name, r->name) == 0)
            return strcmp(x->user, r->user) == 0 && strcmp(x->password, r->password) == 0;
    }
    return false;
}

static bool realms_eq(const struct config *a, const struct config *b)
{
    bool same = a->sip.n_realms == b->sip.n_realms;
    for (size_t i = 0; same && i < a->sip.n_realms; i++)
        same = has_realm(b, &a->sip.realm[i]);
    return same;
}

void config_each_restart_key(const struct config *a, const struct config *b,
                             void (*each)(void *, const char *key), void *arg)
{
    for (size_t i = 0; i < config_n_rows; i++) {
        const struct config_row *row = &config_rows[i];
        char name[128];
        if (row->live || row->of_realm || row_eq(row, a, b))
            continue;
        snprintf(name, sizeof name, "%s.%s", row->section, row->key);
        each(arg, name);
    }
    if (!realms_eq(a, b))
        each(arg, CONFIG_REALMS);
    if (strcmp(a->api.token, b->api.token))
        each(arg, "api.token_file");
}

static void print_type(FILE *to, const struct config_row *row)
{
    switch (row->kind) {
    case CONFIG_NUMBER: fprintf(to, "%u to %u", row->least, row->most); break;
    case CONFIG_BOOLEAN: fputs("true or false", to); break;
    case CONFIG_ADDRESS: fputs("\"HOST:PORT\"", to); break;
    case CONFIG_NUMERIC: fputs("\"ADDRESS:PORT\"", to); break;
    case CONFIG_DOMAIN:
    case CONFIG_STRING: fputs("string", to); break;
    case CONFIG_LISTEN:
    case CONFIG_DOMAINS:
    case CONFIG_NETS:
    case CONFIG_SERVERS: fprintf(to, "list of %u to %u strings", row->least, row->most); break;
    case CONFIG_WORD:
        for (size_t i = 0; i < CONFIG_WORDS_MAX && row->words[i]; i++)
            fprintf(to, "%s\"%s\"", i ? ", " : "", row->words[i]);
    }
}

static void print_value(FILE *to, const struct config_row *row)
{
    if (row->kind == CONFIG_NUMBER)
        fprintf(to, "%u", row->number);
    else if (row->kind == CONFIG_BOOLEAN)
        fputs(row->number ? "true" : "false", to);
    else if (row->kind == CONFIG_WORD)
        fprintf(to, "\"%s\"", row->words[row->number]);
    else if (config_row_is_list(row))
        fprintf(to, *row->text ? "[\"%s\"]" : "[%s]", row->text);
    else
        fprintf(to, "\"%s\"", row->text);
}

// Comment lines of up to 98 columns, broken at blanks.
static void print_comment(FILE *to, const char *text)
{
    enum { WIDTH = 96 };
    while (*text) {
        size_t n = strlen(text);
        if (n > WIDTH)
            for (n = WIDTH; text[n] != ' ';)
                n--;
        fprintf(to, "# %.*s\n", (int)n, text);
        text += n;
        while (*text == ' ')
            text++;
    }
}

// Of a section that the operator gives a name to there is only a sample, as a comment.
static void print_row(FILE *to, const struct config_row *row)
{
    print_comment(to, row->doc);
    fputs("# (", to);
    print_type(to, row);
    if (row->required)
        fputs("; required)", to);
    else {
        fputs("; default ", to);
        print_value(to, row);
        fputc(')', to);
    }
    fprintf(to, row->of_realm ? "\n# %s = " : "\n%s = ", row->key);
    print_value(to, row);
    fputc('\n', to);
}

static void print_section(FILE *to, const struct config_row *first)
{
    fputc('\n', to);
    if (!first->of_realm) {
        fprintf(to, "[%s]\n", first->section);
        return;
    }
    print_comment(to,
                  "Credentials for SIP servers that challenge requests (digest, RFC 7616): a "
                  "section for each realm.");
    fprintf(to, "# (up to %d)\n# [%s.\"example.net\"]\n", CORE_REALMS_MAX, first->section);
}

void config_print_reference(FILE *to)
{
    const char *section = "";
    fputs(
        "# All settings of Isthmus, each with its default, or a sample where there is none.\n"
        "# Written by `isthmus --config-reference`. Unknown keys are errors.\n",
        to);
    for (size_t i = 0; i < config_n_rows; i++) {
        if (strcmp(section, config_rows[i].section)) {
            section = config_rows[i].section;
            print_section(to, &config_rows[i]);
        }
        print_row(to, &config_rows[i]);
    }
}
