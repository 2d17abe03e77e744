// The serve machine's NOTIFY requests.
//
// At most one per dialog is in flight; what changes meanwhile only marks the dialog dirty, and when
// the answer is here the newest state goes out. So a slow peer gets fewer documents, never older
// ones. And what has become what it was meanwhile is not sent at all.
#include "core/serve_notify.h"

#include "core/dialog.h"
#include "core/hex.h"
#include "core/known.h"
#include "core/pep.h"
#include "core/serve.h"
#include "core/serve_pace.h"
#include "core/serve_winfo.h"
#include "core/stanza_out.h"
#include "core/sub.h"
#include "core/user.h"
#include "core/watch_dialog.h"
#include "core/wire/pidf.h"

// "pres:juliet@example.com", as RFC 8048's examples have it, into c->line.
static struct text notify_entity(struct core *c, const struct dialog *d)
{
    buffer_reset(&c->line);
    buffer_lit(&c->line, "pres:");
    if (d->sub) {
        sub_write_user_address(c, core_sub(c, d->sub), &c->line);
    } else {
        struct text own = dialog_get(d, FIELD_LOCAL_URI);
        const char *colon = own.n ? memchr(own.p, ':', own.n) : NULL;
        size_t scheme_n = colon ? (size_t)(colon - own.p) + 1 : 0;
        buffer_add(&c->line, own.p + scheme_n, own.n - scheme_n);
    }
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

// What there is to say of the resource, and what of it goes into the NOTIFY.
struct notify_content {
    uint64_t entity; // names what he would have then
    bool known;      // he has it: the condition of his SUBSCRIBE is true
    struct text body;
};

// Her presence into c->body; empty when there is nothing meaningful to say (RFC 8048 §5.3.2).
static struct text notify_presence(struct core *c, const struct dialog *d)
{
    const struct sub *s = d->sub ? core_sub(c, d->sub) : NULL;
    struct presence v[KNOWN_MAX];
    size_t n = s && s->state != STATE_PENDING ? known_count(s->known) : 0;
    bool bare_end = d->state == DIALOG_ENDING && !(d->flags & (DIALOG_FETCH | DIALOG_CLOSED));
    if (n == 0 || bare_end)
        return (struct text){0};
    for (size_t i = 0; i < n; i++)
        pep_known_at(s, i, &v[i]);
    notify_write(c, notify_entity(c, d), v, n);
    return (struct text){c->body.p, c->body.n};
}

static struct text notify_closed(struct core *c, const struct dialog *d)
{
    notify_write(c, notify_entity(c, d), NULL, 0);
    return (struct text){c->body.p, c->body.n};
}

// The same for the same content in all of her watchers' dialogs and in all lives of the process,
// so that it needs no memory; Event is part of it (RFC 5839 §4).
static uint64_t notify_hash(const struct core *c, const struct dialog *d, uint64_t state)
{
    struct text id = dialog_get(d, FIELD_EVENT_ID);
    uint64_t parts[3] = {state, id.n ? hash_sip(c->cfg.key, id.p, id.n) : 0,
                         d->flags & DIALOG_WINFO};
    uint64_t hash = hash_sip(c->cfg.key, parts, sizeof parts);
    return hash ? hash : 1;
}

static void notify_content(struct core *c, const struct dialog *d, struct notify_content *out)
{
    uint64_t state;
    if (d->flags & DIALOG_WINFO) {
        out->body = serve_winfo_document(c, d, d->cseq, &state);
    } else {
        out->body = notify_presence(c, d);
        state = hash_plain(out->body.p, out->body.n);
    }
    out->entity = notify_hash(c, d, state);
    out->known =
        (d->flags & DIALOG_QUENCHED) || ((d->flags & DIALOG_MATCHED) && out->entity == d->entity);
    if (out->known) {
        out->body = (struct text){0};
    } else if ((d->flags & (DIALOG_CLOSED | DIALOG_WINFO)) == DIALOG_CLOSED) {
        out->body = notify_closed(c, d);
        out->entity = notify_hash(c, d, hash_plain(out->body.p, out->body.n));
    }
}

static struct text notify_tag(uint64_t entity, char out[SERVE_TAG_HEX])
{
    hex_write(out, entity, SERVE_TAG_HEX);
    return (struct text){out, SERVE_TAG_HEX};
}

bool serve_condition(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    struct text said = sip_text(m, m->suppress_if_match);
    struct notify_content now;
    char tag[SERVE_TAG_HEX];
    d->flags &= (uint16_t) ~(DIALOG_MATCHED | DIALOG_QUENCHED);
    if (text_eq(said, TEXT("*")))
        d->flags |= DIALOG_QUENCHED;
    if (said.n == SERVE_TAG_HEX) {
        notify_content(c, d, &now);
        if (text_eq(said, notify_tag(now.entity, tag))) {
            d->flags |= DIALOG_MATCHED;
            d->entity = now.entity;
        }
    }
    return d->flags & (DIALOG_MATCHED | DIALOG_QUENCHED);
}

static enum sip_substate notify_substate(const struct core *c, const struct dialog *d)
{
    if (d->state == DIALOG_ENDING)
        return SUBSTATE_TERMINATED;
    if (d->flags & DIALOG_WINFO)
        return SUBSTATE_ACTIVE;
    return core_sub(c, d->sub)->state == STATE_PENDING ? SUBSTATE_PENDING : SUBSTATE_ACTIVE;
}

static void notify_at(struct core *c, uint32_t dialog, uint64_t due_ms)
{
    struct dialog *d = core_dialog(c, dialog);
    wheel_cancel(&c->wheel, &d->notify_timer);
    d->notify_timer = wheel_add(&c->wheel, due_ms, TIMER_NOTIFY, dialog);
    if (!d->notify_timer && c->fx)
        c->fx->failed = true;
}

static void notify_later(struct core *c, uint32_t dialog, uint64_t due_ms)
{
    core_dialog(c, dialog)->flags |= DIALOG_DIRTY;
    notify_at(c, dialog, due_ms);
}

// All is said. His min-rate asks for the same once more after a while (RFC 6446 §6.2).
static void notify_rest(struct core *c, uint32_t dialog, uint64_t since_ms)
{
    struct dialog *d = core_dialog(c, dialog);
    struct serve_pace pace;
    d->flags &= (uint16_t)~DIALOG_DIRTY;
    wheel_cancel(&c->wheel, &d->notify_timer);
    serve_pace(c, d, &pace);
    if (pace.most_ms && d->state == DIALOG_LIVE)
        notify_at(c, dialog, since_ms + pace.most_ms);
}

static void notify_fill(const struct core *c, const struct dialog *d, struct sip_request *r)
{
    struct serve_pace pace;
    bool over = d->state == DIALOG_ENDING;
    r->substate = notify_substate(c, d);
    r->reason = over ? d->reason : REASON_NONE;
    r->substate_expires = over ? SIP_ABSENT : dialog_left_s(c, d);
    if (over && d->reason == REASON_PROBATION)
        r->substate_retry_after = SERVE_WINFO_RETRY_S;
    if (d->flags & DIALOG_WINFO)
        r->package = SIP_EVENT_WINFO;
    serve_pace(c, d, &pace);
    r->least_interval_ms = over ? 0 : pace.least_ms;
    r->most_interval_ms = over ? 0 : pace.most_ms;
}

static void notify_sent(struct core *c, uint32_t dialog, uint64_t entity)
{
    struct dialog *d = core_dialog(c, dialog);
    d->flags &= (uint16_t) ~(DIALOG_DIRTY | DIALOG_MUST);
    if (entity != d->entity)
        d->flags &= (uint16_t)~DIALOG_MATCHED;
    d->entity = entity;
    serve_pace_notified(c, d);
    wheel_cancel(&c->wheel, &d->notify_timer);
    c->stats.notifies_out++;
}

static void notify_send(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    struct sip_request r = {.method = SIP_NOTIFY, .expires = SIP_ABSENT};
    struct notify_content now;
    char tag[SERVE_TAG_HEX];
    if (d->state == DIALOG_LIVE && d->sub && !sub_trusted(c, core_sub(c, d->sub))) {
        d->flags |= DIALOG_MUST; // he is told that it is over, or else all of it when that is over
        notify_later(c, dialog, c->now_ms + CORE_NOTIFY_RETRY_MS);
        return;
    }
    notify_content(c, d, &now);
    if (!(d->flags & DIALOG_MUST) && (now.known || now.entity == d->entity)) {
        notify_rest(c, dialog, d->notified_ms); // it has become what it was
        return;
    }
    notify_fill(c, d, &r);
    r.pidf = now.body;
    r.etag = notify_tag(now.entity, tag);
    if (dialog_send(c, dialog, &r) != 0)
        notify_later(c, dialog,
                     turnstile_take(&c->busy, c->now_ms + CORE_PEER_BUSY_MS, CORE_BUSY_PER_S));
    else
        notify_sent(c, dialog, now.entity);
}

void serve_notify(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t earliest_ms = serve_pace_earliest_ms(c, d, d->flags & DIALOG_MUST);
    if (d->client)
        d->flags |= DIALOG_DIRTY;
    else if (d->state == DIALOG_LIVE && c->now_ms < earliest_ms)
        notify_later(c, dialog, earliest_ms);
    else
        notify_send(c, dialog);
}

void serve_must_notify(struct core *c, uint32_t dialog)
{
    core_dialog(c, dialog)->flags |= DIALOG_MUST;
    serve_notify(c, dialog);
}

void serve_challenged(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->state == DIALOG_ENDED)
        return;
    d->flags |= DIALOG_MUST;
    notify_send(c, dialog);
}

