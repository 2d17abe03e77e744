// Opens and authenticates one component stream (XEP-0114) by way of libstrophe, and then takes the
// descriptor from it, with not a byte of the stream lost.
//
// ## The take-over
//
// libstrophe reads its socket 4 KiB at a time and parses whatever comes. A server that has stanzas
// waiting sends them right behind <handshake/>, so by the time libstrophe says "connected" it would
// have swallowed some. To get a clean cut, libstrophe never sees the real socket:
//
//     libstrophe ◀── socketpair ──▶ here ◀── TCP ──▶ XMPP server
//
// 1. libstrophe makes a TCP socket and shows it to the sockopt callback. The callback moves it to a
//    high number, and puts a duplicate onto the low one that the caller keeps for that purpose:
//    only there can libstrophe's select() watch it, however many descriptors the process holds.
// 2. libstrophe starts the connect() on the low number. Then one end of a socketpair takes that
//    number's place: what libstrophe believes to be its connection.
// 3. What libstrophe writes is passed on. What the server sends is passed on up to a '>' at a time,
//    letting libstrophe run after each. Every tag ends in '>', so when it reports success, what it
//    has read ends exactly with <handshake/>, and the rest still lies in the kernel. (Bytes one by
//    one would do too, but for expat's deferred re-parsing of unfinished tokens.)
// 4. libstrophe is dropped. Its farewell, if any, goes into the socketpair.
//
// ## The crash
//
// libstrophe 0.12.2 gives a stream-management state to client connections only, and reads that of a
// component, a null pointer, after its handshake. So each connection is given one that was made for
// a client that never connects: its sockopt callback fails before there is a packet.
#include "shards/xmpp_open.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <sys/socket.h>
#include <unistd.h>

struct xmpp_open {
    enum xmpp_open_state state;
    bool connected; // TCP
    bool dropping;  // the library's connection, by us
    int fd;         // the real socket; -1 after it was taken
    int inner;      // our end of the socketpair
    int low_fd;     // until libstrophe owns it, then -1
    uint64_t connect_deadline_ms, deadline_ms;
    xmpp_ctx_t *ctx;
    xmpp_conn_t *conn;
    size_t n_tag, n_total;
    char tag[XMPP_OPEN_TAG_MAX]; // from the server, up to a '>' that has not come yet
    char why[XMPP_OPEN_WHY_MAX];
};

// For the sockopt callback, which has no argument of ours.
static _Thread_local struct xmpp_open *opening;

void xmpp_open_initialize(void)
{
    xmpp_initialize();
}

void xmpp_open_shutdown(void)
{
    xmpp_shutdown();
}

static void open_fail(struct xmpp_open *o, const char *why)
{
    if (o->state == XMPP_OPEN_FAILED)
        return; // the first reason is the reason
    o->state = XMPP_OPEN_FAILED;
    snprintf(o->why, sizeof o->why, "%s", why);
}

// RFC 6120 §4.9.3, in the order of libstrophe's enumeration.
static const char *stream_error_name(xmpp_error_type_t type)
{
    static const char *const name[] = {
        "bad-format",
        "bad-namespace-prefix",
        "conflict",
        "connection-timeout",
        "host-gone",
        "host-unknown",
        "improper-addressing",
        "internal-server-error",
        "invalid-from",
        "invalid-id",
        "invalid-namespace",
        "invalid-xml",
        "not-authorized",
        "policy-violation",
        "remote-connection-failed",
        "resource-constraint",
        "restricted-xml",
        "see-other-host",
        "system-shutdown",
        "undefined-condition",
        "unsupported-encoding",
        "unsupported-stanza-type",
        "unsupported-version",
        "not-well-formed",
    };
    return (size_t)type < sizeof name / sizeof *name ? name[type] : "unknown";
}

static void open_fail_by_server(struct xmpp_open *o, const xmpp_stream_error_t *e)
{
    char why[XMPP_OPEN_WHY_MAX];
    const char *text = e->text ? e->text : "";
    snprintf(why, sizeof why, "the server says %s%s%s", stream_error_name(e->type),
             *text ? ": " : "", text);
    open_fail(o, why);
}

static void on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
                          xmpp_stream_error_t *stream_error, void *arg)
{
    (void)conn;
    struct xmpp_open *o = arg;
    if (!o || o->state != XMPP_OPEN_PENDING)
        return;
    if (event == XMPP_CONN_CONNECT)
        o->state = XMPP_OPEN_DONE;
    else if (stream_error)
        open_fail_by_server(o, stream_error);
    else if (!o->dropping)
        open_fail(o, error ? strerror(error) : "the server closed the stream");
}

