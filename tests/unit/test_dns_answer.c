// DNS responses as bytes: each record type, names pointing elsewhere, aliases, absence, and
// garbage.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "shards/dns_answer.h"

// Builds a response to one question for example.net.
struct packet {
    uint8_t p[2048];
    size_t n, rdata;
};

enum { QUESTION_NAME = 12, FLAGS = 0x8180, NXDOMAIN = 3, SERVFAIL = 2, REFUSED = 5 };

static void u8(struct packet *k, unsigned v)
{
    k->p[k->n++] = (uint8_t)v;
}

static void u16(struct packet *k, unsigned v)
{
    u8(k, v >> 8);
    u8(k, v & 255);
}

static void u32(struct packet *k, uint32_t v)
{
    u16(k, v >> 16);
    u16(k, v & 0xffff);
}

static void name(struct packet *k, const char *z)
{
    while (*z) {
        size_t n = strcspn(z, ".");
        u8(k, (unsigned)n);
        memcpy(k->p + k->n, z, n);
        k->n += n;
        z += n + (z[n] == '.');
    }
    u8(k, 0);
}

static void string(struct packet *k, const char *z)
{
    u8(k, (unsigned)strlen(z));
    memcpy(k->p + k->n, z, strlen(z));
    k->n += strlen(z);
}

static struct packet response(unsigned rcode, unsigned answers, unsigned authorities)
{
    struct packet k = {0};
    u16(&k, 0x1234);
    u16(&k, FLAGS | rcode);
    u16(&k, 1);
    u16(&k, answers);
    u16(&k, authorities);
    u16(&k, 0);
    name(&k, "Example.NET");
    u16(&k, 255);
    u16(&k, 1);
    return k;
}

static void pointer(struct packet *k, unsigned to)
{
    u16(k, 0xc000 | to);
}

static void begin_record(struct packet *k, const char *owner, unsigned type, uint32_t ttl_s)
{
    if (owner)
        name(k, owner);
    else
        pointer(k, QUESTION_NAME);
    u16(k, type);
    u16(k, 1);
    u32(k, ttl_s);
    u16(k, 0);
    k->rdata = k->n;
}

static void end_record(struct packet *k)
{
    size_t n = k->n - k->rdata;
    k->p[k->rdata - 2] = (uint8_t)(n >> 8);
    k->p[k->rdata - 1] = (uint8_t)n;
}

static void a_record(struct packet *k, const char *owner, uint32_t ttl_s, unsigned last)
{
    begin_record(k, owner, DNS_A, ttl_s);
    u32(k, 0xc0000200u | last);
    end_record(k);
}

static void cname_record(struct packet *k, const char *owner, uint32_t ttl_s, const char *target)
{
    begin_record(k, owner, DNS_CNAME, ttl_s);
    name(k, target);
    end_record(k);
}

static void srv_record(struct packet *k, const char *target)
{
    begin_record(k, NULL, DNS_SRV, 60);
    u16(k, 1);
    u16(k, 2);
    u16(k, 5060);
    name(k, target);
    end_record(k);
}

static void naptr_record(struct packet *k, const char *flags, const char *service,
                         const char *regexp, const char *replacement)
{
    begin_record(k, NULL, DNS_NAPTR, 60);
    u16(k, 10);
    u16(k, 20);
    string(k, flags);
    string(k, service);
    string(k, regexp);
    name(k, replacement);
    end_record(k);
}

static void soa_record(struct packet *k, uint32_t ttl_s, uint32_t minimum_s)
{
    begin_record(k, "net", DNS_SOA, ttl_s);
    name(k, "ns.net");
    name(k, "hostmaster.net");
    for (int i = 0; i < 4; i++)
        u32(k, 1);
    u32(k, minimum_s);
    end_record(k);
}

static struct dns_answer answer;

static void parse(const struct packet *k, enum dns_type type)
{
    uint8_t *exact = malloc(k->n ? k->n : 1); // so that a byte beyond is seen
    memcpy(exact, k->p, k->n);
    dns_answer_parse(&answer, (struct text){(const char *)exact, k->n}, "example.net", type);
    free(exact);
}

static void assert_failed(const struct packet *k, enum dns_type type)
{
    parse(k, type);
    assert_int_equal(answer.outcome, DNS_FAILED);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.ttl_s, DNS_FAILED_TTL_S);
}

