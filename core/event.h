// What the core is told, and what it wants done: the two ends of a step.
//
// Plain values without any library of the wire. An event borrows its message; it needs to live for
// the step only. Effects are collected over one turn of the shard's loop, made durable, then
// released.
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/wire/sip.h"
#include "core/wire/stanza.h"

// A transport address of a SIP peer. All-zero padding, so it can be compared and hashed as bytes.
enum hop_transport { HOP_UDP, HOP_TCP, HOP_TLS };
struct hop {
    uint8_t ip[16]; // IPv4 in the first four bytes
    uint16_t port;  // host byte order
    uint8_t family; // 4 or 6
    uint8_t transport;
};

bool hop_eq(const struct hop *a, const struct hop *b);
// Numeric IPv4 or IPv6 only (without brackets), never a name: EINVAL.
int hop_parse(struct hop *out, struct text host, uint16_t port, enum hop_transport transport);
// Only the address, numeric.
void hop_write_host(struct buffer *b, const struct hop *h);

// Which local socket: a shard's own port or one of [sip] listen, by index. A response leaves by the
// socket that its request came in on (RFC 3581 §4).
typedef uint16_t sip_port;
#define SIP_PORT_LISTEN(i)    ((sip_port)(0x8000u | (i)))
#define SIP_PORT_SHARD(i)     ((sip_port)(i))
#define SIP_PORT_IS_LISTEN(p) (((p)&0x8000u) != 0)
#define SIP_PORT_INDEX(p)     ((p)&0x7fffu)

enum event_kind {
    EVENT_TICK,        // time has passed: run what is due
    EVENT_SIP,         // a message from a SIP peer
    EVENT_STANZA,      // a stanza from the XMPP server
    EVENT_STREAM_UP,   // the component stream of `domain` is authenticated
    EVENT_STREAM_DOWN, // it was lost; what was released and not delivered is lost with it
    EVENT_RESOLVED,    // where `uri` leads: `hops`, best first; none: nowhere (RFC 3263)
    EVENT_UNREACHABLE, // nothing can be sent to `source`: refused, timed out, or not verified
};

struct event {
    enum event_kind kind;
    const struct sip_message *sip;
    struct hop source;
    sip_port port;
    bool admitted; // EVENT_SIP: core_turn_away() has said so
    const struct stanza *stanza;
    struct text domain;
    struct text uri;        // EVENT_RESOLVED: as EFFECT_RESOLVE gave it
    const struct hop *hops; // EVENT_RESOLVED
    unsigned n_hops;        // at most EVENT_HOPS_MAX
    uint32_t ttl_s;         // of the answer, good or not
};

enum { EVENT_HOPS_MAX = 16 };

enum effect_kind {
    EFFECT_SIP,    // bytes to `to` from local socket `port`
    EFFECT_STANZA, // bytes to the component stream of `domain`
    EFFECT_PUT,    // bytes are the new record of subscription `id`
    EFFECT_DELETE, // the record of subscription `id` goes
    // bytes are a SIP URI with a host name: EVENT_RESOLVED is to come, sooner or later
    EFFECT_RESOLVE,
};

struct effect {
    uint8_t kind;
    bool fresh;    // EFFECT_PUT of an id never stored before: ids of such ascend within a shard
    sip_port port; // EFFECT_SIP
    // EFFECT_SIP over TCP or TLS, an answer: if the connection is gone, open one to this port of
    // to.ip (RFC 3261 §18.2.2); 0: a request, which opens one to `to` itself.
    uint16_t reopen_port;
    struct span server_name; // EFFECT_SIP over TLS: whom the certificate must name (RFC 5922); n ==
                             // 0: the address itself
    uint16_t domain;         // EFFECT_STANZA: index of the stream, see core_domain_name()
    struct span bytes;       // into effects.bytes
    uint64_t id;
    struct hop to;
};

enum {
    // Above this the loop ends the turn early. One step may pass it: it is a mark, not a wall.
    EFFECTS_TURN_BYTES = 4 << 20,
};

struct effects {
    struct effect *v;
    size_t n, cap;
    struct buffer bytes;
    bool failed; // memory ran out: effects are missing, and what the core has done is not whole;
                 // neither they nor it are to be gone on with
};

void effects_init(struct effects *fx);
void effects_free(struct effects *fx);
void effects_reset(struct effects *fx);
// The effect begins where bytes.n stands; write its bytes, then call effects_end(). NULL: no
// memory.
struct effect *effects_begin(struct effects *fx, enum effect_kind kind);
void effects_end(struct effects *fx, struct effect *e);
static inline struct text effect_text(const struct effects *fx, const struct effect *e)
{
    return (struct text){fx->bytes.p + e->bytes.off, e->bytes.n};
}

#endif
