// Subscriptions that a scenario begins with.
#ifndef BENCH_LOAD_SETTLE_H
#define BENCH_LOAD_SETTLE_H

#include "bench/load/load.h"

// The first `n` pairs of a direction, LOAD_WATCH or LOAD_SERVE: set up until all of them are. What
// a gateway refuses that others on its machine keep from its work is asked for again, more slowly.
// The figures are reset. False: it goes on refusing, or nothing moves any more.
bool settle(struct load *l, enum load_kind direction, unsigned n);

#endif
