// The API's routes over HTTP: health, readiness, figures, and lists over several shards.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

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

// GET; the body as JSON.
static json_t *get(struct fixture *f, const char *target, int status)
{
    json_error_t why;
    struct http_answer a = http_ask(f->port, "GET", target, "");
    if (a.status != status)
        fail_msg("%s: %d, wanted %d: %s", target, a.status, status, a.body);
    bool problem = strcmp(http_field(&a, "Content-Type"), "application/problem+json") == 0;
    assert_true(problem || strcmp(http_field(&a, "Content-Type"), "application/json") == 0);
    assert_int_equal(problem, status >= 400 && strncmp(target, "/readyz", 7) != 0);
    json_t *j = json_loadb(a.body, a.body_n, 0, &why);
    assert_non_null(j);
    if (problem)
        assert_int_equal(json_integer_value(json_object_get(j, "status")), status);
    http_answer_free(&a);
    return j;
}

static void expect(struct fixture *f, const char *target, int status)
{
    json_decref(get(f, target, status));
}

// Compares with JSON written with single quotes; steals `have`.
static void assert_json(json_t *have, const char *want)
{
    char *copy = strdup(want);
    for (char *at = copy; (at = strchr(at, '\''));)
        *at = '"';
    json_t *wanted = json_loads(copy, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (!json_equal(have, wanted)) {
        char *is = json_dumps(have, JSON_ENCODE_ANY);
        fail_msg("%s\nis not %s", is, copy);
    }
    json_decref(wanted);
    json_decref(have);
    free(copy);
}

static void set_shard(struct fixture *f, unsigned shard, int ask_error, const char *failing)
{
    struct world_shard *s = world_lock(f->world, shard);
    s->ask_error = ask_error;
    s->failing = failing;
    world_unlock(f->world);
}

static void lives_and_is_ready(void **state)
{
    assert_json(get(*state, "/healthz", 200), "{'status':'ok'}");
    assert_json(get(*state, "/readyz", 200), "{'ready':true,'failing':[]}");
    assert_int_equal(world_questions(((struct fixture *)*state)->world), WORLD_SHARDS);
}

static void names_what_is_not_ready(void **state)
{
    struct fixture *f = *state;
    set_shard(f, 1, ETIMEDOUT, "");
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'shard','name':'1',"
                "'why':'does not answer in time'}]}");
    set_shard(f, 1, 0, "store is full");
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'store','name':'1',"
                "'why':'store is full'}]}");
    set_shard(f, 1, 0, "no turn for 6 s");
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'shard','name':'1',"
                "'why':'no turn for 6 s'}]}");
    set_shard(f, 1, ENOMEM, "shard: Cannot allocate memory"); // which it answers as well
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'shard','name':'1',"
                "'why':'shard: Cannot allocate memory'}]}");
    set_shard(f, 1, 0, "sip port 5081 is closed");
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'sip','name':'1',"
                "'why':'sip port 5081 is closed'}]}");
    set_shard(f, 1, 0, "");
    world_set_stream(f->world, 1, false, "refused");
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'stream',"
                "'name':'gw.example.net','why':'refused'}]}");
    world_set_stream(f->world, 1, true, "");
    world_lock(f->world, 0)->garble = -1;
    world_unlock(f->world);
    expect(f, "/readyz", 503);
    world_lock(f->world, 0)->garble = 0;
    world_unlock(f->world);
    api_set_draining(f->api, true);
    assert_json(get(f, "/readyz", 503),
                "{'ready':false,'failing':[{'part':'gateway',"
                "'name':'draining','why':'new work is refused'}]}");
    api_set_draining(f->api, false);
    expect(f, "/readyz", 200);
}

