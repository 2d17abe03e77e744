// Writes the metrics of all shards and of the process.
#include "api/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "shards/resolver.h"

enum { LINE_MAX_BYTES = 256 };

struct sample {
    struct shard_counters counters;
    struct core_stats core;
};

// One value of each shard, by its place in struct sample; or of the resolver.
struct metric {
    const char *name, *type, *help;
    size_t offset;
};

#define COUNTER(name, where, help)                                                                 \
    {                                                                                              \
        name, "counter", help, offsetof(struct sample, where)                                      \
    }
#define GAUGE(name, where, help)                                                                   \
    {                                                                                              \
        name, "gauge", help, offsetof(struct sample, where)                                        \
    }

static const struct metric metrics[] = {
    COUNTER("turns_total", counters.turns_total, "Turns of the shard's loop."),
    COUNTER("ring_full_total", counters.ring_full_total,
            "Messages that waited since the ring to another shard was full."),
    COUNTER("ring_dropped_total", counters.ring_dropped_total,
            "Messages to another shard that were dropped."),
    COUNTER("commits_total", counters.commits_total, "Transactions of the store."),
    COUNTER("commit_failures_total", counters.commit_failures_total,
            "Transactions of the store that failed."),
    COUNTER("shard_rebirths_total", counters.rebirths_total,
            "Times a shard ran out of memory and began anew with what is stored."),
    COUNTER("events_starved_total", counters.starved_total,
            "Events dropped for want of memory: unread, or in a turn that was thrown away."),
    COUNTER("forwarded_total", counters.forwarded_total,
            "Events handed to the shard that owns their user."),
    COUNTER("sip_in_bytes_total", counters.sip_in_bytes_total, "SIP bytes received."),
    COUNTER("sip_out_bytes_total", counters.sip_out_bytes_total, "SIP bytes sent."),
    COUNTER("sip_send_failures_total", counters.sip_send_failures_total,
            "SIP messages that could not be sent."),
    COUNTER("sip_oversized_total", counters.sip_oversized_total,
            "SIP messages not taken as too long; requests are answered with 513."),
    COUNTER("sip_unparsable_total", counters.sip_unparsable_total,
            "Datagrams dropped since they are not SIP."),
    COUNTER("sip_in_dropped_total", counters.sip_in_dropped_total,
            "Datagrams that the kernel dropped since too many waited."),
    COUNTER("sip_strangers_dropped_total", counters.sip_strangers_dropped_total,
            "Datagrams dropped unread, as too many come of addresses that are not trusted."),
    COUNTER("sip_connections_accepted_total", counters.sip_stream.accepted,
            "SIP connections accepted."),
    COUNTER("sip_connections_connected_total", counters.sip_stream.connected,
            "SIP connections opened."),
    COUNTER("sip_connections_connect_failures_total", counters.sip_stream.connect_failures,
            "SIP connections that could not be opened."),
    COUNTER("sip_connections_connect_timeouts_total", counters.sip_stream.connect_timeouts,
            "SIP connections that were not opened in time."),
    COUNTER("sip_connections_tls_failures_total", counters.sip_stream.tls_failures,
            "TLS handshakes that failed, and certificates of others than wanted."),
    COUNTER("sip_connections_handshake_timeouts_total", counters.sip_stream.handshake_timeouts,
            "TLS handshakes not done in time."),
    COUNTER("sip_connections_handshakes_full_total", counters.sip_stream.handshakes_full,
            "TLS handshakes refused, or ended for newer ones, as there are too many."),
    COUNTER("sip_connections_refused_full_total", counters.sip_stream.refused_full,
            "SIP connections refused, as there are too many."),
    COUNTER("sip_connections_made_place_total", counters.sip_stream.made_place,
            "Idle SIP connections closed for new ones, as there are too many."),
    COUNTER("sip_connections_refused_address_total", counters.sip_stream.refused_address,
            "SIP connections refused, as there are too many of their address."),
    COUNTER("sip_connections_refused_strangers_total", counters.sip_stream.refused_strangers,
            "SIP connections refused, as there are too many of addresses that are not trusted."),
    COUNTER("sip_connections_queue_full_total", counters.sip_stream.queue_full,
            "SIP messages dropped, as too much waits for their peer."),
    COUNTER("sip_connections_queues_full_total", counters.sip_stream.queues_full,
            "SIP messages dropped, as too much waits for all peers."),
    COUNTER("sip_connections_heads_too_long_total", counters.sip_stream.heads_too_long,
            "SIP connections ended by header fields without an end."),
    COUNTER("sip_connections_unframed_total", counters.sip_stream.unframed,
            "SIP connections ended by a message without a good Content-Length."),
    COUNTER("sip_connections_garbage_total", counters.sip_stream.garbage,
            "Connections closed as SIP is not what they speak."),
    COUNTER("sip_connections_message_timeouts_total", counters.sip_stream.message_timeouts,
            "SIP connections closed within a message, as it took too long."),
    COUNTER("sip_connections_stalls_total", counters.sip_stream.stalls,
            "SIP connections closed, as their peer read nothing."),
    COUNTER("sip_connections_idle_closed_total", counters.sip_stream.idle_closed,
            "SIP connections closed, as nobody used them."),
    COUNTER("sip_connections_pongs_missed_total", counters.sip_stream.pongs_missed,
            "SIP connections closed for want of an answer to a keep-alive."),
    COUNTER("sip_connections_broken_total", counters.sip_stream.broken,
            "SIP connections lost, by an error of the wire or one of the above."),
    COUNTER("stanzas_dropped_total", counters.stanzas_dropped_total,
            "Stanzas that could not be sent."),
    COUNTER("events_total", core.events, "Events stepped by the core."),
    COUNTER("stanzas_in_total", core.stanzas_in, "Stanzas received."),
    COUNTER("stanzas_out_total", core.stanzas_out, "Stanzas let out."),
    COUNTER("sip_in_total", core.sip_in, "SIP messages received."),
    COUNTER("sip_out_total", core.sip_out, "SIP messages let out."),
    COUNTER("records_put_total", core.records_put, "Subscription records written."),
    COUNTER("records_deleted_total", core.records_deleted, "Subscription records deleted."),
    COUNTER("retransmits_total", core.retransmits, "SIP messages sent again."),
    COUNTER("timeouts_total", core.timeouts, "SIP requests that got no answer."),
    COUNTER("probes_total", core.probes, "Presence probes sent before refreshes."),
    COUNTER("fences_total", core.fences, "Disco requests sent behind probes."),
    COUNTER("refreshes_total", core.refreshes, "Subscriptions refreshed."),
    COUNTER("refreshes_refused_total", core.refreshes_refused,
            "Refreshes that were not made, for want of a sign of life."),
    COUNTER("refused_trust_total", core.refused_trust,
            "Requests and stanzas refused as not trusted."),
    COUNTER("refused_limit_total", core.refused_limit, "Requests and stanzas refused at a limit."),
    COUNTER("sip_put_off_total", core.put_off,
            "SIP requests put off, as too many are in flight to their next hop."),
    COUNTER("malformed_total", core.malformed, "Requests and stanzas that make no sense."),
    COUNTER("unmatched_total", core.unmatched, "Messages that belong to nothing known."),
    COUNTER("notifies_in_total", core.notifies_in, "NOTIFY requests received."),
    COUNTER("notifies_out_total", core.notifies_out, "NOTIFY requests sent."),
    COUNTER("resolves_total", core.resolves, "Questions where a SIP host name leads."),
    COUNTER("failovers_total", core.failovers,
            "SIP requests that went on to another address of their next hop."),
    COUNTER("tcp_switches_total", core.tcp_switches,
            "SIP requests sent over TCP since they are too big for UDP."),
    GAUGE("overload_shedding", core.overload_shedding,
          "1 while new work is refused as there is more than can be done."),
    GAUGE("store_bytes", counters.store_bytes, "Bytes used in the store."),
    GAUGE("store_lost", counters.store_lost,
          "1 while the store's file was removed, moved or replaced under the running gateway."),
    GAUGE("sip_connections", counters.sip_stream.connections, "SIP connections, of TCP and TLS."),
    GAUGE("sip_handshakes", counters.sip_stream.handshakes,
          "Accepted SIP connections within their TLS handshake."),
    GAUGE("sip_queued_bytes", counters.sip_stream.queued_bytes,
          "Bytes that wait for SIP peers to read."),
    GAUGE("stanza_backlog_bytes", counters.stanza_backlog_bytes,
          "Bytes that wait for the XMPP server."),
    GAUGE("users", core.users, "XMPP users that something is known of."),
    GAUGE("dialogs", core.dialogs, "SIP dialogs."),
    GAUGE("client_transactions", core.client_transactions, "SIP client transactions."),
    GAUGE("server_transactions", core.server_transactions, "SIP server transactions."),
    GAUGE("timers", core.timers, "Timers that run."),
    GAUGE("core_memory_bytes", core.memory_bytes, "Bytes in the core's slabs and tables."),
};

