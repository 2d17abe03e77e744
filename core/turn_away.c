// New SUBSCRIBEs turned away while there are too many: see turn_away.h.
#include "core/turn_away.h"

#include "core/domain.h"
#include "core/hex.h"
#include "core/loop.h"
#include "core/transaction.h"

// Who floods is mostly the same one as just before.
static uint64_t turn_away_peer(struct core *c, const struct hop *source)
{
    if (!c->last_source || memcmp(c->last_source_ip, source->ip, sizeof source->ip) != 0) {
        c->last_source = hash_sip(c->cfg.key, source->ip, sizeof source->ip);
        memcpy(c->last_source_ip, source->ip, sizeof source->ip);
    }
    return c->last_source;
}

bool turn_away_admits(struct core *c, const struct hop *source, uint64_t piece)
{
    uint64_t peer = turn_away_peer(c, source);
    if (overload_admits(&c->overload, peer, piece, c->cfg.settings.lag_ms, c->now_ms))
        return true;
    c->stats.overload_refused[SIP_TO_XMPP]++;
    return false;
}

struct text turn_away_fields(struct core *c, uint64_t piece)
{
    buffer_reset(&c->line);
    buffer_lit(&c->line, "Retry-After: ");
    buffer_u64(&c->line, overload_retry_after_s(piece));
    buffer_lit(&c->line, "\r\n");
    return (struct text){c->line.p, c->line.n};
}

// ---- Handed on ---------------------------------------------------------------------------------

static uint32_t *turn_away_mark(struct core *c, uint64_t piece)
{
    return &c->handed_on[piece % CORE_HANDED_ON];
}

static bool turn_away_has_handed_on(struct core *c, uint64_t piece)
{
    return c->handed_on && *turn_away_mark(c, piece) == (uint32_t)(piece >> 32);
}

void core_hands_on(struct core *c, const struct sip_message *m)
{
    if (!c->handed_on || m->status || m->method != SIP_SUBSCRIBE || m->to_tag.n)
        return;
    uint64_t piece = server_hash(c, m);
    *turn_away_mark(c, piece) = (uint32_t)(piece >> 32);
}

// ---- The door ----------------------------------------------------------------------------------

static void turn_away_write(struct core *c, const struct sip_glance *g, const struct hop *source,
                            uint64_t piece, struct core_refusal *out)
{
    char tag[16];
    struct server_way way = server_way_back(source, &g->echo);
    hex_write(tag, piece, 16);
    buffer_reset(&c->body);
    server_write(c, &c->body,
                 &(struct server_reply){.request = &g->echo,
                                        .source = source,
                                        .status = 503,
                                        .to_tag = {tag, sizeof tag},
                                        .headers = turn_away_fields(c, piece)});
    bool whole = !c->body.failed && !c->line.failed && !c->addr.failed;
    *out = (struct core_refusal){way.to, way.reopen_port, {c->body.p, whole ? c->body.n : 0}};
}

enum core_door core_turn_away(struct core *c, struct text bytes, const struct hop *source,
                              uint64_t now_ms, struct core_refusal *out)
{
    struct sip_glance g;
    if (!c->overload.shedding || !domain_source_trusted(c, source) || !sip_glance(&g, bytes) ||
        loop_seen(c, &g.echo))
        return CORE_DOOR_ASK;
    core_at(c, now_ms);
    uint64_t piece = server_hash_of_glance(c, &g);
    if (server_knows(c, piece) || turn_away_has_handed_on(c, piece))
        return CORE_DOOR_ASK;
    if (turn_away_admits(c, source, piece))
        return CORE_DOOR_OPEN;
    c->stats.events++;
    c->stats.sip_in++;
    turn_away_write(c, &g, source, piece, out);
    return CORE_DOOR_SHUT;
}
