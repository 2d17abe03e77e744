// One shard: the thread that takes turns of reading, stepping its core, committing and releasing.
//
// Created, started, joined and destroyed by main; all in between belongs to its own thread, but for
// what is marked as readable by any.
#ifndef SHARDS_SHARD_H
#define SHARDS_SHARD_H

#include "shards/clock.h"
#include "shards/fabric.h"
#include "shards/settings.h"
#include "shards/shards.h"
#include "shards/stream_table.h"

struct shard;

// What tests shorten; set before any shard runs.
extern struct shard_tuning {
    uint32_t unwanted_stream_ms; // a stream whose domain lost our trust lives on for so long
} shard_tuning;

struct shard_setup {
    unsigned index;
    unsigned former_shards; // their ports are kept; not above the count: there are none
    const struct config *cfg;
    const struct settings *settings;
    struct store *store;
    struct fabric *fabric;
    struct stream_table *table;
    struct sip_tls *tls; // outlives the shard
    const struct clock *clock;
    const _Atomic bool *stopping; // set, then the shard's bell is rung: finish
};

// Opens the store, restores the core, binds the ports. On error *out is NULL.
int shard_create(struct shard **out, const struct shard_setup *setup, struct store_error *why);
int shard_start(struct shard *s);
void shard_join(struct shard *s); // after *stopping was set
void shard_destroy(struct shard *s);

// Any thread.
void shard_counters_read(const struct shard *s, struct shard_counters *out,
                         struct core_stats *core);
// False: it works, and *why is empty.
bool shard_is_failing(struct shard *s, char *why, size_t n);

#endif
