// gateway.toml: how big, long, many and deep it may be, and one past that.
#include "tests/unit/config_file.h"

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

static void test_dns_servers_size(void **state)
{
    (void)state;
    assert_list_limit(MUST "sip.dns_servers = ", "'10.0.%u.%u',", CONFIG_DNS_SERVERS_MAX,
                      "5:19: sip.dns_servers: 9 items are more than the most, 8");
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
        cmocka_unit_test(test_file_size),        cmocka_unit_test(test_text_size),
        cmocka_unit_test(test_list_size),        cmocka_unit_test(test_gateway_domain_counts),
        cmocka_unit_test(test_nesting),          cmocka_unit_test(test_dots_in_strings),
        cmocka_unit_test(test_dns_servers_size), cmocka_unit_test(test_domain_size),
        cmocka_unit_test(test_label_size),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
