// The presence known of somebody: one value per resource, changes seen, the oldest gives way.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/known.h"

static struct buffer scratch;
static struct shelf shelf;

static enum known_change put(struct known **k, const char *resource, bool available,
                             enum presence_show show, uint64_t now_ms)
{
    struct presence p = {.resource = text_of(resource), .available = available, .show = show};
    return known_put(&shelf, k, &p, &scratch, now_ms);
}

static bool shows(const struct known *k, const char *resource, enum presence_show show)
{
    struct presence p;
    size_t i = known_find(k, text_of(resource));
    if (i == known_count(k))
        return false;
    known_at(k, i, &p);
    return p.show == show;
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    struct known *k = NULL;
    assert_int_equal(known_count(k), 0);
    assert_int_equal(known_find(k, TEXT("x")), 0);
    assert_false(known_any_available(k));
    known_free(&shelf, &k);
}

static void a_change_is_told_from_a_repetition(void **state)
{
    (void)state;
    struct known *k = NULL;
    assert_int_equal(put(&k, "balcony", true, SHOW_AWAY, 1), KNOWN_CHANGED);
    assert_int_equal(put(&k, "balcony", true, SHOW_AWAY, 2), KNOWN_SAME);
    assert_int_equal(k->v[0].since_ms, 1);
    assert_int_equal(put(&k, "balcony", true, SHOW_DND, 3), KNOWN_CHANGED);
    assert_int_equal(k->v[0].since_ms, 3);
    assert_int_equal(known_count(k), 1);
    assert_true(shows(k, "balcony", SHOW_DND));
    assert_int_equal(put(&k, "balcony", false, SHOW_NONE, 4), KNOWN_CHANGED);
    assert_false(known_any_available(k));
    known_free(&shelf, &k);
    assert_null(k);
}

// Clients renew the time whenever they publish; nobody is told because of that.
static void a_new_time_alone_is_no_change(void **state)
{
    (void)state;
    struct known *k = NULL;
    struct presence p = {.available = true, .facts = {.has_said = true, .said_ms = 1}};
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 1), KNOWN_CHANGED);
    p.facts.said_ms = 2;
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 2), KNOWN_SAME);
    known_at(k, 0, &p);
    assert_int_equal(p.facts.said_ms, 1); // since when it is so
    p.show = SHOW_DND;
    p.facts.said_ms = 3;
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 3), KNOWN_CHANGED);
    known_at(k, 0, &p);
    assert_int_equal(p.facts.said_ms, 3);
    known_free(&shelf, &k);
}

// All of a value counts, with statuses in several languages.
static void a_status_is_a_change(void **state)
{
    (void)state;
    struct known *k = NULL;
    struct presence p = {.resource = TEXT("balcony"),
                         .available = true,
                         .n_status = 2,
                         .status = {{TEXT("en"), TEXT("wooing")}, {TEXT("cs"), TEXT("dvořím se")}}};
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 1), KNOWN_CHANGED);
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 1), KNOWN_SAME);
    p.status[1].lang = TEXT("sk");
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 1), KNOWN_CHANGED);
    p.has_priority = true;
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 1), KNOWN_CHANGED);
    known_free(&shelf, &k);
}

static void resources_are_apart(void **state)
{
    (void)state;
    struct known *k = NULL;
    put(&k, "", true, SHOW_CHAT, 1); // the bare JID is one, too
    put(&k, "a", true, SHOW_AWAY, 1);
    put(&k, "A", true, SHOW_XA, 1); // resources keep their case
    assert_int_equal(known_count(k), 3);
    assert_true(shows(k, "", SHOW_CHAT) && shows(k, "a", SHOW_AWAY) && shows(k, "A", SHOW_XA));
    known_remove(&shelf, &k, known_find(k, TEXT("a")));
    assert_int_equal(known_count(k), 2);
    assert_false(shows(k, "a", SHOW_AWAY));
    assert_true(shows(k, "", SHOW_CHAT) && shows(k, "A", SHOW_XA));
    known_remove(&shelf, &k, 0);
    known_remove(&shelf, &k, 0);
    assert_null(k);
}

