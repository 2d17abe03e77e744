// What it costs that a subscription stays:
//
//   watch:  probe, disco#info ─▶ its answer ─▶ SUBSCRIBE ─▶ 200, NOTIFY ─▶ 200     (ours, by timer)
//   serve:  SUBSCRIBE ─▶ 200, NOTIFY ─▶ 200                                      (the SIP side's)
//
// Those of the gateway come by its own timers: the SIP side grants so little that each dialog is
// refreshed every six seconds, and they are set up so that this comes evenly. No answer to a probe
// serves two refreshes. Those of the SIP side are driven in a closed loop. CPU time is the
// daemon's, user and system, all threads.
#include <stdio.h>
#include <stdlib.h>

#include "bench/load/drive.h"
#include "bench/load/program.h"

enum {
    GRANT_S = 12, // half of it is kept for a retry, and a tenth is chance
    CYCLE_S = 6,  // so a dialog is refreshed at least so often
    CYCLE_MS = 5500,
};

// At the edges of what is looked at a few refreshes are in it without their probes, or the reverse.
static const double PROBES_LEAST = 0.95;

static const char help[] =
    "usage: bench_refresh [OPTION…]\n"
    "CPU time of one refresh that the gateway makes, with the probe before it, at a steady pace for\n"
    "N seconds; and of one that a SIP user makes (N events in a closed loop).\n";

// ---- The SIP side's

static void serve(struct program *p)
{
    static struct drive_result r;
    program_start(p);
    program_set_up(p, LOAD_SERVE, p->subscriptions);
    struct drive d = {.load = p->load, .kind = LOAD_REFRESH, .pairs = p->subscriptions};
    drive_closed(&r, &d, p->events);
    program_check(p);
    program_say(p, "cpu-serve", "us/refresh", r.cpu_us);
    program_say(p, "disk-serve", "B/refresh", (double)r.disk_bytes / (double)r.done);
    if (r.done != r.begun) {
        fprintf(stderr, "refresh: %llu of the SIP side's were lost or refused\n",
                (unsigned long long)(r.begun - r.done));
        p->faults++;
    }
    program_stop(p);
}

// ---- Ours

// Who asks for so little is given the pace for it: the gateway paces what falls due by what would
// be usual (core/dialog.h).
static const char watch_toml[] =
    "[probe]\nwindow_s = 0\n[subscription]\nexpires_s = 12\nmin_expires_s = 12\n";

struct watch {
    uint64_t cpu_ns, disk_bytes, us;
    double refreshes, probes, turns, commits;
    uint32_t *cseq; // of each dialog: one more with each SUBSCRIBE
};

static void look(struct watch *w, const struct program *p)
{
    const struct load *l = p->load;
    w->refreshes = drive_counter(l, "isthmus_refreshes_total");
    w->probes = drive_counter(l, "isthmus_probes_total");
    w->turns = drive_counter(l, "isthmus_turns_total");
    w->commits = drive_counter(l, "isthmus_commits_total");
    for (unsigned i = 0; i < p->subscriptions; i++)
        w->cseq[i] = load_pair(l, LOAD_WATCH, i)->cseq_in;
    w->disk_bytes = drive_disk_bytes(l);
    w->cpu_ns = load_cpu_ns(l);
    w->us = load_now_us();
}

// A dialog that lapsed and was made anew begins with small numbers.
static unsigned not_refreshed(const struct program *p, const struct watch *before)
{
    uint32_t least = p->seconds / (CYCLE_S + 1);
    unsigned n = 0;
    for (unsigned i = 0; i < p->subscriptions; i++)
        n += load_pair(p->load, LOAD_WATCH, i)->cseq_in < before->cseq[i] + least;
    return n;
}

// Questions over REST cost the daemon a little: what they say is of just before or just after.
static void say(struct program *p, const struct watch *before)
{
    const struct load *l = p->load;
    double cpu_us = (double)(load_cpu_ns(l) - before->cpu_ns) / 1000;
    double us = (double)(load_now_us() - before->us);
    double n = drive_counter(l, "isthmus_refreshes_total") - before->refreshes;
    double probes = drive_counter(l, "isthmus_probes_total") - before->probes;
    double turns = drive_counter(l, "isthmus_turns_total") - before->turns;
    program_say(p, "cpu", "us/refresh", cpu_us / n);
    program_say(p, "rate", "refreshes/s", n * 1e6 / us);
    program_say(p, "probes", "1/refresh", probes / n);
    if (!(probes / n >= PROBES_LEAST)) {
        fputs("refresh: not every refresh had its probe\n", stderr);
        p->faults++;
    }
    program_say(p, "batch", "refreshes/turn", n / turns);
    program_say(p, "disk", "B/refresh", (double)(drive_disk_bytes(l) - before->disk_bytes) / n);
    program_say(p, "commits", "1/refresh",
                (drive_counter(l, "isthmus_commits_total") - before->commits) / n);
}

static void watch(struct program *p)
{
    static struct drive_result set_up;
    struct drive d = {.kind = LOAD_WATCH, .pairs = p->subscriptions};
    struct watch before = {.cseq = calloc(p->subscriptions, sizeof *before.cseq)};
    if (!before.cseq)
        program_die(p, "no memory");
    program_start(p);
    d.load = p->load;
    drive_open(&set_up, &d, p->subscriptions * 1000.0 / CYCLE_MS, CYCLE_MS / 1000.0);
    program_set_up(p, LOAD_WATCH, p->subscriptions); // those that were refused
    load_play_until(p->load, load_now_us() + 1000000);
    look(&before, p);
    load_play_until(p->load, load_now_us() + p->seconds * 1000000ull);
    program_check(p);
    say(p, &before);
    program_lost(p, not_refreshed(p, &before));
    free(before.cseq);
    program_stop(p);
}

int main(int argc, char **argv)
{
    struct program p = {
        .name = "refresh",
        .help = help,
        .subscriptions = 30000,
        .events = 200000,
        .seconds = 14,
    };
    program_begin(&p, argc, argv);
    serve(&p);
    p.setup.expires_s = GRANT_S;
    p.setup.toml = watch_toml;
    watch(&p);
    return program_end(&p);
}
