// Nobody on the SIP side is asked more often than he has said, and nobody makes the gateway ask on
// and on: what is under way when a dialog ends, and answers that come again and again. RFC 3261
// §20.33, RFC 6665 §4.1.2, §4.1.3.
#include "flows.h"

#include <stdio.h>

#define JULIET "juliet@example.com"

// The watch is established and its refresh due: the probe is out. Returns the fence's id.
static const char *refresh_is_due(struct stage *s, struct stage_dialog *d)
{
    watch_established(s, d);
    stage_pass_until_said(s, 3600);
    const char *id = xmpp_sees_probe(s, JULIET);
    quiet(s);
    return id;
}

static void ends_meanwhile(struct stage *s, struct stage_dialog *d, const char *substate)
{
    sip_notifies(s, d, substate, NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
}

// juliet's server    gateway              romeo's server
//   |  probe, fence    |                      |
//   |<-----------------|  NOTIFY terminated;  |
//   |                  |  retry-after=300     |
//   |  unavailable     |<---------------------|
//   |<-----------------|                      |
//   |  answer          |  (nothing, for 300 s)|
//   |----------------->|                      |
static void the_probe_is_answered_too_late(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    const char *id = refresh_is_due(s, &d);
    ends_meanwhile(s, &d, "terminated;reason=probation;retry-after=300");
    xmpp_sees(s, ROMEO_GONE);
    xmpp_answers_fence(s, JULIET, id);
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 1000), 299, 301);
    stage_close(s);
}

// The same with an end that is one (RFC 6665 §4.1.3: `invariant`).
static void the_probe_of_what_never_changes(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    const char *id = refresh_is_due(s, &d);
    ends_meanwhile(s, &d, "terminated;reason=invariant");
    xmpp_answers_fence(s, JULIET, id);
    quiet(s);
    stage_pass_s(s, 100000);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    stage_close(s);
}

//   juliet          gateway              romeo's server
//     |               |  SUBSCRIBE (refresh) |
//     |               |--------------------->|
//     |               |  503, Retry-After    |
//     |  unavailable  |<---------------------|
//     |<--------------|  (the dialog's time) |
//     |               |  SUBSCRIBE           |
//     |               |--------------------->|   not before
static void left_alone_beyond_the_end(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    uint64_t answered_ms = s->now_ms;
    sip_answers(s, 503, "Retry-After: 20000\n");
    quiet(s);
    stage_pass_until_said(s, 3600);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    seconds_until_tried_again(s, 30000);
    assert_in_range((s->now_ms - answered_ms) / 1000, 19999, 20001);
    stage_close(s);
}

// What he says last holds.
static void left_alone_no_longer(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    sip_answers(s, 503, "Retry-After: 20000\n");
    stage_streams_down(s);
    stage_streams_up(s); // no reason to ask him before his time
    stage_pass_s(s, 1);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    ends_meanwhile(s, &d, "terminated;reason=deactivated");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    xmpp_next(s);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    while (xmpp_next(s))
        ;
    ends_meanwhile(s, &d, "terminated;reason=invariant");
    stage_pass_s(s, 30000);
    quiet(s);
    stage_close(s);
}

//   |               |  SUBSCRIBE           |
//   |               |--------------------->|
//   |               |  NOTIFY, then 481    |
//   |               |<---------------------|
//   |               |  (not at once again) |
static void a_dialog_that_never_was(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    const struct sip_message *request = sip_keeps(s);
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_answers_to(s, request, 481, "");
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 1000), 29, 39);
    stage_close(s);
}

//   |               |  SUBSCRIBE, 200, NOTIFY
//   |               |<-------------------->|
//   |               |  a refresh, 481      |   as soon as one can come
//   |               |<-------------------->|
//   |               |  SUBSCRIBE           |   and she notices nothing
//   |               |--------------------->|
static void a_short_dialog_is_followed_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 6\n");
    sip_notifies(s, &d, "active;expires=6", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    while (xmpp_next(s))
        ;
    stage_pass_until_said(s, 6);
    const char *id = xmpp_sees_probe(s, JULIET);
    xmpp_answers_fence(s, JULIET, id);
    sip_sees(s, "SUBSCRIBE", "CSeq: 2 SUBSCRIBE", NULL);
    sip_answers(s, 481, "");
    sip_sees(s, "SUBSCRIBE", "CSeq: 1 SUBSCRIBE", NULL);
    quiet(s);
    stage_close(s);
}

