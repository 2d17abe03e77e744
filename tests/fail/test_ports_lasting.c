// Shortages that last: while they do, no thread keeps busy, and when they end, all goes on.
//
//     fault for good ─▶ a while, its strikes and the processor time bounded ─▶ no fault ─▶ well
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "faulty.h"
#include "journey.h"
#include "shards/sip_stream.h"
#include "tests/certificates.h"

enum {
    WHILE_MS = 1200,
    CPU_MS = 300, // in a WHILE, with sanitizers; a thread that spins takes 1200
    AFTERWARDS_MS = 20000,
    TICKS = 4, // of SIP_STREAM_TICK_MS in a WHILE, rounded up, with one to spare
};

static char dir[] = "/dev/shm/isthmus-lasting-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    struct certificate ca = certificate_make(NULL, NULL, 10);
    certificate_write(certificate_make(&ca, "IP:127.0.0.1", 10), dir, "good");
    certificate_write(ca, dir, "ca");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    faulty_print_table();
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// From the first time that it strikes; how often it struck meanwhile.
static unsigned endure(enum faulty_call call, int error, void (*cause)(struct journey *),
                       struct journey *j)
{
    int64_t cpu = cpu_ms();
    faulty_arm(call, 1, error, true);
    if (cause)
        cause(j);
    for (int64_t end_ms = journey_now_ms() + AFTERWARDS_MS;
         !faulty_has_struck() && journey_now_ms() < end_ms;)
        usleep(10000);
    usleep(WHILE_MS * 1000);
    unsigned strikes = faulty_strikes();
    faulty_disarm();
    assert_in_range(cpu_ms() - cpu, 0, CPU_MS);
    return strikes;
}

static void knock(struct journey *j)
{
    assert_true(stream_peer_connect(j->peer, j->g->listen_port) >= 0);
}

// The connection waits in the kernel, and is served once it can be taken in.
static void accept_fails(int error, unsigned at_once)
{
    struct journey j;
    journey_open(&j, JOURNEY_TCP, false, dir);
    unsigned strikes = endure(FAULTY_accept4, error, knock, &j);
    assert_in_range(strikes, 1, TICKS * at_once);
    assert_true(journey_both(&j, AFTERWARDS_MS));
    journey_close(&j);
}

static void accepting_without_descriptors(void **state)
{
    (void)state;
    accept_fails(EMFILE, 1);
    accept_fails(ENFILE, 1);
    accept_fails(ENOBUFS, 1);
    accept_fails(ENOMEM, 1);
}

// Each of these takes a connection with it, as a rule; a listener that says nothing else is ill.
static void accepting_what_is_never_there(void **state)
{
    (void)state;
    accept_fails(ECONNABORTED, SIP_STREAM_ACCEPTS);
    accept_fails(EPERM, SIP_STREAM_ACCEPTS);
    accept_fails(EINVAL, SIP_STREAM_ACCEPTS);
}

static void drop_stream(struct journey *j)
{
    component_server_drop(j->g->server, "example.net");
}

// The stream is authenticated, and its shard can't listen to it: it is asked about once a second.
static void stream_that_cannot_be_watched(void **state)
{
    (void)state;
    struct journey j;
    journey_open(&j, JOURNEY_UDP, false, dir);
    unsigned strikes = endure(FAULTY_epoll_ctl, ENOSPC, drop_stream, &j);
    usleep(WHILE_MS * 1000);
    assert_in_range(strikes, 1, 20);
    assert_true(gateway_wait_stream(j.g, "example.net", "", AFTERWARDS_MS));
    assert_true(journey_watch(&j, AFTERWARDS_MS));
    journey_close(&j);
}

// Some are the other shard's.
static void ask_to_watch(struct journey *j)
{
    char stanza[128];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(stanza, sizeof stanza,
                 "<presence from='nurse%u@example.com' to='romeo@example.net' type='subscribe'/>",
                 i);
        component_server_send(j->g->server, "example.net", stanza);
    }
}

