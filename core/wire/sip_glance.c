// A first look at a SIP message: see sip_glance.h.
#include "core/wire/sip_glance.h"

#include "core/wire/sip_header.h"
#include "core/wire/sip_plain.h"
#include "core/wire/sip_scan.h"

// "SUBSCRIBE uri SIP/2.0"
static bool glance_request_line(struct text line)
{
    enum { AROUND = 10 + 8 }; // bytes around the URI
    return line.n > AROUND && text_starts(line, TEXT("SUBSCRIBE ")) &&
           memcmp(line.p + line.n - 8, " SIP/2.0", 8) == 0;
}

// It goes into an answer as it is: nothing in it may end a line there.
static bool glance_is_clean(struct text value)
{
    return value.n > 0 && !memchr(value.p, '\r', value.n);
}

static bool glance_top_via(struct sip_glance *g, struct text value)
{
    struct plain_via via;
    uint32_t port = 0;
    size_t n = scan_until(value, ',');
    g->echo.alone = n == value.n;
    if (!plain_via(scan_trim((struct text){value.p, n}), &via) ||
        (via.port.n && (!text_to_u32(via.port, UINT16_MAX, &port) || port == 0)))
        return false;
    g->echo.sent_by = via.host;
    g->echo.sent_by_port = (uint16_t)port;
    g->echo.rport = via.rport;
    g->branch = via.branch;
    return true;
}

static bool glance_via(struct sip_glance *g, struct text value)
{
    if (!glance_is_clean(value) || g->echo.n_vias == SIP_ECHO_VIAS_MAX)
        return false;
    g->echo.via[g->echo.n_vias++] = value;
    if (g->echo.n_vias == 1)
        return glance_top_via(g, value);
    g->echo.alone = false;
    return true;
}

// Tokens all, with or without a value; of several tags none can be trusted.
static bool glance_params(struct text params, struct text *tag)
{
    struct text name, value;
    *tag = (struct text){0};
    while (params.n) {
        if (!scan_param(&params, &name, &value) || !scan_is_token(name) ||
            (value.n && !scan_is_token(value)))
            return false;
        if (!text_eq_nocase(name, TEXT("tag")))
            continue;
        if (tag->n || !value.n)
            return false;
        *tag = value;
    }
    return true;
}

static bool glance_address(struct text value, struct text *tag)
{
    struct text uri, params;
    return plain_address(value, &uri, tag) ||
           (scan_address(value, &uri, &params) && glance_params(params, tag));
}

static bool glance_cseq(struct sip_glance *g, struct text value)
{
    size_t n = 0;
    while (n < value.n && !scan_is_blank(value.p[n]))
        n++;
    return text_to_u32((struct text){value.p, n}, UINT32_MAX, &g->cseq) &&
           text_eq(scan_trim(text_skip(value, n)), TEXT("SUBSCRIBE"));
}

// The first of its name; later ones are not plain.
static bool glance_once(struct text *field, struct text value)
{
    bool first = field->n == 0;
    *field = value;
    return first && glance_is_clean(value);
}

static bool glance_field(struct sip_glance *g, enum sip_header h, struct text value)
{
    struct text tag;
    uint32_t hops;
    switch (h) {
    case H_VIA: return glance_via(g, value);
    case H_FROM: return glance_once(&g->echo.from, value) && glance_address(value, &g->from_tag);
    case H_TO: return glance_once(&g->echo.to, value) && glance_address(value, &tag) && tag.n == 0;
    case H_CALL_ID: return glance_once(&g->echo.call_id, value);
    case H_CSEQ: return glance_once(&g->echo.cseq, value) && glance_cseq(g, value);
    case H_MAX_FORWARDS: return text_to_u32(value, UINT8_MAX, &hops) && hops > 0;
    case H_REQUIRE: return false;
    default: return true;
    }
}

// The first letters of the fields that matter, long names and compact ones.
static const bool glance_letter[256] = {
    ['v'] = true, ['f'] = true, ['t'] = true, ['i'] = true, ['c'] = true,
    ['m'] = true, ['r'] = true, ['V'] = true, ['F'] = true, ['T'] = true,
    ['I'] = true, ['C'] = true, ['M'] = true, ['R'] = true,
};

// A line without its end.
static bool glance_line(struct sip_glance *g, struct text line)
{
    if (scan_is_blank(line.p[0]))
        return false; // goes on with the one before: RFC 3261 §7.3.1
    const char *colon =
        glance_letter[(unsigned char)line.p[0]] ? memchr(line.p, ':', line.n) : NULL;
    if (!colon)
        return true;
    size_t n = (size_t)(colon - line.p);
    enum sip_header h = sip_header_of(scan_trim((struct text){line.p, n}));
    return h == H_COUNT || glance_field(g, h, scan_trim(text_skip(line, n + 1)));
}

// The first line of `rest`, which is taken from it. False: it has no end.
static bool glance_take_line(struct text *rest, struct text *line)
{
    const char *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    if (!lf)
        return false;
    size_t n = (size_t)(lf - rest->p);
    *line = (struct text){rest->p, n - (n && lf[-1] == '\r')};
    *rest = text_skip(*rest, n + 1);
    return true;
}

static bool glance_is_whole(const struct sip_glance *g)
{
    const struct sip_echo *e = &g->echo;
    return e->n_vias && e->from.n && e->to.n && e->call_id.n && e->cseq.n;
}

bool sip_glance(struct sip_glance *out, struct text message)
{
    struct text line;
    *out = (struct sip_glance){.echo = {.n_vias = 0}};
    if (!glance_take_line(&message, &line) || !glance_request_line(line))
        return false;
    for (unsigned lines = 0; lines < SIP_LINES_MAX; lines++) {
        if (!glance_take_line(&message, &line))
            return false;
        if (line.n == 0)
            return glance_is_whole(out);
        if (!glance_line(out, line))
            return false;
    }
    return false;
}
