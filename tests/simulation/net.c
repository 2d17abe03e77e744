// Wires between the gateway and its peers.
#include "net.h"

#include <stdlib.h>

#include "sip_model.h"
#include "xmpp_model.h"

// ---- SIP

static uint32_t net_delay_ms(struct world *w)
{
    if (w->calm)
        return 2;
    return world_fault(w, FAULT_SLOW, w->opt.slow) ? world_below(w, w->opt.slow_ms)
                                                   : world_between(w, 1, 10);
}

static void sip_arrives(struct world *w, const struct happening *h)
{
    sip_receive(w, h->bytes);
}

static void gateway_arrives(struct world *w, const struct happening *h)
{
    struct hop source = {.family = 4, .port = GATEWAY_PROXY, .transport = (uint8_t)(h->more & 255)};
    source.ip[0] = (uint8_t)(h->more >> 8);
    source.ip[3] = 1;
    gateway_sip(w, h->bytes, &source, (uint16_t)h->what);
}

// `reliable`: in order behind all that went before.
static void net_carry(struct world *w, const struct happening *h, bool reliable)
{
    if (reliable) {
        uint64_t at_ms = w->now_ms + net_delay_ms(w);
        if (w->net->partition_ms > at_ms)
            at_ms = w->net->partition_ms;
        at_ms = at_ms > w->net->last_tcp_ms ? at_ms : w->net->last_tcp_ms;
        w->net->last_tcp_ms = at_ms;
        world_bring(w, at_ms - w->now_ms, h);
        return;
    }
    if (w->now_ms < w->net->partition_ms || world_fault(w, FAULT_LOSS, w->opt.loss)) {
        world_note(w, "     (lost)");
        return;
    }
    world_bring(w, net_delay_ms(w), h);
    if (world_fault(w, FAULT_DUP, w->opt.dup))
        world_bring(w, net_delay_ms(w), h);
}

void net_to_gateway(struct world *w, struct text bytes, const struct hop *source, uint16_t port)
{
    struct happening h = {.act = gateway_arrives,
                          .what = port,
                          .more = (uint64_t)source->ip[0] << 8 | source->transport,
                          .bytes = bytes};
    world_note_message(w, "          sip ->", bytes);
    net_carry(w, &h, source->transport != HOP_UDP);
}

void net_from_gateway(struct world *w, struct text bytes, sip_port port, const struct hop *to)
{
    (void)port;
    world_digest(w, bytes);
    world_note_message(w, "-> sip         ", bytes);
    if (to->ip[0] != 127) // an answer to a stranger
        return;
    net_carry(w, &(struct happening){.act = sip_arrives, .bytes = bytes}, to->transport != HOP_UDP);
}

void net_partition(struct world *w, uint32_t ms)
{
    world_note(w, "---- no SIP for %u ms", ms);
    w->net->partition_ms = w->now_ms + ms;
}

// ---- Streams

static void stream_in(void *arg, const struct stanza *s)
{
    const struct net_stream *st = arg;
    gateway_stanza(st->world, st->index, s);
}

static void stream_out(void *arg, const struct stanza *s)
{
    const struct net_stream *st = arg;
    xmpp_receive(st->world, st->index, s);
}

static void stream_close(struct net_stream *st)
{
    st->open = false;
    st->epoch++;
    stanza_reader_destroy(st->in);
    stanza_reader_destroy(st->out);
    st->in = st->out = NULL;
}

static uint64_t stream_delay(struct world *w, uint64_t *last_ms)
{
    uint64_t at_ms = w->now_ms + (w->calm ? 2 : world_between(w, 1, 20));
    *last_ms = at_ms > *last_ms ? at_ms : *last_ms;
    return *last_ms - w->now_ms;
}

static void stream_up(struct world *w, const struct happening *h)
{
    const struct net_stream *st = h->who;
    if (h->what == st->epoch)
        gateway_stream(w, st->index, true);
}

