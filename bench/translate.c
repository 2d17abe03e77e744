// What one translated event costs the gateway, and what one subscription weighs.
//
// Starts the real daemon with one shard, plays its XMPP server and its SIP proxy on loopback, makes
// N subscriptions in each direction, and then drives presence changes through it in a closed loop:
//
//   presence → NOTIFY → 200        (an XMPP user's change reaches a SIP user)
//   NOTIFY → 200, presence         (a SIP user's change reaches an XMPP user)
//
// Reported is the daemon's CPU time (user + system, all threads) per event and its resident memory
// per subscription, read from outside. Wall-clock times are not: they tell more of the machine than
// of it.
//
//   bench_translate --gateway build/release/isthmus [--subscriptions 10000] [--events 200000]
//   [--rest 35]
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    WINDOW = 256, // events under way at a time
    SETUP_WINDOW = 256,
    AGAIN_MS = 500, // nothing moved for so long: a datagram was lost, say it again
    AGAIN_MAX = 20,
    CONNECT_MS = 10000,
    REST_S = 35, // server transactions live for 32 s
    DATAGRAM_MAX = 65536,
    BATCH = 64,
};

// One direction of one pair, as the SIP side knows it.
struct dialog {
    char call_id[64], gateway_tag[32];
    uint16_t port; // of the shard
    uint32_t cseq;
    bool live;
};

struct bench {
    const char *gateway;
    unsigned subscriptions, events, rest_s;
    char dir[64];
    pid_t pid;
    int xmpp, sip;
    uint16_t xmpp_port, sip_port, gateway_port, shard_port, api_port;
    struct dialog *watch;
    bool *seen;        // that the pair's current event has come through
    char out[1 << 20]; // stanzas to be written
    size_t out_n;
    char in[1 << 20]; // bytes of stanzas not yet looked at
    size_t in_n;
    unsigned notifies, presences, subscribed; // events that have come through
    unsigned overtaken;                       // and such as a newer one has replaced
};

static struct bench b;

static void die(const char *what)
{
    fprintf(stderr, "bench_translate: %s\n", what);
    if (b.pid)
        kill(b.pid, SIGKILL);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int bound_socket(int type, uint16_t *port)
{
    struct sockaddr_in a = loopback(*port);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), big = 8 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        die("no port");
    *port = ntohs(a.sin_port);
    return fd;
}

static uint16_t free_port(int type)
{
    uint16_t port = 0;
    close(bound_socket(type, &port));
    return port;
}

// ---- The daemon under test

static void write_config(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/gateway.toml", b.dir);
    FILE *f = fopen(path, "w");
    if (!f)
        die("no temporary folder");
    fprintf(f,
            "[gateway]\nshards = 1\nstore = \"%s/store\"\n"
            "[xmpp]\nserver = \"127.0.0.1:%u\"\nsecret = \"bench\"\n"
            "[sip]\nlisten = [\"udp:127.0.0.1:%u\"]\nshard_port = %u\nadvertise = \"127.0.0.1\"\n"
            "proxy = \"sip:127.0.0.1:%u;transport=udp\"\n"
            "[trust]\nsip_domains = [\"example.net\"]\nxmpp_domains = [\"example.com\"]\n"
            "sip_sources = [\"127.0.0.0/8\"]\n[api]\nlisten = \"127.0.0.1:%u\"\n"
            "[log]\nlevel = \"warn\"\n",
            b.dir, b.xmpp_port, b.gateway_port, b.shard_port, b.sip_port, b.api_port);
    fclose(f);
}

static void start_gateway(void)
{
    char config[96];
    snprintf(config, sizeof config, "%s/gateway.toml", b.dir);
    b.pid = fork();
    if (b.pid == 0) {
        execl(b.gateway, b.gateway, "-c", config, (char *)NULL);
        _exit(127);
    }
}

static uint64_t gateway_cpu_ns(void)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(b.pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        die("the gateway is gone");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Memory of its own ("RssAnon") or mapped from the store's files ("RssFile"), in bytes.
static uint64_t gateway_resident(const char *kind)
{
    char path[64], line[128];
    unsigned long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)b.pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, kind, strlen(kind)) == 0)
            kb = strtoull(line + strlen(kind) + 1, NULL, 10);
    if (!f || !kb)
        die("no memory figure");
    fclose(f);
    return kb * 1024;
}

