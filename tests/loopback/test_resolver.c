// The resolver's thread between shards that ask and DNS servers: real, silent, and too many at
// once.
#include "dns_server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shards/clock.h"
#include "shards/dns_answer.h"
#include "shards/log.h"
#include "shards/resolver.h"

enum { SHARDS = 2, MESSAGE_MAX = 100000, PATIENCE_MS = 15000 };

static struct knot *knot;

static const char zone[] =
    "@ NAPTR 10 10 \"s\" \"SIPS+D2T\" \"\" _sips._tcp\n"
    "@ NAPTR 20 10 \"s\" \"SIP+D2U\" \"\" _sip._udp\n"
    "_sips._tcp SRV 10 0 5061 a\n"
    "_sip._udp SRV 10 0 5070 a\n"
    "_sip._udp SRV 20 0 5071 b\n"
    "_sip._udp.srv SRV 20 0 5072 b\n"
    "_sip._udp.srv SRV 10 0 5073 alias\n"
    "_sip._tcp.tcp 10 SRV 0 0 5074 a\n"
    "_sip._udp.closed SRV 0 0 0 .\n"
    "closed A 127.0.0.9\n"
    "a A 127.0.0.2\n"
    "b A 127.0.0.3\n"
    "b AAAA ::1\n"
    "alias CNAME a\n";

static int start_knot(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, false);
    knot = knot_start(zone);
    return 0;
}

static int stop_knot(void **state)
{
    (void)state;
    knot_stop(knot);
    return 0;
}

// This thread plays both shards.
struct world {
    struct fabric *fabric;
    struct fabric_end end[SHARDS];
    struct config *cfg;
    struct resolver *resolver;
    // The last answer.
    char uri[512], hops[1024];
    uint32_t ttl_s;
};

static void load_config(struct world *w, uint16_t port)
{
    char path[] = "/tmp/isthmus-resolver-XXXXXX";
    struct config_error why;
    FILE *f = fdopen(mkstemp(path), "w");
    fprintf(f,
            "xmpp.secret = 'x'\ntrust.sip_domains = ['example.net']\n"
            "trust.xmpp_domains = ['example.com']\n"
            "sip.listen = ['udp:127.0.0.1:5060', 'udp:[::1]:5060']\n"
            "sip.dns_servers = ['127.0.0.1:%u']\n",
            port);
    fclose(f);
    if (config_load(&w->cfg, path, &why))
        fail_msg("%s", why.text);
    unlink(path);
}

static struct world *open_world(uint16_t port, unsigned try_ms)
{
    struct world *w = calloc(1, sizeof *w);
    load_config(w, port);
    assert_int_equal(fabric_create(&w->fabric, SHARDS, MESSAGE_MAX), 0);
    for (unsigned i = 0; i < SHARDS; i++)
        fabric_end_init(&w->end[i], w->fabric, i);
    struct resolver_setup setup = {.fabric = w->fabric, .cfg = w->cfg, .try_ms = try_ms};
    assert_int_equal(resolver_create(&w->resolver, &setup), 0);
    assert_int_equal(resolver_start(w->resolver), 0);
    return w;
}

static void close_world(struct world *w)
{
    resolver_stop(w->resolver);
    resolver_destroy(w->resolver);
    for (unsigned i = 0; i < SHARDS; i++)
        fabric_end_free(&w->end[i]);
    fabric_destroy(w->fabric);
    config_free(w->cfg);
    free(w);
}

static void ask(struct world *w, unsigned shard, const char *uri)
{
    struct message head = {.kind = MESSAGE_RESOLVE};
    struct fabric_end *e = &w->end[shard];
    assert_int_equal(fabric_send(e, fabric_resolver(w->fabric), &head, sizeof head, text_of(uri)),
                     0);
    fabric_retry(e);
    fabric_ring_bells(e);
}

static void keep(struct world *w, const struct message_resolved *m, size_t n)
{
    static const char *const transports[] = {"udp", "tcp", "tls"};
    const struct hop *hops = (const void *)(m + 1);
    const char *uri = (const char *)(hops + m->n_hops);
    assert_int_equal(m->kind, MESSAGE_RESOLVED);
    snprintf(w->uri, sizeof w->uri, "%.*s", (int)(n - (size_t)(uri - (const char *)m)), uri);
    w->ttl_s = m->ttl_s;
    w->hops[0] = '\0';
    for (unsigned i = 0; i < m->n_hops; i++) {
        size_t used = strlen(w->hops);
        struct buffer b;
        buffer_init(&b, 0);
        hop_write_host(&b, &hops[i]);
        snprintf(w->hops + used, sizeof w->hops - used, "%s%s:%.*s:%u", used ? " " : "",
                 transports[hops[i].transport], (int)b.n, b.p, hops[i].port);
        buffer_free(&b);
    }
}

