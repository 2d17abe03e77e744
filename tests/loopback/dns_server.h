// DNS servers on loopback: Knot DNS with a zone of the test's, and one that misbehaves.
#ifndef TESTS_LOOPBACK_DNS_SERVER_H
#define TESTS_LOOPBACK_DNS_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

// knotd, authoritative for example.net; `zone` is what comes after its $ORIGIN, $TTL 120, SOA (with
// a minimum of 30 s) and NS. Returns when it answers.
struct knot;
struct knot *knot_start(const char *zone);
struct knot *knot_start_at(uint16_t port, const char *zone);
uint16_t knot_free_port(void);
void knot_stop(struct knot *k);
uint16_t knot_port(const struct knot *k);

enum odd_mood {
    ODD_SILENT,
    ODD_SERVFAIL,
    ODD_REFUSED,
    ODD_NOISE,          // bytes that are no DNS
    ODD_EMPTY,          // a datagram of no bytes
    ODD_WRONG_ID,       // an answer to another question than was asked,
    ODD_WRONG_QUESTION, // twice
    ODD_CUT,            // head and question are right, the record ends early
    ODD_LOOP,           // an alias of itself
};

// Over UDP and on one thread; each question is counted.
struct odd_server;
struct odd_server *odd_start(enum odd_mood mood);
struct odd_server *odd_start_at(enum odd_mood mood, const char *ip, uint16_t port);
void odd_stop(struct odd_server *s);
uint16_t odd_port(const struct odd_server *s);
unsigned odd_questions(struct odd_server *s);

#endif
