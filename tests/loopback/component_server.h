// An XMPP server's component port (XEP-0114) for tests: a thread that accepts, checks the digest,
// and keeps what it is told.
//
// It knows nothing of the gateway's code. Any domain may connect; each has one stream at a time.
// What it does wrong, it does on demand.
#ifndef TESTS_LOOPBACK_COMPONENT_SERVER_H
#define TESTS_LOOPBACK_COMPONENT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPONENT_SECRET "mellon"

enum component_mood {
    COMPONENT_WELL,         // takes the digest of COMPONENT_SECRET, and no other
    COMPONENT_CONFLICT,     // answers the digest with a stream error
    COMPONENT_MUTE,         // accepts, reads, and says nothing
    COMPONENT_DEAF,         // is well until the handshake is done, then reads no more
    COMPONENT_CLOSES,       // closes as soon as it has accepted
    COMPONENT_BYTE_BY_BYTE, // is well, and sends all up to the handshake in single bytes
};

struct component_server;

struct component_server *component_server_start(void);
void component_server_stop(struct component_server *c);
uint16_t component_server_port(const struct component_server *c);
void component_server_set_mood(struct component_server *c, enum component_mood mood);
// Sent in one piece with <handshake/>, to whoever connects from now on. "": nothing.
void component_server_set_greeting(struct component_server *c, const char *stanzas);

// How often the domain was there, and whether it is now.
unsigned component_server_connects(struct component_server *c, const char *domain);
bool component_server_wait_up(struct component_server *c, const char *domain, int timeout_ms);
// When its n-th attempt came (from 0), whether it succeeded or not; in milliseconds. 0: it did not.
uint64_t component_server_attempt_ms(struct component_server *c, unsigned n);

bool component_server_send(struct component_server *c, const char *domain, const char *bytes);
void component_server_drop(struct component_server *c, const char *domain);
// Waits until what the domain has said since its first stream contains `text`; where it was found
// is forgotten with all before it. NULL: it did not come; else a copy, to be freed, of what was
// there.
char *component_server_expect(struct component_server *c, const char *domain, const char *text,
                              int timeout_ms);

#endif
