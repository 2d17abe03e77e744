// What more shards make of the same events: 1, 2 and 4 of them, on the cores that there are.
//
// Three gateways stand side by side, each with its own world around it, and take turns, so that all
// have had the same machine. Half of the events are presence changes of XMPP users, half those of
// SIP users. As many are under way for each shard. CPU time is the daemon's, all threads. The
// driver needs a core of its own: more throughput with more shards takes more cores than there are
// shards. The floor is what one thread on one core could do with the same bytes.
#include "bench/load/drive.h"
#include "bench/load/floor.h"
#include "bench/load/program.h"

static const char help[] =
    "usage: bench_shards [OPTION…]\n"
    "Gateways with 1, 2 and 4 shards, by turns: CPU time per event and events a second, presence\n"
    "changes both ways; losses.\n"
    "--subscriptions: of each gateway in each direction. --events: of each gateway.";

enum { GATEWAYS = 3, BLOCKS = 4 };
static const unsigned shards[GATEWAYS] = {1, 2, 4};

struct gateway {
    struct program program;
    struct drive her, his;
    double cpu_us, us;
    uint64_t done, lost;
};

static void gateway_start(struct gateway *g, const struct program *p, unsigned n)
{
    g->program = *p;
    p = &g->program;
    g->program.setup.shards = n;
    program_start(&g->program);
    g->her = (struct drive){.load = p->load, .kind = LOAD_PRESENCE, .pairs = p->subscriptions};
    g->his = (struct drive){.load = p->load, .kind = LOAD_NOTIFY, .pairs = p->subscriptions};
    g->her.window = g->his.window = n * DRIVE_WINDOW;
    g->her.say_every = g->his.say_every = n * DRIVE_SAY_EVERY;
    program_set_up(&g->program, LOAD_WATCH, p->subscriptions);
    program_set_up(&g->program, LOAD_SERVE, p->subscriptions);
}

static void gateway_block(struct gateway *g, struct drive *d)
{
    static struct drive_result r; // with its histogram no thing for a stack
    drive_closed(&r, d, g->program.events / BLOCKS / 2);
    program_check(&g->program);
    g->cpu_us += r.cpu_us * (double)r.done;
    g->us += (double)r.done * 1e6 / r.per_s;
    g->done += r.done;
    g->lost += r.lost + r.refused; // nothing of this may be refused
}

static void gateway_say(struct gateway *g, unsigned n)
{
    double done = g->done ? (double)g->done : 1;
    program_say_at(&g->program, "cpu", "us/event", g->cpu_us / done, "shards", n);
    program_say_at(&g->program, "throughput", "events/s", done * 1e6 / g->us, "shards", n);
    program_say_at(&g->program, "busy", "% of a core", 100 * g->cpu_us / g->us, "shards", n);
}

// Both ways by turns as well.
static void say_floor(struct program *p)
{
    double us = 0;
    for (enum floor_way way = 0; way <= FLOOR_NOTIFY_IN; way++) {
        struct floor_figure f;
        struct floor_setup setup = {.way = way,
                                    .events = p->events / 2,
                                    .window = DRIVE_WINDOW,
                                    .say_every = DRIVE_WINDOW / 2};
        if (floor_measure(&f, &setup))
            program_die(p, "the floor: bytes were lost, or no sockets to be had");
        us += 1e6 / f.per_s;
    }
    struct figure one = {"floor", "throughput", "events/s", 2e6 / us, "shards", 1};
    figures_say(p->figures, &one);
}

int main(int argc, char **argv)
{
    static struct gateway gateways[GATEWAYS];
    struct program p = {.name = "shards", .help = help, .subscriptions = 10000, .events = 400000};
    program_begin(&p, argc, argv);
    for (unsigned i = 0; i < GATEWAYS; i++)
        gateway_start(&gateways[i], &p, shards[i]);
    for (unsigned b = 0; b < BLOCKS; b++)
        for (unsigned i = 0; i < GATEWAYS; i++) {
            gateway_block(&gateways[i], &gateways[i].her);
            gateway_block(&gateways[i], &gateways[i].his);
        }
    say_floor(&p);
    uint64_t lost = 0;
    for (unsigned i = 0; i < GATEWAYS; i++) {
        gateway_say(&gateways[i], shards[i]);
        lost += gateways[i].lost;
        program_stop(&gateways[i].program);
        p.faults += gateways[i].program.faults;
    }
    program_lost(&p, lost);
    return program_end(&p);
}
