// The presence server: notifier of the SIP users (RFC 6665 §4.2), with their authorizations.
#include <stdlib.h>

#include "core/wire/pidf.h"
#include "net.h"
#include "sip_wire.h"
#include "xmpp_model.h"

#define SERVER_CONTACT  "sip:presence@127.0.0.1:5070"
#define SERVER_STRANGER "sip:tybalt@foreign.example"

static void server_notify(struct world *w, struct notifier *n);

static struct notifier *notifier_new(struct world *w, unsigned s, unsigned x,
                                     const struct sip_message *m)
{
    struct sip *p = w->sip;
    struct notifier *n = calloc(1, sizeof *n);
    if (!n)
        abort();
    if (p->n_notifiers == p->cap_notifiers) {
        p->cap_notifiers = p->cap_notifiers ? 2 * p->cap_notifiers : 32;
        p->notifier = realloc(p->notifier, p->cap_notifiers * sizeof(void *));
        if (!p->notifier)
            abort();
    }
    p->notifier[p->n_notifiers++] = n;
    struct pair *pair = pair_of(w, x, s);
    n->next = pair->notifiers;
    pair->notifiers = n;
    n->s = s;
    n->x = x;
    n->open = true;
    sip_copy(n->leg.call_id, m, m->call_id);
    sip_copy(n->leg.their_tag, m, m->from_tag);
    sip_copy(n->leg.target, m, m->contact);
    snprintf(n->leg.our_tag, SIP_TEXT, "srv%llu-%zu", (unsigned long long)sip_number(w),
             p->n_notifiers - 1);
    n->leg.their_cseq = m->cseq;
    n->leg.cseq = world_below(w, 1000);
    return n;
}

static struct notifier *notifier_find(struct world *w, const struct sip_message *m)
{
    char tag[SIP_TEXT];
    sip_copy(tag, m, m->to_tag);
    const char *dash = strrchr(tag, '-'); // behind it stands the place
    size_t i = dash ? strtoul(dash + 1, NULL, 10) : SIZE_MAX;
    struct notifier *n = i < w->sip->n_notifiers ? w->sip->notifier[i] : NULL;
    bool same = n && n->open && text_eq(text_of(n->leg.call_id), sip_text(m, m->call_id)) &&
                !strcmp(n->leg.our_tag, tag);
    return same ? n : NULL;
}

static void notifier_state(struct world *w, struct notifier *n, struct buffer *b)
{
    static const char *const absurd[] = {";retry-after=0", ";retry-after=4294967295",
                                         ";retry-after=-1", ";retry-after=soon"};
    enum sip_auth auth = pair_of(w, n->x, n->s)->auth;
    long left_s = (long)(n->expires_ms - w->now_ms) / 1000;
    if (n->last)
        sip_line(
            b, "Subscription-State: terminated;reason=%.*s%s", TEXT_ARG(sip_reason_text(n->reason)),
            n->reason != REASON_PROBATION                              ? ""
            : world_fault(w, FAULT_PROBATION, w->opt.absurd ? 700 : 0) ? absurd[world_below(w, 4)]
                                                                       : ";retry-after=20");
    else if (auth == AUTH_ACTIVE && world_chance(w, 200)) // some leave it out
        sip_line(b, "Subscription-State: active");
    else
        sip_line(b, "Subscription-State: %s;expires=%ld",
                 auth == AUTH_ACTIVE ? "active" : "pending", left_s > 0 ? left_s : 0);
}

static void notifier_body(struct world *w, struct notifier *n, struct buffer *b)
{
    const struct sip_user *u = &w->sip->user[n->s];
    struct presence p[VIEW_MAX];
    struct buffer pidf;
    char entity[64];
    buffer_init(&pidf, 0);
    snprintf(entity, sizeof entity, "pres:%s", u->jid);
    bool silent = n->last && (n->reason == REASON_REJECTED || n->reason == REASON_NORESOURCE);
    if (pair_of(w, n->x, n->s)->auth == AUTH_ACTIVE && !silent)
        pidf_write(&pidf, text_of(entity), p, view_presences(&u->own, p));
    sip_body(b, (struct text){pidf.p, pidf.n});
    buffer_free(&pidf);
}

