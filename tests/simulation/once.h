// What may be used only once, across all lives of the process: branches, tags, Call-IDs.
#ifndef TESTS_ONCE_H
#define TESTS_ONCE_H

#include "core/wire/text.h"

struct once {
    uint64_t *v; // hashes, linear probing; 0: empty
    size_t mask, n;
};

// False: it was there before.
bool once_add(struct once *o, struct text t);
void once_free(struct once *o);

#endif
