// A SIP user watches an XMPP user: what is left of RFC 6665 §4.2, RFC 3856 §6 and RFC 7247 §8 when
// all the usual has been shown elsewhere.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/serve_winfo.h"

#define ERROR_FROM(jid, condition)                                                                 \
    "<presence type='error' from='" jid                                                            \
    "' to='romeo@example.net'><error type='cancel'>"                                               \
    "<" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"

// ---- She is no more

// RFC 6665 §4.1.3 "noresource": her account has gone while he watches; each of his devices is told.
static void her_account_goes(void **state)
{
    (void)state;
    static const char *const errors[] = {ERROR_FROM("juliet@example.com", "item-not-found"),
                                         ERROR_FROM("juliet@example.com", "gone")};
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open();
        struct stage_dialog desk, phone;
        serve_established(s, &desk);
        device_joins(s, &phone, 1, 600);
        xmpp_says(s, errors[i]);
        for (int k = 0; k < 2; k++) {
            sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=noresource\r\n",
                     "Content-Length: 0\r\n", NULL);
            sip_answers(s, 200, "");
        }
        all_is_over(s, 200);
        stage_close(s);
    }
}

// One device, or another reason: she is still there.
static void other_errors_end_nothing(void **state)
{
    (void)state;
    static const char *const errors[] = {
        ERROR_FROM("juliet@example.com/balcony", "item-not-found"),
        ERROR_FROM("juliet@example.com", "service-unavailable"),
        ERROR_FROM("juliet@example.com", "remote-server-timeout"),
        ERROR_FROM("juliet@example.com", "forbidden"),
    };
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        xmpp_says(s, errors[i]);
        quiet(s);
    }
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "dnd", NULL);
    stage_close(s);
}

// Nobody looks any more, and what we said to her when he left comes back: no reason to keep it.
static void her_account_goes_while_nobody_looks(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_says(s, ERROR_FROM("juliet@example.com", "item-not-found"));
    all_is_over(s, 200);
    stage_close(s);
}

// ---- What the answers say

// RFC 6665 §4.4.4: of what else the gateway can tell, where a dialog begins.
static void answers_say_what_can_be_asked_for(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", SERVE_ALLOW_EVENTS, NULL);
    sip_dialog_of_answer(s, &d);
    says_subscribe(s, 2, "Expires: 0\n");
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    sip_sees(s, "SIP/2.0 200", SERVE_ALLOW_EVENTS, NULL);
    stage_close(s);
}

// RFC 7247 §8: a SIPS URI asks for what XMPP can't promise, be it in the Request-URI or in To.
static void sips_is_not_translated(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        {"sips:juliet@example.com", "sip:juliet@example.com"},
        {"sip:juliet@example.com", "sips:juliet@example.com"},
    };
    static const char *const events[] = {"presence", "presence.winfo"};
    for (size_t i = 0; i < 4; i++) {
        struct stage *s = stage_open();
        char message[1024];
        snprintf(message, sizeof message,
                 "SUBSCRIBE %s SIP/2.0\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKsips;rport\nMax-Forwards: 70\n"
                 "From: <sip:romeo@example.net>;tag=s\nTo: <%s>\nCall-ID: s\n"
                 "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nEvent: %s\n\n",
                 lines[i % 2][0], lines[i % 2][1], events[i / 2]);
        sip_says(s, message);
        sip_sees(s, "SIP/2.0 416", NULL);
        all_is_over(s, 100);
        stage_close(s);
    }
}

// ---- NOTIFYs that are challenged

static const struct core_realm realm = {
    .realm = {"example.net", 11}, .user = {"isthmus", 7}, .password = {"secret", 6}};

static void has_a_password(struct core_config *cfg)
{
    cfg->realms = &realm;
    cfg->n_realms = 1;
}

//   gateway            romeo's device
//     | NOTIFY pending      |
//     |-------------------->|
//     | 401                 |
//     |<--------------------|
//     | NOTIFY, Authorization, the next CSeq, the state of now
//     |-------------------->|
static void a_challenged_notify_leaves_again(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(has_a_password);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "CSeq: 1 NOTIFY", "pending", NULL);
    const struct sip_message *first = sip_keeps(s);
    while (xmpp_next(s))
        ;
    xmpp_says(s, JULIET_AWAY);
    while (xmpp_next(s))
        ;
    quiet(s);
    sip_answers_to(s, first, 401,
                   "WWW-Authenticate: Digest realm=\"example.net\",nonce=\"n1\",qop=\"auth\"\n");
    sip_sees(s, "NOTIFY", "CSeq: 2 NOTIFY", "active", "away", "\r\nAuthorization: Digest ",
             "nonce=\"n1\"", NULL);
    sip_answers(s, 200, "");
    quiet(s); // said once, and with it all that had waited
    xmpp_says(s, JULIET_REJECTS);
    sip_sees(s, "NOTIFY", "CSeq: 3 NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 401,
                "WWW-Authenticate: Digest realm=\"example.net\",nonce=\"n2\",qop=\"auth\","
                "stale=true\n");
    sip_sees(s, "NOTIFY", "CSeq: 4 NOTIFY", "terminated;reason=rejected", "nonce=\"n2\"", NULL);
    sip_answers(s, 200, "");
    all_is_over(s, 200);
    stage_close(s);
}

