// One question over REST after the other, of all kinds that there are, and which answers are good.
#ifndef TESTS_SOAK_QUESTIONS_H
#define TESTS_SOAK_QUESTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "bench/load/load.h"

enum {
    QUESTIONS_DOWN_MS = 15000, // after a break the stream may be missed for so long
    QUESTIONS_GAP_MS = 1000,   // between two; also what the daemon says in Retry-After
    QUESTIONS_AGAIN_MOST = 5,  // one that comes too early is asked again, so often
};

struct questions {
    unsigned asked; // however often each
    unsigned late;  // of them: the daemon asked for patience
    unsigned wrong; // of them
    unsigned again; // so often the one at hand
    uint64_t next_us;
};

enum questions_verdict { QUESTIONS_GOOD, QUESTIONS_LATE, QUESTIONS_WRONG };

// What it is to be answered with `status` and `body` (NULL: none). Good is 200, and 503 of /readyz
// while nothing is missing but a stream that was broken less than QUESTIONS_DOWN_MS ago. Late is
// 503 because a shard has not answered within a second: on a machine that others use, too, a turn
// may wait for as long, for the disk or for a core.
enum questions_verdict questions_judge(const char *path, int status, const char *body,
                                       uint64_t since_break_ms);
// Asks the one that is due, if one is, and waits for its answer. If that is not good, it is told of
// in `out`.
void questions_play(struct questions *q, const struct load *l, uint64_t since_break_ms, FILE *out);

#endif
