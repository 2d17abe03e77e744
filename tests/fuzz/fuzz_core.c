// A program of events → one core, with all invariants of core_world.h after each step.
//
// The first eight bytes choose the configuration; then each eight are an instruction:
//
//   0      what: see the table at the end
//   1      which template, status or amount
//   2      XMPP user and resource; the k-th last message, where one is answered
//   3      SIP user, and where a SIP message comes from
//   4      a number: CSeq, expiry, identity of a message
//   5      lines that are added
//   6, 7   a byte of the message, by its place in 256ths, and what it becomes; 7 zero: none
//
// A mutator of its own keeps instructions whole.
#include <stdarg.h>

#include "core_world.h"

enum { UNIT = 8, UNITS_MAX = 160 };

struct program {
    struct world w;
    struct fuzz_input in;
    const uint8_t *u; // the instruction
    struct buffer b;  // the message
};

static void put(struct program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct program *p, const char *format, ...)
{
    char *z;
    va_list args;
    va_start(args, format);
    if (vasprintf(&z, format, args) < 0)
        abort();
    va_end(args);
    buffer_text(&p->b, text_of(z));
    free(z);
}

#define OF(list, i) ((list)[(unsigned)(i) % (sizeof(list) / sizeof *(list))])

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
static const char *const xmpp_uris[] = {
    "sip:juliet@example.com",     "sip:nurse@example.com",   "sip:tybalt@exempt.example",
    "sip:d'artagnan@example.com", "sip:mallory@example.edu", "pres:juliet@example.com",
    "sip:stra%c3%9f@example.com", "sip:example.com",
};
static const char *const sip_uris[] = {
    "sip:romeo@example.net",
    "sip:mercutio@example.org",
    "sip:o'brien@example.net",
    "sip:paris@example.edu",
    "sip:example.net",
    "sips:romeo@example.net",
    "sip:Romeo@EXAMPLE.net:5060;transport=tcp",
    "pres:romeo@example.net",
};
static const char *const numbers[] = {"0",    "1",     "59",         "60",         "300",
                                      "3600", "86400", "4294967295", "2147483648", "7200"};

static const struct hop hops[] = {
    {.ip = {127, 0, 0, 1}, .port = FUZZ_PROXY_PORT, .family = 4},
    {.ip = {127, 0, 0, 1}, .port = 5099, .family = 4, .transport = HOP_TCP},
    {.ip = {127, 0, 0, 2}, .port = 5060, .family = 4, .transport = HOP_TLS},
    {.ip = {203, 0, 113, 9}, .port = 5060, .family = 4},
    {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = 5061, .family = 6},
};

// ---- Messages

// The byte that the instruction changes.
static void damage(struct program *p)
{
    if (p->u[7] && p->b.n)
        p->b.p[p->u[6] * p->b.n / 256] = (char)p->u[7];
}

static void say_stanza(struct program *p)
{
    damage(p);
    world_stanza_in(&p->w, fuzz_text(&p->b));
}

static void say_sip(struct program *p)
{
    damage(p);
    world_sip_in(&p->w, fuzz_text(&p->b), &OF(hops, p->u[3] >> 4));
}

static void put_xml(struct program *p, const char *z)
{
    buffer_xml(&p->b, text_of(z));
}

