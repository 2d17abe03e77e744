// SIP bytes → message: nothing in it points outside of it, and what is written from it reads back
// as the same.
#include "core/core.h"
#include "core/wire/address.h"
#include "core/wire/digest.h"
#include "core/wire/sip_glance.h"
#include "core/wire/sip_route.h"
#include "fuzz.h"

enum { MESSAGE_MAX = 8192 };

static struct sip_parser *parser, *again;
static struct buffer out, other;

static void in_block(const struct sip_message *m, struct span at, const char *what)
{
    uint32_t text = m->size - (uint32_t)sizeof *m;
    fuzz_expect(at.n <= text && at.off <= text - at.n, "%s points outside of the block", what);
}

static void all_in_block(const struct sip_message *m)
{
#define IN(field) in_block(m, m->field, #field)
    IN(method_name), IN(ruri), IN(from_uri), IN(from_tag), IN(to_uri), IN(to_tag), IN(call_id);
    IN(event_name), IN(event_id), IN(branch), IN(sent_by), IN(contact), IN(vias), IN(from), IN(to);
    IN(cseq_value), IN(record_routes), IN(content_language), IN(require), IN(etag);
    IN(suppress_if_match), IN(body);
    fuzz_expect(m->n_routes <= SIP_ROUTES_MAX && m->n_vias <= SIP_VIAS_MAX, "too many values");
    fuzz_expect(m->n_challenges <= SIP_CHALLENGES_MAX, "too many challenges");
    for (unsigned i = 0; i < m->n_routes; i++)
        IN(route_uri[i]);
    for (unsigned i = 0; i < m->n_challenges; i++)
        IN(challenge[i].realm), IN(challenge[i].nonce), IN(challenge[i].opaque);
#undef IN
    fuzz_expect(!m->defect || m->defect_phrase, "a defect without a phrase");
}

static void same(const struct sip_message *a, struct span x, const struct sip_message *b,
                 struct span y, const char *what)
{
    fuzz_expect(text_eq(sip_text(a, x), sip_text(b, y)), "another %s: \"%.*s\", \"%.*s\"", what,
                TEXT_ARG(sip_text(a, x)), TEXT_ARG(sip_text(b, y)));
}
#define SAME(field) same(m, m->field, r, r->field, #field)

static const struct sip_message *reads_back(const struct sip_message *m)
{
    const struct sip_message *r;
    fuzz_expect(!out.failed, "not written");
    fuzz_expect(sip_parse(again, out.p, out.n, &r) == 0, "not SIP: %.*s", (int)out.n, out.p);
    all_in_block(r);
    // What was good is written well; what is written of a defective message may have its defects.
    fuzz_expect(m->defect || !r->defect, "defect %u %s: %.*s", r->defect,
                r->defect ? r->defect_phrase : "", (int)out.n, out.p);
    return r;
}

// The answer that each request with somewhere to send it to gets.
static void answer(const struct sip_message *m)
{
    const struct sip_seen seen = {TEXT("192.0.2.7"), 5099};
    buffer_reset(&out);
    sip_write_response(&out, m, &seen, m->defect ? m->defect : 200,
                       m->defect ? text_of(m->defect_phrase) : TEXT(""), TEXT("ourtag"),
                       TEXT("Retry-After: 30\r\n"));
    const struct sip_message *r = reads_back(m);
    fuzz_expect(r->status == (m->defect ? m->defect : 200), "another status");
    if (m->defect)
        return;
    SAME(from_uri), SAME(from_tag), SAME(to_uri), SAME(call_id), SAME(branch), SAME(sent_by);
    fuzz_expect(m->n_vias == r->n_vias && m->cseq == r->cseq && m->method == r->method,
                "another answer");
    fuzz_expect(r->retry_after == 30, "a header field is lost");
}

static uint32_t rate_said(const struct sip_message *m, uint32_t ms)
{
    return m->substate == SUBSTATE_NONE ? SIP_ABSENT : ms;
}

// A request of ours with what this one says, as if it were the peer's own to be sent on.
static struct sip_request request_of(const struct sip_message *m)
{
    return (struct sip_request){
        .method = m->method,
        .ruri = sip_text(m, m->ruri),
        .via_host = TEXT("2001:db8::1"),
        .via_port = 5080,
        .branch = TEXT("z9hG4bKour"),
        .from_uri = sip_text(m, m->from_uri),
        .from_tag = sip_text(m, m->from_tag),
        .to_uri = sip_text(m, m->to_uri),
        .to_tag = sip_text(m, m->to_tag),
        .call_id = sip_text(m, m->call_id),
        .cseq = m->cseq,
        .contact = sip_text(m, m->contact),
        .routes = sip_text(m, m->record_routes),
        .event_id = sip_text(m, m->event_id),
        .expires = m->expires,
        .substate = m->substate,
        .reason = m->reason,
        .substate_expires = m->substate_expires,
        .substate_retry_after = SIP_ABSENT,
        .least_interval_ms = rate_said(m, m->least_interval_ms),
        .most_interval_ms = rate_said(m, m->most_interval_ms),
        .package = m->event,
        .etag = sip_text(m, m->etag),
        .suppress_if_match = sip_text(m, m->suppress_if_match),
        .pidf = m->method == SIP_NOTIFY ? sip_text(m, m->body) : TEXT(""),
    };
}

