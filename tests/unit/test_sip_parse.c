// Reading SIP messages: whole ones, their lines, and what they begin with.
#include "tests/unit/sip_request.h"

// ---- Whole messages ----------------------------------------------------------------------------

static void test_notify(void **state)
{
    (void)state;
    parse(
        "NOTIFY sip:juliet@192.0.2.10:5080 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP simple.example.net:5062;branch=z9hG4bKna998sk;rport\r\n"
        "Via: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKb\r\n"
        "From: Romeo <sip:romeo@example.net;x=y>;tag=ffd2\r\n"
        "To: <sip:juliet@example.com>;tag=xfg9\r\n"
        "Call-ID: j4s0h4vny@example.com\r\n"
        "CSeq: 8775 NOTIFY\r\n"
        "Max-Forwards: 70\r\n"
        "Record-Route: <sip:p2.example.net;lr>, <sip:p1.example.net;lr>\r\n"
        "Contact: <sip:simple.example.net;transport=tcp>;expires=7\r\n"
        "Event: presence;id=q1\r\n"
        "Subscription-State: active;expires=3599\r\n"
        "Content-Language: de-CH, en\r\n"
        "Content-Type: application/pidf+xml;charset=UTF-8\r\n"
        "Content-Length: 11\r\n"
        "\r\n"
        "<presence/>");
    assert_int_equal(m->defect, 0);
    assert_int_equal(m->status, 0);
    assert_int_equal(m->method, SIP_NOTIFY);
    assert_true(m->answerable);
    assert_field(method_name, "NOTIFY");
    assert_field(ruri, "sip:juliet@192.0.2.10:5080");
    assert_field(from, "Romeo <sip:romeo@example.net;x=y>;tag=ffd2");
    assert_field(from_uri, "sip:romeo@example.net;x=y");
    assert_field(from_tag, "ffd2");
    assert_field(to_uri, "sip:juliet@example.com");
    assert_field(to_tag, "xfg9");
    assert_field(call_id, "j4s0h4vny@example.com");
    assert_field(cseq_value, "8775 NOTIFY");
    assert_int_equal(m->cseq, 8775);
    assert_field(contact, "sip:simple.example.net;transport=tcp");
    assert_field(branch, "z9hG4bKna998sk");
    assert_field(sent_by, "simple.example.net");
    assert_int_equal(m->sent_by_port, 5062);
    assert_true(m->rport);
    assert_int_equal(m->n_vias, 2);
    assert_field(vias,
                 "SIP/2.0/UDP simple.example.net:5062;branch=z9hG4bKna998sk;rport, "
                 "SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKb");
    assert_int_equal(m->n_routes, 2);
    assert_field(record_routes, "<sip:p2.example.net;lr>, <sip:p1.example.net;lr>");
    assert_field(route_uri[0], "sip:p2.example.net;lr");
    assert_field(route_uri[1], "sip:p1.example.net;lr");
    assert_int_equal(m->event, SIP_EVENT_PRESENCE);
    assert_field(event_name, "presence");
    assert_field(event_id, "q1");
    assert_int_equal(m->substate, SUBSTATE_ACTIVE);
    assert_int_equal(m->substate_expires, 3599);
    assert_int_equal(m->max_forwards, 70);
    assert_field(content_language, "de-CH");
    assert_int_equal(m->content, SIP_CONTENT_PIDF);
    assert_field(body, "<presence/>");
}

static void test_response(void **state)
{
    (void)state;
    parse(
        "SIP/2.0 423 Interval Too Brief\r\n"
        "Via: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bKx;received=192.0.2.9;rport=9\r\n"
        "From: <sip:juliet@example.com>;tag=a\r\n"
        "To: <sip:romeo@example.net>;tag=b\r\n"
        "Call-ID: c\r\n"
        "CSeq: 7 SUBSCRIBE\r\n"
        "Min-Expires: 120\r\n"
        "Retry-After: 18000;duration=3600 (in a meeting)\r\n"
        "Expires: 600\r\n"
        "Content-Length: 0\r\n\r\n");
    assert_int_equal(m->defect, 0);
    assert_int_equal(m->status, 423);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_int_equal(m->cseq, 7);
    assert_int_equal(m->min_expires, 120);
    assert_int_equal(m->retry_after, 18000);
    assert_int_equal(m->expires, 600);
    assert_int_equal(m->max_forwards, SIP_ABSENT);
    assert_field(branch, "z9hG4bKx");
    assert_false(m->answerable);
}

