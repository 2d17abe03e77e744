// The table of wanted streams and how they fare.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "shards/stream_table.h"

enum { CONNECTIONS = 2, SHOWN_MAX = 8 };

static struct stream_table *t;

static int set_up(void **state)
{
    (void)state;
    return stream_table_create(&t, CONNECTIONS);
}

static int tear_down(void **state)
{
    (void)state;
    stream_table_destroy(t);
    return 0;
}

static void want(const char *domain, uint64_t now_ms)
{
    struct text d = text_of(domain);
    assert_int_equal(stream_table_want(t, &d, 1, now_ms), 0);
}

static void expect(size_t i, bool up, uint64_t since_ms, const char *why)
{
    struct shards_stream shown[SHOWN_MAX];
    assert_int_equal(stream_table_list(t, shown, SHOWN_MAX), CONNECTIONS);
    assert_int_equal(shown[i].up, up);
    assert_int_equal(shown[i].since_ms, since_ms);
    assert_string_equal(shown[i].why, why);
}

static void a_new_domain_is_not_connected_yet(void **state)
{
    (void)state;
    want("example.net", 10);
    expect(0, false, 10, "not connected yet");
    want("example.net", 20); // no news
    expect(1, false, 10, "not connected yet");
    stream_table_set(t, stream_table_find(t, TEXT("example.net"), 1), false, "refused", 30);
    expect(1, false, 10, "refused");
}

// Such a stream lives on for half a minute (core's last words go by it), and is kept when its
// domain comes back: nobody would say again that it is up.
static void a_domain_that_comes_back_finds_its_stream_up(void **state)
{
    (void)state;
    want("example.net", 10);
    uint32_t up = stream_table_find(t, TEXT("example.net"), 0);
    stream_table_set(t, up, true, "", 20);
    want("example.org", 30);
    char domain[STREAM_DOMAIN_BYTES];
    assert_false(stream_table_wanted(t, up, domain));
    assert_string_equal(domain, "example.net");
    want("example.net", 40);
    expect(0, true, 20, "");
    expect(1, false, 40, "not connected yet"); // the other one never came up
}

static void a_domain_that_comes_back_later_begins_anew(void **state)
{
    (void)state;
    want("example.net", 10);
    uint32_t stream = stream_table_find(t, TEXT("example.net"), 0);
    stream_table_set(t, stream, true, "", 20);
    want("example.org", 30);
    stream_table_set(t, stream, false, "not wanted any more", 40);
    want("example.net", 50);
    expect(0, false, 50, "not connected yet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_domain_is_not_connected_yet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_domain_that_comes_back_finds_its_stream_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_domain_that_comes_back_later_begins_anew, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
