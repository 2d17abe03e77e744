// The watch machine's answers: what comes back from the SIP side, NOTIFY requests and final
// responses.
#include "core/dialog.h"
#include "core/domain.h"
#include "core/known.h"
#include "core/stanza_out.h"
#include "core/serve_winfo.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/watch.h"
#include "core/watch_dialog.h"
#include "core/watch_fetch.h"
#include "core/watch_session.h"
#include "core/wire/pidf.h"

// ---- Final responses to SUBSCRIBE (RFC 6665 §4.1.2, RFC 8048 §5.2.2)

enum verdict {
    VERDICT_ACCEPTED,
    VERDICT_NEVER,     // the authorization ends
    VERDICT_ANEW,      // the dialog is gone: a new one at once
    VERDICT_BRIEF,     // 423: ask for more
    VERDICT_ELSEWHERE, // ask somebody else
    VERDICT_OVER,      // the dialog is gone: a new one later
    VERDICT_LATER      // the dialog stands until it expires: the same again later
};

static enum verdict watch_verdict(unsigned status)
{
    if (status >= 200 && status < 300)
        return VERDICT_ACCEPTED;
    if (status >= 300 && status < 400)
        return VERDICT_ELSEWHERE;
    switch (status) {
    case 403:
    case 489:
    case 603: return VERDICT_NEVER;
    case 423: return VERDICT_BRIEF;
    case 481: return VERDICT_ANEW;
    case 404:
    case 405:
    case 410:
    case 416:
    case 480:
    case 482:
    case 483:
    case 484:
    case 485:
    case 501:
    case 604: return VERDICT_OVER; // RFC 6665 §4.1.2.2
    default: return VERDICT_LATER;
    }
}

static void watch_accepted(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    uint32_t granted_s =
        m->expires != SIP_ABSENT && m->expires < d->granted_s ? m->expires : d->granted_s;
    if (d->state == DIALOG_ENDING) { // now wait for the last NOTIFY
        if (d->sub)
            watch_say_unsubscribed(c, d->sub);
        return;
    }
    d->granted_s = granted_s;
    d->expires_ms = c->now_ms + (uint64_t)granted_s * 1000;
    if (d->state == DIALOG_LIVE) {
        sub_touch(c, d->sub);
        // The NOTIFY came first, or none is to come (RFC 6665 §4.1.2.2 on 204).
        if (d->wait != WAIT_NOTIFY || m->status == 204)
            watch_schedule(c, dialog);
    }
}

// A new dialog at once, unless that happens again and again: the last was opened less than `gap_s`
// ago.
static void watch_anew(struct core *c, uint32_t sub, uint32_t gap_s)
{
    if (c->now_ms / 1000 >= (uint64_t)core_sub(c, sub)->tried_s + gap_s)
        watch_open(c, sub, c->cfg.settings.expires_s);
    else
        watch_failed(c, sub, SIP_ABSENT);
}

// 423: the same again with what the peer asks for, if that makes sense (RFC 3261 §21.4.17) and he
// does not ask for more each time.
static void watch_too_brief(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    uint32_t sub = core_dialog(c, dialog)->sub, asked_s = core_dialog(c, dialog)->granted_s;
    bool again = asked_s > c->cfg.settings.expires_s && !watch_may_try(c, core_sub(c, sub));
    dialog_free(c, dialog);
    if (m->min_expires != SIP_ABSENT && m->min_expires > asked_s && !again &&
        m->min_expires <= c->cfg.settings.max_expires_s)
        watch_open(c, sub, m->min_expires);
    else
        watch_failed(c, sub, SIP_ABSENT);
}

static void watch_try_later(struct core *c, uint32_t dialog, uint32_t retry_after_s)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t wait_s = retry_after_s != SIP_ABSENT && retry_after_s > CORE_RETRY_FIRST_S
                          ? retry_after_s
                          : CORE_RETRY_FIRST_S;
    if (wait_s > CORE_RETRY_AFTER_MAX_S)
        wait_s = CORE_RETRY_AFTER_MAX_S;
    uint64_t due_ms = c->now_ms + wait_s * 1000;
    if (due_ms < d->expires_ms) {
        dialog_wait(c, dialog, WAIT_REFRESH, due_ms);
        return;
    }
    dialog_wait(c, dialog, WAIT_EXPIRY, d->expires_ms);
    if (retry_after_s != SIP_ABSENT) // holds for the next dialog as well
        watch_retry_at(c, d->sub, due_ms);
}

