// Which new work is refused while more comes than can be done.
//
// ## The flow
//
//   shards/: how long input has waited ──▶ core_set_lag_ms() ─▶ overload_lag()
//                                                                  │ judged each interval
//                                                                  ▼
//   new work of a peer ──▶ overload_admits() ◀── the fair level ◀── the budget
//                           │          │
//                         taken     refused: 503 with Retry-After, `resource-constraint`
//
// New work is what can be refused without breaking a promise: a SUBSCRIBE outside of any dialog, an
// XMPP `subscribe` for a new pair, a probe without an authorization. All else (refreshes, answers,
// presence, the ends of things) is never refused here; it is what the rest is refused for.
//
// The sign of overload is the wait of input before it is read, as with CoDel (RFC 8289): a queue
// that comes and goes is of use, one that stands is not, so it is the least wait in an interval
// that counts, and not how many messages came, which costs different sums on different machines.
//
// While shedding there is a budget: how many pieces of new work are taken in an interval. It begins
// with what was taken when the lag rose, which is what can be done, and follows the lag from then
// on by the distance to the target and by the trend, as PIE does it (RFC 8033 §4.2). What a refusal
// costs shows in the lag as well.
//
// The lag says late what a budget was worth: most of a piece's work comes after it was taken, and
// while all of it can be done there is no lag at all, however little is left. So it is not let lead
// alone, or the budget goes up and down between twice and a quarter of what can be done. There is a
// mean of what was taken in the last intervals, the usual: the budget comes back to it fast and
// goes beyond it slowly, as CUBIC does with a window that was good once (RFC 9438 §4.2), and does
// not fall far below it unless the lag is high. A slow commit makes a lag, too, and little taken;
// by the usual it is forgotten in a few intervals.
//
// And it only counts while something waits. Once next to nothing does, all is taken, whatever the
// budget says: what was refused then would be time given away. So a budget that fell too low (the
// machine stood still for a moment, or had been slow and no longer is) costs little, for the queue
// that it should have let in is let in by this.
//
// The budget is shared out by peers (a SIP source address, an XMPP domain), fair by max-min: there
// is a level such that who brings less than it has all of it taken, and who brings more gets as
// much as the level; all together are the budget. So whoever floods is refused first, and a quiet
// peer not at all, unless even the quiet ones together are too many. Of what one peer brings a part
// is refused, as by the loss-based scheme of RFC 7339, only here and not there; and the hash of
// what names a piece says whether it is one of them: what is sent again gets the same answer as
// long as the level stands and there is a queue, and nobody has to remember it. (Stanzas, which
// nobody sends again, draw lots.)
//
// Pure: no time but what it is told, no memory but its own. Peers are slots of a table by a keyed
// hash; two that fall into one slot share its fate, and its level.
#ifndef CORE_OVERLOAD_H
#define CORE_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OVERLOAD_INTERVAL_MS = 100,
    OVERLOAD_PEERS = 1024,
    // Taken in an interval whatever the lag: it is no cure for an overload of another kind that
    // nobody may begin anything.
    OVERLOAD_BUDGET_LEAST = 10,
    OVERLOAD_CALM = 50, // intervals without a refusal and with little lag: it is over
    // Retry-After: about CORE_RETRY_AFTER_S, but not all at once.
    OVERLOAD_RETRY_LEAST_S = 15,
    OVERLOAD_RETRY_MOST_S = 45,
};

// Pieces of new work that it brought; `now` is of interval `at`, `last` of the one before.
struct overload_peer {
    uint32_t at, now, last;
};

struct overload {
    uint64_t interval;            // number of the one under way
    uint32_t lag_ms;              // as last told
    uint32_t least_ms, before_ms; // the least told in this interval (UINT32_MAX: nothing told yet),
                                  // and in the one before
    uint32_t taken, refused;      // in this interval
    uint32_t taken_before, refused_before;
    uint32_t calm;    // intervals since there was a reason to shed
    uint32_t learned; // intervals in the usual
    bool shedding;
    uint64_t budget, usual, level; // thousandths of pieces in an interval
    struct overload_peer peer[OVERLOAD_PEERS];
};

// All zero is the beginning. `target_ms`: more lag than that is overload; 0: nothing ever is.

// How long input waits at present: holds until told anew.
void overload_lag(struct overload *o, uint32_t lag_ms, uint32_t target_ms, uint64_t now_ms);

// One piece of new work of `peer`: true if it is taken. `piece` names it; both are keyed hashes.
bool overload_admits(struct overload *o, uint64_t peer, uint64_t piece, uint32_t target_ms,
                     uint64_t now_ms);

// When to come back with it.
uint32_t overload_retry_after_s(uint64_t piece);

// The refused part of all new work in the last interval, in thousandths.
uint32_t overload_share(const struct overload *o);

#endif
