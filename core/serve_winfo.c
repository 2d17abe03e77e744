// Watcher information: a SIP user is told how his own subscriptions stand.
#include "core/serve_winfo.h"

#include "core/dialog.h"
#include "core/hex.h"
#include "core/serve_notify.h"
#include "core/serve_pace.h"
#include "core/sub.h"
#include "core/wire/winfo.h"

enum { WINFO_ID = 16 };

// What one dialog means to who asks: nothing in it but what stays as it is.
struct watcher_state {
    uint64_t tag, expires_ms;
    uint32_t status, event;
};

struct watcher_list {
    size_t n;
    struct winfo_watcher v[CORE_DIALOGS_PER_SUB];
    struct watcher_state state[CORE_DIALOGS_PER_SUB];
    char id[CORE_DIALOGS_PER_SUB][WINFO_ID];
};

// A fetch is over as soon as it is there: not to be reported (RFC 3857 §4.7.2).
static bool watcher_counts(const struct dialog *d)
{
    return !(d->flags & (DIALOG_WINFO | DIALOG_FETCH));
}

// RFC 3857 §4.7.1, Figure 1. A pending one that times out is given up: nobody waits for her answer.
static enum winfo_event watcher_ended_by(const struct sub *s, const struct dialog *d)
{
    switch ((enum sip_reason)d->reason) {
    case REASON_REJECTED: return WINFO_REJECTED;
    case REASON_NORESOURCE: return WINFO_NORESOURCE;
    case REASON_PROBATION: return WINFO_PROBATION;
    case REASON_GIVEUP: return WINFO_GIVEUP;
    case REASON_TIMEOUT: return s->state == STATE_PENDING ? WINFO_GIVEUP : WINFO_TIMEOUT;
    default: return WINFO_DEACTIVATED; // the device did not take our NOTIFYs
    }
}

static void watcher_describe(const struct sub *s, const struct dialog *d, struct watcher_state *out)
{
    *out = (struct watcher_state){.tag = d->tag};
    if (d->state != DIALOG_LIVE) {
        out->status = WINFO_TERMINATED;
        out->event = watcher_ended_by(s, d);
        return;
    }
    out->expires_ms = d->expires_ms;
    out->status = s->state == STATE_PENDING ? WINFO_PENDING : WINFO_ACTIVE;
    out->event = out->status == WINFO_ACTIVE && (d->flags & DIALOG_WAITED) ? WINFO_APPROVED
                                                                           : WINFO_SUBSCRIBE;
}

// The tag names the dialog to its ends alone; whoever else reads the document sees a hash of it.
static void watcher_add(const struct core *c, struct watcher_list *l, const struct dialog *d,
                        struct text uri)
{
    const struct watcher_state *state = &l->state[l->n];
    struct serve_pace pace;
    serve_pace(c, d, &pace);
    hex_write(l->id[l->n], hash_sip(c->cfg.key, &d->tag, sizeof d->tag), WINFO_ID);
    bool live = state->status != WINFO_TERMINATED;
    l->v[l->n] = (struct winfo_watcher){
        .uri = uri,
        .id = {l->id[l->n], WINFO_ID},
        .status = state->status,
        .event = state->event,
        .expires_s = live ? dialog_left_s(c, d) : UINT32_MAX,
        .since_s = pace.begun_s ? (uint32_t)(c->now_ms / 1000) - pace.begun_s : UINT32_MAX,
    };
    l->n++;
}

// Those that live come first: should there be no room for all, others are left out.
static void watcher_list(const struct core *c, const struct sub *s, struct text uri,
                         struct watcher_list *l)
{
    l->n = 0;
    for (int live = 1; live >= 0; live--)
        for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub) {
            const struct dialog *d = core_dialog(c, h);
            if (l->n == CORE_DIALOGS_PER_SUB || !watcher_counts(d) ||
                (d->state == DIALOG_LIVE) != live)
                continue;
            watcher_describe(s, d, &l->state[l->n]);
            watcher_add(c, l, d, uri);
        }
}

struct text serve_winfo_document(struct core *c, const struct dialog *d, uint32_t version,
                                 uint64_t *state)
{
    const struct sub *s = d->sub ? core_sub(c, d->sub) : NULL;
    struct text resource = dialog_get(d, FIELD_LOCAL_URI);
    struct watcher_list l = {.n = 0};
    buffer_reset(&c->addr);
    if (s) {
        sub_write_user_sip_uri(c, s, &c->addr);
        size_t n = c->addr.n;
        sub_write_sip_uri(c, s, &c->addr);
        resource = (struct text){c->addr.p, n};
        watcher_list(c, s, (struct text){c->addr.p + n, c->addr.n - n}, &l);
    }
    *state = hash_sip(c->cfg.key, l.state, l.n * sizeof l.state[0]);
    for (size_t n = l.n;; n = n * SERVE_BODY_MAX / c->body.n) {
        buffer_reset(&c->body);
        winfo_write(&c->body, resource, version, l.v, n);
        if (n == 0 || c->body.failed || c->body.n <= SERVE_BODY_MAX)
            break;
    }
    return (struct text){c->body.p, c->body.n};
}

void serve_winfo_changed(struct core *c, uint32_t sub)
{
    if (core_sub(c, sub)->flags & SUB_ENDED)
        return; // serve_winfo_end() is to come
    for (uint32_t h = core_sub(c, sub)->first_dialog; h; h = core_dialog(c, h)->next_of_sub) {
        const struct dialog *d = core_dialog(c, h);
        if (d->state == DIALOG_LIVE && (d->flags & DIALOG_WINFO))
            serve_notify(c, h);
    }
}

void serve_winfo_end(struct core *c, uint32_t sub, enum sip_reason reason)
{
    for (uint32_t h = core_sub(c, sub)->first_dialog; h; h = core_dialog(c, h)->next_of_sub) {
        const struct dialog *d = core_dialog(c, h);
        if (d->state == DIALOG_LIVE && (d->flags & DIALOG_WINFO))
            serve_end(c, h, reason, false);
    }
}