static bool take(struct world *w, unsigned shard)
{
    struct ring *r = fabric_from(&w->end[shard], fabric_resolver(w->fabric));
    size_t n;
    const void *p = ring_front(r, &n);
    if (!p)
        return false;
    keep(w, p, n);
    ring_pop(r);
    return true;
}

static void wait_for_answer(struct world *w, unsigned shard)
{
    unsigned from = fabric_resolver(w->fabric);
    uint64_t until_us = clock_monotonic_us() + (uint64_t)PATIENCE_MS * 1000;
    while (!take(w, shard)) {
        struct pollfd bell = {.fd = w->fabric->wake[shard].fd, .events = POLLIN};
        if (clock_monotonic_us() > until_us)
            fail_msg("no answer");
        fabric_retry(&w->end[shard]); // what the ring to the resolver had no room for
        fabric_ring_bells(&w->end[shard]);
        if (fabric_fall_asleep(&w->end[shard], from, from + 1))
            poll(&bell, 1, 50);
        fabric_get_up(&w->end[shard]);
        wake_clear(&w->fabric->wake[shard]);
    }
}

static void assert_resolved(struct world *w, const char *uri, const char *hops, uint32_t ttl_s)
{
    ask(w, 0, uri);
    wait_for_answer(w, 0);
    assert_string_equal(w->uri, uri);
    if (strcmp(w->hops, hops) || w->ttl_s != ttl_s)
        fail_msg("%s: got \"%s\" for %u s, wanted \"%s\" for %u s", uri, w->hops, w->ttl_s, hops,
                 ttl_s);
}

// What the counters show once the thread sleeps again.
static struct resolver_counters counters(struct world *w)
{
    struct resolver_counters c;
    usleep(50000);
    resolver_counters_read(w->resolver, &c);
    return c;
}

// The whole way, with a zone that a provider may have.
static void test_real_zone(void **state)
{
    (void)state;
    struct world *w = open_world(knot_port(knot), 1000);
    assert_resolved(w, "sip:romeo@example.net", "tls:127.0.0.2:5061", 120);
    assert_resolved(w, "sips:romeo@Example.Net;lr", "tls:127.0.0.2:5061", 120);
    assert_resolved(w, "sip:example.net;transport=udp", "udp:127.0.0.2:5070 udp:127.0.0.3:5071",
                    120);
    assert_resolved(w, "sip:srv.example.net", "udp:127.0.0.2:5073 udp:127.0.0.3:5072", 30);
    assert_resolved(w, "sip:b.example.net:5060;transport=tcp",
                    "tcp:127.0.0.3:5060 tcp:0:0:0:0:0:0:0:1:5060", 120);
    assert_resolved(w, "sip:tcp.example.net", "tcp:127.0.0.2:5074", 10);
    assert_resolved(w, "sip:closed.example.net", "", 30);
    assert_resolved(w, "sip:a.example.net", "udp:127.0.0.2:5060", 30);
    assert_resolved(w, "sip:alias.example.net:5099;transport=tcp", "tcp:127.0.0.2:5099", 120);
    assert_resolved(w, "sip:nobody.example.net", "", 30);
    assert_resolved(w, "sip:192.0.2.1", "udp:192.0.2.1:5060", DNS_TTL_MAX_S);
    assert_resolved(w, "tel:+15551234", "", DNS_NEGATIVE_TTL_S);
    assert_resolved(w, "sip:example.org", "", DNS_FAILED_TTL_S); // not the server's to answer
    struct resolver_counters c = counters(w);
    assert_int_equal(c.lookups_total, 12);
    assert_int_equal(c.nowhere_total, 3);
    assert_int_equal(c.failures_total, 1);
    assert_int_equal(c.in_flight, 0);
    uint64_t timed = 0;
    for (int i = 0; i < 32; i++)
        timed += c.lookup_us_bucket[i];
    assert_int_equal(timed, 12);
    assert_true(c.lookup_us_sum > 0);
    close_world(w);
}

static void assert_odd(enum odd_mood mood)
{
    struct odd_server *odd = odd_start(mood);
    struct world *w = open_world(odd_port(odd), 50);
    assert_resolved(w, "sip:example.net", "", DNS_FAILED_TTL_S);
    assert_resolved(w, "sip:example.net:5060;transport=tcp", "", DNS_FAILED_TTL_S);
    assert_int_equal(counters(w).failures_total, 2);
    close_world(w);
    odd_stop(odd);
}

static void test_odd_servers(void **state)
{
    (void)state;
    for (enum odd_mood mood = ODD_SILENT; mood <= ODD_LOOP; mood++)
        assert_odd(mood);
}

