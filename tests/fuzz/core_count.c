// Counts what a core holds, by walking it, and compares with its gauges and indexes.
#include "core/state.h"
#include "core_world.h"

struct counts {
    uint64_t users, subs, alive, dialogs, by_state[2][3];
};

static void count_dialogs(const struct core *c, const struct sub *s, uint32_t sub, struct counts *n)
{
    uint64_t before = n->dialogs;
    for (uint32_t h = s->first_dialog; h; h = core_dialog(c, h)->next_of_sub) {
        const struct dialog *d = core_dialog(c, h);
        fuzz_expect(d->sub == sub && d->direction == s->direction, "a dialog of somebody else");
        fuzz_expect(d->cseq <= d->cseq_lease, "CSeq %u, and leased is %u", d->cseq, d->cseq_lease);
        n->dialogs++;
    }
    fuzz_expect(n->dialogs - before == s->n_dialogs, "%u dialogs of a subscription are counted",
                s->n_dialogs);
}

static void count_subs(const struct core *c, uint32_t user, struct counts *n)
{
    const struct user *u = core_user(c, user);
    uint64_t before = n->subs;
    for (uint32_t h = u->first_sub; h; h = core_sub(c, h)->next_of_user) {
        const struct sub *s = core_sub(c, h);
        fuzz_expect(s->user == user, "a subscription of somebody else");
        fuzz_expect(!(s->flags & SUB_UNSAVED), "a record is late");
        fuzz_expect(!(s->flags & SUB_ENDED) || s->first_dialog, "an ended one stays");
        fuzz_expect(((s->flags & SUB_ENDED) != 0) != ((s->flags & SUB_STORED) != 0),
                    "stored and ended, or neither");
        n->subs++;
        if (!(s->flags & SUB_ENDED)) {
            n->alive++;
            n->by_state[s->direction][s->state]++;
        }
        count_dialogs(c, s, h, n);
    }
    fuzz_expect(n->subs - before == u->n_subs, "%u subscriptions of a user are counted", u->n_subs);
}

static uint64_t in_flight(const struct core *c)
{
    uint64_t n = 0;
    for (uint32_t h = 0; (h = pool_after(&c->peers, h));)
        n += ((const struct peer *)pool_at(&c->peers, h))->in_flight;
    return n;
}

static void timers_have_owners(const struct core *c)
{
    uint64_t most = 3 * (uint64_t)c->users.live + c->subs.live + 2 * (uint64_t)c->dialogs.live +
                    c->clients.live + c->servers.live + c->peers.live + c->names.live + 1;
    fuzz_expect(c->wheel.timers.live <= most, "%u timers, at most %llu are of anybody",
                c->wheel.timers.live, (unsigned long long)most);
}

void world_count(const struct core *c)
{
    struct counts n = {0};
    const struct core_stats *s = &c->stats;
    for (uint32_t h = 0; (h = pool_after(&c->users, h));) {
        n.users++;
        count_subs(c, h, &n);
    }
    n.dialogs += c->n_fetches;
    fuzz_expect(n.users == s->users && n.users == c->user_index.n, "users");
    fuzz_expect(n.subs == c->subs.live && n.alive == s->subscriptions, "subscriptions");
    fuzz_expect(n.alive == c->sub_index.n, "the index of subscriptions");
    fuzz_expect(memcmp(n.by_state, s->by_state, sizeof n.by_state) == 0, "states");
    fuzz_expect(n.dialogs == s->dialogs && n.dialogs == c->dialogs.live &&
                    n.dialogs == c->dialog_index.n,
                "dialogs: %llu, %llu, %u, %u", (unsigned long long)n.dialogs,
                (unsigned long long)s->dialogs, c->dialogs.live, c->dialog_index.n);
    fuzz_expect(c->clients.live == s->client_transactions, "client transactions");
    fuzz_expect(c->servers.live == s->server_transactions && c->servers.live == c->server_index.n,
                "server transactions");
    fuzz_expect(c->peers.live == c->peer_index.n && c->names.live == c->name_index.n,
                "peers and names");
    fuzz_expect(in_flight(c) <= c->clients.live, "%llu in flight of %u",
                (unsigned long long)in_flight(c), c->clients.live);
    timers_have_owners(c);
}
