// Her presence session: while she is not there the SIP side keeps no dialog for her, and nothing of
// her authorizations is lost. RFC 8048 §1, §5.2.2; RFC 6121 §4.4 to §4.6.
#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_S 5

// ---- Words

static void says(struct stage *s, const char *resource, const char *to, const char *type)
{
    char stanza[512];
    snprintf(stanza, sizeof stanza,
             "<presence from='juliet@example.com%s%s' to='%s@example.net'%s%s%s/>",
             *resource ? "/" : "", resource, to, *type ? " type='" : "", type, *type ? "'" : "");
    xmpp_says(s, stanza);
}

// He may watch her, and sees her on the balcony.
static void is_watched_by(struct stage *s, const char *who, struct stage_dialog *d)
{
    char message[2048];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK%s;rport\nMax-Forwards: 70\n"
             "From: <sip:%s@example.net>;tag=t\nTo: <sip:juliet@example.com>\n"
             "Call-ID: %s\nCSeq: 1 SUBSCRIBE\nContact: <sip:%s@127.0.0.1:5099>\n"
             "Event: presence\nExpires: 7200\n\n",
             who, who, who, who);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
    if (d)
        sip_dialog_of_answer(s, d);
    sip_sees(s, "NOTIFY", "pending", NULL);
    sip_answers(s, 200, "");
    for (int i = 0; i < 3; i++) // probe, fence, subscribe
        assert_non_null(xmpp_next(s));
    snprintf(message, sizeof message,
             "<iq type='error' from='juliet@example.com' to='%s@example.net' id='serve-fence'>"
             "<error type='cancel'><service-unavailable "
             "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
             who);
    xmpp_says(s, message);
    says(s, "", who, "subscribed");
    sip_sees(s, "NOTIFY", "active", NULL);
    sip_answers(s, 200, "");
    assert_non_null(xmpp_next(s)); // a probe
    says(s, "balcony", who, "");
    sip_sees(s, "NOTIFY", "active", "<basic>open</basic>", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

// Her balcony is not there any more, for him.
static void leaves(struct stage *s, const char *who)
{
    says(s, "balcony", who, "unavailable");
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

// She watches him, and he is there.
static void watches(struct stage *s, const char *who, struct stage_dialog *d)
{
    char uri[128];
    says(s, "", who, "subscribe");
    snprintf(uri, sizeof uri, "SUBSCRIBE sip:%s@example.net", who);
    sip_sees(s, uri, NULL);
    sip_dialog_of_subscribe(s, d, who);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    assert_non_null(xmpp_next(s)); // subscribed
    assert_non_null(xmpp_next(s)); // away
    quiet(s);
}

// The SIP side hears the end of `d`, and tells its last.
static void is_closed(struct stage *s, struct stage_dialog *d)
{
    sip_sees(s, "SUBSCRIBE", "Expires: 0", d->call_id, NULL);
    sip_answers(s, 200, "Expires: 0\n");
    sip_notifies(s, d, "terminated;reason=timeout", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

// Two at once, the younger first.
static void are_closed(struct stage *s, struct stage_dialog *younger, struct stage_dialog *older)
{
    sip_sees(s, "SUBSCRIBE", "Expires: 0", younger->call_id, NULL);
    const struct sip_message *first = sip_keeps(s);
    is_closed(s, older);
    sip_answers_to(s, first, 200, "Expires: 0\n");
    sip_notifies(s, younger, "terminated;reason=timeout", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

static uint64_t live_dialogs(const struct stage *s)
{
    return core_stats(s->core)->dialogs;
}

// ---- What her server says of it

// juliet's server  gateway              romeo's server
//   |  probe, fence  |  (a refresh is due)  |   (he has not decided)
//   |<---------------|                      |
//   |  unavailable   |                      |
//   |--------------->|  (no refresh)        |
//   |  a word of hers to anybody            |   (none goes to him: RFC 6121 §4.2.2)
//   |--------------->|  SUBSCRIBE           |
//   |                |--------------------->|
static void an_undecided_request_comes_back_with_her(void **state)
{
    (void)state;
    for (int lapsed = 0; lapsed < 2; lapsed++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        said_subscribe(s, &d);
        sip_answers(s, 200, "Expires: 3600\n");
        sip_notifies(s, &d, "pending;expires=3600", NULL);
        sip_sees(s, "SIP/2.0 200", NULL);
        stage_pass_until_said(s, 3600);
        const char *id = xmpp_sees_probe(s, "juliet@example.com");
        xmpp_says(s,
                  "<presence from='juliet@example.com' to='gw.example.net' "
                  "type='unavailable'/>");
        xmpp_answers_fence(s, "juliet@example.com", id);
        stage_pass_s(s, lapsed ? 86400 : 10);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_PENDING);
        assert_int_equal(live_dialogs(s), !lapsed);
        says(s, "balcony", "mercutio", "");
        stage_pass_ms(s, 200);
        probe_is_answered(s);
        if (lapsed)
            sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 ", NULL);
        else
            sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "CSeq: 2 ", NULL);
        quiet(s);
        stage_close(s);
    }
}

// ---- The end of a session, and the next

// juliet          gateway                romeo's server
//   |  unavailable  |                         |   (romeo may watch her)
//   |-------------->|     … 5 s …             |
//   |               |  SUBSCRIBE Expires 0    |
//   |               |------------------------>|
//   |  (nothing)    |  200, NOTIFY terminated |
//   |               |<------------------------|
//   |  probe        |                         |
//   |-------------->|  SUBSCRIBE, new         |
//   |               |------------------------>|
//   |  presence     |  200, NOTIFY active     |
//   |<--------------|<------------------------|
static void the_dialog_follows_her(void **state)
{
    (void)state;
    static const char *const back[] = {"probe", ""};
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        stage_pass_ms(s, GRACE_S * 1000 - 100);
        quiet(s);
        stage_pass_ms(s, 200);
        is_closed(s, &d);
        assert_int_equal(watch_state(s), STATE_DORMANT);
        assert_int_equal(s->n_records, 2);
        stage_pass_s(s, 7000); // his device's dialog is there, and no other
        quiet(s);
        assert_int_equal(live_dialogs(s), 1);
        says(s, "chamber", "romeo", back[k]);
        if (k) {
            sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
            sip_answers(s, 200, "");
        }
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", "CSeq: 1 ", NULL);
        sip_lacks(s, d.call_id);
        sip_dialog_of_subscribe(s, &d, "ffd3");
        sip_answers(s, 200, "Expires: 3600\n");
        quiet(s);
        approves(s, &d);
        xmpp_sees(s, ROMEO_UNAVAILABLE); // whatever she still sees
        xmpp_sees(s, ROMEO_AWAY);
        quiet(s);
        assert_int_equal(watch_state(s), STATE_ACTIVE);
        stage_pass_s(s, 60);
        quiet(s);
        stage_close(s);
    }
}

// A client that comes back at once, as they do when the network changes, costs nothing.
static void back_within_the_grace(void **state)
{
    (void)state;
    static const char *const back[] = {"probe", ""};
    for (int k = 0; k < 2; k++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        stage_pass_s(s, GRACE_S - 1);
        says(s, "chamber", "romeo", back[k]);
        if (k) {
            sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
            sip_answers(s, 200, "");
        } else {
            assert_true(is_next(s, "to='juliet@example.com/chamber'><show>away"));
            xmpp_next(s);
        }
        stage_pass_s(s, 60);
        quiet(s);
        assert_int_equal(live_dialogs(s), 2);
        stage_close(s);
    }
}

// She is back while the old dialog's end is on its way: a new one at once, and what the old one
// still says is not shown.
static void back_while_it_is_closed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device, next;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    stage_pass_s(s, 30);
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", d.call_id, NULL);
    const struct sip_message *end = sip_keeps(s);
    says(s, "chamber", "romeo", "probe");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
    sip_dialog_of_subscribe(s, &next, "ffd3");
    sip_answers_to(s, end, 200, "Expires: 0\n");
    sip_notifies(s, &d, "terminated;reason=timeout", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    approves(s, &next);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s, ROMEO_AWAY);
    quiet(s);
    stage_close(s);
}

// In and out again within CORE_ATTEMPT_GAP_S: the dialog comes a little later, but it comes.
static void in_and_out_and_in(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    is_closed(s, &d);
    says(s, "chamber", "romeo", "probe"); // 5 s after the dialog was opened
    quiet(s);
    says(s, "chamber", "romeo", "probe");
    quiet(s);
    assert_in_range(seconds_until_tried_again(s, 20), 3, 5);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    approves(s, &d);
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    xmpp_sees(s, ROMEO_AWAY);
    stage_close(s);
}

// Presence to the one tells that she is there for all whom she watches.
static void one_word_opens_all(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, nurse, device;
    watch_established(s, &d);
    watches(s, "nurse", &nurse); // who may not watch her
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    are_closed(s, &nurse, &d);
    stage_pass_s(s, 600);
    quiet(s);
    says(s, "chamber", "romeo", "");
    sip_sees(s, "NOTIFY", "<basic>open</basic>", NULL);
    sip_answers(s, 200, "");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    sip_answers(s, 200, "Expires: 3600\n");
    quiet(s);
    stage_pass_s(s, 1);
    probe_is_answered(s); // nobody but her has asked for it
    sip_sees(s, "SUBSCRIBE sip:nurse@example.net", "Expires: 3600", NULL);
    stage_close(s);
}

// ---- Which `unavailable` is an end

// A broadcast reaches one contact after the other; only the last one's is the end, of all dialogs.
static void the_last_who_saw_her(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, nurse, a, b;
    watch_established(s, &d);
    watches(s, "nurse", &nurse);
    is_watched_by(s, "romeo", &a);
    is_watched_by(s, "friar", &b);
    leaves(s, "romeo"); // hidden from him alone, by a privacy list
    stage_pass_s(s, 300);
    quiet(s);
    assert_int_equal(live_dialogs(s), 4);
    leaves(s, "friar");
    stage_pass_s(s, GRACE_S);
    are_closed(s, &nurse, &d);
    quiet(s);
    stage_pass_s(s, 60);
    assert_int_equal(live_dialogs(s), 2);
    stage_close(s);
}

static void another_device_is_there(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    says(s, "chamber", "romeo", "");
    sip_sees(s, "NOTIFY", "ID-balcony", "ID-chamber", NULL);
    sip_answers(s, 200, "");
    says(s, "balcony", "romeo", "unavailable");
    sip_sees(s, "NOTIFY", "ID-chamber", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 300);
    quiet(s);
    says(s, "chamber", "romeo", "unavailable");
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, GRACE_S);
    is_closed(s, &d);
    stage_close(s);
}

// RFC 6121 §3.2: who revokes an approval is `unavailable` to him first, and is not gone.
static void revoking_is_no_end(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    says(s, "", "romeo", "unsubscribed");
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 300);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    assert_int_equal(live_dialogs(s), 1);
    stage_close(s);
}

