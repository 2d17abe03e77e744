// Transactions and message forms of the SIP side.
#include "sip_wire.h"

#include <stdarg.h>
#include <stdlib.h>

#include "core/hash.h"
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
                         const char *to, const struct sip_leg *leg, char branch[40])
{
    struct buffer *b = &w->sip->b;
    buffer_reset(b);
    // The place that sip_send() will give it stands behind the last dash.
    snprintf(branch, 40, "z9hG4bK-sim-%llu-%zu", (unsigned long long)sip_number(w),
             w->sip->n_requests);
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

static void request_over(struct world *w, uint64_t index, unsigned status,
                         const struct sip_message *m)
{
    struct sip_request_out *r = w->sip->request[index];
    w->sip->request[index] = NULL;
    free(r->bytes);
    if (r->owner == OWNER_NOTIFIER)
        sip_server_answered(w, r->who, status);
    else if (r->owner == OWNER_DEVICE && ((struct device *)r->who)->incarnation == r->incarnation)
        sip_device_answered(w, r->who, status, m);
    free(r);
}

// Once the last of the faults are over (a suspension may last for ten minutes of the calm), and
// what was on its way in them has come, the gateway answers everything.
static void check_calm(struct world *w, const struct sip_request_out *r)
{
    enum { SETTLED_MS = 700000, TRIED_MS = 32000 };
    bool settled = w->calm && r->give_up_ms - TRIED_MS >= w->calm_ms + SETTLED_MS;
    world_expect(w, !settled, "nobody has answered: %.200s", r->bytes);
}

static void request_due(struct world *w, const struct happening *h)
{
    struct sip_request_out *r = w->sip->request[h->what];
    if (!r)
        return;
    if (w->now_ms >= r->give_up_ms) {
        check_calm(w, r);
        request_over(w, h->what, 408, NULL);
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
    char branch[SIP_TEXT];
    sip_copy(branch, m, m->branch);
    const char *dash = strrchr(branch, '-');
    size_t i = dash ? strtoul(dash + 1, NULL, 10) : SIZE_MAX;
    if (i < w->sip->n_requests && w->sip->request[i] && !strcmp(w->sip->request[i]->branch, branch))
        request_over(w, i, m->status, m);
}

// ---- Answers that were given

enum { ANSWER_BUCKETS = 1024, ANSWER_MS = 64000 };

struct sip_answer {
    struct sip_answer *next, *newer;
    char *branch, *bytes;
    uint64_t at_ms;
};

struct sip_answers {
    struct sip_answer *bucket[ANSWER_BUCKETS], *oldest, *newest;
};

static struct sip_answer **answers_bucket(struct sip_answers *a, struct text branch)
{
    return &a->bucket[hash_plain(branch.p, branch.n) % ANSWER_BUCKETS];
}

static void answers_drop(struct sip_answers *a, uint64_t before_ms)
{
    for (struct sip_answer *old; (old = a->oldest) && old->at_ms < before_ms; free(old)) {
        struct sip_answer **at = answers_bucket(a, text_of(old->branch));
        while (*at != old)
            at = &(*at)->next;
        *at = old->next;
        a->oldest = old->newer;
        free(old->branch);
        free(old->bytes);
    }
    if (!a->oldest)
        a->newest = NULL;
}

static void answers_add(struct sip_answers *a, struct text branch, struct text bytes,
                        uint64_t now_ms)
{
    struct sip_answer *new = calloc(1, sizeof *new), **at = answers_bucket(a, branch);
    if (!new)
        abort();
    answers_drop(a, now_ms - ANSWER_MS);
    *new = (struct sip_answer){*at, NULL, world_copy(branch), world_copy(bytes), now_ms};
    *at = new;
    *(a->newest ? &a->newest->newer : &a->oldest) = new;
    a->newest = new;
}

// The newest.
static const struct sip_answer *answers_find(struct sip_answers *a, struct text branch)
{
    const struct sip_answer *at = *answers_bucket(a, branch);
    while (at && !text_eq(text_of(at->branch), branch))
        at = at->next;
    return at;
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
    answers_add(p->answers, sip_text(m, m->branch), bytes, w->now_ms);
    answer_out(w, m, bytes);
    buffer_free(&b);
}

bool sip_answered(struct world *w, const struct sip_message *m)
{
    const struct sip_answer *a = answers_find(w->sip->answers, sip_text(m, m->branch));
    if (a)
        answer_out(w, m, text_of(a->bytes));
    return a != NULL;
}

void sip_wire_create(struct world *w)
{
    w->sip->answers = calloc(1, sizeof *w->sip->answers);
    if (!w->sip->answers)
        abort();
}

void sip_wire_free(struct world *w)
{
    struct sip *p = w->sip;
    for (size_t i = 0; i < p->n_requests; i++)
        if (p->request[i]) {
            free(p->request[i]->bytes);
            free(p->request[i]);
        }
    answers_drop(p->answers, UINT64_MAX);
    free(p->request);
    free(p->answers);
}
