// One SIP datagram to its plain form: the start line, the header field lines, and where the body
// is.
//
// The datagram is split into lines once, and only those that the gateway looks at are kept, so a
// flood of other fields costs no more than finding their ends. sip_fields.c reads the values.
#include "core/wire/address.h"
#include "core/wire/memory.h"
#include "core/wire/sip_names.h"
#include "core/wire/sip_parser.h"
#include "core/wire/sip_scan.h"

#include <errno.h>
#include <stdlib.h>

int sip_parser_create(struct sip_parser **out, size_t message_max)
{
    struct sip_parser *p = memory_take_zeroed(1, sizeof *p);
    if (!p)
        return ENOMEM;
    p->message_max = message_max;
    p->scratch = memory_take(SIP_VALUE_MAX + 1);
    if (!p->scratch) {
        free(p);
        return ENOMEM;
    }
    *out = p;
    return 0;
}

void sip_parser_destroy(struct sip_parser *p)
{
    if (!p)
        return;
    free(p->scratch);
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
        struct sip_message *m = memory_grow(p->m, sizeof *m + cap);
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
                                 .substate_retry_after = SIP_ABSENT,
                                 .least_interval_ms = SIP_ABSENT,
                                 .most_interval_ms = SIP_ABSENT};
    if (n)
        memcpy(p->m->text, data, n);
    memset(p->count, 0, sizeof p->count);
    memset(p->first, 0, sizeof p->first);
    p->used = n;
    p->n_lines = 0;
    p->full = false;
    return 0;
}

void parser_defect(struct sip_parser *p, uint16_t status, const char *phrase)
{
    if (p->m->defect)
        return;
    p->m->defect = status;
    p->m->defect_phrase = phrase;
}

struct span parser_tail(struct sip_parser *p, struct text t)
{
    if (t.n > p->cap - p->used) {
        p->full = true;
        return (struct span){0};
    }
    struct span at = {(uint32_t)p->used, (uint32_t)t.n};
    memcpy(p->m->text + at.off, t.p, t.n);
    p->used += t.n;
    return at;
}

struct span parser_join(struct sip_parser *p, enum sip_header h)
{
    if (p->count[h] <= 1)
        return p->first[h];
    size_t from = p->used;
    for (size_t i = 0; i < p->n_lines; i++) {
        if (p->lines[i].header != h || p->lines[i].value.n == 0)
            continue;
        if (p->used > from)
            parser_tail(p, TEXT(", "));
        parser_tail(p, parser_text(p, p->lines[i].value));
    }
    return (struct span){(uint32_t)from, (uint32_t)(p->used - from)};
}

// ---- Lines -------------------------------------------------------------------------------------

// Line ends inside a value (folding, RFC 3261 §7.3.1, or a stray CR) become blanks in a copy, so
// that nothing that is echoed can end a line.
static struct span unfold(struct sip_parser *p, struct text value, bool folded)
{
    value = scan_trim(value);
    if (value.n == 0 || (!folded && !memchr(value.p, '\r', value.n)))
        return parser_span(p, value);
    struct span copy = parser_tail(p, value);
    for (uint32_t i = copy.off; i < copy.off + copy.n; i++)
        if (p->m->text[i] == '\r' || p->m->text[i] == '\n')
            p->m->text[i] = ' ';
    return parser_span(p, scan_trim(parser_text(p, copy)));
}

// RFC 3261 §8.2: what can't be understood and isn't needed is passed over.
static void take_line(struct sip_parser *p, struct text line, bool folded)
{
    const char *colon = memchr(line.p, ':', line.n);
    size_t n = colon ? (size_t)(colon - line.p) : 0;
    struct text name = {line.p, n};
    if (n && (scan_is_blank(line.p[0]) || scan_is_blank(colon[-1])))
        name = scan_trim(name);
    enum sip_header h = sip_header_of(name);
    if (h == H_COUNT)
        return;
    struct span at = unfold(p, (struct text){colon + 1, line.n - n - 1}, folded);
    if (p->count[h]++ == 0)
        p->first[h] = at;
    else if (sip_header_again(h))
        parser_defect(p, 400, sip_header_again(h));
    p->lines[p->n_lines++] = (struct line){at, (uint8_t)h};
}

