// What is left of the gateway's work when more comes than it can do.
//
// One shard on one core, the load driver on another. The capacity is what a closed loop does:
// set-ups, so many under way at a time. In an open loop they come at a multiple of that, whatever
// becomes of them, each of another pair; what is not answered is said again as RFC 3261 asks, and
// who is refused does not come back. Meanwhile pairs that were made before refresh their dialogs,
// and their presence changes.
//
// One second of a machine that others share differs from the next by a quarter and more. So closed
// and open loops take turns within a life of the daemon, each a few seconds:
//
//   empty store ─▶ closed ─ 0.5 x ─ closed ─ 1 x ─ closed ─ 1.5 x ─ closed ─ 2 x ─ closed ─ …
//
// A load is held to the two closed loops around it, a second each, and lives are repeated: its
// share of the capacity is the sum of what it did over the sum of what they did. Only what is done
// in the midst of a loop counts, when it has found its level: no credit for a queue that is worked
// off when the load is over. The peak is the most that any load did so, or the closed loop.
//
// Reported per load: set-ups offered, done within a second, done at all and refused, each per
// second; their latency; how many of the refreshes and of the presence changes came through within
// a second, and their latency; CPU time of the daemon and of the driver; and what had no end within
// four seconds, in a closed loop, too. XMPP to SIP that is what found no room on the way to the
// next hop (`requests_in_flight_per_peer`) and is tried again later: in the midst of the loops that
// follow. So there each load has a life of its own, and is held to the closed loop before it.
//
// At last one address floods with three times the capacity, and another, quiet one asks for little:
// how many of its requests are taken.
//
// The messages are nearly all of one length, which favours a gateway that hands runs of such to the
// kernel in one piece (bench/load/hot.h); with --mixed-lengths no two in a row are, of those that
// come and of those that they lead to, and the figures' names end in "-mixed".
//
//   bench_overload --gateway build/release/isthmus [--seconds 3] [--rounds 5]
//                  [--loads 0.5,1,1.5,2,3]   times the capacity
//                  [--only xmpp-to-sip|sip-to-xmpp] [--mixed-lengths] [--figures FILE]
//                  [--dir FOLDER]            for the stores, one after the other
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/drive.h"
#include "bench/load/figures.h"
#include "bench/load/load.h"
#include "bench/load/quiet.h"
#include "bench/load/scratch.h"
#include "tests/number.h"

enum {
    // Set-ups under way in the closed loop. Half of that leaves the daemon idle for a tenth of the
    // time; twice that is so much that a slow machine sheds.
    WINDOW = 1024,
    SETTLED = 1000,      // pairs that are there before, in each direction
    SETTLED_PER_S = 200, // refreshes, and changes of presence, of these
    PEAK_PER_S = 100000, // no core does more: for the number of pairs
    CLOSED_WARM_US = 200000,
    CLOSED_US = 1000000,
    OPEN_WARM_US = 500000,
    AFTER_US = 4000000, // for those under way at the end, at most
    GOOD_US = 1000000,
    START_MS = 10000,
    LOADS_MAX = 16,
};

static const enum load_kind settled_kinds[] = {LOAD_REFRESH, LOAD_PRESENCE, LOAD_NOTIFY};
enum { SETTLED_KINDS = sizeof settled_kinds / sizeof *settled_kinds };

struct bench {
    struct load *load;
    struct load_setup setup;
    enum load_kind kind;
    unsigned seconds, rounds, n_loads;
    double times[LOADS_MAX]; // the capacity
    unsigned next;           // pair
    bool mixed;              // lengths
    const char *dir;         // where stores are made
    struct figures *figures;
    bool faulty;
    struct scratch scratch;
};

// What became of a load in one round, or in several: sums.
struct outcome {
    double times, rounds;
    double closed;                       // set-ups a second in the closed loops around it
    double offered, good, done, refused; // a second
    struct histogram latency_us, settled_us[SETTLED_KINDS];
    double settled[SETTLED_KINDS]; // asked for
    double cpu, driver;            // of a core
    double least, most;            // share of the closed loop in a round
};

static void die(struct bench *b, const char *what)
{
    fprintf(stderr, "bench_overload: %s\n", what);
    load_destroy(b->load);
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set); // with one core all is on it: a poor measure, but one
}

// One that can't store anything has no capacity.
static void check_store(struct bench *b)
{
    char why[256];
    if (load_store_fails(b->load, why))
        die(b, why);
}

