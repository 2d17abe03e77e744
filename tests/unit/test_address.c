// RFC 7247 §6 and XEP-0106: addresses there and back.
#include "core/wire/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct buffer out;

static const char *z(void)
{
    buffer_char(&out, '\0');
    assert_false(out.failed);
    return out.p;
}

// The JID of a URI as text; "" when it has none.
static const char *to_jid(const char *uri)
{
    char scratch[JID_MAX + 1];
    struct sip_uri u;
    struct jid jid;
    buffer_reset(&out);
    if (sip_uri_parse(&u, text_of(uri)) == 0 &&
        address_to_jid(&jid, &u, scratch, sizeof scratch) == 0)
        jid_write(&out, &jid);
    return z();
}

static const char *to_sip(const char *text)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    buffer_reset(&out);
    assert_int_equal(jid_parse(&jid, text_of(text), scratch, sizeof scratch), 0);
    address_to_sip(&out, &jid);
    return z();
}

static const char *escape(const char *plain)
{
    buffer_reset(&out);
    address_escape_local(&out, text_of(plain));
    return z();
}

static const char *unescape(const char *escaped)
{
    buffer_reset(&out);
    address_unescape_local(&out, text_of(escaped));
    return z();
}

static int map_error(const char *uri)
{
    char scratch[JID_MAX + 1];
    struct sip_uri u;
    struct jid jid;
    int err = sip_uri_parse(&u, text_of(uri));
    return err ? err : address_to_jid(&jid, &u, scratch, sizeof scratch);
}

// The table of RFC 7247 §6.4.
static void test_rfc7247_sip_to_xmpp(void **state)
{
    (void)state;
    assert_string_equal(to_jid("sip:f%C3%BC@sip.example"), "f\xc3\xbc@sip.example");
    assert_string_equal(to_jid("sip:o'malley@sip.example"), "o\\27malley@sip.example");
    assert_string_equal(to_jid("sip:foo@sip.example;gr=bar"), "foo@sip.example/bar");
}

// The table of RFC 7247 §6.5.
static void test_rfc7247_xmpp_to_sip(void **state)
{
    (void)state;
    assert_string_equal(to_sip("m\\26m@xmpp.example"), "sip:m&m@xmpp.example");
    assert_string_equal(to_sip("tsch\xc3\xbcss@xmpp.example"), "sip:tsch%C3%BCss@xmpp.example");
    assert_string_equal(to_sip("baz@xmpp.example/qux"), "sip:baz@xmpp.example;gr=qux");
}

// Table 1 of RFC 7247 §6.2: what is allowed on both sides stays, the rest is escaped for the side.
static void test_rfc7247_table_of_characters(void **state)
{
    (void)state;
    assert_string_equal(to_sip("a!$()*+,-.;=?_~z@xmpp.example"),
                        "sip:a!$()*+,-.;=?_~z@xmpp.example");
    assert_string_equal(to_sip("#%[\\]^`{|}@xmpp.example"),
                        "sip:%23%25%5B%5C%5D%5E%60%7B%7C%7D@xmpp.example");
    assert_string_equal(to_sip("\\22\\3a\\3c\\3e\\40@xmpp.example"),
                        "sip:%22%3A%3C%3E%40@xmpp.example");
    assert_string_equal(to_jid("sip:&'/@sip.example"), "\\26\\27\\2f@sip.example");
    assert_string_equal(to_jid("sip:%22%3A%3C%3E%40@sip.example"),
                        "\\22\\3a\\3c\\3e\\40@sip.example");
    assert_string_equal(to_jid("sip:%23%25%5B%5C%5D%5E%60%7B%7C%7D@sip.example"),
                        "#%[\\]^`{|}@sip.example");
}

