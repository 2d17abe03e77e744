// SIP and tel URIs to JIDs and back: numbers, GRUUs, hosts of all kinds, and that all spellings of
// one address are one JID.
#include "core/wire/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 20000 };

static struct buffer out;

static const char *z(void)
{
    buffer_char(&out, '\0');
    assert_false(out.failed);
    return out.p;
}

static int map(struct text uri, struct jid *jid, char scratch[JID_MAX + 1])
{
    struct sip_uri u;
    int err = sip_uri_parse(&u, uri);
    return err ? err : address_to_jid(jid, &u, scratch, JID_MAX + 1);
}

static void assert_jid(const char *uri, const char *wanted)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    int err = map(text_of(uri), &jid, scratch);
    buffer_reset(&out);
    if (!err)
        jid_write(&out, &jid);
    if (err || strcmp(z(), wanted) != 0)
        fail_msg("%s: error %d, \"%s\", not \"%s\"", uri, err, out.p ? out.p : "", wanted);
}

static void assert_error(const char *uri, int wanted)
{
    char scratch[JID_MAX + 1];
    struct jid jid;
    int err = map(text_of(uri), &jid, scratch);
    if (err != wanted)
        fail_msg("%s: error %d, not %d", uri, err, wanted);
}

// ---- Numbers -----------------------------------------------------------------------------------

// RFC 3966 §6's second example, and what §4 says is the same.
static void local_numbers(void **state)
{
    (void)state;
    assert_jid("tel:7042;phone-context=example.com", "7042@example.com");
    assert_jid("TEL:70-4.(2);Phone-Context=EXAMPLE.com.", "7042@example.com");
    assert_jid("tel:%37042;%70hone-context=example.com;tsp=a.b", "7042@example.com");
    assert_jid("tel:*21%23;phone-context=houston.example.com", "*21#@houston.example.com");
    assert_jid("tel:7F;phone-context=example", "7f@example");
    assert_jid("tel:1;phone-context=xn--bcher-kva.example",
               "1@b\xc3\xbc"
               "cher.example");
}

// Without a domain nobody can tell whose user a number is.
static void numbers_of_nobody(void **state)
{
    static const char *const uris[] = {
        "tel:+1-201-555-0123",
        "tel:+1-201-555-0123;phone-context=example.com",
        "tel:863-1234;phone-context=+1-914-555",
        "tel:7042",
        "tel:7042;phone-context",
        "tel:7042;phone-context=",
        "tel:7042;phone-context=.",
        "tel:7042;phone-context=192.0.2.1",
        "tel:7042;phone-context=[2001:db8::1]",
        "tel:7042;phone-context=a@b",
        "tel:7042;xphone-context=example.com",
        // What tells two numbers of a context apart has no place in a JID, and what is mandatory
        // and unknown forbids the use of the URI (RFC 3966 §5.2 to §5.4).
        "tel:7042;ext=5;phone-context=example.com",
        "tel:7042;isub=1411;phone-context=example.com",
        "tel:7042;phone-context=example.com;m-type=x",
        "tel:7042;phone-context=example.com;M-type",
    };
    (void)state;
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++)
        assert_error(uris[i], EPROTONOSUPPORT);
}

static void no_numbers(void **state)
{
    (void)state;
    assert_error("tel:", EBADMSG);
    assert_error("tel:;phone-context=example.com", EBADMSG);
    assert_error("tel:-;phone-context=example.com", EBADMSG); // separators alone
    assert_error("tel:romeo;phone-context=example.com", EBADMSG);
    assert_error("tel:70%0042;phone-context=example.com", EBADMSG);
    assert_error("tel:70%2042;phone-context=example.com", EBADMSG);
    assert_error("tel:7042;phone-context=-.example", EBADMSG);
}

// RFC 3261 §19.1.4: the userinfo counts as written, whether it is a telephone-subscriber or not.
static void phones_at_hosts(void **state)
{
    (void)state;
    assert_jid("sip:+1-212-555-1212:1234@gateway.com;user=phone", "+1-212-555-1212@gateway.com");
    assert_jid("sip:+1-212-555-1212@gateway.com", "+1-212-555-1212@gateway.com");
    assert_jid("sip:+12125551212@gateway.com;user=phone", "+12125551212@gateway.com");
    assert_jid("sip:+358-555-1234567;postd=pp22@foo.com;user=phone",
               "+358-555-1234567;postd=pp22@foo.com");
    assert_jid("sip:7042;phone-context=example.com@example.net;user=phone",
               "7042;phone-context=example.com@example.net");
}

// ---- Schemes -----------------------------------------------------------------------------------

