// The watch machine's SIP side (RFC 6665 §4.1): one notification dialog per authorization.
//
// A dialog's timer means one thing at a time: WAIT_NOTIFY is RFC 6665's Timer N (64*T1) after a
// SUBSCRIBE; WAIT_REFRESH the next refresh; WAIT_EXPIRY the end, when no refresh may leave;
// WAIT_LINGER answers retransmissions of the last NOTIFY for as long as they may come.
#include "core/watch_dialog.h"

#include <errno.h>

#include "core/dialog.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/watch.h"
#include "core/watch_fetch.h"

enum { CALL_ID_N = 16 };

static uint64_t timer_n_ms(const struct core *c)
{
    return c->now_ms + 64 * (uint64_t)c->cfg.t1_ms;
}

uint32_t watch_dialog(const struct core *c, const struct sub *s)
{
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        if (core_dialog(c, h)->state <= DIALOG_LIVE)
            return h;
    return 0;
}

static int watch_send(struct core *c, uint32_t dialog, uint32_t expires_s)
{
    struct sip_request r = {
        .method = SIP_SUBSCRIBE, .expires = expires_s, .substate_expires = SIP_ABSENT};
    client_disown(c, &core_dialog(c, dialog)->client);
    int err = dialog_send(c, dialog, &r);
    if (!err)
        core_dialog(c, dialog)->granted_s = expires_s;
    return err;
}

// Unique over space and time (RFC 3261 §8.1.1.4) by 96 random bits, and no longer than that takes:
// a million of them are kept.
static void watch_write_call_id(struct core *c, char out[CALL_ID_N])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t random = 0;
    for (unsigned i = 0; i < CALL_ID_N; i++, random >>= 6) {
        if (i % (CALL_ID_N / 2) == 0)
            random = hash_random_u64(&c->random);
        out[i] = digits[random & 63];
    }
}

uint32_t watch_dialog_create(struct core *c, uint32_t sub, uint32_t owner_hash,
                             struct text fields[FIELD_COUNT])
{
    char call_id[CALL_ID_N];
    watch_write_call_id(c, call_id);
    fields[FIELD_CALL_ID] = (struct text){call_id, sizeof call_id};
    uint32_t dialog = dialog_create(c, sub, owner_hash, XMPP_TO_SIP, 0);
    if (dialog && dialog_set(c, core_dialog(c, dialog), fields) != 0) {
        dialog_free(c, dialog);
        dialog = 0;
    }
    return dialog;
}

int watch_begin(struct core *c, uint32_t dialog, uint32_t expires_s)
{
    uint32_t sub = core_dialog(c, dialog)->sub;
    bool may = !sub || expires_s == 0 || sub_trusted(c, core_sub(c, sub));
    int err = may ? watch_send(c, dialog, expires_s) : EACCES; // what led here began with trust
    if (!err)
        dialog_wait(c, dialog, WAIT_NOTIFY, timer_n_ms(c));
    return err;
}

void watch_open(struct core *c, uint32_t sub, uint32_t expires_s)
{
    struct sub *s = core_sub(c, sub);
    struct text fields[FIELD_COUNT] = {0};
    wheel_cancel(&c->wheel, &s->retry_timer);
    s->tried_s = (uint32_t)(c->now_ms / 1000);
    s->flags &= (uint16_t)~SUB_OFFLINE;
    uint32_t dialog = watch_dialog_create(c, sub, core_user(c, s->user)->hash, fields);
    if (!dialog || watch_begin(c, dialog, expires_s) != 0) {
        if (dialog)
            dialog_free(c, dialog);
        watch_failed(c, sub, SIP_ABSENT);
        return;
    }
    sub_touch(c, sub);
}

// Same Call-ID, tags and expiry, a higher CSeq, and the time for the NOTIFY begins anew. A dialog
// that was given up before it had begun is not begun.
bool watch_challenged(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    bool given_up = d->state == DIALOG_ENDED || (d->state == DIALOG_ENDING && d->granted_s);
    if (!given_up && watch_begin(c, dialog, d->granted_s) == 0)
        return true;
    d->tried = (struct credentials_tried){0};
    return false;
}

// A plain SIP URI that was not asked last: what else a Contact may hold (a method, header fields)
// is nothing that a notifier has to choose.
static bool watch_may_ask(const struct dialog *d, struct text contact)
{
    struct sip_uri uri;
    if (sip_uri_parse(&uri, contact) != 0 || uri.headers.n || !uri.host.n ||
        (uri.scheme != SCHEME_SIP && uri.scheme != SCHEME_SIPS))
        return false;
    return !text_eq(contact, dialog_get(d, FIELD_TARGET));
}

// RFC 3261 §8.1.3.4: the same request with another Request-URI. It is no way to aim our packets at
// a third party: they go to the proxy, or else to none but whom we take SIP from
// (core/next_hop.h).
bool watch_redirect(struct core *c, uint32_t dialog, struct text contact)
{
    struct dialog *d = core_dialog(c, dialog);
    struct text fields[FIELD_COUNT];
    if (d->state != DIALOG_EARLY || d->failures >= WATCH_REDIRECTS_MAX ||
        !watch_may_ask(d, contact))
        return false;
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        fields[i] = dialog_get(d, i);
    fields[FIELD_TARGET] = contact;
    if (dialog_set(c, d, fields) != 0)
        return false;
    d->failures++;
    if (watch_begin(c, dialog, d->granted_s) != 0)
        return false;
    if (d->sub)
        sub_touch(c, d->sub);
    return true;
}

