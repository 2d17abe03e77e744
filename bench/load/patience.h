// How long a driver waits for what is under way: as long as something moves, and the gateway can
// do its work.
//
// One whose store is full answers nothing that it would have to remember. It says so in /readyz,
// and who waits for it would wait for nothing.
#ifndef BENCH_LOAD_PATIENCE_H
#define BENCH_LOAD_PATIENCE_H

#include "bench/load/load.h"

#define PATIENCE_OF(kind) (1u << (kind)) // a set of kinds, by |
enum { PATIENCE_OF_ALL = (1 << LOAD_KINDS) - 1 };

struct patience {
    unsigned kinds;
    uint64_t over, moved_us, asked_us; // how many are; when the last was; the gateway was asked
};

struct patience patience_begin(const struct load *l, unsigned kinds);
// False: none of these kinds was over for 40 s, or the gateway has ended, or its store fails.
bool patience_lasts(struct patience *p, struct load *l);
uint64_t patience_under_way(const struct load *l, unsigned kinds);
// Plays until no more than `most` of them are under way. False: it does not come to that.
bool patience_wait(struct load *l, unsigned kinds, uint64_t most);

#endif
