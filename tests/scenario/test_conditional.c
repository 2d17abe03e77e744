// Conditional notification: what a SIP user has is not sent to him again. RFC 5839 §5, §6.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define NEXT_DOOR                                                                                  \
    "<presence from='juliet@example.com/chamber' to='romeo@example.net'><show>xa</show></presence>"

struct tag {
    char p[64];
};

// Of the NOTIFY taken last: each has one (§6.1), and it is never the wildcard.
static struct tag tag_of(const struct stage *s)
{
    struct tag tag;
    struct text t = stage_sip(s, s->sip->etag);
    assert_true(t.n > 0 && t.n < sizeof tag.p);
    snprintf(tag.p, sizeof tag.p, "%.*s", TEXT_ARG(t));
    assert_string_not_equal(tag.p, "*");
    return tag;
}

static struct tag notified(struct stage *s, const char *substate, const char *what)
{
    sip_sees(s, "NOTIFY", substate, what, NULL);
    struct tag tag = tag_of(s);
    sip_answers(s, 200, "");
    return tag;
}

// Without a document: no Content-Type, Content-Length zero (§6.2).
static struct tag notified_bare(struct stage *s, const char *substate)
{
    sip_sees(s, "NOTIFY", substate, "Content-Length: 0\r\n", NULL);
    sip_lacks(s, "Content-Type");
    struct tag tag = tag_of(s);
    sip_answers(s, 200, "");
    return tag;
}

static void refreshes(struct stage *s, struct stage_dialog *d, const char *tag, unsigned expires_s)
{
    char headers[256];
    d->cseq++;
    snprintf(headers, sizeof headers,
             "Event: presence\nExpires: %u\nSuppress-If-Match: %s\n"
             "Contact: <sip:romeo@127.0.0.1:5099>\n",
             expires_s, tag);
    sip_resubscribes_with(s, d, headers);
}

// She is away, and he has it.
static struct tag away(struct stage *s, struct stage_dialog *d)
{
    serve_established(s, d);
    return tag_of(s);
}

// §6.1: the same for the same content, another for another, whoever asks and from wherever.
static void tags_name_what_is_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog desk;
    serve_begun(s, &desk);
    struct tag empty = tag_of(s);
    xmpp_says(s, JULIET_APPROVES);
    assert_string_equal(notified_bare(s, "active").p, empty.p); // Subscription-State is no part
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_says(s, JULIET_AWAY);
    struct tag first = notified(s, "active", "away");
    assert_string_not_equal(first.p, empty.p);
    xmpp_says(s, JULIET_DND);
    struct tag dnd = notified(s, "active", "dnd");
    assert_string_not_equal(dnd.p, first.p);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_string_equal(notified(s, "active", "dnd").p, dnd.p);
    xmpp_says(s, JULIET_AWAY);
    assert_string_equal(notified(s, "active", "away").p, first.p);
    assert_string_equal(notified(s, "active", "away").p, first.p);
    stage_close(s);
}

