// What misbehaving servers send.
#include "rogue.h"

#include "gateway.h"
#include "net.h"
#include "sip_wire.h"
#include "xmpp_model.h"

// ---- SIP

static void rogue_out(struct world *w, uint16_t port)
{
    const struct hop source = {.ip = {127, 0, 0, 1}, .family = 4, .port = GATEWAY_PROXY};
    net_to_gateway(w, (struct text){w->sip->b.p, w->sip->b.n}, &source, port);
}

// Some dialog that the presence server has, or had; NULL: there is none.
static struct notifier *rogue_dialog(struct world *w)
{
    size_t n = w->sip->n_notifiers;
    return n ? w->sip->notifier[world_below(w, (uint32_t)n)] : NULL;
}

// As the dialog's NOTIFY would be, but for what `leg` has.
static void rogue_notify(struct world *w, const struct notifier *n, const struct sip_leg *leg,
                         const char *type, struct text body)
{
    char branch[40], to[64];
    snprintf(to, sizeof to, "sip:%s", w->xmpp->user[n->x].jid);
    struct buffer *b = sip_begin(w, "NOTIFY", leg->target, w->sip->user[n->s].uri, to, leg, branch);
    sip_line(b, "Contact: <sip:presence@127.0.0.1:%d>", GATEWAY_PROXY);
    sip_line(b, "Subscription-State: active;expires=%u", world_between(w, 0, 4000));
    if (*type)
        sip_line(b, "Content-Type: %s", type);
    sip_line(b, "Content-Length: %zu", body.n);
    buffer_lit(b, "\r\n");
    buffer_text(b, body);
    rogue_out(w, GATEWAY_PORT);
}

static void rogue_wrong_tags(struct world *w)
{
    struct notifier *n = rogue_dialog(w);
    if (!n)
        return;
    struct sip_leg leg = n->leg;
    leg.cseq += 1000;
    switch (world_below(w, 3)) {
    case 0: snprintf(leg.our_tag, SIP_TEXT, "another"); break;
    case 1: snprintf(leg.their_tag, SIP_TEXT, "0123456789abcdef01234567"); break;
    default: snprintf(leg.call_id, SIP_TEXT, "nobody-knows-me"); break;
    }
    rogue_notify(w, n, &leg, "", (struct text){0});
}

static void rogue_old_cseq(struct world *w)
{
    struct notifier *n = rogue_dialog(w);
    if (!n || !n->leg.cseq)
        return;
    struct sip_leg leg = n->leg;
    leg.cseq -= world_below(w, 2);
    rogue_notify(w, n, &leg, "", (struct text){0});
}

// In a dialog of the server's, in its turn.
static void rogue_body(struct world *w)
{
    enum { HUGE_BYTES = 60000 };
    static char huge[HUGE_BYTES];
    static const char *const body[] = {
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:x@y'><tuple",
        "<!DOCTYPE presence [<!ENTITY a 'b'>]><presence xmlns='urn:ietf:params:xml:ns:pidf' "
        "entity='pres:x@y'>&a;</presence>",
        "", "\xff\xfe\x00", "<html/>"};
    struct notifier *n = rogue_dialog(w);
    if (!n || n->in_flight)
        return;
    unsigned i = world_below(w, 6);
    memset(huge, '<', sizeof huge);
    n->leg.cseq++;
    rogue_notify(w, n, &n->leg, "application/pidf+xml",
                 i == 5 ? (struct text){huge, sizeof huge} : text_of(body[i]));
}

static void rogue_response(struct world *w)
{
    static const char *const start[] = {"SIP/2.0 200 OK", "SIP/2.0 481 Gone", "SIP/2.0 100 Trying",
                                        "SIP/2.0 699 What"};
    struct buffer *b = &w->sip->b;
    struct notifier *n = rogue_dialog(w);
    buffer_reset(b);
    sip_line(b, "%s", start[world_below(w, 4)]);
    sip_line(b, "Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%016llx", GATEWAY_PORT,
             (unsigned long long)world_draw(w));
    sip_line(b, "From: <sip:juliet0@example.com>;tag=%s", n ? n->leg.their_tag : "x");
    sip_line(b, "To: <sip:romeo0@example.net>;tag=y");
    sip_line(b, "Call-ID: %s", n ? n->leg.call_id : "z");
    sip_line(b, "CSeq: %u SUBSCRIBE", world_below(w, 100));
    sip_line(b, "Content-Length: 0");
    buffer_lit(b, "\r\n");
    rogue_out(w, GATEWAY_PORT);
}

