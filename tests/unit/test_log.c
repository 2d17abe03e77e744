// The log: its two formats, and that no value can break out of its line.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "shards/log.h"

// Standard error becomes a datagram socket, so that each receive gives what one write(2) wrote.
static int reader, writer, real_stderr;
static char line[2 * LOG_LINE_MAX];

static int capture(void **state)
{
    (void)state;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
        return -1;
    reader = pair[0];
    writer = pair[1];
    real_stderr = dup(STDERR_FILENO);
    return real_stderr < 0 ? -1 : 0;
}

static int release(void **state)
{
    (void)state;
    close(reader);
    close(writer);
    close(real_stderr);
    return 0;
}

static void capture_on(void)
{
    dup2(writer, STDERR_FILENO);
}

static void capture_off(void)
{
    dup2(real_stderr, STDERR_FILENO);
}

// The next line without its end; NULL: none was written.
static const char *next_line(void)
{
    ssize_t n = recv(reader, line, sizeof line - 1, MSG_DONTWAIT);
    if (n < 0)
        return NULL;
    assert_true(n > 0 && n <= LOG_LINE_MAX);
    assert_int_equal(line[n - 1], '\n');
    line[n - 1] = '\0';
    assert_int_equal(strlen(line), n - 1);
    assert_null(strchr(line, '\n'));
    return line;
}

#define LOGGED(...) (capture_on(), log_write(__VA_ARGS__), capture_off(), next_line())

// What follows "ts=2024-01-02T03:04:05.678Z ", whose form is checked.
static const char *after_time(const char *got)
{
    static const char form[] = "ts=dddd-dd-ddTdd:dd:dd.dddZ ";
    assert_non_null(got);
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 'd' && i > 2)
            assert_in_range(got[i], '0', '9');
        else
            assert_int_equal(got[i], form[i]);
    }
    return got + sizeof form - 1;
}

static void test_logfmt(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false);
    assert_string_equal(after_time(LOGGED(LOG_INFO, "ready", NULL)), "level=info event=ready");
    assert_string_equal(after_time(LOGGED(LOG_ERROR, "a", "n", LOG_U64(UINT64_MAX), "k", "v w", "e",
                                          "", "p", "sip:a@b;c", NULL)),
                        "level=error event=a n=18446744073709551615 k=\"v w\" e=\"\" p=sip:a@b;c");
    assert_string_equal(after_time(LOGGED(LOG_WARN, "a", "k", NULL)), "level=warn event=a k=\"\"");
}

static void test_json(void **state)
{
    (void)state;
    log_setup(LOG_INFO, true);
    json_t *o = json_loads(LOGGED(LOG_WARN, "x", "a", "1", "b", "say \"hi\"\\", NULL), 0, NULL);
    assert_non_null(o);
    assert_int_equal(json_object_size(o), 5);
    assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(o, "event")), "x");
    assert_string_equal(json_string_value(json_object_get(o, "a")), "1");
    assert_string_equal(json_string_value(json_object_get(o, "b")), "say \"hi\"\\");
    assert_int_equal(strlen(json_string_value(json_object_get(o, "ts"))), 24);
    json_decref(o);
}

static void test_time_is_utc(void **state)
{
    (void)state;
    char before[32], after[32];
    log_setup(LOG_INFO, false);
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    time_t t = time(NULL);
    strftime(before, sizeof before, "ts=%Y-%m-%dT%H:%M", gmtime(&t));
    const char *got = LOGGED(LOG_INFO, "x", NULL);
    t = time(NULL);
    strftime(after, sizeof after, "ts=%Y-%m-%dT%H:%M", gmtime(&t));
    assert_true(strncmp(got, before, strlen(before)) == 0 ||
                strncmp(got, after, strlen(after)) == 0);
    unsetenv("TZ");
    tzset();
}

static void test_levels(void **state)
{
    (void)state;
    log_setup(LOG_WARN, false);
    assert_int_equal(log_level_now(), LOG_WARN);
    assert_null(LOGGED(LOG_INFO, "x", NULL));
    assert_non_null(LOGGED(LOG_WARN, "x", NULL));
    log_setup(LOG_DEBUG, false);
    capture_on();
    log_debug("x", "k", "v", NULL);
    capture_off();
    assert_non_null(next_line());
}

static void test_no_injection(void **state)
{
    (void)state;
    static const struct {
        const char *value, *logfmt;
    } v[] = {
        {"a\nlevel=error event=fake", "k=\"a\\nlevel=error event=fake\""},
        {"a\r\n", "k=\"a\\r\\n\""},
        {"a=b", "k=\"a=b\""},
        {"\" x=\"y", "k=\"\\\" x=\\\"y\""},
        {"back\\", "k=\"back\\\\\""},
        {"\x1b[2J\x07\t", "k=\"\\u001b[2J\\u0007\\t\""},
        {"\x7f", "k=\"\\u007f\""},
        {"caf\u00e9", "k=\"caf\u00e9\""},
        {"\xc2\x9b"
         "2J",
         "k=\"\\u009b2J\""}, // C1's own way to begin a terminal sequence
        {"a\u2028b\u202ec\u2066\u2069", "k=\"a\\u2028b\\u202ec\\u2066\\u2069\""},
        {"\u200e\u200f\ufeff", "k=\"\\u200e\\u200f\\ufeff\""},
        {"\U0001f600", "k=\"\U0001f600\""},
        {"\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80",
         "k=\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xe2\x82", "k=\"\\ufffd\\ufffd\""}, // cut in the middle
    };
    log_setup(LOG_INFO, false);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *got = after_time(LOGGED(LOG_INFO, "x", "k", v[i].value, NULL));
        assert_string_equal(got + strlen("level=info event=x "), v[i].logfmt);
    }
}

