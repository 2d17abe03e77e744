// RFC 3263: a zone and a URI make hops. Each row is a whole look-up, from the URI to the last
// answer.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "shards/locate.h"

// A zone: lines of "NAME TTL TYPE DATA…". A name that is in none has no records (NEGATIVE_S); TYPE
// "!NAPTR" is a question that nobody answers, "CNAME" is not needed: answers come without.
enum { NEGATIVE_S = 900 };

struct zone {
    const char *lines;
    char asked[4096]; // "TYPE name " of every question
};

static const char *type_text(enum dns_type type)
{
    switch (type) {
    case DNS_A: return "A";
    case DNS_AAAA: return "AAAA";
    case DNS_SRV: return "SRV";
    case DNS_NAPTR: return "NAPTR";
    default: return "?";
    }
}

static void put_ip(struct dns_record *r, const char *data)
{
    struct hop h;
    assert_int_equal(hop_parse(&h, text_of(data), 1, HOP_UDP), 0);
    memcpy(r->ip, h.ip, sizeof r->ip);
}

static void put_record(struct dns_answer *a, const char *data)
{
    struct dns_record *r = &a->record[a->n++];
    char flags[8] = "", service[32] = "", name[DNS_NAME_MAX + 1] = "";
    memset(r, 0, sizeof *r);
    if (sscanf(data, "%hu %hu %7s %31s %253s", &r->order, &r->preference, flags, service, name) ==
        5) {
        r->leads_to_srv = strcmp(flags, "s") == 0;
        snprintf(r->service, sizeof r->service, "%s", service);
    } else if (sscanf(data, "%hu %hu %hu %253s", &r->priority, &r->weight, &r->port, name) != 4) {
        put_ip(r, data);
    }
    snprintf(r->name, sizeof r->name, "%s", strcmp(name, ".") ? name : "");
}

static void look_up(struct zone *z, const struct locate_question *q, struct dns_answer *a)
{
    char name[256], type[16], data[256];
    unsigned ttl_s;
    int n;
    size_t used = strlen(z->asked);
    snprintf(z->asked + used, sizeof z->asked - used, "%s %s ", type_text(q->type), q->name);
    *a = (struct dns_answer){.outcome = DNS_NONE, .ttl_s = NEGATIVE_S};
    for (const char *p = z->lines;
         sscanf(p, " %255s %u %15s %255[^\n]%n", name, &ttl_s, type, data, &n) == 4; p += n) {
        if (strcmp(name, q->name))
            continue;
        if (type[0] == '!' && strcmp(type + 1, type_text(q->type)) == 0)
            dns_answer_fail(a);
        if (strcmp(type, type_text(q->type)))
            continue;
        a->ttl_s = a->outcome == DNS_FOUND && a->ttl_s < ttl_s ? a->ttl_s : ttl_s;
        a->outcome = DNS_FOUND;
        put_record(a, data);
    }
}

static void hop_text(char *out, size_t size, const struct hop *h)
{
    static const char *const transports[] = {"udp", "tcp", "tls"};
    char host[INET6_ADDRSTRLEN];
    size_t n = strlen(out);
    inet_ntop(h->family == 4 ? AF_INET : AF_INET6, h->ip, host, sizeof host);
    snprintf(out + n, size - n, "%s%s:%s:%u", n ? " " : "", transports[h->transport], host,
             h->port);
}

static void run(struct locate *l, struct zone *z, const char *uri, const struct locate_wish *wish)
{
    struct locate_place place;
    const struct locate_question *q;
    struct dns_answer a;
    size_t number;
    assert_int_equal(locate_place_of(&place, text_of(uri)), 0);
    z->asked[0] = '\0';
    locate_begin(l, &place, wish);
    while ((q = locate_ask(l, &number))) {
        assert_false(locate_is_done(l));
        look_up(z, q, &a);
        locate_answer(l, number, &a);
    }
    assert_true(locate_is_done(l));
}

static const struct locate_wish both = {.udp4 = true, .udp6 = true, .seed = 7};

