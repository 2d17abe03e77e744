// Next hops by name, from the stanza to the request: shards that ask, the resolver, a real DNS
// server.
#include "dns_server.h"
#include "gateway.h"

#include <string.h>
#include <unistd.h>

#include "shards/resolver.h"

enum { DOMAINS = 24 };

struct world {
    struct gateway *g;
    struct knot *knot;
};

static char *domain_list(void)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    for (int i = 0; i < DOMAINS; i++)
        fprintf(f, "%s\"d%d.example.net\"", i ? ", " : "[", i);
    fputs("]", f);
    fclose(f);
    return text;
}

// All domains are served by the one SIP peer; every third by an alias, and behind a first target
// that nobody can reach.
static char *zone_of(uint16_t port)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    for (int i = 0; i < DOMAINS; i++) {
        fprintf(f, "d%d NAPTR 10 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.d%d\n", i, i);
        fprintf(f, "_sip._udp.d%d SRV 20 0 %u %s\n", i, port, i % 3 ? "sip" : "alias");
        if (i % 3 == 0)
            fprintf(f, "_sip._udp.d%d SRV 10 0 %u nowhere\n", i, port);
    }
    fputs("sip A 127.0.0.1\nalias CNAME sip\n", f);
    fclose(f);
    return text;
}

static struct world open_world(unsigned shards, const char *proxy)
{
    struct world w;
    uint16_t port = knot_free_port();
    char *domains = domain_list();
    w.g = gateway_open(
        &(struct gateway_wish){.shards = shards, .domains = domains, .proxy = proxy, .dns = port});
    char *zone = zone_of(w.g->sip->port);
    w.knot = knot_start_at(port, zone);
    for (int i = 0; i < DOMAINS; i++) {
        char domain[64];
        snprintf(domain, sizeof domain, "d%d.example.net", i);
        assert_true(gateway_wait_stream(w.g, domain, "", GATEWAY_PATIENCE_MS));
    }
    free(zone);
    free(domains);
    return w;
}

static void close_world(struct world *w)
{
    gateway_close(w->g);
    knot_stop(w->knot);
}

static void subscribe(struct world *w, int user, int domain)
{
    char to[64], bytes[256];
    snprintf(to, sizeof to, "d%d.example.net", domain);
    snprintf(bytes, sizeof bytes,
             "<presence from='u%d@example.com' to='romeo@%s' type='subscribe'/>", user, to);
    assert_true(component_server_send(w->g->server, to, bytes));
}

// Takes SUBSCRIBEs until each domain had `each` of them; requests that come again are told by their
// Call-ID.
static void expect_all(struct world *w, unsigned each)
{
    static char call_id[DOMAINS * 64][128];
    unsigned of[DOMAINS] = {0}, all = 0;
    while (all < DOMAINS * each) {
        char value[512];
        unsigned domain, seen = 0;
        if (!sip_peer_expect(w->g->sip, "SUBSCRIBE", GATEWAY_PATIENCE_MS))
            fail_msg("only %u of %u came", all, DOMAINS * each);
        assert_int_equal(sscanf(w->g->sip->message, "SUBSCRIBE sip:romeo@d%u.", &domain), 1);
        sip_peer_header(w->g->sip, "Call-ID", value);
        while (seen < all && strcmp(call_id[seen], value))
            seen++;
        sip_peer_say_ok(w->g->sip, w->g->sip->from_port);
        if (seen < all)
            continue;
        snprintf(call_id[all++], sizeof call_id[0], "%.127s", value);
        assert_true(domain < DOMAINS && ++of[domain] <= each);
    }
}

static struct resolver_counters counters(struct world *w)
{
    struct resolver_counters c;
    usleep(50000); // shown when the thread goes to sleep
    shards_resolver(w->g->shards, &c);
    return c;
}

static void by_domain(unsigned shards)
{
    enum { EACH = 8 };
    struct world w = open_world(shards, "");
    for (int user = 0; user < EACH; user++)
        for (int i = 0; i < DOMAINS; i++)
            subscribe(&w, user, i);
    expect_all(&w, EACH);
    struct resolver_counters c = counters(&w);
    // Each shard asks once for each domain, and who asks while another one does waits for that.
    assert_in_range(c.lookups_total, DOMAINS, DOMAINS * shards);
    assert_in_range(c.lookups_total + c.joined_total, DOMAINS, DOMAINS * shards);
    assert_int_equal(c.failures_total + c.nowhere_total + c.refused_total, 0);
    assert_int_equal(c.in_flight, 0);
    assert_int_equal(gateway_sum(w.g).ring_dropped_total, 0);
    close_world(&w);
}

static void test_by_domain_one_shard(void **state)
{
    (void)state;
    by_domain(1);
}

static void test_by_domain_five_shards(void **state)
{
    (void)state;
    by_domain(5);
}

// One name for all domains.
static void test_by_proxy(void **state)
{
    (void)state;
    struct world w = open_world(2, "sip:d1.example.net");
    for (int i = 0; i < DOMAINS; i++)
        subscribe(&w, i, i);
    expect_all(&w, 1);
    struct resolver_counters c = counters(&w);
    assert_in_range(c.lookups_total + c.joined_total, 1, 2);
    close_world(&w);
}

// Shards that are ended while the resolver still looks for what they asked.
static void test_ended_while_asking(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world w = open_world(2, "");
        knot_stop(w.knot);
        struct odd_server *odd =
            odd_start_at(ODD_SILENT, "127.0.0.1", w.g->cfg->sip.dns_server_hop[0].port);
        for (int k = 0; k < DOMAINS; k++)
            subscribe(&w, k, k);
        while (!odd_questions(odd))
            usleep(1000);
        gateway_close(w.g);
        odd_stop(odd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_domain_one_shard),
        cmocka_unit_test(test_by_domain_five_shards),
        cmocka_unit_test(test_by_proxy),
        cmocka_unit_test(test_ended_while_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
