// Isthmus beside Kamailio, which does the same with its modules xmpp, pua_xmpp, pua and presence:
// what an event, a set-up and a subscription cost either, in one run.
//
//   set up   watches, then served subscriptions, in chunks by turns ─▶ CPU per subscription
//   rest     both, after each                                       ─▶ memory
//   events   presence → NOTIFY, then NOTIFY → presence, in blocks by turns ─▶ CPU per event
//   rate     the same of Kamailio alone, at shares of its own peak         ─▶ its latency
//
// Both are driven by the same worlds with the same messages, and as many under way at a time. CPU
// time is user and system of all processes of either; that of Kamailio's database stands apart.
// Kamailio, its configuration and what it takes to keep it alive are in bench/vs-kamailio.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/drive.h"
#include "bench/load/figures.h"
#include "bench/vs-kamailio/kamailio.h"
#include "tests/number.h"

enum {
    BLOCKS = 5,  // in which they take turns; for events a further one warms up
    WINDOW = 64, // with more under way Kamailio loses datagrams, and each costs it another
    START_MS = 30000,
    TRIAL_MS = 3000,
    STEP_US = 20000,
    SKIPPED = 77,    // as test drivers know it
    SAID_LOST = 100, // Kamailio may lose one event in so many: the figures mean something yet
    WORKERS = 4,     // of Kamailio's, as kamailio.cfg has it
    RATE_S = 2,
};

enum way { WATCH, SERVE, PRESENCE, NOTIFY, WAYS };

// What is measured, and the name and unit of its figure.
static const struct {
    enum load_kind kind;
    const char *bench, *what, *unit, *words;
} ways[WAYS] = {
    {LOAD_WATCH, "subscribe", "cpu-watch", "us/subscription", "set-up XMPP to SIP"},
    {LOAD_SERVE, "subscribe", "cpu-serve", "us/subscription", "set-up SIP to XMPP"},
    {LOAD_PRESENCE, "presence-in", "cpu", "us/event", "presence, NOTIFY, 200"},
    {LOAD_NOTIFY, "notify-in", "cpu", "us/event", "NOTIFY, 200, presence"},
};

struct side {
    const char *who;
    struct load *load;
    uint64_t done[WAYS], lost[WAYS], said_again[WAYS];
    double cpu_us[WAYS][BLOCKS]; // per event or subscription
    double database_us[WAYS];    // in all
    double peak_per_s[WAYS];     // of the best block
    unsigned blocks[WAYS];
    uint64_t memory_before, in_use_before;
    double memory[SERVE + 1], in_use[SERVE + 1]; // bytes per subscription
};

struct match {
    struct load_setup setup;
    struct kamailio kamailio;
    struct side side[2]; // Isthmus, Kamailio
    const char *figures;
    unsigned subscriptions, events, rest_s, window;
    bool stateless;
};

static void match_end(struct match *m)
{
    for (unsigned s = 0; s < 2; s++)
        load_destroy(m->side[s].load);
    kamailio_destroy(&m->kamailio);
}

_Noreturn static void die(struct match *m, const char *why)
{
    fprintf(stderr, "bench_vs_kamailio: %s\n", why);
    if (m->kamailio.folder[0])
        kamailio_complain(&m->kamailio);
    match_end(m);
    exit(1);
}

// ---- Driving

static void drive_block(struct match *m, unsigned s, enum way way, unsigned first, unsigned pairs,
                        uint64_t events, bool counts)
{
    struct side *side = &m->side[s];
    struct drive_result r;
    struct drive d = {.load = side->load,
                      .kind = ways[way].kind,
                      .first = first,
                      .pairs = pairs,
                      .window = m->window};
    uint64_t database_ns = server_cpu_ns(m->kamailio.database.pid);
    drive_closed(&r, &d, events);
    database_ns = server_cpu_ns(m->kamailio.database.pid) - database_ns;
    side->lost[way] += r.lost;
    if (!counts)
        return;
    side->done[way] += r.done;
    side->said_again[way] += r.said_again;
    if (r.per_s > side->peak_per_s[way])
        side->peak_per_s[way] = r.per_s;
    side->cpu_us[way][side->blocks[way]++] = r.cpu_us;
    side->database_us[way] += s ? (double)database_ns / 1000 : 0;
}

