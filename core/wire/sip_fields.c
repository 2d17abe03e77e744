// The values of the header fields that the gateway looks at.
//
// Structured values go to sofia's parsers one by one, in a scratch copy that they may cut up; what
// they return are pointers into that copy, which give spans of the original. What a peer has to get
// back in its own spelling (URIs above all: sofia rewrites their escapes) is found in the original
// instead.
#include "core/wire/memory.h"
#include "core/wire/sip_parser.h"

#include "core/wire/address.h"
#include "core/wire/digest.h"
#include "core/wire/sip_names.h"
#include "core/wire/sip_plain.h"
#include "core/wire/sip_rate.h"
#include "core/wire/sip_scan.h"

#include <sofia-sip/auth_digest.h>
#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip_hclasses.h>
#include <sofia-sip/sip_header.h>

// ---- Values by sofia ---------------------------------------------------------------------------

// One value in sofia's hands: `h` is good until the message is read, its strings until the next
// value is opened.
struct value {
    struct text text;
    const char *copy;
    const sip_header_t *h; // NULL: it is not of its class
};

// The copy ends with the scratch block, so that a sanitizer sees reads past it.
static char *value_copy(struct sip_parser *p, struct text t)
{
    char *copy = p->scratch + SIP_VALUE_MAX - t.n;
    memcpy(copy, t.p, t.n);
    copy[t.n] = '\0';
    // A NUL may stand in a quoted pair (RFC 4475 §3.1.1.2) but would end sofia's string.
    for (char *nul = copy; (nul = memchr(nul, '\0', (size_t)(copy + t.n - nul)));)
        *nul = '\001';
    return copy;
}

static struct value value_open(struct sip_parser *p, msg_hclass_t *hc, struct text t)
{
    struct value v = {.text = t};
    if (t.n == 0 || t.n > SIP_VALUE_MAX)
        return v;
    char *copy = value_copy(p, t);
    if (!p->home)
        p->home = su_home_auto(p->area, sizeof p->area);
    v.copy = copy;
    msg_header_t *h = msg_header_alloc(p->home, hc, 0);
    if (h && hc->hc_parse(p->home, h, copy, (isize_t)t.n) >= 0)
        v.h = (const sip_header_t *)h;
    return v;
}

// A string of sofia's as a span of the message: of the value itself where it says the same there.
static struct span value_span(struct sip_parser *p, const struct value *v, const char *z)
{
    if (!z || !*z)
        return (struct span){0};
    struct text t = text_of(z);
    size_t at = (size_t)(z - v->copy);
    if (z >= v->copy && at + t.n <= v->text.n && memcmp(v->text.p + at, z, t.n) == 0)
        return parser_span(p, (struct text){v->text.p + at, t.n});
    return parser_tail(p, t);
}

// A parameter that has to be a token when it is there: tags, event ids. false: it is there but
// isn't.
static bool value_token(struct sip_parser *p, const struct value *v, const char *z,
                        struct span *out)
{
    *out = value_span(p, v, z);
    return !z || scan_is_token(parser_text(p, *out));
}

// ---- Plain values ------------------------------------------------------------------------------

// Delta seconds, which may exceed what we can count: the most is taken then.
static uint32_t seconds(struct text t)
{
    uint64_t v = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return SIP_ABSENT;
        v = v * 10 + (uint64_t)(t.p[i] - '0');
        if (v >= SIP_ABSENT)
            v = SIP_ABSENT - 1;
    }
    return t.n ? (uint32_t)v : SIP_ABSENT;
}

static struct text leading_digits(struct text t)
{
    size_t n = 0;
    while (n < t.n && t.p[n] >= '0' && t.p[n] <= '9')
        n++;
    return (struct text){t.p, n};
}

static bool uri_sound(struct text uri)
{
    struct sip_uri u;
    return sip_uri_parse(&u, uri) == 0;
}

// ---- Via ---------------------------------------------------------------------------------------

struct via {
    struct span host, branch; // the host of IPv6 in its brackets
    struct text port;         // p NULL: none
    bool branch_is_bad;       // there, and no token
    bool rport;
};

static bool usual_via(struct sip_parser *p, struct text t, struct via *out)
{
    struct plain_via via;
    if (!plain_via(t, &via))
        return false;
    *out = (struct via){
        .host = parser_span(p, via.host),
        .port = via.port,
        .branch = parser_span(p, via.branch),
        .rport = via.rport,
    };
    return true;
}

