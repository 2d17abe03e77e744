// The journeys that most scenarios begin with.
#include "flows.h"

#include <stdio.h>
#include <string.h>

// juliet          gateway              romeo's presence server
//   |  subscribe    |                         |
//   |-------------->|  SUBSCRIBE              |
//   |               |------------------------>|
//   |               |  200, NOTIFY (active)   |
//   |               |<------------------------|
//   |  subscribed   |  200                    |
//   |<--------------|------------------------>|
//   |  presence     |                         |
//   |<--------------|                         |
void watch_established(struct stage *s, struct stage_dialog *d)
{
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net SIP/2.0",
             "From: <sip:juliet@example.com>;tag=", "To: <sip:romeo@example.net>",
             "Event: presence", "Expires: 3600", "Accept: application/pidf+xml",
             "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>", NULL);
    sip_dialog_of_subscribe(s, d, "ffd2");
    sip_answers(s, 200, "Expires: 3600\n");
    sip_notifies(s, d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>");
    xmpp_sees(s,
              "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"
              "<show>away</show></presence>");
    quiet(s);
}

// romeo           gateway               juliet's server
//   |  SUBSCRIBE     |                        |
//   |--------------->|                        |
//   |  200           |                        |
//   |<---------------|                        |
//   |  NOTIFY pending|  subscribe, probe      |
//   |<---------------|----------------------->|
void serve_begun(struct stage *s, struct stage_dialog *d)
{
    sip_says(s, ROMEO_SUBSCRIBES);
    sip_sees(s, "SIP/2.0 200 OK", "Expires: 3600",
             "Contact: <sip:juliet@127.0.0.1:5080;gr=example.com>", "rport=5070", NULL);
    sip_dialog_of_answer(s, d);
    sip_sees(s, "NOTIFY sip:romeo@127.0.0.1:5099 SIP/2.0",
             "Subscription-State: pending;expires=3600",
             "From: <sip:juliet@example.com>;tag=", "To: <sip:romeo@example.net>;tag=xfg9",
             "Event: presence", NULL);
    sip_lacks(s, "pidf");
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' type='probe' "
              "id='serve-probe'/>");
    xmpp_sees(s,
              "<iq type='get' from='romeo@example.net' to='juliet@example.com' "
              "id='serve-fence'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    xmpp_sees(s, "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>");
    xmpp_says(s,
              "<iq type='error' from='juliet@example.com' to='romeo@example.net' "
              "id='serve-fence'><error type='cancel'><service-unavailable "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    sip_answers(s, 200, "");
    quiet(s);
}

//   |                |  subscribed, presence  |
//   |  NOTIFY active |<-----------------------|
//   |<---------------|                        |
void serve_established(struct stage *s, struct stage_dialog *d)
{
    serve_begun(s, d);
    xmpp_says(s, "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed'/>");
    sip_sees(s, "NOTIFY", "Subscription-State: active;expires=3", "CSeq: 2 NOTIFY", NULL);
    sip_lacks(s, "pidf");
    xmpp_sees(s,
              "<presence from='romeo@example.net' to='juliet@example.com' type='probe' "
              "id='serve-probe'/>");
    sip_answers(s, 200, "");
    xmpp_says(s,
              "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"
              "<show>away</show></presence>");
    sip_sees(s, "NOTIFY", "Subscription-State: active", "<basic>open</basic>",
             "<show xmlns='jabber:client'>away</show>", "entity='pres:juliet@example.com'",
             "id='ID-balcony'", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

void all_is_over(struct stage *s, unsigned seconds)
{
    stage_pass_s(s, seconds);
    quiet(s);
    const struct core_stats *stats = core_stats(s->core);
    assert_int_equal(s->n_records, 0);
    assert_int_equal(stats->subscriptions, 0);
    assert_int_equal(stats->dialogs, 0);
    assert_int_equal(stats->client_transactions, 0);
    assert_int_equal(stats->server_transactions, 0);
    assert_int_equal(stats->users, 0);
    assert_int_equal(stats->timers, 0);
}

void said_subscribe(struct stage *s, struct stage_dialog *d)
{
    xmpp_says(s, JULIET_SUBSCRIBES);
    sip_sees(s, "SUBSCRIBE sip:romeo@example.net", "CSeq: 1 SUBSCRIBE", NULL);
    sip_dialog_of_subscribe(s, d, "ffd2");
}

enum core_state watch_state(const struct stage *s)
{
    for (int state = STATE_PENDING; state <= STATE_DORMANT; state++)
        if (core_stats(s->core)->by_state[XMPP_TO_SIP][state])
            return (enum core_state)state;
    fail_msg("no authorization");
    return STATE_PENDING;
}

void probe_is_answered(struct stage *s)
{
    const char *id = xmpp_sees_probe(s, "juliet@example.com");
    quiet(s);
    xmpp_answers_fence(s, "juliet@example.com", id);
}

bool is_next(const struct stage *s, const char *what)
{
    return s->stanza_head != s->stanza_tail && strstr(s->stanzas[s->stanza_head].bytes, what);
}

unsigned seconds_until_tried_again(struct stage *s, unsigned most_s)
{
    uint64_t before_ms = s->now_ms;
    stage_pass_until_said(s, most_s);
    if (is_next(s, "type='probe'"))
        probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", NULL);
    return (unsigned)((s->now_ms - before_ms) / 1000);
}

void approves(struct stage *s, struct stage_dialog *d)
{
    sip_notifies(s, d, "active;expires=3600", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

void refresh_leaves(struct stage *s)
{
    stage_pass_until_said(s, 3600);
    probe_is_answered(s);
    sip_sees(s, "SUBSCRIBE", ";tag=ffd2", "Expires: 3600", NULL);
}

void says_subscribe(struct stage *s, int n, const char *more)
{
    char message[2048];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKdevice%d;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=device%d\nTo: <sip:juliet@example.com>\n"
             "Call-ID: device%d\nCSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:%d>\n"
             "Event: presence\n%s\n",
             n, n, n, 5100 + n, more);
    sip_says(s, message);
}

void device_joins(struct stage *s, struct stage_dialog *d, int n, unsigned expires_s)
{
    char expires[64];
    snprintf(expires, sizeof expires, "Expires: %u\n", expires_s);
    says_subscribe(s, n, expires);
    sip_sees(s, "SIP/2.0 200", "Expires: ", NULL);
    sip_dialog_of_answer(s, d);
    sip_sees(s, "NOTIFY", "Subscription-State: active", "away", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

enum core_state serve_state(const struct stage *s)
{
    for (int state = STATE_PENDING; state <= STATE_DORMANT; state++)
        if (core_stats(s->core)->by_state[SIP_TO_XMPP][state])
            return (enum core_state)state;
    fail_msg("no authorization");
    return STATE_PENDING;
}

void the_fence_of_the_check_is_answered(struct stage *s)
{
    xmpp_says(s,
              "<iq type='error' from='juliet@example.com' to='romeo@example.net' "
              "id='serve-check'>"
              "<error type='cancel'><service-unavailable "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
              "</iq>");
}

void is_checked(struct stage *s)
{
    xmpp_sees(s, ROMEO_PROBES);
    xmpp_sees(s,
              "<iq type='get' from='romeo@example.net' to='juliet@example.com' "
              "id='serve-check'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    quiet(s);
}