static void watch_declined(struct core *c, uint32_t dialog, enum verdict verdict,
                           const struct sip_message *m)
{
    uint32_t sub = core_dialog(c, dialog)->sub;
    uint32_t retry_after_s = m ? m->retry_after : SIP_ABSENT;
    bool was_live = core_dialog(c, dialog)->state == DIALOG_LIVE;
    if ((verdict == VERDICT_LATER || verdict == VERDICT_ELSEWHERE) && was_live) {
        watch_try_later(c, dialog, retry_after_s);
        return;
    }
    dialog_free(c, dialog);
    if (verdict == VERDICT_NEVER)
        watch_refused(c, sub);
    else if (verdict == VERDICT_ANEW && was_live)
        watch_anew(c, sub, CORE_REFRESH_FLOOR_MS / 1000); // no refresh comes sooner
    else
        watch_failed(c, sub, retry_after_s);
}

void watch_answered(struct core *c, uint32_t dialog, unsigned status, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    enum verdict verdict = watch_verdict(status);
    if (d->state == DIALOG_ENDED)
        return;
    if (verdict == VERDICT_ELSEWHERE && watch_redirect(c, dialog, sip_text(m, m->contact)))
        return;
    if (verdict == VERDICT_ACCEPTED) {
        watch_accepted(c, dialog, m);
    } else if (d->flags & DIALOG_FETCH) {
        watch_fetch_declined(c, dialog, status, verdict == VERDICT_NEVER);
    } else if (d->state == DIALOG_ENDING) { // whatever it is, it is over
        watch_say_unsubscribed(c, d->sub);
        dialog_free(c, dialog);
    } else if (verdict == VERDICT_BRIEF) {
        watch_too_brief(c, dialog, m);
    } else {
        watch_declined(c, dialog, verdict, m);
    }
}

// ---- NOTIFY (RFC 6665 §4.1.3)

// What is shown stays true, and nothing is asked again, though a probe may be out for it.
static void watch_is_settled(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    wheel_cancel(&c->wheel, &s->retry_timer);
    s->flags &= (uint16_t)~SUB_WANTS;
}

static void watch_terminated(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    uint32_t sub = core_dialog(c, dialog)->sub;
    watch_linger(c, dialog);
    switch ((enum sip_reason)m->reason) {
    case REASON_REJECTED:
    case REASON_NORESOURCE: watch_refused(c, sub); break;
    case REASON_DEACTIVATED: watch_anew(c, sub, CORE_ATTEMPT_GAP_S); break;
    case REASON_INVARIANT: watch_is_settled(c, sub); break;
    case REASON_TIMEOUT: watch_failed(c, sub, SIP_ABSENT); break; // its retry-after says nothing
    default: watch_failed(c, sub, m->substate_retry_after); break;
    }
}

// A notifier may shorten it, and not make it longer than we ever ask for (RFC 6665 §4.2.1.1).
static void watch_adjust_expiry(struct core *c, struct dialog *d, const struct sip_message *m)
{
    uint64_t expires_s = m->substate_expires, most_s = c->cfg.settings.max_expires_s;
    if (m->substate_expires != SIP_ABSENT)
        d->expires_ms = c->now_ms + (expires_s < most_s ? expires_s : most_s) * 1000;
    else if (!d->expires_ms) // neither the 200 nor the NOTIFY has told yet
        d->expires_ms = c->now_ms + (uint64_t)d->granted_s * 1000;
}

// The presentity has approved: RFC 8048 §5.2.1. Told again after a restart, which costs nothing.
// True: all that is known has to follow, for what came while the stream was down was not shown.
static bool watch_approved(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    s->backoff_s = 0;
    if (s->state != STATE_ACTIVE) {
        sub_set_state(c, s, STATE_ACTIVE);
        sub_touch(c, sub);
        watch_session_gained(c, s->user);
    }
    bool again = (s->flags & SUB_BOUNCED) != 0;
    if (!sub_stream_up(c, s) || ((s->flags & SUB_TOLD) && !again))
        return false;
    stanza_out_pair(c, s, STANZA_SUBSCRIBED, (struct text){0});
    s->flags = (uint16_t)((s->flags | SUB_TOLD) & ~SUB_BOUNCED);
    return true;
}

static void watch_went_on(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    uint64_t before_ms = d->expires_ms;
    if (d->state == DIALOG_EARLY) {
        d->state = DIALOG_LIVE;
        sub_touch(c, d->sub);
    }
    watch_adjust_expiry(c, d, m);
    // A NOTIFY without `expires` that no SUBSCRIBE of ours asked for leaves the timer alone.
    bool sooner = d->expires_ms + 5000 < before_ms;
    if (d->wait == WAIT_NOTIFY || (d->wait == WAIT_REFRESH && sooner))
        watch_schedule(c, dialog);
}