static int on_socket_refuse(xmpp_conn_t *conn, void *socket)
{
    (void)conn;
    (void)socket;
    return -1;
}

// The number is kept by another file until then. An interruption (dup(2)) is no end of an attempt.
static int low_fd_become(int low_fd, int fd)
{
    while (dup3(fd, low_fd, O_CLOEXEC) < 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

// Step 1 of the take-over. `socket` is libstrophe's own variable.
static int on_socket_move(xmpp_conn_t *conn, void *socket)
{
    (void)conn;
    struct xmpp_open *o = opening;
    int *fd = socket;
    if (o->low_fd < 0)
        return -1; // a second address of one numeric host: there is none
    o->fd = fcntl(*fd, F_DUPFD_CLOEXEC, XMPP_OPEN_LOW_FD);
    if (o->fd < 0)
        o->fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3); // few descriptors allowed: then none is high
    if (o->fd < 0 || low_fd_become(o->low_fd, *fd))
        return -1;
    close(*fd);
    *fd = o->low_fd;
    o->low_fd = -1;
    return 0;
}

// The work-around for the crash, as above.
static xmpp_sm_state_t *borrow_sm_state(xmpp_ctx_t *ctx)
{
    xmpp_conn_t *client = xmpp_conn_new(ctx);
    if (!client)
        return NULL;
    xmpp_conn_set_jid(client, "nobody@localhost");
    xmpp_conn_set_sockopt_callback(client, on_socket_refuse);
    xmpp_connect_client(client, "127.0.0.1", 1, on_connection, NULL);
    xmpp_sm_state_t *state = xmpp_conn_get_sm_state(client);
    xmpp_conn_release(client);
    return state;
}

static bool open_make_connection(struct xmpp_open *o, const struct xmpp_open_target *target)
{
    o->ctx = xmpp_ctx_new(NULL, NULL);
    xmpp_sm_state_t *state = o->ctx ? borrow_sm_state(o->ctx) : NULL;
    o->conn = state ? xmpp_conn_new(o->ctx) : NULL;
    if (!o->conn || xmpp_conn_set_sm_state(o->conn, state) != XMPP_EOK) {
        if (state)
            xmpp_free_sm_state(state);
        return false;
    }
    xmpp_conn_set_jid(o->conn, target->domain);
    xmpp_conn_set_pass(o->conn, target->secret);
    xmpp_conn_set_sockopt_callback(o->conn, on_socket_move);
    return true;
}

// Steps 1 and 2 of the take-over.
static int open_connect(struct xmpp_open *o, const struct xmpp_open_target *target)
{
    int low_fd = o->low_fd;
    int pair[2];
    opening = o;
    errno = 0;
    int failed = xmpp_connect_component(o->conn, target->host, target->port, on_connection, o);
    int error = errno ? errno : ECONNABORTED;
    opening = NULL;
    if (failed)
        return error;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
        return errno;
    error = low_fd_become(low_fd, pair[1]);
    close(pair[1]);
    o->inner = pair[0];
    return error;
}

struct xmpp_open *xmpp_open_start(const struct xmpp_open_target *target, int low_fd,
                                  uint64_t now_ms, char why[XMPP_OPEN_WHY_MAX])
{
    assert(low_fd >= 0 && low_fd < XMPP_OPEN_LOW_FD);
    struct xmpp_open *o = calloc(1, sizeof *o);
    if (!o) {
        close(low_fd);
        snprintf(why, XMPP_OPEN_WHY_MAX, "%s", strerror(ENOMEM));
        return NULL;
    }
    o->fd = o->inner = -1;
    o->low_fd = low_fd;
    o->connect_deadline_ms = now_ms + XMPP_OPEN_CONNECT_MS;
    o->deadline_ms = now_ms + XMPP_OPEN_TIMEOUT_MS;
    int error = open_make_connection(o, target) ? open_connect(o, target) : ENOMEM;
    if (!error)
        return o;
    snprintf(why, XMPP_OPEN_WHY_MAX, "can't connect: %s", strerror(error));
    xmpp_open_destroy(o);
    return NULL;
}

// Step 4. The connection's last callback still finds `o` alive, and may tell a stream error.
static void open_drop_connection(struct xmpp_open *o)
{
    o->dropping = true;
    if (o->conn)
        xmpp_conn_release(o->conn);
    if (o->ctx)
        xmpp_ctx_free(o->ctx);
    o->conn = NULL;
    o->ctx = NULL;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void xmpp_open_destroy(struct xmpp_open *o)
{
    if (!o)
        return;
    open_drop_connection(o); // while the socketpair still has its other end: no SIGPIPE
    close_if_open(o->fd);
    close_if_open(o->inner);
    close_if_open(o->low_fd);
    free(o);
}

int xmpp_open_fd(const struct xmpp_open *o)
{
    return o->fd;
}

short xmpp_open_poll_events(const struct xmpp_open *o)
{
    return o->connected ? POLLIN : POLLOUT;
}

uint64_t xmpp_open_deadline_ms(const struct xmpp_open *o)
{
    return o->connected ? o->deadline_ms : o->connect_deadline_ms;
}

static void open_fail_by_socket(struct xmpp_open *o, int error)
{
    bool closed = error == 0 || error == ECONNRESET || error == EPIPE;
    open_fail(o, closed ? "the server closed the connection" : strerror(error));
}

// What libstrophe wants said. It is a few hundred bytes at the beginning of a connection; a kernel
// that does not take them at once is not worth a queue.
static int open_send(const struct xmpp_open *o, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return errno;
        p += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

static void open_pass_to_server(struct xmpp_open *o)
{
    char bytes[XMPP_OPEN_TAG_MAX];
    ssize_t n;
    while ((n = recv(o->inner, bytes, sizeof bytes, MSG_DONTWAIT)) > 0 ||
           (n < 0 && errno == EINTR)) {
        int error = n > 0 ? open_send(o, bytes, (size_t)n) : 0;
        if (error) {
            open_fail_by_socket(o, error);
            return;
        }
    }
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        open_fail(o, "the relay from the library broke");
}

// Twice: what the first round queues, the second sends.
static void open_run_strophe(struct xmpp_open *o)
{
    for (int i = 0; i < 2 && o->state == XMPP_OPEN_PENDING; i++)
        xmpp_run_once(o->ctx, 0);
    if (o->state == XMPP_OPEN_PENDING)
        open_pass_to_server(o);
}

static void open_pass_tag_to_strophe(struct xmpp_open *o)
{
    ssize_t sent = send(o->inner, o->tag, o->n_tag, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent != (ssize_t)o->n_tag)
        open_fail(o, "the relay to the library broke");
    o->n_tag = 0;
    open_run_strophe(o);
}

// Takes the bytes up to the next '>' from the kernel; all that are there, when there is none among
// them. False: nothing more now.
static bool open_read_tag(struct xmpp_open *o)
{
    char *at = o->tag + o->n_tag;
    size_t room = sizeof o->tag - o->n_tag;
    ssize_t n = recv(o->fd, at, room, MSG_DONTWAIT | MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    if (n <= 0) {
        int error = n == 0 ? 0 : errno;
        open_drop_connection(o); // it may have read a stream error, and tells now
        open_fail_by_socket(o, error);
        return false;
    }
    const char *end = memchr(at, '>', (size_t)n);
    size_t take = end ? (size_t)(end + 1 - at) : (size_t)n;
    do // they are there
        n = recv(o->fd, at, take, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)take) {
        open_fail(o, "the connection broke");
        return false;
    }
    o->n_tag += take;
    o->n_total += take;
    if (end)
        open_pass_tag_to_strophe(o);
    else if (o->n_tag == sizeof o->tag)
        open_fail(o, "the server's tag is too long");
    if (o->n_total > XMPP_OPEN_BYTES_MAX)
        open_fail(o, "the server sends too much before the handshake");
    return o->state == XMPP_OPEN_PENDING;
}

static void open_finish_connect(struct xmpp_open *o)
{
    struct pollfd ready = {.fd = o->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) <= 0)
        return;
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(o->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error) {
        char why[XMPP_OPEN_WHY_MAX];
        snprintf(why, sizeof why, "can't connect: %s", strerror(error));
        open_fail(o, why);
        return;
    }
    o->connected = true;
    open_run_strophe(o); // it finds the socketpair connected, and greets
}

enum xmpp_open_state xmpp_open_run(struct xmpp_open *o, uint64_t now_ms)
{
    if (o->state == XMPP_OPEN_PENDING && !o->connected)
        open_finish_connect(o);
    while (o->state == XMPP_OPEN_PENDING && o->connected && open_read_tag(o))
        ;
    if (o->state == XMPP_OPEN_PENDING && now_ms >= xmpp_open_deadline_ms(o))
        open_fail(o, o->connected ? "no answer to the handshake in time"
                                  : "no answer to the connection attempt in time");
    return o->state;
}

int xmpp_open_take(struct xmpp_open *o)
{
    assert(o->state == XMPP_OPEN_DONE);
    int fd = o->fd;
    o->fd = -1;
    return fd;
}

const char *xmpp_open_why(const struct xmpp_open *o)
{
    return o->why;
}
