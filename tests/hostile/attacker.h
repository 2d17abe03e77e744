// Sockets and floods, for all attacks.
#ifndef TESTS_HOSTILE_ATTACKER_H
#define TESTS_HOSTILE_ATTACKER_H

#include "bench/load/load.h"
#include "bench/load/load_sip.h"
#include "hostile.h"

enum { ATTACKER_DATAGRAM = 65507, ATTACKER_BATCH = 64 };

void attacker_sleep_ms(const struct field *f, unsigned ms); // or until it is over
// `n` in a long run, less in a short one.
unsigned attacker_scaled(const struct field *f, unsigned n);
// In a short run, which may be of a daemon with sanitizers, a quarter.
unsigned attacker_scaled_rate(const struct field *f, unsigned per_s);
void attacker_complain(struct field *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// How many of `per_s` are due since the last call; sleeps a little if none is.
struct pace {
    uint64_t begun_us;
    uint64_t n;
};
unsigned attacker_due(struct pace *p, unsigned per_s, unsigned most);

// Bound to that address and any port; `bytes`: of the kernel's receive buffer, 0: as it is.
int attacker_udp(const char *ip, uint16_t *port, int bytes);
// One datagram to the daemon; lost if there is no room for it.
void attacker_send(const struct field *f, int fd, uint16_t port, const char *bytes, size_t n);
// Takes connections with the least of a buffer; nobody accepts them.
int attacker_listen(const char *ip, uint16_t *port);
// Not waited for. -1: no descriptor.
int attacker_connect(const char *ip, uint16_t port, int bytes);
// Waited for, and what is sent or read is waited for up to a second.
int attacker_connect_wait(const char *ip, uint16_t port, int bytes);
bool attacker_say(int fd, const char *bytes, size_t n);
bool attacker_is_closed(int fd); // by the other side; what it said is thrown away
void attacker_drain(int fd);     // throws away what has come

// Writes the i-th datagram of a flood; its size.
typedef size_t (*attacker_write)(const struct field *f, uint64_t i, uint16_t own_port, char *out,
                                 size_t size);
// From `ip` to `port` of the daemon, until it is over.
void attacker_flood(struct field *f, const char *ip, uint16_t port, unsigned per_s,
                    attacker_write write);

// A request as a phone would write it, with `more` header lines and a body (NULL: none).
struct attacker_request {
    const char *method, *ruri, *from, *to; // addresses without <>, `to` NULL: as ruri
    const char *from_tag, *to_tag;         // to_tag NULL: none
    const char *call_id, *branch;
    uint32_t cseq;
    const char *ip; // of Via and Contact
    uint16_t port;
    const char *transport; // NULL: UDP
    const char *more, *body;
};
size_t attacker_write_request(char *out, size_t size, const struct attacker_request *r);
// 200 to a request, with that tag and those further header lines; 0: it is none.
size_t attacker_write_ok(char *out, size_t size, const char *request, const char *tag,
                         const char *more);

#endif
