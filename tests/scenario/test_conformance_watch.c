// What RFC 6665 asks of a subscriber, where no other scenario shows it: see tests/CONFORMANCE.md.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// ---- Refreshes: RFC 6665 §4.1.2.2

// A refresh has left; the dialog that it was in, and its Call-ID and our tag.
static void refreshed(struct stage *s, struct stage_dialog *d)
{
    watch_established(s, d);
    refresh_leaves(s);
}

static void is_another_dialog(struct stage *s, const struct stage_dialog *old)
{
    struct stage_dialog new;
    sip_lacks(s, old->call_id);
    sip_lacks(s, old->our_tag);
    sip_lacks(s, "ffd2");
    sip_dialog_of_subscribe(s, &new, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &new, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

//   juliet          gateway              romeo's server
//     |               |  SUBSCRIBE, in dialog|
//     |               |--------------------->|
//     |  unavailable  |  404, 405, 410 …     |
//     |<--------------|<---------------------|
//     |               |     … later …        |
//     |               |  SUBSCRIBE, new      |
//     |               |--------------------->|
static void these_end_the_subscription(void **state)
{
    (void)state;
    static const unsigned statuses[] = {404, 405, 410, 416, 480, 482, 483, 484, 485, 501, 604};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        refreshed(s, &d);
        sip_answers(s, statuses[i], "");
        xmpp_sees(s, ROMEO_GONE);
        quiet(s);
        assert_int_equal(core_stats(s->core)->dialogs, 0);
        sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY); // no longer ours
        sip_sees(s, "SIP/2.0 481", NULL);
        quiet(s);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        is_another_dialog(s, &d);
        xmpp_sees(s, ROMEO_AWAY);
        stage_close(s);
    }
}

static void dialog_not_there_begins_anew_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    refreshed(s, &d);
    sip_answers(s, 481, "");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    is_another_dialog(s, &d);
    quiet(s); // she has seen no gap
    stage_close(s);
}

// RFC 8048 §5.2.2: 403, 489 and 603 are final in a refresh, too.
static void these_end_the_authorization(void **state)
{
    (void)state;
    static const unsigned statuses[] = {403, 489, 603};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        refreshed(s, &d);
        sip_answers(s, statuses[i], "");
        xmpp_sees(s, ROMEO_GONE);
        xmpp_sees(s, UNSUBSCRIBED);
        all_is_over(s, 8000);
        stage_close(s);
    }
}

// ---- How long: §4.1.2.1, §4.1.3

// 202 is of RFC 3265, and says no more than 200.
static void accepted_is_as_good_as_ok(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 202, "Expires: 600\n");
    quiet(s);
    sip_notifies(s, &d, "active", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    uint64_t before_ms = s->now_ms;
    refresh_leaves(s);
    assert_in_range((s->now_ms - before_ms) / 1000, 490, 559);
    stage_close(s);
}

// The 200 may grant less than was asked for, and never more.
static void the_200_tells_how_long(void **state)
{
    (void)state;
    static const struct {
        const char *expires;
        unsigned least_s, most_s;
    } rows[] = {{"Expires: 120\n", 60, 79},
                {"Expires: 90000\n", 3197, 3559},
                {"", 3197, 3559}}; // none: as asked
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 200, rows[i].expires);
        sip_notifies(s, &d, "active", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, SUBSCRIBED);
        uint64_t before_ms = s->now_ms;
        refresh_leaves(s);
        assert_in_range((s->now_ms - before_ms) / 1000, rows[i].least_s, rows[i].most_s);
        stage_close(s);
    }
}

// What a pending NOTIFY says of its end counts as much as that of an active one.
static void pending_tells_how_long_as_well(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=120", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    uint64_t before_ms = s->now_ms;
    refresh_leaves(s);
    assert_in_range((s->now_ms - before_ms) / 1000, 60, 79);
    quiet(s); // and she has heard nothing
    stage_close(s);
}

// `expires` says nothing about what is over.
static void the_end_has_no_expires(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_s(s, 100);
    sip_notifies(s, &d, "terminated;reason=giveup;expires=3600;retry-after=60", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    assert_int_equal(watch_state(s), STATE_DORMANT);
    assert_in_range(seconds_until_tried_again(s, 1000), 59, 61);
    is_another_dialog(s, &d);
    stage_close(s);
}

// ---- Forks and migration: §4.1.4, §4.4.1, §4.4.2

//   romeo's proxy       gateway
//     |  200, To tag A     |
//     |------------------->|
//     |  NOTIFY, From tag B|     another branch of the fork than the one whose 200 came through
//     |------------------->|
//     |  SUBSCRIBE, To tag B, by B's route
//     |<-------------------|
static void the_notify_makes_the_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\nContact: <sip:a@127.0.0.7>\n"); // tag "answer"
    snprintf(d.peer_tag, sizeof d.peer_tag, "branchB");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_pass_until_said(s, 3600);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE sip:presence@127.0.0.1:5070", ";tag=branchB", NULL);
    sip_lacks(s, "answer");
    sip_lacks(s, "127.0.0.7");
    stage_close(s);
}

