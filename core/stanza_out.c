// Stanzas that the core says.
#include "core/stanza_out.h"

#include "core/domain.h"
#include "core/hex.h"
#include "core/sub.h"
#include "core/user.h"
#include "core/wire/stanza_pep.h"

// An effect for `domain`'s stream; NULL when it is down or there is no memory.
static struct effect *out_begin(struct core *c, uint16_t domain)
{
    if (!domain_is(c, domain, DOMAIN_STREAM | DOMAIN_UP))
        return NULL;
    struct effect *e = effects_begin(c->fx, EFFECT_STANZA);
    if (e)
        e->domain = c->domains[domain].stream;
    return e;
}

static void out_end(struct core *c, struct effect *e)
{
    if (c->fx->bytes.n == e->bytes.off)
        return; // nothing to say, e.g. no error to an error
    effects_end(c->fx, e);
    c->stats.stanzas_out++;
}

// Both bare JIDs of a pair in c->addr: the SIP user's first.
static void out_addresses(struct core *c, const struct sub *s, struct text *peer, struct text *user)
{
    buffer_reset(&c->addr);
    sub_write_peer_jid(c, s, &c->addr);
    size_t n = c->addr.n;
    sub_write_user_jid(c, s, &c->addr);
    *peer = (struct text){c->addr.p, n};
    *user = (struct text){c->addr.p + n, c->addr.n - n};
}

void stanza_out_plain(struct core *c, uint16_t domain, struct text from, struct text to,
                      enum stanza_type type, struct text id)
{
    struct effect *e = out_begin(c, domain);
    if (!e)
        return;
    stanza_write_presence(&c->fx->bytes, from, to, type, id);
    out_end(c, e);
}

void stanza_out_presence(struct core *c, uint16_t domain, struct text from, struct text to,
                         const struct presence *p)
{
    struct effect *e = out_begin(c, domain);
    if (!e)
        return;
    struct text caps = {c->caps.p, c->caps.n};
    stanza_write_notification(&c->fx->bytes, from, to, p, caps, c->now_ms);
    out_end(c, e);
}

void stanza_out_pair(struct core *c, const struct sub *s, enum stanza_type type, struct text id)
{
    struct text peer, user;
    out_addresses(c, s, &peer, &user);
    stanza_out_plain(c, s->peer_domain, peer, user, type, id);
}

static void out_fence(struct core *c, uint16_t domain, struct text from, struct text to,
                      struct text id)
{
    struct effect *e = out_begin(c, domain);
    if (!e)
        return;
    stanza_write_disco_info_get(&c->fx->bytes, from, to, id);
    out_end(c, e);
    c->stats.fences++;
}

void stanza_out_pair_fence(struct core *c, const struct sub *s, struct text id)
{
    struct text peer, user;
    out_addresses(c, s, &peer, &user);
    out_fence(c, s->peer_domain, peer, user, id);
}

void stanza_out_notification(struct core *c, const struct sub *s, const struct presence *p,
                             struct text to)
{
    struct text peer, user;
    out_addresses(c, s, &peer, &user);
    stanza_out_presence(c, s->peer_domain, peer, to.n ? to : user, p);
}

void stanza_out_pep(struct core *c, const struct sub *s, enum stanza_pep pep, struct text payload,
                    struct text to)
{
    struct text peer, user;
    out_addresses(c, s, &peer, &user);
    struct effect *e = out_begin(c, s->peer_domain);
    if (!e)
        return;
    stanza_write_pep(&c->fx->bytes, peer, to.n ? to : user, pep, payload);
    out_end(c, e);
}

void stanza_out_error(struct core *c, uint16_t domain, const struct stanza *in,
                      enum stanza_condition condition)
{
    struct effect *e = out_begin(c, domain);
    if (!e)
        return;
    stanza_write_error(&c->fx->bytes, in, condition);
    out_end(c, e);
}

void stanza_out_result(struct core *c, uint16_t domain, const struct stanza *in,
                       struct text payload)
{
    struct effect *e = out_begin(c, domain);
    if (!e)
        return;
    stanza_write_result(&c->fx->bytes, in, payload);
    out_end(c, e);
}

void stanza_out_fence_id(uint32_t nonce, char out[STANZA_FENCE_ID])
{
    out[0] = 'f';
    hex_write(out + 1, nonce, 8);
}

void stanza_out_fenced_probe(struct core *c, const struct user *user, uint16_t sip_domain,
                             uint32_t nonce)
{
    uint16_t domain = c->gateway != DOMAIN_NONE ? c->gateway : sip_domain;
    struct text from = domain_name(c, domain);
    struct jid jid;
    char id[STANZA_FENCE_ID];
    user_jid(c, user, &jid);
    buffer_reset(&c->addr);
    jid_write_bare(&c->addr, &jid);
    struct text to = {c->addr.p, c->addr.n};
    stanza_out_plain(c, domain, from, to, STANZA_PROBE, (struct text){0});
    stanza_out_fence_id(nonce, id);
    out_fence(c, domain, from, to, (struct text){id, sizeof id});
    c->stats.probes++;
}
