// Which shard an event belongs to: the owner of its XMPP user's bare JID.
//
// A request inside a dialog carries our tag, which begins with the owner's hash: it finds its way
// whatever the peer made of the addresses, and whatever the shard count is by now. A response comes
// back to the shard that our branch names. Anything else is found by the address itself.
#include <errno.h>

#include "core/contact.h"
#include "core/dialog.h"
#include "core/transaction.h"
#include "core/user.h"

unsigned core_shard_of_hash(uint32_t hash, unsigned shards)
{
    return (unsigned)(((uint64_t)hash * shards) >> 32);
}

static bool route_is_alone(const struct core *c)
{
    return c->cfg.shards == 1; // no need to look whose it is
}

static unsigned route_jid(const struct core *c, const struct jid *jid)
{
    return core_shard_of_hash(user_hash(c->cfg.key, jid), c->cfg.shards);
}

// It names no user, or there was no memory to see whom.
static unsigned route_nobody(const struct core *c, int err)
{
    return err == ENOMEM ? CORE_OWNER_UNKNOWN : c->cfg.shard;
}

unsigned core_owner_of_sip(const struct core *c, const struct sip_message *m)
{
    char scratch[JID_MAX + 1];
    struct sip_uri uri;
    struct jid jid;
    uint32_t hash;
    unsigned shard;
    if (route_is_alone(c))
        return c->cfg.shard;
    if (m->status)
        return client_branch_shard(sip_text(m, m->branch), &shard) && shard < c->cfg.shards
                   ? shard
                   : c->cfg.shard;
    if (dialog_tag_owner(sip_text(m, m->to_tag), &hash))
        return core_shard_of_hash(hash, c->cfg.shards);
    if (m->method != SIP_SUBSCRIBE || m->defect || sip_uri_parse(&uri, sip_text(m, m->ruri)) != 0)
        return c->cfg.shard;
    contact_dereference(c, &uri);
    int err = address_to_jid(&jid, &uri, scratch, sizeof scratch);
    return err ? route_nobody(c, err) : route_jid(c, &jid);
}

unsigned core_owner_of_stanza(const struct core *c, const struct stanza *s)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    if (route_is_alone(c))
        return c->cfg.shard;
    int err = jid_parse(&jid, stanza_text(s, s->from), scratch, sizeof scratch);
    return err || !jid.local.n ? route_nobody(c, err) : route_jid(c, &jid);
}
