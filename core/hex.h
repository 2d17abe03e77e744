// Fixed-width lower-case hex numbers, as they stand in our tags and branches.
#ifndef CORE_HEX_H
#define CORE_HEX_H

#include <stdbool.h>
#include <stdint.h>

static inline void hex_write(char *to, uint64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--, v >>= 4)
        to[i] = "0123456789abcdef"[v & 15];
}

// Upper case is not ours and refused. Without branches: of a random digit nobody can guess whether
// it is a letter, and to guess wrong at half of a tag's was the dearest part of finding its dialog.
static inline bool hex_read(const char *p, int digits, uint64_t *out)
{
    uint64_t v = 0;
    bool bad = false;
    for (int i = 0; i < digits; i++) {
        unsigned char ch = (unsigned char)p[i];
        bad |= ((unsigned)(ch - '0') > 9) & ((unsigned)(ch - 'a') > 5);
        v = v << 4 | (((ch & 15u) + (ch >> 6) * 9u) & 15u); // '0' is 0x30, 'a' is 0x61
    }
    *out = v;
    return !bad;
}

#endif
