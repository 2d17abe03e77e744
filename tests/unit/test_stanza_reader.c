// The stream reader: what it keeps of a stanza, in pieces of every size, and what it refuses.
#include "tests/unit/stanza_seen.h"

// What a new reader says to `z`, fed whole.
static int verdict(const char *z)
{
    struct stanza_reader *r = reader();
    int error = feed(r, z);
    stanza_reader_destroy(r);
    return error;
}

#define RICH                                                                                       \
    "<presence from='romeo@example.net/orchard' to=\"juliet@example.com\" xml:lang='en' id='a>b'>" \
    "<show>dnd</show><status>Wooing Juliet &amp; &#x0159;\xc3\xad</status>\r\n"                    \
    "<status xml:lang='cs'>Dvo<![CDATA[<\xc5\x99>]]>\xc3\xadm se Julii</status>"                   \
    "<priority> -1 </priority><c xmlns='http://jabber.org/protocol/caps' node='x>y'/>"             \
    "<x xmlns='urn:example'><show xmlns='jabber:component:accept'>xa</show>t</x></presence>"
#define RICH_SEEN                                                                                  \
    "presence from=romeo@example.net/orchard to=juliet@example.com id=a>b lang=en show=4"          \
    " priority=-1 t=Wooing Juliet & \xc5\x99\xc3\xad l=cs t=Dvo<\xc5\x99>\xc3\xadm se Julii\n"

#define OTHERS                                                                                     \
    " \n<iq type='error' from='a' to='b' id='1'><query xmlns='urn:q'/><error type='cancel'>"       \
    "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:x</gone><item-not-found "              \
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\t"                                 \
    "<message type='chat'><body>hi</body><x xmlns='urn:x'/></message>"                             \
    "<presence type='unavailable' from='romeo@example.net'/>"                                      \
    "<iq type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
#define OTHERS_SEEN                                                                                \
    "iq error from=a to=b id=1 condition=5 child=query ns=urn:q\n"                                 \
    "message other child=body ns=jabber:component:accept\n"                                        \
    "presence unavailable from=romeo@example.net\n"                                                \
    "iq get child=query ns=http://jabber.org/protocol/disco#info\n"

#define IQ(inside) "<iq type='get'>" inside "</iq>"

static void tells_a_node_from_none(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    assert_int_equal(
        feed(r, IQ("<q xmlns='u' node='x'/>") IQ("<q xmlns='u' node=''/>")
                    IQ("<q xmlns='u' xmlns:p='v' p:node='x'/>") IQ("<q xmlns='u' id='node'/>")
                        IQ("<q xmlns='u'><r node='x'/></q>")
                            IQ("<q xmlns='u'/><r node='x'/>") "<message><q xmlns='u' node='x'/>"
                                                              "</message>" IQ(
                                                                  "<q node='x' xmlns='u'/><r/>")),
        0);
    expect(
        "iq get child=q ns=u node\niq get child=q ns=u\niq get child=q ns=u\n"
        "iq get child=q ns=u\niq get child=q ns=u\niq get child=q ns=u\n"
        "message child=q ns=u\niq get child=q ns=u node\n");
    stanza_reader_destroy(r);
}

static void reads_stanzas(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    assert_int_equal(feed(r, RICH), 0);
    expect(RICH_SEEN);
    assert_int_equal(feed(r, OTHERS), 0);
    expect(OTHERS_SEEN);
    assert_int_equal(stanza_reader_stream_error(r).n, 0);
    stanza_reader_destroy(r);
}

static void reads_byte_by_byte(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    static const char z[] = RICH OTHERS RICH;
    for (size_t i = 0; i < sizeof z - 1; i++)
        assert_int_equal(stanza_reader_feed(r, z + i, 1), 0);
    expect(RICH_SEEN OTHERS_SEEN RICH_SEEN);
    stanza_reader_destroy(r);
}

static void reads_in_any_two_pieces(void **state)
{
    (void)state;
    static const char z[] = RICH OTHERS;
    for (size_t cut = 1; cut < sizeof z - 1; cut++) {
        struct stanza_reader *r = reader();
        assert_int_equal(stanza_reader_feed(r, z, cut), 0);
        assert_int_equal(stanza_reader_feed(r, z + cut, sizeof z - 1 - cut), 0);
        expect(RICH_SEEN OTHERS_SEEN);
        stanza_reader_destroy(r);
    }
}

