// Records: what is written is what comes back; what is damaged is refused, whatever the damage.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/record.h"
#include "core_lines.h"

#define START UINT64_C(1700000000000)

static struct core *open_core(void)
{
    static const struct text sip[] = {{"example.net", 11}}, xmpp[] = {{"example.com", 11}};
    static struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};
    struct core *c;
    struct core_config cfg = {
        .seed = 5, .shards = 1, .advertise = TEXT("127.0.0.1"), .shard_port = 5080, .t1_ms = 500};
    memcpy(cfg.key, "the shards' key", 16);
    assert_int_equal(hop_parse(&cfg.proxy, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    cfg.settings = (struct core_settings){.expires_s = 3600,
                                          .min_expires_s = 60,
                                          .max_expires_s = 7200,
                                          .probe_timeout_s = 10,
                                          .subscriptions_per_user = 10,
                                          .subscriptions_per_shard = 10,
                                          .new_subscriptions_per_user_per_min = 10,
                                          .requests_in_flight_per_peer = 100,
                                          .notify_failures = 3};
    cfg.trust = (struct core_trust){.sip_domains = sip,
                                    .n_sip_domains = 1,
                                    .xmpp_domains = xmpp,
                                    .n_xmpp_domains = 1,
                                    .sip_sources = &loopback,
                                    .n_sip_sources = 1};
    assert_int_equal(core_create(&c, &cfg), 0);
    return c;
}

struct bytes {
    char p[4096];
    size_t n;
};

// The last record put.
static void take_put(struct lines *l, struct bytes *out)
{
    out->n = 0;
    for (size_t i = 0; i < l->fx.n; i++)
        if (l->fx.v[i].kind == EFFECT_PUT) {
            struct text t = effect_text(&l->fx, &l->fx.v[i]);
            assert_true(t.n <= sizeof out->p);
            memcpy(out->p, t.p, t.n);
            out->n = t.n;
        }
    assert_true(out->n > 0);
}

static void open_lines(struct lines *l)
{
    *l = (struct lines){.core = open_core(), .now_ms = START};
    effects_init(&l->fx);
    assert_int_equal(sip_parser_create(&l->parser, 65536), 0);
}

static void close_lines(struct lines *l)
{
    core_destroy(l->core);
    effects_free(&l->fx);
    sip_parser_destroy(l->parser);
}

// She watches him: authorization, and a dialog that the peer has not confirmed yet.
static void watch_record(struct bytes *out)
{
    struct lines l;
    open_lines(&l);
    lines_stanza(&l,
                 "<presence from='juliet@example.com' to='romeo@example.net' type='subscribe'/>");
    take_put(&l, out);
    close_lines(&l);
}

// He watches her from two devices, one of them behind two proxies.
static void serve_record(struct bytes *out)
{
    struct lines l;
    open_lines(&l);
    for (int i = 0; i < 2; i++) {
        char message[2048];
        snprintf(message, sizeof message,
                 "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\n"
                 "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n%s"
                 "From: <sip:ROMEO@example.net;x=y>;tag=t%d\r\nTo: <sip:juliet@example.com>\r\n"
                 "Call-ID: call%d\r\nCSeq: %d SUBSCRIBE\r\nContact: <sip:romeo@127.0.0.1:%d>\r\n"
                 "Event: presence;id=%d\r\nExpires: 1800\r\nContent-Length: 0\r\n\r\n",
                 i, i ? "Record-Route: <sip:127.0.0.2;lr>, <sip:127.0.0.3;lr>\r\n" : "", i, i,
                 7 + i, 5090 + i, i);
        lines_sip(&l, message);
    }
    take_put(&l, out);
    close_lines(&l);
}

static bool copy_view(void *arg, const struct core_subscription_view *v)
{
    char *out = arg;
    int n = sprintf(out, "%llu %d %d %.*s %.*s %u %llu %zu", (unsigned long long)v->id,
                    v->direction, v->state, TEXT_ARG(v->xmpp), TEXT_ARG(v->sip), v->expires_in_s,
                    (unsigned long long)v->created_at_ms, v->n_dialogs);
    for (size_t i = 0; i < v->n_dialogs; i++)
        n += sprintf(out + n, " [%.*s %.*s %u]", TEXT_ARG(v->dialogs[i].call_id),
                     TEXT_ARG(v->dialogs[i].remote), v->dialogs[i].expires_in_s);
    return true;
}

static void see(struct core *c, char out[1024])
{
    struct core_filter all = {.direction = -1, .state = -1};
    out[0] = 0;
    core_list(c, &all, 0, 100, copy_view, out, START);
}

static int restore(struct core *c, const char *p, size_t n)
{
    return core_restore(c, 42, (struct text){p, n}, START);
}

static void a_watch_comes_back(void **state)
{
    (void)state;
    struct bytes b;
    char seen[1024];
    watch_record(&b);
    struct core *c = open_core();
    assert_int_equal(restore(c, b.p, b.n), 0);
    see(c, seen);
    char want[256];
    snprintf(want, sizeof want,
             "42 0 0 juliet@example.com sip:romeo@example.net 0 1700000000000 1 [");
    assert_memory_equal(seen, want, strlen(want));
    assert_int_equal(core_stats(c)->subscriptions, 1);
    assert_int_equal(core_stats(c)->dialogs, 1);
    core_destroy(c);
}

static void a_serve_comes_back_with_its_dialogs(void **state)
{
    (void)state;
    struct bytes b;
    char seen[1024];
    serve_record(&b);
    struct core *c = open_core();
    assert_int_equal(restore(c, b.p, b.n), 0);
    see(c, seen);
    // The dialogs' order is of no meaning.
    assert_non_null(strstr(seen,
                           "42 1 0 juliet@example.com sip:ROMEO@example.net;x=y 1800 "
                           "1700000000000 2 ["));
    assert_non_null(strstr(seen, "[call0 sip:romeo@127.0.0.1:5090 1800]"));
    assert_non_null(strstr(seen, "[call1 sip:romeo@127.0.0.1:5091 1800]"));
    core_destroy(c);
}

// Dialogs that are over leave the record, or take it with them.
static void it_changes_when_dialogs_go(void **state)
{
    (void)state;
    struct bytes b, again;
    struct lines l;
    serve_record(&b);
    open_lines(&l);
    assert_int_equal(restore(l.core, b.p, b.n), 0);
    struct event up = {.kind = EVENT_TICK};
    l.now_ms += 1900 * 1000; // both dialogs have expired: the record changes
    core_step(l.core, &up, l.now_ms, &l.fx);
    size_t deletes = 0;
    for (size_t i = 0; i < l.fx.n; i++)
        deletes += l.fx.v[i].kind == EFFECT_DELETE && l.fx.v[i].id == 42;
    assert_int_equal(deletes, 1); // pending, and nobody waits any more
    close_lines(&l);
    watch_record(&b);
    open_lines(&l);
    assert_int_equal(restore(l.core, b.p, b.n), 0);
    l.now_ms = START + 33 * 1000; // no NOTIFY within Timer N: the dialog goes, the rest stays
    core_step(l.core, &up, l.now_ms, &l.fx);
    take_put(&l, &again);
    assert_true(again.n < b.n);
    assert_memory_equal(again.p, b.p, 40);
    close_lines(&l);
}

static void owner_hash_is_found_at_once(void **state)
{
    (void)state;
    struct bytes w, s;
    uint32_t a, b;
    watch_record(&w);
    serve_record(&s);
    assert_int_equal(record_owner_hash((struct text){w.p, w.n}, &a), 0);
    assert_int_equal(record_owner_hash((struct text){s.p, s.n}, &b), 0);
    assert_int_equal(a, b); // the same XMPP user
    for (size_t n = 0; n < 6; n++)
        assert_int_equal(record_owner_hash((struct text){w.p, n}, &a), EBADMSG);
    assert_int_equal(record_owner_hash((struct text){w.p, 6}, &a), 0);
}

static void newer_version_is_not_supported(void **state)
{
    (void)state;
    struct bytes b;
    uint32_t hash;
    watch_record(&b);
    b.p[0]++;
    struct core *c = open_core();
    assert_int_equal(restore(c, b.p, b.n), ENOTSUP);
    assert_int_equal(record_owner_hash((struct text){b.p, b.n}, &hash), ENOTSUP);
    b.p[0] = 0;
    assert_int_equal(restore(c, b.p, b.n), EBADMSG);
    assert_int_equal(core_stats(c)->subscriptions, 0);
    core_destroy(c);
}

// Version 1 ended each dialog one text earlier.
static void version_1_is_read(void **state)
{
    (void)state;
    struct bytes b;
    char seen[1024];
    uint32_t hash;
    watch_record(&b); // one dialog, which has nothing in that text
    b.p[0] = 1;
    b.n -= sizeof(uint16_t);
    struct core *c = open_core();
    assert_int_equal(record_owner_hash((struct text){b.p, b.n}, &hash), 0);
    assert_int_equal(restore(c, b.p, b.n - 1), EBADMSG);
    core_destroy(c);
    c = open_core();
    assert_int_equal(restore(c, b.p, b.n), 0);
    see(c, seen);
    assert_non_null(strstr(seen, "42 0 0 juliet@example.com sip:romeo@example.net 0 "));
    assert_int_equal(core_stats(c)->dialogs, 1);
    core_destroy(c);
    c = open_core();
    b.p[0] = 2;
    assert_int_equal(restore(c, b.p, b.n), EBADMSG); // it says that there is more
    core_destroy(c);
}

static void one_pair_has_one_record(void **state)
{
    (void)state;
    struct bytes b;
    watch_record(&b);
    struct core *c = open_core();
    assert_int_equal(core_restore(c, 1, (struct text){b.p, b.n}, START), 0);
    assert_int_equal(core_restore(c, 2, (struct text){b.p, b.n}, START), EBADMSG);
    core_destroy(c);
}

// The bytes lie in memory of just their size, so that reading past them is seen.
static int restore_alone(const char *p, size_t n, bool live_on)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    struct lines l;
    open_lines(&l);
    int err = restore(l.core, copy, n);
    free(copy);
    if (!err && live_on) { // what was taken must also be fit to live with
        struct event ev = {.kind = EVENT_STREAM_UP, .domain = TEXT("example.net")};
        core_step(l.core, &ev, l.now_ms, &l.fx);
        char seen[8192];
        see(l.core, seen);
        ev.kind = EVENT_TICK;
        for (int i = 0; i < 8; i++) {
            l.now_ms += 30000;
            effects_reset(&l.fx);
            core_step(l.core, &ev, l.now_ms, &l.fx);
        }
    }
    close_lines(&l);
    return err;
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct bytes b[2];
    watch_record(&b[0]);
    serve_record(&b[1]);
    for (int k = 0; k < 2; k++) {
        for (size_t n = 0; n < b[k].n; n++)
            assert_int_equal(restore_alone(b[k].p, n, false), EBADMSG);
        b[k].p[b[k].n] = 0; // and one byte too many
        assert_int_equal(restore_alone(b[k].p, b[k].n + 1, false), EBADMSG);
    }
}

