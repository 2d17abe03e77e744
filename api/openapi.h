// GET /openapi.json: what is served, as OpenAPI 3.1, written from the table of routes.
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "api/reply.h"
#include "api/uri.h"
#include "api/view.h"

void openapi_show(struct view *v, const struct uri *u, struct reply *r);

#endif
