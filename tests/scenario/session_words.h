// What the tests of her presence session say and see: who watches whom, who comes, who leaves.
#ifndef TESTS_SCENARIO_SESSION_WORDS_H
#define TESTS_SCENARIO_SESSION_WORDS_H

#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELPER __attribute__((unused)) static

#define GRACE_S 5

HELPER void says(struct stage *s, const char *resource, const char *to, const char *type)
{
    char stanza[512];
    snprintf(stanza, sizeof stanza,
             "<presence from='juliet@example.com%s%s' to='%s@example.net'%s%s%s/>",
             *resource ? "/" : "", resource, to, *type ? " type='" : "", type, *type ? "'" : "");
    xmpp_says(s, stanza);
}

// He may watch her, and sees her on the balcony.
HELPER void is_watched_by(struct stage *s, const char *who, struct stage_dialog *d)
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
HELPER void leaves(struct stage *s, const char *who)
{
    says(s, "balcony", who, "unavailable");
    sip_sees(s, "NOTIFY", "<basic>closed</basic>", NULL);
    sip_answers(s, 200, "");
    quiet(s);
}

// She watches him, and he is there.
HELPER void watches(struct stage *s, const char *who, struct stage_dialog *d)
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
HELPER void is_closed(struct stage *s, struct stage_dialog *d)
{
    sip_sees(s, "SUBSCRIBE", "Expires: 0", d->call_id, NULL);
    sip_answers(s, 200, "Expires: 0\n");
    sip_notifies(s, d, "terminated;reason=timeout", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

// Two at once, the younger first.
HELPER void are_closed(struct stage *s, struct stage_dialog *younger, struct stage_dialog *older)
{
    sip_sees(s, "SUBSCRIBE", "Expires: 0", younger->call_id, NULL);
    const struct sip_message *first = sip_keeps(s);
    is_closed(s, older);
    sip_answers_to(s, first, 200, "Expires: 0\n");
    sip_notifies(s, younger, "terminated;reason=timeout", PIDF_AWAY);
    sip_sees(s, "SIP/2.0 200", NULL);
}

HELPER uint64_t live_dialogs(const struct stage *s)
{
    return core_stats(s->core)->dialogs;
}

#endif
