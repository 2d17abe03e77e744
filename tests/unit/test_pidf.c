// PIDF: the documents of the RFCs and of real clients, what is refused, and the way there and back.
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

static struct buffer scratch;
static struct pidf doc;
static struct pidf_reader *reader;

static int read_text(struct text body)
{
    return pidf_read(reader, &doc, body, TEXT(""), &scratch);
}

static int read_z(const char *z)
{
    return read_text(text_of(z));
}

static void assert_text(struct text have, const char *want)
{
    char z[4096];
    assert_true(have.n < sizeof z);
    if (have.n)
        memcpy(z, have.p, have.n);
    z[have.n] = '\0';
    assert_string_equal(z, want);
}

// One line per tuple: resource, '+' or '-', show, priority, [lang]note …
static void expect(const char *want)
{
    struct buffer b;
    buffer_init(&b, 0);
    for (size_t i = 0; i < doc.n; i++) {
        const struct presence *p = &doc.tuple[i];
        buffer_text(&b, p->resource);
        buffer_text(&b, p->available ? TEXT(" +") : TEXT(" -"));
        buffer_text(&b, presence_show_text(p->show));
        if (p->has_priority) {
            buffer_char(&b, ' ');
            buffer_u64(&b, (uint64_t)p->priority);
        }
        for (size_t k = 0; k < p->n_status; k++) {
            buffer_lit(&b, " [");
            buffer_text(&b, p->status[k].lang);
            buffer_char(&b, ']');
            buffer_text(&b, p->status[k].text);
        }
        buffer_char(&b, '\n');
    }
    buffer_char(&b, '\0');
    assert_string_equal(b.p, want);
    buffer_free(&b);
}

static void expect_read(const char *z, const char *want)
{
    assert_int_equal(read_z(z), 0);
    expect(want);
}

// ── documents from elsewhere ──

static void reads_rfc8048(void **state)
{
    (void)state;
    expect_read(RFC8048_4, "dr4hcr0st3lup4c +away\n");
    assert_text(doc.entity, "pres:romeo@example.net");
    expect_read(RFC8048_19, "yn0cl4bnw0yr3vym +away\n");
    assert_text(doc.entity, "pres:juliet@example.com");
    expect_read(RFC8048_20, "dr4hcr0st3lup4c -\n");
    assert_int_equal(doc.dropped, 0);
}

static void reads_rfc3863(void **state)
{
    (void)state;
    expect_read(RFC3863_PREFIXED, "sg89ae + 102\n");
    assert_text(doc.entity, "pres:someone@example.com");
    expect_read(RFC3863_DEFAULT, "sg89ae + 102\n");
    expect_read(RFC3863_LOCATION, "ub93s3 +\n");
    expect_read(RFC3863_4_3_1,
                "bs35r9 + 102 [en]Don't Disturb Please! [fr]Ne derangez pas, s'il vous "
                "plait\neg92n8 + 127 []I'll be in Tokyo next week\n");
    expect_read(RFC3863_4_3_2, "ck38g9 + 83\nmd66je + 127\n");
    expect_read(RFC3863_4_3_3, "tj25ds + 93\n");
}

static void reads_rfc4480(void **state)
{
    (void)state;
    expect_read(RFC4480_EXAMPLE,
                "bs35r9 +away 102 [en]Don't Disturb Please! [fr]Ne derangez pas, s'il vous plait\n"
                "ty4658 +away 127 []I'll be in Tokyo next week\n"
                "eg92n8 +away 127 []I'll be in Tokyo next week\n");
}

static void reads_blink(void **state)
{
    (void)state;
    expect_read(BLINK, "SID-f4649f87-1aa3-44ec-ab49-d0464528d706 +away\n");
    assert_text(doc.entity, "sip:ag@test.sip2sip.info");
}

// ── the parts ──

#define PIDF(inside)                                                                               \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'"                              \
    " xmlns:b='urn:ag-projects:xml:ns:pidf' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid'"            \
    " xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' xmlns:j='jabber:client'>" inside            \
    "</presence>"
#define TUPLE(status, rest)                                                                        \
    "<tuple id='t'><status><basic>open</basic>" status "</status>" rest "</tuple>"

