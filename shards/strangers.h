// How often datagrams of a source that nobody trusts are looked at.
//
// A SIP request of such an address gets a 403, which serves an honest mistake; but to read and to
// answer a flood of them costs what is there for those who are trusted, and as addresses can be
// made up, the answers would go to whomever the flood's sender chose. So there are few for each
// address and few for all; the rest is dropped before it is read.
//
// Each address, and all together, have a bucket (the virtual scheduling form of GCRA, ITU-T I.371).
// Addresses are slots of a table by a keyed hash; two that fall into one slot share it. Who has one
// address of IPv6 has the 2^64 of its network: they are one.
#ifndef SHARDS_STRANGERS_H
#define SHARDS_STRANGERS_H

#include <stdbool.h>

#include "core/event.h"

enum {
    STRANGERS_SLOTS = 1024,
    STRANGERS_ONE_PER_S = 10,  // of one address, of which
    STRANGERS_ONE_BURST = 10,  // so many at once,
    STRANGERS_ALL_PER_S = 500, // and of all
    STRANGERS_ALL_BURST = 500,
};

struct strangers {
    uint8_t key[16]; // the rest all zero is the beginning
    uint64_t all_us; // when all that were looked at would have come at that rate
    uint64_t one_us[STRANGERS_SLOTS];
};

// One datagram of `source`: true if it is looked at.
bool strangers_hear(struct strangers *t, const struct hop *source, uint64_t now_ms);

#endif
