// Subscriptions: the long-lived authorization of one pair in one direction, and its record.
#include "core/sub.h"

#include <assert.h>
#include <stdlib.h>

#include "core/domain.h"
#include "core/known.h"
#include "core/record_write.h"
#include "core/sip_user.h"
#include "core/user.h"
#include "core/wire/memory.h"

enum { SUB_FEW = 2 }; // of a user: faster looked at than hashed

// Without a key, for those of both JIDs are made with one.
static uint32_t sub_hash(const struct core *c, uint32_t user_hash_, const struct jid *peer,
                         enum core_direction direction)
{
    uint32_t parts[3] = {user_hash_, user_hash(c->cfg.key, peer), direction};
    return (uint32_t)hash_plain(parts, sizeof parts);
}

void sub_peer_jid(const struct core *c, const struct sub *s, struct jid *out)
{
    *out = (struct jid){.local = {s->text, s->peer_n}, .domain = domain_name(c, s->peer_domain)};
}

uint32_t sub_find(const struct core *c, const struct jid *xmpp, const struct jid *peer,
                  enum core_direction direction)
{
    uint32_t user = user_find(c, xmpp);
    return user ? sub_find_of(c, user, peer, direction) : 0;
}

static bool sub_is(const struct core *c, const struct sub *s, const struct jid *peer,
                   enum core_direction direction)
{
    struct jid jid;
    if (s->direction != direction)
        return false;
    sub_peer_jid(c, s, &jid);
    return jid_bare_eq(&jid, peer);
}

static uint32_t sub_find_among(const struct core *c, const struct user *u, const struct jid *peer,
                               enum core_direction direction)
{
    for (uint32_t h = u->first_sub; h; h = core_sub(c, h)->next_of_user) {
        const struct sub *s = core_sub(c, h);
        if (!(s->flags & SUB_ENDED) && sub_is(c, s, peer, direction))
            return h;
    }
    return 0;
}

// What is wanted of it next lies in several places, each of them a line that is in no cache when
// there are a million: asked for together they come together.
static void sub_expect(const struct core *c, const struct sub *s)
{
    __builtin_prefetch(s->known);
    if (s->known)
        __builtin_prefetch((const char *)s->known + 64);
    if (!s->first_dialog)
        return;
    const struct dialog *d = core_dialog(c, s->first_dialog);
    __builtin_prefetch(d);
    __builtin_prefetch(&d->text);
}

static uint32_t sub_seek(const struct core *c, uint32_t user, const struct jid *peer,
                         enum core_direction direction)
{
    const struct user *u = core_user(c, user);
    if (u->n_subs <= SUB_FEW)
        return sub_find_among(c, u, peer, direction);
    uint32_t handle, hash = sub_hash(c, u->hash, peer, direction);
    for (uint32_t at = table_first(&c->sub_index, hash, &handle); handle;
         at = table_next(&c->sub_index, hash, at, &handle)) {
        const struct sub *s = core_sub(c, handle);
        if (s->user == user && sub_is(c, s, peer, direction))
            return handle;
    }
    return 0;
}

uint32_t sub_find_of(const struct core *c, uint32_t user, const struct jid *peer,
                     enum core_direction direction)
{
    uint32_t sub = sub_seek(c, user, peer, direction);
    if (sub)
        sub_expect(c, core_sub(c, sub));
    return sub;
}

static void sub_drop(struct core *c, uint32_t handle)
{
    struct sub *s = core_sub(c, handle);
    known_free(&c->shelf, &s->known);
    shelf_give(&c->shelf, s->text, (size_t)s->peer_n + s->sip_n);
    pool_give(&c->subs, handle);
}

