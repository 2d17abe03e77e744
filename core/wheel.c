// A hierarchical timing wheel.
//
// Level l has 256 slots of 256^l ticks each. A timer sits on the lowest level whose span reaches
// it; when the clock enters a slot of a higher level, that slot's timers are put again and so come
// down, level by level, until they fire from level 0.
#include "core/wheel.h"

#include <assert.h>

static struct wheel_timer *wheel_at(const struct wheel *w, uint32_t handle)
{
    return pool_at(&w->timers, handle);
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){.now = now_ms / WHEEL_TICK_MS};
    pool_init(&w->timers, sizeof(struct wheel_timer));
}

void wheel_free(struct wheel *w)
{
    pool_free(&w->timers);
}

static uint16_t wheel_slot(const struct wheel *w, uint64_t due)
{
    uint64_t ahead = due - w->now;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        if (ahead < (uint64_t)1 << (WHEEL_BITS * (level + 1)))
            return (uint16_t)(level * WHEEL_SLOTS + ((due >> (WHEEL_BITS * level)) % WHEEL_SLOTS));
    // Beyond the last level: the slot just behind the current one, a whole turn away.
    uint64_t last = (w->now >> (WHEEL_BITS * (WHEEL_LEVELS - 1))) + WHEEL_SLOTS - 1;
    return (uint16_t)((WHEEL_LEVELS - 1) * WHEEL_SLOTS + last % WHEEL_SLOTS);
}

static void wheel_link(struct wheel *w, uint32_t handle)
{
    struct wheel_timer *t = wheel_at(w, handle);
    t->slot = wheel_slot(w, t->due < w->now ? w->now : t->due);
    t->next = 0;
    t->prev = w->tail[t->slot];
    if (t->prev)
        wheel_at(w, t->prev)->next = handle;
    else
        w->head[t->slot] = handle;
    w->tail[t->slot] = handle;
}

static void wheel_unlink(struct wheel *w, uint32_t handle)
{
    struct wheel_timer *t = wheel_at(w, handle);
    if (t->prev)
        wheel_at(w, t->prev)->next = t->next;
    else
        w->head[t->slot] = t->next;
    if (t->next)
        wheel_at(w, t->next)->prev = t->prev;
    else
        w->tail[t->slot] = t->prev;
}

uint32_t wheel_add(struct wheel *w, uint64_t due_ms, uint8_t kind, uint32_t owner)
{
    uint32_t handle = pool_take(&w->timers);
    if (!handle)
        return 0;
    struct wheel_timer *t = wheel_at(w, handle);
    t->due = due_ms / WHEEL_TICK_MS + (due_ms % WHEEL_TICK_MS != 0); // up: never early
    t->kind = kind;
    t->owner = owner;
    wheel_link(w, handle);
    return handle;
}

void wheel_cancel(struct wheel *w, uint32_t *handle)
{
    if (!*handle)
        return;
    wheel_unlink(w, *handle);
    pool_give(&w->timers, *handle);
    *handle = 0;
}

uint64_t wheel_due_ms(const struct wheel *w, uint32_t handle)
{
    return wheel_at(w, handle)->due * WHEEL_TICK_MS;
}

// The clock has come to the beginning of a slot of `level`: its timers go down.
static void wheel_cascade(struct wheel *w, unsigned level)
{
    uint16_t slot =
        (uint16_t)(level * WHEEL_SLOTS + ((w->now >> (WHEEL_BITS * level)) % WHEEL_SLOTS));
    uint32_t handle = w->head[slot];
    w->head[slot] = w->tail[slot] = 0;
    while (handle) {
        uint32_t next = wheel_at(w, handle)->next;
        wheel_link(w, handle);
        handle = next;
    }
}

static void wheel_advance(struct wheel *w, uint64_t tick)
{
    if (w->timers.live == 0) { // nothing to bring down on the way
        w->now = tick;
        return;
    }
    w->now++;
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
        if (w->now & (((uint64_t)1 << (WHEEL_BITS * level)) - 1))
            break;
        wheel_cascade(w, level);
    }
}

bool wheel_pop(struct wheel *w, uint64_t now_ms, uint8_t *kind, uint32_t *owner)
{
    uint64_t tick = now_ms / WHEEL_TICK_MS;
    for (;;) {
        uint32_t handle = w->head[w->now % WHEEL_SLOTS];
        if (handle && w->now <= tick) {
            struct wheel_timer *t = wheel_at(w, handle);
            assert(t->due <= w->now);
            *kind = t->kind;
            *owner = t->owner;
            wheel_cancel(w, &handle);
            return true;
        }
        if (w->now >= tick)
            return false;
        wheel_advance(w, tick);
    }
}

// The begin of the first slot in use on a level. On level 0 that is the due time itself; on a
// higher level it is when the slot's timers come down, which is early, never late. The current slot
// of a higher level has been brought down already: what it holds is a whole turn away.
static uint64_t wheel_level_next(const struct wheel *w, unsigned level)
{
    uint64_t base = w->now >> (WHEEL_BITS * level);
    for (uint64_t i = level ? 1 : 0; i < WHEEL_SLOTS + (level ? 1 : 0); i++)
        if (w->head[level * WHEEL_SLOTS + (base + i) % WHEEL_SLOTS])
            return ((base + i) << (WHEEL_BITS * level)) * WHEEL_TICK_MS;
    return UINT64_MAX;
}

uint64_t wheel_next_ms(const struct wheel *w)
{
    uint64_t next = UINT64_MAX;
    for (unsigned level = 0; w->timers.live && level < WHEEL_LEVELS; level++) {
        uint64_t at = wheel_level_next(w, level);
        if (at < next)
            next = at;
    }
    return next;
}
