// Closed and open loops over the load driver, and the daemon's counters before and after.
#include "bench/load/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/aside.h"
#include "bench/load/patience.h"

enum {
    AT_ONCE = 64, // begun by an open loop that is late, before it reads again
    SET_UP_ROUNDS = 12,
    SET_UP_REST_US = 1000000,
};

// ---- What the daemon counts

double drive_counter(const struct load *l, const char *name)
{
    char *body = NULL, key[128];
    double sum = 0;
    snprintf(key, sizeof key, "\n%s{", name);
    if (load_rest(l, "GET", "/metrics", &body) == 200)
        for (char *at = strstr(body, key); at; at = strstr(at + 1, key)) {
            const char *value = strchr(at, '}');
            sum += value ? strtod(value + 1, NULL) : 0;
        }
    free(body);
    return sum;
}

uint64_t drive_disk_bytes(const struct load *l)
{
    static const char key[] = "write_bytes:";
    char path[64], line[128];
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "/proc/%d/io", (int)load_pid(l));
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, sizeof key - 1) == 0)
            bytes = strtoull(line + sizeof key - 1, NULL, 10);
    if (f)
        fclose(f);
    return bytes;
}

struct drive_before {
    uint64_t us, cpu_ns, disk_bytes, commits;
    double turns;
    struct aside aside;
};

// Questions over REST cost the daemon a little: they are outside of what is measured.
static void drive_begin(struct drive_before *b, const struct drive *d)
{
    load_figures_reset(d->load);
    aside_begin(&b->aside, load_shards(d->load));
    b->commits = (uint64_t)drive_counter(d->load, "isthmus_commits_total");
    b->turns = drive_counter(d->load, "isthmus_turns_total");
    b->disk_bytes = drive_disk_bytes(d->load);
    b->cpu_ns = load_cpu_ns(d->load);
    b->us = load_now_us();
}

