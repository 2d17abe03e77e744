// Fixed-width lower-case hex numbers, as they stand in our tags and branches.
#ifndef CORE_HEX_H
#define CORE_HEX_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// Eight digits at a time, one in each byte of a word, the first in the lowest; and without
// branches: of a random digit nobody can guess whether it is a letter.
#define HEX_EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

// Values of 0 to 15 to digits: '0' is 0x30, and 'a' 39 above where a digit of ten would be.
static inline uint64_t hex_digits(uint64_t values)
{
    uint64_t letters = (values + HEX_EACH(6)) >> 4 & HEX_EACH(1);
    return values + HEX_EACH('0') + letters * ('a' - '0' - 10);
}

static inline void hex_write8(char *to, uint32_t v)
{
    uint64_t spread = v;
    spread = (spread | spread << 16) & 0x0000ffff0000ffffu;
    spread = (spread | spread << 8) & 0x00ff00ff00ff00ffu;
    spread = (spread | spread << 4) & HEX_EACH(0x0f);
    uint64_t digits = __builtin_bswap64(hex_digits(spread));
    memcpy(to, &digits, 8);
}

// Upper case is not ours and refused: what is read has to be what would be written.
static inline bool hex_read8(const char *p, uint32_t *v)
{
    uint64_t digits;
    memcpy(&digits, p, 8);
    uint64_t letters = digits >> 6 & HEX_EACH(1);
    uint64_t values = (digits & HEX_EACH(0x0f)) + letters * 9;
    bool good = !(values & HEX_EACH(0xf0)) && hex_digits(values) == digits;
    values = __builtin_bswap64(values);
    values = (values | values >> 4) & 0x00ff00ff00ff00ffu;
    values = (values | values >> 8) & 0x0000ffff0000ffffu;
    *v = (uint32_t)(values | values >> 16);
    return good;
}

static inline void hex_write(char *to, uint64_t v, unsigned digits)
{
    for (; digits >= 8; digits -= 8, v >>= 32)
        hex_write8(to + digits - 8, (uint32_t)v);
    for (; digits; digits--, v >>= 4)
        to[digits - 1] = (char)hex_digits(v & 15);
}

static inline bool hex_read(const char *p, unsigned digits, uint64_t *out)
{
    bool good = true;
    uint32_t part;
    *out = 0;
    for (; digits >= 8; digits -= 8, p += 8) {
        good &= hex_read8(p, &part);
        *out = *out << 32 | part;
    }
    for (; digits; digits--, p++) {
        char padded[8] = {'0', '0', '0', '0', '0', '0', '0', *p};
        good &= hex_read8(padded, &part);
        *out = *out << 4 | part;
    }
    return good;
}

#endif
