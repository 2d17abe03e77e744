// The deterministic machine of one shard: step(core, event, now) → effects.
//
// Owns all that is known of the bare JIDs of its shard. It has no socket, clock, thread or file;
// time and the seed of its randomness are handed in, so the same events give the same effects,
// always. Belongs to one thread. Time is milliseconds of the wall clock's epoch, never going back.
//
// ## The flow
//
//   SIP request ──▶ sip_in.c: form, trust ─────────────────┐
//   SIP response ─▶ sip_in.c ─▶ client.c ─▶ dialog.c ──────┤
//   stanza ───────▶ stanza_in.c: addresses, trust ─────────┼─▶ watch*.c or serve*.c ─▶ effects
//   timer ────────▶ core.c ────────────────────────────────┤
//   stream up ────▶ resync.c, at a pace ───────────────────┘
//
// Which of the two machines it is follows from who looks at whom. They speak through dialog.c and
// stanza_out.c; sub.c adds the records that have changed, at the step's end.
//
// Effects are appended in the order in which they are to happen. EFFECT_PUT and EFFECT_DELETE of
// all steps of a turn are committed together before any EFFECT_SIP or EFFECT_STANZA of it is let
// out.
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "core/event.h"

struct core;

enum {
    CORE_SHARDS_MAX = 64,
    CORE_DOMAINS_MAX = 1024, // SIP domains shown to XMPP, the gateway's own included
    CORE_KEY_BYTES = 16,
    CORE_REALMS_MAX = 64,
    CORE_OWNER_UNKNOWN = 0xffff,
};

// The keys of gateway.toml that the core obeys, by the same names. Live: core_set_settings().
struct core_settings {
    uint32_t expires_s, min_expires_s, max_expires_s;
    bool unsubscribe_on_expiry;
    uint32_t notify_interval_ms;
    uint32_t probe_timeout_s, probe_window_s;
    uint32_t subscriptions_per_user, subscriptions_per_shard;
    uint32_t new_subscriptions_per_user_per_min;
    uint32_t requests_in_flight_per_peer, notify_failures;
    uint32_t lag_ms; // input that waits longer is a sign of overload (core/overload.h); 0: never
    bool draining;   // refuse new work, go on serving what is
};

// A network, for [trust] sip_sources.
struct core_net {
    struct hop base; // port and transport unused
    uint8_t prefix;  // bits
};

// Trust, deny by default. Lists are copied.
struct core_trust {
    const struct text *sip_domains, *xmpp_domains, *probe_exempt_domains;
    size_t n_sip_domains, n_xmpp_domains, n_probe_exempt_domains;
    const struct core_net *sip_sources;
    size_t n_sip_sources;
};

// Credentials for one realm of the SIP side (RFC 7616 §3.3).
struct core_realm {
    struct text realm, user, password;
};

struct core_config {
    uint8_t key[CORE_KEY_BYTES]; // of the hash that spreads bare JIDs; lives as long as the store
    uint64_t seed;               // of tags, branches, jitter
    unsigned shard, shards;
    struct text gateway_domain; // empty: the gateway probes as the SIP domain concerned
    struct text advertise;      // host in Via and Contact
    uint16_t shard_port;        // this shard's own, over UDP
    uint16_t tcp_port,
        tls_port;           // of [sip] listen, for Contact and Via; 0: none, the UDP port stands
    struct hop proxy;       // next hop of requests without a route set; family 0: proxy_uri says
    struct text proxy_uri;  // to be resolved; empty as well: RFC 3263 by the request's own target
    struct text proxy_name; // whom a TLS proxy's certificate must name; empty: its address
    const struct core_realm *realms; // copied
    size_t n_realms;
    uint32_t t1_ms;
    uint64_t first_id; // above all stored, the same for all shards; see core_id_from() in core.c
    struct core_settings settings;
    struct core_trust trust;
};

// Text and lists of `cfg` are copied. ENOMEM, E2BIG (too many domains).
int core_create(struct core **out, const struct core_config *cfg);
void core_destroy(struct core *core);

void core_set_settings(struct core *core, const struct core_settings *s);
int core_set_trust(struct core *core, const struct core_trust *t);
// Whether it is one of [trust] sip_sources.
bool core_trusts_source(const struct core *core, const struct hop *source);

// How long input has been waiting of late before it was told here: before the steps of a turn.
// Holds until told anew. What follows from it is in core/overload.h.
void core_set_lag_ms(struct core *core, uint32_t lag_ms, uint64_t now_ms);

