// The rich payload of PIDF as it comes in: RPID, CIPID, data model, capabilities and Blink's own.
#include "tests/unit/pidf_rich_fixture.h"

// The first tuple of a document with that inside.
static const struct presence *read_z(const char *z)
{
    assert_int_equal(pidf_read(reader, &doc, text_of(z), TEXT(""), &scratch), 0);
    assert_true(doc.n > 0);
    return &doc.tuple[0];
}

static bool is(struct text have, const char *want)
{
    return text_eq(have, text_of(want));
}

static uint16_t service(unsigned i)
{
    return (uint16_t)(1u << i);
}

// What an XMPP user is shown of it.
static void expect_shown(const struct presence *p, uint64_t now_ms, const char *want)
{
    struct buffer b;
    buffer_init(&b, 0);
    stanza_write_notification(&b, TEXT("a@b"), TEXT("c@d"), p, (struct text){0}, now_ms);
    buffer_char(&b, '\0');
    assert_string_equal(b.p, want);
    buffer_free(&b);
}

static void blink_loses_nothing(void **state)
{
    (void)state;
    const struct presence *p = read_z(BLINK);
    assert_true(is(p->text[PRESENCE_NICK], "Adrian Georgescu"));
    assert_true(is(p->text[PRESENCE_MAP], "Netherlands/Haarlem"));
    assert_true(is(p->text[PRESENCE_ICON],
                   "https://xcap.test.sipthor.net/xcap-root/org.openmobilealliance.pres-content/"
                   "users/sip:ag@test.sip2sip.info/oma_status-icon/index"));
    assert_true(is(p->text[PRESENCE_HOMEPAGE], "http://georgescu.info"));
    assert_true(is(p->text[PRESENCE_DEVICE_ID], "f4649f87-1aa3-44ec-ab49-d0464528d706"));
    assert_true(is(p->text[PRESENCE_DEVICE], "imac3-2"));
    assert_true(is(p->text[PRESENCE_USER_AGENT], "Blink Pro 2.0.0 (MacOSX)"));
    assert_true(p->facts.has_utc_offset);
    assert_int_equal(p->facts.utc_offset_min, 120);
    assert_int_equal(p->facts.services, service(SERVICE_AUDIO) | service(SERVICE_MESSAGE) |
                                            service(SERVICE_TEXT) | service(SERVICE_FILE_TRANSFER) |
                                            service(SERVICE_SCREEN_SHARING));
    assert_int_equal(p->facts.no_services, 0);
    assert_int_equal(p->facts.input, INPUT_ACTIVE);
    assert_int_equal(p->facts.idle_threshold_s, 600);
    assert_false(p->facts.has_input);
    assert_true(p->facts.has_said);
    assert_int_equal(p->facts.said_ms, 1348224837802);
}

#define BLINK_SHOWN                                                                                \
    "<presence from='a@b/SID-f4649f87-1aa3-44ec-ab49-d0464528d706' to='c@d'><show>away</show>"     \
    "<nick xmlns='http://jabber.org/protocol/nick'>Adrian Georgescu</nick>"

static void blink_as_an_xmpp_user_sees_it(void **state)
{
    (void)state;
    const struct presence *p = read_z(BLINK);
    expect_shown(p, 1348224838000, BLINK_SHOWN "</presence>");
    expect_shown(p, 1348224837802 + PRESENCE_FRESH_MS - 1, BLINK_SHOWN "</presence>");
    expect_shown(p, 1348224837802 + PRESENCE_FRESH_MS,
                 BLINK_SHOWN
                 "<delay xmlns='urn:xmpp:delay' stamp='2012-09-21T10:53:57.802Z'/>"
                 "</presence>");
}

static void a_time_to_come_is_no_delay(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(TUPLE("<timestamp>2012-09-21T10:53:57Z</timestamp>")));
    expect_shown(p, 0, "<presence from='a@b/t' to='c@d'/>");
}

