// Is it alive, is it ready, how is it: /healthz, /readyz, /v1/status, /v1/shards.
#ifndef API_HEALTH_H
#define API_HEALTH_H

#include "api/reply.h"
#include "api/uri.h"
#include "api/view.h"

enum {
    HEALTH_PINGS_MS = 3000,     // for the pings of all shards together
    HEALTH_PING_LEAST_MS = 100, // but for each at least
};

void health_live(struct view *v, const struct uri *u, struct reply *r);
void health_ready(struct view *v, const struct uri *u, struct reply *r);
void health_status(struct view *v, const struct uri *u, struct reply *r);
void health_shards(struct view *v, const struct uri *u, struct reply *r);

#endif
