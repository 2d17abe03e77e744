// Servers that misbehave: what they send between the honest messages, in the names of honest people
// and of some who are not there. Whatever it is, honest pairs come to the truth.
#ifndef TESTS_ROGUE_H
#define TESTS_ROGUE_H

#include "world.h"

// One such thing, of a kind that chance picks.
void rogue_act(struct world *w);

#endif
