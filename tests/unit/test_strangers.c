// How often an address that nobody trusts is heard: a few times, and then at a rate.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shards/strangers.h"

static const uint64_t now_ms = 1700000000000;

static struct hop at(const char *host, unsigned port)
{
    struct hop h;
    assert_int_equal(hop_parse(&h, text_of(host), (uint16_t)port, HOP_UDP), 0);
    return h;
}

static unsigned heard(struct strangers *t, const char *host, unsigned times, uint64_t when_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < times; i++) {
        struct hop from = at(host, 5060 + i); // another port is not another address
        n += strangers_hear(t, &from, when_ms);
    }
    return n;
}

static struct strangers *nobody_yet(void)
{
    return calloc(1, sizeof(struct strangers));
}

static void one_past_is_not_heard(void **state)
{
    (void)state;
    struct strangers *t = nobody_yet();
    assert_int_equal(heard(t, "192.0.2.1", STRANGERS_ONE_BURST, now_ms), STRANGERS_ONE_BURST);
    assert_int_equal(heard(t, "192.0.2.1", 1, now_ms), 0);
    assert_int_equal(heard(t, "192.0.2.2", 1, now_ms), 1); // others are
    free(t);
}

static void it_is_heard_again(void **state)
{
    (void)state;
    struct strangers *t = nobody_yet();
    heard(t, "192.0.2.1", 1000, now_ms);
    uint64_t each_ms = 1000 / STRANGERS_ONE_PER_S;
    assert_int_equal(heard(t, "192.0.2.1", 5, now_ms + each_ms - 1), 0);
    assert_int_equal(heard(t, "192.0.2.1", 5, now_ms + each_ms), 1);
    assert_int_equal(heard(t, "192.0.2.1", 1000, now_ms + 3600000), STRANGERS_ONE_BURST);
    free(t);
}

static void a_network_of_ipv6_is_one(void **state)
{
    (void)state;
    struct strangers *t = nobody_yet();
    char host[64];
    unsigned n = 0;
    for (unsigned i = 0; i <= STRANGERS_ONE_BURST; i++) {
        snprintf(host, sizeof host, "2001:db8::%x", i + 1);
        n += heard(t, host, 1, now_ms);
    }
    assert_int_equal(n, STRANGERS_ONE_BURST);
    assert_int_equal(heard(t, "2001:db8:0:1::1", 1, now_ms), 1);
    free(t);
}

// However many addresses are made up, and one that was not heard for it has lost nothing.
static void all_together_have_a_bound(void **state)
{
    (void)state;
    struct strangers *t = nobody_yet();
    char host[64];
    unsigned n = 0;
    for (unsigned i = 0; i < 20 * STRANGERS_ALL_BURST; i++) {
        snprintf(host, sizeof host, "10.%u.%u.1", i / 256, i % 256);
        n += heard(t, host, 1, now_ms);
    }
    assert_int_equal(n, STRANGERS_ALL_BURST);
    assert_int_equal(heard(t, "192.0.2.1", 20, now_ms), 0);
    assert_int_equal(heard(t, "192.0.2.1", 20, now_ms + 1000), STRANGERS_ONE_BURST);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_past_is_not_heard),
        cmocka_unit_test(it_is_heard_again),
        cmocka_unit_test(a_network_of_ipv6_is_one),
        cmocka_unit_test(all_together_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