// One line and its folded continuations, without the last line end; *next is where the next one
// begins, 0: there is no line end any more.
static struct text next_line(struct text t, size_t *next, bool *folded)
{
    size_t from = 0;
    for (*folded = false;; *folded = true) {
        const char *lf = memchr(t.p + from, '\n', t.n - from);
        if (!lf) {
            *next = 0;
            return t;
        }
        size_t end = (size_t)(lf - t.p);
        bool cr = end > 0 && t.p[end - 1] == '\r';
        *next = from = end + 1;
        end -= cr;
        if (end == 0 || *next == t.n || !scan_is_blank(t.p[*next]))
            return (struct text){t.p, end};
    }
}

// All lines up to the empty one. Returns where the body begins; 0: the message ends before it.
static size_t read_lines(struct sip_parser *p, size_t from, size_t n)
{
    for (size_t lines = 0; from < n; lines++) {
        size_t next;
        bool folded;
        struct text line = next_line((struct text){p->m->text + from, n - from}, &next, &folded);
        from += next;
        if (next == 0)
            return 0;
        if (line.n == 0)
            return from;
        if (lines < SIP_LINES_MAX)
            take_line(p, line, folded);
        else
            parser_defect(p, 400, "Too Many Header Fields");
    }
    return 0;
}

// ---- The start line ----------------------------------------------------------------------------

static bool is_digits(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
    return t.n > 0;
}

// "SIP/" digits "." digits.
static bool is_version(struct text t)
{
    if (t.n < 7 || strncasecmp(t.p, "SIP/", 4) != 0)
        return false;
    const char *dot = memchr(t.p, '.', t.n);
    return dot && is_digits((struct text){t.p + 4, (size_t)(dot - t.p) - 4}) &&
           is_digits((struct text){dot + 1, (size_t)(t.p + t.n - dot) - 1});
}

// "SIP/2.0 200 OK". Others are no answers to anything of ours (RFC 4475 §3.1.2.19: drop them).
static int read_status_line(struct sip_parser *p, struct text line)
{
    uint32_t status = 0;
    if (line.n < 11 || strncasecmp(line.p, "SIP/2.0 ", 8) != 0 ||
        !text_to_u32((struct text){line.p + 8, 3}, 699, &status) || status < 100 ||
        (line.n > 11 && line.p[11] != ' '))
        return EBADMSG;
    p->m->status = (uint16_t)status;
    return 0;
}

static void read_request_uri(struct sip_parser *p, struct text uri)
{
    struct sip_uri u;
    p->m->ruri = parser_span(p, uri);
    // RFC 4475 §3.1.2.7, §3.1.2.8, §3.1.2.11: brackets, blanks and escaped headers.
    if (sip_uri_parse(&u, uri) != 0 || u.headers.n)
        parser_defect(p, 400, "Bad Request-URI");
    else if (u.scheme != SCHEME_SIPS && !address_is_mapped(&u))
        parser_defect(p, 416, "Unsupported URI Scheme");
}

// "METHOD uri SIP/2.0". The version is what makes it SIP; the rest may be defective.
static int read_request_line(struct sip_parser *p, struct text line)
{
    struct text all = scan_trim(line);
    const char *first = all.n ? memchr(all.p, ' ', all.n) : NULL;
    const char *last = all.n ? memrchr(all.p, ' ', all.n) : NULL;
    if (!first || first == last)
        return EBADMSG;
    struct text method = {all.p, (size_t)(first - all.p)};
    struct text uri = {first + 1, (size_t)(last - first) - 1};
    struct text version = {last + 1, (size_t)(all.p + all.n - last) - 1};
    if (!scan_is_token(method) || !is_version(version))
        return EBADMSG;
    p->m->method = (uint8_t)sip_method_of(method);
    p->m->method_name = parser_span(p, method);
    if (!text_eq_nocase(version, TEXT("SIP/2.0")))
        parser_defect(p, 505, "Version Not Supported");
    if (all.n != line.n || scan_trim(uri).n != uri.n) // RFC 4475 §3.1.2.9, §3.1.2.10
        parser_defect(p, 400, "Bad Request Line");
    read_request_uri(p, scan_trim(uri));
    return 0;
}

// *next is where the header fields begin.
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
    *next = (size_t)(lf - text) + 1;
    if (line.n >= 4 && strncasecmp(line.p, "SIP/", 4) == 0)
        return read_status_line(p, line);
    return read_request_line(p, line);
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
        parser_defect(p, 513, "Message Too Large");
    size_t body = read_lines(p, fields, taken);
    if (body == 0)
        parser_defect(p, 400, "Message Cut Short");
    err = fields_read(p);
    if (err)
        return err;
    body_read(p, body ? body : taken, taken);
    if (p->full)
        return ENOMEM;
    p->m->size = (uint32_t)(sizeof *p->m + p->used);
    *out = p->m;
    return 0;
}
