// Sockets and floods, for all attacks.
#include "attacker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void attacker_sleep_ms(const struct field *f, unsigned ms)
{
    for (uint64_t end_us = load_now_us() + ms * 1000ull; !f->stop && load_now_us() < end_us;)
        poll(NULL, 0, ms < 5 ? (int)ms : 5);
}

unsigned attacker_scaled(const struct field *f, unsigned n)
{
    unsigned scaled = (unsigned)((uint64_t)n * f->scale / 100);
    return scaled ? scaled : 1;
}

unsigned attacker_scaled_rate(const struct field *f, unsigned per_s)
{
    return f->scale < 100 ? per_s / 4 : per_s;
}

// The first complaint is kept.
void attacker_complain(struct field *f, const char *format, ...)
{
    char *text = NULL, *none = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    if (!atomic_compare_exchange_strong(&f->complaint, &none, text))
        free(text);
}

unsigned attacker_due(struct pace *p, unsigned per_s, unsigned most)
{
    uint64_t now_us = load_now_us();
    if (!p->begun_us)
        p->begun_us = now_us;
    uint64_t by_now = (now_us - p->begun_us) * per_s / 1000000u + 1;
    uint64_t due = by_now > p->n ? by_now - p->n : 0;
    if (due > most) {
        p->n = by_now - most; // what could not be done in its time is not made up for
        due = most;
    }
    if (!due)
        poll(NULL, 0, 1);
    p->n += due;
    return (unsigned)due;
}

// ---- Sockets -----------------------------------------------------------------------------------

static struct sockaddr_in address(const char *ip, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
        abort();
    return a;
}

int attacker_udp(const char *ip, uint16_t *port, int bytes)
{
    struct sockaddr_in a = address(ip, 0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) ||
        getsockname(fd, (struct sockaddr *)&a, &n))
        abort();
    *port = ntohs(a.sin_port);
    return fd;
}

void attacker_send(const struct field *f, int fd, uint16_t port, const char *bytes, size_t n)
{
    struct sockaddr_in to = address("127.0.0.1", port);
    (void)f;
    if (sendto(fd, bytes, n, 0, (struct sockaddr *)&to, sizeof to) < 0)
        poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1);
}

static int tcp_socket(const char *ip, int bytes, int flags)
{
    struct sockaddr_in a = address(ip, 0);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -1;
    if (bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

int attacker_listen(const char *ip, uint16_t *port)
{
    struct sockaddr_in a = address(ip, 0);
    socklen_t n = sizeof a;
    int tiny = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) ||
        getsockname(fd, (struct sockaddr *)&a, &n) || listen(fd, 16))
        abort();
    *port = ntohs(a.sin_port);
    return fd;
}

int attacker_connect(const char *ip, uint16_t port, int bytes)
{
    struct sockaddr_in to = address("127.0.0.1", port);
    int fd = tcp_socket(ip, bytes, SOCK_NONBLOCK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

int attacker_connect_wait(const char *ip, uint16_t port, int bytes)
{
    struct sockaddr_in to = address("127.0.0.1", port);
    struct timeval patience = {.tv_sec = 1};
    int fd = tcp_socket(ip, bytes, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return -1;
    }
    return fd;
}

bool attacker_say(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool attacker_is_closed(int fd)
{
    char waste[65536];
    ssize_t n;
    while ((n = recv(fd, waste, sizeof waste, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void attacker_drain(int fd)
{
    (void)attacker_is_closed(fd);
}

// ---- Floods ------------------------------------------------------------------------------------

// What comes back is thrown away by the kernel: nothing is read, and the buffer is small.
void attacker_flood(struct field *f, const char *ip, uint16_t port, unsigned per_s,
                    attacker_write write)
{
    struct sockaddr_in to = address("127.0.0.1", port);
    uint16_t own_port;
    int fd = attacker_udp(ip, &own_port, 2048);
    char *bytes = malloc((size_t)ATTACKER_BATCH * (ATTACKER_DATAGRAM + 1));
    struct pace pace = {0};
    per_s = attacker_scaled_rate(f, per_s);
    while (!f->stop) {
        struct mmsghdr head[ATTACKER_BATCH] = {0};
        struct iovec piece[ATTACKER_BATCH];
        unsigned n = attacker_due(&pace, per_s, ATTACKER_BATCH);
        for (unsigned i = 0; i < n; i++) {
            char *p = bytes + (size_t)i * (ATTACKER_DATAGRAM + 1);
            piece[i] = (struct iovec){p, write(f, f->said + i, own_port, p, ATTACKER_DATAGRAM + 1)};
            head[i].msg_hdr = (struct msghdr){
                .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece[i], .msg_iovlen = 1};
        }
        for (unsigned at = 0; at < n && !f->stop;) {
            int sent = sendmmsg(fd, head + at, n - at, 0);
            at += sent > 0 ? (unsigned)sent : 0;
            if (sent <= 0)
                poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1);
        }
        f->said += n;
        f->begun = true;
    }
    free(bytes);
    close(fd);
}

// ---- SIP ---------------------------------------------------------------------------------------

size_t attacker_write_request(char *out, size_t size, const struct attacker_request *r)
{
    const char *transport = r->transport ? r->transport : "UDP";
    int n = snprintf(
        out, size,
        "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s:%u;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\n"
        "From: <%s>;tag=%s\r\nTo: <%s>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n"
        "Contact: <sip:peer@%s:%u>\r\n%sContent-Length: %zu\r\n\r\n%s",
        r->method, r->ruri, transport, r->ip, r->port, r->branch, r->from, r->from_tag,
        r->to ? r->to : r->ruri, r->to_tag ? ";tag=" : "", r->to_tag ? r->to_tag : "", r->call_id,
        r->cseq, r->method, r->ip, r->port, r->more ? r->more : "", r->body ? strlen(r->body) : 0,
        r->body ? r->body : "");
    return n < (int)size ? (size_t)n : size - 1;
}

size_t attacker_write_ok(char *out, size_t size, const char *request, const char *tag,
                         const char *more)
{
    char via[512], from[512], to[512], call_id[256], cseq[64];
    if (!load_sip_header(request, "Via", via, sizeof via) ||
        !load_sip_header(request, "From", from, sizeof from) ||
        !load_sip_header(request, "To", to, sizeof to) ||
        !load_sip_header(request, "Call-ID", call_id, sizeof call_id) ||
        !load_sip_header(request, "CSeq", cseq, sizeof cseq))
        return 0;
    bool tagged = strstr(to, ";tag=") != NULL;
    return (size_t)snprintf(out, size,
                            "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s%s\r\n"
                            "Call-ID: %s\r\nCSeq: %s\r\n%sContent-Length: 0\r\n\r\n",
                            via, from, to, tagged ? "" : ";tag=", tagged ? "" : tag, call_id, cseq,
                            more);
}
