// SipHash-2-4 (Aumasson and Bernstein, 2012): the keyed hash that spreads JIDs over shards and
// tables, so that nobody outside can aim keys at one shard or one bucket; and, keyed by a seed, the
// generator of tags and branches that nobody outside can guess.
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include "core/wire/text.h"

uint64_t hash_sip(const uint8_t key[16], const void *p, size_t n);

// Many times as fast, for texts that nobody gains from having mistaken for each other: without a
// key, so whoever wants two of the same hash can make them.
uint64_t hash_plain(const void *p, size_t n);

// Numbers that follow from the seed alone.
struct hash_random {
    uint8_t key[16];
    uint64_t counter;
};
void hash_random_init(struct hash_random *r, uint64_t seed, uint64_t stream);
uint64_t hash_random_u64(struct hash_random *r);
// 0 … n-1; n > 0.
uint32_t hash_random_below(struct hash_random *r, uint32_t n);

#endif