static void reads_the_example_of_rpid(void **state)
{
    (void)state;
    const struct presence *p = read_z(RFC4480_EXAMPLE);
    assert_int_equal(p->facts.activities, activity("away"));
    assert_true(is(p->text[PRESENCE_ACTIVITY_NOTE], "Far away"));
    assert_int_equal(p->facts.moods, mood("angry"));
    assert_true(is(p->text[PRESENCE_MOOD_OTHER], "brooding"));
    assert_true(is(p->text[PRESENCE_PLACE], "residence"));
    assert_int_equal(p->facts.utc_offset_min, -240);
    assert_int_equal(p->facts.input, INPUT_IDLE); // its device's
    assert_int_equal(p->facts.input_ms, 1098382800000);
    assert_true(is(p->text[PRESENCE_DEVICE], "PC"));
    assert_true(is(p->text[PRESENCE_ICON], "http://example.com/play.gif"));
    assert_int_equal(doc.tuple[1].facts.input, INPUT_UNKNOWN); // names no device
    assert_int_equal(doc.tuple[2].facts.input, INPUT_UNKNOWN); // names another one
    assert_true(is(doc.tuple[2].text[PRESENCE_ICON], "http://example.com/mail.png"));
}

static void reads_activities(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(TUPLE("") PERSON(
        "<r:activities><r:note>Enjoying the morning paper</r:note><r:vacation/><r:breakfast/>"
        "<r:unknown/><r:nonsense/><r:other>reading</r:other></r:activities>")));
    assert_int_equal(p->facts.activities, activity("vacation") | activity("breakfast"));
    assert_true(is(p->text[PRESENCE_ACTIVITY_NOTE], "Enjoying the morning paper"));
    assert_true(is(p->text[PRESENCE_ACTIVITY_OTHER], "reading"));
    assert_int_equal(p->show, SHOW_NONE);
    p = read_z(PIDF(TUPLE("") PERSON("<r:activities><x:golf xmlns:x='urn:x'/></r:activities>")));
    assert_true(is(p->text[PRESENCE_ACTIVITY_OTHER], "golf"));
    // One of several times: the first.
    p = read_z(PIDF(TUPLE("") PERSON(
        "<r:activities><r:tv/></r:activities>"
        "<r:activities><r:meal/><r:note>n</r:note><r:other>o</r:other></r:activities>")));
    assert_int_equal(p->facts.activities, activity("tv"));
    assert_true(is(p->text[PRESENCE_ACTIVITY_NOTE], ""));
    // A tuple's own are not mixed with the person's.
    p = read_z(PIDF(TUPLE("<r:activities><r:tv/></r:activities>")
                        PERSON("<r:activities><r:note>n</r:note><r:meal/></r:activities>")));
    assert_int_equal(p->facts.activities, activity("tv"));
    assert_true(is(p->text[PRESENCE_ACTIVITY_NOTE], ""));
}

static void reads_moods(void **state)
{
    (void)state;
    const struct presence *p = read_z(
        PIDF(TUPLE("") PERSON("<r:mood><r:note>I'm ready for the bar BOF!</r:note><r:sleepy/>"
                              "<r:thirsty/><r:nonsense/></r:mood>")));
    assert_int_equal(p->facts.moods, mood("sleepy") | mood("thirsty"));
    assert_true(is(p->text[PRESENCE_MOOD_NOTE], "I'm ready for the bar BOF!"));
    p = read_z(PIDF(TUPLE("<r:mood><r:sad/></r:mood>") PERSON("<r:mood><r:happy/></r:mood>")));
    assert_int_equal(p->facts.moods, mood("sad"));
}

static void reads_places(void **state)
{
    (void)state;
    const struct presence *p =
        read_z(PIDF(TUPLE("") PERSON("<r:place-type><r:note>n</r:note><l:cafe/></r:place-type>")));
    assert_true(is(p->text[PRESENCE_PLACE], "cafe"));
    p = read_z(PIDF(TUPLE("") PERSON("<r:place-type><r:other> my tree </r:other></r:place-type>")));
    assert_true(is(p->text[PRESENCE_PLACE], "my tree"));
    p = read_z(PIDF(TUPLE("") PERSON("<r:place-type><r:unknown/></r:place-type>")));
    assert_true(is(p->text[PRESENCE_PLACE], ""));
}

static void reads_user_input(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(
        TUPLE("<r:user-input idle-threshold='600' last-input='2004-10-21T13:20:00.000-05:00'>idle"
              "</r:user-input>") PERSON("<r:user-input>active</r:user-input>")));
    assert_int_equal(p->facts.input, INPUT_IDLE);
    assert_int_equal(p->facts.idle_threshold_s, 600);
    assert_int_equal(p->facts.input_ms, 1098382800000);
    expect_shown(p, 0,
                 "<presence from='a@b/t' to='c@d'><idle xmlns='urn:xmpp:idle:1' "
                 "since='2004-10-21T18:20:00Z'/></presence>");
    p = read_z(PIDF(TUPLE("") PERSON("<r:user-input>idle</r:user-input>")));
    assert_int_equal(p->facts.input, INPUT_IDLE);
    expect_shown(p, 0, "<presence from='a@b/t' to='c@d'/>"); // since when is his secret
    p = read_z(
        PIDF(TUPLE("<r:user-input last-input='2004-10-21T18:20:00Z'>active</r:user-input>")));
    expect_shown(p, 0, "<presence from='a@b/t' to='c@d'/>");
}

