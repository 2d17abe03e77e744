// What the tests of a failing store share: the point that is failed, and what holds after each.
#ifndef TESTS_FAIL_STORE_POINT_H
#define TESTS_FAIL_STORE_POINT_H

#include "tests/unit/store_fixture.h"

#include <time.h>

#include "faulty.h"

enum {
    POINTS_MAX = 500, // of one call in one act; more would be a loop without end
    ACT_MS = 3000,    // no act takes longer, whatever fails
};

// In memory: thousands of stores are made, and what a disk does is not what is asked here.
HELPER int point_setup(void **state)
{
    (void)state;
    fixture_setup(state);
    rmdir(fixture_dir);
    snprintf(fixture_dir, sizeof fixture_dir, "/dev/shm/isthmus-store-XXXXXX");
    return mkdtemp(fixture_dir) ? 0 : -1;
}

HELPER int point_print_table(void **state)
{
    (void)state;
    faulty_print_table();
    return 0;
}

HELPER struct point {
    const char *act;
    enum faulty_call call;
    unsigned n;
    int error;
    bool for_good;
    unsigned descriptors; // before
    uint64_t began_ms;
} point;

HELPER uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2), noreturn)) HELPER void blame(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_msg("%s, %s number %u says %d%s: %s", point.act, faulty_name(point.call), point.n,
             point.error, point.for_good ? " and all after it" : "", text);
    abort();
}

HELPER void point_begin(void)
{
    point.descriptors = faulty_open_descriptors();
    point.began_ms = clock_ms();
    faulty_arm(point.call, point.n, point.error, point.for_good);
}

// What an operator can do something with: what it is about, and in words what is wrong.
HELPER void expect_words(int rc, const struct store_error *why)
{
    if (rc < 0)
        blame("%d is no errno value", rc);
    if (strncmp(why->text, "store", 5) != 0 || strlen(why->text) < 20)
        blame("\"%s\" tells nothing", why->text);
}

// True: it has struck.
HELPER bool point_end(int rc, const struct store_error *why)
{
    bool struck = faulty_disarm();
    if (rc != 0 && !struck)
        blame("%d, %s, and nothing has failed", rc, why->text);
    if (rc != 0)
        expect_words(rc, why);
    if (clock_ms() - point.began_ms > ACT_MS)
        blame("it took %llu ms", (unsigned long long)(clock_ms() - point.began_ms));
    return struck;
}

HELPER void expect_nothing_left_open(void)
{
    unsigned now = faulty_open_descriptors();
    if (now != point.descriptors)
        blame("%u descriptors are open, %u were", now, point.descriptors);
}

// An interruption is over when the call is made again.
HELPER bool may_last(int error)
{
    return error != EINTR && error != FAULTY_LATE;
}

// Fails every call of it that there is. `run` fails the one point; false: there is no such call.
HELPER void fail_each(const char *act, bool (*run)(void *arg), void *arg)
{
    unsigned points = 0;
    point.act = act;
    for (int call = 0; call < FAULTY_CALLS; call++) {
        const int *error = faulty_errors((enum faulty_call)call);
        for (size_t i = 0; error[i]; i++) {
            for (int for_good = 0; for_good <= (i == 0 && may_last(error[i])); for_good++) {
                point.call = (enum faulty_call)call;
                point.error = error[i];
                point.for_good = for_good;
                for (point.n = 1; run(arg); point.n++, points++)
                    if (point.n == POINTS_MAX)
                        blame("there is no end to them");
            }
        }
    }
    assert_true(points > 0);
    assert_false(faulty_has_leaked());
}

#endif
