// One SIP datagram to its plain form: framing and the start line here, structured values by sofia.
//
// The datagram is split into header field lines once; nothing is decoded that the gateway doesn't
// look at, so a flood of other fields costs no more than finding their ends. Structured values go
// to sofia's parser one by one, in a scratch copy that it may cut up; what it returns are pointers
// into that copy, which give spans of the original. Its memory is an area of ours that is reset per
// value.
#include "core/wire/sip.h"

#include "core/wire/address.h"
#include "core/wire/sip_scan.h"

#include <errno.h>
#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip_hclasses.h>
#include <sofia-sip/sip_header.h>
#include <stdlib.h>

enum header {
    H_VIA,
    H_FROM,
    H_TO,
    H_CALL_ID,
    H_CSEQ,
    H_CONTACT,
    H_RECORD_ROUTE,
    H_MAX_FORWARDS,
    H_EVENT,
    H_SUBSTATE,
    H_EXPIRES,
    H_MIN_EXPIRES,
    H_RETRY_AFTER,
    H_ACCEPT,
    H_CONTENT_TYPE,
    H_CONTENT_LENGTH,
    H_CONTENT_LANGUAGE,
    H_REQUIRE,
    H_COUNT
};

// `again`: the phrase of the defect when it stands there twice; NULL: it may.
static const struct {
    struct text name;
    char compact;
    const char *again;
} headers[H_COUNT] = {
    [H_VIA] = {{"via", 3}, 'v', NULL},
    [H_FROM] = {{"from", 4}, 'f', "Multiple From"},
    [H_TO] = {{"to", 2}, 't', "Multiple To"},
    [H_CALL_ID] = {{"call-id", 7}, 'i', "Multiple Call-ID"},
    [H_CSEQ] = {{"cseq", 4}, 0, "Multiple CSeq"},
    [H_CONTACT] = {{"contact", 7}, 'm', NULL},
    [H_RECORD_ROUTE] = {{"record-route", 12}, 0, NULL},
    [H_MAX_FORWARDS] = {{"max-forwards", 12}, 0, "Multiple Max-Forwards"},
    [H_EVENT] = {{"event", 5}, 'o', "Multiple Event"},
    [H_SUBSTATE] = {{"subscription-state", 18}, 0, "Multiple Subscription-State"},
    [H_EXPIRES] = {{"expires", 7}, 0, "Multiple Expires"},
    [H_MIN_EXPIRES] = {{"min-expires", 11}, 0, "Multiple Min-Expires"},
    [H_RETRY_AFTER] = {{"retry-after", 11}, 0, "Multiple Retry-After"},
    [H_ACCEPT] = {{"accept", 6}, 0, NULL},
    [H_CONTENT_TYPE] = {{"content-type", 12}, 'c', "Multiple Content-Type"},
    [H_CONTENT_LENGTH] = {{"content-length", 14}, 'l', "Multiple Content-Length"},
    [H_CONTENT_LANGUAGE] = {{"content-language", 16}, 0, NULL},
    [H_REQUIRE] = {{"require", 7}, 0, NULL},
};

struct line {
    struct span value; // trimmed and unfolded
    uint8_t header;
};

// What sofia allocates for one value of SIP_VALUE_MAX with many parameters may be more: then it
// takes it from malloc and gives it back with the home.
enum { HOME_BYTES = 2048 };

struct sip_parser {
    size_t message_max;
    struct sip_message *m; // the block, grows
    size_t cap;            // of m->text
    size_t used;           // of m->text: the datagram and the tail
    bool full;             // the tail did not fit: a mistake in text_capacity()
    size_t n_lines;
    struct line lines[SIP_LINES_MAX];
    struct span first[H_COUNT]; // the first line's value
    uint16_t count[H_COUNT];    // lines
    char scratch[SIP_VALUE_MAX + 1];
    _Alignas(16) char home[HOME_BYTES];
};

