// Route sets, loose and strict.
#include "core/wire/sip_route.h"

#include "core/wire/sip_scan.h"

bool sip_route_first(struct text routes, struct text *uri, struct text *rest)
{
    struct text params;
    if (!routes.n)
        return false;
    struct text first = scan_value(routes, rest);
    *rest = scan_trim(*rest);
    return scan_address(first, uri, &params);
}

// RFC 3261 §19.1.1: neither headers nor the method parameter.
void sip_route_write_ruri(struct text first, struct buffer *b)
{
    const char *at = memchr(first.p, '@', first.n);
    size_t user_n = at ? (size_t)(at - first.p) + 1 : 0; // which may hold what ends a host
    struct text place = {first.p + user_n, first.n - user_n}, params, name, value;
    place.n = scan_until(place, '?');
    size_t host_n = scan_until(place, ';');
    buffer_add(b, first.p, user_n + host_n);
    params = (struct text){place.p + host_n, place.n - host_n};
    while (params.n) {
        const char *from = params.p;
        if (!scan_param(&params, &name, &value))
            break;
        if (!text_eq_nocase(name, TEXT("method")))
            buffer_add(b, from, (size_t)(params.p - from));
    }
}

void sip_route_write_rest(struct text rest, struct text target, struct buffer *b)
{
    if (rest.n) {
        buffer_text(b, rest);
        buffer_lit(b, ", ");
    }
    buffer_char(b, '<');
    buffer_text(b, target);
    buffer_char(b, '>');
}
