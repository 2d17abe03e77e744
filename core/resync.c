// When a stream comes up: what it missed is said again, at a pace.
#include "core/resync.h"

#include "core/domain.h"
#include "core/serve.h"
#include "core/sub.h"
#include "core/watch.h"

void resync_start(struct core *c)
{
    if (c->resync_timer) {
        c->resync_again = true;
        return;
    }
    c->resync_at = 1;
    c->resync_timer = wheel_add(&c->wheel, c->now_ms, TIMER_RESYNC, 0);
}

static void resync_one(struct core *c, uint32_t sub)
{
    const struct sub *s = core_sub(c, sub);
    if (!s->user || (s->flags & SUB_ENDED) || !sub_stream_up(c, s) || !sub_trusted(c, s))
        return;
    if (s->direction == XMPP_TO_SIP)
        watch_resync(c, sub);
    else
        serve_resync(c, sub);
}

void resync_due(struct core *c)
{
    c->resync_timer = 0;
    for (unsigned i = 0; i < CORE_RESYNC_STEP && c->resync_at <= c->subs.used; i++)
        resync_one(c, c->resync_at++);
    if (c->resync_at > c->subs.used) {
        if (!c->resync_again)
            return;
        c->resync_again = false;
        c->resync_at = 1;
    }
    c->resync_timer = wheel_add(&c->wheel, c->now_ms + CORE_RESYNC_MS, TIMER_RESYNC, 0);
}
