// What a shard's loop asks of a SIP transport: one table of calls, whatever the wire.
//
// A port belongs to its shard's thread. It is non-blocking: what can't be sent now waits inside, in
// bounded memory, until its descriptor is writable.
#ifndef SHARDS_PORT_H
#define SHARDS_PORT_H

#include "core/event.h"

struct port;

// Kept by the shard for all of its ports; plain, its thread's own.
struct port_counters {
    uint64_t in_bytes, out_bytes;
    uint64_t send_failures; // messages that did not leave: errors, and a full queue
    uint64_t oversized;     // messages above sip_message_bytes
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
    // EADDRINUSE, EACCES, EADDRNOTAVAIL …; ENOMEM.
    int (*open)(struct port **out, const struct port_setup *setup);
    void (*close)(struct port *p);
    // To be polled: readable calls for receive(), writable for flush() while is_waiting().
    int (*fd)(const struct port *p);
    // Calls back for each message at hand, up to one batch. True: there may be more.
    bool (*receive)(struct port *p, port_receive_cb cb, void *arg);
    // Queues. Failures are counted, not told: a transaction's timers are the answer to all of them.
    void (*send)(struct port *p, const struct hop *to, struct text message);
    // Sends what is queued, as far as the kernel takes it.
    void (*flush)(struct port *p);
    bool (*is_waiting)(const struct port *p); // there is more to send
};

struct port {
    const struct port_ops *ops;
    sip_port id;
    struct port_counters *count;
};

// NULL: no wire of that kind is built in.
const struct port_ops *port_ops_of(enum hop_transport transport);

#endif
