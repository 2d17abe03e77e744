// The mapping between SIP URIs and JIDs (RFC 7247 §6), and JID escaping (XEP-0106).
#include "core/wire/address.h"

#include "core/wire/jid_prep.h"
#include "core/wire/sip_scan.h"

#include <errno.h>

// ---- XEP-0106 ----------------------------------------------------------------------------------

// The plain characters and, at the same place, their two digits. Case is significant.
static const char escaped_chars[] = " \"&'/:<>@\\";
static const char escaped_digits[][3] = {"20", "22", "26", "27", "2f",
                                         "3a", "3c", "3e", "40", "5c"};

// The character that "\hh" at t.p[i] stands for; 0: it is no sequence.
static char sequence_at(struct text t, size_t i)
{
    if (i + 3 > t.n || t.p[i] != '\\')
        return 0;
    for (size_t k = 0; k < sizeof escaped_digits / sizeof *escaped_digits; k++)
        if (memcmp(t.p + i + 1, escaped_digits[k], 2) == 0)
            return escaped_chars[k];
    return 0;
}

void address_escape_local(struct buffer *b, struct text plain)
{
    for (size_t i = 0; i < plain.n; i++) {
        char c = plain.p[i];
        const char *at = c ? strchr(escaped_chars, c) : NULL;
        // §5.1 rule 7: a backslash is escaped only where it would read as the begin of a sequence.
        if (!at || (c == '\\' && !sequence_at(plain, i))) {
            buffer_char(b, c);
            continue;
        }
        buffer_char(b, '\\');
        buffer_add(b, escaped_digits[at - escaped_chars], 2);
    }
}

void address_unescape_local(struct buffer *b, struct text escaped)
{
    if (!escaped.n || !memchr(escaped.p, '\\', escaped.n)) { // nearly always
        buffer_text(b, escaped);
        return;
    }
    for (size_t i = 0; i < escaped.n; i++) {
        char c = sequence_at(escaped, i);
        buffer_char(b, c ? c : escaped.p[i]);
        if (c)
            i += 2;
    }
}

// XEP-0106 §4.2: the sequence \20 neither begins nor ends a localpart.
static bool blank_at_an_end(struct text plain)
{
    return plain.n && (plain.p[0] == ' ' || plain.p[plain.n - 1] == ' ');
}

// ---- Percent-encoding --------------------------------------------------------------------------

// Into z, NUL-terminated. A '%' without two digits stays what it is. EBADMSG: longer than fits.
static int percent_decode(struct text t, char *z, size_t size, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < t.n; i++) {
        int byte = scan_percent(t, i);
        if (*n + 1 >= size)
            return EBADMSG;
        z[(*n)++] = byte >= 0 ? (char)byte : t.p[i];
        if (byte >= 0)
            i += 2;
    }
    z[*n] = '\0';
    return 0;
}

// RFC 3261 §25.1: where a character may stand as it is.
enum {
    USER = 1,      // unreserved, user-unreserved
    PARAMETER = 2, // unreserved, param-unreserved
    BOTH = USER | PARAMETER,
};

static const uint8_t classes[256] = {
    ['a' ... 'z'] = BOTH, ['A' ... 'Z'] = BOTH, ['0' ... '9'] = BOTH, ['-'] = BOTH, ['_'] = BOTH,
    ['.'] = BOTH,         ['!'] = BOTH,         ['~'] = BOTH,         ['*'] = BOTH, ['\''] = BOTH,
    ['('] = BOTH,         [')'] = BOTH,         ['&'] = BOTH,         ['+'] = BOTH, ['$'] = BOTH,
    ['/'] = BOTH,         ['='] = USER,         [','] = USER,         [';'] = USER, ['?'] = USER,
    ['['] = PARAMETER,    [']'] = PARAMETER,    [':'] = PARAMETER,
};

// All but what is of `class` as %hh.
static void percent_encode(struct buffer *b, struct text t, uint8_t class)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t from = 0;
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.p[i];
        if (classes[c] & class)
            continue;
        buffer_add(b, t.p + from, i - from);
        char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
        buffer_add(b, hex, sizeof hex);
        from = i + 1;
    }
    buffer_add(b, t.p + from, t.n - from);
}

// ---- The mapping -------------------------------------------------------------------------------

// A local number of RFC 3966 §3, decoded, without its visual separators: these "are not used for
// URI comparison" (§5.1.1). EBADMSG: it is none.
static int local_number(char *z, size_t *n)
{
    size_t digits = 0;
    for (size_t i = 0; i < *n; i++) {
        if (z[i] && strchr("0123456789abcdefABCDEF*#", z[i]))
            z[digits++] = z[i];
        else if (!z[i] || !strchr("-.()", z[i]))
            return EBADMSG;
    }
    z[digits] = '\0';
    *n = digits;
    return digits ? 0 : EBADMSG;
}