int sip_parser_create(struct sip_parser **out, size_t message_max)
{
    struct sip_parser *p = calloc(1, sizeof *p);
    if (!p)
        return ENOMEM;
    p->message_max = message_max;
    *out = p;
    return 0;
}

void sip_parser_destroy(struct sip_parser *p)
{
    if (!p)
        return;
    free(p->m);
    free(p);
}

// The tail takes each value at most three times: unfolded, joined, decoded.
static size_t text_capacity(size_t n)
{
    return 4 * n + 2 * SIP_LINES_MAX;
}

static int parser_reset(struct sip_parser *p, const char *data, size_t n)
{
    size_t cap = text_capacity(n);
    if (!p->m || p->cap < cap) {
        struct sip_message *m = realloc(p->m, sizeof *m + cap);
        if (!m)
            return ENOMEM;
        p->m = m;
        p->cap = cap;
    }
    *p->m = (struct sip_message){.max_forwards = SIP_ABSENT,
                                 .expires = SIP_ABSENT,
                                 .min_expires = SIP_ABSENT,
                                 .retry_after = SIP_ABSENT,
                                 .substate_expires = SIP_ABSENT,
                                 .substate_retry_after = SIP_ABSENT};
    memcpy(p->m->text, data, n);
    memset(p->count, 0, sizeof p->count);
    memset(p->first, 0, sizeof p->first);
    p->used = n;
    p->n_lines = 0;
    p->full = false;
    return 0;
}

// The first defect found is the one that is answered.
static void defect(struct sip_parser *p, uint16_t status, const char *phrase)
{
    if (p->m->defect)
        return;
    p->m->defect = status;
    p->m->defect_phrase = phrase;
}

static struct text text_at(const struct sip_parser *p, struct span at)
{
    return sip_text(p->m, at);
}

static struct span span_of(const struct sip_parser *p, struct text t)
{
    return (struct span){t.n ? (uint32_t)(t.p - p->m->text) : 0, (uint32_t)t.n};
}

static char *tail(struct sip_parser *p, size_t n)
{
    if (n > p->cap - p->used) {
        p->full = true;
        return NULL;
    }
    p->used += n;
    return p->m->text + p->used - n;
}

static struct span tail_add(struct sip_parser *p, struct text t)
{
    char *to = tail(p, t.n);
    if (!to)
        return (struct span){0};
    memcpy(to, t.p, t.n);
    return span_of(p, (struct text){to, t.n});
}

// ---- Framing ----------------------------------------------------------------------------------

// The header's number, or H_COUNT when the gateway doesn't look at it.
static enum header header_of(struct text name)
{
    for (unsigned h = 0; h < H_COUNT; h++) {
        if (name.n == 1 && headers[h].compact && (name.p[0] | 0x20) == headers[h].compact)
            return h;
        if (name.n == headers[h].name.n && (name.p[0] | 0x20) == headers[h].name.p[0] &&
            text_eq_nocase(name, headers[h].name))
            return h;
    }
    return H_COUNT;
}

// Line ends inside a value (folding, RFC 3261 §7.3.1, and a stray CR) become blanks in a copy, so
// that nothing that is echoed can end a line.
static struct span unfold(struct sip_parser *p, struct text value)
{
    value = scan_trim(value);
    if (!memchr(value.p, '\n', value.n) && !memchr(value.p, '\r', value.n))
        return span_of(p, value);
    struct span copy = tail_add(p, value);
    for (uint32_t i = copy.off; i < copy.off + copy.n; i++)
        if (p->m->text[i] == '\r' || p->m->text[i] == '\n')
            p->m->text[i] = ' ';
    return span_of(p, scan_trim(text_at(p, copy)));
}

