// Events of one kind driven through the daemon, closed loop or open, and what came of them.
//
//   closed: so many under way at a time, as fast as they go  ─▶ CPU per event, the peak
//   open:   so many a second, whatever comes of them         ─▶ latency from the intended time
//
// No two events of a pair overlap. A pair whose event is still under way is passed over; while all
// are, events that were meant to begin wait, and their latency counts from when they were meant to.
#ifndef BENCH_LOAD_DRIVE_H
#define BENCH_LOAD_DRIVE_H

#include "bench/load/figures.h"
#include "bench/load/load.h"

enum {
    DRIVE_WINDOW = 256,
    DRIVE_SAY_EVERY = 16,
    // A SIP device is told of so many changes as they come; who goes on is slowed down to one in
    // five seconds (SERVE_HURRY_MAX in core/serve_pace.h). Some are kept for the beginning, and for
    // pairs whose turn comes more often as others are passed over.
    DRIVE_PRESENCE_MAX = 150, // LOAD_PRESENCE of one pair in a gateway's life
};

struct drive {
    struct load *load;
    enum load_kind kind;
    unsigned first, pairs; // those from `first` on, one after the other, round and round
    unsigned next;         // which of them: goes on from one call to the next
    unsigned window;       // closed loop: under way at a time; 0: DRIVE_WINDOW
    unsigned say_every;    // closed loop: so many leave together; 0: DRIVE_SAY_EVERY
};

struct drive_result {
    uint64_t begun, done;
    uint64_t refused;    // an honest no, to new work when there is too much of it
    uint64_t lost;       // neither: given up, never heard of again
    uint64_t said_again; // retransmissions of the driver's
    double cpu_us;       // of the whole daemon, for each that is done
    double per_s;        // done, in real time
    double busy;         // the daemon's CPU time in real time; near 1: it was what held us up
    double per_turn;     // events in one turn of its loop
    uint64_t disk_bytes; // that it gave to the disk
    uint64_t commits;    // of its store
    struct histogram latency_us;
};

// Both forget the figures of before (load_figures_reset) and return when all is over, or when
// there is no patience left (patience.h): what is under way then is lost.
void drive_closed(struct drive_result *out, struct drive *d, uint64_t events);
void drive_open(struct drive_result *out, struct drive *d, double per_s, double seconds);

// Subscriptions to begin with: those of the first `n` pairs of a direction, LOAD_WATCH or
// LOAD_SERVE. What a gateway refuses that others on its machine keep from its work is asked for
// again, more slowly. The figures are reset. False: it goes on refusing, or nothing moves any more.
bool drive_set_up(struct load *l, enum load_kind direction, unsigned n);

// "p50", "p99", "p99.9", "max" of `who` (NULL: isthmus) with `suffix` ("-watch"; "": none), at
// `load` of the peak.
void drive_say_latency(struct figures *f, const char *who, const struct drive_result *r,
                       const char *suffix, double load);

// The sum of a counter over all shards, as /metrics has it ("isthmus_commits_total"); 0: none such.
double drive_counter(const struct load *l, const char *name);
// What the daemon caused to be written to disks in its life so far.
uint64_t drive_disk_bytes(const struct load *l);

#endif
