// Opens and authenticates one component stream (XEP-0114) by way of libstrophe, and then takes the
// descriptor from it, with not a byte of the stream lost.
//
// libstrophe's SHA-1 and its sockopt callback have no context of their own: one thread for all
// opens.
#ifndef SHARDS_XMPP_OPEN_H
#define SHARDS_XMPP_OPEN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    XMPP_OPEN_CONNECT_MS = 4500,  // below libstrophe's own 5 s
    XMPP_OPEN_TIMEOUT_MS = 10000, // from the start to <handshake/>
    XMPP_OPEN_BYTES_MAX = 16384,  // that the server may send before <handshake/> is complete
    XMPP_OPEN_TAG_MAX = 4096,     // up to one '>'; what libstrophe reads at once
    XMPP_OPEN_WHY_MAX = 128,
    XMPP_OPEN_LOW_FD = 1024, // libstrophe's select() can't watch descriptors from here on
};

struct xmpp_open;

struct xmpp_open_target {
    const char *domain; // the component's
    const char *secret;
    const char *host; // numeric
    uint16_t port;
};

enum xmpp_open_state { XMPP_OPEN_PENDING, XMPP_OPEN_DONE, XMPP_OPEN_FAILED };

// Once for the process, before and after all opens.
void xmpp_open_initialize(void);
void xmpp_open_shutdown(void);

// `low_fd` is a descriptor below XMPP_OPEN_LOW_FD, held by the caller for this purpose; it is taken
// over, also on error, and closed at the end. NULL with `why`: it could not even begin.
struct xmpp_open *xmpp_open_start(const struct xmpp_open_target *target, int low_fd,
                                  uint64_t now_ms, char why[XMPP_OPEN_WHY_MAX]);
void xmpp_open_destroy(struct xmpp_open *o);

// What to poll for; run() when it is there, or when the time is up, and at any other time.
int xmpp_open_fd(const struct xmpp_open *o);
short xmpp_open_poll_events(const struct xmpp_open *o);
uint64_t xmpp_open_deadline_ms(const struct xmpp_open *o);
enum xmpp_open_state xmpp_open_run(struct xmpp_open *o, uint64_t now_ms);

// XMPP_OPEN_DONE: the descriptor becomes the caller's. The next byte to be read from it is the
// first one behind <handshake/>.
int xmpp_open_take(struct xmpp_open *o);
// XMPP_OPEN_FAILED: the reason, in words.
const char *xmpp_open_why(const struct xmpp_open *o);

#endif
