// The seam at which memory runs out: each allocation of the program passes here, and one of them,
// or every one of a thread, is refused.
//
// Two forms. At the linker (--wrap, seam_wrap.c) it reaches what is linked statically, and goes
// with AddressSanitizer. In the place of malloc itself (seam_whole.c) it reaches the libraries too.
#ifndef TESTS_SEAM_H
#define TESTS_SEAM_H

#include <stdbool.h>
#include <stddef.h>

// All of the calling thread.
struct seam {
    unsigned long asked;   // allocations since seam_begin()
    unsigned long refuse;  // the number of the one to be refused; 0: none
    unsigned long refused; // how many were
    bool starved;          // all are
    bool off;              // neither counted nor refused
};
extern _Thread_local struct seam seam;

// Counts anew, and refuses the n-th; 0: none.
void seam_begin(unsigned long n);
// Counts no more; how many there were.
unsigned long seam_end(void);
// For those who look at each: called after one was given, moved (from the other) or taken back.
// NULL: nobody looks. One thread only.
struct seam_watch {
    void (*asked)(void); // before it is given or refused
    void (*given)(void *p);
    void (*taken)(void *p);
};
extern const struct seam_watch *seam_watch;

// For the two forms.
bool seam_refuses(void);
static inline void seam_gave(void *p)
{
    if (p && seam_watch)
        seam_watch->given(p);
}
static inline void seam_took(void *p)
{
    if (p && seam_watch)
        seam_watch->taken(p);
}

// It reaches libraries, which keep some of what they take for as long as the program runs.
extern const bool seam_is_whole;
// To take memory as if there were no seam.
void *seam_real_malloc(size_t n);
void seam_real_free(void *p);

#endif