static void server_notify(struct world *w, struct notifier *n)
{
    char branch[40], to[64];
    if (n->in_flight) {
        n->dirty = true;
        return;
    }
    n->leg.cseq++;
    snprintf(to, sizeof to, "sip:%s", w->xmpp->user[n->x].jid);
    struct buffer *b =
        sip_begin(w, "NOTIFY", n->leg.target, w->sip->user[n->s].uri, to, &n->leg, branch);
    sip_line(b, "Contact: <" SERVER_CONTACT ">");
    notifier_state(w, n, b);
    notifier_body(w, n, b);
    n->dirty = false;
    n->in_flight = true;
    sip_send(w, branch, n->leg.target, OWNER_NOTIFIER, n, 0);
}

static void server_end(struct world *w, struct notifier *n, enum sip_reason reason)
{
    n->open = false;
    n->last = true;
    n->reason = reason;
    server_notify(w, n);
}

void sip_server_answered(struct world *w, struct notifier *n, unsigned status)
{
    n->in_flight = false;
    if (status >= 300 && !n->last)
        n->open = n->dirty = false; // RFC 6665 §4.2.2
    if (n->dirty)
        server_notify(w, n);
}

static void server_notifies(struct world *w, const struct happening *h)
{
    server_notify(w, h->who);
}

static void server_expires(struct world *w, const struct happening *h)
{
    struct notifier *n = h->who;
    if (n->open && n->expires_ms <= w->now_ms)
        server_end(w, n, REASON_TIMEOUT);
}

static void server_accept(struct world *w, struct notifier *n, const struct sip_message *m,
                          uint32_t expires_s)
{
    char headers[256];
    bool notify_first = w->opt.notify_first && world_chance(w, 500);
    n->expires_ms = w->now_ms + (uint64_t)expires_s * 1000;
    if (expires_s)
        world_in(w, (uint64_t)expires_s * 1000, server_expires, n, 0);
    bool reject = pair_of(w, n->x, n->s)->auth == AUTH_REJECTED;
    if (!expires_s || reject) {
        n->open = false;
        n->last = true;
        n->reason = reject ? REASON_REJECTED : REASON_TIMEOUT;
    }
    if (notify_first)
        server_notify(w, n);
    if (world_fault(w, FAULT_ROGUE_ANSWER, w->opt.rogue / 5)) {
        static const char *const odd[] = {"", "Expires: 999999999\r\n", "Expires: soon\r\n",
                                          "Contact: nonsense\r\nExpires: 60\r\n", "Expires: 1\r\n"};
        sip_answer(w, m, 200, n->leg.our_tag, odd[world_below(w, 5)]);
        server_notify(w, n);
        return;
    }
    snprintf(
        headers, sizeof headers, "Expires: %u\r\nContact: <" SERVER_CONTACT ">\r\n%s", expires_s,
        w->opt.record_route && !m->to_tag.n ? "Record-Route: <sip:127.0.0.1:5070;lr>\r\n" : "");
    sip_answer(w, m, 200, n->leg.our_tag, headers);
    if (!notify_first)
        server_notify(w, n);
}

// Numbers that nobody means. (A redirection to a stranger asks as well for what is not done.)
static bool server_is_absurd(struct world *w, const struct sip_message *m)
{
    static const char *const number[] = {"0", "4294967295", "-1", "99999999999999999999", "soon",
                                         ""};
    char headers[160];
    const char *n = number[world_below(w, 6)];
    if (world_fault(w, FAULT_REDIRECT_AWAY, w->opt.absurd)) {
        sip_answer(w, m, 302, "away", "Contact: <" SERVER_STRANGER ">\r\n");
    } else if (world_fault(w, FAULT_RETRY_AFTER, w->opt.absurd)) {
        snprintf(headers, sizeof headers, "Retry-After: %s\r\n", n);
        sip_answer(w, m, 503, "absurd", headers);
    } else if (world_fault(w, FAULT_MIN_EXPIRES, w->opt.absurd)) {
        snprintf(headers, sizeof headers, "Min-Expires: %s\r\n", n);
        sip_answer(w, m, 423, "absurd", headers);
    } else if (world_fault(w, FAULT_ONLY_PROVISIONAL, w->opt.absurd)) {
        sip_answer(w, m, 183, "absurd", "");
    } else {
        return false;
    }
    return true;
}

