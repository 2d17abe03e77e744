// The daemon's settings: gateway.toml, read through one typed table.
//
// Owned by main; read-only once the shards run. A reload makes a new one. The table in config.c gives
// each key its type, range, default and one line of documentation, and prints the reference of
// `isthmus --help-config` and the comments of gateway.toml from the same rows.
#ifndef SHARDS_CONFIG_H
#define SHARDS_CONFIG_H

#include <stdio.h>
#include "core/core.h"

enum {
    CONFIG_LIST_MAX = 1024, // items in any list
    CONFIG_LISTEN_MAX = 16,
};

struct config_list {
    char **v;
    size_t n;
};

struct config {
    struct {
        char *domain; // "" : the SIP domain concerned
        unsigned shards; // as wanted; 0 has been replaced by the cores available
        char *store;
        char *user; // switched to after start as root; "": stay
    } gateway;
    struct {
        char *server_host;
        uint16_t server_port;
        char *secret; // from secret_file too
        unsigned connections;
    } xmpp;
    struct {
        struct config_list listen;              // as written
        struct hop listen_hop[CONFIG_LISTEN_MAX]; // the same, parsed, in the same order
        size_t n_listen_hop;
        unsigned shard_port;
        char *advertise;
        char *proxy; // as written; "" : none
        struct hop proxy_hop;
        bool has_proxy;
        unsigned t1_ms;
        char *certificate, *private_key, *ca;
        bool verify_client;
    } sip;
    struct {
        struct config_list sip_domains, xmpp_domains, sip_sources;
        struct core_net *sources; // parsed sip_sources
    } trust;
    struct config_list probe_exempt_domains;
    struct core_settings core; // [subscription], [probe], [limits]
    struct {
        unsigned sip_message_bytes, stanza_bytes, stanza_depth;
    } limits;
    struct {
        char *listen_host;
        uint16_t listen_port;
        char *token_file, *token; // token: the file's first line
    } api;
    struct {
        int level;  // enum log_level
        bool json;
    } log;
};

// What is wrong and where: "gateway.toml:12:9: sip.t1_ms: 0 is below the least, 100".
struct config_error {
    char text[512];
};

// EINVAL with `why`; ENOMEM. Resolves a proxy given by name (the only look-up, before any shard runs).
int config_load(struct config **out, const char *path, struct config_error *why);
void config_free(struct config *c);
// The reference: every key with its type, default, range and meaning, as a commented gateway.toml.
void config_print_reference(FILE *to);

#endif
