// All shards of the process: threads, rings, wires and stores, started and stopped as one.
#include "shards/shards.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "shards/admin.h"
#include "shards/log.h"
#include "shards/resolver.h"
#include "shards/shard.h"
#include "shards/sip_tls.h"
#include "shards/xmpp_connect.h"

struct shards {
    unsigned n;
    struct clock clock;
    _Atomic bool stopping;
    bool running;
    struct fabric *fabric;
    struct stream_table *table;
    struct sip_tls *tls;
    struct xmpp_connect *connector;
    struct resolver *resolver;
    struct shard *shard[CORE_SHARDS_MAX];
    // Reload is main's; questions are the API's. The locks hold even if more than one thread is so.
    pthread_mutex_t reload_mutex, ask_mutex;
    struct fabric_end main_end, admin_end;
    uint64_t asked; // sequence number of the last question
};

static int fail(struct store_error *why, const char *what, int error)
{
    snprintf(why->text, sizeof why->text, "%s: %s", what, strerror(error));
    return error;
}

// The largest thing that crosses a ring: a parsed SIP message is up to four times its datagram,
// text in XML up to six times what it was, an answer of the API's has its own limit.
static size_t message_max(const struct config *cfg)
{
    enum { HEADS = 8192 };
    size_t n = ADMIN_ANSWER_MAX;
    if (n < 6 * (size_t)cfg->limits.sip_message_bytes)
        n = 6 * (size_t)cfg->limits.sip_message_bytes;
    if (n < 2 * (size_t)cfg->limits.stanza_bytes)
        n = 2 * (size_t)cfg->limits.stanza_bytes;
    return n + HEADS;
}

// The core decides which streams there are to be. This one is made for that question alone: a
// running one belongs to its shard. It is also where a bad trust list shows, before any shard has
// it.
static int ask_core_for_domains(struct core **out, const struct config *cfg,
                                const struct settings *settings)
{
    struct core_realm realms[CORE_REALMS_MAX];
    struct core_config core = {.shards = 1, .first_id = 1};
    settings_fill_core(&core, realms, cfg, settings);
    return core_create(out, &core);
}

static int want_streams(struct shards *s, const struct config *cfg, const struct settings *settings)
{
    static struct text name[CORE_DOMAINS_MAX + 1]; // main's thread, or under the reload lock
    struct core *core;
    int error = ask_core_for_domains(&core, cfg, settings);
    if (error)
        return error;
    size_t n = 0;
    while (n <= CORE_DOMAINS_MAX && (name[n] = core_domain_name(core, (unsigned)n)).n)
        n++;
    error = stream_table_want(s->table, name, n, clock_now_ms(&s->clock));
    core_destroy(core);
    return error;
}

// A client's certificate is wanted for connections that we open, so this is there without `tls:` in
// [sip] listen too.
static int shards_create_tls(struct shards *s, const struct config *cfg, struct store_error *why)
{
    struct sip_tls_files files;
    struct sip_tls_error error;
    sip_tls_files_of(&files, cfg);
    int failed = sip_tls_create(&s->tls, &files, &error);
    if (failed)
        snprintf(why->text, sizeof why->text, "sip.tls.%s: %s", sip_tls_key_text(error.key),
                 error.text);
    return failed;
}

static int shards_create_connector(struct shards *s, const struct config *cfg)
{
    struct xmpp_connect_setup setup = {.fabric = s->fabric,
                                       .table = s->table,
                                       .clock = &s->clock,
                                       .connections = cfg->xmpp.connections,
                                       .host = cfg->xmpp.server_host,
                                       .secret = cfg->xmpp.secret,
                                       .port = cfg->xmpp.server_port};
    return xmpp_connect_create(&s->connector, &setup);
}

static int shards_create_resolver(struct shards *s, const struct config *cfg)
{
    struct resolver_setup setup = {.fabric = s->fabric, .cfg = cfg};
    return resolver_create(&s->resolver, &setup);
}

