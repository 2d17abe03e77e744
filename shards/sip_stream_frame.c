// Where one SIP message ends in a stream of bytes (RFC 3261 §18.3).
//
// Lines end as in core/wire/sip_parse.c, by LF with or without CR before it, and header fields fold
// as there: what is one message here has to be one message there, or a peer could hide a second one
// in the first.
#include "shards/sip_stream_frame.h"

#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// RFC 3261 §25.1 token, with which each method begins, and "SIP/2.0" too.
static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-.!%*_+`'~", c));
}

// "SIP/2.0 200 OK" or "NOTIFY uri SIP/2.0", as far as it takes to tell them from another protocol.
static bool is_start_line(struct text line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    while (line.n && is_blank(line.p[line.n - 1])) // answered with 400, RFC 4475 §3.1.2.9
        line.n--;
    if (line.n >= 4 && strncasecmp(line.p, "SIP/", 4) == 0)
        return true;
    const char *version = memrchr(line.p, ' ', line.n);
    return version && line.p + line.n - version > 4 && strncasecmp(version + 1, "SIP/", 4) == 0;
}

// Bytes of the empty line that begins at `at`; 0: it is no empty line, or not all of it is here.
static size_t empty_line(const char *p, size_t at, size_t n)
{
    if (at < n && p[at] == '\n')
        return 1;
    return at + 1 < n && p[at] == '\r' && p[at + 1] == '\n' ? 2 : 0;
}

// Whether more bytes are needed to tell if an empty line begins at `at`.
static bool is_cut(const char *p, size_t at, size_t n)
{
    return at == n || (at + 1 == n && p[at] == '\r');
}

// Sets head_n when the head ends within `n` bytes. False: its start line is none of SIP's.
static bool find_head(struct sip_stream_frame *f, const char *p, size_t n)
{
    for (const char *lf; (lf = memchr(p + f->seen, '\n', n - f->seen)) != NULL;) {
        size_t at = (size_t)(lf - p), empty = empty_line(p, at + 1, n);
        if (!f->started && !is_start_line((struct text){p, at}))
            return false;
        f->started = true;
        if (empty)
            f->head_n = at + 1 + empty;
        f->seen = at; // this line end is the one to go on from,
        if (empty || is_cut(p, at + 1, n))
            return true;
        f->seen++; // unless it is known for what it is
    }
    f->seen = n;
    return true;
}

static bool is_content_length(struct text name)
{
    while (name.n && is_blank(name.p[name.n - 1]))
        name.n--;
    return (name.n == 1 && (name.p[0] | 0x20) == 'l') ||
           text_eq_nocase(name, TEXT("content-length"));
}

// The field's value without the blanks and line ends of a folded one; more than digits: false.
static bool read_length(struct text value, size_t *out)
{
    uint32_t length;
    while (value.n && (is_blank(value.p[0]) || value.p[0] == '\r' || value.p[0] == '\n'))
        value.p++, value.n--;
    while (value.n && (is_blank(value.p[value.n - 1]) || value.p[value.n - 1] == '\r' ||
                       value.p[value.n - 1] == '\n'))
        value.n--;
    if (!text_to_u32(value, UINT32_MAX, &length))
        return false;
    *out = length;
    return true;
}

// Takes the next header field, with the lines that it is folded into, from the front of `head`.
static struct text next_field(struct text *head)
{
    struct text field = {head->p, 0};
    do {
        const char *lf = memchr(head->p, '\n', head->n);
        size_t n = lf ? (size_t)(lf - head->p) + 1 : head->n;
        head->p += n;
        head->n -= n;
        field.n += n;
    } while (head->n && is_blank(*head->p));
    return field;
}

enum length { LENGTH_GOOD, LENGTH_BAD, LENGTH_MISSING };

// Bad is what is no number (RFC 4475 §3.1.2.3), or said twice.
static enum length find_length(struct text head, size_t *out)
{
    enum length found = LENGTH_MISSING;
    next_field(&head); // the start line
    while (head.n) {
        struct text field = next_field(&head);
        const char *colon = memchr(field.p, ':', field.n);
        if (!colon || !is_content_length((struct text){field.p, (size_t)(colon - field.p)}))
            continue;
        size_t before = (size_t)(colon + 1 - field.p);
        if (found != LENGTH_MISSING ||
            !read_length((struct text){colon + 1, field.n - before}, out))
            return LENGTH_BAD;
        found = LENGTH_GOOD;
    }
    return found;
}

static enum sip_stream_frame_verdict look_at_head(struct sip_stream_frame *f, const char *p,
                                                  size_t message_max)
{
    size_t body;
    f->n = f->head_n;
    switch (find_length((struct text){p, f->head_n}, &body)) {
    case LENGTH_GOOD: break;
    // A stream has to say it (RFC 3261 §18.3, §20.14). Without the empty line the head is a message
    // cut short to the parser, which is what it is: it has no end.
    case LENGTH_MISSING: f->n -= p[f->head_n - 2] == '\r' ? 2 : 1; return SIP_STREAM_FRAME_UNFRAMED;
    case LENGTH_BAD: return SIP_STREAM_FRAME_UNFRAMED; // as the parser finds too
    }
    if (body > message_max - f->head_n)
        return SIP_STREAM_FRAME_TOO_LARGE;
    f->n += body;
    return SIP_STREAM_FRAME_WHOLE;
}

static enum sip_stream_frame_verdict look_for_head(struct sip_stream_frame *f, const char *p,
                                                   size_t n, size_t message_max)
{
    size_t most = message_max < SIP_STREAM_HEAD_MAX ? message_max : SIP_STREAM_HEAD_MAX;
    if ((n && !is_token_char(p[0])) || !find_head(f, p, n < most ? n : most))
        return SIP_STREAM_FRAME_GARBAGE;
    if (f->head_n)
        return look_at_head(f, p, message_max);
    if (n <= most)
        return SIP_STREAM_FRAME_MORE;
    return most == message_max ? SIP_STREAM_FRAME_TOO_LARGE : SIP_STREAM_FRAME_HEAD_TOO_LONG;
}

enum sip_stream_frame_verdict sip_stream_frame_look(struct sip_stream_frame *f, const char *p,
                                                    size_t n, size_t message_max)
{
    if (!f->head_n) {
        enum sip_stream_frame_verdict verdict = look_for_head(f, p, n, message_max);
        if (verdict != SIP_STREAM_FRAME_WHOLE)
            return verdict;
    }
    return n < f->n ? SIP_STREAM_FRAME_MORE : SIP_STREAM_FRAME_WHOLE;
}
