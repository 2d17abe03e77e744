// The serve machine's questions to the XMPP side, and what comes back: approval, presence that is
// not known, presence that may be out of date.
#include "core/serve_ask.h"

#include "core/hex.h"
#include "core/known.h"
#include "core/serve.h"
#include "core/serve_notify.h"
#include "core/stanza_out.h"
#include "core/sub.h"

// An `unsubscribed` that mirrors the probe's id, or comes before the answer to the first fence
// behind it, answers the probe: it is not her word.
#define SERVE_FENCE_ID TEXT("serve-fence")

// A check's fence has an id of its own each time. An answer to what was asked before a stream was
// lost, or by an earlier life, may come behind the next question, and the presence that it answers
// for came before: taken for that of this check, it would confirm that nobody is there.
enum { SERVE_CHECK_ID = 12 + 8 };

static struct text serve_check_id(const struct core *c, const struct sub *s,
                                  char out[SERVE_CHECK_ID])
{
    memcpy(out, "serve-check-", 12);
    hex_write8(out + 12, c->check_nonce ^ s->tried_s);
    return (struct text){out, SERVE_CHECK_ID};
}

// The first time nobody can know whether she has approved him before, so SylkServer's rule holds,
// and RFC 8048's: a probe as well as `subscribe`. The probe goes first, with a fence between: seen
// with Prosody 0.12, a probe behind an undecided `subscribe` is answered `unsubscribed`, and the
// request is forgotten. (ejabberd 23.01 answers neither, but says `subscribed` to who is approved.)
void serve_ask_first(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    s->tried_s = (uint32_t)(c->now_ms / 1000);
    if (sub_stream_up(c, s))
        s->flags |= SUB_FENCED;
    stanza_out_pair(c, s, STANZA_PROBE, SERVE_PROBE_ID);
    stanza_out_pair_fence(c, s, SERVE_FENCE_ID);
    stanza_out_pair(c, s, STANZA_SUBSCRIBE, (struct text){0});
}

// What is known may have been overtaken while the stream was down. Her server answers a probe with
// what is there and says nothing of what is gone (and ejabberd nothing at all when nothing is
// there), so a fence tells when the answer is complete: what it did not confirm goes.
static void serve_check(struct core *c, struct sub *s)
{
    char id[SERVE_CHECK_ID];
    uint64_t asked_s = s->tried_s, now_s = c->now_ms / 1000;
    if ((s->flags & SUB_CHECKING) && now_s <= asked_s + c->cfg.settings.probe_timeout_s)
        return;
    s->flags |= SUB_CHECKING;
    s->tried_s = (uint32_t)(now_s + (now_s == asked_s)); // never the same twice in a row
    wheel_cancel(&c->wheel, &s->retry_timer);
    known_doubt(s->known);
    stanza_out_pair(c, s, STANZA_PROBE, SERVE_PROBE_ID);
    stanza_out_pair_fence(c, s, serve_check_id(c, s, id));
}

// Her server could not be reached: what was asked is asked again.
static void serve_try_later(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if (s->retry_timer)
        return;
    s->retry_timer = wheel_add(&c->wheel, c->now_ms + sub_backoff_ms(c, s), TIMER_SUB, sub);
    if (!s->retry_timer)
        c->fx->failed = true;
}

// The fence's answer is here; that of the probe may be a little later.
static void serve_checked(struct core *c, uint32_t sub, enum stanza_condition condition)
{
    struct sub *s = core_sub(c, sub);
    bool unreachable = condition == CONDITION_REMOTE_SERVER_NOT_FOUND ||
                       condition == CONDITION_REMOTE_SERVER_TIMEOUT;
    if (!(s->flags & SUB_CHECKING) || s->retry_timer)
        return;
    s->backoff_s = unreachable ? s->backoff_s : 0;
    if (unreachable) {
        s->flags &= (uint16_t)~SUB_CHECKING;
        serve_try_later(c, sub);
        return;
    }
    s->retry_timer = wheel_add(&c->wheel, c->now_ms + CORE_CHECK_MS, TIMER_SUB, sub);
    if (!s->retry_timer)
        c->fx->failed = true;
}