static int shards_open(struct shards *s, const struct config *cfg, struct store *store,
                       struct store_error *why)
{
    struct settings *settings;
    int error = settings_create(&settings, cfg);
    if (error)
        return fail(why, "settings", error);
    if ((error = fabric_create(&s->fabric, s->n, message_max(cfg))))
        error = fail(why, "rings", error);
    else if ((error = stream_table_create(&s->table, cfg->xmpp.connections)) ||
             (error = shards_create_connector(s, cfg)))
        error = fail(why, "connector", error);
    else if ((error = shards_create_resolver(s, cfg)))
        error = fail(why, "resolver", error);
    else if ((error = want_streams(s, cfg, settings)))
        error = fail(why, "trust", error);
    else
        error = shards_create_tls(s, cfg, why);
    unsigned former_shards = store_former_shards(store, clock_now_ms(&s->clock));
    for (unsigned i = 0; !error && i < s->n; i++) {
        struct shard_setup setup = {.index = i,
                                    .former_shards = former_shards,
                                    .cfg = cfg,
                                    .settings = settings,
                                    .store = store,
                                    .fabric = s->fabric,
                                    .table = s->table,
                                    .tls = s->tls,
                                    .clock = &s->clock,
                                    .stopping = &s->stopping};
        error = shard_create(&s->shard[i], &setup, why);
    }
    settings_destroy(settings);
    return error;
}

int shards_create(struct shards **out, const struct config *cfg, struct store *store,
                  struct store_error *why)
{
    *out = NULL;
    if (cfg->gateway.shards < 1 || cfg->gateway.shards > CORE_SHARDS_MAX)
        return fail(why, "gateway.shards", EINVAL);
    struct shards *s = calloc(1, sizeof *s);
    if (!s)
        return fail(why, "shards", ENOMEM);
    s->n = cfg->gateway.shards;
    clock_start(&s->clock);
    pthread_mutex_init(&s->reload_mutex, NULL);
    pthread_mutex_init(&s->ask_mutex, NULL);
    int error = shards_open(s, cfg, store, why);
    if (error) {
        shards_destroy(s);
        return error;
    }
    fabric_end_init(&s->main_end, s->fabric, fabric_main(s->fabric));
    fabric_end_init(&s->admin_end, s->fabric, fabric_admin(s->fabric));
    *out = s;
    return 0;
}

// Signals are main's to take: its threads inherit a mask that blocks them all.
int shards_start(struct shards *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    s->running = true;
    int error = 0;
    for (unsigned i = 0; !error && i < s->n; i++)
        error = shard_start(s->shard[i]);
    if (!error)
        error = resolver_start(s->resolver);
    if (!error)
        error = xmpp_connect_start(s->connector);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        shards_stop(s);
    return error;
}

// The connector first: what it would still hand over, no shard would take; nor what the resolver
// would find.
void shards_stop(struct shards *s)
{
    if (!s->running)
        return;
    xmpp_connect_stop(s->connector);
    resolver_stop(s->resolver);
    atomic_store(&s->stopping, true);
    for (unsigned i = 0; i < s->n; i++)
        wake_ring_surely(&s->fabric->wake[i]);
    for (unsigned i = 0; i < s->n; i++)
        shard_join(s->shard[i]);
    s->running = false;
}

void shards_destroy(struct shards *s)
{
    if (!s)
        return;
    assert(!s->running);
    for (unsigned i = 0; i < s->n; i++)
        shard_destroy(s->shard[i]);
    fabric_end_free(&s->main_end);
    fabric_end_free(&s->admin_end);
    xmpp_connect_destroy(s->connector);
    resolver_destroy(s->resolver);
    stream_table_destroy(s->table);
    sip_tls_destroy(s->tls);
    fabric_destroy(s->fabric);
    pthread_mutex_destroy(&s->reload_mutex);
    pthread_mutex_destroy(&s->ask_mutex);
    free(s);
}

static void settings_free_all(struct settings **v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        settings_destroy(v[i]);
}

// All or none of them are told: nobody would come back to push on what did not fit.
static bool can_tell_all(struct shards *s)
{
    struct ring *const *to = s->fabric->ring[s->main_end.self];
    bool room = ring_has_room(to[fabric_connector(s->fabric)], sizeof(struct message));
    for (unsigned i = 0; i < s->n; i++)
        room = room && ring_has_room(to[i], sizeof(struct message_pointer));
    return room;
}

static void tell_all(struct shards *s, struct settings **copy)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct message_pointer m = {.kind = MESSAGE_SETTINGS, .p = copy[i]};
        int error = fabric_send(&s->main_end, i, &m, sizeof m, (struct text){0});
        assert(!error);
    }
    struct message wanted = {.kind = MESSAGE_WANTED};
    int error = fabric_send(&s->main_end, fabric_connector(s->fabric), &wanted, sizeof wanted,
                            (struct text){0});
    assert(!error);
    for (int ms = 0; !fabric_ring_bells(&s->main_end) && ms < WAKE_SURELY_MS; ms++)
        poll(NULL, 0, 1);
}