static void takes_old_namespaces(void **state)
{
    (void)state;
    expect_read(
        "<presence xmlns='urn:ietf:params:xml:ns:cpim-pidf'><tuple id='x'><status><basic>"
        "open</basic></status></tuple></presence>",
        "x +\n");
    assert_text(doc.entity, "");
    expect_read(
        "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf:'><p:tuple id='x'><p:status>"
        "<p:basic>OPEN</p:basic></p:status></p:tuple></p:presence>",
        "x +\n");
}

static void takes_what_is_missing(void **state)
{
    (void)state;
    expect_read(PIDF(""), "");
    expect_read(PIDF("<tuple><status><basic> open\n</basic></status></tuple>"), " +\n");
    expect_read(PIDF("<tuple id=''><status><basic>closed</basic></status></tuple>"), " -\n");
    expect_read(PIDF("<tuple id='ID-'><status/></tuple>"), " -\n");
    expect_read(PIDF("<tuple id='x'/>"), "x -\n");
    expect_read(PIDF("<tuple id='x'><status><basic>maybe</basic></status></tuple>"), "x -\n");
    // Without basic, other states count.
    expect_read(PIDF("<tuple id='x'><status><j:show>dnd</j:show></status></tuple>"), "x +dnd\n");
    expect_read(PIDF("<tuple id='x'><status><b:extended>available</b:extended></status></tuple>"),
                "x +\n");
}

static void passes_over_what_it_does_not_know(void **state)
{
    (void)state;
    expect_read(
        PIDF("<x xmlns='urn:x'><tuple xmlns='urn:ietf:params:xml:ns:pidf' id='n'/></x>"
             "text<y/>" TUPLE("<basic xmlns='urn:x'>closed</basic>", "<tuple id='z'/><z/>")),
        "t +\n");
    expect_read(PIDF(TUPLE("", "<unbound:x/><note>a<b>x</b>c</note>")), "t + []ac\n");
    expect_read("<?xml version='1.0'?><!-- c --><?p i?>" PIDF("<!-- c -->" TUPLE("", "<?p i?>")),
                "t +\n");
}

