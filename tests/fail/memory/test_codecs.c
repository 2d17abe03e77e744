// Each codec with each of its allocations refused in turn: it says ENOMEM (a writer: its buffer has
// failed) or does its work as if nothing had been, and keeps nothing. Bad input is never what it
// says of our want of memory.
//
// In a build without sanitizers the seam reaches the libraries' own allocations as well.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <libxml/xmlmemory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/address.h"
#include "core/wire/digest.h"
#include "core/wire/memory.h"
#include "core/wire/pidf.h"
#include "core/wire/sip.h"
#include "core/wire/stanza_caps.h"
#include "core/wire/stanza_reader.h"
#include "core/wire/winfo.h"
#include "seam.h"

enum { POINTS_MAX = 5000 };

static unsigned long points;

// What came of it: 0 with its hash, or an error.
struct outcome {
    int error;
    uint64_t hash;
};

static void hash_text(struct outcome *o, struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        o->hash = (o->hash ^ (unsigned char)t.p[i]) * 0x100000001b3;
}

static void hash_buffer(struct outcome *o, struct buffer *b)
{
    o->error = b->failed ? ENOMEM : 0;
    hash_text(o, (struct text){b->p, b->failed ? 0 : b->n});
    buffer_free(b);
}

static void refuse_each(struct outcome (*play)(void))
{
    struct outcome whole = play(); // libraries take some things only once
    assert_int_equal(whole.error, 0);
    for (unsigned long n = 1;; n++) {
        assert_true(n < POINTS_MAX);
        seam_begin(n);
        struct outcome o = play();
        seam_end();
        if (!seam.refused)
            return;
        points++;
        if (o.error && o.error != ENOMEM)
            fail_msg("allocation %lu: %s", n, strerror(o.error));
        if (!o.error && o.hash != whole.hash)
            fail_msg("allocation %lu: done, but not the same", n);
    }
}

// --- SIP

static const char notify[] =
    "NOTIFY sip:juliet@127.0.0.1:5080;transport=udp SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKna998sk;rport\r\n"
    "Via: SIP/2.0/TCP proxy.example.net;branch=z9hG4bKother;received=192.0.2.1\r\n"
    "Record-Route: <sip:proxy.example.net;lr>, <sip:edge.example.net;lr;foo=bar>\r\n"
    "From: \"Romeo \\\"M\\\"\" <sip:romeo@example.net>;tag=xfg9\r\n"
    "To: <sip:juliet@example.com;gr=balcony>;tag=0123456789abcdef01234567\r\n"
    "Call-ID: AA5A8BE5-CBB7-42B9-8181-6230012B1E11\r\nCSeq: 1 NOTIFY\r\nMax-Forwards: 70\r\n"
    "Contact: \"him\" <sip:romeo@127.0.0.1:5099;transport=tcp>;expires=60;q=0.5\r\n"
    "Event: presence;id=1;min-rate=0.5\r\n"
    "Subscription-State: terminated;reason=probation;retry-after=30;foo=\"bar\"\r\n"
    "Accept: application/pidf+xml, application/watcherinfo+xml;q=0.5\r\n"
    "WWW-Authenticate: Digest realm=\"verona\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"\r\n"
    "Content-Type: application/pidf+xml\r\nContent-Length: 0\r\n\r\n";

// With so many parameters that sofia's area for one message is not enough.
static char *long_notify(size_t *n)
{
    enum { PARAMETERS = 300 };
    static char message[sizeof notify + 32 * PARAMETERS];
    const char *at = strstr(notify, "foo=\"bar\"\r\n");
    size_t head = (size_t)(at - notify);
    memcpy(message, notify, head);
    char *to = message + head;
    for (int i = 0; i < PARAMETERS; i++)
        to += sprintf(to, "p%d=v%d;", i, i);
    strcpy(to, at);
    *n = strlen(message);
    return message;
}

static struct outcome parse_sip(void)
{
    struct outcome o = {0};
    struct sip_parser *p;
    const struct sip_message *m;
    size_t n;
    const char *message = long_notify(&n);
    o.error = sip_parser_create(&p, 65536);
    if (o.error)
        return o;
    o.error = sip_parse(p, message, n, &m);
    if (!o.error)
        hash_text(&o, (struct text){(const char *)m, m->size});
    sip_parser_destroy(p);
    return o;
}

static void test_sip(void **state)
{
    (void)state;
    refuse_each(parse_sip);
}

// --- Stanzas

static void take_stanza(void *arg, const struct stanza *s)
{
    hash_text(arg, (struct text){(const char *)s, s->size});
}

static struct outcome read_stanzas(void)
{
    static const char stanzas[] =
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='1' xml:lang='it'>"
        "<show>away</show><status>tra &amp; tre</status><status xml:lang='en'>out</status>"
        "<priority>5</priority><c xmlns='http://jabber.org/protocol/caps' node='n' ver='v'/>"
        "</presence>"
        "<iq type='get' from='a@b' to='c@d' id='2'><query xmlns='jabber:iq:last'/></iq> "
        "<message from='juliet@example.com' to='romeo@example.net'><event "
        "xmlns='http://jabber.org/protocol/pubsub#event'><items "
        "node='http://jabber.org/protocol/mood'><item id='current'><mood "
        "xmlns='http://jabber.org/protocol/mood'><happy/><text>Yay</text></mood></item></items>"
        "</event></message>";
    struct stanza_reader *r;
    struct stanza_reader_limits limits = {262144, 32};
    struct outcome o = {0};
    o.error = stanza_reader_create(&r, &limits, take_stanza, &o);
    if (o.error)
        return o;
    o.error = stanza_reader_feed(r, stanzas, sizeof stanzas - 1);
    stanza_reader_destroy(r);
    return o;
}

