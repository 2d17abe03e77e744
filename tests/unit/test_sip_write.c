// Writing SIP messages: responses with RFC 3581's Via, SUBSCRIBE and NOTIFY byte by byte.
#include "core/wire/sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct sip_parser *parser;
static struct buffer out;

static const struct sip_message *parse(const char *z)
{
    const struct sip_message *m;
    assert_int_equal(sip_parse(parser, z, strlen(z), &m), 0);
    return m;
}

static void assert_out(const char *expected)
{
    assert_false(out.failed);
    buffer_char(&out, '\0');
    assert_string_equal(out.p, expected);
}

// ---- Responses ---------------------------------------------------------------------------------

static const char *request_via(const char *via)
{
    static char text[4096];
    snprintf(text, sizeof text,
             "SUBSCRIBE sip:juliet@example.com SIP/2.0\r\n%sFrom: <sip:romeo@example.net>;tag=1\r\n"
             "To: <sip:juliet@example.com>\r\nCall-ID: c\r\nCSeq: 0007 SUBSCRIBE\r\n\r\n",
             via);
    return text;
}

// The Via of the answer to a request that came from 192.0.2.1:4711.
static void expect_via(const char *via, const char *answered)
{
    static char expected[4096];
    struct sip_seen seen = {TEXT("192.0.2.1"), 4711};
    buffer_reset(&out);
    sip_write_response(&out, parse(request_via(via)), &seen, 200, TEXT("OK"), TEXT("t"), TEXT(""));
    snprintf(expected, sizeof expected,
             "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: <sip:romeo@example.net>;tag=1\r\n"
             "To: <sip:juliet@example.com>;tag=t\r\nCall-ID: c\r\nCSeq: 0007 SUBSCRIBE\r\n"
             "Content-Length: 0\r\n\r\n",
             answered);
    assert_out(expected);
}

static void test_via(void **state)
{
    (void)state;
    // RFC 3261 §18.2.1: received only when the host differs.
    expect_via("Via: SIP/2.0/UDP 192.0.2.1:4711;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 192.0.2.1:4711;branch=z9hG4bKa");
    expect_via("Via: SIP/2.0/UDP 192.0.2.1:9;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 192.0.2.1:9;branch=z9hG4bKa");
    expect_via("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.1");
    expect_via("Via: SIP/2.0/UDP pc.example.net;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP pc.example.net;branch=z9hG4bKa;received=192.0.2.1");
    // RFC 3581 §4: rport is filled, and received is added whatever the host.
    expect_via("Via: SIP/2.0/UDP 192.0.2.1:4711;rport;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 192.0.2.1:4711;branch=z9hG4bKa;received=192.0.2.1;rport=4711");
    expect_via("v: SIP/2.0/UDP 10.0.0.1 ; RPORT ; branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 10.0.0.1 ; branch=z9hG4bKa;received=192.0.2.1;rport=4711");
}

// What the sender claims to be received or rport does not stand.
static void test_via_claims(void **state)
{
    (void)state;
    expect_via("Via: SIP/2.0/UDP 10.0.0.1;received=198.51.100.7;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.1");
    expect_via("Via: SIP/2.0/UDP 10.0.0.1;rport=1;Received=x;branch=z9hG4bKa;received=y\r\n",
               "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.1;rport=4711");
    expect_via("Via: SIP/2.0/UDP 192.0.2.1;received=198.51.100.7;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa");
    expect_via("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;x=\";received=y\"\r\n",
               "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;x=\";received=y\"");
}

// Only the top one is touched; order and number stay.
static void test_via_list(void **state)
{
    (void)state;
    expect_via(
        "Via: SIP/2.0/UDP 10.0.0.1;x=\"a,b\";branch=z9hG4bKa , SIP/2.0/TCP h;rport\r\n"
        "Via: SIP/2.0/TLS i;received=192.0.2.9\r\n",
        "SIP/2.0/UDP 10.0.0.1;x=\"a,b\";branch=z9hG4bKa;received=192.0.2.1 , "
        "SIP/2.0/TCP h;rport, SIP/2.0/TLS i;received=192.0.2.9");
    expect_via("Via: SIP/2.0/UDP 10.0.0.1\r\n ;branch=z9hG4bKa\r\n",
               "SIP/2.0/UDP 10.0.0.1   ;branch=z9hG4bKa;received=192.0.2.1");
}

