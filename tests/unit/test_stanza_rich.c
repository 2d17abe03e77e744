// The rich payload inside presence stanzas: what is kept of nick, caps, photo, idle, delay, mood
// and activity, and what a SIP user sees of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/wire/pidf.h"
#include "core/wire/stanza_reader.h"

#define NOW_MS 1700000000999

static struct buffer block; // the last stanza
static struct presence seen;

static void on_stanza(void *arg, const struct stanza *s)
{
    (void)arg;
    buffer_reset(&block);
    buffer_add(&block, s, stanza_size(s)); // as another thread gets it
    stanza_presence((const struct stanza *)(const void *)block.p, TEXT("balcony"), NOW_MS, &seen);
}

static const struct presence *read_limited(const char *z, size_t stanza_bytes, size_t step)
{
    const struct stanza_reader_limits limits = {.stanza_bytes = stanza_bytes, .stanza_depth = 32};
    struct stanza_reader *r;
    size_t n = strlen(z);
    seen = (struct presence){.n_status = 99};
    assert_int_equal(stanza_reader_create(&r, &limits, on_stanza, NULL), 0);
    for (size_t i = 0; i < n; i += step)
        assert_int_equal(stanza_reader_feed(r, z + i, n - i < step ? n - i : step), 0);
    stanza_reader_destroy(r);
    assert_int_not_equal(seen.n_status, 99);
    return &seen;
}

static const struct presence *read_z(const char *z)
{
    return read_limited(z, 262144, SIZE_MAX / 2);
}

static bool is(struct text have, const char *want)
{
    return text_eq(have, text_of(want));
}

static uint32_t activity(const char *word)
{
    unsigned i;
    assert_true(presence_activity_parse(text_of(word), &i));
    return UINT32_C(1) << i;
}

static uint64_t mood(const char *word)
{
    unsigned i;
    assert_true(presence_mood_parse(text_of(word), &i));
    return UINT64_C(1) << i;
}

#define FULL                                                                                         \
    "<presence from='juliet@example.com/balcony' xml:lang='en'><show>away</show>"                    \
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/exodus'" \
    " ver='QgayPKawpkPSDYmwT/WM94uAlu0='/><status>dinner</status>"                                   \
    "<x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x>"     \
    "<idle xmlns='urn:xmpp:idle:1' since='1969-07-21T02:56:15Z'/>"                                   \
    "<delay xmlns='urn:xmpp:delay' from='juliet@example.com' stamp='2002-09-10T23:41:07Z'/>"         \
    "<nick xmlns='http://jabber.org/protocol/nick'>Juliet &amp; co</nick>"                           \
    "<mood xmlns='http://jabber.org/protocol/mood'><happy/><text>Yay, the mood spec has been "       \
    "approved!</text></mood>"                                                                        \
    "<activity xmlns='http://jabber.org/protocol/activity'><relaxing><partying/></relaxing>"         \
    "<text xml:lang='en'>My nurse's birthday!</text></activity><priority>1</priority></presence>"

static void keeps_all_that_is_known(void **state)
{
    (void)state;
    const size_t steps[] = {1, 7, 100, 5000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct presence *p = read_limited(FULL, 262144, steps[i]);
        assert_int_equal(p->show, SHOW_AWAY);
        assert_int_equal(p->n_status, 1);
        assert_true(is(p->status[0].text, "dinner"));
        assert_true(is(p->status[0].lang, "en"));
        assert_int_equal(p->priority, 1);
        assert_true(is(p->text[PRESENCE_CAPS_NODE], "http://code.google.com/p/exodus"));
        assert_true(is(p->text[PRESENCE_CAPS_VER], "QgayPKawpkPSDYmwT/WM94uAlu0="));
        assert_true(is(p->text[PRESENCE_CAPS_HASH], "sha-1"));
        assert_true(is(p->text[PRESENCE_PHOTO], "01b87fcd030b72895ff8e88db57ec525450f000d"));
        assert_true(is(p->text[PRESENCE_NICK], "Juliet & co"));
        assert_int_equal(p->facts.input, INPUT_IDLE);
        assert_int_equal(p->facts.input_ms, -14159025000);
        assert_int_equal(p->facts.said_ms, 1031701267000);
        assert_int_equal(p->facts.moods, mood("happy"));
        assert_true(is(p->text[PRESENCE_MOOD_NOTE], "Yay, the mood spec has been approved!"));
        assert_true(is(p->text[PRESENCE_ACTIVITY_OTHER], "partying"));
        assert_true(is(p->text[PRESENCE_ACTIVITY_NOTE], "My nurse's birthday!"));
    }
}

