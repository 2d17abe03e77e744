// Calls out of the product that fail on demand: the seam is the linker's --wrap, the list
// faulty_calls.def.
//
// Only calls that the product makes count: those within faulty_enter() … faulty_leave() on the
// calling thread, and those of threads that were made there. The doors of the upper floors
// (shards_create() and their like) are wrapped as well and enter by themselves, so the tests'
// peers, in the same process, are never hit.
#ifndef TESTS_FAIL_FAULTY_H
#define TESTS_FAIL_FAULTY_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FAULTY_SHORT = -100000, // a part of it is done, and that is said
    FAULTY_LATE = -100001,  // it is done, and then said to have failed
    FAULTY_ERRORS_MAX = 12,
};

enum faulty_call {
#define FAULTY_CODE(name, ...)  FAULTY_##name,
#define FAULTY_ERRNO(name, ...) FAULTY_##name,
#define FAULTY_PART(name, ...)  FAULTY_##name,
#define FAULTY_OWN(name, ...)   FAULTY_##name,
#include "faulty_calls.def"
#undef FAULTY_CODE
#undef FAULTY_ERRNO
#undef FAULTY_PART
#undef FAULTY_OWN
    FAULTY_CALLS
};

const char *faulty_name(enum faulty_call call);
// Ends in 0.
const int *faulty_errors(enum faulty_call call);

void faulty_enter(void);
void faulty_leave(void);

// Counts begin anew; the nth call (from 1) of that name fails with the error, and, `for_good`, all
// after it.
void faulty_arm(enum faulty_call call, unsigned nth, int error, bool for_good);
// All is well again. True: it has struck; then the point is counted for the table.
bool faulty_disarm(void);
bool faulty_has_struck(void);
unsigned faulty_strikes(void);
// Since it was armed, or faulty_count_anew().
unsigned faulty_count(enum faulty_call call);
void faulty_count_anew(void);

// How many points of the call were failed; of children of this process, too.
unsigned faulty_points(enum faulty_call call);
void faulty_print_table(void); // of all calls

// What a point may not leave behind.
unsigned faulty_open_descriptors(void);
bool faulty_has_leaked(void); // by LSan, which says what on standard error

#endif
