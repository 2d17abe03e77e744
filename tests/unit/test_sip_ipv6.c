// RFC 5118's torture messages, each with what its text asks for; and IPv6 in what we write.
//
// The messages in rfc5118/ are those of the RFC's appendix A, byte by byte. The archive is not
// quite what the RFC's text shows: its lines end with LF alone, two messages have lost the empty
// line at their end, and the Content-Lengths of the three with a body don't count it. So each is
// read twice: as the text means it, and as it is.
#include "core/wire/address.h"
#include "core/wire/sip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TEXT_MAX = 2048, MUTATIONS = 20000 };

static const struct {
    const char *file;
    unsigned defect; // of the message as meant
    unsigned raw;    // of the archive's bytes
    const char *section;
} expected[] = {
    {"ipv6-good", 0, 0, "4.1: well-formed"},
    {"ipv6-bad", 400, 400, "4.2: no brackets, 400"},
    {"port-ambiguous", 0, 0, "4.3: well-formed"},
    {"port-unambiguous", 0, 0, "4.4: well-formed"},
    {"via-received-param-with-delim", 0, 0, "4.5: must be parsed"},
    {"via-received-param-no-delim", 0, 0, "4.5: valid"},
    {"ipv6-in-sdp", 0, 400, "4.6: valid; raw: 268 bytes said, 242 there"},
    {"mult-ip-in-header", 0, 0, "4.7: valid"},
    {"mult-ip-in-sdp", 0, 400, "4.8: valid; raw: 181 bytes said, 180 there"},
    {"ipv4-mapped-ipv6", 0, 0, "4.9: well-formed"},
    {"ipv6-bug-abnf-3-colons", 0, 400, "4.10: must be tolerated; raw: no empty line"},
    {"ipv6-correct-abnf-2-colons", 0, 400, "4.10: correct; raw: no empty line"},
};
enum { N_EXPECTED = sizeof expected / sizeof *expected };

struct message {
    char p[TEXT_MAX];
    size_t n;
};

static struct message raw[N_EXPECTED], meant[N_EXPECTED];
static struct sip_parser *parser, *reader;
static struct buffer out;
static const struct sip_message *m;

// In memory of exactly its size, so that a read past the datagram shows.
static int parse_bytes(const char *data, size_t n)
{
    char *exact = malloc(n ? n : 1);
    memcpy(exact, data, n);
    int err = sip_parse(parser, exact, n, &m);
    free(exact);
    return err;
}

static void parse(const char *z)
{
    assert_int_equal(parse_bytes(z, strlen(z)), 0);
}

static void parse_file(const char *name)
{
    for (size_t i = 0; i < N_EXPECTED; i++)
        if (strcmp(expected[i].file, name) == 0) {
            assert_int_equal(parse_bytes(meant[i].p, meant[i].n), 0);
            return;
        }
    fail_msg("no file %s", name);
}

static void assert_text(struct text got, const char *wanted)
{
    if (!text_eq(got, text_of(wanted)))
        fail_msg("\"%.*s\", not \"%s\"", TEXT_ARG(got), wanted);
}

#define assert_field(field, wanted) assert_text(sip_text(m, m->field), wanted)

static void assert_host(struct span uri, const char *host, uint16_t port)
{
    struct sip_uri u;
    assert_int_equal(sip_uri_parse(&u, sip_text(m, uri)), 0);
    assert_text(u.host, host);
    assert_int_equal(u.port, port);
}

static void expect(const struct message *of, size_t i, unsigned defect)
{
    int err = parse_bytes(of->p, of->n);
    if (err || m->defect != defect)
        fail_msg("%s (RFC 5118 §%s): error %d, %u %s", expected[i].file, expected[i].section, err,
                 m->defect, m->defect ? m->defect_phrase : "");
    assert_true(m->answerable);
}

static void test_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXPECTED; i++) {
        expect(&meant[i], i, expected[i].defect);
        expect(&raw[i], i, expected[i].raw);
    }
}

