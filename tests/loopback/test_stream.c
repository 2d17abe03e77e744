// SIP over TCP and TLS through the whole gateway: which connection carries what, whatever shard it
// came to and whatever shard owns the user.
#include "gateway.h"

#include <string.h>

#include "../certificates.h"
#include "shards/sip_stream.h"
#include "stream_peer.h"

static char dir[] = "/tmp/isthmus-stream-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[4][128];
    static unsigned i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
    return path[i];
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    struct certificate ca = certificate_make(NULL, NULL, 10);
    certificate_write(certificate_make(&ca, "DNS:gw.example.net,IP:127.0.0.1", 10), dir, "good");
    certificate_write(certificate_make(&ca, "IP:127.0.0.2", 10), dir, "other");
    certificate_write(certificate_make(&ca, "IP:127.0.0.1", -1), dir, "expired");
    certificate_write(ca, dir, "ca");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

// A gateway that listens everywhere, and a peer that is its proxy over `transport`.
struct world {
    struct gateway *g;
    struct stream_peer *peer;
};

static struct world open_world(unsigned shards, const char *certificate, const char *sip_tls)
{
    struct world w;
    char proxy[64], more[1024];
    w.peer = stream_peer_open(certificate ? path_of(certificate) : NULL, path_of("ca.pem"));
    snprintf(proxy, sizeof proxy, "sip:127.0.0.1:%u;transport=%s", w.peer->port,
             certificate ? "tls" : "tcp");
    snprintf(more, sizeof more, "[sip.tls]\ncertificate = '%s'\nprivate_key = '%s'\nca = '%s'\n%s",
             path_of("good.pem"), path_of("good.key"), path_of("ca.pem"), sip_tls);
    w.g = gateway_open(&(struct gateway_wish){
        .shards = shards, .tcp = true, .tls = true, .proxy = proxy, .more = more});
    assert_true(gateway_wait_stream(w.g, "example.net", "", GATEWAY_PATIENCE_MS));
    return w;
}

static void close_world(struct world *w)
{
    gateway_close(w->g);
    stream_peer_close(w->peer);
}

static void expect_stanza(struct world *w, const char *text)
{
    char *said = component_server_expect(w->g->server, "example.net", text, GATEWAY_PATIENCE_MS);
    if (!said)
        fail_msg("the server was not told: %s", text);
    free(said);
}

static int expect_sip(struct world *w, const char *start)
{
    int connection = stream_peer_expect(w->peer, start, GATEWAY_PATIENCE_MS);
    if (connection < 0)
        fail_msg("the SIP side was not sent: %s", start);
    return connection;
}

static void expect_header(struct world *w, const char *name, const char *wanted)
{
    char value[512];
    stream_peer_header(w->peer, name, value);
    if (!strstr(value, wanted))
        fail_msg("%s: %s has no %s", name, value, wanted);
}

static const char *subscribe_text(char out[1024], const struct world *w, unsigned user,
                                  const char *more)
{
    snprintf(out, 1024,
             "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/TCP 127.0.0.1:%u;branch=z9hG4bKstream%u\r\nMax-Forwards: 70\r\n"
             "From: <sip:romeo@example.net>;tag=r%u\r\nTo: <sip:juliet%u@example.com>\r\n"
             "Call-ID: stream%u@127.0.0.1\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"
             "Contact: <sip:peer@127.0.0.1:%u;transport=tcp>\r\nExpires: 600\r\n%s\r\n",
             user, w->peer->port, user, user, user, user, w->peer->port, more);
    return out;
}

#define NO_BODY "Content-Length: 0\r\n"

// 200 on the connection of the SUBSCRIBE; the NOTIFY to the proxy, on one that the gateway opened,
// and from another shard, so it may come first (RFC 6665 §4.1.2.4).
static void serve(struct world *w, unsigned user, int connection, const char *transport)
{
    char text[1024], call_id[128], via[128];
    bool answered = false, notified = false;
    snprintf(call_id, sizeof call_id, "stream%u@", user);
    snprintf(via, sizeof via, "SIP/2.0/%s 127.0.0.1:%u;", transport,
             strcmp(transport, "TLS") ? w->g->listen_port : w->g->tls_port);
    stream_peer_say(w->peer, connection, subscribe_text(text, w, user, NO_BODY));
    while (!answered || !notified) {
        int on = expect_sip(w, "");
        expect_header(w, "Call-ID", call_id);
        if (strncmp(w->peer->message, "NOTIFY", 6) == 0) {
            assert_int_not_equal(on, connection);
            expect_header(w, "Via", via);
            stream_peer_say_ok(w->peer, on);
            notified = true;
        } else {
            assert_int_equal(on, connection);
            assert_memory_equal(w->peer->message, "SIP/2.0 200", 11);
            answered = true;
        }
    }
    snprintf(text, sizeof text, "to='juliet%u@example.com' type='subscribe'", user);
    expect_stanza(w, text);
}