// Nor when nobody else sees her: he may be forbidden to as well, by a word that was lost on its
// way.
static void revoking_is_no_end_though_another_sees_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device, friar;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    is_watched_by(s, "friar", &friar);
    leaves(s, "friar"); // `unsubscribed` follows, and is lost
    stage_pass_s(s, 300);
    quiet(s);
    leaves(s, "romeo");
    says(s, "", "romeo", "unsubscribed");
    sip_sees(s, "NOTIFY", "terminated;reason=rejected", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 300);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    stage_close(s);
}

// Prosody acknowledges `subscribe` with an `unavailable` of the bare JID, whether she is there or
// not.
static void a_receipt_is_no_end(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    serve_begun(s, &device); // she has not decided
    says(s, "", "romeo", "unavailable");
    stage_pass_s(s, 60);
    quiet(s);
    says(s, "", "nurse", "unavailable"); // whom nobody has asked about
    stage_pass_s(s, 60);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    stage_close(s);
}

// From the bare JID to one who may watch her it is the answer to a probe: nobody is there.
static void a_probe_is_answered_with_nobody(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    says(s, "", "romeo", "unavailable");
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, GRACE_S);
    is_closed(s, &d);
    stage_close(s);
}

// ---- Directed presence, RFC 6121 §4.6: he may not watch her, and she shows herself to him

