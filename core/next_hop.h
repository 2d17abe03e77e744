// Where a SIP URI leads (RFC 3263): to an address at once when its host is numeric, else to a name,
// which has to be resolved.
//
// Resolving is done outside of the core: EFFECT_RESOLVE asks, EVENT_RESOLVED answers, and what it
// says stays for its TTL. A name is forgotten when its answer is out of date and no request goes by
// it.
//
// ## Whom we send to
//
// A configured numeric proxy is sent to as it is. All other addresses (from Contact, Record-Route,
// an address of record, DNS) are sent to only if [trust] sip_sources holds them: else a user could
// aim our packets at whom he likes by what he writes into his Contact or into his zone, and an
// answer from there would not be taken anyway. So without a proxy, or with one that is given by
// name, the operator lists the addresses of the SIP side. What is left out for that reason counts
// in stats.refused_trust; if nothing is left, the URI leads nowhere.
#ifndef CORE_NEXT_HOP_H
#define CORE_NEXT_HOP_H

#include "core/state.h"

enum {
    NEXT_HOP_NAMES_MAX = 1024, // of a shard; beyond, one that no request goes by makes place
    NEXT_HOP_HOST_MAX = 255,   // bytes of a host name (RFC 1035 §2.3.4)
    NEXT_HOP_TTL_LEAST_S = 5,  // answers are kept so long at least, good or not
    NEXT_HOP_TTL_MOST_S = 3600,
    NEXT_HOP_ASK_MS = 60000, // without an answer for so long it is asked again
};

enum name_state { NAME_UNKNOWN, NAME_ASKED, NAME_KNOWN };

// An address, or a name; neither (family 0 and name 0): nowhere.
struct next_hop {
    struct hop hop;      // with a name: the best that it has led to so far, or family 0
    uint32_t name;       // handle in core.names, counted as a user of it
    uint32_t peer;       // handle of `hop` in core.peers, counted as in flight; 0: not yet
    uint16_t opens_with; // client_room()
};

// A URI of a peer, not trusted. The result is to be given back by next_hop_end().
void next_hop_of_uri(struct core *c, struct text uri, struct next_hop *out);
static inline bool next_hop_has_proxy(const struct core *c)
{
    return c->cfg.proxy.family || c->proxy;
}
// The configured proxy; family and name 0: there is none.
void next_hop_of_proxy(struct core *c, struct next_hop *out);
void next_hop_end(struct core *c, struct next_hop *o);
// One user less.
void next_hop_leave(struct core *c, uint32_t name);
// The numeric address of a URI, trusted or not. False: a name, or none of our URIs.
bool next_hop_numeric(struct text uri, struct hop *out);

// From the core's making: cfg.proxy_uri. ENOMEM.
int next_hop_set_proxy(struct core *c, struct text uri);

// True: the answer is here. False: it is on its way.
bool next_hop_ready(struct core *c, uint32_t name);
// Where the name leads, best first; at most EVENT_HOPS_MAX.
unsigned next_hop_targets(struct core *c, uint32_t name, struct hop *out);
// Whom a certificate must name (RFC 5922): the domain that was resolved, or cfg.proxy_name.
struct text next_hop_domain(const struct core *c, uint32_t name);

// A client transaction that waits for the answer; client_resolved() follows.
void next_hop_wait(struct core *c, uint32_t name, uint32_t client);
void next_hop_unwait(struct core *c, uint32_t name, uint32_t client);
uint32_t next_hop_waiting(const struct core *c, uint32_t name);

// EVENT_RESOLVED, TIMER_NAME.
void next_hop_resolved(struct core *c, const struct event *ev);
void next_hop_due(struct core *c, uint32_t name);
void next_hop_free_all(struct core *c);

#endif
