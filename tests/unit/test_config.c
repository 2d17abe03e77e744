// gateway.toml: every default, every key, and the reference.
#include "tests/unit/config_file.h"

static void test_defaults(void **state)
{
    (void)state;
    struct config *c = load_good(MUST);
    assert_string_equal(c->path, file);
    assert_string_equal(c->gateway.domain, "");
    assert_in_range(c->gateway.shards, 1, CORE_SHARDS_MAX);
    assert_string_equal(c->gateway.store, "/var/lib/isthmus");
    assert_string_equal(c->gateway.user, "");
    assert_string_equal(c->xmpp.server_host, "127.0.0.1");
    assert_int_equal(c->xmpp.server_port, 5347);
    assert_string_equal(c->xmpp.secret, "x");
    assert_string_equal(c->xmpp.secret_file, "");
    assert_int_equal(c->xmpp.connections, 1);
    assert_int_equal(c->sip.listen.n, 1);
    assert_string_equal(c->sip.listen.v[0], "udp:127.0.0.1:5060");
    assert_int_equal(c->sip.n_listen_hop, 1);
    assert_int_equal(c->sip.listen_hop[0].port, 5060);
    assert_int_equal(c->sip.listen_hop[0].transport, HOP_UDP);
    assert_int_equal(c->sip.shard_port, 5080);
    assert_string_equal(c->sip.advertise, "127.0.0.1");
    assert_int_equal(c->sip.dns_servers.n, 0);
    assert_int_equal(c->sip.n_realms, 0);
    assert_int_equal(c->sip.t1_ms, 500);
    assert_string_equal(c->sip.certificate, "");
    assert_string_equal(c->sip.private_key, "");
    assert_string_equal(c->sip.ca, "");
    assert_false(c->sip.verify_client);
    assert_int_equal(c->trust.sip_sources.n, 1);
    assert_string_equal(c->trust.sip_sources.v[0], "127.0.0.0/8");
    assert_int_equal(c->trust.sources[0].prefix, 8);
    assert_int_equal(c->probe_exempt_domains.n, 0);
    assert_int_equal(c->api.listen_port, 8090);
    assert_string_equal(c->api.listen_host, "127.0.0.1");
    assert_string_equal(c->api.token_file, "");
    assert_string_equal(c->api.token, "");
    assert_int_equal(c->log.level, LOG_INFO);
    assert_false(c->log.json);
    config_free(c);
}

static void test_defaults_of_core(void **state)
{
    (void)state;
    struct config *c = load_good(MUST);
    assert_int_equal(c->core.expires_s, 3600);
    assert_int_equal(c->core.min_expires_s, 60);
    assert_int_equal(c->core.max_expires_s, 7200);
    assert_false(c->core.unsubscribe_on_expiry);
    assert_int_equal(c->core.notify_interval_ms, 0);
    assert_int_equal(c->core.probe_timeout_s, 10);
    assert_int_equal(c->core.probe_window_s, 60);
    assert_int_equal(c->core.subscriptions_per_user, 1000);
    assert_int_equal(c->core.subscriptions_per_shard, 2000000);
    assert_int_equal(c->core.new_subscriptions_per_user_per_min, 60);
    assert_int_equal(c->core.requests_in_flight_per_peer, 5000);
    assert_int_equal(c->core.notify_failures, 3);
    assert_int_equal(c->core.lag_ms, 50);
    assert_false(c->core.draining);
    assert_int_equal(c->limits.sip_message_bytes, 65536);
    assert_int_equal(c->limits.stanza_bytes, 262144);
    assert_int_equal(c->limits.stanza_depth, 32);
    config_free(c);
}

