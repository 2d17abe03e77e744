// RFC 3263 §4: which questions a SIP URI asks of DNS, and which hops the answers come to.
#include "shards/locate.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/wire/address.h"

enum { SIP_PORT = 5060, SIPS_PORT = 5061 };

static const struct {
    const char *service; // of NAPTR, RFC 3263 §4.1
    const char *prefix;  // of the SRV name
    enum hop_transport transport;
} known[] = {
    {"sip+d2u", "_sip._udp", HOP_UDP},
    {"sip+d2t", "_sip._tcp", HOP_TCP},
    {"sips+d2t", "_sips._tcp", HOP_TLS},
};
enum { KNOWN = sizeof known / sizeof *known };

static uint16_t default_port(uint8_t transport)
{
    return transport == HOP_TLS ? SIPS_PORT : SIP_PORT;
}

// --- the URI

// The value of maddr, which RFC 3263 §4 puts before the host; empty: none.
static struct text maddr_of(struct text uri, struct text host)
{
    static const struct text name = {"maddr=", 6};
    const char *p = host.p + host.n, *end = uri.p + uri.n;
    const char *headers = memchr(p, '?', (size_t)(end - p));
    end = headers ? headers : end;
    while ((p = memchr(p, ';', (size_t)(end - p)))) {
        struct text rest = {p + 1, (size_t)(end - p - 1)};
        const char *stop = memchr(rest.p, ';', rest.n);
        struct text value = {rest.p + name.n, (size_t)((stop ? stop : end) - rest.p) - name.n};
        p++;
        if ((size_t)((stop ? stop : end) - rest.p) < name.n ||
            !text_eq_nocase((struct text){rest.p, name.n}, name))
            continue;
        bool bracketed = value.n > 2 && value.p[0] == '[' && value.p[value.n - 1] == ']';
        return bracketed ? (struct text){value.p + 1, value.n - 2} : value;
    }
    return (struct text){0};
}

// RFC 3261 §26.2.2 has TLS run over TCP, so that "tcp" of a sips: URI means TLS as well.
static int transport_of(struct locate_place *out, struct text word)
{
    out->has_transport = word.n > 0;
    out->transport = out->sips ? HOP_TLS : HOP_UDP;
    if (text_eq_nocase(word, TEXT("tls")))
        out->transport = HOP_TLS;
    else if (text_eq_nocase(word, TEXT("tcp")))
        out->transport = out->sips ? HOP_TLS : HOP_TCP;
    else if (word.n && (out->sips || !text_eq_nocase(word, TEXT("udp"))))
        return EINVAL;
    return 0;
}

int locate_place_of(struct locate_place *out, struct text text)
{
    struct sip_uri uri;
    memset(out, 0, sizeof *out);
    if (sip_uri_parse(&uri, text) || (uri.scheme != SCHEME_SIP && uri.scheme != SCHEME_SIPS))
        return EINVAL;
    struct text host = maddr_of(text, uri.host);
    if (!host.n)
        host = uri.host;
    out->sips = uri.scheme == SCHEME_SIPS;
    out->port = uri.port;
    if (transport_of(out, uri.transport))
        return EINVAL;
    uint16_t port = uri.port ? uri.port : default_port(out->transport);
    if (hop_parse(&out->numeric, host, port, out->transport) == 0)
        return 0;
    memset(&out->numeric, 0, sizeof out->numeric);
    return dns_name_from(out->name, host) ? 0 : EINVAL;
}

// --- SRV records in order

// Lowest priority first; within one, weight 0 first.
static int compare_srv(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return (x->weight > 0) - (y->weight > 0);
}

// The first whose running sum of weights reaches a number from 0 to the sum of all.
static size_t choose_srv(const struct dns_record *v, size_t n, struct hash_random *random)
{
    uint32_t sum = 0, running = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i].weight;
    uint32_t number = hash_random_below(random, sum + 1);
    for (size_t i = 0; i < n; i++) {
        running += v[i].weight;
        if (running >= number)
            return i;
    }
    return 0; // not reached: the last running sum is the sum
}