static const struct row {
    const char *what, *zone, *uri;
    const char *hops; // as hop_text()
    unsigned ttl_s;
} rows[] = {
    // §4.1, §4.2: nothing to ask
    {"numeric", "", "sip:192.0.2.1", "udp:192.0.2.1:5060", 86400},
    {"numeric with a port", "", "sip:192.0.2.1:5070", "udp:192.0.2.1:5070", 86400},
    {"numeric, TCP", "", "sip:u@192.0.2.1;transport=TCP", "tcp:192.0.2.1:5060", 86400},
    {"numeric, TLS", "", "sip:192.0.2.1;transport=tls", "tls:192.0.2.1:5061", 86400},
    {"numeric, sips", "", "sips:[2001:db8::1]", "tls:2001:db8::1:5061", 86400},
    {"numeric, sips over TCP", "", "sips:192.0.2.1:5070;transport=tcp", "tls:192.0.2.1:5070",
     86400},
    {"maddr is the target", "", "sip:u@example.net;lr;maddr=192.0.2.9", "udp:192.0.2.9:5060",
     86400},
    {"maddr IPv6", "", "sip:example.net:5062;MADDR=[2001:db8::9];lr", "udp:2001:db8::9:5062",
     86400},
    // §4.2: a port: no NAPTR, no SRV
    {"a port", "example.net 300 A 192.0.2.1\nexample.net 60 NAPTR 1 1 s sip+d2t _sip._tcp.x\n",
     "sip:example.net:5070", "udp:192.0.2.1:5070", 300},
    {"a port, TCP", "example.net 300 A 192.0.2.1\n", "sip:example.net:5060;transport=tcp",
     "tcp:192.0.2.1:5060", 300},
    {"a port, sips", "example.net 300 A 192.0.2.1\n", "sips:example.net:5070", "tls:192.0.2.1:5070",
     300},
    {"both families, and the lesser TTL",
     "example.net 300 A 192.0.2.1\nexample.net 200 AAAA 2001:db8::1\nexample.net 300 A 192.0.2.2\n",
     "sip:example.net:5060", "udp:192.0.2.1:5060 udp:192.0.2.2:5060 udp:2001:db8::1:5060", 200},
    {"a port and no address", "", "sip:example.net:5060", "", NEGATIVE_S},
    {"the same address twice is one hop", "a 9 A 192.0.2.1\na 9 A 192.0.2.1\n", "sip:a:5060",
     "udp:192.0.2.1:5060", 9},
    // §4.1: NAPTR. The RFC's own example, with servers.
    {"NAPTR of the RFC",
     "example.com 90 NAPTR 50 50 s sips+d2t _sips._tcp.example.com\n"
     "example.com 90 NAPTR 90 50 s sip+d2t _sip._tcp.example.com\n"
     "example.com 90 NAPTR 100 50 s sip+d2u _sip._udp.example.com\n"
     "_sips._tcp.example.com 70 SRV 0 1 5061 server1.example.com\n"
     "_sip._tcp.example.com 70 SRV 0 1 5060 server2.example.com\n"
     "server1.example.com 80 A 192.0.2.1\nserver2.example.com 80 A 192.0.2.2\n",
     "sip:user@example.com", "tls:192.0.2.1:5061", 70},
    {"the order before the preference",
     "a 90 NAPTR 20 1 s sip+d2u _sip._udp.a\na 90 NAPTR 10 9 s sip+d2t _sip._tcp.a\n"
     "_sip._tcp.a 90 SRV 0 0 5060 b\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n",
     "sip:a", "tcp:192.0.2.1:5060", 90},
    {"the preference within an order",
     "a 90 NAPTR 10 9 s sip+d2t _sip._tcp.a\na 90 NAPTR 10 1 s sip+d2u _sip._udp.a\n"
     "_sip._tcp.a 90 SRV 0 0 5060 b\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n",
     "sip:a", "udp:192.0.2.1:5060", 90},
    {"services that we don't have are not there",
     "a 90 NAPTR 1 1 s sip+d2s _sip._sctp.a\na 90 NAPTR 2 1 s sips+d2u _sips._udp.a\n"
     "a 90 NAPTR 3 1 u e2u+sip b\na 90 NAPTR 4 1 a sip+d2u b\n"
     "a 90 NAPTR 5 1 s sip+d2t tcp.elsewhere\ntcp.elsewhere 90 SRV 0 0 5099 b\nb 90 A 192.0.2.1\n",
     "sip:a", "tcp:192.0.2.1:5099", 90},
    {"sips takes no SIP+D2T",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\na 90 NAPTR 2 1 s sips+d2t _sips._tcp.a\n"
     "_sip._tcp.a 90 SRV 0 0 5060 b\n_sips._tcp.a 90 SRV 0 0 5061 b\nb 90 A 192.0.2.1\n",
     "sips:a", "tls:192.0.2.1:5061", 90},
    {"sips with only SIP services: its own SRV name",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\n_sip._tcp.a 90 SRV 0 0 5060 b\n"
     "_sips._tcp.a 90 SRV 0 0 5099 b\nb 90 A 192.0.2.1\n",
     "sips:a", "tls:192.0.2.1:5099", 90},
    {"one that leads nowhere gives way to the next of its order",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\na 90 NAPTR 1 2 s sip+d2u _sip._udp.a\n"
     "_sip._tcp.a 90 SRV 0 0 0 .\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n",
     "sip:a", "udp:192.0.2.1:5060", 90},
    {"and so does one whose targets have no address",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\na 90 NAPTR 1 2 s sip+d2u _sip._udp.a\n"
     "_sip._tcp.a 90 SRV 0 0 5060 nobody\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n",
     "sip:a", "udp:192.0.2.1:5060", 90},
    {"but not to those of another order",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\na 90 NAPTR 2 1 s sip+d2u _sip._udp.a\n"
     "_sip._tcp.a 90 SRV 0 0 0 .\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n",
     "sip:a", "", 90},
    {"NAPTR, no SRV: the name itself, over the transport that NAPTR chose",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\na 60 A 192.0.2.1\n", "sip:a", "tcp:192.0.2.1:5060", 60},
    // §4.1, §4.2: no NAPTR
    {"SRV, UDP first",
     "_sip._udp.a 90 SRV 0 0 5070 b\n_sip._tcp.a 80 SRV 0 0 5071 b\nb 90 A 192.0.2.1\n", "sip:a",
     "udp:192.0.2.1:5070", 80},
    {"SRV, TCP alone", "_sip._tcp.a 80 SRV 0 0 5071 b\nb 90 A 192.0.2.1\n", "sip:a",
     "tcp:192.0.2.1:5071", 80},
    {"SRV, TLS alone", "_sips._tcp.a 80 SRV 0 0 5071 b\nb 90 A 192.0.2.1\n", "sip:a",
     "tls:192.0.2.1:5071", 80},
    {"a transport that is not available, and one that is",
     "_sip._udp.a 90 SRV 0 0 0 .\n_sip._tcp.a 80 SRV 0 0 5071 b\nb 90 A 192.0.2.1\n", "sip:a",
     "tcp:192.0.2.1:5071", 80},
    {"none is available: the name itself is not meant",
     "_sip._udp.a 90 SRV 0 0 0 .\na 90 A 192.0.2.1\n", "sip:a", "", 90},
    {"SRV for sips",
     "_sip._tcp.a 90 SRV 0 0 5060 b\n_sips._tcp.a 90 SRV 0 0 5061 b\n"
     "b 90 A 192.0.2.1\n",
     "sips:a", "tls:192.0.2.1:5061", 90},
    {"a transport: its SRV, without NAPTR",
     "a 90 NAPTR 1 1 s sip+d2u _sip._udp.a\n_sip._udp.a 90 SRV 0 0 5060 b\n"
     "_sip._tcp.a 90 SRV 0 0 5062 b\nb 90 A 192.0.2.1\n",
     "sip:a;transport=tcp", "tcp:192.0.2.1:5062", 90},
    {"transport=tls: _sips._tcp",
     "_sip._tcp.a 90 SRV 0 0 5060 b\n_sips._tcp.a 90 SRV 0 0 5063 b\n"
     "b 90 A 192.0.2.1\n",
     "sip:a;transport=tls", "tls:192.0.2.1:5063", 90},
    {"a transport, no SRV", "a 90 A 192.0.2.1\n_sip._udp.a 90 SRV 0 0 5060 b\n",
     "sip:a;transport=tcp", "tcp:192.0.2.1:5060", 90},
    {"by priority",
     "_sip._udp.a 90 SRV 20 0 5060 b\n_sip._udp.a 90 SRV 10 0 5061 b\n"
     "_sip._udp.a 90 SRV 30 0 5062 c\nb 90 A 192.0.2.1\nc 90 A 192.0.2.3\n",
     "sip:a", "udp:192.0.2.1:5061 udp:192.0.2.1:5060 udp:192.0.2.3:5062", 90},
    {"a target without an address is passed over",
     "_sip._udp.a 90 SRV 1 0 5060 b\n_sip._udp.a 90 SRV 2 0 5060 c\nc 90 A 192.0.2.3\n", "sip:a",
     "udp:192.0.2.3:5060", 90},
    {"port 0 is no port", "_sip._udp.a 90 SRV 1 0 0 b\nb 90 A 192.0.2.3\na 90 A 192.0.2.4\n",
     "sip:a", "", 90},
    // the name alone
    {"only an address", "a 90 A 192.0.2.1\n", "sip:a", "udp:192.0.2.1:5060", 90},
    {"only an address, sips", "a 90 A 192.0.2.1\n", "sips:a", "tls:192.0.2.1:5061", 90},
    {"an address for a day, but no SRV for 900 s", "a 86400 A 192.0.2.1\n", "sip:a",
     "udp:192.0.2.1:5060", 900},
    {"nothing", "", "sip:a", "", NEGATIVE_S},
    // what nobody knows
    {"NAPTR fails", "a 90 !NAPTR -\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n", "sip:a", "",
     10},
    {"SRV fails: the name itself may not be meant", "_sip._udp.a 90 !SRV -\na 90 A 192.0.2.1\n",
     "sip:a", "", 10},
    {"SRV fails, another transport is there",
     "_sip._udp.a 90 !SRV -\n_sip._tcp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n", "sip:a",
     "tcp:192.0.2.1:5060", 10},
    {"NAPTR's SRV fails, and the next of its order is there",
     "a 90 NAPTR 1 1 s sip+d2t _sip._tcp.a\na 90 NAPTR 1 2 s sip+d2u _sip._udp.a\n"
     "_sip._tcp.a 90 !SRV -\n_sip._udp.a 90 SRV 0 0 5060 b\nb 90 A 192.0.2.1\n",
     "sip:a", "udp:192.0.2.1:5060", 10},
    {"one family fails", "a 90 A 192.0.2.1\na 90 !AAAA -\n", "sip:a:5060", "udp:192.0.2.1:5060",
     10},
    {"one family fails, the other is not there", "a 90 !A -\n", "sip:a:5060", "", 10},
    {"one target fails",
     "_sip._udp.a 90 SRV 1 0 5060 b\n_sip._udp.a 90 SRV 2 0 5060 c\nb 90 !A -\nb 90 !AAAA -\n"
     "c 90 A 192.0.2.3\n",
     "sip:a", "udp:192.0.2.3:5060", 10},
};

static void test_rows(void **state)
{
    static struct locate l;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zone z = {.lines = rows[i].zone};
        char hops[1024] = "";
        run(&l, &z, rows[i].uri, &both);
        for (size_t k = 0; k < l.n_hops; k++)
            hop_text(hops, sizeof hops, &l.hop[k]);
        if (strcmp(hops, rows[i].hops) || l.ttl_s != rows[i].ttl_s)
            fail_msg("%s:\ngot    \"%s\" for %u s\nwanted \"%s\" for %u s\nasked %s", rows[i].what,
                     hops, l.ttl_s, rows[i].hops, rows[i].ttl_s, z.asked);
    }
}

