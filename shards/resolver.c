// The resolver: one thread that tells shards where SIP URIs lead (RFC 3263).
#include "shards/resolver.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "shards/clock.h"
#include "shards/dns_client.h"
#include "shards/locate.h"
#include "shards/log.h"

enum { SLEEP_MOST_MS = 60000, RING_BATCH = 64 };

struct waiter {
    struct waiter *next;
    unsigned shard;
    size_t uri_n;
    char uri[];
};

struct asked {
    struct lookup *lookup;
    size_t number;
};

// Begun, answered to all who wait, and let go of once DNS has nothing more to say to it.
struct lookup {
    struct locate locate;
    struct waiter *waiters;
    uint64_t began_us;
    unsigned open; // questions
    bool answered;
    struct asked asked[LOCATE_QUESTIONS_MAX];
};

struct resolver {
    struct fabric_end end;
    struct locate_wish wish;
    struct dns_client *dns;
    struct hash_random random;
    pthread_t thread;
    bool running;
    _Atomic bool stopping;
    uint64_t now_us;
    size_t n_lookups, n_waiters;
    struct lookup *lookup[RESOLVER_LOOKUPS_MAX];
    struct resolver_counters count, count_shown;
};

// --- making

static struct locate_wish wish_of(const struct config *cfg)
{
    bool v6 = config_udp_family(cfg) == 6;
    return (struct locate_wish){.udp4 = !v6, .udp6 = v6, .ipv6_first = v6};
}

static int seed_random(struct resolver *r)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return errno;
    hash_random_init(&r->random, seed, 0);
    return 0;
}

int resolver_create(struct resolver **out, const struct resolver_setup *setup)
{
    const struct config *cfg = setup->cfg;
    struct dns_client_setup dns = {.servers = cfg->sip.dns_server_hop,
                                   .n_servers = cfg->sip.dns_servers.n,
                                   .try_ms = setup->try_ms};
    struct resolver *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return ENOMEM;
    fabric_end_init(&r->end, setup->fabric, fabric_resolver(setup->fabric));
    r->wish = wish_of(cfg);
    int error = seed_random(r);
    if (!error)
        error = dns_client_create(&r->dns, &dns);
    if (error)
        resolver_destroy(r);
    else
        *out = r;
    return error;
}

static void drop_waiters(struct resolver *r, struct lookup *l)
{
    while (l->waiters) {
        struct waiter *w = l->waiters;
        l->waiters = w->next;
        r->n_waiters--;
        free(w);
    }
}

void resolver_destroy(struct resolver *r)
{
    if (!r)
        return;
    assert(!r->running);
    dns_client_destroy(r->dns); // answers what is open, so the look-ups go after it
    for (size_t i = 0; i < r->n_lookups; i++) {
        drop_waiters(r, r->lookup[i]);
        free(r->lookup[i]);
    }
    fabric_end_free(&r->end);
    free(r);
}

// --- answers to shards

static void tell(struct resolver *r, unsigned shard, struct text uri, const struct hop *hops,
                 size_t n_hops, uint32_t ttl_s)
{
    struct message_resolved head = {
        .kind = MESSAGE_RESOLVED, .n_hops = (uint32_t)n_hops, .ttl_s = ttl_s};
    struct buffer body;
    buffer_init(&body, 0);
    buffer_add(&body, hops, n_hops * sizeof *hops);
    buffer_add(&body, uri.p, uri.n);
    int error = body.failed ? ENOMEM
                            : fabric_send(&r->end, shard, &head, sizeof head,
                                          (struct text){body.p, body.n});
    if (error) // its core asks again, in NEXT_HOP_ASK_MS
        log_error("resolved_not_told", "shard", LOG_U64(shard), "why", strerror(error), NULL);
    buffer_free(&body);
}

static void tell_all(struct resolver *r, struct lookup *l)
{
    const struct locate *a = &l->locate;
    for (const struct waiter *w = l->waiters; w; w = w->next)
        tell(r, w->shard, (struct text){w->uri, w->uri_n}, a->hop, a->n_hops, a->ttl_s);
    drop_waiters(r, l);
}

