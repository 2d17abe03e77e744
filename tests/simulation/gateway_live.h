// What changes while the gateway runs: its operator's wishes, and how long its input has to wait.
#ifndef TESTS_GATEWAY_LIVE_H
#define TESTS_GATEWAY_LIVE_H

#include "gateway.h"

// As it is at present.
struct core_trust gateway_trust(const struct world *w);
// With `away`, may nothing pass between the user `x` and SIP?
bool gateway_away_is(enum gateway_away away, const struct world *w, unsigned x);

// One of the things that it may be, for so long: each is over by itself, and at the latest when all
// is calm.
void gateway_lag(struct world *w, uint32_t lag_ms, uint32_t for_ms);
void gateway_drain(struct world *w, uint32_t for_ms);
void gateway_distrust(struct world *w, enum gateway_away away, uint32_t for_ms);
// Other settings, until the next ones.
void gateway_reconfigure(struct world *w);
void gateway_live_calm(struct world *w);

// Before the steps of a turn, as shards/shard_lag.c.
void gateway_tell_lag(struct world *w, struct gateway_shard *s);
// After them: what the core has refused for it counts, and what it holds.
void gateway_count(struct world *w, struct gateway_shard *s);
// At the end: no core has taken more memory than for what it held at once.
void gateway_check_memory(struct world *w);

#endif
