// Which shard an event belongs to.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/dialog.h"
#include "core/user.h"
#include "core_lines.h"

enum { SHARDS = 8 };

static const uint8_t key[CORE_KEY_BYTES] = "the shards' key";
static struct lines lines;

static struct core *shard(unsigned i, unsigned shards)
{
    static const struct text sip[] = {{"example.net", 11}}, xmpp[] = {{"example.com", 11}};
    static struct core_net loopback = {.base = {.ip = {127}, .family = 4}, .prefix = 8};
    struct core *c;
    struct core_config cfg = {.seed = 5,
                              .shard = i,
                              .shards = shards,
                              .advertise = TEXT("127.0.0.1"),
                              .shard_port = (uint16_t)(5080 + i),
                              .t1_ms = 500};
    memcpy(cfg.key, key, sizeof key);
    cfg.settings = (struct core_settings){.expires_s = 3600,
                                          .min_expires_s = 60,
                                          .max_expires_s = 7200,
                                          .subscriptions_per_user = 10,
                                          .subscriptions_per_shard = 10,
                                          .new_subscriptions_per_user_per_min = 10,
                                          .requests_in_flight_per_peer = 10,
                                          .notify_failures = 3};
    cfg.trust = (struct core_trust){.sip_domains = sip,
                                    .n_sip_domains = 1,
                                    .xmpp_domains = xmpp,
                                    .n_xmpp_domains = 1,
                                    .sip_sources = &loopback,
                                    .n_sip_sources = 1};
    assert_int_equal(hop_parse(&cfg.proxy, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    assert_int_equal(core_create(&c, &cfg), 0);
    return c;
}

static unsigned owner(const char *local, unsigned shards)
{
    struct jid jid = {.local = text_of(local), .domain = TEXT("example.com")};
    return core_shard_of_hash(user_hash(key, &jid), shards);
}

static unsigned of_sip(const struct core *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static unsigned of_sip(const struct core *c, const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return core_owner_of_sip(c, lines_parse(&lines, message));
}

static void found_owner(void *arg, const struct stanza *s)
{
    unsigned *out = arg;
    *out = core_owner_of_stanza(lines.core, s);
}

static unsigned of_stanza(struct core *c, const char *from)
{
    char text[512];
    unsigned out = 99;
    struct stanza_reader *r;
    struct stanza_reader_limits limits = {65536, 32};
    lines.core = c;
    snprintf(text, sizeof text, "<presence from='%s' to='romeo@example.net'/>", from);
    assert_int_equal(stanza_reader_create(&r, &limits, found_owner, &out), 0);
    assert_int_equal(stanza_reader_feed(r, text, strlen(text)), 0);
    stanza_reader_destroy(r);
    return out;
}

#define REQUEST(method, ruri, to)                                                                  \
    method " " ruri                                                                                \
           " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n"                            \
           "From: <sip:romeo@example.net>;tag=a\r\nTo: " to                                        \
           "\r\nCall-ID: c\r\n"                                                                    \
           "CSeq: 1 " method                                                                       \
           "\r\nMax-Forwards: 70\r\nEvent: presence\r\n"                                           \
           "Contact: <sip:romeo@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"

static void users_spread_over_all_shards(void **state)
{
    (void)state;
    unsigned seen[SHARDS] = {0};
    for (int i = 0; i < 8000; i++) {
        char local[16];
        snprintf(local, sizeof local, "user%d", i);
        seen[owner(local, SHARDS)]++;
    }
    for (int i = 0; i < SHARDS; i++)
        assert_in_range(seen[i], 850, 1150);
    assert_int_equal(core_shard_of_hash(UINT32_MAX, CORE_SHARDS_MAX), CORE_SHARDS_MAX - 1);
    assert_int_equal(core_shard_of_hash(0, CORE_SHARDS_MAX), 0);
    assert_int_equal(core_shard_of_hash(UINT32_MAX, 1), 0);
}

// The same user is found from both worlds, in whatever spelling.
static void both_worlds_agree(void **state)
{
    (void)state;
    struct core *c = shard(3, SHARDS);
    for (int i = 0; i < 50; i++) {
        char local[16], from[64];
        snprintf(local, sizeof local, "user%d", i);
        unsigned want = owner(local, SHARDS);
        snprintf(from, sizeof from, "%s@example.com/balcony", local);
        assert_int_equal(of_stanza(c, from), want);
        snprintf(from, sizeof from, "USER%d@Example.COM", i);
        assert_int_equal(of_stanza(c, from), want);
        assert_int_equal(
            of_sip(c, REQUEST("SUBSCRIBE", "sip:user%d@example.com", "<sip:x@y.example>"), i),
            want);
        assert_int_equal(of_sip(c,
                                REQUEST("SUBSCRIBE", "sip:%%75ser%d@EXAMPLE.com:5060;transport=udp",
                                        "<sip:x@y>"),
                                i),
                         want);
        assert_int_equal(of_sip(c, REQUEST("SUBSCRIBE", "pres:user%d@example.com", "<sip:x@y>"), i),
                         want);
    }
    core_destroy(c);
}

static void a_tag_of_ours_wins(void **state)
{
    (void)state;
    struct core *c = shard(3, SHARDS);
    for (unsigned i = 0; i < SHARDS; i++) {
        uint32_t hash = (uint32_t)((uint64_t)i * (UINT64_C(1) << 32) / SHARDS + 5);
        assert_int_equal(of_sip(c,
                                REQUEST("SUBSCRIBE", "sip:user1@example.com",
                                        "<sip:x@y>;tag=%08x0123456789abcdef"),
                                hash),
                         i);
        assert_int_equal(
            of_sip(c, REQUEST("NOTIFY", "sip:z@127.0.0.1", "<sip:x@y>;tag=%08x0123456789abcdef"),
                   hash),
            i);
    }
    core_destroy(c);
}

// Of a shape that is not ours: a SUBSCRIBE goes by its address, the rest stays where it is.
static void foreign_tags_name_nobody(void **state)
{
    (void)state;
    static const char *const tags[] = {"xyz", "0123456789ABCDEF01234567", "0123456789abcdef0123456",
                                       "0123456789abcdef012345678", "0123456789abcdef0123456g"};
    struct core *c = shard(3, SHARDS);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        assert_int_equal(
            of_sip(c, REQUEST("NOTIFY", "sip:user1@example.com", "<sip:x@y>;tag=%s"), tags[i]), 3);
        assert_int_equal(
            of_sip(c, REQUEST("SUBSCRIBE", "sip:user1@example.com", "<sip:x@y>;tag=%s"), tags[i]),
            owner("user1", SHARDS));
    }
    core_destroy(c);
}

static void what_names_nobody_stays(void **state)
{
    (void)state;
    struct core *c = shard(3, SHARDS);
    assert_int_equal(of_sip(c, "%s", REQUEST("OPTIONS", "sip:user1@example.com", "<sip:x@y>")), 3);
    assert_int_equal(of_sip(c, "%s", REQUEST("SUBSCRIBE", "sip:example.com", "<sip:x@y>")), 3);
    assert_int_equal(of_sip(c, "%s", REQUEST("SUBSCRIBE", "tel:+15551234", "<sip:x@y>")), 3);
    assert_int_equal(of_sip(c, "SUBSCRIBE sip:user1@example.com SIP/2.0\r\n\r\n"), 3); // a defect
    assert_int_equal(of_stanza(c, "example.com"), 3);
    assert_int_equal(of_stanza(c, "@example.com"), 3);
    core_destroy(c);
}

#define RESPONSE                                                                                   \
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=%s\r\n"                              \
    "From: <sip:user1@example.com>;tag=%08x0123456789abcdef\r\n"                                   \
    "To: <sip:romeo@example.net>;tag=b\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\n"                     \
    "Content-Length: 0\r\n\r\n"

static void a_response_goes_by_its_branch(void **state)
{
    (void)state;
    struct core *c = shard(3, SHARDS);
    assert_int_equal(of_sip(c, RESPONSE, "z9hG4bK06000000010123456789abcdef", 0u), 6);
    // A shard that is not there, another's branch, one that is too short.
    assert_int_equal(of_sip(c, RESPONSE, "z9hG4bK08000000010123456789abcdef", 0u), 3);
    assert_int_equal(of_sip(c, RESPONSE, "z9hG4bKff000000010123456789abcdef", 0u), 3);
    assert_int_equal(of_sip(c, RESPONSE, "z9hG4bK74b43", 0u), 3);
    assert_int_equal(of_sip(c, RESPONSE, "z9hG4bK06000000010123456789ABCDEF", 0u), 3);
    assert_int_equal(of_sip(c, RESPONSE, "06000000010123456789abcdef", 0u), 3);
    core_destroy(c);
}

// What a shard sends comes back to it: the response by the branch, NOTIFY requests by the tag even
// after the number of shards has changed.
static void what_we_sent_comes_back(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards <= 5; shards++) {
        unsigned mine = owner("juliet", shards);
        struct core *c = lines.core = shard(mine, shards);
        lines.now_ms = 1700000000000;
        effects_init(&lines.fx);
        lines_stanza(&lines,
                     "<presence from='juliet@example.com' to='romeo@example.net' "
                     "type='subscribe'/>");
        const struct effect *e = &lines.fx.v[0];
        assert_int_equal(e->kind, EFFECT_SIP);
        char bytes[4096], branch[64], tag[64];
        struct text t = effect_text(&lines.fx, e);
        assert_true(t.n < sizeof bytes);
        memcpy(bytes, t.p, t.n);
        bytes[t.n] = 0;
        assert_int_equal(sscanf(strstr(bytes, "branch="), "branch=%63[^\r;]", branch), 1);
        assert_int_equal(sscanf(strstr(bytes, ";tag="), ";tag=%63[^\r;]", tag), 1);
        assert_int_equal(of_sip(c, RESPONSE, branch, 0u), mine);
        for (unsigned other = 1; other <= 9; other++) {
            struct core *o = shard(other - 1, other);
            assert_int_equal(
                of_sip(o, REQUEST("NOTIFY", "sip:juliet@127.0.0.1:5080", "<sip:x@y>;tag=%s"), tag),
                owner("juliet", other));
            core_destroy(o);
        }
        effects_free(&lines.fx);
        core_destroy(c);
    }
}

static int begin(void **state)
{
    (void)state;
    return sip_parser_create(&lines.parser, 65536);
}

static int end(void **state)
{
    (void)state;
    sip_parser_destroy(lines.parser);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_spread_over_all_shards),
        cmocka_unit_test(both_worlds_agree),
        cmocka_unit_test(a_tag_of_ours_wins),
        cmocka_unit_test(foreign_tags_name_nobody),
        cmocka_unit_test(what_names_nobody_stays),
        cmocka_unit_test(a_response_goes_by_its_branch),
        cmocka_unit_test(what_we_sent_comes_back),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
