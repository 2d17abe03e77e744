// What one translated event costs the gateway, and what one subscription weighs.
//
// The load driver plays both worlds around the real daemon with one shard: N subscriptions are made
// in each direction, then presence changes are driven through it in a closed loop:
//
//   presence → NOTIFY → 200        (an XMPP user's change reaches a SIP user)
//   NOTIFY → 200, presence         (a SIP user's change reaches an XMPP user)
//
// Reported is the daemon's CPU time (user + system, all threads) per event and its resident memory
// per subscription, read from outside. Wall-clock times are not: they tell more of the machine than
// of it.
//
//   bench_translate --gateway build/release/isthmus [--subscriptions 10000] [--events 200000]
//   [--rest 35]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/load.h"
#include "tests/number.h"

enum {
    WINDOW = 256, // events under way at a time
    SAY_EVERY = 16,
    REST_S = 35, // server transactions live for 32 s
    START_MS = 10000,
    PATIENCE_MS = 40000,
};

struct translate {
    struct load *load;
    unsigned subscriptions, events, rest_s;
    uint64_t own, mapped; // resident bytes before
};

static void die(struct translate *t, const char *what)
{
    fprintf(stderr, "bench_translate: %s\n", what);
    load_destroy(t->load);
    exit(1);
}

// At most WINDOW events under way, none of one pair overlapping another of its own.
static void drive(struct translate *t, enum load_kind kind, unsigned n)
{
    unsigned window = t->subscriptions < WINDOW ? t->subscriptions : WINDOW;
    for (unsigned i = 0; i < n; i++) {
        uint64_t over = load_figure(t->load, kind)->begun + 1;
        if (over > window && !load_play_until_over(t->load, kind, over - window, PATIENCE_MS))
            die(t, "nothing moves any more");
        load_begin(t->load, kind, i % t->subscriptions, 0);
        if (i % SAY_EVERY == SAY_EVERY - 1)
            load_play(t->load, 0);
    }
    if (!load_play_until_over(t->load, kind, load_figure(t->load, kind)->begun, PATIENCE_MS))
        die(t, "nothing moves any more");
}

static void measure(struct translate *t, const char *what, enum load_kind kind, unsigned n)
{
    uint64_t before = load_cpu_ns(t->load);
    drive(t, kind, n);
    const struct load_figure *f = load_figure(t->load, kind);
    printf("%-44s %8.2f us CPU\n", what, (double)(load_cpu_ns(t->load) - before) / 1000 / n);
    if (f->done != n)
        printf("  of these %llu were overtaken, %llu refused, %llu given up\n",
               (unsigned long long)f->overtaken, (unsigned long long)f->refused,
               (unsigned long long)f->given_up);
}

static void weight_begin(struct translate *t)
{
    t->own = load_memory_bytes(t->load);
    t->mapped = load_mapped_bytes(t->load);
}

// After a rest in which what is only kept for retransmissions goes.
static void weight_end(struct translate *t, const char *direction)
{
    load_play_until(t->load, load_now_us() + t->rest_s * 1000000ull);
    printf("%s: resident bytes per subscription %6.0f own, %5.0f mapped from the store\n",
           direction, (double)(load_memory_bytes(t->load) - t->own) / t->subscriptions,
           (double)(load_mapped_bytes(t->load) - t->mapped) / t->subscriptions);
}

static void usage(void)
{
    fputs(
        "usage: bench_translate [--gateway FILE] [--subscriptions N] [--events N] [--rest SECONDS]\n",
        stderr);
    exit(2);
}

static void options(struct translate *t, struct load_setup *setup, int argc, char **argv)
{
    static const struct option names[] = {{"gateway", 1, NULL, 'g'},
                                          {"subscriptions", 1, NULL, 's'},
                                          {"events", 1, NULL, 'e'},
                                          {"rest", 1, NULL, 'r'},
                                          {0}};
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (o == 'g')
            setup->binary = optarg;
        else if (o == 's')
            good = number_of(optarg, 1, 10000000, &t->subscriptions);
        else if (o == 'e')
            good = number_of(optarg, 1, 1000000000, &t->events);
        else if (o == 'r')
            good = number_of(optarg, 0, 3600, &t->rest_s);
        else
            good = false;
    if (!good || optind < argc)
        usage();
    setup->pairs = t->subscriptions;
}

int main(int argc, char **argv)
{
    struct translate t = {.subscriptions = 10000, .events = 200000, .rest_s = REST_S};
    struct load_setup setup = {.binary = "build/release/isthmus"};
    options(&t, &setup, argc, argv);
    if (load_create(&t.load, &setup) || load_start(t.load, START_MS))
        die(&t, "the gateway does not start");
    printf("%u subscriptions in each direction, %u events\n", t.subscriptions, t.events);
    weight_begin(&t);
    measure(&t, "set-up XMPP to SIP, durable", LOAD_WATCH, t.subscriptions);
    weight_end(&t, "XMPP to SIP");
    weight_begin(&t);
    measure(&t, "set-up SIP to XMPP, durable", LOAD_SERVE, t.subscriptions);
    weight_end(&t, "SIP to XMPP");
    measure(&t, "presence -> NOTIFY -> 200", LOAD_PRESENCE, t.events);
    measure(&t, "NOTIFY -> 200, presence", LOAD_NOTIFY, t.events);
    char why[256];
    if (load_faults(t.load, why))
        die(&t, why);
    load_stop(t.load, START_MS);
    load_destroy(t.load);
    return 0;
}
