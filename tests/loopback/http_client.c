// Raw HTTP/1.1 over loopback.
#include "tests/loopback/http_client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, WAIT_S = 10 };

int http_connect(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval wait = {.tv_sec = WAIT_S};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        perror("connect");
        abort();
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

// Byte by byte up to the empty line, so that nothing of the next answer is taken.
static bool read_head(int fd, struct http_answer *a)
{
    size_t n = 0;
    a->head = calloc(1, HEAD_MAX);
    while (n < HEAD_MAX - 1 && recv(fd, a->head + n, 1, 0) == 1)
        if (++n >= 4 && memcmp(a->head + n - 4, "\r\n\r\n", 4) == 0)
            return sscanf(a->head, "HTTP/1.1 %d", &a->status) == 1;
    return false;
}

static void read_body(int fd, struct http_answer *a, size_t wanted)
{
    a->body = calloc(1, wanted + 1);
    while (a->body_n < wanted) {
        ssize_t got = recv(fd, a->body + a->body_n, wanted - a->body_n, 0);
        if (got <= 0)
            return;
        a->body_n += (size_t)got;
    }
}

struct http_answer http_exchange(int fd, const char *bytes, size_t n, bool bodiless)
{
    struct http_answer a = {0};
    send_all(fd, bytes, n); // it may be refused before all was sent
    if (!read_head(fd, &a))
        a.status = 0;
    const char *length = a.status ? http_field(&a, "Content-Length") : NULL;
    read_body(fd, &a, length && !bodiless ? strtoull(length, NULL, 10) : 0);
    return a;
}

struct http_answer http_ask(uint16_t port, const char *method, const char *target,
                            const char *fields)
{
    char *request;
    int n =
        asprintf(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, target, fields);
    if (n < 0)
        abort();
    int fd = http_connect(port);
    struct http_answer a = http_exchange(fd, request, (size_t)n, strcmp(method, "HEAD") == 0);
    close(fd);
    free(request);
    return a;
}

const char *http_field(const struct http_answer *a, const char *name)
{
    static char value[256];
    size_t n = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *at = line + 3 + n + strspn(line + 3 + n, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
            return value;
        }
    return NULL;
}

void http_answer_free(struct http_answer *a)
{
    free(a->head);
    free(a->body);
}
