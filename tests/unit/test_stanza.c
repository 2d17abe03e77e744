// The stanzas that the gateway writes, byte by byte, and the names that it reads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/wire/stanza.h"

static struct buffer out;

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

static void expect(const char *want)
{
    assert_false(out.failed);
    buffer_char(&out, '\0');
    assert_string_equal(out.p, want);
    buffer_reset(&out);
}

static void writes_presence(void **state)
{
    (void)state;
    // RFC 8048 example 25
    stanza_write_presence(&out, TEXT("romeo@example.net"), TEXT("juliet@example.com"), STANZA_PROBE,
                          TEXT(""));
    expect("<presence from='romeo@example.net' to='juliet@example.com' type='probe'/>");
    stanza_write_presence(&out, TEXT("a'b@example.net"), TEXT("c&d@example.com"), STANZA_NONE,
                          TEXT("<1>"));
    expect("<presence from='a&apos;b@example.net' to='c&amp;d@example.com' id='&lt;1&gt;'/>");
}

static void writes_notifications(void **state)
{
    (void)state;
    struct presence p = {.available = true, .resource = TEXT("dr4hcr0st3lup4c")};
    stanza_write_notification(&out, TEXT("romeo@example.net"), TEXT("juliet@example.com"), &p,
                              (struct text){0}, 0);
    expect("<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'/>");
    p.show = SHOW_XA;
    p.has_priority = true;
    p.priority = -128;
    p.n_status = 2;
    p.status[0] = (struct presence_status){TEXT("en"), TEXT("Wooing <Juliet>")};
    p.status[1] = (struct presence_status){TEXT(""), TEXT("a\nb")};
    stanza_write_notification(&out, TEXT("romeo@example.net"), TEXT("juliet@example.com"), &p,
                              (struct text){0}, 0);
    expect(
        "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"
        "<show>xa</show><status xml:lang='en'>Wooing &lt;Juliet&gt;</status>"
        "<status>a&#10;b</status><priority>-128</priority></presence>");
    p.n_status = 0;
    p.show = SHOW_NONE;
    p.priority = 127;
    stanza_write_notification(&out, TEXT("romeo@example.net"), TEXT("juliet@example.com"), &p,
                              (struct text){0}, 0);
    expect(
        "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"
        "<priority>127</priority></presence>");
}

static void unavailable_has_neither_show_nor_priority(void **state)
{
    (void)state;
    struct presence p = {.show = SHOW_AWAY, .has_priority = true, .priority = 1};
    // RFC 8048 example 21
    stanza_write_notification(&out, TEXT("romeo@example.net"),
                              TEXT("juliet@example.com/yn0cl4bnw0yr3vym"), &p, (struct text){0}, 0);
    expect(
        "<presence from='romeo@example.net' to='juliet@example.com/yn0cl4bnw0yr3vym'"
        " type='unavailable'/>");
    p.n_status = 1;
    p.status[0].text = TEXT("Busy IRL");
    stanza_write_notification(&out, TEXT("romeo@example.net"), TEXT("juliet@example.com"), &p,
                              (struct text){0}, 0);
    expect(
        "<presence from='romeo@example.net' to='juliet@example.com' type='unavailable'>"
        "<status>Busy IRL</status></presence>");
}