static void as_a_sip_user_sees_it(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 0);
    pidf_write(&b, TEXT("pres:juliet@example.com"), read_z(FULL), 1);
    buffer_char(&b, '\0');
    assert_string_equal(
        b.p,
        "<?xml version='1.0' encoding='UTF-8'?><presence xmlns='urn:ietf:params:xml:ns:pidf' "
        "entity='pres:juliet@example.com'><tuple id='ID-balcony'><status><basic>open</basic>"
        "<show xmlns='jabber:client'>away</show>"
        "<extended xmlns='urn:ag-projects:xml:ns:pidf'>away</extended></status>"
        "<display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'>Juliet &amp; co</display-name>"
        "<user-input xmlns='urn:ietf:params:xml:ns:pidf:rpid' last-input='1969-07-21T02:56:15Z'>"
        "idle</user-input><contact priority='0.007'>sip:juliet@example.com;gr=balcony</contact>"
        "<note xml:lang='en'>dinner</note><timestamp>2002-09-10T23:41:07Z</timestamp></tuple>"
        "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='PERSON'>"
        "<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><note>My nurse&apos;s birthday!"
        "</note><other>partying</other></activities><mood "
        "xmlns='urn:ietf:params:xml:ns:pidf:rpid'><note>Yay, the mood spec has been approved!"
        "</note><happy/></mood></person></presence>");
    buffer_free(&b);
}

#define ACTIVITY(inside)                                                                           \
    "<presence><activity xmlns='http://jabber.org/protocol/activity'>" inside                      \
    "</activity>"                                                                                  \
    "</presence>"

static void finds_the_activity_that_rpid_knows(void **state)
{
    (void)state;
    static const struct {
        const char *z, *word, *other;
    } v[] = {
        {ACTIVITY("<eating/>"), "meal", ""},
        {ACTIVITY("<eating><having_dinner/></eating>"), "dinner", ""},
        {ACTIVITY("<eating><having_a_snack/></eating>"), "meal", "having_a_snack"},
        {ACTIVITY("<inactive><sleeping/></inactive>"), "sleeping", ""},
        {ACTIVITY("<inactive/>"), "", "inactive"},
        {ACTIVITY("<working><other/></working>"), "working", ""},
        {ACTIVITY("<undefined/>"), "", ""},
        {ACTIVITY("<exercising><x xmlns='urn:x'><y/></x></exercising>"), "", "exercising"},
        {ACTIVITY("<x xmlns='urn:x'><sleeping xmlns='http://jabber.org/protocol/activity'/></x>"),
         "sleeping", ""},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        const struct presence *p = read_z(v[i].z);
        assert_int_equal(p->facts.activities, *v[i].word ? activity(v[i].word) : 0);
        assert_true(is(p->text[PRESENCE_ACTIVITY_OTHER], v[i].other));
    }
}

static void a_mood_that_rpid_lacks_stays_a_word(void **state)
{
    (void)state;
    const struct presence *p = read_z(
        "<presence><mood xmlns='http://jabber.org/protocol/mood'><amorous/></mood></presence>");
    assert_int_equal(p->facts.moods, 0);
    assert_true(is(p->text[PRESENCE_MOOD_OTHER], "amorous"));
    p = read_z(
        "<presence><mood xmlns='http://jabber.org/protocol/mood'><undefined/></mood></presence>");
    assert_true(is(p->text[PRESENCE_MOOD_OTHER], ""));
}

