// The life of a watch dialog: refreshes that fail, documents, and where requests go. RFC 6665
// §4.1.2.2, RFC 8048 §6.3, RFC 3261 §12.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// ---- Refreshes that fail

static void refresh_481_begins_anew(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 481, "");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    sip_lacks(s, "ffd2");
    quiet(s);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    approves(s, &d);
    quiet(s); // the same presence: she need not know
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

// RFC 6665 §4.1.2.2: the dialog stands until it expires, so it is tried again while there is time.
static void refresh_5xx_is_tried_again_until_expiry(void **state)
{
    (void)state;
    static const unsigned statuses[] = {500, 503, 408, 504, 513};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        uint64_t expires_ms = s->now_ms + 3600 * 1000;
        refresh_leaves(s);
        unsigned tries = 0;
        while (s->now_ms + 31000 < expires_ms) {
            tries++;
            sip_answers(s, statuses[i], "");
            quiet(s);
            stage_pass_until_said(s, 40);
            if (is_next(s, "type='probe'")) // the window is a minute
                probe_is_answered(s);
            sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
        }
        assert_true(tries >= 1);
        sip_answers(s, statuses[i], "");
        stage_pass_until_said(s, 40);
        assert_in_range(s->now_ms, expires_ms - 100, expires_ms + 200);
        xmpp_sees(s, ROMEO_GONE);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_DORMANT);
        assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        sip_lacks(s, "ffd2");
        stage_close(s);
    }
}

static void refresh_403_ends_it(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 403, "");
    xmpp_sees(s, ROMEO_GONE);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

static void refresh_404_ends_the_dialog_only(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 404, "");
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_DORMANT);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

static void refresh_without_a_notify_ends_the_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 200, "Expires: 3600\n");
    stage_pass_ms(s, 31900);
    quiet(s);
    stage_pass_ms(s, 200);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    stage_close(s);
}

// A refresh that finds nobody is repeated until Timer N says that the subscription is no more.
static void refresh_into_silence(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    uint64_t begin_ms = s->now_ms;
    for (int i = 0; i < 10; i++) {
        stage_pass_until_said(s, 5);
        sip_sees(s, "SUBSCRIBE", "CSeq: 2 SUBSCRIBE", NULL);
    }
    stage_pass_until_said(s, 5);
    assert_in_range(s->now_ms - begin_ms, 32000, 32200);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_DORMANT);
    assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
    sip_lacks(s, "ffd2");
    stage_close(s);
}

// 423 to a refresh: the subscription goes on, asking for what the peer wants, without a gap.
static void refresh_423_asks_for_more(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 423, "Min-Expires: 7200\n");
    sip_sees(s, "SUBSCRIBE", "Expires: 7200", NULL);
    quiet(s);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 7200\n");
    sip_notifies(s, &d, "active;expires=7200", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_pass_until_said(s, 7200);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd3", "Expires: 7200", NULL); // it has learnt that
    stage_close(s);
}

// A notifier may grant very little: half of it is left to pass, then it is refreshed.
static void a_short_grant_is_used(void **state)
{
    (void)state;
    static const unsigned granted_s[] = {600, 60, 40, 20, 4, 0};
    static const struct {
        unsigned least_s, most_s;
    } due[] = {{490, 559}, {24, 31}, {16, 21}, {8, 11}, {5, 6}, {5, 6}};
    for (size_t i = 0; i < sizeof due / sizeof *due; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        char substate[64];
        said_subscribe(s, &d);
        sip_answers(s, 200, "Expires: 3600\n");
        snprintf(substate, sizeof substate, "active;expires=%u", granted_s[i]);
        sip_notifies(s, &d, substate, PIDF_AWAY);
        sip_sees(s, "SIP/2.0 200", NULL);
        xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_AWAY);
        uint64_t before_ms = s->now_ms;
        refresh_leaves(s);
        assert_in_range((s->now_ms - before_ms) / 1000, due[i].least_s, due[i].most_s);
        stage_close(s);
    }
}

// ---- Documents

static void document(struct stage *s, struct stage_dialog *d, const char *pidf)
{
    sip_notifies(s, d, "active;expires=3600", pidf);
    sip_sees(s, "SIP/2.0 200", NULL);
}

#define FROM_DEVICE(device) "<presence from='romeo@example.net/" device "' to='juliet@example.com'"

// PIDF is full state: one presence for each tuple; a tuple that is gone is `unavailable`.
static void several_tuples_then_one_is_gone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    document(s, &d,
             PIDF(TUPLE("ID-desk", OPEN("dnd")) TUPLE("ID-phone", "<basic>open</basic>")
                      TUPLE("ID-car", "<basic>closed</basic>")));
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, FROM_DEVICE("desk") "><show>dnd</show></presence>");
    xmpp_sees(s, FROM_DEVICE("phone") "/>");
    xmpp_sees(s, FROM_DEVICE("car") " type='unavailable'/>");
    quiet(s);
    document(s, &d, PIDF(TUPLE("ID-phone", "<basic>open</basic>")));
    xmpp_sees(s, FROM_DEVICE("desk") " type='unavailable'/>"); // and nothing about the car
    quiet(s);
    document(s, &d,
             PIDF(TUPLE("ID-phone", "<basic>open</basic>") //
                  TUPLE("ID-desk", OPEN("dnd"))));
    xmpp_sees(s, FROM_DEVICE("desk") "><show>dnd</show></presence>");
    quiet(s);
    document(s, &d, PIDF(TUPLE("ID-phone", "<basic>open</basic>")));
    xmpp_sees(s, FROM_DEVICE("desk") " type='unavailable'/>");
    quiet(s);
    document(s, &d, PIDF(""));
    xmpp_sees(s, FROM_DEVICE("phone") " type='unavailable'/>");
    quiet(s);
    stage_close(s);
}

