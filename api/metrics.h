// GET /metrics: counters, gauges and histograms as Prometheus text.
//
// Names: isthmus_, base units, _total for counters. Labels: shard, direction and state only, so
// that no user, domain or peer makes a series (and `version` of isthmus_build_info, `le` of
// histograms).
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/reply.h"
#include "api/uri.h"
#include "api/view.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum {
    // The histograms' buckets shown: below 2^FIRST µs … below 2^LAST µs, 8 µs … 16.8 s.
    METRICS_BUCKET_FIRST = 3,
    METRICS_BUCKET_LAST = 24,
};

void metrics_show(struct view *v, const struct uri *u, struct reply *r);

#endif
