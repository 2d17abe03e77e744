// What subscriptions at rest cost, and what their number makes of everything else: up to a million.
//
// For each of the numbers asked for a gateway of its own is set up, and all of them live side by
// side, so that what is compared was measured in turns within one run:
//
//   set up   half of the subscriptions in each direction, a live dialog each ─▶ memory, store
//   rest     every dialog is refreshed once an hour (--every), spread evenly ─▶ CPU
//   --hot    presence changes of pairs at random, both ways                  ─▶ CPU per event
//   --restart  killed, and started again                                     ─▶ time until ready
//
// (A restart finds the store's files in the kernel's cache: the machine itself has not been away.)
//
//   bench_idle [--gateway FILE] [--figures FILE] [--subscriptions 1000000[,N…]] [--window 30]
//              [--rest 35] [--every 3600] [--hot EVENTS] [--restart]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/figures.h"
#include "bench/load/patience.h"
#include "bench/load/ready.h"
#include "bench/load/scratch.h"
#include "tests/number.h"

enum {
    CROWDS = 4,
    WINDOW = 256, // events under way at a time
    SAY_EVERY = 16,
    ROUNDS = 30, // of set-ups, for who is refused
    EVERY_S = 3600,
    BLOCKS = 8,    // in which the gateways take turns; a further one warms up
    SETTLE_S = 7,  // client transactions live for 5 s
    REST_S = 35,   // server transactions for 32 s
    STRIDE = 7919, // who is refreshed next is nobody's neighbour
    WATCHED_S = 30,
    AFTER_S = 5, // of its new life
    START_MS = 60000,
    STEP_US = 1000,
};

// A gateway with its subscriptions.
struct crowd {
    struct load *load;
    struct scratch scratch;
    char dir[64];
    unsigned pairs; // in each direction
    unsigned next;  // to be refreshed
    uint64_t next_us, random, cpu_ns, began_ns, own, lost;
    double refreshes;
};

struct idle {
    struct load_setup setup;
    const char *figures;
    struct crowd crowd[CROWDS];
    unsigned n_crowds, window_s, rest_s, events;
    bool restart;
    unsigned faults;
};

static void die(struct idle *b, const char *what)
{
    fprintf(stderr, "bench_idle: %s\n", what);
    for (unsigned i = 0; i < b->n_crowds; i++)
        load_destroy(b->crowd[i].load);
    exit(1); // their folders go with us
}

static void say(struct idle *b, const char *bench, const struct crowd *c, const char *what,
                const char *unit, double value)
{
    struct figures *f;
    struct figure one = {
        .what = what, .unit = unit, .value = value, .x = "subscriptions", .at = 2.0 * c->pairs};
    if (figures_open(&f, bench, b->figures))
        die(b, "the figures can't be written");
    figures_say(f, &one);
    figures_close(f);
}

// ---- Playing

// All live, whoever's turn it is.
static void play(struct idle *b, const struct crowd *busy, uint64_t wait_us)
{
    for (unsigned i = 0; i < b->n_crowds; i++) {
        const struct crowd *c = &b->crowd[i];
        if (c->load)
            load_play(c->load, c == busy ? wait_us : 0);
    }
}

static void wait_for_room(struct idle *b, struct crowd *c, enum load_kind kind, uint64_t most)
{
    struct patience p = patience_begin(c->load, PATIENCE_OF(kind));
    char why[256];
    while (load_under_way(c->load, kind) > most) {
        play(b, c, STEP_US);
        if (!patience_lasts(&p, c->load))
            die(b, load_store_fails(c->load, why) ? why : "nothing moves any more");
    }
}

// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
static unsigned at_random(struct crowd *c)
{
    c->random ^= c->random >> 12;
    c->random ^= c->random << 25;
    c->random ^= c->random >> 27;
    return (unsigned)((c->random * 0x2545f4914f6cdd1du >> 32) * c->pairs >> 32);
}

static unsigned pick(struct crowd *c, enum load_kind kind)
{
    unsigned i = at_random(c);
    while (load_is_under_way(c->load, kind, i))
        i = (i + 1) % c->pairs;
    return i;
}