// A daemon with an empty store, and the pairs that are settled.
static void begin(struct bench *b, unsigned pairs)
{
    static char folder[256];
    b->setup.pairs = SETTLED + pairs;
    b->next = SETTLED;
    if (b->dir) {
        snprintf(folder, sizeof folder, "%s/isthmus-XXXXXX", b->dir);
        if (scratch_create(&b->scratch, folder))
            die(b, "no folder for the store");
        b->setup.dir = folder;
    }
    if (load_create(&b->load, &b->setup))
        die(b, "no room for the pairs");
    load_mix_lengths(b->load, b->mixed);
    pin(0);
    if (load_start(b->load, START_MS))
        die(b, "the gateway does not start");
    pin(1);
    bool all =
        drive_set_up(b->load, LOAD_WATCH, SETTLED) && drive_set_up(b->load, LOAD_SERVE, SETTLED);
    check_store(b);
    if (!all)
        die(b, "the pairs that are there before can't be made");
    load_play_until(b->load, load_now_us() + 500000);
    load_figures_reset(b->load);
}

static void end(struct bench *b)
{
    char why[256];
    check_store(b);
    if (load_faults(b->load, why)) {
        fprintf(stderr, "bench_overload: %s\n", why);
        b->faulty = true;
    }
    load_kill(b->load);
    load_destroy(b->load);
    scratch_remove(&b->scratch);
    b->load = NULL;
}

static bool is_quiet(const struct load *l)
{
    for (int k = 0; k < LOAD_KINDS; k++)
        if (load_under_way(l, (enum load_kind)k))
            return false;
    return true;
}

static unsigned next_pair(struct bench *b)
{
    if (b->next == b->setup.pairs)
        die(b, "this machine is quicker than there are pairs: PEAK_PER_S");
    return b->next++;
}

// ---- The closed loop

static void keep_under_way(struct bench *b, uint64_t us)
{
    for (uint64_t end_us = load_now_us() + us; load_now_us() < end_us;) {
        while (load_under_way(b->load, b->kind) < WINDOW)
            load_begin(b->load, b->kind, next_pair(b), 0);
        load_play(b->load, 10000);
    }
}

// What has no end by now is neither done nor refused, and is seen in no other figure.
static void tell_unended(const struct bench *b, const char *loop)
{
    for (int k = 0; k < LOAD_KINDS; k++) {
        uint64_t n = load_under_way(b->load, (enum load_kind)k);
        if (n)
            printf("  of the %s loop %llu of \"%s\" had no end\n", loop, (unsigned long long)n,
                   load_kind_name((enum load_kind)k));
    }
}

// The figures begin anew.
static void let_end(struct bench *b)
{
    for (uint64_t end_us = load_now_us() + AFTER_US; load_now_us() < end_us && !is_quiet(b->load);)
        load_play(b->load, 1000);
    tell_unended(b, "closed");
    load_figures_reset(b->load);
}

// Set-ups a second.
static double closed_loop(struct bench *b)
{
    const struct load_figure *f = load_figure(b->load, b->kind);
    keep_under_way(b, CLOSED_WARM_US);
    uint64_t begin_us = load_now_us(), done = f->done;
    keep_under_way(b, CLOSED_US);
    double per_s = (double)(f->done - done) * 1e6 / (double)(load_now_us() - begin_us);
    if (f->refused)
        printf("  of the closed loop %llu were refused\n", (unsigned long long)f->refused);
    let_end(b);
    return per_s;
}

// ---- The open loop

// Events that are due, evenly spaced.
struct source {
    double per_s;
    uint64_t begin_us, n;
};

static uint64_t due_us(const struct source *s)
{
    return s->begin_us + (uint64_t)((double)s->n * 1e6 / s->per_s);
}

static void begin_due(struct bench *b, struct source *set_ups, struct source *settled,
                      uint64_t now_us)
{
    for (int i = 0; i < 64 && due_us(set_ups) <= now_us; i++) {
        load_begin(b->load, b->kind, next_pair(b), due_us(set_ups));
        set_ups->n++;
    }
    for (; due_us(settled) <= now_us; settled->n++) {
        load_begin(b->load, LOAD_REFRESH, settled->n % SETTLED, due_us(settled));
        load_begin(b->load, LOAD_PRESENCE, (settled->n + SETTLED / 2) % SETTLED, due_us(settled));
        load_begin(b->load, LOAD_NOTIFY, settled->n % SETTLED, due_us(settled));
    }
}

// How many of them took no longer: by halving, as the histogram only tells the other way round.
static double within(const struct histogram *h, uint64_t us)
{
    uint32_t least = 0, most = 1000001;
    while (h->n && most - least > 1) {
        uint32_t middle = (least + most) / 2;
        if (histogram_at(h, middle) <= us)
            least = middle;
        else
            most = middle;
    }
    return (double)h->n * least / 1e6;
}

