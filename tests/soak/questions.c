// Asks over REST and judges what is answered.
#include "tests/soak/questions.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const paths[] = {
    "/readyz",       "/v1/status", "/metrics", "/v1/subscriptions?limit=100",
    "/openapi.json", "/v1/shards", "/healthz", "/v1/subscriptions?jid=x1%40example.com"};
enum { PATHS = sizeof paths / sizeof *paths };

static const char not_in_time[] = "does not answer in time";

static const char *text_of_key(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static enum questions_verdict judge_part(const json_t *part, uint64_t since_break_ms)
{
    if (strcmp(text_of_key(part, "part"), "stream") == 0 && since_break_ms < QUESTIONS_DOWN_MS)
        return QUESTIONS_GOOD;
    if (strcmp(text_of_key(part, "part"), "shard") == 0 &&
        strcmp(text_of_key(part, "why"), not_in_time) == 0)
        return QUESTIONS_LATE;
    return QUESTIONS_WRONG;
}

// The worst of what fails; that nothing does is no reason for a 503.
static enum questions_verdict judge_ready(const json_t *all, uint64_t since_break_ms)
{
    const json_t *failing = json_object_get(all, "failing");
    enum questions_verdict worst = json_array_size(failing) ? QUESTIONS_GOOD : QUESTIONS_WRONG;
    for (size_t i = 0; i < json_array_size(failing); i++) {
        enum questions_verdict one = judge_part(json_array_get(failing, i), since_break_ms);
        worst = one > worst ? one : worst;
    }
    return worst;
}

enum questions_verdict questions_judge(const char *path, int status, const char *body,
                                       uint64_t since_break_ms)
{
    if (status == 200 || status != 503)
        return status == 200 ? QUESTIONS_GOOD : QUESTIONS_WRONG;
    json_t *all = json_loads(body ? body : "", 0, NULL);
    bool late = strstr(text_of_key(all, "detail"), not_in_time) != NULL;
    enum questions_verdict verdict = strcmp(path, "/readyz") == 0 ? judge_ready(all, since_break_ms)
                                     : late                       ? QUESTIONS_LATE
                                                                  : QUESTIONS_WRONG;
    json_decref(all);
    return verdict;
}

static enum questions_verdict ask(const struct load *l, const char *path, uint64_t since_break_ms,
                                  FILE *out)
{
    uint64_t began_us = load_now_us();
    char *body = NULL;
    int status = load_rest(l, "GET", path, &body);
    enum questions_verdict verdict = questions_judge(path, status, body, since_break_ms);
    if (verdict != QUESTIONS_GOOD)
        fprintf(out, "    %s: %d after %.1f ms: %.*s\n", path, status,
                (double)(load_now_us() - began_us) / 1e3, body ? (int)strcspn(body, "\n") : 0,
                body ? body : "");
    free(body);
    return verdict;
}

void questions_play(struct questions *q, const struct load *l, uint64_t since_break_ms, FILE *out)
{
    uint64_t now_us = load_now_us();
    if (now_us < q->next_us)
        return;
    q->next_us = now_us + QUESTIONS_GAP_MS * 1000ull;
    enum questions_verdict verdict = ask(l, paths[q->asked % PATHS], since_break_ms, out);
    q->late += verdict == QUESTIONS_LATE && q->again == 0;
    if (verdict == QUESTIONS_LATE && q->again++ < QUESTIONS_AGAIN_MOST)
        return;
    q->wrong += verdict != QUESTIONS_GOOD;
    q->again = 0;
    q->asked++;
}