static void order_by_weight(struct dns_record *v, size_t n, struct hash_random *random)
{
    for (; n > 1; v++, n--) {
        size_t i = choose_srv(v, n, random);
        struct dns_record chosen = v[i];
        memmove(v + 1, v, i * sizeof *v);
        v[0] = chosen;
    }
}

void locate_order_srv(struct dns_record *v, size_t n, struct hash_random *random)
{
    qsort(v, n, sizeof *v, compare_srv);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && v[to].priority == v[from].priority;)
            to++;
        order_by_weight(v + from, to - from, random);
    }
}

// --- questions

static void begin_step(struct locate *l, int step)
{
    l->step = step;
    l->n_questions = l->n_asked = l->n_answered = 0;
}

static void add_question(struct locate *l, const char *name, enum dns_type type, size_t of)
{
    assert(l->n_questions < LOCATE_QUESTIONS_MAX);
    struct locate_question *q = &l->question[l->n_questions];
    snprintf(q->name, sizeof q->name, "%s", name);
    q->type = type;
    l->question_of[l->n_questions++] = (uint8_t)of;
}

const struct locate_question *locate_ask(struct locate *l, size_t *number)
{
    if (l->step == LOCATE_DONE || l->n_asked == l->n_questions)
        return NULL;
    *number = l->n_asked++;
    return &l->question[*number];
}

static void lower_ttl(struct locate *l, uint32_t ttl_s)
{
    l->ttl_s = ttl_s < l->ttl_s ? ttl_s : l->ttl_s;
}

static void done(struct locate *l)
{
    if (l->failed)
        lower_ttl(l, DNS_FAILED_TTL_S);
    if (!l->n_hops)
        lower_ttl(l, l->nothing_ttl_s);
    begin_step(l, LOCATE_DONE);
}

// --- addresses

static void add_hop(struct locate *l, const struct locate_service *s, const struct locate_target *t,
                    uint8_t family, size_t i)
{
    struct hop h = {.port = t->port, .family = family, .transport = s->transport};
    memcpy(h.ip, family == 4 ? t->ip4[i] : t->ip6[i], family == 4 ? 4 : 16);
    for (size_t k = 0; k < l->n_hops; k++)
        if (hop_eq(&l->hop[k], &h))
            return;
    if (l->n_hops < EVENT_HOPS_MAX)
        l->hop[l->n_hops++] = h;
}

static void add_hops(struct locate *l, const struct locate_service *s)
{
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct locate_target *t = &s->target[i];
        for (int turn = 0; turn < 2; turn++) {
            bool v6 = (turn == 0) == l->wish.ipv6_first;
            for (size_t k = 0; k < (v6 ? t->n6 : t->n4); k++)
                add_hop(l, s, t, v6 ? 6 : 4, k);
        }
    }
}

// Both families, as far as we can send there: without a UDP port of a family there is no use.
static bool ask_addresses(struct locate *l, size_t service)
{
    const struct locate_service *s = &l->services[service];
    bool any = s->transport != HOP_UDP;
    begin_step(l, LOCATE_ADDRESSES);
    l->service = service;
    for (size_t i = 0; i < s->n_targets; i++) {
        if (any || l->wish.udp4)
            add_question(l, s->target[i].name, DNS_A, i);
        if (any || l->wish.udp6)
            add_question(l, s->target[i].name, DNS_AAAA, i);
    }
    return l->n_questions > 0;
}

