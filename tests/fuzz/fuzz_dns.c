// A DNS response → records: whatever a server sends, names are names and counts are within bounds.
#include "fuzz.h"
#include "shards/dns_answer.h"

static void is_name(const char *z)
{
    char again[DNS_NAME_MAX + 1];
    size_t n = strnlen(z, DNS_NAME_MAX + 1);
    fuzz_expect(n <= DNS_NAME_MAX, "a name without end");
    if (n)
        fuzz_expect(dns_name_from(again, (struct text){z, n}) && strcmp(z, again) == 0,
                    "\"%s\" is no name", z);
}

static void is_sound(const struct dns_answer *a, enum dns_type type)
{
    fuzz_expect(a->n <= DNS_RECORDS_MAX, "%zu records", a->n);
    fuzz_expect(a->ttl_s <= DNS_TTL_MAX_S, "for %u s", a->ttl_s);
    fuzz_expect(a->outcome == DNS_FOUND || a->n == 0, "records of nothing");
    for (size_t i = 0; i < a->n; i++) {
        const struct dns_record *r = &a->record[i];
        if (type == DNS_SRV || type == DNS_NAPTR)
            is_name(r->name);
        fuzz_expect(memchr(r->service, 0, sizeof r->service), "a service without end");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR};
    static struct dns_answer answer;
    char name[DNS_NAME_MAX + 1];
    struct fuzz_input in = {data, n};
    enum dns_type type = types[fuzz_byte(&in) % 4];
    // Asked for by what the question says, if it is a name; example.net otherwise.
    if (!dns_name_from(name, fuzz_line(&in)))
        strcpy(name, "example.net");
    dns_answer_parse(&answer, fuzz_take(&in, in.n), name, type);
    is_sound(&answer, type);
    return 0;
}
