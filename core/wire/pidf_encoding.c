// Tells UTF-8 from Latin-1 and UTF-16.
#include "core/wire/pidf_encoding.h"

bool pidf_is_latin1(struct text body)
{
    static const char name[] = "8859-1";
    const char *end = memchr(body.p, '>', body.n);
    const char *at = end ? memmem(body.p, (size_t)(end - body.p), name, sizeof name - 1) : NULL;
    return at && strchr("'\"", at[sizeof name - 1]);
}

bool pidf_is_utf8(struct text body)
{
    return body.n > 1 && memchr(" \t\r\n<\xef", body.p[0], 6) && body.p[1] && !pidf_is_latin1(body);
}
