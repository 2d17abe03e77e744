// The SIP messages that the gateway sends, as bytes: answers, SUBSCRIBE and NOTIFY.
#include "core/wire/sip.h"

#include "core/wire/sip_names.h"
#include "core/wire/sip_rate.h"
#include "core/wire/sip_scan.h"

#include <assert.h>

static void field(struct buffer *b, struct text name, struct text value)
{
    if (value.n == 0)
        return;
    buffer_text(b, name);
    buffer_text(b, value);
    buffer_lit(b, "\r\n");
}

static void field_u64(struct buffer *b, struct text name, uint64_t value)
{
    buffer_text(b, name);
    buffer_u64(b, value);
    buffer_lit(b, "\r\n");
}

// An IPv6 address that has no brackets yet.
static bool wants_brackets(struct text host)
{
    return host.n && host.p[0] != '[' && memchr(host.p, ':', host.n);
}

// The top value with what the sender said of `received` and `rport` replaced by what was seen.
static void write_top_via(struct buffer *b, struct text via, bool rport, bool received,
                          const struct sip_seen *seen)
{
    size_t head = scan_until(via, ';');
    struct text params = {via.p + head, via.n - head}, name, value;
    buffer_add(b, via.p, head);
    while (params.n) {
        const char *from = params.p;
        if (!scan_param(&params, &name, &value))
            break;
        if (text_eq_nocase(name, TEXT("received")) || text_eq_nocase(name, TEXT("rport")))
            continue;
        buffer_add(b, from, (size_t)(params.p - from));
    }
    if (received) {
        buffer_lit(b, ";received=");
        buffer_text(b, seen->host);
    }
    if (rport) {
        buffer_lit(b, ";rport=");
        buffer_u64(b, seen->port);
    }
}

// RFC 3261 §18.2.1 and RFC 3581 §4: `received` when the sent-by host is not the source address, and
// always when rport is asked for.
static void write_vias(struct buffer *b, const struct sip_echo *req, const struct sip_seen *seen)
{
    if (req->n_vias == 0)
        return;
    struct text first = req->via[0];
    bool received = req->rport || !scan_host_eq(req->sent_by, seen->host);
    struct text top = scan_trim((struct text){first.p, scan_until(first, ',')});
    buffer_lit(b, "Via: ");
    write_top_via(b, top, req->rport, received, seen);
    buffer_add(b, top.p + top.n, (size_t)(first.p + first.n - (top.p + top.n)));
    buffer_lit(b, "\r\n");
    for (unsigned i = 1; i < req->n_vias; i++)
        field(b, TEXT("Via: "), req->via[i]);
}

static void write_cseq(struct buffer *b, uint32_t cseq, struct text method)
{
    buffer_lit(b, "CSeq: ");
    buffer_u64(b, cseq);
    buffer_char(b, ' ');
    buffer_text(b, method);
    buffer_lit(b, "\r\n");
}

static void write_to(struct buffer *b, const struct sip_echo *req, struct text to_tag)
{
    if (req->to.n == 0)
        return;
    buffer_lit(b, "To: ");
    buffer_text(b, req->to);
    if (!req->tagged && to_tag.n) {
        buffer_lit(b, ";tag=");
        buffer_text(b, to_tag);
    }
    buffer_lit(b, "\r\n");
}

static void write_status_line(struct buffer *b, unsigned status, struct text phrase)
{
    if (status == 200 && !phrase.n) {
        buffer_lit(b, "SIP/2.0 200 OK\r\n");
        return;
    }
    buffer_lit(b, "SIP/2.0 ");
    buffer_u64(b, status);
    buffer_char(b, ' ');
    buffer_text(b, phrase.n ? phrase : sip_phrase(status));
    buffer_lit(b, "\r\n");
}

