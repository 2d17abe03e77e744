// Instructions that are SIP messages: requests out of the blue, in dialogs, and answers.
#include "core_program.h"

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
            program_put(p, "%s", lines[i]);
}

static void put_via(struct program *p)
{
    static const char *const transports[] = {"UDP", "TCP", "TLS"};
    const struct hop *h = &OF(program_hops, p->u[3] >> 4);
    program_put(p, "Via: SIP/2.0/%s 127.0.0.1:5070;branch=z9hG4bK%u%s\r\n",
                transports[h->transport % 3], p->u[4], p->u[4] & 1 ? ";rport" : "");
}

static void put_end(struct program *p, const char *body)
{
    put_lines(p);
    if (*body)
        program_put(p, "Content-Type: application/pidf+xml\r\n");
    program_put(p, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
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

void program_subscribe(struct program *p)
{
    const char *uri = OF(xmpp_uris, p->u[2] & 7);
    program_put(p, "SUBSCRIBE %s SIP/2.0\r\n", uri);
    put_via(p);
    program_put(p, "From: <%s>;tag=f%u\r\nTo: <%s>\r\nCall-ID: c%u@example.net\r\n",
                OF(sip_uris, p->u[3] & 7), p->u[4] & 15, uri, p->u[4] & 15);
    program_put(p, "CSeq: %u SUBSCRIBE\r\nEvent: %s\r\nExpires: %s\r\n%s", next_cseq(p),
                OF(events, p->u[1] & 15), OF(numbers, p->u[1] >> 4 ? p->u[1] >> 4 : 5),
                OF(contacts, p->u[2] >> 5));
    put_end(p, "");
    program_say_sip(p);
}

static const char *const methods[] = {"OPTIONS", "MESSAGE", "PUBLISH", "INVITE",   "ACK",
                                      "CANCEL",  "BYE",     "REFER",   "REGISTER", "NOTIFY"};

void program_other(struct program *p)
{
    const char *method = OF(methods, p->u[1]), *uri = OF(xmpp_uris, p->u[2] & 7);
    program_put(p, "%s %s SIP/2.0\r\n", method, uri);
    put_via(p);
    program_put(p, "From: <%s>;tag=f%u\r\nTo: <%s>\r\nCall-ID: c%u@example.net\r\n",
                OF(sip_uris, p->u[3] & 7), p->u[4] & 15, uri, p->u[4] & 15);
    program_put(p, "CSeq: %u %s\r\nEvent: %s\r\n", p->w.peer_cseq, method,
                OF(events, p->u[1] & 15));
    put_end(p, "");
    program_say_sip(p);
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
    program_put(p, "%s: <%.*s>;tag=", name, TEXT_ARG(u));
    if (t.n)
        program_put(p, "%.*s\r\n", TEXT_ARG(t));
    else
        program_put(p, "peer%u\r\n", p->u[3] & 3);
}

static void put_dialog(struct program *p, const struct sip_message *m, const char *method)
{
    program_put(p, "%s sip:juliet@127.0.0.1:5080 SIP/2.0\r\n", method);
    put_via(p);
    if (m->status) { // our answer to their request
        put_party(p, "From", m, m->from_uri, m->from_tag);
        put_party(p, "To", m, m->to_uri, m->to_tag);
    } else {
        put_party(p, "From", m, m->to_uri, m->to_tag);
        put_party(p, "To", m, m->from_uri, m->from_tag);
    }
    program_put(p, "Call-ID: %.*s\r\nCSeq: %u %s\r\n", TEXT_ARG(sip_text(m, m->call_id)),
                next_cseq(p), method);
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

void program_notify(struct program *p)
{
    const struct sip_message *m = sip_of(p, false);
    if (!m)
        return;
    put_dialog(p, m, "NOTIFY");
    program_put(p, "Event: presence\r\nSubscription-State: %s\r\n%s%s", OF(substates, p->u[1] & 15),
                OF(contacts, p->u[2] >> 5), p->u[3] & 8 ? "SIP-ETag: e1\r\n" : "");
    put_end(p, OF(bodies, p->u[1] >> 4));
    program_say_sip(p);
}

void program_resubscribe(struct program *p)
{
    const struct sip_message *m = sip_of(p, p->u[2] & 8);
    if (!m)
        return;
    put_dialog(p, m, "SUBSCRIBE");
    program_put(p, "Event: %s\r\nExpires: %s\r\n%s", OF(events, p->u[1] & 15),
                OF(numbers, p->u[1] >> 4), OF(contacts, p->u[2] >> 5));
    put_end(p, "");
    program_say_sip(p);
}

static const unsigned statuses[] = {200, 200, 202, 481, 408, 503, 500, 423, 401, 407, 403, 404,
                                    603, 489, 100, 302, 412, 204, 600, 482, 420, 400, 413, 200};

void program_answer(struct program *p)
{
    const struct sip_message *m = sip_of(p, false);
    if (!m)
        return;
    unsigned status = OF(statuses, p->u[1]);
    struct text to_tag = sip_text(m, m->to_tag);
    program_put(p, "SIP/2.0 %u Why\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: %.*s", status,
                TEXT_ARG(sip_text(m, m->vias)), TEXT_ARG(sip_text(m, m->from)),
                TEXT_ARG(sip_text(m, m->to)));
    if (!to_tag.n)
        program_put(p, ";tag=peer%u", p->u[3] & 3);
    program_put(p, "\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n", TEXT_ARG(sip_text(m, m->call_id)),
                TEXT_ARG(sip_text(m, m->cseq_value)));
    if (!(p->u[4] & 128))
        program_put(p, "Expires: %s\r\n", OF(numbers, p->u[4] & 15 ? p->u[4] & 15 : 5));
    program_put(p, "%s", OF(contacts, p->u[2] >> 5));
    put_end(p, "");
    program_say_sip(p);
}
