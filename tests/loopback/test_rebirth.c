// A shard without memory: its core is made anew from the store while the process lives, other
// shards are served meanwhile, and what was promised is kept. Memory is refused at the linker
// (tests/fail/memory/seam.h), in the thread of one shard.
//
//   SIP user         gateway, two shards        XMPP server
//      |                     | <-- subscribe ------ |
//      |         a step of shard 0 or 1 is refused memory: turn and core are thrown away
//      |                     | <-- subscribe ------ |  (she asks again)
//      | <-- SUBSCRIBE ------|                      |
#include "gateway.h"

#include <stdatomic.h>
#include <string.h>

#include "core/state.h"
#include "fail/memory/seam.h"
#include "shards/clock.h"
#include "shards/shard.h"
#include "stream_peer.h"

void __real_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx);
void __wrap_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx);
int __real_core_create(struct core **out, const struct core_config *cfg);
int __wrap_core_create(struct core **out, const struct core_config *cfg);

static _Atomic int refuse_in = -1;     // the shard whose next stanza is refused memory; -1: none
static _Atomic bool refuse_all;        // not only the next one
static _Atomic int starved = -1;       // the shard that gets none at all, from then on
static _Atomic unsigned long attempts; // to make a core meanwhile

void __wrap_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx)
{
    int self = (int)c->cfg.shard;
    bool refused = ev->kind == EVENT_STANZA && atomic_load(&refuse_in) == self;
    if (refused) {
        if (!atomic_load(&refuse_all))
            atomic_store(&refuse_in, -1);
        seam_begin(1);
    }
    __real_core_step(c, ev, now_ms, fx);
    if (refused)
        seam_end();
}

int __wrap_core_create(struct core **out, const struct core_config *cfg)
{
    if (atomic_load(&starved) != (int)cfg->shard)
        return __real_core_create(out, cfg);
    atomic_fetch_add(&attempts, 1);
    seam_begin(0);
    seam.starved = true;
    int error = __real_core_create(out, cfg);
    seam_end();
    return error;
}

static void says(struct gateway *g, const char *user, const char *type)
{
    char bytes[512];
    snprintf(bytes, sizeof bytes,
             "<presence from='%s@example.com' to='romeo@example.net' type='%s'/>", user, type);
    assert_true(component_server_send(g->server, "example.net", bytes));
}

static void asks_another(struct gateway *g, const char *user)
{
    char bytes[256];
    snprintf(bytes, sizeof bytes,
             "<presence from='%s@example.com' to='mercutio@example.net' type='subscribe'/>", user);
    assert_true(component_server_send(g->server, "example.net", bytes));
}

static void expect_sip(struct gateway *g, const char *start)
{
    if (!sip_peer_expect(g->sip, start, GATEWAY_PATIENCE_MS))
        fail_msg("the SIP side was not sent: %s", start);
}

static void expect_stanza(struct gateway *g, const char *text)
{
    char *said = component_server_expect(g->server, "example.net", text, GATEWAY_PATIENCE_MS);
    if (!said)
        fail_msg("the server was not told: %s", text);
    free(said);
}

// She asks, he approves. Returns the shard that she is of.
static unsigned watches(struct gateway *g, const char *user)
{
    char wanted[128];
    says(g, user, "subscribe");
    expect_sip(g, "SUBSCRIBE sip:romeo@example.net");
    uint16_t own = g->sip->from_port;
    char *subscribe = strdup(g->sip->message);
    sip_peer_say_ok(g->sip, own);
    sip_peer_notify(g->sip, subscribe, own, "active;expires=3600", "open");
    expect_sip(g, "SIP/2.0 200");
    snprintf(wanted, sizeof wanted, "to='%s@example.com' type='subscribed'", user);
    expect_stanza(g, wanted);
    free(subscribe);
    return (unsigned)(own - g->shard_port);
}

static void watches_of_shard(struct gateway *g, unsigned shard, char name[32])
{
    static unsigned n;
    do
        snprintf(name, 32, "juliet%u", n++);
    while (watches(g, name) != shard);
}

static uint64_t rebirths(struct gateway *g, unsigned shard, uint64_t *subscriptions)
{
    struct shard_counters count;
    struct core_stats core;
    shards_counters(g->shards, shard, &count, &core);
    *subscriptions = core.by_state[XMPP_TO_SIP][STATE_ACTIVE];
    return count.rebirths_total;
}

static void wait_rebirths(struct gateway *g, unsigned shard, uint64_t n)
{
    uint64_t subscriptions;
    for (int i = 0; i < GATEWAY_PATIENCE_MS / 10 && rebirths(g, shard, &subscriptions) < n; i++)
        usleep(10000);
    assert_int_equal(rebirths(g, shard, &subscriptions), n);
}

static struct gateway *opened_with(unsigned shards)
{
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = shards, .tcp = true});
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    return g;
}

static struct gateway *opened(void)
{
    return opened_with(2);
}