static void set_up(struct match *m, enum way way)
{
    unsigned n = m->subscriptions;
    for (unsigned b = 0; b < BLOCKS; b++) {
        unsigned first = (unsigned)((uint64_t)n * b / BLOCKS);
        unsigned pairs = (unsigned)((uint64_t)n * (b + 1) / BLOCKS) - first;
        for (unsigned s = 0; s < 2 && pairs; s++)
            drive_block(m, s, way, first, pairs, pairs, true);
    }
}

static void events(struct match *m, enum way way)
{
    for (unsigned b = 0; b <= BLOCKS; b++)
        for (unsigned s = 0; s < 2; s++)
            drive_block(m, s, way, 0, m->subscriptions, m->events / BLOCKS, b > 0);
}

// Isthmus' own latency, at shares of its own peak, is told by presence-in and notify-in. Nearer to
// its peak Kamailio loses events, and each is waited for.
static void rates(struct match *m, enum way way)
{
    static const double loads[] = {0.25, 0.5};
    static struct drive_result r; // with its histogram no thing for a stack
    struct side *side = &m->side[1];
    struct drive d = {.load = side->load, .kind = ways[way].kind, .pairs = m->subscriptions};
    struct figures *f;
    if (figures_open(&f, ways[way].bench, m->figures))
        die(m, "the file of figures can't be written");
    for (unsigned i = 0; i < sizeof loads / sizeof *loads; i++) {
        drive_open(&r, &d, side->peak_per_s[way] * loads[i], RATE_S);
        side->lost[way] += r.lost;
        drive_say_latency(f, side->who, &r, "", loads[i]);
    }
    figures_close(f);
}

static void rest(struct match *m)
{
    uint64_t end_us = load_now_us() + m->rest_s * 1000000ull;
    while (load_now_us() < end_us)
        for (unsigned s = 0; s < 2; s++)
            load_play(m->side[s].load, STEP_US);
}

static void weigh_side(struct side *side, enum way way, unsigned n, uint64_t memory,
                       uint64_t in_use)
{
    if (way <= SERVE) {
        side->memory[way] = ((double)memory - (double)side->memory_before) / n;
        side->in_use[way] = ((double)in_use - (double)side->in_use_before) / n;
    }
    side->memory_before = memory;
    side->in_use_before = in_use;
}

static void weigh(struct match *m, enum way way)
{
    for (unsigned s = 0; s < 2; s++)
        weigh_side(&m->side[s], way, m->subscriptions, load_memory_bytes(m->side[s].load),
                   s ? kamailio_in_use_bytes(&m->kamailio) : 0);
}

static void play(struct match *m)
{
    weigh(m, WAYS);
    for (enum way way = WATCH; way <= SERVE; way++) {
        set_up(m, way);
        rest(m);
        weigh(m, way);
    }
    for (enum way way = PRESENCE; way <= NOTIFY; way++) {
        events(m, way);
        rates(m, way);
    }
}

// ---- Figures

static void say(struct match *m, const char *bench, const struct figure *one)
{
    struct figures *f;
    if (figures_open(&f, bench, m->figures))
        die(m, "the file of figures can't be written");
    figures_say(f, one);
    figures_close(f);
}

static void say_one(struct match *m, unsigned s, const char *bench, const char *what,
                    const char *unit, double value)
{
    say(m, bench,
        &(struct figure){.who = m->side[s].who,
                         .what = what,
                         .unit = unit,
                         .value = value,
                         .x = "subscriptions",
                         .at = m->subscriptions});
}