static void shows_status(void **state)
{
    struct fixture *f = *state;
    world_add(f->world, 0, 1, 1, XMPP_TO_SIP, STATE_ACTIVE);
    world_add(f->world, 2, 2, 2, XMPP_TO_SIP, STATE_ACTIVE);
    world_add(f->world, 2, 3, 3, SIP_TO_XMPP, STATE_DORMANT);
    world_set_stream(f->world, 1, false, "refused");
    json_t *j = get(f, "/v1/status", 200);
    json_t *uptime = json_object_get(j, "uptime_s");
    assert_in_range(json_integer_value(uptime), 0, 60);
    json_object_del(j, "uptime_s");
    assert_string_equal(json_string_value(json_object_get(j, "version")), ISTHMUS_VERSION);
    json_object_del(j, "version");
    assert_json(j,
                "{'shards':3,'draining':false,"
                "'overload':{'shedding':false,'lag_ms':0,'shed_share':0.0,'refused_total':0},"
                "'subscriptions':{'xmpp-to-sip':{'pending':0,'active':2,'dormant':0},"
                "'sip-to-xmpp':{'pending':0,'active':0,'dormant':1}},"
                "'streams':[{'domain':'example.net','state':'up',"
                "'since':'2023-11-14T22:13:20.123Z'},{'domain':'gw.example.net','state':'down',"
                "'since':'2023-11-14T22:13:20.123Z','why':'refused'}]}");
    api_set_draining(f->api, true);
    j = get(f, "/v1/status", 200);
    assert_true(json_is_true(json_object_get(j, "draining")));
    json_decref(j);
}

static void shows_shards(void **state)
{
    struct fixture *f = *state;
    world_add(f->world, 1, 1, 1, XMPP_TO_SIP, STATE_ACTIVE);
    json_t *j = get(f, "/v1/shards", 200);
    json_t *items = json_object_get(j, "items");
    assert_int_equal(json_array_size(items), 3);
    assert_json(json_incref(json_array_get(items, 1)),
                "{'shard':1,'subscriptions':1,'dialogs':501,'transactions':31,'users':401,"
                "'turns_total':101,'events_total':301,'ring_full_total':201,'store_bytes':8192}");
    json_decref(j);
}

// --- lists

static void shows_an_item(void **state)
{
    struct fixture *f = *state;
    world_add(f->world, 1, UINT64_MAX - 1, 7, SIP_TO_XMPP, STATE_ACTIVE);
    assert_json(get(f, "/v1/subscriptions", 200),
                "{'items':[{'id':'18446744073709551614','direction':'sip-to-xmpp',"
                "'xmpp':'juliet7@example.com','sip':'sip:romeo7@example.net','state':'active',"
                "'shard':1,'expires_in_s':3007,'dialogs':[{'call_id':'call@id',"
                "'remote':'sip:romeo7@example.net','expires_in_s':3007}],"
                "'created_at':'2023-11-14T22:13:20.123Z'}],'next':null}");
}

static void nothing_is_an_empty_page(void **state)
{
    assert_json(get(*state, "/v1/subscriptions", 200), "{'items':[],'next':null}");
}

enum { MANY = 200 };

// Shard 0 has 150, shard 1 none, shard 2 50; ids are 0 … 199.
static void fill_world(struct fixture *f)
{
    for (unsigned i = 0; i < MANY; i++)
        world_add(f->world, i % 4 == 3 ? 2 : 0, i, i, i % 2 ? SIP_TO_XMPP : XMPP_TO_SIP,
                  (enum core_state)(i % 3));
}

// Goes through all pages of a list; each id once. Returns how many, and in `pages` the pages.
static unsigned walk(struct fixture *f, const char *params, unsigned limit, bool seen[MANY],
                     unsigned *pages)
{
    char target[256], cursor[64] = "";
    unsigned n = 0;
    *pages = 0;
    memset(seen, 0, MANY * sizeof *seen);
    do {
        snprintf(target, sizeof target, "/v1/subscriptions?limit=%u%s%s%s", limit, params,
                 cursor[0] ? "&cursor=" : "", cursor);
        json_t *j = get(f, target, 200), *next = json_object_get(j, "next"), *one;
        size_t i;
        assert_true(json_array_size(json_object_get(j, "items")) <= limit);
        json_array_foreach(json_object_get(j, "items"), i, one)
        {
            int id = atoi(json_string_value(json_object_get(one, "id")));
            assert_in_range(id, 0, MANY - 1);
            assert_false(seen[id]);
            seen[id] = true;
            n++;
        }
        snprintf(cursor, sizeof cursor, "%s", json_is_string(next) ? json_string_value(next) : "");
        json_decref(j);
        ++*pages;
    } while (cursor[0]);
    return n;
}

static void pages_lose_nothing(void **state)
{
    static const unsigned limits[] = {1, 2, 7, 50, 149, 150, 151, 199, 200, 201, 1000};
    struct fixture *f = *state;
    bool seen[MANY];
    unsigned pages;
    fill_world(f);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        assert_int_equal(walk(f, "", limits[i], seen, &pages), MANY);
        assert_int_equal(pages, (MANY + limits[i] - 1) / limits[i]);
    }
}