static void knows_many_shows(void **state)
{
    (void)state;
    static const struct {
        const char *body, *want;
    } v[] = {
        {PIDF(TUPLE("<j:show>chat</j:show>", "")), "t +chat\n"},
        {PIDF(TUPLE("<j:show> xa </j:show>", "")), "t +xa\n"},
        {PIDF(TUPLE("", "<j:show>dnd</j:show>")), "t +dnd\n"},
        {PIDF(TUPLE("<j:show>no</j:show>", "")), "t +\n"},
        {PIDF(TUPLE("<show>away</show>", "")), "t +\n"}, // not jabber:client's
        {PIDF(TUPLE("<b:extended>busy</b:extended>", "")), "t +dnd\n"},
        {PIDF(TUPLE("<b:extended>away</b:extended>", "")), "t +away\n"},
        {PIDF(TUPLE("<b:extended>extended-away</b:extended>", "")), "t +xa\n"},
        {PIDF(TUPLE("", "<b:extended>extended-away</b:extended>")), "t +xa\n"},
        {PIDF(TUPLE("<b:extended>available</b:extended>", "")), "t +\n"},
        {PIDF(TUPLE("", "<r:activities><r:on-the-phone/></r:activities>")), "t +dnd\n"},
        {PIDF(
             TUPLE("", "<r:activities><r:note>x</r:note><r:tv/><r:away/><r:busy/></r:activities>")),
         "t +away\n"},
        {PIDF(TUPLE("<r:activities><r:meeting/></r:activities>", "")), "t +dnd\n"},
        {PIDF(TUPLE("", "<r:activities><away/></r:activities>")), "t +\n"},
        {PIDF(TUPLE("", "") "<d:person id='p'><r:activities><r:busy/></r:activities></d:person>"),
         "t +dnd\n"},
        {PIDF("<d:person id='p'><r:activities><r:away/></r:activities></d:person>" TUPLE("", "")),
         "t +away\n"},
        // jabber:client, then Blink's, then activities; a tuple's own before the person's
        {PIDF(TUPLE("<b:extended>busy</b:extended><j:show>away</j:show>",
                    "<r:activities><r:busy/></r:activities>")),
         "t +away\n"},
        {PIDF(
             TUPLE("<b:extended>available</b:extended>", "<r:activities><r:busy/></r:activities>")),
         "t +\n"},
        {PIDF(TUPLE(
             "",
             "<r:activities><r:busy/></r:activities>") "<d:person><r:activities><r:away/></r:activities></d:person>"),
         "t +dnd\n"},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        expect_read(v[i].body, v[i].want);
}

static void a_closed_tuple_has_no_show(void **state)
{
    (void)state;
    expect_read(PIDF("<tuple id='t'><status><basic>closed</basic><j:show>away</j:show></status>"
                     "<contact priority='1'>sip:a@b</contact><note>gone</note></tuple>"),
                "t - []gone\n");
}

static void gives_notes_their_language(void **state)
{
    (void)state;
    expect_read(PIDF(TUPLE("",
                           "<note/><note> \n</note><note xml:lang='de'>x</note><note>&#xfc;"
                           "</note>")),
                "t + [de]x []\xc3\xbc\n");
    expect_read(
        PIDF("<tuple xml:lang='fr' id='t'><status><basic>open</basic></status><note>x</note>"
             "<note xml:lang=''>y</note></tuple>"),
        "t + [fr]x []y\n");
    assert_int_equal(pidf_read(reader, &doc,
                               text_of(PIDF(TUPLE("", "<note>x</note>") "<note>y</note>"
                                                                        "<tuple id='u'/>")),
                               TEXT("cs"), &scratch),
                     0);
    expect("t + [cs]x\nu - [cs]y\n");
    expect_read(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' xml:lang='it'><tuple id='t'/><note>x"
        "</note></presence>",
        "t - [it]x\n");
    expect_read(PIDF(TUPLE("", "") "<d:person><d:note>p</d:note></d:person>"), "t + []p\n");
    expect_read(PIDF(TUPLE("", "") "<note>d</note><d:person><d:note>p</d:note></d:person>"),
                "t + []d\n");
}

static void keeps_so_many_notes(void **state)
{
    (void)state;
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence xmlns='urn:ietf:params:xml:ns:pidf'><tuple id='t'>");
    for (int i = 0; i < PRESENCE_STATUS_MAX + 1; i++)
        buffer_lit(&z, "<note>n</note>");
    buffer_lit(&z, "</tuple></presence>");
    assert_int_equal(read_text((struct text){z.p, z.n}), 0);
    assert_int_equal(doc.tuple[0].n_status, PRESENCE_STATUS_MAX);
    buffer_free(&z);
}

static void keeps_so_many_tuples(void **state)
{
    (void)state;
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence xmlns='urn:ietf:params:xml:ns:pidf'>");
    for (unsigned i = 0; i < PIDF_TUPLES_MAX + 3; i++) {
        buffer_lit(&z, "<tuple id='t");
        buffer_u64(&z, i);
        buffer_lit(&z, "'><status><basic>open</basic></status><contact>sip:x;gr=");
        buffer_u64(&z, i);
        buffer_lit(&z, "</contact><note>n</note></tuple>");
    }
    buffer_lit(&z, "</presence>");
    assert_int_equal(read_text((struct text){z.p, z.n}), 0);
    assert_int_equal(doc.n, PIDF_TUPLES_MAX);
    assert_int_equal(doc.dropped, 3);
    assert_text(doc.tuple[PIDF_TUPLES_MAX - 1].resource, "31");
    buffer_free(&z);
}

static void expect_resource(const char *id, const char *contact, const char *want)
{
    char z[8192];
    snprintf(z, sizeof z, PIDF("<tuple id='%s'><contact>%s</contact></tuple>"), id, contact);
    assert_int_equal(read_z(z), 0);
    assert_int_equal(doc.n, 1);
    assert_text(doc.tuple[0].resource, want);
}

static void takes_the_resource_from_gruu_or_id(void **state)
{
    (void)state;
    expect_resource("ID-x", "sip:a@b;gr=balcony", "balcony");
    expect_resource("ID-x", " sip:a@b;transport=tcp;GR=balcony;ob \n", "balcony");
    expect_resource("ID-x", "sip:a@b;gr=urn:uuid:f81d4fae-7dec", "urn:uuid:f81d4fae-7dec");
    expect_resource("ID-x", "sip:a@b;gr=a%20b%C3%BC?Subject=x", "a b\xc3\xbc");
    expect_resource("ID-x", "sip%3Aa%40b%3Bgr%3Dbalcony", "balcony");
    expect_resource("ID-x", "&lt;sip:a@b;gr=balcony&gt;", "balcony");
    expect_resource("ID-x", "sip:a;gr=no@b", "x");
    expect_resource("ID-x", "sip:a@b;gr", "x"); // a temporary GRUU (RFC 5627 §3.1)
    expect_resource("ID-x", "sip:a@b;gr=", "x");
    expect_resource("ID-x", "sip:a@b;group=y", "x");
    expect_resource("ID-x", "sip:a@b;gr=%00", "x");
    expect_resource("ID-x", "sip:a@b;gr=%ff", "x");
    expect_resource("ID-x", "sip:a@b;gr=50%", "50%");
    expect_resource("ID-x", "", "x");
    expect_resource("ID-x", ";", "x");
    expect_resource("ID-x", "%", "x");
    expect_resource("SID-x", "sip:a@b", "SID-x");
    expect_resource("id-x", "sip:a@b", "id-x");
    expect_resource("a&amp;b&#38;&lt;", "", "a&b&<"); // no xs:ID, but plain enough
    expect_resource("ID-a_x0020_b", "", "a b");
    expect_resource("a_x0020_b", "", "a_x0020_b"); // not one of ours
    expect_resource("ID-a_x20_b_", "", "a_x20_b_");
    expect_resource("ID-_x0020", "", "_x0020");
    expect_resource("ID-_x00000020_", "", "_x00000020_");
    expect_resource("ID-_x110000_", "", "_x110000_");
    expect_resource("ID-_x10FFFF_", "", "\xf4\x8f\xbf\xbf");
    expect_resource("ID-_xD800_", "", ""); // no character
    expect_resource("ID-_x0001_", "", "");
}

static void a_resource_has_so_many_bytes(void **state)
{
    (void)state;
    char id[JID_PART_MAX + 2];
    memset(id, 'r', sizeof id);
    id[JID_PART_MAX] = '\0';
    expect_resource(id, "", id);
    id[JID_PART_MAX] = 'r';
    id[JID_PART_MAX + 1] = '\0';
    expect_resource(id, "", "");
}

static void merges_tuples_of_one_resource(void **state)
{
    (void)state;
    expect_read(PIDF("<tuple id='a'><status><basic>closed</basic></status></tuple>"
                     "<tuple id='b'><status><basic>open</basic></status></tuple>"
                     "<tuple id='a'><status><basic>open</basic></status><note>1</note></tuple>"
                     "<tuple id='a'><status><basic>open</basic></status><note>2</note></tuple>"),
                "a + []1\nb +\n");
}

static void expect_priority(const char *attribute, int want)
{
    char z[1024];
    snprintf(z, sizeof z, PIDF(TUPLE("", "<contact %s>sip:a@b</contact>")), attribute);
    assert_int_equal(read_z(z), 0);
    assert_int_equal(doc.tuple[0].has_priority, want >= 0);
    assert_int_equal(doc.tuple[0].priority, want >= 0 ? want : 0);
}

static void reads_priorities(void **state)
{
    (void)state;
    expect_priority("", -1);
    expect_priority("priority='0'", 0);
    expect_priority("priority='0.007'", 1); // RFC 8048 §6.2 note 6
    expect_priority("priority='0.015'", 2);
    expect_priority("priority='0.992'", 126);
    expect_priority("priority=' 1.000 '", 127);
    expect_priority("priority='1.'", 127);
    expect_priority("priority='.5'", 64);
    expect_priority("priority='0.0219999999999999999999'", 3);
    const char *const bad[] = {"",     ".",   "1.001", "1.0001", "2",   "-0.5", "+0.5", "0,5",
                               "high", "0.x", "1e-1",  "0.5.5",  "NaN", "10",   "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char z[64];
        snprintf(z, sizeof z, "priority='%s'", bad[i]);
        expect_priority(z, -1);
    }
}

static void priorities_are_one_to_one(void **state)
{
    (void)state;
    assert_int_equal(pidf_priority_to_milli(0), 0);
    assert_int_equal(pidf_priority_to_milli(1), 7);
    assert_int_equal(pidf_priority_to_milli(2), 15);
    assert_int_equal(pidf_priority_to_milli(126), 992);
    assert_int_equal(pidf_priority_to_milli(127), 1000);
    for (int p = 0; p <= 127; p++)
        assert_int_equal(pidf_priority_from_milli(pidf_priority_to_milli((int8_t)p)), p);
    for (unsigned milli = 0; milli < 1000; milli++)
        assert_true(pidf_priority_from_milli(milli) <= pidf_priority_from_milli(milli + 1));
}

// ── what is refused ──

static void refuses_what_is_no_pidf(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        " ",
        "hello",
        "<",
        "<presence/>",
        "<presence xmlns='urn:x'/>",
        "<tuple xmlns='urn:ietf:params:xml:ns:pidf'/>",
        "<x><presence xmlns='urn:ietf:params:xml:ns:pidf'/></x>",
        "<presence xmlns='urn:ietf:params:xml:ns:pidf'>",
        "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>x",
        "<presence xmlns='urn:ietf:params:xml:ns:pidf'/><presence/>",
        PIDF("<tuple></note>"),
        PIDF("&nbsp;"),
        PIDF("\xff"),
        PIDF("<note>\x01</note>"),
        PIDF("<tuple id='a' id='b'/>"),
        PIDF("<tuple id='<'/>"),
        "<!DOCTYPE presence>" PIDF(""),
        "<!DOCTYPE presence SYSTEM 'file:///etc/passwd'>" PIDF(""),
        "<?xml version='1.0'?><!DOCTYPE p [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>" PIDF("&b;"),
        "<!DOCTYPE p [<!ENTITY % x SYSTEM 'http://127.0.0.1/'>%x;]>" PIDF(""),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_z(bad[i]) != EBADMSG)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(doc.n, 0);
        expect_read(RFC8048_19, "yn0cl4bnw0yr3vym +away\n"); // the parser has recovered
    }
    assert_int_equal(read_text((struct text){NULL, 0}), EBADMSG);
}

