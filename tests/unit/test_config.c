// gateway.toml: every default, every way to be wrong with its place, and the reference.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shards/config.h"
#include "shards/config_form.h"
#include "shards/config_toml.h"
#include "shards/log.h"

static char dir[] = "/tmp/isthmus-config-XXXXXX";
static char file[64];

static int make_dir(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/gateway.toml", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(dir);
}

static void write_file(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int load_bytes(struct config **c, const char *p, size_t n, struct config_error *why)
{
    write_file(file, p, n);
    return config_load(c, file, why);
}

static struct config *load_good(const char *text)
{
    struct config *c;
    struct config_error why = {""};
    int err = load_bytes(&c, text, strlen(text), &why);
    if (err)
        fail_msg("refused: %s", why.text);
    return c;
}

// `expected` is what comes after "FILE:"; the text has to begin with it.
static void assert_refused(const char *text, size_t n, const char *expected)
{
    struct config *c = (void *)1;
    struct config_error why = {""};
    int err = load_bytes(&c, text, n, &why);
    if (!err) {
        config_free(c);
        fail_msg("accepted, but wanted \"%s\" of:\n%s", expected, text);
    }
    assert_int_equal(err, EINVAL);
    assert_null(c);
    assert_memory_equal(why.text, file, strlen(file));
    const char *rest = why.text + strlen(file) + 1;
    if (strncmp(rest, expected, strlen(expected)))
        fail_msg("got \"%s\"\nbut wanted \"%s\" of:\n%s", rest, expected, text);
}

// What has no default, and a proxy, in four lines; more goes after it.
#define MUST                                                                                       \
    "xmpp.secret = 'x'\n"                                                                          \
    "sip.proxy = 'sip:127.0.0.1'\n"                                                                \
    "trust.sip_domains = ['example.net']\n"                                                        \
    "trust.xmpp_domains = ['example.com']\n"

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

static void test_file_size(void **state)
{
    (void)state;
    struct config *c;
    struct config_error why;
    char *text = malloc(CONFIG_FILE_MAX + 1);
    memset(text, '\n', CONFIG_FILE_MAX + 1);
    memcpy(text, MUST, sizeof MUST - 1);
    assert_int_equal(load_bytes(&c, text, CONFIG_FILE_MAX, &why), 0);
    config_free(c);
    assert_refused(text, CONFIG_FILE_MAX + 1, "1:1: the file is bigger than 1048576 bytes");
    free(text);
}

static void test_text_size(void **state)
{
    (void)state;
    char text[CONFIG_TEXT_MAX + 256];
    snprintf(text, sizeof text, MUST "gateway.store = '/%0*d'\n", CONFIG_TEXT_MAX - 1, 0);
    config_free(load_good(text));
    snprintf(text, sizeof text, MUST "gateway.store = '/%0*d'\n", CONFIG_TEXT_MAX, 0);
    assert_refused(text, strlen(text), "5:17: gateway.store: longer than 1024 bytes");
}

// MUST and a list of n items, each made by `format` from its index.
static char *list_text(const char *start, const char *format, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    fprintf(f, "%s[", start);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, format, i >> 8, i & 255);
    fputs("]\n", f);
    fclose(f);
    return text;
}

static void assert_list_limit(const char *start, const char *format, size_t most,
                              const char *expected)
{
    char *fits = list_text(start, format, most), *over = list_text(start, format, most + 1);
    config_free(load_good(fits));
    assert_refused(over, strlen(over), expected);
    free(fits);
    free(over);
}

static void test_list_size(void **state)
{
    (void)state;
    assert_list_limit(MUST "probe.exempt_domains = ", "'d%u-%u.example',", CONFIG_LIST_MAX,
                      "5:24: probe.exempt_domains: 1025 items are more than the most, 1024");
    assert_list_limit(MUST "trust.sip_sources = ", "'10.0.%u.%u',", CONFIG_LIST_MAX,
                      "5:21: trust.sip_sources: 1025 items are more than the most, 1024");
    assert_list_limit(MUST "sip.listen = ", "'udp:127.0.%u.%u:5060',", CONFIG_LISTEN_MAX,
                      "5:14: sip.listen: 17 items are more than the most, 16");
}

