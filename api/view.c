// The gateway as the routes see it.
#include "api/view.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "shards/admin.h"

static uint64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t view_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

uint64_t view_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int view_create(struct view **out, const struct api_source *source)
{
    struct view *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v)
        return ENOMEM;
    v->source = *source;
    v->shards = source->count(source->ctx);
    assert(v->shards >= 1 && v->shards <= CORE_SHARDS_MAX);
    v->started_at_ms = view_wall_ms();
    v->started_mono_ms = view_mono_ms();
    v->tag = v->started_at_ms << 16; // not one that an earlier API of this process has used
    buffer_init(&v->question, ADMIN_QUESTION_MAX);
    v->answer = malloc(ADMIN_ANSWER_MAX);
    v->streams = calloc(VIEW_STREAMS_MAX, sizeof *v->streams);
    if (!v->answer || !v->streams) {
        view_destroy(v);
        return ENOMEM;
    }
    *out = v;
    return 0;
}

void view_destroy(struct view *v)
{
    if (!v)
        return;
    buffer_free(&v->question);
    free(v->answer);
    free(v->streams);
    free(v);
}

size_t view_streams(struct view *v)
{
    size_t n = v->source.streams(v->source.ctx, v->streams, VIEW_STREAMS_MAX);
    return n < VIEW_STREAMS_MAX ? n : VIEW_STREAMS_MAX;
}

uint64_t view_begin_question(struct view *v)
{
    buffer_reset(&v->question);
    return ++v->tag;
}

int view_ask(struct view *v, unsigned shard, int timeout_ms, struct text *answer)
{
    size_t n = 0;
    if (v->question.failed)
        return ENOMEM;
    int rc = v->source.ask(v->source.ctx, shard, v->question.p, v->question.n, v->answer,
                           ADMIN_ANSWER_MAX, &n, timeout_ms);
    if (rc == 0)
        *answer = (struct text){v->answer, n};
    return rc;
}

int view_ping(struct view *v, unsigned shard, int timeout_ms)
{
    struct text answer;
    uint64_t tag = view_begin_question(v);
    admin_write_ping(&v->question, tag);
    int rc = view_ask(v, shard, timeout_ms, &answer);
    return rc ? rc : admin_read_ping(answer.p, answer.n, tag);
}
