// Which allocations of a scenario are to be refused.
#ifndef TESTS_PLACES_H
#define TESTS_PLACES_H

#include <stddef.h>

// While the scenario is played for the first time.
void places_begin(void);
// How many are to be refused: in each place only so many of all scenarios.
size_t places_end(void);
// Nothing of what was looked at counts: the scenario is left out.
void places_forget(void);
unsigned long places_number(size_t i);

#endif