// What is asked, and what is not.
static void test_questions(void **state)
{
    static const struct {
        const char *zone, *uri, *asked;
    } asked[] = {
        {"", "sip:192.0.2.1", ""},
        {"", "sip:A.Example.:5060", "A a.example AAAA a.example "},
        {"", "sip:a;transport=udp", "SRV _sip._udp.a A a AAAA a "},
        {"", "sip:a;transport=tcp", "SRV _sip._tcp.a A a AAAA a "},
        {"", "sips:a;transport=tcp", "SRV _sips._tcp.a A a AAAA a "},
        {"", "sips:a", "NAPTR a SRV _sips._tcp.a A a AAAA a "},
        {"", "sip:a", "NAPTR a SRV _sip._udp.a SRV _sip._tcp.a SRV _sips._tcp.a A a AAAA a "},
        {"_sip._tcp.a 9 SRV 1 0 5060 b\n_sip._tcp.a 9 SRV 2 0 5060 c\n", "sip:a;transport=tcp",
         "SRV _sip._tcp.a A b AAAA b A c AAAA c "},
        {"a 9 NAPTR 1 1 s sip+d2u x\na 9 NAPTR 1 2 s sip+d2t y\nx 9 SRV 1 0 5060 b\n"
         "b 9 A 192.0.2.1\n",
         "sip:a", "NAPTR a SRV x A b AAAA b "},
        {"a 9 !NAPTR -\n", "sip:a", "NAPTR a "},
        {"", "sip:u@h;maddr=m;lr",
         "NAPTR m SRV _sip._udp.m SRV _sip._tcp.m SRV _sips._tcp.m A m "
         "AAAA m "},
    };
    static struct locate l;
    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct zone z = {.lines = asked[i].zone};
        run(&l, &z, asked[i].uri, &both);
        assert_string_equal(z.asked, asked[i].asked);
    }
}

