// Invariants 1 to 3 and 5, and the order of requests within dialogs.
#include "inspector.h"

#include <stdlib.h>

#include "dialog_log.h"
#include "sip_model.h"
#include "xmpp_model.h"

struct told {
    bool said;      // let out
    bool told;      // and arrived
    uint64_t ended; // step at which one of the ends has ended it
};

struct inspector {
    struct told told[2][WORLD_XMPP_MAX][WORLD_SIP_MAX];
    uint64_t alive_ms[WORLD_XMPP_MAX]; // when a probe of the gateway's own was last answered
    bool offline[WORLD_XMPP_MAX];      // it was answered `unavailable`
    uint64_t steps, stanzas_in, stanzas_out, requests_in, requests_out;
    struct sip_parser *parser;
    struct dialog_log *log;
};

void inspector_create(struct world *w)
{
    w->inspector = calloc(1, sizeof *w->inspector);
    if (!w->inspector || sip_parser_create(&w->inspector->parser, 65536))
        abort();
    w->inspector->log = dialog_log_create();
}

void inspector_destroy(struct world *w)
{
    sip_parser_destroy(w->inspector->parser);
    dialog_log_destroy(w->inspector->log);
    free(w->inspector);
}

void inspector_birth(struct world *w)
{
    inspector_check_authorizations(w);
}

// An end that was committed, and was to be said when the process died, is not said any more.
void inspector_death(struct world *w)
{
    dialog_log_death(w->inspector->log);
    for (unsigned x = 0; x < w->opt.xmpp_users; x++)
        for (unsigned s = 0; s < w->opt.sip_users; s++) {
            const struct told *t = &w->inspector->told[XMPP_TO_SIP][x][s];
            struct xmpp_roster *r = &w->xmpp->user[x].roster[s];
            r->untold |= r->to && t->ended && !t->told;
        }
}

// ---- 1. Authorizations

static void ended(struct world *w, unsigned x, unsigned s, enum core_direction direction)
{
    w->inspector->told[direction][x][s] = (struct told){.ended = w->inspector->steps};
}

// What was said in a step before the end, and let out after it, promises nothing.
static void said(struct world *w, unsigned x, unsigned s, enum core_direction direction,
                 const struct cause *cause)
{
    struct told *t = &w->inspector->told[direction][x][s];
    t->said |= cause->step > t->ended;
}

void inspector_told(struct world *w, unsigned x, unsigned s, enum core_direction direction)
{
    struct told *t = &w->inspector->told[direction][x][s];
    t->told = t->said;
}

static void check_pair(struct world *w, unsigned x, unsigned s, enum core_direction direction)
{
    enum core_state state;
    const char *xmpp = w->xmpp->user[x].jid, *sip = w->sip->user[s].jid;
    unsigned n = gateway_find(w, xmpp, sip, direction, &state);
    const char *of = direction == XMPP_TO_SIP ? "watch" : "serve";
    bool may_go = direction == SIP_TO_XMPP && w->opt.unsubscribe_on_expiry;
    world_expect(w, n <= 1, "%u shards know %s and %s (%s)", n, xmpp, sip, of);
    if (!w->inspector->told[direction][x][s].told || may_go)
        return;
    world_expect(w, n == 1, "authorization of %s and %s (%s) is lost", xmpp, sip, of);
    world_expect(w, n == 0 || state != STATE_PENDING, "%s and %s (%s) are pending again", xmpp, sip,
                 of);
}

void inspector_check_authorizations(struct world *w)
{
    for (unsigned x = 0; w->gateway->alive && x < w->opt.xmpp_users; x++)
        for (unsigned s = 0; s < w->opt.sip_users && !w->failed; s++) {
            check_pair(w, x, s, XMPP_TO_SIP);
            check_pair(w, x, s, SIP_TO_XMPP);
        }
}

// ---- What goes in

uint64_t inspector_step(struct world *w)
{
    return ++w->inspector->steps;
}

