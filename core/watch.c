// The watch machine's XMPP side: what the user asks for, and the life of her authorization.
#include "core/watch.h"

#include "core/domain.h"
#include "core/known.h"
#include "core/stanza_out.h"
#include "core/sub.h"
#include "core/user.h"
#include "core/watch_dialog.h"
#include "core/watch_fetch.h"
#include "core/watch_session.h"

// She may have one more subscription or fetch; false: `resource-constraint` was sent.
static bool watch_admit(struct core *c, const struct stanza *s, uint32_t user, uint16_t domain)
{
    const struct core_settings *set = &c->cfg.settings;
    struct user *u = user ? core_user(c, user) : NULL;
    if (u && !set->draining && u->n_subs < set->subscriptions_per_user &&
        c->stats.subscriptions < set->subscriptions_per_shard && user_admit(c, u))
        return true;
    c->stats.refused_limit++;
    stanza_out_error(c, domain, s, CONDITION_RESOURCE_CONSTRAINT);
    return false;
}

// New work while there is too much of it: core/overload.h.
static bool watch_sheds(struct core *c, const struct stanza *s, const struct jid *from,
                        const struct jid *to)
{
    uint64_t peer = hash_sip(c->cfg.key, from->domain.p, from->domain.n);
    uint64_t piece = c->overload.shedding ? hash_random_u64(&c->random) : 0;
    if (overload_admits(&c->overload, peer, piece, c->cfg.settings.lag_ms, c->now_ms))
        return false;
    c->stats.overload_refused[XMPP_TO_SIP]++;
    stanza_out_error(c, domain_find(c, to->domain), s, CONDITION_RESOURCE_CONSTRAINT);
    return true;
}

bool watch_may_try(const struct core *c, const struct sub *s)
{
    return c->now_ms / 1000 >= (uint64_t)s->tried_s + CORE_ATTEMPT_GAP_S;
}

bool watch_too_soon(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if (watch_may_try(c, s))
        return false;
    uint64_t due_ms = ((uint64_t)s->tried_s + CORE_ATTEMPT_GAP_S) * 1000;
    s->flags &= (uint16_t)~SUB_OFFLINE;
    if (!s->retry_timer)
        s->retry_timer = wheel_add(&c->wheel, due_ms, TIMER_SUB, sub);
    return true;
}

static void watch_try(struct core *c, uint32_t sub)
{
    if (!watch_too_soon(c, sub))
        watch_open(c, sub, c->cfg.settings.expires_s);
}

// `invariant`: there is no dialog any more, and what is known stays true (RFC 6665 §4.1.3).
static bool watch_is_final(const struct core *c, const struct sub *s)
{
    return s->state == STATE_ACTIVE && !watch_dialog(c, s) &&
           (known_count(s->known) || (s->flags & SUB_TOLD));
}

// She had no session when she was asked last, and is back before the dialog has lapsed.
static void watch_back(struct core *c, uint32_t sub, uint32_t dialog)
{
    struct sub *s = core_sub(c, sub);
    core_user(c, s->user)->probe_seen &= (uint8_t)~SEEN_UNAVAILABLE;
    if (!(s->flags & SUB_OFFLINE) || core_dialog(c, dialog)->state != DIALOG_LIVE)
        return;
    s->flags &= (uint16_t)~SUB_OFFLINE;
    watch_want(c, sub);
}

// RFC 6121 §3.1.3: who is subscribed already is told so again, and shown what is known.
static void watch_subscribe_again(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = watch_dialog(c, s);
    bool final = watch_is_final(c, s);
    if (s->state != STATE_PENDING) {
        stanza_out_pair(c, s, STANZA_SUBSCRIBED, (struct text){0});
        if (dialog || final)
            watch_show_known(c, sub, (struct text){0});
    }
    if (dialog)
        watch_back(c, sub, dialog);
    else if (!final)
        watch_try(c, sub);
}

