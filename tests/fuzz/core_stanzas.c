// Instructions that are stanzas: what users and servers of the XMPP side say.
#include "core_program.h"

static const char *const xmpp_users[] = {
    "juliet@example.com",        "nurse@example.com",   "tybalt@exempt.example",
    "d\\27artagnan@example.com", "mallory@example.edu", "juliet@example.com",
    "Stra\xc3\x9f@example.com",  "example.com",
};
static const char *const resources[] = {"", "/balcony", "/chamber", "/a;b=\"c\" \xe2\x98\xba"};
static const char *const sip_jids[] = {
    "romeo@example.net",
    "mercutio@example.org",
    "o\\27brien@example.net",
    "paris@example.edu",
    "example.net",
    "gw.example.net",
    "nobody@gw.example.net",
    "romeo@example.net/orchard",
};
static void put_xml(struct program *p, const char *z)
{
    buffer_xml(&p->b, text_of(z));
}

static void put_start(struct program *p, const char *kind, const char *from, const char *resource,
                      const char *to, const char *id)
{
    program_put(p, "<%s from='", kind);
    put_xml(p, from);
    put_xml(p, resource);
    program_put(p, "' to='");
    put_xml(p, to);
    program_put(p, "' id='");
    put_xml(p, id);
    buffer_char(&p->b, '\'');
}

#define NS_ERROR "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
#define FAILS(condition)                                                                           \
    " type='error'><error type='cancel'><" condition " " NS_ERROR "/></error></presence>"

static const char *const presences[] = {
    " type='subscribe'/>",
    " type='subscribed'/>",
    " type='unsubscribe'/>",
    " type='unsubscribed'/>",
    " type='probe'/>",
    "/>",
    "><show>away</show><priority>5</priority></presence>",
    "><show>dnd</show><status>busy</status><status xml:lang='it'>no</status>"
    "<priority>-1</priority><nick xmlns='http://jabber.org/protocol/nick'>J</nick>"
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='y='/>"
    "<idle xmlns='urn:xmpp:idle:1' since='2023-11-14T22:00:00Z'/></presence>",
    " type='unavailable'/>",
    " type='unavailable'><status>gone</status></presence>",
    " type='strange'/>",
    FAILS("item-not-found"),
    FAILS("gone"),
    FAILS("forbidden"),
    FAILS("remote-server-not-found"),
    FAILS("remote-server-timeout"),
    FAILS("service-unavailable"),
    FAILS("resource-constraint"),
    " type='subscribe'><status>please</status></presence>",
};

#define MOOD_EVENT                                                                                 \
    "<event xmlns='http://jabber.org/protocol/pubsub#event'><items "                               \
    "node='http://jabber.org/protocol/mood'><item><mood "                                          \
    "xmlns='http://jabber.org/protocol/mood'>"
static const char *const questions[] = {
    "iq\ntype='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "iq\ntype='get'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "iq\ntype='get'><query xmlns='jabber:iq:version'/></iq>",
    "iq\ntype='get'><query xmlns='jabber:iq:last'/></iq>",
    "iq\ntype='get'><time xmlns='urn:xmpp:time'/></iq>",
    "iq\ntype='get'><vCard xmlns='vcard-temp'/></iq>",
    "iq\ntype='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    "iq\ntype='get'><query xmlns='http://jabber.org/protocol/disco#info' "
    "node='urn:uuid:f5b6400b-ff63-44bd-8de2-417de52bbdb8#x'/></iq>",
    "iq\ntype='set'><query xmlns='jabber:iq:register'/></iq>",
    "iq\ntype='result'/>",
    "iq\ntype='what'/>",
    "message\ntype='chat'><body>hi</body></message>",
    "message\ntype='error'><error type='cancel'><gone " NS_ERROR "/></error></message>",
    "message\ntype='headline'>" MOOD_EVENT
    "<happy/><text>sun</text></mood></item></items></event>"
    "</message>",
    "message\n>" MOOD_EVENT "</mood></item></items></event></message>",
    "message\n><event xmlns='http://jabber.org/protocol/pubsub#event'><items "
    "node='http://jabber.org/protocol/activity'><item><activity "
    "xmlns='http://jabber.org/protocol/activity'><relaxing><partying/></relaxing></activity>"
    "</item></items></event></message>",
};

static const char *from_user(const struct program *p)
{
    return OF(xmpp_users, p->u[2] & 7);
}

static const char *from_resource(const struct program *p)
{
    return OF(resources, p->u[2] >> 3);
}

void program_presence(struct program *p)
{
    put_start(p, "presence", from_user(p), from_resource(p), OF(sip_jids, p->u[3] & 7), "p1");
    program_put(p, "%s%s", p->u[7] ? "" : " xml:lang='en'", OF(presences, p->u[1]));
    program_say_stanza(p);
}

static void put_question(struct program *p, const char *template, const char *from,
                         const char *resource, const char *to, const char *id)
{
    char kind[16];
    size_t n = strcspn(template, "\n");
    snprintf(kind, sizeof kind, "%.*s", (int)n, template);
    put_start(p, kind, from, resource, to, id);
    program_put(p, " %s", template + n + 1);
}

void program_question(struct program *p)
{
    put_question(p, OF(questions, p->u[1]), from_user(p), from_resource(p),
                 OF(sip_jids, p->u[3] & 7), p->u[4] & 1 ? "serve-fence" : "q1");
    program_say_stanza(p);
}

// To who sent the k-th last stanza, a device of his as it may be.
void program_question_back(struct program *p)
{
    const struct world_stanza *s = world_last_stanza(&p->w, p->u[2] & 7);
    if (!s)
        return;
    put_question(p, OF(questions, p->u[1]), s->to, strchr(s->to, '/') ? "" : from_resource(p),
                 s->from, "q2");
    program_say_stanza(p);
}

// To the k-th last stanza, with its addresses exchanged.
void program_presence_back(struct program *p)
{
    const struct world_stanza *s = world_last_stanza(&p->w, p->u[2] & 7);
    if (!s)
        return;
    put_start(p, "presence", s->to, strchr(s->to, '/') ? "" : from_resource(p), s->from, s->id);
    program_put(p, "%s", OF(presences, p->u[1]));
    program_say_stanza(p);
}

static const char *const results[] = {
    " type='result'/>",
    " type='result'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    " type='error'><error type='cancel'><service-unavailable " NS_ERROR "/></error></iq>",
    " type='error'><error type='cancel'><item-not-found " NS_ERROR "/></error></iq>",
    " type='error'><error type='cancel'><gone " NS_ERROR "/></error></iq>",
    " type='error'><error type='wait'><remote-server-timeout " NS_ERROR "/></error></iq>",
    " type='error'><error type='cancel'><remote-server-not-found " NS_ERROR "/></error></iq>",
    " type='error'><error type='auth'><subscription-required " NS_ERROR "/></error></iq>",
};

// To the last question of the core's.
void program_iq_back(struct program *p)
{
    unsigned skip = p->u[2] & 3;
    for (unsigned k = 0; k < WORLD_KEPT; k++) {
        const struct world_stanza *s = world_last_stanza(&p->w, k);
        if (!s || (s->is_iq && skip-- == 0)) {
            if (!s)
                return;
            put_start(p, "iq", s->to, "", s->from, s->id);
            program_put(p, "%s", OF(results, p->u[1]));
            program_say_stanza(p);
            return;
        }
    }
}
