// The process under load: its ports, its configuration, its life, and what is seen from outside.
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/free_ports.h"
#include "bench/load/load_inner.h"

enum {
    DAEMON_SHARD_PORTS = 8, // free in a row, so that the shard count may change between lives
    DAEMON_STEP_US = 10000,
};

pid_t load_pid(const struct load *l)
{
    return l->pid;
}

const char *load_dir(const struct load *l)
{
    return l->dir;
}

uint16_t load_sip_port(const struct load *l)
{
    return l->sip_port;
}

uint16_t load_shard_port(const struct load *l)
{
    return l->shard_port;
}

uint16_t load_api_port(const struct load *l)
{
    return l->api_port;
}

int load_daemon_ports(struct load *l)
{
    l->sip_port = free_ports(1);
    l->shard_port = free_ports(DAEMON_SHARD_PORTS);
    l->api_port = free_ports(1);
    return l->sip_port && l->shard_port && l->api_port ? 0 : EADDRINUSE;
}

int load_daemon_configure(struct load *l)
{
    char path[300];
    snprintf(path, sizeof path, "%s/gateway.toml", l->dir);
    FILE *f = fopen(path, "w");
    if (!f)
        return errno;
    fprintf(f,
            "[gateway]\nshards = %u\nstore = \"%s/store\"\n"
            "[xmpp]\nserver = \"127.0.0.1:%u\"\nsecret = \"load\"\n"
            "[sip]\nlisten = [\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\"]\nshard_port = %u\n"
            "advertise = \"127.0.0.1\"\nproxy = \"sip:%s:%u;transport=udp\"\n%s\n"
            "[trust]\nsip_domains = [\"example.net\"]\nxmpp_domains = [\"example.com\"]\n"
            "sip_sources = [\"127.0.0.0/24\"]\n[api]\nlisten = \"127.0.0.1:%u\"\n"
            "[log]\nlevel = \"warn\"\n%s\n",
            l->setup.shards, l->dir, l->xmpp_port, l->sip_port, l->sip_port, l->shard_port,
            l->setup.address, l->proxy_port, l->setup.sip ? l->setup.sip : "", l->api_port,
            l->setup.toml ? l->setup.toml : "");
    return fclose(f) ? errno : 0;
}

int load_set_shards(struct load *l, unsigned shards)
{
    l->setup.shards = shards;
    return load_daemon_configure(l);
}

unsigned load_shards(const struct load *l)
{
    return l->setup.subject ? 0 : l->setup.shards;
}

// ---- Its life

static void daemon_exec(const struct load *l, pid_t parent)
{
    char config[300], log[300];
    scratch_die_with_parent(parent);
    snprintf(config, sizeof config, "%s/gateway.toml", l->dir);
    snprintf(log, sizeof log, "%s/log", l->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
    execl(l->setup.binary, l->setup.binary, "-c", config, (char *)NULL);
    _exit(127);
}

bool load_alive(struct load *l, int *status)
{
    int ended;
    if (!l->pid)
        return false;
    if (waitpid(l->pid, &ended, WNOHANG) != l->pid)
        return true;
    l->status = ended;
    l->pid = 0;
    if (status)
        *status = ended;
    return false;
}

static int daemon_begin(struct load *l)
{
    const struct load_places at = {l->xmpp_port, l->proxy_port, l->sip_port};
    const struct load_subject *subject = l->setup.subject;
    pid_t own = getpid(), pid = subject ? subject->start(subject->self, &at) : fork();
    if (pid == 0 && !subject)
        daemon_exec(l, own);
    l->pid = pid > 0 ? pid : 0;
    return pid > 0 ? 0 : errno;
}

// Another than Isthmus may have no answer to it.
static void daemon_ask_ready(struct load *l)
{
    if (l->setup.subject)
        l->ready = true;
    else if (!l->asked_ready)
        load_xmpp_ask_ready(l);
}

int load_start(struct load *l, unsigned timeout_ms)
{
    uint64_t end_us = load_now_us() + timeout_ms * 1000ull;
    l->ready = false;
    load_xmpp_drop(l); // the stream of its former life
    int err = daemon_begin(l);
    if (err)
        return err;
    while (!l->ready) {
        if (!load_alive(l, NULL))
            return ECHILD;
        if (load_now_us() > end_us)
            return ETIMEDOUT;
        if (l->stream.step == LOAD_STREAM_UP)
            daemon_ask_ready(l);
        load_play(l, DAEMON_STEP_US);
    }
    return 0;
}

void load_kill(struct load *l)
{
    const struct load_subject *subject = l->setup.subject;
    if (!l->pid)
        return;
    if (subject) {
        subject->stop(subject->self);
    } else {
        kill(l->pid, SIGKILL);
        waitpid(l->pid, &l->status, 0);
    }
    l->pid = 0;
}

int load_stop(struct load *l, unsigned timeout_ms)
{
    uint64_t end_us = load_now_us() + timeout_ms * 1000ull;
    int status = l->status;
    if (l->pid)
        kill(l->pid, SIGTERM);
    while (load_alive(l, &status)) {
        if (load_now_us() > end_us) {
            load_kill(l);
            return -1;
        }
        load_play(l, DAEMON_STEP_US);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// ---- What is seen of it

uint64_t load_cpu_ns(const struct load *l)
{
    clockid_t clock;
    struct timespec t;
    if (l->pid && l->setup.subject)
        return l->setup.subject->cpu_ns(l->setup.subject->self);
    if (!l->pid || clock_getcpuclockid(l->pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t resident_bytes(const struct load *l, const char *kind)
{
    char path[64], line[128];
    uint64_t kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)l->pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, kind, strlen(kind)) == 0)
            kb = strtoull(line + strlen(kind), NULL, 10);
    if (f)
        fclose(f);
    return kb * 1024;
}

uint64_t load_memory_bytes(const struct load *l)
{
    const struct load_subject *subject = l->setup.subject;
    return subject ? subject->memory_bytes(subject->self) : resident_bytes(l, "RssAnon:");
}

uint64_t load_mapped_bytes(const struct load *l)
{
    return resident_bytes(l, "RssFile:");
}

unsigned load_descriptors(const struct load *l)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)l->pid);
    DIR *d = opendir(path);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 2 ? n - 2 : 0; // . and ..
}

