// Bringing the parts of an address into the form in which they are compared.
#include "core/wire/jid_prep.h"

#include <arpa/inet.h>
#include <errno.h>
#include <idna.h>
#include <stdlib.h>
#include <stringprep.h>

#include "core/wire/memory.h"

enum {
    LABEL_MAX = 63, // RFC 1035 §2.3.4
    // Both ways: an A-label whose U-label would be refused stays as it is.
    IDNA_FLAGS = IDNA_USE_STD3_ASCII_RULES | IDNA_ALLOW_UNASSIGNED,
};

// ---- What is already in its form ---------------------------------------------------------------

enum {
    LABEL = 1, // letters, digits, hyphens
    LOCAL = 2, // not RFC 6122 appendix A.5: what nodeprep forbids of ASCII; nor what it folds
};

static const uint8_t classes[256] = {
    ['a' ... 'z'] = LABEL | LOCAL,
    ['0' ... '9'] = LABEL | LOCAL,
    ['-'] = LABEL | LOCAL,
    ['!'] = LOCAL,
    ['#' ... '%'] = LOCAL,
    ['(' ... ','] = LOCAL,
    ['.'] = LOCAL,
    [';'] = LOCAL,
    ['='] = LOCAL,
    ['?'] = LOCAL,
    ['[' ... '`'] = LOCAL,
    ['{' ... '~'] = LOCAL,
};

static bool local_is_plain(struct text t)
{
    return t.n > 0 && t.n <= JID_PART_MAX && text_span(t, classes, LOCAL) == t.n;
}

static bool resource_is_plain(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < ' ' || t.p[i] == 0x7f)
            return false;
    return t.n > 0 && t.n <= JID_PART_MAX;
}

// Inner hyphens only, and no A-label.
static bool label_is_plain(const char *p, size_t n)
{
    return n > 0 && n <= LABEL_MAX && p[0] != '-' && p[n - 1] != '-' &&
           !(p[0] == 'x' && text_starts((struct text){p, n}, TEXT("xn--")));
}

static bool domain_is_plain(struct text t)
{
    const char *label = t.p, *end = t.p + t.n;
    if (t.n > HOSTNAME_MAX)
        return false;
    for (const char *p = t.p; p < end; p++) {
        if (classes[(unsigned char)*p] & LABEL)
            continue;
        if (*p != '.' || !label_is_plain(label, (size_t)(p - label)))
            return false;
        label = p + 1;
    }
    return label_is_plain(label, (size_t)(end - label));
}

// ---- What has to be prepared -------------------------------------------------------------------

int room_add(struct room *room, struct text t, struct text *out)
{
    if (t.n > room->n)
        return EBADMSG;
    memcpy(room->p, t.p, t.n);
    *out = (struct text){room->p, t.n};
    room->p += t.n;
    room->n -= t.n;
    return 0;
}

// As a C string; a NUL inside would end it early.
static int to_z(struct text t, char *z, size_t size)
{
    if (t.n == 0 || t.n >= size || memchr(t.p, '\0', t.n))
        return EBADMSG;
    memcpy(z, t.p, t.n);
    z[t.n] = '\0';
    return 0;
}

static int by_stringprep(char *z, size_t size, const Stringprep_profile *profile)
{
    memory_lend();
    return memory_lent(stringprep(z, size, 0, profile) == STRINGPREP_OK ? 0 : EBADMSG);
}

// Unassigned code points pass: what is compared is a query (RFC 3454 §7), and newer characters than
// Unicode 3.2's are in use.
static int prep(struct text t, const Stringprep_profile *profile, struct room *room,
                struct text *out)
{
    char z[PREP_RAW_MAX + 1];
    if (to_z(t, z, sizeof z))
        return EBADMSG;
    int err = by_stringprep(z, sizeof z, profile);
    if (err)
        return err;
    size_t n = strlen(z);
    return n == 0 || n > JID_PART_MAX ? EBADMSG : room_add(room, (struct text){z, n}, out);
}

int prep_local(struct text t, struct room *room, struct text *out)
{
    if (!local_is_plain(t))
        return prep(t, stringprep_xmpp_nodeprep, room, out);
    *out = t;
    return 0;
}