static void same_request(const struct sip_message *m, const struct sip_message *r)
{
    SAME(ruri), SAME(from_uri), SAME(from_tag), SAME(to_uri), SAME(to_tag), SAME(call_id);
    SAME(contact), SAME(event_id), SAME(etag), SAME(suppress_if_match);
    fuzz_expect(m->method == r->method && m->cseq == r->cseq && m->expires == r->expires,
                "another request");
    fuzz_expect(m->event == r->event && m->substate == r->substate, "another event or state");
    if (m->substate == SUBSTATE_TERMINATED)
        fuzz_expect(m->reason == r->reason, "another reason");
    else if (m->substate)
        fuzz_expect(m->substate_expires == r->substate_expires, "another expiry");
    if (m->method == SIP_NOTIFY)
        SAME(body);
}

static void pass_on(const struct sip_message *m)
{
    struct sip_places places;
    struct sip_request q = request_of(m);
    buffer_reset(&out);
    sip_write_request_places(&out, &q, &places);
    same_request(m, reads_back(m));
    fuzz_expect(text_eq((struct text){out.p + places.contact.off, places.contact.n}, q.contact),
                "Contact is elsewhere");
    // To another place.
    q.via_transport = TEXT("TCP");
    q.branch = TEXT("z9hG4bKnext");
    buffer_reset(&other);
    sip_rewrite_request(&other, fuzz_text(&out), &places, &q);
    struct buffer first = out;
    out = other;
    other = first;
    const struct sip_message *r = reads_back(m);
    same_request(m, r);
    fuzz_expect(text_eq(sip_text(r, r->branch), TEXT("z9hG4bKnext")), "another branch");
}

static void addresses(const struct sip_message *m)
{
    const struct span uris[] = {m->ruri, m->from_uri, m->to_uri, m->contact};
    char scratch[JID_MAX + 1];
    struct sip_uri uri;
    struct jid jid;
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++)
        if (sip_uri_parse(&uri, sip_text(m, uris[i])) == 0)
            address_to_jid(&jid, &uri, scratch, sizeof scratch);
    struct text rest = sip_text(m, m->record_routes), first;
    buffer_reset(&out);
    for (unsigned i = 0; rest.n && sip_route_first(rest, &first, &rest); i++) {
        fuzz_expect(i < SIP_ROUTES_MAX || m->defect, "more routes than were counted");
        sip_route_write_ruri(first, &out);
        sip_route_write_rest(rest, sip_text(m, m->contact), &out);
    }
    struct sip_echo echo;
    sip_echo_of(&echo, m);
    sip_passed(&echo, TEXT("192.0.2.1"), 5060, 5090);
}

#define AS_GLANCED(text, span)                                                                     \
    fuzz_expect(text_eq(text, sip_text(m, m->span)), "a glance sees another " #span)

// What is recognized at a glance is what the parser finds.
static void at_a_glance(const struct sip_message *m, struct text bytes)
{
    struct sip_glance g;
    const struct sip_seen seen = {TEXT("192.0.2.7"), 5099};
    if (!sip_glance(&g, bytes))
        return;
    fuzz_expect(m->method == SIP_SUBSCRIBE && !m->status, "a glance sees a SUBSCRIBE");
    if (m->defect)
        return;
    fuzz_expect(m->to_tag.n == 0 && m->require.n == 0 && m->max_forwards > 0, "no new SUBSCRIBE");
    fuzz_expect(g.cseq == m->cseq && g.echo.sent_by_port == m->sent_by_port &&
                    g.echo.rport == m->rport && g.echo.alone == (m->n_vias == 1),
                "a glance sees another request");
    AS_GLANCED(g.branch, branch);
    AS_GLANCED(g.from_tag, from_tag);
    AS_GLANCED(g.echo.sent_by, sent_by);
    AS_GLANCED(g.echo.from, from);
    AS_GLANCED(g.echo.to, to);
    AS_GLANCED(g.echo.call_id, call_id);
    AS_GLANCED(g.echo.cseq, cseq_value);
    buffer_reset(&out);
    sip_write_answer(&out, &g.echo, &seen, 503, TEXT(""), TEXT("ourtag"), TEXT(""));
    const struct sip_message *r = reads_back(m);
    fuzz_expect(r->status == 503 && r->n_vias == m->n_vias, "another answer");
    SAME(branch), SAME(from_uri), SAME(from_tag), SAME(to_uri), SAME(call_id);
}

static void start(void)
{
    if (parser)
        return;
    if (sip_parser_create(&parser, MESSAGE_MAX) || sip_parser_create(&again, 8 * MESSAGE_MAX))
        abort();
    buffer_init(&out, 0);
    buffer_init(&other, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct sip_message *parsed;
    start();
    if (sip_parse(parser, (const char *)data, n, &parsed) != 0)
        return 0;
    fuzz_expect(n <= MESSAGE_MAX || parsed->defect, "longer than the limit");
    // It can be taken elsewhere, and lives there by itself.
    struct sip_message *m = malloc(parsed->size);
    if (!m)
        abort();
    memcpy(m, parsed, parsed->size);
    all_in_block(m);
    at_a_glance(m, (struct text){(const char *)data, n});
    if (!m->status && m->answerable)
        answer(m);
    if (!m->defect && (m->method == SIP_SUBSCRIBE || m->method == SIP_NOTIFY) && !m->status &&
        m->event != SIP_EVENT_UNKNOWN && m->event != SIP_EVENT_NONE && m->contact.n)
        pass_on(m);
    addresses(m);
    free(m);
    return 0;
}
