// Events of the load driver: begun, under way, ended; and the turn that reads and writes.
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/load_inner.h"

uint64_t load_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void load_fault(struct load *l, const char *format, ...)
{
    va_list args;
    if (l->faults++)
        return;
    va_start(args, format);
    vsnprintf(l->why, sizeof l->why, format, args);
    va_end(args);
}

uint64_t load_faults(const struct load *l, char why[256])
{
    if (why)
        memcpy(why, l->why, sizeof l->why);
    return l->faults;
}

// ---- Events

const char *load_kind_name(enum load_kind kind)
{
    static const char *const names[LOAD_KINDS] = {
        "watch", "serve", "presence", "notify", "refresh", "unwatch", "unserve", "login", "logout"};
    return names[kind];
}

static bool of_watch(enum load_kind kind)
{
    return kind == LOAD_WATCH || kind == LOAD_NOTIFY || kind == LOAD_UNWATCH ||
           kind == LOAD_LOGIN || kind == LOAD_LOGOUT;
}

struct load_side *load_side(struct load *l, enum load_kind kind, unsigned i)
{
    return of_watch(kind) ? &l->watch[i] : &l->serve[i];
}

unsigned load_user(const struct load *l, unsigned i)
{
    return i / l->setup.per_user;
}

const char *load_watched(const struct load *l)
{
    return l->setup.mutual ? "x" : "j";
}

void load_mix_lengths(struct load *l, bool mixed)
{
    l->mixed = mixed;
}

// 13 has no factor in common with 64: of 64 pairs in a row each has another length.
static unsigned filler_length(const struct load *l, unsigned i)
{
    return l->mixed ? i * 13 % (LOAD_FILLER + 1) : 0;
}

static const char *filler_of(unsigned length)
{
    static const char dots[LOAD_FILLER + 1] =
        "...............................................................";
    return dots + LOAD_FILLER - length;
}

const char *load_filler(const struct load *l, unsigned i)
{
    return filler_of(filler_length(l, i));
}

const char *load_name_filler(const struct load_side *side)
{
    return filler_of(side->name_filler);
}

bool load_is_under_way(const struct load *l, enum load_kind kind, unsigned i)
{
    return l->event[kind][i].intended_us != 0;
}

void load_end(struct load *l, enum load_kind kind, unsigned i, enum load_end how)
{
    struct load_event *e = &l->event[kind][i];
    struct load_figure *f = &l->figure[kind];
    if (!e->intended_us)
        return;
    if (how == LOAD_DONE) {
        f->done++;
        histogram_add(&f->latency_us, l->now_us > e->intended_us ? l->now_us - e->intended_us : 0);
    } else if (how == LOAD_REFUSED) {
        f->refused++;
    } else {
        f->given_up++;
    }
    e->intended_us = 0;
    l->under_way[kind]--;
}

// Names stay what they are, however lengths are mixed later on.
static void load_want(const struct load *l, struct load_side *side, unsigned i)
{
    side->pair.wanted = true;
    if (!side->named)
        side->name_filler = (uint8_t)(filler_length(l, i) / 2);
    side->named = true;
}

void load_begin(struct load *l, enum load_kind kind, unsigned i, uint64_t intended_us)
{
    struct load_event *e = &l->event[kind][i];
    struct load_side *side = load_side(l, kind, i);
    l->figure[kind].begun++;
    if (e->intended_us)
        l->figure[kind].overtaken++;
    else
        l->under_way[kind]++;
    l->now_us = load_now_us();
    e->intended_us = intended_us ? intended_us : l->now_us;
    if (kind == LOAD_WATCH || kind == LOAD_SERVE)
        load_want(l, side, i);
    if (kind == LOAD_UNWATCH || kind == LOAD_UNSERVE)
        side->pair.wanted = side->pair.told = false;
    if (kind == LOAD_PRESENCE || kind == LOAD_NOTIFY)
        e->round = ++side->round;
    if (kind == LOAD_NOTIFY)
        load_notifier_begin(l, i);
    else if (kind == LOAD_SERVE || kind == LOAD_REFRESH || kind == LOAD_UNSERVE)
        load_subscriber_begin(l, kind, i);
    else
        load_xmpp_begin(l, kind, i);
}

const struct load_figure *load_figure(const struct load *l, enum load_kind kind)
{
    return &l->figure[kind];
}

uint64_t load_under_way(const struct load *l, enum load_kind kind)
{
    return l->under_way[kind];
}

uint64_t load_unsaid(const struct load *l)
{
    return l->unsaid;
}

