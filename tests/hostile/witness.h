// Honest users of the API and of SIP over TCP: each asks something again and again, and waits.
#ifndef TESTS_HOSTILE_WITNESS_H
#define TESTS_HOSTILE_WITNESS_H

#include <stdint.h>

enum { WITNESS_EVERY_MS = 50, WITNESS_PATIENCE_MS = 1000 };

struct witness_figure {
    uint64_t asked, answered, worst_us;
};

enum witness_kind { WITNESS_REST, WITNESS_TCP };

struct witness;
struct witness *witness_start(enum witness_kind kind, uint16_t port);
void witness_stop(struct witness *w);
// Since the last call.
struct witness_figure witness_take(struct witness *w);

#endif
