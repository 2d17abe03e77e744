// SIP users whose requests are good, and who mean no good: subscriptions without end, NOTIFYs that
// nobody answers, dialogs of others, documents that are a burden.
//
// The users live in hostile domains. A Record-Route brings the daemon's requests for them to the
// attack's own socket; its SUBSCRIBEs for them come by way of the front.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacker.h"
#include "front.h"

#define TRUSTED  "127.0.0.41"
#define STRANGER "127.1.0.1"

enum {
    NEW_PER_S = 2000,
    UNANSWERED = 20000,
    UNANSWERED_PER_S = 5000,
    DEAF_WATCHERS = 20000,
    PATIENCE_MS = 10000,
    SPOOFS_PER_S = 5000,
    CHANGE_MS = 100,
    DOCUMENT = 62000,
    DOCUMENTS_PER_S = 50,
};

// ---- Subscriptions -----------------------------------------------------------------------------

static size_t write_routed(uint64_t i, uint16_t port, char *out, size_t size, const char *domain,
                           unsigned expires_s, const char *parameters)
{
    char from[64], to[64], number[24], more[256];
    snprintf(number, sizeof number, "s%llu", (unsigned long long)i);
    snprintf(from, sizeof from, "sip:m%llu@%s", (unsigned long long)i, domain);
    snprintf(to, sizeof to, "sip:v%llu@example.com", (unsigned long long)i);
    snprintf(more, sizeof more,
             "Record-Route: <sip:" TRUSTED ":%u;lr%s>\r\nEvent: presence\r\nExpires: %u\r\n", port,
             parameters, expires_s);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = "SUBSCRIBE",
                                                             .ruri = to,
                                                             .from = from,
                                                             .from_tag = number,
                                                             .call_id = number,
                                                             .branch = number,
                                                             .cseq = 1,
                                                             .ip = TRUSTED,
                                                             .port = port,
                                                             .more = more});
}

static size_t write_subscribe(uint64_t i, uint16_t port, char *out, size_t size, const char *domain,
                              unsigned expires_s)
{
    return write_routed(i, port, out, size, domain, expires_s, "");
}

static size_t write_new(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f;
    return write_subscribe(i, port, out, size, "dialog.hostile", 600);
}

// All good, all new, each of somebody else: what was granted lasts. New work is what overload sheds
// first; a NOTIFY that is not answered holds one of requests_in_flight_per_peer.
void attack_subscribe_new(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, NEW_PER_S, write_new);
}

static size_t write_fetch(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f;
    return write_subscribe(i, port, out, size, "dialog.hostile", 0);
}

// A dialog, a NOTIFY that is not answered and a probe each; CORE_FETCHES_MAX at once.
void attack_subscribe_fetch(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, NEW_PER_S, write_fetch);
}

// The same users' probes go to a server that is up and says nothing.
static size_t write_silent(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f;
    return write_subscribe(i, port, out, size, "silent.hostile", 0);
}

void attack_xmpp_silent(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, NEW_PER_S, write_silent);
}

static void subscribe_many(struct field *f, unsigned all, uint16_t route, const char *parameters)
{
    uint16_t port;
    char bytes[2048];
    int fd = attacker_udp(TRUSTED, &port, 2048);
    struct pace pace = {0};
    for (unsigned i = 0; i < all && !f->stop;) {
        for (unsigned due = attacker_due(&pace, UNANSWERED_PER_S, 32); due && i < all; due--, i++) {
            size_t n = write_routed(100000 + i, route ? route : port, bytes, sizeof bytes,
                                    "dialog.hostile", 600, parameters);
            attacker_send(f, fd, f->sip_port, bytes, n);
            f->said++;
        }
    }
    f->begun = true;
    while (!f->stop)
        attacker_sleep_ms(f, 50);
    close(fd);
}

// 20,000 subscriptions of one peer that is silent from then on: their NOTIFYs are said again and
// again, and given up.
void attack_unanswered(struct field *f)
{
    subscribe_many(f, attacker_scaled(f, UNANSWERED), 0, "");
}

// The same over TCP, to a peer that takes the connection and reads nothing of it: 1 MiB waits, what
// is more is dropped, and after 30 s the connection is given up.
void attack_deaf_watchers(struct field *f)
{
    uint16_t port;
    int fd = attacker_listen(TRUSTED, &port);
    subscribe_many(f, attacker_scaled(f, DEAF_WATCHERS), port, ";transport=tcp");
    close(fd);
}

