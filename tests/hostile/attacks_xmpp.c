// Component streams and their users: stanzas past all reason, servers that do not answer or read,
// users who never rest. Each attack has the stream of a domain of its own; honest users' stanzas
// are on another one.
//
// What answers them: [limits] stanza_bytes and stanza_depth (a stanza beyond is passed over, past
// all reason it ends its stream, core/wire/stanza_reader.h), 16 MiB that wait for a server that
// does not read, 60 s that it may take (shards/xmpp_stream.h), 10 s for a handshake, 64 KiB read of
// a stream in a turn, and limits of each user.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacker.h"
#include "front.h"

enum {
    TAKE_MS = 100,
    HUGE_STANZA = 20 << 20,
    NESTED = 100000,
    MANY = 10000,
    NEWLINES = 200000,
    STANZAS_PER_S = 100,
    CHANGES_PER_S = 10000,
    FLAPS_PER_S = 2000,
    CONTACTS = 20,
    TINY = 1,
};

static int take_stream(const struct field *f, const char *domain)
{
    int fd = -1;
    while (!f->stop && fd < 0)
        fd = front_take(f->front, domain, TAKE_MS);
    return fd;
}

// In pieces, so that its end is seen. False: the stream is closed.
static bool say(const struct field *f, int fd, const char *text, size_t n)
{
    while (n && !f->stop) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            text += sent;
            n -= (size_t)sent;
        } else if (errno != EAGAIN) {
            return false;
        } else if (attacker_is_closed(fd)) {
            return false;
        } else {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 10);
        }
    }
    return !attacker_is_closed(fd);
}

// What is said there ends the stream; it comes back, and is used again.
static void end_streams(struct field *f, const char *domain, const char *text, size_t n)
{
    while (!f->stop) {
        int fd = take_stream(f, domain);
        if (fd < 0)
            break;
        f->begun = true;
        if (say(f, fd, text, n)) {
            attacker_sleep_ms(f, 200);
            if (!f->stop && !attacker_is_closed(fd))
                attacker_complain(f, "the stream goes on");
        }
        f->said++;
        close(fd);
    }
}

// Ends after 4 MiB.
void attack_xmpp_huge(struct field *f)
{
    static const char head[] = "<message from='a@example.com' to='b@huge.hostile'><body>";
    char *text = malloc(HUGE_STANZA);
    memset(text, 'a', HUGE_STANZA);
    memcpy(text, head, sizeof head - 1);
    end_streams(f, "huge.hostile", text, HUGE_STANZA);
    free(text);
}

// Ends at level 80,000 (core/wire/stanza_reader.h).
void attack_xmpp_nested(struct field *f)
{
    static const char head[] = "<message from='a@example.com' to='b@nested.hostile'>";
    size_t n = sizeof head - 1;
    char *text = malloc(n + 3 * NESTED);
    memcpy(text, head, n);
    for (int i = 0; i < NESTED; i++, n += 3)
        memcpy(text + n, "<a>", 3);
    end_streams(f, "nested.hostile", text, n);
    free(text);
}

// Ends at the DOCTYPE (RFC 6120 §11.1).
void attack_xmpp_bomb(struct field *f)
{
    static const char text[] =
        "<!DOCTYPE m [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
        "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>]>"
        "<message from='a@example.com' to='b@bomb.hostile'><body>&d;</body></message>";
    end_streams(f, "bomb.hostile", text, sizeof text - 1);
}

// Good stanzas that are a burden, so many a second; the stream stays.
static void burden(struct field *f, const char *text, size_t n)
{
    struct pace pace = {0};
    int fd = take_stream(f, "stanza.hostile");
    f->begun = true;
    while (!f->stop) {
        for (unsigned due = attacker_due(&pace, STANZAS_PER_S, 8); due && !f->stop; due--) {
            if (!say(f, fd, text, n) && !f->stop) {
                attacker_complain(f, "the stream was closed");
                f->stop = true;
            }
            f->said++;
        }
    }
    // A half-said stanza would be gone on with by nobody.
    close(fd);
}

void attack_xmpp_newlines(struct field *f)
{
    static const char head[] = "<presence from='a@example.com/r' to='b@stanza.hostile'><status>",
                      tail[] = "</status></presence>";
    char *text = malloc(NEWLINES + 200);
    size_t n = sizeof head - 1;
    memcpy(text, head, n);
    memset(text + n, '\n', NEWLINES);
    memcpy(text + n + NEWLINES, tail, sizeof tail - 1);
    burden(f, text, n + NEWLINES + sizeof tail - 1);
    free(text);
}

void attack_xmpp_attributes(struct field *f)
{
    char *text = malloc(MANY * 16 + 200);
    size_t n = (size_t)sprintf(text, "<presence from='a@example.com/r' to='b@stanza.hostile'");
    for (int i = 0; i < MANY; i++)
        n += (size_t)sprintf(text + n, " a%d='%d'", i, i);
    n += (size_t)sprintf(text + n, "/>");
    burden(f, text, n);
    free(text);
}

void attack_xmpp_children(struct field *f)
{
    char *text = malloc(MANY * 16 + 200);
    size_t n = (size_t)sprintf(text, "<presence from='a@example.com/r' to='b@stanza.hostile'>");
    for (int i = 0; i < MANY; i++)
        n += (size_t)sprintf(text + n, "<c%d/>", i);
    n += (size_t)sprintf(text + n, "</presence>");
    burden(f, text, n);
    free(text);
}

// ---- Servers

