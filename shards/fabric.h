// All rings of the process, and what one thread does with its ends of them.
//
// Peers are the shards by number, then the API's thread, main, the connector and the resolver.
// Shards have a ring to each other peer and back; main has one to the connector. A peer sends
// through its own `fabric_end`, which keeps what did not fit into a full ring, in order, and
// counts.
#ifndef SHARDS_FABRIC_H
#define SHARDS_FABRIC_H

#include "core/core.h"
#include "shards/message.h"
#include "shards/ring.h"

enum {
    FABRIC_PEERS_MAX = CORE_SHARDS_MAX + 4,
    // Kept by one end for all full rings together; what comes on top is dropped and counted.
    FABRIC_BACKLOG_BYTES = 16 << 20,
    // From here on nothing more is read that can wait, within a turn too. What one read gives rise
    // to has room above it: 64 KiB of the smallest stanzas are not a sixth of that.
    FABRIC_CROWDED_BYTES = FABRIC_BACKLOG_BYTES / 2,
    FABRIC_RETRY_MS =
        1, // a full ring is looked at again after; its consumer rings no bell for room
};

struct fabric {
    unsigned shards, peers;
    size_t message_max;
    struct wake wake[FABRIC_PEERS_MAX];
    struct ring *ring[FABRIC_PEERS_MAX][FABRIC_PEERS_MAX]; // [from][to]; NULL: these don't talk
};

static inline unsigned fabric_admin(const struct fabric *f)
{
    return f->shards;
}
static inline unsigned fabric_main(const struct fabric *f)
{
    return f->shards + 1;
}
static inline unsigned fabric_connector(const struct fabric *f)
{
    return f->shards + 2;
}
static inline unsigned fabric_resolver(const struct fabric *f)
{
    return f->shards + 3;
}

// `message_max` with its head. ENOMEM, EMFILE.
int fabric_create(struct fabric **out, unsigned shards, size_t message_max);
void fabric_destroy(struct fabric *f);

// Belongs to the thread of peer `self`.
struct fabric_end {
    struct fabric *fabric;
    unsigned self;
    size_t backlog_bytes;
    uint64_t full_total, dropped_total;
    bool unrung[FABRIC_PEERS_MAX]; // pushed to since the bell was last rung
    bool unheard;                  // a bell could not be rung, and is to be rung again
    struct buffer backlog[FABRIC_PEERS_MAX];
    size_t backlog_done[FABRIC_PEERS_MAX]; // bytes of it already pushed
};

void fabric_end_init(struct fabric_end *e, struct fabric *f, unsigned self);
void fabric_end_free(struct fabric_end *e);

// Head and body become one message to peer `to`. 0: in the ring or in the backlog, and it gets
// there. ENOBUFS, EMSGSIZE, ENOMEM: dropped and counted; what is to be done about it is in
// shards/message.h. The receiver's bell is not rung yet.
int fabric_send(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                struct text body);
// The same for a peer who needs it now or never: nothing for him ever waits in the backlog, where
// it would be in the way of what is for others.
int fabric_send_now(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                    struct text body);
// Pushes what waits, as far as there is room.
void fabric_retry(struct fabric_end *e);
// Rings the bells of those who were sent something. False: not all could be rung.
bool fabric_ring_bells(struct fabric_end *e);
static inline bool fabric_is_congested(const struct fabric_end *e)
{
    return e->backlog_bytes > 0;
}
static inline bool fabric_is_crowded(const struct fabric_end *e)
{
    return e->backlog_bytes > FABRIC_CROWDED_BYTES;
}
// Whether retry() and ring_bells() have to be called again within FABRIC_RETRY_MS.
static inline bool fabric_is_pending(const struct fabric_end *e)
{
    return e->backlog_bytes > 0 || e->unheard;
}

// Going to sleep: true if there is nothing to read from peers [first, end), and the bell will wake
// us when there is; false: stay awake.
bool fabric_fall_asleep(struct fabric_end *e, unsigned first, unsigned end);
void fabric_get_up(struct fabric_end *e);

static inline struct ring *fabric_from(const struct fabric_end *e, unsigned peer)
{
    return e->fabric->ring[peer][e->self];
}

#endif