static void directed_presence_ends_for_him_alone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, nurse;
    watch_established(s, &d);
    watches(s, "nurse", &nurse);
    says(s, "balcony", "romeo", "unavailable"); // never shown (ejabberd, after `unsubscribe`)
    stage_pass_s(s, 60);
    quiet(s);
    says(s, "balcony", "romeo", "");
    says(s, "chamber", "nurse", "probe"); // another device
    xmpp_next(s);
    says(s, "balcony", "romeo", "unavailable");
    stage_pass_s(s, 60);
    quiet(s);
    says(s, "chamber", "romeo", "");
    says(s, "chamber", "romeo", "unavailable");
    stage_pass_ms(s, GRACE_S * 1000 - 100);
    quiet(s);
    stage_pass_ms(s, 200);
    is_closed(s, &d);
    stage_pass_s(s, 60);
    quiet(s);
    assert_int_equal(live_dialogs(s), 1); // the nurse's
    says(s, "chamber", "romeo", "");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
    stage_close(s);
}

// Of him who watches her her server knows, and the gateway does not (a lost `unsubscribe`, a lost
// store): what it says of her is no directed presence. When she forbids him to, that is no end of
// her session, whichever of the two words comes first (RFC 6121 §3.2.2).
static void revoking_what_is_not_known_is_no_end(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        watch_established(s, &d);
        says(s, "balcony", "romeo", "");
        says(s, "chamber", "romeo", "");
        if (first)
            says(s, "", "romeo", "unsubscribed");
        says(s, "balcony", "romeo", "unavailable");
        says(s, "chamber", "romeo", "unavailable");
        if (!first)
            says(s, "", "romeo", "unsubscribed");
        stage_pass_s(s, 60);
        quiet(s);
        assert_int_equal(live_dialogs(s), 1);
        stage_close(s);
    }
}

