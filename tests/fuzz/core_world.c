// The world around one core: turns as the shard takes them, and what must hold of each.
#include "core_world.h"

#include "core/wire/address.h"
#include "shards/sip_stream_frame.h"

enum { TICKS_MAX = 200 };

static struct sip_parser *parser_in, *parser_out;
static struct stanza_reader *reader_out;

// ---- What the core says

static void keep_stanza(void *arg, const struct stanza *s)
{
    struct world *w = *(struct world **)arg;
    struct world_stanza *k = &w->stanza[w->n_stanzas++ % WORLD_KEPT];
    struct text from = stanza_text(s, s->from), to = stanza_text(s, s->to);
    fuzz_expect(!s->too_big && from.n && to.n, "a stanza without addresses");
    k->is_iq = s->kind == STANZA_IQ;
    snprintf(k->from, sizeof k->from, "%.*s", TEXT_ARG(from));
    snprintf(k->to, sizeof k->to, "%.*s", TEXT_ARG(to));
    snprintf(k->id, sizeof k->id, "%.*s", TEXT_ARG(stanza_text(s, s->id)));
    fuzz_expect(w->may_cross || s->type == STANZA_ERROR, "who is not trusted makes a stanza");
}

// A component speaks only in its own name (XEP-0114). The address that a question named is given
// back as it was, even if it is none: whoever asked knows the answer by it.
static void is_own_name(struct text from, struct text own)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    const char *at = memchr(from.p, '@', from.n);
    size_t past = at ? (size_t)(at + 1 - from.p) : 0;
    struct text host = {from.p + past, from.n - past};
    if (jid_parse(&jid, from, scratch, sizeof scratch) == 0)
        host = jid.domain;
    else
        host.n = strcspn(host.p, "/");
    fuzz_expect(own.n && (text_eq(host, own) || from.n == WORLD_ADDRESS - 1),
                "%.*s sent to the stream of %.*s", TEXT_ARG(host), TEXT_ARG(own));
}

static struct world *reading;

static void stanza_out(struct world *w, const struct effect *e, struct text bytes)
{
    struct text own = core_domain_name(w->core, e->domain);
    unsigned before = w->n_stanzas;
    reading = w;
    int err = stanza_reader_feed(reader_out, bytes.p, bytes.n);
    fuzz_expect(err == 0 && w->n_stanzas == before + 1, "not a stanza (%d): %.*s", err,
                TEXT_ARG(bytes));
    is_own_name(text_of(w->stanza[before % WORLD_KEPT].from), own);
}

static uint64_t name_of(struct text a, struct text b)
{
    struct buffer whole;
    buffer_init(&whole, 0);
    buffer_text(&whole, a);
    buffer_char(&whole, '\n');
    buffer_text(&whole, b);
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < whole.n; i++)
        h = (h ^ (uint8_t)whole.p[i]) * 0x100000001b3u;
    buffer_free(&whole);
    return h | 1;
}

static bool branch_is_known(struct world *w, uint64_t branch)
{
    for (unsigned i = 0; i < WORLD_BRANCHES; i++)
        if (w->branch[i] == branch)
            return true;
    w->branch[w->n_branches++ % WORLD_BRANCHES] = branch;
    return false;
}

// RFC 3261 §12.2.1.1, across all lives. The same number again: the same request for another place
// (RFC 3263 §4.3), of which a new life knows nothing.
static void cseq_ascends(struct world *w, const struct sip_message *m)
{
    uint64_t name = name_of(sip_text(m, m->call_id), sip_text(m, m->from_tag));
    if (branch_is_known(w, name_of(sip_text(m, m->branch), TEXT(""))))
        return; // sent again
    struct world_dialog *d = &w->dialog[name % WORLD_DIALOGS];
    if (d->name == name)
        fuzz_expect(m->cseq > d->cseq || (m->cseq == d->cseq && d->life == w->lives),
                    "CSeq %u after %u", m->cseq, d->cseq);
    *d = (struct world_dialog){name, m->cseq, w->lives};
}

static void request_out(struct world *w, const struct effect *e, const struct sip_message *m)
{
    fuzz_expect(m->method == SIP_SUBSCRIBE || m->method == SIP_NOTIFY, "a request of some kind");
    fuzz_expect(w->may_cross, "who is not trusted makes a request");
    fuzz_expect(hop_eq(&e->to, &w->cfg.proxy) || core_trusts_source(w->core, &e->to) ||
                    e->to.transport != w->cfg.proxy.transport,
                "a request to an address that is not trusted");
    cseq_ascends(w, m);
}

// RFC 3261 §18.2.2: to where the request came from, or the same one came from when it was first
// answered.
static void answer_out(const struct world *w, const struct effect *e)
{
    const struct event *ev = w->event;
    fuzz_expect(ev->kind == EVENT_SIP && !ev->sip->status, "an answer to nothing");
    fuzz_expect(
        (memcmp(e->to.ip, ev->source.ip, 16) == 0 && e->to.family == ev->source.family) ||
            (core_trusts_source(w->core, &ev->source) && core_trusts_source(w->core, &e->to)),
        "an answer to somebody else");
}