static void put_head(struct buffer *b, const char *name, const char *type, const char *help)
{
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "# HELP isthmus_%s %s\n# TYPE isthmus_%s %s\n", name, help,
                     name, type);
    buffer_add(b, line, (size_t)n);
}

static void put_u64(struct buffer *b, const char *series, uint64_t value)
{
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "isthmus_%s %" PRIu64 "\n", series, value);
    buffer_add(b, line, (size_t)n);
}

static void put_decimal(struct buffer *b, const char *series, uint64_t millionths)
{
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "isthmus_%s %" PRIu64 ".%06u\n", series,
                     millionths / 1000000, (unsigned)(millionths % 1000000));
    buffer_add(b, line, (size_t)n);
}

// --- the shards

static void put_metric(struct buffer *b, const struct metric *m, const struct sample *s,
                       unsigned shards)
{
    put_head(b, m->name, m->type, m->help);
    for (unsigned i = 0; i < shards; i++) {
        char series[128];
        uint64_t value;
        memcpy(&value, (const char *)&s[i] + m->offset, sizeof value);
        snprintf(series, sizeof series, "%s{shard=\"%u\"}", m->name, i);
        put_u64(b, series, value);
    }
}

static void put_subscriptions(struct buffer *b, const struct sample *s, unsigned shards)
{
    static const char *const directions[] = {"xmpp-to-sip", "sip-to-xmpp"};
    static const char *const states[] = {"pending", "active", "dormant"};
    put_head(b, "subscriptions", "gauge", "Subscriptions by direction and state.");
    for (unsigned i = 0; i < shards; i++)
        for (int k = 0; k < 6; k++) {
            char series[128];
            snprintf(series, sizeof series,
                     "subscriptions{shard=\"%u\",direction=\"%s\",state=\"%s\"}", i,
                     directions[k / 3], states[k % 3]);
            put_u64(b, series, s[i].core.by_state[k / 3][k % 3]);
        }
}

