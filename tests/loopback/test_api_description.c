// openapi.json says what is served, no more and no less; the metrics keep Prometheus' rules.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "api/metrics.h"
#include "tests/loopback/api_world.h"
#include "tests/loopback/http_client.h"

struct fixture {
    struct api_world *world;
    struct api *api;
    uint16_t port;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct store_error why;
    struct api_settings settings = {.listen_host = "127.0.0.1"};
    f->world = world_create();
    struct api_source source = world_source(f->world);
    assert_int_equal(world_start_api(&f->api, &settings, &source, &why), 0);
    f->port = api_port(f->api);
    world_add(f->world, 1, 1, 1, XMPP_TO_SIP, STATE_ACTIVE);
    world_add(f->world, 2, 2, 2, SIP_TO_XMPP, STATE_PENDING);
    world_set_stream(f->world, 1, false, "refused");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    api_stop(f->api);
    world_destroy(f->world);
    free(f);
    return 0;
}

// --- openapi.json against the answers

static const json_t *resolve(const json_t *doc, const json_t *schema)
{
    static const char where[] = "#/components/schemas/";
    const char *name = json_string_value(json_object_get(schema, "$ref"));
    if (!name)
        return schema;
    assert_memory_equal(name, where, sizeof where - 1);
    const json_t *all = json_object_get(json_object_get(doc, "components"), "schemas");
    const json_t *found = json_object_get(all, name + sizeof where - 1);
    if (!found)
        fail_msg("%s is not described", name);
    return found;
}

static bool type_is(const char *type, const json_t *value)
{
    static const struct {
        const char *name;
        json_type type;
    } simple[] = {{"object", JSON_OBJECT},   {"array", JSON_ARRAY}, {"string", JSON_STRING},
                  {"integer", JSON_INTEGER}, {"number", JSON_REAL}, {"null", JSON_NULL}};
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value);
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (strcmp(type, simple[i].name) == 0)
            return json_typeof(value) == simple[i].type;
    fail_msg("type %s", type);
    return false;
}

static void assert_type(const json_t *type, const json_t *value)
{
    bool right = json_is_string(type) && type_is(json_string_value(type), value);
    size_t i;
    json_t *one;
    json_array_foreach(type, i, one) right |= type_is(json_string_value(one), value);
    assert_true(right);
}

static void assert_choice(const json_t *choices, const json_t *value)
{
    bool found = !choices;
    size_t i;
    json_t *one;
    json_array_foreach(choices, i, one) found |= json_equal(one, value);
    assert_true(found);
}

// Every field is described, and every field that is required is there.
static void assert_described(const json_t *doc, const json_t *schema, const json_t *value)
{
    const char *key;
    size_t i;
    json_t *one;
    schema = resolve(doc, schema);
    assert_type(json_object_get(schema, "type"), value);
    assert_choice(json_object_get(schema, "enum"), value);
    json_array_foreach(json_object_get(schema, "required"), i, one)
        assert_non_null(json_object_get(value, json_string_value(one)));
    json_t *properties = json_object_get(schema, "properties");
    json_object_foreach((json_t *)value, key, one)
    {
        if (!properties)
            break;
        if (!json_object_get(properties, key))
            fail_msg("%s is not described", key);
        assert_described(doc, json_object_get(properties, key), one);
    }
    json_t *items = json_object_get(schema, "items");
    if (items)
        json_array_foreach(value, i, one) assert_described(doc, items, one);
}

static json_t *get_json(struct fixture *f, const char *target)
{
    struct http_answer a = http_ask(f->port, "GET", target, "");
    json_t *j = json_loadb(a.body, a.body_n, 0, NULL);
    assert_non_null(j);
    http_answer_free(&a);
    return j;
}

static void check_path(struct fixture *f, const json_t *doc, const char *path, const json_t *get)
{
    struct http_answer a = http_ask(f->port, "GET", path, "");
    char status[8];
    snprintf(status, sizeof status, "%d", a.status);
    json_t *response = json_object_get(json_object_get(get, "responses"), status);
    if (!response)
        fail_msg("%s: %s is not described", path, status);
    json_t *media =
        json_object_get(json_object_get(response, "content"), http_field(&a, "Content-Type"));
    if (!media)
        fail_msg("%s: %s is not described", path, http_field(&a, "Content-Type"));
    if (strcmp(http_field(&a, "Content-Type"), "application/json") == 0) {
        json_t *j = json_loadb(a.body, a.body_n, 0, NULL);
        assert_described(doc, json_object_get(media, "schema"), j);
        json_decref(j);
    }
    assert_true(json_string_length(json_object_get(get, "summary")) > 0);
    http_answer_free(&a);
}

