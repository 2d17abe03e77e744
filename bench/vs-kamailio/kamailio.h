// Kamailio as a gateway under load, with the database that it wants.
#ifndef BENCH_KAMAILIO_H
#define BENCH_KAMAILIO_H

#include "bench/load/load.h"
#include "bench/load/scratch.h"
#include "bench/vs-kamailio/database.h"
#include "bench/vs-kamailio/server.h"

struct kamailio {
    struct load_subject subject; // for the load driver
    struct database database;
    struct scratch scratch;
    char folder[256];
    unsigned subscriptions; // that it is to have room for
    pid_t pid;
};

// What is not installed, in words, with the Debian packages that have it; NULL: all is there.
const char *kamailio_missing(void);

// Its folder and its database; Kamailio itself is started by the load driver. An errno.
int kamailio_create(struct kamailio *k, unsigned subscriptions);
void kamailio_destroy(struct kamailio *k);

// The ends of their logs, to stderr.
void kamailio_complain(const struct kamailio *k);

#endif
