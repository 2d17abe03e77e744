// SIP over TCP and TLS: connections that want nothing but to be there, and peers that do not read.
//
// What answers them is in shards/sip_stream.h: 1,024 connections of an address and 16,384 of all,
// of which those that say nothing make way for new ones; 10 s for a message, 5 s for a handshake;
// a peer that does not take its answers is not read from, and its queue ends at 1 MiB.
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacker.h"

enum {
    TINY = 1, // the kernel makes its least of it
    DEAF = 32,
    DEAF_PER_S = 100000, // requests
    MANY_CHILDREN = 3,
    MANY_ADDRESSES = 6, // of each child
    MANY_EACH = 1000,
    DRIP_MS = 50,
};

static void close_hard(int fd)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

// ---- Connections that are held

struct held {
    int fd;
    unsigned said; // bytes
};

// Says the next `piece` bytes of `text` on it, every so often; opens it again when it was closed.
static void hold(struct field *f, unsigned addresses, unsigned n, uint16_t port, const char *text,
                 size_t text_n, size_t piece)
{
    struct held *held = calloc(n, sizeof *held);
    for (unsigned i = 0; i < n; i++)
        held[i].fd = -1;
    for (uint64_t round = 0; !f->stop; round++) {
        for (unsigned i = 0; i < n && !f->stop; i++) {
            struct held *h = &held[i];
            char ip[24];
            snprintf(ip, sizeof ip, "127.0.0.%u", 30 + i % addresses);
            if (h->fd >= 0 && attacker_is_closed(h->fd)) {
                close(h->fd);
                h->fd = -1;
            }
            if (h->fd < 0) {
                *h = (struct held){.fd = attacker_connect(ip, port, 0)};
                f->said += h->fd >= 0;
                continue;
            }
            size_t now = text_n - h->said < piece ? text_n - h->said : piece;
            if (now && send(h->fd, text + h->said, now, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                h->said += (unsigned)now;
        }
        f->begun = round > 0;
        attacker_sleep_ms(f, DRIP_MS);
    }
    for (unsigned i = 0; i < n; i++)
        if (held[i].fd >= 0)
            close_hard(held[i].fd);
    free(held);
}

#define HALF "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.30:5060"

// Half of them say nothing at all: their time is SIP_STREAM_FIRST_MS; of the others it is
// SIP_STREAM_MESSAGE_MS.
void attack_tcp_half_open(struct field *f)
{
    hold(f, 4, attacker_scaled(f, 4000), f->sip_port, HALF, 20, 20);
}

void attack_tcp_drip(struct field *f)
{
    static const char filler[] = HALF ";branch=z9hG4bKdrip;a=" HALF ";b=" HALF;
    hold(f, 2, attacker_scaled(f, 1000), f->sip_port, filler, sizeof filler - 1, 1);
}

void attack_tcp_garbage(struct field *f)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: sip\r\n\r\n";
    hold(f, 2, attacker_scaled(f, 1000), f->sip_port, http, sizeof http - 1, sizeof http);
}

// Its time is SIP_STREAM_HANDSHAKE_MS.
void attack_tls_half_open(struct field *f)
{
    hold(f, 4, attacker_scaled(f, 4000), f->tls_port, "", 0, 1);
}

static size_t client_hello(char *out, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, to);
    SSL_connect(ssl);
    int n = BIO_read(to, out, (int)size);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return n > 0 ? (size_t)n : 0;
}

void attack_tls_drip(struct field *f)
{
    char hello[4096];
    size_t n = client_hello(hello, sizeof hello);
    hold(f, 2, attacker_scaled(f, 1000), f->tls_port, hello, n, 1);
}

// ---- Connections from so many trusted addresses that they could fill the table

static void child_main(const struct field *f, unsigned child, unsigned each, int told, int wait)
{
    char ip[24], byte = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < each * MANY_ADDRESSES; i++) {
        snprintf(ip, sizeof ip, "127.0.0.%u", 100 + child * MANY_ADDRESSES + i % MANY_ADDRESSES);
        int fd = attacker_connect(ip, f->sip_port, 0);
        n += fd >= 0;
        if (i % 64 == 63) // the backlog is 1,024
            poll(NULL, 0, 4);
    }
    (void)!write(told, &n, sizeof n);
    (void)!read(wait, &byte, 1); // until the end is closed
    _exit(0);
}

