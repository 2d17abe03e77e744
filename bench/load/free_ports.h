// Ports on 127.0.0.1 that nobody has now, for a server that is to be started.
//
// They lie below those that the kernel gives to connections: none of these takes them before the
// server does, or while it is dead. Two processes look for theirs from different places on.
#ifndef BENCH_FREE_PORTS_H
#define BENCH_FREE_PORTS_H

#include <stdint.h>

// The first of `n` in a row, free for UDP and TCP alike, and not given before by this process.
// 0: there are none.
uint16_t free_ports(unsigned n);

#endif
