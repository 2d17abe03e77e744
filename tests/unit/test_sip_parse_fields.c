// Reading SIP messages: what each field gives, and what each defect is answered with.
#include "tests/unit/sip_request.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, start, stop);
}
