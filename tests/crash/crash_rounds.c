// The real daemon, killed at random under load, again and again over one store: is what it promised
// there in its next life?
//
//   life: set up, end, refresh, change presence … ─▶ SIGKILL (now and then SIGTERM)
//   start, with another number of shards; now and then killed while it starts, and once more
//   look: the list of subscriptions holds what was promised, and presence flows for a sample
//
// What is drawn, and when the daemon dies, follows from the seed; what it was doing then is its
// own.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/hash.h"
#include "tests/crash/promises.h"
#include "tests/number.h"

enum {
    START_MS = 60000,  // the longest that a start may take, ASan and all
    FLOW_MS = 8000,    // from then on presence flows again
    SETTLE_MS = 60000, // at the end: what was begun has come through; a lost UDP answer costs 32 s
    LIFE_LEAST_US = 20000, // how long a life under load is
    LIFE_MOST_US = 150000,
    BIRTH_KILL_MS = 50, // a start that is not to succeed is killed within
    LIST_TRIES = 10,
    SAMPLE = 8,         // pairs of each kind whose presence is looked at after a start
    EVENT_GAP_US = 150, // between events, on average
    ROUNDS_MAX = 1000000,
    PAIRS_MAX = 1000000,
};

static struct crash {
    struct load *load;
    struct promises promises;
    struct hash_random random;
    unsigned rounds, pairs, shards[8], n_shards;
    unsigned records; // subscriptions that are there before the first round
    uint64_t seed;
    const char *binary, *dir;
    // Counted.
    unsigned round, births_killed, terms;
    uint64_t flowed; // events of promised pairs that came through after a start
    unsigned *start_ms, flow_most_ms[2];
    bool failed;
} crash = {.rounds = 25, .pairs = 300, .shards = {1, 2, 3}, .n_shards = 3, .seed = 1};

static unsigned below(unsigned n)
{
    return hash_random_below(&crash.random, n);
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "round %u of seed %llu: %s%s%s\n", crash.round, (unsigned long long)crash.seed,
            what, *why ? ": " : "", why);
    crash.failed = true;
}

// Its last words.
static void print_log(void)
{
    char path[300], line[512], last[2][512] = {"", ""};
    snprintf(path, sizeof path, "%s/log", load_dir(crash.load));
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        memcpy(last[0], last[1], sizeof line);
        memcpy(last[1], line, sizeof line);
    }
    fprintf(stderr, "%s%s", last[0], last[1]);
    if (f)
        fclose(f);
}

// What the daemon knows of a pair, for who looks for the cause.
static void fail_pair(const char *what, enum load_kind kind, unsigned i)
{
    char path[128], why[512], *body = NULL;
    bool watch = kind == LOAD_WATCH || kind == LOAD_NOTIFY || kind == LOAD_UNWATCH;
    snprintf(path, sizeof path, "/v1/subscriptions?jid=%c%u%%40example.com", watch ? 'x' : 'j', i);
    load_rest(crash.load, "GET", path, &body);
    snprintf(why, sizeof why, "%s of pair %u: %s", load_kind_name(kind), i, body ? body : "");
    free(body);
    fail(what, why);
}

// ---- The life

static const enum load_kind begins[] = {LOAD_WATCH, LOAD_SERVE};
static const enum load_kind ends[] = {LOAD_UNWATCH, LOAD_UNSERVE};
static const enum load_kind shows[] = {LOAD_NOTIFY, LOAD_PRESENCE};

static bool is_idle(int direction, unsigned i)
{
    return !load_pair(crash.load, begins[direction], i)->wanted &&
           !load_is_under_way(crash.load, ends[direction], i);
}

static bool is_settled(int direction, unsigned i)
{
    const struct load_pair *pair = load_pair(crash.load, begins[direction], i);
    return pair->wanted && pair->told && pair->live &&
           !load_is_under_way(crash.load, begins[direction], i);
}

