// Personal events: those that are written, those that are read, and what of them survives both.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/wire/stanza_pep.h"
#include "core/wire/stanza_reader.h"

#define MOOD     "http://jabber.org/protocol/mood"
#define ACTIVITY "http://jabber.org/protocol/activity"
#define EVENT(inside)                                                                              \
    "<message from='juliet@example.com' to='romeo@example.net/o' type='headline'>"                 \
    "<event xmlns='http://jabber.org/protocol/pubsub#event'>" inside "</event></message>"
#define ITEM(node, payload) "<items node='" node "'><item id='1'>" payload "</item></items>"

static struct buffer out;

static void expect(const char *want)
{
    buffer_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.p, want);
    buffer_reset(&out);
}

// ---- Writing

static struct presence doing(const char *word)
{
    struct presence p = {.available = true};
    unsigned i;
    assert_true(presence_activity_parse(text_of(word), &i));
    p.facts.activities = UINT32_C(1) << i;
    return p;
}

// The rows of XEP-0108 §4 that name a word of XMPP, and those that were chosen here for words that
// it leaves out; NULL: XMPP says it by presence.
static const struct {
    const char *rpid, *xmpp;
} ACTIVITIES[] = {
    {"appointment", "<having_appointment/>"},
    {"away", NULL},
    {"breakfast", "<eating><having_breakfast/></eating>"},
    {"busy", NULL},
    {"dinner", "<eating><having_dinner/></eating>"},
    {"holiday", "<inactive><scheduled_holiday/></inactive>"},
    {"in-transit", "<traveling/>"},
    {"looking-for-work", "<undefined><other/></undefined><text>looking-for-work</text>"},
    {"lunch", "<eating><having_lunch/></eating>"},
    {"meal", "<eating/>"},
    {"meeting", "<working><in_a_meeting/></working>"},
    {"on-the-phone", "<talking><on_the_phone/></talking>"},
    {"performance", "<undefined><other/></undefined><text>performance</text>"},
    {"permanent-absence", NULL},
    {"playing", "<relaxing/>"},
    {"presentation", "<having_appointment/>"},
    {"shopping", "<relaxing><shopping/></relaxing>"},
    {"sleeping", "<inactive><sleeping/></inactive>"},
    {"spectator", "<relaxing/>"},
    {"steering", "<traveling><driving/></traveling>"},
    {"travel", "<traveling><on_a_trip/></traveling>"},
    {"tv", "<relaxing><watching_tv/></relaxing>"},
    {"vacation", "<inactive><on_vacation/></inactive>"},
    {"working", "<working/>"},
    {"worship", "<inactive><praying/></inactive>"},
};

static void each_activity_has_its_words(void **state)
{
    (void)state;
    assert_int_equal(sizeof ACTIVITIES / sizeof *ACTIVITIES, PRESENCE_ACTIVITIES);
    for (unsigned i = 0; i < PRESENCE_ACTIVITIES; i++) {
        char want[256] = "";
        struct presence p = doing(ACTIVITIES[i].rpid);
        if (ACTIVITIES[i].xmpp)
            snprintf(want, sizeof want, "<activity xmlns='" ACTIVITY "'>%s</activity>",
                     ACTIVITIES[i].xmpp);
        stanza_pep_payload(&out, PEP_ACTIVITY, &p);
        expect(want);
    }
}

static void each_mood_is_a_mood(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PRESENCE_MOODS; i++) {
        char want[256];
        struct presence p = {.facts.moods = UINT64_C(1) << i};
        snprintf(want, sizeof want, "<mood xmlns='" MOOD "'><%.*s/></mood>",
                 TEXT_ARG(presence_mood(i)));
        stanza_pep_payload(&out, PEP_MOOD, &p);
        expect(want);
    }
}

static void a_note_is_the_reason(void **state)
{
    (void)state;
    struct presence p = doing("meeting");
    p.text[PRESENCE_ACTIVITY_NOTE] = TEXT("<Q & A>");
    p.text[PRESENCE_ACTIVITY_OTHER] = TEXT("musing");
    stanza_pep_payload(&out, PEP_ACTIVITY, &p);
    expect("<activity xmlns='" ACTIVITY
           "'><working><in_a_meeting/></working>"
           "<text>&lt;Q &amp; A&gt;</text></activity>");
    p.facts.activities = 0;
    stanza_pep_payload(&out, PEP_ACTIVITY, &p);
    expect("<activity xmlns='" ACTIVITY "'><undefined/><text>&lt;Q &amp; A&gt;</text></activity>");
    p.text[PRESENCE_ACTIVITY_NOTE] = TEXT("");
    stanza_pep_payload(&out, PEP_ACTIVITY, &p);
    expect("<activity xmlns='" ACTIVITY "'><undefined/><text>musing</text></activity>");
    p.text[PRESENCE_MOOD_OTHER] = TEXT("lucky");
    stanza_pep_payload(&out, PEP_MOOD, &p);
    expect("<mood xmlns='" MOOD "'><undefined/><text>lucky</text></mood>");
}