// Comments are of RFC 2543: a parameter behind one would be lost.
static bool any_via(struct sip_parser *p, struct text t, struct via *out)
{
    struct value v = value_open(p, sip_via_class, t);
    const sip_via_t *via = v.h ? v.h->sh_via : NULL;
    if (!via || strncasecmp(via->v_protocol, "SIP/", 4) != 0 || !via->v_host || via->v_comment)
        return false;
    *out = (struct via){
        .host = value_span(p, &v, via->v_host),
        .port = text_of(via->v_port),
        .rport = msg_params_find(via->v_params, "rport") != NULL,
    };
    out->branch_is_bad =
        !value_token(p, &v, msg_params_find(via->v_params, "branch="), &out->branch);
    return true;
}

static void read_sent_by(struct sip_parser *p, const struct via *via)
{
    uint32_t port = 0;
    p->m->sent_by = via->host;
    struct text host = parser_text(p, p->m->sent_by);
    if (host.n > 2 && host.p[0] == '[') // an IPv6 literal, without its brackets
        p->m->sent_by = (struct span){p->m->sent_by.off + 1, p->m->sent_by.n - 2};
    if (via->port.p && (!text_to_u32(via->port, UINT16_MAX, &port) || port == 0))
        parser_defect(p, 400, "Bad Via");
    p->m->sent_by_port = (uint16_t)port;
    p->m->answerable = p->m->status == 0 && p->m->method != SIP_ACK && p->m->sent_by.n > 0;
}

static void read_branch(struct sip_parser *p, const struct via *via)
{
    p->m->branch = via->branch;
    p->m->rport = via->rport;
    // RFC 4475 §3.2.1: the magic cookie and no identifier behind it.
    if (via->branch_is_bad || text_eq_nocase(parser_text(p, p->m->branch), TEXT("z9hG4bK")))
        parser_defect(p, 400, "Bad Via Branch");
}

static void read_top_via(struct sip_parser *p, struct text top)
{
    struct via via;
    bool sound = usual_via(p, top, &via) || any_via(p, top, &via);
    if (sound) {
        read_branch(p, &via);
    } else { // bad parameters: the sender may be known all the same
        parser_defect(p, 400, "Bad Via");
        sound = any_via(p, scan_trim((struct text){top.p, scan_until(top, ';')}), &via);
    }
    if (sound)
        read_sent_by(p, &via);
}

// Of those below the top only the number matters to a user agent.
static void read_vias(struct sip_parser *p)
{
    p->m->vias = parser_join(p, H_VIA);
    struct text rest = parser_text(p, p->m->vias);
    if (rest.n == 0) {
        parser_defect(p, 400, "Missing Via");
        return;
    }
    read_top_via(p, scan_value(rest, &rest));
    unsigned n = 1;
    for (; rest.n && n < SIP_VIAS_MAX; n++) {
        struct text below = scan_value(rest, &rest);
        if (below.n < 3 || strncasecmp(below.p, "SIP", 3) != 0)
            parser_defect(p, 400, "Bad Via");
    }
    if (rest.n)
        parser_defect(p, 400, "Too Many Via Values");
    p->m->n_vias = (uint8_t)n;
}

// ---- From, To, Call-ID, CSeq -------------------------------------------------------------------

static bool read_address(struct sip_parser *p, msg_hclass_t *hc, struct text t, struct span *uri,
                         struct span *tag)
{
    struct text spelling, params;
    struct sip_uri u;
    if (usual_address(t, &u, &spelling, &params) ||
        (plain_address(t, &spelling, &params) && uri_sound(spelling))) {
        *uri = parser_span(p, spelling);
        *tag = parser_span(p, params);
        return true;
    }
    struct value v = value_open(p, hc, t);
    bool ok = v.h && scan_address(t, &spelling, &params) && uri_sound(spelling) &&
              scan_until(params, '(') == params.n; // as above: a tag is to follow
    if (ok) {
        *uri = parser_span(p, spelling);
        ok = value_token(p, &v, v.h->sh_from->a_tag, tag); // To is of the same make
    }
    return ok;
}

static void read_from(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->from = p->first[H_FROM];
    if (p->count[H_FROM] == 0)
        parser_defect(p, 400, "Missing From");
    else if (!read_address(p, sip_from_class, parser_text(p, m->from), &m->from_uri, &m->from_tag))
        parser_defect(p, 400, "Bad From");
}

