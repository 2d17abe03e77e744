// The simulated world: one clock, one queue of what is to happen, one source of chance.
//
// Everything follows from the seed. No real time, no real socket, no address of memory ever decides
// anything, so a seed that fails fails again. Chance follows from causes: what a happening draws is
// seeded by what has arranged it, so if one act is left out, only what follows from it is another.
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <stdio.h>

#include "core/core.h"

enum {
    WORLD_USERS_MAX = 20000, // of either side
    WORLD_RESOURCES_MAX = 3,
    WORLD_LADDER = 60,
    WORLD_LINE = 400,
    WORLD_STAMP = 32,
};

// What the seed has drawn. Rates are in one of a thousand.
struct options {
    unsigned shards, xmpp_users, sip_users, acts, minutes;
    unsigned contacts; // SIP users whom one XMPP user may have to do with; 0: all
    uint32_t expires_s, min_expires_s, max_expires_s, device_expires_s, server_expires_s;
    uint32_t server_min_expires_s, probe_timeout_s, window_s, t1_ms, notify_interval_ms;
    unsigned loss, dup, slow, slow_ms, crash, stream_break, partition, unreachable;
    unsigned server_restart, sip_errors, commit_fails, store_full, power_failure, clock, rogue,
        batch;
    unsigned memory; // of the turns: an allocation in them is refused
    unsigned rings;  // of what crosses from one shard to another: it is the first to be dropped
    unsigned overload, draining, trust, absurd, forked, other_client, deleted;
    bool exempt, unsubscribe_on_expiry, ejabberd, tcp, record_route, notify_first, rejects_with_200;
    bool gateway_domain, stranger_answers, digest;
};

// What may go wrong. world.c has their names.
enum fault {
    FAULT_LOSS,
    FAULT_DUP,
    FAULT_SLOW,
    FAULT_PARTITION,
    FAULT_STREAM_BREAK,
    FAULT_UNREACHABLE,
    FAULT_CRASH_BEFORE_COMMIT, // in the order of enum death_at in gateway.c
    FAULT_CRASH_WITHIN_COMMIT,
    FAULT_CRASH_AFTER_COMMIT,
    FAULT_CRASH_WHILE_RELEASING,
    FAULT_SHARDS,
    FAULT_POWER_FAILURE,
    FAULT_COMMIT_FAILS,
    FAULT_STORE_FULL,
    FAULT_RING_FULL,
    FAULT_RING_DROPPED,
    FAULT_CLOCK_LEAP,
    FAULT_CLOCK_STOP,
    FAULT_CLOCK_SET,
    FAULT_SERVER_RESTART,
    FAULT_SERVER_ENDS_ONE,
    FAULT_SERVER_ERROR,
    FAULT_DEVICE_ERROR,
    FAULT_STRANGER,
    FAULT_ROGUE_TAGS, // in the order of rogue_act()
    FAULT_ROGUE_CSEQ,
    FAULT_ROGUE_BODY,
    FAULT_ROGUE_RESPONSE,
    FAULT_ROGUE_GARBAGE,
    FAULT_ROGUE_NOBODY,
    FAULT_ROGUE_ADDRESSES,
    FAULT_ROGUE_RESULT,
    FAULT_ROGUE_ERROR,
    FAULT_ROGUE_FLOOD,
    FAULT_ROGUE_ANSWER,
    FAULT_MEMORY,
    FAULT_TURNED_AWAY,
    FAULT_LAG,
    FAULT_SHED,
    FAULT_DRAINING,
    FAULT_SETTINGS,
    FAULT_DISTRUST,
    FAULT_REDIRECT_AWAY,
    FAULT_RETRY_AFTER,
    FAULT_PROBATION,
    FAULT_MIN_EXPIRES,
    FAULT_ONLY_PROVISIONAL,
    FAULT_FORKED,
    FAULT_APPROVED_UNASKED,
    FAULT_CONTACT_REMOVED,
    FAULT_ACCOUNT_DELETED,
    FAULT_KINDS
};

struct world;
// What happens when an event's time has come. `bytes` is the event's own, freed after it.
struct happening {
    uint64_t at_ms, number;
    uint64_t seed; // of what it draws
    void (*act)(struct world *w, const struct happening *h);
    void *who;
    uint64_t what, more;
    struct text bytes;
};

struct gateway;
struct pairs;
struct net;
struct xmpp;
struct sip;
struct inspector;

struct world {
    uint64_t seed, now_ms, begin_ms, hash, messages;
    uint64_t chance[2];
    uint64_t cause, effects; // seed of what happens now, and how much it has arranged
    uint64_t phases;         // begun from outside
    struct options opt;
    uint64_t calm_ms; // since then
    bool calm;        // the faults have stopped, and people have come to rest
    bool verbose, failed;
    struct happening *queue;
    size_t n, cap;
    uint64_t number;
    const unsigned char *acts_off; // see run.h
    size_t n_acts_off;
    uint64_t faults[FAULT_KINDS]; // how often each came
    struct pairs *pairs;
    struct gateway *gateway;
    struct net *net;
    struct xmpp *xmpp;
    struct sip *sip;
    struct inspector *inspector;
    char ladder[WORLD_LADDER][WORLD_LINE + WORLD_STAMP];
    uint64_t ladder_n;
    char why[1024];
};

struct world *world_create(uint64_t seed, bool verbose);
void world_destroy(struct world *w);

// Chance.
uint64_t world_draw(struct world *w);
uint32_t world_below(struct world *w, uint32_t n); // 0 … n-1
uint32_t world_between(struct world *w, uint32_t least, uint32_t most);
bool world_chance(struct world *w, unsigned of_thousand);
// The same, counted, but never once the faults have stopped.
bool world_fault(struct world *w, enum fault kind, unsigned of_thousand);
const char *world_fault_name(enum fault kind);
// Between these two chance is that of the act `number`, and nobody else's: so whatever is left out,
// the others decide as they did. Returns what world_chance_end() wants back.
struct world_chance_kept {
    uint64_t chance[2], cause, effects;
};
struct world_chance_kept world_chance_of(struct world *w, uint64_t number);
void world_chance_end(struct world *w, struct world_chance_kept kept);

// Time.
typedef void (*world_act)(struct world *w, const struct happening *h);
void world_in(struct world *w, uint64_t delay_ms, world_act act, void *who, uint64_t what);
// With bytes (copied).
void world_bring(struct world *w, uint64_t delay_ms, const struct happening *h);
// Lets happen all that is due until `end_ms`, or until something is wrong.
void world_run(struct world *w, uint64_t end_ms);

// Says that an invariant does not hold. Only the first time counts.
void world_broken(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define world_expect(w, condition, ...)                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            world_broken((w), __VA_ARGS__);                                                        \
    } while (0)
// A line of the ladder.
void world_note(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_note_message(struct world *w, const char *way, struct text bytes);
// Bytes that the gateway let out, for the comparison of two runs.
void world_digest(struct world *w, struct text bytes);
void world_report(const struct world *w, FILE *to);

char *world_copy(struct text t); // NUL-terminated
// "juliet17@…" with the name "juliet" and n users: 17. False: it is not like that.
bool world_number_of(struct text address, struct text name, unsigned n, unsigned *number);

#endif
