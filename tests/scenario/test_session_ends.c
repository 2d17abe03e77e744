// Her presence session: which `unavailable` of hers is its end, and which ends only what one of
// them sees. RFC 6121 §4.4 to §4.6.
#include "session_words.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