static void take_line(struct sip_parser *p, struct text line)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return; // RFC 3261 §8.2: what can't be understood and isn't needed is passed over
    struct text name = scan_trim((struct text){line.p, (size_t)(colon - line.p)});
    enum header h = name.n ? header_of(name) : H_COUNT;
    if (h == H_COUNT)
        return;
    struct text value = {colon + 1, line.n - (size_t)(colon + 1 - line.p)};
    struct span at = unfold(p, value);
    if (p->count[h]++ == 0)
        p->first[h] = at;
    else if (headers[h].again)
        defect(p, 400, headers[h].again);
    p->lines[p->n_lines++] = (struct line){.value = at, .header = (uint8_t)h};
}

// One line with its folded continuations, without the last line end; *next is what follows it.
static struct text next_line(struct text t, size_t *next)
{
    size_t from = 0;
    for (;;) {
        const char *lf = memchr(t.p + from, '\n', t.n - from);
        size_t end = lf ? (size_t)(lf - t.p) : t.n;
        *next = lf ? end + 1 : t.n;
        if (*next < t.n && end > 0 && scan_is_blank(t.p[*next])) {
            from = *next;
            continue;
        }
        if (lf && end > 0 && t.p[end - 1] == '\r')
            end--;
        return (struct text){t.p, end};
    }
}

// Reads all lines up to the empty one; returns where the body begins, or 0 when there is no empty
// line.
static size_t read_lines(struct sip_parser *p, size_t from, size_t n)
{
    for (size_t lines = 0; from < n; lines++) {
        size_t next = 0;
        struct text line = next_line((struct text){p->m->text + from, n - from}, &next);
        from += next;
        if (line.n == 0)
            return from;
        if (lines >= SIP_LINES_MAX)
            defect(p, 400, "Too Many Header Fields");
        else
            take_line(p, line);
    }
    return 0;
}

// All values of a list field, in order, with commas between the lines'.
static struct span join(struct sip_parser *p, enum header h)
{
    if (p->count[h] <= 1)
        return p->first[h];
    size_t from = p->used;
    for (size_t i = 0; i < p->n_lines; i++) {
        if (p->lines[i].header != h || p->lines[i].value.n == 0)
            continue;
        if (p->used > from)
            tail_add(p, TEXT(", "));
        tail_add(p, text_at(p, p->lines[i].value));
    }
    return (struct span){(uint32_t)from, (uint32_t)(p->used - from)};
}

// ---- Values by sofia --------------------------------------------------------------------------

// Parses `value` as a field of class `hc`; NULL: it isn't one. The result and its strings, which
// lie in p->scratch, are good until the next call.
static sip_header_t *parse_value(struct sip_parser *p, msg_hclass_t *hc, struct text value,
                                 su_home_t **home)
{
    *home = NULL;
    if (value.n == 0 || value.n > SIP_VALUE_MAX)
        return NULL;
    memcpy(p->scratch, value.p, value.n);
    p->scratch[value.n] = '\0';
    // A NUL may stand in a quoted pair (RFC 4475 §3.1.1.2) but would end sofia's string.
    for (char *nul = p->scratch; (nul = memchr(nul, '\0', value.n - (size_t)(nul - p->scratch)));)
        *nul = '\001';
    *home = su_home_auto(p->home, sizeof p->home);
    sip_header_t *h = (sip_header_t *)msg_header_alloc(*home, hc, 0);
    if (!h || hc->hc_parse(*home, (msg_header_t *)h, p->scratch, (isize_t)value.n) < 0)
        return NULL;
    return h;
}

static void parse_end(su_home_t *home)
{
    if (home)
        su_home_deinit(home);
}

// A string of sofia's as a span of the message: of the value itself where it still says the same.
static struct span decoded(struct sip_parser *p, struct text value, const char *z)
{
    if (!z || !*z)
        return (struct span){0};
    struct text t = text_of(z);
    size_t at = (size_t)(z - p->scratch);
    if (z >= p->scratch && at + t.n <= value.n && memcmp(value.p + at, z, t.n) == 0)
        return span_of(p, (struct text){value.p + at, t.n});
    return tail_add(p, t);
}

