// A bounded byte ring from one thread to one other: flat messages, no locks; and the sleeper's
// bell.
//
// ## The ring
//
// `tail` counts the bytes ever pushed, `head` those ever popped; both only grow, so tail - head is
// what lies in the ring and no byte is lost to telling full from empty. The producer alone writes
// tail, the consumer alone head. A push writes the message first and then stores tail with release;
// the consumer loads tail with acquire and so sees the whole message. The way back is the same: the
// consumer is done with the bytes before it stores head with release, and the producer overwrites
// them only after an acquire load of head. Each side keeps its last look at the other's counter in
// its own cache line and looks again only when it seems full (or empty), so in the common case
// neither touches the line that the other writes.
//
// A message lies in one piece. When it does not fit before the end, a pad record fills the rest and
// the message starts over at the beginning; both become visible by the same store of tail.
//
// A presence stanza is a kilobyte, the largest allowed is a quarter of a megabyte. A ring that held
// several of the largest would be walked from end to end by small ones, through cold memory. So a
// message above RING_NEAR_MAX goes to the heap and only its address through the ring; bytes on the
// heap are counted against their own bound in the same two-counter manner.
//
// ## The bell
//
// The consumer must not sleep while a message waits, and a producer should not pay for a system
// call while the consumer is awake. The obvious protocol
//
//     producer: push (store tail); if (asleep) write(eventfd)
//     consumer: asleep = 1; if (all rings empty (load tail)) epoll_wait()
//
// is broken, even on x86: a store may wait in the processor's store buffer while a later load, of
// another address, is already done. Then the producer reads asleep == 0 and the consumer reads the
// old tail, each before the other's store came out; the consumer sleeps, and the message waits for
// the next one. Release and acquire don't help: they never order a store before a later load. It
// takes a full fence between the store and the load, on both sides.
//
// Here the fence is the exchange of `asleep` itself. Both sides change it by an atomic exchange and
// by nothing else. All exchanges of one variable stand in one order, and each reads what the one
// before it wrote, with acquire and release; so each sees all that happened before any earlier one:
//
//     the producer's exchange comes after the consumer's: it reads 1, and rings;
//     it comes before: the consumer, which looks at its rings after its own exchange, sees the
//     tail.
//
// There is no third case. An exchange is a locked instruction, which also empties the store buffer
// on x86; ThreadSanitizer understands it, as it does not understand a bare fence. A producer rings
// once for all pushes of a turn, so this costs nothing for each message.
#include "shards/ring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum record_kind { RECORD_NEAR, RECORD_FAR, RECORD_PAD };

// In front of each message in the ring. A far record's body is a char pointer.
struct record {
    uint32_t n; // of the message
    uint32_t kind;
};

struct ring {
    _Alignas(64) _Atomic uint64_t tail; // bytes pushed
    // The producer's own.
    uint64_t head_seen, far_pushed;
    _Alignas(64) _Atomic uint64_t head; // bytes popped
    _Atomic uint64_t far_freed;
    // The consumer's own.
    uint64_t tail_seen;
    // Constant.
    _Alignas(64) size_t message_max;
    uint64_t far_max;
    _Alignas(8) char bytes[RING_BYTES];
};

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "offsets are taken by a mask");
_Static_assert(2 * (RING_NEAR_MAX + sizeof(struct record)) < RING_BYTES,
               "a record with its pad fits an empty ring");

static uint64_t ring_offset(uint64_t position)
{
    return position & (RING_BYTES - 1);
}

static size_t record_size(size_t body)
{
    return sizeof(struct record) + ((body + 7) & ~(size_t)7);
}

int ring_create(struct ring **out, size_t message_max)
{
    struct ring *r = aligned_alloc(64, (sizeof *r + 63) & ~(size_t)63);
    *out = r;
    if (!r)
        return ENOMEM;
    memset(r, 0, offsetof(struct ring, bytes)); // the bytes stay untouched, so unmapped, until used
    r->message_max = message_max;
    r->far_max = (uint64_t)RING_FAR_MESSAGES_MIN * message_max;
    return 0;
}

void ring_destroy(struct ring *r)
{
    if (!r)
        return;
    size_t n;
    while (ring_front(r, &n))
        ring_pop(r);
    free(r);
}

static void parts_copy(char *to, const struct ring_part *parts, size_t n_parts)
{
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].n)
            memcpy(to, parts[i].p, parts[i].n);
        to += parts[i].n;
    }
}

// Looks at the consumer's counter again only when there seems to be no room for `size` more bytes.
static bool ring_fits(struct ring *r, uint64_t tail, uint64_t size)
{
    if (tail + size - r->head_seen > RING_BYTES)
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    return tail + size - r->head_seen <= RING_BYTES;
}

static uint64_t ring_pad(uint64_t tail, size_t size)
{
    uint64_t left = RING_BYTES - ring_offset(tail);
    return size > left ? left : 0;
}

bool ring_has_room(struct ring *r, size_t n)
{
    assert(n <= RING_NEAR_MAX);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t size = record_size(n);
    return ring_fits(r, tail, ring_pad(tail, size) + size);
}

