// SIP over TCP and TLS: one port for all of a shard's connections, taken in and opened alike.
//
// Ours, and not sofia's `tport`: that one brings a reactor of its own, which would have to be woken
// by the shard's and the shard's by it; its send queue is 1000 messages at most, however short; and
// what it reads costs the square of the bytes that wait. Here an epoll set inside the port is what
// the shard's loop polls, and reading is linear in the bytes.
//
// Connections are used again (RFC 3261 §18.1.1): one that we opened for all requests to the same
// address, port, transport and server name; one that was accepted for its answers, and for requests
// to the very address and port that it came from. Aliases (RFC 5923) are not made: who wants
// requests on the connection that he opened, names its port. Answers go back on the connection of
// their request, and if that is gone, on a new one to the port of Via (RFC 3261 §18.2.2).
//
// A connection that can't be opened, or breaks while a request waits on it for its answer, makes
// its hop one of unreachable().
#ifndef SHARDS_SIP_STREAM_H
#define SHARDS_SIP_STREAM_H

#include "shards/port.h"
#include "shards/sip_stream_frame.h"
#include "shards/sip_tls.h"

enum {
    // Limits of one port, that is, of one shard; each has its counter in struct
    // port_stream_counters.
    SIP_STREAM_CONNECTIONS_MAX = 16384,
    SIP_STREAM_RESERVED = 1024, // of these, for connections that we open: nobody can take them all
    SIP_STREAM_PER_ADDRESS_MAX = 1024, // with one peer's address, not for requests of ours
    // Likewise with all whom nobody trusts: they are to learn so by a 403, and cost no more.
    SIP_STREAM_STRANGERS_MAX = 512,
    SIP_STREAM_STRANGER_QUEUE_BYTES_MAX = 64 << 10,
    // Accepted connections within their TLS handshake, which holds some 30 KB. When there are as
    // many, the oldest makes place for the next, if it had SIP_STREAM_YIELD_FIRST_MS already.
    SIP_STREAM_HANDSHAKES_MAX = 1024,
    SIP_STREAM_QUEUE_BYTES_MAX = 1 << 20,   // that wait for one peer; what comes on top is dropped
    SIP_STREAM_QUEUES_BYTES_MAX = 64 << 20, // and for all
    SIP_STREAM_CONNECT_MS = 5000,
    SIP_STREAM_HANDSHAKE_MS = 5000,
    SIP_STREAM_MESSAGE_MS = 10000, // from a message's first byte to its last
    SIP_STREAM_FIRST_MS = 60000,   // from an accepted connection's begin to its first message
    // When all places are taken, a connection that brought no message for so long, or none at all,
    // makes place for one of an address that has fewer.
    SIP_STREAM_YIELD_MS = 10000,
    SIP_STREAM_YIELD_FIRST_MS = 1000,
    SIP_STREAM_YIELD_LOOKS = 64, // so many are looked at, to find one
    SIP_STREAM_IDLE_MS = 600000, // without a message, and without the peer's keep-alives
    SIP_STREAM_STALL_MS = 30000, // a peer that takes nothing for so long is given up
    // RFC 5626 §4.4.1: after 95 to 120 s of silence on a connection that we opened, a ping; and the
    // pong has to come within 10 s.
    SIP_STREAM_PING_MS = 120000,
    SIP_STREAM_PONG_MS = 10000,
    // After a peer's last word, or one that can't be understood: for the answers that it has to
    // come.
    SIP_STREAM_LINGER_MS = 1000,

    SIP_STREAM_LISTEN_MAX = 16,
    SIP_STREAM_BACKLOG = 1024,        // connections that the kernel holds for us to accept
    SIP_STREAM_READ_BYTES = 32 << 10, // read from one connection at once
    // Read in one call of receive(), about: some 100 messages, for UDP has 64 of each of its ports,
    // and who floods one connection is not to have more of a turn than all others together.
    SIP_STREAM_TURN_BYTES = 32 << 10,
    // A step of a TLS handshake counts as so many of them: its arithmetic takes as long.
    SIP_STREAM_HANDSHAKE_BYTES = 32 << 10,
    SIP_STREAM_EVENTS = 64,     // connections and the like looked at in one call
    SIP_STREAM_ACCEPTS = 64,    // taken in at once
    SIP_STREAM_LOST_MAX = 1024, // unreachable hops that nobody has asked for yet
    SIP_STREAM_TICK_MS = 500,   // times are looked at so often, while there are connections
    SIP_STREAM_LINES_MAX = 10,  // of log in SIP_STREAM_LINES_MS
    SIP_STREAM_LINES_MS = 10000,
};

// What tests shorten; set before any port is open. The defaults are the numbers above.
extern struct sip_stream_tuning {
    size_t connections_max, reserved, per_address_max, strangers_max, handshakes_max;
    size_t queue_bytes_max, stranger_queue_bytes_max, queues_bytes_max;
    uint32_t connect_ms, handshake_ms, message_ms, first_ms, idle_ms, stall_ms, ping_ms, pong_ms;
    uint32_t linger_ms, tick_ms, yield_ms, yield_first_ms;
} sip_stream_tuning;

struct sip_stream_setup {
    // `local` is the address that connections are opened from (its port does not count); a wildcard
    // leaves it to the kernel.
    struct port_setup port;
    const struct hop *listen; // those of TCP and TLS are bound, SO_REUSEPORT
    size_t n_listen;
    struct sip_tls *tls; // the caller's, longer than the port; NULL: no TLS
    size_t descriptors;  // that connections may take; 0: SIP_STREAM_CONNECTIONS_MAX
    // Whether requests of that address are heard; asked as a connection begins. NULL: all are.
    bool (*trusts)(const void *arg, const struct hop *peer);
    const void *trusts_arg;
    const struct hop **failed; // on error: which of `listen`; may be NULL
};

// EADDRINUSE, EACCES, EADDRNOTAVAIL …; EPROTONOSUPPORT: TLS without a certificate; ENOMEM.
int sip_stream_open(struct port **out, const struct sip_stream_setup *setup);

extern const struct port_ops sip_stream_ops;

#endif
