// Which component streams there are to be, and how each of them fares: read for the API,
// written by the connector and the shards.
//
// A domain gets a place for the life of the process; a stream is a domain's place times
// [xmpp] connections plus the number of the connection. Behind one mutex, as all of this is rare.
#ifndef SHARDS_STREAM_TABLE_H
#define SHARDS_STREAM_TABLE_H

#include "core/core.h"
#include "shards/shards.h"

enum {
    // Different domains from start to end, those of the trust list of the moment and former ones.
    STREAM_DOMAINS_MAX = 4 * CORE_DOMAINS_MAX,
    STREAM_DOMAIN_BYTES = 256, // with its end
    STREAM_WHY_BYTES = 128,
    STREAM_NONE = 0xffffffff,
};

struct stream_table;

int stream_table_create(struct stream_table **out, unsigned connections); // ENOMEM
void stream_table_destroy(struct stream_table *t);

// These domains and no others are wanted from now on. E2BIG: too many since start; ENAMETOOLONG. On
// error nothing has changed.
int stream_table_want(struct stream_table *t, const struct text *domains, size_t n,
                      uint64_t now_ms);

// Connection `connection` of the domain; STREAM_NONE: the domain has no place.
uint32_t stream_table_find(struct stream_table *t, struct text domain, unsigned connection);
// Streams are numbered below this; it only grows.
uint32_t stream_table_end(struct stream_table *t);
// Whether it is wanted, and its domain.
bool stream_table_wanted(struct stream_table *t, uint32_t stream, char domain[STREAM_DOMAIN_BYTES]);

void stream_table_set(struct stream_table *t, uint32_t stream, bool up, const char *why,
                      uint64_t now_ms);
// The wanted ones, as in shards_streams().
size_t stream_table_list(struct stream_table *t, struct shards_stream *out, size_t max);

// The shard whose thread has the stream. Connections of one domain go to different shards.
static inline unsigned stream_home(uint32_t stream, unsigned connections, unsigned shards)
{
    return (stream / connections + stream % connections) % shards;
}

#endif