static bool answers_well(const struct stanza *s)
{
    switch ((enum stanza_condition)s->condition) {
    case CONDITION_GONE:
    case CONDITION_ITEM_NOT_FOUND:
    case CONDITION_REMOTE_SERVER_NOT_FOUND:
    case CONDITION_REMOTE_SERVER_TIMEOUT: return false;
    default: return true;
    }
}

static void probe_answered(struct world *w, unsigned x, const struct stanza *s)
{
    struct inspector *i = w->inspector;
    if (s->kind == STANZA_PRESENCE && s->type == STANZA_UNAVAILABLE)
        i->offline[x] = true;
    else if (s->kind == STANZA_PRESENCE &&
             (s->type == STANZA_NONE || s->type == STANZA_UNSUBSCRIBED))
        i->alive_ms[x] = w->now_ms;
    else if (s->kind == STANZA_IQ && answers_well(s) && !i->offline[x])
        i->alive_ms[x] = w->now_ms;
}

bool inspector_stanza_in(struct world *w, const struct stanza *s)
{
    unsigned x, c;
    w->inspector->stanzas_in++;
    if (!xmpp_user_of(w, stanza_text(s, s->from), &x))
        return false;
    if (!sip_user_of(w, stanza_text(s, s->to), &c)) {
        probe_answered(w, x, s);
        return true;
    }
    if (s->kind != STANZA_PRESENCE)
        return true;
    if (s->type == STANZA_UNSUBSCRIBE)
        ended(w, x, c, XMPP_TO_SIP);
    if (s->type == STANZA_UNSUBSCRIBED)
        ended(w, x, c, SIP_TO_XMPP);
    return true;
}

static struct text without_scheme(struct text uri)
{
    return text_starts(uri, TEXT("sip:")) ? (struct text){uri.p + 4, uri.n - 4} : uri;
}

static void sip_response_in(struct world *w, const struct sip_message *m)
{
    unsigned x, s;
    bool refused = m->status == 403 || m->status == 603;
    if (m->status >= 200)
        dialog_log_answered(w->inspector->log, m);
    if (refused && m->method == SIP_SUBSCRIBE &&
        xmpp_user_of(w, without_scheme(sip_text(m, m->from_uri)), &x) &&
        sip_user_of(w, sip_text(m, m->to_uri), &s))
        ended(w, x, s, XMPP_TO_SIP);
}

bool inspector_sip_in(struct world *w, const struct event *ev)
{
    const struct sip_message *m = ev->sip;
    unsigned x, s;
    if (m->status) {
        sip_response_in(w, m);
        return true;
    }
    w->inspector->requests_in++;
    if (ev->source.ip[0] != 127 || !sip_user_of(w, sip_text(m, m->from_uri), &s))
        return false;
    bool ends = m->substate == SUBSTATE_TERMINATED &&
                (m->reason == REASON_REJECTED || m->reason == REASON_NORESOURCE);
    if (m->method == SIP_NOTIFY && ends &&
        xmpp_user_of(w, without_scheme(sip_text(m, m->to_uri)), &x))
        ended(w, x, s, XMPP_TO_SIP);
    return true;
}

// ---- What comes out

// 2. Nor a dialog of the gateway's own accord without one. What was challenged is sent once more
// as it was.
static void check_probed(struct world *w, const struct cause *cause, const struct sip_message *m)
{
    unsigned x;
    bool in_dialog = m->to_tag.n != 0;
    bool proves = memmem(m->text, m->size - sizeof *m, " nonce=", 7) != NULL;
    if (m->method != SIP_SUBSCRIBE || m->expires == 0 ||
        (!in_dialog && cause->kind != EVENT_TICK) || (proves && cause->kind == EVENT_SIP) ||
        !xmpp_user_of(w, without_scheme(sip_text(m, m->from_uri)), &x))
        return;
    if (w->opt.exempt && !w->xmpp->user[x].remote)
        return;
    uint64_t alive_ms = w->inspector->alive_ms[x];
    world_expect(w, alive_ms && cause->at_ms - alive_ms <= (uint64_t)w->opt.window_s * 1000,
                 "%s for %s without a fresh answer to a probe",
                 in_dialog ? "a refresh" : "a dialog", w->xmpp->user[x].jid);
}

