// Reads the list of subscriptions page by page and holds it against what was promised.
#include "tests/crash/promises.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN = 1, SEEN_ACTIVE = 2, SEEN_DIALOG = 4 };

int promises_create(struct promises *p, unsigned pairs)
{
    *p = (struct promises){.pairs = pairs};
    for (int d = 0; d < 2; d++) {
        p->of[d] = calloc(pairs, 1);
        p->seen[d] = calloc(pairs, 1);
    }
    if (p->of[0] && p->of[1] && p->seen[0] && p->seen[1])
        return 0;
    promises_free(p);
    return ENOMEM;
}

void promises_free(struct promises *p)
{
    for (int d = 0; d < 2; d++) {
        free(p->of[d]);
        free(p->seen[d]);
    }
}

static enum promise promise_of(const struct load *l, int direction, unsigned i)
{
    const struct load_pair *pair = load_pair(l, direction ? LOAD_SERVE : LOAD_WATCH, i);
    if (!pair->wanted) // nor ever was, or she has been told that it is over
        return load_is_under_way(l, direction ? LOAD_UNSERVE : LOAD_UNWATCH, i) ? PROMISE_NONE
                                                                                : PROMISE_OVER;
    if (!pair->told)
        return PROMISE_NONE;
    return pair->live ? PROMISE_LIVE : PROMISE_ACTIVE;
}

void promises_take(struct promises *p, const struct load *l)
{
    for (int d = 0; d < 2; d++)
        for (unsigned i = 0; i < p->pairs; i++)
            p->of[d][i] = (uint8_t)promise_of(l, d, i);
}

static void lose(struct promises *p, int direction, unsigned i, const char *what)
{
    if (p->lost++)
        return;
    snprintf(p->why, sizeof p->why, "%s", what);
    p->lost_direction = direction;
    p->lost_pair = i;
}

static const char *text_at(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text ? text : "";
}

// "x17@example.com": 17 of the direction that `letter` stands for. -1: it is nobody's.
static long number_of(const struct promises *p, const char *jid, char letter)
{
    char *end;
    if (jid[0] != letter)
        return -1;
    unsigned long i = strtoul(jid + 1, &end, 10);
    return end != jid + 1 && *end == '@' && i < p->pairs ? (long)i : -1;
}

static void see(struct promises *p, const json_t *item)
{
    int direction = strcmp(text_at(item, "direction"), "sip-to-xmpp") == 0;
    long i = number_of(p, text_at(item, "xmpp"), direction ? 'j' : 'x');
    if (i < 0) {
        lose(p, direction, 0, "a subscription of nobody is listed");
        return;
    }
    uint8_t *seen = &p->seen[direction][i];
    if (*seen)
        lose(p, direction, (unsigned)i, "listed twice");
    *seen = SEEN;
    if (strcmp(text_at(item, "state"), "active") == 0)
        *seen |= SEEN_ACTIVE;
    if (json_array_size(json_object_get(item, "dialogs")))
        *seen |= SEEN_DIALOG;
}

// *cursor: of the next page; "": there is none.
static int read_page(struct promises *p, const struct load *l, char cursor[64])
{
    char path[128], *body = NULL;
    snprintf(path, sizeof path, "/v1/subscriptions?limit=1000%s%s", *cursor ? "&cursor=" : "",
             cursor);
    int status = load_rest(l, "GET", path, &body);
    json_t *page = status == 200 && body ? json_loads(body, 0, NULL) : NULL;
    free(body);
    if (!page)
        return EBADMSG;
    const json_t *item, *items = json_object_get(page, "items");
    size_t n;
    json_array_foreach((json_t *)(uintptr_t)items, n, item) see(p, item);
    snprintf(cursor, 64, "%s", text_at(page, "next"));
    json_decref(page);
    return 0;
}

static const char *broken(enum promise promise, uint8_t seen)
{
    switch (promise) {
    case PROMISE_NONE: return NULL;
    case PROMISE_OVER: return seen ? "is over, and is back" : NULL;
    case PROMISE_LIVE:
    case PROMISE_ACTIVE: break;
    }
    if (!seen)
        return "was told of, and is lost";
    if (!(seen & SEEN_ACTIVE))
        return "was told of, and is not active";
    return promise == PROMISE_LIVE && !(seen & SEEN_DIALOG) ? "has lost its dialog" : NULL;
}

int promises_check(struct promises *p, const struct load *l)
{
    char cursor[64] = "";
    for (int d = 0; d < 2; d++)
        memset(p->seen[d], 0, p->pairs);
    do {
        int error = read_page(p, l, cursor);
        if (error)
            return error;
    } while (*cursor);
    for (int d = 0; d < 2; d++)
        for (unsigned i = 0; i < p->pairs; i++) {
            const char *how = broken(p->of[d][i], p->seen[d][i]);
            if (how)
                lose(p, d, i, how);
            else
                p->kept += p->of[d][i] != PROMISE_NONE;
        }
    return 0;
}
