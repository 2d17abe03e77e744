// Keeps a driver off the cores of what it drives.
//
// The gateway's shards have the first cores that the process may use, one each. A driver that the
// scheduler now and then puts on one of them takes the gateway's time for milliseconds, and what is
// found then is the scheduler's latency; with peers on other machines nothing of that kind is
// there.
#ifndef BENCH_ASIDE_H
#define BENCH_ASIDE_H

#include <sched.h>
#include <stdbool.h>

struct aside {
    cpu_set_t before;
    bool moved;
};

// From here on this thread leaves the first `cores` alone, if there are more. Until aside_end(),
// nothing should be forked: it would keep off them, too.
void aside_begin(struct aside *a, unsigned cores);
void aside_end(struct aside *a);

#endif
