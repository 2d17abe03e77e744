// The MariaDB server that Kamailio wants: one of the benchmark's own, in a folder of its own.
#ifndef BENCH_DATABASE_H
#define BENCH_DATABASE_H

#include <stdint.h>
#include <sys/types.h>

struct database {
    pid_t pid;
    uint16_t port; // on 127.0.0.1
    char folder[256];
};

// Made anew and started, with Kamailio's tables in it. An errno; what went wrong is said in the log
// in the folder.
int database_start(struct database *d, const char *folder);
void database_stop(struct database *d);

#endif