// One step is refused one allocation. Her authorization lives on, its dialog too, and her server is
// asked about her as after a lost stream; what the step was about is lost, and works when said
// again.
static void test_one_refusal(void **state)
{
    (void)state;
    struct gateway *g = opened();
    char user[32], why[128];
    uint64_t before, after;
    watches_of_shard(g, 1, user);
    usleep(20000);
    rebirths(g, 1, &before);
    assert_true(before > 0);
    unsigned connects = component_server_connects(g->server, "example.net");
    atomic_store(&refuse_in, 1);
    asks_another(g, user);
    wait_rebirths(g, 1, 1);
    assert_false(shards_part_failing(g->shards, 1, why, sizeof why));
    rebirths(g, 1, &after);
    assert_int_equal(after, before);
    assert_int_equal(component_server_connects(g->server, "example.net"), connects);
    asks_another(g, user);
    expect_sip(g, "SUBSCRIBE sip:mercutio@example.net");
    sip_peer_say_ok(g->sip, g->sip->from_port);
    uint64_t other;
    assert_int_equal(rebirths(g, 0, &other), 0);
    gateway_close(g);
}

// There is no memory for a new core either, for seconds. Shard 1 says so and tries again; shard 0,
// where the stream lives, serves its users; then all is as it was.
static void test_none_for_long(void **state)
{
    (void)state;
    struct gateway *g = opened();
    char user[32], neighbour[32], why[128] = "";
    uint64_t before, after;
    watches_of_shard(g, 1, user);
    usleep(20000);
    rebirths(g, 1, &before);
    atomic_store(&starved, 1);
    atomic_store(&attempts, 0);
    atomic_store(&refuse_in, 1);
    asks_another(g, user);
    for (int i = 0; i < 500 && !shards_part_failing(g->shards, 1, why, sizeof why); i++)
        usleep(10000);
    assert_string_equal(why, "shard: Cannot allocate memory");
    for (unsigned served = 0; served < 2; served++) // names of shard 1 are not answered
        for (unsigned n = 0; n < 16; n++) {
            snprintf(neighbour, sizeof neighbour, "nurse%u-%u", served, n);
            says(g, neighbour, "subscribe");
            if (!sip_peer_expect(g->sip, "SUBSCRIBE sip:romeo@example.net", 300))
                continue;
            assert_int_equal(g->sip->from_port, g->shard_port);
            sip_peer_say_ok(g->sip, g->sip->from_port);
            break;
        }
    usleep(1500000);
    assert_true(shards_part_failing(g->shards, 1, why, sizeof why));
    assert_in_range(atomic_load(&attempts), 2, 12);
    assert_int_equal(rebirths(g, 1, &after), 0);
    atomic_store(&starved, -1);
    wait_rebirths(g, 1, 1);
    assert_false(shards_part_failing(g->shards, 1, why, sizeof why));
    rebirths(g, 1, &after);
    assert_int_equal(after, before);
    // The dialog is the old one: nobody was told of anything else.
    says(g, user, "unsubscribe");
    expect_sip(g, "SUBSCRIBE ");
    assert_non_null(strstr(g->sip->message, "Expires: 0"));
    gateway_close(g);
}

// There is memory for a new core, but none to go on with: whatever it is told, it dies of. It is
// made anew once a second, not as often as it dies, for each time the whole store is read; and
// lives on as soon as there is memory.
static void test_again_and_again(void **state)
{
    (void)state;
    struct gateway *g = opened();
    char user[32], why[128];
    uint64_t before, after, began_us, took_us;
    watches_of_shard(g, 1, user);
    usleep(20000);
    rebirths(g, 1, &before);
    atomic_store(&refuse_all, true);
    atomic_store(&refuse_in, 1);
    began_us = clock_monotonic_us();
    for (int i = 0; i < 250; i++) {
        asks_another(g, user);
        usleep(10000);
    }
    uint64_t n = rebirths(g, 1, &after);
    took_us = clock_monotonic_us() - began_us;
    assert_in_range(n, 2, took_us / 1000000 + 2);
    atomic_store(&refuse_all, false);
    atomic_store(&refuse_in, -1);
    for (int i = 0; i < GATEWAY_PATIENCE_MS / 10; i++, usleep(10000))
        if (!shards_part_failing(g->shards, 1, why, sizeof why))
            break;
    assert_false(shards_part_failing(g->shards, 1, why, sizeof why));
    rebirths(g, 1, &after);
    assert_int_equal(after, before);
    asks_another(g, user);
    expect_sip(g, "SUBSCRIBE sip:mercutio@example.net");
    sip_peer_say_ok(g->sip, g->sip->from_port);
    gateway_close(g);
}

// Whoever connects is known by the new core, and answered.
static void test_connections_after_it(void **state)
{
    (void)state;
    struct gateway *g = opened_with(1);
    struct stream_peer *peer = stream_peer_open(NULL, NULL);
    watches(g, "juliet");
    atomic_store(&refuse_in, 0);
    asks_another(g, "juliet");
    wait_rebirths(g, 0, 1);
    int connection = stream_peer_connect(peer, g->listen_port);
    stream_peer_say(peer, connection,
                    "OPTIONS sip:example.com SIP/2.0\r\n"
                    "Via: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
                    "From: <sip:romeo@example.net>;tag=1\r\nTo: <sip:example.com>\r\n"
                    "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(stream_peer_expect(peer, "SIP/2.0 200", GATEWAY_PATIENCE_MS), connection);
    stream_peer_close(peer);
    gateway_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_refusal),
        cmocka_unit_test(test_none_for_long),
        cmocka_unit_test(test_again_and_again),
        cmocka_unit_test(test_connections_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
