// Transport addresses as text and back, and the list of effects.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/event.h"

static void v4(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint8_t ip[4];
    } good[] = {
        {"127.0.0.1", {127, 0, 0, 1}},
        {"0.0.0.0", {0, 0, 0, 0}},
        {"255.255.255.255", {255, 255, 255, 255}},
        {"192.0.2.33", {192, 0, 2, 33}},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct hop h;
        static const uint8_t zero[12];
        assert_int_equal(hop_parse(&h, text_of(good[i].host), 5060, HOP_TCP), 0);
        assert_int_equal(h.family, 4);
        assert_int_equal(h.port, 5060);
        assert_int_equal(h.transport, HOP_TCP);
        assert_memory_equal(h.ip, good[i].ip, 4);
        assert_memory_equal(h.ip + 4, zero, 12);
    }
}

static void v6(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint8_t ip[16];
    } good[] = {
        {"::", {0}},
        {"::1", {[15] = 1}},
        {"1::", {[1] = 1}},
        {"2001:db8::9:1", {0x20, 0x01, 0x0d, 0xb8, [13] = 9, [15] = 1}},
        {"2001:DB8:0:0:0:0:9:1", {0x20, 0x01, 0x0d, 0xb8, [13] = 9, [15] = 1}},
        {"fe80::abcd", {0xfe, 0x80, [14] = 0xab, 0xcd}},
        {"1:2:3:4:5:6:7:8", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
        {"1:2:3:4:5:6:7::", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7}},
        {"::2:3:4:5:6:7:8", {0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct hop h;
        assert_int_equal(hop_parse(&h, text_of(good[i].host), 1, HOP_UDP), 0);
        assert_int_equal(h.family, 6);
        assert_memory_equal(h.ip, good[i].ip, 16);
    }
}

static void neither(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ".",
                                      "1",
                                      "1.2.3",
                                      "1.2.3.",
                                      "1.2.3.4.",
                                      "1.2.3.4.5",
                                      "1.2.3.256",
                                      "1.2.3.-1",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "1.2.3.0004",
                                      "1..3.4",
                                      "a.b.c.d",
                                      "localhost",
                                      "example.net",
                                      ":",
                                      ":::",
                                      "1:2",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7:8::",
                                      "::1::",
                                      "1::2::3",
                                      ":1",
                                      "1:",
                                      "::1:",
                                      "12345::",
                                      "g::",
                                      "[::1]",
                                      "::1%lo",
                                      "::ffff:1.2.3.4",
                                      "1:2:3:4:5:6:7:8:"};
    struct hop h = {.port = 7};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hop_parse(&h, text_of(bad[i]), 5060, HOP_UDP) != EINVAL)
            fail_msg("taken for an address: %s", bad[i]);
    assert_int_equal(h.port, 7); // left alone
}

static void there_and_back(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "10.200.30.4", "2001:db8:0:0:0:0:9:1",
                                        "0:0:0:0:0:0:0:0", "fe80:0:0:0:1:23:456:7890"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct hop a, b;
        struct buffer text;
        buffer_init(&text, 0);
        assert_int_equal(hop_parse(&a, text_of(hosts[i]), 5061, HOP_TLS), 0);
        hop_write_host(&text, &a);
        assert_int_equal(text.n, strlen(hosts[i]));
        assert_memory_equal(text.p, hosts[i], text.n);
        assert_int_equal(hop_parse(&b, (struct text){text.p, text.n}, 5061, HOP_TLS), 0);
        assert_true(hop_eq(&a, &b));
        b.port++;
        assert_false(hop_eq(&a, &b));
        buffer_free(&text);
    }
}

// Random addresses of both families, each through its text.
static void every_address_survives(void **state)
{
    (void)state;
    uint32_t x = 12345;
    for (int i = 0; i < 2000; i++) {
        struct hop a = {.family = i % 2 ? 4 : 6, .port = 1}, b;
        struct buffer text;
        for (int k = 0; k < (i % 2 ? 4 : 16); k++) {
            x = x * 1664525 + 1013904223;
            a.ip[k] = x >> 30 ? (uint8_t)(x >> 16) : 0; // zeros are common in addresses
        }
        buffer_init(&text, 0);
        hop_write_host(&text, &a);
        assert_true(text.n <= 39);
        assert_int_equal(hop_parse(&b, (struct text){text.p, text.n}, 1, HOP_UDP), 0);
        assert_true(hop_eq(&a, &b));
        buffer_free(&text);
    }
}

static void ports_have_two_kinds(void **state)
{
    (void)state;
    assert_true(SIP_PORT_IS_LISTEN(SIP_PORT_LISTEN(3)));
    assert_false(SIP_PORT_IS_LISTEN(SIP_PORT_SHARD(3)));
    assert_int_equal(SIP_PORT_INDEX(SIP_PORT_LISTEN(3)), 3);
    assert_int_equal(SIP_PORT_INDEX(SIP_PORT_SHARD(63)), 63);
}

static void effects_keep_order_and_bytes(void **state)
{
    (void)state;
    struct effects fx;
    effects_init(&fx);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 1000; i++) { // past the first capacity
            struct effect *e = effects_begin(&fx, i % 2 ? EFFECT_PUT : EFFECT_SIP);
            assert_non_null(e);
            e->id = i;
            for (uint64_t k = 0; k < i % 7; k++)
                buffer_char(&fx.bytes, (char)('a' + i % 26));
            effects_end(&fx, e);
        }
        assert_int_equal(fx.n, 1000);
        for (uint64_t i = 0; i < fx.n; i++) {
            struct text t = effect_text(&fx, &fx.v[i]);
            assert_int_equal(fx.v[i].id, i);
            assert_int_equal(fx.v[i].kind, i % 2 ? EFFECT_PUT : EFFECT_SIP);
            assert_int_equal(t.n, i % 7);
            for (size_t k = 0; k < t.n; k++)
                assert_int_equal(t.p[k], 'a' + i % 26);
        }
        effects_reset(&fx);
        assert_int_equal(fx.n, 0);
        assert_int_equal(fx.bytes.n, 0);
    }
    effects_free(&fx);
}

// Begun and not ended: the next one takes its place.
static void an_effect_can_be_let_go(void **state)
{
    (void)state;
    struct effects fx;
    effects_init(&fx);
    assert_non_null(effects_begin(&fx, EFFECT_STANZA));
    struct effect *e = effects_begin(&fx, EFFECT_DELETE);
    e->id = 9;
    effects_end(&fx, e);
    assert_int_equal(fx.n, 1);
    assert_int_equal(fx.v[0].kind, EFFECT_DELETE);
    effects_free(&fx);
}

static void no_memory_is_told(void **state)
{
    (void)state;
    struct effects fx;
    effects_init(&fx);
    buffer_free(&fx.bytes);
    buffer_init(&fx.bytes, 4); // as if memory ended here
    struct effect *e = effects_begin(&fx, EFFECT_SIP);
    buffer_lit(&fx.bytes, "longer than four");
    effects_end(&fx, e);
    assert_true(fx.failed);
    assert_int_equal(fx.n, 0);
    effects_reset(&fx);
    assert_false(fx.failed);
    effects_free(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v4),
        cmocka_unit_test(v6),
        cmocka_unit_test(neither),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(every_address_survives),
        cmocka_unit_test(ports_have_two_kinds),
        cmocka_unit_test(effects_keep_order_and_bytes),
        cmocka_unit_test(an_effect_can_be_let_go),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
