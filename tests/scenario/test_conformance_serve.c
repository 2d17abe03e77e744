// What RFC 6665 and RFC 8048 ask of a notifier, where no other scenario shows it: see
// tests/CONFORMANCE.md.
#include "flows.h"

#include <stdio.h>
#include <string.h>

static void approved_without_presence(struct stage *s, struct stage_dialog *d)
{
    serve_begun(s, d);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY", "Subscription-State: active", NULL);
    sip_lacks(s, "pidf");
    xmpp_sees(s, ROMEO_PROBES);
    sip_answers(s, 200, "");
    quiet(s);
}

// ---- How long: RFC 6665 §4.2.1.1, §4.2.1.4, §4.2.2

static void expires_of_answer(struct stage *s, unsigned most_s)
{
    assert_int_not_equal(s->sip->expires, SIP_ABSENT);
    assert_true(s->sip->expires <= most_s);
}

static void no_more_is_granted_than_asked(void **state)
{
    (void)state;
    static const unsigned asked_s[] = {60, 61, 3599, 3600, 7200, 7201, 4294967295u};
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (size_t i = 0; i < sizeof asked_s / sizeof *asked_s; i++) {
        char expires[64];
        snprintf(expires, sizeof expires, "Expires: %u\n", asked_s[i]);
        says_subscribe(s, (int)i, expires);
        sip_sees(s, "SIP/2.0 200", NULL);
        expires_of_answer(s, asked_s[i]);
        sip_sees(s, "NOTIFY", NULL);
        assert_true(s->sip->substate_expires <= asked_s[i]);
        sip_answers(s, 200, "");
        sip_resubscribes(s, &d, asked_s[i]); // nor by a refresh
        sip_sees(s, "SIP/2.0 200", NULL);
        expires_of_answer(s, asked_s[i]);
        sip_sees(s, "NOTIFY", NULL);
        assert_true(s->sip->substate_expires <= asked_s[i]);
        sip_answers(s, 200, "");
    }
    stage_close(s);
}

static void two_hours_at_least(struct core_config *cfg)
{
    cfg->settings.min_expires_s = 7200;
}

// 423 is for what is below an hour only, however long the gateway would like it.
static void an_hour_is_never_too_brief(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_hours_at_least);
    says_subscribe(s, 1, "Expires: 3599\n");
    sip_sees(s, "SIP/2.0 423", "Min-Expires: 7200\r\n", NULL);
    quiet(s);
    says_subscribe(s, 2, "Expires: 3600\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 3600\r\n", NULL);
    stage_close(s);
}

//   romeo           gateway           juliet
//     |  SUBSCRIBE     |                 |
//     |--------------->|                 |
//     |  … 1000 s …    |   subscribed    |
//     |                |<----------------|
//     |  NOTIFY active;expires=2600      |
//     |<---------------|                 |
static void each_notify_says_what_is_left(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_pass_s(s, 1000);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY", "Subscription-State: active;expires=2600\r\n", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "Subscription-State: active;expires=2600\r\n", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_pass_s(s, 2000);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "Subscription-State: active;expires=600\r\n", NULL);
    stage_close(s);
}

// ---- What makes a subscription, and what it is called: §4.2.1, §4.5.2, §4.6

static void only_subscribe_makes_a_subscription(void **state)
{
    (void)state;
    static const struct {
        const char *method, *status;
    } rows[] = {{"REFER", "SIP/2.0 501"},
                {"NOTIFY", "SIP/2.0 481"},
                {"PUBLISH", "SIP/2.0 405"},
                {"INVITE", "SIP/2.0 405"},
                {"MESSAGE", "SIP/2.0 405"}};
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char message[1024];
        snprintf(message, sizeof message,
                 "%s sip:juliet@example.com SIP/2.0\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKm%zu;rport\nMax-Forwards: 70\n"
                 "From: <sip:romeo@example.net>;tag=m\nTo: <sip:juliet@example.com>\n"
                 "Call-ID: m%zu\nCSeq: 1 %s\nContact: <sip:romeo@127.0.0.1:5099>\n"
                 "Event: presence\nSubscription-State: active\nRefer-To: <sip:x@example.net>\n\n",
                 rows[i].method, i, i, rows[i].method);
        sip_says(s, message);
        sip_sees(s, rows[i].status, NULL);
        quiet(s);
    }
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    all_is_over(s, 100);
    stage_close(s);
}

