// The gateway as one process: several cores, each with its turns, over one store; and its deaths.
#ifndef TESTS_GATEWAY_H
#define TESTS_GATEWAY_H

#include "store_model.h"
#include "world.h"

enum {
    GATEWAY_SHARDS_MAX = STORE_MODEL_SHARDS_MAX,
    GATEWAY_STREAMS = 2, // example.net, gw.example.net
    GATEWAY_LISTEN = 5060,
    GATEWAY_PORT = 5080, // of shard 0
    GATEWAY_PROXY = 5070,
    GATEWAY_LAG_MS = 100,     // more is overload
    GATEWAY_REFUSE_MOST = 12, // within so many allocations of a turn one is refused
};

// Whom it does not trust at present, of those whom it should.
enum gateway_away { AWAY_NOBODY, AWAY_SIP, AWAY_COM, AWAY_ORG };

// Why the core did what it did: the event of the step.
struct cause {
    enum event_kind kind;
    bool trusted;
    uint64_t at_ms, step; // by the gateway's clock
    enum gateway_away away;
};

// A shard's rings to others, and what it owes since they were full (gateway_rings.h).
struct gateway_rings {
    uint64_t full_until_ms[GATEWAY_SHARDS_MAX];
    uint64_t pay_ms; // not before
    uint32_t pause_ms;
    bool owing;
    bool missed[GATEWAY_SHARDS_MAX];                // a stanza for that shard's core
    bool stanzas[GATEWAY_STREAMS];                  // of its own core, to the stream
    bool told[GATEWAY_STREAMS][GATEWAY_SHARDS_MAX]; // how the stream fares
};

// Something on its way to a shard.
struct inbox_item {
    enum event_kind kind;
    bool resync; // no event: the core is to be told of `stream`; GATEWAY_STREAMS: of all
    void *block; // struct sip_message or struct stanza
    struct hop source;
    sip_port port;
    unsigned stream;
    bool admitted;
};

struct gateway_shard {
    struct core *core;
    struct effects fx;
    struct cause *cause; // of each effect
    size_t cause_cap;
    struct inbox_item *inbox;
    size_t inbox_first, inbox_n, inbox_cap; // taken up to, filled up to
    uint64_t wake_ms;                       // when the next turn is arranged for
    bool held;                // a commit has failed, nothing is taken in until it succeeds
    bool up[GATEWAY_STREAMS]; // as it was told
    uint64_t most;            // objects that the core held at once
    uint64_t shed;            // pieces of new work that the core has refused for its lag, so far
    struct gateway_rings rings;
    unsigned long refuse; // of the turn's allocations to come, the one that is refused; 0: none
};

struct gateway {
    bool alive;
    unsigned shards;
    uint64_t life; // number of the process's life; what was arranged in an earlier one is void
    struct gateway_shard shard[GATEWAY_SHARDS_MAX];
    struct store_model store;
    struct sip_parser *parser;
    uint64_t full_until_ms;    // no commit succeeds
    uint64_t stopped_until_ms; // suspended: no turn is taken, and its clock stands still
    int64_t skew_ms;           // its clock minus the world's
    unsigned death_in;         // turns until it dies; 0: not planned
    unsigned death_at;         // enum of gateway.c
    struct core_settings settings;
    enum gateway_away away;
    uint64_t away_number, drain_number; // only the end of the last of them counts
    uint32_t lag_ms;                    // how long input waits,
    uint64_t lag_until_ms;              // until then
    bool stream_up[GATEWAY_STREAMS];    // as its home knows
};

void gateway_create(struct world *w);
void gateway_destroy(struct world *w);

// From the wires.
void gateway_sip(struct world *w, struct text bytes, const struct hop *source, uint16_t port);
void gateway_stanza(struct world *w, unsigned stream, const struct stanza *s);
void gateway_stream(struct world *w, unsigned stream, bool up);
// From its rings: how the stream fares; and what makes good for what was dropped.
void gateway_tell_stream(struct world *w, unsigned shard, unsigned stream);
void gateway_owes_resync(struct world *w, unsigned shard, unsigned stream);
// It will die within the next turns, at some point of one, and come back after a while.
void gateway_plan_death(struct world *w);
// Commits fail for so long (ENOSPC).
void gateway_store_full(struct world *w, uint32_t ms);

// All shards take a turn.
void gateway_ring(struct world *w);
// Its clock leaps ahead.
void gateway_clock_leap(struct world *w, uint32_t ms);
// The process is suspended for so long, and knows nothing of it.
void gateway_suspend(struct world *w, uint32_t ms);
// What its clock says.
uint64_t gateway_now_ms(const struct world *w);

// Sums over all shards.
struct core_stats gateway_stats(const struct world *w);
// All subscriptions of all shards.
void gateway_each(struct world *w, bool (*each)(void *, const struct core_subscription_view *),
                  void *arg);
// Is there an authorization for the pair? *state: the first found. The number found.
unsigned gateway_find(struct world *w, const char *xmpp, const char *sip_jid,
                      enum core_direction direction, enum core_state *state);

#endif
