// Grants, by dialog.
#include "grants.h"

#include <stdio.h>
#include <stdlib.h>

enum { GRANTS_BUCKETS = 1024, GRANTS_NAME = 128, GRANTS_TAG = 64, GRANTS_LATE_MS = 10000 };

struct grant {
    struct grant *next;
    char name[GRANTS_NAME]; // Call-ID and our tag
    char remote[GRANTS_TAG];
    uint64_t since_ms;
    uint64_t until_ms;       // 0: nothing was granted
    uint64_t asked_until_ms; // may have been granted by an answer that a death has kept back
    uint32_t cseq;           // by which request
    uint32_t first_cseq;     // that which made the dialog
    uint32_t said_s;         // Expires of that answer
    unsigned said_life;      // and in which life of the process it was given
    uint64_t asked_ms;       // our last request
    uint32_t asked;          // its CSeq
    char branch[GRANTS_TAG]; // of its last attempt; "": answered
    bool waits;              // which is a NOTIFY that is not answered yet
    uint64_t gone_ms;        // the peer said 481
    bool over;               // ended by either side, or by NOTIFYs that failed
};

struct grants {
    struct grant *bucket[GRANTS_BUCKETS];
    uint64_t born_ms;
    unsigned life;
};

struct grants *grants_create(void)
{
    struct grants *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    return g;
}

void grants_destroy(struct grants *g)
{
    for (unsigned i = 0; i < GRANTS_BUCKETS; i++)
        for (struct grant *d = g->bucket[i], *next; d; d = next) {
            next = d->next;
            free(d);
        }
    free(g);
}

static struct grant *grant_of(struct grants *g, const struct sip_message *m, struct span our_tag)
{
    char name[GRANTS_NAME];
    unsigned hash = 0;
    snprintf(name, sizeof name, "%.*s;%.*s", TEXT_ARG(sip_text(m, m->call_id)),
             TEXT_ARG(sip_text(m, our_tag)));
    for (const char *p = name; *p; p++)
        hash = hash * 31 + (unsigned char)*p;
    struct grant **at = &g->bucket[hash % GRANTS_BUCKETS];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            abort();
        snprintf((*at)->name, GRANTS_NAME, "%s", name);
    }
    return *at;
}

// The tag of the other end, as a message of ours has it.
static void grant_remote(struct grant *d, struct text tag, const char **fault)
{
    if (*d->remote && !text_eq(tag, text_of(d->remote)))
        *fault = tag.n ? "a dialog with another remote tag" : "a dialog has lost its remote tag";
    snprintf(d->remote, sizeof d->remote, "%.*s", TEXT_ARG(tag));
}

static void grant_notify(struct grant *d, const struct sip_message *m, uint64_t at_ms,
                         uint64_t born_ms, const char **fault)
{
    bool over = m->substate == SUBSTATE_TERMINATED;
    uint64_t granted_ms = d->asked_until_ms > d->until_ms ? d->asked_until_ms : d->until_ms;
    uint64_t latest_ms = (granted_ms > born_ms ? granted_ms : born_ms) + GRANTS_LATE_MS;
    d->over |= d->waits; // nobody has answered the one before
    d->waits = true;
    if (!over && d->until_ms && at_ms > latest_ms)
        *fault = "a NOTIFY in a dialog whose time is over";
    if (over && m->reason == REASON_TIMEOUT && m->event == SIP_EVENT_PRESENCE && !d->over &&
        at_ms + 1000 < d->until_ms)
        *fault = "a dialog ends before its time";
    d->over |= over;
}

static void grant_sent(struct grant *d, const struct sip_message *m)
{
    snprintf(d->branch, sizeof d->branch, "%.*s", TEXT_ARG(sip_text(m, m->branch)));
}

void grants_request(struct grants *g, const struct sip_message *m, uint64_t at_ms,
                    const char **fault)
{
    struct grant *d = grant_of(g, m, m->from_tag);
    grant_remote(d, sip_text(m, m->to_tag), fault);
    if (d->gone_ms && at_ms > d->gone_ms)
        *fault = "a request in a dialog that its peer does not know";
    d->asked_ms = at_ms;
    d->asked = m->cseq;
    grant_sent(d, m);
    if (m->method == SIP_NOTIFY)
        grant_notify(d, m, at_ms, g->born_ms, fault);
}

// A refresh that an unsubscription has overtaken is sent again beside it, but nobody listens to
// what is said to it (client_disown()): its attempts are not the last ones.
void grants_resent(struct grants *g, const struct sip_message *m)
{
    struct grant *d = grant_of(g, m, m->from_tag);
    if (m->cseq == d->asked)
        grant_sent(d, m);
}

