// A SIP user watches an XMPP user who says more than fits into a NOTIFY.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/known.h"
#include "core/serve.h"
#include "core/serve_notify.h"

enum { STATUS_BYTES = 200000 };

// Her presence from this resource with as much status as a server lets through: two-byte letters
// behind one of one byte, so that a cut at any even place is within one.
static char *wordy(const char *resource)
{
    struct buffer b;
    buffer_init(&b, 0);
    buffer_lit(&b, "<presence from='juliet@example.com/");
    buffer_text(&b, text_of(resource));
    buffer_lit(&b, "' to='romeo@example.net'><status>x");
    for (size_t i = 0; i < STATUS_BYTES / 2; i++)
        buffer_lit(&b, "ß");
    buffer_lit(&b, "</status><show>dnd</show></presence>");
    buffer_char(&b, 0);
    assert_false(b.failed);
    return b.p;
}

static void says_wordy(struct stage *s, const char *resource)
{
    char *stanza = wordy(resource);
    xmpp_says(s, stanza);
    free(stanza);
}

static size_t count(struct text in, const char *what)
{
    size_t n = 0;
    const char *end = in.p + in.n;
    for (const char *at = in.p; (at = memmem(at, (size_t)(end - at), what, strlen(what))); at++)
        n++;
    return n;
}

static void a_long_status_is_cut_between_letters(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    says_wordy(s, "balcony");
    sip_sees(s, "NOTIFY", "<note>xß", "ß</note>", NULL);
    size_t letters = count(stage_sip(s, s->sip->body), "ß");
    assert_int_equal(letters, (SERVE_NOTES_MAX - 1) / 2);
    sip_answers(s, 200, "");
    stage_close(s);
}

static void many_wordy_devices_still_fit_into_a_datagram(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (int i = 0; i < KNOWN_MAX + 5; i++) {
        char resource[16];
        snprintf(resource, sizeof resource, "r%d", i);
        says_wordy(s, resource);
        sip_sees(s, "NOTIFY", resource, "dnd", NULL);
        struct text body = stage_sip(s, s->sip->body);
        assert_true(body.n <= SERVE_BODY_MAX);
        sip_answers(s, 200, "");
    }
    struct text body = stage_sip(s, s->sip->body);
    assert_int_equal(count(body, "<tuple"), KNOWN_MAX); // all of them, without their notes
    assert_int_equal(count(body, "<note"), 0);
    stage_close(s);
}

static void of_long_names_the_last_ones_fit(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (int i = 0; i < KNOWN_MAX; i++) {
        char resource[1000], stanza[1200];
        snprintf(resource, sizeof resource, "r%d%0900d", i, 0);
        memset(resource + 10, '+', 890); // escaped wherever it stands
        snprintf(stanza, sizeof stanza,
                 "<presence from='juliet@example.com/%s' to='romeo@example.net'>"
                 "<priority>5</priority></presence>",
                 resource);
        xmpp_says(s, stanza);
        snprintf(stanza, sizeof stanza, "ID-r%d", i);
        sip_sees(s, "NOTIFY", stanza, NULL);
        assert_true(stage_sip(s, s->sip->body).n <= SERVE_BODY_MAX);
        sip_answers(s, 200, "");
    }
    size_t tuples = count(stage_sip(s, s->sip->body), "<tuple");
    assert_true(tuples > 1 && tuples < KNOWN_MAX);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_status_is_cut_between_letters),
        cmocka_unit_test(many_wordy_devices_still_fit_into_a_datagram),
        cmocka_unit_test(of_long_names_the_last_ones_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