static void reads_cipid(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(TUPLE("<c:display-name>Romeo</c:display-name>") PERSON(
        "<c:display-name>Alice Lewis</c:display-name><c:homepage>"
        "http://example.com/~alice</c:homepage><c:icon>http://example.com/me.png"
        "</c:icon><c:map>http://example.com/gml-map.xml</c:map>"
        "<r:status-icon>http://example.com/status.png</r:status-icon>")));
    assert_true(is(p->text[PRESENCE_NICK], "Romeo"));
    assert_true(is(p->text[PRESENCE_HOMEPAGE], "http://example.com/~alice"));
    assert_true(is(p->text[PRESENCE_ICON], "http://example.com/me.png"));
    assert_true(is(p->text[PRESENCE_MAP], "http://example.com/gml-map.xml"));
}

static void expect_homepage(const char *written, const char *want)
{
    char z[2048];
    snprintf(z, sizeof z, PIDF(TUPLE("<c:homepage>%s</c:homepage>")), written);
    const struct presence *p = read_z(z);
    assert_true(is(p->text[PRESENCE_HOMEPAGE], want));
}

static void decodes_what_becomes_a_uri(void **state)
{
    (void)state;
    expect_homepage("http%3A//georgescu.info", "http://georgescu.info");
    expect_homepage("http%3A//a/b%2520c", "http://a/b%20c"); // quoted once more
    expect_homepage("http://a/b%20c", "http://a/b%20c");     // is one already
    expect_homepage("Haarlem%20Noord", "Haarlem%20Noord");   // would be none
    expect_homepage("http%3A//a/b%20c", "http%3A//a/b%20c"); // ditto
    expect_homepage("a%3Ab%00", "a%3Ab%00");
    expect_homepage("a%3Ab%ff", "a%3Ab%ff");
    expect_homepage("1%3Ab", "1%3Ab");
    expect_homepage("%", "%");
}

static void reads_capabilities(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(
        TUPLE("<k:servcaps><k:audio>1</k:audio><k:video> false </k:video><k:text>perhaps</k:text>"
              "<k:message>true</k:message><k:isfocus>0</k:isfocus><k:automata>true</k:automata>"
              "<k:methods><k:supported><k:MESSAGE/></k:supported></k:methods>"
              "<k:screen-sharing>true</k:screen-sharing><bc:file-transfer>false</bc:file-transfer>"
              "</k:servcaps>")));
    assert_int_equal(p->facts.services,
                     service(SERVICE_AUDIO) | service(SERVICE_MESSAGE) | service(SERVICE_AUTOMATA));
    assert_int_equal(p->facts.no_services, service(SERVICE_VIDEO) | service(SERVICE_ISFOCUS) |
                                               service(SERVICE_FILE_TRANSFER));
}

static void reads_each_capability(void **state)
{
    (void)state;
    static const char *const names[SERVICE_COUNT] = {
        "k:audio",   "k:application", "k:data",    "k:control",        "k:video",          "k:text",
        "k:message", "k:automata",    "k:isfocus", "bc:file-transfer", "bc:screen-sharing"};
    for (unsigned i = 0; i < SERVICE_COUNT; i++)
        for (int yes = 0; yes < 2; yes++) {
            char z[1024];
            snprintf(z, sizeof z, PIDF(TUPLE("<k:servcaps><%s>%s</%s></k:servcaps>")), names[i],
                     yes ? "true" : "false", names[i]);
            const struct presence *p = read_z(z);
            assert_int_equal(yes ? p->facts.services : p->facts.no_services, service(i));
            assert_int_equal(yes ? p->facts.no_services : p->facts.services, 0);
        }
}