static void watch_refresh(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    const struct core_settings *set = &c->cfg.settings;
    uint32_t expires_s = set->expires_s;
    if (d->client)
        return; // one is under way
    if (d->granted_s > expires_s && d->granted_s <= set->max_expires_s)
        expires_s = d->granted_s; // a 423 has taught us that less is too brief
    if (watch_send(c, dialog, expires_s) != 0) {
        uint64_t from_ms = c->now_ms + CORE_PEER_BUSY_MS;
        dialog_wait(c, dialog, WAIT_REFRESH, turnstile_take(&c->busy, from_ms, CORE_BUSY_PER_S));
        return;
    }
    c->stats.refreshes++;
    if (d->sub)
        core_sub(c, d->sub)->flags &= (uint16_t)~SUB_SAID_NOBODY; // she has answered since
    dialog_wait(c, dialog, WAIT_NOTIFY, timer_n_ms(c));
}

void watch_go(struct core *c, uint32_t sub)
{
    uint32_t dialog = watch_dialog(c, core_sub(c, sub));
    if (!sub_trusted(c, core_sub(c, sub)))
        return; // what was asked of her before has been answered now
    if (!dialog)
        watch_open(c, sub, c->cfg.settings.expires_s);
    else if (core_dialog(c, dialog)->state == DIALOG_LIVE)
        watch_refresh(c, dialog);
}

// Early enough for a probe, a whole client transaction and Timer N before the end, spread by a
// tenth.
void watch_schedule(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t left_ms = d->expires_ms > c->now_ms ? d->expires_ms - c->now_ms : 0;
    uint64_t margin_ms =
        (uint64_t)c->cfg.settings.probe_timeout_s * 1000 + 64 * (uint64_t)c->cfg.t1_ms;
    if (margin_ms > left_ms / 2)
        margin_ms = left_ms / 2;
    margin_ms += hash_random_below(&c->random, (uint32_t)(left_ms / 10) + 1);
    uint64_t due_ms = d->expires_ms > margin_ms ? d->expires_ms - margin_ms : 0;
    uint64_t floor_ms = c->now_ms + CORE_REFRESH_FLOOR_MS;
    due_ms -= due_ms % CORE_REFRESH_TOGETHER_MS;
    dialog_wait(c, dialog, WAIT_REFRESH, due_ms > floor_ms ? due_ms : floor_ms);
}

void watch_linger(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    d->state = DIALOG_ENDED;
    client_disown(c, &d->client);
    dialog_wait(c, dialog, WAIT_LINGER, timer_n_ms(c));
    if (d->sub)
        sub_touch(c, d->sub);
}

// Before the first NOTIFY there is no dialog to unsubscribe in: the NOTIFY that may still come is
// answered, and then the Expires 0 is sent (core/watch_notify.c).
bool watch_hang_up(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->state != DIALOG_EARLY && watch_send(c, dialog, 0) != 0)
        return false;
    d->state = DIALOG_ENDING;
    dialog_wait(c, dialog, WAIT_NOTIFY, timer_n_ms(c));
    return true;
}

void watch_close(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (watch_hang_up(c, dialog))
        return;
    watch_say_unsubscribed(c, d->sub);
    watch_linger(c, dialog);
}

// Timer N has fired without a NOTIFY (RFC 6665 §4.1.2.2, §4.1.2.4), or an end was not confirmed.
static void watch_notify_missing(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    uint32_t sub = d->sub;
    enum dialog_state state = d->state;
    if (!sub) {
        watch_fetch_declined(c, dialog, 408, false);
        return;
    }
    dialog_free(c, dialog);
    if (state == DIALOG_ENDING) {
        watch_say_unsubscribed(c, sub);
    } else if (core_sub(c, sub)->tried_s) {
        watch_failed(c, sub, SIP_ABSENT);
    } else { // whoever asked has died, and nobody has said no: asked anew
        if (state == DIALOG_LIVE)
            watch_lapsed(c, sub); // nothing keeps true what she sees, should she be asked in vain
        sub_touch(c, sub);
        watch_want(c, sub);
    }
}

static void watch_refresh_due(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (!dialog_has_turn(c, dialog, WAIT_REFRESH))
        return;
    // Whatever the probe says, this is the end if no refresh comes through.
    dialog_wait(c, dialog, WAIT_EXPIRY,
                d->expires_ms > c->now_ms ? d->expires_ms : c->now_ms + 1000);
    watch_want(c, d->sub);
}

static void watch_expired(struct core *c, uint32_t dialog)
{
    uint32_t sub = core_dialog(c, dialog)->sub;
    dialog_free(c, dialog);
    if ((core_sub(c, sub)->flags & SUB_OFFLINE) || core_sub(c, sub)->retry_timer)
        watch_lapsed(c, sub); // opened again when she shows up, or when he has said
    else
        watch_failed(c, sub, SIP_ABSENT);
}

void watch_dialog_due(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    enum dialog_wait wait = d->wait;
    d->wait = WAIT_NONE;
    switch (wait) {
    case WAIT_NOTIFY: watch_notify_missing(c, dialog); break;
    case WAIT_REFRESH: watch_refresh_due(c, dialog); break;
    case WAIT_EXPIRY: watch_expired(c, dialog); break;
    default: dialog_free(c, dialog); break;
    }
}

// What began the dialog may never have left, and the answer may have come to nobody; but a notifier
// who has got it says its NOTIFY again within T2.
void watch_restored(struct core *c, uint32_t dialog)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->state == DIALOG_EARLY) {
        dialog_wait(c, dialog, WAIT_NOTIFY, c->now_ms + CORE_T2_MS);
        return;
    }
    watch_schedule(c, dialog);
    uint64_t soonest_ms = c->now_ms + CORE_RESTORE_WAIT_MS;
    if (wheel_due_ms(&c->wheel, d->timer) < c->now_ms + CORE_REFRESH_FLOOR_MS + WHEEL_TICK_MS)
        dialog_wait_turn(c, dialog, WAIT_REFRESH, soonest_ms);
}