// ---- Somebody else's dialog --------------------------------------------------------------------

// The next datagram, NUL-terminated; 0: none within that time.
static size_t receive(int fd, char *out, size_t size, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) != 1)
        return 0;
    ssize_t n = recv(fd, out, size - 1, MSG_DONTWAIT);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

struct victim {
    int fd, stream;
    uint16_t port;
    char tag[64];  // the daemon's
    unsigned told; // of her presence, so often
    bool answered, terminated;
};

static void victim_take(const struct field *f, struct victim *v, const char *m)
{
    char ok[2048];
    if (strncmp(m, "SIP/2.0 200", 11) == 0) {
        load_sip_tag(m, "To", v->tag, sizeof v->tag);
        v->answered = true;
    } else if (strncmp(m, "NOTIFY", 6) == 0) {
        v->told += strstr(m, "<basic>") != NULL;
        v->terminated = v->terminated || strstr(m, "terminated") != NULL;
        attacker_send(f, v->fd, f->shard_port, ok,
                      attacker_write_ok(ok, sizeof ok, m, "victim", ""));
    }
}

// Answers what has come, and what comes within so long.
static void victim_listen(const struct field *f, struct victim *v, int ms)
{
    char m[8192];
    uint64_t end_us = load_now_us() + (uint64_t)ms * 1000, now_us;
    while (now_us = load_now_us(),
           receive(v->fd, m, sizeof m, now_us < end_us ? (int)((end_us - now_us) / 1000) + 1 : 0))
        victim_take(f, v, m);
}

static void victim_change(struct victim *v, unsigned round)
{
    char text[256];
    snprintf(text, sizeof text,
             "<presence from='vera@example.com/v' to='victor@dialog.hostile'>"
             "<status>%u</status></presence>",
             round);
    attacker_say(v->stream, text, strlen(text));
}

static size_t victim_request(const struct victim *v, char *out, size_t size, const char *method,
                             const char *tag, uint32_t cseq, const char *more)
{
    static unsigned n; // of this attack's thread
    char branch[32];
    snprintf(branch, sizeof branch, "v%u", ++n);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = method,
                                                             .ruri = "sip:vera@example.com",
                                                             .from = "sip:victor@dialog.hostile",
                                                             .from_tag = "victim",
                                                             .to_tag = tag,
                                                             .call_id = "victim",
                                                             .branch = branch,
                                                             .cseq = cseq,
                                                             .ip = TRUSTED,
                                                             .port = v->port,
                                                             .more = more});
}

static bool victim_begin(const struct field *f, struct victim *v)
{
    char bytes[2048], more[256];
    static const char yes[] =
        "<presence from='vera@example.com' to='victor@dialog.hostile' type='subscribed'/>";
    snprintf(more, sizeof more,
             "Record-Route: <sip:" TRUSTED ":%u;lr>\r\nEvent: presence\r\nExpires: 600\r\n",
             v->port);
    size_t n = victim_request(v, bytes, sizeof bytes, "SUBSCRIBE", NULL, 100, more);
    for (int i = 0; i < 20 && !v->answered; i++) {
        attacker_send(f, v->fd, f->sip_port, bytes, n);
        victim_listen(f, v, 200);
    }
    attacker_say(v->stream, yes, sizeof yes - 1);
    for (unsigned i = 0; i < 20 && !v->told; i++) {
        victim_change(v, i);
        victim_listen(f, v, 100);
    }
    return v->told > 0;
}

// Right Call-ID and tags from an address that is not trusted: a few 403. Wrong tags: 481. A CSeq
// that has been: 500. A NOTIFY where the daemon is the notifier: 481. The dialog does not notice.
static void spoof(const struct field *f, const struct victim *v, int stranger, unsigned i)
{
    static const char end[] = "Event: presence\r\nExpires: 0\r\n";
    static const char notify[] =
        "Event: presence\r\nSubscription-State: terminated;reason=rejected\r\n";
    char bytes[2048], guess[64];
    size_t n;
    snprintf(guess, sizeof guess, "%.10s%014u", v->tag, i);
    switch (i % 4) {
    case 0:
        n = victim_request(v, bytes, sizeof bytes, "SUBSCRIBE", v->tag, 1000 + i, end);
        attacker_send(f, stranger, f->shard_port, bytes, n);
        return;
    case 1: n = victim_request(v, bytes, sizeof bytes, "SUBSCRIBE", guess, 1000 + i, end); break;
    case 2: n = victim_request(v, bytes, sizeof bytes, "SUBSCRIBE", v->tag, i % 100, end); break;
    default: n = victim_request(v, bytes, sizeof bytes, "NOTIFY", v->tag, 1000 + i, notify); break;
    }
    attacker_send(f, v->fd, f->shard_port, bytes, n);
}

