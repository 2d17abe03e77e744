// The wires: datagrams that are lost, doubled, delayed and overtaken; streams that break.
#ifndef TESTS_NET_H
#define TESTS_NET_H

#include "core/wire/stanza_reader.h"
#include "gateway.h"

struct net_stream {
    struct world *world;
    unsigned index;
    bool open;
    uint64_t epoch; // what was on the way in an earlier one is lost
    uint64_t last_in_ms, last_out_ms;
    struct stanza_reader *in, *out; // at the gateway's end, at the server's
};

struct net {
    struct net_stream stream[GATEWAY_STREAMS];
    uint64_t partition_ms; // until then no SIP gets through
    uint64_t last_tcp_ms;
};

void net_create(struct world *w);
void net_destroy(struct world *w);

// SIP. `source` tells the transport: TCP is in order and loses nothing, but for the gateway's
// death.
void net_to_gateway(struct world *w, struct text bytes, const struct hop *source, uint16_t port);
void net_from_gateway(struct world *w, struct text bytes, sip_port port, const struct hop *to);
void net_partition(struct world *w, uint32_t ms);

// Component streams. The gateway opens them; who says something while one is down says it to
// nobody.
void net_streams_connect(struct world *w);
void net_streams_cut(struct world *w); // the gateway is gone
void net_stream_break(struct world *w, unsigned stream);
void net_stream_to_gateway(struct world *w, unsigned stream, struct text bytes);
void net_stream_from_gateway(struct world *w, unsigned stream, struct text bytes);
unsigned net_stream_of(struct text domain);

#endif
