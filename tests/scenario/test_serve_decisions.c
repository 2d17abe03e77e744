// What the XMPP user decides, and what of it outlives lost streams and restarts. RFC 8048 §5.3.1;
// RFC 6121 §3.1, §4.3.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define CONDITION(name)                                                                            \
    "<error type='cancel'><" name " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// ---- What she decides

// RFC 6121 §4.6.1: whom she shows herself to she has not approved for that. If it means that an
// approval was lost, her server says so to one more `subscribe`; never a probe meanwhile.
static void presence_alone_is_no_approval(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s, JULIET_AWAY);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    assert_int_equal(serve_state(s), STATE_PENDING);
    xmpp_says(s, JULIET_LEAVES);
    quiet(s);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "Content-Length: 0\r\n", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "away", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// She had approved him long ago: her server answers the first probe.
static void presence_answers_the_first_probe(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_FENCE);
    xmpp_sees(s, ROMEO_ASKS);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "away", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// Seen with Prosody: `unavailable` from the bare JID is a receipt for `subscribe`.
static void a_bare_unavailable_is_no_approval(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' "
              "type='unavailable'/>");
    xmpp_says(s, JULIET_LEAVES);
    quiet(s);
    assert_int_equal(serve_state(s), STATE_PENDING);
    stage_close(s);
}

// RFC 6121 §3.1.6: from the bare JID; some send it from the full one.
static void subscribed_from_a_full_jid(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net' "
              "type='subscribed'/>");
    sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    quiet(s);
    stage_close(s);
}

// RFC 6121 §4.3.2: a server says `unsubscribed` to the probe of a stranger. That is not her word
// while the fence behind the probe is not answered, or when it bears the probe's id.
static void unsubscribed_to_the_probe_is_no_rejection(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_FENCE);
    xmpp_sees(s, ROMEO_ASKS);
    xmpp_says(s, JULIET_REJECTS); // before the fence
    quiet(s);
    xmpp_says(s,
              "<iq type='result' from='juliet@example.com' to='romeo@example.net' "
              "id='serve-fence'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' "
              "type='unsubscribed' id='serve-probe'/>"); // late, but it says what it answers
    quiet(s);
    assert_int_equal(serve_state(s), STATE_PENDING);
    xmpp_says(s, JULIET_REJECTS); // behind it: this is she
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    all_is_over(s, 200);
    stage_close(s);
}

// A fence that is never answered does not make her silent for ever.
static void unsubscribed_after_a_lost_fence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_pass_s(s, 12);
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    stage_close(s);
}

// She changes her mind: all of his devices are told.
static void revocation(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog desk, phone;
    serve_established(s, &desk);
    device_joins(s, &phone, 1, 600);
    xmpp_says(s, JULIET_REJECTS);
    for (int i = 0; i < 2; i++) {
        sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=rejected", NULL);
        sip_lacks(s, "pidf");
        sip_answers(s, 200, "");
    }
    quiet(s);
    assert_int_equal(s->n_records, 0);
    sip_resubscribes(s, &desk, 600);
    sip_sees(s, "SIP/2.0 481", NULL);
    all_is_over(s, 200);
    stage_close(s);
}

// After that he may ask once more, and she is asked once more.
static void asking_again_after_a_rejection(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_FENCE);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    stage_close(s);
}

static void error_to_subscribe(struct stage *s, const char *condition)
{
    char stanza[512];
    snprintf(stanza, sizeof stanza,
             "<presence type='error' from='juliet@example.com' to='romeo@example.net'>"
             "<error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
             "</presence>",
             condition);
    xmpp_says(s, stanza);
}

static void errors_to_our_subscribe(void **state)
{
    (void)state;
    static const struct {
        const char *condition, *substate;
    } final[] = {
        {"gone", "Subscription-State: terminated;reason=noresource"},
        {"item-not-found", "Subscription-State: terminated;reason=noresource"},
        {"forbidden", "Subscription-State: terminated;reason=rejected"},
        {"not-authorized", "Subscription-State: terminated;reason=rejected"},
        {"not-allowed", "Subscription-State: terminated;reason=rejected"},
    };
    for (size_t i = 0; i < sizeof final / sizeof *final; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_begun(s, &d);
        error_to_subscribe(s, final[i].condition);
        sip_sees(s, "NOTIFY", final[i].substate, NULL);
        sip_answers(s, 200, "");
        all_is_over(s, 200);
        stage_close(s);
    }
}

// Anything else: still pending, and tried again after 30 s, 60 s, …
static void errors_for_now_to_our_subscribe(void **state)
{
    (void)state;
    static const char *const conditions[] = {"remote-server-not-found", "remote-server-timeout",
                                             "service-unavailable",     "internal-server-error",
                                             "recipient-unavailable",   "resource-constraint",
                                             "undefined-condition",     "policy-violation"};
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        serve_begun(s, &d);
        for (unsigned least_s = 30; least_s <= 240; least_s *= 2) {
            error_to_subscribe(s, conditions[i]);
            error_to_subscribe(s, conditions[i]); // of the probe: it is one failure
            quiet(s);
            uint64_t before_ms = s->now_ms;
            stage_pass_until_said(s, 500);
            assert_in_range((s->now_ms - before_ms) / 1000, least_s - 1, least_s + least_s / 4 + 1);
            xmpp_sees(s, ROMEO_ASKS);
            quiet(s);
        }
        assert_int_equal(serve_state(s), STATE_PENDING);
        xmpp_says(s, JULIET_APPROVES);
        sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
        sip_answers(s, 200, "");
        xmpp_sees(s, ROMEO_PROBES);
        stage_pass_s(s, 1000);
        quiet(s); // no more
        stage_close(s);
    }
}

