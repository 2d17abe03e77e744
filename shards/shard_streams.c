// The streams of a shard: taken over from the connector, lost, given up; and what all shards are
// told.
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "shards/log.h"
#include "shards/shard_inner.h"

// A transaction's 64*T1 with T1 at its default, and a little.
struct shard_tuning shard_tuning = {.unwanted_stream_ms = 35000};

void shard_map_streams(struct shard *s)
{
    unsigned connection = s->index % s->connections;
    for (s->n_names = 0; s->n_names <= CORE_DOMAINS_MAX; s->n_names++) {
        struct text name = core_domain_name(s->core, (unsigned)s->n_names);
        if (!name.n)
            return;
        s->stream_of[s->n_names] = stream_table_find(s->table, name, connection);
        assert(s->stream_of[s->n_names] != STREAM_NONE); // main puts names there before it tells us
    }
}

// Whether the core knows the stream's domain.
static bool is_mapped(const struct shard *s, uint32_t stream)
{
    for (size_t i = 0; i < s->n_names; i++)
        if (s->stream_of[i] / s->connections == stream / s->connections)
            return true;
    return false;
}

static void step_stream(struct shard *s, uint32_t stream)
{
    struct event ev = {.kind = s->up[stream] ? EVENT_STREAM_UP : EVENT_STREAM_DOWN};
    for (size_t i = 0; i < s->n_names; i++) {
        if (s->stream_of[i] != stream)
            continue;
        ev.domain = core_domain_name(s->core, (unsigned)i);
        shard_step(s, &ev);
    }
}

void shard_tell_streams(struct shard *s)
{
    for (size_t i = 0; i < s->n_names; i++)
        if (s->up[s->stream_of[i]])
            step_stream(s, s->stream_of[i]);
}

void shard_told_stream(struct shard *s, uint32_t stream, bool up)
{
    s->up[stream] = up;
    step_stream(s, stream);
}

static bool sends_to(const struct shard *s, unsigned shard, uint32_t stream)
{
    return shard % s->connections == stream % s->connections;
}

void shard_tell_others(struct shard *s, uint32_t stream)
{
    struct message_stream m = {
        .kind = s->homed_by[stream] ? MESSAGE_STREAM_UP : MESSAGE_STREAM_DOWN, .stream = stream};
    for (unsigned i = 0; i < s->shards; i++)
        if (i != s->index && sends_to(s, i, stream) &&
            fabric_send(&s->end, i, &m, sizeof m, (struct text){0}))
            shard_owe(s, stream, SHARD_OWED_OTHERS);
}

// Those that send to it, this one perhaps among them.
static void tell_shards(struct shard *s, uint32_t stream)
{
    if (sends_to(s, s->index, stream))
        shard_told_stream(s, stream, s->homed_by[stream]);
    shard_tell_others(s, stream);
}

// Until it knows, it opens no other.
void shard_tell_connector(struct shard *s, uint32_t stream)
{
    struct message_stream m = {.kind = MESSAGE_STREAM_LOST, .stream = stream};
    if (fabric_send(&s->end, fabric_connector(s->end.fabric), &m, sizeof m, (struct text){0}))
        shard_owe(s, stream, SHARD_OWED_CONNECTOR);
}

static bool make_room(struct shard *s)
{
    if (s->n_homed < s->homed_cap)
        return true;
    size_t cap = s->homed_cap ? 2 * s->homed_cap : 8;
    struct shard_stream **homed = realloc(s->homed, cap * sizeof(struct shard_stream *));
    if (!homed)
        return false;
    s->homed = homed;
    s->homed_cap = cap;
    return true;
}

// Takes the descriptor over, also on error.
static struct shard_stream *house_stream(struct shard *s, uint32_t stream, int fd)
{
    struct shard_stream *st = make_room(s) ? calloc(1, sizeof *st) : NULL;
    if (!st) {
        close(fd);
        return NULL;
    }
    st->stream = stream;
    st->wire = (struct shard_wire){.fd = fd, .tag = shard_tag(SHARD_TAG_STREAM, stream)};
    if (xmpp_stream_create(&st->xmpp, fd, &s->limits, shard_route_stanza, s, s->now_ms)) {
        free(st);
        return NULL;
    }
    s->homed[s->n_homed++] = st;
    s->homed_by[stream] = st;
    return st;
}

void shard_take_stream(struct shard *s, const struct message_stream *m)
{
    char domain[STREAM_DOMAIN_BYTES];
    bool wanted = stream_table_wanted(s->table, m->stream, domain) && is_mapped(s, m->stream);
    assert(!s->homed_by[m->stream]);
    struct shard_stream *st = NULL;
    if (wanted)
        st = house_stream(s, m->stream, m->fd);
    else
        close(m->fd); // its domain went while it was being opened, or is not known here yet
    if (!st) {
        const char *why = wanted || !s->core ? "no memory" : "not wanted";
        stream_table_set(s->table, m->stream, false, why, s->now_ms);
        shard_tell_connector(s, m->stream);
        return;
    }
    stream_table_set(s->table, m->stream, true, "", s->now_ms);
    log_info("stream_up", "domain", domain, "shard", LOG_U64(s->index), NULL);
    shard_watch_stream(s, st);
    tell_shards(s, m->stream);
}