static void test_gateway_domain_counts(void **state)
{
    (void)state;
    static const char own[] =
        "gateway.domain = 'gw.example'\nxmpp.secret = 'x'\n"
        "sip.proxy = 'sip:127.0.0.1'\ntrust.xmpp_domains = ['example.com']\n"
        "trust.sip_domains = ";
    char *fits = list_text(own, "'d%u-%u.example',", CORE_DOMAINS_MAX - 1);
    char *over = list_text(own, "'d%u-%u.example',", CORE_DOMAINS_MAX);
    config_free(load_good(fits));
    assert_refused(over, strlen(over),
                   "5:21: trust.sip_domains: 1024 items and gateway.domain are more than the most");
    free(fits);
    free(over);
}

// A table in a table in a table …: refused before the library's recursion meets it.
static void test_nesting(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *text = malloc(2 * DEEP + 64), *p = text;
    for (size_t i = 0; i < DEEP; i++, p += 2)
        memcpy(p, "a.", 2);
    strcpy(p, "a = 1\n");
    assert_refused(text, strlen(text), "1:8194: too many dotted keys");
    strcpy(text + 2 * CONFIG_TOML_DOTS_MAX, "a = 1\n");
    assert_refused(text, strlen(text), "1:1: a: unknown section");
    memset(text, '[', DEEP);
    memcpy(text, "a = ", 4);
    text[DEEP] = '\0';
    assert_refused(text, strlen(text), "1:");
    free(text);
}

// Dots in strings and comments are no keys, and the end of a string is where TOML has it.
static void test_dots_in_strings(void **state)
{
    (void)state;
    enum { MANY = CONFIG_TOML_DOTS_MAX + 8 };
    char dots[MANY + 1], text[6 * MANY];
    memset(dots, '.', MANY);
    dots[MANY] = '\0';
    snprintf(text, sizeof text, MUST "# %s\n%s", dots, "log.level = 'info'\n");
    config_free(load_good(text));
    snprintf(text, sizeof text, MUST "gateway.user = \"\"\"\\\"\"%s\"\"\"\"\"\n", dots);
    assert_refused(text, strlen(text), "5:16: gateway.user: longer than 1024 bytes");
    snprintf(text, sizeof text, MUST "gateway = { user = \"\"\"a\"\"\"\", %s = 1 }\n", dots);
    assert_refused(text, strlen(text), "5:4122: too many dotted keys");
}

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

static void count_key(void *arg, const char *key)
{
    (void)key;
    ++*(size_t *)arg;
}

