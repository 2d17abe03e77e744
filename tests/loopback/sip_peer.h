// A SIP user agent over loopback UDP for tests: reads and writes text, and knows little of SIP.
#ifndef TESTS_LOOPBACK_SIP_PEER_H
#define TESTS_LOOPBACK_SIP_PEER_H

#include <stdbool.h>
#include <stdint.h>

enum { SIP_PEER_MESSAGE_MAX = 65536 };

struct sip_peer {
    int fd;
    uint16_t port;
    uint16_t from_port;                 // of the last message received
    char message[SIP_PEER_MESSAGE_MAX]; // the last message received, ends in '\0'
};

struct sip_peer *sip_peer_open(void);
void sip_peer_close(struct sip_peer *p);

// Waits for a message that begins with `start`; others that come first are dropped.
bool sip_peer_expect(struct sip_peer *p, const char *start, int timeout_ms);
// The value of the first header field of that name in the last message; "" if there is none.
const char *sip_peer_header(const struct sip_peer *p, const char *name, char out[512]);
void sip_peer_send(struct sip_peer *p, uint16_t to_port, const char *message);

// 200 to the last message, with a tag and Contact of ours, from and to those ports.
void sip_peer_say_ok(struct sip_peer *p, uint16_t to_port);
// In the dialog of the SUBSCRIBE that came last, with presence "open" or "closed" in it.
void sip_peer_notify(struct sip_peer *p, const char *subscribe, uint16_t to_port,
                     const char *substate, const char *basic);

#endif
