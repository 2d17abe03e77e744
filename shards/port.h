// What a shard's loop asks of a SIP transport: one table of calls, whatever the wire.
//
// A port belongs to its shard's thread. It is non-blocking: what can't be sent now waits inside, in
// bounded memory, until its descriptor is writable.
#ifndef SHARDS_PORT_H
#define SHARDS_PORT_H

#include "core/event.h"

struct port;

// Of connections; what is a limit's, has the limit in sip_stream.h. Nothing but uint64_t.
struct port_stream_counters {
    uint64_t connections, handshakes, queued_bytes; // gauges; handshakes of accepted ones
    uint64_t accepted, connected;                   // that got as far as being open, TLS included
    uint64_t connect_failures;                      // refused, unreachable, …
    uint64_t connect_timeouts;                      // SIP_STREAM_CONNECT_MS
    uint64_t tls_failures;       // handshakes that failed, and names that are not certified
    uint64_t handshake_timeouts; // SIP_STREAM_HANDSHAKE_MS
    uint64_t handshakes_full;    // SIP_STREAM_HANDSHAKES_MAX: the oldest ended, or refused
    uint64_t refused_full;       // SIP_STREAM_CONNECTIONS_MAX, and no descriptor left
    uint64_t made_place;         // idle ones ended, as there were as many
    uint64_t refused_address;    // SIP_STREAM_PER_ADDRESS_MAX
    uint64_t refused_strangers;  // SIP_STREAM_STRANGERS_MAX
    uint64_t queue_full;         // messages dropped: SIP_STREAM_QUEUE_BYTES_MAX
    uint64_t queues_full;        // messages dropped: SIP_STREAM_QUEUES_BYTES_MAX
    uint64_t heads_too_long;     // SIP_STREAM_HEAD_MAX
    uint64_t unframed;           // messages without a good Content-Length
    uint64_t garbage;            // connections that speak something else than SIP
    uint64_t message_timeouts;   // SIP_STREAM_MESSAGE_MS
    uint64_t stalls;             // SIP_STREAM_STALL_MS
    uint64_t idle_closed;        // SIP_STREAM_IDLE_MS, SIP_STREAM_FIRST_MS
    uint64_t pongs_missed;       // SIP_STREAM_PONG_MS
    uint64_t broken;             // lost while they were open: reset, timed out
};

// Kept by the shard for all of its ports; plain, its thread's own.
struct port_counters {
    uint64_t in_bytes, out_bytes;
    uint64_t send_failures; // messages that did not leave: errors, and a full queue
    uint64_t oversized;     // messages above sip_message_bytes
    uint64_t in_dropped;    // datagrams that the kernel had no room for
    struct port_stream_counters stream;
};

// Where a message goes.
struct port_way {
    struct hop to;
    // The rest is of TCP and TLS, see struct effect.
    uint16_t reopen_port;
    struct text server_name;
};

struct port_setup {
    struct hop local;   // address and port to bind
    sip_port id;        // by which the core knows it
    bool shared;        // SO_REUSEPORT: each shard has a port of this address
    size_t message_max; // bytes; of a longer message that many and one more are delivered
    struct port_counters *count;
};

typedef void (*port_receive_cb)(void *arg, const struct port *p, const struct hop *from,
                                struct text message);

struct port_ops {
    void (*close)(struct port *p);
    // To be polled: readable calls for receive(), writable for flush() while is_waiting().
    int (*fd)(const struct port *p);
    // Calls back for each message at hand, up to one batch. True: there may be more.
    bool (*receive)(struct port *p, port_receive_cb cb, void *arg);
    // Queues. Failures are counted: a transaction's timers are the answer to all of them.
    void (*send)(struct port *p, const struct port_way *way, struct text message);
    // Sends what is queued, as far as the kernel takes it.
    void (*flush)(struct port *p);
    bool (*is_waiting)(const struct port *p); // there is more to send
    // Takes one of the next hops that connections failed to since receive() was called. False:
    // there is none. NULL: there are no connections.
    bool (*unreachable)(struct port *p, struct hop *out);
};

struct port {
    const struct port_ops *ops;
    sip_port id;
    // Of the first message of the last receive(), if that returned true: how long it had waited.
    // UINT32_MAX: the port can't tell.
    uint32_t waited_ms;
    struct port_counters *count;
};

#endif