void sip_echo_of(struct sip_echo *out, const struct sip_message *req)
{
    out->via[0] = sip_text(req, req->vias);
    out->n_vias = req->vias.n > 0;
    out->alone = req->n_vias == 1;
    out->rport = req->rport;
    out->sent_by = sip_text(req, req->sent_by);
    out->sent_by_port = req->sent_by_port;
    out->from = sip_text(req, req->from);
    out->to = sip_text(req, req->to);
    out->call_id = sip_text(req, req->call_id);
    out->cseq = sip_text(req, req->cseq_value);
    out->tagged = req->to_tag.n > 0;
}

void sip_write_answer(struct buffer *b, const struct sip_echo *req, const struct sip_seen *seen,
                      unsigned status, struct text phrase, struct text to_tag, struct text headers)
{
    write_status_line(b, status, phrase);
    write_vias(b, req, seen);
    field(b, TEXT("From: "), req->from);
    write_to(b, req, to_tag);
    field(b, TEXT("Call-ID: "), req->call_id);
    field(b, TEXT("CSeq: "), req->cseq);
    buffer_text(b, headers);
    buffer_lit(b, "Content-Length: 0\r\n\r\n");
}

void sip_write_response(struct buffer *b, const struct sip_message *req,
                        const struct sip_seen *seen, unsigned status, struct text phrase,
                        struct text to_tag, struct text headers)
{
    struct sip_echo echo;
    sip_echo_of(&echo, req);
    sip_write_answer(b, &echo, seen, status, phrase, to_tag, headers);
}

// ---- Requests ---------------------------------------------------------------------------------

static void write_via(struct buffer *b, const struct sip_request *r)
{
    bool brackets = wants_brackets(r->via_host);
    buffer_lit(b, "Via: SIP/2.0/");
    buffer_text(b, r->via_transport.n ? r->via_transport : TEXT("UDP"));
    buffer_char(b, ' ');
    if (brackets)
        buffer_char(b, '[');
    buffer_text(b, r->via_host);
    if (brackets)
        buffer_char(b, ']');
    if (r->via_port) {
        buffer_char(b, ':');
        buffer_u64(b, r->via_port);
    }
    buffer_lit(b, ";branch=");
    buffer_text(b, r->branch);
    buffer_lit(b, ";rport\r\n");
}

static void write_party(struct buffer *b, struct text name, struct text uri, struct text tag)
{
    buffer_text(b, name);
    buffer_char(b, '<');
    buffer_text(b, uri);
    buffer_char(b, '>');
    if (tag.n) {
        buffer_lit(b, ";tag=");
        buffer_text(b, tag);
    }
    buffer_lit(b, "\r\n");
}

static void write_package(struct buffer *b, const struct sip_request *r)
{
    buffer_lit(b, "Event: presence");
    if (r->package == SIP_EVENT_WINFO)
        buffer_lit(b, ".winfo");
    if (r->event_id.n) {
        buffer_lit(b, ";id=");
        buffer_text(b, r->event_id);
    }
    buffer_lit(b, "\r\n");
}

static bool is_said(uint32_t v)
{
    return v != 0 && v != SIP_ABSENT;
}

// RFC 6665 §4.2.2: `expires` while it lives, a reason when it ends. RFC 6446 §4.2: the rates in any
// NOTIFY.
static void write_substate(struct buffer *b, const struct sip_request *r)
{
    bool ended = r->substate == SUBSTATE_TERMINATED;
    if (r->substate == SUBSTATE_NONE)
        return;
    buffer_lit(b, "Subscription-State: ");
    buffer_text(b, sip_substate_text(r->substate));
    if (!ended && r->substate_expires != SIP_ABSENT) {
        buffer_lit(b, ";expires=");
        buffer_u64(b, r->substate_expires);
    }
    if (ended && r->reason != REASON_NONE) {
        buffer_lit(b, ";reason=");
        buffer_text(b, sip_reason_text(r->reason));
    }
    if (ended && is_said(r->substate_retry_after)) {
        buffer_lit(b, ";retry-after=");
        buffer_u64(b, r->substate_retry_after);
    }
    if (is_said(r->least_interval_ms))
        rate_write_least(b, TEXT("max-rate"), r->least_interval_ms);
    if (is_said(r->most_interval_ms))
        rate_write_most(b, TEXT("min-rate"), r->most_interval_ms);
    buffer_lit(b, "\r\n");
}