// Answered, and nothing said to her (RFC 8048 §5.2.1), unless she sees him or may do so. Who had
// approved her, and has to be asked again, does not want to be seen now: what he then says may be
// bogus (RFC 3856 §4), and what he said before is not what she may see. The authorization stays:
// neither has taken it back.
static void watch_undecided(struct core *c, uint32_t sub)
{
    watch_hide_known(c, sub);
}

static void watch_apply(struct core *c, uint32_t dialog, const struct sip_message *m,
                        const struct pidf *doc)
{
    struct dialog *d = core_dialog(c, dialog);
    if (d->flags & DIALOG_FETCH) {
        watch_fetch_shown(c, d, m, doc);
        return;
    }
    bool over = m->substate == SUBSTATE_TERMINATED;
    if (d->state == DIALOG_ENDING || (over && m->reason != REASON_INVARIANT))
        return;
    if (!over)
        watch_went_on(c, dialog, m);
    if (m->substate == SUBSTATE_PENDING) {
        watch_undecided(c, d->sub);
        return;
    }
    bool all = watch_approved(c, d->sub);
    if (m->body.n)
        watch_show(c, d->sub, doc, all);
    else if (all && known_count(core_sub(c, d->sub)->known))
        watch_show_known(c, d->sub, (struct text){0});
}

// What forbids to take it, as a status; 0: nothing.
static unsigned watch_notify_defect(const struct dialog *d, const struct sip_message *m)
{
    struct text known_tag = dialog_get(d, FIELD_REMOTE_TAG);
    if (known_tag.n && !text_eq(known_tag, sip_text(m, m->from_tag)))
        return 481; // another branch of a forked SUBSCRIBE: one dialog only (RFC 3856 §6.9)
    if (dialog_order(d, m) == ORDER_OLD)
        return 500; // RFC 3261 §12.2.2
    if (m->event != SIP_EVENT_PRESENCE)
        return 489;
    if (!text_eq(dialog_get(d, FIELD_EVENT_ID), sip_text(m, m->event_id)))
        return 481; // of another subscription than ours, which has no id (RFC 6665 §8.2.1)
    if (m->substate == SUBSTATE_NONE || m->from_tag.n == 0)
        return 400;
    return m->body.n && m->content != SIP_CONTENT_PIDF ? 415 : 0;
}

// Takes a new NOTIFY, all or nothing: a document that can't be read leaves dialog and presence as
// they were. 0, or the status to refuse it with.
static unsigned watch_take(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    struct pidf doc;
    doc.n = 0;
    if (d->state == DIALOG_ENDED)
        return 481; // over: only what is sent again is answered
    if (m->body.n && pidf_read(c->pidf, &doc, sip_text(m, m->body),
                               sip_text(m, m->content_language), &c->body) != 0)
        return 400;
    if (dialog_learn(c, d, m) != 0)
        return 513;
    dialog_took(d, m);
    watch_apply(c, dialog, m, &doc);
    return 0;
}

static void watch_after_notify(struct core *c, uint32_t dialog, const struct sip_message *m)
{
    struct dialog *d = core_dialog(c, dialog);
    bool terminated = m->substate == SUBSTATE_TERMINATED;
    if ((d->flags & DIALOG_FETCH) || (d->state == DIALOG_ENDING && terminated)) {
        if (d->sub)
            watch_say_unsubscribed(c, d->sub);
        watch_linger(c, dialog);
    } else if (d->state == DIALOG_ENDING) {
        if (d->granted_s) // closed before it had begun: end it now
            watch_close(c, dialog);
    } else if (terminated) {
        watch_terminated(c, dialog, m);
    }
}

static struct text watch_answer_headers(unsigned status)
{
    switch (status) {
    case 415: return TEXT("Accept: application/pidf+xml\r\nAccept-Encoding: identity\r\n");
    case 489: return TEXT(SERVE_ALLOW_EVENTS);
    default: return (struct text){0};
    }
}

void watch_notify(struct core *c, const struct event *ev, uint32_t dialog)
{
    const struct sip_message *m = ev->sip;
    struct dialog *d = core_dialog(c, dialog);
    c->stats.notifies_in++;
    unsigned status = watch_notify_defect(d, m);
    bool again = !status && dialog_order(d, m) == ORDER_SAME;
    if (!status && !again)
        status = watch_take(c, dialog, m);
    server_answer(c, ev, status ? status : 200, (struct text){0}, watch_answer_headers(status));
    if (!status && !again)
        watch_after_notify(c, dialog, m);
}