static void test_addresses(void **state)
{
    (void)state;
    struct packet k = response(0, 4, 0);
    a_record(&k, NULL, 300, 1);
    a_record(&k, "other.example", 1, 9); // not asked for
    a_record(&k, "EXAMPLE.net", 200, 2);
    begin_record(&k, NULL, DNS_AAAA, 100);
    for (unsigned i = 0; i < 16; i++)
        u8(&k, i);
    end_record(&k);
    parse(&k, DNS_A);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.n, 2);
    assert_int_equal(answer.ttl_s, 200);
    assert_memory_equal(answer.record[0].ip, "\xc0\0\2\1", 4);
    assert_memory_equal(answer.record[1].ip, "\xc0\0\2\2", 4);
    parse(&k, DNS_AAAA);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.record[0].ip[15], 15);
    assert_int_equal(answer.ttl_s, 100);
}

static void test_srv(void **state)
{
    (void)state;
    struct packet k = response(0, 2, 0);
    srv_record(&k, "SIP.Example.net");
    srv_record(&k, "");
    parse(&k, DNS_SRV);
    assert_int_equal(answer.n, 2);
    assert_int_equal(answer.record[0].priority, 1);
    assert_int_equal(answer.record[0].weight, 2);
    assert_int_equal(answer.record[0].port, 5060);
    assert_string_equal(answer.record[0].name, "sip.example.net");
    assert_string_equal(answer.record[1].name, "");
}

static void test_naptr(void **state)
{
    (void)state;
    struct packet k = response(0, 5, 0);
    naptr_record(&k, "S", "SIP+D2T", "", "_sip._tcp.Example.net");
    naptr_record(&k, "u", "E2U+sip", "!^.*$!sip:info@example.net!", "");
    naptr_record(&k, "s", "SIP+D2U", "!x!y!", "_sip._udp.example.net");
    naptr_record(&k, "", "SIP+D2U", "", "_sip._udp.example.net");
    naptr_record(&k, "s", "a-service-name-that-is-far-too-long", "", "x.example.net");
    parse(&k, DNS_NAPTR);
    assert_int_equal(answer.n, 5);
    assert_int_equal(answer.record[0].order, 10);
    assert_int_equal(answer.record[0].preference, 20);
    assert_string_equal(answer.record[0].service, "sip+d2t");
    assert_string_equal(answer.record[0].name, "_sip._tcp.example.net");
    assert_true(answer.record[0].leads_to_srv);
    assert_false(answer.record[1].leads_to_srv);
    assert_false(answer.record[2].leads_to_srv);
    assert_false(answer.record[3].leads_to_srv);
    assert_string_equal(answer.record[4].service, "");
}

// A name that we would never ask for is not one that we go to; the RRset is there, nevertheless.
static void test_strange_targets(void **state)
{
    (void)state;
    struct packet k = response(0, 3, 0);
    srv_record(&k, "a b.example.net");
    srv_record(&k, "ok.example.net");
    srv_record(&k, "\x80.example.net");
    parse(&k, DNS_SRV);
    assert_int_equal(answer.n, 1);
    assert_string_equal(answer.record[0].name, "ok.example.net");
    k = response(0, 1, 0);
    srv_record(&k, "a/b.example.net");
    parse(&k, DNS_SRV);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.n, 0);
}

static void test_aliases(void **state)
{
    (void)state;
    struct packet k = response(0, 4, 0);
    a_record(&k, "c.example", 300, 7); // in no order
    cname_record(&k, "b.example", 50, "C.example");
    cname_record(&k, NULL, 70, "b.example");
    a_record(&k, "b.example", 20, 8); // beside an alias there is nothing
    parse(&k, DNS_A);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.record[0].ip[3], 7);
    assert_int_equal(answer.ttl_s, 50);
}

// Aliases for `n` steps, and an address at their end.
static struct packet chain(unsigned n)
{
    char from[32] = "example.net", to[32];
    struct packet k = response(0, n + 1, 0);
    for (unsigned i = 0; i < n; i++) {
        snprintf(to, sizeof to, "n%u.example", i);
        cname_record(&k, from, 60, to);
        memcpy(from, to, sizeof from);
    }
    a_record(&k, from, 60, 1);
    return k;
}

static void test_alias_chains(void **state)
{
    (void)state;
    struct packet k = chain(DNS_CNAMES_MAX);
    parse(&k, DNS_A);
    assert_int_equal(answer.outcome, DNS_FOUND);
    k = chain(DNS_CNAMES_MAX + 1);
    assert_failed(&k, DNS_A);
    k = response(0, 2, 0);
    cname_record(&k, NULL, 60, "b.example");
    cname_record(&k, "b.example", 60, "example.net");
    assert_failed(&k, DNS_A);
    k = response(0, 1, 0);
    cname_record(&k, NULL, 60, "example.net");
    assert_failed(&k, DNS_A);
}