void watch_subscribe(struct core *c, const struct stanza *s, const struct jid *from,
                     const struct jid *to)
{
    uint32_t sub = sub_find(c, from, to, XMPP_TO_SIP);
    watch_session_seen(c, user_find(c, from), from);
    if (sub) {
        watch_subscribe_again(c, sub);
        return;
    }
    if (watch_sheds(c, s, from, to))
        return;
    uint32_t user = user_get(c, from);
    if (!watch_admit(c, s, user, domain_find(c, to->domain)))
        return;
    sub = sub_create(c, user, to, (struct text){0}, XMPP_TO_SIP);
    if (sub)
        watch_open(c, sub, c->cfg.settings.expires_s);
    else
        stanza_out_error(c, domain_find(c, to->domain), s, CONDITION_RESOURCE_CONSTRAINT);
}

// The authorization ends for good: she wants it no more, or is no more.
static void watch_cancel(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = watch_dialog(c, s);
    watch_hide_known(c, sub);
    sub_end(c, sub);
    s->flags |= SUB_ANSWER_LATE;
    if (dialog)
        watch_close(c, dialog);
    else
        watch_say_unsubscribed(c, sub);
}

// RFC 8048 §5.2.3: `unsubscribed` follows the 200 to our SUBSCRIBE Expires 0. The record goes at
// once: she does not want it any more, and a dialog that a crash leaves behind lapses by itself.
void watch_unsubscribe(struct core *c, const struct jid *from, const struct jid *to)
{
    uint32_t sub = sub_find(c, from, to, XMPP_TO_SIP);
    if (sub) {
        watch_cancel(c, sub);
        return;
    }
    buffer_reset(&c->addr);
    jid_write_bare(&c->addr, to);
    size_t n = c->addr.n;
    jid_write_bare(&c->addr, from);
    stanza_out_plain(c, domain_find(c, to->domain), (struct text){c->addr.p, n},
                     (struct text){c->addr.p + n, c->addr.n - n}, STANZA_UNSUBSCRIBED,
                     (struct text){0});
}

// A probe costs the SIP side nothing while there is a live dialog; without one it opens one.
void watch_probe(struct core *c, const struct stanza *s, const struct jid *from,
                 const struct jid *to)
{
    uint32_t sub = sub_find(c, from, to, XMPP_TO_SIP);
    watch_session_seen(c, user_find(c, from), from);
    if (!sub) {
        if (watch_sheds(c, s, from, to))
            return;
        uint32_t user = c->n_fetches < CORE_FETCHES_MAX ? user_get(c, from) : 0;
        if (watch_admit(c, s, user, domain_find(c, to->domain)))
            watch_fetch(c, s, from, to, core_user(c, user)->hash);
        return;
    }
    struct sub *o = core_sub(c, sub);
    uint32_t dialog = watch_dialog(c, o);
    bool live = dialog && core_dialog(c, dialog)->state == DIALOG_LIVE;
    // Not yet after a restart. And of a dialog that has followed another at once the NOTIFY may say
    // nothing new.
    bool knows = known_count(o->known) || (live && (o->flags & SUB_TOLD));
    if ((dialog && knows && o->state == STATE_ACTIVE) || watch_is_final(c, o))
        watch_show_known(c, sub, stanza_text(s, s->from));
    else if (!dialog)
        watch_try(c, sub);
    if (dialog)
        watch_back(c, sub, dialog);
}

void watch_user_seen(struct core *c, uint32_t user, const struct jid *from, const struct jid *to)
{
    uint32_t sub = sub_find_of(c, user, to, XMPP_TO_SIP);
    watch_session_seen(c, user, from);
    if (!sub)
        return;
    watch_session_shown(c, sub, from, to);
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = watch_dialog(c, s);
    if (dialog)
        watch_back(c, sub, dialog);
    else if (!watch_is_final(c, s))
        watch_try(c, sub);
}

