// The blocks of memory that are alive, and whether the core has asked for them.
#ifndef TESTS_BLOCKS_H
#define TESTS_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// From here on; those that are there already are not ours. `asked` as in struct seam_watch.
void blocks_begin(void (*asked)(void));
void blocks_forget(void); // they stay
void blocks_in_core(bool inside);
// Frees all that are left. Returns how many of them the core had asked for.
size_t blocks_end(void);
// The place from which the present allocation is asked for, as a hash of the frames above it, up to
// the one whose address was given.
void blocks_set_floor(const void *frame);
uint64_t blocks_place(void);

#endif
