// A first look at a SIP message: what is recognized, what is not, and that the parser agrees.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/wire/sip_glance.h"

#define LINE    "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\n"
#define VIA     "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport\r\n"
#define FROM    "From: <sip:romeo@example.net>;tag=xfg9\r\n"
#define TO      "To: <sip:juliet@example.com>\r\n"
#define CALL_ID "Call-ID: 4wcm0n@example.net\r\n"
#define CSEQ    "CSeq: 17 SUBSCRIBE\r\n"
#define REST    "Max-Forwards: 70\r\nEvent: presence\r\nContact: <sip:romeo@192.0.2.1:5070>\r\n"
#define END     "Content-Length: 0\r\n\r\n"
#define EXAMPLE LINE VIA FROM TO CALL_ID CSEQ REST END

static struct sip_parser *parser;

static struct text copy; // exactly as long as the message, so that a sanitizer sees reads past it

static bool glance(struct sip_glance *g, const char *message)
{
    size_t n = strlen(message);
    free((char *)copy.p);
    copy = (struct text){malloc(n + !n), n};
    assert_non_null(copy.p);
    memcpy((char *)copy.p, message, n);
    return sip_glance(g, copy);
}

static void expect(struct text got, const char *wanted)
{
    if (!text_eq(got, text_of(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", TEXT_ARG(got), wanted);
}

static void a_new_subscribe_is_recognized(void **state)
{
    struct sip_glance g;
    (void)state;
    assert_true(glance(&g, EXAMPLE));
    expect(g.branch, "z9hG4bKa");
    expect(g.from_tag, "xfg9");
    expect(g.echo.via[0], "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport");
    expect(g.echo.sent_by, "192.0.2.1");
    expect(g.echo.from, "<sip:romeo@example.net>;tag=xfg9");
    expect(g.echo.to, "<sip:juliet@example.com>");
    expect(g.echo.call_id, "4wcm0n@example.net");
    expect(g.echo.cseq, "17 SUBSCRIBE");
    assert_int_equal(g.echo.n_vias, 1);
    assert_int_equal(g.echo.sent_by_port, 5070);
    assert_int_equal(g.cseq, 17);
    assert_true(g.echo.alone && g.echo.rport && !g.echo.tagged);
}

// The parser's word on the same bytes, as far as what is refused depends on it.
static void parser_agrees(const char *message)
{
    struct sip_glance g;
    const struct sip_message *m;
    assert_int_equal(sip_parse(parser, message, strlen(message), &m), 0);
    if (!glance(&g, message))
        fail_msg("not recognized: %s", message);
    assert_int_equal(m->defect, 0);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_int_equal(m->to_tag.n, 0);
    assert_true(text_eq(g.branch, sip_text(m, m->branch)));
    assert_true(text_eq(g.from_tag, sip_text(m, m->from_tag)));
    assert_true(text_eq(g.echo.sent_by, sip_text(m, m->sent_by)));
    assert_true(text_eq(g.echo.call_id, sip_text(m, m->call_id)));
    assert_int_equal(g.echo.sent_by_port, m->sent_by_port);
    assert_int_equal(g.cseq, m->cseq);
    assert_int_equal(g.echo.alone, m->n_vias == 1);
    assert_int_equal(g.echo.rport, m->rport);
}

static void what_peers_write_is_recognized(void **state)
{
    (void)state;
    parser_agrees(EXAMPLE);
    parser_agrees(LINE
                  "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nf: <sip:a@b.example>;tag=1\r\n"
                  "t: <sip:c@d.example>\r\ni: 1\r\n" CSEQ END);
    parser_agrees(
        "SUBSCRIBE sip:c@d.example SIP/2.0\nVIA:SIP/2.0/TCP h.example;branch=z9hG4bKa\n"
        "FROM:<sip:a@b.example>;tag=1\nTO:<sip:c@d.example>\nCALL-ID:1\n"
        "CSEQ:1  SUBSCRIBE\n\n");
    // A proxy between, which says what it has seen; names; parameters of From.
    parser_agrees(LINE
                  "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb.1;i=7\r\n"
                  "Via: SIP/2.0/UDP 10.0.0.1:5070;received=192.0.2.1;branch=z9hG4bKa;rport=6\r\n"
                  "From: \"Romeo, of <Verona>\" <sip:romeo@example.net;a=b?c=d>;x=y;tag=1\r\n"
                  "To: Juliet <sip:juliet@example.com>;x\r\n" CALL_ID CSEQ REST END);
    parser_agrees(LINE
                  "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb , SIP/2.0/UDP h;branch=z9hG4bKa"
                  "\r\nFrom: sip:romeo@example.net;tag=1\r\n" TO CALL_ID CSEQ REST END);
    // No tag, no branch: peers older than RFC 3261.
    parser_agrees(LINE
                  "Via: SIP/2.0/UDP 192.0.2.9\r\nFrom: <sip:a@b.example>\r\n" TO CALL_ID CSEQ END);
    // What a filter says is for the parser, later.
    parser_agrees(LINE VIA FROM TO CALL_ID CSEQ "Content-Length: 5\r\n\r\nhello");
}

static void nothing(const char *message)
{
    struct sip_glance g;
    if (glance(&g, message))
        fail_msg("recognized: %s", message);
}

static void the_rest_is_left_to_the_parser(void **state)
{
    (void)state;
    nothing("");
    nothing("\r\n\r\n");
    nothing("\r\n" EXAMPLE);
    nothing("SIP/2.0 200 OK\r\n" VIA FROM TO CALL_ID CSEQ END);
    nothing("NOTIFY sip:juliet@example.com SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ END);
    nothing("subscribe sip:juliet@example.com SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ END);
    nothing("SUBSCRIBE SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ END);
    nothing("SUBSCRIBE  SIP/2.0\r\n" VIA FROM TO CALL_ID CSEQ END);
    nothing("SUBSCRIBE sip:juliet@example.com SIP/3.0\r\n" VIA FROM TO CALL_ID CSEQ END);
    // Within a dialog.
    nothing(LINE VIA FROM "To: <sip:juliet@example.com>;tag=1\r\n" CALL_ID CSEQ END);
    nothing(LINE VIA FROM "To: <sip:juliet@example.com>;x=y;TAG=1\r\n" CALL_ID CSEQ END);
    // Something is missing, there twice, or cut off.
    nothing(LINE FROM TO CALL_ID CSEQ END);
    nothing(LINE VIA TO CALL_ID CSEQ END);
    nothing(LINE VIA FROM CALL_ID CSEQ END);
    nothing(LINE VIA FROM TO CSEQ END);
    nothing(LINE VIA FROM TO CALL_ID END);
    nothing(LINE VIA FROM FROM TO CALL_ID CSEQ END);
    nothing(LINE VIA FROM TO TO CALL_ID CSEQ END);
    nothing(LINE VIA FROM TO CALL_ID CALL_ID CSEQ END);
    nothing(LINE VIA FROM TO CALL_ID CSEQ CSEQ END);
    nothing(LINE VIA FROM TO CALL_ID CSEQ "Content-Length: 0\r\n");
    nothing(LINE VIA FROM TO CALL_ID "CSeq: 1 SUB");
    // What has another answer than that there is too much.
    nothing(LINE VIA FROM TO CALL_ID CSEQ "Max-Forwards: 0\r\n" END);
    nothing(LINE VIA FROM TO CALL_ID CSEQ "Require: eventlist\r\n" END);
    nothing(LINE VIA FROM TO CALL_ID "CSeq: 1 NOTIFY\r\n" END);
    nothing(LINE VIA FROM TO CALL_ID "CSeq: 4294967296 SUBSCRIBE\r\n" END);
    // Sound, but not plain: folded lines, comments, quoted parameters, two tags, IPv6.
    nothing(LINE "Via: SIP/2.0/UDP 192.0.2.1;\r\n branch=z9hG4bKa\r\n" FROM TO CALL_ID CSEQ END);
    nothing(LINE VIA "From: <sip:a@b.example>;tag=1\r\n\t;x=y\r\n" TO CALL_ID CSEQ END);
    nothing(LINE VIA "From: <sip:a@b.example>;x=\"y\";tag=1\r\n" TO CALL_ID CSEQ END);
    nothing(LINE VIA "From: <sip:a@b.example>;tag=1;tag=2\r\n" TO CALL_ID CSEQ END);
    nothing(LINE VIA "From: <sip:a@b.example>;tag=1 (c)\r\n" TO CALL_ID CSEQ END);
    nothing(LINE "Via: SIP/2.0/UDP [2001:db8::1];branch=z9hG4bKa\r\n" FROM TO CALL_ID CSEQ END);
    // Nothing that is echoed may end a line.
    nothing(LINE VIA FROM TO "Call-ID: a\rb\r\n" CSEQ END);
}

static void of_many_vias_none_is_recognized(void **state)
{
    char message[4096] = LINE;
    struct sip_glance g;
    (void)state;
    for (int i = 0; i < SIP_ECHO_VIAS_MAX; i++)
        strcat(message, VIA);
    size_t n = strlen(message);
    strcat(message, FROM TO CALL_ID CSEQ END);
    assert_true(glance(&g, message));
    assert_int_equal(g.echo.n_vias, SIP_ECHO_VIAS_MAX);
    strcpy(message + n, VIA FROM TO CALL_ID CSEQ END); // one too many
    nothing(message);
}

static void lines_have_a_limit(void **state)
{
    static char message[8 * SIP_LINES_MAX + 1024] = LINE VIA FROM TO CALL_ID CSEQ;
    struct sip_glance g;
    (void)state;
    for (int i = 5; i < SIP_LINES_MAX - 1; i++)
        strcat(message, "X: y\r\n");
    size_t n = strlen(message);
    strcpy(message + n, "\r\n");
    assert_true(glance(&g, message));
    strcpy(message + n, "X: y\r\nX: y\r\n\r\n");
    nothing(message);
}

// Cut anywhere it is nothing, and nothing behind it is read.
static void cut_anywhere_it_is_nothing(void **state)
{
    char message[] = EXAMPLE;
    (void)state;
    for (size_t n = sizeof message - 2; n > 0; n--) {
        message[n] = '\0';
        nothing(message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_subscribe_is_recognized),
        cmocka_unit_test(what_peers_write_is_recognized),
        cmocka_unit_test(the_rest_is_left_to_the_parser),
        cmocka_unit_test(of_many_vias_none_is_recognized),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(cut_anywhere_it_is_nothing),
    };
    if (sip_parser_create(&parser, 65536))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sip_parser_destroy(parser);
    free((char *)copy.p);
    return failed;
}
