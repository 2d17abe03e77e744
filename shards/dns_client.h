// Asks DNS servers, and the hosts file; the only door to c-ares.
//
// Belongs to one thread, which polls dns_client_fd() and calls dns_client_run(). c-ares does what a
// stub resolver does: it tries each server in turn, goes to TCP for what was cut short, and takes
// no answer to another question than its own.
//
// Without servers of our own, those of /etc/resolv.conf are asked; when that file changes, they are
// read anew, and what was under way is asked again. Addresses of names in /etc/hosts come from
// there; localhost is nobody's to answer (RFC 6761 §6.3).
#ifndef SHARDS_DNS_CLIENT_H
#define SHARDS_DNS_CLIENT_H

#include "core/event.h"
#include "shards/dns_answer.h"

enum {
    // One server is asked TRIES times, and waited for 1, 2, then 4 times TRY_MS.
    DNS_CLIENT_TRY_MS = 1000,
    DNS_CLIENT_TRIES = 3,
    DNS_CLIENT_UDP_BYTES = 1232, // of an answer (EDNS, RFC 6891): unfragmented on any path
    DNS_CLIENT_LOOK_MS = 5000,   // least time between two looks at /etc/resolv.conf
    DNS_CLIENT_HOSTS_TTL_S = 60, // of what the hosts file says
};

struct dns_client;

struct dns_client_setup {
    const struct hop *servers; // none: the system's
    size_t n_servers;
    unsigned try_ms;         // 0: DNS_CLIENT_TRY_MS
    const char *resolv_conf; // NULL: /etc/resolv.conf
    uint16_t resolv_port;    // of the servers in there; 0: 53
};

// ENOMEM, EMFILE; EINVAL: the library does not take the settings.
int dns_client_create(struct dns_client **out, const struct dns_client_setup *setup);
// What is under way is answered as failed.
void dns_client_destroy(struct dns_client *c);

// `answer` is borrowed for the call, which may come before dns_client_ask() returns. Nothing more
// is asked from within it.
typedef void (*dns_client_cb)(void *arg, const struct dns_answer *answer);
void dns_client_ask(struct dns_client *c, const char *name, enum dns_type type, dns_client_cb cb,
                    void *arg, uint64_t now_ms);

int dns_client_fd(const struct dns_client *c); // readable: call dns_client_run()
void dns_client_run(struct dns_client *c);     // also when the time below is over
int dns_client_timeout_ms(struct dns_client *c, int most_ms);
uint64_t dns_client_queries(const struct dns_client *c); // sent to servers so far

#endif
