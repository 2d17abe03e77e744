// The daemon's configuration, as the load driver wrote it, made fit for hostile company.
#ifndef TESTS_HOSTILE_CONFIGURE_H
#define TESTS_HOSTILE_CONFIGURE_H

#include "bench/load/load.h"
#include "hostile.h"

void hostile_die(const char *what, const char *why) __attribute__((noreturn));
char *hostile_read_file(const char *path); // to be freed
// Before the daemon starts: it is to meet its servers by way of the front, which runs from now on,
// to know the hostile domains, and to speak TLS with DIR/server.pem and server.key.
struct front *hostile_configure(const struct load *load, const struct field *field);

#endif
