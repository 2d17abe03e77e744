// Transport addresses, and the list of effects that a turn collects.
#include "core/event.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/wire/memory.h"

bool hop_eq(const struct hop *a, const struct hop *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool hop_parse_v4(uint8_t ip[16], struct text host)
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        size_t end = at;
        while (end < host.n && host.p[end] != '.')
            end++;
        uint32_t v;
        if (end - at > 3 || !text_to_u32((struct text){host.p + at, end - at}, 255, &v))
            return false;
        ip[i] = (uint8_t)v;
        if ((end < host.n) != (i < 3))
            return false;
        at = end + 1;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hop_parse_group(const char **p, const char *end, uint8_t out[2])
{
    unsigned v = 0, digits = 0;
    for (; *p < end && hex_digit(**p) >= 0 && digits < 5; (*p)++, digits++)
        v = v << 4 | (unsigned)hex_digit(**p);
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
    return digits >= 1 && digits <= 4;
}

// RFC 4291 §2.2, forms 1 and 2; the mixed form with an IPv4 tail is not used in SIP headers.
static bool hop_parse_v6(uint8_t ip[16], struct text host)
{
    uint8_t bytes[16] = {0};
    int n = 0, gap = -1;
    const char *p = host.p, *end = host.p + host.n;
    if (host.n >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (p < end) {
        if (n == 16 || !hop_parse_group(&p, end, bytes + n))
            return false;
        n += 2;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap >= 0)
                return false;
            gap = n;
            p++;
        }
    }
    if (gap < 0 ? n != 16 : n > 14)
        return false;
    int tail = gap < 0 ? 0 : n - gap;
    memset(ip, 0, 16);
    memcpy(ip, bytes, (size_t)(n - tail));
    memcpy(ip + 16 - tail, bytes + n - tail, (size_t)tail);
    return true;
}

int hop_parse(struct hop *out, struct text host, uint16_t port, enum hop_transport transport)
{
    struct hop h = {.port = port, .transport = (uint8_t)transport};
    if (hop_parse_v4(h.ip, host))
        h.family = 4;
    else if (memset(h.ip, 0, sizeof h.ip), hop_parse_v6(h.ip, host))
        h.family = 6;
    else
        return EINVAL;
    *out = h;
    return 0;
}

static void hop_write_v6(struct buffer *b, const uint8_t ip[16])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i += 2) {
        unsigned v = (unsigned)ip[i] << 8 | ip[i + 1];
        int shift = 12;
        while (shift && !(v >> shift & 15))
            shift -= 4;
        for (; shift >= 0; shift -= 4)
            buffer_char(b, digits[v >> shift & 15]);
        if (i < 14)
            buffer_char(b, ':');
    }
}

void hop_write_host(struct buffer *b, const struct hop *h)
{
    if (h->family == 6) {
        hop_write_v6(b, h->ip);
        return;
    }
    for (int i = 0; i < 4; i++) {
        buffer_u64(b, h->ip[i]);
        if (i < 3)
            buffer_char(b, '.');
    }
}

void effects_init(struct effects *fx)
{
    *fx = (struct effects){0};
    buffer_init(&fx->bytes, 0);
}

void effects_free(struct effects *fx)
{
    free(fx->v);
    buffer_free(&fx->bytes);
    *fx = (struct effects){0};
}

void effects_reset(struct effects *fx)
{
    fx->n = 0;
    fx->failed = false;
    buffer_reset(&fx->bytes);
}

struct effect *effects_begin(struct effects *fx, enum effect_kind kind)
{
    if (fx->n == fx->cap) {
        size_t cap = fx->cap ? fx->cap * 2 : 256;
        struct effect *v = memory_grow(fx->v, cap * sizeof *v);
        if (!v) {
            fx->failed = true;
            return NULL;
        }
        fx->v = v;
        fx->cap = cap;
    }
    struct effect *e = &fx->v[fx->n];
    *e = (struct effect){.kind = (uint8_t)kind, .bytes = {(uint32_t)fx->bytes.n, 0}};
    return e;
}

void effects_end(struct effects *fx, struct effect *e)
{
    if (fx->bytes.failed) {
        fx->failed = true;
        return;
    }
    assert(e == &fx->v[fx->n] && fx->bytes.n >= e->bytes.off);
    e->bytes.n = (uint32_t)(fx->bytes.n - e->bytes.off);
    fx->n++;
}