static void test_stanzas(void **state)
{
    (void)state;
    refuse_each(read_stanzas);
}

// --- PIDF

static struct outcome read_document(const char *document, size_t n)
{
    static struct pidf doc; // large
    struct pidf_reader *r;
    struct buffer scratch, out;
    struct outcome o = {0};
    buffer_init(&scratch, 0);
    buffer_init(&out, 0);
    o.error = pidf_reader_create(&r);
    if (o.error)
        return o;
    o.error = pidf_read(r, &doc, (struct text){document, n}, TEXT("en"), &scratch);
    if (!o.error) {
        hash_text(&o, doc.entity);
        pidf_write(&out, TEXT("pres:romeo@example.net"), doc.tuple, doc.n);
        hash_buffer(&o, &out);
    }
    buffer_free(&out);
    buffer_free(&scratch);
    pidf_reader_destroy(r);
    return o;
}

static const char pidf[] =
    "<?xml version='1.0' encoding='UTF-8'?>"
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' "
    "xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' entity='pres:romeo@example.net'>"
    "<tuple id='ID-orchard'><status><basic>open</basic><show xmlns='jabber:client'>dnd</show>"
    "</status><contact priority='0.8'>sip:romeo@example.net;gr=orchard</contact>"
    "<note xml:lang='it'>Buon giorno &amp; buona notte</note></tuple>"
    "<d:person id='p1'><r:activities><r:away/></r:activities><r:mood><r:happy/></r:mood>"
    "<d:note>wherefore</d:note></d:person></presence>";

static struct outcome read_utf8(void)
{
    return read_document(pidf, sizeof pidf - 1);
}

// Which libxml2 decodes.
static struct outcome read_utf16(void)
{
    static char wide[2 * sizeof pidf + 2];
    const char *from = strstr(pidf, "<presence");
    size_t n = 0;
    wide[n++] = (char)0xff;
    wide[n++] = (char)0xfe;
    for (; *from; from++) {
        wide[n++] = *from;
        wide[n++] = 0;
    }
    return read_document(wide, n);
}

static void test_pidf(void **state)
{
    (void)state;
    refuse_each(read_utf8);
    refuse_each(read_utf16);
}

// --- Addresses

static struct outcome parse_jid(void)
{
    static const char jid[] = "J\xc3\x9cLIET@xn--bcher-kva.EXAMPLE/b\xc3\xa4lcony";
    char scratch[JID_MAX + 1];
    struct jid out;
    struct buffer b;
    struct outcome o = {.error = jid_parse(&out, text_of(jid), scratch, sizeof scratch)};
    if (o.error)
        return o;
    buffer_init(&b, 0);
    jid_write(&b, &out);
    address_to_sip(&b, &out);
    hash_buffer(&o, &b);
    return o;
}

static struct outcome map_uri(void)
{
    struct sip_uri uri;
    char scratch[JID_MAX + 1];
    struct jid out;
    struct outcome o = {.error =
                            sip_uri_parse(&uri, TEXT("sip:R%C3%96MEO%40a@example.net;gr=orchard"))};
    if (!o.error)
        uri.host = TEXT(
            "b\xc3\xbc"
            "cher.example");
    if (!o.error)
        o.error = address_to_jid(&out, &uri, scratch, sizeof scratch);
    if (o.error)
        return o;
    hash_text(&o, out.local);
    hash_text(&o, out.domain);
    return o;
}

static void test_addresses(void **state)
{
    (void)state;
    refuse_each(parse_jid);
    refuse_each(map_uri);
}

// --- Writers

static struct outcome write_digest(void)
{
    struct digest d = {.algorithm = DIGEST_SHA256,
                       .user = TEXT("gateway"),
                       .realm = TEXT("verona"),
                       .password = TEXT("sycamore"),
                       .nonce = TEXT("abc"),
                       .cnonce = TEXT("def"),
                       .qop = true,
                       .nc = 1};
    struct buffer b;
    struct outcome o = {0};
    buffer_init(&b, 0);
    digest_write(&b, &d, TEXT("SUBSCRIBE"), TEXT("sip:romeo@example.net"));
    hash_buffer(&o, &b);
    return o;
}

static void test_digest(void **state)
{
    (void)state;
    refuse_each(write_digest);
}

static struct outcome pack_presence(void)
{
    struct presence p = {.available = true,
                         .resource = TEXT("balcony"),
                         .n_status = 1,
                         .status = {{TEXT("it"), TEXT("fuori")}}};
    struct buffer b;
    struct outcome o = {0};
    buffer_init(&b, 0);
    presence_pack(&b, &p);
    hash_buffer(&o, &b);
    return o;
}

static void test_presence(void **state)
{
    (void)state;
    refuse_each(pack_presence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sip),    cmocka_unit_test(test_stanzas),
        cmocka_unit_test(test_pidf),   cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_digest), cmocka_unit_test(test_presence),
    };
    xmlMemSetup(free, malloc, realloc, strdup); // the library's allocations pass the seam, too
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%lu allocations refused\n", points);
    return failed;
}
