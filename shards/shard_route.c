// In: from wires and rings to the core that owns the event.
#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "shards/admin.h"
#include "shards/log.h"
#include "shards/shard_inner.h"

// A core that ran out of memory is stepped no more: the rest of the turn is lost with it.
void shard_step(struct shard *s, const struct event *ev)
{
    if (!s->core || s->fx.failed) {
        s->count.starved_total++;
        return;
    }
    core_step(s->core, ev, s->now_ms, &s->fx);
    s->stepped = true;
}

static void step_sip(struct shard *s, const struct sip_message *m, const struct hop *from,
                     sip_port port, bool admitted)
{
    shard_step(
        s, &(struct event){
               .kind = EVENT_SIP, .sip = m, .source = *from, .port = port, .admitted = admitted});
}

static void step_stanza(struct shard *s, const struct stanza *stanza)
{
    shard_step(s, &(struct event){.kind = EVENT_STANZA, .stanza = stanza});
}

// Who floods us over TCP and TLS has few connections (SIP_STREAM_STRANGERS_MAX), and is read no
// faster than he takes his answers.
static bool is_heard(struct shard *s, const struct hop *from)
{
    if (from->transport != HOP_UDP || core_trusts_source(s->core, from) ||
        strangers_hear(&s->strangers, from, s->now_ms))
        return true;
    s->count.sip_strangers_dropped_total++;
    return false;
}

// Answered at the port, before the turn's commit: it has nothing to wait for.
static enum core_door at_the_door(struct shard *s, const struct port *p, const struct hop *from,
                                  struct text data)
{
    struct core_refusal no;
    if (s->fx.failed)
        return CORE_DOOR_ASK;
    enum core_door door = core_turn_away(s->core, data, from, s->now_ms, &no);
    if (door == CORE_DOOR_SHUT && no.bytes.n)
        shard_send_to_port(s, p->id, &(struct port_way){no.to, no.reopen_port, {0}}, no.bytes);
    return door;
}

static void route_sip(void *arg, const struct port *p, const struct hop *from, struct text data)
{
    enum { KEEPALIVE_MAX = 4 }; // bytes: RFC 5626 §4.4.1, and the single zero that phones like
    struct shard *s = arg;
    const struct sip_message *m;
    if (!is_heard(s, from))
        return;
    enum core_door door = at_the_door(s, p, from, data);
    if (door == CORE_DOOR_SHUT)
        return;
    int error = sip_parse(s->parser, data.p, data.n, &m);
    if (error) {
        s->count.starved_total += error == ENOMEM;
        s->count.sip_unparsable_total += error != ENOMEM && data.n > KEEPALIVE_MAX;
        return;
    }
    unsigned owner = core_owner_of_sip(s->core, m);
    if (owner == CORE_OWNER_UNKNOWN) {
        s->count.starved_total++;
        return;
    }
    if (owner == s->index) {
        step_sip(s, m, from, p->id, door == CORE_DOOR_OPEN);
        return;
    }
    assert(owner < s->shards);
    core_hands_on(s->core, m);
    struct message_sip head = {.kind = MESSAGE_SIP, .port = p->id, .peer = *from};
    s->count.forwarded_total++;
    // One that is dropped is as good as lost on its way here.
    fabric_send(&s->end, owner, &head, sizeof head, (struct text){(const char *)m, m->size});
}

void shard_route_stanza(void *arg, const struct stanza *stanza)
{
    struct shard *s = arg;
    unsigned owner = core_owner_of_stanza(s->core, stanza);
    if (owner == CORE_OWNER_UNKNOWN) {
        // Nobody sends it again. What follows a turn that is thrown away makes good for it, if it
        // was ours.
        s->fx.failed = true;
        s->count.starved_total++;
        for (unsigned i = 0; i < s->shards; i++)
            if (i != s->index)
                shard_owe_core(s, i);
        return;
    }
    if (owner == s->index) {
        step_stanza(s, stanza);
        return;
    }
    assert(owner < s->shards);
    struct message head = {.kind = MESSAGE_STANZA};
    s->count.forwarded_total++;
    if (fabric_send(&s->end, owner, &head, sizeof head,
                    (struct text){(const char *)stanza, stanza_size(stanza)}))
        shard_owe_core(s, owner);
}

