// A SIP user watches an XMPP user from several devices, each with its own expiry, or asks just
// once. RFC 8048 §5.3.3, §7.2; RFC 6665 §4.2.1.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// ---- Devices and their expiry

// phone 600 s, tablet 1200 s, desk 3600 s: each ends on its own, and only with the last one is
// juliet told that romeo has gone.
static void devices_expire_one_by_one(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog desk, phone, tablet;
    serve_established(s, &desk);
    device_joins(s, &phone, 1, 600);
    device_joins(s, &tablet, 2, 1200);
    xmpp_says(s, JULIET_DND);
    for (int i = 0; i < 3; i++) {
        sip_sees(s, "NOTIFY", "dnd", NULL);
        sip_answers(s, 200, "");
    }
    quiet(s);
    static const unsigned left_s[] = {600, 600, 2400};
    for (int i = 0; i < 3; i++) {
        stage_pass_s(s, left_s[i] - 1);
        quiet(s);
        stage_pass_until_said(s, 2);
        sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout",
                 "<basic>closed</basic>", NULL);
        sip_answers(s, 200, "");
        if (i == 2)
            xmpp_sees(s, ROMEO_UNAVAILABLE);
        quiet(s);
        if (i < 2)
            assert_int_equal(serve_state(s), STATE_ACTIVE);
    }
    assert_int_equal(serve_state(s), STATE_DORMANT);
    assert_int_equal(s->n_records, 1); // the authorization stays
    stage_pass_s(s, 100);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

// He comes back: no new question, and what is known at once.
static void back_after_all_have_left(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, again;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_says(s, JULIET_DND); // her server goes on telling us
    quiet(s);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &again);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "dnd", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    assert_int_equal(serve_state(s), STATE_ACTIVE);
    stage_close(s);
}

static void unsubscribe_on_expiry(struct core_config *cfg)
{
    cfg->settings.unsubscribe_on_expiry = true;
}

// [subscription] on_expiry = "unsubscribe": the authorization goes with the last dialog.
static void on_expiry_unsubscribe(void **state)
{
    (void)state;
    for (int by_time = 0; by_time < 2; by_time++) {
        struct stage *s = stage_open_with(unsubscribe_on_expiry);
        struct stage_dialog desk, phone;
        serve_established(s, &desk);
        device_joins(s, &phone, 1, 600);
        sip_resubscribes(s, &phone, 0);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", "terminated", NULL);
        sip_answers(s, 200, "");
        quiet(s); // there is another one
        if (by_time) {
            stage_pass_until_said(s, 4000);
        } else {
            sip_resubscribes(s, &desk, 0);
            sip_sees(s, "SIP/2.0 200", NULL);
        }
        sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
        sip_answers(s, 200, "");
        xmpp_sees(s,
                  "<presence from='romeo@example.net' to='juliet@example.com' "
                  "type='unsubscribe'/>");
        all_is_over(s, 200);
        stage_close(s);
    }
}

// Nobody waits any more, and she has not decided: nothing was promised, nothing is kept.
static void pending_until_nobody_waits(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    stage_pass_until_said(s, 4000);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_answers(s, 200, "");
    all_is_over(s, 200);
    stage_close(s);
}

// RFC 6665 §4.2.1.2: a refresh is answered, and a NOTIFY follows, whether or not there is news.
static void refresh_in_the_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (int i = 0; i < 5; i++) {
        stage_pass_s(s, 3000);
        quiet(s);
        sip_resubscribes(s, &d, 3600);
        sip_sees(s, "SIP/2.0 200", "Expires: 3600",
                 "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>", NULL);
        sip_lacks(s, "Record-Route");
        sip_sees(s, "NOTIFY", "Subscription-State: active;expires=3600", "away", NULL);
        sip_answers(s, 200, "");
        quiet(s);
    }
    sip_resubscribes(s, &d, 100000); // more than we grant
    sip_sees(s, "SIP/2.0 200", "Expires: 7200", NULL);
    sip_sees(s, "NOTIFY", "active;expires=7200", NULL);
    stage_close(s);
}

