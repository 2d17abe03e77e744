// The core that several targets set up: as small as it can be with every machine at work.
#ifndef TESTS_FUZZ_CORE_CONFIG_H
#define TESTS_FUZZ_CORE_CONFIG_H

#include "core/core.h"
#include "fuzz.h"

enum { FUZZ_PROXY_PORT = 5070 };
#define FUZZ_EPOCH_MS UINT64_C(1700000000000)

static inline struct core_config fuzz_core_config(void)
{
    static const struct text sip_domains[] = {{"example.net", 11}, {"example.org", 11}};
    static const struct text xmpp_domains[] = {{"example.com", 11}, {"exempt.example", 14}};
    static const struct core_net sources[] = {
        {.base = {.ip = {127}, .family = 4}, .prefix = 8},
        {.base = {.ip = {0x20, 0x01, 0x0d, 0xb8}, .family = 6}, .prefix = 32},
    };
    static const struct core_realm realms[] = {{{"verona", 6}, {"gateway", 7}, {"sycamore", 8}}};
    struct core_config c = {
        .seed = 1,
        .shards = 1,
        .gateway_domain = TEXT("gw.example.net"),
        .advertise = TEXT("127.0.0.1"),
        .shard_port = 5080,
        .tcp_port = 5060,
        .tls_port = 5061,
        .t1_ms = 500,
        .realms = realms,
        .n_realms = 1,
        .settings = {.expires_s = 3600,
                     .min_expires_s = 60,
                     .max_expires_s = 7200,
                     .probe_timeout_s = 10,
                     .probe_window_s = 60,
                     .subscriptions_per_user = 8,
                     .subscriptions_per_shard = 24,
                     .new_subscriptions_per_user_per_min = 16,
                     .requests_in_flight_per_peer = 16,
                     .notify_failures = 3},
        .trust = {.sip_domains = sip_domains,
                  .n_sip_domains = 2,
                  .xmpp_domains = xmpp_domains,
                  .n_xmpp_domains = 2,
                  .probe_exempt_domains = &xmpp_domains[1],
                  .n_probe_exempt_domains = 1,
                  .sip_sources = sources,
                  .n_sip_sources = 2},
    };
    memcpy(c.key, "a key of fuzzing", sizeof c.key);
    if (hop_parse(&c.proxy, TEXT("127.0.0.1"), FUZZ_PROXY_PORT, HOP_UDP))
        abort();
    return c;
}

static inline struct core *fuzz_core_create(const struct core_config *cfg)
{
    struct core *c;
    if (core_create(&c, cfg))
        abort();
    return c;
}

#endif
