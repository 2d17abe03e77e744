// SipHash-2-4, after the authors' description; checked against their vectors in
// tests/unit/test_hash.c.
#include "core/hash.h"

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v; // little endian: the only byte order that Isthmus builds for
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "stored records and hashes are little endian");

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    sip_round(v);
    v[0] ^= m;
}

uint64_t hash_sip(const uint8_t key[16], const void *p, size_t n)
{
    uint64_t k0 = load64(key), k1 = load64(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    const uint8_t *at = p;
    size_t left = n;
    for (; left >= 8; left -= 8, at += 8)
        sip_word(v, load64(at));
    uint64_t last = (uint64_t)n << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// Words are folded in by a multiplication to twice their width, of which both halves are kept. The
// factor is that of Fibonacci hashing: 2^64 divided by the golden ratio.
static inline uint64_t fold(uint64_t h, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(h ^ word) * 0x9e3779b97f4a7c15u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Long texts in four strands, for a multiplication waits for the one before it, and not for others.
// The strands begin with digits of pi, so that none is ever what another would have been.
static uint64_t fold_long(uint64_t h, const uint8_t **at, size_t *left)
{
    uint64_t a = h ^ 0x243f6a8885a308d3u, b = h ^ 0x13198a2e03707344u, c = h ^ 0xa4093822299f31d0u,
             d = h ^ 0x082efa98ec4e6c89u;
    for (; *left >= 32; *left -= 32, *at += 32) {
        a = fold(a, load64(*at));
        b = fold(b, load64(*at + 8));
        c = fold(c, load64(*at + 16));
        d = fold(d, load64(*at + 24));
    }
    return fold(fold(fold(fold(h, a), b), c), d);
}

// Up to seven bytes, each at least once.
static inline uint64_t load_rest(const uint8_t *p, size_t n)
{
    uint32_t low, high;
    if (n < 4)
        return n ? p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16 : 0;
    memcpy(&low, p, 4);
    memcpy(&high, p + n - 4, 4);
    return low | (uint64_t)high << 32;
}

uint64_t hash_plain(const void *p, size_t n)
{
    uint64_t h = fold(n, 0xffffffffffffffffu);
    const uint8_t *at = p;
    size_t left = n;
    if (left >= 64)
        h = fold_long(h, &at, &left);
    for (; left >= 8; left -= 8, at += 8)
        h = fold(h, load64(at));
    return fold(fold(h, load_rest(at, left)), n);
}

void hash_random_init(struct hash_random *r, uint64_t seed, uint64_t stream)
{
    memcpy(r->key, &seed, 8);
    memcpy(r->key + 8, &stream, 8);
    r->counter = 0;
}

uint64_t hash_random_u64(struct hash_random *r)
{
    uint64_t c = r->counter++;
    return hash_sip(r->key, &c, sizeof c);
}

uint32_t hash_random_below(struct hash_random *r, uint32_t n)
{
    return (uint32_t)(((hash_random_u64(r) >> 32) * n) >> 32);
}