void watch_say_unsubscribed(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if (!(s->flags & SUB_ANSWER_LATE))
        return;
    s->flags &= (uint16_t)~SUB_ANSWER_LATE;
    struct jid user, peer;
    user_jid(c, core_user(c, s->user), &user);
    sub_peer_jid(c, s, &peer);
    if (!sub_find(c, &user, &peer, XMPP_TO_SIP))
        stanza_out_pair(c, s, STANZA_UNSUBSCRIBED, (struct text){0});
}

void watch_refused(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if (s->flags & SUB_ENDED)
        return;
    if (!sub_stream_up(c, s)) { // she can't be told: be refused again when she can
        watch_failed(c, sub, SIP_ABSENT);
        return;
    }
    watch_hide_known(c, sub);
    sub_end(c, sub);
    s->flags |= SUB_ANSWER_LATE;
    watch_say_unsubscribed(c, sub);
}

void watch_lapsed(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    watch_hide_known(c, sub);
    if (!(s->flags & SUB_ENDED) && s->state == STATE_ACTIVE)
        sub_set_state(c, s, STATE_DORMANT);
    sub_touch(c, sub);
}

void watch_retry_at(struct core *c, uint32_t sub, uint64_t due_ms)
{
    struct sub *s = core_sub(c, sub);
    wheel_cancel(&c->wheel, &s->retry_timer);
    s->retry_timer = wheel_add(&c->wheel, due_ms, TIMER_SUB, sub);
    if (!s->retry_timer)
        c->fx->failed = true;
}

// Our backoff, or what the peer asked for if that is longer; but whoever asks for years is asked
// again after CORE_RETRY_AFTER_MAX_S.
void watch_failed(struct core *c, uint32_t sub, uint32_t retry_after_s)
{
    struct sub *s = core_sub(c, sub);
    if (s->flags & SUB_ENDED)
        return;
    uint64_t wait_ms = sub_backoff_ms(c, s);
    if (retry_after_s != SIP_ABSENT && retry_after_s > CORE_RETRY_AFTER_MAX_S)
        retry_after_s = CORE_RETRY_AFTER_MAX_S;
    if (retry_after_s != SIP_ABSENT && (uint64_t)retry_after_s * 1000 > wait_ms)
        wait_ms = (uint64_t)retry_after_s * 1000;
    watch_retry_at(c, sub, c->now_ms + wait_ms);
    s->flags &= (uint16_t)~SUB_WANTS; // an answer to a probe that is out would come too soon
    watch_lapsed(c, sub);
}

// While new work is refused, three of four who try again do so later; none of them for ever.
static bool watch_put_off(struct core *c, uint32_t sub)
{
    if (!c->overload.shedding || hash_random_below(&c->random, 4) == 0)
        return false;
    uint64_t wait_ms =
        CORE_RETRY_FIRST_S * 1000 + hash_random_below(&c->random, CORE_RETRY_FIRST_S * 1000);
    watch_retry_at(c, sub, c->now_ms + wait_ms);
    return true;
}

void watch_retry_due(struct core *c, uint32_t sub)
{
    core_sub(c, sub)->retry_timer = 0;
    if (!watch_session_left_due(c, sub) && !watch_dialog(c, core_sub(c, sub)) &&
        !watch_put_off(c, sub))
        watch_want(c, sub);
}

void watch_want(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if ((s->flags & SUB_ENDED) || !sub_trusted(c, s))
        return;
    if (probe_fresh(c, core_user(c, s->user))) {
        watch_go(c, sub);
        return;
    }
    s->flags |= SUB_WANTS;
    probe_ask(c, s->user, s->peer_domain);
}

// One subscription's share of the verdict.
static void watch_sub_probed(struct core *c, uint32_t sub, enum probe_verdict verdict)
{
    struct sub *s = core_sub(c, sub);
    s->flags &= (uint16_t) ~(SUB_WANTS | SUB_OFFLINE | SUB_SILENT);
    if (verdict == PROBE_OFFLINE)
        s->flags |= SUB_OFFLINE;
    if (verdict == PROBE_SILENT)
        s->flags |= SUB_SILENT;
    if (verdict == PROBE_ALIVE) {
        watch_go(c, sub);
    } else {
        c->stats.refreshes_refused++;
        if (verdict == PROBE_GONE)
            watch_cancel(c, sub);
        else if (verdict == PROBE_SILENT && !watch_dialog(c, s))
            watch_failed(c, sub, SIP_ABSENT);
    }
}