// No password for that realm, or a wrong one: a failure like others, three of which end the dialog.
static void a_challenge_that_cannot_be_met(void **state)
{
    (void)state;
    static const char *const challenges[] = {
        "WWW-Authenticate: Digest realm=\"elsewhere\",nonce=\"n\",qop=\"auth\"\n",
        "WWW-Authenticate: Digest realm=\"example.net\",nonce=\"n\",qop=\"auth\"\n"};
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open_with(has_a_password);
        struct stage_dialog d;
        serve_established(s, &d);
        xmpp_says(s, JULIET_DND);
        unsigned asked = 0;
        for (; asked < 20 && s->stanza_head == s->stanza_tail; asked++) {
            sip_sees(s, "NOTIFY", "dnd", NULL);
            sip_answers(s, 401, challenges[i]);
            if (s->sip_head == s->sip_tail)
                stage_pass_until_said(s, 6);
        }
        assert_in_range(asked, 3, 8);
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        assert_int_equal(serve_state(s), STATE_DORMANT);
        stage_close(s);
    }
}

// ---- NOTIFYs that are to come later

//   gateway            romeo's device
//     | NOTIFY dnd          |
//     |-------------------->|
//     | 503, Retry-After 60 |
//     |<--------------------|
//     | NOTIFY, the state of then
//     |-------------------->|
static void a_device_is_left_alone_as_long_as_it_asks(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 503, "Retry-After: 60\n");
    stage_pass_s(s, 10);
    xmpp_says(s, JULIET_AWAY);
    stage_pass_s(s, 40);
    xmpp_says(s, JULIET_DND);
    xmpp_says(s, JULIET_AWAY);
    stage_pass_s(s, 9);
    quiet(s);
    stage_pass_until_said(s, 2);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 503, "Retry-After: 60\n");
    stage_pass_s(s, 10);
    sip_resubscribes(s, &d, 600); // it asks itself: RFC 6665 §4.2.1.2
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 100);
    quiet(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 503, "Retry-After: 60\n");
    xmpp_says(s, JULIET_REJECTS); // and the end does not wait
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    all_is_over(s, 200);
    stage_close(s);
}

// ---- How many

static void three_per_user(struct core_config *cfg)
{
    cfg->settings.subscriptions_per_user = 3;
}

static void watches_nurse(struct stage *s, const char *who, unsigned n)
{
    char message[1024];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:nurse%u@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK%s%u;rport\nMax-Forwards: 70\n"
             "From: <sip:%s@example.net>;tag=%u\nTo: <sip:nurse%u@example.com>\nCall-ID: %s%u\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:127.0.0.1:5099>\nExpires: 600\n"
             "Event: presence\n\n",
             n, who, n, who, n, n, who, n);
    sip_says(s, message);
}

static void is_taken(struct stage *s)
{
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
}

// One past [limits] subscriptions_per_user, counted for him who watches: it costs nobody anything,
// and concerns nobody else.
static void one_sip_user_watches_too_many(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(three_per_user);
    for (unsigned n = 0; n < 3; n++) {
        watches_nurse(s, "romeo", n);
        is_taken(s);
    }
    uint64_t users = core_stats(s->core)->users;
    watches_nurse(s, "romeo", 3);
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    quiet(s);
    assert_int_equal(core_stats(s->core)->users, users);
    watches_nurse(s, "paris", 3);
    is_taken(s);
    stage_crash(s); // counted anew from the records
    stage_streams_up(s);
    while (xmpp_next(s))
        ;
    watches_nurse(s, "romeo", 4);
    sip_sees(s, "SIP/2.0 503", NULL);
    xmpp_says(s,
              "<presence from='nurse1@example.com' to='romeo@example.net' "
              "type='unsubscribed'/>");
    sip_sees(s, "NOTIFY", "rejected", NULL);
    sip_answers(s, 200, "");
    watches_nurse(s, "romeo", 5); // one has ended: there is room for one
    is_taken(s);
    watches_nurse(s, "romeo", 6);
    sip_sees(s, "SIP/2.0 503", NULL);
    for (unsigned i = 0; i < 70; i++) { // all run out
        stage_pass_s(s, 10);
        while (sip_next(s))
            if (!s->sip->status)
                sip_answers(s, 200, "");
        while (xmpp_next(s))
            ;
    }
    all_is_over(s, 200);
    watches_nurse(s, "romeo", 7);
    is_taken(s);
    stage_close(s);
}

// ---- The last days of a process

static void going_on_while_draining(struct stage *s)
{
    s->cfg.settings.draining = true;
    core_set_settings(s->core, &s->cfg.settings);
}

// Refuse what is new, go on with what there is.
static void draining_serves_who_is_there(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    going_on_while_draining(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_sees(s, "NOTIFY", "active;expires=600", "dnd", NULL);
    sip_answers(s, 200, "");
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(her_account_goes),
        cmocka_unit_test(other_errors_end_nothing),
        cmocka_unit_test(her_account_goes_while_nobody_looks),
        cmocka_unit_test(answers_say_what_can_be_asked_for),
        cmocka_unit_test(sips_is_not_translated),
        cmocka_unit_test(a_challenged_notify_leaves_again),
        cmocka_unit_test(a_challenge_that_cannot_be_met),
        cmocka_unit_test(a_device_is_left_alone_as_long_as_it_asks),
        cmocka_unit_test(one_sip_user_watches_too_many),
        cmocka_unit_test(draining_serves_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
