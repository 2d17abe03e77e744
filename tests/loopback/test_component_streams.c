// The gateway's streams to its XMPP server: how they begin, break, come back, and what a server
// does to them.
#include "shards_outside.h"

// What comes in one piece with <handshake/> is the shard's to read, not libstrophe's.
static void nothing_lost(enum component_mood mood)
{
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 2, .not_started = true});
    component_server_set_mood(g->server, mood);
    component_server_set_greeting(
        g->server,
        "<presence from='juliet@example.com' to='romeo@example.net' type='subscribe'/>"
        "<presence from='nurse@example.com' to='romeo@example.net' type='subscribe'/>"
        "<presence from='tybalt@example.com' to='romeo@exam");
    assert_int_equal(shards_start(g->shards), 0);
    expect_sip(g, "SUBSCRIBE sip:romeo@example.net");
    sip_peer_say_ok(g->sip, g->sip->from_port);
    expect_sip(g, "SUBSCRIBE sip:romeo@example.net");
    sip_peer_say_ok(g->sip, g->sip->from_port);
    component_server_send(g->server, "example.net", "ple.net' type='subscribe'/>");
    expect_sip(g, "SUBSCRIBE sip:romeo@example.net");
    gateway_close(g);
}

static void test_nothing_lost_at_take_over(void **state)
{
    (void)state;
    nothing_lost(COMPONENT_WELL);
    nothing_lost(COMPONENT_BYTE_BY_BYTE);
}

static void test_stream_comes_back(void **state)
{
    (void)state;
    struct gateway *g = open_with(2);
    for (int i = 0; i < 2; i++) {
        component_server_drop(g->server, "example.net");
        assert_true(gateway_wait_stream(g, "example.net", "closed the connection", 2000));
        assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    }
    assert_int_equal(component_server_connects(g->server, "example.net"), 3);
    watch_by_detours(g, 1, 2);
    gateway_close(g);
}

// Our words to a server that breaks the rules, and to one that ends the stream by the rules.
static void test_bad_server(void **state)
{
    (void)state;
    struct gateway *g = open_with(1);
    component_server_send(g->server, "example.net", "<presence></message>");
    expect_stanza(g, "example.net",
                  "<not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
    assert_true(gateway_wait_stream(g, "example.net", "not well-formed", 2000));
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    component_server_send(g->server, "example.net",
                          "<stream:error><system-shutdown "
                          "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    assert_true(gateway_wait_stream(g, "example.net", "system-shutdown", 2000));
    gateway_close(g);
}

// 1 s, 2 s, each with a quarter of jitter either way.
static void test_backoff(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 1, .not_started = true});
    component_server_set_mood(g->server, COMPONENT_CLOSES);
    assert_int_equal(shards_start(g->shards), 0);
    while (!component_server_attempt_ms(g->server, 2))
        usleep(10000);
    uint64_t first =
        component_server_attempt_ms(g->server, 1) - component_server_attempt_ms(g->server, 0);
    uint64_t second =
        component_server_attempt_ms(g->server, 2) - component_server_attempt_ms(g->server, 1);
    assert_in_range(first, 740, 1600);
    assert_in_range(second, 1490, 2900);
    assert_non_null(strstr(gateway_stream_why(g, "example.net"), "closed the connection"));
    component_server_set_mood(g->server, COMPONENT_WELL);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    gateway_close(g);
}

static void refused(enum component_mood mood, const char *more, const char *why)
{
    struct gateway *g =
        gateway_open(&(struct gateway_wish){.shards = 1, .more = more, .not_started = true});
    component_server_set_mood(g->server, mood);
    assert_int_equal(shards_start(g->shards), 0);
    if (!gateway_wait_stream(g, "example.net", why, 15000))
        fail_msg("not \"%s\" but \"%s\"", why, gateway_stream_why(g, "example.net"));
    gateway_close(g);
}

static void test_conflict(void **state)
{
    (void)state;
    refused(COMPONENT_CONFLICT, NULL, "the server says conflict");
}

static void test_mute_server(void **state)
{
    (void)state;
    uint64_t begin = now_ms();
    refused(COMPONENT_MUTE, NULL, "no answer to the handshake");
    assert_in_range(now_ms() - begin, 9500, 14000);
}

static void test_wrong_secret(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 1, .not_started = true});
    shards_destroy(g->shards);
    g->cfg->xmpp.secret[0] = 'x';
    struct store_error why;
    assert_int_equal(shards_create(&g->shards, g->cfg, g->store, &why), 0);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "the server says not-authorized", 5000));
    gateway_close(g);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 1, .not_started = true});
    shards_destroy(g->shards);
    g->cfg->xmpp.server_port = 1;
    struct store_error why;
    assert_int_equal(shards_create(&g->shards, g->cfg, g->store, &why), 0);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "refused", 5000));
    gateway_close(g);
}

// A name may have addresses where nobody listens: "localhost" is ::1 as well, and the server is
// not.
static void test_server_by_name(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 1, .not_started = true});
    shards_destroy(g->shards);
    free(g->cfg->xmpp.server_host);
    g->cfg->xmpp.server_host = strdup("localhost");
    struct store_error why;
    assert_int_equal(shards_create(&g->shards, g->cfg, g->store, &why), 0);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "", 700)); // no delay between addresses
    component_server_drop(g->server, "example.net");
    assert_true(gateway_wait_stream(g, "example.net", "closed the connection", 700));
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    gateway_close(g);
}

