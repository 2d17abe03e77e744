// Stanzas as they come in.
//
//   stanza ─▶ addresses ─▶ is `to` ours? is `from` trusted?
//          ─▶ to a domain's own JID: an answer to our probe, a question, or not for us
//          ─▶ presence, by type, to watch or serve; questions to manners; all else gets the error
//             that RFC 6120 asks for
#include "core/stanza_in.h"

#include "core/domain.h"
#include "core/manners.h"
#include "core/pep.h"
#include "core/probe.h"
#include "core/serve.h"
#include "core/stanza_out.h"
#include "core/user.h"
#include "core/watch.h"
#include "core/watch_session.h"

struct addressed {
    struct jid from, to;
    uint16_t to_domain;
    char from_scratch[JID_MAX + 1], to_scratch[JID_MAX + 1];
};

// A notification or an answer to one of ours, which wants no answer even if it can't be used.
static bool stanza_wants_answer(const struct stanza *s)
{
    switch (s->kind) {
    case STANZA_PRESENCE:
        return s->type == STANZA_SUBSCRIBE || s->type == STANZA_UNSUBSCRIBE ||
               s->type == STANZA_PROBE;
    case STANZA_IQ: return s->type != STANZA_RESULT && s->type != STANZA_ERROR;
    default: return s->type != STANZA_ERROR && s->pep == PEP_NONE;
    }
}

static void stanza_refuse(struct core *c, const struct addressed *a, const struct stanza *s,
                          enum stanza_condition condition)
{
    if (stanza_wants_answer(s))
        stanza_out_error(c, a->to_domain, s, condition);
}

static void stanza_presence_error(struct core *c, const struct addressed *a, const struct stanza *s)
{
    serve_error(c, &a->from, &a->to, s->condition);
    watch_bounced(c, &a->from, &a->to, s->condition);
}

static void stanza_available(struct core *c, const struct addressed *a, const struct stanza *s)
{
    uint32_t user = user_find(c, &a->from);
    if (!user)
        return;
    serve_presence(c, user, &a->from, &a->to, s);
    if (s->type == STANZA_NONE)
        watch_user_seen(c, user, &a->from, &a->to);
    else
        watch_session_left(c, &a->from, &a->to);
}

static void stanza_to_user(struct core *c, const struct addressed *a, const struct stanza *s)
{
    switch ((enum stanza_type)s->type) {
    case STANZA_SUBSCRIBE: watch_subscribe(c, s, &a->from, &a->to); break;
    case STANZA_UNSUBSCRIBE: watch_unsubscribe(c, &a->from, &a->to); break;
    case STANZA_PROBE: watch_probe(c, s, &a->from, &a->to); break;
    case STANZA_SUBSCRIBED: serve_approved(c, &a->from, &a->to); break;
    case STANZA_UNSUBSCRIBED:
        serve_rejected(c, &a->from, &a->to, s);
        watch_session_revoked(c, &a->from, &a->to);
        break;
    case STANZA_ERROR: stanza_presence_error(c, a, s); break;
    case STANZA_NONE:
    case STANZA_UNAVAILABLE: stanza_available(c, a, s); break;
    default: stanza_out_error(c, a->to_domain, s, CONDITION_BAD_REQUEST); break;
    }
}

// Somebody at the gateway's own name, which is there to probe from and no SIP domain.
static bool stanza_to_nobody(const struct core *c, const struct addressed *a)
{
    return a->to.local.n && !domain_is(c, a->to_domain, DOMAIN_SIP);
}

// To the domain itself: what the gateway's own probes bring back, questions about the gateway, else
// nothing that it offers.
static void stanza_to_domain(struct core *c, const struct addressed *a, const struct stanza *s)
{
    uint32_t user = a->from.local.n ? user_find(c, &a->from) : 0;
    if (user && probe_answer(c, user, s))
        return;
    if (!manners(c, a->to_domain, &a->from, &a->to, s))
        stanza_refuse(c, a, s, CONDITION_SERVICE_UNAVAILABLE);
}

static void stanza_trusted(struct core *c, const struct addressed *a, const struct stanza *s)
{
    if (s->kind == STANZA_IQ && (s->type == STANZA_NONE || s->type == STANZA_OTHER)) {
        stanza_refuse(c, a, s, CONDITION_BAD_REQUEST); // RFC 6120 §8.2.3
    } else if (!a->to.local.n) {
        stanza_to_domain(c, a, s);
    } else if (stanza_to_nobody(c, a)) {
        stanza_refuse(c, a, s, CONDITION_ITEM_NOT_FOUND);
    } else if (s->kind == STANZA_PRESENCE) {
        if (a->from.local.n)
            stanza_to_user(c, a, s);
    } else if (s->pep != PEP_NONE && s->type != STANZA_ERROR) { // else one of ours came back
        pep_in(c, &a->from, &a->to, s);
    } else if (s->kind == STANZA_IQ && !stanza_wants_answer(s)) {
        if (a->from.local.n)
            serve_fence(c, &a->from, &a->to, s);
    } else if (!manners(c, a->to_domain, &a->from, &a->to, s)) {
        stanza_refuse(c, a, s, CONDITION_SERVICE_UNAVAILABLE);
    }
}

static bool stanza_addresses(struct core *c, struct addressed *a, const struct stanza *s)
{
    if (jid_parse(&a->from, stanza_text(s, s->from), a->from_scratch, sizeof a->from_scratch) != 0)
        return false; // nobody to answer to
    if (jid_parse(&a->to, stanza_text(s, s->to), a->to_scratch, sizeof a->to_scratch) == 0) {
        a->to_domain = domain_find(c, a->to.domain);
        return domain_is(c, a->to_domain, DOMAIN_STREAM);
    }
    // A `to` that is no JID: the part behind the '@' may still tell whose stream it came by.
    struct text to = stanza_text(s, s->to);
    const char *at = to.n ? memchr(to.p, '@', to.n) : NULL;
    if (at) {
        struct text host = {at + 1, to.n - (size_t)(at + 1 - to.p)};
        const char *slash = host.n ? memchr(host.p, '/', host.n) : NULL;
        if (slash)
            host.n = (size_t)(slash - host.p);
        a->to_domain = domain_find(c, host);
        if (domain_is(c, a->to_domain, DOMAIN_STREAM))
            stanza_refuse(c, a, s, CONDITION_JID_MALFORMED);
    }
    return false;
}

void stanza_in(struct core *c, const struct stanza *s)
{
    struct addressed a;
    c->stats.stanzas_in++;
    if (!stanza_addresses(c, &a, s)) {
        c->stats.malformed++;
        return;
    }
    bool served = domain_is(c, a.to_domain, DOMAIN_SIP) || a.to_domain == c->gateway;
    if (!served || !domain_is(c, domain_find(c, a.from.domain), DOMAIN_XMPP)) {
        c->stats.refused_trust++;
        stanza_refuse(c, &a, s, CONDITION_FORBIDDEN);
        return;
    }
    if (s->too_big) {
        c->stats.refused_limit++;
        stanza_refuse(c, &a, s, CONDITION_POLICY_VIOLATION);
        return;
    }
    stanza_trusted(c, &a, s);
}