// ---- REST

static int rest_connect(const struct load *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(l->api_port)};
    struct timeval patience = {.tv_sec = 20};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

static char *rest_read_all(int fd)
{
    size_t n = 0, cap = 65536;
    char *p = malloc(cap);
    for (ssize_t got; p && (got = recv(fd, p + n, cap - n - 1, 0)) > 0;) {
        n += (size_t)got;
        if (cap - n > 1)
            continue;
        char *more = realloc(p, cap *= 2);
        if (!more)
            break;
        p = more;
    }
    if (p)
        p[n] = 0;
    return p;
}

// The size of a chunk in hexadecimal, its bytes, and so on until one of size 0 (RFC 9112 §7.1).
static void rest_join_chunks(char *body)
{
    char *to = body, *at = body, *data;
    for (size_t n; (n = strtoul(at, &data, 16)) > 0 && (data = strchr(data, '\n')); at += n + 2) {
        at = data + 1;
        n = strnlen(at, n);
        memmove(to, at, n);
        to += n;
    }
    *to = 0;
}

static int rest_answer(char *all, char **body)
{
    int status = -1;
    char *head_end = all ? strstr(all, "\r\n\r\n") : NULL;
    if (head_end && sscanf(all, "HTTP/1.%*d %d", &status) == 1 && body) {
        *head_end = 0;
        bool chunked = strcasestr(all, "transfer-encoding: chunked") != NULL;
        memmove(all, head_end + 4, strlen(head_end + 4) + 1);
        if (chunked)
            rest_join_chunks(all);
        *body = all;
        return status;
    }
    free(all);
    return status;
}

int load_rest(const struct load *l, const char *method, const char *path, char **body)
{
    char request[1024];
    int fd = rest_connect(l);
    if (body)
        *body = NULL;
    if (fd < 0)
        return -1;
    int n =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", method, path);
    bool sent = send(fd, request, (size_t)n, MSG_NOSIGNAL) == n;
    char *all = sent ? rest_read_all(fd) : NULL;
    close(fd);
    return rest_answer(all, body);
}

bool load_store_fails(const struct load *l, char why[256])
{
    static const char part[] = "\"part\":\"store\"", key[] = "\"why\":\"";
    char *body = NULL;
    bool fails = load_rest(l, "GET", "/readyz", &body) == 503 && strstr(body, part);
    const char *text = fails ? strstr(strstr(body, part), key) : NULL;
    if (why)
        snprintf(why, 256, "%.*s", text ? (int)strcspn(text + sizeof key - 1, "\"") : 0,
                 text ? text + sizeof key - 1 : "");
    free(body);
    return fails;
}