static void test_via_ipv6(void **state)
{
    struct sip_seen seen = {TEXT("2001:db8::9"), 5060};
    (void)state;
    buffer_reset(&out);
    sip_write_response(
        &out, parse(request_via("Via: SIP/2.0/UDP [2001:DB8::9]:5060;branch=z9hG4bKa\r\n")), &seen,
        200, TEXT(""), TEXT("t"), TEXT(""));
    buffer_char(&out, '\0');
    assert_non_null(strstr(out.p, "\r\nVia: SIP/2.0/UDP [2001:DB8::9]:5060;branch=z9hG4bKa\r\n"));
    buffer_reset(&out);
    sip_write_response(&out,
                       parse(request_via("Via: SIP/2.0/UDP [2001:db8::8];branch=z9hG4bKa\r\n")),
                       &seen, 200, TEXT(""), TEXT("t"), TEXT(""));
    buffer_char(&out, '\0');
    assert_non_null(strstr(out.p, ";branch=z9hG4bKa;received=2001:db8::9\r\n"));
}

static void test_to_tag(void **state)
{
    static const char in_dialog[] =
        "NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
        "From: <sip:x@y>;tag=1\r\nTo: J <sip:a@b>;tag=own\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\n\r\n";
    struct sip_seen seen = {TEXT("192.0.2.1"), 5060};
    (void)state;
    buffer_reset(&out);
    sip_write_response(&out, parse(in_dialog), &seen, 489, TEXT(""), TEXT("t"),
                       TEXT("Allow-Events: presence\r\n"));
    assert_out(
        "SIP/2.0 489 Bad Event\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
        "From: <sip:x@y>;tag=1\r\nTo: J <sip:a@b>;tag=own\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\n"
        "Allow-Events: presence\r\nContent-Length: 0\r\n\r\n");
    buffer_reset(&out);
    sip_write_response(&out, parse(request_via("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n")),
                       &seen, 100, TEXT("Trying"), TEXT(""), TEXT(""));
    buffer_char(&out, '\0');
    assert_non_null(strstr(out.p, "\r\nTo: <sip:juliet@example.com>\r\n"));
}

// RFC 4475 §3.3.1: what was not there is left out.
static void test_defective(void **state)
{
    struct sip_seen seen = {TEXT("192.0.2.95"), 5060};
    (void)state;
    const struct sip_message *m = parse(
        "INVITE sip:a@b SIP/2.0\r\nCSeq: 193942 INVITE\r\n"
        "Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\r\n\r\n");
    assert_true(m->answerable);
    buffer_reset(&out);
    sip_write_response(&out, m, &seen, m->defect, text_of(m->defect_phrase), TEXT("t"), TEXT(""));
    assert_out(
        "SIP/2.0 400 Missing From\r\nVia: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\r\n"
        "CSeq: 193942 INVITE\r\nContent-Length: 0\r\n\r\n");
}

static void test_phrases(void **state)
{
    (void)state;
    assert_true(text_eq(sip_phrase(200), TEXT("OK")));
    assert_true(text_eq(sip_phrase(423), TEXT("Interval Too Brief")));
    assert_true(text_eq(sip_phrase(489), TEXT("Bad Event")));
    assert_true(text_eq(sip_phrase(481), TEXT("Call/Transaction Does Not Exist")));
    assert_true(text_eq(sip_phrase(299), TEXT("Unknown")));
}

static void test_names(void **state)
{
    (void)state;
    assert_true(text_eq(sip_method_text(SIP_SUBSCRIBE), TEXT("SUBSCRIBE")));
    assert_true(text_eq(sip_method_text(SIP_REGISTER), TEXT("REGISTER")));
    assert_int_equal(sip_method_text(SIP_OTHER).n, 0);
    assert_true(text_eq(sip_reason_text(REASON_NORESOURCE), TEXT("noresource")));
    assert_int_equal(sip_reason_text(REASON_NONE).n, 0);
}

// ---- Requests ----------------------------------------------------------------------------------

static struct sip_request subscribe(void)
{
    return (struct sip_request){
        .method = SIP_SUBSCRIBE,
        .ruri = TEXT("sip:romeo@example.net"),
        .via_host = TEXT("192.0.2.10"),
        .via_port = 5080,
        .branch = TEXT("z9hG4bK1"),
        .from_uri = TEXT("sip:juliet@example.com"),
        .from_tag = TEXT("ffd2"),
        .to_uri = TEXT("sip:romeo@example.net"),
        .call_id = TEXT("l3f7u"),
        .cseq = 263,
        .contact = TEXT("sip:juliet@192.0.2.10:5080"),
        .expires = 3600,
    };
}