static void joins_tuples_with_their_device(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(TUPLE(
        "<d:deviceID>urn:device:1</d:deviceID>") "<tuple id='u'>" OPEN "</tuple>"
                                                 "<d:device id='d0'><r:user-input>active</r:user-input><d:deviceID>urn:device:0"
                                                 "</d:deviceID></d:device><d:device id='d1'><r:user-input>idle</r:user-input>"
                                                 "<d:deviceID>urn:device:1</d:deviceID><d:note>PC</d:note><d:timestamp>"
                                                 "2004-10-21T18:20:00Z</d:timestamp></d:device>" PERSON(
                                                     "<r:user-input>active</r:user-input>")));
    assert_int_equal(p->facts.input, INPUT_IDLE);
    assert_true(is(p->text[PRESENCE_DEVICE], "PC"));
    assert_false(p->facts.has_said); // of the device, not of the tuple
    assert_int_equal(doc.tuple[1].facts.input, INPUT_ACTIVE);
}

static void keeps_so_many_devices(void **state)
{
    (void)state;
    for (unsigned n = PIDF_DEVICES_MAX; n <= PIDF_DEVICES_MAX + 1; n++) {
        struct buffer z;
        buffer_init(&z, 0);
        buffer_lit(&z, "<presence xmlns='urn:ietf:params:xml:ns:pidf'><tuple id='t'>" OPEN
                       "<deviceID xmlns='urn:ietf:params:xml:ns:pidf:data-model'>last</deviceID>"
                       "</tuple>");
        for (unsigned i = 1; i <= n; i++) {
            buffer_lit(&z, "<device xmlns='urn:ietf:params:xml:ns:pidf:data-model'><deviceID>");
            buffer_text(&z, i == n ? TEXT("last") : TEXT("other"));
            buffer_lit(&z, "</deviceID><note>PC</note></device>");
        }
        buffer_lit(&z, "</presence>");
        assert_int_equal(pidf_read(reader, &doc, (struct text){z.p, z.n}, TEXT(""), &scratch), 0);
        assert_true(is(doc.tuple[0].text[PRESENCE_DEVICE], n == PIDF_DEVICES_MAX ? "PC" : ""));
        buffer_free(&z);
    }
}

static void a_rich_text_has_so_many_bytes(void **state)
{
    (void)state;
    static const char *const around[] = {
        "<c:display-name>%s</c:display-name>",
        "<c:homepage>%s</c:homepage>",
        "<r:status-icon>%s</r:status-icon>",
        "<b:device-info id='%s'/>",
        "<r:activities><r:other>%s</r:other></r:activities>",
        "<r:mood><x:%s xmlns:x='urn:x'/></r:mood>",
    };
    static const enum presence_text which[] = {PRESENCE_NICK,           PRESENCE_HOMEPAGE,
                                               PRESENCE_ICON,           PRESENCE_DEVICE_ID,
                                               PRESENCE_ACTIVITY_OTHER, PRESENCE_MOOD_OTHER};
    char value[PRESENCE_TEXT_MAX + 2], inside[2048], z[4096];
    for (size_t i = 0; i < sizeof around / sizeof *around; i++)
        for (size_t n = PRESENCE_TEXT_MAX; n <= PRESENCE_TEXT_MAX + 1; n++) {
            memset(value, 'x', n);
            value[n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(inside, sizeof inside, around[i], value);
#pragma GCC diagnostic pop
            snprintf(z, sizeof z, PIDF(TUPLE("%s<note>n</note>")), inside);
            const struct presence *p = read_z(z);
            assert_int_equal(p->text[which[i]].n, n == PRESENCE_TEXT_MAX ? n : 0);
            assert_int_equal(p->n_status, 1);
        }
}

static void malformed_values_are_left_out_alone(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(TUPLE(
        "<c:display-name> \n</c:display-name><r:user-input idle-threshold='-1' last-input='once'>"
        "idle</r:user-input><r:user-input>asleep</r:user-input><r:time-offset>1441</r:time-offset>"
        "<r:time-offset>far</r:time-offset><b:device-info><b:time-offset>-1440</b:time-offset>"
        "</b:device-info><k:servcaps><k:audio>yes</k:audio></k:servcaps><r:activities/>"
        "<r:mood>glad</r:mood><r:place-type/><c:homepage/><d:deviceID/>"
        "<contact priority='0.5'>sip:a@b</contact><note>n</note><timestamp>noon</timestamp>")));
    assert_int_equal(p->facts.input, INPUT_IDLE);
    assert_int_equal(p->facts.idle_threshold_s, 0);
    assert_false(p->facts.has_input);
    assert_int_equal(p->facts.utc_offset_min, -1440);
    assert_int_equal(p->facts.services | p->facts.no_services, 0);
    assert_false(p->facts.has_said);
    assert_int_equal(p->facts.activities, 0);
    assert_int_equal(p->facts.moods, 0);
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        assert_int_equal(p->text[i].n, 0);
    assert_int_equal(p->n_status, 1);
    assert_int_equal(p->priority, 64);
}