static void test_details(void **state)
{
    (void)state;
    parse_file("ipv6-good");
    assert_host(m->ruri, "2001:db8::10", 0);
    assert_field(sent_by, "2001:db8::9:1");
    assert_int_equal(m->sent_by_port, 0);
    assert_field(contact, "sip:caller@[2001:db8::1]");

    parse_file("ipv6-bad");
    assert_string_equal(m->defect_phrase, "Bad Request-URI");

    parse_file("port-ambiguous");
    assert_host(m->ruri, "2001:db8::10:5070", 0);
    parse_file("port-unambiguous");
    assert_host(m->ruri, "2001:db8::10", 5070);

    parse_file("via-received-param-with-delim");
    assert_field(sent_by, "2001:db8::9:1");
    assert_field(branch, "z9hG4bKas3-111");
    parse_file("via-received-param-no-delim");
    assert_field(sent_by, "2001:db8::9:1");
    assert_field(branch, "z9hG4bKas3");

    parse_file("ipv6-in-sdp");
    assert_host(m->ruri, "2001:db8::10", 0);
    assert_host(m->to_uri, "2001:db8::10", 0);
    assert_field(sent_by, "2001:db8::20");
    assert_int_equal(m->content, SIP_CONTENT_OTHER);

    parse_file("mult-ip-in-header");
    assert_int_equal(m->n_vias, 3);
    assert_field(sent_by, "2001:db8::9:1");
    assert_int_equal(m->sent_by_port, 6050);

    parse_file("ipv4-mapped-ipv6");
    assert_int_equal(m->n_vias, 2);
    assert_field(sent_by, "::ffff:192.0.2.10");
    assert_int_equal(m->sent_by_port, 19823);
    assert_host(m->contact, "::ffff:192.0.2.2", 0);

    parse_file("ipv6-bug-abnf-3-colons");
    assert_field(ruri, "sip:user@[2001:db8:::192.0.2.1]");
    assert_field(to_uri, "sip:user@[2001:db8:::192.0.2.1]");
    parse_file("ipv6-correct-abnf-2-colons");
    assert_host(m->ruri, "2001:db8::192.0.2.1", 0);
}

// ---- What we write -----------------------------------------------------------------------------

static const char *answer_via(const char *via, const char *source)
{
    char text[1024];
    struct sip_seen seen = {text_of(source), 5070};
    snprintf(text, sizeof text,
             "OPTIONS sip:[2001:db8::10] SIP/2.0\r\nVia: %s\r\nFrom: <sip:a@b>;tag=1\r\n"
             "To: <sip:c@d>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
             via);
    parse(text);
    assert_int_equal(m->defect, 0);
    buffer_reset(&out);
    sip_write_response(&out, m, &seen, 200, TEXT(""), TEXT("t"), TEXT(""));
    char *line = memmem(out.p, out.n, "Via: ", 5), *end = strstr(line, "\r\n");
    *end = '\0';
    return line + 5;
}

// §4.5: what the sender says of `received`, with brackets or without, gives way to what was seen,
// which we write without; and only where the host is another, however it is spelled.
static void test_received(void **state)
{
    (void)state;
    assert_string_equal(
        answer_via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKa",
                   "2001:db8::9:255"),
        "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKa;received=2001:db8::9:255");
    assert_string_equal(
        answer_via("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKa",
                   "2001:db8::9:1"),
        "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKa");
    assert_string_equal(
        answer_via("SIP/2.0/UDP [2001:DB8:0:0::9:1]:5070;branch=z9hG4bKa", "2001:db8::9:1"),
        "SIP/2.0/UDP [2001:DB8:0:0::9:1]:5070;branch=z9hG4bKa");
    assert_string_equal(
        answer_via("SIP/2.0/TCP [2001:db8:::192.0.2.1];branch=z9hG4bKa", "2001:db8::192.0.2.1"),
        "SIP/2.0/TCP [2001:db8:::192.0.2.1];branch=z9hG4bKa");
    assert_string_equal(
        answer_via("SIP/2.0/UDP [2001:db8::9];rport;branch=z9hG4bKa", "2001:db8::9"),
        "SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKa;received=2001:db8::9;rport=5070");
    assert_string_equal(answer_via("SIP/2.0/UDP [::1];branch=z9hG4bKa", "::2"),
                        "SIP/2.0/UDP [::1];branch=z9hG4bKa;received=::2");
}

