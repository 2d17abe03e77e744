// Gives up what the process needs only while it starts: once all ports are bound.
//
// Capabilities belong to threads, so this comes before there is any thread but main's, and later
// threads have no more than it left. Each step may be taken by any user; what a user doesn't have
// can't be given up and is no error.
#ifndef SHARDS_PRIVILEGES_H
#define SHARDS_PRIVILEGES_H

#include <stdbool.h>
#include "store/store.h"

struct privileges_wish {
    const char *user; // to become when root; "": stay
};

// Step zero, while all may still be done: gives the store's directory, with all in it, to the user
// that will go on with it. Nothing to do unless root becomes somebody else.
int privileges_give(const struct privileges_wish *wish, const char *dir, struct store_error *why);

// Step one, main's thread, before all others: empties the bounding set, and keeps no capability but
// what changing the user takes. No new privileges by execve from here on, and system calls that a
// gateway has no use for (execve first of all, so that no shell can ever be run) fail with EPERM in
// this and all later threads; the latter not under sanitizers, whose leak check needs ptrace.
// EINVAL: no such user; EPERM …
int privileges_confine(const struct privileges_wish *wish, struct store_error *why);

// Step two: becomes the user and gives up the remaining capabilities.
int privileges_drop(const struct privileges_wish *wish, struct store_error *why);

// The filter alone, which privileges_confine sets.
int privileges_filter(void);

#endif
