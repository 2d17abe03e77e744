// What the soak makes of what it sees: answers over REST, and whether memory grows.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/soak/gauge.h"
#include "tests/soak/questions.h"

#define NO_STREAM     "{\"part\":\"stream\",\"name\":\"example.net\",\"why\":\"closed\"}"
#define SLOW_SHARD    "{\"part\":\"shard\",\"name\":\"0\",\"why\":\"does not answer in time\"}"
#define DEAD_SHARD    "{\"part\":\"shard\",\"name\":\"0\",\"why\":\"shard 0: no turn for 5 s\"}"
#define NO_STORE      "{\"part\":\"store\",\"name\":\"0\",\"why\":\"no space left\"}"
#define FAILING(what) "{\"ready\":false,\"failing\":[" what "]}\n"

enum { LONG_AGO_MS = QUESTIONS_DOWN_MS, JUST_NOW_MS = QUESTIONS_DOWN_MS - 1 };

static void all_is_well_with_200_only(void **state)
{
    (void)state;
    assert_int_equal(questions_judge("/v1/status", 200, "{}", LONG_AGO_MS), QUESTIONS_GOOD);
    assert_int_equal(questions_judge("/readyz", 200, "{}", LONG_AGO_MS), QUESTIONS_GOOD);
    static const int wrong[] = {-1, 204, 301, 400, 404, 500, 503, 504};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(questions_judge("/v1/status", wrong[i], NULL, 0), QUESTIONS_WRONG);
        assert_int_equal(questions_judge("/readyz", wrong[i], NULL, 0), QUESTIONS_WRONG);
    }
}

// A gateway that is not ready for any other reason, or for good, is no good one.
static void not_ready_is_good_only_for_a_stream_just_broken(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint64_t since_ms;
        enum questions_verdict verdict;
    } cases[] = {
        {FAILING(NO_STREAM), JUST_NOW_MS, QUESTIONS_GOOD},
        {FAILING(NO_STREAM), LONG_AGO_MS, QUESTIONS_WRONG},
        {FAILING(NO_STORE), JUST_NOW_MS, QUESTIONS_WRONG},
        {FAILING(NO_STREAM "," NO_STORE), JUST_NOW_MS, QUESTIONS_WRONG},
        {FAILING(NO_STORE "," SLOW_SHARD), JUST_NOW_MS, QUESTIONS_WRONG},
        {FAILING(DEAD_SHARD), JUST_NOW_MS, QUESTIONS_WRONG},
        {FAILING(""), JUST_NOW_MS, QUESTIONS_WRONG},
        {"503", JUST_NOW_MS, QUESTIONS_WRONG},
        {FAILING(SLOW_SHARD), LONG_AGO_MS, QUESTIONS_LATE},
        {FAILING(NO_STREAM "," SLOW_SHARD), JUST_NOW_MS, QUESTIONS_LATE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(questions_judge("/readyz", 503, cases[i].body, cases[i].since_ms),
                         cases[i].verdict);
}

static void a_shard_that_asks_for_patience_is_late(void **state)
{
    (void)state;
    static const char path[] = "/v1/subscriptions?limit=100";
    assert_int_equal(
        questions_judge(path, 503,
                        "{\"status\":503,\"detail\":\"shard 1 does not answer in time\"}", 0),
        QUESTIONS_LATE);
    assert_int_equal(
        questions_judge(path, 503, "{\"status\":503,\"detail\":\"jid: no memory to read it\"}", 0),
        QUESTIONS_WRONG);
    assert_int_equal(
        questions_judge(path, 500,
                        "{\"status\":500,\"detail\":\"shard 1 does not answer in time\"}", 0),
        QUESTIONS_WRONG);
}

// 12 MiB and so much an hour, and a quarter of a MiB that comes and goes.
static void grow(struct gauge_points *p, double mib_per_h)
{
    p->n = 0;
    for (unsigned minute = 1; minute <= 60; minute++) {
        double noise = (double)(minute * 7 % 5) / 16 - 0.125, hour = minute / 60.0;
        if (minute % 10 && minute % 10 != 9) // of each ten two are rest
            gauge_add(p, hour, (12 + noise + mib_per_h * hour) * 1048576);
    }
}

static void five_mib_an_hour_are_not_four(void **state)
{
    (void)state;
    static struct gauge_points p;
    double slope;
    grow(&p, 5);
    assert_int_equal(gauge_slope(&p, 0.5, &slope), 0);
    assert_float_equal(slope / 1048576, 5, 0.5);
    grow(&p, 0);
    assert_int_equal(gauge_slope(&p, 0.5, &slope), 0);
    assert_float_equal(slope, 0, 0.5 * 1048576);
}

static void too_few_points_have_no_slope(void **state)
{
    (void)state;
    static struct gauge_points p;
    double slope = 7;
    p.n = 0;
    gauge_add(&p, 0.1, 1);
    gauge_add(&p, 0.6, 2);
    gauge_add(&p, 0.7, 3);
    assert_int_equal(gauge_slope(&p, 0.5, &slope), ENODATA);
    assert_true(slope == 7);
    gauge_add(&p, 0.8, 4);
    assert_int_equal(gauge_slope(&p, 0.5, &slope), 0);
    assert_float_equal(slope, 10, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well_with_200_only),
        cmocka_unit_test(not_ready_is_good_only_for_a_stream_just_broken),
        cmocka_unit_test(a_shard_that_asks_for_patience_is_late),
        cmocka_unit_test(five_mib_an_hour_are_not_four),
        cmocka_unit_test(too_few_points_have_no_slope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