// Delta seconds that may exceed what we can count: RFC 3261 §20.19 ends at 2^32-1, which is taken.
static uint32_t seconds(struct text t)
{
    uint64_t v = 0;
    if (t.n == 0)
        return SIP_ABSENT;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return SIP_ABSENT;
        v = v * 10 + (uint64_t)(t.p[i] - '0');
        if (v > SIP_ABSENT - 1)
            v = SIP_ABSENT - 1;
    }
    return (uint32_t)v;
}

static bool known_scheme(enum address_scheme s)
{
    return s == SCHEME_SIP || s == SCHEME_SIPS || s == SCHEME_PRES || s == SCHEME_IM;
}

// A URI that we can take apart, or one of a scheme that we needn't.
static bool uri_sound(struct text uri)
{
    struct sip_uri u;
    return sip_uri_parse(&u, uri) == 0;
}

static void read_top_via(struct sip_parser *p, struct text top)
{
    su_home_t *home;
    sip_header_t *h = parse_value(p, sip_via_class, top, &home);
    struct sip_message *m = p->m;
    if (!h || strncasecmp(h->sh_via->v_protocol, "SIP/", 4) != 0 || !h->sh_via->v_host) {
        defect(p, 400, "Bad Via");
        parse_end(home);
        return;
    }
    const sip_via_t *v = h->sh_via;
    uint32_t port = 0;
    m->sent_by = decoded(p, top, v->v_host);
    struct text host = text_at(p, m->sent_by);
    if (host.n > 2 && host.p[0] == '[')
        m->sent_by = (struct span){m->sent_by.off + 1, m->sent_by.n - 2};
    if (v->v_port && (!text_to_u32(text_of(v->v_port), UINT16_MAX, &port) || port == 0))
        defect(p, 400, "Bad Via");
    m->sent_by_port = (uint16_t)port;
    m->branch = decoded(p, top, msg_params_find(v->v_params, "branch="));
    m->rport = msg_params_find(v->v_params, "rport") != NULL;
    m->answerable = m->status == 0 && m->method != SIP_ACK && m->sent_by.n > 0;
    parse_end(home);
    struct text branch = text_at(p, m->branch);
    // RFC 4475 §3.2.1: the magic cookie and no identifier behind it.
    if (branch.n && (!scan_is_token(branch) || text_eq_nocase(branch, TEXT("z9hG4bK"))))
        defect(p, 400, "Bad Via Branch");
}

static void read_vias(struct sip_parser *p)
{
    p->m->vias = join(p, H_VIA);
    struct text rest = text_at(p, p->m->vias);
    if (rest.n == 0) {
        defect(p, 400, "Missing Via");
        return;
    }
    struct text top = scan_value(rest, &rest);
    read_top_via(p, top);
    unsigned n = 1;
    for (; rest.n && n <= SIP_VIAS_MAX; n++) {
        struct text v = scan_value(rest, &rest);
        if (v.n < 3 || strncasecmp(v.p, "SIP", 3) != 0)
            defect(p, 400, "Bad Via");
    }
    if (n > SIP_VIAS_MAX)
        defect(p, 400, "Too Many Via Values");
    p->m->n_vias = (uint8_t)n;
}

struct party {
    struct span value, uri, tag;
};

// From or To.
static void read_party(struct sip_parser *p, enum header which, struct party *out,
                       const char *missing, const char *bad)
{
    out->value = p->first[which];
    struct text value = text_at(p, out->value), uri, params;
    if (p->count[which] == 0) {
        defect(p, 400, missing);
        return;
    }
    su_home_t *home;
    sip_header_t *h = parse_value(p, which == H_FROM ? sip_from_class : sip_to_class, value, &home);
    if (!h || !scan_address(value, &uri, &params) || !uri_sound(uri)) {
        defect(p, 400, bad);
    } else {
        out->uri = span_of(p, uri);
        out->tag = decoded(p, value, h->sh_from->a_tag);
        if (out->tag.n && !scan_is_token(text_at(p, out->tag)))
            defect(p, 400, bad);
    }
    parse_end(home);
}