static void read_to(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->to = p->first[H_TO];
    if (p->count[H_TO] == 0)
        parser_defect(p, 400, "Missing To");
    else if (!read_address(p, sip_to_class, parser_text(p, m->to), &m->to_uri, &m->to_tag))
        parser_defect(p, 400, "Bad To");
}

// The characters of RFC 3261's word and '@', and no others: visible ASCII.
static bool call_id_sound(struct text id)
{
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] == 0x7f) // char is signed: nothing beyond ASCII either
            return false;
    return id.n > 0;
}

static void read_call_id(struct sip_parser *p)
{
    p->m->call_id = p->first[H_CALL_ID];
    if (p->count[H_CALL_ID] == 0)
        parser_defect(p, 400, "Missing Call-ID");
    else if (!call_id_sound(parser_text(p, p->m->call_id)))
        parser_defect(p, 400, "Bad Call-ID");
}

static void read_cseq(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->cseq_value = p->first[H_CSEQ];
    struct text value = parser_text(p, m->cseq_value), number = leading_digits(value);
    struct text method = {value.p + number.n, value.n - number.n};
    bool apart = method.n && scan_is_blank(method.p[0]);
    method = scan_trim(method);
    if (p->count[H_CSEQ] == 0)
        parser_defect(p, 400, "Missing CSeq");
    else if (!text_to_u32(number, UINT32_MAX, &m->cseq) || !apart || !scan_is_token(method))
        parser_defect(p, 400, "Bad CSeq");
    else if (m->status) {
        m->method = (uint8_t)sip_method_of(method);
        m->method_name = parser_span(p, method);
    } else if (!text_eq(method, parser_text(p, m->method_name))) {
        // RFC 4475 §3.1.2.17, §3.1.2.18: that the method is unknown is the graver matter.
        bool unknown = m->method == SIP_OTHER;
        parser_defect(p, unknown ? 501 : 400, unknown ? "Not Implemented" : "CSeq Method Mismatch");
    }
}

// ---- Contact, Record-Route ---------------------------------------------------------------------

static void read_contact(struct sip_parser *p)
{
    struct text rest = parser_text(p, p->first[H_CONTACT]), uri, params;
    if (rest.n == 0 || text_eq(rest, TEXT("*")))
        return;
    struct text first = scan_value(rest, &rest);
    struct sip_uri u;
    bool usual = usual_address(first, &u, &uri, &params);
    bool sound = usual || plain_address(first, &uri, &params) ||
                 (value_open(p, sip_contact_class, first).h && scan_address(first, &uri, &params));
    if (sound && (usual || sip_uri_parse(&u, uri) == 0)) {
        if (u.headers.n) // RFC 3261 §19.1.1: not in the Request-URI that this becomes
            uri.n = (size_t)(u.headers.p - 1 - uri.p);
        // RFC 3261 §8.1.1.8: what makes a dialog has a SIP or SIPS URI there. Others (in a 3xx,
        // say) are no target of ours.
        if (u.scheme == SCHEME_SIP || u.scheme == SCHEME_SIPS)
            p->m->contact = parser_span(p, uri);
    } else {
        parser_defect(p, 400, "Bad Contact");
    }
}

static void read_record_routes(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->record_routes = parser_join(p, H_RECORD_ROUTE);
    struct text rest = parser_text(p, m->record_routes), uri, params;
    while (rest.n) {
        if (!scan_address(scan_value(rest, &rest), &uri, &params) || !uri_sound(uri)) {
            parser_defect(p, 400, "Bad Record-Route");
            return;
        }
        if (m->n_routes == SIP_ROUTES_MAX) {
            parser_defect(p, 400, "Too Many Record-Route Values");
            return;
        }
        m->route_uri[m->n_routes++] = parser_span(p, uri);
    }
}

// ---- Events ------------------------------------------------------------------------------------

// RFC 6665 §8.2.1: event types are compared byte by byte, case being significant.
static enum sip_event_package package_of(struct text name)
{
    if (text_eq(name, TEXT("presence")))
        return SIP_EVENT_PRESENCE;
    return text_eq(name, TEXT("presence.winfo")) ? SIP_EVENT_WINFO : SIP_EVENT_UNKNOWN;
}

