// DNS servers on loopback: Knot DNS with a zone of the test's, and one that misbehaves.
#include "dns_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DNS_HEAD = 12, PATIENCE_MS = 20000 };

// Bound to the port, or to a free one.
static int open_socket_at(int type, const char *ip, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t n = sizeof a;
    inet_pton(AF_INET, ip, &a.sin_addr);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int open_socket(int type, uint16_t *port)
{
    return open_socket_at(type, "127.0.0.1", port);
}

// --- Knot

struct knot {
    char dir[64];
    uint16_t port;
    pid_t pid;
};

// One that is free for UDP and TCP alike.
uint16_t knot_free_port(void)
{
    for (;;) {
        uint16_t port = 0;
        int udp = open_socket(SOCK_DGRAM, &port), tcp = open_socket(SOCK_STREAM, &port);
        close(udp);
        if (tcp >= 0) {
            close(tcp);
            return port;
        }
    }
}

static FILE *create_file(const struct knot *k, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", k->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    return f;
}

static void knot_write(const struct knot *k, const char *zone)
{
    FILE *f = create_file(k, "knot.conf");
    fprintf(f,
            "server:\n  rundir: %s\n  listen: 127.0.0.1@%u\n  background-workers: 1\n"
            "  udp-workers: 1\n  tcp-workers: 1\nlog:\n  - target: stderr\n    any: error\n"
            "database:\n  storage: %s\nzone:\n  - domain: example.net\n    file: %s/zone\n",
            k->dir, k->port, k->dir, k->dir);
    fclose(f);
    f = create_file(k, "zone");
    fprintf(f,
            "$ORIGIN example.net.\n$TTL 120\n@ SOA ns hostmaster 1 3600 600 86400 30\n@ NS ns\n"
            "ns A 127.0.0.1\n%s",
            zone);
    fclose(f);
}

static void knot_run(const struct knot *k)
{
    char conf[128];
    snprintf(conf, sizeof conf, "%s/knot.conf", k->dir);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("knotd", "knotd", "-c", conf, NULL);
    execl("/usr/sbin/knotd", "knotd", "-c", conf, NULL);
    fprintf(stderr, "knotd: %s\n", strerror(errno));
    _exit(127);
}

// Asks for the zone's SOA. Whether there was an answer without an error.
static int knot_answers(const struct knot *k)
{
    static const char question[] = "\x12\x34\0\0\0\1\0\0\0\0\0\0\7example\3net\0\0\6\0\1";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(k->port)};
    uint16_t any = 0;
    uint8_t answer[512];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = open_socket(SOCK_DGRAM, &any);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    sendto(fd, question, sizeof question - 1, 0, (struct sockaddr *)&to, sizeof to);
    int good = poll(&p, 1, 100) == 1 && recv(fd, answer, sizeof answer, 0) > DNS_HEAD &&
               (answer[3] & 15) == 0 && answer[7] > 0;
    close(fd);
    return good;
}

struct knot *knot_start_at(uint16_t port, const char *zone)
{
    struct knot *k = calloc(1, sizeof *k);
    snprintf(k->dir, sizeof k->dir, "/tmp/isthmus-knot-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    k->port = port;
    knot_write(k, zone);
    k->pid = fork();
    if (k->pid == 0)
        knot_run(k);
    for (int ms = 0; !knot_answers(k); ms += 50) {
        if (ms > PATIENCE_MS || waitpid(k->pid, NULL, WNOHANG) == k->pid)
            fail_msg("knotd does not come up");
        usleep(50000);
    }
    return k;
}

struct knot *knot_start(const char *zone)
{
    return knot_start_at(knot_free_port(), zone);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

void knot_stop(struct knot *k)
{
    kill(k->pid, SIGKILL);
    waitpid(k->pid, NULL, 0);
    nftw(k->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(k);
}

uint16_t knot_port(const struct knot *k)
{
    return k->port;
}

// --- the odd one

struct odd_server {
    enum odd_mood mood;
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic unsigned questions;
    _Atomic int stopping;
};

static size_t add(uint8_t *p, size_t n, const char *bytes, size_t size)
{
    memcpy(p + n, bytes, size);
    return n + size;
}

// The question becomes its own answer. 0: there is none. (What EDNS put behind the question is left
// in the bytes and taken out of the count.)
static size_t odd_answer(enum odd_mood mood, uint8_t *p, size_t n)
{
    static const char record[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1";
    static const char alias[] = "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c";
    size_t question = DNS_HEAD;
    while (question < n && p[question])
        question += 1u + p[question];
    n = question + 5; // the root, type and class
    p[2] = 0x84;
    p[3] = mood == ODD_SERVFAIL ? 2 : mood == ODD_REFUSED ? 5 : 0;
    p[7] = mood >= ODD_WRONG_ID;
    p[11] = 0;
    if (mood == ODD_NOISE)
        return add(p, 0, "this is not the server that you are looking for", 47);
    if (mood == ODD_WRONG_ID)
        p[1] ^= 1;
    if (mood == ODD_WRONG_QUESTION)
        p[DNS_HEAD + 1] ^= 1;
    if (mood == ODD_CUT)
        return add(p, n, record, sizeof record - 3);
    if (mood == ODD_LOOP)
        return add(p, n, alias, sizeof alias - 1);
    return mood >= ODD_WRONG_ID ? add(p, n, record, sizeof record - 1) : n;
}

static void *odd_main(void *arg)
{
    struct odd_server *s = arg;
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    while (!s->stopping) {
        struct sockaddr_in from;
        socklen_t from_n = sizeof from;
        uint8_t bytes[2048];
        if (poll(&p, 1, 20) != 1)
            continue;
        ssize_t n = recvfrom(s->fd, bytes, 1024, 0, (struct sockaddr *)&from, &from_n);
        if (n <= DNS_HEAD)
            continue;
        s->questions++;
        if (s->mood == ODD_SILENT)
            continue;
        size_t size = s->mood == ODD_EMPTY ? 0 : odd_answer(s->mood, bytes, (size_t)n);
        sendto(s->fd, bytes, size, 0, (struct sockaddr *)&from, from_n);
    }
    return NULL;
}

struct odd_server *odd_start_at(enum odd_mood mood, const char *ip, uint16_t port)
{
    struct odd_server *s = calloc(1, sizeof *s);
    s->mood = mood;
    s->port = port;
    s->fd = open_socket_at(SOCK_DGRAM, ip, &s->port);
    assert_true(s->fd >= 0);
    assert_int_equal(pthread_create(&s->thread, NULL, odd_main, s), 0);
    return s;
}

struct odd_server *odd_start(enum odd_mood mood)
{
    return odd_start_at(mood, "127.0.0.1", 0);
}

void odd_stop(struct odd_server *s)
{
    s->stopping = 1;
    pthread_join(s->thread, NULL);
    close(s->fd);
    free(s);
}

uint16_t odd_port(const struct odd_server *s)
{
    return s->port;
}

unsigned odd_questions(struct odd_server *s)
{
    return s->questions;
}