static void test_subscribe(void **state)
{
    struct sip_request r = subscribe();
    (void)state;
    buffer_reset(&out);
    sip_write_request(&out, &r);
    assert_out(
        "SUBSCRIBE sip:romeo@example.net SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bK1;rport\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:juliet@example.com>;tag=ffd2\r\n"
        "To: <sip:romeo@example.net>\r\n"
        "Call-ID: l3f7u\r\n"
        "CSeq: 263 SUBSCRIBE\r\n"
        "Contact: <sip:juliet@192.0.2.10:5080>\r\n"
        "Event: presence\r\n"
        "Expires: 3600\r\n"
        "Accept: application/pidf+xml\r\n"
        "Allow-Events: presence\r\n"
        "Content-Length: 0\r\n\r\n");
}

static void test_subscribe_in_dialog(void **state)
{
    struct sip_request r = subscribe();
    (void)state;
    r.via_transport = TEXT("TCP");
    r.via_host = TEXT("2001:db8::1");
    r.via_port = 0;
    r.to_tag = TEXT("x9");
    r.routes = TEXT("<sip:p1.example.net;lr>, <sip:p2.example.net;lr>");
    r.event_id = TEXT("q1");
    r.expires = 0;
    buffer_reset(&out);
    sip_write_request(&out, &r);
    assert_out(
        "SUBSCRIBE sip:romeo@example.net SIP/2.0\r\n"
        "Via: SIP/2.0/TCP [2001:db8::1];branch=z9hG4bK1;rport\r\n"
        "Max-Forwards: 70\r\n"
        "Route: <sip:p1.example.net;lr>, <sip:p2.example.net;lr>\r\n"
        "From: <sip:juliet@example.com>;tag=ffd2\r\n"
        "To: <sip:romeo@example.net>;tag=x9\r\n"
        "Call-ID: l3f7u\r\n"
        "CSeq: 263 SUBSCRIBE\r\n"
        "Contact: <sip:juliet@192.0.2.10:5080>\r\n"
        "Event: presence;id=q1\r\n"
        "Expires: 0\r\n"
        "Accept: application/pidf+xml\r\n"
        "Allow-Events: presence\r\n"
        "Content-Length: 0\r\n\r\n");
}

static struct sip_request notify(void)
{
    struct sip_request r = subscribe();
    r.method = SIP_NOTIFY;
    r.to_tag = TEXT("x9");
    r.expires = SIP_ABSENT;
    r.substate = SUBSTATE_ACTIVE;
    r.substate_expires = 599;
    r.content_language = TEXT("en");
    r.pidf = TEXT("<presence/>");
    return r;
}

static void test_notify(void **state)
{
    struct sip_request r = notify();
    (void)state;
    buffer_reset(&out);
    sip_write_request(&out, &r);
    assert_out(
        "NOTIFY sip:romeo@example.net SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bK1;rport\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:juliet@example.com>;tag=ffd2\r\n"
        "To: <sip:romeo@example.net>;tag=x9\r\n"
        "Call-ID: l3f7u\r\n"
        "CSeq: 263 NOTIFY\r\n"
        "Contact: <sip:juliet@192.0.2.10:5080>\r\n"
        "Event: presence\r\n"
        "Subscription-State: active;expires=599\r\n"
        "Content-Type: application/pidf+xml\r\n"
        "Content-Language: en\r\n"
        "Content-Length: 11\r\n\r\n"
        "<presence/>");
}

static void expect_substate(enum sip_substate s, enum sip_reason reason, uint32_t expires,
                            const char *line)
{
    struct sip_request r = notify();
    r.substate = s;
    r.reason = reason;
    r.substate_expires = expires;
    r.pidf = TEXT("");
    buffer_reset(&out);
    sip_write_request(&out, &r);
    buffer_char(&out, '\0');
    assert_non_null(strstr(out.p, line));
    assert_null(strstr(out.p, "Content-Type"));
    assert_null(strstr(out.p, "Content-Language"));
    assert_non_null(strstr(out.p, "\r\nContent-Length: 0\r\n\r\n"));
}

