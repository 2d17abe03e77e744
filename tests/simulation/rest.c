// Convergence and emptiness.
#include "rest.h"

#include "gateway.h"
#include "sip_model.h"
#include "xmpp_model.h"

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t longest_expiry_s(const struct world *w)
{
    return most(most(w->opt.expires_s, w->opt.device_expires_s),
                most(w->opt.server_min_expires_s, 120));
}

// The gateway's own retry may be an hour and a quarter away (30 s doubling to an hour, and a
// quarter of jitter).
uint32_t rest_true_within_s(const struct world *w)
{
    enum { A_DAY_S = 86400 }; // the longest that it obeys a Retry-After
    return 2 * longest_expiry_s(w) + 4500 + 600 + (w->opt.absurd ? A_DAY_S : 0);
}

uint32_t rest_stays_true_s(const struct world *w)
{
    return longest_expiry_s(w);
}

uint32_t rest_prompt_within_s(const struct world *w)
{
    return 20 + 2 * w->opt.notify_interval_ms / 1000;
}

// Dialogs that peers have forgotten run out; then their last NOTIFYs, and users are forgotten.
uint32_t rest_empty_within_s(const struct world *w)
{
    return most(longest_expiry_s(w), w->opt.max_expires_s) + 600;
}

static bool watch_is_true(struct world *w, const struct pair *p, char why[512])
{
    const struct xmpp_user *u = &w->xmpp->user[p->x];
    const struct sip_user *presentity = &w->sip->user[p->s];
    static const struct view nothing;
    const struct view *truth = p->auth == AUTH_ACTIVE ? &presentity->own : &nothing;
    if (!p->roster.to || p->roster.untold)
        return true;
    for (unsigned i = 0; i < WORLD_RESOURCES_MAX; i++)
        if (u->open[i] && !view_eq(&p->seen[i], truth)) {
            snprintf(why, 512, "%s/%s sees of %s %s, the truth is %s", u->jid, xmpp_resource[i],
                     presentity->jid, view_print(&p->seen[i]), view_print(truth));
            return false;
        }
    return true;
}

static unsigned open_notifiers(const struct pair *p)
{
    unsigned n = 0;
    for (const struct notifier *d = p->notifiers; d; d = d->next)
        n += d->open;
    return n;
}

// What the gateway has forgotten has run out at the presence server, and it opens no second.
static bool watch_is_one(struct world *w, const struct pair *p, char why[512])
{
    unsigned n = open_notifiers(p);
    if (n > 1)
        snprintf(why, 512, "%s has %u dialogs to watch %s", w->xmpp->user[p->x].jid, n,
                 w->sip->user[p->s].jid);
    return n <= 1;
}

// Who is there and has been refused knows it.
static bool refusal_is_told(struct world *w, const struct pair *p, char why[512])
{
    bool knows = p->auth != AUTH_REJECTED || !p->roster.to || p->roster.untold;
    if (knows || !xmpp_online(w, p->x))
        return true;
    snprintf(why, 512, "%s is refused by %s and believes to watch him", w->xmpp->user[p->x].jid,
             w->sip->user[p->s].jid);
    return false;
}

// He waits only for one who has been asked.
static bool request_is_there(struct world *w, const struct pair *p, const struct device *d,
                             char why[512])
{
    if (!d->wanted || !d->live || d->active || p->roster.from || p->roster.pending)
        return true;
    snprintf(why, 512, "device %u of %s waits for %s, who has not been asked", d->d,
             w->sip->user[p->s].jid, w->xmpp->user[p->x].jid);
    return false;
}

static bool device_is_true(struct world *w, const struct pair *p, const struct device *d,
                           char why[512])
{
    const struct xmpp_user *u = &w->xmpp->user[d->x];
    static const struct view nothing;
    const struct view *truth = p->roster.from ? &u->own : &nothing;
    if (!d->wanted)
        return true;
    bool well = d->live && (!p->roster.from || d->active) && view_eq(&d->view, truth);
    if (!well)
        snprintf(why, 512, "device %u of %s (live %d, active %d) sees of %s %s, the truth is %s",
                 d->d, w->sip->user[d->s].jid, d->live, d->active, u->jid, view_print(&d->view),
                 view_print(truth));
    return well;
}

