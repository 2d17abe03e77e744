// Writing PIDF: the documents of the RFCs, and what is written comes back as it was.
#include "tests/unit/pidf_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_are_one_to_one),
        cmocka_unit_test(writes_rfc8048),
        cmocka_unit_test(writes_all_parts_in_order),
        cmocka_unit_test(odd_resources_come_back),
        cmocka_unit_test(every_character_gives_an_ncname),
        cmocka_unit_test(all_of_a_presence_comes_back),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