static void forgets_namespaces_of_a_broken_document(void **state)
{
    (void)state;
    assert_int_equal(read_z("<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' "
                            "xmlns='urn:ietf:params:xml:ns:pidf'><p:tuple><"),
                     EBADMSG);
    assert_int_equal(read_z("<p:presence><p:tuple/></p:presence>"), EBADMSG);
    assert_int_equal(read_z("<presence><tuple/></presence>"), EBADMSG);
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(BLINK) - 1; n++) // without the last line end
        if (!read_text((struct text){BLINK, n}))
            fail_msg("%zu bytes were taken", n);
    assert_int_equal(read_text((struct text){BLINK, strlen(BLINK) - 1}), 0);
}

static void nesting_costs_nothing(void **state)
{
    (void)state;
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence xmlns='urn:ietf:params:xml:ns:pidf'>");
    for (int i = 0; i < 100000; i++)
        buffer_lit(&z, "<a>");
    assert_int_equal(read_text((struct text){z.p, z.n}), EBADMSG);
    for (int i = 0; i < 100000; i++)
        buffer_lit(&z, "</a>");
    buffer_lit(&z, "</presence>");
    assert_int_equal(read_text((struct text){z.p, z.n}), EBADMSG);
    buffer_free(&z);
}

static void knows_few_encodings(void **state)
{
    (void)state;
    expect_read(
        "<?xml version='1.0' encoding='ISO-8859-1'?>" PIDF("<note>\xfc</note><tuple id='t'/>"),
        "t - []\xc3\xbc\n");
    assert_int_equal(
        read_z("<?xml version='1.0' encoding='ISO-8859-15'?>" PIDF("<note>\xfc</note>")), EBADMSG);
    // What others call UTF-8 is read as such.
    expect_read("<?xml version='1.0' encoding='windows-1252'?>" PIDF("<note>\xc3\xbc</note>"
                                                                     "<tuple id='t'/>"),
                "t - []\xc3\xbc\n");
    expect_read("\xef\xbb\xbf" PIDF("<tuple id='t'/>"), "t -\n");
    char wide[1024];
    size_t n = 0;
    wide[n++] = '\xff';
    wide[n++] = '\xfe';
    for (const char *z = PIDF("<tuple id='t'/>"); *z; z++)
        wide[n++] = *z, wide[n++] = '\0';
    assert_int_equal(read_text((struct text){wide, n}), 0);
    expect("t -\n");
}

