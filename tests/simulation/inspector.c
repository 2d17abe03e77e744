// Invariants 1 to 3 and 5, and the order of requests within dialogs.
#include "inspector.h"

#include <stdlib.h>

#include "dialog_log.h"
#include "gateway_live.h"
#include "grants.h"
#include "sip_model.h"
#include "xmpp_model.h"

// Of an XMPP user.
struct asked {
    uint64_t alive_ms; // when a probe of the gateway's own was last answered
    char fence[48];    // id of the question behind the last one
    bool offline;      // it was answered `unavailable`
};

enum { DELETED_MAX = 16, CHECK_ALL_EVERY = 64 };

struct inspector {
    struct asked *asked;
    uint64_t steps, stanzas_in, stanzas_out, requests_in, requests_out;
    struct sip_parser *parser;
    struct dialog_log *log;
    struct grants *grants;
    const struct pair *deleted[DELETED_MAX]; // by the commit under way
    size_t n_deleted, commits;
    size_t most, most_tick;                  // effects of one step
    uint64_t counted[2][3], counted_dialogs; // when all were looked at
};

void inspector_create(struct world *w)
{
    w->inspector = calloc(1, sizeof *w->inspector);
    if (!w->inspector || sip_parser_create(&w->inspector->parser, 65536))
        abort();
    w->inspector->log = dialog_log_create();
    w->inspector->grants = grants_create();
    w->inspector->asked = calloc(w->opt.xmpp_users, sizeof(struct asked));
    if (!w->inspector->asked)
        abort();
}

void inspector_destroy(struct world *w)
{
    sip_parser_destroy(w->inspector->parser);
    dialog_log_destroy(w->inspector->log);
    grants_destroy(w->inspector->grants);
    free(w->inspector->asked);
    free(w->inspector);
}

void inspector_birth(struct world *w)
{
    grants_birth(w->inspector->grants, gateway_now_ms(w));
    inspector_check_authorizations(w);
}

void inspector_rebirth(struct world *w)
{
    grants_rebirth(w->inspector->grants, gateway_now_ms(w));
    inspector_check_authorizations(w);
}

// An end that was committed, and was to be said when the process died, is not said any more.
void inspector_death(struct world *w)
{
    dialog_log_death(w->inspector->log);
    for (size_t i = 0; i < pair_count(w); i++) {
        const struct told *t = &pair_at(w, i)->told[XMPP_TO_SIP];
        struct xmpp_roster *r = &pair_at(w, i)->roster;
        r->untold |= r->to && t->ended && !t->told;
    }
}

// All is overdue at once, and gone through at a pace.
void inspector_clock_leapt(struct world *w)
{
    grants_doubt(w->inspector->grants);
}

// What was measured by the clock of a former life says nothing in this one.
void inspector_clock_set(struct world *w)
{
    struct inspector *i = w->inspector;
    inspector_clock_leapt(w);
    memset(i->asked, 0, w->opt.xmpp_users * sizeof *i->asked);
}

// ---- 1. Authorizations

static void ended(struct world *w, unsigned x, unsigned s, enum core_direction direction)
{
    pair_of(w, x, s)->told[direction] =
        (struct told){.ended = w->inspector->steps, .ended_ms = gateway_now_ms(w)};
}

// What was said in a step before the end, and let out after it, promises nothing.
static void said(struct world *w, unsigned x, unsigned s, enum core_direction direction,
                 const struct cause *cause)
{
    struct told *t = &pair_of(w, x, s)->told[direction];
    t->said |= cause->step > t->ended;
}

void inspector_told(struct world *w, unsigned x, unsigned s, enum core_direction direction)
{
    struct told *t = &pair_of(w, x, s)->told[direction];
    t->told = t->said;
}

static void check_pair(struct world *w, const struct pair *p, enum core_direction direction,
                       unsigned n, enum core_state state)
{
    const char *xmpp = w->xmpp->user[p->x].jid, *sip = w->sip->user[p->s].jid;
    const char *of = direction == XMPP_TO_SIP ? "watch" : "serve";
    bool may_go = direction == SIP_TO_XMPP && w->opt.unsubscribe_on_expiry;
    world_expect(w, n <= 1, "%u shards know %s and %s (%s)", n, xmpp, sip, of);
    if (!p->told[direction].told || may_go)
        return;
    world_expect(w, n == 1, "authorization of %s and %s (%s) is lost", xmpp, sip, of);
    world_expect(w, n == 0 || state != STATE_PENDING, "%s and %s (%s) are pending again", xmpp, sip,
                 of);
}

