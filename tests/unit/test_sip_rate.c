// RFC 6446's rates: what the decimal numbers of the wire are in milliseconds, and back.
#include "core/wire/sip_rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct buffer out;

static void rates(void **state)
{
    static const struct {
        const char *rate;
        uint32_t least, most;
    } rows[] = {
        {"1", 1000, 1000},
        {"0.5", 2000, 2000},
        {"00.50", 2000, 2000},
        {"0.3", 3334, 3333}, // neither more often than asked for, nor less
        {"10", 100, 100},
        {"99", 11, 10},
        {"99.9999999999", 11, 10},
        {"0.0002314815", 4320000, 4319999},
        {"0.0000000001", SIP_ABSENT - 1, SIP_ABSENT - 1},
        // No rates by §9.2's grammar, or zero, which §5.1 and §6.1 forbid.
        {"0", SIP_ABSENT, SIP_ABSENT},
        {"0.0000000000", SIP_ABSENT, SIP_ABSENT},
        {"100", SIP_ABSENT, SIP_ABSENT},
        {"0.00000000001", SIP_ABSENT, SIP_ABSENT},
        {"1.", SIP_ABSENT, SIP_ABSENT},
        {".5", SIP_ABSENT, SIP_ABSENT},
        {"-1", SIP_ABSENT, SIP_ABSENT},
        {"+1", SIP_ABSENT, SIP_ABSENT},
        {"1e1", SIP_ABSENT, SIP_ABSENT},
        {"1,5", SIP_ABSENT, SIP_ABSENT},
        {"1.5.5", SIP_ABSENT, SIP_ABSENT},
        {"\"1\"", SIP_ABSENT, SIP_ABSENT},
        {" 1", SIP_ABSENT, SIP_ABSENT},
        {"x", SIP_ABSENT, SIP_ABSENT},
        {"", SIP_ABSENT, SIP_ABSENT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text t = text_of(rows[i].rate);
        if (rate_least_ms(t) != rows[i].least || rate_most_ms(t) != rows[i].most)
            fail_msg("%s: %u, %u", rows[i].rate, rate_least_ms(t), rate_most_ms(t));
    }
}

// The number behind "x=" as written.
static const char *written(bool (*write)(struct buffer *, struct text, uint32_t), uint32_t ms)
{
    buffer_reset(&out);
    if (!write(&out, TEXT("x"), ms)) {
        assert_int_equal(out.n, 0);
        return NULL;
    }
    buffer_char(&out, '\0');
    assert_memory_equal(out.p, ";x=", 3);
    return out.p + 3;
}

// A peer gets back what it wrote, if that was the shortest way to say it.
static void said_back(void **state)
{
    static const char *const asked[] = {"1",    "0.5",   "0.3", "0.2", "0.1",
                                        "0.05", "0.017", "10",  "7"};
    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct text t = text_of(asked[i]);
        assert_string_equal(written(rate_write_least, rate_least_ms(t)), asked[i]);
        assert_string_equal(written(rate_write_most, rate_most_ms(t)), asked[i]);
    }
    assert_string_equal(written(rate_write_least, 60000), "0.0166667");
    assert_string_equal(written(rate_write_most, 60000), "0.0166666");
}

// What no rate of the grammar stands for is not said.
static void too_often(void **state)
{
    (void)state;
    for (uint32_t ms = 1; ms < 11; ms++) {
        assert_null(written(rate_write_least, ms));
        assert_null(written(rate_write_most, ms));
    }
    assert_non_null(written(rate_write_least, 11));
    assert_non_null(written(rate_write_most, 11));
}

// Any time there and back: the same, or, where ten decimals don't reach, on the safe side. What is
// said is never less than what is done (least), and never more (most).
static void there_and_back(void **state)
{
    uint64_t seed = 6446;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t ms = (uint32_t)(seed >> 32) >> (seed >> 27) % 32;
        if (ms < 11 || ms == SIP_ABSENT)
            continue;
        uint32_t least = rate_least_ms(text_of(written(rate_write_least, ms)));
        uint32_t most = rate_most_ms(text_of(written(rate_write_most, ms)));
        assert_true(least <= ms && most >= ms);
        if (ms < 3000000) // 50 minutes
            assert_true(least == ms && most == ms);
        assert_true(ms - least <= ms / 1000 && most - ms <= ms / 1000);
    }
}

static int start(void **state)
{
    (void)state;
    buffer_init(&out, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    buffer_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(said_back),
        cmocka_unit_test(too_often),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
