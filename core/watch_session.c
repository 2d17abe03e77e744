// Her presence session: watch dialogs are closed when it ends, and opened when it begins.
#include "core/watch_session.h"

#include "core/known.h"
#include "core/serve_ask.h"
#include "core/sub.h"
#include "core/user.h"
#include "core/watch.h"
#include "core/watch_dialog.h"

static void session_wait(struct core *c, uint32_t user, uint64_t wait_ms)
{
    struct user *u = core_user(c, user);
    wheel_cancel(&c->wheel, &u->session_timer);
    u->session_timer = wheel_add(&c->wheel, c->now_ms + wait_ms, TIMER_SESSION, user);
    if (!u->session_timer)
        c->fx->failed = true;
}

// ---- Who sees her

// He may watch her, so her server tells him of each of her devices.
static bool session_approved(const struct sub *s)
{
    return s->direction == SIP_TO_XMPP && !(s->flags & SUB_ENDED) && s->state != STATE_PENDING;
}

enum sight { SIGHT_NONE, SIGHT_UNSURE, SIGHT_SEEN };

static enum sight session_sight(const struct core *c, const struct sub *s)
{
    if (known_any_available(s->known) && !(s->flags & SUB_STALE))
        return SIGHT_SEEN;
    bool knows = known_count(s->known) && !(s->flags & SUB_STALE) && sub_stream_up(c, s);
    return knows ? SIGHT_NONE : SIGHT_UNSURE;
}

// The best that anybody has, who may watch her. `asks`: whoever is unsure has her server asked.
// UNSURE also when nobody may.
static enum sight session_best_sight(struct core *c, const struct user *u, bool asks)
{
    bool any = false, unsure = false;
    for (uint32_t h = u->first_sub; h; h = core_sub(c, h)->next_of_user) {
        const struct sub *s = core_sub(c, h);
        if (!session_approved(s))
            continue;
        enum sight sight = session_sight(c, s);
        if (sight == SIGHT_SEEN)
            return SIGHT_SEEN;
        any = true;
        unsure |= sight == SIGHT_UNSURE;
        if (asks && (s->flags & SUB_STALE))
            serve_ask(c, h);
    }
    return any && !unsure ? SIGHT_NONE : SIGHT_UNSURE;
}

// ---- The end

// His dialog ends, and nothing is said to her, who is not there. Nobody knows for sure: if she was
// only hidden, what she sees then is out of date, so the next time begins with nobody. False: not
// now, the next hop is busy.
static bool session_close(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = watch_dialog(c, s);
    if (dialog && !watch_hang_up(c, dialog))
        return false;
    wheel_cancel(&c->wheel, &s->retry_timer);
    if (known_count(s->known))
        s->flags |= SUB_UNSURE;
    known_free(&c->shelf, &s->known);
    s->flags = (uint16_t)((s->flags | SUB_OFFLINE) & ~SUB_WANTS);
    s->directed = DIRECTED_NOT;
    s->backoff_s = 0;
    sub_set_state(c, s, STATE_DORMANT);
    sub_touch(c, sub);
    return true;
}

// What there is to close. A request that he has not decided yet stands, whether she is there or not
// (RFC 6121 §3.1.3). Neither a dialog nor a timer: closed already, or invariant.
static bool session_closes(const struct core *c, const struct sub *s)
{
    return s->direction == XMPP_TO_SIP && !(s->flags & SUB_ENDED) && s->state != STATE_PENDING &&
           (watch_dialog(c, s) || s->retry_timer || (s->flags & SUB_WANTS));
}

// ---- The beginning

// A dialog that was not to be refreshed any more may be there still.
static bool session_opens(const struct core *c, const struct sub *s)
{
    uint32_t dialog = watch_dialog(c, s);
    return s->direction == XMPP_TO_SIP && !(s->flags & SUB_ENDED) && (s->flags & SUB_OFFLINE) &&
           (!dialog || core_dialog(c, dialog)->state == DIALOG_LIVE);
}

static bool session_open(struct core *c, uint32_t sub)
{
    if (!watch_dialog(c, core_sub(c, sub)) && watch_too_soon(c, sub))
        return true;
    core_sub(c, sub)->flags &= (uint16_t)~SUB_OFFLINE;
    watch_want(c, sub);
    return true;
}

// ---- One by one

static void session_step(struct core *c, uint32_t user,
                         bool (*concerned)(const struct core *, const struct sub *),
                         bool (*act)(struct core *, uint32_t))
{
    struct user *u = core_user(c, user);
    unsigned left = CORE_SESSION_STEP;
    for (uint32_t h = u->first_sub; h; h = core_sub(c, h)->next_of_user) {
        if (!concerned(c, core_sub(c, h)))
            continue;
        if (!left-- || !act(c, h)) {
            session_wait(c, user, CORE_SESSION_MS);
            return;
        }
    }
    if (u->session == SESSION_BACK)
        u->session = SESSION_UNKNOWN;
}

