// All shards of the process: threads, rings, wires and stores, started and stopped as one.
//
// main creates and destroys it and makes the calls below, except where another thread is named.
#ifndef SHARDS_SHARDS_H
#define SHARDS_SHARDS_H

#include "core/core.h"
#include "shards/config.h"
#include "shards/port.h"
#include "store/store.h"

struct shards;

// Opens the stores, restores the cores, binds all sockets; no thread runs yet. On error *out is
// NULL and `why` says what failed. EADDRINUSE, EACCES …; EBADMSG, ENOTSUP: the store.
int shards_create(struct shards **out, const struct config *cfg, struct store *store,
                  struct store_error *why);
int shards_start(struct shards *s);
// Graceful: answers what is in hand, commits, closes the streams, joins the threads.
void shards_stop(struct shards *s);
void shards_destroy(struct shards *s);

// A new configuration: trust, limits, subscription and probe settings take effect; the rest needs a
// restart, the log aside (shards/reload.h). `cfg` is copied from before it returns. On error
// nothing has changed. EBUSY: some shard has not taken the last thousands of them yet.
int shards_reload(struct shards *s, const struct config *cfg);

unsigned shards_count(const struct shards *s);

// Plain counters of one shard, readable from any thread.
struct shard_counters {
    uint64_t turns_total, ring_full_total, ring_dropped_total, commits_total, commit_failures_total;
    uint64_t rebirths_total; // its core was made anew from the store, as memory had run out
    uint64_t starved_total;  // events lost with its core, or for want of memory to read them
    uint64_t forwarded_total, store_bytes;
    uint64_t store_lost; // 1 while the store's file is not in its place
    uint64_t sip_in_bytes_total, sip_out_bytes_total, sip_send_failures_total;
    uint64_t sip_oversized_total;         // above sip_message_bytes: requests are answered with 513
    uint64_t sip_unparsable_total;        // not SIP at all, dropped
    uint64_t sip_in_dropped_total;        // datagrams that the kernel had no room for
    uint64_t sip_strangers_dropped_total; // shards/strangers.h
    struct port_stream_counters sip_stream;
    uint64_t stanza_backlog_bytes, stanzas_dropped_total;
    // time from the first event of a turn to its release, log-linear buckets of microseconds
    uint64_t turn_us_bucket[32]; // bucket i: below 2^i µs
    uint64_t turn_us_sum;
};
void shards_counters(const struct shards *s, unsigned shard, struct shard_counters *out,
                     struct core_stats *core);

// The same of the resolver (shards/resolver.h).
struct resolver_counters;
void shards_resolver(const struct shards *s, struct resolver_counters *out);

// State of one part, for /readyz and /v1/status; any thread.
struct shards_stream {
    char domain[256];
    bool up;
    uint64_t since_ms; // wall clock
    char why[128];     // of the last failure; "" when up
};
size_t shards_streams(const struct shards *s, struct shards_stream *out, size_t max);
// False: it works, and *why is empty. Else why not: what its store says, or that it takes no turns.
bool shards_part_failing(const struct shards *s, unsigned shard, char *why, size_t n);

// One question to one shard and its answer, both flat messages (shards/admin.h); calling thread:
// the API's only. ETIMEDOUT; EMSGSIZE: the answer does not fit.
int shards_ask(struct shards *s, unsigned shard, const void *question, size_t n, void *answer,
               size_t cap, size_t *answer_n, int timeout_ms);

#endif
