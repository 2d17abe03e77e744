// Whole ways through a gateway in this process, with peers that say again what gets no answer.
#include "journey.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "shards/admin.h"
#include "shards/shard.h"

enum {
    AGAIN_MS = 300,       // datagrams and stanzas are said again after
    AGAIN_ELSEWHERE = 4,  // so many times it, and another connection is tried
    LENIENT_T1_MS = 50,   // 64 of them end a transaction
    STRICT_T1_MS = 10000, // no transaction of the gateway's repeats itself within the bound
};

int64_t journey_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void journey_open(struct journey *j, enum journey_transport transport, bool strict, const char *dir)
{
    char certificate[128], ca[128];
    *j = (struct journey){.transport = transport, .strict = strict};
    j->wish = (struct gateway_wish){.shards = 2,
                                    .tcp = true,
                                    .tls = true,
                                    .t1_ms = strict ? STRICT_T1_MS : LENIENT_T1_MS,
                                    .more = j->more};
    snprintf(j->more, sizeof j->more,
             "[sip.tls]\ncertificate = '%s/good.pem'\nprivate_key = '%s/good.key'\n"
             "ca = '%s/ca.pem'\n",
             dir, dir, dir);
    if (transport != JOURNEY_UDP) {
        snprintf(certificate, sizeof certificate, "%s/good", dir);
        snprintf(ca, sizeof ca, "%s/ca.pem", dir);
        j->peer = stream_peer_open(transport == JOURNEY_TLS ? certificate : NULL, ca);
        j->peer->patient = true;
        snprintf(j->proxy, sizeof j->proxy, "sip:127.0.0.1:%u;transport=%s", j->peer->port,
                 transport == JOURNEY_TLS ? "tls" : "tcp");
        j->wish.proxy = j->proxy;
    }
    shard_tuning.unwanted_stream_ms = 0;
    j->g = gateway_open(&j->wish);
    assert_true(gateway_wait_stream(j->g, "example.net", "", GATEWAY_PATIENCE_MS));
}

void journey_close(struct journey *j)
{
    gateway_close(j->g);
    if (j->peer)
        stream_peer_close(j->peer);
}

// ---- The SIP side ------------------------------------------------------------------------------

static bool hear(struct journey *j, int ms)
{
    if (!j->peer) {
        bool heard = sip_peer_expect(j->g->sip, "", ms);
        j->to = heard ? j->g->sip->from_port : j->to;
        j->message = j->g->sip->message;
        return heard;
    }
    int on = stream_peer_expect(j->peer, "", ms);
    j->on = on >= 0 ? on : j->on;
    j->message = j->peer->message;
    return on >= 0;
}

static const char *header(const struct journey *j, const char *name, char out[512])
{
    return j->peer ? stream_peer_header(j->peer, name, out) : sip_peer_header(j->g->sip, name, out);
}

static bool header_has(const struct journey *j, const char *name, const char *text)
{
    char value[512];
    return strstr(header(j, name, value), text) != NULL;
}

static void say(struct journey *j, const char *message)
{
    if (!j->peer)
        sip_peer_send(j->g->sip, j->to, message);
    else if (j->on >= 0)
        stream_peer_say(j->peer, j->on, message);
}

static void say_ok(struct journey *j)
{
    if (!j->peer)
        sip_peer_say_ok(j->g->sip, j->to);
    else
        stream_peer_say_ok(j->peer, j->on);
}

static bool is(const struct journey *j, const char *start)
{
    return strncmp(j->message, start, strlen(start)) == 0;
}

static uint16_t own_port(const struct journey *j)
{
    return j->peer ? j->peer->port : j->g->sip->port;
}

static const char *via(const struct journey *j)
{
    static const char *const text[] = {"UDP", "TCP", "TLS"};
    return text[j->transport];
}

static void connect_anew(struct journey *j)
{
    uint16_t port = j->transport == JOURNEY_TLS ? j->g->tls_port : j->g->listen_port;
    if (j->peer)
        j->on = stream_peer_connect(j->peer, port);
    j->to = port;
}

// ---- What is said until it is answered ---------------------------------------------------------

struct repeat {
    unsigned times;
    int64_t at_ms;
};

