// A SIP user agent over loopback TCP or TLS for tests: connects, accepts, reads and writes text,
// and knows little of SIP.
#ifndef TESTS_LOOPBACK_STREAM_PEER_H
#define TESTS_LOOPBACK_STREAM_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_PEER_CONNECTIONS_MAX = 64, STREAM_PEER_MESSAGE_MAX = 200000 };

struct stream_peer_connection {
    int fd; // -1: closed
    void *ssl;
    size_t n; // bytes read and not yet taken
    char bytes[STREAM_PEER_MESSAGE_MAX];
};

struct stream_peer {
    int fd; // listens
    uint16_t port;
    void *tls;    // NULL: TCP
    bool patient; // what it says on a connection that was closed is lost; else that ends the test
    unsigned n;   // connections so far
    struct stream_peer_connection *connection[STREAM_PEER_CONNECTIONS_MAX];
    char message[STREAM_PEER_MESSAGE_MAX]; // the last message received, ends in '\0'
};

// `certificate` is a path without ".pem" and ".key"; NULL: TCP. `ca`: a path of a PEM file.
struct stream_peer *stream_peer_open(const char *certificate, const char *ca);
void stream_peer_close(struct stream_peer *p);
// Stops listening; begins again, at its port: false if somebody else has that.
void stream_peer_refuse(struct stream_peer *p);
bool stream_peer_listen(struct stream_peer *p);

// The number of the new connection; -1: it did not come about.
int stream_peer_connect(struct stream_peer *p, uint16_t port);
void stream_peer_hang_up(struct stream_peer *p, int connection);
bool stream_peer_is_closed(struct stream_peer *p, int connection, int timeout_ms);

// Waits for a message that begins with `start`, on whatever connection, new ones included; others
// that come first are dropped. Returns the connection; -1: it did not come.
int stream_peer_expect(struct stream_peer *p, const char *start, int timeout_ms);
void stream_peer_send(struct stream_peer *p, int connection, const char *bytes, size_t n);
void stream_peer_say(struct stream_peer *p, int connection, const char *message);
// Over TCP: says it and hangs up, so that both arrive together.
void stream_peer_say_last(struct stream_peer *p, int connection, const char *message);
const char *stream_peer_header(const struct stream_peer *p, const char *name, char out[512]);
// 200 to the last message, with a tag and Contact of ours.
void stream_peer_say_ok(struct stream_peer *p, int connection);

#endif