// The two tables of XEP-0106 §3.
static void test_xep0106_all_ten(void **state)
{
    static const struct {
        const char *plain, *escaped;
    } rows[] = {
        {"a b", "a\\20b"}, {"a\"b", "a\\22b"},     {"a&b", "a\\26b"}, {"a'b", "a\\27b"},
        {"a/b", "a\\2fb"}, {"a:b", "a\\3ab"},      {"a<b", "a\\3cb"}, {"a>b", "a\\3eb"},
        {"a@b", "a\\40b"}, {"a\\5cb", "a\\5c5cb"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(escape(rows[i].plain), rows[i].escaped);
        assert_string_equal(unescape(rows[i].escaped), rows[i].plain);
    }
    assert_string_equal(unescape("a\\5cb"), "a\\b");
}

// The table of XEP-0106 §5.1 and the exceptions of §4.3.
static void test_xep0106_examples(void **state)
{
    static const struct {
        const char *plain, *escaped;
    } rows[] = {
        {"space cadet", "space\\20cadet"},
        {"call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"},
        {"at&t guy", "at\\26t\\20guy"},
        {"d'artagnan", "d\\27artagnan"},
        {"/.fanboy", "\\2f.fanboy"},
        {"::foo::", "\\3a\\3afoo\\3a\\3a"},
        {"<foo>", "\\3cfoo\\3e"},
        {"user@host", "user\\40host"},
        {"c:\\net", "c\\3a\\net"},
        {"c:\\\\net", "c\\3a\\\\net"},
        {"c:\\cool stuff", "c\\3a\\cool\\20stuff"},
        {"c:\\5commas", "c\\3a\\5c5commas"},
        {"\\3and\\2is\\5cool", "\\5c3and\\2is\\5c5cool"},
        {"\\2plus\\2is\\4", "\\2plus\\2is\\4"},
        {"foo\\bar", "foo\\bar"},
        {"foob\\41r", "foob\\41r"},
        {"here's_a_wild_&_/cr%zy/_address", "here\\27s_a_wild_\\26_\\2fcr%zy\\2f_address"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(escape(rows[i].plain), rows[i].escaped);
        assert_string_equal(unescape(rows[i].escaped), rows[i].plain);
    }
}

// XEP-0106 §5.3; "%zy" is no escape and stays. RFC 7247 leaves unescaped on the way back what SIP
// allows, where the XEP's example encodes it.
static void test_xep0106_sip_example(void **state)
{
    (void)state;
    assert_string_equal(to_jid("sip:here%27s_a_wild_%26_%2Fcr%zy%2F_address@example.com"),
                        "here\\27s_a_wild_\\26_\\2fcr%zy\\2f_address@example.com");
    assert_string_equal(to_sip("here\\27s_a_wild_\\26_\\2fcr%zy\\2f_address@example.com"),
                        "sip:here's_a_wild_&_/cr%25zy/_address@example.com");
}

static void test_blank_at_an_end(void **state)
{
    (void)state;
    assert_int_equal(map_error("sip:%20a@sip.example"), EBADMSG);
    assert_int_equal(map_error("sip:a%20@sip.example"), EBADMSG);
    assert_string_equal(to_jid("sip:a%20b@sip.example"), "a\\20b@sip.example");
}

static void test_schemes(void **state)
{
    (void)state;
    assert_string_equal(to_jid("pres:romeo@example.net"), "romeo@example.net");
    assert_string_equal(to_jid("im:romeo@example.net"), "romeo@example.net");
    assert_string_equal(to_jid("SIP:romeo@example.net"), "romeo@example.net");
    assert_int_equal(map_error("sips:romeo@example.net"), EPROTONOSUPPORT); // RFC 7247 §8
    assert_int_equal(map_error("tel:+13035551111"), EPROTONOSUPPORT);
    assert_int_equal(map_error("http://example.net/"), EPROTONOSUPPORT);
    assert_int_equal(map_error("sip:example.net"), EBADMSG);
}

static void test_folding(void **state)
{
    (void)state;
    assert_string_equal(to_jid("sip:Romeo@EXAMPLE.net"), "romeo@example.net");
    assert_string_equal(to_jid("sip:%C3%9Cber@example.net"),
                        "\xc3\xbc"
                        "ber@example.net");
    // What folds to a sequence, or to a character that is forbidden, is escaped after it.
    assert_string_equal(to_jid("sip:a%5C2Fb@example.net"), "a\\5c2fb@example.net");
    assert_string_equal(to_jid("sip:a%EF%BC%8Fb@example.net"), "a\\2fb@example.net"); // U+FF0F
}

static void test_user_part(void **state)
{
    (void)state;
    assert_string_equal(to_jid("sip:romeo:secret@example.net"), "romeo@example.net");
    assert_string_equal(to_jid("sip:user;par=u%40example.net@example.com"), // RFC 4475 §3.1.1.9
                        "user;par=u\\40example.net@example.com");
    assert_string_equal(to_jid("sip:romeo@example.net:5080;transport=tcp?subject=x"),
                        "romeo@example.net");
    assert_int_equal(map_error("sip:null-%00-null@example.com"), EBADMSG);
    assert_int_equal(map_error("sip:a%07b@example.com"), EBADMSG);
    assert_int_equal(map_error("sip:a%FF@example.com"), EBADMSG); // no UTF-8
    assert_int_equal(map_error("sip:a%C3@example.com"), EBADMSG);
    assert_int_equal(map_error("sip:%ED%A0%80@example.com"), EBADMSG); // a surrogate
}

static void test_gruu(void **state)
{
    (void)state;
    assert_string_equal(to_jid("sip:foo@sip.example;gr=urn:uuid:f81d4fae-7dec"),
                        "foo@sip.example/urn:uuid:f81d4fae-7dec");
    assert_string_equal(to_jid("sip:foo@sip.example;gr=B%C3%A4r%20Ada"),
                        "foo@sip.example/B\xc3\xa4r Ada");
    assert_string_equal(to_jid("sip:foo@sip.example;gr"), "foo@sip.example"); // temporary
    assert_string_equal(to_sip("foo@xmpp.example/B\xc3\xa4r Ada;=?"),
                        "sip:foo@xmpp.example;gr=B%C3%A4r%20Ada%3B%3D%3F");
    assert_int_equal(map_error("sip:foo@sip.example;gr=%07"), EBADMSG);
    assert_int_equal(map_error("sip:foo@sip.example;gr=%00"), EBADMSG);
}

static void test_domains(void **state)
{
    (void)state;
    assert_string_equal(to_sip("a@b\xc3\xbc"
                               "cher.example"),
                        "sip:a@xn--bcher-kva.example");
    assert_string_equal(to_jid("sip:a@xn--bcher-kva.example"),
                        "a@b\xc3\xbc"
                        "cher.example");
    assert_string_equal(to_jid("sip:a@XN--BCHER-KVA.example"),
                        "a@b\xc3\xbc"
                        "cher.example");
    assert_string_equal(to_jid("sip:a@[2001:DB8::1]:5060"), "a@[2001:db8::1]");
    assert_string_equal(to_sip("a@[2001:db8::1]/r"), "sip:a@[2001:db8::1];gr=r");
    assert_string_equal(to_jid("sip:a@192.0.2.1"), "a@192.0.2.1");
    assert_string_equal(to_sip("example.com"), "sip:example.com");
}

static void test_only_the_user(void **state)
{
    (void)state;
    buffer_reset(&out);
    address_user_to_sip(&out, TEXT("o\\27malley\\20x"));
    assert_string_equal(z(), "o'malley%20x");
}

// One past each limit, and results that just fit.
static void test_long_parts(void **state)
{
    (void)state;
    char uri[2 * JID_PART_MAX];
    for (int n = JID_PART_MAX; n <= JID_PART_MAX + 1; n++) {
        snprintf(uri, sizeof uri, "sip:%0*d@example.net", n, 0);
        assert_int_equal(map_error(uri), n > JID_PART_MAX ? EBADMSG : 0);
        snprintf(uri, sizeof uri, "sip:a@example.net;gr=%0*d", n, 0);
        assert_int_equal(map_error(uri), n > JID_PART_MAX ? EBADMSG : 0);
    }
    // Escaping makes it three times as long.
    memset(uri, '&', sizeof uri);
    memcpy(uri, "sip:", 4);
    strcpy(uri + 4 + JID_PART_MAX / 3, "@example.net");
    assert_int_equal(map_error(uri), 0);
    memset(uri + 4, '&', JID_PART_MAX);
    strcpy(uri + 4 + JID_PART_MAX / 3 + 1, "@example.net");
    assert_int_equal(map_error(uri), EBADMSG);
}

static void test_scratch_too_small(void **state)
{
    (void)state;
    char scratch[8];
    struct sip_uri u;
    struct jid jid;
    assert_int_equal(sip_uri_parse(&u, TEXT("sip:o'malley@sip.example")), 0);
    assert_int_equal(address_to_jid(&jid, &u, scratch, sizeof scratch), EBADMSG);
}

// ---- There and back ----------------------------------------------------------------------------

static uint64_t seed = 0x9e3779b97f4a7c15u;

static unsigned roll(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

// Characters in their folded form: the domain of the identity. A backslash comes only from
// escaping.
static void random_plain(struct buffer *b, bool blanks)
{
    static const char *const letters[] = {
        "a",
        "z",
        "0",
        "-",
        "_",
        "!",
        "#",
        "%",
        "&",
        "'",
        "/",
        ":",
        "<",
        ">",
        "@",
        "\"",
        "\\",
        "+",
        ";",
        "=",
        "?",
        "{",
        "\\5",
        "2",
        "f",
        "c",
        "\xc3\xbc",
        "\xce\xb1",
        "\xe4\xbd\xa0",
        "\xf0\x90\x80\x80",
    };
    unsigned n = 1 + roll(12);
    for (unsigned i = 0; i < n; i++) {
        if (blanks && i > 0 && i + 1 < n && roll(8) == 0)
            buffer_char(b, ' ');
        else
            buffer_text(b, text_of(letters[roll(sizeof letters / sizeof *letters)]));
    }
}

static void random_jid(struct buffer *jid)
{
    static const char *const domains[] = {"example.net",
                                          "b\xc3\xbc"
                                          "cher.example",
                                          "192.0.2.1", "[2001:db8::1]", "a-b.xn.example"};
    struct buffer plain;
    buffer_init(&plain, 0);
    random_plain(&plain, true);
    buffer_reset(jid);
    address_escape_local(jid, (struct text){plain.p, plain.n});
    buffer_char(jid, '@');
    buffer_text(jid, text_of(domains[roll(5)]));
    if (roll(2)) {
        buffer_char(jid, '/');
        random_plain(jid, true);
    }
    buffer_free(&plain);
}

static void test_there_and_back(void **state)
{
    char scratch[JID_MAX + 1], scratch2[JID_MAX + 1];
    struct buffer text, uri, back;
    (void)state;
    buffer_init(&text, 0);
    buffer_init(&uri, SIP_URI_MAX);
    buffer_init(&back, 0);
    for (int i = 0; i < 20000; i++) {
        struct jid jid, again;
        struct sip_uri u;
        random_jid(&text);
        assert_int_equal(jid_parse(&jid, (struct text){text.p, text.n}, scratch, sizeof scratch),
                         0);
        buffer_reset(&uri);
        address_to_sip(&uri, &jid);
        for (size_t k = 0; k < uri.n; k++)
            assert_in_range((unsigned char)uri.p[k], 0x21, 0x7e);
        assert_int_equal(sip_uri_parse(&u, (struct text){uri.p, uri.n}), 0);
        assert_int_equal(address_to_jid(&again, &u, scratch2, sizeof scratch2), 0);
        assert_true(jid_bare_eq(&jid, &again));
        buffer_reset(&back);
        jid_write(&back, &again);
        assert_true(text_eq((struct text){back.p, back.n}, (struct text){text.p, text.n}));
    }
    buffer_free(&text);
    buffer_free(&uri);
    buffer_free(&back);
}

// Any bytes at all: never a crash, and what comes out is a JID that parses as itself.
static void test_any_bytes(void **state)
{
    char scratch[JID_MAX + 1], scratch2[JID_MAX + 1];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        unsigned n = roll(60);
        char *uri = malloc(n + 4);
        memcpy(uri, "sip:", 4);
        for (unsigned k = 4; k < n + 4; k++)
            uri[k] = (char)(roll(3) ? "a@%:;[]0F\xc3\xbc.gr=\\"[roll(17)] : (int)roll(256));
        struct sip_uri u;
        struct jid jid, same;
        if (sip_uri_parse(&u, (struct text){uri, n + 4}) == 0 &&
            address_to_jid(&jid, &u, scratch, sizeof scratch) == 0) {
            buffer_reset(&out);
            jid_write(&out, &jid);
            struct text t = {out.p, out.n};
            assert_int_equal(jid_parse(&same, t, scratch2, sizeof scratch2), 0);
            assert_true(jid_bare_eq(&jid, &same));
            assert_true(text_eq(jid.resource, same.resource));
        }
        free(uri);
    }
}

// ---- URIs --------------------------------------------------------------------------------------

static void test_uri_parts(void **state)
{
    struct sip_uri u;
    (void)state;
    assert_int_equal(
        sip_uri_parse(&u, TEXT("sip:a;b:pw@Host.example:5070;transport=TCP;lr;gr=x%20y?h=v")), 0);
    assert_int_equal(u.scheme, SCHEME_SIP);
    assert_true(text_eq(u.user, TEXT("a;b")));
    assert_true(text_eq(u.host, TEXT("Host.example")));
    assert_int_equal(u.port, 5070);
    assert_true(text_eq(u.transport, TEXT("TCP")));
    assert_true(text_eq(u.gr, TEXT("x%20y")));
    assert_true(text_eq(u.headers, TEXT("h=v")));
    assert_true(u.lr);
    assert_int_equal(sip_uri_parse(&u, TEXT("sips:[::1]:5061")), 0);
    assert_int_equal(u.scheme, SCHEME_SIPS);
    assert_true(text_eq(u.host, TEXT("::1")));
    assert_int_equal(u.port, 5061);
    assert_int_equal(u.user.n, 0);
    assert_int_equal(sip_uri_parse(&u, TEXT("tel:+1303;phone-context=x")), 0);
    assert_true(text_eq(u.user, TEXT("+1303")));
    assert_int_equal(sip_uri_parse(&u, TEXT("isbn:2983792873")), 0);
    assert_int_equal(u.scheme, SCHEME_OTHER);
    // An '@' ends the user part, whatever stands before it.
    assert_int_equal(sip_uri_parse(&u, TEXT("sip:h;transport=udp?a@b")), 0);
    assert_true(text_eq(u.user, TEXT("h;transport=udp?a")));
    assert_true(text_eq(u.host, TEXT("b")));
}

static void test_uri_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip::pw@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:0",
        "sip:a@h:65536",
        "sip:a@h:5060x",
        "sip:a@[::1",
        "sip:a@[::g]",
        "sip:a@[]",
        "sip:a@[::1]x",
        "sip:a b@h",
        "sip:a@h h",
        "<sip:a@h>",
        "sip:a@h\r\nX: y",
        "sip:a@h%41",
        "sip:a@b@c",
        "a@b",
        "1sip:a@h",
        "sip:a@\xc3\xbc",
        "sip:a@h;x=\"y\"",
        "sip:a@h/b",
    };
    struct sip_uri u;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sip_uri_parse(&u, text_of(bad[i])) != EBADMSG)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(sip_uri_parse(&u, (struct text){"sip:a@h\0b", 9}), EBADMSG);
    assert_int_equal(sip_uri_parse(&u, (struct text){NULL, 0}), EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc7247_sip_to_xmpp),
        cmocka_unit_test(test_rfc7247_xmpp_to_sip),
        cmocka_unit_test(test_rfc7247_table_of_characters),
        cmocka_unit_test(test_xep0106_all_ten),
        cmocka_unit_test(test_xep0106_examples),
        cmocka_unit_test(test_xep0106_sip_example),
        cmocka_unit_test(test_blank_at_an_end),
        cmocka_unit_test(test_schemes),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_user_part),
        cmocka_unit_test(test_gruu),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_only_the_user),
        cmocka_unit_test(test_long_parts),
        cmocka_unit_test(test_scratch_too_small),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_uri_parts),
        cmocka_unit_test(test_uri_bad),
    };
    buffer_init(&out, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&out);
    return failed;
}