static bool count_one(void *arg, const struct core_subscription_view *v)
{
    struct world *w = arg;
    unsigned x, s;
    if (!xmpp_user_of(w, v->xmpp, &x) || !sip_user_of(w, v->sip, &s)) {
        world_broken(w, "a subscription of %.*s and %.*s, of whom nobody has heard",
                     TEXT_ARG(v->xmpp), TEXT_ARG(v->sip));
        return false;
    }
    w->inspector->counted[v->direction][v->state]++;
    w->inspector->counted_dialogs += v->n_dialogs;
    struct known_of *k = &pair_of(w, x, s)->known[v->direction];
    k->n++;
    k->state = v->state;
    return true;
}

// What the gauges say is what is there. (A dialog may be one without a subscription: a fetch.)
static void check_gauges(struct world *w)
{
    const struct inspector *i = w->inspector;
    struct core_stats stats = gateway_stats(w);
    uint64_t all = 0;
    for (unsigned d = 0; d < 2; d++)
        for (unsigned s = 0; s < 3; s++) {
            all += i->counted[d][s];
            world_expect(w, stats.by_state[d][s] == i->counted[d][s],
                         "the gauge says %llu of direction %u in state %u, there are %llu",
                         (unsigned long long)stats.by_state[d][s], d, s,
                         (unsigned long long)i->counted[d][s]);
        }
    world_expect(w, stats.subscriptions >= all, "%llu subscriptions by the gauge, %llu there",
                 (unsigned long long)stats.subscriptions, (unsigned long long)all);
    world_expect(w, stats.dialogs >= i->counted_dialogs, "%llu dialogs by the gauge, %llu there",
                 (unsigned long long)stats.dialogs, (unsigned long long)i->counted_dialogs);
}

// By one look at all that the shards have: n users with a few contacts each cost n, not n × n.
void inspector_check_authorizations(struct world *w)
{
    if (!w->gateway->alive)
        return;
    for (size_t i = 0; i < pair_count(w); i++)
        memset(pair_at(w, i)->known, 0, sizeof pair_at(w, i)->known);
    memset(w->inspector->counted, 0, sizeof w->inspector->counted);
    w->inspector->counted_dialogs = 0;
    gateway_each(w, count_one, w);
    check_gauges(w);
    for (size_t i = 0; i < pair_count(w) && !w->failed; i++)
        for (unsigned d = 0; d < 2; d++)
            check_pair(w, pair_at(w, i), d, pair_at(w, i)->known[d].n,
                       (enum core_state)pair_at(w, i)->known[d].state);
}

static void check_now(struct world *w, const struct pair *p)
{
    for (unsigned d = 0; d < 2; d++) {
        enum core_state state;
        unsigned n = gateway_find(w, w->xmpp->user[p->x].jid, w->sip->user[p->s].jid, d, &state);
        check_pair(w, p, d, n, state);
    }
}

// A record's texts begin at byte 15: localpart and domain of hers, localpart of his
// (core/record.c).
static bool record_pair(const struct world *w, struct text record, unsigned *x, unsigned *s)
{
    struct text part[3];
    size_t at = 15;
    for (unsigned i = 0; i < 3; i++) {
        uint16_t n;
        if (at + sizeof n > record.n)
            return false;
        memcpy(&n, record.p + at, sizeof n);
        part[i] = (struct text){record.p + at + sizeof n, n};
        at += sizeof n + n;
    }
    char hers[64], his[64];
    int m = snprintf(hers, sizeof hers, "%.*s@", TEXT_ARG(part[0]));
    int n = snprintf(his, sizeof his, "%.*s@", TEXT_ARG(part[2]));
    return world_number_of((struct text){hers, (size_t)m}, TEXT("juliet"), w->opt.xmpp_users, x) &&
           world_number_of((struct text){his, (size_t)n}, TEXT("romeo"), w->opt.sip_users, s);
}

void inspector_deleted(struct world *w, struct text record)
{
    struct inspector *i = w->inspector;
    unsigned x, s;
    if (!record_pair(w, record, &x, &s)) {
        world_broken(w, "a record of nobody is deleted");
        return;
    }
    if (i->n_deleted < DELETED_MAX)
        i->deleted[i->n_deleted] = pair_of(w, x, s);
    i->n_deleted++;
}

// Promises of the lost write: that the pair is authorized at all, if the record is not there
// without it; that it is decided, if it is pending without it; that CSeq goes on, of the dialogs
// that the write has named or ended. Whoever holds what is lost learns of it when he asks again
// (`untold`).
void inspector_lost(struct world *w, struct text before, struct text lost)
{
    enum { STATE_AT = 6, DIRECTION_AT = 1 };
    struct text record = lost.n ? lost : before;
    unsigned x, s;
    if (!record_pair(w, record, &x, &s)) {
        world_broken(w, "a record of nobody is lost");
        return;
    }
    unsigned direction = (uint8_t)record.p[DIRECTION_AT] & 1;
    struct pair *p = pair_of(w, x, s);
    dialog_log_lost(w->inspector->log, before); // those that the write has ended are there again
    dialog_log_lost(w->inspector->log, lost);
    grants_lost(w->inspector->grants, before, lost);
    if (before.n && before.p[STATE_AT] != STATE_PENDING)
        return;
    p->told[direction] = (struct told){.ended = w->inspector->steps, .ended_ms = gateway_now_ms(w)};
    if (direction == XMPP_TO_SIP && !before.n)
        p->roster.untold = p->roster.to;
}

