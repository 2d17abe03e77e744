// Acts and faults, drawn one after the other.
#include "acts.h"

#include <stdarg.h>

#include "gateway_live.h"
#include "net.h"
#include "rogue.h"
#include "sip_model.h"
#include "xmpp_model.h"

FILE *acts_words;

static uint64_t act_number; // of what is being done

static void act_note(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void act_note(struct world *w, const char *format, ...)
{
    char line[200];
    uint64_t t = w->now_ms - w->begin_ms;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    world_note(w, "#### act %llu: %s", (unsigned long long)act_number, line);
    if (acts_words)
        fprintf(acts_words, "%6llu.%03llu  act %llu: %s\n", (unsigned long long)(t / 1000),
                (unsigned long long)(t % 1000), (unsigned long long)act_number, line);
}

enum { FAULTS_AT_MOST = 400 }; // of each kind, times its rate

static const char *const sip_tuple[] = {"ID-1", "desk phone", "mob;ile"};

static void act_xmpp(struct world *w, unsigned x, unsigned s)
{
    static const char *const words[12] = {
        "logs in",    "logs in",    "logs out",          "changes",  "changes",  "subscribes",
        "subscribes", "subscribes", "unsubscribes from", "approves", "approves", "rejects"};
    unsigned session = world_below(w, WORLD_RESOURCES_MAX), what = world_below(w, 12);
    act_note(w, "%s %s %s", w->xmpp->user[x].jid, words[what],
             what < 5 ? xmpp_resource[session] : sip_jid(w, s));
    switch (what) {
    case 0:
    case 1: xmpp_log_in(w, x, session); break;
    case 2: xmpp_log_out(w, x, session); break;
    case 3:
    case 4: xmpp_change(w, x, session); break;
    case 5:
    case 6:
    case 7: xmpp_subscribe(w, x, s); break;
    case 8: xmpp_unsubscribe(w, x, s); break;
    case 9:
    case 10: xmpp_approve(w, x, s); break;
    default: xmpp_reject(w, x, s); break;
    }
}

static void act_approvals(struct world *w)
{
    enum { AT_ONCE = 100 };
    size_t n = pair_count(w), first = n > AT_ONCE ? world_below(w, (uint32_t)n) : 0;
    for (size_t i = 0; i < n && i < AT_ONCE; i++) {
        const struct pair *p = pair_at(w, (first + i) % n);
        if (world_chance(w, 600))
            xmpp_approve(w, p->x, p->s);
    }
}

static void act_sip(struct world *w, unsigned s, unsigned x)
{
    static const char *const words[14] = {
        "publishes for", "publishes for", "publishes for", "unpublishes for", "accepts",
        "accepts",       "refuses",       "watches",       "watches",         "watches",
        "ends with",     "vanishes from", "asks winfo of", "fetches"};
    unsigned d = world_below(w, SIP_DEVICES_MAX), what = world_below(w, 14);
    act_note(w, "%s device %u %s %s", sip_jid(w, s), d, words[what], w->xmpp->user[x].jid);
    switch (what) {
    case 0:
    case 1:
    case 2: sip_publish(w, s, sip_tuple[world_below(w, 3)]); break;
    case 3: sip_unpublish(w, s, sip_tuple[world_below(w, 3)]); break;
    case 4:
    case 5: sip_authorize(w, s, x, AUTH_ACTIVE); break;
    case 6: sip_authorize(w, s, x, world_chance(w, 700) ? AUTH_REJECTED : AUTH_PENDING); break;
    case 7:
    case 8:
    case 9: sip_device_subscribe(w, s, d, x); break;
    case 10: sip_device_end(w, s, d, x); break;
    case 11: sip_device_vanish(w, s, d, x); break;
    case 12: sip_device_winfo(w, s, x); break;
    default: sip_device_fetch(w, s, x); break;
    }
}

// More new work at once than a shard takes while its input waits; and honest work among it.
static void overload_comes(struct world *w, const struct happening *h)
{
    enum { FLOOD = 30, HONEST = 8 };
    unsigned x = (unsigned)h->what, s = pair_contact(w, x);
    if (w->calm)
        return;
    for (unsigned i = 0; i < FLOOD; i++) {
        sip_device_fetch(w, s, x);
        xmpp_say(w, 0, "<presence from='%s/flood' to='%s' type='probe'/>", w->xmpp->user[x].jid,
                 sip_jid(w, s));
    }
    for (unsigned i = 0; i < HONEST; i++) {
        x = world_below(w, w->opt.xmpp_users);
        xmpp_subscribe(w, x, pair_contact(w, x));
        sip_device_subscribe(w, pair_contact(w, x), world_below(w, SIP_DEVICES_MAX), x);
    }
}

static void act_overload(struct world *w)
{
    enum { FIRST_MS = 250, BETWEEN_MS = 1500, WAVES = 2 };
    unsigned x = world_below(w, w->opt.xmpp_users);
    act_note(w, "the gateway can't follow, and much comes from %s", w->xmpp->user[x].jid);
    gateway_lag(w, world_between(w, 150, 2000), world_between(w, 2000, 30000));
    for (unsigned i = 0; i < WAVES; i++)
        world_in(w, FIRST_MS + i * BETWEEN_MS, overload_comes, NULL, x);
}

static void act_operator(struct world *w)
{
    const struct options *o = &w->opt;
    if (world_fault(w, FAULT_LAG, o->overload))
        act_overload(w);
    if (world_fault(w, FAULT_DRAINING, o->draining)) {
        act_note(w, "no new work is wanted");
        gateway_drain(w, world_between(w, 1000, world_chance(w, 300) ? 300000 : 60000));
    }
    if (world_fault(w, FAULT_SETTINGS, o->draining)) {
        act_note(w, "settings change");
        gateway_reconfigure(w);
    }
    if (world_fault(w, FAULT_DISTRUST, o->trust)) {
        act_note(w, "somebody is not trusted any more");
        gateway_distrust(w, 1 + world_below(w, 3),
                         world_between(w, 1000, world_chance(w, 300) ? 600000 : 60000));
    }
}

// What her server does of its own accord, or for another client of hers.
static void act_accounts(struct world *w)
{
    unsigned x = world_below(w, w->opt.xmpp_users), s = pair_contact(w, x);
    if (world_fault(w, FAULT_APPROVED_UNASKED, w->opt.other_client)) {
        act_note(w, "%s may see %s, who did not ask", sip_jid(w, s), w->xmpp->user[x].jid);
        xmpp_approve_unasked(w, x, s);
    }
    if (world_fault(w, FAULT_CONTACT_REMOVED, w->opt.other_client)) {
        act_note(w, "%s removes %s", w->xmpp->user[x].jid, sip_jid(w, s));
        xmpp_remove(w, x, s);
    }
    if (world_fault(w, FAULT_ACCOUNT_DELETED, w->opt.deleted)) {
        act_note(w, "the account %s is deleted", w->xmpp->user[x].jid);
        xmpp_delete(w, x, world_chance(w, 300));
    }
}

static void act_fault(struct world *w)
{
    const struct options *o = &w->opt;
    if (world_chance(w, o->crash)) {
        act_note(w, "the gateway is to die");
        gateway_plan_death(w);
    }
    if (world_fault(w, FAULT_STORE_FULL, o->store_full))
        gateway_store_full(w, world_between(w, 1000, 300000));
    if (world_fault(w, FAULT_CLOCK_LEAP, o->clock))
        gateway_clock_leap(w, world_between(w, 1000, world_chance(w, 300) ? 7200000 : 120000));
    if (world_fault(w, FAULT_CLOCK_STOP, o->clock))
        gateway_suspend(w, world_between(w, 1000, world_chance(w, 300) ? 600000 : 60000));
    if (world_chance(w, o->rogue))
        rogue_act(w);
    if (world_fault(w, FAULT_STREAM_BREAK, o->stream_break)) {
        act_note(w, "a stream breaks");
        net_stream_break(w, world_below(w, GATEWAY_STREAMS));
    }
    if (world_fault(w, FAULT_PARTITION, o->partition)) {
        act_note(w, "SIP is cut off");
        net_partition(w, world_between(w, 1000, world_chance(w, 200) ? 300000 : 40000));
    }
    if (world_fault(w, FAULT_UNREACHABLE, o->unreachable)) {
        act_note(w, "the link is cut off");
        xmpp_link_down(w, world_between(w, 1000, world_chance(w, 200) ? 300000 : 40000));
    }
    if (world_fault(w, FAULT_SERVER_RESTART, o->server_restart)) {
        act_note(w, "the presence server restarts");
        sip_server_restart(w);
    }
    if (world_fault(w, FAULT_SERVER_ENDS_ONE, o->server_restart + o->absurd)) {
        act_note(w, "the presence server ends a dialog");
        sip_server_ends_one(w);
    }
    act_operator(w);
    act_accounts(w);
}

// 3. None of these may cost the other side a packet.
static void act_stranger(struct world *w, unsigned x, unsigned s)
{
    static const char *const type[] = {"subscribe", "probe", "unsubscribe", "subscribed",
                                       "unavailable"};
    act_note(w, "a stranger comes");
    if (world_chance(w, 500))
        sip_stranger(w, x, world_chance(w, 500));
    else
        xmpp_say(w, 0, "<presence from='tybalt@foreign.example/x' to='%s' type='%s'/>",
                 sip_jid(w, s), type[world_below(w, 5)]);
}

static void act_people(struct world *w, unsigned x, unsigned s)
{
    if (world_fault(w, FAULT_STRANGER, 20))
        act_stranger(w, x, s);
    if (world_chance(w, 100))
        act_approvals(w);
    if (world_chance(w, 500))
        act_xmpp(w, x, s);
    else
        act_sip(w, s, x);
}

static bool act_is_off(const struct world *w, uint64_t number)
{
    return number < w->n_acts_off && w->acts_off[number];
}

static void act(struct world *w, const struct happening *h)
{
    uint64_t people = 2 * h->what, faults = people + 1;
    if (w->calm)
        return;
    struct world_chance_kept kept = world_chance_of(w, faults);
    act_number = faults;
    // No more often in a large world: its acts are many, and each fault strikes all.
    if (!act_is_off(w, faults) && h->what % (1 + w->opt.acts / FAULTS_AT_MOST) == 0)
        act_fault(w);
    act_number = people;
    world_chance_of(w, people);
    unsigned x = world_below(w, w->opt.xmpp_users), s = pair_contact(w, x);
    if (!act_is_off(w, people))
        act_people(w, x, s);
    world_chance_end(w, kept);
}

uint64_t acts_arrange(struct world *w)
{
    uint32_t span_ms = w->opt.minutes * 60000;
    for (unsigned x = 0; x < w->opt.xmpp_users; x++)
        xmpp_log_in(w, x, 0);
    for (unsigned s = 0; s < w->opt.sip_users; s++)
        sip_publish(w, s, sip_tuple[0]);
    for (uint64_t i = 0; i < w->opt.acts; i++)
        world_in(w, world_chance(w, 300) ? world_below(w, span_ms / 10) : world_below(w, span_ms),
                 act, NULL, i);
    return w->now_ms + span_ms;
}

void acts_calm(struct world *w)
{
    world_note(w, "==== calm");
    w->calm = true;
    w->calm_ms = w->now_ms;
    w->net->partition_ms = 0;
    w->gateway->death_in = 0;
    w->gateway->full_until_ms = 0;
    gateway_live_calm(w);
}

static void change(struct world *w, const struct happening *h)
{
    (void)h;
    for (unsigned x = 0; x < w->opt.xmpp_users; x++)
        xmpp_change(w, x, world_below(w, WORLD_RESOURCES_MAX));
    for (unsigned s = 0; s < w->opt.sip_users; s++) {
        const char *tuple = sip_tuple[world_below(w, 3)];
        if (view_has(&w->sip->user[s].own, tuple))
            sip_publish(w, s, tuple);
    }
}

void acts_change_all(struct world *w)
{
    world_note(w, "==== change");
    for (unsigned i = 0; i < 6; i++)
        world_in(w, i * 1, change, NULL, 0); // faster than a NOTIFY is answered
}

void acts_log_off_all(struct world *w)
{
    world_note(w, "==== all log off");
    for (unsigned x = 0; x < w->opt.xmpp_users; x++) {
        struct xmpp_user *u = &w->xmpp->user[x];
        u->slept = 0;
        for (unsigned i = 0; i < WORLD_RESOURCES_MAX; i++) {
            u->slept |= (unsigned)u->open[i] << i;
            xmpp_log_out(w, x, i);
        }
    }
}

void acts_log_on_all(struct world *w)
{
    world_note(w, "==== all log on");
    for (unsigned x = 0; x < w->opt.xmpp_users; x++)
        for (unsigned i = 0; i < WORLD_RESOURCES_MAX; i++)
            if (w->xmpp->user[x].slept >> i & 1)
                xmpp_log_in(w, x, i);
}

void acts_end_all(struct world *w)
{
    world_note(w, "==== the end of all");
    for (unsigned x = 0; x < w->opt.xmpp_users; x++) {
        xmpp_log_in(w, x, 0);
        for (struct pair *p = pair_first_of_x(w, x); p; p = p->next_of_x)
            xmpp_unsubscribe(w, x, p->s);
    }
    for (size_t i = 0; i < pair_count(w); i++)
        for (unsigned d = 0; d < SIP_DEVICES_MAX; d++) {
            struct pair *p = pair_at(w, i);
            sip_device_end(w, p->s, d, p->x);
            if (p->device[d].wanted)
                sip_device_vanish(w, p->s, d, p->x);
        }
}
