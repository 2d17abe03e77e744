// gateway.toml: every way to be wrong, with its place.
#include "tests/unit/config_file.h"

static const struct bad {
    const char *text, *expected;
} bad[] = {
    // TOML itself
    {"a = \n", "1:5: "},
    {MUST "[log]\nlevel = 'info\n", "6:14: "},
    {MUST "[log]\n[log]\n", "6:1: "},
    {MUST "sip.t1_ms = 500\nsip.t1_ms = 500\n", "6:13: "},
    {MUST "\n\n   )", "7:4: "},
    // names
    {MUST "[sipp]\n", "5:2: sipp: unknown section"},
    {MUST "[sip.tsl]\nca = ''\n", "5:6: sip.tsl: unknown section"},
    {MUST "foo = 1\n", "5:1: foo: unknown key"},
    {MUST "[gateway]\n  t1_ms = 3\n", "6:3: gateway.t1_ms: unknown key"},
    {MUST "'gateway.store' = 'x'\n", "5:1: \"gateway.store\": unknown key"},
    {MUST "gateway.\"\" = 1\n", "5:9: gateway.\"\": unknown key"},
    {MUST "gateway.\"a\\u001b[2J\" = 1\n", "5:9: gateway.\"a?[2J\": unknown key"},
    {MUST "[limits]\nstanza_bytes = 20000\nstanza_byte = 1\n",
     "7:1: limits.stanza_byte: unknown key"},
    {MUST "z = 1\na = 1\n", "5:1: z: unknown key"}, // the first of the file, not of the alphabet
    // types
    {MUST "gateway = 3\n", "5:11: gateway: a section is wanted, not a whole number"},
    {MUST "[[api]]\nlisten = '127.0.0.1:1'\n", "5:1: api: a section is wanted, not a list"},
    {MUST "[gateway.store]\nx = 1\n", "5:1: gateway.store: a string is wanted, not a section"},
    {MUST "gateway.shards = '2'\n", "5:18: gateway.shards: a whole number is wanted, not a string"},
    {MUST "gateway.shards = 2.0\n", "5:18: gateway.shards: a whole number is wanted, not a float"},
    {MUST "gateway.shards = 1979-05-27\n",
     "5:18: gateway.shards: a whole number is wanted, not a date or time"},
    {MUST "gateway.shards = 07:32:00\n",
     "5:18: gateway.shards: a whole number is wanted, not a date or time"},
    {MUST "gateway.shards = true\n",
     "5:18: gateway.shards: a whole number is wanted, not true or false"},
    {MUST "gateway.store = 3\n", "5:17: gateway.store: a string is wanted, not a whole number"},
    {MUST "sip.tls.verify_client = 1\n",
     "5:25: sip.tls.verify_client: true or false is wanted, not a whole number"},
    {MUST "log.level = 3\n", "5:13: log.level: a string is wanted, not a whole number"},
    {MUST "sip.listen = 'udp:127.0.0.1:5060'\n",
     "5:14: sip.listen: a list of strings is wanted, not a string"},
    {MUST "probe.exempt_domains = ['a.example', 3]\n",
     "5:38: probe.exempt_domains: a string is wanted, not a whole number"},
    {MUST "probe.exempt_domains = [['a.example']]\n",
     "5:25: probe.exempt_domains: a string is wanted, not a list"},
    {MUST "api.listen = ['127.0.0.1:1']\n", "5:14: api.listen: a string is wanted, not a list"},
    // ranges
    {MUST "sip.t1_ms = 0\n", "5:13: sip.t1_ms: 0 is below the least, 10"},
    {MUST "sip.t1_ms = -500\n", "5:13: sip.t1_ms: -500 is below the least, 10"},
    {MUST "sip.t1_ms = 10001\n", "5:13: sip.t1_ms: 10001 is above the most, 10000"},
    {MUST "sip.t1_ms = 4294967796\n", "5:13: sip.t1_ms: 4294967796 is above the most, 10000"},
    {MUST "sip.t1_ms = 9223372036854775808\n", "5:32: "}, // TOML integers have 64 bits
    {MUST "gateway.shards = 65\n", "5:18: gateway.shards: 65 is above the most, 64"},
    {MUST "xmpp.connections = 0\n", "5:20: xmpp.connections: 0 is below the least, 1"},
    {MUST "sip.shard_port = 65536\n", "5:18: sip.shard_port: 65536 is above the most, 65535"},
    {MUST "limits.stanza_bytes = 9999\n",
     "5:23: limits.stanza_bytes: 9999 is below the least, 10000"},
    {MUST "limits.sip_message_bytes = 65537\n",
     "5:28: limits.sip_message_bytes: 65537 is above the most, 65536"},
    {MUST "subscription.min_expires_s = 3601\n",
     "5:30: subscription.min_expires_s: 3601 is above the most, 3600"},
    {MUST "log.level = 'loud'\n", "5:13: log.level: \"loud\": one of: error, warn, info, debug"},
    {MUST "log.format = 'xml'\n", "5:14: log.format: \"xml\": one of: logfmt, json"},
    {MUST "subscription.on_expiry = ''\n",
     "5:26: subscription.on_expiry: \"\": one of: keep, unsubscribe"},
    {MUST "gateway.store = ''\n", "5:17: gateway.store: must not be empty"},
    {MUST "gateway.store = \"a\\u0000b\"\n",
     "5:17: gateway.store: control characters have no place here"},
    {MUST "gateway.user = \"\\u007f\"\n",
     "5:16: gateway.user: control characters have no place here"},
    // addresses
    {MUST "xmpp.server = '127.0.0.1'\n", "5:15: xmpp.server: \"127.0.0.1\": the port is missing"},
    {MUST "xmpp.server = ''\n", "5:15: xmpp.server: \"\": the port is missing"},
    {MUST "xmpp.server = '127.0.0.1:'\n",
     "5:15: xmpp.server: \"127.0.0.1:\": a port is 1 to 65535"},
    {MUST "xmpp.server = '127.0.0.1:0'\n",
     "5:15: xmpp.server: \"127.0.0.1:0\": a port is 1 to 65535"},
    {MUST "xmpp.server = 'xmpp.example.com:65536'\n",
     "5:15: xmpp.server: \"xmpp.example.com:65536\": a port is 1 to 65535"},
    {MUST "xmpp.server = '300.0.0.1:5347'\n",
     "5:15: xmpp.server: \"300.0.0.1:5347\": not a host name or IP address before the port"},
    {MUST "xmpp.server = ':5347'\n",
     "5:15: xmpp.server: \":5347\": not a host name or IP address before the port"},
    {MUST "xmpp.server = 'a..b:5347'\n",
     "5:15: xmpp.server: \"a..b:5347\": not a host name or IP address before the port"},
    {MUST "xmpp.server = '::1:5347'\n",
     "5:15: xmpp.server: \"::1:5347\": an IPv6 address goes in brackets"},
    {MUST "xmpp.server = '[::1]'\n", "5:15: xmpp.server: \"[::1]\": the port is missing"},
    {MUST "xmpp.server = '[127.0.0.1]:5347'\n",
     "5:15: xmpp.server: \"[127.0.0.1]:5347\": not an IPv6 address in the brackets"},
    {MUST "api.listen = 'localhost:8090'\n",
     "5:14: api.listen: \"localhost:8090\": not an IP address before the port"},
    {MUST "sip.listen = ['127.0.0.1:5060']\n",
     "5:15: sip.listen: \"127.0.0.1:5060\": a listen entry begins with udp:, tcp: or tls:"},
    {MUST "sip.listen = ['sctp:127.0.0.1:5060']\n",
     "5:15: sip.listen: \"sctp:127.0.0.1:5060\": a listen entry begins with"},
    {MUST "sip.listen = ['udp:127.0.0.1']\n",
     "5:15: sip.listen: \"udp:127.0.0.1\": the port is missing"},
    {MUST "sip.listen = ['udp:sip.example.net:5060']\n",
     "5:15: sip.listen: \"udp:sip.example.net:5060\": not an IP address before the port"},
    {MUST "sip.listen = ['udp:::1:5060']\n",
     "5:15: sip.listen: \"udp:::1:5060\": an IPv6 address goes in brackets"},
    {MUST "sip.listen = ['udp:127.0.0.1:66000']\n",
     "5:15: sip.listen: \"udp:127.0.0.1:66000\": a port is 1 to 65535"},
    {MUST "sip.advertise = 'a b'\n", "5:17: sip.advertise: \"a b\": not a host name or IP address"},
    {MUST "sip.advertise = '[10.0.0.1]'\n",
     "5:17: sip.advertise: \"[10.0.0.1]\": not a host name or IP address"},
    {MUST "sip.advertise = '0.0.0.0'\n",
     "5:17: sip.advertise: \"0.0.0.0\": a wildcard address can't be advertised"},
    {MUST "sip.advertise = '::'\n",
     "5:17: sip.advertise: \"::\": a wildcard address can't be advertised"},
    // networks
    {MUST "trust.sip_sources = ['10.0.0.0/33']\n",
     "5:22: trust.sip_sources: \"10.0.0.0/33\": the prefix length of an IPv4 network is 0 to 32"},
    {MUST "trust.sip_sources = ['2001:db8::/129']\n",
     "5:22: trust.sip_sources: \"2001:db8::/129\": the prefix length of an IPv6 network is 0 to 128"},
    {MUST "trust.sip_sources = ['10.0.0.0/']\n",
     "5:22: trust.sip_sources: \"10.0.0.0/\": the prefix length"},
    {MUST "trust.sip_sources = ['10.0.0/8']\n",
     "5:22: trust.sip_sources: \"10.0.0/8\": not an IP network"},
    {MUST "trust.sip_sources = ['']\n", "5:22: trust.sip_sources: \"\": not an IP network"},
    {MUST "trust.sip_sources = ['example.net']\n",
     "5:22: trust.sip_sources: \"example.net\": not an IP network"},
    // domains
    {MUST "probe.exempt_domains = ['']\n",
     "5:25: probe.exempt_domains: \"\": a domain must not be empty"},
    {MUST "probe.exempt_domains = ['a@b.example']\n",
     "5:25: probe.exempt_domains: \"a@b.example\": not a domain"},
    {MUST "probe.exempt_domains = ['b.example/r']\n",
     "5:25: probe.exempt_domains: \"b.example/r\": not a domain"},
    {MUST "probe.exempt_domains = ['@b.example']\n",
     "5:25: probe.exempt_domains: \"@b.example\": not a domain"},
    {MUST "probe.exempt_domains = ['b.example/']\n",
     "5:25: probe.exempt_domains: \"b.example/\": not a domain"},
    {MUST "probe.exempt_domains = ['b..example']\n",
     "5:25: probe.exempt_domains: \"b..example\": not a domain"},
    {MUST "probe.exempt_domains = ['b example']\n",
     "5:25: probe.exempt_domains: \"b example\": not a domain"},
    {MUST "gateway.domain = '*.example'\n", "5:18: gateway.domain: \"*.example\": not a domain"},
    // lists
    {MUST "sip.listen = []\n", "5:14: sip.listen: must not be empty"},
    {MUST "probe.exempt_domains = ['a.example', 'b.example', 'A.Example']\n",
     "5:51: probe.exempt_domains: \"A.Example\": is in the list twice"},
    {MUST "trust.sip_sources = ['10.0.0.0/8', '10.1.2.3/8']\n",
     "5:36: trust.sip_sources: \"10.1.2.3/8\": is in the list twice"},
    {MUST "sip.listen = ['udp:[::1]:5060', 'udp:[0::1]:5060']\n",
     "5:33: sip.listen: \"udp:[0::1]:5060\": is in the list twice"},
    // what is required
    {"", "1:1: xmpp.secret: required, or else xmpp.secret_file"},
    {"[sip]\nproxy = 'sip:127.0.0.1'\n[trust]\nsip_domains = ['example.net']\n"
     "xmpp_domains = ['example.com']\n\n[xmpp]\nconnections = 1\n",
     "7:1: xmpp.secret: required, or else xmpp.secret_file"},
    {"[xmpp]\nsecret = ''\n[sip]\nproxy = 'sip:127.0.0.1'\n[trust]\n"
     "sip_domains = ['example.net']\nxmpp_domains = ['example.com']\n",
     "2:10: xmpp.secret: required, or else xmpp.secret_file"},
    {"[xmpp]\nsecret = 'x'\n[sip]\nproxy = 'sip:127.0.0.1'\n[trust]\n"
     "xmpp_domains = ['example.com']\n",
     "5:1: trust.sip_domains: required"},
    {"[xmpp]\nsecret = 'x'\n[sip]\nproxy = 'sip:127.0.0.1'\n  [trust]\n"
     "sip_domains = ['example.com']\n",
     "5:3: trust.xmpp_domains: required"},
    {"[xmpp]\nsecret = 'x'\n[sip]\nproxy = 'sip:127.0.0.1'\n[trust]\n"
     "sip_domains = ['example.com']\nxmpp_domains = []\n",
     "7:16: trust.xmpp_domains: must not be empty"},
    // DNS servers
    {MUST "sip.dns_servers = '127.0.0.1'\n",
     "5:19: sip.dns_servers: a list of strings is wanted, not a string"},
    {MUST "sip.dns_servers = ['ns.example.net']\n",
     "5:20: sip.dns_servers: \"ns.example.net\": not an IP address"},
    {MUST "sip.dns_servers = ['']\n", "5:20: sip.dns_servers: \"\": not an IP address"},
    {MUST "sip.dns_servers = ['::1']\n",
     "5:20: sip.dns_servers: \"::1\": an IPv6 address goes in brackets"},
    {MUST "sip.dns_servers = ['[127.0.0.1]']\n",
     "5:20: sip.dns_servers: \"[127.0.0.1]\": not an IP address"},
    {MUST "sip.dns_servers = ['127.0.0.1:0']\n",
     "5:20: sip.dns_servers: \"127.0.0.1:0\": a port is 1 to 65535"},
    {MUST "sip.dns_servers = ['[::1]:65536']\n",
     "5:20: sip.dns_servers: \"[::1]:65536\": a port is 1 to 65535"},
    {MUST "sip.dns_servers = ['0.0.0.0']\n",
     "5:20: sip.dns_servers: \"0.0.0.0\": a wildcard address is no server's"},
    {MUST "sip.dns_servers = ['127.0.0.1', '127.0.0.1:53']\n",
     "5:33: sip.dns_servers: \"127.0.0.1:53\": is in the list twice"},
    // realms
    {MUST "sip.realms = 3\n", "5:14: sip.realms: a section is wanted, not a whole number"},
    {MUST "sip.realms.user = 'u'\n", "5:19: sip.realms.user: a section is wanted, not a string"},
    {MUST "[[sip.realms.a]]\nuser = 'u'\n", "5:1: sip.realms.a: a section is wanted, not a list"},
    {MUST "[sip.realms.a]\nuser = 'u'\npassword = 'p'\npasword = 'p'\n",
     "8:1: sip.realms.a.pasword: unknown key"},
    {MUST "[sip.realms.'a.b']\nuser = 'u'\npassword = 'p'\n[sip.realms.'a.b'.user]\n", "8:1: "},
    {MUST "[sip.realms.'a.b']\nuser = 'u'\npassword = 'p'\n[sip.realms.'a.b'.more]\n",
     "8:19: sip.realms.\"a.b\".more: unknown section"},
    {MUST "[sip.realms.a]\nuser = 7\npassword = 'p'\n",
     "6:8: sip.realms.a.user: a string is wanted, not a whole number"},
    {MUST "[sip.realms.a]\nuser = ''\npassword = 'p'\n",
     "6:8: sip.realms.a.user: must not be empty"},
    {MUST "[sip.realms.a]\nuser = \"u\\n\"\npassword = 'p'\n",
     "6:8: sip.realms.a.user: control characters have no place here"},
    {MUST "[sip.realms.\"a\\u0000\"]\n", "5:13: sip.realms: control characters have no place here"},
    {MUST "[sip.realms.'']\n", "5:13: sip.realms: a realm's name must not be empty"},
    {MUST "\n[sip.realms.'*']\npassword = 'p'\n", "6:13: sip.realms.\"*\".user: required"},
    {MUST "[sip.realms.a]\nuser = 'u'\n[sip.realms.b]\nuser = 'u'\npassword = 'p'\n",
     "5:13: sip.realms.\"a\".password: required, or else password_file"},
    {MUST "[sip.realms.a]\nuser = 'u'\npassword = ''\n",
     "5:13: sip.realms.\"a\".password: required, or else password_file"},
    {MUST "[sip.realms.a]\nuser = 'u'\npassword = 'p'\npassword_file = '/etc/hostname'\n",
     "8:17: sip.realms.\"a\".password_file: password is there too; only one of them can be"},
    {MUST "[sip.realms.a]\nuser = 'u'\npassword_file = '/nonexistent/p'\n",
     "7:17: sip.realms.\"a\".password_file: can't read \"/nonexistent/p\": No such file"},
    {MUST "[sip.realms.a]\nuser = 'u'\npassword_file = '/dev/null'\n",
     "7:17: sip.realms.\"a\".password_file: the first line of \"/dev/null\" is empty"},
    // between keys
    {MUST "xmpp.secret_file = '/etc/hostname'\n",
     "5:20: xmpp.secret_file: xmpp.secret is there too; only one of them can be"},
    {MUST "api.token_file = '/nonexistent/token'\n",
     "5:18: api.token_file: can't read \"/nonexistent/token\": No such file or directory"},
    {MUST "api.token_file = '/'\n", "5:18: api.token_file: can't read \"/\": Is a directory"},
    {MUST "api.token_file = '/dev/null'\n",
     "5:18: api.token_file: the first line of \"/dev/null\" is empty"},
    {MUST "api.token_file = '/dev/zero'\n",
     "5:18: api.token_file: \"/dev/zero\" is bigger than 4096 bytes"},
    {MUST "api.listen = '0.0.0.0:8090'\n",
     "5:14: api.listen: beyond loopback it needs api.token_file"},
    {MUST "api.listen = '[::]:8090'\n",
     "5:14: api.listen: beyond loopback it needs api.token_file"},
    {MUST "api.listen = '[::ffff:127.0.0.1]:8090'\n",
     "5:14: api.listen: \"[::ffff:127.0.0.1]:8090\": not an IPv6 address in the brackets"},
    {MUST "api.listen = '[fe80::1]:8090'\n",
     "5:14: api.listen: beyond loopback it needs api.token_file"},
    {MUST "trust.sip_sources = ['::ffff:10.0.0.0/24']\n",
     "5:22: trust.sip_sources: \"::ffff:10.0.0.0/24\": not an IP network"},
    {"xmpp.secret = 'x'\nsip.proxy = 'sip:127.0.0.1'\ntrust.sip_domains = ['a.example', "
     "'b.example']\ntrust.xmpp_domains = ['c.example', 'B.example']\n",
     "4:36: trust.xmpp_domains: \"b.example\" is in trust.sip_domains too"},
    {MUST "gateway.domain = 'Example.COM'\n",
     "5:18: gateway.domain: \"example.com\" is in trust.xmpp_domains too"},
    {MUST "subscription.min_expires_s = 100\nsubscription.expires_s = 99\n",
     "5:30: subscription.min_expires_s: 100 is above subscription.expires_s, 99"},
    {MUST "subscription.expires_s = 59\n",
     "5:26: subscription.min_expires_s: 60 is above subscription.expires_s, 59"},
    {MUST "subscription.max_expires_s = 59\n",
     "5:30: subscription.min_expires_s: 60 is above subscription.max_expires_s, 59"},
    {MUST "gateway.shards = 4\nsip.shard_port = 65533\n",
     "6:18: sip.shard_port: 65533 leaves no room for 4 shards below port 65536"},
    {MUST "gateway.shards = 2\nsip.shard_port = 5060\n",
     "6:18: sip.shard_port: 5060 to 5061 overlaps \"udp:127.0.0.1:5060\" of sip.listen"},
    {MUST "gateway.shards = 2\nsip.shard_port = 5059\n",
     "6:18: sip.shard_port: 5059 to 5060 overlaps \"udp:127.0.0.1:5060\" of sip.listen"},
    {MUST "gateway.shards = 2\nsip.listen = ['udp:127.0.0.1:5081']\n",
     "6:14: sip.shard_port: 5080 to 5081 overlaps \"udp:127.0.0.1:5081\" of sip.listen"},
    {MUST "sip.listen = ['tcp:127.0.0.1:5060']\n", "5:14: sip.listen: needs a udp: entry"},
    {MUST "sip.listen = ['udp:127.0.0.1:5060', 'tls:127.0.0.1:5061']\n",
     "5:37: sip.listen: \"tls:127.0.0.1:5061\" needs sip.tls.certificate and sip.tls.private_key"},
    {MUST "sip.tls.certificate = 'c'\n", "5:23: sip.tls: certificate and private_key go together"},
    {MUST "sip.tls.private_key = 'k'\n", "5:23: sip.tls: certificate and private_key go together"},
    {MUST "sip.listen = ['udp:0.0.0.0:5060']\n",
     "5:15: sip.listen: a wildcard address needs sip.advertise"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(bad[i].text, strlen(bad[i].text), bad[i].expected);
}

// The rest of a file whose second line is the proxy under test, in column 13.
static void assert_proxy_refused(const char *proxy, const char *expected)
{
    char text[512], wanted[256];
    snprintf(text, sizeof text,
             "xmpp.secret = 'x'\nsip.proxy = '%s'\ntrust.sip_domains = ['example.net']\n"
             "trust.xmpp_domains = ['example.com']\n",
             proxy);
    snprintf(wanted, sizeof wanted, "2:13: sip.proxy: \"%s\": %s", proxy, expected);
    assert_refused(text, strlen(text), wanted);
}

static void test_bad_proxy(void **state)
{
    (void)state;
    assert_proxy_refused("127.0.0.1:5070", "not a SIP URI");
    assert_proxy_refused("tel:+15551234", "not a SIP URI");
    assert_proxy_refused("sip:", "not a SIP URI");
    assert_proxy_refused("sips:127.0.0.1;transport=udp", "sips: is not for this transport");
    assert_proxy_refused("sip:127.0.0.1;transport=sctp", "the transport is one of udp, tcp and");
    assert_proxy_refused("sip:romeo@127.0.0.1", "a next hop has no user part");
    assert_proxy_refused("sip:127.0.0.256", "not a host name or IP address");
    assert_proxy_refused("sip:[::1]:5070", "sip.listen has no udp entry of the proxy's address");
}

static void test_bad_bytes(void **state)
{
    (void)state;
    static const char latin1[] = MUST "gateway.store = 'caf\xe9'\n";
    static const char nul[] = MUST "gateway.store = 'a\0b'\n";
    assert_refused(latin1, sizeof latin1 - 1, "5:");
    assert_refused(nul, sizeof nul - 1, "5:");
}

static void assert_unreadable(const char *path, const char *expected)
{
    struct config *c;
    struct config_error why;
    assert_int_equal(config_load(&c, path, &why), EINVAL);
    assert_string_equal(why.text, expected);
}

static void test_bad_file(void **state)
{
    (void)state;
    assert_unreadable(
        "/nonexistent/gateway.toml",
        "/nonexistent/gateway.toml:1:1: can't read the file: No such file or directory");
    assert_unreadable("/", "/:1:1: can't read the file: Is a directory");
    assert_unreadable("/dev/zero", "/dev/zero:1:1: the file is bigger than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bad_proxy),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_bad_file),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