static void begin(struct idle *b, struct crowd *c, enum load_kind kind, unsigned pair, unsigned n)
{
    unsigned window = c->pairs / 2 < WINDOW ? c->pairs / 2 : WINDOW;
    wait_for_room(b, c, kind, window);
    load_begin(c->load, kind, pair, 0);
    if (n % SAY_EVERY == SAY_EVERY - 1)
        play(b, c, 0);
}

// `n` events of pairs at random. What did not come through is counted.
static void drive(struct idle *b, struct crowd *c, enum load_kind kind, unsigned n)
{
    uint64_t done = load_figure(c->load, kind)->done;
    for (unsigned i = 0; i < n; i++)
        begin(b, c, kind, pick(c, kind), i);
    wait_for_room(b, c, kind, 0);
    c->lost += n - (load_figure(c->load, kind)->done - done);
}

static void play_for(struct idle *b, unsigned seconds)
{
    uint64_t end_us = load_now_us() + seconds * 1000000ull;
    while (load_now_us() < end_us)
        play(b, &b->crowd[0], STEP_US);
}

// All pairs, and again whoever was refused: a gateway that finds its input waiting, on a machine
// that others use as well, takes no new work.
static void subscribe(struct idle *b, struct crowd *c, enum load_kind kind)
{
    char why[256];
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned n = 0;
        for (unsigned i = 0; i < c->pairs; i++)
            if (!load_pair(c->load, kind, i)->told)
                begin(b, c, kind, i, n++);
        wait_for_room(b, c, kind, 0);
        if (!n)
            return;
        play_for(b, round ? 1 : 0);
        if (load_store_fails(c->load, why))
            die(b, why);
    }
    die(b, "not all subscriptions could be made");
}

// The SIP side refreshes what it watches; what the XMPP side watches the gateway refreshes.
static void refresh_who_is_due(const struct idle *b, struct crowd *c)
{
    for (uint64_t now_us = load_now_us(); c->next_us <= now_us;
         c->next_us += b->setup.expires_s * 1000000ull / c->pairs) {
        load_begin(c->load, LOAD_REFRESH, c->next, 0);
        c->next = (unsigned)(((uint64_t)c->next + STRIDE) % c->pairs);
    }
}

static void rest(struct idle *b, unsigned seconds)
{
    uint64_t end_us = load_now_us() + seconds * 1000000ull;
    while (load_now_us() < end_us)
        for (unsigned i = 0; i < b->n_crowds; i++) {
            refresh_who_is_due(b, &b->crowd[i]);
            load_play(b->crowd[i].load, STEP_US);
        }
}

// ---- Memory and store

static double per(double bytes, double n)
{
    return bytes / n;
}

static void start(struct idle *b, struct crowd *c)
{
    struct load_setup setup = b->setup;
    struct ready first;
    snprintf(c->dir, sizeof c->dir, "/var/tmp/isthmus-bench-XXXXXX"); // /tmp may be memory
    setup.pairs = c->pairs;
    setup.dir = c->dir;
    c->random = 0x9e3779b97f4a7c15u + c->pairs;
    if (scratch_create(&c->scratch, c->dir) || load_create(&c->load, &setup) ||
        ready_start(c->load, START_MS, &first))
        die(b, "the gateway does not start");
    c->own = load_memory_bytes(c->load);
}

static void set_up(struct idle *b)
{
    unsigned settle_s = b->rest_s < SETTLE_S ? b->rest_s : SETTLE_S;
    for (unsigned i = 0; i < b->n_crowds; i++) {
        start(b, &b->crowd[i]);
        subscribe(b, &b->crowd[i], LOAD_WATCH);
    }
    play_for(b, settle_s);
    for (unsigned i = 0; i < b->n_crowds; i++) {
        struct crowd *c = &b->crowd[i];
        double before = (double)c->own, own = (double)load_memory_bytes(c->load);
        say(b, "idle", c, "memory-watch", "B/subscription", per(own - before, c->pairs));
        c->own = (uint64_t)own;
    }
    for (unsigned i = 0; i < b->n_crowds; i++) {
        struct crowd *c = &b->crowd[i];
        subscribe(b, c, LOAD_SERVE);
        c->next_us = load_now_us();
    }
}