static void count_end(struct resolver *r, const struct lookup *l)
{
    uint64_t took_us = r->now_us - l->began_us;
    unsigned bucket = 0;
    while (bucket < 31 && took_us >> bucket)
        bucket++;
    r->count.lookup_us_bucket[bucket]++;
    r->count.lookup_us_sum += took_us;
    r->count.failures_total += l->locate.failed && !l->locate.n_hops;
    r->count.nowhere_total += !l->locate.failed && !l->locate.n_hops;
}

static void end_lookup(struct resolver *r, struct lookup *l)
{
    const struct locate *a = &l->locate;
    count_end(r, l);
    if (!a->n_hops)
        log_warn("resolved_nowhere", "name", a->place.name, "why",
                 a->failed ? "DNS did not tell" : "DNS has no server for it", NULL);
    tell_all(r, l);
    l->answered = true;
}

// --- look-ups

static void take_answer(void *arg, const struct dns_answer *a)
{
    struct asked *q = arg;
    struct lookup *l = q->lookup;
    assert(l->open > 0);
    l->open--;
    if (!l->answered)
        locate_answer(&l->locate, q->number, a);
}

static void ask_more(struct resolver *r, struct lookup *l)
{
    const struct locate_question *q;
    size_t number;
    while (l->open < RESOLVER_QUESTIONS_MAX && (q = locate_ask(&l->locate, &number))) {
        struct asked *asked = &l->asked[number];
        *asked = (struct asked){l, number};
        l->open++;
        dns_client_ask(r->dns, q->name, q->type, take_answer, asked, r->now_us / 1000);
    }
}

static void run_lookup(struct resolver *r, struct lookup *l)
{
    bool late = r->now_us - l->began_us >= (uint64_t)RESOLVER_LOOKUP_MS * 1000;
    if (l->answered)
        return;
    if (!late)
        ask_more(r, l);
    if (late && !locate_is_done(&l->locate)) {
        l->locate.failed = true;
        l->locate.n_hops = 0;
        l->locate.ttl_s = DNS_FAILED_TTL_S;
    }
    if (late || locate_is_done(&l->locate))
        end_lookup(r, l);
}

static void run_lookups(struct resolver *r)
{
    for (size_t i = 0; i < r->n_lookups;) {
        struct lookup *l = r->lookup[i];
        run_lookup(r, l);
        if (l->answered && !l->open) {
            r->lookup[i] = r->lookup[--r->n_lookups];
            free(l);
        } else {
            i++;
        }
    }
}

static struct lookup *find_lookup(const struct resolver *r, const struct locate_place *place)
{
    for (size_t i = 0; i < r->n_lookups; i++)
        if (!r->lookup[i]->answered &&
            memcmp(&r->lookup[i]->locate.place, place, sizeof *place) == 0)
            return r->lookup[i];
    return NULL;
}

static struct lookup *begin_lookup(struct resolver *r, const struct locate_place *place)
{
    struct lookup *l = r->n_lookups < RESOLVER_LOOKUPS_MAX ? malloc(sizeof *l) : NULL;
    if (!l)
        return NULL;
    struct locate_wish wish = r->wish;
    wish.seed = hash_random_u64(&r->random);
    l->waiters = NULL;
    l->began_us = r->now_us;
    l->open = 0;
    l->answered = false;
    locate_begin(&l->locate, place, &wish);
    r->lookup[r->n_lookups++] = l;
    r->count.lookups_total++;
    return l;
}

static bool add_waiter(struct resolver *r, struct lookup *l, unsigned shard, struct text uri)
{
    struct waiter *w = r->n_waiters < RESOLVER_WAITERS_MAX ? malloc(sizeof *w + uri.n) : NULL;
    if (!w)
        return false;
    *w = (struct waiter){.next = l->waiters, .shard = shard, .uri_n = uri.n};
    memcpy(w->uri, uri.p, uri.n);
    l->waiters = w;
    r->n_waiters++;
    return true;
}

