// gateway.toml: the SIP side's proxy, realms and addresses, in all their forms.
#include "tests/unit/config_file.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numeric_proxy), cmocka_unit_test(test_proxy_by_name),
        cmocka_unit_test(test_no_proxy),      cmocka_unit_test(test_realms),
        cmocka_unit_test(test_realms_limits), cmocka_unit_test(test_realms_need_restart),
        cmocka_unit_test(test_udp_family),    cmocka_unit_test(test_advertise),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
