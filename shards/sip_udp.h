// SIP over UDP: batches of datagrams, one system call each way for up to SIP_UDP_BATCH of them.
#ifndef SHARDS_SIP_UDP_H
#define SHARDS_SIP_UDP_H

#include "shards/port.h"

enum {
    SIP_UDP_BATCH = 64,
    SIP_UDP_QUEUE_MAX = 16384,         // datagrams that wait for a full socket; more are dropped
    SIP_UDP_QUEUE_BYTES_MAX = 8 << 20, // and their bytes
    SIP_UDP_SOCKET_BYTES = 8 << 20,    // of kernel buffer wished for, each way
    // The same for what comes in at a shard's own port: what belongs to dialogs comes there, and is
    // what is lost last. (A large buffer makes nobody wait long: what is too much is refused, and
    // that goes fast.)
    SIP_UDP_OWN_IN_BYTES = 16 << 20,
};

// EADDRINUSE, EACCES, EADDRNOTAVAIL …; ENOMEM.
int sip_udp_open(struct port **out, const struct port_setup *setup);

extern const struct port_ops sip_udp_ops;

#endif
