// What a Subscription-State says: every reason with and without retry-after, at any time of a
// dialog's life; `pending` after `active`; forks. RFC 6665 §4.1.3, RFC 3856 §6.9.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum then { LATER, AT_ONCE, NEVER, STAYS };

static const struct {
    const char *parameters;
    enum then then;
    unsigned least_s, most_s;
} reasons[] = {
    {"", LATER, 29, 39},
    {";retry-after=200", LATER, 199, 201},
    {";retry-after=1", LATER, 29, 39}, // ours is longer
    {";reason=deactivated", AT_ONCE, 0, 0},
    {";reason=deactivated;retry-after=500", AT_ONCE, 0, 0}, // without semantics
    {";reason=probation", LATER, 29, 39},
    {";reason=probation;retry-after=300", LATER, 299, 301},
    {";reason=probation;retry-after=4294967295", LATER, 86399, 86401},
    {";reason=probation;retry-after=31536000", LATER, 86399, 86401}, // a year
    {";reason=rejected", NEVER, 0, 0},
    {";reason=rejected;retry-after=10", NEVER, 0, 0},
    {";reason=timeout", LATER, 29, 39},
    {";reason=timeout;retry-after=500", LATER, 29, 39}, // without semantics
    {";reason=giveup", LATER, 29, 39},
    {";reason=giveup;retry-after=120", LATER, 119, 121},
    {";reason=noresource", NEVER, 0, 0},
    {";reason=noresource;retry-after=10", NEVER, 0, 0},
    {";reason=invariant", STAYS, 0, 0},
    {";reason=invariant;retry-after=10", STAYS, 0, 0},
    {";reason=tired", LATER, 29, 39}, // unknown: as none
    {";reason=tired;retry-after=77", LATER, 76, 78},
    {";expires=3600", LATER, 29, 39}, // MUST be ignored
    {";reason=PROBATION;Retry-After=300", LATER, 299, 301},
};
enum { REASONS = sizeof reasons / sizeof *reasons };

static void says_terminated(struct stage *s, struct stage_dialog *d, size_t i)
{
    char substate[128];
    snprintf(substate, sizeof substate, "terminated%s", reasons[i].parameters);
    sip_notifies(s, d, substate, NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
}

// Not before `least_s`, nor later than `most_s`.
static void is_tried_again(struct stage *s, unsigned least_s, unsigned most_s)
{
    stage_pass_s(s, least_s);
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, most_s), 0, most_s - least_s);
}

static void then(struct stage *s, size_t i)
{
    switch (reasons[i].then) {
    case LATER:
        quiet(s);
        is_tried_again(s, reasons[i].least_s, reasons[i].most_s);
        sip_lacks(s, "ffd2"); // "a freshly generated Call-ID and a new, unique From tag"
        break;
    case AT_ONCE: sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 ", NULL); break;
    case NEVER: all_is_over(s, 100000); break;
    case STAYS:
        stage_pass_s(s, 100000);
        quiet(s);
        assert_int_equal(s->n_records, 1);
        assert_int_equal(core_stats(s->core)->dialogs, 0);
        break;
    }
}

// romeo's server      gateway                      juliet
//   |  terminated        |                            |
//   |------------------->|  unavailable, unsubscribed |
//   |  200               |--------------------------->|
//   |<-------------------|     … later …              |
//   |  SUBSCRIBE, new    |                            |
//   |<-------------------|                            |
static void of_a_live_dialog(void **state)
{
    (void)state;
    for (size_t i = 0; i < REASONS; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        stage_pass_s(s, 100);
        says_terminated(s, &d, i);
        if (reasons[i].then == LATER || reasons[i].then == NEVER)
            xmpp_sees(s, ROMEO_GONE);
        if (reasons[i].then == NEVER)
            xmpp_sees(s, UNSUBSCRIBED);
        then(s, i);
        stage_close(s);
    }
}