static void duplicate_tuples_count_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    document(s, &d,
             PIDF(TUPLE("ID-desk", OPEN("dnd")) TUPLE("ID-desk", OPEN("away"))
                      TUPLE("ID-desk", "<basic>closed</basic>")));
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, FROM_DEVICE("desk") "><show>dnd</show></presence>");
    quiet(s);
    stage_close(s);
}

static void the_same_again_is_not_said(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    document(s, &d, PIDF_AWAY);
    sip_notifies(s, &d, "active;expires=3600", NULL); // no document: no news
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_close(s);
}

// Thirty-two devices, then thirty-two others: none of the first stays behind as a ghost.
static void all_devices_change_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    bool there[2][32] = {0};
    for (int round = 0; round < 2; round++) {
        char pidf[8192] =
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>";
        size_t n = strlen(pidf);
        for (int i = 0; i < 32; i++)
            n += (size_t)sprintf(pidf + n,
                                 "<tuple id='ID-%c%d'><status><basic>open</basic></status></tuple>",
                                 'a' + round, i);
        strcpy(pidf + n, "</presence>");
        document(s, &d, pidf);
        for (const char *stanza; (stanza = xmpp_next(s));) {
            char set;
            int i;
            if (sscanf(stanza, "<presence from='romeo@example.net/%c%d'", &set, &i) == 2)
                there[set - 'a'][i] = !strstr(stanza, "unavailable");
        }
    }
    for (int i = 0; i < 32; i++) {
        assert_false(there[0][i]);
        assert_true(there[1][i]);
    }
    stage_close(s);
}

// ---- Where requests go

// RFC 3261 §12.2: the remote target follows the peer's Contact.
static void the_target_is_refreshed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    d.cseq++;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:moved@127.0.0.7:5099;x=y>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    refresh_leaves(s);
    assert_true(text_eq(stage_sip(s, s->sip->ruri), TEXT("sip:moved@127.0.0.7:5099;x=y")));
    sip_lacks(s, "Route:");
    assert_int_equal(s->sips[s->sip_head - 1].to.port, 5070); // all by way of the proxy
    stage_close(s);
}

// The route set is the NOTIFY's Record-Route in its order (RFC 3261 §12.1.1, RFC 6665 §4.4.1), and
// its first element is the next hop; it does not change afterwards.
static void the_route_set_is_followed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\nRecord-Route: <sip:10.9.9.9;lr>\n");
    d.cseq = 1;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:presence@127.0.0.1:5070>\n"
                      "Record-Route: <sip:127.0.0.3:5066;lr>, <sip:edge.example.net;lr>\n"
                      "Record-Route: <sip:127.0.0.4;lr>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    d.cseq++;
    sip_notifies_with(s, &d,
                      "Event: presence\nSubscription-State: active;expires=3600\n"
                      "Contact: <sip:presence@127.0.0.1:5070>\nRecord-Route: <sip:10.1.1.1;lr>\n",
                      "");
    sip_sees(s, "SIP/2.0 200", NULL);
    refresh_leaves(s);
    const struct stage_message *m = &s->sips[s->sip_head - 1];
    assert_non_null(strstr(m->bytes, "\r\nRoute: <sip:127.0.0.3:5066;lr>"));
    const char *a = strstr(m->bytes, "127.0.0.3"), *b = strstr(m->bytes, "edge.example.net"),
               *c = strstr(m->bytes, "127.0.0.4");
    assert_true(a && b && c && a < b && b < c);
    sip_lacks(s, "10.1.1.1");
    struct hop want;
    assert_int_equal(hop_parse(&want, TEXT("127.0.0.3"), 5066, HOP_UDP), 0);
    assert_true(hop_eq(&m->to, &want));
    stage_crash(s); // and it outlives the process
    stage_streams_up(s);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", "Route: <sip:127.0.0.3:5066;lr>", "edge.example.net", NULL);
    assert_true(hop_eq(&s->sips[s->sip_head - 1].to, &want));
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refresh_481_begins_anew),
        cmocka_unit_test(refresh_5xx_is_tried_again_until_expiry),
        cmocka_unit_test(refresh_403_ends_it),
        cmocka_unit_test(refresh_404_ends_the_dialog_only),
        cmocka_unit_test(refresh_without_a_notify_ends_the_dialog),
        cmocka_unit_test(refresh_into_silence),
        cmocka_unit_test(refresh_423_asks_for_more),
        cmocka_unit_test(a_short_grant_is_used),
        cmocka_unit_test(several_tuples_then_one_is_gone),
        cmocka_unit_test(duplicate_tuples_count_once),
        cmocka_unit_test(the_same_again_is_not_said),
        cmocka_unit_test(all_devices_change_at_once),
        cmocka_unit_test(the_target_is_refreshed),
        cmocka_unit_test(the_route_set_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
