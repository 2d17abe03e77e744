// The presence server: SIP users s<i>, each watched by x<i> through the daemon.
//
//   SUBSCRIBE ─▶ 200, NOTIFY active with what is shown      (new dialog, or refresh)
//   SUBSCRIBE Expires 0 ─▶ 200, NOTIFY terminated
//
// One NOTIFY of a dialog at a time; what changes meanwhile follows as one (RFC 6665 §4.2.2).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/load_inner.h"

static void notifier_write_state(struct load_writer *w, const struct load *l, unsigned i)
{
    static const char *const shows[] = {"away", "dnd"};
    unsigned round = l->watch[i].round;
    load_sip_write(
        w,
        "<?xml version='1.0' encoding='UTF-8'?>\r\n"
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:s%u%s@example.net'>"
        "<tuple id='ID-phone'><status><basic>open</basic>"
        "<show xmlns='jabber:client'>%s</show></status><note>load %u%s</note></tuple></presence>",
        i, load_name_filler(&l->watch[i]), shows[round % 2], round, load_filler(l, i));
    w->bytes[w->n] = 0;
}

// It counts down: a NOTIFY may shorten what was granted, not make it longer (RFC 6665 §4.2.1.1).
static uint32_t notifier_left_s(const struct load_dialog *d)
{
    uint32_t now_s = (uint32_t)(load_now_us() / 1000000);
    return d->ends_s > now_s ? d->ends_s - now_s : 1;
}

static void notifier_write(struct load_writer *w, struct load *l, unsigned i)
{
    const struct load_side *side = &l->watch[i];
    const struct load_dialog *d = &side->dialog;
    const char *name = load_name_filler(side);
    struct load_writer body;
    body.n = w->n = 0;
    *body.bytes = 0;
    load_sip_write(w,
                   "NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKn%u.%u%s\r\n"
                   "Max-Forwards: 70\r\nFrom: <sip:s%u%s@example.net>;tag=n%u.%u\r\n"
                   "To: <sip:x%u@example.com>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
                   "Contact: <sip:s%u%s@%s:%u>\r\nEvent: presence\r\nSubscription-State: ",
                   d->target, l->setup.address, l->proxy_port, i, load_sip_branch(l),
                   load_filler(l, i), i, name, i, d->number, load_user(l, i), d->their_tag,
                   d->call_id, d->cseq, i, name, l->setup.address, l->proxy_port);
    if (side->pair.live) {
        load_sip_write(w, "active;expires=%u\r\n", notifier_left_s(d));
        notifier_write_state(&body, l, i);
    } else {
        load_sip_write(w, "terminated;reason=timeout\r\n");
    }
    load_sip_write_body(w, "application/pidf+xml", body.bytes);
}

static void notifier_tell(struct load *l, unsigned i, bool quiet)
{
    struct load_side *w = &l->watch[i];
    struct load_dialog *d = &w->dialog;
    struct load_writer m;
    if (w->request) {
        w->waits |= 1u << LOAD_NOTIFY;
        return;
    }
    d->cseq++;
    notifier_write(&m, l, i);
    struct load_request head = {
        .kind = LOAD_NOTIFY, .pair = i, .quiet = quiet, .cseq = d->cseq, .port = d->port, .n = m.n};
    w->request = load_again_begin(l, &head, m.bytes);
}

void load_notifier_begin(struct load *l, unsigned i)
{
    if (l->watch[i].pair.live)
        notifier_tell(l, i, false);
}

static void notifier_next(struct load *l, unsigned i)
{
    struct load_side *w = &l->watch[i];
    load_again_end(l, w->request);
    w->request = NULL;
    if (!(w->waits & 1u << LOAD_NOTIFY))
        return;
    w->waits = 0;
    notifier_tell(l, i, false);
}

void load_notifier_answered(struct load *l, unsigned i, unsigned status, uint32_t cseq)
{
    struct load_side *w = &l->watch[i];
    if (!w->request || w->request->cseq != cseq)
        return;
    if (status == 481) // RFC 6665 §4.2.2: the subscription is gone
        w->pair.live = false;
    if (status == 481 || status >= 500)
        load_end(l, LOAD_NOTIFY, i, LOAD_REFUSED);
    if (!w->pair.live)
        w->waits = 0;
    notifier_next(l, i);
}