static uint64_t own_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void play_both(struct bench *b, struct quiet *q, bool asks, uint64_t wait_us)
{
    load_play(b->load, wait_us);
    if (q)
        quiet_play(q, asks);
}

// Goes on with both sources, and with what the quiet one asks.
static void keep_coming(struct bench *b, struct source *set_ups, struct source *settled,
                        struct quiet *q, uint64_t end_us)
{
    uint64_t now_us;
    while ((now_us = load_now_us()) < end_us) {
        begin_due(b, set_ups, settled, now_us);
        play_both(b, q, true, due_us(set_ups) > now_us ? 1000 : 0);
    }
}

// What comes of it is known by and by, but `good` and the CPU time are of the time when it has
// found its level and the load still comes.
static void open_loop(struct bench *b, double per_s, struct quiet *q, struct outcome *o)
{
    uint64_t begin_us = load_now_us(), warm_us = begin_us + OPEN_WARM_US,
             end_us = warm_us + b->seconds * 1000000ull;
    struct source set_ups = {per_s, begin_us, 0}, settled = {SETTLED_PER_S, begin_us, 0};
    const struct histogram *h = &load_figure(b->load, b->kind)->latency_us;
    keep_coming(b, &set_ups, &settled, q, warm_us);
    uint64_t daemon_ns = load_cpu_ns(b->load), own_ns = own_cpu_ns();
    double good = within(h, GOOD_US);
    keep_coming(b, &set_ups, &settled, q, end_us);
    double ns = 1e9 * b->seconds;
    o->cpu = (double)(load_cpu_ns(b->load) - daemon_ns) / ns;
    o->driver = (double)(own_cpu_ns() - own_ns) / ns;
    o->good = (within(h, GOOD_US) - good) / b->seconds;
    for (end_us += AFTER_US; load_now_us() < end_us && (q || !is_quiet(b->load));)
        play_both(b, q, false, 1000);
}

static void read_settled(const struct bench *b, struct outcome *o)
{
    for (int k = 0; k < SETTLED_KINDS; k++) {
        const struct load_figure *f = load_figure(b->load, settled_kinds[k]);
        o->settled[k] = (double)(f->begun - f->overtaken);
        o->settled_us[k] = f->latency_us;
    }
}

static double coming_s(const struct bench *b)
{
    return b->seconds + OPEN_WARM_US / 1e6;
}

static void load_once(struct bench *b, double capacity, double times, struct outcome *o)
{
    *o = (struct outcome){.times = times, .rounds = 1};
    uint64_t unsaid = load_unsaid(b->load);
    open_loop(b, capacity * times, NULL, o);
    if ((unsaid = load_unsaid(b->load) - unsaid) > 0)
        printf("  %llu stanzas found no room on the way to the gateway\n",
               (unsigned long long)unsaid);
    const struct load_figure *f = load_figure(b->load, b->kind);
    o->offered = (double)f->begun / coming_s(b);
    o->done = (double)f->done / coming_s(b);
    o->refused = (double)f->refused / coming_s(b);
    o->latency_us = f->latency_us;
    read_settled(b, o);
    tell_unended(b, "open");
    load_figures_reset(b->load);
}

static void outcome_add(struct outcome *to, const struct outcome *one)
{
    to->least = !to->rounds || one->least < to->least ? one->least : to->least;
    to->most = one->most > to->most ? one->most : to->most;
    to->times = one->times;
    to->rounds += one->rounds;
    to->closed += one->closed;
    to->offered += one->offered;
    to->good += one->good;
    to->done += one->done;
    to->refused += one->refused;
    to->cpu += one->cpu;
    to->driver += one->driver;
    histogram_merge(&to->latency_us, &one->latency_us);
    for (int k = 0; k < SETTLED_KINDS; k++) {
        to->settled[k] += one->settled[k];
        histogram_merge(&to->settled_us[k], &one->settled_us[k]);
    }
}

// ---- What is said

static double ms_at(const struct histogram *h, uint32_t of_million)
{
    return (double)histogram_at(h, of_million) / 1000;
}

static void print_head(void)
{
    printf(
        "  load   closed  offered     good       of     done  refused   p50 ms   p99 ms   refresh  "
        "p99 ms  presence  p99 ms    notify  p99 ms   CPU driver\n");
}

