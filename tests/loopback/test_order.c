// In which order a shard takes in what waits: new work last, however much of it there is.
#include "gateway.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/overload.h"
#include "shards/xmpp_stream.h"
#include "stream_peer.h"

enum {
    NEW = 14000,
    TURN = 64 * 64,   // of new work in one turn: SHARD_SHARED_BATCHES, SIP_UDP_BATCH
    MEANWHILE = 4000, // so many have room in the socket in any case
    SLICE_US = 2500,  // more than SHARD_SLICE_US, and some of these are a turn
    ANSWER_MS = 5000,
    PATIENCE_MS = 60000
};

// All answers of a turn come at once, and the NOTIFYs that follow them: none is to be lost here.
static struct gateway *open_with(const char *more)
{
    struct gateway *g =
        gateway_open(&(struct gateway_wish){.shards = 1, .more = more, .not_started = true});
    int bytes = 64 << 20;
    if (setsockopt(g->sip->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(g->sip->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return g;
}

// Of one watcher no more than `[limits]` allows are taken.
static void ask_for_something_new(struct gateway *g, unsigned romeo, unsigned i)
{
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKnew%u\r\n"
             "From: <sip:romeo%u@example.net>;tag=r\r\nTo: <sip:juliet%u@example.com>\r\n"
             "Call-ID: new%u\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\n"
             "Contact: <sip:romeo@127.0.0.1:%u>\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n",
             i, g->sip->port, i, romeo, i, i, g->sip->port);
    sip_peer_send(g->sip, g->listen_port, text);
}

// Of no dialog that there is; but who comes by this port says so.
static void ask_in_a_dialog(struct gateway *g)
{
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet@127.0.0.1:%u SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKrefresh\r\n"
             "From: <sip:romeo@example.net>;tag=r\r\n"
             "To: <sip:juliet@example.com>;tag=000000000000000000000001\r\n"
             "Call-ID: refresh\r\nCSeq: 2 SUBSCRIBE\r\nMax-Forwards: 70\r\n"
             "Contact: <sip:romeo@127.0.0.1:%u>\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n",
             g->shard_port, g->sip->port, g->sip->port);
    sip_peer_send(g->sip, g->shard_port, text);
}

// How many answers came before that to the request in a dialog.
static unsigned answers_before(struct gateway *g)
{
    unsigned n = 0;
    char via[512];
    while (sip_peer_expect(g->sip, "SIP/2.0 ", ANSWER_MS)) {
        if (strstr(sip_peer_header(g->sip, "Via", via), "refresh"))
            return n;
        n++;
    }
    fail_msg("no answer, after %u others", n);
    return n;
}

// It came behind all that is new, and is answered in the first turn.
//
//   before the shard runs: 14000 × SUBSCRIBE ──▶ [sip] listen
//                          one in a dialog   ──▶ the shard's own port
static void dialogs_go_before_new_work(void **state)
{
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 0\n");
    for (unsigned i = 0; i < NEW; i++)
        ask_for_something_new(g, 0, i);
    ask_in_a_dialog(g);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(answers_before(g) <= TURN);
    gateway_close(g);
}

// It comes while what is new is taken in: the turn under way is all that it waits for.
static void a_flood_of_new_work_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 0\n");
    for (unsigned i = 0; i < NEW; i++)
        ask_for_something_new(g, 0, i);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(sip_peer_expect(g->sip, "SIP/2.0 200", ANSWER_MS));
    ask_in_a_dialog(g);
    assert_true(answers_before(g) <= 3 * TURN);
    gateway_close(g);
}

static void ask_for_options(struct sip_peer *from, uint16_t to_port)
{
    static unsigned n;
    char text[512];
    snprintf(text, sizeof text,
             "OPTIONS sip:gateway SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKo%u\r\n"
             "Max-Forwards: 70\r\nFrom: <sip:romeo@example.net>;tag=o\r\nTo: <sip:gateway>\r\n"
             "Call-ID: options%u\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
             from->port, n, n);
    n++;
    sip_peer_send(from, to_port, text);
}

// ---- In the midst of a turn

