// Has the API listen for the shards of this process.
#include "api/api.h"

static unsigned source_count(void *ctx)
{
    return shards_count(ctx);
}

static void source_counters(void *ctx, unsigned shard, struct shard_counters *out,
                            struct core_stats *core)
{
    shards_counters(ctx, shard, out, core);
}

static void source_resolver(void *ctx, struct resolver_counters *out)
{
    shards_resolver(ctx, out);
}

static size_t source_streams(void *ctx, struct shards_stream *out, size_t max)
{
    return shards_streams(ctx, out, max);
}

static bool source_part_failing(void *ctx, unsigned shard, char *why, size_t n)
{
    return shards_part_failing(ctx, shard, why, n);
}

static int source_ask(void *ctx, unsigned shard, const void *question, size_t n, void *answer,
                      size_t cap, size_t *answer_n, int timeout_ms)
{
    return shards_ask(ctx, shard, question, n, answer, cap, answer_n, timeout_ms);
}

int api_listen(struct api **out, const struct config *cfg, struct shards *shards,
               struct store_error *why)
{
    const struct api_source source = {
        .ctx = shards,
        .count = source_count,
        .counters = source_counters,
        .resolver = source_resolver,
        .streams = source_streams,
        .part_failing = source_part_failing,
        .ask = source_ask,
    };
    const struct api_settings settings = {
        .listen_host = cfg->api.listen_host,
        .listen_port = cfg->api.listen_port,
        .token = cfg->api.token,
    };
    return api_listen_on(out, &settings, &source, why);
}