// The device has moved: the remote target follows its Contact (RFC 3261 §12.2).
static void refresh_from_a_new_address(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    d.cseq++;
    sip_resubscribes_with(s, &d,
                          "Event: presence\nExpires: 600\nContact: <sip:romeo@127.0.0.9:6000>\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.9:6000", NULL);
    sip_answers(s, 200, "");
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.9:6000", NULL);
    stage_close(s);
}

// The route set is that of the SUBSCRIBE, given back in the 200 (RFC 3261 §12.1.1), and followed.
static void the_route_set_is_followed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "Record-Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>\n");
    sip_sees(s, "SIP/2.0 200", "Record-Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>",
             NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5101",
             "Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>", NULL);
    struct hop want;
    assert_int_equal(hop_parse(&want, TEXT("127.0.0.3"), 5066, HOP_UDP), 0);
    assert_true(hop_eq(&s->sips[s->sip_head - 1].to, &want));
    stage_close(s);
}

// A request that comes by two ways has two branches but makes one dialog (RFC 3261 §8.2.2.2).
static void one_request_by_two_ways(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, again;
    serve_begun(s, &d);
    char message[1024] = ROMEO_SUBSCRIBES;
    memcpy(strstr(message, "z9hG4bKna998sk"), "z9hG4bKotherwa", 14);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &again);
    assert_string_equal(again.our_tag, d.our_tag);
    sip_sees(s, "NOTIFY", "CSeq: 2 NOTIFY", NULL);
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

// What is left, not what was granted, is in an answer that is given once more: else the device
// would count from then on, and refresh too late.
//
//   romeo           gateway
//     | SUBSCRIBE, Expires 600 |
//     |----------------------->|
//     | 200, Expires 600       |  (is lost)
//     |            x-----------|
//     | the same, 20 s later   |  (a refresh: as it is; what makes the dialog: after a death)
//     |----------------------->|
//     | 200, Expires 580       |
//     |<-----------------------|
static void an_answer_given_once_more_promises_what_is_left(void **state)
{
    (void)state;
    for (int refresh = 0; refresh < 2; refresh++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        says_subscribe(s, 1, "Expires: 600\n");
        sip_sees(s, "SIP/2.0 200", "Expires: 600\r\n", NULL);
        sip_dialog_of_answer(s, &d);
        if (refresh) {
            sip_resubscribes(s, &d, 600);
        } else {
            stage_crash(s);
        }
        stage_pass_s(s, 20);
        stage_forget(s);
        if (refresh) {
            d.cseq--;
            sip_resubscribes(s, &d, 600);
        } else {
            says_subscribe(s, 1, "Expires: 600\n");
        }
        sip_sees(s, "SIP/2.0 200", "Expires: 580\r\n", NULL);
        stage_close(s);
    }
}

// The 200 of a former life comes late, so the request has been sent again: by the port that all
// shards share, where it is read after what came by the shard's own. It begins no dialog anew that
// has been refreshed or ended meanwhile.
//
//   romeo           gateway
//     | SUBSCRIBE              |
//     |----------------------->|
//     | 200                    |  (dies, and is there again)
//     | the same once more     |
//     |-------------- …        |
//     | Expires 0, or refresh  |
//     |----------------------->|
//     | 200                    |
//     |              … ------->|  (the copy)
//     | 500                    |
//     |<-----------------------|
static void a_copy_that_was_overtaken_begins_nothing(void **state)
{
    (void)state;
    for (unsigned expires_s = 0; expires_s <= 600; expires_s += 600) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        says_subscribe(s, 1, "Expires: 600\n");
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_dialog_of_answer(s, &d);
        stage_crash(s);
        stage_forget(s);
        sip_resubscribes(s, &d, expires_s);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", d.call_id, NULL);
        sip_answers(s, 200, "");
        stage_forget(s);
        says_subscribe(s, 1, "Expires: 600\n");
        sip_sees(s, "SIP/2.0 500", NULL);
        quiet(s);
        assert_int_equal(core_stats(s->core)->subscriptions, expires_s ? 1 : 0);
        assert_int_equal(s->n_records, expires_s ? 1 : 0);
        assert_int_equal(core_stats(s->core)->dialogs, 1);
        says_subscribe(s, 2, "Expires: 600\n"); // another request is another
        sip_sees(s, "SIP/2.0 200", NULL);
        stage_close(s);
    }
}