static bool sub_fill(struct core *c, uint32_t handle, uint32_t user, const struct jid *peer,
                     struct text sip_uri)
{
    struct sub *s = core_sub(c, handle);
    s->peer_domain = domain_intern(c, peer->domain);
    s->text = shelf_take(&c->shelf, peer->local.n + sip_uri.n);
    s->peer_n = (uint16_t)peer->local.n;
    s->sip_n = (uint16_t)sip_uri.n;
    s->user = user;
    if (s->peer_domain == DOMAIN_NONE || !s->text)
        return false;
    memcpy(s->text, peer->local.p, peer->local.n);
    if (sip_uri.n)
        memcpy(s->text + peer->local.n, sip_uri.p, sip_uri.n);
    uint32_t hash = sub_hash(c, core_user(c, user)->hash, peer, s->direction);
    if (!table_add(&c->sub_index, hash, handle))
        return false;
    if (s->direction == XMPP_TO_SIP || sip_user_watches_more(c, peer))
        return true;
    table_remove(&c->sub_index, hash, handle);
    return false;
}

uint32_t sub_link(struct core *c, uint32_t user, const struct jid *peer, struct text sip_uri,
                  enum core_direction direction)
{
    uint32_t handle = pool_take(&c->subs);
    if (!handle)
        return 0;
    struct user *u = core_user(c, user);
    struct sub *s = core_sub(c, handle);
    s->direction = direction & 1;
    if (!sub_fill(c, handle, user, peer, sip_uri)) {
        sub_drop(c, handle);
        return 0;
    }
    s->next_of_user = u->first_sub;
    u->first_sub = handle;
    u->n_subs++;
    c->stats.subscriptions++;
    c->stats.by_state[direction][STATE_PENDING]++;
    user_settle(c, user);
    return handle;
}

uint32_t sub_create(struct core *c, uint32_t user, const struct jid *peer, struct text sip_uri,
                    enum core_direction direction)
{
    uint32_t handle = sub_link(c, user, peer, sip_uri, direction);
    if (!handle)
        return 0;
    struct sub *s = core_sub(c, handle);
    s->id = c->next_id;
    c->next_id += CORE_SHARDS_MAX; // see core_id_from()
    s->created_ms = c->now_ms;
    sub_touch(c, handle);
    return handle;
}

void sub_touch(struct core *c, uint32_t handle)
{
    struct sub *s = core_sub(c, handle);
    if (s->flags & SUB_UNSAVED)
        return;
    if (c->n_unsaved == c->unsaved_cap) {
        size_t cap = c->unsaved_cap ? c->unsaved_cap * 2 : 64;
        uint32_t *v = memory_grow(c->unsaved, cap * sizeof *v);
        if (!v) {
            if (c->fx)
                c->fx->failed = true;
            return;
        }
        c->unsaved = v;
        c->unsaved_cap = cap;
    }
    c->unsaved[c->n_unsaved++] = handle;
    s->flags |= SUB_UNSAVED;
}

void sub_set_state(struct core *c, struct sub *s, enum core_state state)
{
    c->stats.by_state[s->direction][s->state]--;
    c->stats.by_state[s->direction][state]++;
    s->state = state & 3;
}

uint64_t sub_backoff_ms(struct core *c, struct sub *s)
{
    if (!s->backoff_s)
        s->backoff_s = CORE_RETRY_FIRST_S;
    uint64_t wait_ms = (uint64_t)s->backoff_s * 1000;
    wait_ms += hash_random_below(&c->random, (uint32_t)(wait_ms / 4));
    s->backoff_s = s->backoff_s * 2 > CORE_RETRY_MAX_S ? CORE_RETRY_MAX_S : s->backoff_s * 2;
    return wait_ms;
}

void sub_end(struct core *c, uint32_t handle)
{
    struct sub *s = core_sub(c, handle);
    struct jid peer;
    assert(!(s->flags & SUB_ENDED));
    sub_peer_jid(c, s, &peer);
    uint32_t hash = sub_hash(c, core_user(c, s->user)->hash, &peer, s->direction);
    table_remove(&c->sub_index, hash, handle);
    if (s->direction == SIP_TO_XMPP)
        sip_user_watches_less(c, &peer);
    wheel_cancel(&c->wheel, &s->retry_timer);
    s->flags |= SUB_ENDED;
    s->flags &= (uint16_t)~SUB_WANTS;
    c->stats.subscriptions--;
    c->stats.by_state[s->direction][s->state]--;
    sub_touch(c, handle);
}