// RFC 6446's parameters stand in SUBSCRIBE, and in a 2xx to NOTIFY (§9.3).
static void read_rates(struct sip_message *m, msg_param_t const *params)
{
    m->least_interval_ms = rate_least_ms(text_of(msg_params_find(params, "max-rate=")));
    m->most_interval_ms = rate_most_ms(text_of(msg_params_find(params, "min-rate=")));
}

static void read_event(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    if (p->count[H_EVENT] == 0)
        return;
    struct text text = parser_text(p, p->first[H_EVENT]);
    bool alone = scan_is_token(text); // nothing behind it
    struct text name = alone ? text : scan_before_params(text);
    m->event_name = parser_span(p, name);
    m->event = (uint8_t)package_of(name);
    if (alone)
        return;
    struct value v = value_open(p, sip_event_class, text);
    if (!v.h || !scan_is_token(name) ||
        !value_token(p, &v, msg_params_find(v.h->sh_event->o_params, "id="), &m->event_id))
        parser_defect(p, 400, "Bad Event");
    else if (v.h->sh_event->o_params)
        read_rates(m, v.h->sh_event->o_params);
}

// The values are good until the next one is opened.
static bool any_substate(struct sip_parser *p, struct text text, struct plain_substate *out)
{
    struct value v = value_open(p, sip_subscription_state_class, text);
    out->state = scan_before_params(text);
    if (!v.h || !scan_is_token(out->state))
        return false;
    msg_param_t const *params = v.h->sh_subscription_state->ss_params;
    out->reason = text_of(msg_params_find(params, "reason="));
    out->expires = text_of(msg_params_find(params, "expires="));
    out->retry_after = text_of(msg_params_find(params, "retry-after="));
    return true;
}

static void read_substate(struct sip_parser *p)
{
    if (p->count[H_SUBSTATE] == 0)
        return;
    struct text text = parser_text(p, p->first[H_SUBSTATE]);
    struct plain_substate s;
    if (plain_substate(text, &s) || any_substate(p, text, &s)) {
        p->m->substate = (uint8_t)sip_substate_of(s.state);
        p->m->reason = (uint8_t)sip_reason_of(s.reason);
        p->m->substate_expires = seconds(s.expires);
        p->m->substate_retry_after = seconds(s.retry_after);
    } else {
        parser_defect(p, 400, "Bad Subscription-State");
    }
}

// ---- Content and the rest ----------------------------------------------------------------------

static void read_accept(struct sip_parser *p)
{
    struct text rest = parser_text(p, parser_join(p, H_ACCEPT));
    bool pidf = p->count[H_ACCEPT] == 0, winfo = pidf;
    while (rest.n && !(pidf && winfo)) {
        struct text type = scan_before_params(scan_value(rest, &rest));
        bool all = text_eq_nocase(type, TEXT("application/*")) || text_eq(type, TEXT("*/*"));
        pidf |= all || text_eq_nocase(type, TEXT("application/pidf+xml"));
        winfo |= all || text_eq_nocase(type, TEXT("application/watcherinfo+xml"));
    }
    p->m->accepts_pidf = pidf;
    p->m->accepts_winfo = winfo;
}

// What is no token counts as absent: the condition is then not met, and the state is said in full.
static struct span entity_tag(struct sip_parser *p, enum sip_header h)
{
    return scan_is_token(parser_text(p, p->first[h])) ? p->first[h] : (struct span){0};
}

static void read_numbers(struct sip_parser *p)
{
    struct sip_message *m = p->m;
    m->expires = seconds(parser_text(p, p->first[H_EXPIRES]));
    m->min_expires = seconds(parser_text(p, p->first[H_MIN_EXPIRES]));
    // RFC 3261 §20.33: a comment and parameters may follow.
    m->retry_after = seconds(leading_digits(parser_text(p, p->first[H_RETRY_AFTER])));
    // RFC 4475 §3.1.2.4: outside its range it counts as absent.
    if (!text_to_u32(parser_text(p, p->first[H_MAX_FORWARDS]), UINT8_MAX, &m->max_forwards))
        m->max_forwards = SIP_ABSENT;
}

// ---- Challenges --------------------------------------------------------------------------------

