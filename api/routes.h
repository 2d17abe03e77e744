// The table of what is served: each path with its parameters, its description and its handler.
//
// Requests are dispatched by it, parameters checked against it, and openapi.json written from it.
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/reply.h"
#include "api/uri.h"
#include "api/view.h"

enum route_param_type { PARAM_STRING, PARAM_INTEGER };

struct route_param {
    const char *name, *description;
    enum route_param_type type;
    const char *choices;    // "a|b"; NULL: any
    int least, most, usual; // of an integer
};

struct route {
    const char *path, *id, *summary;
    bool open;           // never asks for a token
    bool may_be_unready; // answers 503 with its own schema
    const char *type;    // Content-Type of what is found
    const char *schema;  // its name in openapi.json; NULL: any text
    const struct route_param *params;
    size_t n_params;
    void (*handle)(struct view *v, const struct uri *u, struct reply *r);
};

extern const struct route routes[];
extern const size_t n_routes;

// NULL: nothing is there.
const struct route *route_find(struct text path);
// Checks the parameters' names, then runs the handler.
void route_run(const struct route *route, struct view *v, const struct uri *u, struct reply *r);

#endif
