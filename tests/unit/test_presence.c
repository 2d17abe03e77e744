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
    struct presence p[] = {base, base, base, base, base, base, base, base, base};
    p[0].resource = TEXT("yn0cl4bnw0yr3vyM");
    p[1].available = false;
    p[2].has_priority = false;
    p[3].priority = 127;
    p[4].show = SHOW_XA;
    p[5].n_status = 1;
    p[6].status[0].lang = TEXT("de");
    p[7].status[1].text = TEXT("");
    p[8].status[0] = (struct presence_status){TEXT("enW"), TEXT("ooing Juliet")};
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
        cmocka_unit_test(takes_all_statuses),
        cmocka_unit_test(shows_each_difference),
        cmocka_unit_test(an_unset_priority_has_no_value),
        cmocka_unit_test(tells_when_it_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
