// Trust: which networks a SIP message may come from, which domains are named, and their streams.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/domain.h"

static struct core *open_core(const struct core_trust *trust)
{
    struct core *c;
    struct core_config cfg = {.shards = 1, .advertise = TEXT("127.0.0.1"), .trust = *trust};
    assert_int_equal(core_create(&c, &cfg), 0);
    return c;
}

static struct core_net net(const char *base, uint8_t prefix)
{
    struct core_net n = {.prefix = prefix};
    assert_int_equal(hop_parse(&n.base, text_of(base), 0, HOP_UDP), 0);
    return n;
}

static bool trusted(const struct core *c, const char *source)
{
    struct hop h;
    assert_int_equal(hop_parse(&h, text_of(source), 5060, HOP_UDP), 0);
    return domain_source_trusted(c, &h);
}

static void networks(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        uint8_t prefix;
        const char *in, *out;
    } t[] = {
        {"127.0.0.0", 8, "127.255.0.1", "128.0.0.1"},
        {"192.0.2.0", 24, "192.0.2.255", "192.0.3.0"},
        {"192.0.2.128", 25, "192.0.2.128", "192.0.2.127"},
        {"10.0.0.4", 30, "10.0.0.7", "10.0.0.8"},
        {"10.0.0.4", 32, "10.0.0.4", "10.0.0.5"},
        {"0.0.0.0", 0, "203.0.113.9", "::1"},
        {"224.0.0.0", 3, "255.1.1.1", "223.1.1.1"},
        {"2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::1"},
        {"fe80::", 10, "febf::1", "fec0::1"},
        {"2001:db8::1", 128, "2001:db8::1", "2001:db8::2"},
        {"::", 0, "2001:db8::1", "127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct core_net n = net(t[i].base, t[i].prefix);
        struct core_trust trust = {.sip_sources = &n, .n_sip_sources = 1};
        struct core *c = open_core(&trust);
        if (!trusted(c, t[i].in) || trusted(c, t[i].out))
            fail_msg("%s/%u: %s or %s", t[i].base, t[i].prefix, t[i].in, t[i].out);
        core_destroy(c);
    }
}

static void nothing_is_trusted_by_default(void **state)
{
    (void)state;
    struct core_trust none = {0};
    struct core *c = open_core(&none);
    assert_false(trusted(c, "127.0.0.1"));
    assert_false(trusted(c, "::1"));
    assert_int_equal(domain_find(c, TEXT("example.com")), DOMAIN_NONE);
    assert_int_equal(core_domain_name(c, 0).n, 0);
    core_destroy(c);
}

static void any_of_several_networks(void **state)
{
    (void)state;
    struct core_net nets[] = {net("10.0.0.0", 8), net("2001:db8::", 32), net("192.0.2.7", 32)};
    struct core_trust trust = {.sip_sources = nets, .n_sip_sources = 3};
    struct core *c = open_core(&trust);
    assert_true(trusted(c, "10.1.2.3") && trusted(c, "2001:db8::5") && trusted(c, "192.0.2.7"));
    assert_false(trusted(c, "192.0.2.8") || trusted(c, "::1"));
    core_destroy(c);
}

static bool is(const struct core *c, const char *name, uint8_t flags)
{
    return domain_is(c, domain_find(c, text_of(name)), flags);
}

// A stream's number never changes while the process lives, whatever is trusted by then.
static void taken_away_and_given_back(void **state)
{
    (void)state;
    struct text sip[] = {TEXT("example.net"), TEXT("example.org")}, xmpp[] = {TEXT("example.com")};
    struct core_net n = net("127.0.0.0", 8);
    struct core_trust all = {.sip_domains = sip,
                             .n_sip_domains = 2,
                             .xmpp_domains = xmpp,
                             .n_xmpp_domains = 1,
                             .probe_exempt_domains = xmpp,
                             .n_probe_exempt_domains = 1,
                             .sip_sources = &n,
                             .n_sip_sources = 1};
    struct core_trust less = {.sip_domains = sip + 1, .n_sip_domains = 1};
    struct core *c = open_core(&all);
    assert_true(is(c, "example.net", DOMAIN_SIP | DOMAIN_STREAM));
    assert_true(is(c, "example.com", DOMAIN_XMPP | DOMAIN_EXEMPT));
    assert_false(is(c, "example.com", DOMAIN_STREAM));
    assert_true(text_eq(core_domain_name(c, 1), TEXT("example.org")));
    assert_int_equal(core_set_trust(c, &less), 0);
    assert_false(is(c, "example.net", DOMAIN_SIP) || is(c, "example.com", DOMAIN_XMPP) ||
                 is(c, "example.com", DOMAIN_EXEMPT) || trusted(c, "127.0.0.1"));
    assert_true(is(c, "example.org", DOMAIN_SIP));
    assert_true(text_eq(core_domain_name(c, 0), TEXT("example.net")));
    assert_int_equal(core_set_trust(c, &all), 0);
    assert_true(is(c, "example.net", DOMAIN_SIP) && trusted(c, "127.0.0.1"));
    assert_true(text_eq(core_domain_name(c, 0), TEXT("example.net")));
    assert_true(text_eq(core_domain_name(c, 1), TEXT("example.org")));
    assert_int_equal(core_domain_name(c, 2).n, 0);
    core_destroy(c);
}

static void one_domain_too_many(void **state)
{
    (void)state;
    static char names[CORE_DOMAINS_MAX + 1][32];
    static struct text v[CORE_DOMAINS_MAX + 1];
    for (int i = 0; i <= CORE_DOMAINS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "d%d.example", i);
        v[i] = text_of(names[i]);
    }
    struct core *c;
    struct core_config cfg = {.shards = 1, .advertise = TEXT("127.0.0.1")};
    cfg.trust = (struct core_trust){.sip_domains = v, .n_sip_domains = CORE_DOMAINS_MAX};
    assert_int_equal(core_create(&c, &cfg), 0);
    core_destroy(c);
    cfg.trust.n_sip_domains++;
    assert_int_equal(core_create(&c, &cfg), E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(nothing_is_trusted_by_default),
        cmocka_unit_test(any_of_several_networks),
        cmocka_unit_test(taken_away_and_given_back),
        cmocka_unit_test(one_domain_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