static void tells_when_the_scratch_is_too_small(void **state)
{
    (void)state;
    struct buffer all, small;
    buffer_init(&all, 0);
    assert_int_equal(pidf_read(reader, &doc, text_of(RFC3863_4_3_1), TEXT("en"), &all), 0);
    for (size_t limit = 1; limit < all.n; limit += 3) {
        buffer_init(&small, limit);
        assert_int_equal(pidf_read(reader, &doc, text_of(RFC3863_4_3_1), TEXT("en"), &small),
                         ENOMEM);
        buffer_free(&small);
    }
    buffer_free(&all);
}

// ── there and back ──

static void expect_written(const char *entity, const struct presence *p, size_t n, const char *want)
{
    struct buffer b;
    buffer_init(&b, 0);
    pidf_write(&b, text_of(entity), p, n);
    assert_false(b.failed);
    buffer_char(&b, '\0');
    assert_string_equal(b.p, want);
    buffer_free(&b);
}

#define HEAD(entity)                                                                               \
    "<?xml version='1.0' encoding='UTF-8'?>"                                                       \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='" entity "'>"

#define EXTENDED(word) "<extended xmlns='urn:ag-projects:xml:ns:pidf'>" word "</extended>"
#define PERSON(inside)                                                                             \
    "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='PERSON'>" inside "</person>"

