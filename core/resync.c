// The passes over all subscriptions that follow a stream's coming up.
//
// One pass over all subscriptions serves all domains that wait at its begin (DOMAIN_WAITS); those
// that come up meanwhile wait for the next. A domain also waits for the gateway's own stream, by
// which users are probed.
#include "core/resync.h"

#include <errno.h>

#include "core/domain.h"
#include "core/serve.h"
#include "core/sub.h"
#include "core/watch.h"

static bool resync_take_waiting(struct core *c)
{
    bool any = false;
    if (c->gateway != DOMAIN_NONE && !domain_is(c, c->gateway, DOMAIN_UP))
        return false;
    for (uint16_t i = 0; i < c->n_domains; i++) {
        struct domain *d = &c->domains[i];
        if ((d->flags & (DOMAIN_WAITS | DOMAIN_UP)) != (DOMAIN_WAITS | DOMAIN_UP))
            continue;
        d->flags = (uint8_t)((d->flags & ~DOMAIN_WAITS) | DOMAIN_PASS);
        any = true;
    }
    return any;
}

static void resync_again_at(struct core *c, uint64_t due_ms)
{
    c->resync_timer = wheel_add(&c->wheel, due_ms, TIMER_RESYNC, 0);
    if (!c->resync_timer)
        c->fx->failed = true;
}

static void resync_begin(struct core *c)
{
    if (c->resync_timer || !resync_take_waiting(c))
        return;
    c->resync_at = 0;
    c->resync_below = c->next_id;
    resync_again_at(c, c->now_ms);
}

void resync_start(struct core *c, uint16_t domain)
{
    c->domains[domain].flags |= DOMAIN_WAITS;
    resync_begin(c);
}

int resync_all(struct core *c)
{
    for (uint16_t i = 0; i < c->n_domains; i++)
        if (domain_is(c, i, DOMAIN_STREAM | DOMAIN_UP))
            c->domains[i].flags |= DOMAIN_WAITS;
    if (c->resync_timer || !resync_take_waiting(c))
        return 0; // after the pass that is under way, or when the gateway's own stream is up
    c->resync_at = 0;
    c->resync_below = c->next_id;
    c->resync_timer = wheel_add(&c->wheel, c->now_ms, TIMER_RESYNC, 0);
    return c->resync_timer ? 0 : ENOMEM;
}

// Whoever came when the streams were up has missed nothing, and has been asked for nothing in vain.
static void resync_one(struct core *c, uint32_t sub)
{
    const struct sub *s = core_sub(c, sub);
    if ((s->flags & SUB_ENDED) || s->id >= c->resync_below ||
        !domain_is(c, s->peer_domain, DOMAIN_PASS) || !sub_stream_up(c, s) || !sub_trusted(c, s))
        return;
    if (s->direction == XMPP_TO_SIP)
        watch_resync(c, sub);
    else
        serve_resync(c, sub);
}

void resync_due(struct core *c)
{
    c->resync_timer = 0;
    uint32_t sub = pool_after(&c->subs, c->resync_at);
    for (unsigned i = 0; i < CORE_RESYNC_STEP && sub; i++) {
        c->resync_at = sub;
        resync_one(c, sub);
        sub = pool_after(&c->subs, sub);
    }
    if (sub) {
        resync_again_at(c, c->now_ms + CORE_RESYNC_MS);
        return;
    }
    for (uint16_t i = 0; i < c->n_domains; i++)
        c->domains[i].flags &= (uint8_t)~DOMAIN_PASS;
    resync_begin(c);
}
