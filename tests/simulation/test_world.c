// Runs worlds from seeds: a wild phase, a calm one that must come to the truth, changes that must
// be seen without delay, a night without dialogs and a morning, and an end that must leave nothing
// behind.
//
//   simulation_world [--seed N] [--seeds N] [--verbose]
#include <stdlib.h>
#include <time.h>

#include "acts.h"
#include "gateway.h"
#include "inspector.h"
#include "net.h"
#include "rest.h"
#include "sip_model.h"
#include "xmpp_model.h"

enum { FIRST_SEED = 1, SEEDS = 300, TWICE_EVERY = 50, STEP_S = 20 };

struct outcome {
    bool failed;
    uint64_t hash, simulated_ms, messages;
};

// Until it is so, and stays so, or it is too late. What is true by chance, when the last of the
// faults have not shown their effect yet, does not stay.
static void run_until(struct world *w, bool (*is_so)(struct world *, char[512]), uint32_t within_s,
                      uint32_t stays_s)
{
    char why[512] = "";
    uint64_t end_ms = w->now_ms + (uint64_t)within_s * 1000, since_ms = UINT64_MAX;
    while (!w->failed && w->now_ms <= end_ms) {
        bool so = is_so(w, why);
        since_ms = !so ? UINT64_MAX : w->now_ms < since_ms ? w->now_ms : since_ms;
        if (so && w->now_ms - since_ms >= (uint64_t)stays_s * 1000)
            return;
        if (w->now_ms == end_ms)
            break;
        world_run(w, w->now_ms + STEP_S * 1000);
    }
    world_broken(w, "not so after %u s of calm: %s", within_s, why);
}

static void run_phases(struct world *w)
{
    world_run(w, acts_arrange(w));
    if (!w->failed)
        inspector_check_authorizations(w);
    acts_calm(w);
    run_until(w, rest_is_true, rest_true_within_s(w), rest_stays_true_s(w));
    if (!w->failed)
        acts_change_all(w);
    world_run(w, w->now_ms + 1000);
    run_until(w, rest_is_true, rest_prompt_within_s(w), 0);
    if (!w->failed)
        inspector_check_authorizations(w);
    if (!w->failed)
        acts_log_off_all(w);
    run_until(w, rest_is_away, rest_away_within_s(), 0);
    if (!w->failed)
        acts_log_on_all(w);
    run_until(w, rest_is_true, rest_back_within_s(w), 0);
    if (!w->failed)
        acts_end_all(w);
    run_until(w, rest_is_empty, rest_empty_within_s(w), 0);
    if (!w->failed)
        inspector_check_factors(w);
}

static struct outcome run(uint64_t seed, bool verbose)
{
    struct world *w = world_create(seed, verbose);
    net_create(w);
    xmpp_create(w);
    sip_create(w);
    inspector_create(w);
    gateway_create(w);
    run_phases(w);
    if (w->failed)
        world_report(w, stdout);
    struct outcome o = {w->failed, w->hash, w->now_ms - w->begin_ms, w->messages};
    gateway_destroy(w);
    inspector_destroy(w);
    sip_destroy(w);
    xmpp_destroy(w);
    net_destroy(w);
    world_destroy(w);
    return o;
}

static bool run_twice(uint64_t seed, const struct outcome *first)
{
    struct outcome second = run(seed, false);
    bool same = second.hash == first->hash && second.messages == first->messages;
    if (!same)
        printf("seed %llu gives another run the second time\n", (unsigned long long)seed);
    return same;
}

static int run_all(uint64_t first, uint64_t n, bool verbose)
{
    uint64_t failed = 0, simulated_ms = 0, messages = 0;
    clock_t begin = clock();
    for (uint64_t seed = first; seed < first + n; seed++) {
        struct outcome o = run(seed, verbose);
        failed += o.failed;
        simulated_ms += o.simulated_ms;
        messages += o.messages;
        if (!o.failed && (seed - first) % TWICE_EVERY == 0)
            failed += !run_twice(seed, &o);
    }
    double real_s = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("%llu of %llu seeds failed; %.1f hours and %llu messages in %.1f s: %.2f hours per s\n",
           (unsigned long long)failed, (unsigned long long)n, (double)simulated_ms / 3.6e6,
           (unsigned long long)messages, real_s, (double)simulated_ms / 3.6e6 / real_s);
    return failed != 0;
}

int main(int argc, char **argv)
{
    uint64_t first = FIRST_SEED, n = SEEDS;
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--verbose")) {
            verbose = true;
        } else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            n = 1;
        } else if (!strcmp(argv[i], "--seeds") && i + 1 < argc) {
            n = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "%s [--seed N] [--seeds N] [--verbose]\n", argv[0]);
            return 2;
        }
    }
    return run_all(first, n, verbose);
}
