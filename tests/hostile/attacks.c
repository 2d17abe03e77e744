// Every attack with its bounds. What isn't said here is the usual (struct bounds).
#include "hostile.h"

#define ROW(name_, unit_, run_, ...)                                                               \
    {                                                                                              \
        .name = name_, .unit = unit_, .run = run_, .bounds = { __VA_ARGS__ }                       \
    }

// Too much of the same for a short run.
#define LONG(name_, unit_, run_, ...)                                                              \
    {                                                                                              \
        .name = name_, .unit = unit_, .run = run_, .bounds = {__VA_ARGS__}, .is_long = true        \
    }

const struct attack attacks[] = {
    ROW("udp-random", "datagrams", attack_udp_random, 0),
    LONG("udp-random-own", "datagrams", attack_udp_random_own, 0),
    LONG("udp-zeros", "datagrams", attack_udp_zeros, 0),
    ROW("udp-truncated", "datagrams", attack_udp_truncated, 0),
    ROW("udp-64k", "datagrams", attack_udp_big, 0),
    LONG("udp-stranger", "datagrams", attack_udp_stranger, 0),
    ROW("udp-stranger-new", "datagrams", attack_udp_stranger_new, 0),
    LONG("udp-notify", "datagrams", attack_udp_notify, 0),
    ROW("udp-notify-tags", "datagrams", attack_udp_notify_tags, 0),
    LONG("udp-message", "datagrams", attack_udp_message, 0),
    LONG("udp-options", "datagrams", attack_udp_options, 0),
    ROW("udp-methods", "datagrams", attack_udp_methods, 0),
    ROW("udp-responses", "datagrams", attack_udp_responses, 0),
    LONG("udp-same", "datagrams", attack_udp_same, 0),
    ROW("udp-retransmit", "datagrams", attack_udp_retransmit, 0),

    ROW("tcp-half-open", "connections", attack_tcp_half_open, 0),
    ROW("tcp-drip", "connections", attack_tcp_drip, 0),
    LONG("tcp-garbage", "connections", attack_tcp_garbage, 0),
    LONG("tcp-flood", "connections", attack_tcp_flood, 0),
    // In the first second nobody has been silent for long enough to make place.
    ROW("tcp-many", "connections", attack_tcp_many, .tcp_percent = 75),
    // Half a MiB of answers wait for each of 32; the allocator keeps what it had for them.
    ROW("tcp-deaf", "requests", attack_tcp_deaf, .grows_mb = 48, .keeps_mb = 32),
    LONG("tls-half-open", "connections", attack_tls_half_open, .grows_mb = 64, .keeps_mb = 48),
    ROW("tls-drip", "connections", attack_tls_drip, .grows_mb = 64, .keeps_mb = 48),
    ROW("tls-handshakes", "handshakes", attack_tls_handshakes, 0),
    LONG("tls-deaf", "requests", attack_tls_deaf, 0),

    ROW("spoofed", "requests", attack_spoofed, 0),
    ROW("pidf-bomb", "documents", attack_pidf_bomb, 0),
    ROW("pidf-tuples", "documents", attack_pidf_tuples, 0),
    LONG("pidf-newlines", "documents", attack_pidf_notes, 0),

    ROW("xmpp-20mb", "stanzas", attack_xmpp_huge, 0),
    ROW("xmpp-nested", "stanzas", attack_xmpp_nested, 0),
    ROW("xmpp-bomb", "streams", attack_xmpp_bomb, 0),
    LONG("xmpp-newlines", "stanzas", attack_xmpp_newlines, 0),
    ROW("xmpp-attributes", "stanzas", attack_xmpp_attributes, 0),
    LONG("xmpp-children", "stanzas", attack_xmpp_children, 0),
    ROW("xmpp-mute", "streams", attack_xmpp_mute, 0),
    ROW("xmpp-deaf", "stanzas", attack_xmpp_deaf, .grows_mb = 48, .keeps_mb = 40),
    ROW("xmpp-presence", "stanzas", attack_xmpp_presence, 0),
    ROW("xmpp-subscribe", "stanzas", attack_xmpp_subscribe, 0),
    LONG("xmpp-flapping", "stanzas", attack_xmpp_flapping, 0),

    ROW("rest-slowloris", "connections", attack_rest_slowloris, 0),
    LONG("rest-connections", "connections", attack_rest_connections, 0),
    ROW("rest-deaf", "requests", attack_rest_deaf, 0),
    LONG("rest-flood", "requests", attack_rest_flood, 0),
    LONG("rest-paging", "requests", attack_rest_paging, 0),
    ROW("rest-huge", "megabytes", attack_rest_huge, 0),

    // What these are granted lasts: each is followed by a daemon with an empty store.
    LONG("subscribe-fetch", "requests", attack_subscribe_fetch, .grows_mb = 128, .leaves = true),
    LONG("xmpp-silent", "requests", attack_xmpp_silent, .grows_mb = 128, .leaves = true),
    LONG("subscribe-new", "requests", attack_subscribe_new, .grows_mb = 192, .leaves = true),
    LONG("deaf-watchers", "requests", attack_deaf_watchers, .grows_mb = 256, .leaves = true),
    LONG("xmpp-crowd", "stanzas", attack_xmpp_crowd, .grows_mb = 128, .leaves = true),
    LONG("dialog-churn", "visits", attack_dialog_churn, .grows_mb = 128, .leaves = true),
    LONG("route-to-itself", "requests", attack_route_to_itself, .grows_mb = 128, .leaves = true),
    ROW("unanswered", "requests", attack_unanswered, .grows_mb = 256, .leaves = true),
};
const unsigned n_attacks = sizeof attacks / sizeof *attacks;
