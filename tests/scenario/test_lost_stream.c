// A component stream is lost, or a user's server out of reach: what was missed is made up for.
#include <stdio.h>

#include "core/state.h"
#include "flows.h"

#define FROM_OTHER "<presence from='romeo@example.net/other' to='juliet@example.com'/>"
#define ROMEO_CHECKS                                                                               \
    "<iq type='get' from='romeo@example.net' to='juliet@example.com' id='serve-check'>"            \
    "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
#define CHECK_ANSWER(condition)                                                                    \
    "<iq type='error' from='juliet@example.com' to='romeo@example.net' id='serve-check'>"          \
    "<error type='cancel'><" condition                                                             \
    " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"

// ---- She watches him

// The pass over all that was there before takes its time. Who comes meanwhile, with the stream up,
// is told once.
static void who_comes_behind_the_stream_is_told_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char subscribe[128];
    for (unsigned i = 0; i <= CORE_RESYNC_STEP; i++) {
        snprintf(subscribe, sizeof subscribe,
                 "<presence from='u%u@example.com' to='romeo@example.net' type='subscribe'/>", i);
        xmpp_says(s, subscribe);
        stage_forget(s);
    }
    stage_streams_down(s);
    stage_streams_connect(s);
    stage_pass_ms(s, 1); // the last of them is not looked at yet
    stage_forget(s);
    watch_established(s, &d);
    stage_pass_ms(s, CORE_RESYNC_MS);
    for (const char *said; (said = xmpp_next(s));)
        assert_null(strstr(said, "juliet"));
    stage_close(s);
}

static void who_has_left_is_said_afterwards(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_streams_down(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF(TUPLE("ID-other", "<basic>open</basic>")));
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_streams_up(s);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_GONE);
    xmpp_sees(s, FROM_OTHER);
    quiet(s);
    stage_close(s);
}