// The SUBSCRIBE to the proxy; its NOTIFY on that connection, or on another one to `listen`.
static void watch(struct world *w, unsigned user, bool on_another)
{
    char bytes[2048], from[512], to[512], call_id[512], contact[512], wanted[128];
    snprintf(bytes, sizeof bytes,
             "<presence from='juliet%u@example.com' to='romeo@example.net' type='subscribe'/>",
             user);
    assert_true(component_server_send(w->g->server, "example.net", bytes));
    int connection = expect_sip(w, "SUBSCRIBE sip:romeo@example.net");
    snprintf(wanted, sizeof wanted, ":%u;transport=tcp", w->g->listen_port);
    expect_header(w, "Contact", wanted);
    stream_peer_header(w->peer, "From", from);
    stream_peer_header(w->peer, "To", to);
    stream_peer_header(w->peer, "Call-ID", call_id);
    stream_peer_header(w->peer, "Contact", contact);
    stream_peer_say_ok(w->peer, connection);
    if (on_another)
        connection = stream_peer_connect(w->peer, w->g->listen_port);
    contact[strcspn(contact, ">")] = '\0';
    snprintf(bytes, sizeof bytes,
             "NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:%u;branch=z9hG4bKnotify%u\r\n"
             "Max-Forwards: 70\r\nFrom: %s;tag=peer\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 NOTIFY\r\n"
             "Contact: <sip:peer@127.0.0.1:%u;transport=tcp>\r\nEvent: presence\r\n"
             "Subscription-State: active;expires=600\r\nContent-Length: 0\r\n\r\n",
             strchr(contact, '<') + 1, w->peer->port, user, to, from, call_id, w->peer->port);
    stream_peer_say(w->peer, connection, bytes);
    assert_int_equal(expect_sip(w, "SIP/2.0 200"), connection);
    snprintf(wanted, sizeof wanted, "to='juliet%u@example.com' type='subscribed'", user);
    expect_stanza(w, wanted);
}

