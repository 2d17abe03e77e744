// The stage: the core with fake time, and its store in memory.
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/stanza_reader.h"

static struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};
static const struct text sip_domains[] = {{"example.net", 11}};
static const struct text xmpp_domains[] = {{"example.com", 11}};

static void stage_config(struct core_config *cfg)
{
    *cfg = (struct core_config){
        .seed = 1,
        .shards = 1,
        .gateway_domain = TEXT("gw.example.net"),
        .advertise = TEXT("127.0.0.1"),
        .shard_port = 5080,
        .t1_ms = 500,
        .first_id = 1,
        .settings = {.expires_s = 3600,
                     .min_expires_s = 60,
                     .max_expires_s = 7200,
                     .probe_timeout_s = 10,
                     .probe_window_s = 60,
                     .subscriptions_per_user = 1000,
                     .subscriptions_per_shard = 2000000,
                     .new_subscriptions_per_user_per_min = 60,
                     .requests_in_flight_per_peer = 5000,
                     .notify_failures = 3},
        .trust = {.sip_domains = sip_domains,
                  .n_sip_domains = 1,
                  .xmpp_domains = xmpp_domains,
                  .n_xmpp_domains = 1,
                  .sip_sources = &loopback,
                  .n_sip_sources = 1},
    };
    memcpy(cfg->key, "0123456789abcdef", 16);
    assert_int_equal(hop_parse(&cfg->proxy, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
}

static char *stage_copy(struct text t)
{
    char *p = malloc(t.n + 1);
    assert_non_null(p);
    memcpy(p, t.p, t.n);
    p[t.n] = 0;
    return p;
}

static struct stage_record *stage_record(struct stage *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_records; i++)
        if (s->records[i].id == id)
            return &s->records[i];
    return NULL;
}

static void stage_put(struct stage *s, const struct effect *e)
{
    struct stage_record *r = stage_record(s, e->id);
    assert_true(e->fresh == (r == NULL));
    if (!r) {
        assert_true(s->n_records < STAGE_RECORDS);
        assert_true(s->n_records == 0 || s->records[s->n_records - 1].id < e->id);
        r = &s->records[s->n_records++];
        *r = (struct stage_record){.id = e->id};
    }
    free(r->bytes);
    r->bytes = stage_copy(effect_text(&s->fx, e));
    r->n = e->bytes.n;
    s->puts++;
}

static void stage_delete(struct stage *s, const struct effect *e)
{
    struct stage_record *r = stage_record(s, e->id);
    assert_non_null(r);
    free(r->bytes);
    size_t i = (size_t)(r - s->records);
    memmove(r, r + 1, (s->n_records - i - 1) * sizeof *r);
    s->n_records--;
    s->deletes++;
}

// Of "serve-check-0123abcd" the end is kept, and hidden from the test.
static void stage_hide_nonce(struct stage *s, struct stage_message *m)
{
    static const char name[] = "id='serve-check";
    enum { NONCE = 9 };
    char *nonce = strstr(m->bytes, name);
    if (!nonce)
        return;
    nonce += sizeof name - 1;
    memcpy(s->check_nonce, nonce, NONCE);
    memmove(nonce, nonce + NONCE, strlen(nonce + NONCE) + 1);
    m->n -= NONCE;
}

static void stage_queue(struct stage *s, const struct effect *e)
{
    struct stage_message m = {.bytes = stage_copy(effect_text(&s->fx, e)),
                              .n = e->bytes.n,
                              .to = e->to,
                              .port = e->port,
                              .reopen_port = e->reopen_port,
                              .domain = e->domain};
    if (e->server_name.n)
        m.server_name =
            stage_copy((struct text){s->fx.bytes.p + e->server_name.off, e->server_name.n});
    bool sip = e->kind == EFFECT_SIP, stanza = e->kind == EFFECT_STANZA;
    size_t *tail = sip ? &s->sip_tail : stanza ? &s->stanza_tail : &s->question_tail;
    assert_true(*tail < STAGE_QUEUE);
    if (stanza)
        stage_hide_nonce(s, &m);
    (sip ? s->sips : stanza ? s->stanzas : s->questions)[(*tail)++] = m;
}

void stage_sends_sip(struct stage *s, const struct core_refusal *no, sip_port port)
{
    assert_true(s->sip_tail < STAGE_QUEUE);
    s->sips[s->sip_tail++] = (struct stage_message){.bytes = stage_copy(no->bytes),
                                                    .n = no->bytes.n,
                                                    .to = no->to,
                                                    .port = port,
                                                    .reopen_port = no->reopen_port};
}

static bool stage_changes_records(const struct stage *s)
{
    for (size_t i = 0; i < s->fx.n; i++)
        if (s->fx.v[i].kind == EFFECT_PUT || s->fx.v[i].kind == EFFECT_DELETE)
            return true;
    return false;
}

static void stage_commit(struct stage *s)
{
    for (size_t i = 0; i < s->fx.n; i++)
        if (s->fx.v[i].kind == EFFECT_PUT)
            stage_put(s, &s->fx.v[i]);
        else if (s->fx.v[i].kind == EFFECT_DELETE)
            stage_delete(s, &s->fx.v[i]);
}

static void stage_restart(struct stage *s)
{
    core_destroy(s->core);
    s->cfg.seed++;
    assert_int_equal(core_create(&s->core, &s->cfg), 0);
    for (size_t i = 0; i < s->n_records; i++)
        assert_int_equal(core_restore(s->core, s->records[i].id,
                                      (struct text){s->records[i].bytes, s->records[i].n},
                                      s->now_ms),
                         0);
}

// Commit, then release: as the shard's loop does.
static void stage_release(struct stage *s)
{
    assert_false(s->fx.failed);
    if (s->die_in && stage_changes_records(s) && --s->die_in == 0) {
        if (s->die_committed)
            stage_commit(s);
        effects_reset(&s->fx);
        stage_restart(s); // what was let out before is on its way
        s->died = true;
        return;
    }
    stage_commit(s);
    for (size_t i = 0; i < s->fx.n; i++)
        if (s->fx.v[i].kind != EFFECT_PUT && s->fx.v[i].kind != EFFECT_DELETE)
            stage_queue(s, &s->fx.v[i]);
    effects_reset(&s->fx);
}

static void stage_step(struct stage *s, const struct event *ev)
{
    core_step(s->core, ev, s->now_ms, &s->fx);
    stage_release(s);
}

static void stage_streams(struct stage *s, enum event_kind kind)
{
    for (unsigned i = 0; core_domain_name(s->core, i).n; i++) {
        struct event ev = {.kind = kind, .domain = core_domain_name(s->core, i)};
        stage_step(s, &ev);
    }
}

void stage_streams_connect(struct stage *s)
{
    stage_streams(s, EVENT_STREAM_UP);
}

void stage_streams_up(struct stage *s)
{
    stage_streams_connect(s);
    stage_pass_s(s, 1); // what was missed is said at a pace
}

void stage_streams_down(struct stage *s)
{
    stage_streams(s, EVENT_STREAM_DOWN);
}

struct stage *stage_open_with(void (*change)(struct core_config *))
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    stage_config(&s->cfg);
    if (change)
        change(&s->cfg);
    s->now_ms = 1700000000000;
    effects_init(&s->fx);
    assert_int_equal(sip_parser_create(&s->parser, 65536), 0);
    assert_int_equal(sip_parser_create(&s->sip_out, 65536), 0);
    assert_int_equal(core_create(&s->core, &s->cfg), 0);
    stage_streams_up(s);
    return s;
}

