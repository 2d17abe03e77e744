// Describes the routes, their parameters and the fields of what they answer.
#include "api/openapi.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include "api/routes.h"

// One field of one schema; a "?" behind its name: it may be missing. `type` is JSON's, with "?"
// behind: or null; "date-time"; "=a|b": one of these strings; "@Name[]": an array of that schema;
// "@Name".
struct field {
    const char *schema, *name, *type, *description;
};

static const struct field fields[] = {
    {"Health", "status", "=ok", "Always ok."},
    {"Ready", "ready", "boolean", "Nothing is failing."},
    {"Ready", "failing", "@Failing[]", "What is not up."},
    {"Failing", "part", "=shard|store|sip|stream|gateway", "What kind of part."},
    {"Failing", "name", "string", "Which one: the shard's number, the stream's domain."},
    {"Failing", "why", "string",
     "The reason. Of a store: its disk is full, nearly full or failing, or its file was removed, "
     "moved or replaced under the running gateway."},
    {"OpenAPI", "openapi", "string", "3.1.0"},
    {"OpenAPI", "info", "object", "Title and version."},
    {"OpenAPI", "paths", "object", "What is served."},
    {"OpenAPI", "components", "object", "The schemas."},
    {"OpenAPI", "security", "array", "The bearer token, where one is set."},
    {"Status", "version", "string", "The gateway's version."},
    {"Status", "uptime_s", "integer", "Seconds since the start."},
    {"Status", "shards", "integer", "How many."},
    {"Status", "subscriptions", "@SubscriptionCounts", "By direction and state."},
    {"Status", "streams", "@Stream[]", "The component streams."},
    {"Status", "draining", "boolean", "New work is refused."},
    {"Status", "overload", "@Overload", "Whether there is more to do than can be done."},
    {"Overload", "shedding", "boolean", "A part of the new work is refused, in some shard."},
    {"Overload", "lag_ms", "integer", "How long input waits before it is taken in, at most."},
    {"Overload", "shed_share", "number", "The refused part of the new work of late, at most."},
    {"Overload", "refused_total", "integer", "New subscriptions and fetches refused so."},
    {"SubscriptionCounts", "xmpp-to-sip", "@StateCounts", "XMPP users who watch SIP users."},
    {"SubscriptionCounts", "sip-to-xmpp", "@StateCounts", "SIP users who watch XMPP users."},
    {"StateCounts", "pending", "integer", "Asked for, not answered."},
    {"StateCounts", "active", "integer", "Granted, with a dialog."},
    {"StateCounts", "dormant", "integer", "Granted, without a dialog."},
    {"Stream", "domain", "string", "The component's domain."},
    {"Stream", "state", "=up|down", "Authenticated or not."},
    {"Stream", "since", "date-time", "Since when."},
    {"Stream", "why?", "string", "Why it is down, where known."},
    {"Shards", "items", "@Shard[]", "One for each shard."},
    {"Shard", "shard", "integer", "Its number."},
    {"Shard", "subscriptions", "integer", "Subscriptions held."},
    {"Shard", "dialogs", "integer", "SIP dialogs."},
    {"Shard", "transactions", "integer", "SIP transactions, client's and server's."},
    {"Shard", "users", "integer", "XMPP users that something is known of."},
    {"Shard", "turns_total", "integer", "Turns of its loop."},
    {"Shard", "events_total", "integer", "Events stepped."},
    {"Shard", "ring_full_total", "integer", "Messages that waited for a full ring."},
    {"Shard", "store_bytes", "integer", "Bytes used in its store."},
    {"Subscriptions", "items", "@Subscription[]", "This page."},
    {"Subscriptions", "next", "string?", "The cursor of the next page; null: the end."},
    {"Subscription", "id", "string",
     "A 64-bit number in decimal; a string, since JSON readers round."},
    {"Subscription", "direction", "=xmpp-to-sip|sip-to-xmpp", "Who watches whom."},
    {"Subscription", "xmpp", "string", "The XMPP user's bare JID."},
    {"Subscription", "sip", "string", "The SIP user's URI."},
    {"Subscription", "state", "=pending|active|dormant", "State."},
    {"Subscription", "shard", "integer", "The shard that owns it."},
    {"Subscription", "expires_in_s", "integer", "Of the longest-lived dialog; 0: there is none."},
    {"Subscription", "dialogs", "@Dialog[]", "The first 16 of its dialogs."},
    {"Subscription", "created_at", "date-time", "When."},
    {"Dialog", "call_id", "string", "Call-ID."},
    {"Dialog", "remote", "string", "The remote target."},
    {"Dialog", "expires_in_s", "integer", "Seconds that it has left."},
    {"Problem", "type", "string", "Always about:blank: the status says it."},
    {"Problem", "title", "string", "The status in words."},
    {"Problem", "status", "integer", "The HTTP status."},
    {"Problem", "detail", "string", "What was wrong."},
};