static void test_compact_forms(void **state)
{
    (void)state;
    parse(
        "SUBSCRIBE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKa\r\nf:sip:x@y;tag=1\r\n"
        "t:sip:a@b\r\ni:c\r\nCSEQ:1 SUBSCRIBE\r\nm:<sip:z@w>\r\no:presence\r\nc:application/"
        "pidf+xml\r\nl:1\r\n\r\nx");
    assert_int_equal(m->defect, 0);
    assert_field(contact, "sip:z@w");
    assert_field(from_uri, "sip:x@y");
    assert_field(from_tag, "1");
    assert_int_equal(m->event, SIP_EVENT_PRESENCE);
    assert_int_equal(m->content, SIP_CONTENT_PIDF);
}

// Copied elsewhere it still says the same, and the datagram itself leads its text.
static void test_block_moves(void **state)
{
    (void)state;
    const char *text = request((struct fields){.more = "Event: presence\r\n"});
    parse(text);
    struct sip_message *copy = malloc(m->size);
    memcpy(copy, m, m->size);
    assert_memory_equal(copy->text, text, strlen(text));
    parse("OPTIONS sip:other SIP/2.0\r\n\r\n");
    m = copy;
    assert_field(call_id, "j4s0h4vny@example.net");
    assert_field(event_name, "presence");
    free(copy);
}

// ---- Lines -------------------------------------------------------------------------------------

static void test_folding(void **state)
{
    (void)state;
    parse(request(
        (struct fields){.from = "From : \"a\r\n b\"\r\n\t<sip:romeo@example.net>\r\n  ;tag\r\n"
                                "  =\r\n ffd2\r\n"}));
    assert_int_equal(m->defect, 0);
    assert_field(from_tag, "ffd2");
    assert_field(from_uri, "sip:romeo@example.net");
    struct text from = sip_text(m, m->from);
    assert_null(memchr(from.p, '\r', from.n));
    assert_null(memchr(from.p, '\n', from.n));
}

// A bare CR ends no line, and does not get into what is echoed.
static void test_bare_cr(void **state)
{
    (void)state;
    parse(request(
        (struct fields){.call_id = "Call-ID: a\r\nSubject: x\rTo: <sip:evil@example.net>\r\n"}));
    assert_field(to_uri, "sip:juliet@example.com");
    parse(request((struct fields){.call_id = "Call-ID: a\rX-Evil: b\r\n"}));
    assert_int_equal(m->defect, 400);
    struct text id = sip_text(m, m->call_id);
    assert_null(memchr(id.p, '\r', id.n));
}

static void test_bare_lf(void **state)
{
    (void)state;
    parse(
        "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\nFrom: <sip:x@y>;tag=1\n"
        "To: <sip:a@b>\nCall-ID: c\nCSeq: 1 OPTIONS\n\nbody");
    assert_int_equal(m->defect, 0);
    assert_field(body, "body");
}

static void test_lines_without_sense(void **state)
{
    (void)state;
    expect_sound((struct fields){.more = "nonsense\r\n: empty\r\nX-\x01: y\r\nX:\r\nY\r\n"});
}

static void test_leading_line_ends(void **state) // RFC 3261 §7.5
{
    static char text[(1 << 17) + 4];
    (void)state;
    snprintf(text, sizeof text, "\r\n\r\n%s", request((struct fields){0}));
    parse(text);
    assert_int_equal(m->defect, 0);
    assert_field(ruri, "sip:juliet@example.com");
}

// Values of several lines, and several of one line, are one list in their order.
static void test_lists_join(void **state)
{
    (void)state;
    parse(request((struct fields){
        .via =
            "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nRecord-Route: <sip:r1;lr>\r\n"
            "v: SIP/2.0/UDP b;branch=\"x,y\", SIP/2.0/UDP c\r\nRecord-Route: <sip:r2?a=,>,<sip:r3>\r\n"
            "VIA:\r\nVIA: SIP/2.0/UDP d\r\n"}));
    assert_int_equal(m->defect, 0);
    assert_int_equal(m->n_vias, 4);
    assert_field(vias,
                 "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=\"x,y\", "
                 "SIP/2.0/UDP c, SIP/2.0/UDP d");
    assert_int_equal(m->n_routes, 3);
    assert_field(record_routes, "<sip:r1;lr>, <sip:r2?a=,>,<sip:r3>");
    assert_field(route_uri[1], "sip:r2?a=,");
    assert_field(branch, "z9hG4bK1");
}