//   |               |  NOTIFY terminated;      |
//   |               |   reason=deactivated     |
//   |               |<-------------------------|
//   |  probe (/b)   |  SUBSCRIBE, new          |
//   |-------------->|------------------------->|
//   |  presence     |  200, NOTIFY (the same)  |   no news to her other devices
//   |<--------------|<-------------------------|
static void a_device_that_comes_between_two_dialogs(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_pass_s(s, 60);
    sip_notifies(s, &d, "terminated;reason=deactivated", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 ", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    says(s, "b", "romeo", "probe");
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com/b'>"
              "<show>away</show></presence>");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    stage_close(s);
}

// Back within the grace, to whomever: no end.
static void directed_and_back(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    says(s, "balcony", "romeo", "");
    says(s, "balcony", "romeo", "unavailable");
    stage_pass_s(s, GRACE_S - 1);
    says(s, "chamber", "mercutio", "");
    stage_pass_s(s, 60);
    quiet(s);
    assert_int_equal(live_dialogs(s), 1);
    stage_close(s);
}

// Who is seen by another is there, whatever she tells him.
static void directed_while_another_sees_her(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "friar", &device);
    says(s, "balcony", "romeo", "");
    says(s, "balcony", "romeo", "unavailable");
    stage_pass_s(s, 60);
    quiet(s);
    assert_int_equal(live_dialogs(s), 2);
    stage_close(s);
}

// ---- What else there is of a watch when she leaves

// The request that he has not decided yet stands: RFC 6121 §3.1.3.
static void an_undecided_request_stands(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    said_subscribe(s, &d);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "pending;expires=3600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_s(s, 60);
    quiet(s);
    approves(s, &d); // he decides while she is away: she is told, and his dialog ends, too
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_pass_ms(s, 200);
    sip_sees(s, "SUBSCRIBE", "Expires: 0", ";tag=ffd2", NULL);
    sip_answers(s, 481, "");
    assert_int_equal(watch_state(s), STATE_DORMANT);
    says(s, "chamber", "romeo", "probe");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
    stage_close(s);
}