// Table 1 of RFC 7247 §6.2 lets more stand in pres and im URIs than in SIP URIs (RFC 3859 §3.1,
// RFC 3860 §3.1); escaped or not, it is the same.
static void pres_and_im(void **state)
{
    (void)state;
    assert_jid("pres:a!#$%25&'*+-/=?^_`{|}~.b@example.com",
               "a!#$%\\26\\27*+-\\2f=?^_`{|}~.b@example.com");
    assert_jid("im:a%21%23%24%25%26%27%2A%2B-%2F@example.com", "a!#$%\\26\\27*+-\\2f@example.com");
    assert_jid("PRES:f%C3%BC@Example.COM", "f\xc3\xbc@example.com");
    assert_jid("pres:romeo@example.net?subject=x", "romeo@example.net");
    assert_error("pres:example.net", EBADMSG);
    assert_error("im:@example.net", EBADMSG);
}

// ---- Instances ---------------------------------------------------------------------------------

static void gruus(void **state)
{
    (void)state;
    // RFC 5627 §3.1.1, §3.1.2.
    assert_jid("sip:alice@example.com;gr=kjh29x97us97d", "alice@example.com/kjh29x97us97d");
    assert_jid("sip:asd887f9dfkk76690@example.com;gr", "asd887f9dfkk76690@example.com");
    assert_jid("sip:asd887f9dfkk76690@example.com;gr=", "asd887f9dfkk76690@example.com");
    // RFC 4475 §3.1.1.3: escaped names of parameters are names.
    assert_jid("sip:a@example.com;%67%52=x", "a@example.com/x");
    assert_jid("sip:a@example.com;grx=y;xgr=z;g=a", "a@example.com");
    assert_jid("sip:a@example.com;transport=tcp;GR=x;lr?gr=y", "a@example.com/x");
    // Of the parameter's value, not of the user part.
    assert_jid("sip:a;gr=x@example.com", "a;gr=x@example.com");
    assert_jid("pres:a@example.com;gr=x", "a@example.com/x");
}

static void escaped_parameters(void **state)
{
    struct sip_uri u;
    (void)state;
    assert_int_equal(sip_uri_parse(&u, TEXT("sip:a@b;%6C%72;tran%73port=tcp")), 0);
    assert_true(u.lr);
    assert_true(text_eq(u.transport, TEXT("tcp")));
    assert_int_equal(sip_uri_parse(&u, TEXT("sip:a@b;%6C%7;l%72x;%6;%")), 0);
    assert_false(u.lr);
}

// ---- Hosts -------------------------------------------------------------------------------------

static void ipv6(void **state)
{
    (void)state;
    assert_jid("sip:a@[2001:db8::1]", "a@[2001:db8::1]");
    assert_jid("sip:a@[2001:DB8::1]:5060", "a@[2001:db8::1]");
    assert_jid("sip:a@[::ffff:192.0.2.1]", "a@[::ffff:192.0.2.1]");
    assert_jid("sip:a@[2001:db8:::192.0.2.1]", "a@[2001:db8::192.0.2.1]"); // RFC 5118 §4.10
    assert_error("sip:a@[2001:db8:::1]", EBADMSG);
    assert_error("sip:a@2001:db8::1", EBADMSG); // RFC 5118 §4.2
    assert_error("sip:a@[2001:db8::1", EBADMSG);
}

static void internationalized(void **state)
{
    static const struct {
        const char *sip, *jid;
    } rows[] = {
        {"sip:a@xn--bcher-kva.example",
         "a@b\xc3\xbc"
         "cher.example"},
        // RFC 3492 §7.1 (A), (I), as labels.
        {"sip:a@xn--egbpdaj6bu4bxfgehfvwxn.example",
         "a@\xd9\x84\xd9\x8a\xd9\x87\xd9\x85\xd8\xa7\xd8\xa8\xd8\xaa\xd9\x83\xd9\x84\xd9\x85\xd9"
         "\x88\xd8\xb4\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a\xd8\x9f.example"},
    };
    char scratch[JID_MAX + 1];
    struct jid jid;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_jid(rows[i].sip, rows[i].jid);
        assert_int_equal(jid_parse(&jid, text_of(rows[i].jid), scratch, sizeof scratch), 0);
        buffer_reset(&out);
        address_to_sip(&out, &jid);
        assert_string_equal(z(), rows[i].sip);
    }
    assert_error("sip:a@xn--\xc3\xbc.example", EBADMSG); // IDNs don't stand in SIP URIs as letters
    assert_error(
        "sip:a@b\xc3\xbc"
        "cher.example",
        EBADMSG);
    assert_error("sip:a@b%C3%BCcher.example", EBADMSG); // RFC 3261 §19.1.2: nor escaped
}