struct stage *stage_open(void)
{
    return stage_open_with(NULL);
}

void stage_forget(struct stage *s)
{
    for (size_t i = 0; i < s->stanza_tail; i++)
        free(s->stanzas[i].bytes);
    for (size_t i = 0; i < s->sip_tail; i++) {
        free(s->sips[i].bytes);
        free(s->sips[i].server_name);
    }
    for (size_t i = 0; i < s->question_tail; i++)
        free(s->questions[i].bytes);
    s->stanza_head = s->stanza_tail = s->sip_head = s->sip_tail = 0;
    s->question_head = s->question_tail = 0;
}

void stage_close(struct stage *s)
{
    core_destroy(s->core);
    stage_forget(s);
    for (size_t i = 0; i < s->n_kept; i++)
        free(s->kept[i]);
    for (size_t i = 0; i < s->n_records; i++)
        free(s->records[i].bytes);
    effects_free(&s->fx);
    sip_parser_destroy(s->parser);
    sip_parser_destroy(s->sip_out);
    free(s);
}

void stage_crash(struct stage *s)
{
    stage_forget(s);
    stage_restart(s);
}

void stage_pass_ms(struct stage *s, uint64_t ms)
{
    uint64_t end = s->now_ms + ms;
    struct event tick = {.kind = EVENT_TICK};
    while (core_next_due(s->core) <= end) {
        uint64_t due = core_next_due(s->core);
        s->now_ms = due > s->now_ms ? due : s->now_ms;
        stage_step(s, &tick);
    }
    s->now_ms = end;
    stage_step(s, &tick);
}

void stage_pass_until_said(struct stage *s, uint64_t most_s)
{
    uint64_t end = s->now_ms + most_s * 1000;
    while (s->stanza_head == s->stanza_tail && s->sip_head == s->sip_tail &&
           s->question_head == s->question_tail && s->now_ms < end)
        stage_pass_ms(s, 100);
}

