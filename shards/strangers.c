// How often datagrams of a source that nobody trusts are looked at: see strangers.h.
#include "shards/strangers.h"

#include "core/hash.h"

enum { SECOND_US = 1000000 };

// How it is after one more; 0: there is no room for one.
static uint64_t bucket_with(uint64_t bucket_us, uint64_t now_us, uint32_t per_s, uint32_t burst)
{
    uint64_t each_us = SECOND_US / per_s;
    if (bucket_us < now_us)
        bucket_us = now_us;
    return bucket_us - now_us + each_us <= burst * each_us ? bucket_us + each_us : 0;
}

bool strangers_hear(struct strangers *t, const struct hop *source, uint64_t now_ms)
{
    size_t n = source->family == 4 ? 4 : 8;
    uint64_t *one_us = &t->one_us[hash_sip(t->key, source->ip, n) % STRANGERS_SLOTS];
    uint64_t now_us = now_ms * 1000;
    uint64_t one = bucket_with(*one_us, now_us, STRANGERS_ONE_PER_S, STRANGERS_ONE_BURST);
    uint64_t all = bucket_with(t->all_us, now_us, STRANGERS_ALL_PER_S, STRANGERS_ALL_BURST);
    if (!one || !all)
        return false;
    *one_us = one;
    t->all_us = all;
    return true;
}