static void sip_out(struct world *w, const struct effect *e, struct text bytes)
{
    const struct sip_message *m;
    struct sip_stream_frame f = {0};
    fuzz_expect(sip_parse(parser_out, bytes.p, bytes.n, &m) == 0, "not SIP: %.*s", TEXT_ARG(bytes));
    // What answers a defective request may repeat its defect.
    bool of_defect = m->status && w->event->kind == EVENT_SIP && w->event->sip->defect;
    fuzz_expect(!m->defect || of_defect, "%s: %.*s", m->defect_phrase, TEXT_ARG(bytes));
    fuzz_expect(sip_stream_frame_look(&f, bytes.p, bytes.n, 1 << 20) == SIP_STREAM_FRAME_WHOLE &&
                    f.n == bytes.n,
                "not one message: %.*s", TEXT_ARG(bytes));
    fuzz_expect(e->to.family == 4 || e->to.family == 6, "to nowhere");
    if (m->status)
        answer_out(w, e);
    else
        request_out(w, e, m);
    struct sip_message **slot = &w->sip[w->n_sip++ % WORLD_KEPT];
    free(*slot);
    *slot = malloc(m->size);
    if (!*slot)
        abort();
    memcpy(*slot, m, m->size);
}

static void question_out(struct world *w, struct text uri)
{
    char **slot = &w->question[w->n_questions++ % WORLD_KEPT];
    free(*slot);
    *slot = fuzz_copy(uri);
    fuzz_expect(uri.n, "a question for nothing");
}

// ---- The store

static struct world_record *record_find(struct world *w, uint64_t id)
{
    for (unsigned i = 0; i < WORLD_RECORDS; i++)
        if (w->record[i].bytes.n && w->record[i].id == id)
            return &w->record[i];
    return NULL;
}

static void put(struct world *w, const struct effect *e, struct text bytes)
{
    struct world_record *r = record_find(w, e->id);
    fuzz_expect(e->fresh == !r, "fresh, and not new");
    fuzz_expect(!e->fresh || e->id > w->last_id, "ids do not ascend"); // MDB_APPEND
    for (unsigned i = 0; !r && i < WORLD_RECORDS; i++)
        if (!w->record[i].bytes.n)
            r = &w->record[i];
    fuzz_expect(r, "more records than subscriptions are allowed");
    w->last_id = e->id > w->last_id ? e->id : w->last_id;
    r->id = e->id;
    buffer_reset(&r->bytes);
    buffer_text(&r->bytes, bytes);
}

static void commit(struct world *w)
{
    for (size_t i = 0; i < w->fx.n; i++) {
        const struct effect *e = &w->fx.v[i];
        if (e->kind == EFFECT_PUT)
            put(w, e, effect_text(&w->fx, e));
        if (e->kind == EFFECT_DELETE) {
            struct world_record *r = record_find(w, e->id);
            fuzz_expect(r, "what is not stored is deleted");
            buffer_reset(&r->bytes);
        }
    }
}

static void let_out(struct world *w)
{
    for (size_t i = 0; i < w->fx.n; i++) {
        const struct effect *e = &w->fx.v[i];
        struct text bytes = effect_text(&w->fx, e);
        if (e->kind == EFFECT_SIP)
            sip_out(w, e, bytes);
        if (e->kind == EFFECT_STANZA)
            stanza_out(w, e, bytes);
        if (e->kind == EFFECT_RESOLVE)
            question_out(w, bytes);
    }
}

// ---- Lives and turns

static void begin_life(struct world *w)
{
    uint64_t stored = 0;
    w->cfg.seed = ++w->lives;
    w->cfg.first_id = w->last_id + 1;
    w->core = fuzz_core_create(&w->cfg);
    for (unsigned i = 0; i < WORLD_RECORDS; i++)
        if (w->record[i].bytes.n) {
            int err =
                core_restore(w->core, w->record[i].id, fuzz_text(&w->record[i].bytes), w->now_ms);
            fuzz_expect(err == 0, "a record can't be restored: %d", err);
            stored++;
        }
    fuzz_expect(core_stats(w->core)->subscriptions == stored, "subscriptions are lost");
}

void world_crash(struct world *w)
{
    core_destroy(w->core);
    begin_life(w);
    world_count(w->core);
}

void world_step(struct world *w, const struct event *ev)
{
    w->event = ev;
    core_step(w->core, ev, w->now_ms, &w->fx);
    fuzz_expect(!w->fx.failed, "the core says that memory ran out");
    if (w->die) {
        w->die = false;
        effects_reset(&w->fx);
        world_crash(w);
        return;
    }
    commit(w);
    let_out(w);
    effects_reset(&w->fx);
    world_count(w->core);
}

