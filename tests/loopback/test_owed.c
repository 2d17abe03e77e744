// What is dropped between two shards, since ring and backlog are full, is made good.
//
//   XMPP server ══ shard 0 ─┈┈▶ shard 1, whose user it is of    one of the messages is lost
//               ══ shard 0 ◀┈┈─ shard 1 ── SIP
//
// The stream is at home at shard 0. The linker sends the calls of fabric_send() here first.
#include "gateway.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "shards/admin.h"
#include "shards/fabric.h"

enum { KINDS = MESSAGE_RESOLVED + 1 };

// So many more of that kind are dropped, whoever sends them.
static _Atomic int to_drop[KINDS];
static _Atomic int owner_unknown;

int __real_fabric_send(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                       struct text body);
int __wrap_fabric_send(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                       struct text body);

int __wrap_fabric_send(struct fabric_end *e, unsigned to, const void *head, size_t head_n,
                       struct text body)
{
    uint32_t kind = ((const struct message *)head)->kind;
    int left = to_drop[kind];
    while (left > 0 && !atomic_compare_exchange_strong(&to_drop[kind], &left, left - 1))
        ;
    if (left <= 0)
        return __real_fabric_send(e, to, head, head_n, body);
    e->dropped_total++;
    return ENOBUFS;
}

unsigned __real_core_owner_of_stanza(const struct core *c, const struct stanza *s);
unsigned __wrap_core_owner_of_stanza(const struct core *c, const struct stanza *s);

unsigned __wrap_core_owner_of_stanza(const struct core *c, const struct stanza *s)
{
    if (!owner_unknown)
        return __real_core_owner_of_stanza(c, s);
    owner_unknown = 0;
    return CORE_OWNER_UNKNOWN;
}

// Answers to the API are as large as they may be.
static _Atomic bool large_answers;

int __real_admin_answer(const struct core *core, const void *question, size_t n, uint64_t now_ms,
                        struct buffer *out);
int __wrap_admin_answer(const struct core *core, const void *question, size_t n, uint64_t now_ms,
                        struct buffer *out);

int __wrap_admin_answer(const struct core *core, const void *question, size_t n, uint64_t now_ms,
                        struct buffer *out)
{
    static const char bytes[ADMIN_ANSWER_MAX];
    if (!large_answers)
        return __real_admin_answer(core, question, n, now_ms, out);
    buffer_add(out, bytes, sizeof bytes);
    return 0;
}

static void say(struct gateway *g, const char *user, const char *type)
{
    char bytes[512];
    snprintf(bytes, sizeof bytes,
             "<presence from='%s@example.com' to='romeo@example.net' type='%s'/>", user, type);
    assert_true(component_server_send(g->server, "example.net", bytes));
}

static void expect(struct gateway *g, const char *user, const char *type)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "to='%s@example.com' type='%s'", user, type);
    char *said = component_server_expect(g->server, "example.net", wanted, GATEWAY_PATIENCE_MS);
    if (!said)
        fail_msg("the server was not told: %s", wanted);
    free(said);
}

struct watch {
    struct gateway *g;
    char user[32];
    char *subscribe;
};

static void notify(struct watch *w, const char *basic)
{
    sip_peer_notify(w->g->sip, w->subscribe, (uint16_t)(w->g->shard_port + 1),
                    "active;expires=3600", basic);
    assert_true(sip_peer_expect(w->g->sip, "SIP/2.0 200", GATEWAY_PATIENCE_MS));
}

// A user of shard 1 watches romeo.
static struct watch watch(struct gateway *g)
{
    struct watch w = {.g = g};
    for (unsigned i = 0;; i++) {
        snprintf(w.user, sizeof w.user, "juliet%u", i);
        say(g, w.user, "subscribe");
        assert_true(sip_peer_expect(g->sip, "SUBSCRIBE", GATEWAY_PATIENCE_MS));
        w.subscribe = strdup(g->sip->message);
        sip_peer_say_ok(g->sip, g->sip->from_port);
        if (g->sip->from_port == g->shard_port + 1)
            return w;
        free(w.subscribe);
    }
}

static struct watch open_and_watch(void)
{
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 2});
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    struct watch w = watch(g);
    notify(&w, "open");
    expect(g, w.user, "subscribed");
    return w;
}

static void close_watch(struct watch *w)
{
    for (size_t i = 0; i < KINDS; i++)
        assert_int_equal(to_drop[i], 0);
    free(w->subscribe);
    gateway_close(w->g);
}

// Her contact goes, and the stanza that would tell her so is dropped: it is said anew.
static void stanza_to_the_stream(void **state)
{
    (void)state;
    struct watch w = open_and_watch();
    to_drop[MESSAGE_STANZA_OUT] = 1;
    notify(&w, "closed");
    expect(w.g, w.user, "unavailable");
    assert_int_equal(gateway_sum(w.g).ring_dropped_total, 1);
    assert_int_equal(gateway_sum(w.g).stanzas_dropped_total, 1);
    assert_int_equal(component_server_connects(w.g->server, "example.net"), 1);
    close_watch(&w);
}

static void expect_notify(struct watch *w, const char *substate)
{
    char said[512];
    do {
        assert_true(sip_peer_expect(w->g->sip, "NOTIFY", GATEWAY_PATIENCE_MS));
        sip_peer_say_ok(w->g->sip, w->g->sip->from_port);
        sip_peer_header(w->g->sip, "Subscription-State", said);
    } while (strncmp(said, substate, strlen(substate)) != 0);
}

// What she was asked until now is not to be taken for what comes.
static void forget_probes(struct gateway *g)
{
    enum { QUIET_MS = 300 };
    char *said;
    while ((said = component_server_expect(g->server, "example.net", "type='probe'", QUIET_MS)))
        free(said);
}

