// The log of requests by dialog.
#include "dialog_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "once.h"

enum { LOG_BUCKETS = 8192, LOG_NAME = 128, LOG_BRANCH = 48, LOG_RECENT = 8 };

struct sent {
    char branch[LOG_BRANCH];
    uint32_t cseq;
    unsigned body; // a hash
};

struct logged {
    struct logged *next;
    char name[LOG_NAME]; // Call-ID and our tag
    uint32_t cseq;
    struct sent recent[LOG_RECENT]; // a ring
    unsigned n;
    char in_flight[LOG_BRANCH]; // of the NOTIFY that is not answered; "": none
    uint64_t since_ms;
    uint32_t accepted; // highest CSeq of a NOTIFY that we said 200 to, in this life
};

struct dialog_log {
    struct once branches, dialogs;
    struct logged *bucket[LOG_BUCKETS];
};

struct dialog_log *dialog_log_create(void)
{
    struct dialog_log *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    return l;
}

void dialog_log_destroy(struct dialog_log *l)
{
    for (unsigned i = 0; i < LOG_BUCKETS; i++)
        for (struct logged *d = l->bucket[i], *next; d; d = next) {
            next = d->next;
            free(d);
        }
    once_free(&l->branches);
    once_free(&l->dialogs);
    free(l);
}

static struct logged *log_dialog(struct dialog_log *l, const struct sip_message *m,
                                 struct span our_tag)
{
    char name[LOG_NAME];
    snprintf(name, sizeof name, "%.*s;%.*s", TEXT_ARG(sip_text(m, m->call_id)),
             TEXT_ARG(sip_text(m, our_tag)));
    unsigned hash = 0;
    for (const char *p = name; *p; p++)
        hash = hash * 31 + (unsigned char)*p;
    struct logged **at = &l->bucket[hash % LOG_BUCKETS];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            abort();
        snprintf((*at)->name, LOG_NAME, "%s", name);
    }
    return *at;
}

static bool log_again(const struct logged *d, const char *branch, const struct sip_message *m,
                      const char **fault)
{
    for (unsigned i = 0; i < LOG_RECENT; i++)
        if (strcmp(d->recent[i].branch, branch) == 0) {
            if (d->recent[i].cseq != m->cseq)
                *fault = "a retransmission with another CSeq";
            if (m->method == SIP_NOTIFY && *d->in_flight && strcmp(d->in_flight, branch) != 0)
                *fault = "a NOTIFY is sent again while a newer one is in flight";
            return true;
        }
    return false;
}

static unsigned log_hash(struct text t)
{
    unsigned hash = 0;
    for (size_t i = 0; i < t.n; i++)
        hash = hash * 31 + (unsigned char)t.p[i];
    return hash;
}

// The last request over another transport, since the first attempt was not answered in its time: a
// transaction of its own (RFC 3263 §4.3), but the same request.
static bool log_elsewhere(struct logged *d, const char *branch, const struct sip_message *m)
{
    struct sent *last = &d->recent[(d->n - 1) % LOG_RECENT];
    if (!d->n || m->cseq != last->cseq || log_hash(sip_text(m, m->body)) != last->body)
        return false;
    if (strcmp(d->in_flight, last->branch) == 0)
        snprintf(d->in_flight, sizeof d->in_flight, "%s", branch);
    snprintf(last->branch, sizeof last->branch, "%s", branch);
    return true;
}

bool dialog_log_request(struct dialog_log *l, const struct sip_message *m, uint64_t now_ms,
                        uint32_t t1_ms, const char **fault)
{
    struct logged *d = log_dialog(l, m, m->from_tag);
    char branch[LOG_BRANCH];
    snprintf(branch, sizeof branch, "%.*s", TEXT_ARG(sip_text(m, m->branch)));
    if (log_again(d, branch, m, fault) || log_elsewhere(d, branch, m))
        return false;
    if (!once_add(&l->branches, text_of(branch)))
        *fault = "a branch is used twice";
    if (!d->n && !m->to_tag.n && !once_add(&l->dialogs, sip_text(m, m->call_id)))
        *fault = "a Call-ID is used for two dialogs";
    if (d->n && m->cseq <= d->cseq)
        *fault = "CSeq went back";
    d->cseq = m->cseq;
    struct sent *s = &d->recent[d->n++ % LOG_RECENT];
    snprintf(s->branch, sizeof s->branch, "%s", branch);
    s->cseq = m->cseq;
    s->body = log_hash(sip_text(m, m->body));
    if (m->method != SIP_NOTIFY)
        return true;
    if (*d->in_flight && now_ms < d->since_ms + 64 * (uint64_t)t1_ms)
        *fault = "a NOTIFY while another one is in flight";
    snprintf(d->in_flight, sizeof d->in_flight, "%s", branch);
    d->since_ms = now_ms;
    return true;
}

bool dialog_log_answer(struct dialog_log *l, const struct sip_message *m)
{
    if (m->method != SIP_NOTIFY || m->status != 200)
        return true;
    struct logged *d = log_dialog(l, m, m->to_tag);
    bool older = m->cseq < d->accepted;
    d->accepted = older ? d->accepted : m->cseq;
    return !older;
}

void dialog_log_answered(struct dialog_log *l, const struct sip_message *m)
{
    char branch[LOG_BRANCH];
    struct logged *d = log_dialog(l, m, m->from_tag);
    snprintf(branch, sizeof branch, "%.*s", TEXT_ARG(sip_text(m, m->branch)));
    if (strcmp(d->in_flight, branch) == 0)
        *d->in_flight = 0;
}

void dialog_log_lost(struct dialog_log *l, struct text record)
{
    for (unsigned i = 0; i < LOG_BUCKETS && record.n; i++)
        for (struct logged *d = l->bucket[i]; d; d = d->next)
            if (memmem(record.p, record.n, d->name, strcspn(d->name, ";"))) {
                d->n = d->cseq = 0;
                memset(d->recent, 0, sizeof d->recent);
            }
}

void dialog_log_death(struct dialog_log *l)
{
    for (unsigned i = 0; i < LOG_BUCKETS; i++)
        for (struct logged *d = l->bucket[i]; d; d = d->next)
            *d->in_flight = 0, d->accepted = 0;
}