static void test_server_has_no_address(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 1, .not_started = true});
    shards_destroy(g->shards);
    free(g->cfg->xmpp.server_host);
    g->cfg->xmpp.server_host = strdup("no such host");
    struct store_error why;
    assert_int_equal(shards_create(&g->shards, g->cfg, g->store, &why), 0);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "no such host: ", 5000));
    gateway_close(g);
}

enum { MANY = 1500 };
static int many[MANY];

static void open_many(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 8192 < limit.rlim_max ? 8192 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < MANY; i++)
        assert_true((many[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
}

static void close_many(void)
{
    for (int i = 0; i < MANY; i++)
        close(many[i]);
}

// All numbers below 1,024 are taken when the streams are opened; and again when one comes back.
static void test_many_descriptors(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){
        .shards = 2,
        .domains = "[\"example.net\", \"example.org\", \"a.example.net\", \"b.example.net\"]",
        .not_started = true});
    open_many();
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    assert_true(gateway_wait_stream(g, "b.example.net", "", GATEWAY_PATIENCE_MS));
    watch_by_detours(g, 1, 2);
    for (int i = 0; i < 3; i++) {
        component_server_drop(g->server, "example.net");
        assert_true(gateway_wait_stream(g, "example.net", "closed", 2000));
        assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    }
    gateway_close(g);
    close_many();
}

// More streams than may be opened at once, and more than select() could watch.
static void test_many_streams(void **state)
{
    (void)state;
    enum { STREAMS = 500 };
    open_many();
    close_many(); // only the limit is wanted
    static char list[STREAMS * 32];
    size_t n = 0;
    for (int i = 0; i < STREAMS; i++)
        n +=
            (size_t)snprintf(list + n, sizeof list - n, "%s\"d%d.example.net\"", i ? ", " : "[", i);
    snprintf(list + n, sizeof list - n, "]");
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 5, .domains = list});
    for (int i = 0; i < STREAMS; i++) {
        char domain[32];
        snprintf(domain, sizeof domain, "d%d.example.net", i);
        if (!gateway_wait_stream(g, domain, "", 30000))
            fail_msg("%s: %s", domain, gateway_stream_why(g, domain));
    }
    stanza(g, "d499.example.net", "juliet", "subscribe");
    expect_sip(g, "SUBSCRIBE sip:romeo@d499.example.net");
    gateway_close(g);
}

// Two streams for one domain: each shard speaks by its own, and each hears from both.
static void test_two_connections(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 2, .connections = 2});
    while (component_server_connects(g->server, "example.net") < 2)
        usleep(10000);
    usleep(50000);
    for (unsigned user = 0; user < 8; user++)
        watch_by_detours(g, user, 2);
    usleep(20000);
    // Stanzas come by one of the two streams, SIP by detours; what is said needs no ring.
    assert_int_equal(gateway_sum(g).stanzas_dropped_total, 0);
    shards_stop(g->shards);
    expect_stanza(g, "example.net", "</stream:stream>");
    expect_stanza(g, "example.net", "</stream:stream>");
    gateway_close(g);
}

static void test_stop_says_goodbye(void **state)
{
    (void)state;
    struct gateway *g = open_with(2);
    shards_stop(g->shards);
    expect_stanza(g, "example.net", "</stream:stream>");
    assert_string_equal(gateway_stream_why(g, "example.net"), "the gateway has stopped");
    gateway_close(g);
}

// A server that has stopped reading: the stop does not wait for it for long.
static void test_deaf_server(void **state)
{
    (void)state;
    struct gateway *g = open_with(1);
    component_server_set_mood(g->server, COMPONENT_DEAF);
    stanza(g, "example.net", "juliet", "subscribe");
    expect_sip(g, "SUBSCRIBE");
    uint64_t begin = now_ms();
    shards_stop(g->shards);
    assert_true(now_ms() - begin < 4000);
    gateway_close(g);
}

// A stanza that found no room would never be missed: the stream ends with it, and all that it may
// have brought is said anew.
static void test_slow_server(void **state)
{
    (void)state;
    enum { ID_BYTES = 4000, QUESTIONS = 8000 }; // 32 MB of answers: the backlog, and the kernel's
    static char question[ID_BYTES + 100];
    struct gateway *g = open_with(1);
    component_server_set_mood(g->server, COMPONENT_DEAF);
    snprintf(question, sizeof question,
             "<iq type='get' from='juliet@example.com' to='romeo@example.net' id='%0*d'/>",
             ID_BYTES, 0);
    for (int i = 0; i < QUESTIONS; i++)
        component_server_send(g->server, "example.net", question);
    assert_true(gateway_wait_stream(g, "example.net", "reads too slowly", GATEWAY_PATIENCE_MS));
    component_server_set_mood(g->server, COMPONENT_WELL);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    gateway_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_lost_at_take_over),
        cmocka_unit_test(test_stream_comes_back),
        cmocka_unit_test(test_bad_server),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_wrong_secret),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_mute_server),
        cmocka_unit_test(test_server_by_name),
        cmocka_unit_test(test_server_has_no_address),
        cmocka_unit_test(test_many_descriptors),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_two_connections),
        cmocka_unit_test(test_stop_says_goodbye),
        cmocka_unit_test(test_deaf_server),
        cmocka_unit_test(test_slow_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
