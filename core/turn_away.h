// New SUBSCRIBEs turned away while there are too many: which (core/overload.h), and with what
// words.
//
// ## The flow
//
//   bytes ─▶ core_turn_away() ─┬─▶ nothing is shed, or it is no plain new SUBSCRIBE:
//                              │   it is parsed, and a step, as ever
//                              ├─▶ known: the same; it was sent again, and has its answer
//                              ├─▶ admitted: the same, and the step need not ask again
//                              └─▶ refused: 503, right away
//
// A refusal promises nothing, changes nothing but counters, and follows from the request's bytes:
// so it need not wait for a commit, nobody has to remember it, and the rest of the request need not
// be read. At twice the capacity every second message is one to be refused, and whatever that costs
// is taken from those that are served.
//
// The shard that reads a request judges it, whoever owns it: it is the reader's time that is short.
// (The owner judges again, by what is waiting there.) What it has handed on to other shards it
// remembers for a moment, in few bytes and by and by overwritten: a copy that comes late should
// meet the answer of the first, and not a reader who has got busier in between.
#ifndef CORE_TURN_AWAY_H
#define CORE_TURN_AWAY_H

#include "core/state.h"

// Whether new work of this source is taken; counted. `piece` is a keyed hash of what names it.
bool turn_away_admits(struct core *c, const struct hop *source, uint64_t piece);
// The header fields of the refusal; good until c->line is used again.
struct text turn_away_fields(struct core *c, uint64_t piece);

#endif
