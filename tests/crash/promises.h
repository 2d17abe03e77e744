// What a daemon has promised by the time it dies, and whether the next one keeps it.
//
//   load_kill ─▶ promises_take ─▶ load_start ─▶ promises_check (GET /v1/subscriptions)
//
// A pair whose watcher was told and has not been ended is there: active, and with a dialog if the
// SIP side has one. A pair whose end was confirmed is not there. What was on its way may be either.
#ifndef TESTS_CRASH_PROMISES_H
#define TESTS_CRASH_PROMISES_H

#include "bench/load/load.h"

enum promise {
    PROMISE_NONE,
    PROMISE_ACTIVE, // told
    PROMISE_LIVE,   // told, and the SIP side has a dialog
    PROMISE_OVER,   // ended for good, or never begun
};

struct promises {
    unsigned pairs;
    uint8_t *of[2]; // enum promise of LOAD_WATCH, LOAD_SERVE
    uint8_t *seen[2];
    uint64_t kept, lost;
    char why[256]; // the first that was lost, and whose it was
    int lost_direction;
    unsigned lost_pair;
};

int promises_create(struct promises *p, unsigned pairs);
void promises_free(struct promises *p);
void promises_take(struct promises *p, const struct load *l);
// Counts in `kept` and `lost`. An errno: the list could not be read.
int promises_check(struct promises *p, const struct load *l);

#endif
