// Floods of datagrams. The daemon answers each with as little work as it can, takes them in batches
// of 64 from one port after the other, and what it has no time for the kernel drops: no peer's
// datagrams wait behind more than one batch of another port's.
#include <stdio.h>
#include <string.h>

#include "attacker.h"

// Faster than this a single sender on loopback takes the honest side's core.
enum { FLOOD_PER_S = 40000, BIG_PER_S = 4000, STRANGERS_PER_S = 200000 };

#define TRUSTED  "127.0.0.66"
#define STRANGER "127.1.0.1"

static uint64_t noise(uint64_t x) // splitmix64
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

// ---- Garbage: no SIP message, counted in sip_unparsable_total and forgotten.

static size_t write_random(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f, (void)port, (void)size;
    size_t n = 8 + noise(i) % 1392;
    for (size_t at = 0; at < n; at += 8) {
        uint64_t x = noise(i * 4096 + at);
        memcpy(out + at, &x, 8);
    }
    return n;
}

static size_t write_zeros(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f, (void)port, (void)size;
    memset(out, 0, 1400);
    return noise(i) % 1400;
}

// ---- SIP

static size_t write_one(uint64_t i, uint16_t port, char *out, size_t size, const char *ip,
                        const char *method, const char *more)
{
    char number[24];
    snprintf(number, sizeof number, "u%llu", (unsigned long long)i);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = method,
                                                             .ruri = "sip:juliet@example.com",
                                                             .from = "sip:mallory@udp.hostile",
                                                             .from_tag = number,
                                                             .call_id = number,
                                                             .branch = number,
                                                             .cseq = 1,
                                                             .ip = ip,
                                                             .port = port,
                                                             .more = more});
}

#define SUBSCRIBES "Event: presence\r\nExpires: 600\r\n"
#define NOTIFIES   "Event: presence\r\nSubscription-State: active;expires=600\r\n"

static size_t write_truncated(const struct field *f, uint64_t i, uint16_t port, char *out,
                              size_t size)
{
    (void)f;
    size_t n = write_one(i, port, out, size, TRUSTED, "SUBSCRIBE", SUBSCRIBES);
    return 1 + noise(i) % (n - 40); // the end of the head is never there
}

// Above sip_message_bytes or not, it costs its bytes: the kernel's buffer (8 MB) is the bound.
static size_t write_big(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f;
    size_t n = write_one(i, port, out, size, TRUSTED, "MESSAGE", NULL);
    memset(out + n, 'a', ATTACKER_DATAGRAM - n);
    return ATTACKER_DATAGRAM;
}

static size_t write_stranger(const struct field *f, uint64_t i, uint16_t port, char *out,
                             size_t size)
{
    (void)f;
    return write_one(i % 8, port, out, size, STRANGER, "SUBSCRIBE", SUBSCRIBES);
}

// A few get their 403, without any state; the others are dropped unread (shards/strangers.h), and
// nothing of it crosses to XMPP.
static size_t write_stranger_new(const struct field *f, uint64_t i, uint16_t port, char *out,
                                 size_t size)
{
    (void)f;
    return write_one(i, port, out, size, STRANGER, "SUBSCRIBE", SUBSCRIBES);
}

// One request said without end, as by a phone whose retransmissions have gone mad: the server
// transaction answers it with the same bytes.
static size_t write_same(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f, (void)i;
    return write_one(0, port, out, size, TRUSTED, "SUBSCRIBE", SUBSCRIBES);
}

// Of no dialog: 481, stateless.
static size_t write_notify(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    (void)f;
    return write_one(i, port, out, size, TRUSTED, "NOTIFY", NOTIFIES);
}

