// One world from one seed, run from its birth to its end: what the test, the shrinker and the
// mutation check call.
#ifndef TESTS_RUN_H
#define TESTS_RUN_H

#include "world.h"

// All zero but the seed: as the seed draws it.
struct run_wish {
    uint64_t seed;
    bool verbose;                  // the whole ladder to stdout
    bool quiet;                    // no report of a failure
    unsigned users;                // so many on each side; 0: as drawn
    const struct options *options; // instead of those drawn; NULL: as drawn
    // Acts that don't happen, by number: 2 i is what people do at the i-th of them, 2 i + 1 the
    // faults that come with it. Which act is which follows from the seed alone, whatever is left
    // out. acts_off[k] != 0: off.
    const unsigned char *acts_off;
    size_t n_acts; // length of acts_off
};

struct run_outcome {
    bool failed;
    uint64_t hash, simulated_ms, messages;
    size_t n_acts; // as acts_off counts
    struct options options;
    uint64_t faults[FAULT_KINDS];
    char why[1024];
};

struct run_outcome run(const struct run_wish *wish);

#endif
