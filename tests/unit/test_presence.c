// The packed form of a presence: what went in comes out, and every difference shows in the bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/wire/presence.h"

static bool same(struct text a, const char *b)
{
    return text_eq(a, text_of(b));
}

static struct presence rich(void)
{
    return (struct presence){
        .resource = TEXT("yn0cl4bnw0yr3vym"),
        .available = true,
        .has_priority = true,
        .priority = -128,
        .show = SHOW_DND,
        .n_status = 2,
        .status = {{TEXT("en"), TEXT("Wooing Juliet")}, {TEXT(""), TEXT("\xc5\x99")}},
        .facts = {.moods = 1,
                  .said_ms = 1,
                  .input_ms = -1,
                  .activities = 1,
                  .idle_threshold_s = 600,
                  .services = 1,
                  .no_services = 2,
                  .utc_offset_min = -240,
                  .input = INPUT_IDLE,
                  .has_said = true,
                  .has_input = true,
                  .has_utc_offset = true},
        .text = {[PRESENCE_NICK] = TEXT("Romeo"), [PRESENCE_USER_AGENT] = TEXT("Blink")},
    };
}

static void names_show(void **state)
{
    (void)state;
    const char *const names[] = {"", "chat", "away", "xa", "dnd"};
    for (unsigned i = 0; i < 5; i++) {
        enum presence_show show = SHOW_CHAT;
        assert_true(same(presence_show_text((enum presence_show)i), names[i]));
        assert_int_equal(presence_show_parse(text_of(names[i]), &show), i != SHOW_NONE);
        assert_int_equal(show, i);
    }
    enum presence_show show = SHOW_CHAT;
    assert_false(presence_show_parse(TEXT("Away"), &show));
    assert_int_equal(show, SHOW_NONE);
}

static void comes_back(void **state)
{
    (void)state;
    struct presence in = rich(), out;
    struct buffer b;
    buffer_init(&b, 0);
    assert_true(presence_pack(&b, &in));
    presence_unpack((struct text){b.p, b.n}, &out);
    assert_true(same(out.resource, "yn0cl4bnw0yr3vym"));
    assert_true(out.available);
    assert_true(out.has_priority);
    assert_int_equal(out.priority, -128);
    assert_int_equal(out.show, SHOW_DND);
    assert_int_equal(out.n_status, 2);
    assert_true(same(out.status[0].lang, "en"));
    assert_true(same(out.status[0].text, "Wooing Juliet"));
    assert_true(same(out.status[1].lang, ""));
    assert_true(same(out.status[1].text, "\xc5\x99"));
    buffer_free(&b);
}

static bool facts_equal(const struct presence_facts *a, const struct presence_facts *b)
{
    return a->moods == b->moods && a->activities == b->activities && a->input == b->input &&
           a->idle_threshold_s == b->idle_threshold_s && a->has_input == b->has_input &&
           a->input_ms == b->input_ms && a->services == b->services &&
           a->no_services == b->no_services && a->has_utc_offset == b->has_utc_offset &&
           a->utc_offset_min == b->utc_offset_min && a->has_said == b->has_said &&
           a->said_ms == b->said_ms;
}

static void each_rich_field_comes_back(void **state)
{
    (void)state;
    char long_text[PRESENCE_TEXT_MAX];
    memset(long_text, 'x', sizeof long_text);
    for (unsigned i = 0; i < PRESENCE_TEXTS + 9; i++) {
        struct presence in = {.available = true}, out;
        struct presence_facts *f = &in.facts;
        if (i < PRESENCE_TEXTS)
            in.text[i] = (struct text){long_text, sizeof long_text};
        switch ((int)i - PRESENCE_TEXTS) {
        case 0: f->activities = 1u << (PRESENCE_ACTIVITIES - 1); break;
        case 1: f->moods = UINT64_C(1) << (PRESENCE_MOODS - 1); break;
        case 2: f->input = INPUT_ACTIVE; break;
        case 3: f->input = INPUT_IDLE, f->has_input = true, f->input_ms = -1; break;
        case 4: f->input = INPUT_ACTIVE, f->has_input = true, f->input_ms = INT64_MAX; break;
        case 5: f->idle_threshold_s = UINT32_MAX; break;
        case 6: f->no_services = 1u << (SERVICE_COUNT - 1); break;
        case 7: f->has_utc_offset = true, f->utc_offset_min = 0; break;
        case 8: f->has_said = true, f->said_ms = 0; break;
        default: break;
        }
        struct buffer b;
        buffer_init(&b, 0);
        assert_true(presence_pack(&b, &in));
        presence_unpack((struct text){b.p, b.n}, &out);
        for (unsigned k = 0; k < PRESENCE_TEXTS; k++)
            assert_true(text_eq(in.text[k], out.text[k]));
        assert_true(facts_equal(&in.facts, &out.facts));
        buffer_free(&b);
    }
}

