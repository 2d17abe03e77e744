// Watcher information: a SIP user asks how his own subscriptions to an XMPP user stand. RFC 3857,
// RFC 3858.
#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/serve_winfo.h"

#define DOCUMENT(version)                                                                          \
    "<watcherinfo xmlns='urn:ietf:params:xml:ns:watcherinfo' version='" version                    \
    "' state='full'>"                                                                              \
    "<watcher-list package='presence' resource='sip:juliet@example.com'>"
#define NOBODY "</watcher-list></watcherinfo>"

static void asks(struct stage *s, int n, const char *more)
{
    char message[2048];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKwinfo%d;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=winfo%d\nTo: <sip:juliet@example.com>\n"
             "Call-ID: winfo%d\nCSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5200>\n"
             "Event: presence.winfo\n%s\n",
             n, n, n, more);
    sip_says(s, message);
}

static void refreshes(struct stage *s, struct stage_dialog *d, unsigned expires_s)
{
    char headers[128];
    d->cseq++;
    snprintf(headers, sizeof headers, "Event: presence.winfo\nExpires: %u\n", expires_s);
    sip_resubscribes_with(s, d, headers);
}

static void told(struct stage *s, const char *substate, const char *head, const char *watcher)
{
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5200", "Event: presence.winfo\r\n",
             "Content-Type: application/watcherinfo+xml\r\n", "SIP-ETag: ", substate, head, watcher,
             NULL);
    sip_answers(s, 200, "");
}

// His device asks, while his desk already watches her.
static void asked(struct stage *s, struct stage_dialog *d, const char *watcher)
{
    asks(s, 1, "");
    sip_sees(s, "SIP/2.0 200", "Expires: 3600", "Allow-Events: presence\r\n", NULL);
    sip_dialog_of_answer(s, d);
    told(s, "Subscription-State: active;expires=3600\r\n", DOCUMENT("0"), watcher);
    quiet(s); // not a word to the XMPP side
}

static unsigned watchers_told(const struct stage *s)
{
    unsigned n = 0;
    struct text body = sip_text(s->sip, s->sip->body);
    for (size_t i = 0; i + 9 < body.n; i++)
        n += memcmp(body.p + i, "<watcher ", 9) == 0;
    return n;
}

//   romeo                gateway                 juliet
//     | SUBSCRIBE presence  | subscribe             |
//     |-------------------->|---------------------->|
//     | SUBSCRIBE winfo     |                       |
//     |-------------------->|                       |
//     | NOTIFY 0: pending   |                       |
//     |<--------------------|            subscribed |
//     | NOTIFY 1: active    |<----------------------|
//     |<--------------------|                       |
static void approval_is_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_begun(s, &d);
    stage_pass_s(s, 100);
    asked(s, &w,
          "' status='pending' event='subscribe' expiration='3500' duration-subscribed='100'>"
          "sip:romeo@example.net</watcher>" NOBODY);
    stage_pass_s(s, 10);
    xmpp_says(s, JULIET_APPROVES);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "Event: presence\r\n", "active", NULL);
    sip_answers(s, 200, "");
    told(s, "Subscription-State: active;expires=3590", DOCUMENT("1"),
         "' status='active' event='approved' expiration='3490' duration-subscribed='110'>"
         "sip:romeo@example.net</watcher>" NOBODY);
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_says(s, JULIET_AWAY); // how she is does not concern it
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "away", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 10);
    quiet(s);
    stage_close(s);
}

// It was approved before he asked: so "subscribe" led to "active" (RFC 3857 §4.7.1).
static void one_element_for_each_device(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog desk, phone, w;
    serve_established(s, &desk);
    asked(s, &w, "status='active' event='approved'");
    assert_int_equal(watchers_told(s), 1);
    stage_pass_s(s, 10);
    says_subscribe(s, 1, "Expires: 600\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_dialog_of_answer(s, &phone);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5101", "away", NULL);
    sip_answers(s, 200, "");
    told(s, "active", DOCUMENT("1"), "status='active' event='subscribe' expiration='600'");
    assert_int_equal(watchers_told(s), 2);
    stage_pass_s(s, 10);
    sip_resubscribes(s, &phone, 600); // a refresh is no transition
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 10);
    quiet(s);
    sip_resubscribes(s, &phone, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    told(s, "active", DOCUMENT("2"),
         "' status='terminated' event='timeout' duration-subscribed='20'>");
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 100);
    quiet(s);
    refreshes(s, &w, 3600);
    sip_sees(s, "SIP/2.0 200", "Expires: 3600", NULL);
    told(s, "active;expires=3600", DOCUMENT("3"), "status='active'"); // who has ended is forgotten
    assert_int_equal(watchers_told(s), 1);
    stage_close(s);
}