// Means of the rounds.
static void print_outcome(const struct outcome *o)
{
    double n = o->rounds;
    printf("%4.1f x %8.0f %8.0f %8.0f %6.1f %% %8.0f %8.0f %8.1f %8.1f", o->times, o->closed / n,
           o->offered / n, o->good / n, 100 * o->good / o->closed, o->done / n, o->refused / n,
           ms_at(&o->latency_us, 500000), ms_at(&o->latency_us, 990000));
    for (int k = 0; k < SETTLED_KINDS; k++)
        printf("  %6.2f %% %7.1f",
               o->settled[k] > 0 ? 100 * within(&o->settled_us[k], GOOD_US) / o->settled[k] : 0,
               ms_at(&o->settled_us[k], 990000));
    printf("  %4.0f %% %4.0f %%\n", 100 * o->cpu / n, 100 * o->driver / n);
}

// Of a direction, and of a load if there is one: how many times the capacity.
static void say(struct bench *b, const char *what, const char *unit, double value, double times)
{
    char name[32];
    snprintf(name, sizeof name, "%s-%s%s", what, load_kind_name(b->kind), b->mixed ? "-mixed" : "");
    figures_say(b->figures, &(struct figure){.what = name,
                                             .unit = unit,
                                             .value = value,
                                             .x = times > 0 ? "load" : NULL,
                                             .at = times});
}

// What was done is said for one and the same capacity, the mean.
static void say_outcome(struct bench *b, const struct outcome *o, double capacity)
{
    say(b, "goodput", "1/s", o->good / o->closed * capacity, o->times);
    say(b, "refused", "1/s", o->refused / o->closed * capacity, o->times);
    say(b, "p99", "us", (double)histogram_at(&o->latency_us, 990000), o->times);
}

// ---- The quiet peer

static void fairness(struct bench *b, double capacity)
{
    struct quiet *q = NULL;
    static struct quiet_result r;
    static struct outcome o;
    begin(b, (unsigned)(PEAK_PER_S * 3 * coming_s(b)));
    if (quiet_create(&q, load_sip_port(b->load)))
        die(b, "127.0.0.2 can't be used");
    open_loop(b, capacity * 3, q, &o);
    quiet_result(q, &r);
    const struct load_figure *f = load_figure(b->load, b->kind);
    printf(
        "one floods with %.0f a second: %.1f %% taken; another asks for %d a second: %.1f %% taken, "
        "p50 %.1f ms, p99 %.1f ms, %u unanswered\n",
        (double)f->begun / coming_s(b), 100.0 * (double)f->done / (double)f->begun, QUIET_PER_S,
        100.0 * (double)r.taken_us.n / r.asked, ms_at(&r.taken_us, 500000),
        ms_at(&r.taken_us, 990000), r.unanswered);
    quiet_destroy(q);
    end(b);
}

// ---- All of it

static unsigned pairs_of_a_life(const struct bench *b)
{
    double s = (b->n_loads + 1) * (CLOSED_WARM_US + CLOSED_US) / 1e6;
    for (unsigned k = 0; k < b->n_loads; k++)
        s += b->times[k] * coming_s(b);
    return (unsigned)(s * PEAK_PER_S);
}

static void hold_to(struct outcome *one, double closed, struct outcome *sum)
{
    one->closed = closed;
    one->least = one->most = one->good / closed;
    print_outcome(one);
    outcome_add(sum, one);
}

// One life of the daemon. Of what the loads are multiples is the mean of its closed loops so far.
static void live(struct bench *b, struct outcome sums[])
{
    static struct outcome one;
    begin(b, pairs_of_a_life(b));
    double before = closed_loop(b), sum = before;
    for (unsigned k = 0; k < b->n_loads; k++) {
        load_once(b, sum / (k + 1), b->times[k], &one);
        double after = closed_loop(b);
        hold_to(&one, (before + after) / 2, &sums[k]);
        sum += before = after;
    }
    end(b);
}

// A life for each load.
static void live_apart(struct bench *b, struct outcome sums[])
{
    static struct outcome one;
    for (unsigned k = 0; k < b->n_loads; k++) {
        begin(b, pairs_of_a_life(b));
        double closed = closed_loop(b);
        load_once(b, closed, b->times[k], &one);
        hold_to(&one, closed, &sums[k]);
        end(b);
    }
}

static void conclude_twice(struct bench *b, const struct outcome *o, double peak)
{
    double share = 100 * o->good / o->closed / peak;
    printf("at twice the capacity %.1f %% of the peak (in one round %.1f %%, in another %.1f %%)\n",
           share, 100 * o->least / peak, 100 * o->most / peak);
    say(b, "at-twice", "% of the peak", share, 0);
}

