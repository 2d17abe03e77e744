// Comparing borrowed text, and growing the buffer that the writers fill.
#include "core/wire/text.h"

#include <stdlib.h>

#include "core/wire/memory.h"

enum { BUFFER_FIRST = 256 }; // bytes of a buffer's first block

static unsigned char fold(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

static bool bytes_eq_nocase(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && fold(a[i]) != fold(b[i]))
            return false;
    return true;
}

// Words are nearly always the same to the byte.
static inline bool word_eq_nocase(const char *a, const char *b, size_t n)
{
    uint64_t x = 0, y = 0;
    memcpy(&x, a, n);
    memcpy(&y, b, n);
    return x == y || bytes_eq_nocase(a, b, n);
}

// By words of eight; the last one overlaps the one before.
bool text_eq_nocase(struct text a, struct text b)
{
    if (a.n != b.n)
        return false;
    if (a.n < 8)
        return a.n < 4
                   ? bytes_eq_nocase(a.p, b.p, a.n)
                   : word_eq_nocase(a.p, b.p, 4) && word_eq_nocase(a.p + a.n - 4, b.p + a.n - 4, 4);
    for (size_t i = 0; i + 8 < a.n; i += 8)
        if (!word_eq_nocase(a.p + i, b.p + i, 8))
            return false;
    return word_eq_nocase(a.p + a.n - 8, b.p + a.n - 8, 8);
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct text text_trim(struct text t)
{
    while (t.n && is_white(t.p[0]))
        t.p++, t.n--;
    while (t.n && is_white(t.p[t.n - 1]))
        t.n--;
    return t;
}

bool text_to_u32(struct text t, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    if (t.n == 0)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(t.p[i] - '0');
        if (v > max)
            return false;
    }
    *out = (uint32_t)v;
    return true;
}

void buffer_init(struct buffer *b, size_t limit)
{
    *b = (struct buffer){.limit = limit};
}

void buffer_free(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){.limit = b->limit};
}

void buffer_reset(struct buffer *b)
{
    b->n = 0;
    b->failed = false;
}

// The capacity for `need` bytes: doubled, but never above the limit.
static size_t next_capacity(const struct buffer *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUFFER_FIRST;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    return b->limit && cap > b->limit ? b->limit : cap;
}

static bool buffer_grow(struct buffer *b, size_t n)
{
    if (n > SIZE_MAX - b->n || (b->limit && b->n + n > b->limit))
        return false;
    if (b->cap && b->cap == b->limit) // so the compiler sees that borrowed room never moves
        return false;
    size_t cap = next_capacity(b, b->n + n);
    char *p = memory_grow(b->p, cap);
    if (!p)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

char *buffer_reserve(struct buffer *b, size_t n)
{
    if (b->failed)
        return NULL;
    if ((!b->p || n > b->cap - b->n) && !buffer_grow(b, n)) {
        b->failed = true;
        return NULL;
    }
    return b->p + b->n;
}

// Two digits at a time: each division waits for the one before.
void buffer_u64(struct buffer *b, uint64_t v)
{
    static const char two[] =
        "0001020304050607080910111213141516171819"
        "2021222324252627282930313233343536373839"
        "4041424344454647484950515253545556575859"
        "6061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    char digits[20]; // of UINT64_MAX
    size_t at = sizeof digits;
    for (; v > 9; v /= 100)
        memcpy(digits + (at -= 2), two + 2 * (v % 100), 2);
    if (v || at == sizeof digits)
        digits[--at] = (char)('0' + v);
    buffer_add(b, digits + at, sizeof digits - at);
}

// Length of the UTF-8 sequence (RFC 3629 §4) of two or more bytes at p, 0 when it is none, or
// stands for a character that XML 1.0 §2.2 forbids.
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80; // no over-long forms
    // Neither surrogates nor anything above U+10FFFF.
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c < 0xc2 || c > 0xf4 || n < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    bool noncharacter = c == 0xef && p[1] == 0xbf && p[2] >= 0xbe; // U+FFFE, U+FFFF
    return noncharacter ? 0 : len;
}

bool text_is_xml(struct text t)
{
    const unsigned char *p = (const unsigned char *)t.p;
    for (size_t i = 0, n; i < t.n; i += n) {
        n = p[i] < 0x80 ? p[i] >= 0x20 || is_white(t.p[i]) : utf8_sequence(p + i, t.n - i);
        if (n == 0)
            return false;
    }
    return true;
}

// What an ASCII character becomes; NULL: itself. The empty string leaves it out.
static const char *xml_replacement(unsigned char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&apos;";
    // References, for a parser would make other characters of these (XML 1.0 §2.11, §3.3.3).
    case '\t': return "&#9;";
    case '\n': return "&#10;";
    case '\r': return "&#13;";
    default: return c < 0x20 ? "" : NULL;
    }
}

// The bytes that stay as they are.
static const bool xml_plain[256] = {
    [' '] = true,         ['!'] = true, ['#' ... '%'] = true,
    ['(' ... ';'] = true, ['='] = true, ['?' ... 0x7f] = true,
};

void buffer_xml(struct buffer *b, struct text t)
{
    const unsigned char *p = (const unsigned char *)t.p, *end = t.n ? p + t.n : p, *from = p;
    while (p < end) {
        size_t n = xml_plain[*p] ? 1 : *p >= 0x80 ? utf8_sequence(p, (size_t)(end - p)) : 0;
        p += n;
        if (n)
            continue;
        const char *instead = *p < 0x80 ? xml_replacement(*p) : "";
        buffer_add(b, from, (size_t)(p - from));
        buffer_add(b, instead, strlen(instead));
        from = ++p;
    }
    buffer_add(b, from, (size_t)(p - from));
}
