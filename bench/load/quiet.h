// A SIP user agent of an address of its own (127.0.0.2) that asks a gateway for little: so many new
// subscriptions a second, each of another user, said again until answered (RFC 3261 §17.1.2.2), and
// answers what it is asked. Beside a flood it shows whether a gateway is fair. Not thread-safe.
#ifndef BENCH_LOAD_QUIET_H
#define BENCH_LOAD_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/load/histogram.h"

enum {
    QUIET_PER_S = 20,
    QUIET_MAX = 4096, // requests
};

struct quiet;

struct quiet_result {
    unsigned asked, unanswered;
    struct histogram taken_us; // those that were taken, from when they were meant to be asked
};

// An errno: that address can't be used, or ENOMEM.
int quiet_create(struct quiet **out, uint16_t gateway_port);
void quiet_destroy(struct quiet *q);

// Reads and answers, says again, and asks anew if `asks`. Does not wait.
void quiet_play(struct quiet *q, bool asks);
void quiet_result(const struct quiet *q, struct quiet_result *out);

#endif