// The shard reads by recvmmsg(). A batch of what is new is made to take longer than a slice, and
// meanwhile something comes by the shard's own port. So it is known what it reads next, however
// busy the machine is.
static struct {
    struct gateway *g; // NULL: nothing of this
    void (*meanwhile)(unsigned batch);
    bool waits; // something by the own port
    bool quick; // nothing comes meanwhile, and it takes no longer
    _Atomic bool pauses;
    _Atomic unsigned batches, passed_over;
} midst;

static uint16_t port_of(int fd)
{
    struct sockaddr_in a = {0};
    socklen_t n = sizeof a;
    return getsockname(fd, (struct sockaddr *)&a, &n) ? 0 : ntohs(a.sin_port);
}

static void begin_batch(void)
{
    atomic_fetch_add(&midst.passed_over, midst.waits);
    if (midst.meanwhile)
        midst.meanwhile(midst.batches);
    atomic_fetch_add(&midst.batches, 1);
    while (midst.pauses)
        usleep(1000);
    if (midst.quick)
        return;
    ask_for_options(midst.g->sip, midst.g->shard_port);
    midst.waits = true;
    usleep(SLICE_US);
}

int __real_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout);

int __wrap_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
    uint16_t port = midst.g ? port_of(fd) : 0;
    if (midst.g && port == midst.g->shard_port)
        midst.waits = false;
    else if (midst.g && port == midst.g->listen_port)
        begin_batch();
    return __real_recvmmsg(fd, v, n, flags, timeout);
}

// Before the shard runs.
static void begin_midst(struct gateway *g, void (*meanwhile)(unsigned batch))
{
    midst.g = g;
    midst.meanwhile = meanwhile;
    midst.waits = midst.quick = false;
    midst.batches = midst.passed_over = 0;
}

static void end_midst(struct gateway *g)
{
    gateway_close(g); // its threads have ended then
    midst.g = NULL;
}

static void wait_until_taken_in(struct gateway *g)
{
    struct shard_counters counters;
    struct core_stats core = {0};
    for (int i = 0; i < PATIENCE_MS && core.subscriptions < MEANWHILE; i++) {
        usleep(1000);
        shards_counters(g->shards, 0, &counters, &core);
    }
    assert_int_equal(core.subscriptions, MEANWHILE);
    assert_true(midst.batches >= MEANWHILE / 64);
    assert_int_equal(midst.passed_over, 0);
}

// Turns are long while much is new, but between two slices of it the other wires are read: what
// comes by these waits for one slice, and not for the next turn.
//
//   before the shard runs: 4000 × SUBSCRIBE ──▶ [sip] listen
//   while it reads 64 of these:     OPTIONS ──▶ the shard's own port: is read before the next 64
static void within_a_turn_others_have_their_say(void **state)
{
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 0\n");
    for (unsigned i = 0; i < MEANWHILE; i++)
        ask_for_something_new(g, i, i);
    begin_midst(g, NULL);
    assert_int_equal(shards_start(g->shards), 0);
    wait_until_taken_in(g);
    end_midst(g);
}

static struct stream_peer *phone;

// On connections that it made itself.
static void phone_says(int connection, const char *rest)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "OPTIONS sip:gateway SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:%u;branch=z9hG4bKphone%d\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:romeo@example.net>;tag=p\r\nTo: <sip:gateway>\r\n"
        "Call-ID: phone%d\r\nCSeq: 1 OPTIONS\r\n%s",
        phone->port, connection, connection, rest);
    stream_peer_say(phone, connection, text);
}

static void others_come_and_go(unsigned batch)
{
    enum { WHOLE, CUT };
    switch (batch) {
    case 2: component_server_drop(midst.g->server, "example.net"); return;
    case 3: assert_int_equal(stream_peer_connect(phone, midst.g->listen_port), WHOLE); return;
    case 4: assert_int_equal(stream_peer_connect(phone, midst.g->listen_port), CUT); return;
    case 5: phone_says(CUT, ""); return;
    case 6: phone_says(WHOLE, "Content-Length: 0\r\n\r\n"); return;
    case 7: stream_peer_hang_up(phone, CUT); return;
    default: return;
    }
}