static void tick(struct world *w)
{
    w->may_cross = true;
    world_step(w, &(struct event){.kind = EVENT_TICK});
}

// Each timer at its own time, as long as they are not too many.
void world_pass_ms(struct world *w, uint64_t ms)
{
    uint64_t end_ms = w->now_ms + ms;
    for (unsigned i = 0; i < TICKS_MAX; i++) {
        uint64_t due_ms = core_next_due(w->core);
        if (due_ms > end_ms)
            break;
        fuzz_expect(due_ms > w->now_ms || i < TICKS_MAX / 2, "ticks without end");
        w->now_ms = due_ms > w->now_ms ? due_ms : w->now_ms;
        tick(w);
    }
    w->now_ms = end_ms;
    tick(w);
}

// ---- What comes in

static bool is_of(struct text domain, const struct text *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_eq(domain, list[i]))
            return true;
    return false;
}

static void on_stanza(void *arg, const struct stanza *s)
{
    struct world *w = arg;
    char scratch[JID_MAX + 1];
    struct jid from;
    w->may_cross = jid_parse(&from, stanza_text(s, s->from), scratch, sizeof scratch) == 0 &&
                   is_of(from.domain, w->cfg.trust.xmpp_domains, w->cfg.trust.n_xmpp_domains);
    world_step(w, &(struct event){.kind = EVENT_STANZA, .stanza = s});
}

void world_stanza_in(struct world *w, struct text bytes)
{
    static const struct stanza_reader_limits limits = {8192, 16};
    struct stanza_reader *r;
    if (stanza_reader_create(&r, &limits, on_stanza, w))
        abort();
    stanza_reader_feed(r, bytes.p, bytes.n);
    stanza_reader_destroy(r);
}

// In a dialog of ours the From field says nothing that anybody looks at.
static bool is_trusted(const struct world *w, const struct sip_message *m, const struct hop *source)
{
    char scratch[JID_MAX + 1];
    struct sip_uri uri;
    struct jid jid;
    if (!core_trusts_source(w->core, source))
        return false;
    if (m->status || m->to_tag.n)
        return true;
    return sip_uri_parse(&uri, sip_text(m, m->from_uri)) == 0 &&
           address_to_jid(&jid, &uri, scratch, sizeof scratch) == 0 &&
           is_of(jid.domain, w->cfg.trust.sip_domains, w->cfg.trust.n_sip_domains);
}

void world_sip_in(struct world *w, struct text bytes, const struct hop *source)
{
    const struct sip_message *m;
    if (sip_parse(parser_in, bytes.p, bytes.n, &m) != 0)
        return;
    fuzz_expect(core_owner_of_sip(w->core, m) == 0, "of another shard");
    w->may_cross = is_trusted(w, m, source);
    world_step(w,
               &(struct event){.kind = EVENT_SIP,
                               .sip = m,
                               .source = *source,
                               .port = source->port & 1 ? SIP_PORT_LISTEN(0) : SIP_PORT_SHARD(0)});
}

const struct sip_message *world_last_sip(const struct world *w, unsigned k)
{
    return k < WORLD_KEPT && k < w->n_sip ? w->sip[(w->n_sip - 1 - k) % WORLD_KEPT] : NULL;
}

const struct world_stanza *world_last_stanza(const struct world *w, unsigned k)
{
    return k < WORLD_KEPT && k < w->n_stanzas ? &w->stanza[(w->n_stanzas - 1 - k) % WORLD_KEPT]
                                              : NULL;
}

const char *world_last_question(const struct world *w, unsigned k)
{
    return k < WORLD_KEPT && k < w->n_questions ? w->question[(w->n_questions - 1 - k) % WORLD_KEPT]
                                                : NULL;
}

void world_open(struct world *w, const struct core_config *cfg)
{
    static const struct stanza_reader_limits limits = {1 << 20, 32};
    if (!parser_in &&
        (sip_parser_create(&parser_in, 65536) || sip_parser_create(&parser_out, 1 << 20) ||
         stanza_reader_create(&reader_out, &limits, keep_stanza, &reading)))
        abort();
    *w = (struct world){.cfg = *cfg, .now_ms = FUZZ_EPOCH_MS, .peer_cseq = 1};
    effects_init(&w->fx);
    for (unsigned i = 0; i < WORLD_RECORDS; i++)
        buffer_init(&w->record[i].bytes, 0);
    begin_life(w);
}

void world_close(struct world *w)
{
    core_destroy(w->core);
    effects_free(&w->fx);
    for (unsigned i = 0; i < WORLD_RECORDS; i++)
        buffer_free(&w->record[i].bytes);
    for (unsigned i = 0; i < WORLD_KEPT; i++) {
        free(w->sip[i]);
        free(w->question[i]);
    }
}
