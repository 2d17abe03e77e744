// What the routes see of the gateway: its source, how long it runs, and questions to its shards.
//
// Belongs to the API's thread once that runs; `draining` and `port` aside.
#ifndef API_VIEW_H
#define API_VIEW_H

#include <stdatomic.h>
#include "api/api.h"

enum {
    VIEW_ASK_MS = 1000, // a shard that takes longer to answer is not well
    VIEW_STREAMS_MAX = CORE_DOMAINS_MAX * CONFIG_CONNECTIONS_MAX, // all that there can be
};

struct view {
    struct api_source source;
    unsigned shards;
    uint64_t started_at_ms; // wall clock
    uint64_t started_mono_ms;
    atomic_bool draining;
    uint64_t requests_total;
    uint64_t tag; // of the last question
    struct buffer question;
    char *answer;                  // ADMIN_ANSWER_MAX bytes
    struct shards_stream *streams; // VIEW_STREAMS_MAX
};

int view_create(struct view **out, const struct api_source *source);
void view_destroy(struct view *v);

uint64_t view_wall_ms(void);
uint64_t view_mono_ms(void);

// Fills in v->streams; returns how many.
size_t view_streams(struct view *v);

// Takes a new tag, for a question that is then written into v->question (which is emptied).
uint64_t view_begin_question(struct view *v);
// Sends v->question; the answer is borrowed until the next one. As shards_ask().
int view_ask(struct view *v, unsigned shard, int timeout_ms, struct text *answer);
// 0 when the shard's thread answers in time.
int view_ping(struct view *v, unsigned shard, int timeout_ms);

#endif