// After a restart his NOTIFY may be sooner than the streams: it must not be taken for shown.
static void what_came_before_the_stream_is_shown(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_crash(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_streams_up(s);
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    xmpp_answers_fence(s, "juliet@example.com", id);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

// `unsubscribed` can't be said: the authorization stays, to be refused again when it can.
static void a_refusal_is_kept_until_she_can_be_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_streams_down(s);
    sip_notifies(s, &d, "terminated;reason=rejected", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    assert_int_equal(s->n_records, 1);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_GONE);
    stage_pass_until_said(s, 60);
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    xmpp_answers_fence(s, "juliet@example.com", id);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_answers(s, 403, "");
    xmpp_sees(s, UNSUBSCRIBED);
    assert_int_equal(s->n_records, 0);
    quiet(s);
    stage_close(s);
}

// His dialog ended meanwhile, and she has the next one opened before all is said anew: it finds him
// undecided, and so says nothing of who was there before.
static void who_was_there_before_is_gone_though_a_dialog_opens(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_streams_down(s);
    sip_notifies(s, &d, "terminated;reason=timeout", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_pass_s(s, 100);
    stage_streams_connect(s);
    xmpp_says(s, JULIET_SUBSCRIBES);
    xmpp_sees(s, SUBSCRIBED);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    stage_pass_ms(s, 100);
    xmpp_sees(s, ROMEO_GONE);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_close(s);
}

// Her server could not be reached: the next NOTIFY, which follows a refresh, says all again.
static void what_bounced_is_said_again(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' type='error'>"
              "<error type='wait'><remote-server-timeout "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>");
    quiet(s);
    for (int once = 0; once < 2; once++) {
        sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        if (once)
            continue;
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        xmpp_sees(s, ROMEO_AWAY);
    }
    quiet(s);
    stage_close(s);
}

// She may see what an earlier life has shown, and he is asked anew.
static void is_asked_after_a_restart(struct stage *s, struct stage_dialog *d)
{
    watch_established(s, d);
    stage_crash(s);
    stage_streams_up(s);
    stage_pass_ms(s, 1100);
    refresh_leaves(s);
}

// juliet          gateway              romeo's server
//    |                |  SUBSCRIBE            |   ✝ an earlier life had shown him
//    |                |---------------------->|
//    |                |  481                  |
//    |                |<----------------------|
//    |                |  SUBSCRIBE            |
//    |                |---------------------->|
//    |  nobody        |  503, in a day        |   RFC 3261 §20.33
//    |     x----------|<----------------------|   or the stream was known to be down already
//    |  nobody        |                       |   not in a day: now
//    |<---------------|                       |
static void that_nobody_is_there_is_said_again_while_he_rests(void **state)
{
    (void)state;
    for (int down = 0; down < 2; down++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        is_asked_after_a_restart(s, &d);
        sip_answers(s, 481, "");
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
        if (down)
            stage_streams_down(s);
        sip_answers(s, 503, "Retry-After: 86400\n");
        if (!down)
            xmpp_sees(s, ROMEO_UNAVAILABLE);
        quiet(s);
        for (int again = 0; again < 2; again++) {
            stage_streams_down(s);
            stage_streams_up(s);
            xmpp_sees(s, ROMEO_UNAVAILABLE);
            quiet(s);
        }
        stage_close(s);
    }
}

// So it is if he has no device, and is not asked: his dialog stands, or none is needed any more
// (RFC 6665 §4.1.3, `invariant`).
static void that_nobody_is_there_is_said_again_while_it_is_so(void **state)
{
    (void)state;
    static const char *const substate[] = {"active;expires=3600", "terminated;reason=invariant"};
    for (int final = 0; final < 2; final++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        is_asked_after_a_restart(s, &d);
        sip_answers(s, 200, "Expires: 3600\n");
        sip_notifies(s, &d, substate[final], PIDF(""));
        sip_sees(s, "SIP/2.0 200", NULL);
        while (xmpp_next(s))
            ;
        stage_streams_down(s);
        stage_streams_up(s);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        quiet(s);
        stage_close(s);
    }
}

// ---- He watches her

static void lost_and_back(struct stage *s, struct stage_dialog *d)
{
    serve_established(s, d);
    stage_streams_down(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_CHECKS);
    quiet(s);
}

// She left meanwhile, and her server (ejabberd) says nothing of who is not there.
static void silence_before_the_fence_means_gone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    lost_and_back(s, &d);
    xmpp_says(s, CHECK_ANSWER("not-allowed"));
    quiet(s);
    stage_pass_until_said(s, 3);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "<basic>closed</basic>", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

// ejabberd's answers come in any order.
static void presence_may_come_behind_the_fence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    lost_and_back(s, &d);
    xmpp_says(s, CHECK_ANSWER("not-allowed"));
    xmpp_says(s, JULIET_AWAY);
    if (s->sip_head != s->sip_tail) { // she was something else before
        sip_sees(s, "NOTIFY", NULL);
        sip_answers(s, 200, "");
    }
    stage_pass_s(s, 3);
    quiet(s);
    stage_close(s);
}

// juliet's server   gateway            romeo
//    |   ask           |                  |
//    |<----------------|                  |
//    |   she is there  |                  |
//    |---------------->|                  |
//    |                 ✝ the stream       |
//    |   ask again     |                  |
//    |<----------------|                  |
//    |   fence         |                  |   of what was asked first
//    |---------------->|                  |
//    |   out of reach  |                  |   so nothing is known to be otherwise
//    |---------------->|                  |
static void the_answer_to_an_earlier_question_is_none(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char first[256];
    lost_and_back(s, &d);
    snprintf(first, sizeof first,
             "<iq type='result' from='juliet@example.com' to='romeo@example.net' "
             "id='serve-check%s'/>",
             s->check_nonce);
    xmpp_says(s, JULIET_AWAY);
    stage_streams_down(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_CHECKS);
    stage_forget(s);
    xmpp_says(s, first);
    xmpp_says(s, CHECK_ANSWER("remote-server-timeout"));
    stage_pass_s(s, 10);
    quiet(s);
    stage_close(s);
}

// Nothing is concluded from a server that can't be reached; the next refresh asks again.
static void an_unreachable_server_tells_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    lost_and_back(s, &d);
    xmpp_says(s, CHECK_ANSWER("remote-server-timeout"));
    stage_pass_s(s, 30);
    quiet(s);
    sip_resubscribes(s, &d, 3600);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s, ROMEO_CHECKS);
    stage_close(s);
}

// ---- Both

// romeo           gateway               juliet's server
//   |  Expires: 0    |                        |
//   |--------------->|  unavailable           |   (RFC 8048 §5.3.3: he looks no more)
//   |                |----------------------->|
//   |                |  presence              |   (but she still looks at him)
//   |                |----------------------->|
static void who_leaves_is_still_seen(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog watch, serve;
    watch_established(s, &watch);
    serve_established(s, &serve);
    sip_resubscribes(s, &serve, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='unavailable'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"
              "<show>away</show></presence>");
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_behind_the_stream_is_told_once),
        cmocka_unit_test(who_has_left_is_said_afterwards),
        cmocka_unit_test(what_came_before_the_stream_is_shown),
        cmocka_unit_test(a_refusal_is_kept_until_she_can_be_told),
        cmocka_unit_test(who_was_there_before_is_gone_though_a_dialog_opens),
        cmocka_unit_test(what_bounced_is_said_again),
        cmocka_unit_test(that_nobody_is_there_is_said_again_while_he_rests),
        cmocka_unit_test(that_nobody_is_there_is_said_again_while_it_is_so),
        cmocka_unit_test(silence_before_the_fence_means_gone),
        cmocka_unit_test(presence_may_come_behind_the_fence),
        cmocka_unit_test(the_answer_to_an_earlier_question_is_none),
        cmocka_unit_test(an_unreachable_server_tells_nothing),
        cmocka_unit_test(who_leaves_is_still_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
