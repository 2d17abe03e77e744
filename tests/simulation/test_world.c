// Runs worlds from seeds (run.h).
//
//   simulation_world [--seed N] [--seeds N] [--users N] [--verbose]
#include <stdlib.h>
#include <time.h>

#include "run.h"

enum { FIRST_SEED = 1, SEEDS = 300, TWICE_EVERY = 50 };

struct sum {
    uint64_t failed, simulated_ms, messages, faults[FAULT_KINDS];
};

static bool run_twice(const struct run_wish *wish, const struct run_outcome *first)
{
    struct run_outcome second = run(wish);
    bool same = second.hash == first->hash && second.messages == first->messages;
    if (!same)
        printf("seed %llu gives another run the second time\n", (unsigned long long)wish->seed);
    return same;
}

static void run_one(struct run_wish wish, bool twice, struct sum *sum)
{
    struct run_outcome o = run(&wish);
    sum->failed += o.failed;
    sum->simulated_ms += o.simulated_ms;
    sum->messages += o.messages;
    for (unsigned i = 0; i < FAULT_KINDS; i++)
        sum->faults[i] += o.faults[i];
    if (!o.failed && twice)
        sum->failed += !run_twice(&wish, &o);
}

// A fault that never comes would be one that is not tested.
static bool print_faults(const struct sum *sum, uint64_t seeds)
{
    bool all = true;
    for (unsigned i = 0; i < FAULT_KINDS; i++) {
        bool missing = !sum->faults[i] && seeds >= SEEDS;
        printf("%10llu %s%s\n", (unsigned long long)sum->faults[i], world_fault_name(i),
               missing ? ": NEVER CAME" : "");
        all &= !missing;
    }
    return all;
}

static int run_all(struct run_wish wish, uint64_t n)
{
    struct sum sum = {0};
    uint64_t first = wish.seed;
    clock_t begin = clock();
    for (; wish.seed < first + n; wish.seed++)
        run_one(wish, (wish.seed - first) % TWICE_EVERY == 0, &sum);
    double real_s = (double)(clock() - begin) / CLOCKS_PER_SEC,
           hours = (double)sum.simulated_ms / 3.6e6;
    bool all = n == 1 || print_faults(&sum, n);
    printf("%llu of %llu seeds failed; %.1f hours and %llu messages in %.1f s: %.2f hours per s\n",
           (unsigned long long)sum.failed, (unsigned long long)n, hours,
           (unsigned long long)sum.messages, real_s, hours / real_s);
    return sum.failed || !all;
}

int main(int argc, char **argv)
{
    struct run_wish wish = {.seed = FIRST_SEED};
    uint64_t n = 0;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--verbose")) {
            wish.verbose = true;
        } else if (!strcmp(argv[i], "--seed") && more) {
            wish.seed = strtoull(argv[++i], NULL, 10);
            n = n ? n : 1;
        } else if (!strcmp(argv[i], "--seeds") && more) {
            n = strtoull(argv[++i], NULL, 10);
        } else if (!strcmp(argv[i], "--users") && more) {
            wish.users = (unsigned)strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "%s [--seed N] [--seeds N] [--users N] [--verbose]\n", argv[0]);
            return 2;
        }
    }
    return run_all(wish, n ? n : SEEDS);
}