// Users of all shards over connections of all shards.
static void by_detours(unsigned shards)
{
    enum { USERS = 10, CONNECTIONS = 5 };
    struct world w = open_world(shards, NULL, "");
    int connection[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        assert_true((connection[i] = stream_peer_connect(w.peer, w.g->listen_port)) >= 0);
    for (unsigned user = 0; user < USERS; user++)
        serve(&w, user, connection[user % CONNECTIONS], "TCP");
    for (unsigned user = USERS; user < 2 * USERS; user++)
        watch(&w, user, user % 2);
    usleep(20000); // counters are shown at the end of a turn
    struct shard_counters sum = gateway_sum(w.g);
    if (shards > 1)
        assert_true(sum.forwarded_total > 0);
    assert_in_range(sum.sip_stream.connected, 1, shards); // each has its own to the proxy
    assert_int_equal(sum.ring_dropped_total + sum.sip_send_failures_total, 0);
    close_world(&w);
}

static void test_one_shard(void **state)
{
    (void)state;
    by_detours(1);
}

static void test_two_shards(void **state)
{
    (void)state;
    by_detours(2);
}

static void test_five_shards(void **state)
{
    (void)state;
    by_detours(5);
}

static void test_pieces(void **state)
{
    (void)state;
    enum { N = 8 };
    struct world w = open_world(2, NULL, "");
    char text[1024], all[N * 1024] = "";
    int connection = stream_peer_connect(w.peer, w.g->listen_port);
    subscribe_text(text, &w, 100, NO_BODY);
    for (const char *p = text; *p; p++) {
        stream_peer_send(w.peer, connection, p, 1);
        usleep(100);
    }
    assert_int_equal(expect_sip(&w, "SIP/2.0 200"), connection);
    for (unsigned user = 0; user < N; user++)
        strcat(all, subscribe_text(text, &w, user, NO_BODY));
    stream_peer_say(w.peer, connection, all);
    for (unsigned user = 0; user < N; user++)
        assert_int_equal(expect_sip(&w, "SIP/2.0 200"), connection);
    close_world(&w);
}

// What gets an answer though it ends the connection, and what does not.
static void test_bad_input(void **state)
{
    (void)state;
    struct world w = open_world(2, NULL, "");
    char text[1024];
    static const struct {
        const char *more, *answer;
    } bad[] = {{"", "SIP/2.0 400"},
               {"Content-Length: five\r\n", "SIP/2.0 400"},
               {"Content-Length: 65536\r\n", "SIP/2.0 513"}};
    for (unsigned i = 0; i < 3; i++) {
        int connection = stream_peer_connect(w.peer, w.g->listen_port);
        stream_peer_say(w.peer, connection, subscribe_text(text, &w, i, bad[i].more));
        assert_int_equal(expect_sip(&w, bad[i].answer), connection);
        assert_true(stream_peer_is_closed(w.peer, connection, GATEWAY_PATIENCE_MS));
    }
    int connection = stream_peer_connect(w.peer, w.g->listen_port);
    stream_peer_say(w.peer, connection, "GET / HTTP/1.1\r\nHost: example.net\r\n\r\n");
    assert_true(stream_peer_is_closed(w.peer, connection, GATEWAY_PATIENCE_MS));
    usleep(20000);
    struct shard_counters sum = gateway_sum(w.g);
    assert_int_equal(sum.sip_stream.unframed, 2);
    assert_int_equal(sum.sip_stream.garbage, 1);
    assert_int_equal(sum.sip_oversized_total, 1);
    serve(&w, 9, stream_peer_connect(w.peer, w.g->listen_port), "TCP");
    close_world(&w);
}

// RFC 3261 §18.2.2: who asks and leaves is answered at the port of his Via, by whichever shard.
static void test_asker_leaves(void **state)
{
    (void)state;
    struct world w = open_world(5, NULL, "");
    char text[1024];
    for (unsigned user = 0; user < 10; user++) {
        int connection = stream_peer_connect(w.peer, w.g->listen_port);
        stream_peer_say_last(w.peer, connection, subscribe_text(text, &w, user, NO_BODY));
        assert_int_not_equal(expect_sip(&w, "SIP/2.0 200"), connection);
    }
    close_world(&w);
}

// The proxy closes what the gateway opened; the next request opens another one.
static void test_proxy_closes(void **state)
{
    (void)state;
    struct world w = open_world(1, NULL, "");
    int connection = stream_peer_connect(w.peer, w.g->listen_port);
    serve(&w, 1, connection, "TCP");
    for (unsigned i = 0; i < w.peer->n; i++)
        if ((int)i != connection)
            stream_peer_hang_up(w.peer, (int)i);
    serve(&w, 2, connection, "TCP");
    assert_int_equal(w.peer->n, 3);
    close_world(&w);
}

// A peer over UDP and one over TCP at the same port.
static void open_pair(struct sip_peer **udp, struct stream_peer **tcp)
{
    for (;;) {
        *udp = sip_peer_open();
        *tcp = stream_peer_open(NULL, NULL);
        stream_peer_refuse(*tcp);
        (*tcp)->port = (*udp)->port;
        if (stream_peer_listen(*tcp))
            return;
        sip_peer_close(*udp);
        stream_peer_close(*tcp);
    }
}

static void become_big(struct gateway *g, const char *status)
{
    char bytes[2048];
    assert_true(component_server_send(
        g->server, "example.net",
        "<presence from='juliet1@example.com' to='romeo@example.net' type='subscribed'/>"));
    snprintf(bytes, sizeof bytes,
             "<presence from='juliet1@example.com/balcony' to='romeo@example.net'><status>%s"
             "</status></presence>",
             status);
    assert_true(component_server_send(g->server, "example.net", bytes));
}

// Over which of the two the NOTIFY comes that has it. Those before it are small.
static bool comes_by_tcp(struct sip_peer *udp, struct stream_peer *tcp, const char *status)
{
    for (int waited = 0; waited < GATEWAY_PATIENCE_MS; waited += 40) {
        int connection = stream_peer_expect(tcp, "NOTIFY", 20);
        if (connection >= 0) {
            assert_non_null(strstr(tcp->message, status));
            stream_peer_say_ok(tcp, connection);
            return true;
        }
        if (!sip_peer_expect(udp, "NOTIFY", 20))
            continue;
        sip_peer_say_ok(udp, udp->from_port);
        if (strstr(udp->message, status))
            return false;
    }
    fail_msg("it does not come");
    return false;
}

// Over UDP a big NOTIFY goes by TCP (RFC 3261 §18.1.1); nobody listens there: by UDP after all.
static void big_notify(bool refused)
{
    struct sip_peer *udp;
    struct stream_peer *tcp;
    char status[1600], text[1024], proxy[64];
    memset(status, 'x', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    open_pair(&udp, &tcp);
    if (refused)
        stream_peer_refuse(tcp);
    snprintf(proxy, sizeof proxy, "sip:127.0.0.1:%u;transport=udp", udp->port);
    struct gateway *g =
        gateway_open(&(struct gateway_wish){.shards = 1, .tcp = true, .proxy = proxy});
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    sip_peer_send(udp, g->listen_port, subscribe_text(text, &(struct world){g, tcp}, 1, NO_BODY));
    assert_true(sip_peer_expect(udp, "SIP/2.0 200", GATEWAY_PATIENCE_MS));
    free(
        component_server_expect(g->server, "example.net", "type='subscribe'", GATEWAY_PATIENCE_MS));
    become_big(g, status);
    assert_int_equal(comes_by_tcp(udp, tcp, status), !refused);
    usleep(20000); // counters are shown at the end of a turn
    assert_int_equal(gateway_sum(g).sip_stream.connect_failures, refused);
    gateway_close(g);
    sip_peer_close(udp);
    stream_peer_close(tcp);
}

static void test_big_notify(void **state)
{
    (void)state;
    big_notify(false);
    big_notify(true);
}

// ---- TLS ---------------------------------------------------------------------------------------

static void test_tls(void **state)
{
    (void)state;
    struct world w = open_world(2, "good", "");
    for (unsigned user = 0; user < 6; user++) {
        int connection = stream_peer_connect(w.peer, w.g->tls_port);
        assert_true(connection >= 0);
        serve(&w, user, connection, "TLS");
    }
    close_world(&w);
}

// The proxy is not who it should be: nothing is said to it, and the SIP user is answered still.
static void proxy_is_not_believed(const char *certificate)
{
    struct world w = open_world(1, certificate, "");
    char text[1024];
    int connection = stream_peer_connect(w.peer, w.g->tls_port);
    stream_peer_say(w.peer, connection, subscribe_text(text, &w, 1, NO_BODY));
    assert_int_equal(expect_sip(&w, "SIP/2.0 200"), connection);
    assert_int_equal(stream_peer_expect(w.peer, "NOTIFY", 300), -1);
    assert_true(gateway_sum(w.g).sip_stream.tls_failures > 0);
    close_world(&w);
}

static void test_proxy_is_not_believed(void **state)
{
    (void)state;
    proxy_is_not_believed("other");
    proxy_is_not_believed("expired");
}

static void test_client_certificate(void **state)
{
    (void)state;
    struct world w = open_world(1, "good", "verify_client = true\n");
    serve(&w, 1, stream_peer_connect(w.peer, w.g->tls_port), "TLS");
    struct stream_peer *nobody = stream_peer_open("", path_of("ca.pem"));
    struct stream_peer *expired = stream_peer_open(path_of("expired"), path_of("ca.pem"));
    int a = stream_peer_connect(nobody, w.g->tls_port); // of TLS 1.3: it may think it is in
    int b = stream_peer_connect(expired, w.g->tls_port);
    assert_true(a < 0 || stream_peer_is_closed(nobody, a, GATEWAY_PATIENCE_MS));
    assert_true(b < 0 || stream_peer_is_closed(expired, b, GATEWAY_PATIENCE_MS));
    usleep(20000);
    assert_int_equal(gateway_sum(w.g).sip_stream.tls_failures, 2);
    stream_peer_close(nobody);
    stream_peer_close(expired);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shard),
        cmocka_unit_test(test_two_shards),
        cmocka_unit_test(test_five_shards),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_asker_leaves),
        cmocka_unit_test(test_proxy_closes),
        cmocka_unit_test(test_big_notify),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_proxy_is_not_believed),
        cmocka_unit_test(test_client_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
