// The admin API: REST, metrics and health over HTTP, on one thread of its own.
//
// main makes it listen, gives up what that took, and then starts its thread; it stops before the
// shards do. It learns of the shards through a `struct api_source` and nothing else: it asks them
// by message and never reads their memory, plain counters aside. It reads and changes nothing: GET
// and HEAD.
#ifndef API_API_H
#define API_API_H

#include "shards/config.h"
#include "shards/shards.h"
#include "store/store.h"

struct api;

// EINVAL: an address that can't be listened on, or one beyond loopback without a token; EADDRINUSE,
// EACCES …; ENOMEM. On error *out is NULL and `why` says what failed. `shards` outlives the API.
int api_listen(struct api **out, const struct config *cfg, struct shards *shards,
               struct store_error *why);
// Its thread: whoever has connected since is answered now. EAGAIN: no thread or no descriptor.
int api_start(struct api *api, struct store_error *why);
void api_stop(struct api *api); // waits for the answer in hand; NULL, or never started, is fine

// From now on /readyz is 503 and /v1/status says so. Any thread.
void api_set_draining(struct api *api, bool draining);
uint16_t api_port(const struct api *api); // as bound, when the port asked for was 0

// Where the answers come from; the functions of shards/shards.h, with `ctx` for their first
// argument. All are called by the API's thread only.
struct api_source {
    void *ctx;
    unsigned (*count)(void *ctx);
    void (*counters)(void *ctx, unsigned shard, struct shard_counters *out,
                     struct core_stats *core);
    void (*resolver)(void *ctx, struct resolver_counters *out);
    size_t (*streams)(void *ctx, struct shards_stream *out, size_t max);
    bool (*part_failing)(void *ctx, unsigned shard, char *why, size_t n);
    int (*ask)(void *ctx, unsigned shard, const void *question, size_t n, void *answer, size_t cap,
               size_t *answer_n, int timeout_ms);
};

struct api_settings {
    const char *listen_host;
    uint16_t listen_port; // 0: any that is free
    const char *token;    // NULL or "": none is asked for
};

// The same with any source; api_listen() is this with that of the shards.
int api_listen_on(struct api **out, const struct api_settings *settings,
                  const struct api_source *source, struct store_error *why);

#endif
