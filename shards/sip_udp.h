// SIP over UDP: batches of datagrams, one system call each way for many of them.
#ifndef SHARDS_SIP_UDP_H
#define SHARDS_SIP_UDP_H

#include "shards/port.h"

enum {
    SIP_UDP_BATCH = 64, // datagrams read, and pieces sent, by one system call
    // A run: so many datagrams to one peer, of one size, leave as one piece that the kernel cuts.
    // The size is what a datagram may have anywhere (RFC 3261 §18.1.1), and a piece is no more than
    // IP carries.
    SIP_UDP_RUN_MIN = 8,
    SIP_UDP_RUN_MAX = 48,
    SIP_UDP_SEGMENT_MAX = 1300,
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
