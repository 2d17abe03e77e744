// Many users who each do what is allowed, so that no limit of one user holds them back: a SIP peer
// that speaks perfectly comes and goes; requests lead the daemon to itself; a crowd of XMPP users
// wants to watch a domain that says nothing.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacker.h"
#include "front.h"

#define TRUSTED "127.0.0.46"

enum {
    VISITS_PER_S = 1000,
    LOOPS_PER_S = 2000,
    CROWD_PER_S = 2000,
    OTHERS_PART = 40, // of whom one asks for another domain
    OTHERS_MAX = 1 << 16,
    OTHERS_MS = 400, // for what they have asked for last to leave
};

// ---- A peer that speaks perfectly --------------------------------------------------------------

static size_t write_visit(char *out, size_t size, uint16_t port, const char *call_id,
                          const char *to_tag, bool stays)
{
    char from[96], to[96], branch[96], more[192];
    snprintf(from, sizeof from, "sip:%s@dialog.hostile", call_id);
    snprintf(to, sizeof to, "sip:%s@example.com", call_id);
    snprintf(branch, sizeof branch, "%s%s", call_id, stays ? "come" : "go");
    snprintf(more, sizeof more,
             "Record-Route: <sip:" TRUSTED ":%u;lr>\r\nEvent: presence\r\nExpires: %u\r\n", port,
             stays ? 600 : 0);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = "SUBSCRIBE",
                                                             .ruri = to,
                                                             .from = from,
                                                             .from_tag = call_id,
                                                             .to_tag = to_tag,
                                                             .call_id = call_id,
                                                             .branch = branch,
                                                             .cseq = stays ? 1 : 2,
                                                             .ip = TRUSTED,
                                                             .port = port,
                                                             .more = more});
}

// NOTIFYs are answered; who has been let in, leaves.
static void visit_take(struct field *f, int fd, uint16_t port, const char *m)
{
    char out[2048], call_id[64], tag[64], cseq[64];
    size_t n;
    if (strncmp(m, "NOTIFY", 6) == 0) {
        n = attacker_write_ok(out, sizeof out, m, "c", "");
        attacker_send(f, fd, f->shard_port, out, n);
        return;
    }
    if (strncmp(m, "SIP/2.0 20", 10) != 0 ||
        !load_sip_header(m, "Call-ID", call_id, sizeof call_id) ||
        !load_sip_header(m, "CSeq", cseq, sizeof cseq) || cseq[0] != '1')
        return;
    f->heard++;
    load_sip_tag(m, "To", tag, sizeof tag);
    n = write_visit(out, sizeof out, port, call_id, tag, false);
    attacker_send(f, fd, f->shard_port, out, n);
}

// Comes, is let in, answers all that it is asked, leaves: a thousand times a second.
void attack_dialog_churn(struct field *f)
{
    uint16_t port;
    char m[8192], call_id[32];
    int fd = attacker_udp(TRUSTED, &port, 1 << 20);
    struct pace pace = {0};
    unsigned per_s = attacker_scaled_rate(f, VISITS_PER_S);
    f->begun = true;
    while (!f->stop) {
        for (unsigned due = attacker_due(&pace, per_s, 32); due; due--) {
            snprintf(call_id, sizeof call_id, "c%llu", (unsigned long long)f->said++);
            attacker_send(f, fd, f->sip_port, m,
                          write_visit(m, sizeof m, port, call_id, NULL, true));
        }
        for (ssize_t n; (n = recv(fd, m, sizeof m - 1, MSG_DONTWAIT)) > 0;) {
            m[n] = '\0';
            visit_take(f, fd, port, m);
        }
    }
    if (!f->heard)
        attacker_complain(f, "nobody was let in");
    close(fd);
}

// ---- To itself ---------------------------------------------------------------------------------

// The route, and so each NOTIFY and each time it is said again, leads to the daemon's own port.
static size_t write_loop(const struct field *f, uint64_t i, uint16_t port, char *out, size_t size)
{
    char from[64], to[64], number[24], more[256];
    snprintf(number, sizeof number, "l%llu", (unsigned long long)i);
    snprintf(from, sizeof from, "sip:%s@dialog.hostile", number);
    snprintf(to, sizeof to, "sip:%s@example.com", number);
    snprintf(more, sizeof more,
             "Record-Route: <sip:127.0.0.1:%u;lr>\r\nEvent: presence\r\nExpires: 600\r\n",
             i % 2 ? f->sip_port : f->shard_port);
    return attacker_write_request(out, size,
                                  &(struct attacker_request){.method = "SUBSCRIBE",
                                                             .ruri = to,
                                                             .from = from,
                                                             .from_tag = number,
                                                             .call_id = number,
                                                             .branch = number,
                                                             .cseq = 1,
                                                             .ip = TRUSTED,
                                                             .port = port,
                                                             .more = more});
}

void attack_route_to_itself(struct field *f)
{
    attacker_flood(f, TRUSTED, f->sip_port, LOOPS_PER_S, write_loop);
}

// ---- To a domain that says nothing -------------------------------------------------------------

struct others {
    unsigned asked, served;
    bool is_served[OTHERS_MAX];
};

static void crowd_say(struct field *f, int dead, int other, struct others *o, unsigned due)
{
    char text[192];
    for (; due && !f->stop; due--) {
        bool is_other = f->said % OTHERS_PART == 0 && o->asked < OTHERS_MAX;
        unsigned long long i = is_other ? o->asked++ : f->said;
        int n =
            snprintf(text, sizeof text,
                     "<presence from='%c%llu@example.com' to='s%llu@%s' type='subscribe'/>",
                     is_other ? 'o' : 'x', i, i, is_other ? "presence.hostile" : "stanza.hostile");
        (void)!send(is_other ? other : dead, text, (size_t)n, MSG_NOSIGNAL);
        f->said++;
    }
}

// What has left for the other domain. The rest goes, so that there is always room for it.
static void crowd_hear(struct field *f, struct others *o, unsigned ms)
{
    char m[4096];
    unsigned i;
    while (front_next_request(f->front, "presence.hostile", m, sizeof m, ms))
        if (sscanf(m, "SUBSCRIBE sip:s%u@", &i) == 1 && i < OTHERS_MAX && !o->is_served[i]) {
            o->is_served[i] = true;
            o->served++;
        }
    front_forget_requests(f->front);
}

// All by way of one proxy. Those who ask for a domain that answers are served all the while.
void attack_xmpp_crowd(struct field *f)
{
    int dead = front_take(f->front, "stanza.hostile", 10000);
    int other = front_take(f->front, "presence.hostile", 10000);
    struct others *o = calloc(1, sizeof *o);
    struct pace pace = {0};
    unsigned per_s = attacker_scaled_rate(f, CROWD_PER_S);
    f->begun = true;
    while (!f->stop) {
        crowd_say(f, dead, other, o, attacker_due(&pace, per_s, 64));
        crowd_hear(f, o, 0);
    }
    crowd_hear(f, o, OTHERS_MS);
    if (o->served < o->asked / 100 * 99)
        attacker_complain(f, "who asks for another domain is not served");
    free(o);
    close(dead);
    close(other);
}
