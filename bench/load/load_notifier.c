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

static void notifier_write_state(char *body, size_t size, const struct load *l, unsigned i)
{
    static const char *const shows[] = {"away", "dnd"};
    unsigned round = l->watch[i].round;
    snprintf(
        body, size,
        "<?xml version='1.0' encoding='UTF-8'?>\r\n"
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:s%u@example.net'>"
        "<tuple id='ID-phone'><status><basic>open</basic>"
        "<show xmlns='jabber:client'>%s</show></status><note>load %u</note></tuple></presence>",
        i, shows[round % 2], round);
}

static uint32_t notifier_left_s(const struct load_dialog *d)
{
    uint32_t now_s = (uint32_t)(load_now_us() / 1000000);
    return d->ends_s > now_s ? d->ends_s - now_s : 1;
}

static void notifier_tell(struct load *l, unsigned i, bool quiet)
{
    struct load_side *w = &l->watch[i];
    struct load_dialog *d = &w->dialog;
    struct load_writer m = {.n = 0};
    char body[512] = "";
    if (w->request) {
        w->waits |= 1u << LOAD_NOTIFY;
        return;
    }
    if (w->pair.live)
        notifier_write_state(body, sizeof body, l, i);
    d->cseq++;
    load_sip_write(&m,
                   "NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKn%u.%llu\r\n"
                   "Max-Forwards: 70\r\nFrom: <sip:s%u@example.net>;tag=n%u.%u\r\n"
                   "To: <sip:x%u@example.com>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
                   "Contact: <sip:s%u@%s:%u>\r\nEvent: presence\r\nSubscription-State: ",
                   d->target, l->setup.address, l->proxy_port, i,
                   (unsigned long long)load_sip_branch(l), i, i, d->number, i, d->their_tag,
                   d->call_id, d->cseq, i, l->setup.address, l->proxy_port);
    if (w->pair.live)
        load_sip_write(&m, "active;expires=%u\r\n", notifier_left_s(d));
    else
        load_sip_write(&m, "terminated;reason=timeout\r\n");
    load_sip_write_body(&m, "application/pidf+xml", body);
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

static void notifier_answer_ok(struct load *l, const char *m, unsigned i, uint32_t expires_s,
                               uint16_t port)
{
    char more[256], tag[32];
    snprintf(more, sizeof more, "Expires: %u\r\nContact: <sip:s%u@%s:%u>\r\n", expires_s, i,
             l->setup.address, l->proxy_port);
    snprintf(tag, sizeof tag, "n%u.%u", i, l->watch[i].dialog.number);
    load_sip_answer(l, m, "200 OK", tag, more, port);
}

// A dialog anew: what the one before was, nobody needs any more.
static void notifier_open(struct load *l, const char *m, unsigned i, const char *call_id)
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
    snprintf(w->dialog.call_id, LOAD_NAME, "%s", call_id);
    load_sip_tag(m, "From", w->dialog.their_tag, LOAD_NAME);
}

static void notifier_take(struct load *l, const char *m, unsigned i, uint32_t expires_s,
                          uint16_t port)
{
    struct load_side *w = &l->watch[i];
    uint32_t cseq = load_sip_cseq(m);
    if (cseq < w->pair.cseq_in) {
        load_fault(l, "watch %u: CSeq %u after %u", i, cseq, w->pair.cseq_in);
        load_sip_answer(l, m, "500 Server Internal Error", "", "", port);
        return;
    }
    bool again = cseq == w->pair.cseq_in;
    w->pair.cseq_in = cseq;
    w->dialog.ends_s = (uint32_t)(load_now_us() / 1000000) + expires_s;
    load_sip_learn_target(&w->dialog, m);
    notifier_answer_ok(l, m, i, expires_s, port);
    if (again)
        return;
    if (!expires_s)
        w->pair.live = false;
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

void load_notifier_asked(struct load *l, const char *m, uint16_t port)
{
    unsigned i;
    char call_id[LOAD_NAME], to[256], expires[32];
    if (sscanf(m, "SUBSCRIBE sip:s%u@", &i) != 1 || i >= l->setup.pairs) {
        load_fault(l, "a SUBSCRIBE for nobody: %.100s", m);
        return;
    }
    struct load_side *w = &l->watch[i];
    load_sip_header(m, "Call-ID", call_id, sizeof call_id);
    load_sip_header(m, "To", to, sizeof to);
    load_sip_header(m, "Expires", expires, sizeof expires);
    uint32_t asked_s = (uint32_t)strtoul(expires, NULL, 10);
    bool same = strcmp(call_id, w->dialog.call_id) == 0;
    if (strstr(to, ";tag=") && !(same && w->pair.live)) {
        load_sip_answer(l, m, "481 Subscription Does Not Exist", "", "", port);
        return;
    }
    if (!same)
        notifier_open(l, m, i, call_id);
    if (!same && asked_s && !w->pair.wanted && !load_is_under_way(l, LOAD_UNWATCH, i))
        load_fault(l, "a SUBSCRIBE for %u, who does not watch", i);
    notifier_take(l, m, i, notifier_grant_s(l, i, !strstr(to, ";tag="), asked_s), port);
}
