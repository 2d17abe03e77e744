// The stream reader: what it keeps of a stanza, in pieces of every size, and what it refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/wire/stanza_reader.h"

static const struct stanza_reader_limits LIMITS = {.stanza_bytes = 262144, .stanza_depth = 32};

// Everything that was read, as one line per stanza.
static struct buffer seen;
static size_t n_seen;

static void show_text(const struct stanza *s, const char *name, struct span at)
{
    if (at.n == 0)
        return;
    buffer_char(&seen, ' ');
    buffer_text(&seen, text_of(name));
    buffer_char(&seen, '=');
    buffer_text(&seen, stanza_text(s, at));
}

static void show_number(const char *name, int v)
{
    char line[64];
    buffer_text(&seen, (struct text){line, (size_t)snprintf(line, sizeof line, " %s=%d", name, v)});
}

static void on_stanza(void *arg, const struct stanza *s)
{
    static const char *const kinds[] = {"presence", "message", "iq"};
    (void)arg;
    n_seen++;
    assert_true(stanza_size(s) >= sizeof *s);
    buffer_text(&seen, text_of(kinds[s->kind]));
    buffer_text(&seen, s->type == STANZA_OTHER ? TEXT(" other") : s->type ? TEXT(" ") : TEXT(""));
    buffer_text(&seen, stanza_type_text((enum stanza_type)s->type));
    show_text(s, "from", s->from);
    show_text(s, "to", s->to);
    show_text(s, "id", s->id);
    show_text(s, "lang", s->lang);
    if (s->show)
        show_number("show", s->show);
    if (s->has_priority)
        show_number("priority", s->priority);
    if (s->condition)
        show_number("condition", s->condition);
    if (s->too_big)
        buffer_lit(&seen, " too_big");
    show_text(s, "child", s->child_name);
    show_text(s, "ns", s->child_ns);
    if (s->child_has_node)
        buffer_lit(&seen, " node");
    for (size_t i = 0; i < s->n_status; i++) {
        show_text(s, "l", s->status[i].lang);
        show_text(s, "t", s->status[i].text);
    }
    buffer_char(&seen, '\n');
}

static struct stanza_reader *reader_with(const struct stanza_reader_limits *limits)
{
    struct stanza_reader *r;
    buffer_reset(&seen);
    n_seen = 0;
    assert_int_equal(stanza_reader_create(&r, limits, on_stanza, NULL), 0);
    return r;
}

static struct stanza_reader *reader(void)
{
    return reader_with(&LIMITS);
}

static void expect(const char *want)
{
    buffer_char(&seen, '\0');
    assert_string_equal(seen.p, want);
    buffer_reset(&seen);
}

static int feed(struct stanza_reader *r, const char *z)
{
    return stanza_reader_feed(r, z, strlen(z));
}

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

// ── limits ──

static struct buffer stanza_of(size_t bytes)
{
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence><status>");
    while (z.n < bytes - sizeof "</status></presence>" + 1)
        buffer_char(&z, 'x');
    buffer_lit(&z, "</status></presence>");
    assert_int_equal(z.n, bytes);
    return z;
}

static int feed_steps(struct stanza_reader *r, const struct buffer *z, size_t step)
{
    int error = 0;
    for (size_t i = 0; i < z->n && !error; i += step)
        error = stanza_reader_feed(r, z->p + i, z->n - i < step ? z->n - i : step);
    return error;
}

static void a_stanza_may_have_so_many_bytes(void **state)
{
    (void)state;
    const struct stanza_reader_limits small = {.stanza_bytes = 1000, .stanza_depth = 32};
    struct buffer fits = stanza_of(1000), past = stanza_of(1001);
    const size_t steps[] = {1, 7, 100, 5000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stanza_reader *r = reader_with(&small);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(feed_steps(r, &fits, steps[i]), 0);
            assert_int_equal(feed(r, "\n \n"), 0); // does not count
        }
        assert_int_equal(n_seen, 3);
        assert_int_equal(feed_steps(r, &past, steps[i]), 0); // passed over, but known of
        assert_int_equal(n_seen, 4);
        assert_non_null(memmem(seen.p, seen.n, " too_big\n", 9));
        assert_int_equal(feed(r, "<presence/>"), 0); // and the stream goes on
        assert_int_equal(n_seen, 5);
        assert_memory_equal(seen.p + seen.n - 9, "presence\n", 9);
        stanza_reader_destroy(r);
    }
    buffer_free(&fits);
    buffer_free(&past);
}

// No callback comes while a name, an attribute or a comment lasts; the limit holds all the same.
static void a_token_that_never_ends_is_cut(void **state)
{
    (void)state;
    const char *const begins[] = {"<presence from='",   "<pres",
                                  "<presence><status>", "<presence><!-- ",
                                  "<presence><?pi ",    "<presence><status><![CDATA[",
                                  "<presence>&",        "<presence a='1' b"};
    char x[1000];
    memset(x, 'x', sizeof x);
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct stanza_reader *r = reader();
        size_t fed = strlen(begins[i]);
        int error = feed(r, begins[i]);
        for (; !error && fed < 32 * LIMITS.stanza_bytes; fed += sizeof x)
            error = stanza_reader_feed(r, x, sizeof x);
        // What may not be there at all is known as such before.
        bool restricted = strstr(begins[i], "<!-- ") || strstr(begins[i], "<?pi ");
        assert_int_equal(error, restricted ? EPERM : EMSGSIZE);
        assert_true(fed <= 16 * LIMITS.stanza_bytes + sizeof x);
        assert_int_equal(n_seen, 0);
        stanza_reader_destroy(r);
    }
}

