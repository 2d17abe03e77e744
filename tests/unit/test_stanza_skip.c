// The end of a stanza that is not read: wherever it is cut into pieces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/wire/stanza_skip.h"

// Skips what `z` begins with, from within `open` elements, in pieces of `step` bytes; returns how
// many bytes it took, or a negative error.
static int skipped(const char *z, unsigned open, size_t step)
{
    struct stanza_skip s = {.open = open};
    size_t n = strlen(z), at = 0, used;
    int error = EAGAIN;
    while (at < n && error == EAGAIN) {
        error = stanza_skip_feed(&s, z + at, n - at < step ? n - at : step, &used);
        at += used;
    }
    return error ? -error : (int)at;
}

static void expect(const char *z, unsigned open, int want)
{
    for (size_t step = 1; step <= strlen(z); step++)
        assert_int_equal(skipped(z, open, step), want);
}

static void ends_are_found(void **state)
{
    (void)state;
    expect("<a/>rest", 0, 4);
    expect("<a></a>rest", 0, 7);
    expect("<a><b/><b></b></a ><c/>", 0, 19);
    expect("text</a><c/>", 1, 8);
    expect("<b/></c></a>rest", 2, 12);
    expect("<a b='/'></a>rest", 0, 13);
    expect("<a b=\"'>\" c='\"/>'/>rest", 0, 19);
    expect("<a/ ></a>rest", 0, 9); // no XML, and no end of an element either
}

static void sections_hide_tags(void **state)
{
    (void)state;
    expect("<a><![CDATA[</a>]]></a>rest", 0, 23);
    expect("<a><![CDATA[]]]></a>]]]]>]></a>rest", 0, 20);
    expect("<a><![CDATA[]>]] >]]></a>rest", 0, 25);
    expect("<a><![CDATA[></a>]]></a>rest", 0, 24);  // a '>' alone does not end it,
    expect("<a><![CDATA[]></a>]]></a>rest", 0, 25); // nor one behind a single bracket
}

static void what_a_stream_may_not_contain(void **state)
{
    (void)state;
    expect("<a><!-- -->", 0, -EPERM);
    expect("<a><?b?>", 0, -EPERM);
    expect("<!DOCTYPE a>", 0, -EPERM);
    expect("<a><![CDATE[", 0, -EPERM);
    expect("<a <b>", 0, -EBADMSG);
    expect("<a b='<'>", 0, -EBADMSG);
    expect("<a></a<b>", 0, -EBADMSG);
    expect("<>", 0, -EBADMSG);
    expect("</a>", 0, -EBADMSG);
}

static void there_is_no_end_yet(void **state)
{
    (void)state;
    expect("<a", 0, -EAGAIN);
    expect("<a><b></b>", 0, -EAGAIN);
    expect("<a><![CDATA[</a>", 0, -EAGAIN);
    expect("<a b='</a>", 0, -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_found),
        cmocka_unit_test(sections_hide_tags),
        cmocka_unit_test(what_a_stream_may_not_contain),
        cmocka_unit_test(there_is_no_end_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
