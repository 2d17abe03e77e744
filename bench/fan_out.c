// One XMPP user whom many SIP users watch: what a change of hers costs, and when the last has it.
//
//   presence ×1,000 (her server says it to each) ─▶ NOTIFY ×1,000 ─▶ 200 ×1,000
//
// Two runs. One change after the other, each begun when all watchers have the one before: CPU time
// per NOTIFY, NOTIFYs a second. Then changes at a fixed rate that is half of what went through: how
// long until the last watcher has it, counted from when it was meant to be said. Several such users
// take turns: a device is told of no more than so many changes at once (RFC 3856 §6.10,
// core/serve_pace.h).
#include "bench/load/drive.h"
#include "bench/load/patience.h"
#include "bench/load/program.h"

static const char help[] =
    "usage: bench_fan_out [OPTION…]\n"
    "One XMPP user is watched by many SIP users, and her changes reach them all: CPU time per\n"
    "NOTIFY, NOTIFYs a second, the time until the last watcher has a change at half of that, losses.\n"
    "--subscriptions: the watchers of one user. --events: NOTIFYs of the closed loop.";

enum {
    USERS = 20,
    CHANGES_MOST = USERS * 90, // of each run: below SERVE_HURRY_MAX for each watcher
};

// One user may have that many, and may get them at once.
static const char limits[] =
    "[limits]\nsubscriptions_per_user = 1000000\nnew_subscriptions_per_user_per_min = 1000000\n"
    "requests_in_flight_per_peer = 100000\n";

static void fan_change(struct program *p, unsigned user, uint64_t intended_us)
{
    unsigned first = user % USERS * p->subscriptions;
    for (unsigned i = first; i < first + p->subscriptions; i++)
        load_begin(p->load, LOAD_PRESENCE, i, intended_us);
}

static unsigned fan_changes(double wanted)
{
    return wanted < 1 ? 1 : wanted > CHANGES_MOST ? CHANGES_MOST : (unsigned)wanted;
}

// Until all watchers have it. False: some never will.
static bool fan_wait(struct program *p)
{
    bool moves = patience_wait(p->load, PATIENCE_OF(LOAD_PRESENCE), 0);
    if (!moves)
        program_check(p);
    return moves;
}

// Begun and not done, since the last load_figures_reset().
static uint64_t fan_lost(const struct program *p)
{
    const struct load_figure *f = load_figure(p->load, LOAD_PRESENCE);
    return f->begun - f->done;
}

// Changes a second.
static double fan_closed(struct program *p, uint64_t *lost)
{
    unsigned changes = fan_changes((double)p->events / p->subscriptions);
    bool moves = true;
    load_figures_reset(p->load);
    uint64_t cpu_ns = load_cpu_ns(p->load), begin_us = load_now_us();
    for (unsigned i = 0; i < changes && moves; i++) {
        fan_change(p, i, 0);
        moves = fan_wait(p);
    }
    double us = (double)(load_now_us() - begin_us);
    double cpu_us = (double)(load_cpu_ns(p->load) - cpu_ns) / 1000;
    double done = (double)load_figure(p->load, LOAD_PRESENCE)->done;
    program_say(p, "cpu", "us/NOTIFY", done > 0 ? cpu_us / done : 0);
    program_say(p, "peak", "NOTIFY/s", done * 1e6 / us);
    program_say(p, "busy", "% of a core", 100 * cpu_us / us);
    *lost += fan_lost(p);
    return changes * 1e6 / us;
}

static void fan_say(struct program *p, const struct histogram *last_us)
{
    program_say(p, "p50", "us", (double)histogram_at(last_us, 500000));
    program_say(p, "p99", "us", (double)histogram_at(last_us, 990000));
    program_say(p, "max", "us", (double)last_us->max);
}

// The last watcher's latency is that of the change. A change that all are not through with when the
// next is due waits, and its latency with it.
static void fan_open(struct program *p, double per_s, uint64_t *lost)
{
    struct histogram last_us = {0};
    unsigned changes = fan_changes(per_s * p->seconds);
    bool moves = true;
    load_figures_reset(p->load);
    uint64_t begin_us = load_now_us();
    for (unsigned i = 0; i < changes && moves; i++) {
        uint64_t due_us = begin_us + (uint64_t)(i * 1e6 / per_s);
        while (load_now_us() < due_us)
            load_play(p->load, 0);
        fan_change(p, i, due_us);
        moves = fan_wait(p);
        histogram_add(&last_us, load_now_us() - due_us);
    }
    fan_say(p, &last_us);
    *lost += fan_lost(p);
}

int main(int argc, char **argv)
{
    struct program p = {.name = "fan-out",
                        .help = help,
                        .subscriptions = 1000,
                        .events = 500000,
                        .seconds = 8,
                        .setup.toml = limits};
    uint64_t lost = 0;
    program_begin(&p, argc, argv);
    p.setup.per_user = p.subscriptions;
    p.setup.pairs = p.subscriptions * USERS;
    program_start(&p);
    program_set_up(&p, LOAD_SERVE, p.setup.pairs);
    fan_open(&p, fan_closed(&p, &lost) / 2, &lost);
    program_lost(&p, lost);
    program_stop(&p);
    return program_end(&p);
}
