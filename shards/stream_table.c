// Which component streams there are to be, and how each of them fares: read by the API, written by
// the connector and the shards.
#include "shards/stream_table.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct stream_state {
    bool up;
    uint64_t since_ms;
    char why[STREAM_WHY_BYTES];
};

struct stream_domain {
    char name[STREAM_DOMAIN_BYTES];
    bool wanted;
};

struct stream_table {
    pthread_mutex_t mutex;
    unsigned connections;
    size_t n_domains;
    struct stream_domain *domain; // STREAM_DOMAINS_MAX of them
    struct stream_state *stream;  // times connections
};

int stream_table_create(struct stream_table **out, unsigned connections)
{
    struct stream_table *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t)
        return ENOMEM;
    t->connections = connections;
    t->domain = calloc(STREAM_DOMAINS_MAX, sizeof *t->domain);
    t->stream = calloc((size_t)STREAM_DOMAINS_MAX * connections, sizeof *t->stream);
    pthread_mutex_init(&t->mutex, NULL);
    if (!t->domain || !t->stream) {
        stream_table_destroy(t);
        return ENOMEM;
    }
    *out = t;
    return 0;
}

void stream_table_destroy(struct stream_table *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->mutex);
    free(t->domain);
    free(t->stream);
    free(t);
}

static size_t table_place(const struct stream_table *t, struct text domain)
{
    size_t i = 0;
    while (i < t->n_domains && !text_eq(text_of(t->domain[i].name), domain))
        i++;
    return i;
}

static int table_check(const struct stream_table *t, const struct text *domains, size_t n)
{
    size_t fresh = 0;
    for (size_t i = 0; i < n; i++) {
        if (domains[i].n >= STREAM_DOMAIN_BYTES)
            return ENAMETOOLONG;
        fresh += table_place(t, domains[i]) == t->n_domains;
    }
    return t->n_domains + fresh > STREAM_DOMAINS_MAX ? E2BIG : 0;
}

static void table_want_one(struct stream_table *t, struct text domain, uint64_t now_ms)
{
    size_t at = table_place(t, domain);
    struct stream_domain *d = &t->domain[at];
    if (at == t->n_domains) {
        memcpy(d->name, domain.p, domain.n);
        t->n_domains++;
    }
    for (unsigned c = 0; !d->wanted && c < t->connections; c++) {
        struct stream_state *s = &t->stream[at * t->connections + c];
        if (!s->up) // one that was not wanted for a moment may still be
            *s = (struct stream_state){.since_ms = now_ms, .why = "not connected yet"};
    }
    d->wanted = true;
}

int stream_table_want(struct stream_table *t, const struct text *domains, size_t n, uint64_t now_ms)
{
    pthread_mutex_lock(&t->mutex);
    int error = table_check(t, domains, n);
    for (size_t i = 0; !error && i < n; i++)
        table_want_one(t, domains[i], now_ms);
    for (size_t at = 0; !error && at < t->n_domains; at++) {
        size_t i = 0;
        while (i < n && !text_eq(text_of(t->domain[at].name), domains[i]))
            i++;
        t->domain[at].wanted = i < n;
    }
    pthread_mutex_unlock(&t->mutex);
    return error;
}

uint32_t stream_table_find(struct stream_table *t, struct text domain, unsigned connection)
{
    assert(connection < t->connections);
    pthread_mutex_lock(&t->mutex);
    size_t at = table_place(t, domain);
    bool found = at < t->n_domains;
    pthread_mutex_unlock(&t->mutex);
    return found ? (uint32_t)(at * t->connections + connection) : STREAM_NONE;
}

uint32_t stream_table_end(struct stream_table *t)
{
    pthread_mutex_lock(&t->mutex);
    uint32_t end = (uint32_t)(t->n_domains * t->connections);
    pthread_mutex_unlock(&t->mutex);
    return end;
}

bool stream_table_wanted(struct stream_table *t, uint32_t stream, char domain[STREAM_DOMAIN_BYTES])
{
    pthread_mutex_lock(&t->mutex);
    const struct stream_domain *d = &t->domain[stream / t->connections];
    memcpy(domain, d->name, STREAM_DOMAIN_BYTES);
    bool wanted = d->wanted;
    pthread_mutex_unlock(&t->mutex);
    return wanted;
}

void stream_table_set(struct stream_table *t, uint32_t stream, bool up, const char *why,
                      uint64_t now_ms)
{
    pthread_mutex_lock(&t->mutex);
    struct stream_state *s = &t->stream[stream];
    if (s->up != up)
        s->since_ms = now_ms;
    s->up = up;
    snprintf(s->why, sizeof s->why, "%s", why);
    pthread_mutex_unlock(&t->mutex);
}

size_t stream_table_list(struct stream_table *t, struct shards_stream *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < t->n_domains * t->connections && n < max; i++) {
        const struct stream_domain *d = &t->domain[i / t->connections];
        const struct stream_state *s = &t->stream[i];
        if (!d->wanted)
            continue;
        struct shards_stream *o = &out[n++];
        *o = (struct shards_stream){.up = s->up, .since_ms = s->since_ms};
        memcpy(o->domain, d->name, sizeof o->domain);
        memcpy(o->why, s->why, sizeof o->why);
    }
    pthread_mutex_unlock(&t->mutex);
    return n;
}
