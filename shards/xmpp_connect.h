// The connector: one thread that opens the wanted component streams and hands each to its shard.
//
// It tries again after 1 s, doubling to 30 s. A stream that its shard has lost comes back here.
#ifndef SHARDS_XMPP_CONNECT_H
#define SHARDS_XMPP_CONNECT_H

#include "shards/clock.h"
#include "shards/fabric.h"
#include "shards/stream_table.h"

enum {
    XMPP_CONNECT_AT_ONCE = 32, // streams being opened at the same time
    XMPP_CONNECT_FIRST_MS = 1000,
    XMPP_CONNECT_MOST_MS = 30000,
    // A stream that lived so long was a good one: the next attempt begins at the first delay again.
    XMPP_CONNECT_GOOD_MS = 30000,
    XMPP_CONNECT_RESOLVE_MS = 30000, // the server's addresses are looked up again after
};

struct xmpp_connect;

struct xmpp_connect_setup {
    struct fabric *fabric;
    struct stream_table *table;
    const struct clock *clock;
    unsigned connections;
    const char *host, *secret; // copied; name or numeric
    uint16_t port;
};

// Early, while low descriptors are free: it keeps some. ENOMEM, EMFILE.
int xmpp_connect_create(struct xmpp_connect **out, const struct xmpp_connect_setup *setup);
int xmpp_connect_start(struct xmpp_connect *c);
void xmpp_connect_stop(struct xmpp_connect *c); // joins; streams already handed over live on
void xmpp_connect_destroy(struct xmpp_connect *c);

#endif