// Whether a turn that has come so far may go on taking in new work: between two slices of it what
// belongs to something that there is has come first.
static bool route_may_go_on(struct shard *s, uint64_t *slice_us)
{
    uint64_t us = clock_monotonic_us() - s->began_us;
    if (us - *slice_us < SHARD_SLICE_US)
        return true;
    if (us > SHARD_SHARED_US || s->behind)
        return false;
    shard_take_urgent(s);
    *slice_us = clock_monotonic_us() - s->began_us; // what the others took is not of this slice
    return !s->behind;
}

// Returns whether there is more.
static bool read_shared_port(struct shard *s, struct shard_port *p)
{
    uint64_t slice_us = clock_monotonic_us() - s->began_us;
    bool more = true;
    for (int i = 0; i < SHARD_SHARED_BATCHES && more && (i == 0 || shard_has_room(s)); i++) {
        more = p->port->ops->receive(p->port, route_sip, s);
        if (more && !route_may_go_on(s, &slice_us))
            break;
    }
    return more;
}

static bool read_own_port(struct shard *s, struct shard_port *p)
{
    bool more = true;
    for (int i = 0; i < SHARD_PORT_BATCHES && more && shard_has_room(s); i++)
        more = p->port->ops->receive(p->port, route_sip, s);
    return more;
}

void shard_read_port(struct shard *s, struct shard_port *p)
{
    const struct port_ops *ops = p->port->ops;
    struct event ev = {.kind = EVENT_UNREACHABLE, .port = p->port->id};
    bool more = SIP_PORT_IS_LISTEN(p->port->id) ? read_shared_port(s, p) : read_own_port(s, p);
    shard_lag_of_port(s, p, more); // what is left keeps the descriptor readable
    shard_flush_port(s, p);        // refusals
    while (ops->unreachable && ops->unreachable(p->port, &ev.source))
        shard_step(s, &ev);
}

void shard_read_stream(struct shard *s, struct shard_stream *st)
{
    int error = 0;
    bool more = true;
    if (st->error)
        return; // to be buried at the end of this turn
    for (int i = 0; more && !error && i < SHARD_STREAM_READS && shard_has_room(s); i++)
        error = xmpp_stream_read(st->xmpp, s->scratch, s->now_ms, &more);
    shard_lag_of_stream(s, st, more);
    if (error)
        shard_lose_stream(s, st, error);
}

static void read_sip(struct shard *s, const char *p, size_t n)
{
    const struct message_sip *head = (const void *)p;
    assert(n > sizeof *head);
    step_sip(s, (const void *)(head + 1), &head->peer, head->port, false);
}

static void read_stanza(struct shard *s, const char *p, size_t n)
{
    assert(n > sizeof(struct message));
    (void)n;
    step_stanza(s, (const void *)(p + sizeof(struct message)));
}

static void read_sip_out(struct shard *s, const char *p, size_t n)
{
    const struct message_sip *head = (const void *)p;
    struct text bytes = {p + sizeof *head, n - sizeof *head};
    struct port_way way = {.to = head->peer, .reopen_port = head->reopen_port};
    shard_send_to_port(s, head->port, &way, bytes);
}

static void read_stanza_out(struct shard *s, const char *p, size_t n)
{
    const struct message_stream *head = (const void *)p;
    struct text bytes = {p + sizeof *head, n - sizeof *head};
    shard_send_to_stream(s, head->stream, bytes);
}

