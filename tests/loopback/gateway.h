// The gateway's shards between a component server and a SIP peer, all in this process on loopback.
#ifndef TESTS_LOOPBACK_GATEWAY_H
#define TESTS_LOOPBACK_GATEWAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "component_server.h"
#include "shards/config.h"
#include "shards/shards.h"
#include "sip_peer.h"

enum { GATEWAY_PATIENCE_MS = 10000 };

struct gateway {
    char dir[64];
    char file[96];
    struct config *cfg;
    struct store *store;
    struct shards *shards;
    struct component_server *server;
    struct sip_peer *sip;
    uint16_t listen_port, shard_port, tls_port;
};

struct gateway_wish {
    unsigned shards;
    const char *domains;  // TOML list; NULL: ["example.net"]
    const char *sources;  // TOML list of [trust] sip_sources; NULL: ["127.0.0.0/8"]
    const char *more;     // further lines of gateway.toml
    uint16_t dns;         // port of a DNS server on loopback; 0: the system's
    unsigned connections; // 0: 1
    bool not_started;
    bool tcp, tls;     // it listens there too: on listen_port, tls_port
    const char *proxy; // NULL: the SIP peer, over UDP
    unsigned t1_ms;    // 0: 500
};

struct gateway *gateway_open(const struct gateway_wish *wish);
void gateway_close(struct gateway *g);
// Ends the shards and closes the store; opens and starts them again on what is stored there, on the
// same ports.
void gateway_shut(struct gateway *g);
void gateway_open_again(struct gateway *g, const struct gateway_wish *wish);
// Writes the file anew, reads it and hands it to the shards.
void gateway_reload(struct gateway *g, const struct gateway_wish *wish);
// "" if the stream is up, else why not; NULL: there is none of that domain.
const char *gateway_stream_why(struct gateway *g, const char *domain);
bool gateway_wait_stream(struct gateway *g, const char *domain, const char *why, int timeout_ms);
struct shard_counters gateway_sum(struct gateway *g);

#endif
