// The serve machine: SUBSCRIBE requests of SIP users.
#include "core/serve.h"

#include <errno.h>

#include "core/contact.h"
#include "core/dialog.h"
#include "core/domain.h"
#include "core/known.h"
#include "core/serve_ask.h"
#include "core/serve_notify.h"
#include "core/serve_pace.h"
#include "core/serve_winfo.h"
#include "core/sip_user.h"
#include "core/stanza_out.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/turn_away.h"
#include "core/user.h"

// Who watches whom, as the addresses of a SUBSCRIBE say.
struct serve_pair {
    struct jid xmpp, peer;
    char xmpp_scratch[JID_MAX + 1], peer_scratch[JID_MAX + 1];
};

// 0, or the status that says what is wrong with the address.
static unsigned serve_address(const struct core *c, struct jid *out, struct text uri,
                              char scratch[JID_MAX + 1])
{
    struct sip_uri parts;
    if (sip_uri_parse(&parts, uri) != 0)
        return 400;
    contact_dereference(c, &parts);
    if (parts.scheme == SCHEME_SIPS)
        return 416; // RFC 7247 §8: not to be translated
    switch (address_to_jid(out, &parts, scratch, JID_MAX + 1)) {
    case 0: break;
    case EPROTONOSUPPORT: return 416;
    default: return 404;
    }
    out->resource = (struct text){0};
    return 0;
}

// The pair, if both ends may be served: RFC 7247 §6.4, trust.
static unsigned serve_pair(struct core *c, struct serve_pair *pair, const struct sip_message *m)
{
    unsigned status = serve_address(c, &pair->xmpp, sip_text(m, m->ruri), pair->xmpp_scratch);
    struct sip_uri to;
    if (!status && sip_uri_parse(&to, sip_text(m, m->to_uri)) == 0 && to.scheme == SCHEME_SIPS)
        status = 416; // RFC 7247 §8 has it of either
    if (!status)
        status = serve_address(c, &pair->peer, sip_text(m, m->from_uri), pair->peer_scratch);
    if (status)
        return status;
    if (!domain_is(c, domain_find(c, pair->peer.domain), DOMAIN_SIP)) {
        c->stats.refused_trust++;
        return 403;
    }
    // Only who is trusted is told that somebody else is not here.
    return domain_is(c, domain_find(c, pair->xmpp.domain), DOMAIN_XMPP) ? 0 : 404;
}

// What a SUBSCRIBE asks for, whether first or refresh. 0, or the status to refuse it with.
static unsigned serve_terms(const struct core *c, const struct sip_message *m, uint32_t *expires_s)
{
    const struct core_settings *set = &c->cfg.settings;
    if (m->event != SIP_EVENT_PRESENCE && m->event != SIP_EVENT_WINFO)
        return 489;
    if (m->body.n)
        return 415; // a filter: which we may ignore (RFC 3856 §6.3), had we a type that we know
    if (m->event == SIP_EVENT_WINFO ? !m->accepts_winfo : !m->accepts_pidf)
        return 406;
    // RFC 3856 §6.4, RFC 3857 §4.4
    *expires_s = m->expires == SIP_ABSENT ? 3600 : m->expires;
    // Only what is below an hour may be too brief (RFC 6665 §4.2.1.1).
    if (*expires_s && *expires_s < 3600 && *expires_s < set->min_expires_s)
        return 423;
    if (*expires_s > set->max_expires_s)
        *expires_s = set->max_expires_s;
    return 0;
}

static void serve_refuse(struct core *c, const struct event *ev, unsigned status)
{
    buffer_reset(&c->line);
    if (status == 489)
        buffer_lit(&c->line, SERVE_ALLOW_EVENTS);
    else if (status == 406)
        buffer_text(&c->line, ev->sip->event == SIP_EVENT_WINFO
                                  ? TEXT("Accept: application/watcherinfo+xml\r\n")
                                  : TEXT("Accept: application/pidf+xml\r\n"));
    else if (status == 415) // RFC 3261 §8.2.3, §20.1: no body at all
        buffer_lit(&c->line, "Accept:\r\n");
    else if (status == 423 || status == 503) {
        buffer_text(&c->line, status == 423 ? TEXT("Min-Expires: ") : TEXT("Retry-After: "));
        buffer_u64(&c->line, status == 423 ? c->cfg.settings.min_expires_s : CORE_RETRY_AFTER_S);
        buffer_lit(&c->line, "\r\n");
    } else if (status == 403 && ev->sip->to_tag.n) // RFC 6665 §4.5.2
        buffer_lit(&c->line, "Warning: 399 isthmus \"dialog sharing is not supported\"\r\n");
    server_refuse(c, ev, status, (struct text){c->line.p, c->line.n});
}