static void filters_hold_on_every_page(void **state)
{
    struct fixture *f = *state;
    bool seen[MANY];
    unsigned pages;
    fill_world(f);
    for (unsigned limit = 3; limit < 300; limit += 48) {
        assert_int_equal(walk(f, "&direction=sip-to-xmpp", limit, seen, &pages), 100);
        assert_true(seen[1] && !seen[2]);
        assert_int_equal(walk(f, "&state=pending", limit, seen, &pages), 67);
        assert_true(seen[3] && !seen[4]);
        assert_int_equal(walk(f, "&state=dormant&direction=xmpp-to-sip", limit, seen, &pages), 33);
        assert_true(seen[2] && !seen[5]);
    }
}

// One match in a shard that one question can't look through.
static void goes_on_past_the_scan(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 2 * ADMIN_SCAN_MAX + 10; i++)
        world_add(f->world, 1, i, i, XMPP_TO_SIP, STATE_PENDING);
    world_add(f->world, 1, 99999, 5, SIP_TO_XMPP, STATE_ACTIVE);
    json_t *j = get(f, "/v1/subscriptions?state=active", 200);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    assert_true(json_is_null(json_object_get(j, "next")));
    json_decref(j);
    assert_int_equal(world_questions(f->world), 1 + 3 + 1);
}

static unsigned found(struct fixture *f, const char *filter)
{
    char target[256];
    snprintf(target, sizeof target, "/v1/subscriptions?%s", filter);
    json_t *j = get(f, target, 200);
    unsigned n = (unsigned)json_array_size(json_object_get(j, "items"));
    json_decref(j);
    return n;
}

static void finds_by_address(void **state)
{
    struct fixture *f = *state;
    fill_world(f);
    static const char *const one[] = {"jid=juliet7@example.com",
                                      "jid=juliet7%40example.com",
                                      "jid=Juliet7@EXAMPLE.com",
                                      "jid=juliet7@example.com/balcony",
                                      "sip=sip:romeo7@example.net",
                                      "sip=romeo7@example.net",
                                      "sip=sip%3aromeo7%40example.net",
                                      "sip=pres:romeo7@example.net",
                                      "sip=SIP:romeo7@example.net;transport=tcp",
                                      "jid=juliet7@example.com&sip=romeo7@example.net"};
    static const char *const none[] = {"jid=romeo7@example.net", "sip=juliet7@example.com",
                                       "jid=juliet7@example.com&sip=romeo8@example.net",
                                       "jid=juliet@example.com&state=active",
                                       "sip=sip:+441632960000@example.net"};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (found(f, one[i]) != 1)
            fail_msg("%s", one[i]);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (found(f, none[i]) != 0)
            fail_msg("%s", none[i]);
}

// A plus in a query is a plus, as SIP numbers have it.
static void plus_is_a_plus(void **state)
{
    struct fixture *f = *state;
    world_add(f->world, 0, 1, 1, XMPP_TO_SIP, STATE_PENDING);
    struct world_shard *s = world_lock(f->world, 0);
    s->v[0].sip = TEXT("sip:+441632960000@example.net");
    world_unlock(f->world);
    assert_int_equal(found(f, "sip=sip:+441632960000@example.net"), 1);
    assert_int_equal(found(f, "sip=%2b441632960000@example.net"), 1);
}

