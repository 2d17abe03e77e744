// One of the two hot paths, measured: what an event costs beside what the kernel alone asks for it,
// how many go through, and how long they take at a part of that.
//
//   set-up ─▶ [closed loop, floor, closed loop] × HOT_BLOCKS ─▶ open loop at 50 % ─▶ at 80 %
//
// The first loop's messages are nearly all of one length, which favours a gateway that hands runs
// of such to the kernel in one piece; the second's, half as many, are of mixed lengths
// ("cpu-mixed"). Gateway and floor take turns, so that both have had the same machine.
#ifndef BENCH_LOAD_HOT_H
#define BENCH_LOAD_HOT_H

#include "bench/load/floor.h"
#include "bench/load/program.h"

enum { HOT_BLOCKS = 4 };

struct hot {
    enum load_kind subscribe, event; // LOAD_SERVE, LOAD_PRESENCE; or LOAD_WATCH, LOAD_NOTIFY
    enum floor_way floor;
};

// Says all its figures; what is lost makes the program fail.
void hot_measure(struct program *p, const struct hot *hot);

#endif