int prep_resource(struct text t, struct room *room, struct text *out)
{
    if (!resource_is_plain(t))
        return prep(t, stringprep_xmpp_resourceprep, room, out);
    *out = t;
    return 0;
}

int prep_fold(char *z, size_t size, size_t *n)
{
    bool ascii = true;
    for (size_t i = 0; i < *n; i++) {
        if (z[i] >= 'A' && z[i] <= 'Z')
            z[i] = (char)(z[i] | 0x20);
        ascii = ascii && z[i] > 0; // char is signed: neither NUL nor above ASCII
    }
    if (ascii)
        return 0;
    if (memchr(z, '\0', *n))
        return EBADMSG;
    int err = by_stringprep(z, size, stringprep_nameprep);
    *n = strlen(z);
    return err;
}

// "[::1]" in lower case.
static int prep_ipv6(struct text t, struct room *room, struct text *out)
{
    char z[INET6_ADDRSTRLEN + 2];
    struct in6_addr ip;
    if (to_z(t, z, sizeof z) || z[t.n - 1] != ']')
        return EBADMSG;
    for (size_t i = 0; i < t.n; i++)
        if (z[i] >= 'A' && z[i] <= 'F')
            z[i] = (char)(z[i] | 0x20);
    z[t.n - 1] = '\0';
    if (inet_pton(AF_INET6, z + 1, &ip) != 1)
        return EBADMSG;
    z[t.n - 1] = ']';
    return room_add(room, (struct text){z, t.n}, out);
}

static int to_ascii(const char *z, char out[HOSTNAME_MAX + 1])
{
    char *ascii = NULL;
    memory_lend();
    int err = memory_lent(idna_to_ascii_8z(z, &ascii, IDNA_FLAGS) == IDNA_SUCCESS ? 0 : EBADMSG);
    if (err)
        return err;
    size_t n = strlen(ascii);
    if (n && ascii[n - 1] == '.') // a final dot that was written as U+3002 or its like
        ascii[--n] = '\0';
    if (n == 0 || n > HOSTNAME_MAX || ascii[n - 1] == '.')
        err = EBADMSG;
    else
        memcpy(out, ascii, n + 1);
    free(ascii);
    return err;
}

// Upper case, letters beyond ASCII, A-labels: the form to compare is that of U-labels
// (RFC 7622 §3.2.1), so that both spellings of a name are the same address.
static int prep_idn(struct text t, struct room *room, struct text *out)
{
    char z[PREP_RAW_MAX + 1], ascii[HOSTNAME_MAX + 1], *unicode = NULL;
    int err = to_z(t, z, sizeof z);
    if (err || (err = to_ascii(z, ascii)))
        return err;
    for (char *c = ascii; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    // What it gives is prepared, label by label; as a whole it may well be against the rule that
    // right-to-left and left-to-right letters don't mix (RFC 3454 §6), which is a label's.
    memory_lend();
    // A label that it has no memory for it leaves out, or as it was, and says nothing.
    bool done = idna_to_unicode_8z8z(ascii, &unicode, IDNA_FLAGS) == IDNA_SUCCESS;
    err = memory_lent(done ? EAGAIN : EBADMSG);
    if (err == EAGAIN)
        err = strlen(unicode) <= JID_PART_MAX ? room_add(room, text_of(unicode), out) : EBADMSG;
    free(unicode);
    return err;
}

int prep_domain(struct text t, struct room *room, struct text *out)
{
    if (t.n && t.p[t.n - 1] == '.') // RFC 7622 §3.2: a final dot is not part of it
        t.n--;
    if (t.n && t.p[0] == '[')
        return prep_ipv6(t, room, out);
    if (!domain_is_plain(t))
        return prep_idn(t, room, out);
    *out = t;
    return 0;
}

int prep_domain_ascii(struct text domain, char scratch[HOSTNAME_MAX + 1], struct text *out)
{
    char z[JID_PART_MAX + 1];
    *out = domain;
    if (domain_is_plain(domain) || (domain.n && domain.p[0] == '['))
        return 0;
    int err = to_z(domain, z, sizeof z);
    if (!err)
        err = to_ascii(z, scratch);
    *out = text_of(scratch);
    return err;
}
