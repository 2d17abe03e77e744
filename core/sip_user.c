// SIP users, by how many XMPP users each of them watches.
//
// The table's handle is the number itself: eight bytes for each. It knows no names; two users of
// one hash, which nobody can aim at, share their bound.
#include "core/sip_user.h"

#include "core/user.h"

static uint32_t sip_user_count(const struct core *c, uint32_t hash)
{
    uint32_t n;
    table_first(&c->sip_user_index, hash, &n);
    return n;
}

uint32_t sip_user_watches(const struct core *c, const struct jid *bare)
{
    return sip_user_count(c, user_hash(c->cfg.key, bare));
}

bool sip_user_watches_more(struct core *c, const struct jid *bare)
{
    uint32_t hash = user_hash(c->cfg.key, bare), n = sip_user_count(c, hash);
    if (n)
        table_remove(&c->sip_user_index, hash, n);
    return table_add(&c->sip_user_index, hash, n + 1);
}

void sip_user_watches_less(struct core *c, const struct jid *bare)
{
    uint32_t hash = user_hash(c->cfg.key, bare), n = sip_user_count(c, hash);
    table_remove(&c->sip_user_index, hash, n);
    if (n > 1)
        table_add(&c->sip_user_index, hash, n - 1); // there is room: one has just gone
}
