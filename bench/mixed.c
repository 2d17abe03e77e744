// A day's mix at speed: all that users do, in the proportions of a day, as fast as it goes and then
// at half of that.
//
// Of a hundred events of pairs of a user and a contact who see each other:
//
//   her presence changes   38   away and back by the hour, meetings, a changed note: 20 in a day
//   his presence changes   38   likewise
//   his dialog's refresh   18   every hour (RFC 3856 §6.4) of a working day
//   she goes offline        1   twice in a day would be 4: but each takes 5 s of real time
//   she comes online        1   (CORE_SESSION_GRACE_MS), and as many pairs as leave meanwhile
//   a contact more          2   in both directions, and one less: in life one of many contacts in
//   a contact less          2   a week, so few would not show
//
// Refreshes of the gateway's own dialogs go by the clock, which nothing makes faster:
// bench/refresh.c measures them. Pairs that log in and out and pairs that come and go are not those
// whose presence changes: nothing of a pair then contradicts another of its events, and none may be
// lost.
#include <stdio.h>

#include "bench/load/drive.h"
#include "bench/load/program.h"
#include "bench/load/patience.h"

static const char help[] =
    "usage: bench_mixed [OPTION…]\n"
    "Presence changes both ways, refreshes, logins and logouts, contacts that come and go, in the\n"
    "proportions of a day: CPU time per event, events a second, latency at half of that, losses.\n"
    "--subscriptions: in each direction.";

enum {
    WINDOW = 256, // under way at a time, of what is answered at once
    SAY_EVERY = 16,
    START_US = 11000000, // sooner the gateway opens no dialog anew (CORE_ATTEMPT_GAP_S)
    BATCH = 64,          // begun by an open loop that is late, before it reads again
};

enum act { HER_CHANGE, HIS_CHANGE, REFRESH, SESSION, ROSTER, ACTS };
static const int weight[ACTS] = {38, 38, 18, 2, 4}; // of a hundred

// Pairs of one part, round and round; `of_hundred` of them all.
struct part {
    unsigned first, n, next;
};

struct mixed {
    struct program program;
    struct part steady[3], session, roster; // steady: one walk for each of the first three acts
    int turn[ACTS];                         // what each act has earned
    enum act held;                          // is next, and waits for a pair; ACTS: none
    uint64_t passed_over, lost;
    uint64_t refused; // set-ups, by a gateway that is kept from its work
};

// ---- Single events

static bool mixed_any(const struct load *l, unsigned i)
{
    for (unsigned k = 0; k < LOAD_KINDS; k++)
        if (load_is_under_way(l, (enum load_kind)k, i))
            return true;
    return false;
}

// The next one of which nothing is under way. False: something is of all that were looked at.
static bool mixed_pick(const struct load *l, struct part *p, unsigned *i)
{
    for (unsigned tries = 0; tries < BATCH; tries++) {
        *i = p->first + p->next;
        p->next = p->next + 1 < p->n ? p->next + 1 : 0;
        if (!mixed_any(l, *i))
            return true;
    }
    return false;
}

// She goes, or comes: with that he sees her.
static void mixed_session(struct load *l, unsigned i, uint64_t intended_us)
{
    if (load_pair(l, LOAD_WATCH, i)->live) {
        load_begin(l, LOAD_LOGOUT, i, intended_us);
    } else {
        load_begin(l, LOAD_LOGIN, i, intended_us);
        load_begin(l, LOAD_PRESENCE, i, intended_us);
    }
}

// One that was refused is asked for again.
static void mixed_roster(struct load *l, unsigned i, uint64_t intended_us)
{
    bool watch = load_pair(l, LOAD_WATCH, i)->told, serve = load_pair(l, LOAD_SERVE, i)->told;
    bool leaves = watch && serve;
    if (leaves || !watch)
        load_begin(l, leaves ? LOAD_UNWATCH : LOAD_WATCH, i, intended_us);
    if (leaves || !serve)
        load_begin(l, leaves ? LOAD_UNSERVE : LOAD_SERVE, i, intended_us);
}

// The act that is due: each in its proportion, spread evenly.
static enum act mixed_next_act(struct mixed *m)
{
    unsigned best = 0;
    for (unsigned a = 0; a < ACTS; a++) {
        m->turn[a] += weight[a];
        best = m->turn[a] > m->turn[best] ? a : best;
    }
    m->turn[best] -= 100;
    return (enum act)best;
}

// False: all pairs that it could be of are busy. What waits so is not lost, and its time is
// counted; but sessions take their own time, whoever waits.
static bool mixed_one(struct mixed *m, uint64_t intended_us)
{
    static const enum load_kind kinds[] = {LOAD_PRESENCE, LOAD_NOTIFY, LOAD_REFRESH};
    struct load *l = m->program.load;
    enum act act = m->held != ACTS ? m->held : mixed_next_act(m);
    struct part *part = act == SESSION ? &m->session : act == ROSTER ? &m->roster : &m->steady[act];
    unsigned i;
    bool found = mixed_pick(l, part, &i);
    m->held = found || act == SESSION ? ACTS : act;
    if (!found)
        m->passed_over += act == SESSION;
    else if (act == SESSION)
        mixed_session(l, i, intended_us);
    else if (act == ROSTER)
        mixed_roster(l, i, intended_us);
    else
        load_begin(l, kinds[act], i, intended_us);
    return m->held == ACTS;
}

// ---- All of them

// Without sessions: they end 5 s after she has gone (CORE_SESSION_GRACE_MS).
enum { MIXED_AT_ONCE = PATIENCE_OF_ALL & ~(1 << LOAD_LOGIN | 1 << LOAD_LOGOUT) };