static void rogue_garbage(struct world *w)
{
    static const char *const line[] = {"\r\n\r\n", "SIP/2.0", "NOTIFY sip:a@b SIP/2.0\r\n\r\n",
                                       "INVITE sip:juliet0@example.com SIP/2.0\r\nVia: x\r\n\r\n",
                                       "\x16\x03\x01\x02"};
    buffer_reset(&w->sip->b);
    buffer_text(&w->sip->b, text_of(line[world_below(w, 5)]));
    rogue_out(w, GATEWAY_LISTEN);
}

// ---- XMPP

// Of somebody who is not there, or to somebody who is not: nothing comes of it.
static void rogue_nobody(struct world *w)
{
    static const char *const type[] = {"subscribed", "unsubscribed", "unavailable", "error"};
    xmpp_say(w, 0, "<presence from='juliet99999@example.com/x' to='%s' type='%s'/>",
             sip_jid(w, world_below(w, w->opt.sip_users)), type[world_below(w, 4)]);
    xmpp_say(w, 0, "<presence from='%s/x' to='romeo99999@example.net' type='%s'/>",
             w->xmpp->user[world_below(w, w->opt.xmpp_users)].jid, type[world_below(w, 4)]);
}

static void rogue_error(struct world *w)
{
    static const char *const condition[] = {"bad-request",
                                            "conflict",
                                            "feature-not-implemented",
                                            "internal-server-error",
                                            "jid-malformed",
                                            "not-acceptable",
                                            "policy-violation",
                                            "recipient-unavailable",
                                            "redirect",
                                            "resource-constraint",
                                            "undefined-condition",
                                            "unexpected-request",
                                            "nonsense"};
    const char *kind = world_chance(w, 500) ? "presence" : "iq";
    xmpp_say(w, 0,
             "<%s from='%s' to='%s' type='error' id='serve-nonsense'><error type='cancel'><%s "
             "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></%s>",
             kind, w->xmpp->user[world_below(w, w->opt.xmpp_users)].jid,
             sip_jid(w, world_below(w, w->opt.sip_users)), condition[world_below(w, 13)], kind);
}

static void rogue_addresses(struct world *w)
{
    static const char *const stanza[] = {
        "<presence to='romeo0@example.net' type='subscribe'/>",
        "<presence from='' to='romeo0@example.net'/>",
        "<presence from='juliet0@example.com'/>",
        "<presence from='@example.com' to='@example.net' type='probe'/>",
        "<presence from='juliet0@example.com' to='romeo0@example.net' type='nonsense'/>",
        "<iq/>",
        "<message from='example.com' to='example.net'/>",
        "<other xmlns='urn:x'/>"};
    xmpp_say(w, 0, "%s", stanza[world_below(w, 8)]);
}

static void rogue_result(struct world *w)
{
    xmpp_say(w, 0, "<iq from='%s' to='%s' type='result' id='f%08x'/>",
             w->xmpp->user[world_below(w, w->opt.xmpp_users)].jid,
             world_chance(w, 500) ? sip_jid(w, 0) : "example.net", (unsigned)world_draw(w));
}

static void rogue_flood(struct world *w)
{
    enum { PRESENCES = 100 };
    unsigned x = world_below(w, w->opt.xmpp_users);
    for (unsigned i = 0; i < PRESENCES; i++)
        xmpp_change(w, x, 0);
}

void rogue_act(struct world *w)
{
    static void (*const act[])(struct world *) = {
        rogue_wrong_tags, rogue_old_cseq,  rogue_body,   rogue_response, rogue_garbage,
        rogue_nobody,     rogue_addresses, rogue_result, rogue_error,    rogue_flood,
    };
    unsigned kind = world_below(w, sizeof act / sizeof *act);
    w->faults[FAULT_ROGUE_TAGS + kind]++;
    act[kind](w);
}
