// The loop: one turn after the other of sleeping, taking in, committing, letting out.
//
//     sleep ─▶ main's word ─▶ own ports ─▶ rings ─▶ streams ─▶ shared ports ─▶ what is owed
//           ─▶ timers ─▶ commit ─▶ release ─▶ flush ─▶ questions
//
// Everything is taken in bounded batches, so that no peer can keep the others from their turn. What
// belongs to something that there is (requests in dialogs, answers to ours) comes by the shard's
// own ports, and is read first; new work comes by the ports that all shards share, and is read
// last, in slices: between two of them ports and streams have their say again.
// While a commit fails, the left half of the street is closed and the commit is tried again. A turn
// in which memory ran out is thrown away with its core (shard_birth.c). While a ring to another
// shard is full, wires are not read (but rings are, or two shards would wait for each other).
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "shards/log.h"
#include "shards/shard_inner.h"
#include "shards/sip_stream.h"

void shard_watch(struct shard *s, struct shard_wire *w, uint32_t mask)
{
    if (w->mask == mask)
        return;
    struct epoll_event ev = {.events = mask, .data.u64 = w->tag};
    int op = !w->mask ? EPOLL_CTL_ADD : !mask ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(s->epoll, op, w->fd, &ev)) {
        log_error("epoll_failed", "shard", LOG_U64(s->index), "why", strerror(errno), NULL);
        s->unwatched = true; // the next heartbeat tries again
        return;
    }
    w->mask = mask;
}

void shard_watch_port(struct shard *s, struct shard_port *p)
{
    bool waiting = p->port->ops->is_waiting(p->port);
    shard_watch(s, &p->wire, (s->listening ? EPOLLIN : 0u) | (waiting ? EPOLLOUT : 0u));
}

void shard_watch_stream(struct shard *s, struct shard_stream *st)
{
    bool waiting = xmpp_stream_backlog(st->xmpp) > 0;
    if (st->error) // to be buried; until then it would only wake us
        shard_watch(s, &st->wire, 0);
    else
        shard_watch(s, &st->wire, (s->listening ? EPOLLIN : 0u) | (waiting ? EPOLLOUT : 0u));
}

static void turn_watch_all(struct shard *s)
{
    s->unwatched = false;
    for (size_t i = 0; i < s->n_ports; i++)
        if (s->port[i].port)
            shard_watch_port(s, &s->port[i]);
    for (size_t i = 0; i < s->n_homed; i++)
        shard_watch_stream(s, s->homed[i]);
}

static void turn_listen(struct shard *s, bool listen)
{
    if (s->listening == listen)
        return;
    s->listening = listen;
    turn_watch_all(s);
}

static uint64_t turn_wake_ms(const struct shard *s, bool finishing)
{
    uint64_t wake_ms = s->heartbeat_ms;
    bool pays = s->owing && !s->held && !fabric_is_congested(&s->end);
    uint64_t other[] = {
        s->held || !s->core ? s->retry_ms : core_next_due(s->core),
        fabric_is_pending(&s->end) ? s->now_ms + FABRIC_RETRY_MS : UINT64_MAX,
        s->lost && !s->held ? s->now_ms : UINT64_MAX,
        finishing ? s->now_ms + 1 : UINT64_MAX,
        pays ? s->pay_ms : UINT64_MAX,
    };
    if (finishing && !s->held)
        other[0] = UINT64_MAX; // timers don't run any more
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        wake_ms = other[i] < wake_ms ? other[i] : wake_ms;
    return wake_ms;
}

// Returns the number of events. While a commit fails only the API's ring is read.
static int turn_sleep(struct shard *s, struct epoll_event ev[SHARD_EVENTS_MAX], bool finishing)
{
    uint64_t wake_ms = turn_wake_ms(s, finishing);
    unsigned admin = fabric_admin(s->end.fabric);
    bool asleep =
        wake_ms > s->now_ms && fabric_fall_asleep(&s->end, s->held ? admin : 0,
                                                  s->held ? admin + 1 : s->end.fabric->peers);
    if (asleep && !finishing && atomic_load(s->stopping))
        wake_ms = s->now_ms; // set before we fell asleep: the bell may have rung before, too
    int n = epoll_wait(s->epoll, ev, SHARD_EVENTS_MAX, asleep ? (int)(wake_ms - s->now_ms) : 0);
    if (asleep)
        fabric_get_up(&s->end);
    return n < 0 ? 0 : n;
}