void inspector_committed(struct world *w, bool done)
{
    struct inspector *i = w->inspector;
    size_t n = i->n_deleted;
    i->n_deleted = 0;
    if (!n || !done || !w->gateway->alive)
        return;
    if (n > DELETED_MAX || ++i->commits % CHECK_ALL_EVERY == 0) {
        inspector_check_authorizations(w);
        return;
    }
    for (size_t k = 0; k < n && !w->failed; k++)
        check_now(w, i->deleted[k]);
}

// ---- What goes in

uint64_t inspector_step(struct world *w)
{
    return ++w->inspector->steps;
}

static bool is_gone(const struct stanza *s)
{
    return s->condition == CONDITION_GONE || s->condition == CONDITION_ITEM_NOT_FOUND;
}

// What one message of a peer's makes the gateway say and store at once, whoever sent it and however
// many contacts somebody has: seen are 8. (A tick runs all timers that are due, and
// the end of an account that of all its authorizations.)
void inspector_stepped(struct world *w, const struct event *ev, size_t effects)
{
    enum { EFFECTS_MAX = 24 };
    bool gone = ev->kind == EVENT_STANZA && is_gone(ev->stanza);
    world_expect(w, ev->kind == EVENT_TICK || gone || effects <= EFFECTS_MAX,
                 "%zu effects of one event", effects);
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

// Her account is no more: nor is any authorization of hers.
static void account_ended(struct world *w, unsigned x)
{
    for (const struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x) {
        ended(w, x, p->s, XMPP_TO_SIP);
        ended(w, x, p->s, SIP_TO_XMPP);
    }
}

static void probe_answered(struct world *w, unsigned x, const struct stanza *s)
{
    struct inspector *i = w->inspector;
    if (s->kind == STANZA_PRESENCE && s->type == STANZA_UNAVAILABLE)
        i->asked[x].offline = true;
    else if (s->kind == STANZA_PRESENCE &&
             (s->type == STANZA_NONE || s->type == STANZA_UNSUBSCRIBED))
        i->asked[x].alive_ms = gateway_now_ms(w);
    else if (s->kind == STANZA_IQ && answers_well(s) && !i->asked[x].offline &&
             text_eq(stanza_text(s, s->id), text_of(i->asked[x].fence)))
        i->asked[x].alive_ms = gateway_now_ms(w);
}

bool inspector_stanza_in(struct world *w, const struct stanza *s)
{
    unsigned x, c;
    w->inspector->stanzas_in++;
    if (!xmpp_user_of(w, stanza_text(s, s->from), &x))
        return false;
    if (s->type == STANZA_ERROR && is_gone(s))
        account_ended(w, x);
    if (!sip_user_of(w, stanza_text(s, s->to), &c)) {
        if (!memchr(stanza_text(s, s->to).p, '@', stanza_text(s, s->to).n))
            probe_answered(w, x, s); // what is for nobody whom we know answers nothing
        return true;
    }
    bool passes = !gateway_away_is(w->gateway->away, w, x);
    if (s->kind != STANZA_PRESENCE)
        return passes;
    if (s->type == STANZA_SUBSCRIBE || s->type == STANZA_PROBE) // she is back, though found offline
        w->inspector->asked[x].offline = false;
    if (s->type == STANZA_UNSUBSCRIBE)
        ended(w, x, c, XMPP_TO_SIP);
    if (s->type == STANZA_UNSUBSCRIBED)
        ended(w, x, c, SIP_TO_XMPP);
    return passes;
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
    grants_answered(w->inspector->grants, m, gateway_now_ms(w), 64 * (uint64_t)w->opt.t1_ms);
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
    grants_asked(w->inspector->grants, m, gateway_now_ms(w));
    if (ev->source.ip[0] != 127 || !sip_user_of(w, sip_text(m, m->from_uri), &s))
        return false;
    bool ends = m->substate == SUBSTATE_TERMINATED &&
                (m->reason == REASON_REJECTED || m->reason == REASON_NORESOURCE);
    if (m->method == SIP_NOTIFY && ends &&
        xmpp_user_of(w, without_scheme(sip_text(m, m->to_uri)), &x))
        ended(w, x, s, XMPP_TO_SIP);
    return !xmpp_user_of(w, without_scheme(sip_text(m, m->to_uri)), &x) ||
           !gateway_away_is(w->gateway->away, w, x);
}

// ---- What comes out

// 3. Meanwhile nothing passes but that something is over.
static void check_away(struct world *w, const struct cause *cause, const struct sip_message *m)
{
    struct text body = sip_text(m, m->body);
    bool says = body.n && memmem(body.p, body.n, "<basic>open", 11);
    bool ends =
        m->method == SIP_NOTIFY ? m->substate == SUBSTATE_TERMINATED && !says : m->expires == 0;
    unsigned x;
    if (!ends && xmpp_user_of(w, without_scheme(sip_text(m, m->from_uri)), &x))
        world_expect(w, !gateway_away_is(cause->away, w, x),
                     "%s for %s, of whom nothing may pass at present",
                     m->method == SIP_NOTIFY ? "a NOTIFY" : "a SUBSCRIBE", w->xmpp->user[x].jid);
}

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
    uint64_t alive_ms = w->inspector->asked[x].alive_ms;
    world_expect(w, alive_ms && cause->at_ms - alive_ms <= (uint64_t)w->opt.window_s * 1000,
                 "%s for %s without a fresh answer to a probe",
                 in_dialog ? "a refresh" : "a dialog", w->xmpp->user[x].jid);
}