static void assert_none(const struct packet *k, uint32_t ttl_s)
{
    parse(k, DNS_A);
    assert_int_equal(answer.outcome, DNS_NONE);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.ttl_s, ttl_s);
}

// RFC 2308 §5: the lesser of the SOA's TTL and its last number.
static void test_absence(void **state)
{
    (void)state;
    struct packet k = response(NXDOMAIN, 0, 0);
    assert_none(&k, DNS_NEGATIVE_TTL_S);
    k = response(NXDOMAIN, 0, 1);
    soa_record(&k, 3600, 900);
    assert_none(&k, 900);
    k = response(0, 0, 1);
    soa_record(&k, 300, 900);
    assert_none(&k, 300);
    k = response(0, 0, 1);
    soa_record(&k, 604800, 604800);
    assert_none(&k, DNS_NEGATIVE_TTL_MAX_S);
    k = response(0, 1, 1); // an alias of a name without addresses
    cname_record(&k, NULL, 40, "b.example");
    soa_record(&k, 300, 900);
    assert_none(&k, 40);
    k = response(0, 0, 1); // a referral is no SOA
    begin_record(&k, "net", 2, 600);
    name(&k, "ns.net");
    end_record(&k);
    assert_none(&k, DNS_NEGATIVE_TTL_S);
}

static void test_ttl(void **state)
{
    (void)state;
    struct packet k = response(0, 1, 0);
    a_record(&k, NULL, 0x80000001u, 1); // RFC 2181 §8
    parse(&k, DNS_A);
    assert_int_equal(answer.ttl_s, 0);
    k = response(0, 1, 0);
    a_record(&k, NULL, 604800, 1);
    parse(&k, DNS_A);
    assert_int_equal(answer.ttl_s, DNS_TTL_MAX_S);
}

static void test_errors(void **state)
{
    (void)state;
    struct packet k = response(SERVFAIL, 0, 0);
    assert_failed(&k, DNS_A);
    k = response(REFUSED, 0, 0);
    assert_failed(&k, DNS_A);
    k.n = 0;
    assert_failed(&k, DNS_A);
    k.n = 11;
    assert_failed(&k, DNS_A);
}

static void test_records_limit(void **state)
{
    (void)state;
    struct packet k = response(0, DNS_RECORDS_MAX + 1, 0);
    for (unsigned i = 0; i < DNS_RECORDS_MAX + 1; i++)
        a_record(&k, NULL, i == DNS_RECORDS_MAX ? 5 : 60, i);
    parse(&k, DNS_A);
    assert_int_equal(answer.n, DNS_RECORDS_MAX);
    assert_int_equal(answer.ttl_s, 5);
}

// Any cut of a good response is none, and never read beyond.
static void test_every_cut(void **state)
{
    (void)state;
    static const enum dns_type types[] = {DNS_A, DNS_SRV, DNS_NAPTR};
    struct packet k[3];
    k[0] = response(0, 2, 0);
    cname_record(&k[0], NULL, 60, "b.example");
    a_record(&k[0], "b.example", 60, 1);
    k[1] = response(0, 1, 0);
    srv_record(&k[1], "sip.example.net");
    k[2] = response(0, 1, 0);
    naptr_record(&k[2], "s", "SIP+D2T", "", "_sip._tcp.example.net");
    for (size_t i = 0; i < 3; i++) {
        parse(&k[i], types[i]);
        assert_int_equal(answer.outcome, DNS_FOUND);
        for (size_t whole = k[i].n; k[i].n-- > 0;) {
            assert_failed(&k[i], types[i]);
            assert_true(k[i].n < whole);
        }
    }
}

// RDATA longer or shorter than what is in it.
static void test_bad_rdata(void **state)
{
    (void)state;
    struct packet k = response(0, 1, 0);
    begin_record(&k, NULL, DNS_A, 60);
    u32(&k, 1);
    u8(&k, 0);
    end_record(&k);
    assert_failed(&k, DNS_A);
    k = response(0, 1, 0);
    begin_record(&k, NULL, DNS_SRV, 60);
    u32(&k, 1);
    u16(&k, 5060);
    name(&k, "a");
    u8(&k, 0);
    end_record(&k);
    assert_failed(&k, DNS_SRV);
    k = response(0, 1, 0);
    begin_record(&k, NULL, DNS_SRV, 60);
    u32(&k, 1);
    end_record(&k);
    assert_failed(&k, DNS_SRV);
}

