// The rich payload of PIDF on its way out: RPID, data model, capabilities and Blink's own, and back
// again.
#include "tests/unit/pidf_rich_fixture.h"

#define DOCUMENT(inside)                                                                           \
    "<?xml version='1.0' encoding='UTF-8'?><presence xmlns='urn:ietf:params:xml:ns:pidf' "         \
    "entity='pres:a@b'>" inside "</presence>"
#define WRITTEN_PERSON(inside)                                                                     \
    "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='PERSON'>" inside "</person>"
#define RPID(name) "<" name " xmlns='urn:ietf:params:xml:ns:pidf:rpid'"

static void expect_written(const struct presence *p, size_t n, const char *want)
{
    struct buffer b;
    buffer_init(&b, 0);
    pidf_write(&b, TEXT("pres:a@b"), p, n);
    buffer_char(&b, '\0');
    assert_string_equal(b.p, want);
    buffer_free(&b);
}

static struct presence rich(void)
{
    struct presence p = {.available = true, .show = SHOW_XA, .n_status = 1};
    p.status[0].text = TEXT("n");
    p.has_priority = true;
    p.facts = (struct presence_facts){.activities = activity("lunch") | activity("tv"),
                                      .moods = mood("happy"),
                                      .has_said = true,
                                      .said_ms = 1348224837802,
                                      .input = INPUT_IDLE,
                                      .idle_threshold_s = 300,
                                      .has_input = true,
                                      .input_ms = -14159025000};
    p.text[PRESENCE_NICK] = TEXT("<Juliet>");
    p.text[PRESENCE_ACTIVITY_NOTE] = TEXT("an");
    p.text[PRESENCE_ACTIVITY_OTHER] = TEXT("ao");
    p.text[PRESENCE_MOOD_NOTE] = TEXT("mn");
    p.text[PRESENCE_MOOD_OTHER] = TEXT("mo");
    return p;
}

static void writes_all_rich_parts_in_order(void **state)
{
    (void)state;
    struct presence p = rich();
    expect_written(
        &p, 1,
        DOCUMENT(
            "<tuple id='ID-'><status><basic>open</basic><show xmlns='jabber:client'>xa</show>"
            "<extended xmlns='urn:ag-projects:xml:ns:pidf'>extended-away</extended></status>"
            "<display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'>&lt;Juliet&gt;"
            "</display-name>" RPID(
                "user-input") " idle-threshold='300' "
                              "last-input='1969-07-21T02:56:15Z'>idle</user-input><contact priority='0'>pres:a@b"
                              "</contact><note>n</note><timestamp>2012-09-21T10:53:57.802Z</timestamp></tuple>" WRITTEN_PERSON(
                                  RPID("activities") "><note>an</note><meal/><tv/><other>ao</other></activities>" RPID(
                                      "mood") "><note>mn</note><happy/><other>mo</other></mood>")));
    p.facts.moods = 0;
    p.facts.activities = 0;
    p.text[PRESENCE_MOOD_OTHER] = p.text[PRESENCE_ACTIVITY_OTHER] = TEXT("");
    p.facts.has_said = p.facts.has_input = p.has_priority = false;
    p.facts.idle_threshold_s = 0;
    p.n_status = 0;
    p.show = SHOW_NONE;
    p.text[PRESENCE_NICK] = TEXT("");
    p.facts.input = INPUT_ACTIVE;
    expect_written(
        &p, 1,
        DOCUMENT("<tuple id='ID-'>" OPEN RPID(
            "user-input") ">active</user-input>"
                          "</tuple>" WRITTEN_PERSON(
                              RPID("activities") "><note>an</note>"
                                                 "</activities>" RPID(
                                                     "mood") "><note>mn</note><unknown/></mood>")));
}

static void plain_presence_stays_plain(void **state)
{
    (void)state;
    struct presence p = {.available = true, .resource = TEXT("balcony")};
    expect_written(&p, 1, DOCUMENT("<tuple id='ID-balcony'>" OPEN "</tuple>"));
}