// The id names a subscription for as long as it lasts, and no dialog: a tag is its ends' alone.
static void ids_stay(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    char id[64];
    serve_begun(s, &d);
    asked(s, &w, "<watcher id='");
    const char *at = strstr(s->sips[s->sip_head - 1].bytes, "<watcher id='");
    assert_int_equal(sscanf(at, "<watcher id='%63[^']'", id), 1);
    assert_null(strstr(d.our_tag, id));
    stage_crash(s);
    stage_streams_up(s);
    xmpp_sees(s, ROMEO_ASKS);
    stage_pass_until_said(s, 35);
    char want[128];
    snprintf(want, sizeof want, "<watcher id='%s' status='pending'", id);
    sip_sees(s, "NOTIFY", "presence.winfo", want, NULL);
    stage_close(s);
}

// She says no: his leave to ask ends with it, and the last document says why.
static void rejection_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *stanza, *substate, *watcher;
    } cases[] = {
        {JULIET_REJECTS, "Subscription-State: terminated;reason=rejected\r\n",
         "' status='terminated' event='rejected' duration-subscribed='0'>sip:romeo@example.net</watcher>" NOBODY},
        {"<presence type='error' from='juliet@example.com' to='romeo@example.net'>"
         "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
         "</error></presence>",
         "Subscription-State: terminated;reason=noresource\r\n",
         "' status='terminated' event='noresource' duration-subscribed='0'>sip:romeo@example.net</watcher>" NOBODY},
    };
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d, w;
        serve_begun(s, &d);
        asked(s, &w, "status='pending'");
        xmpp_says(s, cases[i].stanza);
        sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", cases[i].substate, NULL);
        sip_answers(s, 200, "");
        told(s, cases[i].substate, DOCUMENT("1"), cases[i].watcher);
        refreshes(s, &w, 600);
        sip_sees(s, "SIP/2.0 481", NULL);
        all_is_over(s, 200);
        stage_close(s);
    }
}

// Nobody waits for her answer any more: given up, and nothing of it all is kept.
static void a_pending_one_that_runs_out(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_begun(s, &d);
    stage_pass_s(s, 100);
    asked(s, &w, "status='pending'");
    stage_pass_until_said(s, 4000);
    told(s, "active", DOCUMENT("1"), "status='terminated' event='giveup'");
    sip_sees(s, "NOTIFY", "terminated;reason=timeout", NULL);
    sip_answers(s, 200, "");
    told(s, "terminated;reason=timeout", DOCUMENT("2"), "status='terminated' event='giveup'");
    all_is_over(s, 200);
    stage_close(s);
}

// The authorization outlives the devices, and so does the leave to ask.
static void dormant_and_back(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_established(s, &d);
    asked(s, &w, "status='active'");
    stage_pass_s(s, 10);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    told(s, "active", DOCUMENT("1"), "status='terminated' event='timeout'");
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    assert_int_equal(serve_state(s), STATE_DORMANT); // the winfo dialog does not count
    stage_pass_s(s, 100);
    quiet(s);
    asks(s, 2, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    told(s, "active;expires=3600", DOCUMENT("0"), NOBODY);
    assert_int_equal(watchers_told(s), 0);
    stage_pass_s(s, 10);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5101", "away", NULL);
    sip_answers(s, 200, "");
    told(s, "active", "watcherinfo", "status='active' event='subscribe'");
    told(s, "active", "watcherinfo", "status='active' event='subscribe'");
    quiet(s);
    stage_close(s);
}

// RFC 3857 §4.10: not more often than every five seconds, and then the newest.
static void not_too_often(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, phone, w;
    serve_established(s, &d);
    asked(s, &w, "status='active'");
    device_joins(s, &phone, 1, 600);
    sip_resubscribes(s, &phone, 0);
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "Event: presence\r\n", NULL);
    sip_answers(s, 200, "");
    stage_pass_ms(s, 4800);
    quiet(s);
    stage_pass_ms(s, 300);
    told(s, "active", DOCUMENT("1"), "status='terminated'");
    assert_int_equal(watchers_told(s), 2);
    stage_pass_s(s, 100);
    quiet(s);
    stage_close(s);
}