// Of several the first that XMPP has a word for; what presence says is passed over.
static void of_several_one(void **state)
{
    (void)state;
    struct presence p = doing("away");
    p.facts.activities |= doing("looking-for-work").facts.activities;
    stanza_pep_payload(&out, PEP_ACTIVITY, &p);
    expect("<activity xmlns='" ACTIVITY
           "'><undefined><other/></undefined>"
           "<text>looking-for-work</text></activity>");
    p.facts.activities |= doing("meeting").facts.activities | doing("tv").facts.activities;
    stanza_pep_payload(&out, PEP_ACTIVITY, &p);
    expect("<activity xmlns='" ACTIVITY "'><working><in_a_meeting/></working></activity>");
    p.facts.moods = 3;
    stanza_pep_payload(&out, PEP_MOOD, &p);
    expect("<mood xmlns='" MOOD "'><afraid/></mood>");
}

static void who_says_nothing_has_no_payload(void **state)
{
    (void)state;
    struct presence p = {.available = true, .show = SHOW_AWAY};
    p.text[PRESENCE_NICK] = TEXT("Romeo");
    stanza_pep_payload(&out, PEP_MOOD, &p);
    stanza_pep_payload(&out, PEP_ACTIVITY, &p);
    expect("");
}

static void an_event_is_a_headline(void **state)
{
    (void)state;
    stanza_write_pep(&out, TEXT("o'r@example.net"), TEXT("j@example.com"), PEP_MOOD,
                     TEXT("<mood xmlns='" MOOD "'><calm/></mood>"));
    expect(
        "<message from='o&apos;r@example.net' to='j@example.com' type='headline'>"
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='" MOOD
        "'>"
        "<item id='current'><mood xmlns='" MOOD
        "'><calm/></mood></item></items></event>"
        "</message>");
    stanza_write_pep(&out, TEXT("r@example.net"), TEXT("j@example.com"), PEP_ACTIVITY, TEXT(""));
    expect(
        "<message from='r@example.net' to='j@example.com' type='headline'>"
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='" ACTIVITY
        "'>"
        "<item id='current'><activity xmlns='" ACTIVITY "'/></item></items></event></message>");
}

// ---- Reading

struct told {
    enum stanza_pep pep;
    enum stanza_type type;
    char moods[128], activity[32], note[64], other[64];
    unsigned n;
};

static void copy(char *to, size_t n, struct text t)
{
    snprintf(to, n, "%.*s", TEXT_ARG(t));
}

static void on_stanza(void *arg, const struct stanza *s)
{
    struct told *t = arg;
    struct presence p;
    *t = (struct told){.pep = s->pep, .type = s->type, .n = t->n + 1};
    stanza_presence(s, (struct text){0}, 0, &p);
    p.facts = s->facts;
    for (unsigned i = 0; i < PRESENCE_MOODS; i++)
        if (p.facts.moods & UINT64_C(1) << i)
            copy(t->moods + strlen(t->moods), 32, presence_mood(i));
    for (unsigned i = 0; i < PRESENCE_ACTIVITIES; i++)
        if (p.facts.activities & UINT32_C(1) << i)
            copy(t->activity, sizeof t->activity, presence_activity(i));
    struct text m = stanza_text(s, s->rich[PRESENCE_MOOD_NOTE]);
    struct text a = stanza_text(s, s->rich[PRESENCE_ACTIVITY_NOTE]);
    copy(t->note, sizeof t->note, m.n ? m : a);
    m = stanza_text(s, s->rich[PRESENCE_MOOD_OTHER]);
    a = stanza_text(s, s->rich[PRESENCE_ACTIVITY_OTHER]);
    copy(t->other, sizeof t->other, m.n ? m : a);
}