static void take_addresses(struct locate *l, size_t number, const struct dns_answer *a)
{
    struct locate_target *t = &l->services[l->service].target[l->question_of[number]];
    bool v6 = l->question[number].type == DNS_AAAA;
    l->failed |= a->outcome == DNS_FAILED;
    // That a name has no address of one family is no reason to ask anew for those of the other.
    if (a->outcome == DNS_FOUND)
        lower_ttl(l, a->ttl_s);
    else if (a->ttl_s < l->nothing_ttl_s)
        l->nothing_ttl_s = a->ttl_s;
    for (size_t i = 0; a->outcome == DNS_FOUND && i < a->n && i < LOCATE_ADDRESSES_MAX; i++) {
        if (v6)
            memcpy(t->ip6[t->n6++], a->record[i].ip, 16);
        else
            memcpy(t->ip4[t->n4++], a->record[i].ip, 4);
    }
}

// The name itself is the server: with the port given, or the transport's own.
static void ask_name(struct locate *l, uint8_t transport)
{
    struct locate_service *s = &l->services[l->n_services];
    s->transport = transport;
    s->n_targets = 1;
    memset(&s->target[0], 0, sizeof s->target[0]);
    s->target[0].port = l->place.port ? l->place.port : default_port(transport);
    snprintf(s->target[0].name, sizeof s->target[0].name, "%s", l->place.name);
    if (!ask_addresses(l, l->n_services))
        done(l);
}

// --- services

static bool is_wanted(const struct locate *l, enum hop_transport transport)
{
    if (l->place.sips || l->place.has_transport)
        return transport == l->place.transport;
    return transport != HOP_UDP || l->wish.udp4 || l->wish.udp6;
}

static void add_service(struct locate *l, enum hop_transport transport, const char *name)
{
    struct locate_service *s = &l->services[l->n_services++];
    s->transport = transport;
    s->outcome = DNS_NONE;
    s->n_targets = 0;
    memcpy(s->name, name, strlen(name) + 1); // callers have looked that it fits
}

// SRV queries for the services from `first` to before `end`.
static void ask_services(struct locate *l, size_t first, size_t end)
{
    begin_step(l, LOCATE_SRV);
    l->service = first;
    for (size_t i = first; i < end; i++)
        add_question(l, l->services[i].name, DNS_SRV, i);
}

static void ask_known_services(struct locate *l)
{
    char name[DNS_NAME_MAX + 16];
    l->n_services = 0;
    for (size_t i = 0; i < KNOWN; i++) {
        int n = snprintf(name, sizeof name, "%s.%s", known[i].prefix, l->place.name);
        if (is_wanted(l, known[i].transport) && n <= DNS_NAME_MAX)
            add_service(l, known[i].transport, name);
    }
    if (l->n_services)
        ask_services(l, 0, l->n_services);
    else
        ask_name(l, l->place.transport); // the name is too long to have services
}

// Nothing of the services leads anywhere. Only if there are no SRV records at all, the name itself
// may be meant (RFC 3263 §4.2); a target "." says that it is not (RFC 2782).
static void end_services(struct locate *l)
{
    bool none = true;
    for (size_t i = 0; i < l->n_services; i++)
        none = none && l->services[i].outcome == DNS_NONE;
    uint8_t transport = l->by_naptr ? l->services[0].transport : l->place.transport;
    if (!none)
        done(l);
    else
        ask_name(l, transport);
}

// From service number `i` on, the first that has targets or is still to be asked for.
static void look_at_services(struct locate *l, size_t i, size_t answered)
{
    for (; i < answered; i++)
        if (l->services[i].n_targets && ask_addresses(l, i))
            return;
    if (i < l->n_services)
        ask_services(l, i, i + 1);
    else
        end_services(l);
}

static void take_srv(struct locate *l, size_t number, const struct dns_answer *a)
{
    struct locate_service *s = &l->services[l->question_of[number]];
    struct dns_record v[DNS_RECORDS_MAX];
    s->outcome = a->outcome;
    l->failed |= a->outcome == DNS_FAILED;
    lower_ttl(l, a->ttl_s);
    if (a->outcome != DNS_FOUND)
        return;
    memcpy(v, a->record, a->n * sizeof *v);
    locate_order_srv(v, a->n, &l->random);
    for (size_t i = 0; i < a->n && s->n_targets < LOCATE_TARGETS_MAX; i++) {
        if (!*v[i].name || v[i].port == 0)
            continue;
        struct locate_target *t = &s->target[s->n_targets++];
        memset(t, 0, sizeof *t);
        t->port = v[i].port;
        memcpy(t->name, v[i].name, sizeof t->name);
    }
}