static void read_parties(struct sip_parser *p)
{
    struct party from = {0}, to = {0};
    read_party(p, H_FROM, &from, "Missing From", "Bad From");
    read_party(p, H_TO, &to, "Missing To", "Bad To");
    p->m->from = from.value;
    p->m->from_uri = from.uri;
    p->m->from_tag = from.tag;
    p->m->to = to.value;
    p->m->to_uri = to.uri;
    p->m->to_tag = to.tag;
}

static void read_call_id(struct sip_parser *p)
{
    p->m->call_id = p->first[H_CALL_ID];
    struct text id = text_at(p, p->m->call_id);
    if (p->count[H_CALL_ID] == 0)
        defect(p, 400, "Missing Call-ID");
    if (p->count[H_CALL_ID] && id.n == 0)
        defect(p, 400, "Bad Call-ID");
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] >= 0x7f) // char is signed here: bytes above ASCII too
            defect(p, 400, "Bad Call-ID");
}

static const struct {
    struct text name;
    enum sip_method method;
} methods[] = {
    {{"SUBSCRIBE", 9}, SIP_SUBSCRIBE},
    {{"NOTIFY", 6}, SIP_NOTIFY},
    {{"OPTIONS", 7}, SIP_OPTIONS},
    {{"MESSAGE", 7}, SIP_MESSAGE},
    {{"PUBLISH", 7}, SIP_PUBLISH},
    {{"INVITE", 6}, SIP_INVITE},
    {{"ACK", 3}, SIP_ACK},
    {{"CANCEL", 6}, SIP_CANCEL},
    {{"BYE", 3}, SIP_BYE},
    {{"REGISTER", 8}, SIP_REGISTER},
};

struct text sip_method_text(enum sip_method m)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == m)
            return methods[i].name;
    return TEXT("");
}

static enum sip_method method_of(struct text name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (text_eq(name, methods[i].name))
            return methods[i].method;
    return SIP_OTHER;
}

static void read_cseq(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->cseq_value = p->first[H_CSEQ];
    struct text v = text_at(p, m->cseq_value);
    size_t digits = 0;
    while (digits < v.n && !scan_is_blank(v.p[digits]))
        digits++;
    struct text method = scan_trim((struct text){v.p + digits, v.n - digits});
    if (p->count[H_CSEQ] == 0)
        defect(p, 400, "Missing CSeq");
    else if (!text_to_u32((struct text){v.p, digits}, UINT32_MAX, &m->cseq) ||
             !scan_is_token(method))
        defect(p, 400, "Bad CSeq");
    else if (m->status) {
        m->method = (uint8_t)method_of(method);
        m->method_name = span_of(p, method);
    } else if (!text_eq(method, text_at(p, m->method_name))) {
        // RFC 4475 §3.1.2.17, §3.1.2.18: an unknown method is the graver matter.
        defect(p, m->method == SIP_OTHER ? 501 : 400,
               m->method == SIP_OTHER ? "Not Implemented" : "CSeq Method Mismatch");
    }
}

static void read_contact(struct sip_parser *p)
{
    struct text rest = text_at(p, p->first[H_CONTACT]);
    if (rest.n == 0 || text_eq(rest, TEXT("*")))
        return;
    struct text value = scan_value(rest, &rest), uri, params;
    su_home_t *home;
    sip_header_t *h = parse_value(p, sip_contact_class, value, &home);
    struct sip_uri u;
    if (h && scan_address(value, &uri, &params) && sip_uri_parse(&u, uri) == 0) {
        if (u.headers.n) // RFC 3261 §19.1.1: not in the Request-URI that this becomes
            uri.n = (size_t)(u.headers.p - 1 - uri.p);
        p->m->contact = span_of(p, uri);
    } else {
        defect(p, 400, "Bad Contact");
    }
    parse_end(home);
}

