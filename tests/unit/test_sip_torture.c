// RFC 4475's torture messages, each with what its text asks for, and thousands of damaged ones.
//
// The messages in rfc4475/ are those of the RFC's appendix A, byte by byte.
#include "core/wire/sip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MESSAGE_MAX = 65536, MUTATIONS = 50000, FILES_MAX = 64 };

// Where an element may choose (a liberal or a strict reading), `section` says what is chosen.
static const struct {
    const char *file;
    int err;
    unsigned defect;
    const char *section;
} expected[] = {
    {"wsinv", 0, 0, "3.1.1.1: well-formed"},
    {"intmeth", 0, 0, "3.1.1.2: well-formed, unknown method"},
    {"esc01", 0, 0, "3.1.1.3"},
    {"escnull", 0, 0, "3.1.1.4"},
    {"esc02", 0, 0, "3.1.1.5"},
    {"lwsdisp", 0, 0, "3.1.1.6: accept"},
    {"longreq", 0, 0, "3.1.1.7"},
    {"dblreq", 0, 0, "3.1.1.8"},
    {"semiuri", 0, 0, "3.1.1.9"},
    {"transports", 0, 0, "3.1.1.10"},
    {"mpart01", 0, 0, "3.1.1.11"},
    {"unreason", 0, 0, "3.1.1.12"},
    {"noreason", 0, 0, "3.1.1.13"},
    {"badinv01", 0, 400, "3.1.2.1"},
    {"clerr", 0, 400, "3.1.2.2"},
    {"ncl", 0, 400, "3.1.2.3"},
    {"scalar02", 0, 400, "3.1.2.4: for the CSeq"},
    {"scalarlg", 0, 400, "3.1.2.5: a response, to be discarded"},
    {"quotbal", 0, 400, "3.1.2.6"},
    {"ltgtruri", 0, 400, "3.1.2.7: rejected"},
    {"lwsruri", 0, 400, "3.1.2.8"},
    {"lwsstart", 0, 400, "3.1.2.9: rejected"},
    {"trws", 0, 400, "3.1.2.10: rejected"},
    {"escruri", 0, 400, "3.1.2.11: rejected"},
    {"baddate", 0, 0, "3.1.2.12: Date is not looked at"},
    {"regbadct", 0, 400, "3.1.2.13: rejected"},
    {"badaspec", 0, 400, "3.1.2.14: rejected"},
    {"baddn", 0, 400, "3.1.2.15: rejected"},
    {"badvers", 0, 505, "3.1.2.16"},
    {"mismatch01", 0, 400, "3.1.2.17"},
    {"mismatch02", 0, 501, "3.1.2.18: the better choice"},
    {"bigcode", EBADMSG, 0, "3.1.2.19: drop"},
    {"badbranch", 0, 400, "3.2.1: rejected"},
    {"insuf", 0, 400, "3.3.1"},
    {"unkscm", 0, 416, "3.3.2"},
    {"novelsc", 0, 416, "3.3.3"},
    {"unksm2", 0, 0, "3.3.4: well-formed; that no registrar takes it is not the parser's matter"},
    {"bext01", 0, 0, "3.3.5: well-formed; 420 is for the user agent"},
    {"invut", 0, 0, "3.3.6: well-formed; 415 likewise"},
    {"regaut01", 0, 0, "3.3.7"},
    {"multi01", 0, 400, "3.3.8"},
    {"mcl01", 0, 400, "3.3.9"},
    {"bcast", 0, 0, "3.3.10: well-formed; no transaction matches it"},
    {"zeromf", 0, 0, "3.3.11"},
    {"cparam01", 0, 0, "3.3.12"},
    {"cparam02", 0, 0, "3.3.13"},
    {"regescrt", 0, 0, "3.3.14"},
    {"sdp01", 0, 0, "3.3.15: well-formed; 406 is for the user agent"},
    {"inv2543", 0, 0, "3.4.1: accept"},
    {"test", EBADMSG, 0, "in the archive, not in the text: a request line without a version"},
};
enum { N_EXPECTED = sizeof expected / sizeof *expected };

static struct {
    char *p;
    size_t n;
} files[FILES_MAX];

static struct sip_parser *parser, *reader;
static struct buffer out;
static const struct sip_message *m;

// In memory of exactly its size, so that a read past the datagram shows.
static int parse(const char *data, size_t n)
{
    char *exact = malloc(n ? n : 1);
    memcpy(exact, data, n);
    int err = sip_parse(parser, exact, n, &m);
    free(exact);
    return err;
}

