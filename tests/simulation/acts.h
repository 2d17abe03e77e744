// What happens to a world: people's acts and faults while it is wild, and then the end of all.
#ifndef TESTS_ACTS_H
#define TESTS_ACTS_H

#include "world.h"

// Where the acts are told in words besides the ladder; NULL: nowhere.
extern FILE *acts_words;

// Arranges all acts of the wild phase; returns when it ends.
uint64_t acts_arrange(struct world *w);
// The faults stop.
void acts_calm(struct world *w);
// Everybody who is there changes, several times in quick succession.
void acts_change_all(struct world *w);
// Everybody ends what he has.
void acts_end_all(struct world *w);

// All who are there log off, and the same sessions on again.
void acts_log_off_all(struct world *w);
void acts_log_on_all(struct world *w);

#endif
