// The DNS client against a real server and against one that misbehaves.
#include "dns_server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shards/clock.h"
#include "shards/dns_client.h"

static struct knot *knot;

static const char zone[] =
    "@ NAPTR 10 10 \"s\" \"SIP+D2T\" \"\" _sip._tcp\n"
    "@ 60 A 127.0.0.7\n"
    "_sip._tcp 90 SRV 1 2 5070 a\n"
    "a 80 A 127.0.0.2\n"
    "a 80 A 127.0.0.3\n"
    "a 70 AAAA ::2\n"
    "alias 20 CNAME a\n"
    "loop1 CNAME loop2\n"
    "loop2 CNAME loop1\n"
    "away CNAME elsewhere.example.org.\n";

// More than fits a datagram: the client has to come back over TCP.
static void add_many(FILE *f)
{
    for (int i = 0; i < 60; i++)
        fprintf(f, "many 50 SRV %d 0 5060 a-target-with-a-rather-long-name-%d\n", i, i);
}

static int start_knot(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    (void)state;
    fputs(zone, f);
    add_many(f);
    fclose(f);
    knot = knot_start(text);
    free(text);
    return 0;
}

static int stop_knot(void **state)
{
    (void)state;
    knot_stop(knot);
    return 0;
}

struct asker {
    struct dns_client *dns;
    struct dns_answer answer;
    unsigned answers;
    uint64_t now_ms;
};

static void keep_answer(void *arg, const struct dns_answer *a)
{
    struct asker *k = arg;
    k->answer = *a;
    k->answers++;
}