static void stage_stanza(void *arg, const struct stanza *stanza)
{
    struct event ev = {.kind = EVENT_STANZA, .stanza = stanza};
    stage_step(arg, &ev);
}

void xmpp_says(struct stage *s, const char *stanza)
{
    struct stanza_reader *r;
    struct stanza_reader_limits limits = {262144, 32};
    const char *id = strstr(stanza, "id='serve-check'");
    size_t n = id ? (size_t)(strchr(id, 'k') + 1 - stanza) : 0;
    assert_int_equal(stanza_reader_create(&r, &limits, stage_stanza, s), 0);
    assert_int_equal(stanza_reader_feed(r, stanza, n), 0);
    if (id)
        assert_int_equal(stanza_reader_feed(r, s->check_nonce, strlen(s->check_nonce)), 0);
    assert_int_equal(stanza_reader_feed(r, stanza + n, strlen(stanza) - n), 0);
    stanza_reader_destroy(r);
}

static const struct stage_message *stage_next_stanza(struct stage *s, const char *want)
{
    if (s->stanza_head == s->stanza_tail)
        fail_msg("expected stanza %s, got none", want);
    return &s->stanzas[s->stanza_head++];
}

const char *xmpp_next(struct stage *s)
{
    return s->stanza_head == s->stanza_tail ? NULL : s->stanzas[s->stanza_head++].bytes;
}

// Equal but for ids that are given as '*'.
static bool stanza_like(const char *got, const char *want)
{
    while (*want) {
        if (strncmp(want, "id='*'", 6) == 0 && strncmp(got, "id='", 4) == 0) {
            got = strchr(got + 4, '\'') + 1;
            want += 6;
        } else if (*got++ != *want++) {
            return false;
        }
    }
    return *got == 0;
}

// Available presence of a device, which a notification is and nothing else of ours.
static bool stanza_is_of_device(const char *stanza)
{
    const char *end = strchr(stanza, '>'), *from = strstr(stanza, " from='");
    const char *type = strstr(stanza, " type='"), *slash = from ? strchr(from, '/') : NULL;
    const char *quote = from ? strchr(from + 7, '\'') : NULL;
    return strncmp(stanza, "<presence", 9) == 0 && slash && slash < quote && !(type && type < end);
}

// Takes CAPS out; the caller frees the copy.
static char *stanza_without_caps(const char *stanza)
{
    const char *caps = strstr(stanza, CAPS);
    if (stanza_is_of_device(stanza) && (!caps || strstr(caps + 1, CAPS)))
        fail_msg("expected %s once in\n  %s", CAPS, stanza);
    char *copy = strdup(stanza);
    assert_non_null(copy);
    if (!caps)
        return copy;
    strcpy(copy + (caps - stanza), caps + strlen(CAPS));
    char *end = strchr(copy, '>');
    if (strcmp(end, "></presence>") == 0)
        strcpy(end, "/>");
    return copy;
}

void xmpp_sees(struct stage *s, const char *want)
{
    const struct stage_message *m = stage_next_stanza(s, want);
    char *without = stanza_without_caps(m->bytes);
    if (!stanza_like(m->bytes, want) && !stanza_like(without, want))
        fail_msg("expected stanza\n  %s\ngot\n  %s", want, m->bytes);
    free(without);
}

const char *xmpp_sees_probe(struct stage *s, const char *jid)
{
    static char id[64];
    char want[512];
    snprintf(want, sizeof want, "<presence from='gw.example.net' to='%s' type='probe'/>", jid);
    xmpp_sees(s, want);
    const struct stage_message *m = stage_next_stanza(s, "the fence");
    const char *at = strstr(m->bytes, "id='");
    assert_non_null(at);
    assert_non_null(strstr(m->bytes, "disco#info"));
    assert_int_equal(sscanf(at, "id='%63[^']", id), 1);
    return id;
}

void xmpp_answers_fence(struct stage *s, const char *jid, const char *id)
{
    char stanza[512];
    snprintf(stanza, sizeof stanza,
             "<iq type='error' from='%s' to='gw.example.net' id='%s'><error type='cancel'>"
             "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
             jid, id);
    xmpp_says(s, stanza);
}

void quiet(struct stage *s)
{
    if (s->stanza_head != s->stanza_tail)
        fail_msg("unexpected stanza %s", s->stanzas[s->stanza_head].bytes);
    if (s->sip_head != s->sip_tail)
        fail_msg("unexpected SIP message\n%s", s->sips[s->sip_head].bytes);
    if (s->question_head != s->question_tail)
        fail_msg("unexpected question about %s", s->questions[s->question_head].bytes);
}