// Names that can be looked up are not held up by one that can't.
static void test_one_does_not_wait_for_another(void **state)
{
    (void)state;
    struct odd_server *odd = odd_start(ODD_SILENT);
    struct world *w = open_world(odd_port(odd), 500);
    ask(w, 0, "sip:example.net");
    ask(w, 0, "sip:localhost;transport=tcp");
    ask(w, 1, "sip:127.0.0.1");
    wait_for_answer(w, 0);
    assert_string_equal(w->hops, "tcp:127.0.0.1:5060 tcp:0:0:0:0:0:0:0:1:5060");
    wait_for_answer(w, 1);
    assert_string_equal(w->hops, "udp:127.0.0.1:5060");
    wait_for_answer(w, 0);
    assert_string_equal(w->uri, "sip:example.net");
    close_world(w);
    odd_stop(odd);
}

// A server that never answers, waited for as long as it is in real life.
static void test_deadline(void **state)
{
    (void)state;
    struct odd_server *odd = odd_start(ODD_SILENT);
    struct world *w = open_world(odd_port(odd), 60000);
    uint64_t began_us = clock_monotonic_us();
    assert_resolved(w, "sip:example.net", "", DNS_FAILED_TTL_S);
    assert_in_range((clock_monotonic_us() - began_us) / 1000, RESOLVER_LOOKUP_MS - 100,
                    RESOLVER_LOOKUP_MS + 2000);
    assert_int_equal(counters(w).in_flight, 1); // c-ares has not given up yet
    close_world(w);
    odd_stop(odd);
}

// Many who ask for one place, by whatever URI: DNS is asked once, and all are answered with their
// own.
static void test_joined(void **state)
{
    enum { ASKERS = 50 };
    (void)state;
    struct odd_server *odd = odd_start(ODD_SILENT); // so that all have asked before it is over
    struct world *w = open_world(odd_port(odd), 500);
    char uri[64];
    unsigned seen = 0;
    for (int i = 0; i < ASKERS; i++) {
        snprintf(uri, sizeof uri, "sip:u%d@%s;lr", i, i % 2 ? "example.net" : "EXAMPLE.net.");
        ask(w, (unsigned)i % SHARDS, uri);
    }
    for (int i = 0; i < ASKERS; i++) {
        unsigned number;
        wait_for_answer(w, (unsigned)i % SHARDS);
        assert_int_equal(sscanf(w->uri, "sip:u%u@", &number), 1);
        assert_int_equal(number % SHARDS, i % SHARDS);
        seen += number;
    }
    assert_int_equal(seen, ASKERS * (ASKERS - 1) / 2);
    struct resolver_counters c = counters(w);
    // Those who came while the first was waited for; a late one may have begun another.
    assert_int_equal(c.lookups_total + c.joined_total, ASKERS);
    assert_true(c.lookups_total <= 3);
    close_world(w);
    odd_stop(odd);
}

// As many look-ups as may be, and one more: that one is answered at once.
static void test_lookups_limit(void **state)
{
    (void)state;
    struct odd_server *odd = odd_start(ODD_SILENT);
    struct world *w = open_world(odd_port(odd), 60000);
    char uri[64];
    for (int i = 0; i < RESOLVER_LOOKUPS_MAX; i++) {
        snprintf(uri, sizeof uri, "sip:d%d.example.net", i);
        ask(w, 0, uri);
    }
    assert_resolved(w, "sip:one-more.example.net", "", RESOLVER_BUSY_TTL_S);
    ask(w, 1, "sip:d0.example.net"); // who joins needs no place
    struct resolver_counters c = counters(w);
    assert_int_equal(c.refused_total, 1);
    assert_int_equal(c.joined_total, 1);
    assert_int_equal(c.in_flight, RESOLVER_LOOKUPS_MAX);
    assert_int_equal(c.queries_total, RESOLVER_LOOKUPS_MAX);
    close_world(w);
    odd_stop(odd);
}

static void test_waiters_limit(void **state)
{
    (void)state;
    struct odd_server *odd = odd_start(ODD_SILENT);
    struct world *w = open_world(odd_port(odd), 60000);
    for (int i = 0; i < RESOLVER_WAITERS_MAX; i++)
        ask(w, 0, "sip:example.net");
    while (fabric_is_congested(&w->end[0])) {
        fabric_retry(&w->end[0]);
        fabric_ring_bells(&w->end[0]);
    }
    while (counters(w).joined_total < RESOLVER_WAITERS_MAX - 1)
        ;
    assert_int_equal(counters(w).refused_total, 0);
    ask(w, 1, "sip:example.net");
    wait_for_answer(w, 1);
    assert_int_equal(w->ttl_s, RESOLVER_BUSY_TTL_S);
    assert_int_equal(counters(w).refused_total, 1);
    close_world(w); // thousands are let go of unanswered
    odd_stop(odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_zone),
        cmocka_unit_test(test_odd_servers),
        cmocka_unit_test(test_one_does_not_wait_for_another),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_lookups_limit),
        cmocka_unit_test(test_waiters_limit),
    };
    return cmocka_run_group_tests(tests, start_knot, stop_knot);
}