static void open_asker(struct asker *k, const uint16_t *ports, size_t n, unsigned try_ms)
{
    struct hop servers[4];
    struct dns_client_setup setup = {.servers = servers, .n_servers = n, .try_ms = try_ms};
    *k = (struct asker){0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(hop_parse(&servers[i], TEXT("127.0.0.1"), ports[i], HOP_UDP), 0);
    assert_int_equal(dns_client_create(&k->dns, &setup), 0);
}

// Until there are `answers` of them.
static void wait_for(struct asker *k, unsigned answers)
{
    while (k->answers < answers) {
        struct pollfd p = {.fd = dns_client_fd(k->dns), .events = POLLIN};
        poll(&p, 1, dns_client_timeout_ms(k->dns, 1000));
        dns_client_run(k->dns);
    }
}

static const struct dns_answer *ask(struct asker *k, const char *name, enum dns_type type)
{
    unsigned answers = k->answers;
    dns_client_ask(k->dns, name, type, keep_answer, k, k->now_ms);
    wait_for(k, answers + 1);
    assert_int_equal(k->answers, answers + 1);
    return &k->answer;
}

static void open_knot(struct asker *k)
{
    uint16_t port = knot_port(knot);
    open_asker(k, &port, 1, 1000);
}

static void test_records(void **state)
{
    struct asker k;
    (void)state;
    open_knot(&k);
    const struct dns_answer *a = ask(&k, "example.net", DNS_NAPTR);
    assert_int_equal(a->outcome, DNS_FOUND);
    assert_string_equal(a->record[0].service, "sip+d2t");
    assert_string_equal(a->record[0].name, "_sip._tcp.example.net");
    assert_int_equal(a->ttl_s, 120);
    ask(&k, "_sip._tcp.example.net", DNS_SRV);
    assert_int_equal(a->record[0].port, 5070);
    assert_string_equal(a->record[0].name, "a.example.net");
    assert_int_equal(a->ttl_s, 90);
    ask(&k, "a.example.net", DNS_A);
    assert_int_equal(a->n, 2);
    ask(&k, "a.example.net", DNS_AAAA);
    assert_int_equal(a->record[0].ip[15], 2);
    assert_int_equal(a->ttl_s, 70);
    ask(&k, "alias.example.net", DNS_A);
    assert_int_equal(a->n, 2);
    assert_int_equal(a->ttl_s, 20);
    assert_int_equal(dns_client_queries(k.dns), 5);
    dns_client_destroy(k.dns);
}

static void test_absence(void **state)
{
    struct asker k;
    (void)state;
    open_knot(&k);
    const struct dns_answer *a = ask(&k, "nobody.example.net", DNS_A);
    assert_int_equal(a->outcome, DNS_NONE);
    assert_int_equal(a->ttl_s, 30); // the zone's SOA
    ask(&k, "example.net", DNS_AAAA);
    assert_int_equal(a->outcome, DNS_NONE);
    assert_int_equal(a->ttl_s, 30);
    ask(&k, "away.example.net", DNS_A); // where this server does not follow it
    assert_int_equal(a->outcome, DNS_NONE);
    ask(&k, "example.org", DNS_A); // REFUSED: not its zone
    assert_int_equal(a->outcome, DNS_FAILED);
    ask(&k, "loop1.example.net", DNS_A);
    assert_int_equal(a->outcome, DNS_FAILED);
    dns_client_destroy(k.dns);
}

static void test_over_tcp(void **state)
{
    struct asker k;
    (void)state;
    open_knot(&k);
    const struct dns_answer *a = ask(&k, "many.example.net", DNS_SRV);
    assert_int_equal(a->outcome, DNS_FOUND);
    assert_int_equal(a->n, 60);
    dns_client_destroy(k.dns);
}

// How a server with that mood looks, alone; with tries of 50 ms each question fails in 350 ms.
static void assert_mood(enum odd_mood mood, enum dns_outcome outcome, bool tried_again)
{
    struct asker k;
    struct odd_server *odd = odd_start(mood);
    uint16_t port = odd_port(odd);
    open_asker(&k, &port, 1, 50);
    uint64_t began_us = clock_monotonic_us();
    const struct dns_answer *a = ask(&k, "sip.example.net", DNS_A);
    assert_int_equal(a->outcome, outcome);
    assert_int_equal(a->ttl_s, DNS_FAILED_TTL_S);
    assert_true(clock_monotonic_us() - began_us < 3000000);
    if (tried_again)
        assert_int_equal(odd_questions(odd), DNS_CLIENT_TRIES);
    dns_client_destroy(k.dns);
    odd_stop(odd);
}

static void test_moods(void **state)
{
    (void)state;
    assert_mood(ODD_SILENT, DNS_FAILED, true);
    assert_mood(ODD_SERVFAIL, DNS_FAILED, true);
    assert_mood(ODD_REFUSED, DNS_FAILED, true);
    assert_mood(ODD_NOISE, DNS_FAILED, true);
    assert_mood(ODD_EMPTY, DNS_FAILED, false);
    assert_mood(ODD_WRONG_ID, DNS_FAILED, true);
    assert_mood(ODD_WRONG_QUESTION, DNS_FAILED, true);
    assert_mood(ODD_CUT, DNS_FAILED, false);
    assert_mood(ODD_LOOP, DNS_FAILED, false);
}

// A server that is of no use does not keep the next one from answering.
static void test_second_server(void **state)
{
    static const enum odd_mood moods[] = {ODD_SILENT, ODD_SERVFAIL, ODD_REFUSED, ODD_NOISE,
                                          ODD_WRONG_ID};
    (void)state;
    for (size_t i = 0; i < sizeof moods / sizeof *moods; i++) {
        struct asker k;
        struct odd_server *odd = odd_start(moods[i]);
        open_asker(&k, (uint16_t[]){odd_port(odd), knot_port(knot)}, 2, 50);
        assert_int_equal(ask(&k, "a.example.net", DNS_A)->n, 2);
        dns_client_destroy(k.dns);
        odd_stop(odd);
    }
}

static void test_nobody_listens(void **state)
{
    struct asker k;
    struct odd_server *odd = odd_start(ODD_SILENT);
    uint16_t port = odd_port(odd);
    (void)state;
    odd_stop(odd);
    open_asker(&k, &port, 1, 50);
    assert_int_equal(ask(&k, "a.example.net", DNS_A)->outcome, DNS_FAILED);
    dns_client_destroy(k.dns);
}

// Names that are nobody's to answer: no server is asked.
static void test_localhost(void **state)
{
    struct asker k;
    struct odd_server *odd = odd_start(ODD_SERVFAIL);
    uint16_t port = odd_port(odd);
    (void)state;
    open_asker(&k, &port, 1, 50);
    const struct dns_answer *a = ask(&k, "localhost", DNS_A);
    assert_int_equal(a->n, 1);
    assert_memory_equal(a->record[0].ip, "\x7f\0\0\1", 4);
    ask(&k, "sip.localhost", DNS_AAAA);
    assert_int_equal(a->record[0].ip[15], 1);
    assert_int_equal(ask(&k, "localhost", DNS_NAPTR)->outcome, DNS_NONE);
    assert_int_equal(ask(&k, "_sip._udp.localhost", DNS_SRV)->outcome, DNS_NONE);
    assert_int_equal(odd_questions(odd), 0);
    dns_client_destroy(k.dns);
    odd_stop(odd);
}

// This machine's own name is in /etc/hosts, on most.
static void test_hosts_file(void **state)
{
    struct asker k;
    char name[256] = "", line[512];
    bool there = false;
    FILE *f = fopen("/etc/hosts", "r");
    (void)state;
    gethostname(name, sizeof name - 1);
    while (f && fgets(line, sizeof line, f))
        there = there || (line[0] != '#' && strstr(line, name));
    if (f)
        fclose(f);
    if (!there || !*name)
        skip();
    struct odd_server *odd = odd_start(ODD_SERVFAIL);
    uint16_t port = odd_port(odd);
    open_asker(&k, &port, 1, 50);
    for (char *p = name; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    const struct dns_answer *a = ask(&k, name, DNS_A);
    unsigned found = a->outcome == DNS_FOUND;
    found += ask(&k, name, DNS_AAAA)->outcome == DNS_FOUND;
    assert_true(found >= 1);
    assert_int_equal(odd_questions(odd), 0);
    assert_int_equal(ask(&k, name, DNS_NAPTR)->outcome, DNS_NONE); // no DNS here, and none needed
    assert_true(odd_questions(odd) > 0);
    dns_client_destroy(k.dns);
    odd_stop(odd);
}

static void write_server(const char *path, const char *ip)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "nameserver %s\n", ip);
    assert_int_equal(fclose(f), 0);
}