// Every key, each with another value than its default.
static const char all[] =
    "[gateway]\ndomain = 'GW.example.org'\nshards = 3\nstore = 's'\nuser = 'nobody'\n"
    "[xmpp]\nserver = 'xmpp.example.com:5275'\nsecret = '\u00a7ecret'\nconnections = 2\n"
    "[sip]\nlisten = ['udp:[::1]:5062', 'udp:127.0.0.2:5062', 'tcp:127.0.0.2:5062', "
    "'tls:127.0.0.2:5061']\nshard_port = 6000\nadvertise = '2001:db8::1'\n"
    "proxy = 'sip:[::1]:5071;transport=UDP'\nt1_ms = 100\n"
    "dns_servers = ['192.0.2.53', '[2001:db8::53]:5353']\n"
    "[sip.realms.'example.net']\nuser = 'u'\npassword = 'p'\n"
    "[sip.tls]\ncertificate = 'c'\nprivate_key = 'k'\nca = 'a'\nverify_client = true\n"
    "[trust]\nsip_domains = ['Example.NET', 'example.org']\nxmpp_domains = ['example.com']\n"
    "sip_sources = ['192.0.2.7', '10.11.12.13/12', '2001:db8:ffff::/33', '0.0.0.0/0']\n"
    "[subscription]\nexpires_s = 1800\nmin_expires_s = 30\nmax_expires_s = 600\n"
    "on_expiry = 'unsubscribe'\nnotify_interval_ms = 5000\n"
    "[probe]\ntimeout_s = 5\nwindow_s = 0\nexempt_domains = ['a.example', 'b.example']\n"
    "[limits]\nsubscriptions_per_user = 1\nsubscriptions_per_shard = 2\n"
    "new_subscriptions_per_user_per_min = 3\nrequests_in_flight_per_peer = 4\n"
    "notify_failures = 5\nlag_ms = 70\nsip_message_bytes = 4000\nstanza_bytes = 10000\nstanza_depth = 8\n"
    "[api]\nlisten = '[::1]:9000'\n[log]\nlevel = 'debug'\nformat = 'json'\n";

static void test_all_general(void **state)
{
    (void)state;
    struct config *c = load_good(all);
    assert_string_equal(c->gateway.domain, "gw.example.org");
    assert_int_equal(c->gateway.shards, 3);
    assert_string_equal(c->gateway.store, "s");
    assert_string_equal(c->gateway.user, "nobody");
    assert_string_equal(c->xmpp.server_host, "xmpp.example.com");
    assert_int_equal(c->xmpp.server_port, 5275);
    assert_string_equal(c->xmpp.secret, "\u00a7ecret");
    assert_int_equal(c->xmpp.connections, 2);
    assert_string_equal(c->api.listen_host, "::1");
    assert_int_equal(c->api.listen_port, 9000);
    assert_int_equal(c->log.level, LOG_DEBUG);
    assert_true(c->log.json);
    config_free(c);
}

static void test_all_sip(void **state)
{
    (void)state;
    struct config *c = load_good(all);
    assert_int_equal(c->sip.n_listen_hop, 4);
    assert_int_equal(c->sip.listen.n, 4);
    assert_int_equal(c->sip.listen_hop[0].family, 6);
    assert_int_equal(c->sip.listen_hop[0].ip[15], 1);
    assert_int_equal(c->sip.listen_hop[1].ip[3], 2);
    assert_int_equal(c->sip.listen_hop[2].transport, HOP_TCP);
    assert_int_equal(c->sip.listen_hop[3].transport, HOP_TLS);
    assert_int_equal(c->sip.listen_hop[3].port, 5061);
    assert_int_equal(c->sip.shard_port, 6000);
    assert_string_equal(c->sip.advertise, "[2001:db8::1]");
    assert_int_equal(c->sip.proxy_hop.family, 6);
    assert_int_equal(c->sip.proxy_hop.ip[15], 1);
    assert_int_equal(c->sip.proxy_hop.port, 5071);
    assert_int_equal(c->sip.dns_servers.n, 2);
    assert_memory_equal(c->sip.dns_server_hop[0].ip, "\xc0\0\2\x35", 4);
    assert_int_equal(c->sip.dns_server_hop[0].port, 53);
    assert_int_equal(c->sip.dns_server_hop[1].family, 6);
    assert_int_equal(c->sip.dns_server_hop[1].port, 5353);
    assert_int_equal(c->sip.n_realms, 1);
    assert_string_equal(c->sip.realm[0].name, "example.net");
    assert_string_equal(c->sip.realm[0].user, "u");
    assert_string_equal(c->sip.realm[0].password, "p");
    assert_int_equal(c->sip.t1_ms, 100);
    assert_string_equal(c->sip.certificate, "c");
    assert_string_equal(c->sip.private_key, "k");
    assert_string_equal(c->sip.ca, "a");
    assert_true(c->sip.verify_client);
    config_free(c);
}