// A stanza is handed out with its last byte, not with the next stanza's first.
static void hands_out_at_once(void **state)
{
    (void)state;
    const char *const each[] = {RICH, "<presence/>", "<iq></iq >", "<message\n/>",
                                "<presence></presence>"};
    struct stanza_reader *r = reader();
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        assert_int_equal(stanza_reader_feed(r, each[i], strlen(each[i]) - 1), 0);
        assert_int_equal(n_seen, i);
        assert_int_equal(feed(r, ">"), 0);
        assert_int_equal(n_seen, i + 1);
    }
    stanza_reader_destroy(r);
}

static void reads_long_text_in_pieces(void **state)
{
    (void)state;
    struct buffer z, want;
    buffer_init(&z, 0);
    buffer_init(&want, 0);
    buffer_lit(&want, "presence t=");
    buffer_lit(&z, "<presence><status>");
    for (int i = 0; i < 5000; i++) {
        buffer_lit(&z, "\xf0\x9f\x98\x80\xc3\xbc&lt;");
        buffer_lit(&want, "\xf0\x9f\x98\x80\xc3\xbc<");
    }
    buffer_lit(&z, "</status></presence>");
    buffer_lit(&want, "\n\0");
    for (size_t step = 1; step < 30; step++) {
        struct stanza_reader *r = reader();
        for (size_t i = 0; i < z.n; i += step)
            assert_int_equal(stanza_reader_feed(r, z.p + i, z.n - i < step ? z.n - i : step), 0);
        expect(want.p);
        stanza_reader_destroy(r);
    }
    buffer_free(&z);
    buffer_free(&want);
}

static void keeps_what_has_a_meaning(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    assert_int_equal(feed(r, "<presence type='no-such'/><presence type='get'/><iq type='probe'/>"),
                     0);
    expect("presence other\npresence other\niq other\n");
    assert_int_equal(feed(r,
                          "<presence><show>Away</show><priority>128</priority></presence>"
                          "<presence><priority>-128</priority></presence>"
                          "<presence><priority>+7</priority></presence>"
                          "<presence><priority>-129</priority></presence>"
                          "<presence><priority>--1</priority></presence>"
                          "<presence><priority/><show/><status/></presence>"),
                     0);
    expect("presence\npresence priority=-128\npresence priority=7\npresence\npresence\npresence\n");
    assert_int_equal(feed(r,
                          "<presence><show>x<b>away</b>a</show><status>1<b>2</b>3</status>"
                          "<show> away </show></presence>"),
                     0);
    expect("presence show=2 t=13\n");
    assert_int_equal(feed(r,
                          "<presence xmlns='jabber:client'><show>xa</show></presence>"
                          "<presence xmlns='urn:other'><show>xa</show></presence>"
                          "<unknown><presence/></unknown>"
                          "<presence x:from='a' xmlns:x='urn:x' x:type='error'/>"),
                     0);
    expect("presence show=3\npresence\n");
    assert_int_equal(feed(r,
                          "<presence type='error'><error><x xmlns='urn:ietf:params:xml:ns:"
                          "xmpp-stanzas'/><forbidden/></error></presence>"),
                     0);
    expect("presence error\n");
    assert_int_equal(feed(r, "<presence><unbound:x/></presence>"), 0);
    expect("presence\n");
    assert_int_equal(feed(r, "<presence from='a@b/&amp;#38;&#38;&lt;'/>"), 0);
    expect("presence from=a@b/&#38;&<\n");
    stanza_reader_destroy(r);
}

static void keeps_so_many_statuses(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    assert_int_equal(feed(r, "<presence>"), 0);
    for (int i = 0; i < PRESENCE_STATUS_MAX + 1; i++)
        assert_int_equal(feed(r, "<status xml:lang='x'>s</status>"), 0);
    assert_int_equal(feed(r, "<show>away</show></presence>"), 0);
    expect("presence show=2 l=x t=s l=x t=s l=x t=s l=x t=s l=x t=s l=x t=s l=x t=s l=x t=s\n");
    stanza_reader_destroy(r);
}

static void take_presence(void *arg, const struct stanza *s)
{
    struct presence *p = arg;
    stanza_presence(s, TEXT("orchard"), 0, p);
    assert_true(text_eq(p->resource, TEXT("orchard")));
    assert_int_equal(p->show, SHOW_DND);
    assert_true(p->has_priority);
    assert_int_equal(p->priority, -1);
    assert_int_equal(p->n_status, 2);
    assert_true(text_eq(p->status[0].lang, TEXT("en"))); // the stanza's
    assert_true(text_eq(p->status[1].lang, TEXT("cs")));
}