static void read_ask(struct shard *s, const char *p, size_t n)
{
    const struct message_ask *head = (const void *)p;
    struct buffer answer;
    buffer_init(&answer, ADMIN_ANSWER_MAX);
    int error =
        s->core ? admin_answer(s->core, head + 1, n - sizeof *head, s->now_ms, &answer) : ENOMEM;
    if (!error && answer.failed)
        error = EMSGSIZE;
    struct message_ask back = {.kind = MESSAGE_ANSWER, .error = error, .sequence = head->sequence};
    // When the ring is full, those who asked have given up, and nobody may come to empty it.
    fabric_send_now(&s->end, fabric_admin(s->end.fabric), &back, sizeof back,
                    (struct text){answer.p, error ? 0 : answer.n});
    buffer_free(&answer);
}

static void read_settings(struct shard *s, const char *p)
{
    shard_apply_settings(s, ((const struct message_pointer *)(const void *)p)->p);
}

static void read_resolved(struct shard *s, const char *p, size_t n)
{
    const struct message_resolved *head = (const void *)p;
    const struct hop *hops = (const void *)(head + 1);
    const char *uri = (const char *)(hops + head->n_hops);
    assert(head->n_hops <= EVENT_HOPS_MAX);
    shard_step(s, &(struct event){.kind = EVENT_RESOLVED,
                                  .uri = {uri, n - (size_t)(uri - p)},
                                  .hops = hops,
                                  .n_hops = head->n_hops,
                                  .ttl_s = head->ttl_s});
}

static void read_message(struct shard *s, const char *p, size_t n)
{
    const struct message_stream *stream = (const void *)p;
    switch (((const struct message *)(const void *)p)->kind) {
    case MESSAGE_SIP: read_sip(s, p, n); return;
    case MESSAGE_STANZA: read_stanza(s, p, n); return;
    case MESSAGE_SIP_OUT: read_sip_out(s, p, n); return;
    case MESSAGE_STANZA_OUT: read_stanza_out(s, p, n); return;
    case MESSAGE_STREAM_UP: shard_told_stream(s, stream->stream, true); return;
    case MESSAGE_STREAM_DOWN: shard_told_stream(s, stream->stream, false); return;
    case MESSAGE_MISSED: shard_tell_streams(s); return;
    case MESSAGE_RESOLVED: read_resolved(s, p, n); return;
    case MESSAGE_STREAM_OPEN: shard_take_stream(s, stream); return;
    case MESSAGE_SETTINGS: read_settings(s, p); return;
    case MESSAGE_ASK: read_ask(s, p, n); return;
    default: assert(!"a message that no shard is sent");
    }
}

// False: nothing is left in it.
static bool read_ring(struct shard *s, unsigned from, int most)
{
    struct ring *r = fabric_from(&s->end, from);
    size_t n;
    for (int i = 0; r && i < most && s->fx.bytes.n < EFFECTS_TURN_BYTES && !s->fx.failed; i++) {
        const void *p = ring_front(r, &n);
        if (!p)
            return false;
        read_message(s, p, n);
        ring_pop(r);
    }
    return r != NULL;
}

// Shards and the connector; each turn begins with another one, so that under load, when a turn ends
// early, none is passed over.
void shard_read_rings(struct shard *s)
{
    unsigned peers = s->end.fabric->peers;
    for (unsigned i = 0; i < peers; i++) {
        unsigned from = (s->ring_first + i) % peers;
        if (from != fabric_admin(s->end.fabric) && from != fabric_main(s->end.fabric))
            shard_lag_since(s, &s->ring_empty_ms[from], read_ring(s, from, SHARD_RING_BATCH));
    }
    s->ring_first = (s->ring_first + 1) % peers;
}

// One message: settings are applied while there are no effects, and may cause some.
void shard_read_main(struct shard *s)
{
    read_ring(s, fabric_main(s->end.fabric), 1);
}

void shard_read_questions(struct shard *s)
{
    read_ring(s, fabric_admin(s->end.fabric), SHARD_RING_BATCH);
}
