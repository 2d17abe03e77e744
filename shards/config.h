// The daemon's settings: gateway.toml, read through one typed table.
//
// Owned by main; read-only once the shards run. A reload makes a new one. The table in
// config_table.c gives each key its type, range, default and one line of documentation; the loader,
// the reference of `isthmus --config-reference` and the repository's gateway.toml all come from its
// rows.
#ifndef SHARDS_CONFIG_H
#define SHARDS_CONFIG_H

#include <stdio.h>
#include "core/core.h"

enum {
    CONFIG_LIST_MAX = 1024, // items in any list
    CONFIG_LISTEN_MAX = 16,
    CONFIG_FILE_MAX = 1 << 20, // bytes of the file
    CONFIG_TEXT_MAX = 1024,    // bytes of any string in it
    CONFIG_SECRET_MAX = 4096,  // bytes of secret_file and token_file
    CONFIG_CONNECTIONS_MAX = 16,
    CONFIG_DNS_SERVERS_MAX = 8,
    CONFIG_REALM_MAX = 128, // bytes of a realm's name
};

struct config_list {
    char **v;
    size_t n;
};

// Credentials for one realm: [sip.realms."NAME"].
struct config_realm {
    char *name; // the section's
    char *user;
    char *password;      // from password_file too
    char *password_file; // as written; "": none
};

struct config {
    char *path; // of the file, for a reload
    struct {
        char *domain;    // prepared; "": the SIP domain concerned
        unsigned shards; // as wanted; 0 has been replaced by the cores available
        char *store;
        char *user; // switched to after start as root; "": stay
    } gateway;
    struct {
        char *server_host; // name or numeric, IPv6 without brackets
        uint16_t server_port;
        char *secret_file; // as written; "": none
        char *secret;      // from secret_file too
        unsigned connections;
    } xmpp;
    struct {
        struct config_list listen; // as written
        struct hop
            listen_hop[CONFIG_LISTEN_MAX]; // the same, parsed, in the same order; UDP, TCP, TLS
        size_t n_listen_hop;
        unsigned shard_port; // shard_port + shards - 1 is a port too, and none of listen's over UDP
        char *advertise;     // as it goes to the wire, IPv6 in brackets; never empty
        char *proxy;         // as written; "": next hops are found by RFC 3263
        struct hop proxy_hop;           // of a proxy that is numeric; else family 0
        char *proxy_name;               // of a proxy that is not; else ""
        struct config_list dns_servers; // as written; none: the system's
        struct hop dns_server_hop[CONFIG_DNS_SERVERS_MAX];
        struct config_realm realm[CORE_REALMS_MAX];
        size_t n_realms;
        unsigned t1_ms;
        char *certificate, *private_key, *ca;
        struct config_tls_place {
            unsigned line, column;
        } tls_at[3]; // of these three in the file, for who opens them
        bool verify_client;
    } sip;
    struct {
        // Domains are prepared (lower case), and each is in one list, once.
        struct config_list sip_domains, xmpp_domains, sip_sources;
        struct core_net *sources; // parsed sip_sources
    } trust;
    struct config_list probe_exempt_domains;
    struct core_settings core; // [subscription], [probe], [limits]
    struct {
        unsigned sip_message_bytes, stanza_bytes, stanza_depth;
    } limits;
    struct {
        char *listen_host; // numeric, without brackets
        uint16_t listen_port;
        char *token_file, *token; // token: the file's first line; "": none
    } api;
    struct {
        int level; // enum log_level
        bool json;
    } log;
};

// What is wrong and where: "gateway.toml:12:9: sip.t1_ms: 0 is below the least, 10".
struct config_error {
    char text[512];
};

// EINVAL with `why`, which names the first place in the file that is wrong; ENOMEM. Looks no name
// up.
int config_load(struct config **out, const char *path, struct config_error *why);
void config_free(struct config *c);
// The reference: every key with its type, default, range and meaning, as a commented gateway.toml.
void config_print_reference(FILE *to);

// 4 or 6: of the shards' own UDP ports, and so of all that UDP can be sent to. They are on the
// address of `advertise`, if it is one and of this host; else on the first of `listen`.
uint8_t config_udp_family(const struct config *c);

// Calls `each` with "section.key" of whatever differs and takes effect only after a restart.
void config_each_restart_key(const struct config *a, const struct config *b,
                             void (*each)(void *, const char *key), void *arg);

#endif
