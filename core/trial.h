// The places that one request may go to, and how far it has come (RFC 3263 §4.3): each in turn, a
// big request first over TCP (RFC 3261 §18.1.1).
#ifndef CORE_TRIAL_H
#define CORE_TRIAL_H

#include "core/next_hop.h"

enum { TRIAL_DATAGRAM_MAX = 1300 }; // bytes of a request over UDP; a longer one is sent over TCP

struct trial {
    uint32_t name;         // 0: one numeric place, hops[0]
    uint32_t next_waiting; // client
    uint64_t until_ms;     // the present place has time until then
    struct sip_places places;
    struct sip_message *last; // the last answer, which sent us elsewhere
    uint16_t tried;           // bits of hops
    uint8_t n, at;
    bool loaded;   // hops are there
    bool waiting;  // for the name's answer
    bool over_tcp; // hops[at] is a UDP one, tried over TCP
    struct hop hops[EVENT_HOPS_MAX];
};

// NULL: no memory. The trial is one more user of to->name.
struct trial *trial_create(struct core *c, const struct next_hop *to);
void trial_free(struct core *c, struct trial *t);
// Of what the name leads to now.
void trial_load(struct core *c, struct trial *t);
// The next place for a request of n bytes; false: all have been tried. Who is dead comes last.
bool trial_next(struct core *c, struct trial *t, size_t n, struct hop *out);
// Places that come behind the present one.
unsigned trial_left(const struct trial *t);
// The present place has failed: what is to be remembered of it, for `for_ms`.
void trial_failed(struct core *c, struct trial *t, uint64_t for_ms);
// All places once more.
void trial_rewind(struct trial *t);

#endif