// So wires come and go in the midst of a turn as well: the server ends its stream, and is back
// later; two phones connect, one asks something and is answered, the other hangs up in the midst of
// a word.
static void within_a_turn_wires_come_and_go(void **state)
{
    (void)state;
    struct gateway *g = gateway_open(&(struct gateway_wish){
        .shards = 1, .tcp = true, .more = "[limits]\nlag_ms = 0\n", .not_started = true});
    phone = stream_peer_open(NULL, NULL);
    begin_midst(g, others_come_and_go);
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    for (unsigned i = 0; i < MEANWHILE; i++)
        ask_for_something_new(g, i, i);
    wait_until_taken_in(g);
    assert_int_not_equal(stream_peer_expect(phone, "SIP/2.0 ", ANSWER_MS), -1);
    assert_true(component_server_wait_up(g->server, "example.net", GATEWAY_PATIENCE_MS));
    assert_int_equal(component_server_connects(g->server, "example.net"), 2);
    end_midst(g);
    stream_peer_close(phone);
}

// ---- Turns that are full

// Each stanza has as many effects as a turn takes, as one about somebody with thousands of watchers
// has, and behind it comes another.
static struct {
    struct gateway *g; // NULL: nothing of this
    _Atomic unsigned n;
} chatter;

static const char chat[] = "<presence from='tybalt@example.com' to='mercutio@example.net'/>";

void __real_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx);
void __wrap_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx);

void __wrap_core_step(struct core *c, const struct event *ev, uint64_t now_ms, struct effects *fx)
{
    static const char much[EFFECTS_TURN_BYTES];
    __real_core_step(c, ev, now_ms, fx);
    if (!chatter.g || ev->kind != EVENT_STANZA)
        return;
    buffer_add(&fx->bytes, much, sizeof much);
    if (text_eq(stanza_text(ev->stanza, ev->stanza->from), TEXT("tybalt@example.com"))) {
        atomic_fetch_add(&chatter.n, 1);
        component_server_send(chatter.g->server, "example.net", chat);
    }
}

static struct gateway *open_chatter(void)
{
    struct gateway *g = gateway_open(&(struct gateway_wish){
        .shards = 1, .domains = "[\"example.net\", \"example.org\"]", .not_started = true});
    chatter.g = g;
    chatter.n = 0;
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    assert_true(gateway_wait_stream(g, "example.org", "", GATEWAY_PATIENCE_MS));
    assert_true(component_server_send(g->server, "example.net", chat));
    while (chatter.n < 10)
        usleep(1000);
    return g;
}

static void close_chatter(struct gateway *g)
{
    gateway_close(g);
    chatter.g = NULL;
}

// A server that fills every turn does not keep out what is new.
static void in_full_turns_there_is_place_for_what_is_new(void **state)
{
    (void)state;
    struct gateway *g = open_chatter();
    ask_for_something_new(g, 0, 0);
    assert_true(sip_peer_expect(g->sip, "SIP/2.0 200", ANSWER_MS));
    close_chatter(g);
}

// Nor does it keep out another server.
static void in_full_turns_another_server_is_heard(void **state)
{
    (void)state;
    struct gateway *g = open_chatter();
    assert_true(component_server_send(
        g->server, "example.org",
        "<presence from='juliet@example.com' to='romeo@example.org' type='subscribe'/>"));
    assert_true(sip_peer_expect(g->sip, "SUBSCRIBE sip:romeo@example.org", ANSWER_MS));
    close_chatter(g);
}

// A server has more to say than is read in a turn, whatever that is: here it is spaces.
static _Atomic bool spaces;

ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
    if (!spaces || n != XMPP_STREAM_READ_BYTES)
        return __real_recv(fd, p, n, flags);
    memset(p, ' ', n);
    return (ssize_t)n;
}

static uint64_t turns(struct gateway *g)
{
    return gateway_sum(g).turns_total;
}