// A fetch is over at once: told of what there is, and itself not told of (§4.7.2).
static void a_fetch(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_established(s, &d);
    asked(s, &w, "status='active'");
    stage_pass_s(s, 10);
    asks(s, 2, "Expires: 0\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 0\r\n", NULL);
    told(s, "Subscription-State: terminated;reason=timeout\r\n", DOCUMENT("0"), "status='active'");
    assert_int_equal(watchers_told(s), 1);
    says_subscribe(s, 3, "Expires: 0\n"); // of her presence
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 200, "");
    stage_pass_s(s, 100);
    quiet(s);
    refreshes(s, &w, 0);
    sip_sees(s, "SIP/2.0 200", "Expires: 0\r\n", NULL);
    told(s, "terminated;reason=timeout", DOCUMENT("1"), "status='active'");
    assert_int_equal(serve_state(s), STATE_ACTIVE);
    stage_pass_s(s, 100);
    quiet(s);
    stage_close(s);
}

// Who does not watch her learns just that, once; and nothing is kept, said to her, or promised.
static void who_does_not_watch(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    asks(s, 1, "");
    sip_sees(s, "SIP/2.0 200", "Expires: 0\r\n", NULL);
    told(s, "Subscription-State: terminated;reason=probation;retry-after=60\r\n", DOCUMENT("0"),
         NOBODY);
    assert_int_equal(watchers_told(s), 0);
    asks(s, 1, ""); // sent again
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    assert_int_equal(s->puts, 0);
    all_is_over(s, 200);
    stage_close(s);
}

// Another user's watchers are nobody's business.
static void others_are_not_told_of(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_says(s,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKparis;rport\nMax-Forwards: 70\n"
             "From: <sip:paris@example.net>;tag=p\nTo: <sip:juliet@example.com>\nCall-ID: p\n"
             "CSeq: 1 SUBSCRIBE\nContact: <sip:paris@127.0.0.1:5200>\n"
             "Event: presence.winfo\n\n");
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:paris@127.0.0.1:5200", "terminated", NOBODY, NULL);
    sip_lacks(s, "romeo");
    stage_close(s);
}

// A 200 promised a dialog: it outlives the process, is told anew what there is, and its versions go
// on upwards (RFC 3858 §4: a lower one would be thrown away).
static void it_outlives_a_crash(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_established(s, &d);
    asked(s, &w, "status='active'");
    stage_pass_s(s, 100);
    stage_crash(s);
    stage_streams_up(s);
    is_checked(s);
    xmpp_says(s, JULIET_AWAY);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "Event: presence\r\n", "away", NULL);
    sip_answers(s, 200, "");
    the_fence_of_the_check_is_answered(s);
    stage_pass_until_said(s, 35);
    told(s, "active", "watcherinfo", "duration-subscribed='1");
    unsigned version = 0;
    const char *at = strstr(s->sips[s->sip_head - 1].bytes, "version='");
    assert_int_equal(sscanf(strstr(at + 1, "version='"), "version='%u'", &version), 1);
    assert_true(version > 0);
    refreshes(s, &w, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    told(s, "active;expires=600", "watcherinfo", "status='active' event='approved'");
    stage_close(s);
}

// The process dies in the very step that makes the dialog, before or behind the commit; the request
// is sent again, as it is when no answer comes. One dialog, and it stands.
static void a_death_while_it_is_made(void **state)
{
    (void)state;
    for (int committed = 0; committed < 2; committed++) {
        struct stage *s = stage_open();
        struct stage_dialog d, w;
        serve_established(s, &d);
        s->die_in = 1;
        s->die_committed = committed;
        asks(s, 1, "");
        assert_true(s->died);
        quiet(s);
        asks(s, 1, "");
        sip_sees(s, "SIP/2.0 200", "Expires: 3600", NULL);
        sip_dialog_of_answer(s, &w);
        sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5200", "status='active'", NULL);
        sip_answers(s, 200, "");
        assert_int_equal(core_stats(s->core)->dialogs, 2);
        stage_crash(s);
        refreshes(s, &w, 600);
        sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
        sip_sees(s, "NOTIFY", "status='active'", NULL);
        stage_close(s);
    }
}

