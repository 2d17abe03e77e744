// A component stream over a socketpair: batches, the bound of what waits, said, and the end.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shards/xmpp_stream.h"

static int server; // the other end
static unsigned stanzas;

static void count_stanza(void *arg, const struct stanza *s)
{
    (void)arg, (void)s;
    stanzas++;
}

static struct xmpp_stream *open_stream(void)
{
    int pair[2];
    struct xmpp_stream *s;
    struct stanza_reader_limits limits = {.stanza_bytes = 1000, .stanza_depth = 10};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(xmpp_stream_create(&s, pair[0], &limits, count_stanza, NULL, 1000), 0);
    server = pair[1];
    stanzas = 0;
    return s;
}

static void close_stream(struct xmpp_stream *s)
{
    xmpp_stream_destroy(s);
    close(server);
}

static int read_after(struct xmpp_stream *s, const char *said)
{
    static char scratch[XMPP_STREAM_READ_BYTES];
    bool more;
    assert_int_equal(send(server, said, strlen(said), 0), strlen(said));
    return xmpp_stream_read(s, scratch, 1, &more);
}

static void test_reads(void **state)
{
    (void)state;
    struct xmpp_stream *s = open_stream();
    assert_int_equal(read_after(s, "<presence from='juliet@example.com'/><pres"), 0);
    assert_int_equal(stanzas, 1);
    assert_int_equal(read_after(s, "ence/> <presence/>"), 0);
    assert_int_equal(stanzas, 3);
    static char scratch[XMPP_STREAM_READ_BYTES];
    bool more;
    assert_int_equal(xmpp_stream_read(s, scratch, 1, &more), 0); // nothing there
    close(server);
    assert_int_equal(xmpp_stream_read(s, scratch, 1, &more), EPIPE);
    xmpp_stream_destroy(s);
}

static void expect_why(const char *said, int error, const char *why, const char *condition)
{
    struct xmpp_stream *s = open_stream();
    char text[XMPP_STREAM_WHY_MAX];
    assert_int_equal(read_after(s, said), error);
    xmpp_stream_why(s, error, text);
    assert_string_equal(text, why);
    assert_true(text_eq(xmpp_stream_condition(error), text_of(condition)));
    close_stream(s);
}

static void test_reasons(void **state)
{
    (void)state;
    char large[16 * 1000 + 100]; // past 16 times the limit the reader gives up
    memset(large, 'a', sizeof large);
    memcpy(large, "<message><body>", 15);
    large[sizeof large - 1] = '\0';
    expect_why("</stream:stream>", ECONNRESET, "the server closed the stream", "");
    expect_why(
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        ECONNRESET, "the server says conflict", "");
    expect_why("<a></b>", EBADMSG, "the server's XML is not well-formed", "not-well-formed");
    expect_why("<a><!-- b --></a>", EPERM, "the server's XML has what XMPP forbids",
               "restricted-xml");
    expect_why(large, EMSGSIZE, "a stanza was far above the limit of size or depth",
               "policy-violation");
}

static void test_writes_one_batch(void **state)
{
    (void)state;
    struct xmpp_stream *s = open_stream();
    char heard[64];
    assert_true(xmpp_stream_send(s, TEXT("<a/>")));
    assert_true(xmpp_stream_send(s, TEXT("<b/>")));
    assert_int_equal(recv(server, heard, sizeof heard, 0), -1); // not before the flush
    assert_int_equal(xmpp_stream_backlog(s), 8);
    assert_int_equal(xmpp_stream_flush(s, 1000), 0);
    assert_int_equal(recv(server, heard, sizeof heard, 0), 8);
    assert_memory_equal(heard, "<a/><b/>", 8);
    assert_int_equal(xmpp_stream_backlog(s), 0);
    close_stream(s);
}

// All that was taken comes out whole and in order, however little the server reads at a time.
static void test_backlog(void **state)
{
    (void)state;
    struct xmpp_stream *s = open_stream();
    enum { PIECE = 4096 };
    static char piece[PIECE], heard[100000];
    size_t sent = 0, got = 0;
    for (;; sent++) {
        memset(piece, 'a' + (int)(sent % 26), PIECE);
        if (!xmpp_stream_send(s, (struct text){piece, PIECE}))
            break;
        assert_int_equal(xmpp_stream_flush(s, 1000), 0);
    }
    assert_true(xmpp_stream_backlog(s) <= XMPP_STREAM_BACKLOG_BYTES);
    assert_true(xmpp_stream_backlog(s) + PIECE > XMPP_STREAM_BACKLOG_BYTES);
    for (ssize_t n; got < sent * PIECE;) {
        assert_true((n = recv(server, heard, sizeof heard, 0)) > 0);
        for (ssize_t i = 0; i < n; i++, got++)
            if (heard[i] != 'a' + (int)(got / PIECE % 26))
                fail_msg("byte %zu differs", got);
        if (sent < 12000) { // and new ones are taken while old ones wait
            memset(piece, 'a' + (int)(sent % 26), PIECE);
            sent += xmpp_stream_send(s, (struct text){piece, PIECE});
        }
        assert_int_equal(xmpp_stream_flush(s, 1000), 0);
    }
    assert_int_equal(xmpp_stream_backlog(s), 0);
    close_stream(s);
}

