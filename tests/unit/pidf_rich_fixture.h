// What the tests of PIDF's rich payload share: a reader, and documents to put it in.
#ifndef TESTS_UNIT_PIDF_RICH_FIXTURE_H
#define TESTS_UNIT_PIDF_RICH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/wire/pidf.h"
#include "core/wire/stanza.h"
#include "tests/unit/pidf_examples.h"

#define HELPER __attribute__((unused)) static

HELPER struct buffer scratch;
HELPER struct pidf doc;
HELPER struct pidf_reader *reader;

#define PIDF(inside)                                                                               \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'"                              \
    " xmlns:b='urn:ag-projects:xml:ns:pidf' xmlns:bc='urn:ag-projects:xml:ns:pidf:caps'"           \
    " xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:c='urn:ietf:params:xml:ns:pidf:cipid'"      \
    " xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' xmlns:k='urn:ietf:params:xml:ns:pidf:caps'" \
    " xmlns:l='urn:ietf:params:xml:ns:location-type' xmlns:j='jabber:client'>" inside              \
    "</presence>"
#define OPEN         "<status><basic>open</basic></status>"
#define TUPLE(rest)  "<tuple id='t'>" OPEN rest "</tuple>"
#define PERSON(rest) "<d:person id='p'>" rest "</d:person>"

HELPER uint32_t activity(const char *word)
{
    unsigned i;
    assert_true(presence_activity_parse(text_of(word), &i));
    return UINT32_C(1) << i;
}

HELPER uint64_t mood(const char *word)
{
    unsigned i;
    assert_true(presence_mood_parse(text_of(word), &i));
    return UINT64_C(1) << i;
}

HELPER int group_begin(void **state)
{
    (void)state;
    return pidf_reader_create(&reader);
}

HELPER int group_end(void **state)
{
    (void)state;
    pidf_reader_destroy(reader);
    buffer_free(&scratch);
    return 0;
}

#endif
