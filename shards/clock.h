// Time: the wall clock as it was at start, moved on by the monotonic clock; so it never goes back.
//
// Read-only after clock_start(); any thread.
#ifndef SHARDS_CLOCK_H
#define SHARDS_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t ahead_us; // wall clock minus monotonic clock
};

void clock_start(struct clock *c);
uint64_t clock_monotonic_us(void);

static inline uint64_t clock_ms(const struct clock *c, uint64_t monotonic_us)
{
    return (c->ahead_us + monotonic_us) / 1000;
}
static inline uint64_t clock_now_ms(const struct clock *c)
{
    return clock_ms(c, clock_monotonic_us());
}

#endif
