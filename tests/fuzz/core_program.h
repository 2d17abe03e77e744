// A program of events as it runs: what its instructions share. See fuzz_core.c.
#ifndef TESTS_FUZZ_CORE_PROGRAM_H
#define TESTS_FUZZ_CORE_PROGRAM_H

#include "core_world.h"

enum { UNIT = 8, UNITS_MAX = 160 };

struct program {
    struct world w;
    struct fuzz_input in;
    const uint8_t *u; // the instruction
    struct buffer b;  // the message
};

// One of a list, whatever the number.
#define OF(list, i) ((list)[(unsigned)(i) % (sizeof(list) / sizeof *(list))])

enum { PROGRAM_HOPS = 5 };
extern const struct hop program_hops[PROGRAM_HOPS];

void program_put(struct program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Changes the byte that the instruction names.
void program_damage(struct program *p);
void program_say_stanza(struct program *p);
void program_say_sip(struct program *p);

// core_stanzas.c
void program_presence(struct program *p);
void program_question(struct program *p);
void program_question_back(struct program *p);
void program_presence_back(struct program *p);
void program_iq_back(struct program *p);

// core_requests.c
void program_subscribe(struct program *p);
void program_resubscribe(struct program *p);
void program_notify(struct program *p);
void program_other(struct program *p);
void program_answer(struct program *p);

#endif
