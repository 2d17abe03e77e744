// What the tests of PIDF share: a reader, and where it puts what it has read.
#ifndef TESTS_UNIT_PIDF_FIXTURE_H
#define TESTS_UNIT_PIDF_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/wire/address.h"
#include "core/wire/pidf.h"
#include "tests/unit/pidf_examples.h"

#define HELPER __attribute__((unused)) static

HELPER struct buffer scratch;
HELPER struct pidf doc;
HELPER struct pidf_reader *reader;

HELPER int read_text(struct text body)
{
    return pidf_read(reader, &doc, body, TEXT(""), &scratch);
}

HELPER void assert_text(struct text have, const char *want)
{
    char z[4096];
    assert_true(have.n < sizeof z);
    if (have.n)
        memcpy(z, have.p, have.n);
    z[have.n] = '\0';
    assert_string_equal(z, want);
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