static void every_path_answers_as_described(void **state)
{
    static const char *const served[] = {"/healthz",         "/readyz",    "/metrics",
                                         "/openapi.json",    "/v1/status", "/v1/shards",
                                         "/v1/subscriptions"};
    json_t *doc = get_json(*state, "/openapi.json"), *path;
    json_t *paths = json_object_get(doc, "paths");
    const char *name;
    assert_int_equal(json_object_size(paths), sizeof served / sizeof *served);
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        assert_non_null(json_object_get(paths, served[i]));
    json_object_foreach(paths, name, path)
        check_path(*state, doc, name, json_object_get(path, "get"));
    json_decref(doc);
}

static void every_parameter_is_taken(void **state)
{
    json_t *doc = get_json(*state, "/openapi.json");
    json_t *get =
        json_object_get(json_object_get(json_object_get(doc, "paths"), "/v1/subscriptions"), "get");
    json_t *parameters = json_object_get(get, "parameters"), *one;
    size_t i;
    assert_int_equal(json_array_size(parameters), 6);
    json_array_foreach(parameters, i, one)
    {
        char target[256];
        const char *name = json_string_value(json_object_get(one, "name"));
        json_t *choices = json_object_get(json_object_get(one, "schema"), "enum");
        const char *value = json_string_value(json_array_get(choices, 0));
        if (!value)
            value = strcmp(name, "limit") == 0    ? "1000"
                    : strcmp(name, "cursor") == 0 ? "010000000000000000"
                                                  : "romeo@example.net";
        snprintf(target, sizeof target, "/v1/subscriptions?%s=%s", name, value);
        check_path(*state, doc, target, get);
    }
    json_decref(doc);
}

static void problems_are_described(void **state)
{
    json_t *doc = get_json(*state, "/openapi.json"), *problem = get_json(*state, "/nowhere");
    json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");
    assert_described(doc, json_object_get(schemas, "Problem"), problem);
    json_decref(problem);
    json_decref(doc);
}

// --- metrics

struct scrape {
    char *text;
    char family[128], type[16]; // of the last HELP and TYPE
    unsigned families, samples;
};

static void check_comment(struct scrape *s, const char *line)
{
    char name[128], rest[256];
    if (sscanf(line, "# HELP %127s %255[^\n]", name, rest) == 2) {
        snprintf(s->family, sizeof s->family, "%s", name);
        s->type[0] = '\0';
        s->families++;
        return;
    }
    assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, s->type), 2);
    assert_string_equal(name, s->family);
    assert_memory_equal(name, "isthmus_", 8);
    size_t n = strlen(name);
    bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
    assert_int_equal(total, strcmp(s->type, "counter") == 0);
}

static void check_labels(const char *labels)
{
    static const char *const allowed[] = {"shard", "direction", "state", "version", "le"};
    char name[32], value[64];
    int n;
    while (*labels && *labels != '}') {
        assert_int_equal(sscanf(labels, "%31[a-z]=\"%63[^\"]\"%n", name, value, &n), 2);
        bool known = false;
        for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
            known |= strcmp(name, allowed[i]) == 0;
        assert_true(known);
        labels += n + (labels[n] == ',');
    }
}

static void check_sample(struct scrape *s, char *line)
{
    char *space = strrchr(line, ' '), *end;
    assert_non_null(space);
    strtod(space + 1, &end);
    assert_int_equal(*end, '\0');
    *space = '\0';
    char *labels = strchr(line, '{');
    size_t n = labels ? (size_t)(labels - line) : strlen(line);
    bool plain = strlen(s->family) == n && memcmp(line, s->family, n) == 0;
    bool of_histogram = strcmp(s->type, "histogram") == 0 && n > strlen(s->family) &&
                        memcmp(line, s->family, strlen(s->family)) == 0;
    if (!(plain && s->type[0]) && !of_histogram)
        fail_msg("%s has no HELP and TYPE before it", line);
    check_labels(labels ? labels + 1 : "");
    s->samples++;
}

static struct http_answer get_metrics(struct fixture *f)
{
    struct http_answer a = http_ask(f->port, "GET", "/metrics", "");
    assert_int_equal(a.status, 200);
    assert_string_equal(http_field(&a, "Content-Type"), METRICS_TYPE);
    assert_int_equal(a.body[a.body_n - 1], '\n');
    return a;
}

