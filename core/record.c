// The stored form of one subscription with its dialogs.
//
//   u8 version, u8 direction, u32 owner hash, u8 state, u64 created_ms,
//   text user local, text user domain, text peer local, text peer domain, text sip uri,
//   u16 dialogs, each: u8 state, u8 flags, u64 tag, u32 cseq lease, u32 cseq remote, u32 granted_s,
//                      u64 expires_ms, FIELD_COUNT texts
//
// All little endian; a text is u16 length and bytes. Only dialogs that a peer may still use are
// kept. Version 1 had no FIELD_PACE.
#include "core/record.h"

#include <errno.h>

#include "core/dialog.h"
#include "core/domain.h"
#include "core/record_write.h"
#include "core/serve.h"
#include "core/sub.h"
#include "core/user.h"
#include "core/watch.h"

enum { RECORD_DIALOGS_MAX = 4095 }; // more than CORE_DIALOGS_PER_SUB, less than n_dialogs counts

static void put_text(struct buffer *b, struct text t)
{
    uint16_t n = (uint16_t)t.n;
    buffer_add(b, &n, sizeof n);
    buffer_text(b, t);
}

#define put(b, value) buffer_add((b), &(value), sizeof(value))

static void put_dialog(const struct dialog *d, struct buffer *b)
{
    uint8_t flags = d->flags & DIALOG_STORED;
    put(b, d->state);
    put(b, flags);
    put(b, d->tag);
    put(b, d->cseq_lease);
    put(b, d->cseq_remote);
    put(b, d->granted_s);
    put(b, d->expires_ms);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        put_text(b, dialog_get(d, i));
}

void record_write(const struct core *c, const struct sub *s, struct buffer *b)
{
    const struct user *u = core_user(c, s->user);
    uint8_t head[2] = {RECORD_VERSION, s->direction}, state = s->state;
    uint16_t n = 0;
    put(b, head);
    put(b, u->hash);
    put(b, state);
    put(b, s->created_ms);
    put_text(b, (struct text){u->local, u->local_n});
    put_text(b, domain_name(c, u->domain));
    put_text(b, (struct text){s->text, s->peer_n});
    put_text(b, domain_name(c, s->peer_domain));
    put_text(b, (struct text){s->text + s->peer_n, s->sip_n});
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        n += core_dialog(c, h)->state <= DIALOG_LIVE;
    put(b, n);
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub)
        if (core_dialog(c, h)->state <= DIALOG_LIVE)
            put_dialog(core_dialog(c, h), b);
}

// A cursor over a record; `bad` is sticky.
struct reader {
    const char *p;
    size_t n;
    bool bad;
};

static void take(struct reader *r, void *out, size_t n)
{
    if (r->bad || r->n < n) {
        r->bad = true;
        memset(out, 0, n);
        return;
    }
    memcpy(out, r->p, n);
    r->p += n;
    r->n -= n;
}

static struct text take_text(struct reader *r, size_t max)
{
    uint16_t n;
    take(r, &n, sizeof n);
    if (r->bad || n > r->n || n > max) {
        r->bad = true;
        return (struct text){0};
    }
    struct text t = {r->p, n};
    r->p += n;
    r->n -= n;
    return t;
}

struct record {
    uint8_t head[2], state;
    uint32_t owner_hash;
    uint64_t created_ms;
    struct jid user, peer;
    struct text sip_uri;
    uint16_t n_dialogs;
};

static int take_head(struct reader *r, struct record *o)
{
    take(r, o->head, sizeof o->head);
    if (r->bad)
        return EBADMSG;
    if (o->head[0] == 0 || o->head[0] > RECORD_VERSION)
        return o->head[0] ? ENOTSUP : EBADMSG;
    take(r, &o->owner_hash, sizeof o->owner_hash);
    return r->bad ? EBADMSG : 0;
}

int record_owner_hash(struct text record, uint32_t *hash)
{
    struct reader r = {record.p, record.n, false};
    struct record o;
    int err = take_head(&r, &o);
    if (!err)
        *hash = o.owner_hash;
    return err;
}

