// Time: the wall clock as it was at start, moved on by the monotonic clock; so it never goes back.
#include "shards/clock.h"

#include <time.h>

static uint64_t clock_read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

// Suspend does not count: CLOCK_BOOTTIME would, but it has no fast path in the vDSO of older
// kernels, and a server that sleeps has lost its peers anyway.
uint64_t clock_monotonic_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

void clock_start(struct clock *c)
{
    c->ahead_us = clock_read_us(CLOCK_REALTIME) - clock_monotonic_us();
}
