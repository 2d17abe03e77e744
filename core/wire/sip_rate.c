// Rates of notifications (RFC 6446): the decimal numbers of the wire and the milliseconds of the
// gateway.
#include "core/wire/sip_rate.h"

enum { DECIMALS = 10 };

// Rates are counted in steps of 10^-10 per second, the last decimal that §9.2 has.
static const uint64_t STEPS = UINT64_C(10000000000);
static const uint64_t RATE_MAX = UINT64_C(999999999999); // 99.9999999999

// Digits from the front of *t, at most `max` of them; the number found.
static size_t take_digits(struct text *t, size_t max, uint64_t *value)
{
    size_t n = 0;
    for (; n < t->n && n < max && t->p[n] >= '0' && t->p[n] <= '9'; n++)
        *value = *value * 10 + (uint64_t)(t->p[n] - '0');
    *t = (struct text){t->p + n, t->n - n};
    return n;
}

// 1*2DIGIT ["." 1*10DIGIT], in steps. 0: it is none, or it is zero (§5.1: not allowed).
static uint64_t rate_of(struct text t)
{
    uint64_t rate = 0;
    size_t decimals = 0;
    if (t.n == 0 || take_digits(&t, 2, &rate) == 0)
        return 0;
    if (t.n && t.p[0] == '.') {
        t = (struct text){t.p + 1, t.n - 1};
        decimals = take_digits(&t, DECIMALS, &rate);
        if (decimals == 0)
            return 0;
    }
    for (; decimals < DECIMALS; decimals++)
        rate *= 10;
    return t.n == 0 ? rate : 0;
}

static uint32_t clamp(uint64_t ms)
{
    return ms < SIP_ABSENT ? (uint32_t)ms : SIP_ABSENT - 1;
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

uint32_t rate_least_ms(struct text rate)
{
    uint64_t r = rate_of(rate);
    return r ? clamp(ceil_div(1000 * STEPS, r)) : SIP_ABSENT;
}

uint32_t rate_most_ms(struct text rate)
{
    uint64_t r = rate_of(rate);
    return r ? clamp(1000 * STEPS / r) : SIP_ABSENT;
}

static void write_rate(struct buffer *b, struct text name, uint64_t rate)
{
    char decimals[DECIMALS];
    size_t n = DECIMALS;
    for (uint64_t r = rate % STEPS, i = DECIMALS; i-- > 0; r /= 10)
        decimals[i] = (char)('0' + r % 10);
    while (n && decimals[n - 1] == '0')
        n--;
    buffer_char(b, ';');
    buffer_text(b, name);
    buffer_char(b, '=');
    buffer_u64(b, rate / STEPS);
    if (n)
        buffer_char(b, '.');
    buffer_add(b, decimals, n);
}

// A multiple of `unit` steps: of those that last at least `ms` the fastest is the next above, of
// those that last at most `ms` the next below.
static uint64_t round_rate(uint32_t ms, uint64_t unit, bool up)
{
    uint64_t all = 1000 * (STEPS / unit);
    return (up ? ceil_div(all, ms) : all / ms) * unit;
}

static bool write_shortest(struct buffer *b, struct text name, uint32_t ms, bool up)
{
    for (uint64_t unit = STEPS; unit; unit /= 10) {
        uint64_t rate = round_rate(ms, unit, up);
        if (rate == 0 || rate > RATE_MAX)
            continue;
        uint64_t reads = up ? ceil_div(1000 * STEPS, rate) : 1000 * STEPS / rate;
        if (reads == ms || unit == 1) {
            write_rate(b, name, rate);
            return true;
        }
    }
    return false;
}

bool rate_write_least(struct buffer *b, struct text name, uint32_t ms)
{
    return write_shortest(b, name, ms, true);
}

bool rate_write_most(struct buffer *b, struct text name, uint32_t ms)
{
    return write_shortest(b, name, ms, false);
}
