// What the readers, the core and the writers cost by themselves, path by path.
//
// No socket, no thread, no store: one core in this process is told what an XMPP server and a SIP
// proxy would tell it, always the same, and what it says is answered. Reported is the time spent in
// reading and stepping, for each event; for a count of instructions, which does not depend on who
// else uses the machine:
//
//   valgrind --tool=callgrind --collect-atstart=no --toggle-collect='steps_take_*'
//       --dump-after='path_*' bench_steps --rounds 5
//
// writes one profile for each path (without what starts the core; `callgrind_annotate FILE`).
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/core.h"
#include "core/wire/stanza_reader.h"

enum { SAID_BYTES = 2048, SAID_PER_USER = 8, TAG_BYTES = 64 };

// A dialog, as the SIP side knows it.
struct steps_dialog {
    char gateway_tag[TAG_BYTES], call_id[128];
    uint32_t cseq;
};

// One message to the core.
struct steps_said {
    bool is_sip;
    size_t n;
    char bytes[SAID_BYTES];
};

static unsigned users = 1000, rounds = 20;
static struct core *core;
static struct sip_parser *parser;
static struct stanza_reader *reader;
static struct effects fx;
static uint64_t now_ms = 1700000000000, spent_ns;
static struct hop proxy;
static struct steps_dialog *watch, *serve;
static struct steps_said *said; // a ring: what the core is about to be told
static unsigned said_first, said_n, said_max;

static void die(const char *what)
{
    fprintf(stderr, "bench_steps: %s\n", what);
    exit(1);
}

// ---- The gateway's part, and all that is measured

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void steps_stanza(void *arg, const struct stanza *stanza)
{
    (void)arg;
    struct event ev = {.kind = EVENT_STANZA, .stanza = stanza};
    core_step(core, &ev, now_ms, &fx);
}

__attribute__((noinline)) static void steps_take_stanza(const char *bytes, size_t n)
{
    if (stanza_reader_feed(reader, bytes, n))
        die("a stanza that can't be read");
}

__attribute__((noinline)) static void steps_take_sip(const char *bytes, size_t n)
{
    struct event ev = {.kind = EVENT_SIP, .source = proxy, .port = SIP_PORT_SHARD(0)};
    if (sip_parse(parser, bytes, n, &ev.sip))
        die("a SIP message that can't be read");
    core_step(core, &ev, now_ms, &fx);
}

__attribute__((noinline)) static enum core_door steps_take_door(struct text bytes)
{
    struct core_refusal no;
    return core_turn_away(core, bytes, &proxy, now_ms, &no);
}

__attribute__((noinline)) static void steps_take_event(const struct event *ev)
{
    core_step(core, ev, now_ms, &fx);
}

// ---- What it is told

static void say(bool is_sip, const char *format, va_list args)
{
    struct steps_said *s = &said[(said_first + said_n++) % said_max];
    int n = vsnprintf(s->bytes, sizeof s->bytes, format, args);
    if (said_n > said_max || n < 0 || (size_t)n >= sizeof s->bytes)
        die("too much to say");
    s->is_sip = is_sip;
    s->n = (size_t)n;
}

__attribute__((format(printf, 1, 2))) static void say_stanza(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(false, format, args);
    va_end(args);
}

__attribute__((format(printf, 1, 2))) static void say_sip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(true, format, args);
    va_end(args);
}

static void say_notify(unsigned i, const char *show)
{
    static const char pidf[] =
        "<?xml version='1.0' encoding='UTF-8'?>\r\n<presence xmlns='urn:ietf:params:xml:ns:pidf' "
        "entity='pres:sip%u@example.net'><tuple id='ID-phone'><status><basic>open</basic>"
        "<show xmlns='jabber:client'>%s</show></status></tuple></presence>";
    struct steps_dialog *d = &watch[i];
    char body[1024];
    int n = snprintf(body, sizeof body, pidf, i, show);
    d->cseq++;
    say_sip(
        "NOTIFY sip:xmpp%u@127.0.0.1:5081 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKn%u.%u\r\nMax-Forwards: 70\r\n"
        "From: <sip:sip%u@example.net>;tag=b\r\nTo: <sip:xmpp%u@example.com>;tag=%s\r\n"
        "Call-ID: %s\r\nCSeq: %u NOTIFY\r\nContact: <sip:sip%u@127.0.0.1:5070>\r\n"
        "Event: presence\r\nSubscription-State: active;expires=3600\r\n"
        "Content-Type: application/pidf+xml\r\nContent-Length: %d\r\n\r\n%s",
        i, i, d->cseq, i, i, d->gateway_tag, d->call_id, d->cseq, i, n, body);
}