// A third of the pairs is on its way in or out, so that their number stays.
static void life_event(void)
{
    int direction = (int)below(2);
    unsigned i = below(crash.pairs), draw = below(100);
    if (is_idle(direction, i))
        load_begin(crash.load, begins[direction], i, 0);
    else if (!is_settled(direction, i))
        return;
    else if (draw < 35)
        load_begin(crash.load, ends[direction], i, 0);
    else if (draw < 55 && direction == 1)
        load_begin(crash.load, LOAD_REFRESH, i, 0);
    else
        load_begin(crash.load, shows[direction], i, 0);
}

static void fail_dead(const char *when, int status)
{
    char how[64];
    snprintf(how, sizeof how, WIFSIGNALED(status) ? "signal %d" : "status %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    fail(when, how);
    print_log();
}

static void life(void)
{
    int status = 0;
    uint64_t now_us = load_now_us();
    uint64_t end_us = now_us + LIFE_LEAST_US + below(LIFE_MOST_US - LIFE_LEAST_US);
    while ((now_us = load_now_us()) < end_us) {
        uint64_t next_us = now_us + 1000;
        for (unsigned n = 1000 / EVENT_GAP_US + below(4); n--;)
            life_event();
        load_play_until(crash.load, next_us < end_us ? next_us : end_us);
    }
    if (!load_alive(crash.load, &status))
        fail_dead("it ended by itself under load", status);
}

// What it said in its last moments counts, too: it is read before promises are taken.
static void death(void)
{
    if (below(10) == 0) {
        crash.terms++;
        int status = load_stop(crash.load, START_MS);
        if (status)
            fail_dead("SIGTERM under load", status < 0 ? SIGKILL : status << 8);
    } else {
        load_kill(crash.load);
    }
    for (int i = 0; i < 3; i++)
        load_play(crash.load, 0);
    promises_take(&crash.promises, crash.load);
}

// ---- The next life

static void draw_shards(void)
{
    unsigned shards = crash.shards[below(crash.n_shards)];
    if (load_set_shards(crash.load, shards))
        fail("can't write the configuration", "");
}

// Killed while it opens, re-partitions and restores. It may also be quicker than that.
static void birth_killed(void)
{
    draw_shards();
    int error = load_start(crash.load, 1 + below(BIRTH_KILL_MS));
    if (error == ECHILD) {
        fail("it ended by itself at its start", "");
        print_log();
    }
    load_kill(crash.load);
    crash.births_killed++;
}

static void start(void)
{
    draw_shards();
    uint64_t began_us = load_now_us();
    int error = load_start(crash.load, START_MS);
    crash.start_ms[crash.round] = (unsigned)((load_now_us() - began_us) / 1000);
    if (error) {
        fail("it does not start", error == ECHILD ? "it ended by itself" : strerror(error));
        print_log();
    }
}

static unsigned flow_begin(enum load_kind kind, int direction, unsigned of[SAMPLE])
{
    unsigned first = below(crash.pairs), n = 0;
    for (unsigned i = 0; i < crash.pairs && n < SAMPLE; i++) {
        unsigned pair = (first + i) % crash.pairs;
        if (crash.promises.of[direction][pair] != PROMISE_LIVE || !is_settled(direction, pair))
            continue;
        load_begin(crash.load, kind, pair, 0);
        of[n++] = pair;
    }
    return n;
}

// Presence of a sample of the promised pairs, or their refreshes, until they have come through.
static void flow(enum load_kind kind, int direction)
{
    unsigned of[SAMPLE], n = flow_begin(kind, direction, of);
    uint64_t began_us = load_now_us();
    uint64_t end_us = began_us + (FLOW_MS + crash.records / 2) * 1000ull;
    for (unsigned i = 0; i < n; i++) {
        while (load_is_under_way(crash.load, kind, of[i]) && load_now_us() < end_us)
            load_play(crash.load, 10000);
        if (load_is_under_way(crash.load, kind, of[i]))
            fail_pair("does not come through", kind, of[i]);
        else if (!load_pair(crash.load, begins[direction], of[i])->live)
            fail_pair("its dialog is refused", kind, of[i]);
    }
    crash.flowed += n;
    unsigned ms = (unsigned)((load_now_us() - began_us) / 1000);
    crash.flow_most_ms[direction] =
        ms > crash.flow_most_ms[direction] ? ms : crash.flow_most_ms[direction];
}

static void look(void)
{
    char why[256];
    uint64_t lost = crash.promises.lost;
    int error = EBADMSG; // a shard that is busy answers the next time
    for (int tries = 0; error && tries < LIST_TRIES; tries++) {
        error = promises_check(&crash.promises, crash.load);
        load_play_until(crash.load, load_now_us() + (error ? 500000 : 0));
    }
    if (error)
        fail("GET /v1/subscriptions gives no list", "");
    if (crash.promises.lost != lost) {
        enum load_kind kind = begins[crash.promises.lost_direction];
        fail_pair(crash.promises.why, kind, crash.promises.lost_pair);
    }
    if (load_figure(crash.load, LOAD_UNSERVE)->refused)
        fail("an end was refused", "");
    flow(LOAD_REFRESH, 1);
    flow(LOAD_PRESENCE, 1);
    flow(LOAD_NOTIFY, 0);
    if (load_faults(crash.load, why))
        fail("it did what no daemon may do", why);
}

static void round_run(void)
{
    life();
    death();
    for (unsigned n = below(4) == 0 ? 1 + below(3) : 0; n && !crash.failed; n--)
        birth_killed();
    if (!crash.failed)
        start();
    if (!crash.failed)
        look();
}

// ---- The frame

// Thousands of pairs that stay, so that a start has much to read and to re-partition.
static void fill(void)
{
    unsigned fixed = crash.records / 2;
    for (unsigned i = 0; i < fixed && !crash.failed; i++) {
        for (int d = 0; d < 2; d++)
            load_begin(crash.load, begins[d], i, 0);
        while (load_under_way(crash.load, LOAD_WATCH) > 200 ||
               load_under_way(crash.load, LOAD_SERVE) > 200)
            load_play(crash.load, 1000);
    }
    if (!load_play_until_over(crash.load, LOAD_WATCH, fixed, START_MS) ||
        !load_play_until_over(crash.load, LOAD_SERVE, fixed, START_MS))
        fail("the store can't be filled", "");
}

// What nobody waits for: presence of a pair that has been ended since.
static bool is_moot(enum load_kind kind, unsigned i)
{
    int direction = kind == LOAD_PRESENCE || kind == LOAD_REFRESH;
    bool of_pair = direction || kind == LOAD_NOTIFY;
    return of_pair && !load_pair(crash.load, begins[direction], i)->wanted;
}

// How many; the last of them, if any.
static unsigned still_waiting(enum load_kind *kind, unsigned *pair)
{
    unsigned n = 0;
    for (int k = 0; k < LOAD_KINDS; k++)
        for (unsigned i = 0; i < crash.pairs; i++)
            if (load_is_under_way(crash.load, (enum load_kind)k, i) &&
                !is_moot((enum load_kind)k, i)) {
                *kind = (enum load_kind)k;
                *pair = i;
                n++;
            }
    return n;
}

// All that was begun comes through in the end.
static void settle(void)
{
    enum load_kind kind;
    unsigned pair;
    uint64_t end_us = load_now_us() + SETTLE_MS * 1000ull;
    while (still_waiting(&kind, &pair) && load_now_us() < end_us)
        load_play(crash.load, 10000);
    if (still_waiting(&kind, &pair))
        fail_pair("never came through", kind, pair);
    for (int k = 0; k < LOAD_KINDS; k++) {
        const struct load_figure *f = load_figure(crash.load, (enum load_kind)k);
        bool may_be_gone = k == LOAD_NOTIFY || k == LOAD_REFRESH; // crossed with the pair's end
        if ((f->refused && !may_be_gone) || f->given_up)
            fail("was refused or given up", load_kind_name((enum load_kind)k));
    }
    promises_take(&crash.promises, crash.load);
    look();
}

static int by_size(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

static void report(unsigned done)
{
    static const enum load_kind setups[] = {LOAD_WATCH, LOAD_SERVE};
    uint64_t promised = 0;
    for (int d = 0; d < 2; d++)
        promised += load_figure(crash.load, setups[d])->done;
    qsort(crash.start_ms, done, sizeof *crash.start_ms, by_size);
    printf(
        "%u rounds of seed %llu (%u by SIGTERM, %u starts killed as well): %llu set-ups "
        "promised, %llu promises checked, %llu lost; start median %u ms, max %u ms; then presence "
        "came through after at most %u ms (to XMPP), %u ms (to SIP)\n",
        done, (unsigned long long)crash.seed, crash.terms, crash.births_killed,
        (unsigned long long)promised, (unsigned long long)crash.promises.kept,
        (unsigned long long)crash.promises.lost, done ? crash.start_ms[done / 2] : 0,
        done ? crash.start_ms[done - 1] : 0, crash.flow_most_ms[0], crash.flow_most_ms[1]);
}

static int run(void)
{
    struct load_setup setup = {
        .binary = crash.binary,
        .shards = crash.shards[0],
        .pairs = crash.pairs,
        .dir = crash.dir,
        .toml = "[subscription]\non_expiry = \"unsubscribe\"\n",
    };
    hash_random_init(&crash.random, crash.seed, 0);
    crash.start_ms = calloc(crash.rounds + 1, sizeof *crash.start_ms);
    if (!crash.start_ms || promises_create(&crash.promises, crash.pairs) ||
        load_create(&crash.load, &setup))
        return fputs("crash_rounds: no memory, ports or folder\n", stderr), 2;
    start();
    if (!crash.failed && crash.records)
        fill();
    while (!crash.failed && crash.round < crash.rounds) {
        round_run();
        crash.round += !crash.failed;
    }
    if (!crash.failed)
        settle();
    if (!crash.failed && !crash.flowed)
        fail("no promise outlived a round, so nothing was seen", "");
    report(crash.round);
    load_destroy(crash.load);
    promises_free(&crash.promises);
    free(crash.start_ms);
    return crash.failed;
}

// Some of the free ports that the load driver has found are needed for each.
static bool read_shards(const char *list)
{
    enum { SHARDS_MAX = 8 };
    char one[8];
    for (crash.n_shards = 0; crash.n_shards < SHARDS_MAX; list++) {
        size_t n = strcspn(list, ",");
        snprintf(one, sizeof one, "%.*s", (int)n, list);
        if (n >= sizeof one || !number_of(one, 1, SHARDS_MAX, &crash.shards[crash.n_shards++]))
            return false;
        list += n;
        if (!*list)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"rounds", 1, NULL, 'r'},  {"shards", 1, NULL, 's'},
        {"seed", 1, NULL, 'S'},    {"binary", 1, NULL, 'b'},
        {"pairs", 1, NULL, 'p'},   {"dir", 1, NULL, 'd'},
        {"records", 1, NULL, 'R'}, {0},
    };
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (option) {
        case 'r': good = number_of(optarg, 1, ROUNDS_MAX, &crash.rounds); break;
        case 's': good = read_shards(optarg); break;
        case 'S': good = number_u64(optarg, 0, UINT64_MAX, &crash.seed); break;
        case 'b': crash.binary = optarg; break;
        case 'p': good = number_of(optarg, 1, PAIRS_MAX, &crash.pairs); break;
        case 'd': crash.dir = optarg; break;
        case 'R': good = number_of(optarg, 0, 2 * PAIRS_MAX, &crash.records); break;
        default: good = false;
        }
    }
    if (good && optind == argc && crash.binary && crash.pairs >= crash.records / 2)
        return run();
    fputs(
        "usage: crash_rounds --binary ISTHMUS [--rounds N] [--shards 1,2,3] [--seed N]\n"
        "                    [--pairs N] [--records N] [--dir DIR]\n",
        stderr);
    return 2;
}