static void the_event_id_is_in_each_notify(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char message[1024] = ROMEO_SUBSCRIBES;
    char *event = strstr(message, "Event: presence\n");
    char rest[512];
    snprintf(rest, sizeof rest, "%s", event + strlen("Event: presence\n"));
    snprintf(event, sizeof message - (size_t)(event - message), "Event: presence;id=q7\n%s", rest);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &d);
    sip_sees(s, "NOTIFY", "pending", "Event: presence;id=q7\r\n", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "active", "Event: presence;id=q7\r\n", NULL);
    sip_answers(s, 200, "");
    stage_crash(s); // stored with the subscription
    stage_streams_up(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", "Event: presence;id=q7\r\n", NULL);
    sip_answers(s, 200, "");
    d.cseq++;
    sip_resubscribes_with(s, &d, "Event: presence;id=q7\nExpires: 0\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", "Event: presence;id=q7\r\n", NULL);
    stage_close(s);
}

// §4.5.2: a dialog is for one subscription; the 403 says so, and the one that is there goes on.
static void dialogs_are_not_shared(void **state)
{
    (void)state;
    static const char *const others[] = {"Event: presence;id=other\n", "Event: presence.winfo\n"};
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        d.cseq++;
        sip_resubscribes_with(s, &d, others[i]);
        sip_sees(s, "SIP/2.0 403", "dialog sharing is not supported", NULL);
        quiet(s);
    }
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_sees(s, "NOTIFY", "active;expires=600", "Event: presence\r\n", NULL);
    stage_close(s);
}

// §4.4.4: who subscribes learns what else he could.
static void the_answer_lists_the_packages(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    sip_says(s, ROMEO_SUBSCRIBES);
    sip_sees(s, "SIP/2.0 200", "\r\nAllow-Events: presence", NULL);
    stage_close(s);
}

// RFC 7247 §8: XMPP can't promise what sips does, so nothing of it crosses, wherever it stands.
static void a_secure_address_is_never_translated(void **state)
{
    (void)state;
    static const char *const addresses[][3] = {
        {"sips:juliet@example.com", "sip:romeo@example.net", "sip:juliet@example.com"},
        {"sip:juliet@example.com", "sip:romeo@example.net", "sips:juliet@example.com"},
        {"sips:juliet@example.com", "sips:romeo@example.net", "sips:juliet@example.com"},
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        char message[1024];
        snprintf(message, sizeof message,
                 "SUBSCRIBE %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKs%zu;rport\n"
                 "Max-Forwards: 70\nFrom: <%s>;tag=s\nTo: <%s>\nCall-ID: s%zu\n"
                 "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nEvent: presence\n\n",
                 addresses[i][0], i, addresses[i][1], addresses[i][2], i);
        sip_says(s, message);
        sip_sees(s, "SIP/2.0 416", NULL);
        quiet(s);
    }
    all_is_over(s, 100);
    stage_close(s);
}