static void gives_the_presence(void **state)
{
    (void)state;
    struct stanza_reader *r;
    struct presence p = {0};
    assert_int_equal(stanza_reader_create(&r, &LIMITS, take_presence, &p), 0);
    assert_int_equal(feed(r, RICH), 0);
    assert_true(p.available);
    stanza_reader_destroy(r);
}

// ── what is refused ──

static void refuses_restricted_xml(void **state)
{
    (void)state;
    assert_int_equal(verdict("<presence><!-- x --></presence>"), EPERM);
    assert_int_equal(verdict("<!-- x -->"), EPERM);
    assert_int_equal(verdict("<?x y?>"), EPERM);
    assert_int_equal(verdict("<presence><?x y?></presence>"), EPERM);
    assert_int_equal(verdict("<presence><status>&bomb;</status></presence>"), EPERM);
    assert_int_equal(verdict("<presence from='&bomb;'/>"), EPERM);
    assert_int_equal(n_seen, 0);
    assert_int_equal(
        verdict("<presence><status>&lt;&gt;&amp;&quot;&apos;&#65;</status></presence>"), 0);
    expect("presence t=<>&\"'A\n");
}

#define DOCTYPE_BOMB "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>"

static void refuses_entity_bombs(void **state)
{
    (void)state;
    assert_int_equal(verdict(DOCTYPE_BOMB "<presence><status>&b;</status></presence>"), EBADMSG);
    assert_int_equal(verdict("<presence>" DOCTYPE_BOMB "</presence>"), EBADMSG);
    assert_int_equal(verdict("<?xml version='1.0'?><presence/>"), EBADMSG);
    assert_int_equal(n_seen, 0);
}

static void refuses_what_is_not_xml(void **state)
{
    (void)state;
    const char *const bad[] = {
        "<presence></iq>",
        "<presence from=a/>",
        "<presence from='a' from='b'/>",
        "<presence from='<'/>",
        "</presence>",
        "hello",
        "&amp;",
        "<presence>\x01</presence>",
        "<presence>\xff</presence>",
        "< presence/>",
        "<presence>&#0;</presence>",
        "<presence><a b=c/></presence>",
        "<1/>",
        "<presence>]]></presence>",
        "<presence>\xed\xa0\x80</presence>",
        "<![CDATA[x]]>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct stanza_reader *r = reader();
        int error = feed(r, bad[i]);
        if (!error)
            error = feed(r, "<presence/>");
        if (error != EBADMSG)
            print_error("%s: %d\n", bad[i], error);
        assert_int_equal(error, EBADMSG);
        assert_int_equal(n_seen, 0);
        stanza_reader_destroy(r);
    }
}

static void the_peer_may_close(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    assert_int_equal(feed(r, "<presence/></stream:stream>"), ECONNRESET);
    assert_int_equal(n_seen, 1);
    assert_int_equal(stanza_reader_stream_error(r).n, 0);
    assert_int_equal(feed(r, "<presence/>"), ECONNRESET);
    stanza_reader_destroy(r);
}

static void the_peer_may_send_a_stream_error(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    assert_int_equal(feed(r,
                          "<stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x</text>"
                          "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><see-other-host "
                          "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x</see-other-host>"
                          "</stream:error></stream:stream>"),
                     ECONNRESET);
    assert_true(text_eq(stanza_reader_stream_error(r), TEXT("conflict")));
    stanza_reader_destroy(r);
    assert_int_equal(verdict("<stream:error/>"), ECONNRESET);
    r = reader();
    char name[201], z[400];
    memset(name, 'n', sizeof name);
    name[200] = '\0';
    snprintf(z, sizeof z,
             "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
             name);
    assert_int_equal(feed(r, z), ECONNRESET);
    assert_int_equal(stanza_reader_stream_error(r).n, 64);
    stanza_reader_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_stanzas),
        cmocka_unit_test(tells_a_node_from_none),
        cmocka_unit_test(reads_byte_by_byte),
        cmocka_unit_test(reads_in_any_two_pieces),
        cmocka_unit_test(hands_out_at_once),
        cmocka_unit_test(reads_long_text_in_pieces),
        cmocka_unit_test(keeps_what_has_a_meaning),
        cmocka_unit_test(keeps_so_many_statuses),
        cmocka_unit_test(gives_the_presence),
        cmocka_unit_test(refuses_restricted_xml),
        cmocka_unit_test(refuses_entity_bombs),
        cmocka_unit_test(refuses_what_is_not_xml),
        cmocka_unit_test(the_peer_may_close),
        cmocka_unit_test(the_peer_may_send_a_stream_error),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
