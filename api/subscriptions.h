// GET /v1/subscriptions: filters, and pages over all shards.
#ifndef API_SUBSCRIPTIONS_H
#define API_SUBSCRIPTIONS_H

#include "api/reply.h"
#include "api/uri.h"
#include "api/view.h"

enum {
    SUBSCRIPTIONS_LIMIT_MAX = 1000,
    SUBSCRIPTIONS_LIMIT_USUAL = 100,
    // A page on which the search went on for this long is given out as it is, so that a filter that
    // finds little in millions of subscriptions doesn't keep other requests waiting.
    SUBSCRIPTIONS_PAGE_MS = 2000,
};

void subscriptions_show(struct view *v, const struct uri *u, struct reply *r);

#endif