// RFC 7247 §8, of NOTIFYs: a Contact of ours that somebody has made a sips one.
//
//   gateway                          presence agent
//      │ ◀── NOTIFY sips:juliet@… ───────── │
//      │ ─── 416 ─────────────────────────▶ │   and she is shown nothing
static void a_secure_notify_is_never_translated(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, secure;
    watch_established(s, &d);
    secure = d;
    snprintf(secure.contact, sizeof secure.contact, "sips%s", strchr(d.contact, ':'));
    sip_notifies(s, &secure, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 416", NULL);
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    stage_close(s);
}

// RFC 6665 §4.5.1: our Contact is a GRUU, and a SUBSCRIBE to it is one to its user; but only where
// the host is ours.
//
//   his phone                        gateway
//      │ ─── SUBSCRIBE sip:juliet@example.com ──▶ │
//      │ ◀── 200, Contact: …;gr=example.com ───── │
//      │ ─── SUBSCRIBE to that Contact ─────────▶ │   one more dialog of the same pair
static void the_contact_is_a_gruu(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char message[1024];
    serve_established(s, &d);
    assert_string_equal(d.contact, "sip:juliet@127.0.0.1:5080;gr=example.com");
    const char *targets[] = {d.contact, "sip:juliet@127.0.0.9:5080;gr=example.com"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(message, sizeof message,
                 "SUBSCRIBE %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKg%zu;rport\n"
                 "Max-Forwards: 70\nFrom: <sip:romeo@example.net>;tag=g\nTo: <%s>\nCall-ID: g%zu\n"
                 "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5098>\nEvent: presence\n\n",
                 targets[i], i, targets[i], i);
        sip_says(s, message);
        sip_sees(s, i ? "SIP/2.0 404" : "SIP/2.0 200", NULL);
        if (i)
            continue;
        sip_sees(s, "NOTIFY", "Subscription-State: active", "id='ID-balcony'",
                 "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>",
                 "entity='pres:juliet@example.com'", NULL);
        sip_answers(s, 200, "");
    }
    assert_int_equal(core_stats(s->core)->subscriptions, 1);
    stage_close(s);
}

// RFC 3261 §16.3, RFC 5393, RFC 7332: what comes back to us is a loop, and goes no further.
static void what_was_here_before_is_a_loop(void **state)
{
    (void)state;
    static const char *const vias[] = {
        "Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKown\n",
        "Via: SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bKa, SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKb\n",
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof vias / sizeof *vias; i++) {
        says_subscribe(s, 1, vias[i]);
        sip_sees(s, "SIP/2.0 482", NULL);
        quiet(s); // and no stanza
    }
    says_subscribe(s, 2, "Via: SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bKa\n"); // another's port
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_close(s);
}

static void cancels(struct stage *s, const struct stage_dialog *d, const char *branch,
                    const char *to_tag)
{
    char message[1024];
    snprintf(message, sizeof message,
             "CANCEL sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=%s\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=%s\nTo: <sip:juliet@example.com>%s\n"
             "Call-ID: %s\nCSeq: %u CANCEL\n\n",
             branch, d->peer_tag, to_tag, d->call_id, d->cseq);
    sip_says(s, message);
}

// §4.6: whatever it is about, it is answered and changes nothing.
static void a_cancel_changes_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char tag[128];
    serve_established(s, &d);
    snprintf(tag, sizeof tag, ";tag=%s", d.our_tag);
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "active;expires=600", NULL);
    const struct sip_message *notify = sip_keeps(s);
    cancels(s, &d, "z9hG4bKs2xfg9", tag);
    sip_sees(s, "SIP/2.0 ", "CSeq: 2 CANCEL", NULL);
    cancels(s, &d, "z9hG4bKnobody", "");
    sip_sees(s, "SIP/2.0 481", "CSeq: 2 CANCEL", NULL);
    quiet(s);
    sip_answers_to(s, notify, 200, "");
    assert_int_equal(serve_state(s), STATE_ACTIVE);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "active;expires=600", "dnd", NULL);
    stage_close(s);
}

// ---- Routes: §4.3, RFC 3261 §12.2

//   romeo           proxies          gateway
//     |  SUBSCRIBE    |  Record-Route   |
//     |-------------->|---------------->|
//     |  refresh      |  another one    |
//     |-------------->|---------------->|
//     |               |  NOTIFY, by the first route
//     |               |<----------------|
static void a_refresh_records_no_route(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    says_subscribe(s, 1, "Record-Route: <sip:127.0.0.3:5066;lr>\n");
    sip_sees(s, "SIP/2.0 200", "Record-Route: <sip:127.0.0.3:5066;lr>", NULL);
    sip_dialog_of_answer(s, &d);
    sip_sees(s, "NOTIFY", "Route: <sip:127.0.0.3:5066;lr>\r\n", NULL);
    sip_answers(s, 200, "");
    d.cseq++;
    sip_resubscribes_with(s, &d,
                          "Event: presence\nExpires: 600\nContact: <sip:romeo@127.0.0.1:5101>\n"
                          "Record-Route: <sip:127.0.0.9:5066;lr>\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "Route: <sip:127.0.0.3:5066;lr>\r\n", NULL);
    sip_lacks(s, "127.0.0.9");
    stage_close(s);
}

// ---- What is notified: RFC 8048 §5.3.2, §6.2, §8.2

// Approved, and nothing known: each refresh is answered by a NOTIFY, each without a body.
static void without_knowledge_the_notify_is_empty(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    approved_without_presence(s, &d);
    for (int i = 0; i < 3; i++) {
        stage_pass_s(s, 1000);
        sip_resubscribes(s, &d, 3600);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", "active;expires=3600", "Content-Length: 0\r\n", NULL);
        sip_lacks(s, "Content-Type");
        sip_answers(s, 200, "");
        xmpp_sees(s, ROMEO_PROBES); // and it is asked for
        quiet(s);
    }
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY", "Content-Type: application/pidf+xml\r\n", "away", NULL);
    stage_close(s);
}

// §6.2 note 1: of all stanzas only these two are notifications.
static void only_notifications_are_notified(void **state)
{
    (void)state;
    static const char *const others[] = {
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='error'>"
        "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        "</presence>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>",
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='nonsense'/>",
        "<message from='juliet@example.com/balcony' to='romeo@example.net'><body>x</body>"
        "</message>",
        "<iq type='result' id='x' from='juliet@example.com/balcony' to='romeo@example.net'/>",
    };
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        xmpp_says(s, others[i]);
        assert_null(sip_next(s));
        while (xmpp_next(s))
            ;
    }
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_LEAVES);
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    stage_close(s);
}