// In answer to the first SUBSCRIBE, before its 200 and behind it.
static void of_the_first_notify(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * REASONS; k++) {
        size_t i = k / 2;
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        const struct sip_message *request = sip_keeps(s);
        if (k % 2)
            sip_answers(s, 200, "Expires: 3600\n");
        says_terminated(s, &d, i);
        if (k % 2 == 0)
            sip_answers_to(s, request, 200, "Expires: 3600\n");
        if (reasons[i].then == NEVER)
            xmpp_sees(s, UNSUBSCRIBED);
        if (reasons[i].then == STAYS)
            xmpp_sees(s, SUBSCRIBED);
        if (reasons[i].then == AT_ONCE) // but not when it was opened just now
            assert_in_range(seconds_until_tried_again(s, 100), 29, 39);
        else
            then(s, i);
        stage_close(s);
    }
}

// Said again, as UDP does: answered, and nothing else happens.
static void said_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < REASONS; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        stage_pass_s(s, 100);
        says_terminated(s, &d, i);
        while (xmpp_next(s))
            ;
        while (sip_next(s))
            ;
        d.cseq--;
        says_terminated(s, &d, i);
        quiet(s);
        d.cseq++;
        sip_notifies(s, &d, "active;expires=600", PIDF_AWAY); // it is over
        sip_sees(s, "SIP/2.0 481", NULL);
        quiet(s);
        stage_close(s);
    }
}

// Backoff: 30 s doubling to an hour, whatever is said for a reason; an hour and a quarter at most.
static void again_and_again(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    unsigned least = 30;
    for (int i = 0; i < 10; i++) {
        sip_notifies(s, &d, i % 2 ? "terminated;reason=probation" : "terminated;reason=giveup",
                     NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        while (xmpp_next(s))
            ;
        assert_in_range(seconds_until_tried_again(s, 5000), least - 1, least + least / 4 + 1);
        least = least * 2 > 3600 ? 3600 : least * 2;
        sip_dialog_of_subscribe(s, &d, "ffd4");
        sip_answers(s, 200, "Expires: 3600\n");
    }
    stage_close(s);
}

// ---- Pending after active

// He has taken his approval back for now, or lost it. What he says then may be bogus (RFC 3856 §4),
// and is not shown; nor is what he said before any longer. She stays subscribed, for he has not
// rejected her.
//
// romeo's server      gateway                      juliet
//   |  NOTIFY pending    |                            |
//   |------------------->|  unavailable               |
//   |  200               |--------------------------->|
//   |<-------------------|                            |
//   |  NOTIFY active     |                            |
//   |------------------->|  presence                  |
//   |                    |--------------------------->|
static void pending_after_active(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    sip_notifies(s, &d, "pending;expires=3000", PIDF(TUPLE("ID-dr4hcr0st3lup4c", OPEN("dnd"))));
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    sip_notifies(s, &d, "pending;expires=2900", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com/b' "
              "type='unavailable'/>");
    sip_notifies(s, &d, "active;expires=2800", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    sip_notifies(s, &d, "pending;expires=2800", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    sip_notifies(s, &d, "terminated;reason=rejected", NULL); // and now he has
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, UNSUBSCRIBED);
    all_is_over(s, 200);
    stage_close(s);
}

// After a restart nobody knows what she still sees: with `pending` she sees nobody.
static void pending_after_a_restart(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_crash(s);
    stage_streams_up(s);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

// ---- The power failed, and undid the last commit

// What he has approved is pending again, and she sees him.
static void his_approval_is_undone(struct stage *s, struct stage_dialog *d)
{
    said_subscribe(s, d);
    sip_answers(s, 200, "Expires: 3600\n");
    assert_int_equal(s->n_records, 1);
    struct stage_record *r = &s->records[0];
    size_t n = r->n;
    char *before = malloc(n);
    assert_non_null(before);
    memcpy(before, r->bytes, n);
    approves(s, d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    free(r->bytes);
    r->bytes = before;
    r->n = n;
    stage_crash(s);
    stage_streams_up(s);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_PENDING);
}

static void another_device_is_all_she_sees(struct stage *s, struct stage_dialog *d)
{
    sip_notifies(s, d, "active;expires=3600", PIDF(TUPLE("ID-other", "<basic>open</basic>")));
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s, "<presence from='romeo@example.net/other' to='juliet@example.com'/>");
    quiet(s);
}

// juliet          gateway                romeo's server
//    |  he, a device  |          active, a device  |
//    |<---------------|<---------------------------|
//    |                | ✝ undone: pending          |
//    |  nobody,       |                            |
//    |  another one   |           active, another  |   the first has left meanwhile
//    |<---------------|<---------------------------|
static void who_was_seen_before_the_power_failed_is_gone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    his_approval_is_undone(s, &d);
    another_device_is_all_she_sees(s, &d);
    stage_close(s);
}

// He has taken it back meanwhile, to think it over: she is not to see what she saw.
static void undecided_after_the_power_failed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    his_approval_is_undone(s, &d);
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    quiet(s);
    stage_close(s);
}