static void read_record_routes(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->record_routes = join(p, H_RECORD_ROUTE);
    struct text rest = text_at(p, m->record_routes);
    while (rest.n) {
        struct text value = scan_value(rest, &rest), uri, params;
        if (!scan_address(value, &uri, &params) || !uri_sound(uri)) {
            defect(p, 400, "Bad Record-Route");
            return;
        }
        if (m->n_routes == SIP_ROUTES_MAX) {
            defect(p, 400, "Too Many Record-Route Values");
            return;
        }
        m->route_uri[m->n_routes++] = span_of(p, uri);
    }
}

static void read_event(struct sip_parser *p)
{
    struct text value = text_at(p, p->first[H_EVENT]);
    if (p->count[H_EVENT] == 0)
        return;
    su_home_t *home;
    sip_header_t *h = parse_value(p, sip_event_class, value, &home);
    if (!h) {
        defect(p, 400, "Bad Event");
    } else {
        struct sip_message *m = p->m;
        m->event_name = decoded(p, value, h->sh_event->o_type);
        m->event_id = decoded(p, value, msg_params_find(h->sh_event->o_params, "id="));
        // RFC 6665 §8.2.1: event types are compared byte by byte, case being significant.
        m->event = text_eq(text_at(p, m->event_name), TEXT("presence")) ? SIP_EVENT_PRESENCE
                                                                        : SIP_EVENT_UNKNOWN;
        if (!scan_is_token(text_at(p, m->event_name)) ||
            (m->event_id.n && !scan_is_token(text_at(p, m->event_id))))
            defect(p, 400, "Bad Event");
    }
    parse_end(home);
}

static const struct text reasons[] = {
    [REASON_DEACTIVATED] = {"deactivated", 11},
    [REASON_PROBATION] = {"probation", 9},
    [REASON_REJECTED] = {"rejected", 8},
    [REASON_TIMEOUT] = {"timeout", 7},
    [REASON_GIVEUP] = {"giveup", 6},
    [REASON_NORESOURCE] = {"noresource", 10},
    [REASON_INVARIANT] = {"invariant", 9},
};

struct text sip_reason_text(enum sip_reason r)
{
    return r > REASON_NONE && r <= REASON_INVARIANT ? reasons[r] : TEXT("");
}

static enum sip_reason reason_of(const char *z)
{
    for (unsigned r = REASON_DEACTIVATED; z && r <= REASON_INVARIANT; r++)
        if (text_eq_nocase(text_of(z), reasons[r]))
            return r;
    return REASON_NONE;
}

// RFC 6665 §4.1.3. An unknown state is neither active nor terminated: nothing is known of it.
static enum sip_substate substate_of(const char *z)
{
    struct text t = text_of(z);
    if (text_eq_nocase(t, TEXT("active")))
        return SUBSTATE_ACTIVE;
    if (text_eq_nocase(t, TEXT("pending")))
        return SUBSTATE_PENDING;
    return text_eq_nocase(t, TEXT("terminated")) ? SUBSTATE_TERMINATED : SUBSTATE_NONE;
}

static void read_substate(struct sip_parser *p)
{
    if (p->count[H_SUBSTATE] == 0)
        return;
    su_home_t *home;
    struct text value = text_at(p, p->first[H_SUBSTATE]);
    sip_header_t *h = parse_value(p, sip_subscription_state_class, value, &home);
    if (!h) {
        defect(p, 400, "Bad Subscription-State");
    } else {
        const sip_subscription_state_t *s = h->sh_subscription_state;
        p->m->substate = (uint8_t)substate_of(s->ss_substate);
        p->m->reason = (uint8_t)reason_of(msg_params_find(s->ss_params, "reason="));
        p->m->substate_expires = seconds(text_of(msg_params_find(s->ss_params, "expires=")));
        p->m->substate_retry_after =
            seconds(text_of(msg_params_find(s->ss_params, "retry-after=")));
    }
    parse_end(home);
}

