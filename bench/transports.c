// What one SIP request and its answer cost the gateway over UDP, TCP and TLS, in one run.
//
// Starts the real daemon with one shard and sends it OPTIONS requests, a window of them at a time,
// by each transport in turn: batches of datagrams, one connection of TCP, one of TLS. Reported is
// the daemon's CPU time (user + system, all threads) for each request with its answer.
//
//   bench_transports --gateway build/release/isthmus [--requests 100000] [--window 64] [--rounds 3]
//                    [--figures FILE]
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/figures.h"
#include "bench/load/free_ports.h"
#include "bench/load/scratch.h"
#include "tests/certificates.h"

enum {
    WINDOW_MAX = 1024,
    PATIENCE_MS = 10000,
    MESSAGE_MAX = 1024,
    INPUT_MAX = 256 << 10,
};

struct bench {
    const char *gateway, *figures;
    unsigned requests, window, rounds;
    char dir[64];
    struct scratch scratch;
    pid_t pid;
    uint16_t udp_port, tcp_port, tls_port, shard_port, api_port;
    unsigned sent; // of all
};
static struct bench b = {
    .gateway = "build/release/isthmus", .requests = 100000, .window = 64, .rounds = 3};

static void end_gateway(void)
{
    if (b.pid > 0) {
        kill(b.pid, SIGTERM);
        waitpid(b.pid, NULL, 0);
    }
    scratch_remove(&b.scratch);
}

static void die(const char *why)
{
    fprintf(stderr, "bench: %s\n", why);
    end_gateway();
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void write_files(void)
{
    char path[96];
    snprintf(b.dir, sizeof b.dir, "/tmp/isthmus-bench-XXXXXX");
    if (scratch_create(&b.scratch, b.dir))
        die("no temporary folder");
    certificate_write(certificate_make(NULL, "IP:127.0.0.1", 1), b.dir, "own");
    snprintf(path, sizeof path, "%s/gateway.toml", b.dir);
    FILE *f = fopen(path, "w");
    if (!f)
        die("no configuration");
    fprintf(f,
            "[gateway]\nshards = 1\nstore = \"%s/store\"\n[xmpp]\nserver = \"127.0.0.1:9\"\n"
            "secret = \"bench\"\n[sip]\nlisten = [\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\", "
            "\"tls:127.0.0.1:%u\"]\nshard_port = %u\nproxy = \"sip:127.0.0.1:9\"\n"
            "[sip.tls]\ncertificate = \"%s/own.pem\"\nprivate_key = \"%s/own.key\"\n"
            "[trust]\nsip_domains = [\"example.net\"]\nxmpp_domains = [\"example.com\"]\n"
            "sip_sources = [\"127.0.0.0/8\"]\n[api]\nlisten = \"127.0.0.1:%u\"\n"
            "[log]\nlevel = \"error\"\n",
            b.dir, b.udp_port, b.tcp_port, b.tls_port, b.shard_port, b.dir, b.dir, b.api_port);
    fclose(f);
}

static void start_gateway(void)
{
    char config[96];
    b.udp_port = free_ports(1);
    b.shard_port = free_ports(1);
    b.tcp_port = free_ports(1);
    b.tls_port = free_ports(1);
    b.api_port = free_ports(1);
    write_files();
    snprintf(config, sizeof config, "%s/gateway.toml", b.dir);
    pid_t own = getpid();
    b.pid = fork();
    if (b.pid == 0) {
        scratch_die_with_parent(own);
        execl(b.gateway, b.gateway, "-c", config, (char *)NULL);
        _exit(127);
    }
}

static uint64_t cpu_ns(void)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(b.pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        die("the gateway is gone");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- The wires

struct wire {
    const char *name;
    uint16_t port;
    int type;
    bool tls;
    int fd;
    SSL *ssl;
    char in[INPUT_MAX + 1];
    size_t n;
};

static void wire_open(struct wire *w)
{
    struct sockaddr_in a = loopback(w->port);
    int on = 1;
    for (int waited = 0;; waited += 10) {
        w->fd = socket(AF_INET, w->type, 0);
        if (connect(w->fd, (struct sockaddr *)&a, sizeof a) == 0)
            break;
        close(w->fd);
        if (waited > PATIENCE_MS)
            die("the gateway does not listen");
        usleep(10000);
    }
    if (w->type == SOCK_STREAM)
        setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!w->tls)
        return;
    w->ssl = SSL_new(SSL_CTX_new(TLS_client_method())); // one for the process, kept to its end
    SSL_set_fd(w->ssl, w->fd);
    if (SSL_connect(w->ssl) != 1)
        die("no TLS");
}

static size_t request(char out[MESSAGE_MAX], const struct wire *w)
{
    unsigned i = b.sent++;
    return (size_t)snprintf(
        out, MESSAGE_MAX,
        "OPTIONS sip:juliet@example.com SIP/2.0\r\n"
        "Via: SIP/2.0/%s 127.0.0.1:5060;branch=z9hG4bKbench%u;rport\r\nMax-Forwards: 70\r\n"
        "From: <sip:romeo@example.net>;tag=bench%u\r\nTo: <sip:juliet@example.com>\r\n"
        "Call-ID: bench-%u@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nAccept: application/pidf+xml\r\n"
        "User-Agent: bench\r\nContact: <sip:romeo@127.0.0.1:5060>\r\nContent-Length: 0\r\n\r\n",
        w->name, i, i, i);
}

// As a peer under load says it: what is ready in one piece, but datagrams are pieces of their own.
static void say(struct wire *w, unsigned n)
{
    static char all[WINDOW_MAX * MESSAGE_MAX];
    struct mmsghdr head[WINDOW_MAX];
    struct iovec piece[WINDOW_MAX];
    size_t at = 0;
    for (unsigned i = 0; i < n; i++) {
        size_t bytes = request(all + at, w);
        piece[i] = (struct iovec){all + at, bytes};
        head[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &piece[i], .msg_iovlen = 1}};
        at += bytes;
    }
    bool good = w->ssl                   ? SSL_write(w->ssl, all, (int)at) == (int)at
                : w->type == SOCK_STREAM ? send(w->fd, all, at, 0) == (ssize_t)at
                                         : sendmmsg(w->fd, head, n, 0) == (int)n;
    if (!good)
        die("can't send");
}