static void blink_is_told_every_show(void **state)
{
    (void)state;
    static const char *const words[] = {"", "available", "away", "extended-away", "busy"};
    for (unsigned i = SHOW_CHAT; i <= SHOW_DND; i++) {
        struct presence p = {.available = true, .show = (enum presence_show)i};
        struct buffer b;
        char want[128];
        buffer_init(&b, 0);
        pidf_write(&b, TEXT("pres:a@b"), &p, 1);
        buffer_char(&b, '\0');
        snprintf(want, sizeof want, "<extended xmlns='urn:ag-projects:xml:ns:pidf'>%s</extended>",
                 words[i]);
        assert_non_null(strstr(b.p, want));
        buffer_free(&b);
    }
}

// "-": nothing is said of the person.
static void expect_activity(enum presence_show first, enum presence_show second, const char *want)
{
    struct presence p[3] = {
        {.available = true, .resource = TEXT("1"), .show = first, .has_priority = true},
        {.available = true, .resource = TEXT("2"), .show = second, .has_priority = true},
        {.resource = TEXT("gone")}};
    char z[128];
    struct buffer b;
    p[1].priority = 1;
    buffer_init(&b, 0);
    pidf_write(&b, TEXT("pres:a@b"), p, 3);
    buffer_char(&b, '\0');
    snprintf(z, sizeof z, "<%s/></activities></person></presence>", want);
    assert_int_equal(strstr(b.p, "<person") != NULL, *want != '-');
    assert_true(*want == '-' || strstr(b.p, z));
    // And read back each device is as it was.
    assert_int_equal(pidf_read(reader, &doc, (struct text){b.p, b.n - 1}, TEXT(""), &scratch), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(doc.tuple[i].show, p[i].show);
    buffer_free(&b);
}

static void the_person_is_away_when_all_devices_are(void **state)
{
    (void)state;
    expect_activity(SHOW_AWAY, SHOW_XA, "away");
    expect_activity(SHOW_DND, SHOW_AWAY, "away"); // the second has the higher priority
    expect_activity(SHOW_AWAY, SHOW_DND, "busy");
    expect_activity(SHOW_NONE, SHOW_DND, "-");
    expect_activity(SHOW_DND, SHOW_CHAT, "-");
    expect_activity(SHOW_NONE, SHOW_NONE, "-");
}

static void who_left_says_when_only(void **state)
{
    (void)state;
    struct presence p = rich();
    p.available = false;
    expect_written(&p, 1,
                   DOCUMENT("<tuple id='ID-'><status><basic>closed</basic></status><note>n</note>"
                            "<timestamp>2012-09-21T10:53:57.802Z</timestamp></tuple>"));
}

static void all_that_xmpp_says_comes_back(void **state)
{
    (void)state;
    struct presence p = rich();
    struct buffer b, was, is_;
    p.facts.activities = activity("tv") | activity("worship");
    p.facts.moods = mood("in_love") | mood("worried") | mood("afraid");
    buffer_init(&b, 0);
    buffer_init(&was, 0);
    buffer_init(&is_, 0);
    pidf_write(&b, TEXT("pres:a@b"), &p, 1);
    assert_int_equal(pidf_read(reader, &doc, (struct text){b.p, b.n}, TEXT(""), &scratch), 0);
    assert_true(presence_pack(&was, &p) && presence_pack(&is_, &doc.tuple[0]));
    assert_int_equal(was.n, is_.n);
    assert_memory_equal(was.p, is_.p, is_.n);
    buffer_free(&b);
    buffer_free(&was);
    buffer_free(&is_);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_all_rich_parts_in_order),
        cmocka_unit_test(plain_presence_stays_plain),
        cmocka_unit_test(blink_is_told_every_show),
        cmocka_unit_test(the_person_is_away_when_all_devices_are),
        cmocka_unit_test(who_left_says_when_only),
        cmocka_unit_test(all_that_xmpp_says_comes_back),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