// Then what is new gets a slice in each turn, and not a single batch: refusals are cheap, and who
// floods by a stream is not to keep others from hearing them. (Cheaper still is what is no SIP.)
static void behind_a_flood_what_is_new_has_a_slice(void **state)
{
    (void)state;
    struct gateway *g = open_with("");
    begin_midst(g, NULL);
    midst.quick = true;
    assert_int_equal(shards_start(g->shards), 0);
    assert_true(gateway_wait_stream(g, "example.net", "", GATEWAY_PATIENCE_MS));
    spaces = true;
    assert_true(component_server_send(g->server, "example.net", " "));
    usleep(50000);
    unsigned batches = midst.batches;
    uint64_t before = turns(g);
    midst.pauses = true;
    for (unsigned i = 0; i < MEANWHILE; i++)
        sip_peer_send(g->sip, g->listen_port, "no SIP");
    midst.pauses = false;
    while (gateway_sum(g).sip_unparsable_total < MEANWHILE)
        usleep(1000);
    spaces = false;
    batches = midst.batches - batches;
    before = turns(g) - before;
    if (2 * batches < 3 * before)
        fail_msg("%u batches in %u turns", batches, (unsigned)before);
    end_midst(g);
}

// ---- Too much of it

static uint64_t refused(struct gateway *g)
{
    struct shard_counters counters;
    struct core_stats core;
    shards_counters(g->shards, 0, &counters, &core);
    return core.overload_refused[SIP_TO_XMPP];
}

// And when it waits for too long it is refused; the peer, who has had no room for all that is said
// to him meanwhile, hears so of what he asks then.
static void what_waits_too_long_is_refused(void **state)
{
    enum { MOST = 500000, TRIES = 200 };
    (void)state;
    struct gateway *g = open_with("[limits]\nlag_ms = 1\n");
    unsigned n = 0;
    char after[512];
    bool heard = false;
    while (n < NEW)
        ask_for_something_new(g, 0, n++);
    assert_int_equal(shards_start(g->shards), 0);
    while (n < MOST && (n % 100 || !refused(g)))
        ask_for_something_new(g, 0, n++);
    assert_true(refused(g) > 0);
    for (unsigned i = 0; i < TRIES && !heard; i++) {
        for (unsigned k = 0; k < 100; k++)
            ask_for_something_new(g, 0, n++);
        heard = sip_peer_expect(g->sip, "SIP/2.0 503", 20);
    }
    assert_true(heard);
    assert_in_range(atoi(sip_peer_header(g->sip, "Retry-After", after)), OVERLOAD_RETRY_LEAST_S,
                    OVERLOAD_RETRY_MOST_S);
    gateway_close(g);
}

struct order {
    struct gateway *g;
    struct sip_peer *stranger; // what it sends to [sip] listen comes to shard 0
    char user[3][32];          // of shard 0
};

static void say_subscribe(struct gateway *g, const char *user, const char *contact)
{
    char bytes[256];
    snprintf(bytes, sizeof bytes,
             "<presence from='%s@example.com' to='%s@example.net' type='subscribe'/>", user,
             contact);
    assert_true(component_server_send(g->server, "example.net", bytes));
}

static void find_users(struct order *o)
{
    struct sip_peer *sip = o->g->sip;
    for (unsigned i = 0, n = 0; n < 3; i++) {
        snprintf(o->user[n], sizeof o->user[n], "juliet%u", i);
        say_subscribe(o->g, o->user[n], "romeo");
        assert_true(sip_peer_expect(sip, "SUBSCRIBE sip:romeo", ANSWER_MS));
        sip_peer_say_ok(sip, sip->from_port);
        n += sip->from_port == o->g->shard_port;
    }
}

static uint64_t came_to_shard_0(struct gateway *g)
{
    struct shard_counters counters;
    struct core_stats core;
    usleep(20000); // counters are shown at the end of a turn
    shards_counters(g->shards, 0, &counters, &core);
    return counters.sip_in_bytes_total;
}

// Each shard has a socket of that port, and the kernel chooses by the sender's address.
static void find_stranger(struct order *o)
{
    for (;;) {
        uint64_t before = came_to_shard_0(o->g);
        o->stranger = sip_peer_open();
        ask_for_options(o->stranger, o->g->listen_port);
        assert_true(sip_peer_expect(o->stranger, "SIP/2.0 ", ANSWER_MS));
        if (came_to_shard_0(o->g) != before)
            return;
        sip_peer_close(o->stranger);
    }
}

