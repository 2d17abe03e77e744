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
    const char *name = load_name_filler(s);
    struct load_writer m;
    if (kind == LOAD_SERVE) {
        *d = (struct load_dialog){.number = d->number + 1, .port = l->sip_port};
        snprintf(d->call_id, LOAD_NAME, "s%u.%u@load%s", i, d->number, name);
        snprintf(d->target, LOAD_URI, "sip:%s%u@example.com", load_watched(l), load_user(l, i));
        s->pair.cseq_in = 0;
        s->pair.live = false;
    }
    d->cseq++;
    m.n = 0;
    load_sip_write(&m,
                   "SUBSCRIBE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKs%u.%u%s\r\n"
                   "Max-Forwards: 70\r\nFrom: <sip:r%u@example.net>;tag=r%u.%u%s\r\n"
                   "To: <sip:%s%u@example.com>%s%s\r\nCall-ID: %s\r\nCSeq: %u SUBSCRIBE\r\n"
                   "Contact: <sip:r%u@%s:%u>\r\nEvent: presence\r\nExpires: %u\r\n",
                   d->target, l->setup.address, l->proxy_port, i, load_sip_branch(l),
                   load_filler(l, i), i, i, d->number, name, load_watched(l), load_user(l, i),
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

static void subscriber_accepted(struct load *l, const struct load_request *r,
                                const struct load_message *m)
{
    struct load_side *s = &l->serve[r->pair];
    load_piece_copy(load_message_tag(m->to), s->dialog.their_tag, LOAD_NAME);
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

void load_subscriber_answered(struct load *l, unsigned i, unsigned status,
                              const struct load_message *m)
{
    struct load_request *r = l->serve[i].request;
    if (!r || r->cseq != m->number || !load_piece_eq(m->call_id, l->serve[i].dialog.call_id))
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

// Whether it is her presence of that round, or a newer one.
static bool subscriber_reads(const struct load *l, const char *pidf, unsigned wanted)
{
    const char *note = strstr(pidf, ">load ");
    uint32_t round;
    if (l->setup.subject)
        return l->setup.subject->tells(pidf, wanted);
    return load_digits(load_after(note, ">load "), &round) && round >= wanted;
}

static void subscriber_sees(struct load *l, const struct load_message *m, unsigned i)
{
    struct load_side *s = &l->serve[i];
    if (load_after(m->state.p, "terminated")) {
        s->pair.live = false;
        return;
    }
    const char *open = load_after(m->state.p, "active") ? strstr(m->body, "<basic>open") : NULL;
    if (!open)
        return;
    s->pair.told = s->pair.wanted;
    load_end(l, LOAD_SERVE, i, LOAD_DONE);
    if (subscriber_reads(l, open, l->event[LOAD_PRESENCE][i].round))
        load_end(l, LOAD_PRESENCE, i, LOAD_DONE);
}

// It may come before the 200 to the SUBSCRIBE: then it makes the dialog (RFC 6665 §4.4.1).
static void subscriber_learn(struct load *l, const struct load_message *m, unsigned i)
{
    struct load_side *s = &l->serve[i];
    if (*s->dialog.their_tag || !s->request)
        return;
    load_piece_copy(load_message_tag(m->from), s->dialog.their_tag, LOAD_NAME);
    load_sip_learn_target(&s->dialog, m);
    s->pair.live = true;
}

// Whose dialog it is, by the Call-ID that we made: s<pair>.<number>@load. False: nobody's.
static bool subscriber_of(const struct load *l, struct load_piece call_id, uint32_t *i)
{
    uint32_t number;
    const char *behind = load_digits(load_after(call_id.p, "s"), i);
    behind = load_digits(load_after(behind, "."), &number);
    return load_after(behind, "@load") && *i < l->setup.pairs &&
           number == l->serve[*i].dialog.number;
}

void load_subscriber_told(struct load *l, const struct load_message *m)
{
    uint32_t i;
    if (!subscriber_of(l, m->call_id, &i)) {
        load_sip_answer(l, m, "481 Subscription Does Not Exist", "", "");
        return;
    }
    struct load_side *s = &l->serve[i];
    if (m->number < s->pair.cseq_in) {
        load_fault(l, "serve %u: CSeq %u after %u", i, m->number, s->pair.cseq_in);
        load_sip_answer(l, m, "500 Server Internal Error", "", "");
        return;
    }
    subscriber_learn(l, m, i);
    load_sip_answer(l, m, "200 OK", "", "");
    if (m->number != s->pair.cseq_in)
        subscriber_sees(l, m, i);
    s->pair.cseq_in = m->number;
}