static void weigh(struct idle *b, struct crowd *c)
{
    double own = (double)load_memory_bytes(c->load), all = 2.0 * c->pairs;
    say(b, "idle", c, "memory-serve", "B/subscription", per(own - (double)c->own, c->pairs));
    say(b, "idle", c, "memory", "B/subscription", per(own, all));
    say(b, "idle", c, "mapped", "B/subscription", per((double)load_mapped_bytes(c->load), all));
    double store = ready_metric(c->load, "isthmus_store_bytes{shard=\"0\"}");
    if (store <= 0)
        die(b, "the gateway does not tell the size of its store in /metrics");
    say(b, "idle", c, "store", "B/subscription", per(store, all));
}

// ---- CPU at rest

static double refreshes(const struct crowd *c)
{
    return ready_metric(c->load, "isthmus_refreshes_total{shard=\"0\"}") +
           (double)load_figure(c->load, LOAD_REFRESH)->done;
}

static void look_at_rest(struct idle *b)
{
    for (unsigned i = 0; i < b->n_crowds; i++)
        b->crowd[i].refreshes = refreshes(&b->crowd[i]);
    uint64_t begin_us = load_now_us();
    for (unsigned i = 0; i < b->n_crowds; i++)
        b->crowd[i].began_ns = load_cpu_ns(b->crowd[i].load);
    rest(b, b->window_s);
    double ran_ns = (double)(load_now_us() - begin_us) * 1000;
    for (unsigned i = 0; i < b->n_crowds; i++)
        b->crowd[i].cpu_ns = load_cpu_ns(b->crowd[i].load) - b->crowd[i].began_ns;
    for (unsigned i = 0; i < b->n_crowds; i++) {
        struct crowd *c = &b->crowd[i];
        double per_s = (refreshes(c) - c->refreshes) / ran_ns * 1e9,
               due = 2.0 * c->pairs / b->setup.expires_s;
        say(b, "idle", c, "cpu", "% of a core", 100 * (double)c->cpu_ns / ran_ns);
        say(b, "idle", c, "refreshes", "1/s", per_s);
        if (per_s < due / 2 && due * b->window_s > 100) {
            fprintf(stderr, "bench_idle: %.0f refreshes a second are due, and not done\n", due);
            b->faults++;
        }
    }
}

// ---- CPU per event

static void hot(struct idle *b, const char *bench, enum load_kind kind)
{
    for (unsigned i = 0; i < b->n_crowds; i++)
        b->crowd[i].cpu_ns = b->crowd[i].lost = 0;
    for (unsigned block = 0; block <= BLOCKS; block++)
        for (unsigned i = 0; i < b->n_crowds; i++) {
            struct crowd *c = &b->crowd[i];
            uint64_t before_ns = load_cpu_ns(c->load);
            drive(b, c, kind, b->events / BLOCKS);
            if (block > 0)
                c->cpu_ns += load_cpu_ns(c->load) - before_ns;
        }
    for (unsigned i = 0; i < b->n_crowds; i++) {
        const struct crowd *c = &b->crowd[i];
        say(b, bench, c, "cpu", "us/event",
            (double)c->cpu_ns / 1000 / (b->events / BLOCKS * BLOCKS));
        say(b, bench, c, "lost", "events", (double)c->lost);
        b->faults += c->lost != 0;
    }
    if (b->n_crowds > 1) {
        const struct crowd *least = &b->crowd[0], *most = &b->crowd[b->n_crowds - 1];
        say(b, bench, most, "growth", "times", (double)most->cpu_ns / (double)least->cpu_ns);
    }
}

// ---- A new life

// Every pair still has its dialog if nothing that is said in it is lost.
static void live_on(struct idle *b, struct crowd *c)
{
    unsigned n = c->pairs < BLOCKS * WINDOW ? c->pairs : BLOCKS * WINDOW;
    c->lost = 0;
    drive(b, c, LOAD_PRESENCE, n);
    drive(b, c, LOAD_NOTIFY, n);
    say(b, "restart", c, "lost", "events", (double)c->lost);
    b->faults += c->lost != 0;
}

