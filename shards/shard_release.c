// Commit and out: the turn's changes become durable, and only then do its words leave.
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shards/log.h"
#include "shards/shard_inner.h"

void shard_set_failing(struct shard *s, const char *why)
{
    pthread_mutex_lock(&s->failing_mutex);
    snprintf(s->failing, sizeof s->failing, "%s", why);
    pthread_mutex_unlock(&s->failing_mutex);
}

static bool make_room(struct shard *s)
{
    if (s->change_cap >= s->fx.n)
        return true;
    free(s->change);
    s->change_cap = 2 * s->fx.n;
    s->change = malloc(s->change_cap * sizeof *s->change);
    if (!s->change)
        s->change_cap = 0;
    return s->change;
}

// If effects are missing, none may be committed: the core has gone on as if they were there.
bool shard_collect(struct shard *s)
{
    s->n_changes = 0;
    if (s->fx.failed || !make_room(s))
        return false;
    for (size_t i = 0; i < s->fx.n; i++) {
        const struct effect *e = &s->fx.v[i];
        if (e->kind == EFFECT_PUT)
            s->change[s->n_changes++] =
                (struct store_change){e->id, effect_text(&s->fx, e), e->fresh};
        else if (e->kind == EFFECT_DELETE)
            s->change[s->n_changes++] = (struct store_change){.id = e->id};
        else
            continue;
        s->id_above = e->id >= s->id_above ? e->id + 1 : s->id_above;
    }
    return true;
}

static const char cramped_text[] = "store: its disk is nearly full: new subscriptions are refused";

void shard_set_working(struct shard *s)
{
    shard_set_failing(s, s->store_lost[0] ? s->store_lost : s->cramped ? cramped_text : "");
}

// Before the wall: whoever is new hears an honest no, and the rest of the disk is for those who are
// there, whose records change all the time.
static bool look_at_room(struct shard *s)
{
    bool cramped = store_shard_is_cramped(s->store, s->cramped);
    if (cramped == s->cramped)
        return false;
    s->cramped = cramped;
    if (cramped)
        log_warn("store_nearly_full", "shard", LOG_U64(s->index), NULL);
    else
        log_info("store_has_room", "shard", LOG_U64(s->index), NULL);
    return true;
}

// Those who are there are served on. Were commits to fail from now on, they would be out of service
// as well, and nothing would be won: what they were promised went with the file, or comes back with
// it, and then with all that was written since. But nobody is to be promised anything new.
static bool look_at_place(struct shard *s)
{
    char lost[sizeof s->store_lost] = "";
    struct store_error why;
    if (store_shard_is_lost(s->store, &why))
        snprintf(lost, sizeof lost, "%.208s: new subscriptions are refused", why.text);
    if (strcmp(lost, s->store_lost) == 0)
        return false;
    memcpy(s->store_lost, lost, sizeof lost);
    s->count.store_lost = lost[0] != '\0';
    if (lost[0])
        log_error("store_lost", "shard", LOG_U64(s->index), "why", why.text, NULL);
    else
        log_info("store_back", "shard", LOG_U64(s->index), NULL);
    return true;
}

void shard_look_after_store(struct shard *s)
{
    bool changed = look_at_room(s);
    changed = look_at_place(s) || changed;
    if (!changed)
        return;
    s->settings->core.draining = shard_is_closed(s);
    if (s->core)
        core_set_settings(s->core, &s->settings->core);
    if (!s->held && s->core)
        shard_set_working(s);
}

static void commit_failed(struct shard *s, int error, const struct store_error *why)
{
    char shard[16];
    const char *text = why->text[0] ? why->text : strerror(error);
    s->count.commit_failures_total++;
    s->retry_ms = s->now_ms + SHARD_COMMIT_RETRY_MS;
    if (s->held)
        return; // said already
    s->held = true;
    shard_set_failing(s, text);
    snprintf(shard, sizeof shard, "%u", s->index);
    log_error("commit_failed", "shard", shard, "why", text, NULL);
}

static void commit_succeeded(struct shard *s)
{
    char shard[16];
    s->count.commits_total++;
    if (!s->held)
        return;
    s->held = false;
    shard_set_working(s);
    snprintf(shard, sizeof shard, "%u", s->index);
    log_info("commit_recovered", "shard", shard, NULL);
}