static void every_line_is_sound(void **state)
{
    struct http_answer a = get_metrics(*state);
    struct scrape s = {0};
    char *rest = a.body, *line;
    while ((line = strsep(&rest, "\n")) && *line)
        line[0] == '#' ? check_comment(&s, line) : check_sample(&s, line);
    assert_null(rest ? (*rest ? rest : NULL) : NULL);
    assert_true(s.families > 40);
    assert_true(s.samples > 100);
    http_answer_free(&a);
}

static void values_are_those_of_the_shards(void **state)
{
    static const char *const lines[] = {
        "isthmus_build_info{version=\"" ISTHMUS_VERSION "\"} 1",
        "isthmus_streams{state=\"up\"} 1",
        "isthmus_streams{state=\"down\"} 1",
        "isthmus_shards 3",
        "isthmus_draining 0",
        "isthmus_turns_total{shard=\"2\"} 102",
        "isthmus_events_total{shard=\"0\"} 300",
        "isthmus_users{shard=\"1\"} 401",
        "isthmus_dialogs{shard=\"1\"} 501",
        "isthmus_server_transactions{shard=\"2\"} 22",
        "isthmus_store_bytes{shard=\"2\"} 12288",
        "isthmus_subscriptions{shard=\"1\",direction=\"xmpp-to-sip\",state=\"active\"} 1",
        "isthmus_subscriptions{shard=\"2\",direction=\"sip-to-xmpp\",state=\"pending\"} 1",
        "isthmus_subscriptions{shard=\"2\",direction=\"xmpp-to-sip\",state=\"active\"} 0",
        "isthmus_turn_duration_seconds_bucket{shard=\"0\",le=\"8e-06\"} 1",
        "isthmus_turn_duration_seconds_bucket{shard=\"0\",le=\"1.6e-05\"} 1",
        "isthmus_turn_duration_seconds_bucket{shard=\"0\",le=\"3.2e-05\"} 3",
        "isthmus_turn_duration_seconds_bucket{shard=\"0\",le=\"16.777216\"} 3",
        "isthmus_turn_duration_seconds_bucket{shard=\"0\",le=\"+Inf\"} 7",
        "isthmus_turn_duration_seconds_sum{shard=\"0\"} 1.500001",
        "isthmus_turn_duration_seconds_count{shard=\"0\"} 7",
        "isthmus_resolver_lookups_total 601",
        "isthmus_resolver_joined_total 602",
        "isthmus_resolver_refused_total 603",
        "isthmus_resolver_failures_total 604",
        "isthmus_resolver_nowhere_total 605",
        "isthmus_resolver_queries_total 606",
        "isthmus_resolver_in_flight 607",
        "isthmus_resolver_duration_seconds_bucket{le=\"8e-06\"} 0",
        "isthmus_resolver_duration_seconds_bucket{le=\"1.6e-05\"} 3",
        "isthmus_resolver_duration_seconds_bucket{le=\"+Inf\"} 3",
        "isthmus_resolver_duration_seconds_sum 2.000001",
        "isthmus_resolver_duration_seconds_count 3",
    };
    struct http_answer a = get_metrics(*state);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char whole[160];
        snprintf(whole, sizeof whole, "\n%s\n", lines[i]);
        if (!strstr(a.body, whole))
            fail_msg("%s is missing", lines[i]);
    }
    const char *resident = strstr(a.body, "\nisthmus_resident_memory_bytes ");
    assert_non_null(resident);
    assert_true(atoll(strchr(resident, ' ')) > 1 << 20);
    http_answer_free(&a);
}

// No series twice: Prometheus would refuse the whole scrape.
static void no_series_is_doubled(void **state)
{
    struct http_answer a = get_metrics(*state);
    static char *series[4096];
    size_t n = 0;
    char *rest = a.body, *line;
    while ((line = strsep(&rest, "\n")))
        if (*line && *line != '#') {
            *strrchr(line, ' ') = '\0';
            for (size_t i = 0; i < n; i++)
                assert_string_not_equal(series[i], line);
            assert_true(n < sizeof series / sizeof *series);
            series[n++] = line;
        }
    http_answer_free(&a);
}

int main(void)
{
#define API_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        API_TEST(every_path_answers_as_described), API_TEST(every_parameter_is_taken),
        API_TEST(problems_are_described),          API_TEST(every_line_is_sound),
        API_TEST(values_are_those_of_the_shards),  API_TEST(no_series_is_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
