// The journeys that most scenarios begin with.
#include "flows.h"

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
             "Contact: <sip:juliet@127.0.0.1:5080>", NULL);
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
    sip_sees(s, "SIP/2.0 200 OK", "Expires: 3600", "Contact: <sip:juliet@127.0.0.1:5080>",
             "rport=5070", NULL);
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