static void white_space_may_go_on_for_ever(void **state)
{
    (void)state;
    struct stanza_reader *r = reader_with(&(struct stanza_reader_limits){1000, 32});
    for (int i = 0; i < 5000; i++)
        assert_int_equal(feed(r, " "), 0);
    assert_int_equal(feed(r, "<presence/>"), 0);
    assert_int_equal(n_seen, 1);
    stanza_reader_destroy(r);
}

static void twenty_megabytes_end_the_stream(void **state)
{
    (void)state;
    struct buffer z = stanza_of(20u << 20);
    const size_t steps[] = {z.n, 65536, 1460};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stanza_reader *r = reader();
        assert_int_equal(feed_steps(r, &z, steps[i]), EMSGSIZE);
        assert_int_equal(n_seen, 0);
        stanza_reader_destroy(r);
    }
    buffer_free(&z);
}

static void feed_nested(struct stanza_reader *r, unsigned depth, int want)
{
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<iq>");
    for (unsigned i = 1; i < depth; i++)
        buffer_lit(&z, "<a>");
    for (unsigned i = 1; i < depth; i++)
        buffer_lit(&z, "</a>");
    buffer_lit(&z, "</iq>");
    assert_int_equal(stanza_reader_feed(r, z.p, z.n), want);
    buffer_free(&z);
}

static void a_stanza_may_be_so_deep(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    feed_nested(r, 32, 0);
    feed_nested(r, 32, 0);
    assert_int_equal(n_seen, 2);
    feed_nested(r, 33, 0); // passed over, and the stream goes on
    assert_int_equal(n_seen, 3);
    assert_non_null(memmem(seen.p, seen.n, " too_big", 8));
    feed_nested(r, 32, 0);
    stanza_reader_destroy(r);
}

// What a stanza past the limit had said before is forgotten, wherever the pieces end.
static void nothing_of_a_big_stanza_depends_on_the_pieces(void **state)
{
    (void)state;
    const struct stanza_reader_limits small = {.stanza_bytes = 200, .stanza_depth = 32};
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z,
               "<presence from='a@example.com' type='error'><show>away</show><priority>-1"
               "</priority><error><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
               "<priority>5</priority><show>dnd</show><status>this makes it a big one</status>"
               "</presence>");
    for (size_t step = 1; step <= z.n; step++) {
        struct stanza_reader *r = reader_with(&small);
        assert_int_equal(feed_steps(r, &z, step), 0);
        expect("presence error from=a@example.com too_big\n");
        stanza_reader_destroy(r);
    }
    buffer_free(&z);
}

// Any user can have her server pass on as many levels as fit into its limit of size: that must not
// end the stream of all others.
static void depth_that_servers_pass_on_ends_no_stream(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    feed_nested(r, 257, 0); // libxml2's limit elsewhere
    feed_nested(r, 512 * 1024 / 7, 0);
    assert_int_equal(n_seen, 2);
    feed_nested(r, 32, 0);
    assert_int_equal(n_seen, 3);
    stanza_reader_destroy(r);
    r = reader();
    feed_nested(r, 100000, EMSGSIZE);
    assert_int_equal(n_seen, 0);
    stanza_reader_destroy(r);
}

static void expect_passed_over(const struct buffer *z, size_t step)
{
    struct stanza_reader *r = reader();
    assert_int_equal(feed_steps(r, z, step), 0);
    expect("presence from=a@example.com to=b@example.net too_big\npresence from=c\n");
    stanza_reader_destroy(r);
}

// Ten thousand attributes are compared with each other, and took 11 ms of CPU; as many namespaces
// are looked through for each element. Their stanza is passed over, however it is cut, and the next
// one is read.
static void what_is_slow_to_parse_is_passed_over(void **state)
{
    (void)state;
    static const char head[] = "<presence from='a@example.com' to='b@example.net'>",
                      tail[] = "</presence> <presence from='c'/>";
    const size_t steps[] = {1, 1000, 16384, 1 << 20};
    for (int kind = 0; kind < 4; kind++) {
        struct buffer z;
        buffer_init(&z, 0);
        buffer_lit(&z, head);
        if (kind == 0) { // a long tag
            buffer_lit(&z, "<x");
            for (unsigned i = 0; i < 10000; i++) {
                buffer_lit(&z, " a");
                buffer_u64(&z, i);
                buffer_lit(&z, "='>'");
            }
            buffer_lit(&z, "/>");
        }
        for (unsigned i = 0; kind && i < 40; i++) { // many levels
            buffer_lit(&z, "<x xmlns:a");
            buffer_u64(&z, i);
            buffer_lit(&z, "='b'>");
        }
        if (kind == 2) // the first one too many ends at once
            buffer_lit(&z, "<y/><y />");
        if (kind == 3)
            buffer_lit(&z, "<![CDATA[</x>]]>");
        for (unsigned i = 0; kind && i < 40; i++)
            buffer_lit(&z, "</x>");
        buffer_lit(&z, tail);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            expect_passed_over(&z, steps[i]);
        buffer_free(&z);
    }
}

