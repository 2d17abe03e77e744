// What must be true once the faults have stopped: invariants 4 and 6 of inspector.h.
#ifndef TESTS_REST_H
#define TESTS_REST_H

#include "world.h"

// 4. Else false, with the reason.
bool rest_is_true(struct world *w, char why[512]);
// 6. Likewise.
bool rest_is_empty(struct world *w, char why[512]);
// The longest that each may take, in seconds.
uint32_t rest_true_within_s(const struct world *w);
// What has been true for so long will stay so: everybody has refreshed what he thinks he has.
uint32_t rest_stays_true_s(const struct world *w);
// A change is seen without anybody's refresh.
uint32_t rest_prompt_within_s(const struct world *w);
uint32_t rest_empty_within_s(const struct world *w);

// Who has logged off, and is seen by somebody so that the gateway can know, costs the SIP side no
// dialog.
bool rest_is_away(struct world *w, char why[512]);
uint32_t rest_away_within_s(void);
uint32_t rest_back_within_s(const struct world *w);

#endif
