// The stage's SIP side: what a proxy, a presence server and a SIP user say and see.
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage_net.h"

// Line ends become CRLF; Content-Length is put in when the message has none.
static char *sip_crlf(const char *message)
{
    const char *body = strstr(message, "\n\n");
    size_t n = strlen(message);
    char *out = malloc(2 * n + 64), *at = out;
    assert_non_null(out);
    bool has_length = strstr(message, "Content-Length:") != NULL;
    for (const char *p = message; *p; p++) {
        if (body && p == body + 1 && !has_length)
            at += sprintf(at, "Content-Length: %zu\r\n", strlen(body + 2));
        if (*p == '\n' && (!body || p <= body + 1))
            *at++ = '\r';
        *at++ = *p;
    }
    *at = 0;
    return out;
}

// As a shard does it: what the core turns away at the door is not parsed.
static void sip_arrives(struct stage *s, const struct hop *source, const char *message)
{
    char *bytes = sip_crlf(message);
    struct event ev = {.kind = EVENT_SIP, .port = SIP_PORT_LISTEN(0), .source = *source};
    struct core_refusal no;
    enum core_door door = core_turn_away(s->core, text_of(bytes), source, s->now_ms, &no);
    s->turned_away += door == CORE_DOOR_SHUT;
    ev.admitted = door == CORE_DOOR_OPEN;
    if (door == CORE_DOOR_SHUT)
        stage_sends_sip(s, &no, ev.port);
    else if (sip_parse(s->parser, bytes, strlen(bytes), &ev.sip) == 0) // else the port drops it
        core_step(s->core, &ev, s->now_ms, &s->fx);
    free(bytes);
    stage_pass_ms(s, 0);
}

void sip_says_from(struct stage *s, const char *host, const char *message)
{
    struct hop source;
    assert_int_equal(hop_parse(&source, text_of(host), 5070, HOP_UDP), 0);
    sip_arrives(s, &source, message);
}

void sip_says_over(struct stage *s, const char *place, const char *message)
{
    struct hop source = net_place(place);
    sip_arrives(s, &source, message);
}

void sip_says(struct stage *s, const char *message)
{
    sip_says_from(s, "127.0.0.1", message);
}

static const struct stage_message *sip_last(const struct stage *s)
{
    assert_true(s->sip_head > 0);
    return &s->sips[s->sip_head - 1];
}

void sip_sees(struct stage *s, const char *start, ...)
{
    if (s->sip_head == s->sip_tail)
        fail_msg("expected SIP %s, got none", start);
    const struct stage_message *m = &s->sips[s->sip_head++];
    if (strncmp(m->bytes, start, strlen(start)) != 0)
        fail_msg("expected SIP %s, got\n%s", start, m->bytes);
    va_list more;
    va_start(more, start);
    for (const char *want; (want = va_arg(more, const char *));)
        if (!strstr(m->bytes, want))
            fail_msg("expected \"%s\" in\n%s", want, m->bytes);
    va_end(more);
    assert_int_equal(sip_parse(s->sip_out, m->bytes, m->n, &s->sip), 0);
    assert_true(s->sip->defect == 0 ||
                s->sip->status >= 400); // what a request lacks its answer lacks
}

void sip_lacks(struct stage *s, const char *what)
{
    if (strstr(sip_last(s)->bytes, what))
        fail_msg("unexpected \"%s\" in\n%s", what, sip_last(s)->bytes);
}

struct text stage_sip(const struct stage *s, struct span at)
{
    return sip_text(s->sip, at);
}

const struct sip_message *sip_next(struct stage *s)
{
    if (s->sip_head == s->sip_tail)
        return NULL;
    const struct stage_message *m = &s->sips[s->sip_head++];
    assert_int_equal(sip_parse(s->sip_out, m->bytes, m->n, &s->sip), 0);
    assert_true(s->sip->defect == 0 ||
                s->sip->status >= 400); // what a request lacks its answer lacks
    return s->sip;
}

const struct sip_message *sip_keeps(struct stage *s)
{
    assert_true(s->n_kept < STAGE_KEPT);
    struct sip_message *copy = malloc(s->sip->size);
    assert_non_null(copy);
    memcpy(copy, s->sip, s->sip->size);
    return s->kept[s->n_kept++] = copy;
}

