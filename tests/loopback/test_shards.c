// Shards from outside: events at the wrong shard, a store that fails, questions, datagrams of any
// kind.
#include "shards_outside.h"

static void serve_by_detours(struct gateway *g, unsigned user)
{
    char message[2048], wanted[128];
    snprintf(message, sizeof message,
             "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKserve%u;rport\r\nMax-Forwards: 70\r\n"
             "From: <sip:romeo@example.net>;tag=r%u\r\nTo: <sip:juliet%u@example.com>\r\n"
             "Call-ID: serve%u@127.0.0.1\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"
             "Contact: <sip:peer@127.0.0.1:%u>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
             user, g->sip->port, user, user, user, user, g->sip->port);
    sip_peer_send(g->sip, g->listen_port, message);
    expect_sip(g, "SIP/2.0 200");
    assert_int_equal(g->sip->from_port, g->listen_port);
    expect_sip(g, "NOTIFY");
    sip_peer_say_ok(g->sip, g->listen_port);
    snprintf(wanted, sizeof wanted, "to='juliet%u@example.com' type='subscribe'", user);
    expect_stanza(g, "example.net", wanted);
}

static void detours(unsigned shards)
{
    enum { USERS = 12 };
    struct gateway *g = open_with(shards);
    for (unsigned user = 0; user < USERS; user++)
        watch_by_detours(g, user, shards);
    for (unsigned user = USERS; user < 2 * USERS; user++)
        serve_by_detours(g, user);
    usleep(20000); // counters are shown at the end of a turn
    struct shard_counters sum = gateway_sum(g);
    if (shards == 1)
        assert_int_equal(sum.forwarded_total, 0);
    else
        assert_true(sum.forwarded_total >= 3 * USERS);
    assert_int_equal(sum.ring_dropped_total, 0);
    assert_int_equal(sum.stanzas_dropped_total, 0);
    assert_int_equal(sum.sip_send_failures_total, 0);
    assert_true(sum.commits_total > 0);
    gateway_close(g);
}

static void test_one_shard(void **state)
{
    (void)state;
    detours(1);
}

static void test_two_shards(void **state)
{
    (void)state;
    detours(2);
}