// ---- There and back ----------------------------------------------------------------------------
//
// The URIs whose mapping there and back is the identity, byte by byte:
//
//     "sip:" user "@" host [";gr=" value]
//
// user   the bytes of a text that nodeprep leaves as it is, but for the ten characters of XEP-0106,
//        which may stand in it (a blank neither first nor last); at most 1023 bytes with XEP-0106's
//        escapes; alphanumerics and RFC 3261's mark and user-unreserved as they are, all else as
//        "%hh" with upper-case digits
// host   lower case, no final dot: a name of letters, digits and hyphens whose A-labels stand for
//        what IDNA prepares to them, an IPv4 address, or an IPv6 address in brackets
// value  the bytes of a text that resourceprep leaves as it is, not empty; alphanumerics and RFC
//        3261's mark and param-unreserved as they are, all else as above

struct sample {
    struct buffer user, value; // plain
    const char *host;
};

static uint64_t seed = 0x7247;

static unsigned roll(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void random_plain(struct buffer *b)
{
    static const char *const pieces[] = {
        "a",
        "q",
        "z",
        "0",
        "7",
        "-",
        ".",
        "_",
        "!",
        "~",
        "*",
        "'",
        "(",
        ")",
        "&",
        "=",
        "+",
        "$",
        ",",
        ";",
        "?",
        "/",
        "\"",
        "#",
        "%",
        ":",
        "<",
        ">",
        "@",
        "[",
        "]",
        "^",
        "`",
        "{",
        "|",
        "}",
        "\\",
        "\\20",
        "\\5c",
        "2",
        "f",
        "c",
        "%2",
        "%41",
        "\\2f",
        "\xc3\xbc",
        "\xce\xb1",
        "\xe4\xbd\xa0",
        "\xf0\x90\x80\x80",
    };
    unsigned n = 1 + roll(10);
    buffer_reset(b);
    for (unsigned i = 0; i < n; i++)
        if (i > 0 && i + 1 < n && roll(10) == 0)
            buffer_char(b, ' ');
        else
            buffer_text(b, text_of(pieces[roll(sizeof pieces / sizeof *pieces)]));
}

static bool is_plain(char c, const char *keep)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(keep, c));
}

#define MARK "-_.!~*'()"

// As it has to be (`free` false), or one of the spellings that mean the same.
static void write_escaped(struct buffer *b, const struct buffer *plain, const char *keep, bool free)
{
    char hex[4];
    for (size_t i = 0; i < plain->n; i++) {
        char c = plain->p[i];
        if (is_plain(c, keep) && !(free && roll(3) == 0)) {
            buffer_char(b, c);
            continue;
        }
        snprintf(hex, sizeof hex, free && roll(2) ? "%%%02x" : "%%%02X", (unsigned char)c);
        buffer_add(b, hex, 3);
    }
}

static void write_case(struct buffer *b, const char *t, bool free)
{
    for (; *t; t++)
        buffer_char(b, free && roll(2) && *t >= 'a' && *t <= 'z' ? (char)(*t - 32) : *t);
}

static void write_extra(struct buffer *b)
{
    static const char *const extras[] = {";transport=tcp", ";user=phone", ";lr", ";maddr=192.0.2.1",
                                         ";x=%20",         ";grx=1",      ";x"};
    for (unsigned n = roll(3); n; n--)
        buffer_text(b, text_of(extras[roll(sizeof extras / sizeof *extras)]));
}

static void write_uri(struct buffer *b, const struct sample *s, bool free)
{
    buffer_reset(b);
    write_case(b, "sip", free);
    buffer_char(b, ':');
    write_escaped(b, &s->user, MARK "&=+$,;?/", free);
    if (free && roll(4) == 0)
        buffer_lit(b, ":secret");
    buffer_char(b, '@');
    write_case(b, s->host, free);
    if (free && s->host[0] >= 'a' && roll(4) == 0)
        buffer_char(b, '.');
    if (free && roll(4) == 0)
        buffer_lit(b, ":5070");
    if (free)
        write_extra(b);
    if (s->value.n) {
        write_case(b, ";gr", free);
        buffer_char(b, '=');
        write_escaped(b, &s->value, MARK "[]/:&+$", free);
    }
    if (free)
        write_extra(b);
    if (free && roll(4) == 0)
        buffer_lit(b, "?gr=x&subject=%20");
}

static void random_sample(struct sample *s)
{
    static const char *const hosts[] = {
        "example.net", "xn--bcher-kva.example", "a-b.c.example", "192.0.2.1", "[2001:db8::1]",
        "localhost",   "[::ffff:192.0.2.1]",    "3com.example"};
    s->host = hosts[roll(sizeof hosts / sizeof *hosts)];
    random_plain(&s->user);
    buffer_reset(&s->value);
    if (roll(2))
        random_plain(&s->value);
}

