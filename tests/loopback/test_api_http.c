// The API's manners as an HTTP server: bounds, methods, the token, listening.
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "api/http.h"
#include "api/uri.h"
#include "tests/loopback/api_world.h"
#include "tests/loopback/http_client.h"

struct fixture {
    struct api_world *world;
    struct api *api;
    uint16_t port;
};

static int start(void **state, const char *token)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct store_error why;
    struct api_settings settings = {.listen_host = "127.0.0.1", .token = token};
    f->world = world_create();
    struct api_source source = world_source(f->world);
    assert_int_equal(world_start_api(&f->api, &settings, &source, &why), 0);
    f->port = api_port(f->api);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return start(state, "");
}

static int set_up_token(void **state)
{
    return start(state, "open-sesame");
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    api_stop(f->api);
    world_destroy(f->world);
    free(f);
    return 0;
}

static void assert_problem(const struct http_answer *a, int status)
{
    assert_int_equal(a->status, status);
    assert_string_equal(http_field(a, "Content-Type"), "application/problem+json");
    json_t *j = json_loadb(a->body, a->body_n, 0, NULL);
    assert_non_null(j);
    assert_int_equal(json_object_size(j), 4);
    assert_string_equal(json_string_value(json_object_get(j, "type")), "about:blank");
    assert_true(json_string_length(json_object_get(j, "title")) > 0);
    assert_int_equal(json_integer_value(json_object_get(j, "status")), status);
    assert_true(json_string_length(json_object_get(j, "detail")) > 0);
    json_decref(j);
}

static void expect_problem(void **state, const char *method, const char *target, const char *fields,
                           int status)
{
    struct fixture *f = *state;
    struct http_answer a = http_ask(f->port, method, target, fields);
    assert_problem(&a, status);
    http_answer_free(&a);
}

static void expect(void **state, const char *method, const char *target, const char *fields,
                   int status)
{
    struct fixture *f = *state;
    struct http_answer a = http_ask(f->port, method, target, fields);
    if (a.status != status)
        fail_msg("%s %s: %d, wanted %d", method, target, a.status, status);
    http_answer_free(&a);
}

static void unknown_paths(void **state)
{
    static const char *const paths[] = {
        "/",           "/v1",        "/v1/",         "/v1/status/",
        "//v1/status", "/V1/status", "/v1%2fstatus", "/v1/subscriptions/1",
        "/healthz/..", "/%00"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect_problem(state, "GET", paths[i], "", 404);
    expect_problem(state, "POST", "/nowhere", "", 404);
}

static void other_methods(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct http_answer a = http_ask(f->port, methods[i], "/v1/status", "");
        assert_problem(&a, 405);
        assert_string_equal(http_field(&a, "Allow"), "GET, HEAD");
        http_answer_free(&a);
    }
    expect_problem(state, "POST", "/healthz", "Content-Length: 0\r\n", 405);
}

static void head_is_get_without_body(void **state)
{
    static const char *const paths[] = {"/healthz",    "/readyz",           "/openapi.json",
                                        "/v1/shards",  "/v1/subscriptions", "/nowhere",
                                        "/v1/shards?x"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct http_answer get = http_ask(f->port, "GET", paths[i], "");
        struct http_answer head = http_ask(f->port, "HEAD", paths[i], "");
        assert_int_equal(head.status, get.status);
        assert_int_equal(atoi(http_field(&head, "Content-Length")), get.body_n);
        assert_true(get.body_n > 0);
        http_answer_free(&get);
        http_answer_free(&head);
    }
    // And nothing of a body follows on a connection that is kept.
    static const char two[] =
        "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = http_connect(f->port);
    struct http_answer first = http_exchange(fd, two, sizeof two - 1, true);
    struct http_answer second = http_exchange(fd, "", 0, false);
    assert_int_equal(first.status, 200);
    assert_problem(&second, 404);
    http_answer_free(&first);
    http_answer_free(&second);
    close(fd);
}

static void absolute_form_is_taken(void **state)
{
    expect(state, "GET", "http://localhost/healthz", "", 200);
    expect_problem(state, "GET", "http://localhost", "", 400);
    expect_problem(state, "OPTIONS", "*", "", 400);
}

// --- bounds: at each one, and one past it

static char *repeat(const char *before, char c, size_t n, const char *after)
{
    char *z = malloc(strlen(before) + n + strlen(after) + 1);
    char *at = stpcpy(z, before);
    memset(at, c, n);
    strcpy(at + n, after);
    return z;
}

static void long_targets(void **state)
{
    char *longest = repeat("/", 'x', URI_MAX - 1, "");
    char *longer = repeat("/", 'x', URI_MAX, "");
    expect_problem(state, "GET", longest, "", 404);
    expect_problem(state, "GET", longer, "", 414);
    free(longest);
    free(longer);
}

