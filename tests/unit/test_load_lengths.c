// The load driver's mixed lengths: no two pairs that speak one after the other are alike.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "bench/load/load_inner.h"

static void test_nothing_is_added_unless_wanted(void **state)
{
    struct load l = {0};
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        assert_string_equal(load_filler(&l, i), "");
}

static void test_64_in_a_row_have_64_lengths(void **state)
{
    static const unsigned firsts[] = {0, 1, 63, 9999, UINT32_MAX - 200};
    struct load l = {0};
    (void)state;
    load_mix_lengths(&l, true);
    for (unsigned f = 0; f < sizeof firsts / sizeof *firsts; f++) {
        uint64_t seen = 0;
        for (unsigned i = 0; i < 64; i++) {
            size_t n = strlen(load_filler(&l, firsts[f] + i));
            assert_in_range(n, 0, 63);
            seen |= 1ull << n;
        }
        assert_true(seen == UINT64_MAX);
    }
}

// The 10,000 names of a run, and the last pair before the first again.
static void test_neighbours_differ_even_as_their_numbers_grow(void **state)
{
    enum { PAIRS = 10000 };
    struct load l = {0};
    char name[16];
    size_t before = 0;
    (void)state;
    load_mix_lengths(&l, true);
    for (unsigned i = 0; i <= PAIRS; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "%u", i % PAIRS) +
                   strlen(load_filler(&l, i % PAIRS));
        assert_true(n != before);
        before = n;
    }
}

// A driver without a gateway: what it says reaches nobody.
static struct load *driver(unsigned pairs)
{
    struct load *l;
    assert_int_equal(load_create(&l, &(struct load_setup){.binary = "none", .pairs = pairs}), 0);
    load_mix_lengths(l, true);
    return l;
}

static void test_subscribes_of_neighbours_differ(void **state)
{
    enum { PAIRS = 1100 };
    struct load *l = driver(PAIRS);
    size_t before = 0;
    (void)state;
    for (unsigned i = 0; i < PAIRS; i++) {
        load_begin(l, LOAD_SERVE, i, 0);
        assert_non_null(l->serve[i].request);
        assert_true(l->serve[i].request->n != before);
        before = l->serve[i].request->n;
    }
    load_destroy(l);
}

// All that a subscribe stanza says of the contact ends up in a SUBSCRIBE; its number grows at 10.
static void test_names_of_neighbours_differ(void **state)
{
    enum { PAIRS = 1100 };
    struct load *l = driver(PAIRS);
    char name[64];
    size_t before = 0;
    (void)state;
    for (unsigned i = 0; i < PAIRS; i++) {
        load_begin(l, LOAD_WATCH, i, 0);
        size_t n = (size_t)snprintf(name, sizeof name, "%u%s", i, load_name_filler(&l->watch[i]));
        assert_true(n != before);
        before = n;
    }
    load_destroy(l);
}

// Another name would be another contact.
static void test_a_name_stays(void **state)
{
    struct load *l = driver(2);
    (void)state;
    load_begin(l, LOAD_WATCH, 1, 0);
    assert_string_equal(load_name_filler(&l->watch[1]), "......");
    load_mix_lengths(l, false);
    load_begin(l, LOAD_WATCH, 1, 0);
    load_begin(l, LOAD_WATCH, 0, 0);
    load_mix_lengths(l, true);
    load_begin(l, LOAD_WATCH, 0, 0);
    assert_string_equal(load_name_filler(&l->watch[1]), "......");
    assert_string_equal(load_name_filler(&l->watch[0]), "");
    load_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_added_unless_wanted),
        cmocka_unit_test(test_64_in_a_row_have_64_lengths),
        cmocka_unit_test(test_neighbours_differ_even_as_their_numbers_grow),
        cmocka_unit_test(test_subscribes_of_neighbours_differ),
        cmocka_unit_test(test_names_of_neighbours_differ),
        cmocka_unit_test(test_a_name_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
