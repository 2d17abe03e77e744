// The serve machine's NOTIFY requests.
//
// At most one per dialog is in flight; what changes meanwhile only marks the dialog dirty, and when
// the answer is here the newest state goes out. So a slow peer gets fewer documents, never older
// ones.
#include "core/serve_notify.h"

#include "core/dialog.h"
#include "core/known.h"
#include "core/pep.h"
#include "core/serve.h"
#include "core/stanza_out.h"
#include "core/sub.h"
#include "core/user.h"
#include "core/watch_dialog.h"
#include "core/wire/pidf.h"

// "pres:juliet@example.com", as RFC 8048's examples have it, into c->line.
static struct text notify_entity(struct core *c, const struct dialog *d)
{
    buffer_reset(&c->addr);
    if (d->sub)
        sub_write_user_sip_uri(c, core_sub(c, d->sub), &c->addr);
    else
        buffer_text(&c->addr, dialog_get(d, FIELD_LOCAL_URI));
    const char *colon = memchr(c->addr.p, ':', c->addr.n);
    size_t scheme_n = colon ? (size_t)(colon - c->addr.p) + 1 : 0;
    buffer_reset(&c->line);
    buffer_lit(&c->line, "pres:");
    buffer_add(&c->line, c->addr.p + scheme_n, c->addr.n - scheme_n);
    return (struct text){c->line.p, c->line.n};
}

static bool notify_fits(struct core *c, struct text entity, const struct presence *v, size_t n)
{
    buffer_reset(&c->body);
    pidf_write(&c->body, entity, v, n);
    return c->body.failed || c->body.n <= SERVE_BODY_MAX;
}

// What is too big for a datagram would never arrive, and after some attempts end the dialog: rather
// the devices without their notes, or only those that were heard of last.
static void notify_write(struct core *c, struct text entity, struct presence *v, size_t n)
{
    if (notify_fits(c, entity, v, n))
        return;
    for (size_t i = 0; i < n; i++) {
        struct presence bare = {.resource = v[i].resource, .available = v[i].available};
        bare.has_priority = v[i].has_priority;
        bare.priority = v[i].priority;
        bare.show = v[i].show;
        v[i] = bare;
    }
    while (!notify_fits(c, entity, v, n) && n > 1)
        v++, n--;
}

// The document into c->body; empty when there is nothing meaningful to say (RFC 8048 §5.3.2).
static struct text notify_body(struct core *c, const struct dialog *d)
{
    const struct sub *s = d->sub ? core_sub(c, d->sub) : NULL;
    struct presence v[KNOWN_MAX];
    size_t n = s && s->state != STATE_PENDING ? known_count(s->known) : 0;
    bool closed = d->flags & DIALOG_CLOSED;
    bool bare_end = d->state == DIALOG_ENDING && !(d->flags & DIALOG_FETCH);
    if (!closed && (n == 0 || bare_end))
        return (struct text){0};
    for (size_t i = 0; i < n && !closed; i++)
        pep_known_at(s, i, &v[i]);
    notify_write(c, notify_entity(c, d), v, closed ? 0 : n);
    return (struct text){c->body.p, c->body.n};
}

static enum sip_substate notify_substate(const struct core *c, const struct dialog *d)
{
    if (d->state == DIALOG_ENDING)
        return SUBSTATE_TERMINATED;
    return core_sub(c, d->sub)->state == STATE_PENDING ? SUBSTATE_PENDING : SUBSTATE_ACTIVE;
}

static void notify_later(struct core *c, uint32_t dialog, uint64_t due_ms)
{
    struct dialog *d = core_dialog(c, dialog);
    d->flags |= DIALOG_DIRTY;
    if (d->notify_timer)
        return;
    d->notify_timer = wheel_add(&c->wheel, due_ms, TIMER_NOTIFY, dialog);
    if (!d->notify_timer)
        c->fx->failed = true;
}

static void notify_send(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    struct sip_request r = {.method = SIP_NOTIFY, .expires = SIP_ABSENT};
    r.substate = notify_substate(c, d);
    r.reason = r.substate == SUBSTATE_TERMINATED ? d->reason : REASON_NONE;
    r.substate_expires = r.substate == SUBSTATE_TERMINATED ? SIP_ABSENT : dialog_left_s(c, d);
    r.pidf = notify_body(c, d);
    if (dialog_send(c, dialog, &r) != 0) {
        notify_later(c, dialog, c->now_ms + CORE_PEER_BUSY_MS);
        return;
    }
    d->flags &= (uint8_t)~DIALOG_DIRTY;
    d->notified_ms = c->now_ms;
    wheel_cancel(&c->wheel, &d->notify_timer);
    c->stats.notifies_out++;
}

void serve_notify(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t earliest_ms = d->notified_ms + c->cfg.settings.notify_interval_ms;
    if (d->client)
        d->flags |= DIALOG_DIRTY;
    else if (d->state == DIALOG_LIVE && d->notified_ms && c->now_ms < earliest_ms)
        notify_later(c, dialog, earliest_ms);
    else
        notify_send(c, dialog);
}

