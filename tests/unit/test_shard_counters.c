// What a core that ran out of memory had counted goes on with the next one; what it showed of its
// moment does not.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "shards/shard_inner.h"

static void counters_add_up(void **state)
{
    (void)state;
    struct core_stats sum = {.events = 1}, more = {.events = 10, .overload_refused = {30, 40}};
    shard_add_counters(&sum, &more);
    assert_int_equal(sum.events, 11);
    assert_int_equal(sum.overload_refused[0], 30);
    assert_int_equal(sum.overload_refused[1], 40);
}

static void gauges_do_not(void **state)
{
    (void)state;
    struct core_stats sum = {.users = 1, .overload_lag_ms = 2},
                      more = {.users = 10,
                              .overload_lag_ms = 20,
                              .overload_shedding = 1,
                              .overload_share_thousandths = 500,
                              .dialogs = 7,
                              .memory_bytes = 8};
    shard_add_counters(&sum, &more);
    assert_int_equal(sum.users, 1);
    assert_int_equal(sum.overload_lag_ms, 2);
    assert_int_equal(sum.overload_shedding, 0);
    assert_int_equal(sum.overload_share_thousandths, 0);
    assert_int_equal(sum.dialogs, 0);
    assert_int_equal(sum.memory_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_add_up),
        cmocka_unit_test(gauges_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