static void say_subscribe(unsigned i)
{
    struct steps_dialog *d = &serve[i];
    d->cseq++;
    say_sip(
        "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKs%u.%u\r\nMax-Forwards: 70\r\n"
        "From: <sip:romeo%u@example.net>;tag=r%u\r\nTo: <sip:juliet%u@example.com>%s%s\r\n"
        "Call-ID: serve%u@bench\r\nCSeq: %u SUBSCRIBE\r\n"
        "Contact: <sip:romeo%u@127.0.0.1:5070>\r\nEvent: presence\r\nExpires: 7200\r\n"
        "Content-Length: 0\r\n\r\n",
        i, i, d->cseq, i, i, i, d->gateway_tag[0] ? ";tag=" : "", d->gateway_tag, i, d->cseq, i);
}

// ---- How its words are answered

static void copy_until(char *out, size_t size, const char *from, const char *ends)
{
    snprintf(out, size, "%.*s", (int)strcspn(from, ends), from);
}

static void field(const char *message, const char *name, char *out, size_t size)
{
    const char *at = strstr(message, name);
    if (!at)
        die("a message without its header fields");
    copy_until(out, size, at + strlen(name), "\r");
}

static void answer_request(const char *m, const char *extra)
{
    char via[256], from[256], to[256], call_id[128], cseq[64];
    field(m, "\r\nVia: ", via, sizeof via);
    field(m, "\r\nFrom: ", from, sizeof from);
    field(m, "\r\nTo: ", to, sizeof to);
    field(m, "\r\nCall-ID: ", call_id, sizeof call_id);
    field(m, "\r\nCSeq: ", cseq, sizeof cseq);
    say_sip(
        "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
        "%sContent-Length: 0\r\n\r\n",
        via, from, to, strstr(to, "tag=") ? "" : ";tag=b", call_id, cseq, extra);
}

static void answer_subscribe(const char *m)
{
    unsigned i;
    char from[256];
    const char *to = strstr(m, "\r\nTo: <sip:sip");
    if (!to || sscanf(to, "\r\nTo: <sip:sip%u@", &i) != 1 || i >= users)
        die("a SUBSCRIBE for nobody");
    field(m, "\r\nFrom: ", from, sizeof from);
    copy_until(watch[i].gateway_tag, TAG_BYTES, strstr(from, "tag=") + 4, ";");
    field(m, "\r\nCall-ID: ", watch[i].call_id, sizeof watch[i].call_id);
    answer_request(m, "Expires: 3600\r\nContact: <sip:127.0.0.1:5070>\r\n");
    say_notify(i, "chat");
}

// Of a 200 only the tag is news, that of a SUBSCRIBE's.
static void hear_answer(const char *m)
{
    unsigned i;
    char to[256];
    const char *call_id = strstr(m, "\r\nCall-ID: serve");
    if (strncmp(m, "SIP/2.0 200", 11) != 0)
        die(m);
    if (!call_id || sscanf(call_id, "\r\nCall-ID: serve%u@", &i) != 1)
        return;
    field(m, "\r\nTo: ", to, sizeof to);
    copy_until(serve[i].gateway_tag, TAG_BYTES, strstr(to, "tag=") + 4, ";");
}

static void answer_sip(const char *m)
{
    if (strncmp(m, "NOTIFY", 6) == 0)
        answer_request(m, "");
    else if (strncmp(m, "SUBSCRIBE", 9) == 0)
        answer_subscribe(m);
    else
        hear_answer(m);
}

static void attribute(const char *stanza, const char *name, char *out, size_t size)
{
    const char *at = strstr(stanza, name);
    if (at)
        copy_until(out, size, at + strlen(name), "'");
}