void load_notifier_given_up(struct load *l, struct load_request *r)
{
    unsigned i = r->pair;
    load_end(l, LOAD_NOTIFY, i, LOAD_GIVEN_UP);
    notifier_next(l, i);
}

// ---- SUBSCRIBE

static void notifier_answer_ok(struct load *l, const struct load_message *m, unsigned i,
                               uint32_t expires_s)
{
    char more[256], tag[32];
    snprintf(more, sizeof more, "Expires: %u\r\nContact: <sip:s%u%s@%s:%u>\r\n", expires_s, i,
             load_name_filler(&l->watch[i]), l->setup.address, l->proxy_port);
    snprintf(tag, sizeof tag, "n%u.%u", i, l->watch[i].dialog.number);
    load_sip_answer(l, m, "200 OK", tag, more);
}

// A dialog anew: what the one before was, nobody needs any more.
static void notifier_open(struct load *l, const struct load_message *m, unsigned i)
{
    struct load_side *w = &l->watch[i];
    unsigned number = w->dialog.number + 1;
    if (w->request)
        load_again_end(l, w->request);
    w->request = NULL;
    w->waits = 0;
    w->dialog = (struct load_dialog){.number = number};
    w->pair.cseq_in = 0;
    w->pair.live = true;
    load_piece_copy(m->call_id, w->dialog.call_id, LOAD_NAME);
    load_piece_copy(load_message_tag(m->from), w->dialog.their_tag, LOAD_NAME);
}

static void notifier_take(struct load *l, const struct load_message *m, unsigned i,
                          uint32_t expires_s)
{
    struct load_side *w = &l->watch[i];
    if (m->number < w->pair.cseq_in) {
        load_fault(l, "watch %u: CSeq %u after %u", i, m->number, w->pair.cseq_in);
        load_sip_answer(l, m, "500 Server Internal Error", "", "");
        return;
    }
    bool again = m->number == w->pair.cseq_in;
    w->pair.cseq_in = m->number;
    w->dialog.ends_s = (uint32_t)(load_now_us() / 1000000) + expires_s;
    load_sip_learn_target(&w->dialog, m);
    notifier_answer_ok(l, m, i, expires_s);
    if (again)
        return;
    if (!expires_s) {
        w->pair.live = false;
        load_end(l, LOAD_LOGOUT, i, LOAD_DONE);
    }
    notifier_tell(l, i, true);
}

// A pair's first dialog may be granted less: so those that began together end one after the other.
// The shares are the fractional parts of i times the golden ratio, which lie evenly for any number
// of pairs (Knuth, "The Art of Computer Programming" 3, §6.4, theorem S).
static uint32_t notifier_grant_s(const struct load *l, unsigned i, bool first, uint32_t asked_s)
{
    enum { LEAST_S = 60 };
    uint32_t most_s = l->setup.expires_s;
    if (l->setup.spread && first && l->watch[i].dialog.number == 1 && most_s > LEAST_S) {
        uint32_t share = i * 0x9e3779b9u;
        most_s = LEAST_S + (uint32_t)((uint64_t)share * (most_s - LEAST_S) >> 32);
    }
    return asked_s < most_s ? asked_s : most_s;
}

void load_notifier_asked(struct load *l, const struct load_message *m)
{
    uint32_t i, asked_s;
    const char *behind = load_digits(load_after(m->start, "SUBSCRIBE sip:s"), &i);
    behind = load_past_filler(behind);
    if (!behind || *behind != '@' || i >= l->setup.pairs) {
        load_fault(l, "a SUBSCRIBE for nobody: %.100s", m->start);
        return;
    }
    struct load_side *w = &l->watch[i];
    load_digits(m->expires.p, &asked_s);
    bool same = load_piece_eq(m->call_id, w->dialog.call_id);
    if (load_message_tag(m->to).p && !(same && w->pair.live)) {
        load_sip_answer(l, m, "481 Subscription Does Not Exist", "", "");
        return;
    }
    if (!same)
        notifier_open(l, m, i);
    if (!same && asked_s && !w->pair.wanted && !load_is_under_way(l, LOAD_UNWATCH, i))
        load_fault(l, "a SUBSCRIBE for %u, who does not watch", i);
    notifier_take(l, m, i, notifier_grant_s(l, i, !load_message_tag(m->to).p, asked_s));
}
