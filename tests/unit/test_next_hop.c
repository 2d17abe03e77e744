// Addresses and names that requests go to: what is remembered of them, and the limits of that.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/next_hop.h"
#include "core/peer.h"

static struct effects fx;
static uint64_t now_ms;

static void pass_ms(struct core *c, uint64_t ms)
{
    now_ms += ms;
    core_step(c, &(struct event){.kind = EVENT_TICK}, now_ms, &fx);
    effects_reset(&fx);
}

static struct core *begin(void)
{
    static struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};
    struct core_config cfg = {
        .seed = 5, .shards = 1, .advertise = TEXT("127.0.0.1"), .shard_port = 5080, .t1_ms = 500};
    struct core *c;
    cfg.settings.requests_in_flight_per_peer = 10;
    cfg.trust.sip_sources = &loopback;
    cfg.trust.n_sip_sources = 1;
    assert_int_equal(core_create(&c, &cfg), 0);
    effects_init(&fx);
    now_ms = 1700000000000;
    pass_ms(c, 0);
    c->fx = &fx;
    return c;
}

static void end(struct core *c)
{
    core_destroy(c);
    effects_free(&fx);
}

static struct hop nth(unsigned n)
{
    struct hop h = {.port = 5060, .family = 4};
    h.ip[0] = 127;
    h.ip[2] = (uint8_t)(n >> 8);
    h.ip[3] = (uint8_t)n;
    return h;
}

// One more than can be remembered: it is taken for alive, and at the end all are forgotten.
static void dead_addresses_have_a_limit(void **state)
{
    (void)state;
    struct core *c = begin();
    for (unsigned i = 0; i <= PEER_REMEMBERED_MAX; i++) {
        struct hop h = nth(i);
        peer_died(c, &h, PEER_DEAD_MS);
        assert_int_equal(peer_is_dead(c, &h), i < PEER_REMEMBERED_MAX);
    }
    assert_int_equal(c->peers.live, PEER_REMEMBERED_MAX);
    pass_ms(c, PEER_DEAD_MS - 100);
    struct hop first = nth(0);
    assert_true(peer_is_dead(c, &first));
    pass_ms(c, 200);
    assert_false(peer_is_dead(c, &first));
    assert_int_equal(c->peers.live, 0);
    assert_int_equal(c->n_remembered, 0);
    assert_int_equal(core_stats(c)->timers, 0);
    end(c);
}

// Two memories of one address, each with its own end; and one that is taken back.
static void memories_end_each_in_its_time(void **state)
{
    (void)state;
    struct core *c = begin();
    struct hop h = nth(1), other = nth(2);
    peer_died(c, &h, PEER_DEAD_MS);
    peer_refused_tcp(c, &h);
    peer_died(c, &other, 1000);
    uint32_t in_flight = peer_enter(c, &other);
    peer_lives(c, in_flight);
    assert_false(peer_is_dead(c, &other));
    pass_ms(c, PEER_DEAD_MS + 10);
    assert_false(peer_is_dead(c, &h));
    assert_true(peer_is_udp_only(c, &h));
    assert_int_equal(c->peers.live, 2); // one of them is in use
    pass_ms(c, PEER_UDP_ONLY_MS);
    assert_false(peer_is_udp_only(c, &h));
    assert_int_equal(c->peers.live, 1);
    peer_leave(c, in_flight);
    assert_int_equal(c->peers.live, 0);
    end(c);
}

static uint32_t name_of(struct core *c, const char *uri)
{
    struct next_hop o;
    next_hop_of_uri(c, text_of(uri), &o);
    assert_int_equal(o.hop.family, 0);
    uint32_t name = o.name;
    next_hop_end(c, &o);
    return name;
}

static void names_have_a_length(void **state)
{
    (void)state;
    struct core *c = begin();
    char uri[NEXT_HOP_HOST_MAX + 64] = "sip:romeo@";
    size_t n = strlen(uri);
    memset(uri + n, 'a', NEXT_HOP_HOST_MAX + 1);
    uri[n + NEXT_HOP_HOST_MAX] = 0;
    assert_true(name_of(c, uri) != 0);
    uri[n + NEXT_HOP_HOST_MAX] = 'a';
    assert_int_equal(name_of(c, uri), 0);
    assert_int_equal(name_of(c, "sip:romeo@127.0.0.1;maddr="), 0);
    assert_int_equal(name_of(c, "sip:romeo@[::ffff:192.0.2.1]"), 0); // numeric, and not trusted
    assert_int_equal(name_of(c, "sip:romeo@example.net;transport=ws"), 0);
    assert_int_equal(name_of(c, "nonsense"), 0);
    assert_int_equal(name_of(c, ""), 0);
    assert_int_equal(c->names.live, 0); // nobody goes by them
    end(c);
}

// At the limit the one that nobody goes by makes place, the one that was longest without.
static void names_make_place(void **state)
{
    (void)state;
    struct core *c = begin();
    struct next_hop used = {0};
    for (unsigned i = 0; i < NEXT_HOP_NAMES_MAX; i++) {
        char uri[64];
        struct next_hop o;
        snprintf(uri, sizeof uri, "sip:phone%u.example.net", i);
        next_hop_of_uri(c, text_of(uri), &o);
        next_hop_ready(c, o.name);
        effects_reset(&fx);
        if (i == 0)
            used = o; // and stays so
        else
            next_hop_end(c, &o);
        c->now_ms++;
    }
    now_ms = c->now_ms;
    assert_int_equal(c->names.live, NEXT_HOP_NAMES_MAX);
    struct next_hop more, again;
    next_hop_of_uri(c, TEXT("sip:another.example.net"), &more);
    assert_true(more.name != 0);
    assert_int_equal(c->names.live, NEXT_HOP_NAMES_MAX);
    next_hop_of_uri(c, TEXT("sip:phone0.example.net"), &again);
    assert_int_equal(again.name, used.name);
    assert_true(((struct name *)pool_at(&c->names, used.name))->state == NAME_ASKED);
    next_hop_end(c, &again);
    next_hop_end(c, &more);
    next_hop_end(c, &used);
    pass_ms(c, NEXT_HOP_ASK_MS + 100); // no answer came
    assert_int_equal(c->names.live, 0);
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_addresses_have_a_limit),
        cmocka_unit_test(memories_end_each_in_its_time),
        cmocka_unit_test(names_have_a_length),
        cmocka_unit_test(names_make_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
