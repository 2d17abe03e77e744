// What the tests of reading SIP share: a parser, and a request whose fields can be exchanged.
#ifndef TESTS_UNIT_SIP_REQUEST_H
#define TESTS_UNIT_SIP_REQUEST_H

#include "core/wire/sip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define HELPER __attribute__((unused)) static

enum { MESSAGE_MAX = 65536 };

HELPER struct sip_parser *parser;
HELPER const struct sip_message *m;

// In memory of exactly its size, so that a read past the datagram shows.
HELPER int parse_bytes(const char *data, size_t n)
{
    char *exact = malloc(n ? n : 1);
    memcpy(exact, data, n);
    int err = sip_parse(parser, exact, n, &m);
    free(exact);
    return err;
}

HELPER void parse(const char *z)
{
    assert_int_equal(parse_bytes(z, strlen(z)), 0);
}

#define assert_field(field, expected) assert_text(#field, sip_text(m, m->field), expected)

HELPER void assert_text(const char *name, struct text got, const char *expected)
{
    if (!text_eq(got, text_of(expected)))
        fail_msg("%s: \"%.*s\", not \"%s\"", name, TEXT_ARG(got), expected);
}

// A request whose fields can be exchanged one by one: NULL keeps the good one, "" leaves it out.
struct fields {
    const char *line, *via, *from, *to, *call_id, *cseq, *more, *body;
};

HELPER const char *or_else(const char *field, const char *good)
{
    return field ? field : good;
}

HELPER const char *request(struct fields f)
{
    static char text[1 << 17];
    snprintf(text, sizeof text, "%s\r\n%s%s%s%s%s%s\r\n%s",
             or_else(f.line, "SUBSCRIBE sip:juliet@example.com SIP/2.0"),
             or_else(f.via, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"),
             or_else(f.from, "From: <sip:romeo@example.net>;tag=ffd2\r\n"),
             or_else(f.to, "To: <sip:juliet@example.com>\r\n"),
             or_else(f.call_id, "Call-ID: j4s0h4vny@example.net\r\n"),
             or_else(f.cseq, "CSeq: 1 SUBSCRIBE\r\n"), or_else(f.more, ""), or_else(f.body, ""));
    return text;
}

HELPER void expect_defect(struct fields f, unsigned status, const char *phrase)
{
    parse(request(f));
    if (m->defect != status || (status && strcmp(m->defect_phrase, phrase) != 0))
        fail_msg("%u %s, not %u %s", m->defect, m->defect ? m->defect_phrase : "", status, phrase);
}

HELPER void expect_sound(struct fields f)
{
    expect_defect(f, 0, "");
}

HELPER int start(void **state)
{
    (void)state;
    return sip_parser_create(&parser, MESSAGE_MAX);
}

HELPER int stop(void **state)
{
    (void)state;
    sip_parser_destroy(parser);
    return 0;
}

#endif