static void who_is_away_has_a_name_only(void **state)
{
    (void)state;
    const struct presence *p = read_z(PIDF(
        "<tuple id='t'><status><basic>closed</basic></status><c:display-name>Romeo</c:display-name>"
        "<r:user-input>idle</r:user-input><timestamp>2012-09-21T10:53:57Z</timestamp></tuple>" PERSON(
            "<r:activities><r:sleeping/></r:activities>")));
    assert_int_equal(p->facts.activities, 0);
    assert_int_equal(p->facts.input, INPUT_UNKNOWN);
    assert_true(is(p->text[PRESENCE_NICK], "Romeo"));
    expect_shown(p, 1400000000000,
                 "<presence from='a@b/t' to='c@d' type='unavailable'>"
                 "<delay xmlns='urn:xmpp:delay' stamp='2012-09-21T10:53:57Z'/></presence>");
}

static void passes_over_what_xmpp_cannot_say(void **state)
{
    (void)state;
    const struct presence *p = read_z(
        PIDF(TUPLE("<r:class>c</r:class><r:privacy><r:audio/></r:privacy><r:relationship><r:self/>"
                   "</r:relationship><r:service-class><r:electronic/></r:service-class>"
                   "<k:devcaps><k:description>x</k:description></k:devcaps>"
                   "<c:card>http://a/card</c:card><c:sound>http://a/sound</c:sound><note>n</note>")
                 PERSON("<r:sphere><r:work/></r:sphere><r:place-is><r:audio><r:noisy/></r:audio>"
                        "</r:place-is>")));
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        assert_int_equal(p->text[i].n, 0);
    expect_shown(p, 0, "<presence from='a@b/t' to='c@d'><status>n</status></presence>");
}

static void activity_or_mood_stands_in_for_a_status(void **state)
{
    (void)state;
    expect_shown(read_z(PIDF(TUPLE("") PERSON("<r:mood><r:note>glad</r:note></r:mood>"))), 0,
                 "<presence from='a@b/t' to='c@d'><status>glad</status></presence>");
    expect_shown(read_z(PIDF(TUPLE("") PERSON("<r:activities><r:tv/><r:other>zapping</r:other>"
                                              "</r:activities><r:mood><r:note>glad</r:note>"
                                              "</r:mood>"))),
                 0, "<presence from='a@b/t' to='c@d'><status>zapping</status></presence>");
    expect_shown(
        read_z(PIDF(TUPLE("<note>n</note>") PERSON("<r:mood><r:note>glad</r:note></r:mood>"))), 0,
        "<presence from='a@b/t' to='c@d'><status>n</status></presence>");
}

static void tells_when_the_scratch_is_too_small(void **state)
{
    (void)state;
    struct buffer all, small;
    buffer_init(&all, 0);
    assert_int_equal(pidf_read(reader, &doc, text_of(BLINK), TEXT("en"), &all), 0);
    for (size_t limit = 1; limit < all.n; limit += 7) {
        buffer_init(&small, limit);
        assert_int_not_equal(pidf_read(reader, &doc, text_of(BLINK), TEXT("en"), &small), 0);
        buffer_free(&small);
    }
    buffer_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blink_loses_nothing),
        cmocka_unit_test(blink_as_an_xmpp_user_sees_it),
        cmocka_unit_test(a_time_to_come_is_no_delay),
        cmocka_unit_test(reads_the_example_of_rpid),
        cmocka_unit_test(reads_activities),
        cmocka_unit_test(reads_moods),
        cmocka_unit_test(reads_places),
        cmocka_unit_test(reads_user_input),
        cmocka_unit_test(reads_cipid),
        cmocka_unit_test(decodes_what_becomes_a_uri),
        cmocka_unit_test(reads_capabilities),
        cmocka_unit_test(reads_each_capability),
        cmocka_unit_test(joins_tuples_with_their_device),
        cmocka_unit_test(keeps_so_many_devices),
        cmocka_unit_test(a_rich_text_has_so_many_bytes),
        cmocka_unit_test(malformed_values_are_left_out_alone),
        cmocka_unit_test(who_is_away_has_a_name_only),
        cmocka_unit_test(passes_over_what_xmpp_cannot_say),
        cmocka_unit_test(activity_or_mood_stands_in_for_a_status),
        cmocka_unit_test(tells_when_the_scratch_is_too_small),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