void watch_session_due(struct core *c, uint32_t user)
{
    struct user *u = core_user(c, user);
    u->session_timer = 0;
    if (u->session == SESSION_LEAVING)
        u->session = session_best_sight(c, u, false) == SIGHT_NONE ? SESSION_OVER : SESSION_BACK;
    if (u->session == SESSION_OVER)
        session_step(c, user, session_closes, session_close);
    else if (u->session == SESSION_BACK)
        session_step(c, user, session_opens, session_open);
}

// ---- What is heard of her

void watch_session_seen(struct core *c, uint32_t user, const struct jid *from)
{
    if (!user)
        return;
    struct user *u = core_user(c, user);
    if (from->resource.n)
        user_device_here(u, from->resource);
    if (u->session != SESSION_OVER && u->session != SESSION_LEAVING)
        return;
    u->session = SESSION_BACK;
    session_wait(c, user, CORE_SESSION_MS); // most of them open for a probe of her server's
}

void watch_session_shown(struct core *c, uint32_t watch, const struct jid *from,
                         const struct jid *to)
{
    struct sub *s = core_sub(c, watch);
    if (s->directed == DIRECTED_SHOWN || !from->resource.n)
        return;
    uint32_t serve = sub_find(c, from, to, SIP_TO_XMPP);
    bool approved = serve && session_approved(core_sub(c, serve));
    s->directed = approved ? DIRECTED_NOT : DIRECTED_SHOWN;
}

// To somebody who may not watch her, and to whom she had shown herself: the end of that, and of her
// session with it if she shows herself to nobody else (RFC 6121 §4.6.3). A word from the bare JID
// is no more than Prosody's receipt for `subscribe`, and one to whom she had not shown herself only
// goes with ejabberd's answer to `unsubscribe`. Here, too, `unsubscribed` may follow: he was
// watching her though the gateway did not know, and is not to any more.
static void session_left_one(struct core *c, uint32_t user, const struct jid *from, uint32_t watch)
{
    struct user *u = core_user(c, user);
    bool last = user_device_gone(u, from->resource);
    struct sub *s = watch ? core_sub(c, watch) : NULL;
    if (!last || !s || s->directed != DIRECTED_SHOWN || !session_closes(c, s) ||
        session_best_sight(c, u, false) == SIGHT_SEEN)
        return;
    s->directed = DIRECTED_LEFT;
    if (!s->retry_timer || watch_dialog(c, s)) // else it is early enough when that is due
        watch_retry_at(c, watch, c->now_ms + CORE_SESSION_GRACE_MS);
}

bool watch_session_left_due(struct core *c, uint32_t watch)
{
    struct sub *s = core_sub(c, watch);
    const struct user *u = core_user(c, s->user);
    if (s->directed != DIRECTED_LEFT)
        return false;
    if (u->devices[0] || session_best_sight(c, u, false) == SIGHT_SEEN) { // she is there
        s->directed = DIRECTED_NOT;
        return false;
    }
    if (!session_close(c, watch))
        watch_retry_at(c, watch, c->now_ms + CORE_PEER_BUSY_MS);
    return true;
}

void watch_session_revoked(struct core *c, const struct jid *from, const struct jid *to)
{
    uint32_t watch = sub_find(c, from, to, XMPP_TO_SIP), user = user_find(c, from);
    if (watch)
        core_sub(c, watch)->directed = DIRECTED_NOT;
    // What he was told of her going was that. Others who see nothing of her may have been hidden
    // from for long, or be forbidden to without the gateway's having heard of it.
    if (user && core_user(c, user)->session == SESSION_LEAVING)
        watch_session_seen(c, user, from);
}

void watch_session_left(struct core *c, const struct jid *from, const struct jid *to)
{
    uint32_t user = user_find(c, from);
    if (!user)
        return;
    struct user *u = core_user(c, user);
    uint32_t serve = sub_find(c, from, to, SIP_TO_XMPP);
    if (!serve || !session_approved(core_sub(c, serve))) {
        if (from->resource.n)
            session_left_one(c, user, from, sub_find(c, from, to, XMPP_TO_SIP));
        return;
    }
    if (from->resource.n)
        user_device_gone(u, from->resource);
    // Whoever is still seen by another has only hidden from this one, or her server is not through
    // with telling all. Her `unsubscribed` may follow at once, and then it was that.
    bool open = u->session == SESSION_UNKNOWN || u->session == SESSION_BACK;
    if (!open || session_best_sight(c, u, true) == SIGHT_SEEN)
        return;
    u->session = SESSION_LEAVING;
    session_wait(c, user, CORE_SESSION_GRACE_MS);
}

void watch_session_gained(struct core *c, uint32_t user)
{
    if (core_user(c, user)->session == SESSION_OVER)
        session_wait(c, user, CORE_SESSION_MS);
}

void watch_session_none(struct core *c, uint32_t user)
{
    struct user *u = core_user(c, user);
    if (u->session != SESSION_UNKNOWN && u->session != SESSION_BACK)
        return;
    u->session = SESSION_OVER;
    wheel_cancel(&c->wheel, &u->session_timer);
}

void watch_session_forget(struct core *c, uint32_t user)
{
    struct user *u = core_user(c, user);
    u->session = SESSION_UNKNOWN;
    wheel_cancel(&c->wheel, &u->session_timer);
}