void attack_spoofed(struct field *f)
{
    struct victim v = {.stream = front_take(f->front, "dialog.hostile", PATIENCE_MS)};
    uint16_t port;
    v.fd = attacker_udp(TRUSTED, &v.port, 0);
    int stranger = attacker_udp(STRANGER, &port, 2048);
    struct pace pace = {0};
    if (!victim_begin(f, &v))
        attacker_complain(f, "the victim did not get its subscription");
    unsigned changes = 0, told = v.told, i = 0;
    for (uint64_t change_us = 0; !f->stop;) {
        for (unsigned due = attacker_due(&pace, SPOOFS_PER_S, 32); due; due--)
            spoof(f, &v, stranger, i++);
        f->said = i;
        f->begun = true;
        victim_listen(f, &v, 0);
        if (load_now_us() < change_us)
            continue;
        change_us = load_now_us() + CHANGE_MS * 1000;
        victim_change(&v, 1000 + changes++);
        attacker_drain(v.stream);
    }
    victim_listen(f, &v, 500);
    if (v.terminated || v.told < told + changes / 2)
        attacker_complain(f, "the victim's dialog: %s, told %u of %u changes",
                          v.terminated ? "terminated" : "there", v.told - told, changes);
    size_t n;
    char bytes[2048];
    n = victim_request(&v, bytes, sizeof bytes, "SUBSCRIBE", v.tag, 1000000,
                       "Event: presence\r\nExpires: 0\r\n");
    attacker_send(f, v.fd, f->shard_port, bytes, n);
    victim_listen(f, &v, 200);
    if (!v.terminated)
        attacker_complain(f, "the victim could not end its dialog");
    close(stranger);
    close(v.fd);
    close(v.stream);
}

// ---- Documents ---------------------------------------------------------------------------------

struct notifier {
    int fd, stream;
    uint16_t port;
    char target[256], from[256], to[256], call_id[128];
    uint32_t cseq;
};

// She is watched by the daemon on behalf of a user in example.com; the daemon's SUBSCRIBE is
// granted.
static bool notifier_begin(const struct field *f, struct notifier *n)
{
    static const char wish[] =
        "<presence from='paul@example.com' to='pat@pidf.hostile' type='subscribe'/>";
    char m[8192], ok[2048], more[128], contact[256];
    attacker_say(n->stream, wish, sizeof wish - 1);
    if (!front_next_request(f->front, "pidf.hostile", m, sizeof m, PATIENCE_MS))
        return false;
    snprintf(more, sizeof more, "Contact: <sip:pat@" TRUSTED ":%u>\r\nExpires: 600\r\n", n->port);
    size_t size = attacker_write_ok(ok, sizeof ok, m, "pat", more);
    attacker_send(f, n->fd, f->shard_port, ok, size);
    load_sip_header(m, "Contact", contact, sizeof contact);
    load_sip_header(m, "Call-ID", n->call_id, sizeof n->call_id);
    load_sip_header(m, "From", n->to, sizeof n->to);
    load_sip_header(m, "To", n->from, sizeof n->from);
    const char *open = strchr(contact, '<');
    snprintf(n->target, sizeof n->target, "%.*s", open ? (int)strcspn(open + 1, ">") : 0,
             open ? open + 1 : "");
    return n->target[0] != '\0';
}

