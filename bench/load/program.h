// What every scenario program of the suite does: options in, a gateway up, figures out, and an exit
// status that says whether all went well.
//
//   struct program p = {.name = "presence-in", .subscriptions = 10000, …};
//   program_begin(&p, argc, argv);            // options, gateway, file of figures
//   …                                         // drive p.load, program_say(), program_lost()
//   return program_end(&p);                   // 0; 1: something was lost, or the gateway did wrong
#ifndef BENCH_LOAD_PROGRAM_H
#define BENCH_LOAD_PROGRAM_H

#include "bench/load/figures.h"
#include "bench/load/load.h"

struct program {
    const char *name;        // of the scenario, as in the figures
    const char *help;        // what it measures and what its own options mean; printed by --help
    struct load_setup setup; // --gateway, --dir; `pairs` is `subscriptions` unless set
    unsigned subscriptions;  // --subscriptions: in each direction that the scenario has
    uint64_t events;         // --events: of the closed loop
    unsigned seconds;        // --seconds: of each open loop
    // From here on by program_begin().
    struct figures *figures;
    struct load *load;
    unsigned faults;
};

// Ends the program if anything is wrong.
void program_begin(struct program *p, int argc, char **argv);
int program_end(struct program *p);

// A figure of the gateway's.
void program_say(struct program *p, const char *what, const char *unit, double value);
void program_say_at(struct program *p, const char *what, const char *unit, double value,
                    const char *x, double at);
// Says "lost"; any makes the program fail.
void program_lost(struct program *p, uint64_t events);
// For what can't go on.
_Noreturn void program_die(struct program *p, const char *why);

#endif