static bool mixed_wait(struct mixed *m, unsigned kinds, uint64_t most)
{
    bool moves = patience_wait(m->program.load, kinds, most);
    if (!moves)
        program_check(&m->program);
    return moves;
}

static uint64_t mixed_done(struct mixed *m, struct histogram *latency_us)
{
    uint64_t done = 0;
    for (unsigned k = 0; k < LOAD_KINDS; k++) {
        const struct load_figure *f = load_figure(m->program.load, (enum load_kind)k);
        done += f->done;
        bool set_up = k == LOAD_WATCH || k == LOAD_SERVE;
        uint64_t lost = f->begun - f->done - (set_up ? f->refused : 0);
        m->refused += set_up ? f->refused : 0;
        m->lost += lost;
        if (lost)
            fprintf(stderr, "mixed: %llu of %s are lost\n", (unsigned long long)lost,
                    load_kind_name((enum load_kind)k));
        if (latency_us && k != LOAD_LOGIN && k != LOAD_LOGOUT)
            histogram_merge(latency_us, &f->latency_us);
    }
    return done;
}

// Events a second. The CPU time of what outlasts it, sessions, is the events', the time is not.
static double mixed_closed(struct mixed *m)
{
    struct program *p = &m->program;
    struct load *l = p->load;
    load_figures_reset(l);
    uint64_t cpu_ns = load_cpu_ns(l), begin_us = load_now_us();
    for (uint64_t n = 0; n < p->events && mixed_wait(m, MIXED_AT_ONCE, WINDOW);)
        if (!mixed_one(m, 0) || ++n % SAY_EVERY == 0)
            load_play(l, 0);
    mixed_wait(m, MIXED_AT_ONCE, 0);
    double us = (double)(load_now_us() - begin_us);
    double busy_us = (double)(load_cpu_ns(l) - cpu_ns) / 1000;
    mixed_wait(m, PATIENCE_OF_ALL, 0);
    double cpu_us = (double)(load_cpu_ns(l) - cpu_ns) / 1000;
    program_say(p, "cpu", "us/event", cpu_us / (double)mixed_done(m, NULL));
    program_say(p, "peak", "events/s", (double)p->events * 1e6 / us);
    program_say(p, "busy", "% of a core", 100 * busy_us / us);
    return (double)p->events * 1e6 / us;
}

static void mixed_open(struct mixed *m, double per_s)
{
    static struct histogram latency_us;
    struct program *p = &m->program;
    struct load *l = p->load;
    uint64_t events = (uint64_t)(per_s * p->seconds);
    load_figures_reset(l);
    uint64_t begin_us = load_now_us();
    for (uint64_t n = 0; n < events; load_play(l, 0)) {
        double since_us = (double)(load_now_us() - begin_us);
        for (unsigned k = 0; k < BATCH && n < events; k++, n++) {
            double due_us = (double)n * 1e6 / per_s;
            if (due_us > since_us || !mixed_one(m, begin_us + (uint64_t)due_us))
                break;
        }
    }
    mixed_wait(m, PATIENCE_OF_ALL, 0);
    mixed_done(m, &latency_us);
    program_say(p, "p50", "us", (double)histogram_at(&latency_us, 500000));
    program_say(p, "p99", "us", (double)histogram_at(&latency_us, 990000));
    program_say(p, "p99-login", "us",
                (double)histogram_at(&load_figure(l, LOAD_LOGIN)->latency_us, 990000));
    program_say(p, "max", "us", (double)latency_us.max);
}

// A third of them change, half come and go online, the rest come and go for good.
static void mixed_parts(struct mixed *m, unsigned n)
{
    unsigned steady = n / 3, session = n / 2;
    for (unsigned i = 0; i < 3; i++)
        m->steady[i] = (struct part){.first = 0, .n = steady, .next = steady / 3 * i};
    m->session = (struct part){.first = steady, .n = session};
    m->roster = (struct part){.first = steady + session, .n = n - steady - session};
}

// Every other one of those who come and go is offline.
static void mixed_leave(struct mixed *m)
{
    struct load *l = m->program.load;
    for (unsigned i = 1; i < m->session.n; i += 2) {
        load_begin(l, LOAD_LOGOUT, m->session.first + i, 0);
        while (i % SAY_EVERY == 1 && load_is_full(l))
            load_play(l, 1000);
    }
    bool all = patience_wait(l, PATIENCE_OF(LOAD_LOGOUT), 0);
    program_check(&m->program);
    if (!all)
        program_die(&m->program, "users go offline, and their dialogs stay");
}

int main(int argc, char **argv)
{
    struct mixed m = {.program = {.name = "mixed",
                                  .help = help,
                                  .subscriptions = 30000,
                                  .events = 200000,
                                  .seconds = 6,
                                  .setup.mutual = true},
                      .held = ACTS};
    struct program *p = &m.program;
    program_begin(p, argc, argv);
    if (p->subscriptions < 10)
        program_die(p, "it takes at least ten subscriptions");
    mixed_parts(&m, p->subscriptions);
    program_start(p);
    program_set_up(p, LOAD_WATCH, p->subscriptions);
    program_set_up(p, LOAD_SERVE, p->subscriptions);
    mixed_leave(&m);
    load_play_until(p->load, load_now_us() + START_US);
    mixed_open(&m, mixed_closed(&m) / 2);
    program_say(p, "sessions-left-out", "events", (double)m.passed_over);
    program_say(p, "refused", "events", (double)m.refused);
    program_lost(p, m.lost);
    program_stop(p);
    return program_end(p);
}
