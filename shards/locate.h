// RFC 3263 as a machine of questions and answers: from a SIP URI to the hops that it leads to.
//
// Pure: it asks for DNS records and is told what they are; it has no socket, clock or randomness of
// its own. The same answers and seed give the same hops.
//
//   URI ─┬─ numeric ───────────────────────────────────────────────▶ one hop
//        ├─ a port ────────────────────────────────▶ A, AAAA ──────▶ hops
//        ├─ a transport ────────────▶ SRV ─┬─ found ▶ A, AAAA of the targets
//        └─ neither ─▶ NAPTR ─▶ SRV ───────┴─ none ─▶ A, AAAA, default port
//
// Services that we can use: SIP+D2U, SIP+D2T, SIPS+D2T. Of NAPTR records only those of the lowest
// order count that has any of these; one whose service comes to nothing gives way to the next of
// the same order. Without NAPTR records all SRV names are asked at once, and the first transport
// that comes to something is taken: UDP, TCP, TLS.
//
// What can't be found out (DNS_FAILED) never counts as "there is none": that would send requests
// where nobody wants them.
#ifndef SHARDS_LOCATE_H
#define SHARDS_LOCATE_H

#include "core/event.h"
#include "core/hash.h"
#include "shards/dns_answer.h"

enum {
    LOCATE_SERVICES_MAX = 4, // SRV names that are looked at
    LOCATE_TARGETS_MAX = EVENT_HOPS_MAX,
    LOCATE_ADDRESSES_MAX = 8,                      // of one target and family
    LOCATE_QUESTIONS_MAX = 2 * LOCATE_TARGETS_MAX, // of one step
    LOCATE_NUMERIC_TTL_S = DNS_TTL_MAX_S,
};

// What of a URI decides. Padding is zero: equal ones are equal as bytes.
struct locate_place {
    bool sips;
    bool has_transport;
    uint8_t transport;
    uint8_t unused;
    uint16_t port;               // 0: none given
    struct hop numeric;          // family 0: a name
    char name[DNS_NAME_MAX + 1]; // TARGET of RFC 3263 §4: maddr, else the host
};

// EINVAL: no URI of a host that could be asked for, or of a transport that we don't have.
int locate_place_of(struct locate_place *out, struct text uri);

struct locate_wish {
    bool udp4, udp6; // our UDP ports are of that family
    bool ipv6_first; // when a name has addresses of both
    uint64_t seed;   // of the choice among SRV targets by weight
};

struct locate_question {
    char name[DNS_NAME_MAX + 1];
    enum dns_type type;
};

struct locate_target {
    char name[DNS_NAME_MAX + 1];
    uint16_t port;
    uint8_t n4, n6;
    uint8_t ip4[LOCATE_ADDRESSES_MAX][4], ip6[LOCATE_ADDRESSES_MAX][16];
};

struct locate_service {
    uint8_t transport;
    enum dns_outcome outcome;
    char name[DNS_NAME_MAX + 1]; // of its SRV records
    size_t n_targets;
    struct locate_target target[LOCATE_TARGETS_MAX];
};

struct locate {
    struct locate_place place;
    struct locate_wish wish;
    struct hash_random random;
    enum { LOCATE_NAPTR, LOCATE_SRV, LOCATE_ADDRESSES, LOCATE_DONE } step;
    bool by_naptr; // services are in order of preference, and asked for one after the other
    bool failed;   // something could not be found out
    size_t n_services, service;                              // the one that is looked at
    struct locate_service services[LOCATE_SERVICES_MAX + 1]; // [n_services]: no SRV at all
    size_t n_questions, n_asked, n_answered;                 // of this step
    struct locate_question question[LOCATE_QUESTIONS_MAX];
    uint8_t question_of[LOCATE_QUESTIONS_MAX]; // service or target
    // The end.
    size_t n_hops;
    struct hop hop[EVENT_HOPS_MAX];
    uint32_t ttl_s;         // so long it holds, good or not
    uint32_t nothing_ttl_s; // so long names have no addresses
};

void locate_begin(struct locate *l, const struct locate_place *place,
                  const struct locate_wish *wish);
// The next question, to be answered by its number; NULL: none before others are answered.
const struct locate_question *locate_ask(struct locate *l, size_t *number);
void locate_answer(struct locate *l, size_t number, const struct dns_answer *a);
static inline bool locate_is_done(const struct locate *l)
{
    return l->step == LOCATE_DONE;
}

// RFC 2782, Usage Rules: by priority, and within one at random by weight.
void locate_order_srv(struct dns_record *v, size_t n, struct hash_random *random);

#endif
