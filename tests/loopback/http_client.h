// A small HTTP client for tests: raw requests over a socket, answers taken apart.
#ifndef TESTS_LOOPBACK_HTTP_CLIENT_H
#define TESTS_LOOPBACK_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_answer {
    int status; // 0: the connection was closed without an answer
    char *head; // status line and header fields
    char *body;
    size_t body_n;
};

int http_connect(uint16_t port); // 127.0.0.1
// Sends the bytes and reads one answer. `bodiless`: it is to a HEAD.
struct http_answer http_exchange(int fd, const char *bytes, size_t n, bool bodiless);
// One request on a connection of its own; `fields` are whole header lines or "".
struct http_answer http_ask(uint16_t port, const char *method, const char *target,
                            const char *fields);
// A field's value, up to 255 bytes; NULL: it is not there. Valid until the next call.
const char *http_field(const struct http_answer *a, const char *name);
void http_answer_free(struct http_answer *a);

#endif