// ---- The XMPP server: one component stream

static void xmpp_flush(void)
{
    for (size_t at = 0; at < b.out_n;) {
        ssize_t n = send(b.xmpp, b.out + at, b.out_n - at, MSG_NOSIGNAL);
        if (n < 0)
            die("the component stream broke");
        at += (size_t)n;
    }
    b.out_n = 0;
}

static void xmpp_say(const char *format, ...)
{
    if (b.out_n > sizeof b.out - 4096)
        xmpp_flush();
    va_list args;
    va_start(args, format);
    b.out_n += (size_t)vsnprintf(b.out + b.out_n, 4096, format, args);
    va_end(args);
}

static void xmpp_accept(int listener)
{
    char buffer[4096];
    int on = 1;
    struct pollfd p = {listener, POLLIN, 0};
    if (poll(&p, 1, CONNECT_MS) != 1 || (b.xmpp = accept(listener, NULL, NULL)) < 0)
        die("the gateway did not connect");
    setsockopt(b.xmpp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (recv(b.xmpp, buffer, sizeof buffer, 0) <= 0)
        die("no stream header");
    xmpp_say(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
        "xmlns:stream='http://etherx.jabber.org/streams' from='example.net' id='b'>");
    xmpp_flush();
    if (recv(b.xmpp, buffer, sizeof buffer, 0) <= 0)
        die("no handshake");
    xmpp_say("<handshake/>");
    xmpp_flush();
}

static bool attribute(const char *stanza, const char *name, char *out, size_t size)
{
    char key[32];
    snprintf(key, sizeof key, " %s='", name);
    const char *at = strstr(stanza, key), *end = at ? strchr(at + strlen(key), '\'') : NULL;
    if (!end)
        return false;
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)(end - at), at);
    return true;
}

// Counts the pair's event unless it was seen before: what is said again must not count twice.
static void seen_once(const char *address, const char *format, unsigned *count)
{
    unsigned i;
    if (sscanf(address, format, &i) != 1 || i >= b.subscriptions || b.seen[i])
        return;
    b.seen[i] = true;
    ++*count;
}

static void seen_once_from(const char *stanza, unsigned *count)
{
    char from[128] = "";
    attribute(stanza, "from", from, sizeof from);
    seen_once(from, "sip%u@", count);
}

