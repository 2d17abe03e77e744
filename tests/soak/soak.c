// The daemon for an hour under mixed load with churn: does anything grow, is anything left over?
//
//   cycle: pairs come, change, are refreshed, go; streams break; SIP over TCP and REST beside it
//          ─▶ all that is under way has come through (before each break of the stream, too)
//          ─▶ all pairs end ─▶ rest: nothing is left, nothing is larger than after the last cycle
//
// A line each minute. Exit status 0: the slope of its memory over the second half is below the bar,
// every rest was one, no event failed or was lost, REST always had an answer, the log tells of no
// error, and the store it leaves has no record.
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/hash.h"
#include "tests/number.h"
#include "tests/soak/gauge.h"
#include "tests/soak/questions.h"
#include "tests/soak/visitors.h"

enum {
    START_MS = 60000,
    STOP_MS = 60000,
    TICK_US = 4000,
    MINUTE_US = 60000000,
    CYCLE_MINUTES = 10,
    REST_S = 150,        // the longest that a rest takes: users are forgotten after 90 s, …
    REST_KEPT_S = 120,   // … so much of a cycle is kept for it
    LATE_S = 40,         // an event that takes longer is lost: SIP gives up after 32 s
    ACTIVE_LEAST_S = 20, // of a cycle
    WARM_S = 60,         // of a cycle: its memory is not judged while pairs come
    ENDING_MOST = 200,   // under way at once, when all are ended
    EXPIRES_S = 120,
    REFUSED_PART = 1000, // new work that an overloaded machine may refuse: one event in so many
    BREAK_GAP_S = 60,    // between two breaks of the stream, on average
    MOMENT_US = 200000,  // before one, at the most
    COST_MOST = 2,       // times what an event costs in the first cycle
    LATE_PART = 100,     // REST requests that may have to be asked again: one in so many
    SHARDS = 2,
    MINUTES_MAX = 10000,
    PAIRS_MAX = 1000000,
};

// Events a second. A pair that is drawn for churn comes if it is not there, and goes in one of four
// cases if it is: four fifths are there.
static const struct rate {
    enum load_kind kind;
    unsigned per_s;
} rates[] = {{LOAD_WATCH, 100}, {LOAD_SERVE, 100}, {LOAD_NOTIFY, 100}, {LOAD_PRESENCE, 100}};
enum { RATES = sizeof rates / sizeof *rates };

static struct soak {
    struct load *load;
    struct visitors *visitors;
    struct hash_random random;
    unsigned minutes, pairs;
    double bar_mib_per_h;
    const char *binary, *dir;
    uint64_t seed;
    // The clock of it all.
    uint64_t began_us, minute_us, next_us[RATES], refresh_us, break_us;
    uint64_t broken_us; // when the stream was, last
    unsigned minute, refresh_at, breaks;
    struct questions questions;
    struct histogram before; // latencies up to the last minute
    uint64_t done_before;
    struct gauge_points memory;
    double first_cost_us;           // CPU time of an event in the first cycle
    struct gauge first, first_rest; // at the start, or with less since; at the first rest
    bool settled;                   // before the next break
    bool resting, failed;
} soak = {.minutes = 60, .pairs = 2000, .bar_mib_per_h = 4, .seed = 1};

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAILED: ");
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    va_end(args);
    soak.failed = true;
}

static unsigned below(unsigned n)
{
    return hash_random_below(&soak.random, n);
}

static double hours(uint64_t now_us)
{
    return (double)(now_us - soak.began_us) / 3600e6;
}

// ---- The minutes

static void gauge_line(const char *when, const struct gauge *g)
{
    printf(
        "    %s %.2f MiB, %u descriptors, %llu subscriptions, %llu dialogs, %llu transactions, "
        "%llu users, %llu timers, store %llu bytes (%llu on disk)\n",
        when, (double)g->memory_bytes / 1048576, g->descriptors,
        (unsigned long long)g->subscriptions, (unsigned long long)g->dialogs,
        (unsigned long long)g->transactions, (unsigned long long)g->users,
        (unsigned long long)g->timers, (unsigned long long)g->store_bytes,
        (unsigned long long)g->file_bytes);
    fflush(stdout);
}

static uint64_t sum_done(void)
{
    uint64_t n = 0;
    for (int k = 0; k < LOAD_KINDS; k++)
        n += load_figure(soak.load, (enum load_kind)k)->done;
    return n;
}

