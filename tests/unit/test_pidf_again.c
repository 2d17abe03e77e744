// One PIDF reader for many documents, as each shard has it: what it says of one never depends on
// those that it has read before, and no document is taken before its last byte is there.
//
// It guards what core/wire/pidf.c does with libxml2's inside: an input stream that serves again,
// names known by pointer, and a parser that is told that all is there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "core/wire/pidf.h"

static struct buffer scratch, fresh_scratch;
static struct pidf doc, fresh_doc;
static struct pidf_reader *reader;

static int read_fresh(struct text body)
{
    struct pidf_reader *fresh;
    assert_int_equal(pidf_reader_create(&fresh), 0);
    int err = pidf_read(fresh, &fresh_doc, body, TEXT(""), &fresh_scratch);
    pidf_reader_destroy(fresh);
    return err;
}

// The same answer from the reader that has read others as from one that has not.
static int read_both(struct text body)
{
    int err = pidf_read(reader, &doc, body, TEXT(""), &scratch);
    assert_int_equal(read_fresh(body), err);
    if (err)
        return err;
    assert_true(text_eq(doc.entity, fresh_doc.entity));
    assert_int_equal(doc.n, fresh_doc.n);
    for (size_t i = 0; i < doc.n; i++) {
        struct buffer a, b;
        buffer_init(&a, 0);
        buffer_init(&b, 0);
        assert_true(presence_pack(&a, &doc.tuple[i]) && presence_pack(&b, &fresh_doc.tuple[i]));
        assert_true(text_eq((struct text){a.p, a.n}, (struct text){b.p, b.n}));
        buffer_free(&a);
        buffer_free(&b);
    }
    return 0;
}

#define HEAD  "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>"
#define TUPLE "<tuple id='ID-orchard'><status><basic>open</basic></status><note>"
#define TAIL  "</note></tuple></presence>"

static const char *const documents[] = {
    HEAD TUPLE "by the wall" TAIL,
    "<?xml version='1.0' encoding='UTF-8'?>" HEAD TUPLE "by the wall" TAIL,
    "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n" HEAD TUPLE "&lt;wall&#62;" TAIL,
    "<?xml version='1.0' encoding='ISO-8859-1'?>" HEAD TUPLE "w\xe4ll" TAIL,
    HEAD TUPLE "<![CDATA[a ]] wall]]><!-- of stone -->" TAIL,
};

// Of any two of them each has come after the other.
static void a_document_says_the_same_after_any_other(void **state)
{
    (void)state;
    const size_t n = sizeof documents / sizeof *documents;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(read_both(text_of(documents[i])), 0);
            assert_int_equal(read_both(text_of(documents[k])), 0);
            assert_int_equal(doc.n, 1);
        }
}

static void cut_at_any_byte_it_is_refused_and_the_next_one_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct text all = text_of(documents[i]);
        for (size_t n = 0; n < all.n; n++)
            assert_int_equal(read_both((struct text){all.p, n}), EBADMSG);
        assert_int_equal(read_both(all), 0);
    }
}

// libxml2 looks for more where less than 250 bytes are left, and forgets what is 500 behind.
static void texts_of_any_length_are_whole(void **state)
{
    static const size_t lengths[] = {0, 1, 249, 250, 251, 499, 500, 501, 4095, 4096, 4097, 60000};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct buffer b;
        buffer_init(&b, 0);
        buffer_lit(&b, HEAD "<!--");
        for (size_t k = 0; k < lengths[i]; k++)
            buffer_char(&b, ' ');
        buffer_lit(&b, "-->" TUPLE);
        for (size_t k = 0; k < lengths[i]; k++)
            buffer_char(&b, (char)('a' + k % 26));
        buffer_lit(&b, TAIL);
        assert_int_equal(read_both((struct text){b.p, b.n}), 0);
        assert_int_equal(doc.n, 1);
        assert_int_equal(read_both((struct text){b.p, b.n - 1}), EBADMSG);
        buffer_free(&b);
    }
}

static int begin(void **state)
{
    (void)state;
    buffer_init(&scratch, 0);
    buffer_init(&fresh_scratch, 0);
    return pidf_reader_create(&reader);
}

static int end(void **state)
{
    (void)state;
    pidf_reader_destroy(reader);
    buffer_free(&scratch);
    buffer_free(&fresh_scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_says_the_same_after_any_other),
        cmocka_unit_test(cut_at_any_byte_it_is_refused_and_the_next_one_is_read),
        cmocka_unit_test(texts_of_any_length_are_whole),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
