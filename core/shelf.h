// Small blocks of bytes, of which a shard holds millions: addresses, the texts of dialogs,
// presence.
//
// Blocks of one size, in steps of four bytes, share slabs, so that next to nothing is lost to
// rounding; what is larger than SHELF_BLOCK_MAX comes from malloc() one by one. Whoever has a block
// knows its size and brings it along when he gives the block back. Blocks are aligned to four
// bytes, and not zeroed. Free ones are poisoned for AddressSanitizer.
#ifndef CORE_SHELF_H
#define CORE_SHELF_H

#include <stddef.h>
#include <stdint.h>

enum { SHELF_STEP = 4, SHELF_BLOCK_MAX = 256, SHELF_SLAB = 1 << 15 };

struct shelf_slab;

struct shelf {
    // Of each size the slabs that are not full; the first serves.
    struct shelf_slab *roomy[SHELF_BLOCK_MAX / SHELF_STEP + 1];
    size_t blocks; // that are out
    size_t bytes;  // in slabs and large blocks
};

// All blocks have been given back.
void shelf_free(struct shelf *s);
// NULL: no memory.
void *shelf_take(struct shelf *s, size_t n);
// `n` as it was taken; NULL is welcome.
void shelf_give(struct shelf *s, void *block, size_t n);
// A block of another size that begins with the same bytes. On NULL `block` stays as it was; NULL as
// `block` is welcome.
void *shelf_resize(struct shelf *s, void *block, size_t n, size_t to);

#endif
