// One-time fetches: a probe without an authorization.
#include "core/watch_fetch.h"

#include <stdlib.h>

#include "core/dialog.h"
#include "core/domain.h"
#include "core/stanza_out.h"
#include "core/watch_dialog.h"
#include "core/wire/error_map.h"
#include "core/wire/memory.h"

// FIELD_REPLY_TO holds who asked, and the probe's id behind a line end, which no JID has in it.
static void fetch_write_reply_to(struct buffer *b, const struct stanza *s)
{
    struct text id = stanza_text(s, s->id);
    buffer_text(b, stanza_text(s, s->from));
    if (!id.n || id.n > WATCH_FETCH_ID_MAX)
        return;
    buffer_char(b, '\n');
    buffer_text(b, id);
}

static uint32_t fetch_dialog(struct core *c, const struct stanza *s, const struct jid *from,
                             const struct jid *to, uint32_t owner_hash)
{
    struct buffer *b = &c->line;
    struct jid user = {.local = from->local, .domain = from->domain};
    struct jid peer = {.local = to->local, .domain = to->domain};
    buffer_reset(b);
    address_to_sip(b, &user);
    size_t user_n = b->n;
    address_to_sip(b, &peer);
    size_t peer_n = b->n - user_n;
    fetch_write_reply_to(b, s);
    if (b->failed)
        return 0;
    struct text fields[FIELD_COUNT] = {0};
    size_t at = user_n + peer_n;
    fields[FIELD_LOCAL_URI] = (struct text){b->p, user_n};
    fields[FIELD_REMOTE_URI] = (struct text){b->p + user_n, peer_n};
    fields[FIELD_REPLY_TO] = (struct text){b->p + at, b->n - at};
    return watch_dialog_create(c, 0, owner_hash, fields);
}

void watch_fetch(struct core *c, const struct stanza *s, const struct jid *from,
                 const struct jid *to, uint32_t owner_hash)
{
    uint32_t dialog = fetch_dialog(c, s, from, to, owner_hash);
    if (dialog)
        core_dialog(c, dialog)->flags |= DIALOG_FETCH;
    if (dialog && watch_begin(c, dialog, 0) == 0)
        return;
    if (dialog)
        dialog_free(c, dialog);
    c->stats.refused_limit++;
    stanza_out_error(c, domain_find(c, to->domain), s, CONDITION_RESOURCE_CONSTRAINT);
}

// ---- The answer

struct answer {
    uint16_t domain;
    struct jid peer;
    struct text from, to, id; // `from` lies in c->addr
    char scratch[JID_MAX + 1];
};

static bool answer_jid(const struct dialog *d, enum dialog_field field, struct jid *out,
                       char scratch[JID_MAX + 1])
{
    struct sip_uri uri;
    return sip_uri_parse(&uri, dialog_get(d, field)) == 0 &&
           address_to_jid(out, &uri, scratch, JID_MAX + 1) == 0;
}

// False: nothing is to be said, since trust in either of them was taken away meanwhile.
static bool answer_begin(struct core *c, const struct dialog *d, struct answer *a)
{
    struct jid user;
    char scratch[JID_MAX + 1];
    if (!answer_jid(d, FIELD_LOCAL_URI, &user, scratch) ||
        !answer_jid(d, FIELD_REMOTE_URI, &a->peer, a->scratch) ||
        !domain_is(c, domain_find(c, user.domain), DOMAIN_XMPP) ||
        !domain_is(c, domain_find(c, a->peer.domain), DOMAIN_SIP))
        return false;
    struct text to = dialog_get(d, FIELD_REPLY_TO);
    const char *end = to.n ? memchr(to.p, '\n', to.n) : NULL;
    a->domain = domain_find(c, a->peer.domain);
    a->id = (struct text){0};
    if (end) {
        a->id = (struct text){end + 1, to.n - (size_t)(end + 1 - to.p)};
        to.n = (size_t)(end - to.p);
    }
    a->to = to;
    buffer_reset(&c->addr);
    jid_write_bare(&c->addr, &a->peer);
    a->from = (struct text){c->addr.p, c->addr.n};
    return !c->addr.failed;
}

static void fetch_say(struct core *c, const struct dialog *d, const struct presence *p)
{
    struct answer a;
    if (answer_begin(c, d, &a))
        stanza_out_presence(c, a.domain, a.from, a.to, p);
}

static void fetch_say_unsubscribed(struct core *c, const struct dialog *d)
{
    struct answer a;
    if (answer_begin(c, d, &a))
        stanza_out_plain(c, a.domain, a.from, a.to, STANZA_UNSUBSCRIBED, a.id);
}

static struct span probe_put(struct stanza *probe, struct text t)
{
    struct span at = {probe->size - (uint32_t)sizeof *probe, (uint32_t)t.n};
    if (t.n)
        memcpy(probe->text + at.off, t.p, t.n);
    probe->size += (uint32_t)t.n;
    return at;
}

// An error answers a stanza: the probe, as far as it matters.
static void fetch_say_error(struct core *c, const struct dialog *d, enum stanza_condition condition)
{
    struct answer a;
    if (!answer_begin(c, d, &a))
        return;
    struct stanza *probe = memory_take_zeroed(1, sizeof *probe + a.from.n + a.to.n + a.id.n);
    if (!probe)
        return; // as if it had been lost
    probe->size = sizeof *probe;
    probe->kind = STANZA_PRESENCE;
    probe->type = STANZA_PROBE;
    probe->from = probe_put(probe, a.to);
    probe->to = probe_put(probe, a.from);
    probe->id = probe_put(probe, a.id);
    stanza_out_error(c, a.domain, probe, condition);
    free(probe);
}

// <gone/> for 301 MUST name the new address (RFC 7247 §7.2 note 1): one that could be asked has
// been (core/watch_dialog.h), and the others are no JIDs.
static enum stanza_condition fetch_condition(unsigned status)
{
    return status == 301 ? CONDITION_REDIRECT : error_map_to_xmpp(status);
}

void watch_fetch_declined(struct core *c, uint32_t dialog, unsigned status, bool for_good)
{
    struct dialog *d = core_dialog(c, dialog);
    if (for_good)
        fetch_say_unsubscribed(c, d);
    else
        fetch_say_error(c, d, fetch_condition(status));
    dialog_free(c, dialog);
}

// Whoever is not approved yet sees nobody, whatever the document says (RFC 3856 §4: it "may be
// bogus").
void watch_fetch_shown(struct core *c, const struct dialog *d, const struct sip_message *m,
                       const struct pidf *doc)
{
    struct presence nobody = {0};
    bool ended = m->substate == SUBSTATE_TERMINATED;
    size_t n = m->substate == SUBSTATE_PENDING ? 0 : doc->n;
    if (ended && (m->reason == REASON_REJECTED || m->reason == REASON_NORESOURCE)) {
        fetch_say_unsubscribed(c, d);
        return;
    }
    for (size_t i = 0; i < n; i++)
        fetch_say(c, d, &doc->tuple[i]);
    if (!n)
        fetch_say(c, d, &nobody);
}