static void turn_begin(struct shard *s)
{
    s->began_us = clock_monotonic_us();
    s->now_ms = clock_ms(s->clock, s->began_us);
    s->stepped = false;
    s->count.turns_total++;
}

enum turn_rank { RANK_OWN, RANK_STREAM, RANK_SHARED, RANK_END };

static enum turn_rank turn_rank(const struct shard *s, const struct epoll_event *ev)
{
    switch ((enum shard_tag)(ev->data.u64 >> 32)) {
    case SHARD_TAG_BELL: return RANK_OWN;
    case SHARD_TAG_STREAM: return RANK_STREAM;
    case SHARD_TAG_PORT: break;
    }
    const struct port *p = s->port[(uint32_t)ev->data.u64].port;
    if (SIP_PORT_IS_LISTEN(p->id))
        return RANK_SHARED;
    return p->ops == &sip_stream_ops ? RANK_STREAM : RANK_OWN; // connections bring both sorts
}

static bool turn_may_read(const struct shard *s, const struct epoll_event *ev)
{
    if (!(ev->events & ~(uint32_t)EPOLLOUT) || !s->listening)
        return false;
    return turn_rank(s, ev) == RANK_SHARED ? shard_is_able(s) : shard_has_room(s);
}

static void turn_take_event(struct shard *s, const struct epoll_event *ev)
{
    uint32_t number = (uint32_t)ev->data.u64;
    bool in = turn_may_read(s, ev);
    switch ((enum shard_tag)(ev->data.u64 >> 32)) {
    case SHARD_TAG_BELL: return; // edge-triggered: nothing to read
    case SHARD_TAG_PORT:
        if (in)
            shard_read_port(s, &s->port[number]);
        return; // what waits to be sent is tried every turn
    case SHARD_TAG_STREAM: {
        struct shard_stream *st = s->homed_by[number];
        if (!st)
            return; // ended earlier in this turn
        if (in)
            shard_read_stream(s, st);
        st->written = st->written || (ev->events & ~(uint32_t)EPOLLIN); // a hang-up is felt by it
        return;
    }
    }
}

static void turn_run_timers(struct shard *s)
{
    if (s->core && core_next_due(s->core) <= s->now_ms)
        shard_step(s, &(struct event){.kind = EVENT_TICK});
}

static void turn_let_out(struct shard *s)
{
    if ((s->held || !s->core) && s->now_ms < s->retry_ms)
        return;
    bool was_held = s->held;
    bool whole = s->held || (s->core && shard_collect(s));
    if (!whole && !shard_rebear(s))
        return;
    if (!shard_commit(s))
        return;
    if (was_held || !whole)
        s->stepped = false; // its time says nothing of a turn's usual length
    shard_release(s);
}

static void turn_measure(struct shard *s)
{
    if (!s->stepped || s->held)
        return;
    uint64_t us = clock_monotonic_us() - s->began_us;
    unsigned bucket = us ? 64 - (unsigned)__builtin_clzll(us) : 0;
    enum { LAST = sizeof s->count.turn_us_bucket / sizeof *s->count.turn_us_bucket - 1 };
    s->count.turn_us_bucket[bucket < LAST ? bucket : LAST]++;
    s->count.turn_us_sum += us;
}

static void turn_heartbeat(struct shard *s)
{
    if (s->now_ms < s->heartbeat_ms)
        return;
    s->heartbeat_ms = s->now_ms + SHARD_HEARTBEAT_MS;
    if (s->unwatched)
        turn_watch_all(s);
    s->count.store_bytes = store_shard_bytes(s->store);
    shard_look_after_store(s);
    shard_look_after_streams(s);
}

