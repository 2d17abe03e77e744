// What the tests of shards from outside share: what an XMPP user says, what each side is to see.
#ifndef TESTS_LOOPBACK_SHARDS_OUTSIDE_H
#define TESTS_LOOPBACK_SHARDS_OUTSIDE_H

#include "gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "shards/admin.h"
#include "shards/shard.h"
#include "shards/strangers.h"

#define HELPER __attribute__((unused)) static

HELPER uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

HELPER void stanza(struct gateway *g, const char *domain, const char *user, const char *type)
{
    char bytes[512];
    snprintf(bytes, sizeof bytes, "<presence from='%s@example.com' to='romeo@%s' type='%s'/>", user,
             domain, type);
    assert_true(component_server_send(g->server, domain, bytes));
}

HELPER void expect_stanza(struct gateway *g, const char *domain, const char *text)
{
    char *said = component_server_expect(g->server, domain, text, GATEWAY_PATIENCE_MS);
    if (!said)
        fail_msg("the server was not told: %s", text);
    free(said);
}

HELPER void expect_sip(struct gateway *g, const char *start)
{
    if (!sip_peer_expect(g->sip, start, GATEWAY_PATIENCE_MS))
        fail_msg("the SIP side was not sent: %s", start);
}

HELPER struct gateway *open_with(unsigned shards)
{
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = shards});
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    return g;
}

// Every message of the SIP side goes to the port of another shard than the one that spoke. The 200
// of the gateway must come from that very port: another shard than the one that wrote it.
HELPER void watch_by_detours(struct gateway *g, unsigned user, unsigned shards)
{
    char name[32], wanted[128];
    snprintf(name, sizeof name, "juliet%u", user);
    stanza(g, "example.net", name, "subscribe");
    expect_sip(g, "SUBSCRIBE sip:romeo@example.net");
    uint16_t own = g->sip->from_port;
    assert_in_range(own, g->shard_port, g->shard_port + shards - 1);
    uint16_t other = (uint16_t)(g->shard_port + (own - g->shard_port + 1u) % shards);
    char *subscribe = strdup(g->sip->message);
    sip_peer_say_ok(g->sip, other);
    sip_peer_notify(g->sip, subscribe, other, "active;expires=3600", "open");
    expect_sip(g, "SIP/2.0 200");
    assert_int_equal(g->sip->from_port, other);
    snprintf(wanted, sizeof wanted, "to='%s@example.com' type='subscribed'", name);
    expect_stanza(g, "example.net", wanted);
    sip_peer_notify(g->sip, subscribe, g->listen_port, "active;expires=3600", "closed");
    expect_sip(g, "SIP/2.0 200");
    assert_int_equal(g->sip->from_port, g->listen_port);
    expect_stanza(g, "example.net", "type='unavailable'");
    free(subscribe);
}

#endif