void sip_answers_to(struct stage *s, const struct sip_message *m, unsigned status,
                    const char *headers)
{
    char message[16384];
    assert_int_equal(m->status, 0);
    bool tagged = m->to_tag.n != 0;
    snprintf(message, sizeof message,
             "SIP/2.0 %u Whatever\nVia: %.*s\nFrom: %.*s\nTo: %.*s%s\nCall-ID: %.*s\n"
             "CSeq: %u %.*s\n%s\n",
             status, TEXT_ARG(sip_text(m, m->vias)), TEXT_ARG(sip_text(m, m->from)),
             TEXT_ARG(sip_text(m, m->to)), tagged ? "" : ";tag=answer",
             TEXT_ARG(sip_text(m, m->call_id)), m->cseq, TEXT_ARG(sip_method_text(m->method)),
             headers);
    sip_says(s, message);
}

void sip_answers(struct stage *s, unsigned status, const char *headers)
{
    sip_answers_to(s, s->sip, status, headers);
}

void sip_dialog_of_subscribe(struct stage *s, struct stage_dialog *d, const char *peer_tag)
{
    const struct sip_message *m = s->sip;
    memset(d, 0, sizeof *d);
    snprintf(d->call_id, sizeof d->call_id, "%.*s", TEXT_ARG(stage_sip(s, m->call_id)));
    snprintf(d->our_tag, sizeof d->our_tag, "%.*s", TEXT_ARG(stage_sip(s, m->from_tag)));
    snprintf(d->contact, sizeof d->contact, "%.*s", TEXT_ARG(stage_sip(s, m->contact)));
    snprintf(d->from, sizeof d->from, "%.*s", TEXT_ARG(stage_sip(s, m->to_uri)));
    snprintf(d->to, sizeof d->to, "%.*s", TEXT_ARG(stage_sip(s, m->from_uri)));
    snprintf(d->peer_tag, sizeof d->peer_tag, "%s", peer_tag);
}

void sip_notifies_with(struct stage *s, const struct stage_dialog *d, const char *headers,
                       const char *body)
{
    size_t size = strlen(body) + strlen(headers) + 4096;
    char *message = malloc(size);
    assert_non_null(message);
    snprintf(message, size,
             "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKn%u%s\n"
             "Max-Forwards: 70\nFrom: <%s>;tag=%s\nTo: <%s>;tag=%s\nCall-ID: %s\nCSeq: %u NOTIFY\n"
             "%s\n%s",
             d->contact, d->cseq, d->peer_tag, d->from, d->peer_tag, d->to, d->our_tag, d->call_id,
             d->cseq, headers, body);
    sip_says(s, message);
    free(message);
}

void sip_notifies(struct stage *s, struct stage_dialog *d, const char *substate, const char *pidf)
{
    char headers[512];
    d->cseq++;
    snprintf(headers, sizeof headers,
             "Contact: <sip:presence@127.0.0.1:5070>\nEvent: presence\nSubscription-State: %s\n%s",
             substate, pidf ? "Content-Type: application/pidf+xml\n" : "");
    sip_notifies_with(s, d, headers, pidf ? pidf : "");
}

void sip_dialog_of_answer(struct stage *s, struct stage_dialog *d)
{
    const struct sip_message *m = s->sip;
    memset(d, 0, sizeof *d);
    snprintf(d->call_id, sizeof d->call_id, "%.*s", TEXT_ARG(stage_sip(s, m->call_id)));
    snprintf(d->our_tag, sizeof d->our_tag, "%.*s", TEXT_ARG(stage_sip(s, m->to_tag)));
    snprintf(d->peer_tag, sizeof d->peer_tag, "%.*s", TEXT_ARG(stage_sip(s, m->from_tag)));
    snprintf(d->contact, sizeof d->contact, "%.*s", TEXT_ARG(stage_sip(s, m->contact)));
    snprintf(d->from, sizeof d->from, "%.*s", TEXT_ARG(stage_sip(s, m->from_uri)));
    snprintf(d->to, sizeof d->to, "%.*s", TEXT_ARG(stage_sip(s, m->to_uri)));
    d->cseq = m->cseq;
}

void sip_resubscribes_with(struct stage *s, const struct stage_dialog *d, const char *headers)
{
    char message[16384];
    snprintf(message, sizeof message,
             "SUBSCRIBE %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKs%u%s\n"
             "Max-Forwards: 70\nFrom: <%s>;tag=%s\nTo: <%s>;tag=%s\nCall-ID: %s\n"
             "CSeq: %u SUBSCRIBE\n%s\n",
             d->contact, d->cseq, d->peer_tag, d->from, d->peer_tag, d->to, d->our_tag, d->call_id,
             d->cseq, headers);
    sip_says(s, message);
}

void sip_resubscribes(struct stage *s, struct stage_dialog *d, unsigned expires_s)
{
    char headers[128];
    d->cseq++;
    snprintf(headers, sizeof headers,
             "Contact: <sip:romeo@127.0.0.1:5099>\nEvent: presence\nExpires: %u\n", expires_s);
    sip_resubscribes_with(s, d, headers);
}