static void put_start(struct program *p, const char *kind, const char *from, const char *resource,
                      const char *to, const char *id)
{
    put(p, "<%s from='", kind);
    put_xml(p, from);
    put_xml(p, resource);
    put(p, "' to='");
    put_xml(p, to);
    put(p, "' id='");
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

static void do_presence(struct program *p)
{
    put_start(p, "presence", from_user(p), from_resource(p), OF(sip_jids, p->u[3] & 7), "p1");
    put(p, "%s%s", p->u[7] ? "" : " xml:lang='en'", OF(presences, p->u[1]));
    say_stanza(p);
}

static void put_question(struct program *p, const char *template, const char *from,
                         const char *resource, const char *to, const char *id)
{
    char kind[16];
    size_t n = strcspn(template, "\n");
    snprintf(kind, sizeof kind, "%.*s", (int)n, template);
    put_start(p, kind, from, resource, to, id);
    put(p, " %s", template + n + 1);
}

static void do_question(struct program *p)
{
    put_question(p, OF(questions, p->u[1]), from_user(p), from_resource(p),
                 OF(sip_jids, p->u[3] & 7), p->u[4] & 1 ? "serve-fence" : "q1");
    say_stanza(p);
}

// To the k-th last stanza, with its addresses exchanged.
static void do_presence_back(struct program *p)
{
    const struct world_stanza *s = world_last_stanza(&p->w, p->u[2] & 7);
    if (!s)
        return;
    put_start(p, "presence", s->to, strchr(s->to, '/') ? "" : from_resource(p), s->from, s->id);
    put(p, "%s", OF(presences, p->u[1]));
    say_stanza(p);
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
static void do_iq_back(struct program *p)
{
    unsigned skip = p->u[2] & 3;
    for (unsigned k = 0; k < WORLD_KEPT; k++) {
        const struct world_stanza *s = world_last_stanza(&p->w, k);
        if (!s || (s->is_iq && skip-- == 0)) {
            if (!s)
                return;
            put_start(p, "iq", s->to, "", s->from, s->id);
            put(p, "%s", OF(results, p->u[1]));
            say_stanza(p);
            return;
        }
    }
}

// ---- SIP

#define PIDF(inner)                                                                                \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>" inner         \
    "</presence>"
static const char *const bodies[] = {
    "",
    PIDF("<tuple id='ID-orchard'><status><basic>open</basic><show xmlns='jabber:client'>away"
         "</show></status><contact priority='0.5'>sip:romeo@example.net</contact>"
         "<note>hi</note></tuple>"),
    PIDF("<tuple id='ID-orchard'><status><basic>closed</basic></status></tuple>"),
    PIDF("<tuple id='ID-orchard'><status><basic>open</basic></status></tuple><tuple id='x'>"
         "<status><basic>open</basic></status><note xml:lang='it'>no</note></tuple>"
         "<person xmlns='urn:ietf:params:xml:ns:pidf:data-model' id='p'><activities "
         "xmlns='urn:ietf:params:xml:ns:pidf:rpid'><meal/></activities><mood "
         "xmlns='urn:ietf:params:xml:ns:pidf:rpid'><happy/><note>sun</note></mood></person>"),
    PIDF(""),
    PIDF("<tuple id='ID-orchard'><status><basic>open</basic></status><display-name "
         "xmlns='urn:ietf:params:xml:ns:pidf:cipid'>R</display-name><homepage "
         "xmlns='urn:ietf:params:xml:ns:pidf:cipid'>http://example.net/</homepage><device-info "
         "xmlns='urn:ag-projects:xml:ns:pidf' id='d'><user-agent>Blink 1</user-agent><time-offset>"
         "60</time-offset></device-info><user-input idle-threshold='600' "
         "last-input='2023-11-14T22:00:00Z' xmlns='urn:ietf:params:xml:ns:pidf:rpid'>idle"
         "</user-input><timestamp>2023-11-14T22:00:00Z</timestamp></tuple>"),
    "<!DOCTYPE x>" PIDF(""),
    "<presence",
};

// Lines by bits of byte 5.
static void put_lines(struct program *p)
{
    static const char *const lines[8] = {
        "Record-Route: <sip:127.0.0.1:5070;lr>\r\n",
        "Record-Route: <sip:edge.example.net;transport=tcp>, <sips:core.example.net;lr>\r\n",
        "Supported: eventlist\r\nRequire: nosuch\r\n",
        "Suppress-If-Match: *\r\n",
        "Retry-After: 5\r\nMin-Expires: 7200\r\n",
        "WWW-Authenticate: Digest realm=\"verona\", nonce=\"a1\", qop=\"auth\"\r\n",
        "Accept: application/watcherinfo+xml\r\n",
        "Max-Forwards: 0\r\n",
    };
    for (unsigned i = 0; i < 8; i++)
        if (p->u[5] >> i & 1)
            put(p, "%s", lines[i]);
}

static void put_via(struct program *p)
{
    static const char *const transports[] = {"UDP", "TCP", "TLS"};
    const struct hop *h = &OF(hops, p->u[3] >> 4);
    put(p, "Via: SIP/2.0/%s 127.0.0.1:5070;branch=z9hG4bK%u%s\r\n", transports[h->transport % 3],
        p->u[4], p->u[4] & 1 ? ";rport" : "");
}

static void put_end(struct program *p, const char *body)
{
    put_lines(p);
    if (*body)
        put(p, "Content-Type: application/pidf+xml\r\n");
    put(p, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static const char *const contacts[] = {
    "Contact: <sip:romeo@127.0.0.1:5099>\r\n",
    "Contact: <sip:romeo@127.0.0.1:5098;transport=tcp>\r\n",
    "Contact: <sip:romeo@phone.example.net>\r\n",
    "Contact: <sips:romeo@127.0.0.2>\r\n",
    "Contact: <sip:romeo@[2001:db8::1]:5061>\r\n",
    "",
    "Contact: <sip:romeo@203.0.113.7>\r\n",
    "Contact: <tel:+1>\r\n",
};

// In order, again, from before, far ahead.
static uint32_t next_cseq(struct program *p)
{
    switch (p->u[4] >> 6) {
    case 0:
    case 1: return ++p->w.peer_cseq;
    case 2: return p->w.peer_cseq;
    default: return p->u[4] & 1 ? p->w.peer_cseq / 2 : 2147483647;
    }
}

static const char *const events[] = {"presence",
                                     "presence",
                                     "presence.winfo",
                                     "presence;id=a1",
                                     "presence;max-rate=0.5;min-rate=0.01",
                                     "dialog"};

static void do_subscribe(struct program *p)
{
    const char *uri = OF(xmpp_uris, p->u[2] & 7);
    put(p, "SUBSCRIBE %s SIP/2.0\r\n", uri);
    put_via(p);
    put(p, "From: <%s>;tag=f%u\r\nTo: <%s>\r\nCall-ID: c%u@example.net\r\n",
        OF(sip_uris, p->u[3] & 7), p->u[4] & 15, uri, p->u[4] & 15);
    put(p, "CSeq: %u SUBSCRIBE\r\nEvent: %s\r\nExpires: %s\r\n%s", next_cseq(p),
        OF(events, p->u[1]), OF(numbers, p->u[1] >> 4 ? p->u[1] >> 4 : 5),
        OF(contacts, p->u[2] >> 5));
    put_end(p, "");
    say_sip(p);
}

static const char *const methods[] = {"OPTIONS", "MESSAGE", "PUBLISH", "INVITE",   "ACK",
                                      "CANCEL",  "BYE",     "REFER",   "REGISTER", "NOTIFY"};

static void do_other(struct program *p)
{
    const char *method = OF(methods, p->u[1]), *uri = OF(xmpp_uris, p->u[2] & 7);
    put(p, "%s %s SIP/2.0\r\n", method, uri);
    put_via(p);
    put(p, "From: <%s>;tag=f%u\r\nTo: <%s>\r\nCall-ID: c%u@example.net\r\n",
        OF(sip_uris, p->u[3] & 7), p->u[4] & 15, uri, p->u[4] & 15);
    put(p, "CSeq: %u %s\r\nEvent: %s\r\n", p->w.peer_cseq, method, OF(events, p->u[1]));
    put_end(p, "");
    say_sip(p);
}

// The k-th last message that is a request of ours (or, `answers`, an answer that made a dialog).
static const struct sip_message *sip_of(struct program *p, bool answers)
{
    unsigned skip = p->u[2] & 7;
    for (unsigned k = 0; k < WORLD_KEPT; k++) {
        const struct sip_message *m = world_last_sip(&p->w, k);
        bool fits = m && (answers ? m->status == 200 : !m->status);
        if (fits && skip-- == 0)
            return m;
    }
    return NULL;
}

static void put_party(struct program *p, const char *name, const struct sip_message *m,
                      struct span uri, struct span tag)
{
    struct text u = sip_text(m, uri), t = sip_text(m, tag);
    put(p, "%s: <%.*s>;tag=", name, TEXT_ARG(u));
    if (t.n)
        put(p, "%.*s\r\n", TEXT_ARG(t));
    else
        put(p, "peer%u\r\n", p->u[3] & 3);
}

static void put_dialog(struct program *p, const struct sip_message *m, const char *method)
{
    put(p, "%s sip:juliet@127.0.0.1:5080 SIP/2.0\r\n", method);
    put_via(p);
    if (m->status) { // our answer to their request
        put_party(p, "From", m, m->from_uri, m->from_tag);
        put_party(p, "To", m, m->to_uri, m->to_tag);
    } else {
        put_party(p, "From", m, m->to_uri, m->to_tag);
        put_party(p, "To", m, m->from_uri, m->from_tag);
    }
    put(p, "Call-ID: %.*s\r\nCSeq: %u %s\r\n", TEXT_ARG(sip_text(m, m->call_id)), next_cseq(p),
        method);
}

static const char *const substates[] = {
    "active;expires=3600",
    "pending;expires=600",
    "terminated;reason=rejected",
    "active",
    "terminated;reason=noresource",
    "terminated;reason=deactivated",
    "active;expires=0",
    "terminated;reason=probation;retry-after=9",
    "terminated",
    "terminated;reason=giveup",
    "terminated;reason=timeout",
    "waiting",
    "active;expires=4294967295",
    "terminated;reason=invariant",
    "pending",
    "active;expires=1",
};

static void do_notify(struct program *p)
{
    const struct sip_message *m = sip_of(p, false);
    if (!m)
        return;
    put_dialog(p, m, "NOTIFY");
    put(p, "Event: presence\r\nSubscription-State: %s\r\n%s%s", OF(substates, p->u[1]),
        OF(contacts, p->u[2] >> 5), p->u[3] & 8 ? "SIP-ETag: e1\r\n" : "");
    put_end(p, OF(bodies, p->u[1] >> 4));
    say_sip(p);
}

static void do_resubscribe(struct program *p)
{
    const struct sip_message *m = sip_of(p, p->u[2] & 8);
    if (!m)
        return;
    put_dialog(p, m, "SUBSCRIBE");
    put(p, "Event: %s\r\nExpires: %s\r\n%s", OF(events, p->u[1]), OF(numbers, p->u[1] >> 4),
        OF(contacts, p->u[2] >> 5));
    put_end(p, "");
    say_sip(p);
}

static const unsigned statuses[] = {200, 200, 202, 481, 408, 503, 500, 423, 401, 407, 403, 404,
                                    603, 489, 100, 302, 412, 204, 600, 482, 420, 400, 413, 200};

static void do_answer(struct program *p)
{
    const struct sip_message *m = sip_of(p, false);
    if (!m)
        return;
    unsigned status = OF(statuses, p->u[1]);
    struct text to_tag = sip_text(m, m->to_tag);
    put(p, "SIP/2.0 %u Why\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: %.*s", status,
        TEXT_ARG(sip_text(m, m->vias)), TEXT_ARG(sip_text(m, m->from)),
        TEXT_ARG(sip_text(m, m->to)));
    if (!to_tag.n)
        put(p, ";tag=peer%u", p->u[3] & 3);
    put(p, "\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n", TEXT_ARG(sip_text(m, m->call_id)),
        TEXT_ARG(sip_text(m, m->cseq_value)));
    if (!(p->u[4] & 128))
        put(p, "Expires: %s\r\n", OF(numbers, p->u[4] & 15 ? p->u[4] & 15 : 5));
    put(p, "%s", OF(contacts, p->u[2] >> 5));
    put_end(p, "");
    say_sip(p);
}

// ---- All else

static void do_pass(struct program *p)
{
    static const uint64_t units_ms[] = {1, 500, 4000, 32000, 60000, 600000, 3600000};
    uint64_t due_ms = core_next_due(p->w.core);
    if (p->u[1] % 8 == 7 && due_ms < p->w.now_ms + units_ms[6])
        world_pass_ms(&p->w, due_ms > p->w.now_ms ? due_ms - p->w.now_ms : 0);
    else
        world_pass_ms(&p->w, OF(units_ms, p->u[1] % 8) * (1 + p->u[2] % 2));
}

static void do_stream(struct program *p)
{
    static const char *const streams[] = {"example.net", "gw.example.net", "example.org",
                                          "example.edu"};
    p->w.may_cross = true;
    world_step(&p->w, &(struct event){.kind = p->u[1] & 1 ? EVENT_STREAM_UP : EVENT_STREAM_DOWN,
                                      .domain = text_of(OF(streams, p->u[2]))});
}

static void do_resolved(struct program *p)
{
    const char *uri = world_last_question(&p->w, p->u[2] & 7);
    struct hop to[3] = {OF(hops, p->u[1]), OF(hops, p->u[1] >> 4), OF(hops, p->u[5])};
    char *copy = uri ? fuzz_copy(text_of(uri)) : NULL;
    p->w.may_cross = true;
    if (copy)
        world_step(&p->w, &(struct event){.kind = EVENT_RESOLVED,
                                          .uri = text_of(copy),
                                          .hops = to,
                                          .n_hops = p->u[3] % 4,
                                          .ttl_s = p->u[4] * 30});
    free(copy);
}

static void do_unreachable(struct program *p)
{
    p->w.may_cross = true;
    world_step(&p->w, &(struct event){.kind = EVENT_UNREACHABLE, .source = OF(hops, p->u[1])});
}

static void do_crash(struct program *p)
{
    if (p->u[1] & 1)
        p->w.die = true; // in the middle of the next step
    else
        world_crash(&p->w);
}

static void do_settings(struct program *p)
{
    struct core_settings *s = &p->w.cfg.settings;
    s->draining = p->u[1] & 1;
    s->unsubscribe_on_expiry = p->u[1] & 2;
    s->notify_interval_ms = p->u[1] & 4 ? 5000 : 0;
    s->requests_in_flight_per_peer = p->u[1] & 8 ? 1 : 16;
    s->subscriptions_per_user = p->u[1] & 16 ? 1 : 8;
    s->probe_window_s = p->u[1] & 32 ? 0 : 60;
    core_set_settings(p->w.core, s);
}

static bool see_subscription(void *arg, const struct core_subscription_view *v)
{
    unsigned *n = arg;
    fuzz_expect(v->xmpp.n && v->sip.n, "a view of nothing");
    (*n)++;
    return true;
}

static void do_list(struct program *p)
{
    unsigned n = 0;
    struct core_filter f = {.direction = -1, .state = -1};
    core_list(p->w.core, &f, 0, SIZE_MAX, see_subscription, &n, p->w.now_ms);
    fuzz_expect(n == core_stats(p->w.core)->subscriptions, "%u are listed", n);
}

// The bytes of the next units, as they are.
static void take_raw(struct program *p)
{
    struct text raw = fuzz_take(&p->in, (size_t)p->u[1] * UNIT);
    buffer_text(&p->b, raw);
}

static void do_raw_stanza(struct program *p)
{
    take_raw(p);
    world_stanza_in(&p->w, fuzz_text(&p->b));
}

static void do_raw_sip(struct program *p)
{
    take_raw(p);
    say_sip(p);
}

static void (*const instructions[])(struct program *) = {
    do_pass,        do_presence, do_presence_back, do_iq_back,  do_question, do_subscribe,
    do_resubscribe, do_notify,   do_answer,        do_other,    do_stream,   do_resolved,
    do_unreachable, do_crash,    do_settings,      do_list,     do_raw_sip,  do_raw_stanza,
    do_pass,        do_answer,   do_notify,        do_presence,
};

static struct core_config configuration(const uint8_t u[UNIT])
{
    struct core_config c = fuzz_core_config();
    if (u[0] & 1)
        c.gateway_domain = TEXT("");
    if (u[0] & 2)
        c.proxy = (struct hop){0};
    if ((u[0] & 6) == 6)
        c.proxy_uri = TEXT("sip:proxy.example.net;transport=tcp");
    if (u[0] & 8)
        c.tcp_port = c.tls_port = 0;
    c.settings.unsubscribe_on_expiry = u[0] & 16;
    c.settings.notify_interval_ms = u[0] & 32 ? 5000 : 0;
    c.settings.notify_failures = 1 + u[1] % 3;
    if (u[1] & 128)
        c.advertise = TEXT("2001:db8::5");
    return c;
}

// All streams are up at first, or byte 2 says otherwise.
static void begin(struct program *p, const uint8_t u[UNIT])
{
    static const char *const streams[] = {"example.net", "gw.example.net", "example.org"};
    struct core_config c = configuration(u);
    world_open(&p->w, &c);
    buffer_init(&p->b, 0);
    p->w.may_cross = true;
    for (unsigned i = 0; i < 3; i++)
        if (!(u[2] >> i & 1))
            world_step(&p->w,
                       &(struct event){.kind = EVENT_STREAM_UP, .domain = text_of(streams[i])});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct program p;
    if (n < UNIT)
        return 0;
    p = (struct program){.in = {data + UNIT, n - UNIT}};
    begin(&p, data);
    for (unsigned i = 0; p.in.n >= UNIT && i < UNITS_MAX; i++) {
        p.u = (const uint8_t *)fuzz_take(&p.in, UNIT).p;
        buffer_reset(&p.b);
        OF(instructions, p.u[0])(&p);
    }
    world_crash(&p.w); // what was committed can be taken up
    world_close(&p.w);
    buffer_free(&p.b);
    return 0;
}

// ---- The mutator

extern size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

static unsigned draw(unsigned *seed, size_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return below ? (*seed >> 8) % (unsigned)below : 0;
}

static size_t insert(uint8_t *data, size_t n, size_t max, unsigned *seed)
{
    if (n + UNIT > max)
        return n;
    size_t at = (1 + draw(seed, n / UNIT)) * UNIT, from = draw(seed, n / UNIT) * UNIT;
    uint8_t unit[UNIT];
    memcpy(unit, data + from, UNIT);
    if (draw(seed, 2))
        for (unsigned i = 0; i < UNIT; i++)
            unit[i] = (uint8_t)(i >= 5 && draw(seed, 8) ? 0 : draw(seed, 256));
    memmove(data + at + UNIT, data + at, n - at);
    memcpy(data + at, unit, UNIT);
    return n + UNIT;
}

static size_t erase(uint8_t *data, size_t n, unsigned *seed)
{
    if (n < 3 * UNIT)
        return n;
    size_t at = (1 + draw(seed, n / UNIT - 1)) * UNIT;
    memmove(data + at, data + at + UNIT, n - at - UNIT);
    return n - UNIT;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    n -= n % UNIT;
    if (n < 2 * UNIT) {
        memset(data, 0, 2 * UNIT);
        return 2 * UNIT <= max ? 2 * UNIT : n;
    }
    unsigned times = 1 + draw(&seed, 4);
    for (unsigned i = 0; i < times; i++)
        switch (draw(&seed, 8)) {
        case 0:
        case 1: n = insert(data, n, max, &seed); break;
        case 2: n = erase(data, n, &seed); break;
        case 3: LLVMFuzzerMutate(data + draw(&seed, n / UNIT) * UNIT, UNIT, UNIT); break;
        case 4:
            n = LLVMFuzzerMutate(data, n, max);
            n -= n % UNIT;
            if (n < 2 * UNIT)
                return n;
            break;
        default: data[draw(&seed, n)] = (uint8_t)draw(&seed, 256); break;
        }
    return n;
}