static struct text content_type(enum sip_event_package package)
{
    return package == SIP_EVENT_WINFO ? TEXT("application/watcherinfo+xml")
                                      : TEXT("application/pidf+xml");
}

static void write_body(struct buffer *b, const struct sip_request *r)
{
    if (r->pidf.n) {
        field(b, TEXT("Content-Type: "), content_type(r->package));
        field(b, TEXT("Content-Language: "), r->content_language);
    }
    field_u64(b, TEXT("Content-Length: "), r->pidf.n);
    buffer_lit(b, "\r\n");
    buffer_text(b, r->pidf);
}

static void write_head(struct buffer *b, const struct sip_request *r)
{
    write_package(b, r);
    write_substate(b, r);
    field(b, TEXT("SIP-ETag: "), r->etag);
    field(b, TEXT("Suppress-If-Match: "), r->suppress_if_match);
    if (r->expires != SIP_ABSENT)
        field_u64(b, TEXT("Expires: "), r->expires);
    if (r->method == SIP_SUBSCRIBE) {
        field(b, TEXT("Accept: "), content_type(r->package));
        buffer_lit(b, "Allow-Events: presence\r\n"); // RFC 6665 §4.4.4
    }
    buffer_text(b, r->authorization);
}

static struct span span_since(const struct buffer *b, size_t start, size_t from)
{
    return (struct span){(uint32_t)(from - start), (uint32_t)(b->n - from)};
}

// "Contact: <" … ">"; returns where the URI lies.
static struct span write_contact(struct buffer *b, size_t start, struct text uri)
{
    buffer_lit(b, "Contact: <");
    size_t from = b->n;
    buffer_text(b, uri);
    struct span at = span_since(b, start, from);
    buffer_lit(b, ">\r\n");
    return at;
}

void sip_write_request_places(struct buffer *b, const struct sip_request *r,
                              struct sip_places *places)
{
    struct text method = sip_method_text(r->method);
    size_t start = b->n, from;
    buffer_text(b, method);
    buffer_char(b, ' ');
    buffer_text(b, r->ruri);
    buffer_lit(b, " SIP/2.0\r\n");
    from = b->n;
    write_via(b, r);
    places->via = span_since(b, start, from);
    buffer_lit(b, "Max-Forwards: 70\r\n");
    field(b, TEXT("Route: "), r->routes);
    write_party(b, TEXT("From: "), r->from_uri, r->from_tag);
    write_party(b, TEXT("To: "), r->to_uri, r->to_tag);
    field(b, TEXT("Call-ID: "), r->call_id);
    write_cseq(b, r->cseq, method);
    places->contact = write_contact(b, start, r->contact);
    write_head(b, r);
    write_body(b, r);
}

void sip_write_request(struct buffer *b, const struct sip_request *r)
{
    struct sip_places unused;
    sip_write_request_places(b, r, &unused);
}

void sip_rewrite_request(struct buffer *b, struct text bytes, struct sip_places *places,
                         const struct sip_request *r)
{
    size_t start = b->n, via = places->via.off, behind_via = via + places->via.n;
    size_t contact = places->contact.off, behind_contact = contact + places->contact.n;
    assert(behind_via <= contact && behind_contact <= bytes.n);
    buffer_add(b, bytes.p, via);
    write_via(b, r);
    places->via = span_since(b, start, start + via);
    buffer_add(b, bytes.p + behind_via, contact - behind_via);
    size_t from = b->n;
    buffer_text(b, r->contact);
    places->contact = span_since(b, start, from);
    buffer_add(b, bytes.p + behind_contact, bytes.n - behind_contact);
}