static int take_record(struct reader *r, struct record *o)
{
    *o = (struct record){0};
    int err = take_head(r, o);
    if (err)
        return err;
    take(r, &o->state, sizeof o->state);
    take(r, &o->created_ms, sizeof o->created_ms);
    o->user.local = take_text(r, JID_PART_MAX);
    o->user.domain = take_text(r, JID_PART_MAX);
    o->peer.local = take_text(r, JID_PART_MAX);
    o->peer.domain = take_text(r, JID_PART_MAX);
    o->sip_uri = take_text(r, SIP_URI_MAX);
    take(r, &o->n_dialogs, sizeof o->n_dialogs);
    bool bad = r->bad || o->n_dialogs > RECORD_DIALOGS_MAX || o->head[1] > SIP_TO_XMPP ||
               o->state > STATE_DORMANT || !o->user.local.n || !o->user.domain.n ||
               !o->peer.local.n || !o->peer.domain.n;
    return bad ? EBADMSG : 0;
}

// No dialog has more left than it was granted: a stored expiry beyond that says that the wall clock
// was set back while no process ran, and then nobody knows how much is left. (A watch is refreshed
// when its stream is up, whatever is left.)
static uint64_t restore_expiry_ms(const struct core *c, const struct dialog *stored)
{
    uint64_t most_ms = c->now_ms + (uint64_t)stored->granted_s * 1000;
    return stored->expires_ms < most_ms ? stored->expires_ms : most_ms;
}

static int restore_dialog(struct core *c, uint32_t sub, struct reader *r, uint8_t version)
{
    struct dialog v = {0};
    struct text fields[FIELD_COUNT] = {0};
    unsigned n_fields = version == 1 ? FIELD_PACE : FIELD_COUNT;
    uint8_t flags;
    take(r, &v.state, sizeof v.state);
    take(r, &flags, sizeof flags);
    take(r, &v.tag, sizeof v.tag);
    take(r, &v.cseq_lease, sizeof v.cseq_lease);
    take(r, &v.cseq_remote, sizeof v.cseq_remote);
    take(r, &v.granted_s, sizeof v.granted_s);
    take(r, &v.expires_ms, sizeof v.expires_ms);
    for (unsigned i = 0; i < n_fields; i++)
        fields[i] = take_text(r, CORE_DIALOG_TEXT_MAX);
    if (r->bad || v.state > DIALOG_LIVE || v.tag == 0)
        return EBADMSG;
    struct sub *s = core_sub(c, sub);
    uint32_t dialog = dialog_create(c, sub, core_user(c, s->user)->hash, s->direction, v.tag);
    if (!dialog)
        return ENOMEM;
    struct dialog *d = core_dialog(c, dialog);
    d->state = v.state;
    d->flags = flags & DIALOG_STORED;
    d->cseq = d->cseq_lease = v.cseq_lease; // go on above all that may have been used
    d->cseq_remote = v.cseq_remote;
    d->granted_s = v.granted_s;
    d->expires_ms = restore_expiry_ms(c, &v);
    int err = dialog_set(c, d, fields);
    if (err)
        return err == ENOMEM ? ENOMEM : EBADMSG;
    if (s->direction == XMPP_TO_SIP)
        watch_restored(c, dialog);
    else
        serve_restored(c, dialog);
    return 0;
}

static uint32_t restore_sub(struct core *c, uint64_t id, const struct record *o)
{
    uint32_t user = user_get(c, &o->user);
    uint32_t sub = user ? sub_link(c, user, &o->peer, o->sip_uri, o->head[1]) : 0;
    if (!sub)
        return 0;
    struct sub *s = core_sub(c, sub);
    s->id = id;
    s->created_ms = o->created_ms;
    s->flags |= SUB_STORED;
    // A pending one as well: a power failure may have undone the commit that had approved it, and
    // what was shown behind that is still seen.
    s->flags |= s->direction == SIP_TO_XMPP ? SUB_STALE : SUB_UNSURE;
    sub_set_state(c, s, o->state);
    return sub;
}

int record_restore(struct core *c, uint64_t id, struct text record)
{
    struct reader r = {record.p, record.n, false};
    struct record o;
    int err = take_record(&r, &o);
    if (err)
        return err;
    if (user_hash(c->cfg.key, &o.user) != o.owner_hash)
        return EBADMSG; // made under another key, or not hers
    if (sub_find(c, &o.user, &o.peer, o.head[1]))
        return EBADMSG; // two records for one pair
    uint32_t sub = restore_sub(c, id, &o);
    if (!sub)
        return ENOMEM;
    for (uint16_t i = 0; i < o.n_dialogs && !err; i++)
        err = restore_dialog(c, sub, &r, o.head[0]);
    return err ? err : r.n ? EBADMSG : 0;
}
