// Builds answers: JSON bodies and problem documents.
#include "api/reply.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    DETAIL_MAX = 256, // bytes of a problem's detail
    BODY_MAX = 32 << 20,
};

void reply_init(struct reply *r)
{
    *r = (struct reply){.status = MHD_HTTP_OK, .type = "application/json"};
    buffer_init(&r->body, BODY_MAX);
}

void reply_free(struct reply *r)
{
    buffer_free(&r->body);
}

static int append(const char *bytes, size_t n, void *body)
{
    buffer_add(body, bytes, n);
    return 0;
}

void reply_json(struct reply *r, unsigned status, json_t *j)
{
    buffer_reset(&r->body);
    r->status = status;
    r->type = "application/json";
    if (!j || json_dump_callback(j, append, &r->body, JSON_COMPACT) != 0)
        r->body.failed = true;
    json_decref(j);
    buffer_char(&r->body, '\n');
}

void reply_problem(struct reply *r, unsigned status, const char *detail, ...)
{
    char text[DETAIL_MAX];
    va_list args;
    va_start(args, detail);
    vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    // "about:blank": the status says all that there is to the type (RFC 9457 §4.2.1).
    reply_json(r, status,
               json_pack("{s:s, s:s, s:i, s:o}", "type", "about:blank", "title",
                         MHD_get_reason_phrase_for(status), "status", (int)status, "detail",
                         reply_string(text_of(text))));
    r->type = "application/problem+json";
}

json_t *reply_string(struct text t)
{
    json_t *j = json_stringn(t.n ? t.p : "", t.n);
    if (j)
        return j;
    struct buffer clean;
    buffer_init(&clean, 0);
    for (size_t i = 0; i < t.n; i++) {
        if ((unsigned char)t.p[i] < 0x80)
            buffer_char(&clean, t.p[i]);
        else
            buffer_lit(&clean, "\xef\xbf\xbd"); // U+FFFD
    }
    j = clean.failed ? NULL : json_stringn(clean.p, clean.n);
    buffer_free(&clean);
    return j;
}

json_t *reply_time(uint64_t wall_ms)
{
    static const uint64_t last_ms = 253402300799999; // the end of year 9999
    char day[32], whole[48];
    struct tm tm;
    uint64_t ms = wall_ms < last_ms ? wall_ms : last_ms;
    time_t s = (time_t)(ms / 1000);
    gmtime_r(&s, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(whole, sizeof whole, "%s.%03uZ", day, (unsigned)(ms % 1000));
    return json_string(whole);
}
