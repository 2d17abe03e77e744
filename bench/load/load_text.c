// A printf of three conversions: see load_text.h.
#include "bench/load/load_text.h"

#include <stdlib.h>

struct writer {
    char *p, *end;
};

static void put(struct writer *w, const char *bytes, size_t n)
{
    if (n > (size_t)(w->end - w->p))
        abort();
    memcpy(w->p, bytes, n);
    w->p += n;
}

static void put_number(struct writer *w, unsigned number)
{
    char digits[10], *end = digits + sizeof digits, *at = end;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    put(w, at, (size_t)(end - at));
}

size_t load_format(char *to, size_t room, const char *format, va_list args)
{
    struct writer w = {to, to + room};
    for (const char *percent; (percent = strchr(format, '%')); format++) {
        put(&w, format, (size_t)(percent - format));
        format = percent + 1;
        if (*format == 'u') {
            put_number(&w, va_arg(args, unsigned));
        } else if (*format == 's') {
            const char *z = va_arg(args, const char *);
            put(&w, z, strlen(z));
        } else if (load_after(format, ".*s")) {
            size_t n = (size_t)va_arg(args, int);
            put(&w, va_arg(args, const char *), n);
            format += 2;
        } else {
            abort();
        }
    }
    put(&w, format, strlen(format));
    return (size_t)(w.p - to);
}

void load_piece_copy(struct load_piece t, char *out, size_t size)
{
    size_t n = t.n < size ? t.n : size - 1;
    if (n)
        memcpy(out, t.p, n);
    out[n] = 0;
}
