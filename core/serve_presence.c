// The serve machine's picture of the XMPP user: her approval, and the presence of her devices.
#include "core/known.h"
#include "core/serve.h"
#include "core/serve_ask.h"
#include "core/serve_notify.h"
#include "core/serve_winfo.h"
#include "core/sub.h"

static void serve_activate(struct core *c, uint32_t sub)
{
    struct sub *s = core_sub(c, sub);
    sub_set_state(c, s, serve_live_dialogs(c, s) ? STATE_ACTIVE : STATE_DORMANT);
    s->backoff_s = 0;
    wheel_cancel(&c->wheel, &s->retry_timer);
    sub_touch(c, sub);
    serve_must_notify_all(c, sub);
    serve_winfo_changed(c, sub);
}

void serve_approved(struct core *c, const struct jid *from, const struct jid *to)
{
    uint32_t sub = sub_find(c, from, to, SIP_TO_XMPP);
    if (!sub || core_sub(c, sub)->state != STATE_PENDING)
        return;
    serve_activate(c, sub);
    serve_ask(c, sub); // ejabberd sends no presence along
}

// One device more or less. While others are there a device that left is just not listed; the last
// one stays as a closed tuple, so that the document says what it is about (RFC 8048 §6.2 note 5).
static bool serve_remember(struct core *c, struct sub *s, const struct presence *p)
{
    size_t i = known_find(s->known, p->resource);
    bool was_there = i < known_count(s->known);
    if (p->available || (was_there && known_count(s->known) == 1)) {
        bool changed = known_put(&c->shelf, &s->known, p, &c->line, c->now_ms) == KNOWN_CHANGED;
        // What was said of nobody being there is over.
        for (size_t k = known_count(s->known); changed && p->available && k-- > 0;)
            if (!known_is_available(s->known, k))
                known_remove(&c->shelf, &s->known, k);
        return changed;
    }
    if (p->resource.n == 0 &&
        known_any_available(s->known)) // none of her devices is there any more
        known_forget_resources(&c->shelf, &s->known);
    if (was_there && known_count(s->known) > 1)
        known_remove(&c->shelf, &s->known, i);
    else if (!known_count(s->known))
        known_put(&c->shelf, &s->known, p, &c->line, c->now_ms);
    else
        return false;
    return true;
}

static struct text serve_cut(struct text t, size_t most)
{
    if (t.n <= most)
        return t;
    while (most && ((unsigned char)t.p[most] & 0xc0) == 0x80) // whole characters only
        most--;
    return (struct text){t.p, most};
}

// Her server lets her say as much as fits into a stanza, and all of it would be kept for each
// device and each SIP user that watches her.
static void serve_shorten(struct presence *p)
{
    size_t left = SERVE_NOTES_MAX, n = p->n_status;
    p->n_status = 0;
    for (size_t i = 0; i < n && left; i++) {
        struct presence_status note = p->status[i];
        if (note.lang.n > SERVE_LANG_MAX)
            note.lang = (struct text){0};
        note.text = serve_cut(note.text, left);
        left -= note.text.n;
        if (note.text.n)
            p->status[p->n_status++] = note;
    }
}

// The texts of a NOTIFY, for when it comes to one: see sub_expect().
static void serve_expect(const struct core *c, const struct sub *s)
{
    if (!s->first_dialog)
        return;
    const char *text = core_dialog(c, s->first_dialog)->text;
    __builtin_prefetch(text);
    if (text)
        __builtin_prefetch(text + 64);
}

void serve_presence(struct core *c, uint32_t user, const struct jid *from, const struct jid *to,
                    const struct stanza *s)
{
    uint32_t sub = sub_find_of(c, user, to, SIP_TO_XMPP);
    if (!sub)
        return;
    struct sub *o = core_sub(c, sub);
    struct presence p;
    stanza_presence(s, from->resource, c->now_ms, &p);
    serve_expect(c, o);
    serve_shorten(&p);
    // `unavailable` may be no more than Prosody's receipt for our `subscribe`, and who shows that
    // she is there may do so to him alone, for now (RFC 6121 §4.6). Only as the answer to a probe
    // that is an approval; else it is asked for again: her server says `subscribed` if it is one
    // (RFC 6121 §3.1.3), and a probe would make Prosody forget his request if it is none.
    bool pending = o->state == STATE_PENDING;
    if (pending && !(p.available && serve_is_fenced(c, o))) {
        if (p.available)
            serve_ask(c, sub);
        return;
    }
    bool changed = serve_remember(c, o, &p);
    if (pending)
        serve_activate(c, sub);
    else if (changed)
        serve_notify_all(c, sub);
}