void watch_probed(struct core *c, uint32_t user, enum probe_verdict verdict)
{
    uint32_t sub = core_user(c, user)->first_sub;
    if (verdict == PROBE_OFFLINE)
        watch_session_none(c, user);
    while (sub) {
        struct sub *s = core_sub(c, sub);
        uint32_t next = s->next_of_user; // ended ones stay linked until the step's end
        bool concerned = s->direction == XMPP_TO_SIP && !(s->flags & SUB_ENDED);
        if (concerned && ((s->flags & SUB_WANTS) || verdict == PROBE_GONE))
            watch_sub_probed(c, sub, verdict);
        sub = next;
    }
}

// Her server could not be reached. When it can be, a refresh comes through, and with its NOTIFY all
// is said again.
void watch_bounced(struct core *c, const struct jid *from, const struct jid *to,
                   enum stanza_condition condition)
{
    uint32_t sub = sub_find(c, from, to, XMPP_TO_SIP);
    bool unreachable = condition == CONDITION_REMOTE_SERVER_NOT_FOUND ||
                       condition == CONDITION_REMOTE_SERVER_TIMEOUT;
    if (sub && unreachable)
        core_sub(c, sub)->flags |= SUB_BOUNCED | SUB_UNSURE;
}

// It was the stream that kept her silent, and not he who failed: no reason to wait.
static void watch_forgive_silence(struct core *c, struct sub *s)
{
    if (!(s->flags & SUB_SILENT))
        return;
    s->flags &= (uint16_t)~SUB_SILENT;
    s->backoff_s = 0;
    wheel_cancel(&c->wheel, &s->retry_timer);
}

// What is gone is said, whatever a dialog under way will bring; but not what she does not know yet
// that she may see. That nobody is there is said again as well, unless an answer will say so: he
// may be asked in a day only (RFC 3261 §20.33), or never again (RFC 6665 §4.1.3, `invariant`).
static void watch_show_again(struct core *c, uint32_t sub, uint32_t dialog, bool asks)
{
    const struct sub *s = core_sub(c, sub);
    bool active = s->state == STATE_ACTIVE, told = (s->flags & SUB_TOLD) != 0;
    if (known_count(s->known) && (!active || told || !dialog))
        watch_show_known(c, sub, (struct text){0});
    else if (!asks && (!dialog || (active && told)))
        watch_hide_known(c, sub);
}

// After a lost stream: `subscribed` may not have reached her, nor what changed meanwhile. After a
// restart nothing is known of him, so the dialog is asked again (a refresh brings the full state).
void watch_resync(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = watch_dialog(c, s);
    s->flags &= (uint16_t)~SUB_OFFLINE; // she may have come while nobody could tell us
    watch_session_forget(c, s->user);
    watch_forgive_silence(c, s);
    if (s->flags & SUB_SAID_NOBODY) // perhaps to a stream that was dead already
        s->flags |= SUB_UNSURE;
    bool knows = s->state == STATE_ACTIVE && (s->flags & SUB_TOLD);
    if (knows)
        stanza_out_pair(c, s, STANZA_SUBSCRIBED, (struct text){0});
    bool live = dialog && core_dialog(c, dialog)->state == DIALOG_LIVE;
    bool lapsing = live && core_dialog(c, dialog)->wait == WAIT_EXPIRY;
    bool may_ask = dialog ? live && s->state == STATE_ACTIVE : !s->retry_timer;
    bool asks = (!knows && may_ask) || (lapsing && !s->retry_timer);
    watch_show_again(c, sub, dialog, asks);
    if (asks)
        watch_want(c, sub);
}
