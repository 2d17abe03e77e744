// GET /metrics: counters, gauges and the turn's histogram as Prometheus text.
//
// Names: isthmus_, base units, _total for counters. Labels: shard, direction and state only, so
// that no user, domain or peer makes a series (and `version` of isthmus_build_info, `le` of the
// histogram).
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/reply.h"
#include "api/uri.h"
#include "api/view.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum {
    // The histogram's buckets shown: below 2^FIRST µs … below 2^LAST µs, 8 µs … 16.8 s.
    METRICS_TURN_FIRST = 3,
    METRICS_TURN_LAST = 24,
};

void metrics_show(struct view *v, const struct uri *u, struct reply *r);

#endif