static bool is_due(const struct journey *j, struct repeat *r, int every_ms)
{
    int64_t now_ms = journey_now_ms();
    if (r->times && (j->strict || now_ms - r->at_ms < every_ms))
        return false;
    r->times++;
    r->at_ms = now_ms;
    return true;
}

static bool was_told(struct journey *j, const char *text)
{
    char *said = component_server_expect(j->g->server, "example.net", text, 1);
    free(said);
    return said != NULL;
}

// The server's answer to what every probe is followed by; the probe of a stranger it leaves alone.
static void answer_fence(struct journey *j)
{
    char who[128], id[64], answer[512];
    char *said = component_server_expect(j->g->server, "example.net", "", 1);
    for (const char *p = said; p && (p = strstr(p, "<iq type='get' from='example.net' to='")); p++)
        if (sscanf(p, "<iq type='get' from='example.net' to='%127[^']' id='%63[^']'", who, id) ==
                2 &&
            strcmp(id, j->fence) != 0) {
            snprintf(j->fence, sizeof j->fence, "%s", id);
            snprintf(answer, sizeof answer,
                     "<iq type='error' from='%s' to='example.net' id='%s'><error type='cancel'>"
                     "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                     "</error></iq>",
                     who, id);
            component_server_send(j->g->server, "example.net", answer);
        }
    free(said);
}

static void say_until_answered(struct journey *j, struct repeat *r, const char *message)
{
    if (!is_due(j, r, j->peer ? AGAIN_ELSEWHERE * AGAIN_MS : AGAIN_MS))
        return;
    if (j->peer && r->times > 1)
        connect_anew(j);
    say(j, message);
}

// ---- The ways ----------------------------------------------------------------------------------

static void write_notify(const struct journey *j, unsigned cseq, char out[4096])
{
    char from[512], to[512], call_id[512], contact[512];
    header(j, "Contact", contact);
    contact[strcspn(contact, ">")] = '\0';
    header(j, "To", to);
    snprintf(out, 4096,
             "NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bKnotify%u.%u;rport\r\n"
             "Max-Forwards: 70\r\nFrom: %s%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
             "Contact: <sip:peer@127.0.0.1:%u;transport=%s>\r\nEvent: presence\r\n"
             "Subscription-State: active;expires=600\r\nContent-Length: 0\r\n\r\n",
             strchr(contact, '<') + 1, via(j), own_port(j), j->user, cseq, to,
             strstr(to, "tag=") ? "" : ";tag=peer", header(j, "From", from),
             header(j, "Call-ID", call_id), cseq, own_port(j), via(j));
}

bool journey_watch(struct journey *j, int bound_ms)
{
    char stanza[256], told[128], who[64], notify[4096] = "", call_id[512] = "";
    bool answered = false, subscribed = false;
    struct repeat asked = {0}, notified = {0};
    unsigned cseq = 0;
    int64_t end_ms = journey_now_ms() + bound_ms;
    j->user++;
    snprintf(who, sizeof who, "juliet%u@example.com", j->user);
    snprintf(stanza, sizeof stanza, "<presence from='%s' to='romeo@example.net' type='subscribe'/>",
             who);
    snprintf(told, sizeof told, "to='%s' type='subscribed'", who);
    while (!(answered && subscribed) && journey_now_ms() < end_ms) {
        if (!*notify && is_due(j, &asked, AGAIN_MS))
            component_server_send(j->g->server, "example.net", stanza);
        if (*notify && !answered)
            say_until_answered(j, &notified, notify);
        if (hear(j, 10)) {
            if (is(j, "SUBSCRIBE") && header_has(j, "From", who)) {
                write_notify(j, ++cseq, notify); // RFC 6665 §4.2.1.2: a refresh has its own
                header(j, "Call-ID", call_id);
                answered = false;
                notified = (struct repeat){0};
            } else if (is(j, "SIP/2.0 200") && *call_id && header_has(j, "Call-ID", call_id)) {
                answered = true;
            }
            if (!is(j, "SIP/2.0"))
                say_ok(j);
        }
        answer_fence(j);
        subscribed = subscribed || was_told(j, told);
    }
    if (!answered || !subscribed)
        fprintf(stderr, "%s watches in vain: %s asked, NOTIFY %s, %s told\n", who,
                *notify ? "was" : "was not", answered ? "answered" : "not answered",
                subscribed ? "was" : "was not");
    return answered && subscribed;
}