static void restart(struct idle *b, struct crowd *c)
{
    struct ready again;
    load_kill(c->load);
    if (ready_start(c->load, START_MS, &again))
        die(b, "the gateway does not start again");
    say(b, "restart", c, "ready", "s", again.wall_s);
    say(b, "restart", c, "cpu", "s", again.cpu_s);
    uint64_t before_ns = load_cpu_ns(c->load);
    uint64_t begin_us = load_now_us();
    rest(b, b->rest_s < AFTER_S ? b->rest_s : AFTER_S);
    say(b, "restart", c, "cpu-after", "% of a core",
        100.0 * (double)(load_cpu_ns(c->load) - before_ns) /
            ((double)(load_now_us() - begin_us) * 1000));
    say(b, "restart", c, "memory", "B/subscription",
        per((double)load_memory_bytes(c->load), 2.0 * c->pairs));
    live_on(b, c);
}

// ---- In order

static void end(struct idle *b, struct crowd *c)
{
    char why[256];
    if (load_faults(c->load, why)) {
        fprintf(stderr, "bench_idle: %s\n", why);
        b->faults++;
    }
    if (load_stop(c->load, START_MS) != 0) {
        fputs("bench_idle: the gateway did not end well\n", stderr);
        b->faults++;
    }
    load_destroy(c->load);
    c->load = NULL;
    scratch_remove(&c->scratch);
}

static void run(struct idle *b)
{
    set_up(b);
    rest(b, b->rest_s);
    for (unsigned i = 0; i < b->n_crowds; i++)
        weigh(b, &b->crowd[i]);
    if (b->window_s)
        look_at_rest(b);
    if (b->events) {
        hot(b, "presence-in", LOAD_PRESENCE);
        hot(b, "notify-in", LOAD_NOTIFY);
    }
    for (unsigned i = 0; b->restart && i < b->n_crowds; i++)
        restart(b, &b->crowd[i]);
    for (unsigned i = 0; i < b->n_crowds; i++)
        end(b, &b->crowd[i]);
}

static void usage(int status)
{
    fputs(
        "usage: bench_idle [--gateway FILE] [--figures FILE] [--subscriptions N[,N…]]\n"
        "                  [--window SECONDS] [--rest SECONDS] [--every SECONDS]\n"
        "                  [--hot EVENTS] [--restart]\n"
        "Up to four numbers of subscriptions, each a gateway's own; the default is 1000000.\n",
        status ? stderr : stdout);
    exit(status);
}

static bool crowds_of(struct idle *b, char *numbers)
{
    b->n_crowds = 0;
    for (char *rest_of, *one = strtok_r(numbers, ",", &rest_of); one;
         one = strtok_r(NULL, ",", &rest_of)) {
        unsigned n;
        if (b->n_crowds == CROWDS || !number_of(one, 8, 20000000, &n))
            return false;
        b->crowd[b->n_crowds++].pairs = n / 2;
    }
    return b->n_crowds > 0;
}

static bool option(struct idle *b, int o)
{
    switch (o) {
    case 'g': b->setup.binary = optarg; return true;
    case 'f': b->figures = optarg; return true;
    case 's': return crowds_of(b, optarg);
    case 'w': return number_of(optarg, 0, 3600, &b->window_s);
    case 'r': return number_of(optarg, 0, 3600, &b->rest_s);
    case 'y': return number_of(optarg, 60, 86400, &b->setup.expires_s);
    case 'e': return number_of(optarg, BLOCKS, 1000000000, &b->events);
    case 'a': b->restart = true; return true;
    case 'h': usage(0); break;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'},       {"figures", 1, NULL, 'f'},
        {"subscriptions", 1, NULL, 's'}, {"window", 1, NULL, 'w'},
        {"rest", 1, NULL, 'r'},          {"hot", 1, NULL, 'e'},
        {"restart", 0, NULL, 'a'},       {"every", 1, NULL, 'y'},
        {"help", 0, NULL, 'h'},          {0}};
    struct idle b = {
        .window_s = WATCHED_S,
        .rest_s = REST_S,
        .n_crowds = 1,
        .crowd = {{.pairs = 500000}},
        .setup = {.binary = "build/release/isthmus", .expires_s = EVERY_S, .spread = true}};
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (!option(&b, o))
            usage(2);
    if (optind < argc)
        usage(2);
    run(&b);
    return b.faults != 0;
}
