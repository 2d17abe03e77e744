// A log-linear histogram of microseconds: 32 steps to each doubling, so at most 3 % off.
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_DOUBLINGS = 40 };

struct histogram {
    uint64_t n, max, count[HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS];
};

void histogram_add(struct histogram *h, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
// The value that `of_million` of a million values do not exceed: 500000, 990000, 999000. 0: empty.
uint64_t histogram_at(const struct histogram *h, uint32_t of_million);

#endif