// §6.2 note 3.
static void the_id_of_a_stanza_goes_nowhere(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='nobodys7'>"
              "<show>dnd</show></presence>");
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_lacks(s, "nobodys7");
    stage_close(s);
}

//   romeo, mercutio     gateway               juliet
//     |                    |  presence to romeo  |
//     |  NOTIFY (romeo)    |<--------------------|
//     |<-------------------|                     |
static void each_sees_what_was_meant_for_him(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_says(s,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKmercutio;rport\nMax-Forwards: 70\n"
             "From: <sip:mercutio@example.net>;tag=m\nTo: <sip:juliet@example.com>\n"
             "Call-ID: mercutio\nCSeq: 1 SUBSCRIBE\nContact: <sip:mercutio@127.0.0.1:5098>\n"
             "Event: presence\n\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:mercutio@127.0.0.1:5098", "pending", NULL);
    sip_lacks(s, "pidf"); // what romeo may see is none of his business
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "To: <sip:romeo@example.net>", "dnd", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='mercutio@example.net'>"
              "<show>xa</show></presence>");
    sip_sees(s, "NOTIFY sip:mercutio@127.0.0.1:5098", "To: <sip:mercutio@example.net>", ">xa<",
             NULL);
    sip_answers(s, 200, "");
    assert_null(sip_next(s));
    stage_close(s);
}

// ---- Both at once: RFC 8048 §5.2.3, §5.3.3

static void ending_one_way_leaves_the_other(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog watch, serve;
    watch_established(s, &watch);
    serve_established(s, &serve);
    xmpp_says(s, JULIET_UNSUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
    xmpp_sees(s, ROMEO_GONE);
    sip_answers(s, 200, "Expires: 0\n");
    xmpp_sees(s, UNSUBSCRIBED);
    assert_int_equal(serve_state(s), STATE_ACTIVE);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "active", "dnd", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
    s = stage_open();
    watch_established(s, &watch);
    serve_established(s, &serve);
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    sip_notifies(s, &watch, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_is_granted_than_asked),
        cmocka_unit_test(an_hour_is_never_too_brief),
        cmocka_unit_test(each_notify_says_what_is_left),
        cmocka_unit_test(only_subscribe_makes_a_subscription),
        cmocka_unit_test(the_event_id_is_in_each_notify),
        cmocka_unit_test(dialogs_are_not_shared),
        cmocka_unit_test(the_answer_lists_the_packages),
        cmocka_unit_test(a_secure_address_is_never_translated),
        cmocka_unit_test(a_secure_notify_is_never_translated),
        cmocka_unit_test(the_contact_is_a_gruu),
        cmocka_unit_test(what_was_here_before_is_a_loop),
        cmocka_unit_test(a_cancel_changes_nothing),
        cmocka_unit_test(a_refresh_records_no_route),
        cmocka_unit_test(without_knowledge_the_notify_is_empty),
        cmocka_unit_test(only_notifications_are_notified),
        cmocka_unit_test(the_id_of_a_stanza_goes_nowhere),
        cmocka_unit_test(each_sees_what_was_meant_for_him),
        cmocka_unit_test(ending_one_way_leaves_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