static void what_is_absent_takes_no_room(void **state)
{
    (void)state;
    struct presence p = {.available = true, .resource = TEXT("balcony"), .show = SHOW_AWAY};
    struct buffer b;
    buffer_init(&b, 0);
    assert_true(presence_pack(&b, &p));
    assert_int_equal(b.n, 4 + 1 + strlen("balcony"));
    buffer_reset(&b);
    p.text[PRESENCE_NICK] = TEXT("Romeo");
    assert_true(presence_pack(&b, &p));
    assert_int_equal(b.n, 4 + 1 + strlen("balcony") + 4 + 1 + strlen("Romeo"));
    buffer_free(&b);
}

static bool packs_same(const struct presence *x, const struct presence *y)
{
    struct buffer a, b;
    buffer_init(&a, 0);
    buffer_init(&b, 0);
    assert_true(presence_pack(&a, x) && presence_pack(&b, y));
    bool same_ = presence_packed_same((struct text){a.p, a.n}, (struct text){b.p, b.n});
    buffer_free(&a);
    buffer_free(&b);
    return same_;
}

static void a_new_time_alone_is_no_change(void **state)
{
    (void)state;
    struct presence a = rich(), b = rich();
    b.facts.said_ms = 999;
    assert_true(packs_same(&a, &b));
    b.facts.has_said = false, b.facts.said_ms = 0;
    assert_true(packs_same(&a, &b));
    b.facts.input_ms = 5; // idle since another moment: he was back in between
    assert_false(packs_same(&a, &b));
    a = b = rich();
    a.facts.input = b.facts.input = INPUT_ACTIVE;
    b.facts.input_ms = 5; // his last key, while he is active
    assert_true(packs_same(&a, &b));
    b.facts.input = INPUT_IDLE;
    assert_false(packs_same(&a, &b));
    b = rich();
    b.show = SHOW_AWAY;
    assert_false(packs_same(&a, &b));
}

static void who_has_left_keeps_name_and_pictures(void **state)
{
    (void)state;
    struct presence p = rich();
    p.text[PRESENCE_ICON] = TEXT("http://example.net/romeo.png");
    presence_leave(&p);
    assert_true(same(p.text[PRESENCE_NICK], "Romeo"));
    assert_true(same(p.text[PRESENCE_ICON], "http://example.net/romeo.png"));
    assert_true(same(p.text[PRESENCE_USER_AGENT], ""));
    assert_true(facts_equal(&p.facts, &(struct presence_facts){.has_said = true, .said_ms = 1}));
}

static void knows_all_words(void **state)
{
    (void)state;
    unsigned k;
    for (unsigned i = 0; i < PRESENCE_ACTIVITIES; i++)
        assert_true(presence_activity_parse(presence_activity(i), &k) && k == i);
    for (unsigned i = 0; i < PRESENCE_MOODS; i++)
        assert_true(presence_mood_parse(presence_mood(i), &k) && k == i);
    assert_true(same(presence_activity(PRESENCE_ACTIVITIES), ""));
    assert_true(same(presence_mood(PRESENCE_MOODS), ""));
    assert_false(presence_activity_parse(TEXT("unknown"), &k));
    assert_false(presence_mood_parse(TEXT("other"), &k));
    assert_true(presence_activity_of_xmpp(TEXT("watching_tv"), &k));
    assert_true(same(presence_activity(k), "tv"));
    assert_true(presence_activity_of_xmpp(TEXT("having_lunch"), &k));
    assert_true(same(presence_activity(k), "lunch"));
    assert_true(presence_activity_of_xmpp(TEXT("praying"), &k));
    assert_true(same(presence_activity(k), "worship"));
    assert_false(presence_activity_of_xmpp(TEXT("smoking"), &k));
}

