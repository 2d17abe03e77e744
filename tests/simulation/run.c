// Runs a world: a wild phase, a calm one that must come to the truth, changes that must be seen
// without delay, a night without dialogs and a morning, and an end that must leave nothing behind.
#include "run.h"

#include <signal.h>

#include "acts.h"
#include "gateway_live.h"
#include "inspector.h"
#include "net.h"
#include "options.h"
#include "rest.h"
#include "sip_model.h"
#include "xmpp_model.h"

enum { STEP_S = 20 };

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
    gateway_check_memory(w);
}

static struct world *run_world(const struct run_wish *wish)
{
    struct world *w = world_create(wish->seed, wish->verbose);
    w->acts_off = wish->acts_off;
    w->n_acts_off = wish->n_acts;
    options_draw(w, wish->users);
    if (wish->options)
        w->opt = *wish->options;
    pair_create_all(w);
    net_create(w);
    xmpp_create(w);
    sip_create(w);
    inspector_create(w);
    gateway_create(w);
    return w;
}

// A core that asserts takes the process with it, and which seed that was is not to be lost.
static struct world *running;
static bool reports;

static void run_died(int signal_number)
{
    world_broken(running, "the core died of an assertion");
    if (reports)
        world_report(running, stdout);
    fflush(stdout);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

struct run_outcome run(const struct run_wish *wish)
{
    struct world *w = run_world(wish);
    running = w;
    reports = !wish->quiet;
    signal(SIGABRT, run_died);
    run_phases(w);
    signal(SIGABRT, SIG_DFL);
    if (w->failed && reports)
        world_report(w, stdout);
    struct run_outcome o = {.failed = w->failed,
                            .hash = w->hash,
                            .simulated_ms = w->now_ms - w->begin_ms,
                            .messages = w->messages,
                            .n_acts = 2 * (size_t)w->opt.acts,
                            .options = w->opt};
    memcpy(o.faults, w->faults, sizeof o.faults);
    memcpy(o.why, w->why, sizeof o.why);
    gateway_destroy(w);
    inspector_destroy(w);
    sip_destroy(w);
    xmpp_destroy(w);
    net_destroy(w);
    pair_destroy_all(w);
    world_destroy(w);
    return o;
}
