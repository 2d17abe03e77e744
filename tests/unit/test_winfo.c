// Watcher information documents: their bytes, and that they are valid by RFC 3858 §6.
#include "core/wire/winfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <cmocka.h>

// The schema of RFC 3858 §6. What it imports from the web (xml:lang) is never written here and is
// left out.
static const char SCHEMA[] =
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'"
    " targetNamespace='urn:ietf:params:xml:ns:watcherinfo'"
    " xmlns:tns='urn:ietf:params:xml:ns:watcherinfo'>"
    "<xs:element name='watcherinfo'><xs:complexType><xs:sequence>"
    "<xs:element ref='tns:watcher-list' minOccurs='0' maxOccurs='unbounded'/>"
    "<xs:any namespace='##other' processContents='lax' minOccurs='0' maxOccurs='unbounded'/>"
    "</xs:sequence>"
    "<xs:attribute name='version' type='xs:nonNegativeInteger' use='required'/>"
    "<xs:attribute name='state' use='required'><xs:simpleType><xs:restriction base='xs:string'>"
    "<xs:enumeration value='full'/><xs:enumeration value='partial'/>"
    "</xs:restriction></xs:simpleType></xs:attribute>"
    "</xs:complexType></xs:element>"
    "<xs:element name='watcher-list'><xs:complexType><xs:sequence>"
    "<xs:element ref='tns:watcher' minOccurs='0' maxOccurs='unbounded'/>"
    "<xs:any namespace='##other' processContents='lax' minOccurs='0' maxOccurs='unbounded'/>"
    "</xs:sequence>"
    "<xs:attribute name='resource' type='xs:anyURI' use='required'/>"
    "<xs:attribute name='package' type='xs:string' use='required'/>"
    "</xs:complexType></xs:element>"
    "<xs:element name='watcher'><xs:complexType><xs:simpleContent>"
    "<xs:extension base='xs:anyURI'>"
    "<xs:attribute name='display-name' type='xs:string'/>"
    "<xs:attribute name='status' use='required'><xs:simpleType><xs:restriction base='xs:string'>"
    "<xs:enumeration value='pending'/><xs:enumeration value='active'/>"
    "<xs:enumeration value='waiting'/><xs:enumeration value='terminated'/>"
    "</xs:restriction></xs:simpleType></xs:attribute>"
    "<xs:attribute name='event' use='required'><xs:simpleType><xs:restriction base='xs:string'>"
    "<xs:enumeration value='subscribe'/><xs:enumeration value='approved'/>"
    "<xs:enumeration value='deactivated'/><xs:enumeration value='probation'/>"
    "<xs:enumeration value='rejected'/><xs:enumeration value='timeout'/>"
    "<xs:enumeration value='giveup'/><xs:enumeration value='noresource'/>"
    "</xs:restriction></xs:simpleType></xs:attribute>"
    "<xs:attribute name='expiration' type='xs:unsignedLong'/>"
    "<xs:attribute name='id' type='xs:string' use='required'/>"
    "<xs:attribute name='duration-subscribed' type='xs:unsignedLong'/>"
    "</xs:extension></xs:simpleContent></xs:complexType></xs:element>"
    "</xs:schema>";

static struct buffer out;
static xmlSchemaPtr schema;

static void note(void *ctx, const char *format, ...)
{
    (void)ctx, (void)format;
}

// 0: valid.
static int validate(const char *p, size_t n)
{
    xmlDocPtr doc =
        xmlReadMemory(p, (int)n, "winfo.xml", NULL, XML_PARSE_NOERROR | XML_PARSE_NONET);
    if (!doc)
        return -1;
    xmlSchemaValidCtxtPtr ctx = xmlSchemaNewValidCtxt(schema);
    xmlSchemaSetValidErrors(ctx, note, note, NULL);
    int err = xmlSchemaValidateDoc(ctx, doc);
    xmlSchemaFreeValidCtxt(ctx);
    xmlFreeDoc(doc);
    return err;
}

static void write_valid(const char *resource, uint32_t version, const struct winfo_watcher *w,
                        size_t n)
{
    buffer_reset(&out);
    winfo_write(&out, text_of(resource), version, w, n);
    assert_false(out.failed);
    assert_int_equal(validate(out.p, out.n), 0);
}

static void assert_out(const char *expected)
{
    buffer_char(&out, '\0');
    assert_string_equal(out.p, expected);
}

#define HEAD(version)                                                                              \
    "<?xml version='1.0' encoding='UTF-8'?>"                                                       \
    "<watcherinfo xmlns='urn:ietf:params:xml:ns:watcherinfo' version='" version "' state='full'>"

