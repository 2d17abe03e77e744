// Sets of acts, as bytes by number, for there are few thousand of them.
#include "act_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ACT_SET_MAX = 1000000 }; // numbers that a list may name

bool act_set_has(const struct act_set *s, uint64_t number)
{
    return number < s->n && s->has[number];
}

void act_set_add(struct act_set *s, uint64_t number)
{
    if (number >= s->n) {
        size_t n = 2 * number + 64;
        s->has = realloc(s->has, n);
        if (!s->has)
            abort();
        memset(s->has + s->n, 0, n - s->n);
        s->n = n;
    }
    s->has[number] = 1;
}

int act_set_parse(struct act_set *s, const char *list)
{
    for (char *end; *list; list = *end ? end + 1 : end) {
        uint64_t from = strtoull(list, &end, 10), to = from;
        if (end == list)
            return EINVAL;
        if (*end == '-') {
            list = end + 1;
            to = strtoull(list, &end, 10);
        }
        if (end == list || (*end && *end != ',') || to >= ACT_SET_MAX || from > to)
            return EINVAL;
        for (uint64_t i = from; i <= to; i++)
            act_set_add(s, i);
    }
    return 0;
}

void act_set_print(const struct act_set *s, FILE *to)
{
    const char *comma = "";
    for (size_t i = 0; i < s->n; i++) {
        size_t first = i;
        if (!s->has[i])
            continue;
        while (i + 1 < s->n && s->has[i + 1])
            i++;
        fprintf(to, first == i ? "%s%zu" : "%s%zu-%zu", comma, first, i);
        comma = ",";
    }
}

void act_set_free(struct act_set *s)
{
    free(s->has);
    *s = (struct act_set){0};
}
