// What is served where.
#include "api/routes.h"

#include <microhttpd.h>
#include "api/health.h"
#include "api/metrics.h"
#include "api/openapi.h"
#include "api/subscriptions.h"

static const struct route_param subscription_params[] = {
    {.name = "jid", .description = "Bare JID of the XMPP user; a resource is passed over."},
    {.name = "sip", .description = "SIP URI of the SIP user, with or without its scheme."},
    {.name = "direction", .description = "Who watches whom.", .choices = "xmpp-to-sip|sip-to-xmpp"},
    {.name = "state", .description = "State.", .choices = "pending|active|dormant"},
    {.name = "limit",
     .description = "Items wanted. A page may hold fewer, even none, while `next` is not null.",
     .type = PARAM_INTEGER,
     .least = 1,
     .most = SUBSCRIPTIONS_LIMIT_MAX,
     .usual = SUBSCRIPTIONS_LIMIT_USUAL},
    {.name = "cursor", .description = "The `next` of the page before."},
};

const struct route routes[] = {
    {.path = "/healthz",
     .id = "health",
     .summary = "The process lives.",
     .open = true,
     .type = "application/json",
     .schema = "Health",
     .handle = health_live},
    {.path = "/readyz",
     .id = "ready",
     .summary = "Every shard, store, SIP port and stream is up, and the gateway is not draining.",
     .open = true,
     .may_be_unready = true,
     .type = "application/json",
     .schema = "Ready",
     .handle = health_ready},
    {.path = "/metrics",
     .id = "metrics",
     .summary = "Metrics in the Prometheus text format 0.0.4.",
     .type = METRICS_TYPE,
     .handle = metrics_show},
    {.path = "/openapi.json",
     .id = "openapi",
     .summary = "This description.",
     .type = "application/json",
     .schema = "OpenAPI",
     .handle = openapi_show},
    {.path = "/v1/status",
     .id = "status",
     .summary = "The gateway as a whole.",
     .type = "application/json",
     .schema = "Status",
     .handle = health_status},
    {.path = "/v1/shards",
     .id = "shards",
     .summary = "Each shard's gauges and counters.",
     .type = "application/json",
     .schema = "Shards",
     .handle = health_shards},
    {.path = "/v1/subscriptions",
     .id = "subscriptions",
     .summary = "Subscriptions in both directions, page by page.",
     .type = "application/json",
     .schema = "Subscriptions",
     .params = subscription_params,
     .n_params = sizeof subscription_params / sizeof *subscription_params,
     .handle = subscriptions_show},
};
const size_t n_routes = sizeof routes / sizeof *routes;

const struct route *route_find(struct text path)
{
    for (size_t i = 0; i < n_routes; i++)
        if (text_eq(path, text_of(routes[i].path)))
            return &routes[i];
    return NULL;
}

static bool is_known(const struct route *route, struct text name)
{
    for (size_t i = 0; i < route->n_params; i++)
        if (text_eq(name, text_of(route->params[i].name)))
            return true;
    return false;
}

void route_run(const struct route *route, struct view *v, const struct uri *u, struct reply *r)
{
    for (size_t i = 0; i < u->n; i++) {
        struct text name = u->v[i].name;
        if (!is_known(route, name)) {
            reply_problem(r, MHD_HTTP_BAD_REQUEST, "unknown parameter \"%.*s\"",
                          name.n < 64 ? (int)name.n : 64, name.p);
            return;
        }
        for (size_t j = 0; j < i; j++)
            if (text_eq(name, u->v[j].name)) {
                reply_problem(r, MHD_HTTP_BAD_REQUEST, "parameter \"%.*s\" is given twice",
                              TEXT_ARG(name));
                return;
            }
    }
    route->handle(v, u, r);
}