// A failure that will pass. True: it was answered so.
static bool server_fails(struct world *w, const struct sip_message *m)
{
    static const unsigned status[] = {500, 503, 503, 480, 408, 482, 504, 404,
                                      302, 302, 423, 401, 407, 481, 305, 100};
    char headers[160] = "";
    if (!world_fault(w, FAULT_SERVER_ERROR, w->opt.sip_errors))
        return false;
    unsigned i = world_below(w, sizeof status / sizeof *status);
    if (status[i] == 503)
        snprintf(headers, sizeof headers, "Retry-After: %u\r\n", world_between(w, 1, 60));
    else if (status[i] == 423)
        snprintf(headers, sizeof headers, "Min-Expires: %u\r\n",
                 world_between(w, 60, w->opt.expires_s));
    else if (status[i] == 302) // to the same by another name
        snprintf(headers, sizeof headers, "Contact: <%.*s;at=%u>\r\n",
                 (int)strcspn(sip_text(m, m->ruri).p, "; "), sip_text(m, m->ruri).p,
                 world_below(w, 9));
    else if (status[i] == 401 || status[i] == 407)
        snprintf(headers, sizeof headers,
                 "%s: Digest realm=\"%s\", nonce=\"x%u\", algorithm=SHA-256, qop=\"auth\"\r\n",
                 status[i] == 401 ? "WWW-Authenticate" : "Proxy-Authenticate",
                 world_chance(w, 700) ? "verona" : "padua", world_below(w, 1000));
    sip_answer(w, m, status[i], "failed", headers);
    return true;
}

// RFC 3261 §22.2: who has not proved who he is, with the nonce of these minutes, is asked to. That
// the proof is right is tested elsewhere (tests/scenario/test_digest.c).
static bool server_challenges(struct world *w, const struct sip_message *m)
{
    enum { NONCE_MS = 200000 };
    struct text raw = {m->text, m->size - sizeof *m};
    char nonce[48], headers[160];
    snprintf(nonce, sizeof nonce, " nonce=\"n%llu\"", (unsigned long long)(w->now_ms / NONCE_MS));
    if (!w->opt.digest || memmem(raw.p, raw.n, nonce, strlen(nonce)))
        return false;
    bool stale = memmem(raw.p, raw.n, " nonce=", 7) != NULL;
    snprintf(headers, sizeof headers,
             "WWW-Authenticate: Digest realm=\"verona\",%s, algorithm=SHA-256, qop=\"auth\"%s\r\n",
             nonce, stale ? ", stale=true" : "");
    sip_answer(w, m, 401, "proof", headers);
    return true;
}

// A proxy has brought the request to a second server as well, whose 200 it keeps back (RFC 3261
// §16.7). It says itself that it has a subscription (RFC 6665 §4.4.1), sooner or later than the
// first.
static void server_forks(struct world *w, unsigned s, unsigned x, const struct sip_message *m,
                         uint32_t expires_s)
{
    if (!expires_s || pair_of(w, x, s)->auth == AUTH_REJECTED ||
        !world_fault(w, FAULT_FORKED, w->opt.forked))
        return;
    struct notifier *n = notifier_new(w, s, x, m);
    n->expires_ms = w->now_ms + (uint64_t)expires_s * 1000;
    world_in(w, (uint64_t)expires_s * 1000, server_expires, n, 0);
    world_in(w, world_below(w, 30), server_notifies, n, 0);
}