// Any bytes: one line, well-formed JSON, nothing but the keys that were written.
static void test_random_values(void **state)
{
    (void)state;
    srandom(20);
    log_setup(LOG_INFO, true);
    for (int round = 0; round < 20000; round++) {
        char value[48];
        size_t n = (size_t)random() % sizeof value;
        for (size_t i = 0; i < n; i++)
            value[i] = (char)(1 + random() % 255);
        value[n] = '\0';
        json_t *o = json_loads(LOGGED(LOG_INFO, "x", "k", value, NULL), 0, NULL);
        assert_non_null(o);
        assert_int_equal(json_object_size(o), 4);
        json_decref(o);
    }
}

static void test_long_value(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 2];
    memset(value, 'a', sizeof value);
    log_setup(LOG_INFO, false);
    value[LOG_VALUE_MAX] = '\0';
    assert_null(strstr(LOGGED(LOG_INFO, "x", "k", value, NULL), "..."));
    value[LOG_VALUE_MAX] = 'a';
    value[LOG_VALUE_MAX + 1] = '\0';
    const char *got = LOGGED(LOG_INFO, "x", "k", value, "after", "1", NULL);
    assert_non_null(strstr(got, "a...\" after=1"));
}

static void test_long_line(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 1];
    memset(value, '\x01', LOG_VALUE_MAX); // six bytes each when escaped
    value[LOG_VALUE_MAX] = '\0';
    log_setup(LOG_INFO, false);
    const char *got = after_time(LOGGED(LOG_INFO, "x", "a", "1", "k", value, "b", "2", NULL));
    assert_string_equal(got, "level=info event=x a=1 cut=true");
    log_setup(LOG_INFO, true);
    json_t *o = json_loads(LOGGED(LOG_INFO, "x", "a", "1", "k", value, NULL), 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "cut")), "true");
    assert_null(json_object_get(o, "k"));
    json_decref(o);
}

// The longest line that fits and the next one, byte by byte across the limit.
static void test_line_limit(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 1], tail[LOG_VALUE_MAX + 1];
    bool was_cut = false;
    memset(value, 'a', LOG_VALUE_MAX);
    value[LOG_VALUE_MAX] = '\0';
    log_setup(LOG_INFO, true);
    for (size_t n = 800; n <= LOG_VALUE_MAX; n++) {
        memcpy(tail, value, n);
        tail[n] = '\0';
        json_t *o = json_loads(
            LOGGED(LOG_INFO, "x", "a", value, "b", value, "c", value, "d", tail, NULL), 0, NULL);
        assert_non_null(o);
        bool cut = json_object_get(o, "cut") != NULL;
        assert_int_equal(json_object_get(o, "d") == NULL, cut);
        assert_true(cut || !was_cut);
        was_cut = cut;
        json_decref(o);
    }
    assert_true(was_cut);
}

static void test_errno_stays(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false);
    capture_on();
    int before = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = ENOENT;
    log_info("x", NULL);
    int after = errno;
    dup2(before, STDERR_FILENO);
    close(before);
    capture_off();
    assert_int_equal(after, ENOENT);
}

enum { THREADS = 4, LINES = 500 };

static void *log_lines(void *arg)
{
    for (unsigned i = 0; i < LINES; i++)
        log_info("x", "thread", (const char *)arg, "text", "some words to write", NULL);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"0", "1", "2", "3"};
    pthread_t threads[THREADS];
    unsigned seen[THREADS] = {0};
    log_setup(LOG_INFO, false);
    capture_on();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, names[i]), 0);
    for (size_t i = 0; i < THREADS * LINES; i++) {
        ssize_t n = recv(reader, line, sizeof line - 1, 0);
        line[n > 0 ? n : 0] = '\0';
        char *at = strstr(line, "level=info event=x thread=");
        if (at && strcmp(at + 27, " text=\"some words to write\"\n") == 0)
            seen[at[26] - '0']++;
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capture_off();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(seen[i], LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),       cmocka_unit_test(test_json),
        cmocka_unit_test(test_time_is_utc),  cmocka_unit_test(test_levels),
        cmocka_unit_test(test_no_injection), cmocka_unit_test(test_random_values),
        cmocka_unit_test(test_long_value),   cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_line_limit),   cmocka_unit_test(test_errno_stays),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, capture, release);
}
