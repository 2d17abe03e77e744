// What the admin API asks a shard, and what a shard answers: flat messages over the rings.
//
// admin_answer() runs on the shard's thread between two turns; it only reads the core.
#ifndef SHARDS_ADMIN_H
#define SHARDS_ADMIN_H

#include "core/core.h"

enum { ADMIN_QUESTION_MAX = 8192, ADMIN_ANSWER_MAX = 256 * 1024, ADMIN_SCAN_MAX = 20000 };

// Appends the answer to `out`. EBADMSG: not a question.
int admin_answer(const struct core *core, const void *question, size_t n, uint64_t now_ms,
                 struct buffer *out);

#endif