static void fail_key(void *arg, const char *key)
{
    (void)arg;
    fail_msg("%s differs", key);
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

static struct config *load_proxy(const char *proxy)
{
    char text[512];
    snprintf(text, sizeof text,
             "xmpp.secret = 'x'\nsip.proxy = '%s'\ntrust.sip_domains = ['example.net']\n"
             "trust.xmpp_domains = ['example.com']\n",
             proxy);
    return load_good(text);
}

static void assert_numeric_proxy(const char *proxy, int transport, int port)
{
    struct config *c = load_proxy(proxy);
    assert_int_equal(c->sip.proxy_hop.transport, transport);
    assert_int_equal(c->sip.proxy_hop.port, port);
    assert_in_set(c->sip.proxy_hop.family, ((LargestIntegralType[]){4, 6}), 2);
    assert_string_equal(c->sip.proxy_name, "");
    config_free(c);
}

static void test_numeric_proxy(void **state)
{
    (void)state;
    assert_numeric_proxy("sip:192.0.2.1", HOP_UDP, 5060);
    assert_numeric_proxy("sip:192.0.2.1:5070;lr", HOP_UDP, 5070);
    assert_numeric_proxy("sip:192.0.2.1;transport=tcp", HOP_TCP, 5060);
    assert_numeric_proxy("sip:192.0.2.1;transport=TLS", HOP_TLS, 5061);
    assert_numeric_proxy("sips:192.0.2.1", HOP_TLS, 5061);
    assert_numeric_proxy("sips:192.0.2.1:5060;transport=tcp", HOP_TLS, 5060);
    assert_numeric_proxy("sip:[2001:db8::1];transport=tcp", HOP_TCP, 5060);
}

static void assert_named_proxy(const char *proxy, const char *name)
{
    struct config *c = load_proxy(proxy);
    assert_int_equal(c->sip.proxy_hop.family, 0);
    assert_string_equal(c->sip.proxy, proxy);
    assert_string_equal(c->sip.proxy_name, name);
    config_free(c);
}

static void test_proxy_by_name(void **state)
{
    (void)state;
    assert_named_proxy("", "");
    assert_named_proxy("sip:proxy.example.net", "proxy.example.net");
    assert_named_proxy("sip:proxy.example.net:5071;transport=tcp", "proxy.example.net");
    assert_named_proxy("sips:proxy.example.net", "proxy.example.net");
}

static void test_no_proxy(void **state)
{
    (void)state;
    struct config *c = load_good(
        "xmpp.secret = 'x'\ntrust.sip_domains = ['example.net']\n"
        "trust.xmpp_domains = ['example.com']\n");
    assert_string_equal(c->sip.proxy, "");
    assert_int_equal(c->sip.proxy_hop.family, 0);
    config_free(c);
}

// How many realms are as wanted, in whatever form the sections stand.
static void test_realms(void **state)
{
    (void)state;
    char secret[80], text[768];
    snprintf(secret, sizeof secret, "%s/password", dir);
    write_file(secret, "open sesame\n", 12);
    snprintf(text, sizeof text,
             MUST
             "[sip.realms.\"Example Realm, Inc.\"]\nuser = 'isthmus'\npassword_file = '%s'\n"
             "[sip.realms]\n'a\".b'.user = 'a'\n'a\".b'.password = '§'\n"
             "c = { user = 'c', password = \"\\\"\" }\n",
             secret);
    struct config *c = load_good(text);
    assert_int_equal(c->sip.n_realms, 3);
    static const char *const wanted[][3] = {
        {"Example Realm, Inc.", "isthmus", "open sesame"}, {"a\".b", "a", "§"}, {"c", "c", "\""}};
    for (size_t i = 0; i < 3; i++) {
        size_t k = 0;
        while (k < 3 && strcmp(c->sip.realm[k].name, wanted[i][0]))
            k++;
        assert_true(k < 3);
        assert_string_equal(c->sip.realm[k].user, wanted[i][1]);
        assert_string_equal(c->sip.realm[k].password, wanted[i][2]);
    }
    config_free(c);
    unlink(secret);
    assert_refused(text, strlen(text),
                   "7:17: sip.realms.\"Example Realm, Inc.\".password_file: can't read");
}

static char *realms_text(size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    fputs(MUST, f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "[sip.realms.r%zu]\nuser = 'u'\npassword = 'p'\n", i);
    fclose(f);
    return text;
}

static void test_realms_limits(void **state)
{
    (void)state;
    char *fits = realms_text(CORE_REALMS_MAX), *over = realms_text(CORE_REALMS_MAX + 1);
    struct config *c = load_good(fits);
    assert_int_equal(c->sip.n_realms, CORE_REALMS_MAX);
    config_free(c);
    struct config *none;
    struct config_error why = {""};
    assert_int_equal(load_bytes(&none, over, strlen(over), &why), EINVAL);
    assert_non_null(strstr(why.text, ":13: sip.realms: more than the most, 64"));
    free(fits);
    free(over);
    char text[512];
    snprintf(text, sizeof text, MUST "[sip.realms.r%0*d]\nuser = 'u'\npassword = 'p'\n",
             CONFIG_REALM_MAX - 1, 0);
    config_free(load_good(text));
    snprintf(text, sizeof text, MUST "[sip.realms.r%0*d]\nuser = 'u'\npassword = 'p'\n",
             CONFIG_REALM_MAX, 0);
    assert_refused(text, strlen(text), "5:13: sip.realms: a realm's name is longer than 128 bytes");
}

static void test_realms_need_restart(void **state)
{
    (void)state;
    static const char *const other[] = {
        MUST "[sip.realms.a]\nuser = 'u'\npassword = 'q'\n",
        MUST "[sip.realms.a]\nuser = 'v'\npassword = 'p'\n",
        MUST "[sip.realms.b]\nuser = 'u'\npassword = 'p'\n",
        MUST,
    };
    struct config *c = load_good(MUST "[sip.realms.a]\nuser = 'u'\npassword = 'p'\n");
    config_each_restart_key(c, c, fail_key, NULL);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        size_t n = 0;
        struct config *d = load_good(other[i]);
        config_each_restart_key(c, d, count_key, &n);
        assert_int_equal(n, 1);
        config_free(d);
    }
    config_free(c);
}

static void test_dns_servers_size(void **state)
{
    (void)state;
    assert_list_limit(MUST "sip.dns_servers = ", "'10.0.%u.%u',", CONFIG_DNS_SERVERS_MAX,
                      "5:19: sip.dns_servers: 9 items are more than the most, 8");
}