// And romeo watches her: there is somebody to be told how she fares.
static struct watch open_and_be_watched(void)
{
    struct watch w = open_and_watch();
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:%s@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKserve;rport\r\nMax-Forwards: 70\r\n"
             "From: <sip:romeo@example.net>;tag=r\r\nTo: <sip:%s@example.com>\r\n"
             "Call-ID: serve@127.0.0.1\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"
             "Contact: <sip:romeo@127.0.0.1:%u>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
             w.user, w.g->sip->port, w.user, w.g->sip->port);
    sip_peer_send(w.g->sip, w.g->listen_port, text);
    expect(w.g, w.user, "probe");
    say(w.g, w.user, "subscribed");
    expect_notify(&w, "active");
    forget_probes(w.g);
    return w;
}

// She goes, and her shard does not hear of it: it asks.
static void stanza_to_a_core(void **state)
{
    (void)state;
    struct watch w = open_and_be_watched();
    to_drop[MESSAGE_STANZA] = 1;
    to_drop[MESSAGE_MISSED] = 1; // nor, at first, that there was something
    say(w.g, w.user, "unavailable");
    expect(w.g, w.user, "probe");
    assert_int_equal(gateway_sum(w.g).ring_dropped_total, 2);
    close_watch(&w);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// Time and again it can't be told that there was something: it is tried at once, then after one
// second, two more, and four.
static void what_is_owed_again_waits_for_longer(void **state)
{
    (void)state;
    struct watch w = open_and_be_watched();
    to_drop[MESSAGE_STANZA] = 1;
    to_drop[MESSAGE_MISSED] = 3;
    uint64_t begin_ms = now_ms();
    say(w.g, w.user, "unavailable");
    expect(w.g, w.user, "probe");
    assert_in_range(now_ms() - begin_ms, 7000, 9500);
    assert_int_equal(gateway_sum(w.g).ring_dropped_total, 4);
    close_watch(&w);
}

// The shard that reads it can't even tell whose it is.
static void stanza_of_somebody(void **state)
{
    (void)state;
    struct watch w = open_and_be_watched();
    owner_unknown = 1;
    say(w.g, w.user, "unavailable");
    expect(w.g, w.user, "probe");
    assert_int_equal(gateway_sum(w.g).rebirths_total, 1);
    close_watch(&w);
}

// A shard is not told that the stream is up, and would hold back what it has to say for ever.
static void stream_is_up(void **state)
{
    (void)state;
    to_drop[MESSAGE_STREAM_UP] = 1;
    struct watch w = open_and_watch();
    close_watch(&w);
}

// Nobody is told that it is lost: it comes back all the same, and with it what was lost.
static void stream_is_lost(void **state)
{
    (void)state;
    struct watch w = open_and_watch();
    to_drop[MESSAGE_STREAM_LOST] = 1;
    to_drop[MESSAGE_STREAM_DOWN] = 1;
    component_server_drop(w.g->server, "example.net");
    assert_true(gateway_wait_stream(w.g, "example.net", "closed the connection", 2000));
    notify(&w, "closed");
    assert_true(gateway_wait_stream(w.g, "example.net", "", GATEWAY_PATIENCE_MS));
    expect(w.g, w.user, "unavailable");
    assert_int_equal(component_server_connects(w.g->server, "example.net"), 2);
    close_watch(&w);
}

// Settings that nobody has room for are refused whole; those that were taken before are in force
// as soon as the shards run.
static void settings_that_nobody_takes(void **state)
{
    enum { MOST = 100000 };
    (void)state;
    struct gateway_wish wish = {.shards = 2, .not_started = true};
    struct gateway *g = gateway_open(&wish);
    wish.domains = "[\"example.net\", \"example.org\"]";
    gateway_reload(g, &wish);
    int error = 0, n = 0;
    while (!error && n++ < MOST)
        error = shards_reload(g->shards, g->cfg);
    assert_int_equal(error, EBUSY);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.org", "", GATEWAY_PATIENCE_MS));
    while ((error = shards_reload(g->shards, g->cfg)) == EBUSY)
        usleep(10000);
    assert_int_equal(error, 0);
    gateway_close(g);
}

static int ask(struct gateway *g, int timeout_ms)
{
    static char answer[ADMIN_ANSWER_MAX];
    struct buffer question;
    size_t n;
    buffer_init(&question, 0);
    admin_write_ping(&question, 7);
    int error =
        shards_ask(g->shards, 0, question.p, question.n, answer, sizeof answer, &n, timeout_ms);
    buffer_free(&question);
    return error;
}

// While a shard stands still its questions pile up; what it says to all of them, long after they
// were given up, keeps it from nothing. And the next one has its answer.
static void answers_that_nobody_takes(void **state)
{
    enum { QUESTIONS = 100 };
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){.shards = 1, .not_started = true});
    large_answers = true;
    for (int i = 0; i < QUESTIONS; i++)
        assert_int_equal(ask(g, 0), ETIMEDOUT);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    say(g, "juliet", "subscribe");
    assert_true(sip_peer_expect(g->sip, "SUBSCRIBE", GATEWAY_PATIENCE_MS));
    assert_int_equal(ask(g, GATEWAY_PATIENCE_MS), 0);
    large_answers = false;
    gateway_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stanza_to_the_stream),
        cmocka_unit_test(stanza_to_a_core),
        cmocka_unit_test(what_is_owed_again_waits_for_longer),
        cmocka_unit_test(stanza_of_somebody),
        cmocka_unit_test(stream_is_up),
        cmocka_unit_test(stream_is_lost),
        cmocka_unit_test(settings_that_nobody_takes),
        cmocka_unit_test(answers_that_nobody_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
