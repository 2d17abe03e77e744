// Fewer shards than before: SIP peers still send to the ports of those that are gone.
#include "gateway.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static void expect_stanza(struct gateway *g, const char *text)
{
    char *said = component_server_expect(g->server, "example.net", text, GATEWAY_PATIENCE_MS);
    if (!said)
        fail_msg("the server was not told: %s", text);
    free(said);
}

static void expect_sip(struct gateway *g, const char *start)
{
    if (!sip_peer_expect(g->sip, start, GATEWAY_PATIENCE_MS))
        fail_msg("the SIP side was not sent: %s", start);
}

static void notify(struct gateway *g, const char *subscribe, uint16_t port, const char *basic)
{
    sip_peer_notify(g->sip, subscribe, port, "active;expires=3600", basic);
    expect_sip(g, "SIP/2.0 ");
    if (strncmp(g->sip->message, "SIP/2.0 200", 11) != 0)
        fail_msg("%s", g->sip->message);
    assert_int_equal(g->sip->from_port, port);
}

// The SUBSCRIBE of a user that shard number `shard` owns, and her name. Her dialog is active, as
// are those of the users before her, who are others'.
static char *watch_from(struct gateway *g, unsigned shard, char user[32])
{
    static unsigned n;
    for (;;) {
        char bytes[256];
        snprintf(user, 32, "juliet%u", n++);
        snprintf(bytes, sizeof bytes,
                 "<presence from='%s@example.com' to='romeo@example.net' type='subscribe'/>", user);
        assert_true(component_server_send(g->server, "example.net", bytes));
        expect_sip(g, "SUBSCRIBE sip:romeo@example.net");
        uint16_t own = g->sip->from_port;
        char *subscribe = strdup(g->sip->message);
        sip_peer_say_ok(g->sip, own);
        notify(g, subscribe, own, "open");
        snprintf(bytes, sizeof bytes, "to='%s@example.com' type='subscribed'", user);
        expect_stanza(g, bytes);
        if (own == g->shard_port + shard)
            return subscribe;
        free(subscribe);
    }
}

static struct gateway *open_with(unsigned shards)
{
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = shards});
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    return g;
}

static void open_again(struct gateway *g, unsigned shards)
{
    gateway_open_again(g, &(struct gateway_wish){.shards = shards});
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
}

// Her dialog still takes presence by that port, and she sees it.
static void expect_shown(struct gateway *g, const char *subscribe, const char *user, uint16_t port)
{
    char wanted[128];
    notify(g, subscribe, port, "closed");
    snprintf(wanted, sizeof wanted, "to='%s@example.com' type='unavailable'", user);
    expect_stanza(g, wanted);
    notify(g, subscribe, port, "open");
    snprintf(wanted, sizeof wanted, "to='%s@example.com'", user);
    expect_stanza(g, wanted);
}

static void fewer(unsigned before, unsigned between, unsigned after)
{
    char user[32];
    struct gateway *g = open_with(before);
    char *subscribe = watch_from(g, before - 1, user);
    gateway_shut(g);
    if (between) {
        open_again(g, between);
        gateway_shut(g);
    }
    open_again(g, after);
    for (unsigned k = 0; k < before; k++)
        expect_shown(g, subscribe, user, (uint16_t)(g->shard_port + k));
    usleep(20000); // counters are shown at the end of a turn
    assert_int_equal(gateway_sum(g).sip_send_failures_total, 0);
    free(subscribe);
    gateway_close(g);
}

static void test_three_become_one(void **state)
{
    (void)state;
    fewer(3, 0, 1);
}

// Port 4 is shard 0's then, and the dialog that names it shard 1's.
static void test_five_become_two(void **state)
{
    (void)state;
    fewer(5, 0, 2);
}

static void test_five_become_two_become_one(void **state)
{
    (void)state;
    fewer(5, 2, 1);
}

static void test_more_again(void **state)
{
    (void)state;
    fewer(5, 1, 3);
}

static int take_port(uint16_t number)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(number),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void test_somebody_took_a_port(void **state)
{
    (void)state;
    char user[32];
    struct gateway *g = open_with(3);
    char *subscribe = watch_from(g, 2, user);
    gateway_shut(g);
    int fd = take_port((uint16_t)(g->shard_port + 1));
    open_again(g, 1);
    expect_shown(g, subscribe, user, (uint16_t)(g->shard_port + 2));
    close(fd);
    free(subscribe);
    gateway_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_become_one),           cmocka_unit_test(test_five_become_two),
        cmocka_unit_test(test_five_become_two_become_one), cmocka_unit_test(test_more_again),
        cmocka_unit_test(test_somebody_took_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
