// A SIP user agent over loopback UDP for tests: reads and writes text, and knows little of SIP.
#include "sip_peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct sip_peer *sip_peer_open(void)
{
    struct sip_peer *p = calloc(1, sizeof *p);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&a, n) ||
        getsockname(p->fd, (struct sockaddr *)&a, &n))
        abort();
    p->port = ntohs(a.sin_port);
    return p;
}

void sip_peer_close(struct sip_peer *p)
{
    close(p->fd);
    free(p);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool sip_peer_expect(struct sip_peer *p, const char *start, int timeout_ms)
{
    for (int64_t left, until = now_ms() + timeout_ms; (left = until - now_ms()) > 0;) {
        struct pollfd fd = {.fd = p->fd, .events = POLLIN};
        struct sockaddr_in from;
        socklen_t n_from = sizeof from;
        if (poll(&fd, 1, (int)left) != 1)
            return false;
        ssize_t n = recvfrom(p->fd, p->message, sizeof p->message - 1, 0, (struct sockaddr *)&from,
                             &n_from);
        if (n < 0)
            continue;
        p->message[n] = '\0';
        p->from_port = ntohs(from.sin_port);
        if (strncmp(p->message, start, strlen(start)) == 0)
            return true;
    }
    return false;
}

static const char *header_of(const char *message, const char *name, char out[512])
{
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(message, "\r\n"); line && line[2] != '\r';
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            sscanf(line + 3 + n, " %511[^\r]", out);
            break;
        }
    return out;
}

const char *sip_peer_header(const struct sip_peer *p, const char *name, char out[512])
{
    return header_of(p->message, name, out);
}

void sip_peer_send(struct sip_peer *p, uint16_t to_port, const char *message)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(to_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t n = strlen(message);
    if (sendto(p->fd, message, n, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)n)
        abort();
}

void sip_peer_say_ok(struct sip_peer *p, uint16_t to_port)
{
    char via[512], from[512], to[512], call_id[512], cseq[512], answer[4096];
    sip_peer_header(p, "To", to);
    snprintf(answer, sizeof answer,
             "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
             "Contact: <sip:peer@127.0.0.1:%u>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
             sip_peer_header(p, "Via", via), sip_peer_header(p, "From", from), to,
             strstr(to, "tag=") ? "" : ";tag=peer", sip_peer_header(p, "Call-ID", call_id),
             sip_peer_header(p, "CSeq", cseq), p->port);
    sip_peer_send(p, to_port, answer);
}

// "<sip:a@b>;tag=c" or "sip:a@b;tag=c" → "sip:a@b"
static void uri_of(const char *value, char out[512])
{
    const char *p = strchr(value, '<');
    snprintf(out, 512, "%s", p ? p + 1 : value);
    out[strcspn(out, p ? ">" : ";")] = '\0';
}

void sip_peer_notify(struct sip_peer *p, const char *subscribe, uint16_t to_port,
                     const char *substate, const char *basic)
{
    static unsigned cseq;
    char from[512], to[512], call_id[512], contact[512], target[512], entity[512];
    char body[1024], message[8192];
    header_of(subscribe, "From", from);
    header_of(subscribe, "To", to);
    uri_of(header_of(subscribe, "Contact", contact), target);
    uri_of(to, entity);
    snprintf(body, sizeof body,
             "<?xml version='1.0'?><presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:%s'>"
             "<tuple id='ID-desk'><status><basic>%s</basic></status></tuple></presence>",
             strchr(entity, ':') + 1, basic);
    cseq++;
    snprintf(message, sizeof message,
             "NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKpeer%u;rport\r\n"
             "Max-Forwards: 70\r\nFrom: %s%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
             "Contact: <sip:peer@127.0.0.1:%u>\r\nEvent: presence\r\nSubscription-State: %s\r\n"
             "Content-Type: application/pidf+xml\r\nContent-Length: %zu\r\n\r\n%s",
             target, p->port, cseq, to, strstr(to, "tag=") ? "" : ";tag=peer", from,
             header_of(subscribe, "Call-ID", call_id), cseq, p->port, substate, strlen(body), body);
    sip_peer_send(p, to_port, message);
}
