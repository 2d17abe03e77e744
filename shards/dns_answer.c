// Takes apart DNS responses (RFC 1035 §4), by a peer that may say anything.
#include "shards/dns_answer.h"

#include <stdio.h>

enum {
    HEADER = 12,       // RFC 1035 §4.1.1
    LABEL_MAX = 63,    // §2.3.4
    POINTERS_MAX = 64, // §4.1.4, followed within one name; each leads to an earlier place
    CLASS_IN = 1,
    RCODE_NXDOMAIN = 3,
    SOA_NUMBERS = 20, // the five numbers behind its two names, §3.3.13
};

struct reader {
    const uint8_t *p;
    size_t n, at;
};

struct resource {
    char owner[DNS_NAME_MAX + 1];
    uint16_t type, class;
    uint32_t ttl_s;
    size_t data, end; // its RDATA
};

static bool is_name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

bool dns_name_from(char out[DNS_NAME_MAX + 1], struct text t)
{
    size_t label = 0;
    if (t.n && t.p[t.n - 1] == '.')
        t.n--;
    if (t.n == 0 || t.n > DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        uint8_t c = (uint8_t)t.p[i];
        bool dot = c == '.';
        if (dot ? label == 0 : !is_name_char(c) || label == LABEL_MAX)
            return false;
        label = dot ? 0 : label + 1;
        out[i] = lower(c);
    }
    out[t.n] = '\0';
    return label > 0;
}

static bool read_u16(struct reader *r, uint16_t *out)
{
    if (r->n - r->at < 2)
        return false;
    *out = (uint16_t)(r->p[r->at] << 8 | r->p[r->at + 1]);
    r->at += 2;
    return true;
}

static bool read_u32(struct reader *r, uint32_t *out)
{
    uint16_t high, low;
    if (!read_u16(r, &high) || !read_u16(r, &low))
        return false;
    *out = (uint32_t)high << 16 | low;
    return true;
}

// Appends a label and its dot. What can't stand in a name of ours becomes '?', which is in none.
static bool add_label(char *out, size_t *n, const uint8_t *label, size_t size)
{
    if (*n + (*n > 0) + size > DNS_NAME_MAX)
        return false;
    if (*n)
        out[(*n)++] = '.';
    for (size_t i = 0; i < size; i++)
        out[(*n)++] = is_name_char(label[i]) ? lower(label[i]) : '?';
    return true;
}

// A name that may be compressed. False: malformed, or longer than any.
static bool read_name(struct reader *r, char out[DNS_NAME_MAX + 1])
{
    size_t n = 0, at = r->at, end = 0;
    for (unsigned pointers = 0; at < r->n;) {
        uint8_t size = r->p[at];
        if (size == 0) {
            out[n] = '\0';
            r->at = end ? end : at + 1;
            return true;
        }
        if (size >= 0xc0) {
            if (r->n - at < 2)
                return false;
            size_t to = (size_t)(size & 0x3f) << 8 | r->p[at + 1];
            if (to >= at || ++pointers > POINTERS_MAX)
                return false;
            end = end ? end : at + 2;
            at = to;
            continue;
        }
        if (size > LABEL_MAX || r->n - at - 1 < size || !add_label(out, &n, r->p + at + 1, size))
            return false;
        at += 1 + (size_t)size;
    }
    return false;
}

static bool read_resource(struct reader *r, struct resource *out)
{
    uint16_t size;
    if (!read_name(r, out->owner) || !read_u16(r, &out->type) || !read_u16(r, &out->class) ||
        !read_u32(r, &out->ttl_s) || !read_u16(r, &size) || r->n - r->at < size)
        return false;
    if (out->ttl_s > INT32_MAX) // RFC 2181 §8
        out->ttl_s = 0;
    out->data = r->at;
    out->end = r->at += size;
    return true;
}

// Only what is within the RDATA, but names may point to before it.
static struct reader data_of(const struct reader *r, const struct resource *rr)
{
    return (struct reader){r->p, rr->end, rr->data};
}

static bool read_string(struct reader *r, char *out, size_t max)
{
    if (r->at == r->n || r->n - r->at - 1 < r->p[r->at])
        return false;
    size_t size = r->p[r->at++];
    for (size_t i = 0; i < size && i < max; i++)
        out[i] = lower(r->p[r->at + i]);
    out[size < max ? size : 0] = '\0'; // one that is too long is as good as none
    r->at += size;
    return true;
}

static bool read_address(struct reader r, struct dns_record *out, size_t size)
{
    if (r.n - r.at != size)
        return false;
    memcpy(out->ip, r.p + r.at, size);
    return true;
}

static bool read_srv(struct reader r, struct dns_record *out)
{
    return read_u16(&r, &out->priority) && read_u16(&r, &out->weight) && read_u16(&r, &out->port) &&
           read_name(&r, out->name) && r.at == r.n;
}

// RFC 3403 §4.1.
static bool read_naptr(struct reader r, struct dns_record *out)
{
    char flags[DNS_SERVICE_MAX + 1], regexp[DNS_SERVICE_MAX + 1];
    if (!read_u16(&r, &out->order) || !read_u16(&r, &out->preference) ||
        !read_string(&r, flags, DNS_SERVICE_MAX) || !read_string(&r, out->service, DNS_SERVICE_MAX))
        return false;
    bool no_regexp = r.at < r.n && r.p[r.at] == 0;
    if (!read_string(&r, regexp, DNS_SERVICE_MAX) || !read_name(&r, out->name) || r.at != r.n)
        return false;
    out->leads_to_srv = no_regexp && strcmp(flags, "s") == 0 && *out->name;
    return true;
}