void load_figures_reset(struct load *l)
{
    for (unsigned k = 0; k < LOAD_KINDS; k++) {
        if (l->under_way[k])
            memset(l->event[k], 0, l->setup.pairs * sizeof *l->event[k]);
        l->under_way[k] = 0;
    }
    memset(l->figure, 0, sizeof l->figure);
}

const struct load_pair *load_pair(const struct load *l, enum load_kind direction, unsigned i)
{
    return direction == LOAD_WATCH ? &l->watch[i].pair : &l->serve[i].pair;
}

// ---- The turn

static int turn_wait_ms(const struct load *l, uint64_t wait_us)
{
    if (!wait_us)
        return 0;
    uint64_t now_us = load_now_us(), next_us = load_again_next_us(l);
    uint64_t until_us = next_us > now_us ? next_us - now_us : 0;
    wait_us = until_us < wait_us ? until_us : wait_us;
    return (int)((wait_us + 999) / 1000);
}

void load_play(struct load *l, uint64_t wait_us)
{
    struct pollfd p[3] = {
        {l->stream.listener, POLLIN, 0}, {l->stream.fd, POLLIN, 0}, {l->sip, POLLIN, 0}};
    load_xmpp_flush(l);
    load_sip_flush(l);
    int ready = poll(p, 3, turn_wait_ms(l, wait_us));
    l->now_us = load_now_us();
    if (ready > 0) {
        if (p[1].revents)
            load_xmpp_read(l);
        if (p[0].revents)
            load_xmpp_accept(l);
        if (p[2].revents)
            load_sip_read(l);
    }
    load_again_due(l);
    load_xmpp_flush(l);
    load_sip_flush(l);
}

void load_play_until(struct load *l, uint64_t end_us)
{
    for (uint64_t now_us; (now_us = load_now_us()) < end_us;)
        load_play(l, end_us - now_us);
}

bool load_play_until_over(struct load *l, enum load_kind kind, uint64_t n, unsigned timeout_ms)
{
    uint64_t end_us = load_now_us() + timeout_ms * 1000ull, now_us;
    const struct load_figure *f = &l->figure[kind];
    while (f->done + f->refused + f->given_up + f->overtaken < n) {
        if ((now_us = load_now_us()) >= end_us)
            return false;
        load_play(l, end_us - now_us);
    }
    return true;
}

// ---- Birth and death

static int load_folder(struct load *l)
{
    if (l->setup.dir) {
        snprintf(l->dir, sizeof l->dir, "%s", l->setup.dir);
        return mkdir(l->dir, 0700) && errno != EEXIST ? errno : 0;
    }
    snprintf(l->dir, sizeof l->dir, "/tmp/isthmus-load-XXXXXX");
    return scratch_create(&l->scratch, l->dir);
}

static int load_tables(struct load *l)
{
    unsigned n = l->setup.pairs;
    l->watch = calloc(n, sizeof *l->watch);
    l->serve = calloc(n, sizeof *l->serve);
    bool all = l->watch && l->serve;
    for (unsigned k = 0; k < LOAD_KINDS; k++) {
        l->event[k] = calloc(n, sizeof *l->event[k]);
        all = all && l->event[k];
    }
    return all ? 0 : ENOMEM;
}

int load_create(struct load **out, const struct load_setup *setup)
{
    *out = NULL;
    if (!setup->pairs)
        return EINVAL;
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return ENOMEM;
    l->setup = *setup;
    l->setup.shards = setup->shards ? setup->shards : 1;
    l->setup.per_user = setup->per_user ? setup->per_user : 1;
    l->setup.expires_s = setup->expires_s ? setup->expires_s : 3600;
    l->setup.address = setup->address ? setup->address : "127.0.0.1";
    l->sip = l->stream.fd = l->stream.listener = -1;
    int err = load_tables(l);
    err = err ? err : load_folder(l);
    err = err ? err : load_xmpp_create(l);
    err = err ? err : load_sip_create(l);
    err = err ? err : load_daemon_ports(l);
    err = err ? err : load_daemon_configure(l);
    if (err)
        load_destroy(l);
    else
        *out = l;
    return err;
}

void load_destroy(struct load *l)
{
    if (!l)
        return;
    if (l->pid)
        load_kill(l);
    for (unsigned s = 0; s < LOAD_STAGES; s++)
        while (l->stage[s])
            load_again_end(l, l->stage[s]);
    load_xmpp_destroy(l);
    load_sip_destroy(l);
    scratch_remove(&l->scratch);
    for (unsigned k = 0; k < LOAD_KINDS; k++)
        free(l->event[k]);
    free(l->watch);
    free(l->serve);
    free(l);
}