static void writes_the_fence(void **state)
{
    (void)state;
    stanza_write_disco_info_get(&out, TEXT("gw.example.net"), TEXT("juliet@example.com"),
                                TEXT("f1"));
    expect(
        "<iq type='get' from='gw.example.net' to='juliet@example.com' id='f1'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
}

// A stanza from romeo to juliet with id i1, as the reader would have made it.
static struct stanza *incoming(enum stanza_kind kind, enum stanza_type type)
{
    static const char TEXTS[] = "romeo@example.netjuliet@example.comi1";
    struct stanza *s = calloc(1, sizeof *s + sizeof TEXTS);
    memcpy(s->text, TEXTS, sizeof TEXTS);
    s->size = (uint32_t)(sizeof *s + sizeof TEXTS);
    s->kind = (uint8_t)kind;
    s->type = (uint8_t)type;
    s->from = (struct span){0, 17};
    s->to = (struct span){17, 18};
    s->id = (struct span){35, 2};
    return s;
}

static void answers_with_an_error(void **state)
{
    (void)state;
    struct stanza *s = incoming(STANZA_PRESENCE, STANZA_SUBSCRIBE);
    stanza_write_error(&out, s, CONDITION_FORBIDDEN);
    expect(
        "<presence from='juliet@example.com' to='romeo@example.net' id='i1' type='error'>"
        "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        "</presence>");
    s->kind = STANZA_IQ;
    s->type = STANZA_GET;
    s->id.n = 0;
    stanza_write_error(&out, s, CONDITION_NONE);
    expect(
        "<iq from='juliet@example.com' to='romeo@example.net' type='error'>"
        "<error type='cancel'><undefined-condition"
        " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    free(s);
}

static void never_answers_an_error(void **state)
{
    (void)state;
    struct stanza *s = incoming(STANZA_MESSAGE, STANZA_ERROR);
    stanza_write_error(&out, s, CONDITION_GONE);
    s->kind = STANZA_IQ;
    stanza_write_error(&out, s, CONDITION_GONE);
    s->type = STANZA_RESULT;
    stanza_write_error(&out, s, CONDITION_GONE);
    assert_int_equal(out.n, 0);
    free(s);
}

static void names_conditions(void **state)
{
    (void)state;
    for (unsigned c = CONDITION_NONE + 1; c < CONDITION_COUNT; c++) {
        struct text t = stanza_condition_text((enum stanza_condition)c);
        struct text type = stanza_condition_type((enum stanza_condition)c);
        assert_true(t.n > 0);
        assert_int_equal(stanza_condition_parse(t), c);
        assert_true(text_eq(type, TEXT("cancel")) || text_eq(type, TEXT("auth")) ||
                    text_eq(type, TEXT("modify")) || text_eq(type, TEXT("wait")));
    }
    assert_int_equal(stanza_condition_parse(TEXT("")), CONDITION_NONE);
    assert_int_equal(stanza_condition_parse(TEXT("no-such-thing")), CONDITION_NONE);
    assert_true(text_eq(stanza_condition_type(CONDITION_RESOURCE_CONSTRAINT), TEXT("wait")));
}

static void knows_which_type_goes_with_which_kind(void **state)
{
    (void)state;
    for (unsigned t = STANZA_UNAVAILABLE; t < STANZA_OTHER; t++) {
        struct text name = stanza_type_text((enum stanza_type)t);
        bool of_iq = t == STANZA_GET || t == STANZA_SET || t == STANZA_RESULT;
        bool any = t == STANZA_ERROR;
        assert_int_equal(stanza_type_parse(STANZA_PRESENCE, name), of_iq ? STANZA_OTHER : t);
        assert_int_equal(stanza_type_parse(STANZA_IQ, name), of_iq || any ? t : STANZA_OTHER);
        assert_int_equal(stanza_type_parse(STANZA_MESSAGE, name), any ? t : STANZA_OTHER);
    }
    assert_int_equal(stanza_type_parse(STANZA_MESSAGE, TEXT("chat")), STANZA_OTHER);
    assert_int_equal(stanza_type_parse(STANZA_PRESENCE, TEXT("")), STANZA_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_presence),
        cmocka_unit_test(writes_notifications),
        cmocka_unit_test(unavailable_has_neither_show_nor_priority),
        cmocka_unit_test(writes_the_fence),
        cmocka_unit_test(answers_with_an_error),
        cmocka_unit_test(never_answers_an_error),
        cmocka_unit_test(names_conditions),
        cmocka_unit_test(knows_which_type_goes_with_which_kind),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