static void takes_all_statuses(void **state)
{
    (void)state;
    struct presence in = {.n_status = PRESENCE_STATUS_MAX}, out;
    for (size_t i = 0; i < in.n_status; i++)
        in.status[i] = (struct presence_status){TEXT("x"), TEXT("y")};
    struct buffer b;
    buffer_init(&b, 0);
    assert_true(presence_pack(&b, &in));
    presence_unpack((struct text){b.p, b.n}, &out);
    assert_int_equal(out.n_status, PRESENCE_STATUS_MAX);
    assert_true(same(out.status[PRESENCE_STATUS_MAX - 1].text, "y"));
    buffer_free(&b);
}

static bool packs_alike(const struct presence *x, const struct presence *y)
{
    struct buffer a, b;
    buffer_init(&a, 0);
    buffer_init(&b, 0);
    assert_true(presence_pack(&a, x) && presence_pack(&b, y));
    bool alike = text_eq((struct text){a.p, a.n}, (struct text){b.p, b.n});
    buffer_free(&a);
    buffer_free(&b);
    return alike;
}

static void shows_each_difference(void **state)
{
    (void)state;
    const struct presence base = rich();
    struct presence p[19];
    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        p[i] = base;
    p[0].resource = TEXT("yn0cl4bnw0yr3vyM");
    p[1].available = false;
    p[2].has_priority = false;
    p[3].priority = 127;
    p[4].show = SHOW_XA;
    p[5].n_status = 1;
    p[6].status[0].lang = TEXT("de");
    p[7].status[1].text = TEXT("");
    p[8].status[0] = (struct presence_status){TEXT("enW"), TEXT("ooing Juliet")};
    p[9].text[PRESENCE_NICK] = TEXT("");
    p[10].text[PRESENCE_DEVICE] = TEXT("Romeo");
    p[11].facts.moods = 2;
    p[12].facts.activities = 2;
    p[13].facts.idle_threshold_s = 601;
    p[14].facts.services = 2;
    p[15].facts.no_services = 0;
    p[16].facts.utc_offset_min = 0;
    p[17].facts.has_input = false;
    p[18].facts.input_ms = 0;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        assert_false(packs_alike(&base, &p[i]));
    assert_true(packs_alike(&base, &base));
}

static void an_unset_priority_has_no_value(void **state)
{
    (void)state;
    struct presence a = rich(), b = rich();
    a.has_priority = b.has_priority = false;
    b.priority = 5;
    assert_true(packs_alike(&a, &b));
}

static void tells_when_it_does_not_fit(void **state)
{
    (void)state;
    struct presence in = rich();
    struct buffer b;
    buffer_init(&b, 0);
    assert_true(presence_pack(&b, &in));
    size_t n = b.n;
    buffer_free(&b);
    buffer_init(&b, n);
    assert_true(presence_pack(&b, &in));
    buffer_free(&b);
    buffer_init(&b, n - 1);
    assert_false(presence_pack(&b, &in));
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_show),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(each_rich_field_comes_back),
        cmocka_unit_test(what_is_absent_takes_no_room),
        cmocka_unit_test(a_new_time_alone_is_no_change),
        cmocka_unit_test(who_has_left_keeps_name_and_pictures),
        cmocka_unit_test(knows_all_words),
        cmocka_unit_test(takes_all_statuses),
        cmocka_unit_test(shows_each_difference),
        cmocka_unit_test(an_unset_priority_has_no_value),
        cmocka_unit_test(tells_when_it_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
