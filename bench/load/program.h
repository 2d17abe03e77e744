// What every scenario program of the suite does: options in, a gateway up, figures out, and an exit
// status that says whether all went well.
//
//   struct program p = {.name = "presence-in", .subscriptions = 10000, …};
//   program_begin(&p, argc, argv);            // options, file of figures
//   program_start(&p);                        // a gateway
//   …                                         // drive p.load, program_say(), program_lost()
//   program_stop(&p);
//   return program_end(&p);                   // 0; 1: something was lost, or the gateway did wrong
#ifndef BENCH_LOAD_PROGRAM_H
#define BENCH_LOAD_PROGRAM_H

#include "bench/load/figures.h"
#include "bench/load/load.h"
#include "bench/load/scratch.h"

struct program {
    const char *name;        // of the scenario, as in the figures
    const char *help;        // what it measures; printed by --help
    struct load_setup setup; // --gateway, --dir; `pairs` is `subscriptions` unless set
    unsigned subscriptions;  // --subscriptions
    uint64_t events;         // --events; 0: the program has no such option
    unsigned seconds;        // --seconds; 0: the program has no such option
    // From here on by the functions below.
    struct figures *figures;
    struct load *load;
    struct scratch scratch;
    char dir[64];
    unsigned faults;
};

// Ends the program upon --help and upon bad options.
void program_begin(struct program *p, int argc, char **argv);
int program_end(struct program *p);

// A gateway by p->setup, with no subscriptions yet; its store is on a disk, unless there is none.
void program_start(struct program *p);
// Looks whether it did as it should, and ends it.
void program_stop(struct program *p);

// A figure of the gateway's.
void program_say(struct program *p, const char *what, const char *unit, double value);
void program_say_at(struct program *p, const char *what, const char *unit, double value,
                    const char *x, double at);
// Says "lost"; any makes the program fail.
void program_lost(struct program *p, uint64_t events);
// Ends the program if the gateway is no more, or can't store anything: what was measured is none.
void program_check(struct program *p);
// Subscriptions of the first `n` pairs, by drive_set_up(); without them the program ends.
void program_set_up(struct program *p, enum load_kind direction, unsigned n);
// For what can't go on.
_Noreturn void program_die(struct program *p, const char *why);

#endif
