// Splits a request target at `?`, `&` and `=`, then decodes (RFC 3986 §2.1, §3.4).
#include "api/uri.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// In place; the text gets shorter.
static int decode(char *z, struct text *out)
{
    char *to = z;
    *out = (struct text){z, 0};
    for (const char *at = z; *at; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
        if (low < 0 || high * 16 + low == 0)
            return EBADMSG;
        *to++ = (char)(high * 16 + low);
        at += 2;
    }
    out->n = (size_t)(to - z);
    return 0;
}

static int add_param(struct uri *out, char *pair)
{
    if (out->n == URI_PARAMS_MAX)
        return E2BIG;
    struct uri_param *p = &out->v[out->n++];
    char *value = strchr(pair, '=');
    if (value)
        *value++ = '\0';
    int rc = decode(pair, &p->name);
    if (rc == 0 && value)
        return decode(value, &p->value);
    p->value = TEXT("");
    return rc;
}

// A request by way of a proxy names scheme and host too (RFC 9112 §3.2.2).
static char *skip_authority(char *raw)
{
    static const char scheme[] = "http://";
    if (strncmp(raw, scheme, sizeof scheme - 1) != 0)
        return raw;
    return strchr(raw + sizeof scheme - 1, '/');
}

int uri_split(struct uri *out, char *raw)
{
    char *path = skip_authority(raw);
    out->n = 0;
    if (!path || *path != '/')
        return EBADMSG;
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    out->path = text_of(path);
    int rc = 0;
    char *pair, *rest = query;
    while (rc == 0 && rest && (pair = strsep(&rest, "&")))
        if (*pair)
            rc = add_param(out, pair);
    return rc;
}

const struct text *uri_get(const struct uri *u, const char *name)
{
    for (size_t i = 0; i < u->n; i++)
        if (text_eq(u->v[i].name, text_of(name)))
            return &u->v[i].value;
    return NULL;
}