static void no_mutation_does_harm(void **state)
{
    (void)state;
    struct bytes b[2];
    struct hash_random r;
    unsigned taken = 0;
    hash_random_init(&r, 3, 0);
    watch_record(&b[0]);
    serve_record(&b[1]);
    for (int i = 0; i < 4000; i++) {
        struct bytes m = b[i % 2];
        for (uint32_t k = 1 + hash_random_below(&r, 3); k; k--) {
            uint32_t at = hash_random_below(&r, (uint32_t)m.n);
            m.p[at] = (char)(hash_random_below(&r, 2) ? hash_random_u64(&r)
                                                      : (uint64_t)(m.p[at] ^ 1 << (k & 7)));
        }
        int err = restore_alone(m.p, m.n, true);
        if (err != 0 && err != EBADMSG && err != ENOTSUP)
            fail_msg("mutation %d: error %d", i, err);
        taken += err == 0;
    }
    assert_in_range(taken, 400, 3600); // else this has tried nothing
}

// Each byte at its ends: lengths, counts, times.
static void every_byte_at_its_ends(void **state)
{
    (void)state;
    static const unsigned char ends[] = {0, 1, 0x7f, 0x80, 0xff};
    struct bytes b[2];
    watch_record(&b[0]);
    serve_record(&b[1]);
    for (int k = 0; k < 2; k++)
        for (size_t at = 0; at < b[k].n; at++)
            for (size_t e = 0; e < sizeof ends; e++) {
                struct bytes m = b[k];
                m.p[at] = (char)ends[e];
                int err = restore_alone(m.p, m.n, e == 4);
                assert_true(err == 0 || err == EBADMSG || err == ENOTSUP);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_comes_back),
        cmocka_unit_test(a_serve_comes_back_with_its_dialogs),
        cmocka_unit_test(it_changes_when_dialogs_go),
        cmocka_unit_test(owner_hash_is_found_at_once),
        cmocka_unit_test(newer_version_is_not_supported),
        cmocka_unit_test(version_1_is_read),
        cmocka_unit_test(one_pair_has_one_record),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(no_mutation_does_harm),
        cmocka_unit_test(every_byte_at_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
