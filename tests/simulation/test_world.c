// Runs worlds from seeds (run.h).
//
//   simulation_world [--seed N] [--seeds N] [--first N] [--users N] [--verbose] [--until-failure]
//                    [--set OPTION=N,...] [--without ACTS] [--shrink [--limit SECONDS]]
#include <stdlib.h>
#include <time.h>

#include "core/wire/digest.h"
#include "options.h"
#include "run.h"
#include "shrink.h"
#include "tests/number.h"

enum { FIRST_SEED = 1, SEEDS = 300, SEEDS_MAX = 1000000000, TWICE_EVERY = 50, SHRINK_S = 120 };

struct command {
    struct run_wish wish;
    uint64_t seeds; // 0: as many as usual
    bool until_failure, shrink;
    unsigned limit_s;
    const char *set;
    struct act_set without;
};

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

// The options that the seed draws, but for those that were set.
static bool set_options(const struct command *o, uint64_t seed, struct options *out)
{
    struct world *w = world_create(seed, false);
    options_draw(w, o->wish.users);
    *out = w->opt;
    world_destroy(w);
    return shrink_set(out, o->set) == 0;
}

static int run_all(const struct command *o, uint64_t n)
{
    struct sum sum = {0};
    struct run_wish wish = o->wish;
    struct options set;
    clock_t begin = clock();
    for (; wish.seed < o->wish.seed + n && !(o->until_failure && sum.failed); wish.seed++) {
        if (o->set && !set_options(o, wish.seed, &set))
            return 2;
        wish.options = o->set ? &set : NULL;
        run_one(wish, (wish.seed - o->wish.seed) % TWICE_EVERY == 0, &sum);
    }
    double real_s = (double)(clock() - begin) / CLOCKS_PER_SEC,
           hours = (double)sum.simulated_ms / 3.6e6;
    bool all = n == 1 || sum.failed || print_faults(&sum, o->set ? 0 : n);
    printf("%llu of %llu seeds failed; %.1f hours and %llu messages in %.1f s: %.2f hours per s\n",
           (unsigned long long)sum.failed, (unsigned long long)n, hours,
           (unsigned long long)sum.messages, real_s, hours / real_s);
    return sum.failed || !all;
}

static int run_command(struct command *o)
{
    if (o->shrink)
        return shrink(o->wish.seed, o->wish.users, o->limit_s);
    o->wish.acts_off = o->without.has;
    o->wish.n_acts = o->without.n;
    return run_all(o, o->seeds ? o->seeds : SEEDS);
}

static bool take_flag(struct command *o, const char *name)
{
    if (!strcmp(name, "--verbose"))
        o->wish.verbose = true;
    else if (!strcmp(name, "--until-failure"))
        o->until_failure = true;
    else if (!strcmp(name, "--shrink"))
        o->shrink = true;
    else
        return false;
    return true;
}

static bool take_value(struct command *o, const char *name, const char *value)
{
    if (!strcmp(name, "--seed")) {
        o->seeds = o->seeds ? o->seeds : 1;
        return number_u64(value, 0, UINT64_MAX, &o->wish.seed);
    }
    if (!strcmp(name, "--seeds"))
        return number_u64(value, 1, SEEDS_MAX, &o->seeds);
    if (!strcmp(name, "--first"))
        return number_u64(value, 0, UINT64_MAX - SEEDS_MAX, &o->wish.seed);
    if (!strcmp(name, "--users"))
        return number_of(value, 1, UINT32_MAX, &o->wish.users);
    if (!strcmp(name, "--limit"))
        return number_of(value, 1, UINT32_MAX, &o->limit_s);
    if (!strcmp(name, "--set")) {
        o->set = value;
        return true;
    }
    return !strcmp(name, "--without") && act_set_parse(&o->without, value) == 0;
}

// OpenSSL asks for memory at its first use that it does not ask for again: the first run would have
// other places to be refused it than the second.
static void warm_up(void)
{
    static const enum digest_algorithm all[] = {DIGEST_MD5, DIGEST_SHA256};
    struct buffer b;
    buffer_init(&b, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        digest_write(&b, &(struct digest){.algorithm = all[i]}, TEXT("SUBSCRIBE"), TEXT("sip:a@b"));
    buffer_free(&b);
}

int main(int argc, char **argv)
{
    struct command o = {.wish = {.seed = FIRST_SEED}, .limit_s = SHRINK_S};
    bool good = true;
    for (int i = 1; i < argc && good; i++) {
        if (take_flag(&o, argv[i]))
            continue;
        good = i + 1 < argc && take_value(&o, argv[i], argv[i + 1]);
        i++;
    }
    warm_up();
    int status = good ? run_command(&o) : 2;
    if (status == 2)
        fprintf(stderr,
                "%s [--seed N] [--seeds N] [--first N] [--users N] [--verbose] [--until-failure]\n"
                "    [--set OPTION=N,...] [--without ACTS] [--shrink [--limit SECONDS]]\n",
                argv[0]);
    act_set_free(&o.without);
    return status;
}
