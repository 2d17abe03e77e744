// When a stream comes up: what it missed is said again, at a pace.
//
// While a stream is down nothing is queued for it. Instead, each subscription of its domain is
// looked at once the stream is back (and so also after a restart): what its user should know is
// said again, and what we may have missed is asked for. CORE_RESYNC_STEP of them every
// CORE_RESYNC_MS, so that a million of them do not all speak at once.
#ifndef CORE_RESYNC_H
#define CORE_RESYNC_H

#include "core/state.h"

// The stream of `domain` has come up.
void resync_start(struct core *c, uint16_t domain);
// Somebody is trusted again: what was said meanwhile was refused, on either side of any stream.
// Between two steps. ENOMEM.
int resync_all(struct core *c);
// TIMER_RESYNC.
void resync_due(struct core *c);

#endif