// RFC 7247 §6.4 steps 3 to 6. Folding comes first, so that what folds to a forbidden character or
// to a sequence is escaped as if it had been written so.
static int map_user(const struct sip_uri *uri, struct room *room, struct text *out)
{
    char plain[PREP_RAW_MAX + 1], escaped[PREP_RAW_MAX + 1];
    size_t n;
    if (percent_decode(uri->user, plain, sizeof plain, &n) || memchr(plain, '\0', n) ||
        (uri->scheme == SCHEME_TEL && local_number(plain, &n)))
        return EBADMSG;
    int err = prep_fold(plain, sizeof plain, &n);
    if (err)
        return err;
    struct buffer b = {.p = escaped, .cap = sizeof escaped, .limit = sizeof escaped};
    if (blank_at_an_end((struct text){plain, n}) || n > JID_PART_MAX)
        return EBADMSG;
    address_escape_local(&b, (struct text){plain, n});
    err = prep_local((struct text){b.p, b.n}, room, out);
    return err || out->p != escaped ? err : room_add(room, *out, out);
}

static int map_host(struct text host, struct room *room, struct text *out)
{
    char literal[64];
    if (!memchr(host.p, ':', host.n))
        return prep_domain(host, room, out);
    struct buffer b = {.p = literal, .cap = sizeof literal, .limit = sizeof literal};
    const char *colons = memmem(host.p, host.n, ":::", 3); // RFC 5118 §4.10: one too many
    size_t n = colons ? (size_t)(colons - host.p) + 2 : host.n;
    buffer_char(&b, '[');
    buffer_add(&b, host.p, n);
    if (colons)
        buffer_add(&b, colons + 3, host.n - n - 1);
    buffer_char(&b, ']');
    return b.failed ? EBADMSG : prep_domain((struct text){b.p, b.n}, room, out);
}

// RFC 7247 §6.4 step 8.
static int map_gr(struct text gr, struct room *room, struct text *out)
{
    char plain[PREP_RAW_MAX + 1];
    size_t n;
    if (percent_decode(gr, plain, sizeof plain, &n))
        return EBADMSG;
    int err = prep_resource((struct text){plain, n}, room, out);
    return err || out->p != plain ? err : room_add(room, *out, out);
}

bool address_is_mapped(const struct sip_uri *uri)
{
    switch (uri->scheme) {
    case SCHEME_SIP:
    case SCHEME_PRES:
    case SCHEME_IM: return true;
    // A number that is somebody's at a domain. RFC 3966 §5.1.5: the combination of the local number
    // and its context is globally unique. A global number has no domain, and a number as context
    // names none: whose user that is nobody can tell.
    case SCHEME_TEL: return uri->host.n > 0;
    default: return false; // sips: RFC 7247 §8
    }
}

int address_to_jid(struct jid *out, const struct sip_uri *uri, char *scratch, size_t scratch_size)
{
    struct room room = {scratch, scratch_size};
    *out = (struct jid){0};
    if (!address_is_mapped(uri))
        return EPROTONOSUPPORT;
    if (uri->user.n == 0)
        return EBADMSG;
    int err = map_user(uri, &room, &out->local);
    if (!err)
        err = map_host(uri->host, &room, &out->domain);
    if (!err && uri->gr.n)
        err = map_gr(uri->gr, &room, &out->resource);
    return err;
}

// RFC 7247 §6.5 steps 3 and 5, with all of XEP-0106. The bytes kept are those that its table 1
// allows.
void address_user_to_sip(struct buffer *b, struct text local)
{
    char plain[JID_PART_MAX];
    if (text_span(local, classes, USER) == local.n) { // no backslash either
        buffer_text(b, local);
        return;
    }
    struct buffer u = {.p = plain, .cap = sizeof plain, .limit = sizeof plain};
    address_unescape_local(&u, local);
    b->failed |= u.failed;
    percent_encode(b, (struct text){u.p, u.n}, USER);
}

void address_domain_to_sip(struct buffer *b, struct text domain)
{
    char scratch[HOSTNAME_MAX + 1];
    struct text host;
    if (prep_domain_ascii(domain, scratch, &host))
        b->failed = true; // not a domain that jid_parse() let through
    else
        buffer_text(b, host);
}

void address_to_sip(struct buffer *b, const struct jid *jid)
{
    buffer_lit(b, "sip:");
    if (jid->local.n) {
        address_user_to_sip(b, jid->local);
        buffer_char(b, '@');
    }
    address_domain_to_sip(b, jid->domain);
    if (jid->resource.n) {
        buffer_lit(b, ";gr=");
        percent_encode(b, jid->resource, PARAMETER);
    }
}
