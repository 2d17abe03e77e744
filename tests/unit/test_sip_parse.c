// Reading SIP messages: what each field gives, and what each defect is answered with.
#include "core/wire/sip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MESSAGE_MAX = 65536 };

static struct sip_parser *parser;
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

#define assert_field(field, expected) assert_text(#field, sip_text(m, m->field), expected)

static void assert_text(const char *name, struct text got, const char *expected)
{
    if (!text_eq(got, text_of(expected)))
        fail_msg("%s: \"%.*s\", not \"%s\"", name, TEXT_ARG(got), expected);
}

// A request whose fields can be exchanged one by one: NULL keeps the good one, "" leaves it out.
struct fields {
    const char *line, *via, *from, *to, *call_id, *cseq, *more, *body;
};

static const char *or_else(const char *field, const char *good)
{
    return field ? field : good;
}

static const char *request(struct fields f)
{
    static char text[1 << 17];
    snprintf(text, sizeof text, "%s\r\n%s%s%s%s%s%s\r\n%s",
             or_else(f.line, "SUBSCRIBE sip:juliet@example.com SIP/2.0"),
             or_else(f.via, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"),
             or_else(f.from, "From: <sip:romeo@example.net>;tag=ffd2\r\n"),
             or_else(f.to, "To: <sip:juliet@example.com>\r\n"),
             or_else(f.call_id, "Call-ID: j4s0h4vny@example.net\r\n"),
             or_else(f.cseq, "CSeq: 1 SUBSCRIBE\r\n"), or_else(f.more, ""), or_else(f.body, ""));
    return text;
}

static void expect_defect(struct fields f, unsigned status, const char *phrase)
{
    parse(request(f));
    if (m->defect != status || (status && strcmp(m->defect_phrase, phrase) != 0))
        fail_msg("%u %s, not %u %s", m->defect, m->defect ? m->defect_phrase : "", status, phrase);
}

static void expect_sound(struct fields f)
{
    expect_defect(f, 0, "");
}

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

// ---- Fields ------------------------------------------------------------------------------------

static void test_missing(void **state)
{
    (void)state;
    expect_defect((struct fields){.via = ""}, 400, "Missing Via");
    assert_false(m->answerable);
    expect_defect((struct fields){.from = ""}, 400, "Missing From");
    assert_true(m->answerable);
    expect_defect((struct fields){.to = ""}, 400, "Missing To");
    expect_defect((struct fields){.call_id = ""}, 400, "Missing Call-ID");
    expect_defect((struct fields){.cseq = ""}, 400, "Missing CSeq");
    expect_defect((struct fields){.call_id = "Call-ID:\r\n"}, 400, "Bad Call-ID");
    expect_defect((struct fields){.to = "To:  \r\n"}, 400, "Bad To");
}

static void test_twice(void **state)
{
    static const struct {
        const char *more, *phrase;
    } rows[] = {
        {"f: <sip:x@y>;tag=2\r\n", "Multiple From"},
        {"t: <sip:x@y>\r\n", "Multiple To"},
        {"i: x\r\n", "Multiple Call-ID"},
        {"CSeq: 1 SUBSCRIBE\r\n", "Multiple CSeq"},
        {"Event: presence\r\no: presence\r\n", "Multiple Event"},
        {"Expires: 1\r\nExpires: 1\r\n", "Multiple Expires"},
        {"Max-Forwards: 1\r\nMax-Forwards: 2\r\n", "Multiple Max-Forwards"},
        {"Content-Type: a/b\r\nc: a/b\r\n", "Multiple Content-Type"},
        {"l: 0\r\nContent-Length: 0\r\n", "Multiple Content-Length"},
        {"Subscription-State: active\r\nSubscription-State: active\r\n",
         "Multiple Subscription-State"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_defect((struct fields){.more = rows[i].more}, 400, rows[i].phrase);
    expect_sound((struct fields){.more = "Accept: a/b\r\nAccept: c/d\r\nContact: <sip:a>\r\n"
                                         "Contact: <sip:b>\r\nRequire: x\r\nRequire: y\r\n"});
    assert_field(contact, "sip:a");
    assert_field(require, "x, y");
    assert_false(m->accepts_pidf);
}

static void test_vias(void **state)
{
    static const char *const bad[] = {
        "Via: x\r\n",
        "Via: SIP/2.0/UDP\r\n",
        "Via: SIP/2.0/UDP ;branch=z9hG4bKa\r\n",
        "Via: HTTP/1.1/UDP h;branch=z9hG4bKa\r\n",
        "Via: SIP/2.0/UDP h:0;branch=z9hG4bKa\r\n",
        "Via: SIP/2.0/UDP h:99999;branch=z9hG4bKa\r\n",
        "Via: SIP/2.0/UDP h;branch=z9hG4bKa,\r\nVia: ,x\r\n",
        "Via: SIP/2.0/UDP h (comment)\r\n",
        "Via: SIP/2.0/UDP h;;,;,,\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_defect((struct fields){.via = bad[i]}, 400, "Bad Via");
    assert_true(m->answerable); // the last one says where it comes from
    expect_defect((struct fields){.via = "Via: SIP/2.0/UDP h;branch=z9hG4bK\r\n"}, 400,
                  "Bad Via Branch");
    expect_defect((struct fields){.via = "Via: SIP/2.0/UDP h;branch=\"a b\"\r\n"}, 400,
                  "Bad Via Branch");
    expect_sound(
        (struct fields){.via = "Via: SIP / 2.0 / UDP [2001:db8::9]:5061 ; branch = a\r\n"});
    assert_field(sent_by, "2001:db8::9");
    assert_int_equal(m->sent_by_port, 5061);
    assert_field(branch, "a");
    assert_false(m->rport);
    expect_sound((struct fields){.via = "Via: SIP/2.0/UDP h\r\n"}); // RFC 2543
    assert_int_equal(m->branch.n, 0);
}

static void test_parties(void **state)
{
    static const char *const bad[] = {
        "To: \"a <sip:x@y>\r\n",
        "To: <sip:x@y\r\n",
        "To: < sip:x@y >\r\n",
        "To: a, b <sip:x@y>\r\n",
        "To: <sip:x@y>, <sip:z@w>\r\n",
        "To: sip:x@y?h=v\r\n",
        "To: <sip:x@y>;tag=\r\n",
        "To: <sip:x@y>;tag\r\n",
        "To: <sip:x@y>;tag=\"a\"\r\n",
        "To: <sip:>\r\n",
        "To: nonsense\r\n",
        "To: <sip:x@y>garbage\r\n",
        "To: <sip:x@y>;tag=a b\r\n",
        "To: <>\r\n",
        "To: <sip:x@y>;a (comment)\r\n",
        "To: <sip:x@y> (comment)\r\n",
        "To: <sip:x@y>;tag=\xff\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_defect((struct fields){.to = bad[i]}, 400, "Bad To");
    expect_sound(
        (struct fields){.to = "To: \"<sip:a@b>;tag=x, \\\"\" <sip:x@y>;p=\"tag=z\";tag=1\r\n"});
    assert_field(to_uri, "sip:x@y");
    assert_field(to_tag, "1");
    expect_sound((struct fields){.to = "To: sip:x@y;tag=1\r\n"});
    assert_field(to_uri, "sip:x@y");
    assert_field(to_tag, "1");
    expect_sound((struct fields){.to = "To: <sip:%41%2f@y>\r\n"}); // in its own spelling
    assert_field(to_uri, "sip:%41%2f@y");
    expect_sound((struct fields){.to = "To: <isbn:2983792873>\r\n"});
}

// A quoted NUL is legal (RFC 4475 §3.1.1.2); one in a tag is not.
static void test_nul_bytes(void **state)
{
    static const char quoted[] =
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n"
        "From: \"x\\\0y\" <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\n"
        "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    static const char tagged[] =
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n"
        "From: <sip:x@y>;tag=1\0002\r\nTo: <sip:a@b>\r\n"
        "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    (void)state;
    assert_int_equal(parse_bytes(quoted, sizeof quoted - 1), 0);
    assert_int_equal(m->defect, 0);
    assert_field(from_tag, "1");
    assert_int_equal(parse_bytes(tagged, sizeof tagged - 1), 0);
    assert_string_equal(m->defect_phrase, "Bad From");
}

static void test_cseq(void **state)
{
    static const char *const bad[] = {
        "CSeq: SUBSCRIBE\r\n",
        "CSeq: 1\r\n",
        "CSeq: -1 SUBSCRIBE\r\n",
        "CSeq: 1SUBSCRIBE\r\n",
        "CSeq: 1 SUB SCRIBE\r\n",
        "CSeq: 4294967296 SUBSCRIBE\r\n",
        "CSeq: 36893488147419103232 SUBSCRIBE\r\n",
        "CSeq: 1 SUBSCRIBE, 2 SUBSCRIBE\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_defect((struct fields){.cseq = bad[i]}, 400, "Bad CSeq");
    expect_defect((struct fields){.cseq = "CSeq: 1 NOTIFY\r\n"}, 400, "CSeq Method Mismatch");
    expect_defect((struct fields){.cseq = "CSeq: 1 subscribe\r\n"}, 400, "CSeq Method Mismatch");
    expect_defect((struct fields){.line = "NEWMETHOD sip:a@b SIP/2.0"}, 501, "Not Implemented");
    expect_sound((struct fields){.cseq = "CSeq: 4294967295\t SUBSCRIBE\r\n"});
    assert_int_equal(m->cseq, UINT32_MAX);
    expect_sound(
        (struct fields){.line = "NEWMETHOD sip:a@b SIP/2.0", .cseq = "CSeq: 1 NEWMETHOD\r\n"});
    assert_int_equal(m->method, SIP_OTHER);
    assert_field(method_name, "NEWMETHOD");
}

static void test_call_id(void **state)
{
    (void)state;
    expect_defect((struct fields){.call_id = "Call-ID: a b\r\n"}, 400, "Bad Call-ID");
    expect_defect((struct fields){.call_id = "Call-ID: \xc3\xbc\r\n"}, 400, "Bad Call-ID");
    expect_sound((struct fields){.call_id = "Call-ID: word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\n"});
    assert_field(call_id, "word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
}

static void test_contact(void **state)
{
    (void)state;
    expect_defect((struct fields){.more = "Contact: <sip:a@b\r\n"}, 400, "Bad Contact");
    expect_defect((struct fields){.more = "Contact: sip:a@b?Route=x\r\n"}, 400, "Bad Contact");
    expect_defect((struct fields){.more = "Contact: <sip:a b@c>\r\n"}, 400, "Bad Contact");
    expect_sound((struct fields){.more = "Contact: *\r\n"});
    assert_int_equal(m->contact.n, 0);
    expect_sound((struct fields){.more = "Contact: \"a, b\" <sip:a@b;x,y>;q=1, <sip:c@d>\r\n"});
    assert_field(contact, "sip:a@b;x,y");
    expect_sound((struct fields){.more = "Contact: <sip:a@b;t=1?Route=%3Csip:x%3E>\r\n"});
    assert_field(contact, "sip:a@b;t=1"); // RFC 3261 §19.1.1
    expect_sound((struct fields){.more = "Contact: <sips:a@b>\r\n"});
    assert_field(contact, "sips:a@b");
    expect_sound((struct fields){.more = "Contact: <http://b/>\r\n"}); // no target (§8.1.1.8)
    assert_int_equal(m->contact.n, 0);
    expect_sound((struct fields){.more = "Contact: <tel:+1-201-555-0123>\r\n"});
    assert_int_equal(m->contact.n, 0);
}

static void test_record_route(void **state)
{
    static char many[1024];
    (void)state;
    expect_defect((struct fields){.more = "Record-Route: <sip:a>, nonsense\r\n"}, 400,
                  "Bad Record-Route");
    for (int n = SIP_ROUTES_MAX; n <= SIP_ROUTES_MAX + 1; n++) {
        char *to = stpcpy(many, "Record-Route: <sip:p;lr>");
        for (int i = 1; i < n; i++)
            to = stpcpy(to, ",<sip:p;lr>");
        stpcpy(to, "\r\n");
        parse(request((struct fields){.more = many}));
        assert_int_equal(m->n_routes, SIP_ROUTES_MAX);
        assert_int_equal(m->defect, n > SIP_ROUTES_MAX ? 400 : 0);
    }
}

static void test_event(void **state)
{
    (void)state;
    expect_sound((struct fields){0});
    assert_int_equal(m->event, SIP_EVENT_NONE);
    expect_sound((struct fields){.more = "Event: Presence\r\n"}); // RFC 6665 §8.2.1
    assert_int_equal(m->event, SIP_EVENT_UNKNOWN);
    expect_sound((struct fields){.more = "Event: presence.winfo\r\n"});
    assert_int_equal(m->event, SIP_EVENT_WINFO);
    assert_field(event_name, "presence.winfo");
    expect_sound((struct fields){.more = "Event: presence.winfo.winfo\r\n"});
    assert_int_equal(m->event, SIP_EVENT_UNKNOWN);
    expect_sound((struct fields){.more = "Event: presence ; foo=bar ; ID = 7 \r\n"});
    assert_int_equal(m->event, SIP_EVENT_PRESENCE);
    assert_field(event_id, "7");
    expect_defect((struct fields){.more = "Event: \r\n"}, 400, "Bad Event");
    expect_defect((struct fields){.more = "Event: presence, dialog\r\n"}, 400, "Bad Event");
    expect_defect((struct fields){.more = "Event: presence dialog\r\n"}, 400, "Bad Event");
    expect_defect((struct fields){.more = "Event: presence;id=\"a b\"\r\n"}, 400, "Bad Event");
}

static void test_subscription_state(void **state)
{
    static const struct {
        const char *value;
        enum sip_substate substate;
        enum sip_reason reason;
        uint32_t expires, retry_after;
    } rows[] = {
        {"active;expires=60", SUBSTATE_ACTIVE, REASON_NONE, 60, SIP_ABSENT},
        {"Pending", SUBSTATE_PENDING, REASON_NONE, SIP_ABSENT, SIP_ABSENT},
        {"terminated;reason=deactivated", SUBSTATE_TERMINATED, REASON_DEACTIVATED, SIP_ABSENT,
         SIP_ABSENT},
        {"terminated;reason=probation;retry-after=9", SUBSTATE_TERMINATED, REASON_PROBATION,
         SIP_ABSENT, 9},
        {"terminated ; REASON=Rejected", SUBSTATE_TERMINATED, REASON_REJECTED, SIP_ABSENT,
         SIP_ABSENT},
        {"terminated;reason=timeout", SUBSTATE_TERMINATED, REASON_TIMEOUT, SIP_ABSENT, SIP_ABSENT},
        {"terminated;reason=giveup", SUBSTATE_TERMINATED, REASON_GIVEUP, SIP_ABSENT, SIP_ABSENT},
        {"terminated;reason=noresource", SUBSTATE_TERMINATED, REASON_NORESOURCE, SIP_ABSENT,
         SIP_ABSENT},
        {"terminated;reason=invariant", SUBSTATE_TERMINATED, REASON_INVARIANT, SIP_ABSENT,
         SIP_ABSENT},
        {"terminated;reason=boredom", SUBSTATE_TERMINATED, REASON_NONE, SIP_ABSENT, SIP_ABSENT},
        {"waiting;expires=x", SUBSTATE_NONE, REASON_NONE, SIP_ABSENT, SIP_ABSENT},
        {"active;expires=99999999999", SUBSTATE_ACTIVE, REASON_NONE, SIP_ABSENT - 1, SIP_ABSENT},
    };
    char line[128];
    (void)state;
    // A parameter that nobody knows is more than plain, and changes nothing else.
    static const char *const behind[] = {"", ";x", ";x=\"y\""};
    for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
        snprintf(line, sizeof line, "Subscription-State: %s%s\r\n", rows[i / 3].value,
                 behind[i % 3]);
        expect_sound((struct fields){.more = line});
        if (m->substate != rows[i / 3].substate || m->reason != rows[i / 3].reason ||
            m->substate_expires != rows[i / 3].expires ||
            m->substate_retry_after != rows[i / 3].retry_after)
            fail_msg("%s", line);
    }
    expect_defect((struct fields){.more = "Subscription-State: ;x\r\n"}, 400,
                  "Bad Subscription-State");
    expect_defect((struct fields){.more = "Subscription-State: active pending\r\n"}, 400,
                  "Bad Subscription-State");
}

static void test_accept(void **state)
{
    static const struct {
        const char *more;
        bool pidf, winfo;
    } rows[] = {
        {"", true, true}, // RFC 3856 §6.4, RFC 3857 §4.5
        {"Accept: application/pidf+xml\r\n", true, false},
        {"Accept: Application/PIDF+XML ; q=0.5\r\n", true, false},
        {"Accept: application/*\r\n", true, true},
        {"Accept: text/plain, */*;q=0.1\r\n", true, true},
        {"Accept: text/plain\r\nAccept: application/pidf+xml\r\n", true, false},
        {"Accept: application/WatcherInfo+xml;q=1\r\n", false, true},
        {"Accept: application/pidf+xml, application/watcherinfo+xml\r\n", true, true},
        {"Accept: text/plain;x=\",application/pidf+xml\"\r\n", false, false},
        {"Accept: application/xpidf+xml\r\n", false, false},
        {"Accept:\r\n", false, false}, // RFC 3261 §20.1: an empty one accepts nothing
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_sound((struct fields){.more = rows[i].more});
        if (m->accepts_pidf != rows[i].pidf || m->accepts_winfo != rows[i].winfo)
            fail_msg("%s", rows[i].more);
    }
}

// RFC 6446 §9.2; what is no rate is as if it were not there (RFC 3261 §7.3.1).
static void test_rates(void **state)
{
    static const struct {
        const char *event;
        uint32_t least, most;
    } rows[] = {
        {"presence", SIP_ABSENT, SIP_ABSENT},
        {"presence;max-rate=0.05", 20000, SIP_ABSENT},
        {"presence;id=7 ; Min-Rate = 0.1;MAX-RATE=2", 500, 10000},
        {"presence;max-rate=0;min-rate=100", SIP_ABSENT, SIP_ABSENT},
        {"presence;max-rate;min-rate=\"1\"", SIP_ABSENT, SIP_ABSENT},
        {"presence;adaptive-min-rate=1", SIP_ABSENT, SIP_ABSENT},
    };
    char more[128];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(more, sizeof more, "Event: %s\r\n", rows[i].event);
        expect_sound((struct fields){.more = more});
        if (m->least_interval_ms != rows[i].least || m->most_interval_ms != rows[i].most)
            fail_msg("%s: %u, %u", rows[i].event, m->least_interval_ms, m->most_interval_ms);
    }
    // §9.3: also in the answer to a NOTIFY.
    parse(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:c@d>;tag=2\r\nCall-ID: c\r\nCSeq: 3 NOTIFY\r\n"
        "Event: presence;max-rate=1\r\n\r\n");
    assert_int_equal(m->least_interval_ms, 1000);
}

static void test_numbers(void **state)
{
    (void)state;
    expect_sound((struct fields){.more = "Expires: 4294967294\r\nMax-Forwards: 0068\r\n"});
    assert_int_equal(m->expires, 4294967294u);
    assert_int_equal(m->max_forwards, 68);
    expect_sound((struct fields){.more = "Expires: 4294967295\r\nMax-Forwards: 256\r\n"});
    assert_int_equal(m->expires, 4294967294u);
    assert_int_equal(m->max_forwards, SIP_ABSENT);
    expect_sound((struct fields){.more = "Expires: 10000000000000000000000000000\r\n"
                                         "Max-Forwards: 255\r\n"});
    assert_int_equal(m->expires, 4294967294u);
    assert_int_equal(m->max_forwards, 255);
    expect_sound((struct fields){.more = "Expires: Thu, 01 Dec 1994 16:00:00 GMT\r\n"
                                         "Max-Forwards: -1\r\nRetry-After: soon\r\n"});
    assert_int_equal(m->expires, SIP_ABSENT);
    assert_int_equal(m->max_forwards, SIP_ABSENT);
    assert_int_equal(m->retry_after, SIP_ABSENT);
    expect_sound((struct fields){.more = "Expires: 0\r\n"});
    assert_int_equal(m->expires, 0);
}

static void test_body(void **state)
{
    (void)state;
    expect_sound((struct fields){.more = "Content-Type: text/plain\r\n", .body = "0123456789"});
    assert_field(body, "0123456789"); // RFC 3261 §18.3: a datagram ends it
    assert_int_equal(m->content, SIP_CONTENT_OTHER);
    expect_sound((struct fields){.more = "Content-Length: 4\r\n", .body = "0123456789"});
    assert_field(body, "0123");
    expect_sound(
        (struct fields){.more = "Content-Length: 0\r\nContent-Type: a/b\r\n", .body = "0"});
    assert_int_equal(m->content, SIP_CONTENT_NONE);
    expect_defect((struct fields){.more = "Content-Length: 11\r\n", .body = "0123456789"}, 400,
                  "Content-Length Beyond Message");
    static const char *const bad[] = {"-1",  "five", "1 2", "", "99999999999999999999",
                                      "0x1", "1,1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[64];
        snprintf(line, sizeof line, "Content-Length: %s\r\n", bad[i]);
        expect_defect((struct fields){.more = line, .body = "01"}, 400, "Bad Content-Length");
    }
    expect_sound((struct fields){.more = "Content-Type: ;;\r\n", .body = "x"});
    assert_int_equal(m->content, SIP_CONTENT_OTHER);
    expect_sound((struct fields){.more = "Content-Language: en us\r\n"});
    assert_int_equal(m->content_language.n, 0);
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

// ---- Limits ------------------------------------------------------------------------------------

static void test_many_lines(void **state)
{
    static char many[SIP_LINES_MAX * 8];
    (void)state;
    for (int n = SIP_LINES_MAX; n <= SIP_LINES_MAX + 1; n++) {
        char *to = many;
        for (int i = 5; i < n; i++) // besides the five of each request
            to = stpcpy(to, "m:*\r\n");
        expect_defect((struct fields){.more = many}, n > SIP_LINES_MAX ? 400 : 0,
                      "Too Many Header Fields");
    }
}

static void test_many_vias(void **state)
{
    static char many[SIP_VIAS_MAX * 32];
    (void)state;
    for (int n = SIP_VIAS_MAX; n <= SIP_VIAS_MAX + 1; n++) {
        char *to = many;
        for (int i = 0; i < n; i++)
            to = stpcpy(to, i % 2 ? ", SIP/2.0/UDP h" : "\r\nVia: SIP/2.0/UDP h");
        stpcpy(to, "\r\n");
        expect_defect((struct fields){.via = many + 2}, n > SIP_VIAS_MAX ? 400 : 0,
                      "Too Many Via Values");
        assert_int_equal(m->n_vias, SIP_VIAS_MAX);
        assert_true(m->answerable);
    }
}

static void test_long_value(void **state)
{
    static char line[SIP_VALUE_MAX + 64];
    (void)state;
    for (int n = SIP_VALUE_MAX; n <= SIP_VALUE_MAX + 1; n++) {
        snprintf(line, sizeof line, "To: <sip:%0*d@y>;a;b;c\r\n", n - 14, 0);
        expect_defect((struct fields){.to = line}, n > SIP_VALUE_MAX ? 400 : 0, "Bad To");
    }
}

// Nor is a plain one any longer: what it says is kept, and has to fit where it is kept.
static void test_long_plain_value(void **state)
{
    static char line[SIP_VALUE_MAX + 64];
    (void)state;
    for (int n = SIP_VALUE_MAX; n <= SIP_VALUE_MAX + 1; n++) {
        unsigned status = n > SIP_VALUE_MAX ? 400 : 0;
        snprintf(line, sizeof line, "From: <sip:%0*d@y>;tag=1\r\n", n - 14, 0);
        expect_defect((struct fields){.from = line}, status, "Bad From");
        snprintf(line, sizeof line, "From: <sip:x@y;a=%0*d>;tag=1\r\n", n - 18, 0);
        expect_defect((struct fields){.from = line}, status, "Bad From");
        snprintf(line, sizeof line, "Contact: <sip:%0*d@y>\r\n", n - 8, 0);
        expect_defect((struct fields){.more = line}, status, "Bad Contact");
        snprintf(line, sizeof line, "Subscription-State: active;reason=%0*d\r\n", n - 14, 0);
        expect_defect((struct fields){.more = line}, status, "Bad Subscription-State");
        snprintf(line, sizeof line, "Via: SIP/2.0/UDP h;branch=%0*d\r\n", n - 21, 0);
        expect_defect((struct fields){.via = line}, status, "Bad Via");
    }
}

// More parameters than the parser's own memory holds.
static void test_many_parameters(void **state)
{
    static char line[SIP_VALUE_MAX];
    (void)state;
    char *to = stpcpy(line, "To: <sip:x@y>");
    for (int i = 0; i < SIP_VALUE_MAX / 2 - 32; i++)
        to = stpcpy(to, ";a");
    stpcpy(to, ";tag=1\r\n");
    expect_sound((struct fields){.to = line});
    assert_field(to_tag, "1");
}

static void test_too_large(void **state)
{
    static char text[MESSAGE_MAX + 2];
    (void)state;
    size_t n = (size_t)snprintf(text, sizeof text, "%s", request((struct fields){0}));
    memset(text + n, 'x', MESSAGE_MAX + 1 - n);
    assert_int_equal(parse_bytes(text, MESSAGE_MAX), 0);
    assert_int_equal(m->defect, 0);
    assert_int_equal(parse_bytes(text, MESSAGE_MAX + 1), 0);
    assert_int_equal(m->defect, 513);
    assert_true(m->answerable);
}

// Every length of a message: never a crash, and only the whole one is sound.
static void test_cut_short(void **state)
{
    (void)state;
    const char *text = request((struct fields){.more = "Event: presence\r\n"});
    size_t whole = strlen(text);
    for (size_t n = 0; n < whole; n++)
        if (parse_bytes(text, n) == 0)
            assert_int_equal(m->defect, 400);
    assert_int_equal(parse_bytes(text, whole), 0);
    assert_int_equal(m->defect, 0);
}

static int start(void **state)
{
    (void)state;
    return sip_parser_create(&parser, MESSAGE_MAX);
}

static int stop(void **state)
{
    (void)state;
    sip_parser_destroy(parser);
    return 0;
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
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_vias),
        cmocka_unit_test(test_parties),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_cseq),
        cmocka_unit_test(test_call_id),
        cmocka_unit_test(test_contact),
        cmocka_unit_test(test_record_route),
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_subscription_state),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_not_sip),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_many_vias),
        cmocka_unit_test(test_long_value),
        cmocka_unit_test(test_long_plain_value),
        cmocka_unit_test(test_many_parameters),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
