// Text put together and taken apart: what stdio does, for what happens at every event.
//
// A driver has to cost less than what it drives, and printf, scanf and searches from a message's
// beginning for each of its fields were half of what this one did.
#ifndef BENCH_LOAD_TEXT_H
#define BENCH_LOAD_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A part of a text, not NUL-terminated.
struct load_piece {
    const char *p; // NULL: there is none
    size_t n;
};

// printf's %s, %.*s and %u; no others. Its length; all that is written so has a known one, and
// what does not fit is a mistake of ours. No NUL.
size_t load_format(char *to, size_t room, const char *format, va_list args);

// The text behind `prefix`; NULL: it begins otherwise. `at` is NUL-terminated.
static inline const char *load_after(const char *at, const char *prefix)
{
    size_t n = strlen(prefix);
    return at && strncmp(at, prefix, n) == 0 ? at + n : NULL;
}

// The text behind the digits that it begins with; NULL: it begins with none.
static inline const char *load_digits(const char *at, uint32_t *number)
{
    const char *p = at;
    *number = 0;
    while (p && *p >= '0' && *p <= '9')
        *number = *number * 10 + (uint32_t)(*p++ - '0');
    return p == at ? NULL : p;
}

// The text behind a filler, which may be empty.
static inline const char *load_past_filler(const char *at)
{
    while (at && *at == '.')
        at++;
    return at;
}

static inline bool load_piece_eq(struct load_piece t, const char *z)
{
    return t.p && strlen(z) == t.n && memcmp(t.p, z, t.n) == 0;
}
// NUL-terminated, and cut if it is longer.
void load_piece_copy(struct load_piece t, char *out, size_t size);

#endif