static void writes_rfc8048(void **state)
{
    (void)state;
    struct presence p = {
        .available = true, .resource = TEXT("yn0cl4bnw0yr3vym"), .show = SHOW_AWAY};
    expect_written("pres:juliet@example.com", &p, 1,
                   HEAD("pres:juliet@example.com") "<tuple id='ID-yn0cl4bnw0yr3vym'><status><basic>"
                   "open</basic><show xmlns='jabber:client'>away</show>" EXTENDED("away") "</status>"
                   "</tuple>" PERSON("<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><away/>"
                   "</activities>") "</presence>");
    p.available = false;
    expect_written("pres:juliet@example.com", &p, 1,
                   HEAD("pres:juliet@example.com") "<tuple id='ID-yn0cl4bnw0yr3vym'><status><basic>"
                   "closed</basic></status></tuple></presence>");
    expect_written("pres:o'neill&co@example.com", NULL, 0,
                   HEAD("pres:o&apos;neill&amp;co@example.com") "<tuple id='ID-'><status><basic>"
                   "closed</basic></status></tuple></presence>");
}

static void writes_all_parts_in_order(void **state)
{
    (void)state;
    struct presence p[2] = {{.available = true,
                             .resource = TEXT("a b/\xc3\xbc:1"),
                             .show = SHOW_DND,
                             .has_priority = true,
                             .priority = 1,
                             .n_status = 4,
                             .status = {{TEXT("en-GB"), TEXT("<1> & 'more'")},
                                        {TEXT(""), TEXT("2")},
                                        {TEXT("de"), TEXT("")},
                                        {TEXT("not a language"), TEXT("\xc5\x99")}}},
                            {.available = true, .has_priority = true, .priority = 127}};
    expect_written("pres:juliet@example.com", p, 2,
                   HEAD("pres:juliet@example.com") "<tuple id='ID-a_x0020_b_x002F__x00FC__x003A_1'>"
                   "<status><basic>open</basic><show xmlns='jabber:client'>dnd</show>"
                   EXTENDED("busy") "</status>"
                   "<contact priority='0.007'>sip:juliet@example.com;gr=a%20b%2F%C3%BC%3A1</contact>"
                   "<note xml:lang='en-GB'>&lt;1&gt; &amp; &apos;more&apos;</note><note>2</note>"
                   "<note>\xc5\x99</note></tuple><tuple id='ID-'><status><basic>open</basic></status>"
                   "<contact priority='1'>pres:juliet@example.com</contact></tuple></presence>");
    p[1].priority = -1;
    expect_written("sip:x", p + 1, 1,
                   HEAD("sip:x") "<tuple id='ID-'><status><basic>open</basic></status></tuple>"
                   "</presence>");
}

static void comes_back_as(const struct presence *in)
{
    struct buffer b;
    buffer_init(&b, 0);
    pidf_write(&b, TEXT("pres:juliet@example.com"), in, 1);
    assert_int_equal(read_text((struct text){b.p, b.n}), 0);
    assert_int_equal(doc.n, 1);
    struct buffer was, is;
    buffer_init(&was, 0);
    buffer_init(&is, 0);
    doc.tuple[0].facts.activities = 0; // away or busy was added for those who know no show
    assert_true(presence_pack(&was, in) && presence_pack(&is, &doc.tuple[0]));
    assert_int_equal(was.n, is.n);
    assert_memory_equal(was.p, is.p, is.n);
    buffer_free(&was);
    buffer_free(&is);
    buffer_free(&b);
}

