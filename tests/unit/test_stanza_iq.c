// Payloads of answers to disco, version and last activity, and the iq around them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/wire/stanza_iq.h"
#include "core/wire/stanza_reader.h"

static struct buffer out;

static void expect(const char *want)
{
    buffer_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.p, want);
    buffer_reset(&out);
}

static void on_stanza(void *arg, const struct stanza *s)
{
    stanza_write_result(&out, s, *(const struct text *)arg);
}

static void writes_results(void **state)
{
    (void)state;
    static const char QUESTION[] =
        "<iq type='get' from='o&apos;x@a/&lt;' to='b'/><iq type='set' id='&amp;' from='a' to='b'/>";
    struct stanza_reader *r;
    const struct stanza_reader_limits limits = {.stanza_bytes = 1000, .stanza_depth = 32};
    struct text payload = {0};
    assert_int_equal(stanza_reader_create(&r, &limits, on_stanza, &payload), 0);
    assert_int_equal(stanza_reader_feed(r, QUESTION, sizeof QUESTION - 1), 0);
    expect(
        "<iq type='result' from='b' to='o&apos;x@a/&lt;'/>"
        "<iq type='result' from='b' to='a' id='&amp;'/>");
    payload = TEXT("<x xmlns='urn:x'/>");
    assert_int_equal(stanza_reader_feed(r, "<iq type='get' from='a' to='b' id='1'/>", 39), 0);
    expect("<iq type='result' from='b' to='a' id='1'><x xmlns='urn:x'/></iq>");
    stanza_reader_destroy(r);
}

static void writes_what_somebody_is(void **state)
{
    (void)state;
    const struct stanza_identity named = {TEXT("a&"), TEXT("b'"), TEXT("<c"), {0}};
    const struct stanza_identity nameless = {TEXT("client"), TEXT("phone"), {0}, {0}};
    stanza_iq_info_begin(&out, (struct text){0}, &named);
    stanza_iq_feature(&out, TEXT("urn:x?a&b"));
    stanza_iq_feature(&out, TEXT("urn:y"));
    stanza_iq_info_end(&out);
    expect(
        "<query xmlns='http://jabber.org/protocol/disco#info'>"
        "<identity category='a&amp;' type='b&apos;' name='&lt;c'/>"
        "<feature var='urn:x?a&amp;b'/><feature var='urn:y'/></query>");
    stanza_iq_info_begin(&out, TEXT("a'#b"), &nameless);
    stanza_iq_info_end(&out);
    expect(
        "<query xmlns='http://jabber.org/protocol/disco#info' node='a&apos;#b'>"
        "<identity category='client' type='phone'/></query>");
    stanza_iq_no_items(&out);
    expect("<query xmlns='http://jabber.org/protocol/disco#items'/>");
}

// XEP-0092 §2, XEP-0012 §2.
static void writes_version_and_uptime(void **state)
{
    (void)state;
    stanza_iq_version(&out, TEXT("Exodus"), TEXT("0.7.0.4 <&>"));
    expect(
        "<query xmlns='jabber:iq:version'><name>Exodus</name>"
        "<version>0.7.0.4 &lt;&amp;&gt;</version></query>");
    stanza_iq_last(&out, 903);
    expect("<query xmlns='jabber:iq:last' seconds='903'/>");
    stanza_iq_last(&out, UINT64_MAX);
    expect("<query xmlns='jabber:iq:last' seconds='18446744073709551615'/>");
}

static void expect_version(const char *agent, const char *name, const char *version)
{
    char want[512];
    snprintf(want, sizeof want,
             "<query xmlns='jabber:iq:version'><name>%s</name><version>%s</version></query>", name,
             version);
    stanza_iq_version_of(&out, text_of(agent));
    expect(want);
}

static void finds_the_version_in_a_user_agent(void **state)
{
    (void)state;
    expect_version("Blink Pro 2.0.0 (MacOSX)", "Blink Pro", "2.0.0 (MacOSX)");
    expect_version("baresip/1.0.0 (x86_64)", "baresip", "1.0.0 (x86_64)");
    expect_version("Linphone Desktop/4.4 (3CX)", "Linphone Desktop", "4.4 (3CX)");
    expect_version("3CX Phone", "3CX Phone", "");
    expect_version("3CX 18", "3CX", "18");
    expect_version("a/b <c>", "a/b &lt;c&gt;", "");
    expect_version("ends with ", "ends with", "");
    expect_version("x", "x", "");
    expect_version(" 1", "1", "");
    expect_version("", "", "");
}

// XEP-0202 §3; the moment is that of its example.
static void writes_local_time(void **state)
{
    (void)state;
    stanza_iq_time(&out, -360, 1166551115000);
    expect("<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc></time>");
    stanza_iq_time(&out, 120, 0);
    expect("<time xmlns='urn:xmpp:time'><tzo>+02:00</tzo><utc>1970-01-01T00:00:00Z</utc></time>");
    stanza_iq_time(&out, 0, 0);
    expect("<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>1970-01-01T00:00:00Z</utc></time>");
    stanza_iq_time(&out, -1439, 0);
    expect("<time xmlns='urn:xmpp:time'><tzo>-23:59</tzo><utc>1970-01-01T00:00:00Z</utc></time>");
    stanza_iq_time(&out, 345, 0);
    expect("<time xmlns='urn:xmpp:time'><tzo>+05:45</tzo><utc>1970-01-01T00:00:00Z</utc></time>");
}

static void writes_cards(void **state)
{
    (void)state;
    stanza_iq_vcard(&out, TEXT("R & M"), TEXT("http://a.example/?b&c"),
                    TEXT("HTTPS://a.example/i"));
    expect(
        "<vCard xmlns='vcard-temp'><FN>R &amp; M</FN><N/><NICKNAME>R &amp; M</NICKNAME>"
        "<PHOTO><EXTVAL>HTTPS://a.example/i</EXTVAL></PHOTO>"
        "<URL>http://a.example/?b&amp;c</URL></vCard>");
    stanza_iq_vcard(&out, TEXT("R"), TEXT("javascript:alert(1)"), TEXT("file:///etc/passwd"));
    expect("<vCard xmlns='vcard-temp'><FN>R</FN><N/><NICKNAME>R</NICKNAME></vCard>");
    stanza_iq_vcard(&out, TEXT(""), TEXT("http://"), TEXT("https://a"));
    expect("<vCard xmlns='vcard-temp'><PHOTO><EXTVAL>https://a</EXTVAL></PHOTO></vCard>");
}

static int begin(void **state)
{
    (void)state;
    buffer_init(&out, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_results),
        cmocka_unit_test(writes_what_somebody_is),
        cmocka_unit_test(writes_version_and_uptime),
        cmocka_unit_test(finds_the_version_in_a_user_agent),
        cmocka_unit_test(writes_local_time),
        cmocka_unit_test(writes_cards),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