static void test_stall(void **state)
{
    (void)state;
    struct xmpp_stream *s = open_stream();
    static char piece[1 << 20];
    memset(piece, ' ', sizeof piece);
    assert_true(xmpp_stream_send(s, (struct text){piece, sizeof piece}));
    assert_int_equal(xmpp_stream_flush(s, 5000), 0);  // as much as the kernel takes
    assert_int_equal(xmpp_stream_flush(s, 50000), 0); // and nothing now
    assert_int_equal(xmpp_stream_look_after(s, 50000 + XMPP_STREAM_STALL_MS - 1), 0);
    assert_int_equal(xmpp_stream_look_after(s, 50000 + XMPP_STREAM_STALL_MS), ETIMEDOUT);
    // Any progress starts the time anew.
    static char heard[1 << 18];
    assert_true(recv(server, heard, sizeof heard, 0) > 0);
    assert_int_equal(xmpp_stream_flush(s, 100000), 0);
    assert_int_equal(xmpp_stream_look_after(s, 100000 + XMPP_STREAM_STALL_MS), 0);
    close_stream(s);
}

static void test_keepalive(void **state)
{
    (void)state;
    struct xmpp_stream *s = open_stream();
    char heard[8];
    assert_int_equal(xmpp_stream_look_after(s, 1000 + XMPP_STREAM_KEEPALIVE_MS - 1), 0);
    assert_int_equal(recv(server, heard, sizeof heard, 0), -1);
    assert_int_equal(xmpp_stream_look_after(s, 1000 + XMPP_STREAM_KEEPALIVE_MS), 0);
    assert_int_equal(recv(server, heard, sizeof heard, 0), 1);
    assert_int_equal(heard[0], ' ');
    assert_int_equal(xmpp_stream_look_after(s, 1001 + XMPP_STREAM_KEEPALIVE_MS), 0);
    assert_int_equal(recv(server, heard, sizeof heard, 0), -1);
    close_stream(s);
}

static void test_end(void **state)
{
    (void)state;
    struct xmpp_stream *s = open_stream();
    char heard[256];
    xmpp_stream_end(s, TEXT("policy-violation"));
    assert_int_equal(xmpp_stream_flush(s, 1000), 0);
    ssize_t n = recv(server, heard, sizeof heard - 1, 0);
    assert_true(n > 0);
    heard[n] = '\0';
    assert_string_equal(heard,
                        "<stream:error><policy-violation "
                        "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                        "</stream:stream>");
    close_stream(s);
}

// More waits than is read at once: when what waited then is read, it is known for how long.
static void test_lag(void **state)
{
    (void)state;
    static char scratch[XMPP_STREAM_READ_BYTES], said[XMPP_STREAM_READ_BYTES * 5 / 2];
    struct xmpp_stream *s = open_stream();
    int bytes = 2 * sizeof said;
    bool more;
    assert_int_equal(setsockopt(server, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    for (size_t i = 0; i < sizeof said; i += 8)
        memcpy(said + i, "<iq/>   ", 8);
    assert_int_equal(send(server, said, sizeof said, 0), sizeof said);
    assert_int_equal(xmpp_stream_read(s, scratch, 1000, &more), 0);
    assert_true(more);
    assert_int_equal(xmpp_stream_lag_ms(s, 1000), 0);
    assert_int_equal(xmpp_stream_lag_ms(s, 1040), 40);
    assert_int_equal(send(server, said, XMPP_STREAM_READ_BYTES, 0), XMPP_STREAM_READ_BYTES);
    assert_int_equal(xmpp_stream_read(s, scratch, 1070, &more), 0);
    assert_int_equal(xmpp_stream_read(s, scratch, 1090, &more), 0); // and with it all of the first
    assert_true(more);
    assert_int_equal(xmpp_stream_lag_ms(s, 1090), 90);
    assert_int_equal(xmpp_stream_read(s, scratch, 1100, &more), 0);
    assert_false(more);
    assert_int_equal(xmpp_stream_lag_ms(s, 1200), 0);
    close_stream(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_writes_one_batch),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
