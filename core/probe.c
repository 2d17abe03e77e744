// Probe before refresh.
#include "core/probe.h"

#include "core/domain.h"
#include "core/stanza_out.h"
#include "core/watch.h"

bool probe_fresh(const struct core *c, const struct user *u)
{
    if (domain_is(c, u->domain, DOMAIN_EXEMPT))
        return true;
    uint64_t window_ms = (uint64_t)c->cfg.settings.probe_window_s * 1000;
    return u->alive_ms && c->now_ms - u->alive_ms <= window_ms;
}

void probe_ask(struct core *c, uint32_t user, uint16_t sip_domain)
{
    struct user *u = core_user(c, user);
    if (u->probe_timer && u->probe_epoch == (uint16_t)c->streams_up)
        return;
    wheel_cancel(&c->wheel, &u->probe_timer); // a stream was lost, and maybe the probe with it
    u->probe_epoch = (uint16_t)c->streams_up;
    u->probe_seen = 0;
    u->probe_nonce = (uint32_t)hash_random_u64(&c->random);
    uint64_t due_ms = c->now_ms + (uint64_t)c->cfg.settings.probe_timeout_s * 1000;
    u->probe_timer = wheel_add(&c->wheel, due_ms, TIMER_PROBE, user);
    if (!u->probe_timer) {
        c->fx->failed = true;
        return;
    }
    stanza_out_fenced_probe(c, u, sip_domain, u->probe_nonce);
}

static void probe_done(struct core *c, uint32_t user, enum probe_verdict verdict)
{
    struct user *u = core_user(c, user);
    wheel_cancel(&c->wheel, &u->probe_timer);
    u->alive_ms = verdict == PROBE_ALIVE ? c->now_ms : 0;
    watch_probed(c, user, verdict);
}

static uint8_t probe_seen_error(enum stanza_condition condition)
{
    switch (condition) {
    case CONDITION_GONE:
    case CONDITION_ITEM_NOT_FOUND: return SEEN_GONE;
    case CONDITION_REMOTE_SERVER_NOT_FOUND:
    case CONDITION_REMOTE_SERVER_TIMEOUT: return SEEN_UNREACHABLE;
    default: return SEEN_FENCE; // somebody there refuses to say: the server lives
    }
}

static uint8_t probe_seen_iq(const struct user *u, const struct stanza *s)
{
    char id[STANZA_FENCE_ID];
    stanza_out_fence_id(u->probe_nonce, id);
    if (!text_eq(stanza_text(s, s->id), (struct text){id, sizeof id}))
        return 0;
    return s->type == STANZA_ERROR ? probe_seen_error(s->condition) : SEEN_FENCE;
}

static uint8_t probe_seen_presence(const struct stanza *s)
{
    switch (s->type) {
    case STANZA_NONE: return SEEN_AVAILABLE;
    case STANZA_UNAVAILABLE: return SEEN_UNAVAILABLE;
    case STANZA_UNSUBSCRIBED: return SEEN_UNSUBSCRIBED;
    case STANZA_ERROR: {
        // Not all servers tell an error to the probe apart: only its end counts, unless it is
        // final.
        uint8_t seen = probe_seen_error(s->condition);
        return seen == SEEN_FENCE ? 0 : seen;
    }
    default: return 0;
    }
}

bool probe_answer(struct core *c, uint32_t user, const struct stanza *s)
{
    struct user *u = core_user(c, user);
    if (!u->probe_timer)
        return false;
    uint8_t seen = s->kind == STANZA_IQ         ? probe_seen_iq(u, s)
                   : s->kind == STANZA_PRESENCE ? probe_seen_presence(s)
                                                : 0;
    u->probe_seen |= seen;
    if (seen & SEEN_GONE)
        probe_done(c, user, PROBE_GONE);
    else if (seen & SEEN_UNREACHABLE)
        probe_done(c, user, PROBE_SILENT);
    else if (seen & (SEEN_AVAILABLE | SEEN_UNSUBSCRIBED))
        probe_done(c, user, PROBE_ALIVE);
    else if (seen & SEEN_FENCE)
        probe_done(c, user, u->probe_seen & SEEN_UNAVAILABLE ? PROBE_OFFLINE : PROBE_ALIVE);
    return seen != 0;
}

void probe_due(struct core *c, uint32_t user)
{
    struct user *u = core_user(c, user);
    u->probe_timer = 0;
    probe_done(c, user, u->probe_seen & SEEN_UNAVAILABLE ? PROBE_OFFLINE : PROBE_SILENT);
}