// Makes the record of `body` bytes at the tail and returns where its body goes; the caller
// publishes by storing *tail_after. NULL: no room.
static char *ring_reserve(struct ring *r, size_t body, size_t message, enum record_kind kind,
                          uint64_t *tail_after)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t size = record_size(body);
    uint64_t pad = ring_pad(tail, size);
    if (!ring_fits(r, tail, pad + size))
        return NULL;
    if (pad) {
        struct record record = {.kind = RECORD_PAD};
        memcpy(r->bytes + ring_offset(tail), &record, sizeof record);
    }
    struct record record = {.n = (uint32_t)message, .kind = kind};
    char *at = r->bytes + ring_offset(tail + pad);
    memcpy(at, &record, sizeof record);
    *tail_after = tail + pad + size;
    return at + sizeof record;
}

static int ring_push_near(struct ring *r, const struct ring_part *parts, size_t n_parts, size_t n)
{
    uint64_t tail_after;
    char *body = ring_reserve(r, n, n, RECORD_NEAR, &tail_after);
    if (!body)
        return ENOBUFS;
    parts_copy(body, parts, n_parts);
    atomic_store_explicit(&r->tail, tail_after, memory_order_release);
    return 0;
}

static int ring_push_far(struct ring *r, const struct ring_part *parts, size_t n_parts, size_t n)
{
    uint64_t freed = atomic_load_explicit(&r->far_freed, memory_order_acquire);
    if (r->far_pushed - freed + n > r->far_max)
        return ENOBUFS;
    uint64_t tail_after;
    char *body = ring_reserve(r, sizeof(char *), n, RECORD_FAR, &tail_after);
    if (!body)
        return ENOBUFS;
    char *far = malloc(n);
    if (!far)
        return ENOMEM;
    parts_copy(far, parts, n_parts);
    memcpy(body, &far, sizeof far);
    r->far_pushed += n;
    atomic_store_explicit(&r->tail, tail_after, memory_order_release);
    return 0;
}

int ring_push(struct ring *r, const struct ring_part *parts, size_t n_parts)
{
    assert(n_parts <= RING_PARTS_MAX);
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++)
        n += parts[i].n;
    if (n > r->message_max)
        return EMSGSIZE;
    return n > RING_NEAR_MAX ? ring_push_far(r, parts, n_parts, n)
                             : ring_push_near(r, parts, n_parts, n);
}

bool ring_is_empty(struct ring *r)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (r->tail_seen == head)
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return r->tail_seen == head;
}

// The record at the head, past a pad; the ring is not empty.
static char *ring_head_record(struct ring *r, uint64_t *head, struct record *record)
{
    *head = atomic_load_explicit(&r->head, memory_order_relaxed);
    memcpy(record, r->bytes + ring_offset(*head), sizeof *record);
    if (record->kind == RECORD_PAD) {
        *head += RING_BYTES - ring_offset(*head);
        memcpy(record, r->bytes + ring_offset(*head), sizeof *record);
    }
    assert(record->kind != RECORD_PAD);
    return r->bytes + ring_offset(*head) + sizeof *record;
}

static char *far_body(const char *body)
{
    char *far;
    memcpy(&far, body, sizeof far);
    return far;
}

const void *ring_front(struct ring *r, size_t *n)
{
    if (ring_is_empty(r))
        return NULL;
    uint64_t head;
    struct record record;
    char *body = ring_head_record(r, &head, &record);
    *n = record.n;
    return record.kind == RECORD_FAR ? far_body(body) : body;
}

void ring_pop(struct ring *r)
{
    assert(!ring_is_empty(r));
    uint64_t head;
    struct record record;
    char *body = ring_head_record(r, &head, &record);
    size_t size = record_size(record.n);
    if (record.kind == RECORD_FAR) {
        free(far_body(body));
        size = record_size(sizeof(char *));
        uint64_t freed = atomic_load_explicit(&r->far_freed, memory_order_relaxed);
        atomic_store_explicit(&r->far_freed, freed + record.n, memory_order_release);
    }
    atomic_store_explicit(&r->head, head + size, memory_order_release);
}

int wake_open(struct wake *w)
{
    atomic_init(&w->asleep, 0);
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w->fd < 0 ? errno : 0;
}

void wake_close(struct wake *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

void wake_fall_asleep(struct wake *w)
{
    atomic_exchange_explicit(&w->asleep, 1, memory_order_acq_rel);
}

void wake_get_up(struct wake *w)
{
    atomic_exchange_explicit(&w->asleep, 0, memory_order_acq_rel);
}

bool wake_ring(struct wake *w)
{
    if (!atomic_exchange_explicit(&w->asleep, 0, memory_order_acq_rel))
        return true;
    uint64_t one = 1;
    ssize_t done;
    do
        done = write(w->fd, &one, sizeof one);
    while (done < 0 && errno == EINTR);
    if (done == sizeof one || errno == EAGAIN) // EAGAIN: the count is at its end, still readable
        return true;
    // It sleeps on. Should it have got up by itself meanwhile, the next bell is one too many, no
    // more.
    atomic_exchange_explicit(&w->asleep, 1, memory_order_acq_rel);
    return false;
}

bool wake_ring_surely(struct wake *w)
{
    bool rung = wake_ring(w);
    for (int ms = 0; !rung && ms < WAKE_SURELY_MS; ms++) {
        poll(NULL, 0, 1);
        rung = wake_ring(w);
    }
    return rung;
}

void wake_clear(struct wake *w)
{
    uint64_t count;
    ssize_t done = read(w->fd, &count, sizeof count);
    (void)done; // EAGAIN: nobody rang
}