bool rest_is_true(struct world *w, char why[512])
{
    if (!w->gateway->alive || w->now_ms < w->gateway->stopped_until_ms) {
        snprintf(why, 512, "the gateway is not there");
        return false;
    }
    if (w->now_ms < w->xmpp->link_down_ms) { // what is true meanwhile is so by chance
        snprintf(why, 512, "example.org can't be reached");
        return false;
    }
    for (size_t i = 0; i < pair_count(w); i++) {
        const struct pair *p = pair_at(w, i);
        if (!watch_is_true(w, p, why) || !watch_is_one(w, p, why) || !refusal_is_told(w, p, why))
            return false;
        for (unsigned d = 0; d < SIP_DEVICES_MAX; d++)
            if (!device_is_true(w, p, &p->device[d], why) ||
                !request_is_there(w, p, &p->device[d], why))
                return false;
    }
    return true;
}

// Her server and the gateway agree that somebody may watch her.
static bool is_watched(struct world *w, unsigned x)
{
    enum core_state state;
    for (const struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
        if (p->roster.from &&
            gateway_find(w, w->xmpp->user[x].jid, w->sip->user[p->s].jid, SIP_TO_XMPP, &state) &&
            state != STATE_PENDING)
            return true;
    return false;
}

bool rest_is_away(struct world *w, char why[512])
{
    for (size_t i = 0; i < pair_count(w); i++) {
        const struct pair *p = pair_at(w, i);
        const char *jid = w->xmpp->user[p->x].jid, *sip = w->sip->user[p->s].jid;
        enum core_state state;
        if (!w->xmpp->user[p->x].slept || !gateway_find(w, jid, sip, XMPP_TO_SIP, &state) ||
            state != STATE_ACTIVE || !is_watched(w, p->x))
            continue;
        snprintf(why, 512, "%s is not there, and watches %s", jid, sip);
        return false;
    }
    return true;
}

// The gateway waits a little before it takes her for gone.
uint32_t rest_away_within_s(void)
{
    return 20;
}

// Two dialogs for one pair are ten seconds apart, and the second may wait for an answer to a probe.
uint32_t rest_back_within_s(const struct world *w)
{
    return rest_prompt_within_s(w) + 10 + w->opt.probe_timeout_s;
}

struct nobody {
    struct world *world;
    uint64_t n;
};

static bool count_nobody(void *arg, const struct core_subscription_view *v)
{
    struct nobody *a = arg;
    unsigned x;
    a->n += v->direction == XMPP_TO_SIP && !v->n_dialogs && xmpp_user_of(a->world, v->xmpp, &x) &&
            a->world->xmpp->user[x].deleted;
    return true;
}

// What rests is not asked for, so nobody may learn that her account is no more; not before the day
// is over, at the end of which a server has told us to come back.
static uint64_t watches_of_nobody(struct world *w)
{
    struct nobody a = {w, 0};
    gateway_each(w, count_nobody, &a);
    return a.n;
}

bool rest_is_empty(struct world *w, char why[512])
{
    struct core_stats s = gateway_stats(w);
    uint64_t pending = s.by_state[SIP_TO_XMPP][STATE_PENDING];
    uint64_t watches = 0, forgotten = watches_of_nobody(w);
    for (unsigned i = 0; i < 3; i++)
        watches += s.by_state[XMPP_TO_SIP][i];
    watches -= forgotten;
    snprintf(why, 512,
             "left: dialogs %llu, transactions %llu and %llu, timers %llu, watches %llu, undecided "
             "%llu, users %llu for %llu subscriptions, records %zu",
             (unsigned long long)s.dialogs, (unsigned long long)s.client_transactions,
             (unsigned long long)s.server_transactions, (unsigned long long)s.timers,
             (unsigned long long)watches, (unsigned long long)pending, (unsigned long long)s.users,
             (unsigned long long)s.subscriptions, w->gateway->store.n);
    for (size_t i = 0; i < pair_count(w); i++)
        if (open_notifiers(pair_at(w, i))) {
            snprintf(why, 512, "the presence server of %s has a dialog that nobody ends",
                     w->sip->user[pair_at(w, i)->s].jid);
            return false;
        }
    return w->gateway->alive && !s.dialogs && !s.client_transactions && !s.server_transactions &&
           s.timers <= forgotten && !watches && !pending && s.users <= s.subscriptions &&
           w->gateway->store.n == s.subscriptions;
}
