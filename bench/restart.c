// What a gateway does first when it comes back to dialogs that are long overdue.
//
// N subscriptions of XMPP users are made, with dialogs of a minute; the daemon is killed, and
// started again when all of them have lapsed. Reported is, second by second, how many SUBSCRIBE
// requests it sends, how many of the subscriptions have their dialog again, and how long new
// set-ups take meanwhile.
//
//   bench_restart --gateway build/release/isthmus [--subscriptions 100000] [--away 75]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/load.h"
#include "tests/number.h"

enum {
    WINDOW = 512,
    EXPIRES_S = 60,
    NEW_PER_S = 50,
    SECONDS = 120, // given up after
    START_MS = 60000,
    PATIENCE_MS = 40000,
};

struct restart {
    struct load *load;
    unsigned n, away_s, next;
};

static void die(struct restart *r, const char *what)
{
    fprintf(stderr, "bench_restart: %s\n", what);
    load_destroy(r->load);
    exit(1);
}

static double metric(const struct load *l, const char *name)
{
    char *body = NULL, key[128];
    double value = -1;
    snprintf(key, sizeof key, "\n%s ", name);
    if (load_rest(l, "GET", "/metrics", &body) == 200) {
        const char *at = strstr(body, key);
        value = at ? strtod(at + strlen(key), NULL) : -1;
    }
    free(body);
    return value;
}

static void second(struct restart *r)
{
    uint64_t begin_us = load_now_us();
    for (unsigned i = 0; i < NEW_PER_S; i++) {
        load_begin(r->load, LOAD_SERVE, r->next++, 0);
        load_play_until(r->load, begin_us + (i + 1) * 1000000ull / NEW_PER_S);
    }
}

// Refreshes, and dialogs made anew for those that the SIP side says are gone.
static void watch_it_come_back(struct restart *r)
{
    double before = 0, most = 0;
    for (unsigned s = 1; s <= SECONDS; s++) {
        second(r);
        double sent = metric(r->load, "isthmus_refreshes_total{shard=\"0\"}");
        double told = metric(r->load, "isthmus_notifies_in_total{shard=\"0\"}");
        most = sent - before > most ? sent - before : most;
        if (s <= 5 || s % 10 == 0 || told >= r->n)
            printf("%4u s: %6.0f refreshes in this second, %7.0f NOTIFYs so far\n", s,
                   sent - before, told);
        before = sent;
        if (told >= r->n) {
            printf("all %u have their dialog after %u s, at most %.0f refreshes in a second\n",
                   r->n, s, most);
            return;
        }
    }
    printf("not all were done in %d s\n", SECONDS);
}

static void usage(void)
{
    fputs("usage: bench_restart [--gateway FILE] [--subscriptions N] [--away SECONDS]\n", stderr);
    exit(2);
}

static void options(struct restart *r, struct load_setup *setup, int argc, char **argv)
{
    static const struct option names[] = {
        {"gateway", 1, NULL, 'g'}, {"subscriptions", 1, NULL, 's'}, {"away", 1, NULL, 'a'}, {0}};
    bool good = true;
    for (int o; good && (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (o == 'g')
            setup->binary = optarg;
        else if (o == 's')
            good = number_of(optarg, 1, 10000000, &r->n);
        else if (o == 'a')
            good = number_of(optarg, 0, 3600, &r->away_s);
        else
            good = false;
    if (!good || optind < argc)
        usage();
}

int main(int argc, char **argv)
{
    struct restart r = {.n = 100000, .away_s = 75};
    struct load_setup setup = {.binary = "build/release/isthmus", .expires_s = EXPIRES_S};
    options(&r, &setup, argc, argv);
    setup.pairs = r.n > SECONDS * NEW_PER_S ? r.n : SECONDS * NEW_PER_S;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (load_create(&r.load, &setup) || load_start(r.load, START_MS))
        die(&r, "the gateway does not start");
    if (!load_begin_all(r.load, LOAD_WATCH, r.n, WINDOW, PATIENCE_MS))
        die(&r, "nothing moves");
    load_kill(r.load);
    printf("%u subscriptions made; killed, and away for %u s\n", r.n, r.away_s);
    load_play_until(r.load, load_now_us() + r.away_s * 1000000ull);
    uint64_t begin_us = load_now_us();
    if (load_start(r.load, START_MS))
        die(&r, "the gateway does not start again");
    printf("up again after %.2f s\n", (double)(load_now_us() - begin_us) / 1e6);
    load_figures_reset(r.load);
    watch_it_come_back(&r);
    const struct load_figure *f = load_figure(r.load, LOAD_SERVE);
    printf("%llu new set-ups meanwhile, %llu done, %llu refused: p50 %.1f ms, p99 %.1f ms\n",
           (unsigned long long)f->begun, (unsigned long long)f->done,
           (unsigned long long)f->refused, (double)histogram_at(&f->latency_us, 500000) / 1000,
           (double)histogram_at(&f->latency_us, 990000) / 1000);
    load_stop(r.load, START_MS);
    load_destroy(r.load);
    return 0;
}