static void check_answer(struct world *w, const struct cause *cause, const struct sip_message *m)
{
    const char *fault = NULL;
    unsigned x, s;
    bool known = sip_user_of(w, sip_text(m, m->from_uri), &s) &&
                 xmpp_user_of(w, without_scheme(sip_text(m, m->to_uri)), &x);
    const struct pair *p = known ? pair_of(w, x, s) : NULL;
    grants_answer(w->inspector->grants, m, cause->at_ms, p ? p->told[SIP_TO_XMPP].ended_ms : 0,
                  &fault);
    world_expect(w, !fault, "%s: %.*s", fault, TEXT_ARG(sip_text(m, m->call_id)));
}

void inspector_held(struct world *w)
{
    grants_held(w->inspector->grants, gateway_now_ms(w));
}

// 5, while it goes on: a loop would never come to its end.
static void check_storm(struct world *w)
{
    enum { STORM = 5000, STORM_FACTOR = 10 };
    const struct inspector *i = w->inspector;
    world_expect(w, i->requests_out <= STORM + STORM_FACTOR * (i->stanzas_in + i->requests_in),
                 "a storm: %llu SIP requests for %llu stanzas and %llu requests",
                 (unsigned long long)i->requests_out, (unsigned long long)i->stanzas_in,
                 (unsigned long long)i->requests_in);
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
        check_answer(w, cause, m);
        world_expect(w, dialog_log_answer(i->log, m), "an old NOTIFY is accepted: %.*s",
                     TEXT_ARG(sip_text(m, m->call_id)));
        return;
    }
    world_expect(w, cause->trusted, "a request that nobody trusted has asked for");
    const char *fault = NULL;
    if (!dialog_log_request(i->log, m, cause->at_ms, w->opt.t1_ms, &fault)) {
        grants_resent(i->grants, m);
        world_expect(w, !fault, "%s: %.*s", fault, TEXT_ARG(sip_text(m, m->call_id)));
        return; // sent again
    }
    if (cause->trusted)
        grants_request(i->grants, m, cause->at_ms, &fault);
    world_expect(w, !fault, "%s: %.*s", fault, TEXT_ARG(sip_text(m, m->call_id)));
    i->requests_out++;
    check_storm(w);
    check_away(w, cause, m);
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
    bool over = text_eq(type, TEXT("unavailable")) || text_starts(type, TEXT("unsubscribe"));
    bool refused = memmem(bytes.p, bytes.n, "<resource-con", 13) &&
                   !memmem(bytes.p, bytes.n, "/flood'", 7); // which is a fetch
    if (contact && text_eq(type, TEXT("error")) && refused)
        world_expect(w, !pair_of(w, x, s)->told[XMPP_TO_SIP].told,
                     "%s is refused what she has been granted", w->xmpp->user[x].jid);
    else if (contact && !over && !text_eq(type, TEXT("error")))
        world_expect(w, !gateway_away_is(cause->away, w, x),
                     "a stanza to %s, to whom nothing may pass at present: %.*s",
                     w->xmpp->user[x].jid, TEXT_ARG(bytes));
    if (contact && text_eq(type, TEXT("subscribed")))
        said(w, x, s, XMPP_TO_SIP, cause);
    if (!contact && text_eq(type, TEXT("probe")))
        w->inspector->asked[x].offline = false;
    if (!contact && text_starts(bytes, TEXT("<iq type='get'")))
        snprintf(w->inspector->asked[x].fence, sizeof w->inspector->asked[x].fence, "%.*s",
                 TEXT_ARG(attribute(bytes, " id='")));
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