void grants_asked(struct grants *g, const struct sip_message *m, uint64_t at_ms)
{
    if (m->method != SIP_SUBSCRIBE || !m->to_tag.n || m->expires == SIP_ABSENT)
        return;
    struct grant *d = grant_of(g, m, m->to_tag);
    d->over |= m->expires == 0;
    uint64_t until_ms = at_ms + (uint64_t)m->expires * 1000;
    d->asked_until_ms = until_ms > d->asked_until_ms ? until_ms : d->asked_until_ms;
}

// The request that made the dialog was sent again within one life: its server transaction says word
// for word what it said before (RFC 3261 §17.2.2), also of the time. All other answers that are
// given once more are made anew, and hold by what they say.
static bool grant_replayed(const struct grant *d, const struct sip_message *m, unsigned life)
{
    return d->until_ms && d->cseq == d->first_cseq && m->cseq == d->cseq &&
           m->expires == d->said_s && d->said_life == life;
}

// While a NOTIFY is in flight, another that ends the dialog may wait behind it.
void grants_answer(struct grants *g, const struct sip_message *m, uint64_t at_ms, uint64_t ended_ms,
                   const char **fault)
{
    struct grant *d = grant_of(g, m, m->to_tag);
    if (m->method == SIP_NOTIFY && m->status == 200)
        snprintf(d->remote, sizeof d->remote, "%.*s", TEXT_ARG(sip_text(m, m->from_tag)));
    if (m->method != SIP_SUBSCRIBE)
        return;
    bool ended = ended_ms && ended_ms >= d->since_ms;
    if (m->status == 481 && !d->over && !d->waits && !ended && at_ms < d->until_ms)
        *fault = "a dialog that was accepted is not known any more";
    if (m->status >= 300 || m->expires == SIP_ABSENT || grant_replayed(d, m, g->life))
        return;
    d->cseq = m->cseq;
    d->said_s = m->expires;
    d->said_life = g->life;
    if (!d->since_ms)
        d->since_ms = at_ms, d->first_cseq = m->cseq;
    d->until_ms = at_ms + (uint64_t)m->expires * 1000;
    d->over |= m->expires == 0;
}

void grants_answered(struct grants *g, const struct sip_message *m, uint64_t at_ms,
                     uint64_t timeout_ms)
{
    struct grant *d = grant_of(g, m, m->from_tag);
    if (m->status < 200 || at_ms >= d->asked_ms + timeout_ms ||
        !text_eq(sip_text(m, m->branch), text_of(d->branch)))
        return; // comes too late to be heard, or from where it was tried before
    *d->branch = 0;
    if (m->method == SIP_NOTIFY) {
        d->waits = false;
        d->over |= m->status >= 300;
    }
    if (m->status == 481)
        d->gone_ms = at_ms;
}

void grants_birth(struct grants *g, uint64_t at_ms)
{
    g->born_ms = at_ms;
    g->life++;
    for (unsigned i = 0; i < GRANTS_BUCKETS; i++)
        for (struct grant *d = g->bucket[i]; d; d = d->next)
            d->waits = false, d->gone_ms = d->asked_ms = 0; // answers find no transaction
}

// What is in flight may be another shard's, or of one that has forgotten it: whether its answer is
// heard, nobody can tell; nor whether those of just before were.
void grants_rebirth(struct grants *g, uint64_t at_ms)
{
    g->born_ms = at_ms;
    for (unsigned i = 0; i < GRANTS_BUCKETS; i++)
        for (struct grant *d = g->bucket[i]; d; d = d->next) {
            d->gone_ms = 0;
            if (*d->branch)
                d->asked_ms = 0;
        }
}

void grants_held(struct grants *g, uint64_t at_ms)
{
    g->born_ms = at_ms;
}

void grants_doubt(struct grants *g)
{
    for (unsigned i = 0; i < GRANTS_BUCKETS; i++)
        for (struct grant *d = g->bucket[i]; d; d = d->next)
            if (d->until_ms)
                d->over = true, d->until_ms = UINT64_MAX / 2;
}

static void grant_lost(struct grant *d, struct text record)
{
    if (!record.n || !memmem(record.p, record.n, d->name, strcspn(d->name, ";")))
        return;
    d->over = true;
    d->until_ms = 0;
    *d->remote = 0;
}

void grants_lost(struct grants *g, struct text before, struct text lost)
{
    for (unsigned i = 0; i < GRANTS_BUCKETS; i++)
        for (struct grant *d = g->bucket[i]; d; d = d->next) {
            grant_lost(d, before);
            grant_lost(d, lost);
        }
}