// Nor is what has failed tried again before she is back.
static void no_retries_while_she_is_away(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    sip_notifies(s, &d, "terminated;reason=probation;retry-after=600", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    leaves(s, "romeo");
    stage_pass_s(s, 7000);
    quiet(s);
    says(s, "chamber", "romeo", "probe");
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", NULL);
    stage_close(s);
}

// Before the first NOTIFY there is nothing to end yet: that is done when it has come.
static void she_leaves_before_the_first_notify(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    stage_pass_s(s, 20);
    sip_notifies(s, &d, "terminated;reason=deactivated", NULL);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "SUBSCRIBE", "CSeq: 1 ", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd3");
    sip_answers(s, 200, "Expires: 3600\n");
    leaves(s, "romeo");
    stage_pass_s(s, GRACE_S);
    quiet(s);
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    is_closed(s, &d);
    quiet(s);
    stage_close(s);
}

// ---- Many at once

enum { MANY = 50 };

static void many_watches(struct stage *s, struct stage_dialog *d)
{
    for (int i = 0; i < MANY; i++) {
        char who[32];
        snprintf(who, sizeof who, "capulet%d", i);
        watches(s, who, d);
    }
}

// CORE_SESSION_STEP of them every CORE_SESSION_MS, the first ones when the grace is over.
static void many_are_paced(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    many_watches(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_ms(s, GRACE_S * 1000 + 10);
    unsigned n[3] = {0};
    for (int step = 0; step < 3; step++) {
        while (sip_next(s)) {
            assert_int_equal(s->sip->expires, 0);
            sip_answers(s, 481, "");
            n[step]++;
        }
        stage_pass_ms(s, 110);
    }
    assert_int_equal(n[0], 20);
    assert_int_equal(n[1], 20);
    assert_int_equal(n[2], 10);
    quiet(s);
    assert_int_equal(live_dialogs(s), 1);
    stage_pass_s(s, 60);
    says(s, "chamber", "romeo", "");
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    stage_pass_ms(s, 110);
    probe_is_answered(s);
    unsigned opened = 0;
    for (int step = 0; step < 3; step++) {
        unsigned now = 0;
        for (; sip_next(s); now++)
            sip_answers(s, 200, "Expires: 3600\n");
        assert_in_range(now, 10, 20);
        opened += now;
        stage_pass_ms(s, 110);
    }
    assert_int_equal(opened, MANY);
    stage_close(s);
}

static void two_in_flight(struct core_config *cfg)
{
    cfg->settings.requests_in_flight_per_peer = 2;
}

// [limits] requests_in_flight_per_peer: what finds no room is closed a little later.
static void a_busy_next_hop(void **state)
{
    (void)state;
    struct stage *s = stage_open_with(two_in_flight);
    struct stage_dialog d, device;
    many_watches(s, &d);
    is_watched_by(s, "romeo", &device);
    leaves(s, "romeo");
    stage_pass_ms(s, GRACE_S * 1000 + 10);
    for (int i = 0; i < MANY; i += 2) {
        for (int k = 0; k < 2; k++) {
            sip_sees(s, "SUBSCRIBE", "Expires: 0", NULL);
            if (k)
                quiet(s);
            sip_keeps(s);
        }
        sip_answers_to(s, s->kept[0], 481, "");
        sip_answers_to(s, s->kept[1], 481, "");
        free(s->kept[0]);
        free(s->kept[1]);
        s->n_kept = 0;
        stage_pass_ms(s, 110);
    }
    quiet(s);
    assert_int_equal(live_dialogs(s), 1);
    stage_close(s);
}

// ---- Restart, and lost streams

// She may have come while nobody could tell us: her server is asked, and the dialog opened.
static void closed_and_then_a_restart(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        stage_pass_s(s, GRACE_S);
        is_closed(s, &d);
        stage_pass_s(s, 100);
        if (crash)
            stage_crash(s);
        else
            stage_streams_down(s);
        stage_streams_up(s);
        // What he knows of her may be out of date, too.
        unsigned checks = 0;
        const char *stanza, *fence = NULL;
        static char id[64];
        while ((stanza = xmpp_next(s))) {
            checks += strstr(stanza, "serve-check") != NULL;
            const char *at =
                strstr(stanza, "from='gw.example.net'") ? strstr(stanza, "id='") : NULL;
            if (at && sscanf(at, "id='%63[^']", id) == 1)
                fence = id;
        }
        assert_int_equal(checks, 1);
        assert_non_null(fence);
        xmpp_answers_fence(s, "juliet@example.com", fence);
        sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "Expires: 3600", NULL);
        sip_dialog_of_subscribe(s, &d, "ffd3");
        sip_answers(s, 200, "Expires: 3600\n");
        approves(s, &d);
        if (crash)
            xmpp_sees(s, SUBSCRIBED);
        xmpp_sees(s, ROMEO_UNAVAILABLE);
        xmpp_sees(s, ROMEO_AWAY);
        // She is not there, as her server says to him.
        says(s, "", "romeo", "unavailable");
        the_fence_of_the_check_is_answered(s);
        stage_pass_s(s, 3);
        while (sip_next(s)) // what his device sees of it
            sip_answers(s, 200, "");
        stage_pass_ms(s, (GRACE_S - 3) * 1000 + 10);
        is_closed(s, &d);
        quiet(s);
        stage_close(s);
    }
}

