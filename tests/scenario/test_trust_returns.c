// Trust is taken from her domain while all goes on, and given back: nothing passes meanwhile, of
// whatever began before, and what was missed is asked for.
//
//   juliet          gateway              SIP
//     |               | (not trusted)     |
//     |  presence     |                   |
//     |-------------->|    (nothing)      |
//     |               | (trusted)         |
//     |  probe, fence |                   |
//     |<--------------|                   |
//     |  presence     |  NOTIFY           |
//     |-------------->|------------------>|
#include "flows.h"

static void her_domain_is_trusted(struct stage *s, bool trusted)
{
    struct core_trust trust = s->cfg.trust;
    trust.n_xmpp_domains = trusted ? trust.n_xmpp_domains : 0;
    assert_int_equal(core_set_trust(s->core, &trust), 0);
}

static void what_she_said_meanwhile_is_asked_for(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    her_domain_is_trusted(s, false);
    xmpp_says(s, JULIET_DND);
    quiet(s);
    her_domain_is_trusted(s, true);
    stage_pass_ms(s, 1000);
    is_checked(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    sip_answers(s, 200, "");
    the_fence_of_the_check_is_answered(s);
    quiet(s);
    stage_close(s);
}

// Settings that come anew with the same trust are no reason to ask.
static void who_was_trusted_all_along_is_not_asked(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    her_domain_is_trusted(s, true);
    stage_pass_ms(s, 60000);
    quiet(s);
    stage_close(s);
}

// The process began while she was not trusted: it knows her from its records.
static void so_it_is_after_a_restart(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    const size_t n = s->cfg.trust.n_xmpp_domains;
    serve_established(s, &d);
    s->cfg.trust.n_xmpp_domains = 0;
    stage_crash(s);
    stage_streams_up(s);
    stage_pass_ms(s, 60000);
    quiet(s);
    s->cfg.trust.n_xmpp_domains = n;
    her_domain_is_trusted(s, true);
    stage_pass_ms(s, 1000);
    is_checked(s);
    stage_close(s);
}

static void news_that_waited_goes_on_waiting(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY", "dnd", NULL);
    xmpp_says(s, JULIET_AWAY); // while that is in flight
    her_domain_is_trusted(s, false);
    sip_answers(s, 200, "");
    stage_pass_ms(s, 60000);
    quiet(s);
    her_domain_is_trusted(s, true);
    stage_pass_ms(s, 1000);
    is_checked(s);
    stage_pass_ms(s, 5000);
    sip_sees(s, "NOTIFY", "away", NULL);
    stage_close(s);
}

// His server has forgotten the dialog: none is opened for her, until she is trusted.
static void a_dialog_that_is_gone_is_not_opened_anew(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    refresh_leaves(s);
    her_domain_is_trusted(s, false);
    sip_answers(s, 481, "");
    xmpp_sees(s, ROMEO_GONE);
    stage_pass_ms(s, 3600000);
    quiet(s);
    her_domain_is_trusted(s, true);
    stage_pass_ms(s, 1000);
    xmpp_sees(s, ROMEO_GONE);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    stage_close(s);
}

// A dialog that an earlier life made is refreshed, nobody answers, and meanwhile trust is lost:
// what she sees is over, and nothing that stands without a dialog (RFC 6665 §4.1.3, `invariant`).
static void a_refresh_that_nobody_heard_leaves_nothing_standing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    stage_crash(s);
    stage_streams_up(s);
    stage_pass_ms(s, 1100);
    refresh_leaves(s);
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    while (xmpp_next(s))
        ;
    stage_pass_until_said(s, 3600);
    refresh_leaves(s);
    her_domain_is_trusted(s, false);
    stage_pass_s(s, 40);
    while (sip_next(s))
        ;
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    her_domain_is_trusted(s, true);
    stage_pass_s(s, 60);
    while (xmpp_next(s))
        ;
    assert_int_equal(watch_state(s), STATE_DORMANT);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_she_said_meanwhile_is_asked_for),
        cmocka_unit_test(who_was_trusted_all_along_is_not_asked),
        cmocka_unit_test(so_it_is_after_a_restart),
        cmocka_unit_test(news_that_waited_goes_on_waiting),
        cmocka_unit_test(a_dialog_that_is_gone_is_not_opened_anew),
        cmocka_unit_test(a_refresh_that_nobody_heard_leaves_nothing_standing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
