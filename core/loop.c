// Loops: whether a request is one of ours that has come back.
#include "core/loop.h"

// Each of our ports that a Via may name is looked for.
bool loop_seen(const struct core *c, const struct sip_echo *req)
{
    struct text host = text_of(c->advertise);
    uint16_t first = (uint16_t)(c->cfg.shard_port - c->cfg.shard);
    uint16_t last = (uint16_t)(first + c->cfg.shards - 1), tcp = c->cfg.tcp_port,
             tls = c->cfg.tls_port;
    if (host.n > 2 && host.p[0] == '[')
        host = (struct text){host.p + 1, host.n - 2};
    return sip_passed(req, host, first, last) || (tcp && sip_passed(req, host, tcp, tcp)) ||
           (tls && sip_passed(req, host, tls, tls));
}
