// Moments: what RFC 3339 and XEP-0082 write, what is none, and the way there and back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/wire/moment.h"

static void expect(const char *z, int64_t want)
{
    int64_t ms;
    if (!moment_parse(text_of(z), &ms) || ms != want)
        fail_msg("%s", z);
}

static void reads_moments(void **state)
{
    (void)state;
    expect("1970-01-01T00:00:00Z", 0);
    expect("1985-04-12T23:20:50.52Z", 482196050520);        // RFC 3339 §5.8
    expect("1996-12-19T16:39:57-08:00", 851042397000);      // ditto
    expect("1990-12-31T23:59:60Z", 662688000000);           // ditto: a leap second
    expect("1937-01-01T12:00:27.87+00:20", -1041337172130); // ditto
    expect("1969-07-21T02:56:15Z", -14159025000);           // XEP-0319
    expect("2012-09-21T12:53:57.802353+02:00", 1348224837802);
    expect(" 2000-02-29t00:00:00z\n", 951782400000);
    expect("0001-01-01T00:00:00Z", -62135596800000);
    expect("9999-12-31T23:59:59.999Z", 253402300799999);
}

static void refuses_what_is_no_moment(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "now",
        "2012-09-21",
        "2012-09-21T12:53:57",
        "2012-09-21T12:53Z",
        "2012-09-21 12:53:57Z",
        "2012-13-21T12:53:57Z",
        "2012-00-21T12:53:57Z",
        "2012-02-30T12:53:57Z",
        "2011-02-29T12:53:57Z",
        "1900-02-29T12:53:57Z",
        "2012-09-00T12:53:57Z",
        "0000-01-01T00:00:00Z",
        "2012-09-21T24:00:00Z",
        "2012-09-21T12:60:57Z",
        "2012-09-21T12:53:61Z",
        "2012-09-21T12:53:57.Z",
        "2012-09-21T12:53:57,5Z",
        "2012-09-21T12:53:57+2:00",
        "2012-09-21T12:53:57+24:00",
        "2012-09-21T12:53:57+02:60",
        "2012-09-21T12:53:57+02:00x",
        "2012-09-21T12:53:57ZZ",
        "+012-09-21T12:53:57Z",
        "20020910T23:08:25",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    };
    int64_t ms;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (moment_parse(text_of(bad[i]), &ms))
            fail_msg("taken: %s", bad[i]);
}

static void a_moment_has_so_many_bytes(void **state)
{
    (void)state;
    char z[MOMENT_TEXT_MAX + 2];
    int64_t ms;
    for (size_t n = MOMENT_TEXT_MAX; n <= MOMENT_TEXT_MAX + 1; n++) {
        memset(z, '0', sizeof z);
        memcpy(z, "2012-09-21T12:53:57.", 20);
        z[n - 1] = 'Z';
        assert_int_equal(moment_parse((struct text){z, n}, &ms), n == MOMENT_TEXT_MAX);
    }
}

static void moments_come_back(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    for (int64_t ms = -62135596800000; ms <= 253402300799999; ms += 86400000LL * 13 + 3723007) {
        int64_t back;
        buffer_reset(&b);
        moment_write(&b, ms);
        assert_true(moment_parse((struct text){b.p, b.n}, &back));
        assert_int_equal(back, ms);
    }
    buffer_reset(&b);
    moment_write(&b, 1348224837802);
    moment_write(&b, -1);
    moment_write(&b, 0);
    assert_true(text_eq((struct text){b.p, b.n}, TEXT("2012-09-21T10:53:57.802Z"
                                                      "1969-12-31T23:59:59.999Z"
                                                      "1970-01-01T00:00:00Z")));
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_moments),
        cmocka_unit_test(refuses_what_is_no_moment),
        cmocka_unit_test(a_moment_has_so_many_bytes),
        cmocka_unit_test(moments_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
