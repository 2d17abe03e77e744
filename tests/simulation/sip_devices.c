// The SIP users' devices: subscribers that refresh, end, vanish and come back (RFC 6665 §4.1).
#include <stdlib.h>

#include "core/wire/pidf.h"
#include "inspector.h"
#include "net.h"
#include "sip_wire.h"
#include "xmpp_model.h"

enum due { DUE_REFRESH, DUE_ANEW, DUE_EXPIRY };

static void device_due(struct world *w, const struct happening *h);

static void device_in(struct world *w, struct device *d, uint64_t delay_ms, enum due due)
{
    world_in(w, delay_ms, device_due, d, (uint64_t)d->incarnation << 8 | due);
}

static void device_ask(struct world *w, struct device *d, uint32_t expires_s)
{
    char branch[40], to[64];
    bool first = !*d->leg.their_tag;
    snprintf(to, sizeof to, "sip:%s", w->xmpp->user[d->x].jid);
    const char *target = *d->leg.target ? d->leg.target : to;
    d->leg.cseq++;
    struct buffer *b =
        sip_begin(w, "SUBSCRIBE", target, w->sip->user[d->s].uri, to, &d->leg, branch);
    sip_line(b, "Contact: <sip:romeo%u-%u@127.0.0.1:%d>", d->s, d->d, GATEWAY_PROXY);
    sip_line(b, "Accept: application/pidf+xml");
    sip_line(b, "Expires: %u", expires_s);
    if (*d->etag && world_below(w, 2)) // RFC 5839: not once more, please
        sip_line(b, "Suppress-If-Match: %s", d->etag);
    sip_body(b, (struct text){0});
    d->trying = true;
    d->inside = !first;
    sip_send(w, branch, first ? "sip:127.0.0.1:5060" : target, OWNER_DEVICE, d, d->incarnation);
}

static void device_forget(struct device *d)
{
    d->incarnation++;
    d->live = d->active = d->trying = false;
    d->leg = (struct sip_leg){0};
    d->view.n = 0;
    *d->etag = 0;
}

static void device_anew(struct world *w, struct device *d)
{
    device_forget(d);
    snprintf(d->leg.call_id, SIP_TEXT, "dev%llu-%u-%u-%u@127.0.0.1",
             (unsigned long long)sip_number(w), d->x, d->s, d->d);
    snprintf(d->leg.our_tag, SIP_TEXT, "d%llu", (unsigned long long)sip_number(w));
    d->leg.cseq = world_below(w, 1000);
    device_ask(w, d, w->opt.device_expires_s);
}

static void device_due(struct world *w, const struct happening *h)
{
    struct device *d = h->who;
    if (h->what >> 8 != d->incarnation || !d->wanted)
        return;
    switch ((enum due)(h->what & 255)) {
    case DUE_REFRESH:
        if (d->live && !d->trying)
            device_ask(w, d, w->opt.device_expires_s);
        break;
    case DUE_ANEW: device_anew(w, d); break;
    case DUE_EXPIRY:
        if (w->now_ms >= d->expires_ms)
            device_anew(w, d);
        break;
    }
}

static void device_granted(struct world *w, struct device *d, uint32_t granted_s)
{
    uint64_t ms = (uint64_t)granted_s * 1000;
    d->live = true;
    d->expires_ms = w->now_ms + ms;
    device_in(w, d, ms * world_between(w, 40, 85) / 100, DUE_REFRESH);
    device_in(w, d, ms, DUE_EXPIRY);
}

