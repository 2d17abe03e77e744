// How long a gateway takes from its start until it says that it is ready.
#ifndef BENCH_READY_H
#define BENCH_READY_H

#include "bench/load/load.h"

struct ready {
    double wall_s; // from the fork to the first 200 of /readyz
    double cpu_s;  // of the gateway's, until then
};

// Starts it, plays both worlds, and asks until it is ready. As load_start().
int ready_start(struct load *l, unsigned timeout_ms, struct ready *out);
// One value of /metrics, "isthmus_…" with its labels; -1: it is not there.
double ready_metric(const struct load *l, const char *name);

#endif
