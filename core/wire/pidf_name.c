// Names and numbers in a PIDF tuple: ids that are NCNames, GRUUs in contacts, priorities.
#include "core/wire/pidf_name.h"

#include <assert.h>

#include "core/wire/pidf.h"

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// -1: not a hexadecimal digit.
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// ── ids ──

// Code point and length of the UTF-8 sequence at the beginning of t, which is known to be valid.
static uint32_t utf8_read(struct text t, size_t *n)
{
    const unsigned char *p = (const unsigned char *)t.p;
    *n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (*n > t.n)
        *n = t.n;
    uint32_t c = p[0] & (*n == 1 ? 0x7f : 0xff >> (*n + 1));
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static void utf8_write(struct buffer *b, uint32_t c)
{
    if (c < 0x80) {
        buffer_char(b, (char)c);
        return;
    }
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    buffer_char(b, (char)(lead[more] | c >> (6 * more)));
    while (more--)
        buffer_char(b, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

static void write_escape(struct buffer *b, uint32_t c)
{
    buffer_lit(b, "_x");
    for (int shift = c > 0xfffff ? 20 : c > 0xffff ? 16 : 12; shift >= 0; shift -= 4)
        buffer_char(b, "0123456789ABCDEF"[c >> shift & 15]);
    buffer_char(b, '_');
}

static bool stands_for_itself(struct text t)
{
    char c = t.p[0];
    return is_alnum(c) || c == '-' || c == '.' || (c == '_' && !(t.n > 1 && t.p[1] == 'x'));
}

void pidf_id_write(struct buffer *b, struct text resource)
{
    buffer_lit(b, "ID-");
    for (size_t n; resource.n; resource.p += n, resource.n -= n) {
        uint32_t c = utf8_read(resource, &n);
        if (stands_for_itself(resource))
            buffer_char(b, resource.p[0]);
        else
            write_escape(b, c);
    }
}

// Length of the escape at the beginning of t, with its code point; 0: there is none.
static size_t read_escape(struct text t, uint32_t *c)
{
    size_t i = 2;
    if (t.n < 7 || t.p[0] != '_' || t.p[1] != 'x')
        return 0;
    for (*c = 0; i < t.n && i < 8 && hex_value(t.p[i]) >= 0; i++)
        *c = *c << 4 | (uint32_t)hex_value(t.p[i]);
    return i >= 6 && i < t.n && t.p[i] == '_' && *c <= 0x10ffff ? i + 1 : 0;
}

struct span pidf_id_resource(struct buffer *b, struct span id)
{
    if (!id.n || !text_starts((struct text){b->p + id.off, id.n}, TEXT("ID-")))
        return id;
    if (!buffer_reserve(b, id.n)) // the result is not longer, so from here on the buffer stays put
        return (struct span){0};
    struct text rest = {b->p + id.off + 3, id.n - 3};
    struct span out = {(uint32_t)b->n, 0};
    while (rest.n) {
        uint32_t c;
        size_t n = read_escape(rest, &c);
        if (n)
            utf8_write(b, c);
        else
            buffer_char(b, rest.p[0]), n = 1;
        rest.p += n;
        rest.n -= n;
    }
    out.n = (uint32_t)b->n - out.off;
    return out;
}

// ── contacts ──

static struct span percent_decode(struct buffer *b, struct span from)
{
    if (!buffer_reserve(b, from.n))
        return (struct span){0};
    const char *p = b->p + from.off, *end = p + from.n;
    struct span out = {(uint32_t)b->n, 0};
    for (; p < end; p++) {
        int high = end - p > 2 && *p == '%' ? hex_value(p[1]) : -1;
        int low = high >= 0 ? hex_value(p[2]) : -1;
        buffer_char(b, low >= 0 ? (char)(high << 4 | low) : *p);
        p += low >= 0 ? 2 : 0;
    }
    out.n = (uint32_t)b->n - out.off;
    return out;
}

// The value of parameter gr in the parameters ";a=b;c" at p; NULL: there is none.
static const char *find_gr(const char *p, const char *end, const char **value_end)
{
    while (p && p < end) {
        const char *next = p + 1;
        while (next < end && !strchr(";?>", *next))
            next++;
        if (next - p > 4 && text_eq_nocase((struct text){p, 4}, TEXT(";gr="))) {
            *value_end = next;
            return p + 4;
        }
        p = next < end && *next == ';' ? next : NULL;
    }
    return NULL;
}

struct span pidf_contact_gr(struct buffer *b, struct span contact)
{
    if (contact.n && !memchr(b->p + contact.off, ':', contact.n))
        contact = percent_decode(b, contact);
    if (!contact.n)
        return contact;
    const char *from = b->p + contact.off, *end = from + contact.n, *value_end;
    const char *host = memrchr(from, '@', contact.n); // a user part may hold semicolons
    host = host ? host : from;
    const char *value = find_gr(memchr(host, ';', (size_t)(end - host)), end, &value_end);
    if (!value)
        return (struct span){0};
    return percent_decode(b,
                          (struct span){(uint32_t)(value - b->p), (uint32_t)(value_end - value)});
}

// RFC 3261 §25.1: what is no unreserved character is escaped in a parameter's value.
static void write_gr(struct buffer *b, struct text resource)
{
    for (size_t i = 0; i < resource.n; i++) {
        char c = resource.p[i];
        if (is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
            buffer_char(b, c);
            continue;
        }
        buffer_char(b, '%');
        buffer_char(b, "0123456789ABCDEF"[(unsigned char)c >> 4]);
        buffer_char(b, "0123456789ABCDEF"[c & 15]);
    }
}

void pidf_contact_write(struct buffer *b, struct text entity, struct text resource)
{
    if (resource.n && text_starts(entity, TEXT("pres:"))) {
        buffer_lit(b, "sip:");
        entity = (struct text){entity.p + 5, entity.n - 5};
    }
    buffer_xml(b, entity);
    if (resource.n) {
        buffer_lit(b, ";gr=");
        write_gr(b, resource);
    }
}

// ── URIs ──

// RFC 3986 §3: a scheme, and neither blanks nor what no XML can hold.
static bool is_uri(struct text t)
{
    size_t scheme = 0;
    while (scheme < t.n && (is_alnum(t.p[scheme]) || memchr("+-.", t.p[scheme], 3)))
        scheme++;
    if (!scheme || scheme == t.n || t.p[scheme] != ':' || (t.p[0] | 0x20) < 'a')
        return false;
    for (size_t i = 0; i < t.n; i++)
        if ((unsigned char)t.p[i] <= ' ')
            return false;
    return text_is_xml(t);
}

struct span pidf_uri(struct buffer *b, struct span at)
{
    if (!at.n || !memchr(b->p + at.off, '%', at.n) || is_uri((struct text){b->p + at.off, at.n}))
        return at;
    struct span plain = percent_decode(b, at);
    return plain.n && is_uri((struct text){b->p + plain.off, plain.n}) ? plain : at;
}

// ── priorities ──

bool pidf_milli_parse(struct text t, unsigned *out)
{
    const char *dot = memchr(t.p, '.', t.n);
    struct text whole = {t.p, dot ? (size_t)(dot - t.p) : t.n};
    uint32_t units = 0;
    if ((whole.n && !text_to_u32(whole, 1, &units)) || (!whole.n && t.n < 2))
        return false;
    unsigned milli = units * 1000, weight = 100;
    bool more = false; // than nothing: 1.0004 is above 1
    for (const char *p = dot ? dot + 1 : t.p + t.n; p < t.p + t.n; p++, weight /= 10) {
        if (*p < '0' || *p > '9')
            return false;
        milli += (unsigned)(*p - '0') * weight;
        more |= *p != '0';
    }
    *out = milli;
    return units == 0 || !more;
}

unsigned pidf_priority_to_milli(int8_t priority)
{
    assert(priority >= 0);
    return (unsigned)priority * 1000 / 127;
}

int8_t pidf_priority_from_milli(unsigned milli)
{
    assert(milli <= 1000);
    return (int8_t)((milli * 127 + 999) / 1000); // rounded up, as the other way rounds down
}