// type/subtype without its parameters.
static struct text media_type(struct text value)
{
    return scan_trim((struct text){value.p, scan_until(value, ';')});
}

static void read_accept(struct sip_parser *p)
{
    struct text rest = text_at(p, join(p, H_ACCEPT));
    p->m->accepts_pidf = p->count[H_ACCEPT] == 0;
    while (rest.n && !p->m->accepts_pidf) {
        struct text type = media_type(scan_value(rest, &rest));
        p->m->accepts_pidf = text_eq_nocase(type, TEXT("application/pidf+xml")) ||
                             text_eq_nocase(type, TEXT("application/*")) ||
                             text_eq_nocase(type, TEXT("*/*"));
    }
}

// A language tag, RFC 3261 §25.1: letters, digits after the first, hyphens.
static struct text language(struct text value)
{
    struct text t = scan_trim((struct text){value.p, scan_until(value, ',')});
    for (size_t i = 0; i < t.n; i++)
        if (!((t.p[i] | 0x20) >= 'a' && (t.p[i] | 0x20) <= 'z') && t.p[i] != '-' &&
            !(t.p[i] >= '0' && t.p[i] <= '9'))
            return (struct text){0};
    return t;
}

static struct text leading_digits(struct text t)
{
    size_t n = 0;
    while (n < t.n && t.p[n] >= '0' && t.p[n] <= '9')
        n++;
    return (struct text){t.p, n};
}

static void read_numbers(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->expires = seconds(text_at(p, p->first[H_EXPIRES]));
    m->min_expires = seconds(text_at(p, p->first[H_MIN_EXPIRES]));
    // RFC 3261 §20.33: a comment and parameters may follow.
    m->retry_after = seconds(leading_digits(text_at(p, p->first[H_RETRY_AFTER])));
    // RFC 4475 §3.1.2.4: outside its range it counts as absent.
    if (!text_to_u32(text_at(p, p->first[H_MAX_FORWARDS]), 255, &m->max_forwards))
        m->max_forwards = SIP_ABSENT;
}

static void read_body(struct sip_parser *p, size_t from, size_t n)
{
    struct sip_message *m = p->m;
    uint32_t length = (uint32_t)(n - from);
    struct text value = text_at(p, p->first[H_CONTENT_LENGTH]);
    m->body = (struct span){(uint32_t)from, length};
    if (p->count[H_CONTENT_LENGTH]) {
        if (!text_to_u32(value, UINT32_MAX, &length))
            defect(p, 400, "Bad Content-Length");
        else if (length > m->body.n)
            defect(p, 400, "Content-Length Beyond Message");
        else
            m->body.n = length; // RFC 3261 §18.3: what follows is discarded
    }
    struct text type = media_type(text_at(p, p->first[H_CONTENT_TYPE]));
    m->content = SIP_CONTENT_NONE;
    if (m->body.n)
        m->content = text_eq_nocase(type, TEXT("application/pidf+xml")) ? SIP_CONTENT_PIDF
                                                                        : SIP_CONTENT_OTHER;
    m->content_language = span_of(p, language(text_at(p, p->first[H_CONTENT_LANGUAGE])));
}

// ---- The start line ---------------------------------------------------------------------------

static bool version_sound(struct text v)
{
    if (v.n < 7 || strncasecmp(v.p, "SIP/", 4) != 0)
        return false;
    struct text major = leading_digits((struct text){v.p + 4, v.n - 4});
    if (major.n == 0 || major.n + 5 >= v.n || v.p[4 + major.n] != '.')
        return false;
    struct text minor = {v.p + 5 + major.n, v.n - 5 - major.n};
    return leading_digits(minor).n == minor.n;
}

static bool version_ours(struct text v)
{
    return text_eq_nocase(v, TEXT("SIP/2.0"));
}