static void srv_to_pointer(struct packet *k, unsigned to)
{
    begin_record(k, NULL, DNS_SRV, 60);
    u32(k, 1);
    u16(k, 5060);
    pointer(k, to);
    end_record(k);
}

static void test_pointers(void **state)
{
    (void)state;
    struct packet k = response(0, 1, 0);
    srv_to_pointer(&k, QUESTION_NAME);
    parse(&k, DNS_SRV);
    assert_string_equal(answer.record[0].name, "example.net");
    k = response(0, 1, 0); // to itself
    srv_to_pointer(&k, (unsigned)k.n + 18);
    assert_failed(&k, DNS_SRV);
    k = response(0, 1, 0); // forward
    srv_to_pointer(&k, (unsigned)k.n + 19);
    name(&k, "a");
    assert_failed(&k, DNS_SRV);
    k = response(0, 1, 0); // beyond the end
    srv_to_pointer(&k, 0x3fff);
    assert_failed(&k, DNS_SRV);
    k = response(0, 2, 0); // forward, to a good name in the next record
    pointer(&k, (unsigned)k.n + 2 + 14 + 11);
    u16(&k, DNS_A);
    u16(&k, 1);
    u32(&k, 60);
    u16(&k, 4);
    u32(&k, 1);
    cname_record(&k, "", 60, "example.net");
    assert_failed(&k, DNS_A);
}

// Pointers to pointers, as many as are followed, and one more.
static void test_pointer_chain(void **state)
{
    enum { MOST = 64 };
    (void)state;
    for (unsigned n = MOST - 1; n <= MOST; n++) {
        struct packet k = response(0, 2, 0);
        begin_record(&k, "x", 999, 60); // of a type that is not looked into
        unsigned at = (unsigned)k.n;
        pointer(&k, QUESTION_NAME);
        for (unsigned i = 1; i < n; i++, at += 2)
            pointer(&k, at);
        end_record(&k);
        srv_to_pointer(&k, at);
        parse(&k, DNS_SRV);
        assert_int_equal(answer.outcome, n < MOST ? DNS_FOUND : DNS_FAILED);
    }
}

static void test_name_limit(void **state)
{
    (void)state;
    char long_name[DNS_NAME_MAX + 8] = "";
    for (size_t i = 0; i < 126; i++)
        strcat(long_name, "a.");
    strcat(long_name, "b");
    assert_int_equal(strlen(long_name), DNS_NAME_MAX);
    struct packet k = response(0, 1, 0);
    srv_record(&k, long_name);
    parse(&k, DNS_SRV);
    assert_string_equal(answer.record[0].name, long_name);
    k = response(0, 1, 0);
    strcat(long_name, "b");
    srv_record(&k, long_name);
    assert_failed(&k, DNS_SRV);
}

static void test_noise(void **state)
{
    (void)state;
    uint32_t seed = 1;
    struct packet good = response(0, 2, 1);
    cname_record(&good, NULL, 60, "b.example");
    naptr_record(&good, "s", "SIP+D2T", "", "_sip._tcp.example.net");
    soa_record(&good, 60, 60);
    for (int i = 0; i < 20000; i++) {
        struct packet k = good;
        for (int flips = 0; flips < 4; flips++) {
            seed = seed * 1664525 + 1013904223;
            k.p[(seed >> 8) % k.n] = (uint8_t)(seed >> 24);
        }
        parse(&k, DNS_NAPTR);
        for (size_t r = 0; r < answer.n; r++)
            assert_true(strlen(answer.record[r].name) <= DNS_NAME_MAX);
    }
}

static void test_names_that_are_asked_for(void **state)
{
    (void)state;
    char out[DNS_NAME_MAX + 1];
    assert_true(dns_name_from(out, TEXT("Sip.Example-1.NET.")));
    assert_string_equal(out, "sip.example-1.net");
    assert_true(dns_name_from(out, TEXT("localhost")));
    static const char *const bad[] = {"",    ".",       "..",        "a..b", ".a",
                                      "a b", "a\\046b", "b\xc3\xbc", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(dns_name_from(out, text_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_srv),
        cmocka_unit_test(test_naptr),
        cmocka_unit_test(test_strange_targets),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_alias_chains),
        cmocka_unit_test(test_absence),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_records_limit),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_bad_rdata),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_pointer_chain),
        cmocka_unit_test(test_name_limit),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_names_that_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
