// Servers of others that a benchmark starts: their life, and what they use.
//
// Each is a group of processes of its own, all children of the first. They end with the benchmark,
// however that ends.
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
    const char *log;     // where to it writes, appended
    const char *preload; // a library to be loaded first; NULL: none
    const char *input;   // what it reads; NULL: nothing
    int death_signal;    // sent to the first process when the benchmark has died
};

// Found by $PATH, or where Debian has servers. The process, or 0 and errno.
pid_t server_start(const struct server *p, const char *const argv[]);
// Starts it and waits until it ends. Its exit status, or -1.
int server_run(const struct server *p, const char *const argv[]);
bool server_runs(pid_t pid);
// SIGTERM to the first process; SIGKILL to all that are left after a while.
void server_stop(pid_t pid, unsigned timeout_ms);

// Of the process and its children; what has ended already is left out.
uint64_t server_cpu_ns(pid_t pid); // user and system
// Resident: each one's own, and what they share with each other once. Files that are mapped, which
// are mostly programs, don't count.
uint64_t server_memory_bytes(pid_t pid);

#endif