// That nobody is there did not reach her either: it is said again.
static void what_bounced_while_it_waits_is_said_again(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    his_approval_is_undone(s, &d);
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_says(s,
              "<presence from='juliet@example.com' to='romeo@example.net' type='error'>"
              "<error type='cancel'><remote-server-not-found "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>");
    quiet(s);
    another_device_is_all_she_sees(s, &d);
    stage_close(s);
}

// ---- Forks

// One SUBSCRIBE, three branches: the first NOTIFY makes the dialog, the others are told that there
// is none, before Timer N and behind it, whatever they say. RFC 3856 §6.9, RFC 3265 §4.4.9.
static void one_branch_of_a_fork(void **state)
{
    (void)state;
    static const char *const substates[] = {"active;expires=600", "pending;expires=600",
                                            "terminated;reason=rejected",
                                            "terminated;reason=noresource"};
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    const struct sip_message *request = sip_keeps(s);
    struct stage_dialog second = d, third = d;
    snprintf(second.peer_tag, sizeof second.peer_tag, "second");
    snprintf(third.peer_tag, sizeof third.peer_tag, "third");
    approves(s, &d);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    for (size_t i = 0; i < 8; i++) {
        if (i == 2) // the 200 is that of another branch than the dialog's
            sip_answers_to(s, request, 200, "Expires: 3600\n");
        if (i == 4)
            stage_pass_s(s, 40);
        sip_notifies(s, i % 2 ? &second : &third, substates[i % 4], PIDF_CLOSED);
        sip_sees(s, "SIP/2.0 481", NULL);
        quiet(s);
    }
    refresh_leaves(s);
    stage_close(s);
}

// A NOTIFY with an Event id that we never gave is of no subscription of ours: RFC 6665 §8.2.1.
static void another_event_id(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    d.cseq++;
    sip_notifies_with(s, &d,
                      "Event: presence;id=7\nSubscription-State: terminated;reason=rejected\n", "");
    sip_sees(s, "SIP/2.0 481", NULL);
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    stage_close(s);
}

// ---- Where a dialog leads

// A NOTIFY without a Contact tells no target: the refresh goes to his address, by the proxy.
static void without_a_path(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    d.cseq++;
    sip_notifies_with(s, &d, "Event: presence\nSubscription-State: active;expires=3600\n", "");
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    stage_pass_until_said(s, 3600);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net SIP/2.0", ";tag=ffd2", "CSeq: 2 ", NULL);
    assert_int_equal(s->sips[s->sip_head - 1].to.port, 5070);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_live_dialog),
        cmocka_unit_test(of_the_first_notify),
        cmocka_unit_test(said_twice),
        cmocka_unit_test(again_and_again),
        cmocka_unit_test(pending_after_active),
        cmocka_unit_test(pending_after_a_restart),
        cmocka_unit_test(who_was_seen_before_the_power_failed_is_gone),
        cmocka_unit_test(undecided_after_the_power_failed),
        cmocka_unit_test(what_bounced_while_it_waits_is_said_again),
        cmocka_unit_test(one_branch_of_a_fork),
        cmocka_unit_test(another_event_id),
        cmocka_unit_test(without_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