// The first element too many is one without content, cut anywhere.
static void an_empty_element_is_the_one_too_many(void **state)
{
    (void)state;
    struct buffer z;
    buffer_init(&z, 0);
    buffer_lit(&z, "<presence from='a@example.com' to='b@example.net'>");
    for (int i = 1; i < 32; i++)
        buffer_lit(&z, "<x>");
    buffer_lit(&z, "<y />");
    for (int i = 1; i < 32; i++)
        buffer_lit(&z, "</x>");
    buffer_lit(&z, "</presence><presence from='c'/>");
    for (size_t step = 1; step <= z.n; step++)
        expect_passed_over(&z, step);
    buffer_free(&z);
}

static void long_names_end_no_stream(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    char *name = malloc(60001);
    assert_non_null(name);
    memset(name, 'n', 60000);
    name[60000] = 0;
    assert_int_equal(feed(r, "<iq><"), 0);
    assert_int_equal(feed(r, name), 0);
    assert_int_equal(feed(r, " xmlns='urn:example:long' "), 0);
    assert_int_equal(feed(r, name), 0);
    assert_int_equal(feed(r, "=''/></iq>"), 0);
    assert_int_equal(n_seen, 1);
    free(name);
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

// ── over the life of a stream ──

// Each stanza has a name, an attribute and a namespace that no other one has.
static size_t feed_made_up_names(struct stanza_reader *r, unsigned from, unsigned to, size_t step)
{
    struct buffer z;
    buffer_init(&z, 0);
    for (unsigned i = from; i < to; i++) {
        char one[256];
        int n = snprintf(one, sizeof one,
                         "<presence id='%u'><n%u-%050u a%u='1' xmlns='urn:example:%u'/></presence>",
                         i, i, i, i, i);
        buffer_add(&z, one, (size_t)n);
    }
    assert_int_equal(feed_steps(r, &z, step), 0);
    size_t n = z.n;
    buffer_free(&z);
    return n;
}

static void loses_nothing_when_the_parser_is_renewed(void **state)
{
    (void)state;
    const size_t steps[] = {1, 1459, 16384, 1u << 20, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stanza_reader *r = reader();
        size_t fed = feed_made_up_names(r, 0, 20000, steps[i]);
        assert_true(fed > 2u << 20); // so at least two were renewed
        assert_int_equal(n_seen, 20000);
        const char *line = seen.p;
        for (int k = 0; k < 20000; k++) {
            char want[32];
            int n = snprintf(want, sizeof want, "presence id=%d\n", k);
            assert_memory_equal(line, want, n);
            line += n;
        }
        stanza_reader_destroy(r);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static size_t heap_in_use(void)
{
    return mallinfo2().uordblks;
}
#else
size_t __sanitizer_get_current_allocated_bytes(void);
static size_t heap_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#endif

static void names_of_peers_do_not_pile_up(void **state)
{
    (void)state;
    struct stanza_reader *r = reader();
    buffer_reserve(&seen, 8u << 20);
    size_t before = heap_in_use();
    for (unsigned k = 0; k < 20; k++)
        feed_made_up_names(r, k * 10000, (k + 1) * 10000, 8192);
    assert_int_equal(n_seen, 200000);
    // Some 30 MB have passed; what one parser may gather is a small multiple of what it is given.
    assert_true(heap_in_use() < before + (6u << 20));
    stanza_reader_destroy(r);
}

static int group_begin(void **state)
{
    (void)state;
    buffer_init(&seen, 0);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    buffer_free(&seen);
    return 0;
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
        cmocka_unit_test(a_stanza_may_have_so_many_bytes),
        cmocka_unit_test(a_token_that_never_ends_is_cut),
        cmocka_unit_test(white_space_may_go_on_for_ever),
        cmocka_unit_test(twenty_megabytes_end_the_stream),
        cmocka_unit_test(a_stanza_may_be_so_deep),
        cmocka_unit_test(what_is_slow_to_parse_is_passed_over),
        cmocka_unit_test(an_empty_element_is_the_one_too_many),
        cmocka_unit_test(nothing_of_a_big_stanza_depends_on_the_pieces),
        cmocka_unit_test(depth_that_servers_pass_on_ends_no_stream),
        cmocka_unit_test(long_names_end_no_stream),
        cmocka_unit_test(refuses_restricted_xml),
        cmocka_unit_test(refuses_entity_bombs),
        cmocka_unit_test(refuses_what_is_not_xml),
        cmocka_unit_test(the_peer_may_close),
        cmocka_unit_test(the_peer_may_send_a_stream_error),
        cmocka_unit_test(loses_nothing_when_the_parser_is_renewed),
        cmocka_unit_test(names_of_peers_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