// No bell can be rung: rings are looked at all the same, once a second at the latest, and whoever
// rings in vain tries again each FABRIC_RETRY_MS.
static void bells_that_cannot_be_rung(void **state)
{
    (void)state;
    struct journey j;
    journey_open(&j, JOURNEY_UDP, true, dir);
    unsigned strikes = endure(FAULTY_write, EIO, ask_to_watch, &j);
    assert_in_range(strikes, 1, 2 * WHILE_MS);
    assert_true(journey_watch(&j, AFTERWARDS_MS));
    faulty_arm(FAULTY_write, 1, EIO, true);
    for (unsigned i = 0; i < 4; i++)
        assert_true(journey_watch(&j, AFTERWARDS_MS)); // with no bell at all
    faulty_disarm();
    journey_close(&j);
}

// One bell on each way fails, and is rung again before anybody has to look by himself.
static void bell_that_fails_once(void **state)
{
    (void)state;
    enum { WAYS = 10, ALL_MS = 2500 }; // with heartbeats only: about half a second for each hop
    struct journey j;
    journey_open(&j, JOURNEY_UDP, true, dir);
    int64_t began_ms = journey_now_ms();
    unsigned strikes = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        faulty_arm(FAULTY_write, 1, EIO, false);
        assert_true(journey_watch(&j, AFTERWARDS_MS));
        strikes += faulty_strikes();
        faulty_disarm();
    }
    assert_in_range(strikes, 1, WAYS);
    assert_in_range(journey_now_ms() - began_ms, 0, ALL_MS);
    journey_close(&j);
}

// A system that sends one datagram for each call, whatever it is given; nothing is repeated. (The
// names are of various lengths, so that no two leave in one piece.)
static void one_datagram_at_a_time(void **state)
{
    (void)state;
    enum { USERS = 40 };
    struct journey j;
    char stanzas[USERS * 96] = "";
    bool seen[USERS] = {false};
    unsigned n = 0;
    journey_open(&j, JOURNEY_UDP, true, dir);
    for (unsigned i = 0; i < USERS; i++)
        sprintf(stanzas + strlen(stanzas),
                "<presence from='u%0*u@example.com' to='romeo@example.net' type='subscribe'/>",
                2 + (int)i % 4, i);
    faulty_arm(FAULTY_sendmmsg, 1, FAULTY_SHORT, true);
    component_server_send(j.g->server, "example.net", stanzas);
    while (n < USERS && sip_peer_expect(j.g->sip, "SUBSCRIBE", AFTERWARDS_MS)) {
        char from[512];
        unsigned user;
        sip_peer_header(j.g->sip, "From", from);
        assert_int_equal(sscanf(strstr(from, "sip:u"), "sip:u%u@", &user), 1);
        assert_true(user < USERS && !seen[user]);
        seen[user] = true;
        n++;
        sip_peer_say_ok(j.g->sip, j.g->sip->from_port);
    }
    assert_true(faulty_strikes() >= USERS / 2);
    faulty_disarm();
    assert_int_equal(n, USERS);
    journey_close(&j);
}

// What the system says while sending is not taken for what a server says, or for our own bound.
static void words_of_a_stream_that_breaks(void **state)
{
    (void)state;
    static const struct {
        int error;
        const char *why;
    } cases[] = {{ECONNRESET, "the server closed the connection"},
                 {EPIPE, "the server closed the connection"},
                 {ENOBUFS, "Cannot allocate memory"},
                 {EHOSTUNREACH, "No route to host"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journey j;
        journey_open(&j, JOURNEY_UDP, true, dir);
        faulty_arm(FAULTY_send, 1, cases[i].error, false);
        component_server_send(j.g->server, "example.net",
                              "<iq type='get' from='juliet@example.com' to='romeo@example.net' "
                              "id='1'><query xmlns='jabber:iq:version'/></iq>");
        if (!gateway_wait_stream(j.g, "example.net", cases[i].why, AFTERWARDS_MS))
            fail_msg("%s: %s", cases[i].why, gateway_stream_why(j.g, "example.net"));
        faulty_disarm();
        journey_close(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepting_without_descriptors),
        cmocka_unit_test(accepting_what_is_never_there),
        cmocka_unit_test(stream_that_cannot_be_watched),
        cmocka_unit_test(bells_that_cannot_be_rung),
        cmocka_unit_test(bell_that_fails_once),
        cmocka_unit_test(one_datagram_at_a_time),
        cmocka_unit_test(words_of_a_stream_that_breaks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