bool journey_serve(struct journey *j, int bound_ms)
{
    char subscribe[2048], told[128], call_id[64];
    bool answered = false, notified = false, asked = false;
    struct repeat said = {0};
    int64_t end_ms = journey_now_ms() + bound_ms;
    j->user++;
    connect_anew(j);
    snprintf(call_id, sizeof call_id, "serve%u@127.0.0.1", j->user);
    snprintf(told, sizeof told, "to='nurse%u@example.com' type='subscribe'", j->user);
    snprintf(subscribe, sizeof subscribe,
             "SUBSCRIBE sip:nurse%u@example.com SIP/2.0\r\n"
             "Via: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bKserve%u;rport\r\nMax-Forwards: 70\r\n"
             "From: <sip:romeo@example.net>;tag=r%u\r\nTo: <sip:nurse%u@example.com>\r\n"
             "Call-ID: %s\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n"
             "Contact: <sip:peer@127.0.0.1:%u;transport=%s>\r\nExpires: 600\r\n"
             "Content-Length: 0\r\n\r\n",
             j->user, via(j), own_port(j), j->user, j->user, j->user, call_id, own_port(j), via(j));
    while (!(answered && notified && asked) && journey_now_ms() < end_ms) {
        if (!answered) {
            j->to = j->g->listen_port;
            say_until_answered(j, &said, subscribe);
        }
        if (hear(j, 10)) {
            bool ours = header_has(j, "Call-ID", call_id);
            answered = answered || (ours && is(j, "SIP/2.0 200"));
            notified = notified || (ours && is(j, "NOTIFY"));
            if (!is(j, "SIP/2.0"))
                say_ok(j);
        }
        asked = asked || was_told(j, told);
    }
    if (!answered || !notified || !asked)
        fprintf(stderr, "%s in vain: SUBSCRIBE %s, %s notified, %s asked\n", call_id,
                answered ? "answered" : "not answered", notified ? "was" : "was not",
                asked ? "was" : "was not");
    return answered && notified && asked;
}

bool journey_both(struct journey *j, int bound_ms)
{
    for (unsigned i = 0; j->peer && i < j->peer->n; i++)
        stream_peer_hang_up(j->peer, (int)i);
    if (j->peer)
        usleep(30000); // so that the gateway knows
    return journey_serve(j, bound_ms) && journey_watch(j, bound_ms);
}

bool journey_stream(struct journey *j, int bound_ms)
{
    int64_t end_ms = journey_now_ms() + bound_ms;
    unsigned before = component_server_connects(j->g->server, "example.net");
    component_server_drop(j->g->server, "example.net");
    while (component_server_connects(j->g->server, "example.net") == before ||
           !gateway_wait_stream(j->g, "example.net", "", 0)) {
        if (journey_now_ms() > end_ms)
            return false;
        usleep(5000);
    }
    return journey_watch(j, bound_ms);
}

static bool ping(struct journey *j, unsigned shard, uint64_t tag, int bound_ms)
{
    struct buffer question;
    char answer[64];
    size_t n;
    buffer_init(&question, 0);
    admin_write_ping(&question, tag);
    int error = shards_ask(j->g->shards, shard, question.p, question.n, answer, sizeof answer, &n,
                           bound_ms);
    buffer_free(&question);
    return !error && admin_read_ping(answer, n, tag) == 0;
}

bool journey_admin(struct journey *j, int bound_ms)
{
    for (unsigned i = 0; i < 6; i++) {
        if (!ping(j, i % 2, i, bound_ms))
            return false;
        usleep(2000); // the shard falls asleep
    }
    struct gateway_wish more = j->wish;
    more.domains = "[\"example.net\", \"example.org\"]";
    gateway_reload(j->g, &more);
    bool came = gateway_wait_stream(j->g, "example.org", "", bound_ms);
    gateway_reload(j->g, &j->wish);
    int64_t end_ms = journey_now_ms() + bound_ms;
    while (gateway_stream_why(j->g, "example.org") && journey_now_ms() < end_ms)
        usleep(5000);
    return came && !gateway_stream_why(j->g, "example.org");
}
