// What the tests of where requests go share: a gateway with a proxy by name or none, places, a
// watcher.
#ifndef TESTS_SCENARIO_NEXT_HOP_WORDS_H
#define TESTS_SCENARIO_NEXT_HOP_WORDS_H

#include "flows.h"

#include <stdio.h>
#include <string.h>

#include "core/next_hop.h"
#include "core/peer.h"

#define HELPER __attribute__((unused)) static

#define PROXY "sip:proxy.example.net"
#define A     "udp:127.0.0.1:5070"
#define B     "udp:127.0.0.2:5071"
#define C     "tcp:127.0.0.3:5072"

HELPER void by_name(struct core_config *cfg)
{
    cfg->proxy = (struct hop){0};
    cfg->proxy_uri = TEXT(PROXY);
}

HELPER void without_proxy(struct core_config *cfg)
{
    cfg->proxy = (struct hop){0};
}

// She asks for one more contact; the request leaves as soon as it is known whereto.
HELPER void asks_for(struct stage *s, int contact)
{
    char stanza[256];
    snprintf(stanza, sizeof stanza,
             "<presence from='juliet@example.com' to='romeo%d@example.net' type='subscribe'/>",
             contact);
    xmpp_says(s, stanza);
}

// The gateway tries again of its own accord; what it first says to the net is next.
HELPER unsigned seconds_until_tried(struct stage *s)
{
    uint64_t before_ms = s->now_ms;
    stage_pass_until_said(s, 200);
    if (is_next(s, "type='probe'"))
        probe_is_answered(s);
    return (unsigned)((s->now_ms - before_ms) / 1000);
}

HELPER void says_contact(struct stage *s, const char *contact)
{
    char message[2048];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"
             "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKcontact;rport\nMax-Forwards: 70\n"
             "From: <sip:romeo@example.net>;tag=c\nTo: <sip:juliet@example.com>\nCall-ID: contact\n"
             "CSeq: 1 SUBSCRIBE\nContact: <%s>\nEvent: presence\nExpires: 600\n\n",
             contact);
    sip_says(s, message);
    sip_sees(s, "SIP/2.0 200", NULL);
}

#endif
