// What a benchmark found: lines for people on stdout and, if wanted, the same for machines.
//
// A machine's line is one JSON object, appended to a file that several programs may share:
//
//   {"bench":"presence-in","who":"isthmus","what":"cpu","unit":"us/event","value":6.05,
//    "x":"subscriptions","at":10000}
//
// `bench` is the scenario's name as `./dev bench` takes it. `who` did the work: isthmus, floor or
// kamailio. `what` was measured, in `unit`. `x` and `at` place it on an axis, for figures that were
// taken at several places; they are left out of the others.
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

struct figures;

struct figure {
    const char *who;  // NULL: isthmus
    const char *what; // "cpu", "p99", "memory" …
    const char *unit; // "us/event", "us", "B/subscription" …
    double value;
    const char *x; // NULL: no axis
    double at;
};

// The file is created if it isn't there; NULL: none. An errno.
int figures_open(struct figures **out, const char *bench, const char *file);
// EIO: not all that was said could be written.
int figures_close(struct figures *f);

void figures_say(struct figures *f, const struct figure *one);

#endif
