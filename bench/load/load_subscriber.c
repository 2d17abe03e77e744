// The SIP users r<i>, each of whom watches j<i> through the daemon with one device.
//
// Requests of a pair don't overlap: what is begun meanwhile is said when the one under way has its
// answer, an end before a refresh.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/load_inner.h"

static void subscriber_say(struct load *l, enum load_kind kind, unsigned i)
{
    struct load_side *s = &l->serve[i];
    struct load_dialog *d = &s->dialog;
    struct load_writer m = {.n = 0};
    if (kind == LOAD_SERVE) {
        *d = (struct load_dialog){.number = d->number + 1, .port = l->sip_port};
        snprintf(d->call_id, LOAD_NAME, "s%u.%u@load", i, d->number);
        snprintf(d->target, LOAD_URI, "sip:j%u@example.com", i);
        s->pair.cseq_in = 0;
        s->pair.live = false;
    }
    d->cseq++;
    load_sip_write(&m,
                   "SUBSCRIBE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKs%u.%llu\r\n"
                   "Max-Forwards: 70\r\nFrom: <sip:r%u@example.net>;tag=r%u.%u\r\n"
                   "To: <sip:j%u@example.com>%s%s\r\nCall-ID: %s\r\nCSeq: %u SUBSCRIBE\r\n"
                   "Contact: <sip:r%u@%s:%u>\r\nEvent: presence\r\nExpires: %u\r\n",
                   d->target, l->setup.address, l->proxy_port, i,
                   (unsigned long long)load_sip_branch(l), i, i, d->number, i,
                   *d->their_tag ? ";tag=" : "", d->their_tag, d->call_id, d->cseq, i,
                   l->setup.address, l->proxy_port, kind == LOAD_UNSERVE ? 0 : l->setup.expires_s);
    load_sip_write_body(&m, "", "");
    struct load_request head = {
        .kind = kind, .pair = i, .cseq = d->cseq, .port = d->port, .n = m.n};
    s->request = load_again_begin(l, &head, m.bytes);
}

void load_subscriber_begin(struct load *l, enum load_kind kind, unsigned i)
{
    struct load_side *s = &l->serve[i];
    if (s->request)
        s->waits |= (uint8_t)(1u << kind);
    else if (kind == LOAD_SERVE || s->pair.live)
        subscriber_say(l, kind, i);
    else // nothing to refresh, or to end
        load_end(l, kind, i, kind == LOAD_UNSERVE ? LOAD_DONE : LOAD_REFUSED);
}

static void subscriber_next(struct load *l, unsigned i)
{
    static const enum load_kind order[] = {LOAD_UNSERVE, LOAD_SERVE, LOAD_REFRESH};
    struct load_side *s = &l->serve[i];
    load_again_end(l, s->request);
    s->request = NULL;
    for (unsigned k = 0; k < 3 && !s->request; k++) {
        unsigned bit = 1u << order[k];
        if (!(s->waits & bit))
            continue;
        s->waits = (uint8_t)(s->waits & ~bit);
        load_subscriber_begin(l, order[k], i);
    }
}

static void subscriber_accepted(struct load *l, const struct load_request *r, const char *m)
{
    struct load_side *s = &l->serve[r->pair];
    load_sip_tag(m, "To", s->dialog.their_tag, LOAD_NAME);
    load_sip_learn_target(&s->dialog, m);
    s->pair.live = r->kind != LOAD_UNSERVE;
    if (r->kind != LOAD_SERVE) // that one is done when he sees her
        load_end(l, r->kind, r->pair, LOAD_DONE);
}

static void subscriber_refused(struct load *l, const struct load_request *r, unsigned status)
{
    struct load_side *s = &l->serve[r->pair];
    bool gone = r->kind == LOAD_UNSERVE && status == 481;
    if (r->kind == LOAD_REFRESH && status == 481 && s->pair.told)
        load_fault(l, "serve %u: 481 to a refresh of what was promised", r->pair);
    if (status == 481)
        s->pair.live = false;
    load_end(l, r->kind, r->pair, gone ? LOAD_DONE : LOAD_REFUSED);
}

void load_subscriber_answered(struct load *l, unsigned i, unsigned status, const char *m)
{
    struct load_request *r = l->serve[i].request;
    if (!r || r->cseq != load_sip_cseq(m) ||
        memmem(m, strlen(m), l->serve[i].dialog.call_id, strlen(l->serve[i].dialog.call_id)) ==
            NULL)
        return;
    if (status < 300)
        subscriber_accepted(l, r, m);
    else
        subscriber_refused(l, r, status);
    subscriber_next(l, i);
}

void load_subscriber_given_up(struct load *l, struct load_request *r)
{
    unsigned i = r->pair;
    load_end(l, r->kind, i, LOAD_GIVEN_UP);
    subscriber_next(l, i);
}

// ---- NOTIFY

static void subscriber_sees(struct load *l, const char *m, unsigned i)
{
    struct load_side *s = &l->serve[i];
    const char *body = strstr(m, "\r\n\r\n"), *note = strstr(body, ">load ");
    unsigned round;
    if (strstr(m, "\r\nSubscription-State: terminated")) {
        s->pair.live = false;
        return;
    }
    if (!strstr(body, "<basic>open") || !strstr(m, "\r\nSubscription-State: active"))
        return;
    s->pair.told = s->pair.wanted;
    load_end(l, LOAD_SERVE, i, LOAD_DONE);
    if (note && sscanf(note, ">load %u", &round) == 1 && round >= l->event[LOAD_PRESENCE][i].round)
        load_end(l, LOAD_PRESENCE, i, LOAD_DONE);
}

// It may come before the 200 to the SUBSCRIBE: then it makes the dialog (RFC 6665 §4.4.1).
static void subscriber_learn(struct load *l, const char *m, unsigned i)
{
    struct load_side *s = &l->serve[i];
    if (*s->dialog.their_tag || !s->request)
        return;
    load_sip_tag(m, "From", s->dialog.their_tag, LOAD_NAME);
    load_sip_learn_target(&s->dialog, m);
    s->pair.live = true;
}

void load_subscriber_told(struct load *l, const char *m, uint16_t port)
{
    unsigned i, number;
    char call_id[128];
    uint32_t cseq = load_sip_cseq(m);
    load_sip_header(m, "Call-ID", call_id, sizeof call_id);
    if (sscanf(call_id, "s%u.%u@load", &i, &number) != 2 || i >= l->setup.pairs ||
        number != l->serve[i].dialog.number) {
        load_sip_answer(l, m, "481 Subscription Does Not Exist", "", "", port);
        return;
    }
    struct load_side *s = &l->serve[i];
    if (cseq < s->pair.cseq_in) {
        load_fault(l, "serve %u: CSeq %u after %u", i, cseq, s->pair.cseq_in);
        load_sip_answer(l, m, "500 Server Internal Error", "", "", port);
        return;
    }
    subscriber_learn(l, m, i);
    load_sip_answer(l, m, "200 OK", "", "", port);
    if (cseq != s->pair.cseq_in)
        subscriber_sees(l, m, i);
    s->pair.cseq_in = cseq;
}