// A retry commits the very changes that failed: their texts are still in fx.bytes.
bool shard_commit(struct shard *s)
{
    if (!s->n_changes)
        return true; // the hot path: presence touches no disk
    struct store_error why = {0};
    int error = store_shard_commit(s->store, s->change, s->n_changes, &why);
    if (error)
        commit_failed(s, error, &why);
    else
        commit_succeeded(s);
    return !error;
}

static void release_sip(struct shard *s, const struct effect *e)
{
    unsigned owner = shard_owner_of_port(s, e->port);
    struct text bytes = effect_text(&s->fx, e);
    if (owner == s->index) {
        struct port_way way = {
            e->to, e->reopen_port, {s->fx.bytes.p + e->server_name.off, e->server_name.n}};
        shard_send_to_port(s, e->port, &way, bytes);
        return;
    }
    // An answer: the request came to another shard. (What is asked leaves by the asker's own port.)
    // One that is dropped is asked for again.
    struct message_sip head = {
        .kind = MESSAGE_SIP_OUT, .port = e->port, .reopen_port = e->reopen_port, .peer = e->to};
    fabric_send(&s->end, owner, &head, sizeof head, bytes);
}

void shard_send_to_stream(struct shard *s, uint32_t stream, struct text bytes)
{
    struct shard_stream *st = s->homed_by[stream];
    if (!st || st->error) {
        s->count.stanzas_dropped_total++;
        return;
    }
    // With a stanza missing the stream ends: the core says anew what a lost stream may have lost,
    // and of a single stanza nobody would ever know.
    if (!xmpp_stream_send(st->xmpp, bytes)) {
        s->count.stanzas_dropped_total++;
        shard_lose_stream(s, st, ENOBUFS);
        return;
    }
    st->written = true;
}

static void release_stanza(struct shard *s, const struct effect *e)
{
    struct text bytes = effect_text(&s->fx, e);
    assert(e->domain < s->n_names);
    uint32_t stream = s->stream_of[e->domain];
    unsigned home = stream_home(stream, s->connections, s->shards);
    if (home == s->index) {
        shard_send_to_stream(s, stream, bytes);
        return;
    }
    struct message_stream head = {.kind = MESSAGE_STANZA_OUT, .stream = stream};
    if (!fabric_send(&s->end, home, &head, sizeof head, bytes))
        return;
    s->count.stanzas_dropped_total++;
    shard_owe(s, stream, SHARD_OWED_STANZAS);
}

static void release_question(struct shard *s, const struct effect *e)
{
    struct message head = {.kind = MESSAGE_RESOLVE};
    fabric_send(&s->end, fabric_resolver(s->end.fabric), &head, sizeof head,
                effect_text(&s->fx, e));
}

void shard_release(struct shard *s)
{
    for (size_t i = 0; i < s->fx.n; i++) {
        const struct effect *e = &s->fx.v[i];
        if (e->kind == EFFECT_SIP)
            release_sip(s, e);
        else if (e->kind == EFFECT_STANZA)
            release_stanza(s, e);
        else if (e->kind == EFFECT_RESOLVE)
            release_question(s, e);
    }
    effects_reset(&s->fx);
    s->n_changes = 0;
}

void shard_flush_port(struct shard *s, struct shard_port *p)
{
    if (!p->port->ops->is_waiting(p->port))
        return;
    p->port->ops->flush(p->port);
    shard_watch_port(s, p);
}

// The shard's own port last: a 200 to a SUBSCRIBE leaves by another one, the NOTIFY that follows it
// by this one. The other order is allowed (RFC 6665 §4.1.2.4), but peers stumble over it.
static void flush_ports(struct shard *s)
{
    for (size_t i = s->n_ports; i-- > 0;)
        if (s->port[i].port)
            shard_flush_port(s, &s->port[i]);
}

static void flush_streams(struct shard *s)
{
    for (size_t i = 0; i < s->n_homed; i++) {
        struct shard_stream *st = s->homed[i];
        if (!st->written || st->error)
            continue;
        st->written = false;
        int error = xmpp_stream_flush(st->xmpp, s->now_ms);
        if (error)
            shard_lose_stream(s, st, error);
        shard_watch_stream(s, st);
    }
}

void shard_flush(struct shard *s)
{
    flush_ports(s);
    flush_streams(s);
}