static struct told read_with(const char *stanza, size_t bytes, unsigned depth)
{
    struct stanza_reader *r;
    struct told t = {0};
    const struct stanza_reader_limits limits = {.stanza_bytes = bytes, .stanza_depth = depth};
    assert_int_equal(stanza_reader_create(&r, &limits, on_stanza, &t), 0);
    for (const char *p = stanza; *p; p++) // in the smallest pieces
        assert_int_equal(stanza_reader_feed(r, p, 1), 0);
    assert_int_equal(t.n, 1);
    stanza_reader_destroy(r);
    return t;
}

static struct told told(const char *stanza)
{
    return read_with(stanza, 10000, 32);
}

// XEP-0107 §2.1, XEP-0108 §2.1.
static void reads_what_clients_publish(void **state)
{
    (void)state;
    struct told t = told(
        EVENT(ITEM(MOOD, "<mood xmlns='" MOOD "'><annoyed/><text>curse my nurse!</text></mood>")));
    assert_int_equal(t.pep, PEP_MOOD);
    assert_string_equal(t.moods, "annoyed");
    assert_string_equal(t.note, "curse my nurse!");
    t = told(EVENT(ITEM(ACTIVITY, "<activity xmlns='" ACTIVITY "'><relaxing><partying/></relaxing>"
                                  "<text xml:lang='en'> My nurse's birthday! </text></activity>")));
    assert_int_equal(t.pep, PEP_ACTIVITY);
    assert_string_equal(t.activity, "");
    assert_string_equal(t.other, "partying");
    assert_string_equal(t.note, "My nurse's birthday!");
    t = told(EVENT(ITEM(ACTIVITY, "<activity xmlns='" ACTIVITY
                                  "'><working><in_a_meeting/></working></activity>")));
    assert_string_equal(t.activity, "meeting");
}

static void an_empty_item_or_none_ends_it(void **state)
{
    (void)state;
    static const char *const ENDS[] = {
        EVENT(ITEM(MOOD, "<mood xmlns='" MOOD "'/>")),
        EVENT("<items node='" MOOD "'><retract id='1'/></items>"),
        EVENT("<items node='" MOOD "'/>"),
        EVENT(ITEM(MOOD, "")),
        EVENT("<purge node='" MOOD "'/>"),
        EVENT("<delete node='" MOOD "'/>"),
    };
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        struct told t = told(ENDS[i]);
        assert_int_equal(t.pep, PEP_MOOD);
        assert_string_equal(t.moods, "");
    }
}

static void only_what_has_its_place_counts(void **state)
{
    (void)state;
#define HAPPY "<mood xmlns='" MOOD "'><happy/></mood>"
    static const struct {
        const char *event;
        enum stanza_pep pep;
    } ODD[] = {
        {EVENT(""), PEP_OTHER},
        {EVENT(ITEM("urn:x", HAPPY)), PEP_OTHER},
        {EVENT("<items>" HAPPY "</items>"), PEP_OTHER},
        {EVENT("<purge/>"), PEP_OTHER},
        {EVENT("<purge node='" MOOD "'><item>" HAPPY "</item></purge>"), PEP_MOOD},
        {EVENT("<configuration node='" MOOD "'/>"), PEP_OTHER},
        {EVENT("<items node='" MOOD "'>" HAPPY "</items>"), PEP_MOOD},
        {EVENT(ITEM(MOOD, "<x xmlns='urn:x'>" HAPPY "</x>")), PEP_MOOD},
        {EVENT(ITEM(MOOD, "<x xmlns='urn:x'/><y xmlns='urn:x'><z>" HAPPY "</z></y>")), PEP_MOOD},
        {EVENT(ITEM(ACTIVITY, HAPPY)), PEP_ACTIVITY},
        {EVENT("<items node='" MOOD "'><item xmlns='urn:x'>" HAPPY "</item></items>"), PEP_MOOD},
        {EVENT("<items node='" MOOD "'/>" ITEM("urn:x", HAPPY)), PEP_MOOD},
        {EVENT("<items node='" MOOD "'/><x><item>" HAPPY "</item></x>"), PEP_MOOD},
        {EVENT(ITEM(MOOD, "") "<item>" HAPPY "</item>"), PEP_MOOD},
        {"<message><event>" ITEM(MOOD, HAPPY) "</event></message>", PEP_NONE},
        {"<message>" HAPPY "</message>", PEP_NONE},
        {"<iq type='set'><event xmlns='http://jabber.org/protocol/pubsub#event'>" ITEM(
             MOOD, HAPPY) "</event></iq>",
         PEP_NONE},
        {"<presence><event xmlns='http://jabber.org/protocol/pubsub#event'>" ITEM(
             MOOD, HAPPY) "</event></presence>",
         PEP_NONE},
    };
    for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) {
        struct told t = told(ODD[i].event);
        print_message("    %s\n", ODD[i].event);
        assert_int_equal(t.pep, ODD[i].pep);
        assert_string_equal(t.moods, "");
    }
}

