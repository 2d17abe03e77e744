// A temporary folder that goes with the program, however that ends.
//
//   program ── pipe ──▶ remover: reads until the other end is closed, then removes the folder
//
// Only the program holds the pipe's other end. So the folder goes when it is done with, and as well
// when the program calls exit() somewhere, fails an assertion, gets Ctrl-C or SIGKILL.
#ifndef BENCH_LOAD_SCRATCH_H
#define BENCH_LOAD_SCRATCH_H

#include <sys/types.h>

struct scratch {
    int pipe;
    pid_t remover; // 0: there is no folder
};

// `name` ends in XXXXXX, as for mkdtemp(). An errno.
int scratch_create(struct scratch *s, char *name);
// Returns when the folder is gone. Nothing if there is none.
void scratch_remove(struct scratch *s);

// In a child, before exec: it is killed as soon as the thread that forked it ends. (A daemon that
// nobody waits for would go on, in a folder that is gone.)
void scratch_die_with_parent(pid_t parent);

#endif