static void sub_put(struct core *c, uint32_t handle)
{
    struct sub *s = core_sub(c, handle);
    struct effect *e = effects_begin(c->fx, EFFECT_PUT);
    if (!e)
        return;
    e->id = s->id;
    e->fresh = !(s->flags & SUB_STORED);
    record_write(c, s, &c->fx->bytes);
    effects_end(c->fx, e);
    s->flags |= SUB_STORED;
    c->stats.records_put++;
}

static void sub_delete(struct core *c, uint32_t handle)
{
    struct sub *s = core_sub(c, handle);
    if (!(s->flags & SUB_STORED))
        return;
    struct effect *e = effects_begin(c->fx, EFFECT_DELETE);
    if (!e)
        return;
    e->id = s->id;
    effects_end(c->fx, e);
    s->flags &= (uint16_t)~SUB_STORED;
    c->stats.records_deleted++;
}

static void sub_destroy(struct core *c, uint32_t handle)
{
    struct sub *s = core_sub(c, handle);
    struct user *u = core_user(c, s->user);
    uint32_t *at = &u->first_sub;
    while (*at != handle)
        at = &core_sub(c, *at)->next_of_user;
    *at = s->next_of_user;
    u->n_subs--;
    user_settle(c, s->user);
    sub_drop(c, handle);
}

void sub_flush(struct core *c)
{
    for (size_t i = 0; i < c->n_unsaved; i++) {
        uint32_t handle = c->unsaved[i];
        struct sub *s = core_sub(c, handle);
        s->flags &= (uint16_t)~SUB_UNSAVED;
        if (!(s->flags & SUB_ENDED))
            sub_put(c, handle);
        else
            sub_delete(c, handle);
        if ((s->flags & SUB_ENDED) && !s->first_dialog)
            sub_destroy(c, handle);
    }
    c->n_unsaved = 0;
}

void sub_free_all(struct core *c)
{
    for (uint32_t h = 0; (h = pool_after(&c->subs, h));)
        sub_drop(c, h);
    free(c->unsaved);
}

void sub_write_peer_jid(const struct core *c, const struct sub *s, struct buffer *b)
{
    struct jid jid;
    sub_peer_jid(c, s, &jid);
    jid_write_bare(b, &jid);
}

void sub_write_user_jid(const struct core *c, const struct sub *s, struct buffer *b)
{
    struct jid jid;
    user_jid(c, core_user(c, s->user), &jid);
    jid_write_bare(b, &jid);
}

// What address_to_sip() makes of it.
static void sub_write_address(const struct core *c, struct text local, uint16_t domain,
                              struct buffer *b)
{
    if (local.n) {
        address_user_to_sip(b, local);
        buffer_char(b, '@');
    }
    domain_write_sip(c, domain, b);
}

void sub_write_sip_uri(const struct core *c, const struct sub *s, struct buffer *b)
{
    if (s->sip_n) {
        buffer_add(b, s->text + s->peer_n, s->sip_n);
        return;
    }
    buffer_lit(b, "sip:");
    sub_write_address(c, (struct text){s->text, s->peer_n}, s->peer_domain, b);
}

void sub_write_user_address(const struct core *c, const struct sub *s, struct buffer *b)
{
    const struct user *u = core_user(c, s->user);
    sub_write_address(c, (struct text){u->local, u->local_n}, u->domain, b);
}

void sub_write_user_sip_uri(const struct core *c, const struct sub *s, struct buffer *b)
{
    buffer_lit(b, "sip:");
    sub_write_user_address(c, s, b);
}

bool sub_stream_up(const struct core *c, const struct sub *s)
{
    return domain_is(c, s->peer_domain, DOMAIN_STREAM | DOMAIN_UP);
}

bool sub_trusted(const struct core *c, const struct sub *s)
{
    return domain_is(c, s->peer_domain, DOMAIN_SIP) &&
           domain_is(c, core_user(c, s->user)->domain, DOMAIN_XMPP);
}