// What it was before, of a daemon that is no more.
static uint64_t since(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

static void drive_end(struct drive_result *r, struct drive_before *b, const struct drive *d)
{
    aside_end(&b->aside);
    double us = (double)(load_now_us() - b->us);
    double cpu_us = (double)since(b->cpu_ns, load_cpu_ns(d->load)) / 1000;
    const struct load_figure *f = load_figure(d->load, d->kind);
    double done = f->done ? (double)f->done : 1;
    double turns = drive_counter(d->load, "isthmus_turns_total") - b->turns;
    *r = (struct drive_result){
        .begun = f->begun,
        .done = f->done,
        .refused = f->refused,
        .lost = f->begun - f->done - f->refused,
        .said_again = f->said_again,
        .cpu_us = cpu_us / done,
        .per_s = done * 1e6 / us,
        .busy = cpu_us / us,
        .per_turn = turns > 0 ? done / turns : 0,
        .disk_bytes = since(b->disk_bytes, drive_disk_bytes(d->load)),
        .commits = since(b->commits, (uint64_t)drive_counter(d->load, "isthmus_commits_total")),
        .latency_us = f->latency_us,
    };
}

// ---- Loops

// The next pair that has no event under way. False: all have.
static bool drive_pick(struct drive *d, unsigned *pair)
{
    for (unsigned tries = 0; tries < d->pairs; tries++) {
        *pair = d->first + d->next;
        d->next = d->next + 1 < d->pairs ? d->next + 1 : 0;
        if (!load_is_under_way(d->load, d->kind, *pair))
            return true;
    }
    return false;
}

static bool closed_loop(struct drive *d, uint64_t events, unsigned window)
{
    unsigned pair, say_every = d->say_every ? d->say_every : DRIVE_SAY_EVERY;
    for (uint64_t i = 0; i < events; i++) {
        if (!patience_wait(d->load, PATIENCE_OF(d->kind), window - 1))
            return false;
        if (drive_pick(d, &pair)) // always: fewer are under way than there are pairs
            load_begin(d->load, d->kind, pair, 0);
        if (i % say_every == say_every - 1)
            load_play(d->load, 0);
    }
    return true;
}

void drive_closed(struct drive_result *out, struct drive *d, uint64_t events)
{
    unsigned window = d->window ? d->window : DRIVE_WINDOW;
    struct drive_before before;
    drive_begin(&before, d);
    if (closed_loop(d, events, window < d->pairs ? window : d->pairs))
        patience_wait(d->load, PATIENCE_OF(d->kind), 0);
    drive_end(out, &before, d);
}

// Begins what is due, but not too much before it reads again.
static uint64_t open_begin(struct drive *d, double per_s, uint64_t begin_us, uint64_t i,
                           uint64_t events)
{
    double since_us = (double)(load_now_us() - begin_us);
    unsigned pair;
    for (unsigned n = 0; n < AT_ONCE && i < events; n++, i++) {
        double due_us = (double)i * 1e6 / per_s;
        if (due_us > since_us || !drive_pick(d, &pair))
            break;
        load_begin(d->load, d->kind, pair, begin_us + (uint64_t)due_us);
    }
    return i;
}

// Never sleeps: who wakes up late would find fault with the daemon.
static bool open_loop(struct drive *d, double per_s, uint64_t events)
{
    uint64_t begin_us = load_now_us(), i = 0;
    struct patience patience = patience_begin(d->load, PATIENCE_OF(d->kind));
    while (i < events) {
        i = open_begin(d, per_s, begin_us, i, events);
        load_play(d->load, 0);
        if (load_under_way(d->load, d->kind) == 0)
            patience = patience_begin(d->load, PATIENCE_OF(d->kind)); // nothing could move
        else if (!patience_lasts(&patience, d->load))
            return false;
    }
    return true;
}

void drive_open(struct drive_result *out, struct drive *d, double per_s, double seconds)
{
    struct drive_before before;
    drive_begin(&before, d);
    if (open_loop(d, per_s, (uint64_t)(per_s * seconds)))
        patience_wait(d->load, PATIENCE_OF(d->kind), 0);
    drive_end(out, &before, d);
}

// ---- Subscriptions to begin with

static bool set_up_is_there(const struct load *l, enum load_kind direction, unsigned i)
{
    const struct load_pair *pair = load_pair(l, direction, i);
    return pair->told && pair->live;
}

static unsigned set_up_missing(const struct load *l, enum load_kind direction, unsigned n)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < n; i++)
        missing += !set_up_is_there(l, direction, i);
    return missing;
}

// Those that are not there are asked for once. False: nothing moves any more.
static bool set_up_round(struct load *l, enum load_kind direction, unsigned n, unsigned at_once)
{
    unsigned asked = 0;
    for (unsigned i = 0; i < n; i++) {
        if (set_up_is_there(l, direction, i))
            continue;
        if (!patience_wait(l, PATIENCE_OF(direction), at_once - 1))
            return false;
        load_begin(l, direction, i, 0);
        if (++asked % DRIVE_SAY_EVERY == 0)
            load_play(l, 0);
    }
    return patience_wait(l, PATIENCE_OF(direction), 0);
}

bool drive_set_up(struct load *l, enum load_kind direction, unsigned n)
{
    unsigned at_once = DRIVE_WINDOW;
    bool moves = true;
    for (unsigned round = 0; moves && set_up_missing(l, direction, n); round++) {
        if (round == SET_UP_ROUNDS)
            return false;
        if (round) // who was refused is to wait a while
            load_play_until(l, load_now_us() + SET_UP_REST_US);
        moves = set_up_round(l, direction, n, at_once);
        at_once = at_once > 16 ? at_once / 2 : at_once;
    }
    load_figures_reset(l);
    return moves;
}

// ---- Figures

void drive_say_latency(struct figures *f, const char *who, const struct drive_result *r,
                       const char *suffix, double load)
{
    static const struct {
        const char *name;
        uint32_t of_million;
    } places[] = {{"p50", 500000}, {"p99", 990000}, {"p99.9", 999000}, {"max", 1000000}};
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s%s", places[i].name, suffix);
        figures_say(f, &(struct figure){
                           .who = who,
                           .what = what,
                           .unit = "us",
                           .value = (double)histogram_at(&r->latency_us, places[i].of_million),
                           .x = "load",
                           .at = load,
                       });
    }
}
