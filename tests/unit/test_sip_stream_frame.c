// Where a message ends in a stream: each cut of it, each way to say its length, each limit.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/wire/sip.h"
#include "shards/sip_stream_frame.h"

enum { MAX = 65536 };

static enum sip_stream_frame_verdict look(const char *p, size_t n, size_t max, size_t *out)
{
    struct sip_stream_frame f = {0};
    enum sip_stream_frame_verdict verdict = sip_stream_frame_look(&f, p, n, max);
    *out = f.n;
    return verdict;
}

#define START "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\n"

static const struct {
    const char *bytes; // "|" stands where the message ends, and another begins
    enum sip_stream_frame_verdict verdict;
} cases[] = {
    {START "Content-Length: 0\r\n\r\n|" START, SIP_STREAM_FRAME_WHOLE},
    {START "Content-Length: 5\r\n\r\nhello|", SIP_STREAM_FRAME_WHOLE},
    {START "Content-Length: 5\r\n\r\n\r\n\r\n\n|\r\n", SIP_STREAM_FRAME_WHOLE},
    {"SIP/2.0 200 OK\r\nl: 3\r\n\r\nabc|SIP/2.0", SIP_STREAM_FRAME_WHOLE},
    {START "CONTENT-LENGTH\t :  2 \r\nTo: x\r\n\r\nab|c", SIP_STREAM_FRAME_WHOLE},
    // Folded (RFC 3261 §7.3.1), and a folded line that looks empty.
    {START "Content-Length:\r\n 4\r\n\r\nabcd|e", SIP_STREAM_FRAME_WHOLE},
    {START "Subject: a\r\n \r\n Content-Length: 9\r\nl: 1\r\n\r\nx|", SIP_STREAM_FRAME_WHOLE},
    // Line ends without CR, as the parser takes them.
    {"NOTIFY sip:a@b SIP/2.0\nl:1\n\nx|y", SIP_STREAM_FRAME_WHOLE},
    {START "l: 1\r\n\nx|y", SIP_STREAM_FRAME_WHOLE},
    {START "l: 1\r\n\r\r\n\r\nx|y", SIP_STREAM_FRAME_WHOLE}, // a lone CR is no empty line
    {"sip/2.0 200 OK\r\nl: 0\r\n\r\n|", SIP_STREAM_FRAME_WHOLE},
    {"SUBSCRIBE sip:a@b SIP/7.0\r\nl: 0\r\n\r\n|", SIP_STREAM_FRAME_WHOLE},   // the parser's 505
    {"SUBSCRIBE sip:a@b SIP/2.0  \r\nl: 0\r\n\r\n|", SIP_STREAM_FRAME_WHOLE}, // and 400
    // A body that is not all here.
    {START "Content-Length: 6\r\n\r\nhello|", SIP_STREAM_FRAME_MORE},
    {START "Content-Length: 0\r\n|", SIP_STREAM_FRAME_MORE},
    // No length, or none that is one: without the empty line, the parser sees a message cut short.
    {START "To: x\r\n|\r\n", SIP_STREAM_FRAME_UNFRAMED},
    {START "To: x\n|\n", SIP_STREAM_FRAME_UNFRAMED},
    {START "To: Content-Length: 0\r\n|\r\n", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length: five\r\n\r\n|", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length: -999\r\n\r\n|", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length:\r\n\r\n|", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length: 1, 1\r\n\r\n|", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length: 1\r\nl: 1\r\n\r\n|x", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length: 99999999999\r\n\r\n|", SIP_STREAM_FRAME_UNFRAMED},
    {START "Content-Length: 4294967295\r\n\r\n|", SIP_STREAM_FRAME_TOO_LARGE},
    // Other protocols.
    {"GET / HTTP/1.1\r\n|", SIP_STREAM_FRAME_GARBAGE},
    {"\x16\x03\x01\x02|", SIP_STREAM_FRAME_GARBAGE},
    {"<stream:stream|", SIP_STREAM_FRAME_GARBAGE},
    {"EHLO example.com\r\n|", SIP_STREAM_FRAME_GARBAGE},
    {"SIP\r\n|", SIP_STREAM_FRAME_GARBAGE},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char p[512];
        const char *end = strchr(cases[i].bytes, '|');
        size_t here = (size_t)(end - cases[i].bytes), n = strlen(cases[i].bytes) - 1, got;
        memcpy(p, cases[i].bytes, here);
        memcpy(p + here, end + 1, n - here);
        if (look(p, n, MAX, &got) != cases[i].verdict)
            fail_msg("another verdict: %s", cases[i].bytes);
        if ((cases[i].verdict == SIP_STREAM_FRAME_WHOLE ||
             cases[i].verdict == SIP_STREAM_FRAME_UNFRAMED) &&
            got != here)
            fail_msg("%zu and not %zu: %s", got, here, cases[i].bytes);
    }
}

// However it is cut, the verdict is the same, and comes with the byte that decides it. A byte that
// was looked at once is not looked at again, two at the end aside.
static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sip_stream_frame f = {0};
        char p[512];
        const char *end = strchr(cases[i].bytes, '|');
        size_t here = (size_t)(end - cases[i].bytes), n = strlen(cases[i].bytes) - 1;
        enum sip_stream_frame_verdict verdict = SIP_STREAM_FRAME_MORE;
        memcpy(p, cases[i].bytes, here);
        memcpy(p + here, end + 1, n - here);
        for (size_t j = 0; j <= n && verdict == SIP_STREAM_FRAME_MORE; j++) {
            char *exact = malloc(j + 1); // the sanitizer sees a look behind it
            memcpy(exact, p, j);
            verdict = sip_stream_frame_look(&f, exact, j, MAX);
            free(exact);
            if (verdict == SIP_STREAM_FRAME_MORE && !f.head_n)
                assert_true(f.seen + 2 >= j);
        }
        if (verdict != cases[i].verdict)
            fail_msg("another verdict: %s", cases[i].bytes);
        if (verdict == SIP_STREAM_FRAME_WHOLE)
            assert_int_equal(f.n, here);
    }
}

