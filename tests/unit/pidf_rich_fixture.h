// What the tests of PIDF's rich payload share beyond other tests of PIDF: documents to put it in.
#ifndef TESTS_UNIT_PIDF_RICH_FIXTURE_H
#define TESTS_UNIT_PIDF_RICH_FIXTURE_H

#include "core/wire/stanza.h"
#include "tests/unit/pidf_fixture.h"

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

#endif