void sip_device_answered(struct world *w, struct device *d, unsigned status,
                         const struct sip_message *m)
{
    d->trying = false;
    // What was promised is kept, whatever new work there is.
    world_expect(w, status != 503 || !d->inside, "503 to who has a dialog");
    world_expect(w, status != 503 || m->retry_after != SIP_ABSENT, "503 without Retry-After");
    world_expect(w, status != 423, "423 to who asks for %u s, or to end", w->opt.device_expires_s);
    if (!d->wanted) {
        world_expect(w, status >= 300 || m->expires == 0, "who has asked to end is granted more");
        device_forget(d);
        return;
    }
    if (status < 300) {
        sip_copy(d->leg.their_tag, m, m->to_tag);
        sip_copy(d->leg.target, m, m->contact);
        // An answer given once more says what is left: nothing, when its clock has leapt meanwhile.
        world_expect(w, m->expires != SIP_ABSENT && (m->expires > 0 || w->opt.clock),
                     "a 200 without Expires");
        device_granted(w, d, m->expires);
    } else if (status == 481) {
        device_anew(w, d);
    } else if (d->live) {
        device_in(w, d, world_between(w, 5, 20) * 1000, DUE_REFRESH);
    } else {
        uint32_t wait_s = m && m->retry_after != SIP_ABSENT ? m->retry_after : 20;
        device_in(w, d, wait_s * 1000, DUE_ANEW);
    }
}

// ---- NOTIFY

static struct device *device_find(struct world *w, const struct sip_message *m)
{
    char call_id[SIP_TEXT];
    unsigned x, s, i;
    sip_copy(call_id, m, m->call_id);
    struct pair *p = NULL;
    if (sscanf(call_id, "dev%*u-%u-%u-%u@", &x, &s, &i) == 3 && i < SIP_DEVICES_MAX)
        p = pair_find(w, x, s);
    struct device *d = p ? &p->device[i] : NULL;
    bool same = d && !strcmp(d->leg.call_id, call_id) &&
                text_eq(text_of(d->leg.our_tag), sip_text(m, m->to_tag));
    return same ? d : NULL;
}

static void device_sees(struct world *w, struct device *d, const struct sip_message *m)
{
    struct pidf doc;
    struct buffer scratch;
    buffer_init(&scratch, 0);
    if (pidf_read(w->sip->reader, &doc, sip_text(m, m->body), (struct text){0}, &scratch) != 0) {
        world_broken(w, "a document can't be read: %.*s", TEXT_ARG(sip_text(m, m->body)));
        doc.n = 0;
    }
    d->view.n = 0;
    for (size_t i = 0; i < doc.n; i++)
        if (doc.tuple[i].available)
            view_take(w, &d->view, &doc.tuple[i]);
    buffer_free(&scratch);
}

static void device_over(struct world *w, struct device *d, const struct sip_message *m)
{
    device_forget(d);
    if (m->reason == REASON_REJECTED || m->reason == REASON_NORESOURCE)
        d->wanted = false;
    if (d->wanted)
        device_in(w, d, world_between(w, 1, 10) * 1000, DUE_ANEW);
}

static void device_takes(struct world *w, struct device *d, const struct sip_message *m)
{
    d->leg.their_cseq = m->cseq;
    if (!*d->leg.their_tag)
        sip_copy(d->leg.their_tag, m, m->from_tag);
    sip_copy(d->leg.target, m, m->contact);
    if (m->body.n)
        device_sees(w, d, m);
    world_expect(w, m->etag.n > 0, "a NOTIFY without an entity-tag");
    sip_copy(d->etag, m, m->etag);
    d->active = m->substate == SUBSTATE_ACTIVE;
    if (d->active)
        inspector_told(w, d->x, d->s, SIP_TO_XMPP);
    else if (m->substate == SUBSTATE_PENDING)
        world_expect(w, !m->body.n, "presence in a NOTIFY that says pending");
}

// Of watcher information, which nobody keeps.
static unsigned winfo_answer_to(struct world *w, const struct sip_message *m)
{
    static const unsigned status[] = {200, 200, 200, 0, 481, 500, 503, 401};
    world_expect(w, m->event == SIP_EVENT_WINFO, "a NOTIFY of another package");
    return w->calm ? 200 : status[world_below(w, 8)];
}