static void server_first(struct world *w, const struct sip_message *m)
{
    unsigned s, x;
    char headers[64];
    struct text from = sip_text(m, m->from_uri);
    if (!sip_user_of(w, sip_text(m, m->ruri), &s) || !text_starts(from, TEXT("sip:")) ||
        !xmpp_user_of(w, (struct text){from.p + 4, from.n - 4}, &x)) {
        world_broken(w, "a SUBSCRIBE of nobody or for nobody");
        return;
    }
    bool reject = pair_of(w, x, s)->auth == AUTH_REJECTED && !w->opt.rejects_with_200;
    uint32_t least_s = w->opt.server_min_expires_s;
    if (reject) {
        sip_answer(w, m, w->opt.notify_first ? 603 : 403, "no", "");
    } else if (m->expires && m->expires < least_s) {
        snprintf(headers, sizeof headers, "Min-Expires: %u\r\n", least_s);
        sip_answer(w, m, 423, "brief", headers);
    } else {
        uint32_t most_s = w->opt.server_expires_s > least_s ? w->opt.server_expires_s : least_s;
        uint32_t expires_s = m->expires < most_s ? m->expires : most_s;
        server_forks(w, s, x, m, expires_s);
        server_accept(w, notifier_new(w, s, x, m), m, expires_s);
    }
}

void sip_server_subscribe(struct world *w, const struct sip_message *m)
{
    if (server_is_absurd(w, m) || server_fails(w, m) || server_challenges(w, m))
        return;
    if (!m->to_tag.n && text_starts(sip_text(m, m->ruri), TEXT(SERVER_STRANGER))) {
        sip_answer(w, m, 480, "stranger", ""); // the proxy, which finds nobody there
        return;
    }
    if (!m->to_tag.n) {
        server_first(w, m);
        return;
    }
    struct notifier *n = notifier_find(w, m);
    if (!n) {
        sip_answer(w, m, 481, "", "");
        return;
    }
    if (m->cseq <= n->leg.their_cseq) {
        sip_answer(w, m, 500, "", "");
        return;
    }
    n->leg.their_cseq = m->cseq;
    if (m->contact.n)
        sip_copy(n->leg.target, m, m->contact);
    uint32_t most_s = w->opt.server_expires_s;
    server_accept(w, n, m, m->expires < most_s ? m->expires : most_s);
}

// ---- What people do

// Those that still take refreshes; who does not, does not again.
static struct notifier *pair_notifiers(struct pair *p)
{
    struct notifier **at = &p->notifiers;
    while (*at)
        if ((*at)->open)
            at = &(*at)->next;
        else
            *at = (*at)->next;
    return p->notifiers;
}

static void server_tell(struct world *w, unsigned s)
{
    for (struct pair *p = pair_first_of_s(w, s); p; p = p->next_of_s)
        for (struct notifier *n = pair_notifiers(p); n; n = n->next)
            if (n->open && p->auth == AUTH_ACTIVE)
                server_notify(w, n);
}

void sip_publish(struct world *w, unsigned s, const char *resource)
{
    view_draw(w, &w->sip->user[s].own, resource);
    server_tell(w, s);
}

void sip_unpublish(struct world *w, unsigned s, const char *resource)
{
    if (!view_has(&w->sip->user[s].own, resource))
        return;
    view_remove(&w->sip->user[s].own, resource);
    server_tell(w, s);
}

void sip_authorize(struct world *w, unsigned s, unsigned x, enum sip_auth auth)
{
    struct pair *p = pair_of(w, x, s);
    p->auth = auth;
    for (struct notifier *n = pair_notifiers(p), *next; n; n = next) {
        next = n->next;
        if (auth == AUTH_REJECTED)
            server_end(w, n, REASON_REJECTED);
        else
            server_notify(w, n);
    }
}

void sip_server_restart(struct world *w)
{
    world_note(w, "---- the presence server restarts");
    for (size_t i = 0; i < w->sip->n_notifiers; i++)
        w->sip->notifier[i]->open = w->sip->notifier[i]->dirty = false;
}

void sip_server_ends_one(struct world *w)
{
    static const enum sip_reason reason[] = {REASON_DEACTIVATED, REASON_PROBATION, REASON_GIVEUP,
                                             REASON_TIMEOUT, REASON_NONE};
    struct sip *p = w->sip;
    size_t at = p->n_notifiers ? world_below(w, (uint32_t)p->n_notifiers) : 0;
    if (at < p->n_notifiers && p->notifier[at]->open)
        server_end(w, p->notifier[at], reason[world_below(w, 5)]);
}
