// SIP that must not be served: each request gets the answer that tells its sender why, nothing
// crosses to XMPP, and what stood before stands after.
//
//   sender          gateway              XMPP
//     |  bad request   |                  |
//     |--------------->|                  |
//     |  4xx or 5xx    |     (nothing)    |
//     |<---------------|                  |
#include "flows.h"

#include <stdio.h>
#include <string.h>

#define HEAD(method, ruri)                                                                         \
    method " " ruri                                                                                \
           " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK776asdhds;rport\n"             \
           "From: <sip:romeo@example.net>;tag=1928301774\nTo: <sip:juliet@example.com>\n"          \
           "Call-ID: a84b4c76e66710\nCSeq: 1 " method "\n"
#define GOOD_REST "Max-Forwards: 70\nContact: <sip:romeo@127.0.0.1:5099>\nEvent: presence\n\n"

// One refusal per line: what is said, the status that comes back, and a header field in it.
struct refusal {
    const char *why, *message, *status, *header;
};

static const struct refusal refusals[] = {
    {"no CSeq",
     "SUBSCRIBE sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@example.net>;tag=1\nTo: <sip:juliet@example.com>\nCall-ID: c\n" GOOD_REST,
     "SIP/2.0 400", "Call-ID: c"},
    {"CSeq of another method",
     "SUBSCRIBE sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@example.net>;tag=1\nTo: <sip:juliet@example.com>\nCall-ID: c\n"
     "CSeq: 1 NOTIFY\n" GOOD_REST,
     "SIP/2.0 400", "Call-ID: c"},
    {"a wrong version",
     "SUBSCRIBE sip:juliet@example.com SIP/7.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@example.net>;tag=1\nTo: <sip:juliet@example.com>\nCall-ID: c\n"
     "CSeq: 1 SUBSCRIBE\n" GOOD_REST,
     "SIP/2.0 505", "Call-ID: c"},
    {"a body shorter than told",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Content-Length: 99\n" GOOD_REST, "SIP/2.0 400",
     NULL},
    {"no From tag",
     "SUBSCRIBE sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@example.net>\nTo: <sip:juliet@example.com>\nCall-ID: c\n"
     "CSeq: 1 SUBSCRIBE\n" GOOD_REST,
     "SIP/2.0 400", NULL},
    {"no Contact",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Max-Forwards: 70\nEvent: presence\n\n",
     "SIP/2.0 400", NULL},
    {"no Event",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Max-Forwards: 70\n"
                                                 "Contact: <sip:romeo@127.0.0.1:5099>\n\n",
     "SIP/2.0 489", "Allow-Events: presence\r\n"},
    {"an unknown event",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Max-Forwards: 70\nEvent: dialog\n"
                                                 "Contact: <sip:romeo@127.0.0.1:5099>\n\n",
     "SIP/2.0 489", "Allow-Events: presence\r\n"},
    {"watcher information of watcher information",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Max-Forwards: 70\nEvent: presence.winfo.winfo\n"
                                                 "Contact: <sip:romeo@127.0.0.1:5099>\n\n",
     "SIP/2.0 489", "Allow-Events: presence\r\n"},
    {"an unknown event in a NOTIFY outside of any dialog",
     HEAD("NOTIFY", "sip:juliet@127.0.0.1") "Max-Forwards: 70\nEvent: message-summary\n"
                                            "Subscription-State: active\n\n",
     "SIP/2.0 489", "Allow-Events: presence\r\n"},
    {"a NOTIFY outside of any dialog",
     HEAD("NOTIFY", "sip:juliet@127.0.0.1") "Subscription-State: active\n" GOOD_REST, "SIP/2.0 481",
     NULL},
    {"no hops left",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Max-Forwards: 0\nEvent: presence\n"
                                                 "Contact: <sip:romeo@127.0.0.1:5099>\n\n",
     "SIP/2.0 483", NULL},
    {"an unknown method", HEAD("DANCE", "sip:juliet@example.com") GOOD_REST, "SIP/2.0 501",
     "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
    {"a method in lower case", HEAD("subscribe", "sip:juliet@example.com") GOOD_REST, "SIP/2.0 501",
     "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
    {"a call", HEAD("INVITE", "sip:juliet@example.com") GOOD_REST, "SIP/2.0 405",
     "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
    {"a message", HEAD("MESSAGE", "sip:juliet@example.com") GOOD_REST, "SIP/2.0 405",
     "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
    {"a publication", HEAD("PUBLISH", "sip:juliet@example.com") GOOD_REST, "SIP/2.0 405",
     "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
    {"a registration", HEAD("REGISTER", "sip:example.com") GOOD_REST, "SIP/2.0 405",
     "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
    {"nothing to cancel", HEAD("CANCEL", "sip:juliet@example.com") GOOD_REST, "SIP/2.0 481", NULL},
    {"an extension that is required",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Require: foo, bar\n" GOOD_REST, "SIP/2.0 420",
     "Unsupported: foo, bar\r\n"},
    {"a secure URI", HEAD("SUBSCRIBE", "sips:juliet@example.com") GOOD_REST, "SIP/2.0 416", NULL},
    {"a telephone number", HEAD("SUBSCRIBE", "tel:+15551234567") GOOD_REST, "SIP/2.0 416", NULL},
    {"an unknown scheme", HEAD("SUBSCRIBE", "mailto:juliet@example.com") GOOD_REST, "SIP/2.0 416",
     NULL},
    {"no user part", HEAD("SUBSCRIBE", "sip:example.com") GOOD_REST, "SIP/2.0 404", NULL},
    {"somebody of a foreign XMPP domain", HEAD("SUBSCRIBE", "sip:juliet@capulet.example") GOOD_REST,
     "SIP/2.0 404", NULL},
    {"a SIP user of a foreign domain",
     "SUBSCRIBE sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@montague.example>;tag=1\nTo: <sip:juliet@example.com>\nCall-ID: c\n"
     "CSeq: 1 SUBSCRIBE\n" GOOD_REST,
     "SIP/2.0 403", NULL},
    {"two foreigners",
     "SUBSCRIBE sip:juliet@capulet.example SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@montague.example>;tag=1\nTo: <sip:juliet@example.com>\nCall-ID: c\n"
     "CSeq: 1 SUBSCRIBE\n" GOOD_REST,
     "SIP/2.0 403", NULL}, // and he is not told who is here
    {"too brief", HEAD("SUBSCRIBE", "sip:juliet@example.com") "Expires: 59\n" GOOD_REST,
     "SIP/2.0 423", "Min-Expires: 60\r\n"},
    {"a filter",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Content-Type: application/simple-filter+xml\n"
                                                 "Content-Length: 13\n" GOOD_REST "<filter-set/>",
     "SIP/2.0 415", "Accept:\r\n"},
    {"a body of no type", HEAD("SUBSCRIBE", "sip:juliet@example.com") GOOD_REST "away",
     "SIP/2.0 415", "Accept:\r\n"},
    {"no PIDF accepted",
     HEAD("SUBSCRIBE", "sip:juliet@example.com") "Accept: application/xpidf+xml\n" GOOD_REST,
     "SIP/2.0 406", "Accept: application/pidf+xml\r\n"},
    {"a refresh of a dialog that is not here",
     "SUBSCRIBE sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\n"
     "From: <sip:romeo@example.net>;tag=1\n"
     "To: <sip:juliet@example.com>;tag=0123456789abcdef01234567\nCall-ID: c\n"
     "CSeq: 2 SUBSCRIBE\n" GOOD_REST,
     "SIP/2.0 481", NULL},
};

static void each_is_refused_and_costs_xmpp_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        print_message("    %s\n", r->why);
        sip_says(s, r->message);
        sip_sees(s, r->status, "To: <sip:juliet@example.com>;tag=", r->header, NULL);
        quiet(s);
    }
    assert_int_equal(s->puts, 0);
    all_is_over(s, 100);
    stage_close(s);
}

// RFC 3261 §8.2.7: a stateless UAS gives a retransmission the same To tag.
static void a_retransmission_is_refused_with_the_same_tag(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char tag[2][64];
        for (int k = 0; k < 2; k++) {
            sip_says(s, refusals[i].message);
            sip_sees(s, refusals[i].status, NULL);
            assert_true(s->sip->to_tag.n > 0);
            snprintf(tag[k], sizeof tag[k], "%.*s", TEXT_ARG(stage_sip(s, s->sip->to_tag)));
            stage_pass_s(s, 1);
        }
        assert_string_equal(tag[0], tag[1]);
    }
    stage_close(s);
}

// RFC 3261 §8.1.3.3, §16.7: without a Via there is nobody to answer to; an ACK and a response are
// never answered.
static void what_cannot_be_answered_is_dropped(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "\r\n\r\n",
        "hello",
        "GET / HTTP/1.1\nHost: example.net\n\n",
        "SUBSCRIBE sip:juliet@example.com SIP/2.0\nFrom: <sip:romeo@example.net>;tag=1\n"
        "To: <sip:juliet@example.com>\nCall-ID: c\nCSeq: 1 SUBSCRIBE\n" GOOD_REST,
        HEAD("ACK", "sip:juliet@example.com") GOOD_REST,
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK1\n"
        "From: <sip:juliet@example.com>;tag=1\nTo: <sip:romeo@example.net>;tag=2\nCall-ID: c\n"
        "CSeq: 1 SUBSCRIBE\n\n",
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP "
        "127.0.0.1:5080;branch=z9hG4bK00000000010123456789abcdef\n"
        "From: <sip:juliet@example.com>;tag=1\nTo: <sip:romeo@example.net>;tag=2\nCall-ID: c\n"
        "CSeq: 1 SUBSCRIBE\n\n",
        "SIP/2.0 999\n\n",
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        sip_says(s, messages[i]);
        quiet(s);
    }
    all_is_over(s, 100);
    stage_close(s);
}

static void an_untrusted_source_is_refused_whatever_it_says(void **state)
{
    (void)state;
    static const char *const messages[] = {
        HEAD("SUBSCRIBE", "sip:juliet@example.com") GOOD_REST,
        HEAD("NOTIFY", "sip:juliet@example.com") GOOD_REST,
        HEAD("OPTIONS", "sip:juliet@example.com") GOOD_REST,
        HEAD("SUBSCRIBE", "sip:juliet@example.com") "Require: foo\n" GOOD_REST,
        HEAD("INVITE", "sip:juliet@example.com") GOOD_REST,
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        sip_says_from(s, "192.0.2.1", messages[i]);
        sip_sees(s, "SIP/2.0 403", "received=192.0.2.1", NULL);
        sip_says_from(s, "2001:db8::1", messages[i]);
        sip_sees(s, "SIP/2.0 403", NULL);
    }
    assert_int_equal(core_stats(s->core)->refused_trust, 10);
    all_is_over(s, 100);
    stage_close(s);
}

// Nor may such a source speak in a dialog that others have made, or end our requests.
static void an_untrusted_source_cannot_take_part(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    char answer[1024];
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    snprintf(answer, sizeof answer,
             "SIP/2.0 403 Forbidden\nVia: %.*s\nFrom: %.*s\nTo: %.*s;tag=x\nCall-ID: %.*s\n"
             "CSeq: 1 SUBSCRIBE\n\n",
             TEXT_ARG(stage_sip(s, s->sip->vias)), TEXT_ARG(stage_sip(s, s->sip->from)),
             TEXT_ARG(stage_sip(s, s->sip->to)), TEXT_ARG(stage_sip(s, s->sip->call_id)));
    const struct sip_message *request = sip_keeps(s);
    sip_says_from(s, "192.0.2.1", answer);
    quiet(s);
    sip_answers_to(s, request, 200, "Expires: 3600\n");
    sip_notifies(s, &d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_close(s);
}

// RFC 3261 §11: what the gateway can do.
static void options_are_told(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    sip_says(s, HEAD("OPTIONS", "sip:127.0.0.1") "Max-Forwards: 70\n\n");
    sip_sees(s, "SIP/2.0 200", "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n",
             "Accept: application/pidf+xml, application/watcherinfo+xml\r\n",
             "Allow-Events: presence\r\n", NULL);
    sip_says(s, HEAD("OPTIONS", "sip:127.0.0.1") "Max-Forwards: 0\n\n"); // §11: for ourselves
    sip_sees(s, "SIP/2.0 200", NULL);
    all_is_over(s, 100);
    stage_close(s);
}

// ---- Inside of dialogs

static void refresh(struct stage *s, struct stage_dialog *d, const char *headers,
                    const char *status, const char *header)
{
    d->cseq++;
    sip_resubscribes_with(s, d, headers);
    sip_sees(s, status, header, NULL);
}

// A dialog that has seen all of that goes on: the next good refresh is taken.
static void bad_refreshes_leave_the_dialog_alone(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    refresh(s, &d, "Event: presence\nExpires: 30\n", "SIP/2.0 423", "Min-Expires: 60\r\n");
    refresh(s, &d, "Event: dialog\n", "SIP/2.0 489", "Allow-Events: presence\r\n");
    refresh(s, &d, "Event: presence\nAccept: text/plain\n", "SIP/2.0 406", NULL);
    refresh(s, &d, "Event: presence\nContent-Type: text/plain\n\nfilter", "SIP/2.0 415",
            "Accept:\r\n");
    refresh(s, &d, "Event: presence\nRequire: pending-additions\n", "SIP/2.0 420",
            "Unsupported: pending-additions\r\n");
    struct stage_dialog foreign = d;
    snprintf(foreign.peer_tag, sizeof foreign.peer_tag, "someoneelse");
    refresh(s, &foreign, "Event: presence\n", "SIP/2.0 481", NULL);
    foreign = d;
    snprintf(foreign.call_id, sizeof foreign.call_id, "another-call");
    refresh(s, &foreign, "Event: presence\n", "SIP/2.0 481", NULL);
    quiet(s);
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_sees(s, "NOTIFY", "active;expires=600", "away", NULL);
    sip_answers(s, 200, "");
    d.cseq--; // late, and overtaken by the one before
    sip_resubscribes_with(s, &d, "Event: presence\nExpires: 0\n");
    sip_sees(s, "SIP/2.0 500", NULL);
    quiet(s);
    assert_int_equal(core_stats(s->core)->by_state[SIP_TO_XMPP][STATE_ACTIVE], 1);
    stage_close(s);
}

// RFC 3261 §17.2.2: the same answer again, no second dialog, no second NOTIFY, nothing to XMPP.
static void a_retransmitted_subscribe_makes_no_second_dialog(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d, again;
    serve_begun(s, &d);
    for (int i = 0; i < 3; i++) {
        stage_pass_ms(s, 500);
        sip_says(s, ROMEO_SUBSCRIBES);
        sip_sees(s, "SIP/2.0 200", "Expires: 3600", NULL);
        sip_dialog_of_answer(s, &again);
        assert_string_equal(again.our_tag, d.our_tag);
        quiet(s);
    }
    assert_int_equal(core_stats(s->core)->dialogs, 1);
    stage_close(s);
}

static void a_retransmitted_refresh_is_answered_again(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    sip_sees(s, "NOTIFY", NULL);
    sip_answers(s, 200, "");
    d.cseq--;
    sip_resubscribes(s, &d, 600);
    sip_sees(s, "SIP/2.0 200", "Expires: 600", NULL);
    quiet(s);
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    sip_sees(s, "NOTIFY", "terminated", NULL);
    sip_answers(s, 200, "");
    xmpp_sees(s, ROMEO_UNAVAILABLE);
    d.cseq--; // its 200 was lost
    sip_resubscribes(s, &d, 0);
    sip_sees(s, "SIP/2.0 200", "Expires: 0", NULL);
    quiet(s);
    sip_resubscribes(s, &d, 600); // and what is over is over
    sip_sees(s, "SIP/2.0 481", NULL);
    stage_close(s);
}

static void a_retransmitted_notify_is_shown_once(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    for (int i = 0; i < 2; i++) {
        d.cseq--;
        sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
        sip_sees(s, "SIP/2.0 200", NULL);
        quiet(s);
    }
    stage_close(s);
}

#define NOTIFY_HEADERS                                                                             \
    "Event: presence\nSubscription-State: active;expires=3600\nContact: <sip:p@127.0.0.1:5070>\n"
#define NOTIFY_PIDF NOTIFY_HEADERS "Content-Type: application/pidf+xml\n"

// romeo's server      gateway                 juliet
//   |  NOTIFY, bad       |                       |
//   |------------------->|                       |
//   |  4xx               |  (still sees "away")  |
//   |<-------------------|                       |
static void a_bad_notify_leaves_the_dialog_alone(void **state)
{
    (void)state;
    static const struct {
        const char *headers, *body, *status, *header;
    } bad[] = {
        {NOTIFY_PIDF, "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:r@e'><tuple",
         "SIP/2.0 400", NULL},
        {NOTIFY_PIDF, "not XML at all", "SIP/2.0 400", NULL},
        {NOTIFY_PIDF, "<html xmlns='http://www.w3.org/1999/xhtml'/>", "SIP/2.0 400", NULL},
        {NOTIFY_PIDF,
         "<!DOCTYPE presence [<!ENTITY a 'x'>]><presence xmlns='urn:ietf:params:xml:ns:pidf' "
         "entity='pres:r@e'><tuple id='t'><status><basic>closed</basic></status></tuple>"
         "</presence>",
         "SIP/2.0 400", NULL},
        {NOTIFY_HEADERS "Content-Type: text/plain\n", "away", "SIP/2.0 415",
         "Accept: application/pidf+xml\r\n"},
        {NOTIFY_HEADERS "Content-Type: application/rlmi+xml\n", "<list/>", "SIP/2.0 415",
         "Accept: application/pidf+xml\r\n"},
        {NOTIFY_HEADERS, "<presence/>", "SIP/2.0 415", NULL}, // a body of no type
        {NOTIFY_PIDF "Content-Encoding: gzip\n", PIDF_CLOSED, "SIP/2.0 415",
         "Accept-Encoding: identity\r\n"},
        {NOTIFY_PIDF "e: identity, gzip\n", PIDF_CLOSED, "SIP/2.0 415", NULL},
        {NOTIFY_HEADERS "Content-Type: text/plain\n"
                        "Content-Disposition: render;handling=required\n",
         "away", "SIP/2.0 415", NULL},
        {"Event: presence\n", "", "SIP/2.0 400", NULL}, // RFC 6665 §4.1.3
        {"Event: dialog\nSubscription-State: active\n", "", "SIP/2.0 489",
         "Allow-Events: presence\r\n"},
        {NOTIFY_HEADERS "Require: foo\n", "", "SIP/2.0 420", "Unsupported: foo\r\n"},
    };
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    uint64_t due_ms = core_next_due(s->core);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct stage_dialog next = d;
        next.cseq++;
        sip_notifies_with(s, &next, bad[i].headers, bad[i].body);
        sip_sees(s, bad[i].status, bad[i].header, NULL);
        quiet(s);
        assert_int_equal(core_next_due(s->core), due_ms);
    }
    xmpp_says(s, "<presence from='juliet@example.com/b' to='romeo@example.net' type='probe'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com/b'>"
              "<show>away</show></presence>");
    sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    stage_close(s);
}

// RFC 3261 §20.11: a body that its sender calls optional is as good as none, unless it is
// understood.
static void what_need_not_be_understood_is_not_missed(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    serve_established(s, &d);
    refresh(s, &d,
            "Event: presence\nExpires: 600\nContent-Type: application/simple-filter+xml\n"
            "Content-Disposition: x;a=b; Handling = OPTIONAL\n\n<filter-set/>",
            "SIP/2.0 200", "Expires: 600");
    sip_sees(s, "NOTIFY", "active;expires=600", "away", NULL);
    sip_answers(s, 200, "");
    stage_close(s);

    s = stage_open();
    watch_established(s, &d);
    d.cseq++;
    sip_notifies_with(s, &d,
                      NOTIFY_HEADERS
                      "Content-Type: text/plain\n"
                      "Content-Disposition: render;handling=optional\n",
                      "closed");
    sip_sees(s, "SIP/2.0 200", NULL);
    quiet(s);
    d.cseq++;
    sip_notifies_with(s, &d,
                      NOTIFY_PIDF
                      "Content-Encoding: identity\n"
                      "Content-Disposition: render;handling=optional\n",
                      PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    quiet(s);
    stage_close(s);
}

static void a_notify_from_the_past_is_refused(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog d;
    watch_established(s, &d);
    d.cseq = 7;
    sip_notifies(s, &d, "active;expires=3600", PIDF_CLOSED);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, ROMEO_GONE);
    d.cseq = 6;
    sip_notifies_with(s, &d, NOTIFY_PIDF, PIDF_AWAY); // it was overtaken
    sip_sees(s, "SIP/2.0 500", NULL);
    quiet(s);
    stage_close(s);
}

// A dialog's texts are kept with lengths of one byte each, or of two if one is longer than that:
// here its route set, around that and at what SIP allows (SIP_VALUE_MAX); and over a restart.
static void a_route_of_any_length_is_kept(void **state)
{
    (void)state;
    static const int sizes[] = {254, 255, 256, 257, 4096};
    static char message[8192], route[4200];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct stage *s = stage_open();
        struct stage_dialog d;
        int filling = sizes[i] - (int)strlen("<sip:127.0.0.1:5070;lr;x=>");
        snprintf(route, sizeof route, "Route: <sip:127.0.0.1:5070;lr;x=%0*d>\r\n", filling, 0);
        snprintf(message, sizeof message, "%sRecord-%s%s",
                 HEAD("SUBSCRIBE", "sip:juliet@example.com"), route, GOOD_REST);
        sip_says(s, message);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_dialog_of_answer(s, &d);
        sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", route, NULL);
        sip_answers(s, 200, "");
        stage_crash(s);
        d.cseq++;
        sip_resubscribes(s, &d, 600);
        sip_sees(s, "SIP/2.0 200", NULL);
        sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099", route, NULL);
        stage_close(s);
    }
}

// Contact and route set of a peer may be long, but not without end (CORE_DIALOG_TEXT_MAX).
static void oversized_dialogs_are_refused(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    static char message[20000], routes[9000];
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        n += (size_t)sprintf(routes + n, "Record-Route: <sip:127.0.0.%d;lr;x=", i + 1);
        memset(routes + n, 'a', 2800);
        n += 2800;
        n += (size_t)sprintf(routes + n, ">\n");
    }
    snprintf(message, sizeof message, "%s%s%s", HEAD("SUBSCRIBE", "sip:juliet@example.com"), routes,
             GOOD_REST);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 513", NULL);
    all_is_over(s, 100);
    // The same in a NOTIFY that would make the dialog of ours.
    struct stage_dialog d;
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE", NULL);
    sip_dialog_of_subscribe(s, &d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    d.cseq = 1;
    snprintf(message, sizeof message, "%s%s", NOTIFY_HEADERS, routes);
    sip_notifies_with(s, &d, message, "");
    sip_sees(s, "SIP/2.0 513", NULL);
    quiet(s);
    sip_notifies_with(s, &d, NOTIFY_PIDF, PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, SUBSCRIBED);
    xmpp_sees(s, ROMEO_AWAY);
    stage_close(s);
}

// Each role's requests stay in their role's dialogs.
static void methods_stay_in_their_dialogs(void **state)
{
    (void)state;
    struct stage *s = stage_open();
    struct stage_dialog watch, serve;
    watch_established(s, &watch);
    serve_established(s, &serve);
    watch.cseq++;
    sip_resubscribes_with(s, &watch, "Event: presence\nContact: <sip:a@127.0.0.1>\n");
    sip_sees(s, "SIP/2.0 481", NULL);
    serve.cseq++;
    sip_notifies_with(s, &serve, NOTIFY_PIDF, PIDF_AWAY);
    sip_sees(s, "SIP/2.0 481", NULL);
    quiet(s);
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_refused_and_costs_xmpp_nothing),
        cmocka_unit_test(a_retransmission_is_refused_with_the_same_tag),
        cmocka_unit_test(what_cannot_be_answered_is_dropped),
        cmocka_unit_test(an_untrusted_source_is_refused_whatever_it_says),
        cmocka_unit_test(an_untrusted_source_cannot_take_part),
        cmocka_unit_test(options_are_told),
        cmocka_unit_test(bad_refreshes_leave_the_dialog_alone),
        cmocka_unit_test(a_retransmitted_subscribe_makes_no_second_dialog),
        cmocka_unit_test(a_retransmitted_refresh_is_answered_again),
        cmocka_unit_test(a_retransmitted_notify_is_shown_once),
        cmocka_unit_test(a_bad_notify_leaves_the_dialog_alone),
        cmocka_unit_test(what_need_not_be_understood_is_not_missed),
        cmocka_unit_test(a_notify_from_the_past_is_refused),
        cmocka_unit_test(a_route_of_any_length_is_kept),
        cmocka_unit_test(oversized_dialogs_are_refused),
        cmocka_unit_test(methods_stay_in_their_dialogs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
