// How a shard's core comes to be: at the start, and again when memory has run out.
//
//   start ──▶ core made ─▶ records restored ─▶ streams that are up are told ─▶ turns
//                 ▲                                                              │
//                 │                                    memory ran out within one │
//                 │                                                              ▼
//                 └──────────── nothing of that turn is kept, the core destroyed ◀─┐
//                                                      │                           │
//                                                      └───────────────────────────┘
//                                          once a second, while there is still too little
//
// A core that could not get memory has done a part of what it was about to do, and nobody can tell
// which; so it is not gone on with. Its effects were neither committed nor released, and so nobody
// was told of them: to throw the turn and the core away and to begin with what is stored is a crash
// like any other, and those are survived. Only that this one ends one shard's core, and neither the
// process nor the other shards, nor any stream or port.
//
// What the core was told in that turn is lost, as if the network had lost it, and with the core
// goes what it knew beyond its records. SIP requests over UDP are sent again; over TCP and TLS
// their sender waits for its transaction's end and then does what it does without an answer, and
// our own requests were forgotten before: a dialog in doubt is settled at its refresh. Stanzas
// nobody sends again; the streams stay open all the same. A component that comes back is told
// nothing anew by its server (neither Prosody nor ejabberd keeps anything for it), so to end its
// stream would only lose what is on the way as well, and that of other shards. It is the resync
// that makes good what was lost: each domain whose stream is up is told to the new core as one that
// has just come up, so it asks whether each user is there and says what it last knew.
//
// A birth reads the whole store and asks about each user; so when memory runs out again within a
// second of one, that second is waited for as if the birth had failed.
//
// While there is no core the shard's own wires are not read. Its rings are: other shards speak by
// its wires, and a full ring would hold them up. What was for its core is dropped then.
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "shards/log.h"
#include "shards/shard_inner.h"

// What of the configuration stays as it was at the start. Texts are in the same piece of memory.
struct shard_origin {
    struct core_config core; // without settings and trust
    struct core_realm realms[CORE_REALMS_MAX];
    char bytes[];
};

enum { ORIGIN_TEXTS_MAX = 4 + 3 * CORE_REALMS_MAX };

static size_t origin_texts(struct shard_origin *o, struct text *at[ORIGIN_TEXTS_MAX])
{
    size_t n = 0;
    at[n++] = &o->core.gateway_domain;
    at[n++] = &o->core.advertise;
    at[n++] = &o->core.proxy_uri;
    at[n++] = &o->core.proxy_name;
    for (size_t i = 0; i < o->core.n_realms; i++) {
        at[n++] = &o->realms[i].realm;
        at[n++] = &o->realms[i].user;
        at[n++] = &o->realms[i].password;
    }
    return n;
}

static struct shard_origin *origin_copy(struct shard_origin *from)
{
    struct text *text[ORIGIN_TEXTS_MAX];
    size_t n_texts = origin_texts(from, text), n = 0;
    for (size_t i = 0; i < n_texts; i++)
        n += text[i]->n;
    struct shard_origin *o = malloc(sizeof *o + n);
    if (!o)
        return NULL;
    *o = *from;
    char *at = o->bytes;
    origin_texts(o, text);
    for (size_t i = 0; i < n_texts; i++) {
        if (text[i]->n)
            memcpy(at, text[i]->p, text[i]->n);
        text[i]->p = at;
        at += text[i]->n;
    }
    o->core.realms = o->realms;
    return o;
}

int shard_conceive(struct shard *s, const struct shard_setup *setup)
{
    struct shard_origin o = {
        .core = {.shard = setup->index,
                 .shards = s->shards,
                 .shard_port = (uint16_t)(setup->cfg->sip.shard_port + setup->index)}};
    int error = settings_create(&s->settings, setup->cfg);
    if (error)
        return error;
    settings_fill_core(&o.core, o.realms, setup->cfg, s->settings);
    memcpy(o.core.key, store_key(setup->store), sizeof o.core.key);
    memcpy(s->strangers.key, store_key(setup->store), sizeof s->strangers.key);
    s->id_above = store_next_id(setup->store);
    s->origin = origin_copy(&o);
    return s->origin ? 0 : ENOMEM;
}

static int fail(struct store_error *why, const char *what, int error)
{
    snprintf(why->text, sizeof why->text, "%s: %s", what, strerror(error));
    return error;
}

static int make_core(struct shard *s, struct store_error *why)
{
    struct core_config core = s->origin->core;
    core.settings = s->settings->core;
    core.trust = s->settings->trust;
    core.first_id = s->id_above;
    if (getrandom(&core.seed, sizeof core.seed, 0) != sizeof core.seed)
        return fail(why, "getrandom", errno);
    int error = core_create(&s->core, &core);
    return error ? fail(why, "shard", error) : 0;
}

static int restore_one(void *arg, uint64_t id, struct text record)
{
    struct shard *s = arg;
    return core_restore(s->core, id, record, s->now_ms);
}

static int restore(struct shard *s, struct store_error *why)
{
    int error = store_shard_scan(s->store, restore_one, s);
    if (!error)
        return 0;
    if (error == ENOMEM)
        return fail(why, "shard", error);
    snprintf(why->text, sizeof why->text, "the store of shard %u can't be restored: %s", s->index,
             error == ENOTSUP ? "it was written by a newer version" : strerror(error));
    return error;
}

int shard_bear(struct shard *s, struct store_error *why)
{
    assert(!s->core && !s->fx.n);
    int error = make_core(s, why);
    if (error || (error = restore(s, why)))
        return error;
    shard_map_streams(s);
    shard_tell_streams(s);
    return shard_collect(s) ? 0 : fail(why, "shard", ENOMEM);
}

// Its counters go on, so that none goes back; what is there to be counted is the next one's.
static void bury_core(struct shard *s)
{
    if (s->core)
        shard_add_counters(&s->core_before, core_stats(s->core));
    core_destroy(s->core);
    s->core = NULL;
    s->n_names = 0; // nobody to be told of a stream
    effects_free(&s->fx);
    effects_init(&s->fx);
    s->n_changes = 0;
}

static void rebirth_failed(struct shard *s, const struct store_error *why, bool again)
{
    bury_core(s);
    s->retry_ms = s->now_ms + SHARD_REBIRTH_RETRY_MS;
    if (!again)
        log_error("shard_down", "shard", LOG_U64(s->index), "why", why->text, NULL);
    shard_set_failing(s, why->text);
}

bool shard_rebear(struct shard *s)
{
    struct store_error why = {0};
    bool again = !s->core, too_soon = s->core && s->now_ms < s->reborn_ms + SHARD_REBIRTH_RETRY_MS;
    bury_core(s);
    if (too_soon ? fail(&why, "shard", ENOMEM) : shard_bear(s, &why)) {
        rebirth_failed(s, &why, again);
        return false;
    }
    s->reborn_ms = s->now_ms;
    s->count.rebirths_total++;
    shard_set_working(s);
    log_warn("shard_reborn", "shard", LOG_U64(s->index), "why", "out of memory", NULL);
    return true;
}
