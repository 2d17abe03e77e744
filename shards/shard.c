// A shard from birth to end: its store and core restored, its ports bound, its thread run and
// joined.
#include "shards/shard.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shards/log.h"
#include "shards/shard_inner.h"

static int fail(struct store_error *why, const char *what, int error)
{
    snprintf(why->text, sizeof why->text, "%s: %s", what, strerror(error));
    return error;
}

static int shard_open_epoll(struct shard *s)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        return errno;
    // Edge-triggered: each ring of the bell is one event, and nobody needs to read the count.
    struct epoll_event bell = {.events = EPOLLIN | EPOLLET,
                               .data.u64 = shard_tag(SHARD_TAG_BELL, 0)};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->end.fabric->wake[s->index].fd, &bell) ? errno : 0;
}

static int shard_allocate(struct shard *s, const struct config *cfg)
{
    size_t streams = (size_t)STREAM_DOMAINS_MAX * s->connections;
    s->homed_by = calloc(streams, sizeof *s->homed_by);
    s->up = calloc(streams, sizeof *s->up);
    s->owed = calloc(streams, sizeof *s->owed);
    s->scratch = malloc(XMPP_STREAM_READ_BYTES);
    if (!s->homed_by || !s->up || !s->owed || !s->scratch)
        return ENOMEM;
    return sip_parser_create(&s->parser, cfg->limits.sip_message_bytes);
}

static void shard_initialize(struct shard *s, const struct shard_setup *setup)
{
    const struct config *cfg = setup->cfg;
    *s = (struct shard){.index = setup->index,
                        .shards = setup->fabric->shards,
                        .connections = cfg->xmpp.connections,
                        .clock = setup->clock,
                        .stopping = setup->stopping,
                        .table = setup->table,
                        .limits = {cfg->limits.stanza_bytes, cfg->limits.stanza_depth},
                        .now_ms = clock_now_ms(setup->clock),
                        .epoll = -1};
    fabric_end_init(&s->end, setup->fabric, setup->index);
    effects_init(&s->fx);
    pthread_mutex_init(&s->failing_mutex, NULL);
    atomic_init(&s->turn_ms, s->now_ms);
}

static int shard_open(struct shard *s, const struct shard_setup *setup, struct store_error *why)
{
    int error = shard_allocate(s, setup->cfg);
    if (!error)
        error = shard_conceive(s, setup);
    if (!error)
        error = shard_open_epoll(s);
    if (error)
        return fail(why, "shard", error);
    if ((error = store_shard_open(&s->store, setup->store, s->index, why)))
        return error;
    error = shard_bear(s, why);
    return error ? error : shard_open_ports(s, setup, why);
}

int shard_create(struct shard **out, const struct shard_setup *setup, struct store_error *why)
{
    struct shard *s = malloc(sizeof *s);
    *out = NULL;
    if (!s)
        return fail(why, "shard", ENOMEM);
    shard_initialize(s, setup);
    int error = shard_open(s, setup, why);
    if (error)
        shard_destroy(s);
    else
        *out = s;
    return error;
}

// One core each, of those that the process may use. A shard that can't have it runs anywhere.
static void shard_pin(const struct shard *s)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    int error = pthread_getaffinity_np(pthread_self(), sizeof all, &all);
    int wanted = error ? 0 : (int)s->index % CPU_COUNT(&all);
    for (int cpu = 0; !error && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && wanted-- == 0)
            CPU_SET(cpu, &one);
    if (!error)
        error = pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    if (error)
        log_warn("shard_not_pinned", "shard", LOG_U64(s->index), "why", strerror(error), NULL);
}

// What other shards had on the way to us, and we to them, gets there before the streams are closed.
static void shard_finish(struct shard *s)
{
    uint64_t begin_ms = clock_now_ms(s->clock);
    for (uint64_t now_ms = begin_ms;
         now_ms < begin_ms + SHARD_FINISH_MS ||
         (now_ms < begin_ms + SHARD_FINISH_MOST_MS && (s->held || fabric_is_congested(&s->end)));
         now_ms = clock_now_ms(s->clock))
        shard_turn(s, true);
    shard_farewell(s);
}

static void *shard_main(void *arg)
{
    struct shard *s = arg;
    shard_pin(s);
    while (!atomic_load(s->stopping))
        shard_turn(s, false);
    shard_finish(s);
    return NULL;
}

int shard_start(struct shard *s)
{
    int error = pthread_create(&s->thread, NULL, shard_main, s);
    s->running = !error;
    char name[16];
    snprintf(name, sizeof name, "shard-%u", s->index);
    if (s->running)
        pthread_setname_np(s->thread, name);
    return error;
}

void shard_join(struct shard *s)
{
    if (s->running)
        pthread_join(s->thread, NULL);
    s->running = false;
}

// Messages that came too late own what they point to.
static void shard_discard_rings(struct shard *s)
{
    for (unsigned from = 0; from < s->end.fabric->peers; from++) {
        struct ring *r = fabric_from(&s->end, from);
        size_t n;
        for (const void *p; r && (p = ring_front(r, &n)) != NULL; ring_pop(r)) {
            if (((const struct message *)p)->kind == MESSAGE_SETTINGS)
                settings_destroy(((const struct message_pointer *)p)->p);
            else if (((const struct message *)p)->kind == MESSAGE_STREAM_OPEN)
                close(((const struct message_stream *)p)->fd);
        }
    }
}

void shard_destroy(struct shard *s)
{
    if (!s)
        return;
    shard_discard_rings(s);
    for (size_t i = 0; i < s->n_homed; i++) {
        xmpp_stream_destroy(s->homed[i]->xmpp);
        free(s->homed[i]);
    }
    for (size_t i = 0; i < s->n_ports; i++)
        if (s->port[i].port)
            s->port[i].port->ops->close(s->port[i].port);
    core_destroy(s->core);
    settings_destroy(s->settings);
    free(s->origin);
    if (s->store)
        store_shard_close(s->store);
    sip_parser_destroy(s->parser);
    if (s->epoll >= 0)
        close(s->epoll);
    effects_free(&s->fx);
    fabric_end_free(&s->end);
    pthread_mutex_destroy(&s->failing_mutex);
    free(s->change);
    free(s->homed);
    free(s->homed_by);
    free(s->up);
    free(s->owed);
    free(s->scratch);
    free(s);
}

static void read_published(uint64_t *out, const uint64_t *shown, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = __atomic_load_n(&shown[i], __ATOMIC_RELAXED);
}

void shard_counters_read(const struct shard *s, struct shard_counters *out, struct core_stats *core)
{
    read_published((uint64_t *)out, (const uint64_t *)&s->count_shown, sizeof *out / 8);
    read_published((uint64_t *)core, (const uint64_t *)&s->core_shown, sizeof *core / 8);
}

bool shard_is_failing(struct shard *s, char *why, size_t n)
{
    pthread_mutex_lock(&s->failing_mutex);
    snprintf(why, n, "%s", s->failing);
    pthread_mutex_unlock(&s->failing_mutex);
    uint64_t silent_ms =
        clock_now_ms(s->clock) - atomic_load_explicit(&s->turn_ms, memory_order_relaxed);
    if (!*why && silent_ms > SHARD_SILENT_MS)
        snprintf(why, n, "no turn for %llu s", (unsigned long long)silent_ms / 1000);
    return *why;
}
