// Very many XMPP users come online within a minute, as after a server's restart; and, the second
// figure, all at once.
//
//   her server's probe of her contact, her presence to him
//     ─▶ SUBSCRIBE ─▶ 200, NOTIFY ─▶ 200, his presence to her       (core/watch_session.h)
//     ─▶ NOTIFY ─▶ 200                                              (his dialog, which is there)
//
// Each has one contact, and the two see each other: a login is done when she has his presence and
// he has hers. Before that all have gone offline, so none of their watch dialogs is open. Latency
// counts from when the login was meant to be; 100 ms of it are the gateway's own wait for what may
// follow.
#include "bench/load/drive.h"
#include "bench/load/program.h"
#include "bench/load/patience.h"

static const char help[] =
    "usage: bench_login_storm [OPTION…]\n"
    "N users come online, each with a contact whom she sees and who sees her: CPU time per login,\n"
    "the seconds that all of them take as fast as it goes; then the time that a login takes while\n"
    "N come a minute. --seconds: so much of that minute.\n";

enum {
    WINDOW = 3000, // logins under way
    SAY_EVERY = 16,
    SETTLE_US = 1000000,
    GAP_US = 11000000, // sooner the gateway opens no dialog anew (CORE_ATTEMPT_GAP_S)
};

// Of the one proxy behind which all contacts are; what is above that is paced.
static const char limits[] = "[limits]\nrequests_in_flight_per_peer = 100000\n";

struct storm {
    struct program program;
    uint64_t lost;
    uint64_t opened_us; // when the last dialog was
};

static void storm_login(struct load *l, unsigned i, uint64_t intended_us)
{
    load_begin(l, LOAD_LOGIN, i, intended_us);
    load_begin(l, LOAD_PRESENCE, i, intended_us);
}

// False: nothing moves any more.
static bool storm_wait(struct storm *s, uint64_t most)
{
    struct load *l = s->program.load;
    bool moves = patience_wait(l, PATIENCE_OF(LOAD_LOGIN) | PATIENCE_OF(LOAD_PRESENCE), most);
    if (!moves)
        program_check(&s->program);
    return moves;
}

// The first n go offline, and their dialogs are closed.
static void storm_leave(struct storm *s, unsigned n)
{
    struct load *l = s->program.load;
    load_figures_reset(l);
    for (unsigned i = 0; i < n; i++) {
        load_begin(l, LOAD_LOGOUT, i, 0);
        if (i % SAY_EVERY == SAY_EVERY - 1)
            load_play(l, 0);
        while (load_is_full(l))
            load_play(l, 1000);
    }
    bool all = patience_wait(l, PATIENCE_OF(LOAD_LOGOUT), 0);
    program_check(&s->program);
    if (!all)
        program_die(&s->program, "users go offline, and their dialogs stay");
    uint64_t settled_us = load_now_us() + SETTLE_US, gone_us = s->opened_us + GAP_US;
    load_play_until(l, gone_us > settled_us ? gone_us : settled_us);
    load_figures_reset(l);
}

static void storm_count_lost(struct storm *s)
{
    const struct load_figure *login = load_figure(s->program.load, LOAD_LOGIN);
    const struct load_figure *presence = load_figure(s->program.load, LOAD_PRESENCE);
    s->lost += login->begun - login->done + presence->begun - presence->done;
}

static void storm_all_at_once(struct storm *s)
{
    struct program *p = &s->program;
    struct load *l = p->load;
    storm_leave(s, p->subscriptions);
    uint64_t cpu_ns = load_cpu_ns(l), begin_us = load_now_us();
    bool moves = true;
    for (unsigned i = 0; i < p->subscriptions && moves; i++) {
        storm_login(l, i, 0);
        if (i % SAY_EVERY == SAY_EVERY - 1)
            load_play(l, 0);
        moves = storm_wait(s, 2 * WINDOW);
    }
    storm_wait(s, 0);
    s->opened_us = load_now_us();
    double us = (double)(load_now_us() - begin_us);
    double cpu_us = (double)(load_cpu_ns(l) - cpu_ns) / 1000;
    program_say(p, "cpu", "us/login", cpu_us / p->subscriptions);
    program_say(p, "seconds", "s", us / 1e6);
    program_say(p, "peak", "logins/s", p->subscriptions * 1e6 / us);
    program_say(p, "busy", "% of a core", 100 * cpu_us / us);
    storm_count_lost(s);
}

static void storm_paced(struct storm *s)
{
    struct program *p = &s->program;
    struct load *l = p->load;
    double per_s = p->subscriptions / 60.0;
    unsigned n = (unsigned)(per_s * p->seconds) + 1;
    n = n < p->subscriptions ? n : p->subscriptions;
    storm_leave(s, n);
    uint64_t begin_us = load_now_us();
    for (unsigned i = 0; i < n;) {
        uint64_t due_us = begin_us + (uint64_t)(i * 1e6 / per_s);
        if (due_us <= load_now_us())
            storm_login(l, i++, due_us);
        else
            load_play(l, 0);
    }
    storm_wait(s, 0);
    const struct histogram *h = &load_figure(l, LOAD_LOGIN)->latency_us;
    program_say(p, "p50", "us", (double)histogram_at(h, 500000));
    program_say(p, "p99", "us", (double)histogram_at(h, 990000));
    program_say(p, "max", "us", (double)h->max);
    storm_count_lost(s);
}

int main(int argc, char **argv)
{
    struct storm s = {.program = {.name = "login-storm",
                                  .help = help,
                                  .subscriptions = 100000,
                                  .seconds = 12,
                                  .setup = {.mutual = true, .toml = limits}}};
    struct program *p = &s.program;
    program_begin(p, argc, argv);
    program_start(p);
    program_set_up(p, LOAD_WATCH, p->subscriptions);
    program_set_up(p, LOAD_SERVE, p->subscriptions);
    s.opened_us = load_now_us();
    storm_all_at_once(&s);
    storm_paced(&s);
    program_lost(p, s.lost);
    program_stop(p);
    return program_end(p);
}