static void put_overload(struct buffer *b, const struct sample *s, unsigned shards)
{
    static const char *const directions[] = {"xmpp-to-sip", "sip-to-xmpp"};
    char series[128];
    put_head(b, "overload_lag_seconds", "gauge", "How long input waits before it is taken in.");
    for (unsigned i = 0; i < shards; i++) {
        snprintf(series, sizeof series, "overload_lag_seconds{shard=\"%u\"}", i);
        put_decimal(b, series, s[i].core.overload_lag_ms * 1000);
    }
    put_head(b, "overload_shed_ratio", "gauge", "Part of the new work of late that was refused.");
    for (unsigned i = 0; i < shards; i++) {
        snprintf(series, sizeof series, "overload_shed_ratio{shard=\"%u\"}", i);
        put_decimal(b, series, s[i].core.overload_share_thousandths * 1000);
    }
    put_head(b, "overload_refused_total", "counter",
             "New subscriptions and fetches refused, as there were more than can be done.");
    for (unsigned i = 0; i < shards; i++)
        for (int k = 0; k < 2; k++) {
            snprintf(series, sizeof series, "overload_refused_total{shard=\"%u\",direction=\"%s\"}",
                     i, directions[k]);
            put_u64(b, series, s[i].core.overload_refused[k]);
        }
}

// A histogram of microseconds. Prometheus counts up: each bucket holds those below it too. `label`
// is one with its value, or "".
static void put_histogram(struct buffer *b, const char *name, const char *label,
                          const uint64_t us_bucket[32], uint64_t us_sum)
{
    char series[128];
    const char *comma = *label ? "," : "", *open = *label ? "{" : "", *close = *label ? "}" : "";
    uint64_t below = 0;
    for (int i = 0; i < 32; i++) {
        below += us_bucket[i];
        if (i < METRICS_BUCKET_FIRST || i > METRICS_BUCKET_LAST)
            continue;
        snprintf(series, sizeof series, "%s_bucket{%s%sle=\"%.9g\"}", name, label, comma,
                 (double)(1u << i) / 1e6);
        put_u64(b, series, below);
    }
    snprintf(series, sizeof series, "%s_bucket{%s%sle=\"+Inf\"}", name, label, comma);
    put_u64(b, series, below);
    snprintf(series, sizeof series, "%s_sum%s%s%s", name, open, label, close);
    put_decimal(b, series, us_sum);
    snprintf(series, sizeof series, "%s_count%s%s%s", name, open, label, close);
    put_u64(b, series, below);
}

static void put_turns(struct buffer *b, const struct sample *s, unsigned shards)
{
    put_head(b, "turn_duration_seconds", "histogram",
             "Time from the first event of a turn to its release.");
    for (unsigned i = 0; i < shards; i++) {
        char label[32];
        snprintf(label, sizeof label, "shard=\"%u\"", i);
        put_histogram(b, "turn_duration_seconds", label, s[i].counters.turn_us_bucket,
                      s[i].counters.turn_us_sum);
    }
}

// --- the resolver

#define OF_RESOLVER(name, type, field, help)                                                       \
    {                                                                                              \
        "resolver_" name, type, help, offsetof(struct resolver_counters, field)                    \
    }

