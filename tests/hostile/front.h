// Stands between the daemon and its two servers: what is honest passes, what is of a hostile domain
// is the attackers'.
//
//   daemon ══ component streams ══▶ front ──▶ example.net's to the load driver's XMPP server
//                                       └──▶ *.hostile's authenticated here, taken by attacks
//   daemon ── SIP to its proxy ───▶ front ──▶ to the load driver's proxy, and its answers back
//                                       └──▶ requests to *.hostile kept for attacks
#ifndef TESTS_HOSTILE_FRONT_H
#define TESTS_HOSTILE_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Domains whose users live on the SIP side; each has a component stream of its own, so that what
// one attack does to its stream leaves the others'.
extern const char *const front_domains[];
extern const unsigned n_front_domains;

struct front;

struct front_setup {
    uint16_t xmpp_port, proxy_port; // of the load driver, on loopback
    uint16_t shard_port;            // of the daemon
};

struct front *front_start(const struct front_setup *setup);
void front_stop(struct front *f);
uint16_t front_xmpp_port(const struct front *f);
uint16_t front_sip_port(const struct front *f);

// The domain's component stream, past its handshake; it is the caller's from now on, to be closed.
// The daemon opens another one then. -1: none within that time.
int front_take(struct front *f, const char *domain, unsigned timeout_ms);
// From now on the domain's streams are accepted and never answered, or (false) answered again.
void front_set_mute(struct front *f, const char *domain, bool mute);
unsigned front_attempts(struct front *f); // streams that were not answered

// The next request that the daemon has sent to that domain, NUL-terminated. Retransmissions are
// among them. 0: none within that time.
size_t front_next_request(struct front *f, const char *domain, char *out, size_t size,
                          unsigned timeout_ms);
void front_forget_requests(struct front *f);

#endif