static void test_all_trust(void **state)
{
    (void)state;
    struct config *c = load_good(all);
    assert_int_equal(c->trust.sip_domains.n, 2);
    assert_string_equal(c->trust.sip_domains.v[0], "example.net");
    assert_string_equal(c->trust.sip_domains.v[1], "example.org");
    assert_string_equal(c->trust.xmpp_domains.v[0], "example.com");
    assert_int_equal(c->trust.sip_sources.n, 4);
    assert_int_equal(c->trust.sources[0].prefix, 32);
    assert_int_equal(c->trust.sources[1].prefix, 12);
    assert_memory_equal(c->trust.sources[1].base.ip, "\x0a\0\0\0", 4);
    assert_int_equal(c->trust.sources[2].prefix, 33);
    assert_memory_equal(c->trust.sources[2].base.ip, "\x20\x01\x0d\xb8\x80\0\0\0", 8);
    assert_int_equal(c->trust.sources[3].prefix, 0);
    assert_int_equal(c->probe_exempt_domains.n, 2);
    assert_string_equal(c->probe_exempt_domains.v[1], "b.example");
    config_free(c);
}

static void test_all_core(void **state)
{
    (void)state;
    struct config *c = load_good(all);
    assert_int_equal(c->core.expires_s, 1800);
    assert_int_equal(c->core.min_expires_s, 30);
    assert_int_equal(c->core.max_expires_s, 600);
    assert_true(c->core.unsubscribe_on_expiry);
    assert_int_equal(c->core.notify_interval_ms, 5000);
    assert_int_equal(c->core.probe_timeout_s, 5);
    assert_int_equal(c->core.probe_window_s, 0);
    assert_int_equal(c->core.subscriptions_per_user, 1);
    assert_int_equal(c->core.subscriptions_per_shard, 2);
    assert_int_equal(c->core.new_subscriptions_per_user_per_min, 3);
    assert_int_equal(c->core.requests_in_flight_per_peer, 4);
    assert_int_equal(c->core.notify_failures, 5);
    assert_int_equal(c->core.lag_ms, 70);
    assert_int_equal(c->limits.sip_message_bytes, 4000);
    assert_int_equal(c->limits.stanza_bytes, 10000);
    assert_int_equal(c->limits.stanza_depth, 8);
    config_free(c);
}

// The keys and values that scripts outside rely on.
static const char contract[] =
    "[gateway]\n"
    "domain = \"gw.example.net\"\n"
    "shards = 0\n"
    "store  = \"/var/lib/isthmus\"\n"
    "[xmpp]\n"
    "server = \"127.0.0.1:5347\"       # component port\n"
    "secret = \"\u2026\"                    # or secret_file\n"
    "connections = 1\n"
    "[sip]\n"
    "listen = [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]\n"
    "shard_port = 5080\n"
    "advertise = \"127.0.0.1\"\n"
    "proxy = \"sip:127.0.0.1:5070;transport=udp\"\n"
    "t1_ms = 500\n"
    "[sip.tls]                       # certificate, private_key, ca\n"
    "[trust]\n"
    "sip_domains  = [\"example.net\"]\n"
    "xmpp_domains = [\"example.com\"]\n"
    "sip_sources  = [\"127.0.0.0/8\"]\n"
    "[subscription]\n"
    "expires_s = 3600\n"
    "min_expires_s = 60\n"
    "max_expires_s = 7200\n"
    "on_expiry = \"keep\"\n"
    "notify_interval_ms = 0\n"
    "[probe]\n"
    "timeout_s = 10\n"
    "window_s = 60\n"
    "exempt_domains = []\n"
    "[limits]\n"
    "subscriptions_per_user = 1000\n"
    "subscriptions_per_shard = 2000000\n"
    "new_subscriptions_per_user_per_min = 60\n"
    "requests_in_flight_per_peer = 5000\n"
    "notify_failures = 3\n"
    "sip_message_bytes = 65536\n"
    "stanza_bytes = 262144\n"
    "stanza_depth = 32\n"
    "[api]\n"
    "listen = \"127.0.0.1:8090\"\n"
    "token_file = \"\"\n"
    "[log]\n"
    "level = \"info\"\n"
    "format = \"logfmt\"\n";