// §4: the Event header field is part of it.
static void another_event_id_is_another_tag(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    sip_says(s,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKid;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=id\nTo: <sip:juliet@example.com>\nCall-ID: id\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nEvent: presence;id=7\n\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_string_not_equal(notified(s, "active", "away").p, tag.p);
    stage_close(s);
}

//   romeo           gateway            (§5.6)
//     | SUBSCRIBE, Suppress-If-Match |
//     |----------------------------->|
//     | 204, Expires; no NOTIFY      |
//     |<-----------------------------|
static void a_refresh_by_who_has_it(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    for (int i = 0; i < 3; i++) {
        stage_pass_s(s, 3000);
        refreshes(s, &d, tag.p, 3600);
        sip_sees(s, "SIP/2.0 204 No Notification", "Expires: 3600",
                 "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>", NULL);
        quiet(s); // and the subscription goes on, as the next round shows
    }
    sip_resubscribes_with(s, &d,
                          "Event: presence\nExpires: 3600\nSuppress-If-Match: x\n"); // sent again
    sip_sees(s, "SIP/2.0 204", NULL);
    xmpp_says(s, JULIET_DND);
    struct tag dnd = notified(s, "active;expires=3600", "dnd");
    xmpp_says(s, JULIET_AWAY); // he would take dnd for the truth: the condition was of then
    notified(s, "active", "away");
    refreshes(s, &d, dnd.p, 3600); // not what there is now
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_string_equal(notified(s, "active", "away").p, tag.p);
    refreshes(s, &d, "\"a, b\"", 3600);
    sip_sees(s, "SIP/2.0 ", NULL);
    stage_close(s);
}

// The 204 is only for dialogs that stand: here there is always a NOTIFY (§6.2, §5.5).
static void a_subscription_is_resumed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    char more[128];
    snprintf(more, sizeof more, "Suppress-If-Match: %s\n", tag.p);
    says_subscribe(s, 1, more);
    sip_sees(s, "SIP/2.0 200", "Expires: 3600", NULL);
    assert_string_equal(notified_bare(s, "active;expires=3600").p, tag.p);
    xmpp_says(s, JULIET_DND);
    notified(s, "active", "dnd");
    notified(s, "active", "dnd");
    says_subscribe(s, 2, more); // it is not so any more
    sip_sees(s, "SIP/2.0 200", NULL);
    notified(s, "active", "dnd");
    quiet(s);
    stage_close(s);
}

// §5.4.
static void a_poll(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    char more[128];
    snprintf(more, sizeof more, "Expires: 0\nSuppress-If-Match: %s\n", tag.p);
    says_subscribe(s, 1, more);
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_string_equal(notified_bare(s, "terminated;reason=timeout").p, tag.p);
    xmpp_says(s, JULIET_DND);
    notified(s, "active", "dnd");
    says_subscribe(s, 2, more);
    sip_sees(s, "SIP/2.0 200", NULL);
    notified(s, "terminated;reason=timeout", "dnd");
    quiet(s);
    stage_close(s);
}

//   | SUBSCRIBE, Expires 0, Suppress-If-Match |               (§5.7)
//   |---------------------------------------->|
//   | 204; no NOTIFY                          |  unavailable
//   |<----------------------------------------|------------->
static void an_end_without_notify(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    refreshes(s, &d, tag.p, 0);
    sip_sees(s, "SIP/2.0 204", "Expires: 0", NULL);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    sip_resubscribes_with(s, &d, "Event: presence\nExpires: 0\nSuppress-If-Match: x\n");
    sip_sees(s, "SIP/2.0 204", NULL); // the same request once more
    assert_int_equal(serve_state(s), STATE_DORMANT);
    xmpp_says(s, JULIET_DND);
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 481", NULL);
    stage_pass_s(s, 100);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

// It runs out: that is to be told, and what he has is not (§6.2).
static void the_end_by_time_is_told_bare(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    refreshes(s, &d, tag.p, 600);
    sip_sees(s, "SIP/2.0 204", NULL);
    stage_pass_until_said(s, 700);
    assert_string_equal(notified_bare(s, "terminated;reason=timeout").p, tag.p);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    quiet(s);
    stage_close(s);
}

// "*": only what becomes of the subscription is told, and nothing of her (§5.2). Even after a
// crash.
static void a_quenched_subscription(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        away(s, &d);
        refreshes(s, &d, "*", 3600);
        sip_sees(s, "SIP/2.0 204", NULL);
        if (crash) {
            stage_crash(s);
            stage_streams_up(s);
            is_checked(s);
            the_fence_of_the_check_is_answered(s);
            stage_pass_s(s, 5);
        }
        xmpp_says(s, JULIET_DND);
        xmpp_says(s, NEXT_DOOR);
        xmpp_says(s, JULIET_LEAVES);
        stage_pass_s(s, 60);
        quiet(s);
        refreshes(s, &d, "*", 3600);
        sip_sees(s, "SIP/2.0 204", NULL);
        quiet(s);
        sip_resubscribes(s, &d, 3600); // and is so no more
        sip_sees(s, "SIP/2.0 200", NULL);
        notified(s, "active", "xa");
        refreshes(s, &d, "*", 3600);
        sip_sees(s, "SIP/2.0 204", NULL);
        xmpp_says(s, JULIET_REJECTS);
        notified_bare(s, "terminated;reason=rejected");
        all_is_over(s, 200);
        stage_close(s);
    }
}

