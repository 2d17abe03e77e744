// The resolver: one thread that tells shards where SIP URIs lead (RFC 3263).
//
// A shard sends MESSAGE_RESOLVE and gets one MESSAGE_RESOLVED for it, sooner or later. URIs that
// lead to the same place are looked up as one. It remembers nothing: what was found, and for how
// long, is its asker's to remember.
#ifndef SHARDS_RESOLVER_H
#define SHARDS_RESOLVER_H

#include "shards/config.h"
#include "shards/fabric.h"

enum {
    RESOLVER_LOOKUPS_MAX = 256,  // at the same time,
    RESOLVER_WAITERS_MAX = 8192, // and those that wait for them. Above either: no hops, at once,
    RESOLVER_BUSY_TTL_S = 1,     // and to be asked again after this
    RESOLVER_QUESTIONS_MAX = 8,  // of one look-up at the same time
    RESOLVER_LOOKUP_MS = 10000,  // then it has failed, whatever may still come
};

struct resolver;

struct resolver_setup {
    struct fabric *fabric;
    const struct config *cfg; // copied from
    unsigned try_ms;          // as in shards/dns_client.h
};

int resolver_create(struct resolver **out, const struct resolver_setup *setup);
int resolver_start(struct resolver *r);
void resolver_stop(struct resolver *r); // joins; who still waits is not answered
void resolver_destroy(struct resolver *r);

struct resolver_counters {
    uint64_t lookups_total;  // begun
    uint64_t joined_total;   // that waited for one that had begun
    uint64_t refused_total;  // at a limit
    uint64_t failures_total; // since DNS did not tell
    uint64_t nowhere_total;  // that DNS has no server for
    uint64_t queries_total;  // sent to DNS
    uint64_t in_flight;
    uint64_t lookup_us_bucket[32]; // bucket i: below 2^i µs
    uint64_t lookup_us_sum;
};
// Any thread.
void resolver_counters_read(const struct resolver *r, struct resolver_counters *out);

#endif
