// What a gateway does first when it comes back to dialogs that are long overdue.
//
// N subscriptions of XMPP users are made, with dialogs of a quarter of a minute; the gateway is
// killed, and started again when all of them have lapsed. Said is how long it takes until it is
// ready; then, second by second, how many SUBSCRIBE requests it sends and how many of the
// subscriptions have their dialog again; and how long new set-ups take meanwhile.
//
//   kill ──── away ──── start ──▶ ready ──▶ paced refreshes ──▶ all have their dialog
//                                    50 new set-ups a second beside them
#include <stdio.h>
#include <stdlib.h>

#include "bench/load/drive.h"
#include "bench/load/patience.h"
#include "bench/load/program.h"
#include "bench/load/ready.h"

enum {
    EXPIRES_S = 15,
    AWAY_S = 16,
    NEW_PER_S = 50,
    PER_S = 1000, // half of the pace that the gateway keeps to: who is slower has not done it
    START_MS = 60000,
};

static const char HELP[] =
    "usage: bench_restart [options]\n"
    "Kills a gateway with N subscriptions, starts it again when all their dialogs have lapsed,\n"
    "and looks on until all have one again. --seconds is how long it is away.";

struct restart {
    struct program program;
    unsigned next; // of the new set-ups
    double most_per_s;
};

static void second(struct restart *r)
{
    uint64_t begin_us = load_now_us();
    for (unsigned i = 0; i < NEW_PER_S; i++) {
        load_begin(r->program.load, LOAD_SERVE, r->next++, 0);
        load_play_until(r->program.load, begin_us + (i + 1) * 1000000ull / NEW_PER_S);
    }
}

// Refreshes, and dialogs made anew for those that the SIP side says are gone. The seconds that it
// took; 0: not all are done.
static unsigned watch_it_come_back(struct restart *r, unsigned give_up_s)
{
    double before = 0;
    for (unsigned s = 1; s <= give_up_s; s++) {
        second(r);
        double sent = drive_counter(r->program.load, "isthmus_refreshes_total");
        double told = drive_counter(r->program.load, "isthmus_notifies_in_total");
        r->most_per_s = sent - before > r->most_per_s ? sent - before : r->most_per_s;
        if (s <= 5 || s % 10 == 0 || told >= r->program.subscriptions)
            printf("%4u s: %6.0f refreshes in this second, %7.0f NOTIFYs so far\n", s,
                   sent - before, told);
        before = sent;
        if (told >= r->program.subscriptions)
            return s;
    }
    return 0;
}

static void say(struct restart *r, const char *what, const char *unit, double value)
{
    program_say_at(&r->program, what, unit, value, "subscriptions", r->program.subscriptions);
}

static void come_back(struct restart *r, unsigned give_up_s)
{
    struct program *p = &r->program;
    struct ready again;
    if (ready_start(p->load, START_MS, &again))
        program_die(p, "the gateway does not start again");
    say(r, "ready", "s", again.wall_s);
    say(r, "cpu", "s", again.cpu_s);
    load_figures_reset(p->load);
    unsigned seconds = watch_it_come_back(r, give_up_s);
    if (!seconds)
        program_die(p, "not all have their dialog again");
    say(r, "all-refreshed", "s", seconds);
    say(r, "refreshes-most", "1/s", r->most_per_s);
    patience_wait(p->load, PATIENCE_OF(LOAD_SERVE), 0);
    program_check(p);
    const struct load_figure *f = load_figure(p->load, LOAD_SERVE);
    say(r, "p50-new", "us", (double)histogram_at(&f->latency_us, 500000));
    say(r, "p99-new", "us", (double)histogram_at(&f->latency_us, 990000));
    say(r, "lost", "events", (double)(f->begun - f->done));
    p->faults += f->begun != f->done;
}

int main(int argc, char **argv)
{
    struct restart r = {.program = {.name = "restart",
                                    .help = HELP,
                                    .setup = {.expires_s = EXPIRES_S,
                                              .toml = "[subscription]\nmin_expires_s = 15\n"},
                                    .subscriptions = 20000,
                                    .seconds = AWAY_S}};
    struct program *p = &r.program;
    setvbuf(stdout, NULL, _IOLBF, 0);
    program_begin(p, argc, argv);
    unsigned give_up_s = 20 + p->subscriptions / PER_S;
    if (p->setup.pairs < give_up_s * NEW_PER_S)
        p->setup.pairs = give_up_s * NEW_PER_S;
    program_start(p);
    program_set_up(p, LOAD_WATCH, p->subscriptions);
    load_kill(p->load);
    printf("%u subscriptions made; killed, and away for %u s\n", p->subscriptions, p->seconds);
    load_play_until(p->load, load_now_us() + p->seconds * 1000000ull);
    come_back(&r, give_up_s);
    program_stop(p);
    return program_end(p);
}
