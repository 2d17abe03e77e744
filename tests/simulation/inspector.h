// The invariants of a world, watched at the gateway's edge: what goes in and what comes out.
//
// 1. No authorization that a peer was told of is lost, across any crash.
// 2. No refresh leaves without a fresh answer to a probe (exempt domains aside).
// 3. Who is not trusted never causes a packet on the other side.
// 4. When the faults have stopped, every watcher sees the presentity's true state (rest.h).
// 5. What is caused per stanza and per request stays below a factor.
// 6. At rest nothing is left but authorizations (rest.h).
//
// And: in each dialog requests leave in order, no branch and no Call-ID is used twice, across all
// lives (dialog_log.h); what was granted holds (grants.h); no pair has two owners; the gauges say
// what is there; one event has few effects; all requests are answered once the faults are over
// (sip_wire.c); at rest no peer keeps a dialog that nobody ends, nor two for one pair (rest.h).
#ifndef TESTS_INSPECTOR_H
#define TESTS_INSPECTOR_H

#include "gateway.h"
#include "world.h"

void inspector_create(struct world *w);
void inspector_destroy(struct world *w);

// The process begins, and ends: what was in flight is forgotten.
void inspector_birth(struct world *w);
void inspector_rebirth(struct world *w); // of one shard
void inspector_death(struct world *w);

// Within a life its clock has leapt ahead; between two lives it was set.
void inspector_clock_leapt(struct world *w);
void inspector_clock_set(struct world *w);

// A shard can't commit, and takes nothing in.
void inspector_held(struct world *w);

// Before a step: its number.
uint64_t inspector_step(struct world *w);
// Behind it: how many effects it had.
void inspector_stepped(struct world *w, const struct event *ev, size_t effects);
// What it is about. False: of a domain or source that is not trusted, so nothing may cross.
bool inspector_sip_in(struct world *w, const struct event *ev);
bool inspector_stanza_in(struct world *w, const struct stanza *s);
// As it is let out.
void inspector_sip_out(struct world *w, const struct cause *cause, struct text bytes);
void inspector_stanza_out(struct world *w, const struct cause *cause, struct text bytes);

// A peer has been told that the pair's authorization stands: `subscribed`, NOTIFY active.
void inspector_told(struct world *w, unsigned x, unsigned s, enum core_direction direction);
// 1. A record goes; then, the commit that did it is done: those pairs are looked at.
void inspector_deleted(struct world *w, struct text record);
void inspector_committed(struct world *w, bool done); // done: false, nothing of it is there
// A committed write of a record is lost by a power failure: of what was promised since the write
// before it nothing binds any more, and nothing else is excused. Empty: no record.
void inspector_lost(struct world *w, struct text before, struct text lost);
// All of them.
void inspector_check_authorizations(struct world *w);
// 5.
void inspector_check_factors(struct world *w);

#endif
