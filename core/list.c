// Subscriptions as the admin sees them: read-only, in bounded steps.
#include "core/dialog.h"
#include "core/sub.h"
#include "core/user.h"

struct list {
    const struct core *core;
    const struct core_filter *filter;
    bool (*each)(void *, const struct core_subscription_view *);
    void *arg;
    uint64_t now_ms;
    struct buffer text; // addresses of the one in hand
};

static bool list_jid_is(const struct jid *jid, struct text want)
{
    if (want.n != jid->local.n + 1 + jid->domain.n)
        return false;
    return memcmp(want.p, jid->local.p, jid->local.n) == 0 && want.p[jid->local.n] == '@' &&
           memcmp(want.p + jid->local.n + 1, jid->domain.p, jid->domain.n) == 0;
}

static bool list_matches(const struct list *l, const struct sub *s)
{
    const struct core_filter *f = l->filter;
    struct jid jid;
    if ((s->flags & SUB_ENDED) || (f->direction >= 0 && s->direction != f->direction) ||
        (f->state >= 0 && s->state != f->state))
        return false;
    if (f->jid.n) {
        user_jid(l->core, core_user(l->core, s->user), &jid);
        if (!list_jid_is(&jid, f->jid))
            return false;
    }
    sub_peer_jid(l->core, s, &jid);
    return !f->sip_jid.n || list_jid_is(&jid, f->sip_jid);
}

static void list_dialog(const struct list *l, const struct dialog *d,
                        struct core_subscription_view *v)
{
    if (d->state > DIALOG_LIVE || (d->flags & DIALOG_WINFO))
        return;
    uint32_t left_s =
        d->expires_ms > l->now_ms ? (uint32_t)((d->expires_ms - l->now_ms) / 1000) : 0;
    if (left_s > v->expires_in_s)
        v->expires_in_s = left_s;
    if (v->n_dialogs < CORE_DIALOG_VIEWS_MAX)
        v->dialogs[v->n_dialogs] = (struct core_dialog_view){dialog_get(d, FIELD_CALL_ID),
                                                             dialog_get(d, FIELD_TARGET), left_s};
    v->n_dialogs++;
}

// False: `each` has had enough (or there's no memory), and this one is still to come.
static bool list_one(struct list *l, const struct sub *s)
{
    const struct core *c = l->core;
    struct core_subscription_view v = {
        .id = s->id, .direction = s->direction, .state = s->state, .created_at_ms = s->created_ms};
    buffer_reset(&l->text);
    sub_write_user_jid(c, s, &l->text);
    size_t n = l->text.n;
    sub_write_sip_uri(c, s, &l->text);
    if (l->text.failed)
        return false;
    v.xmpp = (struct text){l->text.p, n};
    v.sip = (struct text){l->text.p + n, l->text.n - n};
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        list_dialog(l, core_dialog(c, h), &v);
    return l->each(l->arg, &v);
}

// One user's subscriptions are few and found by her JID. They hang together newest first, so their
// ids descend, and an id is a place that stays put whatever comes or goes between two pages.
static uint64_t list_user(struct list *l, uint64_t cursor)
{
    const struct core *c = l->core;
    char scratch[JID_MAX + 1];
    struct jid jid;
    uint32_t user = 0;
    if (jid_parse(&jid, l->filter->jid, scratch, sizeof scratch) == 0)
        user = user_find(c, &jid);
    uint32_t h = user ? core_user(c, user)->first_sub : 0;
    for (; h; h = core_sub(c, h)->next_of_user) {
        const struct sub *s = core_sub(c, h);
        if ((!cursor || s->id <= cursor) && list_matches(l, s) && !list_one(l, s))
            return s->id;
    }
    return 0;
}

static uint64_t list_all(struct list *l, uint64_t cursor, size_t scan_max)
{
    const struct core *c = l->core;
    uint32_t at = cursor ? (uint32_t)(cursor - 1) : 0;
    if (cursor > UINT32_MAX)
        return 0; // not from here
    for (size_t looked = 0; (at = pool_after(&c->subs, at)); looked++) {
        const struct sub *s = core_sub(c, at);
        if (looked == scan_max || (list_matches(l, s) && !list_one(l, s)))
            return at;
    }
    return 0;
}

uint64_t core_list(const struct core *c, const struct core_filter *filter, uint64_t cursor,
                   size_t scan_max, bool (*each)(void *, const struct core_subscription_view *),
                   void *arg, uint64_t now_ms)
{
    struct list l = {c, filter, each, arg, now_ms, {0}};
    uint64_t next = filter->jid.n ? list_user(&l, cursor) : list_all(&l, cursor, scan_max);
    buffer_free(&l.text);
    return next;
}
