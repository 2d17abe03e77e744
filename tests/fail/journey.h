// Whole ways through a gateway in this process, with peers that say again what gets no answer: what
// a fault in between has to leave possible.
#ifndef TESTS_FAIL_JOURNEY_H
#define TESTS_FAIL_JOURNEY_H

#include "tests/loopback/gateway.h"
#include "tests/loopback/stream_peer.h"

enum journey_transport { JOURNEY_UDP, JOURNEY_TCP, JOURNEY_TLS };

struct journey {
    struct gateway *g;
    struct stream_peer *peer; // NULL: the gateway's own, over UDP
    enum journey_transport transport;
    struct gateway_wish wish;
    char proxy[64], more[1024];
    // What is lost is not said again, neither by the peers nor by the gateway within the bound.
    bool strict;
    unsigned user; // of the next way
    int on;        // the connection that was heard, or is to be spoken on
    uint16_t to;   // the same by port, over UDP
    const char *message;
    char fence[64]; // the id of the last question that was answered
};

// Certificates are in `dir`: good.pem, good.key, ca.pem.
void journey_open(struct journey *j, enum journey_transport transport, bool strict,
                  const char *dir);
void journey_close(struct journey *j);

// Each true if it ended well within the bound.
bool journey_watch(struct journey *j, int bound_ms); // an XMPP user watches a SIP user
bool journey_serve(struct journey *j, int bound_ms); // a SIP user watches an XMPP user
// Both, on connections that are opened anew.
bool journey_both(struct journey *j, int bound_ms);
// The stream breaks, and comes back.
bool journey_stream(struct journey *j, int bound_ms);
// The API's questions to each shard, and a reload that makes a stream and one that takes it away.
bool journey_admin(struct journey *j, int bound_ms);

int64_t journey_now_ms(void);

#endif