static void assert_udp_family(const char *listen, const char *advertise, int family)
{
    char text[512];
    snprintf(text, sizeof text,
             "xmpp.secret = 'x'\nsip.listen = [%s]\nsip.advertise = '%s'\n"
             "trust.sip_domains = ['example.net']\ntrust.xmpp_domains = ['example.com']\n",
             listen, advertise);
    struct config *c = load_good(text);
    assert_int_equal(config_udp_family(c), family);
    config_free(c);
}

static void test_udp_family(void **state)
{
    (void)state;
    assert_udp_family("'udp:127.0.0.1:5060'", "", 4);
    assert_udp_family("'udp:[::1]:5060', 'udp:127.0.0.1:5060'", "", 6);
    assert_udp_family("'udp:[::1]:5060', 'udp:127.0.0.1:5060'", "127.0.0.1", 4);
    assert_udp_family("'udp:127.0.0.1:5060', 'udp:[::1]:5060'", "2001:db8::1", 6);
    assert_udp_family("'udp:127.0.0.1:5060'", "2001:db8::1", 4); // a NAT64's, not ours
    assert_udp_family("'udp:[::1]:5060'", "gw.example.net", 6);
    static const char other[] =
        "xmpp.secret = 'x'\nsip.listen = ['udp:127.0.0.1:5060', 'udp:[::1]:5060']\n"
        "sip.proxy = 'sip:[::1]:5070'\n"
        "trust.sip_domains = ['example.net']\ntrust.xmpp_domains = ['example.com']\n";
    assert_refused(other, sizeof other - 1,
                   "3:13: sip.proxy: \"sip:[::1]:5070\": the shards' own ports are of the other");
}

static void test_advertise(void **state)
{
    (void)state;
    struct config *c = load_good(MUST
                                 "sip.listen = ['udp:0.0.0.0:5060']\n"
                                 "sip.advertise = 'gw.example.org'\n");
    assert_string_equal(c->sip.advertise, "gw.example.org");
    config_free(c);
    c = load_good(
        "xmpp.secret = 'x'\nsip.proxy = 'sip:[::1]:5070'\nsip.listen = ['udp:[::1]:5060']\n"
        "trust.sip_domains = ['example.net']\ntrust.xmpp_domains = ['example.com']\n");
    assert_string_equal(c->sip.advertise, "[::1]");
    assert_int_equal(c->sip.proxy_hop.family, 6);
    config_free(c);
}

static void assert_domain(const char *name, int err)
{
    char out[CONFIG_DOMAIN_MAX + 1];
    const char *why = NULL;
    assert_int_equal(config_form_domain(out, text_of(name), &why), err);
    if (!err)
        assert_string_equal(out, name);
    else
        assert_non_null(why);
}

// As many bytes as fit, in letters of three, which are few enough on the wire of DNS; and one more.
static void test_domain_size(void **state)
{
    (void)state;
    enum { FIRST = 50, SECOND = 34 };
    char name[CONFIG_DOMAIN_MAX + 2] = "", *p = name;
    for (size_t i = 0; i < FIRST + SECOND; i++) {
        if (i == FIRST)
            *p++ = '.';
        memcpy(p, "\u0e01", 3);
        p += 3;
    }
    strcpy(p, ".a");
    assert_int_equal(strlen(name), CONFIG_DOMAIN_MAX);
    assert_domain(name, 0);
    strcpy(p, ".aa");
    assert_domain(name, EINVAL);
}

static void test_label_size(void **state)
{
    (void)state;
    char name[80];
    snprintf(name, sizeof name, "%0*d.example", 63, 0);
    assert_domain(name, 0);
    snprintf(name, sizeof name, "%0*d.example", 64, 0);
    assert_domain(name, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bad_proxy),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_bad_file),
        cmocka_unit_test(test_file_size),
        cmocka_unit_test(test_text_size),
        cmocka_unit_test(test_list_size),
        cmocka_unit_test(test_gateway_domain_counts),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_dots_in_strings),
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
        cmocka_unit_test(test_numeric_proxy),
        cmocka_unit_test(test_proxy_by_name),
        cmocka_unit_test(test_no_proxy),
        cmocka_unit_test(test_realms),
        cmocka_unit_test(test_realms_limits),
        cmocka_unit_test(test_realms_need_restart),
        cmocka_unit_test(test_dns_servers_size),
        cmocka_unit_test(test_udp_family),
        cmocka_unit_test(test_advertise),
        cmocka_unit_test(test_domain_size),
        cmocka_unit_test(test_label_size),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
