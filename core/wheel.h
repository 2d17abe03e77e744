// A hierarchical timing wheel (Varghese and Lauck, 1987): add and cancel in constant time.
//
// Ticks of WHEEL_TICK_MS. A timer never fires early, and late by less than one tick. Timers due in
// the same tick fire in the order in which they reached their slot, which follows from the calls
// alone.
#ifndef CORE_WHEEL_H
#define CORE_WHEEL_H

#include "core/pool.h"

enum {
    WHEEL_TICK_MS = 10,
    WHEEL_BITS = 8,
    WHEEL_LEVELS = 4, // 2^32 ticks: 497 days; what is later waits in the last slot and is put again
    WHEEL_SLOTS = 1 << WHEEL_BITS,
};

struct wheel_timer {
    uint32_t next, prev; // prev 0: the slot's head
    uint64_t due;        // tick
    uint32_t owner;
    uint16_t slot; // level * WHEEL_SLOTS + index
    uint8_t kind;
};

struct wheel {
    struct pool timers;
    uint32_t head[WHEEL_LEVELS * WHEEL_SLOTS], tail[WHEEL_LEVELS * WHEEL_SLOTS];
    uint64_t now; // tick: all before it have fired
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_free(struct wheel *w);
// 0: no memory.
uint32_t wheel_add(struct wheel *w, uint64_t due_ms, uint8_t kind, uint32_t owner);
// Sets *handle to 0; a handle of 0 is welcome.
void wheel_cancel(struct wheel *w, uint32_t *handle);
uint64_t wheel_due_ms(const struct wheel *w, uint32_t handle);
// Takes one timer that is due at now_ms off the wheel; false: none. Its handle is no longer valid.
bool wheel_pop(struct wheel *w, uint64_t now_ms, uint8_t *kind, uint32_t *owner);
// When wheel_pop may next have something: never later than the truth, at most some slots earlier.
uint64_t wheel_next_ms(const struct wheel *w);

#endif
