// A hot path in closed and open loops, and the floor in between.
#include "bench/load/hot.h"

#include <string.h>

#include "bench/load/drive.h"

struct hot_sum {
    struct program *program;
    const struct hot *hot;
    struct drive drive;
    double cpu_us, mixed_us, floor_us, runs_us; // sums over the blocks
    double peak_per_s, floor_per_s, busy, per_turn, floor_per_turn;
    uint64_t events, lost, disk_bytes, commits;
};

static void hot_count(struct hot_sum *s, const struct drive_result *r)
{
    program_check(s->program);
    s->events += r->begun;
    s->lost += r->lost + r->refused; // nothing of this may be refused
    s->disk_bytes += r->disk_bytes;
    s->commits += r->commits;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

// Two of them have room in the window, so that both sides have something to do.
static unsigned hot_batch(double per_turn)
{
    unsigned n = (unsigned)(per_turn + 0.5);
    return n < 1 ? 1 : n > DRIVE_WINDOW / 2 ? DRIVE_WINDOW / 2 : n;
}

// The same with lengths of which no two in a row are alike: nothing leaves in runs then.
static void hot_mixed(struct hot_sum *s, uint64_t events)
{
    static struct drive_result r;
    load_mix_lengths(s->program->load, true);
    drive_closed(&r, &s->drive, events);
    load_mix_lengths(s->program->load, false);
    hot_count(s, &r);
    s->mixed_us += r.cpu_us;
}

static void hot_block(struct hot_sum *s, uint64_t events)
{
    static struct drive_result r; // with its histogram no thing for a stack
    struct floor_figure f, runs;
    drive_closed(&r, &s->drive, events);
    hot_count(s, &r);
    struct floor_setup floor = {.way = s->hot->floor,
                                .events = events,
                                .window = DRIVE_WINDOW,
                                .say_every = hot_batch(r.per_turn)};
    floor.run = FLOOR_RUN;
    if (floor_measure(&runs, &floor))
        runs.cpu_us = 0; // a kernel that can't cut
    floor.run = 0;
    if (floor_measure(&f, &floor))
        program_die(s->program, "the floor: bytes were lost, or no sockets to be had");
    hot_mixed(s, events / 2 + 1);
    s->runs_us += runs.cpu_us;
    s->cpu_us += r.cpu_us;
    s->floor_us += f.cpu_us;
    s->peak_per_s = larger(s->peak_per_s, r.per_s);
    s->floor_per_s = larger(s->floor_per_s, f.per_s);
    s->busy += r.busy;
    s->per_turn += r.per_turn;
    s->floor_per_turn += f.per_turn;
}

static void hot_say_closed(struct hot_sum *s)
{
    struct program *p = s->program;
    const char *x = "subscriptions";
    double at = p->subscriptions;
    struct figure cpu = {"floor", "cpu", "us/event", s->floor_us / HOT_BLOCKS, x, at};
    struct figure runs = {"floor", "cpu-runs", "us/event", s->runs_us / HOT_BLOCKS, x, at};
    struct figure peak = {"floor", "peak", "events/s", s->floor_per_s, x, at};
    struct figure batch = {"floor", "batch", "events/turn", s->floor_per_turn / HOT_BLOCKS, x, at};
    program_say_at(p, "cpu", "us/event", s->cpu_us / HOT_BLOCKS, x, at);
    program_say_at(p, "cpu-mixed", "us/event", s->mixed_us / HOT_BLOCKS, x, at);
    figures_say(p->figures, &cpu);
    figures_say(p->figures, &runs);
    program_say_at(p, "ratio", "x floor", s->cpu_us / s->floor_us, x, at);
    program_say_at(p, "peak", "events/s", s->peak_per_s, x, at);
    figures_say(p->figures, &peak);
    program_say_at(p, "busy", "% of a core", 100 * s->busy / HOT_BLOCKS, x, at);
    program_say_at(p, "batch", "events/turn", s->per_turn / HOT_BLOCKS, x, at);
    figures_say(p->figures, &batch);
}

// As long as was asked for, unless the pairs have had enough by then: `loops` are still to come.
static double hot_seconds(const struct hot_sum *s, double per_s, unsigned loops)
{
    double pairs = s->program->subscriptions, all = pairs * DRIVE_PRESENCE_MAX;
    double left_s = (all - (double)s->events) / loops / per_s, wanted_s = s->program->seconds;
    if (s->hot->event != LOAD_PRESENCE || left_s > wanted_s)
        return wanted_s;
    return left_s;
}

static void hot_open(struct hot_sum *s, double load, unsigned loops)
{
    static struct drive_result r;
    double per_s = s->peak_per_s * load;
    drive_open(&r, &s->drive, per_s, hot_seconds(s, per_s, loops));
    hot_count(s, &r);
    drive_say_latency(s->program->figures, NULL, &r, "", load);
}

// The first events of a life touch memory for the first time.
static void hot_set_up(struct hot_sum *s)
{
    static struct drive_result r;
    struct program *p = s->program;
    program_set_up(p, s->hot->subscribe, p->subscriptions);
    drive_closed(&r, &s->drive, p->events / 20 + 1);
    hot_count(s, &r);
    // Without these the floor would be that of batches of one, and nothing would seem to be
    // written.
    if (r.per_turn <= 0 || drive_counter(p->load, "isthmus_commits_total") <= 0)
        program_die(p, "the gateway does not tell its turns and commits in /metrics");
}

void hot_measure(struct program *p, const struct hot *hot)
{
    struct hot_sum s = {
        .program = p,
        .hot = hot,
        .drive = {.load = p->load, .kind = hot->event, .pairs = p->subscriptions},
    };
    uint64_t most = (uint64_t)p->subscriptions * DRIVE_PRESENCE_MAX / 3;
    if (hot->event == LOAD_PRESENCE && p->events > most)
        p->events = most;
    hot_set_up(&s);
    for (unsigned i = 0; i < HOT_BLOCKS; i++)
        hot_block(&s, p->events / HOT_BLOCKS + 1);
    hot_say_closed(&s);
    hot_open(&s, 0.5, 2);
    hot_open(&s, 0.8, 1);
    program_say(p, "disk", "B/event", (double)s.disk_bytes / (double)s.events);
    program_say(p, "commits", "1/event", (double)s.commits / (double)s.events);
    program_lost(p, s.lost);
}