static void latencies(struct histogram *minute, uint64_t *done)
{
    struct histogram all = {0};
    uint64_t sum = sum_done();
    for (int k = 0; k < LOAD_KINDS; k++)
        histogram_merge(&all, &load_figure(soak.load, (enum load_kind)k)->latency_us);
    *minute = all;
    minute->n -= soak.before.n;
    for (size_t i = 0; i < sizeof all.count / sizeof *all.count; i++)
        minute->count[i] -= soak.before.count[i];
    *done = sum - soak.done_before;
    soak.before = all;
    soak.done_before = sum;
}

static uint64_t sum_failed(void)
{
    uint64_t n = 0;
    for (int k = 0; k < LOAD_KINDS; k++) {
        const struct load_figure *f = load_figure(soak.load, (enum load_kind)k);
        n += f->refused + f->given_up;
    }
    return n;
}

static void minute_line(uint64_t now_us, uint64_t active_us)
{
    struct gauge g;
    struct histogram minute;
    uint64_t done;
    latencies(&minute, &done);
    if (!gauge_read(&g, soak.load))
        fail("no answer over REST");
    printf(
        "%3u min %s: %7llu events, p50 %.2f ms, p99 %.2f ms; %.2f MiB, %u descriptors, "
        "%llu subscriptions, %llu dialogs, %llu transactions, store %llu KiB (%llu on disk), "
        "%llu failed\n",
        ++soak.minute, soak.resting ? "rest" : "load", (unsigned long long)done,
        (double)histogram_at(&minute, 500000) / 1e3, (double)histogram_at(&minute, 990000) / 1e3,
        (double)g.memory_bytes / 1048576, g.descriptors, (unsigned long long)g.subscriptions,
        (unsigned long long)g.dialogs, (unsigned long long)g.transactions,
        (unsigned long long)g.store_bytes / 1024, (unsigned long long)g.file_bytes / 1024,
        (unsigned long long)sum_failed());
    fflush(stdout);
    if (!soak.resting && active_us >= WARM_S * 1000000ull)
        gauge_add(&soak.memory, hours(now_us), (double)g.memory_bytes);
}