void serve_notify_due(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    d->notify_timer = 0;
    if ((d->flags & DIALOG_DIRTY) && !d->client)
        notify_send(c, dialog);
}

void serve_notify_all(struct core *c, uint32_t sub)
{
    for (uint32_t h = core_sub(c, sub)->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        if (core_dialog(c, h)->state == DIALOG_LIVE)
            serve_notify(c, h);
}

size_t serve_live_dialogs(const struct core *c, const struct sub *s)
{
    size_t n = 0;
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        n += core_dialog(c, h)->state == DIALOG_LIVE;
    return n;
}

// He does not look at her any more: RFC 8048 §5.3.3. If she looks at him as well, his own presence
// is said again behind it: clients take `unavailable` of a bare JID for all of his devices, and the
// two subscriptions of a pair have nothing to do with each other.
static void serve_say_left(struct core *c, const struct sub *s)
{
    struct jid user, peer;
    user_jid(c, core_user(c, s->user), &user);
    sub_peer_jid(c, s, &peer);
    stanza_out_pair(c, s, STANZA_UNAVAILABLE, (struct text){0});
    uint32_t watch = sub_find(c, &user, &peer, XMPP_TO_SIP);
    if (watch && known_any_available(core_sub(c, watch)->known))
        watch_show_known(c, watch, (struct text){0});
}

void serve_settle(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if ((s->flags & SUB_ENDED) || serve_live_dialogs(c, s))
        return;
    if (s->state == STATE_PENDING) {
        sub_end(c, sub); // nobody waits for an answer any more, and none was given
    } else if (c->cfg.settings.unsubscribe_on_expiry) {
        stanza_out_pair(c, s, STANZA_UNSUBSCRIBE, (struct text){0});
        sub_end(c, sub);
    } else if (s->state == STATE_ACTIVE) {
        serve_say_left(c, s);
        sub_set_state(c, s, STATE_DORMANT);
        sub_touch(c, sub);
    }
}

// The dialog stays, without timers of its own, to answer what is sent again (RFC 3261 §17.2.2 timer
// J).
static void serve_linger(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    d->state = DIALOG_ENDED;
    d->flags &= (uint8_t)~DIALOG_DIRTY;
    wheel_cancel(&c->wheel, &d->notify_timer);
    dialog_wait(c, dialog, WAIT_LINGER, c->now_ms + 64 * (uint64_t)c->cfg.t1_ms);
    if (d->sub)
        sub_touch(c, d->sub);
}

void serve_end(struct core *c, uint32_t dialog, enum sip_reason reason, bool closed)
{
    struct dialog *d = core_dialog(c, dialog);
    d->state = DIALOG_ENDING;
    d->reason = (uint8_t)reason;
    if (closed)
        d->flags |= DIALOG_CLOSED;
    // Two transactions may have to run out: the one in flight, and the last.
    dialog_wait(c, dialog, WAIT_LINGER, c->now_ms + 2 * 64 * (uint64_t)c->cfg.t1_ms + 1000);
    if (d->sub)
        sub_touch(c, d->sub);
    serve_notify(c, dialog);
}

// RFC 6665 §4.2.2: these say that the dialog is no more.
static bool notify_removes(unsigned status)
{
    switch (status) {
    case 404:
    case 405:
    case 410:
    case 416:
    case 480:
    case 481:
    case 482:
    case 483:
    case 484:
    case 485:
    case 489:
    case 501:
    case 604: return true;
    default: return false;
    }
}

static void notify_failed(struct core *c, uint32_t dialog, unsigned status)
{
    struct dialog *d = core_dialog(c, dialog);
    uint32_t sub = d->sub;
    if (d->state == DIALOG_ENDING && (d->flags & DIALOG_DIRTY) && !notify_removes(status)) {
        serve_notify(c, dialog); // it was the one before: the last one has not been tried
        return;
    }
    bool over = d->state == DIALOG_ENDING || notify_removes(status) ||
                ++d->failures >= c->cfg.settings.notify_failures;
    if (!over) {
        notify_later(c, dialog, c->now_ms + CORE_NOTIFY_RETRY_MS);
        return;
    }
    serve_linger(c, dialog);
    if (sub)
        serve_settle(c, sub);
}

void serve_answered(struct core *c, uint32_t dialog, unsigned status)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->state == DIALOG_ENDED)
        return;
    if (status >= 300) {
        notify_failed(c, dialog, status);
        return;
    }
    d->failures = 0;
    if (d->flags & DIALOG_DIRTY)
        serve_notify(c, dialog);
    else if (d->state == DIALOG_ENDING)
        serve_linger(c, dialog);
}

void serve_dialog_due(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint32_t sub = d->sub;
    if (d->wait != WAIT_EXPIRY) {
        dialog_free(c, dialog);
        return;
    }
    serve_end(c, dialog, REASON_TIMEOUT, true); // RFC 6665 §4.2.1.4
    serve_settle(c, sub);
}

void serve_restored(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t soonest_ms = c->now_ms + 1000; // the streams get a moment to come up
    dialog_wait(c, dialog, WAIT_EXPIRY, d->expires_ms > soonest_ms ? d->expires_ms : soonest_ms);
}
