// What the inspector sees of the gateway: all of its shards together.
#include "gateway.h"

struct core_stats gateway_stats(const struct world *w)
{
    const struct gateway *g = w->gateway;
    struct core_stats sum = {0};
    for (unsigned i = 0; g->alive && i < g->shards; i++) {
        const uint64_t *from = (const uint64_t *)core_stats(g->shard[i].core);
        for (size_t k = 0; k < sizeof sum / sizeof *from; k++)
            ((uint64_t *)&sum)[k] += from[k];
    }
    return sum;
}

void gateway_each(struct world *w, bool (*each)(void *, const struct core_subscription_view *),
                  void *arg)
{
    static const struct core_filter all = {.direction = -1, .state = -1};
    for (unsigned i = 0; i < w->gateway->shards; i++)
        core_list(w->gateway->shard[i].core, &all, 0, SIZE_MAX, each, arg, gateway_now_ms(w));
}

struct search {
    unsigned found;
    enum core_state state;
};

static bool search_take(void *arg, const struct core_subscription_view *v)
{
    struct search *s = arg;
    if (!s->found++)
        s->state = v->state;
    return true;
}

unsigned gateway_find(struct world *w, const char *xmpp, const char *sip_jid,
                      enum core_direction direction, enum core_state *state)
{
    struct gateway *g = w->gateway;
    struct search s = {0};
    struct core_filter f = {text_of(xmpp), text_of(sip_jid), (int)direction, -1};
    for (unsigned i = 0; i < g->shards; i++)
        core_list(g->shard[i].core, &f, 0, SIZE_MAX, search_take, &s, gateway_now_ms(w));
    *state = s.state;
    return s.found;
}