// Contact, Expires; in the first one the route set given back (RFC 3261 §12.1.1) and what else can
// be asked for (RFC 6665 §4.4.4). Expires is what is left: all of it in the answer that grants it,
// less in one that is given once more.
static struct text serve_accept(struct core *c, const struct event *ev, const struct dialog *d,
                                unsigned status, bool first)
{
    struct text routes = sip_text(ev->sip, ev->sip->record_routes);
    char tag[CORE_TAG_HEX];
    struct buffer *b = &c->line;
    buffer_reset(b);
    if (first && routes.n) {
        buffer_lit(b, "Record-Route: ");
        buffer_text(b, routes);
        buffer_lit(b, "\r\n");
    }
    buffer_lit(b, "Contact: <");
    dialog_write_contact(c, d, ev->source.transport, b);
    buffer_lit(b, ">\r\nExpires: ");
    buffer_u64(b, dialog_left_s(c, d));
    buffer_lit(b, "\r\n");
    if (first)
        buffer_lit(b, SERVE_ALLOW_EVENTS);
    return server_answer(c, ev, status, dialog_tag(c, d, tag), (struct text){b->p, b->n});
}

// Texts of a new dialog; addresses only where they are not what the pair maps to anyway.
static int serve_fill(struct core *c, struct dialog *d, const struct sip_message *m)
{
    struct text f[FIELD_COUNT] = {0};
    f[FIELD_CALL_ID] = sip_text(m, m->call_id);
    f[FIELD_EVENT_ID] = sip_text(m, m->event_id);
    f[FIELD_LOCAL_URI] = sip_text(m, m->to_uri);
    f[FIELD_REMOTE_URI] = sip_text(m, m->from_uri);
    if (d->sub) {
        const struct sub *s = core_sub(c, d->sub);
        buffer_reset(&c->addr);
        sub_write_user_sip_uri(c, s, &c->addr);
        size_t n = c->addr.n;
        sub_write_sip_uri(c, s, &c->addr);
        if (text_eq(f[FIELD_LOCAL_URI], (struct text){c->addr.p, n}))
            f[FIELD_LOCAL_URI] = (struct text){0};
        if (text_eq(f[FIELD_REMOTE_URI], (struct text){c->addr.p + n, c->addr.n - n}))
            f[FIELD_REMOTE_URI] = (struct text){0};
    }
    int err = dialog_set(c, d, f);
    if (!err)
        err = dialog_learn(c, d, m);
    if (!err)
        err = serve_pace_take(c, d, m);
    dialog_took(d, m);
    return err;
}

static enum dialog_flag serve_package(const struct sip_message *m)
{
    return m->event == SIP_EVENT_WINFO ? DIALOG_WINFO : 0;
}

// A dialog for this request, in `sub` or (fetch) in none. 0: refused with a 5xx.
static uint32_t serve_dialog(struct core *c, const struct event *ev, uint32_t sub,
                             uint32_t owner_hash, uint32_t expires_s)
{
    uint32_t dialog = dialog_create(c, sub, owner_hash, SIP_TO_XMPP, 0);
    int err = dialog ? serve_fill(c, core_dialog(c, dialog), ev->sip) : ENOMEM;
    if (err) {
        if (dialog)
            dialog_free(c, dialog);
        serve_refuse(c, ev, err == EMSGSIZE ? 513 : 503);
        return 0;
    }
    struct dialog *d = core_dialog(c, dialog);
    d->state = DIALOG_LIVE;
    d->flags |= serve_package(ev->sip);
    d->granted_s = expires_s;
    d->expires_ms = c->now_ms + (uint64_t)expires_s * 1000;
    server_keep(c, ev, serve_accept(c, ev, d, 200, true));
    serve_condition(c, dialog,
                    ev->sip); // keeps back the document, never the NOTIFY (RFC 5839 §6.3)
    return dialog;
}

