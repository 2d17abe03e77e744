// Borrowed text, and the growable buffer that all writers write into.
//
// Nothing here is NUL-terminated unless it says so. A `struct text` owns nothing: it is valid as
// long as the bytes that it points at. A `struct buffer` owns its bytes.
#ifndef CORE_WIRE_TEXT_H
#define CORE_WIRE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *p;
    size_t n;
};

// A literal as text, also usable in static initialisers.
#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
// For printf("%.*s", TEXT_ARG(t)).
#define TEXT_ARG(t) (int)(t).n, (t).p

static inline struct text text_of(const char *z)
{
    return (struct text){z, z ? strlen(z) : 0};
}

static inline bool text_eq(struct text a, struct text b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool text_starts(struct text t, struct text prefix)
{
    return t.n >= prefix.n && text_eq((struct text){t.p, prefix.n}, prefix);
}

// All behind its first `n` bytes.
static inline struct text text_skip(struct text t, size_t n)
{
    return (struct text){t.p + n, t.n - n};
}

// Length of the first bytes that all are one of `of`, bits in `classes`.
static inline size_t text_span(struct text t, const uint8_t classes[256], uint8_t of)
{
    size_t n = 0;
    while (n < t.n && (classes[(unsigned char)t.p[n]] & of))
        n++;
    return n;
}

// ASCII case is folded, other bytes are compared as they are.
bool text_eq_nocase(struct text a, struct text b);
// Without XML's white space (space, tab, CR, LF) at both ends.
struct text text_trim(struct text t);
// UTF-8, and only characters that XML 1.0 §2.2 allows.
bool text_is_xml(struct text t);
// Decimal digits only, no sign, no blanks; false when empty or above `max`.
bool text_to_u32(struct text t, uint32_t max, uint32_t *out);

// A place inside a relocatable block: offset from the block's base.
struct span {
    uint32_t off, n;
};

// Bytes that grow. `failed` is sticky: once memory or `limit` ran out, later appends do nothing and
// the owner looks at `failed` once, at the end, instead of after each append.
struct buffer {
    char *p;
    size_t n, cap;
    size_t limit; // bytes at most; 0: no limit
    bool failed;
};

void buffer_init(struct buffer *b, size_t limit);
void buffer_free(struct buffer *b);
// Keeps the memory, forgets the contents and the failure.
void buffer_reset(struct buffer *b);
// Room for n more bytes; returns where they go (not yet counted in n), or NULL with `failed` set.
char *buffer_reserve(struct buffer *b, size_t n);
// Inline: all that leaves is written in small pieces, and the calls alone were a tenth of the hot
// path.
static inline void buffer_add(struct buffer *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (b->failed || n > b->cap - b->n)
        if (!buffer_reserve(b, n))
            return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void buffer_text(struct buffer *b, struct text t)
{
    buffer_add(b, t.p, t.n);
}

static inline void buffer_char(struct buffer *b, char c)
{
    buffer_add(b, &c, 1);
}

void buffer_u64(struct buffer *b, uint64_t v);
// With XML's five special characters escaped, tab, LF and CR as character references (so that they
// survive in an attribute), and left out what is not UTF-8 or is forbidden by XML 1.0 §2.2.
void buffer_xml(struct buffer *b, struct text t);
#define buffer_lit(b, literal) buffer_add((b), (literal), sizeof(literal) - 1)

#endif