static void resolve(struct resolver *r, unsigned shard, struct text uri)
{
    struct locate_place place;
    if (locate_place_of(&place, uri)) {
        r->count.nowhere_total++;
        tell(r, shard, uri, NULL, 0, DNS_NEGATIVE_TTL_S);
        return;
    }
    struct lookup *found = find_lookup(r, &place);
    struct lookup *l = found ? found : begin_lookup(r, &place);
    r->count.joined_total += found != NULL;
    if (l && add_waiter(r, l, shard, uri))
        return;
    r->count.refused_total++;
    tell(r, shard, uri, NULL, 0, RESOLVER_BUSY_TTL_S);
}

// --- the thread

// While a shard takes no answers, no more is asked: what waits for it stays bounded.
static void read_rings(struct resolver *r)
{
    for (unsigned from = 0; from < r->end.fabric->shards; from++) {
        struct ring *ring = fabric_from(&r->end, from);
        size_t n;
        for (int i = 0; i < RING_BATCH && !fabric_is_congested(&r->end); i++) {
            const struct message *m = ring_front(ring, &n);
            if (!m)
                break;
            if (m->kind == MESSAGE_RESOLVE)
                resolve(r, from, (struct text){(const char *)(m + 1), n - sizeof *m});
            ring_pop(ring);
        }
    }
}

static void publish(struct resolver *r)
{
    const uint64_t *from = (const uint64_t *)&r->count;
    uint64_t *to = (uint64_t *)&r->count_shown;
    r->count.queries_total = dns_client_queries(r->dns);
    r->count.in_flight = r->n_lookups;
    for (size_t i = 0; i < sizeof r->count / sizeof *to; i++)
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
}

void resolver_counters_read(const struct resolver *r, struct resolver_counters *out)
{
    const uint64_t *from = (const uint64_t *)&r->count_shown;
    uint64_t *to = (uint64_t *)out;
    for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static int sleep_ms(const struct resolver *r)
{
    uint64_t most_ms = fabric_is_pending(&r->end) ? FABRIC_RETRY_MS : SLEEP_MOST_MS;
    for (size_t i = 0; i < r->n_lookups; i++) {
        uint64_t end_us = r->lookup[i]->began_us + (uint64_t)RESOLVER_LOOKUP_MS * 1000;
        uint64_t left_ms = end_us > r->now_us ? (end_us - r->now_us) / 1000 + 1 : 0;
        if (!r->lookup[i]->answered && left_ms < most_ms)
            most_ms = left_ms;
    }
    return dns_client_timeout_ms(r->dns, (int)most_ms);
}

static void sleep_until_needed(struct resolver *r)
{
    struct wake *bell = &r->end.fabric->wake[r->end.self];
    struct pollfd fd[2] = {{.fd = bell->fd, .events = POLLIN},
                           {.fd = dns_client_fd(r->dns), .events = POLLIN}};
    int most_ms = sleep_ms(r);
    bool congested = fabric_is_congested(&r->end); // then rings wait unread, and must not wake us
    if (!congested && !fabric_fall_asleep(&r->end, 0, r->end.fabric->shards))
        return;
    if (!atomic_load(&r->stopping))
        poll(fd, 2, most_ms);
    wake_clear(bell);
    fabric_get_up(&r->end);
}

static void *resolver_main(void *arg)
{
    struct resolver *r = arg;
    while (!atomic_load(&r->stopping)) {
        r->now_us = clock_monotonic_us();
        read_rings(r);
        dns_client_run(r->dns);
        run_lookups(r);
        fabric_retry(&r->end);
        fabric_ring_bells(&r->end);
        publish(r);
        sleep_until_needed(r);
    }
    return NULL;
}

int resolver_start(struct resolver *r)
{
    int error = pthread_create(&r->thread, NULL, resolver_main, r);
    r->running = !error;
    if (r->running)
        pthread_setname_np(r->thread, "resolver");
    return error;
}

void resolver_stop(struct resolver *r)
{
    if (!r->running)
        return;
    atomic_store(&r->stopping, true);
    wake_ring_surely(&r->end.fabric->wake[r->end.self]);
    pthread_join(r->thread, NULL);
    r->running = false;
}