// A fetch is new work, too: each costs a dialog, a NOTIFY, and maybe a probe.
static bool serve_admit_fetch(struct core *c, const struct serve_pair *pair, uint32_t sub)
{
    bool full = sub ? core_sub(c, sub)->n_dialogs >= CORE_DIALOGS_PER_SUB
                    : c->n_fetches >= CORE_FETCHES_MAX;
    if (c->cfg.settings.draining || full)
        return false;
    uint32_t user = user_get(c, &pair->xmpp);
    return user && user_admit(c, core_user(c, user));
}

// What there is to say, at once, and over. False: refused.
static bool serve_once(struct core *c, const struct event *ev, const struct serve_pair *pair,
                       uint32_t sub, enum sip_reason reason)
{
    if (!serve_admit_fetch(c, pair, sub)) {
        c->stats.refused_limit++;
        serve_refuse(c, ev, 503);
        return false;
    }
    uint32_t dialog = serve_dialog(c, ev, sub, user_hash(c->cfg.key, &pair->xmpp), 0);
    if (!dialog)
        return false;
    core_dialog(c, dialog)->flags |= DIALOG_FETCH;
    serve_end(c, dialog, reason, false);
    return true;
}

// RFC 8048 §7.2: what is known; a probe if that is nothing.
static void serve_fetch(struct core *c, const struct event *ev, const struct serve_pair *pair,
                        uint32_t sub)
{
    const struct sub *s = sub ? core_sub(c, sub) : NULL;
    if (!serve_once(c, ev, pair, sub, REASON_TIMEOUT))
        return;
    if (s && (known_count(s->known) || s->state == STATE_PENDING))
        return; // an undecided request must not be probed, see serve_ask_first()
    buffer_reset(&c->addr);
    jid_write_bare(&c->addr, &pair->peer);
    size_t n = c->addr.n;
    jid_write_bare(&c->addr, &pair->xmpp);
    stanza_out_plain(c, domain_find(c, pair->peer.domain), (struct text){c->addr.p, n},
                     (struct text){c->addr.p + n, c->addr.n - n}, STANZA_PROBE, SERVE_PROBE_ID);
}

// The authorization for a new dialog, made if need be. 0: a limit, refused with 503.
static uint32_t serve_admit(struct core *c, const struct event *ev, const struct serve_pair *pair,
                            uint32_t sub)
{
    const struct core_settings *set = &c->cfg.settings;
    if (sub && core_sub(c, sub)->n_dialogs < CORE_DIALOGS_PER_SUB && !set->draining)
        return sub;
    bool room = !sub && sip_user_watches(c, &pair->peer) < set->subscriptions_per_user;
    uint32_t user = room ? user_get(c, &pair->xmpp) : 0;
    struct user *u = user ? core_user(c, user) : NULL;
    if (u && !set->draining && u->n_subs < set->subscriptions_per_user &&
        c->stats.subscriptions < set->subscriptions_per_shard && user_admit(c, u)) {
        buffer_reset(&c->addr);
        address_to_sip(&c->addr, &pair->peer);
        struct text uri = sip_text(ev->sip, ev->sip->from_uri);
        if (text_eq(uri, (struct text){c->addr.p, c->addr.n}))
            uri = (struct text){0};
        sub = sub_create(c, user, &pair->peer, uri, SIP_TO_XMPP);
        if (sub)
            return sub;
    }
    c->stats.refused_limit++;
    serve_refuse(c, ev, 503);
    return 0;
}

// The request, or one before it, has made that dialog.
static bool serve_is_of(const struct dialog *d, const struct sip_message *m)
{
    return dialog_order(d, m) != ORDER_NEW &&
           text_eq(dialog_get(d, FIELD_CALL_ID), sip_text(m, m->call_id)) &&
           text_eq(dialog_get(d, FIELD_REMOTE_TAG), sip_text(m, m->from_tag));
}

// The dialog that this very request has made already: its 200 died with the process, or it has come
// by another way as well (RFC 3261 §8.2.2.2). 0: none.
static uint32_t serve_made_by(const struct core *c, const struct sub *s,
                              const struct sip_message *m)
{
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub) {
        const struct dialog *d = core_dialog(c, h);
        if (d->state == DIALOG_LIVE && dialog_order(d, m) == ORDER_SAME && serve_is_of(d, m))
            return h;
    }
    return 0;
}

