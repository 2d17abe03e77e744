// How fast a SIP device wants to be told.
//
// FIELD_PACE holds, as they are in memory, the second in which the dialog began and, if one of them
// was asked for, least_ms and most_ms as they were asked for.
#include "core/serve_pace.h"

#include "core/dialog.h"

struct pace_asked {
    uint32_t begun_s, least_ms, most_ms;
};

static void pace_asked(const struct dialog *d, struct pace_asked *out)
{
    struct text t = dialog_get(d, FIELD_PACE);
    *out = (struct pace_asked){0};
    if (t.n <= sizeof *out && t.n)
        memcpy(out, t.p, t.n);
}

static uint32_t pace_larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

// Our own bound, for all devices.
static uint32_t pace_policy_ms(const struct core *c, const struct dialog *d)
{
    uint32_t ms = c->cfg.settings.notify_interval_ms;
    bool slow = (d->flags & DIALOG_WINFO) || d->hurry >= SERVE_HURRY_MAX;
    return slow ? pace_larger(ms, SERVE_INTERVAL_MS) : ms;
}

void serve_pace(const struct core *c, const struct dialog *d, struct serve_pace *out)
{
    struct pace_asked asked;
    uint64_t granted_ms = (uint64_t)d->granted_s * 1000;
    pace_asked(d, &asked);
    *out = (struct serve_pace){.begun_s = asked.begun_s};
    if (asked.least_ms) {
        // RFC 6446 §5.3: not so slow that the subscription would be over before.
        out->least_ms = asked.least_ms < granted_ms ? asked.least_ms : (uint32_t)granted_ms;
        out->least_ms = pace_larger(out->least_ms, pace_policy_ms(c, d));
    }
    if (asked.most_ms) {
        out->most_ms = pace_larger(asked.most_ms, SERVE_REPEAT_LEAST_MS);
        out->most_ms = pace_larger(out->most_ms, pace_larger(out->least_ms, pace_policy_ms(c, d)));
    }
}

int serve_pace_take(struct core *c, struct dialog *d, const struct sip_message *m)
{
    struct pace_asked asked, before;
    struct text fields[FIELD_COUNT];
    pace_asked(d, &before);
    asked.begun_s = before.begun_s;
    asked.least_ms = m->least_interval_ms == SIP_ABSENT ? 0 : m->least_interval_ms;
    asked.most_ms = m->most_interval_ms == SIP_ABSENT ? 0 : m->most_interval_ms;
    if (d->state == DIALOG_EARLY) // it is just being made
        asked.begun_s = (uint32_t)(c->now_ms / 1000);
    if (memcmp(&asked, &before, sizeof asked) == 0)
        return 0;
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        fields[i] = dialog_get(d, i);
    bool any = asked.least_ms || asked.most_ms;
    fields[FIELD_PACE] = (struct text){(char *)&asked, any ? sizeof asked : sizeof asked.begun_s};
    return dialog_set(c, d, fields);
}

uint64_t serve_pace_earliest_ms(const struct core *c, const struct dialog *d, bool must)
{
    struct serve_pace pace;
    if (!d->notified_ms)
        return 0;
    serve_pace(c, d, &pace);
    uint32_t own_ms = pace_policy_ms(c, d);
    return d->notified_ms + (must ? own_ms : pace_larger(own_ms, pace.least_ms));
}

void serve_pace_notified(const struct core *c, struct dialog *d)
{
    uint64_t since_ms = c->now_ms > d->notified_ms ? c->now_ms - d->notified_ms : 0;
    uint64_t made_up = since_ms / SERVE_INTERVAL_MS;
    d->hurry = d->hurry > made_up ? (uint8_t)(d->hurry - made_up) : 0;
    if (d->hurry < SERVE_HURRY_MAX)
        d->hurry++;
    d->notified_ms = c->now_ms;
}
