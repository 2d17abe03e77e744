// RFC 4475's and RFC 5118's messages sent to the whole gateway: each gets the answer that the RFC
// asks for, or none, and whatever it was, nothing crosses to XMPP and nothing stays behind.
//
//   sender          gateway              XMPP
//     |  torture       |                  |
//     |--------------->|                  |
//     |  its status    |     (nothing)    |
//     |<---------------|                  |
#include "flows.h"

#include <stdio.h>
#include <string.h>

// status 0: no answer.
static const struct torture {
    const char *file;
    unsigned status;
    const char *section;
} TORTURES[] = {
    {"wsinv", 405, "3.1.1.1: a method that is not served"},
    {"intmeth", 501, "3.1.1.2: an unknown method"},
    {"esc01", 405, "3.1.1.3: a method that is not served"},
    {"escnull", 405, "3.1.1.4: a method that is not served"},
    {"esc02", 501, "3.1.1.5: an unknown method"},
    {"lwsdisp", 200, "3.1.1.6"},
    {"longreq", 405, "3.1.1.7: a method that is not served"},
    {"dblreq", 405, "3.1.1.8: a method that is not served"},
    {"semiuri", 200, "3.1.1.9"},
    {"transports", 200, "3.1.1.10"},
    {"mpart01", 405, "3.1.1.11: a method that is not served"},
    {"unreason", 0, "3.1.1.12: a response"},
    {"noreason", 0, "3.1.1.13: a response"},
    {"badinv01", 400, "3.1.2.1"},
    {"clerr", 400, "3.1.2.2"},
    {"ncl", 400, "3.1.2.3"},
    {"scalar02", 400, "3.1.2.4"},
    {"scalarlg", 0, "3.1.2.5: a response"},
    {"quotbal", 400, "3.1.2.6"},
    {"ltgtruri", 400, "3.1.2.7"},
    {"lwsruri", 400, "3.1.2.8"},
    {"lwsstart", 400, "3.1.2.9"},
    {"trws", 400, "3.1.2.10"},
    {"escruri", 400, "3.1.2.11"},
    {"baddate", 405, "3.1.2.12: a method that is not served"},
    {"regbadct", 400, "3.1.2.13"},
    {"badaspec", 400, "3.1.2.14"},
    {"baddn", 400, "3.1.2.15"},
    {"badvers", 505, "3.1.2.16"},
    {"mismatch01", 400, "3.1.2.17"},
    {"mismatch02", 501, "3.1.2.18: an unknown method"},
    {"bigcode", 0, "3.1.2.19: dropped"},
    {"badbranch", 400, "3.2.1"},
    {"insuf", 400, "3.3.1"},
    {"unkscm", 416, "3.3.2"},
    {"novelsc", 416, "3.3.3"},
    {"unksm2", 405, "3.3.4: a method that is not served"},
    {"bext01", 420, "3.3.5"},
    {"invut", 405, "3.3.6: a method that is not served"},
    {"regaut01", 405, "3.3.7: a method that is not served"},
    {"multi01", 400, "3.3.8"},
    {"mcl01", 400, "3.3.9"},
    {"bcast", 0, "3.3.10: a response that nobody waits for"},
    {"zeromf", 200, "3.3.11"},
    {"cparam01", 405, "3.3.12: a method that is not served"},
    {"cparam02", 405, "3.3.13: a method that is not served"},
    {"regescrt", 405, "3.3.14: a method that is not served"},
    {"sdp01", 405, "3.3.15: a method that is not served"},
    {"inv2543", 405, "3.4.1: a method that is not served"},
    {"test", 0, "not in the text: no version in the request line"},
};
enum { N_TORTURES = sizeof TORTURES / sizeof *TORTURES };

