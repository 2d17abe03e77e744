// What a SIP message says of its body: where it ends, whether we understand it, in which language.
#include "core/wire/sip_parser.h"
#include "core/wire/sip_scan.h"

// A language tag of RFC 3261 §25.1: letters, digits and hyphens. Empty: it is none.
static struct text language(struct text value)
{
    struct text t = scan_trim((struct text){value.p, scan_until(value, ',')});
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && c != '-' && !(c >= '0' && c <= '9'))
            return (struct text){0};
    }
    return t;
}

// RFC 3261 §20.11: nobody minds if this body is not understood.
static bool body_is_optional(struct sip_parser *p)
{
    struct text value = parser_text(p, p->first[H_CONTENT_DISPOSITION]), name, is;
    size_t n = scan_until(value, ';');
    struct text params = {value.p + n, value.n - n};
    while (scan_param(&params, &name, &is))
        if (text_eq_nocase(name, TEXT("handling")))
            return text_eq_nocase(is, TEXT("optional"));
    return false;
}

// What is encoded (RFC 3261 §20.12) is of no type that can be read.
static bool body_is_plain(struct sip_parser *p)
{
    return p->count[H_CONTENT_ENCODING] == 0 ||
           text_eq_nocase(parser_text(p, parser_join(p, H_CONTENT_ENCODING)), TEXT("identity"));
}

void body_read(struct sip_parser *p, size_t from, size_t n)
{
    struct sip_message *m = p->m;
    uint32_t length;
    m->body = (struct span){(uint32_t)from, (uint32_t)(n - from)};
    if (p->count[H_CONTENT_LENGTH]) {
        if (!text_to_u32(parser_text(p, p->first[H_CONTENT_LENGTH]), UINT32_MAX, &length))
            parser_defect(p, 400, "Bad Content-Length");
        else if (length > m->body.n)
            parser_defect(p, 400, "Content-Length Beyond Message");
        else
            m->body.n = length; // RFC 3261 §18.3: what follows is discarded
    }
    struct text type = scan_before_params(parser_text(p, p->first[H_CONTENT_TYPE]));
    bool pidf = text_eq_nocase(type, TEXT("application/pidf+xml")) && body_is_plain(p);
    bool understood = pidf && m->method != SIP_SUBSCRIBE; // of whose bodies there is none
    if (m->body.n && !understood && body_is_optional(p))
        m->body.n = 0;
    if (m->body.n)
        m->content = pidf ? SIP_CONTENT_PIDF : SIP_CONTENT_OTHER;
    m->content_language = parser_span(p, language(parser_text(p, p->first[H_CONTENT_LANGUAGE])));
}