// Each shard gets a copy of its own, all of which are made before the first is sent.
static int reload_locked(struct shards *s, const struct config *cfg)
{
    struct settings *copy[CORE_SHARDS_MAX];
    if (!can_tell_all(s))
        return EBUSY;
    for (unsigned i = 0; i < s->n; i++) {
        int error = settings_create(&copy[i], cfg);
        if (error) {
            settings_free_all(copy, i);
            return error;
        }
    }
    int error = want_streams(s, cfg, copy[0]);
    if (error) {
        settings_free_all(copy, s->n);
        return error;
    }
    tell_all(s, copy);
    return 0;
}

int shards_reload(struct shards *s, const struct config *cfg)
{
    pthread_mutex_lock(&s->reload_mutex);
    int error = reload_locked(s, cfg);
    pthread_mutex_unlock(&s->reload_mutex);
    return error;
}

unsigned shards_count(const struct shards *s)
{
    return s->n;
}

void shards_counters(const struct shards *s, unsigned shard, struct shard_counters *out,
                     struct core_stats *core)
{
    shard_counters_read(s->shard[shard], out, core);
}

void shards_resolver(const struct shards *s, struct resolver_counters *out)
{
    resolver_counters_read(s->resolver, out);
}

size_t shards_streams(const struct shards *s, struct shards_stream *out, size_t max)
{
    return stream_table_list(s->table, out, max);
}

bool shards_part_failing(const struct shards *s, unsigned shard, char *why, size_t n)
{
    return shard_is_failing(s->shard[shard], why, n);
}

// Takes answers from the shard's ring; those of questions that nobody waits for any more are
// dropped. EAGAIN: ours is not there yet.
static int take_answer(struct shards *s, unsigned shard, void *answer, size_t cap, size_t *answer_n)
{
    struct ring *r = fabric_from(&s->admin_end, shard);
    int error = EAGAIN;
    size_t n;
    for (const void *p; error == EAGAIN && (p = ring_front(r, &n)) != NULL; ring_pop(r)) {
        const struct message_ask *head = p;
        if (head->kind != MESSAGE_ANSWER || head->sequence != s->asked)
            continue;
        *answer_n = n - sizeof *head;
        error = head->error ? head->error : *answer_n > cap ? EMSGSIZE : 0;
        if (!error)
            memcpy(answer, head + 1, *answer_n);
    }
    return error;
}

static int wait_for_answer(struct shards *s, unsigned shard, void *answer, size_t cap,
                           size_t *answer_n, uint64_t until_us)
{
    struct pollfd bell = {.fd = s->fabric->wake[s->admin_end.self].fd, .events = POLLIN};
    for (;;) {
        int error = take_answer(s, shard, answer, cap, answer_n);
        uint64_t now_us = clock_monotonic_us();
        if (error != EAGAIN)
            return error;
        if (now_us >= until_us)
            return ETIMEDOUT;
        if (fabric_fall_asleep(&s->admin_end, shard, shard + 1))
            poll(&bell, 1, (int)((until_us - now_us) / 1000) + 1);
        fabric_get_up(&s->admin_end);
        wake_clear(&s->fabric->wake[s->admin_end.self]);
    }
}

static int ask_locked(struct shards *s, unsigned shard, struct text question, void *answer,
                      size_t cap, size_t *answer_n, int timeout_ms)
{
    uint64_t until_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
    struct message_ask head = {.kind = MESSAGE_ASK, .sequence = ++s->asked};
    struct ring_part parts[2] = {{&head, sizeof head}, {question.p, question.n}};
    take_answer(s, shard, answer, cap, answer_n); // those given up make room for ours
    // Not through the end's backlog: a question that waits is one that its asker gave up.
    int error = ring_push(s->fabric->ring[s->admin_end.self][shard], parts, 2);
    if (error)
        return error == ENOBUFS ? ETIMEDOUT : error;
    wake_ring_surely(&s->fabric->wake[shard]);
    return wait_for_answer(s, shard, answer, cap, answer_n, until_us);
}

int shards_ask(struct shards *s, unsigned shard, const void *question, size_t n, void *answer,
               size_t cap, size_t *answer_n, int timeout_ms)
{
    assert(shard < s->n);
    pthread_mutex_lock(&s->ask_mutex);
    int error = ask_locked(s, shard, (struct text){question, n}, answer, cap, answer_n, timeout_ms);
    pthread_mutex_unlock(&s->ask_mutex);
    return error;
}
