// What RFC 3863 asks of writers and readers, where no other test shows it: see
// tests/CONFORMANCE.md.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/wire/pidf.h"

static struct buffer scratch;
static struct pidf doc;
static struct pidf_reader *reader;

#define PIDF(inside)                                                                               \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b' "                             \
    "xmlns:p='urn:ietf:params:xml:ns:pidf' xmlns:x='urn:x'>" inside "</presence>"

static void read_z(const char *z)
{
    assert_int_equal(pidf_read(reader, &doc, text_of(z), TEXT(""), &scratch), 0);
}

// ---- Reading

// §4.1.6: a note is for people; it makes nobody away, and nobody open.
static void a_note_is_no_status(void **state)
{
    (void)state;
    read_z(
        PIDF("<note>offline</note>"
             "<tuple id='a'><status><basic>open</basic></status><note>away</note></tuple>"
             "<tuple id='b'><status/><note>open</note></tuple>"
             "<tuple id='c'><status><basic>closed</basic></status><note>available</note>"
             "</tuple>"));
    assert_int_equal(doc.n, 3);
    assert_true(doc.tuple[0].available);
    assert_int_equal(doc.tuple[0].show, SHOW_NONE);
    assert_false(doc.tuple[1].available);
    assert_false(doc.tuple[2].available);
}

// §4.2.3: what must be understood, and is not, is left out alone; <basic> stands.
static void an_unknown_duty_harms_nothing_else(void **state)
{
    (void)state;
    read_z(
        PIDF("<tuple id='a'><status><basic>open</basic>"
             "<x:state p:mustUnderstand='1'><basic>closed</basic></x:state>"
             "<show xmlns='jabber:client'>away</show></status>"
             "<x:more p:mustUnderstand='true'><note>no</note></x:more><note>yes</note></tuple>"));
    assert_int_equal(doc.n, 1);
    assert_true(doc.tuple[0].available);
    assert_int_equal(doc.tuple[0].show, SHOW_AWAY);
    assert_int_equal(doc.tuple[0].n_status, 1);
    assert_true(text_eq(doc.tuple[0].status[0].text, TEXT("yes")));
}

// §4.1.2: tuples may contradict each other, even with one contact; each stands for itself.
static void tuples_may_disagree(void **state)
{
    (void)state;
    read_z(
        PIDF("<tuple id='a'><status><basic>open</basic></status><contact>sip:a@b</contact></tuple>"
             "<tuple id='b'><status><basic>closed</basic></status><contact>sip:a@b</contact>"
             "</tuple>"));
    assert_int_equal(doc.n, 2);
    assert_true(doc.tuple[0].available);
    assert_false(doc.tuple[1].available);
}

// §3.1, §7: UTF-8 without being told, and when told.
static void utf8_is_read_with_and_without_declaration(void **state)
{
    (void)state;
    static const char *const heads[] = {"", "<?xml version='1.0'?>",
                                        "<?xml version='1.0' encoding='UTF-8'?>"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char z[512];
        snprintf(z, sizeof z, "%s%s", heads[i],
                 PIDF("<tuple id='a'><note>\xc5\x99</note></tuple>"));
        read_z(z);
        assert_true(text_eq(doc.tuple[0].status[0].text, TEXT("\xc5\x99")));
    }
}

// ---- Writing

static const char *written(struct buffer *b, const struct presence *p, size_t n)
{
    buffer_reset(b);
    pidf_write(b, TEXT("pres:juliet@example.com"), p, n);
    buffer_char(b, '\0');
    assert_false(b->failed);
    return b->p;
}

static struct presence device(const char *resource)
{
    struct presence p = {.available = true, .show = SHOW_DND, .has_priority = true};
    p.resource = text_of(resource);
    p.priority = 5;
    p.n_status = 1;
    p.status[0] = (struct presence_status){TEXT("en"), TEXT("\xc5\x99")};
    p.facts.has_said = true;
    p.facts.said_ms = 1348224837802;
    p.facts.input = INPUT_IDLE;
    p.text[PRESENCE_NICK] = TEXT("Juliet");
    return p;
}

