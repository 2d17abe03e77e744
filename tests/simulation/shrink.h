// Finds a shorter run that fails as a given one does.
//
// First with smaller options (fewer users, no faults of a kind), then by delta debugging over the
// acts (Zeller and Hildebrandt, 2002) until each of those that are left is needed. Every trial is a
// process of its own, since a core that asserts takes its process with it.
#ifndef TESTS_SHRINK_H
#define TESTS_SHRINK_H

#include "act_set.h"
#include "run.h"

// "loss=0,minutes=5" onto `o`. EINVAL: not such a list, or no such option.
int shrink_set(struct options *o, const char *list);
// Prints the shortest that was found within `limit_s`. 0: there is one; 1: the seed does not fail.
int shrink(uint64_t seed, unsigned users, unsigned limit_s);

#endif
