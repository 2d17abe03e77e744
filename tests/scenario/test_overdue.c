// A restart after a long time: 100,000 dialogs are overdue, and none of it comes at once.
//
//   SIP side              gateway                  XMPP side
//     |                      | 100,000 records restored |
//     | SUBSCRIBE, NOTIFY    | so many in a second      |
//     |◀─────────────────────|                          |
//     | 200, NOTIFY          |                          |
//     |─────────────────────▶|                          |
//     | SUBSCRIBE (new)      |                          |
//     |─────────────────────▶| answered at once         |
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/dialog.h"
#include "core/record_write.h"
#include "core/sub.h"
#include "core/user.h"

enum {
    HALF = 50000,  // of each direction
    AWAY_S = 7200, // so long was the process not there
    WITHIN_S = 55, // all is done by then
    STEP_MS = 10,
    // Of the dialogs and of the pass over all subscriptions that follows the streams' coming up
    // (core/resync.h), and what may go at once.
    PER_S = CORE_OVERDUE_PER_S + CORE_RESYNC_STEP * 1000 / CORE_RESYNC_MS,
    BURST = CORE_OVERDUE_PER_S * TURNSTILE_BURST_MS / 1000 + CORE_RESYNC_STEP,
};

static const struct text sip_domains[] = {{"example.net", 11}};
static const struct text xmpp_domains[] = {{"example.com", 11}};
static struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};