static void one_past_the_limit_replaces_the_oldest(void **state)
{
    (void)state;
    struct known *k = NULL;
    char name[16];
    for (int i = 0; i <= KNOWN_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        assert_int_equal(put(&k, name, true, SHOW_NONE, 1), KNOWN_CHANGED);
    }
    assert_int_equal(known_count(k), KNOWN_MAX);
    assert_false(shows(k, "r0", SHOW_NONE));
    assert_true(shows(k, "r1", SHOW_NONE) && shows(k, name, SHOW_NONE));
    assert_int_equal(put(&k, "r5", true, SHOW_DND, 1), KNOWN_CHANGED); // replaces nobody else
    assert_int_equal(known_count(k), KNOWN_MAX);
    assert_true(shows(k, "r1", SHOW_NONE));
    put(&k, "r7", false, SHOW_NONE, 2); // who is away gives way first
    assert_int_equal(put(&k, "another", true, SHOW_NONE, 3), KNOWN_CHANGED);
    assert_int_equal(known_find(k, TEXT("r7")), KNOWN_MAX);
    assert_true(shows(k, "r1", SHOW_NONE));
    known_free(&shelf, &k);
}

static int begin(void **state)
{
    (void)state;
    buffer_init(&scratch, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_free(&scratch);
    return 0;
}

// What is put again is believed; the rest goes.
static void doubts(void **state)
{
    (void)state;
    struct known *k = NULL;
    put(&k, "a", true, SHOW_AWAY, 1);
    put(&k, "b", true, SHOW_NONE, 1);
    put(&k, "c", true, SHOW_NONE, 1);
    assert_false(known_remove_doubted(&shelf, &k));
    known_doubt(k);
    assert_int_equal(put(&k, "a", true, SHOW_AWAY, 2), KNOWN_SAME);
    assert_int_equal(put(&k, "c", true, SHOW_DND, 2), KNOWN_CHANGED);
    assert_true(known_remove_doubted(&shelf, &k));
    assert_int_equal(known_count(k), 2);
    assert_true(shows(k, "a", SHOW_AWAY) && shows(k, "c", SHOW_DND));
    known_doubt(k);
    assert_true(known_remove_doubted(&shelf, &k));
    assert_null(k);
    known_doubt(k);
    assert_false(known_remove_doubted(&shelf, &k));
}

static enum known_change feels(struct known **k, uint64_t moods, const char *why)
{
    struct presence p = {.available = true, .show = SHOW_AWAY, .facts.moods = moods};
    p.text[PRESENCE_MOOD_NOTE] = text_of(why);
    p.text[PRESENCE_NICK] = TEXT("not of the person");
    return known_put_person(&shelf, k, &p, &scratch, 7);
}

static bool is_felt(const struct known *k, uint64_t moods, const char *why)
{
    struct presence p;
    return known_person(k, &p) && p.facts.moods == moods &&
           text_eq(p.text[PRESENCE_MOOD_NOTE], text_of(why)) && !p.text[PRESENCE_NICK].n &&
           p.show == SHOW_NONE;
}

// Kept beside the resources, and counted with none of them.
static void the_person_is_no_resource(void **state)
{
    (void)state;
    struct known *k = NULL;
    struct presence p;
    assert_int_equal(feels(&k, 1, "why"), KNOWN_CHANGED);
    assert_int_equal(feels(&k, 1, "why"), KNOWN_SAME);
    assert_int_equal(known_count(k), 0);
    assert_int_equal(known_find(k, TEXT("")), 0);
    assert_false(known_any_available(k));
    assert_true(is_felt(k, 1, "why"));
    put(&k, "a", true, SHOW_AWAY, 1);
    put(&k, "b", true, SHOW_DND, 1);
    assert_int_equal(known_count(k), 2);
    assert_true(shows(k, "a", SHOW_AWAY) && shows(k, "b", SHOW_DND) && is_felt(k, 1, "why"));
    assert_int_equal(feels(&k, 2, "because"), KNOWN_CHANGED);
    known_remove(&shelf, &k, 0);
    assert_true(shows(k, "b", SHOW_DND) && is_felt(k, 2, "because"));
    known_doubt(k);
    assert_true(known_remove_doubted(&shelf, &k));
    assert_int_equal(known_count(k), 0);
    assert_true(is_felt(k, 2, "because"));
    put(&k, "c", true, SHOW_XA, 1);
    known_forget_resources(&shelf, &k);
    assert_true(is_felt(k, 2, "because"));
    assert_int_equal(feels(&k, 0, ""), KNOWN_CHANGED);
    assert_null(k);
    assert_int_equal(feels(&k, 0, ""), KNOWN_SAME);
    assert_false(known_person(k, &p));
}

static void the_person_survives_the_limit(void **state)
{
    (void)state;
    struct known *k = NULL;
    char name[16];
    feels(&k, 4, "");
    for (unsigned i = 0; i <= KNOWN_MAX; i++) {
        snprintf(name, sizeof name, "r%u", i);
        put(&k, name, true, SHOW_NONE, i);
    }
    assert_int_equal(known_count(k), KNOWN_MAX);
    assert_true(is_felt(k, 4, "") && shows(k, name, SHOW_NONE));
    assert_int_equal(feels(&k, 0, ""), KNOWN_CHANGED);
    assert_int_equal(known_count(k), KNOWN_MAX);
    known_free(&shelf, &k);
}

// One part is replaced while the value that it is read from is thrown away.
static void the_person_may_borrow_from_itself(void **state)
{
    (void)state;
    struct known *k = NULL;
    struct presence person = {0}, said = {.facts.activities = 2};
    feels(&k, 4, "a rather long reason");
    assert_true(known_person(k, &person));
    presence_replace(&person, PRESENCE_OF_ACTIVITY, &said);
    assert_int_equal(known_put_person(&shelf, &k, &person, &scratch, 8), KNOWN_CHANGED);
    assert_true(is_felt(k, 4, "a rather long reason"));
    assert_true(known_person(k, &person) && person.facts.activities == 2);
    presence_replace(&person, PRESENCE_OF_MOOD, &said);
    assert_int_equal(known_put_person(&shelf, &k, &person, &scratch, 9), KNOWN_CHANGED);
    assert_true(is_felt(k, 0, ""));
    known_free(&shelf, &k);
}

// One past KNOWN_BYTES_MAX: what is there stays as it is.
static void what_is_too_much_in_all_is_not_taken(void **state)
{
    (void)state;
    struct known *k = NULL;
    char *status = calloc(1, KNOWN_BYTES_MAX / 2);
    assert_non_null(status);
    struct presence p = {.resource = TEXT("balcony"), .available = true, .n_status = 1};
    p.status[0].text = (struct text){status, KNOWN_BYTES_MAX / 2};
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 1), KNOWN_CHANGED);
    p.resource = TEXT("orchard");
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 2), KNOWN_NO_MEMORY);
    assert_int_equal(known_count(k), 1);
    p.n_status = 0;
    assert_int_equal(known_put(&shelf, &k, &p, &scratch, 3), KNOWN_CHANGED);
    assert_int_equal(known_count(k), 2);
    known_free(&shelf, &k);
    free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(a_change_is_told_from_a_repetition),
        cmocka_unit_test(a_new_time_alone_is_no_change),
        cmocka_unit_test(a_status_is_a_change),
        cmocka_unit_test(resources_are_apart),
        cmocka_unit_test(one_past_the_limit_replaces_the_oldest),
        cmocka_unit_test(doubts),
        cmocka_unit_test(the_person_is_no_resource),
        cmocka_unit_test(the_person_survives_the_limit),
        cmocka_unit_test(the_person_may_borrow_from_itself),
        cmocka_unit_test(what_is_too_much_in_all_is_not_taken),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