static void answer_stanza(const char *s)
{
    char from[256] = "", to[256] = "", id[64] = "";
    attribute(s, " from='", from, sizeof from);
    attribute(s, " to='", to, sizeof to);
    attribute(s, " id='", id, sizeof id);
    if (strncmp(s, "<iq", 3) == 0)
        say_stanza(
            "<iq type='error' from='%s' to='%s' id='%s'><error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            "</iq>",
            to, from, id);
    else if (strstr(s, "type='subscribe'"))
        say_stanza(
            "<presence from='%s' to='%s' type='subscribed'/>"
            "<presence from='%s/bench' to='%s'/>",
            to, from, to, from);
}

// ---- The rounds

static void answer_effects(void)
{
    char text[SAID_BYTES];
    if (fx.failed)
        die("no memory");
    for (size_t i = 0; i < fx.n; i++) {
        struct text bytes = effect_text(&fx, &fx.v[i]);
        if (fx.v[i].kind != EFFECT_SIP && fx.v[i].kind != EFFECT_STANZA)
            continue;
        snprintf(text, sizeof text, "%.*s", TEXT_ARG(bytes));
        if (fx.v[i].kind == EFFECT_SIP)
            answer_sip(text);
        else
            answer_stanza(text);
    }
    effects_reset(&fx);
}

static void tell(const struct event *ev)
{
    uint64_t began_ns = clock_ns();
    steps_take_event(ev);
    spent_ns += clock_ns() - began_ns;
    answer_effects();
}

// Until nobody has anything to say any more.
static void settle(void)
{
    while (said_n) {
        const struct steps_said *s = &said[said_first];
        uint64_t began_ns = clock_ns();
        if (s->is_sip)
            steps_take_sip(s->bytes, s->n);
        else
            steps_take_stanza(s->bytes, s->n);
        spent_ns += clock_ns() - began_ns;
        said_first = (said_first + 1) % said_max;
        said_n--;
        answer_effects();
    }
}

static void pass_s(unsigned seconds)
{
    uint64_t end_ms = now_ms + 1000 * (uint64_t)seconds;
    while (core_next_due(core) <= end_ms) {
        uint64_t due_ms = core_next_due(core);
        now_ms = due_ms > now_ms ? due_ms : now_ms;
        tell(&(struct event){.kind = EVENT_TICK});
        settle();
    }
    now_ms = end_ms;
}

static void path_set_up(void)
{
    for (unsigned i = 0; i < users; i++) {
        say_stanza("<presence from='xmpp%u@example.com' to='sip%u@example.net' type='subscribe'/>",
                   i, i);
        settle();
    }
}

// The first time it is the set-up, the second time a refresh.
static void path_subscribe(void)
{
    for (unsigned i = 0; i < users; i++) {
        say_subscribe(i);
        settle();
    }
}

static void path_presence(void)
{
    for (unsigned i = 0; i < users * rounds; i++) {
        say_stanza(
            "<presence from='juliet%u@example.com/bench' to='romeo%u@example.net'>"
            "<show>%s</show><status>at the balcony</status></presence>",
            i % users, i % users, i / users % 2 ? "away" : "dnd");
        settle();
    }
}

static void path_notify(void)
{
    for (unsigned i = 0; i < users * rounds; i++) {
        say_notify(i % users, i / users % 2 ? "away" : "dnd");
        settle();
    }
}

// Each with its probe: all dialogs that are refreshed by the gateway come to it within an hour.
static void path_refresh(void)
{
    pass_s(3600 - 60);
}

// While input waits for long, new SUBSCRIBEs come to the door, and nearly all are refused there.
static void path_refuse(void)
{
    enum { INTERVAL_MS = 100, LAG_MS = 1000 };
    unsigned refused = 0;
    for (int i = 0; i < 3; i++) {
        core_set_lag_ms(core, LAG_MS, now_ms);
        now_ms += INTERVAL_MS;
    }
    for (unsigned i = 0; i < users; i++) {
        serve[i].gateway_tag[0] = '\0';
        say_subscribe(i);
        const struct steps_said *s = &said[said_first];
        uint64_t began_ns = clock_ns();
        refused += steps_take_door((struct text){s->bytes, s->n}) == CORE_DOOR_SHUT;
        spent_ns += clock_ns() - began_ns;
        said_n--;
    }
    if (refused < users * 9 / 10)
        die("the door does not shut");
}

