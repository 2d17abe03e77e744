// What a subscription costs until it is there for good, in both directions:
//
//   watch:  subscribe ─▶ SUBSCRIBE ─▶ 200, NOTIFY ─▶ 200, subscribed, presence
//   serve:  SUBSCRIBE ─▶ 200, NOTIFY pending, subscribe ─▶ subscribed, presence ─▶ NOTIFY
//
// Each is written to the disk before anything is said of it. CPU time is the daemon's, user and
// system, all threads. Latency counts from when the watcher was meant to ask until he sees. On a
// machine that others use as well some may be refused, as overload; on a quiet one none is.
#include <stdio.h>

#include "bench/load/drive.h"
#include "bench/load/program.h"

enum { PASSES = 3 }; // a closed loop and two open ones, each with subscriptions of its own

static const char help[] =
    "usage: bench_subscribe [OPTION…]\n"
    "New subscriptions of XMPP users (watch) and of SIP users (serve), durable: CPU time for each,\n"
    "how many a second, latency at 50 % and 80 % of that, what is written to the disk, losses.\n"
    "N in each direction in a closed loop, and as many again in each of two open ones.\n";

struct subscribe {
    struct program program;
    uint64_t lost, refused;
    double peak_per_s;
};

static void say(struct subscribe *b, const char *what, const char *direction, const char *unit,
                double value)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", what, direction);
    program_say(&b->program, name, unit, value);
}

// The daemon's CPU time, and the most that go through.
static void closed(struct subscribe *b, struct drive d, const char *direction)
{
    static struct drive_result r; // with its histogram no thing for a stack
    drive_closed(&r, &d, d.pairs);
    program_check(&b->program);
    b->lost += r.lost;
    b->refused += r.refused;
    b->peak_per_s = r.per_s;
    say(b, "cpu", direction, "us/subscription", r.cpu_us);
    say(b, "peak", direction, "1/s", r.per_s);
    say(b, "busy", direction, "% of a core", 100 * r.busy);
    say(b, "disk", direction, "B/subscription", (double)r.disk_bytes / (double)r.done);
    say(b, "commits", direction, "1/subscription", (double)r.commits / (double)r.done);
}

static void open_at(struct subscribe *b, struct drive d, const char *direction, double load)
{
    static struct drive_result r;
    char suffix[16];
    double per_s = b->peak_per_s * load;
    drive_open(&r, &d, per_s, d.pairs / per_s);
    program_check(&b->program);
    b->lost += r.lost;
    b->refused += r.refused;
    snprintf(suffix, sizeof suffix, "-%s", direction);
    drive_say_latency(b->program.figures, NULL, &r, suffix, load);
}

static void measure(struct subscribe *b, enum load_kind kind, const char *direction)
{
    struct drive d = {.load = b->program.load, .kind = kind, .pairs = b->program.subscriptions};
    closed(b, d, direction);
    d.first += d.pairs;
    open_at(b, d, direction, 0.5);
    d.first += d.pairs;
    open_at(b, d, direction, 0.8);
}

int main(int argc, char **argv)
{
    struct subscribe b = {.program = {.name = "subscribe", .help = help, .subscriptions = 20000}};
    struct program *p = &b.program;
    program_begin(p, argc, argv);
    p->setup.pairs = PASSES * p->subscriptions;
    program_start(p);
    measure(&b, LOAD_WATCH, "watch");
    measure(&b, LOAD_SERVE, "serve");
    program_say(p, "refused", "subscriptions", (double)b.refused);
    program_lost(p, b.lost);
    program_stop(p);
    return program_end(p);
}