// The list of RFC 3858 §5.
static void the_professor(void **state)
{
    static const struct winfo_watcher w[] = {
        {{"sip:userA@example.net", 21},
         {"8ajksjda7s", 10},
         WINFO_ACTIVE,
         WINFO_APPROVED,
         UINT32_MAX,
         509},
        {{"sip:userB@example.org", 21},
         {"hh8juja87s997-ass7", 18},
         WINFO_PENDING,
         WINFO_SUBSCRIBE,
         3600,
         UINT32_MAX},
    };
    (void)state;
    write_valid("sip:professor@example.net", 0, w, 2);
    assert_out(HEAD(
        "0") "<watcher-list package='presence' resource='sip:professor@example.net'>"
             "<watcher id='8ajksjda7s' status='active' event='approved'"
             " duration-subscribed='509'>sip:userA@example.net</watcher>"
             "<watcher id='hh8juja87s997-ass7' status='pending' event='subscribe'"
             " expiration='3600'>sip:userB@example.org</watcher>"
             "</watcher-list></watcherinfo>");
}

// Nobody watches: the list is said all the same, for it is news that it is empty.
static void nobody(void **state)
{
    (void)state;
    write_valid("sip:juliet@example.com", UINT32_MAX, NULL, 0);
    assert_out(HEAD("4294967295") "<watcher-list package='presence'"
                                  " resource='sip:juliet@example.com'></watcher-list>"
                                  "</watcherinfo>");
}

static void escaping(void **state)
{
    static const struct winfo_watcher w = {{"sip:o'hara&co@example.net;x=<>\"", 31},
                                           {"a&'<b", 5},
                                           WINFO_ACTIVE,
                                           WINFO_SUBSCRIBE,
                                           0,
                                           0};
    (void)state;
    write_valid("sip:d'artagnan&co@example.com", 7, &w, 1);
    assert_out(HEAD(
        "7") "<watcher-list package='presence'"
             " resource='sip:d&apos;artagnan&amp;co@example.com'>"
             "<watcher id='a&amp;&apos;&lt;b' status='active' event='subscribe'"
             " expiration='0' duration-subscribed='0'>"
             "sip:o&apos;hara&amp;co@example.net;x=&lt;&gt;&quot;</watcher>"
             "</watcher-list></watcherinfo>");
}

static void every_word(void **state)
{
    static const char *const statuses[] = {"pending", "active", "waiting", "terminated"};
    static const char *const events[] = {"subscribe", "approved", "deactivated", "probation",
                                         "rejected",  "timeout",  "giveup",      "noresource"};
    char wanted[64];
    (void)state;
    for (unsigned s = 0; s < 4; s++)
        for (unsigned e = 0; e < 8; e++) {
            struct winfo_watcher w = {TEXT("sip:a@b"), TEXT("1"), s, e, UINT32_MAX, UINT32_MAX};
            write_valid("sip:c@d", 1, &w, 1);
            snprintf(wanted, sizeof wanted, " status='%s' event='%s'>", statuses[s], events[e]);
            buffer_char(&out, '\0');
            assert_non_null(strstr(out.p, wanted));
        }
}

// The schema that stands above does refuse.
static void the_schema_refuses(void **state)
{
    static const char bad[] = HEAD("-1") "</watcherinfo>";
    static const char word[] =
        HEAD("1") "<watcher-list package='presence' resource='x'>"
                  "<watcher id='1' status='gone' event='approved'>x</watcher>"
                  "</watcher-list></watcherinfo>";
    (void)state;
    assert_int_not_equal(validate(bad, sizeof bad - 1), 0);
    assert_int_not_equal(validate(word, sizeof word - 1), 0);
}

// A long list comes whole, or the buffer says that it doesn't.
static void many(void **state)
{
    static struct winfo_watcher w[2000];
    struct buffer small;
    (void)state;
    for (size_t i = 0; i < 2000; i++)
        w[i] =
            (struct winfo_watcher){TEXT("sip:a@b"), TEXT("1"), WINFO_ACTIVE, WINFO_APPROVED, 1, 2};
    write_valid("sip:c@d", 1, w, 2000);
    buffer_init(&small, 65536);
    winfo_write(&small, TEXT("sip:c@d"), 1, w, 2000);
    assert_true(small.failed);
    buffer_free(&small);
}

static int start(void **state)
{
    (void)state;
    xmlInitParser();
    buffer_init(&out, 0);
    xmlSchemaParserCtxtPtr ctx = xmlSchemaNewMemParserCtxt(SCHEMA, sizeof SCHEMA - 1);
    schema = xmlSchemaParse(ctx);
    xmlSchemaFreeParserCtxt(ctx);
    return schema == NULL;
}

static int stop(void **state)
{
    (void)state;
    xmlSchemaFree(schema);
    xmlCleanupParser();
    buffer_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_professor),      cmocka_unit_test(nobody),
        cmocka_unit_test(escaping),           cmocka_unit_test(every_word),
        cmocka_unit_test(the_schema_refuses), cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