static void publish(uint64_t *shown, const uint64_t *now, size_t n)
{
    for (size_t i = 0; i < n; i++)
        __atomic_store_n(&shown[i], now[i], __ATOMIC_RELAXED);
}

void shard_add_counters(struct core_stats *sum, const struct core_stats *more)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;
    for (size_t i = 0; i < offsetof(struct core_stats, overload_lag_ms) / 8; i++)
        to[i] += from[i];
}

// Without a core what was shown last stays: what it counted is in the store still.
static void publish_core(struct shard *s)
{
    if (!s->core)
        return;
    struct core_stats sum = *core_stats(s->core);
    shard_add_counters(&sum, &s->core_before);
    publish((uint64_t *)&s->core_shown, (const uint64_t *)&sum, sizeof sum / 8);
}

// Both structs are nothing but uint64_t.
static void turn_publish(struct shard *s)
{
    struct shard_counters *c = &s->count;
    c->ring_full_total = s->end.full_total;
    c->ring_dropped_total = s->end.dropped_total;
    c->sip_in_bytes_total = s->port_count.in_bytes;
    c->sip_out_bytes_total = s->port_count.out_bytes;
    c->sip_send_failures_total = s->port_count.send_failures;
    c->sip_oversized_total = s->port_count.oversized;
    c->sip_in_dropped_total = s->port_count.in_dropped;
    c->sip_stream = s->port_count.stream;
    c->stanza_backlog_bytes = 0;
    for (size_t i = 0; i < s->n_homed; i++)
        c->stanza_backlog_bytes += xmpp_stream_backlog(s->homed[i]->xmpp);
    publish((uint64_t *)&s->count_shown, (const uint64_t *)c, sizeof *c / 8);
    publish_core(s);
    atomic_store_explicit(&s->turn_ms, s->now_ms, memory_order_relaxed);
}

// Each turn begins with another one: epoll tells of those that are always readable in the same
// order all the time, and the first may fill every turn.
static void turn_take_rank(struct shard *s, enum turn_rank rank, const struct epoll_event *ev,
                           int n)
{
    for (int i = 0; i < n; i++) {
        const struct epoll_event *one = &ev[(s->count.turns_total + (unsigned)i) % (unsigned)n];
        if (turn_rank(s, one) == rank)
            turn_take_event(s, one);
    }
}

// A bell that is heard here was for the rings, which are looked at before the shard sleeps.
void shard_take_urgent(struct shard *s)
{
    struct epoll_event ev[SHARD_EVENTS_MAX];
    int n = epoll_wait(s->epoll, ev, SHARD_EVENTS_MAX, 0);
    for (enum turn_rank rank = RANK_OWN; rank < RANK_SHARED; rank++)
        turn_take_rank(s, rank, ev, n);
}

static void turn_take_in(struct shard *s, const struct epoll_event *ev, int n, bool finishing)
{
    if (!s->held)
        shard_read_main(s); // first, while there are no effects: settings change what they mean
    shard_lag_tell(s);
    for (enum turn_rank rank = RANK_OWN; rank < RANK_END; rank++) {
        turn_take_rank(s, rank, ev, n);
        if (rank == RANK_OWN && !s->held)
            shard_read_rings(s);
    }
    if (s->held)
        return;
    shard_bury_streams(s);
    shard_pay(s);
    if (!finishing)
        turn_run_timers(s);
}

void shard_turn(struct shard *s, bool finishing)
{
    struct epoll_event ev[SHARD_EVENTS_MAX];
    int n = turn_sleep(s, ev, finishing);
    turn_begin(s);
    turn_take_in(s, ev, n, finishing);
    turn_let_out(s);
    shard_flush(s);
    turn_measure(s);
    shard_read_questions(s);
    fabric_retry(&s->end);
    fabric_ring_bells(&s->end);
    turn_listen(s, !s->held && s->core && !finishing && !fabric_is_congested(&s->end));
    turn_heartbeat(s);
    turn_publish(s);
}