// What is whole here is whole to the parser, and what is not framed gets its 400.
static void test_parser_agrees(void **state)
{
    (void)state;
    struct sip_parser *parser;
    assert_int_equal(sip_parser_create(&parser, MAX), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sip_message *m;
        size_t n;
        char p[512];
        const char *end = strchr(cases[i].bytes, '|');
        size_t here = (size_t)(end - cases[i].bytes), all = strlen(cases[i].bytes) - 1;
        memcpy(p, cases[i].bytes, here);
        memcpy(p + here, end + 1, all - here);
        enum sip_stream_frame_verdict verdict = look(p, all, MAX, &n);
        if (verdict == SIP_STREAM_FRAME_UNFRAMED) {
            assert_int_equal(sip_parse(parser, p, n, &m), 0);
            assert_int_equal(m->defect, 400);
        } else if (verdict == SIP_STREAM_FRAME_WHOLE) {
            assert_int_equal(sip_parse(parser, p, n, &m), 0);
            assert_int_equal(m->body.off + m->body.n, n);
            assert_true(!m->defect_phrase || (!strstr(m->defect_phrase, "Cut") &&
                                              !strstr(m->defect_phrase, "Content-Length")));
        }
    }
    sip_parser_destroy(parser);
}

// Whatever the bytes, what is said to be there is there, and the parser takes it.
static void test_any_bytes(void **state)
{
    (void)state;
    static const char bytes[] = "\r\n :\t,;<0159aClL/.\"\\\0\x80";
    struct sip_parser *parser;
    const struct sip_message *m;
    uint32_t random = 1;
    assert_int_equal(sip_parser_create(&parser, MAX), 0);
    for (unsigned round = 0; round < 30000; round++) {
        const char *from = cases[round % (sizeof cases / sizeof *cases)].bytes;
        size_t n = strlen(from), got;
        char *p = malloc(n);
        memcpy(p, from, n);
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            random = random * 1664525 + 1013904223;
            p[(random >> 8) % n] = bytes[(random >> 24) % (sizeof bytes - 1)];
        }
        enum sip_stream_frame_verdict verdict = look(p, n, MAX, &got);
        if (verdict == SIP_STREAM_FRAME_WHOLE || verdict == SIP_STREAM_FRAME_UNFRAMED)
            assert_in_range(got, 1, n);
        if (verdict == SIP_STREAM_FRAME_WHOLE && sip_parse(parser, p, got, &m) == 0)
            assert_true(!m->defect_phrase || !strstr(m->defect_phrase, "Cut"));
        free(p);
    }
    sip_parser_destroy(parser);
}

static void test_message_limit(void **state)
{
    (void)state;
    char p[1200];
    size_t n;
    int head = snprintf(p, sizeof p, START "Content-Length: %u\r\n\r\n", 500);
    memset(p + head, 'x', sizeof p - (size_t)head);
    assert_int_equal(look(p, sizeof p, (size_t)head + 500, &n), SIP_STREAM_FRAME_WHOLE);
    assert_int_equal(n, head + 500);
    // At once: nobody waits for the body.
    assert_int_equal(look(p, (size_t)head, (size_t)head + 499, &n), SIP_STREAM_FRAME_TOO_LARGE);
    // The head alone.
    assert_int_equal(look(p, (size_t)head, (size_t)head, &n), SIP_STREAM_FRAME_TOO_LARGE);
    assert_int_equal(look(p, (size_t)head - 1, (size_t)head - 1, &n), SIP_STREAM_FRAME_MORE);
    assert_int_equal(look(p, (size_t)head, (size_t)head - 1, &n), SIP_STREAM_FRAME_TOO_LARGE);
}

static void test_head_limit(void **state)
{
    (void)state;
    static char p[SIP_STREAM_HEAD_MAX + 1];
    static const char start[] = START "l: 0\r\nSubject: ";
    size_t n;
    memset(p, 'x', sizeof p);
    memcpy(p, start, sizeof start - 1);
    memcpy(p + SIP_STREAM_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(look(p, SIP_STREAM_HEAD_MAX - 1, MAX, &n), SIP_STREAM_FRAME_MORE);
    assert_int_equal(look(p, SIP_STREAM_HEAD_MAX, MAX, &n), SIP_STREAM_FRAME_WHOLE);
    assert_int_equal(n, SIP_STREAM_HEAD_MAX);
    memcpy(p + SIP_STREAM_HEAD_MAX - 4, "x\r\n\r\n", 5);
    assert_int_equal(look(p, SIP_STREAM_HEAD_MAX, MAX, &n), SIP_STREAM_FRAME_MORE);
    assert_int_equal(look(p, SIP_STREAM_HEAD_MAX + 1, MAX, &n), SIP_STREAM_FRAME_HEAD_TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_parser_agrees), cmocka_unit_test(test_message_limit),
        cmocka_unit_test(test_head_limit),    cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