static void report(const char *what, void (*path)(void), unsigned n)
{
    struct core_stats before = *core_stats(core);
    spent_ns = 0;
    path();
    const struct core_stats *s = core_stats(core);
    printf("%-28s %8.2f us; SIP in %.1f out %.1f, stanzas in %.1f out %.1f, puts %.1f\n", what,
           (double)spent_ns / 1000 / n, (double)(s->sip_in - before.sip_in) / n,
           (double)(s->sip_out - before.sip_out) / n,
           (double)(s->stanzas_in - before.stanzas_in) / n,
           (double)(s->stanzas_out - before.stanzas_out) / n,
           (double)(s->records_put - before.records_put) / n);
}

static void start(void)
{
    static struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};
    struct text sip_domain = TEXT("example.net"), xmpp_domain = TEXT("example.com");
    struct core_config cfg = {
        .seed = 1,
        .shards = 1,
        .gateway_domain = TEXT("gw.example.net"),
        .advertise = TEXT("127.0.0.1"),
        .shard_port = 5081,
        .t1_ms = 500,
        .first_id = 1,
        .settings = {.expires_s = 3600,
                     .min_expires_s = 60,
                     .max_expires_s = 7200,
                     .probe_timeout_s = 10,
                     .probe_window_s = 60,
                     .subscriptions_per_user = 1000,
                     .subscriptions_per_shard = 2000000,
                     .new_subscriptions_per_user_per_min = 60,
                     .requests_in_flight_per_peer = 5000,
                     .notify_failures = 3,
                     .lag_ms = 50},
        .trust = {.sip_domains = &sip_domain,
                  .n_sip_domains = 1,
                  .xmpp_domains = &xmpp_domain,
                  .n_xmpp_domains = 1,
                  .sip_sources = &loopback,
                  .n_sip_sources = 1},
    };
    struct stanza_reader_limits limits = {262144, 32};
    effects_init(&fx);
    if (hop_parse(&proxy, TEXT("127.0.0.1"), 5070, HOP_UDP) || sip_parser_create(&parser, 65536) ||
        stanza_reader_create(&reader, &limits, steps_stanza, NULL))
        die("no reader");
    cfg.proxy = proxy;
    if (core_create(&core, &cfg))
        die("no core");
    for (unsigned i = 0; core_domain_name(core, i).n; i++)
        tell(&(struct event){.kind = EVENT_STREAM_UP, .domain = core_domain_name(core, i)});
    pass_s(1);
}

static void finish(void)
{
    core_destroy(core);
    stanza_reader_destroy(reader);
    sip_parser_destroy(parser);
    effects_free(&fx);
    free(said);
    free(watch);
    free(serve);
}

static void options(int argc, char **argv)
{
    static const struct option names[] = {{"users", 1, NULL, 'u'}, {"rounds", 1, NULL, 'r'}, {0}};
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (o == 'u')
            users = (unsigned)strtoul(optarg, NULL, 10);
        else if (o == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else
            exit(1);
    if (!users || !rounds)
        die("at least one user and one round");
}

int main(int argc, char **argv)
{
    options(argc, argv);
    said_max = SAID_PER_USER * users;
    said = calloc(said_max, sizeof *said);
    watch = calloc(users, sizeof *watch);
    serve = calloc(users, sizeof *serve);
    if (!said || !watch || !serve)
        die("no memory");
    start();
    report("set-up XMPP to SIP", path_set_up, users);
    report("set-up SIP to XMPP", path_subscribe, users);
    report("presence -> NOTIFY -> 200", path_presence, users * rounds);
    report("NOTIFY -> 200, presence", path_notify, users * rounds);
    pass_s(60); // what is only kept for retransmissions goes
    report("refresh by the SIP side", path_subscribe, users);
    report("refresh by the gateway", path_refresh, users);
    report("refusal at the door", path_refuse, users);
    finish();
    return 0;
}