static struct core *open_core(uint64_t seed, uint32_t in_flight)
{
    struct core *c;
    struct core_config cfg = {.seed = seed,
                              .shards = 1,
                              .advertise = TEXT("127.0.0.1"),
                              .shard_port = 5080,
                              .t1_ms = 500,
                              .first_id = 1};
    memcpy(cfg.key, "0123456789abcdef", 16);
    cfg.settings = (struct core_settings){.expires_s = 3600,
                                          .min_expires_s = 60,
                                          .max_expires_s = 7200,
                                          .probe_timeout_s = 10,
                                          .probe_window_s = 60,
                                          .subscriptions_per_user = 1000,
                                          .subscriptions_per_shard = 2000000,
                                          .new_subscriptions_per_user_per_min = 60,
                                          .requests_in_flight_per_peer = in_flight,
                                          .notify_failures = 3,
                                          .lag_ms = 50};
    cfg.trust = (struct core_trust){.sip_domains = sip_domains,
                                    .n_sip_domains = 1,
                                    .xmpp_domains = xmpp_domains,
                                    .n_xmpp_domains = 1,
                                    .probe_exempt_domains = xmpp_domains,
                                    .n_probe_exempt_domains = 1,
                                    .sip_sources = &loopback,
                                    .n_sip_sources = 1};
    assert_int_equal(hop_parse(&cfg.proxy, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    assert_int_equal(core_create(&c, &cfg), 0);
    return c;
}

// ---- The life before

struct records {
    struct buffer bytes;
    struct span *at;
    size_t n;
};

// An authorization with one dialog that had an hour when it was last heard of.
static uint32_t make_pair(struct core *c, unsigned i, enum core_direction direction,
                          uint64_t expires_ms)
{
    char user[32], peer[32], call_id[32], target[64];
    struct jid xmpp = {.local = {user, (size_t)snprintf(user, sizeof user, "juliet%u", i)},
                       .domain = xmpp_domains[0]};
    struct jid sip = {.local = {peer, (size_t)snprintf(peer, sizeof peer, "romeo%u", i)},
                      .domain = sip_domains[0]};
    struct text fields[FIELD_COUNT] = {0};
    snprintf(call_id, sizeof call_id, "overdue%u", i);
    snprintf(target, sizeof target, "sip:romeo%u@127.0.0.1:5070", i);
    fields[FIELD_CALL_ID] = text_of(call_id);
    fields[FIELD_REMOTE_TAG] = TEXT("theirs");
    fields[FIELD_TARGET] = text_of(target);
    uint32_t sub = sub_create(c, user_get(c, &xmpp), &sip, (struct text){0}, direction);
    sub_set_state(c, core_sub(c, sub), STATE_ACTIVE);
    uint32_t dialog =
        dialog_create(c, sub, core_user(c, core_sub(c, sub)->user)->hash, direction, 0);
    struct dialog *d = core_dialog(c, dialog);
    assert_int_equal(dialog_set(c, d, fields), 0);
    d->state = DIALOG_LIVE;
    d->granted_s = 3600;
    d->expires_ms = expires_ms;
    return sub;
}

static void make_records(struct records *r, unsigned n, uint64_t now_ms)
{
    struct core *c = open_core(1, 5000);
    struct effects fx;
    effects_init(&fx);
    buffer_init(&r->bytes, 0);
    r->at = calloc(2 * (size_t)n, sizeof *r->at);
    r->n = 0;
    core_step(c, &(struct event){.kind = EVENT_TICK}, now_ms, &fx);
    for (unsigned i = 0; i < 2 * n; i++) {
        enum core_direction direction = i % 2 ? SIP_TO_XMPP : XMPP_TO_SIP;
        uint32_t sub = make_pair(c, i, direction, now_ms + 3600000);
        size_t from = r->bytes.n;
        record_write(c, core_sub(c, sub), &r->bytes);
        r->at[r->n++] = (struct span){(uint32_t)from, (uint32_t)(r->bytes.n - from)};
    }
    core_destroy(c);
    effects_free(&fx);
}

// ---- The life after

struct world {
    struct core *core;
    struct sip_parser *parser, *answers;
    struct effects fx;
    uint64_t now_ms, restored_bytes;
    struct hop proxy;
    unsigned per_s[400], seconds, subscribes, notifies, sent_again, in_flight_most;
    bool dead; // the SIP side answers nothing
};

static void world_begin(struct world *w, const struct records *r, uint64_t now_ms,
                        uint32_t in_flight)
{
    *w = (struct world){.core = open_core(2, in_flight), .now_ms = now_ms};
    effects_init(&w->fx);
    assert_int_equal(sip_parser_create(&w->parser, 65536), 0);
    assert_int_equal(sip_parser_create(&w->answers, 65536), 0);
    assert_int_equal(hop_parse(&w->proxy, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    for (size_t i = 0; i < r->n; i++)
        assert_int_equal(core_restore(w->core, i + 1,
                                      (struct text){r->bytes.p + r->at[i].off, r->at[i].n}, now_ms),
                         0);
    for (unsigned i = 0; core_domain_name(w->core, i).n; i++)
        core_step(w->core,
                  &(struct event){.kind = EVENT_STREAM_UP, .domain = core_domain_name(w->core, i)},
                  w->now_ms, &w->fx);
    w->restored_bytes = core_stats(w->core)->memory_bytes;
}

static void world_end(struct world *w)
{
    core_destroy(w->core);
    effects_free(&w->fx);
    sip_parser_destroy(w->parser);
    sip_parser_destroy(w->answers);
}

static void tell(struct world *w, const char *bytes, int n)
{
    struct event ev = {.kind = EVENT_SIP, .source = w->proxy, .port = SIP_PORT_SHARD(0)};
    assert_int_equal(sip_parse(w->answers, bytes, (size_t)n, &ev.sip), 0);
    core_step(w->core, &ev, w->now_ms, &w->fx);
}

static void answer(struct world *w, const struct sip_message *m)
{
    char text[2048];
    struct text branch = sip_text(m, m->branch), from = sip_text(m, m->from_tag),
                call_id = sip_text(m, m->call_id);
    bool notify = m->method == SIP_NOTIFY;
    int n = snprintf(text, sizeof text,
                     "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=%.*s\r\n"
                     "From: <sip:a@example.com>;tag=%.*s\r\nTo: <sip:b@example.net>;tag=theirs\r\n"
                     "Call-ID: %.*s\r\nCSeq: %u %s\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
                     TEXT_ARG(branch), TEXT_ARG(from), TEXT_ARG(call_id), m->cseq,
                     notify ? "NOTIFY" : "SUBSCRIBE");
    tell(w, text, n);
    if (notify)
        return;
    n = snprintf(text, sizeof text,
                 "NOTIFY sip:a@127.0.0.1:5080 SIP/2.0\r\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKn%u\r\n"
                 "From: <sip:b@example.net>;tag=theirs\r\nTo: <sip:a@example.com>;tag=%.*s\r\n"
                 "Call-ID: %.*s\r\nCSeq: 7 NOTIFY\r\nMax-Forwards: 70\r\nEvent: presence\r\n"
                 "Contact: <sip:b@127.0.0.1:5070>\r\n"
                 "Subscription-State: active;expires=3600\r\nContent-Length: 0\r\n\r\n",
                 m->cseq, TEXT_ARG(from), TEXT_ARG(call_id));
    tell(w, text, n);
}

// What a step has let out, answered; what that lets out, too.
static void take_effects(struct world *w)
{
    for (size_t i = 0; i < w->fx.n; i++) {
        const struct sip_message *m;
        const struct effect *e = &w->fx.v[i];
        if (e->kind != EFFECT_SIP)
            continue;
        struct text t = effect_text(&w->fx, e);
        assert_int_equal(sip_parse(w->parser, t.p, t.n, &m), 0);
        if (m->status)
            continue;
        w->per_s[w->seconds]++;
        w->subscribes += m->method == SIP_SUBSCRIBE;
        w->notifies += m->method == SIP_NOTIFY;
        if (!w->dead)
            answer(w, m);
    }
    assert_false(w->fx.failed);
    effects_reset(&w->fx);
}

static void pass_second(struct world *w)
{
    for (unsigned i = 0; i < 1000 / STEP_MS; i++) {
        w->now_ms += STEP_MS;
        core_step(w->core, &(struct event){.kind = EVENT_TICK}, w->now_ms, &w->fx);
        take_effects(w);
        unsigned in_flight = (unsigned)core_stats(w->core)->client_transactions;
        w->in_flight_most = in_flight > w->in_flight_most ? in_flight : w->in_flight_most;
    }
    w->seconds++;
}

// Somebody new, in the midst of it.
static void new_work_is_taken(struct world *w)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "SUBSCRIBE sip:nurse%u@example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKnew%u\r\n"
                     "From: <sip:peter@example.net>;tag=p\r\nTo: <sip:nurse%u@example.com>\r\n"
                     "Call-ID: new%u\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\n"
                     "Contact: <sip:peter@127.0.0.1:5070>\r\nEvent: presence\r\n"
                     "Content-Length: 0\r\n\r\n",
                     w->seconds, w->seconds, w->seconds, w->seconds);
    tell(w, text, n);
    const struct sip_message *m;
    bool taken = false;
    for (size_t i = 0; i < w->fx.n && !taken; i++) {
        struct text t = effect_text(&w->fx, &w->fx.v[i]);
        taken = w->fx.v[i].kind == EFFECT_SIP && sip_parse(w->parser, t.p, t.n, &m) == 0 &&
                m->status == 200;
    }
    assert_true(taken);
    take_effects(w);
}

// No second has more than the bound; all is done in the time that is stated; memory stays.
static void a_hundred_thousand_take_turns(void **state)
{
    (void)state;
    struct records r;
    struct world w;
    uint64_t begin_ms = 1700000000000;
    make_records(&r, HALF, begin_ms);
    world_begin(&w, &r, begin_ms + AWAY_S * 1000ull, 5000);
    assert_int_equal(core_stats(w.core)->subscriptions, 2 * HALF);
    while (w.seconds < WITHIN_S) {
        pass_second(&w);
        new_work_is_taken(&w);
        assert_true(w.per_s[w.seconds - 1] <= PER_S + BURST + 2);
        assert_true(core_stats(w.core)->memory_bytes < w.restored_bytes * 5 / 4);
    }
    const struct core_stats *n = core_stats(w.core);
    assert_int_equal(n->refreshes, HALF);
    assert_true(w.notifies >= HALF); // each of the expired ones has had its last
    assert_int_equal(n->by_state[XMPP_TO_SIP][STATE_ACTIVE], HALF);
    assert_int_equal(n->by_state[SIP_TO_XMPP][STATE_DORMANT], HALF);
    assert_true(w.in_flight_most < 1000);
    assert_int_equal(n->retransmits, 0);
    for (unsigned i = 1; i < 20; i++) // it is no trickle either
        assert_true(w.per_s[i] >= CORE_OVERDUE_PER_S * 9 / 10);
    world_end(&w);
    buffer_free(&r.bytes);
    free(r.at);
}

// Nobody answers: never more in flight than the limit, and looking for room is paced as well.
static void the_limit_in_flight_holds(void **state)
{
    enum { FEW = 5000, LIMIT = 300 };
    (void)state;
    struct records r;
    struct world w;
    uint64_t begin_ms = 1700000000000;
    make_records(&r, FEW, begin_ms);
    world_begin(&w, &r, begin_ms + AWAY_S * 1000ull, LIMIT);
    w.dead = true;
    for (int i = 0; i < 30; i++)
        pass_second(&w);
    assert_int_equal(w.in_flight_most, LIMIT);
    w.dead = false; // and is there again
    for (int i = 0; i < 120; i++)
        pass_second(&w);
    const struct core_stats *n = core_stats(w.core);
    assert_int_equal(
        n->by_state[XMPP_TO_SIP][STATE_ACTIVE] + n->by_state[XMPP_TO_SIP][STATE_DORMANT], FEW);
    assert_int_equal(n->by_state[SIP_TO_XMPP][STATE_DORMANT], FEW);
    assert_true(n->by_state[XMPP_TO_SIP][STATE_ACTIVE] > FEW * 9 / 10);
    world_end(&w);
    buffer_free(&r.bytes);
    free(r.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_take_turns),
        cmocka_unit_test(the_limit_in_flight_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