// "SIP/2.0 200 OK". Responses of any other make are dropped, RFC 4475 §3.1.2.19.
static int read_status_line(struct sip_parser *p, struct text line)
{
    uint32_t status = 0;
    if (line.n < 11 || !version_ours((struct text){line.p, 7}) || line.p[7] != ' ' ||
        !text_to_u32((struct text){line.p + 8, 3}, 699, &status) || status < 100 ||
        (line.n > 11 && line.p[11] != ' '))
        return EBADMSG;
    p->m->status = (uint16_t)status;
    return 0;
}

static void read_request_uri(struct sip_parser *p, struct text uri)
{
    struct sip_uri u;
    p->m->ruri = span_of(p, uri);
    // RFC 4475 §3.1.2.7, §3.1.2.8, §3.1.2.11: brackets, blanks and escaped headers.
    if (sip_uri_parse(&u, uri) != 0 || u.headers.n)
        defect(p, 400, "Bad Request-URI");
    else if (!known_scheme(u.scheme))
        defect(p, 416, "Unsupported URI Scheme");
}

// "METHOD uri SIP/2.0". The version is what makes it SIP; the rest may be defective.
static int read_request_line(struct sip_parser *p, struct text line)
{
    struct text all = scan_trim(line);
    const char *sp = memchr(all.p, ' ', all.n);
    const char *last = memrchr(all.p, ' ', all.n);
    if (!sp || sp == last)
        return EBADMSG;
    struct text method = {all.p, (size_t)(sp - all.p)};
    struct text version = {last + 1, all.n - (size_t)(last + 1 - all.p)};
    struct text uri = {sp + 1, (size_t)(last - sp - 1)};
    if (!scan_is_token(method) || !version_sound(version))
        return EBADMSG;
    p->m->method = (uint8_t)method_of(method);
    p->m->method_name = span_of(p, method);
    if (!version_ours(version))
        defect(p, 505, "Version Not Supported");
    if (all.n != line.n || scan_trim(uri).n != uri.n)
        defect(p, 400, "Bad Request Line");
    read_request_uri(p, scan_trim(uri));
    return 0;
}

// The start line; *next is where the header fields begin.
static int read_start_line(struct sip_parser *p, size_t n, size_t *next)
{
    const char *text = p->m->text;
    size_t from = 0;
    while (from < n && (text[from] == '\r' || text[from] == '\n')) // RFC 3261 §7.5
        from++;
    const char *lf = memchr(text + from, '\n', n - from);
    if (!lf)
        return EBADMSG;
    struct text line = {text + from, (size_t)(lf - text) - from};
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    *next = (size_t)(lf + 1 - text);
    if (line.n >= 4 && strncasecmp(line.p, "SIP/", 4) == 0)
        return read_status_line(p, line);
    return read_request_line(p, line);
}

static void read_fields(struct sip_parser *p)
{
    read_vias(p);
    read_parties(p);
    read_call_id(p);
    read_cseq(p);
    read_contact(p);
    read_record_routes(p);
    read_event(p);
    read_substate(p);
    read_accept(p);
    read_numbers(p);
    p->m->require = join(p, H_REQUIRE);
}

int sip_parse(struct sip_parser *p, const char *data, size_t n, const struct sip_message **out)
{
    size_t taken = n <= p->message_max ? n : p->message_max, fields = 0;
    int err = parser_reset(p, data, taken);
    if (!err)
        err = read_start_line(p, taken, &fields);
    if (err)
        return err;
    if (n > taken)
        defect(p, 513, "Message Too Large");
    size_t body = read_lines(p, fields, taken);
    if (body == 0 && n == taken)
        return EBADMSG;
    read_fields(p);
    read_body(p, body ? body : taken, taken);
    if (p->full)
        return ENOMEM;
    p->m->size = (uint32_t)(sizeof *p->m + p->used);
    *out = p->m;
    return 0;
}