static void remove_stream(struct shard *s, struct shard_stream *st)
{
    size_t i = 0;
    while (s->homed[i] != st)
        i++;
    s->homed[i] = s->homed[--s->n_homed];
    s->homed_by[st->stream] = NULL;
    shard_watch(s, &st->wire, 0);
    xmpp_stream_destroy(st->xmpp);
    free(st);
}

// The farewell goes as far as one system call takes it: there is no one left to wait for more.
static void end_stream(struct shard *s, struct shard_stream *st, struct text condition,
                       const char *why)
{
    uint32_t stream = st->stream;
    xmpp_stream_end(st->xmpp, condition);
    xmpp_stream_flush(st->xmpp, s->now_ms);
    remove_stream(s, st);
    stream_table_set(s->table, stream, false, why, s->now_ms);
    tell_shards(s, stream);
    shard_tell_connector(s, stream);
}

void shard_lose_stream(struct shard *s, struct shard_stream *st, int error)
{
    if (!st->error)
        st->error = error;
    s->lost = true;
}

static void bury_stream(struct shard *s, struct shard_stream *st)
{
    char domain[STREAM_DOMAIN_BYTES], why[XMPP_STREAM_WHY_MAX];
    stream_table_wanted(s->table, st->stream, domain);
    xmpp_stream_why(st->xmpp, st->error, why);
    log_warn("stream_lost", "domain", domain, "shard", LOG_U64(s->index), "why", why, NULL);
    end_stream(s, st, xmpp_stream_condition(st->error), why);
}

void shard_bury_streams(struct shard *s)
{
    for (size_t i = s->n_homed; s->lost && i-- > 0;)
        if (s->homed[i]->error)
            bury_stream(s, s->homed[i]); // the last one takes its place, and was looked at already
    s->lost = false;
}

static void give_up_stream(struct shard *s, struct shard_stream *st)
{
    char domain[STREAM_DOMAIN_BYTES];
    stream_table_wanted(s->table, st->stream, domain);
    log_info("stream_closed", "domain", domain, "shard", LOG_U64(s->index), NULL);
    end_stream(s, st, (struct text){0}, "not wanted any more");
}

void shard_look_after_streams(struct shard *s)
{
    for (size_t i = s->n_homed; i-- > 0;) {
        struct shard_stream *st = s->homed[i];
        if (st->end_ms && s->now_ms >= st->end_ms) {
            give_up_stream(s, st);
            continue;
        }
        int error = st->error ? 0 : xmpp_stream_look_after(st->xmpp, s->now_ms);
        if (error)
            shard_lose_stream(s, st, error);
    }
}

// Streams whose domain is not wanted any more stay for as long as it takes to end what goes by
// them.
static void look_at_wishes(struct shard *s)
{
    char domain[STREAM_DOMAIN_BYTES];
    for (size_t i = 0; i < s->n_homed; i++) {
        struct shard_stream *st = s->homed[i];
        if (stream_table_wanted(s->table, st->stream, domain))
            st->end_ms = 0;
        else if (!st->end_ms)
            st->end_ms = s->now_ms + shard_tuning.unwanted_stream_ms;
    }
}

// Between two turns: no effect of the old trust list, which names domains by index, is left.
void shard_apply_settings(struct shard *s, struct settings *settings)
{
    assert(s->fx.n == 0);
    static _Thread_local uint32_t before[CORE_DOMAINS_MAX + 1];
    size_t n_before = s->n_names;
    memcpy(before, s->stream_of, n_before * sizeof *before);
    settings_destroy(s->settings);
    s->settings = settings;
    settings->core.draining = shard_is_closed(s);
    if (!s->core) { // the next one is made with these
        look_at_wishes(s);
        return;
    }
    core_set_settings(s->core, &settings->core);
    int error = core_set_trust(s->core, &settings->trust);
    if (error == ENOMEM)
        s->fx.failed = true; // a part of the list is in force: a new core gets the whole
    else if (error)
        log_error("settings_refused", "shard", LOG_U64(s->index), "why", strerror(error), NULL);
    shard_map_streams(s);
    for (size_t i = 0; i < s->n_names; i++) {
        size_t old = 0;
        while (old < n_before && before[old] != s->stream_of[i])
            old++;
        // It may have come up before this shard's core knew its domain.
        if (old == n_before && s->up[s->stream_of[i]])
            step_stream(s, s->stream_of[i]);
    }
    look_at_wishes(s);
}

static bool farewell_is_out(struct shard *s)
{
    bool out = true;
    for (size_t i = 0; i < s->n_homed; i++) {
        struct shard_stream *st = s->homed[i];
        if (!st->error && xmpp_stream_flush(st->xmpp, s->now_ms))
            st->error = EPIPE;
        out = out && (st->error || !xmpp_stream_backlog(st->xmpp));
    }
    return out;
}

void shard_farewell(struct shard *s)
{
    uint64_t until_ms = clock_now_ms(s->clock) + SHARD_FAREWELL_MS;
    for (size_t i = 0; i < s->n_homed; i++)
        xmpp_stream_end(s->homed[i]->xmpp, (struct text){0});
    while (!farewell_is_out(s) && clock_now_ms(s->clock) < until_ms)
        poll(NULL, 0, 5);
    while (s->n_homed) {
        stream_table_set(s->table, s->homed[0]->stream, false, "the gateway has stopped",
                         s->now_ms);
        remove_stream(s, s->homed[0]);
    }
}
