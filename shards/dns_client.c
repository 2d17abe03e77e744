// Asks DNS servers, and the hosts file; the only door to c-ares.
#include "shards/dns_client.h"

#include <arpa/inet.h>
#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "shards/log.h"

enum { EVENTS_MAX = 32, CLASS_IN = 1, SERVERS_MAX = 16 };

// What tells a file from its successor.
struct file_mark {
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct query {
    struct dns_client *client;
    struct query *next; // of those to be asked again
    dns_client_cb cb;
    void *arg;
    enum dns_type type;
    char name[DNS_NAME_MAX + 1];
};

struct dns_client {
    ares_channel channel;
    int epoll;
    unsigned try_ms;
    size_t n_servers;
    struct ares_addr_port_node server[SERVERS_MAX];
    const char *resolv_conf;
    uint16_t resolv_port;
    struct file_mark mark;
    uint64_t looked_ms;
    bool renewing; // the channel is on its way out, and what it was asked goes to its successor
    struct query *again;
    uint64_t queries;
};

// --- sockets

static void watch_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns_client *c = arg;
    struct epoll_event ev = {.data.fd = fd,
                             .events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u)};
    if (!ev.events)
        epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, fd, &ev) && errno == ENOENT &&
             epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev))
        log_error("epoll_failed", "part", "resolver", "why", strerror(errno), NULL);
}

// --- making

static int errno_of(int status)
{
    return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? ENOMEM : EINVAL;
}

static int channel_open(struct dns_client *c, ares_channel *out)
{
    struct ares_options options = {.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH,
                                   .timeout = (int)c->try_ms,
                                   .tries = DNS_CLIENT_TRIES,
                                   .ednspsz = DNS_CLIENT_UDP_BYTES,
                                   .udp_port = c->resolv_port,
                                   .tcp_port = c->resolv_port,
                                   .resolvconf_path = (char *)c->resolv_conf,
                                   .sock_state_cb = watch_socket,
                                   .sock_state_cb_data = c};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
               ARES_OPT_SOCK_STATE_CB | (c->resolv_conf ? ARES_OPT_RESOLVCONF : 0) |
               (c->resolv_port ? ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT : 0);
    int status = ares_init_options(out, &options, mask);
    if (status == ARES_SUCCESS && c->n_servers) {
        status = ares_set_servers_ports(*out, c->server);
        if (status != ARES_SUCCESS)
            ares_destroy(*out);
    }
    return errno_of(status);
}

static void keep_servers(struct dns_client *c, const struct dns_client_setup *setup)
{
    assert(setup->n_servers <= SERVERS_MAX);
    c->n_servers = setup->n_servers;
    for (size_t i = 0; i < c->n_servers; i++) {
        struct ares_addr_port_node *n = &c->server[i];
        const struct hop *h = &setup->servers[i];
        n->next = i + 1 < c->n_servers ? n + 1 : NULL;
        n->family = h->family == 4 ? AF_INET : AF_INET6;
        memcpy(&n->addr, h->ip, h->family == 4 ? 4 : 16);
        n->udp_port = n->tcp_port = h->port;
    }
}

static struct file_mark mark_of(const struct dns_client *c)
{
    struct stat st;
    if (stat(c->resolv_conf ? c->resolv_conf : "/etc/resolv.conf", &st))
        return (struct file_mark){0};
    return (struct file_mark){st.st_ino, st.st_size, st.st_mtim};
}

