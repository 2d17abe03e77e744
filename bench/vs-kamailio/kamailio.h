// Kamailio as a gateway under load, with the database that it wants.
#ifndef BENCH_KAMAILIO_H
#define BENCH_KAMAILIO_H

#include "bench/load/load.h"
#include "bench/load/scratch.h"
#include "bench/vs-kamailio/database.h"
#include "bench/vs-kamailio/server.h"

// pua_xmpp_req_winfo() of pua_xmpp 5.6.3 takes the first byte of a pointer for that of the Expires
// header: if it happens to be 0x30, which is '0', nobody who is watched gets to know of it. It lies
// with what the configuration had allocated before, so there are several ways to begin with.
enum { KAMAILIO_LAYOUTS = 4 };

struct kamailio {
    struct load_subject subject; // for the load driver
    struct database database;
    struct scratch scratch;
    char folder[256];
    unsigned subscriptions; // that it is to have room for
    bool stateless;         // it answers without transactions
    unsigned layout;        // of its private memory, below KAMAILIO_LAYOUTS; for the next start
    pid_t pid;
};

// What is not installed, in words, with the Debian packages that have it; NULL: all is there.
const char *kamailio_missing(void);

// Its folder and its database; Kamailio itself is started by the load driver. An errno.
int kamailio_create(struct kamailio *k, unsigned subscriptions, bool stateless);
void kamailio_destroy(struct kamailio *k);

// Of its shared memory, what it says is in use. What is resident may be a lot more: what has been
// used once it does not give back. 0: it did not say.
uint64_t kamailio_in_use_bytes(const struct kamailio *k);
// The ends of their logs, to stderr.
void kamailio_complain(const struct kamailio *k);

#endif
