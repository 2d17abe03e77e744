// A SIP user agent over loopback TCP or TLS for tests.
#include "stream_peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void must(bool good)
{
    if (!good)
        abort();
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static SSL_CTX *make_tls(const char *certificate, const char *ca)
{
    char path[512];
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_load_verify_locations(ctx, ca, NULL);
    snprintf(path, sizeof path, "%s.pem", certificate);
    if (!*certificate)
        return ctx;
    must(SSL_CTX_use_certificate_file(ctx, path, SSL_FILETYPE_PEM) == 1);
    snprintf(path, sizeof path, "%s.key", certificate);
    must(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1);
    return ctx;
}

void stream_peer_refuse(struct stream_peer *p)
{
    close(p->fd);
    p->fd = -1;
}

bool stream_peer_listen(struct stream_peer *p)
{
    struct sockaddr_in a = loopback(p->port);
    socklen_t n = sizeof a;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(p->fd >= 0);
    if (bind(p->fd, (struct sockaddr *)&a, n) || listen(p->fd, 16) ||
        getsockname(p->fd, (struct sockaddr *)&a, &n)) {
        stream_peer_refuse(p);
        return false;
    }
    p->port = ntohs(a.sin_port);
    return true;
}

struct stream_peer *stream_peer_open(const char *certificate, const char *ca)
{
    struct stream_peer *p = calloc(1, sizeof *p);
    signal(SIGPIPE, SIG_IGN);
    p->tls = certificate ? make_tls(certificate, ca) : NULL;
    must(stream_peer_listen(p));
    return p;
}

void stream_peer_hang_up(struct stream_peer *p, int connection)
{
    struct stream_peer_connection *c = p->connection[connection];
    if (c->fd < 0)
        return;
    if (c->ssl)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->fd = -1;
    c->ssl = NULL;
}

void stream_peer_close(struct stream_peer *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        stream_peer_hang_up(p, (int)i);
        free(p->connection[i]);
    }
    if (p->fd >= 0)
        close(p->fd);
    SSL_CTX_free(p->tls);
    free(p);
}

// A new one, or, for the patient, that of a connection which is closed and has nothing more to say.
static unsigned place_for_one(struct stream_peer *p)
{
    for (unsigned i = 0; p->patient && i < p->n; i++) {
        if (p->connection[i]->fd < 0) {
            p->connection[i]->n = 0;
            return i;
        }
    }
    must(p->n < STREAM_PEER_CONNECTIONS_MAX);
    p->connection[p->n] = calloc(1, sizeof **p->connection);
    return p->n++;
}

