// One after the other through a narrow door: what is due all at once gets a time each.
//
// The virtual scheduling form of the leaky bucket (ITU-T I.371, GCRA): one number, whoever comes.
// Up to TURNSTILE_BURST_MS worth of them go at once, the others at the rate, in the order in which
// they came.
#ifndef CORE_TURNSTILE_H
#define CORE_TURNSTILE_H

#include <stdint.h>

enum { TURNSTILE_BURST_MS = 100 };

// All zero is the beginning.
struct turnstile {
    uint64_t next_us;
};

// When the next one may go: `now_ms`, or later. It has its turn then, and need not ask again.
uint64_t turnstile_take(struct turnstile *t, uint64_t now_ms, uint32_t per_s);

#endif