static void parse_file(const char *name)
{
    for (size_t i = 0; i < N_EXPECTED; i++)
        if (strcmp(expected[i].file, name) == 0) {
            assert_int_equal(parse(files[i].p, files[i].n), expected[i].err);
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

static void test_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXPECTED; i++) {
        int err = parse(files[i].p, files[i].n);
        if (err != expected[i].err || (!err && m->defect != expected[i].defect))
            fail_msg("%s (RFC 4475 §%s): error %d, %u %s", expected[i].file, expected[i].section,
                     err, m->defect, m->defect ? m->defect_phrase : "");
        if (!err && m->status == 0)
            assert_true(m->answerable);
    }
}

// What the RFC points out of the valid ones.
static void test_details(void **state)
{
    (void)state;
    parse_file("wsinv");
    assert_field(to_uri, "sip:vivekg@chair-dnrc.example.com");
    assert_field(to_tag, "1918181833n");
    assert_field(from_tag, "98asjd8");
    assert_int_equal(m->max_forwards, 68);
    assert_int_equal(m->cseq, 9);
    assert_int_equal(m->n_vias, 3);
    assert_field(sent_by, "192.0.2.2");
    assert_field(branch, "390skdjuw");
    assert_field(contact, "sip:jdrosen@example.com");
    assert_int_equal(m->body.n, 150);

    parse_file("intmeth");
    assert_field(method_name, "!interesting-Method0123456789_*+`.%indeed'~");
    assert_field(from_tag, "_token~1'+`*%!-.");
    assert_field(call_id, "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_int_equal(m->max_forwards, 255);

    parse_file("esc01");
    assert_field(contact, "sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31");
    parse_file("esc02");
    assert_int_equal(m->method, SIP_OTHER);
    assert_field(method_name, "RE%47IST%45R");
    parse_file("longreq");
    assert_int_equal(m->n_vias, 34);
    parse_file("dblreq");
    assert_int_equal(m->method, SIP_REGISTER);
    assert_int_equal(m->body.n, 0);
    parse_file("semiuri");
    assert_field(ruri, "sip:user;par=u%40example.net@example.com");
    assert_false(m->accepts_pidf);
    parse_file("mpart01");
    assert_int_equal(m->body.n, 553);
    parse_file("noreason");
    assert_int_equal(m->status, 100);
    parse_file("bext01");
    assert_field(require, "nothingSupportsThis, nothingSupportsThisEither");
    parse_file("bcast");
    assert_int_equal(m->n_vias, 2);
    parse_file("cparam01");
    assert_field(contact, "sip:+19725552222@gw1.example.net");
    parse_file("cparam02");
    assert_field(contact, "sip:+19725552222@gw1.example.net;unknownparam");
    parse_file("scalar02");
    assert_int_equal(m->expires, SIP_ABSENT - 1);
    assert_int_equal(m->max_forwards, SIP_ABSENT);
    parse_file("inv2543");
    assert_int_equal(m->branch.n, 0);
    assert_int_equal(m->from_tag.n, 0);
    assert_int_equal(m->body.n, 105);
}

// ---- Damage ------------------------------------------------------------------------------------

static uint64_t seed = 4475;

static unsigned roll(size_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((seed >> 33) % n);
}

static size_t insert(char *p, size_t n, size_t at, const char *what, size_t k)
{
    memmove(p + at + k, p + at, n - at);
    memcpy(p + at, what, k);
    return n + k;
}

static size_t damage_once(char *p, size_t n)
{
    static const char *const bits[] = {"\r\n",
                                       "\r",
                                       "\n",
                                       " ",
                                       "\t",
                                       ";",
                                       ",",
                                       "\"",
                                       "<",
                                       ">",
                                       "\\",
                                       "(",
                                       ")",
                                       ":",
                                       "=",
                                       "@",
                                       "%",
                                       "[",
                                       "]",
                                       "?",
                                       "\r\n ",
                                       ";;",
                                       ",,",
                                       "\xff",
                                       "\xc3\xbc",
                                       "4294967296",
                                       ";tag=",
                                       "Via:",
                                       "\r\nVia: SIP/2.0/UDP h",
                                       "\r\nTo:",
                                       "\r\nWWW-Authenticate: Digest realm=\"",
                                       "nonce=\"\\\"\", ",
                                       "Event: presence;max-rate=",
                                       "\r\nSIP-ETag: ",
                                       "\r\n\r\n"};
    size_t at = roll(n), k = 1 + roll(16), from = roll(n);
    const char *bit = bits[roll(sizeof bits / sizeof *bits)];
    switch (roll(7)) {
    case 0: p[at] = (char)roll(256); return n;
    case 1: p[at] ^= (char)(1 << roll(8)); return n;
    case 2: return insert(p, n, at, bit, strlen(bit));
    case 3: p[at] = '\0'; return n;
    case 4: // leave some out
        k = k < n - at ? k : n - at;
        memmove(p + at, p + at + k, n - at - k);
        return n - k;
    case 5: // say some again elsewhere
        k = k < n - from ? k : n - from;
        char again[16];
        memcpy(again, p + from, k);
        return insert(p, n, at, again, k);
    default: return roll(4) ? n : at; // cut
    }
}

static void assert_span(struct span at)
{
    size_t n = m->size - sizeof *m;
    assert_true(at.off <= n && at.n <= n - at.off);
}

static void assert_spans(void)
{
    const struct span *spans[] = {&m->method_name,
                                  &m->ruri,
                                  &m->from_uri,
                                  &m->from_tag,
                                  &m->to_uri,
                                  &m->to_tag,
                                  &m->call_id,
                                  &m->event_name,
                                  &m->event_id,
                                  &m->branch,
                                  &m->sent_by,
                                  &m->contact,
                                  &m->vias,
                                  &m->from,
                                  &m->to,
                                  &m->cseq_value,
                                  &m->record_routes,
                                  &m->content_language,
                                  &m->require,
                                  &m->body,
                                  &m->etag,
                                  &m->suppress_if_match};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        assert_span(*spans[i]);
    assert_in_range(m->n_routes, 0, SIP_ROUTES_MAX);
    for (size_t i = 0; i < m->n_routes; i++)
        assert_span(m->route_uri[i]);
    assert_in_range(m->n_challenges, 0, SIP_CHALLENGES_MAX);
    for (size_t i = 0; i < m->n_challenges; i++) {
        assert_span(m->challenge[i].realm);
        assert_span(m->challenge[i].nonce);
        assert_span(m->challenge[i].opaque);
    }
}

// An answer has the lines that it should have, however the request was made: nothing that is echoed
// ends a line or adds one.
static void assert_answer(void)
{
    struct sip_seen seen = {TEXT("192.0.2.1"), 4711};
    buffer_reset(&out);
    sip_write_response(&out, m, &seen, 400, text_of(m->defect ? m->defect_phrase : "OK"), TEXT("t"),
                       TEXT(""));
    size_t ends = 0, wanted = 3; // status line, Content-Length, empty line
    const struct span echoed[] = {m->vias, m->from, m->to, m->call_id, m->cseq_value};
    for (size_t i = 0; i < 5; i++)
        wanted += echoed[i].n > 0;
    for (size_t i = 0; i < out.n; i++) {
        if (out.p[i] == '\r')
            assert_true(i + 1 < out.n && out.p[i + 1] == '\n');
        if (out.p[i] == '\n') {
            assert_true(i > 0 && out.p[i - 1] == '\r');
            ends++;
        }
    }
    assert_int_equal(ends, wanted);
    const struct sip_message *answer;
    assert_int_equal(sip_parse(reader, out.p, out.n, &answer), 0);
    assert_int_equal(answer->status, 400);
    if (m->defect == 0)
        assert_int_equal(answer->defect, 0);
}

static void assert_decoded(void)
{
    const struct span tokens[] = {m->from_tag, m->to_tag,  m->branch, m->event_id,
                                  m->ruri,     m->contact, m->call_id};
    for (size_t i = 0; m->defect == 0 && i < sizeof tokens / sizeof *tokens; i++) {
        struct text t = sip_text(m, tokens[i]);
        for (size_t k = 0; k < t.n; k++)
            assert_true((unsigned char)t.p[k] > ' ' && t.p[k] != 0x7f);
    }
}

static void test_mutations(void **state)
{
    char text[8192];
    unsigned sound = 0, defective = 0;
    (void)state;
    for (int i = 0; i < MUTATIONS; i++) {
        size_t file = roll(N_EXPECTED), n = files[file].n;
        memcpy(text, files[file].p, n);
        for (unsigned k = 1 + roll(6); k && n; k--)
            n = damage_once(text, n);
        if (parse(text, n))
            continue;
        sound += m->defect == 0;
        defective += m->defect != 0;
        assert_spans();
        assert_decoded();
        if (m->answerable)
            assert_answer();
    }
    // Both kinds are met often, or the loop tests nothing.
    assert_in_range(sound, MUTATIONS / 10, MUTATIONS);
    assert_in_range(defective, MUTATIONS / 10, MUTATIONS);
}

static void read_file(size_t i)
{
    char path[512], text[8192];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/unit/rfc4475/%s.dat", expected[i].file);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    files[i].n = fread(text, 1, sizeof text / 2, f);
    fclose(f);
    files[i].p = malloc(files[i].n);
    memcpy(files[i].p, text, files[i].n);
}

static int start(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXPECTED; i++)
        read_file(i);
    buffer_init(&out, 0);
    return sip_parser_create(&parser, MESSAGE_MAX) || sip_parser_create(&reader, MESSAGE_MAX);
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXPECTED; i++)
        free(files[i].p);
    buffer_free(&out);
    sip_parser_destroy(parser);
    sip_parser_destroy(reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