// One past CORE_DIALOGS_PER_SUB devices of one user.
static void too_many_devices(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (int i = 0; i < 64; i++) {
        says_subscribe(s, i, "");
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", NULL);
        sip_answers(s, 200, "");
        while (xmpp_next(s))
            ;
    }
    says_subscribe(s, 64, "");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    says_subscribe(s, 65, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    quiet(s);
    assert_int_equal(core_stats(s->core)->dialogs, 64);
    stage_close(s);
}

// ---- Fetches: RFC 8048 §7.2

//   romeo           gateway               juliet's server
//     | SUBSCRIBE, Expires 0 |                  |
//     |--------------------->|                  |
//     | 200, NOTIFY          |  probe           |
//     |  terminated;timeout  |----------------->|
//     |<---------------------|                  |
static void a_fetch_of_somebody_unknown(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    says_subscribe(s, 1, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout", NULL);
    sip_lacks(s, "pidf");
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_PROBES);
    quiet(s);
    says_subscribe(s, 1, "Expires: 0\n"); // sent again
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    quiet(s);
    xmpp_says(s, JULIET_AWAY); // comes to nothing: who asked has been answered
    quiet(s);
    assert_int_equal(s->puts, 0);
    all_is_over(s, 200);
    stage_close(s);
}

static void a_fetch_of_what_is_known(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    says_subscribe(s, 1, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    sip_sees(s, "NOTIFY", "Subscription-State: terminated;reason=timeout", "away",
             "id='ID-balcony'", NULL);
    sip_answers(s, 200, "");
    quiet(s);
    assert_int_equal(serve_state(s), STATE_ACTIVE); // the dialog that stands is not touched
    stage_close(s);
}

// Who has not been approved learns nothing, and an undecided request is not probed.
static void a_fetch_while_pending(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    says_subscribe(s, 1, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_lacks(s, "pidf");
    sip_answers(s, 200, "");
    quiet(s);
    stage_close(s);
}

static void three_per_minute(struct core_config *cfg)
{
    cfg->settings.new_subscriptions_per_user_per_min = 3;
}

static void too_many_fetches(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(three_per_minute);
    for (int i = 0; i < 3; i++) {
        says_subscribe(s, i, "Expires: 0\n");
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY", NULL);
        sip_answers(s, 200, "");
        xmpp_sees(s, ROMEO_PROBES);
    }
    says_subscribe(s, 3, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    quiet(s);
    stage_pass_s(s, 60);
    says_subscribe(s, 4, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_expire_one_by_one),
        cmocka_unit_test(back_after_all_have_left),
        cmocka_unit_test(on_expiry_unsubscribe),
        cmocka_unit_test(pending_until_nobody_waits),
        cmocka_unit_test(refresh_in_the_dialog),
        cmocka_unit_test(refresh_from_a_new_address),
        cmocka_unit_test(the_route_set_is_followed),
        cmocka_unit_test(one_request_by_two_ways),
        cmocka_unit_test(an_answer_given_once_more_promises_what_is_left),
        cmocka_unit_test(a_copy_that_was_overtaken_begins_nothing),
        cmocka_unit_test(too_many_devices),
        cmocka_unit_test(a_fetch_of_somebody_unknown),
        cmocka_unit_test(a_fetch_of_what_is_known),
        cmocka_unit_test(a_fetch_while_pending),
        cmocka_unit_test(too_many_fetches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
