// Closed and open loops over the load driver, and the daemon's counters before and after.
#include "bench/load/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/aside.h"

enum {
    AT_ONCE = 64, // begun by an open loop that is late, before it reads again
    PATIENCE_US = 40000000,
    WAIT_US = 100000,
    SET_UP_TRIES = 10,
    SET_UP_WAIT_US = 1000000,
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

static uint64_t drive_over(const struct drive *d)
{
    const struct load_figure *f = load_figure(d->load, d->kind);
    return f->done + f->refused + f->given_up + f->overtaken;
}

// When something was over last.
struct drive_pulse {
    uint64_t over, us;
};

static struct drive_pulse drive_pulse_begin(const struct drive *d)
{
    return (struct drive_pulse){drive_over(d), load_now_us()};
}

// False: nothing moves any more, and will not.
static bool drive_moves(struct drive *d, struct drive_pulse *p)
{
    uint64_t over = drive_over(d), now_us = load_now_us();
    if (over != p->over)
        *p = (struct drive_pulse){over, now_us};
    if (now_us - p->us < WAIT_US)
        return true;
    return now_us - p->us < PATIENCE_US && load_alive(d->load, NULL);
}

// Until no more than `most` are under way. False: it does not come to that.
static bool drive_wait(struct drive *d, uint64_t most)
{
    struct drive_pulse pulse = drive_pulse_begin(d);
    while (load_under_way(d->load, d->kind) > most) {
        load_play(d->load, WAIT_US);
        if (!drive_moves(d, &pulse))
            return false;
    }
    return true;
}

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
        if (!drive_wait(d, window - 1))
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
        drive_wait(d, 0);
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
    struct drive_pulse pulse = drive_pulse_begin(d);
    while (i < events) {
        i = open_begin(d, per_s, begin_us, i, events);
        load_play(d->load, 0);
        if (load_under_way(d->load, d->kind) == 0)
            pulse = drive_pulse_begin(d); // nothing is there that could move
        else if (!drive_moves(d, &pulse))
            return false;
    }
    return true;
}

void drive_open(struct drive_result *out, struct drive *d, double per_s, double seconds)
{
    struct drive_before before;
    drive_begin(&before, d);
    if (open_loop(d, per_s, (uint64_t)(per_s * seconds)))
        drive_wait(d, 0);
    drive_end(out, &before, d);
}

// A pair that is not told yet and has nothing under way was refused.
static bool set_up_again(struct drive *d)
{
    for (unsigned i = d->first; i < d->first + d->pairs; i++) {
        if (load_pair(d->load, d->kind, i)->told || load_is_under_way(d->load, d->kind, i))
            continue;
        if (!drive_wait(d, DRIVE_WINDOW - 1))
            return false;
        load_begin(d->load, d->kind, i, 0);
    }
    return drive_wait(d, 0);
}

static bool set_up_is_done(const struct drive *d)
{
    for (unsigned i = d->first; i < d->first + d->pairs; i++)
        if (!load_pair(d->load, d->kind, i)->told)
            return false;
    return true;
}

bool drive_set_up(struct drive *d)
{
    bool moves = true;
    for (unsigned tries = 0; moves && tries < SET_UP_TRIES && !set_up_is_done(d); tries++) {
        if (tries) // who was refused is to wait a while
            load_play_until(d->load, load_now_us() + SET_UP_WAIT_US);
        moves = set_up_again(d);
    }
    return set_up_is_done(d);
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