// A sent-by without brackets is none (§4.5).
static void test_bare_sent_by(void **state)
{
    (void)state;
    parse(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bKa\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n");
    assert_int_equal(m->defect, 400);
    assert_string_equal(m->defect_phrase, "Bad Via");
}

// Our own Via has brackets, once, and the port outside them.
static void test_request(void **state)
{
    static const char *const hosts[] = {"2001:db8::1", "[2001:db8::1]"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sip_request r = {.method = SIP_SUBSCRIBE,
                                .ruri = TEXT("sip:romeo@[2001:db8::2]:5070"),
                                .via_transport = TEXT("TCP"),
                                .via_host = text_of(hosts[i]),
                                .via_port = 5080,
                                .branch = TEXT("z9hG4bKa"),
                                .from_uri = TEXT("sip:juliet@example.com"),
                                .from_tag = TEXT("1"),
                                .to_uri = TEXT("sip:romeo@[2001:db8::2]"),
                                .call_id = TEXT("c"),
                                .cseq = 1,
                                .contact = TEXT("sip:juliet@[2001:db8::1]:5080"),
                                .routes = TEXT("<sip:[2001:db8::3]:5061;lr>"),
                                .expires = 60};
        buffer_reset(&out);
        sip_write_request(&out, &r);
        assert_non_null(memmem(out.p, out.n, "Via: SIP/2.0/TCP [2001:db8::1]:5080;", 36));
        assert_int_equal(parse_bytes(out.p, out.n), 0);
        assert_int_equal(m->defect, 0);
        assert_field(sent_by, "2001:db8::1");
        assert_int_equal(m->sent_by_port, 5080);
        assert_host(m->contact, "2001:db8::1", 5080);
        assert_host(m->to_uri, "2001:db8::2", 0);
    }
}

static void test_record_route(void **state)
{
    (void)state;
    parse(
        "NOTIFY sip:juliet@[2001:db8::1]:5080 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP [2001:db8::3]:5061;branch=z9hG4bKa\r\n"
        "Record-Route: <sip:[2001:db8::3]:5061;lr>, <sip:[::ffff:192.0.2.1];lr>\r\n"
        "Contact: <sip:romeo@[2001:db8::2]:5070;transport=tcp>\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\n\r\n");
    assert_int_equal(m->defect, 0);
    assert_int_equal(m->n_routes, 2);
    assert_host(m->route_uri[0], "2001:db8::3", 5061);
    assert_host(m->route_uri[1], "::ffff:192.0.2.1", 0);
    assert_host(m->contact, "2001:db8::2", 5070);
}

// ---- Damage ------------------------------------------------------------------------------------

static uint64_t seed = 5118;

static unsigned roll(size_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((seed >> 33) % n);
}

// Of the characters that an IPv6 reference is made of, put where one stands.
static void damage(struct message *to)
{
    static const char bits[] = "[]::.%0fF;,/ \"";
    size_t at = roll(to->n);
    const char *bracket = memchr(to->p + at, roll(2) ? '[' : ']', to->n - at);
    if (bracket)
        at = (size_t)(bracket - to->p) + roll(3);
    if (at >= to->n || to->n + 1 > TEXT_MAX)
        return;
    if (roll(2)) {
        to->p[at] = bits[roll(sizeof bits - 1)];
    } else {
        memmove(to->p + at + 1, to->p + at, to->n - at);
        to->p[at] = bits[roll(sizeof bits - 1)];
        to->n++;
    }
}

static void test_mutations(void **state)
{
    unsigned sound = 0, defective = 0;
    (void)state;
    for (int i = 0; i < MUTATIONS; i++) {
        struct message one = meant[roll(N_EXPECTED)];
        struct sip_seen seen = {TEXT("2001:db8::9"), 5060};
        for (unsigned k = 1 + roll(4); k; k--)
            damage(&one);
        if (parse_bytes(one.p, one.n))
            continue;
        sound += m->defect == 0;
        defective += m->defect != 0;
        struct sip_echo echo;
        sip_echo_of(&echo, m);
        sip_passed(&echo, TEXT("2001:db8::9:1"), 0, UINT16_MAX);
        if (!m->answerable)
            continue;
        const struct sip_message *answer;
        buffer_reset(&out);
        sip_write_response(&out, m, &seen, 200, TEXT(""), TEXT("t"), TEXT(""));
        assert_int_equal(sip_parse(reader, out.p, out.n, &answer), 0);
        if (m->defect == 0)
            assert_int_equal(answer->defect, 0);
    }
    assert_in_range(sound, MUTATIONS / 10, MUTATIONS);
    assert_in_range(defective, MUTATIONS / 10, MUTATIONS);
}

// ---- Files -------------------------------------------------------------------------------------

static void add(struct message *to, const char *p, size_t n)
{
    assert_true(to->n + n <= TEXT_MAX);
    memcpy(to->p + to->n, p, n);
    to->n += n;
}

// The same with CRLF, from `from` on.
static void add_lines(struct message *to, const struct message *of, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++)
        add(to, of->p[i] == '\n' ? "\r\n" : &of->p[i], of->p[i] == '\n' ? 2 : 1);
}

// All of a body counted.
static void mend(struct message *to, const struct message *of)
{
    struct message body = {.n = 0};
    char length[32];
    const char *field = memmem(of->p, of->n, "Content-Length", 14);
    const char *line_end = memchr(field, '\n', (size_t)(of->p + of->n - field));
    size_t behind = (size_t)(line_end + 1 - of->p);
    if (behind < of->n)
        add_lines(&body, of, behind + 1, of->n);
    to->n = 0;
    add_lines(to, of, 0, (size_t)(field - of->p));
    add(to, length, (size_t)snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", body.n));
    add(to, body.p, body.n);
}

static void read_file(size_t i)
{
    char path[512];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/unit/rfc5118/%s.dat", expected[i].file);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    raw[i].n = fread(raw[i].p, 1, TEXT_MAX / 2, f);
    fclose(f);
    mend(&meant[i], &raw[i]);
}

static int start(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXPECTED; i++)
        read_file(i);
    buffer_init(&out, 0);
    return sip_parser_create(&parser, 65536) || sip_parser_create(&reader, 65536);
}

static int stop(void **state)
{
    (void)state;
    buffer_free(&out);
    sip_parser_destroy(parser);
    sip_parser_destroy(reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),       cmocka_unit_test(test_details),
        cmocka_unit_test(test_received),  cmocka_unit_test(test_bare_sent_by),
        cmocka_unit_test(test_request),   cmocka_unit_test(test_record_route),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
