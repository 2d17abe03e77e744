// Users: the bare XMPP JIDs of this shard.
#include "core/user.h"

#include <assert.h>

#include "core/domain.h"

enum { USER_FORGET_MS = 90000 }; // longer than the minute that its rate limit counts

uint32_t user_hash(const uint8_t key[CORE_KEY_BYTES], const struct jid *bare)
{
    char joined[2 * JID_PART_MAX + 1];
    assert(bare->local.n <= JID_PART_MAX && bare->domain.n <= JID_PART_MAX);
    if (bare->local.n) // a domain's own JID has none
        memcpy(joined, bare->local.p, bare->local.n);
    joined[bare->local.n] = '@';
    memcpy(joined + bare->local.n + 1, bare->domain.p, bare->domain.n);
    return (uint32_t)hash_sip(key, joined, bare->local.n + 1 + bare->domain.n);
}

void user_jid(const struct core *c, const struct user *u, struct jid *out)
{
    *out = (struct jid){.local = {u->local, u->local_n}, .domain = domain_name(c, u->domain)};
}

static uint32_t user_seek(const struct core *c, const struct jid *bare, uint32_t hash)
{
    uint32_t handle;
    for (uint32_t at = table_first(&c->user_index, hash, &handle); handle;
         at = table_next(&c->user_index, hash, at, &handle)) {
        const struct user *u = core_user(c, handle);
        struct jid jid;
        if (u->first_sub) // which is looked at next, and comes while the names are compared
            __builtin_prefetch(core_sub(c, u->first_sub));
        user_jid(c, u, &jid);
        if (jid_bare_eq(&jid, bare))
            return handle;
    }
    return 0;
}

uint32_t user_find(const struct core *c, const struct jid *bare)
{
    return user_seek(c, bare, user_hash(c->cfg.key, bare));
}

static void user_drop(struct core *c, uint32_t handle)
{
    struct user *u = core_user(c, handle);
    shelf_give(&c->shelf, u->local, u->local_n);
    pool_give(&c->users, handle);
}

static bool user_fill(struct core *c, uint32_t handle, const struct jid *bare, uint32_t hash)
{
    struct user *u = core_user(c, handle);
    u->domain = domain_intern(c, bare->domain);
    u->local = shelf_take(&c->shelf, bare->local.n);
    u->local_n = bare->local.n & 0xfff;
    u->hash = hash;
    if (u->domain == DOMAIN_NONE || !u->local)
        return false;
    if (bare->local.n)
        memcpy(u->local, bare->local.p, bare->local.n);
    return table_add(&c->user_index, hash, handle);
}

uint32_t user_get(struct core *c, const struct jid *bare)
{
    uint32_t hash = user_hash(c->cfg.key, bare);
    uint32_t handle = user_seek(c, bare, hash);
    if (handle)
        return handle;
    if (c->stats.users >= c->stats.subscriptions + CORE_IDLE_USERS_MAX)
        return 0;
    handle = pool_take(&c->users);
    if (!handle)
        return 0;
    if (!user_fill(c, handle, bare, hash)) {
        user_drop(c, handle);
        return 0;
    }
    c->stats.users++;
    user_settle(c, handle);
    return handle;
}

// Colliding resources are taken for one device: then she is thought to be gone too soon, once in
// 65535 times, or whenever she herself makes them collide.
static uint16_t user_device(struct text resource)
{
    uint64_t h = hash_plain(resource.p, resource.n);
    return (uint16_t)(h % UINT16_MAX + 1);
}

// `device` leaves the list, and those behind it close up.
static void user_device_out(struct user *u, uint16_t device)
{
    unsigned n = 0;
    for (unsigned i = 0; i < USER_DEVICES; i++)
        if (u->devices[i] != device)
            u->devices[n++] = u->devices[i];
    while (n < USER_DEVICES)
        u->devices[n++] = 0;
}

void user_device_here(struct user *u, struct text resource)
{
    uint16_t device = user_device(resource);
    user_device_out(u, device);
    memmove(u->devices + 1, u->devices, sizeof u->devices - sizeof u->devices[0]);
    u->devices[0] = device;
}

bool user_device_gone(struct user *u, struct text resource)
{
    user_device_out(u, user_device(resource));
    return u->devices[0] == 0;
}

bool user_admit(struct core *c, struct user *u)
{
    uint32_t window = (uint32_t)(c->now_ms / 60000);
    if (u->new_window != window) {
        u->new_window = window;
        u->new_count = 0;
    }
    if (u->new_count >= c->cfg.settings.new_subscriptions_per_user_per_min)
        return false;
    u->new_count++;
    return true;
}

void user_settle(struct core *c, uint32_t handle)
{
    struct user *u = core_user(c, handle);
    if (u->first_sub)
        wheel_cancel(&c->wheel, &u->forget_timer);
    else if (!u->forget_timer)
        u->forget_timer = wheel_add(&c->wheel, c->now_ms + USER_FORGET_MS, TIMER_USER, handle);
}

void user_forget_due(struct core *c, uint32_t handle)
{
    struct user *u = core_user(c, handle);
    u->forget_timer = 0;
    assert(!u->first_sub);
    wheel_cancel(&c->wheel, &u->probe_timer);
    wheel_cancel(&c->wheel, &u->session_timer);
    table_remove(&c->user_index, u->hash, handle);
    user_drop(c, handle);
    c->stats.users--;
}

void user_free_all(struct core *c)
{
    for (uint32_t h = 0; (h = pool_after(&c->users, h));)
        user_drop(c, h);
}