// Returns how many answers came; an answer has no body.
static unsigned hear(struct wire *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    unsigned n = 0;
    if (!(w->ssl && SSL_pending(w->ssl)) && poll(&p, 1, PATIENCE_MS) != 1)
        die("no answer");
    ssize_t got = w->ssl ? SSL_read(w->ssl, w->in + w->n, (int)(INPUT_MAX - w->n))
                         : recv(w->fd, w->in + w->n, INPUT_MAX - w->n, 0);
    if (got <= 0)
        die("the connection is gone");
    w->n += (size_t)got;
    w->in[w->n] = '\0';
    char *from = w->in;
    for (char *end; (end = strstr(from, "\r\n\r\n")) != NULL; from = end + 4)
        n++;
    w->n -= (size_t)(from - w->in);
    memmove(w->in, from, w->n);
    return n;
}

// A window at a time, and by halves, so that neither side waits.
static double measure(struct wire *w)
{
    unsigned waiting = 0, left = b.requests;
    uint64_t before = cpu_ns();
    while (left || waiting) {
        unsigned n = waiting <= b.window / 2 ? b.window - waiting : 0;
        n = n < left ? n : left;
        if (n)
            say(w, n);
        left -= n;
        waiting += n;
        waiting -= hear(w);
    }
    return (double)(cpu_ns() - before) / 1000 / b.requests;
}

_Noreturn static void usage(FILE *to)
{
    fputs(
        "usage: bench_transports [--gateway FILE] [--requests N] [--window N] [--rounds N]\n"
        "                        [--figures FILE]\n",
        to);
    exit(to == stdout ? 0 : 2);
}

static void parse_args(int argc, char **argv)
{
    static const struct option options[] = {{"gateway", required_argument, NULL, 'g'},
                                            {"requests", required_argument, NULL, 'n'},
                                            {"window", required_argument, NULL, 'w'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"figures", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'g': b.gateway = optarg; break;
        case 'n': b.requests = (unsigned)atoi(optarg); break;
        case 'w': b.window = (unsigned)atoi(optarg); break;
        case 'r': b.rounds = (unsigned)atoi(optarg); break;
        case 'f': b.figures = optarg; break;
        case 'h': usage(stdout);
        default: usage(stderr);
        }
    }
}

static void say_figures(const double sum_us[3])
{
    static const char *const names[] = {"cpu-udp", "cpu-tcp", "cpu-tls"};
    struct figures *f;
    if (figures_open(&f, "transports", b.figures))
        die("the file of figures can't be written");
    for (int i = 0; i < 3; i++)
        figures_say(f, &(struct figure){
                           .what = names[i], .unit = "us/request", .value = sum_us[i] / b.rounds});
    figures_close(f);
}

int main(int argc, char **argv)
{
    parse_args(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (!b.requests || !b.rounds || !b.window || b.window > WINDOW_MAX)
        die("--requests, --rounds and --window are above 0, and --window is 1024 at most");
    start_gateway();
    static struct wire wires[3] = {{.name = "UDP", .type = SOCK_DGRAM},
                                   {.name = "TCP", .type = SOCK_STREAM},
                                   {.name = "TLS", .type = SOCK_STREAM, .tls = true}};
    wires[0].port = b.udp_port;
    wires[1].port = b.tcp_port;
    wires[2].port = b.tls_port;
    for (int i = 2; i >= 0; i--) // a connection waits for the gateway to be there, a datagram can't
        wire_open(&wires[i]);
    printf("CPU of the gateway for a request and its answer, %u at a time, in us\n", b.window);
    double sum_us[3] = {0};
    for (unsigned round = 0; round < b.rounds; round++) {
        for (int i = 0; i < 3; i++) {
            double us = measure(&wires[i]);
            sum_us[i] += us;
            printf("%s %.2f  ", wires[i].name, us);
        }
        printf("\n");
    }
    end_gateway();
    say_figures(sum_us);
    return 0;
}
