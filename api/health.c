// Health, readiness and the figures of the whole.
#include "api/health.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

void health_live(struct view *v, const struct uri *u, struct reply *r)
{
    (void)v, (void)u;
    reply_json(r, MHD_HTTP_OK, json_pack("{s:s}", "status", "ok"));
}

// --- /readyz

static void add_failing(json_t *failing, const char *part, const char *name, const char *why)
{
    json_array_append_new(failing, json_pack("{s:s, s:o, s:o}", "part", part, "name",
                                             reply_string(text_of(name)), "why",
                                             reply_string(text_of(why))));
}

static bool begins(const char *z, const char *with)
{
    return strncmp(z, with, strlen(with)) == 0;
}

// By the first words of a shard's reason; all but these are what the store has to say.
static const char *part_of(const char *why)
{
    if (begins(why, "shard") || begins(why, "no turn"))
        return "shard";
    return begins(why, "sip") || begins(why, "SIP") ? "sip" : "store";
}

// So that a gateway with many stuck shards is told of in time, too.
static int ping_timeout_ms(const struct view *v)
{
    int each_ms = HEALTH_PINGS_MS / (int)v->shards;
    if (each_ms > VIEW_ASK_MS)
        return VIEW_ASK_MS;
    return each_ms > HEALTH_PING_LEAST_MS ? each_ms : HEALTH_PING_LEAST_MS;
}

static void check_shard(struct view *v, unsigned shard, json_t *failing)
{
    char name[16], why[256] = "";
    const char *part = "";
    snprintf(name, sizeof name, "%u", shard);
    if (v->source.part_failing(v->source.ctx, shard, why, sizeof why)) {
        part = part_of(why);
        add_failing(failing, part, name, why);
    }
    int rc = view_ping(v, shard, ping_timeout_ms(v));
    if (rc && strcmp(part, "shard") != 0) // or it would be named twice
        add_failing(failing, "shard", name,
                    rc == ETIMEDOUT ? "does not answer in time" : strerror(rc));
}

static void check_streams(struct view *v, json_t *failing)
{
    size_t n = view_streams(v);
    for (size_t i = 0; i < n; i++)
        if (!v->streams[i].up)
            add_failing(failing, "stream", v->streams[i].domain,
                        v->streams[i].why[0] ? v->streams[i].why : "not connected");
}

void health_ready(struct view *v, const struct uri *u, struct reply *r)
{
    (void)u;
    json_t *failing = json_array();
    if (atomic_load(&v->draining))
        add_failing(failing, "gateway", "draining", "new work is refused");
    for (unsigned i = 0; i < v->shards; i++)
        check_shard(v, i, failing);
    check_streams(v, failing);
    bool ready = json_array_size(failing) == 0;
    reply_json(r, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
               json_pack("{s:b, s:o}", "ready", ready, "failing", failing));
}

// --- /v1/status

static json_t *state_counts(const uint64_t count[3])
{
    return json_pack("{s:I, s:I, s:I}", "pending", (json_int_t)count[STATE_PENDING], "active",
                     (json_int_t)count[STATE_ACTIVE], "dormant", (json_int_t)count[STATE_DORMANT]);
}

static json_t *subscription_counts(struct view *v)
{
    uint64_t sum[2][3] = {0};
    for (unsigned i = 0; i < v->shards; i++) {
        struct shard_counters counters;
        struct core_stats core;
        v->source.counters(v->source.ctx, i, &counters, &core);
        for (int d = 0; d < 2; d++)
            for (int s = 0; s < 3; s++)
                sum[d][s] += core.by_state[d][s];
    }
    return json_pack("{s:o, s:o}", "xmpp-to-sip", state_counts(sum[XMPP_TO_SIP]), "sip-to-xmpp",
                     state_counts(sum[SIP_TO_XMPP]));
}

static json_t *streams(struct view *v)
{
    json_t *all = json_array();
    size_t n = view_streams(v);
    for (size_t i = 0; i < n; i++) {
        const struct shards_stream *s = &v->streams[i];
        json_t *one = json_pack("{s:o, s:s, s:o}", "domain", reply_string(text_of(s->domain)),
                                "state", s->up ? "up" : "down", "since", reply_time(s->since_ms));
        if (!s->up && s->why[0])
            json_object_set_new(one, "why", reply_string(text_of(s->why)));
        json_array_append_new(all, one);
    }
    return all;
}

// Of all shards: the worst of each.
static json_t *overload(struct view *v)
{
    uint64_t shedding = 0, lag_ms = 0, share = 0, refused = 0;
    for (unsigned i = 0; i < v->shards; i++) {
        struct shard_counters counters;
        struct core_stats core;
        v->source.counters(v->source.ctx, i, &counters, &core);
        shedding |= core.overload_shedding;
        lag_ms = core.overload_lag_ms > lag_ms ? core.overload_lag_ms : lag_ms;
        share = core.overload_share_thousandths > share ? core.overload_share_thousandths : share;
        refused += core.overload_refused[XMPP_TO_SIP] + core.overload_refused[SIP_TO_XMPP];
    }
    return json_pack("{s:b, s:I, s:f, s:I}", "shedding", (int)shedding, "lag_ms",
                     (json_int_t)lag_ms, "shed_share", (double)share / 1000, "refused_total",
                     (json_int_t)refused);
}

void health_status(struct view *v, const struct uri *u, struct reply *r)
{
    (void)u;
    json_int_t uptime_s = (json_int_t)((view_mono_ms() - v->started_mono_ms) / 1000);
    reply_json(r, MHD_HTTP_OK,
               json_pack("{s:s, s:I, s:i, s:o, s:o, s:b, s:o}", "version", ISTHMUS_VERSION,
                         "uptime_s", uptime_s, "shards", (int)v->shards, "subscriptions",
                         subscription_counts(v), "streams", streams(v), "draining",
                         (int)atomic_load(&v->draining), "overload", overload(v)));
}

// --- /v1/shards

static json_t *one_shard(struct view *v, unsigned shard)
{
    struct shard_counters n;
    struct core_stats core;
    v->source.counters(v->source.ctx, shard, &n, &core);
    uint64_t transactions = core.client_transactions + core.server_transactions;
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "shard", (int)shard,
                     "subscriptions", (json_int_t)core.subscriptions, "dialogs",
                     (json_int_t)core.dialogs, "transactions", (json_int_t)transactions, "users",
                     (json_int_t)core.users, "turns_total", (json_int_t)n.turns_total,
                     "events_total", (json_int_t)core.events, "ring_full_total",
                     (json_int_t)n.ring_full_total, "store_bytes", (json_int_t)n.store_bytes);
}

void health_shards(struct view *v, const struct uri *u, struct reply *r)
{
    (void)u;
    json_t *items = json_array();
    for (unsigned i = 0; i < v->shards; i++)
        json_array_append_new(items, one_shard(v, i));
    reply_json(r, MHD_HTTP_OK, json_pack("{s:o}", "items", items));
}