//   |               |  SUBSCRIBE           |
//   |               |--------------------->|
//   |               |  423, more each time |
//   |               |<---------------------|
//   |               |  SUBSCRIBE, that long|
//   |               |--------------------->|
//   |               |  423, more again     |
//   |               |<---------------------|
//   |               |  (later)             |
static void never_long_enough(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 423, "Min-Expires: 3601\n");
    sip_sees(s, "SUBSCRIBE", "Expires: 3601\r\n", NULL);
    sip_answers(s, 423, "Min-Expires: 3602\n");
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 1000), 29, 39);
    stage_close(s);
}

// ---- Room for requests in flight

static void four_in_flight(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 4;
}

// juliet's server    gateway            a proxy; behind it a domain that says nothing
//   |  subscribe r0…r3 |  SUBSCRIBE r0…r2      |
//   |----------------->|---------------------->|
//   |  presence        |  NOTIFY, to romeo     |
//   |----------------->|---------------------->|
static void who_is_there_has_room_that_new_ones_may_not_take(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(four_in_flight);
    struct stage_dialog d;
    serve_established(s, &d);
    for (int i = 0; i < 4; i++) {
        char stanza[256];
        snprintf(stanza, sizeof stanza,
                 "<presence from='juliet@example.com' to='r%d@example.net' type='subscribe'/>", i);
        xmpp_says(s, stanza);
        if (i < 3)
            sip_sees(s, "SUBSCRIBE", NULL);
    }
    quiet(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@", "<show xmlns='jabber:client'>dnd</show>", NULL);
    quiet(s);
    stage_close(s);
}

static const struct text two_domains[] = {{"example.net", 11}, {"example.org", 11}};

static void eight_in_flight_to_two_domains(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 8;
    cfg->trust.sip_domains = two_domains;
    cfg->trust.n_sip_domains = 2;
}

static void asks_for(struct stage *s, const char *type, const char *whom)
{
    char stanza[256];
    snprintf(stanza, sizeof stanza, "<presence from='juliet@example.com' to='%s' type='%s'/>", whom,
             type);
    xmpp_says(s, stanza);
}

// Six may open dialogs: of example.org, which says nothing, three; of example.net two, and so on.
//
// juliet's server    gateway            a proxy; behind it example.org, silent, and example.net
//   |  subscribe r0…r5 |  SUBSCRIBE r0…r2      |
//   |----------------->|---------------------->|
//   |  subscribe romeo |  SUBSCRIBE romeo      |
//   |----------------->|---------------------->|
//   |  subscribe r5    |  SUBSCRIBE r5         |
//   |----------------->|---------------------->|  when r0…r2 are given up
static void a_silent_domain_leaves_room_to_the_others(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(eight_in_flight_to_two_domains);
    char whom[32];
    for (int i = 0; i < 6; i++) {
        snprintf(whom, sizeof whom, "r%d@example.org", i);
        asks_for(s, "subscribe", whom);
        if (i < 3)
            sip_sees(s, "SUBSCRIBE sip:r", NULL);
        quiet(s);
    }
    assert_int_equal(core_stats(s->core)->put_off, 3);
    asks_for(s, "subscribe", "romeo@example.net");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    quiet(s);
    stage_pass_s(s, 40); // r0 … r2 are given up
    stage_forget(s);
    asks_for(s, "subscribe", "r5@example.org");
    sip_sees(s, "SUBSCRIBE sip:r5@example.org", NULL);
    quiet(s);
    stage_close(s);
}

// The same of those who have no subscription, and only ask once.
static void fetches_from_a_silent_domain_leave_room(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(eight_in_flight_to_two_domains);
    char whom[32];
    for (int i = 0; i < 6; i++) {
        snprintf(whom, sizeof whom, "r%d@example.org", i);
        asks_for(s, "probe", whom);
        if (i < 3)
            sip_sees(s, "SUBSCRIBE sip:r", "Expires: 0\r\n", NULL);
        else
            assert_non_null(strstr(xmpp_next(s), "<resource-constraint "));
        quiet(s);
    }
    asks_for(s, "probe", "romeo@example.net");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 0\r\n", NULL);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_probe_is_answered_too_late),
        cmocka_unit_test(the_probe_of_what_never_changes),
        cmocka_unit_test(left_alone_beyond_the_end),
        cmocka_unit_test(left_alone_no_longer),
        cmocka_unit_test(a_dialog_that_never_was),
        cmocka_unit_test(a_short_dialog_is_followed_at_once),
        cmocka_unit_test(never_long_enough),
        cmocka_unit_test(who_is_there_has_room_that_new_ones_may_not_take),
        cmocka_unit_test(a_silent_domain_leaves_room_to_the_others),
        cmocka_unit_test(fetches_from_a_silent_domain_leave_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