// -1: no TLS came about.
static int take(struct stream_peer *p, int fd, bool accepted)
{
    struct timeval soon = {.tv_sec = 5};
    must(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    SSL *ssl = p->tls ? SSL_new(p->tls) : NULL;
    if (ssl) {
        SSL_set_fd(ssl, fd);
        if ((accepted ? SSL_accept(ssl) : SSL_connect(ssl)) != 1) {
            SSL_free(ssl);
            close(fd);
            return -1;
        }
    }
    unsigned i = place_for_one(p);
    struct stream_peer_connection *c = p->connection[i];
    c->fd = fd;
    c->ssl = ssl;
    return (int)i;
}

int stream_peer_connect(struct stream_peer *p, uint16_t port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return take(p, fd, false);
    close(fd);
    return -1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Bytes of the first message; 0: it is not whole. Line ends before it are dropped.
static size_t frame(struct stream_peer_connection *c)
{
    char *end;
    size_t skip = strspn(c->bytes, "\r\n");
    memmove(c->bytes, c->bytes + skip, c->n - skip + 1);
    c->n -= skip;
    if (!(end = strstr(c->bytes, "\r\n\r\n")))
        return 0;
    const char *length = strcasestr(c->bytes, "\r\nContent-Length:");
    size_t n = (size_t)(end - c->bytes) + 4 +
               (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    return n <= c->n ? n : 0;
}

static bool take_message(struct stream_peer *p, struct stream_peer_connection *c)
{
    size_t n = frame(c);
    if (n == 0)
        return false;
    memcpy(p->message, c->bytes, n);
    p->message[n] = '\0';
    memmove(c->bytes, c->bytes + n, c->n - n + 1);
    c->n -= n;
    return true;
}

static void read_some(struct stream_peer *p, int connection)
{
    struct stream_peer_connection *c = p->connection[connection];
    size_t room = sizeof c->bytes - 1 - c->n;
    ssize_t n = c->ssl ? SSL_read(c->ssl, c->bytes + c->n, (int)room)
                       : recv(c->fd, c->bytes + c->n, room, 0);
    if (n <= 0) {
        stream_peer_hang_up(p, connection);
        return;
    }
    c->n += (size_t)n;
    c->bytes[c->n] = '\0';
}

static void wait_for_any(struct stream_peer *p, int timeout_ms)
{
    struct pollfd fd[STREAM_PEER_CONNECTIONS_MAX + 1];
    unsigned n = p->n;
    for (unsigned i = 0; i < n; i++) {
        struct stream_peer_connection *c = p->connection[i];
        fd[i] = (struct pollfd){.fd = c->fd, .events = POLLIN};
        if (c->fd >= 0 && c->ssl && SSL_pending(c->ssl))
            timeout_ms = 0;
    }
    fd[n] = (struct pollfd){.fd = p->fd, .events = POLLIN};
    poll(fd, n + 1, timeout_ms);
    for (unsigned i = 0; i < n; i++) {
        struct stream_peer_connection *c = p->connection[i];
        if (c->fd >= 0 && (fd[i].revents || (c->ssl && SSL_pending(c->ssl))))
            read_some(p, (int)i);
    }
    if (fd[n].revents & POLLIN)
        take(p, accept(p->fd, NULL, NULL), true);
}

int stream_peer_expect(struct stream_peer *p, const char *start, int timeout_ms)
{
    for (int64_t left, until = now_ms() + timeout_ms; (left = until - now_ms()) > 0;) {
        for (unsigned i = 0; i < p->n; i++)
            while (take_message(p, p->connection[i]))
                if (strncmp(p->message, start, strlen(start)) == 0)
                    return (int)i;
        wait_for_any(p, (int)left);
    }
    return -1;
}

bool stream_peer_is_closed(struct stream_peer *p, int connection, int timeout_ms)
{
    for (int64_t left, until = now_ms() + timeout_ms; (left = until - now_ms()) > 0;) {
        if (p->connection[connection]->fd < 0)
            return true;
        wait_for_any(p, (int)left);
    }
    return false;
}

void stream_peer_send(struct stream_peer *p, int connection, const char *bytes, size_t n)
{
    struct stream_peer_connection *c = p->connection[connection];
    ssize_t sent = -1;
    if (c->ssl)
        sent = SSL_write(c->ssl, bytes, (int)n);
    else if (c->fd >= 0)
        sent = send(c->fd, bytes, n, MSG_NOSIGNAL);
    must(sent == (ssize_t)n || p->patient);
}

void stream_peer_say(struct stream_peer *p, int connection, const char *message)
{
    stream_peer_send(p, connection, message, strlen(message));
}

void stream_peer_say_last(struct stream_peer *p, int connection, const char *message)
{
    int on = 1;
    setsockopt(p->connection[connection]->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    stream_peer_say(p, connection, message);
    stream_peer_hang_up(p, connection);
}

const char *stream_peer_header(const struct stream_peer *p, const char *name, char out[512])
{
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(p->message, "\r\n"); line && line[2] != '\r';
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            sscanf(line + 3 + n, " %511[^\r]", out);
            break;
        }
    return out;
}

void stream_peer_say_ok(struct stream_peer *p, int connection)
{
    char via[512], from[512], to[512], call_id[512], cseq[512], answer[4096];
    stream_peer_header(p, "To", to);
    snprintf(answer, sizeof answer,
             "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
             "Contact: <sip:peer@127.0.0.1:%u;transport=tcp>\r\nExpires: 3600\r\n"
             "Content-Length: 0\r\n\r\n",
             stream_peer_header(p, "Via", via), stream_peer_header(p, "From", from), to,
             strstr(to, "tag=") ? "" : ";tag=peer", stream_peer_header(p, "Call-ID", call_id),
             stream_peer_header(p, "CSeq", cseq), p->port);
    stream_peer_say(p, connection, answer);
}