static struct text text_in(const struct buffer *b)
{
    return (struct text){b->p, b->n};
}

static void there_and_back(void **state)
{
    char scratch[JID_MAX + 1], scratch2[JID_MAX + 1];
    struct sample s = {.host = ""};
    struct buffer uri, other;
    struct jid jid, same;
    (void)state;
    buffer_init(&uri, 0), buffer_init(&other, 0);
    buffer_init(&s.user, 0), buffer_init(&s.value, 0);
    for (int i = 0; i < ROUNDS; i++) {
        random_sample(&s);
        write_uri(&uri, &s, false);
        if (map(text_in(&uri), &jid, scratch) != 0)
            fail_msg("no JID: %.*s", TEXT_ARG(text_in(&uri)));
        buffer_reset(&out);
        address_to_sip(&out, &jid);
        if (!text_eq(text_in(&out), text_in(&uri)))
            fail_msg("%.*s came back as %.*s", TEXT_ARG(text_in(&uri)), TEXT_ARG(text_in(&out)));
        // Whatever way it is written, it is the same address.
        write_uri(&other, &s, true);
        if (map(text_in(&other), &same, scratch2) != 0 || !jid_bare_eq(&jid, &same) ||
            !text_eq(jid.resource, same.resource))
            fail_msg("not the same: %.*s and %.*s", TEXT_ARG(text_in(&uri)),
                     TEXT_ARG(text_in(&other)));
    }
    buffer_free(&uri), buffer_free(&other);
    buffer_free(&s.user), buffer_free(&s.value);
}

// Two different ones never become one JID: a little change of what is plain is another address.
static void different_ones(void **state)
{
    char scratch[JID_MAX + 1], scratch2[JID_MAX + 1];
    struct sample s = {.host = "example.net"};
    struct buffer uri, other, before;
    struct jid jid, changed;
    (void)state;
    buffer_init(&uri, 0), buffer_init(&other, 0), buffer_init(&before, 0);
    buffer_init(&s.user, 0), buffer_init(&s.value, 0);
    for (int i = 0; i < ROUNDS; i++) {
        random_plain(&s.user);
        write_uri(&uri, &s, false);
        buffer_reset(&before);
        buffer_text(&before, text_in(&s.user));
        random_plain(&s.user);
        write_uri(&other, &s, true);
        assert_int_equal(map(text_in(&uri), &jid, scratch), 0);
        assert_int_equal(map(text_in(&other), &changed, scratch2), 0);
        if (jid_bare_eq(&jid, &changed) != text_eq(text_in(&before), text_in(&s.user)))
            fail_msg("%.*s and %.*s", TEXT_ARG(text_in(&uri)), TEXT_ARG(text_in(&other)));
    }
    buffer_free(&uri), buffer_free(&other), buffer_free(&before);
    buffer_free(&s.user), buffer_free(&s.value);
}

// Any bytes at all behind tel: never a crash, and what comes out is a JID that parses as itself.
static void any_number(void **state)
{
    static const char bits[] = "0179afAF*#-.()+%23;=phone-context=example.netexti@\x80";
    char scratch[JID_MAX + 1], scratch2[JID_MAX + 1];
    unsigned mapped = 0;
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char number[24], uri[96];
        unsigned n = roll(sizeof number);
        struct jid jid, same;
        for (unsigned k = 0; k < n; k++)
            number[k] = bits[roll(roll(4) ? 19 : sizeof bits - 1)];
        snprintf(uri, sizeof uri, "tel:%.*s;phone-context=example.net", (int)n, number);
        char *exact = malloc(strlen(uri));
        memcpy(exact, uri, strlen(uri));
        if (map((struct text){exact, strlen(uri)}, &jid, scratch) == 0) {
            buffer_reset(&out);
            jid_write(&out, &jid);
            assert_int_equal(jid_parse(&same, text_in(&out), scratch2, sizeof scratch2), 0);
            assert_true(jid_bare_eq(&jid, &same));
            mapped++;
        }
        free(exact);
    }
    assert_in_range(mapped, ROUNDS / 20, ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_numbers),      cmocka_unit_test(numbers_of_nobody),
        cmocka_unit_test(no_numbers),         cmocka_unit_test(phones_at_hosts),
        cmocka_unit_test(pres_and_im),        cmocka_unit_test(gruus),
        cmocka_unit_test(escaped_parameters), cmocka_unit_test(ipv6),
        cmocka_unit_test(internationalized),  cmocka_unit_test(there_and_back),
        cmocka_unit_test(different_ones),     cmocka_unit_test(any_number),
    };
    buffer_init(&out, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&out);
    return failed;
}
