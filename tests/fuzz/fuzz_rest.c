// Request targets, one per line → routes: an answer to each, of one of the types and statuses that
// are described; pages follow each other to an end.
#include "api/routes.h"
#include "core/wire/stanza_reader.h"
#include "core_config.h"
#include "shards/admin.h"
#include "shards/resolver.h"

enum { TARGETS_MAX = 16, PAGES_MAX = 64 };

static struct core *core;
static struct view *view;

// --- the shards behind it: three times the same core

static unsigned source_count(void *ctx)
{
    (void)ctx;
    return 3;
}

static void source_counters(void *ctx, unsigned shard, struct shard_counters *out,
                            struct core_stats *stats)
{
    (void)ctx;
    *out = (struct shard_counters){.turns_total = shard};
    *stats = *core_stats(core);
}

static void source_resolver(void *ctx, struct resolver_counters *out)
{
    (void)ctx;
    *out = (struct resolver_counters){0};
}

static size_t source_streams(void *ctx, struct shards_stream *out, size_t max)
{
    (void)ctx, (void)out, (void)max;
    return 0;
}

static bool source_part_failing(void *ctx, unsigned shard, char *why, size_t n)
{
    (void)ctx;
    snprintf(why, n, "%s", shard == 2 ? "store: no space" : "");
    return shard == 2;
}

static int source_ask(void *ctx, unsigned shard, const void *question, size_t n, void *answer,
                      size_t cap, size_t *answer_n, int timeout_ms)
{
    struct buffer b;
    (void)ctx, (void)shard, (void)timeout_ms;
    buffer_init(&b, cap);
    int rc = admin_answer(core, question, n, FUZZ_EPOCH_MS, &b);
    if (rc == 0 && b.n)
        memcpy(answer, b.p, b.n);
    *answer_n = b.n;
    buffer_free(&b);
    return rc;
}

static void on_stanza(void *arg, const struct stanza *s)
{
    struct effects fx;
    (void)arg;
    effects_init(&fx);
    core_step(core, &(struct event){.kind = EVENT_STANZA, .stanza = s}, FUZZ_EPOCH_MS, &fx);
    effects_free(&fx);
}

static void start(void)
{
    static const struct api_source source = {.count = source_count,
                                             .counters = source_counters,
                                             .resolver = source_resolver,
                                             .streams = source_streams,
                                             .part_failing = source_part_failing,
                                             .ask = source_ask};
    static const struct stanza_reader_limits limits = {262144, 32};
    struct core_config cfg = fuzz_core_config();
    struct stanza_reader *r;
    core = fuzz_core_create(&cfg);
    if (view_create(&view, &source) || stanza_reader_create(&r, &limits, on_stanza, NULL))
        abort();
    for (unsigned i = 0; i < 6; i++) {
        char z[160];
        int n = snprintf(z, sizeof z,
                         "<presence from='juliet%u@example.com/balcony' to='romeo@example.net' "
                         "type='subscribe'/>",
                         i);
        if (stanza_reader_feed(r, z, (size_t)n))
            abort();
    }
    stanza_reader_destroy(r);
    fuzz_expect(core_stats(core)->subscriptions == 6, "the core has not got its subscriptions");
}

// --- a request

static bool is_described(unsigned status)
{
    return status == 200 || status == 400 || status == 404 || status == 503 || status == 504;
}

// `next`: of a page, for the one behind it; free() it.
static void check(const struct reply *r, char **next)
{
    *next = NULL;
    fuzz_expect(!r->body.failed && r->body.n, "no body");
    fuzz_expect(is_described(r->status), "status %u", r->status);
    if (!strstr(r->type, "json"))
        return;
    json_error_t why;
    json_t *j = json_loadb(r->body.p, r->body.n, 0, &why);
    fuzz_expect(j, "%s: %.*s", why.text, (int)r->body.n, r->body.p);
    fuzz_expect(r->status == 200 || json_object_get(j, "detail") || json_object_get(j, "failing"),
                "no problem document: %.*s", (int)r->body.n, r->body.p);
    const char *cursor = json_string_value(json_object_get(j, "next"));
    if (cursor)
        *next = fuzz_copy(text_of(cursor));
    json_decref(j);
}

// As api/http.c does it.
static void request(char *target, char **next)
{
    struct uri u;
    struct reply r;
    *next = NULL;
    if (strlen(target) > URI_MAX || uri_split(&u, target) != 0)
        return;
    fuzz_expect(u.n <= URI_PARAMS_MAX, "%zu parameters", u.n);
    const struct route *route = route_find(u.path);
    if (!route)
        return;
    reply_init(&r);
    route_run(route, view, &u, &r);
    check(&r, next);
    reply_free(&r);
}

static void follow(const char *target, char *cursor)
{
    const char *query = strstr(target, "cursor=");
    for (unsigned i = 0; cursor; i++) {
        char *page;
        fuzz_expect(i < PAGES_MAX, "pages without end: %s", target);
        if (asprintf(&page, "%.*s%scursor=%s", query ? (int)(query - target) : 8192, target,
                     query                 ? ""
                     : strchr(target, '?') ? "&"
                                           : "?",
                     cursor) < 0)
            abort();
        free(cursor);
        request(page, &cursor);
        free(page);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_input in = {data, n};
    if (!core)
        start();
    for (unsigned i = 0; in.n && i < TARGETS_MAX; i++) {
        char *target = fuzz_copy(fuzz_line(&in)), *kept = fuzz_copy(text_of(target)), *next;
        request(target, &next);
        follow(kept, next);
        free(target);
        free(kept);
    }
    return 0;
}