// A subscription that is sent elsewhere goes there by no old route.
static void a_migrated_subscription_has_no_old_route(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    d.cseq = 1;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:presence@127.0.0.1:5070>\nRecord-Route: <sip:127.0.0.3;lr>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    stage_pass_s(s, 100);
    sip_notifies(s, &d, "terminated;reason=deactivated", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    sip_lacks(s, "Route:");
    sip_lacks(s, "presence@127.0.0.1");
    assert_int_equal(s->sips[s->sip_head - 1].to.port, 5070);
    is_another_dialog(s, &d);
    stage_close(s);
}

// ---- Polling: §4.4.3

static void with_password(struct core_config *cfg)
{
    static const struct core_realm realms[] = {
        {{"example.net", 11}, {"gateway", 7}, {"secret", 6}},
    };
    cfg->realms = realms;
    cfg->n_realms = 1;
}

//   juliet          gateway              romeo's server
//     |  probe        |  SUBSCRIBE, Expires 0|
//     |-------------->|--------------------->|
//     |               |  401                 |
//     |               |<---------------------|
//     |               |  the same, with credentials
//     |               |--------------------->|
//     |  probe        |  SUBSCRIBE, Expires 0, with credentials at once
//     |-------------->|--------------------->|
static void credentials_serve_the_next_poll(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(with_password);
    struct stage_dialog d;
    for (int poll = 0; poll < 3; poll++) {
        xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>");
        if (!poll) {
            sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
            sip_lacks(s, "Authorization");
            sip_answers(s, 401,
                        "WWW-Authenticate: Digest realm=\"example.net\", nonce=\"n7\", "
                        "qop=\"auth\"\n");
        }
        sip_sees(s, "SUBSCRIBE", "Expires: 0", "\r\nAuthorization: Digest ", "nonce=\"n7\"", NULL);
        sip_dialog_of_subscribe(s, &d, "ffd2");
        sip_answers(s, 200, "Expires: 0\n");
        sip_notifies(s, &d, "terminated;reason=timeout", PIDF_CLOSED);
        sip_sees(s, "SIP/2.0 200", NULL);
        assert_true(is_next(s, "type='unavailable'"));
        xmpp_next(s);
        quiet(s);
    }
    stage_close(s);
}

// ---- Whose it is: RFC 8048 §8.2

// juliet, nurse      gateway            romeo's server
//   |                  |  NOTIFY away (juliet's dialog)
//   |  away (juliet)   |<-----------------|
//   |<-----------------|                  |
//   |                  |  NOTIFY dnd (nurse's dialog)
//   |  dnd (nurse)     |<-----------------|
//   |<-----------------|                  |
static void each_sees_what_was_meant_for_her(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog juliet, nurse;
    watch_established(s, &juliet);
    xmpp_says(s, "<presence from='nurse@example.com' to='romeo@example.net' type='subscribe'/>");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "From: <sip:nurse@example.com>", NULL);
    sip_dialog_of_subscribe(s, &nurse, "ffd9");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &nurse, "active;expires=3600", PIDF(TUPLE("ID-desk", OPEN("dnd"))));
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, "<presence from='romeo@example.net' to='nurse@example.com' type='subscribed'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/desk' to='nurse@example.com'>"
              "<show>dnd</show></presence>");
    quiet(s);
    sip_notifies(s, &juliet, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    xmpp_says(s, "<presence from='nurse@example.com/b' to='romeo@example.net' type='probe'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/desk' to='nurse@example.com/b'>"
              "<show>dnd</show></presence>");
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(these_end_the_subscription),
        cmocka_unit_test(dialog_not_there_begins_anew_at_once),
        cmocka_unit_test(these_end_the_authorization),
        cmocka_unit_test(accepted_is_as_good_as_ok),
        cmocka_unit_test(the_200_tells_how_long),
        cmocka_unit_test(pending_tells_how_long_as_well),
        cmocka_unit_test(the_end_has_no_expires),
        cmocka_unit_test(the_notify_makes_the_dialog),
        cmocka_unit_test(a_migrated_subscription_has_no_old_route),
        cmocka_unit_test(credentials_serve_the_next_poll),
        cmocka_unit_test(each_sees_what_was_meant_for_her),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