// The system's servers change while a question waits for the old ones: it is put to the new ones.
static void test_servers_change(void **state)
{
    struct asker k = {0};
    char path[] = "/tmp/isthmus-resolv-XXXXXX";
    struct odd_server *odd = odd_start_at(ODD_SILENT, "127.0.0.2", knot_port(knot));
    (void)state;
    close(mkstemp(path));
    write_server(path, "127.0.0.2");
    struct dns_client_setup setup = {
        .try_ms = 5000, .resolv_conf = path, .resolv_port = knot_port(knot)};
    assert_int_equal(dns_client_create(&k.dns, &setup), 0);
    dns_client_ask(k.dns, "example.net", DNS_NAPTR, keep_answer, &k, 10000);
    usleep(100000);
    dns_client_run(k.dns);
    assert_int_equal(odd_questions(odd), 1);
    write_server(path, "127.0.0.1");
    dns_client_ask(k.dns, "a.example.net", DNS_A, keep_answer, &k, 10001); // too soon to look
    assert_int_equal(k.answers, 0);
    dns_client_ask(k.dns, "a.example.net", DNS_A, keep_answer, &k, 10000 + DNS_CLIENT_LOOK_MS);
    uint64_t began_us = clock_monotonic_us();
    wait_for(&k, 3);
    assert_true(clock_monotonic_us() - began_us < 2000000);
    assert_int_equal(k.answer.outcome, DNS_FOUND);
    unlink(path); // gone is no servers: those at hand are c-ares' own last resort
    dns_client_destroy(k.dns);
    odd_stop(odd);
}

static void test_destroyed_while_waiting(void **state)
{
    struct asker k;
    struct odd_server *odd = odd_start(ODD_SILENT);
    uint16_t port = odd_port(odd);
    (void)state;
    open_asker(&k, &port, 1, 5000);
    for (int i = 0; i < 3; i++)
        dns_client_ask(k.dns, "a.example.net", DNS_SRV, keep_answer, &k, 0);
    dns_client_destroy(k.dns);
    assert_int_equal(k.answers, 3);
    assert_int_equal(k.answer.outcome, DNS_FAILED);
    odd_stop(odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),        cmocka_unit_test(test_absence),
        cmocka_unit_test(test_over_tcp),       cmocka_unit_test(test_moods),
        cmocka_unit_test(test_second_server),  cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_localhost),      cmocka_unit_test(test_hosts_file),
        cmocka_unit_test(test_servers_change), cmocka_unit_test(test_destroyed_while_waiting),
    };
    return cmocka_run_group_tests(tests, start_knot, stop_knot);
}
