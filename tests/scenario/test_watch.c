// An XMPP user watches a SIP user: RFC 8048 §5.2, message by message, in fake time.
#include "flows.h"

static void subscribe_is_approved(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_close(s);
}

// The first NOTIFYs say pending: answered, and nothing is said to her (RFC 8048 §5.2.1).
static void pending_is_silent(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    const struct sip_message *request = sip_keeps(s);
    sip_notifies(s, &d, "pending;expires=3600", NULL); // before the 200, as some do
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_answers_to(s, request, 200, "Expires: 3600\n");
    quiet(s);
    sip_notifies(s, &d, "active;expires=3000", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>");
    quiet(s);
    stage_close(s);
}

//   |               |  refresh is due         |
//   |  probe, fence |                         |
//   |<--------------|                         |
//   |  fence's answer                         |
//   |-------------->|  SUBSCRIBE, CSeq 2      |
//   |               |------------------------>|
static void refresh_after_probe(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_until_said(s, 3600 - 42);
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    quiet(s);
    xmpp_answers_fence(s, "juliet@example.com", id);
    sip_sees(s, "SUBSCRIBE sip:presence@127.0.0.1:5070", "CSeq: 2 SUBSCRIBE", ";tag=ffd2",
             "Expires: 3600", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com' "
              "type='unavailable'/>");
    quiet(s);
    stage_close(s);
}

//   |  unsubscribe  |                         |
//   |-------------->|  SUBSCRIBE Expires 0    |
//   |               |------------------------>|
//   |  unsubscribed |  200                    |
//   |<--------------|<------------------------|
static void unsubscribe_ends_it(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>");
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 2 SUBSCRIBE", NULL);
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com' "
              "type='unavailable'/>");
    quiet(s);
    assert_int_equal(s->n_records, 0);
    sip_answers(s, 200, "Expires: 0\n");
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' type='unsubscribed'/>");
    sip_notifies(s, &d, "terminated;reason=timeout", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_pass_s(s, 200);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    assert_int_equal(core_stats(s->core)->users, 0);
    assert_int_equal(core_stats(s->core)->timers, 0);
    stage_close(s);
}

// kill -9 after she was told: the authorization and the dialog go on, with a higher CSeq.
static void crash_goes_on_in_the_same_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_crash(s);
    stage_streams_up(s);
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    xmpp_answers_fence(s, "juliet@example.com", id);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", d.call_id, NULL);
    assert_true(s->sip->cseq > 1);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>");
    // Which of his devices she was shown before, nobody knows any more: all of them go.
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"
              "<show>away</show></presence>");
    quiet(s);
    stage_close(s);
}

// A dialog that says nothing of him yet is a dialog: what she asks meanwhile opens no second one,
// however long it takes him to decide.
//
//   |  subscribe    |                         |
//   |-------------->|  SUBSCRIBE              |
//   |               |------------------------>|
//   |               |  200, NOTIFY pending    |
//   |  probe, presence, subscribe             |
//   |-------------->|  (nothing)              |
static void one_dialog_while_he_has_not_decided(void **state)
{
    (void)state;
    static const char *const asks[] = {
        "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>",
        "<presence from='juliet@example.com/b' to='romeo@example.net'/>",
        JULIET_SUBSCRIBES,
    };
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    for (int heard = 0; heard < 2; heard++) {
        for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
            stage_pass_s(s, heard ? 60 : 4); // past the least time between two attempts, in the end
            xmpp_says(s, asks[i]);
            quiet(s);
            assert_int_equal(core_stats(s->core)->dialogs, 1);
        }
        sip_notifies(s, &d, "pending;expires=3500", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
    }
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribe_is_approved),
        cmocka_unit_test(pending_is_silent),
        cmocka_unit_test(refresh_after_probe),
        cmocka_unit_test(unsubscribe_ends_it),
        cmocka_unit_test(crash_goes_on_in_the_same_dialog),
        cmocka_unit_test(one_dialog_while_he_has_not_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