// Her approval is news of the subscription: told, without what he says he does not want.
static void approval_is_told_bare(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    refreshes(s, &d, "*", 3600);
    sip_sees(s, "SIP/2.0 204", NULL);
    xmpp_sees(s, ROMEO_ASKS);
    xmpp_says(s, JULIET_APPROVES);
    notified_bare(s, "Subscription-State: active");
    xmpp_sees(s, ROMEO_PROBES);
    quiet(s);
    stage_close(s);
}

static void two_seconds_apart(struct core_config *cfg)
{
    cfg->settings.notify_interval_ms = 2000;
}

// What has become what it was while it waited is no news: to nobody, asked for or not.
static void there_and_back(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_seconds_apart);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    notified_bare(s, "pending");
    stage_pass_s(s, 3);
    xmpp_says(s, JULIET_AWAY);
    notified(s, "active", "away");
    while (xmpp_next(s))
        ;
    xmpp_says(s, JULIET_DND);
    xmpp_says(s, JULIET_AWAY);
    stage_pass_s(s, 10);
    quiet(s);
    stage_close(s);

    s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    xmpp_says(s, JULIET_AWAY);
    xmpp_says(s, JULIET_DND);
    sip_answers(s, 200, "");
    stage_pass_s(s, 10);
    quiet(s);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "away", NULL);
    xmpp_says(s, JULIET_DND);
    xmpp_says(s, JULIET_AWAY);
    sip_answers(s, 500, ""); // he does not have it
    stage_pass_until_said(s, 6);
    notified(s, "active", "away");
    stage_pass_s(s, 10);
    quiet(s);
    stage_close(s);
}

// A refresh is owed a NOTIFY even while another one is in flight that says the same.
static void a_refresh_while_one_is_in_flight(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    const struct sip_message *first = sip_keeps(s);
    sip_resubscribes(s, &d, 3600);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    sip_answers_to(s, first, 200, "");
    notified(s, "active;expires=3600", "dnd");
    quiet(s);
    stage_close(s);
}

// The tag is of the content, and so the next life of the process knows it.
static void tags_hold_across_a_crash(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    struct tag tag = away(s, &d);
    stage_crash(s);
    refreshes(s, &d, tag.p, 3600); // nothing is known yet: no match
    sip_sees(s, "SIP/2.0 200", NULL);
    notified_bare(s, "active");
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_AWAY);
    assert_string_equal(notified(s, "active", "away").p, tag.p);
    the_fence_of_the_check_is_answered(s);
    stage_pass_s(s, 5);
    refreshes(s, &d, tag.p, 3600);
    sip_sees(s, "SIP/2.0 204", NULL);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_name_what_is_told),
        cmocka_unit_test(another_event_id_is_another_tag),
        cmocka_unit_test(a_refresh_by_who_has_it),
        cmocka_unit_test(a_subscription_is_resumed),
        cmocka_unit_test(a_poll),
        cmocka_unit_test(an_end_without_notify),
        cmocka_unit_test(the_end_by_time_is_told_bare),
        cmocka_unit_test(a_quenched_subscription),
        cmocka_unit_test(approval_is_told_bare),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_refresh_while_one_is_in_flight),
        cmocka_unit_test(tags_hold_across_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