// The values of each `name='…'`, one by one; NULL: no more.
static const char *next_value(const char **at, const char *name, char value[256])
{
    const char *hit = strstr(*at, name);
    if (!hit)
        return NULL;
    hit += strlen(name);
    size_t n = strcspn(hit, "'");
    assert_true(n < 256);
    memcpy(value, hit, n);
    value[n] = '\0';
    *at = hit + n;
    return value;
}

// §4.1.2: different devices, different ids, however alike their names are.
static void ids_are_unique_in_a_document(void **state)
{
    (void)state;
    static const char *const names[] = {"",  "a",      "A",        "a b",     "a_b", "a_x0020_b",
                                        "1", "ID-a",   "ID-1",     "a/b",     "a:b", "\xc3\xbc",
                                        "u", "_x0020", "__x0020_", "_x005F_", "a.b", "a-b"};
    enum { N = sizeof names / sizeof *names };
    struct presence p[N];
    char ids[N][256];
    struct buffer b;
    buffer_init(&b, 0);
    for (size_t i = 0; i < N; i++)
        p[i] = device(names[i]);
    const char *at = written(&b, p, N);
    for (size_t i = 0; i < N; i++) {
        assert_non_null(next_value(&at, "<tuple id='", ids[i]));
        assert_int_equal(strncmp(ids[i], "ID-", 3), 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
    buffer_free(&b);
}

// §4.1, §4.1.1, §4.1.3: declaration, namespace, entity, and a value in each status.
static void a_document_has_all_that_it_must(void **state)
{
    (void)state;
    struct presence p[3] = {device("a"), device("b"), {.resource = TEXT("c")}};
    struct buffer b;
    buffer_init(&b, 0);
    for (size_t n = 0; n <= 3; n++) {
        const char *z = written(&b, p, n);
        static const char head[] =
            "<?xml version='1.0' encoding='UTF-8'?><presence "
            "xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:juliet@example.com'>";
        assert_int_equal(strncmp(z, head, strlen(head)), 0);
        size_t tuples = 0, values = 0;
        for (const char *at = z; (at = strstr(at, "<tuple id='ID-")); at++)
            tuples++;
        for (const char *at = z; (at = strstr(at, "<status><basic>")); at++)
            values++;
        assert_int_equal(tuples, n ? n : 1); // somebody who has no device has a closed tuple
        assert_int_equal(values, tuples);
        assert_null(strstr(z, "mustUnderstand"));
    }
    buffer_free(&b);
}

// §4.2.2: absolute URIs without a fragment; §4.1.7: T and Z as capitals.
static void namespaces_and_times_have_their_form(void **state)
{
    (void)state;
    struct presence p = device("a");
    struct buffer b;
    char value[256];
    size_t n = 0;
    buffer_init(&b, 0);
    const char *z = written(&b, &p, 1);
    for (const char *at = z; next_value(&at, "xmlns='", value); n++) {
        assert_true(strncmp(value, "urn:", 4) == 0 || strcmp(value, "jabber:client") == 0);
        assert_null(strchr(value, '#'));
    }
    assert_true(n >= 5);
    assert_non_null(strstr(z, "<timestamp>2012-09-21T10:53:57.802Z</timestamp>"));
    buffer_free(&b);
}

static int group_begin(void **state)
{
    (void)state;
    return pidf_reader_create(&reader);
}

static int group_end(void **state)
{
    (void)state;
    pidf_reader_destroy(reader);
    buffer_free(&scratch);
    return 0;
}

// §4.3.3: a known extension that holds an unknown element which must be understood is none.
static void an_extension_with_an_unknown_duty_is_none(void **state)
{
    (void)state;
#define DUTY "<x:new p:mustUnderstand='true'/>"
#define RICH                                                                                       \
    "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:m='urn:ietf:params:xml:ns:pidf:data-model' " \
    "xmlns:c='urn:ietf:params:xml:ns:pidf:cipid'"
    static const struct {
        const char *extra, *person;
        bool away, happy, named;
    } ROWS[] = {
        {"", "", true, true, true},
        {DUTY, "", false, true, true},
        {"<x:new p:mustUnderstand='1'>text</x:new>", "", false, true, true},
        {"<x:new p:mustUnderstand='0'/>", "", true, true, true},
        {"<x:new mustUnderstand='true'/>", "", true, true, true},
        {"<x:new>" DUTY "</x:new>", "", true, true, true}, // of an element that is ignored
        {"", DUTY, false, false, true},
        {DUTY, DUTY, false, false, true},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char z[2048];
        snprintf(z, sizeof z,
                 PIDF("<tuple id='a'><status><basic>open</basic></status>"
                      "<c:display-name " RICH ">Juliet</c:display-name></tuple>"
                      "<m:person " RICH " id='p'><r:activities><r:away/>%s</r:activities>"
                      "<r:mood><r:happy/></r:mood>%s<m:note>why</m:note></m:person>"),
                 ROWS[i].extra, ROWS[i].person);
        read_z(z);
        print_message("    %s, %s\n", ROWS[i].extra, ROWS[i].person);
        assert_int_equal(doc.n, 1);
        assert_true(doc.tuple[0].available);
        assert_int_equal(doc.tuple[0].show, ROWS[i].away ? SHOW_AWAY : SHOW_NONE);
        assert_int_equal(doc.tuple[0].facts.activities != 0, ROWS[i].away);
        assert_int_equal(doc.tuple[0].facts.moods != 0, ROWS[i].happy);
        assert_int_equal(doc.tuple[0].n_status, ROWS[i].happy ? 1 : 0);
        assert_int_equal(doc.tuple[0].text[PRESENCE_NICK].n != 0, ROWS[i].named);
    }
}

// The same of a text, of a device, and of a show; what stood there before holds.
static void what_stood_before_an_unknown_duty_holds(void **state)
{
    (void)state;
    read_z(
        PIDF("<tuple id='a'><status><basic>open</basic>"
             "<show xmlns='jabber:client'>dnd" DUTY "</show></status>"
             "<r:activities " RICH "><r:meeting/></r:activities>"
             "<r:activities " RICH "><r:tv/>" DUTY "</r:activities>"
             "<c:display-name " RICH ">Juliet" DUTY "</c:display-name>"
             "<c:display-name " RICH ">Jule</c:display-name>"
             "<m:deviceID " RICH ">d</m:deviceID></tuple>"
             "<m:device " RICH " id='d'><m:deviceID>d</m:deviceID><m:note>phone</m:note>" DUTY
             "</m:device>"));
    assert_true(doc.tuple[0].available);
    assert_int_equal(doc.tuple[0].show, SHOW_DND); // of the meeting
    unsigned meeting;
    assert_true(presence_activity_parse(TEXT("meeting"), &meeting));
    assert_int_equal(doc.tuple[0].facts.activities, UINT32_C(1) << meeting);
    assert_true(text_eq(doc.tuple[0].text[PRESENCE_NICK], TEXT("Jule")));
    assert_int_equal(doc.tuple[0].text[PRESENCE_DEVICE].n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_is_no_status),
        cmocka_unit_test(an_unknown_duty_harms_nothing_else),
        cmocka_unit_test(an_extension_with_an_unknown_duty_is_none),
        cmocka_unit_test(what_stood_before_an_unknown_duty_holds),
        cmocka_unit_test(tuples_may_disagree),
        cmocka_unit_test(utf8_is_read_with_and_without_declaration),
        cmocka_unit_test(ids_are_unique_in_a_document),
        cmocka_unit_test(a_document_has_all_that_it_must),
        cmocka_unit_test(namespaces_and_times_have_their_form),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