static void long_headers(void **state)
{
    static const char frame[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    size_t rest = HTTP_HEADER_MAX - (sizeof frame - 1) - strlen("X: \r\n\r\n");
    char *longest = repeat("X: ", 'x', rest, "\r\n");
    char *longer = repeat("X: ", 'x', rest + 1, "\r\n");
    char *huge = repeat("X: ", 'x', HTTP_CONNECTION_BYTES, "\r\n");
    expect(state, "GET", "/healthz", longest, 200);
    expect_problem(state, "GET", "/healthz", longer, 431);
    expect(state, "GET", "/healthz", huge, 431); // past what the library itself takes
    expect(state, "GET", "/healthz", "", 200);
    free(longest);
    free(longer);
    free(huge);
}

static void bodies(void **state)
{
    struct fixture *f = *state;
    char fields[64];
    snprintf(fields, sizeof fields, "Content-Length: %d\r\n", HTTP_BODY_MAX + 1);
    expect_problem(state, "GET", "/healthz", fields, 413);
    expect_problem(state, "POST", "/healthz", fields, 413);
    expect_problem(state, "POST", "/healthz", "Transfer-Encoding: chunked\r\n", 411);
    snprintf(fields, sizeof fields,
             "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", HTTP_BODY_MAX);
    char *longest = repeat(fields, 'x', HTTP_BODY_MAX, "");
    int fd = http_connect(f->port);
    for (int i = 0; i < 2; i++) { // passed over, and the connection stays in step
        struct http_answer a = http_exchange(fd, longest, strlen(longest), false);
        assert_int_equal(a.status, 200);
        http_answer_free(&a);
    }
    close(fd);
    free(longest);
}

static bool is_answered(int fd, int wait_ms)
{
    char byte;
    struct timeval wait = {.tv_usec = wait_ms * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return recv(fd, &byte, 1, 0) == 1;
}

// One more than there are places is answered, and the one that was used longest ago is closed.
static void too_many_connections(void **state)
{
    struct fixture *f = *state;
    int fd[HTTP_CONNECTIONS_MAX + 1];
    char byte;
    static const char get[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0; i <= HTTP_CONNECTIONS_MAX; i++) {
        if (i == HTTP_CONNECTIONS_MAX) { // the first is not the one any more
            struct http_answer again = http_exchange(fd[0], get, sizeof get - 1, false);
            http_answer_free(&again);
        }
        fd[i] = http_connect(f->port);
        struct http_answer a = http_exchange(fd[i], get, sizeof get - 1, false);
        assert_int_equal(a.status, 200);
        http_answer_free(&a);
    }
    assert_int_equal(recv(fd[1], &byte, 1, 0), 0);
    assert_int_equal(recv(fd[0], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(recv(fd[2], &byte, 1, MSG_DONTWAIT), -1);
    for (int i = 0; i <= HTTP_CONNECTIONS_MAX; i++)
        close(fd[i]);
    expect(state, "GET", "/healthz", "", 200);
}

static int connect_from(const char *ip, uint16_t port)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(inet_pton(AF_INET, ip, &from.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

// Four addresses hold all places with half a request each, and more wait. Somebody else is answered
// at once, now and on the connection that he had before.
static void slow_connections(void **state)
{
    struct fixture *f = *state;
    enum { SLOW = 4 * HTTP_CONNECTIONS_MAX };
    int fd[SLOW], early = http_connect(f->port);
    static const char get[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_answer a = http_exchange(early, get, sizeof get - 1, false);
    http_answer_free(&a);
    for (int i = 0; i < SLOW; i++) {
        char ip[16];
        snprintf(ip, sizeof ip, "127.0.0.%d", 2 + i % 4);
        fd[i] = connect_from(ip, f->port);
        send(fd[i], get, 10, MSG_NOSIGNAL);
    }
    int late = http_connect(f->port);
    send(late, get, sizeof get - 1, MSG_NOSIGNAL);
    assert_true(is_answered(late, 900));
    send(early, get, sizeof get - 1, MSG_NOSIGNAL);
    assert_true(is_answered(early, 900));
    for (int i = 0; i < SLOW; i++)
        close(fd[i]);
    close(early);
    close(late);
}

// Bytes that are no HTTP, or little of it; the server stays.
static void noise(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 7;
    static const char like[] =
        "GET /v1/subscriptions?jid=a@b&limit=3 HTTP/1.1\r\nHost: a\r\n"
        "Authorization: Bearer x\r\nContent-Length: 3\r\n\r\nabc";
    for (int i = 0; i < 300; i++) {
        char bytes[sizeof like];
        memcpy(bytes, like, sizeof like);
        for (int k = rand_r(&seed) % 8; k >= 0; k--)
            bytes[(size_t)rand_r(&seed) % (sizeof like - 1)] = (char)rand_r(&seed);
        int fd = http_connect(f->port);
        send(fd, bytes, (size_t)rand_r(&seed) % sizeof like, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        is_answered(fd, 5);
        close(fd);
    }
    expect(state, "GET", "/healthz", "", 200);
}

// Clients that send half a request and close leave no trace: others are answered at once.
static void ends_are_noticed(void **state)
{
    struct fixture *f = *state;
    static const char get[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0; i < 2 * HTTP_CONNECTIONS_MAX; i++) {
        int half = http_connect(f->port);
        send(half, get, 10, MSG_NOSIGNAL);
        close(half);
    }
    int fd = http_connect(f->port);
    send(fd, get, sizeof get - 1, MSG_NOSIGNAL);
    assert_true(is_answered(fd, 900));
    close(fd);
}

// --- the token

static void token_is_asked_for(void **state)
{
    static const char *const closed[] = {"/metrics",        "/openapi.json",     "/v1/status",
                                         "/v1/shards",      "/v1/subscriptions", "/nowhere",
                                         "/v1/status?x=%zz"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        struct http_answer a = http_ask(f->port, "GET", closed[i], "");
        assert_problem(&a, 401);
        assert_string_equal(http_field(&a, "WWW-Authenticate"), "Bearer realm=\"isthmus\"");
        http_answer_free(&a);
    }
    expect_problem(state, "POST", "/v1/status", "", 401);
    expect(state, "GET", "/healthz", "", 200);
    expect(state, "GET", "/readyz", "", 200);
}

static void wrong_tokens(void **state)
{
    static const char *const wrong[] = {
        "Authorization: Bearer open-sesamf\r\n", "Authorization: Bearer open-sesam\r\n",
        "Authorization: Bearer open-sesamee\r\n", "Authorization: Bearer Open-sesame\r\n",
        "Authorization: Bearer o\r\n"};
    static const char *const other[] = {"Authorization: Basic b3Blbi1zZXNhbWU=\r\n",
                                        "Authorization: open-sesame\r\n",
                                        "Authorization: Beareropen-sesame\r\n"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct http_answer a = http_ask(f->port, "GET", "/v1/status", wrong[i]);
        assert_problem(&a, 401);
        assert_non_null(strstr(http_field(&a, "WWW-Authenticate"), "error=\"invalid_token\""));
        http_answer_free(&a);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        expect_problem(state, "GET", "/v1/status", other[i], 401);
}

static void right_token(void **state)
{
    static const char right[] = "Authorization: Bearer open-sesame\r\n";
    expect(state, "GET", "/v1/status", right, 200);
    expect(state, "HEAD", "/metrics", right, 200);
    expect(state, "GET", "/v1/status", "authorization: bearer open-sesame\r\n", 200);
    expect_problem(state, "GET", "/nowhere", right, 404);
    expect_problem(state, "GET", "/v1/status?x=%zz", right, 400);
}

// --- listening

static int try_start(const char *host, uint16_t port, const char *token, struct api **api,
                     struct store_error *why)
{
    static struct api_world *world;
    struct api_settings settings = {host, port, token};
    if (!world)
        world = world_create();
    struct api_source source = world_source(world);
    int rc = world_start_api(api, &settings, &source, why);
    assert_int_equal(rc != 0, *api == NULL);
    return rc;
}

static void refuses_what_it_cannot_listen_on(void **state)
{
    struct fixture *f = *state;
    struct store_error why;
    struct api *api;
    assert_int_equal(try_start("127.0.0.1", f->port, "", &api, &why), EADDRINUSE);
    assert_non_null(strstr(why.text, "in use"));
    assert_int_equal(try_start("0.0.0.0", 0, "", &api, &why), EINVAL);
    assert_non_null(strstr(why.text, "token_file"));
    assert_int_equal(try_start("::", 0, NULL, &api, &why), EINVAL);
    assert_int_equal(try_start("no.such.name.invalid", 0, "", &api, &why), EINVAL);
    assert_int_equal(try_start("203.0.113.1", 0, "t", &api, &why), EADDRNOTAVAIL);
}

static void listens_on_ipv6(void **state)
{
    struct store_error why;
    struct api *api;
    (void)state;
    if (try_start("::1", 0, "", &api, &why) == EADDRNOTAVAIL)
        skip(); // no IPv6 here
    assert_non_null(api);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(api_port(api))};
    static const char get[] = "GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n";
    a.sin6_addr = in6addr_loopback;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    struct http_answer answer = http_exchange(fd, get, sizeof get - 1, false);
    assert_int_equal(answer.status, 200);
    http_answer_free(&answer);
    close(fd);
    api_stop(api);
    api_stop(NULL);
}

int main(void)
{
#define OPEN(f)   cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define CLOSED(f) cmocka_unit_test_setup_teardown(f, set_up_token, tear_down)
    const struct CMUnitTest tests[] = {
        OPEN(unknown_paths),
        OPEN(other_methods),
        OPEN(head_is_get_without_body),
        OPEN(absolute_form_is_taken),
        OPEN(long_targets),
        OPEN(long_headers),
        OPEN(bodies),
        OPEN(too_many_connections),
        OPEN(slow_connections),
        OPEN(noise),
        OPEN(ends_are_noticed),
        CLOSED(token_is_asked_for),
        CLOSED(wrong_tokens),
        CLOSED(right_token),
        OPEN(refuses_what_it_cannot_listen_on),
        OPEN(listens_on_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