// The Call-IDs of honest dialogs, tags that are guessed: 481, and the dialogs know nothing of it.
static size_t write_notify_tags(const struct field *f, uint64_t i, uint16_t port, char *out,
                                size_t size)
{
    char number[32];
    snprintf(number, sizeof number, "%024llx", (unsigned long long)noise(i));
    return attacker_write_request(
        out, size,
        &(struct attacker_request){.method = i % 2 ? "NOTIFY" : "SUBSCRIBE",
                                   .ruri = "sip:x1@example.com",
                                   .from = "sip:s1@example.net",
                                   .from_tag = "n1.1",
                                   .to_tag = number,
                                   .call_id = f->call_id[i % f->n_call_ids],
                                   .branch = number,
                                   .cseq = 1000000,
                                   .ip = TRUSTED,
                                   .port = port,
                                   .more = i % 2 ? NOTIFIES : "Event: presence\r\nExpires: 0\r\n"});
}

static size_t write_message(const struct field *f, uint64_t i, uint16_t port, char *out,
                            size_t size)
{
    (void)f;
    return write_one(i, port, out, size, TRUSTED, "MESSAGE", NULL);
}

static size_t write_options(const struct field *f, uint64_t i, uint16_t port, char *out,
                            size_t size)
{
    (void)f;
    return write_one(i, port, out, size, TRUSTED, "OPTIONS", NULL);
}

static size_t write_methods(const struct field *f, uint64_t i, uint16_t port, char *out,
                            size_t size)
{
    static const char *const methods[] = {"REGISTER", "INVITE",  "PUBLISH", "BYE",  "CANCEL",
                                          "ACK",      "MESSAGE", "UPDATE",  "MADE", "UP"};
    (void)f;
    return write_one(i, port, out, size, TRUSTED, methods[i % (sizeof methods / sizeof *methods)],
                     NULL);
}

// To branches that nobody has: looked up, not found, forgotten.
static size_t write_response(const struct field *f, uint64_t i, uint16_t port, char *out,
                             size_t size)
{
    uint64_t x = noise(i);
    (void)port;
    return (size_t)snprintf(
        out, size,
        "SIP/2.0 %u Guess\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%016llx\r\n"
        "From: <sip:a@example.com>;tag=a%llx\r\nTo: <sip:b@example.net>;tag=b\r\n"
        "Call-ID: %llx@guess\r\nCSeq: 1 SUBSCRIBE\r\nContent-Length: 0\r\n\r\n",
        i % 2 ? 200 : 481, f->shard_port, (unsigned long long)x, (unsigned long long)x,
        (unsigned long long)x);
}

// Each request fifty times, refused or not.
static size_t write_retransmitted(const struct field *f, uint64_t i, uint16_t port, char *out,
                                  size_t size)
{
    (void)f;
    uint64_t of = i / 50;
    if (of % 3 == 0)
        return write_one(of, port, out, size, TRUSTED, "SUBSCRIBE",
                         "Event: presence\r\nExpires: 0\r\n");
    return write_one(of, port, out, size, TRUSTED, of % 3 == 1 ? "OPTIONS" : "NOTIFY", NOTIFIES);
}

// ---- The attacks

void attack_udp_random(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_random);
}

// On the very port that the honest dialogs' requests come to.
void attack_udp_random_own(struct field *f)
{
    attacker_flood(f, TRUSTED, f->shard_port, FLOOD_PER_S, write_random);
}

void attack_udp_zeros(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_zeros);
}

void attack_udp_truncated(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_truncated);
}

void attack_udp_big(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, BIG_PER_S, write_big);
}

void attack_udp_stranger(struct field *f)
{
    attacker_flood(f, STRANGER, f->sip_port, FLOOD_PER_S, write_stranger);
}

void attack_udp_stranger_new(struct field *f)
{
    attacker_flood(f, STRANGER, f->sip_port, STRANGERS_PER_S, write_stranger_new);
}

void attack_udp_same(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_same);
}

void attack_udp_notify(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_notify);
}

void attack_udp_notify_tags(struct field *f)
{
    attacker_flood(f, TRUSTED, f->shard_port, FLOOD_PER_S, write_notify_tags);
}

void attack_udp_message(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_message);
}

void attack_udp_options(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_options);
}

void attack_udp_methods(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_methods);
}

void attack_udp_responses(struct field *f)
{
    attacker_flood(f, TRUSTED, f->shard_port, FLOOD_PER_S, write_response);
}

void attack_udp_retransmit(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, FLOOD_PER_S, write_retransmitted);
}