// RFC 5118's, without their bodies.
static const struct torture OF_IPV6[] = {
    {"ipv6-good", 405, "4.1: well-formed; a method that is not served"},
    {"ipv6-bad", 400, "4.2: no brackets"},
    {"port-ambiguous", 405, "4.3: well-formed"},
    {"port-unambiguous", 405, "4.4: well-formed"},
    {"via-received-param-with-delim", 405, "4.5: accepted; a BYE"},
    {"via-received-param-no-delim", 200, "4.5: accepted"},
    {"ipv6-in-sdp", 405, "4.6: well-formed"},
    {"mult-ip-in-header", 405, "4.7: valid"},
    {"mult-ip-in-sdp", 405, "4.8: valid"},
    {"ipv4-mapped-ipv6", 405, "4.9: well-formed"},
    {"ipv6-bug-abnf-3-colons", 200, "4.10: tolerated"},
    {"ipv6-correct-abnf-2-colons", 200, "4.10: correct"},
};
enum { N_OF_IPV6 = sizeof OF_IPV6 / sizeof *OF_IPV6 };

static size_t read_file(const char *folder, const char *name, char *to, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/unit/%s/%s.dat", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("no file %s", path);
    size_t n = fread(to, 1, size, f);
    fclose(f);
    return n;
}

// As it stands, from the trusted proxy.
static void says_raw(struct stage *s, const char *bytes, size_t n)
{
    struct event ev = {.kind = EVENT_SIP, .port = SIP_PORT_LISTEN(0)};
    assert_int_equal(hop_parse(&ev.source, TEXT("127.0.0.1"), 5070, HOP_UDP), 0);
    if (sip_parse(s->parser, bytes, n, &ev.sip))
        return; // no SIP at all: the port drops it
    core_step(s->core, &ev, s->now_ms, &s->fx);
    stage_pass_ms(s, 0);
}

static void gets_its_answer(const struct torture *t, const char *bytes, size_t n)
{
    struct stage *s = stage_open();
    says_raw(s, bytes, n);
    unsigned got = 0;
    const struct sip_message *answer = sip_next(s);
    if (answer)
        got = answer->status;
    if (got != t->status)
        fail_msg("%s (§%s): %u, not %u", t->file, t->section, got, t->status);
    all_is_over(s, 100);
    stage_close(s);
}

static void each_gets_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TORTURES; i++) {
        char bytes[8192];
        size_t n = read_file("rfc4475", TORTURES[i].file, bytes, sizeof bytes);
        assert_in_range(n, 1, sizeof bytes - 1);
        gets_its_answer(&TORTURES[i], bytes, n);
    }
}

// The header as it stands, with the line ends and the empty line that the archive has lost.
static size_t head_of(const char *name, char *to)
{
    char bytes[4096];
    size_t n = read_file("rfc5118", name, bytes, sizeof bytes - 1), out = 0;
    bytes[n] = '\0';
    char *end = strstr(bytes, "Content-Length");
    assert_non_null(end);
    for (const char *p = bytes; p < end; p++) {
        if (*p == '\n')
            to[out++] = '\r';
        to[out++] = *p;
    }
    memcpy(to + out, "\r\n", 2);
    return out + 2;
}

static void each_of_ipv6_gets_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF_IPV6; i++) {
        char head[8192];
        size_t n = head_of(OF_IPV6[i].file, head);
        gets_its_answer(&OF_IPV6[i], head, n);
    }
}

// §3.3.5: which extensions it was; §3.1.2.16: the version; §3.1.1.1: what is served.
static void the_answers_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *file, *line;
    } rows[] = {
        {"bext01", "Unsupported: nothingSupportsThis, nothingSupportsThisEither\r\n"},
        {"badvers", "SIP/2.0 505 Version Not Supported\r\n"},
        {"wsinv", "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"},
        {"insuf", "CSeq: 193942 INVITE\r\n"},
    };
    struct stage *s = stage_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char bytes[8192];
        says_raw(s, bytes, read_file("rfc4475", rows[i].file, bytes, sizeof bytes));
        sip_sees(s, "SIP/2.0 ", rows[i].line, NULL);
        quiet(s);
    }
    stage_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_its_answer),
        cmocka_unit_test(each_of_ipv6_gets_its_answer),
        cmocka_unit_test(the_answers_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
