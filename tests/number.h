// Numbers on the command line of tests and benchmarks: the whole text is one, and within bounds.
#ifndef TESTS_NUMBER_H
#define TESTS_NUMBER_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// False: it is none, and *out is as it was.
static inline bool number_u64(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < least || n > most)
        return false;
    *out = n;
    return true;
}

static inline bool number_of(const char *text, unsigned least, unsigned most, unsigned *out)
{
    uint64_t n;
    if (!number_u64(text, least, most, &n))
        return false;
    *out = (unsigned)n;
    return true;
}

#endif
