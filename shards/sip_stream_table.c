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

// ---- Who makes place

static struct sip_stream_line *yielding(struct sip_stream *s, const struct sip_stream_peer *c)
{
    return &s->yielding[c->spoke];
}

static void yield_no_more(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_line *q = yielding(s, c);
    *(c->sooner ? &c->sooner->later : &q->first) = c->later;
    *(c->later ? &c->later->sooner : &q->last) = c->sooner;
    c->yields = false;
}

// Before `spoke` says that it has.
void sip_stream_heard_of(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_line *q = &s->yielding[c->yields];
    if (c->outgoing || q->last == c)
        return;
    if (c->yields)
        yield_no_more(s, c);
    c->sooner = q->last;
    c->later = NULL;
    *(q->last ? &q->last->later : &q->first) = c;
    q->last = c;
    c->yields = true;
}

// ---- Who shakes hands

void sip_stream_greets(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_line *q = &s->greeting;
    c->elder = q->last;
    c->younger = NULL;
    *(q->last ? &q->last->younger : &q->first) = c;
    q->last = c;
    c->greeting = true;
    s->count->handshakes++;
}

void sip_stream_greeted(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_line *q = &s->greeting;
    if (!c->greeting)
        return;
    *(c->elder ? &c->elder->younger : &q->first) = c->younger;
    *(c->younger ? &c->younger->elder : &q->last) = c->elder;
    c->greeting = false;
    s->count->handshakes--;
}

// Who came before has had the time that an honest peer needs; were it always the oldest that goes,
// nobody would get through when all come back at once.
bool sip_stream_may_greet(struct sip_stream *s)
{
    struct sip_stream_peer *c = s->greeting.first;
    if (s->count->handshakes < sip_stream_tuning.handshakes_max)
        return true;
    s->count->handshakes_full++;
    if (!c || s->now_ms - c->since_ms < sip_stream_tuning.yield_first_ms)
        return false;
    sip_stream_drop(s, c);
    return true;
}

// ---- Coming and going

void sip_stream_leave(struct sip_stream *s, struct sip_stream_peer *c)
{
    struct sip_stream_peer **at = &s->bucket[bucket_of(s, &c->hop)];
    while (*at != c) {
        assert(*at);
        at = &(*at)->same;
    }
    *at = c->same;
    if (c->yields)
        yield_no_more(s, c);
    sip_stream_greeted(s, c);
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

bool sip_stream_has_place(const struct sip_stream *s, bool of_ours)
{
    const struct sip_stream_tuning *t = &sip_stream_tuning;
    size_t most = s->descriptors < t->connections_max ? s->descriptors : t->connections_max;
    size_t reserved = t->reserved < most / 4 ? t->reserved : (most + 3) / 4;
    return s->count->connections + (of_ours ? 0 : reserved) < most;
}

// Who has one address of IPv6 has the 2^64 of its network: they are one.
static struct hop address_of(const struct hop *hop)
{
    struct hop a = {.family = hop->family};
    memcpy(a.ip, hop->ip, hop->family == 4 ? 4 : 8);
    return a;
}

static struct sip_stream_address **find_address(struct sip_stream *s, const struct hop *hop)
{
    size_t bucket = hash_sip(s->key, hop->ip, sizeof hop->ip) % SIP_STREAM_ADDRESS_BUCKETS;
    struct sip_stream_address **at = &s->address[bucket];
    while (*at && ((*at)->family != hop->family || memcmp((*at)->ip, hop->ip, sizeof hop->ip)))
        at = &(*at)->next;
    return at;
}

// NULL: no memory.
static struct sip_stream_address *enter_address(struct sip_stream *s, const struct hop *hop)
{
    struct hop address = address_of(hop);
    struct sip_stream_address **at = find_address(s, &address), *a = *at;
    if (a || !(a = calloc(1, sizeof *a)))
        return a;
    memcpy(a->ip, address.ip, sizeof a->ip);
    a->family = address.family;
    *at = a;
    return a;
}

static size_t count_of(struct sip_stream *s, const struct hop *hop)
{
    struct hop address = address_of(hop);
    const struct sip_stream_address *a = *find_address(s, &address);
    return a ? a->n : 0;
}

// Who waits for an answer, or owes us one, is in use.
static bool is_idle(const struct sip_stream *s, const struct sip_stream_peer *c)
{
    const struct sip_stream_tuning *t = &sip_stream_tuning;
    uint32_t least_ms = c->spoke ? t->yield_ms : t->yield_first_ms;
    return !c->owed && !c->asked && s->now_ms - c->message_ms >= least_ms;
}

// Of the first few that are idle, one whose address has the most, and more than `best`.
static struct sip_stream_peer *find_yielding(struct sip_stream *s, bool spoke, size_t best)
{
    struct sip_stream_peer *found = NULL, *c = s->yielding[spoke].first;
    for (int i = 0; c && i < SIP_STREAM_YIELD_LOOKS; i++, c = c->later) {
        size_t n = is_idle(s, c) ? count_of(s, &c->hop) : 0;
        if (n > best) {
            best = n;
            found = c;
        }
    }
    return found;
}

bool sip_stream_make_place(struct sip_stream *s, const struct hop *for_whom)
{
    size_t own = count_of(s, for_whom);
    struct sip_stream_peer *c = find_yielding(s, false, own);
    if (!c)
        c = find_yielding(s, true, own);
    if (!c)
        return false;
    s->count->made_place++;
    sip_stream_drop(s, c);
    return true;
}

const char *sip_stream_count_peer(struct sip_stream *s, struct sip_stream_peer *c)
{
    bool stranger = s->trusts && !s->trusts(s->trusts_arg, &c->hop);
    if (stranger && s->n_strangers >= sip_stream_tuning.strangers_max) {
        s->count->refused_strangers++;
        return "there are too many of addresses that are not trusted";
    }
    struct sip_stream_address *a = enter_address(s, &c->hop);
    if (!a || a->n >= sip_stream_tuning.per_address_max) {
        s->count->refused_address++;
        return "there are too many of its address";
    }
    a->n++;
    s->n_strangers += stranger;
    c->counted = true;
    c->stranger = stranger;
    return NULL;
}

void sip_stream_forget_peer(struct sip_stream *s, struct sip_stream_peer *c)
{
    if (!c->counted)
        return;
    struct hop address = address_of(&c->hop);
    struct sip_stream_address **at = find_address(s, &address), *a = *at;
    assert(a && a->n && s->n_strangers >= c->stranger);
    s->n_strangers -= c->stranger;
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