static void test_five_shards(void **state)
{
    (void)state;
    detours(5);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// While the store can't be written, nothing that depends on it leaves; then everything does, once.
static void test_store_failure_holds_back(void **state)
{
    (void)state;
    char why[128];
    signal(SIGXFSZ, SIG_IGN);
    struct gateway *g = open_with(1);
    watch_by_detours(g, 0, 1);
    assert_false(shards_part_failing(g->shards, 0, why, sizeof why));
    limit_files(0);
    stanza(g, "example.net", "nurse", "subscribe");
    stanza(g, "example.net", "tybalt", "subscribe");
    assert_false(sip_peer_expect(g->sip, "SUBSCRIBE", 2500));
    assert_true(shards_part_failing(g->shards, 0, why, sizeof why));
    assert_true(strlen(why) > 0);
    // The API still gets its answers.
    struct buffer question;
    char answer[64];
    size_t n;
    buffer_init(&question, 0);
    admin_write_ping(&question, 7);
    assert_int_equal(
        shards_ask(g->shards, 0, question.p, question.n, answer, sizeof answer, &n, 2000), 0);
    buffer_free(&question);
    limit_files(RLIM_INFINITY);
    expect_sip(g, "SUBSCRIBE");
    expect_sip(g, "SUBSCRIBE");
    assert_false(shards_part_failing(g->shards, 0, why, sizeof why));
    assert_string_equal(why, "");
    struct shard_counters sum = gateway_sum(g);
    assert_in_range(sum.commit_failures_total, 2, 6); // once a second
    gateway_close(g);
}

// Of two shards: a user that shard 1 owns, and with her a dialog. Streams live at shard 0.
static void user_of_shard_1(struct gateway *g, char name[32])
{
    for (unsigned i = 0;; i++) {
        snprintf(name, 32, "juliet%u", i);
        stanza(g, "example.net", name, "subscribe");
        expect_sip(g, "SUBSCRIBE");
        sip_peer_say_ok(g->sip, g->sip->from_port);
        if (g->sip->from_port == g->shard_port + 1)
            return;
    }
}

static uint64_t stanzas_in(struct gateway *g, unsigned shard)
{
    struct shard_counters count;
    struct core_stats core;
    shards_counters(g->shards, shard, &count, &core);
    return core.stanzas_in;
}

static void options(struct gateway *g, uint16_t to_port)
{
    static unsigned n;
    char message[1024];
    n++;
    snprintf(
        message, sizeof message,
        "OPTIONS sip:gateway SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKo%u;rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:romeo@example.net>;tag=o%u\r\nTo: <sip:gateway>\r\n"
        "Call-ID: options%u@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        g->sip->port, n, n, n);
    sip_peer_send(g->sip, to_port, message);
}

// One shard can't commit and takes nothing in; the one that forwards to it keeps what the ring does
// not take, stops reading its wires, and goes on when there is room. Nothing is lost on the way.
static void test_back_pressure(void **state)
{
    (void)state;
    enum { STANZAS = 6000 };
    signal(SIGXFSZ, SIG_IGN);
    struct gateway *g = open_with(2);
    char user[32], why[128], bytes[128];
    user_of_shard_1(g, user);
    options(g, g->shard_port);
    expect_sip(g, "SIP/2.0 ");
    limit_files(0);
    snprintf(bytes, sizeof bytes,
             "<presence from='%s@example.com' to='mercutio@example.net' "
             "type='subscribe'/>",
             user);
    component_server_send(g->server, "example.net", bytes);
    while (!shards_part_failing(g->shards, 1, why, sizeof why))
        usleep(10000);
    uint64_t before = stanzas_in(g, 1);
    snprintf(bytes, sizeof bytes,
             "<presence from='%s@example.com/balcony' to='nobody@example.net'/>", user);
    for (int i = 0; i < STANZAS; i++)
        component_server_send(g->server, "example.net", bytes);
    while (!gateway_sum(g).ring_full_total)
        usleep(10000);
    assert_false(shards_part_failing(g->shards, 0, why, sizeof why));
    usleep(100000);
    options(g, g->shard_port); // shard 0 itself is well, but its wires wait
    assert_false(sip_peer_expect(g->sip, "SIP/2.0 ", 400));
    assert_int_equal(stanzas_in(g, 1), before);
    limit_files(RLIM_INFINITY);
    expect_sip(g, "SIP/2.0 ");
    for (int i = 0; i < 1000 && stanzas_in(g, 1) < before + STANZAS; i++)
        usleep(10000);
    assert_int_equal(stanzas_in(g, 1), before + STANZAS);
    assert_int_equal(gateway_sum(g).ring_dropped_total, 0);
    gateway_close(g);
}

static void test_stop_while_store_fails(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    struct gateway *g = open_with(2);
    limit_files(0);
    stanza(g, "example.net", "nurse", "subscribe");
    assert_false(sip_peer_expect(g->sip, "SUBSCRIBE", 500));
    uint64_t begin = now_ms();
    shards_stop(g->shards);
    assert_true(now_ms() - begin < 5000);
    limit_files(RLIM_INFINITY);
    assert_false(sip_peer_expect(g->sip, "SUBSCRIBE", 100));
    gateway_close(g);
}

static void test_questions(void **state)
{
    (void)state;
    struct gateway *g = open_with(3);
    struct buffer question;
    char answer[4096];
    size_t n;
    buffer_init(&question, 0);
    for (uint64_t tag = 1; tag < 200; tag++) {
        unsigned shard = tag % 3;
        buffer_reset(&question);
        admin_write_ping(&question, tag);
        if (tag % 10 == 0) // gives up at once; its answer comes into the next one's way
            shards_ask(g->shards, shard, question.p, question.n, answer, sizeof answer, &n, 0);
        assert_int_equal(
            shards_ask(g->shards, shard, question.p, question.n, answer, sizeof answer, &n, 5000),
            0);
        assert_int_equal(admin_read_ping(answer, n, tag), 0);
    }
    assert_int_equal(shards_ask(g->shards, 0, "?", 1, answer, sizeof answer, &n, 5000), EBADMSG);
    assert_int_equal(shards_ask(g->shards, 0, question.p, question.n, answer, 1, &n, 5000),
                     EMSGSIZE);
    buffer_free(&question);
    gateway_close(g);
}

static void test_reload(void **state)
{
    (void)state;
    shard_tuning.unwanted_stream_ms = 1000;
    struct gateway *g = open_with(3);
    assert_null(gateway_stream_why(g, "example.org"));
    for (int i = 0; i < 2; i++) {
        gateway_reload(g, &(struct gateway_wish){.shards = 3,
                                                 .domains = "[\"example.org\", \"example.net\"]"});
        assert_true(gateway_wait_stream(g, "example.org", "", GATEWAY_PATIENCE_MS));
        char name[32];
        snprintf(name, sizeof name, "nurse%d", i);
        stanza(g, "example.org", name, "subscribe");
        expect_sip(g, "SUBSCRIBE sip:romeo@example.org");
        char *subscribe = strdup(g->sip->message);
        sip_peer_say_ok(g->sip, g->sip->from_port);
        sip_peer_notify(g->sip, subscribe, g->listen_port, "active;expires=3600", "open");
        expect_stanza(g, "example.org", "type='subscribed'"); // by the stream of that domain
        free(subscribe);
        gateway_reload(g, &(struct gateway_wish){.shards = 3});
        expect_stanza(g, "example.org", "</stream:stream>");
        assert_null(gateway_stream_why(g, "example.org"));
    }
    assert_int_equal(component_server_connects(g->server, "example.net"), 1);
    gateway_close(g);
}

static void test_bad_datagrams(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(
        &(struct gateway_wish){.shards = 1, .more = "[limits]\nsip_message_bytes = 4096\n"});
    static char big[4098];
    memset(big, 'a', 4097);
    memcpy(big, "OPTIONS sip:a SIP/2.0\r\nX: ", 26);
    sip_peer_send(g->sip, g->listen_port, big); // one above the limit
    big[4096] = '\0';
    sip_peer_send(g->sip, g->listen_port, big); // fits, and has no end
    sip_peer_send(g->sip, g->listen_port, "what is this");
    sip_peer_send(g->sip, g->listen_port, "\r\n\r\n"); // a keep-alive is nothing bad
    for (int i = 0; i < 500 && gateway_sum(g).sip_in_bytes_total < 4096 + 4096 + 12 + 4; i++)
        usleep(10000);
    usleep(50000);
    assert_int_equal(gateway_sum(g).sip_oversized_total, 1);
    assert_in_range(gateway_sum(g).sip_unparsable_total, 1, 2);
    gateway_close(g);
}

// An address that nobody trusts is told so a few times, and what it says beyond that is not read.
static void test_flood_of_a_stranger(void **state)
{
    (void)state;
    enum { FLOOD = 200 };
    struct gateway *g =
        gateway_open(&(struct gateway_wish){.shards = 1, .sources = "[\"127.0.0.8/32\"]"});
    unsigned answers = 0;
    for (int i = 0; i < FLOOD; i++) {
        char message[1024];
        snprintf(message, sizeof message,
                 "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKflood%d;rport\r\n"
                 "Max-Forwards: 70\r\nFrom: <sip:romeo@example.net>;tag=r\r\n"
                 "To: <sip:juliet@example.com>\r\nCall-ID: flood%d\r\nCSeq: 1 SUBSCRIBE\r\n"
                 "Event: presence\r\nContact: <sip:romeo@127.0.0.1:%u>\r\n\r\n",
                 g->sip->port, i, i, g->sip->port);
        sip_peer_send(g->sip, g->listen_port, message);
    }
    while (sip_peer_expect(g->sip, "SIP/2.0 403 ", 500))
        answers++;
    assert_in_range(answers, STRANGERS_ONE_BURST, STRANGERS_ONE_BURST + 20); // it took its time
    assert_int_equal(gateway_sum(g).sip_strangers_dropped_total, FLOOD - answers);
    gateway_close(g);
}

// A request above the limit gets its answer by the head that it has (RFC 3261 §21.5.7); one of just
// the limit is taken.
static void test_large_requests(void **state)
{
    (void)state;
    enum { MOST = 4096 };
    static const char *const method[] = {"SUBSCRIBE", "NOTIFY"};
    static const char *const answer[][2] = {{"SIP/2.0 200 ", "SIP/2.0 513 "},
                                            {"SIP/2.0 481 ", "SIP/2.0 513 "}};
    struct gateway *g = gateway_open(
        &(struct gateway_wish){.shards = 2, .more = "[limits]\nsip_message_bytes = 4096\n"});
    for (int i = 0; i < 4; i++) {
        char message[MOST + 2];
        int n = snprintf(
            message, sizeof message,
            "%s sip:juliet@example.com SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKlarge%d;rport\r\nMax-Forwards: 70\r\n"
            "From: <sip:romeo@example.net>;tag=r\r\nTo: <sip:juliet@example.com>\r\n"
            "Call-ID: large%d@127.0.0.1\r\nCSeq: 1 %s\r\nEvent: presence\r\n"
            "Subscription-State: active\r\nContact: <sip:peer@127.0.0.1:%u>\r\nX: ",
            method[i / 2], g->sip->port, i, i, method[i / 2], g->sip->port);
        size_t size = MOST + i % 2;
        memset(message + n, 'x', size - (size_t)n);
        memcpy(message + size - 4, "\r\n\r\n", 5);
        sip_peer_send(g->sip, g->listen_port, message);
        expect_sip(g, "SIP/2.0 ");
        if (strncmp(g->sip->message, answer[i / 2][i % 2], 12) != 0)
            fail_msg("%s of %zu bytes: %s", method[i / 2], size, g->sip->message);
        assert_int_equal(g->sip->from_port, g->listen_port);
    }
    usleep(50000);
    assert_int_equal(gateway_sum(g).sip_oversized_total, 2);
    gateway_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shard),           cmocka_unit_test(test_two_shards),
        cmocka_unit_test(test_five_shards),         cmocka_unit_test(test_store_failure_holds_back),
        cmocka_unit_test(test_back_pressure),       cmocka_unit_test(test_stop_while_store_fails),
        cmocka_unit_test(test_questions),           cmocka_unit_test(test_reload),
        cmocka_unit_test(test_bad_datagrams),       cmocka_unit_test(test_large_requests),
        cmocka_unit_test(test_flood_of_a_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
