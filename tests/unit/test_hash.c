// SipHash-2-4 against the authors' vectors, and the generator built on it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/hash.h"

// Key 00 01 … 0f, inputs of 0 … 63 bytes 00 01 …: vectors_sip64 in vectors.h of the authors'
// reference implementation (github.com/veorq/SipHash, CC0), as bytes. Number 15 is the worked
// example in appendix A of their paper.
static const char *const vectors[64] = {
    "310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785",
    "b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab",
    "6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4",
    "fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1",
    "db9bc2577fcc2a3f", "9447be2cf5e99a69", "9cd38d96f0b3c14b", "bd6179a71dc96dbb",
    "98eea21af25cd6be", "c7673b2eb0cbf2d0", "883ea3e395675393", "c8ce5ccd8c030ca8",
    "94af49f6c650adb8", "eab8858ade92e1bc", "f315bb5bb835d817", "adcf6b0763612e2f",
    "a5c91da7acaa4dde", "716595876650a2a6", "28ef495c53a387ad", "42c341d8fa92d832",
    "ce7cf2722f512771", "e37859f94623f3a7", "381205bb1ab0e012", "ae97a10fd434e015",
    "b4a31508beff4d31", "81396229f0907902", "4d0cf49ee5d4dcca", "5c73336a76d8bf9a",
    "d0a704536ba93e0e", "925958fcd6420cad", "a915c29bc8067318", "952b79f3bc0aa6d4",
    "f21df2e41d4535f9", "87577519048f53a9", "10a56cf5dfcd9adb", "eb75095ccd986cd0",
    "51a9cb9ecba312e6", "96afadfc2ce666c7", "72fe52975a4364ee", "5a1645b276d592a1",
    "b274cb8ebf87870a", "6f9bb4203de7b381", "eaecb2a30b22a87f", "9924a43cc1315724",
    "bd838d3aafbf8db7", "0b1a2a3265d51aea", "135079a3231ce660", "932b2846e4d70666",
    "e1915f5cb1eca46c", "f325965ca16d629f", "575ff28e60381be5", "724506eb4c328a95",
};

static void key_of(uint8_t key[16])
{
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
}

static void authors_vectors(void **state)
{
    (void)state;
    uint8_t key[16], in[64];
    key_of(key);
    for (uint8_t n = 0; n < 64; n++) {
        char hex[17];
        in[n] = n;
        uint64_t h = hash_sip(key, in, n);
        for (int i = 0; i < 8; i++) {
            hex[2 * i] = "0123456789abcdef"[h >> (8 * i + 4) & 15];
            hex[2 * i + 1] = "0123456789abcdef"[h >> (8 * i) & 15];
        }
        hex[16] = 0;
        assert_string_equal(hex, vectors[n]);
    }
}

// Appendix A of "SipHash: a fast short-input PRF".
static void paper_example(void **state)
{
    (void)state;
    uint8_t key[16], in[15];
    key_of(key);
    for (uint8_t i = 0; i < 15; i++)
        in[i] = i;
    assert_true(hash_sip(key, in, 15) == 0xa129ca6149be45e5u);
}

static void any_alignment(void **state)
{
    (void)state;
    uint8_t key[16], in[80];
    key_of(key);
    for (uint8_t shift = 0; shift < 8; shift++) {
        for (uint8_t i = 0; i < 15; i++)
            in[shift + i] = i;
        assert_true(hash_sip(key, in + shift, 15) == 0xa129ca6149be45e5u);
    }
}

// Every bit and every length counts, in texts that differ as little as documents of presence do.
static void plain_hash_tells_texts_apart(void **state)
{
    (void)state;
    enum { SIZE = 140, TEXTS = SIZE + 1 + SIZE * 8 };
    static uint64_t seen[TEXTS];
    uint8_t text[SIZE] = {0};
    size_t n_seen = 0;
    for (size_t n = 0; n <= sizeof text; n++)
        seen[n_seen++] = hash_plain(text, n);
    for (size_t bit = 0; bit < 8 * sizeof text; bit++) {
        text[bit / 8] = (uint8_t)(1 << bit % 8);
        seen[n_seen++] = hash_plain(text, sizeof text);
        text[bit / 8] = 0;
    }
    assert_int_equal(n_seen, TEXTS);
    for (size_t i = 0; i < n_seen; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
}

// It becomes part of entity tags, which peers keep across restarts of the process.
static void plain_hash_stays_what_it_is(void **state)
{
    (void)state;
    char text[] = "xjuliet at the balcony";
    uint64_t hash = hash_plain(text + 1, 21);
    memmove(text, text + 1, 21);
    assert_true(hash_plain(text, 21) == hash); // whatever the alignment
    assert_true(hash == 0xb878fe904a19c383u);
    char document[200];
    for (size_t i = 0; i < sizeof document; i++)
        document[i] = (char)('a' + i % 26);
    assert_true(hash_plain(document, sizeof document) == 0x7ea71fb713092302u);
}

static void random_follows_from_seed_and_stream(void **state)
{
    (void)state;
    struct hash_random a, b, other_stream, other_seed;
    hash_random_init(&a, 7, 0);
    hash_random_init(&b, 7, 0);
    hash_random_init(&other_stream, 7, 1);
    hash_random_init(&other_seed, 8, 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = hash_random_u64(&a);
        assert_true(v == hash_random_u64(&b));
        assert_true(v != hash_random_u64(&other_stream));
        assert_true(v != hash_random_u64(&other_seed));
    }
}

static void random_below_reaches_all_and_no_more(void **state)
{
    (void)state;
    struct hash_random r;
    unsigned seen[7] = {0};
    hash_random_init(&r, 1, 0);
    for (int i = 0; i < 7000; i++) {
        uint32_t v = hash_random_below(&r, 7);
        assert_true(v < 7);
        seen[v]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(hash_random_below(&r, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authors_vectors),
        cmocka_unit_test(paper_example),
        cmocka_unit_test(any_alignment),
        cmocka_unit_test(plain_hash_tells_texts_apart),
        cmocka_unit_test(plain_hash_stays_what_it_is),
        cmocka_unit_test(random_follows_from_seed_and_stream),
        cmocka_unit_test(random_below_reaches_all_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