static bool read_record(const struct reader *r, const struct resource *rr, struct dns_record *out)
{
    struct reader data = data_of(r, rr);
    *out = (struct dns_record){0};
    switch (rr->type) {
    case DNS_A: return read_address(data, out, 4);
    case DNS_AAAA: return read_address(data, out, 16);
    case DNS_SRV: return read_srv(data, out);
    case DNS_NAPTR: return read_naptr(data, out);
    default: return false;
    }
}

static void lower_ttl(struct dns_answer *a, uint32_t ttl_s)
{
    a->ttl_s = ttl_s < a->ttl_s ? ttl_s : a->ttl_s;
}

// All records of the name and type from the section's beginning on. False: malformed.
static bool take_records(struct dns_answer *a, struct reader r, unsigned count, const char *name,
                         enum dns_type type)
{
    struct resource rr;
    for (; count; count--) {
        if (!read_resource(&r, &rr))
            return false;
        if (rr.type != type || rr.class != CLASS_IN || strcmp(rr.owner, name))
            continue;
        a->outcome = DNS_FOUND;
        lower_ttl(a, rr.ttl_s);
        if (a->n == DNS_RECORDS_MAX)
            continue;
        if (!read_record(&r, &rr, &a->record[a->n]))
            return false;
        a->n += !strchr(a->record[a->n].name, '?');
    }
    return true;
}

// `name` becomes what it is another name for, step by step. False: malformed, or a loop.
static bool follow_cnames(struct dns_answer *a, const struct reader *section, unsigned count,
                          char name[DNS_NAME_MAX + 1])
{
    struct resource rr;
    for (unsigned steps = 0;;) {
        struct reader r = *section;
        bool found = false;
        for (unsigned i = 0; i < count && !found; i++) {
            if (!read_resource(&r, &rr))
                return false;
            found = rr.type == DNS_CNAME && rr.class == CLASS_IN && strcmp(rr.owner, name) == 0;
        }
        if (!found)
            return true;
        struct reader data = data_of(section, &rr);
        if (++steps > DNS_CNAMES_MAX || !read_name(&data, name) || data.at != data.n)
            return false;
        lower_ttl(a, rr.ttl_s);
    }
}

// RFC 2308 §5: the SOA of the authority section says how long the absence holds.
static void negative_ttl(struct dns_answer *a, struct reader r, unsigned count)
{
    struct resource rr;
    char name[DNS_NAME_MAX + 1];
    uint32_t ttl_s = DNS_NEGATIVE_TTL_S, minimum_s;
    for (; count && read_resource(&r, &rr); count--) {
        struct reader data = data_of(&r, &rr);
        if (rr.type != DNS_SOA || rr.class != CLASS_IN || !read_name(&data, name) ||
            !read_name(&data, name) || data.n - data.at != SOA_NUMBERS)
            continue;
        data.at += SOA_NUMBERS - sizeof minimum_s;
        if (read_u32(&data, &minimum_s))
            ttl_s = rr.ttl_s < minimum_s ? rr.ttl_s : minimum_s;
    }
    lower_ttl(a, ttl_s < DNS_NEGATIVE_TTL_MAX_S ? ttl_s : DNS_NEGATIVE_TTL_MAX_S);
}

void dns_answer_fail(struct dns_answer *out)
{
    out->outcome = DNS_FAILED;
    out->ttl_s = DNS_FAILED_TTL_S;
    out->n = 0;
}

void dns_answer_none(struct dns_answer *out)
{
    out->outcome = DNS_NONE;
    out->ttl_s = DNS_NEGATIVE_TTL_S;
    out->n = 0;
}

// What stands before the answer section; r->at is there afterwards.
static bool read_header(struct reader *r, unsigned *rcode, uint16_t *answers, uint16_t *authorities)
{
    uint16_t flags, questions;
    char name[DNS_NAME_MAX + 1];
    if (r->n < HEADER)
        return false;
    r->at = 2;
    if (!read_u16(r, &flags) || !read_u16(r, &questions) || !read_u16(r, answers) ||
        !read_u16(r, authorities))
        return false;
    r->at = HEADER;
    for (; questions; questions--) {
        if (!read_name(r, name) || r->n - r->at < 4)
            return false;
        r->at += 4;
    }
    *rcode = flags & 15;
    return true;
}

static bool parse(struct dns_answer *out, struct text message, const char *name, enum dns_type type)
{
    struct reader r = {(const uint8_t *)message.p, message.n, 0};
    struct resource rr;
    uint16_t answers, authorities;
    unsigned rcode;
    char at[DNS_NAME_MAX + 1];
    *out = (struct dns_answer){.outcome = DNS_NONE, .ttl_s = DNS_TTL_MAX_S};
    if (!read_header(&r, &rcode, &answers, &authorities) || (rcode && rcode != RCODE_NXDOMAIN))
        return false;
    snprintf(at, sizeof at, "%s", name);
    if (!follow_cnames(out, &r, answers, at) || !take_records(out, r, answers, at, type))
        return false;
    if (out->outcome == DNS_FOUND)
        return true;
    for (; answers; answers--)
        if (!read_resource(&r, &rr))
            return false;
    negative_ttl(out, r, authorities);
    return true;
}

void dns_answer_parse(struct dns_answer *out, struct text message, const char *name,
                      enum dns_type type)
{
    if (!parse(out, message, name, type))
        dns_answer_fail(out);
}