void inspector_sip_out(struct world *w, const struct cause *cause, struct text bytes)
{
    struct inspector *i = w->inspector;
    const struct sip_message *m;
    unsigned x, s;
    if (sip_parse(i->parser, bytes.p, bytes.n, &m) != 0) {
        world_broken(w, "not SIP: %.*s", TEXT_ARG(bytes));
        return;
    }
    if (m->status) {
        world_expect(w, dialog_log_answer(i->log, m), "an old NOTIFY is accepted: %.*s",
                     TEXT_ARG(sip_text(m, m->call_id)));
        return;
    }
    world_expect(w, cause->trusted, "a request that nobody trusted has asked for");
    const char *fault = NULL;
    if (!dialog_log_request(i->log, m, cause->at_ms, w->opt.t1_ms, &fault)) {
        world_expect(w, !fault, "%s: %.*s", fault, TEXT_ARG(sip_text(m, m->call_id)));
        return; // sent again
    }
    world_expect(w, !fault, "%s: %.*s", fault, TEXT_ARG(sip_text(m, m->call_id)));
    i->requests_out++;
    check_probed(w, cause, m);
    if (m->method == SIP_NOTIFY && m->substate == SUBSTATE_ACTIVE &&
        xmpp_user_of(w, without_scheme(sip_text(m, m->from_uri)), &x) &&
        sip_user_of(w, sip_text(m, m->to_uri), &s))
        said(w, x, s, SIP_TO_XMPP, cause);
}

static struct text attribute(struct text bytes, const char *name)
{
    const char *at = memmem(bytes.p, bytes.n, name, strlen(name));
    if (!at)
        return (struct text){0};
    at += strlen(name);
    const char *end = memchr(at, '\'', (size_t)(bytes.p + bytes.n - at));
    return (struct text){at, end ? (size_t)(end - at) : 0};
}

void inspector_stanza_out(struct world *w, const struct cause *cause, struct text bytes)
{
    unsigned x, s;
    struct text type = attribute(bytes, " type='");
    w->inspector->stanzas_out++;
    if (!text_eq(type, TEXT("error")))
        world_expect(w, cause->trusted, "a stanza that nobody trusted has asked for: %.*s",
                     TEXT_ARG(bytes));
    if (!xmpp_user_of(w, attribute(bytes, " to='"), &x))
        return;
    bool contact = sip_user_of(w, attribute(bytes, " from='"), &s);
    if (contact && text_eq(type, TEXT("subscribed")))
        said(w, x, s, XMPP_TO_SIP, cause);
    if (!contact && text_eq(type, TEXT("probe")))
        w->inspector->offline[x] = false;
}

// ---- 5. Factors

void inspector_check_factors(struct world *w)
{
    const struct inspector *i = w->inspector;
    enum { FACTOR = 4, START = 200 };
    if (w->verbose)
        printf("stanzas in %llu, out %llu; requests in %llu, out %llu\n",
               (unsigned long long)i->stanzas_in, (unsigned long long)i->stanzas_out,
               (unsigned long long)i->requests_in, (unsigned long long)i->requests_out);
    world_expect(w, i->requests_out <= START + FACTOR * (i->stanzas_in + i->requests_in),
                 "%llu SIP requests for %llu stanzas and %llu requests",
                 (unsigned long long)i->requests_out, (unsigned long long)i->stanzas_in,
                 (unsigned long long)i->requests_in);
    world_expect(w, i->stanzas_out <= START + FACTOR * (i->stanzas_in + i->requests_in),
                 "%llu stanzas for %llu stanzas and %llu requests",
                 (unsigned long long)i->stanzas_out, (unsigned long long)i->stanzas_in,
                 (unsigned long long)i->requests_in);
}