// --- NAPTR

static bool naptr_service(const struct locate *l, const struct dns_record *r,
                          enum hop_transport *transport)
{
    for (size_t i = 0; i < KNOWN; i++) {
        if (strcmp(r->service, known[i].service) || !is_wanted(l, known[i].transport))
            continue;
        *transport = known[i].transport;
        return r->leads_to_srv;
    }
    return false;
}

static int compare_naptr(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->preference > y->preference) - (x->preference < y->preference);
}

// RFC 3403 §4.1: once there is a match, records of a higher order are not looked at.
static void take_naptr(struct locate *l, const struct dns_answer *a)
{
    struct dns_record v[DNS_RECORDS_MAX];
    const struct dns_record *first = NULL;
    enum hop_transport transport;
    memcpy(v, a->record, a->n * sizeof *v);
    qsort(v, a->n, sizeof *v, compare_naptr);
    for (size_t i = 0; i < a->n && l->n_services < LOCATE_SERVICES_MAX; i++) {
        if (!naptr_service(l, &v[i], &transport))
            continue;
        first = first ? first : &v[i];
        if (v[i].order == first->order)
            add_service(l, transport, v[i].name);
    }
}

static void end_naptr(struct locate *l, const struct dns_answer *a)
{
    lower_ttl(l, a->ttl_s);
    l->failed = a->outcome == DNS_FAILED;
    if (l->failed) {
        done(l);
        return;
    }
    if (a->outcome == DNS_FOUND)
        take_naptr(l, a);
    l->by_naptr = l->n_services > 0;
    if (l->by_naptr)
        ask_services(l, 0, 1);
    else
        ask_known_services(l);
}

// --- the whole

static void end_addresses(struct locate *l)
{
    add_hops(l, &l->services[l->service]);
    if (l->n_hops || l->service == l->n_services)
        done(l);
    else // by NAPTR, those behind this one have not been asked for
        look_at_services(l, l->service + 1, l->by_naptr ? l->service + 1 : l->n_services);
}

static void end_step(struct locate *l, const struct dns_answer *last)
{
    switch (l->step) {
    case LOCATE_NAPTR: end_naptr(l, last); return;
    case LOCATE_SRV: look_at_services(l, l->service, l->service + l->n_questions); return;
    case LOCATE_ADDRESSES: end_addresses(l); return;
    case LOCATE_DONE: return;
    }
}

void locate_answer(struct locate *l, size_t number, const struct dns_answer *a)
{
    assert(number < l->n_asked && l->n_answered < l->n_asked);
    if (l->step == LOCATE_SRV)
        take_srv(l, number, a);
    else if (l->step == LOCATE_ADDRESSES)
        take_addresses(l, number, a);
    if (++l->n_answered == l->n_questions)
        end_step(l, a);
}

void locate_begin(struct locate *l, const struct locate_place *place,
                  const struct locate_wish *wish)
{
    l->place = *place;
    l->wish = *wish;
    hash_random_init(&l->random, wish->seed, 0);
    l->by_naptr = l->failed = false;
    l->n_services = l->service = l->n_hops = 0;
    l->ttl_s = l->nothing_ttl_s = DNS_TTL_MAX_S;
    begin_step(l, LOCATE_NAPTR);
    if (place->numeric.family) {
        l->hop[l->n_hops++] = place->numeric;
        l->ttl_s = LOCATE_NUMERIC_TTL_S;
        done(l);
    } else if (place->port) {
        ask_name(l, place->transport);
    } else if (place->has_transport) {
        ask_known_services(l);
    } else {
        add_question(l, place->name, DNS_NAPTR, 0);
    }
}