static void xmpp_took(char *stanza)
{
    char type[32] = "", from[128] = "", to[128] = "", id[64] = "";
    attribute(stanza, "type", type, sizeof type);
    if (strncmp(stanza, "<iq", 3) == 0) {
        attribute(stanza, "from", from, sizeof from);
        attribute(stanza, "to", to, sizeof to);
        attribute(stanza, "id", id, sizeof id);
        xmpp_say(
            "<iq type='error' from='%s' to='%s' id='%s'><error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            to, from, id);
    } else if (strcmp(type, "subscribe") == 0) {
        attribute(stanza, "from", from, sizeof from);
        attribute(stanza, "to", to, sizeof to);
        xmpp_say(
            "<presence from='%s' to='%s' type='subscribed'/>"
            "<presence from='%s/bench' to='%s'/>",
            to, from, to, from);
    } else if (strcmp(type, "subscribed") == 0) {
        seen_once_from(stanza, &b.subscribed);
    } else if (type[0] == 0) {
        seen_once_from(stanza, &b.presences);
    }
}

// The end of the first stanza in the buffer: all that the gateway says is at most two levels deep.
static char *stanza_end(char *p)
{
    char *open_end = strchr(p, '>');
    if (!open_end || open_end[-1] == '/')
        return open_end;
    char *end = strstr(open_end, p[1] == 'i' ? "</iq>" : "</presence>");
    return end ? strchr(end, '>') : NULL;
}

static void xmpp_read(void)
{
    ssize_t n = recv(b.xmpp, b.in + b.in_n, sizeof b.in - 1 - b.in_n, MSG_DONTWAIT);
    if (n == 0)
        die("the gateway closed the stream");
    if (n < 0)
        return;
    b.in_n += (size_t)n;
    b.in[b.in_n] = 0;
    char *at = b.in;
    for (char *end; (end = stanza_end(at)); at = end + 1) {
        char kept = end[1];
        end[1] = 0;
        xmpp_took(at);
        end[1] = kept;
    }
    b.in_n -= (size_t)(at - b.in);
    memmove(b.in, at, b.in_n + 1);
}

// ---- The SIP proxy, presence server and users

static void sip_send(const char *bytes, size_t n, uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    while (sendto(b.sip, bytes, n, 0, (struct sockaddr *)&to, sizeof to) < 0)
        if (errno != EAGAIN && errno != ENOBUFS)
            die("sendto");
}

static bool header(const char *message, const char *name, char *out, size_t size)
{
    char key[32];
    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strstr(message, key);
    if (!at)
        return false;
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\r"), at);
    return true;
}

static void sip_answer(const char *m, const char *extra, uint16_t port)
{
    char via[512], from[256], to[256], call_id[128], cseq[64], out[2048];
    if (!header(m, "Via", via, sizeof via) || !header(m, "From", from, sizeof from) ||
        !header(m, "To", to, sizeof to) || !header(m, "Call-ID", call_id, sizeof call_id) ||
        !header(m, "CSeq", cseq, sizeof cseq))
        die("a request without its header fields");
    int n = snprintf(out, sizeof out,
                     "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\n"
                     "CSeq: %s\r\n%sContent-Length: 0\r\n\r\n",
                     via, from, to, strstr(to, "tag=") ? "" : ";tag=b", call_id, cseq, extra);
    sip_send(out, (size_t)n, port);
}

static void sip_notify(unsigned i, const char *show)
{
    struct dialog *d = &b.watch[i];
    char body[1024], out[2048];
    int n = snprintf(body, sizeof body,
                     "<?xml version='1.0' encoding='UTF-8'?>\r\n"
                     "<presence xmlns='urn:ietf:params:xml:ns:pidf' "
                     "entity='pres:sip%u@example.net'><tuple id='ID-phone'><status>"
                     "<basic>open</basic><show xmlns='jabber:client'>%s</show></status></tuple>"
                     "</presence>",
                     i, show);
    n = snprintf(out, sizeof out,
                 "NOTIFY sip:xmpp%u@127.0.0.1:%u SIP/2.0\r\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKn%u.%u\r\nMax-Forwards: 70\r\n"
                 "From: <sip:sip%u@example.net>;tag=b\r\n"
                 "To: <sip:xmpp%u@example.com>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
                 "Contact: <sip:sip%u@127.0.0.1:%u>\r\nEvent: presence\r\n"
                 "Subscription-State: active;expires=3600\r\n"
                 "Content-Type: application/pidf+xml\r\nContent-Length: %d\r\n\r\n%s",
                 i, d->port, b.sip_port, i, d->cseq + 1, i, i, d->gateway_tag, d->call_id,
                 d->cseq + 1, i, b.sip_port, n, body);
    d->cseq++;
    sip_send(out, (size_t)n, d->port);
}

static void tag_of(const char *value, char *out, size_t size)
{
    const char *at = strstr(value, "tag=");
    snprintf(out, size, "%.*s", at ? (int)strcspn(at + 4, ";\r") : 0, at ? at + 4 : "");
}

// The gateway subscribes for xmppI to sipI.
static void sip_subscribed(const char *m, uint16_t port)
{
    unsigned i;
    char from[256];
    if (sscanf(m, "SUBSCRIBE sip:sip%u@", &i) != 1 || i >= b.subscriptions)
        die("a SUBSCRIBE for nobody");
    struct dialog *d = &b.watch[i];
    sip_answer(m, "Expires: 3600\r\nContact: <sip:127.0.0.1>\r\n", port);
    if (d->live)
        return;
    d->live = true;
    d->port = port;
    header(m, "From", from, sizeof from);
    header(m, "Call-ID", d->call_id, sizeof d->call_id);
    tag_of(from, d->gateway_tag, sizeof d->gateway_tag);
    sip_notify(i, "chat");
}

// His event has come through when she is seen: the NOTIFY before it, pending, says nothing yet.
static void sip_notified(const char *m)
{
    char to[256] = "";
    header(m, "To", to, sizeof to);
    if (strstr(m, "<basic>open"))
        seen_once(to, "<sip:romeo%u@", &b.notifies);
}

static void sip_took(char *m, uint16_t port)
{
    if (strncmp(m, "NOTIFY", 6) == 0) {
        sip_answer(m, "", port);
        sip_notified(m);
    } else if (strncmp(m, "SUBSCRIBE", 9) == 0) {
        sip_subscribed(m, port);
    } else if (strncmp(m, "SIP/2.0 200", 11) != 0) {
        fprintf(stderr, "%s", m);
        die("an answer that was not expected");
    }
}

static void sip_read(void)
{
    static char data[BATCH][4096];
    struct sockaddr_in from[BATCH];
    struct iovec v[BATCH];
    struct mmsghdr h[BATCH] = {0};
    for (int i = 0; i < BATCH; i++) {
        v[i] = (struct iovec){data[i], sizeof data[i] - 1};
        h[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &v[i], .msg_iovlen = 1};
    }
    int n = recvmmsg(b.sip, h, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        data[i][h[i].msg_len] = 0;
        sip_took(data[i], ntohs(from[i].sin_port));
    }
}

static void sip_subscribe(unsigned i)
{
    char out[1024];
    int n = snprintf(out, sizeof out,
                     "SUBSCRIBE sip:juliet%u@example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKs%u\r\nMax-Forwards: 70\r\n"
                     "From: <sip:romeo%u@example.net>;tag=r%u\r\n"
                     "To: <sip:juliet%u@example.com>\r\nCall-ID: serve%u@bench\r\n"
                     "CSeq: 1 SUBSCRIBE\r\nContact: <sip:romeo%u@127.0.0.1:%u>\r\n"
                     "Event: presence\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
                     i, b.sip_port, i, i, i, i, i, i, b.sip_port);
    sip_send(out, (size_t)n, b.gateway_port);
}

// ---- Driving it

// Reads both sides for as long as something comes; false: nothing has for AGAIN_MS.
static bool pump(void)
{
    struct pollfd p[2] = {{b.xmpp, POLLIN, 0}, {b.sip, POLLIN, 0}};
    if (poll(p, 2, AGAIN_MS) <= 0)
        return false;
    if (p[0].revents)
        xmpp_read();
    if (p[1].revents)
        sip_read();
    xmpp_flush();
    return true;
}

// Until `*seen` has come to `want`. Events from `first` to before `end` are under way: UDP may lose
// what our side sends, so those not seen are said again when all is still.
static void pump_until(const unsigned *seen, unsigned want, void (*one)(unsigned), unsigned first,
                       unsigned end)
{
    for (unsigned again = 0; *seen < want;) {
        if (pump())
            continue;
        if (++again > AGAIN_MAX)
            die("nothing moves any more");
        for (unsigned i = first; i < end; i++)
            if (!b.seen[i % b.subscriptions])
                one(i);
        xmpp_flush();
    }
}

// A closed loop: at most `window` events under way, none of one pair overlapping another of its
// own.
static void drive(unsigned events, void (*one)(unsigned), unsigned *seen, unsigned window)
{
    unsigned before = *seen;
    if (window > b.subscriptions)
        window = b.subscriptions;
    for (unsigned i = 0; i < events; i++) {
        unsigned done = i + 1 > window ? i + 1 - window : 0;
        pump_until(seen, before + done, one, i > 2 * window ? i - 2 * window : 0, i);
        if (i >= b.subscriptions && !b.seen[i % b.subscriptions]) {
            ++*seen; // overtaken by a newer one while a NOTIFY was in flight (RFC 6665 §4.2.2)
            b.overtaken++;
        }
        b.seen[i % b.subscriptions] = false;
        one(i);
        if (i % 16 == 15)
            xmpp_flush();
    }
    xmpp_flush();
    pump_until(seen, before + events, one, events > 2 * window ? events - 2 * window : 0, events);
}

static void one_watch(unsigned i)
{
    xmpp_say("<presence from='xmpp%u@example.com' to='sip%u@example.net' type='subscribe'/>", i, i);
}

static void one_serve(unsigned i)
{
    sip_subscribe(i);
}

// Never what was said before: while a NOTIFY that was lost is waited for, rounds go by, and what
// has become again what it was is not told.
static void one_presence(unsigned i)
{
    static const char *const shows[] = {"away", "dnd"};
    unsigned user = i % b.subscriptions, round = i / b.subscriptions;
    xmpp_say(
        "<presence from='juliet%u@example.com/bench' to='romeo%u@example.net'>"
        "<show>%s</show><status>at balcony %u</status></presence>",
        user, user, shows[round % 2], round);
}

// One that is lost must not make the next one look like the one before it.
static void one_notify(unsigned i)
{
    static const char *const shows[] = {"away", "dnd", "xa", "chat"};
    sip_notify(i % b.subscriptions, shows[i / b.subscriptions % 4]);
}

static void report(const char *what, unsigned n, uint64_t ns)
{
    printf("%-44s %8.2f us CPU\n", what, (double)ns / 1000 / n);
}

static void measure(const char *what, unsigned n, void (*one)(unsigned), unsigned *seen,
                    unsigned window)
{
    uint64_t before = gateway_cpu_ns();
    drive(n, one, seen, window);
    report(what, n, gateway_cpu_ns() - before);
    if (b.overtaken)
        printf("  of these %u were overtaken by newer ones\n", b.overtaken);
    b.overtaken = 0;
}

static uint64_t anon_before, file_before;

static void weight_begin(void)
{
    anon_before = gateway_resident("RssAnon:");
    file_before = gateway_resident("RssFile:");
}

// After a rest in which what is only kept for retransmissions goes.
static void weight_end(const char *direction)
{
    for (time_t end = time(NULL) + b.rest_s; time(NULL) < end;)
        pump();
    printf("%s: resident bytes per subscription %6.0f own, %5.0f mapped from the store\n",
           direction, (double)(gateway_resident("RssAnon:") - anon_before) / b.subscriptions,
           (double)(gateway_resident("RssFile:") - file_before) / b.subscriptions);
}

static void options(int argc, char **argv)
{
    static const struct option names[] = {{"gateway", 1, NULL, 'g'},
                                          {"subscriptions", 1, NULL, 's'},
                                          {"events", 1, NULL, 'e'},
                                          {"rest", 1, NULL, 'r'},
                                          {0}};
    b.gateway = "build/release/isthmus";
    b.subscriptions = 10000;
    b.events = 200000;
    b.rest_s = REST_S;
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (o == 'g')
            b.gateway = optarg;
        else if (o == 's')
            b.subscriptions = (unsigned)strtoul(optarg, NULL, 10);
        else if (o == 'e')
            b.events = (unsigned)strtoul(optarg, NULL, 10);
        else if (o == 'r')
            b.rest_s = (unsigned)strtoul(optarg, NULL, 10);
        else
            exit(1);
    if (!b.subscriptions)
        die("at least one subscription");
}

static void start(void)
{
    snprintf(b.dir, sizeof b.dir, "/tmp/isthmus-bench-XXXXXX");
    if (!mkdtemp(b.dir))
        die("no temporary folder");
    int listener = bound_socket(SOCK_STREAM, &b.xmpp_port);
    listen(listener, 8);
    b.sip = bound_socket(SOCK_DGRAM, &b.sip_port);
    b.gateway_port = free_port(SOCK_DGRAM);
    b.shard_port = free_port(SOCK_DGRAM);
    b.api_port = free_port(SOCK_STREAM);
    write_config();
    start_gateway();
    xmpp_accept(listener);
    sleep(1); // the stream has to be known to the core before it says anything
}

static void finish(void)
{
    char command[128];
    kill(b.pid, SIGTERM);
    waitpid(b.pid, NULL, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", b.dir);
    if (system(command) != 0)
        fprintf(stderr, "left behind: %s\n", b.dir);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    b.watch = calloc(b.subscriptions, sizeof *b.watch);
    b.seen = calloc(b.subscriptions, sizeof *b.seen);
    if (!b.watch || !b.seen)
        die("no memory");
    start();
    printf("%u subscriptions in each direction, %u events\n", b.subscriptions, b.events);
    weight_begin();
    measure("set-up XMPP to SIP, durable", b.subscriptions, one_watch, &b.subscribed, SETUP_WINDOW);
    weight_end("XMPP to SIP");
    weight_begin();
    measure("set-up SIP to XMPP, durable", b.subscriptions, one_serve, &b.notifies, SETUP_WINDOW);
    weight_end("SIP to XMPP");
    measure("presence -> NOTIFY -> 200", b.events, one_presence, &b.notifies, WINDOW);
    measure("NOTIFY -> 200, presence", b.events, one_notify, &b.presences, WINDOW);
    finish();
    return 0;
}