static void serve_check_done(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    struct presence nobody = {0};
    s->flags &= (uint16_t) ~(SUB_STALE | SUB_CHECKING);
    bool changed = known_remove_doubted(&c->shelf, &s->known);
    if (!known_count(s->known))
        changed = known_put(&c->shelf, &s->known, &nobody, &c->line, c->now_ms) == KNOWN_CHANGED;
    if (changed)
        serve_notify_all(c, sub);
}

// Later: an undecided request is repeated, never probed; presence that is not known is asked for.
void serve_ask(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    if (s->state == STATE_PENDING)
        stanza_out_pair(c, s, STANZA_SUBSCRIBE, (struct text){0});
    else if (s->flags & SUB_STALE)
        serve_check(c, s);
    else if (!known_count(s->known))
        stanza_out_pair(c, s, STANZA_PROBE, SERVE_PROBE_ID);
}

void serve_retry_due(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    s->retry_timer = 0;
    if (!sub_stream_up(c, s) || !sub_trusted(c, s))
        return; // serve_resync() will see to it
    if (s->flags & SUB_CHECKING)
        serve_check_done(c, sub);
    else if (serve_live_dialogs(c, s))
        serve_ask(c, sub);
}

void serve_fence(struct core *c, const struct jid *from, const struct jid *to,
                 const struct stanza *s)
{
    char check[SERVE_CHECK_ID];
    struct text id = stanza_text(s, s->id);
    uint32_t sub = sub_find(c, from, to, SIP_TO_XMPP);
    if (sub && text_eq(id, SERVE_FENCE_ID))
        core_sub(c, sub)->flags &= (uint16_t)~SUB_FENCED;
    else if (sub && text_eq(id, serve_check_id(c, core_sub(c, sub), check)))
        serve_checked(c, sub, s->type == STANZA_ERROR ? s->condition : CONDITION_NONE);
}

bool serve_is_fenced(const struct core *c, const struct sub *s)
{
    return (s->flags & SUB_FENCED) &&
           c->now_ms / 1000 <= (uint64_t)s->tried_s + c->cfg.settings.probe_timeout_s;
}

// RFC 6121 §4.3.2: a server may say `unsubscribed` to the probe of somebody who isn't approved yet.
static bool serve_is_probe_answer(const struct core *c, const struct sub *o, const struct stanza *s)
{
    if (o->state != STATE_PENDING)
        return false;
    return serve_is_fenced(c, o) || text_eq(stanza_text(s, s->id), SERVE_PROBE_ID);
}

void serve_rejected(struct core *c, const struct jid *from, const struct jid *to,
                    const struct stanza *s)
{
    uint32_t sub = sub_find(c, from, to, SIP_TO_XMPP);
    if (sub && !serve_is_probe_answer(c, core_sub(c, sub), s))
        serve_cancel(c, sub, REASON_REJECTED);
}

// Her account is no more, says her server: to what we asked of her bare JID, or said to it. (Of a
// full JID it would be one device.)
static bool serve_is_gone(const struct jid *from, enum stanza_condition condition)
{
    return !from->resource.n &&
           (condition == CONDITION_GONE || condition == CONDITION_ITEM_NOT_FOUND);
}

void serve_error(struct core *c, const struct jid *from, const struct jid *to,
                 enum stanza_condition condition)
{
    uint32_t sub = sub_find(c, from, to, SIP_TO_XMPP);
    if (!sub)
        return;
    if (serve_is_gone(from, condition)) {
        serve_cancel(c, sub, REASON_NORESOURCE);
        return;
    }
    if (core_sub(c, sub)->state != STATE_PENDING)
        return;
    switch (condition) {
    case CONDITION_FORBIDDEN:
    case CONDITION_NOT_AUTHORIZED:
    case CONDITION_NOT_ALLOWED: serve_cancel(c, sub, REASON_REJECTED); break;
    default: serve_try_later(c, sub); break; // still pending
    }
}

void serve_resync(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    s->flags = (uint16_t)((s->flags | SUB_STALE) & ~SUB_CHECKING);
    wheel_cancel(&c->wheel, &s->retry_timer);
    if (serve_live_dialogs(c, s))
        serve_ask(c, sub);
}