static void assert_first(const struct locate_wish *wish, const char *uri, const char *hops)
{
    static struct locate l;
    struct zone z = {.lines = "a 9 A 192.0.2.1\na 9 AAAA 2001:db8::1\na 9 A 192.0.2.2\n"};
    char text[512] = "";
    run(&l, &z, uri, wish);
    for (size_t k = 0; k < l.n_hops; k++)
        hop_text(text, sizeof text, &l.hop[k]);
    assert_string_equal(text, hops);
}

// UDP only where we have a port of that family; TCP anywhere.
static void test_families(void **state)
{
    (void)state;
    assert_first(&(struct locate_wish){.udp4 = true}, "sip:a:5060",
                 "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    assert_first(&(struct locate_wish){.udp6 = true, .ipv6_first = true}, "sip:a:5060",
                 "udp:2001:db8::1:5060");
    assert_first(&(struct locate_wish){.udp4 = true, .udp6 = true, .ipv6_first = true},
                 "sip:a:5060", "udp:2001:db8::1:5060 udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    assert_first(&(struct locate_wish){.udp4 = true}, "sip:a:5060;transport=tcp",
                 "tcp:192.0.2.1:5060 tcp:192.0.2.2:5060 tcp:2001:db8::1:5060");
    assert_first(&(struct locate_wish){.ipv6_first = false}, "sip:a:5060", "");
}