// ---- Start lines -------------------------------------------------------------------------------

static void test_request_lines(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *phrase;
    } rows[] = {
        {"SUBSCRIBE sip:a@b SIP/2.0", 0, ""},
        {"SUBSCRIBE pres:a@b sip/2.0", 0, ""},
        {"SUBSCRIBE sips:a@b SIP/2.0", 0, ""},
        {"SUBSCRIBE sip:a@b SIP/7.0", 505, "Version Not Supported"},
        {"SUBSCRIBE sip:a@b SIP/2.1", 505, "Version Not Supported"},
        {"SUBSCRIBE  sip:a@b SIP/2.0", 400, "Bad Request Line"},
        {"SUBSCRIBE sip:a@b  SIP/2.0", 400, "Bad Request Line"},
        {"SUBSCRIBE sip:a@b SIP/2.0 ", 400, "Bad Request Line"},
        {" SUBSCRIBE sip:a@b SIP/2.0", 400, "Bad Request Line"},
        {"SUBSCRIBE sip:a@b; lr SIP/2.0", 400, "Bad Request-URI"},
        {"SUBSCRIBE <sip:a@b> SIP/2.0", 400, "Bad Request-URI"},
        {"SUBSCRIBE sip:a@b?Route=x SIP/2.0", 400, "Bad Request-URI"},
        {"SUBSCRIBE a@b SIP/2.0", 400, "Bad Request-URI"},
        {"SUBSCRIBE sip: SIP/2.0", 400, "Bad Request-URI"},
        {"SUBSCRIBE tel:+1303 SIP/2.0", 416, "Unsupported URI Scheme"},
        {"SUBSCRIBE http://a/b SIP/2.0", 416, "Unsupported URI Scheme"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_defect((struct fields){.line = rows[i].line}, rows[i].status, rows[i].phrase);
    expect_defect((struct fields){.line = "ACK sip:a b SIP/2.0"}, 400, "Bad Request-URI");
    assert_false(m->answerable); // RFC 3261 §17: never an answer to an ACK
}

static void test_not_sip(void **state)
{
    static const char *const rows[] = {
        "",
        "\r\n",
        "\r\n\r\n",
        "\0\0\0\0",
        "SUBSCRIBE",
        "SUBSCRIBE sip:a@b SIP/2.0",
        "GET / HTTP/1.1\r\n\r\n",
        "SUBSCRIBE sip:a@b\r\n\r\n",
        "SUBSCRIBE SIP/2.0\r\n\r\n",
        "SUB\"SCRIBE sip:a@b SIP/2.0\r\n\r\n",
        "SUBSCRIBE sip:a@b SIP/2\r\n\r\n",
        "SUBSCRIBE sip:a@b SIP/x.y\r\n\r\n",
        "SUBSCRIBE sip:a@b SIP/2.\r\n\r\n",
        "SIP/2.0 20 OK\r\n\r\n",
        "SIP/2.0 099 OK\r\n\r\n",
        "SIP/2.0 700 OK\r\n\r\n",
        "SIP/2.0 2000 OK\r\n\r\n",
        "SIP/2.0 4294967301 x\r\n\r\n",
        "SIP/3.0 200 OK\r\n\r\n",
        "SIP/2.0  200 OK\r\n\r\n",
        "SIP/2.0\r\n\r\n",
        "SIP/2.0 \r\n\r\n",
        " \r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (parse_bytes(rows[i], strlen(rows[i])) != EBADMSG)
            fail_msg("taken: %s", rows[i]);
    assert_int_equal(parse_bytes("\0\0\0\0", 4), EBADMSG);
    parse("SIP/2.0 200\r\n\r\n"); // liberal: without a blank and phrase
    assert_int_equal(m->status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_compact_forms),
        cmocka_unit_test(test_block_moves),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_bare_cr),
        cmocka_unit_test(test_bare_lf),
        cmocka_unit_test(test_lines_without_sense),
        cmocka_unit_test(test_leading_line_ends),
        cmocka_unit_test(test_lists_join),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_not_sip),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