// Accepted, and never answered: given up after 10 s, tried again later.
void attack_xmpp_mute(struct field *f)
{
    front_set_mute(f->front, "mute.hostile", true);
    while (!f->stop) {
        f->said = front_attempts(f->front);
        f->begun = f->said > 0;
        attacker_sleep_ms(f, 20);
    }
    front_set_mute(f->front, "mute.hostile", false);
}

// Asks and does not read: each answer waits, and past 16 MiB the stream ends.
void attack_xmpp_deaf(struct field *f)
{
    static const char ask[] =
        "<iq type='get' from='a@example.com/r' to='deaf.hostile' id='deaf'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    int bytes = TINY;
    while (!f->stop) {
        int fd = take_stream(f, "deaf.hostile");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        f->begun = true;
        for (size_t at = 0; fd >= 0 && !f->stop;) {
            ssize_t n = send(fd, ask + at, sizeof ask - 1 - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN)
                break;
            if (n < 0)
                poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 10);
            at += n > 0 ? (size_t)n : 0;
            if (at == sizeof ask - 1) {
                at = 0;
                f->said++;
            }
        }
        if (fd >= 0)
            close(fd);
    }
}

// ---- Users

static void flood(struct field *f, const char *domain, unsigned per_s,
                  size_t (*write)(char *out, size_t size, uint64_t i))
{
    struct pace pace = {0};
    per_s = attacker_scaled_rate(f, per_s);
    int fd = take_stream(f, domain);
    f->begun = true;
    char text[64 * 512];
    while (!f->stop) {
        size_t n = 0;
        for (unsigned due = attacker_due(&pace, per_s, 64); due; due--)
            n += write(text + n, sizeof text - n, f->said++);
        if (!say(f, fd, text, n) && !f->stop) {
            attacker_complain(f, "the stream was closed");
            break;
        }
    }
    if (fd >= 0)
        close(fd);
}

// 10,000 changes a second of one user whom nobody in the SIP world watches, and who says it to one
// who might.
static size_t write_presence(char *out, size_t size, uint64_t i)
{
    return (size_t)snprintf(out, size,
                            "<presence from='pia@example.com/r' to='ward@presence.hostile'>"
                            "<show>%s</show><status>%llu</status></presence>",
                            i % 2 ? "away" : "dnd", (unsigned long long)i);
}

// One user, ever new contacts: new_subscriptions_per_user_per_min.
static size_t write_subscribe(char *out, size_t size, uint64_t i)
{
    return (size_t)snprintf(out, size,
                            "<presence from='sue@example.com' to='c%llu@stanza.hostile' "
                            "type='subscribe'/>",
                            (unsigned long long)i);
}

// Comes and goes, to each of her contacts, and asks after them each time.
static size_t write_flap(char *out, size_t size, uint64_t i)
{
    static const char *const types[] = {"subscribe", "probe", "unavailable"};
    return (size_t)snprintf(out, size,
                            "<presence from='flo@example.com%s' to='f%llu@stanza.hostile' "
                            "type='%s'/>",
                            i < CONTACTS ? "" : "/r", (unsigned long long)(i % CONTACTS),
                            types[i < CONTACTS ? 0 : 1 + i / CONTACTS % 2]);
}

void attack_xmpp_subscribe(struct field *f)
{
    flood(f, "stanza.hostile", CHANGES_PER_S, write_subscribe);
}

void attack_xmpp_flapping(struct field *f)
{
    flood(f, "stanza.hostile", FLAPS_PER_S, write_flap);
}

// 10,000 changes a second of one presentity who has a SIP watcher: one NOTIFY is in flight, and
// what is newest waits.
void attack_xmpp_presence(struct field *f)
{
    uint16_t port;
    char bytes[4096], ok[2048], more[256];
    static const char yes[] =
        "<presence from='pia@example.com' to='ward@presence.hostile' type='subscribed'/>";
    int fd = attacker_udp("127.0.0.45", &port, 0), stream = take_stream(f, "presence.hostile");
    struct pace pace = {0};
    snprintf(more, sizeof more,
             "Record-Route: <sip:127.0.0.45:%u;lr>\r\nEvent: presence\r\nExpires: 600\r\n", port);
    size_t n =
        attacker_write_request(bytes, sizeof bytes,
                               &(struct attacker_request){.method = "SUBSCRIBE",
                                                          .ruri = "sip:pia@example.com",
                                                          .from = "sip:ward@presence.hostile",
                                                          .from_tag = "w",
                                                          .call_id = "ward",
                                                          .branch = "ward",
                                                          .cseq = 1,
                                                          .ip = "127.0.0.45",
                                                          .port = port,
                                                          .more = more});
    attacker_send(f, fd, f->sip_port, bytes, n);
    attacker_sleep_ms(f, 200);
    say(f, stream, yes, sizeof yes - 1);
    while (!f->stop) {
        char text[64 * 256];
        size_t size = 0;
        for (unsigned due = attacker_due(&pace, CHANGES_PER_S, 64); due; due--)
            size += write_presence(text + size, sizeof text - size, f->said++);
        if (!say(f, stream, text, size))
            break;
        for (ssize_t got; (got = recv(fd, bytes, sizeof bytes - 1, MSG_DONTWAIT)) > 0;) {
            bytes[got] = '\0';
            f->heard += strncmp(bytes, "NOTIFY", 6) == 0;
            if (strncmp(bytes, "NOTIFY", 6) == 0)
                attacker_send(f, fd, f->shard_port, ok,
                              attacker_write_ok(ok, sizeof ok, bytes, "w", ""));
        }
        f->begun = true;
    }
    if (!f->heard)
        attacker_complain(f, "no change got through to the watcher");
    close(stream);
    close(fd);
}