// Returns the capacity.
static double conclude(struct bench *b, const struct outcome sums[])
{
    double closed = 0, peak = 1;
    for (unsigned k = 0; k < b->n_loads; k++) {
        double share = sums[k].good / sums[k].closed;
        closed += sums[k].closed / sums[k].rounds / b->n_loads;
        peak = share > peak ? share : peak;
        print_outcome(&sums[k]);
    }
    for (unsigned k = 0; k < b->n_loads; k++)
        say_outcome(b, &sums[k], closed);
    printf("capacity %.0f a second, the peak %.1f %% of it\n", closed, 100 * peak);
    say(b, "capacity", "1/s", closed, 0);
    say(b, "peak", "1/s", closed * peak, 0); // of the goodput
    for (unsigned k = 0; k < b->n_loads; k++)
        if (b->times[k] == 2)
            conclude_twice(b, &sums[k], peak);
    return closed;
}

static void measure(struct bench *b, enum load_kind kind, const char *direction)
{
    struct outcome *sums = calloc(LOADS_MAX, sizeof *sums);
    if (!sums)
        die(b, "no memory");
    b->kind = kind;
    printf("%s%s, %u rounds, then their sums\n", direction, b->mixed ? ", lengths mixed" : "",
           b->rounds);
    print_head();
    for (unsigned i = 0; i < b->rounds; i++)
        (kind == LOAD_WATCH ? live_apart : live)(b, sums);
    print_head();
    double capacity = conclude(b, sums);
    free(sums);
    if (kind == LOAD_SERVE)
        fairness(b, capacity);
}

static bool is_direction(const char *text)
{
    return strcmp(text, "sip-to-xmpp") == 0 || strcmp(text, "xmpp-to-sip") == 0;
}

_Noreturn static void usage(FILE *to)
{
    fputs(
        "usage: bench_overload [--gateway FILE] [--seconds N] [--rounds N] [--mixed-lengths]\n"
        "                      [--loads 0.5,1,1.5,2,3] [--only xmpp-to-sip|sip-to-xmpp]\n"
        "                      [--figures FILE] [--dir DIR]\n"
        "--loads: times the capacity\n"
        "--mixed-lengths: no two messages in a row are of one length; figures end in \"-mixed\"\n",
        to);
    exit(to == stdout ? 0 : 2);
}

static bool read_loads(struct bench *b, char *text)
{
    char *rest, *end;
    b->n_loads = 0;
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        double times = strtod(one, &end);
        if (*end || !(times > 0 && times <= 10) || b->n_loads == LOADS_MAX)
            return false;
        b->times[b->n_loads++] = times;
    }
    return b->n_loads;
}

// What only one direction is asked for by; none: "".
static const char *options(struct bench *b, const char **figures, int argc, char **argv)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'},       {"seconds", 1, NULL, 's'},
        {"rounds", 1, NULL, 'r'},        {"loads", 1, NULL, 'l'},
        {"only", 1, NULL, 'o'},          {"figures", 1, NULL, 'f'},
        {"mixed-lengths", 0, NULL, 'm'}, {"dir", 1, NULL, 'd'},
        {"help", 0, NULL, 'h'},          {0}};
    const char *only = "";
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (o) {
        case 'g': b->setup.binary = optarg; break;
        case 's': good = number_of(optarg, 1, 3600, &b->seconds); break;
        case 'r': good = number_of(optarg, 1, 1000, &b->rounds); break;
        case 'l': good = read_loads(b, optarg); break;
        case 'o': only = optarg; break;
        case 'm': b->mixed = true; break;
        case 'f': *figures = optarg; break;
        case 'd': b->dir = optarg; break;
        case 'h': usage(stdout);
        default: good = false;
        }
    if (!good || optind < argc || (*only && !is_direction(only)))
        usage(stderr);
    return only;
}

int main(int argc, char **argv)
{
    struct bench b = {.setup = {.binary = "build/release/isthmus",
                                .toml = "[limits]\nnew_subscriptions_per_user_per_min = 1000000\n"},
                      .seconds = 3,
                      .rounds = 5,
                      .times = {0.5, 1, 1.5, 2, 3},
                      .n_loads = 5};
    const char *figures = NULL, *only = options(&b, &figures, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (figures_open(&b.figures, "overload", figures))
        die(&b, "the file of figures can't be written");
    if (!*only || strcmp(only, "sip-to-xmpp") == 0)
        measure(&b, LOAD_SERVE, "SIP to XMPP");
    if (!*only || strcmp(only, "xmpp-to-sip") == 0)
        measure(&b, LOAD_WATCH, "XMPP to SIP");
    figures_close(b.figures);
    return b.faulty ? 1 : 0;
}