static void malformed_values_are_left_out_alone(void **state)
{
    (void)state;
    const struct presence *p = read_z(
        "<presence><idle xmlns='urn:xmpp:idle:1' since='yesterday'/><idle xmlns='urn:xmpp:idle:1'/>"
        "<delay xmlns='urn:xmpp:delay' stamp='20020910T23:08:25'/><delay xmlns='urn:xmpp:delay'/>"
        "<nick xmlns='http://jabber.org/protocol/nick'> \n</nick>"
        "<x xmlns='vcard-temp:x:update'><photo>no hash</photo></x>"
        "<x xmlns='vcard-temp:x:update'><photo/></x>"
        "<mood xmlns='http://jabber.org/protocol/mood'/>"
        "<activity xmlns='http://jabber.org/protocol/activity'>x</activity>"
        "<c xmlns='http://jabber.org/protocol/caps'/><idle since='1969-07-21T02:56:15Z'/>"
        "<nick>n</nick><show>dnd</show><status>s</status></presence>");
    assert_false(p->facts.has_said);
    assert_false(p->facts.has_input);
    assert_int_equal(p->facts.input, INPUT_UNKNOWN);
    assert_int_equal(p->facts.activities, 0);
    assert_int_equal(p->facts.moods, 0);
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        assert_int_equal(p->text[i].n, 0);
    assert_int_equal(p->show, SHOW_DND);
    assert_int_equal(p->n_status, 1);
}

