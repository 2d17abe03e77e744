// SIP over TCP that comes and goes beside the load: a question each, then the end, in one of the
// ways in which connections end.
#ifndef TESTS_SOAK_VISITORS_H
#define TESTS_SOAK_VISITORS_H

#include <stdint.h>

struct visitors;

struct visitors *visitors_create(uint16_t port, uint64_t seed);
void visitors_destroy(struct visitors *v);
// Comes, asks, hears and goes as due.
void visitors_play(struct visitors *v, uint64_t now_us);
void visitors_leave(struct visitors *v, uint64_t now_us); // all of them, at once
uint64_t visitors_came(const struct visitors *v);
uint64_t visitors_answered(const struct visitors *v);
// Could not connect, were sent away without an answer, or had waited for one for seven seconds.
uint64_t visitors_ignored(const struct visitors *v);

#endif