static void test_no_place(void **state)
{
    static const char *const bad[] = {
        "",
        "tel:+15551234",
        "pres:juliet@example.com",
        "sip:",
        "sip:a..b",
        "sip:example.net;transport=sctp",
        "sip:example.net;transport=ws",
        "sips:example.net;transport=udp",
        "sip:example.net;maddr=a%20b",
        "sip:example.net;maddr=a_label_that_is_longer_than_the_sixty_three_bytes_that_there_may_be_x",
    };
    struct locate_place place;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (locate_place_of(&place, text_of(bad[i])) != EINVAL)
            fail_msg("taken: %s", bad[i]);
}

// User, other parameters and the case of letters make no other place.
static void test_same_place(void **state)
{
    struct locate_place a, b;
    (void)state;
    assert_int_equal(locate_place_of(&a, TEXT("sip:juliet@Example.NET;transport=TCP;lr")), 0);
    assert_int_equal(locate_place_of(&b, TEXT("sip:example.net.;ob;transport=tcp")), 0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(locate_place_of(&b, TEXT("sips:example.net;transport=tcp")), 0);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_int_equal(locate_place_of(&b, TEXT("sip:example.net:5060;transport=tcp")), 0);
    assert_memory_not_equal(&a, &b, sizeof a);
}

// As many targets as there can be hops, and one more; each of two addresses.
static void test_hops_limit(void **state)
{
    static struct locate l;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    (void)state;
    for (int i = 0; i < EVENT_HOPS_MAX + 1; i++)
        fprintf(f, "_sip._udp.a 9 SRV %d 0 %d t%d\nt%d 9 A 192.0.2.1\nt%d 9 A 192.0.2.2\n", i,
                6000 + i, i, i, i);
    fclose(f);
    struct zone z = {.lines = text};
    run(&l, &z, "sip:a;transport=udp", &both);
    assert_int_equal(l.n_hops, EVENT_HOPS_MAX);
    assert_int_equal(l.hop[0].port, 6000);
    assert_int_equal(l.hop[EVENT_HOPS_MAX - 1].port, 6000 + EVENT_HOPS_MAX / 2 - 1);
    assert_null(strstr(z.asked, "t16"));
    assert_non_null(strstr(z.asked, "t15"));
    free(text);
}

static void test_addresses_limit(void **state)
{
    static struct locate l;
    char text[1024] = "";
    (void)state;
    for (int i = 0; i < LOCATE_ADDRESSES_MAX + 1; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "a 9 A 192.0.2.%d\n", i);
    struct zone z = {.lines = text};
    run(&l, &z, "sip:a:5060", &both);
    assert_int_equal(l.n_hops, LOCATE_ADDRESSES_MAX);
}

// More NAPTR records than services are looked at, none of which leads anywhere.
static void test_services_limit(void **state)
{
    static struct locate l;
    char text[1024] = "";
    (void)state;
    for (int i = 0; i < LOCATE_SERVICES_MAX + 1; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "a 9 NAPTR 1 %d s sip+d2u s%d\ns%d 9 SRV 0 0 0 .\n", i, i, i);
    struct zone z = {.lines = text};
    run(&l, &z, "sip:a", &both);
    assert_string_equal(z.asked, "NAPTR a SRV s0 SRV s1 SRV s2 SRV s3 ");
    assert_int_equal(l.n_hops, 0);
}

// A name so long that no service name can be made of it is asked for itself.
static void test_longest_name(void **state)
{
    static struct locate l;
    char name[DNS_NAME_MAX + 2], uri[300], line[400];
    (void)state;
    for (size_t i = 0; i < DNS_NAME_MAX; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[DNS_NAME_MAX] = '\0';
    snprintf(uri, sizeof uri, "sip:%s;transport=tcp", name);
    snprintf(line, sizeof line, "%s 9 A 192.0.2.1\n", name);
    struct zone z = {.lines = line};
    run(&l, &z, uri, &both);
    assert_int_equal(l.n_hops, 1);
    struct locate_place place;
    snprintf(uri, sizeof uri, "sip:%sa;transport=tcp", name);
    assert_int_equal(locate_place_of(&place, text_of(uri)), EINVAL);
}

// --- RFC 2782

enum { ROUNDS = 20000 };

static void count_first(const uint16_t *weights, size_t n, unsigned *first)
{
    struct hash_random random;
    hash_random_init(&random, 1, 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct dns_record v[8] = {0};
        for (size_t i = 0; i < n; i++) {
            v[i].weight = weights[i];
            v[i].port = (uint16_t)i;
        }
        locate_order_srv(v, n, &random);
        first[v[0].port]++;
        unsigned seen = 0;
        for (size_t i = 0; i < n; i++)
            seen |= 1u << v[i].port;
        assert_int_equal(seen, (1u << n) - 1); // each is there once
    }
}

static void test_weights(void **state)
{
    unsigned first[3] = {0};
    (void)state;
    count_first((uint16_t[]){1000, 3000, 0}, 3, first);
    assert_in_range(first[0], ROUNDS / 4 - 300, ROUNDS / 4 + 300);
    assert_in_range(first[1], ROUNDS * 3 / 4 - 300, ROUNDS * 3 / 4 + 300);
    assert_in_range(first[2], 1, 50); // "a very small chance": one of 4001
}

static void test_weights_of_zero(void **state)
{
    unsigned first[2] = {0};
    (void)state;
    count_first((uint16_t[]){0, 0}, 2, first);
    assert_int_equal(first[0] + first[1], ROUNDS); // as they come: the server turns them
}

static void test_weights_at_their_most(void **state)
{
    struct dns_record v[DNS_RECORDS_MAX] = {0};
    struct hash_random random;
    (void)state;
    hash_random_init(&random, 3, 0);
    for (size_t i = 0; i < DNS_RECORDS_MAX; i++)
        v[i].weight = UINT16_MAX, v[i].priority = (uint16_t)(i % 3);
    locate_order_srv(v, DNS_RECORDS_MAX, &random);
    for (size_t i = 1; i < DNS_RECORDS_MAX; i++)
        assert_true(v[i - 1].priority <= v[i].priority);
}

static void test_same_seed_same_order(void **state)
{
    static struct locate a, b;
    struct zone z = {.lines =
                         "_sip._udp.a 9 SRV 0 5 1 t\n_sip._udp.a 9 SRV 0 5 2 t\n"
                         "_sip._udp.a 9 SRV 0 5 3 t\n_sip._udp.a 9 SRV 0 5 4 t\n"
                         "t 9 A 192.0.2.1\n"};
    struct locate_wish wish = both;
    unsigned others = 0;
    (void)state;
    run(&a, &z, "sip:a", &wish);
    run(&b, &z, "sip:a", &wish);
    assert_memory_equal(a.hop, b.hop, sizeof a.hop[0] * 4);
    for (int i = 0; i < 10; i++) {
        wish.seed++;
        run(&b, &z, "sip:a", &wish);
        others += memcmp(a.hop, b.hop, sizeof a.hop[0] * 4) != 0;
    }
    assert_true(others > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_no_place),
        cmocka_unit_test(test_same_place),
        cmocka_unit_test(test_hops_limit),
        cmocka_unit_test(test_addresses_limit),
        cmocka_unit_test(test_services_limit),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_weights_of_zero),
        cmocka_unit_test(test_weights_at_their_most),
        cmocka_unit_test(test_same_seed_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