// --- schemas

static json_t *reference(const char *schema, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "#/components/schemas/%.*s", (int)n, schema);
    return json_pack("{s:s}", "$ref", path);
}

static void add_choices(json_t *schema, const char *choices)
{
    json_t *all = json_array();
    while (choices && *choices) {
        size_t n = strcspn(choices, "|");
        json_array_append_new(all, json_stringn(choices, n));
        choices += n + (choices[n] == '|');
    }
    json_object_set_new(schema, "enum", all);
}

static json_t *type_schema(const char *type)
{
    size_t n = strlen(type);
    if (type[0] == '=') {
        json_t *s = json_pack("{s:s}", "type", "string");
        add_choices(s, type + 1);
        return s;
    }
    if (type[0] == '@' && type[n - 1] == ']')
        return json_pack("{s:s, s:o}", "type", "array", "items", reference(type + 1, n - 3));
    if (type[0] == '@')
        return reference(type + 1, n - 1);
    if (type[n - 1] == '?')
        return json_pack("{s:[s%, s]}", "type", type, n - 1, "null");
    if (strcmp(type, "date-time") == 0)
        return json_pack("{s:s, s:s}", "type", "string", "format", type);
    return json_pack("{s:s}", "type", type);
}

static json_t *field_schema(const struct field *f)
{
    json_t *s = type_schema(f->type);
    json_object_set_new(s, "description", json_string(f->description));
    return s;
}

static json_t *schema_of(json_t *all, const char *name)
{
    json_t *s = json_object_get(all, name);
    if (s)
        return s;
    s = json_pack("{s:s, s:{}, s:[]}", "type", "object", "properties", "required");
    json_object_set_new(all, name, s);
    return s;
}

static json_t *schemas(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct field *f = &fields[i];
        json_t *s = schema_of(all, f->schema);
        size_t n = strcspn(f->name, "?");
        json_object_setn_new(json_object_get(s, "properties"), f->name, n, field_schema(f));
        if (!f->name[n])
            json_array_append_new(json_object_get(s, "required"), json_string(f->name));
    }
    return all;
}

// --- paths

static json_t *parameter(const struct route_param *p)
{
    json_t *s = json_pack("{s:s}", "type", p->type == PARAM_INTEGER ? "integer" : "string");
    if (p->choices)
        add_choices(s, p->choices);
    if (p->type == PARAM_INTEGER) {
        json_object_set_new(s, "minimum", json_integer(p->least));
        json_object_set_new(s, "maximum", json_integer(p->most));
        json_object_set_new(s, "default", json_integer(p->usual));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "name", p->name, "in", "query", "description",
                     p->description, "schema", s);
}

static json_t *parameters(const struct route *route)
{
    json_t *all = json_array();
    for (size_t i = 0; i < route->n_params; i++)
        json_array_append_new(all, parameter(&route->params[i]));
    return all;
}

static json_t *response(const char *description, const char *type, const char *schema)
{
    json_t *s = schema ? reference(schema, strlen(schema)) : json_pack("{s:s}", "type", "string");
    return json_pack("{s:s, s:{s:{s:o}}}", "description", description, "content", type, "schema",
                     s);
}

static json_t *responses(const struct route *route)
{
    json_t *all = json_object();
    json_object_set_new(all, "200", response("Found.", route->type, route->schema));
    if (route->may_be_unready)
        json_object_set_new(all, "503", response("Not ready.", route->type, route->schema));
    json_object_set_new(all, "default",
                        response("A problem (RFC 9457).", "application/problem+json", "Problem"));
    return all;
}

static json_t *operation(const struct route *route)
{
    json_t *op = json_pack("{s:s, s:s, s:o}", "operationId", route->id, "summary", route->summary,
                           "responses", responses(route));
    if (route->n_params)
        json_object_set_new(op, "parameters", parameters(route));
    if (route->open)
        json_object_set_new(op, "security", json_array());
    return op;
}

static json_t *paths(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < n_routes; i++)
        json_object_set_new(all, routes[i].path, json_pack("{s:o}", "get", operation(&routes[i])));
    return all;
}

void openapi_show(struct view *v, const struct uri *u, struct reply *r)
{
    (void)v, (void)u;
    reply_json(r, MHD_HTTP_OK,
               json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{}, {s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s}}}}",
                         "openapi", "3.1.0", "info", "title", "Isthmus", "version", ISTHMUS_VERSION,
                         "description",
                         "HEAD is served wherever GET is. Other paths, methods and parameters are "
                         "answered by a problem document.",
                         "security", "bearer", "paths", paths(), "components", "schemas", schemas(),
                         "securitySchemes", "bearer", "type", "http", "scheme", "bearer"));
}