static void the_last_item_holds(void **state)
{
    (void)state;
    struct told t = told(EVENT("<items node='" MOOD "'><item>" HAPPY
                               "</item><item><mood xmlns='" MOOD "'><sad/></mood></item></items>"));
    assert_string_equal(t.moods, "sad");
    t = told(EVENT("<items node='" MOOD "'><item>" HAPPY "</item><item><mood xmlns='" MOOD
                   "'/></item></items>"));
    assert_string_equal(t.moods, "");
}

static void other_children_do_no_harm(void **state)
{
    (void)state;
    struct told t = told(
        "<message type='headline'><addresses xmlns='urn:a'><address/></addresses>"
        "<event xmlns='http://jabber.org/protocol/pubsub#event'>" ITEM(
            MOOD, HAPPY) "</event><delay xmlns='urn:xmpp:delay'/></message>");
    assert_int_equal(t.pep, PEP_MOOD);
    assert_string_equal(t.moods, "happy");
    t = told("<message type='error'><event xmlns='http://jabber.org/protocol/pubsub#event'>" ITEM(
        MOOD, HAPPY) "</event><error type='cancel'/></message>");
    assert_int_equal(t.type, STANZA_ERROR);
}

static void past_a_limit_it_is_no_event(void **state)
{
    (void)state;
    static const char MINE[] = EVENT(ITEM(MOOD, HAPPY));
    assert_int_equal(read_with(MINE, sizeof MINE - 1, 32).pep, PEP_MOOD);
    assert_int_equal(read_with(MINE, sizeof MINE - 2, 32).pep, PEP_NONE);
    assert_string_equal(read_with(MINE, sizeof MINE - 2, 32).moods, "");
    assert_int_equal(read_with(MINE, 10000, 6).pep, PEP_MOOD);
    assert_int_equal(read_with(MINE, 10000, 5).pep, PEP_NONE);
}

// One byte more than a rich text may have: left out, the word stays.
static void a_reason_has_so_many_bytes(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct buffer b;
        buffer_init(&b, 0);
        buffer_lit(&b,
                   "<message><event xmlns='http://jabber.org/protocol/pubsub#event'>"
                   "<items node='" MOOD "'><item><mood xmlns='" MOOD "'><happy/><text>");
        for (unsigned i = 0; i < PRESENCE_TEXT_MAX + more; i++)
            buffer_char(&b, 'x');
        buffer_lit(&b, "</text></mood></item></items></event></message>");
        buffer_char(&b, '\0');
        struct told t = told(b.p);
        assert_string_equal(t.moods, "happy");
        assert_int_equal(strlen(t.note) == 0, more == 1);
        buffer_free(&b);
    }
}

// What was written is read as what it was, word by word.
static void there_and_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PRESENCE_MOODS; i++) {
        struct presence p = {.facts.moods = UINT64_C(1) << i};
        struct buffer payload;
        buffer_init(&payload, 0);
        p.text[PRESENCE_MOOD_NOTE] = TEXT("<why>");
        stanza_pep_payload(&payload, PEP_MOOD, &p);
        stanza_write_pep(&out, TEXT("a@b"), TEXT("c@d"), PEP_MOOD,
                         (struct text){payload.p, payload.n});
        buffer_char(&out, '\0');
        struct told t = told(out.p);
        assert_true(text_eq(text_of(t.moods), presence_mood(i)));
        assert_string_equal(t.note, "<why>");
        buffer_reset(&out);
        buffer_free(&payload);
    }
}

static int begin(void **state)
{
    (void)state;
    buffer_init(&out, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_activity_has_its_words),
        cmocka_unit_test(each_mood_is_a_mood),
        cmocka_unit_test(a_note_is_the_reason),
        cmocka_unit_test(of_several_one),
        cmocka_unit_test(who_says_nothing_has_no_payload),
        cmocka_unit_test(an_event_is_a_headline),
        cmocka_unit_test(reads_what_clients_publish),
        cmocka_unit_test(an_empty_item_or_none_ends_it),
        cmocka_unit_test(only_what_has_its_place_counts),
        cmocka_unit_test(the_last_item_holds),
        cmocka_unit_test(other_children_do_no_harm),
        cmocka_unit_test(past_a_limit_it_is_no_event),
        cmocka_unit_test(a_reason_has_so_many_bytes),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