static bool mark_eq(const struct file_mark *a, const struct file_mark *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

int dns_client_create(struct dns_client **out, const struct dns_client_setup *setup)
{
    struct dns_client *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return ENOMEM;
    c->try_ms = setup->try_ms ? setup->try_ms : DNS_CLIENT_TRY_MS;
    c->resolv_conf = setup->resolv_conf;
    c->resolv_port = setup->resolv_port;
    keep_servers(c, setup);
    c->mark = mark_of(c);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    int error = c->epoll < 0 ? errno : errno_of(ares_library_init(ARES_LIB_INIT_ALL));
    if (!error)
        error = channel_open(c, &c->channel);
    if (error) {
        if (c->epoll >= 0)
            close(c->epoll);
        free(c);
        return error;
    }
    *out = c;
    return 0;
}

void dns_client_destroy(struct dns_client *c)
{
    if (!c)
        return;
    ares_destroy(c->channel);
    close(c->epoll);
    ares_library_cleanup(); // counted: as often as it was initialized
    free(c);
}

// --- what needs no server

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool is_localhost(const char *name)
{
    return strcmp(name, "localhost") == 0 || ends_with(name, ".localhost");
}

static void answer_localhost(struct dns_answer *a, enum dns_type type)
{
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    dns_answer_none(a);
    if (type != DNS_A && type != DNS_AAAA)
        return;
    a->outcome = DNS_FOUND;
    a->n = 1;
    memcpy(a->record[0].ip, type == DNS_A ? v4 : v6, type == DNS_A ? 4 : 16);
}

// True: the hosts file has addresses of that family for the name.
static bool hosts_family(struct dns_client *c, const char *name, int family, struct dns_answer *a)
{
    struct hostent *host = NULL;
    if (ares_gethostbyname_file(c->channel, name, family, &host) != ARES_SUCCESS)
        return false;
    for (a->n = 0; host->h_addr_list[a->n] && a->n < DNS_RECORDS_MAX; a->n++)
        memcpy(a->record[a->n].ip, host->h_addr_list[a->n], (size_t)host->h_length);
    ares_free_hostent(host);
    return a->n > 0;
}

// A name that the file has is not looked up, even if it is of the other family there.
static bool hosts_answer(struct dns_client *c, const char *name, enum dns_type type,
                         struct dns_answer *a)
{
    int family = type == DNS_AAAA ? AF_INET6 : AF_INET;
    bool found = hosts_family(c, name, family, a);
    bool other = !found && hosts_family(c, name, family == AF_INET ? AF_INET6 : AF_INET, a);
    if (found || other) {
        a->n = found ? a->n : 0;
        a->outcome = found ? DNS_FOUND : DNS_NONE;
        a->ttl_s = DNS_CLIENT_HOSTS_TTL_S;
    }
    return found || other;
}

// "_sip._udp.example.net" is of example.net.
static const char *without_service(const char *name)
{
    while (*name == '_' && strchr(name, '.'))
        name = strchr(name, '.') + 1;
    return name;
}

// In a network without DNS, a name in the hosts file has no services rather than unknown ones.
static void look_again_at_failure(struct dns_client *c, const struct query *q, struct dns_answer *a)
{
    struct dns_answer hosts;
    if (a->outcome == DNS_FAILED && (q->type == DNS_NAPTR || q->type == DNS_SRV) &&
        hosts_answer(c, without_service(q->name), DNS_A, &hosts))
        dns_answer_none(a);
}

// --- what does

static void end_query(void *arg, int status, int timeouts, unsigned char *bytes, int n)
{
    struct query *q = arg;
    struct dns_client *c = q->client;
    struct dns_answer a;
    (void)timeouts;
    if (status == ARES_EDESTRUCTION && c->renewing) {
        q->next = c->again;
        c->again = q;
        return;
    }
    bool answered = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    if (answered && bytes && n > 0)
        dns_answer_parse(&a, (struct text){(const char *)bytes, (size_t)n}, q->name, q->type);
    else if (status == ARES_EBADNAME || status == ARES_EBADQUERY)
        dns_answer_none(&a); // a name that can't be asked for has no records
    else
        dns_answer_fail(&a);
    if (status != ARES_EDESTRUCTION)
        look_again_at_failure(c, q, &a);
    if (a.outcome == DNS_FAILED)
        log_debug("dns_failed", "name", q->name, "why",
                  answered ? "malformed answer" : ares_strerror(status), NULL);
    q->cb(q->arg, &a);
    free(q);
}

static void send_query(struct dns_client *c, struct query *q)
{
    c->queries++;
    ares_query(c->channel, q->name, CLASS_IN, (int)q->type, end_query, q);
}

static void renew_channel(struct dns_client *c)
{
    ares_channel fresh;
    int error = channel_open(c, &fresh);
    if (error) { // the old servers are better than none
        log_warn("dns_servers_kept", "why", strerror(error), NULL);
        return;
    }
    c->renewing = true;
    ares_destroy(c->channel);
    c->renewing = false;
    c->channel = fresh;
    log_info("dns_servers_read", NULL);
    while (c->again) {
        struct query *q = c->again;
        c->again = q->next;
        send_query(c, q);
    }
}

static void look_at_servers(struct dns_client *c, uint64_t now_ms)
{
    if (c->n_servers || now_ms - c->looked_ms < DNS_CLIENT_LOOK_MS)
        return;
    struct file_mark mark = mark_of(c);
    c->looked_ms = now_ms;
    if (mark_eq(&mark, &c->mark))
        return;
    c->mark = mark;
    renew_channel(c);
}

static bool answer_here(struct dns_client *c, const char *name, enum dns_type type,
                        struct dns_answer *a)
{
    if (is_localhost(name)) {
        answer_localhost(a, type);
        return true;
    }
    return (type == DNS_A || type == DNS_AAAA) && hosts_answer(c, name, type, a);
}

void dns_client_ask(struct dns_client *c, const char *name, enum dns_type type, dns_client_cb cb,
                    void *arg, uint64_t now_ms)
{
    struct dns_answer a;
    look_at_servers(c, now_ms);
    if (answer_here(c, name, type, &a)) {
        cb(arg, &a);
        return;
    }
    struct query *q = malloc(sizeof *q);
    if (!q) {
        dns_answer_fail(&a);
        cb(arg, &a);
        return;
    }
    *q = (struct query){.client = c, .cb = cb, .arg = arg, .type = type};
    snprintf(q->name, sizeof q->name, "%s", name);
    send_query(c, q);
}

int dns_client_fd(const struct dns_client *c)
{
    return c->epoll;
}

void dns_client_run(struct dns_client *c)
{
    struct epoll_event ev[EVENTS_MAX];
    int n = epoll_wait(c->epoll, ev, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        bool in = ev[i].events & ~(uint32_t)EPOLLOUT, out = ev[i].events & EPOLLOUT;
        ares_process_fd(c->channel, in ? ev[i].data.fd : ARES_SOCKET_BAD,
                        out ? ev[i].data.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(c->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // what is overdue
}

int dns_client_timeout_ms(struct dns_client *c, int most_ms)
{
    struct timeval most = {most_ms / 1000, most_ms % 1000 * 1000}, tv;
    const struct timeval *t = ares_timeout(c->channel, &most, &tv);
    return (int)(t->tv_sec * 1000 + (t->tv_usec + 999) / 1000);
}

uint64_t dns_client_queries(const struct dns_client *c)
{
    return c->queries;
}
