// Directed presence (RFC 6121 §4.6): what she says to a SIP user alone changes what he sees of her,
// if he watches her, and is nothing otherwise. It never makes a SIP message of its own.
//
//   juliet            gateway              romeo
//     |  presence to romeo                   |
//     |----------------->|  NOTIFY           |
//     |                  |------------------>|
#include "flows.h"

#include <string.h>

#define SHE_SAYS(resource, to, inside)                                                             \
    "<presence from='juliet@example.com/" resource "' to='" to "'>" inside "</presence>"
#define SHE_LEAVES(resource, to)                                                                   \
    "<presence from='juliet@example.com/" resource "' to='" to "' type='unavailable'/>"

static void he_sees(struct stage *s, const char *what, const char *more)
{
    sip_sees(s, "NOTIFY", "Subscription-State: active", what, more, NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

// She is away for all; for him she is there, then not, then as for all.
static void it_changes_what_he_sees(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SHE_SAYS("balcony", "romeo@example.net", "<show>chat</show>"));
    he_sees(s, "<show xmlns='jabber:client'>chat</show>", "ID-balcony");
    xmpp_says(s, SHE_LEAVES("balcony", "romeo@example.net"));
    he_sees(s, "<basic>closed</basic>", "ID-balcony");
    xmpp_says(s, JULIET_AWAY);
    he_sees(s, "<show xmlns='jabber:client'>away</show>", "ID-balcony");
    stage_close(s);
}

// One device that says so is one more, and its directed `unavailable` takes away that one only.
static void each_device_for_itself(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SHE_SAYS("chamber", "romeo@example.net", ""));
    he_sees(s, "ID-balcony", "ID-chamber");
    xmpp_says(s, SHE_LEAVES("chamber", "romeo@example.net"));
    sip_sees(s, "NOTIFY", "ID-balcony", NULL);
    sip_lacks(s, "chamber");
    sip_answers(s, 200, "");
    xmpp_says(s, SHE_LEAVES("chamber", "romeo@example.net")); // again: nothing new
    quiet(s);
    stage_close(s);
}

// RFC 6121 §4.6.1: it may be meant for one of his devices; the subscription is of them all.
static void to_one_of_his_devices_it_is_the_same(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, SHE_SAYS("balcony", "romeo@example.net/orchard", "<show>dnd</show>"));
    he_sees(s, "<show xmlns='jabber:client'>dnd</show>", "ID-balcony");
    xmpp_says(s, SHE_LEAVES("balcony", "romeo@example.net/orchard"));
    he_sees(s, "<basic>closed</basic>", "ID-balcony");
    stage_close(s);
}

// To somebody who does not watch her: no SIP message, no stanza, no record, no memory.
static void who_does_not_watch_her_costs_nothing(void **state)
{
    (void)state;
    static const char *const SAID[] = {
        SHE_SAYS("balcony", "benvolio@example.net", "<show>chat</show>"),
        SHE_LEAVES("balcony", "benvolio@example.net"),
        SHE_SAYS("balcony", "benvolio@example.net/x", ""),
        SHE_LEAVES("balcony", "benvolio@example.net/x"),
        SHE_SAYS("balcony", "example.net", ""),
        SHE_LEAVES("balcony", "example.net"),
        SHE_SAYS("balcony", "gw.example.net", ""),
        SHE_SAYS("balcony", "benvolio@gw.example.net", ""),
        "<presence from='juliet@example.com' to='benvolio@example.net'/>",
        "<presence from='juliet@example.com' to='benvolio@example.net' type='unavailable'/>",
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof SAID / sizeof *SAID; i++) {
        xmpp_says(s, SAID[i]);
        quiet(s);
    }
    assert_int_equal(s->puts, 0);
    assert_int_equal(core_stats(s->core)->users, 0);
    assert_int_equal(core_stats(s->core)->timers, 0);
    stage_pass_s(s, 3600);
    quiet(s);
    stage_close(s);
}

// She watches him, he does not watch her. (Once she has shown herself to him, its end may be that
// of her session, and then what she watches for is over: core/watch_session.h.)
static void whom_she_watches_is_not_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    unsigned puts = s->puts;
    xmpp_says(s, SHE_LEAVES("balcony", "romeo@example.net"));
    xmpp_says(s, SHE_LEAVES("balcony", "romeo@example.net/x"));
    xmpp_says(s, SHE_SAYS("balcony", "romeo@example.net", "<show>chat</show>"));
    xmpp_says(s, SHE_SAYS("balcony", "romeo@example.net", "<show>dnd</show>"));
    quiet(s);
    assert_int_equal(s->puts, puts);
    stage_close(s);
}

// Before she has decided a directed `unavailable` decides nothing.
static void leaving_is_no_approval(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_begun(s, &d);
    xmpp_says(s, SHE_LEAVES("balcony", "romeo@example.net"));
    quiet(s);
    assert_int_equal(serve_state(s), STATE_PENDING);
    stage_close(s);
}

// After a restart the answer to the probe tells, not what she had told him alone.
static void it_lasts_no_longer_than_what_is_known(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    unsigned puts = s->puts;
    xmpp_says(s, SHE_SAYS("balcony", "romeo@example.net", "<show>chat</show>"));
    he_sees(s, "<show xmlns='jabber:client'>chat</show>", "ID-balcony");
    assert_int_equal(s->puts, puts); // presence is not stored
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_changes_what_he_sees),
        cmocka_unit_test(each_device_for_itself),
        cmocka_unit_test(to_one_of_his_devices_it_is_the_same),
        cmocka_unit_test(who_does_not_watch_her_costs_nothing),
        cmocka_unit_test(whom_she_watches_is_not_told),
        cmocka_unit_test(leaving_is_no_approval),
        cmocka_unit_test(it_lasts_no_longer_than_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
