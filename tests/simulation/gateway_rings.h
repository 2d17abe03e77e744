// The rings between the gateway's shards: full for a while now and then, and what is owed then.
#ifndef TESTS_GATEWAY_RINGS_H
#define TESTS_GATEWAY_RINGS_H

#include "gateway.h"

// As shards/shard_owed.c has it, for what kind of message.
enum gateway_debt {
    DEBT_NONE,    // SIP: as if the network had lost it
    DEBT_CORE,    // a stanza for the core of `to`
    DEBT_STANZAS, // a stanza of the core of `from` to the stream
    DEBT_STREAM,  // that the stream is up, or down
};

// Something goes from one shard to another. True: it is dropped, and will be made good.
bool gateway_ring_drops(struct world *w, unsigned from, unsigned to, enum gateway_debt debt,
                        unsigned stream);
// The shard that has the stream, as stream_home() with one connection.
unsigned gateway_stream_home(const struct world *w, unsigned stream);

#endif
