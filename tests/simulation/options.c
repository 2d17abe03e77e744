// The draw of a world's options, and their block in a report.
#include "options.h"

static unsigned pick(struct world *w, const unsigned *v, unsigned n)
{
    return v[world_below(w, n)];
}
#define PICK(w, ...)                                                                               \
    pick((w), (const unsigned[]){__VA_ARGS__},                                                     \
         sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void draw_times(struct world *w, struct options *o)
{
    o->expires_s = world_between(w, 60, 600);
    o->device_expires_s = world_between(w, 60, 600);
    o->min_expires_s = 60;
    o->max_expires_s = world_between(w, 300, 900);
    o->server_expires_s = world_chance(w, 500) ? 3600 : world_between(w, 60, 300);
    o->server_min_expires_s = world_chance(w, 200) ? world_between(w, 60, 300) : 0;
    o->probe_timeout_s = world_between(w, 2, 15);
    o->window_s = PICK(w, 1, 10, 60, 120);
    o->t1_ms = PICK(w, 100, 500, 500);
    o->notify_interval_ms = PICK(w, 0, 0, 500, 5000);
}

static void draw_faults(struct world *w, struct options *o)
{
    o->loss = PICK(w, 0, 10, 50, 200, 400);
    o->dup = PICK(w, 0, 10, 100);
    o->slow = PICK(w, 0, 10, 200);
    o->slow_ms = PICK(w, 50, 1000, 10000);
    o->crash = PICK(w, 0, 0, 20, 60);
    o->stream_break = PICK(w, 0, 10, 60);
    o->partition = PICK(w, 0, 10, 40);
    o->unreachable = PICK(w, 0, 10, 60);
    o->server_restart = PICK(w, 0, 10, 40);
    o->sip_errors = PICK(w, 0, 10, 100);
    o->commit_fails = PICK(w, 0, 0, 20);
    o->store_full = PICK(w, 0, 0, 0, 10);
    o->power_failure = PICK(w, 0, 0, 0, 400);
    o->clock = PICK(w, 0, 0, 0, 10);
    o->rogue = PICK(w, 0, 0, 0, 0, 50, 300);
    o->batch = PICK(w, 1, 4, 16);
}

// Most worlds are small and dense: everybody may watch everybody, and that finds most.
static void draw_small(struct world *w, struct options *o)
{
    o->xmpp_users = PICK(w, 1, 1, 2, 3, 5, 10);
    o->sip_users = PICK(w, 1, 1, 2, 3, 5, 10);
    o->minutes = PICK(w, 5, 15, 40);
    o->acts = (o->xmpp_users + o->sip_users) * world_between(w, 6, 24);
}

// Some are large, each user with a few contacts. Then what is due for one is rare, and what is due
// for all at once is much.
static void draw_large(struct world *w, struct options *o, unsigned users)
{
    o->xmpp_users = users ? users : PICK(w, 50, 100, 200, 400, 1000, 2000);
    o->sip_users = users || world_chance(w, 500) ? o->xmpp_users : o->xmpp_users / 2;
    o->contacts = world_between(w, 1, 3);
    o->minutes = PICK(w, 5, 15);
    o->acts = (o->xmpp_users + o->sip_users) * (o->xmpp_users > 500 ? 2 : world_between(w, 2, 6));
    o->expires_s = world_between(w, 600, 1800);
    o->device_expires_s = world_between(w, 600, 1800);
    o->max_expires_s = world_between(w, 1800, 3600);
    o->server_expires_s = world_chance(w, 500) ? 3600 : world_between(w, 300, 900);
}

static void draw_shape(struct world *w, struct options *o, unsigned users)
{
    enum { LARGE_IN_1000 = 50, SMALL_USERS = 10 };
    bool large = world_chance(w, LARGE_IN_1000);
    if (users > SMALL_USERS || (large && !users)) {
        draw_large(w, o, users);
        return;
    }
    draw_small(w, o);
    if (users)
        o->xmpp_users = o->sip_users = users;
}

// What comes from servers that have other ideas, and from the operator.
static void draw_strain(struct world *w, struct options *o)
{
    o->overload = PICK(w, 0, 0, 0, 20);
    o->draining = PICK(w, 0, 0, 0, 20);
    o->trust = PICK(w, 0, 0, 0, 10);
    o->absurd = PICK(w, 0, 0, 0, 0, 0, 0, 50);
    o->forked = PICK(w, 0, 0, 0, 200);
    o->other_client = PICK(w, 0, 0, 20);
    // Of those who are never asked nobody could know that they are gone, if her server's last words
    // are lost.
    o->deleted = o->exempt ? 0 : PICK(w, 0, 0, 10);
}

// Of a chance of its own, so that a world without it is the same as before there was such a thing.
static void draw_rings(struct world *w, struct options *o)
{
    struct world_chance_kept kept = world_chance_of(w, UINT64_MAX);
    o->rings = PICK(w, 0, 0, 1, 5);
    world_chance_end(w, kept);
}

void options_draw(struct world *w, unsigned users)
{
    struct options *o = &w->opt;
    o->shards = PICK(w, 1, 2, 3, 5);
    draw_times(w, o);
    draw_faults(w, o);
    draw_shape(w, o, users);
    o->exempt = world_chance(w, 150);
    // Not with stores that are full for minutes: the gateway then ends an authorization and begins
    // it anew within one turn, and cannot know which of the two her server's presence was for.
    o->unsubscribe_on_expiry = world_chance(w, 250) && !o->store_full;
    o->ejabberd = world_chance(w, 500);
    o->tcp = world_chance(w, 250);
    o->record_route = world_chance(w, 300);
    o->notify_first = world_chance(w, 300);
    o->rejects_with_200 = world_chance(w, 300);
    o->gateway_domain = world_chance(w, 750);
    o->stranger_answers = world_chance(w, 250);
    o->digest = world_chance(w, 250);
    o->memory = PICK(w, 0, 0, 0, 20);
    draw_strain(w, o);
    draw_rings(w, o);
}

void options_print(const struct options *o, FILE *to)
{
    fprintf(
        to,
        "options:\n"
        "  shards %u, xmpp users %u (%s), sip users %u, contacts of each %u (0: all)\n"
        "  %u acts in %u min, batch %u\n"
        "  expires %u, max %u, devices ask for %u, presence server grants %u, at least %u s\n"
        "  probe timeout %u, window %u s, exempt %d, gateway's own domain %d, answered %d\n"
        "  t1 %u, notify interval %u ms, on expiry %s\n"
        "  in 1000: loss %u, dup %u, slow %u (%u ms), crash %u, stream break %u, partition %u,\n"
        "    unreachable %u, sip server restart %u, sip errors %u\n"
        "    commit fails %u, store full %u, power failure (of a death) %u, clock %u, rogue %u\n"
        "  tcp %d, record-route %d, notify first %d, rejects with 200 %d, digest %d, memory %u, rings %u\n"
        "  overload %u, draining %u, trust %u, absurd %u, forked %u, other client %u, deleted %u\n",
        o->shards, o->xmpp_users, o->ejabberd ? "ejabberd" : "prosody", o->sip_users, o->contacts,
        o->acts, o->minutes, o->batch, o->expires_s, o->max_expires_s, o->device_expires_s,
        o->server_expires_s, o->server_min_expires_s, o->probe_timeout_s, o->window_s, o->exempt,
        o->gateway_domain, o->stranger_answers, o->t1_ms, o->notify_interval_ms,
        o->unsubscribe_on_expiry ? "unsubscribe" : "keep", o->loss, o->dup, o->slow, o->slow_ms,
        o->crash, o->stream_break, o->partition, o->unreachable, o->server_restart, o->sip_errors,
        o->commit_fails, o->store_full, o->power_failure, o->clock, o->rogue, o->tcp,
        o->record_route, o->notify_first, o->rejects_with_200, o->digest, o->memory, o->rings,
        o->overload, o->draining, o->trust, o->absurd, o->forked, o->other_client, o->deleted);
}
