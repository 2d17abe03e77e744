// The journeys that most scenarios begin with, and the words in them.
#ifndef TESTS_FLOWS_H
#define TESTS_FLOWS_H

#include "stage.h"

// A document about romeo with these tuples; one tuple with this inside of its status.
#define PIDF(tuples)                                                                               \
    "<?xml version='1.0' encoding='UTF-8'?><presence xmlns='urn:ietf:params:xml:ns:pidf' "         \
    "entity='pres:romeo@example.net'>" tuples "</presence>"
#define TUPLE(id, status) "<tuple id='" id "'><status>" status "</status></tuple>"
#define OPEN(show)        "<basic>open</basic><show xmlns='jabber:client'>" show "</show>"
#define PIDF_AWAY         PIDF(TUPLE("ID-dr4hcr0st3lup4c", OPEN("away")))
#define PIDF_CLOSED       PIDF(TUPLE("ID-dr4hcr0st3lup4c", "<basic>closed</basic>"))

#define JULIET_SUBSCRIBES                                                                          \
    "<presence from='juliet@example.com' to='romeo@example.net' type='subscribe'/>"
#define JULIET_UNSUBSCRIBES                                                                        \
    "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>"
// What she sees.
#define SUBSCRIBED "<presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>"
#define UNSUBSCRIBED                                                                               \
    "<presence from='romeo@example.net' to='juliet@example.com' type='unsubscribed'/>"
#define ROMEO_AWAY                                                                                 \
    "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com'>"                  \
    "<show>away</show></presence>"
#define ROMEO_GONE                                                                                 \
    "<presence from='romeo@example.net/dr4hcr0st3lup4c' to='juliet@example.com' "                  \
    "type='unavailable'/>"

#define ROMEO_SUBSCRIBES                                                                           \
    "SUBSCRIBE sip:juliet@example.com SIP/2.0\n"                                                   \
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKna998sk;rport\n"                                \
    "From: <sip:romeo@example.net>;tag=xfg9\nTo: <sip:juliet@example.com>\n"                       \
    "Call-ID: AA5A8BE5-CBB7-42B9-8181-6230012B1E11\nEvent: presence\nMax-Forwards: 70\n"           \
    "CSeq: 1 SUBSCRIBE\nContact: <sip:romeo@127.0.0.1:5099>\nAccept: application/pidf+xml\n\n"
// What she sees of it, and says.
#define ROMEO_PROBES                                                                               \
    "<presence from='romeo@example.net' to='juliet@example.com' type='probe' id='serve-probe'/>"
#define ROMEO_FENCE                                                                                \
    "<iq type='get' from='romeo@example.net' to='juliet@example.com' id='serve-fence'>"            \
    "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
#define ROMEO_ASKS "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>"
#define ROMEO_UNAVAILABLE                                                                          \
    "<presence from='romeo@example.net' to='juliet@example.com' type='unavailable'/>"
#define JULIET_APPROVES                                                                            \
    "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed'/>"
#define JULIET_REJECTS                                                                             \
    "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>"
#define JULIET_AWAY                                                                                \
    "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"                          \
    "<show>away</show></presence>"
#define JULIET_DND                                                                                 \
    "<presence from='juliet@example.com/balcony' to='romeo@example.net'>"                          \
    "<show>dnd</show></presence>"
#define JULIET_LEAVES                                                                              \
    "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'/>"

// She has asked, he has approved and is away.
void watch_established(struct stage *s, struct stage_dialog *d);
// He has asked, her server has answered the fence, she has not decided.
void serve_begun(struct stage *s, struct stage_dialog *d);
// She has approved and is away.
void serve_established(struct stage *s, struct stage_dialog *d);
// She asks; d is the dialog that romeo's server may make of it.
void said_subscribe(struct stage *s, struct stage_dialog *d);
// He says active, and is away.
void approves(struct stage *s, struct stage_dialog *d);
// Of the only authorization there is.
enum core_state watch_state(const struct stage *s);
enum core_state serve_state(const struct stage *s);
// The gateway asks whether she is there, and her server answers.
void probe_is_answered(struct stage *s);
// What she would see next, or nothing.
bool is_next(const struct stage *s, const char *what);
// Time passes until the gateway tries again, after a probe or within the window of an earlier one;
// how many seconds that took.
unsigned seconds_until_tried_again(struct stage *s, unsigned most_s);
// A refresh is due, she is there, and it has left.
void refresh_leaves(struct stage *s);

// A SUBSCRIBE of one of his devices; n names it.
void says_subscribe(struct stage *s, int n, const char *more);
// One more device while she is known to be away: it sees that at once.
void device_joins(struct stage *s, struct stage_dialog *d, int n, unsigned expires_s);
// What may have been overtaken is asked for, with a fence that tells when the answer is complete.
void is_checked(struct stage *s);
void the_fence_of_the_check_is_answered(struct stage *s);

// Nothing is left of it all: after `seconds` nothing is said, and no memory held.
void all_is_over(struct stage *s, unsigned seconds);

#endif