static void stream_connect(struct world *w, const struct happening *h)
{
    static const struct stanza_reader_limits limits = {262144, 32};
    struct net_stream *st = h->who;
    if (h->what != st->epoch || st->open || !w->gateway->alive)
        return;
    if (st->index == 0 &&
        w->gateway->away == AWAY_SIP) { // it has no stream for whom it does not serve
        world_in(w, 1000, stream_connect, st, st->epoch);
        return;
    }
    st->open = true;
    st->epoch++;
    if (stanza_reader_create(&st->in, &limits, stream_in, st) ||
        stanza_reader_create(&st->out, &limits, stream_out, st))
        abort();
    world_note(w, "---- stream %u is up", st->index);
    world_in(w, stream_delay(w, &st->last_in_ms), stream_up, st, st->epoch);
}

static void stream_noticed(struct world *w, const struct happening *h)
{
    struct net_stream *st = h->who;
    if (h->what != st->epoch)
        return;
    gateway_stream(w, st->index, false);
    world_in(w, w->calm ? 1000 : world_between(w, 500, 30000), stream_connect, st, st->epoch);
}

void net_stream_break(struct world *w, unsigned stream)
{
    struct net_stream *st = &w->net->stream[stream];
    if (!st->open)
        return;
    stream_close(st);
    world_note(w, "---- stream %u breaks", stream);
    world_in(w, world_below(w, 5000), stream_noticed, st, st->epoch);
}

void net_streams_cut(struct world *w)
{
    for (unsigned i = 0; i < GATEWAY_STREAMS; i++)
        stream_close(&w->net->stream[i]);
}

void net_streams_connect(struct world *w)
{
    for (unsigned i = 0; i < GATEWAY_STREAMS; i++) {
        struct net_stream *st = &w->net->stream[i];
        world_in(w, w->calm ? 100 : world_below(w, 3000), stream_connect, st, st->epoch);
    }
}

static void stream_feed(struct world *w, struct stanza_reader *r, struct text bytes)
{
    size_t cut = world_below(w, (uint32_t)bytes.n);
    if (stanza_reader_feed(r, bytes.p, cut) || stanza_reader_feed(r, bytes.p + cut, bytes.n - cut))
        world_broken(w, "stanzas are not well-formed: %.*s", TEXT_ARG(bytes));
}

static void stream_brings_in(struct world *w, const struct happening *h)
{
    struct net_stream *st = h->who;
    if (h->what == st->epoch)
        stream_feed(w, st->in, h->bytes);
}

static void stream_brings_out(struct world *w, const struct happening *h)
{
    struct net_stream *st = h->who;
    if (h->what == st->epoch)
        stream_feed(w, st->out, h->bytes);
    else
        xmpp_lost(w, h->bytes);
}

void net_stream_to_gateway(struct world *w, unsigned stream, struct text bytes)
{
    struct net_stream *st = &w->net->stream[stream];
    world_note_message(w, st->open ? "         xmpp ->" : "   (lost) xmpp ->", bytes);
    if (st->open)
        world_bring(w, stream_delay(w, &st->last_in_ms),
                    &(struct happening){
                        .act = stream_brings_in, .who = st, .what = st->epoch, .bytes = bytes});
}

unsigned net_stream_of(struct text domain)
{
    return !text_eq(domain, TEXT("example.net"));
}

void net_stream_from_gateway(struct world *w, unsigned stream, struct text bytes)
{
    struct net_stream *st = &w->net->stream[stream];
    world_digest(w, bytes);
    world_note_message(w, st->open ? "-> xmpp        " : "-> xmpp (lost) ", bytes);
    if (st->open)
        world_bring(w, stream_delay(w, &st->last_out_ms),
                    &(struct happening){
                        .act = stream_brings_out, .who = st, .what = st->epoch, .bytes = bytes});
    else
        xmpp_lost(w, bytes);
}

void net_create(struct world *w)
{
    w->net = calloc(1, sizeof *w->net);
    if (!w->net)
        abort();
    for (unsigned i = 0; i < GATEWAY_STREAMS; i++) {
        w->net->stream[i].world = w;
        w->net->stream[i].index = i;
    }
}

void net_destroy(struct world *w)
{
    for (unsigned i = 0; i < GATEWAY_STREAMS; i++)
        stream_close(&w->net->stream[i]);
    free(w->net);
}