static void a_rich_text_has_so_many_bytes(void **state)
{
    (void)state;
    static const char *const begins[] = {
        "<presence><nick xmlns='http://jabber.org/protocol/nick'>%s</nick>",
        "<presence><c xmlns='http://jabber.org/protocol/caps' ver='%s'/>",
        "<presence><x xmlns='vcard-temp:x:update'><photo>%s</photo></x>",
        "<presence><mood xmlns='http://jabber.org/protocol/mood'><text>%s</text></mood>",
        "<presence><mood xmlns='http://jabber.org/protocol/mood'><%s/></mood>",
    };
    static const enum presence_text which[] = {PRESENCE_NICK, PRESENCE_CAPS_VER, PRESENCE_PHOTO,
                                               PRESENCE_MOOD_NOTE, PRESENCE_MOOD_OTHER};
    char value[PRESENCE_TEXT_MAX + 2], z[4096];
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        for (size_t n = PRESENCE_TEXT_MAX; n <= PRESENCE_TEXT_MAX + 1; n++) {
            memset(value, 'a', n);
            value[n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            int at = snprintf(z, sizeof z, begins[i], value);
#pragma GCC diagnostic pop
            snprintf(z + at, sizeof z - (size_t)at, "<status>s</status></presence>");
            const struct presence *p = read_z(z);
            assert_int_equal(p->text[which[i]].n, n == PRESENCE_TEXT_MAX ? n : 0);
            assert_true(is(p->status[0].text, "s"));
        }
}

static void a_stanza_past_its_limit_says_nothing(void **state)
{
    (void)state;
    const struct presence *p = read_limited(FULL, strlen(FULL) - 1, SIZE_MAX / 2);
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        assert_int_equal(p->text[i].n, 0);
    assert_false(p->facts.has_said || p->facts.has_input || p->facts.moods);
    p = read_limited(FULL, strlen(FULL), SIZE_MAX / 2);
    assert_true(is(p->text[PRESENCE_NICK], "Juliet & co"));
}

static void who_left_keeps_name_and_time(void **state)
{
    (void)state;
    const struct presence *p = read_z(
        "<presence type='unavailable'><nick xmlns='http://jabber.org/protocol/nick'>J</nick>"
        "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:41:07Z'/>"
        "<idle xmlns='urn:xmpp:idle:1' since='1969-07-21T02:56:15Z'/>"
        "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v'/></presence>");
    assert_true(is(p->text[PRESENCE_NICK], "J"));
    assert_true(is(p->text[PRESENCE_CAPS_NODE], ""));
    assert_int_equal(p->facts.input, INPUT_UNKNOWN);
    assert_int_equal(p->facts.said_ms, 1031701267000);
}

static void passes_over_what_pidf_cannot_say(void **state)
{
    (void)state;
    const struct presence *p = read_z(
        "<presence><geoloc xmlns='http://jabber.org/protocol/geoloc'><text>Verona</text></geoloc>"
        "<tune xmlns='http://jabber.org/protocol/tune'><title>Heart of the Sunrise</title></tune>"
        "<c xmlns='http://jabber.org/protocol/caps' ext='cs ep'/><delay xmlns='urn:xmpp:delay' "
        "from='capulet.com'>Offline Storage</delay><status>s</status></presence>");
    for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
        assert_int_equal(p->text[i].n, 0);
    assert_false(p->facts.has_said);
    assert_int_equal(p->n_status, 1);
}

static void other_kinds_of_stanza_have_none(void **state)
{
    (void)state;
    const struct presence *p =
        read_z("<message><nick xmlns='http://jabber.org/protocol/nick'>J</nick></message>");
    assert_int_equal(p->text[PRESENCE_NICK].n, 0);
}

static int group_end(void **state)
{
    (void)state;
    buffer_free(&block);
    return 0;
}

#define LAST(inside, seconds)                                                                      \
    "<presence>" inside "<query xmlns='jabber:iq:last' seconds='" seconds "'/></presence>"
#define SINCE(stamp) "<idle xmlns='urn:xmpp:idle:1' since='" stamp "'/>"

// XEP-0256 §2.2, §2.1.
static void who_is_away_says_for_how_long(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        int64_t since_ms; // 0: not idle
    } ROWS[] = {
        {LAST("<show>away</show>", "600"), 1700000000000 - 600000},
        {LAST("<show>xa</show>", "1"), 1700000000000 - 1000},
        {LAST("<show>away</show><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:00:00.5Z'/>",
              "60"),
         1699999140000},
        {LAST("<show>away</show>" SINCE("2023-11-14T22:00:00Z"), "600"), 1699999200000},
        {LAST("", "86511"), 0}, // when he was online before
        {LAST("<show>dnd</show>", "600"), 0},
        {LAST("<show>away</show>", "0"), 0},
        {LAST("<show>away</show>", "-1"), 0},
        {LAST("<show>away</show>", "632448000"), 1700000000000 - 632448000000},
        {LAST("<show>away</show>", "632448001"), 0},
        {LAST("<show>away</show>", ""), 0},
        {"<presence><show>away</show><query seconds='600'/></presence>", 0},
        {"<presence type='unavailable'><show>away</show>"
         "<query xmlns='jabber:iq:last' seconds='600'/></presence>",
         0},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct presence_facts *f = &read_z(ROWS[i].said)->facts;
        print_message("    %s\n", ROWS[i].said);
        assert_int_equal(f->input, ROWS[i].since_ms ? INPUT_IDLE : INPUT_UNKNOWN);
        assert_int_equal(f->has_input, ROWS[i].since_ms != 0);
        assert_int_equal(f->input_ms, ROWS[i].since_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_all_that_is_known),
        cmocka_unit_test(as_a_sip_user_sees_it),
        cmocka_unit_test(finds_the_activity_that_rpid_knows),
        cmocka_unit_test(a_mood_that_rpid_lacks_stays_a_word),
        cmocka_unit_test(malformed_values_are_left_out_alone),
        cmocka_unit_test(a_rich_text_has_so_many_bytes),
        cmocka_unit_test(a_stanza_past_its_limit_says_nothing),
        cmocka_unit_test(who_left_keeps_name_and_time),
        cmocka_unit_test(passes_over_what_pidf_cannot_say),
        cmocka_unit_test(other_kinds_of_stanza_have_none),
        cmocka_unit_test(who_is_away_says_for_how_long),
    };
    return cmocka_run_group_tests(tests, NULL, group_end);
}