// Does this item of a comma-separated list begin a challenge? "Digest realm=…" does, as does a lone
// "Negotiate"; "nonce = …" doesn't.
static bool begins_challenge(struct text item)
{
    size_t n = 0;
    while (n < item.n && !scan_is_blank(item.p[n]) && item.p[n] != '=')
        n++;
    struct text behind = scan_trim((struct text){item.p + n, item.n - n});
    return scan_is_token((struct text){item.p, n}) && (behind.n == 0 || behind.p[0] != '=');
}

// The first of a list of challenges, whose parameters have commas between them too.
static struct text one_challenge(struct text list, struct text *rest)
{
    const char *from = list.p, *end = from;
    struct text behind;
    while (list.n) {
        struct text item = scan_value(list, &behind);
        if (end > from && begins_challenge(item))
            break;
        end = item.n ? item.p + item.n : end;
        list = behind;
    }
    *rest = list;
    return scan_trim((struct text){from, (size_t)(end - from)});
}

// A value that goes back to the server as it came; a control character would not.
static bool value_clean(struct sip_parser *p, const struct value *v, const char *z,
                        struct span *out)
{
    *out = value_span(p, v, z);
    for (; z && *z; z++)
        if ((unsigned char)*z < ' ' || *z == 0x7f)
            return false;
    return true;
}

// RFC 7616 §3.3: qop is a list in quotes; sofia looks at its first word only.
static bool offers_auth(struct text qop)
{
    bool offered = false;
    while (qop.n && !offered)
        offered = text_eq_nocase(scan_value(qop, &qop), TEXT("auth"));
    return offered;
}

// false: not one that we can answer.
static bool read_challenge(struct sip_parser *p, struct text t, struct sip_challenge *c)
{
    struct value v = value_open(p, sip_www_authenticate_class, t);
    auth_challenge_t ac = {.ac_size = sizeof ac};
    if (!v.h || strcasecmp(v.h->sh_auth->au_scheme, "Digest") != 0 ||
        auth_digest_challenge_get(p->home, &ac, v.h->sh_auth->au_params) < 0)
        return false;
    struct text algorithm = ac.ac_algorithm ? text_of(ac.ac_algorithm) : TEXT("MD5");
    *c = (struct sip_challenge){
        .algorithm = (uint8_t)digest_algorithm_parse(algorithm),
        .stale = ac.ac_stale,
        .qop = offers_auth(text_of(ac.ac_qop)),
    };
    return c->algorithm != DIGEST_NONE && ac.ac_realm && ac.ac_nonce &&
           strlen(ac.ac_nonce) <= DIGEST_NONCE_MAX && (c->qop || !ac.ac_qop) &&
           value_clean(p, &v, ac.ac_realm, &c->realm) &&
           value_clean(p, &v, ac.ac_nonce, &c->nonce) &&
           value_clean(p, &v, ac.ac_opaque, &c->opaque);
}

static void read_challenges(struct sip_parser *p, enum sip_header h)
{
    struct sip_message *m = p->m;
    for (size_t i = 0; p->count[h] && i < p->n_lines; i++) {
        struct text rest = parser_text(p, p->lines[i].value);
        while (p->lines[i].header == h && rest.n && m->n_challenges < SIP_CHALLENGES_MAX) {
            struct sip_challenge *c = &m->challenge[m->n_challenges];
            if (read_challenge(p, one_challenge(rest, &rest), c)) {
                c->proxy = h == H_PROXY_AUTHENTICATE;
                m->n_challenges++;
            } else {
                *c = (struct sip_challenge){0};
            }
        }
    }
}

int fields_read(struct sip_parser *p)
{
    memory_lend();
    p->home = NULL; // nearly all messages do without sofia
    read_vias(p);
    read_from(p);
    read_to(p);
    read_call_id(p);
    read_cseq(p);
    read_contact(p);
    read_record_routes(p);
    read_event(p);
    read_substate(p);
    read_accept(p);
    read_numbers(p);
    read_challenges(p, H_WWW_AUTHENTICATE);
    read_challenges(p, H_PROXY_AUTHENTICATE);
    p->m->require = parser_join(p, H_REQUIRE);
    p->m->etag = entity_tag(p, H_ETAG);
    p->m->suppress_if_match = entity_tag(p, H_SUPPRESS_IF_MATCH);
    if (p->home)
        su_home_deinit(p->home);
    // What sofia has no memory for looks as if it were not there, or bad.
    return memory_lent(EAGAIN) == ENOMEM ? ENOMEM : 0;
}