// Whom nobody has asked about since the stream was lost may be there on another device: first her
// server is asked.
static void stale_sight_is_asked_first(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, device;
    watch_established(s, &d);
    is_watched_by(s, "romeo", &device);
    sip_resubscribes(s, &device, 0); // his device ends: nobody looks, but he may
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    while (xmpp_next(s))
        ;
    stage_streams_down(s);
    stage_streams_up(s);
    while (xmpp_next(s))
        ;
    quiet(s);
    says(s, "balcony", "romeo", "unavailable");
    is_checked(s);
    says(s, "chamber", "romeo", ""); // which came while the stream was down
    the_fence_of_the_check_is_answered(s);
    stage_pass_s(s, 60);
    quiet(s);
    assert_int_equal(watch_state(s), STATE_ACTIVE);
    says(s, "chamber", "romeo", "unavailable");
    stage_pass_s(s, GRACE_S);
    is_closed(s, &d);
    stage_close(s);
}

// The process dies when the end was said, or just before: nothing is lost but a dialog that lapses.
static void death_on_the_way(void **state)
{
    (void)state;
    for (int committed = 0; committed < 2; committed++) {
        struct stage *s = stage_open();
        struct stage_dialog d, device;
        watch_established(s, &d);
        is_watched_by(s, "romeo", &device);
        leaves(s, "romeo");
        s->die_in = 1;
        s->die_committed = committed;
        stage_pass_s(s, GRACE_S);
        assert_true(s->died);
        quiet(s);
        assert_int_equal(s->n_records, 2);
        sip_notifies(s, &d, "active;expires=3000", PIDF_AWAY);
        sip_sees(s, committed ? "SIP/2.0 481" : "SIP/2.0 200", NULL);
        stage_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undecided_request_comes_back_with_her),
        cmocka_unit_test(the_dialog_follows_her),
        cmocka_unit_test(back_within_the_grace),
        cmocka_unit_test(back_while_it_is_closed),
        cmocka_unit_test(in_and_out_and_in),
        cmocka_unit_test(one_word_opens_all),
        cmocka_unit_test(the_last_who_saw_her),
        cmocka_unit_test(another_device_is_there),
        cmocka_unit_test(revoking_is_no_end),
        cmocka_unit_test(revoking_is_no_end_though_another_sees_nothing),
        cmocka_unit_test(a_receipt_is_no_end),
        cmocka_unit_test(a_probe_is_answered_with_nobody),
        cmocka_unit_test(directed_presence_ends_for_him_alone),
        cmocka_unit_test(revoking_what_is_not_known_is_no_end),
        cmocka_unit_test(a_device_that_comes_between_two_dialogs),
        cmocka_unit_test(directed_and_back),
        cmocka_unit_test(directed_while_another_sees_her),
        cmocka_unit_test(an_undecided_request_stands),
        cmocka_unit_test(no_retries_while_she_is_away),
        cmocka_unit_test(she_leaves_before_the_first_notify),
        cmocka_unit_test(many_are_paced),
        cmocka_unit_test(a_busy_next_hop),
        cmocka_unit_test(closed_and_then_a_restart),
        cmocka_unit_test(stale_sight_is_asked_first),
        cmocka_unit_test(death_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
