// An answer in the making: status, body, and the few header fields that vary.
#ifndef API_REPLY_H
#define API_REPLY_H

#include <jansson.h>
#include "core/wire/text.h"

enum reply_challenge { CHALLENGE_NONE, CHALLENGE_MISSING, CHALLENGE_WRONG };

struct reply {
    unsigned status;
    const char *type; // Content-Type
    struct buffer body;
    bool allow; // say which methods there are
    enum reply_challenge challenge;
    unsigned retry_after_s; // 0: not said
};

void reply_init(struct reply *r);
void reply_free(struct reply *r);
// Takes the reference over; NULL (memory ran out while it was built) fails the body.
void reply_json(struct reply *r, unsigned status, json_t *j);
// A problem document (RFC 9457) in place of what there was; `detail` like printf's.
void reply_problem(struct reply *r, unsigned status, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));

// Strings from the wire: JSON wants UTF-8, a peer may have sent anything. NULL: no memory.
json_t *reply_string(struct text t);
// RFC 3339, UTC, with milliseconds.
json_t *reply_time(uint64_t wall_ms);

#endif
