// A stand-in for the shards behind the API: tables of subscriptions, and parts that fail on demand.
//
// core_list() here walks a table; the rest of the way is the real one. A header, since a program
// that includes it has no core: it must not be linked to the tests that have one. Guarded by a
// lock, for the API's thread reads it too.
#ifndef TESTS_LOOPBACK_API_WORLD_H
#define TESTS_LOOPBACK_API_WORLD_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "api/api.h"
#include "shards/admin.h"
#include "shards/resolver.h"

enum { WORLD_SHARDS = 3, WORLD_STREAMS = 2 };

struct world_shard {
    struct core_subscription_view *v;
    size_t n;
    int ask_error;       // what asking returns; 0: an answer
    unsigned ask_ms;     // how long an answer takes
    int garble;          // bytes that the answer is too long, or (negative) too short
    const char *failing; // "" : ready
};

struct core {
    const struct world_shard *shard;
};

struct api_world {
    pthread_mutex_t lock;
    struct world_shard shard[WORLD_SHARDS];
    struct shards_stream stream[WORLD_STREAMS];
    unsigned questions;
};

// "sip:romeo1@example.net" is mapped to what follows the scheme.
static inline bool matches(const struct core_subscription_view *s, const struct core_filter *f)
{
    struct text sip = {s->sip.p + 4, s->sip.n - 4};
    return (!f->jid.n || text_eq(f->jid, s->xmpp)) && (!f->sip_jid.n || text_eq(f->sip_jid, sip)) &&
           (f->direction < 0 || f->direction == (int)s->direction) &&
           (f->state < 0 || f->state == (int)s->state);
}

uint64_t core_list(const struct core *core, const struct core_filter *filter, uint64_t cursor,
                   size_t scan_max, bool (*each)(void *, const struct core_subscription_view *),
                   void *arg, uint64_t now_ms)
{
    const struct world_shard *s = core->shard;
    uint64_t i = cursor;
    (void)now_ms;
    for (; i < s->n && scan_max; i++, scan_max--)
        if (matches(&s->v[i], filter) && !each(arg, &s->v[i]))
            break;
    return i < s->n ? i : 0;
}

static inline unsigned count(void *ctx)
{
    (void)ctx;
    return WORLD_SHARDS;
}

// Figures that tell shards and fields apart.
static inline void counters(void *ctx, unsigned shard, struct shard_counters *out,
                            struct core_stats *core)
{
    struct api_world *w = ctx;
    *out = (struct shard_counters){.turns_total = 100 + shard,
                                   .ring_full_total = 200 + shard,
                                   .store_bytes = 4096 * (shard + 1),
                                   .turn_us_sum = 1500001};
    *core = (struct core_stats){.events = 300 + shard,
                                .users = 400 + shard,
                                .dialogs = 500 + shard,
                                .client_transactions = 10,
                                .server_transactions = 20 + shard};
    out->turn_us_bucket[0] = 1;
    out->turn_us_bucket[5] = 2;
    out->turn_us_bucket[31] = 4;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->shard[shard].n; i++)
        core->by_state[w->shard[shard].v[i].direction][w->shard[shard].v[i].state]++;
    core->subscriptions = w->shard[shard].n;
    pthread_mutex_unlock(&w->lock);
}

static inline void resolver(void *ctx, struct resolver_counters *out)
{
    (void)ctx;
    *out = (struct resolver_counters){.lookups_total = 601,
                                      .joined_total = 602,
                                      .refused_total = 603,
                                      .failures_total = 604,
                                      .nowhere_total = 605,
                                      .queries_total = 606,
                                      .in_flight = 607,
                                      .lookup_us_sum = 2000001};
    out->lookup_us_bucket[4] = 3;
}

static inline size_t streams(void *ctx, struct shards_stream *out, size_t max)
{
    struct api_world *w = ctx;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < WORLD_STREAMS && i < max; i++)
        out[i] = w->stream[i];
    pthread_mutex_unlock(&w->lock);
    return WORLD_STREAMS;
}

static inline bool part_failing(void *ctx, unsigned shard, char *why, size_t n)
{
    struct api_world *w = ctx;
    pthread_mutex_lock(&w->lock);
    snprintf(why, n, "%s", w->shard[shard].failing);
    pthread_mutex_unlock(&w->lock);
    return why[0] != '\0';
}