// 0: says nothing.
static unsigned device_answer_to(struct world *w, const struct device *d,
                                 const struct sip_message *m)
{
    static const unsigned odd[] = {0, 408, 500, 503};
    if (!d && text_starts(sip_text(m, m->call_id), TEXT("fetch")))
        return 200;
    if (!d && text_starts(sip_text(m, m->call_id), TEXT("winfo")))
        return winfo_answer_to(w, m);
    if (!d)
        return sip_text(m, m->call_id).p[3] & 1 ? 481 : 0; // gone for good, or another is there
    if (world_fault(w, FAULT_DEVICE_ERROR, w->opt.sip_errors))
        return odd[world_below(w, 4)];
    if (*d->leg.their_tag && !text_eq(text_of(d->leg.their_tag), sip_text(m, m->from_tag)))
        return 481;
    return m->cseq <= d->leg.their_cseq ? 500 : 200;
}

void sip_device_notify(struct world *w, const struct sip_message *m)
{
    struct device *d = device_find(w, m);
    unsigned status = device_answer_to(w, d, m);
    if (!status)
        return;
    sip_answer(w, m, status, d ? d->leg.our_tag : "", "");
    if (!d || status != 200)
        return;
    device_takes(w, d, m);
    if (m->substate == SUBSTATE_TERMINATED)
        device_over(w, d, m);
}

// ---- What people do

void sip_device_subscribe(struct world *w, unsigned s, unsigned d, unsigned x)
{
    struct device *v = &pair_of(w, x, s)->device[d];
    if (v->wanted)
        return;
    v->wanted = true;
    device_anew(w, v);
}

void sip_device_end(struct world *w, unsigned s, unsigned d, unsigned x)
{
    struct device *v = &pair_of(w, x, s)->device[d];
    if (!v->wanted || !v->live || v->trying)
        return;
    v->wanted = false;
    device_ask(w, v, 0);
}

void sip_device_vanish(struct world *w, unsigned s, unsigned d, unsigned x)
{
    struct device *v = &pair_of(w, x, s)->device[d];
    v->wanted = false;
    device_forget(v);
}

// Nothing comes of it: who asks forgets that he has asked.
void sip_device_winfo(struct world *w, unsigned s, unsigned x)
{
    char branch[40], to[64];
    struct sip_leg leg = {.cseq = 1, .winfo = true};
    snprintf(leg.call_id, SIP_TEXT, "winfo%llu", (unsigned long long)sip_number(w));
    snprintf(leg.our_tag, SIP_TEXT, "w");
    snprintf(to, sizeof to, "sip:%s", w->xmpp->user[x].jid);
    struct buffer *b = sip_begin(w, "SUBSCRIBE", to, w->sip->user[s].uri, to, &leg, branch);
    sip_line(b, "Contact: <sip:romeo%u@127.0.0.1:%d>", s, GATEWAY_PROXY);
    sip_line(b, "Expires: %u", world_chance(w, 300) ? 0 : w->opt.device_expires_s);
    sip_body(b, (struct text){0});
    sip_send(w, branch, "sip:127.0.0.1:5060", OWNER_NOBODY, NULL, 0);
}

void sip_device_fetch(struct world *w, unsigned s, unsigned x)
{
    char branch[40], to[64];
    struct sip_leg leg = {.cseq = 1};
    snprintf(leg.call_id, SIP_TEXT, "fetch%llu", (unsigned long long)sip_number(w));
    snprintf(leg.our_tag, SIP_TEXT, "f");
    snprintf(to, sizeof to, "sip:%s", w->xmpp->user[x].jid);
    struct buffer *b = sip_begin(w, "SUBSCRIBE", to, w->sip->user[s].uri, to, &leg, branch);
    sip_line(b, "Contact: <sip:romeo%u@127.0.0.1:%d>", s, GATEWAY_PROXY);
    sip_line(b, "Expires: 0");
    sip_body(b, (struct text){0});
    sip_send(w, branch, "sip:127.0.0.1:5060", OWNER_NOBODY, NULL, 0);
}