static void test_substates(void **state)
{
    (void)state;
    expect_substate(SUBSTATE_PENDING, REASON_NONE, 60,
                    "\r\nSubscription-State: pending;expires=60\r\n");
    expect_substate(SUBSTATE_ACTIVE, REASON_NONE, SIP_ABSENT, "\r\nSubscription-State: active\r\n");
    expect_substate(SUBSTATE_TERMINATED, REASON_TIMEOUT, 0,
                    "\r\nSubscription-State: terminated;reason=timeout\r\n");
    expect_substate(SUBSTATE_TERMINATED, REASON_NONE, 5, "\r\nSubscription-State: terminated\r\n");
}

static const char *written(const struct sip_request *r)
{
    buffer_reset(&out);
    sip_write_request(&out, r);
    buffer_char(&out, '\0');
    assert_false(out.failed);
    return out.p;
}

static void test_retry_after(void **state)
{
    struct sip_request r = notify();
    (void)state;
    r.substate_retry_after = 30;
    assert_null(strstr(written(&r), "retry-after")); // of a terminated one only
    r.substate = SUBSTATE_TERMINATED;
    r.reason = REASON_PROBATION;
    assert_non_null(strstr(written(&r),
                           "\r\nSubscription-State: "
                           "terminated;reason=probation;retry-after=30\r\n"));
    r.substate_retry_after = SIP_ABSENT;
    assert_non_null(strstr(written(&r), "terminated;reason=probation\r\n"));
}

// RFC 6446 §5.2, §6.2: as obeyed, and in every NOTIFY.
static void test_rates(void **state)
{
    struct sip_request r = notify();
    (void)state;
    r.least_interval_ms = 20000;
    assert_non_null(
        strstr(written(&r), "\r\nSubscription-State: active;expires=599;max-rate=0.05\r\n"));
    r.most_interval_ms = 3600000;
    assert_non_null(strstr(written(&r), ";max-rate=0.05;min-rate=0.0002777777\r\n"));
    r.least_interval_ms = SIP_ABSENT;
    r.substate = SUBSTATE_TERMINATED;
    assert_non_null(strstr(written(&r), ": terminated;min-rate=0.0002777777\r\n"));
    assert_null(strstr(out.p, "max-rate"));
}

static void test_winfo(void **state)
{
    struct sip_request r = notify();
    (void)state;
    r.package = SIP_EVENT_WINFO;
    r.event_id = TEXT("w");
    assert_non_null(strstr(written(&r), "\r\nEvent: presence.winfo;id=w\r\n"));
    assert_non_null(strstr(out.p, "\r\nContent-Type: application/watcherinfo+xml\r\n"));
    assert_null(strstr(out.p, "pidf"));
    r = subscribe();
    r.package = SIP_EVENT_WINFO;
    assert_non_null(strstr(written(&r), "\r\nAccept: application/watcherinfo+xml\r\n"));
    r.package = SIP_EVENT_PRESENCE;
    assert_non_null(strstr(written(&r), "\r\nEvent: presence\r\n"));
    assert_non_null(strstr(out.p, "\r\nAccept: application/pidf+xml\r\n"));
}

static void test_conditions(void **state)
{
    struct sip_request r = notify();
    (void)state;
    r.etag = TEXT("ffee2");
    assert_non_null(strstr(written(&r), "\r\nSIP-ETag: ffee2\r\n"));
    r = subscribe();
    r.suppress_if_match = TEXT("ffee2");
    r.authorization = TEXT("Authorization: x\r\nProxy-Authorization: y\r\n");
    assert_non_null(strstr(written(&r), "\r\nSuppress-If-Match: ffee2\r\n"));
    assert_non_null(strstr(
        out.p, "\r\nAuthorization: x\r\nProxy-Authorization: y\r\nContent-Length: 0\r\n\r\n"));
}

// ---- The same for another place ----------------------------------------------------------------

static void assert_place(const char *request, struct span at, const char *wanted)
{
    assert_true(text_eq((struct text){request + at.off, at.n}, text_of(wanted)));
}

