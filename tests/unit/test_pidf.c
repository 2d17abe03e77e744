// Reading PIDF: the documents of the RFCs and of real clients, and what is refused.
#include "tests/unit/pidf_fixture.h"

static int read_z(const char *z)
{
    return read_text(text_of(z));
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
        cmocka_unit_test(refuses_what_is_no_pidf),
        cmocka_unit_test(forgets_namespaces_of_a_broken_document),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(nesting_costs_nothing),
        cmocka_unit_test(knows_few_encodings),
        cmocka_unit_test(tells_when_the_scratch_is_too_small),
        cmocka_unit_test(reads_many_names),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