static int dearer(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median block: when others want the machine, Kamailio's workers wait for each other's locks
// and burn time, now and then much of it.
static double usual_cpu_us(const struct side *side, enum way way)
{
    double sorted[BLOCKS];
    unsigned n = side->blocks[way];
    memcpy(sorted, side->cpu_us[way], n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, dearer);
    return n ? sorted[n / 2] : 0;
}

static void say_way(struct match *m, enum way way)
{
    static const char *const database[WAYS] = {"database-watch", "database-serve", "database",
                                               "database"};
    double cpu_us[2];
    for (unsigned s = 0; s < 2; s++) {
        const struct side *side = &m->side[s];
        cpu_us[s] = usual_cpu_us(side, way);
        say_one(m, s, ways[way].bench, ways[way].what, ways[way].unit, cpu_us[s]);
        say_one(m, s, ways[way].bench, "lost", "events", (double)side->lost[way]);
    }
    say_one(m, 1, ways[way].bench, database[way], ways[way].unit,
            m->side[1].database_us[way] / (double)(m->side[1].done[way] + !m->side[1].done[way]));
    printf("%s: Isthmus is %.1f times cheaper\n\n", ways[way].words, cpu_us[1] / cpu_us[0]);
}

// Of half presence changes of XMPP users, half those of SIP users, as bench_shards has it.
static void say_throughput(struct match *m)
{
    const double *peak = m->side[1].peak_per_s;
    struct figure one = {.who = m->side[1].who,
                         .what = "throughput",
                         .unit = "events/s",
                         .value = 2 / (1 / peak[PRESENCE] + 1 / peak[NOTIFY]),
                         .x = "shards",
                         .at = WORKERS};
    say(m, "shards", &one);
}

static void say_memory(struct match *m, enum way way)
{
    static const char *const names[] = {"memory-watch", "memory-serve"};
    static const char *const in_use[] = {"in-use-watch", "in-use-serve"};
    double ours = m->side[0].memory[way];
    for (unsigned s = 0; s < 2; s++)
        say_one(m, s, "idle", names[way], "B/subscription", m->side[s].memory[way]);
    say_one(m, 1, "idle", in_use[way], "B/subscription", m->side[1].in_use[way]);
    printf("%s: Isthmus is %.1f times smaller (than what Kamailio says is in use: %.1f)\n\n",
           names[way], m->side[1].memory[way] / ours, m->side[1].in_use[way] / ours);
}

// What was changed since it began it writes to its database when it ends.
static void say_write_back(struct match *m)
{
    uint64_t ns = server_cpu_ns(m->kamailio.database.pid);
    load_kill(m->side[1].load);
    ns = server_cpu_ns(m->kamailio.database.pid) - ns;
    say_one(m, 1, "subscribe", "database-write-back", "us/subscription",
            (double)ns / 1000 / m->subscriptions / 2);
}

// What went wrong; Kamailio's ways are its own, unless there is nothing to compare with.
static unsigned faults(const struct match *m)
{
    unsigned n = 0;
    char why[256];
    for (unsigned s = 0; s < 2; s++) {
        const struct side *side = &m->side[s];
        uint64_t wrong = load_faults(side->load, why);
        if (wrong)
            printf("%s did what it may not, %llu times: %s\n", side->who, (unsigned long long)wrong,
                   why);
        n += s == 0 && wrong;
        for (enum way way = 0; way < WAYS; way++) {
            n += side->lost[way] > (s ? side->done[way] / SAID_LOST : 0);
            if (side->lost[way] || side->said_again[way])
                printf("%s, %s: %llu lost, %llu said again\n", side->who, ways[way].words,
                       (unsigned long long)side->lost[way],
                       (unsigned long long)side->said_again[way]);
        }
    }
    return n;
}

// ---- Beginning

static const char help[] =
    "usage: bench_vs_kamailio [OPTION…]\n"
    "Isthmus and Kamailio (Debian's, as a SIP-XMPP presence gateway, with its database) by turns:\n"
    "CPU time of set-ups and events, memory of subscriptions at rest, how much more Kamailio takes.\n"
    "  --gateway FILE      Isthmus; default build/release/isthmus\n"
    "  --figures FILE      the figures as lines of JSON, appended\n"
    "  --subscriptions N   in each direction; default 10000\n"
    "  --events N          of each of both ways; default 40000\n"
    "  --window N          events under way at a time; default 64\n"
    "  --rest SECONDS      before memory is looked at; default 35, as what is only kept for\n"
    "                      retransmissions is kept for 32\n"
    "  --stateless         Kamailio answers without transactions: cheaper, but what is said again it\n"
    "                      does again\n"
    "Exit status 77: a Debian package is missing.\n";

_Noreturn static void usage(FILE *to)
{
    fputs(help, to);
    exit(to == stdout ? 0 : 2);
}

static void options(struct match *m, int argc, char **argv)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'},   {"figures", 1, NULL, 'f'}, {"subscriptions", 1, NULL, 's'},
        {"events", 1, NULL, 'e'},    {"window", 1, NULL, 'w'},  {"rest", 1, NULL, 'r'},
        {"stateless", 0, NULL, 'l'}, {"help", 0, NULL, 'h'},    {0}};
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (o) {
        case 'g': m->setup.binary = optarg; break;
        case 'f': m->figures = optarg; break;
        case 's': good = number_of(optarg, 1, 1000000, &m->subscriptions); break;
        case 'e': good = number_of(optarg, BLOCKS, 100000000, &m->events); break;
        case 'w': good = number_of(optarg, 1, 100000, &m->window); break;
        case 'r': good = number_of(optarg, 0, 3600, &m->rest_s); break;
        case 'l': m->stateless = true; break;
        case 'h': usage(stdout);
        default: good = false;
        }
    if (!good || optind < argc)
        usage(stderr);
    m->setup.pairs = m->subscriptions;
}