static inline int answer(struct world_shard *s, const void *question, size_t n, void *out,
                         size_t cap, size_t *out_n)
{
    const struct core core = {s};
    struct buffer b;
    buffer_init(&b, cap);
    usleep(s->ask_ms * 1000);
    int rc = s->ask_error ? s->ask_error : admin_answer(&core, question, n, 0, &b);
    if (rc == 0) {
        memcpy(out, b.p, b.n);
        *out_n = b.n + (size_t)s->garble;
    }
    buffer_free(&b);
    return rc;
}

static inline int ask(void *ctx, unsigned shard, const void *question, size_t n, void *out,
                      size_t cap, size_t *out_n, int timeout_ms)
{
    struct api_world *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->questions++;
    int rc = w->shard[shard].ask_ms > (unsigned)timeout_ms
                 ? ETIMEDOUT
                 : answer(&w->shard[shard], question, n, out, cap, out_n);
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static inline struct api_source world_source(struct api_world *w)
{
    return (struct api_source){w, count, counters, resolver, streams, part_failing, ask};
}

// An API of that source that listens and answers. On error *out is NULL.
static inline int world_start_api(struct api **out, const struct api_settings *settings,
                                  const struct api_source *source, struct store_error *why)
{
    int rc = api_listen_on(out, settings, source, why);
    if (rc == 0 && (rc = api_start(*out, why))) {
        api_stop(*out);
        *out = NULL;
    }
    return rc;
}

static inline struct api_world *world_create(void)
{
    struct api_world *w = calloc(1, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    for (int i = 0; i < WORLD_SHARDS; i++)
        w->shard[i].failing = "";
    strcpy(w->stream[0].domain, "example.net");
    strcpy(w->stream[1].domain, "gw.example.net");
    for (int i = 0; i < WORLD_STREAMS; i++) {
        w->stream[i].up = true;
        w->stream[i].since_ms = 1700000000123;
    }
    return w;
}

static inline void world_destroy(struct api_world *w)
{
    for (int i = 0; i < WORLD_SHARDS; i++) {
        for (size_t k = 0; k < w->shard[i].n; k++)
            free((char *)w->shard[i].v[k].xmpp.p); // one block for all of its text
        free(w->shard[i].v);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static inline struct world_shard *world_lock(struct api_world *w, unsigned shard)
{
    pthread_mutex_lock(&w->lock);
    return &w->shard[shard];
}

static inline void world_unlock(struct api_world *w)
{
    pthread_mutex_unlock(&w->lock);
}

static inline void world_set_stream(struct api_world *w, unsigned stream, bool up, const char *why)
{
    pthread_mutex_lock(&w->lock);
    w->stream[stream].up = up;
    snprintf(w->stream[stream].why, sizeof w->stream[stream].why, "%s", why);
    pthread_mutex_unlock(&w->lock);
}

static inline unsigned world_questions(struct api_world *w)
{
    pthread_mutex_lock(&w->lock);
    unsigned n = w->questions;
    pthread_mutex_unlock(&w->lock);
    return n;
}

// A subscription as the tests like it; the number makes its addresses and dialogs.
static inline void world_add(struct api_world *w, unsigned shard, uint64_t id, unsigned number,
                             enum core_direction direction, enum core_state state)
{
    enum { PART = 64 };
    struct world_shard *s = world_lock(w, shard);
    char *text = malloc(2 * PART);
    if ((s->n & (s->n - 1)) == 0)
        s->v = realloc(s->v, (s->n ? 2 * s->n : 1) * sizeof *s->v);
    struct core_subscription_view *v = &s->v[s->n++];
    *v = (struct core_subscription_view){.id = id,
                                         .direction = direction,
                                         .state = state,
                                         .expires_in_s = 3000 + number,
                                         .created_at_ms = 1700000000123};
    snprintf(text, PART, "juliet%u@example.com", number);
    snprintf(text + PART, PART, "sip:romeo%u@example.net", number);
    v->xmpp = text_of(text);
    v->sip = text_of(text + PART);
    if (state == STATE_ACTIVE) {
        v->n_dialogs = 1;
        v->dialogs[0] = (struct core_dialog_view){TEXT("call@id"), v->sip, 3000 + number};
    }
    world_unlock(w);
}

#endif