static void odd_resources_come_back(void **state)
{
    (void)state;
    const char *const odd[] = {
        "",
        "a b/\xc3\xbc:1",
        "_",
        "_x",
        "_x0020_",
        "__x0020__",
        "_x005F_x0020_",
        "ID-",
        "ID-x",
        "1",
        "-",
        ".",
        "%41;gr=x",
        "a@b/c",
        "<>&'\"",
        "\xf0\x9f\x98\x80",
        "\xe2\x80\xa8",
        "Gajim.X_ab",
        "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "\xf4\x8f\xbf\xbd",
        "\x7f",
        "~!$()*,=?[]^`{|}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        for (int with = 0; with < 2; with++) {
            struct presence p = {.available = true, .resource = text_of(odd[i])};
            p.has_priority = with; // by the id alone, and by the GRUU
            comes_back_as(&p);
            assert_text(doc.tuple[0].resource, odd[i]);
        }
}

static void every_character_gives_an_ncname(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    for (unsigned c = 0x20; c < 0x80; c++) {
        char resource[3] = {(char)c, 'x', '\0'};
        struct presence p = {.resource = text_of(resource)};
        buffer_reset(&b);
        pidf_write(&b, TEXT("pres:a@b"), &p, 1);
        buffer_char(&b, '\0');
        const char *id = strstr(b.p, "id='") + 4;
        size_t n = strcspn(id, "'");
        assert_int_equal(
            strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"), n);
        comes_back_as(&p);
    }
    buffer_free(&b);
}

static void all_of_a_presence_comes_back(void **state)
{
    (void)state;
    struct presence p = {.available = true, .resource = TEXT("r"), .n_status = PRESENCE_STATUS_MAX};
    for (size_t i = 0; i < p.n_status; i++)
        p.status[i] = (struct presence_status){TEXT("zh-Hant-TW"), TEXT(" a\n\t<b>\r ")};
    p.has_priority = true;
    for (int v = 0; v <= 127; v++) {
        p.priority = (int8_t)v;
        p.show = (enum presence_show)(v % 5);
        comes_back_as(&p);
    }
}

// ── over the life of a thread ──

static void reads_many_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char z[512];
        snprintf(z, sizeof z, PIDF("<n%u-%0100u xmlns='urn:%u'/><tuple id='t%u'/>"), i, i, i, i);
        char want[32];
        snprintf(want, sizeof want, "t%u -\n", i);
        expect_read(z, want);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_rfc8048),
        cmocka_unit_test(reads_rfc3863),
        cmocka_unit_test(reads_rfc4480),
        cmocka_unit_test(reads_blink),
        cmocka_unit_test(takes_old_namespaces),
        cmocka_unit_test(takes_what_is_missing),
        cmocka_unit_test(passes_over_what_it_does_not_know),
        cmocka_unit_test(knows_many_shows),
        cmocka_unit_test(a_closed_tuple_has_no_show),
        cmocka_unit_test(gives_notes_their_language),
        cmocka_unit_test(keeps_so_many_notes),
        cmocka_unit_test(keeps_so_many_tuples),
        cmocka_unit_test(takes_the_resource_from_gruu_or_id),
        cmocka_unit_test(a_resource_has_so_many_bytes),
        cmocka_unit_test(merges_tuples_of_one_resource),
        cmocka_unit_test(reads_priorities),
        cmocka_unit_test(priorities_are_one_to_one),
        cmocka_unit_test(refuses_what_is_no_pidf),
        cmocka_unit_test(forgets_namespaces_of_a_broken_document),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(nesting_costs_nothing),
        cmocka_unit_test(knows_few_encodings),
        cmocka_unit_test(tells_when_the_scratch_is_too_small),
        cmocka_unit_test(writes_rfc8048),
        cmocka_unit_test(writes_all_parts_in_order),
        cmocka_unit_test(odd_resources_come_back),
        cmocka_unit_test(every_character_gives_an_ncname),
        cmocka_unit_test(all_of_a_presence_comes_back),
        cmocka_unit_test(reads_many_names),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