// The status of its answer; 0: none.
static unsigned notifier_say(const struct field *f, struct notifier *n, const char *state,
                             const char *body, size_t body_n)
{
    static char bytes[ATTACKER_DATAGRAM]; // one attack at a time
    char answer[4096];
    int head = snprintf(bytes, sizeof bytes,
                        "NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/UDP " TRUSTED
                        ":%u;branch=z9hG4bKp%u;rport\r\nMax-Forwards: 70\r\nFrom: %s;tag=pat\r\n"
                        "To: %s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
                        "Contact: <sip:pat@" TRUSTED
                        ":%u>\r\nEvent: presence\r\n"
                        "Subscription-State: %s\r\nContent-Type: application/pidf+xml\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        n->target, n->port, n->cseq + 1, n->from, n->to, n->call_id, n->cseq + 1,
                        n->port, state, body_n);
    if ((size_t)head + body_n > sizeof bytes)
        body_n = sizeof bytes - (size_t)head;
    n->cseq++;
    memcpy(bytes + head, body, body_n);
    attacker_send(f, n->fd, f->shard_port, bytes, (size_t)head + body_n);
    for (int i = 0; i < 50; i++)
        if (receive(n->fd, answer, sizeof answer, 20) && strncmp(answer, "SIP/2.0 ", 8) == 0)
            return (unsigned)strtoul(answer + 8, NULL, 10);
    return 0;
}

// Says documents until it is over; each has to be answered with `wanted`.
static void burden(struct field *f, size_t (*write)(char *out, size_t size, unsigned i),
                   unsigned wanted)
{
    struct notifier n = {.stream = front_take(f->front, "pidf.hostile", PATIENCE_MS)};
    static char body[DOCUMENT + 4096];
    n.fd = attacker_udp(TRUSTED, &n.port, 1 << 20);
    struct pace pace = {0};
    if (!notifier_begin(f, &n))
        attacker_complain(f, "nobody watches the notifier");
    for (unsigned i = 0; !f->stop && n.target[0]; i++) {
        size_t size = write(body, sizeof body, i);
        unsigned status = notifier_say(f, &n, "active;expires=600", body, size);
        if (status != wanted && !f->stop)
            attacker_complain(f, "a document was answered with %u", status);
        f->said++;
        f->begun = true;
        attacker_drain(n.stream);
        while (!f->stop && !attacker_due(&pace, DOCUMENTS_PER_S, 1))
            ;
    }
    f->begun = true;
    if (n.target[0])
        notifier_say(f, &n, "terminated;reason=noresource", "", 0);
    close(n.fd);
    close(n.stream);
}

#define PIDF "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:pat@pidf.hostile'>"

static size_t write_bomb(char *out, size_t size, unsigned i)
{
    size_t n = (size_t)snprintf(out, size,
                                "<?xml version='1.0'?><!DOCTYPE presence ["
                                "<!ENTITY l0 'lol'>");
    for (int k = 1; k < 12; k++)
        n += (size_t)snprintf(out + n, size - n,
                              "<!ENTITY l%d '&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;'>", k, k - 1,
                              k - 1, k - 1, k - 1, k - 1, k - 1, k - 1, k - 1);
    return n + (size_t)snprintf(out + n, size - n,
                                "]>" PIDF
                                "<tuple id='a%u'><status><basic>open</basic></status>"
                                "<note>&l11;</note></tuple></presence>",
                                i);
}

static size_t write_tuples(char *out, size_t size, unsigned i)
{
    size_t n = (size_t)snprintf(out, size, PIDF);
    for (unsigned k = 0; n < DOCUMENT - 600; k++)
        n += (size_t)snprintf(
            out + n, size - n,
            "<tuple id='t%u'><status><basic>%s</basic></status><note>%u</note></tuple>",
            i % 2 ? k : 100000 + k, k % 2 ? "open" : "closed", i);
    return n + (size_t)snprintf(out + n, size - n, "</presence>");
}

static size_t write_newlines(char *out, size_t size, unsigned i)
{
    size_t n = (size_t)snprintf(
        out, size, PIDF "<tuple id='a'><status><basic>open</basic></status><note>%u", i);
    while (n < DOCUMENT - 600)
        n += (size_t)snprintf(out + n, size - n, "\r\n\n\t&#10;&#13;");
    return n + (size_t)snprintf(out + n, size - n, "</note></tuple></presence>");
}

// A DOCTYPE is refused before an entity is looked at: 400, the dialog goes on.
void attack_pidf_bomb(struct field *f)
{
    burden(f, write_bomb, 400);
}

// Some 900 devices, all others each time; KNOWN_MAX of them are known.
void attack_pidf_tuples(struct field *f)
{
    burden(f, write_tuples, 200);
}

void attack_pidf_notes(struct field *f)
{
    burden(f, write_newlines, 200);
}