// ---- Lost streams and restarts

//   romeo's device      gateway                  juliet's server
//     |                    |   ~~ stream lost ~~    |
//     |                    |   ~~ and back ~~       |
//     |                    |  probe, fence          |
//     |                    |----------------------->|
//     |  NOTIFY            |  what there is now     |
//     |<-------------------|<-----------------------|
static void stream_lost_and_nothing_has_changed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_streams_down(s);
    stage_pass_s(s, 60);
    quiet(s);
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_AWAY);
    the_fence_of_the_check_is_answered(s);
    stage_pass_s(s, 10);
    quiet(s); // what he sees is true
    stage_close(s);
}

static void stream_lost_and_she_has_left(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_streams_down(s);
    stage_pass_s(s, 60);
    stage_streams_up(s);
    is_checked(s);
    the_fence_of_the_check_is_answered(s); // and no presence
    stage_pass_s(s, 10);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "<basic>closed</basic>", NULL);
    sip_lacks(s, "<basic>open</basic>");
    stage_close(s);
}

// Her server can't be reached just then: asked again, and he goes on seeing the last that is known.
static void stream_lost_and_her_server_is_away(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_streams_down(s);
    stage_streams_up(s);
    for (unsigned least_s = 30; least_s <= 120; least_s *= 2) {
        is_checked(s);
        xmpp_says(s,
                  "<iq type='error' from='juliet@example.com' to='romeo@example.net' "
                  "id='serve-check'>" CONDITION("remote-server-timeout") "</iq>");
        quiet(s);
        uint64_t before_ms = s->now_ms;
        stage_pass_until_said(s, 500);
        assert_in_range((s->now_ms - before_ms) / 1000, least_s - 1, least_s + least_s / 4 + 1);
    }
    is_checked(s);
    xmpp_says(s, JULIET_DND);
    the_fence_of_the_check_is_answered(s);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 200);
    quiet(s);
    stage_close(s);
}

static void stream_lost_while_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_streams_down(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS); // repeated, never probed
    quiet(s);
    stage_close(s);
}

// He subscribes while the stream is down: pending, and she is asked once it is up.
static void subscribe_while_the_stream_is_down(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    stage_streams_down(s);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    stage_close(s);
}

static void restart_while_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_crash(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS);
    quiet(s);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "Subscription-State: active", NULL);
    assert_true(s->sip->cseq > 1);
    stage_close(s);
}

// The dialog goes on in the next life: same tags, higher CSeq, and the truth asked anew.
static void restart_while_active(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    stage_pass_s(s, 100);
    stage_crash(s);
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "Subscription-State: active;expires=349", "dnd",
             d.our_tag, d.call_id, NULL);
    assert_true(s->sip->cseq > 3);
    sip_answers(s, 200, "");
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    d.cseq--; // the peer's CSeq is remembered as well
    d.cseq--;
    sip_resubscribes_with(s, &d, "Event: presence\nExpires: 0\n");
    sip_sees(s, "SIP/2.0 500", NULL);
    stage_close(s);
}

static void restart_while_dormant(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    stage_crash(s);
    stage_streams_up(s);
    quiet(s);
    assert_int_equal(serve_state(s), STATE_DORMANT);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
    sip_answers(s, 200, "");
    is_checked(s);
    stage_close(s);
}

// It expired while the process was away: told at once.
static void expired_during_downtime(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    s->now_ms += 7200 * 1000;
    stage_crash(s);
    stage_streams_up(s);
    stage_pass_until_said(s, 2);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_pass_s(s, 200);
    quiet(s);
    assert_int_equal(serve_state(s), STATE_DORMANT);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence_alone_is_no_approval),
        cmocka_unit_test(presence_answers_the_first_probe),
        cmocka_unit_test(a_bare_unavailable_is_no_approval),
        cmocka_unit_test(subscribed_from_a_full_jid),
        cmocka_unit_test(unsubscribed_to_the_probe_is_no_rejection),
        cmocka_unit_test(unsubscribed_after_a_lost_fence),
        cmocka_unit_test(revocation),
        cmocka_unit_test(asking_again_after_a_rejection),
        cmocka_unit_test(errors_to_our_subscribe),
        cmocka_unit_test(errors_for_now_to_our_subscribe),
        cmocka_unit_test(stream_lost_and_nothing_has_changed),
        cmocka_unit_test(stream_lost_and_she_has_left),
        cmocka_unit_test(stream_lost_and_her_server_is_away),
        cmocka_unit_test(stream_lost_while_pending),
        cmocka_unit_test(subscribe_while_the_stream_is_down),
        cmocka_unit_test(restart_while_pending),
        cmocka_unit_test(restart_while_active),
        cmocka_unit_test(restart_while_dormant),
        cmocka_unit_test(expired_during_downtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
