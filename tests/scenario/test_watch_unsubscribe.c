// Unsubscribing and subscribing again, at odd moments: RFC 8048 §5.2.3, RFC 6121 §3.1.3.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// ---- Unsubscribing at odd moments

//   |  unsubscribe  |  (there is no dialog yet)|
//   |-------------->|  200, NOTIFY             |
//   |  unsubscribed |<-------------------------|
//   |<--------------|  SUBSCRIBE Expires 0     |
//   |               |------------------------->|
static void unsubscribe_before_the_first_notify(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        const struct sip_message *request = sip_keeps(s);
        if (answered)
            sip_answers(s, 200, "Expires: 3600\n");
        xmpp_says(s, JULIET_UNSUBSCRIBES);
        quiet(s); // an Expires 0 without a dialog would be a fetch
        assert_int_equal(s->n_records, 0);
        if (!answered) {
            sip_answers_to(s, request, 200, "Expires: 3600\n");
            xmpp_sees(s, UNSUBSCRIBED);
        }
        sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "Expires: 0", NULL);
        sip_answers(s, 200, "Expires: 0\n");
        if (answered)
            xmpp_sees(s, UNSUBSCRIBED);
        quiet(s); // and no presence
        sip_notifies(s, &d, "terminated;reason=timeout", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        all_is_over(s, 200);
        stage_close(s);
    }
}

static void unsubscribe_and_no_notify_ever(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    quiet(s);
    stage_pass_until_said(s, 40);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

static void unsubscribe_is_answered_whatever_sip_says(void **state)
{
    (void)state;
    static const unsigned statuses[] = {200, 202, 403, 404, 481, 500, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        xmpp_says(s, JULIET_UNSUBSCRIBES);
        sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
        xmpp_sees(s, ROMEO_GONE);
        sip_answers(s, statuses[i], "");
        xmpp_sees(s, UNSUBSCRIBED);
        all_is_over(s, 200);
        stage_close(s);
    }
}

static void unsubscribe_into_silence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    for (int i = 0; i < 11; i++) {
        sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 2 SUBSCRIBE", NULL);
        stage_pass_until_said(s, 5);
        if (i == 0)
            xmpp_sees(s, ROMEO_GONE), stage_pass_until_said(s, 5);
    }
    stage_pass_until_said(s, 5);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

// The peer's NOTIFY of the end may overtake its 200.
static void unsubscribe_notify_before_the_200(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    const struct sip_message *request = sip_keeps(s);
    xmpp_sees(s, ROMEO_GONE);
    sip_notifies(s, &d, "terminated;reason=timeout", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, UNSUBSCRIBED);
    sip_answers_to(s, request, 200, "Expires: 0\n");
    all_is_over(s, 200);
    stage_close(s);
}

static void unsubscribe_while_a_refresh_is_in_flight(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    const struct sip_message *refresh = sip_keeps(s);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", "CSeq: 3 SUBSCRIBE", NULL);
    const struct sip_message *end = sip_keeps(s);
    xmpp_sees(s, ROMEO_GONE);
    sip_answers_to(s, refresh, 200, "Expires: 3600\n"); // belongs to nobody any more
    quiet(s);
    sip_answers_to(s, end, 200, "Expires: 0\n");
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

static void unsubscribe_without_a_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    xmpp_says(s, JULIET_UNSUBSCRIBES); // without anything
    xmpp_sees(s, UNSUBSCRIBED);
    quiet(s);
    said_subscribe(s, &d);
    sip_answers(s, 500, "");
    xmpp_says(s, JULIET_UNSUBSCRIBES); // while it waits for the next try
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 8000);
    stage_close(s);
}

// RFC 6121 §3.1.3: who is subscribed is told so again.
static void subscribe_again_when_active(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s, JULIET_SUBSCRIBES);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

static void subscribe_again_when_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    xmpp_says(s, JULIET_SUBSCRIBES);
    quiet(s);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_says(s, JULIET_SUBSCRIBES);
    quiet(s);
    stage_close(s);
}

// A client that asks without end costs the SIP side one attempt in ten seconds.
static void subscribe_again_and_again(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 503, "Retry-After: 3600\n");
    for (int i = 0; i < 9; i++) {
        stage_pass_s(s, 1);
        xmpp_says(s, JULIET_SUBSCRIBES);
        quiet(s);
    }
    stage_pass_s(s, 2);
    said_subscribe(s, &d);
    stage_close(s);
}

// She changes her mind before the old dialog has ended: a new one, and no `unsubscribed`.
static void subscribe_while_unsubscribing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog old, d;
    watch_established(s, &old);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    const struct sip_message *end = sip_keeps(s);
    xmpp_sees(s, ROMEO_GONE);
    said_subscribe(s, &d);
    assert_string_not_equal(d.call_id, old.call_id);
    const struct sip_message *begin = sip_keeps(s);
    sip_answers_to(s, end, 200, "Expires: 0\n");
    sip_notifies(s, &old, "terminated;reason=timeout", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    sip_answers_to(s, begin, 200, "Expires: 3600\n");
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    assert_int_equal(s->n_records, 1);
    stage_pass_s(s, 100);
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

// [limits] requests_in_flight_per_peer: what finds no room is tried again later, none is lost.
static void two_in_flight(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 2;
}

static void no_room_for_more_requests(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_in_flight);
    const struct sip_message *first = NULL;
    for (int i = 0; i < 3; i++) {
        char stanza[256];
        snprintf(stanza, sizeof stanza,
                 "<presence from='juliet@example.com' to='r%d@example.net' type='subscribe'/>", i);
        xmpp_says(s, stanza);
        if (i < 2)
            sip_sees(s, "SUBSCRIBE", NULL);
        if (i == 0)
            first = sip_keeps(s);
    }
    quiet(s);
    assert_int_equal(s->n_records, 3);
    sip_answers_to(s, first, 200, "Expires: 3600\n");
    s->sip_head = s->sip_tail;
    for (int i = 0; i < 400 && s->stanza_head == s->stanza_tail; i++) {
        stage_pass_ms(s, 100);
        s->sip_head = s->sip_tail; // retransmissions of the second
    }
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE sip:r2@example.net", NULL);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsubscribe_before_the_first_notify),
        cmocka_unit_test(unsubscribe_and_no_notify_ever),
        cmocka_unit_test(unsubscribe_is_answered_whatever_sip_says),
        cmocka_unit_test(unsubscribe_into_silence),
        cmocka_unit_test(unsubscribe_notify_before_the_200),
        cmocka_unit_test(unsubscribe_while_a_refresh_is_in_flight),
        cmocka_unit_test(unsubscribe_without_a_dialog),
        cmocka_unit_test(subscribe_again_when_active),
        cmocka_unit_test(subscribe_again_when_pending),
        cmocka_unit_test(subscribe_again_and_again),
        cmocka_unit_test(subscribe_while_unsubscribing),
        cmocka_unit_test(no_room_for_more_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