static void test_contract(void **state)
{
    (void)state;
    struct config *c = load_good(contract);
    assert_string_equal(c->gateway.domain, "gw.example.net");
    assert_string_equal(c->xmpp.secret, "\u2026");
    assert_int_equal(c->sip.n_listen_hop, 2);
    assert_int_equal(c->sip.proxy_hop.port, 5070);
    config_free(c);
}

static char *reference(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    config_print_reference(f);
    assert_int_equal(fclose(f), 0);
    return text;
}

// The reference's values are what a file without them gets.
static void test_reference_is_the_defaults(void **state)
{
    (void)state;
    char *text = reference();
    struct config *c = load_good(text);
    struct config *d = load_good(
        "xmpp.secret = 'change-me'\n"
        "trust.sip_domains = ['example.net']\n"
        "trust.xmpp_domains = ['example.com']\n");
    config_each_restart_key(c, d, fail_key, NULL);
    assert_memory_equal(&c->core, &d->core, sizeof c->core);
    assert_memory_equal(&c->log, &d->log, sizeof c->log);
    assert_string_equal(c->trust.sip_sources.v[0], d->trust.sip_sources.v[0]);
    config_free(c);
    config_free(d);
    free(text);
}

static void test_reference_is_the_file(void **state)
{
    (void)state;
    char *text = reference(), *shipped = NULL;
    size_t cap = 0;
    FILE *f = fopen(SOURCE_DIR "/gateway.toml", "r");
    assert_non_null(f);
    assert_true(getdelim(&shipped, &cap, '\0', f) > 0);
    fclose(f);
    assert_string_equal(shipped, text);
    free(shipped);
    free(text);
}

static void test_restart_keys(void **state)
{
    (void)state;
    size_t n = 0;
    struct config *c = load_good(MUST), *d = load_good(all);
    config_each_restart_key(c, c, fail_key, NULL);
    config_each_restart_key(c, d, count_key, &n);
    // gateway 4, xmpp 3, sip 6, sip.tls 4, sip.realms 1, limits 3, api 1
    assert_int_equal(n, 22);
    config_free(d);
    d = load_good(MUST
                  "log.level = 'debug'\ntrust.sip_sources = []\nlimits.notify_failures = 4\n"
                  "subscription.on_expiry = 'unsubscribe'\nprobe.window_s = 1\n");
    config_each_restart_key(c, d, fail_key, NULL);
    config_free(c);
    config_free(d);
}

static void test_secret_file(void **state)
{
    (void)state;
    char secret[80], text[512];
    snprintf(secret, sizeof secret, "%s/secret", dir);
    snprintf(text, sizeof text,
             "xmpp.secret_file = '%s'\nsip.proxy = 'sip:127.0.0.1'\n"
             "trust.sip_domains = ['example.net']\ntrust.xmpp_domains = ['example.com']\n"
             "api.listen = '0.0.0.0:8090'\napi.token_file = '%s'\n",
             secret, secret);
    write_file(secret, "open sesame \r\nsecond line\n", 26);
    struct config *c = load_good(text);
    assert_string_equal(c->xmpp.secret, "open sesame");
    assert_string_equal(c->api.token, "open sesame");
    config_free(c);
    write_file(secret, "a\0b\n", 4);
    assert_refused(text, strlen(text), "1:20: xmpp.secret_file: the first line of \"/tmp/");
    unlink(secret);
    assert_refused(text, strlen(text), "1:20: xmpp.secret_file: can't read \"/tmp/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_defaults_of_core),
        cmocka_unit_test(test_all_general),
        cmocka_unit_test(test_all_sip),
        cmocka_unit_test(test_all_trust),
        cmocka_unit_test(test_all_core),
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_reference_is_the_defaults),
        cmocka_unit_test(test_reference_is_the_file),
        cmocka_unit_test(test_restart_keys),
        cmocka_unit_test(test_secret_file),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