// Each child has descriptors of its own. Between fork() and _exit() it calls nothing that a lock of
// another thread could hold up.
void attack_tcp_many(struct field *f)
{
    int told[2], wait[2];
    pid_t pid[MANY_CHILDREN];
    unsigned each = attacker_scaled(f, MANY_EACH), n;
    if (pipe(told) || pipe(wait))
        abort();
    for (unsigned i = 0; i < MANY_CHILDREN; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            close(wait[1]);
            child_main(f, i, each, told[1], wait[0]);
        }
    }
    for (unsigned i = 0; i < MANY_CHILDREN; i++)
        if (read(told[0], &n, sizeof n) == sizeof n)
            f->said += n;
    f->begun = true;
    while (!f->stop)
        attacker_sleep_ms(f, 20);
    close(wait[1]);
    for (unsigned i = 0; i < MANY_CHILDREN; i++)
        waitpid(pid[i], NULL, 0);
    close(wait[0]);
    close(told[0]);
    close(told[1]);
}

void attack_tcp_flood(struct field *f)
{
    while (!f->stop) {
        int fd = attacker_connect_wait("127.0.0.50", f->sip_port, 0);
        if (fd >= 0)
            close_hard(fd);
        f->said++;
        f->begun = true;
    }
}

// ---- Peers that ask and do not read

static size_t write_options(char *out, size_t size, unsigned i)
{
    char number[24];
    snprintf(number, sizeof number, "d%u", i);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = "OPTIONS",
                                                             .ruri = "sip:example.com",
                                                             .from = "sip:mallory@tcp.hostile",
                                                             .from_tag = number,
                                                             .call_id = number,
                                                             .branch = number,
                                                             .cseq = 1,
                                                             .ip = "127.0.0.51",
                                                             .port = 5060,
                                                             .transport = "TCP"});
}

void attack_tcp_deaf(struct field *f)
{
    char bytes[2048];
    int fd[DEAF];
    unsigned done[DEAF] = {0};
    for (int i = 0; i < DEAF; i++)
        fd[i] = -1;
    size_t n = write_options(bytes, sizeof bytes, 1);
    struct pace pace = {0};
    unsigned per_s = attacker_scaled_rate(f, DEAF_PER_S);
    while (!f->stop) {
        bool some = attacker_due(&pace, per_s / DEAF, 1);
        if (!some)
            continue;
        some = false;
        for (int i = 0; i < DEAF; i++) {
            if (fd[i] < 0 && (fd[i] = attacker_connect("127.0.0.51", f->sip_port, TINY)) >= 0)
                done[i] = 0;
            ssize_t sent = send(fd[i], bytes + done[i], n - done[i], MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) {
                done[i] += (unsigned)sent;
                if (done[i] == n) {
                    done[i] = 0;
                    f->said++;
                }
                some = true;
            } else if (errno == EPIPE || errno == ECONNRESET) {
                close(fd[i]);
                fd[i] = -1;
            }
        }
        f->begun = true;
        if (!some)
            attacker_sleep_ms(f, 5);
    }
    for (int i = 0; i < DEAF; i++)
        if (fd[i] >= 0)
            close_hard(fd[i]);
}

// ---- TLS all the way

static SSL *shake_hands(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

// A handshake costs the daemon as much as some hundred messages: each counts as the 32 KiB
// that are read in a turn.
void attack_tls_handshakes(struct field *f)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    while (!f->stop) {
        int fd = attacker_connect_wait("127.0.0.52", f->tls_port, 0);
        SSL *ssl = fd >= 0 ? shake_hands(ctx, fd) : NULL;
        f->said += ssl != NULL;
        f->begun = true;
        SSL_free(ssl);
        if (fd >= 0)
            close_hard(fd);
    }
    SSL_CTX_free(ctx);
}

void attack_tls_deaf(struct field *f)
{
    char bytes[2048];
    size_t n = write_options(bytes, sizeof bytes, 2);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    while (!f->stop) {
        int fd = attacker_connect_wait("127.0.0.53", f->tls_port, TINY);
        SSL *ssl = fd >= 0 ? shake_hands(ctx, fd) : NULL;
        f->begun = true;
        while (ssl && !f->stop && SSL_write(ssl, bytes, (int)n) > 0) // up to a second
            f->said++;
        attacker_sleep_ms(f, 100);
        SSL_free(ssl);
        if (fd >= 0)
            close_hard(fd);
    }
    SSL_CTX_free(ctx);
}