static const struct metric resolver_metrics[] = {
    OF_RESOLVER("lookups_total", "counter", lookups_total, "Next hops looked up by RFC 3263."),
    OF_RESOLVER("joined_total", "counter", joined_total,
                "Look-ups that waited for another one of the same place."),
    OF_RESOLVER("refused_total", "counter", refused_total,
                "Look-ups refused as too many were under way."),
    OF_RESOLVER("failures_total", "counter", failures_total,
                "Look-ups that failed since DNS did not tell."),
    OF_RESOLVER("nowhere_total", "counter", nowhere_total,
                "Look-ups of what DNS has no server for."),
    OF_RESOLVER("queries_total", "counter", queries_total, "Questions put to DNS."),
    OF_RESOLVER("in_flight", "gauge", in_flight, "Look-ups under way."),
};

static void put_resolver(struct buffer *b, struct view *v)
{
    struct resolver_counters c;
    v->source.resolver(v->source.ctx, &c);
    for (size_t i = 0; i < sizeof resolver_metrics / sizeof *resolver_metrics; i++) {
        const struct metric *m = &resolver_metrics[i];
        uint64_t value;
        memcpy(&value, (const char *)&c + m->offset, sizeof value);
        put_head(b, m->name, m->type, m->help);
        put_u64(b, m->name, value);
    }
    put_head(b, "resolver_duration_seconds", "histogram",
             "Time from a question for a next hop to its answer.");
    put_histogram(b, "resolver_duration_seconds", "", c.lookup_us_bucket, c.lookup_us_sum);
}

// --- the process

static bool resident_bytes(uint64_t *out)
{
    uint64_t all, resident;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return false;
    bool found = fscanf(f, "%" SCNu64 " %" SCNu64, &all, &resident) == 2;
    fclose(f);
    *out = found ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    return found;
}

static bool descriptors_in_use(uint64_t *out)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return false;
    for (*out = 0; readdir(d);)
        ++*out;
    *out -= 3; // "." and "..", and this one
    closedir(d);
    return true;
}

static void put_descriptors(struct buffer *b)
{
    uint64_t n;
    struct rlimit limit;
    if (!descriptors_in_use(&n) || getrlimit(RLIMIT_NOFILE, &limit))
        return;
    put_head(b, "descriptors", "gauge", "Open file descriptors of the process.");
    put_u64(b, "descriptors", n);
    put_head(b, "descriptors_max", "gauge", "How many of them the process may have.");
    put_u64(b, "descriptors_max", limit.rlim_cur);
}

static void put_streams(struct buffer *b, struct view *v)
{
    size_t n = view_streams(v), up = 0;
    for (size_t i = 0; i < n; i++)
        up += v->streams[i].up;
    put_head(b, "streams", "gauge", "Component streams by state.");
    put_u64(b, "streams{state=\"up\"}", up);
    put_u64(b, "streams{state=\"down\"}", n - up);
}

static void put_process(struct buffer *b, struct view *v)
{
    uint64_t resident;
    struct timespec cpu;
    put_head(b, "build_info", "gauge", "Always 1; the version is in the label.");
    put_u64(b, "build_info{version=\"" ISTHMUS_VERSION "\"}", 1);
    put_head(b, "start_time_seconds", "gauge", "When the API started, since the epoch.");
    put_decimal(b, "start_time_seconds", v->started_at_ms * 1000);
    if (resident_bytes(&resident)) {
        put_head(b, "resident_memory_bytes", "gauge", "Resident memory of the process.");
        put_u64(b, "resident_memory_bytes", resident);
    }
    put_descriptors(b);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    put_head(b, "cpu_seconds_total", "counter", "CPU time of the process.");
    put_decimal(b, "cpu_seconds_total",
                (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000);
    put_head(b, "shards", "gauge", "Shards.");
    put_u64(b, "shards", v->shards);
    put_head(b, "draining", "gauge", "1 while new work is refused.");
    put_u64(b, "draining", atomic_load(&v->draining));
    put_head(b, "api_requests_total", "counter", "Requests to this API.");
    put_u64(b, "api_requests_total", v->requests_total);
    put_streams(b, v);
}

void metrics_show(struct view *v, const struct uri *u, struct reply *r)
{
    (void)u;
    struct buffer *b = &r->body;
    struct sample *s = calloc(v->shards, sizeof *s);
    if (!s) {
        b->failed = true;
        return;
    }
    for (unsigned i = 0; i < v->shards; i++)
        v->source.counters(v->source.ctx, i, &s[i].counters, &s[i].core);
    r->type = METRICS_TYPE;
    put_process(b, v);
    put_subscriptions(b, s, v->shards);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        put_metric(b, &metrics[i], s, v->shards);
    put_overload(b, s, v->shards);
    put_turns(b, s, v->shards);
    put_resolver(b, v);
    free(s);
}