void serve_unnotified(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (!d->client && !(d->flags & DIALOG_MUST))
        notify_rest(c, dialog, c->now_ms);
}

// Nothing is new, and he wants to hear that, unless he has said that he has it.
static void notify_repeat(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->state != DIALOG_LIVE)
        return;
    if (d->flags & (DIALOG_MATCHED | DIALOG_QUENCHED)) {
        notify_rest(c, dialog, c->now_ms);
        return;
    }
    d->flags |= DIALOG_MUST;
    notify_send(c, dialog);
}

void serve_notify_due(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    d->notify_timer = 0;
    if (d->client)
        return;
    if (d->flags & (DIALOG_DIRTY | DIALOG_MUST))
        notify_send(c, dialog);
    else
        notify_repeat(c, dialog);
}

static bool notify_told(const struct dialog *d)
{
    return d->state == DIALOG_LIVE && !(d->flags & DIALOG_WINFO);
}

void serve_notify_all(struct core *c, uint32_t sub)
{
    for (uint32_t h = core_sub(c, sub)->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        if (notify_told(core_dialog(c, h)))
            serve_notify(c, h);
}

void serve_must_notify_all(struct core *c, uint32_t sub)
{
    for (uint32_t h = core_sub(c, sub)->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        if (notify_told(core_dialog(c, h)))
            serve_must_notify(c, h);
}

size_t serve_live_dialogs(const struct core *c, const struct sub *s)
{
    size_t n = 0;
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        n += notify_told(core_dialog(c, h));
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
    if (watch && sub_trusted(c, s) && known_any_available(core_sub(c, watch)->known))
        watch_show_known(c, watch, (struct text){0});
}

void serve_settle(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if ((s->flags & SUB_ENDED) || serve_live_dialogs(c, s))
        return;
    if (s->state == STATE_PENDING) {
        sub_end(c, sub); // nobody waits for an answer any more, and none was given
        serve_winfo_end(c, sub, REASON_TIMEOUT);
    } else if (c->cfg.settings.unsubscribe_on_expiry) {
        stanza_out_pair(c, s, STANZA_UNSUBSCRIBE, (struct text){0});
        sub_end(c, sub);
        serve_winfo_end(c, sub, REASON_TIMEOUT);
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
    d->flags &= (uint16_t) ~(DIALOG_DIRTY | DIALOG_MUST);
    wheel_cancel(&c->wheel, &d->notify_timer);
    dialog_wait(c, dialog, WAIT_LINGER, c->now_ms + 64 * (uint64_t)c->cfg.t1_ms);
    if (d->sub) {
        sub_touch(c, d->sub);
        serve_winfo_changed(c, d->sub);
    }
}

void serve_leave(struct core *c, uint32_t dialog)
{
    core_dialog(c, dialog)->reason = REASON_TIMEOUT;
    serve_linger(c, dialog);
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
    if (d->sub) {
        sub_touch(c, d->sub);
        serve_winfo_changed(c, d->sub);
    }
    serve_must_notify(c, dialog);
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

// RFC 3261 §20.33: who says when he is to be asked again is left alone till then, news or not.
static uint64_t notify_again_ms(struct core *c, struct dialog *d, const struct sip_message *m)
{
    uint32_t asked_s = m && m->retry_after != SIP_ABSENT ? m->retry_after : 0;
    uint64_t wait_ms = (uint64_t)(asked_s < CORE_RETRY_MAX_S ? asked_s : CORE_RETRY_MAX_S) * 1000;
    if (wait_ms <= CORE_NOTIFY_RETRY_MS)
        return c->now_ms + CORE_NOTIFY_RETRY_MS;
    d->notified_ms = c->now_ms + wait_ms; // as if it had been done then
    return d->notified_ms;
}

// Too many in a row; the count ends at UINT8_MAX, and so does the setting.
static bool notify_gives_up(const struct core *c, struct dialog *d)
{
    d->failures += d->failures < UINT8_MAX;
    return d->failures == UINT8_MAX || d->failures >= c->cfg.settings.notify_failures;
}

static void notify_failed(struct core *c, uint32_t dialog, unsigned status,
                          const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    uint32_t sub = d->sub;
    if (d->state == DIALOG_ENDING && (d->flags & DIALOG_DIRTY) && !notify_removes(status)) {
        serve_notify(c, dialog); // it was the one before: the last one has not been tried
        return;
    }
    bool over = d->state == DIALOG_ENDING || notify_removes(status) || notify_gives_up(c, d);
    if (!over) {
        d->flags |= DIALOG_MUST;
        notify_later(c, dialog, notify_again_ms(c, d, m));
        return;
    }
    serve_linger(c, dialog);
    if (sub && !(d->flags & DIALOG_WINFO))
        serve_settle(c, sub);
}

// RFC 6446 §9.3: an Event header field in a 2xx to a NOTIFY names the rates anew. What can't be
// kept is not obeyed, and the next NOTIFY says so.
static void notify_paced(struct core *c, struct dialog *d, const struct sip_message *m)
{
    enum sip_event_package own = d->flags & DIALOG_WINFO ? SIP_EVENT_WINFO : SIP_EVENT_PRESENCE;
    if (m && m->event == own && serve_pace_take(c, d, m) == 0 && d->sub)
        sub_touch(c, d->sub);
}

void serve_answered(struct core *c, uint32_t dialog, unsigned status, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->state == DIALOG_ENDED)
        return;
    if (status >= 300) {
        notify_failed(c, dialog, status, m);
        return;
    }
    d->failures = 0;
    notify_paced(c, d, m);
    if (d->flags & (DIALOG_DIRTY | DIALOG_MUST))
        serve_notify(c, dialog);
    else if (d->state == DIALOG_ENDING)
        serve_linger(c, dialog);
    else
        notify_rest(c, dialog, d->notified_ms);
}

void serve_dialog_due(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint32_t sub = d->sub;
    if (d->wait != WAIT_EXPIRY) {
        dialog_free(c, dialog);
        return;
    }
    if (!dialog_has_turn(c, dialog, WAIT_EXPIRY))
        return;
    serve_end(c, dialog, REASON_TIMEOUT, true); // RFC 6665 §4.2.1.4
    if (!(d->flags & DIALOG_WINFO))
        serve_settle(c, sub);
}

void serve_restored(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t soonest_ms = c->now_ms + CORE_RESTORE_WAIT_MS;
    if (d->expires_ms > soonest_ms)
        dialog_wait(c, dialog, WAIT_EXPIRY, d->expires_ms);
    else
        dialog_wait_turn(c, dialog, WAIT_EXPIRY, soonest_ms);
    if (d->flags & DIALOG_WINFO) // what was to be told may have died with the process
        notify_later(c, dialog, soonest_ms + hash_random_below(&c->random, CORE_RESTORE_SPREAD_MS));
    else
        notify_rest(c, dialog, c->now_ms);
}
