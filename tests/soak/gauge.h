// What is seen of a daemon that lives long, and whether it grows.
#ifndef TESTS_SOAK_GAUGE_H
#define TESTS_SOAK_GAUGE_H

#include "bench/load/load.h"

struct gauge {
    uint64_t memory_bytes; // its own, resident
    uint64_t subscriptions, dialogs, transactions, users, timers, store_bytes;
    uint64_t file_bytes; // of the store on disk
    unsigned descriptors;
};

// False: it does not answer.
bool gauge_read(struct gauge *g, const struct load *l);
// Records in the store of a daemon that has ended. -1: it can't be read.
long gauge_records(const struct load *l, unsigned shards);

// Lines of its log that tell of an error, and the first of them.
unsigned gauge_errors(const struct load *l, char first[256]);

struct gauge_points {
    unsigned n;
    double x[1 << 14], y[1 << 14];
};
void gauge_add(struct gauge_points *p, double x, double y);
// dy/dx by least squares, of the points from `x_least` on. ENODATA: there are fewer than three.
int gauge_slope(const struct gauge_points *p, double x_least, double *out);

#endif