// One step of whatever phase: bytes, the line of the minute, a question a second, a look at its
// health.
static void step(uint64_t active_us)
{
    int status = 0;
    load_play_until(soak.load, load_now_us() + TICK_US);
    uint64_t now_us = load_now_us();
    if (now_us >= soak.minute_us) {
        soak.minute_us += MINUTE_US;
        minute_line(now_us, active_us);
    }
    questions_play(&soak.questions, soak.load, (now_us - soak.broken_us) / 1000, stdout);
    if (!load_alive(soak.load, &status))
        fail("it ended by itself: %s %d", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

// ---- Nothing new

static const enum load_kind begins[] = {LOAD_WATCH, LOAD_SERVE};
static const enum load_kind ends[] = {LOAD_UNWATCH, LOAD_UNSERVE};

static uint64_t under_way(void)
{
    uint64_t n = 0;
    for (int k = 0; k < LOAD_KINDS; k++)
        n += load_under_way(soak.load, (enum load_kind)k);
    return n;
}

static bool is_settled(int direction, unsigned i)
{
    const struct load_pair *pair = load_pair(soak.load, begins[direction], i);
    return pair->wanted && pair->told && pair->live;
}

// Pairs that were ended, or not begun, though they are wanted.
static unsigned unsettled(void)
{
    unsigned n = 0;
    for (int d = 0; d < 2; d++)
        for (unsigned i = 0; i < soak.pairs; i++)
            n += load_pair(soak.load, begins[d], i)->wanted && !is_settled(d, i);
    return n;
}

// What was begun comes through, or is lost.
static void settle(void)
{
    uint64_t until_us = load_now_us() + LATE_S * 1000000ull;
    while (!soak.failed && (under_way() || unsettled()) && load_now_us() < until_us)
        step(0);
    for (int k = 0; k < LOAD_KINDS; k++)
        if (load_under_way(soak.load, (enum load_kind)k))
            fail("lost: %llu of %s had not come through after %d s",
                 (unsigned long long)load_under_way(soak.load, (enum load_kind)k),
                 load_kind_name((enum load_kind)k), LATE_S);
    if (unsettled())
        fail("lost: %u pairs have no dialog, and nobody ended them", unsettled());
}

// ---- The load

static bool is_idle(int direction, unsigned i)
{
    return !load_pair(soak.load, begins[direction], i)->wanted &&
           !load_is_under_way(soak.load, ends[direction], i);
}

// Nothing of the pair is under way. What is stays so until it has come through: if it is lost, that
// is seen, for no newer one takes its place, and no end makes it moot.
static bool is_quiet(int direction, unsigned i)
{
    if (direction)
        return !load_is_under_way(soak.load, LOAD_PRESENCE, i) &&
               !load_is_under_way(soak.load, LOAD_REFRESH, i);
    return !load_is_under_way(soak.load, LOAD_NOTIFY, i);
}

static void event(enum load_kind kind, uint64_t intended_us)
{
    int direction = kind == LOAD_SERVE || kind == LOAD_PRESENCE;
    bool churn = kind == LOAD_WATCH || kind == LOAD_SERVE;
    unsigned i = below(soak.pairs);
    if (churn && is_idle(direction, i))
        load_begin(soak.load, kind, i, intended_us);
    else if (!is_settled(direction, i) || !is_quiet(direction, i))
        return;
    else if (!churn)
        load_begin(soak.load, kind, i, intended_us);
    else if (below(4) == 0)
        load_begin(soak.load, ends[direction], i, intended_us);
}

// Each of his dialogs three times within its time.
static void refresh(uint64_t now_us)
{
    uint64_t gap_us = EXPIRES_S / 3 * 1000000ull / soak.pairs;
    for (; soak.refresh_us <= now_us; soak.refresh_us += gap_us) {
        unsigned i = soak.refresh_at++ % soak.pairs;
        if (is_settled(1, i) && !load_is_under_way(soak.load, LOAD_REFRESH, i))
            load_begin(soak.load, LOAD_REFRESH, i, soak.refresh_us);
    }
}

// What comes after a break makes up for what was lost before: so that has to have come by then. But
// some of what is begun in the last moment is under way when it breaks.
static void break_stream(uint64_t now_us)
{
    if (now_us < soak.break_us)
        return;
    if (!soak.settled) {
        settle();
        soak.break_us = load_now_us() + below(MOMENT_US);
    } else {
        load_xmpp_drop(soak.load);
        soak.breaks++;
        soak.broken_us = now_us;
        soak.break_us = now_us + (BREAK_GAP_S / 2 + below(BREAK_GAP_S)) * 1000000ull;
    }
    soak.settled = !soak.settled;
}

static void play_active(uint64_t now_us)
{
    for (int r = 0; r < RATES; r++)
        for (; soak.next_us[r] <= now_us; soak.next_us[r] += 1000000 / rates[r].per_s)
            event(rates[r].kind, soak.next_us[r]);
    refresh(now_us);
    visitors_play(soak.visitors, now_us);
    break_stream(now_us);
}

// ---- Rest

static bool is_ending(int direction, unsigned i)
{
    return load_is_under_way(soak.load, ends[direction], i);
}

// Begins the end of whoever is there; true: nobody is, and nothing is under way.
static bool end_all(void)
{
    bool over = true;
    for (int d = 0; d < 2; d++)
        for (unsigned i = 0; i < soak.pairs; i++) {
            bool wanted = load_pair(soak.load, begins[d], i)->wanted;
            if (wanted && load_under_way(soak.load, ends[d]) < ENDING_MOST)
                load_begin(soak.load, ends[d], i, 0);
            over = over && !wanted && !is_ending(d, i);
        }
    return over;
}

// More than there ever was at rest, or at the start, is left over.
static bool is_at_rest(const struct gauge *g)
{
    return !g->subscriptions && !g->dialogs && !g->transactions && !g->users &&
           g->timers <= soak.first.timers && g->descriptors <= soak.first.descriptors;
}

// The first rest is what the later ones are held to: LMDB's file keeps the room it once had, and
// pages in use are those of the empty trees and of the list of free pages.
static void rest_judge(const struct gauge *g, bool at_rest, bool first)
{
    if (!at_rest)
        fail("no rest: see the line above; there may be %u descriptors and %llu timers",
             soak.first.descriptors, (unsigned long long)soak.first.timers);
    if (!first && g->store_bytes > soak.first_rest.store_bytes)
        fail("the store has grown since the first rest: %llu bytes",
             (unsigned long long)soak.first_rest.store_bytes);
    if (!first && g->file_bytes > soak.first_rest.file_bytes + soak.first_rest.file_bytes / 4)
        fail("the store's files have grown since the first rest: %llu bytes",
             (unsigned long long)soak.first_rest.file_bytes);
    if (first)
        soak.first_rest = *g;
    if (g->descriptors < soak.first.descriptors)
        soak.first.descriptors = g->descriptors;
    if (g->timers < soak.first.timers)
        soak.first.timers = g->timers;
}

static void rest(bool first)
{
    struct gauge g = {0};
    char when[32];
    bool at_rest = false;
    uint64_t began_us = load_now_us(), end_us = began_us + REST_S * 1000000ull;
    soak.resting = true;
    visitors_leave(soak.visitors, began_us);
    for (uint64_t look_us = 0; !at_rest && !soak.failed && load_now_us() < end_us;) {
        bool ended = end_all();
        step(0);
        if (load_now_us() < look_us)
            continue;
        look_us = load_now_us() + 1000000;
        at_rest = gauge_read(&g, soak.load) && ended && is_at_rest(&g);
    }
    snprintf(when, sizeof when, "rest after %.1f s:", (double)(load_now_us() - began_us) / 1e6);
    gauge_line(when, &g);
    if (!soak.failed)
        rest_judge(&g, at_rest, first);
    soak.resting = false;
}

// ---- The whole

// What takes longer and longer to find has grown, too. The CPU time of others' work is not in it,
// but they share its caches.
static void judge_cost(uint64_t cpu_ns, uint64_t done, bool first)
{
    double us = done ? (double)cpu_ns / 1e3 / (double)done : 0;
    printf("    %.1f us of CPU an event\n", us);
    if (first)
        soak.first_cost_us = us;
    if (us > COST_MOST * soak.first_cost_us)
        fail("an event costs %.1f us of CPU, in the first cycle it was %.1f", us,
             soak.first_cost_us);
}

static void cycle(uint64_t end_us, bool first)
{
    uint64_t began_us = load_now_us(), now_us;
    uint64_t cpu_ns = load_cpu_ns(soak.load), done = sum_done();
    for (int r = 0; r < RATES; r++)
        soak.next_us[r] = began_us;
    soak.refresh_us = began_us;
    soak.break_us = began_us + BREAK_GAP_S * 500000ull;
    soak.settled = false;
    while (!soak.failed && (now_us = load_now_us()) < end_us) {
        play_active(now_us);
        step(now_us - began_us);
    }
    if (!soak.failed)
        settle();
    judge_cost(load_cpu_ns(soak.load) - cpu_ns, sum_done() - done, first);
    if (!soak.failed)
        rest(first);
}

static void cycles(void)
{
    unsigned n = soak.minutes / CYCLE_MINUTES ? soak.minutes / CYCLE_MINUTES : 1;
    uint64_t length_us = (uint64_t)soak.minutes * MINUTE_US / n;
    uint64_t kept_us = REST_KEPT_S * 1000000ull, least_us = ACTIVE_LEAST_S * 1000000ull;
    uint64_t active_us = length_us > kept_us + least_us ? length_us - kept_us : length_us / 2;
    for (unsigned i = 0; i < n && !soak.failed; i++)
        cycle(soak.began_us + i * length_us + active_us, i == 0);
}

static void judge_kind(enum load_kind k)
{
    const struct load_figure *f = load_figure(soak.load, k);
    printf(
        "%-8s %llu begun, %llu done, %llu refused, %llu given up, %llu overtaken, "
        "p50 %.2f ms, p99 %.2f ms, max %.0f ms\n",
        load_kind_name(k), (unsigned long long)f->begun, (unsigned long long)f->done,
        (unsigned long long)f->refused, (unsigned long long)f->given_up,
        (unsigned long long)f->overtaken, (double)histogram_at(&f->latency_us, 500000) / 1e3,
        (double)histogram_at(&f->latency_us, 990000) / 1e3, (double)f->latency_us.max / 1e3);
    if (f->latency_us.max > LATE_S * 1000000ull)
        fail("lost, until something else brought it: %s after %.1f s", load_kind_name(k),
             (double)f->latency_us.max / 1e6);
}

static uint64_t judge_events(void)
{
    char why[256];
    uint64_t faults = load_faults(soak.load, why), said_no = 0, given_up = 0, done = 0;
    for (int k = 0; k < LOAD_KINDS; k++) {
        const struct load_figure *f = load_figure(soak.load, (enum load_kind)k);
        judge_kind((enum load_kind)k);
        said_no += f->refused;
        given_up += f->given_up;
        done += f->done;
    }
    if (faults)
        fail("%llu times it did what no daemon may do; first: %s", (unsigned long long)faults, why);
    if (said_no > done / REFUSED_PART || given_up)
        fail("%llu events refused, %llu given up", (unsigned long long)said_no,
             (unsigned long long)given_up);
    return done;
}

static void judge_visitors(void)
{
    const struct questions *q = &soak.questions;
    uint64_t came = visitors_came(soak.visitors), answered = visitors_answered(soak.visitors);
    if (q->wrong || q->late > q->asked / LATE_PART)
        fail("of %u REST requests %u were not answered well, %u only when asked again: see above",
             q->asked, q->wrong, q->late);
    if (visitors_ignored(soak.visitors)) // who leaves at once may hear nothing
        fail("of %llu visitors over TCP %llu waited for an answer in vain",
             (unsigned long long)came, (unsigned long long)visitors_ignored(soak.visitors));
    printf("%llu of %llu visitors answered; %u REST requests, %u answered when asked again\n",
           (unsigned long long)answered, (unsigned long long)came, q->asked, q->late);
}

static void judge_memory(double half_h)
{
    double slope;
    if (gauge_slope(&soak.memory, half_h, &slope)) {
        printf("memory: not judged, the second half has too few minutes\n");
        return;
    }
    printf("memory: %+.3f MiB an hour over the second half (%.0f bytes; bar %.1f MiB)\n",
           slope / 1048576, slope, soak.bar_mib_per_h);
    if (slope > soak.bar_mib_per_h * 1048576)
        fail("memory grows by %.2f MiB an hour, the bar is %.2f", slope / 1048576,
             soak.bar_mib_per_h);
}

static void judge(void)
{
    char first[256];
    double half_h = hours(load_now_us()) / 2;
    uint64_t done = judge_events();
    judge_visitors();
    judge_memory(half_h);
    unsigned errors = gauge_errors(soak.load, first);
    if (errors)
        fail("%u errors in its log; first: %s", errors, first);
    printf("%llu events in %.1f min, %u breaks of the stream\n", (unsigned long long)done,
           120 * half_h, soak.breaks);
}

static void stop(void)
{
    int status = load_stop(soak.load, STOP_MS);
    if (status)
        fail("SIGTERM: status %d", status);
    long records = gauge_records(soak.load, SHARDS);
    if (records)
        fail("%ld records are left in the store", records);
}

static int run(void)
{
    struct load_setup setup = {.binary = soak.binary,
                               .shards = SHARDS,
                               .pairs = soak.pairs,
                               .expires_s = EXPIRES_S,
                               .dir = soak.dir,
                               .toml = "[subscription]\non_expiry = \"unsubscribe\"\n"};
    hash_random_init(&soak.random, soak.seed, 0);
    if (load_create(&soak.load, &setup))
        return fputs("soak: no memory, ports or folder\n", stderr), 2;
    soak.visitors = visitors_create(load_sip_port(soak.load), soak.seed);
    if (!soak.visitors || load_start(soak.load, START_MS) || !gauge_read(&soak.first, soak.load) ||
        !gauge_read(&soak.first, soak.load))
        return load_destroy(soak.load), fputs("soak: it does not start\n", stderr), 2;
    gauge_line("start:", &soak.first);
    soak.began_us = load_now_us();
    soak.minute_us = soak.began_us + MINUTE_US;
    cycles();
    judge();
    if (!soak.failed)
        stop();
    printf("%s\n", soak.failed ? "soak: failed" : "soak: passed");
    visitors_destroy(soak.visitors);
    load_destroy(soak.load);
    return soak.failed;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"minutes", 1, NULL, 'm'},
        {"pairs", 1, NULL, 'p'},
        {"seed", 1, NULL, 's'},
        {"binary", 1, NULL, 'b'},
        {"bar-mib", 1, NULL, 'B'},
        {"dir", 1, NULL, 'd'},
        {0},
    };
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (option) {
        case 'm': good = number_of(optarg, 1, MINUTES_MAX, &soak.minutes); break;
        case 'p': good = number_of(optarg, 1, PAIRS_MAX, &soak.pairs); break;
        case 's': good = number_u64(optarg, 0, UINT64_MAX, &soak.seed); break;
        case 'b': soak.binary = optarg; break;
        case 'B': soak.bar_mib_per_h = strtod(optarg, NULL); break;
        case 'd': soak.dir = optarg; break;
        default: good = false;
        }
    }
    if (good && optind == argc && soak.binary)
        return run();
    fputs(
        "usage: soak --binary ISTHMUS [--minutes N] [--pairs N] [--seed N] [--bar-mib N]\n"
        "            [--dir DIR]\n",
        stderr);
    return 2;
}