static void bad_parameters_are_problems(void **state)
{
    static const char *const bad[] = {"limit=0",
                                      "limit=1001",
                                      "limit=-1",
                                      "limit=",
                                      "limit=1x",
                                      "limit=99999999999999999999",
                                      "limit=1&limit=2",
                                      "direction=both",
                                      "direction=",
                                      "state=Active",
                                      "state=",
                                      "jid=",
                                      "jid=@example.com",
                                      "jid=a%20b@example.com",
                                      "jid=juliet@",
                                      "jid=a%00b@example.com",
                                      "sip=",
                                      "sip=romeo",
                                      "sip=sips:romeo@example.net",
                                      "sip=tel:+441632960000",
                                      "sip=sip:@x",
                                      "cursor=",
                                      "cursor=x",
                                      "cursor=00000000000000000",
                                      "cursor=0000000000000000000",
                                      "cursor=030000000000000000",
                                      "cursor=00000000000000000G",
                                      "cursor=0000000000000000A0",
                                      "colour=red",
                                      "=1",
                                      "Limit=1",
                                      "jid=%zz",
                                      "jid=%4",
                                      "jid=%",
                                      "a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char target[256];
        snprintf(target, sizeof target, "/v1/subscriptions?%s", bad[i]);
        expect(*state, target, 400);
    }
    expect(*state, "/healthz?x=1", 400);
    expect(*state, "/v1/status?jid=juliet@example.com", 400);
    assert_int_equal(world_questions(((struct fixture *)*state)->world), 0);
    expect(*state, "/v1/subscriptions?limit=1000&cursor=02ffffffffffffffff", 200);
    expect(*state, "/v1/subscriptions?limit=1&&", 200);
}

static void shard_in_trouble_is_a_problem(void **state)
{
    struct fixture *f = *state;
    set_shard(f, 2, ETIMEDOUT, "");
    struct http_answer a = http_ask(f->port, "GET", "/v1/subscriptions", "");
    assert_int_equal(a.status, 503);
    assert_string_equal(http_field(&a, "Retry-After"), "1");
    assert_non_null(strstr(a.body, "shard 2 does not answer in time"));
    http_answer_free(&a);
    expect(f, "/v1/status", 200); // asks no shard
    set_shard(f, 2, EMSGSIZE, "");
    expect(f, "/v1/subscriptions", 500);
    set_shard(f, 2, 0, "");
    for (int garble = -1; garble <= 1; garble++) {
        world_lock(f->world, 1)->garble = garble;
        world_unlock(f->world);
        expect(f, "/v1/subscriptions", garble ? 500 : 200);
    }
}

// A search that takes its time is given out in part, and goes on from there.
static void slow_search_is_paged(void **state)
{
    struct fixture *f = *state;
    fill_world(f);
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        world_lock(f->world, i)->ask_ms = i < 2 ? 990 : 30;
        world_unlock(f->world);
    }
    for (unsigned i = 0; i < ADMIN_SCAN_MAX; i++)
        world_add(f->world, 1, MANY, MANY, XMPP_TO_SIP, STATE_PENDING);
    world_add(f->world, 1, MANY, MANY, XMPP_TO_SIP, STATE_PENDING);
    bool seen[MANY];
    unsigned pages;
    assert_int_equal(walk(f, "&state=active", 1000, seen, &pages), 67);
    assert_int_equal(pages, 2);
}

// Whatever bytes a peer put into its Call-ID: the answer is JSON.
static void foreign_bytes_stay_json(void **state)
{
    struct fixture *f = *state;
    world_add(f->world, 0, 1, 1, XMPP_TO_SIP, STATE_ACTIVE);
    struct world_shard *s = world_lock(f->world, 0);
    s->v[0].dialogs[0].remote = TEXT("sip:rom\xc3\xa9o@example.net");
    s->v[0].dialogs[0].call_id = TEXT("a\xff\"\x01z");
    world_unlock(f->world);
    json_t *j = get(f, "/v1/subscriptions", 200);
    json_t *dialog = json_array_get(
        json_object_get(json_array_get(json_object_get(j, "items"), 0), "dialogs"), 0);
    assert_json(json_incref(json_object_get(dialog, "call_id")), "\"a\xef\xbf\xbd\\\"\\u0001z\"");
    assert_json(json_incref(json_object_get(dialog, "remote")), "\"sip:rom\xc3\xa9o@example.net\"");
    json_decref(j);
}

int main(void)
{
#define API_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        API_TEST(lives_and_is_ready),
        API_TEST(names_what_is_not_ready),
        API_TEST(shows_status),
        API_TEST(shows_shards),
        API_TEST(shows_an_item),
        API_TEST(nothing_is_an_empty_page),
        API_TEST(pages_lose_nothing),
        API_TEST(filters_hold_on_every_page),
        API_TEST(goes_on_past_the_scan),
        API_TEST(finds_by_address),
        API_TEST(plus_is_a_plus),
        API_TEST(bad_parameters_are_problems),
        API_TEST(shard_in_trouble_is_a_problem),
        API_TEST(slow_search_is_paged),
        API_TEST(foreign_bytes_stay_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