static void ask_for(struct sip_peer *from, const char *user, uint16_t to_port)
{
    char text[1024];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:%s@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\n"
             "From: <sip:romeo@example.net>;tag=r\r\nTo: <sip:%s@example.com>\r\n"
             "Call-ID: %s\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"
             "Contact: <sip:romeo@127.0.0.1:%u>\r\nContent-Length: 0\r\n\r\n",
             user, from->port, user, user, user, from->port);
    sip_peer_send(from, to_port, text);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// Shard 0 can't commit, and takes nothing in. What waits then came in an order of its own.
static void let_all_wait(struct order *o)
{
    struct gateway *g = o->g;
    char why[128];
    uint64_t forwarded = gateway_sum(g).forwarded_total;
    signal(SIGXFSZ, SIG_IGN);
    limit_files(0);
    say_subscribe(g, o->user[0], "tybalt");
    while (!shards_part_failing(g->shards, 0, why, sizeof why))
        usleep(1000);
    ask_for(o->stranger, o->user[2], g->listen_port);
    say_subscribe(g, o->user[0], "mercutio");
    ask_for(g->sip, o->user[1], (uint16_t)(g->shard_port + 1));
    while (gateway_sum(g).forwarded_total == forwarded)
        usleep(1000);
    ask_for_options(g->sip, g->shard_port);
    usleep(50000);
    limit_files(RLIM_INFINITY);
}

// By the shard's own port it says something about each, as it took them in.
static void expect_by_own_port(struct order *o, const char *start, const char *about)
{
    struct sip_peer *sip = o->g->sip;
    do
        assert_true(sip_peer_expect(sip, "", ANSWER_MS));
    while (sip->from_port != o->g->shard_port);
    if (strncmp(sip->message, start, strlen(start)) != 0 || !strstr(sip->message, about))
        fail_msg("not %s about %s, but: %s", start, about, sip->message);
}

// Within a turn: what belongs to something that there is, then what other shards and the server
// say, and last what is new.
//
//   OPTIONS   ──▶ the shard's own port                     ──▶ answer
//   SUBSCRIBE ──▶ the other shard's own port ──▶ a ring    ──▶ NOTIFY
//   subscribe ──▶ the stream                               ──▶ SUBSCRIBE
//   SUBSCRIBE ──▶ [sip] listen                             ──▶ NOTIFY
static void each_has_its_place_in_a_turn(void **state)
{
    (void)state;
    struct order o = {.g = gateway_open(&(struct gateway_wish){.shards = 2, .t1_ms = 4000})};
    assert_true(gateway_wait_stream(o.g, "example.net", "", GATEWAY_PATIENCE_MS));
    find_users(&o);
    find_stranger(&o);
    let_all_wait(&o);
    expect_by_own_port(&o, "SUBSCRIBE sip:tybalt", o.user[0]); // of the turn that was held
    expect_by_own_port(&o, "SIP/2.0 ", "OPTIONS");
    expect_by_own_port(&o, "NOTIFY", o.user[1]);
    expect_by_own_port(&o, "SUBSCRIBE sip:mercutio", o.user[0]);
    expect_by_own_port(&o, "NOTIFY", o.user[2]);
    sip_peer_close(o.stranger);
    gateway_close(o.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogs_go_before_new_work),
        cmocka_unit_test(a_flood_of_new_work_keeps_nobody_waiting),
        cmocka_unit_test(within_a_turn_others_have_their_say),
        cmocka_unit_test(within_a_turn_wires_come_and_go),
        cmocka_unit_test(in_full_turns_there_is_place_for_what_is_new),
        cmocka_unit_test(in_full_turns_another_server_is_heard),
        cmocka_unit_test(behind_a_flood_what_is_new_has_a_slice),
        cmocka_unit_test(what_waits_too_long_is_refused),
        cmocka_unit_test(each_has_its_place_in_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
