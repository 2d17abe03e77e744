// Transactions and message forms of the SIP side.
#include "sip_wire.h"

#include <stdarg.h>
#include <stdlib.h>

#include "core/wire/address.h"
#include "net.h"

uint64_t sip_number(struct world *w)
{
    return ++w->sip->number;
}

void sip_copy(char to[SIP_TEXT], const struct sip_message *m, struct span at)
{
    snprintf(to, SIP_TEXT, "%.*s", TEXT_ARG(sip_text(m, at)));
}

void sip_line(struct buffer *b, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buffer_add(b, line, (size_t)n);
    buffer_lit(b, "\r\n");
}

struct buffer *sip_begin(struct world *w, const char *method, const char *ruri, const char *from,
                         const char *to, const struct sip_leg *leg, char branch[32])
{
    struct buffer *b = &w->sip->b;
    buffer_reset(b);
    snprintf(branch, 32, "z9hG4bK-sim-%llu", (unsigned long long)sip_number(w));
    sip_line(b, "%s %s SIP/2.0", method, ruri);
    sip_line(b, "Via: SIP/2.0/%s 127.0.0.1:%d;branch=%s%s", w->opt.tcp ? "TCP" : "UDP",
             GATEWAY_PROXY, branch, world_chance(w, 500) ? ";rport" : "");
    sip_line(b, "Max-Forwards: 70");
    sip_line(b, "From: <%s>;tag=%s", from, leg->our_tag);
    sip_line(b, *leg->their_tag ? "To: <%s>;tag=%s" : "To: <%s>%s", to, leg->their_tag);
    sip_line(b, "Call-ID: %s", leg->call_id);
    sip_line(b, "CSeq: %u %s", leg->cseq, method);
    sip_line(b, leg->winfo ? "Event: presence.winfo" : "Event: presence");
    if (w->opt.record_route)
        sip_line(b, "Record-Route: <sip:127.0.0.1:%d;lr>", GATEWAY_PROXY);
    return b;
}

void sip_body(struct buffer *b, struct text pidf)
{
    if (pidf.n)
        sip_line(b, "Content-Type: application/pidf+xml");
    sip_line(b, "Content-Length: %zu", pidf.n);
    buffer_lit(b, "\r\n");
    buffer_text(b, pidf);
}

static void request_due(struct world *w, const struct happening *h);

static void request_out(struct world *w, struct sip_request_out *r, uint64_t index)
{
    struct hop source = {.ip = {127, 0, 0, 1}, .family = 4, .port = GATEWAY_PROXY};
    source.transport = w->opt.tcp ? HOP_TCP : HOP_UDP;
    net_to_gateway(w, (struct text){r->bytes, r->n}, &source, r->port);
    world_in(w, w->opt.tcp ? 32000 : r->interval_ms, request_due, NULL, index);
}

static void request_over(struct world *w, struct sip_request_out *r, unsigned status,
                         const struct sip_message *m)
{
    free(r->bytes);
    r->bytes = NULL;
    if (r->owner == OWNER_NOTIFIER)
        sip_server_answered(w, r->who, status);
    else if (r->owner == OWNER_DEVICE && ((struct device *)r->who)->incarnation == r->incarnation)
        sip_device_answered(w, r->who, status, m);
}

static void request_due(struct world *w, const struct happening *h)
{
    struct sip_request_out *r = w->sip->request[h->what];
    if (!r->bytes)
        return;
    if (w->now_ms >= r->give_up_ms) {
        request_over(w, r, 408, NULL);
        return;
    }
    r->interval_ms = r->interval_ms * 2 < 4000 ? r->interval_ms * 2 : 4000;
    request_out(w, r, h->what);
}

static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? 2 * *cap : 64;
    v = realloc(v, *cap * size);
    if (!v)
        abort();
    return v;
}

void sip_send(struct world *w, const char *branch, const char *target, enum sip_owner owner,
              void *who, unsigned incarnation)
{
    struct sip *p = w->sip;
    struct sip_request_out *r = calloc(1, sizeof *r);
    struct sip_uri uri;
    if (!r || sip_uri_parse(&uri, text_of(target)) != 0)
        abort();
    snprintf(r->branch, sizeof r->branch, "%s", branch);
    r->bytes = world_copy((struct text){p->b.p, p->b.n});
    r->n = p->b.n;
    r->give_up_ms = w->now_ms + 32000;
    r->interval_ms = 500;
    r->port = uri.port ? uri.port : GATEWAY_LISTEN;
    r->owner = owner;
    r->who = who;
    r->incarnation = incarnation;
    p->request = grow(p->request, p->n_requests, &p->cap_requests, sizeof(void *));
    p->request[p->n_requests++] = r;
    request_out(w, r, p->n_requests - 1);
}

void sip_response(struct world *w, const struct sip_message *m)
{
    if (m->status < 200)
        return;
    for (size_t i = w->sip->n_requests; i-- > 0;) {
        struct sip_request_out *r = w->sip->request[i];
        if (r->bytes && text_eq(text_of(r->branch), sip_text(m, m->branch))) {
            request_over(w, r, m->status, m);
            return;
        }
    }
}

static void answer_out(struct world *w, const struct sip_message *m, struct text bytes)
{
    struct hop source = {.ip = {127, 0, 0, 1}, .family = 4, .port = GATEWAY_PROXY};
    if (text_starts(sip_text(m, m->vias), TEXT("SIP/2.0/TCP")))
        source.transport = HOP_TCP; // back by the connection that it came on
    net_to_gateway(w, bytes, &source, m->sent_by_port);
}

void sip_answer(struct world *w, const struct sip_message *m, unsigned status, const char *to_tag,
                const char *headers)
{
    struct sip *p = w->sip;
    struct buffer b;
    struct sip_seen seen = {TEXT("127.0.0.1"), m->sent_by_port};
    buffer_init(&b, 0);
    sip_write_response(&b, m, &seen, status, (struct text){0}, text_of(to_tag), text_of(headers));
    struct text bytes = {b.p, b.n};
    p->answer = grow(p->answer, p->n_answers, &p->cap_answers, sizeof *p->answer);
    p->answer[p->n_answers++] =
        (struct sip_answer){world_copy(sip_text(m, m->branch)), world_copy(bytes)};
    answer_out(w, m, bytes);
    buffer_free(&b);
}

bool sip_answered(struct world *w, const struct sip_message *m)
{
    struct text branch = sip_text(m, m->branch);
    size_t oldest = w->sip->n_answers > 400 ? w->sip->n_answers - 400 : 0;
    for (size_t i = w->sip->n_answers; i-- > oldest;)
        if (text_eq(text_of(w->sip->answer[i].branch), branch)) {
            answer_out(w, m, text_of(w->sip->answer[i].bytes));
            return true;
        }
    return false;
}

void sip_wire_free(struct world *w)
{
    struct sip *p = w->sip;
    for (size_t i = 0; i < p->n_requests; i++) {
        free(p->request[i]->bytes);
        free(p->request[i]);
    }
    for (size_t i = 0; i < p->n_answers; i++) {
        free(p->answer[i].branch);
        free(p->answer[i].bytes);
    }
    free(p->request);
    free(p->answer);
}
