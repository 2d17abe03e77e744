// The honest users: what they do in each second, and how it goes for them.
#ifndef TESTS_HOSTILE_HONEST_H
#define TESTS_HOSTILE_HONEST_H

#include "bench/load/load.h"

enum {
    HONEST_PAIRS = 500,    // in each direction; they are there all the time,
    HONEST_CHURN = 60,     // and these come and go
    HONEST_PRESENCE = 250, // changes per second, in each direction
    HONEST_REFRESHES = 10, // per second
    HONEST_SETUPS = 2,     // per second, in each direction
};

struct honest {
    struct load *load;
    uint64_t began_us, said[LOAD_KINDS]; // since it went on
    unsigned next[LOAD_KINDS];           // pair
};

struct honest_figure {
    uint64_t begun, done, setups_begun, setups_done;
    struct histogram latency_us;
};

// All pairs watch each other. False: it did not come about.
bool honest_settle(struct honest *h, struct load *l);
// Begins what is due, and plays on; from the first call after a pause time counts anew.
void honest_pause(struct honest *h);
void honest_play(struct honest *h, uint64_t wait_us);
// Plays without beginning anything, until all that is under way is done or the time is up.
void honest_finish(struct honest *h, unsigned patience_ms);
void honest_take(struct honest *h, struct honest_figure *out); // since the last call

#endif
