// Takes requests, holds them to their bounds, and sends what the routes answer.
#include "api/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "api/places.h"
#include "api/routes.h"
#include "shards/log.h"

struct api {
    struct view *view;
    struct MHD_Daemon *daemon;
    int listen_fd; // until the daemon has it
    struct places places;
    char *token; // NULL: none is asked for
    uint16_t port;
    uint64_t said_ms; // that there are no descriptors; 0: never
};

// From the request line to the end of the answer.
struct request {
    bool begun;    // its header was looked at
    bool too_long; // the target is longer than URI_MAX
    char target[];
};

// --- sending

static void add_header(struct MHD_Response *m, const char *name, const char *value)
{
    MHD_add_response_header(m, name, value);
}

static void add_headers(struct MHD_Response *m, const struct reply *r)
{
    add_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
    add_header(m, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add_header(m, "X-Content-Type-Options", "nosniff");
    if (r->allow)
        add_header(m, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (r->challenge == CHALLENGE_MISSING)
        add_header(m, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"isthmus\"");
    if (r->challenge == CHALLENGE_WRONG)
        add_header(m, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                   "Bearer realm=\"isthmus\", error=\"invalid_token\"");
    if (r->retry_after_s) {
        char value[16];
        snprintf(value, sizeof value, "%u", r->retry_after_s);
        add_header(m, MHD_HTTP_HEADER_RETRY_AFTER, value);
    }
}

// Hands the body over to the library. MHD_NO closes the connection: no memory.
static enum MHD_Result send_reply(struct MHD_Connection *c, struct reply *r)
{
    if (r->body.failed) {
        log_error("api_no_memory", NULL);
        return MHD_NO;
    }
    struct MHD_Response *m =
        MHD_create_response_from_buffer(r->body.n, r->body.p, MHD_RESPMEM_MUST_FREE);
    if (!m)
        return MHD_NO;
    buffer_init(&r->body, 0);
    add_headers(m, r);
    enum MHD_Result rc = MHD_queue_response(c, r->status, m);
    MHD_destroy_response(m);
    return rc;
}

// --- the token

// Takes as long for any guess of a length, right or wrong.
static bool same_secret(struct text guess, struct text secret)
{
    volatile unsigned char differs = guess.n != secret.n;
    for (size_t i = 0; i < guess.n; i++)
        differs |= (unsigned char)(guess.p[i] ^ secret.p[i < secret.n ? i : 0]);
    return !differs;
}

// RFC 6750 §2.1; the scheme's name is case-insensitive (RFC 9110 §11.1).
static enum reply_challenge check_token(const struct api *api, struct MHD_Connection *c)
{
    const char *sent =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    struct text t = text_of(sent);
    if (!api->token)
        return CHALLENGE_NONE;
    if (t.n < 7 || !text_eq_nocase((struct text){t.p, 7}, TEXT("bearer ")))
        return CHALLENGE_MISSING;
    bool right = same_secret((struct text){t.p + 7, t.n - 7}, text_of(api->token));
    return right ? CHALLENGE_NONE : CHALLENGE_WRONG;
}

// --- bounds, known from the header alone

static uint64_t header_bytes(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return i ? i->header_size : 0;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

// True when the request goes no further; its body is not waited for then.
static bool exceeds_bounds(struct MHD_Connection *c, const struct request *q, struct reply *r)
{
    const char *length = header(c, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (q->too_long)
        reply_problem(r, MHD_HTTP_URI_TOO_LONG, "the target is longer than %d bytes", URI_MAX);
    else if (header_bytes(c) > HTTP_HEADER_MAX)
        reply_problem(r, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                      "the header is longer than %d bytes", HTTP_HEADER_MAX);
    else if (header(c, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        reply_problem(r, MHD_HTTP_LENGTH_REQUIRED, "a body needs a Content-Length");
    else if (length && strtoull(length, NULL, 10) > HTTP_BODY_MAX)
        reply_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body is longer than %d bytes",
                      HTTP_BODY_MAX);
    return r->body.n > 0 || r->body.failed;
}

// --- connections

static void on_connection(void *cls, struct MHD_Connection *c, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct api *api = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        places_leave(&api->places, *slot);
        *slot = NULL;
        return;
    }
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    int its = fd->connect_fd; // the next answer is written over this one
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *slot = places_take(&api->places, its, from->client_addr);
}

static void use_place(struct api *api, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    places_use(&api->places, i->socket_context);
}

// --- a request's way

static void dispatch(struct api *api, struct MHD_Connection *c, const char *method, char *target,
                     struct reply *r)
{
    struct uri u;
    int rc = uri_split(&u, target);
    const struct route *route = rc ? NULL : route_find(u.path);
    enum reply_challenge challenge = route && route->open ? CHALLENGE_NONE : check_token(api, c);
    if (challenge) {
        r->challenge = challenge;
        reply_problem(r, MHD_HTTP_UNAUTHORIZED, "this path asks for the bearer token");
    } else if (rc) {
        reply_problem(r, MHD_HTTP_BAD_REQUEST,
                      rc == E2BIG ? "too many parameters" : "the target is not well-formed");
    } else if (!route) {
        reply_problem(r, MHD_HTTP_NOT_FOUND, "nothing is served at this path");
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        r->allow = true;
        reply_problem(r, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are served here");
    } else {
        route_run(route, api->view, &u, r);
    }
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_n, void **slot)
{
    struct api *api = cls;
    struct request *q = *slot;
    struct reply r;
    (void)version, (void)body;
    if (!q)
        return MHD_NO; // no memory at its begin
    reply_init(&r);
    bool begun = q->begun;
    q->begun = true;
    if (begun && *body_n) {
        *body_n = 0;
        return MHD_YES;
    }
    if (!begun && !exceeds_bounds(c, q, &r))
        return MHD_YES; // comes again when the body was read
    api->view->requests_total++;
    use_place(api, c);
    if (begun)
        dispatch(api, c, method, q->target, &r);
    log_debug("api_request", "method", method, "path", url, "status", LOG_U64(r.status), NULL);
    enum MHD_Result rc = send_reply(c, &r);
    reply_free(&r);
    return rc;
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *c)
{
    (void)cls, (void)c;
    size_t n = strlen(target);
    bool too_long = n > URI_MAX;
    struct request *q = malloc(sizeof *q + (too_long ? 0 : n) + 1);
    if (!q)
        return NULL;
    *q = (struct request){.too_long = too_long};
    memcpy(q->target, target, too_long ? 0 : n);
    q->target[too_long ? 0 : n] = '\0';
    return q;
}

static void on_done(void *cls, struct MHD_Connection *c, void **slot,
                    enum MHD_RequestTerminationCode why)
{
    (void)cls, (void)c, (void)why;
    free(*slot);
    *slot = NULL;
}

// Out of descriptors, and with no connection whose end might free one, the library tries again at
// once, and again, a whole core long. It has something to say each time, and that is where it can
// be slowed down: nothing else is waiting for its thread then.
static void rest(struct api *api, int error)
{
    const struct timespec a_while = {.tv_nsec = HTTP_REST_MS * 1000000L};
    uint64_t now_ms = view_mono_ms();
    if (!api->said_ms || now_ms - api->said_ms >= HTTP_SAY_MS) {
        log_warn("api_accept_failed", "why", strerror(error), NULL);
        api->said_ms = now_ms;
    }
    nanosleep(&a_while, NULL);
}

static void on_log(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
// What the library has to say is about its clients, mostly: nothing to wake an operator for.
static void on_log(void *cls, const char *format, va_list args)
{
    char line[256];
    int error = errno; // of the accept() that failed, if it is about that
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_debug("api_http", "message", line, NULL);
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
        rest(cls, error);
    errno = 0; // or the next line would be taken for one about it
}

// --- listening

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int listen_on(const struct addrinfo *a, int *out)
{
    int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, HTTP_BACKLOG) != 0) {
        int rc = errno;
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

static int open_listener(const struct api_settings *s, bool has_token, int *fd,
                         struct store_error *why)
{
    char port[8];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", s->listen_port);
    int bad = getaddrinfo(s->listen_host, port, &hints, &found);
    if (bad) {
        snprintf(why->text, sizeof why->text, "api: %s: %s", s->listen_host, gai_strerror(bad));
        return EINVAL;
    }
    int rc = EINVAL;
    if (!has_token && !is_loopback(found->ai_addr)) {
        snprintf(why->text, sizeof why->text, "api: %s is beyond loopback: token_file is needed",
                 s->listen_host);
    } else {
        rc = listen_on(found, fd);
        if (rc)
            snprintf(why->text, sizeof why->text, "api: %s port %s: %s", s->listen_host, port,
                     strerror(rc));
    }
    freeaddrinfo(found);
    return rc;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

// --- start and stop

// Its thread inherits the mask of signals: main has blocked them before.
// poll(), not epoll: with the latter (edge-triggered) the library misses the end of a client that
// sends half a request and closes, and keeps its place until the time-out.
static struct MHD_Daemon *start_daemon(struct api *api, int fd)
{
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, api, MHD_OPTION_EXTERNAL_LOGGER, on_log, api, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_done,
        NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, api, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(HTTP_CONNECTIONS_MAX + HTTP_CONNECTIONS_LEAVING),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_END);
}

int api_start(struct api *api, struct store_error *why)
{
    api->daemon = start_daemon(api, api->listen_fd);
    if (!api->daemon) {
        snprintf(why->text, sizeof why->text, "api: the HTTP server does not start");
        return EAGAIN;
    }
    api->listen_fd = -1; // the library's now
    return 0;
}

static int listen_with(struct api *api, const struct api_settings *s,
                       const struct api_source *source, struct store_error *why)
{
    snprintf(why->text, sizeof why->text, "api: %s", strerror(ENOMEM));
    if (s->token && s->token[0] && !(api->token = strndup(s->token, HTTP_TOKEN_MAX)))
        return ENOMEM;
    int rc = view_create(&api->view, source);
    if (rc == 0)
        rc = open_listener(s, api->token != NULL, &api->listen_fd, why);
    if (rc)
        return rc;
    api->port = bound_port(api->listen_fd);
    api->places.most = HTTP_CONNECTIONS_MAX;
    return 0;
}

int api_listen_on(struct api **out, const struct api_settings *settings,
                  const struct api_source *source, struct store_error *why)
{
    struct api *api = calloc(1, sizeof *api);
    *out = NULL;
    if (!api) {
        snprintf(why->text, sizeof why->text, "api: %s", strerror(ENOMEM));
        return ENOMEM;
    }
    api->listen_fd = -1;
    int rc = listen_with(api, settings, source, why);
    if (rc)
        api_stop(api);
    else
        *out = api;
    return rc;
}

void api_stop(struct api *api)
{
    if (!api)
        return;
    if (api->daemon)
        MHD_stop_daemon(api->daemon);
    if (api->listen_fd >= 0)
        close(api->listen_fd);
    view_destroy(api->view);
    free(api->token);
    free(api);
}

void api_set_draining(struct api *api, bool draining)
{
    atomic_store(&api->view->draining, draining);
}

uint16_t api_port(const struct api *api)
{
    return api->port;
}
