// The blocks of memory that are alive, and whether the core has asked for them.
#ifndef TESTS_BLOCKS_H
#define TESTS_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void blocks_begin(void); // from here on; those that are there already are not ours
void blocks_in_core(bool inside);
// Frees all that are left. Returns how many of them the core had asked for.
size_t blocks_end(void);
// The place from which the present allocation is asked for, as a hash of the frames above it.
uint64_t blocks_place(void);

#endif
