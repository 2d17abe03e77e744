// All rings of the process, and what one thread does with its ends of them.
#include "shards/fabric.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static bool fabric_talk(const struct fabric *f, unsigned from, unsigned to)
{
    if (from == to)
        return false;
    if (from < f->shards || to < f->shards)
        return true;
    return from == fabric_main(f) && to == fabric_connector(f);
}

static int fabric_make_rings(struct fabric *f)
{
    for (unsigned from = 0; from < f->peers; from++) {
        for (unsigned to = 0; to < f->peers; to++) {
            int error =
                fabric_talk(f, from, to) ? ring_create(&f->ring[from][to], f->message_max) : 0;
            if (error)
                return error;
        }
    }
    return 0;
}

int fabric_create(struct fabric **out, unsigned shards, size_t message_max)
{
    assert(shards > 0 && shards <= CORE_SHARDS_MAX);
    struct fabric *f = aligned_alloc(64, (sizeof *f + 63) & ~(size_t)63);
    *out = NULL;
    if (!f)
        return ENOMEM;
    memset(f, 0, sizeof *f);
    f->shards = shards;
    f->peers = shards + 4;
    f->message_max = message_max;
    for (unsigned i = 0; i < f->peers; i++)
        f->wake[i].fd = -1;
    int error = 0;
    for (unsigned i = 0; i < f->peers && !error; i++)
        error = wake_open(&f->wake[i]);
    if (!error)
        error = fabric_make_rings(f);
    if (error)
        fabric_destroy(f);
    else
        *out = f;
    return error;
}

void fabric_destroy(struct fabric *f)
{
    if (!f)
        return;
    for (unsigned from = 0; from < f->peers; from++) {
        for (unsigned to = 0; to < f->peers; to++)
            ring_destroy(f->ring[from][to]);
        wake_close(&f->wake[from]);
    }
    free(f);
}

void fabric_end_init(struct fabric_end *e, struct fabric *f, unsigned self)
{
    *e = (struct fabric_end){.fabric = f, .self = self};
}

void fabric_end_free(struct fabric_end *e)
{
    for (unsigned to = 0; to < FABRIC_PEERS_MAX; to++)
        buffer_free(&e->backlog[to]);
}

// Moves what waits to the front, so that a backlog that never runs dry does not creep through
// memory.
static void fabric_compact(struct fabric_end *e, unsigned to)
{
    struct buffer *b = &e->backlog[to];
    size_t done = e->backlog_done[to];
    if (done < b->n / 2 || done == 0)
        return;
    memmove(b->p, b->p + done, b->n - done);
    b->n -= done;
    e->backlog_done[to] = 0;
}

// In the backlog each message has its length in front.
static int fabric_keep(struct fabric_end *e, unsigned to, const struct ring_part parts[2])
{
    uint32_t n = (uint32_t)(parts[0].n + parts[1].n);
    if (e->backlog_bytes + sizeof n + n > FABRIC_BACKLOG_BYTES)
        return ENOBUFS;
    struct buffer *b = &e->backlog[to];
    fabric_compact(e, to);
    if (!buffer_reserve(b, sizeof n + n)) {
        b->failed = false; // what it holds is whole; only this message is lost
        return ENOMEM;
    }
    buffer_add(b, &n, sizeof n);
    buffer_add(b, parts[0].p, parts[0].n);
    buffer_add(b, parts[1].p, parts[1].n);
    e->backlog_bytes += sizeof n + n;
    return 0;
}

int fabric_send(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                struct text body)
{
    struct ring *r = e->fabric->ring[e->self][to];
    assert(r);
    struct ring_part parts[2] = {{head, head_n}, {body.p, body.n}};
    // What never fits must not get into the backlog: its sender would believe that it is kept.
    int error = head_n + body.n > e->fabric->message_max ? EMSGSIZE : ENOBUFS;
    if (error == ENOBUFS && e->backlog[to].n == 0)
        error = ring_push(r, parts, 2);
    e->unrung[to] = true;
    if (error == ENOBUFS) {
        e->full_total++;
        error = fabric_keep(e, to, parts);
    }
    if (error)
        e->dropped_total++;
    return error;
}

int fabric_send_now(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                    struct text body)
{
    assert(!e->backlog[to].n);
    struct ring_part parts[2] = {{head, head_n}, {body.p, body.n}};
    int error = ring_push(e->fabric->ring[e->self][to], parts, 2);
    e->unrung[to] = true;
    if (error)
        e->dropped_total++;
    return error;
}

// What the ring does not take, for whatever reason, waits: its sender believes that it is kept.
static void fabric_retry_one(struct fabric_end *e, unsigned to)
{
    struct buffer *b = &e->backlog[to];
    size_t *done = &e->backlog_done[to];
    while (*done < b->n) {
        uint32_t n;
        memcpy(&n, b->p + *done, sizeof n);
        struct ring_part part = {b->p + *done + sizeof n, n};
        int error = ring_push(e->fabric->ring[e->self][to], &part, 1);
        assert(error != EMSGSIZE);
        if (error)
            return;
        e->unrung[to] = true;
        *done += sizeof n + n;
        e->backlog_bytes -= sizeof n + n;
    }
    *done = 0;
    buffer_reset(b);
}

void fabric_retry(struct fabric_end *e)
{
    for (unsigned to = 0; e->backlog_bytes && to < e->fabric->peers; to++)
        if (e->backlog[to].n)
            fabric_retry_one(e, to);
}

bool fabric_ring_bells(struct fabric_end *e)
{
    e->unheard = false;
    for (unsigned to = 0; to < e->fabric->peers; to++) {
        if (e->unrung[to])
            e->unrung[to] = !wake_ring(&e->fabric->wake[to]);
        e->unheard = e->unheard || e->unrung[to];
    }
    return !e->unheard;
}

bool fabric_fall_asleep(struct fabric_end *e, unsigned first, unsigned end)
{
    wake_fall_asleep(&e->fabric->wake[e->self]);
    for (unsigned from = first; from < end; from++) {
        struct ring *r = fabric_from(e, from);
        if (r && !ring_is_empty(r)) {
            fabric_get_up(e);
            return false;
        }
    }
    return true;
}

void fabric_get_up(struct fabric_end *e)
{
    wake_get_up(&e->fabric->wake[e->self]);
}