// What is rewritten is what would have been written for there in the first place.
static void test_rewrite(void **state)
{
    static const struct {
        const char *transport, *host;
        uint16_t port;
        const char *branch, *contact, *via;
    } to[] = {
        {"TLS", "2001:db8::1", 5061, "z9hG4bK22", "sip:j@[2001:db8::1]:5061;transport=tls",
         "Via: SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bK22;rport\r\n"},
        {"", "h", 0, "z9hG4bK3", "sip:h", "Via: SIP/2.0/UDP h;branch=z9hG4bK3;rport\r\n"},
        {"TCP", "gateway.example.net", 5060, "z9hG4bK4", "",
         "Via: SIP/2.0/TCP gateway.example.net:5060;branch=z9hG4bK4;rport\r\n"},
        {"UDP", "192.0.2.10", 5080, "z9hG4bK1", "sip:juliet@192.0.2.10:5080",
         "Via: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bK1;rport\r\n"},
    };
    struct sip_request r = notify();
    struct sip_places places;
    struct buffer from;
    (void)state;
    buffer_init(&from, 0);
    sip_write_request_places(&from, &r, &places);
    assert_place(from.p, places.via, "Via: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bK1;rport\r\n");
    assert_place(from.p, places.contact, "sip:juliet@192.0.2.10:5080");
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        r.via_transport = text_of(to[i].transport);
        r.via_host = text_of(to[i].host);
        r.via_port = to[i].port;
        r.branch = text_of(to[i].branch);
        r.contact = text_of(to[i].contact);
        buffer_reset(&out);
        buffer_lit(&out, "before "); // places are offsets within the request, not the buffer
        sip_rewrite_request(&out, (struct text){from.p, from.n}, &places, &r);
        buffer_reset(&from);
        sip_write_request(&from, &r);
        assert_true(text_eq((struct text){out.p + 7, out.n - 7}, (struct text){from.p, from.n}));
        assert_place(from.p, places.via, to[i].via);
        assert_place(from.p, places.contact, to[i].contact);
    }
    buffer_free(&from);
}

// What is written is read back as it was meant.
static void test_read_back(void **state)
{
    struct sip_request r = notify();
    (void)state;
    r.event_id = TEXT("q1");
    r.etag = TEXT("e1");
    buffer_reset(&out);
    sip_write_request(&out, &r);
    const struct sip_message *m;
    assert_int_equal(sip_parse(parser, out.p, out.n, &m), 0);
    assert_int_equal(m->defect, 0);
    assert_int_equal(m->method, SIP_NOTIFY);
    assert_int_equal(m->cseq, 263);
    assert_int_equal(m->substate, SUBSTATE_ACTIVE);
    assert_int_equal(m->substate_expires, 599);
    assert_int_equal(m->max_forwards, 70);
    assert_int_equal(m->content, SIP_CONTENT_PIDF);
    assert_true(m->rport);
    assert_true(text_eq(sip_text(m, m->event_id), TEXT("q1")));
    assert_true(text_eq(sip_text(m, m->etag), TEXT("e1")));
    assert_true(text_eq(sip_text(m, m->contact), r.contact));
    assert_true(text_eq(sip_text(m, m->from_uri), r.from_uri));
    assert_true(text_eq(sip_text(m, m->to_tag), r.to_tag));
    assert_true(text_eq(sip_text(m, m->body), r.pidf));
}

// Out of room is said once, and nothing breaks.
static void test_no_room(void **state)
{
    struct sip_request r = notify();
    struct buffer small;
    (void)state;
    buffer_reset(&out);
    sip_write_request(&out, &r);
    for (size_t limit = 1; limit < out.n; limit++) {
        buffer_init(&small, limit);
        sip_write_request(&small, &r);
        assert_true(small.failed);
        assert_true(small.n <= limit);
        buffer_free(&small);
    }
}

static int start(void **state)
{
    (void)state;
    buffer_init(&out, 0);
    return sip_parser_create(&parser, 65536);
}

static int stop(void **state)
{
    (void)state;
    buffer_free(&out);
    sip_parser_destroy(parser);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_via),         cmocka_unit_test(test_via_claims),
        cmocka_unit_test(test_via_list),    cmocka_unit_test(test_via_ipv6),
        cmocka_unit_test(test_to_tag),      cmocka_unit_test(test_defective),
        cmocka_unit_test(test_phrases),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_subscribe),   cmocka_unit_test(test_subscribe_in_dialog),
        cmocka_unit_test(test_notify),      cmocka_unit_test(test_substates),
        cmocka_unit_test(test_read_back),   cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_retry_after), cmocka_unit_test(test_rates),
        cmocka_unit_test(test_winfo),       cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_rewrite),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