// Its end is nobody's end but its own.
static void it_ends_alone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_established(s, &d);
    asks(s, 1, "Expires: 600\n");
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_dialog_of_answer(s, &w);
    told(s, "active;expires=600", DOCUMENT("0"), "status='active'");
    stage_pass_until_said(s, 700);
    told(s, "terminated;reason=timeout", DOCUMENT("1"), "status='active'");
    quiet(s);
    xmpp_says(s, JULIET_DND);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", "dnd", NULL);
    sip_answers(s, 200, "");
    asked(s, &w, "status='active'");
    stage_pass_s(s, 10);
    sip_resubscribes(s, &d, 0); // and the presence dialog's end is told there
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5200", "status='terminated'", NULL);
    sip_answers(s, 481, ""); // the device is gone
    stage_pass_s(s, 200);
    assert_int_equal(core_stats(s->core)->dialogs, 0);
    stage_close(s);
}

// RFC 5839 holds here as well.
static void conditional(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    char headers[256];
    serve_established(s, &d);
    asked(s, &w, "status='active'");
    w.cseq++;
    snprintf(headers, sizeof headers,
             "Event: presence.winfo\nExpires: 3600\nSuppress-If-Match: %.*s\n",
             TEXT_ARG(stage_sip(s, s->sip->etag)));
    sip_resubscribes_with(s, &w, headers);
    sip_sees(s, "SIP/2.0 204", "Expires: 3600", NULL);
    quiet(s);
    stage_pass_s(s, 10);
    sip_resubscribes(s, &d, 3600); // its expiration is another one now
    sip_sees(s, "SIP/2.0 200", NULL);
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_answers(s, 200, "");
    w.cseq++;
    sip_resubscribes_with(s, &w, headers);
    sip_sees(s, "SIP/2.0 200", NULL);
    told(s, "active", DOCUMENT("1"), "expiration='3600'");
    stage_close(s);
}

// What is refused, and what a dialog is not for (RFC 6665 §4.5.2).
static void refusals(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, w;
    serve_established(s, &d);
    asks(s, 5, "Accept: application/pidf+xml\n");
    sip_sees(s, "SIP/2.0 406", "Accept: application/watcherinfo+xml\r\n", NULL);
    asks(s, 6, "Expires: 10\n");
    sip_sees(s, "SIP/2.0 423", "Min-Expires: 60\r\n", NULL);
    asked(s, &w, "status='active'");
    sip_resubscribes(s, &w, 600); // presence in the winfo dialog
    sip_sees(s, "SIP/2.0 403", "dialog sharing is not supported", NULL);
    refreshes(s, &d, 600); // and the reverse
    sip_sees(s, "SIP/2.0 403", NULL);
    d.cseq++;
    sip_resubscribes_with(s, &d, "Event: presence;id=other\nExpires: 600\n");
    sip_sees(s, "SIP/2.0 403", NULL);
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", NULL);
    s->cfg.settings.draining = true;
    core_set_settings(s->core, &s->cfg.settings);
    asks(s, 7, "");
    sip_sees(s, "NOTIFY", "away", NULL);
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    stage_close(s);
}

// One past the dialogs of one pair, be they of presence or of watcher information.
static void too_many(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    for (int i = 1; i < CORE_DIALOGS_PER_SUB; i++) {
        asks(s, i, "");
        sip_sees(s, "SIP/2.0 200", NULL);
        told(s, "active", DOCUMENT("0"), "status='active'");
    }
    asks(s, 100, "");
    sip_sees(s, "SIP/2.0 503", "Retry-After: 30\r\n", NULL);
    says_subscribe(s, 1, "");
    sip_sees(s, "SIP/2.0 503", NULL);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(approval_is_told),
        cmocka_unit_test(one_element_for_each_device),
        cmocka_unit_test(ids_stay),
        cmocka_unit_test(rejection_is_told),
        cmocka_unit_test(a_pending_one_that_runs_out),
        cmocka_unit_test(dormant_and_back),
        cmocka_unit_test(not_too_often),
        cmocka_unit_test(a_fetch),
        cmocka_unit_test(who_does_not_watch),
        cmocka_unit_test(others_are_not_told_of),
        cmocka_unit_test(it_outlives_a_crash),
        cmocka_unit_test(a_death_while_it_is_made),
        cmocka_unit_test(it_ends_alone),
        cmocka_unit_test(conditional),
        cmocka_unit_test(refusals),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