// What comes to the door while more comes than can be done (core/turn_away.h): a message's bytes,
// before they are parsed.
enum core_door {
    CORE_DOOR_ASK,  // not for here to say: a step will
    CORE_DOOR_OPEN, // its event is `admitted`
    CORE_DOOR_SHUT, // `out` is sent by the port that it came in on, and nothing is stepped
};
// An answer that need not wait for a commit; borrowed until the next call of any kind.
struct core_refusal {
    struct hop to;
    uint16_t reopen_port; // as in struct effect
    struct text bytes;    // empty: no memory
};
enum core_door core_turn_away(struct core *core, struct text bytes, const struct hop *source,
                              uint64_t now_ms, struct core_refusal *out);
// A message goes to another shard, which owns it.
void core_hands_on(struct core *core, const struct sip_message *m);

// Once per stored record, before the first step. EBADMSG: damaged; ENOTSUP: of a newer version.
int core_restore(struct core *core, uint64_t id, struct text record, uint64_t now_ms);

// One event. EVENT_TICK runs all timers due at `now_ms`; other events don't.
void core_step(struct core *core, const struct event *ev, uint64_t now_ms, struct effects *fx);
// When EVENT_TICK is next wanted, in ms; UINT64_MAX: nothing is waiting. Never late, may be early.
uint64_t core_next_due(const struct core *core);

// The streams that the core sends to: SIP domains in the order of the trust list, and the gateway's
// own. EFFECT_STANZA names them by this index. Empty text past the end.
struct text core_domain_name(const struct core *core, unsigned index);

// Which shard an event belongs to: the owner of its XMPP user's bare JID, or `self` when it names
// none (then any shard may answer it). CORE_OWNER_UNKNOWN: no memory to tell, so nobody. Nothing is
// changed, and only key and shard count are looked at.
unsigned core_owner_of_sip(const struct core *core, const struct sip_message *m);
unsigned core_owner_of_stanza(const struct core *core, const struct stanza *s);
// The same from a record's owner hash, for re-partitioning.
unsigned core_shard_of_hash(uint32_t hash, unsigned shards);

// Counters and gauges. Written by the core's thread alone; others may read them (relaxed).
struct core_stats {
    uint64_t events, stanzas_in, stanzas_out, sip_in, sip_out, records_put, records_deleted;
    uint64_t retransmits, timeouts, probes, fences, refreshes, refreshes_refused;
    uint64_t refused_trust, refused_limit, malformed, unmatched, notifies_in, notifies_out;
    uint64_t resolves, failovers, tcp_switches;
    uint64_t put_off;             // requests that found no room on the way to their next hop
    uint64_t overload_refused[2]; // new work, by direction
    // gauges
    uint64_t overload_lag_ms, overload_shedding; // the latter 0 or 1
    uint64_t overload_share_thousandths;         // refused part of what was new of late
    uint64_t users, subscriptions, dialogs, client_transactions, server_transactions, timers;
    uint64_t by_state[2][3]; // [direction][state], the enums below
    uint64_t memory_bytes;   // slabs and tables; counted when it is asked for
};
const struct core_stats *core_stats(struct core *core);

enum core_direction { XMPP_TO_SIP, SIP_TO_XMPP };
enum core_state { STATE_PENDING, STATE_ACTIVE, STATE_DORMANT };

// A subscription as the admin sees it; text is borrowed until the next step.
struct core_dialog_view {
    struct text call_id, remote;
    uint32_t expires_in_s;
};
enum { CORE_DIALOG_VIEWS_MAX = 16 };
struct core_subscription_view {
    uint64_t id;
    enum core_direction direction;
    enum core_state state;
    struct text xmpp, sip; // bare JID; bare SIP URI
    uint32_t expires_in_s; // of the longest-lived dialog; 0: none
    uint64_t created_at_ms;
    size_t n_dialogs; // all of them; the first CORE_DIALOG_VIEWS_MAX are in `dialogs`
    struct core_dialog_view dialogs[CORE_DIALOG_VIEWS_MAX];
};
struct core_filter {
    struct text jid;      // bare JID, prepared; empty: any
    struct text sip_jid;  // the SIP side's bare JID as mapped by address_to_jid; empty: any
    int direction, state; // -1: any
};
// Calls `each` for matching subscriptions from place `cursor` (0: start) on, until `each` returns
// false (it has not taken that one), or `scan_max` places were looked at, or the end. Returns the
// place to go on from; 0: the end. Read-only; on the core's thread between steps.
uint64_t core_list(const struct core *core, const struct core_filter *filter, uint64_t cursor,
                   size_t scan_max, bool (*each)(void *, const struct core_subscription_view *),
                   void *arg, uint64_t now_ms);

#endif
