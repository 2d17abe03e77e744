// In which order a shard takes in what waits: new work last, however much of it there is.
//
//   before the shard runs: 14000 × SUBSCRIBE ──▶ [sip] listen
//                          one in a dialog  ──▶ the shard's own port
//   it runs: the one that came last is answered in the first turn
#include "gateway.h"

#include <string.h>
#include <sys/socket.h>

#include "core/overload.h"

enum {
    NEW = 14000,
    TURN = 64 * 64, // of new work in one turn: SHARD_SHARED_BATCHES, SIP_UDP_BATCH
    ANSWER_MS = 5000
};

// All answers of a turn come at once, and the NOTIFYs that follow them: none is to be lost here.
static struct gateway *open_with(const char *more)
{
    struct gateway *g =
        gateway_open(&(struct gateway_wish){.shards = 1, .more = more, .not_started = true});
    int bytes = 64 << 20;
    if (setsockopt(g->sip->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(g->sip->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return g;
}

static void ask_for_something_new(struct gateway *g, unsigned i)
{
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKnew%u\r\n"
             "From: <sip:romeo@example.net>;tag=r\r\nTo: <sip:juliet%u@example.com>\r\n"
             "Call-ID: new%u\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\n"
             "Contact: <sip:romeo@127.0.0.1:%u>\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n",
             i, g->sip->port, i, i, i, g->sip->port);
    sip_peer_send(g->sip, g->listen_port, text);
}

// Of no dialog that there is; but who comes by this port says so.
static void ask_in_a_dialog(struct gateway *g)
{
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet@127.0.0.1:%u SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKrefresh\r\n"
             "From: <sip:romeo@example.net>;tag=r\r\n"
             "To: <sip:juliet@example.com>;tag=000000000000000000000001\r\n"
             "Call-ID: refresh\r\nCSeq: 2 SUBSCRIBE\r\nMax-Forwards: 70\r\n"
             "Contact: <sip:romeo@127.0.0.1:%u>\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n",
             g->shard_port, g->sip->port, g->sip->port);
    sip_peer_send(g->sip, g->shard_port, text);
}

// How many answers came before that to the request in a dialog.
static unsigned answers_before(struct gateway *g)
{
    unsigned n = 0;
    char via[512];
    while (sip_peer_expect(g->sip, "SIP/2.0 ", ANSWER_MS)) {
        if (strstr(sip_peer_header(g->sip, "Via", via), "refresh"))
            return n;
        n++;
    }
    fail_msg("no answer, after %u others", n);
    return n;
}

// It came behind all that is new, and is answered in the first turn.
static void dialogs_go_before_new_work(void **state)
{
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 0\n");
    for (unsigned i = 0; i < NEW; i++)
        ask_for_something_new(g, i);
    ask_in_a_dialog(g);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(answers_before(g) <= TURN);
    gateway_close(g);
}

// It comes while what is new is taken in: the turn under way is all that it waits for.
static void a_flood_of_new_work_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 0\n");
    for (unsigned i = 0; i < NEW; i++)
        ask_for_something_new(g, i);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(sip_peer_expect(g->sip, "SIP/2.0 200", ANSWER_MS));
    ask_in_a_dialog(g);
    assert_true(answers_before(g) <= 3 * TURN);
    gateway_close(g);
}

static uint64_t refused(struct gateway *g)
{
    struct shard_counters counters;
    struct core_stats core;
    shards_counters(g->shards, 0, &counters, &core);
    return core.overload_refused[SIP_TO_XMPP];
}

// And when it waits for too long it is refused; the peer, who has had no room for all that is said
// to him meanwhile, hears so of what he asks then.
static void what_waits_too_long_is_refused(void **state)
{
    enum { MOST = 500000, TRIES = 200 };
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 1\n");
    unsigned n = 0;
    char after[512];
    bool heard = false;
    while (n < NEW)
        ask_for_something_new(g, n++);
    assert_int_equal(shards_start(g->shards), 0);
    while (n < MOST && (n % 100 || !refused(g)))
        ask_for_something_new(g, n++);
    assert_true(refused(g) > 0);
    for (unsigned i = 0; i < TRIES && !heard; i++) {
        for (unsigned k = 0; k < 100; k++)
            ask_for_something_new(g, n++);
        heard = sip_peer_expect(g->sip, "SIP/2.0 503", 20);
    }
    assert_true(heard);
    assert_in_range(atoi(sip_peer_header(g->sip, "Retry-After", after)), OVERLOAD_RETRY_LEAST_S,
                    OVERLOAD_RETRY_MOST_S);
    gateway_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogs_go_before_new_work),
        cmocka_unit_test(a_flood_of_new_work_keeps_nobody_waiting),
        cmocka_unit_test(what_waits_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