// Somebody beyond those who are counted wants to watch. False: in vain.
static bool kamailio_serves(struct match *m)
{
    struct load *l = m->side[1].load;
    if (load_start(l, START_MS))
        die(m, "Kamailio does not start");
    load_begin(l, LOAD_SERVE, m->subscriptions, 0);
    bool served = load_play_until_over(l, LOAD_SERVE, 1, TRIAL_MS);
    load_figures_reset(l);
    if (!served)
        load_kill(l);
    return served;
}

static void begin_kamailio(struct match *m)
{
    struct load_setup setup = m->setup;
    struct kamailio *k = &m->kamailio;
    if (kamailio_create(k, m->subscriptions, m->stateless))
        die(m, "no database for Kamailio");
    setup.pairs = m->subscriptions + 1;
    setup.subject = &k->subject;
    if (load_create(&m->side[1].load, &setup))
        die(m, "no place for Kamailio");
    while (!kamailio_serves(m))
        if (++k->layout == KAMAILIO_LAYOUTS)
            die(m, "Kamailio serves nobody");
}

static void begin(struct match *m)
{
    const char *missing = kamailio_missing();
    if (missing) {
        printf("bench_vs_kamailio: skipped, as Debian's package %s is not there\n", missing);
        exit(SKIPPED);
    }
    m->side[0].who = "isthmus";
    m->side[1].who = "kamailio";
    if (load_create(&m->side[0].load, &m->setup) || load_start(m->side[0].load, START_MS))
        die(m, "the gateway does not start");
    begin_kamailio(m);
    printf("vs-kamailio: %u subscriptions in each direction, %u events each way, %u at a time%s\n",
           m->subscriptions, m->events, m->window, m->stateless ? ", Kamailio stateless" : "");
}

int main(int argc, char **argv)
{
    struct match m = {.setup = {.binary = "build/release/isthmus"},
                      .subscriptions = 10000,
                      .events = 40000,
                      .rest_s = 35,
                      .window = WINDOW};
    options(&m, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin(&m);
    play(&m);
    for (enum way way = 0; way < WAYS; way++)
        say_way(&m, way);
    say_throughput(&m);
    say_memory(&m, WATCH);
    say_memory(&m, SERVE);
    unsigned n = faults(&m);
    say_write_back(&m);
    match_end(&m);
    return n ? 1 : 0;
}