// A copy of the request that made a dialog which has been refreshed or ended since. Within one life
// its server transaction answers it. But what a former life has answered may be sent again just
// then, and be read after what followed it, which comes by another port: a dialog made of it would
// be one that he knows nothing of, and has perhaps ended. Nothing is that late for longer than a
// transaction lasts, so nobody else pays for the looking.
static bool serve_is_late(const struct core *c, const struct serve_pair *pair,
                          const struct sip_message *m)
{
    bool young = c->now_ms - c->started_ms < 64 * (uint64_t)c->cfg.t1_ms;
    uint32_t user = young ? user_find(c, &pair->xmpp) : 0;
    for (uint32_t sub = user ? core_user(c, user)->first_sub : 0; sub;
         sub = core_sub(c, sub)->next_of_user)
        for (uint32_t h = core_sub(c, sub)->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
            if (core_dialog(c, h)->direction == SIP_TO_XMPP && serve_is_of(core_dialog(c, h), m))
                return true;
    return false;
}

static void serve_again(struct core *c, const struct event *ev, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    server_keep(c, ev, serve_accept(c, ev, d, 200, true));
    serve_must_notify(c, dialog);
    if (!(d->flags & DIALOG_WINFO))
        serve_ask(c, d->sub);
}

// One more dialog of an authorization that there is. 0: refused.
static uint32_t serve_join(struct core *c, const struct event *ev, uint32_t sub, uint32_t expires_s)
{
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = serve_dialog(c, ev, sub, core_user(c, s->user)->hash, expires_s);
    if (!dialog)
        return 0;
    dialog_wait(c, dialog, WAIT_EXPIRY, core_dialog(c, dialog)->expires_ms);
    sub_touch(c, sub);
    return dialog;
}

// How his own subscriptions stand. Nothing of it concerns the XMPP side; see serve_winfo.h.
static void serve_winfo(struct core *c, const struct event *ev, const struct serve_pair *pair,
                        uint32_t sub, uint32_t expires_s)
{
    if (!sub || !expires_s) {
        serve_once(c, ev, pair, sub, sub || !expires_s ? REASON_TIMEOUT : REASON_PROBATION);
    } else if (core_sub(c, sub)->n_dialogs >= CORE_DIALOGS_PER_SUB || c->cfg.settings.draining) {
        c->stats.refused_limit++;
        serve_refuse(c, ev, 503);
    } else {
        uint32_t dialog = serve_join(c, ev, sub, expires_s);
        if (dialog)
            serve_must_notify(c, dialog);
    }
}

// Her presence.
static void serve_watch(struct core *c, const struct event *ev, const struct serve_pair *pair,
                        uint32_t sub, uint32_t expires_s)
{
    bool first = sub == 0;
    sub = serve_admit(c, ev, pair, sub);
    uint32_t dialog = sub ? serve_join(c, ev, sub, expires_s) : 0;
    if (!dialog) {
        if (sub)
            serve_settle(c, sub);
        return;
    }
    struct sub *s = core_sub(c, sub);
    if (s->state == STATE_PENDING)
        core_dialog(c, dialog)->flags |= DIALOG_WAITED;
    else if (s->state == STATE_DORMANT)
        sub_set_state(c, s, STATE_ACTIVE);
    serve_must_notify(c, dialog);
    serve_winfo_changed(c, sub);
    if (first)
        serve_ask_first(c, sub);
    else
        serve_ask(c, sub);
}

// New work while there is too much of it: core/turn_away.h. Before anything is looked up for it.
static bool serve_sheds(struct core *c, const struct event *ev, uint64_t piece)
{
    if (ev->admitted || turn_away_admits(c, &ev->source, piece))
        return false;
    server_refuse_as(c, ev, piece, 503, turn_away_fields(c, piece));
    return true;
}

void serve_subscribe(struct core *c, const struct event *ev)
{
    struct serve_pair pair;
    uint32_t expires_s = 0;
    uint64_t hash = server_hash(c, ev->sip);
    if (server_replay(c, hash) || serve_sheds(c, ev, hash))
        return;
    unsigned status = serve_pair(c, &pair, ev->sip);
    if (!status)
        status = serve_terms(c, ev->sip, &expires_s);
    if (!status && (ev->sip->contact.n == 0 || ev->sip->from_tag.n == 0))
        status = 400;
    if (status) {
        serve_refuse(c, ev, status);
        return;
    }
    uint32_t sub = sub_find(c, &pair.xmpp, &pair.peer, SIP_TO_XMPP);
    uint32_t made = sub && expires_s ? serve_made_by(c, core_sub(c, sub), ev->sip) : 0;
    if (made)
        serve_again(c, ev, made);
    else if (serve_is_late(c, &pair, ev->sip))
        serve_refuse(c, ev, 500); // RFC 3261 §12.2.2
    else if (ev->sip->event == SIP_EVENT_WINFO)
        serve_winfo(c, ev, &pair, sub, expires_s);
    else if (!expires_s)
        serve_fetch(c, ev, &pair, sub);
    else
        serve_watch(c, ev, &pair, sub, expires_s);
}

// The refresh asks for what the dialog is about: we share no dialogs (RFC 6665 §4.5.2).
static bool serve_same_event(const struct dialog *d, const struct sip_message *m)
{
    return serve_package(m) == (d->flags & DIALOG_WINFO) &&
           text_eq(dialog_get(d, FIELD_EVENT_ID), sip_text(m, m->event_id));
}

static void serve_over(struct core *c, uint32_t dialog, bool told)
{
    uint32_t sub = core_dialog(c, dialog)->sub;
    if (told)
        serve_leave(c, dialog);
    else
        serve_end(c, dialog, REASON_TIMEOUT, true); // RFC 8048 §5.3.3
    if (!(core_dialog(c, dialog)->flags & DIALOG_WINFO))
        serve_settle(c, sub);
}

static void serve_refreshed(struct core *c, const struct event *ev, uint32_t dialog,
                            uint32_t expires_s)
{
    struct dialog *d = core_dialog(c, dialog);
    bool told = serve_condition(c, dialog, ev->sip); // RFC 5839 §6.3
    d->granted_s = expires_s;
    d->expires_ms = c->now_ms + (uint64_t)expires_s * 1000;
    serve_accept(c, ev, d, told ? 204 : 200, false);
    if (!expires_s) {
        serve_over(c, dialog, told);
        return;
    }
    dialog_wait(c, dialog, WAIT_EXPIRY, d->expires_ms);
    sub_touch(c, d->sub);
    if (told) {
        serve_unnotified(c, dialog);
    } else {
        d->notified_ms = 0; // RFC 6665 §4.2.1.2: this NOTIFY is due at once, whatever the rate
        serve_must_notify(c, dialog);
    }
    if (!(d->flags & DIALOG_WINFO))
        serve_ask(c, d->sub);
}

// Sent again: answered as before, unless he has been told more since.
static void serve_reanswer(struct core *c, const struct event *ev, const struct dialog *d)
{
    bool told = ev->sip->suppress_if_match.n && (d->flags & (DIALOG_MATCHED | DIALOG_QUENCHED));
    serve_accept(c, ev, d, told ? 204 : 200, false);
}

// 0, or the status to refuse a new request in a dialog with.
static unsigned serve_retake(struct core *c, struct dialog *d, const struct sip_message *m,
                             uint32_t *expires_s)
{
    unsigned status = d->state == DIALOG_LIVE ? serve_terms(c, m, expires_s) : 481;
    if (!status && !serve_same_event(d, m))
        status = 403;
    if (!status && (dialog_learn(c, d, m) != 0 || serve_pace_take(c, d, m) != 0))
        status = 513;
    return status;
}

void serve_resubscribe(struct core *c, const struct event *ev, uint32_t dialog)
{
    const struct sip_message *m = ev->sip;
    struct dialog *d = core_dialog(c, dialog);
    uint32_t expires_s = 0;
    enum dialog_order order = dialog_order(d, m);
    unsigned status = 0;
    if (!text_eq(dialog_get(d, FIELD_REMOTE_TAG), sip_text(m, m->from_tag)))
        status = 481;
    else if (order == ORDER_OLD)
        status = 500; // RFC 3261 §12.2.2
    else if (order == ORDER_SAME) {
        serve_reanswer(c, ev, d);
        return;
    } else
        status = serve_retake(c, d, m, &expires_s);
    if (status) {
        serve_refuse(c, ev, status);
        return;
    }
    dialog_took(d, m);
    serve_refreshed(c, ev, dialog, expires_s);
}

void serve_cancel(struct core *c, uint32_t sub, enum sip_reason reason)
{
    struct sub *s = core_sub(c, sub);
    sub_end(c, sub);
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub) {
        const struct dialog *d = core_dialog(c, h);
        if (d->state == DIALOG_LIVE && !(d->flags & DIALOG_WINFO))
            serve_end(c, h, reason, false);
    }
    serve_winfo_end(c, sub, reason);
}
