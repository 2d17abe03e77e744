// A stream port's connections by their peer, and how many there are of each source address.
#include <assert.h>
#include <stdlib.h>

#include "shards/sip_stream_inner.h"

static size_t bucket_of(const struct sip_stream *s, const struct hop *hop)
{
    return hash_sip(s->key, hop, sizeof *hop) % SIP_STREAM_BUCKETS;
}

void sip_stream_enter(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_peer **bucket = &s->bucket[bucket_of(s, &c->hop)];
    c->same = *bucket;
    *bucket = c;
    c->after = s->all;
    if (s->all)
        s->all->before = c;
    s->all = c;
    s->count->connections++;
}

void sip_stream_leave(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_peer **at = &s->bucket[bucket_of(s, &c->hop)];
    while (*at != c) {
        assert(*at);
        at = &(*at)->same;
    }
    *at = c->same;
    *(c->before ? &c->before->after : &s->all) = c->after;
    if (c->after)
        c->after->before = c->before;
    assert(s->count->connections);
    s->count->connections--;
}

struct sip_stream_peer *sip_stream_bucket(const struct sip_stream *s, const struct hop *hop)
{
    return s->bucket[bucket_of(s, hop)];
}

static struct sip_stream_address **find_address(struct sip_stream *s, const struct hop *hop)
{
    size_t bucket = hash_sip(s->key, hop->ip, sizeof hop->ip) % SIP_STREAM_ADDRESS_BUCKETS;
    struct sip_stream_address **at = &s->address[bucket];
    while (*at && ((*at)->family != hop->family || memcmp((*at)->ip, hop->ip, sizeof hop->ip)))
        at = &(*at)->next;
    return at;
}

bool sip_stream_count_address(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_address **at = find_address(s, &c->hop), *a = *at;
    if (!a) {
        if (!(a = calloc(1, sizeof *a)))
            return false;
        memcpy(a->ip, c->hop.ip, sizeof a->ip);
        a->family = c->hop.family;
        *at = a;
    }
    if (a->n >= sip_stream_tuning.per_address_max)
        return false;
    a->n++;
    c->counted = true;
    return true;
}

void sip_stream_forget_address(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (!c->counted)
        return;
    struct sip_stream_address **at = find_address(s, &c->hop), *a = *at;
    assert(a && a->n);
    if (--a->n)
        return;
    *at = a->next;
    free(a);
}

void sip_stream_free_tables(struct sip_stream *s)
{
    for (size_t i = 0; i < SIP_STREAM_ADDRESS_BUCKETS; i++)
        for (struct sip_stream_address *a; (a = s->address[i]) != NULL; free(a))
            s->address[i] = a->next;
}
