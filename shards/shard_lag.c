// How long input waits before it is taken in: what the core sheds new work by (core/overload.h).
//
// A wire that was emptied has no lag, however long the turn before was: that is a batch, and no
// queue. One that gave its whole share and has more tells how long the first of it had waited: the
// kernel stamps datagrams; a stream marks its last byte that waited at some time
// (shards/xmpp_stream.c); of connections and rings only the time since they were last empty is
// known, which is more than the wait. What the kernel had no room for comes again, a T1 later (RFC
// 3261 §17.1.2.2), and so it waits for as long: a full buffer alone tells little, for one that is
// emptied 100,000 times a second holds less than a tenth of a second of them. The shard's lag is
// the largest of a turn's. It is told before the next turn, and stands while wires are not read at
// all.
#include "shards/log.h"
#include "shards/shard_inner.h"

enum { LAG_DROPPED_MS = 500 };

void shard_lag_is(struct shard *s, uint64_t lag_ms)
{
    uint32_t ms = lag_ms < UINT32_MAX ? (uint32_t)lag_ms : UINT32_MAX;
    s->lag_ms = ms > s->lag_ms ? ms : s->lag_ms;
}

void shard_lag_since(struct shard *s, uint64_t *empty_ms, bool more)
{
    if (!more || !*empty_ms)
        *empty_ms = s->now_ms;
    s->behind = s->behind || more;
    shard_lag_is(s, s->now_ms - *empty_ms);
}

void shard_lag_of_port(struct shard *s, struct shard_port *p, bool more)
{
    s->behind = s->behind || more;
    if (s->port_count.in_dropped != s->dropped) {
        s->dropped = s->port_count.in_dropped;
        shard_lag_is(s, LAG_DROPPED_MS);
    }
    if (more && p->port->waited_ms != UINT32_MAX)
        shard_lag_is(s, p->port->waited_ms);
    else
        shard_lag_since(s, &p->empty_ms, more);
}

void shard_lag_of_stream(struct shard *s, const struct shard_stream *st, bool more)
{
    s->behind = s->behind || more;
    shard_lag_is(s, xmpp_stream_lag_ms(st->xmpp, s->now_ms));
}

// A line when it begins and one when it ends; what ends lasts for seconds, so they are few.
static void tell_operator(struct shard *s)
{
    const struct core_stats *n = core_stats(s->core);
    uint64_t refused = n->overload_refused[XMPP_TO_SIP] + n->overload_refused[SIP_TO_XMPP];
    if (s->shedding == (n->overload_shedding != 0))
        return;
    s->shedding = !s->shedding;
    if (s->shedding)
        log_warn("overload_begins", "shard", LOG_U64(s->index), "lag_ms", LOG_U64(s->lag_ms), NULL);
    else
        log_info("overload_ends", "shard", LOG_U64(s->index), "refused",
                 LOG_U64(refused - s->refused_before), NULL);
    s->refused_before = refused;
}

void shard_lag_tell(struct shard *s)
{
    if (!s->core)
        return;
    core_set_lag_ms(s->core, s->lag_ms, s->now_ms);
    tell_operator(s);
    s->behind = false;
    if (s->listening && !s->held)
        s->lag_ms = 0;
}
