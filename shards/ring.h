// A bounded byte ring from one thread to one other: flat messages, no locks; and the sleeper's
// bell.
//
// One thread pushes, one pops; both may do so at the same time. Messages are copied in; each begins
// at an address that is a multiple of eight.
#ifndef SHARDS_RING_H
#define SHARDS_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RING_BYTES = 256 << 10,   // small enough to stay in a core's own cache
    RING_NEAR_MAX = 16 << 10, // larger messages lie on the heap, and the ring carries their address
    RING_FAR_MESSAGES_MIN = 4, // so many of the largest messages fit, whatever their size
    RING_PARTS_MAX = 4,
    WAKE_SURELY_MS = 1000,
};

struct ring;

// ENOMEM. No message may be larger than `message_max`.
int ring_create(struct ring **out, size_t message_max);
// Both threads have let go of it. Frees what was never popped.
void ring_destroy(struct ring *r);

struct ring_part {
    const void *p;
    size_t n;
};

// The producer's. The message is its parts, one after the other. ENOBUFS: full, try again later;
// EMSGSIZE: it never fits; ENOMEM. On error nothing was pushed.
int ring_push(struct ring *r, const struct ring_part *parts, size_t n_parts);
// Whether a message of `n` bytes, at most RING_NEAR_MAX, can be pushed now.
bool ring_has_room(struct ring *r, size_t n);

// The consumer's. The oldest message, NULL if there is none; it stays until ring_pop().
const void *ring_front(struct ring *r, size_t *n);
void ring_pop(struct ring *r);
bool ring_is_empty(struct ring *r);

// Where one consumer sleeps, whatever number of rings it reads; rung by any producer.
struct wake {
    _Alignas(64) _Atomic uint32_t asleep;
    int fd; // eventfd, non-blocking; made for an edge-triggered epoll, so that it need not be read
};

int wake_open(struct wake *w); // EMFILE, ENFILE …
void wake_close(struct wake *w);
// The consumer's: before it looks at its rings a last time, and after it slept or thought better of
// it.
void wake_fall_asleep(struct wake *w);
void wake_get_up(struct wake *w);
// A producer's, after its pushes. One system call if the consumer sleeps, none if not. False: it
// failed, and nobody was woken: to be rung again.
bool wake_ring(struct wake *w);
// The same for who has no turn to come back to; waits up to WAKE_SURELY_MS for it.
bool wake_ring_surely(struct wake *w);
// For a consumer that polls: takes the bell's count away.
void wake_clear(struct wake *w);

#endif
